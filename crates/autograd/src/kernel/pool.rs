//! Pooling over windows of planes: the largest element, or the mean.

use std::hint::select_unpredictable;

use crate::float::Float;
use crate::kernel::lines::Packed;
use crate::kernel::vectorized::vectorized;
use crate::kernel::{Write, parallel};
use crate::tensor::View;

/// Elements that a thread takes at once, in whole planes.
const ELEMENTS_PER_TASK: usize = 1 << 13;

/// What an element of a window costs, in cheap steps.
const ELEMENT_COST: usize = 2;

/// A window that slides over planes of height and width. Sizes are checked by the caller: every stride and dilation is at
/// least one, and padding is at most half a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub size: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    /// Whether a window may hang over the end, as long as it starts inside the input or the padding before it.
    pub ceil: bool,
}

impl Window {
    /// The height and width of the output for an input of `size`; `None` when a window does not fit.
    pub fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        Some([self.output_along(0, size[0])?, self.output_along(1, size[1])?])
    }

    fn output_along(&self, axis: usize, size: usize) -> Option<usize> {
        let (stride, padding) = (self.stride[axis], self.padding[axis]);
        let reach = self.dilation[axis].checked_mul(self.size[axis].checked_sub(1)?)?.checked_add(1)?;
        let room = size.checked_add(padding.checked_mul(2)?)?.checked_sub(reach)?;
        if !self.ceil {
            return Some(room / stride + 1);
        }
        let count = room.div_ceil(stride) + 1;
        let hangs_over = (count - 1) * stride >= size + padding;
        Some(count - usize::from(hangs_over))
    }

    /// Positions in the input that the window at `out` covers along `axis`.
    fn positions(&self, axis: usize, out: usize, size: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        let (padding, dilation) = (self.padding[axis], self.dilation[axis]);
        let start = out * self.stride[axis];
        // A division for every window would cost more than its comparisons.
        let steps = |places: usize| if dilation == 1 { places } else { places.div_ceil(dilation) };
        let skipped = steps(padding.saturating_sub(start));
        let end = steps((size + padding).saturating_sub(start)).min(self.size[axis]);
        (skipped..end).map(move |k| start + k * dilation - padding)
    }

    /// How many places the window at `out` has along `axis` in the input and its padding.
    fn places(&self, axis: usize, out: usize, size: usize) -> usize {
        let start = out * self.stride[axis];
        let end = (start + self.size[axis]).min(size + 2 * self.padding[axis]);
        end - start
    }

    /// Whether windows lie side by side, each wholly inside the input.
    fn is_tile(&self, size: [usize; 2], output: [usize; 2]) -> bool {
        let inside = (0..2).all(|axis| output[axis] * self.size[axis] <= size[axis]);
        inside && self.stride == self.size && self.padding == [0, 0] && self.dilation == [1, 1]
    }

    fn elements(&self) -> usize {
        self.size[0].saturating_mul(self.size[1])
    }
}

/// The largest element of every window and its index in the plane: the first of equals, and the last NaN where there is
/// one, as in PyTorch. `x` is `[.., height, width]`; padding never wins.
pub(crate) fn max_pool<T: Float>(x: View<'_, T>, window: Window, out: &mut [T], indices: &mut [usize]) {
    let Some((size, output)) = sizes(&x, window) else { return };
    if window.is_tile(size, output) {
        match window.size {
            [1, 2] => return max_of_tiles::<T, 1, 2>(x, size, output, out, indices),
            [2, 2] => return max_of_tiles::<T, 2, 2>(x, size, output, out, indices),
            [3, 3] => return max_of_tiles::<T, 3, 3>(x, size, output, out, indices),
            _ => {}
        }
    }
    let work = out.len().saturating_mul(window.elements()).saturating_mul(ELEMENT_COST);
    let covered = |axis: usize, k: usize| window.positions(axis, k, size[axis]);
    max_over(x, (size, output), work, &covered, out, indices);
}

/// As [`max_pool`] over tiles of `H` times `W`.
fn max_of_tiles<T: Float, const H: usize, const W: usize>(
    x: View<'_, T>,
    size: [usize; 2],
    [rows, columns]: [usize; 2],
    out: &mut [T],
    indices: &mut [usize],
) {
    if out.is_empty() {
        return;
    }
    let x = Packed::new(x);
    let (area, plane, work) = (size[0] * size[1], rows * columns, out.len() * H * W);
    let (x, planes) = (x.as_slice(), planes_at_once(area));
    parallel::paired_pieces((out, planes * plane), (indices, planes * plane), work, &|k, out, indices| {
        let outputs = out.chunks_exact_mut(plane).zip(indices.chunks_exact_mut(plane));
        vectorized!(for ((out, indices), x) in outputs.zip(x[k * planes * area..].chunks_exact(area)) {
            let rows = out.chunks_exact_mut(columns).zip(indices.chunks_exact_mut(columns));
            for (row, (out, indices)) in rows.enumerate() {
                max_of_row::<T, H, W>(x, (row * H * size[1], size[1]), out, indices);
            }
        });
    });
}

