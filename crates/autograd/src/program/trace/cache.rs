//! The paths through a function: each is code for the inputs on which all comparisons come out as recorded.

mod choice;
mod single;
mod together;
mod tree;

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::program::execution::executable::{CompiledPath, Executable, NumberExecutable};
use crate::program::ir::Code;
use crate::program::report::EagerReason;
use crate::program::trace::budget::{Budget, Pause, Seen, TraceSize};
use crate::program::trace::cache::tree::{Outcome, OutcomeTree};
use crate::program::{Data, Report};
use crate::tape::Guards;
pub(in crate::program) use choice::Choice;
pub(in crate::program) use single::Again;
pub(in crate::program) use together::{Begun, Rerun, SideExits};

/// So many paths are kept; beyond, the one that was not used for longest goes.
const MAX_PATHS: usize = 64;

/// So much memory paths may take, beyond the last one. Paths of other forms go first.
pub(in crate::program) const MAX_BYTES: usize = 64 << 20;

/// What a path can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::program) enum ResultKind {
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

pub(in crate::program) const RESULT_KINDS: usize = 9;

impl ResultKind {
    /// Whether a value and one sweep over its recording are all that is needed.
    fn is_of_first_order(self) -> bool {
        matches!(
            self,
            ResultKind::Value | ResultKind::Gradient | ResultKind::Sum | ResultKind::Weighted | ResultKind::Params
        )
    }
}

/// A function recorded at one input.
pub(in crate::program) struct Trace<T: Float> {
    /// How comparisons came out, in the order of execution.
    pub outcomes: Vec<Outcome>,
    /// How many numbers, tensors and integers it takes.
    pub inputs: [usize; 3],
    /// Where the results are to be summed over many inputs: how many of the first numbers these share.
    pub shared: Option<usize>,
    /// How many operations the function has, without its derivatives.
    pub function: TraceSize,
    /// And with them.
    pub whole: TraceSize,
    /// How many rows a derivative has that is asked for in full.
    pub rows: usize,
    pub code: Code<T>,
    pub targets: Targets,
}

/// What tensors among the results are for.
#[derive(Clone, Debug, Default)]
pub(in crate::program) struct Targets {
    /// The parameters whose gradients come first.
    pub reached: Vec<u32>,
    /// The buffers whose new values come last.
    pub written: Vec<usize>,
    /// What a run adds to each counter.
    pub counted: Vec<u64>,
    /// How many seeds it takes from each generator.
    pub drawn: Vec<u64>,
}

/// A function, to be recorded or to be run on a plain tape.
pub(in crate::program) trait TracedFunction<T: Float> {
    /// Records it at some numbers.
    fn record(&mut self, kind: ResultKind, numbers: &[T]) -> Result<Trace<T>>;

    /// Runs it at some numbers.
    fn run(
        &mut self,
        kind: ResultKind,
        numbers: &[T],
        results: &mut Data<T>,
        targets: &mut Targets,
    ) -> Result<EagerRun>;
}

/// A run on a plain tape.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct EagerRun {
    pub cost: u64,
    /// Equal for runs on the same path, and nearly always another for those on others.
    pub signature: u64,
}

/// One path.
struct CachedPath<T: Float> {
    runs: [Option<CompiledPath<T>>; RESULT_KINDS],
    /// When it was used last.
    used: u64,
    /// The path that followed it the last time.
    next: usize,
}

pub(in crate::program) struct PathCache<T: Float> {
    /// Places of paths that were forgotten are empty.
    paths: Vec<Option<CachedPath<T>>>,
    tree: OutcomeTree,
    /// The path of the last input, by what was asked for: derivatives may have comparisons of their own.
    last: [usize; RESULT_KINDS],
    pauses: [Pause; RESULT_KINDS],
    /// What it costs to record the path of the last input, if it ran on the tape and has come so often that this is worth it.
    due: [Option<u64>; RESULT_KINDS],
    seen: Seen,
    /// Room for one of many inputs.
    alone: Data<T>,
    results: Data<T>,
    /// The path that gave the last results.
    taken: Option<(usize, ResultKind)>,
    /// What tensors among results are for that no path gave.
    targets: Targets,
    clock: u64,
    counts: Counts,
}

/// What happened to inputs.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    hits: usize,
    recordings: usize,
    eager: usize,
    side_exits: usize,
    forgotten: usize,
}

