//! The loops that run groups, over slots that a replay has checked.

use std::ops::Range;

use super::{Base, Group, LANES, Loop, MIN_LANES_FOR_SLICES, Opcode, Span, Terms, WIDEST};
use crate::float::Float;
use crate::kernel::prefetch::{line, prefetch_place};
use crate::kernel::simd::Kernel;

/// From this many operations on, a loop over slices beats one over lists.
const MIN_OPERATIONS_FOR_SLICES: usize = 8;

/// A replay that is about to run, all of whose slots [`Replay::new`](super::Replay::new) has checked.
pub(super) struct GroupRun<'r, T> {
    pub machine: Machine<T>,
    pub groups: &'r [Group<T>],
    pub ahead: &'r [Base<T>],
    pub copies: &'r mut [Vec<T>; 3],
}

impl<T: Float> Kernel for GroupRun<'_, T> {
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

/// x · y, and 0 where either is 0; never −0.
#[inline(always)]
fn masked<T: Float>(x: T, y: T) -> T {
    if (x != T::ZERO) & (y != T::ZERO) { x * y + T::ZERO } else { T::ZERO }
}

/// What a running replay works on.
#[derive(Clone, Copy)]
pub(super) struct Machine<T> {
    pub list: *const u32,
    pub uniform: *const T,
    /// Where the first slot would begin if the uniform ones had lanes too.
    pub values: *mut T,
    /// Where the place of the first slot would stand if the uniform ones had places too.
    pub bases: *const Base<T>,
    /// The first slot that is not uniform.
    pub first: usize,
    pub lanes: usize,
}

