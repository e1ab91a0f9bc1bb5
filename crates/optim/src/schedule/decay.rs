//! Rates that fall (or rise) once.

use super::{Schedule, half_cosine, progress};

/// The same rate in every step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant(
    /// The rate.
    pub f64,
);

impl Schedule for Constant {
    fn rate(&self, _: usize) -> f64 {
        self.0
    }
}

/// rate·factor^⌊t/every⌋: a stair. `every` = 0 counts as 1.
///
/// ```
/// use optim::schedule::{Schedule, StepDecay};
///
/// let schedule = StepDecay { rate: 1.0, every: 10, factor: 0.5 };
/// assert_eq!([0, 9, 10, 20].map(|step| schedule.rate(step)), [1.0, 1.0, 0.5, 0.25]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepDecay {
    /// The first rate.
    pub rate: f64,
    /// Steps on each stair.
    pub every: usize,
    /// From one stair to the next.
    pub factor: f64,
}

impl Schedule for StepDecay {
    fn rate(&self, step: usize) -> f64 {
        self.rate * self.factor.powf((step / self.every.max(1)) as f64)
    }
}

/// rate·factorᵏ, where k milestones have been reached.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiStep {
    /// The first rate.
    pub rate: f64,
    /// Steps at which the rate changes, in any order; one given twice counts twice.
    pub milestones: Vec<usize>,
    /// At each milestone.
    pub factor: f64,
}

impl Schedule for MultiStep {
    fn rate(&self, step: usize) -> f64 {
        let reached = self.milestones.iter().filter(|&&milestone| milestone <= step).count();
        self.rate * self.factor.powf(reached as f64)
    }
}

/// rate·factorᵗ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponential {
    /// The first rate.
    pub rate: f64,
    /// From one step to the next.
    pub factor: f64,
}

impl Schedule for Exponential {
    fn rate(&self, step: usize) -> f64 {
        self.rate * self.factor.powf(step as f64)
    }
}

/// From `rate` to `last` along a line, in `steps` steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    /// The first rate.
    pub rate: f64,
    /// The rate from step `steps` on.
    pub last: f64,
    /// Steps from the one to the other.
    pub steps: usize,
}

impl Schedule for Linear {
    fn rate(&self, step: usize) -> f64 {
        if step >= self.steps { self.last } else { self.rate + (self.last - self.rate) * progress(step, self.steps) }
    }
}

/// From `rate` to `last` along half a cosine: last + (rate − last)·(1 + cos(πt/steps))/2.
///
/// Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, ICLR 2017, without restarts. From step
/// `steps` on the rate stays, where PyTorch's would rise again.
///
/// ```
/// use optim::schedule::{Cosine, Schedule};
///
/// let schedule = Cosine { rate: 1.0, last: 0.0, steps: 100 };
/// assert_eq!((schedule.rate(0), schedule.rate(100), schedule.rate(150)), (1.0, 0.0, 0.0));
/// assert!((schedule.rate(50) - 0.5).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosine {
    /// The first rate.
    pub rate: f64,
    /// The rate from step `steps` on.
    pub last: f64,
    /// Steps from the one to the other.
    pub steps: usize,
}

impl Schedule for Cosine {
    fn rate(&self, step: usize) -> f64 {
        half_cosine(self.rate, self.last, progress(step, self.steps))
    }
}

/// From `rate` to `last` along a power: last + (rate − last)·(1 − t/steps)^power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Polynomial {
    /// The first rate.
    pub rate: f64,
    /// The rate from step `steps` on.
    pub last: f64,
    /// Steps from the one to the other.
    pub steps: usize,
    /// 1 is a line; larger powers fall fast and then flatten.
    pub power: f64,
}

impl Schedule for Polynomial {
    fn rate(&self, step: usize) -> f64 {
        self.last + (self.rate - self.last) * (1.0 - progress(step, self.steps)).powf(self.power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polynomial_of_power_one_is_a_line() {
        let line = Linear { rate: 0.8, last: 0.2, steps: 3 };
        let polynomial = Polynomial { rate: 0.8, last: 0.2, steps: 3, power: 1.0 };
        assert!((0..6).all(|step| (line.rate(step) - polynomial.rate(step)).abs() < 1e-15));
        let square = Polynomial { power: 2.0, ..polynomial };
        assert!((square.rate(1) - (0.2 + 0.6 * 4.0 / 9.0)).abs() < 1e-15);
    }
}
