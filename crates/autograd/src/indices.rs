//! Indices as arguments: of a function that is differentiated, and of one that is recorded to be replayed.

use crate::error::Result;
use crate::float::Float;
use crate::forward::Tangents;
use crate::gradients::Gradients;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::{Gradient, Handle, Inputs, Part, PartMut};
use crate::var::Var;

/// Indices that a function gets as an argument: class labels, tokens, places.
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
#[derive(Debug, Clone)]
pub struct Indices<'t, T: Float> {
    tape: &'t Tape<T>,
    list: Tensor<usize>,
}

impl<T: Float> Indices<'_, T> {
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

/// Indices as operations take them: a `Tensor<usize>`, or an argument of a function.
pub trait AsIndices {
    /// For operations, which do not look at them but to find elements.
    #[doc(hidden)]
    fn places(&self) -> &Tensor<usize>;

    /// For code that computes with them.
    #[doc(hidden)]
    fn read(&self) -> Tensor<usize>;
}

impl AsIndices for Tensor<usize> {
    fn places(&self) -> &Tensor<usize> {
        self
    }
    fn read(&self) -> Tensor<usize> {
        self.clone()
    }
}

impl<T: Float> AsIndices for Indices<'_, T> {
    fn places(&self) -> &Tensor<usize> {
        &self.list
    }
    fn read(&self) -> Tensor<usize> {
        self.value()
    }
}

/// No derivative is taken of indices: what stands for it is zeros.
impl<'t, T: Float> Handle<'t, T> for Indices<'t, T> {
    type Value = Tensor<usize>;

    fn ensure(&self) -> Result<()> {
        Ok(())
    }
    fn peek(self) -> Tensor<usize> {
        self.list
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