impl<T: Float> Machine<T> {
    /// # Safety
    /// The slots below `first` lie in `uniform`. The others that the groups name lie in `values`, or in the widest steps where
    /// `bases` says, with `lanes` numbers each, a multiple of `WIDTH`; no group reads a slot that it writes; `list` has the slots of all operands, each of which is
    /// all uniform or not at all, and not both.
    #[inline(always)]
    unsafe fn run<const WIDTH: usize>(mut self, GroupRun { groups, ahead, copies, .. }: GroupRun<'_, T>) {
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
                && group.len as usize >= MIN_OPERATIONS_FOR_SLICES
                && group.spans[..group.arity as usize].iter().all(|&span| span != Span::Scattered);
            // SAFETY: the caller vouches for the groups.
            unsafe {
                match group.opcode {
                    Opcode::Add(block)
                    | Opcode::Sub(block)
                    | Opcode::Mul(block)
                    | Opcode::Div(block)
                    | Opcode::MaskedMul(block)
                    | Opcode::Neg(block)
                    | Opcode::Gt(block)
                    | Opcode::Select(block)
                        if in_slices =>
                    {
                        self.in_slices::<WIDTH>(group, block, copies);
                    }
                    Opcode::Add(_) => self.any::<WIDTH>(group, |x, y| x + y),
                    Opcode::Sub(_) => self.any::<WIDTH>(group, |x, y| x - y),
                    Opcode::Mul(_) => self.any::<WIDTH>(group, |x, y| x * y),
                    Opcode::Div(_) => self.any::<WIDTH>(group, |x, y| x / y),
                    Opcode::MaskedMul(_) => {
                        self.any::<WIDTH>(group, masked);
                    }
                    Opcode::Gt(_) => self.any::<WIDTH>(group, |x, y| if x > y { T::ONE } else { T::ZERO }),
                    Opcode::Select(_) => self.select::<WIDTH>(group),
                    Opcode::Neg(_) => self.each::<WIDTH, false, false>(group, |x, _| -x),
                    Opcode::Other(block) => self.in_slices::<WIDTH>(group, block, copies),
                    Opcode::Sum(Terms::Numbers) => self.any_sums::<WIDTH, 1>(group, |sum, x, _| sum + x),
                    Opcode::Sum(Terms::Products) => self.any_sums::<WIDTH, 2>(group, |sum, x, y| sum + x * y),
                    Opcode::Sum(Terms::MaskedProducts) => {
                        self.any_sums::<WIDTH, 2>(group, |sum, x, y| sum + masked(x, y));
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
    /// As [`run`](Self::run); the group has three operands.
    #[inline(always)]
    unsafe fn select<const WIDTH: usize>(self, group: &Group<T>) {
        let len = group.len as usize;
        for i in 0..len {
            // SAFETY: `list` has `len` slots for each of three operands; the slots lie in `uniform` or `values`, and the
            // results are not among the operands.
            unsafe {
                let slots = self.list.add(group.list as usize + i);
                let out = self.of::<WIDTH>(group.out as usize + i);
                for lane in (0..self.lanes).step_by(WIDTH) {
                    let [condition, x, y] = [0, 1, 2].map(|k| self.read_any::<WIDTH>(*slots.add(k * len), lane));
                    let mut z = [T::ZERO; WIDTH];
                    for k in 0..WIDTH {
                        z[k] = if condition[k] != T::ZERO { x[k] } else { y[k] };
                    }
                    out.add(lane).cast::<[T; WIDTH]>().write(z);
                }
            }
        }
    }

    /// # Safety
    /// As [`run`](Self::run).
    #[inline(always)]
    unsafe fn any_sums<const WIDTH: usize, const FACTORS: usize>(self, group: &Group<T>, f: impl Fn(T, T, T) -> T) {
        // SAFETY: the caller vouches for the group. Behind its start and its length, the first sum has a first factor.
        unsafe {
            match (*self.list.add(group.list as usize + 2) as usize) < self.first {
                true => self.sums::<WIDTH, FACTORS, true>(group, f),
                false => self.sums::<WIDTH, FACTORS, false>(group, f),
            }
        }
    }

    /// # Safety
    /// As [`run`](Self::run); the first factors are uniform if and only if `X` says so.
    #[inline(always)]
    unsafe fn sums<const WIDTH: usize, const FACTORS: usize, const X: bool>(
        self,
        group: &Group<T>,
        f: impl Fn(T, T, T) -> T,
    ) {
        // SAFETY: `list` has a start, a length and as many terms for each sum; their slots lie in `uniform` or `values`,
        // and the results are not among them.
        unsafe {
            let mut list = self.list.add(group.list as usize);
            for i in 0..group.len as usize {
                let (start, len) = (*list, *list.add(1) as usize);
                let terms = list.add(2);
                list = terms.add(len * FACTORS);
                for lane in (0..self.lanes).step_by(WIDTH) {
                    let mut sum: [T; WIDTH] = self.read_any::<WIDTH>(start, lane);
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

    /// The numbers in a slot from a lane on, whether or not it is uniform.
    ///
    /// # Safety
    /// The slot and the lanes are there.
    #[inline(always)]
    unsafe fn read_any<const WIDTH: usize>(self, slot: u32, lane: usize) -> [T; WIDTH] {
        let slot = slot as usize;
        // SAFETY: the caller says that they are there; the slots below the first that is not uniform are.
        unsafe {
            match slot < self.first {
                true => self.read::<WIDTH, true>(slot, lane),
                false => self.read::<WIDTH, false>(slot, lane),
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
    unsafe fn in_slices<const WIDTH: usize>(self, group: &Group<T>, block: Loop<T>, copies: &mut [Vec<T>; 3]) {
        let (len, at_once) =
            (group.len as usize, if self.lanes >= MIN_LANES_FOR_SLICES { 1 } else { group.len as usize });
        for first in (0..len).step_by(at_once) {
            // SAFETY: the caller vouches for the group, which has these operations.
            unsafe { self.some_in_slices::<WIDTH>(group, first..first + at_once, block, copies) };
        }
    }

    /// Some operations of a group: all of them or one.
    ///
    /// # Safety
    /// As [`run`](Self::run); the group has these operations.
    #[inline]
    unsafe fn some_in_slices<const WIDTH: usize>(
        self,
        group: &Group<T>,
        operations: Range<usize>,
        block: Loop<T>,
        copies: &mut [Vec<T>; 3],
    ) {
        let (len, lanes) = (operations.len(), self.lanes);
        let mut operands = [&[] as &[T]; 3];
        for (k, (operand, copy)) in operands.iter_mut().zip(copies).enumerate().take(group.arity as usize) {
            // SAFETY: `list` has as many slots for each operand as the group has operations; the slots lie in `uniform` or
            // `values`, and nothing writes to the operands' while the slices live.
            *operand = unsafe {
                let slots = self.list.add(group.list as usize + k * group.len as usize + operations.start);
                let (first, uniform) = (*slots as usize, self.is_uniform(group, k));
                let is_run = len == 1 || matches!(group.spans[k], Span::Run(_));
                if is_run && !uniform {
                    std::slice::from_raw_parts(self.of::<WIDTH>(first), len * lanes)
                } else if is_run && lanes == 1 {
                    std::slice::from_raw_parts(self.uniform.add(first), len)
                } else {
                    let copy = &mut copy[..len * lanes];
                    for (i, numbers) in copy.chunks_exact_mut(lanes).enumerate() {
                        let slot = *slots.add(i) as usize;
                        match uniform {
                            true => numbers.fill(*self.uniform.add(slot)),
                            false => numbers.copy_from_slice(std::slice::from_raw_parts(self.of::<WIDTH>(slot), lanes)),
                        }
                    }
                    copy
                }
            };
        }
        // SAFETY: the slots of the results lie in `values` and are not among the operands.
        let out = unsafe {
            std::slice::from_raw_parts_mut(self.of::<WIDTH>(group.out as usize + operations.start), len * lanes)
        };
        block(&operands[..group.arity as usize], out);
    }
}
