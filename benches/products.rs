//! How fast are matrix products and convolutions, alone and with their gradients, in floating-point operations a second?

use autograd::{Conv2dOptions, Padding, Result, Tape, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{SeedableRng, rngs::StdRng};

fn matmul(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(0);
    let mut tape = Tape::new();
    let mut group = criterion.benchmark_group("matmul");
    for [m, k, n] in [[4, 4, 4], [64, 64, 64], [128, 784, 512], [512, 512, 512]] {
        let (a, b) = (Tensor::normal([m, k], 0.0, 1.0, &mut rng), Tensor::normal([k, n], 0.0, 1.0, &mut rng));
        group.throughput(Throughput::Elements((2 * m * k * n) as u64));
        group.bench_function(BenchmarkId::new("value", format!("{m}x{k}x{n}")), |bencher| {
            bencher.iter(|| {
                tape.clear();
                tape.constant(&a).matmul(tape.constant(&b)).value().map(drop)
            });
        });
        group.throughput(Throughput::Elements((6 * m * k * n) as u64));
        group.bench_function(BenchmarkId::new("value_and_gradient", format!("{m}x{k}x{n}")), |bencher| {
            bencher.iter(|| -> Result<()> {
                tape.clear();
                tape.var(&a).matmul(tape.var(&b)).sum().backward()?;
                Ok(())
            });
        });
    }
    group.finish();
}

fn convolution(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(0);
    let mut tape = Tape::new();
    let mut group = criterion.benchmark_group("conv2d");
    let dense = [[32, 16, 28, 32, 3, 1], [32, 64, 14, 64, 1, 1], [64, 1, 28, 16, 5, 1], [1, 64, 56, 64, 3, 1]];
    let depthwise = [[8, 32, 56, 32, 3, 32], [8, 512, 7, 512, 3, 512]];
    for [batch, inputs, size, outputs, kernel, groups] in dense.into_iter().chain(depthwise) {
        let x = Tensor::normal([batch, inputs, size, size], 0.0, 1.0, &mut rng);
        let weight = Tensor::normal([outputs, inputs / groups, kernel, kernel], 0.0, 0.1, &mut rng);
        let options = Conv2dOptions { padding: Padding::Same, groups, ..Conv2dOptions::default() };
        let flops = 2 * batch * outputs * size * size * inputs / groups * kernel * kernel;
        let name = format!("{batch}x{inputs}x{size}x{size}/{outputs}/{kernel}x{kernel}/{groups}");
        group.throughput(Throughput::Elements(flops as u64));
        group.bench_function(BenchmarkId::new("value", &name), |bencher| {
            bencher.iter(|| {
                tape.clear();
                tape.constant(&x).conv2d(tape.constant(&weight), None, options).value().map(drop)
            });
        });
        group.throughput(Throughput::Elements(3 * flops as u64));
        group.bench_function(BenchmarkId::new("value_and_gradient", &name), |bencher| {
            bencher.iter(|| -> Result<()> {
                tape.clear();
                tape.var(&x).conv2d(tape.var(&weight), None, options).sum().backward()?;
                Ok(())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, matmul, convolution);
criterion_main!(benches);
