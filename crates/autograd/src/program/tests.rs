//! Programs against recordings: values, derivatives, branches, lanes.

mod eager;

use super::*;
use crate::error::ErrorKind;
use crate::kernel::samples::{Draws, assert_same_bits};
use crate::ops::Op;
use crate::ops::elementwise::Elementwise;
use crate::{NoGrad, Real, custom, custom_numeric, gradient, hvp, value_and_gradient};

fn rosenbrock<R: Real>(x: &[R]) -> R {
    let term = |x: &[R]| {
        let (d, e) = (x[1] - x[0] * x[0], R::of(1.0) - x[0]);
        R::of(100.0) * d * d + e * e
    };
    x.windows(2).map(term).reduce(|a, b| a + b).unwrap_or(R::of(0.0))
}

/// Newton's method for the cube root: as many steps as it takes.
fn cube_root<R: Real>(a: R) -> R {
    let mut x = R::of(1.0);
    loop {
        let next = (x + x + a / (x * x)) / R::of(3.0);
        if (next - x).abs() < R::of(1e-12) {
            return next;
        }
        x = next;
    }
}

#[test]
fn values_and_derivatives_are_those_of_a_recording() -> Result<()> {
    let x: Vec<f64> = Draws(1).numbers(20);
    let other: Vec<f64> = Draws(2).numbers(20);
    let mut program = Program::record(&x, |_, x| rosenbrock(&x))?;
    for x in [&x, &other, &x] {
        let (value, gradient) = value_and_gradient(|_, x| rosenbrock(&x), x.clone())?;
        assert_eq!(program.value(x)?, value);
        assert_eq!(program.value_and_gradient(x)?, (value, &gradient));
        let (_, product) = hvp(|_, x| rosenbrock(&x), x.clone(), other.clone())?;
        let (found_gradient, found) = program.hvp(x, &other)?;
        assert_eq!(found_gradient, &gradient);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * (1.0 + a.abs());
        assert!(found.iter().zip(&product).all(|(&a, &b)| close(a, b)), "{found:?} {product:?}");
        let (_, along) = program.jvp(x, &other)?;
        assert!(close(along, gradient.iter().zip(&other).map(|(g, v)| g * v).sum()));
        let hessian = program.hessian(x)?;
        let rows = hessian.to_vec();
        let by_rows = rows.chunks(20).map(|row| row.iter().zip(&other).map(|(h, v)| h * v).sum::<f64>());
        assert!(by_rows.zip(&product).all(|(a, &b)| close(a, b)));
    }
    Ok(())
}

#[test]
fn every_elementwise_operation_replays_to_the_same_bits() -> Result<()> {
    for &op in Elementwise::ALL.iter().filter(|op| op.arity() < 3) {
        let domain = op.facts().domain;
        let mut draws = Draws(7);
        let points: Vec<[f64; 2]> = (0..40)
            .map(|_| {
                let unit: Vec<f64> = draws.numbers(2);
                std::array::from_fn(|k| {
                    let (low, high) = domain[k];
                    low + (high - low) * (unit[k] * 0.5 + 0.5).clamp(0.0, 1.0)
                })
            })
            .collect();
        let mut program = Program::record(&points[0], move |_, x| op.at(&x[..op.arity()]) * 2.0)?;
        let mut lanes = vec![(0.0, [0.0; 2]); points.len()];
        program.batch(&points).value_and_gradient(&mut lanes)?;
        for (point, (lane_value, lane_gradient)) in points.iter().zip(lanes) {
            let (value, expected) = value_and_gradient(|_, x| op.at(&x[..op.arity()]) * 2.0, *point)?;
            let (found_value, &found) = program.value_and_gradient(point)?;
            let bits = f64::to_bits;
            assert_eq!(bits(found_value), bits(value), "{op:?} at {point:?}");
            assert_eq!(bits(lane_value), bits(value), "{op:?} in lanes at {point:?}");
            assert_eq!(found.map(bits), expected.map(bits), "slope of {op:?} at {point:?}");
            assert_eq!(lane_gradient.map(bits), expected.map(bits), "slope of {op:?} in lanes at {point:?}");
        }
    }
    Ok(())
}

