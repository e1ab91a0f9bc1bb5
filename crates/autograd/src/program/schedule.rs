//! How code runs: in which order, which operations together, and when results are added to their sums.
//!
//! What does not depend on the inputs that differ runs once, for all of them; then what the guards need; then the rest. The order
//! is that of demand (what a result needs, just before it, so that numbers are used soon after they were made) or, where that
//! leaves far fewer groups, that of the recording. Of every window of the order, equal operations that do not depend on each
//! other become one group.

mod reduction;
mod slots;

use std::ops::Range;

use smallvec::SmallVec;

use crate::float::Float;
use crate::kernel::replay::{Group, Numbers, Opcode, Replay, Span, Terms, span_of};
use crate::ops::elementwise::Elementwise;
use crate::program::ir::{Code, Instruction, ValueId};
use crate::program::schedule::reduction::{SumReduction, reductions};
use crate::program::schedule::slots::SlotAssignment;

/// How many operations are looked at together for groups: their numbers stay in the first cache.
const WINDOW: usize = 1024;

/// The order of the recording is worth longer ways between numbers and their readers when there are so many times fewer groups.
const MIN_GROUP_RATIO: usize = 2;

/// Not in any window.
const NO_WINDOW: u32 = u32::MAX;

/// Code, ready to run. In the uniform slots stand first the shared inputs; behind the uniform ones, first the other inputs.
#[derive(Debug)]
pub(crate) struct Schedule<T: Float> {
    /// Computes the uniform numbers.
    once: Replay<T>,
    pub replay: Replay<T>,
    constants: Vec<(u32, T)>,
    /// The slot of each result.
    pub results: Vec<u32>,
    pub guards: Vec<ScheduledGuard<T>>,
    /// So many groups run before the guards are known.
    pub guarded: usize,
    /// The groups behind these, where the results are to be summed.
    pub windows: Vec<Window<Range<usize>, u32>>,
    /// How many operations the recording had, and how many are left.
    pub operations: (usize, usize),
}

/// A guard with its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScheduledGuard<T> {
    pub ordinal: u32,
    pub slot: u32,
    pub expected: T,
}

/// Groups, and results that are complete when they have run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window<G, V> {
    pub groups: G,
    /// The place among the results, and where it comes from.
    pub sums: Vec<(u32, V)>,
}

impl<T: Float> Schedule<T> {
    /// The schedule of code with so many inputs. If some of these are shared, the results are to be summed over the others.
    pub fn new(code: &Code<T>, inputs: usize, shared: Option<usize>) -> Self {
        let uniform = uniform(code, shared.unwrap_or(0));
        let steps = SchedulableCode { code, reductions: reductions(code, &uniform, shared.is_some()), uniform };
        let mut order = DemandOrder::by_demand(&steps);
        let operations = order.operations(&steps);
        let mut groups = ScheduledGroups::new(&steps, &order, shared.is_some());
        order.as_recorded();
        let recorded = ScheduledGroups::new(&steps, &order, shared.is_some());
        if MIN_GROUP_RATIO * recorded.count() < groups.count() {
            groups = recorded;
        }
        let layout = SlotAssignment::new(code, inputs as u32, shared.unwrap_or(0) as u32, &groups);
        let slot = |value: ValueId| layout.slots[value as usize];
        let (uniform, top) = (layout.uniform as usize, layout.top as usize);
        let placed = |groups: &mut dyn Iterator<Item = &OperationGroup>, slots, uniform| {
            let mut list = Vec::new();
            let groups = groups.map(|group| group.placed(&layout.slots, &mut list)).collect();
            Replay::new(groups, list, slots, uniform)
        };
        let mut groups_so_far = groups.guards.len();
        let mut window = |window: &Window<Vec<OperationGroup>, ValueId>| {
            let start = groups_so_far;
            groups_so_far += window.groups.len();
            let sums = window.sums.iter().map(|&(place, value)| (place, slot(value))).collect();
            Window { groups: start..groups_so_far, sums }
        };
        Schedule {
            once: placed(&mut groups.once.iter(), uniform, 0),
            replay: placed(&mut groups.each(), top, uniform),
            constants: layout.constants.iter().map(|&value| (slot(value), constant(code, value))).collect(),
            results: groups.results(code).map(slot).collect(),
            guards: (code.guards.iter())
                .map(|guard| ScheduledGuard {
                    ordinal: guard.ordinal,
                    slot: slot(guard.comparison),
                    expected: T::of(f64::from(u8::from(guard.holds))),
                })
                .collect(),
            guarded: groups.guards.len(),
            windows: groups.windows.iter().map(&mut window).collect(),
            operations: (code.recorded, operations),
        }
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let lists = size_of_val(&self.constants[..]) + size_of_val(&self.results[..]) + size_of_val(&self.guards[..]);
        let sums = self.windows.iter().map(|window| size_of_val(window) + size_of_val(&window.sums[..]));
        self.once.bytes() + self.replay.bytes() + lists + sums.sum::<usize>()
    }

