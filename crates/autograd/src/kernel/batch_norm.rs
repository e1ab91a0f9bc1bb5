//! The channels of a batch: their moments, their sums with a gradient, and passes that move and scale each by numbers of
//! its own.
//!
//! Each of these reads its operands once. Sums are made for fixed parts of the batch, into a table, and then over the
//! table; the squares of a part are of what differs from the part's own mean, so that a large mean costs no digits.

use std::ops::Range;

use crate::float::Float;
use crate::kernel::math::Math;
use crate::kernel::parallel;
use crate::kernel::reduce::{self, fold_halves};
use crate::kernel::vectorized::vectorized;
use crate::shape::Shape;
use crate::tensor::View;
use crate::tensor::buffer::Buffer;
use crate::tensor::layout::Layout;

/// Elements that a thread takes at once: few enough that a second look finds them in a near cache.
const ELEMENTS_PER_TASK: usize = 1 << 14;

/// Elements that an entry of a table sums where channels are neighbours.
const ELEMENTS_PER_ENTRY: usize = 64;

/// Elements that an entry sums at least where a channel has slices: short ones share the folding of the lanes.
const MIN_SLICE_ELEMENTS_PER_ENTRY: usize = 512;

/// Accumulators side by side.
const LANES: usize = 32;

/// Where the elements of a channel lie: at `[.., channel, ..]` of a tensor of `outer` times `count` times `inner` elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Channels {
    outer: usize,
    count: usize,
    inner: usize,
}

/// What [`Channels`] are moved and scaled by, a number of each for every channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine<'a, T> {
    pub mean: &'a [T],
    pub scale: &'a [T],
    pub shift: &'a [T],
}

impl Channels {
    /// The channels of `[outer, count, inner]` elements; the only one of a batch is one slice.
    pub fn new(outer: usize, count: usize, inner: usize) -> Self {
        match count {
            1 => Self { outer: 1, count, inner: outer.saturating_mul(inner) },
            _ => Self { outer, count, inner },
        }
    }

    /// Elements of a channel.
    pub fn size(&self) -> usize {
        self.outer.saturating_mul(self.inner)
    }

    /// All elements.
    fn total(&self) -> usize {
        self.size().saturating_mul(self.count)
    }

    /// Outer steps of a part of the batch.
    fn steps(&self) -> usize {
        let steps = if self.inner == 1 { ELEMENTS_PER_ENTRY } else { MIN_SLICE_ELEMENTS_PER_ENTRY / self.inner.max(1) };
        steps.clamp(1, self.outer.max(1))
    }

    fn parts(&self) -> usize {
        self.outer.div_ceil(self.steps())
    }

    /// The outer steps of one part.
    fn steps_of(&self, part: usize) -> Range<usize> {
        let start = part * self.steps();
        start..(start + self.steps()).min(self.outer)
    }

    /// Where the elements of a channel lie that belong to an outer step.
    #[inline(always)]
    fn slice(&self, step: usize, channel: usize) -> Range<usize> {
        let start = (step * self.count + channel) * self.inner;
        start..start + self.inner
    }

    /// Fills two tables of `[parts, count]`: `f(steps, channel, …)` fills the entries of these outer steps from a channel on.
    fn tables<T: Float>(
        &self,
        left: &mut [T],
        right: &mut [T],
        f: &(impl Fn(Range<usize>, usize, &mut [T], &mut [T]) + Sync),
    ) {
        let entries = (ELEMENTS_PER_TASK / (self.steps() * self.inner)).max(1);
        parallel::paired_pieces((left, entries), (right, entries), self.total(), &|k, left, right| {
            let mut done = 0;
            while done < left.len() {
                let (part, channel) = ((k * entries + done) / self.count, (k * entries + done) % self.count);
                let filled = done..(done + self.count - channel).min(left.len());
                f(self.steps_of(part), channel, &mut left[filled.clone()], &mut right[filled.clone()]);
                done = filled.end;
            }
        });
    }

    /// The sum over the parts of a table.
    fn sum_of_parts<T: Float>(&self, table: &[T], out: &mut [T]) {
        let layout = Layout::contiguous(Shape::from([self.parts(), self.count]));
        reduce::sum(View { data: table, layout: &layout }, &[0], out);
    }

    /// Calls `f(channel, run)` for the runs of a piece that starts at `start`: elements of one channel, or, where channels
    /// are neighbours, one of each from a channel on.
    #[inline(always)]
    fn runs(&self, start: usize, len: usize, mut f: impl FnMut(usize, Range<usize>)) {
        let mut done = 0;
        while done < len {
            let place = start + done;
            let channel = place / self.inner % self.count;
            let run = if self.inner == 1 { self.count - channel } else { self.inner - place % self.inner };
            let end = (done + run).min(len);
            f(channel, done..end);
            done = end;
        }
    }
}

