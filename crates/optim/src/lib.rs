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
//! Parameters are told apart by the order in which the model shows them. One without a gradient is left alone, and so is
//! its state; so is a frozen one.

#![forbid(unsafe_code)]

mod adagrad;
mod adam;
mod adamw;
mod clip;
mod rmsprop;
pub mod schedule;
mod sgd;
mod state;

use autograd::{Float, Gradients, Module, Result};

pub use adagrad::{Adagrad, AdagradConfig};
pub use adam::{Adam, AdamConfig};
pub use adamw::{AdamW, AdamWConfig};
pub use clip::{clip_global_norm, clip_norm, clip_value};
pub use rmsprop::{RmsProp, RmsPropConfig};
pub use schedule::Schedule;
pub use sgd::{Sgd, SgdConfig};

/// Any update rule: for training loops that leave the choice to their caller. Every rule has these methods itself, so that
/// a loop with a rule of its own needs no import of this trait.
pub trait Optimizer<T: Float = f32> {
    /// Moves every parameter of `model` that has a gradient.
    ///
    /// # Errors
    /// When the model has other parameters, or parameters of other shapes, than in earlier steps.
    fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>) -> Result<()>;

    /// The learning rate.
    fn rate(&self) -> f64;

    /// Changes the learning rate, from the next step on.
    fn set_rate(&mut self, rate: f64);
}

/// What every rule has besides its own equations.
macro_rules! optimizer {
    ($rule:ident, $config:ident) => {
        impl<T: autograd::Float> $rule<T> {
            /// The rule with this learning rate and otherwise its defaults.
            pub fn new(rate: f64) -> Self {
                Self::with_config($config { rate, ..$config::default() })
            }

            /// The rule with settings of its own.
            pub fn with_config(config: $config) -> Self {
                Self { config, state: crate::state::State::default() }
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

            /// Moves every parameter of `model` that has a gradient.
            ///
            /// # Errors
            /// When the model has other parameters, or parameters of other shapes, than in earlier steps.
            #[track_caller]
            pub fn step(
                &mut self,
                model: &mut impl autograd::Module<T>,
                gradients: &autograd::Gradients<T>,
            ) -> autograd::Result<()> {
                self.step_dyn(model, gradients)
            }
        }

        impl<T: autograd::Float> crate::Optimizer<T> for $rule<T> {
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
