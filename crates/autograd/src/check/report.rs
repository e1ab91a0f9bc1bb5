//! What a check found, as values and as text.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;

use super::compare::Outcome;
use crate::error::{Error, ErrorKind};
use crate::place::{Place, short};
use crate::shape::Shape;

/// What a check found: one [`Finding`] for each operation, line and order.
///
/// Displays as a summary and one or two lines for each finding, the guilty ones first.
#[derive(Debug, Clone, Default)]
pub struct Report {
    findings: Vec<Finding>,
    index: HashMap<Key, usize>,
    pub(crate) failure: Option<Error>,
}

type Key = (&'static str, Option<&'static Location<'static>>, usize);

/// What was found about an operation. Repetitions on the same line of code are one finding.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Whether rule and differences agree.
    pub verdict: Verdict,
    /// Where the operation is; the first disagreeing one, else the first.
    pub place: Place,
    /// 1 for the gradient, 2 for the gradient of the recorded gradient.
    pub order: usize,
    /// How many times the line was executed.
    pub times: usize,
    /// How many derivatives were compared.
    pub compared: usize,
    /// How many of them could not be decided.
    pub undecided: usize,
    /// The worst disagreement; where all agree, the largest difference.
    pub worst: Option<Comparison>,
    outcome: Outcome,
}

/// Whether a rule and finite differences agree.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Within the tolerance and the error of the differences.
    Agrees,
    /// Further apart than the error of the differences explains.
    Disagrees,
    /// Nothing can be said at these operands.
    Undecidable(Reason),
}

impl Verdict {
    /// A rule that is written on numbers has no second derivative on purpose: that is no fault.
    fn is_guilty(&self) -> bool {
        match self {
            Verdict::Disagrees => true,
            Verdict::Undecidable(Reason::Failed(error)) => !matches!(error.kind, ErrorKind::NotDifferentiable { .. }),
            _ => false,
        }
    }
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The one-sided differences disagree at every step size.
    Kink,
    /// The function is not finite on both sides.
    Edge,
    /// The error of the difference is too large.
    Noise,
    /// The function or its derivative fails.
    Failed(Error),
    /// An operand or a result has so many elements that memory has no room for some copies of them, or far more of them than are
    /// stored: a number that is broadcast to a billion takes the memory of a billion once it is varied.
    TooLarge {
        /// Its shape.
        shape: Shape,
    },
}

/// One derivative by the rule and by finite differences.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Which operand was varied.
    pub operand: usize,
    /// Which element of it; `None` for a direction through all.
    pub index: Option<Vec<usize>>,
    /// Which result was looked at. At second order results are the gradients of the operands, and the incoming
    /// gradients are further operands.
    pub output: usize,
    /// Which element of it; `None` for a weighted sum of all.
    pub output_index: Option<Vec<usize>>,
    /// The derivative by the rule.
    pub analytic: f64,
    /// The derivative by finite differences.
    pub numeric: f64,
    /// The estimated error of `numeric`.
    pub error: f64,
    /// How much this comparison says: 2 disagrees, 1 agrees, 0 nothing.
    pub(crate) says: u8,
    /// Which weighted sum it was of.
    pub(crate) row: usize,
}

impl Comparison {
    /// The relative difference.
    pub(crate) fn severity(&self) -> f64 {
        let difference = (self.analytic - self.numeric).abs();
        let relative = difference / self.analytic.abs().max(self.numeric.abs());
        if relative.is_nan() { if difference == 0.0 { 0.0 } else { f64::INFINITY } } else { relative }
    }
}

impl Report {
    /// Whether no rule disagrees and nothing failed. Undecidable ones are no fault.
    pub fn is_ok(&self) -> bool {
        self.failure.is_none() && self.guilty().next().is_none()
    }

    /// The findings: disagreeing, then undecidable, then agreeing ones, each in the order of execution.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let rank = |rank: u8| self.findings.iter().filter(move |finding| finding.verdict.rank() == rank);
        rank(0).chain(rank(1)).chain(rank(2))
    }

    /// The findings that disagree, and those whose function or rule fails.
    pub fn guilty(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.verdict.is_guilty())
    }

    /// The findings about which nothing can be said.
    pub fn undecidable(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Undecidable(_)))
    }

    /// The failure that ended the recording, if one did.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Adds what was found about `times` executions of a line.
    pub(crate) fn add(&mut self, place: Place, order: usize, outcome: Outcome) {
        self.add_times(place, order, 1, outcome);
    }

    pub(crate) fn add_times(&mut self, place: Place, order: usize, times: usize, outcome: Outcome) {
        if outcome.compared == 0 {
            return;
        }
        let next = self.findings.len();
        let found = *self.index.entry((place.op, place.location, order)).or_insert(next);
        if found == next {
            self.findings.push(Finding::new(place, order, times, outcome));
        } else {
            self.findings[found].merge(place, times, outcome);
        }
    }
}

