//! What to do with the next inputs: replay them, record their path, or run them on a plain tape.

use crate::float::Float;
use crate::program::report::EagerReason;
use crate::program::trace::budget::{Budget, Costs, Forced};
use crate::program::trace::cache::{PathCache, ResultKind};

/// What to do with inputs.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) enum Choice {
    /// Replay them on this path.
    Replay(usize),
    /// Record the path of the first.
    Record,
    /// Run them on a plain tape.
    Run(EagerReason),
}

impl<T: Float> PathCache<T> {
    /// What to do with the next input.
    pub fn choose(&mut self, kind: ResultKind, budget: &Budget) -> Choice {
        self.choose_for(kind, &|costs| costs.replay, budget)
    }

    /// What to do with all rows of a derivative, of which a run of `kind` gives one: on a tape they share the value.
    pub fn choose_for_rows(&mut self, kind: ResultKind, budget: &Budget) -> Choice {
        self.choose_for(kind, &|costs| 2 * costs.replay, budget)
    }

    /// What to do with the next inputs, of which so many run together in lanes.
    pub fn choose_together(&mut self, kind: ResultKind, inputs: usize, budget: &Budget) -> Choice {
        self.choose_for(kind, &|costs| costs.in_lanes(inputs), budget)
    }

    /// Whether the next inputs probably compute with tensors, which do not run in lanes.
    pub(in crate::program) fn expects_tensors(&self, kind: ResultKind) -> bool {
        let has_tensors =
            |at: usize, kind: ResultKind| self.code(at, kind).is_some() && self.in_lanes(at, kind).is_none();
        let value = (self.last[ResultKind::Value as usize], ResultKind::Value);
        let expected = self.expected(kind).map(|(at, _)| (at, kind));
        expected.into_iter().chain([value]).any(|(at, kind)| has_tensors(at, kind))
    }

    /// What to do with inputs whose replays cost as much as `cost` says.
    fn choose_for(&mut self, kind: ResultKind, cost: &dyn Fn(Costs) -> u64, budget: &Budget) -> Choice {
        match (budget.forced, self.expected(kind)) {
            (None, _) => {}
            (Some(Forced::Replay), Some((at, _))) => return Choice::Replay(at),
            (Some(Forced::Replay), None) => return Choice::Record,
            (Some(Forced::Run), _) => return Choice::Run(EagerReason::Rare),
        }
        let Some((at, costs)) = self.expected(kind) else {
            let value = self.code(self.last[ResultKind::Value as usize], ResultKind::Value).map(|run| run.costs);
            return match value {
                // The derivatives will be as the value is.
                Some(costs) if cost(costs) > costs.eager && kind.is_of_first_order() => Choice::Run(EagerReason::Slow),
                _ if budget.is_first(kind) => Choice::Record,
                _ => self.choose_for_stray(kind, false, budget),
            };
        };
        let is_due = self.due[kind as usize].is_some();
        match cost(costs) {
            cost if cost > costs.eager => Choice::Run(EagerReason::Slow),
            cost if self.pauses[kind as usize].is_over(budget, cost) || is_due => Choice::Replay(at),
            _ => Choice::Run(EagerReason::Irregular),
        }
    }

    /// What to do with an input that has left all paths that were tried.
    pub(in crate::program) fn choose_for_stray(
        &mut self,
        kind: ResultKind,
        may_be_known: bool,
        budget: &Budget,
    ) -> Choice {
        match budget.forced {
            Some(Forced::Replay) => return Choice::Record,
            _ if may_be_known => return Choice::Run(EagerReason::Irregular),
            _ => {}
        }
        // Others may have been recorded since, and may have spent what it takes.
        let is_due = self.due[kind as usize].take().is_some_and(|cost| budget.can_pay(cost));
        match is_due || budget.records_at_once(kind) {
            true => Choice::Record,
            false => Choice::Run(EagerReason::Rare),
        }
    }

    /// The path that the next input probably takes, if it has code for `kind`: what followed the last one before, or that.
    fn expected(&self, kind: ResultKind) -> Option<(usize, Costs)> {
        let last = self.last[kind as usize];
        let next = self.paths.get(last)?.as_ref().map(|path| path.next);
        [next, Some(last)].into_iter().flatten().find_map(|at| Some((at, self.code(at, kind)?.costs)))
    }
}