/// Planes of `area` elements that a thread takes at once.
fn planes_at_once(area: usize) -> usize {
    (ELEMENTS_PER_TASK / area).max(1)
}

/// The tiles of one row, which starts at `first` in planes of `width`.
#[inline(always)]
fn max_of_row<T: Float, const H: usize, const W: usize>(
    x: &[T],
    (first, width): (usize, usize),
    out: &mut [T],
    indices: &mut [usize],
) {
    match out.len() {
        8.. => max_of_blocks::<T, 8, H, W>(x, (first, width), out, indices),
        4.. => max_of_blocks::<T, 4, H, W>(x, (first, width), out, indices),
        _ => max_of_blocks::<T, 1, H, W>(x, (first, width), out, indices),
    }
}

/// `N` tiles at a time; the last block may do some of them again.
#[inline(always)]
fn max_of_blocks<T: Float, const N: usize, const H: usize, const W: usize>(
    x: &[T],
    (first, width): (usize, usize),
    out: &mut [T],
    indices: &mut [usize],
) {
    let last = out.len() - N;
    for column in (0..out.len()).step_by(N) {
        let column = column.min(last);
        let (out, indices) = (&mut out[column..][..N], &mut indices[column..][..N]);
        let first = first + column * W;
        max_of_block::<T, N, H, W>(&x[first..], (first, width), out, indices);
    }
}

/// Loops over `N` are innermost and index, so that each becomes a few vector operations.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
fn max_of_block<T: Float, const N: usize, const H: usize, const W: usize>(
    x: &[T],
    (first, width): (usize, usize),
    out: &mut [T],
    indices: &mut [usize],
) {
    let rows: [&[[T; W]]; H] = std::array::from_fn(|a| &x[a * width..][..N * W].as_chunks().0[..N]);
    let (mut max, mut place): ([T; N], [u32; N]) = (std::array::from_fn(|k| rows[0][k][0]), [0; N]);
    for (a, row) in rows.into_iter().enumerate() {
        for b in 0..W {
            for k in 0..N {
                let x = row[k][b];
                let wins = (x > max[k]) | x.is_nan();
                max[k] = if wins { x } else { max[k] };
                place[k] = if wins { (a * width + b) as u32 } else { place[k] };
            }
        }
    }
    out.copy_from_slice(&max);
    indices.iter_mut().zip(place).enumerate().for_each(|(k, (index, place))| *index = first + k * W + place as usize);
}

/// As [`max_pool`] over windows that divide a plane evenly into `rows` times `columns` parts, which overlap where they must.
pub(crate) fn adaptive_max_pool<T: Float>(x: View<'_, T>, output: [usize; 2], out: &mut [T], indices: &mut [usize]) {
    let rank = x.layout.shape.rank();
    debug_assert!(rank >= 2);
    let size = [x.layout.shape[rank - 2], x.layout.shape[rank - 1]];
    let part = |axis: usize, k: usize| adaptive_part(k, size[axis], output[axis]);
    max_over(x, (size, output), x.layout.shape.len() * ELEMENT_COST, &part, out, indices);
}

/// The `k`-th of `parts` parts of `size` places.
pub(crate) fn adaptive_part(k: usize, size: usize, parts: usize) -> std::ops::Range<usize> {
    k * size / parts..((k + 1) * size).div_ceil(parts)
}

/// The largest element of every window; `covered` gives the places of a window along an axis.
fn max_over<T: Float, I: Iterator<Item = usize> + Clone>(
    x: View<'_, T>,
    (size, [rows, columns]): ([usize; 2], [usize; 2]),
    work: usize,
    covered: &(impl Fn(usize, usize) -> I + Sync),
    out: &mut [T],
    indices: &mut [usize],
) {
    debug_assert_eq!(out.len(), indices.len());
    if out.is_empty() {
        return;
    }
    let x = Packed::new(x);
    let x = x.as_slice();
    let plane = rows * columns;
    parallel::paired_pieces((out, plane), (indices, plane), work, &|k, out, indices| {
        let x = &x[k * size[0] * size[1]..][..size[0] * size[1]];
        for (row, (out, indices)) in out.chunks_exact_mut(columns).zip(indices.chunks_exact_mut(columns)).enumerate() {
            let rows = covered(0, row);
            for (column, (y, index)) in out.iter_mut().zip(indices).enumerate() {
                (*y, *index) = largest(x, size[1], rows.clone(), covered(1, column));
            }
        }
    });
}

