//! Registers of numbers, for the few loops whose sums must stay in registers: the optimiser finds vectors for a loop over a
//! slice, but not for a block of sums.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::float::Float;
use crate::kernel::simd::Level;

/// A register of `LEN` numbers of one vector level.
///
/// # Safety
/// Every function may be called only where the processor has the level's instructions; pointers must be good for `LEN`
/// numbers, of any alignment.
#[allow(clippy::missing_safety_doc)] // Said once, above.
pub unsafe trait Register<T>: Copy {
    const LEN: usize;

    unsafe fn splat(x: T) -> Self;
    unsafe fn load(from: *const T) -> Self;
    unsafe fn store(self, to: *mut T);
    unsafe fn plus(self, x: Self) -> Self;
    /// self + x·y, rounded once where the level can.
    unsafe fn plus_product(self, x: Self, y: Self) -> Self;
    /// The numbers of both in turn: the first halves, then the second ones.
    unsafe fn interleave(self, other: Self) -> [Self; 2];
}

/// The registers of one type of number at every level.
pub trait Registers: Sized {
    type Plain: Register<Self>;
    #[cfg(target_arch = "x86_64")]
    type Avx2: Register<Self>;
    #[cfg(target_arch = "x86_64")]
    type Avx512: Register<Self>;
}

macro_rules! registers {
    ($float:ident: $avx2:ident($splat2:ident, $load2:ident, $store2:ident, $add2:ident, $fma2:ident, $interleave2:ident),
        $avx512:ident($splat512:ident, $load512:ident, $store512:ident, $add512:ident, $fma512:ident, $interleave512:ident)) => {
        impl Registers for $float {
            type Plain = [$float; 4];
            #[cfg(target_arch = "x86_64")]
            type Avx2 = $avx2;
            #[cfg(target_arch = "x86_64")]
            type Avx512 = $avx512;
        }

        registers!(@ $avx2, $float, $splat2, $load2, $store2, $add2, $fma2, $interleave2);
        registers!(@ $avx512, $float, $splat512, $load512, $store512, $add512, $fma512, $interleave512);
    };
    (@ $register:ident, $float:ident, $splat:ident, $load:ident, $store:ident, $add:ident, $fma:ident, $interleave:ident) => {
        // SAFETY: the intrinsics do what the trait says.
        #[cfg(target_arch = "x86_64")]
        unsafe impl Register<$float> for $register {
            const LEN: usize = size_of::<Self>() / size_of::<$float>();

            #[inline(always)]
            unsafe fn splat(x: $float) -> Self {
                // SAFETY: by the trait's contract the processor has the instruction.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(from: *const $float) -> Self {
                // SAFETY: as above, and `from` is good for `LEN` numbers.
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $float) {
                // SAFETY: as above, and `to` is good for `LEN` numbers.
                unsafe { $store(to, self) }
            }
            #[inline(always)]
            unsafe fn plus(self, x: Self) -> Self {
                // SAFETY: by the trait's contract the processor has the instruction.
                unsafe { $add(self, x) }
            }
            #[inline(always)]
            unsafe fn plus_product(self, x: Self, y: Self) -> Self {
                // SAFETY: by the trait's contract the processor has the instruction.
                unsafe { $fma(x, y, self) }
            }
            #[inline(always)]
            unsafe fn interleave(self, other: Self) -> [Self; 2] {
                // SAFETY: as above.
                unsafe { $interleave(self, other) }
            }
        }
    };
}

