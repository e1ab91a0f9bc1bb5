//! Where along an axis the largest or smallest element is.

use crate::float::Float;
use crate::kernel::lines::{Lines, Packed};
use crate::kernel::vectorized::vectorized;
use crate::tensor::View;

/// Columns that are searched side by side.
const COLUMNS_AT_ONCE: usize = 256;

/// The first index of the largest element along `axis`; a NaN is larger than any number. The axis must not be empty.
pub(crate) fn argmax<T: Float>(x: View<'_, T>, axis: usize, out: &mut [usize]) {
    search(x, axis, out, |x, best| x > best);
}

/// The first index of the smallest element along `axis`; a NaN is smaller than any number. The axis must not be empty.
pub(crate) fn argmin<T: Float>(x: View<'_, T>, axis: usize, out: &mut [usize]) {
    search(x, axis, out, |x, best| x < best);
}

fn search<T: Float>(x: View<'_, T>, axis: usize, out: &mut [usize], beats: impl Fn(T, T) -> bool + Sync) {
    let lines = Lines::new(&x.layout.shape, axis);
    debug_assert_eq!(out.len(), lines.outer * lines.inner);
    debug_assert!(lines.len > 0 || out.is_empty());
    let x = Packed::new(x);
    let x = x.as_slice();
    lines.each_slab(out, 1, &|outer, out| {
        let slab = lines.slab_of(x, outer);
        if lines.inner == 1 {
            out[0] = vectorized!(search_line(slab, &beats));
            return;
        }
        for (k, out) in out.chunks_mut(COLUMNS_AT_ONCE).enumerate() {
            vectorized!(search_columns(&slab[k * COLUMNS_AT_ONCE..], lines.inner, out, &beats));
        }
    });
}

/// Finds the value in lanes, without a branch, and then its first place.
#[inline(always)]
fn search_line<T: Float>(line: &[T], beats: impl Fn(T, T) -> bool) -> usize {
    let mut lanes = [line[0]; 16];
    let choose = |best: T, x: T| if beats(x, best) || x.is_nan() { x } else { best };
    let (rows, rest) = line.as_chunks::<16>();
    for row in rows {
        lanes.iter_mut().zip(row).for_each(|(best, &x)| *best = choose(*best, x));
    }
    let best = lanes.iter().chain(rest).fold(line[0], |best, &x| if best.is_nan() { best } else { choose(best, x) });
    line.iter().position(|&x| if best.is_nan() { x.is_nan() } else { x == best }).unwrap_or(0)
}

#[inline(always)]
fn search_columns<T: Float>(slab: &[T], stride: usize, out: &mut [usize], beats: impl Fn(T, T) -> bool) {
    let mut best = [T::ZERO; COLUMNS_AT_ONCE];
    let best = &mut best[..out.len()];
    best.copy_from_slice(&slab[..out.len()]);
    out.fill(0);
    for (k, row) in slab.chunks(stride).enumerate().skip(1) {
        for ((index, best), &x) in out.iter_mut().zip(&mut *best).zip(row) {
            if beats(x, *best) || (x.is_nan() && !best.is_nan()) {
                (*index, *best) = (k, x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{SHAPES, samples};

    fn first(line: impl Iterator<Item = f64>, beats: fn(f64, f64) -> bool) -> usize {
        let line: Vec<f64> = line.collect();
        if let Some(place) = line.iter().position(|x| x.is_nan()) {
            return place;
        }
        (0..line.len()).fold(0, |best, k| if beats(line[k], line[best]) { k } else { best })
    }

    #[test]
    fn the_first_extreme_along_every_axis() {
        for shape in SHAPES.iter().filter(|shape| !shape.contains(&0)) {
            for mut x in samples::<f64>(shape, 1) {
                x.data.iter_mut().for_each(|x| *x = (*x * 8.0).round());
                x.data.iter_mut().skip(2).step_by(37).for_each(|x| *x = f64::NAN);
                for axis in 0..shape.len() {
                    let lines = Lines::new(&x.layout.shape, axis);
                    let elements = x.elements();
                    let line = |k: usize| {
                        let start = k / lines.inner * lines.slab() + k % lines.inner;
                        elements[start..].iter().copied().step_by(lines.inner).take(lines.len)
                    };
                    let mut out = vec![9; lines.outer * lines.inner];
                    argmax(x.view(), axis, &mut out);
                    assert!((0..out.len()).all(|k| out[k] == first(line(k), |x, y| x > y)), "{shape:?}");
                    argmin(x.view(), axis, &mut out);
                    assert!((0..out.len()).all(|k| out[k] == first(line(k), |x, y| x < y)), "{shape:?}");
                }
            }
        }
    }
}
