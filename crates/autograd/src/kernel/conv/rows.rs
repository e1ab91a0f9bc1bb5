//! Sums over shifted rows: a row of numbers is multiplied at many places with a number each, or with another row.

use crate::float::Float;
use crate::kernel::register::{Register, register};
use crate::kernel::simd::Level;
#[cfg(target_arch = "x86_64")]
use crate::kernel::simd::{avx2, avx512};

/// Rows that are multiplied with one at once.
const MAX_ROWS_AT_ONCE: usize = 9;

/// `sums[p][j] = Σₖ w[p][k]·x[places[k] + j]` for every row of `sums`, each of `len` elements: whole registers. Rows of `w`
/// start a pitch apart.
pub(super) fn write_sums<T: Float>(
    (w, pitch): (&[T], usize),
    (x, places): (&[T], &[usize]),
    len: usize,
    sums: &mut [T],
) {
    if sums.is_empty() {
        return;
    }
    let rows = sums.len() / len;
    assert!(sums.len() == rows * len && len.is_multiple_of(register::<T>()));
    assert!((rows - 1) * pitch + places.len() <= w.len());
    assert!(places.iter().all(|&place| place + len <= x.len()));
    // SAFETY: the level was found on this processor, and the assertions are what `sum_rows` asks for.
    unsafe {
        match Level::best() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(|| sum_rows::<T, T::Avx512>((w, pitch), (x, places), len, sums)),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(|| sum_rows::<T, T::Avx2>((w, pitch), (x, places), len, sums)),
            Level::Plain => sum_rows::<T, T::Plain>((w, pitch), (x, places), len, sums),
        }
    }
}

/// `Σ sums[k] += Σⱼ g[j]·x[places[k] + j]`, where each of `sums` is a register of numbers yet to be added up and `g` is whole
/// registers.
pub(super) fn add_products<T: Float>(g: &[T], (x, places): (&[T], &[usize]), sums: &mut [T]) {
    assert!(g.len().is_multiple_of(register::<T>()) && sums.len() == places.len() * register::<T>());
    assert!(places.iter().all(|&place| place + g.len() <= x.len()));
    // SAFETY: the level was found on this processor, and the assertions are what `multiply_rows` asks for.
    unsafe {
        match Level::best() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(|| multiply_rows::<T, T::Avx512>(g, (x, places), sums)),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(|| multiply_rows::<T, T::Avx2>(g, (x, places), sums)),
            Level::Plain => multiply_rows::<T, T::Plain>(g, (x, places), sums),
        }
    }
}

/// # Safety
/// The processor has the level of `R`, and `len` is a multiple of its length; `w` has an element for every place in every row
/// of `sums`, and `x` has `len` from every place on.
#[inline(always)]
unsafe fn sum_rows<T: Float, R: Register<T>>(
    (w, pitch): (&[T], usize),
    (x, places): (&[T], &[usize]),
    len: usize,
    sums: &mut [T],
) {
    for (pair, sums) in sums.chunks_mut(2 * len).enumerate() {
        // SAFETY: by this function's contract.
        unsafe {
            let w = w.as_ptr().add(2 * pair * pitch);
            let sums = (sums.as_mut_ptr(), sums.len() / len);
            match sums.1 {
                2 => sum_row::<T, R, 2>([w, w.add(pitch)], (x.as_ptr(), places), len, sums.0),
                _ => sum_row::<T, R, 1>([w], (x.as_ptr(), places), len, sums.0),
            }
        }
    }
}

/// # Safety
/// As for [`sum_rows`] with `P` rows.
#[inline(always)]
unsafe fn sum_row<T: Float, R: Register<T>, const P: usize>(
    w: [*const T; P],
    (x, places): (*const T, &[usize]),
    len: usize,
    sums: *mut T,
) {
    let mut at = 0;
    // SAFETY: by this function's contract; every block ends within `len`.
    unsafe {
        // One row alone needs eight sums at once to keep the multipliers busy, two rows half of them each.
        while P == 1 && at + 8 * R::LEN <= len {
            sum_block::<T, R, P, 8>(w, (x.add(at), places), sums.add(at), len);
            at += 8 * R::LEN;
        }
        while at + 4 * R::LEN <= len {
            sum_block::<T, R, P, 4>(w, (x.add(at), places), sums.add(at), len);
            at += 4 * R::LEN;
        }
        while at < len {
            sum_block::<T, R, P, 1>(w, (x.add(at), places), sums.add(at), len);
            at += R::LEN;
        }
    }
}

/// # Safety
/// As for [`sum_row`], for `V` registers.
#[inline(always)]
unsafe fn sum_block<T: Float, R: Register<T>, const P: usize, const V: usize>(
    w: [*const T; P],
    (x, places): (*const T, &[usize]),
    sums: *mut T,
    len: usize,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut block = [[R::splat(T::ZERO); V]; P];
        for (k, &place) in places.iter().enumerate() {
            let x: [R; V] = std::array::from_fn(|v| R::load(x.add(place + v * R::LEN)));
            for p in 0..P {
                let w = R::splat(*w[p].add(k));
                for v in 0..V {
                    block[p][v] = block[p][v].plus_product(w, x[v]);
                }
            }
        }
        for (p, block) in block.into_iter().enumerate() {
            for (v, sum) in block.into_iter().enumerate() {
                sum.store(sums.add(p * len + v * R::LEN));
            }
        }
    }
}

