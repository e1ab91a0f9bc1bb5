//! The laws that hold for every op. Those of the elementwise ops are here: a new block of the table is tested without
//! writing a test. Those of the other ops are in `laws/rules.rs`, over the cases of `laws/cases.rs`.
//!
//! Points lie in the domain of the op and away from its kinks; what happens at kinks and extremes is in `laws/points.rs`.

mod bits;
mod cases;
mod differences;
mod given;
mod hessians;
mod looks;
mod orders;
mod points;
mod programs;
mod rules;
mod samples;

use differences::{Precision, assert_near, difference, inner, inners, same, shifted};
use samples::{layouts, operands, shapes};

use crate::float::Float;
use crate::kernel::samples::{Draws, indices};
use crate::ops::Op;
use crate::ops::elementwise::Elementwise;
use crate::real::{Algebra, Dual};
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tape::{Input, Tape};
use crate::tensor::Tensor;
use crate::var::Var;

/// The slope with respect to operand `k`.
fn slope<R: Algebra>(op: Elementwise, x: &[R], y: R, k: usize) -> R {
    match op.arity() {
        1 => op.slope(x[0], y),
        2 => op.slopes(x[0], x[1], y)[k],
        _ if k == 0 => R::of(0.0),
        _ => R::select(x[0], R::of(if k == 1 { 1.0 } else { 0.0 }), R::of(if k == 2 { 1.0 } else { 0.0 })),
    }
}

fn record<'t, T: Float>(op: Elementwise, x: &[Var<'t, T>]) -> Var<'t, T> {
    let inputs: Vec<Input<T>> = x.iter().map(|x| Input::Node(x.slot)).collect();
    x[0].record_op(Op::Elementwise(op), &inputs)
}

/// The gradients of Σ u·f(x) by the numeric sweep, zero where the op sends none.
fn gradients<T: Float>(op: Elementwise, x: &[Tensor<T>], u: &Tensor<T>) -> Vec<Tensor<T>> {
    let tape = Tape::new();
    let x: Vec<Var<'_, T>> = x.iter().map(|x| tape.var(x.clone())).collect();
    let found = record(op, &x).vjp(u.clone()).unwrap();
    x.iter().map(|&x| found.of(x).unwrap_or_else(|_| Tensor::zeros(x.shape()))).collect()
}

/// ∇⟨∇⟨u, f(x)⟩, v⟩: the inner gradient recorded, the outer one numeric.
fn second<T: Float>(op: Elementwise, x: &[Tensor<T>], u: &Tensor<T>, v: &[Tensor<T>]) -> Vec<Tensor<T>> {
    let tape = Tape::new();
    let x: Vec<Var<'_, T>> = x.iter().map(|x| tape.var(x.clone())).collect();
    let y = record(op, &x);
    let along = x.iter().zip(v).map(|(&x, v)| {
        let gradient = y.grad(x, tape.constant(u.clone()));
        (gradient * tape.constant(v.clone())).sum()
    });
    let along: Scalar<'_, T> = along.sum();
    match along.backward() {
        Ok(found) => x.iter().map(|&x| found.of(x).unwrap_or_else(|_| Tensor::zeros(x.shape()))).collect(),
        // A constant slope leaves nothing to differentiate.
        Err(_) => x.iter().map(|x| Tensor::zeros(x.shape())).collect(),
    }
}

/// Directions along which the operands may move: not those whose domain is one point.
fn directions<T: Float>(op: Elementwise, x: &[Tensor<T>], draws: &mut Draws) -> Vec<Tensor<T>> {
    let domain = op.facts().domain;
    let moves = |k: usize| domain.get(k).is_none_or(|(low, high)| low < high);
    let zeros = |x: &Tensor<T>| Tensor::zeros(x.shape());
    x.iter().enumerate().map(|(k, x)| if moves(k) { draw(x.shape(), draws) } else { zeros(x) }).collect()
}

fn draw<T: Float>(shape: &Shape, draws: &mut Draws) -> Tensor<T> {
    Tensor::from_fn(shape, |_| draws.number())
}

