//! Error and gamma functions.

use super::elementwise::{binary, family, unary};
use crate::kernel::math::Math;

family!("Error and gamma functions");

unary! {
    /// The error function, 2/√π ∫₀ˣ e^(−t²) dt.
    ///
    /// Derivative: 2/√π·e^(−x²).
    erf(x) -> y {
        value: Math::erf(x),
        slope: R::of(std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exp(),
        domain: (-2.0, 2.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // How likely a normal variable is within one standard deviation.
        /// let within = (tape.scalar(1.0_f64) / 2.0_f64.sqrt()).erf();
        /// assert!((within - 0.682689492137).abs() < 1e-12);
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // How likely a normal variable is six standard deviations above the mean; 1 − erf has 6 digits of it.
        /// let tail = 0.5 * (tape.constant([6.0_f64]) / 2.0_f64.sqrt()).erfc().sum();
        /// assert!((tail / 9.865876450377e-10 - 1.0).abs() < 1e-12);
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Normal variables from uniform ones.
        /// let u = tape.constant([0.5_f64, 0.975]);
        /// let z = 2.0_f64.sqrt() * (2.0 * u - 1.0).erfinv();
        /// assert!((z - tape.constant([0.0, 1.959963984540])).abs().max() < 1e-12);
        /// ```
    }
}

unary! {
    /// The distribution function of a normal variable, 1/√(2π) ∫ e^(−t²/2) dt from −∞ to x, with all its digits for x far
    /// below 0.
    ///
    /// Derivative: the density, 1/√(2π)·e^(−x²/2).
    ndtr(x) -> y {
        value: T::from_f64(0.5) * Math::erfc(x * T::from_f64(-std::f64::consts::FRAC_1_SQRT_2)),
        slope: R::of(0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2)
            * (R::of(-0.5) * (x * x)).exp(),
        domain: (-2.0, 2.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // How likely a normal variable is below its mean, and below the 97.5 % quantile.
        /// let y = tape.constant([0.0_f64, 1.959963984540]).ndtr();
        /// assert!((y - tape.constant([0.5, 0.975])).abs().max() < 1e-12);
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // ln 200!, which itself overflows.
        /// let x = tape.constant([201.0_f64]);
        /// assert!((x.lgamma().sum() - 863.231987192405).abs() < 1e-11);
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // The derivative of ln Γ; at 1 it is −γ, with Euler's constant.
        /// let x = tape.var([1.0_f64]);
        /// let y = x.lgamma().sum().backward()?.of(x)?.item()?;
        /// assert!((y + 0.577215664901533).abs() < 1e-14);
        /// assert_eq!(y, x.digamma().value()?.item()?);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
