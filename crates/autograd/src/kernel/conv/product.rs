//! Products with a patch matrix that is never made: its element in row r and column k is `x[rows[r] + columns[k]]`.
//!
//! Windows of an image are such a matrix, and so are the elements of a kernel over all its windows. A tile of sums stays in
//! registers while a column after the other is broadcast and multiplied with a row of the other factor.

use std::ops::Range;

use crate::float::Float;
use crate::kernel::register::{Register, register, tile};
use crate::kernel::simd::Level;
#[cfg(target_arch = "x86_64")]
use crate::kernel::simd::{avx2, avx512};
use crate::tensor::buffer::Buffer;

/// Columns whose factors stay in the second cache while all rows pass.
const COLUMNS_IN_CACHE: usize = 1 << 10;

/// Places in a slice, of which the farthest is known.
pub(super) struct Offsets {
    places: Buffer<usize>,
    farthest: usize,
}

impl Offsets {
    pub fn new(places: impl Iterator<Item = usize> + Clone) -> Self {
        let mut buffer = Buffer::scratch(places.clone().count());
        buffer.get_mut().unwrap_or_default().iter_mut().zip(places).for_each(|(place, at)| *place = at);
        let farthest = buffer.as_slice().iter().copied().max().unwrap_or(0);
        Offsets { places: buffer, farthest }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn as_slice(&self) -> &[usize] {
        self.places.as_slice()
    }
}

/// A patch matrix: where its elements lie in `data`.
#[derive(Clone, Copy)]
pub(super) struct Patches<'a, T> {
    pub data: &'a [T],
    pub rows: &'a Offsets,
    pub columns: &'a Offsets,
}

impl<T: Float> Patches<'_, T> {
    /// `sums += self[rows] · factor`, row-major with `lanes` columns.
    pub fn add_product(self, rows: Range<usize>, factor: &[T], lanes: usize, sums: &mut [T]) {
        let (rows, columns) = (&self.rows.as_slice()[rows], self.columns.as_slice());
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        assert!(self.rows.farthest + self.columns.farthest < self.data.len());
        assert!(sums.len() == rows.len() * lanes && factor.len() == columns.len() * lanes);
        assert!(lanes.is_multiple_of(register::<T>()));
        // SAFETY: the level was found on this processor, and the assertions are what `gather` asks for.
        unsafe {
            match Level::best() {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => avx512(|| gather::<T, T::Avx512, 8>(self.data, (rows, columns), factor, lanes, sums)),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2(|| gather::<T, T::Avx2, 6>(self.data, (rows, columns), factor, lanes, sums)),
                Level::Plain => gather::<T, T::Plain, 4>(self.data, (rows, columns), factor, lanes, sums),
            }
        }
    }
}

/// The adjoint: `sums[rows[r] + columns[c]] += Σₖ x[k][r]·factor[c][k]` for rows of `lanes` elements, where `x` has `depth` rows.
pub(super) fn add_adjoint<T: Float>(
    (rows, columns): (&Offsets, &Offsets),
    (x, depth): (&[T], usize),
    factor: &[T],
    lanes: usize,
    sums: &mut [T],
) {
    if rows.len() == 0 || columns.len() == 0 || lanes == 0 {
        return;
    }
    assert!((rows.farthest + columns.farthest + 1) * lanes <= sums.len());
    assert!(x.len() == depth * rows.len() && factor.len() == columns.len() * depth * lanes);
    assert!(lanes.is_multiple_of(register::<T>()));
    let places = (rows.as_slice(), columns.as_slice());
    // SAFETY: the level was found on this processor, and the assertions are what `scatter` asks for.
    unsafe {
        match Level::best() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(|| scatter::<T, T::Avx512, 8>(places, (x, depth), factor, lanes, sums)),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(|| scatter::<T, T::Avx2, 6>(places, (x, depth), factor, lanes, sums)),
            Level::Plain => scatter::<T, T::Plain, 4>(places, (x, depth), factor, lanes, sums),
        }
    }
}

/// # Safety
/// The processor has the level of `R`, of which `lanes` is a multiple; any row and column together lie in the data; `sums`
/// has `lanes` elements for every row and `factor` for every column.
#[inline(always)]
unsafe fn gather<T: Float, R: Register<T>, const P: usize>(
    data: &[T],
    (rows, columns): (&[usize], &[usize]),
    factor: &[T],
    lanes: usize,
    sums: &mut [T],
) {
    for lane in (0..lanes).step_by(2 * R::LEN) {
        for first_column in (0..columns.len()).step_by(COLUMNS_IN_CACHE) {
            let columns = &columns[first_column..(first_column + COLUMNS_IN_CACHE).min(columns.len())];
            for first in (0..rows.len()).step_by(P) {
                let rows = &rows[first..(first + P).min(rows.len())];
                // SAFETY: by this function's contract; one or two registers from `lane` lie in every row.
                unsafe {
                    // Rows beyond the last repeat it and are not added.
                    let x = std::array::from_fn(|p| data.as_ptr().add(rows[p.min(rows.len() - 1)]));
                    let factor = factor.as_ptr().add(first_column * lanes + lane);
                    let sums = sums.as_mut_ptr().add(first * lanes + lane);
                    if lane + R::LEN < lanes {
                        let tile = tile::<T, R, P, 2>(x, columns.iter().copied(), [factor, factor.add(R::LEN)], lanes);
                        add(tile, rows.len(), |p, v| sums.add(p * lanes + v * R::LEN));
                    } else {
                        let tile = tile::<T, R, P, 1>(x, columns.iter().copied(), [factor], lanes);
                        add(tile, rows.len(), |p, _| sums.add(p * lanes));
                    }
                }
            }
        }
    }
}

