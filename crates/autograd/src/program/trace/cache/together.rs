//! Many inputs that run together in lanes, and again by groups where they leave the path on which they began.

use std::ops::Range;

use smallvec::{SmallVec, smallvec};

use crate::error::Result;
use crate::float::Float;
use crate::program::Data;
use crate::program::execution::executable::NumberExecutable;
use crate::program::trace::budget::Budget;
use crate::program::trace::cache::choice::Choice;
use crate::program::trace::cache::single::{Again, Tried};
use crate::program::trace::cache::{PathCache, ResultKind, TracedFunction};

/// Inputs with the first comparison that came out differently on the path that they ran on.
pub(in crate::program) type SideExits = Vec<(usize, u32)>;

/// Appends the numbers of one of many inputs.
pub(in crate::program) type LoadOne<'l, T> = dyn FnMut(usize, &mut Vec<T>) + 'l;

/// Inputs that left a path.
pub(in crate::program) enum Rerun<'r, T: Float> {
    /// To be run on another; those that leave it too are added to the last list.
    On(&'r NumberExecutable<T>, &'r [usize], &'r mut SideExits),
    /// One that was run alone, with its results.
    Done(usize, &'r Data<T>),
}

/// Inputs that have left some paths, and try another one.
struct ExitGroup {
    tried: Tried,
    next: usize,
    inputs: Vec<usize>,
}

/// How some inputs begin.
pub(in crate::program) enum Begun<'r, T: Float> {
    /// They may be on this path.
    On(usize),
    /// The first was run alone, with these results.
    Done(&'r Data<T>),
}

/// An input among many that has left so many paths is recorded, or runs on the tape.
const MAX_TRIES: usize = 3;

impl<T: Float> PathCache<T> {
    /// Begins with some inputs, which are to run together in lanes.
    #[track_caller]
    pub fn begin(
        &mut self,
        kind: ResultKind,
        (inputs, load): (&Range<usize>, &mut LoadOne<'_, T>),
        function: &mut dyn TracedFunction<T>,
        budget: &mut Budget,
    ) -> Result<Begun<'_, T>> {
        let mut choice = match self.expects_tensors(kind) {
            true => self.choose(kind, budget),
            false => self.choose_together(kind, inputs.len(), budget),
        };
        let runs_in_lanes = |paths: &Self, choice| match choice {
            Choice::Replay(at) => paths.in_lanes(at, kind).map(|_| at),
            _ => None,
        };
        if let Some(at) = runs_in_lanes(self, choice) {
            return Ok(Begun::On(at));
        }
        let data = self.load(inputs.start, load);
        if let Choice::Record = choice {
            choice = Choice::Replay(self.record(kind, &data.numbers, function, budget)?);
        }
        match runs_in_lanes(self, choice) {
            Some(at) => {
                self.alone = data;
                Ok(Begun::On(at))
            }
            None => {
                self.follow_choice(kind, (choice, None), &data, function, budget)?;
                self.alone = data;
                Ok(Begun::Done(&self.results))
            }
        }
    }

    /// The numbers of one of many inputs.
    fn load(&mut self, input: usize, load: &mut LoadOne<'_, T>) -> Data<T> {
        let mut data = std::mem::take(&mut self.alone);
        data.clear();
        load(input, &mut data.numbers);
        data
    }

    /// How many inputs have stayed on a path, since others left it.
    pub fn trusted(&self, at: usize, kind: ResultKind) -> usize {
        let uses = self.code(at, kind).map_or(0, |run| run.uses);
        if self.pauses[kind as usize].has_failed() { 0 } else { uses }
    }

    /// Whether no path is known that an input may be on which has left one.
    pub fn is_new(&self, kind: ResultKind, at: usize, ordinal: u32) -> bool {
        self.turned(kind, at, ordinal, &[]).is_none()
    }

    /// Notes what became of some inputs that ran together on a path.
    fn count_together(&mut self, kind: ResultKind, at: usize, [inputs, side_exits]: [usize; 2], budget: &mut Budget) {
        self.counts.side_exits += side_exits;
        let cost = self.code(at, kind).map_or(0, |run| run.costs.in_lanes(inputs));
        budget.waste(cost * side_exits as u64);
        self.count_held(kind, at, inputs - side_exits, inputs, budget);
    }

    /// Takes in what became of some inputs that ran together on the path `at`, and runs those that left it again, path by path,
    /// until each has run on its own or alone.
    #[track_caller]
    pub fn regroup(
        &mut self,
        kind: ResultKind,
        (at, inputs): (usize, usize),
        mut side_exits: SideExits,
        load: &mut dyn FnMut(usize, &mut Vec<T>),
        (function, budget): (&mut dyn TracedFunction<T>, &mut Budget),
        rerun: &mut dyn FnMut(Rerun<'_, T>),
    ) -> Result<()> {
        self.count_together(kind, at, [inputs, side_exits.len()], budget);
        if side_exits.is_empty() {
            self.pauses[kind as usize].succeed();
            self.last[kind as usize] = at;
            return Ok(());
        }
        let eager = self.counts.eager;
        // The path that most inputs take is where the next ones begin.
        let mut most = (inputs - side_exits.len(), at);
        side_exits.sort_unstable();
        let mut waiting: SmallVec<[ExitGroup; 1]> =
            smallvec![ExitGroup { tried: SmallVec::new(), next: at, inputs: Vec::new() }];
        while let Some(ExitGroup { mut tried, next: at, inputs }) = waiting.pop() {
            match self.in_lanes(at, kind) {
                // Those that are given have run.
                Some(_) if tried.is_empty() => {}
                Some(ready) => {
                    rerun(Rerun::On(ready, &inputs, &mut side_exits));
                    self.count_together(kind, at, [inputs.len(), side_exits.len()], budget);
                    most = most.max((inputs.len() - side_exits.len(), at));
                }
                // It has tensors, or was forgotten meanwhile.
                None => {
                    for input in inputs {
                        let data = self.load(input, load);
                        self.run((kind, Again::Untried), &data, function, budget)?;
                        self.alone = data;
                        rerun(Rerun::Done(input, &self.results));
                    }
                }
            }
            tried.push(at);
            let first = waiting.len();
            for (input, ordinal) in side_exits.drain(..) {
                let choice = self.choose_after(kind, (at, ordinal), &tried, budget);
                match self.run_or_record(kind, choice, (input, load), function, budget)? {
                    None => rerun(Rerun::Done(input, &self.results)),
                    Some(next) => match waiting[first..].iter_mut().find(|group| group.next == next) {
                        Some(group) => group.inputs.push(input),
                        None => waiting.push(ExitGroup { tried: tried.clone(), next, inputs: vec![input] }),
                    },
                }
            }
        }
        match 2 * (self.counts.eager - eager) <= inputs {
            true => self.pauses[kind as usize].succeed(),
            false => self.pauses[kind as usize].fail(),
        }
        self.last[kind as usize] = most.1;
        self.make_room(most.1);
        Ok(())
    }

    /// What to do with an input that has left some paths, the last one at this outcome.
    fn choose_after(
        &mut self,
        kind: ResultKind,
        (at, ordinal): (usize, u32),
        tried: &[usize],
        budget: &Budget,
    ) -> Choice {
        let turned = self.turned(kind, at, ordinal, tried).map(|(next, _)| next);
        match turned {
            Some(next) if tried.len() <= MAX_TRIES || budget.forced.is_some() => Choice::Replay(next),
            _ => self.choose_for_stray(kind, turned.is_some(), budget),
        }
    }

    /// Records one of many inputs, or runs it on the tape. The path that it is to run on; none if it has run.
    fn run_or_record(
        &mut self,
        kind: ResultKind,
        choice: Choice,
        (input, load): (usize, &mut LoadOne<'_, T>),
        function: &mut dyn TracedFunction<T>,
        budget: &mut Budget,
    ) -> Result<Option<usize>> {
        if let Choice::Replay(next) = choice {
            return Ok(Some(next));
        }
        let data = self.load(input, load);
        let next = match choice {
            Choice::Run(reason) => {
                self.run_eagerly((kind, kind), &data.numbers, reason, function, budget).map(|()| None)
            }
            _ => self.record(kind, &data.numbers, function, budget).map(Some),
        };
        self.alone = data;
        next
    }
}
