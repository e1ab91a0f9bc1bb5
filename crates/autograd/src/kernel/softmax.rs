//! Softmax, its logarithm and log-sum-exp along an axis, and the adjoints of the first two, on numbers.
//!
//! The largest element is subtracted before the exponential, so nothing overflows. A line of −∞ alone has log-sum-exp −∞
//! and softmax NaN, as in PyTorch.

use crate::float::Float;
use crate::kernel::Write;
use crate::kernel::lines::{Lines, Packed};
use crate::kernel::math::Math;
use crate::kernel::product::dot;
use crate::kernel::reduce::{larger, slice_max, slice_sum};
use crate::kernel::vectorized::vectorized;
use crate::tensor::View;

/// Columns that are worked on side by side.
const COLUMNS_AT_ONCE: usize = 256;

/// What an exponential costs, in cheap steps.
const ELEMENT_COST: usize = 8;

/// `out = exp(x − max x) / Σ exp(x − max x)` along `axis`.
pub(crate) fn softmax<T: Float>(x: View<'_, T>, axis: usize, out: &mut [T]) {
    normalize(x, axis, out, Scale::Number);
}

/// `out = x − max x − ln Σ exp(x − max x)` along `axis`.
pub(crate) fn log_softmax<T: Float>(x: View<'_, T>, axis: usize, out: &mut [T]) {
    normalize(x, axis, out, Scale::Logarithm);
}

#[derive(Clone, Copy)]
enum Scale {
    Number,
    Logarithm,
}

fn normalize<T: Float>(x: View<'_, T>, axis: usize, out: &mut [T], scale: Scale) {
    debug_assert_eq!(x.layout.shape.len(), out.len());
    let lines = Lines::new(&x.layout.shape, axis);
    let x = Packed::new(x);
    let x = x.as_slice();
    lines.each_slab(out, ELEMENT_COST, &|outer, out| {
        let x = lines.slab_of(x, outer);
        if lines.inner == 1 {
            return vectorized!(normalize_line(x, out, scale));
        }
        for first in (0..lines.inner).step_by(COLUMNS_AT_ONCE) {
            vectorized!(normalize_columns(x, lines, first, out, scale));
        }
    });
}

#[inline(always)]
fn normalize_line<T: Float>(x: &[T], out: &mut [T], scale: Scale) {
    let max = slice_max(x);
    out.iter_mut().zip(x).for_each(|(y, &x)| *y = Math::exp(x - max));
    let sum = slice_sum(out);
    match scale {
        Scale::Number => out.iter_mut().for_each(|y| *y /= sum),
        Scale::Logarithm => {
            let log = Math::ln(sum);
            out.iter_mut().zip(x).for_each(|(y, &x)| *y = x - max - log);
        }
    }
}

#[inline(always)]
fn normalize_columns<T: Float>(x: &[T], lines: Lines, first: usize, out: &mut [T], scale: Scale) {
    let width = COLUMNS_AT_ONCE.min(lines.inner - first);
    let (mut max, mut sum) = ([T::NEG_INFINITY; COLUMNS_AT_ONCE], [T::ZERO; COLUMNS_AT_ONCE]);
    let (max, sum) = (&mut max[..width], &mut sum[..width]);
    let rows = || (0..lines.len).map(|k| k * lines.inner + first..k * lines.inner + first + width);
    for row in rows() {
        max.iter_mut().zip(&x[row]).for_each(|(max, &x)| *max = larger(*max, x));
    }
    for row in rows() {
        let elements = out[row.clone()].iter_mut().zip(&x[row]);
        for ((y, &x), (&mut max, sum)) in elements.zip(max.iter_mut().zip(&mut *sum)) {
            *y = Math::exp(x - max);
            *sum += *y;
        }
    }
    if let Scale::Logarithm = scale {
        sum.iter_mut().for_each(|sum| *sum = Math::ln(*sum));
    }
    for row in rows() {
        let elements = out[row.clone()].iter_mut().zip(&x[row]);
        for ((y, &x), (&max, &sum)) in elements.zip(max.iter().zip(&*sum)) {
            match scale {
                Scale::Number => *y /= sum,
                Scale::Logarithm => *y = x - max - sum,
            }
        }
    }
}

/// `out = ln Σ exp(x)` along `axis`; −∞ for nothing.
pub(crate) fn logsumexp<T: Float>(x: View<'_, T>, axis: usize, out: &mut [T]) {
    let lines = Lines::new(&x.layout.shape, axis);
    debug_assert_eq!(out.len(), lines.outer * lines.inner);
    let x = Packed::new(x);
    let x = x.as_slice();
    lines.each_slab(out, ELEMENT_COST, &|outer, out| {
        let x = lines.slab_of(x, outer);
        if lines.inner == 1 {
            out[0] = vectorized!(logsumexp_line(x));
            return;
        }
        for (k, out) in out.chunks_mut(COLUMNS_AT_ONCE).enumerate() {
            vectorized!(logsumexp_columns(x, lines, k * COLUMNS_AT_ONCE, out));
        }
    });
}

