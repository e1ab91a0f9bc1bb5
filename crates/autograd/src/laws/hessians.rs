//! Second derivatives: it does not matter by which operand one differentiates first, at special points neither, and where
//! the gradient is differentiable its derivative is what differences of it say. The same of third derivatives.

use super::cases::{Case, cases};
use super::rules::{Recorded, Tensors, draws_like, weights};
use super::same;
use crate::kernel::samples::{Draws, indices};
use crate::operation::{Function, Kind, Operation, Part};
use crate::ops::Op;
use crate::ops::elementwise::Elementwise;
use crate::program::Program;
use crate::real::Dual;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;

/// Where slopes vanish, operands tie and formulas change; beside each op's kinks.
const SPECIAL: [f64; 15] = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 6.0, 5e-4, 1.1e-3, 0.3, 1.7];

/// Points at special numbers, each with the operands that move.
fn for_each_point(law: impl Fn(Elementwise, &[f64], &[usize])) {
    for &op in Elementwise::ALL.iter().filter(|op| op.arity() < 3) {
        let seconds = if op.arity() == 1 { &SPECIAL[..1] } else { &SPECIAL };
        for &y in seconds {
            for x in SPECIAL.into_iter().chain((op.facts().kinks)(y)) {
                let sets: &[&[usize]] = match (op.arity(), op.facts().domain[1]) {
                    (2, (low, high)) if low < high => &[&[0, 1], &[0], &[1]],
                    _ => &[&[0]],
                };
                sets.iter().for_each(|moving| law(op, &[x, y][..op.arity()], moving));
            }
        }
    }
}

/// Elements that take each other's place, beside those that stay where the pattern has none.
const PATTERNS: [&[Option<f64>]; 8] = [
    &[Some(0.0)],
    &[Some(1.0)],
    &[Some(-1.0)],
    &[Some(0.0), None],
    &[Some(0.0), Some(0.0), None],
    &[Some(1.0), Some(0.0), Some(-1.0)],
    &[Some(0.5), Some(0.5), None, Some(-0.5)],
    &[Some(0.0), Some(1.0), Some(1.0), Some(0.0), None, Some(0.0)],
];

fn zeros(x: &[Tensor<f64>]) -> Tensors<f64> {
    x.iter().map(|x| Tensor::zeros(x.shape())).collect()
}

/// Ones in the direction of each element of each operand.
fn units(x: &[Tensor<f64>]) -> Vec<Tensors<f64>> {
    let places = x.iter().enumerate().flat_map(|(k, x)| indices(x.shape()).map(move |index| (k, index)));
    let unit = |(k, index): (usize, Vec<usize>)| {
        let mut units = zeros(x);
        *units[k].get_mut(&index).unwrap() = 1.0;
        units
    };
    places.map(unit).collect()
}

fn flat(x: &[Tensor<f64>]) -> Vec<f64> {
    x.iter().flat_map(|x| x.to_vec()).collect()
}

fn all_finite(x: &[f64]) -> bool {
    x.iter().all(|x| x.is_finite())
}

fn largest<'x>(x: impl IntoIterator<Item = &'x f64>) -> f64 {
    x.into_iter().filter(|x| x.is_finite()).fold(1.0, |largest, x| largest.max(x.abs()))
}

fn equal(a: f64, b: f64, tolerance: f64) -> bool {
    same(a, b) || (a - b).abs() <= tolerance
}

/// The derivatives of numbers at 0, each where it exists: as a limit that is the same from both sides.
fn derivatives(f: impl Fn(f64) -> Vec<f64>) -> Vec<Option<f64>> {
    let start = f(0.0);
    // Quotients without the first term of their error.
    let side = |h: f64| -> Vec<f64> {
        let (near, far) = (f(h / 2.0), f(h));
        (0..start.len()).map(|i| (4.0 * near[i] - far[i] - 3.0 * start[i]) / h).collect()
    };
    let sides = [1e-4, -1e-4, 2e-5, -2e-5].map(side);
    let limit = |i: usize| {
        let first = sides[0][i];
        sides.iter().all(|side| (side[i] - first).abs() <= 1e-4 * (1.0 + first.abs())).then_some(first)
    };
    (0..start.len()).map(limit).collect()
}

