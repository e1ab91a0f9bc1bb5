//! Convolutions with few filters or channels in a group, as depthwise ones have: too few for the vectors, so whole planes are
//! multiplied and added instead.
//!
//! A plane is split into phases (`axis`) and framed by zeros. A phase is one long row, in which what a tap meets lies a fixed
//! way from where the windows start. Sums for the places between rows of windows, where none starts, cost less than to
//! step over them.

use super::axis::Axis;
use super::rows::{add_products, write_sums};
use super::{Conv, PIECES, add_halves};
use crate::float::Float;
use crate::kernel::matmul::cost;
use crate::kernel::parallel;
use crate::kernel::register::{lanes, register};
use crate::kernel::vectorized::vectorized;
use crate::tensor::buffer::Buffer;

/// Elements of a result that a thread takes at once, in whole groups.
const PIECE: usize = 1 << 13;

/// The planes of a convolution.
pub(super) struct Planes {
    images: usize,
    groups: usize,
    /// Planes of the input and of the output in each group.
    pub channels: usize,
    pub filters: usize,
    input: [usize; 2],
    rows: Axis,
    columns: Axis,
}

impl Planes {
    /// Of images `x`, `[N, C, H, W]`, and a weight `w`, `[O, C/groups, KH, KW]`.
    pub fn new(conv: &Conv, x: &[usize], w: &[usize]) -> Self {
        let groups = conv.groups.max(1);
        let output = conv.output([x[2], x[3]], [w[2], w[3]]).unwrap_or([0, 0]);
        let axis = |axis: usize| Axis::new(conv, axis, [x[axis + 2], output[axis], w[axis + 2]]);
        Planes {
            images: x[0],
            groups,
            channels: w[1],
            filters: w[0] / groups,
            input: [x[2], x[3]],
            rows: axis(0),
            columns: axis(1),
        }
    }

    /// Whether registers along the filters or channels of a group, `planes`, would be emptier than along a long row.
    pub fn are_few<T: Float>(&self, planes: usize) -> bool {
        let filled = planes > 0 && self.input_len() > 0;
        filled && 2 * planes * self.output_row::<T>() <= register::<T>() * self.output_area()
    }

    /// The output of images `x` for a weight `w` and, where there is one, a bias.
    pub fn write_output<T: Float>(&self, x: &[T], w: &[T], bias: Option<&[T]>, out: &mut [T]) {
        let (area, depth, len) = (self.output_area(), self.depth(), self.output_row::<T>());
        let (frame, elements) = (self.frame::<T>(), self.elements());
        let group_len = self.filters * area;
        let work = cost(out.len().saturating_mul(depth));
        parallel::pieces(out, self.piece(group_len), work, &|start, out| {
            let mut space = Buffer::scratch(frame + self.filters * len);
            let Some((frame, sums)) = space.get_mut().map(|space| space.split_at_mut(frame)) else { return };
            frame.fill(T::ZERO);
            for (k, out) in out.chunks_exact_mut(group_len).enumerate() {
                let (k, first) = (start / group_len + k, (start / group_len + k) % self.groups * self.filters);
                self.split(&x[k * self.input_len()..][..self.input_len()], frame);
                write_sums((&w[first * depth..], depth), (frame, elements.as_slice()), len, sums);
                for (filter, (out, sums)) in out.chunks_exact_mut(area).zip(sums.chunks_exact(len)).enumerate() {
                    let bias = bias.map_or(T::ZERO, |bias| bias[first + filter]);
                    let rows = out.chunks_exact_mut(self.columns.output).zip(sums.chunks(self.columns.covered()));
                    vectorized!(for (out, sums) in rows {
                        out.iter_mut().zip(sums).for_each(|(y, &sum)| *y = sum + bias);
                    });
                }
            }
        });
    }

