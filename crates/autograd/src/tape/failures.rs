//! The operations that failed, and which of them a handle depends on.
//!
//! A failed handle is an index above all entries: that of the first failure is the highest, and those of later ones lie below
//! it. So a handle says by itself what stopped it, and of two failed operands the higher index is the earlier failure.

use std::panic::Location;

use super::Tape;
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::tape::{CONSTANT, LIMIT};

/// The index of what depends on the first failure.
const FIRST: u32 = CONSTANT - 1;
/// So many failures keep an error of their own: code that goes on in a loop does not fill the memory with them.
const MAX_KEPT: usize = 256;

const _: () = assert!(FIRST - MAX_KEPT as u32 >= LIMIT);

/// Whether an index is that of the result of a failed operation.
#[inline(always)]
pub(crate) const fn is_failed(index: u32) -> bool {
    // All from `LIMIT` to `FIRST`: as signed numbers those below `CONSTANT`, which is −1.
    (index as i32) < CONSTANT as i32
}

impl<T: Float> Tape<T> {
    /// The first operation that failed, if any did.
    pub fn failure(&self) -> Option<Error> {
        self.failures.borrow().first().cloned()
    }

    /// The operations that failed by themselves, not because an operand had failed, in the order in which they did; of more
    /// than 256 different ones the first 256.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::<f32>::new();
    /// let x = tape.var(Tensor::zeros([2, 3]));
    /// let (wrong, also_wrong) = (x.reshape([7]), x.matmul(x));
    /// let ops: Vec<&str> = tape.failures().iter().map(|failure| failure.op).collect();
    /// assert_eq!(ops, ["reshape", "matmul"]);
    ///
    /// // Each result reports what it depends on, and what had failed before.
    /// assert_eq!(wrong.tanh().value().unwrap_err().op, "reshape");
    /// let error = also_wrong.tanh().value().unwrap_err();
    /// assert_eq!((error.op, error.earlier.map(|first| first.op)), ("matmul", Some("reshape")));
    /// assert!(x.tanh().value().is_ok());
    /// ```
    pub fn failures(&self) -> Vec<Error> {
        self.failures.borrow().clone()
    }

    /// Marks the tape and gives the index of a failed handle.
    ///
    /// What has failed before in the same way, as in a loop, is no new failure. Those that find no room share an index.
    #[cold]
    pub(crate) fn fail(&self, error: Error) -> u32 {
        let error = Error { earlier: None, ..error };
        let mut failures = self.failures.borrow_mut();
        let place = match failures.iter().position(|known| *known == error) {
            Some(known) => known,
            None if failures.len() == MAX_KEPT => MAX_KEPT,
            None => {
                failures.push(error);
                failures.len() - 1
            }
        };
        FIRST - place as u32
    }

    /// The index here of a handle that failed on any tape: this one takes over the failure of another.
    #[cold]
    pub(crate) fn fail_as(&self, tape: &Self, index: u32) -> u32 {
        if std::ptr::eq(self, tape) { index } else { self.fail(tape.failure_of(index)) }
    }

    /// Names a method of which the failed operation is a part, if it failed at the line that called the method.
    #[cold]
    pub(crate) fn failed_in(&self, index: u32, op: &'static str, location: &'static Location<'static>) {
        let mut failures = self.failures.borrow_mut();
        if let Some(failure) = failures.get_mut((FIRST - index) as usize).filter(|failure| failure.location == location)
        {
            failure.op = op;
        }
    }

    /// The failure that stopped a handle, with the first one on the tape where that is another.
    #[track_caller]
    pub(crate) fn failure_of(&self, index: u32) -> Error {
        let failures = self.failures.borrow();
        let place = (FIRST - index) as usize;
        let failure = match failures.get(place) {
            Some(failure) => failure.clone(),
            None if place == MAX_KEPT => {
                let why =
                    format!("an operation failed after {MAX_KEPT} others on the same tape, which keeps no more errors");
                Error::new("value", ErrorKind::Custom(why))
            }
            None => Error::new("value", ErrorKind::NoTape),
        };
        let earlier = failures.first().filter(|_| place > 0).cloned().map(Box::new);
        Error { earlier, ..failure }
    }

    /// The failure that stopped a handle, as a result.
    #[track_caller]
    pub(crate) fn failed<R>(&self, index: u32) -> Result<R> {
        Err(self.failure_of(index))
    }
}
