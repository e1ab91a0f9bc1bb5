//! Straight-line programs on numbers: groups of equal, independent operations, on one input or on many in lanes.
//!
//! Every number of a program has a slot, and in a slot stand as many numbers as there are lanes. The first slots are uniform:
//! they hold one number, the same for all lanes, which stands there before the run. A [`Group`] reads slots and writes
//! consecutive ones. Arithmetic runs in `machine`, over lists of slots; every other function is a loop over slices, to which
//! scattered and uniform operands are copied first. Where the lanes are many, single slots may lie elsewhere for one run:
//! operands where they are, results where they are to be ([`Replay::run_in_place`]).

mod machine;

use std::ops::Range;

use crate::float::Float;
use crate::kernel::simd::dispatch;
use machine::{GroupRun, Machine};

/// Lanes come in multiples of this.
pub(crate) const LANES: usize = 8;

/// From this many lanes on, a loop over the lanes of one slot costs little more than its share of one over several slots.
pub(crate) const MIN_LANES_FOR_SLICES: usize = 64;

/// The most lanes that arithmetic takes in one step: two vectors of `f64`.
pub(crate) const WIDEST: usize = 2 * LANES;

/// A loop over equally long slices of the operands.
type Loop<T> = fn(&[&[T]], &mut [T]);

/// What the operations of a group compute.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Opcode<T> {
    Add(Loop<T>),
    Sub(Loop<T>),
    Mul(Loop<T>),
    Div(Loop<T>),
    /// x · y, and 0 where either is 0.
    MaskedMul(Loop<T>),
    Neg(Loop<T>),
    /// 1 where x > y, else 0.
    Gt(Loop<T>),
    /// The second operand where the first is not zero, else the third.
    Select(Loop<T>),
    Other(Loop<T>),
    /// A number, and terms added to it one after the other.
    Sum(Terms),
}

/// What a sum adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    Numbers,
    Products,
    /// Products that are 0 where a factor is.
    MaskedProducts,
}

impl Terms {
    /// How many factors a term has.
    pub fn factors(self) -> usize {
        match self {
            Terms::Numbers => 1,
            Terms::Products | Terms::MaskedProducts => 2,
        }
    }
}

/// The slots of one operand of all operations of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// Consecutive ones from here.
    Run(u32),
    /// The same one for all operations.
    Same(u32),
    /// As the list says.
    Scattered,
}

/// Equal operations that do not depend on each other. Of each operand, all slots are uniform or none is; not all operands are.
/// Of sums, all first factors are uniform or none is; second ones are not.
#[derive(Clone, Debug)]
pub(crate) struct Group<T> {
    pub opcode: Opcode<T>,
    /// The slot of the first result; the others follow.
    pub out: u32,
    pub len: u32,
    /// Where the slots of the first operand begin in the list; those of the others follow. Of sums: for each where it
    /// starts, how many terms it has, and these, factor by factor.
    pub list: u32,
    /// How many operands there are; of sums 0.
    pub arity: u8,
    pub spans: [Span; 3],
}

/// Groups in an order in which they can run.
#[derive(Clone, Debug)]
pub(crate) struct Replay<T> {
    groups: Vec<Group<T>>,
    list: Vec<u32>,
    slots: usize,
    /// The slots below are uniform.
    uniform: usize,
    /// The most operations in one group.
    longest: usize,
    /// No group writes to the slots below.
    written: usize,
}

/// The numbers of a replay, and room for copies of operands.
#[derive(Clone, Debug)]
pub(crate) struct Numbers<T> {
    /// Those that are the same for all lanes, by slot.
    pub uniform: Vec<T>,
    /// The others, by slot and lane.
    pub values: Vec<T>,
    /// Room for inputs and results in rows, for whoever fills and reads the lanes.
    pub rows: Vec<T>,
    copies: [Vec<T>; 3],
    lanes: usize,
    /// Where the numbers of each slot that is not uniform begin, in a run of two vectors at once.
    bases: Vec<Base<T>>,
    /// What the next run will need that lies elsewhere.
    ahead: Vec<Base<T>>,
}

/// Where numbers of all lanes begin; written before every run.
#[derive(Clone, Copy, Debug)]
struct Base<T>(*mut T);

