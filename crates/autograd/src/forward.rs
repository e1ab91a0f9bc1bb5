//! The forward sweep: tangents from the variables to a result, over an existing recording.
//!
//! An elementwise op multiplies by its slope, an op that is linear in each operand is applied to the tangents, and any
//! other op gets its forward derivative by transposing its reverse rule, which is linear in the incoming gradient.

use smallvec::SmallVec;

use crate::engine::{self, Factor, engine, map_blocks};
use crate::error::{ErrorKind, Result};
use crate::float::Float;
use crate::handle::{Source, Wrt};
use crate::ops::elementwise::Elementwise;
use crate::ops::{Op, Operands};
use crate::reverse::{self, Seed};
use crate::scalar::Scalar;
use crate::tape::{Input, LIMIT, Node, Step, Tape};
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;
use crate::var::Var;

/// Tangents of the entries and nodes of a recording; absent ones are zero.
pub struct Tangents<T: Float> {
    scalars: Vec<T>,
    nodes: Vec<Option<Tensor<T>>>,
}

impl<T: Float> Tangents<T> {
    /// All zero.
    pub fn new(tape: &Tape<T>) -> Self {
        Self { scalars: vec![T::ZERO; tape.len()], nodes: vec![None; tape.node_count()] }
    }

    /// Of no recording.
    pub fn none() -> Self {
        Self { scalars: Vec::new(), nodes: Vec::new() }
    }

    /// Gives a variable its tangent.
    pub fn set_scalar(&mut self, x: Scalar<'_, T>, tangent: T) {
        if let Some(place) = self.scalars.get_mut(x.index as usize) {
            *place = tangent;
        }
    }

    /// Gives a variable its tangent.
    pub fn set_var(&mut self, x: Var<'_, T>, tangent: Tensor<T>) {
        if let Some(place) = self.nodes.get_mut(x.slot as usize) {
            *place = Some(tangent);
        }
    }

    pub fn of_scalar(&self, x: Scalar<'_, T>) -> T {
        self.scalars.get(x.index as usize).copied().unwrap_or(T::ZERO)
    }

    pub fn of_var(&self, x: Var<'_, T>) -> Tensor<T> {
        let found = self.nodes.get(x.slot as usize).and_then(Clone::clone);
        found.unwrap_or_else(|| Tensor::zeros(x.shape()))
    }
}

/// Carries the tangents of the variables, set before, through the whole recording.
pub(crate) fn forward<T: Float>(tape: &Tape<T>, tangents: &mut Tangents<T>) -> Result<()> {
    for index in 0..tangents.scalars.len() {
        let entry = tape.entry(index);
        let x = entry.operand as usize;
        let at = |index: usize| (tape.entry(index).value, tangents.scalars[index]);
        let tangent = match entry.step() {
            Step::Leaf | Step::Integers => continue,
            Step::Node => {
                if let Some(tangent) = node(tape, tangents, entry.operand)? {
                    tangent.into_iter().enumerate().for_each(|(k, tangent)| tangents.nodes[x + k] = Some(tangent));
                }
                continue;
            }
            Step::Element => {
                let tangent = tangents.nodes[x].as_ref();
                tangent.and_then(|tangent| tangent.iter().nth(entry.second())).unwrap_or(T::ZERO)
            }
            Step::Unary(_) => product(at(x).1, || entry.slope()),
            Step::Both(op) => {
                let ((x, dx), (y, dy)) = (at(x), at(entry.second()));
                let slopes = || op.slopes(x, y, entry.value);
                product(dx, || slopes()[0]) + product(dy, || slopes()[1])
            }
            Step::Right(op) => {
                let (x, dx) = at(x);
                product(dx, || op.slopes(x, entry.constant(), entry.value)[0])
            }
            Step::Left(op) => {
                let (y, dy) = at(x);
                product(dy, || op.slopes(entry.constant(), y, entry.value)[1])
            }
        };
        tangents.scalars[index] = tangent;
    }
    Ok(())
}

/// What `masked_mul` is, without the slope where the tangent is zero.
fn product<T: Float>(tangent: T, slope: impl FnOnce() -> T) -> T {
    if tangent == T::ZERO { T::ZERO } else { tangent.masked_mul(slope()) }
}

type Outputs<T> = SmallVec<[Tensor<T>; 1]>;