/// # Safety
/// The processor has the level of `R`, of which `lanes` is a multiple; any row and column together are a row of `sums`; `x`
/// has an element for every row at every depth, and `factor` has `lanes` at every depth for every column.
#[inline(always)]
unsafe fn scatter<T: Float, R: Register<T>, const P: usize>(
    (rows, columns): (&[usize], &[usize]),
    (x, depth): (&[T], usize),
    factor: &[T],
    lanes: usize,
    sums: &mut [T],
) {
    let (steps, count) = ((0..depth).map(|k| k * rows.len()), rows.len());
    for lane in (0..lanes).step_by(R::LEN) {
        for first_column in (0..columns.len()).step_by(2) {
            for first in (0..count).step_by(P) {
                let rows = &rows[first..(first + P).min(count)];
                // SAFETY: by this function's contract; one register from `lane` lies in every row.
                unsafe {
                    let x = std::array::from_fn(|p| x.as_ptr().add((first + p).min(count - 1)));
                    let factor = factor.as_ptr().add(first_column * depth * lanes + lane);
                    let sums = sums.as_mut_ptr().add(lane);
                    let place = |p: usize, v: usize| {
                        sums.add((rows.get_unchecked(p) + columns.get_unchecked(first_column + v)) * lanes)
                    };
                    if first_column + 1 < columns.len() {
                        let tile = tile::<T, R, P, 2>(x, steps.clone(), [factor, factor.add(depth * lanes)], lanes);
                        add(tile, rows.len(), place);
                    } else {
                        add(tile::<T, R, P, 1>(x, steps.clone(), [factor], lanes), rows.len(), place);
                    }
                }
            }
        }
    }
}

/// Adds the first `count` rows of a tile to where they belong.
///
/// # Safety
/// The processor has the level of `R`, and `place` gives room for a register.
#[inline(always)]
unsafe fn add<T: Float, R: Register<T>, const P: usize, const V: usize>(
    tile: [[R; V]; P],
    count: usize,
    place: impl Fn(usize, usize) -> *mut T,
) {
    for (p, row) in tile.into_iter().enumerate() {
        for (v, sum) in row.into_iter().enumerate() {
            if p < count {
                let place = place(p, v);
                // SAFETY: by this function's contract.
                unsafe { R::load(place).plus(sum).store(place) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::register::Registers;
    use crate::kernel::samples::{Draws, assert_close};

    /// # Safety
    /// The processor has the level of `R`.
    unsafe fn check<R: Register<f64>, const P: usize>() {
        let mut draws = Draws(1);
        let rows: Vec<usize> = (0..2 * P + 3).map(|_| draws.below(20)).collect();
        for registers in 1..4 {
            let (columns, lanes) = ([0, 7, 3, 3, 11], registers * R::LEN);
            let (data, factor) = (draws.numbers::<f64>(31), draws.numbers::<f64>(columns.len() * lanes));
            let before = draws.numbers::<f64>(rows.len() * lanes);
            let (mut expected, mut sums) = (before.clone(), before);
            for ((k, &row), (c, &column)) in
                rows.iter().enumerate().flat_map(|r| columns.iter().enumerate().map(move |c| (r, c)))
            {
                (0..lanes).for_each(|lane| expected[k * lanes + lane] += data[row + column] * factor[c * lanes + lane]);
            }
            // SAFETY: by this function's contract; 19 + 11 lies in the data.
            unsafe { gather::<f64, R, P>(&data, (&rows, &columns), &factor, lanes, &mut sums) };
            assert_close(&sums, &expected, 1e-13);

            let depth = 4;
            let (x, factor) =
                (draws.numbers::<f64>(depth * rows.len()), draws.numbers::<f64>(columns.len() * depth * lanes));
            let before = draws.numbers::<f64>(31 * lanes);
            let (mut expected, mut sums) = (before.clone(), before);
            for ((k, &row), (c, &column)) in
                rows.iter().enumerate().flat_map(|r| columns.iter().enumerate().map(move |c| (r, c)))
            {
                for (d, lane) in (0..depth).flat_map(|d| (0..lanes).map(move |lane| (d, lane))) {
                    expected[(row + column) * lanes + lane] +=
                        x[d * rows.len() + k] * factor[(c * depth + d) * lanes + lane];
                }
            }
            // SAFETY: as above, with 31 rows of sums.
            unsafe { scatter::<f64, R, P>((&rows, &columns), (&x, depth), &factor, lanes, &mut sums) };
            assert_close(&sums, &expected, 1e-13);
        }
    }

    #[test]
    fn both_products_at_every_level() {
        // SAFETY: the plain level is everywhere; the others are asked for.
        unsafe {
            check::<<f64 as Registers>::Plain, 4>();
            #[cfg(target_arch = "x86_64")]
            if Level::Avx2.is_supported() {
                check::<<f64 as Registers>::Avx2, 6>();
            }
            #[cfg(target_arch = "x86_64")]
            if Level::Avx512.is_supported() {
                check::<<f64 as Registers>::Avx512, 8>();
            }
        }
    }
}
