//! Reductions over any set of axes: sums, products, extremes, and where the extremes are.
//!
//! Accurate and independent of threads: lanes within a chunk, a balanced tree over chunks. Empty sums are 0 and empty
//! products 1; a minimum or maximum of nothing is for the caller to refuse.

mod argmax;
mod columns;

pub(crate) use argmax::{argmax, argmin};

use smallvec::SmallVec;

use crate::float::Float;
use crate::kernel::parallel;
use crate::kernel::reduce::columns::by_columns;
use crate::kernel::runs::{Axis, Nest, Odometer, push_merged};
use crate::kernel::vectorized::vectorized;
use crate::tensor::View;

/// Accumulators side by side: enough vector registers to hide the latency of an addition.
const LANES: usize = 32;

/// Elements folded in lanes before the tree takes over.
pub(crate) const CHUNK: usize = 2048;

/// Short runs folded one after another before the tree takes over.
const MAX_RUNS_PER_LEAF: usize = 64;

/// An associative operation with its neutral element, and what it makes of each element first.
trait Fold<T>: Sync {
    const START: T;
    fn lift(x: T) -> T;
    fn join(a: T, b: T) -> T;
}

struct Sum;
impl<T: Float> Fold<T> for Sum {
    const START: T = T::ZERO;
    #[inline(always)]
    fn lift(x: T) -> T {
        x
    }
    #[inline(always)]
    fn join(a: T, b: T) -> T {
        a + b
    }
}

struct SumOfSquares;
impl<T: Float> Fold<T> for SumOfSquares {
    const START: T = T::ZERO;
    #[inline(always)]
    fn lift(x: T) -> T {
        x * x
    }
    #[inline(always)]
    fn join(a: T, b: T) -> T {
        a + b
    }
}

struct Product;
impl<T: Float> Fold<T> for Product {
    const START: T = T::ONE;
    #[inline(always)]
    fn lift(x: T) -> T {
        x
    }
    #[inline(always)]
    fn join(a: T, b: T) -> T {
        a * b
    }
}

struct Max;
impl<T: Float> Fold<T> for Max {
    const START: T = T::NEG_INFINITY;
    #[inline(always)]
    fn lift(x: T) -> T {
        x
    }
    #[inline(always)]
    fn join(a: T, b: T) -> T {
        if a > b || a.is_nan() { a } else { b }
    }
}

struct Min;
impl<T: Float> Fold<T> for Min {
    const START: T = T::INFINITY;
    #[inline(always)]
    fn lift(x: T) -> T {
        x
    }
    #[inline(always)]
    fn join(a: T, b: T) -> T {
        if a < b || a.is_nan() { a } else { b }
    }
}

struct AbsMax;
impl<T: Float> Fold<T> for AbsMax {
    const START: T = T::ZERO;
    #[inline(always)]
    fn lift(x: T) -> T {
        if x < T::ZERO { -x } else { x }
    }
    #[inline(always)]
    fn join(a: T, b: T) -> T {
        <Max as Fold<T>>::join(a, b)
    }
}

/// `out = Σ x` over `axes`, which ascend; `out` has the shape that is left.
pub(crate) fn sum<T: Float>(x: View<'_, T>, axes: &[usize], out: &mut [T]) {
    fold::<T, Sum>(x, axes, out);
}

/// `out = Σ x²` over `axes`.
pub(crate) fn sum_of_squares<T: Float>(x: View<'_, T>, axes: &[usize], out: &mut [T]) {
    fold::<T, SumOfSquares>(x, axes, out);
}

/// `out = Π x` over `axes`.
pub(crate) fn product<T: Float>(x: View<'_, T>, axes: &[usize], out: &mut [T]) {
    fold::<T, Product>(x, axes, out);
}

/// `out = max x` over `axes`; a NaN wins.
pub(crate) fn max<T: Float>(x: View<'_, T>, axes: &[usize], out: &mut [T]) {
    fold::<T, Max>(x, axes, out);
}

/// `out = min x` over `axes`; a NaN wins.
pub(crate) fn min<T: Float>(x: View<'_, T>, axes: &[usize], out: &mut [T]) {
    fold::<T, Min>(x, axes, out);
}

