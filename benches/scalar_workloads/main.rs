//! What do functions of numbers cost, plain, recorded and reversed? Six workloads, as JSON lines; S1 and S2 in nanoseconds
//! for each operation, the others in milliseconds.
//!
//!     cargo bench --bench scalar_workloads -- [--only S1,S3] [--seconds S] [--threads N]
//!
//! S1: chains of dependent operations. S2: a random program on a hundred numbers. S3: Rosenbrock's valley. S4: the posterior
//! of a Gaussian mixture, on numbers and on tensors. S5: the sparse Jacobian of a bundle adjustment. S6: the loss of an LSTM.
//!
//! Phases: `plain` is the function on `f64`; `record` writes it on a tape; `reverse` is one sweep over that recording;
//! `recorded` is the gradient from the start, both together; `by_hand` a gradient written by hand; `tensors` the gradient
//! of the same function written with tensors. `replayed` is the gradient by a `Program`; `lanes` one of eight gradients that
//! it computes together, or of a sum over data. `bytes_per_op` is what a recording takes.

mod bundle;
mod chain;
mod function;
mod lstm;
mod mix;
mod mixture;
#[path = "../support/report.rs"]
mod report;
mod rosenbrock;

use std::hint::black_box;
use std::time::{Duration, Instant};

use autograd::{Program, Result, Tape};
use bundle::{Jacobian, Scene};
use chain::{Chain, Turn};
use function::{Function, gradient, record};
use lstm::Lstm;
use mix::Mix;
use mixture::Mixture;
use report::Options;
use rosenbrock::Rosenbrock;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::start()?;
    let workloads: [(&str, Workload); 6] =
        [("S1", chains), ("S2", mix), ("S3", rosenbrock), ("S4", mixtures), ("S5", bundle_adjustment), ("S6", lstm)];
    for (name, run) in workloads {
        if options.wants(name) {
            run(&options)?;
        }
    }
    Ok(())
}

type Workload = fn(&Options) -> Result<()>;

fn chains(options: &Options) -> Result<()> {
    for (name, turn) in [("A", Turn::Sine), ("B", Turn::Mixed), ("C", Turn::Arithmetic)] {
        for operations in [1_000_000, 10_000_000] {
            let turns = operations / turn.operations();
            let name = format!("S1 {name} {operations:.0e}", operations = operations as f64);
            let bench = Bench { name, options, unit: Unit::Nanoseconds { operations: turns * turn.operations() } };
            bench.recorded(&Chain { turn, turns }, &Chain::START)?;
        }
    }
    Ok(())
}

fn mix(options: &Options) -> Result<()> {
    let operations = 1_000_000;
    let bench = Bench { name: "S2".into(), options, unit: Unit::Nanoseconds { operations } };
    bench.function(&Mix::new(operations, 0), &Mix::start())
}

fn rosenbrock(options: &Options) -> Result<()> {
    for n in [2, 1000] {
        let bench = Bench { name: format!("S3 n{n}"), options, unit: Unit::Milliseconds };
        let (x, mut gradient) = (Rosenbrock::start(n), vec![0.0; n]);
        bench.function(&Rosenbrock, &x)?;
        bench.report("by_hand", || {
            black_box(Rosenbrock::by_hand(black_box(&x), &mut gradient));
            Ok(())
        })?;
    }
    Ok(())
}

fn mixtures(options: &Options) -> Result<()> {
    for (dimension, components) in [(10, 25), (20, 50), (64, 25)] {
        let bench = Bench { name: format!("S4 d{dimension} K{components}"), options, unit: Unit::Milliseconds };
        let mixture = Mixture::random(dimension, components, 1000, 0);
        let x = mixture.parameters(1);
        bench.recorded(&mixture, &x)?;
        let points: Vec<Vec<f64>> = mixture.points.chunks(dimension).map(<[f64]>::to_vec).collect();
        let mut terms = Program::record(&(x.clone(), points[0].clone()), |_, (x, point)| mixture.term(&x, &point))?;
        let mut rest = Program::record(&x, |_, x| mixture.rest(&x))?;
        let mut slots = vec![0.0; x.len()];
        bench.report("lanes", || {
            let (_, of_terms) = terms.sum(black_box(&x), &points)?;
            let of_rest = rest.gradient(&x)?;
            slots.iter_mut().zip(of_terms).zip(of_rest).for_each(|((slot, term), rest)| *slot = term + rest);
            Ok(())
        })?;
        let tensors = mixture::Tensors::new(&mixture)?;
        let parameters = tensors.parameters(&mixture, &x)?;
        let mut tape = Tape::new();
        bench.report("tensors", || {
            tape.clear();
            let handles = parameters.each_ref().map(|parameter| tape.var(parameter));
            black_box(tensors.value(&tape, handles).backward()?);
            Ok(())
        })?;
    }
    Ok(())
}