impl Targets {
    /// What a recording has besides results, but for the parameters.
    pub fn note<T: Float>(&mut self, guards: &Guards<T>) {
        self.written.clear();
        self.written.extend(guards.written.iter().map(|&(buffer, _)| buffer));
        self.counted.clear();
        self.counted.extend(guards.counters.iter().map(|counting| counting.times));
        self.drawn.clear();
        self.drawn.extend(guards.generators.iter().map(|drawing| drawing.draws));
    }
}

impl<T: Float> Default for PathCache<T> {
    fn default() -> Self {
        PathCache {
            paths: Vec::new(),
            tree: OutcomeTree::default(),
            last: [0; RESULT_KINDS],
            pauses: [Pause::default(); RESULT_KINDS],
            due: [None; RESULT_KINDS],
            seen: Seen::default(),
            alone: Data::default(),
            results: Data::default(),
            taken: None,
            targets: Targets::default(),
            clock: 0,
            counts: Counts::default(),
        }
    }
}

impl<T: Float> PathCache<T> {
    /// The results of the last run.
    pub fn results(&self) -> &Data<T> {
        &self.results
    }

    /// Lets go of the results.
    pub fn release(&mut self) {
        self.results.clear();
    }

    /// What the tensors among the results of the last run are for.
    pub fn targets(&self) -> &Targets {
        let taken = self.taken.and_then(|(at, kind)| self.code(at, kind));
        taken.map_or(&self.targets, |run| &run.targets)
    }

    fn code(&self, at: usize, kind: ResultKind) -> Option<&CompiledPath<T>> {
        self.paths.get(at)?.as_ref()?.runs[kind as usize].as_ref()
    }

    /// Notes inputs that stayed on a path, of so many that ran together.
    fn count_held(&mut self, kind: ResultKind, at: usize, held: usize, together: usize, budget: &mut Budget) {
        let path = self.paths.get_mut(at).and_then(Option::as_mut);
        let Some(run) = path.and_then(|path| path.runs[kind as usize].as_mut()).filter(|_| held > 0) else { return };
        budget.run(held, run.costs.eager, run.costs.in_lanes(together));
        // The first is the one that it was recorded for.
        self.counts.hits += held - usize::from(run.uses == 0);
        run.uses += held;
        if run.uses > 1 && std::mem::take(&mut run.is_doubted) {
            budget.use_again();
        }
        self.touch(at);
    }

    /// Runs the function on a plain tape, of one kind instead of another.
    pub fn run_eagerly(
        &mut self,
        (kind, instead): (ResultKind, ResultKind),
        numbers: &[T],
        reason: EagerReason,
        function: &mut dyn TracedFunction<T>,
        budget: &mut Budget,
    ) -> Result<()> {
        self.taken = None;
        let EagerRun { cost, signature } = function.run(kind, numbers, &mut self.results, &mut self.targets)?;
        self.counts.eager += 1;
        budget.why = Some(reason);
        budget.run(1, cost, cost);
        if matches!(reason, EagerReason::Irregular | EagerReason::Rare) {
            let signature = signature.wrapping_mul(RESULT_KINDS as u64).wrapping_add(instead as u64);
            let count = self.seen.add(signature);
            if count > 1 {
                self.pauses[instead as usize].shorten();
            }
            if let Some(cost) = budget.records_by_now(instead, count, cost) {
                self.seen.forget(signature);
                self.due[instead as usize] = Some(cost);
            }
        }
        Ok(())
    }

    /// Records the path that the next input of this kind will probably take.
    pub fn record_ahead(
        &mut self,
        kind: ResultKind,
        numbers: &[T],
        function: &mut dyn TracedFunction<T>,
        budget: &mut Budget,
    ) -> Result<()> {
        let at = self.record(kind, numbers, function, budget)?;
        // It counts as the input that the path was recorded for.
        self.run_at(at, kind)?.uses = 1;
        self.last[kind as usize] = at;
        Ok(())
    }

