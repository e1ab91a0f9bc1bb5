//! The reverse sweep on handles: what it computes is recorded, so it can be differentiated again. It adds what comes to an
//! adjoint in the order of the numeric sweep, so that both have the same bits.

use super::{node_vjp, outputs};
use crate::error::Result;
use crate::float::Float;
use crate::ops::custom::Handles;
use crate::ops::elementwise::Elementwise;
use crate::ops::{Embed, Op};
use crate::real::Algebra;
use crate::scalar::Scalar;
use crate::tape::{CONSTANT, Input, Step, Tape};
use crate::tensor::Tensor;
use crate::var::{Term, Var};

/// The adjoint of every entry and node up to the root; `None` where no gradient arrived.
pub struct Adjoints<'t, T: Float> {
    tape: &'t Tape<T>,
    scalars: Vec<Option<Scalar<'t, T>>>,
    nodes: Vec<Option<Var<'t, T>>>,
    /// Whether every gradient has an entry of its own, also where it is that of another.
    apart: bool,
}

/// What the sweep starts from, with its gradient.
pub(crate) enum Root<'t, T: Float> {
    Scalar(Scalar<'t, T>),
    Var(Var<'t, T>, Var<'t, T>),
}

/// The reverse sweep from `root` to the beginning.
pub(crate) fn recorded<'t, T: Float>(tape: &'t Tape<T>, root: Root<'t, T>) -> Result<Adjoints<'t, T>> {
    sweep(tape, root, 0)
}

/// As [`recorded`], for gradients that are differentiated with respect to those of the root: every gradient that an operation
/// hands on has an entry of its own, so that this derivative adds up, operation by operation, what a forward sweep does.
pub(crate) fn apart<'t, T: Float>(tape: &'t Tape<T>, root: Root<'t, T>) -> Result<Adjoints<'t, T>> {
    sweep_with(Adjoints { apart: true, ..Adjoints::new(tape) }, root, 0)
}

/// As [`recorded`], for gradients that are not differentiated again: rules may use what their operations kept.
pub(crate) fn once<'t, T: Float>(tape: &'t Tape<T>, root: Root<'t, T>) -> Result<Adjoints<'t, T>> {
    match tape.node_count() {
        0 => recorded(tape, root),
        _ => tape.no_grad(|| sweep(tape, root, 0)),
    }
}

