//! A path run for many inputs at once: blocks of as many inputs as there are lanes.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::float::Float;
use crate::kernel::replay::{Column, LANES, Numbers, WIDEST};
use crate::kernel::simd::{Kernel, dispatch};
use crate::program::execution::executable::NumberExecutable;

/// The most lanes, where results are taken lane by lane.
const MAX_LANES: usize = 512;

/// The bytes that the numbers of all lanes may take, for more than [`LANES`] lanes: they stay in the nearest caches.
const CACHE_BYTES: usize = 48 << 10;

/// Puts the numbers of some inputs into the lanes.
pub(in crate::program) type Load<'l, T> = dyn Fn(Range<usize>, &mut Numbers<T>) + Sync + 'l;

/// Receives the results for one input, or the first comparison that came out differently.
pub(in crate::program) type Emit<'e, T> = dyn FnMut(usize, Result<&[T], u32>) + 'e;

impl<T: Float> NumberExecutable<T> {
    /// How many inputs run at once.
    fn lanes(&self, inputs: usize, most: usize) -> usize {
        let in_lanes = self.schedule.replay.slots() - self.schedule.replay.uniform();
        let fitting = CACHE_BYTES / (in_lanes.max(1) * size_of::<T>());
        let lanes = fitting.min(inputs).clamp(LANES, most);
        lanes.next_multiple_of(if lanes <= LANES { LANES } else { WIDEST })
    }

    /// Runs a range of inputs and shows the results of each.
    pub fn each(&self, inputs: Range<usize>, load: &Load<'_, T>, emit: &mut Emit<'_, T>) {
        let width = self.schedule.results.len();
        self.blocks((inputs, MAX_LANES), &[], load, &mut |start, taken, numbers| {
            self.schedule.replay.run(numbers);
            let mut rows = std::mem::take(&mut numbers.rows);
            rows.resize(taken * width, T::ZERO);
            for (place, &slot) in self.schedule.results.iter().enumerate() {
                match numbers.of(slot) {
                    Column::Each(lanes) => {
                        lanes[..taken].iter().enumerate().for_each(|(lane, &x)| rows[lane * width + place] = x);
                    }
                    Column::Same(x) => (0..taken).for_each(|lane| rows[lane * width + place] = x),
                }
            }
            for lane in 0..taken {
                let results = &rows[lane * width..][..width];
                emit(start + lane, self.failed(numbers, lane).map_or(Ok(results), Err));
            }
            numbers.rows = rows;
        });
    }

    /// Has `with` do something with the numbers that are the same for all inputs that begin with the shared ones.
    pub fn with_uniform<R>(&self, shared: &[T], with: impl FnOnce(&[T]) -> R) -> R {
        let known = lock(&self.uniform).pop();
        let mut uniform = known.unwrap_or_else(|| self.schedule.uniform());
        self.schedule.run_once(shared, &mut uniform);
        let result = with(&uniform.values);
        lock(&self.uniform).push(uniform);
        result
    }

    /// Adds the results of a range of inputs, which share the uniform numbers, to `sums`; shows those whose comparisons came out
    /// differently instead.
    pub fn sum(
        &self,
        inputs: Range<usize>,
        uniform: &[T],
        load: &Load<'_, T>,
        sums: &mut [T],
        side_exit: &mut dyn FnMut(usize, u32),
    ) {
        let mut kept = [false; MAX_LANES];
        self.blocks((inputs, MAX_LANES), uniform, load, &mut |start, taken, numbers| {
            self.schedule.replay.run_some(0..self.schedule.guarded, numbers);
            let mut count = 0;
            for (lane, kept) in kept[..numbers.lanes()].iter_mut().enumerate() {
                let failed = if lane < taken { self.failed(numbers, lane) } else { None };
                failed.into_iter().for_each(|ordinal| side_exit(start + lane, ordinal));
                *kept = lane < taken && failed.is_none();
                count += usize::from(*kept);
            }
            for window in &self.schedule.windows {
                self.schedule.replay.run_some(window.groups.clone(), numbers);
                dispatch(Fold { numbers, list: &window.sums, kept: &kept, count, sums });
            }
        });
    }

