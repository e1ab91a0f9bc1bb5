//! The operations: a convolution, and its adjoints for the input and for the weight.

use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::conv::{Conv, Pass};
use crate::ops::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::buffer::Buffer;

/// The convolution of images `[N, C, H, W]` with a weight `[O, C/groups, KH, KW]`.
#[derive(Debug, Clone)]
pub(crate) struct Conv2d {
    pub conv: Conv,
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
    pub conv: Conv,
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
    pub conv: Conv,
    /// Height and width of the images.
    pub input: [usize; 2],
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

pub(super) fn sizes(found: &Shape) -> Result<[usize; 4], ErrorKind> {
    found[..].try_into().map_err(|_| ErrorKind::Rank { what: "an operand", expected: 4, found: found.clone() })
}

/// Height and width: the last two axes.
fn plane(shape: &Shape) -> [usize; 2] {
    let rank = shape.rank();
    [shape[rank - 2], shape[rank - 1]]
}

pub(super) fn no_window(conv: &Conv, input: [usize; 2], kernel: [usize; 2]) -> ErrorKind {
    ErrorKind::Window { window: kernel.into(), dilation: conv.dilation.into(), input: input.into() }
}

pub(super) fn output(conv: &Conv, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2], ErrorKind> {
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
