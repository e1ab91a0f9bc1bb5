//! A random program: handles so far, and a next operation on some of them.

use std::cell::RefCell;

use autograd::{
    AttentionOptions, AvgPool2dOptions, Conv1dOptions, Conv2dOptions, ConvTranspose2dOptions, CrossEntropy,
    MaxPool2dOptions, PadMode, Padding, Scalar, Shape, SortOrder, Tape, Tensor, Var, cat, custom, custom_many, einsum,
    stack, table,
};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, RngExt};

type V<'t> = Var<'t, f64>;

/// Which operations a program may choose.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// All, with all kinds of arguments.
    Anything,
    /// Those whose derivative is that of their value.
    Smooth,
}

pub struct Program<'t, 'p> {
    tape: &'t Tape<f64>,
    pub vars: Vec<V<'t>>,
    pub scalars: Vec<Scalar<'t, f64>>,
    kind: Kind,
    trace: &'p RefCell<Vec<String>>,
}

/// Larger results are dropped, so that programs stay quick.
const LARGEST: usize = 3000;

/// One of several methods, with its name, applied to `$x`.
macro_rules! choose {
    ($rng:expr, $x:expr, $arguments:tt, $($name:ident)*) => {{
        let all = [$(stringify!($name)),*];
        let name = all[$rng.random_range(0..all.len())];
        (name, match name {
            $(stringify!($name) => $x.$name $arguments,)*
            _ => unreachable!(),
        })
    }};
}

