//! Recording a tensor operation, and the table of entry points that keeps this work out of users' crates.
//!
//! Generic code is compiled where it is first used with a type. The functions behind [`Engine`] are used with `f32` and
//! `f64` in this crate, so other crates compile thin shells around calls through its pointers. Readers of a recording have tables
//! of their own.

mod compute;

use std::borrow::Cow;
use std::panic::Location;

use smallvec::SmallVec;

use crate::error::{Error, ErrorKind, Result};
use crate::float::{Family, Float};
use crate::forward::{self, Tangents};
use crate::gradients::Gradients;
use crate::kernel::map::{self, Operand};
use crate::ops::elementwise::{Block, Elementwise};
use crate::ops::{KeptShape, OPERANDS, Op, Operands, Saved, Shapes, Value};
use crate::reverse::{self, Seed};
use crate::shape::Shape;
use crate::tape::{Input, Inputs, Node, Tape};
use crate::tensor::integers::Integers;
use crate::tensor::{Tensor, View, refused};

/// The entry points of the engine for one type of number.
pub(crate) struct Engine<T: Float> {
    pub(crate) record: Record<T>,
    /// [`compute::compute`].
    pub(crate) compute: fn(&Tape<T>, usize) -> Result<()>,
    pub(crate) reverse: Reverse<T>,
    pub(crate) forward: fn(&Tape<T>, &mut Tangents<T>) -> Result<()>,
}

type Record<T> = fn(&Tape<T>, Op, &[Input<T>], &[u32], &'static Location<'static>) -> u32;
type Reverse<T> = fn(&Tape<T>, Seed<T>, &[u32], usize) -> Result<Gradients<T>>;

impl<T: Float> Engine<T> {
    const fn new() -> Self {
        Self { record, compute: compute::compute, reverse: reverse::numeric, forward: forward::forward }
    }
}

struct Engines;

impl Family for Engines {
    type Of<T: Float> = Engine<T>;
}

static SINGLE: Engine<f32> = Engine::new();
static DOUBLE: Engine<f64> = Engine::new();

/// The engine for a type of number.
pub(crate) fn engine<T: Float>() -> &'static Engine<T> {
    T::pick::<Engines>(&SINGLE, &DOUBLE)
}

/// Computes and records `op`; the index of its node, or of a failed handle.
fn record<T: Float>(
    tape: &Tape<T>,
    op: Op,
    inputs: &[Input<T>],
    integers: &[u32],
    location: &'static Location<'static>,
) -> u32 {
    let nodes = tape.nodes();
    let tracked = inputs.iter().any(|input| matches!(input, Input::Node(slot) if nodes[*slot as usize].tracked));
    // Apart from the others, whose larger values would be moved with it.
    if let Op::Elementwise(code) = op {
        let value = match tape.is_hollow() {
            false => evaluate_elementwise(&nodes, code, inputs),
            true => shape_of(&factors(&nodes, inputs)[..inputs.len()]).and_then(|shape| absent(&shape)),
        };
        drop(nodes);
        return match value {
            Ok(value) => {
                let inputs = Inputs::from_slice(inputs);
                push(tape, Node { tracked, ..Node::new(Op::Elementwise(code), inputs, value, location) })
            }
            Err(kind) => tape.fail(Error::at_line(op.name(), kind, location)),
        };
    }
    let value = match tape.is_hollow() {
        false => evaluate(tape, &nodes, &op, inputs, integers),
        true => hollow(tape, &nodes, &op, inputs, integers),
    };
    drop(nodes);
    match value {
        Ok(Value { tensor, saved }) => {
            let tracked = tracked && !matches!(op, Op::Detach);
            let inputs = Inputs::from_slice(inputs);
            let integers = SmallVec::from_slice(integers);
            let slot = push(tape, Node { integers, tracked, ..Node::new(op, inputs, tensor, location) });
            tape.save(slot, saved);
            slot
        }
        Err(kind) => tape.fail(Error::at_line(op.name(), kind, location)),
    }
}

