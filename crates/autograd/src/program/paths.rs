//! The paths through a function: each is code for the inputs on which all comparisons come out as recorded.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::code::Code;
use super::plan::Plan;
use super::script::Script;
use super::{Data, Report};
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
    /// The gradient with respect to parameters of a model, where there is one, then the value.
    Params,
}

const KINDS: usize = 9;

/// How comparisons came out, in the order of execution, and with which number if it was taken out of the recording.
pub(super) type Outcomes = Vec<(bool, Option<u64>)>;

/// A function recorded at one input.
pub(super) struct Recording<T: Float> {
    pub outcomes: Outcomes,
    /// How many numbers, tensors and lists of places it takes.
    pub inputs: [usize; 3],
    /// Where the results are to be summed over many inputs: how many of the first numbers these share.
    pub shared: Option<usize>,
    pub code: Code<T>,
    pub targets: Targets,
}

/// What tensors among the results are for.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    /// The parameters whose gradients come first.
    pub reached: Vec<u32>,
    /// The buffers whose new values come last.
    pub written: Vec<usize>,
}

/// One path.
struct Path<T: Float> {
    outcomes: Outcomes,
    runs: [Option<Run<T>>; KINDS],
    targets: [Targets; KINDS],
    /// When it was used last.
    used: u64,
}

/// What runs the code of a path.
enum Run<T: Float> {
    Numbers(Box<Ready<T>>),
    Tensors(Box<Script<T>>),
}

/// A plan with the numbers it runs on.
pub(super) struct Ready<T: Float> {
    pub plan: Plan<T>,
    single: Numbers<T>,
    /// For many inputs at once, by threads that are not running now.
    pub idle: Mutex<Vec<Numbers<T>>>,
    /// For what many inputs share.
    pub uniform: Mutex<Vec<Numbers<T>>>,
}

pub(super) struct Paths<T: Float> {
    paths: Vec<Path<T>>,
    /// The path of the last input, which the next one probably takes too, by what was asked for: derivatives may have
    /// comparisons of their own.
    last: [usize; KINDS],
    results: Data<T>,
    clock: u64,
    recordings: usize,
    forgotten: usize,
}

