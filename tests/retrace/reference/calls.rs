//! Which of our methods an op of the file is, with PyTorch's names and defaults of parameters.

use autograd::{
    AttentionOptions, AvgPool2dOptions, Axes, Conv2dOptions, CrossEntropy, Error, Indices, MaxPool2dOptions, PadMode,
    Padding, Param, RecurrentOptions, RecurrentWeights, Reduction, RnnActivation, Scalar, Shape, SortOrder, Tape,
    Tensor, Var, cat, einsum, stack, table,
};
use nn::Bilinear;
use nn::loss::{self, BinaryCrossEntropy};
use serde_json::Value;

use super::case::{Case, number};

type V<'t> = Var<'t, f64>;

/// A case with its inputs on a tape.
pub struct Call<'c, 't> {
    case: &'c Case,
    tape: &'t Tape<f64>,
    x: &'c [Option<V<'t>>],
}

impl<'c, 't> Call<'c, 't> {
    pub fn new(case: &'c Case, tape: &'t Tape<f64>, x: &'c [Option<V<'t>>]) -> Self {
        Self { case, tape, x }
    }

    /// Input `i`; masks and indices become constants.
    fn x(&self, i: usize) -> V<'t> {
        self.x[i].unwrap_or_else(|| self.tape.constant(self.case.inputs[i].tensor()))
    }

    fn named(&self, name: &str) -> Option<V<'t>> {
        let i = self.case.inputs.iter().position(|input| input.name.as_deref() == Some(name))?;
        Some(self.x(i))
    }

    fn indices(&self, i: usize) -> Tensor<usize> {
        // PyTorch's −100 is a class that nothing has.
        self.case.inputs[i].tensor().map(|x| if x < 0.0 { usize::MAX } else { x as usize })
    }

    fn param(&self, name: &str) -> Option<&Value> {
        self.case.params.get(name)
    }

    fn number(&self, name: &str, default: f64) -> f64 {
        self.param(name).map_or(default, number)
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.param(name).and_then(Value::as_i64).unwrap_or(default)
    }

    fn size(&self, name: &str, default: usize) -> usize {
        self.int(name, default as i64) as usize
    }

    fn axis(&self, name: &str) -> isize {
        self.int(name, 0) as isize
    }

    fn text(&self, name: &str) -> &str {
        self.param(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self.param(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A list, or a single number as a list of one.
    fn list(&self, name: &str) -> Option<Vec<isize>> {
        let json = self.param(name)?;
        let ints = |json: &Value| json.as_i64().map(|n| n as isize);
        Some(
            json.as_array()
                .map_or_else(|| ints(json).into_iter().collect(), |all| all.iter().filter_map(ints).collect()),
        )
    }

    fn sizes(&self, name: &str) -> Vec<usize> {
        self.list(name).unwrap_or_default().into_iter().map(|size| size as usize).collect()
    }

    /// The axes of a reduction, all if none are named.
    fn over(&self, x: V<'t>) -> Axes {
        self.axes("dim").unwrap_or_else(|| (0..x.rank() as isize).collect())
    }

    fn order(&self, descending: bool) -> SortOrder {
        if descending { SortOrder::Descending } else { SortOrder::Ascending }
    }

    /// A result that has no derivative.
    fn plain(&self, index: Indices<'t, f64>) -> V<'t> {
        match index.value() {
            Ok(index) => self.tape.constant(index.map(|i| i as f64)),
            Err(error) => self.tape.constant(0.0).fail(error.op, error.kind),
        }
    }

    fn axes(&self, name: &str) -> Option<Axes> {
        Some(self.list(name)?.into_iter().collect())
    }

    /// One number for both axes of an image, or two.
    fn pair(&self, name: &str, default: usize) -> [usize; 2] {
        match self.list(name).as_deref() {
            Some(&[both]) => [both as usize; 2],
            Some(&[rows, columns]) => [rows as usize, columns as usize],
            _ => [default; 2],
        }
    }

    /// A shape with at most one size −1, which is inferred from the number of elements.
    fn shape(&self, name: &str) -> Shape {
        let sizes = self.list(name).unwrap_or_default();
        let known: isize = sizes.iter().filter(|&&size| size >= 0).product();
        let inferred = self.x(0).shape().len() as isize / known.max(1);
        sizes.into_iter().map(|size| if size < 0 { inferred as usize } else { size as usize }).collect()
    }

    /// PyTorch lists the pairs from the last axis on; ours follow the axes.
    fn pad(&self) -> V<'t> {
        let counts: Vec<(isize, isize)> =
            self.list("pad").unwrap_or_default().chunks_exact(2).rev().map(|pair| (pair[0], pair[1])).collect();
        let mode = match self.text("mode") {
            "reflect" => PadMode::Reflect,
            "replicate" => PadMode::Replicate,
            "circular" => PadMode::Circular,
            _ => PadMode::Constant(self.number("value", 0.0)),
        };
        self.x(0).pad(&counts, mode)
    }

    fn max_pool2d(&self) -> V<'t> {
        let options = MaxPool2dOptions {
            stride: self.param("stride").map(|_| self.pair("stride", 1)),
            padding: self.pair("padding", 0),
            dilation: self.pair("dilation", 1),
            ceil_mode: self.flag("ceil_mode"),
        };
        self.x(0).max_pool2d(self.pair("kernel_size", 1), options)
    }

    fn avg_pool2d(&self) -> V<'t> {
        let options = AvgPool2dOptions {
            stride: self.param("stride").map(|_| self.pair("stride", 1)),
            padding: self.pair("padding", 0),
            ceil_mode: self.flag("ceil_mode"),
            count_include_pad: self.param("count_include_pad").and_then(Value::as_bool).unwrap_or(true),
            divisor_override: self.param("divisor_override").map(|_| self.size("divisor_override", 1)),
        };
        self.x(0).avg_pool2d(self.pair("kernel_size", 1), options)
    }

    /// The output, and the running statistics after it.
    fn batch_norm(&self) -> Result<Vec<V<'t>>, Error> {
        let (x, eps) = (self.x(0), self.number("eps", 1e-5));
        let [weight, bias] = ["weight", "bias"].map(|name| self.named(name));
        let [mean, variance] = [1, 2].map(|i| self.tape.constant(self.case.inputs[i].tensor()));
        if !self.flag("training") {
            return Ok(vec![x.batch_norm_eval(mean, variance, weight, bias, eps), mean, variance]);
        }
        let (y, found) = x.batch_norm(weight, bias, eps);
        let (rate, n) = (self.number("momentum", 0.1), found.count as f64);
        let [new_mean, new_variance] = [found.mean, found.variance];
        let towards = |old: V<'t>, new: V<'t>| old * (1.0 - rate) + new * rate;
        Ok(vec![y, towards(mean, new_mean), towards(variance, new_variance * (n / (n - 1.0)))])
    }

    /// The mean, the sum, or neither, of what a loss gives for each sample.
    fn reduced_loss(&self, mean: Scalar<'t, f64>, each: V<'t>) -> V<'t> {
        match (self.text("reduction"), self.named("weight")) {
            ("none", _) => each,
            ("sum", _) => rank_0(self.tape, each.sum()),
            (_, Some(weight)) => rank_0(self.tape, loss::weighted_mean(each, weight)),
            _ => rank_0(self.tape, mean),
        }
    }

    fn reduction(&self) -> Reduction {
        match self.text("reduction") {
            "none" => Reduction::None,
            "sum" => Reduction::Sum,
            _ => Reduction::Mean,
        }
    }

    /// A named input as data.
    fn data(&self, name: &str) -> Option<Tensor<f64>> {
        self.named(name).and_then(|x| x.value().ok())
    }

    fn binary_cross_entropy(&self) -> BinaryCrossEntropy<f64> {
        BinaryCrossEntropy {
            weight: self.data("weight"),
            yes_weight: self.data("pos_weight"),
            reduction: self.reduction(),
        }
    }

    fn cross_entropy(&self) -> CrossEntropy<f64> {
        CrossEntropy {
            weight: self.data("weight"),
            ignore_index: self
                .param("ignore_index")
                .map(|_| usize::try_from(self.int("ignore_index", 0)).unwrap_or(usize::MAX)),
            label_smoothing: self.number("label_smoothing", 0.0),
            reduction: self.reduction(),
        }
    }

    fn conv2d(&self) -> V<'t> {
        let padding = match self.text("padding") {
            "same" => Padding::Same,
            _ => Padding::Size(self.pair("padding", 0)),
        };
        let options = Conv2dOptions {
            stride: self.pair("stride", 1),
            padding,
            dilation: self.pair("dilation", 1),
            groups: self.size("groups", 1),
        };
        self.x(0).conv2d(self.x(1), self.named("bias"), options)
    }

    fn bilinear(&self) -> V<'t> {
        let handles: Vec<_> = ["weight", "bias"].into_iter().filter_map(|name| self.named(name)).collect();
        let param = |x: &V<'t>| Param::new(Tensor::zeros(x.shape()));
        let layer = Bilinear { weight: param(&handles[0]), bias: handles.get(1).map(param) };
        self.tape.with_params(&layer, &handles, || layer.forward(self.x(0), self.x(1)))
    }

    fn recurrent(&self) -> (RecurrentWeights<'t, f64>, RecurrentOptions<'t, f64>) {
        let bias = self.named("bias_ih").zip(self.named("bias_hh")).map(|(ih, hh)| [ih, hh]);
        let lengths = self.param("lengths").map(|_| self.x(0).tape().indices(self.sizes("lengths").to_vec()));
        let options = RecurrentOptions { reverse: self.flag("reverse"), lengths };
        (RecurrentWeights { input: self.x(1), hidden: self.x(2), bias }, options)
    }

    fn rnn(&self, activation: RnnActivation) -> Vec<V<'t>> {
        let (weights, options) = self.recurrent();
        <[_; 2]>::from(self.x(0).rnn(&weights, Some(self.x(3)), activation, &options)).to_vec()
    }
}

