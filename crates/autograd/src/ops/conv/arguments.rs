//! The arguments of the methods as those of the operations.

use super::rules::{ConvInput, no_window};
use super::{ConvOptions, ConvTransposeOptions, Padding};
use crate::error::ErrorKind;
use crate::kernel::conv::Conv;
use crate::shape::Shape;

/// The operands of a convolution over one or two axes as those of one over two.
pub(super) struct ConvOperands {
    pub images: [usize; 4],
    pub weight: [usize; 4],
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
    pub fn result(&self, [images, channels, height, width]: [usize; 4]) -> Shape {
        let batch = self.batched.then_some(images);
        batch.into_iter().chain([channels]).chain([height, width].into_iter().skip(2 - self.axes)).collect()
    }
}

/// Settings along one or two axes as those along two, with `unit` for an axis that is not there.
pub(in crate::ops) fn two<const N: usize>(settings: [usize; N], unit: usize) -> [usize; 2] {
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
pub(super) struct Forward {
    pub operands: ConvOperands,
    pub conv: Conv,
    /// Zeros at the end of height and width, which the padding of [`Conv`] cannot say.
    pub extra: [usize; 2],
}

impl Forward {
    pub fn new<const N: usize>(x: &Shape, weight: &Shape, options: &ConvOptions<N>) -> Result<Self, ErrorKind> {
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
pub(super) struct Transposed {
    pub operands: ConvOperands,
    pub op: ConvInput,
}

impl Transposed {
    pub fn new<const N: usize>(
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
