//! Gradients have the same bits however they are taken: on numbers, recorded, by a program, or by a program in lanes.

use super::points::extremes;
use super::record;
use crate::float::Float;
use crate::kernel::samples::Draws;
use crate::ops::elementwise::Elementwise::{self, *};
use crate::program::Program;
use crate::real::Algebra;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::value_and_gradient;
use crate::var::{Term, Var};

const INPUTS: usize = 3;

/// An operation that numbers and tensors have; operands are places in the list of what was computed before.
#[derive(Clone, Copy, Debug)]
enum Common {
    Unary(Elementwise, usize),
    Both(Elementwise, [usize; 2]),
    Right(Elementwise, usize, f64),
    Left(Elementwise, f64, usize),
    /// The third operand where the first is above the second, else the fourth.
    Select([usize; 4]),
}

impl Common {
    fn of<R: Algebra>(self, all: &[R]) -> R {
        match self {
            Common::Unary(op, x) => op.at(&[all[x]]),
            Common::Both(op, [x, y]) => op.at(&[all[x], all[y]]),
            Common::Right(op, x, c) => op.at(&[all[x], R::of(c)]),
            Common::Left(op, c, y) => op.at(&[R::of(c), all[y]]),
            Common::Select([a, b, x, y]) => R::select(all[a].gt(all[b]), all[x], all[y]),
        }
    }
}

/// One operation of a random program.
#[derive(Clone, Copy, Debug)]
enum Step {
    Common(Common),
    /// As `Select`, by a branch.
    Branch([usize; 4]),
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
        let unary = UNARY[draws.below(UNARY.len())];
        let binary = BINARY[draws.below(BINARY.len())];
        Step::Common(match draws.below(17) {
            0..4 => Common::Unary(unary, a),
            4..11 => Common::Both(binary, [a, b]),
            11 => Common::Right(binary, a, number),
            12 => Common::Left(binary, number, a),
            13 => Common::Select([a, b, c, d]),
            14 => return Step::Branch([a, b, c, d]),
            15 => return Step::Detach(a),
            _ if draws.below(3) == 0 => return Step::Tensor([a, b, c]),
            _ => Common::Both(div, [a, b]),
        })
    };
    (0..len).map(&mut step).collect()
}

/// The last number, and every third one before it, added up.
fn sum<R: Algebra>(all: &[R]) -> R {
    let all = &all[INPUTS..];
    all.iter().skip(all.len() % 3).step_by(3).fold(all[all.len() - 1], |sum, &x| sum + x)
}

