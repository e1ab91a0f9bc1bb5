//! Losses of classes.

use autograd::{Float, Rule, Scalar, Shape, Tensor, Term, Var};

use super::Labels;

/// Cross-entropy of logits: mean over samples of −ln softmax(x)[label], or of −Σ p·ln softmax(x) for probabilities p.
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
/// let logits = tape.var([[2.0_f32, 2.0], [0.0, 100.0]]);
/// let loss = cross_entropy(logits, &[0, 1]);
/// assert_eq!(loss.value()?, 2.0_f32.ln() / 2.0);
/// assert_eq!(loss.backward()?.of(logits)?.to_vec(), [-0.25, 0.25, 0.0, 0.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn cross_entropy<'t, T: Float>(logits: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Scalar<'t, T> {
    CrossEntropy::default().loss(logits, labels)
}

/// [`cross_entropy`] of every sample.
#[track_caller]
pub fn cross_entropy_each<'t, T: Float>(logits: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Var<'t, T> {
    CrossEntropy::default().each(logits, labels)
}

/// The negative log-likelihood: mean over samples of −x[label], where x are logarithms of probabilities, as
/// log-softmax gives them.
///
/// Shapes and errors: as for [`cross_entropy`].
#[track_caller]
pub fn nll<'t, T: Float>(log_probabilities: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Scalar<'t, T> {
    nll_each(log_probabilities, labels).mean()
}

/// [`nll`] of every sample.
#[track_caller]
pub fn nll_each<'t, T: Float>(log_probabilities: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Var<'t, T> {
    match labels.into().weights(log_probabilities, "nll") {
        Ok(Weights { axis, of_classes, .. }) => -(log_probabilities * of_classes).sum_axes(axis),
        Err(failed) => failed,
    }
}

/// Cross-entropy with settings: weights of classes, labels to ignore, smoothed labels.
///
/// With weights or ignored labels the mean is Σ loss/Σ weight, as in PyTorch: a batch of rare classes counts as much as
/// another.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::CrossEntropy;
///
/// let loss = CrossEntropy { label_smoothing: 0.1, ignore: Some(9), ..CrossEntropy::default() };
/// let tape = Tape::<f32>::new();
/// let logits = tape.constant(Tensor::zeros([2, 10]));
/// assert_eq!(loss.loss(logits, &[3, 9]).value()?, 10.0_f32.ln());
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropy<T: Float = f32> {
    /// What each class counts; one if not given. Default: none.
    pub weight: Option<Tensor<T>>,
    /// The label of samples that do not count. It need not be a class. Default: none.
    pub ignore: Option<usize>,
    /// ε: targets become (1 − ε)·target + ε/classes. Default: 0.
    ///
    /// Szegedy et al., *Rethinking the Inception architecture for computer vision*, CVPR 2016.
    pub label_smoothing: f64,
}

impl<T: Float> Default for CrossEntropy<T> {
    fn default() -> Self {
        Self { weight: None, ignore: None, label_smoothing: 0.0 }
    }
}

impl<T: Float> CrossEntropy<T> {
    /// The mean over samples that count.
    #[track_caller]
    pub fn loss<'t>(&self, logits: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Scalar<'t, T> {
        match self.targets(logits, labels.into()) {
            Ok(targets) => {
                let total = T::from_f64(1.0 / targets.total);
                targets.loss(log_softmax(logits, targets.axis)).sum() * total
            }
            Err(failed) => failed.sum(),
        }
    }

    /// The loss of every sample; 0 for ignored ones.
    #[track_caller]
    pub fn each<'t>(&self, logits: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Var<'t, T> {
        match self.targets(logits, labels.into()) {
            Ok(targets) => targets.loss(log_softmax(logits, targets.axis)),
            Err(failed) => failed,
        }
    }

    /// What each element of the log-softmax counts, or the failed handle.
    #[track_caller]
    fn targets<'t>(&self, logits: Var<'t, T>, labels: Labels<'t, T>) -> Result<Targets<'t, T>, Var<'t, T>> {
        let axis = Axis::of_classes(&logits.shape()).map_err(|rule| logits.fail(NAME, rule))?;
        let weight = self.class_weights(&axis).map_err(|rule| logits.fail(NAME, rule))?;
        let (hard, soft) = (T::from_f64(1.0 - self.label_smoothing), T::from_f64(self.label_smoothing / axis.size as f64));
        match labels {
            Labels::Classes(classes) => {
                let places = axis.places(&classes, self.ignore).map_err(|rule| logits.fail(NAME, rule))?;
                let total = places.iter().flatten().map(|&class| weight[class].to_f64()).sum();
                let of_class = |sample: usize, class: usize| match places[sample] {
                    None => T::ZERO,
                    Some(label) if label == class => weight[class] * (hard + soft),
                    Some(_) => weight[class] * soft,
                };
                Ok(Targets { axis, total, of_classes: logits.tape().constant(axis.tensor(of_class)) })
            }
            Labels::Probabilities(probabilities) => {
                let [logits, probabilities] = probabilities.meet(logits, NAME);
                let weight = logits.tape().constant(axis.tensor(|_, class| weight[class]));
                let of_classes = (probabilities * Term::Number(hard) + Term::Number(soft)) * weight;
                Ok(Targets { axis, total: axis.samples() as f64, of_classes })
            }
        }
    }

    fn class_weights(&self, axis: &Axis) -> Result<Vec<T>, Rule> {
        match &self.weight {
            None => Ok(vec![T::ONE; axis.size]),
            Some(weight) if **weight.shape() == [axis.size] => Ok(weight.to_vec()),
            Some(weight) => Err(Rule::Shape { expected: axis.size.into(), found: weight.shape().clone() }),
        }
    }
}

const NAME: &str = "cross_entropy";

/// The axis of the classes, among samples before and after it.
#[derive(Debug, Clone, Copy)]
struct Axis {
    before: usize,
    size: usize,
    after: usize,
    rank: usize,
}
