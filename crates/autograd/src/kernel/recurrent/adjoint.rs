//! The way back through a sequence.

use std::ops::Range;

use super::rows::{Rows, over_samples, parts, put_parts};
use super::{Cell, Place, Sequence, Weight, Weights, gather};
use crate::float::Float;
use crate::kernel::matmul::tiles::Strips;
use crate::kernel::matmul::{Matrix, Start};
use crate::kernel::simd::{Kernel, dispatch};
use crate::kernel::{Write, reduce};
use crate::real::lanes::{LANES, Lanes};
use crate::shape::Shape;
use crate::tensor::View;
use crate::tensor::buffer::Buffer;
use crate::tensor::layout::Layout;

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
            let rows = turns.len() * samples.len();
            let by_x = Matrix::row_major(by_x, rows, gates);
            let by_hidden = if C::SEPARATE { Matrix::row_major(by_hidden, rows, gates) } else { by_x };
            let steps = (&sequence, &samples, turns);
            put_weights([by_x, by_hidden], [x, before], steps.clone(), (&mut *sums, &mut *space), write);
            if let Some(input) = &input {
                put_input(input, &by_x.data[..rows * gates], steps, &mut space[..rows * inputs], &mut dx);
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

/// Puts what some steps give to the gradients of weights and biases into `sums`, from the gradients of their gates, `by`, which
/// have a row for each sample at each time, and from what the weights were multiplied with.
fn put_weights<T: Float>(
    by: [Matrix<'_, T>; 2],
    [x, before]: [&[T]; 2],
    (sequence, samples, turns): (&Sequence<'_>, &Range<usize>, Range<usize>),
    (sums, space): (&mut [T], &mut [T]),
    write: Write,
) {
    let (&Sequence { inputs, width, .. }, gates) = (sequence, by[0].columns.0);
    let (dinput, rest) = sums.split_at_mut(gates * inputs);
    let (dhidden, dbias) = rest.split_at_mut(gates * width);
    for (by, values, numbers, sum) in [(by[0], x, inputs, dinput), (by[1], before, width, dhidden)] {
        let times = turns.clone().map(|turn| sequence.time(turn));
        let values = gather(values, numbers, times, (sequence, samples), space);
        Strips::new(Matrix::row_major(values, by.rows.0, numbers)).multiply(by.transpose(), sum, &write.into());
    }
    for (by, sum) in by.into_iter().zip(dbias.chunks_exact_mut(gates)) {
        sum_rows(by, sum, write);
    }
}

/// Puts the gradients of the input of some steps into `dx`, from those of their gates.
fn put_input<T: Float>(
    weight: &Weight<'_, T>,
    by_x: &[T],
    (sequence, samples, turns): (&Sequence<'_>, &Range<usize>, Range<usize>),
    space: &mut [T],
    dx: &mut Rows<'_, T>,
) {
    weight.multiply(by_x, space, &Start::Nothing);
    let times = turns.map(|turn| sequence.time(turn));
    for (time, from) in times.zip(space.chunks_exact(samples.len() * sequence.inputs.max(1))) {
        dx.at(time).copy_from_slice(from);
    }
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
