//! Normalisation of the channels of a batch, with its affine map in the same pass, and the adjoint of both.

use smallvec::SmallVec;

use super::layer_norm::gradient_of_adjoint;
use super::{Cotangents, KeptShape, Operands, Saved, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::batch_norm::{Affine, Channels, combine, moments, scales, sums_with, transform};
use crate::kernel::lines::Packed;
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use crate::tensor::buffer::Buffer;
use crate::var::{Term, Var};

/// (x − mean) / √(variance + eps) in every channel; with two more operands, times a weight plus a bias of each. The means and
/// then the variances are kept.
#[derive(Debug, Clone)]
pub(crate) struct BatchNorm {
    eps: f64,
}

fn channels(shape: &Shape) -> Channels {
    Channels::new(shape[0], shape[1], Shape::from(&shape[2..]).len())
}

/// A shape that broadcasts numbers of the channels.
fn along_channels(shape: &Shape) -> Shape {
    std::iter::once(shape[1]).chain(shape[2..].iter().map(|_| 1)).collect()
}

/// All axes but that of the channels.
fn batch_axes(rank: usize) -> Axes {
    (0..rank).filter(|&axis| axis != 1).map(|axis| axis as isize).collect()
}

impl TensorRule for BatchNorm {
    const NAME: &'static str = "batch_norm";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        if channels(x[0]).size() == 0 {
            return Err(ErrorKind::Empty { shape: x[0].clone() });
        }
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, operands: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let packed = |i: usize| operands.get(i).map(|x| Packed::new(x.view()));
        let (x, weight, bias) = (Packed::new(operands[0].view()), packed(1), packed(2));
        let (x, channel_count) = (x.as_slice(), shape[1]);
        let fill = |out: &mut [T], statistics: &mut [T]| {
            fill_moments(x, &shape, statistics);
            let (mean, variance) = statistics.split_at(channel_count);
            let mut numbers = Buffer::scratch(2 * channel_count);
            let (scale, shift) = numbers.get_mut().unwrap_or_default().split_at_mut(channel_count);
            scales(variance, T::from_f64(self.eps), weight.as_ref().map(Packed::as_slice), scale);
            match &bias {
                Some(bias) => shift.copy_from_slice(bias.as_slice()),
                None => shift.fill(T::ZERO),
            }
            transform(x, channels(&shape), Affine { mean, scale, shift }, out);
        };
        let (tensor, statistics) = Tensor::build_pair([shape.clone(), Shape::from([2, channel_count])], fill)?;
        Ok(Value { tensor, saved: Saved::Tensor(statistics) })
    }

    fn kept_shape(&self, _: Shapes<'_>, shape: &Shape) -> KeptShape {
        KeptShape::Tensor(Shape::from([2, shape[1]]))
    }

    /// On numbers the adjoint takes the statistics that the value kept, and has made the gradients of weight and bias on its
    /// way. When they are recorded, all depend on the operands alone.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, g, kept) = (rule.x[0], rule.g, rule.kept());
        let weight = rule.x.get(1).copied();
        let adjoint = BatchNormAdjoint { eps: self.eps, from_kept: kept.is_some() };
        let operands: SmallVec<[Var<'t, T>; 3]> = std::iter::once(g).chain(weight).chain(kept).collect();
        let gx = rule.operand(0, || x.record(adjoint, &operands));
        let mut gradients = SmallVec::from_iter([gx]);
        if weight.is_some() {
            let sums = if let (Some(gx), Some(_)) = (gx, kept)
                && let Saved::Tensor(sums) = x.tape.saved(gx.slot)
            {
                x.tape.kept(gx.slot, sums)
            } else {
                x.record(BatchNormSums { eps: self.eps }, &[g])
            };
            gradients.extend([0, 1].map(|i| rule.operand(i + 1, || sums.index_axis(0, i))));
        }
        gradients
    }
}

/// J·g, where J is the Jacobian of [`BatchNorm`] at `x` without its affine map, a symmetric matrix for each channel; with a
/// third operand, times a weight of each channel. The last operand may be what the value kept, so that it is not found again.
/// The sums of [`BatchNormSums`] are kept.
#[derive(Debug, Clone)]
pub(crate) struct BatchNormAdjoint {
    eps: f64,
    from_kept: bool,
}

impl TensorRule for BatchNormAdjoint {
    const NAME: &'static str = "batch_norm_adjoint";

