//! Recurrent networks over a whole sequence: for each step one product and one loop over the gates, forwards and back.
//!
//! The samples of a batch do not meet. So the batch is cut into pieces, by the sizes alone, and a thread takes all the steps
//! of its piece without waiting for another. What belongs to the weights is one product over all steps at the end.

use std::ops::Range;

use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{ContiguousFwd, MatMut};

use crate::float::Float;
use crate::kernel::matmul::tiles::Strips;
use crate::kernel::matmul::{Matrix, Start, cost, multiply};
use crate::kernel::scan::Direction;
use crate::kernel::simd::{Kernel, dispatch};
use crate::kernel::{Write, parallel, reduce};
use crate::real::Algebra;
use crate::real::lanes::{LANES, Lanes};
use crate::shape::Shape;
use crate::tensor::View;
use crate::tensor::buffer::Buffer;
use crate::tensor::layout::Layout;

/// Multiply-adds of a step that a thread takes at least.
const STEP: usize = 1 << 18;

/// Samples that a thread takes at least: fewer leave a product slow.
const SAMPLES: usize = 16;

/// What an element of a gate costs, in cheap steps.
const WEIGHT: usize = 16;

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

/// The sizes of a sequence, and the way through it. Its arrays are `[steps, batch, width]`, with one width for each gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sequence<'a> {
    pub steps: usize,
    pub batch: usize,
    pub width: usize,
    pub direction: Direction,
    /// How many steps each sample has; all of them without it.
    pub lengths: Option<&'a [usize]>,
}

impl Sequence<'_> {
    /// Elements of an array with one number for each gate of each sample at each step.
    pub fn len(&self, gates: usize) -> usize {
        self.steps * self.batch * gates * self.width
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

    /// Where the numbers of a sample at a time lie in an array.
    fn place(&self, gates: usize, time: usize, sample: usize) -> Range<usize> {
        let start = (time * self.batch + sample) * gates * self.width;
        start..start + gates * self.width
    }

    fn is_worth_threads(&self, gates: usize) -> bool {
        parallel::is_worth(cost(self.len(gates) * self.width) + self.len(gates) * WEIGHT)
    }

    /// Samples of a piece.
    fn share(&self, gates: usize) -> usize {
        (STEP / (gates * self.width * self.width).max(1)).max(SAMPLES)
    }
}

/// Runs the sequence. `x` is the projected input, `weight` `[gates · width, width]` projects the hidden state. `out` is the
/// hidden state after each step, then the last states; at first these are the initial ones. `kept` is what [`Cell`] keeps of
/// every step, then the states before it.
pub(crate) fn forward<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize>(
    cell: C,
    sequence: Sequence<'_>,
    (x, weight, bias): (&[T], &[T], Option<&[T]>),
    out: &mut [T],
    kept: &mut [T],
) {
    if sequence.is_empty() {
        return;
    }
    let width = sequence.width;
    let weight = Weight::new(Matrix::row_major(weight, G * width, width).transpose(), sequence.batch);
    let (kept, before) = kept.split_at_mut(sequence.len(K));
    let steps = sequence.steps;
    let mut hidden = Buffer::scratch(sequence.batch * G * width);
    let hidden = Rows::new(hidden.get_mut().unwrap_or_default(), 1);
    let whole = [Rows::new(out, steps + S), Rows::new(kept, steps), Rows::new(before, S * steps), hidden];
    over_samples(0..sequence.batch, whole, sequence.share(G), sequence.is_worth_threads(G), &|samples, mut piece| {
        for time in (0..steps).map(|turn| sequence.time(turn)) {
            let [out, _, _, hidden] = &mut piece;
            weight.multiply(out.at(steps), hidden.at(0), &bias.map_or(Start::Nothing, Start::Row));
            dispatch(Advance { cell, sequence, time, samples: samples.clone(), x, rows: &mut piece });
        }
    });
}

/// What every step multiplies with: packed where several samples share it.
enum Weight<'a, T: Float> {
    Packed(Strips<T>),
    Plain(Matrix<'a, T>),
}

impl<'a, T: Float> Weight<'a, T> {
    fn new(weight: Matrix<'a, T>, samples: usize) -> Self {
        if samples > 1 { Weight::Packed(Strips::new(weight)) } else { Weight::Plain(weight) }
    }

