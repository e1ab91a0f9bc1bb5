//! The law of programs: run again at other points, they are the function itself.

use std::fmt::Debug;

use super::cases::formulas;
use super::{directions, draw, inners, operands, record, same, shapes};
use crate::float::Float;
use crate::kernel::samples::Draws;
use crate::ops::elementwise::Elementwise;
use crate::program::Program;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;
use crate::{hvp, value_and_gradient};

/// Bits are those of the recording up to the sign of zeros.
#[track_caller]
fn assert_same<T: Float>(found: &Tensor<T>, expected: &Tensor<T>, what: impl Debug) {
    assert_eq!(found.shape(), expected.shape(), "{what:?}");
    assert!(found.iter().zip(expected.iter()).all(|(a, b)| same(a, b)), "{what:?}: {found}, not {expected}");
}

#[track_caller]
fn assert_near<T: Float>(found: &Tensor<T>, expected: &Tensor<T>, what: impl Debug) {
    let near = |a: T, b: T| same(a, b) || (a - b).to_f64().abs() <= 1e-11 * (1.0 + b.to_f64().abs());
    assert!(found.iter().zip(expected.iter()).all(|(a, b)| near(a, b)), "{what:?}: {found}, not {expected}");
}

fn weighted<'t, T: Float>(tape: &'t Tape<T>, y: Var<'t, T>, weights: &Tensor<T>) -> Scalar<'t, T> {
    (y * tape.constant(weights)).sum()
}

/// Points and directions.
type Draw<'d, T> = dyn FnMut() -> [Vec<Tensor<T>>; 2] + 'd;

/// Records `f` at one point, and runs it at others, for which it is not recorded again.
fn law<T: Float>(f: &dyn for<'t> Fn(&[Var<'t, T>]) -> Var<'t, T>, point: &mut Draw<'_, T>, what: impl Debug + Copy) {
    let [first, _] = point();
    let mut values = Program::record_vector(&first, |_, x| f(&x)).unwrap_or_else(|error| panic!("{what:?}: {error}"));
    let weights = draw::<T>(values.values(&first).unwrap().shape(), &mut Draws(1));
    let mut program = Program::record(&first, |tape, x| weighted(tape, f(&x), &weights)).unwrap();
    for _ in 0..2 {
        let [x, v] = point();
        let tape = Tape::new();
        let y = f(&x.iter().map(|x| tape.var(x)).collect::<Vec<_>>());
        assert_same(&values.values(&x).unwrap(), &y.value().unwrap(), (what, "value"));
        let (value, gradient) = value_and_gradient(|tape, x| weighted(tape, f(&x), &weights), x.clone()).unwrap();
        let (found_value, found) = program.value_and_gradient(&x).unwrap_or_else(|error| panic!("{what:?}: {error}"));
        assert!(same(found_value, value), "{what:?}: {found_value}, not {value}");
        found.iter().zip(&gradient).for_each(|(found, expected)| assert_same(found, expected, (what, "gradient")));

        let (_, along) = program.jvp(&x, &v).unwrap();
        assert_near(&Tensor::scalar(along), &Tensor::scalar(T::from_f64(inners(&gradient, &v))), (what, "jvp"));
        let (_, found) = program.hvp(&x, &v).unwrap_or_else(|error| panic!("{what:?}: {error}"));
        let (_, expected) = hvp(|tape, x| weighted(tape, f(&x), &weights), x.clone(), v.clone()).unwrap();
        // What must not move, as the order of a power, has no second derivatives.
        for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
            if v[k].is_empty() || v[k].iter().any(|along| along != T::ZERO) {
                assert_near(found, expected, (what, "hvp"));
            }
        }
    }
    let recordings = [values.report(), program.report()].map(|report| report.recordings);
    assert_eq!(recordings, [1, 4], "{what:?} was recorded again");
}

#[test]
fn programs_of_every_operation_are_their_recordings() {
    for (k, formula) in formulas::<f64>().iter().enumerate() {
        let mut draws = Draws(k as u64);
        let mut point = || {
            let x = formula.point(&mut draws);
            let v = x.iter().map(|x| draw(x.shape(), &mut draws)).collect();
            [x, v]
        };
        law(&|x| formula.of(x), &mut point, ("formula", k));
    }
}

#[test]
fn programs_of_every_elementwise_operation_are_their_recordings() {
    for &op in Elementwise::ALL {
        for (k, (shapes, _)) in shapes(op.arity()).iter().enumerate() {
            let mut draws = Draws(k as u64);
            let mut point = || {
                let x = operands::<f64>(op, shapes, &mut draws);
                let v = directions(op, &x, &mut draws);
                [x, v]
            };
            law(&|x| record(op, x), &mut point, (op, k));
        }
    }
}
