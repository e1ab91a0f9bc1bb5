//! The operations: a network over a whole sequence, its adjoint, and what lies within lengths.

use std::array::from_fn;

use smallvec::SmallVec;

use super::cell::{self, RnnActivation};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel::recurrent::{self, Cell, Incoming, Sequence, Weights};
use crate::kernel::scan::Direction;
use crate::mask::Mask;
use crate::ops::cat::{cat, stack};
use crate::ops::custom::Handles;
use crate::ops::{Cotangents, KeptShape, OPERANDS, Op, Operands, Saved, Shapes, TensorRule, Value, Vjp};
use crate::reverse::pullback;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;
use crate::var::{Term, Var};

/// The steps of a recurrent network with G gates, K numbers kept of each step, and S states.
///
/// Operands: the input `[steps, batch, inputs]`, the initial states `[S, batch, H]`, the weights of input and hidden state
/// `[G·H, inputs]` and `[G·H, H]`, and if there are biases `[G·H]`, one of both projections or, where they are separate, one of
/// each; and the lengths of the samples, where they have some. The value has the hidden state after each step and then the
/// last states: `[steps + S, batch, H]`.
#[derive(Debug, Clone)]
pub(crate) struct Recurrent<C, const G: usize, const K: usize, const S: usize> {
    cell: C,
    direction: Direction,
}

/// The gradients of all operands of [`Recurrent`], but for an input that wants none, one behind the other, from these operands,
/// the incoming gradient, and what the run kept, where that is at hand.
#[derive(Debug, Clone)]
pub(crate) struct RecurrentAdjoint<C, const G: usize, const K: usize, const S: usize> {
    of: Recurrent<C, G, K, S>,
    wants_input: bool,
    from_kept: bool,
}

pub(crate) type Lstm = Recurrent<cell::Lstm, 4, 5, 2>;
pub(crate) type LstmAdjoint = RecurrentAdjoint<cell::Lstm, 4, 5, 2>;
pub(crate) type Gru = Recurrent<cell::Gru, 3, 4, 1>;
pub(crate) type GruAdjoint = RecurrentAdjoint<cell::Gru, 3, 4, 1>;
pub(crate) type Rnn = Recurrent<RnnActivation, 1, 1, 1>;
pub(crate) type RnnAdjoint = RecurrentAdjoint<RnnActivation, 1, 1, 1>;

impl<C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize> TensorRule for Recurrent<C, G, K, S>
where
    Op: From<RecurrentAdjoint<C, G, K, S>>,
{
    const NAME: &'static str = C::NAME;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(self.output(x[0], x[1]))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (tensor, kept) = self.run(x, shape)?;
        Ok(Value { tensor, saved: Saved::Tensor(kept) })
    }

    fn kept_shape(&self, x: Shapes<'_>, _: &Shape) -> KeptShape {
        KeptShape::Tensor(Shape::from(self.sequence(x[0], x[1][2], None).len(K + S)))
    }

    /// On numbers the gradients come from what the run kept. When they are recorded, they depend on the operands alone.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, g, tape, wants_input) = (rule.x, rule.g, rule.g.tape(), rule.is_needed(0));
        let packed = match rule.saved {
            // Without a node, whose operands would not fit into it.
            Saved::Tensor(kept) if !tape.is_recording() && !tape.is_guarding() => {
                let operands: Tensors<T> = x.iter().map(|x| tape.node_value(x.slot)).collect();
                let integers =
                    tape.values_of(&rule.integers.iter().map(|list| list.slot).collect::<SmallVec<[u32; 1]>>());
                let shape = packed(operands.iter().map(Tensor::shape), wants_input);
                let operands = Operands { tensors: &operands, integers: &integers };
                match self.adjoint(operands, kept, &tape.node_value(g.slot), wants_input, shape) {
                    Ok(packed) => tape.constant(packed),
                    Err(broken) => rule.g.fail(C::ADJOINT, broken),
                }
            }
            _ => {
                let kept = rule.kept();
                let others: Handles<'t, T> = x[1..].iter().copied().chain([g]).chain(kept).collect();
                let adjoint = RecurrentAdjoint { of: self.clone(), wants_input, from_kept: kept.is_some() };
                x[0].record_with(adjoint, &others, rule.integers)
            }
        };
        let mut start = 0;
        let mut next = |i: usize| {
            if i == 0 && !wants_input {
                return None;
            }
            let shape = x[i].shape();
            let part = start..start + shape.len();
            start = part.end;
            rule.operand(i, || packed.slice(0, part).reshape(shape))
        };
        (0..x.len()).map(&mut next).collect()
    }
}

