//! Modules: what holds what under which name, copies of models, and weights that are computed.

mod containers;
mod copies;

use autograd::Tensor;
use nn::{Linear, Module, ModuleExt};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn rng() -> StdRng {
    StdRng::seed_from_u64(11)
}

fn linear(inputs: usize, outputs: usize, seed: u64) -> Linear<f64> {
    Linear::new(inputs, outputs, &mut StdRng::seed_from_u64(seed))
}

fn wave(shape: &[usize]) -> Tensor<f64> {
    let mut k = 0.0;
    Tensor::from_fn(shape, |_| {
        k += 1.0;
        f64::sin(k * 0.7)
    })
}

fn names(model: &impl Module<f64>) -> Vec<String> {
    model.named_parameters().into_iter().map(|(name, _)| name).collect()
}

fn values(model: &impl Module<f64>) -> Vec<Tensor<f64>> {
    model.named_parameters().into_iter().map(|(_, param)| param.value().clone()).collect()
}