    /// r·(g − mean g − ŷ·mean(g·ŷ)), with one factor for each of g, x − mean and 1.
    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, operands: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (operands, kept) = match operands.split_last() {
            Some((kept, operands)) if self.from_kept => (operands, Some(kept)),
            _ => (operands.tensors, None),
        };
        let weight = operands.get(2).map(|weight| Packed::new(weight.view()));
        let (x, g) = (Packed::new(operands[0].view()), Packed::new(operands[1].view()));
        let (x, g) = (x.as_slice(), g.as_slice());
        let (count, eps) = (shape[1], T::from_f64(self.eps));
        let per_element = T::from_f64(1.0 / channels(&shape).size() as f64);
        let fill = |out: &mut [T], sums: &mut [T]| {
            let mut numbers = Buffer::scratch(5 * count);
            let (statistics, numbers) = numbers.get_mut().unwrap_or_default().split_at_mut(2 * count);
            match kept.and_then(Tensor::as_slice) {
                Some(kept) => statistics.copy_from_slice(kept),
                None => fill_moments(x, &shape, statistics),
            }
            let (mean, variance) = statistics.split_at(count);
            fill_sums([x, g], &shape, (mean, variance), eps, sums);
            let (factor, numbers) = numbers.split_at_mut(count);
            let (scale, shift) = numbers.split_at_mut(count);
            scales(variance, eps, None, factor);
            for (k, factor) in factor.iter_mut().enumerate() {
                let r = *factor;
                *factor = weight.as_ref().map_or(r, |weight| r * weight.as_slice()[k]);
                scale[k] = -(*factor * r * sums[k] * per_element);
                shift[k] = -(*factor * sums[count + k] * per_element);
            }
            combine((g, factor), x, channels(&shape), Affine { mean, scale, shift }, out);
        };
        let (tensor, sums) = Tensor::build_pair([shape.clone(), Shape::from([2, count])], fill)?;
        Ok(Value { tensor, saved: Saved::Tensor(sums) })
    }

    fn kept_shape(&self, _: Shapes<'_>, shape: &Shape) -> KeptShape {
        KeptShape::Tensor(Shape::from([2, shape[1]]))
    }

    /// What was kept is a function of x, so what depends on it is in the gradient of x.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, g) = (rule.x[0], rule.x[1]);
        let weight = rule.x[2..rule.x.len() - usize::from(self.from_kept)].first().copied();
        let plain = |g: Var<'t, T>| x.record(BatchNormAdjoint { eps: self.eps, from_kept: false }, &[g]);
        let (jg, v) = match weight {
            Some(weight) => (plain(g), rule.g * weight.in_shape(&along_channels(&x.shape()))),
            None => (rule.y, rule.g),
        };
        let (jv, axes) = (plain(v), batch_axes(x.rank()));
        let mut gradients = rule.both(|| gradient_of_adjoint(x, [g, v], [jg, jv], &axes, self.eps), || jv);
        gradients.extend(weight.map(|_| rule.operand(2, || (rule.g * jg).sum_axes(axes.clone()))));
        gradients.extend(self.from_kept.then_some(None));
        gradients
    }
}

/// Σ g·ŷ and Σ g of every channel, where ŷ is the value of [`BatchNorm`] at `x` without its affine map: the gradients of weight
/// and bias.
#[derive(Debug, Clone)]
pub(crate) struct BatchNormSums {
    eps: f64,
}

impl TensorRule for BatchNormSums {
    const NAME: &'static str = "batch_norm_sums";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(Shape::from([2, x[0][1]]))
    }

    fn value<T: Float>(&self, operands: Operands<'_, T>, to: Shape) -> Result<Value<T>, ErrorKind> {
        let (x, g) = (Packed::new(operands[0].view()), Packed::new(operands[1].view()));
        let (x, g, shape) = (x.as_slice(), g.as_slice(), operands[0].shape());
        let fill = |sums: &mut [T]| {
            let mut statistics = Buffer::scratch(2 * shape[1]);
            let statistics = statistics.get_mut().unwrap_or_default();
            fill_moments(x, shape, statistics);
            fill_sums([x, g], shape, statistics.split_at(shape[1]), T::from_f64(self.eps), sums);
        };
        Ok(Tensor::build(to, fill)?.into())
    }

    /// With v for the one sum and w for the other: v·ŷ + w to g, and v·J·g to x.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, g, eps) = (rule.x[0], rule.x[1], self.eps);
        let (v, w) = (rule.g.index_axis(0, 0), rule.g.index_axis(0, 1));
        rule.both(
            || x.record(BatchNormAdjoint { eps, from_kept: false }, &[g, v]),
            || x.record(BatchNorm { eps }, &[v, w]),
        )
    }
}

/// Means and then variances of the channels.
fn fill_moments<T: Float>(x: &[T], shape: &Shape, statistics: &mut [T]) {
    let (mean, variance) = statistics.split_at_mut(shape[1]);
    moments(x, channels(shape), mean, variance);
}

