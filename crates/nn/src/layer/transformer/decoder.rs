//! Sequences that look at themselves and at another one.

use autograd::{Float, Var};
use rand::Rng;

use super::{TransformerActivation, TransformerConfig, normed};
use crate::layer::{AttentionMask, Dropout, LayerNorm, Linear, MultiheadAttention};

/// A layer of a transformer that also reads another sequence: attention of a sequence to itself, attention to the other
/// sequence, and two dense maps with an activation between them; each adds to what it reads.
///
/// Names, defaults and initial distributions are PyTorch's.
///
/// # Shapes
/// `[length, batch, width]`, or `[batch, length, width]` if `batch_first`, or `[length, width]`, unchanged; the other
/// sequence likewise, with a length of its own.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::{AttentionMask, TransformerConfig, TransformerDecoderLayer};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let config = TransformerConfig { feedforward: 32, batch_first: true, ..TransformerConfig::default() };
/// let layer: TransformerDecoderLayer =
///     TransformerDecoderLayer::with_config(8, 2, &config, &mut StdRng::seed_from_u64(0));
/// let tape = Tape::new();
/// let (x, memory) = (tape.constant(Tensor::ones([4, 10, 8])), tape.constant(Tensor::ones([4, 7, 8])));
/// let y = layer.forward_with(x, memory, &AttentionMask::causal(), &AttentionMask::default());
/// assert_eq!(y.shape(), [4, 10, 8].into());
/// ```
///
/// Vaswani et al., *Attention is all you need*, NeurIPS 2017.
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct TransformerDecoderLayer<T: Float = f32> {
    /// The attention to itself.
    pub self_attn: MultiheadAttention<T>,
    /// The attention to the other sequence.
    pub multihead_attn: MultiheadAttention<T>,
    /// The first dense map.
    pub linear1: Linear<T>,
    /// Drops what the activation gives.
    pub dropout: Dropout,
    /// The second dense map.
    pub linear2: Linear<T>,
    /// Belongs to the attention to itself.
    pub norm1: LayerNorm<T>,
    /// Belongs to the attention to the other sequence.
    pub norm2: LayerNorm<T>,
    /// Belongs to the dense maps.
    pub norm3: LayerNorm<T>,
    /// Drops what the attention to itself adds.
    pub dropout1: Dropout,
    /// Drops what the attention to the other sequence adds.
    pub dropout2: Dropout,
    /// Drops what the dense maps add.
    pub dropout3: Dropout,
    /// What stands between the dense maps.
    pub activation: TransformerActivation,
    /// Whether what is read is normalised, and not the sum.
    pub norm_first: bool,
}

impl<T: Float> TransformerDecoderLayer<T> {
    /// A layer for vectors of this width.
    pub fn new(width: usize, heads: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::with_config(width, heads, &TransformerConfig::default(), rng)
    }

    /// A layer with these settings.
    pub fn with_config(width: usize, heads: usize, config: &TransformerConfig, rng: &mut (impl Rng + ?Sized)) -> Self {
        let [self_attn, multihead_attn] = [(); 2].map(|()| config.attention(width, heads, rng));
        let [linear1, linear2] = config.dense(width, rng);
        let [dropout, dropout1, dropout2, dropout3] = [(); 4].map(|()| Dropout::new(config.dropout, rng));
        let [norm1, norm2, norm3] = [(); 3].map(|()| config.norm(width));
        Self {
            self_attn,
            multihead_attn,
            linear1,
            dropout,
            linear2,
            norm1,
            norm2,
            norm3,
            dropout1,
            dropout2,
            dropout3,
            activation: config.activation,
            norm_first: config.norm_first,
        }
    }

    /// The sequence after this layer, which read `memory`.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>, memory: Var<'t, T>) -> Var<'t, T> {
        self.forward_with(x, memory, &AttentionMask::default(), &AttentionMask::default())
    }

    /// The sequence after this layer, where some positions do not see each other, or not all of `memory`.
    #[track_caller]
    pub fn forward_with<'t>(
        &self,
        x: Var<'t, T>,
        memory: Var<'t, T>,
        mask: &AttentionMask<'t, T>,
        memory_mask: &AttentionMask<'t, T>,
    ) -> Var<'t, T> {
        let first = self.norm_first;
        let seen = self.self_attn.forward_self(normed(x, &self.norm1, first), mask);
        let x = normed(x + self.dropout1.forward(seen), &self.norm1, !first);
        let read = self.multihead_attn.forward_with(normed(x, &self.norm2, first), memory, memory, memory_mask);
        let x = normed(x + self.dropout2.forward(read), &self.norm2, !first);
        let hidden = self.activation.of(self.linear1.forward(normed(x, &self.norm3, first)));
        let dense = self.linear2.forward(self.dropout.forward(hidden));
        normed(x + self.dropout3.forward(dense), &self.norm3, !first)
    }
}

/// Layers of a transformer that read another sequence, one after the other, and a normalisation at the end if there is one.
///
/// # Shapes
/// As a [`TransformerDecoderLayer`].
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::{TransformerConfig, TransformerDecoder};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let config = TransformerConfig { feedforward: 32, ..TransformerConfig::default() };
/// let decoder: TransformerDecoder = TransformerDecoder::new(3, 8, 2, &config, &mut StdRng::seed_from_u64(0));
/// let tape = Tape::new();
/// let (x, memory) = (tape.constant(Tensor::ones([10, 4, 8])), tape.constant(Tensor::ones([7, 4, 8])));
/// assert_eq!(decoder.forward(x, memory).shape(), [10, 4, 8].into());
/// ```
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct TransformerDecoder<T: Float = f32> {
    /// The layers.
    pub layers: Vec<TransformerDecoderLayer<T>>,
    /// What comes after them. Default: nothing.
    pub norm: Option<LayerNorm<T>>,
}

impl<T: Float> TransformerDecoder<T> {
    /// So many layers, each with numbers of its own from the start.
    pub fn new(
        count: usize,
        width: usize,
        heads: usize,
        config: &TransformerConfig,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let layer = |_| TransformerDecoderLayer::with_config(width, heads, config, rng);
        Self { layers: (0..count).map(layer).collect(), norm: None }
    }

    /// The same layers with a normalisation at the end, as layers with `norm_first` want it.
    #[must_use]
    pub fn with_norm(self, norm: LayerNorm<T>) -> Self {
        Self { norm: Some(norm), ..self }
    }

    /// The sequence after all layers, which read `memory`.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>, memory: Var<'t, T>) -> Var<'t, T> {
        self.forward_with(x, memory, &AttentionMask::default(), &AttentionMask::default())
    }

    /// The sequence after all layers, where some positions do not see each other, or not all of `memory`.
    #[track_caller]
    pub fn forward_with<'t>(
        &self,
        x: Var<'t, T>,
        memory: Var<'t, T>,
        mask: &AttentionMask<'t, T>,
        memory_mask: &AttentionMask<'t, T>,
    ) -> Var<'t, T> {
        let mut x = x;
        for layer in &self.layers {
            x = layer.forward_with(x, memory, mask, memory_mask);
        }
        self.norm.as_ref().map_or(x, |norm| norm.forward(x))
    }
}
