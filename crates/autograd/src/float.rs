//! The numbers a tensor can hold, and the plain arithmetic the kernels need of them.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::kernel::math::Math;
use crate::kernel::register::Registers;
use crate::real::Real;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for usize {}
    impl Sealed for bool {}
}

/// What a [`Tensor`](crate::Tensor) can hold: `f32` and `f64` for values, `usize` for indices and class labels, `bool`
/// for masks.
pub trait Element:
    sealed::Sealed + Copy + Default + PartialEq + PartialOrd + Debug + Display + Send + Sync + 'static
{
}

impl Element for f32 {}
impl Element for f64 {}
impl Element for usize {}
impl Element for bool {}

/// The numbers that have derivatives: `f32` and `f64`.
///
/// `T::of(0.5)` is a number in code for any of them; how it stands beside handles is said at `Var`.
#[allow(missing_docs)] // Constants and conversions, named as in the standard library.
pub trait Float:
    Element
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Math
    + Registers
    + Real
{
    const ZERO: Self;
    const ONE: Self;
    const INFINITY: Self;
    const NEG_INFINITY: Self;
    const NAN: Self;
    const EPSILON: Self;
    const MIN_POSITIVE: Self;
    const MAX: Self;
    const NAME: &'static str;

    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    fn is_nan(self) -> bool;
    fn is_finite(self) -> bool;

    /// Of one thing for each type, the one for this type.
    #[doc(hidden)]
    fn pick<F: Family>(single: &'static F::Of<f32>, double: &'static F::Of<f64>) -> &'static F::Of<Self>;
}

/// Something that there is for each type of number, such as a table of functions that are compiled for both.
#[doc(hidden)]
pub trait Family {
    type Of<T: Float>: 'static;
}

macro_rules! float {
    ($float:ident, ($single:ident, $double:ident) => $pick:ident) => {
        impl Float for $float {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const INFINITY: Self = $float::INFINITY;
            const NEG_INFINITY: Self = $float::NEG_INFINITY;
            const NAN: Self = $float::NAN;
            const EPSILON: Self = $float::EPSILON;
            const MIN_POSITIVE: Self = $float::MIN_POSITIVE;
            const MAX: Self = $float::MAX;
            const NAME: &'static str = stringify!($float);

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $float
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                $float::is_nan(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $float::is_finite(self)
            }
            fn pick<F: Family>($single: &'static F::Of<f32>, $double: &'static F::Of<f64>) -> &'static F::Of<Self> {
                $pick
            }
        }
    };
}

float!(f32, (single, _double) => single);
float!(f64, (_single, double) => double);
