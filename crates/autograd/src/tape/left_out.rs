//! Values that are left out: for a program, operations on tensors are recorded by their shapes alone, and computed up to there
//! when code looks at a value.

use super::{LIMIT, Tape};
use crate::engine::engine;
use crate::error::Result;
use crate::float::Float;
use crate::scalar::Scalar;

/// Which entries of a recording for a program have no value yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeftOut {
    /// The first that has none; all entries behind it may depend on it.
    from: usize,
    /// Whether there has been one. If so, a handle may carry a number that was unknown when it was made.
    ever: bool,
}

impl Default for LeftOut {
    fn default() -> Self {
        LeftOut { from: usize::MAX, ever: false }
    }
}

impl<T: Float> Tape<T> {
    /// Notes that a node has no value, as it is on a tape that leaves them out.
    pub(crate) fn leave_out_node(&self, slot: u32) {
        if self.is_hollow() && slot < LIMIT {
            self.leave_out(self.with_node(slot, |node| node.entry));
        }
    }

    /// The same of integers.
    pub(crate) fn leave_out_integers(&self, slot: u32) {
        if self.is_hollow() && slot < LIMIT {
            self.leave_out(self.with_integers(slot, |node| node.entry));
        }
    }

    fn leave_out(&self, entry: u32) {
        if self.is_guarding() {
            let from = self.left_out.get().from.min(entry as usize);
            self.left_out.set(LeftOut { from, ever: true });
        }
    }

    /// Notes a new entry, whose value was made from numbers in handles.
    pub(super) fn leave_out_with_others(&self, entry: usize) {
        let LeftOut { from, ever } = self.left_out.get();
        if ever && entry < from {
            self.left_out.set(LeftOut { from: entry, ever });
        }
    }

    /// Computes what was left out, for code that looks at a value.
    ///
    /// # Errors
    /// The first operation that fails on these values, which fails the recording.
    pub(crate) fn look(&self) -> Result<()> {
        let LeftOut { from, ever } = self.left_out.get();
        if from >= self.len() {
            return Ok(());
        }
        (engine::<T>().compute)(self, from).inspect_err(|error| _ = self.fail(error.clone()))?;
        self.left_out.set(LeftOut { from: usize::MAX, ever });
        Ok(())
    }

    /// The number behind a handle, once what was left out is computed.
    pub(crate) fn number_of(&self, x: Scalar<'_, T>) -> T {
        if x.index < LIMIT { self.entry(x.index as usize).value } else { x.number }
    }
}
