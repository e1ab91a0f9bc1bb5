//! What is checked besides recorded operations: scalar operations at many points, users' functions, and gradients.

use crate::error::Result;
use crate::float::Float;
use crate::operation::{Function, no_operand, weighted_sum};
use crate::ops::elementwise::Elementwise;
use crate::reverse::recorded;
use crate::reverse::recorded::Root;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::{Inputs, Recorder};
use crate::var::{Term, Var};

/// A scalar operation at many points at once: each operand is a list of scalars or of constants.
pub(crate) struct Points<T: Float> {
    pub op: Elementwise,
    /// The constants of an operand that does not move.
    pub operands: Vec<Option<Vec<T>>>,
}

impl<T: Float> Function<T> for Points<T> {
    fn record<'t>(&self, tape: &'t Tape<T>, x: &[Var<'t, T>]) -> Result<Vec<Var<'t, T>>> {
        let mut moving = x.iter();
        let mut operands = Vec::with_capacity(self.operands.len());
        for operand in &self.operands {
            operands.push(match operand {
                Some(constants) => constants.iter().map(|&x| Scalar::constant(x)).collect(),
                None => moving.next().ok_or_else(no_operand)?.to_scalars(),
            });
        }
        let points = operands.iter().map(Vec::len).min().unwrap_or(0);
        let result = |k: usize| {
            let operands: Vec<Scalar<'t, T>> = operands.iter().map(|operand| operand[k]).collect();
            self.op.at(&operands)
        };
        let results: Vec<Scalar<'t, T>> = (0..points).map(result).collect();
        Ok(vec![tape.from_scalars(&results)])
    }
}

/// A user's function, with arguments that tell its form.
pub(crate) struct Whole<'x, X, F> {
    pub f: F,
    pub form: &'x X,
}

impl<T: Float, X: Inputs<T>, F> Function<T> for Whole<'_, X, F>
where
    F: for<'t> Fn(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T>,
{
    fn record<'t>(&self, tape: &'t Tape<T>, x: &[Var<'t, T>]) -> Result<Vec<Var<'t, T>>> {
        let mut given = x.iter().copied();
        let y = (self.f)(tape, self.form.record_by(&mut Recorder { tape, as_data: false, given: Some(&mut given) }));
        y.ensure()?;
        Ok(vec![Term::from(y).on(tape)])
    }
}

/// The gradient of Σ seeds·results, as a function of the operands and of the seeds.
///
/// Its value comes from the sweep on numbers and its derivative from the recorded one, so the two are compared as well.
pub(crate) struct Gradient<'f, T: Float> {
    pub function: &'f dyn Function<T>,
    /// How many of the operands are the function's; the others are seeds.
    pub operands: usize,
}

impl<T: Float> Function<T> for Gradient<'_, T> {
    fn record<'t>(&self, tape: &'t Tape<T>, x: &[Var<'t, T>]) -> Result<Vec<Var<'t, T>>> {
        let (x, seeds) = x.split_at(self.operands);
        let results = self.function.record(tape, x)?;
        let root = match (&results[..], seeds) {
            ([result], [seed]) => Root::Var(*result, *seed),
            _ => Root::Scalar(weighted_sum(tape, &results, seeds)),
        };
        let adjoints = recorded(tape, root)?;
        Ok(x.iter().map(|&x| adjoints.of_var(x)).collect())
    }

    fn value(&self, x: &[Tensor<T>]) -> Result<Vec<Tensor<T>>> {
        let (x, seeds) = x.split_at(self.operands);
        self.function.vjp(x, seeds)
    }
}
