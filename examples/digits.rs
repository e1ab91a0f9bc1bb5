//! Learns to read handwritten digits.
//!
//! `cargo run --release --example digits` trains on the 1797 digits of 8 × 8 pixels that ship with the repository;
//! `… --example digits -- --data DIR` on MNIST's files, with `--cnn` by a convolutional network. Prints the accuracy on
//! images that took no part in training (98.0 %; MNIST 98.4 %, with `--cnn` 99.4 %, at the default settings), and draws the
//! mistakes, the confusion matrix and the loss.

#[path = "support/chart.rs"]
mod chart;
#[path = "support/digits.rs"]
mod digits;
#[path = "support/picture.rs"]
mod picture;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use autograd::{Conv2dOptions, Padding, Tape, Tensor};
use chart::{ConfusionMatrix, LineChart, Scale, Series};
use clap::Parser;
use digits::{DataError, Images, Split};
use nn::loss::cross_entropy;
use nn::{
    BatchNorm2d, Batches, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ModuleExt, Progress, Relu, Sequential, Summary,
    summary_of,
};
use optim::AdamW;
use optim::schedule::{OneCycle, Schedule};
use picture::{MUTED, Picture};
use rand::{SeedableRng, rngs::StdRng};

/// Learns to read handwritten digits: those that ship with the repository, or MNIST's
#[derive(Parser)]
#[command(name = "digits")]
struct Options {
    /// Folder of MNIST's four IDX files, plain or gzip [default: the 8 × 8 digits of the repository]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Train a convolutional network instead of a dense one
    #[arg(long)]
    cnn: bool,
    /// Passes over the training images [default: 60; MNIST: 12, with --cnn 4]
    #[arg(long, value_name = "N", value_parser = count)]
    epochs: Option<usize>,
    /// Images in a step [default: 32; MNIST: 100]
    #[arg(long, value_name = "N", value_parser = count)]
    batch: Option<usize>,
    /// Highest learning rate, reached after a third of the steps
    #[arg(long, value_name = "X", value_parser = positive, default_value_t = 0.003)]
    rate: f64,
    /// Hidden units of a layer, or channels of the first convolution [default: 256, with --cnn 16]
    #[arg(long, value_name = "N", value_parser = count)]
    width: Option<usize>,
    /// Decides the initial weights, the order of images and what dropout drops
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR", default_value = "out/digits")]
    out: PathBuf,
}

impl Options {
    fn epochs(&self) -> usize {
        let default = match (&self.data, self.cnn) {
            (None, _) => 60,
            (Some(_), false) => 12,
            (Some(_), true) => 4,
        };
        self.epochs.unwrap_or(default)
    }

