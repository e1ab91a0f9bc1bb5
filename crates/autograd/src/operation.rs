//! One recorded operation taken out of its recording and put on a tape of its own: what the readers for people use to ask
//! an operation for its value elsewhere, or for its gradient, without a sweep through the whole recording.

use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::engine::engine;
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::handle::{Source, Wrt};
use crate::ops::Op;
use crate::ops::custom::{CustomRule, record_rule};
use crate::ops::elementwise::Elementwise;
use crate::scalar::Scalar;
use crate::tape::{Input, Inputs as Operands, Step, Tape};
use crate::tensor::Tensor;
use crate::var::{Term, Var};

/// A function of tensors that can be recorded and differentiated.
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
        let found = match (&results[..], seeds) {
            ([result], [seed]) => result.vjp(seed.clone())?,
            _ => weighted_sum(&tape, &results, &variables(&tape, seeds)).backward()?,
        };
        Ok(handles.iter().map(|&x| x.read_from(&Source::Gradients(&found))).collect())
    }
}

pub(crate) fn variables<'t, T: Float>(tape: &'t Tape<T>, x: &[Tensor<T>]) -> Vec<Var<'t, T>> {
    x.iter().map(|x| tape.var(x.clone())).collect()
}

pub(crate) fn weighted_sum<'t, T: Float>(tape: &'t Tape<T>, x: &[Var<'t, T>], weights: &[Var<'t, T>]) -> Scalar<'t, T> {
    let zero = tape.scalar(T::ZERO);
    x.iter().zip(weights).fold(zero, |sum, (&x, &weight)| sum + (x * weight).sum())
}

/// A recorded operation on its own: some operands move, the others are constants as they were.
pub(crate) struct Operation<T: Float> {
    pub kind: Kind<T>,
    pub operands: Vec<Part<T>>,
    pub integers: Vec<Tensor<usize>>,
}

impl<T: Float> Operation<T> {
    /// An operation that takes no integers.
    pub fn new(kind: Kind<T>, operands: Vec<Part<T>>) -> Self {
        Operation { kind, operands, integers: Vec::new() }
    }
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
                let integers: SmallVec<[u32; 2]> =
                    self.integers.iter().map(|list| tape.indices(list.clone()).slot).collect();
                let slot = (engine::<T>().record)(tape, op.clone(), &inputs, &integers, Location::caller());
                vec![Var::new(tape, slot)]
            }
            Kind::Custom(rule) => record_rule(tape, rule.clone(), &inputs, Location::caller())?.into_vec(),
            Kind::Element(index) => vec![Term::from(first.element(*index)).on(tape)],
            Kind::Gather => vec![tape.from_scalars(&first.to_scalars())],
        };
        results.iter().try_for_each(|result| result.ensure())?;
        Ok(results)
    }
}

pub(crate) fn no_operand() -> Error {
    Error::new("check", ErrorKind::NoOperands)
}

impl<T: Float> Tape<T> {
    /// The operation of an entry with its operands; `None` for variables, constants and where history ends.
    pub(crate) fn operation(&self, position: usize) -> Option<(Operation<T>, Vec<Tensor<T>>)> {
        let entry = self.entry(position);
        let value = |index: usize| Tensor::scalar(self.entry(index).value);
        let x = entry.operand as usize;
        let scalar = |op: Elementwise, operands, x| Some((Operation::new(Kind::Op(Op::Elementwise(op)), operands), x));
        let number = Part::Number(entry.constant());
        match entry.step() {
            Step::Leaf | Step::Integers => None,
            Step::Unary(op) => scalar(op, vec![Part::Moving], vec![value(x)]),
            Step::Both(op) => scalar(op, vec![Part::Moving, Part::Moving], vec![value(x), value(entry.second())]),
            Step::Right(op) => scalar(op, vec![Part::Moving, number], vec![value(x)]),
            Step::Left(op) => scalar(op, vec![number, Part::Moving], vec![value(x)]),
            Step::Element => {
                let kind = Kind::Element(entry.second());
                Some((Operation::new(kind, vec![Part::Moving]), vec![self.node_value(entry.operand)]))
            }
            Step::Node => self.node_operation(entry.operand),
        }
    }

    fn node_operation(&self, slot: u32) -> Option<(Operation<T>, Vec<Tensor<T>>)> {
        let kind = match self.with_node(slot, |node| node.op.clone()) {
            Op::Leaf | Op::Constant | Op::Detach | Op::Output { .. } => return None,
            Op::FromScalars { .. } => {
                let operands = vec![Part::Moving];
                return Some((Operation::new(Kind::Gather, operands), vec![self.node_value(slot)]));
            }
            Op::Custom { rule, .. } => Kind::Custom(self.custom(rule)),
            op => Kind::Op(op),
        };
        let (operands, x) = self.moving_operands(slot);
        Some((Operation { integers: self.lists_of(slot), ..Operation::new(kind, operands) }, x))
    }

    /// The integers that a node takes.
    pub(crate) fn lists_of(&self, slot: u32) -> Vec<Tensor<usize>> {
        let integers = self.with_node(slot, |node| node.integers.clone());
        integers.into_iter().map(|slot| self.list(slot)).collect()
    }

    /// The operands of a node in any type of number, and those among them that gradients flow to.
    pub(crate) fn moving_operands<U: Float>(&self, slot: u32) -> (Vec<Part<U>>, Vec<Tensor<U>>) {
        let inputs = self.with_node(slot, |node| node.inputs.clone());
        let mut moving = Vec::new();
        let part = |input: Input<T>| match input {
            Input::Number(number) => Part::Number(U::from_f64(number.to_f64())),
            Input::Node(slot) => {
                let (value, tracked) = self.with_node(slot, |node| (node.value.cast::<U>(), node.tracked));
                if !tracked {
                    return Part::Fixed(value);
                }
                moving.push(value);
                Part::Moving
            }
        };
        (inputs.into_iter().map(part).collect(), moving)
    }
}
