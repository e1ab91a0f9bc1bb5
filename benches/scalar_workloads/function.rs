//! A function of many numbers, written once and run on plain numbers and on handles.

use autograd::{Real, Result, Scalar, Tape};

pub trait Function {
    fn value<R: Real>(&self, x: &[R]) -> R;
}

/// The function on a tape: its variables and its result.
pub fn record<'t>(tape: &'t Tape<f64>, f: &impl Function, x: &[f64]) -> (Vec<Scalar<'t, f64>>, Scalar<'t, f64>) {
    let x: Vec<_> = x.iter().map(|&x| tape.scalar(x)).collect();
    let y = f.value(&x);
    (x, y)
}

/// The value, and the gradient in `gradient`, by one recording and one sweep.
pub fn gradient(tape: &mut Tape<f64>, f: &impl Function, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
    tape.clear();
    let (x, y) = record(tape, f, x);
    let gradients = y.backward()?;
    for (slot, &x) in gradient.iter_mut().zip(&x) {
        *slot = gradients.of(x)?;
    }
    y.value()
}
