//! An operand that may be a number.

use smallvec::SmallVec;

use super::Var;
use crate::error::ErrorKind;
use crate::float::Float;
use crate::ops::Op;
use crate::ops::elementwise::{BinaryRule, Elementwise, UnaryRule};
use crate::real::Algebra;
use crate::scalar::Scalar;
use crate::tape::{Input, LIMIT, Tape};
use crate::tensor::Tensor;

/// An operand of an elementwise operation: a tensor on a tape, or a plain number, which fits every shape.
#[derive(Clone, Copy, Debug)]
pub enum Term<'t, T: Float = f32> {
    /// A tensor on a tape.
    Var(Var<'t, T>),
    /// A plain number.
    Number(T),
}

impl<'t, T: Float> Term<'t, T> {
    /// The handle on `tape`; a number becomes a constant there.
    #[track_caller]
    pub(crate) fn on(self, tape: &'t Tape<T>) -> Var<'t, T> {
        match self {
            Term::Var(var) => var,
            Term::Number(number) => tape.constant(Tensor::scalar(number)),
        }
    }

    /// Records an elementwise op; numbers alone give a number.
    #[track_caller]
    pub(super) fn elementwise<const N: usize>(op: Elementwise, operands: [Self; N]) -> Self {
        let Some(first) = operands.iter().find_map(Term::var) else {
            let numbers: SmallVec<[T; 3]> = operands.iter().filter_map(Term::number).collect();
            return Term::Number(op.at(&numbers));
        };
        for var in operands.iter().filter_map(Term::var) {
            if var.is_failed() {
                return Term::Var(operands.iter().filter_map(Term::var).fold(first, Var::and));
            }
            if !std::ptr::eq(var.tape, first.tape) {
                return Term::Var(first.fail(op.facts().name, ErrorKind::TwoTapes));
            }
        }
        let inputs = operands.map(|operand| match operand {
            Term::Number(number) => Input::Number(number),
            Term::Var(var) => Input::Node(var.slot),
        });
        Term::Var(first.record_op(Op::Elementwise(op), &inputs))
    }

    fn var(&self) -> Option<Var<'t, T>> {
        match *self {
            Term::Var(var) => Some(var),
            Term::Number(_) => None,
        }
    }

    fn number(&self) -> Option<T> {
        match *self {
            Term::Var(_) => None,
            Term::Number(number) => Some(number),
        }
    }
}

impl<T: Float> Algebra for Term<'_, T> {
    fn of(number: f64) -> Self {
        Term::Number(T::from_f64(number))
    }
    #[track_caller]
    fn unary<Op: UnaryRule>(self) -> Self {
        Self::elementwise(Op::CODE, [self])
    }
    #[track_caller]
    fn binary<Op: BinaryRule>(self, other: Self) -> Self {
        Self::elementwise(Op::CODE, [self, other])
    }
    #[track_caller]
    fn select(self, x: Self, y: Self) -> Self {
        Self::elementwise(Elementwise::select, [self, x, y])
    }
}

impl<'t, T: Float> From<Var<'t, T>> for Term<'t, T> {
    fn from(var: Var<'t, T>) -> Self {
        Term::Var(var)
    }
}

impl<'t, T: Float> From<&Var<'t, T>> for Term<'t, T> {
    fn from(var: &Var<'t, T>) -> Self {
        Term::Var(*var)
    }
}

impl<T: Float> From<T> for Term<'_, T> {
    fn from(number: T) -> Self {
        Term::Number(number)
    }
}

impl<'t, T: Float> From<Scalar<'t, T>> for Term<'t, T> {
    #[track_caller]
    fn from(scalar: Scalar<'t, T>) -> Self {
        match scalar.tape {
            Some(tape) if scalar.index < LIMIT => Term::Var(tape.from_scalars(&[scalar]).reshape(())),
            Some(tape) if scalar.is_failed() => Term::Var(Var::new(tape, scalar.index)),
            _ => Term::Number(scalar.number),
        }
    }
}