/// Σ g·ŷ and then Σ g of the channels.
fn fill_sums<T: Float>([x, g]: [&[T]; 2], shape: &Shape, (mean, variance): (&[T], &[T]), eps: T, sums: &mut [T]) {
    let (products, sums) = sums.split_at_mut(shape[1]);
    sums_with(g, x, channels(shape), mean, products, sums);
    let mut scale = Buffer::scratch(shape[1]);
    let scale = scale.get_mut().unwrap_or_default();
    scales(variance, eps, None, scale);
    products.iter_mut().zip(scale).for_each(|(product, scale)| *product *= *scale);
}

/// Means and variances of the channels of a batch, as [`Var::batch_norm`] found them.
#[derive(Debug, Clone, Copy)]
pub struct BatchStatistics<'t, T: Float = f32> {
    /// `[C]`; a constant.
    pub mean: Var<'t, T>,
    /// `[C]`; the squares' mean, divided by the number of elements. A constant.
    pub variance: Var<'t, T>,
    /// Elements of a channel. Running variances take variance·count/(count − 1).
    pub count: usize,
}

/// # Batch normalisation
impl<'t, T: Float> Var<'t, T> {
    /// Batch normalisation in training: y = (x − mean)/√(variance + eps)·weight + bias, where mean and variance (divided
    /// by n) are those of each channel, the second axis. They are returned too, for running averages.
    ///
    /// Derivative: as [`layer_norm`](Self::layer_norm); the statistics are functions of `x`.
    /// Shapes: `[N, C, ..]`, weight and bias `[C]` → `[N, C, ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f64, 10.0], [3.0, 30.0]]);
    /// let (y, statistics) = x.batch_norm(None, None, 0.0);
    /// assert_eq!(y.value()?, [[-1.0, -1.0], [1.0, 1.0]].into());
    /// assert_eq!(statistics.mean.value()?, [2.0, 20.0].into());
    /// assert_eq!(statistics.variance.value()?, [1.0, 100.0].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Reference: S. Ioffe, C. Szegedy, Batch Normalization, arXiv:1502.03167.
    #[track_caller]
    pub fn batch_norm(self, weight: Option<Self>, bias: Option<Self>, eps: f64) -> (Self, BatchStatistics<'t, T>) {
        let shape = self.shape();
        let nothing = |failed| (failed, BatchStatistics { mean: failed, variance: failed, count: 0 });
        let [weight_along, bias_along] = match self.channel_operands("batch_norm", [weight, bias]) {
            Ok(operands) => operands,
            Err(failed) => return nothing(failed),
        };
        let count = channels(&shape).size();
        let affine: SmallVec<[Self; 2]> =
            weight.into_iter().zip(bias).flat_map(|(weight, bias)| [weight, bias]).collect();
        let y = self.record(BatchNorm { eps }, &affine);
        let Saved::Tensor(found) = self.tape.saved(y.slot) else { return nothing(y) };
        let statistics = self.tape.kept(y.slot, found);
        let (mean, variance) = (statistics.index_axis(0, 0), statistics.index_axis(0, 1));
        let statistics = BatchStatistics { mean, variance, count };
        (if affine.is_empty() { y.scaled_and_shifted(weight_along, bias_along) } else { y }, statistics)
    }

