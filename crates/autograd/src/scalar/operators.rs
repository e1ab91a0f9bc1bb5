//! The operators of Rust, sums and products.

use std::iter::{Product, Sum};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use super::Scalar;
use crate::float::Float;
use crate::ops::elementwise::rule;

macro_rules! operator {
    ($($trait:ident $method:ident $assign:ident $assign_method:ident)*) => {$(
        impl<'t, T: Float> $trait for Scalar<'t, T> {
            type Output = Self;
            #[inline(always)]
            #[track_caller]
            fn $method(self, rhs: Self) -> Self {
                self.apply_with::<rule::$method>(rhs)
            }
        }

        impl<'t, T: Float> $trait<&Scalar<'t, T>> for Scalar<'t, T> {
            type Output = Self;
            #[inline(always)]
            #[track_caller]
            fn $method(self, rhs: &Self) -> Self {
                self.apply_with::<rule::$method>(*rhs)
            }
        }

        impl<'t, T: Float> $trait<Scalar<'t, T>> for &Scalar<'t, T> {
            type Output = Scalar<'t, T>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, rhs: Scalar<'t, T>) -> Scalar<'t, T> {
                self.apply_with::<rule::$method>(rhs)
            }
        }

        impl<'t, T: Float> $trait for &Scalar<'t, T> {
            type Output = Scalar<'t, T>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, rhs: Self) -> Scalar<'t, T> {
                self.apply_with::<rule::$method>(*rhs)
            }
        }

        impl<'t, T: Float> $trait<T> for Scalar<'t, T> {
            type Output = Self;
            #[inline(always)]
            #[track_caller]
            fn $method(self, rhs: T) -> Self {
                self.apply_with::<rule::$method>(Self::constant(rhs))
            }
        }

        impl<'t, T: Float> $trait<T> for &Scalar<'t, T> {
            type Output = Scalar<'t, T>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, rhs: T) -> Scalar<'t, T> {
                self.apply_with::<rule::$method>(Scalar::constant(rhs))
            }
        }

        impl<'t, T: Float, X> $assign<X> for Scalar<'t, T>
        where
            Self: $trait<X, Output = Self>,
        {
            #[inline(always)]
            #[track_caller]
            fn $assign_method(&mut self, rhs: X) {
                *self = $trait::$method(*self, rhs);
            }
        }

        operator!(@number $trait $method f32);
        operator!(@number $trait $method f64);
    )*};
    (@number $trait:ident $method:ident $float:ident) => {
        impl<'t> $trait<Scalar<'t, $float>> for $float {
            type Output = Scalar<'t, $float>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, rhs: Scalar<'t, $float>) -> Scalar<'t, $float> {
                Scalar::constant(self).apply_with::<rule::$method>(rhs)
            }
        }

        impl<'t> $trait<&Scalar<'t, $float>> for $float {
            type Output = Scalar<'t, $float>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, rhs: &Scalar<'t, $float>) -> Scalar<'t, $float> {
                Scalar::constant(self).apply_with::<rule::$method>(*rhs)
            }
        }
    };
}

operator! {
    Add add AddAssign add_assign
    Sub sub SubAssign sub_assign
    Mul mul MulAssign mul_assign
    Div div DivAssign div_assign
}

impl<T: Float> Neg for Scalar<'_, T> {
    type Output = Self;
    #[inline(always)]
    #[track_caller]
    fn neg(self) -> Self {
        self.apply::<rule::neg>()
    }
}

impl<'t, T: Float> Neg for &Scalar<'t, T> {
    type Output = Scalar<'t, T>;
    #[inline(always)]
    #[track_caller]
    fn neg(self) -> Scalar<'t, T> {
        self.apply::<rule::neg>()
    }
}

impl<T: Float> Sum for Scalar<'_, T> {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.reduce(|a, b| a + b).unwrap_or_else(|| Self::constant(T::ZERO))
    }
}

impl<T: Float> Product for Scalar<'_, T> {
    fn product<I: Iterator<Item = Self>>(factors: I) -> Self {
        factors.reduce(|a, b| a * b).unwrap_or_else(|| Self::constant(T::ONE))
    }
}

impl<'a, 't, T: Float> Sum<&'a Scalar<'t, T>> for Scalar<'t, T> {
    fn sum<I: Iterator<Item = &'a Self>>(terms: I) -> Self {
        terms.copied().sum()
    }
}

impl<'a, 't, T: Float> Product<&'a Scalar<'t, T>> for Scalar<'t, T> {
    fn product<I: Iterator<Item = &'a Self>>(factors: I) -> Self {
        factors.copied().product()
    }
}
