//! Whole numbers that a module counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count of a module that is saved with it, such as the steps of an update rule. A layer may count while it runs: see
/// [`Tape::count`](crate::Tape::count).
///
/// ```
/// use autograd::Counter;
///
/// let steps = Counter::default();
/// steps.set(steps.get() + 1);
/// assert_eq!((steps.increment(), steps.get()), (2, 2));
/// ```
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A counter that begins at a count.
    pub fn new(count: u64) -> Self {
        Self(AtomicU64::new(count))
    }

    /// The count now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces the count.
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// Counts one more, also where other threads do; the count then.
    pub fn increment(&self) -> u64 {
        self.add(1)
    }

    pub(crate) fn add(&self, more: u64) -> u64 {
        self.0.fetch_add(more, Ordering::Relaxed).wrapping_add(more)
    }
}

impl Clone for Counter {
    fn clone(&self) -> Self {
        Self::new(self.get())
    }
}
