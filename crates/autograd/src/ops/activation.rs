//! Activation functions, with PyTorch's names, parameters and choices at kinks.
//!
//! In their slopes a factor that vanishes in the tail comes first in a `masked_mul`: it wins over a power of x that
//! overflows, so the slopes keep their limits, 0 and 1, as far as infinity.

use super::elementwise::{binary, family, unary};
use crate::kernel::math::Math;

family!("Activation functions");

/// 1/√(2π), the normal density at 0.
const DENSITY_AT_0: f64 = 0.398_942_280_401_432_7;
/// √(8/π), of the tanh form of GELU.
const SQRT_8_OVER_PI: f64 = 1.595_769_121_605_730_8;
/// Scale and slope of SELU (Klambauer et al. 2017), for which activations keep mean 0 and variance 1.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

unary! {
    /// The logistic function 1/(1 + e⁻ˣ).
    ///
    /// Derivative: y(1 − y).
    sigmoid(x) -> y {
        value: Math::sigmoid(x),
        slope: y * (R::of(1.0) - y),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let score = tape.var([0.0_f64]);
        /// let probability = score.sigmoid().sum();
        /// assert_eq!(probability, 0.5);
        /// assert_eq!(probability.backward()?.of(score)?.to_vec(), [0.25]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// ln sigmoid x = −softplus(−x), without underflow.
    ///
    /// Derivative: sigmoid(−x).
    logsigmoid(x) -> y {
        value: -Math::softplus(-x),
        slope: (-x).sigmoid(),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // The sigmoid is 0 here, and its logarithm would be −∞.
        /// let score = tape.var([-1000.0_f64]);
        /// assert_eq!(score.logsigmoid().value()?.to_vec(), [-1000.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// max(x, 0).
    ///
    /// Derivative: 1 for x > 0, else 0; at the kink 0, as in PyTorch.
    relu(x) -> y {
        value: if x < T::ZERO { T::ZERO } else { x },
        slope: y.gt(R::of(0.0)),
        domain: (-3.0, 3.0),
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([-2.0_f64, 0.0, 3.0]);
        /// let y = x.relu();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 0.0, 3.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 0.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// min(max(x, 0), 6).
    ///
    /// Derivative: 1 for 0 < x < 6, else 0, as in PyTorch.
    relu6(x) -> y {
        value: if x < T::ZERO { T::ZERO } else if x > T::from_f64(6.0) { T::from_f64(6.0) } else { x },
        slope: y.gt(R::of(0.0)) * y.lt(R::of(6.0)),
        domain: (-3.0, 9.0),
        kinks: [0.0, 6.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([-1.0_f64, 3.0, 9.0]);
        /// let y = x.relu6();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 3.0, 6.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 1.0, 0.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x·sigmoid x, also called swish.
    ///
    /// Derivative: s(1 + x(1 − s)) with s = sigmoid x.
    silu(x) -> y {
        value: x * Math::sigmoid(x),
        slope: {
            let s = x.sigmoid();
            s.masked_mul(R::of(1.0) + (R::of(1.0) - s).masked_mul(x))
        },
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Like relu far from 0, and smooth between.
        /// let x = tape.var([-1000.0_f64, 0.0, 1000.0]);
        /// let y = x.silu();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 0.0, 1000.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 0.5, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x·Φ(x) with the normal distribution Φ, exactly (Hendrycks & Gimpel 2016).
    ///
    /// Derivative: Φ(x) + x·φ(x).
    gelu(x) -> y {
        value: x * (T::from_f64(0.5) * Math::erfc(x * T::from_f64(-std::f64::consts::FRAC_1_SQRT_2))),
        slope: R::of(0.5) * (x * R::of(-std::f64::consts::FRAC_1_SQRT_2)).erfc()
            + (R::of(DENSITY_AT_0) * (R::of(-0.5) * x * x).exp()).masked_mul(x),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Like relu far from 0, and smooth between.
        /// let x = tape.var([-1000.0_f64, 0.0, 1000.0]);
        /// let y = x.gelu();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 0.0, 1000.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 0.5, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// ½x(1 + tanh(√(2/π)(x + 0.044715x³))), the usual approximation of [`gelu`](Self::gelu), written as x·sigmoid u with
    /// u = √(8/π)(x + 0.044715x³), which keeps its digits for negative x.
    ///
    /// Derivative: of the approximation itself, s(1 + x(1 − s)u′) with s = sigmoid u.
    gelu_tanh(x) -> y {
        value: x * Math::sigmoid(T::from_f64(SQRT_8_OVER_PI) * (x + T::from_f64(0.044715) * x * x * x)),
        slope: {
            let s = (R::of(SQRT_8_OVER_PI) * (x + R::of(0.044715) * x * x * x)).sigmoid();
            let inner_slope = R::of(SQRT_8_OVER_PI) * (R::of(1.0) + R::of(3.0 * 0.044715) * x * x);
            s.masked_mul(R::of(1.0) + (R::of(1.0) - s).masked_mul(x * inner_slope))
        },
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // For weights that were trained with it, as those of GPT-2.
        /// let x = tape.constant([-2.0_f64, -0.5, 1.0, 3.0]);
        /// let error = (x.gelu_tanh() - x.gelu()).abs().max();
        /// assert!(error > 1e-5 && error < 1e-3);
        /// ```
    }
}

unary! {
    /// x·tanh(softplus x) (Misra 2019).
    ///
    /// Derivative: t + x·sigmoid x·(1 − t²) with t = tanh(softplus x).
    mish(x) -> y {
        value: x * Math::tanh(Math::softplus(x)),
        slope: {
            let t = x.softplus(R::of(1.0)).tanh();
            t + (x.sigmoid() * (R::of(1.0) - t) * (R::of(1.0) + t)).masked_mul(x)
        },
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([-1000.0_f64, 0.0, 1000.0]);
        /// let y = x.mish();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 0.0, 1000.0]);
        /// assert!((y.sum().backward()?.of(x)?.to_vec()[1] - 0.6).abs() < 1e-15);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x/(1 + |x|).
    ///
    /// Derivative: 1/(1 + |x|)².
    softsign(x) -> y {
        value: x / (T::ONE + Math::abs(x)),
        slope: (R::of(1.0) + x.abs()).reciprocal().square(),
        domain: (-3.0, 3.0),
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // It nears ±1 more slowly than tanh.
        /// let x = tape.var([-1.0_f64, 0.0, 3.0]);
        /// let y = x.softsign();
        /// assert_eq!(y.value()?.to_vec(), [-0.5, 0.0, 0.75]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.25, 1.0, 0.0625]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x − tanh x.
    ///
    /// Derivative: tanh² x.
    tanhshrink(x) -> y {
        value: x - Math::tanh(x),
        slope: x.tanh().square(),
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Flat at 0, the identity less 1 far from it.
        /// let x = tape.var([-1000.0_f64, 0.0, 1000.0]);
        /// let y = x.tanhshrink();
        /// assert_eq!(y.value()?.to_vec(), [-999.0, 0.0, 999.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [1.0, 0.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// λx for x > 0, else λα(eˣ − 1), the self-normalising unit (Klambauer et al. 2017).
    ///
    /// Derivative: λ for x > 0, else λαeˣ; at 0 the left one, as in PyTorch.
    selu(x) -> y {
        value: if x > T::ZERO {
            x * T::from_f64(SELU_SCALE)
        } else {
            T::from_f64(SELU_SCALE * SELU_ALPHA) * Math::expm1(x)
        },
        slope: R::select(x.gt(R::of(0.0)), R::of(SELU_SCALE), R::of(SELU_SCALE * SELU_ALPHA) * x.exp()),
        domain: (-3.0, 3.0),
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // λ and −λα.
        /// let y = tape.constant([1.0_f64, -1000.0]).selu().value()?;
        /// assert_eq!(y, [1.0507009873554805, -1.7580993408473766].into());
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x/6 + ½ between −3 and 3, 0 below, 1 above.
    ///
    /// Derivative: 1/6 for −3 < x < 3, else 0.
    hardsigmoid(x) -> y {
        value: {
            let y = x / T::from_f64(6.0) + T::from_f64(0.5);
            if x <= T::from_f64(-3.0) { T::ZERO } else if x >= T::from_f64(3.0) { T::ONE } else { y }
        },
        slope: x.gt(R::of(-3.0)) * x.lt(R::of(3.0)) / R::of(6.0),
        domain: (-5.0, 5.0),
        kinks: [-3.0, 3.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([-4.0_f64, 0.0, 4.0]);
        /// let y = x.hardsigmoid();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 0.5, 1.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 1.0 / 6.0, 0.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x·hardsigmoid x (Howard et al. 2019).
    ///
    /// Derivative: (2x + 3)/6 for −3 < x < 3, 0 below and at −3, 1 from 3 on.
    hardswish(x) -> y {
        value: {
            let y = x * (x + T::from_f64(3.0)) / T::from_f64(6.0);
            if x <= T::from_f64(-3.0) { T::ZERO } else if x >= T::from_f64(3.0) { x } else { y }
        },
        slope: R::select(
            x.lt(R::of(3.0)),
            R::select(x.gt(R::of(-3.0)), (R::of(2.0) * x + R::of(3.0)) / R::of(6.0), R::of(0.0)),
            R::of(1.0),
        ),
        domain: (-5.0, 5.0),
        kinks: [-3.0, 3.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([-4.0_f64, 0.0, 4.0]);
        /// let y = x.hardswish();
        /// assert_eq!(y.value()?.to_vec(), [0.0, 0.0, 4.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 0.5, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x between −1 and 1, else the nearer bound. For other bounds see `clamp`.
    ///
    /// Derivative: 1 for −1 < x < 1, else 0, as in PyTorch.
    hardtanh(x) -> y {
        value: if x < -T::ONE { -T::ONE } else if x > T::ONE { T::ONE } else { x },
        slope: x.gt(R::of(-1.0)) * x.lt(R::of(1.0)),
        domain: (-3.0, 3.0),
        kinks: [-1.0, 1.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([-2.0_f64, 0.5, 2.0]);
        /// let y = x.hardtanh();
        /// assert_eq!(y.value()?.to_vec(), [-1.0, 0.5, 1.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 1.0, 0.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x for x > 0, else slope·x; PyTorch's default slope is 0.01.
    ///
    /// Derivative: 1 for x > 0, else the slope; with respect to the slope 0, else x.
    leaky_relu(x, slope) -> z {
        value: if x > T::ZERO { x } else { slope * x },
        slopes: [R::select(x.gt(R::of(0.0)), R::of(1.0), slope), R::select(x.gt(R::of(0.0)), R::of(0.0), x)],
        domain: [(-3.0, 3.0), (0.1, 0.4)],
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // A unit below 0 still learns.
        /// let x = tape.var([-2.0_f64, 3.0]);
        /// let y = x.leaky_relu(0.25);
        /// assert_eq!(y.value()?.to_vec(), [-0.5, 3.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.25, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x for x > 0, else weight·x, with a weight that is learned (He et al. 2015).
    ///
    /// Derivative: 1 for x > 0, else the weight; with respect to the weight 0, else x.
    prelu(x, weight) -> z {
        value: if x > T::ZERO { x } else { weight * x },
        slopes: [R::select(x.gt(R::of(0.0)), R::of(1.0), weight), R::select(x.gt(R::of(0.0)), R::of(0.0), x)],
        domain: [(-3.0, 3.0), (0.1, 0.4)],
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([-2.0_f64, 3.0, -1.0]);
        /// let weight = tape.var([0.25]);
        /// let loss = x.prelu(weight).sum();
        /// assert_eq!(loss.backward()?.of(weight)?.to_vec(), [-3.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x for x > 0, else α(eˣ − 1) (Clevert et al. 2015); PyTorch's default α is 1.
    ///
    /// Derivative: 1 for x > 0, else αeˣ; with respect to α 0, else eˣ − 1.
    elu(x, alpha) -> z {
        value: if x > T::ZERO { x } else { alpha * Math::expm1(x) },
        slopes: [
            R::select(x.gt(R::of(0.0)), R::of(1.0), alpha * x.exp()),
            R::select(x.gt(R::of(0.0)), R::of(0.0), x.expm1()),
        ],
        domain: [(-3.0, 3.0), (0.5, 1.5)],
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([-1000.0_f64, 2.0]);
        /// let y = x.elu(1.0);
        /// assert_eq!(y.value()?.to_vec(), [-1.0, 2.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x for x > 0, else α(e^(x/α) − 1) (Barron 2017), smooth for every α > 0; PyTorch's default α is 1.
    ///
    /// Derivative: 1 for x > 0, else e^(x/α); with respect to α 0, else e^(x/α)(1 − x/α) − 1.
    celu(x, alpha) -> z {
        value: if x > T::ZERO { x } else { alpha * Math::expm1(x / alpha) },
        slopes: [
            R::select(x.gt(R::of(0.0)), R::of(1.0), (x / alpha).exp()),
            R::select(x.gt(R::of(0.0)), R::of(0.0), (x / alpha).expm1() - (x / alpha).exp() * x / alpha),
        ],
        domain: [(-3.0, 3.0), (0.5, 1.5)],
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // The lower limit is −α, and the slope at 0 is 1 from both sides.
        /// let x = tape.var([-10_000.0_f64, 0.0, 3.0]);
        /// let y = x.celu(2.0);
        /// assert_eq!(y.value()?.to_vec(), [-2.0, 0.0, 3.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 1.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// ln(1 + e^(βx))/β, a smooth relu; PyTorch's default β is 1. Exact for large x without a threshold.
    ///
    /// Derivative: sigmoid(βx); with respect to β (x·sigmoid(βx) − y)/β.
    softplus(x, beta) -> z {
        value: Math::softplus(beta * x) / beta,
        slopes: [(beta * x).sigmoid(), (x * (beta * x).sigmoid() - z) / beta],
        domain: [(-3.0, 3.0), (0.5, 1.5)],
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // A positive number from any: for scales and rates.
        /// let x = tape.var([0.0_f64, 1000.0]);
        /// let rate = x.softplus(1.0);
        /// assert_eq!(rate.value()?.to_vec(), [2.0_f64.ln(), 1000.0]);
        /// assert_eq!(rate.sum().backward()?.of(x)?.to_vec(), [0.5, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x where |x| > λ, else 0; PyTorch's default λ is 0.5.
    ///
    /// Derivative: 1 where |x| > λ, else 0; none with respect to λ.
    hardshrink(x, lambda) -> z {
        value: if x >= -lambda && x <= lambda { T::ZERO } else { x },
        slopes: [R::of(1.0) - x.abs().le(lambda), R::of(0.0)],
        domain: [(-3.0, 3.0), (0.5, 0.5)],
        kinks: [-lambda, lambda],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // What is small is taken for noise.
        /// let x = tape.constant([-0.3_f64, 0.2, 1.5]);
        /// assert_eq!(x.hardshrink(0.5).value()?.to_vec(), [0.0, 0.0, 1.5]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x shrunk towards 0 by λ: x − λ for x > λ, x + λ for x < −λ, else 0; PyTorch's default λ is 0.5.
    ///
    /// Derivative: 1 where |x| > λ, else 0; with respect to λ −sign x there.
    softshrink(x, lambda) -> z {
        value: if x > lambda { x - lambda } else if x < -lambda { x + lambda } else { x * T::ZERO },
        slopes: [R::of(1.0) - x.abs().le(lambda), -z.sign()],
        domain: [(-3.0, 3.0), (0.3, 0.7)],
        kinks: [-lambda, lambda],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // The minimum over y of (y − x)²/2 + λ|y|: a step of sparse regression.
        /// let x = tape.constant([-2.0_f64, 0.25, 1.0]);
        /// assert_eq!(x.softshrink(0.5).value()?.to_vec(), [-1.5, 0.0, 0.5]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x where x > bound, else 0. Add or select for another value below.
    ///
    /// Derivative: 1 where x > bound, else 0; none with respect to the bound.
    threshold(x, bound) -> z {
        value: if x > bound || x.is_nan() { x } else { T::ZERO },
        slopes: [x.gt(bound), R::of(0.0)],
        domain: [(-3.0, 3.0), (0.5, 0.5)],
        kinks: [bound],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([0.25_f64, 0.5, 0.75]);
        /// let y = x.threshold(0.5);
        /// assert_eq!(y.value()?.to_vec(), [0.0, 0.0, 0.75]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 0.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}
