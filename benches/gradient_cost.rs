//! How many times the value does the gradient cost? Per operation and for a model; the cheap-gradient principle says a
//! small constant.

use autograd::{Result, Scalar, Tape, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use nn::{Linear, Module, loss::mse};
use rand::{SeedableRng, rngs::StdRng};

type Op = for<'t> fn(Var<'t>) -> Scalar<'t>;

const OPS: [(&str, Op); 9] = [
    ("add", |x| (x + x).sum()),
    ("mul", |x| (x * x).sum()),
    ("tanh", |x| x.tanh().sum()),
    ("exp", |x| x.exp().sum()),
    ("softmax", |x| x.softmax(-1).square().sum()),
    ("logsumexp", |x| x.logsumexp(-1).sum()),
    ("sum", |x| x.sum()),
    ("matmul", |x| x.matmul(x.t()).sum()),
    ("sort", |x| x.sort(-1, autograd::SortOrder::Ascending).0.square().sum()),
];

fn operations(criterion: &mut Criterion) {
    let x = Tensor::<f32>::uniform([256, 256], 0.1, 1.0, &mut StdRng::seed_from_u64(0));
    let mut tape = Tape::new();
    for (name, op) in OPS {
        let mut group = criterion.benchmark_group(format!("gradient_cost/{name}"));
        group.bench_function("value", |bencher| {
            bencher.iter(|| {
                tape.clear();
                op(tape.constant(&x)).value()
            });
        });
        group.bench_function("value_and_gradient", |bencher| {
            bencher.iter(|| -> Result<()> {
                tape.clear();
                op(tape.var(&x)).backward()?;
                Ok(())
            });
        });
        group.finish();
    }
}

#[derive(Module)]
struct Mlp {
    layers: [Linear; 3],
}

impl Mlp {
    fn loss<'t>(&self, tape: &'t Tape, x: &Tensor, y: &Tensor) -> Scalar<'t> {
        mse(self.layers.iter().fold(tape.constant(x), |x, layer| layer.forward(x).tanh()), y)
    }
}

fn model(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(0);
    let model = Mlp { layers: std::array::from_fn(|_| Linear::new(128, 128, &mut rng)) };
    let [x, y] = std::array::from_fn(|_| Tensor::normal([256, 128], 0.0, 1.0, &mut rng));
    let mut tape = Tape::new();
    let mut group = criterion.benchmark_group("gradient_cost/mlp");
    group.bench_function("value", |bencher| {
        bencher.iter(|| {
            tape.clear();
            tape.no_grad(|| model.loss(&tape, &x, &y)).value()
        });
    });
    group.bench_function("value_and_gradient", |bencher| {
        bencher.iter(|| -> Result<()> {
            tape.clear();
            model.loss(&tape, &x, &y).backward()?;
            Ok(())
        });
    });
    group.finish();
}

criterion_group!(benches, operations, model);
criterion_main!(benches);