/// A scalar as a tensor of rank 0.
fn rank_0<'t>(tape: &'t Tape<f64>, scalar: Scalar<'t, f64>) -> V<'t> {
    tape.from_scalars(&[scalar]).reshape(())
}

/// A reduction over everything, over axes, or over axes that stay.
fn reduced<'t>(
    call: &Call<'_, 't>,
    x: V<'t>,
    all: impl Fn(V<'t>) -> Scalar<'t, f64>,
    axes: impl Fn(V<'t>, Axes) -> V<'t>,
    keepdim: impl Fn(V<'t>, Axes) -> V<'t>,
) -> V<'t> {
    match (call.axes("dim"), call.flag("keepdim")) {
        (None, _) => rank_0(call.tape, all(x)),
        (Some(over), false) => axes(x, over),
        (Some(over), true) => keepdim(x, over),
    }
}

/// A maximum or minimum of everything, or along an axis with where it is.
fn extreme<'t>(
    call: &Call<'_, 't>,
    x: V<'t>,
    all: fn(V<'t>) -> Scalar<'t, f64>,
    along: fn(V<'t>, isize) -> (V<'t>, Indices<'t, f64>),
) -> Vec<V<'t>> {
    if call.param("dim").is_none() {
        return vec![rank_0(call.tape, all(x))];
    }
    let axis = call.axis("dim");
    let (found, index) = along(x, axis);
    let both = [found, call.plain(index)];
    both.map(|y| if call.flag("keepdim") { y.unsqueeze(axis) } else { y }).to_vec()
}

fn argument<'t>(call: &Call<'_, 't>, x: V<'t>, along: fn(V<'t>, isize) -> Indices<'t, f64>) -> V<'t> {
    if call.param("dim").is_none() {
        return call.plain(along(x.flatten(), 0));
    }
    let found = call.plain(along(x, call.axis("dim")));
    if call.flag("keepdim") { found.unsqueeze(call.axis("dim")) } else { found }
}

