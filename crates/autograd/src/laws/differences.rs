//! Differences of functions, and numbers that are compared with them.

use std::fmt::Debug;

use crate::float::Float;
use crate::tensor::Tensor;

/// The precisions under test, with the relative accuracy that first and second derivatives reach.
pub(super) trait Precision: Float {
    const FIRST: f64;
    const SECOND: f64;
}

impl Precision for f32 {
    const FIRST: f64 = 3e-5;
    const SECOND: f64 = 3e-4;
}

impl Precision for f64 {
    const FIRST: f64 = 1e-8;
    const SECOND: f64 = 1e-7;
}

/// x + t·v, in f64.
pub(super) fn shifted<T: Float>(x: &[Tensor<T>], v: &[Tensor<T>], t: f64) -> Vec<Tensor<f64>> {
    let wide = |x: &Tensor<T>, v: &Tensor<T>| {
        Tensor::from_vec(x.shape(), x.iter().zip(v.iter()).map(|(x, v)| x.to_f64() + t * v.to_f64()).collect())
    };
    x.iter().zip(v).map(|(x, v)| wide(x, v).unwrap()).collect()
}

pub(super) fn inner<T: Float, U: Float>(a: &Tensor<T>, b: &Tensor<U>) -> f64 {
    a.iter().zip(b.iter()).map(|(a, b)| a.to_f64() * b.to_f64()).sum()
}

pub(super) fn inners<T: Float, U: Float>(a: &[Tensor<T>], b: &[Tensor<U>]) -> f64 {
    a.iter().zip(b).map(|(a, b)| inner(a, b)).sum()
}

/// f′(0) and its estimated error, by Ridders' extrapolation of central differences (Ridders 1982).
pub(super) fn difference(f: impl Fn(f64) -> f64) -> (f64, f64) {
    const SHRINK: f64 = 1.6;
    let mut best = (f64::NAN, f64::INFINITY);
    let mut last: Vec<f64> = Vec::new();
    for k in 0..10 {
        let h = 0.05 / SHRINK.powi(k);
        let mut row = vec![(f(h) - f(-h)) / (2.0 * h)];
        for (j, above) in last.iter().enumerate() {
            let factor = SHRINK.powi(2 * (j as i32 + 1));
            let next = (row[j] * factor - above) / (factor - 1.0);
            let error = (next - row[j]).abs().max((next - above).abs());
            if error <= best.1 {
                best = (next, error);
            }
            row.push(next);
        }
        last = row;
    }
    best
}

/// `error` is what the expected value itself may be wrong by.
pub(super) fn assert_near(found: f64, (expected, error): (f64, f64), tolerance: f64, what: impl Debug) {
    let bound = error + tolerance * (1.0 + expected.abs());
    assert!((found - expected).abs() <= bound, "{what:?}: found {found}, expected {expected} ± {bound:e}");
}

pub(super) fn same<T: Float>(a: T, b: T) -> bool {
    (a.to_f64() == b.to_f64()) || (a.is_nan() && b.is_nan())
}
