//! The layer that does nothing.

use autograd::{Float, Var};

use super::layer;

/// y = x: for a place that must hold a layer.
///
/// # Shapes
/// Any, unchanged.
///
/// ```
/// use autograd::Tape;
/// use nn::Identity;
///
/// let tape = Tape::new();
/// let x = tape.constant([1.0_f32, 2.0]);
/// assert_eq!(Identity.forward(x).value()?, x.value()?);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, autograd_derive::Module)]
pub struct Identity;

impl Identity {
    /// x.
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x
    }
}

layer!(Identity);
