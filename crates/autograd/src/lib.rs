//! Reverse-mode automatic differentiation of scalar and tensor programs on one tape.
//!
//! User code runs once, and every operation is written down; derivatives, checks and explanations read that recording.

#![warn(missing_docs)]

mod check;
mod engine;
mod error;
mod explain;
mod float;
mod forward;
mod gradients;
mod graph;
mod kernel;
#[cfg(test)]
mod laws;
mod operation;
mod ops;
mod param;
mod place;
mod real;
mod reverse;
mod scalar;
mod shape;
mod tape;
mod tensor;
#[cfg(test)]
mod testing;
mod transform;
mod var;

pub use check::{Check, Comparison, DerivativeOrder, Finding, Reason, Report, Verdict, check, check_with};
pub use error::{Error, Result, Rule};
pub use explain::{Argument, Blocked, Cause, Explainable, Explanation, Why};
pub use float::{Element, Float};
pub use gradients::{Gradients, Wrt};
pub use graph::{DotGradients, DotOptions, GraphEdge, GraphNode, NodeKind};
pub use kernel::sort::Order;
pub use ops::cat::{cat, stack};
pub use ops::conv::{
    Conv1dOptions, Conv2dOptions, ConvOptions, ConvTranspose1dOptions, ConvTranspose2dOptions, ConvTransposeOptions,
    Padding,
};
pub use ops::cross_entropy::{CrossEntropy, Reduction};
pub use ops::custom::{custom, custom_many, custom_numeric};
pub use ops::einsum::einsum;
pub use ops::pad::PadMode;
pub use ops::pool::{
    AvgPool1dOptions, AvgPool2dOptions, AvgPoolOptions, LpPool2dOptions, MaxPool1dOptions, MaxPool2dOptions,
    MaxPoolOptions,
};
pub use ops::random::{normal, uniform};
pub use ops::standardize::BatchStatistics;
pub use param::{Buffer, Leaf, LeafMut, Mode, Module, Param, Path, Visitor, VisitorMut};
pub use petgraph;
pub use place::{Place, Range};
pub use real::{Algebra, Dual, Real};
pub use scalar::Scalar;
pub use shape::{Axes, Shape};
pub use tape::Tape;
pub use tensor::{Difference, Elements, Tensor, release_memory};
pub use transform::{Handle, Inputs, gradient, hessian, hvp, jacobian, jvp, value_and_gradient, vjp};
pub use var::{Term, Var};
