//! Softmax and cross-entropy in one op: the reverse is one pass over the logits.

use smallvec::SmallVec;

use super::nll::NegativeLogLikelihoodAdjoint;
use super::{Cotangents, KeptShape, Operands, Saved, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::AsIndices;
use crate::kernel;
use crate::kernel::lines::Lines;
use crate::kernel::math::Math;
use crate::kernel::vectorized::vectorized;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;
use crate::var::Var;

/// How the losses of many samples become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// Their mean, weighted with the weights of their classes if there are any.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// They stay as they are.
    None,
}

/// The options of [`Var::softmax_cross_entropy`]; the default is the plain mean.
#[derive(Debug, Clone, Default)]
pub struct CrossEntropy<T: Float = f32> {
    /// A factor for each class: `[classes]`. It is data: no gradient flows to it.
    pub weight: Option<Tensor<T>>,
    /// Samples with this target count for nothing.
    pub ignore_index: Option<usize>,
    /// Which part of each target is spread evenly over all classes.
    pub label_smoothing: f64,
    /// How the losses of the samples become one.
    pub reduction: Reduction,
}

/// How the classes of targets are weighed: what a loss of classes and its adjoint share. The targets and the weights of classes
/// are operands.
#[derive(Debug, Clone)]
pub(crate) struct ClassLoss {
    ignored: Option<usize>,
    smoothing: f64,
    reduction: Reduction,
    /// The axis of the classes.
    axis: usize,
}

/// A loss of classes with targets that fit it.
pub(super) struct Targets<'l> {
    of: &'l ClassLoss,
    /// In row-major order, one for each line of the logits.
    targets: Integers,
}

/// −Σ q·w·log softmax x along the axis of the classes, reduced; saves the logarithms.
#[derive(Debug, Clone)]
pub(crate) struct SoftmaxCrossEntropy(ClassLoss);

/// The gradient of [`SoftmaxCrossEntropy`] from the logarithms, the incoming gradient and the weights.
#[derive(Debug, Clone)]
pub(crate) struct SoftmaxCrossEntropyAdjoint(ClassLoss);

impl TensorRule for SoftmaxCrossEntropy {
    const NAME: &'static str = "softmax_cross_entropy";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        self.0.shape(x[0], x.get(1).copied(), x.integers[0])
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, _: Shape) -> Result<Value<T>, ErrorKind> {
        let (targets, x, weight) = (self.0.of(x[0].shape(), &x.integers[0])?, &x[0], x.get(1));
        let log = Tensor::build(x.shape().clone(), |out| kernel::softmax::log_softmax(x.view(), self.0.axis, out))?;
        Ok(Value { tensor: targets.loss(&log, weight)?, saved: Saved::Tensor(log) })
    }

    fn kept_shape(&self, x: Shapes<'_>, _: &Shape) -> KeptShape {
        KeptShape::Tensor(x[0].clone())
    }

    /// When the gradient is recorded, so are the logarithms: they carry its dependence on the logits.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let log = rule.kept().unwrap_or_else(|| rule.x[0].log_softmax(self.0.axis as isize));
        let operands: SmallVec<[Var<'t, T>; 2]> = std::iter::once(rule.g).chain(rule.x.get(1).copied()).collect();
        let gx = log.record_with(SoftmaxCrossEntropyAdjoint(self.0.clone()), &operands, rule.integers);
        std::iter::once(Some(gx)).chain(rule.x.get(1).map(|_| None)).collect()
    }
}

impl TensorRule for SoftmaxCrossEntropyAdjoint {
    const NAME: &'static str = "softmax_cross_entropy_adjoint";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        self.0.shape(x[0], x.get(2).copied(), x.integers[0])?;
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (targets, log, g, weight) = (self.0.of(x[0].shape(), &x.integers[0])?, &x[0], &x[1], x.get(2));
        Ok(Tensor::build(shape, |out| targets.gradient(log, g, weight, out))?.into())
    }

    /// gx = g·(b − eˡ·Σb) for the logarithms l, where b is the gradient by the logarithms themselves for g = 1, and its sum
    /// that along a line.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (log, g, h) = (rule.x[0], rule.x[1], rule.g);
        let by_logs = NegativeLogLikelihoodAdjoint { of: self.0.clone(), to: log.shape() };
        let by_logs = log.tape().filled(g.shape(), T::ONE).record_with(by_logs, &rule.x[2..], rule.integers);
        let weighed = log.exp() * -by_logs.sum_along(self.0.axis);
        let mut gradients = rule.both(
            || h.masked_mul(weighed * self.0.along_lines(g, &log.shape())),
            || {
                let by_line = (h * (weighed + by_logs)).sum_along(self.0.axis);
                if self.0.reduction == Reduction::None { by_line.reshape(g.shape()) } else { by_line.sum_to(g.shape()) }
            },
        );
        gradients.extend(rule.x.get(2).map(|_| None));
        gradients
    }
}