registers!(f32:
    __m256(_mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_fmadd_ps, interleave_8_f32),
    __m512(_mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, interleave_16_f32)
);
registers!(f64:
    __m256d(_mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd, _mm256_fmadd_pd, interleave_4_f64),
    __m512d(_mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_add_pd, _mm512_fmadd_pd, interleave_8_f64)
);

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
#[inline]
fn interleave_8_f32(x: __m256, y: __m256) -> [__m256; 2] {
    let (low, high) = (_mm256_unpacklo_ps(x, y), _mm256_unpackhi_ps(x, y));
    [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
#[inline]
fn interleave_4_f64(x: __m256d, y: __m256d) -> [__m256d; 2] {
    let (low, high) = (_mm256_unpacklo_pd(x, y), _mm256_unpackhi_pd(x, y));
    [_mm256_permute2f128_pd::<0x20>(low, high), _mm256_permute2f128_pd::<0x31>(low, high)]
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
fn interleave_16_f32(x: __m512, y: __m512) -> [__m512; 2] {
    let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    [_mm512_permutex2var_ps(x, low, y), _mm512_permutex2var_ps(x, high, y)]
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
fn interleave_8_f64(x: __m512d, y: __m512d) -> [__m512d; 2] {
    let low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    let high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    [_mm512_permutex2var_pd(x, low, y), _mm512_permutex2var_pd(x, high, y)]
}

// SAFETY: plain arithmetic, on every processor.
unsafe impl<T: Float> Register<T> for [T; 4] {
    const LEN: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: by the trait's contract four numbers can be read.
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: by the trait's contract four numbers can be written.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn plus(self, x: Self) -> Self {
        std::array::from_fn(|k| self[k] + x[k])
    }
    #[inline(always)]
    unsafe fn plus_product(self, x: Self, y: Self) -> Self {
        std::array::from_fn(|k| self[k] + x[k] * y[k])
    }
    #[inline(always)]
    unsafe fn interleave(self, other: Self) -> [Self; 2] {
        [[self[0], other[0], self[1], other[1]], [self[2], other[2], self[3], other[3]]]
    }
}

/// Numbers in a register of this machine.
pub(crate) fn register<T: Float>() -> usize {
    match Level::best() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => T::Avx512::LEN,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => T::Avx2::LEN,
        Level::Plain => T::Plain::LEN,
    }
}

/// The number of columns that `columns` of the right factor are padded to: whole registers.
pub(crate) fn lanes<T: Float>(columns: usize) -> usize {
    columns.checked_next_multiple_of(register::<T>()).unwrap_or(usize::MAX)
}

/// `tile[p][v] = Σₖ x[p][offsets[k]]·factor[v][k]`, where `factor` has a register every `pitch` elements.
///
/// # Safety
/// The processor has the level of `R`; all offsets are good for all `x`, and each `factor` has a register for every offset.
#[inline(always)]
pub(crate) unsafe fn tile<T: Float, R: Register<T>, const P: usize, const V: usize>(
    x: [*const T; P],
    offsets: impl Iterator<Item = usize>,
    mut factor: [*const T; V],
    pitch: usize,
) -> [[R; V]; P] {
    // SAFETY: by this function's contract.
    unsafe {
        let mut tile = [[R::splat(T::ZERO); V]; P];
        for offset in offsets {
            let mut y = [R::splat(T::ZERO); V];
            for v in 0..V {
                y[v] = R::load(factor[v]);
                factor[v] = factor[v].wrapping_add(pitch);
            }
            for p in 0..P {
                let x = R::splat(*x[p].add(offset));
                for v in 0..V {
                    tile[p][v] = tile[p][v].plus_product(x, y[v]);
                }
            }
        }
        tile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// # Safety
    /// The processor has the level of `R`.
    unsafe fn check<T: Float, R: Register<T>>() {
        let numbers: Vec<T> = (0..R::LEN).map(|k| T::from_f64(k as f64)).collect();
        let (mut sums, mut pairs) = (vec![T::ZERO; R::LEN], vec![T::ZERO; 2 * R::LEN]);
        // SAFETY: by this function's contract; the slices hold `LEN` numbers or twice as many.
        unsafe {
            let x = R::load(numbers.as_ptr());
            let sum = x.plus_product(x, R::splat(T::from_f64(3.0)));
            sum.store(sums.as_mut_ptr());
            let [first, second] = x.interleave(sum);
            first.store(pairs.as_mut_ptr());
            second.store(pairs.as_mut_ptr().add(R::LEN));
        }
        assert!(sums.iter().zip(&numbers).all(|(&sum, &x)| sum == x * T::from_f64(4.0)));
        assert!(pairs.chunks(2).eq(numbers.iter().zip(&sums).map(|(&x, &sum)| [x, sum])));
    }

    #[test]
    fn arithmetic_and_order_at_every_level() {
        // SAFETY: the plain registers are everywhere; the others are asked for.
        unsafe {
            check::<f32, <f32 as Registers>::Plain>();
            check::<f64, <f64 as Registers>::Plain>();
            #[cfg(target_arch = "x86_64")]
            if Level::Avx2.is_supported() {
                check::<f32, <f32 as Registers>::Avx2>();
                check::<f64, <f64 as Registers>::Avx2>();
            }
            #[cfg(target_arch = "x86_64")]
            if Level::Avx512.is_supported() {
                check::<f32, <f32 as Registers>::Avx512>();
                check::<f64, <f64 as Registers>::Avx512>();
            }
        }
    }
}
