//! Running sums, products and extremes along an axis.

use crate::float::Float;
use crate::kernel::lines::{Lines, Packed};
use crate::kernel::math::Math;
use crate::kernel::parallel;
use crate::kernel::vectorized::vectorized;
use crate::tensor::View;

/// The end of a line at which a scan starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// Lines that a scan of costly steps takes side by side.
const LANES: usize = 16;

/// `outᵢ = Σ_{j ≤ i} xⱼ` along `axis`, or over `j ≥ i`.
pub(crate) fn cumsum<T: Float>(x: View<'_, T>, axis: usize, direction: Direction, out: &mut [T]) {
    scan(x, axis, direction, out, |a, b| a + b);
}

/// `outᵢ = Π_{j ≤ i} xⱼ` along `axis`, or over `j ≥ i`.
pub(crate) fn cumprod<T: Float>(x: View<'_, T>, axis: usize, direction: Direction, out: &mut [T]) {
    scan(x, axis, direction, out, |a, b| a * b);
}

/// `outᵢ = ln Σ_{j ≤ i} exp xⱼ` along `axis`.
pub(crate) fn logcumsumexp<T: Float>(x: View<'_, T>, axis: usize, out: &mut [T]) {
    let lines = Lines::new(&x.layout.shape, axis);
    let x = Packed::new(x);
    let x = x.as_slice();
    if lines.inner > 1 {
        return lines.each_slab(out, LOG_ADD_EXP, &|outer, out| {
            vectorized!(scan_rows(lines.slab_of(x, outer), lines, Direction::Forward, out, log_add_exp));
        });
    }
    if !out.is_empty() {
        parallel::pieces(out, LANES * lines.len, x.len() * LOG_ADD_EXP, &|start, out| {
            vectorized!(scan_side_by_side(&x[start..start + out.len()], lines.len, out, log_add_exp));
        });
    }
}

/// What ln(eˣ + eʸ) costs, in cheap steps.
const LOG_ADD_EXP: usize = 8;

/// ln(eˣ + eʸ), straight through: equal numbers, infinite ones too, are apart by 0.
#[inline(always)]
fn log_add_exp<T: Float>(x: T, y: T) -> T {
    let (low, high) = if x < y { (x, y) } else { (y, x) };
    let apart = if low == high { T::ZERO } else { low - high };
    high + Math::log1p(Math::exp(apart))
}

fn scan<T: Float>(x: View<'_, T>, axis: usize, direction: Direction, out: &mut [T], join: impl Fn(T, T) -> T + Sync) {
    debug_assert_eq!(x.layout.shape.len(), out.len());
    let lines = Lines::new(&x.layout.shape, axis);
    let x = Packed::new(x);
    let x = x.as_slice();
    lines.each_slab(out, 1, &|outer, out| {
        let x = lines.slab_of(x, outer);
        match (lines.inner, direction) {
            (1, Direction::Forward) => scan_line(x.iter().zip(out), &join),
            (1, Direction::Backward) => scan_line(x.iter().zip(out).rev(), &join),
            _ => vectorized!(scan_rows(x, lines, direction, out, &join)),
        }
    });
}

#[inline(always)]
fn scan_line<'a, T: Float>(mut line: impl Iterator<Item = (&'a T, &'a mut T)>, join: impl Fn(T, T) -> T) {
    let Some((&first, y)) = line.next() else { return };
    *y = first;
    line.fold(first, |running, (&x, y)| {
        *y = join(running, x);
        *y
    });
}

/// Lines of neighbours, up to [`LANES`] of them: each step for all at once.
#[inline(always)]
fn scan_side_by_side<T: Float>(x: &[T], len: usize, out: &mut [T], join: impl Fn(T, T) -> T) {
    let mut running = [T::ZERO; LANES];
    for k in 0..len {
        let mut next = [T::ZERO; LANES];
        next.iter_mut().zip(x[k..].iter().step_by(len)).for_each(|(lane, &x)| *lane = x);
        if k == 0 {
            running = next;
        } else {
            running.iter_mut().zip(next).for_each(|(running, x)| *running = join(*running, x));
        }
        out[k..].iter_mut().step_by(len).zip(running).for_each(|(y, running)| *y = running);
    }
}

