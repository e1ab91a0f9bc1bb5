//! The operations: sums and products.

use smallvec::SmallVec;

use crate::error::{ErrorKind, Result};
use crate::float::Float;
use crate::kernel;
use crate::kernel::scan::Direction;
use crate::ops::scan::CumProd;
use crate::ops::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use crate::var::Var;

/// The sum over axes, which stay with size one.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    /// Ascending.
    pub axes: SmallVec<[usize; 4]>,
}

impl TensorRule for Sum {
    const NAME: &'static str = "sum";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].keep_reduced(&self.axes))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| kernel::reduce::sum(x[0].view(), &self.axes, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.broadcast_to(rule.x[0].shape()))
    }
}

/// The product over axes, which stay with size one.
#[derive(Debug, Clone)]
pub(crate) struct Prod {
    /// Ascending.
    pub axes: SmallVec<[usize; 4]>,
}

impl TensorRule for Prod {
    const NAME: &'static str = "prod";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].keep_reduced(&self.axes))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| kernel::reduce::product(x[0].view(), &self.axes, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g * others(rule.x[0], &self.axes))
    }
}

/// For each element the product of the others over `axes`: of those before it and of those behind it. There is no quotient, so
/// zeros do no harm to derivatives of any order.
fn others<'t, T: Float>(x: Var<'t, T>, axes: &[usize]) -> Var<'t, T> {
    if let &[axis] = axes {
        return others_along(x, axis);
    }
    let shape = x.shape();
    let order = to_end(shape.rank(), axes);
    let at_end: Shape = order.iter().map(|&axis| shape[axis]).collect();
    let back: Axes = (0..order.len()).map(|axis| order.iter().position(|&k| k == axis).unwrap_or(0) as isize).collect();
    others_along(x.in_rows(axes), 1).reshape(at_end).permute(back)
}

fn others_along<'t, T: Float>(x: Var<'t, T>, axis: usize) -> Var<'t, T> {
    let [before, behind] = [Direction::Forward, Direction::Backward]
        .map(|direction| x.record(CumProd { axis, direction }, &[]).shifted(axis as isize, direction, 1.0));
    before.masked_mul(behind)
}

/// The axes in the order that puts `axes` behind the others.
pub(super) fn to_end(rank: usize, axes: &[usize]) -> SmallVec<[usize; 4]> {
    (0..rank).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect()
}
