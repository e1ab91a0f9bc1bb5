//! Loops over plain data: they know slices and layouts, not operations and not tapes.
//!
//! Outputs are contiguous slices of the right length; inputs are views of any strides. Results do not depend on the
//! number of threads.

pub(crate) mod accumulate;
pub(crate) mod attention;
pub(crate) mod batch_norm;
pub(crate) mod conv;
pub(crate) mod index;
pub(crate) mod layer_norm;
pub(crate) mod lines;
pub(crate) mod map;
pub(crate) mod math;
pub(crate) mod matmul;
pub(crate) mod parallel;
pub(crate) mod pool;
pub(crate) mod prefetch;
pub(crate) mod product;
pub(crate) mod recurrent;
pub(crate) mod reduce;
pub(crate) mod register;
pub(crate) mod replay;
pub(crate) mod runs;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod scan;
pub(crate) mod scatter;
pub(crate) mod simd;
pub(crate) mod softmax;
pub(crate) mod sort;
pub(crate) mod transpose;
pub(crate) mod vectorized;

use std::ops::AddAssign;

/// What a kernel does with a result: put it in the place of the old contents, or add it to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Replace,
    Add,
}

impl Write {
    /// Writes `x` to `y`.
    #[inline(always)]
    pub fn put<T: AddAssign>(self, y: &mut T, x: T) {
        match self {
            Write::Replace => *y = x,
            Write::Add => *y += x,
        }
    }
}
