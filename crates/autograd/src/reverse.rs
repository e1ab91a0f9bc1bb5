//! The reverse sweep: the chain rule from a result back to the variables, on numbers or recorded again.
//!
//! Both sweeps walk the entries backwards and hand each node's gradient to its rule. The numeric one keeps plain numbers
//! and tensors, moves the first contribution and adds the others in place; rules on handles run on a scratch part of the
//! tape that is forgotten at once. The recorded one keeps handles, so its results can be differentiated again.
//!
//! Invariant: when the walk reaches an entry, every use of it has contributed.

pub(crate) mod recorded;

use std::borrow::Cow;

use smallvec::SmallVec;

pub(crate) use recorded::{pullback, recorded};

use crate::engine::{self, Factor, map_blocks};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::gradients::{Found, Gradients, Spare};
use crate::indices::Indices;
use crate::kernel::{self, prefetch::prefetch};
use crate::ops::custom::{Handles, NumericAdjoint};
use crate::ops::elementwise::{BinaryRule, Elementwise, rule};
use crate::ops::shape::sum_to;
use crate::ops::{Cotangents, OPERANDS, Op, Vjp};
use crate::tape::{Entry, Input, Node, Opcode, Tape};
use crate::tensor::Tensor;
use crate::var::Var;

/// What a reverse sweep starts from.
#[derive(Debug, Clone)]
pub(crate) enum Seed<T: Float> {
    /// A scalar, with gradient one.
    Scalar(u32),
    /// A tensor, with a gradient of its shape.
    Node(u32, Tensor<T>),
}

/// Lists that sweeps keep for the next one.
#[derive(Debug)]
pub(crate) struct Workspace<T: Float> {
    adjoints: Vec<Option<Tensor<T>>>,
    spare: Spare<T>,
}

impl<T: Float> Default for Workspace<T> {
    fn default() -> Self {
        Self { adjoints: Vec::new(), spare: Spare::default() }
    }
}

/// The reverse sweep on numbers, back to the entry `until`. `kept` names nodes, ascending, whose gradients are wanted
/// besides the variables'.
pub(crate) fn numeric<T: Float>(tape: &Tape<T>, seed: Seed<T>, kept: &[u32], until: usize) -> Result<Gradients<T>> {
    let (root, root_node) = match &seed {
        Seed::Scalar(entry) => (*entry as usize, None),
        Seed::Node(slot, gradient) => {
            (tape.with_node(*slot, |node| node.entry) as usize, Some((*slot, gradient.clone())))
        }
    };
    let mut scalars = Tensor::zeros([root + 1]);
    // Without tensors no list is filled, and small recordings of scalars need not look for one.
    let (mut adjoints, spare) = {
        let mut workspace = tape.workspace.borrow_mut();
        let spare = (tape.node_count() > 0).then(|| workspace.spare.clone());
        (std::mem::take(&mut workspace.adjoints), spare)
    };
    adjoints.clear();
    adjoints.resize_with(tape.node_count(), || None);
    let mut found = spare.as_ref().map(Spare::take).unwrap_or_default();
    match root_node {
        Some((slot, gradient)) => adjoints[slot as usize] = Some(gradient),
        None => scalars.as_mut_slice()[root] = T::ONE,
    }
    let mut sweep = Sweep { tape, scalars: scalars.as_mut_slice(), adjoints: &mut adjoints, kept, found: &mut found };
    let result = sweep.run(root, until);
    tape.workspace.borrow_mut().adjoints = adjoints;
    result?;
    found.nodes.reverse();
    tape.for_each_param(|id, slot| found.params.push((id, slot)));
    found.params.sort_unstable();
    Ok(Gradients { recording: tape.id(), scalars, found, spare })
}

struct Sweep<'s, 't, T: Float> {
    tape: &'t Tape<T>,
    scalars: &'s mut [T],
    adjoints: &'s mut Vec<Option<Tensor<T>>>,
    kept: &'s [u32],
    found: &'s mut Found<T>,
}

