//! The network: random Fourier features and three hidden layers, with an output for the escape value and one for
//! membership.

use autograd::{Result, Scalar, Tape, Tensor, Var, cat};
use nn::loss::{bce_with_logits, mse};
use nn::{Buffer, Linear, Module};
use rand::Rng;

use crate::set::Points;

/// Standard deviation of the features' frequencies, in radians per unit: how fine the details are that it sees at once.
const DETAIL: f32 = 4.0;
/// The weight of membership beside the escape value in the loss.
const MEMBERSHIP: f32 = 0.03;

#[derive(Module)]
pub struct Network {
    frequencies: Buffer,
    hidden: [Linear; 3],
    out: Linear,
}

impl Network {
    pub fn new(width: usize, rng: &mut impl Rng) -> Network {
        let features = width / 2;
        Network {
            frequencies: Buffer::new(Tensor::normal([2, features], 0.0, DETAIL, rng)),
            hidden: [2 + 2 * features, width, width].map(|inputs| Linear::new(inputs, width, rng)),
            out: Linear::new(width, 2, rng),
        }
    }

    /// Places `[n, 2]` → escape value and membership logit `[n, 2]`.
    pub fn forward<'t>(&self, places: Var<'t>) -> Var<'t> {
        let waves = places.matmul(places.tape().constant(self.frequencies.value()));
        let features = cat(&[places, waves.sin(), waves.cos()], -1);
        self.out.forward(self.hidden.iter().fold(features, |x, layer| layer.forward(x).relu()))
    }

    pub fn loss<'t>(&self, tape: &'t Tape, places: Tensor, targets: Tensor) -> Scalar<'t> {
        let (y, targets) = (self.forward(tape.constant(places)), tape.constant(targets));
        let column = |x: Var<'t>, k: usize| x.slice(1, k..k + 1);
        let value = mse(column(y, 0), column(targets, 0));
        value + MEMBERSHIP * bce_with_logits(column(y, 1), column(targets, 1))
    }

    /// The outputs at many places, computed in pieces that fit the caches.
    pub fn predict(&self, places: &Tensor) -> Result<Vec<[f32; 2]>> {
        const PIECE: usize = 4096;
        let mut tape = Tape::new();
        let mut outputs = Vec::with_capacity(places.shape()[0]);
        for start in (0..places.shape()[0]).step_by(PIECE) {
            let end = places.shape()[0].min(start + PIECE);
            let y = self.forward(tape.constant(places.slice(0, start..end)?)).value()?;
            outputs.extend(y.to_vec().chunks_exact(2).map(|row| [row[0], row[1]]));
            tape.clear();
        }
        Ok(outputs)
    }
}

/// How well predictions fit points that were not trained on.
pub struct Score {
    /// The share right inside or outside.
    pub accuracy: f64,
    /// R² of the escape value: 1 − Σ(y − t)²/Σ(t − mean t)².
    pub r_squared: f64,
}

impl Score {
    pub fn of(network: &Network, held_out: &Points) -> Result<Score> {
        let predictions = network.predict(&held_out.places)?;
        let targets: Vec<f64> = held_out.targets.iter().map(f64::from).collect();
        let rows = || predictions.iter().zip(targets.chunks_exact(2));
        let count = held_out.len() as f64;
        let right = rows().filter(|(y, target)| (y[1] > 0.0) == (target[1] > 0.5)).count();
        let mean = rows().map(|(_, target)| target[0]).sum::<f64>() / count;
        let rest: f64 = rows().map(|(y, target)| (f64::from(y[0]) - target[0]).powi(2)).sum();
        let total: f64 = rows().map(|(_, target)| (target[0] - mean).powi(2)).sum();
        Ok(Score { accuracy: right as f64 / count, r_squared: 1.0 - rest / total })
    }
}