// SAFETY: only a run follows these pointers, and it writes them anew before.
unsafe impl<T: Send> Send for Base<T> {}
// SAFETY: as above; a run has its numbers for itself.
unsafe impl<T: Sync> Sync for Base<T> {}

impl<T: Float> Replay<T> {
    /// # Panics
    /// When a group reads or writes a slot that is not there, reads one that it writes, or writes a uniform one: a schedule
    /// must not.
    pub fn new(groups: Vec<Group<T>>, list: Vec<u32>, slots: usize, uniform: usize) -> Self {
        assert!(uniform <= slots);
        let is_uniform = |slot: u32| (slot as usize) < uniform;
        for group in &groups {
            let (out, len) = (group.out as usize, group.len as usize);
            assert!(len > 0 && uniform <= out && out + len <= slots);
            let is_right = |&slot: &u32| (slot as usize) < slots && !(out..out + len).contains(&(slot as usize));
            let all_equal = |slots: &[u32]| slots.iter().all(|&slot| is_uniform(slot) == is_uniform(slots[0]));
            if let Opcode::Sum(terms) = group.opcode {
                let mut rest = &list[group.list as usize..];
                let mut firsts = Vec::new();
                for _ in 0..len {
                    let (chain, behind) = rest[2..].split_at(rest[1] as usize * terms.factors());
                    assert!(!chain.is_empty() && is_right(&rest[0]) && chain.iter().all(is_right));
                    firsts.extend(chain.chunks(terms.factors()).map(|factors| factors[0]));
                    assert!(
                        chain.chunks(terms.factors()).all(|factors| !factors[1..].iter().any(|&slot| is_uniform(slot)))
                    );
                    rest = behind;
                }
                assert!(all_equal(&firsts));
                continue;
            }
            let operands = &list[group.list as usize..][..len * group.arity as usize];
            assert!((1..=3).contains(&group.arity) && operands.iter().all(is_right));
            for (operand, span) in operands.chunks(len).zip(group.spans) {
                assert!(span == Span::Scattered || span == span_of(operand));
                assert!(all_equal(operand));
            }
            assert!(operands.chunks(len).any(|operand| !is_uniform(operand[0])));
        }
        let longest = groups.iter().map(|group| group.len as usize).max().unwrap_or(0);
        let written = groups.iter().map(|group| group.out as usize).min().unwrap_or(slots);
        Self { groups, list, slots, uniform, longest, written }
    }

    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// How many numbers one input needs.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// How many of these are the same for all inputs.
    pub fn uniform(&self) -> usize {
        self.uniform
    }

    /// Room for `lanes` inputs at once: one, or a multiple of [`LANES`].
    pub fn numbers(&self, lanes: usize) -> Numbers<T> {
        debug_assert!(lanes == 1 || lanes.is_multiple_of(LANES));
        let copies = || vec![T::ZERO; self.longest * lanes];
        Numbers {
            uniform: vec![T::ZERO; self.uniform],
            values: vec![T::ZERO; (self.slots - self.uniform) * lanes],
            rows: Vec::new(),
            copies: [copies(), copies(), copies()],
            lanes,
            bases: Vec::new(),
            ahead: Vec::new(),
        }
    }