fn bundle_adjustment(options: &Options) -> Result<()> {
    let bench = Bench { name: "S5".into(), options, unit: Unit::Milliseconds };
    let scene = Scene::random(49, 7776, 31_843, 0);
    let mut errors = vec![0.0; 3 * scene.observations.len()];
    bench.report("plain", || {
        black_box(&scene).errors(&mut errors);
        Ok(())
    })?;
    let (mut tape, mut jacobian) = (Tape::new(), Jacobian::new(&scene));
    bench.report("recorded", || black_box(&scene).jacobian(&mut tape, &mut jacobian))?;
    let mut replay = bundle::Replay::new(&scene)?;
    bench.report("lanes", || replay.jacobian(black_box(&scene), &mut jacobian))
}

fn lstm(options: &Options) -> Result<()> {
    let bench = Bench { name: "S6".into(), options, unit: Unit::Milliseconds };
    let lstm = Lstm::random(2, 14, 1024, 0);
    bench.function(&lstm, &lstm.parameters(1))
}

/// Seconds that are long enough for the clock; shorter steps are timed several at once.
const SHORTEST: f64 = 20e-6;

struct Bench<'a> {
    name: String,
    options: &'a Options,
    unit: Unit,
}

#[derive(Clone, Copy)]
enum Unit {
    Milliseconds,
    /// For each operation.
    Nanoseconds {
        operations: usize,
    },
}

impl Bench<'_> {
    /// Measures a function plain, recorded and replayed.
    fn function(&self, f: &impl Function, x: &[f64]) -> Result<()> {
        self.recorded(f, x)?;
        let x = x.to_vec();
        let mut program = Program::record(&x, |_, x| f.value(&x))?;
        self.report("replayed", || program.value_and_gradient(black_box(&x)).map(drop))?;
        let xs = vec![x; 8];
        let mut gradients = xs.clone();
        self.report_each("lanes", xs.len(), None, || program.batch(black_box(&xs)).gradient(&mut gradients))
    }

    /// Measures a function plain and recorded.
    fn recorded(&self, f: &impl Function, x: &[f64]) -> Result<()> {
        self.report("plain", || {
            black_box(f.value(black_box(x)));
            Ok(())
        })?;
        let mut tape = Tape::new();
        drop(record(&tape, f, x));
        let bytes_per_op = match self.unit {
            Unit::Nanoseconds { operations } => Some(tape.bytes() as f64 / operations as f64),
            Unit::Milliseconds => None,
        };
        self.report_each("record", 1, bytes_per_op, || {
            tape.clear();
            record(&tape, f, black_box(x)).1.value().map(drop)
        })?;
        {
            tape.clear();
            let (_, y) = record(&tape, f, x);
            self.report("reverse", || y.backward().map(drop))?;
        }
        let mut slots = vec![0.0; x.len()];
        self.report("recorded", || gradient(&mut tape, f, black_box(x), &mut slots).map(drop))
    }

    fn report(&self, phase: &str, step: impl FnMut() -> Result<()>) -> Result<()> {
        self.report_each(phase, 1, None, step)
    }

    /// Measures a step that does something several times, and has so many bytes for each operation.
    fn report_each(
        &self,
        phase: &str,
        parts: usize,
        bytes_per_op: Option<f64>,
        mut step: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut time = |calls: u32| -> Result<f64> {
            let start = Instant::now();
            for _ in 0..calls {
                step()?;
            }
            Ok(start.elapsed().as_secs_f64() / f64::from(calls))
        };
        let once = [time(1)?, time(1)?, time(1)?][2];
        let calls = (SHORTEST / once.max(1e-9)).ceil() as u32;
        let (mut times, begin) = (Vec::new(), Instant::now());
        while begin.elapsed() < Duration::from_secs_f64(self.options.seconds) || times.len() < 5 {
            times.push(time(calls.max(1))?);
        }
        let (unit, scale) = match self.unit {
            Unit::Milliseconds => ("ms", 1e3),
            Unit::Nanoseconds { operations } => ("ns", 1e9 / operations as f64),
        };
        report::print(&self.name, phase, &mut times, (unit, scale / parts as f64), bytes_per_op);
        Ok(())
    }
}
