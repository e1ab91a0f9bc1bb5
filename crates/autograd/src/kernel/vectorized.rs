//! Loops compiled once for each level of vector instructions, certain to be inlined into their level.

/// Evaluates an expression, which must not `return`, with the widest vectors of this machine.
///
/// The expression is expanded once per level. So every copy is a closure with a single call, which the optimiser inlines
/// whatever its size; a closure that three levels share is inlined only while it is small, and loses its vectors when not.
macro_rules! vectorized {
    ($body:expr) => {
        match $crate::kernel::simd::Level::best() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` has found the processor to support this level.
            $crate::kernel::simd::Level::Avx512 => unsafe { $crate::kernel::simd::avx512(|| $body) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            $crate::kernel::simd::Level::Avx2 => unsafe { $crate::kernel::simd::avx2(|| $body) },
            $crate::kernel::simd::Level::Plain => $body,
        }
    };
}
pub(crate) use vectorized;
