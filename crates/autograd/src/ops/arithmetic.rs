//! Arithmetic and what is close to it.

use super::elementwise::{binary, unary};
use crate::kernel::math::Math;

binary! {
    /// x + y.
    ///
    /// Derivative: 1 and 1.
    add(x, y) {
        value: x + y,
        constant slopes: [1.0, 1.0],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [],
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
    }
}

binary! {
    /// x · y, and 0 wherever x is 0, even if y is infinite or not a number.
    ///
    /// This is how an incoming gradient meets a slope: a branch that was not taken sends 0, and 0 stays 0.
    /// Derivative: y and x.
    masked_mul(x, y) -> z {
        value: if x == T::ZERO { T::ZERO } else { x * y },
        slopes: [y, x],
        domain: [(0.5, 3.0), (-3.0, 3.0)],
        kinks: [],
    }
}

binary! {
    /// xʸ for real y.
    ///
    /// Derivative: y·xʸ⁻¹ (0 where y is 0) and xʸ·ln x (0 at x = 0 for y ≥ 0, as in PyTorch).
    /// Domain: x ≥ 0, or x < 0 with an integer y, where the derivative with respect to y is not a number.
    pow(x, y) -> z {
        value: Math::pow(x, y),
        slopes: [
            R::select(y.ne(R::of(0.0)), y * x.pow(y - R::of(1.0)), R::of(0.0)),
            R::select(x.eq(R::of(0.0)).masked_mul(y.ge(R::of(0.0))), R::of(0.0), z * x.ln()),
        ],
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
        slopes: [R::select(n.ne(R::of(0.0)), n * x.powi(n - R::of(1.0)), R::of(0.0)), R::of(0.0)],
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
    }
}

binary! {
    /// The larger of x and y; not a number if either is.
    ///
    /// Derivative: 1 for the larger, 0 for the other; ties share equally, so that max(x, x) has the derivative of x.
    maximum(x, y) -> z {
        value: if x > y || x != x { x } else { y },
        slopes: [share(x.gt(y), x.eq(y)), share(y.gt(x), x.eq(y))],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [0.0],
    }
}

binary! {
    /// The smaller of x and y; not a number if either is.
    ///
    /// Derivative: 1 for the smaller, 0 for the other; ties share equally.
    minimum(x, y) -> z {
        value: if x < y || x != x { x } else { y },
        slopes: [share(x.lt(y), x.eq(y)), share(y.lt(x), x.eq(y))],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [0.0],
    }
}

binary! {
    /// The larger of x and y; the other one if one is not a number.
    ///
    /// Derivative: 1 for the one returned, 0 for the other; ties go to x, as in PyTorch.
    fmax(x, y) -> z {
        value: if x >= y || y != y { x } else { y },
        slopes: [returned(x.ge(y), y), R::of(1.0) - returned(x.ge(y), y)],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [0.0],
    }
}

binary! {
    /// The smaller of x and y; the other one if one is not a number.
    ///
    /// Derivative: 1 for the one returned, 0 for the other; ties go to x, as in PyTorch.
    fmin(x, y) -> z {
        value: if x <= y || y != y { x } else { y },
        slopes: [returned(x.le(y), y), R::of(1.0) - returned(x.le(y), y)],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [0.0],
    }
}

binary! {
    /// x, but at least the bound: max(x, bound).
    ///
    /// Derivative: 1 for x at and above the bound, as in PyTorch, else 1 for the bound.
    clamp_min(x, bound) -> z {
        value: if x < bound { bound } else { x },
        slopes: [R::of(1.0) - x.lt(bound), x.lt(bound)],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [0.0],
    }
}

binary! {
    /// x, but at most the bound: min(x, bound).
    ///
    /// Derivative: 1 for x at and below the bound, as in PyTorch, else 1 for the bound.
    clamp_max(x, bound) -> z {
        value: if x > bound { bound } else { x },
        slopes: [R::of(1.0) - x.gt(bound), x.gt(bound)],
        domain: [(-3.0, 3.0), (-3.0, 3.0)],
        kinks: [0.0],
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
        kinks: [],
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
    }
}

/// 1 for the winner, ½ on a tie.
#[inline(always)]
fn share<R: crate::real::Algebra>(wins: R, ties: R) -> R {
    wins + R::of(0.5) * ties
}

/// 1 where the comparison holds or the other operand is not a number.
#[inline(always)]
fn returned<R: crate::real::Algebra>(holds: R, other: R) -> R {
    R::select(holds + other.ne(other), R::of(1.0), R::of(0.0))
}