/// Runs a law for every op of the table, every combination of shapes, and one seed after the other.
fn for_each<T: Float>(law: impl Fn(Elementwise, &[Tensor<T>], &Shape, &mut Draws)) {
    for &op in Elementwise::ALL {
        for (seed, (shapes, shape)) in shapes(op.arity()).into_iter().enumerate() {
            let mut draws = Draws(seed as u64 + 100 * op as u64);
            law(op, &operands(op, &shapes, &mut draws), &shape, &mut draws);
        }
    }
}

#[test]
fn the_table_is_in_order_and_states_facts() {
    for (code, &op) in Elementwise::ALL.iter().enumerate() {
        let facts = op.facts();
        assert_eq!(op as usize, code, "{}", facts.name);
        assert_eq!(
            Elementwise::ALL.iter().filter(|other| other.facts().name == facts.name).count(),
            1,
            "{}",
            facts.name
        );
    }
    for_each::<f64>(|op, x, shape, _| {
        for index in indices(shape) {
            let point: Vec<f64> = x.iter().map(|x| samples::at(x, &index)).collect();
            let y = op.at(&point);
            assert!(y.is_finite(), "{op:?} of {point:?}, inside its domain, is {y}");
            for k in 0..op.arity().min(2) {
                if let Some(constant) = op.facts().constant[k] {
                    assert_eq!(slope(op, &point, y, k), constant, "{op:?} of {point:?}");
                }
            }
        }
    });
}

#[test]
fn loops_are_the_scalar_op_bit_for_bit() {
    fn law<T: Float>() {
        for &op in Elementwise::ALL {
            for len in [0, 1, 7, 64, 131] {
                let mut draws = Draws(len as u64);
                let mut x = operands::<T>(op, &vec![Shape::from([len]); op.arity()], &mut draws);
                for (x, special) in x.iter_mut().zip([T::NAN, T::INFINITY, T::ZERO]) {
                    x.as_mut_slice().iter_mut().skip(5).step_by(13).for_each(|x| *x = special);
                }
                let (x, g): (Vec<Vec<T>>, Vec<T>) = (x.iter().map(Tensor::to_vec).collect(), draws.numbers(len));
                let mut inputs: Vec<&[T]> = x.iter().map(|x| &x[..]).collect();
                let mut y = vec![T::ZERO; len];
                op.value_block()(&inputs, &mut y);
                let point = |i: usize| -> Vec<T> { x.iter().map(|x| x[i]).collect() };
                for (i, &y) in y.iter().enumerate() {
                    let expected = op.at(&point(i));
                    assert!(same(y, expected), "{op:?} of {:?}: {y} in a loop, {expected} alone", point(i));
                }
                inputs.insert(0, &g);
                inputs.push(&y);
                for k in (0..op.arity()).skip(usize::from(op == Elementwise::select)) {
                    let mut gx = vec![T::ZERO; len];
                    op.reverse_block(k)(&inputs, &mut gx);
                    for i in 0..len {
                        let expected = g[i].masked_mul(slope(op, &point(i), y[i], k));
                        assert!(
                            same(gx[i], expected),
                            "{op:?}′ at {:?}: {} in a loop, {expected} alone",
                            point(i),
                            gx[i]
                        );
                    }
                }
            }
        }
    }
    law::<f32>();
    law::<f64>();
}

#[test]
fn tensors_of_every_layout_are_the_scalar_op() {
    fn law<T: Precision>() {
        for_each::<T>(|op, x, shape, draws| {
            let u = draw::<T>(shape, draws);
            let mut expected: Vec<Tensor<f64>> = x.iter().map(|x| Tensor::zeros(x.shape())).collect();
            let value = Tensor::from_fn(shape, |index| {
                let point: Vec<T> = x.iter().map(|x| samples::at(x, index)).collect();
                let y = op.at(&point);
                for (k, gradient) in expected.iter_mut().enumerate() {
                    let to = samples::index_in(gradient.shape(), index);
                    *gradient.get_mut(&to).unwrap() += (u.get(index).unwrap() * slope(op, &point, y, k)).to_f64();
                }
                y
            });
            for round in 0..4 {
                let x: Vec<Tensor<T>> = x.iter().enumerate().map(|(k, x)| layouts(x, round + k)).collect();
                let tape = Tape::new();
                let handles: Vec<Var<'_, T>> = x.iter().map(|x| tape.var(x.clone())).collect();
                let y = record(op, &handles).value().unwrap();
                assert!(y.iter().zip(value.iter()).all(|(a, b)| same(a, b)), "{op:?} of {x:?}: {y}, not {value}");
                for (found, expected) in gradients(op, &x, &layouts(&u, round)).iter().zip(&expected) {
                    assert_eq!(found.shape(), expected.shape());
                    for (found, expected) in found.iter().zip(expected.iter()) {
                        assert_near(found.to_f64(), (expected, 0.0), T::EPSILON.to_f64() * 64.0, (op, &x));
                    }
                }
            }
        });
    }
    law::<f32>();
    law::<f64>();
}

