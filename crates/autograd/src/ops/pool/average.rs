//! The mean of every window and its adjoint.

use super::planes::{as_planes, output, plane, with_plane};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::Write;
use crate::kernel::pool::{self, Divisor, Window, adaptive_part};
use crate::ops::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The mean of every window.
#[derive(Debug, Clone)]
pub(crate) struct AvgPool {
    pub window: Window,
    pub divisor: Divisor,
}

impl TensorRule for AvgPool {
    const NAME: &'static str = "avg_pool2d";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let output = output(&self.window, as_planes(x[0], 2)?)?;
        match self.divisor {
            Divisor::Fixed(0) => {
                Err(ErrorKind::Argument { name: "divisor", must: "at least 1", found: "0".to_string() })
            }
            _ => Ok(with_plane(x[0], output)),
        }
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| pool::average_pool(x[0].view(), self.window, self.divisor, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let &AvgPool { window, divisor } = self;
        rule.only(rule.g.record(AvgPoolAdjoint { window, divisor, size: plane(&rule.x[0].shape()) }, &[]))
    }
}

/// The adjoint of [`AvgPool`] on planes of `size`: every element gets its share of the windows it is in.
#[derive(Debug, Clone)]
pub(crate) struct AvgPoolAdjoint {
    window: Window,
    divisor: Divisor,
    size: [usize; 2],
}

impl TensorRule for AvgPoolAdjoint {
    const NAME: &'static str = "avg_pool2d_adjoint";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(with_plane(x[0], self.size))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let &AvgPoolAdjoint { window, divisor, size } = self;
        let fill = |out: &mut [T]| pool::average_pool_adjoint(x[0].view(), window, divisor, size, out, Write::Replace);
        Ok(Tensor::build(shape, fill)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let &AvgPoolAdjoint { window, divisor, .. } = self;
        rule.only(rule.g.record(AvgPool { window, divisor }, &[]))
    }
}

/// The mean over each of `parts` parts of an axis of `size`: a matrix `[parts, size]`.
pub(super) fn means_of_parts<T: Float>(size: usize, parts: usize) -> Result<Tensor<T>, ErrorKind> {
    Tensor::tabulated([parts, size].into(), |at| {
        let part = adaptive_part(at[0], size, parts);
        if part.contains(&at[1]) { T::from_f64(1.0 / part.len() as f64) } else { T::ZERO }
    })
}
