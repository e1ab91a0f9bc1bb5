//! The laws of the ops that are not elementwise, run over the cases of every one.

mod arguments;
mod shapes;

use std::fmt::Debug;

use super::cases::{Case, cases};
use super::samples::layouts;
use super::{Precision, assert_near, difference, draw, inners, same, shifted};
use crate::engine::engine;
use crate::float::Float;
use crate::forward::Tangents;
use crate::kernel::samples::{Draws, indices};
use crate::operation::{Function, variables, weighted_sum};
use crate::ops::Op;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;

pub(super) type Tensors<T> = Vec<Tensor<T>>;

/// Runs a law for every case, each with draws of its own.
fn for_each<T: Float>(law: impl Fn(&Case<T>, &mut Draws)) {
    for (seed, case) in cases::<T>().iter().enumerate() {
        law(case, &mut Draws(seed as u64));
    }
}

pub(super) fn draws_like<T: Float>(x: &[Tensor<T>], draws: &mut Draws) -> Tensors<T> {
    x.iter().map(|x| draw(x.shape(), draws)).collect()
}

/// A weight for each element of the value.
pub(super) fn weights<T: Float>(case: &Case<T>, draws: &mut Draws) -> Tensors<T> {
    draws_like(&case.operation.value(&case.x).unwrap(), draws)
}

/// A case on a tape: its operands x, weights u, and the gradients z of ⟨u, f(x)⟩ by x, recorded.
pub(super) struct Recorded<'t, T: Float> {
    x: Vec<Var<'t, T>>,
    u: Vec<Var<'t, T>>,
    y: Vec<Var<'t, T>>,
    z: Vec<Var<'t, T>>,
}

impl<'t, T: Float> Recorded<'t, T> {
    pub fn new(case: &Case<T>, tape: &'t Tape<T>, x: &[Tensor<T>], u: &[Tensor<T>]) -> Self {
        let (x, u) = (variables(tape, x), variables(tape, u));
        let y = case.operation.record(tape, &x).unwrap();
        let z = match (&y[..], &u[..]) {
            (&[y], &[u]) => x.iter().map(|&x| y.grad(x, u)).collect(),
            _ => x.iter().map(|&x| weighted_sum(tape, &y, &u).grad(x)).collect(),
        };
        Self { x, u, y, z }
    }

    /// The gradients of ⟨w, z⟩ by x and by u.
    pub fn second(&self, w: &[Tensor<T>]) -> (Tensors<T>, Tensors<T>) {
        let tape = self.x[0].tape();
        let found = weighted_sum(tape, &self.z, &variables(tape, w)).backward().unwrap();
        let of = |&x: &Var<'t, T>| found.of(x).unwrap_or_else(|_| Tensor::zeros(x.shape()));
        (self.x.iter().map(of).collect(), self.u.iter().map(of).collect())
    }

