//! Results are the same bits on any number of threads.

use autograd::{Conv2dOptions, Tape, Tensor};

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
    let bits = handles.iter().flat_map(|&x| gradients.of(x).unwrap().iter()).map(f32::to_bits);
    std::iter::once(loss.value().unwrap().to_bits()).chain(bits).collect()
}

#[test]
fn one_thread_and_many_give_the_same_bits() {
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
