//! Attention on numbers: softmax(scale·q·kᵀ + bias)·v for every head of a batch, and its adjoint.
//!
//! A head is worked on in blocks of queries. The weights of a block fill a panel that is used while it is in the cache and
//! then forgotten: no matrix of all queries by all keys exists, and the adjoint computes the weights again. A causal block
//! leaves out the keys that none of its queries sees.

use std::ops::Range;

use crate::float::Float;
use crate::kernel::math::Math;
use crate::kernel::matmul::{Batch, MIN_WORK_PER_PANEL, Matrix, cost, multiply};
use crate::kernel::product::dot;
use crate::kernel::reduce::{slice_max, slice_sum};
use crate::kernel::runs::Run;
use crate::kernel::vectorized::vectorized;
use crate::kernel::{Write, parallel};
use crate::tensor::buffer::Buffer;

/// Queries of a block: fewer where there are many keys, within these bounds.
const QUERIES: [usize; 2] = [16, 64];

/// Elements of a panel.
const ELEMENTS_PER_PANEL: usize = 1 << 15;

/// What lengths of rows are rounded up to: a vector of single precision.
const ROW_MULTIPLE: usize = 16;

/// Queries, keys and values of every head, and what is added to their products.
pub(crate) struct Heads<'a, T> {
    pub q: Batch<'a, T>,
    pub k: Batch<'a, T>,
    pub v: Batch<'a, T>,
    pub bias: Option<Batch<'a, T>>,
    pub scale: T,
    /// Whether query i sees keys 0 to i alone.
    pub causal: bool,
    pub dropout: Dropout,
}

/// Which weights are dropped: a function of the seed and of a weight's place, so that nothing of it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    pub probability: f64,
    pub seed: u64,
}

impl Dropout {
    /// Multiplies weights, whole rows from the query of this number on, by 0 or 1/(1 − p).
    #[inline(always)]
    pub fn apply<T: Float>(&self, first: usize, keys: usize, weights: &mut [T]) {
        if self.probability == 0.0 || keys == 0 {
            return;
        }
        let dropped = (self.probability * 2f64.powi(32)) as u32;
        let kept = if self.probability < 1.0 { T::from_f64(1.0 / (1.0 - self.probability)) } else { T::ZERO };
        for (query, row) in weights.chunks_exact_mut(keys).enumerate() {
            let start = mixed(self.seed.wrapping_add(mixed((first + query) as u64))) as u32;
            for (key, weight) in row.iter_mut().enumerate() {
                let is_dropped = scrambled(start ^ (key as u32).wrapping_mul(0x9e37_79b1)) < dropped;
                *weight = if is_dropped { T::ZERO } else { *weight * kept };
            }
        }
    }
}

/// The output function of splitmix64 (Steele, Lea and Flood 2014).
#[inline(always)]
fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A permutation of 32 bits in which every bit depends on every other: the last step of MurmurHash3 (Appleby 2011).
#[inline(always)]
fn scrambled(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    let x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

impl<T: Float> Heads<'_, T> {
    /// `out = softmax(scale·q·kᵀ + bias)·v` for every head. A query that sees no key gets zeros.
    pub fn attend(&self, out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        let head = self.head(0);
        let size = head.queries() * head.v.columns.0;
        self.each(out, size, head.work(), 1, &|k, out, panel| self.head(k).attend(panel, out));
    }

    /// The adjoint of [`attend`](Self::attend) at an incoming gradient: for every head the gradients of q, k and v, one
    /// behind the other, and behind them that of the bias if it is wanted.
    pub fn adjoint(&self, g: &Batch<'_, T>, wants_bias: bool, out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        let head = self.head(0);
        let sizes = gradient_sizes(head.queries(), head.keys(), head.q.columns.0, head.v.columns.0, wants_bias);
        let size = sizes.iter().sum();
        self.each(out, size, 3 * head.work(), 2, &|k, out, panels| self.head(k).adjoint(g.at(k), panels, out));
    }

    /// Calls `f` for every head with the `size` elements of `out` that are its own and room for some panels.
    fn each(
        &self,
        out: &mut [T],
        size: usize,
        work: usize,
        panels: usize,
        f: &(impl Fn(usize, &mut [T], &mut [T]) + Sync),
    ) {
        let head = self.head(0);
        let room = panels * head.block() * head.keys();
        let (share, total) = ((MIN_WORK_PER_PANEL / work.max(1)).max(1), work.saturating_mul(out.len() / size));
        parallel::pieces(out, share * size, cost(total), &|start, piece| {
            let mut panels = Buffer::scratch(room);
            let panels = panels.get_mut().unwrap_or_default();
            for (k, out) in piece.chunks_mut(size).enumerate() {
                f(start / size + k, out, panels);
            }
        });
    }

    fn head(&self, k: usize) -> Head<'_, T> {
        let &Heads { scale, causal, dropout, .. } = self;
        let bias = self.bias.as_ref().map(|bias| bias.at(k));
        Head { index: k, q: self.q.at(k), k: self.k.at(k), v: self.v.at(k), bias, scale, causal, dropout }
    }
}

