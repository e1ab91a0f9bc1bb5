//! Gradients have the same bits however they are taken: on numbers, recorded, by a program, or by a program in lanes.

use crate::float::Float;
use crate::kernel::samples::Draws;
use crate::ops::elementwise::Elementwise::{self, *};
use crate::program::Program;
use crate::real::Algebra;
use crate::scalar::Scalar;
use crate::tape::Tape;

const INPUTS: usize = 3;

/// One operation of a random program; operands are places in the list of what was computed before.
#[derive(Clone, Copy, Debug)]
enum Step {
    Unary(Elementwise, usize),
    Both(Elementwise, [usize; 2]),
    Right(Elementwise, usize, f64),
    Left(Elementwise, f64, usize),
    /// x where the first operand is above the second, else y: by a branch, and without one.
    Branch([usize; 4]),
    Select([usize; 4]),
    /// A number without its history.
    Detach(usize),
    /// Through a tensor and back.
    Tensor([usize; 3]),
}

/// Functions that keep numbers small, and those whose slopes vanish.
const UNARY: [Elementwise; 9] = [neg, sin, tanh, square, abs, relu, sigmoid, exp2, atan];
const BINARY: [Elementwise; 7] = [add, sub, mul, maximum, hypot, masked_mul, atan2];
const NUMBERS: [f64; 7] = [0.0, 1.0, -1.0, 0.5, -1.7, 3.1, -0.0];

/// Operands are mostly recent, as in formulas, and some are used by many.
fn operand(computed: usize, draws: &mut Draws) -> usize {
    match draws.below(4) {
        0 => draws.below(computed),
        1 => draws.below(INPUTS),
        _ => computed - 1 - draws.below(computed.min(4)),
    }
}

fn steps(len: usize, draws: &mut Draws) -> Vec<Step> {
    let mut step = |k: usize| {
        let computed = INPUTS + k;
        let mut x = || operand(computed, draws);
        let (a, b, c, d) = (x(), x(), x(), x());
        let number = NUMBERS[draws.below(NUMBERS.len())];
        match draws.below(16) {
            0..4 => Step::Unary(UNARY[draws.below(UNARY.len())], a),
            4..10 => Step::Both(BINARY[draws.below(BINARY.len())], [a, b]),
            10 => Step::Right(BINARY[draws.below(BINARY.len())], a, number),
            11 => Step::Left(BINARY[draws.below(BINARY.len())], number, a),
            12 => Step::Branch([a, b, c, d]),
            13 => Step::Select([a, b, c, d]),
            14 => Step::Detach(a),
            _ if draws.below(3) == 0 => Step::Tensor([a, b, c]),
            _ => Step::Both(div, [a, b]),
        }
    };
    (0..len).map(&mut step).collect()
}

fn run<'t, T: Float>(steps: &[Step], tape: &'t Tape<T>, x: &[Scalar<'t, T>]) -> Scalar<'t, T> {
    let mut all = x.to_vec();
    for &step in steps {
        let y = match step {
            Step::Unary(op, x) => op.at(&[all[x]]),
            Step::Both(op, [x, y]) => op.at(&[all[x], all[y]]),
            Step::Right(op, x, c) => op.at(&[all[x], Scalar::of(c)]),
            Step::Left(op, c, y) => op.at(&[Scalar::of(c), all[y]]),
            Step::Branch([a, b, x, y]) => {
                if all[a] > all[b] {
                    all[x]
                } else {
                    all[y]
                }
            }
            Step::Select([a, b, x, y]) => Scalar::select(Algebra::gt(all[a], all[b]), all[x], all[y]),
            Step::Detach(x) => all[x].detach() + all[x],
            Step::Tensor(x) => tape.from_scalars(&x.map(|x| all[x])).sin().at([1]) + all[x[0]],
        };
        all.push(y);
    }
    let all = &all[INPUTS..];
    (all.iter().skip(all.len() % 3).step_by(3).copied()).fold(all[all.len() - 1], |sum, x| sum + x)
}

/// Bits, where all that is not a number is alike.
fn bits<T: Float>(x: &[T]) -> Vec<u64> {
    x.iter().map(|x| if x.is_nan() { f64::NAN.to_bits() } else { x.to_f64().to_bits() }).collect()
}

pub(super) fn same_bits<T: Float>(a: T, b: T) -> bool {
    bits(&[a]) == bits(&[b])
}

fn point<T: Float>(draws: &mut Draws) -> Vec<T> {
    (0..INPUTS)
        .map(|_| match draws.below(10) {
            0 => T::ZERO,
            1 => -T::ZERO,
            _ => draws.number::<T>() + draws.number::<T>(),
        })
        .collect()
}

/// The gradients on numbers and recorded.
fn gradients<T: Float>(steps: &[Step], x: &[T]) -> [Vec<T>; 2] {
    let tape = Tape::new();
    let x: Vec<Scalar<'_, T>> = x.iter().map(|&x| tape.scalar(x)).collect();
    let y = run(steps, &tape, &x);
    let recorded = y.grad(x.clone()).unwrap().into_iter().map(|g| g.value().unwrap()).collect();
    let numeric = match y.recorded_on() {
        Some(_) => y.backward().map(|found| x.iter().map(|&x| found.of(x).unwrap()).collect()).unwrap(),
        None => vec![T::ZERO; INPUTS],
    };
    [numeric, recorded]
}

macro_rules! law {
    ($float:ty) => {
        for seed in 0..300 {
            let draws = &mut Draws(seed);
            let len = 4 + draws.below(40);
            let steps = steps(len, draws);
            let points: Vec<Vec<$float>> = (0..9).map(|_| point(draws)).collect();
            let mut program = Program::record(&points[0], |tape, x| run(&steps, tape, &x)).unwrap();
            let mut batch = vec![vec![0.0; INPUTS]; points.len()];
            // Tensors do not run in lanes.
            let runs_in_lanes = !steps.iter().any(|step| matches!(step, Step::Tensor(_)));
            if runs_in_lanes {
                program.batch(&points).gradient(&mut batch).unwrap();
            }
            for (x, in_lanes) in points.iter().zip(&batch) {
                let [numeric, recorded] = gradients(&steps, x);
                let replayed = program.gradient(x).unwrap();
                let in_lanes = if runs_in_lanes { in_lanes } else { replayed };
                for (found, how) in [(&recorded, "recorded"), (replayed, "replayed"), (in_lanes, "in lanes")] {
                    let what = format!("{seed} {steps:?} at {x:?}: {found:?} {how}, {numeric:?} on numbers");
                    assert_eq!(bits(found), bits(&numeric), "{what}");
                }
            }
        }
    };
}

#[test]
fn gradients_of_random_scalar_programs_have_the_same_bits_in_every_mode() {
    law!(f64);
    law!(f32);
}
