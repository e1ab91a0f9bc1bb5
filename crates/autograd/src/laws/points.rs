//! Kinks and extremes: what the docs of the elementwise ops promise at single points.

use super::{record, same, slope};
use crate::float::Float;
use crate::ops::elementwise::Elementwise::{self, *};
use crate::real::Dual;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
/// The constants of SELU.
const SELU_LEFT: f64 = 1.050_700_987_355_480_5 * 1.673_263_242_354_377_2;

/// Slopes at kinks, and at points where a product of slopes would be 0·∞.
#[rustfmt::skip]
const SLOPES: &[(Elementwise, &[f64], &[f64])] = &[
    (abs, &[0.0], &[0.0]), (abs, &[-0.0], &[0.0]), (sign, &[0.0], &[0.0]), (square, &[0.0], &[0.0]),
    (sqrt, &[0.0], &[INF]), (rsqrt, &[0.0], &[-INF]), (reciprocal, &[0.0], &[-INF]), (ln, &[0.0], &[INF]),
    (log1p, &[-1.0], &[INF]), (logit, &[0.0], &[INF]), (logit, &[1.0], &[INF]),
    (asin, &[1.0], &[INF]), (acos, &[-1.0], &[-INF]), (acosh, &[1.0], &[INF]), (atanh, &[-1.0], &[INF]),
    (sinc, &[0.0], &[0.0]), (tanh, &[INF], &[0.0]), (exp, &[-INF], &[0.0]), (erfinv, &[1.0], &[INF]),
    (floor, &[2.0], &[0.0]), (ceil, &[2.0], &[0.0]), (round, &[0.5], &[0.0]), (trunc, &[-1.0], &[0.0]),
    (frac, &[1.0], &[1.0]),
    (nan_to_num, &[NAN], &[0.0]), (nan_to_num, &[INF], &[0.0]), (nan_to_num, &[1.0], &[1.0]),
    (relu, &[0.0], &[0.0]), (relu6, &[0.0], &[0.0]), (relu6, &[6.0], &[0.0]),
    (hardtanh, &[-1.0], &[0.0]), (hardtanh, &[1.0], &[0.0]), (selu, &[0.0], &[SELU_LEFT]),
    (hardsigmoid, &[-3.0], &[0.0]), (hardsigmoid, &[3.0], &[0.0]),
    (hardswish, &[-3.0], &[0.0]), (hardswish, &[3.0], &[1.0]),
    (silu, &[INF], &[1.0]), (silu, &[-INF], &[0.0]), (gelu, &[INF], &[1.0]), (gelu, &[-INF], &[0.0]),
    (gelu_tanh, &[INF], &[1.0]), (gelu_tanh, &[-INF], &[0.0]), (gelu_tanh, &[1e30], &[1.0]), (gelu_tanh, &[-1e30], &[0.0]),
    (mish, &[INF], &[1.0]), (mish, &[-INF], &[0.0]), (sigmoid, &[-INF], &[0.0]), (logsigmoid, &[-INF], &[1.0]),
    (masked_mul, &[0.0, INF], &[INF, 0.0]),
    (pow, &[0.0, 0.0], &[0.0, 0.0]), (pow, &[0.0, 2.0], &[0.0, 0.0]), (pow, &[-2.0, 2.0], &[-4.0, NAN]),
    (powi, &[0.0, 0.0], &[0.0, 0.0]), (powi, &[0.0, 1.0], &[1.0, 0.0]), (powi, &[-2.0, 3.0], &[12.0, 0.0]),
    (hypot, &[0.0, 0.0], &[0.0, 0.0]), (hypot, &[3e30, 4e30], &[0.6, 0.8]),
    (maximum, &[1.0, 1.0], &[0.5, 0.5]), (minimum, &[1.0, 1.0], &[0.5, 0.5]),
    (maximum, &[NAN, 1.0], &[1.0, 1.0]), (minimum, &[1.0, NAN], &[1.0, 1.0]),
    (fmax, &[1.0, 1.0], &[0.5, 0.5]), (fmin, &[1.0, 1.0], &[0.5, 0.5]), (atan2, &[0.0, 0.0], &[0.0, 0.0]),
    (fmax, &[NAN, 1.0], &[0.0, 1.0]), (fmin, &[1.0, NAN], &[1.0, 0.0]),
    (clamp_min, &[1.0, 1.0], &[0.0, 1.0]), (clamp_max, &[1.0, 1.0], &[0.0, 1.0]),
    (copysign, &[0.0, -1.0], &[0.0, 0.0]), (copysign, &[2.0, -1.0], &[-1.0, 0.0]),
    (fmod, &[7.0, 3.0], &[1.0, -2.0]), (fmod, &[-7.0, 3.0], &[1.0, 2.0]), (rem, &[-7.0, 3.0], &[1.0, 3.0]),
    (logaddexp, &[INF, INF], &[NAN, NAN]), (logaddexp, &[-INF, 0.0], &[0.0, 1.0]),
    (xlogy, &[0.0, 0.0], &[0.0, 0.0]), (xlog1py, &[0.0, -1.0], &[0.0, 0.0]),
    (leaky_relu, &[0.0, 0.25], &[0.25, 0.0]), (prelu, &[0.0, 0.25], &[0.25, 0.0]),
    (elu, &[0.0, 0.5], &[0.5, 0.0]), (celu, &[0.0, 0.5], &[1.0, 0.0]), (softplus, &[INF, 1.0], &[1.0, NAN]),
    (hardshrink, &[0.5, 0.5], &[0.0, 0.0]), (hardshrink, &[-0.5, 0.5], &[0.0, 0.0]),
    (softshrink, &[0.5, 0.5], &[0.0, 0.0]), (softshrink, &[-0.5, 0.5], &[0.0, 0.0]),
    (threshold, &[0.5, 0.5], &[0.0, 0.0]),
];

