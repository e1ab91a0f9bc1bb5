//! The paths through a function: each is code for the inputs on which all comparisons come out as recorded.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::Report;
use super::code::Code;
use super::plan::Plan;
use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::kernel::replay::Numbers;

/// So many paths are kept; beyond, the one that was not used for longest goes.
const MOST: usize = 64;

/// What a path can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    /// The gradient, then the value.
    Gradient,
    /// By rows.
    Jacobian,
    /// The derivatives along a direction, then the values.
    Jvp,
    /// The product of the Hessian with a direction, then the gradient.
    Hvp,
    /// By rows.
    Hessian,
    /// The gradient with respect to the first arguments, then the value: to be summed over the others.
    Sum,
    /// The gradient times a number that is given with the arguments.
    Weighted,
}

const KINDS: usize = 8;

/// How comparisons came out, in the order of execution, and with which number if it was taken out of the recording.
pub(super) type Outcomes = Vec<(bool, Option<u64>)>;

/// A function recorded at one input.
pub(super) struct Recording<T: Float> {
    pub outcomes: Outcomes,
    pub inputs: usize,
    /// Where the results are to be summed over many inputs: how many of the first numbers these share.
    pub shared: Option<usize>,
    pub code: Code<T>,
}

/// One path.
struct Path<T: Float> {
    outcomes: Outcomes,
    plans: [Option<Ready<T>>; KINDS],
    /// When it was used last.
    used: u64,
}

/// A plan with the numbers it runs on.
pub(super) struct Ready<T: Float> {
    pub plan: Plan<T>,
    single: Numbers<T>,
    /// For many inputs at once, by threads that are not running now.
    pub idle: Mutex<Vec<Numbers<T>>>,
}

pub(super) struct Paths<T: Float> {
    paths: Vec<Path<T>>,
    /// The path of the last input, which the next one probably takes too.
    last: usize,
    results: Vec<T>,
    clock: u64,
    recordings: usize,
    forgotten: usize,
}

impl<T: Float> Default for Paths<T> {
    fn default() -> Self {
        Paths { paths: Vec::new(), last: 0, results: Vec::new(), clock: 0, recordings: 0, forgotten: 0 }
    }
}

/// Inputs with the first comparison that came out differently on the path that they ran on.
pub(super) type Strays = Vec<(usize, u32)>;

/// Runs some inputs on a path, and tells which of them left it.
pub(super) type Rerun<'r, T> = dyn FnMut(&Ready<T>, &[usize], &mut Strays) + 'r;

/// Records the function at some numbers.
pub(super) type Record<'r, T> = dyn FnMut(&[T]) -> Result<Recording<T>> + 'r;

impl<T: Float> Paths<T> {
    /// The results on one input, on the path that it takes.
    #[track_caller]
    pub fn run(&mut self, kind: Kind, numbers: &[T], record: &mut Record<'_, T>) -> Result<&[T]> {
        let mut at = self.ready(kind, self.last, numbers, record)?;
        while let Some(ordinal) = self.ready_at(at, kind)?.run(numbers) {
            at = self.other(kind, at, ordinal, numbers, record)?;
        }
        self.last = at;
        self.touch(at);
        let mut results = std::mem::take(&mut self.results);
        self.ready_at(at, kind)?.results(&mut results);
        self.results = results;
        Ok(&self.results)
    }

    /// The results of the last run.
    pub fn results(&self) -> &[T] {
        &self.results
    }

    /// A path with code for `kind`: `at`, or where it has none, the path of the input.
    pub fn ready(&mut self, kind: Kind, at: usize, numbers: &[T], record: &mut Record<'_, T>) -> Result<usize> {
        match self.paths.get(at) {
            Some(path) if path.plans[kind as usize].is_some() => Ok(at),
            _ => self.recorded(kind, numbers, record),
        }
    }

    /// The path that agrees with `at` before the comparison `ordinal` and not there, with code for `kind`. Where the number
    /// itself decided, any other number may follow, and the function is recorded again.
    #[track_caller]
    pub fn other(
        &mut self,
        kind: Kind,
        at: usize,
        ordinal: u32,
        numbers: &[T],
        record: &mut Record<'_, T>,
    ) -> Result<usize> {
        // Whoever asks is still at this path, or has more inputs that left it: it is not the one to be forgotten.
        self.touch(at);
        let ordinal = ordinal as usize;
        let turned = |path: &Path<T>| {
            let taken = &self.paths[at].outcomes;
            path.outcomes.get(..ordinal) == Some(&taken[..ordinal])
                && path.outcomes.get(ordinal) == Some(&(!taken[ordinal].0, None))
        };
        let known = self.paths.iter().position(turned);
        let found = match known {
            Some(found) => self.ready(kind, found, numbers, record)?,
            None => self.recorded(kind, numbers, record)?,
        };
        match found == at {
            false => Ok(found),
            true => {
                let why = "recorded again on the same numbers, it took another path".to_string();
                Err(Error::new("program", Rule::NotReplayable { why }))
            }
        }
    }

