//! Attention with several heads.

use autograd::{AttentionOptions, ErrorKind, Float, Mask, Param, Shape, Var};
use rand::Rng;

use super::{Dropout, Linear, optional};
use crate::init;

/// Which keys a query sees, and how much it is drawn to them; by default every query sees every key.
///
/// In the masks true *hides*, as in PyTorch's layers. (In the options of the operation behind the layer it shows, as in
/// PyTorch's function.)
///
/// ```
/// use autograd::{ModelProgram, Tensor};
/// use nn::{AttentionMask, MultiheadAttention};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// // Each batch has its own padding.
/// let model = MultiheadAttention::<f64>::new(4, 2, &mut StdRng::seed_from_u64(0)).batch_first();
/// let batch = |padding| (Tensor::<f64>::ones([1, 3, 4]), Tensor::from([padding]));
/// let mut step = ModelProgram::record(&model, &batch([false, false, true]), |model, _, (x, padding)| {
///     model.forward_self(x, &AttentionMask { key_padding_mask: Some(padding), ..AttentionMask::default() }).sum()
/// })?;
/// step.value_and_gradients(&model, &batch([false, true, true]))?;
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct AttentionMask<'t, T: Float = f32> {
    /// Query i sees keys 0 to i alone.
    pub causal: bool,
    /// Pairs of queries and keys that do not meet: `[queries, keys]`, or any shape that broadcasts to
    /// `[batch, heads, queries, keys]`.
    pub attn_mask: Option<Mask<'t, T>>,
    /// Keys that only fill up a batch: `[batch, keys]`, or `[keys]` without a batch.
    pub key_padding_mask: Option<Mask<'t, T>>,
    /// Added to the scaled products of queries and keys; it broadcasts as `attn_mask` does, and gradients flow to it.
    pub bias: Option<Var<'t, T>>,
}

impl<'t, T: Float> AttentionMask<'t, T> {
    /// Query i sees keys 0 to i alone: no position learns from a later one.
    pub fn causal() -> Self {
        Self { causal: true, attn_mask: None, key_padding_mask: None, bias: None }
    }

    /// As the operation wants it.
    #[track_caller]
    #[allow(clippy::manual_map)] // A closure would forget the caller's line.
    fn options(&self) -> AttentionOptions<'t, T> {
        let hidden = match (self.attn_mask, self.padding()) {
            (Some(attn_mask), Some(padding)) => Some(attn_mask | padding),
            (attn_mask, padding) => attn_mask.or(padding),
        };
        let mask = match hidden {
            Some(hidden) => Some(!hidden),
            None => None,
        };
        AttentionOptions { bias: self.bias, mask, causal: self.causal, ..AttentionOptions::default() }
    }

    /// Which keys are padding, for all heads and queries: `[.., keys]` → `[.., 1, 1, keys]`.
    #[track_caller]
    fn padding(&self) -> Option<Mask<'t, T>> {
        let padding = self.key_padding_mask?;
        Some(match padding.rank() {
            0 => padding.fail(NAME, ErrorKind::MinRank { what: "the padding mask", least: 1, found: padding.shape() }),
            _ => padding.unsqueeze(-2).unsqueeze(-2),
        })
    }
}

/// Attention with several heads: queries, keys and values are mapped, each head attends on its own share of their width, and
/// what all heads found is mapped once more.
///
/// MultiHead(q, k, v) = [head₁, …]·Wᵒᵀ with headᵢ = softmax(qᵢ·kᵢᵀ/√(width/heads))·vᵢ for the i-th shares of q·W_qᵀ, k·W_kᵀ
/// and v·W_vᵀ, and with biases.
///
/// Starts, as in PyTorch, with the first three maps uniform after Glorot, the last one as a [`Linear`], and biases zero.
///
/// # Shapes
/// Queries `[length, batch, width]`, or `[batch, length, width]` if `batch_first`, or `[length, width]` → the same; keys and
/// values likewise, with a length of their own.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::{AttentionMask, MultiheadAttention};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let attention: MultiheadAttention = MultiheadAttention::new(8, 2, &mut StdRng::seed_from_u64(0)).batch_first();
/// let tape = Tape::new();
/// let x = tape.constant(Tensor::ones([4, 10, 8]));
/// let y = attention.forward_with(x, x, x, &AttentionMask::causal());
/// assert_eq!(y.shape(), [4, 10, 8].into());
/// ```
///
/// Vaswani et al., *Attention is all you need*, NeurIPS 2017.
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct MultiheadAttention<T: Float = f32> {
    /// W_q, W_k and W_v, one below the other: `[3·width, width]`.
    pub in_proj_weight: Param<T>,
    /// Their biases: `[3·width]`.
    pub in_proj_bias: Option<Param<T>>,
    /// Wᵒ and its bias.
    pub out_proj: Linear<T>,
    /// The number of heads, which divides the width.
    pub heads: usize,
    /// Whether the batch is the first axis and not the second. Default: no.
    pub batch_first: bool,
    /// Drops weights in training. Default: none.
    pub dropout: Dropout,
}

