//! Normalisation of layers: one op that shifts groups of neighbours to mean zero and scales them to variance one, and its
//! adjoint.

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::layer_norm::{self, Groups};
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use crate::var::{Term, Var};

/// (x − mean) / √(variance + eps) of the elements along this many last axes.
#[derive(Debug, Clone)]
pub(crate) struct LayerNorm {
    axes: usize,
    eps: f64,
}

fn groups(shape: &Shape, axes: usize) -> Groups {
    let (leading, last) = shape.split_at(shape.rank() - axes);
    Groups { count: Shape::from(leading).len(), size: Shape::from(last).len() }
}

fn last(axes: usize, rank: usize) -> Axes {
    (rank - axes..rank).map(|axis| axis as isize).collect()
}

impl TensorRule for LayerNorm {
    const NAME: &'static str = "layer_norm";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (groups, eps) = (groups(&shape, self.axes), T::from_f64(self.eps));
        Ok(Tensor::build(shape, |out| layer_norm::layer_norm(x[0].view(), groups, eps, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let &LayerNorm { axes, eps } = self;
        rule.only(rule.x[0].record(LayerNormAdjoint { axes, eps }, &[rule.g]))
    }
}

/// J·g, where J is the Jacobian of [`LayerNorm`] at `x`, a symmetric matrix for each group.
#[derive(Debug, Clone)]
pub(crate) struct LayerNormAdjoint {
    axes: usize,
    eps: f64,
}

impl TensorRule for LayerNormAdjoint {
    const NAME: &'static str = "layer_norm_adjoint";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (groups, eps) = (groups(&shape, self.axes), T::from_f64(self.eps));
        Ok(Tensor::build(shape, |out| layer_norm::layer_norm_adjoint(x[0].view(), x[1].view(), groups, eps, out))?
            .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, g, v) = (rule.x[0], rule.x[1], rule.g);
        let jv = x.record(self.clone(), &[v]);
        let axes = last(self.axes, x.rank());
        rule.both(|| gradient_of_adjoint(x, [g, v], [rule.y, jv], &axes, self.eps), || jv)
    }
}

/// The gradient in x of vᵀ·J·g, where J is the Jacobian at x of standardizing over `axes`:
/// J = r·(1 − 11ᵀ/n − y·yᵀ/n) with r = 1/√(variance + eps), a symmetric matrix for each group.
///
/// vᵀ·J·g = r·(v·g − n·v̄·ḡ − n·p·q) with p and q the means of v·y and g·y. To its gradient r contributes −r²·y/n times the
/// bracket, and n·p and n·q contribute J·v and J·g.
pub(super) fn gradient_of_adjoint<'t, T: Float>(
    x: Var<'t, T>,
    [g, v]: [Var<'t, T>; 2],
    [jg, jv]: [Var<'t, T>; 2],
    axes: &Axes,
    eps: f64,
) -> Var<'t, T> {
    let mean = |x: Var<'t, T>| x.mean_keepdim(axes.clone());
    let centered = x - mean(x);
    let scale = (mean(centered * centered) + Term::Number(T::from_f64(eps))).rsqrt();
    let y = centered * scale;
    let (p, q) = (mean(v * y), mean(g * y));
    let bracket = mean(v * g) - mean(v) * mean(g) - p * q;
    -(scale * scale * bracket * y + scale * (q * jv + p * jg))
}

/// # Normalisation
impl<'t, T: Float> Var<'t, T> {
    /// Layer normalisation over the last axes: y = (x − mean)/√(variance + eps)·weight + bias, where mean and variance
    /// (divided by n) are those of the elements along the axes of `normalized_shape`.
    ///
    /// Derivative: (g′ − mean g′ − ŷ·mean(g′·ŷ))/√(variance + eps) to `x`, with g′ = g·weight and ŷ the value before weight
    /// and bias; Σg·ŷ to `weight`, Σg to `bias`; any order.
    /// Shapes: `[.., normalized_shape]`, weight and bias `normalized_shape` → `[.., normalized_shape]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f64, 3.0], [10.0, 30.0]]);
    /// let y = x.layer_norm([2], None, None, 0.0);
    /// assert_eq!(y.value()?.to_vec(), [-1.0, 1.0, -1.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Reference: J. L. Ba, J. R. Kiros, G. E. Hinton, Layer Normalization, arXiv:1607.06450.
    #[track_caller]
    pub fn layer_norm(
        self,
        normalized_shape: impl Into<Shape>,
        weight: Option<Self>,
        bias: Option<Self>,
        eps: f64,
    ) -> Self {
        let normalized = normalized_shape.into();
        if let Err(failed) = self.last_axes("layer_norm", &normalized, [weight, bias]) {
            return failed;
        }
        let y = self.record(LayerNorm { axes: normalized.rank(), eps }, &[]);
        y.scaled_and_shifted(weight, bias)
    }

