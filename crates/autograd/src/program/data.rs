//! The arguments and results of a program, taken apart into numbers and tensors.

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::scalar::Scalar;
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
    /// What else a recording depends on: the modes of layers.
    pub settings: Vec<bool>,
}

/// The same, seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'d, T: Float> {
    pub numbers: &'d [T],
    pub tensors: &'d [Tensor<T>],
    pub places: &'d [Tensor<usize>],
}

impl<'d, T: Float> Parts<'d, T> {
    pub fn of(numbers: &'d [T], tensors: &'d [Tensor<T>]) -> Self {
        Parts { numbers, tensors, places: &[] }
    }
}

/// The same on a recording.
#[derive(Clone, Debug)]
pub(super) struct Ends<'t, T: Float> {
    pub numbers: Vec<Scalar<'t, T>>,
    pub tensors: Vec<Var<'t, T>>,
}

impl<T: Float> Default for Data<T> {
    fn default() -> Self {
        Data { numbers: Vec::new(), tensors: Vec::new(), places: Vec::new(), settings: Vec::new() }
    }
}

impl<T: Float> Data<T> {
    #[inline]
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.tensors.clear();
        self.places.clear();
        self.settings.clear();
    }

    /// Appends the parts of some arguments.
    pub fn take<X: Inputs<T>>(&mut self, x: &X) {
        x.parts(&mut |part| match part {
            Part::Numbers(part) => self.numbers.extend_from_slice(part),
            Part::Tensor(tensor) => self.tensors.push(tensor.clone()),
            Part::Indices(indices) => self.places.push(indices.contiguous()),
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

/// Writes numbers, tensors and indices into arguments of their form.
pub(super) fn put<T: Float, X: Inputs<T>>(x: &mut X, data: Parts<'_, T>) {
    let (mut numbers, mut tensors, mut places) = (data.numbers, data.tensors.iter(), data.places.iter());
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
        PartMut::Indices(indices) => {
            if let Some(found) = places.next() {
                *indices = found.clone();
            }
        }
    });
}

/// How many numbers there are, in tensors too.
pub(super) fn count<T: Float, X: Inputs<T>>(x: &X) -> usize {
    let mut count = 0;
    x.parts(&mut |part| match part {
        Part::Numbers(numbers) => count += numbers.len(),
        Part::Tensor(tensor) => count += tensor.len(),
        Part::Indices(_) => {}
    });
    count
}

/// Whether there is anything else than numbers.
pub(super) fn has_tensors<T: Float, X: Inputs<T>>(x: &X) -> bool {
    let mut found = false;
    x.parts(&mut |part| found |= !matches!(part, Part::Numbers(_)));
    found
}

/// Appends all numbers of the arguments, in their order.
pub(super) fn flatten<T: Float, X: Inputs<T>>(x: &X, numbers: &mut Vec<T>) {
    x.parts(&mut |part| match part {
        Part::Numbers(part) => numbers.extend_from_slice(part),
        Part::Tensor(tensor) => numbers.extend(tensor.iter()),
        Part::Indices(_) => {}
    });
}

/// One for the k-th of all numbers of the arguments, zero for the others.
pub(super) fn one_at<T: Float, X: Inputs<T>>(x: &X, k: usize) -> X {
    let mut unit = x.zeros();
    let mut before = 0;
    unit.parts_mut(&mut |part| {
        let elements = match part {
            PartMut::Numbers(part) => part,
            PartMut::Tensor(tensor) => tensor.as_mut_slice(),
            PartMut::Indices(_) => return,
        };
        if let Some(one) = k.checked_sub(before).and_then(|k| elements.get_mut(k)) {
            *one = T::ONE;
        }
        before += elements.len();
    });
    unit
}

/// Appends the numbers of arguments without tensors.
#[track_caller]
pub(super) fn take<T: Float, X: Inputs<T>>(x: &X, numbers: &mut Vec<T>) -> Result<()> {
    let mut tensor = None;
    x.parts(&mut |part| match part {
        Part::Numbers(part) => numbers.extend_from_slice(part),
        Part::Tensor(found) => tensor = Some(found.shape().clone()),
        Part::Indices(found) => tensor = Some(found.shape().clone()),
    });
    match tensor {
        None => Ok(()),
        Some(shape) => {
            let why = format!("an argument is a tensor of shape {shape}: many inputs at once are of numbers");
            Err(Error::new("program", Rule::NotReplayable { why }))
        }
    }
}
