//! Reverse-mode automatic differentiation of scalar and tensor programs on one tape.
//!
//! User code runs once, and every operation is written down; derivatives, checks and explanations read that recording.

#![warn(missing_docs)]

mod check;
mod engine;
mod error;
mod explain;
mod float;
mod gradients;
mod graph;
mod kernel;
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
mod transform;
mod var;

pub use check::{Check, Comparison, Finding, Order, Reason, Report, Verdict, check, check_with};
pub use error::{Error, Result, Rule};
pub use explain::{Argument, Blocked, Cause, Explainable, Explanation, Why};
pub use float::{Element, Float};
pub use gradients::{Gradients, Wrt};
pub use graph::{DotGradients, DotOptions, GraphEdge, GraphNode, NodeKind};
pub use ops::custom::{custom, custom_many, custom_numeric};
pub use param::{Buffer, Leaf, LeafMut, Mode, Module, Param, Path, Visitor, VisitorMut};
pub use petgraph;
pub use place::{Place, Range};
pub use real::{Algebra, Dual, Real};
pub use scalar::Scalar;
pub use shape::{Axes, Shape};
pub use tape::Tape;
pub use tensor::{Difference, Elements, Tensor, release_memory};
pub use transform::{Handle, Inputs, gradient, value_and_gradient};
pub use var::{Term, Var};
