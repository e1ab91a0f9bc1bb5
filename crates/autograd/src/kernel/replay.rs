//! Straight-line programs on numbers: groups of equal, independent operations, on one input or on many in lanes.
//!
//! Every number of a program has a slot, and in a slot stand as many numbers as there are lanes. A [`Group`] reads slots and
//! writes consecutive ones. Arithmetic runs here, over lists of slots; every other function is a loop over slices,
//! to which scattered operands are copied first.

use crate::float::Float;
use crate::kernel::simd::{Kernel, dispatch};

/// Lanes come in multiples of this.
pub(crate) const LANES: usize = 8;

/// From this many operations on, a loop over slices beats one over lists.
const WORTH_A_SLICE: usize = 8;

/// A loop over equally long slices of the operands.
type Loop<T> = fn(&[&[T]], &mut [T]);

/// What the operations of a group compute.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<T> {
    Add(Loop<T>),
    Sub(Loop<T>),
    Mul(Loop<T>),
    Div(Loop<T>),
    /// x · y, and 0 where either is 0.
    MaskedMul(Loop<T>),
    Neg(Loop<T>),
    Other(Loop<T>),
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

/// Equal operations that do not depend on each other.
#[derive(Clone, Debug)]
pub(crate) struct Group<T> {
    pub body: Body<T>,
    /// The slot of the first result; the others follow.
    pub out: u32,
    pub len: u32,
    /// Where the slots of the first operand begin in the list; those of the second follow.
    pub list: u32,
    pub arity: u8,
    pub spans: [Span; 2],
}

/// Groups in an order in which they can run.
#[derive(Clone, Debug)]
pub(crate) struct Replay<T> {
    groups: Vec<Group<T>>,
    list: Vec<u32>,
    slots: usize,
    /// The most operations in one group.
    longest: usize,
}

/// The numbers of a replay, by slot and lane, and room for copies of operands.
#[derive(Clone, Debug)]
pub(crate) struct Numbers<T> {
    pub values: Vec<T>,
    /// Room for inputs and results in rows, for whoever fills and reads the lanes.
    pub rows: Vec<T>,
    copies: [Vec<T>; 2],
    lanes: usize,
}

impl<T: Float> Replay<T> {
    /// # Panics
    /// When a group reads or writes a slot that is not there, or reads one that it writes: a plan must not.
    pub fn new(groups: Vec<Group<T>>, list: Vec<u32>, slots: usize) -> Self {
        for group in &groups {
            let (out, len) = (group.out as usize, group.len as usize);
            let operands = &list[group.list as usize..][..len * group.arity as usize];
            assert!(len > 0 && out + len <= slots && (1..=2).contains(&group.arity));
            assert!(
                operands.iter().all(|&slot| (slot as usize) < slots && !(out..out + len).contains(&(slot as usize)))
            );
            for (operand, span) in operands.chunks(len).zip(group.spans) {
                assert!(span == Span::Scattered || span == span_of(operand));
            }
        }
        let longest = groups.iter().map(|group| group.len as usize).max().unwrap_or(0);
        Self { groups, list, slots, longest }
    }

    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// How many numbers one input needs.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Room for `lanes` inputs at once: one, or a multiple of [`LANES`].
    pub fn numbers(&self, lanes: usize) -> Numbers<T> {
        debug_assert!(lanes == 1 || lanes.is_multiple_of(LANES));
        let copies = || vec![T::ZERO; self.longest * lanes];
        Numbers { values: vec![T::ZERO; self.slots * lanes], rows: Vec::new(), copies: [copies(), copies()], lanes }
    }

    /// Runs every group on the numbers that stand in the slots.
    pub fn run(&self, numbers: &mut Numbers<T>) {
        let lanes = numbers.lanes;
        assert_eq!(numbers.values.len(), self.slots * lanes);
        assert!(numbers.copies.iter().all(|copies| copies.len() >= self.longest * lanes));
        let machine = Machine { list: self.list.as_ptr(), values: numbers.values.as_mut_ptr(), lanes };
        dispatch(Run { machine, groups: &self.groups, copies: &mut numbers.copies });
    }
}

/// A replay that is about to run, all of whose slots [`Replay::new`] has checked.
struct Run<'r, T> {
    machine: Machine<T>,
    groups: &'r [Group<T>],
    copies: &'r mut [Vec<T>; 2],
}

impl<T: Float> Kernel for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // SAFETY: the slots are checked, and `Replay::run` has seen that there are as many numbers as slots and lanes.
        unsafe {
            match self.machine.lanes {
                1 => self.machine.run::<1>(self.groups, self.copies),
                lanes if lanes.is_multiple_of(2 * LANES) => self.machine.run::<{ 2 * LANES }>(self.groups, self.copies),
                _ => self.machine.run::<LANES>(self.groups, self.copies),
            }
        }
    }
}

impl<T> Numbers<T> {
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// The numbers in a slot, one for each lane.
    #[inline]
    pub fn of(&self, slot: u32) -> &[T] {
        &self.values[slot as usize * self.lanes..][..self.lanes]
    }