    /// The memory that groups take.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.groups[..]) + size_of_val(&self.list[..])
    }

    /// Whether a group writes to a slot.
    pub fn is_written(&self, slot: u32) -> bool {
        slot as usize >= self.written
    }

    /// Runs every group on the numbers that stand in the slots.
    pub fn run(&self, numbers: &mut Numbers<T>) {
        self.run_some(0..self.groups.len(), numbers);
    }

    /// Runs some of the groups.
    pub fn run_some(&self, groups: Range<usize>, numbers: &mut Numbers<T>) {
        self.place(numbers);
        self.run_placed(groups, numbers);
    }

    /// Runs every group, in at least [`MIN_LANES_FOR_SLICES`] lanes, with some slots elsewhere for this time: those of `reads`, which no group
    /// writes, and those of `writes`. In each slice come first the numbers of all lanes; as many that follow are fetched into
    /// the cache meanwhile, a few after every group, so that the next run finds them there.
    pub fn run_in_place<'x>(
        &self,
        numbers: &mut Numbers<T>,
        reads: impl Iterator<Item = (u32, &'x [T])>,
        writes: impl Iterator<Item = (u32, &'x mut [T])>,
    ) where
        T: 'x,
    {
        let lanes = numbers.lanes;
        assert!(lanes >= MIN_LANES_FOR_SLICES && lanes.is_multiple_of(WIDEST));
        self.place(numbers);
        for (slot, elements) in reads {
            assert!(!self.is_written(slot) && elements.len() >= lanes);
            numbers.bases[slot as usize - self.uniform] = Base(elements.as_ptr().cast_mut());
            numbers.ahead.push(Base(elements[lanes..].as_ptr().cast_mut()));
        }
        for (slot, elements) in writes {
            assert!(self.is_written(slot) && elements.len() >= lanes);
            numbers.bases[slot as usize - self.uniform] = Base(elements.as_mut_ptr());
            numbers.ahead.push(Base(elements[lanes..].as_mut_ptr()));
        }
        self.run_placed(0..self.groups.len(), numbers);
    }

    /// Has every slot begin where its own numbers lie.
    fn place(&self, numbers: &mut Numbers<T>) {
        let lanes = numbers.lanes;
        assert!(numbers.uniform.len() == self.uniform && numbers.values.len() == (self.slots - self.uniform) * lanes);
        numbers.bases.clear();
        numbers.ahead.clear();
        if lanes.is_multiple_of(WIDEST) {
            let values = numbers.values.as_mut_ptr();
            let base = |place| Base(values.wrapping_add(place * lanes));
            numbers.bases.extend((0..self.slots - self.uniform).map(base));
        }
    }

    /// Runs some of the groups on slots that have their places.
    fn run_placed(&self, groups: Range<usize>, numbers: &mut Numbers<T>) {
        let lanes = numbers.lanes;
        assert!(numbers.copies.iter().all(|copies| copies.len() >= self.longest * lanes));
        let machine = Machine {
            list: self.list.as_ptr(),
            uniform: numbers.uniform.as_ptr(),
            values: numbers.values.as_mut_ptr().wrapping_sub(self.uniform * lanes),
            bases: numbers.bases.as_ptr().wrapping_sub(self.uniform),
            first: self.uniform,
            lanes,
        };
        let ahead = &numbers.ahead;
        dispatch(GroupRun { machine, groups: &self.groups[groups], ahead, copies: &mut numbers.copies });
    }
}

impl<T> Numbers<T> {
    /// The memory that they take.
    pub fn bytes(&self) -> usize {
        let numbers = [&self.uniform, &self.values, &self.rows, &self.copies[0], &self.copies[1]];
        let places = self.bases.capacity() + self.ahead.capacity();
        numbers.map(Vec::capacity).iter().sum::<usize>() * size_of::<T>() + places * size_of::<Base<T>>()
    }

    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// The numbers in the slot `place` behind the uniform ones, one for each lane.
    #[inline]
    pub fn of_mut(&mut self, place: usize) -> &mut [T] {
        &mut self.values[place * self.lanes..][..self.lanes]
    }
}

impl<T: Copy> Numbers<T> {
    #[inline]
    pub fn at(&self, slot: u32, lane: usize) -> T {
        match (slot as usize).checked_sub(self.uniform.len()) {
            Some(place) => self.values[place * self.lanes + lane],
            None => self.uniform[slot as usize],
        }
    }

    /// The numbers in a slot.
    #[inline]
    pub fn of(&self, slot: u32) -> Column<'_, T> {
        match (slot as usize).checked_sub(self.uniform.len()) {
            Some(place) => Column::Each(&self.values[place * self.lanes..][..self.lanes]),
            None => Column::Same(self.uniform[slot as usize]),
        }
    }
}

/// The numbers of several inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column<'x, T> {
    Each(&'x [T]),
    /// One for all.
    Same(T),
}

impl<T: Copy> Column<'_, T> {
    /// Copies the numbers from `start` on.
    #[inline]
    pub fn copy_to(&self, out: &mut [T], start: usize) {
        match self {
            Column::Each(numbers) => out.copy_from_slice(&numbers[start..][..out.len()]),
            Column::Same(number) => out.fill(*number),
        }
    }
}

/// How slots lie.
pub(crate) fn span_of(slots: &[u32]) -> Span {
    let first = slots[0];
    if slots.iter().zip(first..).all(|(&slot, expected)| slot == expected) {
        return Span::Run(first);
    }
    if slots.iter().all(|&slot| slot == first) { Span::Same(first) } else { Span::Scattered }
}
