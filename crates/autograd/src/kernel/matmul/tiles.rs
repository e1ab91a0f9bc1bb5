//! Products by tiles of sums that stay in registers.
//!
//! The right factor is packed into strips of columns as wide as a tile; the left one is read where it lies. So a factor that
//! many products share, as the steps of a sequence do, is packed once.

use std::ops::Range;

use crate::float::Float;
use crate::kernel::matmul::{Matrix, Start};
use crate::kernel::register::{Register, lanes, register, tile};
use crate::kernel::simd::Level;
#[cfg(target_arch = "x86_64")]
use crate::kernel::simd::{avx2, avx512};
use crate::kernel::transpose::transpose;
use crate::tensor::buffer::Buffer;

/// Registers side by side in a tile.
const REGISTERS: usize = 3;

/// Rows that meet a strip while they stay in the nearest cache: whole tiles at every level.
const ROWS_PER_STRIP: usize = 48;

/// Terms that are summed at once: as many as the rows of a strip that stay there too.
const TERMS_PER_STRIP: usize = 128;

/// Numbers of the longest register.
const MAX_REGISTER_LEN: usize = 16;

/// A right factor in strips.
pub(crate) struct Strips<T: Float> {
    /// Strip by strip, and row by row in each; the last one is padded to whole registers.
    elements: Buffer<T>,
    depth: usize,
    columns: usize,
}

impl<T: Float> Strips<T> {
    /// Packs a matrix whose rows or columns are runs of neighbours.
    pub fn new(b: Matrix<'_, T>) -> Self {
        let (depth, columns) = (b.rows.0, b.columns.0);
        let by_rows = b.columns.1 == 1;
        let apart = if by_rows { b.rows.1 } else { b.columns.1 };
        assert!((by_rows || b.rows.1 == 1) && apart >= 0);
        let apart = apart as usize;
        let width = REGISTERS * register::<T>();
        let mut elements = Buffer::scratch(depth * lanes::<T>(columns));
        let strips = elements.get_mut().unwrap_or_default().chunks_mut((width * depth).max(1));
        for (strip, first) in strips.zip((0..columns).step_by(width)) {
            let (pitch, count) = (strip.len() / depth, width.min(columns - first));
            if count < pitch {
                strip.fill(T::ZERO);
            }
            let b = &b.data[(b.position + first as isize * b.columns.1) as usize..];
            if by_rows {
                for (row, into) in strip.chunks_exact_mut(pitch).enumerate() {
                    into[..count].copy_from_slice(&b[row * apart..][..count]);
                }
            } else {
                transpose((b, apart), (strip, pitch), (depth, count));
            }
        }
        Strips { elements, depth, columns }
    }

    /// Rows of the factor.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// `out = start + a·b`, where columns of `a` do not run backwards.
    pub fn multiply(&self, a: Matrix<'_, T>, out: &mut [T], start: &Start<'_, T>) {
        assert!(a.columns.0 == self.depth && self.depth > 0 && a.columns.1 >= 0 && a.is_inside());
        assert!(out.len() == a.rows.0 * self.columns);
        if let Start::Row(row) = start {
            assert!(row.len() == self.columns);
        }
        for first in (0..self.depth).step_by(TERMS_PER_STRIP) {
            let terms = || first..self.depth.min(first + TERMS_PER_STRIP);
            let start = if first == 0 { start } else { &Start::Old };
            // SAFETY: the level was found on this processor, and the sizes fit, as was just asserted.
            unsafe {
                match Level::best() {
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => avx512(|| self.run::<T::Avx512, 8>(a, terms(), out, start)),
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => avx2(|| self.run::<T::Avx2, 4>(a, terms(), out, start)),
                    Level::Plain => self.run::<T::Plain, 4>(a, terms(), out, start),
                }
            }
        }
    }