impl<'t, 'p> Program<'t, 'p> {
    pub fn new(tape: &'t Tape<f64>, vars: &[V<'t>], kind: Kind, trace: &'p RefCell<Vec<String>>) -> Self {
        Self { tape, vars: vars.to_vec(), scalars: vec![tape.scalar(0.75)], kind, trace }
    }

    /// A seed of the shape of `y`, seldom of another.
    pub fn draw_seed(&self, y: V<'t>, rng: &mut StdRng) -> Tensor<f64> {
        let shape = if rng.random_bool(0.9) { y.shape() } else { shape(rng) };
        Tensor::uniform(shape, -1.0, 1.0, rng)
    }

    /// One operation; its results join the handles, failed ones too if anything goes.
    pub fn step(&mut self, rng: &mut StdRng) {
        let x = self.var(rng);
        let (name, results) = match rng.random_range(0..10) {
            0 => self.elementwise(x, rng),
            1 => self.line(x, rng),
            2 => self.binary(x, rng),
            3 => self.reduction(x, rng),
            4 => self.shape(x, rng),
            5 => self.part(x, rng),
            6 => self.product(x, rng),
            7 => self.index(x, rng),
            8 => self.window(x, rng),
            _ => self.control(x, rng),
        };
        let shapes: Vec<String> = results.iter().map(|y| y.shape().to_string()).collect();
        self.trace.borrow_mut().push(format!("{name} of {}: {}", x.shape(), shapes.join(" ")));
        for y in results {
            if (self.kind == Kind::Anything || y.value().is_ok()) && y.shape().len() <= LARGEST {
                self.vars.push(y);
            }
        }
    }

    fn var(&self, rng: &mut StdRng) -> V<'t> {
        *self.vars.choose(rng).expect("a program starts with handles")
    }

    /// Most often a handle that fits, to get on.
    fn fitting(&self, fits: impl Fn(&Shape) -> bool, rng: &mut StdRng) -> V<'t> {
        let fitting: Vec<V<'t>> = self.vars.iter().copied().filter(|y| fits(&y.shape())).collect();
        if rng.random_bool(0.9) { fitting.choose(rng).copied().unwrap_or_else(|| self.var(rng)) } else { self.var(rng) }
    }

    fn elementwise(&self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let name = table::names(1).choose(rng).expect("operations of one operand");
        let y = table::call(name, &[x]).expect("an operation of the table");
        (name.into(), vec![y])
    }

    fn binary(&self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let broadcasts = |shape: &Shape| x.shape().broadcast(shape).is_ok();
        let y = self.fitting(broadcasts, rng);
        let number = rng.random_range(-2.0..2.0);
        let scalar = *self.scalars.choose(rng).expect("a program starts with a scalar");
        let (name, result) = match rng.random_range(0..9) {
            0 => ("mul by a number", number * x),
            1 => ("sub from a scalar", scalar - x),
            2 => choose!(rng, x, (number), maximum minimum clamp_min clamp_max pow atan2 leaky_relu elu celu softplus),
            3 => {
                choose!(rng, x, (scalar), maximum minimum pow hypot xlogy rem logaddexp prelu hardshrink softshrink threshold)
            }
            4 => ("clamp", x.clamp(-1.0, y)),
            5 => ("select", x.gt(number).select(y, self.fitting(broadcasts, rng))),
            6 => {
                let (name, mask) = choose!(rng, x, (y), eq ne gt ge lt le);
                (name, mask.to_float())
            }
            7 => ("powi", x.powi(*[0, 1, 2, 3, -1, -2, i32::MIN, i32::MAX].choose(rng).expect("a power"))),
            _ => choose!(rng, x, (y),
                atan2 hypot maximum minimum fmax fmin clamp_min clamp_max copysign fmod rem logaddexp logaddexp2 xlogy xlog1py
                masked_mul pow leaky_relu prelu elu celu softplus hardshrink softshrink threshold),
        };
        let result = match rng.random_range(0..5) {
            0 => result + y,
            1 => result / y,
            2 => result * y,
            _ => result,
        };
        (format!("{name} with {}", y.shape()), vec![result])
    }

    fn reduction(&mut self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let axes = axes(x, rng);
        let choice = rng.random_range(0..26);
        let (axis, n) = (axis(x, rng), count(rng));
        let p = *[0.0, 1.0, 2.0, 3.0, 0.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN].choose(rng).expect("a norm");
        let result = match choice {
            0 => x.sum_axes(&axes[..]),
            1 => x.sum_keepdim(&axes[..]),
            2 => x.mean_axes(&axes[..]),
            3 => x.mean_keepdim(&axes[..]),
            4 => x.prod_axes(&axes[..]),
            5 => x.prod_keepdim(&axes[..]),
            6 => x.nansum_axes(&axes[..]),
            7 => x.nanmean_axes(&axes[..]),
            8 => x.count_nonzero_axes(&axes[..]),
            9 => x.amax(&axes[..]),
            10 => x.amin_keepdim(&axes[..]),
            11 => x.max_with_index(axis).0,
            12 => x.min_with_index(axis).0,
            13 => x.var_axes(&axes[..], n),
            14 => x.std_keepdim(&axes[..], n),
            15 => x.var_mean(&axes[..], n).1,
            16 => x.logsumexp(&axes[..]),
            17 => x.norm_axes(p, &axes[..]),
            18 => x.norm_keepdim(p, &axes[..]),
            _ => {
                let all = [V::sum, V::mean, V::prod, V::max, V::min, |x: V<'t>| x.var(1), |x: V<'t>| x.std(0)];
                self.scalars.push(all[choice - 19](x));
                x
            }
        };
        (format!("reduction {choice} over {axes:?} or {axis}, {n} {p}"), vec![result])
    }

    fn line(&self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let (axis, n) = (axis(x, rng), count(rng));
        let order = if rng.random_bool(0.5) { SortOrder::Ascending } else { SortOrder::Descending };
        let choice = rng.random_range(0..20);
        let last = x.shape().last().copied().map_or(Shape::default(), Shape::from);
        let result = match choice {
            0 => x.softmax(axis),
            1 => x.softmin(axis),
            2 => x.log_softmax(axis),
            3 => x.cumsum(axis),
            4 => x.cumprod(axis),
            5 => x.logcumsumexp(axis),
            6 => x.cummax(axis).0,
            7 => x.cummin(axis).0,
            8 => x.diff(n, axis),
            9 => x.trapezoid(0.5, axis),
            10 => x.cumulative_trapezoid(0.5, axis),
            11 => x.sort(axis, order).0,
            12 => x.topk(n, axis, order).0,
            13 => x.kthvalue(n, axis).0,
            14 => x.median(axis).0,
            15 => {
                let labels = Tensor::from_fn(x.size(0), |_| rng.random_range(0..4));
                x.softmax_cross_entropy(&labels, &CrossEntropy { label_smoothing: 0.1, ..Default::default() })
            }
            16 => x.layer_norm(last, None, None, 0.1),
            17 => x.rms_norm(last, None, 0.1),
            18 => x.group_norm(n, None, None, 0.1),
            _ => x.batch_norm(None, None, 0.1).0,
        };
        (format!("line {choice} axis {axis}, {n}"), vec![result])
    }

    fn shape(&self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let (a, b, to) = (axis(x, rng), axis(x, rng), target(rng));
        let choice = rng.random_range(0..24);
        let shift = *[0, 1, -1, 2, isize::MIN, isize::MAX].choose(rng).expect("a shift");
        let result = match choice {
            0 => x.reshape(&to),
            1 => x.flatten(),
            2 => x.permute(&order(x, rng)[..]),
            3 => x.transpose(a, b),
            4 => x.t(),
            5 => x.broadcast_to(to.iter().copied().chain(x.shape().iter().copied()).take(5).collect::<Shape>()),
            6 => x.sum_to(&to),
            7 => x.unsqueeze(a),
            8 => x.squeeze(a),
            9 => x.unflatten(a, &to),
            10 => x.flatten_axes(a, b),
            11 => x.movedim(a, b),
            12 => x.swapaxes(a, b),
            13 => x.expand(&to),
            14 => x.tile(&to),
            15 => x.repeat(&to),
            16 => x.repeat_interleave(to.rank(), a),
            17 => x.roll(shift, a),
            18 => x.rot90(shift, [a, b]),
            19 => x.tril(shift),
            20 => x.triu(shift),
            21 => x.diagonal(shift, a, b),
            22 => x.diag_embed(shift),
            _ => x.reshape(x.shape().iter().rev().copied().collect::<Shape>()),
        };
        (format!("shape {choice} {a} {b} {to} {shift}"), vec![result])
    }

    fn part(&self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let (axis, start, len, step) = (axis(x, rng), count(rng), count(rng), count(rng));
        let choice = rng.random_range(0..12);
        let results = match choice {
            0 => vec![x.slice(axis, start..start.saturating_add(len))],
            1 => vec![x.slice_step(axis, start.., step)],
            2 => vec![x.narrow(axis, start, len)],
            3 => vec![x.index_axis(axis, start)],
            4 => vec![x.flip(&axes(x, rng)[..])],
            5 => x.split(len, axis),
            6 => x.split_sizes(&[start, len], axis),
            7 => x.chunk(len, axis),
            8 => x.unbind(axis),
            9 => vec![cat(&[x, self.fitting(|shape| shape.rank() == x.rank(), rng)], axis)],
            10 => vec![stack(&[x, self.fitting(|shape| *shape == x.shape(), rng)], axis)],
            _ => {
                let mode = [PadMode::Constant(0.5), PadMode::Reflect, PadMode::Replicate, PadMode::Circular][start % 4];
                let counts: Vec<(isize, isize)> =
                    (0..rng.random_range(0..3)).map(|_| (small(rng), small(rng))).collect();
                vec![x.pad(&counts, mode)]
            }
        };
        (format!("part {choice} axis {axis}, {start} {len} {step}"), results.into_iter().take(3).collect())
    }

    fn product(&mut self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let inner = x.size(-1);
        let choice = rng.random_range(0..16);
        let equation =
            *["ij,jk->ik", "i,j", "...i,...i->...", "ii", "ij->ji", "bij,bjk->bik", "i,->i", "a-", "ab,c->abd"]
                .choose(rng)
                .expect("an equation");
        let y = self.fitting(|shape| shape.contains(&inner), rng);
        let result = match choice {
            0 => x.matmul(y),
            1 => x.matmul(y.t()),
            2 => x.mv(y),
            3 => x.bmm(y),
            4 => x.outer(y),
            5 => x.addmm(y, self.var(rng)),
            6 => x.baddbmm(y, self.var(rng)),
            7 => x.kron(y),
            8 => x.cross(y, axis(x, rng)),
            9 => x.tensordot(y, &axes(x, rng)[..], &axes(y, rng)[..]),
            10 => x.multi_dot(&[y, self.var(rng)]),
            12 => einsum(equation, &[x, y][..1 + usize::from(equation.contains(','))]),
            11 => x.linear(y, rng.random_bool(0.5).then(|| self.var(rng))),
            13 | 14 => x.scaled_dot_product_attention(y, self.fitting(has_keys(y), rng), &self.attention(rng)),
            _ => {
                self.scalars.push(x.flatten().dot(y.flatten()));
                x.matmul(x.t())
            }
        };
        (format!("product {choice} {equation} with {}", y.shape()), vec![result])
    }

    fn attention(&self, rng: &mut StdRng) -> AttentionOptions<'t, f64> {
        AttentionOptions {
            bias: rng.random_bool(0.2).then(|| self.var(rng)),
            mask: rng.random_bool(0.2).then(|| self.tape.mask(Tensor::from_fn(shape(rng), |_| rng.random_bool(0.7)))),
            causal: rng.random_bool(0.3),
            scale: rng.random_bool(0.2).then_some(-0.5),
            dropout: if rng.random_bool(0.2) { 0.4 } else { 0.0 },
            seed: Some(self.tape.indices(1)),
        }
    }

    fn index(&self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let axis = axis(x, rng);
        let size = x.size(axis).max(1);
        let wild = self.kind == Kind::Anything && rng.random_bool(0.2);
        let place = |rng: &mut StdRng| if wild { count(rng) } else { rng.random_range(0..size) };
        let list: Tensor<usize> = (0..rng.random_range(0..4)).map(|_| place(rng)).collect();
        let to = if rng.random_bool(0.8) { x.shape() } else { shape(rng) };
        let index = Tensor::from_fn(to, |_| place(rng));
        let source = self.fitting(|shape| shape == index.shape(), rng);
        let choice = rng.random_range(0..9);
        let result = match choice {
            0 => x.gather(axis, &index),
            1 => x.take_along_dim(&index, axis),
            2 => x.scatter_add(axis, &index, source),
            3 => x.scatter(axis, &index, source),
            4 => x.index_select(axis, list),
            5 => x.index_add(axis, list, source),
            6 => x.embedding(&index),
            7 => x.masked_fill(index.map(|i| i % 2 == 0), 0.25),
            _ => Tensor::one_hot(&index, count(rng)).map_or(x, |hot| x.tape().constant(hot)),
        };
        (format!("index {choice} axis {axis} of {}", index.shape()), vec![result])
    }

    fn window(&self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let x = self.fitting(|shape| shape.rank() > 2 && shape.rank() == x.rank().clamp(3, 4), rng);
        let rank = x.rank();
        let channels = x.size(1 - isize::from(rank < 3));
        let mut number = |wild: usize| if rng.random_bool(0.95) { rng.random_range(1..3) } else { wild };
        let options = Conv2dOptions {
            stride: [number(0), number(usize::MAX)],
            padding: if number(7) == 2 { Padding::Same } else { Padding::Size([number(100), number(1 << 62)]) },
            dilation: [number(0), number(usize::MAX)],
            groups: if number(0) == 2 { channels } else { number(0).max(1) },
        };
        let (stride, groups) = (options.stride, options.groups);
        let weight = |sizes: &[usize]| self.tape.var(Tensor::full(sizes, 0.3));
        let grouped = channels / groups.max(1);
        let choice = rng.random_range(0..6);
        let window = [1 + stride[0] % 3, 1 + stride[1] % 2];
        let result = match choice {
            3 => x.max_pool2d(window, MaxPool2dOptions { dilation: options.dilation, ..Default::default() }),
            4 => x.avg_pool2d(window, AvgPool2dOptions { stride: Some(stride), ceil_mode: true, ..Default::default() }),
            5 => x.adaptive_avg_pool2d(window),
            0 if rank == 4 => x.conv2d(weight(&[2 * groups.min(4), grouped, 2, 2]), None, options),
            1 if rank == 4 => {
                let output_padding = [rng.random_range(0..2); 2];
                let options = ConvTranspose2dOptions {
                    stride: stride.map(|s| s.min(9)),
                    groups,
                    output_padding,
                    ..Default::default()
                };
                x.conv_transpose2d(weight(&[channels, 2, 2, 2]), None, options)
            }
            _ => {
                let options = Conv1dOptions { stride: [stride[0]], groups, ..Default::default() };
                x.conv1d(weight(&[2 * groups.min(4), grouped, 2]), None, options)
            }
        };
        (format!("window {choice} {options:?}"), vec![result])
    }

    fn control(&mut self, x: V<'t>, rng: &mut StdRng) -> (String, Vec<V<'t>>) {
        let s = *self.scalars.choose(rng).expect("a program starts with a scalar");
        let choice = rng.random_range(0..if self.kind == Kind::Anything { 12 } else { 8 });
        let results = match choice {
            0 => {
                self.scalars.push((s * s + 1.0).ln() - s.tanh() * 0.5);
                vec![x * s]
            }
            1 => vec![self.tape.from_scalars(&[s, s * 2.0, Scalar::constant(1.0)])],
            2 if x.shape().len() < 20 => {
                let all = x.to_scalars();
                self.scalars.push(all.iter().copied().sum::<Scalar<'t, f64>>() * 0.1);
                vec![self.tape.from_scalars(&all)]
            }
            3 => vec![custom("cube", [x], |[x]| Ok(x.map(|x| x * x * x)), |[x], _, g| [g * x * x * 3.0])],
            4 => custom_many(
                "both",
                [x],
                |[x]| Ok([x.map(|x| 2.0 * x), x.map(|x| x * x)]),
                |[x], _, [g, h]| [g * 2.0 + h * x * 2.0],
            )
            .to_vec(),
            5 => {
                self.scalars.push(x.sum_axes(-1).flatten().index_axis(0, 0).item());
                vec![]
            }
            6 => vec![x.named("x")],
            7 => {
                self.scalars.push(x.item());
                vec![x + s]
            }
            8 => vec![x.detach()],
            9 => vec![x.on_gradient(|g| g * 0.5)],
            10 => vec![custom("wrong", [x], |[x]| Ok(x.clone()), |_, _, g| [g.sum_keepdim(0)])],
            _ => {
                self.scalars.push(x.at([count(rng), count(rng)]));
                vec![]
            }
        };
        (format!("control {choice}"), results)
    }
}

