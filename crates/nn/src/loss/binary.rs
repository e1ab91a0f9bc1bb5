//! Losses of yes and no.

use autograd::{Float, Reduction, Scalar, Tensor, Term, Var};

use super::{Target, reduce};

/// The options of [`bce_with`] and [`bce_with_logits_with`]; the default is the plain mean.
#[derive(Debug, Clone, Default)]
pub struct BinaryCrossEntropy<T: Float = f32> {
    /// A factor for each element; it broadcasts to the prediction.
    pub weight: Option<Tensor<T>>,
    /// A factor for the part of each element that a yes makes; it broadcasts to the prediction. Above one it makes up for
    /// rare ones: PyTorch's `pos_weight`.
    pub yes_weight: Option<Tensor<T>>,
    /// How the losses of the elements become one.
    pub reduction: Reduction,
}

impl<T: Float> BinaryCrossEntropy<T> {
    /// The losses of all elements from what a yes and a no make of them, reduced.
    #[track_caller]
    fn of<'t>(&self, yes: Var<'t, T>, no: Var<'t, T>) -> Var<'t, T> {
        reduce(weighed(weighed(yes, &self.yes_weight) + no, &self.weight), self.reduction)
    }
}

#[track_caller]
fn weighed<'t, T: Float>(losses: Var<'t, T>, weight: &Option<Tensor<T>>) -> Var<'t, T> {
    match weight {
        Some(weight) => losses * losses.tape().constant(weight).broadcast_to(losses.shape()),
        None => losses,
    }
}

/// Binary cross-entropy of probabilities: mean of −y ln x − (1 − y) ln(1 − x).
///
/// Each logarithm counts as −100 below that, as in PyTorch, so that a certain and wrong x is finite. Where x comes of a
/// sigmoid, [`bce_with_logits`] is exact instead.
///
/// Shapes: any, both alike → a `Scalar`. Domain: x in [0, 1], else not a number.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::bce;
///
/// let tape = Tape::new();
/// let x = tape.var([0.5_f64, 0.0]);
/// let loss = bce(x, Tensor::from([1.0, 1.0]));
/// assert_eq!(loss, (2.0_f64.ln() + 100.0) / 2.0);
/// assert_eq!(loss.backward()?.of(x)?.to_vec()[0], -1.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn bce<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Scalar<'t, T> {
    bce_each(x, y).mean()
}

/// [`bce`] of every element.
///
/// Shapes: any, both alike → those of the prediction.
#[track_caller]
pub fn bce_each<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Var<'t, T> {
    bce_with(x, y, &BinaryCrossEntropy { reduction: Reduction::None, ..BinaryCrossEntropy::default() })
}

/// [`bce`] with weights, or another reduction. The mean divides by the number of elements, whatever their weights.
///
/// Shapes: as for [`bce`] → no axes, or those of x with `Reduction::None`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::{BinaryCrossEntropy, Reduction, bce_with};
///
/// let sum = BinaryCrossEntropy { reduction: Reduction::Sum, ..BinaryCrossEntropy::default() };
/// let tape = Tape::new();
/// let x = tape.constant([0.5_f64, 0.5]);
/// assert_eq!(bce_with(x, Tensor::from([1.0, 0.0]), &sum).item(), 2.0 * 2.0_f64.ln());
/// ```
#[track_caller]
pub fn bce_with<'t, T: Float>(
    x: Var<'t, T>,
    y: impl Into<Target<'t, T>>,
    options: &BinaryCrossEntropy<T>,
) -> Var<'t, T> {
    let [x, y] = y.into().meet(x, "bce");
    let least = Term::Number(T::from_f64(-100.0));
    let (yes, no) = (x.ln().clamp_min(least), (-x).log1p().clamp_min(least));
    options.of(-y * yes, (y - Term::Number(T::ONE)) * no)
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
///
/// Shapes: any, both alike → those of the prediction.
#[track_caller]
pub fn bce_with_logits_each<'t, T: Float>(x: Var<'t, T>, y: impl Into<Target<'t, T>>) -> Var<'t, T> {
    bce_with_logits_with(x, y, &BinaryCrossEntropy { reduction: Reduction::None, ..BinaryCrossEntropy::default() })
}

/// [`bce_with_logits`] with weights, or another reduction. The mean divides by the number of elements, whatever their
/// weights.
///
/// Shapes: as for [`bce_with_logits`] → no axes, or those of x with `Reduction::None`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::{BinaryCrossEntropy, bce_with_logits_with};
///
/// let rare = BinaryCrossEntropy { yes_weight: Some(Tensor::from(9.0)), ..BinaryCrossEntropy::default() };
/// let tape = Tape::<f64>::new();
/// let x = tape.constant([0.0, 0.0]);
/// let loss = bce_with_logits_with(x, Tensor::from([1.0, 0.0]), &rare).item();
/// assert_eq!(loss.value()?, 5.0 * 2.0_f64.ln());
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn bce_with_logits_with<'t, T: Float>(
    x: Var<'t, T>,
    y: impl Into<Target<'t, T>>,
    options: &BinaryCrossEntropy<T>,
) -> Var<'t, T> {
    let [x, y] = y.into().meet(x, "bce_with_logits");
    if options.yes_weight.is_none() {
        return options.of((-y + Term::Number(T::ONE)) * x, -x.logsigmoid());
    }
    options.of(-y * x.logsigmoid(), (y - Term::Number(T::ONE)) * (-x).logsigmoid())
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
        let [a, b] = [a, b].map(|loss| loss.backward().unwrap().of(x).unwrap());
        a.close_to(&b, 1e-14, 1e-16).unwrap();
    }

    #[test]
    fn a_weight_that_does_not_fit_is_an_error_at_the_users_line() {
        let tape = Tape::<f64>::new();
        let options = BinaryCrossEntropy { weight: Some(Tensor::ones([3])), ..BinaryCrossEntropy::default() };
        let line = line!() + 1;
        let error = bce_with(tape.var([0.5]), Tensor::from([1.0]), &options).value().unwrap_err().to_string();
        assert_eq!(error, format!("broadcast_to: [3] does not broadcast to [1], at {}:{line}", file!()));
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