/// The comparison is a coin toss to the branch predictor, so it selects.
#[inline]
fn largest<T: Float>(
    x: &[T],
    width: usize,
    rows: impl Iterator<Item = usize> + Clone,
    columns: impl Iterator<Item = usize> + Clone,
) -> (T, usize) {
    let (Some(row), Some(column)) = (rows.clone().next(), columns.clone().next()) else { return (T::NEG_INFINITY, 0) };
    let first = row * width + column;
    let (mut max, mut index) = (x[first], first);
    for row in rows {
        for column in columns.clone() {
            let place = row * width + column;
            let wins = x[place] > max || x[place].is_nan();
            max = select_unpredictable(wins, x[place], max);
            index = select_unpredictable(wins, place, index);
        }
    }
    (max, index)
}

/// Elements of planes of `size` at `indices` in their plane: `out[k] = x[plane of k][indices[k]]`, for planes of `plane`
/// indices.
pub(crate) fn pick<T: Float>(x: View<'_, T>, size: usize, indices: &[usize], plane: usize, out: &mut [T]) {
    debug_assert_eq!(out.len(), indices.len());
    if out.is_empty() {
        return;
    }
    let x = Packed::new(x);
    let (x, work) = (x.as_slice(), out.len() * ELEMENT_COST);
    parallel::pieces(out, plane, work, &|start, out| {
        let x = &x[start / plane * size..][..size];
        out.iter_mut().zip(&indices[start..]).for_each(|(y, &i)| *y = x[i]);
    });
}

/// The adjoint of [`pick`]: elements are added where they would be picked, and the rest of `out` is zero.
pub(crate) fn unpick<T: Float>(g: View<'_, T>, indices: &[usize], plane: usize, size: usize, out: &mut [T]) {
    debug_assert_eq!(g.layout.shape.len(), indices.len());
    if indices.is_empty() || out.is_empty() {
        return out.fill(T::ZERO);
    }
    let g = Packed::new(g);
    let (g, work) = (g.as_slice(), out.len());
    parallel::pieces(out, size * planes_at_once(size), work, &|start, out| {
        let places = start / size * plane;
        let picked = g[places..].chunks_exact(plane).zip(indices[places..].chunks_exact(plane));
        for (out, (g, indices)) in out.chunks_exact_mut(size).zip(picked) {
            out.fill(T::ZERO);
            g.iter().zip(indices).for_each(|(&g, &i)| out[i] += g);
        }
    });
}

/// The number that the sum over a window is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Divisor {
    /// Places of the window in the input and its padding.
    WithPadding,
    /// Places of the window in the input.
    InputOnly,
    /// This number for every window.
    Fixed(usize),
}

/// The mean of every window, without dilation. `x` is `[.., height, width]`.
pub(crate) fn average_pool<T: Float>(x: View<'_, T>, window: Window, divisor: Divisor, out: &mut [T]) {
    debug_assert_eq!(window.dilation, [1, 1]);
    let Some((size, [rows, columns])) = sizes(&x, window) else { return };
    if out.is_empty() {
        return;
    }
    let x = Packed::new(x);
    let x = x.as_slice();
    let (plane, work) = (rows * columns, out.len().saturating_mul(window.elements()).saturating_mul(ELEMENT_COST));
    parallel::pieces(out, plane, work, &|start, out| {
        let x = &x[start / plane * size[0] * size[1]..][..size[0] * size[1]];
        for (k, y) in out.iter_mut().enumerate() {
            let at = [k / columns, k % columns];
            let sum: T = covered(size, window, at).map(|place| x[place]).sum();
            *y = sum / count::<T>(size, window, divisor, at);
        }
    });
}