    fn batch(&self) -> usize {
        self.batch.unwrap_or(if self.data.is_some() { 100 } else { 32 })
    }
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or("a whole number from 1 to 1000000 is needed".into())
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| *x > 0.0 && x.is_finite()).ok_or("a number above 0 is needed".into())
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    NoGrad(#[from] DataError),
    #[error("no images to train on, or none to test on")]
    Empty,
    #[error(transparent)]
    Autograd(#[from] autograd::Error),
    #[error("cannot write to {}: {source}", folder.display())]
    Write { folder: PathBuf, source: io::Error },
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let (name, split) = match &options.data {
        Some(folder) => (folder.display().to_string(), digits::mnist(folder)?),
        None => ("UCI optical digits; every fifth of each class is for the test".into(), digits::small()?),
    };
    let (count, height, width) = (split.train.len(), split.train.height, split.train.width);
    println!("{count} images of {height} × {width} to train on, {} to test ({name})", split.test.len());
    let (training, test) = prepared(split)?;
    let mut rng = StdRng::seed_from_u64(options.seed);
    let mut model = if options.cnn { cnn(&test, options, &mut rng) } else { mlp(&test, options, &mut rng) };
    println!("\n{}\n{} epochs", summary(&mut model, &test)?, options.epochs());
    let curves = train(&mut model, &training, &test, options, &mut rng)?;
    report(&curves, &read(&model, &test)?, &test, &options.out)
}

fn report(curves: &Curves, reading: &Reading, test: &Set, out: &Path) -> Result<(), Failure> {
    let counts = confusion(reading, test);
    let right: usize = (0..test.classes).map(|class| counts[class][class]).sum();
    let share = 100.0 * right as f64 / test.len() as f64;
    let accuracy = format!("test accuracy {share:.2} % ({right} of {})", test.len());
    println!("{accuracy}\n\n{}", table(&counts));
    save(&mistakes(reading, test), out, "mistakes.png")?;
    save(&confusion_picture(&counts, &accuracy), out, "confusion.png")?;
    save(&loss_picture(curves), out, "loss.png")?;
    println!("mistakes.png, confusion.png and loss.png are in {}", out.display());
    Ok(())
}

fn save(picture: &Picture, folder: &Path, name: &str) -> Result<(), Failure> {
    picture.save(folder.join(name)).map_err(|source| Failure::Write { folder: folder.to_owned(), source })
}

/// Images as a tensor, with what is needed to show them.
struct Set {
    x: Tensor,
    labels: Tensor<usize>,
    images: Images,
    classes: usize,
}

impl Set {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn rows(&self, batch: &Tensor<usize>) -> autograd::Result<(Tensor, Tensor<usize>)> {
        Ok((self.x.index_select(0, batch)?, self.labels.index_select(0, batch)?))
    }
}

/// Pixels with mean 0 and deviation 1 over the training images.
fn prepared(split: Split) -> Result<(Set, Set), Failure> {
    let Split { train, test } = split;
    if train.is_empty() || test.is_empty() {
        return Err(Failure::Empty);
    }
    let classes = 1 + train.labels.iter().chain(&test.labels).fold(0, |most, label| most.max(*label));
    let pixels = Tensor::from(&train.pixels[..]);
    let (mean, deviation) = (pixels.mean(), pixels.std(0).max(1e-6));
    let set = |images: Images| {
        let x = images.pixels.iter().map(|pixel| (pixel - mean) / deviation).collect();
        let x = Tensor::from_vec([images.len(), 1, images.height, images.width], x)?;
        Ok::<_, Failure>(Set { x, labels: Tensor::from(&images.labels[..]), images, classes })
    };
    Ok((set(train)?, set(test)?))
}

fn mlp(data: &Set, options: &Options, rng: &mut StdRng) -> Sequential {
    let (inputs, width) = (data.images.height * data.images.width, options.width.unwrap_or(256));
    Sequential::new()
        .with(Flatten)
        .with(Linear::new(inputs, width, rng))
        .with(Relu)
        .with(Dropout::new(0.2, rng))
        .with(Linear::new(width, width, rng))
        .with(Relu)
        .with(Dropout::new(0.4, rng))
        .with(Linear::new(width, data.classes, rng))
}

/// Three convolutions of 3 × 3, with half the height and width after the first two.
fn cnn(data: &Set, options: &Options, rng: &mut StdRng) -> Sequential {
    let width = options.width.unwrap_or(16);
    let same = Conv2dOptions { padding: Padding::Same, ..Conv2dOptions::default() };
    let area = (data.images.height / 4) * (data.images.width / 4);
    Sequential::new()
        .with(Conv2d::with_options(1, width, [3, 3], same, rng))
        .with(BatchNorm2d::new(width))
        .with(Relu)
        .with(MaxPool2d::new([2, 2]))
        .with(Conv2d::with_options(width, 2 * width, [3, 3], same, rng))
        .with(BatchNorm2d::new(2 * width))
        .with(Relu)
        .with(MaxPool2d::new([2, 2]))
        .with(Conv2d::with_options(2 * width, 4 * width, [3, 3], same, rng))
        .with(BatchNorm2d::new(4 * width))
        .with(Relu)
        .with(Flatten)
        .with(Dropout::new(0.4, rng))
        .with(Linear::new(4 * width * area, data.classes, rng))
}

/// The layers and the shapes of what they make of one image, as in use.
fn summary(model: &mut Sequential, set: &Set) -> autograd::Result<Summary> {
    model.eval();
    let (image, _) = set.rows(&Tensor::from([0]))?;
    let summary = summary_of(model, |tape| model.forward(tape.placeholder(image.shape())))?;
    model.train();
    Ok(summary)
}

/// Mean losses of each epoch: on the training images while they were learned, on the test images after it.
#[derive(Default)]
struct Curves {
    train: Vec<f64>,
    test: Vec<f64>,
}

fn train(
    model: &mut Sequential,
    train: &Set,
    test: &Set,
    options: &Options,
    rng: &mut StdRng,
) -> autograd::Result<Curves> {
    let steps = options.epochs() * train.len().div_ceil(options.batch());
    let schedule = OneCycle::new(options.rate, steps);
    let mut adam = AdamW::new(options.rate);
    let mut progress = Progress::new(steps as u64);
    let mut curves = Curves::default();
    let mut tape = Tape::new();
    let mut step = 0;
    for _ in 0..options.epochs() {
        model.train();
        let mut total = 0.0;
        for batch in Batches::new(train.len(), options.batch(), rng) {
            let (x, labels) = train.rows(&batch)?;
            let loss = cross_entropy(model.forward(tape.constant(x)), labels);
            adam.set_rate(schedule.rate(step));
            adam.step(model, &loss.backward()?)?;
            let loss = f64::from(loss.value()?);
            progress.step(loss, adam.rate());
            total += loss * batch.len() as f64;
            step += 1;
            tape.clear();
        }
        model.eval();
        curves.train.push(total / train.len() as f64);
        curves.test.push(read(model, test)?.loss);
    }
    progress.finish();
    Ok(curves)
}

/// What a model reads: the likeliest class of each image and its probability, and the mean loss.
struct Reading {
    class: Vec<usize>,
    probability: Vec<f32>,
    loss: f64,
}

fn read(model: &Sequential, set: &Set) -> autograd::Result<Reading> {
    let mut reading = Reading { class: Vec::new(), probability: Vec::new(), loss: 0.0 };
    let mut tape = Tape::new();
    for batch in Batches::in_order(set.len(), 500) {
        let (x, labels) = set.rows(&batch)?;
        let logits = tape.no_grad(|| model.forward(tape.constant(x)));
        let loss = f64::from(cross_entropy(logits, labels).value()?);
        reading.loss += loss * batch.len() as f64 / set.len() as f64;
        let probability = logits.value()?.softmax(-1)?;
        reading.class.extend(probability.argmax(-1)?.iter());
        reading.probability.extend(probability.amax(-1)?.iter());
        tape.clear();
    }
    Ok(reading)
}

/// How often each class (row) was read as each class (column).
fn confusion(reading: &Reading, test: &Set) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; test.classes]; test.classes];
    for (truth, read) in test.images.labels.iter().zip(&reading.class) {
        counts[*truth][*read] += 1;
    }
    counts
}

