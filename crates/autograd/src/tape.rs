//! The recording: one list of entries in the order of execution, scalars in place and tensors in a table beside it.
//!
//! A scalar operation is one [`Entry`] of 24 bytes. A tensor operation is one [`Node`] and an entry that holds its place
//! in the order. Handles are indices into these lists; reading, sweeping and explaining a recording happens elsewhere.
//!
//! Invariant: an entry refers only to entries and nodes before it, so one pass backwards is a reverse sweep.
//! Invariant: a value on a tape never changes.

use std::cell::{Cell, Ref, RefCell, UnsafeCell};
use std::collections::HashMap;
use std::panic::Location;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::ops::custom::CustomRule;
use crate::ops::elementwise::Elementwise;
use crate::ops::{Op, Reshape, Saved};
use crate::param::Param;
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use crate::var::Var;

/// The index of a number that is on no tape.
pub(crate) const CONSTANT: u32 = u32::MAX;
/// The index of the result of a failed operation.
pub(crate) const FAILED: u32 = u32::MAX - 1;
/// Indices of entries and nodes lie below.
pub(crate) const LIMIT: u32 = u32::MAX - 16;

/// One recorded scalar operation, or the place of a tensor operation in the order of execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<T> {
    pub value: T,
    /// The second operand: an index, or the bits of a constant (as `f64`), or the element that was read; for a function of
    /// one operand the bits of its slope.
    pub argument: u64,
    /// The first operand.
    pub operand: u32,
    pub step: Step,
}

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A variable: a number that derivatives are taken of.
    Leaf,
    /// One element of a tensor; `operand` is the node, `argument` the row-major index.
    Element,
    /// A tensor operation; `operand` is the node.
    Node,
    /// f(x).
    Unary(Elementwise),
    /// f(x, y).
    Both(Elementwise),
    /// f(x, c) with a constant c.
    Right(Elementwise),
    /// f(c, y) with a constant c.
    Left(Elementwise),
}

/// A comparison that code branched on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// The entry of the comparison.
    pub comparison: u32,
    pub holds: bool,
    /// The number that was taken out of the recording, if that is what the comparison is with.
    pub read: Option<u64>,
}

impl<T: Float> Entry<T> {
    #[inline(always)]
    pub fn constant(&self) -> T {
        T::from_f64(f64::from_bits(self.argument))
    }

    /// dy/dx of a function of one operand.
    #[inline(always)]
    pub fn slope(&self) -> T {
        T::from_f64(f64::from_bits(self.argument))
    }

    #[inline(always)]
    pub fn second(&self) -> usize {
        self.argument as usize
    }
}

/// An operand of a tensor operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input<T> {
    Node(u32),
    /// A plain number, which fits every shape.
    Number(T),
}

pub(crate) type Inputs<T> = SmallVec<[Input<T>; 4]>;

/// One recorded tensor operation, or one output of an operation with several.
#[derive(Debug)]
pub(crate) struct Node<T: Float> {
    pub op: Op,
    pub inputs: Inputs<T>,
    pub value: Tensor<T>,
    /// The caller's line.
    pub site: &'static Location<'static>,
    /// Its entry: its place in the order of execution.
    pub entry: u32,
    /// Whether a derivative can flow through it.
    pub tracked: bool,
}

impl<T: Float> Node<T> {
    /// A rule that its operation, or the derivative of it, breaks.
    pub fn error(&self, rule: Rule) -> Error {
        Error { op: self.op.name(), rule, site: self.site }
    }
}

/// A recording of scalar and tensor operations.
///
/// Handles ([`Scalar`], [`Var`]) borrow the tape, so [`clear`](Tape::clear) is possible only when none is left. A failed
/// operation marks the tape: its handle stays failed through later operations, and the first failure is what `value`
/// and `backward` return.
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
    id: u64,
    entries: UnsafeCell<Vec<Entry<T>>>,
    /// Up to here entries are written without a further look: the capacity, or 0 where the mode wants a look at each.
    room: Cell<usize>,
    nodes: RefCell<Vec<Node<T>>>,
    /// The entries gathered by `from_scalars`, referred to by range.
    gathered: RefCell<Vec<u32>>,
    /// What rules want to find again besides operands and value, by node, ascending; few nodes have any.
    saved: RefCell<Vec<(u32, Saved<T>)>>,
    customs: RefCell<Vec<Rc<dyn CustomRule<T>>>>,
    leaves: RefCell<HashMap<u64, u32>>,
    names: RefCell<HashMap<u32, String>>,
    failure: RefCell<Option<Error>>,
    mode: Cell<Mode>,
    guards: RefCell<Guards>,
    sites: RefCell<Vec<&'static Location<'static>>>,
    /// The lengths of the recording at which sections began, ascending.
    sections: RefCell<Vec<usize>>,
    pub(crate) workspace: RefCell<crate::reverse::Workspace<T>>,
}

