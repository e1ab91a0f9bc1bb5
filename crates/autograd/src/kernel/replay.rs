//! Straight-line programs on numbers: groups of equal, independent operations, on one input or on many in lanes.
//!
//! Every number of a program has a slot, and in a slot stand as many numbers as there are lanes. The first slots are uniform:
//! they hold one number, the same for all lanes, which stands there before the run. A [`Group`] reads slots and writes
//! consecutive ones. Arithmetic runs here, over lists of slots; every other function is a loop over slices, to which
//! scattered and uniform operands are copied first. Where the lanes are many, single slots may lie elsewhere for one run:
//! operands where they are, results where they are to be ([`Replay::run_in_place`]).

use std::ops::Range;

use crate::float::Float;
use crate::kernel::prefetch::{line, prefetch_place};
use crate::kernel::simd::{Kernel, dispatch};

/// Lanes come in multiples of this.
pub(crate) const LANES: usize = 8;

/// From this many lanes on, a loop over the lanes of one slot costs little more than its share of one over several slots.
pub(crate) const WIDE: usize = 64;

/// From this many operations on, a loop over slices beats one over lists.
const WORTH_A_SLICE: usize = 8;

/// The most lanes that arithmetic takes in one step: two vectors of `f64`.
pub(crate) const WIDEST: usize = 2 * LANES;

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
    /// 1 where x > y, else 0.
    Gt(Loop<T>),
    Other(Loop<T>),
    /// A number, and terms added to it one after the other.
    Chain(Terms),
}

/// What a chain adds.
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
/// Of chains, all first factors are uniform or none is; second ones are not.
#[derive(Clone, Debug)]
pub(crate) struct Group<T> {
    pub body: Body<T>,
    /// The slot of the first result; the others follow.
    pub out: u32,
    pub len: u32,
    /// Where the slots of the first operand begin in the list; those of the second follow. Of chains: for each where it
    /// starts, how many terms it has, and these, factor by factor.
    pub list: u32,
    /// How many operands there are; of chains 0.
    pub arity: u8,
    pub spans: [Span; 2],
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
    copies: [Vec<T>; 2],
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
    /// When a group reads or writes a slot that is not there, reads one that it writes, or writes a uniform one: a plan
    /// must not.
    pub fn new(groups: Vec<Group<T>>, list: Vec<u32>, slots: usize, uniform: usize) -> Self {
        assert!(uniform <= slots);
        let is_uniform = |slot: u32| (slot as usize) < uniform;
        for group in &groups {
            let (out, len) = (group.out as usize, group.len as usize);
            assert!(len > 0 && uniform <= out && out + len <= slots);
            let is_right = |&slot: &u32| (slot as usize) < slots && !(out..out + len).contains(&(slot as usize));
            let all_equal = |slots: &[u32]| slots.iter().all(|&slot| is_uniform(slot) == is_uniform(slots[0]));
            if let Body::Chain(terms) = group.body {
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
            assert!((1..=2).contains(&group.arity) && operands.iter().all(is_right));
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
            copies: [copies(), copies()],
            lanes,
            bases: Vec::new(),
            ahead: Vec::new(),
        }
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

    /// Runs every group, in at least [`WIDE`] lanes, with some slots elsewhere for this time: those of `reads`, which no group
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
        assert!(lanes >= WIDE && lanes.is_multiple_of(WIDEST));
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
        dispatch(Run { machine, groups: &self.groups[groups], ahead, copies: &mut numbers.copies });
    }
}

/// A replay that is about to run, all of whose slots [`Replay::new`] has checked.
struct Run<'r, T> {
    machine: Machine<T>,
    groups: &'r [Group<T>],
    ahead: &'r [Base<T>],
    copies: &'r mut [Vec<T>; 2],
}

impl<T: Float> Kernel for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // SAFETY: the slots are checked, and `Replay::place` has seen that there are as many numbers as slots and lanes, and
        // has noted where each slot begins if the lanes are a multiple of the widest step.
        unsafe {
            match self.machine.lanes {
                1 => self.machine.run::<1>(self),
                lanes if lanes.is_multiple_of(WIDEST) => self.machine.run::<WIDEST>(self),
                _ => self.machine.run::<LANES>(self),
            }
        }
    }
}

