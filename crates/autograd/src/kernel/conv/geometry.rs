//! The sizes of a convolution, and which windows its three products go over.

use smallvec::SmallVec;

use super::Conv;
use super::windows::{Axis, Windows};

/// Sizes of one image: `channels` of the input and `filters` of the output in each group, and planes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    conv: Conv,
    pub channels: usize,
    pub filters: usize,
    pub input: [usize; 2],
    kernel: [usize; 2],
    pub output: [usize; 2],
}

/// What lies along the vectors of a product with the weight: the other is summed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lanes {
    Filters,
    Channels,
}

impl Geometry {
    /// Of images `x`, `[N, C, H, W]`, and a weight `w`, `[O, C/groups, KH, KW]`.
    pub fn new(conv: &Conv, x: &[usize], w: &[usize]) -> Self {
        let (input, kernel) = ([x[2], x[3]], [w[2], w[3]]);
        let groups = conv.groups.max(1);
        debug_assert!(w[1] == x[1] / groups && w[0].is_multiple_of(groups));
        let output = conv.output(input, kernel).unwrap_or([0, 0]);
        Geometry { conv: *conv, channels: w[1], filters: w[0] / groups, input, kernel, output }
    }

    pub fn groups(&self) -> usize {
        self.conv.groups
    }

    /// Elements of an image of the input.
    pub fn input_len(&self) -> usize {
        self.conv.groups * self.channels * self.input[0] * self.input[1]
    }

    /// Elements of an image of the output.
    pub fn output_len(&self) -> usize {
        self.conv.groups * self.filters * self.output[0] * self.output[1]
    }

    /// Products that are added up for one element of the output.
    pub fn depth(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Where the weight of a filter, a channel and an element of the kernel lies.
    pub fn weight(&self, filter: usize, channel: usize, [row, column]: [usize; 2]) -> usize {
        ((filter * self.channels + channel) * self.kernel[0] + row) * self.kernel[1] + column
    }

    /// The windows of the input, one for each element of the output.
    pub fn forward(&self) -> Windows {
        Windows::new([self.axis(0).forward(), self.axis(1).forward()], self.channels)
    }

    /// The windows of the output for the elements of the input, which take turns in as many ways as a stride has steps.
    pub fn backward(&self) -> SmallVec<[Windows; 1]> {
        let [rows, columns] = self.conv.stride;
        let turns = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let windows = |(row, column)| [self.axis(0).backward(row), self.axis(1).backward(column)];
        turns.map(|turn| Windows::new(windows(turn), self.filters)).collect()
    }

    fn axis(&self, axis: usize) -> Axis {
        Axis {
            input: self.input[axis],
            output: self.output[axis],
            kernel: self.kernel[axis],
            stride: self.conv.stride[axis],
            padding: self.conv.padding[axis],
            dilation: self.conv.dilation[axis],
        }
    }
}
