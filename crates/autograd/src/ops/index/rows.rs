//! Rows picked at indices along an axis, and the way back.

use crate::error::{ErrorKind, Result};
use crate::float::Float;
use crate::kernel;
use crate::ops::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// `y[i, j, k] = x[i, index[j], k]` for axis 1: whole rows, which are faster to copy than elements. An index of several axes has
/// them all in the place of the axis.
#[derive(Debug, Clone)]
pub(crate) struct IndexSelect {
    pub axis: usize,
}

impl TensorRule for IndexSelect {
    const NAME: &'static str = "index_select";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(with_rows(x[0], self.axis, x.integers[0]))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let index = x.integers[0].in_order()?;
        index.must_index(self.axis, x[0].shape())?;
        let select = |out: &mut [T]| kernel::index::index_select(x[0].view(), self.axis, index.as_slice(), out);
        Ok(Tensor::build(shape, select)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let size = rule.x[0].shape()[self.axis];
        rule.only(rule.g.record_with(IndexAdd { axis: self.axis, size }, &[], rule.integers))
    }
}

/// The adjoint of [`IndexSelect`]: zeros of `size` along the axis, with every row added where it was picked.
#[derive(Debug, Clone)]
pub(crate) struct IndexAdd {
    pub axis: usize,
    pub size: usize,
}

impl TensorRule for IndexAdd {
    const NAME: &'static str = "index_add";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let (before, after) = (&x[0][..self.axis], &x[0][self.axis + x.integers[0].rank()..]);
        Ok(before.iter().chain([&self.size]).chain(after).copied().collect())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let index = x.integers[0].in_order()?;
        index.must_index(self.axis, &shape)?;
        let rows = x[0].reshaped(shape.with(self.axis, index.list.len()))?;
        Ok(Tensor::build(shape.clone(), |out| {
            out.fill(T::ZERO);
            kernel::index::index_add(rows.view(), self.axis, index.as_slice(), &shape, out);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record_with(IndexSelect { axis: self.axis }, &[], rule.integers))
    }
}

/// The elements whose index is another than this one; zeros elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Except {
    pub this: usize,
}

impl TensorRule for Except {
    const NAME: &'static str = "except";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        x.integers[0].must_be("the index", x[0])?;
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (index, x) = (x.integers[0].in_order()?, x[0].in_order()?);
        let elements = |out: &mut [T]| {
            let x = x.as_slice().unwrap_or_default();
            let elements = out.iter_mut().zip(x).zip(index.as_slice());
            elements.for_each(|((y, &x), &index)| *y = if index == self.this { T::ZERO } else { x });
        };
        Ok(Tensor::build(shape, elements)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record_with(self.clone(), &[], rule.integers))
    }
}

/// A shape with the axes of an index in the place of an axis.
fn with_rows(shape: &Shape, axis: usize, index: &Shape) -> Shape {
    shape[..axis].iter().chain(&index[..]).chain(&shape[axis + 1..]).copied().collect()
}

/// The index is a list.
pub(super) fn check_list(index: &Shape) -> Result<(), ErrorKind> {
    match index.rank() {
        0 | 1 => Ok(()),
        _ => Err(ErrorKind::Rank { what: "the index", expected: 1, found: index.clone() }),
    }
}
