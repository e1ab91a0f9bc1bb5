//! What went wrong, and where.
//!
//! An [`Error`] names the operation, what was wrong with the shapes involved, and the caller's file and line.
//! Nothing here knows tapes: an operation that fails on a tape marks the tape with one of these.

use std::fmt;
use std::panic::Location;

use crate::shape::Shape;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation: its name, what was wrong, and the line of the caller.
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
#[error("{op}: {kind}, at {}:{}{}", .location.file(), .location.line(), before(.earlier))]
pub struct Error {
    /// The operation, by the name of its method.
    pub op: &'static str,
    /// What is wrong.
    pub kind: ErrorKind,
    /// The line of user code that called the operation.
    pub location: &'static Location<'static>,
    /// The first failure on the same tape, if that was another one. This operation does not depend on its result, but code
    /// may have gone wrong with it, as with sizes that [`dims`](crate::Var::dims) did not find.
    pub earlier: Option<Box<Error>>,
}

impl Error {
    /// An error of `op` at the caller's line.
    #[track_caller]
    pub fn new(op: &'static str, kind: ErrorKind) -> Self {
        Self::at_line(op, kind, Location::caller())
    }

    /// An error of `op` at a line.
    pub fn at_line(op: &'static str, kind: ErrorKind, location: &'static Location<'static>) -> Self {
        Self { op, kind, location, earlier: None }
    }

    /// Makes errors of `op` at the caller's line, for `map_err`: a closure there would forget the caller.
    #[track_caller]
    pub(crate) fn at(op: &'static str) -> impl Fn(ErrorKind) -> Error {
        let location = Location::caller();
        move |kind| Error::at_line(op, kind, location)
    }
}