    /// `out = start + x·weight`, for a row of `x` and of `out` for each sample.
    fn multiply(&self, x: &[T], out: &mut [T], start: &Start<'_, T>) {
        match self {
            Weight::Packed(strips) => {
                strips.multiply(Matrix::row_major(x, x.len() / strips.depth(), strips.depth()), out, start)
            }
            Weight::Plain(weight) => {
                let write = match start {
                    Start::Nothing => Write::Replace,
                    Start::Old => Write::Add,
                    Start::Row(row) => {
                        out.copy_from_slice(row);
                        Write::Add
                    }
                };
                multiply(Matrix::row_major(x, 1, x.len()), *weight, out, write);
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
    rows: &'a mut [Rows<'r, T>; 4],
}

impl<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize> Kernel
    for Advance<'_, '_, C, T, G, K, S>
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Advance { cell, sequence, time, samples, x, rows } = self;
        let (steps, width) = (sequence.steps, sequence.width);
        for (row, sample) in samples.enumerate() {
            if !sequence.has(time, sample) {
                let [out, kept, before, _] = &mut *rows;
                out.of(time, row, width).fill(T::ZERO);
                kept.of(time, row, K * width).fill(T::ZERO);
                for state in 0..S {
                    before.of(state * steps + time, row, width).copy_from_slice(out.get(steps + state, row, width));
                }
                continue;
            }
            let x = &x[sequence.place(G, time, sample)];
            for start in (0..width).step_by(LANES) {
                advance_block(cell, &sequence, Place { time, row, start, len: LANES.min(width - start) }, x, rows);
            }
        }
    }
}

/// Neighbours in the states of a sample, which is a row of a piece, at a time.
#[derive(Clone, Copy)]
struct Place {
    time: usize,
    row: usize,
    start: usize,
    len: usize,
}

#[inline(always)]
fn advance_block<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize>(
    cell: C,
    &Sequence { steps, width, .. }: &Sequence<'_>,
    Place { time, row, start, len }: Place,
    x: &[T],
    [out, kept, before, hidden]: &mut [Rows<'_, T>; 4],
) {
    let range = start..start + len;
    let x: [_; G] = parts(x, width, &range);
    let hidden: [_; G] = parts(hidden.get(0, row, G * width), width, &range);
    let mut states = [Lanes::of(0.0); S];
    for (state, lanes) in states.iter_mut().enumerate() {
        *lanes = Lanes::load(&out.get(steps + state, row, width)[range.clone()]);
        lanes.store(&mut before.of(state * steps + time, row, width)[range.clone()]);
    }
    let (keep, after) = cell.step(x, hidden, states);
    put_parts(keep, kept.of(time, row, K * width), width, &range);
    after[0].store(&mut out.of(time, row, width)[range.clone()]);
    for (state, after) in after.iter().enumerate() {
        after.store(&mut out.of(steps + state, row, width)[range.clone()]);
    }
}

/// The adjoint of [`forward`]: `g` is the gradient of all that it wrote to `out`. The gradients of x, of the weight, of the
/// initial states and, if there is one, of the bias are written one behind the other.
pub(crate) fn adjoint<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize>(
    cell: C,
    sequence: Sequence<'_>,
    (weight, kept, g): (&[T], &[T], &[T]),
    out: &mut [T],
) {
    if sequence.is_empty() {
        return out.fill(T::ZERO);
    }
    let (width, samples) = (sequence.width, sequence.steps * sequence.batch);
    let (dx, rest) = out.split_at_mut(sequence.len(G));
    let (dweight, rest) = rest.split_at_mut(G * width * width);
    let (dstates, dbias) = rest.split_at_mut(S * sequence.batch * width);
    dstates.copy_from_slice(&g[sequence.len(1)..]);
    let mut separate = Buffer::scratch(if C::SEPARATE { dx.len() } else { 0 });
    let dhidden = separate.get_mut().unwrap_or_default();
    let whole = [Rows::new(dx, sequence.steps), Rows::new(dhidden, sequence.steps), Rows::new(dstates, S)];
    let weight = Weight::new(Matrix::row_major(weight, G * width, width), sequence.batch);
    let (kept, before) = kept.split_at(sequence.len(K));
    over_samples(0..sequence.batch, whole, sequence.share(G), sequence.is_worth_threads(G), &|samples, mut piece| {
        for time in (0..sequence.steps).rev().map(|turn| sequence.time(turn)) {
            let samples = samples.clone();
            dispatch(Retreat { cell, sequence, time, samples, operands: (kept, before, g), rows: &mut piece });
            let [dx, dhidden, dstates] = &mut piece;
            let dhidden = if C::SEPARATE { dhidden } else { dx }.at(time);
            weight.multiply(dhidden, dstates.at(0), &Start::Old);
        }
    });
    let dhidden = if C::SEPARATE { separate.as_slice() } else { dx };
    let hidden = Matrix::row_major(before, samples, width);
    multiply(Matrix::row_major(dhidden, samples, G * width).transpose(), hidden, dweight, Write::Replace);
    if !dbias.is_empty() {
        let layout = Layout::contiguous(Shape::from([samples, G * width]));
        reduce::sum(View { data: dhidden, layout: &layout }, &[0], dbias);
    }
}

/// The adjoint of a step of some samples, but for the product with the weight.
struct Retreat<'a, 'r, C, T, const G: usize, const K: usize, const S: usize> {
    cell: C,
    sequence: Sequence<'a>,
    time: usize,
    samples: Range<usize>,
    /// What was kept, the states before every step, and the incoming gradient.
    operands: (&'a [T], &'a [T], &'a [T]),
    rows: &'a mut [Rows<'r, T>; 3],
}

impl<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize> Kernel
    for Retreat<'_, '_, C, T, G, K, S>
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Retreat { cell, sequence, time, samples, operands: (kept, before, g), rows } = self;
        let width = sequence.width;
        for (row, sample) in samples.enumerate() {
            if !sequence.has(time, sample) {
                let [dx, dhidden, _] = &mut *rows;
                dx.of(time, row, G * width).fill(T::ZERO);
                if C::SEPARATE {
                    dhidden.of(time, row, G * width).fill(T::ZERO);
                }
                continue;
            }
            let (kept, g) = (&kept[sequence.place(K, time, sample)], &g[sequence.place(1, time, sample)]);
            let operands = (kept, &before[sequence.place(1, time, sample).start..], g);
            for start in (0..width).step_by(LANES) {
                let place = Place { time, row, start, len: LANES.min(width - start) };
                retreat_block(cell, &sequence, place, operands, rows);
            }
        }
    }
}