/// # Safety
/// The processor has the level of `R`, and `g` is a multiple of its length; `x` has as many elements as `g` from every place
/// on, and `sums` has a register for every place.
#[inline(always)]
unsafe fn multiply_rows<T: Float, R: Register<T>>(g: &[T], (x, places): (&[T], &[usize]), sums: &mut [T]) {
    for (places, sums) in places.chunks(MAX_ROWS_AT_ONCE).zip(sums.chunks_mut(MAX_ROWS_AT_ONCE * R::LEN)) {
        // SAFETY: by this function's contract.
        unsafe {
            // Few sums wait for each other's results, so several are made for each place.
            match places.len() {
                1 => multiply_block::<T, R, 1, 4>(g, (x, places), sums),
                2..=3 => multiply_block::<T, R, 3, 2>(g, (x, places), sums),
                4..=5 => multiply_block::<T, R, 5, 1>(g, (x, places), sums),
                _ => multiply_block::<T, R, MAX_ROWS_AT_ONCE, 1>(g, (x, places), sums),
            }
        }
    }
}

/// # Safety
/// As for [`multiply_rows`], with at most `P` places.
#[inline(always)]
unsafe fn multiply_block<T: Float, R: Register<T>, const P: usize, const U: usize>(
    g: &[T],
    (x, places): (&[T], &[usize]),
    sums: &mut [T],
) {
    // SAFETY: by this function's contract.
    unsafe {
        // Places beyond the last repeat it and are not kept.
        let x: [*const T; P] = std::array::from_fn(|p| x.as_ptr().add(places[p.min(places.len() - 1)]));
        let mut block = [[R::splat(T::ZERO); P]; U];
        let mut at = 0;
        while at + U * R::LEN <= g.len() {
            for (u, sums) in block.iter_mut().enumerate() {
                let g = R::load(g.as_ptr().add(at + u * R::LEN));
                for p in 0..P {
                    sums[p] = sums[p].plus_product(g, R::load(x[p].add(at + u * R::LEN)));
                }
            }
            at += U * R::LEN;
        }
        while at < g.len() {
            let g = R::load(g.as_ptr().add(at));
            for p in 0..P {
                block[0][p] = block[0][p].plus_product(g, R::load(x[p].add(at)));
            }
            at += R::LEN;
        }
        for (p, sums) in sums.chunks_exact_mut(R::LEN).enumerate() {
            let old = R::load(sums.as_ptr());
            block.into_iter().fold(old, |sum, parts| sum.plus(parts[p])).store(sums.as_mut_ptr());
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
    unsafe fn check<R: Register<f64>>() {
        let mut draws = Draws(1);
        for (terms, rows, registers) in [(1, 1, 1), (2, 2, 5), (3, 3, 4), (5, 1, 9), (9, 2, 3), (16, 5, 2), (0, 2, 1)] {
            let (len, pitch) = (registers * R::LEN, terms + 2);
            let places: Vec<usize> = (0..terms).map(|_| draws.below(20)).collect();
            let (x, w) = (draws.numbers::<f64>(20 + len), draws.numbers::<f64>(rows * pitch));
            let at = |k: usize, j: usize| x[places[k] + j];
            let expected: Vec<f64> =
                (0..rows * len).map(|i| (0..terms).map(|k| w[i / len * pitch + k] * at(k, i % len)).sum()).collect();
            let mut sums = vec![f64::NAN; rows * len];
            // SAFETY: by this function's contract; places lie below 20.
            unsafe { sum_rows::<f64, R>((&w, pitch), (&x, &places), len, &mut sums) };
            assert_close(&sums, &expected, 1e-13);

            let g = draws.numbers::<f64>(len);
            let expected: Vec<f64> = (0..terms).map(|k| 1.0 + (0..len).map(|j| g[j] * at(k, j)).sum::<f64>()).collect();
            let mut sums = vec![1.0 / R::LEN as f64; terms * R::LEN];
            // SAFETY: as above.
            unsafe { multiply_rows::<f64, R>(&g, (&x, &places), &mut sums) };
            let found: Vec<f64> = sums.chunks(R::LEN).map(|sums| sums.iter().sum()).collect();
            assert_close(&found, &expected, 1e-13);
        }
    }

    #[test]
    fn both_sums_at_every_level() {
        // SAFETY: the plain level is everywhere; the others are asked for.
        unsafe {
            check::<<f64 as Registers>::Plain>();
            #[cfg(target_arch = "x86_64")]
            if Level::Avx2.is_supported() {
                check::<<f64 as Registers>::Avx2>();
            }
            #[cfg(target_arch = "x86_64")]
            if Level::Avx512.is_supported() {
                check::<<f64 as Registers>::Avx512>();
            }
        }
    }
}
