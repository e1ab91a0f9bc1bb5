//! The check of a recording: takes each operation out, with its operands, and compares.

use std::collections::HashMap;
use std::panic::Location;
use std::rc::Rc;

use super::compare::{MAX_VARIED_ALONE, Outcome, too_large, unravel};
use super::function::Points;
use super::{Check, Layout, Report};
use crate::float::Float;
use crate::operation::{Kind, Operation, Part};
use crate::ops::Op;
use crate::ops::custom::{self, CustomRule};
use crate::ops::elementwise::Elementwise;
use crate::place::Place;
use crate::shape::Shape;
use crate::tape::{Input, Step, Tape};
use crate::tensor::Tensor;

/// Scalar operations of one line that are checked together.
const SCALARS_AT_ONCE: usize = 128;
/// Elements of an elementwise operation that are checked at most, evenly spread.
const MAX_ELEMENTS: usize = 16 * 1024;
/// Elements checked together.
const ELEMENTS_AT_ONCE: usize = 1024;

pub(super) fn check<T: Float>(tape: &Tape<T>, check: &Check) -> Report {
    let mut checker = Checker { tape, check, report: Report::default(), batches: HashMap::new(), element_of: None };
    for position in 0..tape.len() {
        checker.entry(position);
    }
    let mut rest: Vec<(Line, Batch)> = checker.batches.drain().collect();
    rest.sort_by_key(|(_, batch)| batch.first);
    rest.into_iter().for_each(|(line, batch)| checker.scalars(line, batch));
    checker.report.failure = tape.failure();
    checker.report
}

struct Checker<'c, T: Float> {
    tape: &'c Tape<T>,
    check: &'c Check,
    report: Report,
    batches: HashMap<Line, Batch>,
    /// The node whose element was checked last: elements are usually read one after the other.
    element_of: Option<u32>,
}

/// Scalar operations that differ in their numbers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Line {
    op: u8,
    /// Which operands are on the tape.
    moving: [bool; 2],
    location: Option<&'static Location<'static>>,
}

#[derive(Debug, Default)]
struct Batch {
    first: usize,
    operands: [Vec<f64>; 2],
}

