//! Products: sums of elementwise products, all through one matrix product.

use super::{Cotangents, TensorRule, Value, Vjp};
use crate::error::Rule;
use crate::float::Float;
use crate::kernel::{self, Write};
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::var::Var;

/// The product of matrices, or of stacks of matrices with equal batch axes.
#[derive(Debug, Clone)]
pub(crate) struct MatMul;

impl TensorRule for MatMul {
    const NAME: &'static str = "matmul";
    const MULTILINEAR: bool = true;

    fn value<T: Float>(&self, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
        let (a, b) = (&x[0], &x[1]);
        let shape = product_shape(a.shape(), b.shape())?;
        Ok(Tensor::build(shape, |out| kernel::matmul::matmul(a.view(), b.view(), out, Write::Replace)).into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (a, b, g) = (rule.x[0], rule.x[1], rule.g);
        rule.both(|| g.record(MatMul, &[b.t()]), || a.t().record(MatMul, &[g]))
    }
}

/// The shape of a matrix product: `[.., m, k] · [.., k, n]` → `[.., m, n]`.
fn product_shape(a: &Shape, b: &Shape) -> Result<Shape, Rule> {
    let [batch @ .., m, k] = &**a else {
        return Err(Rule::Rank { what: "the left operand", expected: 2, found: a.clone() });
    };
    let [batch_b @ .., k_b, n] = &**b else {
        return Err(Rule::Rank { what: "the right operand", expected: 2, found: b.clone() });
    };
    if k != k_b {
        return Err(Rule::InnerSizes { left: a.clone(), right: b.clone() });
    }
    if batch != batch_b {
        return Err(Rule::Broadcast { left: a.clone(), right: b.clone() });
    }
    Ok(batch.iter().copied().chain([*m, *n]).collect())
}

impl<'t, T: Float> Var<'t, T> {
    /// The matrix product, with every rank PyTorch takes: a vector is a row on the left and a column on the right, and
    /// leading axes are a batch that broadcasts.
    ///
    /// Derivative: g·Bᵀ and Aᵀ·g.
    /// Shapes: `[.., m, k] · [.., k, n]` → `[.., m, n]`; `[k]` counts as `[1, k]` on the left and `[k, 1]` on the right,
    /// and that axis is dropped from the result.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let a = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let x = tape.var([1.0_f32, 1.0]);
    /// assert_eq!(a.matmul(x).value()?.to_vec(), [3.0, 7.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn matmul(self, other: Self) -> Self {
        let (left, right) = (self.shape(), other.shape());
        if left.rank() == 2 && right.rank() == 2 {
            return self.record(MatMul, &[other]);
        }
        if left.rank() == 0 || right.rank() == 0 {
            let found = if left.rank() == 0 { left } else { right };
            return self.and(other).fail("matmul", Rule::Rank { what: "an operand", expected: 1, found });
        }
        let a = if left.rank() == 1 { self.unsqueeze(0) } else { self };
        let b = if right.rank() == 1 { other.unsqueeze(-1) } else { other };
        let product = a.matmul_batched(b);
        let product = if right.rank() == 1 { product.squeeze(-1) } else { product };
        if left.rank() == 1 { product.squeeze(if right.rank() == 1 { -1 } else { -2 }) } else { product }
    }

    /// The product of matrices with their batch axes broadcast; both ranks are at least 2.
    #[track_caller]
    fn matmul_batched(self, other: Self) -> Self {
        let (a, b) = (self.shape(), other.shape());
        let (batch_a, batch_b) = (Shape::from(&a[..a.rank() - 2]), Shape::from(&b[..b.rank() - 2]));
        if batch_a == batch_b {
            return self.record(MatMul, &[other]);
        }
        match batch_a.broadcast(&batch_b) {
            Ok(batch) => {
                let with = |matrix: &[usize]| -> Shape { batch.iter().chain(matrix).copied().collect() };
                let a = self.broadcast_to(with(&a[a.rank() - 2..]));
                a.record(MatMul, &[other.broadcast_to(with(&b[b.rank() - 2..]))])
            }
            Err(_) => self.and(other).fail("matmul", Rule::Broadcast { left: a, right: b }),
        }
    }

    /// The inner product Σ xᵢyᵢ of two vectors.
    ///
    /// Derivative: g·y and g·x.
    /// Shapes: `[n] · [n]` → a `Scalar`.
    #[track_caller]
    pub fn dot(self, other: Self) -> Scalar<'t, T> {
        let (left, right) = (self.shape(), other.shape());
        if left.rank() != 1 || left != right {
            return self.and(other).fail("dot", Rule::Shape { expected: left, found: right }).item();
        }
        self.unsqueeze(0).record(MatMul, &[other.unsqueeze(-1)]).item()
    }
}