    /// Root mean square normalisation over the last axes: y = x/√(mean x² + eps)·weight, with the mean of the elements along
    /// the axes of `normalized_shape`.
    ///
    /// Derivative: (g′ − ŷ·mean(g′·ŷ))/√(mean x² + eps) to `x`, with g′ = g·weight and ŷ the value before the weight; Σg·ŷ to
    /// `weight`.
    /// Shapes: `[.., normalized_shape]`, weight `normalized_shape` → `[.., normalized_shape]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[2.0_f64, -2.0], [8.0, 8.0]]);
    /// let y = x.rms_norm([2], None, 0.0);
    /// assert_eq!(y.value()?.to_vec(), [1.0, -1.0, 1.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Reference: B. Zhang, R. Sennrich, Root Mean Square Layer Normalization, arXiv:1910.07467.
    #[track_caller]
    pub fn rms_norm(self, normalized_shape: impl Into<Shape>, weight: Option<Self>, eps: f64) -> Self {
        let (shape, normalized) = (self.shape(), normalized_shape.into());
        if let Err(failed) = self.last_axes("rms_norm", &normalized, [weight]) {
            return failed;
        }
        let axes = last(normalized.rank(), shape.rank());
        let squares = self.square().mean_keepdim(axes) + Term::Number(T::from_f64(eps));
        (self * squares.rsqrt()).scaled_and_shifted(weight, None)
    }

    /// Group normalisation: y = (x − mean)/√(variance + eps)·weight + bias, where mean and variance (divided by n) are those
    /// of a group of neighbouring channels in one sample. Channels are the second axis.
    ///
    /// Derivative: as [`layer_norm`](Self::layer_norm), for the elements of a group.
    /// Shapes: `[N, C, ..]`, weight and bias `[C]` → `[N, C, ..]`. A number of groups that does not divide C is an error.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f64, 3.0, 10.0, 30.0]]);
    /// assert_eq!(x.group_norm(2, None, None, 0.0).value()?.to_vec(), [-1.0, 1.0, -1.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Reference: Y. Wu, K. He, Group Normalization, arXiv:1803.08494.
    #[track_caller]
    pub fn group_norm(self, groups: usize, weight: Option<Self>, bias: Option<Self>, eps: f64) -> Self {
        self.grouped("group_norm", Some(groups), [weight, bias], eps)
    }

    /// Instance normalisation: [`group_norm`](Self::group_norm) with every channel a group of its own.
    ///
    /// Derivative: as [`layer_norm`](Self::layer_norm), for the elements of a channel.
    /// Shapes: `[N, C, ..]`, weight and bias `[C]` → `[N, C, ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let image = tape.constant([[[1.0_f64, 3.0], [10.0, 30.0]]]);
    /// let y = image.instance_norm(None, None, 0.0);
    /// assert_eq!(y.value()?, [[[-1.0, 1.0], [-1.0, 1.0]]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Reference: D. Ulyanov, A. Vedaldi, V. Lempitsky, Instance Normalization, arXiv:1607.08022.
    #[track_caller]
    pub fn instance_norm(self, weight: Option<Self>, bias: Option<Self>, eps: f64) -> Self {
        self.grouped("instance_norm", None, [weight, bias], eps)
    }

    /// Normalised in groups of channels; by default each channel is one.
    #[track_caller]
    fn grouped(self, op: &'static str, groups: Option<usize>, affine: [Option<Self>; 2], eps: f64) -> Self {
        let shape = self.shape();
        let [weight, bias] = match self.channel_operands(op, affine) {
            Ok(affine) => affine,
            Err(failed) => return failed,
        };
        let (channels, groups) = (shape[1], groups.unwrap_or(shape[1]));
        if groups == 0 && channels > 0 || groups > 0 && !channels.is_multiple_of(groups) {
            return self.fail(op, ErrorKind::Groups { channels, groups });
        }
        let size = Shape::from(&shape[1..]).len() / groups.max(1);
        let y = self.reshape([shape[0], groups, size]).record(LayerNorm { axes: 1, eps }, &[]);
        y.reshape(shape).scaled_and_shifted(weight, bias)
    }

    /// A failed handle unless this shape ends with `normalized` and the operands, a weight and a bias, have that shape.
    #[track_caller]
    fn last_axes<const N: usize>(
        self,
        op: &'static str,
        normalized: &Shape,
        operands: [Option<Self>; N],
    ) -> Result<(), Self> {
        let failed = operands.into_iter().flatten().fold(self, Self::and);
        if !self.shape().ends_with(normalized) {
            let found = format!("{normalized} for {}", self.shape());
            return Err(
                failed.fail(op, ErrorKind::Argument { name: "normalized_shape", must: "the end of the shape", found })
            );
        }
        for (operand, what) in operands.iter().zip(["the weight", "the bias"]) {
            if let Some(Err(kind)) = operand.map(|operand| operand.shape().must_be(what, normalized)) {
                return Err(failed.fail(op, kind));
            }
        }
        Ok(())
    }

