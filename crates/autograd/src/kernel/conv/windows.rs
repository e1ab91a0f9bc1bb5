//! Where windows lie: the sizes of a convolution, images with room around them, and the places that windows start at and
//! reach.

use std::ops::Range;

use super::product::Patches;
use crate::float::Float;
use crate::kernel::lines::Packed;
use crate::tensor::buffer::Buffer;

/// `len` numbers in even steps.
#[derive(Debug, Clone, Copy)]
struct Steps {
    first: usize,
    step: isize,
    len: usize,
}

impl Steps {
    fn at(self, k: usize) -> usize {
        (self.first as isize + k as isize * self.step) as usize
    }

    fn iter(self) -> impl Iterator<Item = usize> + Clone {
        (0..self.len).map(move |k| self.at(k))
    }
}

/// The windows along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Along {
    /// Elements of the image, and the zeros before and after it.
    size: usize,
    before: usize,
    after: usize,
    /// Where windows start in the framed image, and which result each is for.
    starts: Steps,
    results: Steps,
    /// The kernel's elements and how far from the start each meets the image, nearest first.
    taps: Steps,
    reaches: Steps,
}

/// The settings along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub input: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
}

impl Axis {
    /// The windows of the input that make the output.
    pub fn forward(self) -> Along {
        let end = (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation + 1;
        Along {
            size: self.input,
            before: self.padding,
            after: end.saturating_sub(self.input + self.padding),
            starts: Steps { first: 0, step: self.stride as isize, len: self.output },
            results: Steps { first: 0, step: 1, len: self.output },
            taps: Steps { first: 0, step: 1, len: self.kernel },
            reaches: Steps { first: 0, step: self.dilation as isize, len: self.kernel },
        }
    }

    /// The windows of the output that make the gradient of every `stride`th element of the input: element y meets kernel
    /// element a at output (y + padding − a·dilation)/stride where that is whole, so each remainder of y + padding has
    /// kernel elements of its own.
    pub fn backward(self, remainder: usize) -> Along {
        let Axis { input, output, kernel, stride, padding, dilation } = self;
        let farthest = (kernel - 1) * dilation / stride;
        let before = farthest.saturating_sub(padding / stride);
        let first = (remainder + stride - padding % stride) % stride;
        let count = input.saturating_sub(first).div_ceil(stride);
        let mut taps = (0..kernel).rev().filter(|a| a * dilation % stride == remainder);
        let (len, last, next) = (taps.clone().count(), taps.next().unwrap_or(0), taps.next().unwrap_or(0));
        let steps = |a: usize| a * dilation / stride;
        Along {
            size: output,
            before,
            after: ((input + padding - 1) / stride + 1).saturating_sub(output),
            starts: Steps { first: (first + padding) / stride + before - farthest, step: 1, len: count },
            results: Steps { first, step: stride as isize, len: count },
            taps: Steps { first: last, step: next as isize - last as isize, len },
            reaches: Steps { first: farthest - steps(last), step: (steps(last) - steps(next)) as isize, len },
        }
    }
}

impl Along {
    fn framed(&self) -> usize {
        self.before + self.size + self.after
    }

    /// The kernel elements that meet more than zeros for any window that starts in `starts`.
    fn needed(&self, starts: Range<usize>) -> Range<usize> {
        let step = (self.reaches.step as usize).max(1);
        let below = |end: usize, start: usize| {
            end.saturating_sub(start + self.reaches.first).div_ceil(step).min(self.reaches.len)
        };
        below(self.before, starts.end)..below(self.before + self.size, starts.start)
    }
}

/// All windows of an image with `channels` planes.
pub(super) struct Windows {
    axes: [Along; 2],
    channels: usize,
    /// Where each window starts in a framed image.
    pub starts: Buffer<usize>,
    /// How far from there its elements lie: by row of the kernel, channel, column of the kernel.
    pub elements: Buffer<usize>,
}

impl Windows {
    pub fn new(axes: [Along; 2], channels: usize) -> Self {
        let [rows, columns] = axes;
        let (width, plane) = (columns.framed(), rows.framed() * columns.framed());
        let mut starts = Buffer::scratch(rows.starts.len * columns.starts.len);
        let at = rows.starts.iter().flat_map(|row| columns.starts.iter().map(move |column| row * width + column));
        starts.get_mut().unwrap_or_default().iter_mut().zip(at).for_each(|(start, at)| *start = at);
        let mut elements = Buffer::scratch(rows.taps.len * channels * columns.taps.len);
        let at = rows.reaches.iter().flat_map(|row| (0..channels).map(move |channel| channel * plane + row * width));
        let at = at.flat_map(|from| columns.reaches.iter().map(move |column| from + column));
        elements.get_mut().unwrap_or_default().iter_mut().zip(at).for_each(|(element, at)| *element = at);
        Windows { axes, channels, starts, elements }
    }