/// The mean of each channel, and its variance: the mean of the squares of what differs from the mean. Those of no elements
/// are no numbers.
pub(crate) fn moments<T: Float>(x: &[T], channels: Channels, mean: &mut [T], variance: &mut [T]) {
    if channels.total() == 0 {
        mean.fill(T::NAN);
        return variance.fill(T::NAN);
    }
    let len = channels.parts() * channels.count;
    let (mut sums, mut squares) = (Buffer::scratch(len), Buffer::scratch(len));
    let sums: &mut [T] = sums.get_mut().unwrap_or_default();
    let squares = squares.get_mut().unwrap_or_default();
    channels.tables(sums, squares, &|steps, channel, sums, squares| {
        vectorized!(moments_of_part(x, channels, steps, channel, sums, squares));
    });
    let per_element = T::from_f64(1.0 / channels.size() as f64);
    channels.sum_of_parts(sums, mean);
    mean.iter_mut().for_each(|mean| *mean *= per_element);
    for (part, (sums, squares)) in sums.chunks(channels.count).zip(squares.chunks_mut(channels.count)).enumerate() {
        let (size, per_element) = size_of_part(channels, &channels.steps_of(part));
        for ((&sum, &mean), squares) in sums.iter().zip(&*mean).zip(squares) {
            let apart = sum * per_element - mean;
            *squares += size * apart * apart;
        }
    }
    channels.sum_of_parts(squares, variance);
    variance.iter_mut().for_each(|variance| *variance *= per_element);
}

/// `Σ g·(x − mean)` and `Σ g` of each channel.
pub(crate) fn sums_with<T: Float>(
    g: &[T],
    x: &[T],
    channels: Channels,
    mean: &[T],
    products: &mut [T],
    sums: &mut [T],
) {
    if channels.total() == 0 {
        products.fill(T::ZERO);
        return sums.fill(T::ZERO);
    }
    let len = channels.parts() * channels.count;
    let (mut left, mut right) = (Buffer::scratch(len), Buffer::scratch(len));
    let (left, right): (&mut [T], &mut [T]) = (left.get_mut().unwrap_or_default(), right.get_mut().unwrap_or_default());
    channels.tables(left, right, &|steps, channel, products, sums| {
        vectorized!(sums_of_part([g, x], channels, steps, &mean[channel..], channel, products, sums));
    });
    channels.sum_of_parts(left, products);
    channels.sum_of_parts(right, sums);
}

/// `out = (x − mean)·scale + shift` in each channel.
pub(crate) fn transform<T: Float>(x: &[T], channels: Channels, by: Affine<'_, T>, out: &mut [T]) {
    let work = out.len();
    parallel::pieces(out, ELEMENTS_PER_TASK, work, &|start, out| {
        vectorized!(transform_piece(&x[start..], channels, by, start, out));
    });
}

/// `out = g·factor + (x − mean)·scale + shift` in each channel.
pub(crate) fn combine<T: Float>(
    (g, factor): (&[T], &[T]),
    x: &[T],
    channels: Channels,
    by: Affine<'_, T>,
    out: &mut [T],
) {
    let work = out.len();
    parallel::pieces(out, ELEMENTS_PER_TASK, work, &|start, out| {
        vectorized!(combine_piece((&g[start..], factor), &x[start..], channels, by, start, out));
    });
}

#[inline(always)]
fn transform_piece<T: Float>(x: &[T], channels: Channels, by: Affine<'_, T>, start: usize, out: &mut [T]) {
    channels.runs(start, out.len(), |channel, run| {
        let Affine { mean, scale, shift } = by.behind(channel);
        let elements = out[run.clone()].iter_mut().zip(&x[run]);
        if channels.inner == 1 {
            for (((y, &x), &mean), (&scale, &shift)) in elements.zip(mean).zip(scale.iter().zip(shift)) {
                *y = (x - mean) * scale + shift;
            }
            return;
        }
        let (mean, scale, shift) = (mean[0], scale[0], shift[0]);
        elements.for_each(|(y, &x)| *y = (x - mean) * scale + shift);
    });
}

