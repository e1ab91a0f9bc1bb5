//! The rows that a piece of the batch has of each array, and the pieces themselves.

use std::ops::Range;

use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{ContiguousFwd, MatMut};

use crate::float::Float;
use crate::kernel::vectorized::vectorized;
use crate::real::Algebra;
use crate::real::lanes::Lanes;

/// The same range of each of N rows that begin `apart`.
#[inline(always)]
pub(super) fn parts<T: Float, const N: usize>(x: &[T], apart: usize, range: &Range<usize>) -> [Lanes<T>; N] {
    let mut parts = [Lanes::of(0.0); N];
    for (k, part) in parts.iter_mut().enumerate() {
        *part = Lanes::load(&x[k * apart..][range.clone()]);
    }
    parts
}

/// The same for writing.
#[inline(always)]
pub(super) fn put_parts<T: Float, const N: usize>(
    parts: [Lanes<T>; N],
    x: &mut [T],
    apart: usize,
    range: &Range<usize>,
) {
    for (k, part) in parts.iter().enumerate() {
        part.store(&mut x[k * apart..][range.clone()]);
    }
}

/// A matrix whose rows, one for each time or state, hold the numbers of some samples one behind the other.
pub(super) struct Rows<'a, T>(MatMut<'a, T, usize, usize, isize, ContiguousFwd>);

impl<'a, T> Rows<'a, T> {
    pub fn new(x: &'a mut [T], count: usize) -> Self {
        let columns = x.len() / count;
        let matrix = MatMut::from_row_major_slice_mut(x, count, columns);
        Rows(matrix.try_as_row_major_mut().expect("columns are neighbours"))
    }

    #[inline(always)]
    pub fn at(&mut self, row: usize) -> &mut [T] {
        self.0.rb_mut().row_mut(row).as_slice_mut()
    }

    /// The numbers of one sample, which has `width` of them.
    #[inline(always)]
    pub fn get(&self, row: usize, sample: usize, width: usize) -> &[T] {
        &self.0.rb().row(row).as_slice()[sample * width..][..width]
    }

    /// The same, for writing.
    #[inline(always)]
    pub fn of(&mut self, row: usize, sample: usize, width: usize) -> &mut [T] {
        &mut self.at(row)[sample * width..][..width]
    }

    /// Keeps the columns of the first `count` of all `samples`, and gives the others.
    fn split_off(&mut self, count: usize, samples: usize) -> Self {
        let whole = std::mem::replace(self, Rows::new(&mut [], 1)).0;
        let columns = whole.ncols() / samples * count;
        let (left, right) = whole.split_at_col_mut(columns);
        *self = Rows(left);
        Rows(right)
    }
}

/// Calls `f` for at most `share` samples at a time, with their columns of all matrices, and adds up what it writes to sums
/// that are `len` long, of which there are as many as pieces: the first ones get the total.
pub(super) fn over_samples<T: Float, const N: usize>(
    (samples, mut rows): (Range<usize>, [Rows<'_, T>; N]),
    share: usize,
    on_threads: bool,
    (sums, len): (&mut [T], usize),
    f: &(impl Fn(Range<usize>, [Rows<'_, T>; N], &mut [T]) + Sync),
) {
    let pieces = samples.len().div_ceil(share);
    if pieces < 2 {
        return f(samples, rows, sums);
    }
    let middle = samples.start + pieces / 2 * share;
    let others = rows.each_mut().map(|rows| rows.split_off(middle - samples.start, samples.len()));
    let (sums, other_sums) = sums.split_at_mut(pieces / 2 * len);
    let left = || over_samples((samples.start..middle, rows), share, on_threads, (&mut *sums, len), f);
    let right = || over_samples((middle..samples.end, others), share, on_threads, (&mut *other_sums, len), f);
    if on_threads {
        rayon::join(left, right);
    } else {
        left();
        right();
    }
    vectorized!(sums[..len].iter_mut().zip(&other_sums[..len]).for_each(|(sum, &other)| *sum += other));
}
