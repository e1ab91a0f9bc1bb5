//! Reductions over axes.

use smallvec::SmallVec;

use super::{Cotangents, Op, TensorRule, Value, Vjp};
use crate::error::Rule;
use crate::float::Float;
use crate::kernel;
use crate::scalar::Scalar;
use crate::shape::Axes;
use crate::tensor::Tensor;
use crate::var::Var;

/// The sum over axes, which stay with size one.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    /// Ascending.
    pub axes: SmallVec<[usize; 4]>,
}

impl TensorRule for Sum {
    const NAME: &'static str = "sum";
    const MULTILINEAR: bool = true;

    fn value<T: Float>(&self, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
        let shape = x[0].shape().keep_reduced(&self.axes);
        Ok(Tensor::build(shape, |out| kernel::reduce::sum(x[0].view(), &self.axes, out)).into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.broadcast_to(rule.x[0].shape()))
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// Σx over all elements.
    ///
    /// Derivative: 1 for every element.
    /// Shapes: any → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 2.0, 3.0]);
    /// let gradients = (x * x).sum().backward()?;
    /// assert_eq!(gradients.of(x)?.to_vec(), [2.0, 4.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn sum(self) -> Scalar<'t, T> {
        let axes = (0..self.rank()).collect();
        self.record(Sum { axes }, &[]).item()
    }

    /// The mean of all elements.
    ///
    /// Derivative: 1/n for every element. Not a number for no elements.
    /// Shapes: any → a `Scalar`.
    #[track_caller]
    pub fn mean(self) -> Scalar<'t, T> {
        self.sum() * T::from_f64(1.0 / self.shape().len() as f64)
    }

    /// The sum over `axes`, which are dropped.
    ///
    /// Derivative: the gradient, repeated along the axes.
    /// Shapes: any → the shape without `axes`.
    #[track_caller]
    pub fn sum_axes(self, axes: impl Into<Axes>) -> Self {
        self.reduce(axes.into(), Keep::Drop, |axes| Sum { axes })
    }

    /// The sum over `axes`, which stay with size one.
    #[track_caller]
    pub fn sum_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce(axes.into(), Keep::Keep, |axes| Sum { axes })
    }

    /// Records a reduction that keeps its axes, and drops them if asked to.
    #[track_caller]
    pub(crate) fn reduce<R: TensorRule + Into<Op>>(
        self,
        axes: Axes,
        keep: Keep,
        op: impl FnOnce(SmallVec<[usize; 4]>) -> R,
    ) -> Self {
        let shape = self.shape();
        match shape.axes(&axes) {
            Ok(axes) => {
                let dropped = shape.reduced(&axes);
                let kept = self.record(op(axes), &[]);
                if keep == Keep::Keep { kept } else { kept.reshape(dropped) }
            }
            Err(rule) => self.fail(R::NAME, rule),
        }
    }
}

/// Whether a reduced axis stays with size one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Keep,
    Drop,
}