/// The shift before the exponential: without one, ±∞ come out right.
#[inline(always)]
fn shift<T: Float>(max: T) -> T {
    if max.is_finite() { max } else { T::ZERO }
}

#[inline(always)]
fn logsumexp_line<T: Float>(x: &[T]) -> T {
    let shift = shift(slice_max(x));
    let mut sum = T::ZERO;
    let mut block = [T::ZERO; COLUMNS_AT_ONCE];
    for x in x.chunks(COLUMNS_AT_ONCE) {
        block.iter_mut().zip(x).for_each(|(y, &x)| *y = Math::exp(x - shift));
        sum += slice_sum(&block[..x.len()]);
    }
    Math::ln(sum) + shift
}

#[inline(always)]
fn logsumexp_columns<T: Float>(x: &[T], lines: Lines, first: usize, out: &mut [T]) {
    let rows = || (0..lines.len).map(|k| &x[k * lines.inner + first..][..out.len()]);
    let (mut max, mut sum) = ([T::NEG_INFINITY; COLUMNS_AT_ONCE], [T::ZERO; COLUMNS_AT_ONCE]);
    for row in rows() {
        max.iter_mut().zip(row).for_each(|(max, &x)| *max = larger(*max, x));
    }
    max.iter_mut().for_each(|max| *max = shift(*max));
    for row in rows() {
        sum.iter_mut().zip(&max).zip(row).for_each(|((sum, &shift), &x)| *sum += Math::exp(x - shift));
    }
    out.iter_mut().zip(sum).zip(max).for_each(|((y, sum), shift)| *y = Math::ln(sum) + shift);
}

/// `out = y·(g − Σ g·y)` along `axis`, for `y` the softmax; or that is added to `out`.
pub(crate) fn softmax_adjoint<T: Float>(y: View<'_, T>, g: View<'_, T>, axis: usize, out: &mut [T], write: Write) {
    adjoint((y, g), axis, out, Scale::Number, write);
}

/// `out = g − exp(y)·Σ g` along `axis`, for `y` the logarithm of the softmax; or that is added to `out`.
pub(crate) fn log_softmax_adjoint<T: Float>(y: View<'_, T>, g: View<'_, T>, axis: usize, out: &mut [T], write: Write) {
    adjoint((y, g), axis, out, Scale::Logarithm, write);
}

fn adjoint<T: Float>((y, g): (View<'_, T>, View<'_, T>), axis: usize, out: &mut [T], scale: Scale, write: Write) {
    debug_assert_eq!((y.layout.shape.len(), g.layout.shape.len()), (out.len(), out.len()));
    let lines = Lines::new(&y.layout.shape, axis);
    let (y, g) = (Packed::new(y), Packed::new(g));
    let (y, g) = (y.as_slice(), g.as_slice());
    lines.each_slab(out, ELEMENT_COST, &|outer, out| {
        let (y, g) = (lines.slab_of(y, outer), lines.slab_of(g, outer));
        if lines.inner == 1 {
            return vectorized!(adjoint_of_line(y, g, out, scale, write));
        }
        for first in (0..lines.inner).step_by(COLUMNS_AT_ONCE) {
            vectorized!(adjoint_of_columns((y, g), lines, first, out, scale, write));
        }
    });
}

/// What an element gets when `total` is the sum along its line.
#[inline(always)]
fn share<T: Float>(y: T, g: T, total: T, scale: Scale) -> T {
    match scale {
        Scale::Number => y * (g - total),
        Scale::Logarithm => g - Math::exp(y) * total,
    }
}

#[inline(always)]
fn adjoint_of_line<T: Float>(y: &[T], g: &[T], out: &mut [T], scale: Scale, write: Write) {
    let total = match scale {
        Scale::Number => dot(y, g),
        Scale::Logarithm => slice_sum(g),
    };
    out.iter_mut().zip(y).zip(g).for_each(|((gx, &y), &g)| write.put(gx, share(y, g, total, scale)));
}