#[inline(always)]
fn combine_piece<T: Float>(
    (g, factor): (&[T], &[T]),
    x: &[T],
    channels: Channels,
    by: Affine<'_, T>,
    start: usize,
    out: &mut [T],
) {
    channels.runs(start, out.len(), |channel, run| {
        let (Affine { mean, scale, shift }, factor) = (by.behind(channel), &factor[channel..]);
        let elements = out[run.clone()].iter_mut().zip(g[run.clone()].iter().zip(&x[run]));
        if channels.inner == 1 {
            let numbers = factor.iter().zip(mean).zip(scale.iter().zip(shift));
            for ((y, (&g, &x)), ((&factor, &mean), (&scale, &shift))) in elements.zip(numbers) {
                *y = g * factor + (x - mean) * scale + shift;
            }
            return;
        }
        let (mean, scale, shift, factor) = (mean[0], scale[0], shift[0], factor[0]);
        elements.for_each(|(y, (&g, &x))| *y = g * factor + (x - mean) * scale + shift);
    });
}

impl<'a, T> Affine<'a, T> {
    /// The numbers of a channel and those behind it.
    #[inline(always)]
    fn behind(self, channel: usize) -> Self {
        Affine { mean: &self.mean[channel..], scale: &self.scale[channel..], shift: &self.shift[channel..] }
    }
}

/// 1/√(variance + eps), times a weight if there is one.
pub(crate) fn scales<T: Float>(variance: &[T], eps: T, weight: Option<&[T]>, out: &mut [T]) {
    out.iter_mut().zip(variance).for_each(|(scale, &variance)| *scale = T::ONE / Math::sqrt(variance + eps));
    if let Some(weight) = weight {
        out.iter_mut().zip(weight).for_each(|(scale, &weight)| *scale *= weight);
    }
}

/// Elements of a channel in a part, and one divided by that.
#[inline(always)]
fn size_of_part<T: Float>(channels: Channels, steps: &Range<usize>) -> (T, T) {
    let size = (steps.len() * channels.inner) as f64;
    (T::from_f64(size), T::from_f64(1.0 / size))
}

#[inline(always)]
fn moments_of_part<T: Float>(
    x: &[T],
    channels: Channels,
    steps: Range<usize>,
    channel: usize,
    sums: &mut [T],
    squares: &mut [T],
) {
    let (_, per_element) = size_of_part::<T>(channels, &steps);
    if channels.inner == 1 {
        let row = |step: usize| &x[step * channels.count + channel..];
        sums.fill(T::ZERO);
        for step in steps.clone() {
            sums.iter_mut().zip(row(step)).for_each(|(sum, &x)| *sum += x);
        }
        squares.fill(T::ZERO);
        for step in steps {
            for ((square, &sum), &x) in squares.iter_mut().zip(&*sums).zip(row(step)) {
                let apart = x - sum * per_element;
                *square += apart * apart;
            }
        }
        return;
    }
    for (k, (sum, square)) in sums.iter_mut().zip(squares).enumerate() {
        let mut lanes = [T::ZERO; LANES];
        for step in steps.clone() {
            let (rows, rest) = x[channels.slice(step, channel + k)].as_chunks::<LANES>();
            for row in rows {
                for lane in 0..LANES {
                    lanes[lane] += row[lane];
                }
            }
            lanes.iter_mut().zip(rest).for_each(|(lane, &x)| *lane += x);
        }
        *sum = fold_halves(&mut lanes, |a, b| a + b);
        let (mean, mut lanes) = (*sum * per_element, [T::ZERO; LANES]);
        for step in steps.clone() {
            let (rows, rest) = x[channels.slice(step, channel + k)].as_chunks::<LANES>();
            for row in rows {
                for lane in 0..LANES {
                    lanes[lane] += (row[lane] - mean) * (row[lane] - mean);
                }
            }
            lanes.iter_mut().zip(rest).for_each(|(lane, &x)| *lane += (x - mean) * (x - mean));
        }
        *square = fold_halves(&mut lanes, |a, b| a + b);
    }
}

