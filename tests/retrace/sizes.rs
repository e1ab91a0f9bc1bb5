//! Sizes at the edges: axes of no elements, and sizes that no memory has room for. The first have a right answer, the second
//! are errors; neither ends the program.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use autograd::{
    AttentionOptions, AvgPool1dOptions, AvgPool2dOptions, Conv1dOptions, Conv2dOptions, ConvTranspose1dOptions,
    ConvTranspose2dOptions, CrossEntropy, Error, LpPool2dOptions, MaxPool1dOptions, MaxPool2dOptions, PadMode, Padding,
    RecurrentOptions, RecurrentWeights, RnnActivation, SortOrder, Tape, Tensor, Var, cat, einsum, stack,
};
use nn::{
    BatchNorm1d, Batches, Conv2d, ConvTranspose2d, Embedding, GroupNorm, Gru, GruCell, LayerNorm, LearnedPositions,
    Linear, Lstm, LstmCell, MultiheadAttention, Rnn, init,
};
use rand::{SeedableRng, rngs::StdRng};

type V<'t> = Var<'t, f64>;

/// A recurrent network: its gates, its states, and all that it computes, from x, both weights, both biases and the states.
type Network = for<'t> fn(&[V<'t>], &RecurrentOptions<'t, f64>) -> Vec<V<'t>>;

/// Whether a network runs backwards, and the lengths of the samples.
type Way = (bool, Option<Tensor<usize>>);

fn options<'t>(tape: &'t Tape<f64>, (reverse, lengths): &Way) -> RecurrentOptions<'t, f64> {
    RecurrentOptions { reverse: *reverse, lengths: lengths.as_ref().map(|lengths| tape.indices(lengths)) }
}

fn weights<'t>(x: &[V<'t>]) -> RecurrentWeights<'t, f64> {
    RecurrentWeights { input: x[1], hidden: x[2], bias: Some([x[3], x[4]]) }
}

const NETWORKS: [(usize, usize, Network); 4] = [
    (4, 2, |x, options| {
        let (y, [h, c]) = x[0].lstm(&weights(x), Some([x[5], x[6]]), options);
        vec![y, h, c]
    }),
    (3, 1, |x, options| {
        let (y, h) = x[0].gru(&weights(x), Some(x[5]), options);
        vec![y, h]
    }),
    (1, 1, |x, options| {
        let (y, h) = x[0].rnn(&weights(x), Some(x[5]), RnnActivation::Tanh, options);
        vec![y, h]
    }),
    (1, 1, |x, options| {
        let (y, h) = x[0].rnn(&weights(x), Some(x[5]), RnnActivation::Relu, options);
        vec![y, h]
    }),
];

fn operands([steps, batch, inputs, width]: [usize; 4], gates: usize, states: usize) -> Vec<Tensor<f64>> {
    let rows = gates * width;
    let shapes = [vec![steps, batch, inputs], vec![rows, inputs], vec![rows, width], vec![rows], vec![rows]];
    let states = std::iter::repeat_n(vec![batch, width], states);
    let element = |k: usize, i: &[usize]| (i.iter().fold(k + 1, |sum, i| 3 * sum + i) as f64).sin();
    shapes.into_iter().chain(states).enumerate().map(|(k, shape)| Tensor::from_fn(shape, |i| element(k, i))).collect()
}

