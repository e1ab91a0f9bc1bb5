//! The values that steps hand to each other.

use smallvec::SmallVec;

use crate::float::Float;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;

/// Where a value stands between steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::program) enum StoreSlot {
    Number(u32),
    Tensor(u32),
    Integers(u32),
}

/// The values that steps hand to each other.
#[derive(Debug)]
pub(in crate::program) struct Store<T: Float> {
    pub numbers: Vec<T>,
    /// What nobody needs any more is `None`, and its buffer is in the pool.
    pub tensors: Vec<Option<Tensor<T>>>,
    pub integers: Vec<Option<Integers>>,
}

impl<T: Float> Store<T> {
    pub fn number(&self, place: StoreSlot) -> T {
        match place {
            StoreSlot::Number(place) => self.numbers[place as usize],
            StoreSlot::Tensor(place) => {
                self.tensors[place as usize].as_ref().and_then(|x| x.iter().next()).unwrap_or(T::NAN)
            }
            StoreSlot::Integers(_) => T::NAN,
        }
    }

    pub fn tensor(&self, place: StoreSlot) -> Option<&Tensor<T>> {
        match place {
            StoreSlot::Tensor(place) => self.tensors[place as usize].as_ref(),
            StoreSlot::Number(_) | StoreSlot::Integers(_) => None,
        }
    }

    /// The tensors among some operands.
    pub fn operands(&self, places: &[StoreSlot]) -> SmallVec<[Tensor<T>; 4]> {
        places.iter().filter_map(|&place| self.tensor(place).cloned()).collect()
    }

    /// The integers among some operands.
    pub fn integers(&self, places: &[StoreSlot]) -> SmallVec<[Integers; 1]> {
        places.iter().filter_map(|&place| self.integers_at(place).cloned()).collect()
    }

    pub fn integers_at(&self, place: StoreSlot) -> Option<&Integers> {
        match place {
            StoreSlot::Integers(place) => self.integers[place as usize].as_ref(),
            StoreSlot::Number(_) | StoreSlot::Tensor(_) => None,
        }
    }

    pub fn put_integers(&mut self, place: StoreSlot, integers: Integers) {
        if let StoreSlot::Integers(place) = place {
            self.integers[place as usize] = Some(integers);
        }
    }

    pub fn put_number(&mut self, place: StoreSlot, number: T) {
        if let StoreSlot::Number(place) = place {
            self.numbers[place as usize] = number;
        }
    }

    pub fn put(&mut self, place: StoreSlot, tensor: Tensor<T>) {
        if let StoreSlot::Tensor(place) = place {
            self.tensors[place as usize] = Some(tensor);
        }
    }
}