#[inline(always)]
fn retreat_block<T: Float, C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize>(
    cell: C,
    sequence: &Sequence<'_>,
    Place { time, row, start, len }: Place,
    (kept, before, g): (&[T], &[T], &[T]),
    [dx, dhidden, dstates]: &mut [Rows<'_, T>; 3],
) {
    let width = sequence.width;
    let range = start..start + len;
    let (kept, states) = (parts(kept, width, &range), parts(before, sequence.len(1), &range));
    let mut after = [Lanes::load(&g[range.clone()]); S];
    after[0] = after[0] + Lanes::load(&dstates.get(0, row, width)[range.clone()]);
    for (state, lanes) in after.iter_mut().enumerate().skip(1) {
        *lanes = Lanes::load(&dstates.get(state, row, width)[range.clone()]);
    }
    let found = cell.adjoint(kept, states, after);
    put_parts(found.x, dx.of(time, row, G * width), width, &range);
    if C::SEPARATE {
        put_parts(found.hidden, dhidden.of(time, row, G * width), width, &range);
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

/// Calls `f` for at most `share` samples at a time, with their columns of all matrices.
fn over_samples<T: Float, const N: usize>(
    samples: Range<usize>,
    mut rows: [Rows<'_, T>; N],
    share: usize,
    on_threads: bool,
    f: &(impl Fn(Range<usize>, [Rows<'_, T>; N]) + Sync),
) {
    let pieces = samples.len().div_ceil(share);
    if pieces < 2 {
        return f(samples, rows);
    }
    let count = pieces / 2 * share;
    let middle = samples.start + count;
    let others = rows.each_mut().map(|rows| rows.split_off(count, samples.len()));
    let left = || over_samples(samples.start..middle, rows, share, on_threads, f);
    let right = || over_samples(middle..samples.end, others, share, on_threads, f);
    if on_threads {
        rayon::join(left, right);
    } else {
        left();
        right();
    }
}
