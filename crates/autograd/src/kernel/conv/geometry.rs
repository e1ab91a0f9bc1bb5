//! The sizes of one image's convolution, and how patches of the input lie in the patch matrix.

use std::ops::Range;

use super::{Conv, PATCHES};
use crate::float::Float;
use crate::kernel::Write;
use crate::kernel::matmul::{Matrix, multiply_into};
use crate::kernel::product::dot;
use crate::kernel::vectorized::vectorized;
use crate::tensor::buffer::Buffer;

/// Sizes of one image: `channels` of the input and `filters` of the output in each group, and planes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    conv: Conv,
    pub channels: usize,
    filters: usize,
    input: [usize; 2],
    kernel: [usize; 2],
    output: [usize; 2],
}

impl Geometry {
    pub fn new(conv: &Conv, [channels, height, width]: [usize; 3], w: &[usize]) -> Self {
        let (input, kernel) = ([height, width], [w[2], w[3]]);
        let groups = conv.groups.max(1);
        debug_assert!(w[1] == channels / groups && w[0].is_multiple_of(groups));
        let output = conv.output(input, kernel).unwrap_or([0, 0]);
        Geometry { conv: *conv, channels: w[1], filters: w[0] / groups, input, kernel, output }
    }

    /// Elements of an image of the input.
    pub fn input_len(&self) -> usize {
        self.conv.groups * self.channels * self.input_plane()
    }

    /// Elements of an image of the output.
    pub fn output_len(&self) -> usize {
        self.conv.groups * self.filters * self.output_plane()
    }

    /// Products that are added up for one element of the output.
    pub fn depth(&self) -> usize {
        self.channels * self.taps()
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn input_plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Outputs along `axis` whose kernel element `k` lies inside the input.
    fn span(&self, axis: usize, k: usize) -> Range<usize> {
        let (stride, padding, at) = (self.conv.stride[axis], self.conv.padding[axis], k * self.conv.dilation[axis]);
        let start = padding.saturating_sub(at).div_ceil(stride);
        let end = (self.input[axis] + padding).saturating_sub(at).div_ceil(stride).min(self.output[axis]);
        start.min(end)..end
    }

    /// The input that kernel element `k` meets at output `out` along `axis`; `out` is in the `span`.
    fn source(&self, axis: usize, k: usize, out: usize) -> usize {
        out * self.conv.stride[axis] + k * self.conv.dilation[axis] - self.conv.padding[axis]
    }

    /// Calls `f(out, from)` for the output rows in `rows` that kernel element `tap` meets: the places of the row's valid part in
    /// the output plane and where it starts in the input plane.
    fn each_row(&self, tap: usize, rows: Range<usize>, mut f: impl FnMut(Range<usize>, usize)) {
        let (a, b) = (tap / self.kernel[1], tap % self.kernel[1]);
        let (valid, columns) = (self.span(0, a), self.span(1, b));
        if columns.is_empty() {
            return;
        }
        for row in rows.start.max(valid.start)..rows.end.min(valid.end) {
            let out = row * self.output[1];
            let from = self.source(0, a, row) * self.input[1] + self.source(1, b, columns.start);
            f(out + columns.start..out + columns.end, from);
        }
    }

    /// Calls `f` for every group and every block of output rows.
    pub fn each_block(&self, mut f: impl FnMut(Block<'_>)) {
        let rows_at_once = (PATCHES / (self.depth() * self.output[1]).max(1)).max(1);
        let rows_at_once = if self.is_plain() { self.output[0].max(1) } else { rows_at_once };
        for group in 0..self.conv.groups {
            for start in (0..self.output[0]).step_by(rows_at_once) {
                let rows = start..(start + rows_at_once).min(self.output[0]);
                f(Block { geometry: self, group, rows });
            }
        }
    }

    /// Whether the patch matrix is the input itself.
    fn is_plain(&self) -> bool {
        self.kernel == [1, 1] && self.conv.stride == [1, 1] && self.conv.padding == [0, 0]
    }

    /// One channel per group: planes of the input, each filter's own, times the filter, are added to planes of the output.
    pub fn add_planes<T: Float>(&self, x: &[T], w: &[T], out: &mut [T]) {
        self.each_plane(|filter, plane| {
            let (x, out) = (&x[plane * self.input_plane()..], &mut out[filter * self.output_plane()..]);
            for tap in 0..self.taps() {
                let w = w[filter * self.taps() + tap];
                self.each_row(tap, 0..self.output[0], |to, from| {
                    vectorized!(match self.conv.stride[1] {
                        1 => out[to.clone()].iter_mut().zip(&x[from..]).for_each(|(y, &x)| *y += w * x),
                        stride => {
                            let x = x[from..].iter().step_by(stride);
                            out[to.clone()].iter_mut().zip(x).for_each(|(y, &x)| *y += w * x);
                        }
                    });
                });
            }
        });
    }

    /// The adjoint of [`add_planes`](Self::add_planes) in `x`, added to `out`.
    pub fn add_planes_back<T: Float>(&self, g: &[T], w: &[T], out: &mut [T]) {
        self.each_plane(|filter, plane| {
            let (g, out) = (&g[filter * self.output_plane()..], &mut out[plane * self.input_plane()..]);
            for tap in 0..self.taps() {
                let w = w[filter * self.taps() + tap];
                self.each_row(tap, 0..self.output[0], |from, to| {
                    let g = &g[from];
                    vectorized!(match self.conv.stride[1] {
                        1 => out[to..].iter_mut().zip(g).for_each(|(y, &g)| *y += w * g),
                        stride => out[to..].iter_mut().step_by(stride).zip(g).for_each(|(y, &g)| *y += w * g),
                    });
                });
            }
        });
    }

    /// Calls `f(filter, plane)` for every filter and the one input plane it sees.
    fn each_plane(&self, mut f: impl FnMut(usize, usize)) {
        (0..self.conv.groups * self.filters).for_each(|filter| f(filter, filter / self.filters));
    }

    /// Adds the weight gradient of one image to `out`.
    pub fn add_weight_gradient<T: Float>(&self, x: &[T], g: &[T], out: &mut [T]) {
        if self.channels != 1 {
            return self.each_block(|block| {
                let g = block.of_output(g);
                let start = block.group * self.filters * self.depth();
                block.with_patches(x, |patches| {
                    multiply_into(g, patches.transpose(), (&mut out[start..], self.depth()), Write::Add);
                });
            });
        }
        self.each_plane(|filter, plane| {
            let (x, g) = (&x[plane * self.input_plane()..], &g[filter * self.output_plane()..]);
            for tap in 0..self.taps() {
                let mut sum = T::ZERO;
                self.each_row(tap, 0..self.output[0], |to, from| {
                    let g = &g[to];
                    sum += match self.conv.stride[1] {
                        1 => vectorized!(dot(g, &x[from..][..g.len()])),
                        stride => g.iter().zip(x[from..].iter().step_by(stride)).map(|(&g, &x)| g * x).sum(),
                    };
                });
                out[filter * self.taps() + tap] += sum;
            }
        });
    }
}

/// A few output rows of one group.
pub(super) struct Block<'a> {
    geometry: &'a Geometry,
    group: usize,
    rows: Range<usize>,
}

impl Block<'_> {
    /// Columns of the patch matrix: elements of the output plane.
    pub fn columns(&self) -> usize {
        self.rows.len() * self.geometry.output[1]
    }

