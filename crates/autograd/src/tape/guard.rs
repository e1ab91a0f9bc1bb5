//! What code does with numbers besides recorded operations: comparisons that it branches on, numbers that it takes out; and
//! what belongs to a model besides parameters: buffers, generators.

use std::cell::Ref;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::Location;

use super::counter::Counting;
use super::{CONSTANT, LIMIT, Source, Step, Tape};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::indices::Indices;
use crate::ops::integers::{IntegerOp, seed};
use crate::param::{Buffer, Generator};
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;
use crate::var::Var;

/// A comparison that code branched on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub subject: Subject,
    pub holds: bool,
    /// The number that was taken out of the recording, or a hash of the elements, if that is what the comparison is with.
    pub read: Option<u64>,
}

/// What was compared.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    /// An entry that is a comparison.
    Comparison(u32),
    /// The elements of a node, with themselves.
    Tensor(u32),
    /// Integers, with themselves.
    Integers(u32),
}

impl Subject {
    /// Whether both are the same elements that were read.
    fn is_read_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Subject::Tensor(a), Subject::Tensor(b)) => a == b,
            (Subject::Integers(a), Subject::Integers(b)) => a == b,
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
    pub outcomes: Vec<Outcome>,
    /// Tensors that code looked at, by node.
    pub read: HashMap<u32, Tensor<T>>,
    /// Leaves that stand for entries without their history, with those entries.
    pub detached: Vec<(u32, u32)>,
    /// Whether derivatives are taken of each entry. On other tapes a number that they are not taken of has no entry.
    pub tracked: Vec<bool>,
    /// The buffers of the model that is an argument, with their nodes.
    pub buffers: Vec<(*const Buffer<T>, u32)>,
    /// Buffers that get another value, by their place in the list, with the node that holds it.
    pub written: Vec<(usize, u32)>,
    /// The counters of the model.
    pub counters: Vec<Counting>,
    /// The generators of the model.
    pub generators: Vec<Drawing>,
}

/// A generator of the model that a program is recorded of.
#[derive(Debug)]
pub(crate) struct Drawing {
    generator: *const Generator,
    /// The integers that hold its key, and how many seeds had been taken before.
    state: u32,
    /// How many a run takes.
    pub draws: u64,
}

impl<T: Float> Default for Guards<T> {
    fn default() -> Self {
        Guards {
            outcomes: Vec::new(),
            read: HashMap::new(),
            detached: Vec::new(),
            tracked: Vec::new(),
            buffers: Vec::new(),
            written: Vec::new(),
            counters: Vec::new(),
            generators: Vec::new(),
        }
    }
}

impl<T: Float> Guards<T> {
    /// Forgets all, and keeps the memory.
    pub fn clear(&mut self) {
        self.outcomes.clear();
        self.read.clear();
        self.detached.clear();
        self.tracked.clear();
        self.buffers.clear();
        self.written.clear();
        self.counters.clear();
        self.generators.clear();
    }
}

