//! Picking elements by index along an axis, and the adjoints that add back to where they were picked.
//!
//! The caller has checked that indices are in range.

use crate::float::{Element, Float};
use crate::kernel::lines::{Lines, Packed};
use crate::kernel::parallel;
use crate::kernel::runs::Runs;
use crate::shape::Shape;
use crate::tensor::View;
use crate::tensor::buffer::Buffer;
use crate::tensor::copy::copy_to;
use crate::tensor::layout::Layout;

/// Elements that a thread takes at once.
const ELEMENTS_PER_TASK: usize = 1 << 14;

/// `out[i, j, k] = x[i, index[i, j, k], k]` for `axis` 1, and so for every axis and rank. `out` has the shape of `index`,
/// which is nowhere larger than `x` but along `axis`.
pub(crate) fn gather<E: Element>(x: View<'_, E>, axis: usize, index: View<'_, usize>, out: &mut [E]) {
    debug_assert_eq!(index.layout.shape.len(), out.len());
    if let (Some(_), Some(rows)) = (x.as_slice(), whole_rows(index, axis, &x.layout.shape)) {
        return index_select(x, axis, rows.as_slice(), out);
    }
    let (starts, step) = (starts_of_lines(x.layout, axis, &index.layout.shape), x.layout.strides[axis]);
    let index = Packed::new(index);
    let index = index.as_slice();
    debug_assert!(index.iter().all(|&i| i < x.layout.shape[axis]));
    let work = out.len();
    parallel::pieces(out, ELEMENTS_PER_TASK, work, &|start, piece| {
        starts.each(start, piece.len(), |done, run| {
            let mut position = run.position as isize;
            for (y, &i) in piece[done..done + run.len].iter_mut().zip(&index[start + done..]) {
                *y = x.data[(position + i as isize * step) as usize];
                position += run.stride;
            }
        });
    });
}

/// `out[i, index[i, j, k], k] += g[i, j, k]` for `axis` 1, in row-major order: the adjoint of [`gather`]. `out` is
/// contiguous, of `shape`.
pub(crate) fn scatter_add<T: Float>(g: View<'_, T>, axis: usize, index: View<'_, usize>, shape: &Shape, out: &mut [T]) {
    debug_assert_eq!(shape.len(), out.len());
    if let Some(rows) = whole_rows(index, axis, shape) {
        return index_add(g, axis, rows.as_slice(), shape, out);
    }
    let sizes = &index.layout.shape;
    let (from, to) = (Lines::new(sizes, axis), Lines::new(shape, axis));
    if from.inner == 1 && sizes.with(axis, shape[axis]) == *shape {
        let (g, index) = (Packed::new(g), Packed::new(index));
        let (g, index) = (g.as_slice(), index.as_slice());
        return to.each_slab(out, from.len.div_ceil(to.len.max(1)), &|line, out| {
            for (&g, &i) in from.slab_of(g, line).iter().zip(from.slab_of(index, line)) {
                out[i] += g;
            }
        });
    }
    each_place(g, axis, index, shape, |place, g| out[place] += g);
}

/// `out[i, index[i, j, k], k] = x[i, j, k]` for `axis` 1, in row-major order: of several in one place the last one stays.
/// `out` is contiguous, of `shape`.
pub(crate) fn scatter<E: Element>(x: View<'_, E>, axis: usize, index: View<'_, usize>, shape: &Shape, out: &mut [E]) {
    debug_assert_eq!(shape.len(), out.len());
    each_place(x, axis, index, shape, |place, x| out[place] = x);
}

/// Shows each element in row-major order, with the place in a contiguous tensor of `shape` that its index names.
#[inline(always)]
fn each_place<E: Element>(
    x: View<'_, E>,
    axis: usize,
    index: View<'_, usize>,
    shape: &Shape,
    mut show: impl FnMut(usize, E),
) {
    debug_assert_eq!(x.layout.shape, index.layout.shape);
    let whole = Layout::contiguous(shape.clone());
    let (starts, step) = (starts_of_lines(&whole, axis, &index.layout.shape), whole.strides[axis]);
    let (x, index) = (Packed::new(x), Packed::new(index));
    let (x, index) = (x.as_slice(), index.as_slice());
    debug_assert!(index.iter().all(|&i| i < shape[axis]));
    starts.each(0, x.len(), |done, run| {
        let mut position = run.position as isize;
        for (&x, &i) in x[done..done + run.len].iter().zip(&index[done..]) {
            show((position + i as isize * step) as usize, x);
            position += run.stride;
        }
    });
}

