//! Rows that become columns.

use crate::float::Element;
use crate::kernel::register::{Register, Registers};
use crate::kernel::simd::Level;
#[cfg(target_arch = "x86_64")]
use crate::kernel::simd::{avx2, avx512};

/// Writes `rows` times `columns` elements, each row of which is a column of the source: `into[r][c] = from[c][r]`, where rows
/// start a pitch apart. Squares keep the cache lines of both sides until they are used up.
pub(crate) fn transpose<E: Element>(
    (from, from_pitch): (&[E], usize),
    (into, pitch): (&mut [E], usize),
    (rows, columns): (usize, usize),
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!((columns - 1) * from_pitch + rows <= from.len() && (rows - 1) * pitch + columns <= into.len());
    let (from, into) = (Rows { first: from.as_ptr(), pitch: from_pitch }, Rows { first: into.as_mut_ptr(), pitch });
    let sides = (from, into);
    // SAFETY: both sides hold all elements, as was just asserted, and the level was found on this processor. A register moves
    // the bits of any element as they are.
    unsafe {
        match (Level::best(), size_of::<E>()) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, 4) => avx512(|| squares::<E, f32, <f32 as Registers>::Avx512, 16>(sides, (rows, columns))),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, 8) => avx512(|| squares::<E, f64, <f64 as Registers>::Avx512, 8>(sides, (rows, columns))),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, 4) => avx2(|| squares::<E, f32, <f32 as Registers>::Avx2, 8>(sides, (rows, columns))),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, 8) => avx2(|| squares::<E, f64, <f64 as Registers>::Avx2, 4>(sides, (rows, columns))),
            (_, 4) => squares::<E, f32, <f32 as Registers>::Plain, 4>(sides, (rows, columns)),
            (_, 8) => squares::<E, f64, <f64 as Registers>::Plain, 4>(sides, (rows, columns)),
            _ => one_by_one(sides, (rows, columns)),
        }
    }
}

/// Rows of elements behind a pointer.
#[derive(Clone, Copy)]
struct Rows<P> {
    first: P,
    pitch: usize,
}

/// # Safety
/// Both sides hold rows times columns elements, `N` is the length of `R`, elements are as
/// large as `T`, and the processor has the level.
#[inline(always)]
unsafe fn squares<E: Copy, T, R: Register<T>, const N: usize>(
    (from, into): (Rows<*const E>, Rows<*mut E>),
    (rows, columns): (usize, usize),
) {
    debug_assert_eq!(N, R::LEN);
    for row in (0..rows).step_by(N) {
        for column in (0..columns).step_by(N) {
            let size = (N.min(rows - row), N.min(columns - column));
            // SAFETY: the square lies inside both sides.
            unsafe {
                let from = Rows { first: from.first.add(column * from.pitch + row), ..from };
                let into = Rows { first: into.first.add(row * into.pitch + column), ..into };
                match size == (N, N) {
                    true => square::<E, T, R, N>(from, into),
                    false => one_by_one((from, into), size),
                }
            }
        }
    }
}

/// Each round takes one bit of an element's row to its column: interleaving the registers k and k + N/2 to 2k and 2k + 1
/// moves the highest bit of the row to the lowest of the column.
///
/// # Safety
/// As for [`squares`], with `N` rows and columns.
#[inline(always)]
unsafe fn square<E, T, R: Register<T>, const N: usize>(from: Rows<*const E>, into: Rows<*mut E>) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut square: [R; N] = std::array::from_fn(|k| R::load(from.first.add(k * from.pitch).cast()));
        for _ in 0..N.ilog2() {
            let before = square;
            for k in 0..N / 2 {
                let [even, odd] = before[k].interleave(before[k + N / 2]);
                (square[2 * k], square[2 * k + 1]) = (even, odd);
            }
        }
        for (k, row) in square.into_iter().enumerate() {
            row.store(into.first.add(k * into.pitch).cast());
        }
    }
}

/// # Safety
/// Both sides hold rows times columns elements.
#[inline(always)]
unsafe fn one_by_one<E: Copy>((from, into): (Rows<*const E>, Rows<*mut E>), (rows, columns): (usize, usize)) {
    for row in 0..rows {
        for column in 0..columns {
            // SAFETY: by this function's contract.
            unsafe { *into.first.add(row * into.pitch + column) = *from.first.add(column * from.pitch + row) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::Draws;

    fn check<E: Element>(make: impl Fn(usize) -> E) {
        for (rows, columns) in [(0, 3), (1, 1), (3, 5), (16, 16), (17, 40), (40, 33), (64, 8)] {
            let (from_pitch, pitch) = (rows + 2, columns + 3);
            let from: Vec<E> = (0..from_pitch * columns).map(&make).collect();
            let mut into = vec![make(1); rows * pitch];
            transpose((&from, from_pitch), (&mut into, pitch), (rows, columns));
            for (k, &found) in into.iter().enumerate() {
                let (row, column) = (k / pitch, k % pitch);
                let expected = if column < columns { from[column * from_pitch + row] } else { make(1) };
                assert_eq!(found, expected, "[{rows}, {columns}] at [{row}, {column}]");
            }
        }
    }

    #[test]
    fn every_element_finds_its_place() {
        let bits: Vec<u64> = std::iter::repeat_with({
            let mut draws = Draws(1);
            move || draws.bits()
        })
        .take(5000)
        .collect();
        check(|k| k as f32);
        check(|k| k as f64);
        check(|k| bits[k] as usize);
        check(|k| bits[k].is_multiple_of(2));
    }
}
