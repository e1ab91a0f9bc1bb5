//! Shifting groups of elements to mean zero and scaling them to variance one, and the adjoint of that.
//!
//! The mean comes first and squares are of what is left, so that a large mean costs no digits.

use crate::float::Float;
use crate::kernel::lines::Packed;
use crate::kernel::math::Math;
use crate::kernel::parallel;
use crate::kernel::product::dot;
use crate::kernel::reduce::slice_sum;
use crate::kernel::vectorized::vectorized;
use crate::tensor::View;
use crate::tensor::buffer::Buffer;

/// Elements that a thread takes at once: few enough that the later passes find them in the nearest cache.
const PIECE: usize = 1 << 11;

/// What an element costs, in cheap steps.
const WEIGHT: usize = 1;

/// Where the elements of a group lie: at `[.., group, ..]` of a tensor of `outer` times `count` times `inner` elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Groups {
    pub outer: usize,
    pub count: usize,
    pub inner: usize,
}

impl Groups {
    /// Elements of a group.
    pub fn size(&self) -> usize {
        self.outer * self.inner
    }

    /// Elements of one outer step: one slice of neighbours, or one element, of each group.
    fn row(&self) -> usize {
        self.count * self.inner
    }

    fn is_empty(&self) -> bool {
        self.outer * self.count * self.inner == 0
    }

    /// A few of these groups, where they lie one behind the other.
    fn per_piece(&self) -> usize {
        (PIECE / self.inner.max(1)).clamp(1, self.count.max(1))
    }
}

/// `out = (x − mean) / √(variance + eps)` in every group.
pub(crate) fn standardize<T: Float>(x: View<'_, T>, groups: Groups, eps: T, out: &mut [T]) {
    if groups.is_empty() {
        return;
    }
    if groups.outer > 1 {
        let mut statistics = Buffer::scratch(2 * groups.count);
        return standardize_with_statistics(x, groups, eps, out, statistics.get_mut().unwrap_or_default());
    }
    let x = Packed::new(x);
    let (x, work) = (x.as_slice(), out.len() * WEIGHT);
    parallel::pieces(out, groups.per_piece() * groups.inner, work, &|start, out| {
        let groups = Groups { count: out.len() / groups.inner, ..groups };
        let mut statistics = Buffer::scratch(2 * groups.count);
        let statistics = statistics.get_mut().unwrap_or_default();
        vectorized!(standardize_piece(&x[start..start + out.len()], groups, eps, out, statistics));
    });
}

/// As [`standardize`]; `statistics` are the means of all groups and then the variances.
pub(crate) fn standardize_with_statistics<T: Float>(
    x: View<'_, T>,
    groups: Groups,
    eps: T,
    out: &mut [T],
    statistics: &mut [T],
) {
    debug_assert_eq!(statistics.len(), 2 * groups.count);
    let x = Packed::new(x);
    if !groups.is_empty() {
        vectorized!(standardize_piece(x.as_slice(), groups, eps, out, statistics));
    }
}

/// The adjoint of [`standardize`] at `x`: `out = (g − mean g − y·mean(g·y)) / √(variance + eps)`, where y is the
/// standardized x. As a matrix it is symmetric.
pub(crate) fn standardize_adjoint<T: Float>(x: View<'_, T>, g: View<'_, T>, groups: Groups, eps: T, out: &mut [T]) {
    if groups.is_empty() {
        return;
    }
    let (x, g) = (Packed::new(x), Packed::new(g));
    let (x, g, work) = (x.as_slice(), g.as_slice(), out.len() * 2 * WEIGHT);
    let piece = if groups.outer > 1 { out.len() } else { groups.per_piece() * groups.inner };
    parallel::pieces(out, piece, work, &|start, out| {
        let count = if groups.outer > 1 { groups.count } else { out.len() / groups.inner };
        let (groups, place) = (Groups { count, ..groups }, start..start + out.len());
        let mut sums = Buffer::scratch(4 * count);
        let sums = sums.get_mut().unwrap_or_default();
        vectorized!(adjoint_piece(&x[place.clone()], &g[place], groups, eps, out, sums));
    });
}