/// What each class and each sample weighs.
struct Factors<T> {
    /// The weight of each class; empty where all weigh one.
    weight: Vec<T>,
    /// The part of the target that stays with its class.
    at_target: T,
    /// The part that every class gets.
    at_each: T,
}

impl<T: Float> Factors<T> {
    fn of(&self, class: usize) -> T {
        self.weight.get(class).copied().unwrap_or(T::ONE)
    }
}

impl ClassLoss {
    /// Of logits of this shape, which have an axis of classes.
    pub(super) fn new<T: Float>(shape: &Shape, options: &CrossEntropy<T>) -> Result<Self, ErrorKind> {
        Ok(ClassLoss {
            ignored: options.ignore_index,
            smoothing: options.label_smoothing,
            reduction: options.reduction,
            axis: shape.axis(if shape.rank() < 2 { 0 } else { 1 })?,
        })
    }

    /// The shape of the loss of logits of this shape.
    pub(super) fn shape(&self, logits: &Shape, weight: Option<&Shape>, targets: &Shape) -> Result<Shape, ErrorKind> {
        if let Some(weight) = weight {
            weight.must_be("the weights of the classes", &[logits[self.axis]])?;
        }
        if !(0.0..=1.0).contains(&self.smoothing) {
            let found = self.smoothing.to_string();
            return Err(ErrorKind::Argument { name: "label_smoothing", must: "between 0 and 1", found });
        }
        targets.must_be("the targets", &logits.reduced(&[self.axis]))?;
        Ok(if self.reduction == Reduction::None { targets.clone() } else { Shape::default() })
    }

    /// The targets, if all are classes of logits of this shape or ignored.
    pub(super) fn of(&self, shape: &Shape, targets: &Integers) -> Result<Targets<'_>, ErrorKind> {
        let targets = Targets { of: self, targets: targets.in_order()? };
        let classes = shape[self.axis];
        if targets.targets.below <= classes {
            return Ok(targets);
        }
        let is_outside = |&&target: &&usize| target >= classes && self.ignored != Some(target);
        match targets.targets().iter().find(is_outside) {
            Some(&index) => Err(ErrorKind::Index { index, axis: self.axis, shape: shape.clone() }),
            None => Ok(targets),
        }
    }

    /// The incoming gradient with size one along the classes.
    fn along_lines<'t, T: Float>(&self, g: Var<'t, T>, logits: &Shape) -> Var<'t, T> {
        if self.reduction == Reduction::None { g.reshape(logits.with(self.axis, 1)) } else { g }
    }
}