/// `out = max |x|` over `axes`, and 0 over nothing; a NaN wins.
pub(crate) fn abs_max<T: Float>(x: View<'_, T>, axes: &[usize], out: &mut [T]) {
    fold::<T, AbsMax>(x, axes, out);
}

/// The sum of a short slice, in lanes. The caller brings the vector instructions.
#[inline(always)]
pub(crate) fn slice_sum<T: Float>(x: &[T]) -> T {
    fold_chunk::<T, Sum>(x)
}

/// The sum of a chunk, for [`sum_of_chunks`].
pub(crate) fn chunk_sum<T: Float>(x: &[T]) -> T {
    debug_assert!(x.len() <= CHUNK);
    vectorized!(fold_chunk::<T, Sum>(x))
}

/// The sum of all elements from the sums of their chunks: the bits of [`sum`].
pub(crate) fn sum_of_chunks<T: Float>(chunks: &[T]) -> T {
    match chunks.len() {
        0 => T::ZERO,
        len => parallel::tree(len, 0, &|k| chunks[k], &<Sum as Fold<T>>::join),
    }
}

/// The largest element of a short slice; a NaN wins. The caller brings the vector instructions.
#[inline(always)]
pub(crate) fn slice_max<T: Float>(x: &[T]) -> T {
    fold_chunk::<T, Max>(x)
}

/// The larger of two numbers; a NaN wins.
#[inline(always)]
pub(crate) fn larger<T: Float>(a: T, b: T) -> T {
    <Max as Fold<T>>::join(a, b)
}

/// The loop nest of a reduction: axes that stay, in the order of the output, and axes that go, longest stride first.
struct Plan {
    kept: Nest,
    reduced: Nest,
}

impl Plan {
    fn new(x: &View<'_, impl Float>, axes: &[usize]) -> Plan {
        let mut kept = Nest::new();
        let mut going: SmallVec<[Axis; 4]> = SmallVec::new();
        for (axis, (&size, &stride)) in x.layout.shape.iter().zip(&x.layout.strides).enumerate() {
            if axes.contains(&axis) { going.push((size, stride)) } else { push_merged(&mut kept, (size, stride)) }
        }
        going.sort_by_key(|&(_, stride)| std::cmp::Reverse(stride.unsigned_abs()));
        let mut reduced = Nest::new();
        going.into_iter().for_each(|axis| push_merged(&mut reduced, axis));
        Plan { kept, reduced }
    }

    /// Whether columns side by side make the better inner loop than one reduced run after another.
    fn is_by_columns(&self) -> bool {
        let Some(&(columns, step)) = self.kept.last() else { return false };
        let Some(&(_, stride)) = self.reduced.last() else { return true };
        columns >= 8 && step.unsigned_abs() < stride.unsigned_abs()
    }
}

fn fold<T: Float, F: Fold<T>>(x: View<'_, T>, axes: &[usize], out: &mut [T]) {
    debug_assert!(axes.is_sorted());
    debug_assert_eq!(x.layout.shape.reduced(axes).len(), out.len());
    if out.is_empty() {
        return;
    }
    if x.layout.shape.contains(&0) {
        out.iter_mut().for_each(|y| *y = F::START);
        return;
    }
    let plan = Plan::new(&x, axes);
    let origin = x.layout.offset as isize;
    if plan.is_by_columns() {
        return by_columns::<T, F>(x.data, origin, &plan, out);
    }
    by_runs::<T, F>(x.data, origin, &plan, out);
}

/// One element of the output after another; each is a balanced tree over the chunks of its runs.
fn by_runs<T: Float, F: Fold<T>>(data: &[T], origin: isize, plan: &Plan, out: &mut [T]) {
    let runs = RunsOfOne::new(plan);
    let piece = (4 * CHUNK / runs.len()).max(1);
    let work = out.len().saturating_mul(runs.len());
    parallel::pieces(out, piece, work, &|start, part| {
        let mut odometer = Odometer::new(&plan.kept, start);
        if runs.leaves() == 1 {
            vectorized!({
                for y in part {
                    *y = runs.leaf::<T, F>(data, origin + odometer.shift, 0);
                    odometer.advance();
                }
            });
            return;
        }
        for y in part {
            let position = origin + odometer.shift;
            let leaf = |k| vectorized!(runs.leaf::<T, F>(data, position, k));
            *y = parallel::tree(runs.leaves(), runs.len(), &leaf, &F::join);
            odometer.advance();
        }
    });
}

