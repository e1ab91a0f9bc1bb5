//! Error and gamma functions.

use super::elementwise::{binary, unary};
use crate::kernel::math::Math;

unary! {
    /// The error function, 2/√π ∫₀ˣ e^(−t²) dt.
    ///
    /// Derivative: 2/√π·e^(−x²).
    erf(x) -> y {
        value: Math::erf(x),
        slope: R::of(std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exp(),
        domain: (-2.0, 2.0),
        kinks: [],
    }
}

unary! {
    /// 1 − erf x, with all its digits for large x.
    ///
    /// Derivative: −2/√π·e^(−x²).
    erfc(x) -> y {
        value: Math::erfc(x),
        slope: R::of(-std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exp(),
        domain: (-2.0, 2.0),
        kinks: [],
    }
}

unary! {
    /// The inverse of erf.
    ///
    /// Derivative: √π/2·e^(y²). Domain: |x| ≤ 1.
    erfinv(x) -> y {
        value: Math::erfinv(x),
        slope: R::of(1.0 / std::f64::consts::FRAC_2_SQRT_PI) * (y * y).exp(),
        domain: (-0.9, 0.9),
        kinks: [],
    }
}

unary! {
    /// ln |Γ(x)|.
    ///
    /// Derivative: digamma x.
    lgamma(x) -> y {
        value: Math::lgamma(x),
        slope: x.digamma(),
        domain: (0.3, 5.0),
        kinks: [],
    }
}

unary! {
    /// The logarithmic derivative of Γ, Γ′(x)/Γ(x).
    ///
    /// Derivative: polygamma of order 1.
    digamma(x) -> y {
        value: Math::digamma(x),
        slope: x.polygamma(1),
        domain: (0.3, 5.0),
        kinks: [],
    }
}

binary! {
    /// The n-th derivative of digamma; the order n is an integer given as a number.
    ///
    /// Derivative: polygamma of order n + 1; none with respect to n.
    polygamma(x, n) -> z {
        value: Math::polygamma(x, n),
        slopes: [x.binary::<polygamma>(n + R::of(1.0)), R::of(0.0)],
        domain: [(0.5, 5.0), (2.0, 2.0)],
        kinks: [],
    }
}
