//! What runs cost, counted in recorded operations, and what is left to spend: when to record, and when to try a replay.
//!
//! The measure is the plain tape. A run that is cheaper than it earns the difference, and every run a little besides, which a
//! program may be slower; recordings, and replays that are given up, are paid of what was earned. So the whole is never much
//! slower than the tape, whatever the inputs are. A recording costs as much as some hundred runs of a function of numbers, so
//! it must be expected to be used: by a path or form that has come often, or as one of the first.

use crate::float::Float;
use crate::kernel::replay::LANES;
use crate::ops::Op;
use crate::program::report::EagerReason;
use crate::program::trace::cache::{RESULT_KINDS, ResultKind};
use crate::tape::{Node, Tape};

/// An operation on numbers on a plain tape, recorded or swept; the other costs are measured against it.
pub(in crate::program) const OPERATION_COST: u64 = 4;

/// An operation on tensors of some hundred elements, of which most is what comes before and after its loop. On larger ones it
/// takes longer, and so does a replay.
const TENSOR_OPERATION_COST: u64 = 300 * OPERATION_COST;

/// What an operation of the recorded reverse sweep takes on the plain tape.
const RECORDED_SWEEP_COST: u64 = 4 * OPERATION_COST;

/// To record an operation and to plan how it is replayed: 0.6 to 1.2 µs, where the tape takes 3.5 ns for its value.
const RECORDING_COST: u64 = 200 * OPERATION_COST;

/// The same of an operation on tensors: a step of three dense layers takes some six times as long to record as to run.
const TENSOR_RECORDING_COST: u64 = 1400 * OPERATION_COST;

/// To begin a group in a replay: it jumps to a loop that the tape has inlined.
const GROUP_COST: u64 = 5;

/// An operation within a group, and one on an input in lanes.
const GROUP_MEMBER_COST: u64 = 1;

/// A step of a replay of tensors. Chains of functions of elements are one step; without them a replay saves little.
const STEP_COST: u64 = 250 * OPERATION_COST;

/// What a run costs at least.
const MIN_RUN_COST: u64 = 10 * OPERATION_COST;

/// One part in so many a program may be slower than the tape, over all its runs.
const SLOWER_BY_ONE_IN: u64 = 16;

/// The same of a program of tensors: to take its arguments apart and to know their form is slower already.
const TENSORS_SLOWER_BY_ONE_IN: u64 = 64;

/// What a new program may spend: less than a millisecond. So small functions have their first paths recorded at once.
const INITIAL_BALANCE: i64 = 1024 * RECORDING_COST as i64;

/// What is recorded at once may cost one part in so many of what is left.
const AT_ONCE_ONE_IN: i64 = 4;

/// So many recordings may wait to be used while others are made at once.
const MAX_DOUBTED_RECORDINGS: u32 = 4;

/// A path that has come often enough to have cost one part in so many of its recording is recorded.
const OFTEN_ONE_IN: u64 = 4;

/// As much as so many recordings may be saved for later.
const MAX_RECORDINGS_SAVED: i64 = 8;

/// The last wait is of 2¹⁰ runs.
const MAX_FAILURES: u32 = 10;

/// How many operations a recording has. Its arguments are none.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::program) struct TraceSize {
    pub numbers: u64,
    pub tensors: u64,
}

impl TraceSize {
    pub fn of<T: Float>(tape: &Tape<T>) -> Self {
        let is_operation = |node: &&Node<T>| !matches!(node.op, Op::Leaf | Op::Constant | Op::Kept);
        let tensors = tape.nodes().iter().filter(is_operation).count() as u64;
        TraceSize { numbers: (tape.len() - tape.node_count()) as u64, tensors }
    }

    /// Without some operations on numbers.
    pub fn without(self, numbers: usize) -> Self {
        TraceSize { numbers: self.numbers.saturating_sub(numbers as u64), ..self }
    }

    /// What it takes on a plain tape, recorded or swept once.
    pub fn cost(self) -> u64 {
        self.numbers * OPERATION_COST + self.tensors * TENSOR_OPERATION_COST
    }
}

/// What a run on a plain tape costs, of a function with derivatives by recorded sweeps up to the whole, and so many sweeps over
/// that on numbers.
pub(in crate::program) fn eager(function: TraceSize, whole: TraceSize, sweeps: u64) -> u64 {
    let recorded = (whole.numbers - function.numbers) * (RECORDED_SWEEP_COST - OPERATION_COST);
    MIN_RUN_COST + whole.cost() * (1 + sweeps) + recorded
}

/// What the code of a path costs.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct Costs {
    /// To make it.
    pub recording: u64,
    /// A run of the function on a plain tape instead.
    pub eager: u64,
    /// A run.
    pub replay: u64,
    /// Whether it computes with tensors.
    pub on_tensors: bool,
}

