//! Attention in one op: no matrix of all queries by all keys is kept, in neither direction.

use smallvec::SmallVec;

use super::softmax::SoftmaxAdjoint;
use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel::attention::{Dropout, Heads, gradient_sizes};
use crate::kernel::matmul::Batch;
use crate::mask::Mask;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;
use crate::var::{Term, Var};

/// The options of [`Var::scaled_dot_product_attention`]; by default every query sees every key.
#[derive(Debug, Clone, Default)]
pub struct AttentionOptions<'t, T: Float = f32> {
    /// Added to the scaled products: it broadcasts to `[.., queries, keys]`, and gradients flow to it.
    pub bias: Option<Var<'t, T>>,
    /// Which keys a query sees, true for those it does; it broadcasts to `[.., queries, keys]`.
    pub mask: Option<Mask<'t, T>>,
    /// Query i sees keys 0 to i alone.
    pub causal: bool,
    /// What products of queries and keys are multiplied by: 1/√width if it is not given.
    pub scale: Option<f64>,
    /// With this probability a weight is dropped (zero), and the others are divided by one minus it.
    pub dropout: f64,
    /// Decides which weights are dropped, as of [`Tape::seed`](crate::Tape::seed): needed for dropout, and every step wants
    /// another one.
    pub seed: Option<Indices<'t, T>>,
}

/// softmax(scale·q·kᵀ + bias)·v for q, k, v and, where there is one, the bias; batch axes are equal. Dropout takes a seed.
#[derive(Debug, Clone)]
pub(crate) struct Attention {
    causal: bool,
    scale: f64,
    /// With which probability a weight is dropped.
    dropout: f64,
}

impl Attention {
    fn heads<'a, T: Float>(&self, x: Operands<'a, T>, bias: Option<&'a Tensor<T>>) -> Heads<'a, T> {
        let [q, k, v] = [0, 1, 2].map(|i: usize| Batch::new(x.tensors[i].view()));
        let bias = bias.map(|bias| Batch::new(bias.view()));
        let dropout = Dropout { probability: self.dropout, seed: seed_of(x.integers) };
        Heads { q, k, v, bias, scale: T::from_f64(self.scale), causal: self.causal, dropout }
    }

    /// The weights of all keys for all queries, in other ops.
    fn weights<'t, T: Float>(&self, q: Var<'t, T>, k: Var<'t, T>, bias: Option<Var<'t, T>>) -> Var<'t, T> {
        let number = Term::Number;
        let products = q.matmul(k.t()) * number(T::from_f64(self.scale));
        let scores = bias.map_or(products, |bias| products + bias);
        let hidden =
            |shape: &Shape| Tensor::from_fn([shape[shape.rank() - 2], shape[shape.rank() - 1]], |i| i[1] > i[0]);
        let scores = match self.causal {
            true => scores.masked_fill(hidden(&scores.shape()), number(T::NEG_INFINITY)),
            false => scores,
        };
        if bias.is_none() {
            return scores.softmax(-1);
        }
        // A bias may hide all keys from a query; without them it has weights of zero.
        let is_blind = scores.eq(number(T::NEG_INFINITY)).all_axes(-1).unsqueeze(-1);
        let seen = |x: Var<'t, T>| is_blind.select(number(T::ZERO), x);
        seen(seen(scores).softmax(-1))
    }

    /// What dropout multiplies weights of this shape by: 1 where there is none.
    fn kept<'t, T: Float>(&self, shape: Shape, seed: &[Indices<'t, T>]) -> Term<'t, T> {
        let Some(first) = seed.first() else { return Term::Number(T::ONE) };
        let ones = first.tape.filled(shape, T::ONE);
        Term::Var(ones.record_with(DropWeights { probability: self.dropout }, &[], seed))
    }
}

/// The seed of dropout, where there is one.
fn seed_of(integers: &[Integers]) -> u64 {
    integers.first().and_then(|seed| seed.list.iter().next()).map_or(0, |seed| seed as u64)
}