    /// Room for the numbers that are the same for many inputs, with the constants in place.
    pub fn uniform(&self) -> Numbers<T> {
        let mut numbers = self.once.numbers(1);
        for &(slot, constant) in &self.constants {
            numbers.values[slot as usize] = constant;
        }
        numbers
    }

    /// The numbers that are the same for all inputs that begin with the shared ones.
    pub fn run_once(&self, shared: &[T], uniform: &mut Numbers<T>) {
        uniform.values[..shared.len()].copy_from_slice(shared);
        self.once.run(uniform);
    }

    /// Room for some inputs at once, with the constants in place.
    pub fn numbers(&self, lanes: usize) -> Numbers<T> {
        let mut numbers = self.replay.numbers(lanes);
        for &(slot, constant) in &self.constants {
            numbers.uniform[slot as usize] = constant;
        }
        numbers
    }
}

fn constant<T: Float>(code: &Code<T>, value: ValueId) -> T {
    match code.values[value as usize] {
        Instruction::Constant(number) => number,
        _ => T::NAN,
    }
}

/// The values that depend on nothing but constants and the first inputs, so many.
fn uniform<T: Float>(code: &Code<T>, shared: usize) -> Vec<bool> {
    let mut uniform = Vec::with_capacity(code.values.len());
    for instruction in &code.values {
        uniform.push(match *instruction {
            Instruction::Input(place) => (place as usize) < shared,
            Instruction::Constant(_) => true,
            Instruction::Operation(_, x) => x.iter().all(|&operand| uniform[operand as usize]),
            Instruction::Output(..) => false,
        });
    }
    uniform
}

/// The operations of code, with reductions as one.
struct SchedulableCode<'c, T: Float> {
    code: &'c Code<T>,
    /// By value; those that are a part of a sum are nobody's operands.
    reductions: Vec<Option<SumReduction>>,
    uniform: Vec<bool>,
}

impl<T: Float> SchedulableCode<'_, T> {
    /// The operation that makes a value, and its operands.
    fn of(&self, value: ValueId) -> Option<(GroupKey, SmallVec<[ValueId; 3]>)> {
        let is_uniform = |operand: ValueId| self.uniform[operand as usize];
        match (&self.reductions[value as usize], self.code.values[value as usize]) {
            (Some(sum), _) => Some((GroupKey::Sum(sum.terms, sum.uniform), SmallVec::from_slice(&sum.operands))),
            (None, Instruction::Operation(op, x)) => {
                Some((GroupKey::Operation(op, x.map(is_uniform)), SmallVec::from_slice(&x[..op.arity()])))
            }
            _ => None,
        }
    }
}

/// What operations must have in common to run together: what they compute, and which operands are uniform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GroupKey {
    Operation(Elementwise, [bool; 3]),
    Sum(Terms, bool),
}

