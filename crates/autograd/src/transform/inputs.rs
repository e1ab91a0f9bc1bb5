//! What a function can be differentiated with respect to.

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::forward::Tangents;
use crate::gradients::Gradients;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::Handle;
use crate::var::Var;

/// Arguments of a differentiated function: numbers, tensors, and arrays of either.
pub trait Inputs<T: Float>: Clone {
    /// The handles that the function gets.
    type Handles<'t>: Handle<'t, T>
    where
        T: 't;

    /// Puts the arguments on a tape, as variables.
    fn record<'t>(&self, tape: &'t Tape<T>) -> Self::Handles<'t>;

    /// The gradients of the handles, in the form of the arguments.
    ///
    /// # Errors
    /// When a handle has failed.
    fn gradients<'t>(&self, handles: Self::Handles<'t>, gradients: &Gradients<T>) -> Result<Self>;

    /// Zeros in the form of the arguments.
    fn zeros(&self) -> Self;

    /// The values of the handles.
    ///
    /// # Errors
    /// When a handle has failed.
    fn values<'t>(&self, handles: Self::Handles<'t>) -> Result<Self>;

    #[doc(hidden)]
    #[track_caller]
    fn set_tangents<'t>(&self, handles: Self::Handles<'t>, along: &Self, tangents: &mut Tangents<T>) -> Result<()>;

    #[doc(hidden)]
    fn tangents<'t>(&self, handles: Self::Handles<'t>, tangents: &Tangents<T>) -> Self;

    /// The arguments as a list of tensors.
    #[doc(hidden)]
    fn tensors(&self) -> Vec<Tensor<T>>;

    /// The handles for tensors in the order of [`tensors`](Self::tensors); `None` when there are too few.
    #[doc(hidden)]
    fn handles<'t>(vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Option<Self::Handles<'t>>;
}

macro_rules! number {
    ($($float:ident)*) => {$(
        impl Inputs<$float> for $float {
            type Handles<'t> = Scalar<'t, $float>;

            #[track_caller]
            fn record<'t>(&self, tape: &'t Tape<$float>) -> Scalar<'t, $float> {
                tape.scalar(*self)
            }
            fn gradients<'t>(&self, handle: Scalar<'t, $float>, gradients: &Gradients<$float>) -> Result<Self> {
                gradients.of(handle)
            }
            fn zeros(&self) -> Self {
                0.0
            }
            fn values<'t>(&self, handle: Scalar<'t, $float>) -> Result<Self> {
                handle.value()
            }
            fn set_tangents<'t>(
                &self,
                handle: Scalar<'t, $float>,
                along: &Self,
                tangents: &mut Tangents<$float>,
            ) -> Result<()> {
                tangents.set_scalar(handle, *along);
                Ok(())
            }
            fn tangents<'t>(&self, handle: Scalar<'t, $float>, tangents: &Tangents<$float>) -> Self {
                tangents.of_scalar(handle)
            }
            fn tensors(&self) -> Vec<Tensor<$float>> {
                vec![Tensor::scalar(*self)]
            }
            fn handles<'t>(vars: &mut dyn Iterator<Item = Var<'t, $float>>) -> Option<Scalar<'t, $float>> {
                vars.next().map(Var::item)
            }
        }
    )*};
}

number!(f32 f64);

impl<T: Float> Inputs<T> for Tensor<T> {
    type Handles<'t> = Var<'t, T>;

    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> Var<'t, T> {
        tape.var(self.clone())
    }
    fn gradients<'t>(&self, handle: Var<'t, T>, gradients: &Gradients<T>) -> Result<Self> {
        Ok(gradients.of(handle).cloned().unwrap_or_else(|_| self.zeros()))
    }
    fn zeros(&self) -> Self {
        Tensor::zeros(self.shape())
    }
    fn values<'t>(&self, handle: Var<'t, T>) -> Result<Self> {
        handle.value()
    }
    #[track_caller]
    fn set_tangents<'t>(&self, handle: Var<'t, T>, along: &Self, tangents: &mut Tangents<T>) -> Result<()> {
        if along.shape() != self.shape() {
            let rule = Rule::Shape { expected: self.shape().clone(), found: along.shape().clone() };
            return Err(Error::new("jvp", rule));
        }
        tangents.set_var(handle, along.clone());
        Ok(())
    }
    fn tangents<'t>(&self, handle: Var<'t, T>, tangents: &Tangents<T>) -> Self {
        tangents.of_var(handle)
    }
    fn tensors(&self) -> Vec<Tensor<T>> {
        vec![self.clone()]
    }
    fn handles<'t>(vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Option<Var<'t, T>> {
        vars.next()
    }
}

impl<T: Float, X: Inputs<T>, const N: usize> Inputs<T> for [X; N] {
    type Handles<'t>
        = [X::Handles<'t>; N]
    where
        T: 't;

    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> [X::Handles<'t>; N] {
        std::array::from_fn(|i| self[i].record(tape))
    }
    fn gradients<'t>(&self, handles: [X::Handles<'t>; N], gradients: &Gradients<T>) -> Result<Self> {
        let mut found = self.clone();
        for ((found, x), handle) in found.iter_mut().zip(self).zip(handles) {
            *found = x.gradients(handle, gradients)?;
        }
        Ok(found)
    }
    fn zeros(&self) -> Self {
        std::array::from_fn(|i| self[i].zeros())
    }
    fn values<'t>(&self, handles: [X::Handles<'t>; N]) -> Result<Self> {
        let mut found = self.clone();
        for ((found, x), handle) in found.iter_mut().zip(self).zip(handles) {
            *found = x.values(handle)?;
        }
        Ok(found)
    }
    #[track_caller]
    fn set_tangents<'t>(&self, handles: [X::Handles<'t>; N], along: &Self, tangents: &mut Tangents<T>) -> Result<()> {
        for ((x, handle), along) in self.iter().zip(handles).zip(along) {
            x.set_tangents(handle, along, tangents)?;
        }
        Ok(())
    }
    fn tangents<'t>(&self, handles: [X::Handles<'t>; N], tangents: &Tangents<T>) -> Self {
        std::array::from_fn(|i| self[i].tangents(handles[i], tangents))
    }
    fn tensors(&self) -> Vec<Tensor<T>> {
        self.iter().flat_map(|x| x.tensors()).collect()
    }
    fn handles<'t>(vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Option<[X::Handles<'t>; N]> {
        (0..N).map(|_| X::handles(vars)).collect::<Option<Vec<_>>>()?.try_into().ok()
    }
}
