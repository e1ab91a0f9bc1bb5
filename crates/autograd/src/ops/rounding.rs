//! Rounding and repair. Steps have derivative 0 everywhere, at the jumps too.

use super::elementwise::{family, unary};
use crate::kernel::math::Math;

family!("Rounding and repair");

unary! {
    /// The largest integer ≤ x.
    ///
    /// Derivative: 0.
    floor(x) {
        value: Math::floor(x),
        constant slope: 0.0,
        domain: (0.1, 0.9),
        kinks: [0.0, 1.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([-1.5_f64, 1.5]);
        /// assert_eq!(x.floor().value()?.to_vec(), [-2.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// The smallest integer ≥ x.
    ///
    /// Derivative: 0.
    ceil(x) {
        value: Math::ceil(x),
        constant slope: 0.0,
        domain: (0.1, 0.9),
        kinks: [0.0, 1.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // How many boxes of 8 are needed.
        /// let items = tape.constant([8.0_f64, 9.0]);
        /// assert_eq!((items / 8.0).ceil().value()?.to_vec(), [1.0, 2.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// The nearest integer, halves to the even one, as PyTorch and IEEE 754.
    ///
    /// Derivative: 0.
    round(x) {
        value: Math::round(x),
        constant slope: 0.0,
        domain: (0.6, 1.4),
        kinks: [0.5, 1.5],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Straight-through: rounded in value, the identity in the derivative.
        /// let x = tape.var([0.5_f64, 1.5, 2.4]);
        /// let y = x + (x.round() - x).detach();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 2.0, 2.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [1.0, 1.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x without its fraction.
    ///
    /// Derivative: 0.
    trunc(x) {
        value: Math::trunc(x),
        constant slope: 0.0,
        domain: (0.1, 0.9),
        kinks: [-1.0, 1.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([-1.5_f64, 1.5]);
        /// assert_eq!(x.trunc().value()?.to_vec(), [-1.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x − trunc x, with the sign of x.
    ///
    /// Derivative: 1.
    frac(x) {
        value: x - Math::trunc(x),
        constant slope: 1.0,
        domain: (0.1, 0.9),
        kinks: [-1.0, 1.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([-1.25_f64, 2.5]);
        /// let y = x.frac();
        /// assert_eq!(y.value()?.to_vec(), [-0.25, 0.5]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [1.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x, with 0 for not-a-number and the largest finite numbers for the infinities.
    ///
    /// Derivative: 1 where x is finite, else 0.
    nan_to_num(x) -> y {
        value: if x.is_nan() { T::ZERO } else if x > T::MAX { T::MAX } else if x < -T::MAX { -T::MAX } else { x },
        slope: y.eq(x),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([f64::NAN, f64::INFINITY, 2.0]);
        /// let y = x.nan_to_num();
        /// assert_eq!(y.value()?.to_vec(), [0.0, f64::MAX, 2.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 0.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}
