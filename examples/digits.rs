//! Learns to read handwritten digits.
//!
//! `cargo run --release --example digits` trains on the 1797 digits of 8 × 8 pixels that ship with the repository;
//! `… --example digits -- --data DIR` on MNIST's files, with `--cnn` by a convolutional network. Prints the accuracy on
//! images that took no part in training, and draws the mistakes, the confusion matrix and the loss.

#[path = "support/chart.rs"]
mod chart;
#[path = "support/digits.rs"]
mod digits;
#[path = "support/picture.rs"]
mod picture;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use autograd::{Conv2dOptions, Padding, Tape, Tensor};
use chart::{ConfusionMatrix, LineChart, Scale, Series};
use clap::Parser;
use digits::{DataError, Images, Split};
use nn::loss::cross_entropy;
use nn::{BatchNorm2d, Batches, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ModuleExt, Progress, Relu, Sequential};
use optim::AdamW;
use optim::schedule::{OneCycle, Schedule};
use picture::{Picture, WHITE};
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
    /// Passes over the training images [default: 60; MNIST: 12, with --cnn 6]
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

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or("a whole number from 1 to 1000000 is needed".into())
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| *x > 0.0 && x.is_finite()).ok_or("a number above 0 is needed".into())
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Data(#[from] DataError),
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
        None => ("UCI optical digits, every fifth image of each class for the test".into(), digits::small()?),
    };
    let Split { train, test } = split;
    if train.is_empty() || test.is_empty() {
        return Err(Failure::Empty);
    }
    let classes = train.labels.iter().chain(&test.labels).max().map_or(0, |label| label + 1);
    println!("{} images of {} × {} to train, {} to test ({name})", train.len(), train.height, train.width, test.len());

    let (train, test) = prepared(&train, &test)?;
    let mut rng = StdRng::seed_from_u64(options.seed);
    let mut model =
        if options.cnn { cnn(&train, classes, options, &mut rng) } else { mlp(&train, classes, options, &mut rng) };
    println!("{} parameters", model.parameter_count());
    let curves = train_model(&mut model, &train, &test, options, &mut rng)?;

    let reading = read(&model, &test)?;
    let counts = confusion(&reading, &test, classes);
    let right: usize = (0..classes).map(|class| counts[class][class]).sum();
    let accuracy =
        format!("test accuracy {:.2} % ({right} of {})", 100.0 * right as f64 / test.len() as f64, test.len());
    println!("{accuracy}\n\n{}", table(&counts));
    let pictures = [
        ("mistakes", mistakes(&reading, &test)),
        ("confusion", confusion_picture(&counts, &accuracy)),
        ("loss", loss_picture(&curves)),
    ];
    for (name, picture) in pictures {
        let written = picture.save(options.out.join(name).with_extension("png"));
        written.map_err(|source| Failure::Write { folder: options.out.clone(), source })?;
    }
    println!("mistakes.png, confusion.png and loss.png are in {}", options.out.display());
    Ok(())
}

/// Images as a tensor, with what is needed to show them.
struct Set {
    x: Tensor,
    labels: Tensor<usize>,
    images: Images,
}

impl Set {
    fn len(&self) -> usize {
        self.images.len()
    }
}

/// Pixels with mean 0 and deviation 1 over the training images.
fn prepared(train: &Images, test: &Images) -> autograd::Result<(Set, Set)> {
    let pixels = Tensor::from(&train.pixels[..]);
    let (mean, deviation) = (pixels.mean(), pixels.std(0).max(1e-6));
    let set = |images: &Images| {
        let shape = [images.len(), 1, images.height, images.width];
        let x = images.pixels.iter().map(|pixel| (pixel - mean) / deviation).collect();
        let x = Tensor::from_vec(shape, x)?;
        Ok(Set { x, labels: Tensor::from(&images.labels[..]), images: images.clone() })
    };
    Ok((set(train)?, set(test)?))
}

