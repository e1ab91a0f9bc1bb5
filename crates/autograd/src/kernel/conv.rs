//! Convolution in two dimensions (cross-correlation, as in PyTorch) and its two adjoints.
//!
//! All three are products with a matrix of patches that is never made (`product`): the windows of the input for the output and
//! for the gradient of the weight, the windows of the incoming gradient for the gradient of the input. Filters, or channels,
//! lie along the vectors.

use crate::float::Float;
use crate::kernel::lines::Packed;
use crate::kernel::matmul::cost;
use crate::kernel::parallel;
use crate::kernel::transpose::transpose;
use crate::kernel::vectorized::vectorized;
use crate::tensor::View;
use crate::tensor::buffer::Buffer;

use correlation::Correlation;
use geometry::Geometry;
use product::lanes;
use windows::Windows;

mod correlation;
mod geometry;
mod product;
mod windows;

/// Pieces that a batch is cut into for the gradient of the weight.
const PIECES: usize = 8;

/// How the kernel moves over the input. Sizes are checked by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conv {
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
}

impl Conv {
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
        let geometry = Geometry::new(self, &x.layout.shape, &w.layout.shape);
        if out.is_empty() {
            return;
        }
        let (x, w) = (Packed::new(x), Packed::new(w));
        let (x, w) = (x.as_slice(), w.as_slice());
        let work = cost(out.len().saturating_mul(geometry.depth()));
        let correlation = Correlation::forward(&geometry, w);
        parallel::pieces(out, geometry.output_len(), work, &|start, out| {
            let x = &x[start / geometry.output_len() * geometry.input_len()..][..geometry.input_len()];
            correlation.write(x, bias, out);
        });
    }

    /// The adjoint of [`forward`](Self::forward) in `x`: `g` is `[N, O, OH, OW]`, `out` is `[N, C, H, W]` for `input` = `[H, W]`.
    pub fn input_gradient<T: Float>(&self, g: View<'_, T>, w: View<'_, T>, input: [usize; 2], out: &mut [T]) {
        let channels = w.layout.shape[1] * self.groups;
        let geometry = Geometry::new(self, &[g.layout.shape[0], channels, input[0], input[1]], &w.layout.shape);
        if out.is_empty() || g.layout.shape.contains(&0) {
            return out.fill(T::ZERO);
        }
        let (g, w) = (Packed::new(g), Packed::new(w));
        let (g, w) = (g.as_slice(), w.as_slice());
        let work = cost(g.len().saturating_mul(geometry.depth()));
        let correlation = Correlation::backward(&geometry, w);
        parallel::pieces(out, geometry.input_len(), work, &|start, out| {
            let g = &g[start / geometry.input_len() * geometry.output_len()..][..geometry.output_len()];
            correlation.write(g, None, out);
        });
    }

    /// The adjoint of [`forward`](Self::forward) in `w`, for `kernel` = `[KH, KW]`: `out` is `[O, C/groups, KH, KW]`.
    pub fn weight_gradient<T: Float>(&self, x: View<'_, T>, g: View<'_, T>, kernel: [usize; 2], out: &mut [T]) {
        let (x_shape, g_shape) = (&x.layout.shape, &g.layout.shape);
        let w_shape = [g_shape[1], x_shape[1] / self.groups.max(1), kernel[0], kernel[1]];
        let geometry = Geometry::new(self, x_shape, &w_shape);
        if out.is_empty() || g_shape.contains(&0) {
            return out.fill(T::ZERO);
        }
        let (images, work) = (x_shape[0], cost(g_shape.len().saturating_mul(geometry.depth())));
        let (x, g) = (Packed::new(x), Packed::new(g));
        let (x, g) = (x.as_slice(), g.as_slice());
        let (windows, lanes) = (geometry.forward(), lanes::<T>(geometry.filters));
        let (images_per_piece, len) = (images.div_ceil(PIECES), self.groups * windows.elements.len() * lanes);
        let mut sums = Buffer::scratch(images.div_ceil(images_per_piece) * len);
        let Some(sums) = sums.get_mut() else { return };
        parallel::pieces(sums, len, work, &|start, sums| {
            let first = start / len * images_per_piece;
            sums.fill(T::ZERO);
            for n in first..(first + images_per_piece).min(images) {
                let x = &x[n * geometry.input_len()..][..geometry.input_len()];
                let g = &g[n * geometry.output_len()..][..geometry.output_len()];
                add_weight_gradient(&geometry, &windows, (x, g), sums);
            }
        });
        let mut sums = add_halves(sums, len).chunks_exact(lanes);
        for group in 0..self.groups {
            for ((channel, at), sums) in windows.kernel_elements().zip(&mut sums) {
                for (filter, &sum) in sums[..geometry.filters].iter().enumerate() {
                    out[geometry.weight(group * geometry.filters + filter, channel, at)] = sum;
                }
            }
        }
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

/// Adds the weight gradient of one image to `sums`: `[group, element of a window, lane]`.
fn add_weight_gradient<T: Float>(geometry: &Geometry, windows: &Windows, (x, g): (&[T], &[T]), sums: &mut [T]) {
    let (filters, count, lanes) = (geometry.filters, windows.starts.len(), lanes::<T>(geometry.filters));
    let framed = windows.frame(x, geometry.groups());
    let mut packed = Buffer::scratch(count * lanes);
    let Some(packed) = packed.get_mut() else { return };
    if lanes > filters {
        packed.fill(T::ZERO);
    }
    let groups = framed.as_slice().chunks_exact(windows.framed_len()).zip(g.chunks_exact(filters * count));
    for ((x, g), sums) in groups.zip(sums.chunks_exact_mut(windows.elements.len() * lanes)) {
        transpose((g, count), (packed, lanes), (count, filters));
        windows.patches_transposed(x).add_product(packed, lanes, sums, &|_| 0..count);
    }
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
    fn all_three_agree_with_the_definition() {
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
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let conv = Conv { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };
        let x = Sample::contiguous(Draws(1).numbers::<f32>(16 * 8 * 28 * 28), &[16, 8, 28, 28]);
        let w = Sample::contiguous(Draws(2).numbers::<f32>(16 * 8 * 9), &[16, 8, 3, 3]);
        assert_same_bits(|| {
            let mut y = vec![0.0; 16 * 16 * 28 * 28];
            conv.forward(x.view(), w.view(), None, &mut y);
            let y = Sample::contiguous(y, &[16, 16, 28, 28]);
            let (mut gx, mut gw) = (vec![0.0; x.data.len()], vec![0.0; w.data.len()]);
            conv.input_gradient(y.view(), w.view(), [28, 28], &mut gx);
            conv.weight_gradient(x.view(), y.view(), [3, 3], &mut gw);
            [y.data, gx, gw].concat()
        });
    }
}
