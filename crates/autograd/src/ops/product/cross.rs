//! The cross product of vectors of three numbers.

use crate::error::{ErrorKind, Result};
use crate::float::Float;
use crate::ops::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The product x × y of vectors of three numbers along an axis; the operands have one shape.
#[derive(Debug, Clone)]
pub(crate) struct Cross {
    pub axis: usize,
}

impl TensorRule for Cross {
    const NAME: &'static str = "cross";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        x[1].must_be("the right operand", x[0])?;
        if x[0][self.axis] != 3 {
            return Err(ErrorKind::Shape { expected: x[0].with(self.axis, 3), found: x[0].clone() });
        }
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (a, b) = (x[0].in_order()?, x[1].in_order()?);
        let inner = Shape::from(&shape[self.axis + 1..]).len();
        let product = Tensor::build(shape, |out| {
            let (Some(a), Some(b)) = (a.as_slice(), b.as_slice()) else { return };
            for (i, z) in out.iter_mut().enumerate() {
                let component = i / inner % 3;
                let start = i - component * inner;
                let (next, last) = (start + (component + 1) % 3 * inner, start + (component + 2) % 3 * inner);
                *z = a[next] * b[last] - a[last] * b[next];
            }
        })?;
        Ok(product.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (a, b, g) = (rule.x[0], rule.x[1], rule.g);
        rule.both(|| b.record(self.clone(), &[g]), || g.record(self.clone(), &[a]))
    }
}

pub(super) fn cross_axis(left: &Shape, right: &Shape, axis: isize) -> Result<(Shape, usize), ErrorKind> {
    let shape = left.broadcast(right)?;
    let axis = shape.axis(axis)?;
    Ok((shape, axis))
}
