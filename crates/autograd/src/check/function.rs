//! What is checked: a function of tensors that can be recorded, and the gradient of one.

use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::ops::Op;
use crate::ops::custom::{CustomRule, record_rule};
use crate::ops::elementwise::Elementwise;
use crate::reverse::recorded::Root;
use crate::reverse::{Seed, numeric, recorded};
use crate::scalar::Scalar;
use crate::tape::{Input, Inputs as Operands, Tape};
use crate::tensor::Tensor;
use crate::transform::Inputs;
use crate::var::{Term, Var};

/// A function of tensors whose derivative is under test.
pub(crate) trait Function<T: Float> {
    /// Puts the function on a tape; the results depend on `x`.
    fn record<'t>(&self, tape: &'t Tape<T>, x: &[Var<'t, T>]) -> Result<Vec<Var<'t, T>>>;

    fn value(&self, x: &[Tensor<T>]) -> Result<Vec<Tensor<T>>> {
        let tape = Tape::new();
        self.record(&tape, &variables(&tape, x))?.into_iter().map(Var::value).collect()
    }

    /// The gradient of Σ seeds·results, by the sweep that users' gradients come from.
    fn vjp(&self, x: &[Tensor<T>], seeds: &[Tensor<T>]) -> Result<Vec<Tensor<T>>> {
        let tape = Tape::new();
        let handles = variables(&tape, x);
        let results = self.record(&tape, &handles)?;
        let seed = match (&results[..], seeds) {
            ([result], [seed]) => Seed::Node(result.slot, seed.clone()),
            _ => {
                let weighted = weighted_sum(&tape, &results, &variables(&tape, seeds));
                weighted.require_tape("check")?;
                Seed::Scalar(weighted.index)
            }
        };
        let found = numeric(&tape, seed, &[], 0)?;
        Ok(handles.iter().map(|&x| found.of(x).cloned().unwrap_or_else(|_| Tensor::zeros(x.shape()))).collect())
    }
}

fn variables<'t, T: Float>(tape: &'t Tape<T>, x: &[Tensor<T>]) -> Vec<Var<'t, T>> {
    x.iter().map(|x| tape.var(x.clone())).collect()
}

fn weighted_sum<'t, T: Float>(tape: &'t Tape<T>, x: &[Var<'t, T>], weights: &[Var<'t, T>]) -> Scalar<'t, T> {
    let zero = tape.scalar(T::ZERO);
    x.iter().zip(weights).fold(zero, |sum, (&x, &weight)| sum + (x * weight).sum())
}

/// A recorded operation on its own: some operands move, the others are constants as they were.
pub(crate) struct Operation<T: Float> {
    pub kind: Kind<T>,
    pub operands: Vec<Part<T>>,
}

pub(crate) enum Kind<T: Float> {
    Op(Op),
    Custom(Rc<dyn CustomRule<T>>),
    /// One element, by its row-major index.
    Element(usize),
    Gather,
}

pub(crate) enum Part<T: Float> {
    Moving,
    Fixed(Tensor<T>),
    Number(T),
}

impl<T: Float> Function<T> for Operation<T> {
    fn record<'t>(&self, tape: &'t Tape<T>, x: &[Var<'t, T>]) -> Result<Vec<Var<'t, T>>> {
        let mut moving = x.iter();
        let mut inputs = Operands::new();
        for part in &self.operands {
            inputs.push(match part {
                Part::Moving => Input::Node(moving.next().ok_or_else(no_operand)?.slot),
                Part::Fixed(tensor) => Input::Node(tape.constant(tensor.clone()).slot),
                Part::Number(number) => Input::Number(*number),
            });
        }
        let first = x.first().copied().ok_or_else(no_operand)?;
        let results = match &self.kind {
            Kind::Op(op) => {
                let slot = (T::engine().record)(tape, op.clone(), &inputs, Location::caller());
                vec![Var::new(tape, slot)]
            }
            Kind::Custom(rule) => record_rule(tape, rule.clone(), &inputs, Location::caller())?.into_vec(),
            Kind::Element(index) => vec![Term::from(first.element(*index)).on(tape)],
            Kind::Gather => vec![tape.from_scalars(&first.to_scalars())],
        };
        results.iter().try_for_each(|result| result.value().map(drop))?;
        Ok(results)
    }
}

fn no_operand() -> Error {
    Error::new("check", Rule::NoOperands)
}

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

/// A user's function of numbers or tensors.
pub(crate) struct Whole<X, F> {
    f: F,
    inputs: PhantomData<fn(X)>,
}

impl<X, F> Whole<X, F> {
    pub fn new<T: Float>(f: F) -> Self
    where
        X: Inputs<T>,
        F: for<'t> Fn(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T>,
    {
        Whole { f, inputs: PhantomData }
    }
}

impl<T: Float, X: Inputs<T>, F> Function<T> for Whole<X, F>
where
    F: for<'t> Fn(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T>,
{
    fn record<'t>(&self, tape: &'t Tape<T>, x: &[Var<'t, T>]) -> Result<Vec<Var<'t, T>>> {
        let handles = X::handles(&mut x.iter().copied()).ok_or_else(no_operand)?;
        let y = (self.f)(tape, handles);
        y.value()?;
        Ok(vec![Term::from(y).on(tape)])
    }
}

/// The gradient of Σ seeds·results, as a function of the operands and of the seeds.
///
/// Its value comes from the sweep on numbers and its derivative from the recorded one, so the two are compared as well.
pub(crate) struct Gradient<'f, F> {
    pub function: &'f F,
    /// How many of the operands are the function's; the others are seeds.
    pub operands: usize,
}

impl<T: Float, F: Function<T>> Function<T> for Gradient<'_, F> {
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