    pub fn is_plain(&self) -> bool {
        self.geometry.is_plain()
    }

    /// The group's filters as rows.
    pub fn weights<'w, T: Float>(&self, w: &'w [T]) -> Matrix<'w, T> {
        let (filters, depth) = (self.geometry.filters, self.geometry.depth());
        Matrix::row_major(&w[self.group * filters * depth..], filters, depth)
    }

    /// The block of an image of the output, a filter to a row.
    pub fn of_output<'g, T: Float>(&self, g: &'g [T]) -> Matrix<'g, T> {
        let plane = self.geometry.output_plane();
        let whole = Matrix::row_major(&g[self.start_in_output()..], self.geometry.filters, self.columns());
        Matrix { rows: (whole.rows.0, plane as isize), ..whole }
    }

    /// The same for writing: where it starts, and how far apart rows are.
    pub fn of_output_mut<'o, T>(&self, out: &'o mut [T]) -> (&'o mut [T], usize) {
        (&mut out[self.start_in_output()..], self.geometry.output_plane())
    }

    fn start_in_output(&self) -> usize {
        self.group * self.geometry.filters * self.geometry.output_plane() + self.rows.start * self.geometry.output[1]
    }

    /// The group's channels of an image of the input, which are its patches where those are plain.
    pub fn of_input_mut<'o, T>(&self, out: &'o mut [T]) -> (&'o mut [T], usize) {
        (&mut out[self.start_in_input()..], self.geometry.input_plane())
    }

    fn start_in_input(&self) -> usize {
        self.group * self.geometry.channels * self.geometry.input_plane()
    }

    /// Calls `f` with the patch matrix: a row for each channel and kernel element, a column for each output.
    pub fn with_patches<T: Float>(&self, x: &[T], f: impl FnOnce(Matrix<'_, T>)) {
        let (depth, columns) = (self.geometry.depth(), self.columns());
        let x = &x[self.start_in_input()..];
        if self.is_plain() {
            return f(Matrix::row_major(x, depth, columns));
        }
        let mut patches = Buffer::scratch(depth * columns);
        if let Some(patches) = patches.get_mut() {
            self.fill_patches(x, patches);
            f(Matrix::row_major(patches, depth, columns));
        }
    }

    fn fill_patches<T: Float>(&self, x: &[T], patches: &mut [T]) {
        let (geometry, first) = (self.geometry, self.rows.start * self.geometry.output[1]);
        patches.fill(T::ZERO);
        for (k, row) in patches.chunks_exact_mut(self.columns()).enumerate() {
            let x = &x[k / geometry.taps() * geometry.input_plane()..];
            geometry.each_row(k % geometry.taps(), self.rows.clone(), |to, from| {
                let part = &mut row[to.start - first..to.end - first];
                match geometry.conv.stride[1] {
                    1 => part.copy_from_slice(&x[from..][..part.len()]),
                    stride => part.iter_mut().zip(x[from..].iter().step_by(stride)).for_each(|(y, &x)| *y = x),
                }
            });
        }
    }

    /// The adjoint of the patch matrix: adds every element back to where it was read, in an image of the input.
    pub fn add_patches<T: Float>(&self, patches: &[T], out: &mut [T]) {
        let (geometry, first) = (self.geometry, self.rows.start * self.geometry.output[1]);
        let out = &mut out[self.start_in_input()..];
        for (k, row) in patches.chunks_exact(self.columns()).enumerate() {
            let out = &mut out[k / geometry.taps() * geometry.input_plane()..];
            geometry.each_row(k % geometry.taps(), self.rows.clone(), |at, to| {
                let part = &row[at.start - first..at.end - first];
                vectorized!(match geometry.conv.stride[1] {
                    1 => out[to..].iter_mut().zip(part).for_each(|(y, &x)| *y += x),
                    stride => out[to..].iter_mut().step_by(stride).zip(part).for_each(|(y, &x)| *y += x),
                });
            });
        }
    }
}
