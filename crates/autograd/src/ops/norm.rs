//! Norms over axes.

use smallvec::SmallVec;

use super::min_max::shared_by_ties;
use super::reduce::Keep;
use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::kernel;
use crate::kernel::math::Math;
use crate::scalar::Scalar;
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use crate::var::{Term, Var};

/// (Σ|x|ᵖ)^(1/p) over axes, which stay with size one; for p = 0 the number of elements that are not zero, for p = ±∞ the
/// largest or smallest |x|.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    /// Ascending.
    pub axes: SmallVec<[usize; 4]>,
    pub p: f64,
}

impl TensorRule for Norm {
    const NAME: &'static str = "norm";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let left = x[0].keep_reduced(&self.axes);
        if self.p == f64::NEG_INFINITY && x[0].is_empty() && !left.is_empty() {
            return Err(ErrorKind::Empty { shape: x[0].clone() });
        }
        Ok(left)
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| self.fold(&x[0], out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, y, g) = (rule.x[0], rule.y, rule.g);
        let number = |number: f64| Term::Number(T::from_f64(number));
        rule.only(match self.p {
            0.0 => return SmallVec::from_iter([None]),
            1.0 => x.sign() * g,
            // A zero norm has only zero elements.
            2.0 => x * y.eq(number(0.0)).select(number(0.0), g / y),
            p if p.is_infinite() => x.sign() * shared_by_ties(x.abs().eq(y), g, &self.axes),
            // As a quotient, which neither overflows nor underflows where |x|ᵖ would.
            p => x.sign().masked_mul((x.abs() / y).pow(number(p - 1.0))).masked_mul(g),
        })
    }
}

impl Norm {
    fn fold<T: Float>(&self, x: &Tensor<T>, out: &mut [T]) {
        let axes = &self.axes;
        let sum = |terms: &Tensor<T>, out: &mut [T]| kernel::reduce::sum(terms.view(), axes, out);
        match self.p {
            0.0 => sum(&x.map(|x| if x == T::ZERO { T::ZERO } else { T::ONE }), out),
            1.0 => sum(&x.abs(), out),
            2.0 => {
                kernel::reduce::sum_of_squares(x.view(), axes, out);
                out.iter_mut().for_each(|y| *y = Math::sqrt(*y));
            }
            f64::INFINITY => kernel::reduce::abs_max(x.view(), axes, out),
            f64::NEG_INFINITY => kernel::reduce::min(x.abs().view(), axes, out),
            p => {
                let (p, inverse) = (T::from_f64(p), T::from_f64(1.0 / p));
                sum(&x.map(|x| Math::pow(Math::abs(x), p)), out);
                out.iter_mut().for_each(|y| *y = Math::pow(*y, inverse));
            }
        }
    }
}

/// # Norms
impl<'t, T: Float> Var<'t, T> {
    /// The p-norm of all elements, (Σ|x|ᵖ)^(1/p): any p, with 0 for the number of elements that are not zero and ±∞ for the
    /// largest and smallest |x|.
    ///
    /// Derivative: sign x·(|x|/y)ᵖ⁻¹; 0 at 0; none for p = 0; ties share equally for p = ±∞.
    /// Shapes: any → a `Scalar`. A norm with p = −∞ of no elements is an error.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([3.0_f64, -4.0]);
    /// assert_eq!((x.norm(1.0).value()?, x.norm(2.0).value()?, x.norm(f64::INFINITY).value()?), (7.0, 5.0, 4.0));
    /// assert_eq!(x.norm(1.0).backward()?.of(x)?.to_vec(), [1.0, -1.0]);
    /// let zero = tape.var([0.0, 0.0]);
    /// assert_eq!(zero.norm(2.0).backward()?.of(zero)?.to_vec(), [0.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn norm(self, p: f64) -> Scalar<'t, T> {
        self.reduce_all(|axes| Norm { axes, p })
    }

    /// The p-norm over `axes`, which are dropped; see [`norm`](Self::norm).
    ///
    /// Derivative: sign x·(|x|/y)ᵖ⁻¹ times the gradient.
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The lengths of two vectors.
    /// let x = tape.constant([[3.0_f64, 4.0], [6.0, 8.0]]);
    /// assert_eq!(x.norm_axes(2.0, 1).value()?.to_vec(), [5.0, 10.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn norm_axes(self, p: f64, axes: impl Into<Axes>) -> Self {
        self.reduce("norm_axes", axes.into(), Keep::Drop, |axes| Norm { axes, p })
    }

    /// The p-norm over `axes`, which stay with size one; see [`norm`](Self::norm).
    ///
    /// Derivative: as of [`norm_axes`](Self::norm_axes).
    /// Shapes: any → the same, with size one along `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Rows of length 1.
    /// let x = tape.constant([[3.0_f64, 4.0], [0.0, -2.0]]);
    /// assert_eq!((x / x.norm_keepdim(2.0, 1)).value()?, [[0.6, 0.8], [0.0, -1.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn norm_keepdim(self, p: f64, axes: impl Into<Axes>) -> Self {
        self.reduce("norm_keepdim", axes.into(), Keep::Keep, |axes| Norm { axes, p })
    }
}

