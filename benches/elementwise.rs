//! What does a chain of elementwise operations cost: the overhead on 4 × 4, the throughput on a million elements?

use autograd::{Result, Tape, Tensor, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const OPERATIONS: usize = 1000;

/// `x ← tanh(x·w + b) + x₀`, four operations a turn.
fn chain<'t>(tape: &'t Tape, [w, b, start]: &[Tensor; 3], operations: usize) -> Var<'t> {
    let (w, b, start) = (tape.var(w), tape.var(b), tape.var(start));
    (0..operations / 4).fold(start, |x, _| (x * w + b).tanh() + start)
}

fn elementwise(criterion: &mut Criterion) {
    let mut tape = Tape::new();
    for (size, operations) in [(4, OPERATIONS), (1000, 4)] {
        let inputs = [0.3, 0.1, 0.2].map(|x: f32| Tensor::full([size, size], x));
        let mut group = criterion.benchmark_group(format!("elementwise/{size}x{size}"));
        group.throughput(Throughput::Elements((operations * if size == 4 { 1 } else { size * size }) as u64));
        group.bench_function("value", |bencher| {
            bencher.iter(|| {
                tape.clear();
                chain(&tape, &inputs, operations).value().map(drop)
            });
        });
        group.bench_function("value_and_gradient", |bencher| {
            bencher.iter(|| -> Result<()> {
                tape.clear();
                chain(&tape, &inputs, operations).sum().backward()?;
                Ok(())
            });
        });
        group.finish();
    }
}

criterion_group!(benches, elementwise);
criterion_main!(benches);