/// Writes a node that has a value unless the tape leaves them out.
fn push<T: Float>(tape: &Tape<T>, node: Node<T>) -> u32 {
    let slot = tape.push_node(node);
    tape.leave_out_node(slot);
    slot
}

fn evaluate_elementwise<T: Float>(
    nodes: &[Node<T>],
    op: Elementwise,
    inputs: &[Input<T>],
) -> Result<Tensor<T>, ErrorKind> {
    elementwise(op, &factors(nodes, inputs)[..inputs.len()])
}

/// The operands of an elementwise operation, and numbers behind them.
fn factors<'n, T: Float>(nodes: &'n [Node<T>], inputs: &[Input<T>]) -> [Factor<'n, T>; 3] {
    let mut operands = [Factor::Number(T::ZERO); 3];
    operands.iter_mut().zip(inputs).for_each(|(operand, input)| *operand = Factor::of(nodes, input));
    operands
}

fn evaluate<T: Float>(
    tape: &Tape<T>,
    nodes: &[Node<T>],
    op: &Op,
    inputs: &[Input<T>],
    integers: &[u32],
) -> Result<Value<T>, ErrorKind> {
    let tensors: SmallVec<[Tensor<T>; OPERANDS]> =
        inputs.iter().map(|input| Factor::of(nodes, input).to_tensor()).collect();
    let integers = tape.values_of(integers);
    match op.of(Operands { tensors: &tensors, integers: &integers }) {
        Some(value) => value,
        None => Ok(tensors.into_iter().next().ok_or(ErrorKind::NoOperands)?.into()),
    }
}

/// The value of an operation without its elements, from shapes alone.
fn hollow<T: Float>(
    tape: &Tape<T>,
    nodes: &[Node<T>],
    op: &Op,
    inputs: &[Input<T>],
    integers: &[u32],
) -> Result<Value<T>, ErrorKind> {
    let number = Shape::default();
    let shape_of = |input: &Input<T>| match *input {
        Input::Node(slot) => nodes[slot as usize].value.shape(),
        Input::Number(_) => &number,
    };
    let tensors: SmallVec<[&Shape; OPERANDS]> = inputs.iter().map(shape_of).collect();
    let all = tape.all_integers();
    let integers: SmallVec<[&Shape; 1]> = integers.iter().map(|&slot| all[slot as usize].value.shape()).collect();
    let shapes = Shapes { tensors: &tensors, integers: &integers };
    let Some(shape) = op.shape(shapes) else {
        return Ok(absent(tensors.first().ok_or(ErrorKind::NoOperands)?)?.into());
    };
    let shape = shape?;
    let saved = match op.kept_shape(shapes, &shape) {
        KeptShape::Nothing => Saved::Nothing,
        KeptShape::Tensor(kept) => Saved::Tensor(absent(&kept)?),
        KeptShape::Integers(kept) => Saved::Integers(Integers::absent(&kept)),
    };
    Ok(Value { tensor: absent(&shape)?, saved })
}

/// The shape of a tensor without elements, if they can be counted.
fn absent<T: Float>(shape: &Shape) -> Result<Tensor<T>, ErrorKind> {
    shape.must_be_countable()?;
    Ok(Tensor::absent(shape))
}

/// An operand of an elementwise loop before broadcasting.
#[derive(Clone, Copy)]
pub(crate) enum Factor<'a, T: Float> {
    Tensor(&'a Tensor<T>),
    Number(T),
}

impl<'a, T: Float> Factor<'a, T> {
    /// The value of an operand of a node.
    pub(crate) fn of(nodes: &'a [Node<T>], input: &Input<T>) -> Self {
        match *input {
            Input::Node(slot) => Factor::Tensor(&nodes[slot as usize].value),
            Input::Number(number) => Factor::Number(number),
        }
    }