impl<T: Float> Sweep<'_, '_, T> {
    fn run(&mut self, root: usize, until: usize) -> Result<()> {
        let mut end = root + 1;
        while let Some(index) = self.scalars_before(end, until)? {
            self.node(self.tape.entry(index).operand)?;
            end = index;
        }
        Ok(())
    }

    /// The chain rule over the scalar entries from `end` down to the first node, whose entry is returned, or to `until`.
    /// Not inlined: beside anything else the loop would run out of registers.
    #[inline(never)]
    fn scalars_before(&mut self, end: usize, until: usize) -> Result<Option<usize>> {
        let (tape, adjoints) = (self.tape, &mut *self.adjoints);
        tape.with_entries(end, |entries| {
            let mut chain = Chain::new(entries, &mut self.scalars[..end]);
            while chain.index > until {
                let entry = chain.next();
                let g = chain.adjoint();
                // A zero stays zero, as in every product below: the branch not taken sends nothing. The place of a node
                // gets nothing either.
                if g == T::ZERO {
                    if entry.opcode == Opcode::Node {
                        chain.flush();
                        return Ok(Some(chain.index));
                    }
                    continue;
                }
                match entry.opcode {
                    Opcode::Leaf | Opcode::Node | Opcode::Integers => {}
                    Opcode::Element => add_element(tape, adjoints, entry, g)?,
                    Opcode::Unary(_) => chain.send(entry.operand as usize, product(g, entry.slope())),
                    Opcode::Add(_) => chain.both::<rule::add>(entry, g),
                    Opcode::Sub(_) => chain.both::<rule::sub>(entry, g),
                    Opcode::Mul(_) => chain.both::<rule::mul>(entry, g),
                    Opcode::Div(_) => chain.both::<rule::div>(entry, g),
                    Opcode::AddRight(_) => chain.right::<rule::add>(entry, g),
                    Opcode::SubRight(_) => chain.right::<rule::sub>(entry, g),
                    Opcode::MulRight(_) => chain.right::<rule::mul>(entry, g),
                    Opcode::AddLeft(_) => chain.left::<rule::add>(entry, g),
                    Opcode::SubLeft(_) => chain.left::<rule::sub>(entry, g),
                    Opcode::MulLeft(_) => chain.left::<rule::mul>(entry, g),
                    Opcode::Both(op) => {
                        let [x, y] = [entry.operand as usize, entry.second()];
                        let slopes = other_slopes(op, entries[x].value, entries[y].value, entry.value);
                        chain.send_both([x, y], slopes.map(|slope| product(g, slope)));
                    }
                    Opcode::Right(op) => {
                        let x = entry.operand as usize;
                        let [slope, _] = other_slopes(op, entries[x].value, entry.constant(), entry.value);
                        chain.send(x, product(g, slope));
                    }
                    Opcode::Left(op) => {
                        let y = entry.operand as usize;
                        let [_, slope] = other_slopes(op, entry.constant(), entries[y].value, entry.value);
                        chain.send(y, product(g, slope));
                    }
                }
            }
            chain.flush();
            Ok(None)
        })
    }

    fn node(&mut self, slot: u32) -> Result<()> {
        let nodes = self.tape.nodes();
        let node = &nodes[slot as usize];
        match &node.op {
            Op::Output { .. } => return Ok(()),
            Op::Custom { .. } => {
                drop(nodes);
                return self.custom_gradients(slot).map_or(Ok(()), |g| self.rule(slot, &g));
            }
            _ => {}
        }
        let Some(g) = self.adjoints[slot as usize].take() else { return Ok(()) };
        if matches!(node.op, Op::Leaf) || self.kept.binary_search(&slot).is_ok() {
            self.found.nodes.push((slot, g.clone()));
        }
        match &node.op {
            Op::Leaf | Op::Constant | Op::Detach => Ok(()),
            Op::Elementwise(op) => self.elementwise(&nodes, node, *op, g),
            Op::FromScalars { start, len } => {
                for (index, g) in self.tape.gathered(*start, *len).into_iter().zip(g.iter()) {
                    if let Some(scalar) = self.scalars.get_mut(index as usize) {
                        *scalar += g;
                    }
                }
                Ok(())
            }
            Op::Slice(slice) => {
                if let Some(&Input::Node(x)) = node.inputs.first()
                    && nodes[x as usize].tracked
                {
                    let shape = nodes[x as usize].value.shape();
                    let sum = self.adjoints[x as usize].get_or_insert_with(|| Tensor::zeros(shape));
                    slice.add_adjoint(&g, sum);
                }
                Ok(())
            }
            _ => {
                drop(nodes);
                self.rule(slot, &[g])
            }
        }
    }

