//! `Var`: the handle of a tensor on a tape, and `Term`: what may stand beside one in a formula. Operators live here; what
//! an operation computes is in `ops/`.

use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::panic::Location;

use smallvec::SmallVec;

use crate::engine::engine;
use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::indices::Indices;
use crate::ops::Op;
use crate::ops::elementwise::{BinaryRule, Elementwise, UnaryRule};
use crate::param::Param;
use crate::real::Algebra;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tape::{FAILED, Input, Inputs, LIMIT, Tape};
use crate::tensor::Tensor;

/// A tensor on a tape, of any rank.
///
/// A handle: copying it copies no elements. Operators broadcast and take plain numbers and [`Scalar`]s too.
///
/// ```
/// use autograd::Tape;
///
/// let tape = Tape::new();
/// let x = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
/// let row = tape.constant([10.0_f32, 20.0]);
/// let y = (2.0 * x + row).tanh();
/// assert_eq!(y.shape().to_string(), "[2, 2]");
/// let gradients = y.sum().backward()?;
/// assert_eq!(gradients.of(x)?.shape(), &[2, 2].into());
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Var<'t, T: Float = f32> {
    pub(crate) tape: &'t Tape<T>,
    pub(crate) slot: u32,
}

impl<'t, T: Float> Var<'t, T> {
    pub(crate) fn new(tape: &'t Tape<T>, slot: u32) -> Self {
        Self { tape, slot }
    }

    /// The value; it shares its elements with the tape.
    ///
    /// # Errors
    /// The first failure on the tape, if this is the result of a failed operation. On a tape
    /// [of shapes](Tape::of_shapes) there are no values.
    #[track_caller]
    pub fn value(self) -> Result<Tensor<T>> {
        self.ensure()?;
        self.tape.must_have_elements("value")?;
        if self.tape.is_for_program() {
            self.tape.guard_elements(self.slot);
        }
        Ok(self.tape.node_value(self.slot))
    }

    /// # Errors
    /// When this is the result of a failed operation.
    pub(crate) fn ensure(self) -> Result<()> {
        if self.is_failed() { self.tape.failed() } else { Ok(()) }
    }

    /// The size along each axis; no axes for the result of a failed operation.
    pub fn shape(self) -> Shape {
        if self.is_failed() {
            Shape::default()
        } else {
            self.tape.with_node(self.slot, |node| node.value.shape().clone())
        }
    }

    /// The number of axes.
    pub fn rank(self) -> usize {
        self.shape().rank()
    }

    /// The size along `axis`, where −1 is the last; 0 if there is none.
    pub fn size(self, axis: isize) -> usize {
        let shape = self.shape();
        shape.axis(axis).map_or(0, |axis| shape[axis])
    }

    /// The sizes of a tensor that must have N axes; another rank is a failure, and the sizes are then 0.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::<f32>::new();
    /// let [batch, width] = tape.constant(Tensor::zeros([8, 3])).dims();
    /// assert_eq!((batch, width), (8, 3));
    /// ```
    #[track_caller]
    pub fn dims<const N: usize>(self) -> [usize; N] {
        let shape = self.shape();
        if let Ok(sizes) = <[usize; N]>::try_from(&shape[..]) {
            return sizes;
        }
        self.fail("dims", Rule::Rank { what: "the operand", expected: N, found: shape });
        [0; N]
    }