/// What one element of the output folds: runs of even steps, several short ones or a chunk of a long one to a leaf.
struct RunsOfOne<'a> {
    outer: &'a [Axis],
    count: usize,
    inner: Axis,
    runs_per_leaf: usize,
    chunks_per_run: usize,
}

impl<'a> RunsOfOne<'a> {
    fn new(plan: &'a Plan) -> Self {
        let (&inner, outer) = plan.reduced.split_last().unwrap_or((&(1, 1), &[]));
        let count = outer.iter().map(|&(size, _)| size).product();
        RunsOfOne {
            outer,
            count,
            inner,
            runs_per_leaf: (CHUNK / inner.0).clamp(1, MAX_RUNS_PER_LEAF),
            chunks_per_run: inner.0.div_ceil(CHUNK),
        }
    }

    fn len(&self) -> usize {
        self.count * self.inner.0
    }

    fn leaves(&self) -> usize {
        self.count.div_ceil(self.runs_per_leaf) * self.chunks_per_run
    }

    #[inline(always)]
    fn leaf<T: Float, F: Fold<T>>(&self, data: &[T], position: isize, leaf: usize) -> T {
        let (len, stride) = self.inner;
        let first = leaf / self.chunks_per_run * self.runs_per_leaf;
        let runs = self.runs_per_leaf.min(self.count - first);
        let start = leaf % self.chunks_per_run * CHUNK;
        let chunk = CHUNK.min(len - start);
        if self.outer.is_empty() {
            return fold_run::<T, F>(data, position + start as isize * stride, (chunk, stride));
        }
        let mut odometer = Odometer::new(self.outer, first);
        let mut folded = F::START;
        for _ in 0..runs {
            let position = position + odometer.shift + start as isize * stride;
            folded = F::join(folded, fold_run::<T, F>(data, position, (chunk, stride)));
            odometer.advance();
        }
        folded
    }
}

#[inline(always)]
fn fold_run<T: Float, F: Fold<T>>(data: &[T], position: isize, (len, stride): Axis) -> T {
    let start = position as usize;
    if stride == 1 {
        fold_chunk::<T, F>(&data[start..start + len])
    } else {
        fold_strided::<T, F>(data, start, len, stride)
    }
}

#[inline(always)]
fn fold_chunk<T: Float, F: Fold<T>>(xs: &[T]) -> T {
    match xs.len() {
        0..8 => xs.iter().fold(F::START, |a, &x| F::join(a, F::lift(x))),
        8..128 => fold_lanes::<T, F, 8>(xs),
        _ => fold_lanes::<T, F, LANES>(xs),
    }
}

