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
    let plain = CrossEntropy::default();
    plain.weighted(log_probabilities, labels.into(), "nll").0
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
        let (each, total) = self.weighted(log_softmax(logits), labels.into(), "cross_entropy");
        each.sum() * T::from_f64(1.0 / total)
    }

    /// The loss of every sample; 0 for ignored ones.
    #[track_caller]
    pub fn each<'t>(&self, logits: Var<'t, T>, labels: impl Into<Labels<'t, T>>) -> Var<'t, T> {
        self.weighted(log_softmax(logits), labels.into(), "cross_entropy").0
    }

    /// The loss of every sample, and the sum of their weights.
    #[track_caller]
    fn weighted<'t>(&self, log_p: Var<'t, T>, labels: Labels<'t, T>, loss: &'static str) -> (Var<'t, T>, f64) {
        if let Err(rule) = self.check_weight(&log_p.shape()) {
            return (log_p.fail(loss, rule), 1.0);
        }
        match labels {
            Labels::Classes(classes) => match self.samples(&classes, &log_p.shape()) {
                Ok(samples) => (self.of_classes(log_p, &samples), samples.total),
                Err(rule) => (log_p.fail(loss, rule), 1.0),
            },
            Labels::Probabilities(probabilities) => {
                let [log_p, probabilities] = probabilities.meet(log_p, loss);
                self.of_probabilities(log_p, probabilities)
            }
        }
    }

    #[track_caller]
    fn of_classes<'t>(&self, log_p: Var<'t, T>, samples: &Samples<T>) -> Var<'t, T> {
        let axis = class_axis(&log_p.shape());
        let tape = log_p.tape();
        let mut each = -log_p.gather(axis, &samples.places).squeeze(axis);
        if let Some(weight) = samples.weight.as_ref().or(samples.counts.as_ref()) {
            each = tape.constant(weight).masked_mul(each);
        }
        if self.label_smoothing == 0.0 {
            return each;
        }
        let mut spread = -self.weigh_classes(log_p).sum_axes(axis);
        if let Some(counts) = &samples.counts {
            spread = tape.constant(counts).masked_mul(spread);
        }
        let classes = log_p.size(axis) as f64;
        each * number(1.0 - self.label_smoothing) + spread * number(self.label_smoothing / classes)
    }

    #[track_caller]
    fn of_probabilities<'t>(&self, log_p: Var<'t, T>, probabilities: Var<'t, T>) -> (Var<'t, T>, f64) {
        let shape = log_p.shape();
        let axis = class_axis(&shape);
        let classes = log_p.size(axis) as f64;
        let mut target = probabilities;
        if self.label_smoothing != 0.0 {
            target = target * number(1.0 - self.label_smoothing) + number(self.label_smoothing / classes);
        }
        let each = -self.weigh_classes(target.masked_mul(log_p)).sum_axes(axis);
        (each, shape.len() as f64 / classes)
    }

    /// x times the weight of each class.
    #[track_caller]
    fn weigh_classes<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let Some(weight) = &self.weight else { return x };
        let after = x.rank().saturating_sub(2);
        let shape: Shape = weight.shape().iter().copied().chain(std::iter::repeat_n(1, after)).collect();
        x * x.tape().constant(weight).reshape(shape)
    }

    fn check_weight(&self, logits: &Shape) -> Result<(), Rule> {
        let axis = logits.axis(class_axis(logits))?;
        match &self.weight {
            Some(weight) if **weight.shape() != [logits[axis]] => {
                Err(Rule::Shape { expected: logits[axis].into(), found: weight.shape().clone() })
            }
            _ => Ok(()),
        }
    }

    /// The samples that labels describe, if they fit logits of this shape.
    fn samples(&self, labels: &Tensor<usize>, logits: &Shape) -> Result<Samples<T>, Rule> {
        let axis = class_axis(logits);
        let place = logits.axis(axis)?;
        let shape: Shape = logits.iter().enumerate().filter(|(k, _)| *k != place).map(|(_, &size)| size).collect();
        // The one label of logits without a sample axis may come as a list.
        if *labels.shape() != shape && !(shape.rank() == 0 && labels.len() == 1) {
            return Err(Rule::Shape { expected: shape, found: labels.shape().clone() });
        }
        let is_ignored = |label| self.ignore == Some(label);
        if let Some(index) = labels.iter().find(|&label| label >= logits[place] && !is_ignored(label)) {
            return Err(Rule::Index { index, axis: place, shape: logits.clone() });
        }
        let labels = labels.reshape(shape).map_err(|error| error.rule)?;
        let counts = self.ignore.map(|_| labels.map(|label| if is_ignored(label) { T::ZERO } else { T::ONE }));
        let weight = self.weight.as_ref().map(Tensor::to_vec);
        let weight = weight.map(|weight| labels.map(|label| if is_ignored(label) { T::ZERO } else { weight[label] }));
        let total = weight.as_ref().or(counts.as_ref()).map_or(labels.len() as f64, |weight| weight.sum().to_f64());
        let places = if counts.is_some() { labels.map(|label| if is_ignored(label) { 0 } else { label }) } else { labels };
        let places = places.unsqueeze(axis).map_err(|error| error.rule)?;
        Ok(Samples { places, weight, counts, total })
    }
}

