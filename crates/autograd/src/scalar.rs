//! `Scalar`: the handle of one number on a tape. It carries its value, so that code can branch and print; an operation
//! writes one entry and allocates nothing. The elementwise functions are in `ops/`.

mod operators;
mod order;

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::ops::elementwise::{BinaryRule, UnaryRule, rule};
use crate::real::{Algebra, Real};
use crate::tape::{CONSTANT, LIMIT, Step, Tape, is_failed};
use crate::var::Term;

/// A number on a tape, or a plain number that may meet one.
///
/// Compares and prints as its value; in a [`Program`](crate::Program) either is a guard, as [`value`](Scalar::value) is.
/// Works with plain numbers on either side; in code for any [`Float`] as [`Var`](crate::Var#numbers-in-formulas) does:
///
/// ```
/// use autograd::Tape;
///
/// let tape = Tape::<f64>::new();
/// let x = tape.scalar(2.0);
/// let y = if x > 1.0 { 3.0 * x.ln() } else { x * x };
/// assert_eq!(y.backward()?.of(x)?, 1.5);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Scalar<'t, T: Float = f32> {
    pub(crate) tape: Option<&'t Tape<T>>,
    pub(crate) number: T,
    pub(crate) index: u32,
}

/// # Values
impl<'t, T: Float> Scalar<'t, T> {
    /// A plain number; it costs no entry.
    ///
    /// Nothing is recorded of what is made of constants alone: [`backward`](Self::backward) of it is an error, as in PyTorch,
    /// since it is mostly a mistake, where [`grad`](Self::grad) gives the derivative, which is 0.
    ///
    /// ```
    /// use autograd::{Scalar, Tape};
    ///
    /// let tape = Tape::new();
    /// let scale = Scalar::constant(0.5);
    /// let x = tape.scalar(4.0_f64);
    /// assert_eq!((scale * x).backward()?.of(x)?, 0.5);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[inline(always)]
    pub fn constant(number: T) -> Self {
        Self { tape: None, number, index: CONSTANT }
    }

    /// The value.
    ///
    /// # Errors
    /// The failure that this depends on, if it is the result of a failed operation. On a tape
    /// [of shapes](Tape::of_shapes) there are no values.
    #[track_caller]
    pub fn value(self) -> Result<T> {
        self.ensure()?;
        if let Some(tape) = self.tape {
            tape.must_have_elements("value")?;
            tape.look()?;
        }
        Ok(self.read())
    }

    /// Whether this is the result of a failed operation.
    pub fn is_failed(self) -> bool {
        is_failed(self.index)
    }

    /// The same number without its history: no derivative flows through.
    ///
    /// Derivative: none.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.scalar(3.0_f64);
    /// assert_eq!((x.detach() * x).backward()?.of(x)?, 3.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    pub fn detach(self) -> Self {
        match self.tape {
            Some(tape) if self.index < LIMIT => Self { index: tape.detached(self.index, self.number), ..self },
            _ => self,
        }
    }
}

/// # Powers, bounds, choices
impl<'t, T: Float> Scalar<'t, T> {
    /// xⁿ for an integer n.
    ///
    /// Derivative: n·xⁿ⁻¹.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.scalar(-2.0_f64);
    /// let y = x.powi(3);
    /// assert_eq!(y, -8.0);
    /// assert_eq!(y.backward()?.of(x)?, 12.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn powi(self, n: i32) -> Self {
        self.apply_with::<rule::powi>(Self::constant(T::from_f64(n.into())))
    }

    /// The n-th derivative of [`digamma`](Self::digamma).
    ///
    /// Derivative: polygamma of order n + 1.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // π²/6.
    /// let y = tape.scalar(1.0_f64).polygamma(1);
    /// assert!((y - 1.644934066848226).abs() < 1e-14);
    /// ```
    #[track_caller]
    pub fn polygamma(self, n: u32) -> Self {
        self.apply_with::<rule::polygamma>(Self::constant(T::from_f64(n.into())))
    }

    /// x between two bounds: min(max(x, low), high).
    ///
    /// Derivative: 1 inside, 0 outside, where a bound that is a handle gets 1; at the bounds as
    /// [`clamp_min`](Self::clamp_min) and [`clamp_max`](Self::clamp_max).
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.scalar(3.0_f64);
    /// let y = x.clamp(0.0, 1.0);
    /// assert_eq!(y, 1.0);
    /// assert_eq!(y.backward()?.of(x)?, 0.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn clamp(self, low: impl Into<Self>, high: impl Into<Self>) -> Self {
        self.clamp_min(low).clamp_max(high)
    }

    /// `x` where this is not zero, else `y`: the `where` of PyTorch and NumPy.
    ///
    /// Both were computed, and the other one is ignored, whatever its value. It is an operation and no branch: in a
    /// [`Program`](crate::Program) every run chooses anew, where `if x > 0.0` has a path for each outcome.
    ///
    /// Derivative: the gradient goes to the operand that was taken; the other one and the condition get exactly 0, even
    /// where their own derivatives are infinite.
    ///
    /// ```
    /// use autograd::{Program, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.scalar(0.0_f64);
    /// let root = x.gt(0.0).select(x.sqrt(), 0.0);
    /// assert_eq!(root.backward()?.of(x)?, 0.0);
    ///
    /// let mut f = Program::record(&1.0_f64, |_, x| x.gt(0.0).select(x.ln(), -x))?;
    /// assert_eq!((f.value(&1.0)?, f.value(&-3.0)?), (0.0, 3.0));
    /// assert_eq!(f.report().paths, 1);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn select(self, x: impl Into<Self>, y: impl Into<Self>) -> Self {
        self.choose(x.into(), y.into())
    }
}