    pub(crate) fn to_tensor(self) -> Tensor<T> {
        match self {
            Factor::Tensor(tensor) => tensor.clone(),
            Factor::Number(number) => Tensor::scalar(number),
        }
    }
}

/// f(operands…), broadcast.
pub(crate) fn elementwise<T: Float>(op: Elementwise, operands: &[Factor<'_, T>]) -> Result<Tensor<T>, ErrorKind> {
    map_blocks(&*shape_of(operands)?, operands, op.value_block())
}

/// The shape that operands broadcast to.
fn shape_of<'s, T: Float>(operands: &[Factor<'s, T>]) -> Result<Cow<'s, Shape>, ErrorKind> {
    let mut shapes = operands.iter().filter_map(|operand| match operand {
        Factor::Tensor(tensor) => Some(tensor.shape()),
        Factor::Number(_) => None,
    });
    let first = shapes.next().ok_or(ErrorKind::NoOperands)?;
    let mut shape = Cow::Borrowed(first);
    for other in shapes {
        if *shape != *other {
            shape = Cow::Owned(shape.broadcast(other)?);
        }
    }
    Ok(shape)
}

/// x + y of equal shapes.
pub(crate) fn sum<T: Float>(x: &Tensor<T>, y: &Tensor<T>) -> Result<Tensor<T>, ErrorKind> {
    map_blocks(x.shape(), &[Factor::Tensor(x), Factor::Tensor(y)], Elementwise::add.value_block())
}

/// One loop over operands that broadcast to `shape`.
pub(crate) fn map_blocks<T: Float>(
    shape: &Shape,
    operands: &[Factor<'_, T>],
    block: Block<T>,
) -> Result<Tensor<T>, ErrorKind> {
    let mut slices = [&[] as &[T]; 5];
    if dense(shape, operands, &mut slices) {
        return Tensor::build(shape.clone(), |out| map::map_slices(&slices[..operands.len()], out, &block));
    }
    let layouts: SmallVec<[_; 5]> = operands
        .iter()
        .map(|operand| match operand {
            Factor::Tensor(tensor) if tensor.shape() != shape => tensor.layout.broadcast_to(shape).ok(),
            _ => None,
        })
        .collect();
    let views: SmallVec<[Operand<'_, T>; 5]> = operands
        .iter()
        .zip(&layouts)
        .map(|(operand, layout)| match (operand, layout) {
            (Factor::Number(number), _) => Operand::Number(*number),
            (Factor::Tensor(tensor), Some(layout)) => Operand::View(View { data: tensor.buffer.as_slice(), layout }),
            (Factor::Tensor(tensor), None) => Operand::View(tensor.view()),
        })
        .collect();
    Tensor::build(shape.clone(), |out| map::map(shape, &views, out, &block))
}

/// Finds every operand as a slice, if all have the shape of the result and no gaps: the common case, kept short.
#[inline]
fn dense<'a, T: Float>(shape: &Shape, operands: &[Factor<'a, T>], slices: &mut [&'a [T]; 5]) -> bool {
    operands.iter().zip(slices).all(|(operand, slice)| match operand {
        Factor::Tensor(tensor) if tensor.shape() == shape => tensor.as_slice().map(|found| *slice = found).is_some(),
        _ => false,
    })
}

impl Elementwise {
    /// f(x) on plain data.
    pub(crate) fn of_tensor<T: Float>(self, x: &Tensor<T>) -> Tensor<T> {
        map_blocks(x.shape(), &[Factor::Tensor(x)], self.value_block()).unwrap_or_else(refused)
    }

    /// f(x, y, …) on plain data.
    #[track_caller]
    pub(crate) fn of_tensors<T: Float, const N: usize>(self, x: [&Tensor<T>; N]) -> Result<Tensor<T>> {
        elementwise(self, &x.map(Factor::Tensor)).map_err(Error::at(self.facts().name))
    }
}
