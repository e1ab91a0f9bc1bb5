//! A hint to the processor that memory will be needed soon.

/// How many numbers come at once.
pub(crate) const fn line<T>() -> usize {
    64 / size_of::<T>()
}

/// Asks for the place of an element to come to the second cache. The index may lie outside of the list.
#[inline(always)]
pub(crate) fn prefetch<T>(list: &[T], index: usize) {
    prefetch_place(list.as_ptr().wrapping_add(index));
}

/// Asks for a place to come to the second cache. It may lie anywhere.
#[inline(always)]
pub(crate) fn prefetch_place<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a hint accesses no memory and is allowed for every address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
