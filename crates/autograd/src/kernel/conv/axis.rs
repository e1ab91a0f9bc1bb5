//! One axis of a convolution, split into phases: places that lie whole strides apart. Within a phase, what neighbouring
//! windows meet with one tap are neighbours, whatever the stride.

use std::ops::Range;

use super::Conv;

/// Sizes and steps along an axis of planes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    input: usize,
    pub output: usize,
    pub taps: usize,
    /// The steps between the places of a phase in the input.
    pub stride: usize,
    dilation: usize,
    /// Zeros before the input.
    before: usize,
    /// Phases that taps meet. Tap k meets the one of number k modulo this, which starts at its number times the dilation
    /// modulo the stride.
    pub phases: usize,
}

impl Axis {
    pub fn new(conv: &Conv, axis: usize, sizes: [usize; 3]) -> Self {
        let [input, output, taps] = sizes;
        let (stride, dilation, before) = (conv.stride[axis], conv.dilation[axis], conv.padding[axis]);
        let phases = (1..taps).find(|k| (k * dilation).is_multiple_of(stride)).unwrap_or(taps);
        Axis { input, output, taps, stride, dilation, before, phases }
    }

    /// How far from a window's number, in its phase, tap `k` lies.
    pub fn shift(&self, k: usize) -> usize {
        k * self.dilation / self.stride
    }

    /// The farthest shift.
    pub fn reach(&self) -> usize {
        self.shift(self.taps.saturating_sub(1))
    }

    /// The length of a phase as far as windows go.
    pub fn covered(&self) -> usize {
        self.output + self.reach()
    }

    /// The first place of any phase that is in the input.
    pub fn base(&self) -> usize {
        self.before / self.stride
    }

    /// The number of places from [`base`](Self::base) on that are in the input.
    pub fn span(&self) -> usize {
        (self.before + self.input).div_ceil(self.stride) - self.base()
    }

    /// The taps that meet a phase.
    pub fn taps_of(&self, phase: usize) -> impl ExactSizeIterator<Item = usize> + Clone + use<> {
        (phase..self.taps).step_by(self.phases)
    }

    /// The places below `len` of a phase that are in the input, and where the first of them lies there.
    pub fn places(&self, phase: usize, len: usize) -> (Range<usize>, usize) {
        let start = phase * self.dilation % self.stride;
        let first = self.before.saturating_sub(start).div_ceil(self.stride);
        let end = (self.before + self.input).saturating_sub(start).div_ceil(self.stride).min(len);
        if first >= end {
            return (0..0, 0);
        }
        (first..end, self.stride * first + start - self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_and_places_meet_as_the_definition_says() {
        for (stride, dilation, before) in [(1, 1, 0), (1, 2, 3), (2, 1, 1), (2, 3, 0), (3, 2, 4), (4, 6, 5), (9, 1, 2)]
        {
            let conv = Conv { stride: [stride; 2], padding: [before; 2], dilation: [dilation; 2], groups: 1 };
            for (input, taps) in [(1, 1), (7, 2), (12, 3), (20, 5)] {
                let Some([output, _]) = conv.output([input; 2], [taps; 2]) else { continue };
                let axis = Axis::new(&conv, 0, [input, output, taps]);
                let mut met = vec![];
                for phase in 0..axis.phases {
                    let (places, from) = axis.places(phase, axis.covered());
                    for (k, at) in axis.taps_of(phase).flat_map(|k| places.clone().map(move |at| (k, at))) {
                        if let Some(out) = at.checked_sub(axis.shift(k)).filter(|&out| out < output) {
                            met.push((out, k, from + (at - places.start) * stride));
                        }
                    }
                }
                let terms = (0..output).flat_map(|out| (0..taps).map(move |k| (out, k)));
                let place = |(out, k): (usize, usize)| (out * stride + k * dilation).checked_sub(before);
                let expected: Vec<_> = terms
                    .filter_map(|(out, k)| Some((out, k, place((out, k)).filter(|&place| place < input)?)))
                    .collect();
                met.sort_unstable();
                assert_eq!(met, expected, "{axis:?}");
            }
        }
    }
}
