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

/// Elements that a thread takes at once: few enough that the later passes find them in the nearest cache.
const ELEMENTS_PER_TASK: usize = 1 << 11;

/// What an element costs, in cheap steps.
const ELEMENT_COST: usize = 1;

/// Groups that lie one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Groups {
    pub count: usize,
    /// Elements of a group.
    pub size: usize,
}

impl Groups {
    /// Elements of a few of these groups.
    fn piece(&self) -> usize {
        (ELEMENTS_PER_TASK / self.size.max(1)).clamp(1, self.count.max(1)) * self.size
    }
}

/// `out = (x − mean) / √(variance + eps)` in every group.
pub(crate) fn layer_norm<T: Float>(x: View<'_, T>, groups: Groups, eps: T, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let x = Packed::new(x);
    let (x, work) = (x.as_slice(), out.len() * ELEMENT_COST);
    parallel::pieces(out, groups.piece(), work, &|start, out| {
        vectorized!(for (x, y) in x[start..].chunks_exact(groups.size).zip(out.chunks_exact_mut(groups.size)) {
            let variance = center(x, y);
            let scale = T::ONE / Math::sqrt(variance + eps);
            y.iter_mut().for_each(|y| *y *= scale);
        });
    });
}

/// The adjoint of [`layer_norm`] at `x`: `out = (g − mean g − y·mean(g·y)) / √(variance + eps)`, where y is the
/// standardized x. As a matrix it is symmetric.
pub(crate) fn layer_norm_adjoint<T: Float>(x: View<'_, T>, g: View<'_, T>, groups: Groups, eps: T, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let (x, g) = (Packed::new(x), Packed::new(g));
    let (x, g, work) = (x.as_slice(), g.as_slice(), out.len() * 2 * ELEMENT_COST);
    parallel::pieces(out, groups.piece(), work, &|start, out| {
        let operands = x[start..].chunks_exact(groups.size).zip(g[start..].chunks_exact(groups.size));
        vectorized!(for ((x, g), out) in operands.clone().zip(out.chunks_exact_mut(groups.size)) {
            adjoint_of_group(x, g, eps, out);
        });
    });
}

#[inline(always)]
fn adjoint_of_group<T: Float>(x: &[T], g: &[T], eps: T, out: &mut [T]) {
    let per_element = T::from_f64(1.0 / x.len() as f64);
    let scale = T::ONE / Math::sqrt(center(x, out) + eps);
    let mean_g = slice_sum(g) * per_element;
    let slope = dot(out, g) * (scale * scale * per_element);
    out.iter_mut().zip(g).for_each(|(c, &g)| *c = scale * (g - mean_g - *c * slope));
}

/// `out = x − mean`, and the mean of its squares.
#[inline(always)]
fn center<T: Float>(x: &[T], out: &mut [T]) -> T {
    let per_element = T::from_f64(1.0 / x.len() as f64);
    let mean = slice_sum(x) * per_element;
    out.iter_mut().zip(x).for_each(|(y, &x)| *y = x - mean);
    dot(out, out) * per_element
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, Sample, assert_close, assert_same_bits, samples};

    const GROUPS: [Groups; 3] =
        [Groups { count: 12, size: 7 }, Groups { count: 84, size: 1 }, Groups { count: 1, size: 84 }];

    #[test]
    fn groups_have_mean_zero_and_variance_one() {
        for groups in GROUPS {
            for x in samples::<f64>(&[3, 4, 7], 1) {
                let mut y = vec![9.0; 84];
                layer_norm(x.view(), groups, 0.25, &mut y);
                for (x, y) in x.elements().chunks(groups.size).zip(y.chunks(groups.size)) {
                    let n = x.len() as f64;
                    let mean = x.iter().sum::<f64>() / n;
                    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
                    let expected: Vec<f64> = x.iter().map(|x| (x - mean) / (variance + 0.25).sqrt()).collect();
                    assert_close(y, &expected, 1e-14);
                }
            }
        }
    }

    #[test]
    fn the_adjoint_by_its_formula() {
        for groups in GROUPS {
            let (x, g) = (&samples::<f64>(&[3, 4, 7], 1)[1], &samples::<f64>(&[3, 4, 7], 2)[2]);
            let (mut y, mut gx) = (vec![0.0; 84], vec![9.0; 84]);
            layer_norm(x.view(), groups, 0.25, &mut y);
            layer_norm_adjoint(x.view(), g.view(), groups, 0.25, &mut gx);
            let (x, g) = (x.elements(), g.elements());
            let of = |group: usize| group * groups.size..(group + 1) * groups.size;
            for group in (0..groups.count).map(of) {
                let (x, y, g, gx) = (&x[group.clone()], &y[group.clone()], &g[group.clone()], &gx[group]);
                let mean = |f: &dyn Fn(usize) -> f64| (0..x.len()).map(f).sum::<f64>() / x.len() as f64;
                let center = mean(&|i| x[i]);
                let scale = 1.0 / (mean(&|i| (x[i] - center).powi(2)) + 0.25).sqrt();
                let (mean_g, mean_gy) = (mean(&|i| g[i]), mean(&|i| g[i] * y[i]));
                let expected: Vec<f64> = (0..x.len()).map(|i| scale * (g[i] - mean_g - y[i] * mean_gy)).collect();
                assert_close(gx, &expected, 1e-13);
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let x = Sample::contiguous(Draws(1).numbers::<f32>(600 * 300), &[600, 300]);
        assert_same_bits(|| {
            let mut out = vec![0.0; 600 * 300];
            layer_norm(x.view(), Groups { count: 600, size: 300 }, 1e-5, &mut out);
            out
        });
    }
}
