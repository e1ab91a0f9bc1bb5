//! The list of nodes, one for each tensor operation, and what stands beside them.

use std::cell::Ref;
use std::panic::Location;

use smallvec::SmallVec;

use super::{LIMIT, Step, Tape, is_failed};
use crate::error::{Error, ErrorKind};
use crate::float::Float;
use crate::ops::{OPERANDS, Op, Saved};
use crate::tensor::Tensor;
use crate::var::Var;

/// An operand of a tensor operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input<T> {
    Node(u32),
    /// A plain number, which fits every shape.
    Number(T),
}

pub(crate) type Inputs<T> = SmallVec<[Input<T>; OPERANDS]>;

/// One recorded tensor operation, or one output of an operation with several.
#[derive(Debug)]
pub(crate) struct Node<T: Float> {
    pub op: Op,
    pub inputs: Inputs<T>,
    /// The integers that it takes besides.
    pub integers: SmallVec<[u32; 2]>,
    pub value: Tensor<T>,
    /// The caller's line.
    pub location: &'static Location<'static>,
    /// Its entry: its place in the order of execution.
    pub entry: u32,
    /// Whether a derivative can flow through it.
    pub tracked: bool,
}

impl<T: Float> Node<T> {
    /// A node of tensors that no derivative flows through.
    pub fn new(op: Op, inputs: Inputs<T>, value: Tensor<T>, location: &'static Location<'static>) -> Self {
        Node { op, inputs, integers: SmallVec::new(), value, location, entry: 0, tracked: false }
    }

    /// A rule that its operation, or the derivative of it, breaks.
    pub fn error(&self, kind: ErrorKind) -> Error {
        Error::at_line(self.op.name(), kind, self.location)
    }
}

impl<T: Float> Tape<T> {
    /// Writes a node and returns its index.
    #[inline]
    pub(crate) fn push_node(&self, mut node: Node<T>) -> u32 {
        let mut nodes = self.nodes.borrow_mut();
        let slot = nodes.len() as u32;
        node.tracked &= self.mode.get().recording;
        node.entry = self.push(T::ZERO, 0, slot, Step::Node);
        if is_failed(node.entry) {
            return node.entry;
        }
        nodes.push(node);
        slot
    }

    #[inline]
    pub(crate) fn with_node<R>(&self, slot: u32, read: impl FnOnce(&Node<T>) -> R) -> R {
        read(&self.nodes.borrow()[slot as usize])
    }

    /// The nodes. Nothing may be recorded while they are borrowed.
    #[inline]
    pub(crate) fn nodes(&self) -> Ref<'_, Vec<Node<T>>> {
        self.nodes.borrow()
    }

    pub(crate) fn node_count(&self) -> usize {
        self.nodes.borrow().len()
    }

    pub(crate) fn set_node_value(&self, slot: u32, value: Tensor<T>) {
        self.nodes.borrow_mut()[slot as usize].value = value;
    }

    pub(crate) fn node_value(&self, slot: u32) -> Tensor<T> {
        self.with_node(slot, |node| node.value.clone())
    }

    /// Has later sweeps find no gradient of a leaf.
    pub(crate) fn untrack(&self, slot: u32) {
        self.nodes.borrow_mut()[slot as usize].tracked = false;
    }

    pub(crate) fn save(&self, slot: u32, saved: Saved<T>) {
        if slot < LIMIT && !matches!(saved, Saved::Nothing) {
            self.saved.borrow_mut().push((slot, saved));
        }
    }

    /// Replaces what was saved without values.
    pub(crate) fn save_again(&self, slot: u32, kept: Saved<T>) {
        let mut saved = self.saved.borrow_mut();
        if let Ok(found) = saved.binary_search_by_key(&slot, |(slot, _)| *slot) {
            saved[found].1 = kept;
        }
    }

    /// What the operation of a node keeps, as a constant; in a recording for a program, as a result of that operation.
    pub(crate) fn kept(&self, of: u32, kept: Tensor<T>) -> Var<'_, T> {
        let (op, inputs) = match self.is_guarding() {
            true => (Op::Kept, Inputs::from_slice(&[Input::Node(of)])),
            false => (Op::Constant, Inputs::new()),
        };
        let location = self.with_node(of, |node| node.location);
        Var::new(self, self.push_node(Node::new(op, inputs, kept, location)))
    }

    pub(crate) fn saved(&self, slot: u32) -> Saved<T> {
        let saved = self.saved.borrow();
        let found = saved.binary_search_by_key(&slot, |(slot, _)| *slot);
        found.map_or(Saved::Nothing, |found| saved[found].1.clone())
    }

    pub(crate) fn gather(&self, scalars: impl Iterator<Item = u32>) -> (usize, usize) {
        let mut gathered = self.gathered.borrow_mut();
        let start = gathered.len();
        gathered.extend(scalars);
        (start, gathered.len() - start)
    }

    pub(crate) fn gathered(&self, start: usize, len: usize) -> SmallVec<[u32; 8]> {
        SmallVec::from_slice(&self.gathered.borrow()[start..start + len])
    }
}
