//! One input after the other, each on the path that it takes.

use smallvec::SmallVec;

use crate::error::Result;
use crate::float::Float;
use crate::program::Data;
use crate::program::execution::executable::Executable;
use crate::program::trace::budget::{Budget, Forced};
use crate::program::trace::cache::choice::Choice;
use crate::program::trace::cache::{PathCache, ResultKind, TracedFunction, forgotten, not_replayable};

/// What became of an input on the path of the last one.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) enum Again {
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

/// Paths that inputs have left.
pub(in crate::program) type Tried = SmallVec<[usize; 4]>;

impl<T: Float> PathCache<T> {
    /// Replays an input on the path of the last one, if that is of numbers and nothing speaks against it. A small function takes
    /// less time than the decisions of [`run`](Self::run), so inputs that all take one path are spared them.
    pub fn again(&mut self, kind: ResultKind, data: &Data<T>, budget: &mut Budget) -> Again {
        let at = self.last[kind as usize];
        let Some(Some(path)) = self.paths.get_mut(at) else { return Again::Untried };
        let Some(run) = &mut path.runs[kind as usize] else { return Again::Untried };
        let Executable::Numbers(ready) = &mut run.body else { return Again::Untried };
        let is_usual = path.next == at && run.uses > 1 && !self.pauses[kind as usize].has_failed();
        let pays = match budget.forced {
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
        budget.run(1, run.costs.eager, run.costs.replay);
        Again::Held
    }

    /// The results on one input, on the path that it takes, after what became of it on that of the last one.
    #[track_caller]
    pub fn run(
        &mut self,
        (kind, again): (ResultKind, Again),
        data: &Data<T>,
        function: &mut dyn TracedFunction<T>,
        budget: &mut Budget,
    ) -> Result<&Data<T>> {
        match again {
            Again::Held => Ok(&self.results),
            Again::Left(at, ordinal) => {
                self.follow_choice(kind, (Choice::Replay(at), Some(ordinal)), data, function, budget)
            }
            Again::Untried => {
                let choice = self.choose(kind, budget);
                self.follow_choice(kind, (choice, None), data, function, budget)
            }
        }
    }

    /// The results on one input by what was chosen, told where it leaves the path on which it is replayed, if that is known.
    #[track_caller]
    pub(in crate::program) fn follow_choice(
        &mut self,
        kind: ResultKind,
        (mut choice, left): (Choice, Option<u32>),
        data: &Data<T>,
        function: &mut dyn TracedFunction<T>,
        budget: &mut Budget,
    ) -> Result<&Data<T>> {
        if let Choice::Replay(at) = choice {
            choice = match self.replay(kind, (at, left), data, budget)? {
                Replayed::Held(at) => return self.take_results(kind, at),
                Replayed::Left { may_be_known } => self.choose_for_stray(kind, may_be_known, budget),
            };
        }
        if let Choice::Run(reason) = choice {
            self.run_eagerly((kind, kind), &data.numbers, reason, function, budget)?;
            return Ok(&self.results);
        }
        let at = self.record(kind, &data.numbers, function, budget)?;
        match self.run_at(at, kind)?.body.on(data)? {
            None => {
                self.follow(kind, at, budget);
                self.take_results(kind, at)
            }
            Some(_) => Err(not_replayable("recorded again on the same numbers, it took another path")),
        }
    }

    /// Replays an input on a path, unless it is known where it leaves that, and then on others that it may be on, as long as the
    /// tape would take.
    fn replay(
        &mut self,
        kind: ResultKind,
        (mut at, mut left): (usize, Option<u32>),
        data: &Data<T>,
        budget: &mut Budget,
    ) -> Result<Replayed> {
        let (mut spent, mut tried) = (0, Tried::new());
        loop {
            let run = self.run_at(at, kind)?;
            let costs = run.costs;
            let left = if left.is_some() { left.take() } else { run.body.on(data)? };
            let Some(ordinal) = left else {
                self.pauses[kind as usize].succeed();
                self.follow(kind, at, budget);
                return Ok(Replayed::Held(at));
            };
            self.counts.side_exits += 1;
            budget.waste(costs.replay);
            spent += costs.replay;
            tried.push(at);
            let turned = self.turned(kind, at, ordinal, &tried);
            match turned {
                Some((next, replay)) if spent + replay <= costs.eager || budget.forced.is_some() => at = next,
                _ => {
                    self.pauses[kind as usize].fail();
                    return Ok(Replayed::Left { may_be_known: turned.is_some() });
                }
            }
        }
    }

    /// A path with code for `kind`, but for those that were tried, that agrees with `at` before an outcome and not there, and what
    /// a run of it costs. The longest one: where an input leaves it tells most about the input.
    pub(in crate::program) fn turned(
        &self,
        kind: ResultKind,
        at: usize,
        ordinal: u32,
        tried: &[usize],
    ) -> Option<(usize, u64)> {
        let mut longest = None;
        self.tree.turned(at, ordinal as usize, |path, len| {
            if let Some(run) = self.code(path, kind).filter(|_| !tried.contains(&path)) {
                longest = longest.max(Some((len, path, run.costs.replay)));
            }
        });
        longest.map(|(_, path, replay)| (path, replay))
    }

    /// Notes an input that stayed on a path: the next one will probably, too.
    fn follow(&mut self, kind: ResultKind, at: usize, budget: &mut Budget) {
        if let Some(Some(before)) = self.paths.get_mut(self.last[kind as usize]) {
            before.next = at;
        }
        self.last[kind as usize] = at;
        self.count_held(kind, at, 1, 1, budget);
    }

    #[track_caller]
    fn take_results(&mut self, kind: ResultKind, at: usize) -> Result<&Data<T>> {
        let path = self.paths.get_mut(at).and_then(Option::as_mut);
        let Some(run) = path.and_then(|path| path.runs[kind as usize].as_mut()) else { return Err(forgotten()) };
        run.body.results(&mut self.results);
        self.taken = Some((at, kind));
        Ok(&self.results)
    }
}
