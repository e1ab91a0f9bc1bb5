//! `Indices`: the handle of integers on a tape, and what operations take for one.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::ops::integers::IntegerOp;
use crate::shape::Shape;
use crate::tape::{LIMIT, Source, Tape};
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;

/// Integers on a tape: class labels, tokens, places that an operation has found, such as [`sort`](crate::Var::sort) or
/// [`argmax`](crate::Var::argmax), and seeds of draws.
///
/// A handle: copying it copies no elements. Operations take it as they take a `Tensor<usize>`, which is data of the recording. In a
/// [`Program`](crate::Program) those that are arguments, and those that operations find, may be others at every run.
///
/// ```
/// use autograd::{Program, Tensor};
///
/// let table = Tensor::from([[0.0_f64, 1.0], [2.0, 3.0]]);
/// let mut sum = Program::record(&(table.clone(), Tensor::from([0, 0])), |_, (x, rows)| x.embedding(rows).sum())?;
/// assert_eq!(sum.value(&(table, Tensor::from([0, 1])))?, 6.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Indices<'t, T: Float = f32> {
    pub(crate) tape: &'t Tape<T>,
    pub(crate) slot: u32,
}

impl<T: Float> Tape<T> {
    /// Integers, as data.
    ///
    /// Shapes: that of the list.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// let labels = tape.indices([2, 0, 1]);
    /// assert_eq!(labels.shape(), [3].into());
    /// ```
    #[track_caller]
    pub fn indices(&self, list: impl Into<Tensor<usize>>) -> Indices<'_, T> {
        let slot = self.push_integers(IntegerOp::Leaf, Source::Nothing, Integers::new(list.into()));
        Indices { tape: self, slot }
    }
}

impl<'t, T: Float> Indices<'t, T> {
    /// Marks the tape: those of a failed operation.
    #[cold]
    pub(crate) fn failed(tape: &'t Tape<T>, error: Error) -> Self {
        Indices { tape, slot: tape.fail(error) }
    }

    /// A function of these, or a failure of `name`.
    #[track_caller]
    fn record(self, name: &'static str, op: IntegerOp) -> Self {
        if self.is_failed() {
            return self;
        }
        match self.tape.integers_of(self.slot, op) {
            Ok(slot) => Indices { slot, ..self },
            Err(kind) => self.fail(name, kind),
        }
    }

    /// The same integers in another shape.
    ///
    /// Shapes: any → `shape`, with as many integers.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 3.0], [5.0, 4.0]]);
    /// let largest = x.gather(1, x.argmax(1).reshape([2, 1]));
    /// assert_eq!(largest.value()?.to_vec(), [3.0, 5.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// A shape of another size marks the tape.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        self.record("reshape", IntegerOp::Reshape(shape.into()))
    }

    /// With an axis of size one.
    #[track_caller]
    pub(crate) fn unsqueeze(self, axis: isize) -> Self {
        match self.shape().with_inserted(axis) {
            Ok(to) => self.reshape(to),
            Err(kind) => self.fail("unsqueeze", kind),
        }
    }

    /// A single index as a list of one.
    #[track_caller]
    pub(crate) fn as_list(self) -> Self {
        if self.is_failed() || self.shape().rank() > 0 { self } else { self.reshape([1]) }
    }

    #[track_caller]
    pub(crate) fn broadcast_to(self, shape: Shape) -> Self {
        if self.shape() == shape { self } else { self.record("broadcast_to", IntegerOp::BroadcastTo(shape)) }
    }

    /// The integers themselves. A program's path holds for these alone, and with others it is recorded again.
    ///
    /// # Errors
    /// The failure that this depends on, if it is the result of a failed operation. On a tape
    /// [of shapes](Tape::of_shapes) those that an operation finds have no elements.
    #[track_caller]
    pub fn value(self) -> Result<Tensor<usize>> {
        self.ensure()?;
        if self.tape.with_integers(self.slot, |node| !matches!(node.op, IntegerOp::Leaf)) {
            self.tape.must_have_elements("value")?;
        }
        self.tape.look()?;
        self.tape.guard_integers(self.slot);
        Ok(self.tape.list(self.slot))
    }

    /// The size along each axis; no axes for the result of a failed operation.
    pub fn shape(self) -> Shape {
        match self.is_failed() {
            true => Shape::default(),
            false => self.tape.with_integers(self.slot, |node| node.value.shape().clone()),
        }
    }

    /// Whether this is the result of a failed operation.
    pub fn is_failed(self) -> bool {
        self.slot >= LIMIT
    }

    /// The tape this is on.
    pub fn tape(self) -> &'t Tape<T> {
        self.tape
    }

    /// # Errors
    /// When this is the result of a failed operation.
    #[track_caller]
    pub(crate) fn ensure(self) -> Result<()> {
        if self.is_failed() { self.tape.failed(self.slot) } else { Ok(()) }
    }

    #[cold]
    #[track_caller]
    pub(crate) fn fail(self, op: &'static str, kind: ErrorKind) -> Self {
        if self.is_failed() { self } else { Indices { slot: self.tape.fail(Error::new(op, kind)), ..self } }
    }
}

impl<T: Float> fmt::Debug for Indices<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Indices").field(&self.value()).finish()
    }
}

/// Integers as operations take them: [`Indices`], or a `Tensor<usize>` and what makes one, which are data.
pub trait AsIndices<'t, T: Float> {
    /// The handle on a tape.
    #[track_caller]
    fn on(&self, tape: &'t Tape<T>) -> Indices<'t, T>;
}

taken_as!(AsIndices, Indices, usize, indices);
