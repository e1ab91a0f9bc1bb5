//! Convolutions with few filters or channels in a group, as depthwise ones have: too few for the vectors, so whole planes are
//! multiplied and added instead.
//!
//! A framed plane is one long row in which every window starts at a place of its own. Sums for the places between them,
//! where no window starts, cost less than to step over them.

use super::windows::Windows;
use crate::float::Float;
use crate::kernel::product::dot;
use crate::kernel::vectorized::vectorized;
use crate::tensor::buffer::Buffer;

/// Elements that stay in the first cache while all elements of the kernel pass.
const BLOCK: usize = 1 << 11;

/// The output of one image.
pub(super) fn write_output<T: Float>(windows: &Windows, x: &[T], w: &[T], bias: Option<&[T]>, out: &mut [T]) {
    let (framed, plane, depth) = (windows.frame(x), windows.framed_plane(), windows.depth());
    let mut sums = Buffer::scratch(windows.starts.reach());
    let Some(sums) = sums.get_mut() else { return };
    for (filter, out) in out.chunks_exact_mut(windows.starts.len()).enumerate() {
        let x = &framed.as_slice()[filter / windows.filters * windows.channels * plane..];
        sums.fill(bias.map_or(T::ZERO, |bias| bias[filter]));
        let w = &w[filter * depth..][..depth];
        vectorized!(for (block, sums) in sums.chunks_mut(BLOCK).enumerate() {
            for (&w, &place) in w.iter().zip(windows.elements.as_slice()) {
                add_scaled(w, &x[block * BLOCK + place..], sums);
            }
        });
        out.iter_mut().zip(windows.starts.as_slice()).for_each(|(y, &place)| *y = sums[place]);
    }
}

/// The gradient of one image of the input.
pub(super) fn write_input_gradient<T: Float>(windows: &Windows, g: &[T], w: &[T], out: &mut [T]) {
    let (plane, taps) = (windows.framed_plane(), windows.taps.len());
    let mut space = Buffer::scratch(plane + windows.starts.reach());
    let Some((sums, spread)) = space.get_mut().map(|space| space.split_at_mut(plane)) else { return };
    spread.fill(T::ZERO);
    let area = out.len() / (windows.groups * windows.channels);
    for (k, out) in out.chunks_exact_mut(area).enumerate() {
        let (group, channel) = (k / windows.channels, k % windows.channels);
        sums.fill(T::ZERO);
        for filter in group * windows.filters..(group + 1) * windows.filters {
            spread_out(windows, &g[filter * windows.starts.len()..], spread);
            let w = &w[(filter * windows.channels + channel) * taps..][..taps];
            vectorized!(for (block, g) in spread.chunks(BLOCK).enumerate() {
                for (&w, &place) in w.iter().zip(windows.taps.as_slice()) {
                    add_scaled(w, g, &mut sums[block * BLOCK + place..][..g.len()]);
                }
            });
        }
        windows.each_run(|from, to, len| out[to..to + len].copy_from_slice(&sums[from..from + len]));
    }
}

/// Adds the weight gradient of one image to `sums`, `[O, C/groups, KH, KW]`.
pub(super) fn add_weight_gradient<T: Float>(windows: &Windows, (x, g): (&[T], &[T]), sums: &mut [T]) {
    let (framed, plane, depth) = (windows.frame(x), windows.framed_plane(), windows.depth());
    let mut spread = Buffer::scratch(windows.starts.reach());
    let Some(spread) = spread.get_mut() else { return };
    spread.fill(T::ZERO);
    for (filter, sums) in sums.chunks_exact_mut(depth).enumerate() {
        let x = &framed.as_slice()[filter / windows.filters * windows.channels * plane..];
        spread_out(windows, &g[filter * windows.starts.len()..], spread);
        vectorized!(for (sum, &place) in sums.iter_mut().zip(windows.elements.as_slice()) {
            *sum += dot(spread, &x[place..][..spread.len()]);
        });
    }
}

/// Puts a plane of the output where its windows start; there is zero between them.
fn spread_out<T: Float>(windows: &Windows, g: &[T], spread: &mut [T]) {
    windows.starts.as_slice().iter().zip(g).for_each(|(&place, &g)| spread[place] = g);
}

/// `sums += w·x`
#[inline(always)]
fn add_scaled<T: Float>(w: T, x: &[T], sums: &mut [T]) {
    sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += w * x);
}