#[test]
fn inputs_on_other_paths_are_recorded_and_kept() -> Result<()> {
    let points: Vec<f64> = (1..200).map(|k| 0.1 * f64::from(k)).collect();
    let mut program = Program::record(&1.0_f64, |_, a| cube_root(a))?.forced(Forced::Replay);
    for _ in 0..2 {
        for &a in &points {
            let (value, expected) = value_and_gradient(|_, a| cube_root(a), a)?;
            assert_eq!(program.value_and_gradient(&a)?, (value, &expected));
        }
    }
    let report = program.report();
    assert!((3..20).contains(&report.paths), "{report}");
    assert_eq!(report.recordings, report.paths + 1, "each path once for its gradient, the first for its value");

    let mut lanes = vec![0.0; points.len()];
    program.batch(&points).gradient(&mut lanes)?;
    for (&a, slope) in points.iter().zip(lanes) {
        assert_eq!(slope, gradient(|_, a| cube_root(a), a)?);
    }
    assert_eq!(program.report().recordings, report.recordings);
    Ok(())
}

#[test]
fn lanes_and_threads_change_no_bit() -> Result<()> {
    let draws: Vec<f64> = Draws(3).numbers(3 * 5000);
    let points: Vec<[f64; 3]> = draws.chunks(3).map(|x| [x[0], x[1], x[2]]).collect();
    assert_same_bits(|| {
        let mut program =
            Program::record(&points[0], |_, [x, y, z]| if x < y { x * y.sin() + z } else { (x * z).exp() })
                .expect("arithmetic");
        let mut gradients = vec![[0.0; 3]; points.len()];
        program.batch(&points).gradient(&mut gradients).expect("arithmetic");
        assert_eq!(program.report().paths, 2);
        gradients.concat()
    });
    Ok(())
}

#[test]
fn a_number_read_out_is_never_frozen() -> Result<()> {
    let mut program = Program::record(&2.0_f64, |_, x| x * x.value().unwrap_or(0.0))?;
    assert_eq!(*program.gradient(&3.0)?, 3.0);
    assert_eq!(*program.gradient(&-0.0)?, 0.0);
    assert_eq!(program.report().paths, 3);
    let signs = Program::record(&0.0_f64, |_, x| x.abs() + 1.0 / x.value().unwrap_or(1.0))?;
    let mut signs = signs.forced(Forced::Replay);
    assert_eq!((signs.value(&0.0)?, signs.value(&-0.0)?), (f64::INFINITY, f64::NEG_INFINITY));
    assert!(signs.value(&f64::NAN)?.is_nan() && signs.value(&f64::NAN)?.is_nan());
    assert_eq!(signs.report().paths, 3);
    Ok(())
}

#[test]
fn what_has_no_derivative_still_depends_on_the_input() -> Result<()> {
    let mut program = Program::record(&3.0_f64, |tape, x| x * x.detach() + tape.no_grad(|| x * x))?;
    assert_eq!(program.value_and_gradient(&5.0)?, (50.0, &5.0));
    assert_eq!(program.report().paths, 1);
    Ok(())
}

#[test]
fn many_paths_are_bounded() -> Result<()> {
    let mut program = Program::record(&0.0_f64, |_, x| x * x.value().unwrap_or(0.0))?.forced(Forced::Replay);
    for k in 0..200 {
        assert_eq!(program.value(&f64::from(k))?, f64::from(k * k));
    }
    let report = program.report();
    assert_eq!((report.paths, report.forgotten), (64, 136));
    Ok(())
}

#[test]
fn another_form_is_recorded_anew() -> Result<()> {
    let mut program = Program::record(&vec![1.0_f64, 2.0], |_, x| rosenbrock(&x))?;
    let x = vec![0.5, 1.5, -0.5];
    assert_eq!(program.value(&x)?, rosenbrock(&x));
    assert_eq!(*program.gradient(&x)?, gradient(|_, x| rosenbrock(&x), x.clone())?);
    let error = program.hvp(&x, &vec![1.0]).map(drop).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Shape { .. }), "{error}");
    let xs = [x, vec![1.0]];
    let error = program.batch(&xs).value(&mut [0.0; 2]).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Shape { .. }), "{error}");
    for (list, gradients) in [(&xs[..1], vec![vec![0.0; 2]]), (&xs[..1], vec![]), (&xs[1..], vec![vec![0.0; 3]])] {
        let mut gradients = gradients;
        let error = program.batch(list).gradient(&mut gradients).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Shape { .. }), "{error}");
    }
    Ok(())
}

