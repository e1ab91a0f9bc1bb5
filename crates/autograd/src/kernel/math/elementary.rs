//! The algorithms that `f32` and `f64` share, as one macro over the constants and polynomials of `single` and `double`.
//!
//! Everything here is straight-line code: a branch is a select, an exponent is made by shifting bits, rounding to an
//! integer is an addition. That is what lets LLVM turn a loop around it into vector code on any instruction set, and
//! what makes the result the same bits on each. Multiplications and additions are never fused, for the same reason.
//! Where one condition decides twice, with a division between, `select_unpredictable` stands for `if`: LLVM would
//! otherwise make one branch of it and then divide on both sides.

/// c₀ + x·(c₁ + x·(c₂ + …)).
macro_rules! horner {
    ($x:expr; $c:expr) => { $c };
    ($x:expr; $c:expr, $($rest:expr),+) => { $c + $x * horner!($x; $($rest),+) };
}

/// The same polynomial by pairs of terms, pairs of pairs and so on, each independent of the others: a few more
/// multiplications, and a third of the time where a single number waits for the result.
macro_rules! pairs {
    (@ $x:ident; [$($pair:expr),*];) => { pairs!($x * $x; $($pair),*) };
    (@ $x:ident; [$($pair:expr),*]; $last:expr) => { pairs!($x * $x; $($pair,)* $last) };
    (@ $x:ident; [$($pair:expr),*]; $a:expr, $b:expr $(, $rest:expr)*) => {
        pairs!(@ $x; [$($pair,)* $a + $x * $b]; $($rest),*)
    };
    ($x:expr; $c:expr) => { $c };
    ($x:expr; $($c:expr),+) => {{
        let x = $x;
        pairs!(@ x; []; $($c),+)
    }};
}