impl<C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize> TensorRule for RecurrentAdjoint<C, G, K, S> {
    const NAME: &'static str = C::ADJOINT;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let others = 1 + usize::from(self.from_kept);
        Ok(packed(x[..x.len() - others].iter().copied(), self.wants_input))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let Operands { tensors, integers } = x;
        let Some((last, tensors)) = tensors.split_last() else { return Err(ErrorKind::NoOperands) };
        let (g, x, kept) = match (self.from_kept, tensors.split_last()) {
            (true, Some((g, tensors))) => (g, Operands { tensors, integers }, last.clone()),
            _ => {
                let x = Operands { tensors, integers };
                (last, x, self.of.run(x, self.of.output(x[0].shape(), x[1].shape()))?.1)
            }
        };
        Ok(self.of.adjoint(x, &kept, g, self.wants_input, shape)?.into())
    }

    /// That of the same steps in other operations.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let gradients = |x: &[Var<'t, T>]| {
            let Some((&g, x)) = x[..x.len() - usize::from(self.from_kept)].split_last() else { return rule.g };
            let parts =
                pullback(x, g, |x| self.of.composed(x, rule.integers)).into_iter().skip(usize::from(!self.wants_input));
            cat(&parts.map(Var::flatten).collect::<Handles<'t, T>>(), 0)
        };
        pullback(rule.x, rule.g, gradients).into_iter().map(Some).collect()
    }
}

impl<C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize> Recurrent<C, G, K, S> {
    pub fn new(cell: C, reverse: bool) -> Self {
        Self { cell, direction: if reverse { Direction::Backward } else { Direction::Forward } }
    }

    /// The shape of the value for an input and initial states of these shapes.
    fn output(&self, x: &Shape, states: &Shape) -> Shape {
        Shape::from([x[0].saturating_add(S), x[1], states[2]])
    }

