//! Update rules, learning-rate schedules and gradient clipping.
//!
//! A rule moves the parameters of a model along their gradients, one fused pass over each parameter; it knows
//! [`Module`] and [`Gradients`], not layers. A [`Schedule`] is a function of the
//! step, and a loop sets its rate by hand:
//!
//! ```
//! use autograd::{Param, Tape, Tensor};
//! use optim::schedule::{Cosine, Schedule};
//! use optim::{Adam, clip_global_norm};
//!
//! let mut model = vec![Param::new(Tensor::from([2.0_f32, -1.0]))];
//! let mut adam = Adam::new(0.1);
//! let schedule = Cosine { rate: 0.1, steps: 100, last: 0.0 }.with_warmup(10);
//! let mut tape = Tape::new();
//! for step in 0..100 {
//!     let loss = tape.param(&model[0]).square().sum();
//!     let mut gradients = loss.backward()?;
//!     clip_global_norm(&mut gradients, 1.0);
//!     adam.set_rate(schedule.rate(step));
//!     adam.step(&mut model, &gradients)?;
//!     tape.clear();
//! }
//! assert!(model[0].value().iter().all(|x| x.abs() < 0.05));
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! A rule is itself a [`Module`], of the tensors it remembers and the steps it counts: what saves a model saves it too, and a training that was
//! saved goes on bit for bit. A new rule is first attached to the model, so that it has the tensors to load.
//!
//! ```
//! # use autograd::{Module, Param, Tape, Tensor, module::{Leaf, Path}};
//! # use optim::Adam;
//! let mut model = vec![Param::new(Tensor::from([2.0_f32, -1.0]))];
//! let mut adam = Adam::new(0.1);
//! let gradients = Tape::new().param(&model[0]).sum().backward()?;
//! adam.step(&mut model, &gradients)?;
//! let mut names = Vec::new();
//! adam.visit(&Path::root(), &mut |path: &Path<'_>, _: Leaf<'_, f32>| names.push(path.to_string()));
//! assert_eq!(names, ["steps", "0.step", "0.exp_avg", "0.exp_avg_sq"]);
//! assert_eq!(adam.steps(), 1);
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! Parameters are told apart by the order in which the model shows them. One without a gradient is left alone, and so is
//! its state; so is a frozen one.

#![forbid(unsafe_code)]

mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod clip;
mod rmsprop;
pub mod schedule;
mod sgd;
mod state;

use autograd::{Float, Gradients, Module, Result};

pub use adagrad::{Adagrad, AdagradConfig};
pub use adam::{Adam, AdamConfig};
pub use adamax::{Adamax, AdamaxConfig};
pub use adamw::{AdamW, AdamWConfig};
pub use clip::{clip_global_norm, clip_norm, clip_value};
pub use rmsprop::{RmsProp, RmsPropConfig};
pub use schedule::Schedule;
pub use sgd::{Sgd, SgdConfig};

/// Any update rule: for training loops that leave the choice to their caller. Every rule has these methods itself, so that
/// a loop with a rule of its own needs no import of this trait.
///
/// A rule is a module of buffers and counters, its state, under the names of the parameters: `hidden.weight.exp_avg`.
pub trait Optimizer<T: Float = f32>: Module<T> {
    /// Makes the state that a first step with this model starts from, and forgets any other: a state that was saved loads
    /// into it.
    fn attach(&mut self, model: &dyn Module<T>);

    /// The number of steps so far, those before it was saved included: where a [`Schedule`] goes on.
    fn steps(&self) -> usize;

    /// Moves every parameter of `model` that has a gradient.
    ///
    /// # Errors
    /// When the model has other parameters, or parameters of other shapes, than in earlier steps; when no trainable one has a
    /// gradient.
    #[track_caller]
    fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>) -> Result<()>;

    /// The learning rate.
    fn rate(&self) -> f64;

    /// Changes the learning rate, from the next step on.
    fn set_rate(&mut self, rate: f64);
}

/// What every rule has besides its own equations: `initial` and `update` of its settings.
macro_rules! optimizer {
    ($rule:ident, $config:ident, $tensors:expr) => {
        impl<T: autograd::Float> $rule<T> {
            /// The rule with this learning rate and otherwise its defaults.
            pub fn new(rate: f64) -> Self {
                Self::with_config($config { rate, ..$config::default() })
            }

            /// The rule with settings of its own.
            pub fn with_config(config: $config) -> Self {
                Self { config, state: crate::state::State::new($tensors) }
            }

            /// The settings.
            pub fn config(&self) -> &$config {
                &self.config
            }

            /// The learning rate.
            pub fn rate(&self) -> f64 {
                self.config.rate
            }

            /// Changes the learning rate, from the next step on.
            pub fn set_rate(&mut self, rate: f64) {
                self.config.rate = rate;
            }

            /// Makes the state that a first step with this model starts from, and forgets any other: a state that was saved
            /// loads into it.
            pub fn attach(&mut self, model: &impl autograd::Module<T>) {
                let initial = self.config.initial();
                self.state.attach(model, initial);
            }

            /// The number of steps so far, those before it was saved included: where a schedule goes on.
            pub fn steps(&self) -> usize {
                self.state.steps() as usize
            }

            /// Moves every parameter of `model` that has a gradient.
            ///
            /// # Errors
            /// When the model has other parameters, or parameters of other shapes, than in earlier steps; when no trainable one has a
            /// gradient.
            #[track_caller]
            pub fn step(
                &mut self,
                model: &mut impl autograd::Module<T>,
                gradients: &autograd::Gradients<T>,
            ) -> autograd::Result<()> {
                self.step_dyn(model, gradients)
            }

            #[track_caller]
            fn step_dyn(
                &mut self,
                model: &mut dyn autograd::Module<T>,
                gradients: &autograd::Gradients<T>,
            ) -> autograd::Result<()> {
                let config = &self.config;
                self.state.advance(model, gradients, config.initial(), |step| config.update(step))
            }
        }

        /// The state: for each parameter its tensors and the number of its steps.
        impl<T: autograd::Float> autograd::Module<T> for $rule<T> {
            fn visit<'m>(
                &'m self,
                path: &autograd::module::Path<'_>,
                visitor: &mut dyn autograd::module::Visitor<'m, T>,
            ) {
                self.state.visit(path, visitor);
            }
            fn visit_mut<'m>(
                &'m mut self,
                path: &autograd::module::Path<'_>,
                visitor: &mut dyn autograd::module::VisitorMut<'m, T>,
            ) {
                self.state.visit_mut(path, visitor);
            }
        }

        impl<T: autograd::Float> crate::Optimizer<T> for $rule<T> {
            fn attach(&mut self, model: &dyn autograd::Module<T>) {
                let initial = self.config.initial();
                self.state.attach(model, initial);
            }
            fn steps(&self) -> usize {
                self.state.steps() as usize
            }
            #[track_caller]
            fn step(
                &mut self,
                model: &mut dyn autograd::Module<T>,
                gradients: &autograd::Gradients<T>,
            ) -> autograd::Result<()> {
                self.step_dyn(model, gradients)
            }
            fn rate(&self) -> f64 {
                self.config.rate
            }
            fn set_rate(&mut self, rate: f64) {
                self.config.rate = rate;
            }
        }
    };
}
use optimizer;
