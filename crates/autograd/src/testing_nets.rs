//! Derivatives against central differences, for the tests of ops.

use crate::{Tape, Tensor, Var};

/// Numbers in (−1, 1) that look random and are the same every time.
pub(crate) fn numbers(shape: &[usize], seed: u64) -> Tensor<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    Tensor::from_fn(shape, |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

/// A tensor with the elements 1, 2, 3, …
pub(crate) fn counted(shape: &[usize]) -> Tensor<f64> {
    let mut next = 0.0;
    Tensor::from_fn(shape, |_| {
        next += 1.0;
        next
    })
}

/// Checks the first and the second derivative of `f` at `x`, in the numeric and in the recorded sweep.
pub(crate) fn check(f: impl for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>, x: &[Tensor<f64>]) {
    let projected = |x: &[Tensor<f64>]| -> (f64, Vec<Tensor<f64>>) {
        let tape = Tape::new();
        let x: Vec<_> = x.iter().map(|x| tape.var(x.clone())).collect();
        let y = f(&tape, &x);
        let y = (y * tape.constant(numbers(&y.shape(), 77))).sum();
        let gradients = y.backward().unwrap();
        (y.value().unwrap(), x.iter().map(|&x| found(gradients.of(x), x)).collect())
    };
    let slope = |x: &[Tensor<f64>]| -> (f64, Vec<Tensor<f64>>) {
        let tape = Tape::new();
        let x: Vec<_> = x.iter().map(|x| tape.var(x.clone())).collect();
        let y = f(&tape, &x);
        let y = (y * tape.constant(numbers(&y.shape(), 77))).sum();
        let mut slope = tape.scalar(0.0);
        for (k, &x) in x.iter().enumerate() {
            slope = slope + (y.grad(x).unwrap() * tape.constant(numbers(&x.shape(), 100 + k as u64))).sum();
        }
        let gradients = slope.backward().unwrap();
        (slope.value().unwrap(), x.iter().map(|&x| found(gradients.of(x), x)).collect())
    };
    compare("first", &projected, x);
    compare("second", &slope, x);
    let along: f64 = (projected(x).1.iter().enumerate())
        .map(|(k, g)| g.iter().zip(numbers(g.shape(), 100 + k as u64).iter()).map(|(g, v)| g * v).sum::<f64>())
        .sum();
    let recorded = slope(x).0;
    assert!((along - recorded).abs() <= 1e-10 * along.abs().max(1.0), "numeric {along}, recorded {recorded}");
}

fn found(gradient: crate::Result<&Tensor<f64>>, x: Var<'_, f64>) -> Tensor<f64> {
    gradient.cloned().unwrap_or_else(|_| Tensor::zeros(x.shape()))
}

fn compare(order: &str, f: &dyn Fn(&[Tensor<f64>]) -> (f64, Vec<Tensor<f64>>), x: &[Tensor<f64>]) {
    const STEP: f64 = 1e-5;
    for (k, gradient) in f(x).1.iter().enumerate() {
        assert_eq!(gradient.shape(), x[k].shape());
        let scale = gradient.iter().fold(1.0f64, |max, g| max.max(g.abs()));
        for (i, g) in gradient.iter().enumerate() {
            let at = |step: f64| {
                let mut x = x.to_vec();
                x[k].as_mut_slice()[i] += step;
                f(&x).0
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!(
                (g - difference).abs() < 2e-8 * scale,
                "{order} derivative, operand {k}, element {i}: {g}, not {difference}"
            );
        }
    }
}

/// The error text, without the line, of what `f` does with operands of these shapes; the line is the test's.
pub(crate) fn failure(shapes: &[&[usize]], f: impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>) -> String {
    let tape = Tape::new();
    let x: Vec<_> = shapes.iter().map(|&shape| tape.constant(Tensor::zeros(shape))).collect();
    let text = f(&x).value().unwrap_err().to_string();
    let (text, site) = text.rsplit_once(", at ").unwrap();
    assert!(site.contains("ops/"), "{site}");
    text.to_string()
}