impl Targets<'_> {
    fn factors<T: Float>(&self, weight: Option<&Tensor<T>>) -> Factors<T> {
        let part = |part: f64| T::from_f64(part);
        Factors {
            weight: weight.map_or(Vec::new(), Tensor::to_vec),
            at_target: part(1.0 - self.of.smoothing),
            at_each: part(self.of.smoothing),
        }
    }

    fn targets(&self) -> &[usize] {
        self.targets.as_slice()
    }

    fn is_ignored(&self, target: usize) -> bool {
        self.of.ignored == Some(target)
    }

    /// What the mean divides by: the weights of the targets that count.
    fn total<T: Float>(&self, weight: Option<&Tensor<T>>) -> T {
        let factors = self.factors(weight);
        self.targets().iter().filter(|&&target| !self.is_ignored(target)).map(|&target| factors.of(target)).sum()
    }

    /// The loss from contiguous logarithms.
    pub(super) fn loss<T: Float>(&self, log: &Tensor<T>, weight: Option<&Tensor<T>>) -> Result<Tensor<T>, ErrorKind> {
        let each = self.losses(log, &self.factors(weight))?;
        Ok(match self.of.reduction {
            Reduction::None => each,
            Reduction::Sum => Tensor::scalar(each.sum()),
            Reduction::Mean => Tensor::scalar(each.sum() / self.total(weight)),
        })
    }

    /// The loss of every line, with the shape of the targets.
    fn losses<T: Float>(&self, log: &Tensor<T>, factors: &Factors<T>) -> Result<Tensor<T>, ErrorKind> {
        let lines = Lines::new(log.shape(), self.of.axis);
        let log = log.as_slice().unwrap_or_default();
        let per_class = factors.at_each / T::from_f64(lines.len as f64);
        let loss = |start: usize, target: usize| {
            if self.is_ignored(target) {
                return T::ZERO;
            }
            let at = |class: usize| log[start + class * lines.inner];
            let loss = -(factors.at_target * factors.of(target).masked_mul(at(target)));
            let all = || (0..lines.len).map(|class| factors.of(class) * at(class)).sum::<T>();
            if self.of.smoothing == 0.0 { loss } else { loss - per_class * all() }
        };
        Tensor::build(self.targets.shape().clone(), |out| {
            let (inner, targets) = (lines.inner.max(1), self.targets());
            for (outer, (out, targets)) in out.chunks_mut(inner).zip(targets.chunks(inner)).enumerate() {
                let lines = out.iter_mut().zip(targets).zip(outer * lines.slab()..);
                lines.for_each(|((y, &target), start)| *y = loss(start, target));
            }
        })
    }

    /// g·(A·eˡ − a) for every line.
    fn gradient<T: Float>(&self, log: &Tensor<T>, g: &Tensor<T>, weight: Option<&Tensor<T>>, out: &mut [T]) {
        let lines = Lines::new(log.shape(), self.of.axis);
        let factors = self.factors(weight);
        let (log, g) = (log.contiguous(), g.contiguous());
        let (log, g) = (log.as_slice().unwrap_or_default(), g.as_slice().unwrap_or_default());
        let (divisor, targets) = (self.divisor(weight), self.targets());
        let per_class = factors.at_each / T::from_f64(lines.len as f64);
        let classes: T = (0..lines.len).map(|class| factors.of(class)).sum();
        lines.each_slab(out, ELEMENT_COST, &|outer, out| {
            let log = lines.slab_of(log, outer);
            let first = outer * lines.inner;
            let targets = &targets[first..][..lines.inner];
            let scales = || targets.iter().enumerate().map(|(k, &target)| self.scale(g, divisor, first + k, target));
            let total = |(scale, &target): (T, &usize)| {
                if scale == T::ZERO {
                    T::ZERO
                } else {
                    scale * (factors.at_target * factors.of(target) + per_class * classes)
                }
            };
            scaled_probabilities(log, scales().zip(targets).map(total), lines, out);
            self.subtract(&factors, scales(), targets, lines, out);
        });
    }

    /// −g·a for every line: the gradient by the logarithms.
    pub(super) fn put_back<T: Float>(&self, g: &Tensor<T>, weight: Option<&Tensor<T>>, shape: &Shape, out: &mut [T]) {
        let lines = Lines::new(shape, self.of.axis);
        let (factors, divisor, g) = (self.factors(weight), self.divisor(weight), g.contiguous());
        let (g, targets) = (g.as_slice().unwrap_or_default(), self.targets());
        out.fill(T::ZERO);
        lines.each_slab(out, 1, &|outer, out| {
            let first = outer * lines.inner;
            let targets = &targets[first..][..lines.inner];
            let scales = targets.iter().enumerate().map(|(k, &target)| self.scale(g, divisor, first + k, target));
            self.subtract(&factors, scales, targets, lines, out);
        });
    }

    /// What the sum of the losses is divided by.
    fn divisor<T: Float>(&self, weight: Option<&Tensor<T>>) -> T {
        if self.of.reduction == Reduction::Mean { self.total(weight) } else { T::ONE }
    }

    /// The gradient that comes to the k-th line; nothing where the target is ignored.
    #[inline(always)]
    fn scale<T: Float>(&self, g: &[T], divisor: T, k: usize, target: usize) -> T {
        match g.get(k).or(g.first()) {
            Some(&g) if !self.is_ignored(target) => g / divisor,
            _ => T::ZERO,
        }
    }

    /// Subtracts what each class of a slab has of the target of its line, times the scale of the line.
    #[inline(always)]
    fn subtract<T: Float>(
        &self,
        factors: &Factors<T>,
        scales: impl Iterator<Item = T>,
        targets: &[usize],
        lines: Lines,
        out: &mut [T],
    ) {
        let per_class = factors.at_each / T::from_f64(lines.len as f64);
        for (k, (scale, &target)) in scales.zip(targets).enumerate().filter(|&(_, (scale, _))| scale != T::ZERO) {
            if self.of.smoothing != 0.0 {
                let line = out[k..].iter_mut().step_by(lines.inner).enumerate();
                line.for_each(|(class, gx)| *gx -= scale * per_class * factors.of(class));
            }
            out[k + target * lines.inner] -= scale * factors.at_target * factors.of(target);
        }
    }
}

