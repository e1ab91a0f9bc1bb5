//! Sequences that look at themselves.

use autograd::{Float, Var};
use rand::Rng;

use super::{TransformerActivation, TransformerConfig, normed};
use crate::layer::{AttentionMask, Dropout, LayerNorm, Linear, MultiheadAttention, layer};

/// A layer of a transformer: attention of a sequence to itself, then two dense maps with an activation between them for
/// every position; each adds to what it reads.
///
/// Names, defaults and initial distributions are PyTorch's.
///
/// # Shapes
/// `[length, batch, width]`, or `[batch, length, width]` if `batch_first`, or `[length, width]`, unchanged.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::{AttentionMask, TransformerConfig, TransformerEncoderLayer};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let config = TransformerConfig { feedforward: 32, norm_first: true, batch_first: true, ..Default::default() };
/// let layer: TransformerEncoderLayer =
///     TransformerEncoderLayer::with_config(8, 2, &config, &mut StdRng::seed_from_u64(0));
/// let tape = Tape::new();
/// let x = tape.constant(Tensor::ones([4, 10, 8]));
/// assert_eq!(layer.forward_with(x, &AttentionMask::causal()).shape(), [4, 10, 8].into());
/// ```
///
/// Vaswani et al., *Attention is all you need*, NeurIPS 2017; Xiong et al., *On layer normalization in the transformer
/// architecture*, ICML 2020, for `norm_first`.
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct TransformerEncoderLayer<T: Float = f32> {
    /// The attention.
    pub self_attn: MultiheadAttention<T>,
    /// The first dense map.
    pub linear1: Linear<T>,
    /// Drops what the activation gives.
    pub dropout: Dropout,
    /// The second dense map.
    pub linear2: Linear<T>,
    /// Belongs to the attention.
    pub norm1: LayerNorm<T>,
    /// Belongs to the dense maps.
    pub norm2: LayerNorm<T>,
    /// Drops what the attention adds.
    pub dropout1: Dropout,
    /// Drops what the dense maps add.
    pub dropout2: Dropout,
    /// What stands between the dense maps.
    pub activation: TransformerActivation,
    /// Whether what is read is normalised, and not the sum.
    pub norm_first: bool,
}

impl<T: Float> TransformerEncoderLayer<T> {
    /// A layer for vectors of this width.
    pub fn new(width: usize, heads: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::with_config(width, heads, &TransformerConfig::default(), rng)
    }

    /// A layer with these settings.
    pub fn with_config(width: usize, heads: usize, config: &TransformerConfig, rng: &mut (impl Rng + ?Sized)) -> Self {
        let self_attn = config.attention(width, heads, rng);
        let [linear1, linear2] = config.dense(width, rng);
        let [dropout, dropout1, dropout2] = [(); 3].map(|()| Dropout::new(config.dropout, rng));
        let [norm1, norm2] = [(); 2].map(|()| config.norm(width));
        let &TransformerConfig { activation, norm_first, .. } = config;
        Self { self_attn, linear1, dropout, linear2, norm1, norm2, dropout1, dropout2, activation, norm_first }
    }

    /// The sequence after this layer.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.forward_with(x, &AttentionMask::default())
    }

    /// The sequence after this layer, where some positions do not see each other.
    #[track_caller]
    pub fn forward_with<'t>(&self, x: Var<'t, T>, mask: &AttentionMask<'t, T>) -> Var<'t, T> {
        let first = self.norm_first;
        let seen = self.self_attn.forward_self(normed(x, &self.norm1, first), mask);
        let x = normed(x + self.dropout1.forward(seen), &self.norm1, !first);
        let hidden = self.activation.of(self.linear1.forward(normed(x, &self.norm2, first)));
        let dense = self.linear2.forward(self.dropout.forward(hidden));
        normed(x + self.dropout2.forward(dense), &self.norm2, !first)
    }
}

layer!(TransformerEncoderLayer<T>);

