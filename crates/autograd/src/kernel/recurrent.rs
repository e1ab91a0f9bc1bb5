//! Recurrent networks over a whole sequence: for each step one product and one loop over the gates, forwards and back.
//!
//! The samples of a batch do not meet. So the batch is cut into pieces, by the sizes alone, and a thread takes all the steps
//! of its piece without waiting for another. What does not wait for the step before, which is the projection of the input and
//! the gradients of the weights, is one product for several steps, whose gates stay in the cache meanwhile.

use std::ops::Range;

use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{ContiguousFwd, MatMut};

use crate::float::Float;
use crate::kernel::matmul::tiles::Strips;
use crate::kernel::matmul::{Matrix, Start, cost, multiply};
use crate::kernel::scan::Direction;
use crate::kernel::simd::{Kernel, dispatch};
use crate::kernel::vectorized::vectorized;
use crate::kernel::{Write, parallel, reduce};
use crate::real::Algebra;
use crate::real::lanes::{LANES, Lanes};
use crate::shape::{Shape, len_of};
use crate::tensor::View;
use crate::tensor::buffer::Buffer;
use crate::tensor::layout::Layout;

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

/// What the gradients of a sequence come from: its input and weights, what the run kept, and the gradient of all that it
/// wrote to `out`.
pub(crate) struct Incoming<'a, T> {
    pub x: &'a [T],
    pub weights: Weights<'a, T>,
    pub kept: &'a [T],
    pub g: &'a [T],
}

/// The adjoint of [`forward`]. The gradients of the input, if it is wanted, of the initial states, of the weights and of
/// the biases that there are, are written one behind the other.
pub(crate) fn adjoint<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize>(
    cell: C,
    sequence: Sequence<'_>,
    incoming: &Incoming<'_, T>,
    wants_input: bool,
    out: &mut [T],
) {
    if sequence.is_empty() {
        return out.fill(T::ZERO);
    }
    let Sequence { steps, batch, inputs, width, .. } = sequence;
    let &Incoming { x, ref weights, kept, g } = incoming;
    let gates = G * width;
    let (dx, rest) = out.split_at_mut(if wants_input { steps * batch * inputs } else { 0 });
    let (dstates, dweights) = rest.split_at_mut(S * batch * width);
    dstates.copy_from_slice(&g[sequence.len(1)..]);
    let input = wants_input.then(|| Weight::new(Matrix::row_major(weights.input, gates, inputs), steps * batch));
    let hidden = Weight::new(Matrix::row_major(weights.hidden, gates, width), batch);
    let (kept, before) = kept.split_at(sequence.len(K));
    let whole = [Rows::new(dx, steps), Rows::new(dstates, S)];
    let run = |samples: Range<usize>, [mut dx, mut dstates]: [Rows<'_, T>; 2], sums: &mut [T]| {
        let (stretch, len) = (sequence.stretch(&samples), samples.len() * gates);
        let (dinput, rest) = sums.split_at_mut(gates * inputs);
        let (dhidden, dbias) = rest.split_at_mut(gates * width);
        let mut space = Buffer::scratch(
            (stretch * len) * if C::SEPARATE { 2 } else { 1 } + stretch * samples.len() * inputs.max(width),
        );
        let (by_x, space) = space.get_mut().unwrap_or_default().split_at_mut(stretch * len);
        let (by_hidden, space) = space.split_at_mut(if C::SEPARATE { stretch * len } else { 0 });
        let mut write = Write::Replace;
        for first in (0..steps).step_by(stretch).rev() {
            let turns = first..steps.min(first + stretch);
            for turn in turns.clone().rev() {
                let (time, samples, here) =
                    (sequence.time(turn), samples.clone(), (turn - first) * len..(turn - first + 1) * len);
                let by_x = &mut by_x[here.clone()];
                let by_hidden = if C::SEPARATE { &mut by_hidden[here] } else { &mut [] };
                let operands = (kept, before, g);
                dispatch(Retreat { cell, sequence, time, samples, operands, by_x, by_hidden, dstates: &mut dstates });
                hidden.multiply(if C::SEPARATE { by_hidden } else { by_x }, dstates.at(0), &Start::Old);
            }
            let times = || turns.clone().map(|turn| sequence.time(turn));
            let rows = turns.len() * samples.len();
            let by_x = Matrix::row_major(by_x, rows, gates);
            let by_hidden = if C::SEPARATE { Matrix::row_major(by_hidden, rows, gates) } else { by_x };
            for (by, values, numbers, sum) in
                [(by_x, x, inputs, &mut *dinput), (by_hidden, before, width, &mut *dhidden)]
            {
                let values = gather(values, numbers, times(), (&sequence, &samples), space);
                Strips::new(Matrix::row_major(values, rows, numbers)).multiply(by.transpose(), sum, &write.into());
            }
            for (by, sum) in [by_x, by_hidden].into_iter().zip(dbias.chunks_exact_mut(gates)) {
                sum_rows(by, sum, write);
            }
            if let Some(input) = &input {
                let all = &mut space[..rows * inputs];
                input.multiply(&by_x.data[..rows * gates], all, &Start::Nothing);
                for (time, from) in times().zip(all.chunks_exact(samples.len() * inputs.max(1))) {
                    dx.at(time).copy_from_slice(from);
                }
            }
            write = Write::Add;
        }
    };
    let (share, len) = (sequence.share(G), dweights.len());
    let mut sums = Buffer::scratch(batch.div_ceil(share) * len);
    let sums = sums.get_mut().unwrap_or_default();
    over_samples((0..batch, whole), share, sequence.is_worth_threads(G), (&mut *sums, len), &run);
    dweights.copy_from_slice(&sums[..len]);
}