/// # Norms
impl<T: Float> Tensor<T> {
    /// The p-norm of all elements, as [`Var::norm`].
    ///
    /// # Errors
    /// [`ErrorKind::Empty`] for p = −∞ of no elements.
    #[track_caller]
    pub fn norm(&self, p: f64) -> Result<T> {
        let norm = Norm { axes: (0..self.rank()).collect(), p };
        let value = norm.of(Operands::of(std::slice::from_ref(self))).map_err(Error::at("norm"))?;
        value.tensor.item()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    const ORDERS: [f64; 9] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, -1.0, f64::INFINITY, f64::NEG_INFINITY];

    #[test]
    fn all_orders_have_their_derivatives() {
        let x = &[sample(&[2, 3, 2], 1)];
        for p in ORDERS {
            assert_gradient(|x| x[0].norm_axes(p, [0, -1]), x);
            assert_gradient(|x| x[0].t().norm_keepdim(p, 1) * x[0].norm(p), x);
        }
    }

    #[test]
    fn values() {
        let x = Tensor::from([3.0_f64, 0.0, -4.0]);
        let norm = |p| x.norm(p).unwrap();
        assert_eq!((norm(0.0), norm(1.0), norm(2.0)), (2.0, 7.0, 5.0));
        assert_eq!((norm(f64::INFINITY), norm(f64::NEG_INFINITY)), (4.0, 0.0));
        assert!((norm(3.0) - 91.0_f64.cbrt()).abs() < 1e-14 && norm(f64::NAN).is_nan());
        let nothing = Tensor::<f64>::zeros([0]);
        assert_eq!((nothing.norm(2.0), nothing.norm(f64::INFINITY), nothing.norm(0.0)), (Ok(0.0), Ok(0.0), Ok(0.0)));
    }

    #[test]
    fn zeros_have_gradient_zero() {
        for p in ORDERS.into_iter().filter(|&p| p >= 0.0) {
            let tape = Tape::new();
            let x = tape.var([[0.0_f64, 0.0], [0.0, 3.0]]);
            let y = x.norm_axes(p, 1);
            let gradient = y.sum().backward().unwrap().of(x).unwrap_or(Tensor::zeros([2, 2])).to_vec();
            assert_eq!(gradient[..3], [0.0; 3], "p = {p}");
            assert!((gradient[3] - if p == 0.0 { 0.0 } else { 1.0 }).abs() < 1e-15, "p = {p}");
        }
    }

    #[test]
    fn ties_of_the_largest_share() {
        let tape = Tape::new();
        let x = tape.var([2.0, -2.0, 1.0]);
        assert_eq!(x.norm(f64::INFINITY).backward().unwrap().of(x).unwrap().to_vec(), [0.5, -0.5, 0.0]);
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert_fails(|t| t.var([1.0]).norm_axes(2.0, 1), "norm_axes: axis 1 is out of range for shape [1]");
        assert_fails(
            |t| t.var(Tensor::zeros([2, 0])).norm_axes(f64::NEG_INFINITY, 1),
            "norm: needs at least one element, found shape [2, 0]",
        );
    }
}