/// Whole rows at once: each is the row before it joined with the input's.
#[inline(always)]
fn scan_rows<T: Float>(x: &[T], lines: Lines, direction: Direction, out: &mut [T], join: impl Fn(T, T) -> T) {
    let width = lines.inner;
    for step in 0..lines.len {
        let (row, before) = match direction {
            Direction::Forward => (step, step.wrapping_sub(1)),
            Direction::Backward => (lines.len - 1 - step, lines.len - step),
        };
        let x = &x[row * width..][..width];
        if step == 0 {
            out[row * width..][..width].copy_from_slice(x);
            continue;
        }
        let (low, high) = out.split_at_mut(row.max(before) * width);
        let (running, y) = match direction {
            Direction::Forward => (&low[before * width..][..width], &mut high[..width]),
            Direction::Backward => (&high[..width], &mut low[row * width..][..width]),
        };
        y.iter_mut().zip(running).zip(x).for_each(|((y, &running), &x)| *y = join(running, x));
    }
}

/// `outᵢ = max_{j ≤ i} xⱼ` along `axis` and where it is; the last of equals, and a NaN from where it first appears.
pub(crate) fn cummax<T: Float>(x: View<'_, T>, axis: usize, out: &mut [T], indices: &mut [usize]) {
    running_extreme(x, axis, out, indices, |x, best| x >= best);
}

/// `outᵢ = min_{j ≤ i} xⱼ` along `axis` and where it is; the last of equals, and a NaN from where it first appears.
pub(crate) fn cummin<T: Float>(x: View<'_, T>, axis: usize, out: &mut [T], indices: &mut [usize]) {
    running_extreme(x, axis, out, indices, |x, best| x <= best);
}

fn running_extreme<T: Float>(
    x: View<'_, T>,
    axis: usize,
    out: &mut [T],
    indices: &mut [usize],
    wins: impl Fn(T, T) -> bool + Sync,
) {
    debug_assert_eq!((x.layout.shape.len(), indices.len()), (out.len(), out.len()));
    let lines = Lines::new(&x.layout.shape, axis);
    if out.is_empty() {
        return;
    }
    let x = Packed::new(x);
    let x = x.as_slice();
    let slab = lines.slab();
    parallel::paired_pieces((out, slab), (indices, slab), lines.total(), &|outer, out, indices| {
        let x = lines.slab_of(x, outer);
        match lines.inner {
            1 => extremes_of_line(x, out, indices, &wins),
            width => vectorized!(extremes_of_rows(x, width, out, indices, &wins)),
        }
    });
}

/// Whether the best so far stays when `x` comes: against a NaN nothing wins, and a new one always does.
#[inline(always)]
fn stays<T: Float>(best: T, x: T, wins: impl Fn(T, T) -> bool) -> bool {
    !x.is_nan() & !wins(x, best)
}

#[inline(always)]
fn extremes_of_line<T: Float>(x: &[T], out: &mut [T], indices: &mut [usize], wins: impl Fn(T, T) -> bool) {
    let (mut best, mut place) = (x[0], 0);
    for (k, ((&x, y), index)) in x.iter().zip(out).zip(indices).enumerate() {
        if !stays(best, x, &wins) {
            (best, place) = (x, k);
        }
        (*y, *index) = (best, place);
    }
}

