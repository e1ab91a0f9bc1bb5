//! Indices that may be others when a function is run again: those that it gets as an argument, and those that it finds.

use std::fmt;

use crate::error::Result;
use crate::float::Float;
use crate::forward::Tangents;
use crate::gradients::Gradients;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::{Gradient, Handle, Inputs, Part, PartMut};
use crate::var::Var;

/// Indices that a function gets as an argument, such as class labels or tokens, or that an operation has found, such as
/// [`sort`](Var::sort) or [`argmax`](Var::argmax).
///
/// Operations take them as they take a `Tensor<usize>`. In a [`Program`](crate::Program) they may be others at every run.
///
/// ```
/// use autograd::{Program, Tensor};
///
/// let table = Tensor::from([[0.0_f64, 1.0], [2.0, 3.0]]);
/// let mut sum = Program::record(&(table.clone(), Tensor::from([0, 0])), |_, (x, rows)| x.embedding(&rows).sum())?;
/// assert_eq!(sum.value(&(table, Tensor::from([0, 1])))?, 6.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone)]
pub struct Indices<'t, T: Float = f32> {
    tape: &'t Tape<T>,
    list: Tensor<usize>,
}

impl<'t, T: Float> Indices<'t, T> {
    pub(crate) fn new(tape: &'t Tape<T>, list: Tensor<usize>) -> Self {
        Indices { tape, list }
    }

    /// Those of a failed operation.
    pub(crate) fn none(tape: &'t Tape<T>) -> Self {
        Indices { tape, list: Tensor::zeros([0]) }
    }

    /// With an axis of size one, if there can be such.
    pub(crate) fn unsqueeze(&self, axis: isize) -> Self {
        Indices { tape: self.tape, list: self.list.unsqueeze(axis).unwrap_or_else(|_| self.list.clone()) }
    }

    /// The same indices in another shape.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 3.0], [5.0, 4.0]]);
    /// let largest = x.gather(1, &x.argmax(1)?.reshape([2, 1]));
    /// assert_eq!(largest.value()?.to_vec(), [3.0, 5.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// A shape of another size marks the tape.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        match self.list.reshape(shape) {
            Ok(list) => Indices { list, ..self },
            Err(error) => {
                self.tape.fail(error);
                Indices::none(self.tape)
            }
        }
    }

    /// The indices themselves. A program's path holds for these alone, and with others it is recorded again.
    pub fn value(&self) -> Tensor<usize> {
        self.tape.guard_indices(&self.list);
        self.list.clone()
    }

    /// The size along each axis.
    pub fn shape(&self) -> &Shape {
        self.list.shape()
    }
}

impl<T: Float> fmt::Debug for Indices<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Indices").field(&self.value()).finish()
    }
}

/// Indices as operations take them: [`Indices`], or a `Tensor<usize>` and what makes one.
pub trait AsIndices {
    /// For operations, which do not look at them but to find elements.
    #[doc(hidden)]
    fn places(&self) -> Tensor<usize>;
}

impl<T: Float> AsIndices for Indices<'_, T> {
    fn places(&self) -> Tensor<usize> {
        self.list.clone()
    }
}

impl<I: AsIndices + ?Sized> AsIndices for &I {
    fn places(&self) -> Tensor<usize> {
        (*self).places()
    }
}

macro_rules! as_indices {
    ($([$($of:tt)*] $list:ty),* $(,)?) => {$(
        impl<$($of)*> AsIndices for $list {
            fn places(&self) -> Tensor<usize> {
                self.to_owned().into()
            }
        }
    )*};
}

as_indices!([] Tensor<usize>, [] usize, [] Vec<usize>, [const A: usize] [usize; A], [const A: usize, const B: usize] [[usize; B]; A]);

impl AsIndices for [usize] {
    fn places(&self) -> Tensor<usize> {
        self.into()
    }
}

/// No derivative is taken of indices: what stands for it is zeros.
impl<'t, T: Float> Handle<'t, T> for Indices<'t, T> {
    type Value = Tensor<usize>;

    fn ensure(&self) -> Result<()> {
        Ok(())
    }
    fn peek(self) -> Tensor<usize> {
        self.value()
    }
    fn adjoint(self, _: &Gradient<'t, T>) -> Self {
        Indices { list: Tensor::zeros(self.list.shape()), ..self }
    }
    fn set_tangent(self, _: &'static str, _: Tensor<usize>, _: &mut Tangents<T>) -> Result<()> {
        Ok(())
    }
    fn tangent(self, _: &Tangents<T>) -> Tensor<usize> {
        Tensor::zeros(self.list.shape())
    }
}

impl<T: Float> Inputs<T> for Tensor<usize> {
    type Handles<'t>
        = Indices<'t, T>
    where
        T: 't;

    fn record<'t>(&self, tape: &'t Tape<T>) -> Indices<'t, T> {
        let list = self.contiguous();
        tape.know_indices(&list);
        Indices { tape, list }
    }
    fn record_data<'t>(&self, tape: &'t Tape<T>) -> Indices<'t, T> {
        self.record(tape)
    }
    fn gradients<'t>(&self, _: Indices<'t, T>, _: &Gradients<T>) -> Result<Self> {
        Ok(Inputs::<T>::zeros(self))
    }
    fn zeros(&self) -> Self {
        Tensor::zeros(self.shape())
    }
    fn has_form_of(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }
    fn tensors(&self) -> Vec<Tensor<T>> {
        Vec::new()
    }
    fn handles<'t>(&self, tape: &'t Tape<T>, _: &mut dyn Iterator<Item = Var<'t, T>>) -> Option<Indices<'t, T>> {
        Some(self.record(tape))
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>)) {
        show(Part::Indices(self));
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        show(PartMut::Indices(self));
    }
}
