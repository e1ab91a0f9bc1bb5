//! The list of entries, one for each operation in the order of execution, and its storage.

use std::panic::Location;

use super::Tape;
use crate::error::{Error, ErrorKind};
use crate::float::Float;
use crate::kernel::prefetch::prefetch;
use crate::ops::elementwise::Elementwise;

/// The index of a number that is on no tape.
pub(crate) const CONSTANT: u32 = u32::MAX;
/// Indices of entries and nodes lie below: a power of two, so that one test of `a | b` tells it of both. Above are those of
/// failed operations (`failures.rs`).
pub(crate) const LIMIT: u32 = 1 << 31;

/// How far ahead of the last entry memory is fetched to be written: about a kilobyte, which takes as long to record as to
/// fetch. Entries are written too fast and in too many pieces for the processor to see what comes next.
const FETCHED_AHEAD: usize = 40;

/// One recorded scalar operation, or the place of a tensor operation in the order of execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<T> {
    pub value: T,
    /// The second operand: an index, or the bits of a constant (as `f64`), or the element that was read; for a function of
    /// one operand the bits of its slope.
    pub argument: u64,
    /// The first operand.
    pub operand: u32,
    pub opcode: Opcode,
}

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A variable: a number that derivatives are taken of.
    Leaf,
    /// One element of a tensor; `operand` is the node, `argument` the row-major index.
    Element,
    /// A tensor operation; `operand` is the node.
    Node,
    /// Integers; `operand` is their place in the list of them.
    Integers,
    /// f(x).
    Unary(Elementwise),
    /// f(x, y).
    Both(Elementwise),
    /// f(x, c) with a constant c.
    Right(Elementwise),
    /// f(c, y) with a constant c.
    Left(Elementwise),
}

/// A step as an entry keeps it: the opcode of the entry in the loop of the reverse sweep. The operations that are frequent
/// in formulas have opcodes of their own, so that the loop jumps once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Leaf,
    Element,
    Node,
    Integers,
    Unary(Elementwise),
    Add(Elementwise),
    Sub(Elementwise),
    Mul(Elementwise),
    Div(Elementwise),
    Both(Elementwise),
    AddRight(Elementwise),
    SubRight(Elementwise),
    MulRight(Elementwise),
    Right(Elementwise),
    AddLeft(Elementwise),
    SubLeft(Elementwise),
    MulLeft(Elementwise),
    Left(Elementwise),
}

impl Opcode {
    #[inline(always)]
    const fn of(step: Step) -> Self {
        match step {
            Step::Leaf => Opcode::Leaf,
            Step::Element => Opcode::Element,
            Step::Node => Opcode::Node,
            Step::Integers => Opcode::Integers,
            Step::Unary(op) => Opcode::Unary(op),
            Step::Both(op) => match op {
                Elementwise::add => Opcode::Add(op),
                Elementwise::sub => Opcode::Sub(op),
                Elementwise::mul => Opcode::Mul(op),
                Elementwise::div => Opcode::Div(op),
                _ => Opcode::Both(op),
            },
            Step::Right(op) => match op {
                Elementwise::add => Opcode::AddRight(op),
                Elementwise::sub => Opcode::SubRight(op),
                Elementwise::mul => Opcode::MulRight(op),
                _ => Opcode::Right(op),
            },
            Step::Left(op) => match op {
                Elementwise::add => Opcode::AddLeft(op),
                Elementwise::sub => Opcode::SubLeft(op),
                Elementwise::mul => Opcode::MulLeft(op),
                _ => Opcode::Left(op),
            },
        }
    }

    const fn step(self) -> Step {
        match self {
            Opcode::Leaf => Step::Leaf,
            Opcode::Element => Step::Element,
            Opcode::Node => Step::Node,
            Opcode::Integers => Step::Integers,
            Opcode::Unary(op) => Step::Unary(op),
            Opcode::Add(op) | Opcode::Sub(op) | Opcode::Mul(op) | Opcode::Div(op) | Opcode::Both(op) => Step::Both(op),
            Opcode::AddRight(op) | Opcode::SubRight(op) | Opcode::MulRight(op) | Opcode::Right(op) => Step::Right(op),
            Opcode::AddLeft(op) | Opcode::SubLeft(op) | Opcode::MulLeft(op) | Opcode::Left(op) => Step::Left(op),
        }
    }
}