#[test]
fn equal_operations_are_done_once_and_constants_folded() -> Result<()> {
    let f = Program::record(&2.0_f64, |tape, x| {
        let two = tape.scalar(1.0) + 1.0;
        let _unused = x.exp();
        (x * two).sin() + (two * x).sin() * 1.0
    })?;
    let report = f.report();
    assert_eq!((report.recorded, report.operations), (9, 3), "{report}");
    Ok(())
}

#[test]
fn sweeps_on_numbers_are_refused_in_programs() {
    let error = Program::record(&2.0_f64, |_, x| match (x * x).backward() {
        Ok(found) => Scalar::constant(found.of(x).unwrap_or(0.0)),
        Err(error) => Scalar::failed(x.tape.unwrap(), error),
    });
    let error = error.map(drop).unwrap_err();
    assert_eq!((error.op, matches!(error.kind, ErrorKind::NotReplayable { .. })), ("backward", true), "{error}");
}

#[test]
fn jacobians_of_either_form() -> Result<()> {
    let mut wide = Program::record_vector(&vec![1.0_f64, 2.0, 3.0], |tape, x| {
        tape.from_scalars(&[x[0] * x[1], x[1].sin() * x[2]])
    })?;
    let (s, c) = 0.5_f64.sin_cos();
    let j = wide.jacobian(&vec![2.0, 0.5, 4.0])?.to_vec();
    let expected = [0.5, 2.0, 0.0, 0.0, c * 4.0, s];
    assert!(j.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{j:?}");
    let mut tall =
        Program::record_vector(&vec![1.0_f64], |tape, x| tape.from_scalars(&[x[0], x[0] * x[0], x[0].exp()]))?;
    let xs = [vec![0.0], vec![2.0]];
    let mut j = [0.0; 6];
    tall.batch(&xs).jacobian(&mut j)?;
    assert_eq!(j[..5], [1.0, 0.0, 1.0, 1.0, 4.0]);
    assert_eq!(tall.jvp(&vec![2.0], &vec![10.0])?.1.to_vec()[..2], [10.0, 40.0]);
    Ok(())
}

#[test]
fn a_map_is_an_elementwise_operation() -> Result<()> {
    let softened = Map::<f64, 3>::new("softened", |[a, b, x]| {
        (a * x + b).tanh() * (-x * x).exp() + if x > 0.0 { x.square().log1p() } else { x * a }
    });
    let tape = Tape::new();
    let rows: Vec<f64> = Draws(1).numbers(50 * 700);
    let (a, b) = (tape.var(Tensor::from_vec([50, 700], rows)?), tape.var(Tensor::from(Draws(2).numbers::<f64>(700))));
    let turned = tape.var(Tensor::from_vec([700, 50], Draws(3).numbers::<f64>(50 * 700))?);
    let x = turned.t();
    let (found, positive) = (softened.of([a, b, x]), x.relu());
    let expected = (a * x + b).tanh() * (-x * x).exp() + positive.square().log1p() + (x - positive) * a;
    let close = |a: &Tensor<f64>, b: &Tensor<f64>| {
        a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() <= 1e-14 * (1.0 + a.abs()))
    };
    assert!(close(&found.value()?, &expected.value()?));
    let (g, h) = ((found * 0.5).sum().backward()?, (expected * 0.5).sum().backward()?);
    for x in [a, b, turned] {
        assert!(close(&g.of(x)?, &h.of(x)?));
    }
    let (g, h) = (found.square().sum().grad(b), expected.square().sum().grad(b));
    let (g, h) = ((g * g).sum().backward()?, (h * h).sum().backward()?);
    for x in [a, b, turned] {
        assert!(g.of(x)?.iter().zip(h.of(x)?.iter()).all(|(a, b)| (a - b).abs() <= 1e-11 * (1.0 + b.abs())));
    }
    Ok(())
}

