//! Exponentials and logarithms.

use super::elementwise::{binary, unary};
use crate::kernel::math::Math;

unary! {
    /// eˣ.
    ///
    /// Derivative: y.
    exp(x) -> y {
        value: Math::exp(x),
        slope: y,
        domain: (-3.0, 3.0),
        kinks: [],
    }
}

unary! {
    /// 2ˣ.
    ///
    /// Derivative: y·ln 2.
    exp2(x) -> y {
        value: Math::exp2(x),
        slope: y * R::of(std::f64::consts::LN_2),
        domain: (-3.0, 3.0),
        kinks: [],
    }
}

unary! {
    /// eˣ − 1, with all its digits near 0.
    ///
    /// Derivative: eˣ, which keeps its digits where y is near −1.
    expm1(x) -> y {
        value: Math::expm1(x),
        slope: x.exp(),
        domain: (-3.0, 3.0),
        kinks: [],
    }
}

unary! {
    /// The natural logarithm.
    ///
    /// Derivative: 1/x. Domain: x ≥ 0; −∞ at 0.
    ln(x) -> y {
        value: Math::ln(x),
        slope: R::of(1.0) / x,
        domain: (0.2, 5.0),
        kinks: [],
    }
}

unary! {
    /// The logarithm to base 2.
    ///
    /// Derivative: 1/(x·ln 2). Domain: x ≥ 0; −∞ at 0.
    log2(x) -> y {
        value: Math::log2(x),
        slope: R::of(std::f64::consts::LOG2_E) / x,
        domain: (0.2, 5.0),
        kinks: [],
    }
}

unary! {
    /// The logarithm to base 10.
    ///
    /// Derivative: 1/(x·ln 10). Domain: x ≥ 0; −∞ at 0.
    log10(x) -> y {
        value: Math::log10(x),
        slope: R::of(std::f64::consts::LOG10_E) / x,
        domain: (0.2, 5.0),
        kinks: [],
    }
}

unary! {
    /// ln(1 + x), with all its digits near 0.
    ///
    /// Derivative: 1/(1 + x). Domain: x ≥ −1; −∞ at −1.
    log1p(x) -> y {
        value: Math::log1p(x),
        slope: R::of(1.0) / (R::of(1.0) + x),
        domain: (-0.8, 5.0),
        kinks: [],
    }
}

unary! {
    /// ln(x / (1 − x)), the inverse of the sigmoid.
    ///
    /// Derivative: 1/(x(1 − x)). Domain: 0 ≤ x ≤ 1.
    logit(x) -> y {
        value: Math::ln(x / (T::ONE - x)),
        slope: R::of(1.0) / (x * (R::of(1.0) - x)),
        domain: (0.1, 0.9),
        kinks: [],
    }
}

binary! {
    /// ln(eˣ + eʸ) without overflow.
    ///
    /// Derivative: eˣ⁻ᶻ and eʸ⁻ᶻ, written as sigmoids of the difference, so that equal infinities stay finite.
    logaddexp(x, y) -> z {
        value: {
            let (low, high) = if x < y { (x, y) } else { (y, x) };
            // Equal infinities have no difference to speak of.
            if low == high { high + Math::ln(T::ONE + T::ONE) } else { high + Math::log1p(Math::exp(low - high)) }
        },
        slopes: [(x - y).sigmoid(), (y - x).sigmoid()],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [],
    }
}

binary! {
    /// log₂(2ˣ + 2ʸ) without overflow.
    ///
    /// Derivative: 2ˣ⁻ᶻ and 2ʸ⁻ᶻ.
    logaddexp2(x, y) -> z {
        value: {
            let (low, high) = if x < y { (x, y) } else { (y, x) };
            let log2_e = T::from_f64(std::f64::consts::LOG2_E);
            if low == high { high + T::ONE } else { high + Math::log1p(Math::exp2(low - high)) * log2_e }
        },
        slopes: [
            ((x - y) * R::of(std::f64::consts::LN_2)).sigmoid(),
            ((y - x) * R::of(std::f64::consts::LN_2)).sigmoid(),
        ],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [],
    }
}

binary! {
    /// x·ln y, and 0 where x is 0, whatever y.
    ///
    /// Derivative: ln y and x/y, both 0, to any order, where x is 0 and y ≤ 0.
    xlogy(x, y) -> z {
        value: if x == T::ZERO && !y.is_nan() { T::ZERO } else { x * Math::ln(y) },
        slopes: {
            let is_cut = x.eq(R::of(0.0)) * y.le(R::of(0.0));
            [R::select(is_cut, R::of(0.0), y.ln()), R::select(is_cut, R::of(0.0), x / y)]
        },
        domain: [(-3.0, 3.0), (0.3, 3.0)],
        kinks: [],
    }
}

binary! {
    /// x·ln(1 + y), and 0 where x is 0, whatever y.
    ///
    /// Derivative: ln(1 + y) and x/(1 + y), both 0, to any order, where x is 0 and y ≤ −1.
    xlog1py(x, y) -> z {
        value: if x == T::ZERO && !y.is_nan() { T::ZERO } else { x * Math::log1p(y) },
        slopes: {
            let is_cut = x.eq(R::of(0.0)) * y.le(R::of(-1.0));
            [R::select(is_cut, R::of(0.0), y.log1p()), R::select(is_cut, R::of(0.0), x / (R::of(1.0) + y))]
        },
        domain: [(-3.0, 3.0), (-0.7, 3.0)],
        kinks: [],
    }
}