impl Costs {
    /// Of a function, whose derivative has so many rows if it is asked for all, and of code that came from so many operations,
    /// of which some are left in groups.
    pub fn of_numbers(
        kind: ResultKind,
        function: TraceSize,
        rows: usize,
        [recorded, left, groups]: [usize; 3],
    ) -> Self {
        let recorded = recorded as u64;
        let eager = match kind {
            ResultKind::Value => function.cost(),
            ResultKind::Jacobian => function.cost() * (1 + rows as u64),
            // A recorded sweep, or several.
            ResultKind::Hvp | ResultKind::Hessian => recorded.max(function.numbers) * OPERATION_COST,
            ResultKind::Gradient | ResultKind::Jvp | ResultKind::Sum | ResultKind::Weighted | ResultKind::Params => {
                2 * function.cost()
            }
        };
        let replay = groups as u64 * GROUP_COST + left as u64 * GROUP_MEMBER_COST;
        Costs { recording: recorded * RECORDING_COST, eager: eager + MIN_RUN_COST, replay, on_tensors: false }
    }
}

impl Costs {
    /// As [`of_numbers`](Self::of_numbers), of code that runs in so many steps; `groups` are those within steps on numbers.
    /// `whole` is the function with its derivatives. A replay does nothing that the tape does not do, too.
    pub fn of_tensors(
        kind: ResultKind,
        [function, whole]: [TraceSize; 2],
        [recorded, left, steps, groups]: [usize; 4],
    ) -> Self {
        let numbers = Self::of_numbers(kind, function, 1, [recorded, left, groups]);
        let eager = match kind {
            ResultKind::Hvp | ResultKind::Hessian => whole.cost().max(function.cost()) + MIN_RUN_COST,
            _ => numbers.eager,
        };
        let recording = numbers.recording + whole.tensors * (TENSOR_RECORDING_COST - RECORDING_COST);
        let replay = (numbers.replay + steps as u64 * STEP_COST).min(eager);
        Costs { recording, eager, replay, on_tensors: true }
    }

    /// What an input takes of a replay of several in lanes.
    pub fn in_lanes(&self, inputs: usize) -> u64 {
        self.replay / inputs.clamp(1, LANES) as u64
    }
}

/// What a program has earned and spent.
pub(in crate::program) struct Budget {
    credit: i64,
    /// More is not saved.
    most: i64,
    /// Recordings that have not been used again.
    doubts: u32,
    slack: u64,
    /// Of the last recording of each kind.
    known: [Option<Costs>; RESULT_KINDS],
    /// Why the last run on the tape was one.
    pub why: Option<EagerReason>,
    /// What is done whatever it costs.
    pub forced: Option<Forced>,
}

/// What is done with every input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forced {
    /// It is replayed, on a path that is recorded if need be.
    Replay,
    /// It is run on a plain tape.
    #[cfg_attr(not(test), expect(dead_code))]
    Run,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            credit: INITIAL_BALANCE,
            most: INITIAL_BALANCE,
            doubts: 0,
            slack: SLOWER_BY_ONE_IN,
            known: [None; RESULT_KINDS],
            why: None,
            forced: None,
        }
    }
}

impl Budget {
    /// Whether nothing of this kind has been recorded.
    pub fn is_first(&self, kind: ResultKind) -> bool {
        self.known[kind as usize].is_none()
    }

    /// Notes a recording. The first of a kind must be, and with it comes what another one like it costs, for a path that comes
    /// often; of tensors no more than that, since replays of them earn little. Whether others are used is doubted.
    pub fn record(&mut self, kind: ResultKind, costs: Costs) -> bool {
        let cost = costs.recording as i64;
        let is_first = self.known[kind as usize].replace(costs).is_none();
        match (is_first, costs.on_tensors) {
            (true, true) if self.slack == TENSORS_SLOWER_BY_ONE_IN => self.credit = self.credit.max(cost),
            (true, true) => (self.slack, self.credit) = (TENSORS_SLOWER_BY_ONE_IN, cost),
            (true, false) => self.credit += cost,
            (false, _) => self.credit -= cost,
        }
        self.doubts += u32::from(!is_first);
        self.most = self.most.max(MAX_RECORDINGS_SAVED * cost).max(self.credit);
        !is_first
    }

    /// Notes that a recording has been used again for the first time.
    pub fn use_again(&mut self) {
        self.doubts = self.doubts.saturating_sub(1);
    }

    /// Notes some runs that would have cost so much each on the tape, and did cost so much.
    pub fn run(&mut self, runs: usize, on_tape: u64, cost: u64) {
        let earned = (on_tape + on_tape / self.slack) as i64 - cost as i64;
        self.credit = (self.credit + earned * runs as i64).min(self.most);
    }

    /// Notes what was in vain.
    pub fn waste(&mut self, cost: u64) {
        self.credit -= cost as i64;
    }

    pub fn can_pay(&self, cost: u64) -> bool {
        self.credit >= cost as i64
    }

    /// Whether a path or form that is met for the first time is recorded.
    pub fn records_at_once(&self, kind: ResultKind) -> bool {
        let cost = self.known[kind as usize].map_or(0, |costs| costs.recording as i64);
        self.doubts < MAX_DOUBTED_RECORDINGS && AT_ONCE_ONE_IN * cost <= self.credit
    }

