//! What a derivative can be taken with respect to, on a recording: one handle, or an array of them.

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::forward::Tangents;
use crate::reverse::recorded::Adjoints;
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use crate::var::Var;

/// A `Scalar`, a `Var`, or an array of either.
pub trait Handle<'t, T: Float>: Copy {
    /// The plain data behind the handle: a number, a tensor, or an array of either.
    type Value: Clone;

    /// The value.
    ///
    /// # Errors
    /// When the handle has failed.
    #[doc(hidden)]
    fn read(self) -> Result<Self::Value>;

    /// The value, whatever it is where the handle has failed.
    #[doc(hidden)]
    fn peek(self) -> Self::Value;

    #[doc(hidden)]
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self;

    #[doc(hidden)]
    #[track_caller]
    fn set_tangent(self, op: &'static str, along: Self::Value, tangents: &mut Tangents<T>) -> Result<()>;

    #[doc(hidden)]
    fn tangent(self, tangents: &Tangents<T>) -> Self::Value;
}

/// The result of a recorded reverse sweep.
#[doc(hidden)]
pub struct Gradient<'t, T: Float>(pub(super) Adjoints<'t, T>);

impl<'t, T: Float> Handle<'t, T> for Scalar<'t, T> {
    type Value = T;

    fn read(self) -> Result<T> {
        self.value()
    }
    fn peek(self) -> T {
        self.number
    }
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        adjoints.0.of_scalar(self)
    }
    fn set_tangent(self, _: &'static str, along: T, tangents: &mut Tangents<T>) -> Result<()> {
        tangents.set_scalar(self, along);
        Ok(())
    }
    fn tangent(self, tangents: &Tangents<T>) -> T {
        tangents.of_scalar(self)
    }
}

impl<'t, T: Float> Handle<'t, T> for Var<'t, T> {
    type Value = Tensor<T>;

    fn read(self) -> Result<Tensor<T>> {
        self.value()
    }
    fn peek(self) -> Tensor<T> {
        self.value().unwrap_or_else(|_| Tensor::zeros([0]))
    }
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        adjoints.0.of_var(self)
    }
    #[track_caller]
    fn set_tangent(self, op: &'static str, along: Tensor<T>, tangents: &mut Tangents<T>) -> Result<()> {
        if *along.shape() != self.shape() {
            return Err(Error::new(op, Rule::Shape { expected: self.shape(), found: along.shape().clone() }));
        }
        tangents.set_var(self, along);
        Ok(())
    }
    fn tangent(self, tangents: &Tangents<T>) -> Tensor<T> {
        tangents.of_var(self)
    }
}

impl<'t, T: Float, H: Handle<'t, T>, const N: usize> Handle<'t, T> for [H; N] {
    type Value = [H::Value; N];

    fn read(self) -> Result<[H::Value; N]> {
        self.into_iter().try_for_each(|handle| handle.read().map(drop))?;
        Ok(self.peek())
    }
    fn peek(self) -> [H::Value; N] {
        self.map(Handle::peek)
    }
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        self.map(|handle| handle.adjoint(adjoints))
    }
    #[track_caller]
    fn set_tangent(self, op: &'static str, along: [H::Value; N], tangents: &mut Tangents<T>) -> Result<()> {
        for (handle, along) in self.into_iter().zip(along) {
            handle.set_tangent(op, along, tangents)?;
        }
        Ok(())
    }
    fn tangent(self, tangents: &Tangents<T>) -> [H::Value; N] {
        self.map(|handle| handle.tangent(tangents))
    }
}