#[inline(always)]
fn extremes_of_rows<T: Float>(
    x: &[T],
    width: usize,
    out: &mut [T],
    indices: &mut [usize],
    wins: impl Fn(T, T) -> bool,
) {
    out[..width].copy_from_slice(&x[..width]);
    indices[..width].fill(0);
    for (row, x) in x.chunks_exact(width).enumerate().skip(1) {
        let (best, y) = out[(row - 1) * width..][..2 * width].split_at_mut(width);
        let (place, index) = indices[(row - 1) * width..][..2 * width].split_at_mut(width);
        let before = best.iter().zip(&*place);
        for (((y, index), (&best, &place)), &x) in y.iter_mut().zip(index).zip(before).zip(x) {
            let stays = stays(best, x, &wins);
            *y = if stays { best } else { x };
            *index = if stays { place } else { row };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, SHAPES, Sample, assert_close, assert_same_bits, samples};

    /// Each line of the elements, and the positions it has among them.
    fn lines_of(lines: Lines) -> impl Iterator<Item = Vec<usize>> {
        let starts = (0..lines.outer).flat_map(move |outer| (0..lines.inner).map(move |k| outer * lines.slab() + k));
        starts.map(move |start| (0..lines.len).map(|k| start + k * lines.inner).collect())
    }

    #[test]
    fn sums_and_products_run_along_every_axis_both_ways() {
        for (x, axis) in SHAPES.iter().flat_map(|shape| samples::<f64>(shape, 1)).flat_map(|x| {
            let layout = x.layout.clone();
            (0..x.layout.shape.rank()).map(move |axis| (Sample { data: x.data.clone(), layout: layout.clone() }, axis))
        }) {
            let elements = x.elements();
            let mut expected = vec![[0.0; 4]; elements.len()];
            for line in lines_of(Lines::new(&x.layout.shape, axis)) {
                for (k, &place) in line.iter().enumerate() {
                    let (before, after) =
                        (line[..=k].iter().map(|&j| elements[j]), line[k..].iter().map(|&j| elements[j]));
                    expected[place] = [before.clone().sum(), after.clone().sum(), before.product(), after.product()];
                }
            }
            let mut out = vec![0.0; elements.len()];
            for (k, direction) in [Direction::Forward, Direction::Backward].into_iter().enumerate() {
                cumsum(x.view(), axis, direction, &mut out);
                assert_close(&out, &expected.iter().map(|e| e[k]).collect::<Vec<_>>(), 1e-12);
                cumprod(x.view(), axis, direction, &mut out);
                assert_close(&out, &expected.iter().map(|e| e[k + 2]).collect::<Vec<_>>(), 1e-12);
            }
        }
    }

    #[test]
    fn logarithms_of_running_sums_run_along_every_axis() {
        for shape in [&[40, 3][..], &[3, 40], &[2, 5, 17], &[1, 6], &[0, 4]] {
            for x in samples::<f64>(shape, 1) {
                let elements = x.elements();
                for axis in 0..shape.len() {
                    let (mut out, mut expected) = (vec![9.0; elements.len()], vec![0.0; elements.len()]);
                    for line in lines_of(Lines::new(&x.layout.shape, axis)).filter(|_| !elements.is_empty()) {
                        let mut sum = 0.0;
                        for &place in &line {
                            sum += f64::exp(elements[place]);
                            expected[place] = sum.ln();
                        }
                    }
                    logcumsumexp(x.view(), axis, &mut out);
                    assert_close(&out, &expected, 1e-13);
                }
            }
        }
    }

    #[test]
    fn running_extremes_take_the_last_of_equals_and_keep_nan() {
        let x = Sample::contiguous(vec![1.0, 3.0, 3.0, 2.0, f64::NAN, 9.0], &[6]);
        let (mut out, mut indices) = ([0.0; 6], [9; 6]);
        cummax(x.view(), 0, &mut out, &mut indices);
        assert_eq!((&out[..4], indices), (&[1.0, 3.0, 3.0, 3.0][..], [0, 1, 2, 2, 4, 4]));
        assert!(out[4].is_nan() && out[5].is_nan());
        cummin(x.view(), 0, &mut out, &mut indices);
        assert_eq!((&out[..4], indices), (&[1.0; 4][..], [0, 0, 0, 0, 4, 4]));
        let columns = Sample::contiguous(vec![1.0, 5.0, 0.0, 6.0, 2.0, 4.0], &[3, 2]);
        cummax(columns.view(), 0, &mut out, &mut indices);
        assert_eq!((out, indices), ([1.0, 5.0, 1.0, 6.0, 2.0, 6.0], [0, 0, 0, 1, 2, 1]));
    }

    #[test]
    fn threads_change_no_bit() {
        let x = Sample::contiguous(Draws(1).numbers::<f32>(300 * 10 * 90), &[300, 10, 90]);
        for axis in 0..3 {
            assert_same_bits(|| {
                let mut out = vec![0.0; 300 * 10 * 90];
                cumsum(x.view(), axis, Direction::Backward, &mut out);
                out
            });
        }
    }
}
