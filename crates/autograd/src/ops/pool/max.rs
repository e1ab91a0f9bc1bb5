//! The largest element of every window, and what reads and writes the places it was found at.

use super::planes::{as_planes, check_parts, output, plane, with_plane};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::pool::{self, Window};
use crate::ops::{Cotangents, KeptShape, Operands, Saved, Shapes, TensorRule, Value, Vjp};
use crate::shape::{Shape, len_of};
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;

/// The windows of a maximum.
#[derive(Debug, Clone, Copy)]
pub(super) enum Windows {
    Sliding(Window),
    /// Parts of a plane, as many as this along height and width.
    Parts([usize; 2]),
}

/// The largest element of every window; the place of each is kept.
#[derive(Debug, Clone)]
pub(crate) struct MaxPool {
    pub(super) windows: Windows,
}

impl TensorRule for MaxPool {
    const NAME: &'static str = "max_pool2d";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let output = match self.windows {
            Windows::Sliding(window) => output(&window, as_planes(x[0], 2)?)?,
            Windows::Parts(parts) => check_parts(x[0], parts, 2).map(|()| parts)?,
        };
        Ok(with_plane(x[0], output))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let x = &x[0];
        let (tensor, indices) = Tensor::build_pair([shape.clone(), shape], |out, indices| match self.windows {
            Windows::Sliding(window) => pool::max_pool(x.view(), window, out, indices),
            Windows::Parts(parts) => pool::adaptive_max_pool(x.view(), parts, out, indices),
        })?;
        let below = len_of(&plane(x.shape()));
        Ok(Value { tensor, saved: Saved::Integers(Integers { list: indices, below }) })
    }

    fn kept_shape(&self, _: Shapes<'_>, shape: &Shape) -> KeptShape {
        KeptShape::Integers(shape.clone())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let Some(places) = rule.kept_integers() else { return Cotangents::new() };
        rule.only(rule.g.record_with(Unpick { size: plane(&rule.x[0].shape()) }, &[], &[places]))
    }
}

/// The elements of each plane at places in row-major order.
#[derive(Debug, Clone)]
pub(crate) struct Pick;

impl TensorRule for Pick {
    const NAME: &'static str = "pick";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let shape = with_plane(x[0], plane(x.integers[0]));
        x.integers[0].must_be("the indices", &shape)?;
        Ok(shape)
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let ([height, width], places) = (plane(x[0].shape()), x.integers[0].in_order()?);
        check_places(&places, [height, width])?;
        let per_plane = len_of(&plane(&shape));
        let fill = |out: &mut [T]| pool::pick(x[0].view(), height * width, places.as_slice(), per_plane, out);
        Ok(Tensor::build(shape, fill)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record_with(Unpick { size: plane(&rule.x[0].shape()) }, &[], rule.integers))
    }
}

/// The adjoint of [`Pick`]: elements added to zeros at these places of planes of `size`.
#[derive(Debug, Clone)]
pub(crate) struct Unpick {
    pub size: [usize; 2],
}

impl TensorRule for Unpick {
    const NAME: &'static str = "max_unpool2d";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        as_planes(x[0], 2)?;
        x.integers[0].must_be("the indices", x[0])?;
        Ok(with_plane(x[0], self.size))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let ([height, width], places) = (self.size, x.integers[0].in_order()?);
        check_places(&places, self.size)?;
        let per_plane = len_of(&plane(places.shape()));
        let fill = |out: &mut [T]| pool::unpick(x[0].view(), places.as_slice(), per_plane, height * width, out);
        Ok(Tensor::build(shape, fill)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record_with(Pick, &[], rule.integers))
    }
}

/// The rule that the first place outside of planes of this size breaks.
fn check_places(places: &Integers, size: [usize; 2]) -> Result<(), ErrorKind> {
    let area = len_of(&size);
    places.must_index(0, &Shape::from(area))
}