fn table(counts: &[Vec<usize>]) -> String {
    let cells = |row: &[usize]| {
        row.iter().map(|count| if *count == 0 { "    ·".into() } else { format!("{count:5}") }).collect::<String>()
    };
    let header: String = (0..counts.len()).map(|class| format!("{class:5}")).collect();
    let rows = counts.iter().enumerate().map(|(class, row)| format!("{class:4} │{}\n", cells(row)));
    format!("true │ read as\n     │{header}\n─────┼{}\n{}", "─".repeat(5 * counts.len() + 1), rows.collect::<String>())
}

/// The surest mistakes first.
fn mistakes(reading: &Reading, test: &Set) -> Picture {
    const MOST: usize = 40;
    let labels = &test.images.labels;
    let mut wrong: Vec<usize> = (0..test.len()).filter(|i| reading.class[*i] != labels[*i]).collect();
    wrong.sort_by(|i, j| reading.probability[*j].total_cmp(&reading.probability[*i]));
    let tile = |i: &usize| {
        let caption =
            format!("{} read as {} ({:.0} %)", labels[*i], reading.class[*i], 100.0 * reading.probability[*i]);
        Some(framed(&test.images, *i)?.captioned(&caption))
    };
    let tiles: Vec<Picture> = wrong.iter().take(MOST).filter_map(tile).collect();
    let shown = if wrong.len() > MOST { format!("the {MOST} surest") } else { "the surest first".into() };
    let title = format!("{} of {} test images read wrongly: {shown}", wrong.len(), test.len());
    Picture::tile(&tiles, 8, 14).captioned(&title)
}

/// An image as ink on paper with a thin frame, about 112 pixels wide.
fn framed(images: &Images, index: usize) -> Option<Picture> {
    let paper: Vec<f32> = images.image(index)?.iter().map(|ink| 1.0 - ink).collect();
    let image = Picture::grey(&paper, images.height, images.width).scaled(112_usize.div_ceil(images.width));
    let mut frame = Picture::new(image.width() + 2, image.height() + 2, MUTED);
    frame.paste(&image, 1, 1);
    Some(frame)
}

fn confusion_picture(counts: &[Vec<usize>], accuracy: &str) -> Picture {
    let names: Vec<String> = (0..counts.len()).map(|class| class.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    ConfusionMatrix { title: accuracy, counts, classes: &names }.draw()
}

fn loss_picture(curves: &Curves) -> Picture {
    let series = [
        Series::steps("training images", curves.train.iter().copied()),
        Series::steps("test images", curves.test.iter().copied()),
    ];
    let labels = LineChart { title: "Cross-entropy", x_label: "epoch", y_label: "mean loss", ..LineChart::default() };
    LineChart { y_scale: Scale::Log, series: &series, ..labels }.draw()
}
