//! The affine map of a dense layer, as one operation.

use smallvec::SmallVec;

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::lines::Packed;
use crate::kernel::{self, Write};
use crate::ops::product::MatMul;
use crate::shape::Shape;
use crate::tensor::{Tensor, View};
use crate::var::Var;

/// x·Wᵀ, or x·Wᵀ + b with a third operand. The product starts from the bias, so adding it costs no pass.
#[derive(Debug, Clone)]
pub(crate) struct Linear;

impl TensorRule for Linear {
    const NAME: &'static str = "linear";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let shape = output_shape(x[0], x[1])?;
        if let Some(bias) = x.get(2) {
            bias.must_be("the bias", &x[1][..1])?;
        }
        Ok(shape)
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (weight, bias) = (&x[1], x.get(2));
        let x = as_matrix(&x[0])?;
        let transposed = weight.layout.permute(&[1, 0]);
        let weight = View { data: weight.buffer.as_slice(), layout: &transposed };
        let product = Tensor::build(shape, |out| match bias {
            Some(bias) => kernel::matmul::matmul_plus_row(x.view(), weight, Packed::new(bias.view()).as_slice(), out),
            None => kernel::matmul::matmul(x.view(), weight, out, Write::Replace),
        })?;
        Ok(product.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, weight, g) = (rule.x[0], rule.x[1], rule.g);
        let mut gradients: Cotangents<'t, T> = SmallVec::from_iter([
            rule.operand(0, || g.record(Linear, &[weight.t()])),
            rule.operand(1, || g.rows().t().record(MatMul, &[x.rows()])),
        ]);
        if let Some(bias) = rule.x.get(2) {
            gradients.push(rule.operand(2, || g.sum_to(bias.shape())));
        }
        gradients
    }
}

/// `[.., in]` and `[out, in]` → `[.., out]`.
fn output_shape(x: &Shape, weight: &Shape) -> Result<Shape, ErrorKind> {
    let &[outputs, inputs] = &weight[..] else {
        return Err(ErrorKind::Rank { what: "the weight", expected: 2, found: weight.clone() });
    };
    match &x[..] {
        [] => Err(ErrorKind::MinRank { what: "the input", least: 1, found: x.clone() }),
        [.., last] if *last != inputs => {
            Err(ErrorKind::InnerSizes { left: x.clone(), right: Shape::from([inputs, outputs]) })
        }
        _ => Ok(x.with(x.rank() - 1, outputs)),
    }
}

/// All axes but the last as one.
fn as_matrix<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>, ErrorKind> {
    match x.rank() {
        2 => Ok(x.clone()),
        _ => x.reshape(rows_shape(x.shape())).map_err(|error| error.kind),
    }
}

fn rows_shape(shape: &Shape) -> Shape {
    let (leading, last) = shape.split_at(shape.rank().saturating_sub(1));
    Shape::from([Shape::from(leading).len(), last.first().copied().unwrap_or(1)])
}

/// # Linear maps
impl<'t, T: Float> Var<'t, T> {
    /// The map of a dense layer: x·Wᵀ + b along the last axis, as one operation.
    ///
    /// Derivative: g·W to `x`, gᵀ·x to `weight`, Σg over all axes but the last to `bias`.
    /// Shapes: `[.., in]`, weight `[out, in]`, bias `[out]` → `[.., out]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let weight = tape.var([[1.0_f32, 1.0]]);
    /// let bias = tape.var([0.5_f32]);
    /// let y = x.linear(weight, Some(bias));
    /// assert_eq!(y.value()?.to_vec(), [3.5, 7.5]);
    /// assert_eq!(y.sum().backward()?.of(weight)?.to_vec(), [4.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn linear(self, weight: Self, bias: Option<Self>) -> Self {
        match bias {
            Some(bias) => self.record(Linear, &[weight, bias]),
            None => self.record(Linear, &[weight]),
        }
    }

    /// All axes but the last as one.
    #[track_caller]
    fn rows(self) -> Self {
        let shape = self.shape();
        if shape.rank() == 2 { self } else { self.reshape(rows_shape(&shape)) }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{assert_gradient, failure, sample};
    use crate::{Tape, Tensor};

    #[test]
    fn derivatives_at_every_rank() {
        for shape in [&[3][..], &[2, 3], &[2, 2, 3], &[1, 3], &[0, 3]] {
            let (x, w, b) = (sample(shape, 1), sample(&[4, 3], 2), sample(&[4], 3));
            assert_gradient(|x| x[0].linear(x[1], Some(x[2])), &[x.clone(), w.clone(), b]);
            assert_gradient(|x| x[0].linear(x[1], None), &[x, w]);
        }
    }

    #[test]
    fn no_inputs_leave_the_bias_and_no_outputs_nothing() {
        let tape = Tape::<f32>::new();
        let bias = tape.constant([1.0, 2.0]);
        let y = tape.constant(Tensor::zeros([2, 0])).linear(tape.constant(Tensor::zeros([2, 0])), Some(bias));
        assert_eq!(y.value().unwrap().to_vec(), [1.0, 2.0, 1.0, 2.0]);
        let y = tape.constant(Tensor::zeros([2, 3])).linear(tape.constant(Tensor::zeros([0, 3])), None);
        assert_eq!(y.value().unwrap().shape(), &[2, 0].into());
    }

    #[test]
    fn views_are_read_in_place() {
        let (x, w) = (sample(&[3, 2, 4], 1), sample(&[4, 5], 2));
        assert_gradient(|x| x[0].permute([1, 0, 2]).linear(x[1].t(), None), &[x, w]);
    }

    #[test]
    fn wrong_shapes_are_named() {
        let linear = |shapes: [&[usize]; 3]| failure(&shapes, |x| x[0].linear(x[1], Some(x[2])));
        assert_eq!(linear([&[2, 3], &[4, 5], &[4]]), "linear: inner sizes differ: [2, 3] · [5, 4] (3 ≠ 5)");
        assert_eq!(linear([&[], &[4, 5], &[4]]), "linear: the input must have rank 1 or more, found shape []");
        assert_eq!(linear([&[5], &[4], &[4]]), "linear: the weight must have rank 2, found shape [4]");
        assert_eq!(linear([&[5], &[4, 5], &[1]]), "linear: the bias must have shape [4], found [1]");
    }
}
