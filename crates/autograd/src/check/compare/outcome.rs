//! What comparisons found.

use super::{DOUBT, USELESS};
use crate::check::difference::Slope;
use crate::check::{Comparison, Reason, Verdict};
use crate::error::Error;

/// What came out of many comparisons.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub compared: usize,
    pub disagreeing: usize,
    pub undecided: usize,
    /// The comparison that says most: the worst disagreement, else the largest difference.
    pub worst: Option<Comparison>,
    pub reason: Option<Reason>,
}

impl Outcome {
    pub fn verdict(&self) -> Verdict {
        match &self.reason {
            _ if self.disagreeing > 0 => Verdict::Disagrees,
            Some(reason) if self.undecided == self.compared => Verdict::Undecidable(reason.clone()),
            _ => Verdict::Agrees,
        }
    }

    pub fn failed(error: Error) -> Self {
        Self::undecided(Reason::Failed(error))
    }

    pub fn undecided(reason: Reason) -> Self {
        Outcome { compared: 1, undecided: 1, reason: Some(reason), ..Outcome::default() }
    }

    pub(in crate::check) fn add(&mut self, verdict: Verdict, comparison: impl FnOnce() -> Comparison) {
        self.compared += 1;
        match verdict {
            Verdict::Agrees => {}
            Verdict::Disagrees => self.disagreeing += 1,
            Verdict::Undecidable(reason) => {
                self.undecided += 1;
                self.reason.get_or_insert(reason);
                // A difference that says nothing is shown only if no other does.
                if self.worst.is_none() && self.undecided == self.compared {
                    self.worst = Some(Comparison { says: 0, ..comparison() });
                }
                return;
            }
        }
        let says = if verdict == Verdict::Disagrees { 2 } else { 1 };
        self.keep(Comparison { says, ..comparison() });
    }

    fn keep(&mut self, comparison: Comparison) {
        let rank = |comparison: &Comparison| (comparison.says, comparison.severity());
        if self.worst.as_ref().is_none_or(|worst| rank(worst) < rank(&comparison)) {
            self.worst = Some(comparison);
        }
    }

    pub fn merge(&mut self, other: Outcome) {
        self.compared += other.compared;
        self.disagreeing += other.disagreeing;
        self.undecided += other.undecided;
        if let Some(worst) = other.worst {
            self.keep(worst);
        }
        self.reason = self.reason.take().or(other.reason);
    }
}

/// A finite difference against what the rule says, with the size below which neither matters.
pub(in crate::check) fn judge(analytic: f64, numeric: Slope, floor: f64, tolerance: f64) -> Verdict {
    let size = analytic.abs().max(numeric.value.abs());
    if numeric.error == f64::INFINITY {
        return Verdict::Undecidable(Reason::Edge);
    }
    if !analytic.is_finite() {
        return if numeric.error <= USELESS * numeric.value.abs().max(floor) {
            Verdict::Disagrees
        } else {
            Verdict::Undecidable(if numeric.kink { Reason::Kink } else { Reason::Noise })
        };
    }
    if (analytic - numeric.value).abs() > tolerance * size.max(1e-3 * floor) + DOUBT * numeric.error {
        Verdict::Disagrees
    } else if numeric.error > USELESS * size.max(floor) {
        Verdict::Undecidable(if numeric.kink { Reason::Kink } else { Reason::Noise })
    } else {
        Verdict::Agrees
    }
}

impl Outcome {
    /// By how much the worst comparison exceeds the error of its difference.
    pub fn excess(&self) -> f64 {
        self.worst.as_ref().map_or(0.0, |worst| (worst.analytic - worst.numeric).abs() - DOUBT * worst.error)
    }
}