#[test]
fn a_map_obeys_the_checker_at_both_orders() -> Result<()> {
    let root = Map::new("root", |[x, y]: [Scalar<'_, f64>; 2]| (x * x + y.exp()).sqrt());
    let check = crate::Check { order: crate::check::DerivativeOrder::Second, tolerance: None };
    let inputs = [Tensor::from([0.5, -1.0, 2.0]), Tensor::from([0.1])];
    let report = crate::check_with(|_, [x, y]| root.of([x, y]).sum(), inputs, &check)?;
    assert!(report.is_ok(), "{report}");
    let tape = Tape::new();
    let empty = root.of([tape.var(Tensor::zeros([0, 3])), tape.var(Tensor::zeros([3]))]);
    assert_eq!(empty.value()?.len(), 0);
    let clash = root.of([tape.var(Tensor::zeros([2])), tape.var(Tensor::zeros([3]))]);
    assert_eq!(clash.value().unwrap_err().op, "root");
    Ok(())
}

#[test]
fn a_sum_over_data_is_the_loss_of_one_recording() -> Result<()> {
    let data: Vec<[f64; 2]> = Draws(5).numbers::<f64>(2000).chunks(2).map(|x| [x[0], x[1]]).collect();
    fn error<R: Real>([a, b]: [R; 2], [x, y]: [R; 2]) -> R {
        let d = (a * x).tanh() + b - y;
        if d > R::of(0.0) { d * d } else { -d }
    }
    let mut program = Program::record(&([1.0, 0.0], data[0]), |_, (p, x)| error(p, x))?;
    for p in [[1.0, 0.1], [0.3, -0.2]] {
        let tape = Tape::new();
        let handles = tape.scalars(p);
        let loss: Scalar<'_, f64> = data.iter().map(|x| error(handles, x.map(Scalar::constant))).sum();
        let (value, gradients) = (loss.value()?, loss.backward()?);
        let expected = [gradients.of(handles[0])?, gradients.of(handles[1])?];
        let (found, &slopes) = program.sum(&p, &data)?;
        assert!((found - value).abs() < 1e-11 * value.abs(), "{found} {value}");
        assert!(
            slopes.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-11 * (1.0 + b.abs())),
            "{slopes:?} {expected:?}"
        );
    }
    assert_eq!(program.sum(&[1.0, 0.0], &[])?, (0.0, &[0.0, 0.0]));
    assert_same_bits(|| {
        let mut program = Program::record(&([1.0, 0.0], data[0]), |_, (p, x)| error(p, x)).expect("arithmetic");
        let (value, slopes) = program.sum(&[1.0, 0.1], &data).expect("arithmetic");
        vec![value, slopes[0], slopes[1]]
    });
    Ok(())
}

#[test]
fn the_number_of_results_goes_with_the_form_and_not_with_the_path() -> Result<()> {
    let mut squares = Program::record_vector(&vec![1.0_f64, 2.0], |tape, x| {
        tape.from_scalars(&x.iter().map(|x| x * x).collect::<Vec<_>>())
    })?;
    let x = vec![1.0, 2.0, 3.0];
    assert_eq!(squares.values(&x)?.to_vec(), [1.0, 4.0, 9.0]);
    assert_eq!(squares.jacobian(&x)?.shape(), &[3, 3].into());
    let mut values = [0.0; 2];
    squares.batch(&[vec![4.0], vec![5.0]]).values(&mut values)?;
    assert_eq!(values, [16.0, 25.0]);
    let mut some =
        Program::record_vector(
            &1.0_f64,
            |tape, x| {
                if x > 0.0 { tape.from_scalars(&[x]) } else { tape.from_scalars(&[x, x]) }
            },
        )?;
    let error = some.values(&-1.0).unwrap_err();
    assert!(error.to_string().contains("it has 2 results here, and 1 on another path"), "{error}");
    let error = some.batch(&[1.0, -1.0]).values(&mut [0.0; 2]).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NotReplayable { .. }), "{error}");
    assert_eq!(some.values(&2.0)?.to_vec(), [2.0]);
    Ok(())
}

#[test]
fn more_paths_than_are_kept_still_give_every_result() -> Result<()> {
    fn steps<R: Real>(x: R) -> R {
        let (mut sum, mut rest) = (R::of(0.0), x);
        while rest > R::of(0.0) {
            sum += rest * rest;
            rest -= R::of(1.0);
        }
        sum
    }
    let points: Vec<f64> = (0..600).map(|k| f64::from(k * 37 % 150) + 0.5).collect();
    let expected: Vec<f64> = points.iter().map(|&x| steps(x)).collect();
    let mut program = Program::record(&points[0], |_, x| steps(x))?.forced(Forced::Replay);
    let mut values = vec![0.0; points.len()];
    program.batch(&points).value(&mut values)?;
    assert_eq!(values, expected);
    for (x, y) in points.iter().zip(&expected) {
        assert_eq!(program.value(x)?, *y);
    }
    assert!(program.report().forgotten > 0 && program.report().paths == 64);
    Ok(())
}