#[inline(always)]
fn sums_of_part<T: Float>(
    [g, x]: [&[T]; 2],
    channels: Channels,
    steps: Range<usize>,
    mean: &[T],
    channel: usize,
    products: &mut [T],
    sums: &mut [T],
) {
    if channels.inner == 1 {
        products.fill(T::ZERO);
        sums.fill(T::ZERO);
        for start in steps.map(|step| step * channels.count + channel) {
            let row = g[start..].iter().zip(&x[start..]).zip(mean);
            for ((product, sum), ((&g, &x), &mean)) in products.iter_mut().zip(&mut *sums).zip(row) {
                *product += g * (x - mean);
                *sum += g;
            }
        }
        return;
    }
    for (k, ((product, sum), &mean)) in products.iter_mut().zip(sums).zip(mean).enumerate() {
        let (mut products, mut sums) = ([T::ZERO; LANES], [T::ZERO; LANES]);
        for slice in steps.clone().map(|step| channels.slice(step, channel + k)) {
            let (g, x) = (&g[slice.clone()], &x[slice]);
            let ((g_rows, g_rest), (x_rows, x_rest)) = (g.as_chunks::<LANES>(), x.as_chunks::<LANES>());
            for (g, x) in g_rows.iter().zip(x_rows) {
                for lane in 0..LANES {
                    products[lane] += g[lane] * (x[lane] - mean);
                    sums[lane] += g[lane];
                }
            }
            for ((product, sum), (&g, &x)) in products.iter_mut().zip(&mut sums).zip(g_rest.iter().zip(x_rest)) {
                *product += g * (x - mean);
                *sum += g;
            }
        }
        *product = fold_halves(&mut products, |a, b| a + b);
        *sum = fold_halves(&mut sums, |a, b| a + b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, assert_close, assert_same_bits};

    const SIZES: [[usize; 3]; 7] =
        [[300, 7, 1], [3, 4, 7], [1, 5, 90], [200, 1, 1], [1, 40, 1], [9, 3, 33], [70, 2, 2]];

    fn of_channel(x: &[f64], [_, count, inner]: [usize; 3], channel: usize) -> Vec<f64> {
        x.iter().enumerate().filter(|(i, _)| i / inner % count == channel).map(|(_, &x)| x).collect()
    }

    #[test]
    fn moments_and_sums_are_those_of_every_channel() {
        for sizes @ [outer, count, inner] in SIZES {
            let (len, channels) = (outer * count * inner, Channels::new(outer, count, inner));
            let (x, g) = (Draws(1).numbers::<f64>(len), Draws(2).numbers::<f64>(len));
            let [mut mean, mut variance, mut products, mut sums] = [(); 4].map(|()| vec![9.0; count]);
            moments(&x, channels, &mut mean, &mut variance);
            sums_with(&g, &x, channels, &mean, &mut products, &mut sums);
            for channel in 0..count {
                let (x, g) = (of_channel(&x, sizes, channel), of_channel(&g, sizes, channel));
                let n = x.len() as f64;
                let center = x.iter().sum::<f64>() / n;
                let squares = x.iter().map(|x| (x - center).powi(2)).sum::<f64>();
                let product = x.iter().zip(&g).map(|(x, g)| g * (x - center)).sum();
                let found = [mean[channel], variance[channel], products[channel], sums[channel]];
                assert_close(&found, &[center, squares / n, product, g.iter().sum()], 1e-12);
            }
        }
    }

    #[test]
    fn passes_take_the_numbers_of_each_channel() {
        for [outer, count, inner] in SIZES {
            let (len, channels) = (outer * count * inner, Channels::new(outer, count, inner));
            let (x, g) = (Draws(1).numbers::<f64>(len), Draws(2).numbers::<f64>(len));
            let [mean, scale, shift, factor] = [3, 4, 5, 6].map(|seed| Draws(seed).numbers::<f64>(count));
            let by = Affine { mean: &mean, scale: &scale, shift: &shift };
            let moved = |i: usize| {
                let channel = i / inner % count;
                (x[i] - mean[channel]) * scale[channel] + shift[channel]
            };
            let mut out = vec![9.0; len];
            transform(&x, channels, by, &mut out);
            assert_close(&out, &(0..len).map(moved).collect::<Vec<_>>(), 1e-15);
            combine((&g, &factor), &x, channels, by, &mut out);
            let expected: Vec<f64> = (0..len).map(|i| g[i] * factor[i / inner % count] + moved(i)).collect();
            assert_close(&out, &expected, 1e-14);
        }
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        let x: Vec<f64> = (0..3000).map(|i| 1e8 + (i / 3 % 2) as f64).collect();
        let (mut mean, mut variance) = ([0.0; 3], [0.0; 3]);
        moments(&x, Channels::new(1000, 3, 1), &mut mean, &mut variance);
        assert_eq!((mean, variance), ([1e8 + 0.5; 3], [0.25; 3]));
    }

    #[test]
    fn threads_change_no_bit() {
        for [outer, count, inner] in [[600, 300, 1], [30, 20, 300]] {
            let (len, channels) = (outer * count * inner, Channels::new(outer, count, inner));
            let (x, g) = (Draws(1).numbers::<f32>(len), Draws(2).numbers::<f32>(len));
            assert_same_bits(|| {
                let (mut numbers, mut out) = (vec![0.0; 4 * count], vec![0.0; len]);
                let (statistics, sums) = numbers.split_at_mut(2 * count);
                let (mean, variance) = statistics.split_at_mut(count);
                moments(&x, channels, mean, variance);
                let (products, sums) = sums.split_at_mut(count);
                sums_with(&g, &x, channels, mean, products, sums);
                combine((&g, variance), &x, channels, Affine { mean, scale: products, shift: sums }, &mut out);
                out.extend(numbers);
                out
            });
        }
    }
}