impl<T> Numbers<T> {
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

/// x · y, and 0 where either is 0.
#[inline(always)]
fn masked<T: Float>(x: T, y: T) -> T {
    if (x != T::ZERO) & (y != T::ZERO) { x * y } else { T::ZERO }
}

/// What a running replay works on.
#[derive(Clone, Copy)]
struct Machine<T> {
    list: *const u32,
    uniform: *const T,
    /// Where the first slot would begin if the uniform ones had lanes too.
    values: *mut T,
    /// Where the place of the first slot would stand if the uniform ones had places too.
    bases: *const Base<T>,
    /// The first slot that is not uniform.
    first: usize,
    lanes: usize,
}

impl<T: Float> Machine<T> {
    /// # Safety
    /// The slots below `first` lie in `uniform`. The others that the groups name lie in `values`, with `lanes` numbers each,
    /// a multiple of `WIDTH`; no group reads a slot that it writes; `list` has the slots of all operands, each of which is
    /// all uniform or not at all, and not both.
    #[inline(always)]
    unsafe fn run<const WIDTH: usize>(mut self, Run { groups, ahead, copies, .. }: Run<'_, T>) {
        if WIDTH == 1 {
            self.lanes = 1;
        }
        for (done, group) in groups.iter().enumerate() {
            if WIDTH == WIDEST && !ahead.is_empty() {
                let part = |done: usize| done * self.lanes.div_ceil(line::<T>()) / groups.len() * line::<T>();
                for lane in (part(done)..part(done + 1)).step_by(line::<T>()) {
                    ahead.iter().for_each(|base| prefetch_place(base.0.wrapping_add(lane)));
                }
            }
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
                    | Body::Gt(block)
                        if in_slices =>
                    {
                        self.in_slices::<WIDTH>(group, block, copies);
                    }
                    Body::Add(_) => self.any::<WIDTH>(group, |x, y| x + y),
                    Body::Sub(_) => self.any::<WIDTH>(group, |x, y| x - y),
                    Body::Mul(_) => self.any::<WIDTH>(group, |x, y| x * y),
                    Body::Div(_) => self.any::<WIDTH>(group, |x, y| x / y),
                    Body::MaskedMul(_) => {
                        self.any::<WIDTH>(group, masked);
                    }
                    Body::Gt(_) => self.any::<WIDTH>(group, |x, y| if x > y { T::ONE } else { T::ZERO }),
                    Body::Neg(_) => self.each::<WIDTH, false, false>(group, |x, _| -x),
                    Body::Other(block) => self.in_slices::<WIDTH>(group, block, copies),
                    Body::Chain(Terms::Numbers) => self.any_chain::<WIDTH, 1>(group, |sum, x, _| sum + x),
                    Body::Chain(Terms::Products) => self.any_chain::<WIDTH, 2>(group, |sum, x, y| sum + x * y),
                    Body::Chain(Terms::MaskedProducts) => {
                        self.any_chain::<WIDTH, 2>(group, |sum, x, y| sum + masked(x, y));
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`run`](Self::run).
    #[inline(always)]
    unsafe fn any<const WIDTH: usize>(self, group: &Group<T>, f: impl Fn(T, T) -> T) {
        // SAFETY: the caller vouches for the group.
        unsafe {
            match [0, 1].map(|k| self.is_uniform(group, k)) {
                [false, false] => self.each::<WIDTH, false, false>(group, f),
                [true, _] => self.each::<WIDTH, true, false>(group, f),
                [false, true] => self.each::<WIDTH, false, true>(group, f),
            }
        }
    }

    /// Whether an operand is the same for all lanes.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    #[inline(always)]
    unsafe fn is_uniform(self, group: &Group<T>, operand: usize) -> bool {
        // SAFETY: `list` has `len` slots for each operand from here.
        unsafe { (*self.list.add(group.list as usize + operand * group.len as usize) as usize) < self.first }
    }

    /// # Safety
    /// As [`run`](Self::run); the first operand is uniform if `X` says so, the second if `Y` does.
    #[inline(always)]
    unsafe fn each<const WIDTH: usize, const X: bool, const Y: bool>(self, group: &Group<T>, f: impl Fn(T, T) -> T) {
        let len = group.len as usize;
        // SAFETY: `list` has `len` slots for each operand from here; with one operand the first serves as both.
        let (xs, ys) = unsafe {
            let xs = self.list.add(group.list as usize);
            (xs, xs.add(len * (group.arity as usize - 1)))
        };
        for i in 0..len {
            // SAFETY: the slots lie in `uniform` or `values`, and the results are not among the operands.
            unsafe {
                let (x, y) = (*xs.add(i) as usize, *ys.add(i) as usize);
                let out = self.of::<WIDTH>(group.out as usize + i);
                for lane in (0..self.lanes).step_by(WIDTH) {
                    let x = self.read::<WIDTH, X>(x, lane);
                    let y = self.read::<WIDTH, Y>(y, lane);
                    let mut z = [T::ZERO; WIDTH];
                    for k in 0..WIDTH {
                        z[k] = f(x[k], y[k]);
                    }
                    out.add(lane).cast::<[T; WIDTH]>().write(z);
                }
            }
        }
    }

    /// # Safety
    /// As [`run`](Self::run).
    #[inline(always)]
    unsafe fn any_chain<const WIDTH: usize, const FACTORS: usize>(self, group: &Group<T>, f: impl Fn(T, T, T) -> T) {
        // SAFETY: the caller vouches for the group. Behind its start and its length, the first chain has a first factor.
        unsafe {
            match (*self.list.add(group.list as usize + 2) as usize) < self.first {
                true => self.chains::<WIDTH, FACTORS, true>(group, f),
                false => self.chains::<WIDTH, FACTORS, false>(group, f),
            }
        }
    }

    /// # Safety
    /// As [`run`](Self::run); the first factors are uniform if and only if `X` says so.
    #[inline(always)]
    unsafe fn chains<const WIDTH: usize, const FACTORS: usize, const X: bool>(
        self,
        group: &Group<T>,
        f: impl Fn(T, T, T) -> T,
    ) {
        // SAFETY: `list` has a start, a length and as many terms for each chain; their slots lie in `uniform` or `values`,
        // and the results are not among them.
        unsafe {
            let mut list = self.list.add(group.list as usize);
            for i in 0..group.len as usize {
                let (start, len) = (*list as usize, *list.add(1) as usize);
                let terms = list.add(2);
                list = terms.add(len * FACTORS);
                for lane in (0..self.lanes).step_by(WIDTH) {
                    let mut sum: [T; WIDTH] = match start < self.first {
                        true => self.read::<WIDTH, true>(start, lane),
                        false => self.read::<WIDTH, false>(start, lane),
                    };
                    let mut term = terms;
                    while term != list {
                        let x = self.read::<WIDTH, X>(*term as usize, lane);
                        let y = match FACTORS {
                            2 => self.read::<WIDTH, false>(*term.add(1) as usize, lane),
                            _ => x,
                        };
                        for k in 0..WIDTH {
                            sum[k] = f(sum[k], x[k], y[k]);
                        }
                        term = term.add(FACTORS);
                    }
                    self.of::<WIDTH>(group.out as usize + i).add(lane).cast::<[T; WIDTH]>().write(sum);
                }
            }
        }
    }

    /// The numbers in a slot from a lane on.
    ///
    /// # Safety
    /// The slot and the lanes are there, and the slot is uniform if and only if `UNIFORM` says so.
    #[inline(always)]
    unsafe fn read<const WIDTH: usize, const UNIFORM: bool>(self, slot: usize, lane: usize) -> [T; WIDTH] {
        // SAFETY: the caller says that they are there.
        unsafe {
            match UNIFORM {
                true => [*self.uniform.add(slot); WIDTH],
                false => self.of::<WIDTH>(slot).add(lane).cast::<[T; WIDTH]>().read(),
            }
        }
    }

    /// Where the numbers of a slot that is not uniform begin.
    ///
    /// # Safety
    /// The slot is there.
    #[inline(always)]
    unsafe fn of<const WIDTH: usize>(self, slot: usize) -> *mut T {
        match WIDTH {
            // SAFETY: in steps of this width every slot has its place.
            WIDEST => unsafe { (*self.bases.add(slot)).0 },
            _ => self.values.wrapping_add(slot * self.lanes),
        }
    }

    /// # Safety
    /// As [`run`](Self::run).
    #[inline]
    unsafe fn in_slices<const WIDTH: usize>(self, group: &Group<T>, block: Loop<T>, copies: &mut [Vec<T>; 2]) {
        let (len, lanes) = (group.len as usize, self.lanes);
        if lanes >= WIDE {
            for i in 0..len {
                // SAFETY: the slots lie in `uniform` or `values`, and the results are not among the operands.
                unsafe { self.one_in_slices::<WIDTH>(group, i, block, copies) };
            }
            return;
        }
        let mut operands = [&[] as &[T]; 2];
        for (k, (operand, copy)) in operands.iter_mut().zip(copies).enumerate().take(group.arity as usize) {
            // SAFETY: the slots lie in `uniform` or `values`; nothing writes to the operands' while the slices live.
            *operand = unsafe {
                let uniform = self.is_uniform(group, k);
                match group.spans[k] {
                    Span::Run(first) if !uniform => {
                        std::slice::from_raw_parts(self.of::<WIDTH>(first as usize), len * lanes)
                    }
                    Span::Run(first) if lanes == 1 => std::slice::from_raw_parts(self.uniform.add(first as usize), len),
                    _ => {
                        let copy = &mut copy[..len * lanes];
                        let slots = self.list.add(group.list as usize + k * len);
                        for (i, numbers) in copy.chunks_exact_mut(lanes).enumerate() {
                            let slot = *slots.add(i) as usize;
                            match uniform {
                                true => numbers.fill(*self.uniform.add(slot)),
                                false => {
                                    numbers.copy_from_slice(std::slice::from_raw_parts(self.of::<WIDTH>(slot), lanes))
                                }
                            }
                        }
                        copy
                    }
                }
            };
        }
        // SAFETY: the slots of the results lie in `values` and are not among the operands.
        let out = unsafe { std::slice::from_raw_parts_mut(self.of::<WIDTH>(group.out as usize), len * lanes) };
        block(&operands[..group.arity as usize], out);
    }
    /// One operation of a group.
    ///
    /// # Safety
    /// As [`run`](Self::run); the group has that many operations.
    #[inline]
    unsafe fn one_in_slices<const WIDTH: usize>(
        self,
        group: &Group<T>,
        operation: usize,
        block: Loop<T>,
        copies: &mut [Vec<T>; 2],
    ) {
        let mut operands = [&[] as &[T]; 2];
        for (k, (operand, copy)) in operands.iter_mut().zip(copies).enumerate().take(group.arity as usize) {
            // SAFETY: `list` has as many slots for each operand as there are operations; the slots lie in `uniform` or
            // `values`, and nothing writes to the operands' while the slices live.
            *operand = unsafe {
                let slot = *self.list.add(group.list as usize + k * group.len as usize + operation) as usize;
                match slot < self.first {
                    true => {
                        let copy = &mut copy[..self.lanes];
                        copy.fill(*self.uniform.add(slot));
                        copy
                    }
                    false => std::slice::from_raw_parts(self.of::<WIDTH>(slot), self.lanes),
                }
            };
        }
        // SAFETY: the slot of the result lies in `values` and is not among the operands.
        let out =
            unsafe { std::slice::from_raw_parts_mut(self.of::<WIDTH>(group.out as usize + operation), self.lanes) };
        block(&operands[..group.arity as usize], out);
    }
}
