//! The list of integers: indices, labels and seeds, each of which is one operation of the recording.

use std::cell::Ref;
use std::panic::Location;

use smallvec::SmallVec;

use super::{Step, Tape, is_failed};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::Indices;
use crate::ops::Saved;
use crate::ops::integers::IntegerOp;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;

/// What integers are a function of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    Nothing,
    Node(u32),
    Integers(u32),
}

/// One operation whose value is integers.
#[derive(Debug)]
pub(crate) struct IntegerNode {
    pub op: IntegerOp,
    pub source: Source,
    pub value: Integers,
    /// The caller's line.
    pub location: &'static Location<'static>,
    /// Its place in the order of execution.
    pub entry: u32,
}

impl<T: Float> Tape<T> {
    /// Writes integers and returns their index.
    #[track_caller]
    pub(crate) fn push_integers(&self, op: IntegerOp, source: Source, value: Integers) -> u32 {
        let mut integers = self.integers.borrow_mut();
        let slot = integers.len() as u32;
        let entry = self.push(T::ZERO, 0, slot, Step::Integers);
        if is_failed(entry) {
            return entry;
        }
        integers.push(IntegerNode { op, source, value, location: Location::caller(), entry });
        slot
    }

    pub(crate) fn set_integers(&self, slot: u32, value: Integers) {
        self.integers.borrow_mut()[slot as usize].value = value;
    }

    #[inline]
    pub(crate) fn with_integers<R>(&self, slot: u32, read: impl FnOnce(&IntegerNode) -> R) -> R {
        read(&self.integers.borrow()[slot as usize])
    }

    /// All integers. Nothing may be recorded while they are borrowed.
    #[inline]
    pub(crate) fn all_integers(&self) -> Ref<'_, Vec<IntegerNode>> {
        self.integers.borrow()
    }

    /// The value of a function of other integers, recorded.
    #[track_caller]
    pub(crate) fn integers_of(&self, slot: u32, op: IntegerOp) -> Result<u32, ErrorKind> {
        let value = self.with_integers(slot, |node| op.of_integers(&node.value))?;
        Ok(self.push_integers(op, Source::Integers(slot), value))
    }

    /// The values of integers that an operation takes.
    pub(crate) fn values_of(&self, slots: &[u32]) -> SmallVec<[Integers; 1]> {
        let integers = self.integers.borrow();
        slots.iter().map(|&slot| integers[slot as usize].value.clone()).collect()
    }

    /// The integers that the operation of a node keeps, as a result of it.
    #[track_caller]
    pub(crate) fn integers_kept_by(&self, of: u32) -> Option<Indices<'_, T>> {
        match self.saved(of) {
            Saved::Integers(kept) => {
                Some(Indices { tape: self, slot: self.push_integers(IntegerOp::Kept, Source::Node(of), kept) })
            }
            _ => None,
        }
    }

    /// The elements of integers.
    pub(crate) fn list(&self, slot: u32) -> Tensor<usize> {
        self.with_integers(slot, |node| node.value.list.clone())
    }
}
