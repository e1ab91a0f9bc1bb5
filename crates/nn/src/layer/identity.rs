//! The layer that does nothing.

use autograd::{Float, Var};

use super::layer;

/// y = x: for a place that must hold a layer.
#[derive(Debug, Clone, Copy, Default, nn_derive::Module)]
pub struct Identity;

impl Identity {
    /// x.
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x
    }
}

layer!(Identity);
