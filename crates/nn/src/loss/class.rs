//! Losses of classes.

use autograd::{CrossEntropy, Float, Reduction, Scalar, Shape, Term, Var};

use super::{Labels, reduce};

/// Cross-entropy of logits: mean over samples of −ln `softmax(x)[label]`, or of −Σ p·ln softmax(x) for probabilities p.
///
/// Computed with log-softmax, which subtracts the largest logit first: it neither overflows nor takes a logarithm of 0.
///
/// Shapes: logits `[n, c]` with n labels, or `[n, c, ..]` with labels `[n, ..]`, or `[c]` with one label → a `Scalar`.
///
/// # Errors
/// A label that is no class, another number of labels.
///
/// ```
/// use autograd::Tape;
/// use nn::loss::cross_entropy;
///
/// let tape = Tape::new();
/// let logits = tape.var([[2.0_f32, 2.0], [0.0, 1000.0]]);
/// let loss = cross_entropy(logits, &[0, 1]);
/// assert_eq!(loss.value()?, 2.0_f32.ln() / 2.0);
/// assert_eq!(loss.backward()?.of(logits)?.to_vec(), [-0.25, 0.25, 0.0, 0.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn cross_entropy<'t, T: Float>(logits: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Scalar<'t, T> {
    cross_entropy_with(logits, labels, &CrossEntropy::default()).item()
}

/// [`cross_entropy`] of every sample.
///
/// Shapes: as for [`cross_entropy`] → those of the labels.
#[track_caller]
pub fn cross_entropy_each<'t, T: Float>(logits: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Var<'t, T> {
    cross_entropy_with(logits, labels, &CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() })
}

/// Cross-entropy with weights of classes, a label to ignore, smoothed labels, or another reduction.
///
/// With weights or ignored labels the mean is Σ loss/Σ weight, as in PyTorch. With smoothing ε, a target becomes
/// (1 − ε)·target + ε/classes.
///
/// Shapes: as for [`cross_entropy`], with its errors → no axes, or with `Reduction::None` those of the labels.
///
/// ```
/// use autograd::{CrossEntropy, Tape, Tensor};
/// use nn::loss::cross_entropy_with;
///
/// let options = CrossEntropy { label_smoothing: 0.1, ignore_index: Some(9), ..CrossEntropy::default() };
/// let tape = Tape::<f32>::new();
/// let logits = tape.constant(Tensor::zeros([2, 8]));
/// let loss = cross_entropy_with(logits, &[3, 9], &options).item();
/// assert_eq!(loss.value()?, 8.0_f32.ln());
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Szegedy et al., *Rethinking the Inception architecture for computer vision*, CVPR 2016, for smoothed labels.
#[track_caller]
pub fn cross_entropy_with<'t, T: Float>(
    logits: Var<'t, T>,
    labels: impl Into<Labels<'t, T>>,
    options: &CrossEntropy<T>,
) -> Var<'t, T> {
    match labels.into() {
        Labels::Classes(classes) => logits.softmax_cross_entropy(&classes, options),
        Labels::Indices(classes) => logits.softmax_cross_entropy(classes, options),
        Labels::Probabilities(probabilities) => {
            let [logits, probabilities] = probabilities.meet(logits, "cross_entropy");
            of_probabilities(logits.log_softmax(class_axis(&logits.shape())), probabilities, options)
        }
    }
}

/// The negative log-likelihood: mean over samples of −`x[label]`, or of −Σ p·x for probabilities p, where x are logarithms
/// of probabilities, as log-softmax gives them.
///
/// Shapes: as for [`cross_entropy`], with its errors.
///
/// ```
/// use autograd::Tape;
/// use nn::loss::nll;
///
/// let tape = Tape::new();
/// let log_p = tape.var([[-1.0_f64, -2.0], [-3.0, -4.0]]);
/// let loss = nll(log_p, &[1, 0]);
/// assert_eq!(loss, 2.5);
/// assert_eq!(loss.backward()?.of(log_p)?.to_vec(), [0.0, -0.5, -0.5, 0.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn nll<'t, T: Float>(log_probabilities: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Scalar<'t, T> {
    nll_with(log_probabilities, labels, &CrossEntropy::default()).item()
}

/// [`nll`] of every sample.
///
/// Shapes: as for [`cross_entropy`] → those of the labels.
#[track_caller]
pub fn nll_each<'t, T: Float>(log_probabilities: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Var<'t, T> {
    nll_with(log_probabilities, labels, &CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() })
}

/// [`nll`] with the settings of [`cross_entropy_with`].
///
/// Shapes: as for [`cross_entropy_with`].
///
/// ```
/// use autograd::{CrossEntropy, Tape};
/// use nn::loss::nll_with;
///
/// let tape = Tape::new();
/// let log_p = tape.var([[-1.0_f64, -2.0], [-3.0, -4.0]]);
/// let options = CrossEntropy { ignore_index: Some(0), ..CrossEntropy::default() };
/// assert_eq!(nll_with(log_p, &[1, 0], &options).item().value()?, 2.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn nll_with<'t, T: Float>(
    log_probabilities: Var<'t, T>,
    labels: impl Into<Labels<'t, T>>,
    options: &CrossEntropy<T>,
) -> Var<'t, T> {
    match labels.into() {
        Labels::Classes(classes) => log_probabilities.nll(&classes, options),
        Labels::Indices(classes) => log_probabilities.nll(classes, options),
        Labels::Probabilities(probabilities) => {
            let [log_p, probabilities] = probabilities.meet(log_probabilities, "nll");
            of_probabilities(log_p, probabilities, options)
        }
    }
}

