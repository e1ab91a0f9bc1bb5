//! Transformers: layers of attention and of dense maps.

mod decoder;
mod encoder;

pub use decoder::{TransformerDecoder, TransformerDecoderLayer};
pub use encoder::{TransformerEncoder, TransformerEncoderLayer};

use autograd::{Float, Var};
use rand::Rng;

use super::{Dropout, LayerNorm, Linear, MultiheadAttention};

/// Settings of the layers of a transformer. The defaults are PyTorch's.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerConfig {
    /// The width between the two dense maps. Default: 2048.
    pub feedforward: usize,
    /// The probability of being dropped, of attention weights and of what each part of a layer adds. Default: 0.1.
    pub dropout: f64,
    /// What stands between the two dense maps. Default: relu.
    pub activation: TransformerActivation,
    /// Whether each part of a layer normalises what it reads and not what it has added to. Default: no.
    pub norm_first: bool,
    /// Whether the batch is the first axis and not the second. Default: no.
    pub batch_first: bool,
    /// ε of the normalisations. Default: 10⁻⁵.
    pub epsilon: f64,
}

impl Default for TransformerConfig {
    fn default() -> Self {
        let activation = TransformerActivation::Relu;
        Self { feedforward: 2048, dropout: 0.1, activation, norm_first: false, batch_first: false, epsilon: 1e-5 }
    }
}

/// The function between the dense maps of a transformer's layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, autograd_derive::Module)]
pub enum TransformerActivation {
    /// max(0, x).
    #[default]
    Relu,
    /// x·Φ(x).
    Gelu,
    /// The usual approximation of x·Φ(x).
    GeluTanh,
    /// x·sigmoid x.
    Silu,
}

impl TransformerActivation {
    #[track_caller]
    fn of<'t, T: Float>(self, x: Var<'t, T>) -> Var<'t, T> {
        match self {
            Self::Relu => x.relu(),
            Self::Gelu => x.gelu(),
            Self::GeluTanh => x.gelu_tanh(),
            Self::Silu => x.silu(),
        }
    }
}

/// Each part of a layer adds to the sequence that runs through, `x + part(norm x)` or `norm(x + part x)`: normalises, where
/// this is the place.
#[track_caller]
fn normed<'t, T: Float>(x: Var<'t, T>, norm: &LayerNorm<T>, is_here: bool) -> Var<'t, T> {
    if is_here { norm.forward(x) } else { x }
}

impl TransformerConfig {
    fn attention<T: Float>(&self, width: usize, heads: usize, rng: &mut (impl Rng + ?Sized)) -> MultiheadAttention<T> {
        let dropout = Dropout::new(self.dropout, rng);
        MultiheadAttention { dropout, batch_first: self.batch_first, ..MultiheadAttention::new(width, heads, rng) }
    }

    fn dense<T: Float>(&self, width: usize, rng: &mut (impl Rng + ?Sized)) -> [Linear<T>; 2] {
        [Linear::new(width, self.feedforward, rng), Linear::new(self.feedforward, width, rng)]
    }

    fn norm<T: Float>(&self, width: usize) -> LayerNorm<T> {
        LayerNorm { epsilon: self.epsilon, ..LayerNorm::new(width) }
    }
}
