//! Arithmetic and what is close to it.

use super::elementwise::{Elementwise, binary, family, unary};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::math::Math;
use crate::scalar::Scalar;
use crate::tape::CONSTANT;
use crate::var::{Term, Var};

family!("Arithmetic");

binary! {
    /// x + y.
    ///
    /// Derivative: 1 and 1.
    add(x, y) {
        value: x + y,
        constant slopes: [1.0, 1.0],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [],
        /// ```
        /// use autograd::Tensor;
        ///
        /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
        /// let row = Tensor::from([10.0, 20.0]);
        /// assert_eq!(x.add(row)?, Tensor::from([[11.0, 22.0], [13.0, 24.0]]));
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x − y.
    ///
    /// Derivative: 1 and −1.
    sub(x, y) {
        value: x - y,
        constant slopes: [1.0, -1.0],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [],
        /// ```
        /// use autograd::Tensor;
        ///
        /// // Centred at 0.
        /// let x = Tensor::from([1.0, 2.0, 6.0]);
        /// assert_eq!(x.sub(x.mean())?, Tensor::from([-2.0, -1.0, 3.0]));
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x · y.
    ///
    /// Derivative: y and x.
    mul(x, y) -> z {
        value: x * y,
        slopes: [y, x],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [],
        /// ```
        /// use autograd::Tensor;
        ///
        /// let hours = Tensor::from([8.0, 6.0]);
        /// let wages = Tensor::from([[10.0], [20.0]]);
        /// assert_eq!(hours.mul(wages)?, Tensor::from([[80.0, 60.0], [160.0, 120.0]]));
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x / y.
    ///
    /// Derivative: 1/y and −z/y with z = x/y, which does not overflow where y² would.
    div(x, y) -> z {
        value: x / y,
        slopes: [R::of(1.0) / y, -z / y],
        domain: [(-3.0, 3.0), (0.5, 3.0)],
        kinks: [],
        /// ```
        /// use autograd::Tensor;
        ///
        /// // Shares of the whole.
        /// let counts = Tensor::from([1.0, 3.0, 4.0]);
        /// assert_eq!(counts.div(counts.sum())?, Tensor::from([0.125, 0.375, 0.5]));
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x · y, and 0 wherever one of them is 0, even if the other is infinite or not a number. It is never −0.
    ///
    /// This is how both sweeps multiply with a slope. An incoming gradient of 0 stays 0 whatever the slope, so that a branch
    /// that was not taken sends nothing; the forward sweep multiplies the same factors in the other order, where that 0 is
    /// the slope and what precedes it is the tangent. Only a rule that is the same in both factors makes them agree. So on the
    /// way of a derivative 0·∞ is 0: √(x²) has derivative 0 at 0 in both sweeps.
    /// Derivative: y and x.
    masked_mul(x, y) -> z {
        // The sum makes +0 of a product that underflows to −0.
        value: if (x != T::ZERO) & (y != T::ZERO) { x * y + T::ZERO } else { T::ZERO },
        slopes: [y, x],
        domain: [(0.5, 3.0), (-3.0, 3.0)],
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([f64::INFINITY, 2.0]);
        /// let mask = tape.constant([0.0, 1.0]);
        /// assert_eq!(x.masked_mul(mask).value()?.to_vec(), [0.0, 2.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// xʸ for real y.
    ///
    /// Derivative: y·xʸ⁻¹ (0 where y is 0) and xʸ·ln x (0 at x = 0 for y ≥ 0, as in PyTorch); at x = y = 0 derivatives of any
    /// order are 0.
    /// Domain: x ≥ 0, or x < 0 with an integer y, where the derivative with respect to y is not a number.
    pow(x, y) -> z {
        value: Math::pow(x, y),
        slopes: {
            let [by_x, by_y] = power::slopes(x, y, z);
            let at_origin = x.eq(R::of(0.0)) * y.eq(R::of(0.0));
            [R::select(at_origin, R::of(0.0), by_x), R::select(at_origin, R::of(0.0), by_y)]
        },
        domain: [(0.3, 3.0), (-2.0, 2.0)],
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let [x, y] = [2.0_f64, 3.0].map(|number| tape.var(number));
        /// let z = x.pow(y).item();
        /// assert_eq!(z, 8.0);
        /// let gradients = z.backward()?;
        /// assert_eq!(gradients.of(x)?.item()?, 12.0);
        /// assert_eq!(gradients.of(y)?.item()?, 8.0 * 2.0_f64.ln());
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// xʸ in a slope, where derivatives at x = y = 0 are limits: that of y·xʸ⁻¹ by y at (0, 1) is −∞, as that of xʸ·ln x by
    /// x. The choices of [`pow`] would make them differ.
    ///
    /// A factor of 0 wins over one that is infinite, as xʸ does over ln x at x = 0. No factor is chosen by y ≠ 0: that would
    /// be right in the slope, and not in its derivative by y.
    power(x, y) -> z {
        value: Math::pow(x, y),
        slopes: [y.masked_mul(x.binary::<power>(y - R::of(1.0))), z.masked_mul(x.ln())],
        domain: [(0.3, 3.0), (-2.0, 2.0)],
        kinks: [],
    }
}

binary! {
    /// xⁿ for an integer n, given as a number; any sign of x.
    ///
    /// Derivative: n·xⁿ⁻¹ (0 where n is 0); none with respect to n.
    powi(x, n) -> z {
        value: Math::pow(x, n),
        slopes: [R::select(n.ne(R::of(0.0)), n * x.binary::<powi>(n - R::of(1.0)), R::of(0.0)), R::of(0.0)],
        domain: [(0.3, 3.0), (3.0, 3.0)],
        kinks: [],
    }
}

unary! {
    /// −x.
    neg(x) {
        value: -x,
        constant slope: -1.0,
        domain: (-3.0, 3.0),
        kinks: [],
    }
}

unary! {
    /// |x|.
    ///
    /// Derivative: sign x; 0 at the kink x = 0, the middle of [−1, 1].
    abs(x) -> y {
        value: Math::abs(x),
        slope: x.sign(),
        domain: (-3.0, 3.0),
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let errors = tape.var([-2.0_f64, 0.0, 3.0]);
        /// let loss = errors.abs().sum();
        /// assert_eq!(loss, 5.0);
        /// assert_eq!(loss.backward()?.of(errors)?.to_vec(), [-1.0, 0.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// −1, 0 or 1 as x is negative, zero or positive.
    ///
    /// Derivative: 0, at the jump too.
    sign(x) {
        value: if x > T::ZERO { T::ONE } else if x < T::ZERO { -T::ONE } else { x * T::ZERO },
        constant slope: 0.0,
        domain: (-3.0, 3.0),
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([-2.5_f64, 0.0, 3.0]);
        /// assert_eq!(x.sign().value()?.to_vec(), [-1.0, 0.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// x².
    ///
    /// Derivative: 2x.
    square(x) -> y {
        value: x * x,
        slope: R::of(2.0) * x,
        domain: (-3.0, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([1.0_f64, 4.0]);
        /// let loss = (x - 3.0).square().sum();
        /// assert_eq!(loss, 5.0);
        /// assert_eq!(loss.backward()?.of(x)?.to_vec(), [-4.0, 2.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// 1/x.
    ///
    /// Derivative: −y².
    reciprocal(x) -> y {
        value: T::ONE / x,
        slope: -(y * y),
        domain: (0.3, 3.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Resistors in parallel.
        /// let ohms = tape.var([2.0_f64, 2.0]);
        /// let total = ohms.reciprocal().sum().reciprocal();
        /// assert_eq!(total, 1.0);
        /// assert_eq!(total.backward()?.of(ohms)?.to_vec(), [0.25, 0.25]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// √x.
    ///
    /// Derivative: 1/(2y); infinite at 0.
    sqrt(x) -> y {
        value: Math::sqrt(x),
        slope: R::of(0.5) / y,
        domain: (0.3, 9.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([4.0_f64, 0.0]);
        /// let y = x.sqrt();
        /// assert_eq!(y.value()?.to_vec(), [2.0, 0.0]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.25, f64::INFINITY]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

unary! {
    /// 1/√x.
    ///
    /// Derivative: −y³/2.
    rsqrt(x) -> y {
        value: T::ONE / Math::sqrt(x),
        slope: R::of(-0.5) * y * y * y,
        domain: (0.3, 9.0),
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([4.0_f64]);
        /// let y = x.rsqrt();
        /// assert_eq!(y.value()?.to_vec(), [0.5]);
        /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [-0.0625]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// The larger of x and y; not a number if either is.
    ///
    /// Derivative: 1 for the larger, 0 for the other; ties share equally, so that max(x, x) has the derivative of x. Both
    /// are 1 where an operand is not a number, as in PyTorch.
    maximum(x, y) -> z {
        value: if x > y || x.is_nan() { x } else { y },
        slopes: [share(x.lt(y), x.eq(y)), share(y.lt(x), x.eq(y))],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [y],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.var([1.0_f64, 4.0, 3.0]);
        /// let y = tape.var([2.0, 1.0, 3.0]);
        /// let gradients = x.maximum(y).sum().backward()?;
        /// assert_eq!(gradients.of(x)?.to_vec(), [0.0, 1.0, 0.5]);
        /// assert_eq!(gradients.of(y)?.to_vec(), [1.0, 0.0, 0.5]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// The smaller of x and y; not a number if either is.
    ///
    /// Derivative: 1 for the smaller, 0 for the other; ties share equally. Both are 1 where an operand is not a number, as
    /// in PyTorch.
    minimum(x, y) -> z {
        value: if x < y || x.is_nan() { x } else { y },
        slopes: [share(x.gt(y), x.eq(y)), share(y.gt(x), x.eq(y))],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [y],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Huber's loss grows like the square, then with slope 1.
        /// let errors = tape.constant([0.5_f64, 3.0]);
        /// let close = errors.minimum(1.0);
        /// let loss = close * (errors - 0.5 * close);
        /// assert_eq!(loss.value()?.to_vec(), [0.125, 2.5]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// The larger of x and y; the other one if one is not a number.
    ///
    /// Derivative: 1 for the one returned, 0 for the other; ties share equally.
    fmax(x, y) -> z {
        value: if x >= y || y.is_nan() { x } else { y },
        slopes: returned(x.gt(y), x, y),
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [y],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // A missing reading does not spoil the others.
        /// let (a, b) = (tape.constant([f64::NAN, 1.0]), tape.constant([2.0, 3.0]));
        /// assert_eq!(a.fmax(b).value()?.to_vec(), [2.0, 3.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// The smaller of x and y; the other one if one is not a number.
    ///
    /// Derivative: 1 for the one returned, 0 for the other; ties share equally.
    fmin(x, y) -> z {
        value: if x <= y || y.is_nan() { x } else { y },
        slopes: returned(x.lt(y), x, y),
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [y],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // A missing reading does not spoil the others.
        /// let (a, b) = (tape.constant([f64::NAN, 1.0]), tape.constant([2.0, 3.0]));
        /// assert_eq!(a.fmin(b).value()?.to_vec(), [2.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x, but at least the bound, a number: max(x, bound); not a number if either is.
    ///
    /// Derivative: 1 for x above the bound, else 0; at the bound 0, as in PyTorch.
    clamp_min(x, bound) -> z {
        value: if x < bound || bound.is_nan() { bound } else { x },
        slopes: [R::of(1.0) - x.le(bound), x.le(bound)],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [bound],
        /// ```
        /// use autograd::Tensor;
        ///
        /// let x = Tensor::from([-1.0, 0.5, 2.0]);
        /// assert_eq!(x.clamp_min(0.0)?, Tensor::from([0.0, 0.5, 2.0]));
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// x, but at most the bound, a number: min(x, bound); not a number if either is.
    ///
    /// Derivative: 1 for x below the bound, else 0; at the bound 0, as in PyTorch.
    clamp_max(x, bound) -> z {
        value: if x > bound || bound.is_nan() { bound } else { x },
        slopes: [R::of(1.0) - x.ge(bound), x.ge(bound)],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [bound],
        /// ```
        /// use autograd::Tensor;
        ///
        /// let x = Tensor::from([-1.0, 0.5, 2.0]);
        /// assert_eq!(x.clamp_max(1.0)?, Tensor::from([-1.0, 0.5, 1.0]));
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// |x| with the sign of y.
    ///
    /// Derivative: ±1, whether the sign was changed, and 0 for y; 0 at x = 0.
    copysign(x, y) -> z {
        value: Math::copysign(x, y),
        slopes: [x.sign() * z.sign(), R::of(0.0)],
        domain: [(0.3, 3.0), (0.3, 3.0)],
        kinks: [0.0],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let lengths = tape.constant([3.0_f64, 2.0]);
        /// let directions = tape.constant([-0.1, 0.1]);
        /// assert_eq!(lengths.copysign(directions).value()?.to_vec(), [-3.0, 2.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// The remainder of x / y with the sign of x: x − y·trunc(x/y), as C's `fmod`.
    ///
    /// Derivative: 1 and −trunc(x/y).
    fmod(x, y) -> z {
        value: Math::fmod(x, y),
        slopes: [R::of(1.0), -(x / y).trunc()],
        domain: [(0.1, 0.9), (1.0, 3.0)],
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([7.0_f64, -7.0]);
        /// assert_eq!(x.fmod(3.0).value()?.to_vec(), [1.0, -1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

binary! {
    /// The remainder of x / y with the sign of y: x − y·floor(x/y), as Python's `%` and `torch.remainder`.
    ///
    /// Derivative: 1 and −floor(x/y).
    rem(x, y) -> z {
        value: {
            let remainder = Math::fmod(x, y);
            if remainder != T::ZERO && (remainder < T::ZERO) != (y < T::ZERO) { remainder + y } else { remainder }
        },
        slopes: [R::of(1.0), -(x / y).floor()],
        domain: [(0.1, 0.9), (1.0, 3.0)],
        kinks: [],
        /// ```
        /// use autograd::Tape;
        ///
        /// let tape = Tape::new();
        /// // Headings in degrees, brought into [0, 360).
        /// let headings = tape.var([370.0_f64, -90.0]);
        /// let wrapped = headings.rem(360.0);
        /// assert_eq!(wrapped.value()?.to_vec(), [10.0, 270.0]);
        /// assert_eq!(wrapped.sum().backward()?.of(headings)?.to_vec(), [1.0, 1.0]);
        /// # Ok::<(), autograd::Error>(())
        /// ```
    }
}

macro_rules! clamp {
    ($($(#[$doc:meta])* $name:ident, $with_handle:ident;)*) => {
        impl<'t, T: Float> Scalar<'t, T> {
            $($(#[$doc])*
            #[inline]
            #[track_caller]
            pub fn $name(self, bound: impl Into<Self>) -> Self {
                let bound = bound.into();
                match bound.index {
                    CONSTANT => self.apply_with::<$name>(bound),
                    _ => self.apply_with::<$with_handle>(bound),
                }
            })*
        }

        impl<'t, T: Float> Var<'t, T> {
            $($(#[$doc])*
            ///
            /// Shapes: the operands broadcast; a plain number and a `Scalar` fit every shape.
            #[track_caller]
            pub fn $name(self, bound: impl Into<Term<'t, T>>) -> Self {
                self.clamped(Elementwise::$name, Elementwise::$with_handle, bound.into())
            })*
        }
    };
}

clamp! {
    /// x, but at least the bound: max(x, bound).
    ///
    /// Derivative: 1 for x above the bound and 0 below. At the bound, as in PyTorch, 0 if the bound is a number; if it is a
    /// handle, it is the [`maximum`](Self::maximum) of both: they share equally.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Variances that must not vanish.
    /// let variances = tape.var([0.25_f64, 4.0]);
    /// let roots = variances.clamp_min(1.0).sqrt();
    /// assert_eq!(roots.value()?.to_vec(), [1.0, 2.0]);
    /// assert_eq!(roots.sum().backward()?.of(variances)?.to_vec(), [0.0, 0.25]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    clamp_min, maximum;
    /// x, but at most the bound: min(x, bound).
    ///
    /// Derivative: 1 for x below the bound and 0 above. At the bound, as in PyTorch, 0 if the bound is a number; if it is a
    /// handle, it is the [`minimum`](Self::minimum) of both: they share equally.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Beyond the bound nothing is gained.
    /// let x = tape.var([0.5_f64, 2.0]);
    /// let gain = x.clamp_max(1.0).sum();
    /// assert_eq!(gain, 1.5);
    /// assert_eq!(gain.backward()?.of(x)?.to_vec(), [1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    clamp_max, minimum;
}

impl<'t, T: Float> Var<'t, T> {
    #[track_caller]
    fn clamped(self, number: Elementwise, handle: Elementwise, bound: Term<'t, T>) -> Self {
        let op = match bound {
            Term::Number(_) => number,
            Term::Var(bound) => match self.shape().broadcast(&bound.shape()) {
                // An error names the user's method, not the op behind it.
                Err(_) if self.is_failed() || bound.is_failed() => handle,
                Err(kind) => return self.fail(number.facts().name, kind),
                Ok(_) if !std::ptr::eq(self.tape, bound.tape) => {
                    return self.and(bound).fail(number.facts().name, ErrorKind::TwoTapes);
                }
                Ok(_) => handle,
            },
        };
        self.elementwise2(op, bound)
    }
}

/// 0 for the loser, ½ on a tie, else 1.
#[inline(always)]
fn share<R: crate::real::Algebra>(loses: R, ties: R) -> R {
    R::of(1.0) - loses - R::of(0.5) * ties
}

/// [1, 0] where x wins or y is not a number, [½, ½] on a tie, else [0, 1].
#[inline(always)]
fn returned<R: crate::real::Algebra>(wins: R, x: R, y: R) -> [R; 2] {
    let by_x = R::select(wins + y.ne(y), R::of(1.0), R::of(0.5) * x.eq(y));
    [by_x, R::of(1.0) - by_x]
}
