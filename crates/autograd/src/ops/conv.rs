//! Convolutions: three bilinear ops, each the adjoint of another in one operand, so that every order of derivative stays
//! among them, and the first with a bias.
//!
//! One dimension is two with a height of one. A transposed convolution is the gradient of a convolution in its input.

mod arguments;
mod rules;

use crate::float::Float;
use crate::ops::Embed;
use crate::shape::Shape;
use crate::var::Var;
pub(super) use arguments::two;
use arguments::{Forward, Transposed};

pub(crate) use rules::{BiasedConv2d, Conv2d, ConvInput, ConvWeight};

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
    use crate::tensor::Tensor;
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
