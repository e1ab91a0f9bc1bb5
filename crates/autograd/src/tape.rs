//! The recording: one list of entries in the order of execution, scalars in place and tensors in a table beside it.
//!
//! A scalar operation is one [`Entry`] of 24 bytes. A tensor operation is one [`Node`] and an entry that holds its place
//! in the order. Handles are indices into these lists; reading, sweeping and explaining a recording happens elsewhere.
//!
//! Invariant: an entry refers only to entries and nodes before it, so one pass backwards is a reverse sweep.
//! Invariant: a value on a tape never changes. In a recording for a program it may be missing until code looks at one
//! (`left_out.rs`).

pub(crate) mod counter;
mod entry;
mod failures;
mod guard;
mod integers;
mod left_out;
mod node;
mod params;

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::HashMap;
use std::panic::Location;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use entry::{CONSTANT, Entry, LIMIT, Opcode, Step};
pub(crate) use failures::is_failed;
pub(crate) use guard::{Guards, Subject};
pub(crate) use integers::{IntegerNode, Source};
use left_out::LeftOut;
pub(crate) use node::{Input, Inputs, Node};

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::ops::custom::CustomRule;
use crate::ops::{Op, Reshape, Saved};
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::buffer::has_room;
use crate::var::Var;

/// A recording of scalar and tensor operations.
///
/// Handles ([`Scalar`], [`Var`]) borrow the tape, so [`clear`](Tape::clear) is possible only when none is left.
///
/// A failed operation gives a failed handle, and so does every operation on one. `value`, `backward` and whatever else asks for
/// a result return the failure that it depends on; of several the earliest. A result that depends on none is not touched by
/// them. [`failures`](Tape::failures) lists what failed on the tape.
///
/// ```
/// use autograd::Tape;
///
/// let tape = Tape::<f64>::new();
/// let [x, y] = tape.scalars([3.0, 4.0]);
/// let gradients = (x * x + x * y).backward()?;
/// assert_eq!(gradients.of(x)?, 10.0);
/// # Ok::<(), autograd::Error>(())
/// ```
pub struct Tape<T: Float = f32> {
    id: RecordingId,
    entries: UnsafeCell<Vec<Entry<T>>>,
    /// Up to here entries are written without a further look: the capacity, or 0 where the mode wants a look at each.
    room: Cell<usize>,
    nodes: RefCell<Vec<Node<T>>>,
    integers: RefCell<Vec<IntegerNode>>,
    /// The entries gathered by `from_scalars`, referred to by range.
    gathered: RefCell<Vec<u32>>,
    /// What rules want to find again besides operands and value, by node, ascending; few nodes have any.
    saved: RefCell<Vec<(u32, Saved<T>)>>,
    customs: RefCell<Vec<Rc<dyn CustomRule<T>>>>,
    leaves: RefCell<HashMap<u64, u32>>,
    /// The nodes of handles that stand for parameters within a `with_params`.
    substitutes: RefCell<HashMap<u64, u32>>,
    names: RefCell<HashMap<u32, String>>,
    /// In their order; see `failures.rs`.
    failures: RefCell<Vec<Error>>,
    mode: Cell<Mode>,
    guards: RefCell<Guards<T>>,
    left_out: Cell<LeftOut>,
    locations: RefCell<Vec<&'static Location<'static>>>,
    /// The lengths of the recording at which sections began, ascending.
    sections: RefCell<Vec<usize>>,
    pub(crate) workspace: RefCell<crate::reverse::Workspace<T>>,
}

/// Which recording something belongs to: places on the same tape mean other things once it has been cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordingId {
    pub tape: u64,
    /// How often the tape had been cleared.
    pub cleared: u64,
}

impl RecordingId {
    /// Of none.
    pub const NONE: RecordingId = RecordingId { tape: u64::MAX, cleared: 0 };

    fn next_tape() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        RecordingId { tape: NEXT.fetch_add(1, Ordering::Relaxed), cleared: 0 }
    }
}