/// The tangents of the outputs of a node; `None` if all are zero or already set.
fn node<T: Float>(tape: &Tape<T>, tangents: &Tangents<T>, slot: u32) -> Result<Option<Outputs<T>>> {
    let nodes = tape.nodes();
    let node = &nodes[slot as usize];
    let operand = |input: &Input<T>| match *input {
        Input::Node(x) => tangents.nodes[x as usize].clone(),
        Input::Number(_) => None,
    };
    let moving: SmallVec<[Option<Tensor<T>>; 3]> = node.inputs.iter().map(operand).collect();
    match &node.op {
        Op::Leaf | Op::Constant | Op::Detach | Op::Output { .. } => Ok(None),
        Op::FromScalars { start, len } => {
            let gathered = tape.gathered(*start, *len);
            let tangent = |&index: &u32| if index < LIMIT { tangents.scalars[index as usize] } else { T::ZERO };
            Ok(Some(SmallVec::from_iter([gathered.iter().map(tangent).collect()])))
        }
        _ if !node.tracked || moving.iter().all(Option::is_none) => Ok(None),
        Op::Elementwise(op) => {
            let tangent = elementwise(&nodes, node, *op, &moving).map_err(|kind| node.error(kind))?;
            Ok(tangent.map(|tangent| SmallVec::from_iter([tangent])))
        }
        op if op.is_multilinear() => {
            let tangent =
                multilinear(&nodes, node, &tape.values_of(&node.integers), &moving).map_err(|kind| node.error(kind))?;
            Ok(tangent.map(|tangent| SmallVec::from_iter([tangent])))
        }
        _ => {
            drop(nodes);
            transposed(tape, slot, &moving).map(Some)
        }
    }
}

/// Σ slopeᵢ·dxᵢ, through the loops of the reverse sweep: they multiply by the slope whatever they are given.
fn elementwise<T: Float>(
    nodes: &[Node<T>],
    node: &Node<T>,
    op: Elementwise,
    moving: &[Option<Tensor<T>>],
) -> Result<Option<Tensor<T>>, ErrorKind> {
    let mut sum: Option<Tensor<T>> = None;
    for (operand, tangent) in moving.iter().enumerate() {
        let is_flat = op.facts().constant.get(operand).copied().flatten() == Some(0.0);
        let (Some(tangent), false) = (tangent, is_flat) else { continue };
        let mut factors: SmallVec<[Factor<'_, T>; 5]> = SmallVec::from_iter([Factor::Tensor(tangent)]);
        factors.extend(node.inputs.iter().map(|input| Factor::of(nodes, input)));
        factors.push(Factor::Tensor(&node.value));
        let term = map_blocks(node.value.shape(), &factors, op.reverse_block(operand))?;
        sum = Some(added(sum, term)?);
    }
    Ok(sum)
}

/// Σ op(x₁, …, dxᵢ, …, xₙ).
fn multilinear<T: Float>(
    nodes: &[Node<T>],
    node: &Node<T>,
    integers: &[Integers],
    moving: &[Option<Tensor<T>>],
) -> Result<Option<Tensor<T>>, ErrorKind> {
    let mut operands: SmallVec<[Tensor<T>; 3]> =
        node.inputs.iter().map(|input| Factor::of(nodes, input).to_tensor()).collect();
    let mut sum: Option<Tensor<T>> = None;
    for (operand, tangent) in moving.iter().enumerate() {
        let Some(tangent) = tangent else { continue };
        let still = std::mem::replace(&mut operands[operand], tangent.clone());
        if let Some(term) = node.op.of(Operands { tensors: &operands, integers }) {
            sum = Some(added(sum, term?.tensor)?);
        }
        operands[operand] = still;
    }
    Ok(sum)
}

fn added<T: Float>(sum: Option<Tensor<T>>, term: Tensor<T>) -> Result<Tensor<T>, ErrorKind> {
    match sum {
        None => Ok(term),
        Some(sum) => engine::sum(&sum, &term),
    }
}

/// J·dx as the derivative of v ↦ ⟨Jᵀv, dx⟩, which is linear in v.
fn transposed<T: Float>(tape: &Tape<T>, slot: u32, moving: &[Option<Tensor<T>>]) -> Result<Outputs<T>> {
    tape.scratch(true, || {
        let outputs = reverse::outputs(tape, slot);
        let v: SmallVec<[Var<'_, T>; 2]> =
            outputs.clone().map(|slot| tape.var(Tensor::zeros(Var::new(tape, slot).shape()))).collect();
        let mut sum = Scalar::constant(T::ZERO);
        for (gradient, tangent) in reverse::node_vjp(tape, slot, &v)?.into_iter().zip(moving) {
            if let (Some(gradient), Some(tangent)) = (gradient, tangent) {
                sum += (gradient * tape.constant(tangent)).sum();
            }
        }
        let zeros = || v.iter().map(|v| Tensor::zeros(v.shape())).collect();
        let (Ok(tape), Some(first)) = (sum.require_tape("jvp"), v.first()) else { return Ok(zeros()) };
        let until = tape.with_node(first.slot, |node| node.entry) as usize;
        let gradients = (engine::<T>().reverse)(tape, Seed::Scalar(sum.index), &[], until)?;
        Ok(v.iter().map(|&v| v.read_from(&Source::Gradients(&gradients))).collect())
    })
}