/// A pass over many elements, in pieces on threads, with a sum at its end and operands that are repeated.
#[test]
fn long_chains_and_their_sums_have_the_bits_of_the_recording() -> Result<()> {
    let x: Tensor<f32> = Tensor::from(Draws(1).numbers(250 * 201)).reshape([250, 201])?;
    let (row, column): (Tensor<f32>, Tensor<f32>) = (x.index_axis(0, 0)?, x.slice(1, ..1)?.contiguous());
    fn f<'t>(_: &'t Tape<f32>, [x, row, column]: [Var<'t, f32>; 3]) -> Scalar<'t, f32> {
        let y = (x * row + column).tanh() * (-x * x).exp();
        y.sum() + (y + row).square().sum() * 0.1
    }
    let args = [x, row, column];
    let (value, gradient) = value_and_gradient(f, args.clone())?;
    assert_same_bits(|| {
        let mut program = Program::record(&args, f).expect("arithmetic");
        let (found, slopes) = program.value_and_gradient(&args).expect("arithmetic");
        assert_eq!((found, slopes), (value, &gradient));
        slopes.iter().flat_map(|slope| slope.to_vec()).collect::<Vec<f32>>()
    });
    Ok(())
}

#[test]
fn operations_of_users_are_steps() -> Result<()> {
    fn f<'t>(_: &'t Tape<f64>, x: Var<'t, f64>) -> Scalar<'t, f64> {
        let map = Map::new("bump", |[x, y]| if x < y { x * y.sin() } else { x.exp() });
        let slope = |[x]: [&Tensor<f64>; 1], _: &Tensor<f64>, g: &Tensor<f64>| Ok([x.mul(g)?.mul(2.0)?]);
        let square = custom_numeric("own_square", [x], |[x]| x.mul(x), slope);
        (map.of([square, x]) + custom("twice", [x], |[x]| x.add(x), |_, _, g| [g + g])).sum()
    }
    let mut program = Program::record(&Tensor::from([0.5, 2.0, -1.0]), f)?;
    for x in [[0.5, 2.0, -1.0], [3.0, 0.1, 0.2], [0.5, 2.0, -3.0]].map(Tensor::from) {
        let (value, gradient) = value_and_gradient(f, x.clone())?;
        assert_eq!(program.value_and_gradient(&x)?, (value, &gradient));
    }
    assert_eq!(program.report().recordings, 2);
    let error = program.hvp(&Tensor::from([0.5, 2.0, -1.0]), &Tensor::ones([3])).unwrap_err();
    assert_eq!(error.op, "own_square", "{error}");
    Ok(())
}

#[test]
fn tensors_replay() -> Result<()> {
    let numbers = |shape: &[usize], seed| {
        let shape = Shape::from(shape);
        Tensor::from(Draws(seed).numbers(shape.len())).reshape(shape)
    };
    type Args = (Tensor<f64>, Tensor<f64>, Tensor<f64>, f64);
    fn f<'t>(
        _: &'t Tape<f64>,
        (x, w, b, s): (Var<'t, f64>, Var<'t, f64>, Var<'t, f64>, Scalar<'t, f64>),
    ) -> Scalar<'t, f64> {
        let h = (x.matmul(w) + b).tanh() * s;
        let p = h.softmax(-1) + h.sum_keepdim(1).exp() * 0.1;
        (p * h).sum() + h.square().mean() * s.sin()
    }
    let args = |seed| -> Result<Args> {
        Ok((numbers(&[4, 3], seed)?, numbers(&[3, 5], seed + 1)?, numbers(&[5], seed + 2)?, 0.3 * seed as f64))
    };
    let x = args(1)?;
    let mut program = Program::record(&x, f)?;
    for seed in [1, 7, 9] {
        let (x, v) = (args(seed)?, args(seed + 20)?);
        let (value, gradient) = value_and_gradient(f, x.clone())?;
        assert_eq!(program.value(&x)?, value);
        let (found, slopes) = program.value_and_gradient(&x)?;
        assert_eq!(found, value);
        assert_eq!(slopes, &gradient);
        let (expected_gradient, expected) = hvp(f, x.clone(), v.clone())?;
        let (found_gradient, found) = program.hvp(&x, &v)?;
        found_gradient.0.close_to(&expected_gradient.0, 1e-12, 1e-12).unwrap();
        found.0.close_to(&expected.0, 1e-12, 1e-12).unwrap();
        found.1.close_to(&expected.1, 1e-12, 1e-12).unwrap();
        found.2.close_to(&expected.2, 1e-12, 1e-12).unwrap();
        let (_, along) = program.jvp(&x, &v)?;
        let dot = |a: &Tensor<f64>, b: &Tensor<f64>| a.mul(b).map(|p| p.sum());
        let expected = dot(&gradient.0, &v.0)? + dot(&gradient.1, &v.1)? + dot(&gradient.2, &v.2)? + gradient.3 * v.3;
        assert!((along - expected).abs() < 1e-12 * (1.0 + along.abs()));
    }
    println!("{}", program.report());
    Ok(())
}