/// Writes the sum of all rows of `x`.
fn sum_rows<T: Float>(x: Matrix<'_, T>, out: &mut [T], write: Write) {
    let mut sums = Buffer::scratch(out.len());
    let sums = sums.get_mut().unwrap_or_default();
    let layout = Layout::contiguous(Shape::from([x.rows.0, x.columns.0]));
    reduce::sum(View { data: x.data, layout: &layout }, &[0], sums);
    out.iter_mut().zip(sums).for_each(|(out, sum)| write.put(out, *sum));
}

/// The adjoint of a step of some samples, but for the product with the weight.
struct Retreat<'a, 'r, C, T, const G: usize, const K: usize, const S: usize> {
    cell: C,
    sequence: Sequence<'a>,
    time: usize,
    samples: Range<usize>,
    /// What was kept, the states before every step, and the incoming gradient.
    operands: (&'a [T], &'a [T], &'a [T]),
    by_x: &'a mut [T],
    by_hidden: &'a mut [T],
    dstates: &'a mut Rows<'r, T>,
}

impl<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize> Kernel
    for Retreat<'_, '_, C, T, G, K, S>
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Retreat { cell, sequence, time, samples, operands: (kept, before, g), by_x, by_hidden, dstates } = self;
        let width = sequence.width;
        for (row, sample) in samples.enumerate() {
            let gates = row * G * width..(row + 1) * G * width;
            let by_hidden = if C::SEPARATE { &mut by_hidden[gates.clone()] } else { &mut [] };
            let by = (&mut by_x[gates], by_hidden);
            if !sequence.has(time, sample) {
                by.0.fill(T::ZERO);
                by.1.fill(T::ZERO);
                continue;
            }
            let place = |numbers| sequence.place(numbers, time, &(sample..sample + 1));
            let operands = (&kept[place(K * width)], &before[place(width).start..], &g[place(width)]);
            let (by_x, by_hidden) = by;
            let (whole, place) = (width - width % LANES, |range| Place { time, row, width, range });
            for start in (0..whole).step_by(LANES) {
                let place = place(start..start + LANES);
                retreat_block(cell, sequence.len(1), place, operands, (by_x, by_hidden), dstates);
            }
            if whole < width {
                retreat_block(cell, sequence.len(1), place(whole..width), operands, (by_x, by_hidden), dstates);
            }
        }
    }
}

