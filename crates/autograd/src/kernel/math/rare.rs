//! The special functions that hot loops seldom call, in `f64`.

use super::Math;
use std::f64::consts::{FRAC_2_SQRT_PI, PI};

/// The `f32` function that computes in `f64` and rounds once.
#[inline(always)]
pub(super) fn narrow(f: impl Fn(f64) -> f64) -> impl Fn(f32) -> f32 {
    move |x| f(f64::from(x)) as f32
}

/// As `narrow`, for two operands.
#[inline(always)]
pub(super) fn narrow2(f: impl Fn(f64, f64) -> f64) -> impl Fn(f32, f32) -> f32 {
    move |x, y| f(f64::from(x), f64::from(y)) as f32
}

/// Winitzki's closed form, good to three digits, then three steps of Halley. Past ½ the residual is taken of erfc,
/// which keeps its relative accuracy where erf is nearly 1.
pub(super) fn erfinv(x: f64) -> f64 {
    const A: f64 = 0.147;
    const SLOPE_AT_0: f64 = 1.0 / FRAC_2_SQRT_PI;
    let a = x.abs();
    if a.is_nan() || a > 1.0 {
        return f64::NAN;
    }
    if a == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    let log = Math::ln((1.0 - a) * (1.0 + a));
    let b = 2.0 / (PI * A) + 0.5 * log;
    let tail = ((b * b - log / A).sqrt() - b).sqrt();
    let mut y = if a < 0.1 { SLOPE_AT_0 * a * (1.0 + PI / 12.0 * a * a) } else { tail };
    for _ in 0..3 {
        let residual = if a < 0.5 { Math::erf(y) - a } else { (1.0 - a) - Math::erfc(y) };
        let step = residual * SLOPE_AT_0 * Math::exp(y * y);
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

/// ψ(x): reflection for negative x, recurrence up to x ≥ 10, then the asymptotic series (Abramowitz and Stegun 6.3.18).
/// As in PyTorch, ψ(±0) = ∓∞ and the other poles give NaN.
pub(super) fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY.copysign(-x);
    }
    if x < 0.0 {
        let pole = x == x.trunc();
        return if pole { f64::NAN } else { digamma(1.0 - x) - PI / libm::tan(PI * x.fract()) };
    }
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    let series =
        horner!(z; 1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0, -691.0 / 32_760.0, 1.0 / 12.0);
    shift + (Math::ln(x) - 0.5 / x - z * series)
}

/// ψ⁽ⁿ⁾(x) = (−1)ⁿ⁺¹·n!·ζ(n + 1, x), for n up to 170, where n! leaves the range of `f64`.
pub(super) fn polygamma(x: f64, n: f64) -> f64 {
    if n == 0.0 {
        return digamma(x);
    }
    // Written so that a NaN of n fails too.
    if !(n > 0.0 && n == n.trunc()) {
        return f64::NAN;
    }
    let sign = if n % 2.0 == 0.0 { -1.0 } else { 1.0 };
    let order = n + 1.0;
    let zeta = if x < 0.0 { zeta_negative(order, x, sign) } else { zeta(order, x) };
    sign * libm::tgamma(order) * zeta
}

/// ζ(s, x) for x < 0 and whole s: the terms left of 0 are, up to the sign (−1)ˢ, those of ζ(s, ⌈x⌉ − x) before the
/// term 1 − x. So no number of terms depends on the size of x.
fn zeta_negative(s: f64, x: f64, sign: f64) -> f64 {
    if x == x.trunc() {
        return f64::INFINITY;
    }
    zeta(s, x - x.floor()) + sign * (zeta(s, x.ceil() - x) - zeta(s, 1.0 - x))
}

/// Hurwitz's ζ(s, x) = Σ (x + k)⁻ˢ for x ≥ 0: twelve terms, and Euler and Maclaurin's formula for the rest.
fn zeta(s: f64, x: f64) -> f64 {
    /// B₂ₖ/(2k)!
    const BERNOULLI: [f64; 6] = [
        1.0 / 12.0,
        -1.0 / 720.0,
        1.0 / 30_240.0,
        -1.0 / 1_209_600.0,
        1.0 / 47_900_160.0,
        -691.0 / 1_307_674_368_000.0,
    ];
    const TERMS: u32 = 12;
    if x == f64::INFINITY {
        return 0.0;
    }
    let head: f64 = (0..TERMS).rev().map(|k| libm::pow(x + f64::from(k), -s)).sum();
    let a = x + f64::from(TERMS);
    let power = libm::pow(a, -s);
    let mut rest = a * power / (s - 1.0) + 0.5 * power;
    let (mut factor, mut order) = (s * power / a, s);
    for coefficient in BERNOULLI {
        rest += coefficient * factor;
        factor *= (order + 1.0) * (order + 2.0) / (a * a);
        order += 2.0;
    }
    head + rest
}
