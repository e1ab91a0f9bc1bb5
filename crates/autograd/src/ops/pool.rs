//! Pooling over windows of planes: the largest element, the mean, the p-norm.
//!
//! One dimension is two with a height of one. The gradient of a maximum goes to the place it was found at, which the op
//! keeps; the ops that read and write such places are each other's adjoint.

mod average;
mod max;
mod planes;

use super::Op;
use super::conv::two;
use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::{AsIndices, Indices};
use crate::kernel::pool::{Divisor, Window};
use crate::var::{Term, Var};
use average::means_of_parts;
use max::Windows;
use planes::{as_planes, check_parts, plane};

pub(crate) use average::{AvgPool, AvgPoolAdjoint};
pub(crate) use max::{MaxPool, Pick, Unpick};

/// Options of a maximum over windows along N axes; PyTorch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaxPoolOptions<const N: usize> {
    /// Steps between neighbouring windows; the size of the window where it is not given.
    pub stride: Option<[usize; N]>,
    /// Places around the input, which never win; at most half a window.
    pub padding: [usize; N],
    /// Steps between neighbouring elements of a window.
    pub dilation: [usize; N],
    /// Whether windows may hang over the end, as long as they start inside the input or the padding before it.
    pub ceil_mode: bool,
}

/// Options of [`Var::max_pool1d`].
pub type MaxPool1dOptions = MaxPoolOptions<1>;
/// Options of [`Var::max_pool2d`].
pub type MaxPool2dOptions = MaxPoolOptions<2>;

impl<const N: usize> Default for MaxPoolOptions<N> {
    fn default() -> Self {
        Self { stride: None, padding: [0; N], dilation: [1; N], ceil_mode: false }
    }
}

/// Options of a mean over windows along N axes; PyTorch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AvgPoolOptions<const N: usize> {
    /// Steps between neighbouring windows; the size of the window where it is not given.
    pub stride: Option<[usize; N]>,
    /// Zeros around the input; at most half a window.
    pub padding: [usize; N],
    /// Whether windows may hang over the end, as long as they start inside the input or the padding before it.
    pub ceil_mode: bool,
    /// Whether the padding counts in the number that a sum is divided by.
    pub count_include_pad: bool,
    /// The number that every sum is divided by, instead of a count.
    pub divisor_override: Option<usize>,
}

/// Options of [`Var::avg_pool1d`].
pub type AvgPool1dOptions = AvgPoolOptions<1>;
/// Options of [`Var::avg_pool2d`].
pub type AvgPool2dOptions = AvgPoolOptions<2>;

impl<const N: usize> Default for AvgPoolOptions<N> {
    fn default() -> Self {
        Self { stride: None, padding: [0; N], ceil_mode: false, count_include_pad: true, divisor_override: None }
    }
}

/// Options of [`Var::lp_pool2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LpPool2dOptions {
    /// Steps between neighbouring windows; the size of the window where it is not given.
    pub stride: Option<[usize; 2]>,
    /// Whether windows may hang over the end, as long as they start inside the input.
    pub ceil_mode: bool,
}

