//! Variance, standard deviation, log-sum-exp.

use smallvec::SmallVec;

use super::reduce::Keep;
use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::kernel;
use crate::ops::elementwise::Elementwise;
use crate::scalar::Scalar;
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use crate::var::{Term, Var};

/// The variance over axes, which stay with size one: Σ(x − mean)²/(n − correction).
#[derive(Debug, Clone)]
pub(crate) struct Variance {
    /// Ascending.
    pub axes: SmallVec<[usize; 4]>,
    pub correction: usize,
}

impl Variance {
    /// 1/(n − correction); infinite where too few elements are left, so that 0 times it is NaN.
    fn scale(&self, shape: &Shape) -> f64 {
        let count = self.axes.iter().fold(1_usize, |count, &axis| count.saturating_mul(shape[axis]));
        1.0 / count.saturating_sub(self.correction) as f64
    }
}

impl TensorRule for Variance {
    const NAME: &'static str = "var";

    /// In two passes: a sum of squares minus the square of the sum would lose the digits that they share.
    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].keep_reduced(&self.axes))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let x = &x[0];
        let per_element = T::from_f64(shape.len() as f64 / x.len() as f64);
        let mut mean = Tensor::build(shape.clone(), |out| kernel::reduce::sum(x.view(), &self.axes, out))?;
        mean.make_mut().iter_mut().for_each(|mean| *mean *= per_element);
        let centred = Elementwise::sub.of_tensors([x, &mean]).map_err(|error| error.kind)?;
        let scale = T::from_f64(self.scale(x.shape()));
        Ok(Tensor::build(shape, |out| {
            kernel::reduce::sum_of_squares(centred.view(), &self.axes, out);
            out.iter_mut().for_each(|y| *y *= scale);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let x = rule.x[0];
        let axes: Axes = self.axes.iter().map(|&axis| axis as isize).collect();
        let scale = T::from_f64(2.0 * self.scale(&x.shape()));
        rule.only((x - x.mean_keepdim(axes)) * (rule.g * Term::Number(scale)))
    }
}

/// ln Σ exp(x) along one axis, which stays with size one.
#[derive(Debug, Clone)]
pub(crate) struct LogSumExp {
    pub axis: usize,
}

impl TensorRule for LogSumExp {
    const NAME: &'static str = "logsumexp";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].keep_reduced(&[self.axis]))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| kernel::softmax::logsumexp(x[0].view(), self.axis, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only((rule.x[0] - rule.y).exp() * rule.g)
    }
}