fn run<'t, T: Float>(steps: &[Step], tape: &'t Tape<T>, x: &[Scalar<'t, T>]) -> Scalar<'t, T> {
    let mut all = x.to_vec();
    for &step in steps {
        let y = match step {
            Step::Branch([a, b, x, _]) if all[a] > all[b] => all[x],
            Step::Branch([.., y]) => all[y],
            Step::Detach(x) => all[x].detach() + all[x],
            Step::Tensor(x) => tape.from_scalars(&x.map(|x| all[x])).sin().at([1]) + all[x[0]],
            Step::Common(common) => common.of(&all),
        };
        all.push(y);
    }
    sum(&all)
}

/// Bits, where all that is not a number is alike.
fn bits<T: Float>(x: &[T]) -> Vec<u64> {
    x.iter().map(|x| if x.is_nan() { f64::NAN.to_bits() } else { x.to_f64().to_bits() }).collect()
}

pub(super) fn same_bits<T: Float>(a: T, b: T) -> bool {
    bits(&[a]) == bits(&[b])
}

fn number<T: Float>(draws: &mut Draws) -> T {
    match draws.below(10) {
        0 => T::ZERO,
        1 => -T::ZERO,
        _ => draws.number::<T>() + draws.number::<T>(),
    }
}

/// A value and its gradients, one after the other: on numbers, and recorded.
fn on_tape<T: Float>(steps: &[Step], x: &[T]) -> [Vec<T>; 2] {
    let tape = Tape::new();
    let x: Vec<Scalar<'_, T>> = x.iter().map(|&x| tape.scalar(x)).collect();
    let y = run(steps, &tape, &x);
    let value = y.value().unwrap();
    let recorded = y.grad(x.clone()).into_iter().map(|g| g.value().unwrap());
    let found = y.recorded_on().map(|_| y.backward().unwrap());
    let numeric = x.iter().map(|&x| found.as_ref().map_or(T::ZERO, |found| found.of(x).unwrap()));
    [std::iter::once(value).chain(numeric).collect(), std::iter::once(value).chain(recorded).collect()]
}

macro_rules! scalar_law {
    ($float:ty) => {
        for seed in 0..300 {
            let draws = &mut Draws(seed);
            let len = 4 + draws.below(40);
            let steps = steps(len, draws);
            let points: Vec<Vec<$float>> = (0..9).map(|_| (0..INPUTS).map(|_| number(draws)).collect()).collect();
            let mut program = Program::record(&points[0], |tape, x| run(&steps, tape, &x)).unwrap();
            let mut batch = vec![(0.0, vec![0.0; INPUTS]); points.len()];
            program.batch(&points).value_and_gradient(&mut batch).unwrap();
            for (x, (value, gradient)) in points.iter().zip(&batch) {
                let in_lanes = [&[*value], &gradient[..]].concat();
                let [numeric, recorded] = on_tape(&steps, x);
                let (value, gradient) = program.value_and_gradient(x).unwrap();
                let replayed = [&[value], &gradient[..]].concat();
                for (found, how) in [(&recorded, "recorded"), (&replayed, "replayed"), (&in_lanes, "in lanes")] {
                    let what = format!("{seed} {steps:?} at {x:?}: {found:?} {how}, {numeric:?} on numbers");
                    assert_eq!(bits(found), bits(&numeric), "{what}");
                }
            }
        }
    };
}

#[test]
fn random_scalar_programs_have_the_same_bits_in_every_mode() {
    scalar_law!(f64);
    scalar_law!(f32);
}

/// Σ w·f(x) for tensors of several shapes.
fn of_tensors<'t, T: Float>(steps: &[Step], tape: &'t Tape<T>, x: &[Var<'t, T>]) -> (Var<'t, T>, Scalar<'t, T>) {
    let mut all: Vec<Term<'t, T>> = x.iter().map(|&x| Term::Var(x)).collect();
    for &step in steps {
        all.push(match step {
            Step::Common(common) => common.of(&all),
            Step::Branch([.., x]) | Step::Detach(x) | Step::Tensor([.., x]) => all[x],
        });
    }
    // All inputs take part, so that the shape is theirs.
    let y = sum(&all).on(tape) + x[0] * x[1] * x[2];
    let weights = Tensor::from_fn(y.shape(), |index| T::from_f64(1.0 + index.iter().sum::<usize>() as f64));
    (y, (y * tape.constant(weights)).sum())
}

#[test]
fn random_tensor_programs_have_the_same_bits_in_every_mode() {
    fn law<T: Float>() {
        for seed in 0..200 {
            let draws = &mut Draws(seed);
            let len = 2 + draws.below(20);
            let steps = steps(len, draws);
            let mut point = || -> Vec<Tensor<T>> {
                [&[2, 3][..], &[3], &[2, 1]]
                    .into_iter()
                    .map(|shape| Tensor::from_fn(shape, |_| number(draws)))
                    .collect()
            };
            let first = point();
            let mut values = Program::record_vector(&first, |tape, x| of_tensors(&steps, tape, &x).0).unwrap();
            let mut program = Program::record(&first, |tape, x| of_tensors(&steps, tape, &x).1).unwrap();
            for x in [first, point(), point()] {
                let tape = Tape::new();
                let handles: Vec<Var<'_, T>> = x.iter().map(|x| tape.var(x)).collect();
                let (y, loss) = of_tensors(&steps, &tape, &handles);
                let what = |found: &Tensor<T>, expected: &Tensor<T>, how: &str| {
                    let are_same =
                        found.shape() == expected.shape() && bits(&found.to_vec()) == bits(&expected.to_vec());
                    assert!(are_same, "{seed} {steps:?} at {x:?}: {how} {found}, not {expected}");
                };
                what(&values.values(&x).unwrap(), &y.value().unwrap(), "value");
                let found = loss.backward().unwrap();
                let recorded = loss.grad(handles.clone());
                let replayed = program.gradient(&x).unwrap();
                for (k, &handle) in handles.iter().enumerate() {
                    let expected = found.of(handle).unwrap();
                    what(&recorded[k].value().unwrap(), &expected, "recorded");
                    what(&replayed[k], &expected, "replayed");
                }
            }
        }
    }
    law::<f64>();
    law::<f32>();
}

/// Every elementwise operation on scalars and on tensors, at every combination of extremes.
#[test]
fn programs_have_the_bits_of_the_recording_at_extremes() {
    for &op in Elementwise::ALL {
        let all = extremes::<f64>(op.arity());
        let points: Vec<Vec<f64>> = all.into_iter().step_by(if op.arity() == 3 { 11 } else { 1 }).collect();
        let mut program = Program::record(&points[0], |_, x| op.at(&x)).unwrap();
        let mut batch = vec![(0.0, vec![0.0; op.arity()]); points.len()];
        program.batch(&points).value_and_gradient(&mut batch).unwrap();
        for (x, (value, gradient)) in points.iter().zip(batch) {
            let in_lanes = [&[value], &gradient[..]].concat();
            let (value, gradient) = value_and_gradient(|_, x: Vec<Scalar<'_, f64>>| op.at(&x), x.clone()).unwrap();
            let expected = [&[value], &gradient[..]].concat();
            let (value, gradient) = program.value_and_gradient(x).unwrap();
            let found = [&[value], &gradient[..]].concat();
            assert_eq!(bits(&found), bits(&expected), "{op:?} of {x:?}: {found:?}, not {expected:?}");
            assert_eq!(bits(&in_lanes), bits(&expected), "{op:?} of {x:?} in lanes: {in_lanes:?}, not {expected:?}");
        }
        let columns: Vec<Tensor<f64>> = (0..op.arity()).map(|k| points.iter().map(|x| x[k]).collect()).collect();
        let mut program = Program::record_vector(&columns, |_, x| record(op, &x)).unwrap();
        let found = program.values(&columns).unwrap();
        let expected: Vec<f64> = points.iter().map(|x| op.at(x)).collect();
        assert_eq!(bits(&found.to_vec()), bits(&expected), "{op:?} of tensors");
    }
}

/// A choice keeps the sign of the zero that is chosen, and a quotient by it shows it.
#[test]
fn a_zero_that_is_chosen_keeps_its_sign() {
    fn of_chosen<R: Algebra>(x: R) -> R {
        R::of(1.0) / R::select(x.gt(R::of(0.0)), x, x * R::of(0.0))
    }
    let points = [-2.0, 2.0, 0.0, -0.0, -3.0, 1.0, -1.0, 4.0];
    let mut program = Program::record(&points[1], |_, x| of_chosen(x)).unwrap();
    let expected = points.map(of_chosen);
    let mut in_lanes = [0.0; 8];
    program.batch(&points).value(&mut in_lanes).unwrap();
    assert_eq!(points.map(|x| program.value(&x).unwrap()), expected);
    assert_eq!(in_lanes, expected);
    let x = Tensor::from(points);
    let mut program = Program::record_vector(&x, |tape, x| of_chosen(Term::Var(x)).on(tape)).unwrap();
    assert_eq!(program.values(&x).unwrap().to_vec(), expected);
}
