//! Dense networks.

use autograd::{Module, Result, Tensor, Var};
use nn::Linear;
use nn::loss::{cross_entropy, mse};
use optim::{Adam, Sgd};
use rand::rngs::StdRng;

use crate::bench::{Bench, classes, normal};

/// 2-16-16-1 tanh, batch 64, squared error, SGD.
pub fn w1(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let mut model = Mlp::new(&[2, 16, 16, 1], &mut rng);
    let (x, y) = (normal([64, 2], &mut rng), normal([64, 1], &mut rng));
    let mut sgd = Sgd::new(0.01);
    bench.supervised(
        &mut model,
        &(x, y),
        |model: &Mlp, _, (x, y)| mse(model.forward(x, Var::tanh), y),
        |model, gradients| sgd.step(model, gradients),
    )
}

/// 2-128-128-128-1 relu, batch 4096, squared error, Adam.
pub fn w2(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let mut model = Mlp::new(&[2, 128, 128, 128, 1], &mut rng);
    let (x, y) = (normal([4096, 2], &mut rng), Tensor::uniform([4096, 1], 0.0, 1.0, &mut rng));
    let mut adam = Adam::new(1e-3);
    bench.supervised(
        &mut model,
        &(x, y),
        |model: &Mlp, _, (x, y)| mse(model.forward(x, Var::relu).sigmoid(), y),
        |model, gradients| adam.step(model, gradients),
    )
}

/// 784-512-256-10 relu, batch 128, cross-entropy, Adam.
pub fn w3(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let mut model = Mlp::new(&[784, 512, 256, 10], &mut rng);
    let (x, y) = (normal([128, 784], &mut rng), classes([128], 10, &mut rng));
    let mut adam = Adam::new(1e-3);
    bench.supervised(
        &mut model,
        &(x, y),
        |model: &Mlp, _, (x, y)| cross_entropy(model.forward(x, Var::relu), y),
        |model, gradients| adam.step(model, gradients),
    )
}

struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(sizes: &[usize], rng: &mut StdRng) -> Self {
        Mlp { layers: sizes.windows(2).map(|pair| Linear::new(pair[0], pair[1], rng)).collect() }
    }

    fn forward<'t>(&self, x: Var<'t>, activation: fn(Var<'t>) -> Var<'t>) -> Var<'t> {
        let last = self.layers.len() - 1;
        let layers = self.layers.iter().enumerate();
        layers.fold(x, |x, (i, layer)| if i < last { activation(layer.forward(x)) } else { layer.forward(x) })
    }
}

impl Module for Mlp {
    fn visit<'m>(&'m self, path: &nn::Path<'_>, visitor: &mut dyn nn::Visitor<'m, f32>) {
        self.layers.visit(path, visitor);
    }
    fn visit_mut<'m>(&'m mut self, path: &nn::Path<'_>, visitor: &mut dyn nn::VisitorMut<'m, f32>) {
        self.layers.visit_mut(path, visitor);
    }
}
