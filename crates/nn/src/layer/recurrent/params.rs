//! The parameters of one direction of one layer.

use autograd::{ErrorKind, Float, Param, RecurrentWeights, Shape, Var};
use rand::Rng;

use crate::init;
use crate::layer::optional;

/// What one direction of one layer multiplies with, of G gates.
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct RecurrentParams<T: Float = f32> {
    /// For the input: `[G·width, inputs]`.
    pub weight_ih: Param<T>,
    /// For the hidden state: `[G·width, width]`.
    pub weight_hh: Param<T>,
    /// With the input: `[G·width]`.
    pub bias_ih: Option<Param<T>>,
    /// With the hidden state: `[G·width]`. There are both biases or none.
    pub bias_hh: Option<Param<T>>,
}

impl<T: Float> RecurrentParams<T> {
    pub(super) fn new(gates: usize, inputs: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let bound = 1.0 / (width as f64).sqrt();
        // What has no room is refused where the weight is made.
        let rows = gates.saturating_mul(width);
        let mut draw = |shape: Shape| Param::from(init::uniform(shape, -bound, bound, rng));
        Self {
            weight_ih: draw([rows, inputs].into()),
            weight_hh: draw([rows, width].into()),
            bias_ih: Some(draw(rows.into())),
            bias_hh: Some(draw(rows.into())),
        }
    }

    #[track_caller]
    pub(super) fn on<'t>(&self, x: Var<'t, T>) -> RecurrentWeights<'t, T> {
        RecurrentWeights {
            input: x.param(&self.weight_ih),
            hidden: x.param(&self.weight_hh),
            bias: optional(x, &self.bias_ih).zip(optional(x, &self.bias_hh)).map(<[_; 2]>::from),
        }
    }

    pub(super) fn without_bias(self) -> Self {
        Self { bias_ih: None, bias_hh: None, ..self }
    }

    /// An input has `rank` axes, the last with as many features as the weight takes.
    pub(super) fn check_input(&self, x: &Shape, rank: usize) -> Result<(), ErrorKind> {
        match (&x[..], &self.weight_ih.shape()[..]) {
            (x, _) if x.len() != rank => Err(ErrorKind::Rank { what: "the input", expected: rank, found: x.into() }),
            ([samples @ .., _], &[_, inputs]) => {
                let expected: Shape = samples.iter().copied().chain([inputs]).collect();
                x.must_be("the input", &expected)
            }
            _ => Ok(()),
        }
    }
}
