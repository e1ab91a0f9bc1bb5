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

pub(crate) mod lanes;

use std::ops::{Add, Div, Mul, Neg, Sub};

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

    /// `x` where the condition is not zero, else `y`; the other one is ignored, whatever its value.
    fn select(condition: Self, x: Self, y: Self) -> Self;

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
pub trait Real: Algebra + PartialOrd {
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
            fn select(condition: Self, x: Self, y: Self) -> Self {
                if condition != 0.0 { x } else { y }
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

/// A number and its derivative along one direction: forward mode. Nests: `Dual<Dual<f64>>` has second derivatives.
#[derive(Debug, Clone, Copy)]
pub struct Dual<R> {
    /// The value.
    pub value: R,
    /// The derivative of the value along the direction.
    pub tangent: R,
}

impl<R: Algebra> Dual<R> {
    /// The variable that the derivative is taken of: its tangent is one.
    pub fn variable(value: R) -> Self {
        Self { value, tangent: R::of(1.0) }
    }

    /// A number that does not move.
    pub fn constant(value: R) -> Self {
        Self { value, tangent: R::of(0.0) }
    }
}

impl<R: Algebra> Algebra for Dual<R> {
    #[inline(always)]
    fn of(number: f64) -> Self {
        Self::constant(R::of(number))
    }

    #[inline(always)]
    fn unary<Op: UnaryRule>(self) -> Self {
        let value = self.value.unary::<Op>();
        Self { value, tangent: self.tangent.masked_mul(Op::slope(self.value, value)) }
    }

    #[inline(always)]
    fn binary<Op: BinaryRule>(self, other: Self) -> Self {
        let value = self.value.binary::<Op>(other.value);
        let [by_x, by_y] = Op::slopes(self.value, other.value, value);
        Self { value, tangent: self.tangent.masked_mul(by_x) + other.tangent.masked_mul(by_y) }
    }

    #[inline(always)]
    fn select(condition: Self, x: Self, y: Self) -> Self {
        Self {
            value: R::select(condition.value, x.value, y.value),
            tangent: R::select(condition.value, x.tangent, y.tangent),
        }
    }
}

impl<R: Real> Real for Dual<R> {
    fn number(self) -> f64 {
        self.value.number()
    }
}

impl<R: PartialEq> PartialEq for Dual<R> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<R: PartialOrd> PartialOrd for Dual<R> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

operators!(<R: Algebra> Dual<R>);

impl<R: Algebra> Neg for Dual<R> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { value: -self.value, tangent: -self.tangent }
    }
}
