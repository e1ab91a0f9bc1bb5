//! The operators of Rust.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use super::{Term, Var};
use crate::float::Float;
use crate::ops::elementwise::Elementwise;
use crate::scalar::Scalar;

macro_rules! operator {
    ($($trait:ident $method:ident $assign:ident $assign_method:ident)*) => {$(
        impl<'t, T: Float, X: Into<Term<'t, T>>> $trait<X> for Var<'t, T> {
            type Output = Self;
            #[track_caller]
            fn $method(self, rhs: X) -> Self {
                self.elementwise2(Elementwise::$method, rhs.into())
            }
        }

        impl<'t, T: Float, X: Into<Term<'t, T>>> $trait<X> for &Var<'t, T> {
            type Output = Var<'t, T>;
            #[track_caller]
            fn $method(self, rhs: X) -> Var<'t, T> {
                self.elementwise2(Elementwise::$method, rhs.into())
            }
        }

        impl<'t, T: Float> $trait<Var<'t, T>> for Scalar<'t, T> {
            type Output = Var<'t, T>;
            #[track_caller]
            fn $method(self, rhs: Var<'t, T>) -> Var<'t, T> {
                Term::elementwise(Elementwise::$method, [Term::from(self), Term::Var(rhs)]).on(rhs.tape)
            }
        }

        impl<'t, T: Float> $trait<&Var<'t, T>> for Scalar<'t, T> {
            type Output = Var<'t, T>;
            #[track_caller]
            fn $method(self, rhs: &Var<'t, T>) -> Var<'t, T> {
                $trait::$method(self, *rhs)
            }
        }

        impl<'t, T: Float, X: Into<Term<'t, T>>> $assign<X> for Var<'t, T> {
            #[track_caller]
            fn $assign_method(&mut self, rhs: X) {
                *self = self.elementwise2(Elementwise::$method, rhs.into());
            }
        }

        impl<T: Float> $trait for Term<'_, T> {
            type Output = Self;
            #[track_caller]
            fn $method(self, rhs: Self) -> Self {
                Self::elementwise(Elementwise::$method, [self, rhs])
            }
        }

        operator!(@number $trait $method f32);
        operator!(@number $trait $method f64);
    )*};
    (@number $trait:ident $method:ident $float:ident) => {
        impl<'t> $trait<Var<'t, $float>> for $float {
            type Output = Var<'t, $float>;
            #[track_caller]
            fn $method(self, rhs: Var<'t, $float>) -> Var<'t, $float> {
                Term::elementwise(Elementwise::$method, [Term::Number(self), Term::Var(rhs)]).on(rhs.tape)
            }
        }

        impl<'t> $trait<&Var<'t, $float>> for $float {
            type Output = Var<'t, $float>;
            #[track_caller]
            fn $method(self, rhs: &Var<'t, $float>) -> Var<'t, $float> {
                $trait::$method(self, *rhs)
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

impl<T: Float> Neg for Var<'_, T> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        self.elementwise1(Elementwise::neg)
    }
}

impl<'t, T: Float> Neg for &Var<'t, T> {
    type Output = Var<'t, T>;
    #[track_caller]
    fn neg(self) -> Var<'t, T> {
        self.elementwise1(Elementwise::neg)
    }
}

impl<T: Float> Neg for Term<'_, T> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        Self::elementwise(Elementwise::neg, [self])
    }
}