/// What the labels of a batch say.
struct Samples<T: Float> {
    /// The class of each sample, with a class axis of size one; 0 for ignored samples.
    places: Tensor<usize>,
    /// The weight of the class of each sample, if classes have weights; 0 for ignored samples.
    weight: Option<Tensor<T>>,
    /// 0 for ignored samples and 1 for the others, if samples can be ignored.
    counts: Option<Tensor<T>>,
    /// The sum of all weights.
    total: f64,
}

/// The second axis; the first of a vector.
fn class_axis(logits: &Shape) -> isize {
    if logits.rank() == 1 { 0 } else { 1 }
}

fn number<'t, T: Float>(x: f64) -> Term<'t, T> {
    Term::Number(T::from_f64(x))
}

#[track_caller]
fn log_softmax<T: Float>(logits: Var<'_, T>) -> Var<'_, T> {
    let axis = class_axis(&logits.shape());
    let largest = logits.value().map_or(T::ZERO, |x| x.iter().fold(T::NEG_INFINITY, |a, b| if b > a { b } else { a }));
    let shifted = logits - Term::Number(largest);
    shifted - shifted.exp().sum_keepdim(axis).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::Tape;

    /// −Σ target·ln softmax over the classes of `[n, c]`, by the definition.
    fn by_hand(logits: &[[f64; 3]], target: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let loss = |(n, row): (usize, &[f64; 3])| {
            let total: f64 = row.iter().map(|x| x.exp()).sum();
            (0..3).map(|c| -target(n, c) * (row[c].exp() / total).ln()).sum()
        };
        logits.iter().enumerate().map(loss).collect()
    }

    const LOGITS: [[f64; 3]; 4] = [[0.5, -1.0, 2.0], [0.0, 0.25, -0.5], [3.0, 1.0, 1.0], [-2.0, 0.5, 0.0]];
    const CLASSES: [usize; 4] = [2, 0, 7, 1];

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-14), "{found:?} is not {expected:?}");
    }

    #[test]
    fn weights_ignored_labels_and_smoothing_combine() {
        let weight = [2.0, 0.5, 3.0];
        let loss = CrossEntropy { weight: Some(Tensor::from(weight)), ignore: Some(7), label_smoothing: 0.3 };
        let target = |n: usize, c: usize| {
            let hard = if CLASSES[n] == c { 0.7 } else { 0.0 };
            if n == 2 { 0.0 } else { weight[c] * (hard + 0.1) }
        };
        let expected = by_hand(&LOGITS, target);
        let tape = Tape::new();
        let logits = tape.var(Tensor::from(LOGITS));
        assert_close(&loss.each(logits, &CLASSES).value().unwrap().to_vec(), &expected);
        let mean = loss.loss(logits, &CLASSES);
        assert_close(&[mean.value().unwrap()], &[expected.iter().sum::<f64>() / (3.0 + 2.0 + 0.5)]);
        let gradient = mean.backward().unwrap().of(logits).unwrap().to_vec();
        assert_eq!(gradient[6..9], [0.0; 3]);
    }

    #[test]
    fn classes_and_their_distributions_agree() {
        let tape = Tape::new();
        let logits = tape.var(Tensor::from(LOGITS));
        let classes = [2, 0, 1, 1];
        let certain = Tensor::from_fn([4, 3], |at| if classes[at[0]] == at[1] { 1.0 } else { 0.0 });
        let weight = Some(Tensor::from([2.0, 0.5, 3.0]));
        for loss in [CrossEntropy::default(), CrossEntropy { weight, ignore: None, label_smoothing: 0.2 }] {
            let (a, b) = (loss.each(logits, &classes), loss.each(logits, &certain));
            assert_close(&a.value().unwrap().to_vec(), &b.value().unwrap().to_vec());
            let [a, b] = [a, b].map(|each| each.sum().backward().unwrap().of(logits).unwrap().to_vec());
            assert_close(&a, &b);
        }
        let log_p = log_softmax(logits);
        assert_close(&[nll(log_p, &classes).value().unwrap()], &[cross_entropy(logits, &classes).value().unwrap()]);
    }

    #[test]
    fn classes_are_the_second_axis_and_the_first_of_a_vector() {
        let tape = Tape::<f64>::new();
        let pixels = tape.constant(Tensor::from_fn([2, 3, 5], |at| (at[0] + 2 * at[1]) as f64));
        let each = cross_entropy_each(pixels, Tensor::full([2, 5], 1));
        assert_eq!(each.shape(), [2, 5].into());
        let one = tape.constant([0.0, 2.0, 4.0]);
        let expected = cross_entropy(one, [1]).value().unwrap();
        assert!(each.value().unwrap().iter().all(|x| (x - expected).abs() < 1e-14));
    }

    #[test]
    fn labels_that_do_not_fit_are_errors_at_the_users_line() {
        let tape = Tape::<f64>::new();
        let text = |labels: &[usize]| {
            let tape = Tape::<f64>::new();
            cross_entropy(tape.var(Tensor::from(LOGITS)), labels).backward().unwrap_err().to_string()
        };
        assert!(text(&[0, 1, 3, 0]).starts_with("cross_entropy: index 3 is out of range for axis 1 of shape [4, 3], at "));
        assert!(text(&[0, 1]).starts_with("cross_entropy: shapes differ: expected [4], found [2], at "));
        assert!(text(&[0, 1]).contains("class.rs"));
        let weight = Some(Tensor::ones([2]));
        let loss = CrossEntropy { weight, ..CrossEntropy::default() }.loss(tape.var(Tensor::from(LOGITS)), &CLASSES);
        assert!(loss.value().unwrap_err().to_string().starts_with("cross_entropy: shapes differ: expected [3], found [2]"));
        assert!(cross_entropy(Tape::<f64>::new().var(1.0), &[0]).value().is_err());
    }

    #[test]
    fn impossible_classes_cost_nothing_where_they_are_not_the_label() {
        let tape = Tape::<f64>::new();
        let logits = tape.constant([[0.0, f64::NEG_INFINITY, 0.0]]);
        assert_close(&[cross_entropy(logits, &[0]).value().unwrap()], &[2.0_f64.ln()]);
        let half = Tensor::from([[0.5, 0.0, 0.5]]);
        assert_close(&[cross_entropy(logits, &half).value().unwrap()], &[2.0_f64.ln()]);
    }
}