    /// A rule on handles, run on a scratch part of the tape.
    fn rule(&mut self, slot: u32, g: &[Tensor<T>]) -> Result<()> {
        let gradients = self.tape.scratch(false, || -> Result<SmallVec<[Option<Tensor<T>>; OPERANDS]>> {
            let g: Handles<'_, T> = g.iter().map(|g| self.tape.constant(g)).collect();
            node_vjp(self.tape, slot, &g)?.into_iter().map(|gradient| gradient.map(Var::value).transpose()).collect()
        })?;
        let nodes = self.tape.nodes();
        for (input, gradient) in nodes[slot as usize].inputs.iter().zip(gradients) {
            if let (Input::Node(x), Some(gradient)) = (*input, gradient) {
                self.add(&nodes, x, Cow::Owned(gradient))?;
            }
        }
        Ok(())
    }

    /// The gradients of all outputs of a custom op; `None` if none arrived.
    fn custom_gradients(&mut self, slot: u32) -> Option<SmallVec<[Tensor<T>; 2]>> {
        let slots = outputs(self.tape, slot);
        if slots.clone().all(|slot| self.adjoints[slot as usize].is_none()) {
            return None;
        }
        let zeros = |slot| Tensor::zeros(Var::new(self.tape, slot).shape());
        let g: SmallVec<[_; 2]> =
            slots.clone().map(|slot| self.adjoints[slot as usize].take().unwrap_or_else(|| zeros(slot))).collect();
        for (slot, g) in slots.zip(&g).rev().filter(|(slot, _)| self.kept.binary_search(slot).is_ok()) {
            self.found.nodes.push((slot, g.clone()));
        }
        Some(g)
    }

    /// The fused loops gx = g·slope, then the sum over what was broadcast. From the last operand to the first: to the first
    /// one, most often the chain that the sweep follows, the gradient itself may move.
    fn elementwise(&mut self, nodes: &[Node<T>], node: &Node<T>, op: Elementwise, g: Tensor<T>) -> Result<()> {
        let constant = op.constant_slopes();
        let needs = |input: &Input<T>| matches!(*input, Input::Node(x) if nodes[x as usize].tracked);
        let first = node.inputs.iter().position(needs);
        for (operand, input) in node.inputs.iter().enumerate().rev() {
            let (Input::Node(x), true) = (*input, needs(input)) else { continue };
            let gradient = match constant.get(operand).copied().flatten() {
                Some(0.0) => continue,
                Some(1.0) if first == Some(operand) => return self.add_summed(nodes, node, x, Cow::Owned(g)),
                Some(1.0) => Cow::Borrowed(&g),
                Some(slope) => Cow::Owned(scaled(&g, slope).map_err(|kind| node.error(kind))?),
                None => Cow::Owned(sloped(nodes, node, op, operand, &g).map_err(|kind| node.error(kind))?),
            };
            self.add_summed(nodes, node, x, gradient)?;
        }
        Ok(())
    }

    /// Adds to the gradient of an operand of `node`, summed over what was broadcast.
    #[inline]
    fn add_summed(&mut self, nodes: &[Node<T>], node: &Node<T>, x: u32, gradient: Cow<'_, Tensor<T>>) -> Result<()> {
        let shape = nodes[x as usize].value.shape();
        match gradient.shape() == shape {
            true => self.add(nodes, x, gradient),
            false => self.add(nodes, x, Cow::Owned(sum_to(&gradient, shape).map_err(|kind| node.error(kind))?)),
        }
    }