/// # Pooling
impl<'t, T: Float> Var<'t, T> {
    /// The largest element of every window of height and width.
    ///
    /// Derivative: g to the place of the largest element, of equals the first; as in PyTorch.
    /// Shapes: `[.., H, W]` → `[.., OH, OW]`, with OH = ⌊(H + 2·padding − dilation·(KH − 1) − 1)/stride⌋ + 1.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 5.0, 2.0], [3.0, 4.0, 6.0]]);
    /// let y = x.max_pool2d([2, 2], autograd::MaxPool2dOptions { stride: Some([1, 1]), ..Default::default() });
    /// assert_eq!(y.value()?.to_vec(), [5.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn max_pool2d(self, window: [usize; 2], options: MaxPool2dOptions) -> Self {
        self.pool_max("max_pool2d", sliding(window, &options), 2)
    }

    /// As [`max_pool2d`](Self::max_pool2d), and the place of every largest element in its plane, in row-major order.
    ///
    /// Derivative: as there.
    /// Shapes: as there, twice.
    ///
    /// ```
    /// use autograd::{MaxPool2dOptions, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 5.0], [3.0, 4.0]]);
    /// let (y, places) = x.max_pool2d_with_indices([2, 2], MaxPool2dOptions::default());
    /// assert_eq!((y.value()?, places.value()?), ([[5.0]].into(), [[1]].into()));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn max_pool2d_with_indices(self, window: [usize; 2], options: MaxPool2dOptions) -> (Self, Indices<'t, T>) {
        let y = self.pool_max("max_pool2d", sliding(window, &options), 2);
        match self.tape.integers_kept_by(y.slot) {
            Some(places) => (y, places),
            None => {
                let failed = y.fail("max_pool2d_with_indices", ErrorKind::NoElements);
                (y, Indices { tape: self.tape, slot: failed.slot })
            }
        }
    }

    /// The largest element of every window along the last axis; see [`max_pool2d`](Self::max_pool2d).
    ///
    /// Derivative: as there.
    /// Shapes: `[.., L]` → `[.., OL]`.
    ///
    /// ```
    /// use autograd::{MaxPool1dOptions, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([1.0_f32, 5.0, 2.0, 3.0]);
    /// assert_eq!(x.max_pool1d(2, MaxPool1dOptions::default()).value()?.to_vec(), [5.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn max_pool1d(self, window: usize, options: MaxPool1dOptions) -> Self {
        self.pool_max("max_pool1d", sliding([window], &options), 1)
    }

    /// The largest element of each of `size` parts of height and width, which overlap where the size does not divide.
    ///
    /// Derivative: g to the place of the largest element, of equals the first.
    /// Shapes: `[.., H, W]` → `[.., size]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // As many numbers for images of every size.
    /// for size in [7, 13] {
    ///     let image = tape.constant(Tensor::<f32>::ones([3, size, size]));
    ///     assert_eq!(image.adaptive_max_pool2d([2, 2]).shape(), [3, 2, 2].into());
    /// }
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool2d(self, size: [usize; 2]) -> Self {
        self.pool_max("adaptive_max_pool2d", Windows::Parts(size), 2)
    }

    /// The largest element of each of `size` parts of the last axis; see
    /// [`adaptive_max_pool2d`](Self::adaptive_max_pool2d).
    ///
    /// Derivative: as there.
    /// Shapes: `[.., L]` → `[.., size]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Parts of two and of two, which share the middle.
    /// let x = tape.constant([1.0_f32, 4.0, 2.0]);
    /// assert_eq!(x.adaptive_max_pool1d(2).value()?.to_vec(), [4.0, 4.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool1d(self, size: usize) -> Self {
        self.pool_max("adaptive_max_pool1d", Windows::Parts([1, size]), 1)
    }

    /// Elements at the places of [`max_pool2d_with_indices`](Self::max_pool2d_with_indices) in planes of zeros. Where
    /// overlapping windows found the same place, their elements are added.
    ///
    /// Derivative: g at these places.
    /// Shapes: `[.., OH, OW]`, indices of the same shape → `[.., size]`.
    ///
    /// ```
    /// use autograd::{MaxPool2dOptions, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 5.0], [3.0, 4.0]]);
    /// let (y, places) = x.max_pool2d_with_indices([2, 2], MaxPool2dOptions::default());
    /// assert_eq!(y.max_unpool2d(places, [2, 2]).value()?, [[0.0, 5.0], [0.0, 0.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn max_unpool2d(self, indices: impl AsIndices<'t, T>, size: [usize; 2]) -> Self {
        self.record_with(Unpick { size }, &[], &[indices.on(self.tape)])
    }

    /// The mean of every window of height and width.
    ///
    /// Derivative: to every element its share of the windows it is in.
    /// Shapes: `[.., H, W]` → `[.., OH, OW]`, with OH = ⌊(H + 2·padding − KH)/stride⌋ + 1.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 5.0], [2.0, 4.0]]);
    /// assert_eq!(x.avg_pool2d([2, 2], Default::default()).value()?.to_vec(), [3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn avg_pool2d(self, window: [usize; 2], options: AvgPool2dOptions) -> Self {
        self.pool_mean("avg_pool2d", window, &options)
    }

    /// The mean of every window along the last axis; see [`avg_pool2d`](Self::avg_pool2d).
    ///
    /// Derivative: as there.
    /// Shapes: `[.., L]` → `[.., OL]`.
    ///
    /// ```
    /// use autograd::{AvgPool1dOptions, Tape};
    ///
    /// let tape = Tape::new();
    /// // A moving mean.
    /// let x = tape.constant([1.0_f32, 3.0, 5.0, 1.0]);
    /// let options = AvgPool1dOptions { stride: Some([1]), ..Default::default() };
    /// assert_eq!(x.avg_pool1d(2, options).value()?.to_vec(), [2.0, 4.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn avg_pool1d(self, window: usize, options: AvgPool1dOptions) -> Self {
        self.pool_mean("avg_pool1d", [window], &options)
    }

    /// The mean of each of `size` parts of height and width, which overlap where the size does not divide.
    ///
    /// Derivative: to every element its share of the parts it is in.
    /// Shapes: `[.., H, W]` → `[.., size]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Every channel of an image to one number.
    /// let image = tape.var([[[1.0_f32, 2.0], [3.0, 6.0]]]);
    /// let y = image.adaptive_avg_pool2d([1, 1]);
    /// assert_eq!(y.value()?.to_vec(), [3.0]);
    /// assert_eq!(y.sum().backward()?.of(image)?.to_vec(), [0.25; 4]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool2d(self, size: [usize; 2]) -> Self {
        let shape = self.shape();
        if let Err(kind) = check_parts(&shape, size, 2) {
            return self.fail("adaptive_avg_pool2d", kind);
        }
        let [height, width] = plane(&shape);
        if height % size[0] == 0 && width % size[1] == 0 {
            return self.avg_pool2d([height / size[0], width / size[1]], AvgPool2dOptions::default());
        }
        match (means_of_parts(height, size[0]), means_of_parts(width, size[1])) {
            (Ok(rows), Ok(columns)) => self.tape.constant(rows).matmul(self.matmul(self.tape.constant(columns).t())),
            (Err(kind), _) | (_, Err(kind)) => self.fail("adaptive_avg_pool2d", kind),
        }
    }

    /// The mean of each of `size` parts of the last axis; see [`adaptive_avg_pool2d`](Self::adaptive_avg_pool2d).
    ///
    /// Derivative: as there.
    /// Shapes: `[.., L]` → `[.., size]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([1.0_f32, 3.0, 5.0]);
    /// assert_eq!(x.adaptive_avg_pool1d(2).value()?.to_vec(), [2.0, 4.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool1d(self, size: usize) -> Self {
        let shape = self.shape();
        match check_parts(&shape, [1, size], 1).and_then(|()| means_of_parts(shape[shape.rank() - 1], size)) {
            Ok(means) => self.matmul(self.tape.constant(means).t()),
            Err(kind) => self.fail("adaptive_avg_pool1d", kind),
        }
    }

    /// The p-norm of every window of height and width: (Σ|x|ᵖ)^(1/p). A window that `ceil_mode` lets hang over the end
    /// counts as a whole one with the mean of its elements in the missing places, as in PyTorch.
    ///
    /// Derivative: sign(x)·(|x|/y)ᵖ⁻¹; 0 where the norm is 0.
    /// Shapes: `[.., H, W]` → `[.., OH, OW]`, as [`avg_pool2d`](Self::avg_pool2d) without padding.
    ///
    /// ```
    /// use autograd::{LpPool2dOptions, Tape};
    ///
    /// let tape = Tape::new();
    /// // The length of the numbers in a window.
    /// let x = tape.constant([[1.0_f64, 1.0], [1.0, 1.0]]);
    /// let y = x.lp_pool2d(2.0, [2, 2], LpPool2dOptions::default());
    /// assert_eq!(y.value()?, [[2.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn lp_pool2d(self, p: T, window: [usize; 2], options: LpPool2dOptions) -> Self {
        let exponent = p.to_f64();
        if exponent.is_nan() || exponent <= 0.0 {
            return self.fail("lp_pool2d", ErrorKind::Argument { name: "p", must: "positive", found: p.to_string() });
        }
        let LpPool2dOptions { stride, ceil_mode } = options;
        let number = |x: f64| Term::Number(T::from_f64(x));
        let mean = self.abs().pow(number(exponent)).pool_mean(
            "lp_pool2d",
            window,
            &AvgPool2dOptions { stride, ceil_mode, ..Default::default() },
        );
        let sum = mean * number(window[0] as f64 * window[1] as f64);
        let is_zero = sum.eq(number(0.0));
        is_zero.select(number(0.0), is_zero.select(number(1.0), sum).pow(number(1.0 / exponent)))
    }

    #[track_caller]
    fn pool_max(self, name: &'static str, windows: Windows, axes: usize) -> Self {
        let checked = match windows {
            Windows::Parts(parts) if axes == 1 => check_parts(&self.shape(), parts, axes),
            _ => Ok(()),
        };
        match checked {
            Ok(()) => self.over_planes(name, MaxPool { windows }, axes),
            Err(kind) => self.fail(name, kind),
        }
    }

    #[track_caller]
    fn pool_mean<const N: usize>(self, name: &'static str, window: [usize; N], options: &AvgPoolOptions<N>) -> Self {
        let window = Window {
            size: two(window, 1),
            stride: two(options.stride.unwrap_or(window), 1),
            padding: two(options.padding, 0),
            dilation: [1, 1],
            ceil: options.ceil_mode,
        };
        let divisor = match options.divisor_override {
            Some(number) => Divisor::Fixed(number),
            None if options.count_include_pad => Divisor::WithPadding,
            None => Divisor::InputOnly,
        };
        self.over_planes(name, AvgPool { window, divisor }, N)
    }

    /// An op of planes; lines are planes of height one.
    #[track_caller]
    fn over_planes(self, name: &'static str, op: impl Into<Op>, axes: usize) -> Self {
        if axes == 2 {
            return self.record(op, &[]).called(name);
        }
        match as_planes(&self.shape(), axes) {
            Ok(_) => self.unsqueeze(-2).record(op, &[]).called(name).squeeze(-2),
            Err(kind) => self.fail(name, kind),
        }
    }
}

