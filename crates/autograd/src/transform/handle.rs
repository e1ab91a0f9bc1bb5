//! What a derivative can be taken with respect to, on a recording: one handle, or several.

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::forward::Tangents;
use crate::reverse::recorded::Adjoints;
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use crate::transform::Data;
use crate::var::Var;

/// A `Scalar`, a `Var`, or an array, vector or tuple of such.
pub trait Handle<'t, T: Float>: Clone {
    /// The plain data behind the handle: a number, a tensor, or an array, vector or tuple of such.
    type Value: Clone;

    /// # Errors
    /// When the handle has failed.
    #[doc(hidden)]
    fn ensure(&self) -> Result<()>;

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

    fn ensure(&self) -> Result<()> {
        Scalar::ensure(*self)
    }
    fn peek(self) -> T {
        self.read()
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

    fn ensure(&self) -> Result<()> {
        Var::ensure(*self)
    }
    fn peek(self) -> Tensor<T> {
        self.value().unwrap_or_else(|_| Tensor::zeros([0]))
    }
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        adjoints.0.of_var(self)
    }
    #[track_caller]
    fn set_tangent(self, op: &'static str, along: Tensor<T>, tangents: &mut Tangents<T>) -> Result<()> {
        along.shape().must_be("the direction", &self.shape()).map_err(Error::at(op))?;
        tangents.set_var(self, along);
        Ok(())
    }
    fn tangent(self, tangents: &Tangents<T>) -> Tensor<T> {
        tangents.of_var(self)
    }
}

impl<'t, T: Float, H: Handle<'t, T>, const N: usize> Handle<'t, T> for [H; N] {
    type Value = [H::Value; N];

    fn ensure(&self) -> Result<()> {
        self.iter().try_for_each(Handle::ensure)
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

impl<'t, T: Float, H: Handle<'t, T>> Handle<'t, T> for Vec<H> {
    type Value = Vec<H::Value>;

    fn ensure(&self) -> Result<()> {
        self.iter().try_for_each(Handle::ensure)
    }
    fn peek(self) -> Vec<H::Value> {
        self.into_iter().map(Handle::peek).collect()
    }
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        self.into_iter().map(|handle| handle.adjoint(adjoints)).collect()
    }
    #[track_caller]
    fn set_tangent(self, op: &'static str, along: Vec<H::Value>, tangents: &mut Tangents<T>) -> Result<()> {
        if along.len() != self.len() {
            let (expected, found) = ([self.len()].into(), [along.len()].into());
            return Err(Error::new(op, Rule::Shape { expected, found }));
        }
        for (handle, along) in self.into_iter().zip(along) {
            handle.set_tangent(op, along, tangents)?;
        }
        Ok(())
    }
    fn tangent(self, tangents: &Tangents<T>) -> Vec<H::Value> {
        self.into_iter().map(|handle| handle.tangent(tangents)).collect()
    }
}

impl<'t, T: Float, H: Handle<'t, T>> Handle<'t, T> for Data<H> {
    type Value = Data<H::Value>;

    fn ensure(&self) -> Result<()> {
        self.0.ensure()
    }
    fn peek(self) -> Data<H::Value> {
        Data(self.0.peek())
    }
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        Data(self.0.adjoint(&Gradient(adjoints.0.of_nothing())))
    }
    fn set_tangent(self, _: &'static str, _: Data<H::Value>, _: &mut Tangents<T>) -> Result<()> {
        Ok(())
    }
    fn tangent(self, tangents: &Tangents<T>) -> Data<H::Value> {
        Data(self.0.tangent(tangents))
    }
}

macro_rules! tuple {
    ($($handle:ident $place:tt),*) => {
        impl<'t, T: Float, $($handle: Handle<'t, T>),*> Handle<'t, T> for ($($handle,)*) {
            type Value = ($($handle::Value,)*);

            fn ensure(&self) -> Result<()> {
                $(self.$place.ensure()?;)*
                Ok(())
            }
            fn peek(self) -> Self::Value {
                ($(self.$place.peek(),)*)
            }
            fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
                ($(self.$place.adjoint(adjoints),)*)
            }
            #[track_caller]
            fn set_tangent(self, op: &'static str, along: Self::Value, tangents: &mut Tangents<T>) -> Result<()> {
                $(self.$place.set_tangent(op, along.$place, tangents)?;)*
                Ok(())
            }
            fn tangent(self, tangents: &Tangents<T>) -> Self::Value {
                ($(self.$place.tangent(tangents),)*)
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