    /// The tape this is on.
    pub fn tape(self) -> &'t Tape<T> {
        self.tape
    }

    /// A parameter, brought onto this handle's tape.
    #[track_caller]
    pub fn param(self, param: &Param<T>) -> Self {
        self.tape.param(param)
    }

    /// Gives the handle a name for reports and drawings.
    pub fn named(self, name: impl Into<String>) -> Self {
        if !self.is_failed() {
            self.tape.set_name(self.slot, name.into());
        }
        self
    }

    /// Whether this is the result of a failed operation.
    pub fn is_failed(self) -> bool {
        self.slot >= LIMIT
    }

    /// Marks the tape, for layers and losses with conditions of their own; the result is a failed handle. A handle that had
    /// failed before keeps its reason.
    #[cold]
    #[track_caller]
    pub fn fail(self, op: &'static str, rule: Rule) -> Self {
        if self.is_failed() { self } else { Self::new(self.tape, self.tape.fail(Error::new(op, rule))) }
    }

    /// The result of a composition: what failed in it is reported as `op`, the method that was called.
    #[track_caller]
    pub(crate) fn called(self, op: &'static str) -> Self {
        if self.is_failed() {
            self.tape.failed_in(op, Location::caller());
        }
        self
    }

    /// This handle, or the other one if that has failed: so that the first failure is the one reported.
    pub(crate) fn and(self, other: Self) -> Self {
        if other.is_failed() { Self::new(self.tape, FAILED) } else { self }
    }

    /// As [`and`](Self::and), for integers.
    pub(crate) fn and_indices(self, indices: Indices<'t, T>) -> Self {
        if indices.is_failed() { Self::new(self.tape, FAILED) } else { self }
    }

    /// Records `op` on this handle and others.
    #[track_caller]
    pub(crate) fn record(self, op: impl Into<Op>, others: &[Self]) -> Self {
        self.record_with(op, others, &[])
    }

    /// Records `op` on this handle, others, and integers.
    #[track_caller]
    pub(crate) fn record_with(self, op: impl Into<Op>, others: &[Self], indices: &[Indices<'t, T>]) -> Self {
        let mut inputs = Inputs::new();
        let op = op.into();
        for operand in std::iter::once(&self).chain(others) {
            if operand.is_failed() {
                return Self::new(self.tape, FAILED);
            }
            if !std::ptr::eq(operand.tape, self.tape) {
                return self.fail(op.name(), Rule::TwoTapes);
            }
            inputs.push(Input::Node(operand.slot));
        }
        let mut integers: SmallVec<[u32; 2]> = SmallVec::new();
        for indices in indices {
            if indices.is_failed() {
                return Self::new(self.tape, FAILED);
            }
            if !std::ptr::eq(indices.tape, self.tape) {
                return self.fail(op.name(), Rule::TwoTapes);
            }
            integers.push(indices.slot);
        }
        Self::new(self.tape, (engine::<T>().record)(self.tape, op, &inputs, &integers, Location::caller()))
    }

    #[track_caller]
    pub(crate) fn record_op(self, op: Op, inputs: &[Input<T>]) -> Self {
        Self::new(self.tape, (engine::<T>().record)(self.tape, op, inputs, &[], Location::caller()))
    }

    #[track_caller]
    pub(crate) fn elementwise1(self, op: Elementwise) -> Self {
        if self.is_failed() { self } else { self.record_op(Op::Elementwise(op), &[Input::Node(self.slot)]) }
    }

    #[track_caller]
    pub(crate) fn elementwise2(self, op: Elementwise, other: Term<'t, T>) -> Self {
        Term::elementwise(op, [Term::Var(self), other]).on(self.tape)
    }

    /// xⁿ for an integer n, element by element.
    ///
    /// Derivative: n·xⁿ⁻¹.
    #[track_caller]
    pub fn powi(self, n: i32) -> Self {
        self.elementwise2(Elementwise::powi, Term::Number(T::from_f64(n.into())))
    }

    /// The n-th derivative of [`digamma`](Self::digamma), element by element.
    ///
    /// Derivative: polygamma of order n + 1.
    #[track_caller]
    pub fn polygamma(self, n: u32) -> Self {
        self.elementwise2(Elementwise::polygamma, Term::Number(T::from_f64(n.into())))
    }

    /// x between two bounds: min(max(x, low), high).
    ///
    /// Derivative: 1 inside, 0 outside, where a bound that is a handle gets 1; at the bounds as
    /// [`clamp_min`](Self::clamp_min) and [`clamp_max`](Self::clamp_max).
    #[track_caller]
    pub fn clamp(self, low: impl Into<Term<'t, T>>, high: impl Into<Term<'t, T>>) -> Self {
        self.clamp_min(low).clamp_max(high).called("clamp")
    }

    /// `x` where this is not zero, else `y`: the `where` of PyTorch and NumPy.
    ///
    /// Derivative: the gradient goes to the operand that was taken; the other gets exactly 0, even where its own
    /// derivative is infinite.
    /// Shapes: the three broadcast.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([-1.0_f32, 0.0, 4.0]);
    /// let root = x.gt(0.0).select(x.sqrt(), 0.0);
    /// assert_eq!(root.sum().backward()?.of(x)?.to_vec(), [0.0, 0.0, 0.25]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn select(self, x: impl Into<Term<'t, T>>, y: impl Into<Term<'t, T>>) -> Self {
        Term::elementwise(Elementwise::select, [Term::Var(self), x.into(), y.into()]).on(self.tape)
    }
}

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
    fn elementwise<const N: usize>(op: Elementwise, operands: [Self; N]) -> Self {
        let Some(first) = operands.iter().find_map(Term::var) else {
            let numbers: SmallVec<[T; 3]> = operands.iter().filter_map(Term::number).collect();
            return Term::Number(op.at(&numbers));
        };
        for var in operands.iter().filter_map(Term::var) {
            if var.is_failed() {
                return Term::Var(Var::new(first.tape, FAILED));
            }
            if !std::ptr::eq(var.tape, first.tape) {
                return Term::Var(first.fail(op.facts().name, Rule::TwoTapes));
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
    fn select(condition: Self, x: Self, y: Self) -> Self {
        Self::elementwise(Elementwise::select, [condition, x, y])
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

impl From<f32> for Term<'_, f32> {
    fn from(number: f32) -> Self {
        Term::Number(number)
    }
}

impl From<f64> for Term<'_, f64> {
    fn from(number: f64) -> Self {
        Term::Number(number)
    }
}

impl<'t, T: Float> From<Scalar<'t, T>> for Term<'t, T> {
    #[track_caller]
    fn from(scalar: Scalar<'t, T>) -> Self {
        match scalar.tape {
            Some(tape) if scalar.index < LIMIT => Term::Var(tape.from_scalars(&[scalar]).reshape(())),
            Some(tape) if scalar.index == FAILED => Term::Var(Var::new(tape, FAILED)),
            _ => Term::Number(scalar.number),
        }
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident)*) => {$(
        impl<'t, T: Float, X: Into<Term<'t, T>>> $trait<X> for Var<'t, T> {
            type Output = Self;
            #[track_caller]
            fn $method(self, rhs: X) -> Self {
                self.elementwise2(Elementwise::$method, rhs.into())
            }
        }

        impl<'t, T: Float, X: Into<Term<'t, T>>> $trait<X> for &Var<'t, T> {
            type Output = Var<'t, T>;
            #[track_caller]
            fn $method(self, rhs: X) -> Var<'t, T> {
                self.elementwise2(Elementwise::$method, rhs.into())
            }
        }

        impl<'t, T: Float> $trait<Var<'t, T>> for Scalar<'t, T> {
            type Output = Var<'t, T>;
            #[track_caller]
            fn $method(self, rhs: Var<'t, T>) -> Var<'t, T> {
                Term::elementwise(Elementwise::$method, [Term::from(self), Term::Var(rhs)]).on(rhs.tape)
            }
        }

        impl<T: Float> $trait for Term<'_, T> {
            type Output = Self;
            #[track_caller]
            fn $method(self, rhs: Self) -> Self {
                Self::elementwise(Elementwise::$method, [self, rhs])
            }
        }

        operator!(@number $trait $method f32);
        operator!(@number $trait $method f64);
    )*};
    (@number $trait:ident $method:ident $float:ident) => {
        impl<'t> $trait<Var<'t, $float>> for $float {
            type Output = Var<'t, $float>;
            #[track_caller]
            fn $method(self, rhs: Var<'t, $float>) -> Var<'t, $float> {
                Term::elementwise(Elementwise::$method, [Term::Number(self), Term::Var(rhs)]).on(rhs.tape)
            }
        }
    };
}

operator!(Add add Sub sub Mul mul Div div);

impl<T: Float> Neg for Var<'_, T> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        self.elementwise1(Elementwise::neg)
    }
}

impl<'t, T: Float> Neg for &Var<'t, T> {
    type Output = Var<'t, T>;
    #[track_caller]
    fn neg(self) -> Var<'t, T> {
        self.elementwise1(Elementwise::neg)
    }
}

impl<T: Float> Neg for Term<'_, T> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        Self::elementwise(Elementwise::neg, [self])
    }
}

impl<T: Float> fmt::Display for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Ok(value) => fmt::Display::fmt(&value, f),
            Err(error) => write!(f, "failed: {error}"),
        }
    }
}

impl<T: Float> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Ok(value) => fmt::Debug::fmt(&value, f),
            Err(error) => write!(f, "failed: {error}"),
        }
    }
}