#[derive(Clone, Copy, PartialEq)]
struct Mode {
    /// Operations are differentiable; otherwise only their values are kept.
    recording: bool,
    /// Scalar entries keep the caller's line.
    sites: bool,
    /// What the code does with numbers besides recorded operations is remembered: the recording is for a program.
    guarding: bool,
}

impl Mode {
    const PLAIN: Mode = Mode { recording: true, sites: false, guarding: false };
}

/// What a program must know of a recording besides its operations.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    /// In the order of execution.
    pub outcomes: Vec<Outcome>,
    /// Leaves that stand for entries without their history, with those entries.
    pub detached: Vec<(u32, u32)>,
}

impl<T: Float> Default for Tape<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Float> Tape<T> {
    /// An empty tape.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Tape {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            entries: UnsafeCell::new(Vec::new()),
            room: Cell::new(0),
            nodes: RefCell::default(),
            gathered: RefCell::default(),
            saved: RefCell::default(),
            customs: RefCell::default(),
            leaves: RefCell::default(),
            names: RefCell::default(),
            failure: RefCell::default(),
            mode: Cell::new(Mode::PLAIN),
            guards: RefCell::default(),
            sites: RefCell::default(),
            sections: RefCell::default(),
            workspace: RefCell::default(),
        }
    }

    /// An empty tape that keeps the caller's line of every scalar operation too, for [`check`](Tape::check) and
    /// [`explain`](Tape::explain). Tensor operations always keep theirs.
    pub fn with_sites() -> Self {
        let tape = Self::new();
        tape.mode.set(Mode { sites: true, ..Mode::PLAIN });
        tape
    }

    /// An empty tape that remembers comparisons too.
    pub(crate) fn guarding() -> Self {
        let tape = Self::new();
        tape.mode.set(Mode { guarding: true, ..Mode::PLAIN });
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

    /// A node with the value of `x` that derivatives are taken through, whether or not they are taken of `x`.
    pub(crate) fn tracked_copy<'t>(&'t self, x: Var<'t, T>) -> Var<'t, T> {
        if x.is_failed() {
            return x;
        }
        let value = self.node_value(x.slot);
        let op = Op::from(Reshape { to: value.shape().clone() });
        let inputs = Inputs::from_slice(&[Input::Node(x.slot)]);
        let site = self.with_node(x.slot, |node| node.site);
        Var::new(self, self.push_node(Node { op, inputs, value, site, entry: 0, tracked: true }))
    }

    /// A parameter of a model. Its tensor is shared, not copied; asking again gives the same handle. A frozen parameter
    /// is a constant.
    #[track_caller]
    pub fn param(&self, param: &Param<T>) -> Var<'_, T> {
        let tracked = param.is_trainable();
        // One that was frozen or trainable before, and no longer is, gets another handle.
        let known = self.leaves.borrow().get(&param.id()).copied();
        if let Some(slot) = known.filter(|&slot| self.with_node(slot, |node| node.tracked) == tracked) {
            return Var::new(self, slot);
        }
        let var = self.leaf(param.value().clone(), tracked, Location::caller());
        // Inside a scope without gradients the handle is a constant, and must not become the parameter's handle outside.
        if self.mode.get().recording && var.slot < LIMIT {
            self.leaves.borrow_mut().insert(param.id(), var.slot);
        }
        var
    }

    /// Runs `f` without recording derivatives: what it computes are constants.
    pub fn no_grad<R>(&self, f: impl FnOnce() -> R) -> R {
        self.in_mode(Mode { recording: false, ..self.mode.get() }, f)
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

    /// Forgets the recording and its failure, and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.get_mut().clear();
        self.nodes.get_mut().clear();
        self.gathered.get_mut().clear();
        self.saved.get_mut().clear();
        self.customs.get_mut().clear();
        self.leaves.get_mut().clear();
        self.names.get_mut().clear();
        self.sites.get_mut().clear();
        *self.guards.get_mut() = Guards::default();
        self.sections.get_mut().clear();
        *self.failure.get_mut() = None;
    }

    /// The number of recorded operations, variables and constants included.
    pub fn len(&self) -> usize {
        // SAFETY: the tape is not shared between threads, and no reference into the list outlives a method of the tape.
        unsafe { (*self.entries.get()).len() }
    }

    /// The bytes that the recorded operations take, without the numbers of tensors.
    pub fn bytes(&self) -> usize {
        self.len() * size_of::<Entry<T>>() + self.nodes.borrow().len() * size_of::<Node<T>>()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first operation that failed, if any did.
    pub fn failure(&self) -> Option<Error> {
        self.failure.borrow().clone()
    }

    /// Whether operations are differentiable now.
    pub(crate) fn is_recording(&self) -> bool {
        self.mode.get().recording
    }

    #[inline(always)]
    pub(crate) fn is_guarding(&self) -> bool {
        self.mode.get().guarding
    }

    /// Remembers that code branched on a comparison.
    #[cold]
    pub(crate) fn guard(&self, comparison: Scalar<'_, T>, holds: bool, read: Option<u64>) {
        if comparison.index < LIMIT {
            self.guards.borrow_mut().outcomes.push(Outcome { comparison: comparison.index, holds, read });
        }
    }

    /// Remembers that code took a number out of the recording: its path holds for that very number.
    #[cold]
    pub(crate) fn guard_number(&self, x: Scalar<'_, T>) {
        let read = Some(x.number.to_f64().to_bits());
        match x.number.is_nan() {
            true => self.guard(x.ne(x), true, read),
            false => self.guard(x.eq(x.number), true, read),
        }
        if x.number == T::ZERO {
            let sign = Scalar::constant(T::ONE).copysign(x);
            self.guard(sign.eq(sign.number), true, read);
        }
    }

    /// The index of a number without its history: of none at all, except for a program, whose number may change.
    #[inline]
    pub(crate) fn detached(&self, index: u32, number: T) -> u32 {
        if !self.is_guarding() {
            return CONSTANT;
        }
        let leaf = self.push(number, 0, CONSTANT, Step::Leaf);
        self.guards.borrow_mut().detached.push((leaf, index));
        leaf
    }

    pub(crate) fn guards(&self) -> Ref<'_, Guards> {
        self.guards.borrow()
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Writes an entry and returns its index, or [`CONSTANT`] where nothing is recorded.
    ///
    /// The fields go straight to their places: an entry put together on the stack first is read back in wider pieces
    /// than it was written in, and that costs more than the operation.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn push(&self, value: T, argument: u64, operand: u32, step: Step) -> u32 {
        // SAFETY: the tape is not shared between threads, and no reference into the list outlives a method of the tape.
        let entries = unsafe { &mut *self.entries.get() };
        let index = entries.len();
        if index >= self.room.get() {
            return self.push_rarely(value, argument, operand, step, Location::caller());
        }
        // SAFETY: the room is no more than the capacity, and all fields of the entry are written before it counts.
        unsafe {
            let entry = entries.as_mut_ptr().add(index);
            (&raw mut (*entry).value).write(value);
            (&raw mut (*entry).argument).write(argument);
            (&raw mut (*entry).operand).write(operand);
            (&raw mut (*entry).step).write(step);
            entries.set_len(index + 1);
        }
        index as u32
    }

    #[cold]
    #[inline(never)]
    fn push_rarely(&self, value: T, argument: u64, operand: u32, step: Step, site: &'static Location<'static>) -> u32 {
        let mode = self.mode.get();
        if !mode.recording && step != Step::Node && !mode.guarding {
            return CONSTANT;
        }
        // SAFETY: as in `push`.
        let entries = unsafe { &mut *self.entries.get() };
        if entries.len() == entries.capacity() && !grow(entries) {
            return self.fail(Error { op: "record", rule: Rule::TapeFull, site });
        }
        self.set_mode(mode);
        entries.push(Entry { value, argument, operand, step });
        if mode.sites {
            self.sites.borrow_mut().push(site);
        }
        let index = (entries.len() - 1) as u32;
        match mode.recording || matches!(step, Step::Node | Step::Leaf) {
            true => index,
            false => self.detached(index, value),
        }
    }

    /// Writes a node and returns its index.
    pub(crate) fn push_node(&self, mut node: Node<T>) -> u32 {
        let mut nodes = self.nodes.borrow_mut();
        let slot = nodes.len() as u32;
        node.tracked &= self.mode.get().recording;
        node.entry = self.push(T::ZERO, 0, slot, Step::Node);
        if node.entry == FAILED {
            return FAILED;
        }
        nodes.push(node);
        slot
    }

    fn leaf(&self, value: Tensor<T>, tracked: bool, site: &'static Location<'static>) -> Var<'_, T> {
        let op = if tracked { Op::Leaf } else { Op::Constant };
        let node = Node { op, inputs: Inputs::new(), value, site, entry: 0, tracked };
        Var::new(self, self.push_node(node))
    }

    /// Marks the tape, unless it is marked already, and gives the index of a failed handle.
    #[cold]
    pub(crate) fn fail(&self, error: Error) -> u32 {
        self.failure.borrow_mut().get_or_insert(error);
        FAILED
    }

    /// Names a method of which the failed operation is a part, if it failed at the line that called the method.
    #[cold]
    pub(crate) fn failed_in(&self, op: &'static str, site: &'static Location<'static>) {
        if let Some(failure) = self.failure.borrow_mut().as_mut().filter(|failure| failure.site == site) {
            failure.op = op;
        }
    }

    #[inline(always)]
    pub(crate) fn entry(&self, index: usize) -> Entry<T> {
        // SAFETY: as in `push`; the entry is copied out.
        unsafe { (&*self.entries.get())[index] }
    }

    /// The entries up to `end`. Nothing may be recorded while they are read.
    #[inline]
    pub(crate) fn with_entries<R>(&self, end: usize, read: impl FnOnce(&[Entry<T>]) -> R) -> R {
        // SAFETY: as in `push`, and `read` writes no entry.
        read(unsafe { &(&*self.entries.get())[..end] })
    }

    /// The line of an entry, if the tape keeps lines of scalars or the entry is a node's.
    pub(crate) fn site(&self, entry: usize) -> Option<&'static Location<'static>> {
        match self.entry(entry) {
            Entry { step: Step::Node, operand, .. } => Some(self.with_node(operand, |node| node.site)),
            _ => self.sites.borrow().get(entry).copied(),
        }
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

    pub(crate) fn node_value(&self, slot: u32) -> Tensor<T> {
        self.with_node(slot, |node| node.value.clone())
    }

    pub(crate) fn save(&self, slot: u32, saved: Saved<T>) {
        if slot < LIMIT && !matches!(saved, Saved::Nothing) {
            self.saved.borrow_mut().push((slot, saved));
        }
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

    /// The node that holds a parameter in this recording.
    pub(crate) fn slot_of(&self, param: u64) -> Option<u32> {
        self.leaves.borrow().get(&param).copied()
    }

    /// Shows every parameter on the tape with its node.
    pub(crate) fn for_each_param(&self, mut show: impl FnMut(u64, u32)) {
        self.leaves.borrow().iter().for_each(|(&id, &slot)| show(id, slot));
    }

    /// Runs `f` recording or not, and then forgets every operation that it wrote: for rules whose results are numbers.
    pub(crate) fn scratch<R>(&self, recording: bool, f: impl FnOnce() -> R) -> R {
        let (entries, nodes, customs) = (self.len(), self.node_count(), self.customs.borrow().len());
        let (saved, gathered) = (self.saved.borrow().len(), self.gathered.borrow().len());
        let (names, leaves, sections) =
            (self.names.borrow().len(), self.leaves.borrow().len(), self.sections.borrow().len());
        let result = self.in_mode(Mode { recording, ..self.mode.get() }, f);
        // SAFETY: as in `push`.
        unsafe { (*self.entries.get()).truncate(entries) };
        self.nodes.borrow_mut().truncate(nodes);
        self.customs.borrow_mut().truncate(customs);
        self.saved.borrow_mut().truncate(saved);
        self.gathered.borrow_mut().truncate(gathered);
        self.sites.borrow_mut().truncate(entries);
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
        self.room.set(if mode == Mode::PLAIN { capacity } else { 0 });
    }

    /// The failure that stopped a handle, as a result.
    pub(crate) fn failed<R>(&self) -> Result<R> {
        Err(self.failure().unwrap_or_else(|| Error::new("value", Rule::NoTape)))
    }
}

/// Makes room for more entries; false at the limit.
#[cold]
fn grow<T>(entries: &mut Vec<Entry<T>>) -> bool {
    let room = LIMIT as usize - entries.len();
    let more = entries.len().max(64).min(room);
    entries.reserve_exact(more);
    more > 0
}

impl<T: Float> std::fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("len", &self.len()).field("failure", &self.failure()).finish()
    }
}