    /// The gradient of the input.
    pub fn write_input_gradient<T: Float>(&self, g: &[T], w: &[T], out: &mut [T]) {
        let (area, depth, pitch) = (self.input[0] * self.input[1], self.filters * self.kernel_area(), self.framed()[1]);
        let (plane, len) = (self.framed()[0] * pitch, lanes::<T>((self.rows.span() - 1) * pitch + self.columns.span()));
        let (places, taps) = self.by_phase();
        let weights = self.weights_by_phase(w, taps.as_slice());
        let (frame, group_len) = (self.filters * plane + register::<T>(), self.channels * area);
        let work = cost(g.len().saturating_mul(self.depth()));
        parallel::pieces(out, self.piece(group_len), work, &|start, out| {
            let mut space = Buffer::scratch(frame + self.columns.phases * self.channels * len);
            let Some((frame, sums)) = space.get_mut().map(|space| space.split_at_mut(frame)) else { return };
            frame.fill(T::ZERO);
            if self.has_gaps() {
                out.fill(T::ZERO);
            }
            for (k, out) in out.chunks_exact_mut(group_len).enumerate() {
                let k = start / group_len + k;
                self.place(&g[k * self.output_len()..][..self.output_len()], frame);
                let weights = &weights.as_slice()[k % self.groups * self.channels * depth..];
                let mut done = 0;
                for row_phase in 0..self.rows.phases {
                    let taps = self.filters * self.rows.taps_of(row_phase).len();
                    for (phase, sums) in sums.chunks_exact_mut(self.channels * len).enumerate() {
                        let count = taps * self.columns.taps_of(phase).len();
                        let places = &places.as_slice()[done..done + count];
                        write_sums((&weights[done..], depth), (frame, places), len, sums);
                        done += count;
                    }
                    for (channel, out) in out.chunks_exact_mut(area).enumerate() {
                        self.join((&sums[channel * len..], self.channels * len, pitch), row_phase, out);
                    }
                }
            }
        });
    }

    /// The gradient of the weight.
    pub fn write_weight_gradient<T: Float>(&self, x: &[T], g: &[T], out: &mut [T]) {
        let (area, pitch, row) = (self.output_area(), self.columns.covered(), self.output_row::<T>());
        let (frame, elements) = (self.frame::<T>(), self.elements());
        let (group_len, lanes) = (self.filters * self.depth(), register::<T>());
        let blocks = if self.groups < PIECES { PIECES } else { 1 };
        let images = self.images.div_ceil(blocks);
        let mut sums = Buffer::scratch(self.images.div_ceil(images) * out.len());
        let Some(sums) = sums.get_mut() else { return };
        let work = cost(g.len().saturating_mul(self.depth()));
        parallel::pieces(sums, group_len, work, &|start, sums| {
            let (first, group) = (start / out.len() * images, start % out.len() / group_len);
            let mut space = Buffer::scratch(frame + row + group_len * lanes);
            let Some(space) = space.get_mut() else { return };
            space.fill(T::ZERO);
            let (frame, rest) = space.split_at_mut(frame);
            let (row, parts) = rest.split_at_mut(row);
            for n in first..(first + images).min(self.images) {
                let k = n * self.groups + group;
                self.split(&x[k * self.input_len()..][..self.input_len()], frame);
                let planes = g[k * self.output_len()..].chunks_exact(area);
                for (parts, g) in parts.chunks_exact_mut(self.depth() * lanes).zip(planes) {
                    let rows = row.chunks_mut(pitch).zip(g.chunks_exact(self.columns.output));
                    rows.for_each(|(row, g)| row[..g.len()].copy_from_slice(g));
                    add_products(row, (frame, elements.as_slice()), parts);
                }
            }
            sums.iter_mut().zip(parts.chunks_exact(lanes)).for_each(|(sum, parts)| *sum = parts.iter().copied().sum());
        });
        let len = out.len();
        out.copy_from_slice(add_halves(sums, len));
    }

    /// Elements of a group of results that are `group_len` long each, as many groups as a thread takes at once.
    fn piece(&self, group_len: usize) -> usize {
        group_len * (PIECE / group_len).max(1)
    }

    /// Elements of a group of the input.
    fn input_len(&self) -> usize {
        self.channels * self.input[0] * self.input[1]
    }

    /// Elements of a group of the output.
    fn output_len(&self) -> usize {
        self.filters * self.output_area()
    }

    fn output_area(&self) -> usize {
        self.rows.output * self.columns.output
    }

    /// The length of a phase's row from the first window to the last, in whole registers.
    fn output_row<T: Float>(&self) -> usize {
        lanes::<T>(self.rows.output.saturating_sub(1) * self.columns.covered() + self.columns.output)
    }