#[inline(always)]
fn standardize_piece<T: Float>(x: &[T], groups: Groups, eps: T, out: &mut [T], statistics: &mut [T]) {
    let per_element = T::from_f64(1.0 / groups.size() as f64);
    statistics.fill(T::ZERO);
    let (mean, variance) = statistics.split_at_mut(groups.count);
    add_sums(x, groups, mean);
    mean.iter_mut().for_each(|sum| *sum *= per_element);
    center(x, groups, mean, out);
    add_products(out, out, groups, variance);
    variance.iter_mut().for_each(|sum| *sum *= per_element);
    let mut scales = Buffer::scratch(groups.count);
    let scales = scales.get_mut().unwrap_or_default();
    scales.iter_mut().zip(variance).for_each(|(scale, &mut variance)| *scale = T::ONE / Math::sqrt(variance + eps));
    for row in out.chunks_exact_mut(groups.row()) {
        if groups.inner == 1 {
            row.iter_mut().zip(&*scales).for_each(|(y, &scale)| *y *= scale);
            continue;
        }
        for (slice, &scale) in row.chunks_exact_mut(groups.inner).zip(&*scales) {
            slice.iter_mut().for_each(|y| *y *= scale);
        }
    }
}

#[inline(always)]
fn adjoint_piece<T: Float>(x: &[T], g: &[T], groups: Groups, eps: T, out: &mut [T], sums: &mut [T]) {
    let per_element = T::from_f64(1.0 / groups.size() as f64);
    sums.fill(T::ZERO);
    let (mean, rest) = sums.split_at_mut(groups.count);
    let (scale, rest) = rest.split_at_mut(groups.count);
    let (mean_g, slope) = rest.split_at_mut(groups.count);
    add_sums(x, groups, mean);
    mean.iter_mut().for_each(|sum| *sum *= per_element);
    center(x, groups, mean, out);
    add_products(out, out, groups, scale);
    add_sums(g, groups, mean_g);
    add_products(out, g, groups, slope);
    for ((scale, mean_g), slope) in scale.iter_mut().zip(mean_g.iter_mut()).zip(slope.iter_mut()) {
        *scale = T::ONE / Math::sqrt(*scale * per_element + eps);
        *mean_g *= per_element;
        *slope *= *scale * *scale * per_element;
    }
    for (row, g) in out.chunks_exact_mut(groups.row()).zip(g.chunks_exact(groups.row())) {
        if groups.inner == 1 {
            for (((c, &g), (&scale, &mean_g)), &slope) in
                row.iter_mut().zip(g).zip(scale.iter().zip(&*mean_g)).zip(&*slope)
            {
                *c = scale * (g - mean_g - *c * slope);
            }
            continue;
        }
        let slices = row.chunks_exact_mut(groups.inner).zip(g.chunks_exact(groups.inner));
        for (((slice, g), (&scale, &mean_g)), &slope) in slices.zip(scale.iter().zip(&*mean_g)).zip(&*slope) {
            slice.iter_mut().zip(g).for_each(|(c, &g)| *c = scale * (g - mean_g - *c * slope));
        }
    }
}

/// `sums += Σ x` of each group.
#[inline(always)]
fn add_sums<T: Float>(x: &[T], groups: Groups, sums: &mut [T]) {
    for row in x.chunks_exact(groups.row()) {
        if groups.inner == 1 {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
            continue;
        }
        for (sum, slice) in sums.iter_mut().zip(row.chunks_exact(groups.inner)) {
            *sum += slice_sum(slice);
        }
    }
}

/// `sums += Σ x·y` of each group.
#[inline(always)]
fn add_products<T: Float>(x: &[T], y: &[T], groups: Groups, sums: &mut [T]) {
    for (x, y) in x.chunks_exact(groups.row()).zip(y.chunks_exact(groups.row())) {
        if groups.inner == 1 {
            sums.iter_mut().zip(x.iter().zip(y)).for_each(|(sum, (&x, &y))| *sum += x * y);
            continue;
        }
        let slices = x.chunks_exact(groups.inner).zip(y.chunks_exact(groups.inner));
        for (sum, (x, y)) in sums.iter_mut().zip(slices) {
            *sum += dot(x, y);
        }
    }
}

