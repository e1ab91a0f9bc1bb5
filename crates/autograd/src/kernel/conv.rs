//! Convolution in two dimensions (cross-correlation, as in PyTorch) and its two adjoints.
//!
//! All three are products with the matrix of an image's patches, which is never made (`product`). Filters lie along the
//! vectors, or channels for the gradient of the input, so images pass from planes to rows of filters or channels and back.
//! Where a group has too few of them, rows of planes lie along the vectors instead (`planes`).

use crate::float::Float;
use crate::kernel::lines::Packed;
use crate::kernel::matmul::cost;
use crate::kernel::parallel;
use crate::kernel::register::{lanes, register};
use crate::kernel::transpose::transpose;
use crate::kernel::vectorized::vectorized;
use crate::shape::len_of;
use crate::tensor::View;
use crate::tensor::buffer::Buffer;

use planes::Planes;
use product::{Patches, add_adjoint};
use windows::{Windows, framed};

mod axis;
mod moves;
mod planes;
mod product;
mod rows;
mod windows;

/// Sums that wait at once for their place in the output.
const MAX_WAITING_SUMS: usize = 1 << 14;

/// Rows of patches, or of what is multiplied with them, that a thread takes at once of one image: whole tiles at every level.
const ROWS_PER_TASK: usize = 240;

/// Pieces that a batch is cut into for the gradient of the weight.
const BATCH_PIECES: usize = 8;

/// How the kernel moves over the input. Sizes are checked by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conv {
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
}

/// The convolution, and the gradients in its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Output,
    Input,
    Weight,
}

impl Conv {
    /// Elements that a thread works in, saturating, for images `x` of `[N, C, H, W]` and a weight `w` of `[O, C/groups, KH, KW]`.
    pub fn space<T: Float>(&self, pass: Pass, x: &[usize], w: &[usize]) -> usize {
        if x.contains(&0) || w.contains(&0) {
            return 0;
        }
        let planes = Planes::new(self, x, w);
        let (input, framed) = ([x[2], x[3]], framed(self, [x[2], x[3]], [w[2], w[3]]));
        match pass {
            _ if planes.are_few::<T>(pass) => planes.space::<T>(pass),
            Pass::Input => len_of(&[framed[0], framed[1], register::<T>()]),
            _ if framed == input => 0,
            _ => len_of(&[x[1], framed[0], framed[1]]),
        }
    }