/// What an exponential costs, in cheap steps.
const ELEMENT_COST: usize = 8;

/// total·eˡ for every line of a slab, and 0 where the total is 0, whatever the logits.
fn scaled_probabilities<T: Float>(log: &[T], totals: impl Iterator<Item = T>, lines: Lines, out: &mut [T]) {
    let totals: SmallVec<[T; 8]> = totals.collect();
    match totals[..] {
        [total] if total == T::ZERO => out.fill(T::ZERO),
        [total] => vectorized!(out.iter_mut().zip(log).for_each(|(gx, &log)| *gx = total * Math::exp(log))),
        _ => {
            for (row, log) in out.chunks_exact_mut(lines.inner).zip(log.chunks_exact(lines.inner)) {
                vectorized!(row.iter_mut().zip(log).zip(&totals).for_each(|((gx, &log), &total)| {
                    *gx = if total == T::ZERO { T::ZERO } else { total * Math::exp(log) };
                }));
            }
        }
    }
}

/// # Cross-entropy
impl<'t, T: Float> Var<'t, T> {
    /// The cross-entropy between the softmax of these logits and classes: `−w[t]·ln softmax(x)[t]` for each target t, with
    /// PyTorch's options and conventions.
    ///
    /// With smoothing ε the target is (1 − ε) of its class and ε/C of each of the C classes. The mean divides by the
    /// weights of the targets that count, and is NaN if none does.
    ///
    /// Derivative: `w[t]·(softmax(x) − target)`, from the logarithms that the value kept.
    /// Shapes: logits `[C]` with a target `[]`, or `[N, C, d₁, …]` with targets `[N, d₁, …]` → `[]`, or the shape of the
    /// targets without reduction. A target that is no class is an error unless it is ignored.
    ///
    /// ```
    /// use autograd::{CrossEntropy, Tape, Tensor};
    ///
    /// let tape = Tape::<f64>::new();
    /// let logits = tape.var([[0.0, 0.0], [1000.0, 0.0]]);
    /// let loss = logits.softmax_cross_entropy(&Tensor::from([1, 0]), &CrossEntropy::default());
    /// assert_eq!(loss.item().value()?, 2.0_f64.ln() / 2.0);
    /// assert_eq!(loss.item().backward()?.of(logits)?.to_vec(), [0.25, -0.25, 0.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn softmax_cross_entropy(self, targets: impl AsIndices<'t, T>, options: &CrossEntropy<T>) -> Self {
        let targets = targets.on(self.tape);
        let op = match ClassLoss::new(&self.shape(), options) {
            Ok(of) => SoftmaxCrossEntropy(of),
            Err(kind) => return self.and_indices(targets).fail("softmax_cross_entropy", kind),
        };
        match &options.weight {
            Some(weight) => self.record_with(op, &[self.tape.constant(weight.clone())], &[targets]),
            None => self.record_with(op, &[], &[targets]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    fn variants() -> Vec<CrossEntropy<f64>> {
        let mut variants = Vec::new();
        for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
            for weight in [None, Some(Tensor::from([0.5, 2.0, 1.5]))] {
                for ignore_index in [None, Some(1), Some(77)] {
                    for label_smoothing in [0.0, 0.2] {
                        variants.push(CrossEntropy {
                            weight: weight.clone(),
                            ignore_index,
                            label_smoothing,
                            reduction,
                        });
                    }
                }
            }
        }
        variants
    }

    /// The definition, in other ops.
    fn composed<'t>(x: Var<'t, f64>, targets: &Tensor<usize>, options: &CrossEntropy<f64>) -> Var<'t, f64> {
        let tape = x.tape();
        let counts = targets.map(|t| if options.ignore_index == Some(t) { 0.0 } else { 1.0 });
        let safe = targets.map(|t| if options.ignore_index == Some(t) { 0 } else { t });
        let weight = options.weight.clone().unwrap_or(Tensor::ones([3]));
        let hot = Tensor::one_hot(&safe, 3).unwrap();
        let smoothed = hot.map(|q| q * (1.0 - options.label_smoothing) + options.label_smoothing / 3.0);
        let losses = -(x.log_softmax(1) * tape.constant(smoothed) * tape.constant(weight.clone())).sum_axes(1);
        let losses = losses * tape.constant(counts.clone());
        let total = hot.mul(&weight).unwrap().sum_axes(1).unwrap().mul(&counts).unwrap().sum();
        match options.reduction {
            Reduction::None => losses,
            Reduction::Sum => losses.sum_axes(0),
            Reduction::Mean => losses.sum_axes(0) / total,
        }
    }

    #[test]
    fn values_and_derivatives_are_those_of_the_definition() {
        let x = &[sample(&[4, 3], 1)];
        for options in variants() {
            let ignored = options.ignore_index.unwrap_or(2);
            let targets = Tensor::from([2, 0, ignored, 2]);
            assert_gradient(|x| x[0].softmax_cross_entropy(&targets, &options), x);
            let tape = Tape::new();
            let x = tape.var(x[0].clone());
            let (fused, plain) = (x.softmax_cross_entropy(&targets, &options), composed(x, &targets, &options));
            fused.value().unwrap().close_to(&plain.value().unwrap(), 1e-14, 1e-14).unwrap();
        }
    }

    #[test]
    fn positions_and_single_samples() {
        for options in variants() {
            let targets = Tensor::from([[0, 2], [2, 0]]);
            assert_gradient(|x| x[0].square().softmax_cross_entropy(&targets, &options), &[sample(&[2, 3, 2], 2)]);
            assert_gradient(|x| x[0].softmax_cross_entropy(Tensor::scalar(2), &options), &[sample(&[3], 3)]);
        }
        let (tape, plain) = (Tape::new(), CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() });
        let nothing = tape.var(Tensor::<f64>::zeros([0, 3])).softmax_cross_entropy(Tensor::zeros([0]), &plain);
        assert_eq!(nothing.value().unwrap().shape(), &[0].into());
    }

    #[test]
    fn a_batch_that_is_ignored_has_no_gradient() {
        let tape = Tape::new();
        let x = tape.var(sample(&[2, 3], 1));
        let options = CrossEntropy { ignore_index: Some(9), ..CrossEntropy::default() };
        let loss = x.softmax_cross_entropy(Tensor::from([9, 9]), &options).item();
        assert!(loss.value().unwrap().is_nan());
        assert_eq!(loss.backward().unwrap().of(x).unwrap().to_vec(), [0.0; 6]);
    }

    #[test]
    fn an_ignored_sample_may_hold_anything() {
        let tape = Tape::new();
        let x = tape.var([[f64::NAN, 0.0], [0.0, 0.0]]);
        let options = CrossEntropy { ignore_index: Some(0), ..CrossEntropy::default() };
        let loss = x.softmax_cross_entropy(Tensor::from([0, 1]), &options).item();
        assert_eq!(loss.value(), Ok(2.0_f64.ln()));
        assert_eq!(loss.backward().unwrap().of(x).unwrap().to_vec(), [0.0, 0.0, 0.5, -0.5]);
    }

    #[test]
    fn large_logits_keep_their_digits() {
        let tape = Tape::new();
        let x = tape.var([[700.0, -700.0, 0.0], [30.0, -30.0, 29.0]]);
        let options = CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() };
        let loss = x.softmax_cross_entropy(Tensor::from([1, 0]), &options).value().unwrap();
        loss.close_to(&Tensor::from([1400.0, 0.313_261_687_518_222_86]), 1e-15, 0.0).unwrap();
    }

    #[test]
    fn wrong_arguments_are_named() {
        let x = || Tensor::<f64>::zeros([2, 3]);
        let options = CrossEntropy::default;
        assert_fails(
            |t| t.var(x()).softmax_cross_entropy(Tensor::from([0]), &options()),
            "softmax_cross_entropy: the targets must have shape [2], found [1]",
        );
        assert_fails(
            |t| t.var(1.0).softmax_cross_entropy(Tensor::scalar(0), &options()),
            "softmax_cross_entropy: axis 0 is out of range for shape []",
        );
        assert_fails(
            |t| t.var(x()).softmax_cross_entropy(Tensor::from([0, 3]), &options()),
            "softmax_cross_entropy: index 3 is out of range for axis 1 of shape [2, 3]",
        );
        let weight = Some(Tensor::from([1.0]));
        assert_fails(
            |t| {
                let options = CrossEntropy { weight: weight.clone(), ..options() };
                t.var(x()).softmax_cross_entropy(Tensor::from([0, 1]), &options)
            },
            "softmax_cross_entropy: the weights of the classes must have shape [3], found [1]",
        );
        assert_fails(
            |t| {
                let options = CrossEntropy { label_smoothing: 1.5, ..options() };
                t.var(x()).softmax_cross_entropy(Tensor::from([0, 1]), &options)
            },
            "softmax_cross_entropy: label_smoothing must be between 0 and 1, found 1.5",
        );
    }
}
