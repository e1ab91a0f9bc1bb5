//! Softmax and its logarithm along an axis.

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::kernel::Write;
use crate::kernel::softmax;
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use crate::var::Var;

/// eˣ/Σeˣ along an axis.
#[derive(Debug, Clone)]
pub(crate) struct Softmax {
    pub axis: usize,
}

impl TensorRule for Softmax {
    const NAME: &'static str = "softmax";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| softmax::softmax(x[0].view(), self.axis, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.y.record(SoftmaxAdjoint { axis: self.axis }, &[rule.g]))
    }
}

/// y(g − Σgy) along an axis, for y the softmax: symmetric in its Jacobian, so also what the tangent of softmax is.
#[derive(Debug, Clone)]
pub(crate) struct SoftmaxAdjoint {
    pub axis: usize,
}

impl TensorRule for SoftmaxAdjoint {
    const NAME: &'static str = "softmax_adjoint";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| {
            softmax::softmax_adjoint(x[0].view(), x[1].view(), self.axis, out, Write::Replace);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (y, g, h) = (rule.x[0], rule.x[1], rule.g);
        let sum = |z: Var<'t, T>| z.sum_along(self.axis);
        rule.both(|| h * (g - sum(g * y)) - g * sum(h * y), || y.record(self.clone(), &[h]))
    }
}

/// x − ln Σeˣ along an axis.
#[derive(Debug, Clone)]
pub(crate) struct LogSoftmax {
    pub axis: usize,
}

impl TensorRule for LogSoftmax {
    const NAME: &'static str = "log_softmax";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| softmax::log_softmax(x[0].view(), self.axis, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.y.record(LogSoftmaxAdjoint { axis: self.axis }, &[rule.g]))
    }
}

/// g − eʸ·Σg along an axis, for y the logarithm of the softmax.
#[derive(Debug, Clone)]
pub(crate) struct LogSoftmaxAdjoint {
    pub axis: usize,
}

impl TensorRule for LogSoftmaxAdjoint {
    const NAME: &'static str = "log_softmax_adjoint";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| {
            softmax::log_softmax_adjoint(x[0].view(), x[1].view(), self.axis, out, Write::Replace);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (y, g, h) = (rule.x[0], rule.x[1], rule.g);
        let p = y.exp();
        rule.both(|| -(h * p * g.sum_along(self.axis)), || h - (h * p).sum_along(self.axis))
    }
}

/// The position of `axis`; as in PyTorch a single number has one axis to be normalised along.
pub(crate) fn line_axis(shape: &Shape, axis: isize) -> Result<usize, ErrorKind> {
    if shape.rank() == 0 && (axis == 0 || axis == -1) { Ok(0) } else { shape.axis(axis) }
}

/// # Softmax
impl<'t, T: Float> Var<'t, T> {
    /// eˣ/Σeˣ along `axis`: positive numbers that add up to one, without overflow.
    ///
    /// Derivative: y(g − Σgy).
    /// Shapes: any → the same. A line of −∞ alone is NaN, as in PyTorch.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[0.0_f32, 0.0], [1000.0, 0.0]]);
    /// assert_eq!(x.softmax(-1).value()?.to_vec(), [0.5, 0.5, 1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self {
        match line_axis(&self.shape(), axis) {
            Ok(axis) => self.record(Softmax { axis }, &[]),
            Err(kind) => self.fail("softmax", kind),
        }
    }

    /// The [`softmax`](Self::softmax) of −x.
    ///
    /// Derivative: −y(g − Σgy).
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Weights that fall with the distance.
    /// let distances = tape.constant([0.0_f64, 2.0_f64.ln()]);
    /// let weights = distances.softmin(0);
    /// assert!((weights - tape.constant([2.0, 1.0]) / 3.0).abs().max() < 1e-15);
    /// ```
    #[track_caller]
    pub fn softmin(self, axis: isize) -> Self {
        (-self).softmax(axis)
    }

    /// x − ln Σeˣ along `axis`: the logarithm of [`softmax`](Self::softmax), with all digits where that is near 0.
    ///
    /// Derivative: g − eʸ·Σg.
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The second class has a probability that is 0 in f64, and a logarithm.
    /// let scores = tape.constant([0.0_f64, -1000.0]);
    /// assert_eq!(scores.log_softmax(0).value()?.to_vec(), [0.0, -1000.0]);
    /// assert_eq!(scores.softmax(0).value()?.to_vec(), [1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self {
        match line_axis(&self.shape(), axis) {
            Ok(axis) => self.record(LogSoftmax { axis }, &[]),
            Err(kind) => self.fail("log_softmax", kind),
        }
    }

    /// The sum along a line, which keeps its axis if there is one.
    #[track_caller]
    pub(crate) fn sum_along(self, axis: usize) -> Self {
        if self.rank() == 0 { self } else { self.sum_keepdim(Axes::from(axis as isize)) }
    }
}