impl<T: Float> MultiheadAttention<T> {
    /// A layer with biases, for vectors of this width.
    pub fn new(width: usize, heads: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let rows = width.saturating_mul(3);
        let in_proj_weight = init::xavier_uniform([rows, width], 1.0, rng).into();
        let out_proj = Linear { bias: Some(init::zeros([width]).into()), ..Linear::new(width, width, rng) };
        let in_proj_bias = Some(init::zeros([rows]).into());
        let dropout = Dropout::new(0.0, rng);
        Self { in_proj_weight, in_proj_bias, out_proj, heads, batch_first: false, dropout }
    }

    /// The same layer for tensors whose first axis is the batch.
    #[must_use]
    pub fn batch_first(self) -> Self {
        Self { batch_first: true, ..self }
    }

    /// The same layer without its biases.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { in_proj_bias: None, out_proj: self.out_proj.without_bias(), ..self }
    }

    /// What the queries find among the keys.
    #[track_caller]
    pub fn forward<'t>(&self, query: Var<'t, T>, key: Var<'t, T>, value: Var<'t, T>) -> Var<'t, T> {
        self.forward_with(query, key, value, &AttentionMask::default())
    }

    /// What the queries find among the keys that they see.
    #[track_caller]
    pub fn forward_with<'t>(
        &self,
        query: Var<'t, T>,
        key: Var<'t, T>,
        value: Var<'t, T>,
        mask: &AttentionMask<'t, T>,
    ) -> Var<'t, T> {
        self.attend([self.map(0, query), self.map(1, key), self.map(2, value)], mask)
    }

    /// What the elements of a sequence find among themselves: as [`forward_with`](Self::forward_with), with one product for
    /// the first three maps.
    #[track_caller]
    pub fn forward_self<'t>(&self, x: Var<'t, T>, mask: &AttentionMask<'t, T>) -> Var<'t, T> {
        let all = x.linear(x.param(&self.in_proj_weight), optional(x, &self.in_proj_bias));
        self.attend([self.part(-1, 0, all), self.part(-1, 1, all), self.part(-1, 2, all)], mask)
    }

    fn width(&self) -> usize {
        self.out_proj.weight.shape()[0]
    }

    /// One of the first three maps of `x`: for queries, keys or values.
    #[track_caller]
    fn map<'t>(&self, k: usize, x: Var<'t, T>) -> Var<'t, T> {
        let weight = self.part(0, k, x.param(&self.in_proj_weight));
        match &self.in_proj_bias {
            Some(bias) => x.linear(weight, Some(self.part(0, k, x.param(bias)))),
            None => x.linear(weight, None),
        }
    }

    /// What belongs to one of the first three maps, of all three along `axis`.
    #[track_caller]
    fn part<'t>(&self, axis: isize, k: usize, all: Var<'t, T>) -> Var<'t, T> {
        all.narrow(axis, k * self.width(), self.width())
    }

    /// The vectors of a sequence in one piece for each head, with the axes in this order.
    #[track_caller]
    fn in_heads<'t>(&self, x: Var<'t, T>, order: &[isize]) -> Var<'t, T> {
        let shape = x.shape();
        let leading = shape.iter().copied().take(shape.rank() - 1);
        x.reshape(leading.chain([self.heads, self.width() / self.heads]).collect::<Shape>()).permute(order)
    }

    #[track_caller]
    fn attend<'t>(&self, qkv: [Var<'t, T>; 3], mask: &AttentionMask<'t, T>) -> Var<'t, T> {
        let (query, width) = (qkv[0], self.width());
        if let Some(&failed) = qkv.iter().find(|x| x.is_failed()) {
            return failed;
        }
        if self.heads == 0 || !width.is_multiple_of(self.heads) {
            let found = format!("{} for width {width}", self.heads);
            return query.fail(NAME, ErrorKind::Argument { name: "heads", must: "a divisor of the width", found });
        }
        let rank = query.rank();
        if let Some(odd) = qkv.iter().find(|x| !matches!(x.rank(), 2 | 3) || x.rank() != rank) {
            let (must, found) = ("sequences of vectors or batches of them", odd.shape().to_string());
            return query.fail(NAME, ErrorKind::Argument { name: "operands", must, found });
        }
        let (apart, together): (&[isize], &[isize]) = match (rank, self.batch_first) {
            (2, _) => (&[1, 0, 2], &[1, 0, 2]),
            (_, true) => (&[0, 2, 1, 3], &[0, 2, 1, 3]),
            (_, false) => (&[1, 2, 0, 3], &[2, 0, 1, 3]),
        };
        let [q, k, v] = qkv;
        let (q, k, v) = (self.in_heads(q, apart), self.in_heads(k, apart), self.in_heads(v, apart));
        let options = mask.options();
        let (dropout, seed) = self.dropout.now(query);
        let found = q.scaled_dot_product_attention(k, v, &AttentionOptions { dropout, seed, ..options });
        self.out_proj.forward(found.permute(together).reshape(query.shape()))
    }
}

