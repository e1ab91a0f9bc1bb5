//! Thirty noisy samples of a curve, and three networks that learn from them: one too small to follow, one that is held
//! back by weight decay, and the same one set free, which learns the noise by heart. The error on data that none of them saw tells them apart.
//!
//! `cargo run --release --example overfitting` prints the errors and draws the curves in `out/overfitting.png`.

#[path = "support/chart.rs"]
mod chart;
#[path = "support/picture.rs"]
mod picture;

use autograd::{Result, Tape, Tensor};
use chart::{LineChart, Series};
use nn::loss::mse;
use nn::{Linear, Sequential, Tanh};
use optim::{AdamW, AdamWConfig};
use picture::Picture;
use rand::{Rng, SeedableRng, rngs::StdRng};

const NOISE: f32 = 0.4;

fn curve(x: f32) -> f32 {
    (3.0 * x).sin() + 0.5 * x
}

fn samples(count: usize, rng: &mut impl Rng) -> Result<(Tensor, Tensor)> {
    let x = Tensor::linspace(-2.0, 2.0, count).reshape([count, 1])?;
    let y = x.map(curve).add(Tensor::normal([count, 1], 0.0, NOISE, rng))?;
    Ok((x, y))
}

/// A network of two hidden layers that trains on all samples at once.
fn trained(width: usize, weight_decay: f64, (x, y): (&Tensor, &Tensor)) -> Result<Sequential> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut model = Sequential::new()
        .with(Linear::new(1, width, &mut rng))
        .with(Tanh)
        .with(Linear::new(width, width, &mut rng))
        .with(Tanh)
        .with(Linear::new(width, 1, &mut rng));
    let mut rule = AdamW::with_config(AdamWConfig { rate: 0.01, weight_decay, ..AdamWConfig::default() });
    let mut tape = Tape::new();
    for _ in 0..4000 {
        let loss = mse(model.forward(tape.constant(x)), y);
        rule.step(&mut model, &loss.backward()?)?;
        tape.clear();
    }
    Ok(model)
}

fn predict(model: &Sequential, x: &Tensor) -> Result<Tensor> {
    let tape = Tape::new();
    model.forward(tape.constant(x)).value()
}

fn error(model: &Sequential, x: &Tensor, y: &Tensor) -> Result<f32> {
    let miss = predict(model, x)?.sub(y)?;
    Ok(miss.square().mean().sqrt())
}

fn points(x: &Tensor, y: &Tensor) -> Vec<(f64, f64)> {
    x.iter().zip(y).map(|(x, y)| (x.into(), y.into())).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = StdRng::seed_from_u64(0);
    let (x, y) = samples(30, &mut rng)?;
    let (new_x, new_y) = samples(2000, &mut rng)?;
    let grid = Tensor::linspace(-2.0, 2.0, 400).reshape([400, 1])?;

    println!("root mean square error on the 30 samples; the noise alone has {NOISE}");
    let mut charts = Vec::new();
    for (name, width, weight_decay) in [("one unit a layer", 1, 0.0), ("weight decay", 16, 1.0), ("free", 16, 0.0)] {
        let model = trained(width, weight_decay, (&x, &y))?;
        let errors = (error(&model, &x, &y)?, error(&model, &new_x, &new_y)?);
        let title = format!("{name}: {:.2}, on new samples {:.2}", errors.0, errors.1);
        println!("  {title}");
        let series = [
            Series::line("what it learned", points(&grid, &predict(&model, &grid)?)),
            Series::dots("30 samples", points(&x, &y)),
            Series::line("the curve behind them", points(&grid, &grid.map(curve))),
        ];
        let chart = LineChart { title: &title, series: &series, size: (640, 520), ..LineChart::default() };
        charts.push(chart.draw());
    }
    Ok(Picture::tile(&charts, 3, 0).save("out/overfitting.png")?)
}