/// The sizes of a head: queries, keys, width of a key, width of a value.
fn sizes(q: &Shape, v: &Shape) -> [usize; 4] {
    let ends = |shape: &Shape| [shape[shape.rank() - 2], shape[shape.rank() - 1]];
    let ([queries, width], [keys, value_width]) = (ends(q), ends(v));
    [queries, keys, width, value_width]
}

fn batch(shape: &Shape) -> &[usize] {
    &shape[..shape.rank() - 2]
}

fn matrices(batch: &[usize], rows: usize, columns: usize) -> Shape {
    batch.iter().copied().chain([rows, columns]).collect()
}

impl TensorRule for Attention {
    const NAME: &'static str = "scaled_dot_product_attention";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let Attention { dropout, .. } = *self;
        if !(0.0..=1.0).contains(&dropout) {
            let found = dropout.to_string();
            return Err(ErrorKind::Argument { name: "dropout", must: "between 0 and 1", found });
        }
        if dropout != 0.0 && x.integers.is_empty() {
            return Err(ErrorKind::Argument { name: "seed", must: "given for dropout", found: "none".to_string() });
        }
        let [queries, _, _, width] = sizes(x[0], x[2]);
        Ok(matrices(batch(x[0]), queries, width))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| self.heads(x, x.tensors.get(3)).attend(out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (q, k, v, bias) = (rule.x[0], rule.x[1], rule.x[2], &rule.x[3..]);
        let adjoint = AttentionAdjoint { of: self.clone(), wants_bias: !bias.is_empty() && rule.is_needed(3) };
        let operands: SmallVec<[Var<'t, T>; 5]> = [k, v, rule.g].iter().chain(bias).copied().collect();
        let gradients = q.record_with(adjoint.clone(), &operands, rule.integers);
        let parts = adjoint.parts(gradients, q, k, v);
        (0..rule.x.len()).map(|i| rule.operand(i, || parts.of(i))).collect()
    }
}

/// The gradients of [`Attention`] from q, k, v, the incoming gradient and the bias: `[.., n]` with those of q, k, v and, if
/// it is wanted, the bias one behind the other for every head. As a matrix it is Jᵀ, linear in the incoming gradient.
#[derive(Debug, Clone)]
pub(crate) struct AttentionAdjoint {
    of: Attention,
    wants_bias: bool,
}

/// A tensor of gradients that [`AttentionAdjoint`] gives, and where each lies in it.
struct Parts<'t, T: Float> {
    all: Var<'t, T>,
    ends: [usize; 5],
    shapes: [Shape; 4],
}

impl<'t, T: Float> Parts<'t, T> {
    fn of(&self, i: usize) -> Var<'t, T> {
        self.all.slice(-1, self.ends[i]..self.ends[i + 1]).reshape(&self.shapes[i])
    }
}

impl AttentionAdjoint {
    fn parts<'t, T: Float>(&self, all: Var<'t, T>, q: Var<'t, T>, k: Var<'t, T>, v: Var<'t, T>) -> Parts<'t, T> {
        let (q, k, v) = (q.shape(), k.shape(), v.shape());
        let [queries, keys, width, value_width] = sizes(&q, &v);
        let mut ends = [0_usize; 5];
        for (i, len) in gradient_sizes(queries, keys, width, value_width, self.wants_bias).into_iter().enumerate() {
            ends[i + 1] = ends[i].saturating_add(len);
        }
        let bias = matrices(batch(&q), queries, keys);
        Parts { all, ends, shapes: [q, k, v, bias] }
    }
}