    /// Batch normalisation with given statistics, as after training: y = (x − mean)/√(variance + eps)·weight + bias.
    ///
    /// Derivative: g·weight/√(variance + eps) to `x`; to the others as the formula says.
    /// Shapes: `[N, C, ..]`, the others `[C]` → `[N, C, ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // One sample alone, with what training has seen.
    /// let (mean, variance) = (tape.constant([2.0_f64, 20.0]), tape.constant([4.0, 100.0]));
    /// let y = tape.constant([[4.0, 10.0]]).batch_norm_eval(mean, variance, None, None, 0.0);
    /// assert_eq!(y.value()?, [[1.0, -1.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn batch_norm_eval(
        self,
        mean: Self,
        variance: Self,
        weight: Option<Self>,
        bias: Option<Self>,
        eps: f64,
    ) -> Self {
        let operands = [Some(mean), Some(variance), weight, bias];
        let [mean, variance, weight, bias] = match self.channel_operands("batch_norm", operands) {
            Ok(operands) => operands,
            Err(failed) => return failed,
        };
        let (Some(mean), Some(variance)) = (mean, variance) else { return self };
        // All that does not depend on x first: one product and one sum for each element.
        let scale = (variance + Term::Number(T::from_f64(eps))).rsqrt();
        let scale = match weight {
            Some(weight) => weight * scale,
            None => scale,
        };
        match bias {
            Some(bias) => self * scale + (bias - mean * scale),
            None => self * scale - mean * scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BatchNormAdjoint;
    use crate::Tape;
    use crate::ops::cat::stack;
    use crate::testing::{assert_gradient, failure, sample};

    #[test]
    fn derivatives_of_batch_norm() {
        for shape in [&[3, 2][..], &[2, 2, 3], &[2, 3, 1, 2], &[1, 2]] {
            let (x, w, b) = (sample(shape, 1), sample(&shape[1..2], 2), sample(&shape[1..2], 3));
            assert_gradient(|x| x[0].batch_norm(Some(x[1]), Some(x[2]), 0.1).0, &[x.clone(), w.clone(), b.clone()]);
            assert_gradient(|x| x[0].batch_norm(None, None, 0.01).0, std::slice::from_ref(&x));
            let (mean, variance) = (sample(&shape[1..2], 4), sample(&shape[1..2], 5).map(|x| x * x + 0.5));
            assert_gradient(
                |x| x[0].batch_norm_eval(x[1], x[2], Some(x[3]), Some(x[4]), 0.1),
                &[x.clone(), mean.clone(), variance.clone(), w, b],
            );
            assert_gradient(|x| x[0].batch_norm_eval(x[1], x[2], None, None, 0.1), &[x, mean, variance]);
        }
    }

    #[test]
    fn the_adjoint_with_a_weight_and_what_was_kept_has_its_derivatives() {
        for shape in [&[3, 2][..], &[2, 2, 3]] {
            assert_gradient(
                |x| {
                    let (_, found) = x[0].batch_norm(None, None, 0.1);
                    let statistics = stack(&[found.mean, found.variance], 0);
                    x[0].record(BatchNormAdjoint { eps: 0.1, from_kept: true }, &[x[1], x[2], statistics])
                },
                &[sample(shape, 1), sample(shape, 2), sample(&shape[1..2], 3)],
            );
        }
    }

    #[test]
    fn gradients_to_weight_and_bias_do_not_wait_for_that_of_the_input() {
        let tape = Tape::<f64>::new();
        let (x, g) = (sample(&[4, 2, 3], 1), sample(&[4, 2, 3], 2));
        let (weight, bias) = (tape.var([2.0, 3.0]), tape.var([0.5, 0.25]));
        let alone = tape.constant(&x).batch_norm(Some(weight), Some(bias), 0.1).0.vjp(&g).unwrap();
        let all = tape.var(&x).batch_norm(Some(weight), Some(bias), 0.1).0.vjp(&g).unwrap();
        for operand in [weight, bias] {
            alone.of(operand).unwrap().close_to(&all.of(operand).unwrap(), 1e-14, 1e-14).unwrap();
        }
    }

    #[test]
    fn statistics_are_those_of_the_batch() {
        let tape = Tape::<f64>::new();
        let x = tape.constant([[1.0, 10.0], [3.0, 10.0]]);
        let (y, statistics) = x.batch_norm(None, None, 0.0);
        assert_eq!(
            (
                statistics.mean.value().unwrap().to_vec(),
                statistics.variance.value().unwrap().to_vec(),
                statistics.count
            ),
            (vec![2.0, 10.0], vec![1.0, 0.0], 2)
        );
        assert_eq!(y.value().unwrap().index_axis(1, 0).unwrap().to_vec(), [-1.0, 1.0]);
        let super::BatchStatistics { mean, variance, .. } = statistics;
        let again = x.batch_norm_eval(mean, variance, None, None, 1e-3).value().unwrap();
        again.close_to(&x.batch_norm(None, None, 1e-3).0.value().unwrap(), 1e-14, 1e-14).unwrap();
    }

    #[test]
    fn wrong_shapes_are_named() {
        let batch = |shapes: [&[usize]; 2]| failure(&shapes, |x| x[0].batch_norm(Some(x[1]), None, 0.1).0);
        assert_eq!(batch([&[2], &[2]]), "batch_norm: the input must have rank 2 or more, found shape [2]");
        assert_eq!(batch([&[2, 3], &[2]]), "batch_norm: the weight must have shape [3], found [2]");
        assert_eq!(batch([&[0, 3], &[3]]), "batch_norm: needs at least one element, found shape [0, 3]");
        let eval = failure(&[&[2, 3], &[3], &[1]], |x| x[0].batch_norm_eval(x[1], x[2], None, None, 0.1));
        assert_eq!(eval, "batch_norm: the variance must have shape [3], found [1]");
    }
}