/// The window of a maximum along N axes as one along two.
fn sliding<const N: usize>(window: [usize; N], options: &MaxPoolOptions<N>) -> Windows {
    Windows::Sliding(Window {
        size: two(window, 1),
        stride: two(options.stride.unwrap_or(window), 1),
        padding: two(options.padding, 0),
        dilation: two(options.dilation, 1),
        ceil: options.ceil_mode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tape;
    use crate::tensor::Tensor;
    use crate::testing::{assert_gradient, failure, sample};

    const PLAIN: MaxPool2dOptions =
        MaxPoolOptions { stride: None, padding: [0, 0], dilation: [1, 1], ceil_mode: false };
    const MEAN: AvgPool2dOptions = AvgPoolOptions {
        stride: None,
        padding: [0, 0],
        ceil_mode: false,
        count_include_pad: true,
        divisor_override: None,
    };

    #[test]
    fn derivatives_of_maxima() {
        let cases: [(&[usize], [usize; 2], MaxPool2dOptions); 8] = [
            (&[2, 1, 4, 5], [2, 2], PLAIN),
            (&[4, 4], [2, 3], PLAIN),
            (&[0, 2, 4, 4], [2, 2], PLAIN),
            (&[1, 1, 1, 1], [1, 1], PLAIN),
            (&[1, 5, 4], [3, 2], MaxPoolOptions { stride: Some([1, 1]), padding: [1, 1], ..PLAIN }),
            (&[1, 5, 4], [2, 2], MaxPoolOptions { stride: Some([3, 3]), ..PLAIN }),
            (&[1, 5, 4], [2, 2], MaxPoolOptions { ceil_mode: true, ..PLAIN }),
            (&[1, 5, 5], [2, 2], MaxPoolOptions { stride: Some([1, 2]), dilation: [2, 3], ..PLAIN }),
        ];
        for (shape, window, options) in cases {
            assert_gradient(|x| (x[0] * x[0]).max_pool2d(window, options) * 2.0, &[sample(shape, 1)]);
        }
        let options = MaxPool1dOptions { stride: Some([1]), padding: [1], ..Default::default() };
        assert_gradient(|x| (x[0] * x[0]).max_pool1d(3, options), &[sample(&[2, 5], 1)]);
        assert_gradient(|x| (x[0] * x[0]).adaptive_max_pool2d([3, 2]), &[sample(&[2, 5, 4], 1)]);
        assert_gradient(|x| (x[0] * x[0]).adaptive_max_pool1d(3), &[sample(&[2, 5], 1)]);
    }

    #[test]
    fn of_equals_the_first_gets_the_gradient() {
        let tape = Tape::<f64>::new();
        let x = tape.var([[1.0, 2.0, 2.0], [2.0, 2.0, 0.0]]);
        let y = x.max_pool2d([2, 2], MaxPoolOptions { stride: Some([1, 1]), ..PLAIN });
        let gradients = y.sum().backward().unwrap();
        assert_eq!(gradients.of(x).unwrap(), Tensor::from([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]));
    }

    #[test]
    fn unpooling_puts_elements_back() {
        let tape = Tape::<f64>::new();
        let x = tape.var([[1.0, 5.0, 3.0, 2.0], [4.0, 2.0, 6.0, 7.0]]);
        let (y, indices) = x.max_pool2d_with_indices([2, 2], PLAIN);
        assert_eq!(indices.value(), Ok(Tensor::from([[1usize, 7]])));
        let back = y.max_unpool2d(indices, [2, 4]).value().unwrap();
        assert_eq!(back, Tensor::from([[0.0, 5.0, 0.0, 0.0], [0.0, 0.0, 0.0, 7.0]]));
        let indices = Tensor::from([[[3usize, 3]], [[0, 2]]]);
        assert_gradient(move |x| (x[0] * x[0]).max_unpool2d(&indices, [2, 2]), &[sample(&[2, 1, 2], 1)]);
    }

    #[test]
    fn derivatives_of_means() {
        let wide = AvgPoolOptions { stride: Some([2, 1]), padding: [1, 1], ..MEAN };
        let cases: [(&[usize], [usize; 2], AvgPool2dOptions); 8] = [
            (&[2, 1, 4, 5], [2, 2], MEAN),
            (&[4, 4], [2, 3], MEAN),
            (&[0, 2, 4, 4], [2, 2], MEAN),
            (&[1, 5, 4], [3, 2], wide),
            (&[1, 5, 4], [3, 2], AvgPoolOptions { count_include_pad: false, ..wide }),
            (&[1, 5, 4], [3, 2], AvgPoolOptions { divisor_override: Some(5), ..wide }),
            (&[1, 5, 4], [2, 3], AvgPoolOptions { ceil_mode: true, ..MEAN }),
            (&[1, 5, 4], [1, 1], AvgPoolOptions { stride: Some([3, 2]), ..MEAN }),
        ];
        for (shape, window, options) in cases {
            assert_gradient(|x| (x[0] * x[0]).avg_pool2d(window, options), &[sample(shape, 1)]);
        }
        let options = AvgPool1dOptions { padding: [1], ..Default::default() };
        assert_gradient(|x| (x[0] * x[0]).avg_pool1d(2, options), &[sample(&[2, 5], 1)]);
        assert_gradient(|x| (x[0] * x[0]).adaptive_avg_pool2d([3, 2]), &[sample(&[2, 5, 4], 1)]);
        assert_gradient(|x| (x[0] * x[0]).adaptive_avg_pool2d([5, 2]), &[sample(&[2, 5, 4], 1)]);
        assert_gradient(|x| (x[0] * x[0]).adaptive_avg_pool1d(3), &[sample(&[2, 5], 1)]);
        let options = LpPool2dOptions { stride: Some([1, 2]), ceil_mode: true };
        assert_gradient(|x| x[0].lp_pool2d(3.0, [2, 2], options), &[sample(&[2, 3, 5], 1)]);
    }

    #[test]
    fn a_given_divisor_and_uncounted_padding() {
        let tape = Tape::<f64>::new();
        let x = tape.constant(Tensor::ones([2, 2]));
        let of =
            |options| x.avg_pool2d([2, 2], AvgPoolOptions { padding: [1, 1], ..options }).value().unwrap().to_vec();
        assert_eq!(of(MEAN), [0.25; 4]);
        assert_eq!(of(AvgPoolOptions { count_include_pad: false, ..MEAN }), [1.0; 4]);
        assert_eq!(of(AvgPoolOptions { divisor_override: Some(2), ..MEAN }), [0.5; 4]);
    }

    #[test]
    fn parts_overlap_where_the_size_does_not_divide() {
        let tape = Tape::<f64>::new();
        let x = tape.constant([1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(x.adaptive_max_pool1d(2).value().unwrap().to_vec(), [3.0, 5.0]);
        let means = x.adaptive_avg_pool1d(2).value().unwrap();
        means.close_to(&Tensor::from([2.0, 4.0]), 1e-15, 0.0).unwrap();
        let more = x.reshape([1, 5]).adaptive_max_pool2d([2, 7]).value().unwrap();
        assert_eq!(more.to_vec(), [1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 5.0, 1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 5.0]);
    }

    #[test]
    fn the_norm_of_zeros_has_no_gradient() {
        let tape = Tape::<f64>::new();
        let x = tape.var([[0.0, 0.0], [3.0, 4.0]]);
        let y = x.lp_pool2d(2.0, [1, 2], Default::default());
        assert_eq!(y.value().unwrap().to_vec(), [0.0, 5.0]);
        let gradients = y.sum().backward().unwrap();
        gradients.of(x).unwrap().close_to(&Tensor::from([[0.0, 0.0], [0.6, 0.8]]), 1e-14, 0.0).unwrap();
    }

    #[test]
    fn wrong_arguments_are_named() {
        let max = |window, options| failure(&[&[1, 4, 3]], |x| x[0].max_pool2d(window, options));
        let too_large = "max_pool2d: window [5, 2] (dilation [1, 1]) is larger than the padded input [4, 3]";
        assert_eq!(max([5, 2], PLAIN), too_large);
        let still = MaxPoolOptions { stride: Some([0, 1]), ..PLAIN };
        assert_eq!(max([2, 2], still), "max_pool2d: stride must be at least 1, found [0, 1]");
        assert_eq!(max([0, 2], PLAIN), "max_pool2d: stride must be at least 1, found [0, 2]");
        let padded = MaxPoolOptions { padding: [0, 2], ..PLAIN };
        assert_eq!(max([2, 2], padded), "max_pool2d: padding must be at most half the window, found [0, 2]");
        let rank = failure(&[&[3]], |x| x[0].avg_pool2d([1, 1], MEAN));
        assert_eq!(rank, "avg_pool2d: the input must have rank 2 or more, found shape [3]");
        let divisor =
            failure(&[&[3, 3]], |x| x[0].avg_pool2d([1, 1], AvgPoolOptions { divisor_override: Some(0), ..MEAN }));
        assert_eq!(divisor, "avg_pool2d: divisor must be at least 1, found 0");
        let none = failure(&[&[3, 3]], |x| x[0].adaptive_avg_pool2d([1, 0]));
        assert_eq!(none, "adaptive_avg_pool2d: size must be at least 1, found [1, 0]");
        let empty = failure(&[&[3, 0]], |x| x[0].adaptive_max_pool2d([1, 1]));
        assert_eq!(empty, "adaptive_max_pool2d: needs at least one element, found shape [3, 0]");
        let outside = failure(&[&[1, 1]], |x| x[0].max_unpool2d(Tensor::from([[4usize]]), [2, 2]));
        assert_eq!(outside, "max_unpool2d: index 4 is out of range for axis 0 of shape [4]");
        let p = failure(&[&[1, 1]], |x| x[0].lp_pool2d(0.0, [1, 1], Default::default()));
        assert_eq!(p, "lp_pool2d: p must be positive, found 0");
    }
}
