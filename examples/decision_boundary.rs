//! Two spirals of points: a straight line cannot tell them apart, a network of two hidden layers can.
//!
//! `cargo run --release --example decision_boundary` prints the accuracies and draws what both think of every place of the
//! plane in `out/decision_boundary.png`.

#[path = "support/chart.rs"]
mod chart;
#[path = "support/picture.rs"]
mod picture;

use std::f32::consts::PI;

use autograd::{Result, Tape, Tensor};
use chart::{Scatter, decision};
use nn::loss::cross_entropy;
use nn::{Linear, Sequential, Tanh};
use optim::Adam;
use picture::Picture;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Points on two arms that wind once around the origin, and the arm of each.
fn spirals(count: usize, rng: &mut impl Rng) -> Result<(Tensor, Vec<usize>)> {
    let class: Vec<usize> = (0..count).map(|i| i % 2).collect();
    let noise = Tensor::normal([count, 2], 0.0, 0.03, rng);
    let point = |i: usize| {
        let radius = 0.1 + 0.85 * ((i / 2) as f32 + 0.5) / (count as f32 / 2.0);
        let angle = 2.5 * PI * radius + PI * class[i] as f32;
        [radius * angle.cos(), radius * angle.sin()]
    };
    let x = Tensor::from_fn([count, 2], |index| point(index[0])[index[1]]);
    Ok((x.add(&noise)?, class))
}

fn train(model: &mut Sequential, x: &Tensor, class: &[usize]) -> Result<()> {
    let mut adam = Adam::new(0.01);
    let mut tape = Tape::new();
    for _ in 0..1500 {
        let loss = cross_entropy(model.forward(tape.constant(x)), class);
        adam.step(model, &loss.backward()?)?;
        tape.clear();
    }
    Ok(())
}

/// The probability of the second class.
fn probability(model: &Sequential, x: &Tensor) -> Result<Tensor> {
    let tape = Tape::new();
    tape.no_grad(|| model.forward(tape.constant(x)).softmax(-1)).value()?.index_axis(1, 1)
}

/// The square from −1.1 to 1.1, coloured by what the model thinks, with the points over it.
fn draw(model: &Sequential, x: &Tensor, class: &[usize], title: &str) -> Result<Picture> {
    const SIDE: usize = 220;
    let place = |pixel: usize| 2.2 * (pixel as f32 + 0.5) / SIDE as f32 - 1.1;
    let plane = Tensor::from_fn([SIDE * SIDE, 2], |index| match index[1] {
        0 => place(index[0] % SIDE),
        _ => -place(index[0] / SIDE),
    });
    let p = probability(model, &plane)?.to_vec();
    let shade = |p: f32| decision(usize::from(p > 0.5), (2.0 * p - 1.0).abs());
    let field = Picture::from_fn(SIDE, SIDE, |column, row| shade(p[row * SIDE + column]));
    let x = x.to_vec();
    let points: Vec<_> = x.chunks(2).zip(class).map(|(x, class)| (x[0].into(), x[1].into(), *class)).collect();
    let (x, y) = (-1.1..1.1, -1.1..1.1);
    let chart = Scatter {
        title,
        x,
        y,
        field: Some(&field),
        points: &points,
        classes: &["one arm", "the other"],
        ..Scatter::default()
    };
    Ok(chart.draw())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = StdRng::seed_from_u64(0);
    let (x, class) = spirals(400, &mut rng)?;
    let (new, of_new) = spirals(1000, &mut rng)?;
    let line = Sequential::new().with(Linear::new(2, 2, &mut rng));
    let network = Sequential::new()
        .with(Linear::new(2, 32, &mut rng))
        .with(Tanh)
        .with(Linear::new(32, 32, &mut rng))
        .with(Tanh)
        .with(Linear::new(32, 2, &mut rng));

    let mut pictures = Vec::new();
    for (name, mut model) in [("linear model", line), ("network", network)] {
        train(&mut model, &x, &class)?;
        let p = probability(&model, &new)?;
        let right = p.iter().zip(&of_new).filter(|(p, class)| usize::from(*p > 0.5) == **class).count();
        let title = format!("{name}: {:.1} % of new points right", right as f32 / 10.0);
        println!("{title}");
        pictures.push(draw(&model, &x, &class, &title)?);
    }
    Ok(Picture::tile(&pictures, 2, 0).save("out/decision_boundary.png")?)
}