/// Values at the ends of domains and beyond.
#[rustfmt::skip]
const VALUES: &[(Elementwise, &[f64], f64)] = &[
    (sqrt, &[-1.0], NAN), (ln, &[0.0], -INF), (ln, &[-1.0], NAN), (exp, &[-INF], 0.0), (exp, &[1e4], INF),
    (expm1, &[-INF], -1.0), (tanh, &[-INF], -1.0), (atan, &[INF], std::f64::consts::FRAC_PI_2), (sin, &[INF], NAN),
    (sinc, &[0.0], 1.0), (acosh, &[0.5], NAN), (atanh, &[1.0], INF), (erf, &[-INF], -1.0), (erfc, &[INF], 0.0),
    (erfinv, &[1.0], INF), (lgamma, &[0.0], INF), (digamma, &[0.0], -INF), (round, &[2.5], 2.0), (round, &[-0.5], 0.0),
    (nan_to_num, &[NAN], 0.0), (sigmoid, &[-1e4], 0.0), (sigmoid, &[1e4], 1.0), (logsigmoid, &[-1e4], -1e4),
    (relu, &[NAN], NAN), (relu6, &[NAN], NAN), (hardtanh, &[NAN], NAN), (sign, &[NAN], NAN),
    (pow, &[0.0, 0.0], 1.0), (pow, &[-2.0, 0.5], NAN), (hypot, &[INF, NAN], INF), (atan2, &[0.0, -1.0], std::f64::consts::PI),
    (maximum, &[NAN, 1.0], NAN), (minimum, &[1.0, NAN], NAN), (fmax, &[NAN, 1.0], 1.0), (fmin, &[1.0, NAN], 1.0),
    (clamp_min, &[NAN, 1.0], NAN), (clamp_min, &[1.0, NAN], NAN), (clamp_max, &[1.0, NAN], NAN),
    (fmod, &[-7.0, 3.0], -1.0), (rem, &[-7.0, 3.0], 2.0), (rem, &[7.0, -3.0], -2.0), (rem, &[1.0, 0.0], NAN),
    (logaddexp, &[INF, INF], INF), (logaddexp, &[-INF, -INF], -INF), (logaddexp, &[-INF, 2.0], 2.0),
    (logaddexp2, &[-INF, -INF], -INF), (xlogy, &[0.0, 0.0], 0.0), (xlogy, &[0.0, NAN], NAN), (xlog1py, &[0.0, -1.0], 0.0),
    (softplus, &[1e4, 1.0], 1e4), (softplus, &[-1e4, 1.0], 0.0), (masked_mul, &[0.0, NAN], 0.0), (masked_mul, &[INF, 0.0], 0.0),
    (eq, &[NAN, NAN], 0.0),
    (ne, &[NAN, NAN], 1.0), (select, &[NAN, 1.0, 2.0], 1.0), (select, &[-0.0, 1.0, 2.0], 2.0), (threshold, &[NAN, 0.0], NAN),
];

fn numbers<T: Float>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::from_f64(x)).collect()
}

#[test]
fn slopes_at_kinks_are_those_of_the_docs() {
    fn law<T: Float>() {
        for &(op, x, expected) in SLOPES {
            let x = numbers::<T>(x);
            for (k, expected) in numbers::<T>(expected).into_iter().enumerate() {
                let found = slope(op, &x, op.at(&x), k);
                let (distance, size) = ((found - expected).to_f64().abs(), expected.to_f64().abs());
                let is_close = distance <= 4.0 * T::EPSILON.to_f64() * size;
                assert!(same(found, expected) || is_close, "{op:?}′ of {x:?}, operand {k}: {found}, not {expected}");
            }
        }
    }
    law::<f32>();
    law::<f64>();
}