    /// Goes through a range of inputs, as many at once as there are lanes, which are at most so many, and has `run` do what is to
    /// be done with each block. In lanes without an input stands what was there before.
    pub fn blocks(
        &self,
        (inputs, most): (Range<usize>, usize),
        uniform: &[T],
        load: &Load<'_, T>,
        run: &mut dyn FnMut(usize, usize, &mut Numbers<T>),
    ) {
        let lanes = self.lanes(inputs.len(), most);
        let mut numbers = self.borrow(lanes);
        numbers.uniform[..uniform.len()].copy_from_slice(uniform);
        let mut start = inputs.start;
        while start < inputs.end {
            let taken = lanes.min(inputs.end - start);
            load(start..start + taken, &mut numbers);
            run(start, taken, &mut numbers);
            start += taken;
        }
        lock(&self.idle).push(numbers);
    }

    /// The first comparison that came out differently in a lane.
    pub fn failed(&self, numbers: &Numbers<T>, lane: usize) -> Option<u32> {
        let failed = self.schedule.guards.iter().find(|guard| numbers.at(guard.slot, lane) != guard.expected);
        failed.map(|guard| guard.ordinal)
    }

    /// Numbers for so many lanes, used before or new.
    fn borrow(&self, lanes: usize) -> Numbers<T> {
        let mut idle = lock(&self.idle);
        match idle.iter().position(|numbers| numbers.lanes() == lanes) {
            Some(found) => idle.swap_remove(found),
            None => self.schedule.numbers(lanes),
        }
    }
}

pub(in crate::program) fn lock<X>(list: &Mutex<Vec<X>>) -> MutexGuard<'_, Vec<X>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(in crate::program) fn into_inner<X>(list: Mutex<Vec<X>>) -> Vec<X> {
    list.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Adds results, over the lanes that are kept, to their sums.
struct Fold<'f, T> {
    numbers: &'f Numbers<T>,
    /// The place among the sums, and the slot.
    list: &'f [(u32, u32)],
    kept: &'f [bool; MAX_LANES],
    /// How many are kept.
    count: usize,
    sums: &'f mut [T],
}

impl<T: Float> Kernel for Fold<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut row = [T::ZERO; MAX_LANES];
        for &(place, slot) in self.list {
            self.sums[place as usize] += match self.numbers.of(slot) {
                Column::Same(number) => number * T::of(self.count as f64),
                Column::Each(lanes) if self.count == lanes.len() => total(lanes),
                Column::Each(lanes) => {
                    let row = &mut row[..lanes.len()];
                    for ((row, &lane), &kept) in row.iter_mut().zip(lanes).zip(self.kept) {
                        *row = if kept { lane } else { T::ZERO };
                    }
                    total(row)
                }
            };
        }
    }
}

/// The sum of the numbers in the lanes: lane by lane of a vector, then half by half.
#[inline(always)]
fn total<T: Float>(lanes: &[T]) -> T {
    let mut sums = [T::ZERO; LANES];
    for lanes in lanes.as_chunks::<LANES>().0 {
        for k in 0..LANES {
            sums[k] += lanes[k];
        }
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for k in 0..width {
            sums[k] += sums[k + width];
        }
    }
    sums[0]
}

/// Loads inputs whose numbers `row` appends to a list.
pub(in crate::program) fn rows<'l, T: Float>(
    row: impl Fn(usize, &mut Vec<T>) + Sync + 'l,
) -> impl Fn(Range<usize>, &mut Numbers<T>) + Sync + 'l {
    move |inputs, numbers| {
        let mut rows = std::mem::take(&mut numbers.rows);
        rows.clear();
        inputs.clone().for_each(|input| row(input, &mut rows));
        let width = rows.len() / inputs.len().max(1);
        for place in 0..width {
            let lanes = &mut numbers.of_mut(place)[..inputs.len()];
            lanes.iter_mut().enumerate().for_each(|(lane, x)| *x = rows[lane * width + place]);
        }
        numbers.rows = rows;
    }
}