    /// Runs inputs that left the path `at` again, path by path, until each has run on its own.
    #[track_caller]
    pub fn regroup(
        &mut self,
        kind: Kind,
        mut at: usize,
        mut strays: Strays,
        load: &mut dyn FnMut(usize, &mut Vec<T>),
        record: &mut Record<'_, T>,
        run: &mut Rerun<'_, T>,
    ) -> Result<()> {
        strays.sort_unstable();
        let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut numbers = Vec::new();
        loop {
            for (input, ordinal) in strays.drain(..) {
                numbers.clear();
                load(input, &mut numbers);
                waiting.entry(self.other(kind, at, ordinal, &numbers, record)?).or_default().push(input);
            }
            let Some((path, inputs)) = waiting.pop_first() else { return Ok(()) };
            at = path;
            run(self.ready_at(at, kind)?, &inputs, &mut strays);
        }
    }

    /// Records the path of the input, with code for `kind`.
    fn recorded(&mut self, kind: Kind, numbers: &[T], record: &mut Record<'_, T>) -> Result<usize> {
        let Recording { outcomes, inputs, shared, code } = record(numbers)?;
        self.recordings += 1;
        let at = match self.paths.iter().position(|path| path.outcomes == outcomes) {
            Some(at) => at,
            None => self.make_room(outcomes),
        };
        self.touch(at);
        self.paths[at].plans[kind as usize] = Some(Ready::new(Plan::new(&code, inputs, shared)));
        Ok(at)
    }

    /// The path is in use now.
    fn touch(&mut self, at: usize) {
        self.clock += 1;
        self.paths[at].used = self.clock;
    }

    /// A place for a new path.
    fn make_room(&mut self, outcomes: Outcomes) -> usize {
        let path = Path { outcomes, plans: [const { None }; KINDS], used: 0 };
        if self.paths.len() < MOST {
            self.paths.push(path);
            return self.paths.len() - 1;
        }
        let oldest = (0..MOST).min_by_key(|&at| self.paths[at].used).unwrap_or(0);
        self.paths[oldest] = path;
        self.forgotten += 1;
        oldest
    }

    /// The code of a path that has some for `kind`.
    #[track_caller]
    pub fn ready_at(&mut self, at: usize, kind: Kind) -> Result<&mut Ready<T>> {
        let ready = self.paths.get_mut(at).and_then(|path| path.plans[kind as usize].as_mut());
        ready.ok_or_else(|| Error::new("program", Rule::NotReplayable { why: "its path was forgotten".into() }))
    }

    /// The path of the last input, if it has code for `kind`.
    pub fn known(&self, kind: Kind) -> Option<usize> {
        self.paths.get(self.last)?.plans[kind as usize].as_ref().map(|_| self.last)
    }

    /// The path of the last input.
    pub fn last(&self) -> usize {
        self.last
    }

    pub fn report(&self) -> Report {
        let plans = || self.paths.iter().flat_map(|path| path.plans.iter().flatten().map(|ready| &ready.plan));
        Report {
            paths: self.paths.len(),
            recordings: self.recordings,
            forgotten: self.forgotten,
            recorded: plans().map(|plan| plan.operations.0).sum(),
            operations: plans().map(|plan| plan.operations.1).sum(),
            groups: plans().map(|plan| plan.replay.groups()).sum(),
            recorded_bytes: plans().map(|plan| plan.operations.0 * size_of::<T>()).sum(),
            bytes: plans().map(|plan| plan.replay.slots() * size_of::<T>()).sum(),
        }
    }
}

impl<T: Float> Ready<T> {
    fn new(plan: Plan<T>) -> Self {
        Ready { single: plan.numbers(1), plan, idle: Mutex::default() }
    }

    /// Runs on one input; the first comparison that came out differently.
    #[inline]
    fn run(&mut self, numbers: &[T]) -> Option<u32> {
        self.single.values[..numbers.len()].copy_from_slice(numbers);
        self.plan.replay.run(&mut self.single);
        self.failed(&self.single, 0)
    }

    fn results(&self, results: &mut Vec<T>) {
        results.clear();
        results.extend(self.plan.results.iter().map(|&slot| self.single.at(slot, 0)));
    }
}
