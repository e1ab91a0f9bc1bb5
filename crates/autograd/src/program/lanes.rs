//! A path run for many inputs at once: blocks of as many inputs as there are lanes.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::paths::Ready;
use crate::float::Float;
use crate::kernel::replay::{LANES, Numbers};

/// The most lanes.
const MOST_LANES: usize = 128;

/// The bytes that the numbers of all lanes may take, for more than [`LANES`] lanes: they stay in the first cache.
const CACHE: usize = 24 << 10;

/// Puts the numbers of some inputs into the lanes, from a slot on.
pub(super) type Load<'l, T> = dyn Fn(Range<usize>, u32, &mut Numbers<T>) + Sync + 'l;

/// Receives the results for one input, or the first comparison that came out differently.
pub(super) type Emit<'e, T> = dyn FnMut(usize, Result<&[T], u32>) + 'e;

impl<T: Float> Ready<T> {
    /// How many inputs run at once.
    fn lanes(&self, inputs: usize) -> usize {
        let fitting = CACHE / (self.plan.replay.slots().max(1) * size_of::<T>());
        fitting.min(inputs).clamp(LANES, MOST_LANES).next_multiple_of(LANES).min(MOST_LANES)
    }

    /// Runs a range of inputs, all of which begin with the `shared` numbers, and shows the results of each.
    pub fn each(&self, inputs: Range<usize>, shared: &[T], load: &Load<'_, T>, emit: &mut Emit<'_, T>) {
        let width = self.plan.results.len();
        self.blocks(inputs, shared, load, &mut |start, taken, numbers| {
            let mut rows = std::mem::take(&mut numbers.rows);
            rows.resize(taken * width, T::ZERO);
            for (place, &slot) in self.plan.results.iter().enumerate() {
                for (lane, &x) in numbers.of(slot)[..taken].iter().enumerate() {
                    rows[lane * width + place] = x;
                }
            }
            for lane in 0..taken {
                let results = &rows[lane * width..][..width];
                emit(start + lane, self.failed(numbers, lane).map_or(Ok(results), Err));
            }
            numbers.rows = rows;
        });
    }

    /// Adds the results of a range of inputs to `sums`; shows those whose comparisons came out differently instead.
    pub fn sum(
        &self,
        inputs: Range<usize>,
        shared: &[T],
        load: &Load<'_, T>,
        sums: &mut [T],
        stray: &mut dyn FnMut(usize, u32),
    ) {
        self.blocks(inputs, shared, load, &mut |start, taken, numbers| {
            let mut strays = 0;
            for lane in 0..taken {
                if let Some(ordinal) = self.failed(numbers, lane) {
                    stray(start + lane, ordinal);
                    strays += 1;
                }
            }
            for (sum, &slot) in sums.iter_mut().zip(&self.plan.results) {
                let lanes = &numbers.of(slot)[..taken];
                *sum += match strays {
                    0 => lanes.iter().copied().sum(),
                    _ => (0..taken).filter(|&lane| self.failed(numbers, lane).is_none()).map(|lane| lanes[lane]).sum(),
                };
            }
        });
    }

    /// Runs a range of inputs, as many at once as there are lanes. In lanes without an input stands what was there before.
    pub fn blocks(
        &self,
        inputs: Range<usize>,
        shared: &[T],
        load: &Load<'_, T>,
        show: &mut dyn FnMut(usize, usize, &mut Numbers<T>),
    ) {
        let lanes = self.lanes(inputs.len());
        let mut numbers = self.borrow(lanes);
        for (slot, &x) in shared.iter().enumerate() {
            numbers.values[slot * lanes..][..lanes].fill(x);
        }
        let mut start = inputs.start;
        while start < inputs.end {
            let taken = lanes.min(inputs.end - start);
            load(start..start + taken, shared.len() as u32, &mut numbers);
            self.plan.replay.run(&mut numbers);
            show(start, taken, &mut numbers);
            start += taken;
        }
        lock(&self.idle).push(numbers);
    }

    /// The first comparison that came out differently in a lane.
    pub fn failed(&self, numbers: &Numbers<T>, lane: usize) -> Option<u32> {
        let failed = self.plan.guards.iter().find(|guard| numbers.at(guard.slot, lane) != guard.expected);
        failed.map(|guard| guard.ordinal)
    }

    /// Numbers for so many lanes, used before or new.
    fn borrow(&self, lanes: usize) -> Numbers<T> {
        let mut idle = lock(&self.idle);
        match idle.iter().position(|numbers| numbers.lanes() == lanes) {
            Some(found) => idle.swap_remove(found),
            None => self.plan.numbers(lanes),
        }
    }
}

pub(super) fn lock<X>(list: &Mutex<Vec<X>>) -> MutexGuard<'_, Vec<X>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn into_inner<X>(list: Mutex<Vec<X>>) -> Vec<X> {
    list.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Loads inputs whose numbers `row` appends to a list.
pub(super) fn rows<'l, T: Float>(
    row: impl Fn(usize, &mut Vec<T>) + Sync + 'l,
) -> impl Fn(Range<usize>, u32, &mut Numbers<T>) + Sync + 'l {
    move |inputs, first, numbers| {
        let mut rows = std::mem::take(&mut numbers.rows);
        rows.clear();
        inputs.clone().for_each(|input| row(input, &mut rows));
        let width = rows.len() / inputs.len().max(1);
        for place in 0..width {
            let lanes = &mut numbers.of_mut(first + place as u32)[..inputs.len()];
            lanes.iter_mut().enumerate().for_each(|(lane, x)| *x = rows[lane * width + place]);
        }
        numbers.rows = rows;
    }
}
