//! The sizes of a convolution, and where its windows lie.

use super::Conv;
use super::product::Offsets;
use crate::float::Float;
use crate::kernel::lines::Packed;
use crate::kernel::parallel;
use crate::tensor::buffer::Buffer;

/// The windows of one image, which is framed by zeros so that every window lies inside. Places count elements of a framed
/// plane.
pub(super) struct Windows {
    pub groups: usize,
    /// Planes of the input and of the output in each group.
    pub channels: usize,
    pub filters: usize,
    /// Height and width of the input, and where it starts in its frame.
    input: [usize; 2],
    before: [usize; 2],
    framed: [usize; 2],
    /// Where each window starts, in the order of the output.
    pub starts: Offsets,
    /// How far from there each element of the kernel lies.
    pub taps: Offsets,
    /// The same for all channels, in framed planes one behind the other.
    pub elements: Offsets,
}

/// Height and width of a plane of the input in its frame.
pub(super) fn framed(conv: &Conv, input: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
    let output = conv.output(input, kernel).unwrap_or([0, 0]);
    [0, 1].map(|axis| {
        let last = output[axis].saturating_sub(1) * conv.stride[axis];
        let end = last + kernel[axis].saturating_sub(1) * conv.dilation[axis] + 1;
        end.max(conv.padding[axis] + input[axis])
    })
}

impl Windows {
    /// Of images `x`, `[N, C, H, W]`, and a weight `w`, `[O, C/groups, KH, KW]`.
    pub fn new(conv: &Conv, x: &[usize], w: &[usize]) -> Self {
        let groups = conv.groups.max(1);
        debug_assert!(w[1] == x[1] / groups && w[0].is_multiple_of(groups));
        let (input, kernel, channels) = ([x[2], x[3]], [w[2], w[3]], w[1]);
        let output = conv.output(input, kernel).unwrap_or([0, 0]);
        let framed = framed(conv, input, kernel);
        let grid = |size: [usize; 2], steps: [usize; 2]| {
            let rows = (0..size[0]).map(move |row| row * steps[0] * framed[1]);
            rows.flat_map(move |row| (0..size[1]).map(move |column| row + column * steps[1]))
        };
        let taps = grid(kernel, conv.dilation);
        let plane = framed[0] * framed[1];
        let elements = (0..channels).flat_map(|channel| taps.clone().map(move |tap| channel * plane + tap));
        Windows {
            groups,
            channels,
            filters: w[0] / groups,
            input,
            before: conv.padding,
            framed,
            starts: Offsets::new(grid(output, conv.stride)),
            elements: Offsets::new(elements),
            taps: Offsets::new(taps),
        }
    }

    /// Elements of an image of the input.
    pub fn input_len(&self) -> usize {
        self.groups * self.channels * self.input[0] * self.input[1]
    }

    /// Elements of an image of the output.
    pub fn output_len(&self) -> usize {
        self.groups * self.filters * self.starts.len()
    }

    /// Products that are added up for one element of the output.
    pub fn depth(&self) -> usize {
        self.elements.len()
    }

    /// Elements of a framed plane.
    pub fn framed_plane(&self) -> usize {
        self.framed[0] * self.framed[1]
    }

    fn is_bare(&self) -> bool {
        self.framed == self.input
    }

    /// An image of the input in its frame.
    pub fn frame<'x, T: Float>(&self, x: &'x [T]) -> Packed<'x, T> {
        if self.is_bare() {
            return Packed::Slice(x);
        }
        let mut framed = Buffer::scratch(self.groups * self.channels * self.framed_plane());
        let elements = framed.get_mut().unwrap_or_default();
        let ([height, width], [top, left], plane) = (self.input, self.before, self.framed_plane());
        let work = elements.len();
        parallel::pieces(elements, plane, work, &|start, framed| {
            framed.fill(T::ZERO);
            let x = &x[start / plane * height * width..][..height * width];
            let rows = framed.chunks_exact_mut(self.framed[1]).skip(top).zip(x.chunks_exact(width.max(1)));
            rows.for_each(|(framed, x)| framed[left..left + width].copy_from_slice(x));
        });
        Packed::Buffer(framed)
    }

    /// Calls `f(from, to, len)` for runs of neighbours in a plane of the input: where they start in its frame and in itself.
    pub fn each_run(&self, mut f: impl FnMut(usize, usize, usize)) {
        let ([height, width], [top, left]) = (self.input, self.before);
        if self.is_bare() {
            return f(0, 0, height * width);
        }
        (0..height).for_each(|row| f((top + row) * self.framed[1] + left, row * width, width));
    }
}