/// The adjoint of [`average_pool`]: every element gets its share of the windows it is in. `g` is `[.., rows, columns]` and
/// `out` has planes of `size`.
pub(crate) fn average_pool_adjoint<T: Float>(
    g: View<'_, T>,
    window: Window,
    divisor: Divisor,
    size: [usize; 2],
    out: &mut [T],
    write: Write,
) {
    debug_assert_eq!(window.dilation, [1, 1]);
    if write == Write::Replace {
        out.fill(T::ZERO);
    }
    let rank = g.layout.shape.rank();
    let (columns, plane) = (g.layout.shape[rank - 1], g.layout.shape[rank - 2] * g.layout.shape[rank - 1]);
    let work = g.layout.shape.len().saturating_mul(window.elements()).saturating_mul(ELEMENT_COST);
    if out.is_empty() || plane == 0 {
        return;
    }
    let g = Packed::new(g);
    let g = g.as_slice();
    let area = size[0] * size[1];
    parallel::pieces(out, area, work, &|start, out| {
        for (k, &g) in g[start / area * plane..][..plane].iter().enumerate() {
            let at = [k / columns, k % columns];
            let share = g / count::<T>(size, window, divisor, at);
            covered(size, window, at).for_each(|place| out[place] += share);
        }
    });
}

/// The places in a plane that the window at `at` covers.
fn covered(size: [usize; 2], window: Window, at: [usize; 2]) -> impl Iterator<Item = usize> {
    let columns = window.positions(1, at[1], size[1]);
    window.positions(0, at[0], size[0]).flat_map(move |row| columns.clone().map(move |column| row * size[1] + column))
}

fn count<T: Float>(size: [usize; 2], window: Window, divisor: Divisor, at: [usize; 2]) -> T {
    let along = |axis: usize| match divisor {
        Divisor::InputOnly => window.positions(axis, at[axis], size[axis]).count(),
        _ => window.places(axis, at[axis], size[axis]),
    };
    match divisor {
        Divisor::Fixed(number) => T::from_f64(number as f64),
        _ => T::from_f64((along(0) * along(1)) as f64),
    }
}