    fn kernel_area(&self) -> usize {
        self.rows.taps * self.columns.taps
    }

    /// Products that are added up for one element of the output.
    fn depth(&self) -> usize {
        self.channels * self.kernel_area()
    }

    /// Elements of a phase of the input.
    fn phase(&self) -> usize {
        self.rows.covered() * self.columns.covered()
    }

    /// Elements of a group of the input in all phases, and a register behind them, which loads may reach into.
    fn frame<T: Float>(&self) -> usize {
        self.channels * self.rows.phases * self.columns.phases * self.phase() + register::<T>()
    }

    /// Where the elements of a kernel meet the first window, in a group of the input.
    fn elements(&self) -> Buffer<usize> {
        let (rows, columns) = (&self.rows, &self.columns);
        let mut elements = Buffer::scratch(self.depth());
        for (k, place) in elements.get_mut().unwrap_or_default().iter_mut().enumerate() {
            let (channel, a, b) = (k / self.kernel_area(), k / columns.taps % rows.taps, k % columns.taps);
            let phase = (channel * rows.phases + a % rows.phases) * columns.phases + b % columns.phases;
            *place = phase * self.phase() + rows.shift(a) * columns.covered() + columns.shift(b);
        }
        elements
    }

    /// Puts the planes of a group of the input into the phases of its frame, whose other elements stay.
    fn split<T: Float>(&self, x: &[T], frame: &mut [T]) {
        let ([height, width], pitch) = (self.input, self.columns.covered());
        let phases = frame.chunks_exact_mut(self.phase());
        for (k, frame) in phases.take(self.channels * self.rows.phases * self.columns.phases).enumerate() {
            let (k, column_phase) = (k / self.columns.phases, k % self.columns.phases);
            let (channel, row_phase) = (k / self.rows.phases, k % self.rows.phases);
            let (rows, first) = self.rows.places(row_phase, self.rows.covered());
            let (columns, from) = self.columns.places(column_phase, pitch);
            let lines = x[channel * height * width..].chunks_exact(width).skip(first).step_by(self.rows.stride());
            vectorized!(for (row, x) in rows.zip(lines) {
                take(&x[from..], self.columns.stride(), &mut frame[row * pitch..][columns.clone()]);
            });
        }
    }

    /// Height and width of a plane of the output in its frame: from every place in the input, all taps have a place in it.
    fn framed(&self) -> [usize; 2] {
        [&self.rows, &self.columns].map(|axis| axis.span() + axis.reach())
    }

    /// Puts the planes of a group of the output into their frames, whose other elements stay.
    fn place<T: Float>(&self, g: &[T], frame: &mut [T]) {
        let [height, width] = self.framed();
        let (top, left) = (self.rows.reach(), self.columns.reach());
        let (above, before) = (self.rows.base(), self.columns.base());
        let planes = frame.chunks_exact_mut(height * width).zip(g.chunks_exact(self.output_area()));
        for (frame, g) in planes {
            let rows = frame.chunks_exact_mut(width).skip(top.saturating_sub(above));
            for (frame, g) in rows.zip(g.chunks_exact(self.columns.output).skip(above.saturating_sub(top))) {
                let g = g.get(before.saturating_sub(left)..).unwrap_or_default();
                frame.iter_mut().skip(left.saturating_sub(before)).zip(g).for_each(|(frame, &g)| *frame = g);
            }
        }
    }

    /// For all filters of a group, phase by phase: the place in the frame of the output that a tap sends to the first place
    /// in the input, and which of the weights of a channel belongs to it.
    fn by_phase(&self) -> (Buffer<usize>, Buffer<usize>) {
        let (rows, columns, [height, width]) = (&self.rows, &self.columns, self.framed());
        let phases = (0..rows.phases).flat_map(|row| (0..columns.phases).map(move |column| (row, column)));
        let terms = phases.flat_map(|(row, column)| {
            let taps = rows.taps_of(row).flat_map(move |a| columns.taps_of(column).map(move |b| (a, b)));
            (0..self.filters).flat_map(move |filter| taps.clone().map(move |tap| (filter, tap)))
        });
        let len = self.filters * self.kernel_area();
        let (mut places, mut weights) = (Buffer::scratch(len), Buffer::scratch(len));
        let both = places.get_mut().unwrap_or_default().iter_mut().zip(weights.get_mut().unwrap_or_default());
        for ((place, weight), (filter, (a, b))) in both.zip(terms) {
            let at = [rows.reach() - rows.shift(a), columns.reach() - columns.shift(b)];
            *place = filter * height * width + at[0] * width + at[1];
            *weight = filter * self.depth() + a * columns.taps + b;
        }
        (places, weights)
    }