#[test]
fn values_at_the_ends_are_those_of_the_docs() {
    fn law<T: Float>() {
        for &(op, x, expected) in VALUES {
            let (x, expected) = (numbers::<T>(x), T::from_f64(expected));
            assert!(same(op.at(&x), expected), "{op:?} of {x:?} is {}, not {expected}", op.at(&x));
        }
    }
    law::<f32>();
    law::<f64>();
}

/// The value or a derivative jumps at the kinks in the facts of an op, and nowhere else in its domain: the laws leave out
/// the points beside kinks, and must not leave out more.
#[test]
fn kinks_are_where_something_jumps() {
    const NEAR: f64 = 1e-9;
    for &op in Elementwise::ALL.iter().filter(|op| op.arity() < 3) {
        let (low, high) = op.facts().domain[1];
        let y = low + 0.4 * (high - low);
        // The value and its first two derivatives.
        let taylor = |x: f64| -> Vec<f64> {
            let along = |k: usize| {
                let unit = |l: usize, k: usize| if l == k { 1.0 } else { 0.0 };
                let operand = |l: usize| Dual {
                    value: Dual { value: [x, y][l], tangent: unit(l, 0) },
                    tangent: Dual { value: unit(l, k), tangent: 0.0 },
                };
                op.at(&(0..op.arity()).map(operand).collect::<Vec<Dual<Dual<f64>>>>())
            };
            let results = (0..op.arity()).map(along);
            results.flat_map(|z| [z.value.value, z.value.tangent, z.tangent.value, z.tangent.tangent]).collect()
        };
        let jump = |a: f64, b: f64| taylor(a).iter().zip(taylor(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let kinks = (op.facts().kinks)(y);
        for &kink in &kinks {
            let sides = jump(kink - NEAR, kink).max(jump(kink, kink + NEAR));
            assert!(sides > 1e-3, "{op:?}: nothing jumps at {kink}");
        }
        let (low, high) = op.facts().domain[0];
        for step in 1..200 {
            let start = low + (high - low) * f64::from(step) / 200.0;
            let (mut a, mut b) = (start, start + (high - low) / 200.0);
            while b - a > NEAR {
                let middle = 0.5 * (a + b);
                (a, b) = if jump(a, middle) > jump(middle, b) { (a, middle) } else { (middle, b) };
            }
            let is_kink = kinks.iter().any(|kink| (kink - a).abs() < 2.0 * NEAR);
            assert!(jump(a, b) < 1e-4 || is_kink, "{op:?}: something jumps at {a}, and it is no kink");
        }
    }
}

/// Every combination of extreme operands.
pub(super) fn extremes<T: Float>(arity: usize) -> Vec<Vec<T>> {
    let positive = [
        T::ZERO,
        T::MIN_POSITIVE * T::EPSILON,
        T::MIN_POSITIVE,
        T::from_f64(0.5),
        T::ONE,
        T::from_f64(3.0),
        T::from_f64(1e9),
        T::MAX,
        T::INFINITY,
    ];
    let all: Vec<T> = positive.iter().flat_map(|&x| [x, -x]).chain([T::NAN]).collect();
    (0..arity).fold(vec![Vec::new()], |points, _| {
        points.iter().flat_map(|point| all.iter().map(move |&x| [&point[..], &[x]].concat())).collect()
    })
}

/// Whatever the slope is, a result that nothing depends on sends zero: on numbers, recorded, forward, scalar and tensor.
#[test]
fn a_gradient_of_zero_stays_zero_at_every_extreme() {
    fn law<T: Float>()
    where
        Dual<T>: crate::real::Algebra,
    {
        for &op in Elementwise::ALL {
            let points = extremes::<T>(op.arity());
            let columns: Vec<Tensor<T>> =
                (0..op.arity()).map(|k| points.iter().map(|point| point[k]).collect()).collect();
            let tape = Tape::new();
            let x: Vec<Var<'_, T>> = columns.into_iter().map(|column| tape.var(column)).collect();
            let y = record(op, &x);
            let zeros = Tensor::zeros([points.len()]);
            let found = y.vjp(zeros.clone()).unwrap();
            for &x in &x {
                assert!(found.of(x).is_ok_and(|g| g.iter().all(|g| g == T::ZERO)) || found.of(x).is_err(), "{op:?}");
                let recorded = y.grad(x, tape.constant(zeros.clone())).value().unwrap();
                assert!(recorded.iter().all(|g| g == T::ZERO), "{op:?} recorded: {recorded}");
            }
            for (i, point) in points.iter().enumerate() {
                let still: Vec<Dual<T>> = point.iter().map(|&value| Dual { value, tangent: T::ZERO }).collect();
                assert!(op.at(&still).tangent == T::ZERO, "{op:?} of {point:?} moves when its operands do not");
                if i % 7 == 0 {
                    let x: Vec<Scalar<'_, T>> = point.iter().map(|&x| tape.scalar(x)).collect();
                    let found = (op.at(&x) * T::ZERO).backward().unwrap();
                    assert!(x.iter().all(|&x| found.of(x).unwrap() == T::ZERO), "{op:?} of scalars {point:?}");
                }
            }
        }
    }
    law::<f32>();
    law::<f64>();
}

/// The mirror image: whatever arrives, a slope of zero sends zero.
#[test]
fn a_slope_of_zero_sends_zero_whatever_arrives() {
    fn law<T: Float>()
    where
        Dual<T>: crate::real::Algebra,
    {
        for (&op, arriving) in Elementwise::ALL.iter().flat_map(|op| [(op, T::NAN), (op, T::NEG_INFINITY)]) {
            let points = extremes::<T>(op.arity());
            let all = Tensor::full([points.len()], arriving);
            let tape = Tape::new();
            let column = |k: usize| tape.var(points.iter().map(|point| point[k]).collect::<Tensor<T>>());
            let x: Vec<Var<'_, T>> = (0..op.arity()).map(column).collect();
            let y = record(op, &x);
            let found = y.vjp(all.clone()).unwrap();
            for (k, &by) in x.iter().enumerate() {
                let numeric = found.of(by).unwrap_or_else(|_| Tensor::zeros(by.shape()));
                let recorded = y.grad(by, tape.constant(all.clone())).value().unwrap();
                let forward = y.jvp(by, all.clone()).unwrap();
                for (i, point) in points.iter().enumerate() {
                    if slope(op, point, op.at(point), k) != T::ZERO {
                        continue;
                    }
                    let dual = |l: usize| Dual { value: point[l], tangent: if l == k { arriving } else { T::ZERO } };
                    let mut all = vec![op.at(&(0..op.arity()).map(dual).collect::<Vec<_>>()).tangent];
                    all.extend([&numeric, &recorded, &forward].map(|g| g.get(&[i]).unwrap()));
                    if i % 7 == 0 {
                        let tape = Tape::new();
                        let x: Vec<Scalar<'_, T>> = point.iter().map(|&x| tape.scalar(x)).collect();
                        let y = op.at(&x) * arriving;
                        let forward = op.at(&x).jvp(x[k], arriving).unwrap();
                        let recorded = y.grad(x[k]).value().unwrap();
                        all.extend([y.backward().unwrap().of(x[k]).unwrap(), recorded, forward]);
                    }
                    assert!(all.iter().all(|&g| g == T::ZERO), "{op:?} of {point:?}, operand {k}: {all:?}");
                }
            }
        }
    }
    law::<f32>();
    law::<f64>();
}

/// Both sweeps multiply the same slopes, the one from the result, the other from the operand.
#[test]
fn the_sweeps_agree_on_compositions_at_extremes() {
    let points: Tensor<f64> = extremes(1).concat().into_iter().collect();
    let ones = Tensor::ones(points.shape());
    let unary = || Elementwise::ALL.iter().filter(|op| op.arity() == 1);
    for (inner, outer) in unary().flat_map(|&inner| unary().map(move |&outer| (inner, outer))) {
        let tape = Tape::new();
        let x = tape.var(points.clone());
        let y = record(outer, &[record(inner, &[x])]);
        let found = y.vjp(ones.clone()).unwrap().of(x);
        let (reverse, forward) = (found.unwrap_or(Tensor::zeros(points.shape())), y.jvp(x, ones.clone()).unwrap());
        for (at, (reverse, forward)) in points.iter().zip(reverse.iter().zip(&forward)) {
            assert!(same(reverse, forward), "{outer:?} of {inner:?} at {at}: {reverse} in reverse, {forward} forward");
        }
    }
}

/// Not a number in, not a number out, but for the ops that say otherwise.
#[test]
fn not_a_number_is_not_lost() {
    let forgiving = [nan_to_num, masked_mul, fmax, fmin, eq, ne, gt, ge, lt, le, select];
    for &op in Elementwise::ALL.iter().filter(|op| !forgiving.contains(op)) {
        let x = [NAN, 0.5];
        assert!(op.at(&x[..op.arity()]).is_nan(), "{op:?} of {x:?} is {}", op.at(&x[..op.arity()]));
    }
}
