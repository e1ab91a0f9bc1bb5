//! Convolutions: three bilinear ops, each the adjoint of another in one operand, so that every order of derivative stays
//! among them, and the first with a bias.
//!
//! One dimension is two with a height of one. A transposed convolution is the gradient of a convolution in its input.

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::conv::{Conv, Pass};
use crate::ops::Embed;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::buffer::Buffer;
use crate::var::Var;

/// Options of a convolution over N axes; PyTorch's names and defaults.
///
/// ```
/// use autograd::{Conv2dOptions, Padding};
///
/// let options = Conv2dOptions { stride: [2, 2], padding: Padding::from(1), ..Default::default() };
/// assert_eq!((options.dilation, options.groups), ([1, 1], 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvOptions<const N: usize> {
    /// Steps between neighbouring windows.
    pub stride: [usize; N],
    /// Zeros around the input.
    pub padding: Padding<N>,
    /// Steps between neighbouring elements of a window.
    pub dilation: [usize; N],
    /// Parts that the channels are divided into; each part of the output sees its part of the input alone.
    pub groups: usize,
}

/// Options of [`Var::conv1d`].
pub type Conv1dOptions = ConvOptions<1>;
/// Options of [`Var::conv2d`].
pub type Conv2dOptions = ConvOptions<2>;

impl<const N: usize> Default for ConvOptions<N> {
    fn default() -> Self {
        Self { stride: [1; N], padding: Padding::Size([0; N]), dilation: [1; N], groups: 1 }
    }
}

/// Zeros around the input of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Padding<const N: usize> {
    /// As many on both sides of each axis.
    Size([usize; N]),
    /// As many as give the output the size of the input; of an odd number, one more at the end. The stride must be one.
    Same,
}

impl<const N: usize> From<usize> for Padding<N> {
    fn from(size: usize) -> Self {
        Padding::Size([size; N])
    }
}

impl<const N: usize> From<[usize; N]> for Padding<N> {
    fn from(size: [usize; N]) -> Self {
        Padding::Size(size)
    }
}

/// Options of a transposed convolution over N axes; PyTorch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvTransposeOptions<const N: usize> {
    /// Steps between neighbouring windows in the output.
    pub stride: [usize; N],
    /// Places that the output loses on both sides of each axis.
    pub padding: [usize; N],
    /// Places that the output gains at the end of each axis; less than the stride.
    pub output_padding: [usize; N],
    /// Steps between neighbouring elements of a window.
    pub dilation: [usize; N],
    /// Parts that the channels are divided into.
    pub groups: usize,
}

/// Options of [`Var::conv_transpose1d`].
pub type ConvTranspose1dOptions = ConvTransposeOptions<1>;
/// Options of [`Var::conv_transpose2d`].
pub type ConvTranspose2dOptions = ConvTransposeOptions<2>;

impl<const N: usize> Default for ConvTransposeOptions<N> {
    fn default() -> Self {
        Self { stride: [1; N], padding: [0; N], output_padding: [0; N], dilation: [1; N], groups: 1 }
    }
}

/// The convolution of images `[N, C, H, W]` with a weight `[O, C/groups, KH, KW]`.
#[derive(Debug, Clone)]
pub(crate) struct Conv2d {
    conv: Conv,
}