/// Branches on what is shared and on data; some terms depend on one of the two alone.
fn polynomial<R: Real>(shared: &[R], data: &[R]) -> R {
    let scale = (shared[0] * R::of(0.5)).exp() + R::of(3.0);
    let start = if shared[1] > R::of(0.25) { scale } else { -scale };
    let sum = shared[2..].iter().zip(data).fold(start, |sum, (&w, &x)| sum + w * x);
    let rest = data.iter().fold(sum * sum, |sum, &x| sum + x);
    if data[0] > R::of(0.0) { rest * scale + shared[1] } else { rest + shared[1] }
}

#[test]
fn what_inputs_of_a_sum_share_is_part_of_every_term() -> Result<()> {
    let draws: Vec<f64> = Draws(8).numbers(6 * 1000);
    let data: Vec<Vec<f64>> = draws.chunks(6).map(<[f64]>::to_vec).collect();
    let first: Vec<f64> = Draws(9).numbers(8);
    let mut program = Program::record(&(first.clone(), data[0].clone()), |_, (p, x)| polynomial(&p, &x))?;
    for (seed, len) in [(10, 1), (11, 7), (12, 130), (13, 1000)] {
        let shared: Vec<f64> = Draws(seed).numbers(8);
        let (found, slopes) = program.sum(&shared, &data[..len])?;
        let slopes = slopes.clone();
        let (value, expected) = value_and_gradient(
            |_, p| {
                data[..len]
                    .iter()
                    .map(|x| polynomial(&p, &x.iter().map(|&x| Scalar::constant(x)).collect::<Vec<_>>()))
                    .sum()
            },
            shared.clone(),
        )?;
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-11 * (1.0 + b.abs());
        assert!(close(found, value), "{len}: {found} {value}");
        assert!(slopes.iter().zip(&expected).all(|(&a, &b)| close(a, b)), "{len}: {slopes:?} {expected:?}");
    }
    assert!(program.report().paths >= 2);
    assert_same_bits(|| {
        let mut program =
            Program::record(&(first.clone(), data[0].clone()), |_, (p, x)| polynomial(&p, &x)).expect("arithmetic");
        let (value, slopes) = program.sum(&first, &data).expect("arithmetic");
        [&[value], &slopes[..]].concat()
    });
    Ok(())
}

#[test]
fn long_sums_keep_their_order() -> Result<()> {
    fn sums<R: Real>(x: &[R]) -> R {
        let products = x.chunks(2).fold(x[0], |sum, x| sum + x[0] * x[1]);
        let numbers = x.iter().fold(products, |sum, &x| sum + x);
        x.iter().fold(R::of(1.0), |sum, &x| x * R::of(3.0) + sum) * numbers + (x[0] + x[1] + x[2] + x[3])
    }
    let draws: Vec<f64> = Draws(4).numbers(40 * 33);
    let points: Vec<Vec<f64>> = draws.chunks(40).map(<[f64]>::to_vec).collect();
    let mut program = Program::record(&points[0], |_, x| sums(&x))?;
    let mut values = vec![0.0; points.len()];
    program.batch(&points).value(&mut values)?;
    for (x, value) in points.iter().zip(values) {
        assert_eq!((program.value(x)?, value), (sums(x), sums(x)));
        let (_, expected) = value_and_gradient(|_, x| sums(&x), x.clone())?;
        assert_eq!(program.gradient(x)?, &expected);
    }
    Ok(())
}