#[derive(Clone, Copy, PartialEq)]
struct Mode {
    /// Operations are differentiable; otherwise only their values are kept.
    recording: bool,
    /// Scalar entries keep the caller's line.
    locations: bool,
    /// What the code does with numbers besides recorded operations is remembered: the recording is for a program.
    guarding: bool,
    /// The code is a program's that runs on this tape once: what could not be replayed is refused, and nothing is remembered.
    once: bool,
    /// Operations on tensors are recorded without their values: there are none, or for a program they are computed at a look.
    hollow: bool,
}

impl Mode {
    const PLAIN: Mode = Mode { recording: true, locations: false, guarding: false, once: false, hollow: false };
}

impl<T: Float> Default for Tape<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Float> Tape<T> {
    /// An empty tape.
    pub fn new() -> Self {
        Tape {
            id: RecordingId::next_tape(),
            entries: UnsafeCell::new(Vec::new()),
            room: Cell::new(0),
            nodes: RefCell::default(),
            integers: RefCell::default(),
            gathered: RefCell::default(),
            saved: RefCell::default(),
            customs: RefCell::default(),
            leaves: RefCell::default(),
            substitutes: RefCell::default(),
            names: RefCell::default(),
            failures: RefCell::default(),
            mode: Cell::new(Mode::PLAIN),
            guards: RefCell::default(),
            left_out: Cell::default(),
            locations: RefCell::default(),
            sections: RefCell::default(),
            workspace: RefCell::default(),
        }
    }

    /// An empty tape that keeps the caller's line of every scalar operation too, for [`check`](Tape::check) and
    /// [`explain`](Tape::explain). Tensor operations always keep theirs.
    pub fn with_sites() -> Self {
        let tape = Self::new();
        tape.mode.set(Mode { locations: true, ..Mode::PLAIN });
        tape
    }

    /// An empty tape that records operations by their shapes and computes nothing, so that a model and an input of any size
    /// take no memory for it and no time.
    ///
    /// Operations check shapes and settings as ever, and indices not: they have no elements. Nor has anything else: to read
    /// a value or to sweep back on numbers is an error, a number that code branches on is NaN, and buffers, counters and
    /// generators of a model stay as they are. A custom operation has no rule for its shape; it is computed, of NaN.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::of_shapes();
    /// let images = tape.placeholder([1 << 20, 3, 224, 224]);
    /// let halved = images.avg_pool2d([2, 2], Default::default());
    /// assert_eq!(halved.shape(), [1 << 20, 3, 112, 112].into());
    /// assert!(halved.value().is_err());
    /// ```
    pub fn of_shapes() -> Self {
        let tape = Self::new();
        tape.mode.set(Mode { hollow: true, ..Mode::PLAIN });
        tape
    }

    /// An empty tape that remembers comparisons too. Operations on tensors are computed when code looks at values.
    pub(crate) fn guarding() -> Self {
        let tape = Self::new();
        tape.mode.set(Mode { guarding: true, hollow: true, ..Mode::PLAIN });
        tape
    }

    /// An empty tape for a program's code, run without being replayed afterwards.
    pub(crate) fn for_one_run() -> Self {
        let tape = Self::new();
        tape.mode.set(Mode { once: true, ..Mode::PLAIN });
        tape
    }

