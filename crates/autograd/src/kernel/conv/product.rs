//! Products with a patch matrix that is never made: its element in row r and column k is `x[rows[r] + columns[k]]`.
//!
//! Windows of an image are such a matrix, and so are the elements of a kernel over all its windows. A tile of sums stays in
//! registers while a column after the other is broadcast and multiplied with a row of the other factor.

use std::ops::Range;

use crate::float::Float;
use crate::kernel::register::Register;
use crate::kernel::simd::{Level, avx2, avx512};

/// Columns whose factors stay in the second cache while all rows pass.
const COLUMNS: usize = 1 << 10;

/// Where the elements of a patch matrix lie in `data`.
#[derive(Clone, Copy)]
pub(super) struct Patches<'a, T> {
    pub data: &'a [T],
    pub rows: &'a [usize],
    pub columns: &'a [usize],
}

/// The number of columns that `columns` of the right factor are padded to: whole registers.
pub(super) fn lanes<T: Float>(columns: usize) -> usize {
    let register = match Level::best() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => T::Avx512::LEN,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => T::Avx2::LEN,
        Level::Plain => T::Plain::LEN,
    };
    columns.next_multiple_of(register)
}

impl<T: Float> Patches<'_, T> {
    /// `sums += self · factor`, row-major with `lanes` columns. `needed(rows)` are the columns that are not zero in these
    /// rows; the others may be left out.
    pub fn add_product(
        self,
        factor: &[T],
        lanes: usize,
        sums: &mut [T],
        needed: &(impl Fn(Range<usize>) -> Range<usize> + Sync),
    ) {
        let reach = |offsets: &[usize]| offsets.iter().copied().max();
        let (Some(row), Some(column)) = (reach(self.rows), reach(self.columns)) else { return };
        assert!(row + column < self.data.len());
        assert!(sums.len() == self.rows.len() * lanes && factor.len() == self.columns.len() * lanes);
        // SAFETY: the level was found on this processor, and the assertions are what `add_tiles` asks for.
        unsafe {
            match Level::best() {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => avx512(|| add_tiles::<T, T::Avx512, 8>(self, factor, lanes, sums, needed)),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2(|| add_tiles::<T, T::Avx2, 6>(self, factor, lanes, sums, needed)),
                Level::Plain => add_tiles::<T, T::Plain, 4>(self, factor, lanes, sums, needed),
            }
        }
    }
}

/// # Safety
/// The processor has the level of `R`, of which `lanes` is a multiple; any row and column together lie in the data; `sums`
/// has `lanes` elements for every row and `factor` for every column.
#[inline(always)]
unsafe fn add_tiles<T: Float, R: Register<T>, const P: usize>(
    patches: Patches<'_, T>,
    factor: &[T],
    lanes: usize,
    sums: &mut [T],
    needed: &impl Fn(Range<usize>) -> Range<usize>,
) {
    debug_assert!(lanes.is_multiple_of(R::LEN));
    let (rows, columns) = (patches.rows.len(), patches.columns.len());
    for lane in (0..lanes).step_by(2 * R::LEN) {
        for block in (0..columns).step_by(COLUMNS) {
            for first in (0..rows).step_by(P) {
                let tile = first..(first + P).min(rows);
                let needed = needed(tile.clone());
                let columns = needed.start.max(block)..needed.end.min(block + COLUMNS);
                if columns.is_empty() {
                    continue;
                }
                // SAFETY: by this function's contract; `lane` is the first of one or two registers in every row.
                unsafe {
                    let factor = factor.as_ptr().add(columns.start * lanes + lane);
                    let sums = sums.as_mut_ptr().add(first * lanes + lane);
                    if lane + R::LEN < lanes {
                        add_tile::<T, R, P, 2>(patches, tile, columns, factor, lanes, sums);
                    } else {
                        add_tile::<T, R, P, 1>(patches, tile, columns, factor, lanes, sums);
                    }
                }
            }
        }
    }
}

/// At most `P` rows times `V` registers of columns.
///
/// # Safety
/// As for [`add_tiles`]; `V` registers fit where `factor` and `sums` point and at every further `lanes` elements, as often
/// as there are columns and rows.
#[inline(always)]
unsafe fn add_tile<T: Float, R: Register<T>, const P: usize, const V: usize>(
    patches: Patches<'_, T>,
    rows: Range<usize>,
    columns: Range<usize>,
    mut factor: *const T,
    lanes: usize,
    sums: *mut T,
) {
    let count = rows.len();
    // SAFETY: rows beyond the last repeat it and are not stored; the rest is this function's contract.
    unsafe {
        let x: [*const T; P] = std::array::from_fn(|p| {
            patches.data.as_ptr().add(*patches.rows.get_unchecked(rows.start + p.min(count - 1)))
        });
        let mut tile = [[R::splat(T::ZERO); V]; P];
        for p in 0..P {
            for v in 0..V {
                if p < count {
                    tile[p][v] = R::load(sums.add(p * lanes + v * R::LEN));
                }
            }
        }
        for &column in patches.columns.get_unchecked(columns) {
            let mut y = [R::splat(T::ZERO); V];
            for v in 0..V {
                y[v] = R::load(factor.add(v * R::LEN));
            }
            for p in 0..P {
                let x = R::splat(*x[p].add(column));
                for v in 0..V {
                    tile[p][v] = tile[p][v].plus_product(x, y[v]);
                }
            }
            factor = factor.add(lanes);
        }
        for p in 0..P {
            for v in 0..V {
                if p < count {
                    tile[p][v].store(sums.add(p * lanes + v * R::LEN));
                }
            }
        }
    }
}