impl TensorRule for AttentionAdjoint {
    const NAME: &'static str = "scaled_dot_product_attention_adjoint";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let [queries, keys, width, value_width] = sizes(x[0], x[2]);
        let sizes = gradient_sizes(queries, keys, width, value_width, self.wants_bias);
        let len = sizes.into_iter().fold(0, usize::saturating_add);
        Ok(batch(x[0]).iter().copied().chain([len]).collect())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (g, heads) = (Batch::new(x.tensors[3].view()), self.of.heads(x, x.tensors.get(4)));
        Ok(Tensor::build(shape, |out| heads.adjoint(&g, self.wants_bias, out))?.into())
    }

    /// For h with the parts hq, hk, hv and hb, ⟨h, Jᵀg⟩ = ⟨g, W′·v + W·hv⟩, where W′ is the tangent of the weights W along
    /// S′ = scale·(hq·kᵀ + q·hkᵀ) + hb, that is the softmax's adjoint of S′ at W. The gradient follows from that form; the
    /// one that W gets where it stands by itself is `direct`. Dropout multiplies W and W′ wherever they meet values.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let [q, k, v, g] = [0, 1, 2, 3].map(|i: usize| rule.x[i]);
        let bias = rule.x.get(4).copied();
        let h = self.parts(rule.g, q, k, v);
        let [hq, hk, hv] = [0, 1, 2].map(|i| h.of(i));
        let scale = Term::Number(T::from_f64(self.of.scale));
        let axis = q.rank() - 1;
        let softmax_adjoint = |weights: Var<'t, T>, g: Var<'t, T>| weights.record(SoftmaxAdjoint { axis }, &[g]);
        let sum = |x: Var<'t, T>| x.sum_along(axis);

        let weights = self.of.weights(q, k, bias);
        let moved = (hq.matmul(k.t()) + q.matmul(hk.t())) * scale;
        let moved = if self.wants_bias { moved + h.of(3) } else { moved };
        let kept = self.of.kept(weights.shape(), rule.integers);
        let tangent = softmax_adjoint(weights, moved);
        let incoming = g.matmul(v.t()) * kept;
        let by_values = g.matmul(hv.t()) * kept;
        let direct = incoming * (moved - sum(moved * weights)) - moved * sum(incoming * weights) + by_values;
        let by_scores = softmax_adjoint(weights, direct);
        let by_moved = softmax_adjoint(weights, incoming);
        let mut gradients: Cotangents<'t, T> = SmallVec::from_iter([
            rule.operand(0, || (by_scores.matmul(k) + by_moved.matmul(hk)) * scale),
            rule.operand(1, || (by_scores.t().matmul(q) + by_moved.t().matmul(hq)) * scale),
            rule.operand(2, || (tangent * kept).t().matmul(g)),
        ]);
        gradients.push(rule.operand(3, || (tangent * kept).matmul(v) + (weights * kept).matmul(hv)));
        gradients.extend(bias.map(|_| rule.operand(4, || by_scores)));
        gradients
    }
}

/// Weights of keys for queries, some of them dropped, as a seed decides, and the others divided by 1 − p.
#[derive(Debug, Clone)]
pub(crate) struct DropWeights {
    pub probability: f64,
}

impl TensorRule for DropWeights {
    const NAME: &'static str = "drop_weights";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let mut dropped = x[0].to_contiguous()?;
        let dropout = Dropout { probability: self.probability, seed: seed_of(x.integers) };
        dropout.apply(0, shape[shape.rank() - 1], dropped.make_mut());
        Ok(dropped.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record_with(self.clone(), &[], rule.integers))
    }
}