impl<T: Float> Default for Paths<T> {
    fn default() -> Self {
        Paths { paths: Vec::new(), last: [0; KINDS], results: Data::default(), clock: 0, recordings: 0, forgotten: 0 }
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
    pub fn run(&mut self, kind: Kind, data: &Data<T>, record: &mut Record<'_, T>) -> Result<&Data<T>> {
        let mut at = self.ready(kind, self.last[kind as usize], &data.numbers, record)?;
        while let Some(ordinal) = self.run_at(at, kind)?.on(data)? {
            at = self.other(kind, at, ordinal, &data.numbers, record)?;
        }
        self.last[kind as usize] = at;
        self.touch(at);
        let mut results = std::mem::take(&mut self.results);
        self.run_at(at, kind)?.results(&mut results);
        self.results = results;
        Ok(&self.results)
    }

    /// The results of the last run.
    pub fn results(&self) -> &Data<T> {
        &self.results
    }

    /// Lets go of the results.
    pub fn release(&mut self) {
        self.results.clear();
    }

    /// What the tensors among the results of the last run of a kind are for.
    pub fn targets(&self, kind: Kind) -> &Targets {
        &self.paths[self.last[kind as usize]].targets[kind as usize]
    }

    /// A path with code for `kind`: `at`, or where it has none, the path of the input.
    pub fn ready(&mut self, kind: Kind, at: usize, numbers: &[T], record: &mut Record<'_, T>) -> Result<usize> {
        match self.paths.get(at) {
            Some(path) if path.runs[kind as usize].is_some() => Ok(at),
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
        let Recording { outcomes, inputs, shared, code, targets } = record(numbers)?;
        self.recordings += 1;
        let at = match self.paths.iter().position(|path| path.outcomes == outcomes) {
            Some(at) => at,
            None => self.make_room(outcomes),
        };
        self.touch(at);
        self.paths[at].targets[kind as usize] = targets;
        self.paths[at].runs[kind as usize] = Some(match code.is_of_numbers() {
            true => Run::Numbers(Box::new(Ready::new(Plan::new(&code, inputs[0], shared)))),
            false => Run::Tensors(Box::new(Script::new(&code, inputs))),
        });
        Ok(at)
    }

    /// The path is in use now.
    fn touch(&mut self, at: usize) {
        self.clock += 1;
        self.paths[at].used = self.clock;
    }

    /// A place for a new path.
    fn make_room(&mut self, outcomes: Outcomes) -> usize {
        let path = Path { outcomes, runs: [const { None }; KINDS], targets: Default::default(), used: 0 };
        if self.paths.len() < MOST {
            self.paths.push(path);
            return self.paths.len() - 1;
        }
        let oldest = (0..MOST).min_by_key(|&at| self.paths[at].used).unwrap_or(0);
        self.paths[oldest] = path;
        self.forgotten += 1;
        oldest
    }

    #[track_caller]
    fn run_at(&mut self, at: usize, kind: Kind) -> Result<&mut Run<T>> {
        let run = self.paths.get_mut(at).and_then(|path| path.runs[kind as usize].as_mut());
        match run {
            Some(run) => Ok(run),
            None => Err(not_replayable("its path was forgotten")),
        }
    }

    /// The code of a path that has some for `kind`, to run in lanes.
    #[track_caller]
    pub fn ready_at(&mut self, at: usize, kind: Kind) -> Result<&mut Ready<T>> {
        match self.run_at(at, kind)? {
            Run::Numbers(ready) => Ok(ready),
            Run::Tensors(_) => Err(not_replayable("tensors do not run in lanes, with many inputs at once")),
        }
    }

    /// The path of the last input, if it has code for `kind`.
    pub fn known(&self, kind: Kind) -> Option<usize> {
        let last = self.last[kind as usize];
        self.paths.get(last)?.runs[kind as usize].as_ref().map(|_| last)
    }

    /// The path of the last input.
    pub fn last(&self, kind: Kind) -> usize {
        self.last[kind as usize]
    }

    pub fn report(&self) -> Report {
        let kept = Report {
            paths: self.paths.len(),
            recordings: self.recordings,
            forgotten: self.forgotten,
            ..Report::default()
        };
        let runs = self.paths.iter().flat_map(|path| path.runs.iter().flatten());
        runs.fold(kept, |sum, run| sum.and(run.size()))
    }
}

#[track_caller]
fn not_replayable(why: &str) -> Error {
    Error::new("program", Rule::NotReplayable { why: why.into() })
}

impl<T: Float> Run<T> {
    /// Runs on one input; the first comparison that came out differently.
    #[inline]
    fn on(&mut self, data: &Data<T>) -> Result<Option<u32>> {
        match self {
            Run::Numbers(ready) => Ok(ready.run(&data.numbers)),
            Run::Tensors(script) => script.run(data),
        }
    }

    #[inline]
    fn results(&mut self, data: &mut Data<T>) {
        match self {
            Run::Numbers(ready) => {
                data.clear();
                data.numbers.extend(ready.results());
            }
            Run::Tensors(script) => script.results(data),
        }
    }

    fn size(&self) -> Report {
        match self {
            Run::Numbers(ready) => Report {
                recorded: ready.plan.operations.0,
                operations: ready.plan.operations.1,
                groups: ready.plan.replay.groups(),
                recorded_bytes: ready.plan.operations.0 * size_of::<T>(),
                bytes: ready.plan.replay.slots() * size_of::<T>(),
                ..Report::default()
            },
            Run::Tensors(script) => script.size,
        }
    }
}

impl<T: Float> Ready<T> {
    pub fn new(plan: Plan<T>) -> Self {
        Ready { single: plan.numbers(1), plan, idle: Mutex::default(), uniform: Mutex::default() }
    }

    /// Runs on one input; the first comparison that came out differently.
    #[inline]
    pub fn run(&mut self, numbers: &[T]) -> Option<u32> {
        self.single.values[..numbers.len()].copy_from_slice(numbers);
        self.plan.replay.run(&mut self.single);
        self.failed(&self.single, 0)
    }

    /// The results of the last run on one input.
    pub fn results(&self) -> impl Iterator<Item = T> {
        self.plan.results.iter().map(|&slot| self.single.at(slot, 0))
    }
}