    fn sequence<'a>(&self, x: &Shape, width: usize, lengths: Option<&'a Integers>) -> Sequence<'a> {
        let lengths = lengths.map(Integers::as_slice);
        Sequence { steps: x[0], batch: x[1], inputs: x[2], width, direction: self.direction, lengths }
    }

    /// The value, and what its derivative wants to find again.
    fn run<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<(Tensor<T>, Tensor<T>), ErrorKind> {
        let (operands, lengths): (Tensors<T>, _) = (x.iter().map(Tensor::contiguous).collect(), lengths(x)?);
        let sequence = self.sequence(x[0].shape(), shape[2], lengths.as_ref());
        let mut value = Err(ErrorKind::NoOperands);
        let kept = Tensor::build(Shape::from(sequence.len(K + S)), |kept| {
            value = Tensor::build(shape, |out| {
                out[sequence.len(1)..].copy_from_slice(elements(&operands[1]));
                recurrent::forward(self.cell, sequence, (elements(&operands[0]), &weights(&operands)), out, kept);
            });
        })?;
        Ok((value?, kept))
    }

    /// The gradients of all operands, but for an input that wants none, one behind the other.
    fn adjoint<T: Float>(
        &self,
        x: Operands<'_, T>,
        kept: &Tensor<T>,
        g: &Tensor<T>,
        wants_input: bool,
        shape: Shape,
    ) -> Result<Tensor<T>, ErrorKind> {
        let (operands, lengths): (Tensors<T>, _) = (x.iter().map(Tensor::contiguous).collect(), lengths(x)?);
        let sequence = self.sequence(x[0].shape(), x[1].shape()[2], lengths.as_ref());
        let (kept, g) = (kept.contiguous(), g.contiguous());
        let (x, kept, g) = (elements(&operands[0]), elements(&kept), elements(&g));
        let incoming = Incoming { x, weights: weights(&operands), kept, g };
        Tensor::build(shape, |out| recurrent::adjoint(self.cell, sequence, &incoming, wants_input, out))
    }

    /// The definition, step by step.
    pub fn composed<'t, T: Float>(&self, x: &[Var<'t, T>], lengths: &[Indices<'t, T>]) -> Var<'t, T> {
        let (states, weight, bias, hidden_bias) = (x[1], x[3], x.get(4).copied(), x.get(5).copied());
        let (projected, tape) = (x[0].linear(x[2], bias), x[0].tape());
        let [_, batch, width] = states.dims();
        let sequence = self.sequence(&x[0].shape(), width, None);
        let ones = tape.filled([sequence.steps, batch, 1], T::ONE);
        let within = (!lengths.is_empty()).then(|| Mask::of(ones.record_with(WithinLengths, &[], lengths)));
        let gates = |x: Var<'t, T>| from_fn(|gate| Term::Var(x.narrow(1, gate * width, width)));
        let mut states: [Var<'t, T>; S] = from_fn(|state| states.index_axis(0, state));
        let mut y = vec![projected; sequence.steps];
        for time in (0..sequence.steps).map(|turn| sequence.time(turn)) {
            let hidden = states[0].linear(weight, hidden_bias);
            let (_, after) = self.cell.step(gates(projected.index_axis(0, time)), gates(hidden), states.map(Term::Var));
            let after = after.map(|state| state.on(tape));
            let Some(has) = within.map(|within| within.index_axis(0, time)) else {
                (y[time], states) = (after[0], after);
                continue;
            };
            y[time] = has.select(after[0], Term::Number(T::ZERO));
            states = from_fn(|state| has.select(after[state], states[state]));
        }
        y.extend(states);
        stack(&y, 0)
    }
}

/// The lengths of the samples, in order, where they have some.
pub(super) fn lengths<T: Float>(x: Operands<'_, T>) -> Result<Option<Integers>, ErrorKind> {
    let (steps, Some(lengths)) = (x[0].shape()[0], x.integers.first()) else { return Ok(None) };
    let lengths = lengths.in_order()?;
    match lengths.as_slice().iter().find(|length| !(1..=steps).contains(*length)) {
        Some(length) => {
            let must = "between 1 and the number of steps";
            Err(ErrorKind::Argument { name: "a length", must, found: length.to_string() })
        }
        None => Ok(Some(lengths)),
    }
}

/// The steps `[steps, batch, ..]` that samples of these lengths have, and zeros behind them: what stands in the padding may be
/// anything.
#[derive(Debug, Clone)]
pub(crate) struct WithinLengths;

impl TensorRule for WithinLengths {
    const NAME: &'static str = "within_lengths";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        x.integers[0].must_be("the lengths", &x[0][1..2])?;
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (mut within, lengths) = (x[0].to_contiguous()?, x.integers[0].in_order()?);
        let width = shape[2..].iter().product::<usize>();
        if width > 0 {
            for (place, row) in within.make_mut().chunks_exact_mut(width).enumerate() {
                if place / shape[1] >= lengths.as_slice()[place % shape[1]] {
                    row.fill(T::ZERO);
                }
            }
        }
        Ok(within.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record_with(self.clone(), &[], rule.integers))
    }
}

/// The shape of the gradients of operands of these shapes, one after the other.
fn packed<'s>(x: impl Iterator<Item = &'s Shape>, wants_input: bool) -> Shape {
    Shape::from(x.skip(usize::from(!wants_input)).map(Shape::len).fold(0, usize::saturating_add))
}

type Tensors<T> = SmallVec<[Tensor<T>; OPERANDS]>;

/// What contiguous operands multiply with and add.
pub(super) fn weights<T: Float>(x: &[Tensor<T>]) -> Weights<'_, T> {
    Weights { input: elements(&x[2]), hidden: elements(&x[3]), bias: [x.get(4).map(elements), x.get(5).map(elements)] }
}

/// The elements of a contiguous tensor.
fn elements<T: Float>(x: &Tensor<T>) -> &[T] {
    x.as_slice().unwrap_or_default()
}
