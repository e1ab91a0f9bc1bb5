//! What went wrong, where, and which rule was broken.
//!
//! An [`Error`] names the operation, the rule it broke with the shapes involved, and the caller's file and line.
//! Nothing here knows tapes: an operation that fails on a tape marks the tape with one of these.

use std::fmt;
use std::panic::Location;

use crate::shape::Shape;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation: its name, the [`Rule`] that was broken, and the line of the caller.
///
/// ```
/// use autograd::Tensor;
///
/// let a = Tensor::<f32>::zeros([3, 4]);
/// let b = Tensor::<f32>::zeros([5, 2]);
/// let error = a.matmul(&b).unwrap_err();
/// assert!(error.to_string().starts_with("matmul: inner sizes differ: [3, 4] · [5, 2] (4 ≠ 5), at "));
/// ```
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("{op}: {rule}, at {}:{}", .site.file(), .site.line())]
pub struct Error {
    /// The operation, by the name of its method.
    pub op: &'static str,
    /// The rule that was broken.
    pub rule: Rule,
    /// The line of user code that called the operation.
    pub site: &'static Location<'static>,
}

impl Error {
    /// An error of `op` at the caller's line.
    #[track_caller]
    pub fn new(op: &'static str, rule: Rule) -> Self {
        Self { op, rule, site: Location::caller() }
    }

    /// Makes errors of `op` at the caller's line, for `map_err`: a closure there would forget the caller.
    #[track_caller]
    pub(crate) fn at(op: &'static str) -> impl Fn(Rule) -> Error {
        let site = Location::caller();
        move |rule| Error { op, rule, site }
    }
}

impl fmt::Debug for Error {
    /// `unwrap` prints what `Display` says: a sentence is more use than a tree of fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The rules an operation can break.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // Each variant is documented by its message.
pub enum Rule {
    #[error("inner sizes differ: {left} · {right} ({} ≠ {})", inner(.left, 1), inner(.right, 2))]
    InnerSizes { left: Shape, right: Shape },
    #[error("shapes do not broadcast: {left} and {right}{}", first_clash(.left, .right))]
    Broadcast { left: Shape, right: Shape },
    #[error("batch axes do not broadcast: {left} · {right}")]
    Batch { left: Shape, right: Shape },
    #[error("{from} does not broadcast to {to}")]
    BroadcastTo { from: Shape, to: Shape },
    #[error("shapes differ: expected {expected}, found {found}")]
    Shape { expected: Shape, found: Shape },
    #[error("{what} must have shape {expected}, found {found}")]
    ShapeOf { what: &'static str, expected: Box<Shape>, found: Shape },
    #[error("{what} must have rank {expected}, found shape {found}")]
    Rank { what: &'static str, expected: usize, found: Shape },
    #[error("axis {axis} is out of range for shape {shape}")]
    Axis { axis: isize, shape: Shape },
    #[error("axis {axis} is given twice")]
    RepeatedAxis { axis: isize },
    #[error("{axes} axes are given for shape {shape}")]
    AxisCount { axes: usize, shape: Shape },
    #[error("index {index} is out of range for axis {axis} of shape {shape}")]
    Index { index: usize, axis: usize, shape: Shape },
    #[error("range {start}..{end} step {step} does not fit axis {axis} of shape {shape}")]
    Range { start: usize, end: usize, step: usize, axis: usize, shape: Shape },
    #[error("{from} has {} elements and {to} has {}", .from.len(), .to.len())]
    ElementCount { from: Shape, to: Shape },
    #[error("{found} values are given for shape {shape} of {} elements", .shape.len())]
    ValueCount { found: usize, shape: Shape },
    #[error("memory has no room for shape {shape}")]
    Memory { shape: Shape },
    #[error("needs at least one element, found shape {shape}")]
    Empty { shape: Shape },
    #[error("needs exactly one element, found shape {shape}")]
    NotScalar { shape: Shape },
    #[error("needs at least one operand")]
    NoOperands,
    #[error("{name} must be {must}, found {found}")]
    Argument { name: &'static str, must: &'static str, found: String },
    #[error("window {window:?} (dilation {dilation:?}) is larger than the padded input {input:?}")]
    Window { window: Vec<usize>, dilation: Vec<usize>, input: Vec<usize> },
    #[error("{channels} channels do not divide into {groups} groups")]
    Groups { channels: usize, groups: usize },
    #[error("the input has {input} channels, and weight {weight} with groups = {groups} takes {takes}")]
    Channels { input: usize, weight: Shape, groups: usize, takes: usize },
    #[error("equation {equation:?}: {problem}")]
    Equation { equation: String, problem: String },
    #[error("operands are on different tapes")]
    TwoTapes,
    #[error("the handle is a plain number and is on no tape")]
    NoTape,
    #[error("the tape is full: 2³² − 16 operations are recorded")]
    TapeFull,
    #[error("no gradient flows through it: {why}")]
    NotDifferentiable { why: String },
    #[error("{what} has no gradient: {why}")]
    NoGradient { what: String, why: String },
    #[error("value {value} at index {index:?} is not finite")]
    NotFinite { index: Vec<usize>, value: f64 },
    #[error("it cannot be replayed: {why}")]
    NotReplayable { why: String },
    #[error("the rule returned {found} gradients for {expected} operands")]
    RuleCount { expected: usize, found: usize },
    #[error("{0}")]
    Custom(String),
}

fn inner(shape: &Shape, from_end: usize) -> usize {
    let rank = shape.rank();
    shape[rank - from_end.min(rank)]
}

fn first_clash(left: &Shape, right: &Shape) -> String {
    let rank = left.rank().max(right.rank());
    let from_end = |shape: &Shape, k: usize| shape.rank().checked_sub(k).map_or(1, |axis| shape[axis]);
    (1..=rank)
        .map(|k| (k, from_end(left, k), from_end(right, k)))
        .find(|&(_, a, b)| a != b && a != 1 && b != 1)
        .map_or(String::new(), |(k, a, b)| format!(" ({a} ≠ {b} at axis −{k})"))
}