    /// The tangents of y and of z where x moves along `v` and u along `h`.
    pub fn tangents(&self, v: &[Tensor<T>], h: &[Tensor<T>]) -> (Tensors<T>, Tensors<T>) {
        let tape = self.x[0].tape();
        let mut tangents = Tangents::new(tape);
        let moving = self.x.iter().chain(&self.u).zip(v.iter().chain(h));
        moving.for_each(|(&x, along)| tangents.set_var(x, along.clone()));
        (engine::<T>().forward)(tape, &mut tangents).unwrap();
        let of = |y: &[Var<'t, T>]| y.iter().map(|&y| tangents.of_var(y)).collect();
        (of(&self.y), of(&self.z))
    }
}

fn values<T: Float>(z: &[Var<'_, T>]) -> Tensors<T> {
    z.iter().map(|z| z.value().unwrap()).collect()
}

/// Asserts that lists of tensors are equal; `tolerance` is relative to the largest element where that is above one.
#[track_caller]
fn assert_equal<T: Float>(found: &[Tensor<T>], expected: &[Tensor<T>], tolerance: f64, what: impl Debug) {
    assert_eq!(found.len(), expected.len(), "{what:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.shape(), expected.shape(), "{what:?}");
        let largest = expected.iter().map(T::to_f64).filter(|x| x.is_finite()).fold(1.0, |a: f64, b| a.max(b.abs()));
        let near = |a: T, b: T| same(a, b) || (a - b).to_f64().abs() <= tolerance * largest;
        let equal = found.iter().zip(expected.iter()).all(|(a, b)| near(a, b));
        assert!(equal, "{what:?}: {found}, not {expected}");
    }
}

/// An op that is added to the table must be reached by a formula in `laws/cases/formulas.rs`, at several shapes.
#[test]
fn every_op_of_the_table_has_cases() {
    let cases = cases::<f64>();
    let of = |name: &str| cases.iter().filter(|case| case.name == name).collect::<Vec<_>>();
    // What draws has no operand that a derivative is taken of.
    for name in Op::NAMES.iter().filter(|&&name| name != "draw") {
        assert!(of(name).len() > 2, "{name} has too few cases: {:?}", of(name));
    }
    for name in ["element", "from_scalars", "product", "twice", "both"] {
        assert!(!of(name).is_empty(), "{name} has no case");
    }
}

/// Up to the order in which elements are added or multiplied, which follows memory.
#[test]
fn views_are_read_as_their_copies() {
    for_each::<f64>(|case, draws| {
        let stretched = |x: &Tensor<f64>| match x.shape().iter().position(|&size| size > 1) {
            Some(axis) => x.slice(axis as isize, ..1).unwrap().broadcast_to(x.shape()).unwrap(),
            None => x.clone(),
        };
        for kind in 1..5 {
            let view = |x: &Tensor<f64>| if kind == 4 { stretched(x) } else { layouts(x, kind) };
            let views: Tensors<f64> = case.x.iter().map(view).collect();
            let copies: Tensors<f64> = views.iter().map(|x| Tensor::from_vec(x.shape(), x.to_vec()).unwrap()).collect();
            let y = case.operation.value(&copies).unwrap();
            assert_equal(&case.operation.value(&views).unwrap(), &y, 1e-14, (case, kind));
            let u = draws_like(&y, draws);
            let strided: Tensors<f64> = u.iter().map(|u| layouts(u, kind)).collect();
            let found = case.operation.vjp(&views, &strided).unwrap();
            let expected = case.operation.vjp(&copies, &u).unwrap();
            assert_equal(&found, &expected, 1e-14, (case, kind, "gradient"));
        }
    });
}

#[test]
fn first_derivatives_agree_with_differences() {
    for_each::<f64>(|case, draws| {
        if case.x.iter().all(Tensor::is_empty) {
            return;
        }
        let u = weights(case, draws);
        let v = draws_like(&case.x, draws);
        let (expected, error) = difference(|t| inners(&u, &case.operation.value(&shifted(&case.x, &v, t)).unwrap()));
        let found = case.operation.vjp(&case.x, &u).unwrap();
        assert_near(inners(&found, &v), (expected, error), f64::FIRST, case);
        assert!(error < 1e-6 * (1.0 + expected.abs()), "the difference for {case:?} is off by {error}");
    });
}

#[test]
fn second_derivatives_agree_with_differences_of_first() {
    for_each::<f64>(|case, draws| {
        let u = weights(case, draws);
        let (v, w, h) = (draws_like(&case.x, draws), draws_like(&case.x, draws), draws_like(&u, draws));
        let first = |t: f64| case.operation.vjp(&shifted(&case.x, &v, t), &shifted(&u, &h, t)).unwrap();
        let (expected, error) = difference(|t| inners(&first(t), &w));
        let tape = Tape::new();
        let (by_x, by_u) = Recorded::new(case, &tape, &case.x, &u).second(&w);
        assert_near(inners(&by_x, &v) + inners(&by_u, &h), (expected, error), f64::SECOND, case);
        assert!(error < 1e-5 * (1.0 + expected.abs()), "the difference for {case:?} is off by {error}");
    });
}

/// ⟨u, J·v⟩ = ⟨Jᵀ·u, v⟩, and the same for the derivatives of Jᵀ·u.
#[test]
fn the_forward_sweep_is_the_transpose_of_the_reverse_sweep() {
    fn law<T: Precision>() {
        for_each::<T>(|case, draws| {
            let u = weights(case, draws);
            let (v, w, h) = (draws_like(&case.x, draws), draws_like(&case.x, draws), draws_like(&u, draws));
            let tape = Tape::new();
            let recorded = Recorded::new(case, &tape, &case.x, &u);
            let (dy, dz) = recorded.tangents(&v, &h);
            let epsilon = 256.0 * T::EPSILON.to_f64();
            let size = inners(&u, &u) + inners(&v, &v) + inners(&w, &w) + inners(&h, &h);
            assert_near(inners(&u, &dy), (inners(&values(&recorded.z), &v), 0.0), epsilon * (1.0 + size), case);
            let (by_x, by_u) = recorded.second(&w);
            let reverse = inners(&by_x, &v) + inners(&by_u, &h);
            assert_near(inners(&w, &dz), (reverse, 0.0), 16.0 * epsilon * (1.0 + size), case);
        });
    }
    law::<f32>();
    law::<f64>();
}

#[test]
fn the_recorded_sweep_is_the_numeric_one() {
    for_each::<f64>(|case, draws| {
        let u = weights(case, draws);
        let tape = Tape::new();
        let recorded = values(&Recorded::new(case, &tape, &case.x, &u).z);
        assert_equal(&recorded, &case.operation.vjp(&case.x, &u).unwrap(), 0.0, case);
    });
}

#[test]
fn single_precision_is_double_precision_rounded() {
    let (all, all_wide) = (cases::<f32>(), cases::<f64>());
    assert_eq!(all.len(), all_wide.len());
    for (seed, (narrow, wide)) in all.iter().zip(&all_wide).enumerate() {
        assert_eq!(narrow.name, wide.name);
        let draws = &mut Draws(seed as u64);
        let u = weights(narrow, draws);
        let w = draws_like(&narrow.x, draws);
        let widened = |x: &[Tensor<f32>]| -> Tensors<f64> { x.iter().map(Tensor::cast).collect() };
        let (tape, wide_tape) = (Tape::new(), Tape::new());
        let found = Recorded::new(narrow, &tape, &narrow.x, &u);
        let expected = Recorded::new(wide, &wide_tape, &widened(&narrow.x), &widened(&u));
        let ((by_x, by_u), (wide_by_x, wide_by_u)) = (found.second(&w), expected.second(&widened(&w)));
        assert_equal(&widened(&values(&found.y)), &values(&expected.y), 1e-6, (narrow, "value"));
        assert_equal(&widened(&values(&found.z)), &values(&expected.z), 3e-6, (narrow, "first derivatives"));
        assert_equal(&widened(&by_x), &wide_by_x, 1e-5, (narrow, "second derivatives"));
        assert_equal(&widened(&by_u), &wide_by_u, 1e-5, (narrow, "second derivatives"));
    }
}

/// The flag promises that an op is linear in each operand alone; and an op that is so in all its cases should say it.
#[test]
fn multilinear_ops_are_linear_in_each_operand() {
    let cases = cases::<f64>();
    let is_linear = |case: &Case<f64>, k: usize| {
        let with = |x: Tensor<f64>| {
            let mut operands = case.x.clone();
            operands[k] = x;
            case.operation.value(&operands).unwrap()
        };
        let other = draw::<f64>(case.x[k].shape(), &mut Draws(k as u64));
        let minus_twice = |x: &Tensor<f64>, y: &Tensor<f64>| x.sub(y.map(|y| 2.0 * y)).unwrap();
        let (x, y) = (&with(case.x[k].clone())[0], &with(other.clone())[0]);
        with(minus_twice(&case.x[k], &other))[0].close_to(&minus_twice(x, y), 1e-12, 1e-12).is_ok()
    };
    for (name, says) in Op::NAMES.iter().flat_map(|name| [(name, true), (name, false)]) {
        let flagged = |case: &&Case<f64>| case.op().is_some_and(Op::is_multilinear) == says;
        let mut found = cases.iter().filter(|case| case.name == *name).filter(flagged).peekable();
        if found.peek().is_some() {
            let is = found.all(|case| (0..case.x.len()).all(|k| is_linear(case, k)));
            assert_eq!(says, is, "{name}: what the flag says, and what the op is");
        }
    }
}

/// The gradient by an operand in which an op is linear depends neither on that operand nor on the value.
#[test]
fn multilinear_rules_read_the_other_operands_alone() {
    for_each::<f64>(|case, draws| {
        if !case.op().is_some_and(Op::is_multilinear) {
            return;
        }
        let u = weights(case, draws);
        let expected = case.operation.vjp(&case.x, &u).unwrap();
        for k in 0..case.x.len() {
            let mut poisoned = case.x.clone();
            poisoned[k] = Tensor::full(case.x[k].shape(), f64::NAN);
            let found = case.operation.vjp(&poisoned, &u).unwrap();
            assert_equal(&found[k..=k], &expected[k..=k], 0.0, (case, k));
        }
    });
}

#[test]
fn what_is_detached_has_its_value_and_no_derivative() {
    for shape in [Shape::from(()), Shape::from([2, 3]), Shape::from([0, 3])] {
        let (tape, draws) = (Tape::<f64>::new(), &mut Draws(1));
        let (x, v) = (draw::<f64>(&shape, draws), draw::<f64>(&shape, draws));
        let handle = tape.var(x.clone());
        let y = handle.detach();
        assert_equal(&[y.value().unwrap()], &[x], 0.0, &shape);
        assert!(y.vjp(v.clone()).unwrap().of(handle).is_err());
        let recorded = y.grad(handle, tape.constant(&v)).value().unwrap();
        let zeros = [Tensor::zeros(&shape), Tensor::zeros(&shape)];
        assert_equal(&[recorded, y.jvp(handle, v).unwrap()], &zeros, 0.0, &shape);
    }
}

#[test]
fn an_operand_used_twice_gets_both_gradients() {
    for_each::<f64>(|case, draws| {
        let [x, other] = &case.x[..] else { return };
        if x.shape() != other.shape() {
            return;
        }
        let u = weights(case, draws);
        let apart = case.operation.vjp(&[x.clone(), x.clone()], &u).unwrap();
        let expected = apart[0].add(&apart[1]).unwrap();
        let tape = Tape::new();
        let (x, u) = (tape.var(x.clone()), variables(&tape, &u));
        let y = case.operation.record(&tape, &[x, x]).unwrap();
        let loss = weighted_sum(&tape, &y, &u);
        let numeric = loss.backward().unwrap().of(x).unwrap();
        let recorded = loss.grad(x).value().unwrap();
        assert_equal(&[numeric, recorded], &[expected.clone(), expected], 1e-14, case);
    });
}

/// Numbers at the ends of the range, alone among others or everywhere. Values that are not finite are no reason to fail.
#[test]
fn both_sweeps_agree_at_extremes() {
    let (tiny, huge) = (f64::MIN_POSITIVE * f64::EPSILON, f64::MAX);
    let specials = [0.0, tiny, -tiny, huge, -huge, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    for_each::<f64>(|case, draws| {
        let u = weights(case, draws);
        let alone = specials.iter().map(|&special| (special, false));
        for (special, everywhere) in alone.chain([(0.0, true), (f64::NAN, true)]) {
            let set = |x: &Tensor<f64>| {
                let mut x = x.clone();
                x.make_mut().iter_mut().step_by(if everywhere { 1 } else { 3 }).for_each(|x| *x = special);
                x
            };
            let x: Tensors<f64> = case.x.iter().map(set).collect();
            let tape = Tape::new();
            let recorded = Recorded::new(case, &tape, &x, &u);
            let numeric = case.operation.vjp(&x, &u).unwrap();
            assert_equal(&values(&recorded.z), &numeric, 0.0, (case, special));
            recorded.second(&case.x);
            recorded.tangents(&case.x, &u);
        }
    });
}

/// Each element of the Jacobian, by a reverse sweep for its row and by a forward sweep for its column, where products of
/// derivatives meet zeros, numbers whose reciprocals are infinite, and large ones.
#[test]
fn rows_are_columns_at_extremes() {
    let (tiny, large) = (f64::MIN_POSITIVE * f64::EPSILON, -1e60);
    for_each::<f64>(|case, _| {
        for (special, step) in [(0.0, 2), (0.0, 1), (tiny, 2), (tiny, 1), (large, 3), (large, 1)] {
            let set = |(k, x): (usize, &Tensor<f64>)| {
                let mut x = x.clone();
                x.make_mut().iter_mut().skip(k * (step - 1)).step_by(step).for_each(|x| *x = special);
                x
            };
            rows_are_columns(case, &case.x.iter().enumerate().map(set).collect::<Tensors<f64>>());
        }
    });
}

fn rows_are_columns(case: &Case<f64>, x: &[Tensor<f64>]) {
    let y = case.operation.value(x).unwrap();
    let zeros = |x: &[Tensor<f64>]| -> Tensors<f64> { x.iter().map(|x| Tensor::zeros(x.shape())).collect() };
    let unit = |x: &[Tensor<f64>], (k, index): &(usize, Vec<usize>)| {
        let mut units = zeros(x);
        *units[*k].get_mut(index).unwrap() = 1.0;
        units
    };
    let places = |x: &[Tensor<f64>]| -> Vec<(usize, Vec<usize>)> {
        x.iter().enumerate().flat_map(|(k, x)| indices(x.shape()).map(move |index| (k, index))).collect()
    };
    let (rows, columns) = (places(&y), places(x));
    if rows.len() * columns.len() > 64 {
        return;
    }
    let tape = Tape::new();
    let recorded = Recorded::new(case, &tape, x, &zeros(&y));
    let tangents: Vec<Tensors<f64>> =
        columns.iter().map(|column| recorded.tangents(&unit(x, column), &zeros(&y)).0).collect();
    for row in &rows {
        let gradients = case.operation.vjp(x, &unit(&y, row)).unwrap();
        for (column, tangents) in columns.iter().zip(&tangents) {
            let reverse = gradients[column.0].get(&column.1).unwrap();
            let forward = tangents[row.0].get(&row.1).unwrap();
            let agree = same(reverse, forward) || (reverse - forward).abs() <= 1e-13 * (1.0 + reverse.abs());
            assert!(agree, "{case:?} at {x:?}: {reverse} by rows, {forward} by columns, at {row:?} by {column:?}");
        }
    }
}