/// The values, the gradients of all operands, and their gradients again, each in one list.
fn all_orders(x: &[Tensor<f64>], network: Network, way: &Way, is_data: bool) -> [Vec<Tensor<f64>>; 3] {
    let tape = Tape::new();
    let first = |x: Tensor<f64>| if is_data { tape.constant(x) } else { tape.var(x) };
    let mut x = x.iter().cloned();
    let x: Vec<V<'_>> = x.next().map(first).into_iter().chain(x.map(|x| tape.var(x))).collect();
    let y = network(&x, &options(&tape, way));
    let loss = y.iter().map(|y| y.square().sum()).reduce(|a, b| a + b).unwrap();
    let of = |found: &autograd::Gradients<f64>, x: V<'_>| found.of(x).unwrap_or_else(|_| Tensor::zeros(x.shape()));
    let found = loss.backward().unwrap();
    let slopes = loss.grad(x.clone());
    let again = slopes.iter().map(|slope| slope.square().sum()).reduce(|a, b| a + b).unwrap().backward().unwrap();
    for (slope, &x) in slopes.iter().zip(&x) {
        slope.value().unwrap().close_to(&of(&found, x), 1e-12, 1e-12).unwrap();
    }
    [
        y.iter().map(|y| y.value().unwrap()).collect(),
        x.iter().map(|&x| of(&found, x)).collect(),
        x.iter().map(|&x| of(&again, x)).collect(),
    ]
}

/// Networks without steps are errors. Without samples all gradients are zero, and without inputs all is as with inputs of
/// which each is zero.
#[test]
fn recurrent_networks_take_sizes_of_zero() {
    let zeroed = |size: [usize; 4], zeros: usize| {
        std::array::from_fn::<usize, 4, _>(|axis| if zeros >> axis & 1 == 1 { 0 } else { size[axis] })
    };
    for size in [[2, 3, 2, 5], [1, 1, 2, 5]].iter().flat_map(|&size| (0..16).map(move |zeros| zeroed(size, zeros))) {
        let [steps, batch, inputs, width] = size;
        let lengths = [None, Some((0..batch).map(|k| 1 + k % steps.max(1)).collect::<Tensor<usize>>())];
        let ways = lengths.into_iter().flat_map(|lengths| [false, true].map(|reverse| (reverse, lengths.clone())));
        for (way, (gates, states, network)) in ways.flat_map(|way| NETWORKS.map(|network| (way.clone(), network))) {
            let x = operands(size, gates, states);
            if steps == 0 {
                let tape = Tape::new();
                let x: Vec<V<'_>> = x.into_iter().map(|x| tape.var(x)).collect();
                let error = network(&x, &options(&tape, &way))[0].value().unwrap_err().to_string();
                assert!(error.contains("must be a sequence of at least one step"), "{error}");
                continue;
            }
            for is_data in [false, true] {
                let [values, first, second] = all_orders(&x, network, &way, is_data);
                assert_eq!(values[0].shape()[..], [steps, batch, width]);
                assert!(values[1..].iter().all(|y| y.shape()[..] == [batch, width]));
                for found in [&first, &second] {
                    assert!(found.iter().zip(&x).all(|(g, x)| g.shape() == x.shape()));
                    assert!(batch > 0 || found.iter().all(|g| g.iter().all(|g| g == 0.0)));
                }
                if inputs == 0 {
                    let mut wide = operands([steps, batch, 1, width], gates, states);
                    wide[2..].clone_from_slice(&x[2..]);
                    (wide[0], wide[1]) = (Tensor::zeros(wide[0].shape()), Tensor::zeros(wide[1].shape()));
                    let [_, g, h] = all_orders(&wide, network, &way, true);
                    for k in 2..x.len() {
                        first[k].close_to(&g[k], 1e-12, 1e-12).unwrap();
                        second[k].close_to(&h[k], 1e-12, 1e-12).unwrap();
                    }
                }
            }
        }
    }
}

/// Numbers of elements that no memory has room for: some fit into a number of bytes, some into a signed one.
const HUGE: [usize; 4] = [1 << 46, usize::MAX / 2, usize::MAX - 1, usize::MAX];

/// Runs all calls; those that panic are named together.
struct Calls(RefCell<Vec<String>>);

impl Calls {
    fn new() -> Self {
        Calls(RefCell::default())
    }

    fn run<R>(&self, name: impl Fn() -> String, call: impl FnOnce() -> R) {
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            self.0.borrow_mut().push(name());
        }
    }

    fn assert_no_panic(self) {
        let panicked = self.0.into_inner();
        assert!(panicked.is_empty(), "{} calls panicked:\n{}", panicked.len(), panicked.join("\n"));
    }
}