impl<'t, T: Float> Scalar<'t, T> {
    /// # Errors
    /// When this is the result of a failed operation.
    #[track_caller]
    pub(crate) fn ensure(self) -> Result<()> {
        match self.tape {
            Some(tape) if self.is_failed() => tape.failed(self.index),
            _ => Ok(()),
        }
    }

    /// The number, for use outside of the recording: a [`Program`](crate::Program) remembers that its path depends on it.
    pub(crate) fn read(self) -> T {
        match self.guarding(self) {
            Some(tape) => tape.guarded_number(self),
            None => self.number,
        }
    }

    /// The outcome of a comparison: a [`Program`](crate::Program) remembers that its path depends on it.
    #[inline(always)]
    #[track_caller]
    fn compare<Op: BinaryRule>(self, other: Self, outcome: bool) -> bool {
        match self.guarding(other) {
            Some(tape) => tape.guard(self.apply_with::<Op>(other)),
            None => outcome,
        }
    }

    /// The tape of either number, if it is recorded for a program.
    #[inline(always)]
    fn guarding(self, other: Self) -> Option<&'t Tape<T>> {
        self.tape.or(other.tape).filter(|tape| tape.is_guarding())
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn on(tape: &'t Tape<T>, number: T, argument: u64, operand: u32, step: Step) -> Self {
        Self { tape: Some(tape), number, index: tape.push(number, argument, operand, step) }
    }

    pub(crate) fn failed(tape: &'t Tape<T>, error: Error) -> Self {
        Self { tape: Some(tape), number: T::NAN, index: tape.fail(error) }
    }

    /// Of those that have failed, the one with the earliest failure.
    pub(crate) fn first_failed(scalars: &[Self]) -> Option<&Self> {
        scalars.iter().filter(|scalar| scalar.is_failed()).max_by_key(|scalar| scalar.index)
    }

    /// The tape that the history of this number is on; a constant has none.
    pub(crate) fn recorded_on(self) -> Option<&'t Tape<T>> {
        self.tape.filter(|_| self.index < LIMIT)
    }

    /// The tape, for an operation named `op` that needs one.
    #[track_caller]
    pub(crate) fn require_tape(self, op: &'static str) -> Result<&'t Tape<T>> {
        self.ensure()?;
        match self.tape {
            Some(tape) if self.index < LIMIT => Ok(tape),
            Some(_) => {
                let why = "it depends on nothing but constants, frozen parameters, and what is detached or without \
                           gradients; make one of them a variable, or take `grad`, which is 0 here";
                Err(Error::new(op, ErrorKind::NoGradient { what: "the result".into(), why: why.into() }))
            }
            None => Err(Error::new(op, ErrorKind::NoTape)),
        }
    }

    /// The slope is computed here, where it can share work with the value and nothing waits for it.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn apply<Op: UnaryRule>(self) -> Self {
        let (value, slope) = Op::value_and_slope(self.number);
        match self.tape {
            Some(tape) if self.index < LIMIT => {
                Self::on(tape, value, slope().to_f64().to_bits(), self.index, Step::Unary(Op::CODE))
            }
            _ => Self { number: value, ..self },
        }
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn apply_with<Op: BinaryRule>(self, other: Self) -> Self {
        let number = Op::value(self.number, other.number);
        match self.tape {
            Some(tape) if std::ptr::eq(tape, other.address()) && (self.index | other.index) < LIMIT => {
                Self::on(tape, number, other.index.into(), self.index, Step::Both(Op::CODE))
            }
            _ => {
                let (tape, index) = apply_otherwise::<Op, T>(self.parts(), other.parts(), number);
                Self { tape, number: if is_failed(index) { T::NAN } else { number }, index }
            }
        }
    }

    /// In a program either may be chosen, and tensors have the operation. Elsewhere the choice is an entry all the same,
    /// x − 0, which is x to the sign of a zero: the gradients of its uses meet there first, and are added in the same order.
    #[track_caller]
    fn choose(self, x: Self, y: Self) -> Self {
        if self.index < LIMIT
            && let Some(tape) = self.guarding(self)
        {
            return Algebra::select(Term::from(self), x.into(), y.into()).on(tape).item();
        }
        let operands = [self, x, y];
        if let Some(&failed) = Self::first_failed(&operands) {
            return failed;
        }
        let taken = if self.number != T::ZERO { x } else { y };
        let mut tapes = operands.into_iter().filter_map(Self::recorded_on);
        let Some(tape) = tapes.next() else { return taken };
        if !tapes.all(|other| std::ptr::eq(other, tape)) {
            return Self::failed(tape, Error::new("select", ErrorKind::TwoTapes));
        }
        match taken.recorded_on() {
            Some(_) => taken - Self::constant(T::ZERO),
            // In a program the condition is a constant here, and the choice is always this one.
            None if tape.is_guarding() => taken,
            // Whether there is something to differentiate must not depend on which operand is taken.
            None => tape.scalar(taken.number),
        }
    }

    /// Where the tape is; null for a plain number.
    #[inline(always)]
    fn address(self) -> *const Tape<T> {
        self.tape.map_or(std::ptr::null(), std::ptr::from_ref)
    }

    #[inline(always)]
    fn parts(self) -> Parts<'t, T> {
        (self.tape, self.number, self.index)
    }
}