impl TensorRule for Conv2d {
    const NAME: &'static str = "conv2d";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        convolved(&self.conv, x)
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        must_have_room::<T>(&self.conv, Pass::Output, x[0].shape(), x[1].shape())?;
        Ok(Tensor::build(shape, |out| self.conv.forward(x[0].view(), x[1].view(), None, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        adjoints(self.conv, rule)
    }
}

/// [`Conv2d`] plus a bias `[O]`, the third operand. Sums start from it, so adding it costs no pass.
#[derive(Debug, Clone)]
pub(crate) struct BiasedConv2d {
    conv: Conv,
}

impl TensorRule for BiasedConv2d {
    const NAME: &'static str = Conv2d::NAME;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        convolved(&self.conv, x)
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        must_have_room::<T>(&self.conv, Pass::Output, x[0].shape(), x[1].shape())?;
        let bias = x[2].in_order()?;
        Ok(Tensor::build(shape, |out| self.conv.forward(x[0].view(), x[1].view(), bias.as_slice(), out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let mut gradients = adjoints(self.conv, rule);
        gradients.push(rule.operand(2, || rule.g.sum_axes([0, 2, 3])));
        gradients
    }
}

/// The shape of a convolution of images with filters, and a bias if there is one.
fn convolved(conv: &Conv, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
    let ([images, channels, height, width], [filters, of_group, rows, columns]) = (sizes(x[0])?, sizes(x[1])?);
    check_channels(conv.groups, channels, x[1], of_group.saturating_mul(conv.groups))?;
    let [out_height, out_width] = output(conv, [height, width], [rows, columns])?;
    if let Some(bias) = x.get(2) {
        bias.must_be("the bias", &[filters])?;
    }
    Ok(Shape::from([images, filters, out_height, out_width]))
}

/// Nothing where the channels of an image are those that a weight takes, and all channels divide into groups.
fn check_channels(groups: usize, input: usize, weight: &Shape, takes: usize) -> Result<(), ErrorKind> {
    for channels in [input, weight[0]] {
        if channels.checked_rem(groups) != Some(0) {
            return Err(ErrorKind::Groups { channels, groups });
        }
    }
    if takes == input { Ok(()) } else { Err(ErrorKind::Channels { input, weight: weight.clone(), groups, takes }) }
}

/// The gradients of images and weight.
fn adjoints<'t, T: Float>(conv: Conv, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
    let (x, w, g) = (rule.x[0], rule.x[1], rule.g);
    rule.both(
        || g.record(ConvInput { conv, input: plane(&x.shape()) }, &[w]),
        || x.record(ConvWeight { conv, kernel: plane(&w.shape()) }, &[g]),
    )
}

/// The adjoint of [`Conv2d`] in the images: of `g` and the weight.
#[derive(Debug, Clone)]
pub(crate) struct ConvInput {
    conv: Conv,
    /// Height and width of the images.
    input: [usize; 2],
}

impl TensorRule for ConvInput {
    const NAME: &'static str = "conv_transpose2d";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let ([images, channels, height, width], [takes, of_group, rows, columns]) = (sizes(x[0])?, sizes(x[1])?);
        check_channels(self.conv.groups, channels, x[1], takes)?;
        if self.conv.output(self.input, [rows, columns]) != Some([height, width]) {
            return Err(no_window(&self.conv, [height, width], [rows, columns]));
        }
        let [height, width] = self.input.map(Some);
        Shape::computed([Some(images), of_group.checked_mul(self.conv.groups), height, width])
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        must_have_room::<T>(&self.conv, Pass::Input, &shape, x[1].shape())?;
        let fill = |out: &mut [T]| self.conv.input_gradient(x[0].view(), x[1].view(), self.input, out);
        Ok(Tensor::build(shape, fill)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (g, w, v) = (rule.x[0], rule.x[1], rule.g);
        let conv = self.conv;
        rule.both(|| v.record(Conv2d { conv }, &[w]), || v.record(ConvWeight { conv, kernel: plane(&w.shape()) }, &[g]))
    }
}

/// The adjoint of [`Conv2d`] in the weight: of the images and `g`.
#[derive(Debug, Clone)]
pub(crate) struct ConvWeight {
    conv: Conv,
    /// Height and width of the kernel.
    kernel: [usize; 2],
}

impl TensorRule for ConvWeight {
    const NAME: &'static str = "conv2d_weight";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let ([_, channels, ..], [_, filters, ..]) = (sizes(x[0])?, sizes(x[1])?);
        Ok(Shape::from([filters, channels / self.conv.groups, self.kernel[0], self.kernel[1]]))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        must_have_room::<T>(&self.conv, Pass::Weight, x[0].shape(), &shape)?;
        let fill = |out: &mut [T]| self.conv.weight_gradient(x[0].view(), x[1].view(), self.kernel, out);
        Ok(Tensor::build(shape, fill)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, g, v) = (rule.x[0], rule.x[1], rule.g);
        let conv = self.conv;
        rule.both(|| g.record(ConvInput { conv, input: plane(&x.shape()) }, &[v]), || x.record(Conv2d { conv }, &[v]))
    }
}

fn sizes(found: &Shape) -> Result<[usize; 4], ErrorKind> {
    found[..].try_into().map_err(|_| ErrorKind::Rank { what: "an operand", expected: 4, found: found.clone() })
}

/// Height and width: the last two axes.
fn plane(shape: &Shape) -> [usize; 2] {
    let rank = shape.rank();
    [shape[rank - 2], shape[rank - 1]]
}

fn no_window(conv: &Conv, input: [usize; 2], kernel: [usize; 2]) -> ErrorKind {
    ErrorKind::Window { window: kernel.into(), dilation: conv.dilation.into(), input: input.into() }
}

fn output(conv: &Conv, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2], ErrorKind> {
    conv.output(input, kernel).ok_or_else(|| ErrorKind::Window {
        window: kernel.to_vec(),
        dilation: conv.dilation.to_vec(),
        input: [0, 1].map(|axis| input[axis].saturating_add(conv.padding[axis].saturating_mul(2))).to_vec(),
    })
}

/// # Errors
/// When memory has no room for what a convolution of these images works in: the padding and the steps within a window may be
/// far larger than the images and the output.
fn must_have_room<T: Float>(conv: &Conv, pass: Pass, x: &Shape, w: &Shape) -> Result<(), ErrorKind> {
    if Buffer::<T>::has_room(conv.space::<T>(pass, x, w)) {
        return Ok(());
    }
    let padded = |(axis, &size): (usize, &usize)| match axis.checked_sub(2) {
        Some(axis) => size.saturating_add(conv.padding[axis].saturating_mul(2)),
        None => size,
    };
    Err(ErrorKind::Memory { shape: x.iter().enumerate().map(padded).collect() })
}

/// The operands of a convolution over one or two axes as those of one over two.
struct ConvOperands {
    images: [usize; 4],
    weight: [usize; 4],
    /// Whether the caller's input has a batch axis.
    batched: bool,
    /// The number of the caller's axes that windows move along.
    axes: usize,
}

impl ConvOperands {
    fn new<const N: usize>(x: &Shape, weight: &Shape) -> Result<Self, ErrorKind> {
        if weight.rank() != N + 2 {
            return Err(ErrorKind::Rank { what: "the weight", expected: N + 2, found: weight.clone() });
        }
        let (batched, sizes) = match x.rank().checked_sub(N) {
            Some(2) => (true, &x[..]),
            Some(1) => (false, &x[..]),
            _ => return Err(ErrorKind::Rank { what: "the input", expected: N + 2, found: x.clone() }),
        };
        let images = if batched { sizes[0] } else { 1 };
        let of = |shape: &[usize], channels: usize| {
            let [height, width] = two::<N>(std::array::from_fn(|axis| shape[shape.len() - N + axis]), 1);
            [channels, shape[shape.len() - N - 1], height, width]
        };
        Ok(Self { images: of(sizes, images), weight: of(weight, weight[0]), batched, axes: N })
    }

    fn input(&self) -> [usize; 2] {
        [self.images[2], self.images[3]]
    }

    fn kernel(&self) -> [usize; 2] {
        [self.weight[2], self.weight[3]]
    }

    /// The caller's shape of a result.
    fn result(&self, [images, channels, height, width]: [usize; 4]) -> Shape {
        let batch = self.batched.then_some(images);
        batch.into_iter().chain([channels]).chain([height, width].into_iter().skip(2 - self.axes)).collect()
    }
}

/// Settings along one or two axes as those along two, with `unit` for an axis that is not there.
pub(super) fn two<const N: usize>(settings: [usize; N], unit: usize) -> [usize; 2] {
    match settings[..] {
        [height, width, ..] => [height, width],
        [width] => [unit, width],
        [] => [unit; 2],
    }
}

/// Every stride and dilation is at least one.
fn check_steps(stride: &[usize], dilation: &[usize]) -> Result<(), ErrorKind> {
    for (name, steps) in [("stride", stride), ("dilation", dilation)] {
        if steps.contains(&0) {
            return Err(ErrorKind::Argument { name, must: "at least 1", found: format!("{steps:?}") });
        }
    }
    Ok(())
}

/// A convolution of the four axes that every one has.
struct Forward {
    operands: ConvOperands,
    conv: Conv,
    /// Zeros at the end of height and width, which the padding of [`Conv`] cannot say.
    extra: [usize; 2],
}

impl Forward {
    fn new<const N: usize>(x: &Shape, weight: &Shape, options: &ConvOptions<N>) -> Result<Self, ErrorKind> {
        let &ConvOptions { stride, dilation, groups, .. } = options;
        let operands = ConvOperands::new::<N>(x, weight)?;
        check_steps(&stride, &dilation)?;
        let (stride, dilation) = (two(stride, 1), two(dilation, 1));
        let (padding, extra) = match options.padding {
            Padding::Size(padding) => (two(padding, 0), [0, 0]),
            Padding::Same if stride != [1, 1] => {
                let found = format!("{:?}", options.stride);
                return Err(ErrorKind::Argument { name: "stride", must: "1 where the padding is \"same\"", found });
            }
            Padding::Same => {
                let kernel = operands.kernel();
                let total = [0, 1].map(|axis| dilation[axis].saturating_mul(kernel[axis].saturating_sub(1)));
                (total.map(|total| total / 2), total.map(|total| total % 2))
            }
        };
        Ok(Self { operands, conv: Conv { stride, padding, dilation, groups }, extra })
    }
}

/// A transposed convolution of the four axes that every one has.
struct Transposed {
    operands: ConvOperands,
    op: ConvInput,
}

impl Transposed {
    fn new<const N: usize>(
        x: &Shape,
        weight: &Shape,
        bias: Option<&Shape>,
        options: &ConvTransposeOptions<N>,
    ) -> Result<Self, ErrorKind> {
        let &ConvTransposeOptions { stride, padding, output_padding, dilation, groups } = options;
        let operands = ConvOperands::new::<N>(x, weight)?;
        check_steps(&stride, &dilation)?;
        if let Some(bias) = bias {
            bias.must_be("the bias", &[operands.weight[1].saturating_mul(groups)])?;
        }
        if output_padding.iter().zip(&stride).any(|(extra, stride)| extra >= stride) {
            let found = format!("{output_padding:?} for stride {stride:?}");
            return Err(ErrorKind::Argument { name: "output_padding", must: "less than the stride", found });
        }
        let conv = Conv { stride: two(stride, 1), padding: two(padding, 0), dilation: two(dilation, 1), groups };
        let (input, kernel, extra) = (operands.input(), operands.kernel(), two(output_padding, 0));
        let along = |axis: usize| {
            let reach = conv.dilation[axis].checked_mul(kernel[axis].checked_sub(1)?)?.checked_add(1)?;
            let steps = input[axis].checked_sub(1)?.checked_mul(conv.stride[axis])?;
            steps.checked_add(reach)?.checked_add(extra[axis])?.checked_sub(conv.padding[axis].checked_mul(2)?)
        };
        let along = |axis: usize| along(axis).ok_or_else(|| no_window(&conv, input, kernel));
        Ok(Self { operands, op: ConvInput { conv, input: [along(0)?, along(1)?] } })
    }
}

/// # Convolutions
impl<'t, T: Float> Var<'t, T> {
    /// The convolution (cross-correlation, as in PyTorch) along two axes:
    /// y\[n, o, i, j\] = b\[o\] + Σ w\[o, c, a, b\]·x\[n, c, i·stride + a·dilation − padding, j·…\].
    ///
    /// Derivative: the transposed convolution of g to `x`, the correlation of `x` and g to `weight`, Σg over all axes but
    /// the channels to `bias`; any order.
    /// Shapes: `[N, C, H, W]` or `[C, H, W]`, weight `[O, C/groups, KH, KW]`, bias `[O]` → `[N, O, OH, OW]` or
    /// `[O, OH, OW]`, with OH = ⌊(H + 2·padding − dilation·(KH − 1) − 1)/stride⌋ + 1.
    ///
    /// ```
    /// use autograd::{Conv2dOptions, Padding, Tape, Tensor};
    ///
    /// let tape = Tape::<f32>::new();
    /// let images = tape.constant(Tensor::ones([8, 3, 28, 28]));
    /// let weight = tape.var(Tensor::ones([16, 3, 3, 3]));
    /// let y = images.conv2d(weight, None, Conv2dOptions { padding: Padding::Same, ..Default::default() });
    /// assert_eq!(y.shape().to_string(), "[8, 16, 28, 28]");
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn conv2d(self, weight: Self, bias: Option<Self>, options: Conv2dOptions) -> Self {
        self.convolve("conv2d", weight, bias, &options)
    }

    /// The convolution along one axis; see [`conv2d`](Self::conv2d).
    ///
    /// Derivative: as there.
    /// Shapes: `[N, C, L]` or `[C, L]`, weight `[O, C/groups, K]`, bias `[O]` → `[N, O, OL]` or `[O, OL]`.
    ///
    /// ```
    /// use autograd::{Conv1dOptions, Tape};
    ///
    /// let tape = Tape::new();
    /// // The slope of a signal by differences of neighbours.
    /// let signal = tape.constant([[1.0_f32, 2.0, 4.0, 8.0]]);
    /// let difference = tape.constant([[[-1.0_f32, 1.0]]]);
    /// let slope = signal.conv1d(difference, None, Conv1dOptions::default());
    /// assert_eq!(slope.value()?, [[1.0, 2.0, 4.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn conv1d(self, weight: Self, bias: Option<Self>, options: Conv1dOptions) -> Self {
        self.convolve("conv1d", weight, bias, &options)
    }

    /// The transposed convolution along two axes: the gradient of [`conv2d`](Self::conv2d) in its input, as an op of its
    /// own, which spreads every element of `x` over a window.
    ///
    /// Derivative: the convolution of g to `x`, the correlation of g and `x` to `weight`, Σg to `bias`; any order.
    /// Shapes: `[N, C, H, W]` or `[C, H, W]`, weight `[C, O/groups, KH, KW]`, bias `[O]` → `[N, O, OH, OW]` or
    /// `[O, OH, OW]`, with OH = (H − 1)·stride − 2·padding + dilation·(KH − 1) + output_padding + 1.
    ///
    /// ```
    /// use autograd::{ConvTranspose2dOptions, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // Twice as large: every element is spread over a window of four.
    /// let x = tape.constant([[[1.0_f32, 2.0]]]);
    /// let weight = tape.constant(Tensor::ones([1, 1, 2, 2]));
    /// let options = ConvTranspose2dOptions { stride: [2, 2], ..Default::default() };
    /// let y = x.conv_transpose2d(weight, None, options);
    /// assert_eq!(y.value()?, [[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn conv_transpose2d(self, weight: Self, bias: Option<Self>, options: ConvTranspose2dOptions) -> Self {
        self.convolve_transposed("conv_transpose2d", weight, bias, &options)
    }

