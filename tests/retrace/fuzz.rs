//! Random programs of random operations, right and wrong: none panics, and what is right has right derivatives.

mod program;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use autograd::{Scalar, Tape, Tensor, Var, jvp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use program::{Kind, Program};

/// What a program starts from: tensors of several shapes.
type Start = [Tensor<f64>; 5];

fn start(rng: &mut StdRng) -> Start {
    let shapes: [&[usize]; 5] = [&[2, 3], &[3], &[], &[3, 2, 2], &[1, 2, 4, 3]];
    shapes.map(|shape| Tensor::uniform(shape, -1.5, 1.5, rng))
}

/// Runs programs; those that panic are reported with their seed and the last things they did.
fn for_seeds(seeds: std::ops::Range<u64>, run: impl Fn(u64, &RefCell<Vec<String>>)) {
    let mut failed = Vec::new();
    for seed in seeds {
        let trace = RefCell::new(Vec::new());
        if catch_unwind(AssertUnwindSafe(|| run(seed, &trace))).is_err() {
            let trace = trace.borrow();
            failed.push(format!("seed {seed}:\n    {}", trace[trace.len().saturating_sub(3)..].join("\n    ")));
        }
        if failed.len() == 20 {
            break;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn no_program_panics() {
    for_seeds(0..3000, |seed, trace| {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut tape = Tape::new();
        {
            let x = start(&mut rng).map(|x| tape.var(x));
            let mut program = Program::new(&tape, &x, Kind::Anything, trace);
            let steps = rng.random_range(3..25);
            (0..steps).for_each(|_| program.step(&mut rng));
            // Failed handles too.
            for (i, &y) in program.vars.iter().enumerate() {
                let _ = (y.value(), y.to_string(), y.shape(), y.size(-1));
                if i % 3 == 0 {
                    differentiate(y, &x, program.draw_seed(y, &mut rng), &mut rng);
                }
            }
            for &y in &program.scalars {
                let _ = (y.value(), y.to_string());
                if let Ok(found) = y.backward() {
                    x.iter().for_each(|&x| drop(found.of(x)));
                    program.vars.iter().for_each(|&x| drop(found.of(x)));
                    program.scalars.iter().for_each(|&x| drop(found.of(x)));
                }
                let _ = y.backward_keeping(&program.vars);
                let _ = y.grad(x)[0].sum().backward();
            }
        }
        tape.clear();
        assert_eq!(tape.var([1.0]).sum().backward().map(|_| ()), Ok(()));
    });
}

/// A vector-Jacobian product on numbers, recorded, and once more.
fn differentiate<'t>(y: Var<'t, f64>, x: &[Var<'t, f64>; 5], seed: Tensor<f64>, rng: &mut StdRng) {
    if let Ok(found) = y.vjp(seed.clone()) {
        x.iter().for_each(|&x| drop(found.of(x)));
    }
    let recorded = y.grad(*x, y.tape().constant(seed));
    if rng.random_bool(0.3) {
        let _ = recorded.map(|slope| slope.square().sum().backward());
    }
}

/// Which handles of a program make its loss: finite ones that depend on something.
fn loss<'t>(program: &Program<'t, '_>, terms: &[usize]) -> Scalar<'t, f64> {
    let total: Scalar<'t, f64> = terms.iter().map(|&i| program.vars[i].tanh().sum()).sum();
    total + program.vars[0].sum() * 0.5
}

/// A program of operations that are smooth nearly everywhere, its loss on a tape.
fn build<'t>(seed: u64, tape: &'t Tape<f64>, x: &[Var<'t, f64>; 5], terms: &[usize]) -> Scalar<'t, f64> {
    let trace = RefCell::new(Vec::new());
    let mut rng = StdRng::seed_from_u64(seed);
    let mut program = Program::new(tape, x, Kind::Smooth, &trace);
    (0..10).for_each(|_| program.step(&mut rng));
    loss(&program, terms)
}

fn terms(seed: u64, x: &Start) -> Vec<usize> {
    let tape = Tape::new();
    let trace = RefCell::new(Vec::new());
    let mut rng = StdRng::seed_from_u64(seed);
    let handles = x.clone().map(|x| tape.var(x));
    let mut program = Program::new(&tape, &handles, Kind::Smooth, &trace);
    (0..10).for_each(|_| program.step(&mut rng));
    let is_tame = |y: &Var<'_, f64>| y.value().is_ok_and(|y| y.len() < 500 && y.iter().all(|y| y.abs() < 50.0));
    (0..program.vars.len()).filter(|&i| is_tame(&program.vars[i])).collect()
}

fn inner(a: &Start, b: &Start) -> f64 {
    a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b.iter())).map(|(a, b)| a * b).sum()
}

/// The three sweeps agree with each other, and with differences wherever these can tell.
#[test]
fn sweeps_agree_with_each_other_and_with_differences() {
    const PROGRAMS: u64 = 400;
    let compared = RefCell::new(0);
    for_seeds(0..PROGRAMS, |seed, trace| {
        let mut rng = StdRng::seed_from_u64(seed + 77_777);
        let (x, v) = (start(&mut rng), start(&mut rng));
        let terms = terms(seed, &x);
        let tape = Tape::new();
        let handles = x.clone().map(|x| tape.var(x));
        let y = {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut program = Program::new(&tape, &handles, Kind::Smooth, trace);
            (0..10).for_each(|_| program.step(&mut rng));
            loss(&program, &terms)
        };
        let found = y.backward().unwrap();
        let numeric = handles.map(|x| found.of(x).unwrap_or_else(|_| Tensor::zeros(x.shape())));
        let recorded = y.grad(handles).map(|slope| slope.value().unwrap());
        for (a, b) in numeric.iter().zip(&recorded) {
            a.close_to(b, 1e-9, 1e-12).unwrap_or_else(|difference| panic!("numeric and recorded: {difference}"));
        }
        let along = inner(&numeric, &v);
        if along.is_nan() {
            return;
        }
        let (_, forward) =
            jvp(|tape, x| tape.from_scalars(&[build(seed, tape, &x, &terms)]), x.clone(), v.clone()).unwrap();
        let forward = forward.item().unwrap();
        let size = numeric.iter().flat_map(|g| g.iter()).fold(1.0, |size: f64, g| size.max(g.abs()));
        // A gradient of zero stays zero beside every slope, and so does a tangent; but a slope of zero does not stop a
        // tangent that is not a number.
        assert!(forward.is_nan() || (forward - along).abs() <= 1e-9 * size, "forward {forward}, reverse {along}");

        let value = |t: f64| {
            let tape = Tape::new();
            let moved = std::array::from_fn(|i| tape.var(x[i].clone()) + tape.constant(v[i].clone()) * t);
            build(seed, &tape, &moved, &terms).value().unwrap()
        };
        let difference = |h: f64| (value(h) - value(-h)) / (2.0 * h);
        let (coarse, fine) = (difference(2e-4), difference(1e-4));
        // Two steps that disagree are beside a kink or a pole.
        let (error, fine) = ((coarse - fine).abs(), fine + (fine - coarse) / 3.0);
        if error < 1e-5 * size {
            *compared.borrow_mut() += 1;
            assert!((fine - along).abs() <= 1e-4 * size + 10.0 * error, "by differences {fine}, found {along}");
        }
    });
    let compared = compared.into_inner();
    assert!(compared > PROGRAMS * 3 / 4, "only {compared} of {PROGRAMS} programs could be compared");
}