/// Tensors without elements and with axes that no memory has room for, made by themselves and as views.
fn empty_and_huge() -> Vec<Tensor<f64>> {
    let mut all = Vec::new();
    for huge in HUGE {
        for shape in [vec![0, huge], vec![huge, 0], vec![3, 0, huge], vec![huge, huge, 0], vec![0, huge, huge, 1]] {
            let ones: Vec<usize> = shape.iter().map(|&size| size.min(1)).collect();
            all.push(Tensor::zeros(shape.clone()));
            all.push(Tensor::zeros(ones).broadcast_to(shape).unwrap());
        }
    }
    all
}

/// What a method makes of an operand, a size and an axis.
type Method = (&'static str, for<'t> fn(V<'t>, usize, isize) -> Vec<V<'t>>);

macro_rules! methods {
    ($(|$x:ident, $n:pat_param, $axis:pat_param| $y:expr;)*) => {
        [$((stringify!($y), |$x, $n, $axis| $y)),*]
    };
}

#[rustfmt::skip]
const SHAPE_METHODS: &[Method] = &methods! {
    |x, n, axis| x.split(n, axis);
    |x, n, axis| x.split_sizes(&[n, n], axis);
    |x, n, axis| x.split_sizes(&[n], axis);
    |x, n, axis| x.chunk(n, axis);
    |x, _, axis| x.unbind(axis);
    |x, n, axis| vec![x.narrow(axis, n, n)];
    |x, n, axis| vec![x.narrow(axis, 0, n)];
    |x, n, axis| vec![x.slice(axis, n..)];
    |x, n, axis| vec![x.slice(axis, ..n)];
    |x, n, axis| vec![x.slice_step(axis, .., n)];
    |x, n, axis| vec![x.slice_step(axis, 1.., n)];
    |x, n, axis| vec![x.slice_step(axis, ..n, 2)];
    |x, n, axis| vec![x.index_axis(axis, n)];
    |x, _, axis| vec![x.flip(axis)];
    |x, _, _| vec![x.flip([0, 1])];
    |x, n, _| vec![x.reshape([n, 0])];
    |x, n, _| vec![x.reshape([0, n, n])];
    |x, n, _| vec![x.reshape([n])];
    |x, _, _| vec![x.flatten()];
    |x, _, _| vec![x.flatten_axes(0, 1)];
    |x, _, axis| vec![x.flatten_axes(0, axis)];
    |x, n, axis| vec![x.unflatten(axis, [n, 1])];
    |x, n, axis| vec![x.unflatten(axis, [n, n])];
    |x, n, _| vec![x.expand([n, 0, n, n])];
    |x, n, _| vec![x.broadcast_to([n, 0])];
    |x, n, _| vec![x.sum_to([n, 0])];
    |x, _, _| vec![x.sum_to([1])];
    |x, n, _| vec![x.tile([n, n])];
    |x, n, _| vec![x.repeat([n, 1, n, 1, n])];
    |x, n, axis| vec![x.repeat_interleave(n, axis)];
    |x, n, axis| vec![x.roll(n as isize, axis)];
    |x, _, axis| vec![x.movedim(axis, 0)];
    |x, _, axis| vec![x.transpose(0, axis), x.swapaxes(axis, 0), x.t()];
    |x, n, _| vec![x.rot90(n as isize, [0, 1])];
    |x, _, axis| vec![x.permute([axis, 0])];
    |x, _, axis| vec![x.unsqueeze(axis), x.squeeze(axis), x.squeeze_all()];
    |x, _, axis| vec![stack(&[x, x], axis)];
    |x, _, axis| vec![cat(&[x, x], axis)];
    |x, _, axis| vec![cat(&[x, x, x, x, x], axis)];
    |x, n, _| vec![x.diagonal(n as isize, 0, 1)];
    |x, n, _| vec![x.diagonal(-(n as i32 as isize), -1, -2)];
    |x, n, _| vec![x.diag_embed(n as isize)];
    |x, n, _| vec![x.tril(n as isize), x.triu(n as isize)];
    |x, n, _| vec![x.pad(&[(n as isize, n as isize)], PadMode::Constant(1.0))];
    |x, n, _| vec![x.pad(&[(0, n as isize)], PadMode::Replicate)];
    |x, n, _| vec![x.pad(&[(n as isize, 0)], PadMode::Circular)];
    |x, n, axis| vec![x.index_select(axis, Tensor::from([n]))];
    |x, n, axis| vec![x.gather(axis, Tensor::full([1, 0], n))];
    |x, n, axis| vec![x.diff(n, axis)];
};

#[rustfmt::skip]
const OTHER_METHODS: &[Method] = &methods! {
    |x, _, axis| vec![x.sum_axes(axis), x.sum_keepdim([0, 1]), x.nansum_axes(axis), x.count_nonzero_axes(axis)];
    |x, _, axis| vec![x.mean_axes(axis), x.mean_keepdim([0, 1]), x.nanmean_axes(axis)];
    |x, _, axis| vec![x.prod_axes(axis), x.prod_keepdim([0, 1])];
    |x, _, axis| vec![x.amax(axis), x.amin_keepdim([0, 1]), x.max_with_index(axis).0];
    |x, n, axis| vec![x.var_axes(axis, n), x.std_axes([0, 1], n), x.var_mean(axis, n).0];
    |x, _, axis| vec![x.logsumexp(axis), x.logsumexp_keepdim([0, 1])];
    |x, n, axis| vec![x.norm_axes(2.0, axis), x.norm_keepdim(n as f64, [0, 1])];
    |x, _, axis| vec![x.softmax(axis), x.log_softmax(axis), x.softmin(axis)];
    |x, _, axis| vec![x.cumsum(axis), x.cumprod(axis), x.logcumsumexp(axis), x.cummax(axis).0, x.cummin(axis).0];
    |x, _, axis| vec![x.sort(axis, SortOrder::Ascending).0, x.median(axis).0];
    |x, n, axis| vec![x.topk(n, axis, SortOrder::Descending).0, x.kthvalue(n, axis).0];
    |x, _, axis| vec![x.trapezoid(1.0, axis), x.cumulative_trapezoid(1.0, axis), x.glu(axis)];
    |x, _, _| vec![x.matmul(x.t()), x.t().matmul(x), x.matmul(x), x.bmm(x.t()), x.t().bmm(x)];
    |x, _, axis| vec![x.tensordot(x, axis, axis), x.outer(x), x.kron(x), x.cross(x, axis), x.linear(x, None)];
    |x, _, _| vec![einsum("ij,kj->ik", &[x, x]), einsum("ij,ik->jk", &[x, x]), einsum("ijk->kji", &[x])];
    |x, n, _| vec![x.layer_norm([n], None, None, 1e-5), x.rms_norm([n], None, 1e-5)];
    |x, n, _| vec![x.group_norm(n, None, None, 1e-5), x.instance_norm(None, None, 1e-5), x.batch_norm(None, None, 1e-5).0];
    |x, n, _| vec![x.max_pool1d(n, MaxPool1dOptions::default()), x.avg_pool1d(n, AvgPool1dOptions::default())];
    |x, n, _| vec![x.max_pool2d([n, 1], MaxPool2dOptions::default()), x.avg_pool2d([1, n], AvgPool2dOptions::default())];
    |x, n, _| vec![x.adaptive_max_pool2d([n, n]), x.adaptive_avg_pool1d(n), x.adaptive_max_pool1d(n)];
    |x, _, _| vec![x.conv1d(x, None, Conv1dOptions::default()), x.conv_transpose1d(x, None, ConvTranspose1dOptions::default())];
    |x, _, _| vec![x.scaled_dot_product_attention(x, x, &AttentionOptions::default())];
    |x, n, axis| vec![x.scatter_add(axis, Tensor::full([0, 1], n), x), x.index_add(axis, Tensor::full([0], n), x)];
    |x, n, _| vec![x.embedding(Tensor::from([n])), x.masked_fill(Tensor::full(x.shape(), true), 1.0)];
    |x, _, _| vec![(x * 2.0 + x).tanh() * x, x.gt(x).select(x, x), x.clamp(x, 1.0)];
};

#[test]
fn empty_tensors_may_have_huge_axes() {
    let calls = Calls::new();
    for x in empty_and_huge() {
        for axis in [0, 1, -1] {
            let widest = x.shape().iter().copied().max().unwrap_or(1);
            // Not so many pieces that they fit, and take long.
            for n in [0, 1, 2, 3].into_iter().chain(HUGE.into_iter().filter(|n| widest / n < 4)) {
                for (name, method) in SHAPE_METHODS.iter().chain(OTHER_METHODS) {
                    calls.run(
                        || format!("{name} of {} with n = {n}, axis = {axis}", x.shape()),
                        || {
                            let tape = Tape::new();
                            let handle = tape.var(x.clone());
                            for y in method(handle, n, axis) {
                                let Ok(value) = y.value() else { continue };
                                drop((value.to_vec(), value.to_string(), value.contiguous()));
                                drop(y.vjp(value).unwrap().of(handle));
                            }
                        },
                    );
                }
                macro_rules! plain {
                    ($($call:expr;)*) => {$(
                        calls.run(|| format!("{} of {} with n = {n}, axis = {axis}", stringify!($call), x.shape()), || {
                            let _ = $call;
                        });
                    )*};
                }
                plain! {
                    x.split(n, axis);
                    x.slice(axis, n..);
                    x.slice(axis, ..n);
                    x.slice_step(axis, .., n).map(|y| y.flip(axis));
                    x.slice_step(axis, 1.., n).map(|y| (y.contiguous(), y.t()));
                    x.index_axis(axis, n).map(|y| y.to_vec());
                    x.flip([0, 1]).map(|y| y.contiguous());
                    x.reshape([n, 0]);
                    x.reshape([n, n]);
                    x.t().and_then(|y| y.reshape([n, 0, n]));
                    x.flatten();
                    x.transpose(0, axis).map(|y| y.flip(0));
                    x.unsqueeze(axis).and_then(|y| y.squeeze(axis));
                    x.broadcast_to([n, 0, n, n]);
                    x.broadcast_to([n, 0]);
                    x.index_select(axis, [n]);
                    (x.get(&[n, n]), x.clone().get_mut(&[n, 0]).copied());
                    x.map(|x| x > 0.0);
                    x.clone().as_mut_slice().len();
                    x.flip(axis).map(|y| y.iter().count());
                    x == x.flip(axis).unwrap();
                    x.permute([1, 0]).and_then(|y| y.add(&x));
                };
            }
        }
    }
    calls.assert_no_panic();
}

/// Small numbers and huge ones, for one argument.
fn small_or_huge(small: [usize; 2]) -> impl Iterator<Item = usize> + Clone {
    small.into_iter().chain([1 << 40, usize::MAX / 2, usize::MAX])
}

/// Calls, and differentiates what comes of it: an error is an answer.
fn differentiate(operands: &[&[usize]], method: impl for<'t> Fn(&[V<'t>]) -> V<'t>) {
    let tape = Tape::new();
    let x: Vec<V<'_>> = operands.iter().map(|&shape| tape.var(Tensor::ones(shape))).collect();
    let y = method(&x);
    let Ok(value) = y.value() else { return };
    if let Ok(found) = y.vjp(value.clone()) {
        x.iter().for_each(|&x| assert_eq!(found.of(x).unwrap().shape(), &x.shape()));
    }
    let _ = y.grad(x, tape.constant(value))[0].square().sum().backward();
}

