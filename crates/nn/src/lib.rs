//! Layers, losses and initialisers, models on disk, and what a training loop needs.
//!
//! A layer is a struct of parameters with a method `forward`; a model is a struct of layers. `#[derive(Module)]` shows what
//! it holds to update rules, files and summaries. The layers are listed in [`layer`], and the losses in [`loss`]. The loop is
//! the user's own code:
//!
//! ```
//! use autograd::{Tape, Tensor, Var};
//! use nn::{Linear, Module, loss::mse};
//! use optim::Adam;
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! #[derive(Module)]
//! struct Mlp {
//!     hidden: Linear,
//!     out: Linear,
//! }
//!
//! impl Mlp {
//!     fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
//!         self.out.forward(self.hidden.forward(x).tanh())
//!     }
//! }
//!
//! let mut rng = StdRng::seed_from_u64(0);
//! let mut model = Mlp { hidden: Linear::new(1, 16, &mut rng), out: Linear::new(16, 1, &mut rng) };
//! let mut adam = Adam::new(0.02);
//! let x = Tensor::uniform([64, 1], -3.0, 3.0, &mut rng);
//! let y = x.map(f32::sin);
//!
//! let mut tape = Tape::new();
//! let mut last = f32::INFINITY;
//! for _ in 0..200 {
//!     let loss = mse(model.forward(tape.constant(&x)), &y);
//!     adam.step(&mut model, &loss.backward()?)?;
//!     last = loss.value()?;
//!     tape.clear();
//! }
//! assert!(last < 0.02, "{last}");
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! A trained model goes to a file with [`save`] and comes back with [`load`]; their errors become [`autograd::Error`] by `?`:
//!
//! ```
//! use nn::{Linear, load, save};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! fn main() -> autograd::Result<()> {
//!     let mut model: Linear = Linear::new(1, 16, &mut StdRng::seed_from_u64(0));
//!     let path = std::env::temp_dir().join("model.safetensors");
//!     save(&path, &model)?;
//!     load(&path, &mut model)?;
//! #   std::fs::remove_file(path).unwrap();
//!     Ok(())
//! }
//! ```
//!
//! Layers run with weights that are computed, too: within [`Tape::with_params`](autograd::Tape::with_params) other handles stand for
//! the parameters of a model. Here those after a step of gradient descent, through which the outer gradient goes:
//!
//! ```
//! use autograd::Tape;
//! use nn::{Linear, loss::mse};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! let model: Linear = Linear::new(1, 1, &mut StdRng::seed_from_u64(0));
//! let tape = Tape::new();
//! let [x, seen, wanted] = [[[1.0], [2.0]], [[2.0], [3.0]], [[1.0], [4.0]]].map(|rows| tape.constant(rows));
//! let weights = tape.params(&model);
//! let slopes = mse(model.forward(x), seen).grad(weights.clone());
//! let adapted: Vec<_> = weights.into_iter().zip(slopes).map(|(w, slope)| w - 0.1 * slope).collect();
//! let loss = tape.with_params(&model, &adapted, || mse(model.forward(x), wanted));
//! let gradients = loss.backward()?;
//! assert_eq!(gradients.of(&model.weight)?.shape(), model.weight.shape());
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! Layers know [`Var`](autograd::Var) and [`Param`], nothing of a tape's insides. Where PyTorch has the same layer, names,
//! layouts, defaults and initial distributions are PyTorch's.

#![forbid(unsafe_code)]

// The derive macro names its items as `::nn::…`, here too.
extern crate self as nn;

mod data;
pub mod init;
pub mod layer;
pub mod loss;
mod module;
#[cfg(feature = "progress")]
mod progress;
mod save;
mod state;
mod summary;

pub use autograd::{
    Buffer, Counter, Float, Generator, Module, Param,
    module::{Leaf, LeafMut, Mode, Path, Setting, Visitor, VisitorMut},
};
pub use autograd_derive::Module;
pub use data::Batches;
pub use layer::*;
pub use module::ModuleExt;
#[cfg(feature = "progress")]
pub use progress::Progress;
pub use save::{FileError, load, load_partial, save};
pub use state::{LoadReport, Mismatch};
pub use summary::{LayerSummary, Summary, summary, summary_of};

/// The examples of the README are tested like all others.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
