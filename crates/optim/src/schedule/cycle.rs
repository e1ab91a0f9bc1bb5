//! Rates that rise and fall.

use super::{Schedule, half_cosine};

/// From `rate` to `last` along half a cosine, again and again, each time `growth` times longer.
///
/// `period` = 0 and `growth` = 0 count as 1.
///
/// ```
/// use optim::schedule::{CosineRestarts, Schedule};
///
/// let schedule = CosineRestarts { rate: 1.0, last: 0.0, period: 10, growth: 2 };
/// assert_eq!([0, 10, 30].map(|step| schedule.rate(step)), [1.0, 1.0, 1.0]);
/// assert!(schedule.rate(29) < 0.01);
/// ```
///
/// Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, ICLR 2017.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CosineRestarts {
    /// The rate after each restart.
    pub rate: f64,
    /// What each period falls towards.
    pub last: f64,
    /// Steps of the first period.
    pub period: usize,
    /// From one period to the next.
    pub growth: usize,
}

impl Schedule for CosineRestarts {
    fn rate(&self, step: usize) -> f64 {
        let (mut since, mut period) = (step, self.period.max(1));
        if self.growth <= 1 {
            since %= period;
        }
        while since >= period {
            since -= period;
            period = period.saturating_mul(self.growth);
        }
        half_cosine(self.rate, self.last, since as f64 / period as f64)
    }
}

/// The form of a rise or fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anneal {
    /// Half a cosine.
    #[default]
    Cosine,
    /// A line.
    Linear,
}

impl Anneal {
    fn between(self, start: f64, end: f64, progress: f64) -> f64 {
        match self {
            Anneal::Cosine => half_cosine(start, end, progress),
            Anneal::Linear => start + (end - start) * progress,
        }
    }
}

/// One rise to a high rate and one fall far below the first: trains fast, and the high rate regularises.
///
/// From rate/`start_divisor` up to rate within `rise` of all steps, then down to rate/`start_divisor`/`last_divisor`; with
/// `three_phases` the fall goes first, as slowly as the rise, to where the rise began.
///
/// ```
/// use optim::schedule::{OneCycle, Schedule};
///
/// let schedule = OneCycle::new(0.1, 1000);
/// let rates = [0, 299, 999].map(|step| schedule.rate(step));
/// assert!((rates[0] - 0.004).abs() < 1e-12 && (rates[1] - 0.1).abs() < 1e-12 && rates[2] < 1e-6);
/// ```
///
/// Smith and Topin, *Super-convergence: very fast training of neural networks using large learning rates*, 2018. The
/// defaults are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    /// The highest rate.
    pub rate: f64,
    /// All steps.
    pub steps: usize,
    /// The part of all steps in which the rate rises. Default: 0.3.
    pub rise: f64,
    /// The highest rate over the first one. Default: 25.
    pub start_divisor: f64,
    /// The first rate over the last one. Default: 10 000.
    pub last_divisor: f64,
    /// The form of rise and fall. Default: cosine.
    pub anneal: Anneal,
    /// Whether the fall pauses where the rise began. Default: no.
    pub three_phases: bool,
}

impl OneCycle {
    /// The highest rate, all steps, and otherwise the defaults.
    pub fn new(rate: f64, steps: usize) -> Self {
        Self {
            rate,
            steps,
            rise: 0.3,
            start_divisor: 25.0,
            last_divisor: 1e4,
            anneal: Anneal::Cosine,
            three_phases: false,
        }
    }
}

impl Schedule for OneCycle {
    fn rate(&self, step: usize) -> f64 {
        let first = self.rate / self.start_divisor;
        let last = first / self.last_divisor;
        let end = self.steps.saturating_sub(1) as f64;
        let top = self.rise * self.steps as f64 - 1.0;
        let knots = match self.three_phases {
            true => [(0.0, first), (top, self.rate), (2.0 * top, first), (end, last)],
            false => [(0.0, first), (top, self.rate), (end, last), (end, last)],
        };
        let step = step as f64;
        let piece = knots.windows(2).find(|piece| step <= piece[1].0);
        piece.map_or(last, |piece| {
            let [(from, start), (to, end)] = [piece[0], piece[1]];
            self.anneal.between(start, end, if to > from { (step - from) / (to - from) } else { 1.0 })
        })
    }
}
