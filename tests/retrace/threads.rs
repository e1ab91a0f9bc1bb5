//! Results are the same bits on any number of threads.

use autograd::{
    Conv2dOptions, MaxPool2dOptions, Scalar, Tape, Tensor, Var,
    module::{Leaf, Path},
};
use nn::loss::{cross_entropy, mse};
use nn::{Conv2d, Linear, Lstm, Module, TransformerConfig, TransformerEncoder};
use optim::Adam;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn wave(shape: &[usize], frequency: f64) -> Tensor<f32> {
    let mut k = 0.0;
    Tensor::from_fn(shape, |_| {
        k += 1.0;
        f64::sin(k * frequency) as f32
    })
}

/// The bits of a loss and its gradients: convolution, matrix products, long elementwise chains, sums, broadcasting.
fn step() -> Vec<u32> {
    let tape = Tape::new();
    let images = tape.constant(wave(&[16, 3, 24, 24], 0.37));
    let (kernel, bias) = (tape.var(wave(&[8, 3, 3, 3], 0.11)), tape.var(wave(&[8], 0.7)));
    let (weight, shift) = (tape.var(wave(&[8 * 22 * 22, 64], 0.013)), tape.var(wave(&[64], 0.31)));
    let hidden = images.conv2d(kernel, Some(bias), Conv2dOptions::default()).silu();
    let out = (hidden.reshape([16, 8 * 22 * 22]).matmul(weight) + shift).tanh();
    let long = (weight * 3.0).sin() * weight.exp();
    let loss = out.square().mean() + long.sum() * 1e-6 + long.sum_axes(0).square().sum() * 1e-9;
    let gradients = loss.backward().unwrap();
    let handles = [kernel, bias, weight, shift];
    let gradients = gradients.of(handles).unwrap();
    let bits = gradients.iter().flat_map(Tensor::iter).map(f32::to_bits);
    std::iter::once(loss.value().unwrap().to_bits()).chain(bits).collect()
}

/// The bits of all parameters after two steps.
fn trained<M: Module>(mut model: M, loss: impl for<'t> Fn(&M, &'t Tape) -> Scalar<'t>) -> Vec<u32> {
    let (mut adam, mut tape) = (Adam::new(0.01), Tape::new());
    for _ in 0..2 {
        let gradients = loss(&model, &tape).backward().unwrap();
        adam.step(&mut model, &gradients).unwrap();
        tape.clear();
    }
    let mut bits = Vec::new();
    model.visit(&Path::root(), &mut |_: &Path<'_>, leaf: Leaf<'_, f32>| {
        if let Leaf::Param(param) = leaf {
            bits.extend(param.value().iter().map(f32::to_bits));
        }
    });
    bits
}

fn dense() -> Vec<u32> {
    let mut rng = StdRng::seed_from_u64(0);
    let layers = vec![Linear::new(2, 128, &mut rng), Linear::new(128, 128, &mut rng), Linear::new(128, 1, &mut rng)];
    let (x, y) = (wave(&[2048, 2], 0.37), wave(&[2048, 1], 0.11));
    trained(layers, |layers: &Vec<Linear>, tape| {
        let hidden = layers[1].forward(layers[0].forward(tape.constant(&x)).relu()).relu();
        mse(layers[2].forward(hidden).sigmoid(), &y)
    })
}

#[derive(Module)]
struct Pooled {
    convolution: Conv2d,
    out: Linear,
}

fn convolutional() -> Vec<u32> {
    let mut rng = StdRng::seed_from_u64(0);
    let model =
        Pooled { convolution: Conv2d::new(3, 8, [3, 3], &mut rng), out: Linear::new(8 * 11 * 11, 10, &mut rng) };
    let (x, y): (_, Tensor<usize>) = (wave(&[32, 3, 24, 24], 0.37), (0..32).map(|i| i % 10).collect());
    trained(model, |model: &Pooled, tape| {
        let maps = model.convolution.forward(tape.constant(&x)).relu().max_pool2d([2, 2], MaxPool2dOptions::default());
        cross_entropy(model.out.forward(maps.reshape([32, 8 * 11 * 11])), &y)
    })
}

#[derive(Module)]
struct Sequence<L> {
    layer: L,
    out: Linear,
}

fn recurrent() -> Vec<u32> {
    let mut rng = StdRng::seed_from_u64(0);
    let model = Sequence { layer: Lstm::new(16, 64, &mut rng), out: Linear::new(64, 10, &mut rng) };
    let (x, y): (_, Tensor<usize>) = (wave(&[12, 32, 16], 0.37), (0..32).map(|i| i % 10).collect());
    trained(model, |model: &Sequence<Lstm>, tape| {
        let states: Var<'_> = model.layer.forward(tape.constant(&x));
        cross_entropy(model.out.forward(states.index_axis(0, 11)), &y)
    })
}

fn attending() -> Vec<u32> {
    let mut rng = StdRng::seed_from_u64(0);
    let config = TransformerConfig { feedforward: 128, dropout: 0.0, batch_first: true, ..Default::default() };
    let layer = TransformerEncoder::new(1, 64, 4, &config, &mut rng);
    let model = Sequence { layer, out: Linear::new(64, 1, &mut rng) };
    let (x, y) = (wave(&[8, 64, 64], 0.37), wave(&[8, 64, 1], 0.11));
    trained(model, |model: &Sequence<TransformerEncoder>, tape| {
        mse(model.out.forward(model.layer.forward(tape.constant(&x))), &y)
    })
}

#[test]
fn one_thread_and_many_give_the_same_bits() {
    for step in [step, dense, convolutional, recurrent, attending] {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(step)
        };
        let alone = on(1);
        for threads in [2, 3] {
            let differ = alone.iter().zip(on(threads)).filter(|(a, b)| **a != *b).count();
            assert_eq!(differ, 0, "of {} numbers differ between 1 and {threads} threads", alone.len());
        }
    }
}