/// Layers of a transformer one after the other, and a normalisation at the end if there is one.
///
/// # Shapes
/// As a [`TransformerEncoderLayer`].
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::{TransformerConfig, TransformerEncoder};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let config = TransformerConfig { feedforward: 32, ..TransformerConfig::default() };
/// let encoder: TransformerEncoder = TransformerEncoder::new(3, 8, 2, &config, &mut StdRng::seed_from_u64(0));
/// let tape = Tape::new();
/// let y = encoder.forward(tape.constant(Tensor::ones([10, 4, 8])));
/// assert_eq!(y.shape(), [10, 4, 8].into());
/// ```
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct TransformerEncoder<T: Float = f32> {
    /// The layers.
    pub layers: Vec<TransformerEncoderLayer<T>>,
    /// What comes after them. Default: nothing.
    pub norm: Option<LayerNorm<T>>,
}

impl<T: Float> TransformerEncoder<T> {
    /// So many layers, each with numbers of its own from the start.
    pub fn new(
        count: usize,
        width: usize,
        heads: usize,
        config: &TransformerConfig,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let layer = |_| TransformerEncoderLayer::with_config(width, heads, config, rng);
        Self { layers: (0..count).map(layer).collect(), norm: None }
    }

    /// The same layers with a normalisation at the end, as layers with `norm_first` want it.
    #[must_use]
    pub fn with_norm(self, norm: LayerNorm<T>) -> Self {
        Self { norm: Some(norm), ..self }
    }

    /// The sequence after all layers.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.forward_with(x, &AttentionMask::default())
    }

    /// The sequence after all layers, where some positions do not see each other.
    #[track_caller]
    pub fn forward_with<'t>(&self, x: Var<'t, T>, mask: &AttentionMask<'t, T>) -> Var<'t, T> {
        let mut x = x;
        for layer in &self.layers {
            x = layer.forward_with(x, mask);
        }
        self.norm.as_ref().map_or(x, |norm| norm.forward(x))
    }
}

layer!(TransformerEncoder<T>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModuleExt, Sequential};
    use autograd::{Tape, Tensor};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn config() -> TransformerConfig {
        TransformerConfig { feedforward: 12, batch_first: true, ..TransformerConfig::default() }
    }

    #[test]
    fn a_causal_encoder_does_not_look_ahead() {
        let rng = &mut StdRng::seed_from_u64(1);
        let mut encoder = TransformerEncoder::<f64>::new(2, 8, 2, &config(), rng).with_norm(LayerNorm::new(8));
        encoder.eval();
        let tape = Tape::new();
        let x = tape.var(Tensor::normal([1, 5, 8], 0.0, 1.0, rng));
        let third = encoder.forward_with(x, &AttentionMask::causal()).index_axis(1, 2);
        let gradients = (third * tape.constant(Tensor::normal([8], 0.0, 1.0, rng))).sum().backward().unwrap();
        let of_position = |k: usize| gradients.of(x).unwrap().index_axis(1, k).unwrap().iter().any(|g| g != 0.0);
        assert_eq!([0, 1, 2, 3, 4].map(of_position), [true, true, true, false, false]);
    }

    #[test]
    fn parts_are_dropped_in_training_alone() {
        let rng = &mut StdRng::seed_from_u64(1);
        let mut layer = TransformerEncoderLayer::<f64>::with_config(8, 2, &config(), rng);
        let tape = Tape::new();
        let x = tape.constant(Tensor::normal([2, 5, 8], 0.0, 1.0, rng));
        let run = |layer: &TransformerEncoderLayer<f64>| layer.forward(x).value().unwrap();
        assert_ne!(run(&layer), run(&layer));
        layer.eval();
        assert_eq!(run(&layer), run(&layer));
    }

    #[test]
    fn layers_stand_in_a_sequence() {
        let rng = &mut StdRng::seed_from_u64(1);
        let model = Sequential::<f64>::new().with(TransformerEncoderLayer::new(4, 2, rng)).with(Linear::new(4, 1, rng));
        let tape = Tape::new();
        assert_eq!(model.forward(tape.constant(Tensor::zeros([3, 2, 4]))).shape(), [3, 2, 1].into());
    }
}
