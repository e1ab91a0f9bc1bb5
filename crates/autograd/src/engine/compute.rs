//! Computes what was recorded by shapes alone, when code looks at a value.

use smallvec::SmallVec;

use super::{Factor, evaluate, evaluate_elementwise};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::ops::integers::IntegerOp;
use crate::ops::{Op, Saved, Value};
use crate::tape::{Entry, Input, LIMIT, Node, Source, Step, Tape};
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;

/// Gives all entries from `start` on their values, in the order of execution.
///
/// # Errors
/// The first operation that fails.
pub(super) fn compute<T: Float>(tape: &Tape<T>, start: usize) -> Result<()> {
    for index in start..tape.len() {
        let entry = tape.entry(index);
        match entry.step() {
            Step::Node => compute_node(tape, entry.operand)?,
            Step::Integers => compute_integers(tape, entry.operand)?,
            _ => tape.set_number(index, number(tape, index as u32, &entry)),
        }
    }
    Ok(())
}

/// The value of an entry that is a number.
fn number<T: Float>(tape: &Tape<T>, index: u32, entry: &Entry<T>) -> T {
    let of = |index: usize| tape.entry(index).value;
    let x = || of(entry.operand as usize);
    match entry.step() {
        Step::Element => {
            tape.with_node(entry.operand, |node| node.value.element(entry.second()).unwrap_or(entry.value))
        }
        Step::Unary(op) => op.at(&[x()]),
        Step::Both(op) => op.at(&[x(), of(entry.second())]),
        Step::Right(op) => op.at(&[x(), entry.constant()]),
        Step::Left(op) => op.at(&[entry.constant(), x()]),
        Step::Leaf | Step::Node | Step::Integers => {
            tape.source_of_detached(index).map_or(entry.value, |source| of(source as usize))
        }
    }
}

fn compute_node<T: Float>(tape: &Tape<T>, slot: u32) -> Result<()> {
    let nodes = tape.nodes();
    let node = &nodes[slot as usize];
    let value = match &node.op {
        Op::Leaf | Op::Constant | Op::Output { .. } => return Ok(()),
        Op::Custom { rule, .. } => {
            let (rule, operands) = (*rule, operands(&nodes, node));
            drop(nodes);
            return compute_custom(tape, slot, rule, &operands);
        }
        Op::Kept => Ok(kept(tape, node).unwrap_or_else(|| node.value.clone()).into()),
        Op::FromScalars { start, len } => Ok(gathered(tape, node, *start, *len).into()),
        Op::Elementwise(op) => evaluate_elementwise(&nodes, *op, &node.inputs).map(Value::from),
        op => evaluate(tape, &nodes, op, &node.inputs, &node.integers),
    };
    let Value { tensor, saved } = value.map_err(|kind| node.error(kind))?;
    drop(nodes);
    tape.set_node_value(slot, tensor);
    tape.save_again(slot, saved);
    Ok(())
}

fn operands<T: Float>(nodes: &[Node<T>], node: &Node<T>) -> SmallVec<[Tensor<T>; 3]> {
    node.inputs.iter().map(|input| Factor::of(nodes, input).to_tensor()).collect()
}

/// A user's operation has its value already unless its rule tells shapes apart from it.
fn compute_custom<T: Float>(tape: &Tape<T>, slot: u32, rule: u32, operands: &[Tensor<T>]) -> Result<()> {
    let rule = tape.custom(rule);
    if rule.shapes(operands).is_some() {
        for (output, value) in (slot..).zip(rule.value(operands)?) {
            tape.set_node_value(output, value);
        }
    }
    Ok(())
}

/// What the operand of the node keeps.
fn kept<T: Float>(tape: &Tape<T>, node: &Node<T>) -> Option<Tensor<T>> {
    let Some(&Input::Node(of)) = node.inputs.first() else { return None };
    match tape.saved(of) {
        Saved::Tensor(kept) => Some(kept),
        Saved::Nothing | Saved::Integers(_) => None,
    }
}

/// Scalars as a tensor; those that are on no tape stay as they are.
fn gathered<T: Float>(tape: &Tape<T>, node: &Node<T>, start: usize, len: usize) -> Tensor<T> {
    let number = |(index, known): (u32, T)| if index < LIMIT { tape.entry(index as usize).value } else { known };
    tape.gathered(start, len).into_iter().zip(node.value.iter()).map(number).collect()
}

fn compute_integers<T: Float>(tape: &Tape<T>, slot: u32) -> Result<()> {
    let (op, source, location) = tape.with_integers(slot, |node| (node.op.clone(), node.source, node.location));
    let value = match (source, &op) {
        (Source::Nothing, _) => return Ok(()),
        (Source::Node(of), IntegerOp::Kept) => kept_integers(tape, of),
        (Source::Node(of), _) => op.of_tensor(&tape.node_value(of)),
        (Source::Integers(of), _) => tape.with_integers(of, |node| op.of_integers(&node.value)),
    };
    tape.set_integers(slot, value.map_err(|kind| Error::at_line(op.name(), kind, location))?);
    Ok(())
}

fn kept_integers<T: Float>(tape: &Tape<T>, of: u32) -> Result<Integers, ErrorKind> {
    match tape.saved(of) {
        Saved::Integers(kept) => Ok(kept),
        Saved::Nothing | Saved::Tensor(_) => Err(ErrorKind::NoOperands),
    }
}