/// Elements of a head's gradients of q, k, v and the bias, saturating: there may be no head.
pub(crate) fn gradient_sizes(queries: usize, keys: usize, width: usize, out: usize, wants_bias: bool) -> [usize; 4] {
    let bias = if wants_bias { queries.saturating_mul(keys) } else { 0 };
    [queries.saturating_mul(width), keys.saturating_mul(width), keys.saturating_mul(out), bias]
}

struct Head<'a, T> {
    index: usize,
    q: Matrix<'a, T>,
    k: Matrix<'a, T>,
    v: Matrix<'a, T>,
    bias: Option<Matrix<'a, T>>,
    scale: T,
    causal: bool,
    dropout: Dropout,
}

impl<T: Float> Head<'_, T> {
    fn queries(&self) -> usize {
        self.q.rows.0
    }

    fn keys(&self) -> usize {
        self.k.rows.0
    }

    /// Multiply-adds of the value.
    fn work(&self) -> usize {
        self.queries() * self.keys() * (self.q.columns.0 + self.v.columns.0)
    }

    /// Queries of a block.
    fn block(&self) -> usize {
        let [least, most] = QUERIES;
        (ELEMENTS_PER_PANEL / self.keys().max(1)).clamp(least, most).min(self.queries())
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let (queries, block) = (self.queries(), self.block().max(1));
        (0..queries).step_by(block).map(move |start| start..queries.min(start + block))
    }

    /// The keys that queries before `end` see.
    fn seen(&self, end: usize) -> Range<usize> {
        0..if self.causal { self.keys().min(end) } else { self.keys() }
    }

    fn attend(&self, panel: &mut [T], out: &mut [T]) {
        let width = self.v.columns.0;
        for queries in self.blocks() {
            let keys = self.seen(queries.end);
            let weights = &mut panel[..queries.len() * keys.len()];
            self.weigh(queries.clone(), weights);
            self.drop_some(&queries, weights);
            let weights = Matrix::row_major(weights, queries.len(), keys.len());
            let out = &mut out[queries.start * width..queries.end * width];
            product(weights, self.v.some_rows(keys), out, Write::Replace);
        }
    }

    /// A row of weights for each of these queries, with a column for each key that one of them sees.
    fn weigh(&self, queries: Range<usize>, weights: &mut [T]) {
        let keys = self.seen(queries.end);
        let (q, k) = (self.q.some_rows(queries.clone()), self.k.some_rows(keys.clone()));
        product(q, k.transpose(), weights, Write::Replace);
        if keys.is_empty() {
            return;
        }
        vectorized!({
            for (query, row) in queries.zip(weights.chunks_exact_mut(keys.len())) {
                row.iter_mut().for_each(|x| *x *= self.scale);
                if let Some(bias) = &self.bias {
                    add_row(bias, query, row);
                }
                // Up to an even length, with hidden keys whose weights come out as 0: that costs less than an odd rest.
                let seen = self.seen(query + 1).end;
                let (row, hidden) = row.split_at_mut(seen.next_multiple_of(ROW_MULTIPLE).min(row.len()));
                row[seen..].fill(T::NEG_INFINITY);
                normalize(row);
                hidden.fill(T::ZERO);
            }
        });
    }

    fn drop_some(&self, queries: &Range<usize>, weights: &mut [T]) {
        let first = self.index * self.queries() + queries.start;
        vectorized!(self.dropout.apply(first, self.seen(queries.end).len(), weights));
    }

    /// With weights W, their incoming gradient D = g·vᵀ and S = W∘(D − Σ W∘D), the gradient of what the softmax is of: Wᵀ·g
    /// to the values, scale·S·k to the queries, scale·Sᵀ·q to the keys, S to the bias. Dropout is a factor of D and of the W
    /// that the values meet.
    fn adjoint(&self, g: Matrix<'_, T>, panels: &mut [T], out: &mut [T]) {
        let (width, value_width) = (self.q.columns.0, self.v.columns.0);
        let [to_q, to_k, to_v, _] = gradient_sizes(self.queries(), self.keys(), width, value_width, false);
        let (gq, rest) = out.split_at_mut(to_q);
        let (gk, rest) = rest.split_at_mut(to_k);
        let (gv, gbias) = rest.split_at_mut(to_v);
        [&mut *gk, gv, gbias].into_iter().for_each(|sum| sum.fill(T::ZERO));
        let (weights, slopes) = panels.split_at_mut(panels.len() / 2);
        for queries in self.blocks() {
            let keys = self.seen(queries.end);
            let size = queries.len() * keys.len();
            let (weights, slopes) = (&mut weights[..size], &mut slopes[..size]);
            let panel = |elements| Matrix::row_major(elements, queries.len(), keys.len());
            let (q, g) = (self.q.some_rows(queries.clone()), g.some_rows(queries.clone()));
            let (k, v) = (self.k.some_rows(keys.clone()), self.v.some_rows(keys.clone()));
            self.weigh(queries.clone(), weights);
            product(g, v.transpose(), slopes, Write::Replace);
            self.drop_some(&queries, slopes);
            vectorized!(slopes_of_softmax(weights, slopes, keys.len()));
            self.drop_some(&queries, weights);
            product(panel(weights).transpose(), g, &mut gv[..keys.len() * value_width], Write::Add);
            let rows = gbias.chunks_exact_mut(self.keys().max(1)).skip(queries.start);
            for (row, slopes) in rows.zip(slopes.chunks_exact(keys.len().max(1))) {
                row[..keys.len()].copy_from_slice(slopes);
            }
            product(panel(slopes), k, &mut gq[queries.start * width..queries.end * width], Write::Replace);
            product(panel(slopes).transpose(), q, &mut gk[..keys.len() * width], Write::Add);
        }
        for gradient in [gq, gk] {
            vectorized!(gradient.iter_mut().for_each(|x| *x *= self.scale));
        }
    }
}