impl<T: Float> Entry<T> {
    #[inline]
    pub fn step(&self) -> Step {
        self.opcode.step()
    }

    #[inline(always)]
    pub fn constant(&self) -> T {
        T::from_f64(f64::from_bits(self.argument))
    }

    /// dy/dx of a function of one operand.
    #[inline(always)]
    pub fn slope(&self) -> T {
        T::from_f64(f64::from_bits(self.argument))
    }

    #[inline(always)]
    pub fn second(&self) -> usize {
        self.argument as usize
    }
}

impl<T: Float> Tape<T> {
    /// Writes an entry and returns its index, or [`CONSTANT`] where nothing is recorded.
    ///
    /// The fields go straight to their places: an entry put together on the stack first is read back in wider pieces
    /// than it was written in, and that costs more than the operation.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn push(&self, value: T, argument: u64, operand: u32, step: Step) -> u32 {
        // SAFETY: the tape is not shared between threads, and no reference into the list outlives a method of the tape.
        let entries = unsafe { &mut *self.entries.get() };
        let index = entries.len();
        if index >= self.room.get() {
            return self.push_rarely(value, argument, operand, step, Location::caller());
        }
        // SAFETY: the room is no more than the capacity, and all fields of the entry are written before it counts.
        unsafe {
            let entry = entries.as_mut_ptr().add(index);
            (&raw mut (*entry).value).write(value);
            (&raw mut (*entry).argument).write(argument);
            (&raw mut (*entry).operand).write(operand);
            (&raw mut (*entry).opcode).write(Opcode::of(step));
            entries.set_len(index + 1);
        }
        prefetch(entries, index + FETCHED_AHEAD);
        index as u32
    }

    #[cold]
    #[inline(never)]
    fn push_rarely(
        &self,
        value: T,
        argument: u64,
        operand: u32,
        step: Step,
        location: &'static Location<'static>,
    ) -> u32 {
        let mode = self.mode.get();
        if !mode.recording && !matches!(step, Step::Node | Step::Integers) && !mode.guarding {
            return CONSTANT;
        }
        // SAFETY: as in `push`.
        let entries = unsafe { &mut *self.entries.get() };
        if entries.len() == entries.capacity() && !grow(entries) {
            return self.fail(Error::at_line("record", ErrorKind::TapeFull, location));
        }
        self.set_mode(mode);
        entries.push(Entry { value, argument, operand, opcode: Opcode::of(step) });
        if mode.locations {
            self.locations.borrow_mut().push(location);
        }
        if mode.guarding {
            self.remember_tracked(argument, operand, step);
            self.leave_out_with_others(entries.len() - 1);
        }
        let index = (entries.len() - 1) as u32;
        match mode.recording || matches!(step, Step::Node | Step::Integers | Step::Leaf) {
            true => index,
            false => self.detached(index, value),
        }
    }

    #[inline(always)]
    pub(crate) fn entry(&self, index: usize) -> Entry<T> {
        // SAFETY: as in `push`; the entry is copied out.
        unsafe { (&*self.entries.get())[index] }
    }

    pub(crate) fn set_number(&self, index: usize, value: T) {
        // SAFETY: as in `push`.
        unsafe { (&mut *self.entries.get())[index].value = value };
    }

    /// The entries up to `end`. Nothing may be recorded while they are read.
    #[inline]
    pub(crate) fn with_entries<R>(&self, end: usize, read: impl FnOnce(&[Entry<T>]) -> R) -> R {
        // SAFETY: as in `push`, and `read` writes no entry.
        read(unsafe { &(&*self.entries.get())[..end] })
    }
}

/// Makes room for more entries; false at the limit.
#[cold]
fn grow<T>(entries: &mut Vec<Entry<T>>) -> bool {
    let room = LIMIT as usize - entries.len();
    let more = entries.len().max(64).min(room);
    entries.reserve_exact(more);
    more > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_gives_its_step_back() {
        let forms = [Step::Unary, Step::Both, Step::Right, Step::Left];
        let operations = Elementwise::ALL.iter().flat_map(|&op| forms.map(|form| form(op)));
        for step in [Step::Leaf, Step::Element, Step::Node, Step::Integers].into_iter().chain(operations) {
            assert_eq!(Opcode::of(step).step(), step);
        }
    }
}