    /// Records the path of the input, with code for `kind`.
    pub fn record(
        &mut self,
        kind: ResultKind,
        numbers: &[T],
        function: &mut dyn TracedFunction<T>,
        budget: &mut Budget,
    ) -> Result<usize> {
        let recording = function.record(kind, numbers)?;
        self.counts.recordings += 1;
        let at = match self.tree.find(&recording.outcomes) {
            Some(at) => at,
            None => self.add(&recording.outcomes),
        };
        let mut run = CompiledPath::new(kind, recording);
        run.is_doubted = budget.record(kind, run.costs);
        if let Some(path) = &mut self.paths[at] {
            path.runs[kind as usize] = Some(run);
        }
        self.pauses[kind as usize].end();
        self.touch(at);
        self.make_room(at);
        Ok(at)
    }

    /// The path is in use now.
    fn touch(&mut self, at: usize) {
        self.clock += 1;
        if let Some(Some(path)) = self.paths.get_mut(at) {
            path.used = self.clock;
        }
    }

    /// A new path.
    fn add(&mut self, outcomes: &[Outcome]) -> usize {
        let at = self.paths.iter().position(Option::is_none).unwrap_or(self.paths.len());
        let path = CachedPath { runs: [const { None }; RESULT_KINDS], used: 0, next: at };
        match self.paths.get_mut(at) {
            Some(place) => *place = Some(path),
            None => self.paths.push(Some(path)),
        }
        self.tree.insert(outcomes, at);
        at
    }

    /// Forgets paths until there are not too many; not the one that is in use.
    fn make_room(&mut self, at: usize) {
        while self.count_paths() > MAX_PATHS || self.bytes() > MAX_BYTES {
            let used = |other: &usize| self.paths[*other].as_ref().map(|path| path.used);
            let others = (0..self.paths.len()).filter(|other| *other != at && used(other).is_some());
            let Some(oldest) = others.min_by_key(used) else { return };
            self.paths[oldest] = None;
            self.tree.remove(oldest);
            self.counts.forgotten += 1;
        }
    }

    fn kept(&self) -> impl Iterator<Item = &CachedPath<T>> {
        self.paths.iter().flatten()
    }

    fn runs(&self) -> impl Iterator<Item = &CompiledPath<T>> {
        self.kept().flat_map(|path| path.runs.iter().flatten())
    }

    fn count_paths(&self) -> usize {
        self.kept().count()
    }

    /// The memory that the paths take.
    pub fn bytes(&self) -> usize {
        self.tree.bytes() + self.runs().map(CompiledPath::bytes).sum::<usize>()
    }

    /// Whether nothing has been recorded, or all is forgotten.
    pub fn is_empty(&self) -> bool {
        self.count_paths() == 0
    }

    #[track_caller]
    fn run_at(&mut self, at: usize, kind: ResultKind) -> Result<&mut CompiledPath<T>> {
        let path = self.paths.get_mut(at).and_then(Option::as_mut);
        match path.and_then(|path| path.runs[kind as usize].as_mut()) {
            Some(run) => Ok(run),
            None => Err(forgotten()),
        }
    }

    /// The code of a path that has some for `kind`, to run in lanes, if there are no tensors in it.
    pub fn in_lanes(&self, at: usize, kind: ResultKind) -> Option<&NumberExecutable<T>> {
        match &self.code(at, kind)?.body {
            Executable::Numbers(ready) => Some(ready),
            Executable::Tensors(_) => None,
        }
    }

    /// # Errors
    /// As [`in_lanes`](Self::in_lanes) has none.
    #[track_caller]
    pub fn must_run_in_lanes(&self, at: usize, kind: ResultKind) -> Result<&NumberExecutable<T>> {
        self.in_lanes(at, kind).ok_or_else(|| not_replayable("it computes with tensors, which do not run in lanes"))
    }

    /// The path of the last input, if it has code for `kind`.
    pub fn known(&self, kind: ResultKind) -> Option<usize> {
        let last = self.last[kind as usize];
        self.code(last, kind).map(|_| last)
    }

    pub fn report(&self) -> Report {
        let Counts { hits, recordings, eager, side_exits, forgotten } = self.counts;
        let paths = self.count_paths();
        let kept = Report {
            forms: usize::from(paths > 0),
            paths,
            hits,
            misses: recordings + eager,
            recordings,
            eager,
            side_exits,
            forgotten,
            ..Report::default()
        };
        self.runs().fold(kept, |sum, run| sum.and(run.body.size()))
    }
}

#[track_caller]
fn forgotten() -> Error {
    not_replayable("its path was forgotten")
}

#[track_caller]
fn not_replayable(why: &str) -> Error {
    Error::new("program", ErrorKind::NotReplayable { why: why.into() })
}
