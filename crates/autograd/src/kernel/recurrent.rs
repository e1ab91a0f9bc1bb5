//! Recurrent networks over a whole sequence: for each step one product and one loop over the gates, forwards and back.
//!
//! The samples of a batch do not meet. So the batch is cut into pieces, by the sizes alone, and a thread takes all the steps
//! of its piece without waiting for another. What does not wait for the step before, which is the projection of the input and
//! the gradients of the weights, is one product for several steps, whose gates stay in the cache meanwhile.

mod adjoint;
mod rows;

use std::ops::Range;

use crate::float::Float;
use crate::kernel::matmul::tiles::Strips;
use crate::kernel::matmul::{Matrix, Start, cost, multiply};
use crate::kernel::scan::Direction;
use crate::kernel::simd::{Kernel, dispatch};
use crate::kernel::{Write, parallel};
use crate::real::Algebra;
use crate::real::lanes::{LANES, Lanes};
use crate::shape::len_of;
use crate::tensor::buffer::Buffer;
use rows::{Rows, over_samples, parts, put_parts};

pub(crate) use adjoint::{Incoming, adjoint};

/// Multiply-adds of a step that a thread takes at least.
const MIN_WORK_PER_THREAD: usize = 1 << 18;

/// Samples that a thread takes at least: fewer leave a product slow.
const MIN_SAMPLES_PER_THREAD: usize = 16;

/// Samples at their times that products for several steps take at once, if the network is not wider: the sums of such a product
/// are read and written again with each.
const ROWS_PER_PRODUCT: usize = 128;

/// Gradients of weights that a piece sums up for each of its gates at most.
const MAX_SUMS_PER_GATE: usize = 4;

/// What an element of a gate costs, in cheap steps.
const ELEMENT_COST: usize = 16;

/// The equations of a recurrent network, element by element: G gates, K numbers kept for the derivative, and S states, of
/// which the first, the hidden one, is also the output.
pub(crate) trait Cell<const G: usize, const K: usize, const S: usize>: Copy + Sync {
    /// The name of its operation, and of that one's adjoint.
    const NAME: &str;
    const ADJOINT: &str;

    /// Whether the projections of input and hidden state meet in more than their sum. The hidden one then has a bias and
    /// a gradient of its own.
    const SEPARATE: bool;

    /// What is kept, and the states after a step, from both projections and the states before.
    fn step<A: Algebra>(self, x: [A; G], hidden: [A; G], before: [A; S]) -> ([A; K], [A; S]);

    /// The gradients of a step's operands from those of the states after it.
    fn adjoint<A: Algebra>(self, kept: [A; K], before: [A; S], g: [A; S]) -> Cotangents<A, G, S>;
}

/// The gradients of the operands of [`Cell::step`].
pub(crate) struct Cotangents<A, const G: usize, const S: usize> {
    pub x: [A; G],
    pub hidden: [A; G],
    pub before: [A; S],
}

/// The sizes of a sequence, and the way through it. Its arrays are `[steps, batch, width]`, with one width for each gate; the
/// input is `[steps, batch, inputs]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sequence<'a> {
    pub steps: usize,
    pub batch: usize,
    pub inputs: usize,
    pub width: usize,
    pub direction: Direction,
    /// How many steps each sample has; all of them without it.
    pub lengths: Option<&'a [usize]>,
}

