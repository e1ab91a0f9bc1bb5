//! Where every number of code stands.
//!
//! First the uniform ones: shared inputs, constants, and what is computed from these alone. Then the other inputs and all else.
//! A slot is used again when the last reader of its number has run.

use std::collections::{BTreeMap, BTreeSet};

use crate::float::Float;
use crate::program::ir::{Code, Instruction, ValueId};
use crate::program::schedule::{OperationGroup, ScheduledGroups};

/// No slot, or no reader.
const ABSENT: u32 = u32::MAX;

/// The slots of a schedule.
pub(in crate::program) struct SlotAssignment {
    /// By value.
    pub slots: Vec<u32>,
    /// The constants that somebody reads.
    pub constants: Vec<ValueId>,
    /// The slots below are uniform.
    pub uniform: u32,
    /// Slots lie below.
    pub top: u32,
}

impl SlotAssignment {
    /// Of the inputs, the first `shared` are.
    pub fn new<T: Float>(code: &Code<T>, inputs: u32, shared: u32, groups: &ScheduledGroups) -> Self {
        let mut slots = vec![ABSENT; code.values.len()];
        let last = last_readers(code, groups);
        let mut constants = Vec::new();
        let mut top = shared;
        for (value, instruction) in code.values.iter().enumerate() {
            match *instruction {
                Instruction::Input(place) if place < shared => slots[value] = place,
                Instruction::Constant(_) if last[value] != ABSENT => {
                    slots[value] = top;
                    constants.push(value as ValueId);
                    top += 1;
                }
                _ => {}
            }
        }
        let mut placing = SlotAllocator { slots, last, readers: 0, room: FreeSlots::above(top) };
        groups.once.iter().for_each(|group| placing.group(group));

        let uniform = placing.room.top;
        let first = uniform - shared;
        for (value, instruction) in code.values.iter().enumerate() {
            match *instruction {
                Instruction::Input(place) if place >= shared => placing.slots[value] = first + place,
                _ => {}
            }
        }
        placing.room = FreeSlots::above(first + inputs);
        groups.guards.iter().for_each(|group| placing.group(group));
        for window in &groups.windows {
            window.groups.iter().for_each(|group| placing.group(group));
            placing.read(window.summed());
        }
        SlotAssignment { slots: placing.slots, constants, uniform, top: placing.room.top }
    }
}

/// The reader that reads a value last, of all groups and sums in their order; a number behind all for results and guards.
fn last_readers<T: Float>(code: &Code<T>, groups: &ScheduledGroups) -> Vec<u32> {
    let mut last = vec![ABSENT; code.values.len()];
    let mut readers = 0;
    let mut read = |values: &mut dyn Iterator<Item = ValueId>| {
        values.for_each(|value| last[value as usize] = readers);
        readers += 1;
    };
    groups.once.iter().chain(&groups.guards).for_each(|group| read(&mut group.operands()));
    for window in &groups.windows {
        window.groups.iter().for_each(|group| read(&mut group.operands()));
        read(&mut window.summed());
    }
    read(&mut code.guards.iter().map(|guard| guard.comparison));
    read(&mut groups.results(code));
    last
}

/// A layout in the making.
struct SlotAllocator {
    slots: Vec<u32>,
    last: Vec<u32>,
    /// How many have read.
    readers: u32,
    room: FreeSlots,
}

impl SlotAllocator {
    fn group(&mut self, group: &OperationGroup) {
        let first = self.room.take(group.results.len() as u32);
        for (&value, slot) in group.results.iter().zip(first..) {
            self.slots[value as usize] = slot;
        }
        self.read(group.operands());
    }

    /// Gives up the slots of what is read for the last time.
    fn read(&mut self, values: impl Iterator<Item = ValueId>) {
        for value in values.map(|value| value as usize) {
            if self.last[value] == self.readers {
                self.last[value] = ABSENT;
                self.room.give(self.slots[value]);
            }
        }
        self.readers += 1;
    }
}

/// Slots to be taken and given back.
struct FreeSlots {
    /// What lies below is never given back.
    bottom: u32,
    /// Slots lie below.
    top: u32,
    /// Unused runs of slots: where they start, how long they are.
    free: BTreeMap<u32, u32>,
    /// The same by length.
    by_len: BTreeSet<(u32, u32)>,
}

impl FreeSlots {
    fn above(bottom: u32) -> Self {
        FreeSlots { bottom, top: bottom, free: BTreeMap::new(), by_len: BTreeSet::new() }
    }

    /// Consecutive slots: the shortest unused run that is long enough, or new ones.
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
        if slot < self.bottom {
            return;
        }
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