    /// Adds to a node's gradient: the first contribution is moved, the next ones are added in place where possible.
    #[inline]
    fn add(&mut self, nodes: &[Node<T>], slot: u32, gradient: Cow<'_, Tensor<T>>) -> Result<()> {
        if !nodes[slot as usize].tracked {
            return Ok(());
        }
        let adjoint = &mut self.adjoints[slot as usize];
        match adjoint {
            None => *adjoint = Some(gradient.into_owned()),
            Some(sum) => match sum.unique_mut() {
                Some(sum) => kernel::accumulate::accumulate(gradient.view(), sum),
                None => *sum = engine::sum(sum, &gradient).map_err(|kind| nodes[slot as usize].error(kind))?,
            },
        }
        Ok(())
    }
}

/// g·slope for one operand of an elementwise node.
fn sloped<T: Float>(
    nodes: &[Node<T>],
    node: &Node<T>,
    op: Elementwise,
    operand: usize,
    g: &Tensor<T>,
) -> Result<Tensor<T>, ErrorKind> {
    let mut factors = [Factor::Tensor(g); 5];
    let operands = node.inputs.len();
    for (factor, input) in factors[1..].iter_mut().zip(&node.inputs) {
        *factor = Factor::of(nodes, input);
    }
    factors[1 + operands] = Factor::Tensor(&node.value);
    map_blocks(g.shape(), &factors[..operands + 2], op.reverse_block(operand))
}

/// Adds `g` to one element of a node's gradient.
#[cold]
fn add_element<T: Float>(tape: &Tape<T>, adjoints: &mut [Option<Tensor<T>>], entry: &Entry<T>, g: T) -> Result<()> {
    let nodes = tape.nodes();
    let node = &nodes[entry.operand as usize];
    let adjoint = &mut adjoints[entry.operand as usize];
    let mut gradient = match adjoint.take() {
        Some(gradient) => gradient.in_order(),
        None => Tensor::build(node.value.shape().clone(), |zeros| zeros.fill(T::ZERO)),
    }
    .map_err(|kind| node.error(kind))?;
    gradient.make_mut()[entry.second()] += g;
    *adjoint = Some(gradient);
    Ok(())
}

/// `masked_mul` of a gradient that is known not to be zero: the plain product, unless that is not a number.
#[inline(always)]
fn product<T: Float>(g: T, slope: T) -> T {
    let gx = g * slope;
    if gx.is_nan() { product_of_extremes(g, slope) } else { gx }
}

/// The same for both slopes of an operation.
#[inline(always)]
fn products<Op: BinaryRule, T: Float>(g: T, slopes: [T; 2]) -> [T; 2] {
    let [gx, gy] = slopes.map(|slope| g * slope);
    let both_known = const { matches!(Op::FACTS.constant, [Some(x), Some(y)] if x != 0.0 && y != 0.0) };
    match both_known || !(gx.is_nan() || gy.is_nan()) {
        true => [gx, gy],
        false => slopes.map(|slope| product_of_extremes(g, slope)),
    }
}

/// Of numbers, which pass in registers: a list would be written to memory before it is known whether it is needed.
#[cold]
#[inline(never)]
fn product_of_extremes<T: Float>(g: T, slope: T) -> T {
    g.masked_mul(slope)
}

/// How far ahead of a backward walk entries are fetched: operands that many entries before their operation are at hand
/// (48 KiB of entries, in a second cache of hundreds), where the processor's own prefetching finds no pattern.
const FETCHED_AHEAD: usize = 2048;

/// A walk backwards over scalar entries.
///
/// The adjoints of the two entries before the walk stay in registers, since most entries of a chain of operations send to
/// these: through memory it would take longer than the arithmetic. An adjoint is read from memory when the last of what comes
/// from farther is there, so all contributions are added in the order of the walk, as the recorded sweep adds them.
struct Chain<'s, T> {
    entries: &'s [Entry<T>],
    adjoints: &'s mut [T],
    index: usize,
    /// The adjoint of the entry before `index`.
    carried: T,
    /// The adjoint of the entry before that.
    carried_on: T,
}

impl<'s, T: Float> Chain<'s, T> {
    fn new(entries: &'s [Entry<T>], adjoints: &'s mut [T]) -> Self {
        let mut chain = Chain { entries, adjoints, index: entries.len(), carried: T::ZERO, carried_on: T::ZERO };
        if chain.index > 0 {
            (chain.carried, chain.carried_on) = (chain.before(1), chain.before(2));
        }
        chain
    }