impl GroupKey {
    /// An order of sorts, whichever.
    fn rank(self) -> (u8, [bool; 3]) {
        match self {
            GroupKey::Operation(op, uniform) => (op as u8, uniform),
            GroupKey::Sum(terms, uniform) => (u8::MAX - terms as u8, [uniform, false, false]),
        }
    }
}

/// The operations that results and guards need, in an order in which they can run.
#[derive(Default)]
struct DemandOrder {
    /// Those that are the same for all inputs.
    once: Vec<ValueId>,
    /// Those that guards need.
    guards: Vec<ValueId>,
    rest: Vec<ValueId>,
}

impl DemandOrder {
    /// Each after its operands and before what needs it next.
    fn by_demand<T: Float>(steps: &SchedulableCode<'_, T>) -> Self {
        let code = steps.code;
        let mut seen = vec![false; code.values.len()];
        let mut order = DemandOrder::default();
        // A value to visit, or one whose operands have all been visited.
        let mut stack: Vec<(ValueId, bool)> = Vec::new();
        for (number, root) in
            code.guards.iter().map(|guard| guard.comparison).chain(code.results.iter().copied()).enumerate()
        {
            stack.push((root, false));
            while let Some((value, ready)) = stack.pop() {
                if ready {
                    match steps.uniform[value as usize] {
                        true => order.once.push(value),
                        false if number < code.guards.len() => order.guards.push(value),
                        false => order.rest.push(value),
                    }
                    continue;
                }
                let Some((_, operands)) = steps.of(value) else { continue };
                if std::mem::replace(&mut seen[value as usize], true) {
                    continue;
                }
                stack.push((value, true));
                stack.extend(operands.iter().rev().map(|&operand| (operand, false)));
            }
        }
        order
    }

    /// In the order of the recording.
    fn as_recorded(&mut self) {
        self.once.sort_unstable();
        self.guards.sort_unstable();
        self.rest.sort_unstable();
    }

    fn operations<T: Float>(&self, steps: &SchedulableCode<'_, T>) -> usize {
        let all = [&self.once, &self.guards, &self.rest].into_iter().flatten();
        all.map(|&value| steps.reductions[value as usize].as_ref().map_or(1, SumReduction::operations)).sum()
    }
}

/// Equal operations that can run together.
pub(in crate::program) struct OperationGroup {
    sort: GroupKey,
    pub results: Vec<ValueId>,
    operands: Vec<SmallVec<[ValueId; 3]>>,
}

/// All operations, in groups.
pub(in crate::program) struct ScheduledGroups {
    pub once: Vec<OperationGroup>,
    pub guards: Vec<OperationGroup>,
    /// What is summed is complete with the groups of its window.
    pub windows: Vec<Window<Vec<OperationGroup>, ValueId>>,
    summed: bool,
}

impl ScheduledGroups {
    fn new<T: Float>(steps: &SchedulableCode<'_, T>, order: &DemandOrder, summed: bool) -> Self {
        let code = steps.code;
        let mut grouping = GroupBuilder { steps, depth: vec![(NO_WINDOW, 0); code.values.len()], window: 0 };
        let once = order.once.chunks(WINDOW).flat_map(|values| grouping.groups(values)).collect();
        let guards = order.guards.chunks(WINDOW).flat_map(|values| grouping.groups(values)).collect();
        let first = grouping.window;
        let mut windows: Vec<_> = (order.rest.chunks(WINDOW))
            .map(|values| Window { groups: grouping.groups(values), sums: Vec::new() })
            .collect();
        if summed && windows.is_empty() {
            windows.push(Window::default());
        }
        for (place, &value) in code.results.iter().enumerate().filter(|_| summed) {
            let at = match grouping.depth[value as usize].0 {
                NO_WINDOW => 0,
                window => window.saturating_sub(first),
            };
            windows[at as usize].sums.push((place as u32, value));
        }
        ScheduledGroups { once, guards, windows, summed }
    }

    /// Those that run for each input.
    fn each(&self) -> impl Iterator<Item = &OperationGroup> {
        self.guards.iter().chain(self.windows.iter().flat_map(|window| &window.groups))
    }