impl fmt::Debug for Error {
    /// `unwrap` prints what `Display` says: a sentence is more use than a tree of fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What can be wrong with an operation. Each displays as one clause, with the shapes or values that it is about.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // The sentence about a variant names its fields.
pub enum ErrorKind {
    /// In a product of matrices the columns on the left are not as many as the rows on the right: transpose one of them, or
    /// look where its sizes come from.
    #[error("inner sizes differ: {left} · {right} ({} ≠ {})", inner(.left, 1), inner(.right, 2))]
    InnerSizes { left: Shape, right: Shape },
    /// Aligned at the end, the shapes have an axis whose sizes differ and neither is one: `unsqueeze` the operand whose axes
    /// stand in the wrong places.
    #[error("shapes do not broadcast: {left} and {right}{}", first_clash(.left, .right))]
    Broadcast { left: Shape, right: Shape },
    /// The axes before the matrices of a product, or of attention, do not broadcast: make them equal, or one.
    #[error("batch axes do not broadcast: {left} · {right}")]
    Batch { left: Shape, right: Shape },
    /// Only axes of size one, and new ones in front, can be stretched to the shape that was asked for.
    #[error("{from} does not broadcast to {to}")]
    BroadcastTo { from: Shape, to: Shape },
    /// Two tensors or lists that must have one shape do not: reshape one, or look where it comes from.
    #[error("shapes differ: expected {expected}, found {found}")]
    Shape { expected: Shape, found: Shape },
    /// The other operands fix the shape of `what`, and it has another: see [`Shape::must_be`].
    #[error("{what} must have shape {expected}, found {found}")]
    ShapeOf { what: &'static str, expected: Box<Shape>, found: Shape },
    /// The operand `what` has another number of axes than the operation takes: `reshape`, `unsqueeze` or `squeeze` it.
    #[error("{what} must have rank {expected}, found shape {found}")]
    Rank { what: &'static str, expected: usize, found: Shape },
    /// The operand `what` has fewer axes than the operation works on: `unsqueeze` it.
    #[error("{what} must have rank {least} or more, found shape {found}")]
    MinRank { what: &'static str, least: usize, found: Shape },
    /// There is no such axis: a shape of rank n has the axes 0 to n − 1, or −n to −1 counted from the end.
    #[error("axis {axis} is out of range for shape {shape}")]
    Axis { axis: isize, shape: Shape },
    /// Every axis may be named once; −1 and n − 1 are the same.
    #[error("axis {axis} is given twice")]
    RepeatedAxis { axis: isize },
    /// The operation wants one entry for each axis of the shape (or, for padding, not more): give as many.
    #[error("{axes} axes are given for shape {shape}")]
    AxisCount { axes: usize, shape: Shape },
    /// An index is as large as the axis or larger: indices go from 0 to the size less one.
    #[error("index {index} is out of range for axis {axis} of shape {shape}")]
    Index { index: usize, axis: usize, shape: Shape },
    /// A range ends behind its axis or before its own start, or its step is 0: bound it by the size of the axis.
    #[error("range {start}..{end} step {step} does not fit axis {axis} of shape {shape}")]
    Range { start: usize, end: usize, step: usize, axis: usize, shape: Shape },
    /// A reshape keeps the number of elements: choose sizes with the same product.
    #[error("{from} has {} elements and {to} has {}", .from.len(), .to.len())]
    ElementCount { from: Shape, to: Shape },
    /// A tensor is made of as many values as its shape has elements.
    #[error("{found} values are given for shape {shape} of {} elements", .shape.len())]
    ValueCount { found: usize, shape: Shape },
    /// A result of this shape is larger than memory can be: look for a broadcast or an outer product that was not meant.
    #[error("memory has no room for shape {shape}")]
    Memory { shape: Shape },
    /// Results are more than memory has room for, though they may have no elements: take larger pieces, or another axis.
    #[error("memory has no room for {count} results")]
    Results { count: usize },
    /// The operation has no answer for nothing, such as the largest of no elements: leave empty tensors out before it.
    #[error("needs at least one element, found shape {shape}")]
    Empty { shape: Shape },
    /// Only a tensor of one element is a number: reduce it first, with `sum` or `mean`, or pick an element with `at`.
    #[error("needs exactly one element, found shape {shape}")]
    NotScalar { shape: Shape },
    /// A list of operands is empty, so that there is no shape and no tape: give at least one.
    #[error("needs at least one operand")]
    NoOperands,
    /// The argument `name` is outside of what the operation is defined for, which is `must`.
    #[error("{name} must be {must}, found {found}")]
    Argument { name: &'static str, must: &'static str, found: String },
    /// A filter or a pooling window does not fit into its input once: pad more, or use a smaller window.
    #[error("window {window:?} (dilation {dilation:?}) is larger than the padded input {input:?}")]
    Window { window: Vec<usize>, dilation: Vec<usize>, input: Vec<usize> },
    /// Groups of channels are equally large: choose a number that divides the channels of input and output.
    #[error("{channels} channels do not divide into {groups} groups")]
    Groups { channels: usize, groups: usize },
    /// The weight of a convolution is made for another number of input channels: they are its second size times the groups,
    /// or of a transposed convolution its first size.
    #[error("the input has {input} channels, and weight {weight} with groups = {groups} takes {takes}")]
    Channels { input: usize, weight: Shape, groups: usize, takes: usize },
    /// An `einsum` equation is not well formed or does not fit its operands, for the reason given.
    #[error("equation {equation:?}: {problem}")]
    Equation { equation: String, problem: String },
    /// Handles of two recordings meet in one operation: bring the value of one onto the other tape with `Tape::constant`.
    #[error("operands are on different tapes")]
    TwoTapes,
    /// `backward`, or a drawing, was asked of a plain number, which nothing was recorded for: make it with `Tape::scalar` or
    /// compute it from such handles. Where a constant is meant, [`Scalar::grad`](crate::Scalar::grad) gives its derivative, 0.
    #[error("the handle is a plain number and is on no tape: compute it from a variable")]
    NoTape,
    /// The tape records shapes alone, and there are no elements to be read: record on a `Tape::new()`.
    #[error("the tape holds shapes and no elements")]
    NoElements,
    /// A recording has an end, since places on it are numbers of 32 bits: clear the tape between steps.
    #[error("the tape is full: 2³¹ operations are recorded")]
    TapeFull,
    /// A gradient arrived at an operation whose rule cannot pass it on, for the reason given.
    #[error("no gradient flows through it: {why}")]
    NotDifferentiable { why: String },
    /// A gradient was asked of something that has none: `Scalar::explain_gradient` says where its way to the result ends.
    #[error("{what} has no gradient: {why}")]
    NoGradient { what: String, why: String },
    /// A program runs the recorded operations and no user code, and this one cannot be repeated without it.
    #[error("it cannot be replayed: {why}")]
    NotReplayable { why: String },
    /// A rule of user code, in its own words.
    #[error("{0}")]
    Custom(String),
}

/// What a text says of an earlier failure.
fn before(earlier: &Option<Box<Error>>) -> String {
    earlier.as_ref().map_or_else(String::new, |earlier| format!("; earlier on this tape: {earlier}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Clippy warns of functions that return larger ones, in the code of users too.
    #[test]
    fn errors_are_small_enough_to_return() {
        assert!(size_of::<Error>() < 128, "{}", size_of::<Error>());
    }

    #[test]
    fn a_shape_error_names_the_operand() {
        let rule = Shape::from([3, 2]).must_be("the bias", &[3]).unwrap_err();
        assert!(
            matches!(&rule, ErrorKind::ShapeOf { what: "the bias", expected, found } if expected[..] == [3] && found[..] == [3, 2])
        );
    }
}
