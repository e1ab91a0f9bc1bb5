//! What code does with numbers besides recorded operations: comparisons that it branches on, numbers that it takes out; and
//! what is no number of the recording: draws, buffers of a model, indices.

use std::cell::{Cell, Ref};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::Location;
use std::rc::Rc;

use super::{CONSTANT, LIMIT, Step, Tape};
use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::param::Buffer;
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use crate::var::Var;

/// A comparison that code branched on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome<T> {
    pub subject: Subject<T>,
    pub holds: bool,
    /// The number that was taken out of the recording, or a hash of the elements, if that is what the comparison is with.
    pub read: Option<u64>,
}

/// What was compared.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<T> {
    /// An entry that is a comparison.
    Comparison(u32),
    /// The elements of a node, with themselves.
    Tensor(u32),
    /// Whether all elements of a node pass a test.
    All(u32, fn(T) -> bool),
    /// Given indices, with themselves.
    Given(usize),
    /// The indices that the operation of a node has found, with themselves.
    Found(u32),
}

impl<T> Subject<T> {
    /// Whether both are the same elements that were read.
    fn is_read_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Subject::Tensor(a), Subject::Tensor(b)) => a == b,
            (Subject::Given(a), Subject::Given(b)) => a == b,
            (Subject::Found(a), Subject::Found(b)) => a == b,
            _ => false,
        }
    }
}

fn hash(elements: impl Iterator<Item = impl Hash>) -> u64 {
    let mut hasher = DefaultHasher::new();
    elements.for_each(|element| element.hash(&mut hasher));
    hasher.finish()
}

/// What a program must know of a recording besides its operations.
#[derive(Debug)]
pub(crate) struct Guards<T: Float> {
    /// In the order of execution.
    pub outcomes: Vec<Outcome<T>>,
    /// Tensors that code looked at, by node.
    pub read: HashMap<u32, Tensor<T>>,
    /// Leaves that stand for entries without their history, with those entries.
    pub detached: Vec<(u32, u32)>,
    /// Indices that are arguments.
    pub given: Vec<Tensor<usize>>,
    /// What is drawn anew, by node.
    pub drawn: Vec<(u32, Rc<Drawn<T>>)>,
    /// The buffers of the model that is an argument, with their nodes.
    pub buffers: Vec<(*const Buffer<T>, u32)>,
    /// Buffers that get another value, by their place in the list, with the node that holds it.
    pub written: Vec<(usize, u32)>,
}

impl<T: Float> Default for Guards<T> {
    fn default() -> Self {
        Guards {
            outcomes: Vec::new(),
            read: HashMap::new(),
            detached: Vec::new(),
            given: Vec::new(),
            drawn: Vec::new(),
            buffers: Vec::new(),
            written: Vec::new(),
        }
    }
}

impl<T: Float> Guards<T> {
    /// Forgets all, and keeps the memory.
    pub fn clear(&mut self) {
        self.outcomes.clear();
        self.read.clear();
        self.detached.clear();
        self.given.clear();
        self.drawn.clear();
        self.buffers.clear();
        self.written.clear();
    }
}

/// Something that is drawn anew each time a program runs. What was drawn for the recording is for the run that follows it.
pub(crate) struct Drawn<T: Float> {
    first: Cell<Option<Tensor<T>>>,
    draw: Box<dyn Fn() -> Result<Tensor<T>, Rule>>,
}

impl<T: Float> Drawn<T> {
    pub fn next(&self) -> Result<Tensor<T>, Rule> {
        self.first.take().map_or_else(|| (self.draw)(), Ok)
    }
}

impl<T: Float> std::fmt::Debug for Drawn<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("drawn")
    }
}

impl<T: Float> Tape<T> {
    /// A tensor that is drawn, such as a mask of dropout: data, and in a [`Program`](crate::Program) drawn anew for every run.
    ///
    /// ```
    /// use autograd::{Program, Tensor};
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use std::cell::RefCell;
    /// use std::rc::Rc;
    ///
    /// let rng = Rc::new(RefCell::new(StdRng::seed_from_u64(1)));
    /// let mut noisy = Program::record(&2.0_f64, move |tape, x| {
    ///     let rng = rng.clone();
    ///     x * tape.drawn(move || Ok(Tensor::normal([1], 0.0, 1.0, &mut *rng.borrow_mut()))).item()
    /// })?;
    /// assert_ne!(noisy.value(&2.0)?, noisy.value(&2.0)?);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `draw` returns.
    #[track_caller]
    pub fn drawn(&self, draw: impl Fn() -> Result<Tensor<T>, Rule> + 'static) -> Var<'_, T> {
        let site = Location::caller();
        let value = match draw() {
            Ok(value) => value,
            Err(rule) => return Var::new(self, self.fail(Error { op: "drawn", rule, site })),
        };
        let var = self.leaf(value.clone(), false, site);
        if self.is_guarding() && !var.is_failed() {
            let drawn = Drawn { first: Cell::new(Some(value)), draw: Box::new(draw) };
            self.guards.borrow_mut().drawn.push((var.slot, Rc::new(drawn)));
        }
        var
    }

    /// The value of a buffer of a model, as data.
    #[track_caller]
    pub fn buffer(&self, buffer: &Buffer<T>) -> Var<'_, T> {
        match self.guards.borrow().buffers.iter().find(|(known, _)| std::ptr::eq(*known, buffer)) {
            Some(&(_, slot)) => Var::new(self, slot),
            None => self.leaf(buffer.value(), false, Location::caller()),
        }
    }

