//! A layer of two inputs.

use autograd::{Float, Param, Tensor, Var, einsum};
use rand::Rng;

use super::optional;

/// yₖ = Σᵢⱼ x₁ᵢ·Wₖᵢⱼ·x₂ⱼ + bₖ: every output weighs the products of the features of two inputs.
///
/// Starts, as in PyTorch, with W and b uniform within ±1/√inputs of the first.
///
/// # Shapes
/// `[.., inputs[0]]`, `[.., inputs[1]]` → `[.., outputs]`; `weight` is `[outputs, inputs[0], inputs[1]]`, `bias` is
/// `[outputs]`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::Bilinear;
/// use rand::{SeedableRng, rngs::StdRng};
///
/// // How well two sentences go together, from a vector of each.
/// let layer: Bilinear = Bilinear::new([3, 4], 1, &mut StdRng::seed_from_u64(0));
/// let tape = Tape::new();
/// let y = layer.forward(tape.constant(Tensor::ones([8, 3])), tape.constant(Tensor::ones([8, 4])));
/// assert_eq!(y.shape(), [8, 1].into());
/// ```
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct Bilinear<T: Float = f32> {
    /// W.
    pub weight: Param<T>,
    /// b.
    pub bias: Option<Param<T>>,
}

impl<T: Float> Bilinear<T> {
    /// A layer with a bias.
    pub fn new(inputs: [usize; 2], outputs: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let bound = T::from_f64(1.0 / (inputs[0].max(1) as f64).sqrt());
        let weight = Tensor::uniform([outputs, inputs[0], inputs[1]], -bound, bound, rng);
        Self { weight: weight.into(), bias: Some(Tensor::uniform([outputs], -bound, bound, rng).into()) }
    }

    /// The same layer without its bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// Σ x₁·W·x₂ + b.
    #[track_caller]
    pub fn forward<'t>(&self, x1: Var<'t, T>, x2: Var<'t, T>) -> Var<'t, T> {
        let y = einsum("...i,kij,...j->...k", &[x1, x1.param(&self.weight), x2]);
        match optional(x1, &self.bias) {
            Some(bias) => y + bias,
            None => y,
        }
    }
}
