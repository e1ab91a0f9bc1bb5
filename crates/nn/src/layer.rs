//! Layers: structs of parameters with a method `forward`.

mod activation;
mod attention;
mod bilinear;
mod conv;
mod dropout;
mod embedding;
mod flatten;
mod identity;
mod linear;
mod norm;
mod pool;
mod position;
mod recurrent;
mod sequential;
mod transformer;

pub use activation::*;
pub use attention::{AttentionMask, MultiheadAttention};
pub use bilinear::Bilinear;
pub use conv::{Conv1d, Conv2d, ConvTranspose2d};
pub use dropout::{AlphaDropout, Dropout, Dropout2d};
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use identity::Identity;
pub use linear::Linear;
pub use norm::{BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RmsNorm};
pub use pool::{AdaptiveAvgPool2d, AvgPool2d, MaxPool2d};
pub use position::{LearnedPositions, RotaryPositions, SinusoidalPositions};
pub use recurrent::{Gru, GruCell, Lstm, LstmCell, RecurrentConfig, RecurrentParams, Rnn, RnnCell};
pub use sequential::Sequential;
pub use transformer::{
    TransformerActivation, TransformerConfig, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder,
    TransformerEncoderLayer,
};

use autograd::{Float, Module, Param, Var};

/// A module with one tensor in and one out: what [`Sequential`] chains.
///
/// Every layer has `forward` itself, so that calling it needs no import of this trait.
///
/// ```
/// use autograd::Var;
/// use nn::{Layer, Linear, Module};
///
/// #[derive(Module)]
/// struct Residual(Linear);
///
/// impl Layer for Residual {
///     fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
///         x + self.0.forward(x).relu()
///     }
/// }
/// ```
pub trait Layer<T: Float = f32>: Module<T> {
    /// What the layer computes.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T>;
}

impl<T: Float, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        (**self).forward(x)
    }
}

/// A parameter that a layer may do without. A closure for `Option::map` would not know the caller's line.
#[track_caller]
#[allow(clippy::manual_map)]
fn optional<'t, T: Float>(x: Var<'t, T>, param: &Option<Param<T>>) -> Option<Var<'t, T>> {
    match param {
        Some(param) => Some(x.param(param)),
        None => None,
    }
}

/// Implements [`Layer`] by the method of the same name that the type has itself.
macro_rules! layer {
    ($($layer:ty)*) => {$(
        impl<T: autograd::Float> crate::layer::Layer<T> for $layer {
            #[track_caller]
            fn forward<'t>(&self, x: autograd::Var<'t, T>) -> autograd::Var<'t, T> {
                <$layer>::forward(self, x)
            }
        }
    )*};
}
use layer;