/// The Hessian of ⟨u, f(x)⟩ is one symmetric matrix by rows and by columns; two of its products are those of differences.
fn assert_hessian(case: &Case<f64>, x: &[Tensor<f64>], u: &[Tensor<f64>], draws: &mut Draws) {
    let units = units(x);
    let is_finite = |x: &[Tensor<f64>]| all_finite(&flat(x));
    // Beyond its domain a function has slopes all the same.
    let gradient = |x: &[Tensor<f64>]| match is_finite(&case.operation.value(x).unwrap()) {
        true => flat(&case.operation.vjp(x, u).unwrap()),
        false => vec![f64::NAN; units.len()],
    };
    if units.is_empty() || units.len() > 24 || !all_finite(&gradient(x)) {
        return;
    }
    let tape = Tape::new();
    let recorded = Recorded::new(case, &tape, x, u);
    let still = zeros(u);
    let column = |along: &Tensors<f64>| flat(&recorded.tangents(along, &still).1);
    let columns: Vec<Vec<f64>> = units.iter().map(column).collect();
    let rows: Vec<Vec<f64>> = units.iter().map(|along| flat(&recorded.second(along).0)).collect();
    let size = largest(columns.iter().flatten());
    for (i, j) in (0..units.len()).flat_map(|i| (0..=i).map(move |j| (i, j))) {
        let all = [columns[j][i], columns[i][j], rows[i][j], rows[j][i]];
        let are_equal = all.iter().all(|&other| equal(all[0], other, 1e-12 * size));
        assert!(are_equal, "{case:?} at {x:?}: {all:?} by elements {i} and {j}");
    }
    for along in [units[draws.below(units.len())].clone(), draws_like(x, draws)] {
        let moved = |h: f64| -> Tensors<f64> {
            x.iter().zip(&along).map(|(x, along)| x.add(along.mul(h).unwrap()).unwrap()).collect()
        };
        for (found, expected) in column(&along).into_iter().zip(derivatives(|h| gradient(&moved(h)))) {
            let is_right = expected.is_none_or(|expected| equal(found, expected, 1e-4 * size));
            assert!(is_right, "{case:?} at {x:?}: {found}, expected {expected:?}");
        }
    }
}

#[test]
fn hessians_of_elementwise_ops_are_symmetric_and_right_at_special_points() {
    for_each_point(|op, point, moving| {
        let part = |k: usize| if moving.contains(&k) { Part::Moving } else { Part::Number(point[k]) };
        let operands = (0..op.arity()).map(part).collect();
        let operation = Operation::new(Kind::Op(Op::Elementwise(op)), operands);
        let x: Tensors<f64> = moving.iter().map(|&k| Tensor::scalar(point[k])).collect();
        let case = Case { name: op.facts().name, operation, x };
        assert_hessian(&case, &case.x, &[Tensor::scalar(1.0)], &mut Draws(1));
    });
}

#[test]
fn hessians_of_tensor_ops_are_symmetric_and_right_at_special_points() {
    for (seed, case) in cases::<f64>().iter().enumerate() {
        let draws = &mut Draws(seed as u64);
        let u = weights(case, draws);
        assert_hessian(case, &case.x, &u, draws);
        for pattern in PATTERNS {
            let filled = |x: &Tensor<f64>| {
                let mut pattern = pattern.iter().cycle();
                x.map(|x| pattern.next().copied().flatten().unwrap_or(x))
            };
            let x: Tensors<f64> = case.x.iter().map(filled).collect();
            assert_hessian(case, &x, &u, draws);
        }
    }
}

type Second = Dual<Dual<f64>>;
type Third = Dual<Second>;

fn along(k: usize, l: usize) -> f64 {
    if k == l { 1.0 } else { 0.0 }
}

