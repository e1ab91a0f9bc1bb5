//! The arguments and results of a program, taken apart into numbers and tensors.

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::transform::{Inputs, Part, PartMut};
use crate::var::Var;

/// Numbers and tensors, each in their order.
#[derive(Clone, Debug)]
pub(super) struct Data<T: Float> {
    pub numbers: Vec<T>,
    pub tensors: Vec<Tensor<T>>,
    /// Indices, contiguous.
    pub places: Vec<Tensor<usize>>,
}

/// The same on a recording.
#[derive(Clone, Debug)]
pub(super) struct Ends<'t, T: Float> {
    pub numbers: Vec<Scalar<'t, T>>,
    pub tensors: Vec<Var<'t, T>>,
}

impl<T: Float> Default for Data<T> {
    fn default() -> Self {
        Data { numbers: Vec::new(), tensors: Vec::new(), places: Vec::new() }
    }
}

impl<T: Float> Data<T> {
    #[inline]
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.tensors.clear();
        self.places.clear();
    }

    /// Appends the parts of some arguments.
    pub fn take<X: Inputs<T>>(&mut self, x: &X) {
        x.parts(&mut |part| match part {
            Part::Numbers(part) => self.numbers.extend_from_slice(part),
            Part::Tensor(tensor) => self.tensors.push(tensor.clone()),
        });
    }
}

impl<'t, T: Float> Ends<'t, T> {
    pub fn number(x: Scalar<'t, T>) -> Self {
        Self::numbers(vec![x])
    }

    pub fn numbers(numbers: Vec<Scalar<'t, T>>) -> Self {
        Ends { numbers, tensors: Vec::new() }
    }

    pub fn tensor(x: Var<'t, T>) -> Self {
        Ends { numbers: Vec::new(), tensors: vec![x] }
    }

    /// All as numbers.
    pub fn into_numbers(self) -> Vec<Scalar<'t, T>> {
        let elements = self.tensors.into_iter().flat_map(Var::to_scalars);
        self.numbers.into_iter().chain(elements).collect()
    }

    /// These and others after them.
    pub fn and(mut self, others: Self) -> Self {
        self.numbers.extend(others.numbers);
        self.tensors.extend(others.tensors);
        self
    }
}

/// Writes numbers and tensors into arguments of their form.
pub(super) fn put<T: Float, X: Inputs<T>>(x: &mut X, mut numbers: &[T], tensors: &[Tensor<T>]) {
    let mut tensors = tensors.iter();
    x.parts_mut(&mut |part| match part {
        PartMut::Numbers(part) => {
            let (these, rest) = numbers.split_at(part.len().min(numbers.len()));
            part[..these.len()].copy_from_slice(these);
            numbers = rest;
        }
        PartMut::Tensor(tensor) => {
            if let Some(found) = tensors.next() {
                *tensor = found.clone();
            }
        }
    });
}

/// How many numbers, and the shapes of all tensors.
pub(super) fn form<'x, T: Float, X: Inputs<T>>(x: &'x X, shape: &mut dyn FnMut(&'x Shape)) -> usize {
    let mut count = 0;
    x.parts(&mut |part| match part {
        Part::Numbers(numbers) => count += numbers.len(),
        Part::Tensor(tensor) => shape(tensor.shape()),
    });
    count
}

/// How many numbers there are, in tensors too.
pub(super) fn count<T: Float, X: Inputs<T>>(x: &X) -> usize {
    let mut elements = 0;
    form(x, &mut |shape| elements += shape.len()) + elements
}

/// Appends the numbers of arguments without tensors.
#[track_caller]
pub(super) fn take<T: Float, X: Inputs<T>>(x: &X, numbers: &mut Vec<T>) -> Result<()> {
    let mut tensor = None;
    x.parts(&mut |part| match part {
        Part::Numbers(part) => numbers.extend_from_slice(part),
        Part::Tensor(found) => tensor = Some(found.shape().clone()),
    });
    match tensor {
        None => Ok(()),
        Some(shape) => {
            let why = format!("an argument is a tensor of shape {shape}: many inputs at once are of numbers");
            Err(Error::new("program", Rule::NotReplayable { why }))
        }
    }
}