#[test]
fn first_derivatives_agree_with_differences() {
    fn law<T: Precision>() {
        for_each::<T>(|op, x, shape, draws| {
            let (u, v) = (draw::<T>(shape, draws), directions(op, x, draws));
            let value = |t: f64| {
                let tape = Tape::new();
                let x: Vec<Var<'_, f64>> = shifted(x, &v, t).into_iter().map(|x| tape.var(x)).collect();
                inner(&u, &record(op, &x).value().unwrap())
            };
            let (expected, error) = difference(value);
            let found = gradients(op, x, &u);
            assert_near(inners(&found, &v), (expected, error), T::FIRST, (op, x));
            assert!(error < 1e-6 * (1.0 + expected.abs()), "the difference for {op:?} is off by {error} at {x:?}");
        });
    }
    law::<f32>();
    law::<f64>();
}

#[test]
fn second_derivatives_agree_with_differences_of_first() {
    fn law<T: Precision>() {
        for_each::<T>(|op, x, shape, draws| {
            let u = draw::<T>(shape, draws);
            let (v, w) = (directions(op, x, draws), directions(op, x, draws));
            let wide = u.cast::<f64>();
            let (expected, error) = difference(|t| inners(&gradients(op, &shifted(x, &w, t), &wide), &v));
            assert_near(inners(&second(op, x, &u, &v), &w), (expected, error), T::SECOND, (op, x));
            assert!(error < 1e-5 * (1.0 + expected.abs()), "the difference for {op:?} is off by {error} at {x:?}");
        });
    }
    law::<f32>();
    law::<f64>();
}

#[test]
fn forward_mode_is_the_transpose_of_reverse_mode() {
    fn law<T: Precision>()
    where
        Dual<T>: Algebra,
        Dual<Dual<T>>: Algebra,
    {
        for_each::<T>(|op, x, shape, draws| {
            let u = draw::<T>(shape, draws);
            let (v, w) = (directions(op, x, draws), directions(op, x, draws));
            let (mut first, mut mixed) = (0.0, 0.0);
            for (index, u) in indices(shape).zip(u.iter()) {
                let inner = |k: usize| Dual { value: samples::at(&x[k], &index), tangent: samples::at(&v[k], &index) };
                let outer = |k: usize| Dual { value: inner(k), tangent: Dual::constant(samples::at(&w[k], &index)) };
                let once: Vec<Dual<T>> = (0..op.arity()).map(inner).collect();
                let twice: Vec<Dual<Dual<T>>> = (0..op.arity()).map(outer).collect();
                first += (u * op.at(&once).tangent).to_f64();
                mixed += (u * op.at(&twice).tangent.tangent).to_f64();
            }
            let epsilon = 256.0 * T::EPSILON.to_f64();
            assert_near(inners(&gradients(op, x, &u), &v), (first, 0.0), epsilon, (op, x));
            assert_near(inners(&second(op, x, &u, &v), &w), (mixed, 0.0), 16.0 * epsilon, (op, x));
        });
    }
    law::<f32>();
    law::<f64>();
}

#[test]
fn the_recorded_sweep_is_the_numeric_one() {
    fn law<T: Precision>() {
        for_each::<T>(|op, x, shape, draws| {
            let u = draw::<T>(shape, draws);
            let tape = Tape::new();
            let handles: Vec<Var<'_, T>> = x.iter().map(|x| tape.var(x.clone())).collect();
            let y = record(op, &handles);
            for (numeric, &x) in gradients(op, x, &u).iter().zip(&handles) {
                let recorded = y.grad(x, tape.constant(u.clone())).value().unwrap();
                assert_eq!(recorded.shape(), numeric.shape());
                assert!(
                    numeric.iter().zip(recorded.iter()).all(|(a, b)| same(a, b)),
                    "{op:?} of {x}: {numeric} on numbers, {recorded} recorded"
                );
            }
        });
    }
    law::<f32>();
    law::<f64>();
}

