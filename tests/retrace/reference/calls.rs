//! Which of our methods an op of the file is, with PyTorch's names and defaults of parameters.

use autograd::{Axes, Conv2dOptions, Error, PadMode, Padding, Scalar, Shape, Tape, Tensor, Var, cat, stack};
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
        self.case.inputs[i].tensor().map(|x| x as usize)
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
        Some(json.as_array().map_or_else(|| ints(json).into_iter().collect(), |all| all.iter().filter_map(ints).collect()))
    }

    fn sizes(&self, name: &str) -> Vec<usize> {
        self.list(name).unwrap_or_default().into_iter().map(|size| size as usize).collect()
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
}

/// A scalar as a tensor of rank 0.
fn rank_0<'t>(tape: &'t Tape<f64>, scalar: Scalar<'t, f64>) -> V<'t> {
    tape.from_scalars(&[scalar]).reshape(())
}

/// A reduction over everything, over axes, or over axes that stay.
fn reduced<'t>(
    call: &Call<'_, 't>,
    x: V<'t>,
    all: fn(V<'t>) -> Scalar<'t, f64>,
    axes: fn(V<'t>, Axes) -> V<'t>,
    keepdim: fn(V<'t>, Axes) -> V<'t>,
) -> V<'t> {
    match (call.axes("dim"), call.flag("keepdim")) {
        (None, _) => rank_0(call.tape, all(x)),
        (Some(over), false) => axes(x, over),
        (Some(over), true) => keepdim(x, over),
    }
}

macro_rules! table {
    (unary: $($unary:ident)*; binary: $($binary:ident)*; $($name:literal => |$call:ident, $x:ident| $outputs:expr,)*) => {
        /// The ops that are called.
        pub const NAMES: &[&str] = &[$(stringify!($unary),)* $(stringify!($binary),)* $($name,)*];

        /// The outputs of a case.
        pub fn call<'t>(call: &Call<'_, 't>) -> Result<Vec<V<'t>>, Error> {
            let x = (0..call.case.inputs.len()).map(|i| call.x(i)).collect::<Vec<_>>();
            match &*call.case.op {
                $(stringify!($unary) => Ok(vec![x[0].$unary()]),)*
                $(stringify!($binary) => Ok(vec![x[0].$binary(x[1])]),)*
                $($name => {
                    let ($call, $x) = (call, &x[..]);
                    Ok($outputs)
                })*
                _ => unreachable!("{} is not in the table", call.case.op),
            }
        }
    };
}

table! {
    unary:
        abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor frac lgamma
        ln log10 log1p log2 logit rad2deg reciprocal round rsqrt sigmoid sign sin sinc sinh sqrt square tan tanh trunc
        hardsigmoid hardswish logsigmoid mish relu relu6 selu silu softsign tanhshrink nan_to_num;
    binary:
        rem fmod pow atan2 hypot copysign logaddexp logaddexp2 xlogy xlog1py maximum minimum fmax fmin eq ne lt le gt ge
        matmul mv bmm outer;
    "neg" => |_c, x| vec![-x[0]],
    "polygamma" => |c, x| vec![x[0].polygamma(c.int("n", 0) as u32)],
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
    "leaky_relu" => |c, x| vec![x[0].leaky_relu(c.number("negative_slope", 0.01))],
    "softplus" => |c, x| vec![x[0].softplus(c.number("beta", 1.0))],
    "threshold" => |c, x| vec![{
        let bound = c.number("threshold", 0.0);
        x[0].threshold(bound) + x[0].le(bound) * c.number("value", 0.0)
    }],
    "add" => |c, x| vec![x[0] + x[1] * c.number("alpha", 1.0)],
    "sub" => |c, x| vec![x[0] - x[1] * c.number("alpha", 1.0)],
    "mul" => |_c, x| vec![x[0] * x[1]],
    "div" => |c, x| vec![match c.text("rounding_mode") {
        "floor" => (x[0] / x[1]).floor(),
        "trunc" => (x[0] / x[1]).trunc(),
        _ => x[0] / x[1],
    }],
    "where" => |_c, x| vec![x[0].select(x[1], x[2])],
    "masked_fill" => |c, x| vec![x[0].masked_fill(&c.case.inputs[1].tensor().map(|x| x != 0.0), c.number("value", 0.0))],
    "prelu" => |_c, x| vec![x[0].prelu(if x[0].rank() > 2 { x[1].unsqueeze(-1) } else { x[1] })],
    "sum" => |c, x| vec![reduced(c, x[0], V::sum, V::sum_axes, V::sum_keepdim)],
    "mean" => |c, x| vec![reduced(c, x[0], V::mean, V::mean_axes, V::mean_keepdim)],
    "prod" => |c, x| vec![reduced(c, x[0], V::prod, V::prod_axes, V::prod_keepdim)],
    "reshape" => |c, x| vec![x[0].reshape(c.shape("shape"))],
    "flatten" => |_c, x| vec![x[0].flatten()],
    "permute" => |c, x| vec![x[0].permute(&c.list("dims").unwrap_or_default()[..])],
    "transpose" => |c, x| vec![x[0].transpose(c.axis("dim0"), c.axis("dim1"))],
    "unsqueeze" => |c, x| vec![x[0].unsqueeze(c.axis("dim"))],
    "squeeze" => |c, x| vec![x[0].squeeze(c.axis("dim"))],
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
    "gather" => |c, x| vec![x[0].gather(c.axis("dim"), &c.indices(1))],
    "scatter_add" => |c, x| vec![x[0].scatter_add(c.axis("dim"), &c.indices(1), x[2])],
    "index_select" => |c, x| vec![x[0].index_select(c.axis("dim"), c.indices(1))],
    "embedding" => |c, x| vec![x[1].embedding(&c.indices(0))],
    "one_hot" => |c, _x| vec![c.tape.constant(Tensor::<f64>::one_hot(&c.indices(0), c.size("num_classes", 0))?)],
    "dot" => |c, x| vec![rank_0(c.tape, x[0].dot(x[1]))],
    "linear" => |c, x| vec![x[0].linear(x[1], c.named("bias"))],
    "conv2d" => |c, _x| vec![c.conv2d()],
}