/// Settings along height or along width, the others as they are.
fn along(axis: usize, size: usize, other: usize) -> [usize; 2] {
    [[size, other], [other, size]][axis]
}

#[test]
fn windows_of_huge_sizes_are_errors_or_right() {
    let calls = Calls::new();
    for axis in [0, 1] {
        for (stride, dilation) in small_or_huge([1, 2]).flat_map(|n| small_or_huge([1, 2]).map(move |m| (n, m))) {
            for (pad, kernel) in small_or_huge([0, 3]).flat_map(|n| [1, 2, 3].map(|kernel| (n, kernel))) {
                convolve(&calls, axis, [stride, dilation, pad, kernel]);
                pool(&calls, axis, [stride, dilation, pad, kernel]);
            }
        }
    }
    calls.assert_no_panic();
}

fn convolve(calls: &Calls, axis: usize, [stride, dilation, pad, kernel]: [usize; 4]) {
    let padding = if pad == 3 { Padding::Same } else { Padding::from(along(axis, pad, 0)) };
    for (channels, groups) in [(1, 1), (2, 2), (3, 1), (0, 1), (0, usize::MAX)] {
        let [height, width] = along(axis, kernel, 1);
        let x: [&[usize]; 2] = [&[2, channels, 3, 2], &[channels, channels / groups + channels / 3, height, width]];
        let (stride_of, dilation) = (along(axis, stride, 1), along(axis, dilation, 1));
        let options = Conv2dOptions { stride: stride_of, padding, dilation, groups };
        calls.run(
            || format!("conv2d {options:?} of {x:?}"),
            || {
                differentiate(&x, |x| x[0].conv2d(x[1], None, options));
            },
        );
        for extra in [0, 1, stride / 2, stride - 1] {
            let options = ConvTranspose2dOptions {
                stride: stride_of,
                padding: along(axis, pad, 0),
                output_padding: along(axis, extra, 0),
                dilation,
                groups,
            };
            calls.run(
                || format!("conv_transpose2d {options:?} of {x:?}"),
                || {
                    differentiate(&x, |x| x[0].conv_transpose2d(x[1], None, options));
                },
            );
        }
    }
}