/// # Softmax
impl<T: Float> Tensor<T> {
    /// eˣ/Σeˣ along `axis`, as [`Var::softmax`].
    ///
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let scores = Tensor::from([[0.0, 0.0], [1000.0, 0.0]]);
    /// assert_eq!(scores.softmax(1)?, Tensor::from([[0.5, 0.5], [1.0, 0.0]]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`].
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Result<Self> {
        let error = Error::at("softmax");
        let axis = line_axis(self.shape(), axis).map_err(&error)?;
        Tensor::build(self.shape().clone(), |out| softmax::softmax(self.view(), axis, out)).map_err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn all_have_their_derivatives() {
        let x = &[sample(&[2, 3, 4], 1)];
        for axis in [0, 1, -1] {
            assert_gradient(|x| x[0].softmax(axis), x);
            assert_gradient(|x| x[0].t().softmin(axis) * x[0].t(), x);
            assert_gradient(|x| x[0].t().square().log_softmax(axis), x);
        }
        assert_gradient(|x| x[0].softmax(0) + x[0].log_softmax(-1), &[Tensor::scalar(0.5)]);
        assert_gradient(|x| x[0].log_softmax(0), &[Tensor::zeros([0, 2])]);
    }

    #[test]
    fn third_derivatives_are_right() {
        // softmax of (x, 0) is sigmoid x, with third derivative s(1 − s)(1 − 6s + 6s²).
        let tape = Tape::new();
        let x = tape.var([0.7_f64, 0.0]);
        let mut y = x.softmax(0).at([0]);
        for _ in 0..3 {
            y = y.grad(x).at([0]);
        }
        let s = 1.0 / (1.0 + (-0.7_f64).exp());
        assert!((y.value().unwrap() - s * (1.0 - s) * (1.0 - 6.0 * s + 6.0 * s * s)).abs() < 1e-14);
    }

    #[test]
    fn masked_elements_get_no_gradient() {
        let tape = Tape::new();
        let x = tape.var([f64::NEG_INFINITY, 0.0, 0.0]);
        let y = x.softmax(0);
        assert_eq!(y.value().unwrap().to_vec(), [0.0, 0.5, 0.5]);
        assert_eq!(y.at([1]).backward().unwrap().of(x).unwrap().to_vec(), [0.0, 0.25, -0.25]);
        assert_eq!(tape.var([800.0, -800.0]).log_softmax(0).value().unwrap().to_vec(), [0.0, -1600.0]);
    }

    #[test]
    fn wrong_axes_are_named() {
        assert_fails(|t| t.var([1.0]).softmax(1), "softmax: axis 1 is out of range for shape [1]");
        assert_fails(|t| t.var(1.0).log_softmax(1), "log_softmax: axis 1 is out of range for shape []");
        assert_eq!(Tensor::from([1.0]).softmax(-2).unwrap_err().op, "softmax");
        assert_eq!(Tensor::from([[3.0], [3.0]]).softmax(0).unwrap().to_vec(), [0.5, 0.5]);
    }
}
