//! The order of the elements along an axis. NaN counts as larger than every number, as in PyTorch.

use std::cmp::Ordering;

use crate::float::Float;
use crate::kernel::lines::{Lines, Packed};
use crate::tensor::View;
use crate::tensor::buffer::Buffer;

/// Whether the smallest or the largest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortOrder {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// The indices that put the lines along `axis` in order; equals stay in theirs.
pub(crate) fn argsort<T: Float>(x: View<'_, T>, axis: usize, order: SortOrder, out: &mut [usize]) {
    debug_assert_eq!(x.layout.shape.len(), out.len());
    each_line(x, axis, out, &|line, places, out| {
        sort(line, places, order);
        out.fill_from(places);
    });
}

/// The indices of the first `k` elements in order along `axis`; equals come by index. `out` has `k` elements per line.
pub(crate) fn topk<T: Float>(x: View<'_, T>, axis: usize, k: usize, order: SortOrder, out: &mut [usize]) {
    debug_assert!(k <= Lines::new(&x.layout.shape, axis).len);
    each_line(x, axis, out, &|line, places, out| {
        if k < places.len() {
            places.select_nth_unstable_by(k, |&i, &j| compare(line, order, i, j));
        }
        sort(line, &mut places[..k], order);
        out.fill_from(&places[..k]);
    });
}

/// Indices make every pair of places different, so that an unstable sort, which needs no memory, is stable.
fn sort<T: Float>(line: &[T], places: &mut [usize], order: SortOrder) {
    places.sort_unstable_by(|&i, &j| compare(line, order, i, j));
}

fn compare<T: Float>(line: &[T], order: SortOrder, i: usize, j: usize) -> Ordering {
    let ascending = || line[i].partial_cmp(&line[j]).unwrap_or_else(|| line[i].is_nan().cmp(&line[j].is_nan()));
    let by_value = match order {
        SortOrder::Ascending => ascending(),
        SortOrder::Descending => ascending().reverse(),
    };
    by_value.then(i.cmp(&j))
}

/// The places of one line in a slab of the output.
struct LineOfOut<'a> {
    slab: &'a mut [usize],
    first: usize,
    step: usize,
}

impl LineOfOut<'_> {
    fn fill_from(&mut self, places: &[usize]) {
        let out = self.slab[self.first..].iter_mut().step_by(self.step);
        out.zip(places).for_each(|(y, &place)| *y = place);
    }
}

/// Calls `f(line, places, out)` for every line, with `places` counting from zero.
fn each_line<T: Float>(
    x: View<'_, T>,
    axis: usize,
    out: &mut [usize],
    f: &(impl Fn(&[T], &mut [usize], &mut LineOfOut<'_>) + Sync),
) {
    /// About what a comparison in a sort costs for every element.
    const ELEMENT_COST: usize = 32;
    let lines = Lines::new(&x.layout.shape, axis);
    let x = Packed::new(x);
    let x = x.as_slice();
    lines.each_slab(out, ELEMENT_COST, &|outer, slab| {
        let from = lines.slab_of(x, outer);
        let (mut line, mut places) = (Buffer::<T>::scratch(lines.len), Buffer::<usize>::scratch(lines.len));
        let (Some(line), Some(places)) = (line.get_mut(), places.get_mut()) else { return };
        for first in 0..lines.inner {
            line.iter_mut().zip(from[first..].iter().step_by(lines.inner)).for_each(|(y, &x)| *y = x);
            places.iter_mut().enumerate().for_each(|(k, place)| *place = k);
            f(line, places, &mut LineOfOut { slab: &mut *slab, first, step: lines.inner });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{SHAPES, samples};

    #[test]
    fn orders_are_stable_with_nan_as_the_largest() {
        for shape in SHAPES.iter().filter(|shape| !shape.contains(&0) && !shape.is_empty()) {
            for (n, mut x) in samples::<f64>(shape, 1).into_iter().enumerate() {
                x.data.iter_mut().for_each(|x| *x = (*x * 8.0).round() + 0.0);
                x.data.iter_mut().skip(1).step_by(5).for_each(|x| *x = f64::NAN);
                let axis = n % shape.len();
                let (lines, elements) = (Lines::new(&x.layout.shape, axis), x.elements());
                for order in [SortOrder::Ascending, SortOrder::Descending] {
                    let mut out = vec![9; elements.len()];
                    argsort(x.view(), axis, order, &mut out);
                    let k = lines.len.div_ceil(3);
                    let mut top = vec![9; lines.outer * k * lines.inner];
                    topk(x.view(), axis, k, order, &mut top);
                    for line in 0..lines.outer * lines.inner {
                        let (outer, inner) = (line / lines.inner, line % lines.inner);
                        let key = |i: usize| {
                            let x = elements[outer * lines.slab() + i * lines.inner + inner];
                            if x.is_nan() { f64::INFINITY } else { x }
                        };
                        let mut expected: Vec<usize> = (0..lines.len).collect();
                        match order {
                            SortOrder::Ascending => expected.sort_by(|&i, &j| key(i).total_cmp(&key(j))),
                            SortOrder::Descending => expected.sort_by(|&i, &j| key(j).total_cmp(&key(i))),
                        }
                        let found = |out: &[usize], len: usize| -> Vec<usize> {
                            (0..len).map(|i| out[(outer * len + i) * lines.inner + inner]).collect()
                        };
                        assert_eq!(found(&out, lines.len), expected);
                        assert_eq!(found(&top, k), expected[..k]);
                    }
                }
            }
        }
    }
}