/// A handle in parts, which a call passes in registers: through memory it costs more than the operation.
type Parts<'t, T> = (Option<&'t Tape<T>>, T, u32);

/// Applies an operation unless both operands are entries of one tape: where the result is.
#[inline]
#[track_caller]
fn apply_otherwise<'t, Op: BinaryRule, T: Float>(
    (tape, x, x_index): Parts<'t, T>,
    (with, y, y_index): Parts<'t, T>,
    value: T,
) -> (Option<&'t Tape<T>>, u32) {
    match (tape, with) {
        (Some(tape), None) if x_index < LIMIT => {
            (Some(tape), tape.push(value, y.to_f64().to_bits(), x_index, Step::Right(Op::CODE)))
        }
        (None, Some(tape)) if y_index < LIMIT => {
            (Some(tape), tape.push(value, x.to_f64().to_bits(), y_index, Step::Left(Op::CODE)))
        }
        _ => {
            let (x, y) = (Scalar { tape, number: x, index: x_index }, Scalar { tape: with, number: y, index: y_index });
            let z = apply_rarely::<Op, T>(x, y);
            (z.tape, z.index)
        }
    }
}

/// Constants that came from a tape, failed operands, operands of two tapes.
#[cold]
#[track_caller]
fn apply_rarely<'t, Op: BinaryRule, T: Float>(x: Scalar<'t, T>, y: Scalar<'t, T>) -> Scalar<'t, T> {
    if let Some(&failed) = Scalar::first_failed(&[x, y]) {
        return failed;
    }
    let plain = |x: Scalar<'t, T>| if x.index == CONSTANT { Scalar::constant(x.number) } else { x };
    match (plain(x), plain(y)) {
        (x @ Scalar { tape: Some(tape), .. }, Scalar { tape: Some(_), .. }) => {
            debug_assert!(x.index < LIMIT);
            Scalar::failed(tape, Error::new(Op::FACTS.name, ErrorKind::TwoTapes))
        }
        (Scalar { tape: None, .. }, Scalar { tape: None, .. }) => Scalar::constant(T::ZERO),
        (x, y) => x.apply_with::<Op>(y),
    }
}

impl<'t, T: Float> Algebra for Scalar<'t, T> {
    #[inline(always)]
    fn of(number: f64) -> Self {
        Self::constant(T::from_f64(number))
    }
    #[inline(always)]
    #[track_caller]
    fn unary<Op: UnaryRule>(self) -> Self {
        self.apply::<Op>()
    }
    #[inline(always)]
    #[track_caller]
    fn binary<Op: BinaryRule>(self, other: Self) -> Self {
        self.apply_with::<Op>(other)
    }
    #[track_caller]
    fn select(self, x: Self, y: Self) -> Self {
        self.choose(x, y)
    }
}

impl<T: Float> Real for Scalar<'_, T> {
    fn number(self) -> f64 {
        self.read().to_f64()
    }
}

impl<T: Float> From<T> for Scalar<'_, T> {
    fn from(number: T) -> Self {
        Self::constant(number)
    }
}

impl<T: Float> fmt::Display for Scalar<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.read(), f)
    }
}

impl<T: Float> fmt::Debug for Scalar<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.read(), f)
    }
}