/// # Attention
impl<'t, T: Float> Var<'t, T> {
    /// What each of these queries finds among keys with values: softmax(scale·q·kᵀ + bias)·v, with scale 1/√E unless it is
    /// given. No matrix of all queries by all keys is kept for a first derivative.
    ///
    /// Derivative: with weights W = softmax(..), D = g·vᵀ and S = W∘(D − Σ W∘D): scale·S·k to the queries, scale·Sᵀ·q to the
    /// keys, Wᵀ·g to the values, S to the bias; any order.
    /// Shapes: queries `[.., L, E]`, keys `[.., S, E]`, values `[.., S, V]` → `[.., L, V]`; leading axes broadcast. A query
    /// that a mask or a bias of −∞ lets see no key gets zeros and sends no gradient, as in PyTorch.
    ///
    /// ```
    /// use autograd::{AttentionOptions, Tape};
    ///
    /// let tape = Tape::<f64>::new();
    /// let (keys, values) = (tape.var([[1.0], [-1.0]]), tape.var([[10.0], [20.0]]));
    /// let queries = tape.var([[1000.0], [0.0]]);
    /// let found = queries.scaled_dot_product_attention(keys, values, &AttentionOptions::default());
    /// assert_eq!(found.value()?.to_vec(), [10.0, 15.0]);
    /// let causal = AttentionOptions { causal: true, ..AttentionOptions::default() };
    /// let found = queries.scaled_dot_product_attention(keys, values, &causal);
    /// assert_eq!(found.value()?.to_vec(), [10.0, 15.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Reference: A. Vaswani et al., Attention Is All You Need, arXiv:1706.03762; T. Dao et al., FlashAttention,
    /// arXiv:2205.14135, for the derivative without the matrix of weights.
    #[track_caller]
    pub fn scaled_dot_product_attention(self, keys: Self, values: Self, options: &AttentionOptions<'t, T>) -> Self {
        let operands = [keys, values].into_iter().chain(options.bias).chain(options.mask.map(Mask::to_float));
        let failed = operands.fold(self, Self::and);
        let stacks = match Stacks::new(&self.shape(), &keys.shape(), &values.shape()) {
            Ok(stacks) if !failed.is_failed() => stacks,
            Ok(_) => return failed,
            Err(kind) => return failed.fail(Attention::NAME, kind),
        };
        let bias = match options.score_bias(&stacks.weights) {
            Ok(bias) => bias,
            Err(kind) => return self.fail(Attention::NAME, kind),
        };
        let dropout = options.dropout;
        let scale = options.scale.unwrap_or_else(|| (self.size(-1) as f64).sqrt().recip());
        let seed: SmallVec<[Indices<'t, T>; 1]> = options.seed.into_iter().filter(|_| dropout != 0.0).collect();
        let mut operands: SmallVec<[Self; 4]> = SmallVec::new();
        operands.push(keys.stretched(&stacks.keys));
        operands.push(values.stretched(&stacks.values));
        operands.extend(bias);
        let op = Attention { causal: options.causal, scale, dropout };
        self.stretched(&stacks.queries).record_with(op, &operands, &seed)
    }
}

/// The shapes of operands and weights with all batch axes.
struct Stacks {
    queries: Shape,
    keys: Shape,
    values: Shape,
    weights: Shape,
}

impl Stacks {
    fn new(q: &Shape, k: &Shape, v: &Shape) -> Result<Self, ErrorKind> {
        for (what, shape) in [("the queries", q), ("the keys", k), ("the values", v)] {
            if shape.rank() < 2 {
                return Err(ErrorKind::MinRank { what, least: 2, found: shape.clone() });
            }
        }
        let [queries, keys, width, value_width] = sizes(q, v);
        let [key_count, key_width] = [k[k.rank() - 2], k[k.rank() - 1]];
        if key_width != width {
            return Err(ErrorKind::InnerSizes { left: q.clone(), right: matrices(batch(k), key_width, key_count) });
        }
        if key_count != keys {
            return Err(ErrorKind::InnerSizes { left: matrices(batch(k), queries, key_count), right: v.clone() });
        }
        let all = |left: &Shape, right: &Shape| {
            let common = Shape::from(batch(left)).broadcast(&Shape::from(batch(right)));
            common.map_err(|_| ErrorKind::Batch { left: left.clone(), right: right.clone() })
        };
        let both = all(q, k)?;
        let common = all(&matrices(&both, queries, keys), v)?;
        Ok(Stacks {
            queries: matrices(&common, queries, width),
            keys: matrices(&common, keys, width),
            values: matrices(&common, keys, value_width),
            weights: matrices(&common, queries, keys),
        })
    }
}

impl<'t, T: Float> AttentionOptions<'t, T> {
    /// What is added to the scores: the bias, and −∞ where the mask hides a key.
    #[track_caller]
    #[allow(clippy::manual_map)] // A closure would forget the caller's line.
    fn score_bias(&self, weights: &Shape) -> Result<Option<Var<'t, T>>, ErrorKind> {
        let mask = match self.mask {
            Some(mask) => Some(mask.select(Term::Number(T::ZERO), Term::Number(T::NEG_INFINITY))),
            None => None,
        };
        for shape in [self.bias, mask].into_iter().flatten().map(Var::shape) {
            if shape.broadcast(weights)? != *weights {
                return Err(ErrorKind::BroadcastTo { from: shape, to: weights.clone() });
            }
        }
        Ok(match (self.bias, mask) {
            (Some(bias), Some(mask)) => Some((bias + mask).stretched(weights)),
            (Some(bias), None) | (None, Some(bias)) => Some(bias.stretched(weights)),
            (None, None) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradient, failure, sample};
    use crate::transform::jvp;
    use crate::{Program, Scalar, Tape, hvp, value_and_gradient};

    type Shapes = [&'static [usize]; 3];

    const SHAPES: [Shapes; 8] = [
        [&[3, 2], &[4, 2], &[4, 3]],
        [&[2, 3, 2], &[2, 3, 2], &[2, 3, 2]],
        [&[2, 1, 3, 2], &[3, 4, 2], &[1, 1, 4, 1]],
        [&[1, 2], &[1, 2], &[1, 2]],
        [&[2, 1], &[3, 1], &[3, 2]],
        [&[0, 2], &[3, 2], &[3, 2]],
        [&[2, 2], &[0, 2], &[0, 3]],
        [&[0, 3, 2], &[0, 4, 2], &[0, 4, 2]],
    ];

    fn operands(shapes: Shapes) -> Vec<Tensor<f64>> {
        shapes.iter().enumerate().map(|(i, shape)| sample(shape, i as u64)).collect()
    }

    fn weights_shape(shapes: Shapes) -> [usize; 2] {
        [shapes[0][shapes[0].len() - 2], shapes[1][shapes[1].len() - 2]]
    }

    /// The definition, in other ops.
    fn composed<'t>(x: &[Var<'t, f64>], options: &AttentionOptions<'t, f64>) -> Var<'t, f64> {
        let scale = options.scale.unwrap_or(1.0 / (x[0].size(-1) as f64).sqrt());
        let mut scores = x[0].matmul(x[1].t()) * scale;
        if let Some(bias) = options.bias {
            scores += bias;
        }
        let sees = |i: &[usize]| !options.causal || i[1] <= i[0];
        let seen = Tensor::from_fn([scores.size(-2), scores.size(-1)], sees);
        scores = scores.masked_fill(seen.map(|sees| !sees), f64::NEG_INFINITY);
        if let Some(mask) = options.mask {
            scores = scores.masked_fill(!mask, f64::NEG_INFINITY);
        }
        scores.softmax(-1).matmul(x[2])
    }

    #[test]
    fn values_are_those_of_the_definition() {
        for shapes in SHAPES {
            let tape = Tape::new();
            let x: Vec<_> = operands(shapes).into_iter().map(|x| tape.var(x)).collect();
            let [queries, keys] = weights_shape(shapes);
            let bias = tape.var(sample(&[queries, 1], 7));
            // The first key is always seen.
            let mask = tape.mask(Tensor::from_fn([queries, keys], |i| (i[0] + i[1]) % 3 != 1 || i[1] == 0));
            for (bias, mask) in [(None, None), (Some(bias), None), (None, Some(mask)), (Some(bias), Some(mask))] {
                for (causal, scale) in [(false, None), (true, None), (true, Some(-0.3))] {
                    let options = AttentionOptions { bias, mask, causal, scale, ..Default::default() };
                    let found = x[0].scaled_dot_product_attention(x[1], x[2], &options).value().unwrap();
                    found.close_to(&composed(&x, &options).value().unwrap(), 1e-14, 1e-14).unwrap();
                }
            }
        }
    }

    #[test]
    fn derivatives_at_every_shape() {
        for shapes in SHAPES {
            for causal in [false, true] {
                let options = || AttentionOptions { causal, ..AttentionOptions::default() };
                assert_gradient(|x| x[0].scaled_dot_product_attention(x[1], x[2], &options()), &operands(shapes));
                let mut x = operands(shapes);
                x.push(sample(&weights_shape(shapes), 8));
                assert_gradient(
                    |x| {
                        let options =
                            AttentionOptions { bias: Some(x[3]), scale: Some(0.7), causal, ..Default::default() };
                        x[0].scaled_dot_product_attention(x[1], x[2], &options)
                    },
                    &x,
                );
            }
        }
    }

    #[test]
    fn one_tensor_may_be_all_operands() {
        let options = AttentionOptions::default;
        assert_gradient(|x| x[0].scaled_dot_product_attention(x[0], x[0], &options()), &[sample(&[2, 3, 2], 1)]);
        assert_gradient(
            |x| {
                let [x, y] = [0, 1].map(|i: usize| x[i].permute([1, 0, 2]));
                x.scaled_dot_product_attention(y, x, &options())
            },
            &[sample(&[3, 2, 2], 1), sample(&[3, 2, 2], 2)],
        );
    }

    /// More queries than a block has, and more keys than a panel's row.
    #[test]
    fn blocks_make_no_difference() {
        for (queries, keys, causal) in [(150, 70, false), (150, 150, true), (20, 3000, false)] {
            let tape = Tape::new();
            let x = [[queries, 3], [keys, 3], [keys, 2]].map(|shape| tape.var(sample(&shape, shape[0] as u64)));
            let bias = Some(tape.var(sample(&[queries, keys], 9)));
            let options = AttentionOptions { bias, causal, ..AttentionOptions::default() };
            let weight = tape.constant(sample(&[queries, 2], 5));
            let fused = (x[0].scaled_dot_product_attention(x[1], x[2], &options) * weight).sum().backward().unwrap();
            let plain = (composed(&x, &options) * weight).sum().backward().unwrap();
            for x in x.into_iter().chain(bias) {
                fused.of(x).unwrap().close_to(&plain.of(x).unwrap(), 1e-12, 1e-14).unwrap();
            }
        }
    }

    #[test]
    fn a_query_that_sees_nothing_gets_zeros_and_sends_nothing() {
        let mask = Tensor::from([[true, false, true], [false, false, false]]);
        fn with<'t>(bias: Var<'t, f64>, mask: &Tensor<bool>) -> AttentionOptions<'t, f64> {
            AttentionOptions { bias: Some(bias), mask: Some(bias.tape().mask(mask)), ..Default::default() }
        }
        let x = [sample(&[2, 2], 1), sample(&[3, 2], 2), sample(&[3, 2], 3), sample(&[2, 3], 4)];
        assert_gradient(|x| x[0].scaled_dot_product_attention(x[1], x[2], &with(x[3], &mask)), &x);
        let tape = Tape::new();
        let x = x.map(|x| tape.var(x));
        let y = x[0].scaled_dot_product_attention(x[1], x[2], &with(x[3], &mask));
        assert_eq!(y.value().unwrap().index_axis(0, 1).unwrap().to_vec(), [0.0, 0.0]);
        let gradients = y.sum().backward().unwrap();
        for x in [x[0], x[3]] {
            assert!(gradients.of(x).unwrap().index_axis(0, 1).unwrap().iter().all(|g| g == 0.0));
        }
    }

