//! Exponentials and logarithms.

use super::elementwise::{binary, family, unary};
use crate::kernel::math::Math;

family!("Exponentials and logarithms");

unary! {
    /// eˣ.
    ///
    /// Derivative: y.
    exp(x) -> y {
        value: Math::exp(x),
        slope: y,
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Growth at a rate: the one function that is its own derivative.
        /// let x = tape.var([0.0_f64, 1.0]);
        /// let y = x.exp();
        /// assert_eq!(y.at([0]), 1.0);
        /// assert_eq!(y.sum().backward()?.of(x)?, y.value()?);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Three octaves above 55 Hz.
        /// let octaves = tape.constant([0.0_f64, 3.0]);
        /// assert_eq!((55.0 * octaves.exp2()).value()?.to_vec(), [55.0, 440.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let rate = tape.constant([1e-20_f64]);
        /// assert_eq!(rate.expm1().value()?.to_vec(), [1e-20]);
        /// assert_eq!((rate.exp() - 1.0).value()?.to_vec(), [0.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([1.0_f64, 4.0]);
        /// let y = x.ln();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 4.0_f64.ln()]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [1.0, 0.25]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Bits of information in outcomes of these probabilities.
        /// let p = tape.constant([0.5_f64, 0.125]);
        /// assert_eq!((-p.log2()).value()?.to_vec(), [1.0, 3.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Decibels.
        /// let power = tape.constant([1.0_f64, 100.0]);
        /// assert_eq!((10.0 * power.log10()).value()?.to_vec(), [0.0, 20.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([1e-20_f64]);
        /// assert_eq!(x.log1p().value()?.to_vec(), [1e-20]);
        /// assert_eq!((x + 1.0).ln().value()?.to_vec(), [0.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let p = tape.var([0.5_f64, 1.0]);
        /// let score = p.logit();
        /// assert_eq!(score.value()?.to_vec(), [0.0, f64::INFINITY]);
        /// assert_eq!(score.sum().backward()?.of(p)?.to_vec(), [4.0, f64::INFINITY]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // The sum of two probabilities that are too small for anything but their logarithms.
        /// let (a, b) = (tape.var([-1000.0_f64]), tape.var([-1000.0]));
        /// let sum = a.logaddexp(b);
        /// assert_eq!(sum.value()?.to_vec(), [-1000.0 + 2.0_f64.ln()]);
        /// assert_eq!(sum.sum().backward()?.of(a)?.to_vec(), [0.5]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // 2¹⁰⁰⁰⁰ + 2¹⁰⁰⁰⁰ = 2¹⁰⁰⁰¹.
        /// let x = tape.constant([10000.0_f64]);
        /// assert_eq!(x.logaddexp2(10000.0).value()?.to_vec(), [10001.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // The entropy of a sure outcome.
        /// let p = tape.constant([0.0_f64, 1.0]);
        /// assert_eq!(-p.xlogy(p).sum(), 0.0);
        /// assert!((p * p.ln()).sum().value()?.is_nan());
        /// # Ok::<(), autograd::Error>(())
        /// ```
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
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // The log likelihood of 0 successes and 3 failures at success rate p, and at p = 1 where nothing failed.
        /// let failures = tape.constant([3.0_f64, 0.0]);
        /// let p = tape.constant([0.0, 1.0]);
        /// assert_eq!(failures.xlog1py(-p).value()?.to_vec(), [0.0, 0.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}
