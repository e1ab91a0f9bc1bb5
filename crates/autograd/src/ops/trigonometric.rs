//! Circular and hyperbolic functions, their inverses, and angles.

use super::elementwise::{binary, family, unary};
use crate::kernel::math::Math;

family!("Circular and hyperbolic functions");

unary! {
    /// sin x, x in radians.
    ///
    /// Derivative: cos x.
    sin(x) -> y {
        value: Math::sin(x),
        slope: x.cos(),
        both: Math::sin_cos(x),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let angle = tape.var([0.0_f64]);
        /// let y = angle.sin();
        /// assert_eq!(y.value()?.to_vec(), [0.0]);
        /// assert_eq!(y.sum().backward()?.of(angle)?.to_vec(), [1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// cos x, x in radians.
    ///
    /// Derivative: −sin x.
    cos(x) -> y {
        value: Math::cos(x),
        slope: -x.sin(),
        both: {
            let (sine, cosine) = Math::sin_cos(x);
            (cosine, -sine)
        },
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // How far a pendulum of length 2 m stands up at this angle.
        /// let angle = tape.var([0.0_f64]);
        /// let height = 2.0 * (1.0 - angle.cos());
        /// assert_eq!(height.value()?.to_vec(), [0.0]);
        /// assert_eq!(height.sum().backward()?.of(angle)?.to_vec(), [0.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// tan x, x in radians.
    ///
    /// Derivative: 1 + y².
    tan(x) -> y {
        value: Math::tan(x),
        slope: R::of(1.0) + y * y,
        domain: (-1.2, 1.2),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let angle = tape.var([0.0_f64]);
        /// let slope = angle.tan();
        /// assert_eq!(slope.value()?.to_vec(), [0.0]);
        /// assert_eq!(slope.sum().backward()?.of(angle)?.to_vec(), [1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// The angle in [−π/2, π/2] whose sine is x.
    ///
    /// Derivative: 1/√((1 − x)(1 + x)). Domain: |x| ≤ 1.
    asin(x) -> y {
        value: Math::asin(x),
        slope: ((R::of(1.0) - x) * (R::of(1.0) + x)).rsqrt(),
        domain: (-0.9, 0.9),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        /// use std::f64::consts::PI;
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([-1.0_f64, 0.0, 1.0]);
        /// assert_eq!(x.asin().value()?.to_vec(), [-PI / 2.0, 0.0, PI / 2.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// The angle in [0, π] whose cosine is x.
    ///
    /// Derivative: −1/√((1 − x)(1 + x)). Domain: |x| ≤ 1.
    acos(x) -> y {
        value: Math::acos(x),
        slope: -((R::of(1.0) - x) * (R::of(1.0) + x)).rsqrt(),
        domain: (-0.9, 0.9),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        /// use std::f64::consts::PI;
        ///
        /// let tape = Tape::new();
        /// // The angle between two unit vectors.
        /// let (u, v) = (tape.constant([1.0_f64, 0.0]), tape.constant([0.0, 1.0]));
        /// assert_eq!(u.dot(v).acos(), PI / 2.0);
        /// ```
    }
}

unary! {
    /// The angle in (−π/2, π/2) whose tangent is x.
    ///
    /// Derivative: 1/(1 + x²).
    atan(x) -> y {
        value: Math::atan(x),
        slope: R::of(1.0) / (R::of(1.0) + x * x),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        /// use std::f64::consts::PI;
        ///
        /// let tape = Tape::new();
        /// let slope = tape.var([0.0_f64, 1.0]);
        /// let angle = slope.atan();
        /// assert_eq!(angle.value()?.to_vec(), [0.0, PI / 4.0]);
        /// assert_eq!(angle.sum().backward()?.of(slope)?.to_vec(), [1.0, 0.5]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// (eˣ − e⁻ˣ)/2.
    ///
    /// Derivative: cosh x.
    sinh(x) -> y {
        value: Math::sinh(x),
        slope: x.cosh(),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([0.0_f64]);
        /// let y = x.sinh();
        /// assert_eq!(y.value()?.to_vec(), [0.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// (eˣ + e⁻ˣ)/2.
    ///
    /// Derivative: sinh x.
    cosh(x) -> y {
        value: Math::cosh(x),
        slope: x.sinh(),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // A hanging chain: lowest, and level, in the middle.
        /// let x = tape.var([0.0_f64]);
        /// let height = x.cosh();
        /// assert_eq!(height.value()?.to_vec(), [1.0]);
        /// assert_eq!(height.sum().backward()?.of(x)?.to_vec(), [0.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ).
    ///
    /// Derivative: (1 − y)(1 + y), which keeps its digits where y is near ±1.
    tanh(x) -> y {
        value: Math::tanh(x),
        slope: (R::of(1.0) - y) * (R::of(1.0) + y),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([0.0_f64, 1000.0]);
        /// let y = x.tanh();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 1.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [1.0, 0.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// The inverse of sinh: ln(x + √(x² + 1)).
    ///
    /// Derivative: 1/√(1 + x²).
    asinh(x) -> y {
        value: Math::asinh(x),
        slope: R::of(1.0) / R::of(1.0).hypot(x),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Like a logarithm for large numbers of either sign, like x near 0.
        /// let x = tape.constant([-1e300_f64, 0.0, 1e300]);
        /// let y = x.asinh().value()?.to_vec();
        /// assert!(y[1] == 0.0 && y[2] == -y[0] && (y[2] - 691.4686750787736).abs() < 1e-12);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// The inverse of cosh on x ≥ 1: ln(x + √(x² − 1)).
    ///
    /// Derivative: 1/√(x − 1)/√(x + 1), whose factors do not overflow. Domain: x ≥ 1.
    acosh(x) -> y {
        value: Math::acosh(x),
        slope: (x - R::of(1.0)).rsqrt() * (x + R::of(1.0)).rsqrt(),
        domain: (1.3, 4.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([1.0_f64, 2.0]);
        /// let y = x.acosh();
        /// assert_eq!(y.at([0]), 0.0);
        /// assert!((y.cosh() - x).abs().max() < 1e-15);
        /// ```
    }
}

unary! {
    /// The inverse of tanh: ½·ln((1 + x)/(1 − x)).
    ///
    /// Derivative: 1/((1 − x)(1 + x)). Domain: |x| ≤ 1.
    atanh(x) -> y {
        value: Math::atanh(x),
        slope: R::of(1.0) / ((R::of(1.0) - x) * (R::of(1.0) + x)),
        domain: (-0.9, 0.9),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Fisher's z of a correlation.
        /// let r = tape.constant([0.0_f64, 0.5]);
        /// assert!((r.atanh() - tape.constant([0.0, 3.0_f64.ln() / 2.0])).abs().max() < 1e-15);
        /// ```
    }
}

unary! {
    /// sin(πx)/(πx), and 1 at 0.
    ///
    /// Derivative: (cos(πx) − y)/x, near 0 the series −π²x/3·(1 − π²x²/10).
    sinc(x) -> y {
        value: {
            let angle = x * T::from_f64(std::f64::consts::PI);
            if x == T::ZERO { T::ONE } else { Math::sin(angle) / angle }
        },
        slope: {
            let angle = x * R::of(std::f64::consts::PI);
            let series = angle * R::of(-std::f64::consts::PI / 3.0) * (R::of(1.0) - angle * angle / R::of(10.0));
            R::select(x.abs().lt(R::of(1e-3)), series, (angle.cos() - y) / x)
        },
        domain: (0.1, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // A window for interpolation: 1 at the sample, 0 at all others.
        /// let x = tape.constant([0.0_f64, 1.0, 2.0]);
        /// assert!((x.sinc() - tape.constant([1.0, 0.0, 0.0])).abs().max() < 1e-15);
        /// ```
    }
}

unary! {
    /// Degrees to radians: x·π/180.
    ///
    /// Derivative: π/180.
    deg2rad(x) {
        value: x * T::from_f64(std::f64::consts::PI / 180.0),
        constant slope: 0.017453292519943295,
        domain: (-180.0, 180.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        /// use std::f64::consts::PI;
        ///
        /// let tape = Tape::new();
        /// let degrees = tape.constant([180.0_f64, -90.0]);
        /// assert_eq!(degrees.deg2rad().value()?.to_vec(), [PI, -PI / 2.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// Radians to degrees: x·180/π.
    ///
    /// Derivative: 180/π.
    rad2deg(x) {
        value: x * T::from_f64(180.0 / std::f64::consts::PI),
        constant slope: 57.29577951308232,
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        /// use std::f64::consts::PI;
        ///
        /// let tape = Tape::new();
        /// let radians = tape.constant([PI, -PI / 2.0]);
        /// assert_eq!(radians.rad2deg().value()?.to_vec(), [180.0, -90.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// The angle of the point (y, x) in (−π, π]; the operands are y, x, as in every language's `atan2`.
    ///
    /// Derivative: x/(x² + y²) and −y/(x² + y²), through the radius, which does not overflow; 0 at x = y = 0, as in PyTorch.
    atan2(y, x) -> z {
        value: Math::atan2(y, x),
        slopes: {
            let radius = x.hypot(y);
            [over(over(x, radius), radius), -over(over(y, radius), radius)]
        },
        domain: [(0.3, 3.0), (0.3, 3.0)],
        kinks: [],
        /// ```
        /// use autograd::Tape;
        /// use std::f64::consts::PI;
        ///
        /// let tape = Tape::new();
        /// // The direction of the point (−1, 1).
        /// let (y, x) = (tape.var([1.0_f64]), tape.var([-1.0]));
        /// let angle = y.atan2(x);
        /// assert_eq!(angle.value()?.to_vec(), [0.75 * PI]);
        /// assert!((angle.sum().backward()?.of(y)?.item()? + 0.5).abs() < 1e-15);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// √(x² + y²) without overflow.
    ///
    /// Derivative: x/z and y/z; 0 at the kink x = y = 0.
    hypot(x, y) -> z {
        value: Math::hypot(x, y),
        slopes: [over(x, z), over(y, z)],
        domain: [(0.3, 3.0), (0.3, 3.0)],
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let (x, y) = (tape.constant([3.0_f64, 3e200]), tape.constant([4.0, 4e200]));
        /// assert_eq!(x.hypot(y).at([0]), 5.0);
        /// assert!(x.hypot(y).at([1]).value()?.is_finite());
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

/// x/y, and 0 at y = 0.
#[inline(always)]
fn over<R: crate::real::Algebra>(x: R, y: R) -> R {
    R::select(y.eq(R::of(0.0)), R::of(0.0), x / y)
}