#[inline(always)]
fn retreat_block<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize>(
    cell: C,
    apart: usize,
    place: Place,
    (kept, before, g): (&[T], &[T], &[T]),
    (by_x, by_hidden): (&mut [T], &mut [T]),
    dstates: &mut Rows<'_, T>,
) {
    let Place { row, width, range, .. } = place;
    let mut after = [Lanes::load(&g[range.clone()]); S];
    after[0] = after[0] + Lanes::load(&dstates.get(0, row, width)[range.clone()]);
    for (state, lanes) in after.iter_mut().enumerate().skip(1) {
        *lanes = Lanes::load(&dstates.get(state, row, width)[range.clone()]);
    }
    let found = cell.adjoint(parts(kept, width, &range), parts(before, apart, &range), after);
    put_parts(found.x, by_x, width, &range);
    if C::SEPARATE {
        put_parts(found.hidden, by_hidden, width, &range);
    }
    for (state, gradient) in found.before.iter().enumerate() {
        gradient.store(&mut dstates.of(state, row, width)[range.clone()]);
    }
}

/// The same range of each of N rows that begin `apart`.
#[inline(always)]
fn parts<T: Float, const N: usize>(x: &[T], apart: usize, range: &Range<usize>) -> [Lanes<T>; N] {
    let mut parts = [Lanes::of(0.0); N];
    for (k, part) in parts.iter_mut().enumerate() {
        *part = Lanes::load(&x[k * apart..][range.clone()]);
    }
    parts
}

/// The same for writing.
#[inline(always)]
fn put_parts<T: Float, const N: usize>(parts: [Lanes<T>; N], x: &mut [T], apart: usize, range: &Range<usize>) {
    for (k, part) in parts.iter().enumerate() {
        part.store(&mut x[k * apart..][range.clone()]);
    }
}

/// A matrix whose rows, one for each time or state, hold the numbers of some samples one behind the other.
struct Rows<'a, T>(MatMut<'a, T, usize, usize, isize, ContiguousFwd>);

impl<'a, T> Rows<'a, T> {
    fn new(x: &'a mut [T], count: usize) -> Self {
        let columns = x.len() / count;
        let matrix = MatMut::from_row_major_slice_mut(x, count, columns);
        Rows(matrix.try_as_row_major_mut().expect("columns are neighbours"))
    }

    #[inline(always)]
    fn at(&mut self, row: usize) -> &mut [T] {
        self.0.rb_mut().row_mut(row).as_slice_mut()
    }

    /// The numbers of one sample, which has `width` of them.
    #[inline(always)]
    fn get(&self, row: usize, sample: usize, width: usize) -> &[T] {
        &self.0.rb().row(row).as_slice()[sample * width..][..width]
    }

    /// The same, for writing.
    #[inline(always)]
    fn of(&mut self, row: usize, sample: usize, width: usize) -> &mut [T] {
        &mut self.at(row)[sample * width..][..width]
    }

    /// Keeps the columns of the first `count` of all `samples`, and gives the others.
    fn split_off(&mut self, count: usize, samples: usize) -> Self {
        let whole = std::mem::replace(self, Rows::new(&mut [], 1)).0;
        let columns = whole.ncols() / samples * count;
        let (left, right) = whole.split_at_col_mut(columns);
        *self = Rows(left);
        Rows(right)
    }
}

/// Calls `f` for at most `share` samples at a time, with their columns of all matrices, and adds up what it writes to sums
/// that are `len` long, of which there are as many as pieces: the first ones get the total.
fn over_samples<T: Float, const N: usize>(
    (samples, mut rows): (Range<usize>, [Rows<'_, T>; N]),
    share: usize,
    on_threads: bool,
    (sums, len): (&mut [T], usize),
    f: &(impl Fn(Range<usize>, [Rows<'_, T>; N], &mut [T]) + Sync),
) {
    let pieces = samples.len().div_ceil(share);
    if pieces < 2 {
        return f(samples, rows, sums);
    }
    let middle = samples.start + pieces / 2 * share;
    let others = rows.each_mut().map(|rows| rows.split_off(middle - samples.start, samples.len()));
    let (sums, other_sums) = sums.split_at_mut(pieces / 2 * len);
    let left = || over_samples((samples.start..middle, rows), share, on_threads, (&mut *sums, len), f);
    let right = || over_samples((middle..samples.end, others), share, on_threads, (&mut *other_sums, len), f);
    if on_threads {
        rayon::join(left, right);
    } else {
        left();
        right();
    }
    vectorized!(sums[..len].iter_mut().zip(&other_sums[..len]).for_each(|(sum, &other)| *sum += other));
}