/// # Variances and log-sum-exp
impl<'t, T: Float> Var<'t, T> {
    /// The variance of all elements, Σ(x − mean)²/(n − correction): a `correction` of 1 for the unbiased estimate from a
    /// sample (PyTorch's default), 0 for the variance of exactly these numbers (NumPy's).
    ///
    /// Derivative: 2(x − mean)/(n − correction).
    /// Shapes: any → a `Scalar`; NaN or ∞ when n ≤ correction.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 3.0]);
    /// assert_eq!((x.var(0).value()?, x.var(1).value()?), (1.0, 2.0));
    /// assert_eq!(x.var(1).backward()?.of(x)?.to_vec(), [-2.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn var(self, correction: usize) -> Scalar<'t, T> {
        self.reduce_all(|axes| Variance { axes, correction })
    }

    /// The variance over `axes`, which are dropped; see [`var`](Self::var).
    ///
    /// Derivative: 2(x − mean)/(n − correction) times the gradient.
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f64, 3.0], [2.0, 6.0]]);
    /// assert_eq!(x.var_axes(1, 1).value()?.to_vec(), [2.0, 8.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn var_axes(self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.reduce("var_axes", axes.into(), Keep::Drop, |axes| Variance { axes, correction })
    }

    /// The variance over `axes`, which stay with size one; see [`var`](Self::var).
    ///
    /// Derivative: as of [`var_axes`](Self::var_axes).
    /// Shapes: any → the same, with size one along `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Every row scaled to variance 1.
    /// let x = tape.constant([[-1.0_f64, 1.0], [-4.0, 4.0]]);
    /// assert_eq!((x / x.var_keepdim(1, 0).sqrt()).value()?, [[-1.0, 1.0], [-1.0, 1.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn var_keepdim(self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.reduce("var_keepdim", axes.into(), Keep::Keep, |axes| Variance { axes, correction })
    }

    /// Variance and mean over `axes`, which are dropped.
    ///
    /// Derivative: as of [`var_axes`](Self::var_axes) and [`mean_axes`](Self::mean_axes).
    /// Shapes: any → twice the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f64, 3.0], [2.0, 6.0]]);
    /// let (variance, mean) = x.var_mean(1, 0);
    /// assert_eq!((variance.value()?, mean.value()?), ([1.0, 4.0].into(), [2.0, 4.0].into()));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn var_mean(self, axes: impl Into<Axes>, correction: usize) -> (Self, Self) {
        let axes = axes.into();
        let variance = self.reduce("var_mean", axes.clone(), Keep::Drop, |axes| Variance { axes, correction });
        (variance, self.mean_axes(axes))
    }

    /// The standard deviation of all elements, the root of [`var`](Self::var).
    ///
    /// Derivative: (x − mean)/((n − correction)·std); 0 where all elements are equal, as in PyTorch.
    /// Shapes: any → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f64, 3.0]);
    /// let y = x.std(0);
    /// assert_eq!(y, 1.0);
    /// assert_eq!(y.backward()?.of(x)?.to_vec(), [-0.5, 0.5]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn std(self, correction: usize) -> Scalar<'t, T> {
        self.std_axes(self.axes(), correction).item()
    }

    /// The standard deviation over `axes`, which are dropped; see [`std`](Self::std).
    ///
    /// Derivative: (x − mean)/((n − correction)·std) times the gradient; 0 where all elements are equal.
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The spread of each of two features over the samples.
    /// let x = tape.constant([[1.0_f64, 10.0], [3.0, 50.0]]);
    /// assert_eq!(x.std_axes(0, 0).value()?.to_vec(), [1.0, 20.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn std_axes(self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.reduce("std_axes", axes.into(), Keep::Drop, |axes| Variance { axes, correction }).root()
    }

    /// The standard deviation over `axes`, which stay with size one; see [`std`](Self::std).
    ///
    /// Derivative: as of [`std_axes`](Self::std_axes).
    /// Shapes: any → the same, with size one along `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f64, 3.0], [2.0, 6.0]]);
    /// let y = (x - x.mean_keepdim(1)) / x.std_keepdim(1, 0);
    /// assert_eq!(y.value()?, [[-1.0, 1.0], [-1.0, 1.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn std_keepdim(self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.reduce("std_keepdim", axes.into(), Keep::Keep, |axes| Variance { axes, correction }).root()
    }

    /// The root with slope 0 at 0.
    #[track_caller]
    fn root(self) -> Self {
        let zero = Term::Number(T::ZERO);
        self.eq(zero).select(zero, self.sqrt())
    }

    /// ln Σ eˣ over `axes`, which are dropped, without overflow; −∞ over nothing.
    ///
    /// Derivative: the gradient in shares e^(x − y), the softmax. NaN where all elements are −∞, as in PyTorch.
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1000.0_f32, 1000.0]]);
    /// assert_eq!(x.logsumexp(1).value()?.to_vec(), [1000.0 + 2.0_f32.ln()]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn logsumexp(self, axes: impl Into<Axes>) -> Self {
        self.logsumexp_over("logsumexp", axes.into(), Keep::Drop)
    }

    /// ln Σ eˣ over `axes`, which stay with size one.
    ///
    /// Derivative: as of [`logsumexp`](Self::logsumexp).
    /// Shapes: any → the same, with size one along `axes`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // Log probabilities of every row.
    /// let x = tape.constant([[0.0_f64, 0.0], [1000.0, 1000.0]]);
    /// let y = (x - x.logsumexp_keepdim(1)).value()?;
    /// y.close_to(&Tensor::full([2, 2], -2.0_f64.ln()), 1e-12, 0.0).unwrap();
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn logsumexp_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.logsumexp_over("logsumexp_keepdim", axes.into(), Keep::Keep)
    }

    #[track_caller]
    fn logsumexp_over(self, name: &'static str, axes: Axes, keep: Keep) -> Self {
        let shape = self.shape();
        let axes = match shape.axes(&axes) {
            Ok(axes) => axes,
            // As in PyTorch a single number has one axis to be reduced.
            Err(_) if shape.rank() == 0 && matches!(axes[..], [0 | -1]) => SmallVec::new(),
            Err(kind) => return self.fail(name, kind),
        };
        let to = if keep == Keep::Keep { shape.keep_reduced(&axes) } else { shape.reduced(&axes) };
        let kept = match axes[..] {
            [axis] => self.record(LogSumExp { axis }, &[]),
            _ => self.in_rows(&axes).record(LogSumExp { axis: 1 }, &[]),
        };
        if kept.shape() == to { kept } else { kept.reshape(to) }
    }
}

/// # Variances
impl<T: Float> Tensor<T> {
    /// The variance of all elements, Σ(x − mean)²/(n − correction); NaN or ∞ when n ≤ correction.
    pub fn var(&self, correction: usize) -> T {
        let variance = Variance { axes: (0..self.rank()).collect(), correction };
        variance
            .of(Operands::of(std::slice::from_ref(self)))
            .map_or(T::NAN, |y| y.tensor.iter().next().unwrap_or(T::NAN))
    }

    /// The variance over `axes`, which are dropped.
    ///
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let x = Tensor::from([[1.0, 3.0], [2.0, 6.0]]);
    /// assert_eq!(x.var_axes(1, 1)?, Tensor::from([2.0, 8.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] or [`ErrorKind::RepeatedAxis`].
    #[track_caller]
    pub fn var_axes(&self, axes: impl Into<Axes>, correction: usize) -> Result<Self> {
        self.variance("var_axes", axes.into(), correction)
    }