    #[inline]
    pub fn of_mut(&mut self, slot: u32) -> &mut [T] {
        &mut self.values[slot as usize * self.lanes..][..self.lanes]
    }
}

impl<T: Copy> Numbers<T> {
    #[inline]
    pub fn at(&self, slot: u32, lane: usize) -> T {
        self.values[slot as usize * self.lanes + lane]
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

/// What a running replay works on.
#[derive(Clone, Copy)]
struct Machine<T> {
    list: *const u32,
    values: *mut T,
    lanes: usize,
}

impl<T: Float> Machine<T> {
    /// # Safety
    /// The slots that the groups name lie in `values`, with `lanes` numbers each, a multiple of `WIDTH`; no group reads a slot that it writes; `list` has the slots of all operands.
    #[inline(always)]
    unsafe fn run<const WIDTH: usize>(self, groups: &[Group<T>], copies: &mut [Vec<T>; 2]) {
        for group in groups {
            let in_slices = WIDTH == 1
                && group.len as usize >= WORTH_A_SLICE
                && group.spans[..group.arity as usize].iter().all(|&span| span != Span::Scattered);
            // SAFETY: the caller vouches for the groups.
            unsafe {
                match group.body {
                    Body::Add(block)
                    | Body::Sub(block)
                    | Body::Mul(block)
                    | Body::Div(block)
                    | Body::MaskedMul(block)
                    | Body::Neg(block)
                        if in_slices =>
                    {
                        self.in_slices(group, block, copies);
                    }
                    Body::Add(_) => self.each::<WIDTH>(group, |x, y| x + y),
                    Body::Sub(_) => self.each::<WIDTH>(group, |x, y| x - y),
                    Body::Mul(_) => self.each::<WIDTH>(group, |x, y| x * y),
                    Body::Div(_) => self.each::<WIDTH>(group, |x, y| x / y),
                    Body::MaskedMul(_) => {
                        self.each::<WIDTH>(group, |x, y| if (x == T::ZERO) | (y == T::ZERO) { T::ZERO } else { x * y });
                    }
                    Body::Neg(_) => self.each::<WIDTH>(group, |x, _| -x),
                    Body::Other(block) => self.in_slices(group, block, copies),
                }
            }
        }
    }

    /// # Safety
    /// As [`run`](Self::run).
    #[inline(always)]
    unsafe fn each<const WIDTH: usize>(self, group: &Group<T>, f: impl Fn(T, T) -> T) {
        let len = group.len as usize;
        // SAFETY: `list` has `len` slots for each operand from here; with one operand the first serves as both.
        let (xs, ys) = unsafe {
            let xs = self.list.add(group.list as usize);
            (xs, xs.add(len * (group.arity as usize - 1)))
        };
        for i in 0..len {
            // SAFETY: the slots lie in `values`, and the results are not among the operands.
            unsafe {
                let (x, y) = (*xs.add(i) as usize, *ys.add(i) as usize);
                let out = group.out as usize + i;
                let lanes = if WIDTH == 1 { 1 } else { self.lanes };
                for lane in (0..lanes).step_by(WIDTH) {
                    let x = self.values.add(x * lanes + lane).cast::<[T; WIDTH]>().read();
                    let y = self.values.add(y * lanes + lane).cast::<[T; WIDTH]>().read();
                    let mut z = [T::ZERO; WIDTH];
                    for k in 0..WIDTH {
                        z[k] = f(x[k], y[k]);
                    }
                    self.values.add(out * lanes + lane).cast::<[T; WIDTH]>().write(z);
                }
            }
        }
    }

    /// # Safety
    /// As [`run`](Self::run).
    #[inline]
    unsafe fn in_slices(self, group: &Group<T>, block: Loop<T>, copies: &mut [Vec<T>; 2]) {
        let (len, lanes) = (group.len as usize, self.lanes);
        let mut operands = [&[] as &[T]; 2];
        for (k, (operand, copy)) in operands.iter_mut().zip(copies).enumerate().take(group.arity as usize) {
            // SAFETY: the slots lie in `values`; nothing writes to the operands' while the slices live.
            *operand = unsafe {
                match group.spans[k] {
                    Span::Run(first) => {
                        std::slice::from_raw_parts(self.values.add(first as usize * lanes), len * lanes)
                    }
                    _ => {
                        let copy = &mut copy[..len * lanes];
                        let slots = self.list.add(group.list as usize + k * len);
                        for (i, numbers) in copy.chunks_exact_mut(lanes).enumerate() {
                            let from = self.values.add(*slots.add(i) as usize * lanes);
                            numbers.copy_from_slice(std::slice::from_raw_parts(from, lanes));
                        }
                        copy
                    }
                }
            };
        }
        // SAFETY: the slots of the results lie in `values` and are not among the operands.
        let out = unsafe { std::slice::from_raw_parts_mut(self.values.add(group.out as usize * lanes), len * lanes) };
        block(&operands[..group.arity as usize], out);
    }
}