    /// The transposed convolution along one axis; see [`conv_transpose2d`](Self::conv_transpose2d).
    ///
    /// Derivative: as there.
    /// Shapes: `[N, C, L]` or `[C, L]`, weight `[C, O/groups, K]`, bias `[O]` → `[N, O, OL]` or `[O, OL]`.
    ///
    /// ```
    /// use autograd::{ConvTranspose1dOptions, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 2.0]]);
    /// let weight = tape.constant([[[1.0_f32, 10.0]]]);
    /// let y = x.conv_transpose1d(weight, None, ConvTranspose1dOptions::default());
    /// assert_eq!(y.value()?, [[1.0, 12.0, 20.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn conv_transpose1d(self, weight: Self, bias: Option<Self>, options: ConvTranspose1dOptions) -> Self {
        self.convolve_transposed("conv_transpose1d", weight, bias, &options)
    }

    #[track_caller]
    fn convolve<const N: usize>(
        self,
        op: &'static str,
        weight: Self,
        bias: Option<Self>,
        options: &ConvOptions<N>,
    ) -> Self {
        match Forward::new(&self.shape(), &weight.shape(), options) {
            Ok(Forward { operands, conv, extra }) => {
                let mut x = self.in_shape(&Shape::from(operands.images));
                for (axis, size) in [(2, operands.images[2] + extra[0]), (3, operands.images[3] + extra[1])] {
                    if size != operands.images[axis] {
                        x = x.record(Embed { axis, start: 0, step: 1, size }, &[]);
                    }
                }
                let weight = weight.in_shape(&Shape::from(operands.weight));
                let y = match bias {
                    Some(bias) => x.record(BiasedConv2d { conv }, &[weight, bias]),
                    None => x.record(Conv2d { conv }, &[weight]),
                };
                y.called(op).in_shape(&operands.result(y.dims()))
            }
            Err(kind) => self.and(weight).and(bias.unwrap_or(self)).fail(op, kind),
        }
    }

    #[track_caller]
    fn convolve_transposed<const N: usize>(
        self,
        name: &'static str,
        weight: Self,
        bias: Option<Self>,
        options: &ConvTransposeOptions<N>,
    ) -> Self {
        match Transposed::new(&self.shape(), &weight.shape(), bias.map(Var::shape).as_ref(), options) {
            Ok(Transposed { operands, op }) => {
                let x = self.in_shape(&Shape::from(operands.images));
                let y = x.record(op, &[weight.in_shape(&Shape::from(operands.weight))]).called(name);
                y.plus_bias(bias).in_shape(&operands.result(y.dims()))
            }
            Err(kind) => self.and(weight).and(bias.unwrap_or(self)).fail(name, kind),
        }
    }

    /// One number added to each channel of images `[N, C, H, W]`.
    #[track_caller]
    fn plus_bias(self, bias: Option<Self>) -> Self {
        match bias {
            Some(bias) => self + bias.reshape([bias.shape().len(), 1, 1]),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tape;
    use crate::testing::{assert_gradient, failure, sample};

    const CASES: [(&[usize], &[usize], Conv2dOptions); 10] = {
        const PLAIN: Conv2dOptions =
            ConvOptions { stride: [1, 1], padding: Padding::Size([0, 0]), dilation: [1, 1], groups: 1 };
        const PADDED: Conv2dOptions = ConvOptions { padding: Padding::Size([2, 1]), ..PLAIN };
        [
            (&[2, 2, 4, 3], &[3, 2, 3, 2], PLAIN),
            (&[2, 4, 5], &[1, 2, 2, 2], PLAIN),
            (&[0, 2, 4, 3], &[3, 2, 2, 2], PLAIN),
            (&[1, 1, 1, 1], &[1, 1, 1, 1], PLAIN),
            (&[1, 2, 5, 4], &[2, 2, 3, 2], ConvOptions { stride: [2, 3], ..PADDED }),
            (&[1, 2, 5, 4], &[2, 2, 3, 2], ConvOptions { dilation: [2, 2], stride: [1, 2], ..PADDED }),
            (&[1, 2, 3, 4], &[2, 2, 3, 2], ConvOptions { padding: Padding::Same, ..PLAIN }),
            (&[1, 1, 3, 4], &[2, 1, 2, 2], ConvOptions { padding: Padding::Same, dilation: [3, 2], ..PLAIN }),
            (&[1, 4, 3, 4], &[6, 2, 2, 2], ConvOptions { groups: 2, ..PLAIN }),
            (&[2, 3, 3, 4], &[6, 1, 2, 3], ConvOptions { groups: 3, stride: [2, 1], ..PADDED }),
        ]
    };

    /// Calls `f(image, filter, channel, input, tap, output)` for every product in the definition of a convolution, where
    /// the places are heights and widths and `channel` is the weight's.
    fn each_product(
        [n, channels, height, width]: [usize; 4],
        [filters, per_group, rows, columns]: [usize; 4],
        [out_height, out_width]: [usize; 2],
        ([stride, padding, dilation], groups): ([[usize; 2]; 3], usize),
        mut f: impl FnMut(usize, [usize; 3], [usize; 2], [usize; 2], [usize; 2]),
    ) {
        assert_eq!((per_group, filters % groups), (channels / groups, 0));
        let place = |axis: usize, out: usize, tap: usize, size: usize| {
            let place = (out * stride[axis] + tap * dilation[axis]).checked_sub(padding[axis])?;
            (place < size).then_some(place)
        };
        for (n, o, c) in (0..n).flat_map(|n| (0..filters).flat_map(move |o| (0..per_group).map(move |c| (n, o, c)))) {
            for (a, b) in (0..rows).flat_map(|a| (0..columns).map(move |b| (a, b))) {
                for (i, j) in (0..out_height).flat_map(|i| (0..out_width).map(move |j| (i, j))) {
                    let (row, column) = (place(0, i, a, height), place(1, j, b, width));
                    if let (Some(row), Some(column)) = (row, column) {
                        let channel = o / (filters / groups) * per_group + c;
                        f(n, [o, c, channel], [row, column], [a, b], [i, j]);
                    }
                }
            }
        }
    }

    fn add(y: &mut Tensor<f64>, at: [usize; 4], x: f64) {
        *y.get_mut(&at).unwrap() += x;
    }

    #[test]
    fn values_and_derivatives_of_every_setting() {
        for (x, w, options) in CASES {
            let (x, w, b) = (sample(x, 1), sample(w, 2), sample(&w[..1], 3));
            let tape = Tape::new();
            let y = tape.constant(x.clone()).conv2d(tape.constant(w.clone()), Some(tape.constant(b.clone())), options);
            let y = y.value().unwrap();
            let images = if x.rank() == 4 { x.clone() } else { x.unsqueeze(0).unwrap() };
            let out: [usize; 4] =
                if x.rank() == 4 { y.clone() } else { y.unsqueeze(0).unwrap() }.shape()[..].try_into().unwrap();
            let padding: [usize; 2] = match options.padding {
                Padding::Size(padding) => padding,
                Padding::Same => [0, 1].map(|axis| options.dilation[axis] * (w.shape()[axis + 2] - 1) / 2),
            };
            let mut expected = Tensor::from_fn(out, |i| b.get(&[i[1]]).unwrap());
            each_product(
                images.shape()[..].try_into().unwrap(),
                w.shape()[..].try_into().unwrap(),
                [out[2], out[3]],
                ([options.stride, padding, options.dilation], options.groups),
                |n, [o, c, channel], [row, column], [i, j], at| {
                    let product = images.get(&[n, channel, row, column]).unwrap() * w.get(&[o, c, i, j]).unwrap();
                    add(&mut expected, [n, o, at[0], at[1]], product);
                },
            );
            y.reshape(out).unwrap().close_to(&expected, 1e-13, 1e-13).unwrap();
            assert_gradient(|x| x[0].conv2d(x[1], Some(x[2]), options), &[x, w, b]);
        }
    }

    #[test]
    fn same_padding_keeps_the_size() {
        let tape = Tape::<f64>::new();
        for (size, kernel, dilation) in [([5, 4], [2, 3], [1, 1]), ([3, 3], [4, 2], [2, 3]), ([1, 1], [3, 3], [1, 1])] {
            let (x, w) = (Tensor::zeros([1, 1, size[0], size[1]]), Tensor::zeros([2, 1, kernel[0], kernel[1]]));
            let options = Conv2dOptions { padding: Padding::Same, dilation, ..Default::default() };
            let y = tape.constant(x).conv2d(tape.constant(w), None, options).value().unwrap();
            assert_eq!(y.shape()[2..], size);
        }
    }

    #[test]
    fn transposed_values_and_derivatives() {
        let plain = ConvTranspose2dOptions::default();
        let wide = ConvTransposeOptions { stride: [2, 3], output_padding: [1, 2], padding: [1, 0], ..plain };
        let cases: [(&[usize], &[usize], ConvTranspose2dOptions); 5] = [
            (&[2, 2, 2, 3], &[2, 3, 2, 2], plain),
            (&[2, 2, 3], &[2, 1, 3, 1], plain),
            (&[0, 2, 2, 3], &[2, 3, 2, 2], plain),
            (&[1, 2, 2, 3], &[2, 2, 3, 2], wide),
            (&[1, 4, 2, 2], &[4, 2, 2, 2], ConvTransposeOptions { groups: 2, dilation: [1, 2], ..wide }),
        ];
        for (x, w, options) in cases {
            let filters = w[1] * options.groups;
            let (x, w, b) = (sample(x, 1), sample(w, 2), sample(&[filters], 3));
            let tape = Tape::new();
            let y = tape.constant(x.clone()).conv_transpose2d(
                tape.constant(w.clone()),
                Some(tape.constant(b.clone())),
                options,
            );
            let y = y.value().unwrap();
            let images = if x.rank() == 4 { x.clone() } else { x.unsqueeze(0).unwrap() };
            let out: [usize; 4] =
                if x.rank() == 4 { y.clone() } else { y.unsqueeze(0).unwrap() }.shape()[..].try_into().unwrap();
            for axis in [0, 1] {
                let reach = options.dilation[axis] * (w.shape()[axis + 2] - 1) + options.output_padding[axis] + 1;
                let size = (images.shape()[axis + 2] - 1) * options.stride[axis] + reach - 2 * options.padding[axis];
                assert_eq!(out[axis + 2], size);
            }
            let mut expected = Tensor::from_fn(out, |i| b.get(&[i[1]]).unwrap());
            each_product(
                out,
                w.shape()[..].try_into().unwrap(),
                [images.shape()[2], images.shape()[3]],
                ([options.stride, options.padding, options.dilation], options.groups),
                |n, [o, c, channel], [row, column], [i, j], at| {
                    let product = images.get(&[n, o, at[0], at[1]]).unwrap() * w.get(&[o, c, i, j]).unwrap();
                    add(&mut expected, [n, channel, row, column], product);
                },
            );
            y.reshape(out).unwrap().close_to(&expected, 1e-13, 1e-13).unwrap();
            assert_gradient(|x| x[0].conv_transpose2d(x[1], Some(x[2]), options), &[x, w, b]);
        }
    }

    #[test]
    fn one_axis_is_two_with_a_height_of_one() {
        let options = Conv1dOptions { stride: [2], padding: Padding::from(1), ..Default::default() };
        let (x, w, b) = (sample(&[2, 2, 5], 1), sample(&[3, 2, 3], 2), sample(&[3], 3));
        let tape = Tape::new();
        let y = tape.constant(x.clone()).conv1d(tape.constant(w.clone()), None, options).value().unwrap();
        assert_eq!(y.shape(), &[2, 3, 3].into());
        let first: f64 = (0..2)
            .map(|c| (0..2).map(|k| x.get(&[0, c, k]).unwrap() * w.get(&[0, c, k + 1]).unwrap()).sum::<f64>())
            .sum();
        assert!((y.get(&[0, 0, 0]).unwrap() - first).abs() < 1e-14);
        assert_gradient(|x| x[0].conv1d(x[1], Some(x[2]), options), &[x.clone(), w.clone(), b.clone()]);
        let same = Conv1dOptions { padding: Padding::Same, ..Default::default() };
        assert_gradient(|x| x[0].conv1d(x[1], None, same), &[sample(&[2, 4], 1), sample(&[1, 2, 2], 2)]);
        let transposed = ConvTranspose1dOptions { stride: [2], output_padding: [1], ..Default::default() };
        assert_gradient(|x| x[0].conv_transpose1d(x[1], Some(x[2]), transposed), &[x, sample(&[2, 3, 2], 2), b]);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let plain = Conv2dOptions::default();
        let conv = |shapes: [&[usize]; 2], options| failure(&shapes, |x| x[0].conv2d(x[1], None, options));
        let one: &[usize] = &[1, 4, 3, 3];
        assert_eq!(conv([&[4, 3], &[2, 4, 2, 2]], plain), "conv2d: the input must have rank 4, found shape [4, 3]");
        assert_eq!(conv([one, &[2, 4]], plain), "conv2d: the weight must have rank 4, found shape [2, 4]");
        assert_eq!(
            conv([one, &[2, 3, 2, 2]], plain),
            "conv2d: the input has 4 channels, and weight [2, 3, 2, 2] with groups = 1 takes 3"
        );
        let groups = |groups| Conv2dOptions { groups, ..plain };
        assert_eq!(conv([one, &[2, 4, 2, 2]], groups(3)), "conv2d: 4 channels do not divide into 3 groups");
        assert_eq!(conv([one, &[3, 2, 2, 2]], groups(2)), "conv2d: 3 channels do not divide into 2 groups");
        assert_eq!(conv([one, &[2, 4, 2, 2]], groups(0)), "conv2d: 4 channels do not divide into 0 groups");
        let padded = Conv2dOptions { padding: Padding::from([0, 1]), dilation: [3, 1], ..plain };
        assert_eq!(
            conv([one, &[2, 4, 2, 2]], padded),
            "conv2d: window [2, 2] (dilation [3, 1]) is larger than the padded input [3, 5]"
        );
        let strided = Conv2dOptions { stride: [2, 1], padding: Padding::Same, ..plain };
        assert_eq!(
            conv([one, &[2, 4, 2, 2]], strided),
            "conv2d: stride must be 1 where the padding is \"same\", found [2, 1]"
        );
        let still = Conv2dOptions { stride: [0, 1], ..plain };
        assert_eq!(conv([one, &[2, 4, 2, 2]], still), "conv2d: stride must be at least 1, found [0, 1]");
        let wide = Conv1dOptions { padding: Padding::Same, dilation: [1 << 36], ..Default::default() };
        assert_eq!(
            failure(&[&[2, 4, 3], &[2, 4, 3]], |x| x[0].conv1d(x[1], None, wide)),
            format!("conv1d: memory has no room for shape [2, 4, 1, {}]", (1_usize << 37) + 3)
        );
        let far = ConvTranspose1dOptions { stride: [1 << 60], ..Default::default() };
        assert_eq!(
            failure(&[&[2, 4, 3], &[4, 2, 2]], |x| x[0].conv_transpose1d(x[1], None, far)),
            format!("conv_transpose1d: memory has no room for shape [2, 2, 1, {}]", (1_usize << 61) + 2)
        );
        let bias = failure(&[one, &[2, 4, 2, 2], &[3]], |x| x[0].conv2d(x[1], Some(x[2]), plain));
        assert_eq!(bias, "conv2d: the bias must have shape [2], found [3]");
        let transposed = failure(&[one, &[3, 4, 2, 2]], |x| x[0].conv_transpose2d(x[1], None, Default::default()));
        assert_eq!(
            transposed,
            "conv_transpose2d: the input has 4 channels, and weight [3, 4, 2, 2] with groups = 1 takes 3"
        );
        let options = ConvTranspose1dOptions { output_padding: [1], ..Default::default() };
        let extra = failure(&[&[1, 4, 3], &[4, 4, 2]], |x| x[0].conv_transpose1d(x[1], None, options));
        assert_eq!(extra, "conv_transpose1d: output_padding must be less than the stride, found [1] for stride [1]");
    }
}
