//! What code does with numbers besides recorded operations: comparisons that it branches on, numbers that it takes out.

use std::cell::Ref;

use super::{CONSTANT, LIMIT, Step, Tape};
use crate::float::Float;
use crate::scalar::Scalar;

/// A comparison that code branched on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// The entry of the comparison.
    pub comparison: u32,
    pub holds: bool,
    /// The number that was taken out of the recording, if that is what the comparison is with.
    pub read: Option<u64>,
}

/// What a program must know of a recording besides its operations.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    /// In the order of execution.
    pub outcomes: Vec<Outcome>,
    /// Leaves that stand for entries without their history, with those entries.
    pub detached: Vec<(u32, u32)>,
}

impl<T: Float> Tape<T> {
    #[inline(always)]
    pub(crate) fn is_guarding(&self) -> bool {
        self.mode.get().guarding
    }

    /// Remembers that code branched on a comparison.
    #[cold]
    pub(crate) fn guard(&self, comparison: Scalar<'_, T>, holds: bool, read: Option<u64>) {
        if comparison.index < LIMIT {
            self.guards.borrow_mut().outcomes.push(Outcome { comparison: comparison.index, holds, read });
        }
    }

    /// Remembers that code took a number out of the recording: its path holds for that very number.
    #[cold]
    pub(crate) fn guard_number(&self, x: Scalar<'_, T>) {
        let read = Some(x.number.to_f64().to_bits());
        match x.number.is_nan() {
            true => self.guard(x.ne(x), true, read),
            false => self.guard(x.eq(x.number), true, read),
        }
        if x.number == T::ZERO {
            let sign = Scalar::constant(T::ONE).copysign(x);
            self.guard(sign.eq(sign.number), true, read);
        }
    }

    /// The index of a number without its history: of none at all, except for a program, whose number may change.
    #[inline]
    pub(crate) fn detached(&self, index: u32, number: T) -> u32 {
        if !self.is_guarding() {
            return CONSTANT;
        }
        let leaf = self.push(number, 0, CONSTANT, Step::Leaf);
        self.guards.borrow_mut().detached.push((leaf, index));
        leaf
    }

    pub(crate) fn guards(&self) -> Ref<'_, Guards> {
        self.guards.borrow()
    }
}