#[inline(always)]
fn adjoint_of_columns<T: Float>(
    (y, g): (&[T], &[T]),
    lines: Lines,
    first: usize,
    out: &mut [T],
    scale: Scale,
    write: Write,
) {
    let width = COLUMNS_AT_ONCE.min(lines.inner - first);
    let mut totals = [T::ZERO; COLUMNS_AT_ONCE];
    let totals = &mut totals[..width];
    let rows = || (0..lines.len).map(|k| k * lines.inner + first..k * lines.inner + first + width);
    for row in rows() {
        for ((total, &y), &g) in totals.iter_mut().zip(&y[row.clone()]).zip(&g[row]) {
            match scale {
                Scale::Number => *total += y * g,
                Scale::Logarithm => *total += g,
            }
        }
    }
    for row in rows() {
        let operands = y[row.clone()].iter().zip(&g[row.clone()]).zip(&*totals);
        for (gx, ((&y, &g), &total)) in out[row].iter_mut().zip(operands) {
            write.put(gx, share(y, g, total, scale));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, SHAPES, Sample, assert_close, assert_same_bits, samples};

    /// For each element, the sum of `f` over its line.
    fn sums(lines: Lines, f: impl Fn(usize) -> f64) -> Vec<f64> {
        let start = |k: usize| k / lines.slab() * lines.slab() + k % lines.inner;
        (0..lines.total()).map(|k| (0..lines.len).map(|i| f(start(k) + i * lines.inner)).sum()).collect()
    }

    #[test]
    fn all_agree_with_their_definitions_along_every_axis() {
        for shape in SHAPES.iter().filter(|shape| !shape.contains(&0) && !shape.is_empty()) {
            for (n, (x, g)) in samples::<f64>(shape, 1).into_iter().zip(samples::<f64>(shape, 2)).enumerate() {
                let axis = n % shape.len();
                let lines = Lines::new(&x.layout.shape, axis);
                let (xs, gs) = (x.elements(), g.elements());
                let total = sums(lines, |k| xs[k].exp());
                let of = |f: &dyn Fn(usize) -> f64| (0..xs.len()).map(f).collect::<Vec<_>>();
                let (y, log) = (of(&|k| xs[k].exp() / total[k]), of(&|k| xs[k] - total[k].ln()));
                let mut out = vec![0.0; xs.len()];
                softmax(x.view(), axis, &mut out);
                assert_close(&out, &y, 1e-14);
                log_softmax(x.view(), axis, &mut out);
                assert_close(&out, &log, 1e-14);
                let mut short = vec![0.0; lines.outer * lines.inner];
                logsumexp(x.view(), axis, &mut short);
                let start = |k: usize| k / lines.inner * lines.slab() + k % lines.inner;
                let logs: Vec<f64> = (0..short.len()).map(|k| total[start(k)].ln()).collect();
                assert_close(&short, &logs, 1e-14);
                let (dots, gsums) = (sums(lines, |k| y[k] * gs[k]), sums(lines, |k| gs[k]));
                let y = Sample::contiguous(y, shape);
                out.fill(0.5);
                softmax_adjoint(y.view(), g.view(), axis, &mut out, Write::Add);
                assert_close(&out, &of(&|k| 0.5 + y.data[k] * (gs[k] - dots[k])), 1e-14);
                let log = Sample::contiguous(log, shape);
                log_softmax_adjoint(log.view(), g.view(), axis, &mut out, Write::Replace);
                assert_close(&out, &of(&|k| gs[k] - log.data[k].exp() * gsums[k]), 1e-13);
            }
        }
    }

    #[test]
    fn infinities_come_out_as_in_pytorch() {
        let infinite = f64::INFINITY;
        let x = [-infinite, -infinite, 1.0, -infinite, infinite, 0.0, 1e300, -1e300];
        for (shape, axis) in [([4, 2], 1), ([2, 4], 0)] {
            let mut x = x.to_vec();
            if axis == 0 {
                x = (0..8).map(|k| x[k % 4 * 2 + k / 4]).collect(); // The same lines, as columns.
            }
            let x = Sample::contiguous(x, &shape);
            let mut out = [0.0; 4];
            logsumexp(x.view(), axis, &mut out);
            assert_eq!(out, [-infinite, 1.0, infinite, 1e300]);
            let mut out = [0.0; 8];
            softmax(x.view(), axis, &mut out);
            let at = |line: usize, k: usize| if axis == 1 { out[line * 2 + k] } else { out[k * 4 + line] };
            assert!(at(0, 0).is_nan() && at(0, 1).is_nan() && at(2, 0).is_nan());
            assert_eq!([at(1, 0), at(1, 1), at(3, 0), at(3, 1)], [1.0, 0.0, 1.0, 0.0]);
        }
        let mut out = [0.0; 3];
        logsumexp(Sample::<f64>::contiguous(vec![], &[3, 0]).view(), 1, &mut out);
        assert_eq!(out, [-infinite; 3]);
    }

    #[test]
    fn threads_change_no_bit() {
        let x = Sample::contiguous(Draws(1).numbers::<f32>(300 * 10 * 90), &[300, 10, 90]);
        for axis in 0..3 {
            assert_same_bits(|| {
                let mut out = vec![0.0; 300 * 10 * 90];
                softmax(x.view(), axis, &mut out);
                out
            });
        }
    }
}
