//! Comparisons, which a program guards.

use std::cmp::Ordering;

use super::Scalar;
use crate::float::Float;
use crate::ops::elementwise::rule;

impl<T: Float> PartialEq for Scalar<'_, T> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.compare::<rule::eq>(*other, self.number == other.number)
    }
}

impl<T: Float> PartialOrd for Scalar<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match () {
            _ if self < other => Some(Ordering::Less),
            _ if self > other => Some(Ordering::Greater),
            _ if self == other => Some(Ordering::Equal),
            _ => None,
        }
    }
    #[inline]
    fn lt(&self, other: &Self) -> bool {
        self.compare::<rule::lt>(*other, self.number < other.number)
    }
    #[inline]
    fn le(&self, other: &Self) -> bool {
        self.compare::<rule::le>(*other, self.number <= other.number)
    }
    #[inline]
    fn gt(&self, other: &Self) -> bool {
        self.compare::<rule::gt>(*other, self.number > other.number)
    }
    #[inline]
    fn ge(&self, other: &Self) -> bool {
        self.compare::<rule::ge>(*other, self.number >= other.number)
    }
}

impl<T: Float> PartialEq<T> for Scalar<'_, T> {
    #[inline]
    fn eq(&self, other: &T) -> bool {
        *self == Self::constant(*other)
    }
}

impl<T: Float> PartialOrd<T> for Scalar<'_, T> {
    fn partial_cmp(&self, other: &T) -> Option<Ordering> {
        self.partial_cmp(&Self::constant(*other))
    }
    #[inline]
    fn lt(&self, other: &T) -> bool {
        *self < Self::constant(*other)
    }
    #[inline]
    fn le(&self, other: &T) -> bool {
        *self <= Self::constant(*other)
    }
    #[inline]
    fn gt(&self, other: &T) -> bool {
        *self > Self::constant(*other)
    }
    #[inline]
    fn ge(&self, other: &T) -> bool {
        *self >= Self::constant(*other)
    }
}