    /// A scalar variable.
    #[track_caller]
    #[inline]
    pub fn scalar(&self, value: T) -> Scalar<'_, T> {
        Scalar::on(self, value, 0, CONSTANT, Step::Leaf)
    }

    /// Scalar variables.
    #[track_caller]
    pub fn scalars<const N: usize>(&self, values: [T; N]) -> [Scalar<'_, T>; N] {
        values.map(|value| self.scalar(value))
    }

    /// A tensor variable: derivatives are taken of it.
    #[track_caller]
    pub fn var(&self, value: impl Into<Tensor<T>>) -> Var<'_, T> {
        self.leaf(value.into(), true, Location::caller())
    }

    /// Data: a tensor that no derivative is taken of.
    #[track_caller]
    pub fn constant(&self, value: impl Into<Tensor<T>>) -> Var<'_, T> {
        self.leaf(value.into(), false, Location::caller())
    }

    /// Data of which only the shape is known: what stands for an input on a tape [of shapes](Tape::of_shapes). Its elements
    /// are NaN.
    ///
    /// # Errors
    /// A shape of more elements than can be counted marks the tape.
    #[track_caller]
    pub fn placeholder(&self, shape: impl Into<Shape>) -> Var<'_, T> {
        let shape = shape.into();
        match shape.must_be_countable() {
            Ok(()) => self.constant(Tensor::absent(&shape)),
            Err(kind) => Var::new(self, self.fail(Error::new("placeholder", kind))),
        }
    }

    /// Data that is one number everywhere.
    #[track_caller]
    pub(crate) fn filled(&self, shape: impl Into<Shape>, number: T) -> Var<'_, T> {
        self.constant(if self.is_of_shapes() { Tensor::absent(&shape.into()) } else { Tensor::full(shape, number) })
    }

    /// A node with the value of `x` that derivatives are taken through, whether or not they are taken of `x`.
    pub(crate) fn tracked_copy<'t>(&'t self, x: Var<'t, T>) -> Var<'t, T> {
        if x.is_failed() {
            return x;
        }
        let value = self.node_value(x.slot);
        let op = Op::from(Reshape { to: value.shape().clone() });
        let inputs = Inputs::from_slice(&[Input::Node(x.slot)]);
        let location = self.with_node(x.slot, |node| node.location);
        Var::new(self, self.push_node(Node { tracked: true, ..Node::new(op, inputs, value, location) }))
    }

    /// Runs `f` without recording derivatives: what it computes are constants.
    pub fn no_grad<R>(&self, f: impl FnOnce() -> R) -> R {
        self.in_mode(Mode { recording: false, ..self.mode.get() }, f)
    }

    /// Whether operations are recorded without their values.
    #[inline]
    pub(crate) fn is_hollow(&self) -> bool {
        self.mode.get().hollow
    }

    /// Whether this was made by [`of_shapes`](Self::of_shapes), and constants have no elements either.
    #[inline]
    pub(crate) fn is_of_shapes(&self) -> bool {
        self.is_hollow() && !self.is_guarding()
    }

    /// # Errors
    /// On a tape of shapes.
    #[track_caller]
    pub(crate) fn must_have_elements(&self, op: &'static str) -> Result<()> {
        if self.is_of_shapes() { Err(Error::new(op, ErrorKind::NoElements)) } else { Ok(()) }
    }

    /// Begins a section of the recording: for a layer that calls others, all of which have its caller's line. Those who
    /// read the recording tell by it where one of them ends.
    pub fn section(&self) {
        self.sections.borrow_mut().push(self.len());
    }

    /// The section of an entry, counted from one; zero before the first.
    pub(crate) fn section_of(&self, entry: usize) -> usize {
        self.sections.borrow().partition_point(|&start| start <= entry)
    }

    /// Runs `f` recording derivatives, whatever is the mode around it.
    pub(crate) fn recording<R>(&self, f: impl FnOnce() -> R) -> R {
        self.in_mode(Mode { recording: true, ..self.mode.get() }, f)
    }

    /// Forgets the recording and its failures, and keeps the memory.
    pub fn clear(&mut self) {
        self.id.cleared += 1;
        self.entries.get_mut().clear();
        self.nodes.get_mut().clear();
        self.integers.get_mut().clear();
        self.gathered.get_mut().clear();
        self.saved.get_mut().clear();
        self.customs.get_mut().clear();
        self.leaves.get_mut().clear();
        self.names.get_mut().clear();
        self.locations.get_mut().clear();
        self.guards.get_mut().clear();
        self.left_out.set(LeftOut::default());
        self.sections.get_mut().clear();
        self.failures.get_mut().clear();
    }

    /// The number of recorded operations, variables and constants included.
    pub fn len(&self) -> usize {
        // SAFETY: the tape is not shared between threads, and no reference into the list outlives a method of the tape.
        unsafe { (*self.entries.get()).len() }
    }

    /// # Errors
    /// When memory has no room for so many more operations on tensors, each with a value of no elements.
    pub(crate) fn must_have_room(&self, operations: usize) -> Result<(), ErrorKind> {
        let bytes = operations.saturating_mul(size_of::<Entry<T>>() + size_of::<Node<T>>());
        match has_room(bytes) {
            true => Ok(()),
            false => Err(ErrorKind::Results { count: operations }),
        }
    }

    /// The bytes that the recorded operations take, without the numbers of tensors.
    pub fn bytes(&self) -> usize {
        self.len() * size_of::<Entry<T>>() + self.nodes.borrow().len() * size_of::<Node<T>>()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether operations are differentiable now.
    pub(crate) fn is_recording(&self) -> bool {
        self.mode.get().recording
    }

    pub(crate) fn id(&self) -> RecordingId {
        self.id
    }

    fn leaf(&self, value: Tensor<T>, tracked: bool, location: &'static Location<'static>) -> Var<'_, T> {
        let op = if tracked { Op::Leaf } else { Op::Constant };
        let node = Node { tracked, ..Node::new(op, Inputs::new(), value, location) };
        Var::new(self, self.push_node(node))
    }

    /// The line of an entry, if the tape keeps lines of scalars or the entry is a node's.
    pub(crate) fn location(&self, entry: usize) -> Option<&'static Location<'static>> {
        match self.entry(entry) {
            Entry { opcode: Opcode::Node, operand, .. } => Some(self.with_node(operand, |node| node.location)),
            Entry { opcode: Opcode::Integers, operand, .. } => Some(self.with_integers(operand, |node| node.location)),
            _ => self.locations.borrow().get(entry).copied(),
        }
    }

    pub(crate) fn add_custom(&self, rule: Rc<dyn CustomRule<T>>) -> u32 {
        let mut customs = self.customs.borrow_mut();
        customs.push(rule);
        (customs.len() - 1) as u32
    }

    pub(crate) fn custom(&self, index: u32) -> Rc<dyn CustomRule<T>> {
        self.customs.borrow()[index as usize].clone()
    }

    pub(crate) fn set_name(&self, slot: u32, name: String) {
        self.names.borrow_mut().insert(slot, name);
    }

    pub(crate) fn name(&self, slot: u32) -> Option<String> {
        self.names.borrow().get(&slot).cloned()
    }

    /// Runs `f` recording or not, and then forgets every operation that it wrote: for rules whose results are numbers.
    pub(crate) fn scratch<R>(&self, recording: bool, f: impl FnOnce() -> R) -> R {
        let (entries, nodes, customs) = (self.len(), self.node_count(), self.customs.borrow().len());
        let integers = self.integers.borrow().len();
        let (saved, gathered) = (self.saved.borrow().len(), self.gathered.borrow().len());
        let (names, leaves, sections) =
            (self.names.borrow().len(), self.leaves.borrow().len(), self.sections.borrow().len());
        let result = self.in_mode(Mode { recording, ..self.mode.get() }, f);
        // SAFETY: as in `push`.
        unsafe { (*self.entries.get()).truncate(entries) };
        self.nodes.borrow_mut().truncate(nodes);
        self.integers.borrow_mut().truncate(integers);
        self.customs.borrow_mut().truncate(customs);
        self.saved.borrow_mut().truncate(saved);
        self.gathered.borrow_mut().truncate(gathered);
        self.locations.borrow_mut().truncate(entries);
        self.guards.borrow_mut().tracked.truncate(entries);
        self.sections.borrow_mut().truncate(sections);
        // A look through a whole map is for the few rules that added to it.
        if self.names.borrow().len() > names {
            self.names.borrow_mut().retain(|&slot, _| (slot as usize) < nodes);
        }
        if self.leaves.borrow().len() > leaves {
            self.leaves.borrow_mut().retain(|_, &mut slot| (slot as usize) < nodes);
        }
        result
    }

    fn in_mode<R>(&self, mode: Mode, f: impl FnOnce() -> R) -> R {
        /// Restores the mode even if `f` unwinds.
        struct Restore<'a, T: Float>(&'a Tape<T>, Mode);
        impl<T: Float> Drop for Restore<'_, T> {
            fn drop(&mut self) {
                self.0.set_mode(self.1);
            }
        }
        let _restore = Restore(self, self.mode.get());
        self.set_mode(mode);
        f()
    }

    fn set_mode(&self, mode: Mode) {
        // SAFETY: as in `push`.
        let capacity = unsafe { (*self.entries.get()).capacity() };
        self.mode.set(mode);
        let is_plain = Mode { once: false, ..mode } == Mode::PLAIN;
        self.room.set(if is_plain { capacity } else { 0 });
    }
}

impl<T: Float> std::fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("len", &self.len()).field("failure", &self.failure()).finish()
    }
}
