//! The negative log-likelihood of classes: what labels pick from logarithms of probabilities, and the way back.

use smallvec::SmallVec;

use super::cross_entropy::{ClassLoss, CrossEntropy};
use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::AsIndices;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::var::Var;

/// −Σ q·w·x along the axis of the classes, reduced. The weights of classes are a second operand.
#[derive(Debug, Clone)]
pub(crate) struct NegativeLogLikelihood(ClassLoss);

/// The adjoint of [`NegativeLogLikelihood`]: from the incoming gradient and the weights −g·q·w, of shape `to`.
#[derive(Debug, Clone)]
pub(crate) struct NegativeLogLikelihoodAdjoint {
    pub of: ClassLoss,
    pub to: Shape,
}

impl TensorRule for NegativeLogLikelihood {
    const NAME: &'static str = "nll";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        self.0.shape(x[0], x.get(1).copied(), x.integers[0])
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, _: Shape) -> Result<Value<T>, ErrorKind> {
        let log = x[0].in_order()?;
        Ok(self.0.of(log.shape(), &x.integers[0])?.loss(&log, x.get(1))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let adjoint = NegativeLogLikelihoodAdjoint { of: self.0.clone(), to: rule.x[0].shape() };
        of_first(rule, rule.g.record_with(adjoint, &rule.x[1..], rule.integers))
    }
}

impl TensorRule for NegativeLogLikelihoodAdjoint {
    const NAME: &'static str = "nll_adjoint";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        self.of.shape(&self.to, x.get(1).copied(), x.integers[0])?;
        Ok(self.to.clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let targets = self.of.of(&self.to, &x.integers[0])?;
        Ok(Tensor::build(shape, |out| targets.put_back(&x[0], x.get(1), &self.to, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        of_first(rule, rule.g.record_with(NegativeLogLikelihood(self.of.clone()), &rule.x[1..], rule.integers))
    }
}

/// The gradient of the first operand; none flows to weights.
fn of_first<'t, T: Float>(rule: &Vjp<'_, 't, T>, gx: Var<'t, T>) -> Cotangents<'t, T> {
    std::iter::once(Some(gx)).chain(rule.x[1..].iter().map(|_| None)).collect()
}

/// # Negative log-likelihood
impl<'t, T: Float> Var<'t, T> {
    /// The negative log-likelihood of classes, where these are logarithms of probabilities, as
    /// [`log_softmax`](Self::log_softmax) gives them: `−w[t]·x[t]` for each target t. Options and conventions are those of
    /// [`softmax_cross_entropy`](Self::softmax_cross_entropy), which is this of a log-softmax. A target that does not count is 0,
    /// even where its logarithm is −∞.
    ///
    /// Derivative: `−w[t]` to the class of each target, divided as the reduction does.
    /// Shapes: logarithms `[C]` with a target `[]`, or `[N, C, d₁, …]` with targets `[N, d₁, …]` → `[]`, or the shape of the
    /// targets without reduction. A target that is no class is an error unless it is ignored.
    ///
    /// ```
    /// use autograd::{CrossEntropy, Tape, Tensor};
    ///
    /// let tape = Tape::<f64>::new();
    /// let log_p = tape.var([[-1.0, -2.0], [-3.0, -4.0]]);
    /// let loss = log_p.nll(&Tensor::from([1, 0]), &CrossEntropy::default());
    /// assert_eq!(loss.item().value()?, 2.5);
    /// assert_eq!(loss.item().backward()?.of(log_p)?.to_vec(), [0.0, -0.5, -0.5, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn nll(self, targets: impl AsIndices<'t, T>, options: &CrossEntropy<T>) -> Self {
        let targets = targets.on(self.tape);
        let of = match ClassLoss::new(&self.shape(), options) {
            Ok(of) => of,
            Err(kind) => return self.and_indices(targets).fail("nll", kind),
        };
        let weight: SmallVec<[Self; 1]> = options.weight.iter().map(|weight| self.tape.constant(weight)).collect();
        self.record_with(NegativeLogLikelihood(of), &weight, &[targets])
    }
}
