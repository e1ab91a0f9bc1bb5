//! Random programs of random operations, right and wrong: none panics, and what is right has right derivatives.

mod program;

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use autograd::{Scalar, Tape, Tensor, Var, jvp};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use program::{Kind, Program};

/// What a program starts from: tensors of several shapes.
type Start = [Tensor<f64>; 5];

fn start(rng: &mut StdRng) -> Start {
    let shapes: [&[usize]; 5] = [&[2, 3], &[3], &[], &[3, 2, 2], &[1, 2, 4, 3]];
    shapes.map(|shape| Tensor::uniform(shape, -1.5, 1.5, rng))
}

/// What a program starts from, and the seed of each of its steps: with fewer of them it is a simpler program.
#[derive(Clone, Copy)]
struct Recipe<'a> {
    start: u64,
    steps: &'a [u64],
}

impl Recipe<'_> {
    fn run<'t, 'p>(
        self,
        tape: &'t Tape<f64>,
        x: &[Var<'t, f64>; 5],
        kind: Kind,
        trace: &'p RefCell<Vec<String>>,
    ) -> Program<'t, 'p> {
        let mut program = Program::new(tape, x, kind, trace);
        self.steps.iter().for_each(|&seed| program.step(&mut StdRng::seed_from_u64(seed)));
        program
    }
}

/// Runs random programs, the same ones every time. One that panics is reported with what it did, and with as few steps as
/// still do.
fn for_programs(count: u32, run: impl Fn(Recipe<'_>, &RefCell<Vec<String>>)) {
    let config = Config { cases: count, max_shrink_iters: 1000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let seed = any::<u64>().no_shrink();
    let found = runner.run(&(seed, vec(seed, 1..25)), |(start, steps)| {
        let trace = RefCell::new(Vec::new());
        let outcome = catch_unwind(AssertUnwindSafe(|| run(Recipe { start, steps: &steps }, &trace)));
        outcome.map_err(|panic| TestCaseError::fail(format!("{}\n    {}", said(&*panic), trace.take().join("\n    "))))
    });
    if let Err(error) = found {
        panic!("{error}");
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<String>().map_or_else(|| panic.downcast_ref().copied().unwrap_or("a panic"), String::as_str)
}

#[test]
fn no_program_panics() {
    for_programs(3000, |recipe, trace| {
        let mut rng = StdRng::seed_from_u64(recipe.start);
        let mut tape = Tape::new();
        {
            let x = start(&mut rng).map(|x| tape.var(x));
            let program = recipe.run(&tape, &x, Kind::Anything, trace);
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
fn build<'t>(recipe: Recipe<'_>, tape: &'t Tape<f64>, x: &[Var<'t, f64>; 5], terms: &[usize]) -> Scalar<'t, f64> {
    let trace = RefCell::new(Vec::new());
    loss(&recipe.run(tape, x, Kind::Smooth, &trace), terms)
}

fn terms(recipe: Recipe<'_>, x: &Start) -> Vec<usize> {
    let (tape, trace) = (Tape::new(), RefCell::new(Vec::new()));
    let handles = x.clone().map(|x| tape.var(x));
    let program = recipe.run(&tape, &handles, Kind::Smooth, &trace);
    let is_tame = |y: &Var<'_, f64>| y.value().is_ok_and(|y| y.len() < 500 && y.iter().all(|y| y.abs() < 50.0));
    (0..program.vars.len()).filter(|&i| is_tame(&program.vars[i])).collect()
}

fn inner(a: &Start, b: &Start) -> f64 {
    a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b.iter())).map(|(a, b)| a * b).sum()
}

/// The three sweeps agree with each other, and with differences wherever these can tell.
#[test]
fn sweeps_agree_with_each_other_and_with_differences() {
    const PROGRAMS: u32 = 400;
    let compared = RefCell::new(0);
    for_programs(PROGRAMS, |recipe, trace| {
        let mut rng = StdRng::seed_from_u64(recipe.start);
        let (x, v) = (start(&mut rng), start(&mut rng));
        let terms = terms(recipe, &x);
        let tape = Tape::new();
        let handles = x.clone().map(|x| tape.var(x));
        let y = loss(&recipe.run(&tape, &handles, Kind::Smooth, trace), &terms);
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
            jvp(|tape, x| tape.from_scalars(&[build(recipe, tape, &x, &terms)]), x.clone(), v.clone()).unwrap();
        let forward = forward.item().unwrap();
        let size = numeric.iter().flat_map(|g| g.iter()).fold(1.0, |size: f64, g| size.max(g.abs()));
        // A gradient of zero stays zero beside every slope, and so does a tangent; but a slope of zero does not stop a
        // tangent that is not a number.
        assert!(forward.is_nan() || (forward - along).abs() <= 1e-9 * size, "forward {forward}, reverse {along}");

        let value = |t: f64| {
            let tape = Tape::new();
            let moved = std::array::from_fn(|i| tape.var(x[i].clone()) + tape.constant(v[i].clone()) * t);
            build(recipe, &tape, &moved, &terms).value().unwrap()
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