    /// The height and width of the output; `None` when the kernel does not fit.
    pub fn output(&self, input: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let reach = self.dilation[axis].checked_mul(kernel[axis].checked_sub(1)?)?.checked_add(1)?;
            let room = input[axis].checked_add(self.padding[axis].checked_mul(2)?)?.checked_sub(reach)?;
            Some(room / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// `out[n, o, i, j] = b[o] + Σ w[o, c, a, b]·x[n, c, i·stride + a·dilation − padding, …]` for `x` of `[N, C, H, W]` and `w`
    /// of `[O, C/groups, KH, KW]`.
    pub fn forward<T: Float>(&self, x: View<'_, T>, w: View<'_, T>, bias: Option<&[T]>, out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        let (x_shape, w_shape) = (&x.layout.shape, &w.layout.shape);
        if x_shape.is_empty() || w_shape.is_empty() {
            return write_bias(bias, x_shape[0] * w_shape[0], out);
        }
        let (planes, x, w) = (Planes::new(self, x_shape, w_shape), Packed::new(x), Packed::new(w));
        let x = x.as_slice();
        if planes.are_few::<T>(Pass::Output) {
            return planes.write_output(x, w.as_slice(), bias, out);
        }
        let windows = Windows::new(self, x_shape, w_shape);
        let weights = by_element(&windows, w.as_slice());
        let are_few = x_shape[0] < BATCH_PIECES;
        let work = cost(out.len().saturating_mul(windows.depth()));
        parallel::pieces(out, windows.output_len(), work, &|start, out| {
            let x = &x[start / windows.output_len() * windows.input_len()..][..windows.input_len()];
            write_output(&windows, x, weights.as_slice(), bias, are_few, out);
        });
    }

    /// The adjoint of [`forward`](Self::forward) in `x`: `g` is `[N, O, OH, OW]`, `out` is `[N, C, H, W]` for `input` = `[H, W]`.
    pub fn input_gradient<T: Float>(&self, g: View<'_, T>, w: View<'_, T>, input: [usize; 2], out: &mut [T]) {
        if out.is_empty() || g.layout.shape.is_empty() || w.layout.shape.is_empty() {
            return out.fill(T::ZERO);
        }
        let w_shape = &w.layout.shape;
        let x_shape = [g.layout.shape[0], w_shape[1] * self.groups, input[0], input[1]];
        let (planes, g, w) = (Planes::new(self, &x_shape, w_shape), Packed::new(g), Packed::new(w));
        let g = g.as_slice();
        if planes.are_few::<T>(Pass::Input) {
            return planes.write_input_gradient(g, w.as_slice(), out);
        }
        let windows = Windows::new(self, &x_shape, w_shape);
        let weights = by_tap(&windows, w.as_slice());
        let work = cost(g.len().saturating_mul(windows.depth()));
        parallel::pieces(out, windows.input_len(), work, &|start, out| {
            let g = &g[start / windows.input_len() * windows.output_len()..][..windows.output_len()];
            write_input_gradient(&windows, g, weights.as_slice(), out);
        });
    }

    /// The adjoint of [`forward`](Self::forward) in `w`, for `kernel` = `[KH, KW]`: `out` is `[O, C/groups, KH, KW]`.
    pub fn weight_gradient<T: Float>(&self, x: View<'_, T>, g: View<'_, T>, kernel: [usize; 2], out: &mut [T]) {
        let (x_shape, g_shape) = (&x.layout.shape, &g.layout.shape);
        if out.is_empty() || x_shape.is_empty() || g_shape.is_empty() {
            return out.fill(T::ZERO);
        }
        let w_shape = [g_shape[1], x_shape[1] / self.groups.max(1), kernel[0], kernel[1]];
        let (planes, x, g) = (Planes::new(self, x_shape, &w_shape), Packed::new(x), Packed::new(g));
        let (x, g) = (x.as_slice(), g.as_slice());
        if planes.are_few::<T>(Pass::Weight) {
            return planes.write_weight_gradient(x, g, out);
        }
        let windows = Windows::new(self, x_shape, &w_shape);
        let (images, work) = (x_shape[0], cost(g.len().saturating_mul(windows.depth())));
        let (lanes, depth) = (lanes::<T>(windows.filters), windows.depth());
        let len = self.groups * depth * lanes;
        let images_per_piece = images.div_ceil(BATCH_PIECES);
        let mut sums = Buffer::scratch(images.div_ceil(images_per_piece) * len);
        let Some(sums) = sums.get_mut() else { return };
        parallel::pieces(sums, len, work, &|start, sums| {
            let first = start / len * images_per_piece;
            sums.fill(T::ZERO);
            for n in first..(first + images_per_piece).min(images) {
                let x = &x[n * windows.input_len()..][..windows.input_len()];
                let g = &g[n * windows.output_len()..][..windows.output_len()];
                add_weight_gradient(&windows, (x, g), sums);
            }
        });
        let sums = add_halves(sums, len);
        for (sums, out) in sums.chunks_exact(depth * lanes).zip(out.chunks_exact_mut(windows.filters * depth)) {
            transpose((sums, lanes), (out, depth), (windows.filters, depth));
        }
    }
}

/// An output of so many planes that no products are added up for.
fn write_bias<T: Float>(bias: Option<&[T]>, planes: usize, out: &mut [T]) {
    let Some(bias) = bias else { return out.fill(T::ZERO) };
    let area = out.len() / planes;
    out.chunks_exact_mut(area).zip(bias.iter().cycle()).for_each(|(out, &bias)| out.fill(bias));
}

/// The weight as `[group, element of a window, lane]`, a lane for each filter.
fn by_element<T: Float>(windows: &Windows, w: &[T]) -> Buffer<T> {
    let (lanes, depth) = (lanes::<T>(windows.filters), windows.depth());
    let mut weights = Buffer::scratch(windows.groups * depth * lanes);
    let elements = weights.get_mut().unwrap_or_default();
    let groups =
        elements.chunks_exact_mut((depth * lanes).max(1)).zip(w.chunks_exact((windows.filters * depth).max(1)));
    groups.for_each(|(weights, w)| planes_to_lanes((w, depth), windows.filters, (weights, lanes)));
    weights
}

/// Puts planes of `len` elements side by side, in rows of `lanes`; the lanes behind them are zero.
fn planes_to_lanes<T: Float>((planes, len): (&[T], usize), count: usize, (rows, lanes): (&mut [T], usize)) {
    let work = rows.len();
    parallel::pieces(rows, ROWS_PER_TASK * lanes, work, &|start, rows| {
        if count < lanes {
            rows.fill(T::ZERO);
        }
        let size = (rows.len() / lanes, count);
        transpose((&planes[start / lanes..], len), (rows, lanes), size);
    });
}

/// The weight as `[group, register of channels, element of the kernel, filter, lane]`, a lane for each channel.
fn by_tap<T: Float>(windows: &Windows, w: &[T]) -> Buffer<T> {
    let (filters, channels, taps, lanes) = (windows.filters, windows.channels, windows.taps.len(), register::<T>());
    let (registers, len) = (channels.div_ceil(lanes), taps * filters * lanes);
    let mut weights = Buffer::scratch(windows.groups * registers * len);
    let elements = weights.get_mut().unwrap_or_default();
    let work = elements.len();
    parallel::pieces(elements, len, work, &|start, weights| {
        let (group, first) = (start / len / registers, start / len % registers * lanes);
        weights.fill(T::ZERO);
        let w = w[group * filters * channels * taps..].chunks_exact(channels * taps);
        for (filter, w) in w.take(filters).enumerate() {
            let size = (taps, lanes.min(channels - first));
            transpose((&w[first * taps..], taps), (&mut weights[filter * lanes..], filters * lanes), size);
        }
    });
    weights
}

/// The output of one image of a few or of many.
fn write_output<T: Float>(windows: &Windows, x: &[T], weights: &[T], bias: Option<&[T]>, are_few: bool, out: &mut [T]) {
    let (filters, lanes, count) = (windows.filters, lanes::<T>(windows.filters), windows.starts.len());
    let (framed, plane) = (windows.frame(x), windows.channels * windows.framed_plane());
    let piece = (MAX_WAITING_SUMS / lanes).next_multiple_of(24);
    // Of many images each is a thread's, which soon uses its sums again; the windows of a few are shared by all.
    let at_once = if are_few { count } else { piece.min(count) };
    let mut sums = Buffer::scratch(at_once * lanes);
    let Some(sums) = sums.get_mut() else { return };
    for (group, out) in out.chunks_exact_mut(filters * count).enumerate() {
        let data = &framed.as_slice()[group * plane..][..plane];
        let weights = &weights[group * windows.depth() * lanes..][..windows.depth() * lanes];
        for start in (0..count).step_by(at_once) {
            let size = at_once.min(count - start);
            let sums = &mut sums[..size * lanes];
            let work = sums.len();
            parallel::pieces(sums, piece * lanes, cost(work.saturating_mul(windows.depth())), &|first, sums| {
                let (first, size) = (start + first / lanes, sums.len() / lanes);
                match bias {
                    Some(bias) => start_from(&bias[group * filters..][..filters], lanes, sums),
                    None => sums.fill(T::ZERO),
                }
                let patches = Patches { data, rows: &windows.starts, columns: &windows.elements };
                patches.add_product(first..first + size, weights, lanes, sums);
            });
            let work = if are_few { work } else { 0 };
            parallel::pieces(out, register::<T>() * count, work, &|first, out| {
                let planes = out.len() / count;
                transpose((&sums[first / count..], lanes), (&mut out[start..], count), (planes, size));
            });
        }
    }
}

/// The bias in every row, copied in ever longer pieces.
fn start_from<T: Float>(bias: &[T], lanes: usize, sums: &mut [T]) {
    sums[..lanes].fill(T::ZERO);
    sums[..bias.len()].copy_from_slice(bias);
    let mut done = lanes;
    while done < sums.len() {
        let len = done.min(sums.len() - done);
        sums.copy_within(..len, done);
        done += len;
    }
}

/// The gradient of one image of the input.
fn write_input_gradient<T: Float>(windows: &Windows, g: &[T], weights: &[T], out: &mut [T]) {
    let (filters, channels, lanes) = (windows.filters, windows.channels, register::<T>());
    let (per_register, area) = (windows.taps.len() * filters * lanes, out.len() / (windows.groups * channels));
    let work = cost(g.len().saturating_mul(windows.depth()));
    let groups = out.chunks_exact_mut(channels * area).zip(g.chunks_exact(filters * windows.starts.len()));
    for ((out, g), weights) in groups.zip(weights.chunks_exact(channels.div_ceil(lanes) * per_register)) {
        parallel::pieces(out, lanes * area, work / windows.groups, &|start, out| {
            let weights = &weights[start / (lanes * area) * per_register..][..per_register];
            let mut sums = Buffer::scratch(windows.framed_plane() * lanes);
            let Some(sums) = sums.get_mut() else { return };
            sums.fill(T::ZERO);
            add_adjoint((&windows.starts, &windows.taps), (g, filters), weights, lanes, sums);
            let planes = out.len() / area;
            windows.each_run(|from, to, len| {
                transpose((&sums[from * lanes..], lanes), (&mut out[to..], area), (planes, len));
            });
        });
    }
}

/// Adds the weight gradient of one image to `sums`: `[group, element of a window, lane]`, a lane for each filter.
fn add_weight_gradient<T: Float>(windows: &Windows, (x, g): (&[T], &[T]), sums: &mut [T]) {
    let (filters, count, lanes) = (windows.filters, windows.starts.len(), lanes::<T>(windows.filters));
    let framed = windows.frame(x);
    let mut packed = Buffer::scratch(count * lanes);
    let Some(packed) = packed.get_mut() else { return };
    let planes = framed.as_slice().chunks_exact(windows.channels * windows.framed_plane());
    let groups = planes.zip(g.chunks_exact(filters * count));
    for ((data, g), sums) in groups.zip(sums.chunks_exact_mut(windows.depth() * lanes)) {
        planes_to_lanes((g, count), filters, (packed, lanes));
        let (packed, work) = (&*packed, cost(sums.len().saturating_mul(count)));
        parallel::pieces(sums, ROWS_PER_TASK * lanes, work, &|start, sums| {
            let (first, size) = (start / lanes, sums.len() / lanes);
            let patches = Patches { data, rows: &windows.elements, columns: &windows.starts };
            patches.add_product(first..first + size, packed, lanes, sums);
        });
    }
}

/// The sum of all parts of length `len`, each half added to the other.
fn add_halves<T: Float>(mut parts: &mut [T], len: usize) -> &[T] {
    while parts.len() > len {
        let (left, right) = parts.split_at_mut((parts.len() / len).div_ceil(2) * len);
        vectorized!(left.iter_mut().zip(&*right).for_each(|(a, &b)| *a += b));
        parts = left;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, Sample, assert_close, assert_same_bits, samples};

    struct Case {
        conv: Conv,
        x: [usize; 4],
        w: [usize; 4],
    }

    fn cases() -> Vec<Case> {
        let plain = Conv { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 };
        let wide = Conv { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 1 };
        let deep = |stride, padding, dilation| Conv { stride, padding, dilation, groups: 5 };
        vec![
            Case { conv: plain, x: [2, 3, 6, 5], w: [4, 3, 3, 2] },
            Case { conv: plain, x: [3, 5, 4, 4], w: [2, 5, 1, 1] },
            Case { conv: Conv { stride: [2, 2], ..plain }, x: [1, 5, 4, 5], w: [2, 5, 1, 1] },
            Case { conv: wide, x: [2, 3, 7, 9], w: [4, 3, 3, 3] },
            Case { conv: Conv { groups: 2, ..wide }, x: [2, 4, 7, 9], w: [6, 2, 3, 3] },
            Case { conv: Conv { groups: 4, ..wide }, x: [2, 4, 7, 9], w: [4, 1, 3, 3] },
            Case { conv: Conv { groups: 3, ..plain }, x: [2, 3, 5, 6], w: [6, 1, 2, 3] },
            Case { conv: Conv { padding: [4, 4], ..plain }, x: [1, 2, 2, 2], w: [1, 2, 3, 3] },
            Case { conv: plain, x: [2, 40, 60, 70], w: [3, 40, 3, 3] },
            Case { conv: Conv { groups: 4, padding: [1, 1], ..plain }, x: [2, 4, 9, 8], w: [4, 1, 3, 3] },
            Case { conv: Conv { dilation: [2, 1], ..plain }, x: [2, 17, 40, 60], w: [1, 17, 2, 3] },
            Case { conv: Conv { padding: [1, 0], ..plain }, x: [2, 1, 40, 60], w: [17, 1, 3, 1] },
            Case { conv: deep([1, 1], [1, 1], [1, 1]), x: [2, 5, 7, 9], w: [5, 1, 3, 3] },
            Case { conv: deep([2, 2], [1, 1], [1, 1]), x: [2, 5, 7, 8], w: [10, 1, 3, 3] },
            Case { conv: deep([2, 2], [0, 3], [2, 2]), x: [1, 5, 9, 6], w: [5, 1, 2, 4] },
            Case { conv: deep([2, 2], [2, 2], [1, 1]), x: [2, 5, 1, 1], w: [5, 1, 5, 5] },
            Case { conv: deep([3, 2], [4, 5], [2, 3]), x: [2, 10, 8, 11], w: [15, 2, 3, 3] },
            Case { conv: deep([5, 4], [0, 1], [1, 1]), x: [2, 5, 9, 14], w: [5, 1, 2, 3] },
            Case { conv: deep([20, 20], [0, 0], [1, 1]), x: [2, 5, 9, 14], w: [5, 1, 2, 3] },
            Case { conv: deep([2, 2], [4, 4], [1, 1]), x: [1, 5, 3, 40], w: [5, 1, 1, 1] },
            Case { conv: deep([1, 2], [0, 2], [1, 1]), x: [3, 5, 1, 75], w: [5, 1, 1, 7] },
            Case { conv: Conv { groups: 10, ..plain }, x: [9, 10, 4, 20], w: [10, 1, 2, 9] },
            Case { conv: Conv { groups: 2, ..wide }, x: [2, 40, 5, 6], w: [36, 20, 2, 2] },
            Case { conv: deep([1, 1], [1, 1], [1, 1]), x: [2, 5, 0, 3], w: [5, 1, 1, 2] },
            Case { conv: deep([1, 1], [1, 1], [1, 1]), x: [2, 5, 40, 0], w: [5, 1, 1, 2] },
            Case { conv: plain, x: [0, 3, 6, 5], w: [4, 3, 3, 2] },
            Case { conv: plain, x: [2, 0, 6, 5], w: [4, 0, 3, 2] },
        ]
    }

    /// All terms `(o, x, w)` of positions in output, input and weight whose products the convolution adds up.
    fn terms(case: &Case) -> Vec<[usize; 3]> {
        let ([n, c, h, w], [o, cg, kh, kw], conv) = (case.x, case.w, case.conv);
        let [oh, ow] = conv.output([h, w], [kh, kw]).unwrap();
        let mut terms = vec![];
        for (out, k) in (0..n * o * oh * ow).flat_map(|out| (0..cg * kh * kw).map(move |k| (out, k))) {
            let (image, filter, i, j) = (out / (o * oh * ow), out / (oh * ow) % o, out / ow % oh, out % ow);
            let (channel, a, b) = (filter / (o / conv.groups) * cg + k / (kh * kw), k / kw % kh, k % kw);
            let row = (i * conv.stride[0] + a * conv.dilation[0]).checked_sub(conv.padding[0]).filter(|&row| row < h);
            let column = (j * conv.stride[1] + b * conv.dilation[1]).checked_sub(conv.padding[1]).filter(|&j| j < w);
            if let (Some(row), Some(column)) = (row, column) {
                terms.push([out, ((image * c + channel) * h + row) * w + column, filter * cg * kh * kw + k]);
            }
        }
        terms
    }

    #[test]
    fn all_three_agree_with_the_definition_either_way() {
        for case in cases() {
            let ([n, _, h, w], [o, _, kh, kw], conv) = (case.x, case.w, case.conv);
            let [oh, ow] = conv.output([h, w], [kh, kw]).unwrap();
            let (x, weights) = (&samples::<f64>(&case.x, 1)[1], &samples::<f64>(&case.w, 2)[1]);
            let g = &samples::<f64>(&[n, o, oh, ow], 3)[1];
            let (xs, ws, gs) = (x.elements(), weights.elements(), g.elements());
            let bias = Draws(4).numbers::<f64>(o);
            let biased = (0..gs.len()).map(|k| bias[k / (oh * ow) % o]).collect();
            let mut expected = [biased, vec![0.0; xs.len()], vec![0.0; ws.len()]];
            for [i, j, k] in terms(&case) {
                expected[0][i] += xs[j] * ws[k];
                expected[1][j] += gs[i] * ws[k];
                expected[2][k] += gs[i] * xs[j];
            }
            let mut out = expected.clone().map(|e| vec![f64::NAN; e.len()]);
            conv.forward(x.view(), weights.view(), Some(&bias), &mut out[0]);
            conv.input_gradient(g.view(), weights.view(), [h, w], &mut out[1]);
            conv.weight_gradient(x.view(), g.view(), [kh, kw], &mut out[2]);
            out.iter().zip(&expected).for_each(|(found, expected)| assert_close(found, expected, 1e-12));
            if xs.is_empty() {
                continue;
            }
            let mut out = expected.clone().map(|e| vec![f64::NAN; e.len()]);
            let planes = Planes::new(&conv, &case.x, &case.w);
            planes.write_output(&xs, &ws, Some(&bias), &mut out[0]);
            planes.write_input_gradient(&gs, &ws, &mut out[1]);
            planes.write_weight_gradient(&xs, &gs, &mut out[2]);
            out.iter().zip(&expected).for_each(|(found, expected)| assert_close(found, expected, 1e-12));
        }
    }

    #[test]
    fn few_planes_are_added_whole() {
        let cases = cases();
        let few = |case: &Case| {
            let planes = Planes::new(&case.conv, &case.x, &case.w);
            [Pass::Output, Pass::Input].map(|pass| planes.are_few::<f32>(pass))
        };
        if crate::kernel::register::register::<f32>() >= 8 {
            assert_eq!([9, 10, 11].map(|k| few(&cases[k])), [[true, true], [true, false], [false, true]]);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let padded = Conv { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };
        for [images, channels, groups, filters] in [[16, 8, 1, 16], [16, 8, 1, 2], [16, 8, 8, 16], [2, 40, 1, 40]] {
            let (conv, of_group) = (Conv { groups, ..padded }, channels / groups);
            let x = Draws(1).numbers::<f32>(images * channels * 28 * 28);
            let x = Sample::contiguous(x, &[images, channels, 28, 28]);
            let w = Draws(2).numbers::<f32>(filters * of_group * 9);
            let w = Sample::contiguous(w, &[filters, of_group, 3, 3]);
            assert_same_bits(|| {
                let mut y = vec![0.0; images * filters * 28 * 28];
                conv.forward(x.view(), w.view(), None, &mut y);
                let y = Sample::contiguous(y, &[images, filters, 28, 28]);
                let (mut gx, mut gw) = (vec![0.0; x.data.len()], vec![0.0; w.data.len()]);
                conv.input_gradient(y.view(), w.view(), [28, 28], &mut gx);
                conv.weight_gradient(x.view(), y.view(), [3, 3], &mut gw);
                [y.data, gx, gw].concat()
            });
        }
    }
}