    /// What it takes to record one that has run so often on the tape, and costs so much there, if that is worth it now.
    pub fn records_by_now(&self, kind: ResultKind, runs: u64, eager: u64) -> Option<u64> {
        // Another path is longer or shorter than the last one that was recorded.
        let scale = |costs: Costs| (costs.recording as f64 * eager as f64 / costs.eager as f64) as u64;
        let cost = self.known[kind as usize].map_or(0, scale);
        (runs * eager * OFTEN_ONE_IN >= cost && self.can_pay(cost)).then_some(cost)
    }
}

/// When to try replays again that were given up: after twice as many runs each time.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::program) struct Pause {
    runs: u32,
    failures: u32,
}

impl Pause {
    /// Whether a replay that costs so much may be tried now.
    pub fn is_over(&mut self, budget: &Budget, cost: u64) -> bool {
        match self.runs.checked_sub(1) {
            Some(rest) => {
                self.runs = rest;
                false
            }
            None => self.failures == 0 || budget.can_pay(cost),
        }
    }

    pub fn fail(&mut self) {
        self.failures = (self.failures + 1).min(MAX_FAILURES);
        self.runs = (1 << self.failures) - 1;
    }

    pub fn succeed(&mut self) {
        self.failures /= 2;
    }

    /// Whether replays were given up of late.
    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Ends the wait.
    pub fn end(&mut self) {
        self.runs = 0;
    }

    /// Notes a sign that inputs are regular again.
    pub fn shorten(&mut self) {
        self.runs /= 2;
    }
}

/// Recordings on the tape that come often, by their signatures: every one of which there are more than one in [`Seen::MAX_SIGNATURES`].
///
/// J. Misra, D. Gries, Finding repeated elements, Science of Computer Programming 2 (1982).
#[derive(Debug, Default)]
pub(in crate::program) struct Seen(Vec<(u64, u64)>);

impl Seen {
    const MAX_SIGNATURES: usize = 32;

    /// Notes one; how often it has come.
    pub fn add(&mut self, signature: u64) -> u64 {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| *known == signature) {
            *count += 1;
            return *count;
        }
        if self.0.len() == Self::MAX_SIGNATURES {
            self.0.iter_mut().for_each(|(_, count)| *count -= 1);
            self.0.retain(|&(_, count)| count > 0);
            return 1;
        }
        self.0.push((signature, 1));
        1
    }

    pub fn forget(&mut self, signature: u64) {
        self.0.retain(|&(known, _)| known != signature);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the order of hits, misses and waits, the runs and what was spent besides never cost much more than the tape.
    #[test]
    fn what_is_spent_has_been_earned() {
        let costs = Costs { recording: 100_000, eager: 1000, replay: 200, on_tensors: false };
        for seed in 1..50_u64 {
            let (mut budget, mut pause, mut state) = (Budget::default(), Pause::default(), seed);
            budget.record(ResultKind::Value, costs);
            let (mut spent, mut on_tape) = (0, 0);
            for run in 0..5000_u64 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let fits = (state >> 33) % 64 < seed;
                on_tape += costs.eager;
                let tried = pause.is_over(&budget, costs.replay);
                if tried && fits {
                    budget.run(1, costs.eager, costs.replay);
                    pause.succeed();
                    spent += costs.replay;
                    continue;
                }
                if tried {
                    budget.waste(costs.replay);
                    pause.fail();
                    spent += costs.replay;
                }
                match budget.records_at_once(ResultKind::Value)
                    || budget.records_by_now(ResultKind::Value, run, 1000).is_some()
                {
                    true => {
                        budget.record(ResultKind::Value, costs);
                        spent += costs.recording + costs.replay;
                    }
                    false => {
                        budget.run(1, costs.eager, costs.eager);
                        spent += costs.eager;
                    }
                }
            }
            let most =
                on_tape + on_tape / SLOWER_BY_ONE_IN + INITIAL_BALANCE as u64 + costs.recording + 100 * costs.replay;
            assert!(spent <= most, "{seed}: {spent}, of {most}");
        }
    }

    #[test]
    fn waits_double_until_inputs_are_regular_again() {
        let (budget, mut pause) = (Budget::default(), Pause::default());
        let mut tries = Vec::new();
        for run in 0..100 {
            if pause.is_over(&budget, 1) {
                tries.push(run);
                pause.fail();
            }
        }
        assert_eq!(tries, [0, 2, 6, 14, 30, 62]);
        let runs = (0..100).take_while(|_| !pause.is_over(&budget, 1)).inspect(|_| ()).count();
        assert!(runs > 20);
        pause.fail();
        let runs = std::iter::repeat_with(|| {
            pause.shorten();
            pause.is_over(&budget, 1)
        });
        assert!(runs.take_while(|over| !over).count() < 8);
    }

    #[test]
    fn what_comes_often_is_seen_among_much_else() {
        let mut seen = Seen::default();
        let mut most = 0;
        for other in 0..1000 {
            seen.add(1_000_000 + other);
            if other % 10 == 0 {
                most = seen.add(7);
            }
        }
        assert!(most > 20, "{most}");
        seen.forget(7);
        assert_eq!(seen.add(7), 1);
    }
}
