//! Code on numbers, run for every element of some tensors: each operand is a column, and blocks of its elements go to the
//! lanes of a replay.

use std::ops::Range;
use std::sync::Mutex;

use smallvec::SmallVec;

use super::lanes::lock;
use super::paths::{Ready, Strays};
use crate::float::Float;
use crate::kernel::parallel;
use crate::kernel::reduce::{CHUNK, chunk_sum};
use crate::kernel::replay::{Column, Numbers};
use crate::kernel::runs::Runs;
use crate::tensor::Tensor;
use crate::tensor::layout::Layout;

/// Elements that a thread takes at once, in whole chunks.
const PIECE: usize = 1 << 14;

/// The numbers of one operand.
pub(super) enum Operand<'x, T> {
    Each(&'x [T]),
    /// One for all elements.
    Same(T),
    /// Elements of a view, such as a row that is repeated.
    View(&'x [T], Runs),
}

impl<'x, T: Float> Operand<'x, T> {
    /// The elements of a tensor that has been broadcast to `layout`.
    pub fn of(x: &'x Tensor<T>, layout: &Layout) -> Self {
        let data = x.buffer.as_slice();
        match layout.shape.len() {
            0 => Operand::Each(&[]),
            len if layout.is_contiguous() => Operand::Each(&data[layout.offset..layout.offset + len]),
            _ if layout.strides.iter().all(|&stride| stride == 0) => Operand::Same(data[layout.offset]),
            _ => Operand::View(data, Runs::new(layout)),
        }
    }

    pub fn at(&self, i: usize) -> T {
        match self {
            Operand::Each(elements) => elements[i],
            Operand::Same(number) => *number,
            Operand::View(data, runs) => {
                let mut number = T::NAN;
                runs.each(i, 1, |_, run| number = data[run.position]);
                number
            }
        }
    }

    fn load(&self, elements: Range<usize>, lanes: &mut [T]) {
        match self {
            Operand::Each(all) => lanes.copy_from_slice(&all[elements]),
            Operand::Same(number) => lanes.fill(*number),
            Operand::View(data, runs) => runs.copy(data, elements.start, lanes),
        }
    }
}

/// What becomes of a result.
pub(super) enum Out<'o, T> {
    /// It is stored for every element.
    Each(&'o mut [T]),
    /// It is summed: chunk by chunk, as `kernel::reduce` sums.
    Sums(&'o mut [T]),
}

impl<T> Out<'_, T> {
    /// The parts for the elements before and after one that begins a chunk.
    fn split_at(&mut self, middle: usize) -> [Out<'_, T>; 2] {
        match self {
            Out::Each(all) => {
                let (left, right) = all.split_at_mut(middle);
                [Out::Each(left), Out::Each(right)]
            }
            Out::Sums(all) => {
                let (left, right) = all.split_at_mut(middle / CHUNK);
                [Out::Sums(left), Out::Sums(right)]
            }
        }
    }
}

/// Runs `len` elements from `start` on.
pub(super) fn run<T: Float>(
    ready: &Ready<T>,
    columns: &[Operand<'_, T>],
    (start, len): (usize, usize),
    out: &mut [Out<'_, T>],
    strays: &Mutex<Strays>,
) {
    if len > PIECE {
        let middle = len.div_ceil(PIECE) / 2 * PIECE;
        let halves = out.iter_mut().map(|out| out.split_at(middle).into());
        let (mut left, mut right): (SmallVec<[_; 8]>, SmallVec<[_; 8]>) = halves.unzip();
        let work = len.saturating_mul(ready.plan.operations.1);
        parallel::join(
            work,
            || run(ready, columns, (start, middle), &mut left, strays),
            || run(ready, columns, (start + middle, len - middle), &mut right, strays),
        );
        return;
    }
    let load = |elements: Range<usize>, numbers: &mut Numbers<T>| {
        for (place, column) in columns.iter().enumerate() {
            column.load(elements.clone(), &mut numbers.of_mut(place)[..elements.len()]);
        }
    };
    ready.blocks(start..start + len, &[], &load, &mut |at, taken, numbers| {
        ready.plan.replay.run(numbers);
        let mut chunks = std::mem::take(&mut numbers.rows);
        chunks.resize(out.iter().filter(|out| matches!(out, Out::Sums(_))).count() * CHUNK, T::ZERO);
        let mut next = chunks.chunks_exact_mut(CHUNK);
        for (out, &slot) in out.iter_mut().zip(&ready.plan.results) {
            let lanes = numbers.of(slot);
            match out {
                Out::Each(all) => lanes.copy_to(&mut all[at - start..][..taken], 0),
                Out::Sums(sums) => add(lanes, taken, (at - start, len), next.next().unwrap_or_default(), sums),
            }
        }
        numbers.rows = chunks;
        if !ready.plan.guards.is_empty() {
            let failed = |lane| ready.failed(numbers, lane).map(|ordinal| (at + lane, ordinal));
            lock(strays).extend((0..taken).filter_map(failed));
        }
    });
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
