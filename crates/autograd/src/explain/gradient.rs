//! Why there is no gradient, or a zero one: a walk from the variable towards the loss, along uses.

use super::{Arrival, Cause, Explanation, explainers, is_zero};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::operation::Function;
use crate::ops::Op;
use crate::ops::elementwise::Elementwise;
use crate::param::Param;
use crate::place::{Operand, Place, Range, entries};
use crate::scalar::Scalar;
use crate::tape::{LIMIT, Step, Tape};
use crate::tensor::Tensor;
use crate::var::Var;

/// Where a gradient becomes zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocked {
    /// The operation that received a gradient and gave its operand none.
    pub place: Place,
    /// Why.
    pub why: Why,
    /// Which operand.
    pub operand: usize,
    /// The value of the operand.
    pub value: Range,
}

impl Blocked {
    /// Whether the two are the same operand on the same line of code.
    fn is_line_of(&self, other: &Self) -> bool {
        let line = |blocked: &Self| (blocked.place.op, blocked.place.location, blocked.operand);
        self.place.location.is_some() && line(self) == line(other)
    }
}

/// Why an operation gives its operand a zero gradient.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Why {
    /// Its derivative is 0 everywhere: comparisons, signs, roundings.
    Flat,
    /// Its derivative is 0 at these operands: a dead relu, a saturated function.
    FlatHere {
        /// The elements with derivative 0.
        zeros: usize,
        /// All elements.
        len: usize,
    },
    /// The other factor is zero.
    TimesZero,
    /// The other operand was taken, at every element.
    NotTaken,
    /// It only chooses between the other operands.
    Condition,
    /// The elements that came from this operand received no gradient.
    Elsewhere,
    /// The gradients of several uses cancel.
    Cancels,
}

/// What a gradient can be missing of: a `Var`, a `Scalar`, a `&Param`.
pub trait Explainable<T: Float> {
    #[doc(hidden)]
    fn position(self, tape: &Tape<T>) -> Result<usize, Box<Cause>>;
}

impl<T: Float> Explainable<T> for Var<'_, T> {
    fn position(self, tape: &Tape<T>) -> Result<usize, Box<Cause>> {
        match self.is_failed() {
            true => Err(failed(self.tape, self.slot)),
            false if std::ptr::eq(self.tape, tape) => Ok(tape.entry_of(self.slot)),
            false => Err(Box::new(Cause::OtherTape)),
        }
    }
}

impl<T: Float> Explainable<T> for Scalar<'_, T> {
    fn position(self, tape: &Tape<T>) -> Result<usize, Box<Cause>> {
        match self.tape {
            Some(own) if self.is_failed() => Err(failed(own, self.index)),
            Some(own) if self.index < LIMIT && std::ptr::eq(own, tape) => Ok(self.index as usize),
            Some(_) if self.index < LIMIT => Err(Box::new(Cause::OtherTape)),
            _ => Err(Box::new(Cause::NotOnTape)),
        }
    }
}

impl<T: Float> Explainable<T> for &Param<T> {
    fn position(self, tape: &Tape<T>) -> Result<usize, Box<Cause>> {
        let is_tracked = |&slot: &u32| tape.with_node(slot, |node| node.tracked);
        match tape.slot_of(self.id()) {
            slot if !self.is_trainable() && !slot.as_ref().is_some_and(is_tracked) => Err(Box::new(Cause::Frozen)),
            Some(slot) => Ok(tape.entry_of(slot)),
            None => Err(Box::new(Cause::Absent)),
        }
    }
}

fn failed<T: Float>(tape: &Tape<T>, index: u32) -> Box<Cause> {
    Box::new(Cause::Failed(tape.failure_of(index)))
}

/// Places where gradients become zero that are told at most.
const BLOCKED: usize = 8;