    fn count(&self) -> usize {
        self.once.len() + self.each().count()
    }

    /// The results that are not summed.
    pub fn results<T: Float>(&self, code: &Code<T>) -> impl Iterator<Item = ValueId> {
        code.results.iter().copied().filter(|_| !self.summed)
    }
}

impl Window<Vec<OperationGroup>, ValueId> {
    pub fn summed(&self) -> impl Iterator<Item = ValueId> {
        self.sums.iter().map(|&(_, value)| value)
    }
}

/// What groups are made of.
struct GroupBuilder<'c, T: Float> {
    steps: &'c SchedulableCode<'c, T>,
    /// Of each operation, the window that it is computed in, and how many operations of that window it waits for.
    depth: Vec<(u32, u32)>,
    window: u32,
}

impl<T: Float> GroupBuilder<'_, T> {
    /// The groups of the next window.
    fn groups(&mut self, values: &[ValueId]) -> Vec<OperationGroup> {
        let mut waiting: Vec<(u32, GroupKey, ValueId, SmallVec<[ValueId; 3]>)> = Vec::with_capacity(values.len());
        for &value in values {
            let Some((sort, operands)) = self.steps.of(value) else { continue };
            let after = |&operand: &ValueId| match self.depth[operand as usize] {
                (at, depth) if at == self.window => depth + 1,
                _ => 0,
            };
            let depth = operands.iter().map(after).max().unwrap_or(0);
            self.depth[value as usize] = (self.window, depth);
            waiting.push((depth, sort, value, operands));
        }
        self.window += 1;
        waiting.sort_by_key(|&(depth, sort, ..)| (depth, sort.rank()));
        let mut groups: Vec<(u32, OperationGroup)> = Vec::new();
        for (depth, sort, value, operands) in waiting {
            match groups.last_mut() {
                Some((at, group)) if (*at, group.sort) == (depth, sort) => {
                    group.results.push(value);
                    group.operands.push(operands);
                }
                _ => groups.push((depth, OperationGroup { sort, results: vec![value], operands: vec![operands] })),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

impl OperationGroup {
    pub fn operands(&self) -> impl Iterator<Item = ValueId> {
        self.operands.iter().flatten().copied()
    }

    /// The group with its slots.
    fn placed<T: Float>(&self, slots: &[u32], list: &mut Vec<u32>) -> Group<T> {
        let start = list.len();
        let slot = |value: ValueId| slots[value as usize];
        let mut spans = [Span::Scattered; 3];
        let (opcode, arity) = match self.sort {
            GroupKey::Sum(terms, _) => {
                for operands in &self.operands {
                    list.push(slot(operands[0]));
                    list.push(((operands.len() - 1) / terms.factors()) as u32);
                    list.extend(operands[1..].iter().map(|&value| slot(value)));
                }
                (Opcode::Sum(terms), 0)
            }
            GroupKey::Operation(op, _) => {
                for (k, span) in spans.iter_mut().enumerate().take(op.arity()) {
                    let first = list.len();
                    list.extend(self.operands.iter().map(|operands| slot(operands[k])));
                    *span = span_of(&list[first..]);
                }
                (opcode(op), op.arity())
            }
        };
        let (out, len) = (slot(self.results[0]), self.results.len() as u32);
        Group { opcode, out, len, list: start as u32, arity: arity as u8, spans }
    }
}

fn opcode<T: Float>(op: Elementwise) -> Opcode<T> {
    let block = op.value_block();
    match op {
        Elementwise::add => Opcode::Add(block),
        Elementwise::sub => Opcode::Sub(block),
        Elementwise::mul => Opcode::Mul(block),
        Elementwise::div => Opcode::Div(block),
        Elementwise::masked_mul => Opcode::MaskedMul(block),
        Elementwise::neg => Opcode::Neg(block),
        Elementwise::gt => Opcode::Gt(block),
        Elementwise::select => Opcode::Select(block),
        _ => Opcode::Other(block),
    }
}