/// Every way a scalar entry can hold its operands: handle and handle, handle and number, number and handle.
#[test]
fn scalars_have_the_derivatives_of_tensors() {
    fn law<T: Precision>() {
        for_each::<T>(|op, x, _, draws| {
            if x.iter().any(Tensor::is_empty) || op == Elementwise::select {
                return;
            }
            let (point, u): (Vec<T>, T) = (x.iter().map(|x| x.iter().next().unwrap()).collect(), draws.number());
            let plain: Vec<Tensor<T>> = point.iter().map(|&x| Tensor::scalar(x)).collect();
            let expected = gradients(op, &plain, &Tensor::scalar(u));
            for constants in 0..(1 << op.arity()) - 1 {
                let tape = Tape::new();
                let is_constant = |k: usize| constants & (1 << k) != 0;
                let handle = |k: usize| if is_constant(k) { Scalar::constant(point[k]) } else { tape.scalar(point[k]) };
                let x: Vec<Scalar<'_, T>> = (0..op.arity()).map(handle).collect();
                let y = op.at(&x);
                assert!(same(y.value().unwrap(), op.at(&point)), "{op:?} of {point:?}");
                let y = y * u;
                let found = y.backward().unwrap();
                for k in (0..op.arity()).filter(|&k| !is_constant(k)) {
                    let expected = expected[k].item().unwrap();
                    assert!(same(found.of(x[k]).unwrap(), expected), "{op:?} of {point:?}, operand {k}, numeric");
                    let recorded = y.grad(x[k]).value().unwrap();
                    assert!(same(recorded, expected), "{op:?} of {point:?}, operand {k}, recorded");
                }
            }
        });
    }
    law::<f32>();
    law::<f64>();
}

#[test]
fn a_number_beside_a_tensor_is_an_operand_without_gradient() {
    for_each::<f64>(|op, x, _, draws| {
        if op.arity() != 2 || x.iter().any(Tensor::is_empty) {
            return;
        }
        for fixed in [0, 1] {
            let number = x[fixed].iter().next().unwrap();
            let mut plain = x.to_vec();
            plain[fixed] = Tensor::scalar(number);
            let tape = Tape::new();
            let free = tape.var(x[1 - fixed].clone());
            let mut inputs = [Input::Node(free.slot); 2];
            inputs[fixed] = Input::Number(number);
            let y = free.record_op(Op::Elementwise(op), &inputs);
            let u = draw::<f64>(&y.shape(), draws);
            let expected = &gradients(op, &plain, &u)[1 - fixed];
            let recorded = y.grad(free, tape.constant(u.clone())).value().unwrap();
            let numeric = y.vjp(u).unwrap().of(free).unwrap_or_else(|_| Tensor::zeros(free.shape()));
            assert_eq!(numeric.to_vec(), expected.to_vec(), "{op:?} of {plain:?}");
            assert_eq!(recorded.to_vec(), expected.to_vec(), "{op:?} of {plain:?}, recorded");
        }
    });
}

#[test]
fn an_operand_used_twice_gets_both_gradients() {
    for_each::<f64>(|op, x, _, draws| {
        if op.arity() != 2 {
            return;
        }
        let (x, u) = (&x[1], draw::<f64>(x[1].shape(), draws));
        let tape = Tape::new();
        let handle = tape.var(x.clone());
        let y = record(op, &[handle, handle]);
        let apart = gradients(op, &[x.clone(), x.clone()], &u);
        let expected = apart[0].add(&apart[1]).unwrap();
        let recorded = y.grad(handle, tape.constant(u.clone())).value().unwrap();
        let numeric = y.vjp(u).unwrap().of(handle).unwrap_or_else(|_| Tensor::zeros(handle.shape()));
        for (found, how) in [(numeric, "numeric"), (recorded, "recorded")] {
            let equal = found.iter().zip(expected.iter()).all(|(a, b)| same(a, b));
            assert!(equal, "{op:?} of {x} twice, {how}: {found}, not {expected}");
        }
    });
}
