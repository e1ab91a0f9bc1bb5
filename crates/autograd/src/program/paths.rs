//! The paths through a function: each is code for the inputs on which all comparisons come out as recorded.

use std::ops::Range;
use std::sync::Mutex;

use smallvec::{SmallVec, smallvec};

use super::account::{Account, Costs, Forced, Pause, Seen, Size};
use super::code::Code;
use super::lanes::lock;
use super::plan::Plan;
use super::report::EagerReason;
use super::script::Script;
use super::tree::{Outcome, Tree};
use super::{Data, Report};
use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::kernel::replay::Numbers;
use crate::tape::Guards;

/// So many paths are kept; beyond, the one that was not used for longest goes.
const MOST: usize = 64;

/// So much memory paths may take, beyond the last one. Paths of other forms go first.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// An input among many that has left so many paths is recorded, or runs on the tape.
const MOST_TRIES: usize = 3;

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

pub(super) const KINDS: usize = 9;

impl Kind {
    /// Whether a value and one sweep over its recording are all that is needed.
    fn is_of_first_order(self) -> bool {
        matches!(self, Kind::Value | Kind::Gradient | Kind::Sum | Kind::Weighted | Kind::Params)
    }
}

/// A function recorded at one input.
pub(super) struct Recording<T: Float> {
    /// How comparisons came out, in the order of execution.
    pub outcomes: Vec<Outcome>,
    /// How many numbers, tensors and integers it takes.
    pub inputs: [usize; 3],
    /// Where the results are to be summed over many inputs: how many of the first numbers these share.
    pub shared: Option<usize>,
    /// How many operations the function has, without its derivatives.
    pub function: Size,
    /// And with them.
    pub whole: Size,
    /// How many rows a derivative has that is asked for in full.
    pub rows: usize,
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
    /// What a run adds to each counter.
    pub counted: Vec<u64>,
    /// How many seeds it takes from each generator.
    pub drawn: Vec<u64>,
}

/// A function, to be recorded or to be run on a plain tape.
pub(super) trait Function<T: Float> {
    /// Records it at some numbers.
    fn record(&mut self, kind: Kind, numbers: &[T]) -> Result<Recording<T>>;

    /// Runs it at some numbers.
    fn run(&mut self, kind: Kind, numbers: &[T], results: &mut Data<T>, targets: &mut Targets) -> Result<Ran>;
}

/// A run on a plain tape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ran {
    pub cost: u64,
    /// Equal for runs on the same path, and nearly always another for those on others.
    pub signature: u64,
}

/// One path.
struct Path<T: Float> {
    runs: [Option<Run<T>>; KINDS],
    /// When it was used last.
    used: u64,
    /// The path that followed it the last time.
    next: usize,
}

/// Code of a path.
struct Run<T: Float> {
    body: Body<T>,
    targets: Targets,
    costs: Costs,
    /// How many inputs have stayed on it.
    uses: usize,
    /// Whether it was recorded in the hope that it is used again, which has not happened.
    is_doubted: bool,
}

/// What runs the code of a path.
enum Body<T: Float> {
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
    /// Places of paths that were forgotten are empty.
    paths: Vec<Option<Path<T>>>,
    tree: Tree,
    /// The path of the last input, by what was asked for: derivatives may have comparisons of their own.
    last: [usize; KINDS],
    pauses: [Pause; KINDS],
    /// What it costs to record the path of the last input, if it ran on the tape and has come so often that this is worth it.
    due: [Option<u64>; KINDS],
    seen: Seen,
    /// Room for those of an input.
    numbers: Vec<T>,
    results: Data<T>,
    /// The path that gave the last results.
    taken: Option<(usize, Kind)>,
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
    strayed: usize,
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

impl<T: Float> Default for Paths<T> {
    fn default() -> Self {
        Paths {
            paths: Vec::new(),
            tree: Tree::default(),
            last: [0; KINDS],
            pauses: [Pause::default(); KINDS],
            due: [None; KINDS],
            seen: Seen::default(),
            numbers: Vec::new(),
            results: Data::default(),
            taken: None,
            targets: Targets::default(),
            clock: 0,
            counts: Counts::default(),
        }
    }
}

/// What to do with inputs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// Replay them on this path.
    Replay(usize),
    /// Record the path of the first.
    Record,
    /// Run them on a plain tape.
    Run(EagerReason),
}