const NAME: &str = "multihead_attention";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModuleExt;
    use autograd::{Tape, Tensor};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    fn layer() -> MultiheadAttention<f64> {
        MultiheadAttention::new(6, 3, &mut rng()).batch_first()
    }

    #[test]
    fn self_attention_is_attention_of_three_equal_operands() {
        let tape = Tape::new();
        let x = tape.constant(Tensor::normal([2, 5, 6], 0.0, 1.0, &mut rng()));
        for mask in [AttentionMask::default(), AttentionMask::causal()] {
            let [once, thrice] = [layer().forward_self(x, &mask), layer().forward_with(x, x, x, &mask)];
            once.value().unwrap().close_to(&thrice.value().unwrap(), 1e-14, 1e-14).unwrap();
        }
    }

    #[test]
    fn layouts_hold_the_same_numbers() {
        let tape = Tape::new();
        let x = tape.constant(Tensor::normal([2, 5, 6], 0.0, 1.0, &mut rng()));
        let batch_first = layer().forward(x, x, x).value().unwrap();
        let turned = x.transpose(0, 1);
        let other = MultiheadAttention { batch_first: false, ..layer() }.forward(turned, turned, turned);
        assert_eq!(other.transpose(0, 1).value().unwrap(), batch_first);
        let single = x.index_axis(0, 1);
        let alone = layer().forward(single, single, single).value().unwrap();
        alone.close_to(&batch_first.index_axis(0, 1).unwrap(), 1e-14, 1e-14).unwrap();
    }

    #[test]
    fn hidden_keys_make_no_difference() {
        let tape = Tape::new();
        let x = tape.constant(Tensor::normal([2, 4, 6], 0.0, 1.0, &mut rng()));
        let short = x.narrow(1, 0, 3);
        let expected = layer().forward(x, short, short).value().unwrap();
        let last = tape.mask([[false, false, false, true]; 2]);
        let padded = AttentionMask { key_padding_mask: Some(last), ..AttentionMask::default() };
        let masked = AttentionMask { attn_mask: Some(last.index_axis(0, 0)), ..AttentionMask::default() };
        for mask in [padded, masked] {
            let found = layer().forward_with(x, x, x, &mask).value().unwrap();
            found.close_to(&expected, 1e-14, 1e-14).unwrap();
        }
    }

    #[test]
    fn weights_are_dropped_in_training_alone() {
        let mut layer = MultiheadAttention { dropout: Dropout::new(0.5, &mut rng()), ..layer() };
        let tape = Tape::new();
        let x = tape.constant(Tensor::normal([2, 5, 6], 0.0, 1.0, &mut rng()));
        let run = |layer: &MultiheadAttention<f64>| layer.forward(x, x, x).value().unwrap();
        assert_ne!(run(&layer), run(&layer));
        layer.eval();
        assert_eq!(run(&layer), run(&layer));
    }

    #[test]
    fn heads_that_do_not_divide_the_width_are_an_error() {
        let text = |layer: MultiheadAttention<f64>, shape: &[usize]| {
            let tape = Tape::new();
            let x = tape.constant(Tensor::zeros(shape));
            layer.forward(x, x, x).value().unwrap_err().to_string()
        };
        let found = text(MultiheadAttention { heads: 4, ..layer() }, &[2, 5, 6]);
        assert!(found.starts_with("multihead_attention: heads must be a divisor of the width, found 4 for width 6"));
        assert!(text(layer(), &[6]).starts_with("multihead_attention: operands must be sequences of vectors"));
        assert!(text(layer(), &[2, 5, 7]).starts_with("linear: inner sizes differ"));
        let tape = Tape::new();
        let x = tape.constant(Tensor::zeros([5, 6]));
        let mask = AttentionMask { key_padding_mask: Some(tape.mask(true)), ..AttentionMask::default() };
        let found = layer().forward_self(x, &mask).value().unwrap_err().to_string();
        assert!(found.starts_with("multihead_attention: the padding mask must have rank 1 or more"), "{found}");
    }
}
