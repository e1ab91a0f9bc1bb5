//! The dense layer.

use autograd::{Float, Param, Var};
use rand::Rng;

use super::{layer, optional};
use crate::init;

/// y = x·Wᵀ + b along the last axis.
///
/// Starts, as in PyTorch, with W and b uniform within ±1/√inputs.
///
/// # Shapes
/// `[.., inputs]` → `[.., outputs]`; `weight` is `[outputs, inputs]`, `bias` is `[outputs]`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::Linear;
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let layer: Linear = Linear::new(3, 5, &mut StdRng::seed_from_u64(0));
/// let tape = Tape::new();
/// let y = layer.forward(tape.constant(Tensor::ones([8, 3])));
/// assert_eq!(y.shape(), [8, 5].into());
/// ```
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct Linear<T: Float = f32> {
    /// W.
    pub weight: Param<T>,
    /// b.
    pub bias: Option<Param<T>>,
}

impl<T: Float> Linear<T> {
    /// A layer with a bias.
    pub fn new(inputs: usize, outputs: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let [weight, bias] = init::layer_default([outputs, inputs], outputs, rng);
        Self { weight: weight.into(), bias: Some(bias.into()) }
    }

    /// The same layer without its bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// x·Wᵀ + b.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.linear(x.param(&self.weight), optional(x, &self.bias))
    }
}

layer!(Linear<T>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModuleExt;
    use autograd::{Tape, Tensor};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn a_wrong_width_names_both_shapes_and_the_users_line() {
        let layer = Linear::<f32>::new(3, 5, &mut StdRng::seed_from_u64(0));
        let tape = Tape::new();
        let error = layer.forward(tape.constant(Tensor::zeros([8, 4]))).value().unwrap_err().to_string();
        assert!(error.starts_with("linear: ") && error.contains("[8, 4]") && error.contains("[3, 5]"), "{error}");
        assert!(error.contains("layer/linear.rs"), "{error}");
    }

    #[test]
    fn names_and_layout_are_pytorchs() {
        let layer = Linear::<f64>::new(2, 1, &mut StdRng::seed_from_u64(0));
        let names: Vec<_> = layer.named_parameters().iter().map(|(n, p)| format!("{n} {}", p.shape())).collect();
        assert_eq!(names, ["weight [1, 2]", "bias [1]"]);
        let layer = Linear::<f64> { weight: Tensor::from([[2.0, 3.0]]).into(), bias: Some(Tensor::from([0.5]).into()) };
        let tape = Tape::new();
        assert_eq!(layer.forward(tape.constant([10.0, 1.0])).value().unwrap().to_vec(), [23.5]);
        assert_eq!(layer.without_bias().parameter_count(), 2);
    }
}
