//! What a prediction is compared with.

use autograd::{Float, Indices, Tensor, Var};

/// Numbers that a prediction is compared with: data, or a tensor on the tape that gets a gradient too.
///
/// Made by `into` from a `Tensor`, a `&Tensor`, or a `Var`.
#[derive(Debug, Clone)]
pub enum Target<'t, T: Float = f32> {
    /// Data.
    NoGrad(Tensor<T>),
    /// A tensor on the tape.
    Var(Var<'t, T>),
}

impl<'t, T: Float> Target<'t, T> {
    /// The target on the tape of `prediction`, and the prediction: failed in `loss` if the shapes differ.
    #[track_caller]
    pub(super) fn meet(self, prediction: Var<'t, T>, loss: &'static str) -> [Var<'t, T>; 2] {
        let target = match self {
            Target::NoGrad(data) => prediction.tape().constant(data),
            Target::Var(var) => var,
        };
        match target.shape().must_be("the target", &prediction.shape()) {
            Err(kind) if !target.is_failed() => [prediction.fail(loss, kind), target],
            _ => [prediction, target],
        }
    }
}

impl<T: Float> From<Tensor<T>> for Target<'_, T> {
    fn from(data: Tensor<T>) -> Self {
        Target::NoGrad(data)
    }
}

impl<T: Float> From<&Tensor<T>> for Target<'_, T> {
    fn from(data: &Tensor<T>) -> Self {
        Target::NoGrad(data.clone())
    }
}

impl<'t, T: Float> From<Var<'t, T>> for Target<'t, T> {
    fn from(var: Var<'t, T>) -> Self {
        Target::Var(var)
    }
}

impl<'t, T: Float> From<&Var<'t, T>> for Target<'t, T> {
    fn from(var: &Var<'t, T>) -> Self {
        Target::Var(*var)
    }
}

/// What classes a prediction is compared with: one class for each sample, or a distribution over classes.
///
/// Made by `into` from class indices (`&Tensor<usize>`, `&[usize]`, `&Vec<usize>`, arrays, [`Indices`]) or from
/// probabilities as a [`Target`] is.
#[derive(Debug, Clone)]
pub enum Labels<'t, T: Float = f32> {
    /// The index of the class of each sample.
    Classes(Tensor<usize>),
    /// The same as an argument of a function that is recorded.
    Indices(Indices<'t, T>),
    /// The probability of each class, in the shape of the prediction.
    Probabilities(Target<'t, T>),
}

macro_rules! classes {
    ($($from:ty)*) => {$(
        impl<T: Float> From<$from> for Labels<'_, T> {
            fn from(classes: $from) -> Self {
                Labels::Classes(classes.into())
            }
        }
    )*};
}

classes!(Tensor<usize> &Tensor<usize> Vec<usize> &[usize]);

impl<T: Float, const N: usize> From<[usize; N]> for Labels<'_, T> {
    fn from(classes: [usize; N]) -> Self {
        classes.as_slice().into()
    }
}

impl<T: Float> From<&Vec<usize>> for Labels<'_, T> {
    fn from(classes: &Vec<usize>) -> Self {
        classes.as_slice().into()
    }
}

impl<T: Float, const N: usize> From<&[usize; N]> for Labels<'_, T> {
    fn from(classes: &[usize; N]) -> Self {
        classes.as_slice().into()
    }
}

impl<'t, T: Float> From<Indices<'t, T>> for Labels<'t, T> {
    fn from(indices: Indices<'t, T>) -> Self {
        Labels::Indices(indices)
    }
}

impl<'t, T: Float> From<&Indices<'t, T>> for Labels<'t, T> {
    fn from(indices: &Indices<'t, T>) -> Self {
        Labels::Indices(*indices)
    }
}

impl<'t, T: Float> From<Var<'t, T>> for Labels<'t, T> {
    fn from(probabilities: Var<'t, T>) -> Self {
        Labels::Probabilities(probabilities.into())
    }
}

/// For each float by name: a `Tensor<T>` for every `T` could be a `Tensor<usize>`, as far as the compiler knows.
macro_rules! probabilities {
    ($($float:ident)*) => {$(
        impl From<Tensor<$float>> for Labels<'_, $float> {
            fn from(probabilities: Tensor<$float>) -> Self {
                Labels::Probabilities(probabilities.into())
            }
        }

        impl From<&Tensor<$float>> for Labels<'_, $float> {
            fn from(probabilities: &Tensor<$float>) -> Self {
                Labels::Probabilities(probabilities.into())
            }
        }
    )*};
}

probabilities!(f32 f64);
