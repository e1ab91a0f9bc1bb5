//! The law of looks: a recording for a program leaves values out, and what it computes when code looks at one has the bits of
//! eager code, whatever was looked at before.

use std::fmt::Debug;

use super::bits::same_bits;
use super::cases::formulas;
use super::given::{FormulaOfGiven, Given, formulas_of_indices, formulas_of_lengths, formulas_of_masks};
use super::{operands, record, shapes};
use crate::Inputs;
use crate::indices::Indices;
use crate::kernel::samples::Draws;
use crate::mask::Mask;
use crate::ops::elementwise::Elementwise;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;

type Function<'f> = dyn for<'t> Fn(&[Var<'t, f64>], &(Indices<'t, f64>, Mask<'t, f64>)) -> Var<'t, f64> + 'f;

/// What code sees that looks early, late, or at nothing but the last: at a value, at numbers whose handles are older than the
/// look, at derivatives of first and second order.
fn seen(tape: &Tape<f64>, f: &Function<'_>, x: &(Vec<Tensor<f64>>, Given), looks: [bool; 3]) -> Vec<Tensor<f64>> {
    let (x, given) = x.record(tape);
    let y = f(&x, &given);
    let sum = y.sum();
    let (twice, frozen) = (sum + sum, sum.detach());
    let mut seen = Vec::new();
    if looks[0] {
        let is_large = sum > 0.25;
        seen.push(Tensor::scalar(f64::from(u8::from(is_large))));
        seen.push(Tensor::scalar(twice.sin().value().unwrap()));
    }
    if looks[1] {
        let all = tape.from_scalars(&[twice * frozen, frozen, 0.5.into()]);
        seen.extend([y.value(), all.value()].map(Result::unwrap));
    }
    for &x in &x {
        let slope = sum.grad(x);
        if looks[2] && !slope.is_failed() {
            seen.push(slope.value().unwrap());
        }
        let product = (slope * slope).sum() + frozen;
        // Rules on numbers have no second derivative.
        seen.extend(product.grad(x).value());
    }
    seen
}

fn law(f: &Function<'_>, x: &(Vec<Tensor<f64>>, Given), what: impl Debug) {
    for looks in [[true, true, true], [false, true, false], [false, false, true], [false; 3]] {
        let [expected, found] = [Tape::new(), Tape::guarding()].map(|tape| seen(&tape, f, x, looks));
        assert_eq!(found.len(), expected.len(), "{what:?} {looks:?}");
        for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let is_same = found.iter().zip(expected).all(|(a, b)| same_bits(a, b));
            assert!(found.shape() == expected.shape() && is_same, "{what:?} {looks:?} {k}: {found}, not {expected}");
        }
    }
}

fn nothing() -> Given {
    (Tensor::zeros([0]), Tensor::zeros([0]))
}

#[test]
fn every_operation_is_computed_at_a_look() {
    for (k, formula) in formulas::<f64>().iter().enumerate() {
        law(&|x, _| formula.of(x), &(formula.point(&mut Draws(k as u64)), nothing()), ("formula", k));
    }
}

#[test]
fn every_elementwise_operation_is_computed_at_a_look() {
    for &op in Elementwise::ALL {
        for (k, (shapes, _)) in shapes(op.arity()).iter().enumerate() {
            let x = operands::<f64>(op, shapes, &mut Draws(k as u64));
            law(&|x, _| record(op, x), &(x, nothing()), (op, k));
        }
    }
}

#[test]
fn operations_on_what_is_given_are_computed_at_a_look() {
    let formulas: [Vec<FormulaOfGiven<f64>>; 3] = [formulas_of_indices(), formulas_of_lengths(), formulas_of_masks()];
    for (k, formula) in formulas.iter().flatten().enumerate() {
        law(&|x, given| formula.of(x, given), &formula.point(&mut Draws(k as u64)), k);
    }
}
