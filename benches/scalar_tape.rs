//! What does a scalar operation cost, recorded and reversed, and does the cost stay flat from 10³ to 10⁷ operations?

use autograd::{Result, Scalar, Tape};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// A chain of products, sums and differences: five operations a turn.
fn chain<'t>(tape: &'t Tape<f64>, operations: usize) -> Scalar<'t, f64> {
    let [mut x, a, b] = tape.scalars([0.3, 0.9, 0.5]);
    let mut sum = Scalar::constant(0.0);
    for _ in 0..operations / 5 {
        let t = x * a;
        let u = t + b;
        let v = u * a;
        x = v - x;
        sum += x;
    }
    sum
}

fn scalar_tape(criterion: &mut Criterion) {
    for operations in [1_000, 100_000, 10_000_000] {
        let mut group = criterion.benchmark_group(format!("scalar_tape/{operations}"));
        group.throughput(Throughput::Elements(operations as u64)).sample_size(10);
        let mut tape = Tape::new();
        group.bench_function("record", |bencher| {
            bencher.iter(|| {
                tape.clear();
                chain(&tape, operations).value()
            });
        });
        group.bench_function("record_and_reverse", |bencher| {
            bencher.iter(|| -> Result<()> {
                tape.clear();
                chain(&tape, operations).backward()?;
                Ok(())
            });
        });
        group.bench_function("plain", |bencher| {
            bencher.iter_batched(
                || std::hint::black_box([0.3, 0.9, 0.5]),
                |[mut x, a, b]: [f64; 3]| {
                    let mut sum = 0.0;
                    for _ in 0..operations / 5 {
                        x = (x * a + b) * a - x;
                        sum += x;
                    }
                    sum
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, scalar_tape);
criterion_main!(benches);