impl Sequence<'_> {
    /// Elements of an array with one number for each gate of each sample at each step.
    pub fn len(&self, gates: usize) -> usize {
        len_of(&[self.steps, self.batch, gates, self.width])
    }

    fn is_empty(&self) -> bool {
        self.len(1) == 0
    }

    /// Where the step that comes at this turn lies in time.
    pub fn time(&self, turn: usize) -> usize {
        match self.direction {
            Direction::Forward => turn,
            Direction::Backward => self.steps - 1 - turn,
        }
    }

    pub fn has(&self, time: usize, sample: usize) -> bool {
        self.lengths.is_none_or(|lengths| time < lengths[sample])
    }

    /// Where the numbers of some samples at a time lie in an array with this many for each.
    fn place(&self, numbers: usize, time: usize, samples: &Range<usize>) -> Range<usize> {
        (time * self.batch + samples.start) * numbers..(time * self.batch + samples.end) * numbers
    }

    fn is_worth_threads(&self, gates: usize) -> bool {
        parallel::is_worth(cost(self.len(gates) * (self.inputs + self.width)) + self.len(gates) * ELEMENT_COST)
    }

    /// Samples of a piece.
    fn share(&self, gates: usize) -> usize {
        let by_work = MIN_WORK_PER_THREAD / (gates * self.width * self.width).max(1);
        by_work.max((self.inputs + self.width) / (MAX_SUMS_PER_GATE * self.steps)).max(MIN_SAMPLES_PER_THREAD)
    }

    /// Steps that products for several of them take at once.
    fn stretch(&self, samples: &Range<usize>) -> usize {
        (ROWS_PER_PRODUCT.max(self.width) / samples.len()).clamp(1, self.steps)
    }
}

/// What a sequence multiplies with and adds: `[gates · width, inputs]` for the input, `[gates · width, width]` for the hidden
/// state, and `[gates · width]` for either.
pub(crate) struct Weights<'a, T> {
    pub input: &'a [T],
    pub hidden: &'a [T],
    pub bias: [Option<&'a [T]>; 2],
}

/// Runs the sequence. `out` is the hidden state after each step, then the last states; at first these are the initial ones.
/// `kept` is what [`Cell`] keeps of every step, then the states before it.
pub(crate) fn forward<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize>(
    cell: C,
    sequence: Sequence<'_>,
    (x, weights): (&[T], &Weights<'_, T>),
    out: &mut [T],
    kept: &mut [T],
) {
    if sequence.is_empty() {
        return;
    }
    let Sequence { steps, batch, inputs, width, .. } = sequence;
    let gates = G * width;
    let input = Weight::new(Matrix::row_major(weights.input, gates, inputs).transpose(), steps * batch);
    let hidden = Weight::new(Matrix::row_major(weights.hidden, gates, width).transpose(), batch);
    let [input_start, hidden_start] = weights.bias.map(|bias| bias.map_or(Start::Nothing, Start::Row));
    let (kept, before) = kept.split_at_mut(sequence.len(K));
    let whole = [Rows::new(out, steps + S), Rows::new(kept, steps), Rows::new(before, S * steps)];
    let run = |samples: Range<usize>, mut piece: [Rows<'_, T>; 3], _: &mut [T]| {
        let (stretch, len) = (sequence.stretch(&samples), samples.len() * gates);
        let mut space = Buffer::scratch(stretch * samples.len() * inputs + (stretch + 1) * len);
        let (of_hidden, space) = space.get_mut().unwrap_or_default().split_at_mut(len);
        let (of_x, space) = space.split_at_mut(stretch * len);
        for first in (0..steps).step_by(stretch) {
            let turns = first..steps.min(first + stretch);
            let rows = gather(x, inputs, turns.clone().map(|turn| sequence.time(turn)), (&sequence, &samples), space);
            input.multiply(rows, &mut of_x[..turns.len() * len], &input_start);
            for (turn, x) in turns.zip(of_x.chunks_exact(len)) {
                hidden.multiply(piece[0].at(steps), of_hidden, &hidden_start);
                let (time, samples, rows) = (sequence.time(turn), samples.clone(), &mut piece);
                dispatch(Advance { cell, sequence, time, samples, x, hidden: of_hidden, rows });
            }
        }
    };
    over_samples((0..batch, whole), sequence.share(G), sequence.is_worth_threads(G), (&mut [], 0), &run);
}

/// The numbers of some samples at these times, one behind the other.
fn gather<'a, T: Float>(
    x: &[T],
    numbers: usize,
    times: impl Iterator<Item = usize>,
    (sequence, samples): (&Sequence<'_>, &Range<usize>),
    into: &'a mut [T],
) -> &'a [T] {
    let mut len = 0;
    for time in times {
        let from = &x[sequence.place(numbers, time, samples)];
        into[len..len + from.len()].copy_from_slice(from);
        len += from.len();
    }
    &into[..len]
}

