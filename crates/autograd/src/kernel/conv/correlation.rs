//! Windows of images times weights.

use std::ops::Range;

use smallvec::SmallVec;

use super::geometry::{Geometry, Lanes};
use super::product::lanes;
use super::windows::Windows;
use crate::float::Float;
use crate::kernel::transpose::transpose;
use crate::tensor::buffer::Buffer;

/// Sums that wait at once for their place in the result.
const SUMS: usize = 1 << 14;

/// Makes the planes of an image from windows of another.
pub(super) struct Correlation<T: Float> {
    parts: SmallVec<[Part<T>; 1]>,
    groups: usize,
    /// Planes of the result in each group, and their height and width.
    planes: usize,
    size: [usize; 2],
}

/// Windows, and the weights of all groups as `[group, element of a window, lane]`.
struct Part<T: Float> {
    windows: Windows,
    weights: Buffer<T>,
}

impl<T: Float> Correlation<T> {
    /// The output from the input.
    pub fn forward(geometry: &Geometry, w: &[T]) -> Self {
        let windows = SmallVec::from_iter([geometry.forward()]);
        Self::new(geometry, windows, (geometry.filters, geometry.output), Lanes::Filters, w)
    }

    /// The gradient of the input from that of the output.
    pub fn backward(geometry: &Geometry, w: &[T]) -> Self {
        Self::new(geometry, geometry.backward(), (geometry.channels, geometry.input), Lanes::Channels, w)
    }

    fn new(
        geometry: &Geometry,
        windows: SmallVec<[Windows; 1]>,
        (planes, size): (usize, [usize; 2]),
        side: Lanes,
        w: &[T],
    ) -> Self {
        let part = |windows: Windows| Part { weights: pack(geometry, &windows, (planes, side), w), windows };
        Correlation { parts: windows.into_iter().map(part).collect(), groups: geometry.groups(), planes, size }
    }

    /// The planes of one image of the result: the bias of each and the sums of the windows of `x`.
    pub fn write(&self, x: &[T], bias: Option<&[T]>, out: &mut [T]) {
        let Some(first) = self.parts.first() else { return };
        // All parts have the same frame.
        let (framed, len) = (first.windows.frame(x, self.groups), first.windows.framed_len());
        for (group, out) in out.chunks_exact_mut(self.planes * self.size[0] * self.size[1]).enumerate() {
            let x = &framed.as_slice()[group * len..][..len];
            let bias = bias.map(|bias| &bias[group * self.planes..][..self.planes]);
            self.parts.iter().for_each(|part| self.write_part(part, group, x, bias, out));
        }
    }

    fn write_part(&self, part: &Part<T>, group: usize, x: &[T], bias: Option<&[T]>, out: &mut [T]) {
        let (windows, lanes) = (&part.windows, lanes::<T>(self.planes));
        let weights = &part.weights.as_slice()[group * windows.elements.len() * lanes..][..windows.elements.len() * lanes];
        let at_once = (SUMS / lanes).next_multiple_of(24);
        let mut sums = Buffer::scratch(lanes * at_once.min(windows.starts.len()));
        let Some(sums) = sums.get_mut() else { return };
        for start in (0..windows.starts.len()).step_by(at_once) {
            let block = start..(start + at_once).min(windows.starts.len());
            let sums = &mut sums[..block.len() * lanes];
            match bias {
                Some(bias) => sums.chunks_exact_mut(lanes).for_each(|sums| sums[..bias.len()].copy_from_slice(bias)),
                None => sums.fill(T::ZERO),
            }
            let needed = |rows: Range<usize>| windows.needed(start + rows.start..start + rows.end);
            windows.patches(x, block.clone()).add_product(weights, lanes, sums, &needed);
            self.put(windows, block, (sums, lanes), out);
        }
    }

    /// Puts the sums of windows where they belong.
    fn put(&self, windows: &Windows, block: Range<usize>, (sums, lanes): (&[T], usize), out: &mut [T]) {
        let area = self.size[0] * self.size[1];
        if windows.are_in_order() {
            return transpose((sums, lanes), (&mut out[block.start..], area), (self.planes, block.len()));
        }
        for (place, sums) in windows.places(block, self.size[1]).zip(sums.chunks_exact(lanes)) {
            out.iter_mut().skip(place).step_by(area).zip(sums).for_each(|(y, &sum)| *y = sum);
        }
    }
}

/// The weights that the elements of windows meet, in the order of the elements.
fn pack<T: Float>(geometry: &Geometry, windows: &Windows, (planes, side): (usize, Lanes), w: &[T]) -> Buffer<T> {
    let lanes = lanes::<T>(planes);
    let mut packed = Buffer::scratch(geometry.groups() * windows.elements.len() * lanes);
    let mut rows = packed.get_mut().unwrap_or_default().chunks_exact_mut(lanes);
    for group in 0..geometry.groups() {
        for ((element, at), row) in windows.kernel_elements().zip(&mut rows) {
            row.fill(T::ZERO);
            for (lane, y) in row[..planes].iter_mut().enumerate() {
                let (filter, channel) = match side {
                    Lanes::Filters => (lane, element),
                    Lanes::Channels => (element, lane),
                };
                *y = w[geometry.weight(group * geometry.filters + filter, channel, at)];
            }
        }
    }
    packed
}
