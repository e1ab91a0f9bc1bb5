//! The law of programs: run again at other points, and with other indices and masks, they are the function itself.

use std::fmt::Debug;

use super::bits::same_bits;
use super::cases::formulas;
use super::given::{FormulaOfGiven, Given, formulas_of_indices, formulas_of_lengths, formulas_of_masks};
use super::{directions, draw, inners, operands, record, same, shapes};
use crate::float::Element;
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel::samples::Draws;
use crate::mask::Mask;
use crate::ops::elementwise::Elementwise;
use crate::program::{Forced, Program};
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;
use crate::{Axes, Inputs, hvp, value_and_gradient};

/// Bits are those of the recording.
#[track_caller]
fn assert_same<T: Float>(found: &Tensor<T>, expected: &Tensor<T>, what: impl Debug) {
    assert_eq!(found.shape(), expected.shape(), "{what:?}");
    assert!(found.iter().zip(expected.iter()).all(|(a, b)| same_bits(a, b)), "{what:?}: {found}, not {expected}");
}

#[track_caller]
fn assert_near<T: Float>(found: &Tensor<T>, expected: &Tensor<T>, what: impl Debug) {
    let near = |a: T, b: T| same(a, b) || (a - b).to_f64().abs() <= 1e-11 * (1.0 + b.to_f64().abs());
    assert!(found.iter().zip(expected.iter()).all(|(a, b)| near(a, b)), "{what:?}: {found}, not {expected}");
}

fn weighted<'t, T: Float>(tape: &'t Tape<T>, y: Var<'t, T>, weights: &Tensor<T>) -> Scalar<'t, T> {
    (y * tape.constant(weights)).sum()
}

/// Tensors, and the indices and masks that some functions take.
type X<T> = (Vec<Tensor<T>>, Given);

/// Points and directions.
type Draw<'d, T> = dyn FnMut() -> [X<T>; 2] + 'd;