/// What several steps multiply with: packed where several rows share it.
enum Weight<'a, T: Float> {
    Packed(Strips<T>),
    Plain(Matrix<'a, T>),
}

impl<'a, T: Float> Weight<'a, T> {
    fn new(weight: Matrix<'a, T>, rows: usize) -> Self {
        if rows > 1 && weight.rows.0 > 0 { Weight::Packed(Strips::new(weight)) } else { Weight::Plain(weight) }
    }

    /// `out = start + x·weight`, for rows of `x` and of `out`.
    fn multiply(&self, x: &[T], out: &mut [T], start: &Start<'_, T>) {
        // Rows without numbers say nothing of how many they are.
        if out.is_empty() {
            return;
        }
        match self {
            Weight::Packed(strips) => {
                strips.multiply(Matrix::row_major(x, x.len() / strips.depth(), strips.depth()), out, start)
            }
            Weight::Plain(weight) => {
                let write = match start {
                    Start::Nothing => Write::Replace,
                    Start::Old => Write::Add,
                    Start::Row(row) => {
                        out.chunks_exact_mut(row.len()).for_each(|out| out.copy_from_slice(row));
                        Write::Add
                    }
                };
                multiply(Matrix::row_major(x, out.len() / weight.columns.0, weight.rows.0), *weight, out, write);
            }
        }
    }
}

/// A step of some samples.
struct Advance<'a, 'r, C, T, const G: usize, const K: usize, const S: usize> {
    cell: C,
    sequence: Sequence<'a>,
    time: usize,
    samples: Range<usize>,
    x: &'a [T],
    hidden: &'a [T],
    rows: &'a mut [Rows<'r, T>; 3],
}

impl<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize> Kernel
    for Advance<'_, '_, C, T, G, K, S>
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Advance { cell, sequence, time, samples, x, hidden, rows } = self;
        let (steps, width) = (sequence.steps, sequence.width);
        for (row, sample) in samples.enumerate() {
            if !sequence.has(time, sample) {
                let [out, kept, before] = &mut *rows;
                out.of(time, row, width).fill(T::ZERO);
                kept.of(time, row, K * width).fill(T::ZERO);
                for state in 0..S {
                    before.of(state * steps + time, row, width).copy_from_slice(out.get(steps + state, row, width));
                }
                continue;
            }
            let [x, hidden] = [x, hidden].map(|x| &x[row * G * width..][..G * width]);
            let (whole, place) = (width - width % LANES, |range| Place { time, row, width, range });
            for start in (0..whole).step_by(LANES) {
                advance_block(cell, steps, place(start..start + LANES), (x, hidden), rows);
            }
            if whole < width {
                advance_block(cell, steps, place(whole..width), (x, hidden), rows);
            }
        }
    }
}

/// Neighbours in the states of a sample, which is a row of a piece, at a time.
#[derive(Clone)]
struct Place {
    time: usize,
    row: usize,
    width: usize,
    range: Range<usize>,
}

#[inline(always)]
fn advance_block<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize>(
    cell: C,
    steps: usize,
    place: Place,
    (x, hidden): (&[T], &[T]),
    [out, kept, before]: &mut [Rows<'_, T>; 3],
) {
    let Place { time, row, width, range } = place;
    let mut states = [Lanes::of(0.0); S];
    for (state, lanes) in states.iter_mut().enumerate() {
        *lanes = Lanes::load(&out.get(steps + state, row, width)[range.clone()]);
        lanes.store(&mut before.of(state * steps + time, row, width)[range.clone()]);
    }
    let (keep, after) = cell.step(parts(x, width, &range), parts(hidden, width, &range), states);
    put_parts(keep, kept.of(time, row, K * width), width, &range);
    after[0].store(&mut out.of(time, row, width)[range.clone()]);
    for (state, after) in after.iter().enumerate() {
        after.store(&mut out.of(steps + state, row, width)[range.clone()]);
    }
}
