//! How code runs: in which order, which operations together, and where each number stands.
//!
//! The order is that of demand (what a result needs, just before it, so that numbers are used soon after they were made)
//! or, where that leaves far fewer groups, that of the recording. Of every stretch of the order, equal operations that do
//! not depend on each other become one group. A slot is used again when the last reader of its number has run.

use std::collections::{BTreeMap, BTreeSet};

use super::code::{Code, Definition, Value};
use crate::float::Float;
use crate::kernel::replay::{Body, Group, Numbers, Replay, Span, span_of};
use crate::ops::elementwise::Elementwise;

/// How many operations are looked at together for groups: their numbers stay in the first cache.
const STRETCH: usize = 1024;

/// The order of the recording is worth longer ways between numbers and their readers when there are so many times fewer groups.
const WORTH: usize = 2;

/// No place yet.
const NOWHERE: u32 = u32::MAX;

/// Code, ready to run. The inputs stand in the first slots.
#[derive(Debug)]
pub(crate) struct Plan<T: Float> {
    pub replay: Replay<T>,
    constants: Vec<(u32, T)>,
    /// The slot of each result.
    pub results: Vec<u32>,
    pub guards: Vec<Check<T>>,
    /// How many operations the recording had, and how many are left.
    pub operations: (usize, usize),
}

/// A guard with its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check<T> {
    pub ordinal: u32,
    pub slot: u32,
    pub expected: T,
}

impl<T: Float> Plan<T> {
    pub fn new(code: &Code<T>, inputs: usize) -> Self {
        let mut order = by_demand(code);
        let mut groups = grouped(code, &order);
        let operations = order.len();
        order.sort_unstable();
        let recorded = grouped(code, &order);
        if WORTH * recorded.len() < groups.len() {
            groups = recorded;
        }
        let layout = Layout::new(code, inputs, &groups);
        let mut list = Vec::with_capacity(2 * operations);
        let groups: Vec<Group<T>> = groups.iter().map(|group| group.placed(&layout.slots, &mut list)).collect();
        let slot = |value: Value| layout.slots[value as usize];
        Plan {
            constants: layout.constants.iter().map(|&value| (slot(value), constant(code, value))).collect(),
            results: code.results.iter().map(|&value| slot(value)).collect(),
            guards: (code.guards.iter())
                .map(|guard| Check {
                    ordinal: guard.ordinal,
                    slot: slot(guard.comparison),
                    expected: T::of(f64::from(u8::from(guard.holds))),
                })
                .collect(),
            operations: (code.recorded, operations),
            replay: Replay::new(groups, list, layout.top as usize),
        }
    }

    /// Room for some inputs at once, with the constants in place.
    pub fn numbers(&self, lanes: usize) -> Numbers<T> {
        let mut numbers = self.replay.numbers(lanes);
        for &(slot, constant) in &self.constants {
            numbers.values[slot as usize * lanes..][..lanes].fill(constant);
        }
        numbers
    }
}

fn constant<T: Float>(code: &Code<T>, value: Value) -> T {
    match code.values[value as usize] {
        Definition::Constant(number) => number,
        _ => T::NAN,
    }
}

/// The operations that results and guards need, each after its operands and before what needs it next.
fn by_demand<T: Float>(code: &Code<T>) -> Vec<Value> {
    let mut seen = vec![false; code.values.len()];
    let mut order = Vec::new();
    // A value to visit, or one whose operands have all been visited.
    let mut stack: Vec<(Value, bool)> = Vec::new();
    for root in code.results.iter().copied().chain(code.guards.iter().map(|guard| guard.comparison)) {
        stack.push((root, false));
        while let Some((value, ready)) = stack.pop() {
            if ready {
                order.push(value);
                continue;
            }
            let Definition::Operation(op, x, y) = code.values[value as usize] else { continue };
            if std::mem::replace(&mut seen[value as usize], true) {
                continue;
            }
            stack.push((value, true));
            if op.arity() == 2 {
                stack.push((y, false));
            }
            stack.push((x, false));
        }
    }
    order
}

/// Equal operations that can run together.
struct Together {
    op: Elementwise,
    results: Vec<Value>,
    operands: [Vec<Value>; 2],
}

fn grouped<T: Float>(code: &Code<T>, order: &[Value]) -> Vec<Together> {
    let mut groups = Vec::new();
    // Of each value, the last stretch that it is computed in, and how many operations of that stretch it waits for.
    let mut depth = vec![(NOWHERE, 0_u32); code.values.len()];
    for (stretch, values) in order.chunks(STRETCH).enumerate() {
        let stretch = stretch as u32;
        let mut keyed: Vec<(u32, Elementwise, Value, Value, Value)> = Vec::with_capacity(values.len());
        for &value in values {
            let Definition::Operation(op, x, y) = code.values[value as usize] else { continue };
            let after = |operand: Value| match depth[operand as usize] {
                (at, depth) if at == stretch => depth + 1,
                _ => 0,
            };
            let own = after(x).max(after(y));
            depth[value as usize] = (stretch, own);
            keyed.push((own, op, value, x, y));
        }
        keyed.sort_by_key(|&(depth, op, ..)| (depth, op as u8));
        for equal in keyed.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            groups.push(Together {
                op: equal[0].1,
                results: equal.iter().map(|operation| operation.2).collect(),
                operands: [
                    equal.iter().map(|operation| operation.3).collect(),
                    equal.iter().map(|operation| operation.4).collect(),
                ],
            });
        }
    }
    groups
}