impl Finding {
    fn new(place: Place, order: usize, times: usize, outcome: Outcome) -> Self {
        let Outcome { compared, undecided, .. } = outcome;
        let (verdict, worst) = (outcome.verdict(), outcome.worst.clone());
        Finding { verdict, place, order, times, compared, undecided, worst, outcome }
    }

    fn merge(&mut self, place: Place, times: usize, outcome: Outcome) {
        let mut all = std::mem::take(&mut self.outcome);
        let is_first_guilty = all.disagreeing == 0 && outcome.disagreeing > 0;
        let place = if is_first_guilty { place } else { self.place.clone() };
        all.merge(outcome);
        *self = Finding::new(place, self.order, self.times + times, all);
    }
}

impl Verdict {
    fn rank(&self) -> u8 {
        match self {
            Verdict::Disagrees => 0,
            Verdict::Undecidable(_) => 1,
            Verdict::Agrees => 2,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |rank: u8| self.findings.iter().filter(|finding| finding.verdict.rank() == rank).count();
        let [wrong, open, right] = [0, 1, 2].map(count);
        write!(
            f,
            "{} checked: {right} agree, {wrong} disagree, {open} undecidable",
            counted(self.findings.len(), "rule")
        )?;
        if let Some(failure) = &self.failure {
            write!(f, "\nthe recording failed: {failure}")?;
        }
        self.findings().try_for_each(|finding| write!(f, "\n{finding}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Agrees => "agrees",
            Verdict::Disagrees => "DISAGREES",
            Verdict::Undecidable(_) => "undecidable",
        };
        write!(f, "{verdict}: {}", self.place)?;
        if self.order > 1 {
            f.write_str(", second order")?;
        }
        if self.times > 1 {
            write!(f, ", {} times", self.times)?;
        }
        match (&self.verdict, &self.worst) {
            (Verdict::Undecidable(reason), worst) => {
                write!(f, "\n    {reason}")?;
                worst.as_ref().map_or(Ok(()), |worst| write!(f, "; {worst}"))
            }
            (Verdict::Disagrees, Some(worst)) => {
                let share = format!("{} of {} derivatives", self.outcome.disagreeing, self.compared);
                write!(f, "\n    {worst}\n    {share}")
            }
            _ if self.undecided > 0 => {
                write!(f, " ({} of {} undecidable)", self.undecided, counted(self.compared, "derivative"))
            }
            _ => write!(f, " ({})", counted(self.compared, "derivative")),
        }
    }
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Kink => f.write_str("at a kink: the one-sided differences disagree at every step size"),
            Reason::Edge => f.write_str("at an edge of the domain: not finite on both sides"),
            Reason::Noise => f.write_str("the error of the difference is too large"),
            Reason::Failed(error) => write!(f, "{error}"),
            Reason::TooLarge { shape } => write!(f, "too large to be varied: shape {shape}"),
        }
    }
}

/// As `∂ output [1] / ∂ operand 0 [1]: rule 6, differences 12 ± 2e-10`.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("∂ output")?;
        if self.output > 0 {
            write!(f, " {}", self.output)?;
        }
        match &self.output_index {
            Some(index) if index.is_empty() => {}
            Some(index) => write!(f, " {index:?}")?,
            None => f.write_str(" (weighted sum)")?,
        }
        write!(f, " / ∂ operand {}", self.operand)?;
        match &self.index {
            Some(index) if index.is_empty() => {}
            Some(index) => write!(f, " {index:?}")?,
            None => f.write_str(" (direction)")?,
        }
        write!(f, ": rule {}, differences ", short(self.analytic))?;
        match self.error.is_finite() {
            true => write!(f, "{} ± {}", short(self.numeric), short(one_digit(self.error))),
            false => f.write_str("none"),
        }
    }
}

fn one_digit(x: f64) -> f64 {
    format!("{x:.0e}").parse().unwrap_or(x)
}