#[test]
fn batches_along_directions_are_those_of_one_input() -> Result<()> {
    let points: Vec<Vec<f64>> = Draws(5).numbers::<f64>(20 * 40).chunks(20).map(<[f64]>::to_vec).collect();
    let along: Vec<Vec<f64>> = Draws(6).numbers::<f64>(20 * 40).chunks(20).map(<[f64]>::to_vec).collect();
    fn f<R: Real>(x: &[R]) -> R {
        if x[0] > R::of(0.0) { rosenbrock(x) } else { rosenbrock(x).sin() }
    }
    let mut program = Program::record(&points[0], |_, x| f(&x))?;
    let mut products = vec![(points[0].clone(), points[0].clone()); points.len()];
    program.batch(&points).hvp(&along, &mut products)?;
    let mut slopes = vec![(0.0, 0.0); points.len()];
    program.batch(&points).jvp(&along, &mut slopes)?;
    for (i, (x, v)) in points.iter().zip(&along).enumerate() {
        let (gradient, product) = program.hvp(x, v)?;
        assert_eq!((&products[i].0, &products[i].1), (gradient, product));
        assert_eq!(slopes[i], program.jvp(x, v)?);
    }
    assert!(program.report().eager > 0, "some of them ran on the tape: {}", program.report());

    let mut pair = Program::record_vector(&points[0], |tape, x| tape.from_scalars(&[rosenbrock(&x), x[0].exp()]))?;
    let mut results = vec![0.0; 4 * points.len()];
    pair.batch(&points).jvp(&along, &mut results)?;
    for (i, (x, v)) in points.iter().zip(&along).enumerate() {
        let (values, tangents) = pair.jvp(x, v)?;
        assert_eq!(results[4 * i..][..4], [values.to_vec(), tangents.to_vec()].concat());
    }
    for directions in [&along[1..], &vec![vec![1.0]; points.len()]] {
        let error = program.batch(&points).jvp(directions, &mut slopes).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Shape { .. }), "{error}");
    }
    Ok(())
}

#[test]
fn no_derivative_is_taken_of_data() -> Result<()> {
    type X = ([f64; 2], NoGrad<Vec<f64>>);
    fn f<R: Real>([a, b]: [R; 2], data: &[R]) -> R {
        data.iter().fold(a * b, |sum, &x| sum + (a * x).sin() * b)
    }
    let (x, v): (X, X) = (([0.3, 0.7], NoGrad(vec![1.0, 2.0])), ([1.0, -2.0], NoGrad(vec![9.0, 9.0])));
    let (_, expected) = value_and_gradient(|_, (p, x)| f(p, &x), (x.0, x.1.0.clone()))?;
    let (value, gradient) = value_and_gradient(|_, (p, NoGrad(x))| f(p, &x), x.clone())?;
    assert_eq!((gradient.0, &gradient.1.0[..]), (expected.0, &[0.0, 0.0][..]));
    let (slopes, product) = hvp(|_, (p, NoGrad(x))| f(p, &x), x.clone(), v.clone())?;
    assert_eq!((slopes.0, &product.1.0[..]), (expected.0, &[0.0, 0.0][..]));
    let report = crate::check(|_, (p, NoGrad(x))| f(p, &x), x.clone())?;
    assert!(report.is_ok(), "{report}");

    let mut program = Program::record(&x, |_, (p, NoGrad(x))| f(p, &x))?;
    assert_eq!(program.value_and_gradient(&x)?, (value, &gradient));
    let close = |a: [f64; 2], b: [f64; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
    let (_, found) = program.hvp(&x, &v)?;
    assert!(close(found.0, product.0) && found.1 == product.1, "{found:?} {product:?}");
    let hessian = program.hessian(&x)?;
    assert_eq!(hessian.shape(), &[2, 2].into());
    let (_, along) = program.jvp(&x, &v)?;
    assert!((along - (expected.0[0] - 2.0 * expected.0[1])).abs() < 1e-12);
    let mut batch = [x.clone(), v.clone()];
    program.batch(&[x.clone(), x.clone()]).gradient(&mut batch)?;
    assert_eq!(batch, [gradient.clone(), gradient.clone()]);

    let mut rows = Program::record_vector(&x, |tape, (p, NoGrad(x))| tape.from_scalars(&[f(p, &x), x[0] * p[1]]))?;
    assert_eq!(rows.jacobian(&x)?.to_vec(), [expected.0[0], expected.0[1], 0.0, 1.0]);
    let mut jacobians = [0.0; 4];
    rows.batch(std::slice::from_ref(&x)).jacobian(&mut jacobians)?;
    assert_eq!(jacobians, [expected.0[0], expected.0[1], 0.0, 1.0]);

    let mut sum = Program::record(&((0.5_f64, NoGrad(2.0)), 1.0), |_, ((a, NoGrad(b)), x)| a * b * x)?;
    assert_eq!(sum.sum(&(0.5, NoGrad(3.0)), &[1.0, 2.0, 4.0])?, (10.5, &(21.0, NoGrad(0.0))));
    Ok(())
}

#[test]
fn as_many_numbers_in_another_form_are_recorded_anew() -> Result<()> {
    type X = (Vec<f64>, Vec<f64>);
    fn f<R: Real>((a, b): (Vec<R>, Vec<R>)) -> R {
        a.into_iter().fold(R::of(0.0), |sum, a| sum + a) * b[0]
    }
    let (long, short): (X, X) = ((vec![1.0, 2.0], vec![3.0]), (vec![1.0], vec![2.0, 3.0]));
    let mut program = Program::record(&long, |_, x| f(x))?;
    assert_eq!((program.value(&long)?, program.value(&short)?), (9.0, 2.0));
    assert_eq!(program.gradient(&short)?, &(vec![2.0], vec![1.0, 0.0]));
    let error = program.batch(&[long, short]).value(&mut [0.0; 2]).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Shape { .. }), "{error}");
    Ok(())
}