impl<T: Float> Tape<T> {
    /// Why the gradient of `loss` with respect to `x`, a [`Var`], a [`Scalar`] or a [`&Param`](Param), is missing (detached,
    /// constant, frozen, not used), zero (dead, saturated, multiplied by zero) or not finite.
    ///
    /// ```
    /// use autograd::{Param, Tape};
    ///
    /// let tape = Tape::new();
    /// let weight = Param::new([1.0_f32, -2.0]);
    /// let loss = tape.param(&weight).detach().square().sum();
    /// assert!(loss.explain_gradient(&weight).to_string().contains("no gradient gets past detach at "));
    /// ```
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    #[track_caller]
    pub fn explain_gradient(&self, loss: Scalar<'_, T>, x: impl Explainable<T>) -> Explanation {
        if let Err(error) = self.refuse_report("explain_gradient") {
            return Cause::Failed(error).alone();
        }
        let x = match x.position(self) {
            Ok(x) => x,
            Err(cause) => return cause.alone(),
        };
        (explainers::<T>().of_gradient)(self, loss, x)
    }

    /// Why the gradient with respect to the entry `x` is what it is.
    pub(super) fn explain_gradient_at(&self, loss: Scalar<'_, T>, x: usize) -> Explanation {
        let place = self.step(x);
        if !self.is_tracked(x) {
            let ends = self.slot_at(x).is_some_and(|slot| self.with_node(slot, |node| matches!(node.op, Op::Detach)));
            return if ends { Cause::Cut { place } } else { Cause::Constant { place } }.alone();
        }
        let root = match loss.position(self) {
            Ok(root) => root,
            // A number computed from constants alone is on no tape; what it was computed from may be.
            Err(cause) if *cause == Cause::NotOnTape => return self.explain_end(x).unwrap_or(*cause).alone(),
            Err(cause) => return cause.alone(),
        };
        let (depends, tracked) = self.dependents(x, root);
        if !depends[root] {
            let last = depends.iter().rposition(|&depends| depends).filter(|&last| last != x);
            let unused = || Cause::Unused { place, last: last.map(|last| self.step(last)) };
            return self.explain_end(x).unwrap_or_else(unused).alone();
        }
        if !tracked[root] {
            let next = self.ways_to(root, |position| depends[position]);
            let cut = self.cuts(&tracked).find(|&cut| next[cut].is_some()).unwrap_or(root);
            return self.explanation(Cause::Cut { place: self.step(cut) }, cut, &next);
        }
        match self.every_gradient(root as u32) {
            Ok(gradients) => self.explain_found(loss, root, x, &tracked, &gradients),
            Err(error) => Cause::Failed(error).alone(),
        }
    }

    /// Which entries up to `root` depend on `x`, and which do so differentiably.
    fn dependents(&self, x: usize, root: usize) -> (Vec<bool>, Vec<bool>) {
        let (mut depends, mut tracked) = (vec![false; root + 1], vec![false; root + 1]);
        if x > root {
            return (depends, tracked);
        }
        (depends[x], tracked[x]) = (true, true);
        for position in x + 1..=root {
            let operands = self.operands(position);
            depends[position] = entries(&operands).any(|operand| depends[operand]);
            tracked[position] = self.is_tracked(position) && entries(&operands).any(|operand| tracked[operand]);
        }
        (depends, tracked)
    }

    /// The operations that depend on a variable and end its history.
    fn cuts<'c>(&'c self, tracked: &'c [bool]) -> impl Iterator<Item = usize> + 'c {
        let uses = |&position: &usize| entries(&self.operands(position)).any(|operand| tracked[operand]);
        (0..tracked.len()).filter(|&position| !tracked[position]).filter(uses)
    }

    /// The first operation that ends the history of `x`: numbers read out of what follows leave no trace.
    fn explain_end(&self, x: usize) -> Option<Cause> {
        let (_, tracked) = self.dependents(x, self.len() - 1);
        self.cuts(&tracked).next().map(|cut| Cause::Cut { place: self.step(cut) })
    }

