//! Losses of yes and no.

use autograd::{Float, Scalar, Term, Var};

use super::Target;

/// Binary cross-entropy of probabilities: mean of −y ln x − (1 − y) ln(1 − x).
///
/// Each logarithm counts as −100 below that, as in PyTorch, so that a certain and wrong x is finite. Where x comes of a
/// sigmoid, [`bce_with_logits`] is exact instead.
///
/// Shapes: any, both alike → a `Scalar`. Domain: x in [0, 1], else not a number.
#[track_caller]
pub fn bce<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Scalar<'t, T> {
    bce_each(x, y).mean()
}

/// [`bce`] of every element.
#[track_caller]
pub fn bce_each<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Var<'t, T> {
    let [x, y] = y.into().meet(x, "bce");
    let least = Term::Number(T::from_f64(-100.0));
    let (yes, no) = (x.ln().clamp_min(least), (-x).log1p().clamp_min(least));
    -(y * yes + (-y + Term::Number(T::ONE)) * no)
}

/// Binary cross-entropy of σ(x), from x itself: mean of (1 − y)x + ln(1 + e⁻ˣ).
///
/// The logarithm is taken as −logsigmoid(x), which neither overflows nor cancels, so certain and wrong predictions keep
/// their gradient.
///
/// Shapes: any, both alike → a `Scalar`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::bce_with_logits;
///
/// let tape = Tape::new();
/// let x = tape.var([200.0_f32]);
/// let loss = bce_with_logits(x, Tensor::from([0.0]));
/// assert_eq!(loss.value()?, 200.0);
/// assert_eq!(loss.backward()?.of(x)?.to_vec(), [1.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn bce_with_logits<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Scalar<'t, T> {
    bce_with_logits_each(x, y).mean()
}

/// [`bce_with_logits`] of every element.
#[track_caller]
pub fn bce_with_logits_each<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Var<'t, T> {
    let [x, y] = y.into().meet(x, "bce_with_logits");
    (-y + Term::Number(T::ONE)) * x - x.logsigmoid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{Tape, Tensor};

    #[test]
    fn probabilities_and_logits_agree_where_both_are_exact() {
        let tape = Tape::<f64>::new();
        let x = tape.var([-3.0, -0.5, 0.0, 2.0]);
        let y = Tensor::from([0.0, 1.0, 0.25, 1.0]);
        let (a, b) = (bce(x.sigmoid(), &y), bce_with_logits(x, &y));
        assert!((a.value().unwrap() - b.value().unwrap()).abs() < 1e-15);
        let [a, b] = [a, b].map(|loss| loss.backward().unwrap().of(x).unwrap().clone());
        a.close_to(&b, 1e-14, 1e-16).unwrap();
    }

    #[test]
    fn certain_and_wrong_is_finite() {
        let tape = Tape::<f64>::new();
        let x = tape.constant([0.0, 1.0]);
        assert_eq!(bce_each(x, Tensor::from([1.0, 0.0])).value().unwrap().to_vec(), [100.0, 100.0]);
        assert_eq!(bce_each(x, Tensor::from([0.0, 1.0])).value().unwrap().to_vec(), [0.0, 0.0]);
        let logits = tape.var([-1e4, 1e4]);
        let loss = bce_with_logits_each(logits, Tensor::from([1.0, 0.0]));
        assert_eq!(loss.value().unwrap().to_vec(), [1e4, 1e4]);
        assert_eq!(loss.sum().backward().unwrap().of(logits).unwrap().to_vec(), [-1.0, 1.0]);
    }
}