/// Operations of the table that PyTorch has under another name, or not at all.
const OTHERS: &[&str] = &["clamp_max", "clamp_min", "gelu_tanh", "masked_mul", "power"];

/// The ops that are called: those below, and all elementwise ones.
pub fn names() -> impl Iterator<Item = &'static str> {
    let elementwise = table::names(1).chain(table::names(2)).filter(|name| !OTHERS.contains(name));
    CALLS.iter().copied().chain(elementwise)
}

macro_rules! calls {
    ($($name:literal => |$call:ident, $x:ident| $outputs:expr,)*) => {
        /// The ops that have a call of their own.
        const CALLS: &[&str] = &[$($name,)*];

        /// The outputs of a case.
        pub fn call<'t>(call: &Call<'_, 't>) -> Result<Vec<V<'t>>, Error> {
            let x = (0..call.case.inputs.len()).map(|i| call.x(i)).collect::<Vec<_>>();
            match &*call.case.op {
                $($name => {
                    let ($call, $x) = (call, &x[..]);
                    Ok($outputs)
                })*
                op => Ok(vec![table::call(op, &x).unwrap_or_else(|| panic!("{op} is in no table"))]),
            }
        }
    };
}

calls! {
    "matmul" => |_c, x| vec![x[0].matmul(x[1])],
    "mv" => |_c, x| vec![x[0].mv(x[1])],
    "bmm" => |_c, x| vec![x[0].bmm(x[1])],
    "outer" => |_c, x| vec![x[0].outer(x[1])],
    "eq" => |_c, x| vec![x[0].eq(x[1]).to_float()],
    "ne" => |_c, x| vec![x[0].ne(x[1]).to_float()],
    "gt" => |_c, x| vec![x[0].gt(x[1]).to_float()],
    "ge" => |_c, x| vec![x[0].ge(x[1]).to_float()],
    "lt" => |_c, x| vec![x[0].lt(x[1]).to_float()],
    "le" => |_c, x| vec![x[0].le(x[1]).to_float()],
    "polygamma" => |c, x| vec![x[0].polygamma(c.int("n", 0) as u32)],
    "logit" => |c, x| vec![c.param("eps").map_or_else(|| x[0].logit(), |eps| x[0].logit_clamped(number(eps)))],
    "nan_to_num" => |c, x| vec![match c.param("nan") {
        Some(nan) => x[0].nan_to_num_with(number(nan), c.number("posinf", 0.0), c.number("neginf", 0.0)),
        None => x[0].nan_to_num(),
    }],
    "powf" => |c, x| vec![x[0].pow(c.number("exponent", 1.0))],
    "powi" => |c, x| vec![x[0].powi(c.int("exponent", 1) as i32)],
    "clamp" => |c, x| vec![{
        let low = c.param("min").map(|bound| x[0].clamp_min(number(bound)));
        let low = low.or(c.named("min").map(|bound| x[0].clamp_min(bound))).unwrap_or(x[0]);
        let high = c.param("max").map(|bound| low.clamp_max(number(bound)));
        high.or(c.named("max").map(|bound| low.clamp_max(bound))).unwrap_or(low)
    }],
    "celu" => |c, x| vec![x[0].celu(c.number("alpha", 1.0))],
    "elu" => |c, x| vec![x[0].elu(c.number("alpha", 1.0))],
    "gelu" => |c, x| vec![if c.text("approximate") == "tanh" { x[0].gelu_tanh() } else { x[0].gelu() }],
    "hardshrink" => |c, x| vec![x[0].hardshrink(c.number("lambd", 0.5))],
    "softshrink" => |c, x| vec![x[0].softshrink(c.number("lambd", 0.5))],
    "hardtanh" => |c, x| vec![match c.param("min_val") {
        Some(low) => x[0].clamp(number(low), c.number("max_val", 1.0)),
        None => x[0].hardtanh(),
    }],
    "lerp" => |c, x| vec![match c.param("weight") {
        Some(weight) => x[0].lerp(x[1], number(weight)),
        None => x[0].lerp(x[1], x[2]),
    }],
    "addcmul" => |c, x| vec![x[0].addcmul(x[1], x[2], c.number("value", 1.0))],
    "addcdiv" => |c, x| vec![x[0].addcdiv(x[1], x[2], c.number("value", 1.0))],
    "ldexp" => |_c, x| vec![x[0].ldexp(x[1])],
    "mvlgamma" => |c, x| vec![x[0].mvlgamma(c.int("p", 1) as u32)],
    "glu" => |c, x| vec![x[0].glu(c.axis("dim"))],
    // In evaluation, as the file has it.
    "rrelu" => |_c, x| vec![x[0].leaky_relu((1.0 / 8.0 + 1.0 / 3.0) / 2.0)],
    "leaky_relu" => |c, x| vec![x[0].leaky_relu(c.number("negative_slope", 0.01))],
    "softplus" => |c, x| vec![x[0].softplus(c.number("beta", 1.0))],
    "threshold" => |c, x| vec![{
        let bound = c.number("threshold", 0.0);
        x[0].threshold(bound) + x[0].le(bound).to_float() * c.number("value", 0.0)
    }],
    "add" => |c, x| vec![x[0] + x[1] * c.number("alpha", 1.0)],
    "sub" => |c, x| vec![x[0] - x[1] * c.number("alpha", 1.0)],
    "mul" => |_c, x| vec![x[0] * x[1]],
    "div" => |c, x| vec![match c.text("rounding_mode") {
        "floor" => (x[0] / x[1]).floor(),
        "trunc" => (x[0] / x[1]).trunc(),
        _ => x[0] / x[1],
    }],
    "where" => |_c, x| vec![x[0].ne(0.0).select(x[1], x[2])],
    "masked_fill" => |c, x| vec![x[0].masked_fill(c.case.inputs[1].tensor().map(|x| x != 0.0), c.number("value", 0.0))],
    "prelu" => |_c, x| vec![x[0].prelu(if x[0].rank() > 2 { x[1].unsqueeze(-1) } else { x[1] })],
    "sum" => |c, x| vec![reduced(c, x[0], V::sum, V::sum_axes, V::sum_keepdim)],
    "mean" => |c, x| vec![reduced(c, x[0], V::mean, V::mean_axes, V::mean_keepdim)],
    "prod" => |c, x| vec![reduced(c, x[0], V::prod, V::prod_axes, V::prod_keepdim)],
    "amax" => |c, x| vec![if c.flag("keepdim") { x[0].amax_keepdim(c.over(x[0])) } else { x[0].amax(c.over(x[0])) }],
    "amin" => |c, x| vec![if c.flag("keepdim") { x[0].amin_keepdim(c.over(x[0])) } else { x[0].amin(c.over(x[0])) }],
    "max" => |c, x| extreme(c, x[0], V::max, V::max_with_index),
    "min" => |c, x| extreme(c, x[0], V::min, V::min_with_index),
    "argmax" => |c, x| vec![argument(c, x[0], V::argmax)],
    "argmin" => |c, x| vec![argument(c, x[0], V::argmin)],
    "var" => |c, x| vec![{
        let n = c.size("correction", 1);
        reduced(c, x[0], |x| x.var(n), |x, axes| x.var_axes(axes, n), |x, axes| x.var_keepdim(axes, n))
    }],
    "std" => |c, x| vec![{
        let n = c.size("correction", 1);
        reduced(c, x[0], |x| x.std(n), |x, axes| x.std_axes(axes, n), |x, axes| x.std_keepdim(axes, n))
    }],
    "var_mean" => |c, x| <[V<'_>; 2]>::from(x[0].var_mean(c.over(x[0]), c.size("correction", 1))).to_vec(),
    "logsumexp" => |c, x| vec![match c.flag("keepdim") {
        true => x[0].logsumexp_keepdim(c.over(x[0])),
        false => x[0].logsumexp(c.over(x[0])),
    }],
    "norm" => |c, x| vec![{
        let p = c.number("p", 2.0);
        reduced(c, x[0], |x| x.norm(p), |x, axes| x.norm_axes(p, axes), |x, axes| x.norm_keepdim(p, axes))
    }],
    "softmax" => |c, x| vec![x[0].softmax(c.axis("dim"))],
    "softmin" => |c, x| vec![x[0].softmin(c.axis("dim"))],
    "log_softmax" => |c, x| vec![x[0].log_softmax(c.axis("dim"))],
    "cumsum" => |c, x| vec![x[0].cumsum(c.axis("dim"))],
    "sort" => |c, x| {
        let (sorted, index) = x[0].sort(c.axis("dim"), c.order(c.flag("descending")));
        vec![sorted, c.plain(index)]
    },
    "topk" => |c, x| {
        let largest = c.param("largest").and_then(Value::as_bool).unwrap_or(true);
        let (found, index) = x[0].topk(c.size("k", 1), c.int("dim", -1) as isize, c.order(largest));
        vec![found, c.plain(index)]
    },
    "einsum" => |c, x| vec![einsum(c.text("equation"), x)],
    "max_pool2d" => |c, _x| vec![c.max_pool2d()],
    "avg_pool2d" => |c, _x| vec![c.avg_pool2d()],
    "layer_norm" => |c, x| vec![{
        let [weight, bias] = ["weight", "bias"].map(|name| c.named(name));
        x[0].layer_norm(c.shape("normalized_shape"), weight, bias, c.number("eps", 1e-5))
    }],
    "rms_norm" => |c, x| vec![
        x[0].rms_norm(c.shape("normalized_shape"), c.named("weight"), c.number("eps", f64::EPSILON))
    ],
    "group_norm" => |c, x| vec![
        x[0].group_norm(c.size("num_groups", 1), c.named("weight"), c.named("bias"), c.number("eps", 1e-5))
    ],
    "instance_norm" => |c, x| vec![x[0].instance_norm(c.named("weight"), c.named("bias"), c.number("eps", 1e-5))],
    "scaled_dot_product_attention" => |c, x| vec![{
        let mask = c.named("mask").map(|mask| mask.ne(0.0));
        let scale = c.param("scale").map(number);
        let options = AttentionOptions { bias: c.named("bias"), mask, causal: c.flag("is_causal"), scale, ..Default::default() };
        x[0].scaled_dot_product_attention(x[1], x[2], &options)
    }],
    "batch_norm" => |c, _x| c.batch_norm()?,
    "mse" => |c, x| vec![c.reduced_loss(loss::mse(x[0], x[1]), loss::mse_each(x[0], x[1]))],
    "l1" => |c, x| vec![c.reduced_loss(loss::l1(x[0], x[1]), loss::l1_each(x[0], x[1]))],
    "huber" => |c, x| vec![{
        let delta = c.number("delta", 1.0);
        let each = loss::huber_each(x[0], x[1], delta);
        match c.named("weight") {
            // Not over the weights, unlike the means of mse and l1.
            Some(weight) => rank_0(c.tape, (each * weight).mean()),
            None => c.reduced_loss(loss::huber(x[0], x[1], delta), each),
        }
    }],
    "smooth_l1" => |c, x| vec![{
        let beta = c.number("beta", 1.0);
        c.reduced_loss(loss::smooth_l1(x[0], x[1], beta), loss::smooth_l1_each(x[0], x[1], beta))
    }],
    "kl_div" => |c, x| vec![c.reduced_loss(loss::kl_div(x[0], x[1]), loss::kl_div_each(x[0], x[1]))],
    "bce" => |c, x| vec![loss::bce_with(x[0], x[1], &c.binary_cross_entropy())],
    "bce_with_logits" => |c, x| vec![loss::bce_with_logits_with(x[0], x[1], &c.binary_cross_entropy())],
    "nll" => |c, x| vec![loss::nll_with(x[0], c.indices(1), &c.cross_entropy())],
    "cross_entropy" => |c, x| vec![match c.case.inputs[1].is_float() {
        true => loss::cross_entropy_with(x[0], x[1], &c.cross_entropy()),
        false => loss::cross_entropy_with(x[0], c.indices(1), &c.cross_entropy()),
    }],
    "reshape" => |c, x| vec![x[0].reshape(c.shape("shape"))],
    "flatten" => |c, x| vec![x[0].flatten_axes(c.axis("start_dim"), c.int("end_dim", -1) as isize)],
    "permute" => |c, x| vec![x[0].permute(&c.list("dims").unwrap_or_default()[..])],
    "transpose" => |c, x| vec![x[0].transpose(c.axis("dim0"), c.axis("dim1"))],
    "unsqueeze" => |c, x| vec![x[0].unsqueeze(c.axis("dim"))],
    "squeeze" => |c, x| vec![if c.param("dim").is_some() { x[0].squeeze(c.axis("dim")) } else { x[0].squeeze_all() }],
    "broadcast_to" => |c, x| vec![x[0].broadcast_to(c.shape("size"))],
    "cat" => |c, x| vec![cat(x, c.axis("dim"))],
    "stack" => |c, x| vec![stack(x, c.axis("dim"))],
    "split" => |c, x| match c.param("split_size_or_sections").and_then(Value::as_u64) {
        Some(size) => x[0].split(size as usize, c.axis("dim")),
        None => x[0].split_sizes(&c.sizes("split_size_or_sections"), c.axis("dim")),
    },
    "chunk" => |c, x| x[0].chunk(c.size("chunks", 1), c.axis("dim")),
    "narrow" => |c, x| vec![x[0].narrow(c.axis("dim"), c.size("start", 0), c.size("length", 0))],
    "slice" => |c, x| vec![x[0].slice_step(c.axis("dim"), c.size("start", 0)..c.size("end", 0), c.size("step", 1))],
    "flip" => |c, x| vec![x[0].flip(&c.list("dims").unwrap_or_default()[..])],
    "pad" => |c, _x| vec![c.pad()],
    "gather" => |c, x| vec![x[0].gather(c.axis("dim"), c.indices(1))],
    "scatter_add" => |c, x| vec![x[0].scatter_add(c.axis("dim"), c.indices(1), x[2])],
    "index_select" => |c, x| vec![x[0].index_select(c.axis("dim"), c.indices(1))],
    "index_copy" => |c, x| vec![x[0].index_copy(c.axis("dim"), c.indices(1), x[2])],
    "embedding" => |c, x| vec![match c.param("padding_idx") {
        Some(_) => x[1].embedding_padded(c.indices(0), c.size("padding_idx", 0)),
        None => x[1].embedding(c.indices(0)),
    }],
    "one_hot" => |c, _x| vec![c.tape.constant(Tensor::<f64>::one_hot(&c.indices(0), c.size("num_classes", 0))?)],
    "dot" => |c, x| vec![rank_0(c.tape, x[0].dot(x[1]))],
    "linear" => |c, x| vec![x[0].linear(x[1], c.named("bias"))],
    "bilinear" => |c, _x| vec![c.bilinear()],
    "conv2d" => |c, _x| vec![c.conv2d()],
    "lstm" => |c, x| {
        let (weights, options) = c.recurrent();
        let (y, [h, cell]) = x[0].lstm(&weights, Some([x[3], x[4]]), &options);
        vec![y, h, cell]
    },
    "gru" => |c, x| {
        let (weights, options) = c.recurrent();
        <[_; 2]>::from(x[0].gru(&weights, Some(x[3]), &options)).to_vec()
    },
    "rnn_tanh" => |c, _x| c.rnn(RnnActivation::Tanh),
    "rnn_relu" => |c, _x| c.rnn(RnnActivation::Relu),
}