fn pool(calls: &Calls, axis: usize, [stride, dilation, pad, kernel]: [usize; 4]) {
    let x: [&[usize]; 1] = [&[2, 3, 2]];
    for (window, ceil_mode) in small_or_huge([kernel, 2]).flat_map(|n| [(n, false), (n, true)]) {
        let (size, stride) = (along(axis, window, 1), [Some(along(axis, stride, 1)), None][kernel % 2]);
        let (padding, dilation) = (along(axis, pad, 0), along(axis, dilation, 1));
        let max = MaxPool2dOptions { stride, padding, dilation, ceil_mode };
        calls.run(|| format!("max_pool2d {size:?} {max:?}"), || differentiate(&x, |x| x[0].max_pool2d(size, max)));
        let mean = AvgPool2dOptions { stride, padding, ceil_mode, ..Default::default() };
        let inside = AvgPool2dOptions { count_include_pad: false, ..mean };
        for mean in [mean, inside, AvgPool2dOptions { divisor_override: Some(window), ..mean }] {
            calls
                .run(|| format!("avg_pool2d {size:?} {mean:?}"), || differentiate(&x, |x| x[0].avg_pool2d(size, mean)));
        }
        let norm = LpPool2dOptions { stride, ceil_mode };
        calls.run(
            || format!("lp_pool2d {size:?} {norm:?}"),
            || {
                differentiate(&x, |x| x[0].lp_pool2d(2.0, size, norm));
            },
        );
    }
}