    #[track_caller]
    fn variance(&self, name: &'static str, axes: Axes, correction: usize) -> Result<Self> {
        let at = Error::at(name);
        let axes = self.shape().axes(&axes).map_err(&at)?;
        let left = self.shape().reduced(&axes);
        Variance { axes, correction }.of(Operands::of(std::slice::from_ref(self))).map_err(at)?.tensor.reshape(left)
    }

    /// The standard deviation of all elements, the root of [`var`](Self::var).
    pub fn std(&self, correction: usize) -> T {
        crate::kernel::math::Math::sqrt(self.var(correction))
    }

    /// The standard deviation over `axes`, which are dropped.
    ///
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let x = Tensor::from([[1.0, 3.0], [2.0, 6.0]]);
    /// assert_eq!(x.std_axes(1, 0)?, Tensor::from([1.0, 2.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] or [`ErrorKind::RepeatedAxis`].
    #[track_caller]
    pub fn std_axes(&self, axes: impl Into<Axes>, correction: usize) -> Result<Self> {
        Ok(self.variance("std_axes", axes.into(), correction)?.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn all_have_their_derivatives() {
        let x = &[sample(&[3, 4, 2], 1)];
        for axes in [Axes::from(1), Axes::from([0, -1]), Axes::from([0, 1, 2])] {
            assert_gradient(|x| x[0].sin().var_axes(axes.clone(), 1), x);
            assert_gradient(|x| x[0].t().sin().std_keepdim(axes.clone(), 0), x);
            assert_gradient(|x| x[0].sin().logsumexp(axes.clone()), x);
            assert_gradient(|x| x[0].t().logsumexp_keepdim(axes.clone()) * x[0].t(), x);
        }
        assert_gradient(|x| x[0].var_mean(0, 1).0 * x[0].var_mean(0, 1).1 * x[0].std(1) * x[0].var(2), x);
        assert_gradient(|x| x[0].logsumexp([]), &[sample(&[2], 1)]);
        assert_gradient(|x| x[0].logsumexp(0) * x[0], &[Tensor::scalar(0.5)]);
    }

    #[test]
    fn equal_elements_have_deviation_zero_and_gradient_zero() {
        let tape = Tape::new();
        let x = tape.var([[1.5, 1.5], [1.0, 2.0]]);
        let deviation = x.std_axes(1, 0);
        assert_eq!(deviation.value().unwrap().to_vec(), [0.0, 0.5]);
        assert_eq!(deviation.sum().backward().unwrap().of(x).unwrap().to_vec(), [0.0, 0.0, -0.5, 0.5]);
        let y = tape.var([3.0_f64; 4]);
        assert_eq!(y.std(1).backward().unwrap().of(y).unwrap().to_vec(), [0.0; 4]);
        assert!(tape.var([f64::NAN, 1.0]).std(1).value().unwrap().is_nan());
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        let x = Tensor::from([1e8_f64 + 1.0, 1e8 + 2.0, 1e8 + 3.0]);
        assert_eq!((x.var(1), x.var(0), x.std(1)), (1.0, 2.0 / 3.0, 1.0));
        assert_eq!(Tape::new().var(x).var(1).value(), Ok(1.0));
    }

    #[test]
    fn too_few_elements_have_no_variance() {
        let tape = Tape::new();
        assert!(tape.var([3.0]).var(1).value().unwrap().is_nan() && Tensor::<f32>::zeros([0]).var(0).is_nan());
        assert_eq!(tape.var([1.0, 3.0]).var(5).value(), Ok(f64::INFINITY));
        assert_eq!(tape.var(2.0).var(0).value(), Ok(0.0));
        assert_eq!(Tensor::<f64>::zeros([0, 3]).var_axes(1, 1).unwrap().shape(), &[0].into());
    }

    #[test]
    fn log_sum_exp_of_infinities() {
        let infinite = f64::INFINITY;
        let tape = Tape::new();
        let x = tape.var([[-infinite, -infinite], [infinite, 1.0], [-infinite, 1.0]]);
        let y = x.logsumexp(1);
        assert_eq!(y.value().unwrap().to_vec(), [-infinite, infinite, 1.0]);
        let gradient = y.sum().backward().unwrap().of(x).unwrap().to_vec();
        assert!(gradient[0].is_nan() && gradient[2].is_nan() && gradient[3..] == [0.0, 0.0, 1.0]);
        let nothing = tape.var(Tensor::<f64>::zeros([2, 0])).logsumexp([0, 1]);
        assert_eq!(nothing.value().unwrap().to_vec(), [-infinite]);
    }

    #[test]
    fn wrong_axes_are_named() {
        assert_fails(|t| t.var([1.0]).var_axes(1, 1), "var_axes: axis 1 is out of range for shape [1]");
        assert_fails(|t| t.var([1.0]).logsumexp([0, 0]), "logsumexp: axis 0 is given twice");
        assert_eq!(Tensor::from([1.0]).std_axes(-2, 1).unwrap_err().op, "std_axes");
    }
}