#[inline(always)]
fn fold_lanes<T: Float, F: Fold<T>, const N: usize>(xs: &[T]) -> T {
    let mut lanes = [F::START; N];
    let (rows, rest) = xs.as_chunks::<N>();
    for row in rows {
        for (lane, &x) in lanes.iter_mut().zip(row) {
            *lane = F::join(*lane, F::lift(x));
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = F::join(*lane, F::lift(x));
    }
    fold_halves(&mut lanes, F::join)
}

/// Folds lanes into one, each half onto the other. The widths are constants so that every step is one vector operation.
#[inline(always)]
pub(crate) fn fold_halves<T: Copy, const N: usize>(lanes: &mut [T; N], join: impl Fn(T, T) -> T) -> T {
    const { assert!(N.is_power_of_two() && N <= 64) };
    #[inline(always)]
    fn half<T: Copy, const W: usize>(lanes: &mut [T], join: impl Fn(T, T) -> T) {
        if lanes.len() >= 2 * W {
            let (left, right) = lanes.split_at_mut(W);
            left.iter_mut().zip(&right[..W]).for_each(|(a, &b)| *a = join(*a, b));
        }
    }
    half::<T, 32>(lanes, &join);
    half::<T, 16>(lanes, &join);
    half::<T, 8>(lanes, &join);
    half::<T, 4>(lanes, &join);
    half::<T, 2>(lanes, &join);
    half::<T, 1>(lanes, &join);
    lanes[0]
}

#[inline(always)]
fn fold_strided<T: Float, F: Fold<T>>(data: &[T], start: usize, len: usize, stride: isize) -> T {
    let last = start as isize + (len as isize - 1) * stride;
    assert!(start < data.len() && (0..data.len() as isize).contains(&last));
    let mut lanes = [F::START; 8];
    let mut position = start as isize;
    for k in 0..len {
        // SAFETY: positions go evenly from `start` to `last`, and both are inside `data`.
        let x = unsafe { *data.get_unchecked(position as usize) };
        lanes[k % 8] = F::join(lanes[k % 8], F::lift(x));
        position += stride;
    }
    fold_halves(&mut lanes, F::join)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, SHAPES, Sample, assert_close, assert_same_bits, indices, samples};

    type Reduction = fn(View<'_, f64>, &[usize], &mut [f64]);
    type Step = fn(f64, f64) -> f64;

    fn by_definition(x: &Sample<f64>, axes: &[usize], start: f64, step: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let shape = &x.layout.shape;
        let kept: Vec<usize> = (0..shape.rank()).filter(|axis| !axes.contains(axis)).collect();
        let left: Vec<Vec<usize>> = indices(&shape.reduced(axes)).collect();
        let mut out = vec![start; left.len()];
        for index in indices(shape) {
            let key: Vec<usize> = kept.iter().map(|&axis| index[axis]).collect();
            let place = left.iter().position(|i| *i == key).unwrap();
            out[place] = step(out[place], x.at(&index));
        }
        out
    }

    fn subsets(rank: usize) -> impl Iterator<Item = Vec<usize>> {
        (0..1 << rank).map(move |bits: usize| (0..rank).filter(|axis| bits >> axis & 1 == 1).collect())
    }

    fn nan_max(a: f64, b: f64) -> f64 {
        if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
    }

    #[test]
    fn every_reduction_over_every_set_of_axes_agrees_with_its_definition() {
        let reductions: [(Reduction, f64, Step); 6] = [
            (sum, 0.0, |a, x| a + x),
            (product, 1.0, |a, x| a * x),
            (sum_of_squares, 0.0, |a, x| a + x * x),
            (max, f64::NEG_INFINITY, nan_max),
            (min, f64::INFINITY, |a, x| -nan_max(-a, -x)),
            (abs_max, 0.0, |a, x| nan_max(a, x.abs())),
        ];
        for shape in SHAPES.iter().filter(|shape| shape.iter().product::<usize>() < 1600) {
            for (x, axes) in
                samples::<f64>(shape, 1).iter().flat_map(|x| subsets(shape.len()).map(move |axes| (x, axes)))
            {
                for (reduction, start, step) in &reductions {
                    let expected = by_definition(x, &axes, *start, step);
                    let mut out = vec![9.0; expected.len()];
                    reduction(x.view(), &axes, &mut out);
                    assert_close(&out, &expected, 1e-13);
                }
            }
        }
    }

    #[test]
    fn extremes_propagate_nan_wherever_it_is() {
        for place in 0..300 {
            let mut x = Sample::contiguous(Draws(1).numbers::<f64>(300), &[10, 30]);
            x.data[place] = f64::NAN;
            for axes in subsets(2) {
                for of in [max, min, abs_max] as [Reduction; 3] {
                    let mut out = vec![0.0; x.layout.shape.reduced(&axes).len()];
                    of(x.view(), &axes, &mut out);
                    assert_eq!(out.iter().filter(|y| y.is_nan()).count(), 1);
                }
            }
        }
    }

    #[test]
    fn sums_of_millions_of_f32_are_accurate() {
        let x = Sample::contiguous(vec![0.1_f32; 3 << 20], &[3 << 10, 1 << 10]);
        for axes in [&[0, 1][..], &[0], &[1]] {
            let mut out = vec![0.0; x.layout.shape.reduced(axes).len()];
            sum(x.view(), axes, &mut out);
            let expected = f64::from(0.1_f32) * (3 << 20) as f64 / out.len() as f64;
            assert!(out.iter().all(|&y| (f64::from(y) / expected - 1.0).abs() < 1e-6), "{axes:?} {}", out[0]);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let x = Sample::contiguous(Draws(1).numbers::<f32>(600 * 17 * 90), &[600, 17, 90]);
        for axes in subsets(3) {
            assert_same_bits(|| {
                let mut out = vec![0.5; x.layout.shape.reduced(&axes).len()];
                sum(x.view(), &axes, &mut out);
                out
            });
        }
    }
}