    #[test]
    fn the_forward_derivative_is_the_definition_s() {
        let x = [sample(&[2, 3, 2], 1), sample(&[2, 4, 2], 2), sample(&[2, 4, 3], 3)];
        let dx = [sample(&[2, 3, 2], 4), sample(&[2, 4, 2], 5), sample(&[2, 4, 3], 6)];
        let options = AttentionOptions::default;
        let (_, fused) =
            jvp(|_, [q, k, v]| q.scaled_dot_product_attention(k, v, &options()), x.clone(), dx.clone()).unwrap();
        let (_, plain) = jvp(|_, x| composed(&x, &options()), x, dx).unwrap();
        fused.close_to(&plain, 1e-13, 1e-13).unwrap();
    }

    #[test]
    fn dropped_weights_stay_dropped_in_every_derivative() {
        fn options<'t>(x: Var<'t, f64>, causal: bool) -> AttentionOptions<'t, f64> {
            AttentionOptions { dropout: 0.4, seed: Some(x.tape().indices(3)), causal, ..Default::default() }
        }
        let x = [sample(&[2, 4, 2], 1), sample(&[2, 4, 2], 2), sample(&[2, 4, 3], 3)];
        assert_gradient(|x| x[0].scaled_dot_product_attention(x[1], x[2], &options(x[0], true)), &x);
        let tape = Tape::new();
        let (q, k) = (tape.var(Tensor::zeros([200, 1])), tape.var(Tensor::zeros([50, 1])));
        let options = options(q, false);
        let sums = q.scaled_dot_product_attention(k, tape.var(Tensor::ones([50, 1])), &options).value().unwrap();
        let mean = sums.sum() / 200.0;
        assert!((mean - 1.0).abs() < 0.03 && sums.iter().any(|sum| sum != 1.0), "{mean}");
        let text = failure(&[&[2, 2]], |x| {
            x[0].scaled_dot_product_attention(x[0], x[0], &AttentionOptions { dropout: 1.5, ..Default::default() })
        });
        assert_eq!(text, "scaled_dot_product_attention: dropout must be between 0 and 1, found 1.5");
    }

    /// A program takes another seed at every run, and drops what the eager function drops, at every order.
    #[test]
    fn seeds_are_arguments() {
        type X = ([Tensor<f64>; 3], Tensor<usize>);
        fn f<'t>([q, k, v]: [Var<'t, f64>; 3], seed: Indices<'t, f64>) -> Scalar<'t, f64> {
            let options = AttentionOptions { dropout: 0.4, seed: Some(seed), ..Default::default() };
            q.scaled_dot_product_attention(k, v, &options).square().sum()
        }
        let x = |run: u64| -> X { ([0, 1, 2].map(|k| sample(&[2, 4, 3], run + k)), Tensor::scalar(run as usize)) };
        let mut program = Program::record(&x(1), |_, (x, seed)| f(x, seed)).unwrap();
        for run in 2..5 {
            let (x, along) = (x(run), x(run + 3));
            let (expected_gradient, expected) = hvp(|_, (x, seed)| f(x, seed), x.clone(), along.clone()).unwrap();
            let (_, gradient) = value_and_gradient(|_, (x, seed)| f(x, seed), x.clone()).unwrap();
            let (found_gradient, found) = program.hvp(&x, &along).unwrap();
            for k in 0..3 {
                found_gradient.0[k].close_to(&expected_gradient.0[k], 1e-13, 1e-13).unwrap();
                found_gradient.0[k].close_to(&gradient.0[k], 1e-13, 1e-13).unwrap();
                found.0[k].close_to(&expected.0[k], 1e-12, 1e-12).unwrap();
            }
        }
        assert_eq!(program.report().recordings, 2);
    }

    #[test]
    fn wrong_shapes_are_named() {
        let attention = |shapes: [&[usize]; 3], bias: Option<&[usize]>, mask: Option<&[usize]>| {
            failure(&shapes, |x| {
                let bias = bias.map(|shape| x[0].tape().constant(Tensor::zeros(shape)));
                let mask = mask.map(|shape| x[0].tape().mask(Tensor::full(shape, true)));
                x[0].scaled_dot_product_attention(x[1], x[2], &AttentionOptions { bias, mask, ..Default::default() })
            })
        };
        let name = "scaled_dot_product_attention";
        let plain = |shapes| attention(shapes, None, None);
        assert_eq!(
            plain([&[3], &[4, 3], &[4, 2]]),
            format!("{name}: the queries must have rank 2 or more, found shape [3]")
        );
        assert_eq!(plain([&[2, 3], &[4, 5], &[4, 2]]), format!("{name}: inner sizes differ: [2, 3] · [5, 4] (3 ≠ 5)"));
        assert_eq!(plain([&[2, 3], &[4, 3], &[6, 2]]), format!("{name}: inner sizes differ: [2, 4] · [6, 2] (4 ≠ 6)"));
        assert_eq!(
            plain([&[2, 2, 3], &[3, 4, 3], &[4, 2]]),
            format!("{name}: batch axes do not broadcast: [2, 2, 3] · [3, 4, 3]")
        );
        let shapes: [&[usize]; 3] = [&[2, 3], &[4, 3], &[4, 2]];
        assert_eq!(
            attention(shapes, Some(&[3, 4]), None),
            format!("{name}: shapes do not broadcast: [3, 4] and [2, 4] (3 ≠ 2 at axis −2)")
        );
        assert_eq!(
            attention(shapes, None, Some(&[5, 2, 4])),
            format!("{name}: [5, 2, 4] does not broadcast to [2, 4]")
        );
    }
}