/// ∂²f/∂xₖ∂xₗ in forward mode, with the value and ∂f/∂xₖ.
fn second(op: Elementwise, x: &[f64], [k, l]: [usize; 2]) -> [f64; 3] {
    let operand = |m: usize| Dual {
        value: Dual { value: x[m], tangent: along(m, k) },
        tangent: Dual { value: along(m, l), tangent: 0.0 },
    };
    let z: Second = op.at(&(0..x.len()).map(operand).collect::<Vec<_>>());
    [z.tangent.tangent, z.value.value, z.value.tangent]
}

fn third(op: Elementwise, x: &[f64], [k, l, m]: [usize; 3]) -> f64 {
    let operand = |n: usize| Dual {
        value: Dual {
            value: Dual { value: x[n], tangent: along(n, k) },
            tangent: Dual { value: along(n, l), tangent: 0.0 },
        },
        tangent: Dual::constant(Dual::constant(along(n, m))),
    };
    let z: Third = op.at(&(0..x.len()).map(operand).collect::<Vec<_>>());
    z.tangent.tangent.tangent
}

/// Scalars recorded twice, forward mode twice and a program have the Hessian of the tensors.
#[test]
fn scalars_have_the_hessian_of_tensors_at_special_points() {
    for_each_point(|op, point, moving| {
        let tape = Tape::new();
        let x: Vec<Scalar<'_, f64>> = point.iter().map(|&x| tape.scalar(x)).collect();
        let slopes = op.at(&x).grad(x.clone());
        let mut program = Program::record(&point.to_vec(), |_, x| op.at(&x)).unwrap();
        let replayed = program.hessian(&point.to_vec()).unwrap();
        let pairs: Vec<[usize; 2]> = moving.iter().flat_map(|&k| moving.iter().map(move |&l| [k, l])).collect();
        let expected: Vec<[f64; 3]> = pairs.iter().map(|&pair| second(op, point, pair)).collect();
        if !expected.iter().all(|[_, value, slope]| all_finite(&[*value, *slope])) {
            return;
        }
        let size = largest(expected.iter().map(|[second, ..]| second));
        for (&[k, l], [expected, ..]) in pairs.iter().zip(expected) {
            let recorded = slopes[k].grad(x[l]).value().unwrap();
            for found in [recorded, replayed.get(&[k, l]).unwrap()] {
                let is_right = equal(found, expected, 1e-12 * size);
                assert!(is_right, "{op:?} of {point:?}: {found}, not {expected}");
            }
        }
    });
}

/// Where second derivatives are finite, third ones do not depend on the order, and are those of differences.
#[test]
fn third_derivatives_are_symmetric_and_right_at_special_points() {
    for_each_point(|op, point, moving| {
        let pairs: Vec<[usize; 2]> = moving.iter().flat_map(|&k| moving.iter().map(move |&l| [k, l])).collect();
        let seconds: Vec<f64> = pairs.iter().flat_map(|&pair| second(op, point, pair)).collect();
        if !all_finite(&seconds) {
            return;
        }
        let size = largest(&seconds);
        for (&[k, l], &m) in pairs.iter().flat_map(|pair| moving.iter().map(move |m| (pair, m))) {
            let all = [[k, l, m], [m, k, l], [l, m, k]].map(|order| third(op, point, order));
            let size = size.max(largest(&all));
            assert!(all.iter().all(|&other| equal(all[0], other, 1e-9 * size)), "{op:?} of {point:?}: {all:?}");
            let moved = |h: f64| -> Vec<f64> { (0..point.len()).map(|n| point[n] + h * along(n, m)).collect() };
            // Beyond its domain a function has slopes all the same.
            let defined = |[second, value, _]: [f64; 3]| if value.is_finite() { second } else { f64::NAN };
            let expected = derivatives(|h| vec![defined(second(op, &moved(h), [k, l]))])[0];
            let is_right = expected.is_none_or(|expected| equal(all[0], expected, 1e-3 * size));
            assert!(is_right, "{op:?} of {point:?}: {}, expected {expected:?}", all[0]);
        }
    });
}