    /// Gives a buffer of a model a new value; in a [`ModelProgram`](crate::ModelProgram) every run does.
    ///
    /// # Errors
    /// In a program of which the model is no argument.
    #[track_caller]
    pub fn set_buffer(&self, buffer: &Buffer<T>, value: Var<'_, T>) {
        if value.is_failed() {
            return;
        }
        let mut guards = self.guards.borrow_mut();
        match guards.buffers.iter().position(|(known, _)| std::ptr::eq(*known, buffer)) {
            Some(place) => {
                guards.buffers[place].1 = value.slot;
                guards.written.retain(|&(other, _)| other != place);
                guards.written.push((place, value.slot));
            }
            None if !self.is_for_program() => buffer.set(self.node_value(value.slot)),
            None => {
                let why = "a layer changes a buffer; `ModelProgram` takes the model as an argument".to_string();
                self.fail(Error::new("set_buffer", Rule::NotReplayable { why }));
            }
        }
    }

    /// A buffer of the model that is an argument, and the node that holds it: it gets its new value when the run has succeeded.
    pub(crate) fn know_buffer(&self, buffer: &Buffer<T>, slot: u32) {
        self.guards.borrow_mut().buffers.push((&raw const *buffer, slot));
    }

    /// Indices that are an argument of the function that is recorded.
    pub(crate) fn know_indices(&self, indices: &Tensor<usize>) {
        if self.is_guarding() {
            self.guards.borrow_mut().given.push(indices.clone());
        }
    }

    /// Remembers that code looked at indices, if they are an argument or were found: its path holds for these very indices.
    pub(crate) fn guard_indices(&self, indices: &Tensor<usize>) {
        // All empty lists may have one address, and none has anything to show.
        if !self.is_guarding() || indices.is_empty() {
            return;
        }
        let place = self.guards.borrow().given.iter().position(|given| given.address() == indices.address());
        let subject = place.map(Subject::Given).or_else(|| self.finder(indices).map(Subject::Found));
        if let Some(subject) = subject {
            self.guard_read(subject, || hash(indices.iter()));
        }
    }

    /// Whether the recording is for a [`Program`](crate::Program): what is drawn must come from [`drawn`](Self::drawn), to be
    /// drawn anew in every run.
    #[inline(always)]
    pub fn is_for_program(&self) -> bool {
        let mode = self.mode.get();
        mode.guarding | mode.once
    }

    /// Whether what the code does besides recorded operations is remembered.
    #[inline(always)]
    pub(crate) fn is_guarding(&self) -> bool {
        self.mode.get().guarding
    }

    /// Remembers that code branched on a comparison.
    #[cold]
    pub(crate) fn guard(&self, comparison: Scalar<'_, T>, holds: bool, read: Option<u64>) {
        if comparison.index < LIMIT {
            let subject = Subject::Comparison(comparison.index);
            self.guards.borrow_mut().outcomes.push(Outcome { subject, holds, read });
        }
    }

    /// Remembers that code looked at the elements of a tensor: its path holds for these very elements.
    #[cold]
    pub(crate) fn guard_elements(&self, slot: u32) {
        let value = self.node_value(slot);
        self.guard_read(Subject::Tensor(slot), || hash(value.iter().map(|x| x.to_f64().to_bits())));
        self.guards.borrow_mut().read.entry(slot).or_insert(value);
    }

    /// Remembers once that the path holds for what was read, by its hash.
    fn guard_read(&self, subject: Subject<T>, hash: impl FnOnce() -> u64) {
        let outcomes = &mut self.guards.borrow_mut().outcomes;
        if !outcomes.iter().any(|outcome| outcome.subject.is_read_of(&subject)) {
            outcomes.push(Outcome { subject, holds: true, read: Some(hash()) });
        }
    }

    /// Whether all elements of a node pass a test: what a rule may branch on.
    pub(crate) fn all(&self, slot: u32, test: fn(T) -> bool) -> bool {
        let holds = self.with_node(slot, |node| node.value.iter().all(test));
        if self.is_guarding() {
            self.guards.borrow_mut().outcomes.push(Outcome { subject: Subject::All(slot, test), holds, read: None });
        }
        holds
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

    /// # Errors
    /// In a recording for a program: what a sweep on numbers finds would be a constant there.
    #[track_caller]
    pub(crate) fn refuse_numbers(&self, op: &'static str) -> Result<()> {
        if !self.is_for_program() {
            return Ok(());
        }
        let why = "its results are numbers outside of the recording; `grad` records a derivative".to_string();
        Err(Error::new(op, Rule::NotReplayable { why }))
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

    pub(crate) fn guards(&self) -> Ref<'_, Guards<T>> {
        self.guards.borrow()
    }
}
