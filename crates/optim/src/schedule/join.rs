//! Schedules made of schedules, and of closures.

use super::Schedule;

/// One schedule and then another: see [`Schedule::then`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Then<A, B> {
    pub(super) first: A,
    pub(super) at: usize,
    pub(super) next: B,
}

impl<A: Schedule, B: Schedule> Schedule for Then<A, B> {
    fn rate(&self, step: usize) -> f64 {
        step.checked_sub(self.at).map_or_else(|| self.first.rate(step), |step| self.next.rate(step))
    }
}

/// The product of two schedules: see [`Schedule::times`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times<A, B>(pub(super) A, pub(super) B);

impl<A: Schedule, B: Schedule> Schedule for Times<A, B> {
    fn rate(&self, step: usize) -> f64 {
        self.0.rate(step) * self.1.rate(step)
    }
}

/// Any function of the step.
///
/// ```
/// use optim::schedule::{Lambda, Schedule};
///
/// let inverse_root = Lambda(|step| 0.1 / (1.0 + step as f64).sqrt());
/// assert_eq!(inverse_root.rate(3), 0.05);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Lambda<F: Fn(usize) -> f64>(
    /// The rate of a step, counted from zero.
    pub F,
);

impl<F: Fn(usize) -> f64> Schedule for Lambda<F> {
    fn rate(&self, step: usize) -> f64 {
        (self.0)(step)
    }
}