    /// Operands of one number for each channel, in a shape that broadcasts along the second axis of this tensor: mean,
    /// variance, weight and bias, or the last ones of them.
    #[track_caller]
    pub(super) fn channel_operands<const N: usize>(
        self,
        op: &'static str,
        operands: [Option<Self>; N],
    ) -> Result<[Option<Self>; N], Self> {
        let shape = self.shape();
        let failed = operands.iter().flatten().fold(self, |all, &operand| all.and(operand));
        let [_, channels, rest @ ..] = &shape[..] else {
            return Err(failed.fail(op, ErrorKind::MinRank { what: "the input", least: 2, found: shape }));
        };
        let names = ["the mean", "the variance", "the weight", "the bias"];
        for (operand, what) in operands.iter().zip(&names[4 - N..]) {
            if let Some(Err(kind)) = operand.map(|operand| operand.shape().must_be(what, &[*channels])) {
                return Err(failed.fail(op, kind));
            }
        }
        let along: Shape = std::iter::once(*channels).chain(rest.iter().map(|_| 1)).collect();
        let mut reshaped = operands;
        for operand in reshaped.iter_mut().flatten() {
            *operand = operand.in_shape(&along);
        }
        Ok(reshaped)
    }

    #[track_caller]
    pub(super) fn scaled_and_shifted(self, weight: Option<Self>, bias: Option<Self>) -> Self {
        let scaled = match weight {
            Some(weight) => self * weight,
            None => self,
        };
        match bias {
            Some(bias) => scaled + bias,
            None => scaled,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Tape;
    use crate::testing::{assert_gradient, failure, sample};

    #[test]
    fn derivatives_of_layer_norm() {
        for (shape, normalized) in
            [(&[2, 3][..], &[3][..]), (&[2, 2, 3], &[2, 3]), (&[4], &[4]), (&[0, 2], &[2]), (&[1, 1], &[1])]
        {
            let (x, w, b) = (sample(shape, 1), sample(normalized, 2), sample(normalized, 3));
            assert_gradient(|x| x[0].layer_norm(normalized, Some(x[1]), Some(x[2]), 0.1), &[x.clone(), w, b]);
            assert_gradient(|x| x[0].layer_norm(normalized, None, None, 0.01), &[x]);
        }
    }

    #[test]
    fn derivatives_of_rms_norm() {
        for (shape, normalized) in [(&[2, 3][..], &[3][..]), (&[2, 2, 3], &[2, 3]), (&[4], &[4]), (&[0, 2], &[2])] {
            let (x, w) = (sample(shape, 1), sample(normalized, 2));
            assert_gradient(|x| x[0].rms_norm(normalized, Some(x[1]), 0.1), &[x.clone(), w]);
            assert_gradient(|x| x[0].rms_norm(normalized, None, 0.01), &[x]);
        }
    }

    #[test]
    fn derivatives_of_group_norm() {
        for (shape, groups) in [(&[2, 4][..], 2), (&[2, 4, 3], 1), (&[1, 4, 2, 2], 2), (&[2, 3, 2], 3), (&[0, 2, 3], 2)]
        {
            let (x, w, b) = (sample(shape, 1), sample(&shape[1..2], 2), sample(&shape[1..2], 3));
            assert_gradient(
                |x| x[0].group_norm(groups, Some(x[1]), Some(x[2]), 0.1),
                &[x.clone(), w.clone(), b.clone()],
            );
            assert_gradient(|x| x[0].instance_norm(Some(x[1]), Some(x[2]), 0.1), &[x.clone(), w, b]);
            assert_gradient(|x| x[0].group_norm(groups, None, None, 0.1), &[x]);
        }
        let tape = Tape::<f64>::new();
        let nothing = tape.constant(crate::Tensor::zeros([2, 0, 3]));
        assert_eq!(nothing.instance_norm(None, None, 0.1).shape(), [2, 0, 3].into());
        assert_eq!(nothing.group_norm(2, None, None, 0.1).shape(), [2, 0, 3].into());
    }

    #[test]
    fn the_third_derivative_exists() {
        assert_gradient(
            |x| {
                let y = x[0].layer_norm([3], None, None, 0.1);
                y.grad(x[0], y * y)
            },
            &[sample(&[2, 3], 1)],
        );
    }

    #[test]
    fn wrong_shapes_are_named() {
        let layer =
            |shapes: [&[usize]; 2], over: &[usize]| failure(&shapes, |x| x[0].layer_norm(over, Some(x[1]), None, 0.1));
        assert_eq!(
            layer([&[2, 3], &[3]], &[2]),
            "layer_norm: normalized_shape must be the end of the shape, found [2] for [2, 3]"
        );
        assert_eq!(layer([&[2, 3], &[2]], &[3]), "layer_norm: the weight must have shape [3], found [2]");
        let rms = failure(&[&[2, 3], &[2]], |x| x[0].rms_norm([3], Some(x[1]), 0.1));
        assert_eq!(rms, "rms_norm: the weight must have shape [3], found [2]");
        let group = |groups| failure(&[&[2, 6], &[6]], |x| x[0].group_norm(groups, Some(x[1]), None, 0.1));
        assert_eq!(group(4), "group_norm: 6 channels do not divide into 4 groups");
        assert_eq!(group(0), "group_norm: 6 channels do not divide into 0 groups");
    }
}