/// Two functions of many elements: every operation of them is part of a pass in which operands and results stay in place.
fn check_large<T: Float>(op: Elementwise) -> Result<()> {
    const LEN: usize = 4100;
    let domain = op.facts().domain;
    let mut draws = Draws(11);
    let mut operand = |k: usize, len: usize| {
        let (low, high) = domain[k];
        let units: Vec<f64> = draws.numbers(len);
        units.into_iter().map(|x| T::of(low + (high - low) * (x * 0.5 + 0.5).clamp(0.0, 1.0))).collect::<Tensor<T>>()
    };
    let operands = [operand(0, LEN), operand(1.min(op.arity() - 1), LEN), operand(0, 1)];
    fn f<'t, T: Float>(op: Elementwise, x: [Var<'t, T>; 3]) -> Scalar<'t, T> {
        let y = x[0].record(Op::Elementwise(op), &x[1..op.arity()]);
        (y * y + x[2] * y + x[0]).sum()
    }
    let (value, expected) = value_and_gradient(move |_, x| f(op, x), operands.clone())?;
    let mut program = Program::record(&operands, move |_, x| f(op, x))?;
    for _ in 0..2 {
        let (found_value, found) = program.value_and_gradient(&operands)?;
        let bits = |x: T| (x + T::ZERO).to_f64().to_bits();
        assert_eq!(bits(found_value), bits(value), "{op:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found.iter().map(bits).eq(expected.iter().map(bits)), "slope of {op:?}");
        }
    }
    Ok(())
}

#[test]
fn large_tensors_are_read_and_written_in_place() -> Result<()> {
    for &op in Elementwise::ALL.iter().filter(|op| op.arity() < 3) {
        check_large::<f32>(op)?;
        check_large::<f64>(op)?;
    }
    Ok(())
}

#[test]
fn cheap_slopes_are_computed_where_they_are_read() -> Result<()> {
    const N: usize = 100;
    fn f<'t>([x, weight]: [Var<'t, f64>; 2]) -> Scalar<'t, f64> {
        let layer = |x: Var<'t, f64>| x.matmul(weight).relu().matmul(weight).tanh();
        layer(layer(layer(layer(x)))).sum()
    }
    let numbers = |seed| Tensor::from_vec([N, N], Draws(seed).numbers::<f64>(N * N));
    let operands = [numbers(1)?, numbers(2)?];
    let mut program = Program::record(&operands, |_, x| f(x))?;
    let (_, expected) = value_and_gradient(|_, x| f(x), operands.clone())?;
    let (_, found) = program.value_and_gradient(&operands)?;
    assert_eq!(found.each_ref().map(Tensor::to_vec), expected.each_ref().map(Tensor::to_vec));
    // The values of eight operations are kept, and no slope.
    let matrices = program.report().bytes / (N * N * size_of::<f64>());
    assert!((8..16).contains(&matrices), "{matrices} matrices: {}", program.report());
    Ok(())
}