/// Ordinary tensors, and a size or a number that is huge.
#[test]
fn huge_arguments_are_errors() {
    let calls = Calls::new();
    let shapes: [&[usize]; 6] = [&[2, 3], &[3, 3], &[2, 3, 4], &[1, 4, 2, 2], &[1, 1], &[2, 1, 3]];
    for (shape, axis) in shapes.iter().flat_map(|shape| [0, 1, -1].map(|axis| (shape, axis))) {
        for n in HUGE {
            for (name, method) in SHAPE_METHODS.iter().chain(OTHER_METHODS).chain(SIZE_METHODS) {
                calls.run(
                    || format!("{name} of {shape:?} with n = {n}, axis = {axis}"),
                    || {
                        let tape = Tape::new();
                        let x = tape.var(Tensor::ones(*shape));
                        for y in method(x, n, axis) {
                            let Ok(value) = y.value() else { continue };
                            drop((value.to_vec(), y.vjp(value).map(|found| found.of(x))));
                        }
                    },
                );
            }
        }
    }
    calls.assert_no_panic();
}

#[rustfmt::skip]
const SIZE_METHODS: &[Method] = &methods! {
    |x, n, _| vec![x.broadcast_to([n, 1, 1, 1, 1]), x.expand([1, n, 2, 3])];
    |x, n, _| vec![x.sum_axes(n as isize), x.softmax(n as isize), x.unsqueeze(n as isize), x.transpose(n as isize, 0)];
    |x, n, _| vec![x.pad(&[(-(n as isize).max(0), n as isize)], PadMode::Constant(0.0))];
    |x, n, _| vec![x.pad(&[(n as isize, -(n as isize).max(0))], PadMode::Reflect)];
    |x, n, _| vec![x.max_unpool2d(Tensor::zeros(x.shape()), [n, n]), x.max_unpool2d(Tensor::full(x.shape(), n), [2, n])];
    |x, n, _| vec![x.max_unpool2d(Tensor::full(x.shape(), n), [1, 1]), x.adaptive_avg_pool2d([n, 1]), x.adaptive_avg_pool2d([2, n])];
    |x, n, _| vec![x.conv2d(x, None, Conv2dOptions { groups: n, ..Default::default() })];
    |x, n, _| vec![x.conv_transpose2d(x, None, ConvTranspose2dOptions { groups: n, ..Default::default() })];
    |x, n, _| vec![x.embedding_padded(Tensor::from([0]), n), x.embedding(Tensor::zeros([n, 0]))];
    |x, n, axis| vec![x.scatter(axis, Tensor::full(x.shape(), n), x), x.take_along_dim(Tensor::full([1, 1], n), axis)];
    |x, n, _| vec![x.softmax_cross_entropy(Tensor::full([2], n), &CrossEntropy::default())];
    |x, n, _| vec![x.nll(Tensor::full([2], n), &CrossEntropy::default())];
    |x, n, _| vec![(x + 1.0).mvlgamma(n as u32), x.polygamma(n as u32), x.powi(n as i32)];
    |x, n, _| vec![x.tensordot(x, n as isize, n as isize), x.rot90(n as isize, [n as isize, 0]), x.movedim(n as isize, 0)];
    |x, n, _| vec![x.lstm(&recurrent(x), None, &RecurrentOptions { lengths: Some(x.tape().indices(Tensor::full([3], n))), reverse: true }).0];
};