    /// The weight as `[group, channel, tap]`, with the taps of all filters in the order of [`by_phase`](Self::by_phase).
    fn weights_by_phase<T: Float>(&self, w: &[T], taps: &[usize]) -> Buffer<T> {
        let mut weights = Buffer::scratch(w.len());
        for (k, weights) in weights.get_mut().unwrap_or_default().chunks_exact_mut(taps.len()).enumerate() {
            let (group, channel) = (k / self.channels, k % self.channels);
            let w = &w[group * self.filters * self.depth() + channel * self.kernel_area()..];
            weights.iter_mut().zip(taps).for_each(|(weight, &tap)| *weight = w[tap]);
        }
        weights
    }

    /// Whether some places in the input are in no window.
    fn has_gaps(&self) -> bool {
        [&self.rows, &self.columns].iter().any(|axis| axis.phases < axis.stride())
    }

    /// Puts the rows of one phase where they belong in a plane of the input, from sums of every phase of the columns, which
    /// start `apart`.
    fn join<T: Float>(&self, (sums, apart, pitch): (&[T], usize, usize), row_phase: usize, out: &mut [T]) {
        let (width, base, stride) = (self.input[1], self.columns.base(), self.columns.stride());
        let (rows, first) = self.rows.places(row_phase, usize::MAX);
        let lines = out.chunks_exact_mut(width).skip(first).step_by(self.rows.stride());
        let phase = |k: usize| {
            let (places, into) = self.columns.places(k, usize::MAX);
            (k * apart + places.start.saturating_sub(base)..k * apart + places.end.saturating_sub(base), into)
        };
        vectorized!(for (row, out) in rows.zip(lines) {
            let sums = &sums[(row - self.rows.base()) * pitch..];
            if (stride, self.columns.phases) == (2, 2) && width > 1 {
                let [(even, into), (odd, _)] = [phase(0), phase(1)];
                let (even, odd) = if into == 0 { (even, odd) } else { (odd, even) };
                interleave(&sums[even], &sums[odd], out);
            } else {
                for (places, into) in (0..self.columns.phases).map(phase) {
                    put(&sums[places], stride, &mut out[into..]);
                }
            }
        });
    }
}

/// Every `step`th element of `x`.
#[inline(always)]
fn take<T: Float>(x: &[T], step: usize, out: &mut [T]) {
    match step {
        1 => out.iter_mut().zip(x).for_each(|(y, &x)| *y = x),
        2 => {
            let (pairs, rest) = x.as_chunks::<2>();
            out.iter_mut().zip(pairs).for_each(|(y, &[x, _])| *y = x);
            out.iter_mut().skip(pairs.len()).zip(rest).for_each(|(y, &x)| *y = x);
        }
        _ => out.iter_mut().zip(x.iter().step_by(step)).for_each(|(y, &x)| *y = x),
    }
}

/// Puts `x` into every `step`th element of `out`.
#[inline(always)]
fn put<T: Float>(x: &[T], step: usize, out: &mut [T]) {
    match step {
        1 => out.iter_mut().zip(x).for_each(|(y, &x)| *y = x),
        _ => out.iter_mut().step_by(step).zip(x).for_each(|(y, &x)| *y = x),
    }
}

/// Elements of both in turn, from `even` on.
#[inline(always)]
fn interleave<T: Float>(even: &[T], odd: &[T], out: &mut [T]) {
    let (pairs, rest) = out.as_chunks_mut::<2>();
    let count = pairs.len();
    pairs.iter_mut().zip(even.iter().zip(odd)).for_each(|(pair, (&x, &y))| *pair = [x, y]);
    rest.iter_mut().zip(&even[count..]).for_each(|(y, &x)| *y = x);
}
