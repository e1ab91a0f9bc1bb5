//! What a function can be differentiated with respect to.

use crate::error::Result;
use crate::float::Float;
use crate::gradients::Gradients;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::Handle;
use crate::var::Var;

/// Arguments of a differentiated function: numbers, tensors, and arrays of either.
pub trait Inputs<T: Float>: Clone {
    /// The handles that the function gets.
    type Handles<'t>: Handle<'t, T, Value = Self>
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
    fn tensors(&self) -> Vec<Tensor<T>> {
        self.iter().flat_map(|x| x.tensors()).collect()
    }
    fn handles<'t>(vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Option<[X::Handles<'t>; N]> {
        (0..N).map(|_| X::handles(vars)).collect::<Option<Vec<_>>>()?.try_into().ok()
    }
}