fn mlp(data: &Set, classes: usize, options: &Options, rng: &mut StdRng) -> Sequential {
    let (inputs, width) = (data.images.height * data.images.width, options.width.unwrap_or(256));
    Sequential::new()
        .with(Flatten)
        .with(Linear::new(inputs, width, rng))
        .with(Relu)
        .with(Dropout::new(0.2, rng))
        .with(Linear::new(width, width, rng))
        .with(Relu)
        .with(Dropout::new(0.4, rng))
        .with(Linear::new(width, classes, rng))
}

/// Three convolutions of 3 × 3, with half the height and width after the first two.
fn cnn(data: &Set, classes: usize, options: &Options, rng: &mut StdRng) -> Sequential {
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
        .with(Linear::new(4 * width * area, classes, rng))
}

/// Mean losses after each epoch, on training images as they were seen and on the test images.
#[derive(Default)]
struct Curves {
    train: Vec<f64>,
    test: Vec<f64>,
}

fn train_model(
    model: &mut Sequential,
    train: &Set,
    test: &Set,
    options: &Options,
    rng: &mut StdRng,
) -> autograd::Result<Curves> {
    let is_small = options.data.is_none();
    let epochs = options.epochs.unwrap_or(match (is_small, options.cnn) {
        (true, _) => 60,
        (false, false) => 12,
        (false, true) => 6,
    });
    let size = options.batch.unwrap_or(if is_small { 32 } else { 100 });
    let steps = epochs * train.len().div_ceil(size);
    let schedule = OneCycle::new(options.rate, steps);
    let mut adam = AdamW::new(options.rate);
    let mut progress = Progress::new(steps as u64);
    let mut curves = Curves::default();
    let mut tape = Tape::new();
    let mut step = 0;
    for _ in 0..epochs {
        model.train();
        let mut total = 0.0;
        for batch in Batches::new(train.len(), size, rng) {
            let (x, labels) = (train.x.index_select(0, &batch)?, train.labels.index_select(0, &batch)?);
            let loss = cross_entropy(model.forward(tape.constant(x)), labels);
            adam.set_rate(schedule.rate(step));
            adam.step(model, &loss.backward()?)?;
            let value = f64::from(loss.value()?);
            total += value * batch.len() as f64;
            progress.step(value, adam.rate());
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
        let logits = tape.no_grad(|| Ok(model.forward(tape.constant(set.x.index_select(0, &batch)?))))?;
        let loss = cross_entropy(logits, set.labels.index_select(0, &batch)?).value()?;
        reading.loss += f64::from(loss) * batch.len() as f64 / set.len() as f64;
        let probability = logits.value()?.softmax(-1)?;
        reading.class.extend(probability.argmax(-1)?.iter());
        reading.probability.extend(probability.amax(-1)?.iter());
        tape.clear();
    }
    Ok(reading)
}

/// How often each class (row) was read as each class (column).
fn confusion(reading: &Reading, test: &Set, classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; classes]; classes];
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
    let labels = &test.images.labels;
    let mut wrong: Vec<usize> = (0..test.len()).filter(|i| reading.class[*i] != labels[*i]).collect();
    wrong.sort_by(|i, j| reading.probability[*j].total_cmp(&reading.probability[*i]));
    let scale = 112_usize.div_ceil(test.images.width.max(1));
    let shown = wrong.iter().take(40).filter_map(|i| {
        let paper: Vec<f32> = test.images.image(*i)?.iter().map(|ink| 1.0 - ink).collect();
        let caption =
            format!("{} read as {} ({:.0} %)", labels[*i], reading.class[*i], 100.0 * reading.probability[*i]);
        Some(Picture::grey(&paper, test.images.height, test.images.width).scaled(scale).captioned(&caption))
    });
    let tiles: Vec<Picture> = shown.collect();
    let title = format!("{} of {} test images read wrongly, the surest {} first", wrong.len(), test.len(), tiles.len());
    if tiles.is_empty() {
        Picture::new(8, 8, WHITE).captioned(&title)
    } else {
        Picture::tile(&tiles, 8, 14).captioned(&title)
    }
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