/// One product, which may have no elements.
fn product<T: Float>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], write: Write) {
    if !out.is_empty() {
        multiply(a, b, out, write);
    }
}

/// `out += row` of a matrix of any strides, from its first column on.
#[inline(always)]
fn add_row<T: Float>(x: &Matrix<'_, T>, row: usize, out: &mut [T]) {
    let position = (x.position + row as isize * x.rows.1) as usize;
    let run = Run { position, len: out.len(), stride: x.columns.1 };
    match run.stride {
        1 => out.iter_mut().zip(&x.data[position..]).for_each(|(y, &x)| *y += x),
        _ => run.each(x.data, out, |y, x| *y += x),
    }
}

/// The softmax of a row in its place; zeros for a row of −∞ alone, which is a query that sees no key.
#[inline(always)]
fn normalize<T: Float>(row: &mut [T]) {
    let max = slice_max(row);
    if max == T::NEG_INFINITY {
        return row.fill(T::ZERO);
    }
    row.iter_mut().for_each(|x| *x = Math::exp(*x - max));
    let part = T::ONE / slice_sum(row);
    row.iter_mut().for_each(|x| *x *= part);
}

/// `d = w·(d − Σ w·d)` in every row.
#[inline(always)]
fn slopes_of_softmax<T: Float>(weights: &[T], slopes: &mut [T], row: usize) {
    for (weights, slopes) in weights.chunks_exact(row.max(1)).zip(slopes.chunks_exact_mut(row.max(1))) {
        let total = dot(weights, slopes);
        slopes.iter_mut().zip(weights).for_each(|(d, &w)| *d = w * (*d - total));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, Sample, assert_same_bits};

    #[test]
    fn weights_are_dropped_with_the_given_probability_and_the_others_grow() {
        let dropped = |first, seed| {
            let mut row = vec![1.0_f64; 100_000];
            Dropout { probability: 0.25, seed }.apply(first, 50_000, &mut row);
            row
        };
        let row = dropped(0, 1);
        assert!(row.iter().all(|&x| x == 0.0 || x == 4.0 / 3.0));
        let mean = row.iter().sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let alike = |a: &[f64], b: &[f64]| a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64;
        // Independent masks agree in 0.25² + 0.75² of all places.
        for other in [&row[50_000..], &dropped(0, 2)[..50_000], &dropped(7, 1)[..50_000]] {
            assert!((alike(&row[..50_000], other) - 0.625).abs() < 0.02);
        }
        assert_eq!(row[50_000..], dropped(1, 1)[..50_000]);
        let mut all = [1.0_f64; 8];
        Dropout { probability: 1.0, seed: 1 }.apply(0, 8, &mut all);
        assert_eq!(all, [0.0; 8]);
    }

    #[test]
    fn threads_change_no_bit() {
        let [heads, len, width] = [6, 130, 20];
        let sample = |seed| Sample::contiguous(Draws(seed).numbers::<f32>(heads * len * width), &[heads, len, width]);
        let [q, k, v, g] = [1, 2, 3, 4].map(sample);
        let bias = Sample::contiguous(Draws(5).numbers::<f32>(heads * len * len), &[heads, len, len]);
        let batch = |sample| Batch::new(Sample::view(sample));
        let dropout = Dropout { probability: 0.3, seed: 1 };
        for (causal, bias) in [(true, None), (false, Some(&bias))] {
            let heads_of = || Heads {
                q: batch(&q),
                k: batch(&k),
                v: batch(&v),
                bias: bias.map(batch),
                scale: 0.2,
                causal,
                dropout,
            };
            assert_same_bits(|| {
                let mut out = vec![9.0; heads * len * width];
                heads_of().attend(&mut out);
                out
            });
            let size: usize = gradient_sizes(len, len, width, width, bias.is_some()).iter().sum();
            assert_same_bits(|| {
                let mut out = vec![9.0; heads * size];
                heads_of().adjoint(&batch(&g), bias.is_some(), &mut out);
                out
            });
        }
    }
}
