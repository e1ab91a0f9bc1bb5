//! Losses of numbers.

use autograd::{Float, Scalar, Term, Var};

use super::Target;

/// The mean squared error: mean of (x − y)².
///
/// Shapes: any, both alike → a `Scalar`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::mse;
///
/// let tape = Tape::new();
/// let x = tape.var([1.0_f32, 2.0]);
/// let loss = mse(x, Tensor::from([1.0, 4.0]));
/// assert_eq!(loss.value()?, 2.0);
/// assert_eq!(loss.backward()?.of(x)?.to_vec(), [0.0, -2.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn mse<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Scalar<'t, T> {
    mse_each(x, y).mean()
}

/// (x − y)² of every element.
///
/// Shapes: any, both alike → those of the prediction.
#[track_caller]
pub fn mse_each<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Var<'t, T> {
    let [x, y] = y.into().meet(x, "mse");
    (x - y).square()
}

/// The mean absolute error: mean of |x − y|. Its derivative at x = y is 0.
///
/// Shapes: any, both alike → a `Scalar`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::l1;
///
/// let tape = Tape::new();
/// let x = tape.var([1.0_f32, 2.0]);
/// let loss = l1(x, Tensor::from([1.0, 4.0]));
/// assert_eq!(loss, 1.0);
/// assert_eq!(loss.backward()?.of(x)?.to_vec(), [0.0, -0.5]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn l1<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Scalar<'t, T> {
    l1_each(x, y).mean()
}

/// |x − y| of every element.
///
/// Shapes: any, both alike → those of the prediction.
#[track_caller]
pub fn l1_each<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Var<'t, T> {
    let [x, y] = y.into().meet(x, "l1");
    (x - y).abs()
}

/// Huber's loss, the mean of: ½e² where |e| ≤ δ, else δ(|e| − ½δ), with e = x − y. Squared near the target, absolute far
/// from it, so that outliers pull no harder than δ.
///
/// Computed as c(e − ½c) with c = e clamped to ±δ: one formula for both sides, and no square that could overflow.
///
/// Shapes: any, both alike → a `Scalar`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::huber;
///
/// let tape = Tape::new();
/// let x = tape.var([0.5_f32, -8.0]);
/// let loss = huber(x, Tensor::zeros([2]), 1.0);
/// assert_eq!(loss.value()?, (0.125 + 7.5) / 2.0);
/// assert_eq!(loss.backward()?.of(x)?.to_vec(), [0.25, -0.5]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Huber, *Robust estimation of a location parameter*, 1964.
#[track_caller]
pub fn huber<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>, delta: f64) -> Scalar<'t, T> {
    huber_each(x, y, delta).mean()
}

/// [`huber`] of every element.
///
/// Shapes: any, both alike → those of the prediction.
#[track_caller]
pub fn huber_each<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>, delta: f64) -> Var<'t, T> {
    let [x, y] = y.into().meet(x, "huber");
    let error = x - y;
    let bound = T::from_f64(delta);
    let clamped = error.clamp(Term::Number(-bound), Term::Number(bound));
    clamped * (error - clamped * Term::Number(T::from_f64(0.5)))
}

/// The mean of: ½e²/β where |e| ≤ β, else |e| − ½β, with e = x − y: [`huber`] over β, and [`l1`] for β = 0.
///
/// Shapes: any, both alike → a `Scalar`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::smooth_l1;
///
/// let tape = Tape::new();
/// let x = tape.var([0.5_f32, -8.0]);
/// let loss = smooth_l1(x, Tensor::zeros([2]), 0.5);
/// assert_eq!(loss, (0.25 + 7.75) / 2.0);
/// assert_eq!(loss.backward()?.of(x)?.to_vec(), [0.5, -0.5]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Girshick, *Fast R-CNN*, ICCV 2015.
#[track_caller]
pub fn smooth_l1<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>, beta: f64) -> Scalar<'t, T> {
    smooth_l1_each(x, y, beta).mean()
}

/// [`smooth_l1`] of every element.
///
/// Shapes: any, both alike → those of the prediction.
#[track_caller]
pub fn smooth_l1_each<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>, beta: f64) -> Var<'t, T> {
    if beta == 0.0 { l1_each(x, y) } else { huber_each(x, y, beta) * Term::Number(T::from_f64(1.0 / beta)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{Tape, Tensor};

    #[test]
    fn shapes_that_would_broadcast_are_an_error_at_the_users_line() {
        let tape = Tape::<f64>::new();
        let error = mse(tape.var(Tensor::zeros([4, 1])), Tensor::zeros([4])).backward().unwrap_err().to_string();
        assert!(error.starts_with("mse: the target must have shape [4, 1], found [4], at "), "{error}");
        assert!(error.contains("regression.rs"), "{error}");
    }

    #[test]
    fn an_earlier_failure_is_the_one_reported() {
        let tape = Tape::<f64>::new();
        let failed = tape.var([1.0, 2.0]).matmul(tape.var([1.0, 2.0, 3.0]));
        assert!(l1(failed, Tensor::zeros([4])).value().unwrap_err().to_string().starts_with("matmul"));
    }

    #[test]
    fn huber_is_smooth_where_it_changes_form() {
        let tape = Tape::<f64>::new();
        let x = tape.var([0.0, 2.0, -2.0, 5.0, -5.0]);
        let y = huber_each(x, Tensor::zeros([5]), 2.0);
        assert_eq!(y.value().unwrap().to_vec(), [0.0, 2.0, 2.0, 8.0, 8.0]);
        assert_eq!(y.sum().backward().unwrap().of(x).unwrap().to_vec(), [0.0, 2.0, -2.0, 2.0, -2.0]);
        let y = smooth_l1_each(x, Tensor::zeros([5]), 2.0);
        assert_eq!(y.value().unwrap().to_vec(), [0.0, 1.0, 1.0, 4.0, 4.0]);
        let y = smooth_l1_each(x, Tensor::zeros([5]), 0.0);
        assert_eq!(y.value().unwrap().to_vec(), [0.0, 2.0, 2.0, 5.0, 5.0]);
    }

    #[test]
    fn a_target_on_the_tape_gets_its_gradient() {
        let tape = Tape::<f64>::new();
        let (x, y) = (tape.var([1.0, 2.0]), tape.var([3.0, 5.0]));
        let gradients = l1(x, y).backward().unwrap();
        assert_eq!(gradients.of(y).unwrap().to_vec(), [0.5, 0.5]);
    }
}
