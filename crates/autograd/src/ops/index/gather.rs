//! Elements picked at indices along an axis, and the ways back.

use crate::error::{ErrorKind, Result};
use crate::float::Float;
use crate::kernel;
use crate::ops::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::shape::Shape;
use crate::tensor::layout::Layout;
use crate::tensor::{Tensor, View};

/// `y[i, j, k] = x[i, index[i, j, k], k]` for axis 1, and so for every axis and rank.
#[derive(Debug, Clone)]
pub(crate) struct Gather {
    pub axis: usize,
}

impl TensorRule for Gather {
    const NAME: &'static str = "gather";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        check_index(x.integers[0], self.axis, x[0])?;
        Ok(x.integers[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let index = &x.integers[0];
        index.must_index(self.axis, x[0].shape())?;
        let gather = |out: &mut [T]| kernel::index::gather(x[0].view(), self.axis, index.list.view(), out);
        Ok(Tensor::build(shape, gather)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let adjoint = ScatterAdd { axis: self.axis, to: rule.x[0].shape() };
        rule.only(rule.g.record_with(adjoint, &[], rule.integers))
    }
}

/// The adjoint of [`Gather`]: zeros of shape `to`, with every element added where it was picked.
#[derive(Debug, Clone)]
pub(crate) struct ScatterAdd {
    pub axis: usize,
    pub to: Shape,
}

impl TensorRule for ScatterAdd {
    const NAME: &'static str = "scatter_add";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        check_source(x, self.axis, &self.to)?;
        Ok(self.to.clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        scattered(x, self.axis, shape, kernel::index::scatter_add)
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record_with(Gather { axis: self.axis }, &[], rule.integers))
    }
}

/// Zeros of shape `to` with every element put where the index says; where several go to one place, the last one stays.
#[derive(Debug, Clone)]
pub(crate) struct Scatter {
    pub axis: usize,
    pub to: Shape,
}

impl TensorRule for Scatter {
    const NAME: &'static str = "scatter";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        check_source(x, self.axis, &self.to)?;
        Ok(self.to.clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        scattered(x, self.axis, shape, kernel::index::scatter)
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record_with(ScatterAdjoint { axis: self.axis }, &[], rule.integers))
    }
}

/// The adjoint of [`Scatter`]: for every element what stands where it was put, if it stayed there, else zero.
#[derive(Debug, Clone)]
pub(crate) struct ScatterAdjoint {
    pub axis: usize,
}

impl TensorRule for ScatterAdjoint {
    const NAME: &'static str = "scatter_adjoint";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        check_index(x.integers[0], self.axis, x[0])?;
        Ok(x.integers[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (axis, index, to) = (self.axis, &x.integers[0], x[0].shape());
        index.must_index(axis, to)?;
        let numbers: Tensor<usize> = (0..shape.len()).collect();
        let numbers = numbers.with_layout(Layout::contiguous(shape.clone()));
        let last = Tensor::build(to.clone(), |last| {
            last.fill(0);
            kernel::index::scatter(numbers.view(), axis, index.list.view(), to, last);
        })?;
        let last =
            Tensor::build(shape.clone(), |out| kernel::index::gather(last.view(), axis, index.list.view(), out))?;
        let gather = |out: &mut [T]| {
            kernel::index::gather(x[0].view(), axis, index.list.view(), out);
            let replaced = last.iter().enumerate().filter(|&(k, last)| k != last);
            replaced.for_each(|(k, _)| out[k] = T::ZERO);
        };
        Ok(Tensor::build(shape, gather)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record_with(Scatter { axis: self.axis, to: rule.x[0].shape() }, &[], rule.integers))
    }
}

/// The index fits `shape`: it has the same rank, and is nowhere larger but along the axis.
fn check_index(index: &Shape, axis: usize, shape: &Shape) -> Result<(), ErrorKind> {
    let fits = |k: usize| k == axis || index[k] <= shape[k];
    if index.rank() == shape.rank() && (0..shape.rank()).all(fits) {
        return Ok(());
    }
    let expected = index.get(axis).map_or(shape.clone(), |&size| shape.with(axis, size));
    index.must_be("the index", &expected)
}

/// The index fits `shape`, and has an element of the source for each place.
fn check_source(x: Shapes<'_>, axis: usize, shape: &Shape) -> Result<(), ErrorKind> {
    check_index(x.integers[0], axis, shape)?;
    x[0].must_be("the source", x.integers[0])
}

/// Zeros of shape `to`, on which a kernel puts the source where the index says.
fn scattered<T: Float>(
    x: Operands<'_, T>,
    axis: usize,
    to: Shape,
    put: fn(View<'_, T>, usize, View<'_, usize>, &Shape, &mut [T]),
) -> Result<Value<T>, ErrorKind> {
    let index = &x.integers[0];
    index.must_index(axis, &to)?;
    Ok(Tensor::build(to.clone(), |out| {
        out.fill(T::ZERO);
        put(x[0].view(), axis, index.list.view(), &to, out);
    })?
    .into())
}
