//! A model with a layer, a loss and an op of its own: it learns not one curve through noisy data but three, below which a
//! tenth, a half and nine tenths of the data lie.
//!
//! `cargo run --release --example custom_model` prints what it learned and draws it in `out/custom_model.png`.

#[path = "support/chart.rs"]
mod chart;
#[path = "support/picture.rs"]
mod picture;

use autograd::{Result, Scalar, Tape, Tensor, Var, custom};
use chart::{LineChart, Series};
use nn::{Linear, Module, Param};
use optim::Adam;
use rand::{SeedableRng, rngs::StdRng};

const LEVELS: [f32; 3] = [0.1, 0.5, 0.9];

/// An op of one's own, exp(−x²): its value on plain tensors, and its derivative −2·x·y on handles, which makes it
/// differentiable to any order.
fn bell(x: Var<'_>) -> Var<'_> {
    custom("bell", [x], |[x]| Ok(x.map(|x| (-x * x).exp())), |[x], y, g| [-2.0 * g * x * y])
}

/// A layer of one's own: bells with centres and widths that are learned. `[batch, 1]` → `[batch, bells]`.
#[derive(Module)]
struct Bells {
    centre: Param,
    sharpness: Param,
}

impl Bells {
    fn new(bells: usize) -> Self {
        Self { centre: Tensor::linspace(-3.0, 3.0, bells).into(), sharpness: Tensor::ones([bells]).into() }
    }

    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        bell((x - x.param(&self.centre)) * x.param(&self.sharpness))
    }
}

#[derive(Module)]
struct Model {
    bells: Bells,
    levels: Linear,
}

impl Model {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.levels.forward(self.bells.forward(x))
    }
}

/// A loss of one's own: being too low costs the level, being too high costs 1 − level. It is least where the level's share
/// of the data lies below. Koenker and Bassett, *Regression quantiles* (1978).
fn pinball<'t>(prediction: Var<'t>, y: Var<'t>) -> Scalar<'t> {
    let level = y.tape().constant(LEVELS);
    let missing = y - prediction;
    (level * missing).maximum((level - 1.0) * missing).mean()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = StdRng::seed_from_u64(1);
    let x = Tensor::uniform([1000, 1], -3.0, 3.0, &mut rng);
    let noise = Tensor::normal([1000, 1], 0.0, 1.0, &mut rng);
    let y = x.map(|x: f32| (2.0 * x).sin()).add(&x.map(|x| 0.1 + 0.1 * x.abs()).mul(&noise)?)?;

    let mut model = Model { bells: Bells::new(12), levels: Linear::new(12, 3, &mut rng) };
    let mut adam = Adam::new(0.02);
    let mut tape = Tape::new();
    for step in 0..=1000 {
        let loss = pinball(model.forward(tape.constant(&x)), tape.constant(&y));
        adam.step(&mut model, &loss.backward()?)?;
        if step % 200 == 0 {
            println!("step {step:4}: loss {:.4}", loss.value()?);
        }
        tape.clear();
    }

    let predict = |x: &Tensor| model.forward(tape.constant(x)).value();
    let learned = predict(&x)?;
    for (i, level) in LEVELS.iter().enumerate() {
        let below = learned.index_axis(1, i)?.iter().zip(&y).filter(|(curve, y)| y < curve).count();
        println!("{:4.1} % of the data lie below the curve for {:2.0} %", below as f32 / 10.0, 100.0 * level);
    }
    let grid = Tensor::linspace(-3.0, 3.0, 200).reshape([200, 1])?;
    let curves = predict(&grid)?;
    let points = |x: &Tensor, y: &Tensor| x.iter().zip(y).map(|(x, y)| (x.into(), y.into())).collect::<Vec<_>>();
    let mut series = vec![Series::dots("data", points(&x, &y))];
    for (i, level) in LEVELS.iter().enumerate() {
        series.push(Series::line(&format!("{:.0} %", 100.0 * level), points(&grid, &curves.index_axis(1, i)?)));
    }
    let chart = LineChart { title: "Three quantiles of noisy data", series: &series, ..LineChart::default() };
    Ok(chart.draw().save("out/custom_model.png")?)
}