fn recurrent<'t>(x: V<'t>) -> RecurrentWeights<'t, f64> {
    let ones = |shape: [usize; 2]| x.tape().constant(Tensor::ones(shape));
    RecurrentWeights { input: ones([8, 4]), hidden: ones([8, 2]), bias: None }
}

/// Checks that something is refused for want of memory, by an error or by a panic.
fn refused<R>(name: &str, n: usize, make: impl FnOnce(usize) -> Result<R, Error>) {
    let text = match catch_unwind(AssertUnwindSafe(|| make(n))) {
        Ok(made) => made.err().map(|error| error.to_string()),
        Err(panic) => panic.downcast_ref::<String>().cloned(),
    };
    assert!(text.as_ref().is_some_and(|text| text.contains("memory has no room")), "{name} {n}: {text:?}");
}

#[test]
fn layers_of_huge_sizes_are_refused() {
    macro_rules! all {
        ($(|$n:ident, $rng:ident| $make:expr;)*) => {$(
            for n in HUGE {
                let mut rng = StdRng::seed_from_u64(0);
                refused(stringify!($make), n, |$n| {
                    let $rng = &mut rng;
                    Ok(drop($make))
                });
            }
        )*};
    }
    type T = Tensor<f32>;
    all! {
        |n, rng| { let x: T = init::uniform([n, 2], 0.0, 1.0, rng); x };
        |n, rng| { let x: T = init::normal([n], 0.0, 1.0, rng); x };
        |n, rng| { let x: T = init::xavier_uniform([n, n], 1.0, rng); x };
        |n, rng| { let x: T = init::xavier_normal([2, n, n], 1.0, rng); x };
        |n, rng| { let x: T = init::lecun_uniform([2, n, 3], rng); x };
        |n, rng| { let x: T = init::lecun_normal([n, 2], rng); x };
        |n, rng| { let x: T = init::orthogonal([n, 2], 1.0, rng); x };
        |n, rng| { let x: T = init::orthogonal([2, n, n], 1.0, rng); x };
        |n, rng| Linear::<f32>::new(n, 2, rng);
        |n, rng| Linear::<f32>::new(2, n, rng);
        |n, rng| Embedding::<f32>::new(n, 2, rng);
        |n, rng| Embedding::<f32>::new(n, n, rng);
        |n, rng| Conv2d::<f32>::new(n, 2, [1, 1], rng);
        |n, rng| Conv2d::<f32>::new(2, n, [1, 1], rng);
        |n, rng| Conv2d::<f32>::new(2, 2, [n, n], rng);
        |n, rng| ConvTranspose2d::<f32>::new(n, n, [1, 1], rng);
        |n, _rng| BatchNorm1d::<f32>::new(n);
        |n, _rng| LayerNorm::<f32>::new([n, n]);
        |n, _rng| GroupNorm::<f32>::new(n, n);
        |n, rng| MultiheadAttention::<f32>::new(n, 1, rng);
        |n, rng| LearnedPositions::<f32>::new(n, 2, rng);
        |n, rng| Lstm::<f32>::new(n, 2, rng);
        |n, rng| Lstm::<f32>::new(2, n, rng);
        |n, rng| Gru::<f32>::new(2, n, rng);
        |n, rng| Rnn::<f32>::new(2, n, rng);
        |n, rng| LstmCell::<f32>::new(2, n, rng);
        |n, rng| GruCell::<f32>::new(n, n, rng);
    }
}