    fn explain_found(
        &self,
        loss: Scalar<'_, T>,
        root: usize,
        x: usize,
        tracked: &[bool],
        gradients: &Gradients<T>,
    ) -> Explanation {
        let arrival = self.arrival(gradients, x);
        if arrival == Arrival::NotFinite || !loss.number.is_finite() {
            return self.explain(loss);
        }
        let next = self.ways_to(root, |position| tracked[position]);
        if arrival == Arrival::Finite {
            let gradient = Range::of(&self.gradient_at(gradients, x));
            return self.explanation(Cause::Flows { gradient }, x, &next);
        }
        let mut blocked: Vec<Blocked> = Vec::new();
        for position in (x..=root).rev().filter(|&position| next[position].is_some()) {
            if self.arrival(gradients, position) == Arrival::Zero {
                continue;
            }
            for found in self.blocks(gradients, position, tracked) {
                if blocked.len() < BLOCKED && !blocked.iter().any(|known| known.is_line_of(&found)) {
                    blocked.push(found);
                }
            }
        }
        let from = blocked.first().map_or(x, |blocked| blocked.place.position);
        self.explanation(Cause::Zero { place: self.step(x), blocked }, from, &next)
    }

    /// The operands on the way that an operation, which received a gradient, gives none.
    fn blocks(&self, gradients: &Gradients<T>, position: usize, tracked: &[bool]) -> Vec<Blocked> {
        let operands = self.operands(position);
        let is_dry = |x: usize| tracked[x] && self.arrival(gradients, x) == Arrival::Zero;
        let dry = |operand: &Operand<T>| matches!(*operand, Operand::Entry(x) if is_dry(x));
        if !operands.iter().any(dry) {
            return Vec::new();
        }
        let given = self.given(gradients, position);
        let mut found = Vec::new();
        for (k, operand) in operands.iter().enumerate().filter(|(_, operand)| dry(operand)) {
            let Operand::Entry(x) = *operand else { continue };
            let why = match given.get(k) {
                Some(Some(g)) if !is_zero(g) => Why::Cancels,
                _ => self.why_zero(position, &operands, k),
            };
            found.push(Blocked { place: self.step(position), why, operand: k, value: Range::of(&self.value_at(x)) });
        }
        found
    }

    fn why_zero(&self, position: usize, operands: &[Operand<T>], k: usize) -> Why {
        let is_zero_at = |operand: &Operand<T>| match *operand {
            Operand::Entry(x) => is_zero(&self.value_at(x)),
            Operand::Number(number) => number == T::ZERO,
        };
        let others_vanish = || operands.iter().enumerate().any(|(other, operand)| other != k && is_zero_at(operand));
        match self.op_at(position) {
            Some(Op::Elementwise(Elementwise::select)) if k == 0 => Why::Condition,
            Some(Op::Elementwise(Elementwise::select)) => Why::NotTaken,
            Some(Op::Elementwise(op)) if op.facts().constant[k.min(1)] == Some(0.0) => Why::Flat,
            Some(Op::Elementwise(Elementwise::mul | Elementwise::masked_mul)) if others_vanish() => Why::TimesZero,
            Some(Op::Elementwise(_)) => self.flat_here(position, operands, k),
            Some(op) if op.is_multilinear() && operands.len() > 1 && others_vanish() => Why::TimesZero,
            _ => Why::Elsewhere,
        }
    }

    /// The op of a tensor or scalar operation.
    fn op_at(&self, position: usize) -> Option<Op> {
        let entry = self.entry(position);
        match entry.step() {
            Step::Leaf | Step::Element | Step::Integers => None,
            Step::Unary(op) | Step::Both(op) | Step::Right(op) | Step::Left(op) => Some(Op::Elementwise(op)),
            Step::Node => Some(self.with_node(entry.operand, |node| node.op.clone())),
        }
    }

    /// The share of an elementwise operation's derivatives that are 0.
    fn flat_here(&self, position: usize, operands: &[Operand<T>], k: usize) -> Why {
        let ones = Tensor::ones(self.shape_at(position));
        let slopes = self.operation(position).and_then(|(operation, x)| operation.vjp(&x, &[ones]).ok());
        match self.spread(operands, slopes.unwrap_or_default()).into_iter().nth(k).flatten() {
            Some(slopes) => Why::FlatHere { zeros: Range::of(&slopes).zeros, len: slopes.len() },
            None => Why::Elsewhere,
        }
    }
}
