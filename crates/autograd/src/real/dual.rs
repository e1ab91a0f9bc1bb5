//! `Dual`: a number and how it moves, for forward mode.

use std::cmp::Ordering;
use std::iter::{Product, Sum};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use super::{Algebra, Real};
use crate::ops::elementwise::{BinaryRule, UnaryRule, rule};

/// A number and its derivative along one direction: forward mode. Nests: `Dual<Dual<f64>>` has second derivatives.
///
/// Numbers of type `f64` may stand beside it, on either side, whatever it is made of:
///
/// ```
/// use autograd::Dual;
///
/// let x = Dual::variable(3.0);
/// let mut y = 2.0 * x * x - x / 0.5;
/// y += 1.0;
/// assert_eq!((y.value, y.tangent), (13.0, 10.0));
/// ```
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
    fn select(self, x: Self, y: Self) -> Self {
        Self { value: self.value.select(x.value, y.value), tangent: self.value.select(x.tangent, y.tangent) }
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
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

operators!(<R: Algebra> Dual<R>);

macro_rules! with_numbers {
    ($($trait:ident $method:ident $assign:ident $assign_method:ident)*) => {$(
        impl<R: Algebra> $trait<f64> for Dual<R> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, rhs: f64) -> Self {
                self.binary::<rule::$method>(Self::of(rhs))
            }
        }

        impl<R: Algebra> $trait<Dual<R>> for f64 {
            type Output = Dual<R>;
            #[inline(always)]
            fn $method(self, rhs: Dual<R>) -> Dual<R> {
                Dual::of(self).binary::<rule::$method>(rhs)
            }
        }

        impl<R: Algebra, X> $assign<X> for Dual<R>
        where
            Self: $trait<X, Output = Self>,
        {
            #[inline(always)]
            fn $assign_method(&mut self, rhs: X) {
                *self = $trait::$method(*self, rhs);
            }
        }
    )*};
}

with_numbers! {
    Add add AddAssign add_assign
    Sub sub SubAssign sub_assign
    Mul mul MulAssign mul_assign
    Div div DivAssign div_assign
}

impl<R: Algebra> Neg for Dual<R> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { value: -self.value, tangent: -self.tangent }
    }
}

impl<R: Algebra> Sum for Dual<R> {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.reduce(|a, b| a + b).unwrap_or_else(|| Self::of(0.0))
    }
}

impl<R: Algebra> Product for Dual<R> {
    fn product<I: Iterator<Item = Self>>(factors: I) -> Self {
        factors.reduce(|a, b| a * b).unwrap_or_else(|| Self::of(1.0))
    }
}

impl<'a, R: Algebra> Sum<&'a Dual<R>> for Dual<R> {
    fn sum<I: Iterator<Item = &'a Self>>(terms: I) -> Self {
        terms.copied().sum()
    }
}

impl<'a, R: Algebra> Product<&'a Dual<R>> for Dual<R> {
    fn product<I: Iterator<Item = &'a Self>>(factors: I) -> Self {
        factors.copied().product()
    }
}