    /// # Safety
    /// The processor has the level of `R`, which is that of the strips, and the sizes fit.
    #[inline(always)]
    unsafe fn run<R: Register<T>, const P: usize>(
        &self,
        a: Matrix<'_, T>,
        terms: Range<usize>,
        out: &mut [T],
        start: &Start<'_, T>,
    ) {
        let (rows, width) = (a.rows.0, REGISTERS * R::LEN);
        for block in (0..rows).step_by(ROWS_PER_STRIP) {
            for column in (0..self.columns).step_by(width) {
                let strip = &self.elements.as_slice()[column * self.depth..];
                for row in (block..rows.min(block + ROWS_PER_STRIP)).step_by(P) {
                    let place = Place { row, column, count: P.min(rows - row) };
                    let terms = terms.clone();
                    // SAFETY: by this function's contract; the strip has as many registers as are left.
                    unsafe {
                        match (self.columns - column).div_ceil(R::LEN) {
                            1 => self.tile::<R, P, 1>(a, terms, strip, out, start, place),
                            2 => self.tile::<R, P, 2>(a, terms, strip, out, start, place),
                            _ => self.tile::<R, P, REGISTERS>(a, terms, strip, out, start, place),
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for `run`; `strip` has `V` registers in each row, and the place lies in `out`.
    #[inline(always)]
    unsafe fn tile<R: Register<T>, const P: usize, const V: usize>(
        &self,
        a: Matrix<'_, T>,
        terms: Range<usize>,
        strip: &[T],
        out: &mut [T],
        start: &Start<'_, T>,
        Place { row, column, count }: Place,
    ) {
        debug_assert!(strip.len() >= self.depth * V * R::LEN);
        // SAFETY: by this function's contract. Rows beyond the last repeat it and are not written.
        unsafe {
            let a = a.some_rows(row..row + count);
            let x = std::array::from_fn(|p| a.data.as_ptr().offset(a.position + p.min(count - 1) as isize * a.rows.1));
            let factor = std::array::from_fn(|v| strip.as_ptr().add((terms.start * V + v) * R::LEN));
            let offsets = terms.map(|term| term * a.columns.1 as usize);
            let sums = tile::<T, R, P, V>(x, offsets, factor, V * R::LEN);
            // All of a tile, with a return where rows end: a number of rows that is not fixed moves the sums to memory first.
            for (p, sums) in sums.iter().enumerate() {
                if p == count {
                    return;
                }
                let out = out.as_mut_ptr().add((row + p) * self.columns + column);
                let old = match start {
                    Start::Nothing => None,
                    Start::Old => Some(out.cast_const()),
                    Start::Row(row) => Some(row.as_ptr().add(column)),
                };
                for (v, &sum) in sums.iter().enumerate() {
                    let (first, room) = (v * R::LEN, self.columns - column - v * R::LEN);
                    put(sum, old.map(|old| old.add(first)), out.add(first), room);
                }
            }
        }
    }
}

/// Where a tile lies, and how many of its rows.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    column: usize,
    count: usize,
}

/// Writes `old + sum`, or its first `room` numbers.
///
/// # Safety
/// The processor has the level of `R`; `old` and `to` are good for a register, or for `room` numbers if that is less.
#[inline(always)]
unsafe fn put<T: Float, R: Register<T>>(sum: R, old: Option<*const T>, to: *mut T, room: usize) {
    // SAFETY: by this function's contract.
    unsafe {
        if room >= R::LEN {
            let sum = old.map_or(sum, |old| R::load(old).plus(sum));
            return sum.store(to);
        }
        let mut numbers = [T::ZERO; MAX_REGISTER_LEN];
        sum.store(numbers.as_mut_ptr());
        for (k, &number) in numbers.iter().enumerate().take(room) {
            *to.add(k) = old.map_or(number, |old| *old.add(k) + number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, assert_close};

    fn check<T: Float>(tolerance: f64) {
        for [m, k, n] in [[1, 1, 1], [8, 3, 48], [17, 5, 33], [50, 40, 130], [3, 300, 16]] {
            let mut draws = Draws(1);
            let (a, b) = (draws.numbers::<T>(m * k), draws.numbers::<T>(k * n));
            let (old, row) = (draws.numbers::<T>(m * n), draws.numbers::<T>(n));
            let transposed: Vec<T> = (0..n * k).map(|at| b[at % k * n + at / k]).collect();
            let a_transposed: Vec<T> = (0..k * m).map(|at| a[at % m * k + at / m]).collect();
            let lefts = [Matrix::row_major(&a, m, k), Matrix::row_major(&a_transposed, k, m).transpose()];
            let rights = [Matrix::row_major(&b, k, n), Matrix::row_major(&transposed, n, k).transpose()];
            for (left, strips) in lefts.into_iter().zip(rights.map(Strips::new)) {
                for start in [Start::Nothing, Start::Old, Start::Row(&row)] {
                    let mut out = old.clone();
                    strips.multiply(left, &mut out, &start);
                    let expected: Vec<f64> = (0..m * n)
                        .map(|at| {
                            let (i, j) = (at / n, at % n);
                            let sum: f64 = (0..k).map(|term| a[i * k + term].to_f64() * b[term * n + j].to_f64()).sum();
                            sum + match start {
                                Start::Nothing => 0.0,
                                Start::Old => old[at].to_f64(),
                                Start::Row(row) => row[j].to_f64(),
                            }
                        })
                        .collect();
                    assert_close(&out, &expected, tolerance);
                }
            }
        }
    }

    #[test]
    fn products_agree_with_their_definition_from_every_start() {
        check::<f64>(1e-13);
        check::<f32>(1e-4);
    }
}