    #[inline(always)]
    fn next(&mut self) -> &'s Entry<T> {
        self.index -= 1;
        prefetch(self.entries, self.index.wrapping_sub(FETCHED_AHEAD));
        prefetch(self.adjoints, self.index.wrapping_sub(FETCHED_AHEAD));
        &self.entries[self.index]
    }

    /// The whole adjoint of this entry.
    #[inline(always)]
    fn adjoint(&mut self) -> T {
        let adjoint = self.carried;
        self.adjoints[self.index] = adjoint;
        (self.carried, self.carried_on) = (self.carried_on, self.before(2));
        adjoint
    }

    /// What memory has of the adjoint so many entries before this one. Before the first there is none; what stands for it is
    /// never asked for.
    #[inline(always)]
    fn before(&self, distance: usize) -> T {
        self.adjoints[self.index.saturating_sub(distance)]
    }

    #[inline(always)]
    fn send(&mut self, x: usize, gx: T) {
        if x + 1 == self.index {
            self.carried += gx;
        } else if x + 2 == self.index {
            self.carried_on += gx;
        } else {
            self.adjoints[x] += gx;
        }
    }

    #[inline(always)]
    fn send_both(&mut self, [x, y]: [usize; 2], [gx, gy]: [T; 2]) {
        self.send(y, gy);
        self.send(x, gx);
    }

    /// Puts what is carried where it belongs.
    fn flush(&mut self) {
        let carried = [self.carried, self.carried_on];
        for (adjoint, carried) in self.adjoints[..self.index].iter_mut().rev().zip(carried) {
            *adjoint = carried;
        }
    }

    #[inline(always)]
    fn both<Op: BinaryRule>(&mut self, entry: &Entry<T>, g: T) {
        let (x, y) = (entry.operand as usize, entry.second());
        let slopes = Op::slopes(self.entries[x].value, self.entries[y].value, entry.value);
        self.send_both([x, y], products::<Op, T>(g, slopes));
    }

    #[inline(always)]
    fn right<Op: BinaryRule>(&mut self, entry: &Entry<T>, g: T) {
        let x = entry.operand as usize;
        self.send(x, products::<Op, T>(g, Op::slopes(self.entries[x].value, entry.constant(), entry.value))[0]);
    }

    #[inline(always)]
    fn left<Op: BinaryRule>(&mut self, entry: &Entry<T>, g: T) {
        let y = entry.operand as usize;
        self.send(y, products::<Op, T>(g, Op::slopes(entry.constant(), self.entries[y].value, entry.value))[1]);
    }
}

/// Both slopes of an operation that is not frequent. Not inlined: the loop would run out of registers.
#[inline(never)]
fn other_slopes<T: Float>(op: Elementwise, x: T, y: T, z: T) -> [T; 2] {
    op.slopes(x, y, z)
}

fn scaled<T: Float>(g: &Tensor<T>, slope: f64) -> Result<Tensor<T>, ErrorKind> {
    if slope == -1.0 {
        return map_blocks(g.shape(), &[Factor::Tensor(g)], Elementwise::neg.value_block());
    }
    let factors = [Factor::Tensor(g), Factor::Number(T::from_f64(slope))];
    map_blocks(g.shape(), &factors, Elementwise::mul.value_block())
}

/// The nodes that hold the outputs of the op at `slot`.
pub(crate) fn outputs<T: Float>(tape: &Tape<T>, slot: u32) -> std::ops::Range<u32> {
    match tape.nodes()[slot as usize].op {
        Op::Custom { outputs, .. } => slot..slot + outputs,
        _ => slot..slot + 1,
    }
}

