//! A network learns the Mandelbrot set from random points of the plane.
//!
//! It sees points and how fast their orbits escape, never a picture, and then paints one. Run it with
//! `cargo run --release --example mandelbrot`; `-- --help` lists the options.

#[path = "../support/chart.rs"]
mod chart;
mod network;
#[path = "../support/picture.rs"]
mod picture;
mod set;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use autograd::Tape;
use chart::{LineChart, Scale, Series};
use clap::Parser;
use network::{Network, Score};
use nn::{Batches, ModuleExt, Progress};
use optim::Adam;
use optim::schedule::{Cosine, Schedule};
use picture::{Picture, sequential};
use rand::SeedableRng;
use rand::rngs::StdRng;
use set::Points;

/// A network learns the Mandelbrot set from random points of the plane.
#[derive(Parser)]
struct Options {
    /// Passes over the training points
    #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Units of each hidden layer
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(2..=4096))]
    width: u32,
    /// Training points, drawn once
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1024..))]
    points: u32,
    /// Height of the pictures in pixels
    #[arg(long, default_value_t = 520, value_parser = clap::value_parser!(u32).range(16..=8192))]
    size: u32,
    /// Start of the random numbers: the same seed gives the same network
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the pictures
    #[arg(long, default_value = "out/mandelbrot")]
    out: PathBuf,
}

const BATCH: usize = 1024;
const HELD_OUT: usize = 50_000;
const RATE: f64 = 3e-3;
/// Epochs after which the network paints what it knows.
const PORTRAITS: [u32; 5] = [1, 2, 4, 8, 16];

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut rng = StdRng::seed_from_u64(options.seed);
    let training = Points::random(options.points as usize, &mut rng);
    let held_out = Points::random(HELD_OUT, &mut rng);
    let mut network = Network::new(options.width as usize, &mut rng);
    println!("{} parameters, {} points", network.parameter_count(), training.len());

    let batches = training.len() / BATCH;
    let steps = options.epochs as usize * batches;
    let schedule = Cosine { rate: RATE, last: 0.0, steps }.with_warmup(200.min(steps / 10));
    let mut progress = Progress::new(steps as u64);
    let (mut adam, mut tape) = (Adam::new(RATE), Tape::new());
    let (mut losses, mut portraits) = (Vec::new(), Vec::new());
    let mut step = 0;
    for epoch in 1..=options.epochs {
        let mut sum = 0.0;
        for batch in Batches::new(training.len(), BATCH, &mut rng).whole() {
            let rate = schedule.rate(step);
            adam.set_rate(rate);
            let (places, targets) = training.rows(&batch)?;
            let loss = network.loss(&tape, places, targets);
            adam.step(&mut network, &loss.backward()?)?;
            let loss = f64::from(loss.value()?);
            progress.step(loss, rate);
            (sum, step) = (sum + loss, step + 1);
            tape.clear();
        }
        losses.push(sum / batches as f64);
        if PORTRAITS.contains(&epoch) || epoch == options.epochs {
            portraits.push(portrait(&network, options.size)?.captioned(&format!("after epoch {epoch}")));
        }
    }
    progress.finish();

    let score = Score::of(&network, &held_out)?;
    println!("trained in {:.0} s", progress.elapsed().as_secs_f64());
    println!("held-out points right inside or outside: {:.2} %", 100.0 * score.accuracy);
    println!("R² of the escape value: {:.4}", score.r_squared);
    save(options, &portraits, losses)
}

/// Pixels of the plane in its own proportions.
fn pixels(size: u32) -> (usize, usize) {
    let (height, aspect) = (size as usize, (set::REAL.1 - set::REAL.0) / (set::IMAGINARY.1 - set::IMAGINARY.0));
    (height, (height as f64 * aspect).round() as usize)
}

fn portrait(network: &Network, size: u32) -> autograd::Result<Picture> {
    let (height, width) = pixels(size);
    let outputs = network.predict(&Points::grid(height, width).places)?;
    let values: Vec<f32> = outputs.iter().map(|[value, inside]| shade(*value, *inside > 0.0)).collect();
    Ok(Picture::heat(&values, height, width, sequential))
}

/// Members are dark; outside, the slower the escape the brighter.
fn shade(value: f32, is_inside: bool) -> f32 {
    if is_inside { 0.0 } else { value }
}

fn save(options: &Options, portraits: &[Picture], losses: Vec<f64>) -> Result<(), Box<dyn Error>> {
    let (height, width) = pixels(options.size);
    let truth: Vec<f32> =
        Points::grid(height, width).targets.to_vec().chunks_exact(2).map(|t| shade(t[0], t[1] > 0.5)).collect();
    let target = Picture::heat(&truth, height, width, sequential);
    let loss = LineChart {
        title: "Loss while learning the Mandelbrot set",
        x_label: "epoch",
        y_label: "loss",
        y_scale: Scale::Log,
        series: &[Series::steps("training", losses)],
        ..LineChart::default()
    };
    let pictures = [("target.png", target), ("learned.png", Picture::tile(portraits, 3, 8)), ("loss.png", loss.draw())];
    for (name, picture) in pictures {
        let path = options.out.join(name);
        picture.save(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}