/// The sizes of a plane of the input and of the output.
fn sizes<T>(x: &View<'_, T>, window: Window) -> Option<([usize; 2], [usize; 2])> {
    let rank = x.layout.shape.rank();
    debug_assert!(rank >= 2);
    let size = [x.layout.shape[rank - 2], x.layout.shape[rank - 1]];
    let output = window.output(size);
    debug_assert!(output.is_some());
    Some((size, output?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, Sample, assert_close, assert_same_bits, samples};

    const PLAIN: Window = Window { size: [2, 2], stride: [2, 2], padding: [0, 0], dilation: [1, 1], ceil: false };

    fn windows() -> [Window; 5] {
        [
            PLAIN,
            Window { ceil: true, ..PLAIN },
            Window { size: [3, 2], stride: [1, 2], padding: [1, 1], ..PLAIN },
            Window { size: [3, 3], stride: [2, 3], padding: [1, 1], ceil: true, ..PLAIN },
            Window { size: [1, 1], stride: [3, 1], ..PLAIN },
        ]
    }

    /// Places of a window by trying every offset.
    fn window_at(window: Window, size: [usize; 2], at: [usize; 2]) -> (Vec<usize>, usize) {
        let (mut places, mut padded) = (vec![], 0);
        for (i, j) in (0..window.size[0]).flat_map(|i| (0..window.size[1]).map(move |j| (i, j))) {
            let position = |axis: usize, k: usize| {
                (at[axis] * window.stride[axis] + k * window.dilation[axis]) as isize - window.padding[axis] as isize
            };
            let (row, column) = (position(0, i), position(1, j));
            let within = |position: isize, axis: usize, margin: usize| {
                position >= -(margin as isize) && position < (size[axis] + margin) as isize
            };
            if within(row, 0, 0) && within(column, 1, 0) {
                places.push(row as usize * size[1] + column as usize);
            }
            padded += usize::from(within(row, 0, window.padding[0]) && within(column, 1, window.padding[1]));
        }
        (places, padded)
    }

    #[test]
    fn windows_fit_as_in_pytorch() {
        assert_eq!(PLAIN.output([5, 4]), Some([2, 2]));
        assert_eq!(Window { ceil: true, ..PLAIN }.output([5, 4]), Some([3, 2]));
        let padded = Window { size: [3, 3], stride: [2, 2], padding: [1, 1], ceil: true, ..PLAIN };
        assert_eq!(padded.output([4, 5]), Some([3, 3]));
        // The fourth window would start in the padding behind the input.
        assert_eq!(Window { size: [1, 1], stride: [3, 3], padding: [0, 0], ..padded }.output([5, 4]), Some([2, 2]));
        assert_eq!(PLAIN.output([1, 4]), None);
        assert_eq!(Window { dilation: [3, 1], ..PLAIN }.output([4, 2]), Some([1, 1]));
    }

    #[test]
    fn values_indices_and_means_agree_with_their_definitions() {
        let dilated = Window { size: [2, 3], stride: [1, 1], padding: [1, 1], dilation: [3, 2], ceil: false };
        for window in windows().into_iter().chain([dilated]) {
            for x in samples::<f64>(&[2, 3, 7, 8], 1) {
                let (size, [rows, columns]) = ([7, 8], window.output([7, 8]).unwrap());
                let elements = x.elements();
                let (mut out, mut indices) = (vec![0.0; 6 * rows * columns], vec![0; 6 * rows * columns]);
                max_pool(x.view(), window, &mut out, &mut indices);
                let mut means = [out.clone(), out.clone()];
                if window.dilation == [1, 1] {
                    average_pool(x.view(), window, Divisor::WithPadding, &mut means[0]);
                    average_pool(x.view(), window, Divisor::InputOnly, &mut means[1]);
                }
                for k in 0..out.len() {
                    let plane = &elements[k / (rows * columns) * 56..][..56];
                    let (places, padded) = window_at(window, size, [k / columns % rows, k % columns]);
                    let max = places.iter().map(|&place| plane[place]).fold(f64::NEG_INFINITY, f64::max);
                    let first = places.iter().copied().find(|&place| plane[place] == max).unwrap();
                    assert_eq!((out[k], indices[k]), (max, first));
                    if window.dilation == [1, 1] {
                        let sum: f64 = places.iter().map(|&place| plane[place]).sum();
                        assert_close(
                            &[means[0][k], means[1][k]],
                            &[sum / padded as f64, sum / places.len() as f64],
                            1e-14,
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn tiles_agree_with_one_window_at_a_time() {
        let mut draws = Draws(1);
        let mut number = |_| if draws.below(9) == 0 { f32::NAN } else { draws.below(4) as f32 };
        for (size, width) in
            [[1, 2], [2, 2], [3, 3]].into_iter().flat_map(|size| [3, 9, 16, 35].map(|width| (size, width)))
        {
            let x = Sample::contiguous((0..2 * 7 * width).map(&mut number).collect(), &[2, 7, width]);
            let window = Window { size, stride: size, ..PLAIN };
            let [rows, columns] = window.output([7, width]).unwrap();
            let len = 2 * rows * columns;
            let (mut found, mut expected) = ((vec![9.0; len], vec![9; len]), (vec![9.0; len], vec![9; len]));
            assert!(window.is_tile([7, width], [rows, columns]));
            max_pool(x.view(), window, &mut found.0, &mut found.1);
            let covered = |axis: usize, k: usize| window.positions(axis, k, [7, width][axis]);
            max_over(x.view(), ([7, width], [rows, columns]), 0, &covered, &mut expected.0, &mut expected.1);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!((bits(&found.0), found.1), (bits(&expected.0), expected.1), "{size:?} of {width}");
        }
    }

    #[test]
    fn the_first_of_equals_and_nan_win() {
        let x = Sample::contiguous(vec![1.0, 1.0, f64::NAN, 0.0, 1.0, 1.0, 2.0, 3.0], &[2, 4]);
        let (mut out, mut indices) = ([0.0; 2], [9; 2]);
        max_pool(x.view(), PLAIN, &mut out, &mut indices);
        assert!(out[0] == 1.0 && out[1].is_nan());
        assert_eq!(indices, [0, 2]);
    }

    #[test]
    fn the_adjoint_of_the_mean_is_its_adjoint() {
        for window in windows() {
            let [rows, columns] = window.output([7, 8]).unwrap();
            let (x, g) = (&samples::<f64>(&[3, 7, 8], 1)[1], &samples::<f64>(&[3, rows, columns], 2)[1]);
            for divisor in [Divisor::WithPadding, Divisor::InputOnly] {
                let (mut y, mut gx) = (vec![0.0; 3 * rows * columns], vec![9.0; 3 * 56]);
                average_pool(x.view(), window, divisor, &mut y);
                average_pool_adjoint(g.view(), window, divisor, [7, 8], &mut gx, Write::Replace);
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                assert_close(&[dot(&y, &g.elements())], &[dot(&gx, &x.elements())], 1e-13);
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let x = Sample::contiguous(Draws(1).numbers::<f32>(64 * 56 * 56), &[64, 56, 56]);
        assert_same_bits(|| {
            let mut out = vec![0.0; 64 * 28 * 28];
            average_pool(x.view(), PLAIN, Divisor::WithPadding, &mut out);
            let mut back = vec![0.0; 64 * 56 * 56];
            let g = Sample::contiguous(out, &[64, 28, 28]);
            average_pool_adjoint(g.view(), PLAIN, Divisor::InputOnly, [56, 56], &mut back, Write::Replace);
            back
        });
    }
}
