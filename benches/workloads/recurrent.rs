//! A recurrent network that classifies sequences.

use autograd::{Result, Var};
use nn::loss::cross_entropy;
use nn::{Linear, Lstm, RecurrentConfig};
use optim::Adam;
use rand::rngs::StdRng;

use crate::bench::{Bench, classes, normal};

/// LSTM 32-128 over 64 steps, then 128-10 of the last one, batch 32, cross-entropy, Adam.
pub fn w5(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let config = RecurrentConfig { batch_first: true, ..RecurrentConfig::default() };
    let mut model =
        LastHidden { lstm: Lstm::with_config(32, 128, config, &mut rng), head: Linear::new(128, 10, &mut rng) };
    let (x, y) = (normal([32, 64, 32], &mut rng), classes([32], 10, &mut rng));
    let mut adam = Adam::new(1e-3);
    bench.supervised(
        &mut model,
        &(x, y),
        |model: &LastHidden, _, (x, y)| cross_entropy(model.forward(x), y),
        |model, gradients| adam.step(model, gradients),
    )
}

#[derive(nn::Module)]
struct LastHidden {
    lstm: Lstm,
    head: Linear,
}

impl LastHidden {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let last = x.size(1) - 1;
        self.head.forward(self.lstm.forward(x).index_axis(1, last))
    }
}
