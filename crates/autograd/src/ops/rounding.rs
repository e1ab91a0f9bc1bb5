//! Rounding and repair. Steps have derivative 0 everywhere, at the jumps too.

use super::elementwise::unary;
use crate::kernel::math::Math;

unary! {
    /// The largest integer ≤ x.
    ///
    /// Derivative: 0.
    floor(x) {
        value: Math::floor(x),
        constant slope: 0.0,
        domain: (0.1, 0.9),
        kinks: [0.0, 1.0],
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
    }
}
