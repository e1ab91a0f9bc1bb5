//! Learning rates as functions of the step.
//!
//! A schedule has no state: `adam.set_rate(schedule.rate(step))` before each step, counted from zero, and a training that
//! goes on from step 1000 has the right rate. Schedules compose: [`with_warmup`](Schedule::with_warmup),
//! [`then`](Schedule::then), [`times`](Schedule::times).

mod cycle;
mod decay;
mod join;

pub use cycle::{Anneal, CosineRestarts, OneCycle};
pub use decay::{Constant, Cosine, Exponential, Linear, MultiStep, Polynomial, StepDecay};
pub use join::{Lambda, Then, Times};

/// A learning rate for every step.
///
/// ```
/// use optim::schedule::{Constant, Linear, Schedule};
///
/// let schedule = Constant(0.1).then(100, Linear { rate: 0.1, last: 0.0, steps: 50 });
/// assert_eq!([0, 99, 125, 150, 999].map(|step| schedule.rate(step)), [0.1, 0.1, 0.05, 0.0, 0.0]);
/// ```
pub trait Schedule {
    /// The learning rate of a step, counted from zero.
    fn rate(&self, step: usize) -> f64;

    /// This one, and from step `at` on `next`, which counts from zero there.
    fn then<S: Schedule>(self, at: usize, next: S) -> Then<Self, S>
    where
        Self: Sized,
    {
        Then { first: self, at, next }
    }

    /// The product of both: one gives the rate, the other a factor.
    fn times<S: Schedule>(self, factor: S) -> Times<Self, S>
    where
        Self: Sized,
    {
        Times(self, factor)
    }

    /// Rises linearly to what this schedule gives, in the first `steps` steps: times (t + 1)/steps in step t.
    ///
    /// Goyal et al., *Accurate, large minibatch SGD: training ImageNet in 1 hour*, 2017.
    fn with_warmup(self, steps: usize) -> Times<Self, Linear>
    where
        Self: Sized,
    {
        let steps = steps.max(1);
        self.times(Linear { rate: 1.0 / steps as f64, last: 1.0, steps: steps - 1 })
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn rate(&self, step: usize) -> f64 {
        (**self).rate(step)
    }
}

impl<S: Schedule + ?Sized> Schedule for &S {
    fn rate(&self, step: usize) -> f64 {
        (**self).rate(step)
    }
}

/// How far step `step` of `steps` is, from 0 to 1.
fn progress(step: usize, steps: usize) -> f64 {
    if step >= steps { 1.0 } else { step as f64 / steps as f64 }
}

/// From `start` to `end` along half a period of the cosine.
fn half_cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) * (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warmup_ends_at_the_schedule() {
        let schedule = Constant(0.4).with_warmup(4);
        assert_eq!(
            [0, 1, 2, 3, 4, 100].map(|step| schedule.rate(step)),
            [0.1, 0.2, 0.30000000000000004, 0.4, 0.4, 0.4]
        );
        assert_eq!(Constant(0.4).with_warmup(0).rate(0), 0.4);
        assert_eq!(Constant(0.4).with_warmup(1).rate(0), 0.4);
    }

    #[test]
    fn schedules_can_be_chosen_at_run_time() {
        let all: Vec<Box<dyn Schedule>> = vec![Box::new(Constant(1.0)), Box::new(Lambda(|step| step as f64))];
        assert_eq!(all.iter().map(|schedule| schedule.rate(3)).collect::<Vec<_>>(), [1.0, 3.0]);
        let borrowed = (&all[1]).times(Constant(2.0));
        assert_eq!(borrowed.rate(3), 6.0);
    }

    #[test]
    fn no_setting_divides_by_zero() {
        let rates = [
            StepDecay { rate: 0.1, every: 0, factor: 0.5 }.rate(3),
            Linear { rate: 0.1, last: 0.05, steps: 0 }.rate(0),
            Cosine { rate: 0.1, last: 0.05, steps: 0 }.rate(0),
            Polynomial { rate: 0.1, last: 0.05, steps: 0, power: 2.0 }.rate(0),
            CosineRestarts { rate: 0.1, last: 0.05, period: 0, growth: 0 }.rate(7),
            OneCycle::new(0.1, 0).rate(0),
            OneCycle::new(0.1, 1).rate(5),
        ];
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0), "{rates:?}");
    }
}