/// What became of an input on the path of the last one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Again {
    /// It stayed on it; the results are there.
    Held,
    /// It left this path at this outcome.
    Left(usize, u32),
    /// Whether that path should be tried is still to be decided.
    Untried,
}

/// Where an input went that was replayed.
enum Replayed {
    /// It stayed on this path.
    Held(usize),
    /// It left all paths that were tried; whether there is another that it may be on.
    Left { may_be_known: bool },
}

/// Inputs with the first comparison that came out differently on the path that they ran on.
pub(super) type Strays = Vec<(usize, u32)>;

/// Appends the numbers of one of many inputs.
pub(super) type LoadOne<'l, T> = dyn FnMut(usize, &mut Vec<T>) + 'l;

/// Inputs that left a path.
pub(super) enum Rerun<'r, T: Float> {
    /// To be run on another; those that leave it too are added to the last list.
    On(&'r Ready<T>, &'r [usize], &'r mut Strays),
    /// One that was run alone, with its results.
    Done(usize, &'r Data<T>),
}

/// Paths that inputs have left.
type Tried = SmallVec<[usize; 4]>;

/// Inputs that have left some paths, and try another one.
struct Group {
    tried: Tried,
    next: usize,
    inputs: Vec<usize>,
}

/// How some inputs begin.
pub(super) enum Begun<'r, T: Float> {
    /// They may be on this path.
    On(usize),
    /// The first was run alone, with these results.
    Done(&'r Data<T>),
}

impl<T: Float> Paths<T> {
    /// Replays an input on the path of the last one, if that is of numbers and nothing speaks against it. A small function takes
    /// less time than the decisions of [`run`](Self::run), so inputs that all take one path are spared them.
    pub fn again(&mut self, kind: Kind, data: &Data<T>, account: &mut Account) -> Again {
        let at = self.last[kind as usize];
        let Some(Some(path)) = self.paths.get_mut(at) else { return Again::Untried };
        let Some(run) = &mut path.runs[kind as usize] else { return Again::Untried };
        let Body::Numbers(ready) = &mut run.body else { return Again::Untried };
        let is_usual = path.next == at && run.uses > 1 && !self.pauses[kind as usize].has_failed();
        let pays = match account.forced {
            None => run.costs.replay <= run.costs.eager,
            Some(forced) => forced == Forced::Replay,
        };
        if !is_usual || !pays {
            return Again::Untried;
        }
        if let Some(ordinal) = ready.run(&data.numbers) {
            return Again::Left(at, ordinal);
        }
        self.results.clear();
        self.results.numbers.extend(ready.results());
        self.taken = Some((at, kind));
        self.clock += 1;
        path.used = self.clock;
        run.uses += 1;
        self.counts.hits += 1;
        account.run(1, run.costs.eager, run.costs.replay);
        Again::Held
    }

    /// The results on one input, on the path that it takes, after what became of it on that of the last one.
    #[track_caller]
    pub fn run(
        &mut self,
        (kind, again): (Kind, Again),
        data: &Data<T>,
        function: &mut dyn Function<T>,
        account: &mut Account,
    ) -> Result<&Data<T>> {
        let mut choice = match again {
            Again::Held => return Ok(&self.results),
            Again::Left(at, _) => Choice::Replay(at),
            Again::Untried => self.choose(kind, account),
        };
        if let Choice::Replay(at) = choice {
            let left = if let Again::Left(_, ordinal) = again { Some(ordinal) } else { None };
            choice = match self.replay(kind, (at, left), data, account)? {
                Replayed::Held(at) => return self.take_results(kind, at),
                Replayed::Left { may_be_known } => self.choose_for_stray(kind, may_be_known, account),
            };
        }
        if let Choice::Run(reason) = choice {
            self.run_eagerly((kind, kind), &data.numbers, reason, function, account)?;
            return Ok(&self.results);
        }
        let at = self.record(kind, &data.numbers, function, account)?;
        match self.run_at(at, kind)?.body.on(data)? {
            None => {
                self.follow(kind, at, account);
                self.take_results(kind, at)
            }
            Some(_) => Err(not_replayable("recorded again on the same numbers, it took another path")),
        }
    }

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

    /// What to do with the next input.
    pub fn choose(&mut self, kind: Kind, account: &Account) -> Choice {
        self.choose_for(kind, &|costs| costs.replay, account)
    }

    /// What to do with all rows of a derivative, of which a run of `kind` gives one: on a tape they share the value.
    pub fn choose_for_rows(&mut self, kind: Kind, account: &Account) -> Choice {
        self.choose_for(kind, &|costs| 2 * costs.replay, account)
    }

    /// What to do with the next inputs, of which so many run together in lanes.
    pub fn choose_together(&mut self, kind: Kind, inputs: usize, account: &Account) -> Choice {
        let has_tensors = |at: usize, kind: Kind| self.code(at, kind).is_some() && self.in_lanes(at, kind).is_none();
        let expected = self.expected(kind).map(|(at, _)| at);
        if [(expected, kind), (Some(self.last[Kind::Value as usize]), Kind::Value)]
            .into_iter()
            .any(|(at, kind)| at.is_some_and(|at| has_tensors(at, kind)))
        {
            return Choice::Run(EagerReason::Tensors);
        }
        self.choose_for(kind, &|costs| costs.in_lanes(inputs), account)
    }

    /// Begins with some inputs, which are to run together in lanes.
    #[track_caller]
    pub fn begin(
        &mut self,
        kind: Kind,
        (inputs, load): (&Range<usize>, &mut LoadOne<'_, T>),
        function: &mut dyn Function<T>,
        account: &mut Account,
    ) -> Result<Begun<'_, T>> {
        let mut choice = self.choose_together(kind, inputs.len(), account);
        if let Choice::Replay(at) = choice {
            return Ok(Begun::On(at));
        }
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clear();
        load(inputs.start, &mut numbers);
        if let Choice::Record = choice {
            let at = self.record(kind, &numbers, function, account)?;
            if self.in_lanes(at, kind).is_some() {
                self.numbers = numbers;
                return Ok(Begun::On(at));
            }
            choice = Choice::Run(EagerReason::Tensors);
        }
        if let Choice::Run(reason) = choice {
            self.run_eagerly((kind, kind), &numbers, reason, function, account)?;
        }
        self.numbers = numbers;
        Ok(Begun::Done(&self.results))
    }

    /// How many inputs have stayed on a path, since others left it.
    pub fn trusted(&self, at: usize, kind: Kind) -> usize {
        let uses = self.code(at, kind).map_or(0, |run| run.uses);
        if self.pauses[kind as usize].has_failed() { 0 } else { uses }
    }

    /// Whether no path is known that an input may be on which has left one.
    pub fn is_new(&self, kind: Kind, at: usize, ordinal: u32) -> bool {
        self.turned(kind, at, ordinal, &[]).is_none()
    }

    /// What to do with inputs whose replays cost as much as `cost` says.
    fn choose_for(&mut self, kind: Kind, cost: &dyn Fn(Costs) -> u64, account: &Account) -> Choice {
        match (account.forced, self.expected(kind)) {
            (None, _) => {}
            (Some(Forced::Replay), Some((at, _))) => return Choice::Replay(at),
            (Some(Forced::Replay), None) => return Choice::Record,
            (Some(Forced::Run), _) => return Choice::Run(EagerReason::Rare),
        }
        let Some((at, costs)) = self.expected(kind) else {
            let value = self.code(self.last[Kind::Value as usize], Kind::Value).map(|run| run.costs);
            return match value {
                // The derivatives will be as the value is.
                Some(costs) if cost(costs) > costs.eager && kind.is_of_first_order() => Choice::Run(EagerReason::Slow),
                _ if account.is_first(kind) => Choice::Record,
                _ => self.choose_for_stray(kind, false, account),
            };
        };
        let is_due = self.due[kind as usize].is_some();
        match cost(costs) {
            cost if cost > costs.eager => Choice::Run(EagerReason::Slow),
            cost if self.pauses[kind as usize].is_over(account, cost) || is_due => Choice::Replay(at),
            _ => Choice::Run(EagerReason::Irregular),
        }
    }

    /// What to do with an input that has left all paths that were tried.
    fn choose_for_stray(&mut self, kind: Kind, may_be_known: bool, account: &Account) -> Choice {
        match account.forced {
            Some(Forced::Replay) => return Choice::Record,
            _ if may_be_known => return Choice::Run(EagerReason::Irregular),
            _ => {}
        }
        // Others may have been recorded since, and may have spent what it takes.
        let is_due = self.due[kind as usize].take().is_some_and(|cost| account.can_pay(cost));
        match is_due || account.records_at_once(kind) {
            true => Choice::Record,
            false => Choice::Run(EagerReason::Rare),
        }
    }

    /// The path that the next input probably takes, if it has code for `kind`: what followed the last one before, or that.
    fn expected(&self, kind: Kind) -> Option<(usize, Costs)> {
        let last = self.last[kind as usize];
        let next = self.paths.get(last)?.as_ref().map(|path| path.next);
        [next, Some(last)].into_iter().flatten().find_map(|at| Some((at, self.code(at, kind)?.costs)))
    }

    fn code(&self, at: usize, kind: Kind) -> Option<&Run<T>> {
        self.paths.get(at)?.as_ref()?.runs[kind as usize].as_ref()
    }

    /// Replays an input on a path, unless it is known where it leaves that, and then on others that it may be on, as long as the
    /// tape would take.
    fn replay(
        &mut self,
        kind: Kind,
        (mut at, mut left): (usize, Option<u32>),
        data: &Data<T>,
        account: &mut Account,
    ) -> Result<Replayed> {
        let (mut spent, mut tried) = (0, Tried::new());
        loop {
            let run = self.run_at(at, kind)?;
            let costs = run.costs;
            let left = if left.is_some() { left.take() } else { run.body.on(data)? };
            let Some(ordinal) = left else {
                self.pauses[kind as usize].succeed();
                self.follow(kind, at, account);
                return Ok(Replayed::Held(at));
            };
            self.counts.strayed += 1;
            account.waste(costs.replay);
            spent += costs.replay;
            tried.push(at);
            let turned = self.turned(kind, at, ordinal, &tried);
            match turned {
                Some((next, replay)) if spent + replay <= costs.eager || account.forced.is_some() => at = next,
                _ => {
                    self.pauses[kind as usize].fail();
                    return Ok(Replayed::Left { may_be_known: turned.is_some() });
                }
            }
        }
    }

    /// A path with code for `kind`, but for those that were tried, that agrees with `at` before an outcome and not there, and what
    /// a run of it costs. The longest one: where an input leaves it tells most about the input.
    fn turned(&self, kind: Kind, at: usize, ordinal: u32, tried: &[usize]) -> Option<(usize, u64)> {
        let mut longest = None;
        self.tree.turned(at, ordinal as usize, |path, len| {
            if let Some(run) = self.code(path, kind).filter(|_| !tried.contains(&path)) {
                longest = longest.max(Some((len, path, run.costs.replay)));
            }
        });
        longest.map(|(_, path, replay)| (path, replay))
    }

    /// Notes an input that stayed on a path: the next one will probably, too.
    fn follow(&mut self, kind: Kind, at: usize, account: &mut Account) {
        if let Some(Some(before)) = self.paths.get_mut(self.last[kind as usize]) {
            before.next = at;
        }
        self.last[kind as usize] = at;
        self.count_held(kind, at, 1, 1, account);
    }

    /// Notes inputs that stayed on a path, of so many that ran together.
    fn count_held(&mut self, kind: Kind, at: usize, held: usize, together: usize, account: &mut Account) {
        let path = self.paths.get_mut(at).and_then(Option::as_mut);
        let Some(run) = path.and_then(|path| path.runs[kind as usize].as_mut()).filter(|_| held > 0) else { return };
        account.run(held, run.costs.eager, run.costs.in_lanes(together));
        // The first is the one that it was recorded for.
        self.counts.hits += held - usize::from(run.uses == 0);
        run.uses += held;
        if run.uses > 1 && std::mem::take(&mut run.is_doubted) {
            account.use_again();
        }
        self.touch(at);
    }

    /// Notes what became of some inputs that ran together on a path.
    fn count_together(&mut self, kind: Kind, at: usize, [inputs, strays]: [usize; 2], account: &mut Account) {
        self.counts.strayed += strays;
        let cost = self.code(at, kind).map_or(0, |run| run.costs.in_lanes(inputs));
        account.waste(cost * strays as u64);
        self.count_held(kind, at, inputs - strays, inputs, account);
    }

    #[track_caller]
    fn take_results(&mut self, kind: Kind, at: usize) -> Result<&Data<T>> {
        let path = self.paths.get_mut(at).and_then(Option::as_mut);
        let Some(run) = path.and_then(|path| path.runs[kind as usize].as_mut()) else { return Err(forgotten()) };
        run.body.results(&mut self.results);
        self.taken = Some((at, kind));
        Ok(&self.results)
    }

    /// Runs the function on a plain tape, of one kind instead of another.
    pub fn run_eagerly(
        &mut self,
        (kind, instead): (Kind, Kind),
        numbers: &[T],
        reason: EagerReason,
        function: &mut dyn Function<T>,
        account: &mut Account,
    ) -> Result<()> {
        self.taken = None;
        let Ran { cost, signature } = function.run(kind, numbers, &mut self.results, &mut self.targets)?;
        self.counts.eager += 1;
        account.why = Some(reason);
        account.run(1, cost, cost);
        if matches!(reason, EagerReason::Irregular | EagerReason::Rare) {
            let signature = signature.wrapping_mul(KINDS as u64).wrapping_add(instead as u64);
            let count = self.seen.add(signature);
            if count > 1 {
                self.pauses[instead as usize].shorten();
            }
            if let Some(cost) = account.records_by_now(instead, count, cost) {
                self.seen.forget(signature);
                self.due[instead as usize] = Some(cost);
            }
        }
        Ok(())
    }

    /// Takes in what became of some inputs that ran together on the path `at`, and runs those that left it again, path by path,
    /// until each has run on its own or alone.
    #[track_caller]
    pub fn regroup(
        &mut self,
        kind: Kind,
        (at, inputs): (usize, usize),
        mut strays: Strays,
        load: &mut dyn FnMut(usize, &mut Vec<T>),
        (function, account): (&mut dyn Function<T>, &mut Account),
        rerun: &mut dyn FnMut(Rerun<'_, T>),
    ) -> Result<()> {
        self.count_together(kind, at, [inputs, strays.len()], account);
        if strays.is_empty() {
            self.pauses[kind as usize].succeed();
            self.last[kind as usize] = at;
            return Ok(());
        }
        let eager = self.counts.eager;
        // The path that most inputs take is where the next ones begin.
        let mut most = (inputs - strays.len(), at);
        strays.sort_unstable();
        let mut waiting: SmallVec<[Group; 1]> =
            smallvec![Group { tried: SmallVec::new(), next: at, inputs: Vec::new() }];
        let mut numbers = std::mem::take(&mut self.numbers);
        while let Some(Group { mut tried, next: at, inputs }) = waiting.pop() {
            match self.in_lanes(at, kind) {
                // Those that are given have run.
                Some(_) if tried.is_empty() => {}
                Some(ready) => {
                    rerun(Rerun::On(ready, &inputs, &mut strays));
                    self.count_together(kind, at, [inputs.len(), strays.len()], account);
                    most = most.max((inputs.len() - strays.len(), at));
                }
                // It has tensors, or was forgotten meanwhile.
                None => {
                    for input in inputs {
                        numbers.clear();
                        load(input, &mut numbers);
                        self.run_eagerly((kind, kind), &numbers, EagerReason::Tensors, function, account)?;
                        rerun(Rerun::Done(input, &self.results));
                    }
                }
            }
            tried.push(at);
            let first = waiting.len();
            for (input, ordinal) in strays.drain(..) {
                let turned = self.turned(kind, at, ordinal, &tried).map(|(next, _)| next);
                let choice = match turned {
                    Some(next) if tried.len() <= MOST_TRIES || account.forced.is_some() => Choice::Replay(next),
                    _ => self.choose_for_stray(kind, turned.is_some(), account),
                };
                if !matches!(choice, Choice::Replay(_)) {
                    numbers.clear();
                    load(input, &mut numbers);
                }
                let next = match choice {
                    Choice::Replay(next) => next,
                    Choice::Record => self.record(kind, &numbers, function, account)?,
                    Choice::Run(reason) => {
                        self.run_eagerly((kind, kind), &numbers, reason, function, account)?;
                        rerun(Rerun::Done(input, &self.results));
                        continue;
                    }
                };
                match waiting[first..].iter_mut().find(|group| group.next == next) {
                    Some(group) => group.inputs.push(input),
                    None => waiting.push(Group { tried: tried.clone(), next, inputs: vec![input] }),
                }
            }
        }
        match 2 * (self.counts.eager - eager) <= inputs {
            true => self.pauses[kind as usize].succeed(),
            false => self.pauses[kind as usize].fail(),
        }
        self.numbers = numbers;
        self.last[kind as usize] = most.1;
        self.make_room(most.1);
        Ok(())
    }

    /// Records the path of the input, with code for `kind`.
    pub fn record(
        &mut self,
        kind: Kind,
        numbers: &[T],
        function: &mut dyn Function<T>,
        account: &mut Account,
    ) -> Result<usize> {
        let recording = function.record(kind, numbers)?;
        self.counts.recordings += 1;
        let at = match self.tree.find(&recording.outcomes) {
            Some(at) => at,
            None => self.add(&recording.outcomes),
        };
        let mut run = Run::new(kind, recording);
        run.is_doubted = account.record(kind, run.costs);
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
        let path = Path { runs: [const { None }; KINDS], used: 0, next: at };
        match self.paths.get_mut(at) {
            Some(place) => *place = Some(path),
            None => self.paths.push(Some(path)),
        }
        self.tree.insert(outcomes, at);
        at
    }

    /// Forgets paths until there are not too many; not the one that is in use.
    fn make_room(&mut self, at: usize) {
        while self.count_paths() > MOST || self.bytes() > MOST_BYTES {
            let used = |other: &usize| self.paths[*other].as_ref().map(|path| path.used);
            let others = (0..self.paths.len()).filter(|other| *other != at && used(other).is_some());
            let Some(oldest) = others.min_by_key(used) else { return };
            self.paths[oldest] = None;
            self.tree.remove(oldest);
            self.counts.forgotten += 1;
        }
    }

    fn kept(&self) -> impl Iterator<Item = &Path<T>> {
        self.paths.iter().flatten()
    }

    fn runs(&self) -> impl Iterator<Item = &Run<T>> {
        self.kept().flat_map(|path| path.runs.iter().flatten())
    }

    fn count_paths(&self) -> usize {
        self.kept().count()
    }

    /// The memory that the paths take.
    pub fn bytes(&self) -> usize {
        self.tree.bytes() + self.runs().map(Run::bytes).sum::<usize>()
    }

    /// Whether nothing has been recorded, or all is forgotten.
    pub fn is_empty(&self) -> bool {
        self.count_paths() == 0
    }

    #[track_caller]
    fn run_at(&mut self, at: usize, kind: Kind) -> Result<&mut Run<T>> {
        let path = self.paths.get_mut(at).and_then(Option::as_mut);
        match path.and_then(|path| path.runs[kind as usize].as_mut()) {
            Some(run) => Ok(run),
            None => Err(forgotten()),
        }
    }

    /// The code of a path that has some for `kind`, to run in lanes, if there are no tensors in it.
    pub fn in_lanes(&self, at: usize, kind: Kind) -> Option<&Ready<T>> {
        match &self.code(at, kind)?.body {
            Body::Numbers(ready) => Some(ready),
            Body::Tensors(_) => None,
        }
    }

    /// The path of the last input, if it has code for `kind`.
    pub fn known(&self, kind: Kind) -> Option<usize> {
        let last = self.last[kind as usize];
        self.code(last, kind).map(|_| last)
    }

    pub fn report(&self) -> Report {
        let Counts { hits, recordings, eager, strayed, forgotten } = self.counts;
        let paths = self.count_paths();
        let kept = Report {
            forms: usize::from(paths > 0),
            paths,
            hits,
            misses: recordings + eager,
            recordings,
            eager,
            strayed,
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
    Error::new("program", Rule::NotReplayable { why: why.into() })
}

impl<T: Float> Run<T> {
    fn new(kind: Kind, recording: Recording<T>) -> Self {
        let Recording { inputs, shared, function, whole, rows, code, targets, .. } = recording;
        let body = match code.is_of_numbers() {
            true => Body::Numbers(Box::new(Ready::new(Plan::new(&code, inputs[0], shared)))),
            false => Body::Tensors(Box::new(Script::new(&code, inputs))),
        };
        Run { costs: body.costs(kind, [function, whole], rows), body, targets, uses: 0, is_doubted: false }
    }

    fn bytes(&self) -> usize {
        match &self.body {
            Body::Numbers(ready) => ready.bytes(),
            Body::Tensors(script) => script.bytes(),
        }
    }
}

impl<T: Float> Body<T> {
    /// Runs on one input; the first comparison that came out differently.
    #[inline]
    fn on(&mut self, data: &Data<T>) -> Result<Option<u32>> {
        match self {
            Body::Numbers(ready) => Ok(ready.run(&data.numbers)),
            Body::Tensors(script) => script.run(data),
        }
    }

    #[inline]
    fn results(&mut self, data: &mut Data<T>) {
        match self {
            Body::Numbers(ready) => {
                data.clear();
                data.numbers.extend(ready.results());
            }
            Body::Tensors(script) => script.results(data),
        }
    }

    fn size(&self) -> Report {
        match self {
            Body::Numbers(ready) => Report {
                recorded: ready.plan.operations.0,
                operations: ready.plan.operations.1,
                groups: ready.plan.replay.groups(),
                recorded_bytes: ready.plan.operations.0 * size_of::<T>(),
                bytes: ready.plan.replay.slots() * size_of::<T>(),
                ..Report::default()
            },
            Body::Tensors(script) => script.size,
        }
    }

    fn costs(&self, kind: Kind, [function, whole]: [Size; 2], rows: usize) -> Costs {
        let Report { recorded, operations, groups, .. } = self.size();
        match self {
            Body::Numbers(_) => Costs::of_numbers(kind, function, rows, [recorded, operations, groups]),
            Body::Tensors(script) => {
                let of_numbers = script.groups_of_numbers();
                Costs::of_tensors(kind, [function, whole], [recorded, operations, groups, of_numbers])
            }
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

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let lists = [&self.idle, &self.uniform].map(|list| lock(list).iter().map(Numbers::bytes).sum::<usize>());
        self.plan.bytes() + self.single.bytes() + lists[0] + lists[1]
    }
}
