//! Convolutions with few filters or channels in a group, as depthwise ones have: too few for the vectors, so whole planes are
//! multiplied and added instead.
//!
//! A plane is split into phases (`axis`) and framed by zeros. A phase is one long row, in which what a tap meets lies a fixed
//! way from where the windows start. Sums for the places between rows of windows, where none starts, cost less than to
//! step over them.

use super::axis::Axis;
use super::moves::{interleave, plus, put, take};
use super::product::Offsets;
use super::rows::{add_products, write_sums};
use super::{BATCH_PIECES, Conv, Pass, add_halves};
use crate::float::Float;
use crate::kernel::matmul::cost;
use crate::kernel::parallel;
use crate::kernel::register::{lanes, register};
use crate::kernel::vectorized::vectorized;
use crate::shape::len_of;
use crate::tensor::buffer::Buffer;

/// Elements of a result that a thread takes at once, in whole groups.
const ELEMENTS_PER_TASK: usize = 1 << 13;

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

    /// Whether registers along the filters or channels of a group would be emptier than along a long row.
    pub fn are_few<T: Float>(&self, pass: Pass) -> bool {
        let planes = match pass {
            Pass::Output => self.filters,
            Pass::Input => self.channels,
            // A product of two rows loads twice as much as a sum of rows.
            Pass::Weight => self.filters.saturating_mul(2),
        };
        let filled = planes > 0 && self.input_len() > 0;
        filled && planes.saturating_mul(self.output_row::<T>()) <= self.output_area().saturating_mul(register::<T>())
    }

    /// The output of images `x` for a weight `w` and, where there is one, a bias.
    pub fn write_output<T: Float>(&self, x: &[T], w: &[T], bias: Option<&[T]>, out: &mut [T]) {
        let (area, depth, len) = (self.output_area(), self.depth(), self.output_row::<T>());
        let (frame, elements, lines) = (self.frame::<T>(), self.elements(), self.input_lines());
        let group_len = self.filters * area;
        let work = cost(out.len().saturating_mul(depth));
        parallel::pieces(out, self.piece(group_len), work, &|start, out| {
            let mut space = Buffer::scratch(self.space::<T>(Pass::Output));
            let Some((frame, sums)) = space.get_mut().map(|space| space.split_at_mut(frame)) else { return };
            frame.fill(T::ZERO);
            for (k, out) in out.chunks_exact_mut(group_len).enumerate() {
                let (k, first) = (start / group_len + k, (start / group_len + k) % self.groups * self.filters);
                move_lines(&lines, self.columns.stride, &x[k * self.input_len()..], frame);
                write_sums((&w[first * depth..], depth), (frame, elements.as_slice()), len, sums);
                for (filter, (out, sums)) in out.chunks_exact_mut(area).zip(sums.chunks_exact(len)).enumerate() {
                    let bias = bias.map_or(T::ZERO, |bias| bias[first + filter]);
                    let rows = out.chunks_exact_mut(self.columns.output).zip(sums.chunks(self.columns.covered()));
                    vectorized!(for (out, sums) in rows {
                        plus(sums, bias, out);
                    });
                }
            }
        });
    }

    /// The gradient of the input.
    pub fn write_input_gradient<T: Float>(&self, g: &[T], w: &[T], out: &mut [T]) {
        let (area, depth) = (self.input[0] * self.input[1], self.filters * self.kernel_area());
        let (frame, len) = (self.output_frame::<T>(), self.input_row::<T>());
        let (places, taps) = self.by_phase();
        let weights = self.weights_by_phase(w, taps.as_slice());
        let (lines, joins) = (self.output_lines(), self.joins(self.channels * len));
        let group_len = self.channels * area;
        let work = cost(g.len().saturating_mul(self.depth()));
        parallel::pieces(out, self.piece(group_len), work, &|start, out| {
            let mut space = Buffer::scratch(self.space::<T>(Pass::Input));
            let Some((frame, sums)) = space.get_mut().map(|space| space.split_at_mut(frame)) else { return };
            frame.fill(T::ZERO);
            if self.has_gaps() {
                out.fill(T::ZERO);
            }
            for (k, out) in out.chunks_exact_mut(group_len).enumerate() {
                let k = start / group_len + k;
                move_lines(&lines, 1, &g[k * self.output_len()..], frame);
                let mut weights = &weights.as_slice()[k % self.groups * self.channels * depth..];
                let mut places = places.as_slice();
                for (phase, sums) in sums.chunks_exact_mut(self.channels * len).enumerate() {
                    let count = self.filters * self.taps_of(phase);
                    write_sums((weights, depth), (frame, &places[..count]), len, sums);
                    (weights, places) = (&weights[count..], &places[count..]);
                }
                for (channel, out) in out.chunks_exact_mut(area).enumerate() {
                    self.join(&sums[channel * len..], &joins, out);
                }
            }
        });
    }

    /// The gradient of the weight.
    pub fn write_weight_gradient<T: Float>(&self, x: &[T], g: &[T], out: &mut [T]) {
        let (area, pitch, row) = (self.output_area(), self.columns.covered(), self.output_row::<T>());
        let (frame, elements, lines) = (self.frame::<T>(), self.elements(), self.input_lines());
        let (group_len, lanes) = (self.filters * self.depth(), register::<T>());
        let blocks = if self.groups < BATCH_PIECES { BATCH_PIECES } else { 1 };
        let images = self.images.div_ceil(blocks);
        let mut sums = Buffer::scratch(self.images.div_ceil(images) * out.len());
        let Some(sums) = sums.get_mut() else { return };
        let work = cost(g.len().saturating_mul(self.depth()));
        parallel::pieces(sums, group_len, work, &|start, sums| {
            let (first, group) = (start / out.len() * images, start % out.len() / group_len);
            let mut space = Buffer::scratch(self.space::<T>(Pass::Weight));
            let Some(space) = space.get_mut() else { return };
            space.fill(T::ZERO);
            let (frame, rest) = space.split_at_mut(frame);
            let (row, parts) = rest.split_at_mut(row);
            for n in first..(first + images).min(self.images) {
                let k = n * self.groups + group;
                move_lines(&lines, self.columns.stride, &x[k * self.input_len()..], frame);
                let planes = g[k * self.output_len()..].chunks_exact(area);
                for (parts, g) in parts.chunks_exact_mut(self.depth() * lanes).zip(planes) {
                    let rows = row.chunks_mut(pitch).zip(g.chunks_exact(self.columns.output));
                    vectorized!(for (row, g) in rows {
                        take(g, 1, &mut row[..g.len()]);
                    });
                    add_products(row, (frame, elements.as_slice()), parts);
                }
            }
            sums.iter_mut().zip(parts.chunks_exact(lanes)).for_each(|(sum, parts)| *sum = parts.iter().copied().sum());
        });
        let len = out.len();
        out.copy_from_slice(add_halves(sums, len));
    }

    /// Elements that a thread works in, saturating.
    pub fn space<T: Float>(&self, pass: Pass) -> usize {
        let (frame, others) = match pass {
            Pass::Output => (self.frame::<T>(), len_of(&[self.filters, self.output_row::<T>()])),
            Pass::Input => {
                let rows = [self.rows.phases, self.columns.phases, self.channels, self.input_row::<T>()];
                (self.output_frame::<T>(), len_of(&rows))
            }
            Pass::Weight => {
                let sums = self.filters * self.depth() * register::<T>();
                (self.frame::<T>(), self.output_row::<T>().saturating_add(sums))
            }
        };
        frame.saturating_add(others)
    }

    /// Elements of a group of results that are `group_len` long each, as many groups as a thread takes at once.
    fn piece(&self, group_len: usize) -> usize {
        group_len * (ELEMENTS_PER_TASK / group_len).max(1)
    }

    /// Elements of a group of the input.
    fn input_len(&self) -> usize {
        len_of(&[self.channels, self.input[0], self.input[1]])
    }

    /// Elements of a group of the output.
    fn output_len(&self) -> usize {
        len_of(&[self.filters, self.rows.output, self.columns.output])
    }

    fn output_area(&self) -> usize {
        self.rows.output.saturating_mul(self.columns.output)
    }

    /// The length of a phase's row from the first window to the last, in whole registers.
    fn output_row<T: Float>(&self) -> usize {
        let whole = len_of(&[self.rows.output.saturating_sub(1), self.columns.covered()]);
        lanes::<T>(whole.saturating_add(self.columns.output))
    }

    /// The length of a row from the first place in the input to the last of a phase, in whole registers.
    fn input_row<T: Float>(&self) -> usize {
        let whole = len_of(&[self.rows.span() - 1, self.framed()[1]]);
        lanes::<T>(whole.saturating_add(self.columns.span()))
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
        len_of(&[self.rows.covered(), self.columns.covered()])
    }

    /// Elements of a group of the input in all phases, and a register behind them, which loads may reach into.
    fn frame<T: Float>(&self) -> usize {
        len_of(&[self.channels, self.rows.phases, self.columns.phases, self.phase()]).saturating_add(register::<T>())
    }

    /// Elements of a group of the output in its frame, and a register behind them.
    fn output_frame<T: Float>(&self) -> usize {
        let [height, width] = self.framed();
        len_of(&[self.filters, height, width]).saturating_add(register::<T>())
    }

    /// The taps that meet a phase of rows and columns.
    fn taps_of(&self, phase: usize) -> usize {
        let (row, column) = (phase / self.columns.phases, phase % self.columns.phases);
        self.rows.taps_of(row).len() * self.columns.taps_of(column).len()
    }

    /// Where the elements of a kernel meet the first window, in a group of the input.
    fn elements(&self) -> Offsets {
        let (rows, columns, kernel) = (&self.rows, &self.columns, self.kernel_area());
        let elements = (0..self.depth()).map(|k| {
            let (channel, a, b) = (k / kernel, k / columns.taps % rows.taps, k % columns.taps);
            let phase = (channel * rows.phases + a % rows.phases) * columns.phases + b % columns.phases;
            phase * self.phase() + rows.shift(a) * columns.covered() + columns.shift(b)
        });
        Offsets::new(elements)
    }

    /// The lines that put a group of the input into the phases of its frame.
    fn input_lines(&self) -> Offsets {
        let ([height, width], pitch) = (self.input, self.columns.covered());
        let phases = (0..self.rows.phases).flat_map(|row| (0..self.columns.phases).map(move |column| (row, column)));
        let planes = (0..self.channels).flat_map(|channel| phases.clone().map(move |phase| (channel, phase)));
        let lines = planes.enumerate().flat_map(|(k, (channel, (row, column)))| {
            let ((rows, first), (columns, from)) =
                (self.rows.places(row, self.rows.covered()), self.columns.places(column, pitch));
            let to = k * self.phase() + columns.start;
            let from = (channel * height + first) * width + from;
            let stride = self.rows.stride.saturating_mul(width);
            rows.clone().flat_map(move |row| [to + row * pitch, from + (row - rows.start) * stride, columns.len()])
        });
        Offsets::new(lines)
    }

    /// Height and width of a plane of the output in its frame: from every place in the input, all taps have a place in it.
    fn framed(&self) -> [usize; 2] {
        [&self.rows, &self.columns].map(|axis| axis.span().saturating_add(axis.reach()))
    }

    /// The lines that put a group of the output into its frame.
    fn output_lines(&self) -> Offsets {
        let [height, width] = self.framed();
        let [rows, columns] = [(&self.rows, height), (&self.columns, width)].map(|(axis, len)| {
            let (to, from) = (axis.reach().saturating_sub(axis.base()), axis.base().saturating_sub(axis.reach()));
            (to, from, axis.output.saturating_sub(from).min(len - to))
        });
        let lines = (0..self.filters).flat_map(|filter| {
            (0..rows.2).flat_map(move |row| {
                let (to, from) = (filter * height + rows.0 + row, filter * self.rows.output + rows.1 + row);
                [to * width + columns.0, from * self.columns.output + columns.1, columns.2]
            })
        });
        Offsets::new(lines)
    }

    /// For all filters of a group, phase by phase: the place in the frame of the output that a tap sends to the first place
    /// in the input, and which of the weights of a channel belongs to it.
    fn by_phase(&self) -> (Offsets, Offsets) {
        let (rows, columns, [height, width]) = (&self.rows, &self.columns, self.framed());
        let phases = (0..rows.phases).flat_map(|row| (0..columns.phases).map(move |column| (row, column)));
        let terms = phases.flat_map(|(row, column)| {
            let taps = rows.taps_of(row).flat_map(move |a| columns.taps_of(column).map(move |b| (a, b)));
            (0..self.filters).flat_map(move |filter| taps.clone().map(move |tap| (filter, tap)))
        });
        let places = terms.clone().map(|(filter, (a, b))| {
            let at = [rows.reach() - rows.shift(a), columns.reach() - columns.shift(b)];
            (filter * height + at[0]) * width + at[1]
        });
        let weights = terms.map(|(filter, (a, b))| filter * self.depth() + a * columns.taps + b);
        (Offsets::new(places), Offsets::new(weights))
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
        [&self.rows, &self.columns].iter().any(|axis| axis.phases < axis.stride)
    }

    /// Whether every row of the input has its elements from two phases in turn.
    fn interleaves(&self) -> bool {
        (self.columns.stride, self.columns.phases) == (2, 2) && self.input[1] > 1
    }

    /// The lines that put the sums of all phases, which start `apart`, where they belong in a plane of the input: from one
    /// phase each, or from two in turn.
    fn joins(&self, apart: usize) -> Offsets {
        let (width, pitch, columns) = (self.input[1], self.framed()[1], &self.columns);
        let (above, before, stride) = (self.rows.base(), columns.base(), self.rows.stride);
        let rows = (0..self.rows.phases).flat_map(|phase| {
            let (rows, first) = self.rows.places(phase, usize::MAX);
            let start = rows.start;
            rows.map(move |row| {
                (phase * columns.phases * apart + (row - above) * pitch, (first + (row - start) * stride) * width)
            })
        });
        let line = move |phase: usize| {
            let (places, into) = columns.places(phase, usize::MAX);
            (phase * apart + places.start.saturating_sub(before), into, places.len())
        };
        if self.interleaves() {
            let [(even, into, _), (odd, ..)] = [line(0), line(1)];
            let (even, odd) = if into == 0 { (even, odd) } else { (odd, even) };
            return Offsets::new(rows.flat_map(|(from, to)| [to, from + even, from + odd]));
        }
        let lines = rows.flat_map(|(from, to)| {
            (0..columns.phases).map(line).flat_map(move |(place, into, len)| [to + into, from + place, len])
        });
        Offsets::new(lines)
    }

    /// Moves the lines of [`joins`](Self::joins).
    fn join<T: Float>(&self, sums: &[T], joins: &Offsets, out: &mut [T]) {
        let (width, stride) = (self.input[1], self.columns.stride);
        let joins = joins.as_slice().as_chunks().0;
        if self.interleaves() {
            return vectorized!(for &[to, even, odd] in joins {
                interleave(&sums[even..], &sums[odd..], &mut out[to..to + width]);
            });
        }
        vectorized!(for &[to, from, len] in joins {
            put(&sums[from..from + len], stride, &mut out[to..]);
        });
    }
}

/// Moves lines `[to, from, len]`, whose elements lie `step` apart in `x`.
fn move_lines<T: Float>(lines: &Offsets, step: usize, x: &[T], frame: &mut [T]) {
    vectorized!(for &[to, from, len] in lines.as_slice().as_chunks().0 {
        take(&x[from..], step, &mut frame[to..to + len]);
    });
}
