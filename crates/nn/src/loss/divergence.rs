//! Losses of distributions.

use autograd::{Float, Scalar, Var};

use super::Target;

/// The Kullback–Leibler divergence of x from y per sample: Σ y(ln y − x)/n, where x are logarithms of probabilities and
/// n is the size of the first axis.
///
/// This is PyTorch's `reduction="batchmean"`, which is the divergence; its `"mean"` divides by all elements. Where y = 0
/// the term is 0.
///
/// Shapes: any, both alike → a `Scalar`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::kl_div;
///
/// let tape = Tape::new();
/// let p = tape.constant([[0.5_f64, 0.5]]);
/// let divergence = kl_div(p.ln(), Tensor::from([[1.0, 0.0]]));
/// assert_eq!(divergence.value()?, 2.0_f64.ln());
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn kl_div<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Scalar<'t, T> {
    let samples = x.shape().first().copied().unwrap_or(1);
    kl_div_each(x, y).sum() * T::from_f64(1.0 / samples as f64)
}

/// y(ln y − x) of every element.
///
/// Shapes: any, both alike → those of the prediction.
#[track_caller]
pub fn kl_div_each<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Var<'t, T> {
    let [x, y] = y.into().meet(x, "kl_div");
    // x is −∞ where a model is certain; times a probability of 0 it must count as 0.
    y.xlogy(y) - y.masked_mul(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{Tape, Tensor};

    #[test]
    fn certain_predictions_cost_nothing_where_they_are_right() {
        let tape = Tape::<f64>::new();
        let x = tape.constant([[0.0, f64::NEG_INFINITY], [0.0, f64::NEG_INFINITY]]);
        assert_eq!(kl_div(x, Tensor::from([[1.0, 0.0], [1.0, 0.0]])).value().unwrap(), 0.0);
    }

    #[test]
    fn the_gradient_is_minus_the_target_per_sample() {
        let tape = Tape::<f64>::new();
        let x = tape.var([[-1.0, -2.0], [-0.5, -3.0]]);
        let y = Tensor::from([[0.25, 0.75], [1.0, 0.0]]);
        let gradient = kl_div(x, &y).backward().unwrap().of(x).unwrap();
        assert_eq!(gradient, y.map(|y| -y / 2.0));
    }

    /// ∂²/∂x∂y is −1 for every probability, that of 0 too.
    #[test]
    fn derivatives_by_both_do_not_depend_on_their_order() {
        let tape = Tape::<f64>::new();
        let (x, y) = (tape.var([-1.0, -2.0]), tape.var([0.0, 1.0]));
        let [by_x, by_y] = kl_div_each(x, y).sum().grad([x, y]).map(|gradient| gradient.sum());
        assert_eq!(by_x.backward().unwrap().of(y).unwrap().to_vec(), [-1.0, -1.0]);
        assert_eq!(by_y.backward().unwrap().of(x).unwrap().to_vec(), [-1.0, -1.0]);
    }
}
