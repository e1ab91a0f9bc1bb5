//! Losses: how far predictions are from targets, as one `Scalar` to go backward from.
//!
//! Each loss is a function that gives the mean, and beside it one named `_each` that gives every element (or every
//! sample), for other reductions: `mse_each(x, y).sum()`, or [`weighted_mean`]. Those of classes and of yes and no have one
//! named `_with` besides, with PyTorch's settings.
//!
//! Predictions and targets have the same shape: where PyTorch would broadcast `[n, 1]` against `[n]` to `[n, n]`, these
//! losses are an error.

mod binary;
mod class;
mod divergence;
mod reduction;
mod regression;
mod target;

pub use autograd::{CrossEntropy, Reduction};
pub use binary::{
    BinaryCrossEntropy, bce, bce_each, bce_with, bce_with_logits, bce_with_logits_each, bce_with_logits_with,
};
pub use class::{cross_entropy, cross_entropy_each, cross_entropy_with, nll, nll_each, nll_with};
pub use divergence::{kl_div, kl_div_each};
use reduction::reduce;
pub use reduction::weighted_mean;
pub use regression::{huber, huber_each, l1, l1_each, mse, mse_each, smooth_l1, smooth_l1_each};
pub use target::{Labels, Target};