/// The gradients of the operands of a node that is not elementwise, from those of its outputs, in ops on handles.
pub(crate) fn node_vjp<'t, T: Float>(tape: &'t Tape<T>, slot: u32, g: &[Var<'t, T>]) -> Result<Cotangents<'t, T>> {
    let (op, inputs, integers) =
        tape.with_node(slot, |node| (node.op.clone(), node.inputs.clone(), node.integers.clone()));
    let x: Handles<'t, T> = inputs.iter().map(|input| handle(tape, input)).collect();
    let gradients = match op {
        Op::Custom { rule, .. } => custom_vjp(tape, slot, rule, &x, g)?,
        _ => {
            let needs: SmallVec<[bool; OPERANDS]> =
                x.iter().map(|x| tape.with_node(x.slot, |node| node.tracked)).collect();
            let saved = tape.saved(slot);
            let integers: SmallVec<[Indices<'t, T>; 2]> =
                integers.into_iter().map(|slot| Indices { tape, slot }).collect();
            let (y, g) = (Var::new(tape, slot), g[0]);
            let rule = Vjp { x: &x, y, g, integers: &integers, saved: &saved, needs: &needs };
            op.vjp(&rule).unwrap_or_default()
        }
    };
    match gradients.iter().flatten().filter(|gradient| gradient.is_failed()).map(|gradient| gradient.slot).max() {
        Some(earliest) => tape.failed(earliest),
        None => Ok(gradients),
    }
}

/// A user's rule, with the shapes of its answers checked.
fn custom_vjp<'t, T: Float>(
    tape: &'t Tape<T>,
    slot: u32,
    rule: u32,
    x: &[Var<'t, T>],
    g: &[Var<'t, T>],
) -> Result<Cotangents<'t, T>> {
    let rule = tape.custom(rule);
    let location = tape.with_node(slot, |node| node.location);
    if tape.is_recording() && !rule.is_differentiable_again() {
        let why = "its derivative is written on numbers; write it on handles with `custom`".to_string();
        return Err(Error::at_line(rule.name(), ErrorKind::NotDifferentiable { why }, location));
    }
    let y: Handles<'t, T> = outputs(tape, slot).map(|slot| Var::new(tape, slot)).collect();
    let is_step = tape.is_guarding() && !tape.is_recording() && rule.is_numeric();
    let gradients = match is_step {
        true => NumericAdjoint::record(rule.clone(), x, &y, g, location)?,
        false => rule.vjp(x, &y, g)?,
    };
    for (gradient, x) in gradients.iter().zip(x).filter(|(gradient, _)| !gradient.is_failed()) {
        let right = gradient.shape().must_be("the gradient that the rule gives", &x.shape());
        right.map_err(|broken| Error::at_line(rule.name(), broken, location))?;
    }
    Ok(gradients.into_iter().map(Some).collect())
}

fn handle<'t, T: Float>(tape: &'t Tape<T>, input: &Input<T>) -> Var<'t, T> {
    match *input {
        Input::Node(slot) => Var::new(tape, slot),
        Input::Number(number) => tape.constant(Tensor::scalar(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is carried from entry to entry gets past the places of tensors, wherever these are.
    #[test]
    fn a_gradient_passes_tensors_between_scalars() {
        for nodes in [[0, 0], [1, 0], [0, 1], [1, 1], [2, 2]] {
            let tape = Tape::<f64>::new();
            let [x, unused] = tape.scalars([2.0, 1.0]);
            let record_tensors = |count: usize| {
                for _ in 0..count {
                    tape.var(1.0);
                }
            };
            let [y, z] = [3.0, 5.0].map(|factor| x * factor);
            record_tensors(nodes[0]);
            let u = y * z;
            record_tensors(nodes[1]);
            let gradients = (u * y + z).backward().unwrap();
            // 3x · 5x · 3x + 5x
            assert_eq!([gradients.of(x), gradients.of(unused)], [Ok(545.0), Ok(0.0)], "{nodes:?}");
        }
    }

    #[test]
    fn a_slope_of_zero_sends_nothing() {
        for extreme in [f64::INFINITY, f64::NAN] {
            let tape = Tape::<f64>::new();
            let [x, zero] = tape.scalars([2.0, 0.0]);
            for y in [x * zero, x * 0.0, 0.0 * x, x.powi(0)] {
                assert_eq!((y * extreme).backward().unwrap().of(x), Ok(0.0), "{extreme}");
            }
        }
    }
}