/// The index along `axis`, where it is the same for all other axes and rows of `shape` are therefore picked whole. Rows of one
/// element are none.
fn whole_rows<'a>(index: View<'a, usize>, axis: usize, shape: &Shape) -> Option<Packed<'a, usize>> {
    let (sizes, strides) = (&index.layout.shape, &index.layout.strides);
    let is_same = (0..sizes.rank()).all(|k| k == axis || strides[k] == 0 && sizes[k] == shape[k]);
    if !is_same || sizes.is_empty() || sizes.len() == sizes[axis] {
        return None;
    }
    let mut along = Layout::contiguous(Shape::from(sizes[axis]));
    (along.strides[0], along.offset) = (strides[axis], index.layout.offset);
    let mut rows = Buffer::scratch(sizes[axis]);
    copy_to(View { data: index.data, layout: &along }, rows.get_mut()?);
    Some(Packed::Buffer(rows))
}

/// Where the lines along `axis` start that the elements of `shape` belong to.
fn starts_of_lines(layout: &Layout, axis: usize, shape: &Shape) -> Runs {
    debug_assert_eq!(layout.shape.rank(), shape.rank());
    let mut starts = Layout { shape: shape.clone(), ..layout.clone() };
    starts.strides[axis] = 0;
    Runs::new(&starts)
}

/// `out[i, j, k] = x[i, index[j], k]` for `axis` 1.
pub(crate) fn index_select<E: Element>(x: View<'_, E>, axis: usize, index: &[usize], out: &mut [E]) {
    let lines = Lines::new(&x.layout.shape, axis);
    debug_assert_eq!(out.len(), lines.outer * index.len() * lines.inner);
    debug_assert!(index.iter().all(|&i| i < lines.len) || out.is_empty());
    if out.is_empty() {
        return;
    }
    let Some(x) = x.as_slice() else {
        let mut along = Layout::contiguous(x.layout.shape.with(axis, index.len()));
        along.strides.iter_mut().enumerate().for_each(|(k, stride)| *stride = isize::from(k == axis));
        return gather(x, axis, View { data: index, layout: &along }, out);
    };
    let (work, rows_per_piece) = (out.len(), ELEMENTS_PER_TASK.div_ceil(lines.inner));
    parallel::pieces(out, rows_per_piece * lines.inner, work, &|start, piece| {
        for (row, out) in piece.chunks_exact_mut(lines.inner).enumerate() {
            let row = start / lines.inner + row;
            let from = row / index.len() * lines.len + index[row % index.len()];
            out.copy_from_slice(&x[from * lines.inner..][..lines.inner]);
        }
    });
}

