//! Several tensors in one: along an axis, or along a new one.

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::{Error, ErrorKind};
use crate::float::Float;
use crate::kernel::lines::Lines;
use crate::kernel::{self, Write};
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::tensor::layout::Layout;
use crate::var::Var;

/// The operands one after the other along an axis.
#[derive(Debug, Clone)]
pub(crate) struct Cat {
    pub axis: usize,
}

impl TensorRule for Cat {
    const NAME: &'static str = "cat";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let first = *x.first().ok_or(ErrorKind::NoOperands)?;
        let mut total = Some(0_usize);
        for &found in x.tensors {
            let expected = match found.get(self.axis) {
                Some(&size) => first.with(self.axis, size),
                None => first.clone(),
            };
            if *found != expected {
                return Err(ErrorKind::Shape { expected, found: found.clone() });
            }
            total = total.and_then(|total| total.checked_add(found[self.axis]));
        }
        Shape::computed(first.iter().enumerate().map(|(k, &size)| if k == self.axis { total } else { Some(size) }))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape.clone(), |out| {
            let mut start = 0;
            for x in x.tensors {
                self.put(x, start, &shape, out);
                start += x.shape()[self.axis];
            }
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let mut start = 0;
        let mut part = |i: usize| {
            let (first, size) = (start, rule.x[i].shape()[self.axis]);
            start += size;
            rule.operand(i, || rule.g.narrow(self.axis as isize, first, size))
        };
        (0..rule.x.len()).map(&mut part).collect()
    }
}

impl Cat {
    /// Copies `x` to its place in `out`, which begins at `start` along the axis.
    fn put<T: Float>(&self, x: &Tensor<T>, start: usize, shape: &Shape, out: &mut [T]) {
        let (whole, part) = (Lines::new(shape, self.axis), Lines::new(x.shape(), self.axis));
        match x.as_slice() {
            _ if x.is_empty() => {}
            Some(x) => {
                for (to, from) in out.chunks_exact_mut(whole.slab()).zip(x.chunks_exact(part.slab())) {
                    to[start * whole.inner..][..from.len()].copy_from_slice(from);
                }
            }
            None => {
                let places = Layout::contiguous(shape.clone()).slice(self.axis, start, start + part.len, 1);
                kernel::scatter::scatter(x.view(), &places, out, Write::Replace);
            }
        }
    }
}

/// Tensors one after the other along `axis`.
///
/// Derivative: each operand gets its part of the gradient.
/// Shapes: `[.., d₁, ..]`, `[.., d₂, ..]`, … → `[.., d₁ + d₂ + …, ..]`, with equal sizes along the other axes.
///
/// ```
/// use autograd::{Tape, cat};
///
/// let tape = Tape::new();
/// let (x, y) = (tape.var([1.0_f32, 2.0]), tape.var([3.0_f32]));
/// let both = cat(&[x, y], 0);
/// assert_eq!(both.value()?.to_vec(), [1.0, 2.0, 3.0]);
/// assert_eq!((both * both).sum().backward()?.of(y)?.to_vec(), [6.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn cat<'t, T: Float>(operands: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
    let Some((&first, others)) = operands.split_first() else {
        return without_operands("cat");
    };
    match first.shape().axis(axis) {
        Ok(axis) => first.record(Cat { axis }, others),
        Err(kind) => others.iter().fold(first, |first, &other| first.and(other)).fail("cat", kind),
    }
}

/// Tensors of one shape along a new axis, at `axis` of the result.
///
/// Derivative: each operand gets its part of the gradient.
/// Shapes: n of `[.., ..]` → `[.., n, ..]`.
///
/// ```
/// use autograd::{Tape, stack};
///
/// let tape = Tape::new();
/// let (x, y) = (tape.var([1.0_f32, 2.0]), tape.var([3.0_f32, 4.0]));
/// assert_eq!(stack(&[x, y], -1).value()?.to_vec(), [1.0, 3.0, 2.0, 4.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn stack<'t, T: Float>(operands: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
    let Some(&first) = operands.first() else {
        return without_operands("stack");
    };
    let shape = first.shape();
    if let Some(other) = operands.iter().find(|other| !other.is_failed() && other.shape() != shape) {
        return first.fail("stack", ErrorKind::Shape { expected: shape, found: other.shape() });
    }
    let mut raised = Vec::with_capacity(operands.len());
    for operand in operands {
        raised.push(operand.unsqueeze(axis));
    }
    cat(&raised, axis).called("stack")
}

/// A list without handles names no tape, so its failure gets a tape of its own, which is never freed.
#[cold]
#[track_caller]
pub(super) fn without_operands<'t, T: Float>(op: &'static str) -> Var<'t, T> {
    let tape: &'t Tape<T> = Box::leak(Box::new(Tape::new()));
    Var::new(tape, tape.fail(Error::new(op, ErrorKind::NoOperands)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn both_have_their_derivatives() {
        let x = &[sample(&[2, 3], 1), sample(&[2, 1], 2), sample(&[3, 2], 3)];
        assert_gradient(|x| cat(&[x[0].square(), x[1] * x[1], x[2].t()], 1), x);
        assert_gradient(|x| cat(&[x[0].t(), x[2], x[2].square()], 1), x);
        assert_gradient(|x| stack(&[x[0].square(), x[2].t(), x[0]], -1) * x[1].unsqueeze(-1), x);
        assert_gradient(|x| cat(&[x[0].sin()], 0), &[sample(&[4], 4)]);
    }

    #[test]
    fn places() {
        let tape = Tape::new();
        let (x, y) = (tape.var([[1.0, 2.0], [3.0, 4.0]]), tape.var([[5.0, 6.0], [7.0, 8.0]]));
        let empty = tape.var(Tensor::zeros([2, 0]));
        let value = |y: Var<'_, f64>| y.value().unwrap().to_vec();
        assert_eq!(value(cat(&[x, empty, y.t()], 1)), [1.0, 2.0, 5.0, 7.0, 3.0, 4.0, 6.0, 8.0]);
        assert_eq!(value(cat(&[x, y], -2)), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(value(stack(&[x, y], 1)), [1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]);
        assert_eq!(value(stack(&[x.sum_axes([0, 1]), y.sum_axes([0, 1])], 0)), [10.0, 26.0]);
        assert_eq!(cat(&[empty, empty], 0).value().unwrap().shape(), &[4, 0].into());
    }

    #[test]
    fn wrong_operands_are_named() {
        let pair = |t: &Tape<f64>| (t.var([[1.0, 2.0]]).slot, t.var([1.0, 2.0]).slot);
        assert_fails(
            |t| {
                let (x, y) = pair(t);
                cat(&[Var::new(t, x), Var::new(t, y)], 0)
            },
            "cat: shapes differ: expected [2, 2], found [2]",
        );
        assert_fails(|t| cat(&[t.var(1.0)], 0), "cat: axis 0 is out of range for shape []");
        assert_fails(|t| stack(&[t.var([1.0]), t.var(1.0)], 0), "stack: shapes differ: expected [1], found []");
        assert_fails(|t| stack(&[t.var([1.0])], 2), "stack: axis 2 is out of range for shape [1]");
        assert_fails(|_| cat(&[], 0), "cat: needs at least one operand");
        let (a, b) = (Tape::new(), Tape::new());
        let error = cat(&[a.var([1.0]), b.var([1.0])], 0).value().unwrap_err();
        assert!(error.to_string().starts_with("cat: operands are on different tapes, at "));
    }
}