/// Whether values of a shape belong to these keys.
fn has_keys(keys: V<'_>) -> impl Fn(&Shape) -> bool {
    let count = keys.size(-2);
    move |shape| shape.rank() > 1 && shape[shape.rank() - 2] == count
}

/// An axis of `x`, seldom one that it does not have.
fn axis(x: V<'_>, rng: &mut impl Rng) -> isize {
    let rank = x.rank() as isize;
    match rng.random_range(0..20) {
        0 => *[isize::MIN, isize::MAX, 7, -7].choose(rng).expect("an axis"),
        _ if rank > 0 => rng.random_range(0..2 * rank as usize) as isize - rank,
        _ => 0,
    }
}

fn axes(x: V<'_>, rng: &mut impl Rng) -> Vec<isize> {
    let mut axes: Vec<isize> = (0..rng.random_range(0..3)).map(|_| axis(x, rng)).collect();
    if rng.random_bool(0.8) {
        axes.dedup();
    }
    axes
}

/// Axes in some order, most often a permutation.
fn order(x: V<'_>, rng: &mut impl Rng) -> Vec<isize> {
    let mut order: Vec<isize> = (0..x.rank() as isize).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    if rng.random_bool(0.1) {
        order.push(axis(x, rng));
    }
    order
}

/// A number of elements to add, or to take away.
fn small(rng: &mut impl Rng) -> isize {
    match rng.random_range(0..100) {
        0 => *[isize::MIN, isize::MAX, 1 << 45].choose(rng).expect("a number"),
        _ => rng.random_range(0..6_usize) as isize - 2,
    }
}

/// A shape to ask for: small, seldom one that memory has no room for.
fn target(rng: &mut impl Rng) -> Shape {
    const SIZES: [usize; 6] = [1, 2, 3, 1 << 45, 1 << 63, usize::MAX];
    match rng.random_range(0..30) {
        0 => (0..rng.random_range(1..4)).map(|_| SIZES[rng.random_range(0..6)]).collect(),
        _ => shape(rng),
    }
}

fn shape(rng: &mut impl Rng) -> Shape {
    (0..rng.random_range(0..4)).map(|_| rng.random_range(0..4)).collect()
}

fn count(rng: &mut impl Rng) -> usize {
    if rng.random_bool(0.97) {
        rng.random_range(0..5)
    } else {
        *[usize::MAX, 1 << 63, 1 << 45, 100].choose(rng).expect("a count")
    }
}
