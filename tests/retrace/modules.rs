//! Modules: what holds what under which name, copies of models, and weights that are computed.

mod containers;
mod copies;
mod functional;
mod layers;

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

/// Every slope of a function of a model by central differences, parameter after parameter.
fn differences<M: Module<f64>>(model: &mut M, f: impl Fn(&M) -> f64) -> Vec<f64> {
    let h = 1e-6;
    let mut slopes = Vec::new();
    for (name, value) in names(model).into_iter().zip(values(model)) {
        for place in 0..value.len() {
            let mut at = |by: f64| {
                let mut moved = value.to_vec();
                moved[place] += by;
                let moved = Tensor::from_vec(value.shape(), moved).unwrap();
                model.parameter_mut(&name).unwrap().set(moved).unwrap();
                f(model)
            };
            slopes.push((at(h) - at(-h)) / (2.0 * h));
        }
        model.parameter_mut(&name).unwrap().set(value).unwrap();
    }
    slopes
}