macro_rules! elementary {
    ($float:ident, $bits:ident) => {
        const DIGITS: u32 = $float::MANTISSA_DIGITS - 1;
        const BIAS: $float = ($float::MAX_EXP - 1) as $float;
        const ONE_BITS: $bits = ($float::MAX_EXP as $bits - 1) << DIGITS;
        const SIGN_BIT: $bits = 1 << ($bits::BITS - 1);
        const FRACTION_MASK: $bits = (1 << DIGITS) - 1;
        /// 2^DIGITS, whose last bit has the weight 1: an integer in the low bits of this is that integer as a number.
        const UNIT_ULP: $float = (FRACTION_MASK + 1) as $float;
        /// Adding this rounds to an integer (half to even) and leaves the integer in the low bits.
        const ROUNDER: $float = 1.5 * UNIT_ULP;

        /// The integer next to x as a number, and as the low bits of what its exponent is made of.
        #[inline(always)]
        fn rounded(x: $float) -> ($float, $bits) {
            let shifted = x + ROUNDER;
            (shifted - ROUNDER, shifted.to_bits())
        }

        /// 2ⁿ for an n whose power is a normal number.
        #[inline(always)]
        fn pow2(n: $bits) -> $float {
            $float::from_bits((n << DIGITS).wrapping_add(ONE_BITS))
        }

        /// y·2ⁿ, in two steps so that neither factor overflows and a subnormal result is rounded once.
        #[inline(always)]
        fn scale(y: $float, n: $bits) -> $float {
            /// Added to n, it leaves nothing negative: so the shift is a plain one, which every level has.
            const RAISE: $bits = 2 * $float::MAX_EXP as $bits;
            let raised = n.wrapping_sub(ROUNDER.to_bits() - RAISE);
            let half = raised >> 1;
            let power = |n: $bits| pow2(n.wrapping_sub(RAISE / 2));
            y * power(half) * power(raised - half)
        }

        /// eˣ⁺ᵗᵃⁱˡ = (1 + e)·2ⁿ, by the reduction of Cody and Waite: r = x − n·ln 2 with ln 2 in two parts, |r| ≤ ln 2 / 2,
        /// and what rounding takes from r added to the small terms.
        #[inline(always)]
        fn exp_parts(x: $float, tail: $float) -> ($float, $bits) {
            let (n, bits) = rounded(x * LOG2_E);
            let (hi, lo) = (x - n * LN2_HI, n * LN2_LO - tail);
            let r = hi - lo;
            let lost = (hi - r) - lo;
            (r + (r * r * exp_tail(r) + lost), bits)
        }

        #[inline(always)]
        fn exp_bounds(x: $float) -> $float {
            let x = if x > EXP_MAX { EXP_MAX } else { x };
            if x < EXP_MIN { EXP_MIN } else { x }
        }

        #[inline(always)]
        pub(super) fn exp(x: $float) -> $float {
            let (e, n) = exp_parts(exp_bounds(x), 0.0);
            scale(1.0 + e, n)
        }

        #[inline(always)]
        pub(super) fn exp2(x: $float) -> $float {
            let x = if x > EXP2_MAX { EXP2_MAX } else { x };
            let x = if x < EXP2_MIN { EXP2_MIN } else { x };
            let (n, bits) = rounded(x);
            let r = x - n;
            scale(1.0 + r * exp2_tail(r), bits)
        }

        /// (eˣ − 1)/4: e keeps its relative accuracy, 2ⁿ − 1 is exact where it matters, and the quarter is there because
        /// 2ⁿ itself overflows shortly before the results do.
        #[inline(always)]
        fn expm1_quarter(x: $float) -> $float {
            let (e, n) = exp_parts(x, 0.0);
            let power = pow2(n.wrapping_sub(2));
            power * e + (power - 0.25)
        }

        #[inline(always)]
        pub(super) fn expm1(x: $float) -> $float {
            let bounded = if x > EXPM1_MAX { EXPM1_MAX } else { x };
            let bounded = if bounded < EXPM1_MIN { EXPM1_MIN } else { bounded };
            let y = 4.0 * expm1_quarter(bounded);
            if x.abs() < TINY { x } else { y }
        }

        #[inline(always)]
        pub(super) fn sinh(x: $float) -> $float {
            let a = x.abs();
            let a = if a > EXPM1_MAX { EXPM1_MAX } else { a };
            let quarter = expm1_quarter(a);
            let y = 2.0 * (quarter + quarter / (4.0 * quarter + 1.0));
            if a < TINY { x } else { y.copysign(x) }
        }

        #[inline(always)]
        pub(super) fn cosh(x: $float) -> $float {
            let (e, n) = exp_parts(exp_bounds(x.abs()), 0.0);
            let half = scale(1.0 + e, n.wrapping_sub(1));
            half + 0.25 / half
        }

        /// x/(1 + e) for 0 ≤ e ≤ 1, where rounding has taken small parts from x and e and takes one from 1 + e = d: they are
        /// put back to first order, for which 1/d to two digits is enough.
        #[inline(always)]
        fn over_one_plus((x, x_lost): ($float, $float), (e, e_lost): ($float, $float)) -> $float {
            let d = 1.0 + e;
            let d_lost = (e - (d - 1.0)) + e_lost;
            let y = x / d;
            y + (x_lost - y * d_lost) * (1.457 - 0.5 * d)
        }

        /// With E = e⁻²ᵃ: (1 − E)/(1 + E) with 1 − E by expm1 where the result is small, so that nothing cancels; and
        /// 1 − 2E/(1 + E) where it is not, so that the errors of E and of the division hardly count.
        #[inline(always)]
        pub(super) fn tanh(x: $float) -> $float {
            let a = x.abs();
            let bounded = if a > TANH_ONE { TANH_ONE } else { a };
            let (e, n) = exp_parts(-2.0 * bounded, 0.0);
            let power = pow2(n);
            let part = power * e;
            let exp = power + part;
            let exp_lost = part - (exp - power);
            let difference = (1.0 - power) - part;
            let difference_lost = ((1.0 - power) - difference) - part;
            // tanh 0.55 is just over ½: there the quotient subtracted from 1 starts to be smaller than the result.
            let small = a < 0.55;
            let numerator = (select(small, difference, 2.0 * exp), select(small, difference_lost, 0.0));
            let quotient = over_one_plus(numerator, (exp, exp_lost));
            let y = select(small, quotient, 1.0 - quotient);
            if a < TINY { x } else { y.copysign(x) }
        }

        /// 1 / (1 + e⁻ˣ); the exponential is always of −|x|, so it cannot overflow and the left tail stays exact.
        #[inline(always)]
        pub(super) fn sigmoid(x: $float) -> $float {
            let e = exp(-x.abs());
            let numerator = select(x < 0.0, e, 1.0);
            over_one_plus((numerator, 0.0), (e, 0.0))
        }

        /// ln(1 + eˣ) = max(x, 0) + log1p(e^−|x|).
        #[inline(always)]
        pub(super) fn softplus(x: $float) -> $float {
            let positive = if x > 0.0 { x } else { 0.0 };
            positive + log1p_finite(exp(-x.abs()))
        }

        /// x = 2ᵉ·(1 + f) with 1 + f in [√½, √2), for a positive normal x.
        #[inline(always)]
        fn log_split(x: $float) -> ($float, $float) {
            let offset = x.to_bits().wrapping_add(ONE_BITS - SQRT_HALF_BITS);
            let exponent = $float::from_bits((offset >> DIGITS) | UNIT_ULP.to_bits()) - (UNIT_ULP + BIAS);
            let mantissa = $float::from_bits((offset & FRACTION_MASK) + SQRT_HALF_BITS);
            (exponent, mantissa - 1.0)
        }

        /// As `log_split`, for subnormal x too.
        #[inline(always)]
        fn log_split_any(x: $float) -> ($float, $float) {
            let subnormal = x < $float::MIN_POSITIVE;
            let (exponent, f) = log_split(if subnormal { x * UNIT_ULP } else { x });
            (if subnormal { exponent - DIGITS as $float } else { exponent }, f)
        }

        /// The pieces of ln(1 + f) = f − (square − tail), with square = f²/2: the series of 2·artanh(s), s = f/(2 + f),
        /// arranged so that only the small tail carries its rounding errors (fdlibm's form).
        #[inline(always)]
        fn log_pieces(f: $float) -> ($float, $float) {
            let s = f / (2.0 + f);
            let z = s * s;
            let square = 0.5 * f * f;
            (square, s * (square + z * log_tail(z)))
        }

        /// Puts the special values of a logarithm of x in the place of y.
        #[inline(always)]
        fn log_special(x: $float, y: $float) -> $float {
            let y = if x < $float::INFINITY { y } else { x };
            let at_most_zero = if x == 0.0 { $float::NEG_INFINITY } else { $float::NAN };
            if x > 0.0 { y } else { at_most_zero }
        }

        #[inline(always)]
        pub(super) fn ln(x: $float) -> $float {
            let (e, f) = log_split_any(x);
            let (square, tail) = log_pieces(f);
            log_special(x, e * LN2_HI - ((square - (tail + e * LN2_LO)) - f))
        }

        /// (e·two_hi + e·two_lo) + ln(1 + f)·(inv_hi + inv_lo): the parts named hi are short, so their products are exact.
        #[inline(always)]
        fn log_base(x: $float, two: ($float, $float), inv: ($float, $float)) -> $float {
            let (e, f) = log_split_any(x);
            let (square, tail) = log_pieces(f);
            let hi = $float::from_bits((f - square).to_bits() & SHORT_MASK);
            let lo = ((f - hi) - square) + tail;
            let (big, product) = (e * two.0, hi * inv.0);
            let sum = big + product;
            let small = ((lo + hi) * inv.1 + lo * inv.0) + e * two.1;
            log_special(x, sum + (small + ((big - sum) + product)))
        }

        #[inline(always)]
        pub(super) fn log2(x: $float) -> $float {
            log_base(x, (1.0, 0.0), (INV_LN2_HI, INV_LN2_LO))
        }

        #[inline(always)]
        pub(super) fn log10(x: $float) -> $float {
            log_base(x, (LOG10_2_HI, LOG10_2_LO), (INV_LN10_HI, INV_LN10_LO))
        }

        /// ln(1 + x) with what rounding took from 1 + x put back as a relative correction; x > −1 and finite.
        #[inline(always)]
        fn log1p_finite(x: $float) -> $float {
            let u = 1.0 + x;
            let rounded = u - 1.0;
            let lost = (1.0 - (u - rounded)) + (x - rounded);
            let (e, f) = log_split(u);
            let (square, tail) = log_pieces(f);
            e * LN2_HI - ((square - (tail + (e * LN2_LO + lost / u))) - f)
        }

        #[inline(always)]
        pub(super) fn log1p(x: $float) -> $float {
            let y = log_special(1.0 + x, log1p_finite(x));
            if x.abs() < TINY { x } else { y }
        }

        /// arctan a, reduced to |t| ≤ tan(π/8) by arctan a = π/4 + arctan((a − 1)/(a + 1)) = π/2 − arctan(1/a).
        #[inline(always)]
        pub(super) fn atan(x: $float) -> $float {
            /// tan(π/8) and tan(3π/8), near enough: the polynomial reaches a little further.
            const TAN_1_8: $float = 0.4142;
            const TAN_3_8: $float = 2.4142;
            let a = x.abs();
            let (middle, large) = (a > TAN_1_8, a > TAN_3_8);
            let numerator = select(middle, a - 1.0, a);
            let denominator = select(middle, a + 1.0, 1.0);
            let t = select(large, -1.0, numerator) / select(large, a, denominator);
            let quarters = select(large, 2.0, select(middle, 1.0, 0.0));
            let v = t * t;
            let y = quarters * FRAC_PI_4 + (t + (t * (v * atan_tail(v)) + quarters * FRAC_PI_4_LO));
            y.copysign(x)
        }

        /// Both at once, for little more than one of them.
        #[inline(always)]
        pub(super) fn sin_cos(x: $float) -> ($float, $float) {
            let (quadrant, s, c) = sin_cos_reduced(x.abs());
            let (sin, cos) = if quadrant & 1 == 0 { (s, c) } else { (c, s) };
            let sin_sign = ((quadrant & 2) << ($bits::BITS - 2)) ^ (x.to_bits() & SIGN_BIT);
            let cos_sign = (quadrant.wrapping_add(1) & 2) << ($bits::BITS - 2);
            let sin = $float::from_bits(sin.to_bits() ^ sin_sign);
            (if x.abs() < TINY { x } else { sin }, $float::from_bits(cos.to_bits() ^ cos_sign))
        }

        #[inline(always)]
        pub(super) fn sin(x: $float) -> $float {
            sin_cos(x).0
        }

        #[inline(always)]
        pub(super) fn cos(x: $float) -> $float {
            sin_cos(x).1
        }

        /// erfc a for a ≥ ½: exp(−a²)·g(t)/(1 + 2a), t = (a − k)/(a + k), after Shepherd and Laframboise (1981).
        /// The exponential takes a² with its rounding error, and is scaled last, so the far tail is right.
        #[inline(always)]
        fn erfc_tail(a: $float) -> $float {
            let a = if a > ERFC_ZERO { ERFC_ZERO } else { a };
            let square = a * a;
            let hi = $float::from_bits(a.to_bits() & SHORT_MASK);
            let lo = a - hi;
            let error = ((hi * hi - square) + 2.0 * (hi * lo)) + lo * lo;
            let (e, n) = exp_parts(-square, -error);
            let t = (a - ERFC_CENTRE) / (a + ERFC_CENTRE);
            scale((1.0 + e) * erfc_factor(t) / (1.0 + 2.0 * a), n)
        }

        #[inline(always)]
        pub(super) fn erf(x: $float) -> $float {
            let a = x.abs();
            let near = x + x * erf_tail(x * x);
            let far = (1.0 - erfc_tail(a)).copysign(x);
            if a < 0.5 { near } else { far }
        }

        #[inline(always)]
        pub(super) fn erfc(x: $float) -> $float {
            let a = x.abs();
            let near = 1.0 - (x + x * erf_tail(x * x));
            let tail = erfc_tail(a);
            let far = if x < 0.0 { 2.0 - tail } else { tail };
            if a < 0.5 { near } else { far }
        }
    };
}
