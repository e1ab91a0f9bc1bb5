//! Automatic differentiation of scalar and tensor programs: reverse and forward, to any order, on one tape.
//!
//! User code runs once, and every operation is written down on a [`Tape`]. Derivatives, checks and explanations read that
//! one recording.
//!
//! ```
//! use autograd::{Tape, Tensor};
//!
//! let tape = Tape::<f64>::new();
//! let x = tape.var(Tensor::from([1.0, 2.0, 3.0]));
//! let scale = tape.scalar(0.5);
//! let loss = ((x * scale).tanh() - 0.3).square().mean();
//!
//! let gradients = loss.backward()?;
//! assert_eq!(gradients.of(x)?.len(), 3);
//! assert!(gradients.of(scale)? > 0.0);
//! assert!(tape.check().is_ok());
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! # What to read
//!
//! - [`Tensor`]: plain data; [`Tape`], [`Scalar`] and [`Var`]: a recording and its handles, which have every operation as a
//!   method; [`Indices`] and [`Mask`]: whole numbers and truth values on it; [`Param`] and [`Module`]: what a model holds.
//! - [`Scalar::backward`], [`Scalar::grad`], [`Var::vjp`], [`Var::jvp`]: derivatives on a recording;
//!   [`gradient`], [`value_and_gradient_aux`], [`vjp()`], [`jvp()`], [`hvp`], [`jacobian`], [`hessian`]: of a function.
//! - [`Real`] and [`Dual`]: functions of numbers, run plain, forward, reverse or nested.
//! - [`Program`], [`ModelProgram`], [`Map`]: a function, a training step, an elementwise operation, recorded once and replayed.
//! - [`custom()`]: an operation of your own; [`Tape::check`]: is its derivative right?
//! - [`Scalar::explain`]: where a value or a gradient became infinite, or not a number, and why one is missing.
//! - [`Error`]: what went wrong, at which line. Operations on handles never fail at once: failures are kept on the
//!   tape and returned by whatever asks for a result that depends on one, so formulas need no `?`.
//!
//! Operations follow PyTorch in names, broadcasting and choices at kinks, except where a doc says otherwise.

#![warn(missing_docs)]

/// Writes an implementation for tuples of one to eight, each part with a name for its type and its place.
macro_rules! tuples {
    ($tuple:ident) => {
        $tuple!(A 0);
        $tuple!(A 0, B 1);
        $tuple!(A 0, B 1, C 2);
        $tuple!(A 0, B 1, C 2, D 3);
        $tuple!(A 0, B 1, C 2, D 3, E 4);
        $tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
        $tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
        $tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
    };
}

/// Writes what operations take for a handle: itself, a reference to what they take, and plain data of such elements, which a method
/// of the tape puts there.
macro_rules! taken_as {
    ($takes:ident, $handle:ident, $element:ty, $method:ident) => {
        impl<'t, T: Float> $takes<'t, T> for $handle<'t, T> {
            fn on(&self, _: &'t Tape<T>) -> $handle<'t, T> {
                *self
            }
        }

        impl<'t, T: Float, X: $takes<'t, T> + ?Sized> $takes<'t, T> for &X {
            #[track_caller]
            fn on(&self, tape: &'t Tape<T>) -> $handle<'t, T> {
                (*self).on(tape)
            }
        }

        impl<'t, T: Float> $takes<'t, T> for [$element] {
            #[track_caller]
            fn on(&self, tape: &'t Tape<T>) -> $handle<'t, T> {
                tape.$method(self)
            }
        }

        taken_as!(@data $takes, $handle, $method; [] Tensor<$element>, [] $element, [] Vec<$element>,
            [const A: usize] [$element; A], [const A: usize, const B: usize] [[$element; B]; A]);
    };
    (@data $takes:ident, $handle:ident, $method:ident; $([$($size:tt)*] $data:ty),*) => {$(
        impl<'t, T: Float, $($size)*> $takes<'t, T> for $data {
            #[track_caller]
            fn on(&self, tape: &'t Tape<T>) -> $handle<'t, T> {
                tape.$method(self.to_owned())
            }
        }
    )*};
}

pub mod check;
mod engine;
mod error;
pub mod explain;
mod float;
mod forward;
mod gradients;
pub mod graph;
mod handle;
mod indices;
mod kernel;
#[cfg(test)]
mod laws;
mod mask;
mod operation;
mod ops;
mod param;
mod place;
pub mod program;
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

/// What a model holds, leaf by leaf: for those who write a container, an update rule or a file format.
pub mod module {
    pub use crate::param::{Hashed, Leaf, LeafMut, Mode, Path, Setting, Visitor, VisitorMut};
}

/// What derived code names.
#[doc(hidden)]
pub mod derive {
    pub use crate::handle::{Direction, Leaf, Replacement, Source};
    pub use crate::transform::{Part, PartMut, Recorder};
}

/// The elementwise operations by name, for tests that run over all of them.
#[doc(hidden)]
pub mod table {
    pub use crate::ops::elementwise::{call, names};
}

pub use autograd_derive::Inputs;
pub use check::{Check, check, check_with};
pub use error::{Error, ErrorKind, Result};
pub use float::{Element, Float};
pub use gradients::Gradients;
pub use handle::{Handle, NoGrad, Wrt};
pub use indices::{AsIndices, Indices};
pub use kernel::sort::SortOrder;
pub use mask::{AsMask, Mask};
pub use ops::attention::AttentionOptions;
pub use ops::batch_norm::BatchStatistics;
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
pub use ops::random::{Seed, normal, uniform};
pub use ops::recurrent::{RecurrentOptions, RecurrentWeights, RnnActivation};
pub use param::{Buffer, Counter, Generator, Module, Param};
pub use program::{Map, ModelProgram, Program};
pub use real::{Algebra, Dual, Real};
pub use scalar::Scalar;
pub use shape::{Axes, Shape};
pub use tape::Tape;
pub use tensor::{Difference, Elements, Tensor, release_memory};
pub use transform::{Inputs, gradient, hessian, hvp, jacobian, jvp, value_and_gradient, value_and_gradient_aux, vjp};
pub use var::{Term, Var};