/// What returns a tensor and no error panics, as `Vec` does, and says why; it does not end the program.
#[test]
fn plain_tensors_of_huge_sizes_are_refused() {
    let index = Tensor::from([0, 1]);
    for n in HUGE {
        let rng = || StdRng::seed_from_u64(0);
        refused("zeros", n, |n| Ok(Tensor::<f64>::zeros(n)));
        refused("full", n, |n| Ok(Tensor::full([n, 2], 1.0)));
        refused("from_fn", n, |n| Ok(Tensor::from_fn([2, n], |_| 1.0)));
        refused("eye", n, |n| Ok(Tensor::<f64>::eye(n)));
        refused("linspace", n, |n| Ok(Tensor::linspace(0.0, 1.0, n)));
        refused("uniform", n, |n| Ok(Tensor::uniform([n], 0.0, 1.0, &mut rng())));
        refused("normal", n, |n| Ok(Tensor::normal([n], 0.0, 1.0, &mut rng())));
        refused("one_hot", n, |n| Tensor::<f64>::one_hot(&index, n));
        refused("broadcast_to", n, |n| Tensor::scalar(1.0).broadcast_to([n]));
    }
    refused("arange", 0, |_| Tensor::arange(0.0, 2.0_f64.powi(46), 1.0));
    let product = |n| Tensor::<f64>::zeros([0, 1]).broadcast_to([0, n]).and_then(|x| x.t()?.matmul(&x));
    refused("matmul", 1 << 46, product);
    let batches = || Batches::in_order(5, usize::MAX);
    assert_eq!((batches().count(), batches().whole().count()), (1, 0));
}
