//! Neighbours that go through a formula together.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::float::Float;
use crate::ops::elementwise::{BinaryRule, UnaryRule};
use crate::real::Algebra;

/// How many go together: a few of the longest registers, so that the steps of an elementary function, each of which waits for
/// the one before, overlap with those of the next register.
pub(crate) const LANES: usize = 32;

/// Neighbours as one number of an algebra: a formula of several functions takes one function at a time over all of them, with
/// its constants in registers. Loops here call no closures, which are not sure to be inlined into their vector level.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<T>([T; LANES]);

impl<T: Float> Lanes<T> {
    /// From at most as many numbers, with zeros behind them.
    #[inline(always)]
    pub fn load(from: &[T]) -> Self {
        match from.first_chunk() {
            Some(&lanes) => Lanes(lanes),
            None => {
                let mut lanes = [T::ZERO; LANES];
                lanes[..from.len()].copy_from_slice(from);
                Lanes(lanes)
            }
        }
    }

    /// To at most as many numbers.
    #[inline(always)]
    pub fn store(self, to: &mut [T]) {
        match to.first_chunk_mut() {
            Some(lanes) => *lanes = self.0,
            None => to.copy_from_slice(&self.0[..to.len()]),
        }
    }
}

impl<T: Float> Algebra for Lanes<T> {
    #[inline(always)]
    fn of(number: f64) -> Self {
        Lanes([T::of(number); LANES])
    }

    #[inline(always)]
    fn unary<Op: UnaryRule>(self) -> Self {
        let mut y = self;
        for lane in 0..LANES {
            y.0[lane] = Op::value(self.0[lane]);
        }
        y
    }

    #[inline(always)]
    fn binary<Op: BinaryRule>(self, other: Self) -> Self {
        let mut z = self;
        for lane in 0..LANES {
            z.0[lane] = Op::value(self.0[lane], other.0[lane]);
        }
        z
    }

    #[inline(always)]
    fn select(self, x: Self, y: Self) -> Self {
        let mut z = y;
        for lane in 0..LANES {
            z.0[lane] = T::select(self.0[lane], x.0[lane], y.0[lane]);
        }
        z
    }
}

operators!(<T: Float> Lanes<T>);

impl<T: Float> Neg for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.unary::<crate::ops::elementwise::rule::neg>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::Draws;

    #[test]
    fn a_formula_of_lanes_is_that_of_each_number() {
        fn f<A: Algebra>(x: A, y: A) -> A {
            A::select(x.gt(y), -(x * y).tanh(), (x - y) / (y + A::of(3.0)))
        }
        let (x, y) = (Draws(1).numbers::<f32>(LANES + 5), Draws(2).numbers::<f32>(LANES + 5));
        let mut z = vec![0.0; x.len()];
        for start in [0, LANES] {
            let end = x.len().min(start + LANES);
            f(Lanes::load(&x[start..end]), Lanes::load(&y[start..end])).store(&mut z[start..end]);
        }
        assert!(z.iter().zip(x.iter().zip(&y)).all(|(&z, (&x, &y))| z == f(x, y)));
    }
}