impl Together {
    /// The group with its slots.
    fn placed<T: Float>(&self, slots: &[u32], list: &mut Vec<u32>) -> Group<T> {
        let arity = self.op.arity();
        let start = list.len();
        let mut spans = [Span::Scattered; 2];
        for (span, operands) in spans.iter_mut().zip(&self.operands).take(arity) {
            let first = list.len();
            list.extend(operands.iter().map(|&value| slots[value as usize]));
            *span = span_of(&list[first..]);
        }
        let block = self.op.value_block();
        let body = match self.op {
            Elementwise::add => Body::Add(block),
            Elementwise::sub => Body::Sub(block),
            Elementwise::mul => Body::Mul(block),
            Elementwise::div => Body::Div(block),
            Elementwise::masked_mul => Body::MaskedMul(block),
            Elementwise::neg => Body::Neg(block),
            _ => Body::Other(block),
        };
        Group {
            body,
            out: slots[self.results[0] as usize],
            len: self.results.len() as u32,
            list: start as u32,
            arity: arity as u8,
            spans,
        }
    }
}

/// Where every number stands.
struct Layout {
    /// By value.
    slots: Vec<u32>,
    constants: Vec<Value>,
    /// Slots lie below.
    top: u32,
    /// Unused stretches below the top: where they start, how long they are.
    free: BTreeMap<u32, u32>,
    /// The same by length.
    by_len: BTreeSet<(u32, u32)>,
}

impl Layout {
    fn new<T: Float>(code: &Code<T>, inputs: usize, groups: &[Together]) -> Self {
        let slots = vec![NOWHERE; code.values.len()];
        let mut layout =
            Layout { slots, constants: Vec::new(), top: inputs as u32, free: BTreeMap::new(), by_len: BTreeSet::new() };
        let mut last = last_readers(code, groups);
        for (value, definition) in code.values.iter().enumerate() {
            match definition {
                Definition::Input(place) => layout.slots[value] = *place,
                Definition::Constant(_) if last[value] != NOWHERE => {
                    layout.slots[value] = layout.top;
                    layout.constants.push(value as Value);
                    layout.top += 1;
                }
                _ => {}
            }
        }
        for (reader, group) in groups.iter().enumerate() {
            let first = layout.take(group.results.len() as u32);
            for (&value, slot) in group.results.iter().zip(first..) {
                layout.slots[value as usize] = slot;
            }
            for &value in group.operands.iter().flatten() {
                let is_operation = matches!(code.values[value as usize], Definition::Operation(..));
                if is_operation && last[value as usize] == reader as u32 {
                    last[value as usize] = NOWHERE;
                    layout.give(layout.slots[value as usize]);
                }
            }
        }
        layout
    }

    /// Consecutive slots: the shortest unused stretch that is long enough, or new ones.
    fn take(&mut self, len: u32) -> u32 {
        let Some(&(room, start)) = self.by_len.range((len, 0)..).next() else {
            self.top += len;
            return self.top - len;
        };
        self.remove(start, room);
        if room > len {
            self.insert(start + len, room - len);
        }
        start
    }

    /// A slot is unused from now on.
    fn give(&mut self, slot: u32) {
        let (mut start, mut end) = (slot, slot + 1);
        if let Some((&before, &len)) = self.free.range(..slot).next_back()
            && before + len == slot
        {
            self.remove(before, len);
            start = before;
        }
        if let Some(&len) = self.free.get(&end) {
            self.remove(end, len);
            end += len;
        }
        self.insert(start, end - start);
    }

    fn insert(&mut self, start: u32, len: u32) {
        self.free.insert(start, len);
        self.by_len.insert((len, start));
    }

    fn remove(&mut self, start: u32, len: u32) {
        self.free.remove(&start);
        self.by_len.remove(&(len, start));
    }
}

/// The group that reads a value last; the end of all for results and guards, and [`NOWHERE`] for what nobody reads.
fn last_readers<T: Float>(code: &Code<T>, groups: &[Together]) -> Vec<u32> {
    let mut last = vec![NOWHERE; code.values.len()];
    for (reader, group) in groups.iter().enumerate() {
        for &value in group.operands.iter().flatten() {
            last[value as usize] = reader as u32;
        }
    }
    for &value in code.results.iter().chain(code.guards.iter().map(|guard| &guard.comparison)) {
        last[value as usize] = NOWHERE - 1;
    }
    last
}
