//! Whatever a formula can be evaluated on: numbers, tangents, handles on a tape.
//!
//! [`Algebra`] has every elementwise function of the op table; a type joins by saying how it applies one
//! ([`Algebra::unary`], [`Algebra::binary`], [`Algebra::select`]). [`Real`] adds an order, so that code can branch.

/// The operators of two numbers of an algebra, by its [`Algebra::binary`].
macro_rules! operators {
    (<$parameter:ident: $bound:ident> $number:ty) => {
        operators!(<$parameter: $bound> $number; Add add, Sub sub, Mul mul, Div div);
    };
    (<$parameter:ident: $bound:ident> $number:ty; $($trait:ident $method:ident),*) => {$(
        impl<$parameter: $bound> $trait for $number {
            type Output = Self;
            #[inline(always)]
            fn $method(self, rhs: Self) -> Self {
                self.binary::<crate::ops::elementwise::rule::$method>(rhs)
            }
        }
    )*};
}

mod dual;
pub(crate) mod lanes;

use std::iter::{Product, Sum};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

pub use dual::Dual;

use crate::ops::elementwise::{BinaryRule, UnaryRule};

/// The smooth algebra: arithmetic and every elementwise function of the op table.
///
/// Derivative rules are written over it, so that one formula serves numbers, forward mode and recorded derivatives.
/// Its functions are those of [`Scalar`](crate::Scalar).
pub trait Algebra:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// A constant.
    fn of(number: f64) -> Self;

    #[doc(hidden)]
    fn unary<Op: UnaryRule>(self) -> Self;

    #[doc(hidden)]
    fn binary<Op: BinaryRule>(self, other: Self) -> Self;

    /// `x` where this is not zero, else `y`: the `where` of PyTorch and NumPy. The other one is ignored, whatever its value,
    /// and so is its derivative. The condition is mostly a comparison: these functions give 1 where they hold, else 0.
    ///
    /// ```
    /// use autograd::{Algebra, Dual};
    ///
    /// fn root<R: Algebra>(x: R) -> R {
    ///     x.gt(R::of(0.0)).select(x.sqrt(), R::of(0.0))
    /// }
    ///
    /// // √0 has an infinite slope, which is not the one taken.
    /// let y = root(Dual::variable(0.0));
    /// assert_eq!((y.value, y.tangent), (0.0, 0.0));
    /// ```
    fn select(self, x: Self, y: Self) -> Self;

    crate::ops::elementwise::algebra_methods!();
}

/// Numbers with an order: `f32`, `f64`, [`Dual`] and [`Scalar`](crate::Scalar).
///
/// A function over `Real` runs plain, forward, reverse, or nested:
///
/// ```
/// use autograd::{Dual, Real, gradient};
///
/// fn f<R: Real>(x: R, y: R) -> R {
///     if x > y { x * y.sin() } else { x / y }
/// }
///
/// assert_eq!(f(1.0_f64, 2.0), 0.5);
/// let along_x = f(Dual::variable(1.0), Dual::constant(2.0));
/// let [dx, _dy] = gradient(|_, [x, y]| f(x, y), [1.0_f64, 2.0])?;
/// assert_eq!((along_x.tangent, dx), (0.5, 0.5));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// A constant in such code is `R::of(2.0)`: the numbers of `f32` are `f32` and take no `f64` beside them, so the trait
/// cannot promise `2.0 * x`. Iterators have `sum` and `product`, and [`Algebra::select`] chooses without a branch:
///
/// ```
/// use autograd::{Dual, Real};
///
/// fn softened<R: Real>(x: &[R]) -> R {
///     let mut squares: R = x.iter().map(|&x| x * x).sum();
///     squares += R::of(0.25);
///     x.iter().sum::<R>() / squares.sqrt()
/// }
///
/// let x = [Dual::variable(0.5), Dual::constant(0.5)];
/// let expected = 1.0 / 0.75_f64.sqrt();
/// assert!((softened(&x).value - expected).abs() < 1e-15);
/// ```
///
/// Code that need not run on `f32` may ask for `R: Real + Mul<f64, Output = R>` and then writes `x * 2.0`; `f64`, `Dual` and
/// `Scalar<f64>` have it.
pub trait Real:
    Algebra
    + PartialOrd
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Product
    + for<'a> Sum<&'a Self>
    + for<'a> Product<&'a Self>
{
    /// The plain number, without derivatives.
    fn number(self) -> f64;
}

macro_rules! plain {
    ($float:ident) => {
        impl Algebra for $float {
            #[inline(always)]
            fn of(number: f64) -> Self {
                number as $float
            }
            #[inline(always)]
            fn unary<Op: UnaryRule>(self) -> Self {
                Op::value(self)
            }
            #[inline(always)]
            fn binary<Op: BinaryRule>(self, other: Self) -> Self {
                Op::value(self, other)
            }
            #[inline(always)]
            fn select(self, x: Self, y: Self) -> Self {
                if self != 0.0 { x } else { y }
            }
        }

        impl Real for $float {
            #[inline(always)]
            fn number(self) -> f64 {
                self.into()
            }
        }
    };
}

plain!(f32);
plain!(f64);
