//! The equations of recurrent networks and of their adjoints, for one element of a state.

use crate::kernel::recurrent::{Cell, Cotangents};
use crate::real::Algebra;

/// y(1 − y), the slope of the logistic function.
#[inline(always)]
fn sigmoid_slope<A: Algebra>(y: A) -> A {
    y * (A::of(1.0) - y)
}

/// (1 − y)(1 + y), the slope of tanh.
#[inline(always)]
fn tanh_slope<A: Algebra>(y: A) -> A {
    (A::of(1.0) - y) * (A::of(1.0) + y)
}

/// c′ = σ(f)·c + σ(i)·tanh g, h′ = σ(o)·tanh c′. The gates are i, f, g, o, the states h and c.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lstm;

impl Cell<4, 5, 2> for Lstm {
    const NAME: &str = "lstm";
    const ADJOINT: &str = "lstm_adjoint";
    const SEPARATE: bool = false;

    #[inline(always)]
    fn step<A: Algebra>(self, x: [A; 4], hidden: [A; 4], [_, c]: [A; 2]) -> ([A; 5], [A; 2]) {
        let (i, f) = ((x[0] + hidden[0]).sigmoid(), (x[1] + hidden[1]).sigmoid());
        let (g, o) = ((x[2] + hidden[2]).tanh(), (x[3] + hidden[3]).sigmoid());
        let c = f * c + i * g;
        let tanh = c.tanh();
        ([i, f, g, o, tanh], [o * tanh, c])
    }

    #[inline(always)]
    fn adjoint<A: Algebra>(self, [i, f, g, o, tanh]: [A; 5], [_, c]: [A; 2], [dh, dc]: [A; 2]) -> Cotangents<A, 4, 2> {
        let dc = dc + dh * o * tanh_slope(tanh);
        let x = [
            dc * g * sigmoid_slope(i),
            dc * c * sigmoid_slope(f),
            dc * i * tanh_slope(g),
            dh * tanh * sigmoid_slope(o),
        ];
        Cotangents { x, hidden: x, before: [A::of(0.0), dc * f] }
    }
}

/// h′ = (1 − z)·n + z·h with r = σ(r), z = σ(z) and n = tanh(xₙ + r·hₙ). The gates are r, z, n.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gru;

impl Cell<3, 4, 1> for Gru {
    const NAME: &str = "gru";
    const ADJOINT: &str = "gru_adjoint";
    const SEPARATE: bool = true;

    #[inline(always)]
    fn step<A: Algebra>(self, x: [A; 3], hidden: [A; 3], [h]: [A; 1]) -> ([A; 4], [A; 1]) {
        let (r, z) = ((x[0] + hidden[0]).sigmoid(), (x[1] + hidden[1]).sigmoid());
        let n = (x[2] + r * hidden[2]).tanh();
        ([r, z, n, hidden[2]], [(A::of(1.0) - z) * n + z * h])
    }

    #[inline(always)]
    fn adjoint<A: Algebra>(self, [r, z, n, hidden]: [A; 4], [h]: [A; 1], [dh]: [A; 1]) -> Cotangents<A, 3, 1> {
        let dn = dh * (A::of(1.0) - z) * tanh_slope(n);
        let dz = dh * (h - n) * sigmoid_slope(z);
        let dr = dn * hidden * sigmoid_slope(r);
        Cotangents { x: [dr, dz, dn], hidden: [dr, dz, dn * r], before: [dh * z] }
    }
}

/// What a plain recurrent network applies to the sum of both projections, which is its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RnnActivation {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// max(0, x).
    Relu,
}

impl Cell<1, 1, 1> for RnnActivation {
    const NAME: &str = "rnn";
    const ADJOINT: &str = "rnn_adjoint";
    const SEPARATE: bool = false;

    #[inline(always)]
    fn step<A: Algebra>(self, [x]: [A; 1], [hidden]: [A; 1], _: [A; 1]) -> ([A; 1], [A; 1]) {
        let y = match self {
            RnnActivation::Tanh => (x + hidden).tanh(),
            RnnActivation::Relu => (x + hidden).relu(),
        };
        ([y], [y])
    }

    #[inline(always)]
    fn adjoint<A: Algebra>(self, [y]: [A; 1], _: [A; 1], [dh]: [A; 1]) -> Cotangents<A, 1, 1> {
        let x = match self {
            RnnActivation::Tanh => dh * tanh_slope(y),
            RnnActivation::Relu => A::select(y.gt(A::of(0.0)), dh, A::of(0.0)),
        };
        Cotangents { x: [x], hidden: [x], before: [A::of(0.0)] }
    }
}