    /// Elements of a framed image.
    pub fn framed_len(&self) -> usize {
        self.channels * self.axes[0].framed() * self.axes[1].framed()
    }

    /// The planes of `x` in `groups` groups, framed by zeros where windows reach beyond them.
    pub fn frame<'x, T: Float>(&self, x: &'x [T], groups: usize) -> Packed<'x, T> {
        let [rows, columns] = self.axes;
        if rows.framed() == rows.size && columns.framed() == columns.size {
            return Packed::Slice(x);
        }
        let mut buffer = Buffer::scratch(groups * self.framed_len());
        let framed = buffer.get_mut().unwrap_or_default();
        framed.fill(T::ZERO);
        let planes = framed.chunks_exact_mut(rows.framed() * columns.framed());
        for (framed, x) in planes.zip(x.chunks_exact((rows.size * columns.size).max(1))) {
            let framed = framed.chunks_exact_mut(columns.framed()).skip(rows.before);
            for (framed, x) in framed.zip(x.chunks_exact(columns.size)) {
                framed[columns.before..][..columns.size].copy_from_slice(x);
            }
        }
        Packed::Buffer(buffer)
    }

    /// The patch matrix with a row for each of these windows.
    pub fn patches<'a, T>(&'a self, data: &'a [T], windows: Range<usize>) -> Patches<'a, T> {
        Patches { data, rows: &self.starts.as_slice()[windows], columns: self.elements.as_slice() }
    }

    /// Its transpose for all windows.
    pub fn patches_transposed<'a, T>(&'a self, data: &'a [T]) -> Patches<'a, T> {
        Patches { data, rows: self.elements.as_slice(), columns: self.starts.as_slice() }
    }

    /// The elements that are not zero in all of these windows.
    pub fn needed(&self, windows: Range<usize>) -> Range<usize> {
        let [rows, columns] = self.axes;
        if rows.before == 0 && rows.after == 0 {
            return 0..self.elements.len();
        }
        let row = |window: usize| rows.starts.at(window / columns.starts.len);
        let taps = rows.needed(row(windows.start)..row(windows.end - 1));
        let per_tap = self.channels * columns.taps.len;
        taps.start * per_tap..taps.end * per_tap
    }

    /// The place in a plane of the result, `width` wide, of each of these windows.
    pub fn places(&self, windows: Range<usize>, width: usize) -> impl Iterator<Item = usize> {
        let [rows, columns] = self.axes;
        let count = columns.results.len;
        windows.map(move |k| rows.results.at(k / count) * width + columns.results.at(k % count))
    }

    /// Whether the windows are for the elements of a plane in their order.
    pub fn are_in_order(&self) -> bool {
        self.axes.iter().all(|axis| axis.results.step == 1)
    }

    /// The kernel's element, `[row, column]`, and the channel of each of `elements`.
    pub fn kernel_elements(&self) -> impl Iterator<Item = (usize, [usize; 2])> {
        let ([rows, columns], channels) = (self.axes, self.channels);
        let at = rows.taps.iter().flat_map(move |row| (0..channels).map(move |channel| (channel, row)));
        at.flat_map(move |(channel, row)| columns.taps.iter().map(move |column| (channel, [row, column])))
    }
}

