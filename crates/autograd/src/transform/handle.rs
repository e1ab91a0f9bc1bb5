//! What a derivative can be taken with respect to, on a recording: one handle, or several.

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::forward::Tangents;
use crate::indices::Indices;
use crate::reverse::recorded::Adjoints;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::Data;
use crate::var::Var;

/// A `Scalar`, a `Var`, or an array, vector or tuple of such.
pub trait Handle<'t, T: Float>: Clone {
    /// The plain data behind the handle: a number, a tensor, or an array, vector or tuple of such.
    type Value: Clone;

    /// # Errors
    /// When the handle has failed, or is on another tape than the one that is given.
    #[doc(hidden)]
    #[track_caller]
    fn ensure(&self, op: &'static str, tape: Option<&Tape<T>>) -> Result<()>;

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

/// The result of a recorded reverse sweep; none where nothing recorded is differentiated.
#[doc(hidden)]
pub struct Gradient<'t, T: Float>(pub(super) Option<Adjoints<'t, T>>);

/// # Errors
/// When a handle of one tape meets another.
#[track_caller]
fn ensure_same<T: Float>(op: &'static str, of: Option<&Tape<T>>, tape: Option<&Tape<T>>) -> Result<()> {
    match (of, tape) {
        (Some(of), Some(tape)) if !std::ptr::eq(of, tape) => Err(Error::new(op, Rule::TwoTapes)),
        _ => Ok(()),
    }
}

impl<'t, T: Float> Handle<'t, T> for Scalar<'t, T> {
    type Value = T;

    #[track_caller]
    fn ensure(&self, op: &'static str, tape: Option<&Tape<T>>) -> Result<()> {
        Scalar::ensure(*self)?;
        ensure_same(op, self.recorded_on(), tape)
    }
    fn peek(self) -> T {
        self.read()
    }
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        adjoints.0.as_ref().map_or(Scalar::constant(T::ZERO), |adjoints| adjoints.of_scalar(self))
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

    #[track_caller]
    fn ensure(&self, op: &'static str, tape: Option<&Tape<T>>) -> Result<()> {
        Var::ensure(*self)?;
        ensure_same(op, Some(self.tape), tape)
    }
    fn peek(self) -> Tensor<T> {
        self.value().unwrap_or_else(|_| Tensor::zeros([0]))
    }
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        let found = adjoints.0.as_ref().and_then(|adjoints| adjoints.found(self));
        found.unwrap_or_else(|| self.tape.constant(Tensor::zeros(self.shape())))
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

/// No derivative is taken of integers: what stands for it is zeros.
impl<'t, T: Float> Handle<'t, T> for Indices<'t, T> {
    type Value = Tensor<usize>;

    fn ensure(&self, _: &'static str, _: Option<&Tape<T>>) -> Result<()> {
        Indices::ensure(*self)
    }
    fn peek(self) -> Tensor<usize> {
        self.value().unwrap_or_else(|_| Tensor::zeros([0]))
    }
    #[track_caller]
    fn adjoint(self, _: &Gradient<'t, T>) -> Self {
        self.tape.indices(Tensor::zeros(self.shape()))
    }
    fn set_tangent(self, _: &'static str, _: Tensor<usize>, _: &mut Tangents<T>) -> Result<()> {
        Ok(())
    }
    fn tangent(self, _: &Tangents<T>) -> Tensor<usize> {
        Tensor::zeros(self.shape())
    }
}

impl<'t, T: Float, H: Handle<'t, T>, const N: usize> Handle<'t, T> for [H; N] {
    type Value = [H::Value; N];

    #[track_caller]
    fn ensure(&self, op: &'static str, tape: Option<&Tape<T>>) -> Result<()> {
        for handle in self {
            handle.ensure(op, tape)?;
        }
        Ok(())
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

    #[track_caller]
    fn ensure(&self, op: &'static str, tape: Option<&Tape<T>>) -> Result<()> {
        for handle in self {
            handle.ensure(op, tape)?;
        }
        Ok(())
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

    #[track_caller]
    fn ensure(&self, op: &'static str, tape: Option<&Tape<T>>) -> Result<()> {
        self.0.ensure(op, tape)
    }
    fn peek(self) -> Data<H::Value> {
        Data(self.0.peek())
    }
    fn adjoint(self, _: &Gradient<'t, T>) -> Self {
        Data(self.0.adjoint(&Gradient(None)))
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

            #[track_caller]
            fn ensure(&self, op: &'static str, tape: Option<&Tape<T>>) -> Result<()> {
                $(self.$place.ensure(op, tape)?;)*
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