impl<T: Float> Tape<T> {
    /// The value of a buffer of a model, as data.
    #[track_caller]
    pub fn buffer(&self, buffer: &Buffer<T>) -> Var<'_, T> {
        let known =
            self.guards.borrow().buffers.iter().find(|(known, _)| std::ptr::eq(*known, buffer)).map(|known| known.1);
        match known {
            Some(slot) => Var::new(self, slot),
            None => self.leaf(buffer.value(), false, Location::caller()),
        }
    }

    /// Gives a buffer of a model a new value; in a [`ModelProgram`](crate::ModelProgram) every run does.
    ///
    /// # Errors
    /// In a program of which the model is no argument.
    #[track_caller]
    pub fn set_buffer(&self, buffer: &Buffer<T>, value: Var<'_, T>) {
        if value.is_failed() || self.is_of_shapes() {
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
                self.fail(Error::new("set_buffer", ErrorKind::NotReplayable { why }));
            }
        }
    }

    /// Puts a buffer of the model that a program is recorded of on the tape.
    pub(crate) fn know_buffer(&self, buffer: &Buffer<T>) {
        let slot = self.constant(buffer.value()).slot;
        self.guards.borrow_mut().buffers.push((buffer, slot));
    }

    /// Puts a generator of the model that a program is recorded of on the tape, by its state.
    pub(crate) fn know_generator(&self, generator: &Generator, state: Tensor<usize>) {
        let state = self.indices(state).slot;
        self.guards.borrow_mut().generators.push(Drawing { generator, state, draws: 0 });
    }

    /// The next seed of a generator.
    ///
    /// # Errors
    /// In a program of which the model is no argument.
    #[track_caller]
    pub(crate) fn draw_from(&self, generator: &Generator) -> Indices<'_, T> {
        if self.is_of_shapes() {
            let absent = Integers::absent(&Shape::default());
            return Indices {
                tape: self,
                slot: self.push_integers(IntegerOp::Seed { draw: 0 }, Source::Nothing, absent),
            };
        }
        if !self.is_for_program() {
            let seed = seed(generator.key(), generator.take(1));
            return Indices { tape: self, slot: self.push_integers(IntegerOp::Leaf, Source::Nothing, seed) };
        }
        let next = |drawing: &mut Drawing| {
            drawing.draws += 1;
            (drawing.state, IntegerOp::Seed { draw: drawing.draws - 1 })
        };
        let is_it = |drawing: &&mut Drawing| std::ptr::eq(drawing.generator, generator);
        let found = self.guards.borrow_mut().generators.iter_mut().find(is_it).map(next);
        let seed = found.map(|(state, op)| self.integers_of(state, op));
        match seed {
            Some(Ok(slot)) => Indices { tape: self, slot },
            Some(Err(kind)) => Indices::failed(self, Error::new("draw", kind)),
            None => {
                let why = "a layer draws from a generator; `ModelProgram` takes the model as an argument".to_string();
                Indices::failed(self, Error::new("draw", ErrorKind::NotReplayable { why }))
            }
        }
    }

    /// Remembers that code looked at integers: its path holds for these very ones.
    pub(crate) fn guard_integers(&self, slot: u32) {
        if self.is_guarding() {
            self.guard_read(Subject::Integers(slot), || hash(self.list(slot).iter()));
        }
    }

    /// Whether the recording is for a [`Program`](crate::Program).
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

    /// Remembers that code branched on a comparison, and says whether it holds.
    #[cold]
    pub(crate) fn guard(&self, comparison: Scalar<'_, T>) -> bool {
        // What fails here fails the recording.
        let _ = self.look();
        self.guard_outcome(comparison, None)
    }

    fn guard_outcome(&self, comparison: Scalar<'_, T>, read: Option<u64>) -> bool {
        let holds = self.number_of(comparison) != T::ZERO;
        if comparison.index < LIMIT {
            let subject = Subject::Comparison(comparison.index);
            self.guards.borrow_mut().outcomes.push(Outcome { subject, holds, read });
        }
        holds
    }

    /// Remembers that code looked at the elements of a tensor: its path holds for these very elements.
    #[cold]
    pub(crate) fn guard_elements(&self, slot: u32) {
        let value = self.node_value(slot);
        self.guard_read(Subject::Tensor(slot), || hash(value.iter().map(|x| x.to_f64().to_bits())));
        self.guards.borrow_mut().read.entry(slot).or_insert(value);
    }

    /// Remembers once that the path holds for what was read, by its hash.
    fn guard_read(&self, subject: Subject, hash: impl FnOnce() -> u64) {
        let outcomes = &mut self.guards.borrow_mut().outcomes;
        if !outcomes.iter().any(|outcome| outcome.subject.is_read_of(&subject)) {
            outcomes.push(Outcome { subject, holds: true, read: Some(hash()) });
        }
    }

    /// A number that code takes out of the recording: its path holds for that very number.
    #[cold]
    pub(crate) fn guarded_number(&self, x: Scalar<'_, T>) -> T {
        // What fails here fails the recording.
        let _ = self.look();
        let number = self.number_of(x);
        // Handles that carry it, whatever the one that was given does.
        let x = Scalar { number, ..x };
        let read = Some(number.to_f64().to_bits());
        match number.is_nan() {
            true => self.guard_outcome(x.ne(x), read),
            false => self.guard_outcome(x.eq(number), read),
        };
        if number == T::ZERO {
            let sign = Scalar::constant(T::ONE).copysign(x);
            self.guard_outcome(sign.eq(sign.number), read);
        }
        number
    }

    /// # Errors
    /// In a recording for a program: what a sweep on numbers finds would be a constant there.
    #[track_caller]
    pub(crate) fn refuse_numbers(&self, op: &'static str) -> Result<()> {
        self.refuse(op, "its results are numbers outside of the recording; `grad` records a derivative")
    }

    /// # Errors
    /// In a recording for a program: a report shows the numbers of one input.
    #[track_caller]
    pub(crate) fn refuse_report(&self, op: &'static str) -> Result<()> {
        self.refuse(
            op,
            "it shows numbers of this one recording; record the function on a tape of its own, and ask there",
        )
    }

    /// Marks a recording for a program too, so that code which goes on without the result is no program either.
    #[track_caller]
    fn refuse(&self, op: &'static str, why: &str) -> Result<()> {
        self.must_have_elements(op)?;
        if !self.is_for_program() {
            return Ok(());
        }
        let error = Error::new(op, ErrorKind::NotReplayable { why: why.into() });
        self.fail(error.clone());
        Err(error)
    }

    /// The index of a number without its history: of none at all, except for a program, whose number may change.
    #[inline]
    pub(crate) fn detached(&self, index: u32, number: T) -> u32 {
        if !self.is_guarding() {
            return CONSTANT;
        }
        let leaf = self.data(number);
        if leaf < LIMIT {
            self.guards.borrow_mut().detached.push((leaf, index));
        }
        leaf
    }

    /// The entry that a leaf stands for without its history.
    pub(crate) fn source_of_detached(&self, leaf: u32) -> Option<u32> {
        let detached = &self.guards.borrow().detached;
        detached.binary_search_by_key(&leaf, |(leaf, _)| *leaf).ok().map(|found| detached[found].1)
    }

    /// The index of a number that no derivative is taken of, as [`detached`](Self::detached).
    #[inline]
    #[track_caller]
    pub(crate) fn data(&self, number: T) -> u32 {
        if !self.is_guarding() {
            return CONSTANT;
        }
        let leaf = self.push(number, 0, CONSTANT, Step::Leaf);
        if let Some(tracked) = self.guards.borrow_mut().tracked.get_mut(leaf as usize) {
            *tracked = false;
        }
        leaf
    }

    /// Remembers, for a program, whether derivatives are taken of the entry that is written last.
    pub(super) fn remember_tracked(&self, argument: u64, operand: u32, step: Step) {
        let mut guards = self.guards.borrow_mut();
        let is_tracked = |index: u32| guards.tracked[index as usize];
        let tracked = match step {
            Step::Leaf | Step::Node => true,
            Step::Integers => false,
            Step::Element => self.with_node(operand, |node| node.tracked),
            Step::Unary(_) | Step::Right(_) | Step::Left(_) => is_tracked(operand),
            Step::Both(_) => is_tracked(operand) || is_tracked(argument as u32),
        };
        guards.tracked.push(tracked);
    }

    /// Whether derivatives are taken of a number.
    #[inline]
    pub(crate) fn is_tracked_number(&self, index: u32) -> bool {
        index < LIMIT && (!self.is_guarding() || self.guards.borrow().tracked[index as usize])
    }

    pub(crate) fn guards(&self) -> Ref<'_, Guards<T>> {
        self.guards.borrow()
    }
}
