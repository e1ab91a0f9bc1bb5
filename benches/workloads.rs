//! How long does a training step take? Five models, each as forward, forward and backward, and whole step, in the form
//! of JSON lines that scripts for other engines print too.
//!
//!     cargo bench --bench workloads -- [--only W1,W3] [--seconds S] [--threads N]
//!
//! W1: 2-16-16-1 tanh, batch 64, squared error, SGD. W2: 2-128-128-128-1 relu, batch 4096, squared error, Adam.
//! W3: 784-512-256-10 relu, batch 128, cross-entropy, Adam. W4: two convolutions on 64 × 1 × 28 × 28, SGD with momentum.
//! W5: LSTM 32-128 over 64 steps, then 128-10 of the last one, batch 32, cross-entropy, Adam.

use std::time::{Duration, Instant};

use autograd::{MaxPool2dOptions, Module, Result, Scalar, Tape, Tensor, Var};
use clap::Parser;
use nn::loss::{cross_entropy, mse};
use nn::{Conv2d, Linear, Lstm, RecurrentConfig};
use optim::{Adam, Sgd, SgdConfig};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[derive(Parser)]
struct Options {
    /// Workloads, separated by commas; all without it
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Time for each measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Threads; 0 is one for each processor
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global()?;
    let workloads: [(&str, Workload); 5] = [("W1", w1), ("W2", w2), ("W3", w3), ("W4", w4), ("W5", w5)];
    for (name, run) in workloads {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            run(&mut Bench { name, options: &options }, StdRng::seed_from_u64(0))?;
        }
    }
    Ok(())
}

type Workload = fn(&mut Bench<'_>, StdRng) -> Result<()>;

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

fn w1(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let mut model = Mlp::new(&[2, 16, 16, 1], &mut rng);
    let (x, y) = (normal([64, 2], &mut rng), normal([64, 1], &mut rng));
    let mut sgd = Sgd::new(0.01);
    bench.supervised(
        &mut model,
        |model, tape| mse(model.forward(tape.constant(&x), Var::tanh), &y),
        |model, gradients| sgd.step(model, gradients),
    )
}

fn w2(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let mut model = Mlp::new(&[2, 128, 128, 128, 1], &mut rng);
    let (x, y) = (normal([4096, 2], &mut rng), Tensor::uniform([4096, 1], 0.0, 1.0, &mut rng));
    let mut adam = Adam::new(1e-3);
    bench.supervised(
        &mut model,
        |model, tape| mse(model.forward(tape.constant(&x), Var::relu).sigmoid(), &y),
        |model, gradients| adam.step(model, gradients),
    )
}

fn w3(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let mut model = Mlp::new(&[784, 512, 256, 10], &mut rng);
    let (x, y) = (normal([128, 784], &mut rng), classes(128, &mut rng));
    let mut adam = Adam::new(1e-3);
    bench.supervised(
        &mut model,
        |model, tape| cross_entropy(model.forward(tape.constant(&x), Var::relu), &y),
        |model, gradients| adam.step(model, gradients),
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

fn w4(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let mut model = LeNet {
        convolutions: [Conv2d::new(1, 16, [5, 5], &mut rng), Conv2d::new(16, 32, [5, 5], &mut rng)],
        dense: [Linear::new(512, 128, &mut rng), Linear::new(128, 10, &mut rng)],
    };
    let (x, y) = (normal([64, 1, 28, 28], &mut rng), classes(64, &mut rng));
    let mut sgd = Sgd::with_config(SgdConfig { rate: 0.01, momentum: 0.9, ..SgdConfig::default() });
    bench.supervised(
        &mut model,
        |model, tape| cross_entropy(model.forward(tape.constant(&x)), &y),
        |model, gradients| sgd.step(model, gradients),
    )
}

#[derive(nn::Module)]
struct LastHidden {
    lstm: Lstm,
    head: Linear,
}

impl LastHidden {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let last = x.size(1) - 1;
        self.head.forward(self.lstm.forward(x).index_axis(1, last))
    }
}

fn w5(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let config = RecurrentConfig { batch_first: true, ..RecurrentConfig::default() };
    let mut model =
        LastHidden { lstm: Lstm::with_config(32, 128, config, &mut rng), head: Linear::new(128, 10, &mut rng) };
    let (x, y) = (normal([32, 64, 32], &mut rng), classes(32, &mut rng));
    let mut adam = Adam::new(1e-3);
    bench.supervised(
        &mut model,
        |model, tape| cross_entropy(model.forward(tape.constant(&x)), &y),
        |model, gradients| adam.step(model, gradients),
    )
}

fn normal<const N: usize>(shape: [usize; N], rng: &mut StdRng) -> Tensor {
    Tensor::normal(shape, 0.0, 1.0, rng)
}

fn classes(count: usize, rng: &mut StdRng) -> Tensor<usize> {
    (0..count).map(|_| rng.random_range(0..10)).collect()
}

struct Bench<'a> {
    name: &'static str,
    options: &'a Options,
}

impl Bench<'_> {
    /// Measures the three phases of a step.
    fn supervised<M>(
        &mut self,
        model: &mut M,
        loss: impl for<'t> Fn(&M, &'t Tape) -> Scalar<'t>,
        mut update: impl FnMut(&mut M, &autograd::Gradients) -> Result<()>,
    ) -> Result<()> {
        let mut tape = Tape::new();
        self.report("fwd", || {
            tape.no_grad(|| loss(model, &tape)).value()?;
            tape.clear();
            Ok(())
        })?;
        self.report("fwdbwd", || {
            loss(model, &tape).backward()?;
            tape.clear();
            Ok(())
        })?;
        self.report("step", || {
            let gradients = loss(model, &tape).backward()?;
            update(model, &gradients)?;
            tape.clear();
            Ok(())
        })
    }

    fn report(&self, phase: &str, mut step: impl FnMut() -> Result<()>) -> Result<()> {
        for _ in 0..3 {
            step()?;
        }
        let (mut times, begin) = (Vec::new(), Instant::now());
        while begin.elapsed() < Duration::from_secs_f64(self.options.seconds) || times.len() < 5 {
            let start = Instant::now();
            step()?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!(
            r#"{{"peer": "retrace", "version": "{}", "threads": {}, "workload": "{}", "phase": "{phase}", "median_ms": {:.6}, "min_ms": {:.6}, "rss_mb": {}}}"#,
            env!("CARGO_PKG_VERSION"),
            rayon::current_num_threads(),
            self.name,
            times[times.len() / 2],
            times[0],
            peak_memory() / 1024,
        );
        Ok(())
    }
}

/// Peak resident memory in KiB; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