/// `out = x − mean` in each group.
#[inline(always)]
fn center<T: Float>(x: &[T], groups: Groups, mean: &[T], out: &mut [T]) {
    for (row, x) in out.chunks_exact_mut(groups.row()).zip(x.chunks_exact(groups.row())) {
        if groups.inner == 1 {
            row.iter_mut().zip(x.iter().zip(mean)).for_each(|(y, (&x, &mean))| *y = x - mean);
            continue;
        }
        let slices = row.chunks_exact_mut(groups.inner).zip(x.chunks_exact(groups.inner));
        for ((slice, x), &mean) in slices.zip(mean) {
            slice.iter_mut().zip(x).for_each(|(y, &x)| *y = x - mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, Sample, assert_close, assert_same_bits, samples};

    const GROUPS: [Groups; 6] = [
        Groups { outer: 1, count: 12, inner: 7 },
        Groups { outer: 12, count: 7, inner: 1 },
        Groups { outer: 3, count: 4, inner: 7 },
        Groups { outer: 1, count: 84, inner: 1 },
        Groups { outer: 1, count: 1, inner: 84 },
        Groups { outer: 84, count: 1, inner: 1 },
    ];

    fn of_group(x: &[f64], groups: Groups, group: usize) -> Vec<f64> {
        let is_in = |i: usize| i / groups.inner % groups.count == group;
        x.iter().enumerate().filter(|&(i, _)| is_in(i)).map(|(_, &x)| x).collect()
    }

    #[test]
    fn groups_have_mean_zero_and_variance_one() {
        for groups in GROUPS {
            for x in samples::<f64>(&[3, 4, 7], 1) {
                let (mut y, mut again, mut statistics) = (vec![9.0; 84], vec![9.0; 84], vec![9.0; 2 * groups.count]);
                standardize(x.view(), groups, 0.25, &mut y);
                standardize_with_statistics(x.view(), groups, 0.25, &mut again, &mut statistics);
                assert_close(&y, &again, 1e-14);
                for group in 0..groups.count {
                    let (x, y) = (of_group(&x.elements(), groups, group), of_group(&y, groups, group));
                    let n = x.len() as f64;
                    let mean = x.iter().sum::<f64>() / n;
                    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
                    assert_close(&[statistics[group], statistics[groups.count + group]], &[mean, variance], 1e-14);
                    let expected: Vec<f64> = x.iter().map(|x| (x - mean) / (variance + 0.25).sqrt()).collect();
                    assert_close(&y, &expected, 1e-14);
                }
            }
        }
    }

    #[test]
    fn the_adjoint_by_its_formula() {
        for groups in GROUPS {
            let (x, g) = (&samples::<f64>(&[3, 4, 7], 1)[1], &samples::<f64>(&[3, 4, 7], 2)[2]);
            let (mut y, mut gx) = (vec![0.0; 84], vec![9.0; 84]);
            standardize(x.view(), groups, 0.25, &mut y);
            standardize_adjoint(x.view(), g.view(), groups, 0.25, &mut gx);
            for group in 0..groups.count {
                let of = |x: &[f64]| of_group(x, groups, group);
                let (x, y, g, gx) = (of(&x.elements()), of(&y), of(&g.elements()), of(&gx));
                let mean = |f: &dyn Fn(usize) -> f64| (0..x.len()).map(f).sum::<f64>() / x.len() as f64;
                let center = mean(&|i| x[i]);
                let scale = 1.0 / (mean(&|i| (x[i] - center).powi(2)) + 0.25).sqrt();
                let (mean_g, mean_gy) = (mean(&|i| g[i]), mean(&|i| g[i] * y[i]));
                let expected: Vec<f64> = (0..x.len()).map(|i| scale * (g[i] - mean_g - y[i] * mean_gy)).collect();
                assert_close(&gx, &expected, 1e-13);
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let x = Sample::contiguous(Draws(1).numbers::<f32>(600 * 300), &[600, 300]);
        assert_same_bits(|| {
            let mut out = vec![0.0; 600 * 300];
            standardize(x.view(), Groups { outer: 1, count: 600, inner: 300 }, 1e-5, &mut out);
            out
        });
    }
}