impl<T: Float> Checker<'_, T> {
    fn entry(&mut self, position: usize) {
        let entry = self.tape.entry(position);
        let value = |index: usize| self.tape.entry(index).value.to_f64();
        let x = entry.operand as usize;
        match entry.step() {
            Step::Leaf | Step::Integers => {}
            Step::Node => self.node(position, entry.operand),
            Step::Element => self.element(position, entry.operand, entry.second()),
            Step::Unary(op) => self.scalar(position, op, [true, false], [value(x), 0.0]),
            Step::Both(op) => self.scalar(position, op, [true, true], [value(x), value(entry.second())]),
            Step::Right(op) => self.scalar(position, op, [true, false], [value(x), entry.constant().to_f64()]),
            Step::Left(op) => self.scalar(position, op, [false, true], [entry.constant().to_f64(), value(x)]),
        }
    }

    fn scalar(&mut self, position: usize, op: Elementwise, moving: [bool; 2], x: [f64; 2]) {
        let line = Line { op: op as u8, moving, location: self.tape.location(position) };
        let batch = self.batches.entry(line).or_insert_with(|| Batch { first: position, ..Batch::default() });
        batch.operands[0].push(x[0]);
        batch.operands[1].push(x[1]);
        if batch.operands[0].len() == SCALARS_AT_ONCE {
            let batch = std::mem::replace(batch, Batch { first: position + 1, ..Batch::default() });
            self.scalars(line, batch);
        }
    }

    fn scalars(&mut self, line: Line, batch: Batch) {
        let times = batch.operands[0].len();
        if times == 0 {
            return;
        }
        let op = Elementwise::ALL[line.op as usize];
        let all = batch.operands.into_iter().zip(line.moving).take(op.arity());
        let (mut operands, mut x) = (Vec::new(), Vec::new());
        for (numbers, moves) in all {
            operands.push(if moves { None } else { Some(numbers.clone()) });
            if moves {
                x.push(Tensor::from(numbers));
            }
        }
        let place = Place { position: batch.first, op: op.facts().name, name: None, location: line.location };
        let outcomes = self.check.outcomes(&Points { op, operands }, &x, Layout::Pointwise);
        for (order, mut outcome) in outcomes.into_iter().enumerate() {
            relabel(&mut outcome, |_| Vec::new());
            self.report.add_times(place.clone(), order + 1, times, outcome);
        }
    }

    fn element(&mut self, position: usize, slot: u32, index: usize) {
        if self.element_of.replace(slot) == Some(slot) {
            return;
        }
        let x = self.tape.node_value(slot);
        if self.leaves_out(position, std::slice::from_ref(&x)) {
            return;
        }
        let operation = Operation::new(Kind::Element(index), vec![Part::Moving]);
        self.compare(position, &operation, &[x.cast::<f64>()], Layout::Any);
    }

    fn node(&mut self, position: usize, slot: u32) {
        let (op, tracked) = self.tape.with_node(slot, |node| (node.op.clone(), node.tracked));
        if !tracked {
            return;
        }
        match op {
            Op::Leaf | Op::Constant | Op::Detach | Op::Output { .. } => {}
            Op::Elementwise(op) if self.tape.shape_at(position).len() > MAX_VARIED_ALONE => {
                self.elementwise(position, slot, op)
            }
            _ if self.leaves_out(position, &self.tensors(slot)) => {}
            Op::FromScalars { .. } => {
                let operation = Operation::new(Kind::Gather, vec![Part::Moving]);
                let x = self.tape.node_value(slot).cast::<f64>();
                self.compare(position, &operation, &[x], Layout::Any);
            }
            Op::Custom { rule, .. } => self.custom(position, slot, self.tape.custom(rule)),
            op => {
                let (operands, x) = self.tape.moving_operands::<f64>(slot);
                let integers = self.tape.lists_of(slot);
                let operation = Operation { integers, ..Operation::new(Kind::Op(op), operands) };
                self.compare(position, &operation, &x, Layout::Any);
            }
        }
    }

    /// The operands and the value of an operation.
    fn tensors(&self, slot: u32) -> Vec<Tensor<T>> {
        let nodes = self.tape.nodes();
        let node = &nodes[slot as usize];
        let operand = |input: &Input<T>| match *input {
            Input::Node(x) => Some(nodes[x as usize].value.clone()),
            Input::Number(_) => None,
        };
        node.inputs.iter().filter_map(operand).chain([node.value.clone()]).collect()
    }

    /// Whether one of the tensors of an operation is too large to be copied, which is then all that is found.
    fn leaves_out(&mut self, position: usize, tensors: &[Tensor<T>]) -> bool {
        let Some(reason) = too_large(tensors) else { return false };
        for (order, outcome) in self.check.undecided(reason).into_iter().enumerate() {
            self.report.add(self.tape.place(position), order + 1, outcome);
        }
        true
    }

    /// Users' ops exist in the type of the tape alone.
    fn custom(&mut self, position: usize, slot: u32, rule: Rc<dyn CustomRule<T>>) {
        if rule.name() == custom::HOOK {
            return;
        }
        let (operands, x) = self.tape.moving_operands::<T>(slot);
        self.compare(position, &Operation::new(Kind::Custom(rule), operands), &x, Layout::Any);
    }

    fn compare<U: Float>(&mut self, position: usize, operation: &Operation<U>, x: &[Tensor<U>], layout: Layout) {
        for (order, outcome) in self.check.outcomes(operation, x, layout).into_iter().enumerate() {
            self.report.add(self.tape.place(position), order + 1, outcome);
        }
    }

    /// A large elementwise operation: all its elements at once, in chunks.
    fn elementwise(&mut self, position: usize, slot: u32, op: Elementwise) {
        let inputs = self.tape.with_node(slot, |node| node.inputs.clone());
        let shape = self.tape.shape_at(position);
        let stride = shape.len().div_ceil(MAX_ELEMENTS).max(1);
        let sampled = |input: &Input<T>| match *input {
            Input::Number(number) => (vec![number.to_f64()], false),
            Input::Node(slot) => self.tape.with_node(slot, |node| (samples(&node.value, &shape, stride), node.tracked)),
        };
        let operands: Vec<(Vec<f64>, bool)> = inputs.iter().map(sampled).collect();
        let points = shape.len().div_ceil(stride);
        let mut outcomes: Vec<Outcome> = Vec::new();
        for start in (0..points).step_by(ELEMENTS_AT_ONCE) {
            let len = ELEMENTS_AT_ONCE.min(points - start);
            let (mut parts, mut x) = (Vec::new(), Vec::new());
            for (numbers, moves) in &operands {
                match (&numbers[..], moves) {
                    ([number], false) => parts.push(Part::Number(*number)),
                    (numbers, false) => parts.push(Part::Fixed(Tensor::from(numbers[start..start + len].to_vec()))),
                    (numbers, true) => {
                        parts.push(Part::Moving);
                        x.push(Tensor::from(numbers[start..start + len].to_vec()));
                    }
                }
            }
            let operation = Operation::new(Kind::Op(Op::Elementwise(op)), parts);
            for (order, mut outcome) in self.check.outcomes(&operation, &x, Layout::Pointwise).into_iter().enumerate() {
                relabel(&mut outcome, |k| unravel((start + k) * stride, &shape));
                match outcomes.get_mut(order) {
                    Some(all) => all.merge(outcome),
                    None => outcomes.push(outcome),
                }
            }
        }
        for (order, outcome) in outcomes.into_iter().enumerate() {
            self.report.add(self.tape.place(position), order + 1, outcome);
        }
    }
}

/// Every `stride`-th element of `x` broadcast to `shape`.
fn samples<T: Float>(x: &Tensor<T>, shape: &Shape, stride: usize) -> Vec<f64> {
    match x.broadcast_to(shape) {
        Ok(x) => x.iter().step_by(stride).map(T::to_f64).collect(),
        Err(_) => Vec::new(),
    }
}

/// Turns the number of a point into an index that means something to the user.
fn relabel(outcome: &mut Outcome, index: impl Fn(usize) -> Vec<usize>) {
    if let Some(worst) = &mut outcome.worst {
        let point = worst.index.as_ref().and_then(|index| index.first().copied()).unwrap_or(0);
        worst.index = Some(index(point));
        worst.output_index = Some(index(point));
    }
}