/// −Σ w·p·l over the classes of each sample for logarithms l of probabilities, reduced. The product is 0 where p is, even
/// for impossible classes, whose logarithm is −∞.
#[track_caller]
fn of_probabilities<'t, T: Float>(log_p: Var<'t, T>, mut target: Var<'t, T>, options: &CrossEntropy<T>) -> Var<'t, T> {
    let shape = log_p.shape();
    let axis = class_axis(&shape);
    let classes = log_p.size(axis) as f64;
    if options.label_smoothing != 0.0 {
        target = target * number(1.0 - options.label_smoothing) + number(options.label_smoothing / classes);
    }
    let mut products = target.masked_mul(log_p);
    if let Some(weight) = &options.weight {
        products *= log_p.tape().constant(weight).reshape(along_classes(&shape));
    }
    reduce(-products.sum_axes(axis), options.reduction)
}

/// The second axis; the first of a vector.
fn class_axis(logits: &Shape) -> isize {
    if logits.rank() == 1 { 0 } else { 1 }
}

/// The shape in which one number for each class broadcasts.
fn along_classes(logits: &Shape) -> Shape {
    let place = class_axis(logits) as usize;
    logits.iter().enumerate().map(|(axis, &size)| if axis == place { size } else { 1 }).collect()
}

fn number<'t, T: Float>(x: f64) -> Term<'t, T> {
    Term::Number(T::from_f64(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{Tape, Tensor};

    const LOGITS: [[f64; 3]; 4] = [[0.5, -1.0, 2.0], [0.0, 0.25, -0.5], [3.0, 1.0, 1.0], [-2.0, 0.5, 0.0]];

    fn assert_close(found: &Tensor<f64>, expected: &Tensor<f64>) {
        found.close_to(expected, 1e-14, 1e-15).unwrap();
    }

    #[test]
    fn classes_and_their_distributions_agree() {
        let tape = Tape::new();
        let logits = tape.var(Tensor::from(LOGITS));
        let classes = [2, 0, 1, 1];
        let certain = Tensor::<f64>::one_hot(&Tensor::from(classes), 3).unwrap();
        for reduction in [Reduction::None, Reduction::Sum, Reduction::Mean] {
            let options = CrossEntropy { reduction, label_smoothing: 0.2, ..CrossEntropy::default() };
            let [a, b] =
                [cross_entropy_with(logits, classes, &options), cross_entropy_with(logits, &certain, &options)];
            assert_close(&a.value().unwrap(), &b.value().unwrap());
            let [a, b] = [a, b].map(|loss| loss.sum().backward().unwrap().of(logits).unwrap());
            assert_close(&a, &b);
            let [a, b] = [nll_with(logits, classes, &options), nll_with(logits, &certain, &options)];
            assert_close(&a.value().unwrap(), &b.value().unwrap());
        }
        let weight = Some(Tensor::from([2.0, 0.5, 3.0]));
        let options = CrossEntropy { weight, reduction: Reduction::Sum, ..CrossEntropy::default() };
        let [a, b] = [cross_entropy_with(logits, classes, &options), cross_entropy_with(logits, &certain, &options)];
        assert_close(&a.value().unwrap(), &b.value().unwrap());
        let log_p = logits.log_softmax(1);
        let expected = cross_entropy_each(logits, classes).value().unwrap();
        assert_close(&nll_each(log_p, classes).value().unwrap(), &expected);
        assert_close(&nll_each(log_p, &certain).value().unwrap(), &expected);
        assert_eq!(nll(log_p, classes).value().unwrap(), expected.mean());
    }

    #[test]
    fn classes_are_the_second_axis_and_the_first_of_a_vector() {
        let tape = Tape::<f64>::new();
        let pixels = tape.constant(Tensor::from_fn([2, 3, 5], |at| (at[0] + 2 * at[1]) as f64));
        let each = cross_entropy_each(pixels, Tensor::full([2, 5], 1));
        assert_eq!(each.shape(), [2, 5].into());
        let one = tape.constant([0.0, 2.0, 4.0]);
        let expected = cross_entropy(one, Tensor::scalar(1)).value().unwrap();
        assert_close(&each.value().unwrap(), &Tensor::full([2, 5], expected));
    }

    #[test]
    fn labels_that_do_not_fit_are_errors_at_the_users_line() {
        let text = |labels: &[usize]| {
            let tape = Tape::<f64>::new();
            cross_entropy(tape.var(Tensor::from(LOGITS)), labels).backward().unwrap_err().to_string()
        };
        assert!(text(&[0, 1, 3, 0]).contains("index 3 is out of range for axis 1 of shape [4, 3], at "));
        assert!(text(&[0, 1]).contains("the targets must have shape [4], found [2], at "));
        assert!(text(&[0, 1]).contains("class.rs"));
        let tape = Tape::<f64>::new();
        assert!(cross_entropy(tape.var(1.0), [0]).value().is_err());
        let tape = Tape::<f64>::new();
        let error = cross_entropy(tape.var(Tensor::from(LOGITS)), Tensor::<f64>::zeros([4, 2])).value().unwrap_err();
        assert!(error.to_string().starts_with("cross_entropy: the target must have shape [4, 3], found [4, 2]"));
        let tape = Tape::<f64>::new();
        assert!(nll(tape.var(Tensor::from(LOGITS)), [0, 1, 2, 3]).value().is_err());
    }

    #[test]
    fn impossible_classes_cost_nothing_where_they_are_not_the_label() {
        let tape = Tape::<f64>::new();
        let logits = tape.constant([[0.0, f64::NEG_INFINITY, 0.0]]);
        let half = Tensor::from([[0.5, 0.0, 0.5]]);
        for loss in [cross_entropy(logits, [0]), cross_entropy(logits, &half)] {
            assert!((loss.value().unwrap() - 2.0_f64.ln()).abs() < 1e-15);
        }
    }
}