type Function<'f, T> = dyn for<'t> Fn(&[Var<'t, T>], &(Indices<'t, T>, Mask<'t, T>)) -> Var<'t, T> + 'f;

/// Records `f` at one point, and runs it at others, for which it is not recorded again; or on a plain tape.
fn law<T: Float>(f: &Function<'_, T>, point: &mut Draw<'_, T>, what: impl Debug + Copy) {
    let [first, _] = point();
    let all = [Forced::Replay, Forced::Run];
    let [mut values, mut eager_values] = all.map(|how| {
        let values = Program::record_vector(&first, |_, (x, i)| f(&x, &i));
        values.unwrap_or_else(|error| panic!("{what:?}: {error}")).forced(how)
    });
    let weights = draw::<T>(values.values(&first).unwrap().shape(), &mut Draws(1));
    let recorded = |x: &X<T>| Program::record(x, |tape, (x, i)| weighted(tape, f(&x, &i), &weights)).unwrap();
    let [mut program, mut eager] = all.map(|how| recorded(&first).forced(how));
    for _ in 0..2 {
        let [x, v] = point();
        let tape = Tape::new();
        let (handles, indices) = x.record(&tape);
        let expected = f(&handles, &indices).value().unwrap();
        for values in [&mut values, &mut eager_values] {
            assert_same(&values.values(&x).unwrap(), &expected, (what, "value"));
        }
        let y = weighted(&tape, f(&handles, &indices), &weights);
        let along = y.jvp((handles, indices), v.clone()).unwrap();
        let (value, (gradient, _)) =
            value_and_gradient(|tape, (x, i)| weighted(tape, f(&x, &i), &weights), x.clone()).unwrap();
        for program in [&mut program, &mut eager] {
            let (found_value, found) =
                program.value_and_gradient(&x).unwrap_or_else(|error| panic!("{what:?}: {error}"));
            assert!(same_bits(found_value, value), "{what:?}: {found_value}, not {value}");
            found
                .0
                .iter()
                .zip(&gradient)
                .for_each(|(found, expected)| assert_same(found, expected, (what, "gradient")));
            let (_, found) = program.jvp(&x, &v).unwrap();
            assert!(same_bits(found, along), "{what:?}: jvp {found}, not {along}");
        }
        assert_near(&Tensor::scalar(along), &Tensor::scalar(T::from_f64(inners(&gradient, &v.0))), (what, "jvp"));

        let mut fresh = recorded(&x).forced(Forced::Replay);
        let (_, (found, _)) = program.hvp(&x, &v).unwrap_or_else(|error| panic!("{what:?}: {error}"));
        let (_, (anew, _)) = fresh.hvp(&x, &v).unwrap();
        let (_, (on_tape, _)) = eager.hvp(&x, &v).unwrap();
        let (_, (expected, _)) = hvp(|tape, (x, i)| weighted(tape, f(&x, &i), &weights), x.clone(), v.clone()).unwrap();
        for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_same(found, &anew[k], (what, "hvp"));
            assert_same(found, &on_tape[k], (what, "hvp on a tape"));
            // What must not move, as the order of a power, has no second derivatives.
            if v.0[k].is_empty() || v.0[k].iter().any(|along| along != T::ZERO) {
                assert_near(found, expected, (what, "hvp"));
            }
        }
    }
    let [x, _] = point();
    assert_same(&values.jacobian(&x).unwrap(), &eager_values.jacobian(&x).unwrap(), (what, "jacobian"));
    // Zeros that no sweep reached have the sign of a sum on the tape, and are constants of a replay.
    let (found, expected) = (program.hessian(&x).unwrap(), eager.hessian(&x).unwrap());
    assert!(found.iter().zip(&expected).all(|(a, b)| same(a, b)), "{what:?}: hessian {found}, not {expected}");
    // A Jacobian has rows or columns only where it has elements.
    let recordings = [values.report(), program.report()].map(|report| report.recordings);
    assert!(matches!(recordings, [1 | 2, 4]), "{what:?} was recorded again: {recordings:?}");
    assert_eq!([eager_values.report(), eager.report()].map(|report| report.recordings), [1, 1], "{what:?}");
}

#[test]
fn programs_of_every_operation_are_their_recordings() {
    for (k, formula) in formulas::<f64>().iter().enumerate() {
        let mut draws = Draws(k as u64);
        let mut point = || {
            let x = formula.point(&mut draws);
            let v = x.iter().map(|x| draw(x.shape(), &mut draws)).collect();
            [x, v].map(|x| (x, (Tensor::zeros([0]), Tensor::zeros([0]))))
        };
        law(&|x, _| formula.of(x), &mut point, ("formula", k));
    }
}

/// The same elements: on their own, in the middle of a buffer, with another order of the axes, or with gaps.
fn arranged<E: Element>(list: &Tensor<E>, other: E, kind: usize) -> Tensor<E> {
    let shape = list.shape().clone();
    let all = match kind % 4 {
        0 => return list.clone(),
        1 => [vec![other; 3], list.to_vec(), vec![other; 2]].concat(),
        2 => {
            let axes = || (0..list.rank() as isize).rev().collect::<Axes>();
            let turned = list.permute(axes()).unwrap();
            return Tensor::from_vec(turned.shape(), turned.to_vec()).unwrap().permute(axes()).unwrap();
        }
        _ => list.iter().flat_map(|index| [index, other]).collect(),
    };
    let step = if kind % 4 == 3 { 2 } else { 1 };
    let start = if step == 1 { 3 } else { 0 };
    let taken = Tensor::from(all).slice_step(0, start..start + step * list.len(), step).unwrap();
    taken.reshape(shape).unwrap()
}

fn law_of_given(formulas: &[FormulaOfGiven<f64>], what: &str) {
    for (k, formula) in formulas.iter().enumerate() {
        let (mut draws, mut turn) = (Draws(k as u64), 0);
        let mut point = || {
            let (x, (indices, mask)) = formula.point(&mut draws);
            let v = x.iter().map(|x| draw(x.shape(), &mut draws)).collect();
            turn += 1;
            let given = (arranged(&indices, 9, turn), arranged(&mask, turn % 3 == 0, turn));
            [(x, given.clone()), (v, given)]
        };
        law(&|x, given| formula.of(x, given), &mut point, (what, k));
    }
}

#[test]
fn programs_take_other_indices() {
    law_of_given(&formulas_of_indices(), "formula of indices");
}

#[test]
fn programs_take_other_lengths() {
    law_of_given(&formulas_of_lengths(), "formula of lengths");
}

#[test]
fn programs_take_other_masks() {
    law_of_given(&formulas_of_masks(), "formula of a mask");
}

#[test]
fn programs_of_every_elementwise_operation_are_their_recordings() {
    for &op in Elementwise::ALL {
        for (k, (shapes, _)) in shapes(op.arity()).iter().enumerate() {
            let mut draws = Draws(k as u64);
            let mut point = || {
                let x = operands::<f64>(op, shapes, &mut draws);
                let v = directions(op, &x, &mut draws);
                [x, v].map(|x| (x, (Tensor::zeros([0]), Tensor::zeros([0]))))
            };
            law(&|x, _| record(op, x), &mut point, (op, k));
        }
    }
}
