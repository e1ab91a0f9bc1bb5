//! Code on numbers, run for every element of some tensors: each operand is a column, and blocks of its elements go to the
//! lanes of a replay.

use std::ops::Range;
use std::sync::Mutex;

use smallvec::SmallVec;

use crate::float::Float;
use crate::kernel::parallel;
use crate::kernel::reduce::{CHUNK, chunk_sum};
use crate::kernel::replay::{Column, MIN_LANES_FOR_SLICES, Numbers};
use crate::kernel::runs::Runs;
use crate::program::execution::executable::NumberExecutable;
use crate::program::execution::lanes::lock;
use crate::program::schedule::Schedule;
use crate::program::trace::cache::SideExits;
use crate::tensor::Tensor;
use crate::tensor::layout::Layout;

/// Elements that a thread takes at once, in whole chunks.
const ELEMENTS_PER_TASK: usize = 1 << 14;

/// The most elements that are in the lanes at once.
const MAX_LANES: usize = 1 << 12;

/// The numbers of one operand.
pub(in crate::program) enum ColumnSource<'x, T> {
    Each(&'x [T]),
    /// One for all elements.
    Same(T),
    /// Elements of a view, such as a row that is repeated.
    View(&'x [T], Runs),
}

impl<'x, T: Float> ColumnSource<'x, T> {
    /// The elements of a tensor that has been broadcast to `layout`.
    pub fn of(x: &'x Tensor<T>, layout: &Layout) -> Self {
        let data = x.buffer.as_slice();
        match layout.shape.len() {
            0 => ColumnSource::Each(&[]),
            len if layout.is_contiguous() => ColumnSource::Each(&data[layout.offset..layout.offset + len]),
            _ if layout.strides.iter().all(|&stride| stride == 0) => ColumnSource::Same(data[layout.offset]),
            _ => ColumnSource::View(data, Runs::new(layout)),
        }
    }

    pub fn at(&self, i: usize) -> T {
        match self {
            ColumnSource::Each(elements) => elements[i],
            ColumnSource::Same(number) => *number,
            ColumnSource::View(data, runs) => {
                let mut number = T::NAN;
                runs.each(i, 1, |_, run| number = data[run.position]);
                number
            }
        }
    }

    fn load(&self, elements: Range<usize>, lanes: &mut [T]) {
        match self {
            ColumnSource::Each(all) => lanes.copy_from_slice(&all[elements]),
            ColumnSource::Same(number) => lanes.fill(*number),
            ColumnSource::View(data, runs) => runs.copy(data, elements.start, lanes),
        }
    }
}

/// What becomes of a result.
pub(in crate::program) enum ColumnTarget<'o, T> {
    /// It is stored for every element.
    Each(&'o mut [T]),
    /// It is summed: chunk by chunk, as `kernel::reduce` sums.
    Sums(&'o mut [T]),
}

impl<T> ColumnTarget<'_, T> {
    /// The parts for the elements before and after one that begins a chunk.
    fn split_at(&mut self, middle: usize) -> [ColumnTarget<'_, T>; 2] {
        match self {
            ColumnTarget::Each(all) => {
                let (left, right) = all.split_at_mut(middle);
                [ColumnTarget::Each(left), ColumnTarget::Each(right)]
            }
            ColumnTarget::Sums(all) => {
                let (left, right) = all.split_at_mut(middle / CHUNK);
                [ColumnTarget::Sums(left), ColumnTarget::Sums(right)]
            }
        }
    }
}

/// Runs `len` elements from `start` on.
pub(in crate::program) fn run<T: Float>(
    ready: &NumberExecutable<T>,
    columns: &[ColumnSource<'_, T>],
    (start, len): (usize, usize),
    out: &mut [ColumnTarget<'_, T>],
    side_exits: &Mutex<SideExits>,
) {
    if len > ELEMENTS_PER_TASK {
        let middle = len.div_ceil(ELEMENTS_PER_TASK) / 2 * ELEMENTS_PER_TASK;
        let halves = out.iter_mut().map(|out| out.split_at(middle).into());
        let (mut left, mut right): (SmallVec<[_; 8]>, SmallVec<[_; 8]>) = halves.unzip();
        let work = len.saturating_mul(ready.schedule.operations.1);
        parallel::join(
            work,
            || run(ready, columns, (start, middle), &mut left, side_exits),
            || run(ready, columns, (start + middle, len - middle), &mut right, side_exits),
        );
        return;
    }
    let schedule = &ready.schedule;
    let in_place = InPlaceColumns::new(schedule, columns, out);
    let load = |elements: Range<usize>, numbers: &mut Numbers<T>| {
        let is_whole = is_whole(elements.len(), numbers);
        for (place, column) in columns.iter().enumerate() {
            if !(is_whole && in_place.reads[place]) {
                column.load(elements.clone(), &mut numbers.of_mut(place)[..elements.len()]);
            }
        }
    };
    ready.blocks((start..start + len, MAX_LANES), &[], &load, &mut |at, taken, numbers| {
        let is_whole = is_whole(taken, numbers);
        match is_whole {
            true => in_place.run(schedule, numbers, columns, out, (at, at - start)),
            false => schedule.replay.run(numbers),
        }
        let mut chunks = std::mem::take(&mut numbers.rows);
        chunks.resize(out.iter().filter(|out| matches!(out, ColumnTarget::Sums(_))).count() * CHUNK, T::ZERO);
        let mut next = chunks.chunks_exact_mut(CHUNK);
        for (place, (out, &slot)) in out.iter_mut().zip(&schedule.results).enumerate() {
            let lanes = numbers.of(slot);
            match out {
                ColumnTarget::Each(_) if is_whole && in_place.writes[place] => {}
                ColumnTarget::Each(all) => lanes.copy_to(&mut all[at - start..][..taken], 0),
                ColumnTarget::Sums(sums) => add(lanes, taken, (at - start, len), next.next().unwrap_or_default(), sums),
            }
        }
        numbers.rows = chunks;
        if !schedule.guards.is_empty() {
            let failed = |lane| ready.failed(numbers, lane).map(|ordinal| (at + lane, ordinal));
            lock(side_exits).extend((0..taken).filter_map(failed));
        }
    });
}

/// Whether there are as many elements as lanes, and enough of both for slots that lie elsewhere.
fn is_whole<T>(elements: usize, numbers: &Numbers<T>) -> bool {
    elements == numbers.lanes() && elements >= MIN_LANES_FOR_SLICES
}

/// Which operands are read where they are, and which results are written where they are to be: those that nothing but the
/// replay looks at.
struct InPlaceColumns {
    reads: SmallVec<[bool; 16]>,
    writes: SmallVec<[bool; 16]>,
}

impl InPlaceColumns {
    fn new<T: Float>(schedule: &Schedule<T>, columns: &[ColumnSource<'_, T>], out: &[ColumnTarget<'_, T>]) -> Self {
        let looks = |slot: u32| {
            let results = schedule.results.iter().filter(|&&result| result == slot).count();
            results + schedule.guards.iter().filter(|guard| guard.slot == slot).count()
        };
        let is_read =
            |(slot, column): (u32, &ColumnSource<'_, T>)| matches!(column, ColumnSource::Each(_)) && looks(slot) == 0;
        let is_written = |(&slot, out): (&u32, &ColumnTarget<'_, T>)| {
            matches!(out, ColumnTarget::Each(_)) && schedule.replay.is_written(slot) && looks(slot) == 1
        };
        InPlaceColumns {
            reads: (schedule.replay.uniform() as u32..).zip(columns).map(is_read).collect(),
            writes: schedule.results.iter().zip(out).map(is_written).collect(),
        }
    }

    /// Runs a whole block: it begins at so many elements of the operands, and so many of the results.
    fn run<T: Float>(
        &self,
        schedule: &Schedule<T>,
        numbers: &mut Numbers<T>,
        columns: &[ColumnSource<'_, T>],
        out: &mut [ColumnTarget<'_, T>],
        (at, done): (usize, usize),
    ) {
        let first = schedule.replay.uniform() as u32;
        let reads = (first..).zip(columns).zip(&self.reads).filter_map(|((slot, column), is_read)| match column {
            ColumnSource::Each(all) if *is_read => Some((slot, &all[at..])),
            _ => None,
        });
        let writes =
            schedule.results.iter().zip(out).zip(&self.writes).filter_map(|((&slot, out), is_written)| match out {
                ColumnTarget::Each(all) if *is_written => Some((slot, &mut all[done..])),
                _ => None,
            });
        schedule.replay.run_in_place(numbers, reads, writes);
    }
}

/// Puts so many elements, which follow `done` others of `len` in all, into their chunks; a chunk that is full is summed.
fn add<T: Float>(lanes: Column<'_, T>, taken: usize, (mut done, len): (usize, usize), chunk: &mut [T], sums: &mut [T]) {
    let mut lane = 0;
    while lane < taken {
        let place = done % CHUNK;
        let count = (taken - lane).min(CHUNK - place);
        lanes.copy_to(&mut chunk[place..place + count], lane);
        (done, lane) = (done + count, lane + count);
        if done % CHUNK == 0 || done == len {
            sums[(done - 1) / CHUNK] = chunk_sum(&chunk[..place + count]);
        }
    }
}
