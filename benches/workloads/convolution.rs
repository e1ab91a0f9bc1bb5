//! A convolutional network.

use autograd::{MaxPool2dOptions, Result, Var};
use nn::loss::cross_entropy;
use nn::{Conv2d, Linear};
use optim::{Sgd, SgdConfig};
use rand::rngs::StdRng;

use crate::bench::{Bench, classes, normal};

/// Two convolutions on 64 × 1 × 28 × 28, SGD with momentum.
pub fn w4(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let mut model = LeNet {
        convolutions: [Conv2d::new(1, 16, [5, 5], &mut rng), Conv2d::new(16, 32, [5, 5], &mut rng)],
        dense: [Linear::new(512, 128, &mut rng), Linear::new(128, 10, &mut rng)],
    };
    let (x, y) = (normal([64, 1, 28, 28], &mut rng), classes([64], 10, &mut rng));
    let mut sgd = Sgd::with_config(SgdConfig { rate: 0.01, momentum: 0.9, ..SgdConfig::default() });
    bench.supervised(
        &mut model,
        &(x, y),
        |model: &LeNet, _, (x, y)| cross_entropy(model.forward(x), y),
        |model, gradients| sgd.step(model, gradients),
    )
}

#[derive(nn::Module)]
struct LeNet {
    convolutions: [Conv2d; 2],
    dense: [Linear; 2],
}

impl LeNet {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let pool = |x: Var<'t>| x.max_pool2d([2, 2], MaxPool2dOptions::default());
        let x = self.convolutions.iter().fold(x, |x, layer| pool(layer.forward(x).relu()));
        let batch = x.size(0);
        self.dense[1].forward(self.dense[0].forward(x.reshape([batch, 512])).relu())
    }
}