/// The gradients of the operands of a function: `g` times its Jacobian. The function is recorded, and so is the sweep through
/// it, so an operation whose derivative is that of a composition can use this as its rule.
pub(crate) fn pullback<'t, T: Float>(
    x: &[Var<'t, T>],
    g: Var<'t, T>,
    f: impl FnOnce(&[Var<'t, T>]) -> Var<'t, T>,
) -> Handles<'t, T> {
    let tape = g.tape();
    tape.recording(|| {
        let x: Handles<'t, T> = x.iter().map(|&x| tape.tracked_copy(x)).collect();
        let until = tape.len() as u32;
        let y = f(&x);
        match y.and(g).ensure().and_then(|()| sweep(tape, Root::Var(y, g), until)) {
            Ok(adjoints) => x.iter().map(|&x| adjoints.of_var(x)).collect(),
            Err(error) => x.iter().map(|_| Var::new(tape, tape.fail(error.clone()))).collect(),
        }
    })
}

/// The reverse sweep from `root` back to the entry `until`.
fn sweep<'t, T: Float>(tape: &'t Tape<T>, root: Root<'t, T>, until: u32) -> Result<Adjoints<'t, T>> {
    sweep_with(Adjoints::new(tape), root, until)
}

fn sweep_with<'t, T: Float>(mut adjoints: Adjoints<'t, T>, root: Root<'t, T>, until: u32) -> Result<Adjoints<'t, T>> {
    let tape = adjoints.tape;
    let last = match root {
        Root::Scalar(scalar) => {
            adjoints.scalars.resize(scalar.index as usize + 1, None);
            adjoints.add_scalar(scalar.index, Scalar::constant(T::ONE));
            scalar.index
        }
        Root::Var(var, seed) => {
            let last = tape.with_node(var.slot, |node| node.entry);
            adjoints.scalars.resize(last as usize + 1, None);
            adjoints.add_node(var.slot, seed);
            last
        }
    };
    for index in (until..=last).rev() {
        adjoints.entry(index)?;
    }
    Ok(adjoints)
}

impl<'t, T: Float> Adjoints<'t, T> {
    fn new(tape: &'t Tape<T>) -> Self {
        Adjoints { tape, scalars: Vec::new(), nodes: vec![None; tape.node_count()], apart: false }
    }

    /// The adjoint of a scalar; zero if no gradient arrived.
    pub fn of_scalar(&self, x: Scalar<'t, T>) -> Scalar<'t, T> {
        match self.scalars.get(x.index as usize).copied().flatten() {
            Some(g) if self.tape.is_tracked_number(x.index) => self.unsigned(g),
            _ => Scalar::constant(T::ZERO),
        }
    }

    /// An adjoint with 0 for −0. Numeric sweeps begin their sums with 0, so none of theirs is −0. Here 0 is added at the end,
    /// where it matters: an adjoint of −0 hands on what one of 0 does.
    fn unsigned(&self, g: Scalar<'t, T>) -> Scalar<'t, T> {
        let is_minus_zero = g.number == T::ZERO && T::ONE / g.number < T::ZERO;
        if is_minus_zero || self.tape.is_for_program() { g + Scalar::constant(T::ZERO) } else { g }
    }

    /// The adjoint of a tensor, if a gradient arrived.
    pub fn found(&self, x: Var<'t, T>) -> Option<Var<'t, T>> {
        self.nodes.get(x.slot as usize).copied().flatten()
    }

    /// The adjoint of a tensor; zeros if no gradient arrived.
    pub fn of_var(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.found(x).unwrap_or_else(|| self.tape.constant(Tensor::zeros(x.shape())))
    }

    fn entry(&mut self, index: u32) -> Result<()> {
        let tape = self.tape;
        let entry = tape.entry(index as usize);
        let x = || handle_of(tape, entry.operand);
        if entry.step() == Step::Node {
            return self.node(entry.operand);
        }
        let Some(g) = self.scalars[index as usize] else { return Ok(()) };
        let y = handle_of(tape, index);
        match entry.step() {
            Step::Leaf | Step::Node | Step::Integers => {}
            Step::Element => {
                let gradient = self.one_element(entry.operand, entry.second(), self.unsigned(g));
                self.add_node(entry.operand, gradient);
            }
            Step::Unary(op) => self.add_product(entry.operand, op, 0, g, || op.slope(x(), y)),
            Step::Both(op) => {
                let (x, other) = (x(), handle_of(tape, entry.second() as u32));
                self.add_product(entry.second() as u32, op, 1, g, || op.slopes(x, other, y)[1]);
                self.add_product(entry.operand, op, 0, g, || op.slopes(x, other, y)[0]);
            }
            Step::Right(op) => {
                let constant = Scalar::constant(entry.constant());
                self.add_product(entry.operand, op, 0, g, || op.slopes(x(), constant, y)[0]);
            }
            Step::Left(op) => {
                let constant = Scalar::constant(entry.constant());
                self.add_product(entry.operand, op, 1, g, || op.slopes(constant, x(), y)[1]);
            }
        }
        Ok(())
    }

    /// Adds g·slope, without a product where the slope is known to be 0, 1 or −1.
    fn add_product(
        &mut self,
        to: u32,
        op: Elementwise,
        operand: usize,
        g: Scalar<'t, T>,
        slope: impl FnOnce() -> Scalar<'t, T>,
    ) {
        if !self.tape.is_tracked_number(to) {
            return;
        }
        match op.facts().constant[operand] {
            Some(0.0) => {}
            Some(1.0) if self.apart => self.add_scalar(to, g * T::ONE),
            Some(1.0) => self.add_scalar(to, g),
            Some(-1.0) => self.add_scalar(to, -g),
            _ => self.add_scalar(to, product(g, slope())),
        }
    }

    fn add_scalar(&mut self, index: u32, g: Scalar<'t, T>) {
        let adjoint = &mut self.scalars[index as usize];
        *adjoint = Some(adjoint.map_or(g, |sum| sum + g));
    }

    fn add_node(&mut self, slot: u32, g: Var<'t, T>) {
        if self.tape.with_node(slot, |node| node.tracked) {
            let adjoint = &mut self.nodes[slot as usize];
            *adjoint = Some(adjoint.map_or(g, |sum| sum + g));
        }
    }

    /// Zeros of a node's shape, but `g` at one element.
    fn one_element(&self, slot: u32, element: usize, g: Scalar<'t, T>) -> Var<'t, T> {
        let shape = self.tape.with_node(slot, |node| node.value.shape().clone());
        let size = shape.len();
        self.tape.from_scalars(&[g]).record(Embed { axis: 0, start: element, step: 1, size }, &[]).reshape(shape)
    }

    fn node(&mut self, slot: u32) -> Result<()> {
        let (op, inputs) = self.tape.with_node(slot, |node| (node.op.clone(), node.inputs.clone()));
        if matches!(op, Op::Output { .. }) {
            return Ok(());
        }
        let slots = outputs(self.tape, slot);
        if slots.clone().all(|slot| self.nodes[slot as usize].is_none()) {
            return Ok(());
        }
        let g: Handles<'t, T> = slots.map(|slot| self.of_var(Var::new(self.tape, slot))).collect();
        match op {
            Op::Leaf | Op::Constant | Op::Detach => {}
            Op::FromScalars { start, len } => {
                for (k, index) in self.tape.gathered(start, len).into_iter().enumerate() {
                    if self.tape.is_tracked_number(index) {
                        self.add_scalar(index, g[0].at([k]));
                    }
                }
            }
            Op::Elementwise(op) => self.elementwise(op, slot, &inputs, g[0]),
            _ => {
                for (input, gradient) in inputs.iter().zip(node_vjp(self.tape, slot, &g)?) {
                    if let (Input::Node(x), Some(gradient)) = (*input, gradient) {
                        let is_shared = self.apart && g.iter().any(|g| g.slot == gradient.slot);
                        self.add_node(x, if is_shared { copy(gradient) } else { gradient });
                    }
                }
            }
        }
        Ok(())
    }

    fn elementwise(&mut self, op: Elementwise, slot: u32, inputs: &[Input<T>], g: Var<'t, T>) {
        let y = Term::Var(Var::new(self.tape, slot));
        let x: Vec<Term<'t, T>> = inputs
            .iter()
            .map(|input| match *input {
                Input::Node(slot) => Term::Var(Var::new(self.tape, slot)),
                Input::Number(number) => Term::Number(number),
            })
            .collect();
        for (operand, input) in inputs.iter().enumerate().rev() {
            let Input::Node(to) = *input else { continue };
            if !self.tape.with_node(to, |node| node.tracked) {
                continue;
            }
            let gradient = match (op, operand, op.facts().constant.get(operand).copied().flatten()) {
                (Elementwise::select, 0, _) | (_, _, Some(0.0)) => continue,
                (_, _, Some(1.0)) if self.apart => Term::Var(copy(g)),
                (_, _, Some(1.0)) => Term::Var(g),
                (_, _, Some(-1.0)) => Term::Var(-g),
                (Elementwise::select, 1, _) => Algebra::select(x[0], Term::Var(g), Term::Number(T::ZERO)),
                (Elementwise::select, ..) => Algebra::select(x[0], Term::Number(T::ZERO), Term::Var(g)),
                _ if inputs.len() == 1 => Term::Var(g).masked_mul(op.slope(x[0], y)),
                _ => Term::Var(g).masked_mul(op.slopes(x[0], x[1], y)[operand]),
            };
            let shape = self.tape.with_node(to, |node| node.value.shape().clone());
            self.add_node(to, gradient.on(self.tape).sum_to(shape));
        }
    }
}

/// g·slope, and 0 where either is 0; the plain product with a number that cannot be.
fn product<'t, T: Float>(g: Scalar<'t, T>, slope: Scalar<'t, T>) -> Scalar<'t, T> {
    let is_plain = |x: Scalar<'t, T>| x.index == CONSTANT && x.number.is_finite() && x.number != T::ZERO;
    if is_plain(g) || is_plain(slope) { g * slope } else { Algebra::masked_mul(g, slope) }
}

fn handle_of<T: Float>(tape: &Tape<T>, index: u32) -> Scalar<'_, T> {
    Scalar { tape: Some(tape), number: tape.entry(index as usize).value, index }
}

/// The same value in an entry of its own.
fn copy<T: Float>(g: Var<'_, T>) -> Var<'_, T> {
    Algebra::mul(Term::Var(g), Term::Number(T::ONE)).on(g.tape())
}