/// `out[i, index[j], k] += g[i, j, k]` for `axis` 1, in the order of `index`: the adjoint of [`index_select`]. `out` is
/// contiguous, of `shape`.
pub(crate) fn index_add<T: Float>(g: View<'_, T>, axis: usize, index: &[usize], shape: &Shape, out: &mut [T]) {
    let lines = Lines::new(shape, axis);
    debug_assert_eq!(g.layout.shape.len(), lines.outer * index.len() * lines.inner);
    debug_assert!(index.iter().all(|&i| i < lines.len) || out.is_empty());
    let g = Packed::new(g);
    let g = g.as_slice();
    if g.is_empty() {
        return;
    }
    lines.each_slab(out, 1, &|outer, slab| {
        let rows = g[outer * index.len() * lines.inner..].chunks_exact(lines.inner);
        for (row, &i) in rows.zip(index) {
            slab[i * lines.inner..][..lines.inner].iter_mut().zip(row).for_each(|(y, &g)| *y += g);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, SHAPES, Sample, assert_close, assert_same_bits, indices, samples};

    fn random_index(shape: &[usize], below: usize, seed: u64) -> Sample<usize> {
        let mut draws = Draws(seed);
        Sample::contiguous((0..shape.iter().product()).map(|_| draws.below(below)).collect(), shape)
    }

    fn cases() -> impl Iterator<Item = (Sample<f64>, usize)> {
        let shapes = SHAPES.iter().filter(|shape| !shape.contains(&0) && !shape.is_empty());
        shapes.flat_map(|shape| samples(shape, 1).into_iter().enumerate().map(|(k, x)| (x, k % shape.len())))
    }

    #[test]
    fn gather_and_its_adjoint_follow_the_index() {
        for (x, axis) in cases() {
            let shape = x.layout.shape.with(axis, 5);
            let index = random_index(&shape, x.layout.shape[axis], 3);
            let mut out = vec![0.0; shape.len()];
            gather(x.view(), axis, index.view(), &mut out);
            let mut sums = vec![0.5; x.layout.shape.len()];
            let g = samples::<f64>(&shape, 4).swap_remove(1);
            let mut expected = sums.clone();
            let whole = Layout::contiguous(x.layout.shape.clone());
            for (k, at) in indices(&shape).enumerate() {
                let mut from = at.clone();
                from[axis] = index.at(&at);
                assert_eq!(out[k], x.at(&from));
                expected[whole.position(&from).unwrap()] += g.at(&at);
            }
            scatter_add(g.view(), axis, index.view(), &x.layout.shape, &mut sums);
            assert_close(&sums, &expected, 1e-14);
        }
    }

    #[test]
    fn an_index_that_is_the_same_in_all_rows_picks_whole_ones() {
        for (x, axis) in cases() {
            let shape = x.layout.shape.with(axis, 5);
            let rows = random_index(&[5], x.layout.shape[axis], 3);
            let mut along = Layout::contiguous(shape.clone());
            along.strides.iter_mut().enumerate().for_each(|(k, stride)| *stride = isize::from(k == axis));
            let index = View { data: &rows.data, layout: &along };
            let full = Sample::contiguous(indices(&shape).map(|at| rows.data[at[axis]]).collect(), &shape);
            let (mut out, mut expected) = (vec![0.0; shape.len()], vec![9.0; shape.len()]);
            gather(x.view(), axis, index, &mut out);
            gather(x.view(), axis, full.view(), &mut expected);
            assert_eq!(out, expected);
            let g = samples::<f64>(&shape, 4).swap_remove(1);
            let (mut sums, mut expected) = (vec![0.5; x.layout.shape.len()], vec![0.5; x.layout.shape.len()]);
            scatter_add(g.view(), axis, index, &x.layout.shape, &mut sums);
            scatter_add(g.view(), axis, full.view(), &x.layout.shape, &mut expected);
            assert_eq!(sums, expected);
        }
    }

    #[test]
    fn index_select_and_its_adjoint_follow_the_index() {
        for (x, axis) in cases() {
            let shape = x.layout.shape.with(axis, 7);
            let index = random_index(&[7], x.layout.shape[axis], 3).data;
            let mut out = vec![0.0; shape.len()];
            index_select(x.view(), axis, &index, &mut out);
            let mut sums = vec![0.5; x.layout.shape.len()];
            let g = samples::<f64>(&shape, 4).swap_remove(1);
            let mut expected = sums.clone();
            let whole = Layout::contiguous(x.layout.shape.clone());
            for (k, at) in indices(&shape).enumerate() {
                let mut from = at.clone();
                from[axis] = index[at[axis]];
                assert_eq!(out[k], x.at(&from));
                expected[whole.position(&from).unwrap()] += g.at(&at);
            }
            index_add(g.view(), axis, &index, &x.layout.shape, &mut sums);
            assert_close(&sums, &expected, 1e-14);
        }
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        let x = Sample::contiguous(vec![], &[0, 3]);
        index_select::<f64>(x.view(), 0, &[], &mut []);
        gather::<f64>(x.view(), 1, Sample::contiguous(vec![], &[0, 2]).view(), &mut []);
        let mut out = [1.0; 6];
        index_add::<f64>(x.view(), 0, &[], &Shape::from([2, 3]), &mut out);
        assert_eq!(out, [1.0; 6]);
    }

    #[test]
    fn threads_change_no_bit() {
        let index = random_index(&[4000], 300, 1).data;
        let g = Sample::contiguous(Draws(2).numbers::<f32>(4000 * 64), &[4, 1000, 64]);
        assert_same_bits(|| {
            let mut out = vec![0.0; 4 * 300 * 64];
            index_add(g.view(), 1, &index[..1000], &Shape::from([4, 300, 64]), &mut out);
            out
        });
        let (g, index) =
            (Sample { layout: Layout::contiguous([64, 4000].into()), ..g }, random_index(&[64, 4000], 300, 1));
        assert_same_bits(|| {
            let mut out = vec![0.0; 64 * 300];
            scatter_add(g.view(), 1, index.view(), &Shape::from([64, 300]), &mut out);
            out
        });
    }
}
