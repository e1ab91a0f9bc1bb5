//! Padding: more elements before and after along axes.

use smallvec::SmallVec;

use super::index::IndexSelect;
use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::{self, Write};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::layout::Layout;
use crate::var::Var;

/// What stands in the padding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PadMode {
    /// A number.
    Constant(f64),
    /// The elements inside the edge, mirrored; the edge itself once: `c b | a b c | b a`.
    Reflect,
    /// The element at the edge: `a a | a b c | c c`.
    Replicate,
    /// The elements from the other end: `b c | a b c | a b`.
    Circular,
}

/// A constant around the operand.
#[derive(Debug, Clone)]
pub(crate) struct Pad {
    /// How many elements stand before and after the operand along each axis.
    pub counts: SmallVec<[(usize, usize); 4]>,
    pub value: f64,
}

impl TensorRule for Pad {
    const NAME: &'static str = "pad";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Shape::computed(x[0].iter().zip(&self.counts).map(|(&size, &counts)| padded(size, counts)))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let x = &x[0];
        let inside = |layout: Layout, axis: usize| {
            let start = self.counts[axis].0;
            layout.slice(axis, start, start + x.shape()[axis], 1)
        };
        Ok(Tensor::build(shape.clone(), |out| {
            let places = (0..x.rank()).fold(Layout::contiguous(shape), inside);
            out.fill(T::from_f64(self.value));
            kernel::scatter::scatter(x.view(), &places, out, Write::Replace);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let shape = rule.x[0].shape();
        let inside = |g: Var<'t, T>, axis: usize| g.narrow(axis as isize, self.counts[axis].0, shape[axis]);
        rule.only((0..shape.rank()).fold(rule.g, inside))
    }
}

/// # Padding
impl<'t, T: Float> Var<'t, T> {
    /// More elements before and after along axes; negative counts take elements away.
    ///
    /// `counts` are (before, after) for each axis in order; fewer pairs than axes are for the last axes.
    ///
    /// Derivative: each element gets the sum of the gradients of its copies.
    /// Shapes: `[.., d, ..]` → `[.., before + d + after, ..]`. Reflection needs counts below d, circular padding at most
    /// d, replication an element.
    ///
    /// ```
    /// use autograd::{PadMode, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 2.0, 3.0]);
    /// let y = x.pad(&[(2, 1)], PadMode::Reflect);
    /// assert_eq!(y.value()?.to_vec(), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [1.0, 3.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn pad(self, counts: &[(isize, isize)], padding: PadMode) -> Self {
        let shape = self.shape();
        let Some(skip) = shape.rank().checked_sub(counts.len()) else {
            return self.fail("pad", ErrorKind::AxisCount { axes: counts.len(), shape });
        };
        let mut cropped = self;
        for (k, &(before, after)) in counts.iter().enumerate() {
            let (start, size) = (before.min(0).unsigned_abs(), shape[skip + k]);
            let end = size.saturating_sub(after.min(0).unsigned_abs());
            if start > end {
                return self.fail("pad", ErrorKind::Range { start, end, step: 1, axis: skip + k, shape });
            }
            if end - start < size {
                cropped = cropped.slice((skip + k) as isize, start..end);
            }
        }
        let counts: SmallVec<[(usize, usize); 4]> = std::iter::repeat_n((0, 0), skip)
            .chain(counts.iter().map(|&(before, after)| (before.max(0) as usize, after.max(0) as usize)))
            .collect();
        match padding {
            PadMode::Constant(_) if counts.iter().all(|&count| count == (0, 0)) => cropped,
            PadMode::Constant(value) => cropped.record(Pad { counts, value }, &[]),
            _ => cropped.pad_by_index(&counts, padding),
        }
    }

    #[track_caller]
    fn pad_by_index(self, counts: &[(usize, usize)], padding: PadMode) -> Self {
        let mut padded = self;
        for (axis, &(before, after)) in counts.iter().enumerate().filter(|&(_, &count)| count != (0, 0)) {
            let size = padded.shape().get(axis).copied().unwrap_or(0);
            let (most, must) = match padding {
                PadMode::Reflect => (size.saturating_sub(1), "below the size of the axis for reflection"),
                PadMode::Circular => (size, "at most the size of the axis for circular padding"),
                _ => (if size == 0 { 0 } else { usize::MAX }, "on an axis with elements for replication"),
            };
            if before > most || after > most {
                let found = format!("({before}, {after}) for axis {axis} of shape {}", padded.shape());
                return padded.fail("pad", ErrorKind::Argument { name: "counts", must, found });
            }
            let index = Shape::computed([self::padded(size, (before, after))]).and_then(|len| {
                Tensor::build(len, |index| {
                    let places = index.iter_mut().zip(-(before as isize)..);
                    places.for_each(|(place, i)| *place = source(i, size as isize, padding) as usize);
                })
            });
            padded = match index {
                Ok(index) => padded.record_with(IndexSelect { axis }, &[], &[padded.tape.indices(index)]),
                Err(kind) => padded.fail("pad", kind),
            };
        }
        padded
    }
}

/// The size of an axis with so many elements more before and after it.
fn padded(size: usize, (before, after): (usize, usize)) -> Option<usize> {
    size.checked_add(before)?.checked_add(after)
}

/// The element of an axis of `size` that stands at `i`, which may lie outside.
fn source(i: isize, size: isize, padding: PadMode) -> isize {
    match padding {
        PadMode::Reflect if i < 0 => -i,
        PadMode::Reflect if i >= size => 2 * (size - 1) - i,
        PadMode::Circular => i.rem_euclid(size),
        _ => i.clamp(0, size - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn every_kind_has_its_derivatives() {
        let x = &[sample(&[2, 4], 1)];
        for padding in [PadMode::Constant(0.5), PadMode::Reflect, PadMode::Replicate, PadMode::Circular] {
            assert_gradient(|x| x[0].square().pad(&[(1, 0), (-1, 2)], padding), x);
            assert_gradient(|x| x[0].square().t().pad(&[(0, 1)], padding), x);
        }
    }

    #[test]
    fn what_stands_in_the_padding() {
        let tape = Tape::new();
        let x = tape.var([1.0, 2.0, 3.0]);
        let padded = |counts, padding| x.pad(&[counts], padding).value().unwrap().to_vec();
        assert_eq!(padded((1, 2), PadMode::Constant(7.0)), [7.0, 1.0, 2.0, 3.0, 7.0, 7.0]);
        assert_eq!(padded((2, 2), PadMode::Reflect), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        assert_eq!(padded((2, 1), PadMode::Replicate), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(padded((3, 1), PadMode::Circular), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]);
        assert_eq!(padded((-1, 1), PadMode::Constant(0.0)), [2.0, 3.0, 0.0]);
        assert_eq!(padded((-1, -2), PadMode::Constant(0.0)), []);
        assert_eq!(
            tape.var(Tensor::zeros([0])).pad(&[(1, 1)], PadMode::Constant(2.0)).value().unwrap().to_vec(),
            [2.0; 2]
        );
        assert_eq!(tape.var(4.0).pad(&[], PadMode::Reflect).value().unwrap().to_vec(), [4.0]);
    }

    #[test]
    fn wrong_counts_are_named() {
        assert_fails(|t| t.var([1.0]).pad(&[(0, 0), (1, 1)], PadMode::Reflect), "pad: 2 axes are given for shape [1]");
        assert_fails(
            |t| t.var([1.0, 2.0]).pad(&[(2, 0)], PadMode::Reflect),
            "pad: counts must be below the size of the axis for reflection, found (2, 0) for axis 0 of shape [2]",
        );
        assert_fails(
            |t| t.var([1.0, 2.0]).pad(&[(0, 3)], PadMode::Circular),
            "pad: counts must be at most the size of the axis for circular padding, found (0, 3) for axis 0 of shape [2]",
        );
        assert_fails(
            |t| t.var(Tensor::zeros([0])).pad(&[(0, 1)], PadMode::Replicate),
            "pad: counts must be on an axis with elements for replication, found (0, 1) for axis 0 of shape [0]",
        );
        assert_fails(
            |t| t.var([1.0, 2.0]).pad(&[(-2, -1)], PadMode::Constant(0.0)),
            "pad: range 2..1 step 1 does not fit axis 0 of shape [2]",
        );
        assert!(Tape::new().var([1.0]).pad(&[(isize::MAX, isize::MAX)], PadMode::Constant(0.0)).value().is_err());
    }
}
