//! Parts of tensors along one axis: slices, pieces, reversal. Views both ways; only the adjoint of a slice copies.

use std::ops::RangeBounds;

use smallvec::SmallVec;

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::{self, Write};
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use crate::tensor::index::limits;
use crate::tensor::layout::Layout;
use crate::var::Var;

/// Every `step`-th index from `start` below `end` along one axis; a view.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub axis: usize,
    pub start: usize,
    pub end: usize,
    pub step: usize,
}

impl TensorRule for Slice {
    const NAME: &'static str = "slice";
    const MULTILINEAR: bool = true;
    const IS_VIEW: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        let &Slice { axis, start, end, step } = self;
        if start > end || end > x[0][axis] || step == 0 {
            return Err(ErrorKind::Range { start, end, step, axis, shape: x[0].clone() });
        }
        Ok(x[0].with(axis, (end - start).div_ceil(step)))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, _: Shape) -> Result<Value<T>, ErrorKind> {
        let &Slice { axis, start, end, step } = self;
        Ok(x[0].with_layout(x[0].layout.slice(axis, start, end, step)).into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let &Slice { axis, start, step, .. } = self;
        rule.only(rule.g.record(Embed { axis, start, step, size: rule.x[0].shape()[axis] }, &[]))
    }
}

impl Slice {
    /// Adds the adjoint at `g` to a gradient of the operand. For many slices of one operand, such as the gates of a layer,
    /// that is far less than zeros around each of them and a sum of all.
    pub fn add_adjoint<T: Float>(&self, g: &Tensor<T>, sum: &mut Tensor<T>) {
        let places = Layout::contiguous(sum.shape().clone()).slice(self.axis, self.start, self.end, self.step);
        kernel::scatter::scatter(g.view(), &places, sum.make_mut(), Write::Add);
    }
}

/// The adjoint of [`Slice`]: zeros of size `size` along the axis, with the operand at every `step`-th index from `start`.
#[derive(Debug, Clone)]
pub(crate) struct Embed {
    pub axis: usize,
    pub start: usize,
    pub step: usize,
    pub size: usize,
}

impl Embed {
    /// The slice of the result that holds the operand of size `len` along the axis.
    fn slice(&self, len: usize) -> Slice {
        let end = if len == 0 { self.start } else { self.start + (len - 1) * self.step + 1 };
        Slice { axis: self.axis, start: self.start, end, step: self.step }
    }
}

impl TensorRule for Embed {
    const NAME: &'static str = "embed";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].with(self.axis, self.size))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let x = &x[0];
        let Slice { axis, start, end, step } = self.slice(x.shape()[self.axis]);
        Ok(Tensor::build(shape.clone(), |out| {
            let places = Layout::contiguous(shape).slice(axis, start, end, step);
            out.fill(T::ZERO);
            kernel::scatter::scatter(x.view(), &places, out, Write::Replace);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record(self.slice(rule.x[0].shape()[self.axis]), &[]))
    }
}

/// In reverse order along axes; its own adjoint.
#[derive(Debug, Clone)]
pub(crate) struct Flip {
    pub axes: SmallVec<[usize; 4]>,
}

impl TensorRule for Flip {
    const NAME: &'static str = "flip";
    const MULTILINEAR: bool = true;
    const IS_VIEW: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, _: Shape) -> Result<Value<T>, ErrorKind> {
        let layout = self.axes.iter().fold(x[0].layout.clone(), |layout, &axis| layout.flip(axis));
        Ok(x[0].with_layout(layout).into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record(self.clone(), &[]))
    }
}

/// # Slices and pieces
impl<'t, T: Float> Var<'t, T> {
    /// The elements of `range` along `axis`.
    ///
    /// Derivative: the gradient, with zeros around it.
    /// Shapes: `[.., d, ..]` → `[.., range, ..]`. A range that ends behind the axis is an error.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.slice(-1, 1..).value()?.to_vec(), [2.0, 3.0, 5.0, 6.0]);
    /// assert_eq!(x.slice(1, ..1).sum().backward()?.of(x)?.to_vec(), [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn slice(self, axis: isize, range: impl RangeBounds<usize>) -> Self {
        self.slice_step(axis, range, 1).called("slice")
    }

    /// Every `step`-th element of `range` along `axis`, beginning with the first.
    ///
    /// Derivative: the gradient, with zeros between and around.
    /// Shapes: `[.., d, ..]` → `[.., ⌈range / step⌉, ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Even places.
    /// let x = tape.var([1.0_f32, 2.0, 3.0, 4.0, 5.0]);
    /// let y = x.slice_step(0, .., 2);
    /// assert_eq!(y.value()?.to_vec(), [1.0, 3.0, 5.0]);
    /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [1.0, 0.0, 1.0, 0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn slice_step(self, axis: isize, range: impl RangeBounds<usize>, step: usize) -> Self {
        let shape = self.shape();
        let axis = match shape.axis(axis) {
            Ok(axis) => axis,
            Err(kind) => return self.fail("slice_step", kind),
        };
        let (start, end) = limits(range, shape[axis]);
        self.record(Slice { axis, start, end, step }, &[]).called("slice_step")
    }

    /// `len` elements along `axis` from `start` on.
    ///
    /// Derivative: the gradient, with zeros around it.
    /// Shapes: `[.., d, ..]` → `[.., len, ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // A batch of two samples from the second on.
    /// let samples = tape.constant([[1.0_f32], [2.0], [3.0], [4.0]]);
    /// assert_eq!(samples.narrow(0, 1, 2).value()?, [[2.0], [3.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn narrow(self, axis: isize, start: usize, len: usize) -> Self {
        self.slice(axis, start..start.saturating_add(len)).called("narrow")
    }

    /// The elements at `index` along `axis`, without that axis (`select` in PyTorch).
    ///
    /// Derivative: the gradient at that index, zeros elsewhere.
    /// Shapes: `[.., d, ..]` → `[.., ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The last step of a sequence.
    /// let x = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let last = x.index_axis(0, 1);
    /// assert_eq!(last.value()?.to_vec(), [3.0, 4.0]);
    /// assert_eq!(last.sum().backward()?.of(x)?, [[0.0, 0.0], [1.0, 1.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn index_axis(self, axis: isize, index: usize) -> Self {
        let shape = self.shape();
        match shape.axis(axis) {
            Ok(axis) if index >= shape[axis] => self.fail("index_axis", ErrorKind::Index { index, axis, shape }),
            Ok(position) => self.slice(axis, index..index + 1).reshape(shape.reduced(&[position])),
            Err(kind) => self.fail("index_axis", kind),
        }
    }

    /// In reverse order along each of `axes`.
    ///
    /// Derivative: the gradient, reversed.
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // A sum from the end.
    /// let rewards = tape.constant([1.0_f32, 2.0, 4.0]);
    /// let returns = rewards.flip(0).cumsum(0).flip(0);
    /// assert_eq!(returns.value()?.to_vec(), [7.0, 6.0, 4.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn flip(self, axes: impl Into<Axes>) -> Self {
        match self.shape().axes(&axes.into()) {
            Ok(axes) => self.record(Flip { axes }, &[]),
            Err(kind) => self.fail("flip", kind),
        }
    }

    /// Pieces of `size` along `axis`, in order; the last one is smaller when the axis does not divide.
    ///
    /// Derivative: each piece gives the gradient of its part.
    /// Shapes: `[.., d, ..]` → ⌈d / size⌉ of `[.., size, ..]`; after a failure, one failed handle.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let pieces = tape.var([1.0_f32, 2.0, 3.0, 4.0, 5.0]).split(2, 0);
    /// assert_eq!(pieces.len(), 3);
    /// assert_eq!(pieces[2].value()?.to_vec(), [5.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn split(self, size: usize, axis: isize) -> Vec<Self> {
        let shape = self.shape();
        let total = match shape.axis(axis) {
            Ok(axis) => shape[axis],
            Err(kind) => return vec![self.fail("split", kind)],
        };
        if size == 0 {
            let kind = ErrorKind::Argument { name: "size", must: "at least 1", found: "0".to_string() };
            return vec![self.fail("split", kind)];
        }
        // An axis of size zero is one empty piece, as in PyTorch.
        let count = total.div_ceil(size).max(1);
        if let Err(kind) = self.tape.must_have_room(count) {
            return vec![self.fail("split", kind)];
        }
        let mut pieces = Vec::with_capacity(count);
        for start in (0..total.max(1)).step_by(size) {
            pieces.push(self.slice(axis, start..total.min(start.saturating_add(size))));
        }
        pieces
    }

    /// Consecutive pieces of the given sizes along `axis`, which must add up to it.
    ///
    /// Derivative: each piece gives the gradient of its part.
    /// Shapes: `[.., d, ..]` → `[.., sizes[0], ..]`, `[.., sizes[1], ..]`, …; after a failure, as many failed handles.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([1.0_f32, 2.0, 3.0]);
    /// let parts = x.split_sizes(&[2, 1], 0);
    /// assert_eq!((parts[0].value()?, parts[1].value()?), ([1.0, 2.0].into(), [3.0].into()));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn split_sizes(self, sizes: &[usize], axis: isize) -> Vec<Self> {
        let shape = self.shape();
        let total = sizes.iter().try_fold(0_usize, |total, &size| total.checked_add(size));
        let kind = match shape.axis(axis) {
            Ok(axis) if total == Some(shape[axis]) => None,
            Ok(axis) => Some(ErrorKind::Range { start: 0, end: total.unwrap_or(usize::MAX), step: 1, axis, shape }),
            Err(kind) => Some(kind),
        };
        if let Some(kind) = kind {
            return vec![self.fail("split_sizes", kind); sizes.len()];
        }
        let (mut pieces, mut start) = (Vec::with_capacity(sizes.len()), 0);
        for &size in sizes {
            pieces.push(self.narrow(axis, start, size));
            start += size;
        }
        pieces
    }

    /// At most `n` equal pieces along `axis`, as PyTorch cuts them: of size ⌈d / n⌉, the last one smaller.
    ///
    /// Derivative: each piece gives the gradient of its part.
    /// Shapes: `[.., d, ..]` → n of `[.., ⌈d / n⌉, ..]`; after a failure, one failed handle.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // Queries, keys and values of one product.
    /// let x = tape.constant(Tensor::<f32>::zeros([5, 12]));
    /// let shapes: Vec<_> = x.chunk(3, -1).into_iter().map(|part| part.shape().to_string()).collect();
    /// assert_eq!(shapes, ["[5, 4]", "[5, 4]", "[5, 4]"]);
    /// ```
    #[track_caller]
    pub fn chunk(self, n: usize, axis: isize) -> Vec<Self> {
        if n == 0 {
            let kind = ErrorKind::Argument { name: "the number of pieces", must: "at least 1", found: "0".to_string() };
            return vec![self.fail("chunk", kind)];
        }
        let mut pieces = self.split(self.size(axis).div_ceil(n).max(1), axis);
        for piece in &mut pieces {
            *piece = piece.called("chunk");
        }
        pieces
    }

    /// The parts at each index along `axis`, without that axis.
    ///
    /// Derivative: each part gives the gradient of its place.
    /// Shapes: `[.., d, ..]` → d of `[.., ..]`; after a failure, one failed handle.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // One step of a sequence after the other.
    /// let x = tape.constant([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let decayed = x.unbind(0).into_iter().reduce(|state, step| 0.5 * state + step);
    /// assert_eq!(decayed.map(|state| state.value()), Some(Ok([3.5, 5.0].into())));
    /// ```
    #[track_caller]
    pub fn unbind(self, axis: isize) -> Vec<Self> {
        if let Err(kind) = self.shape().axis(axis) {
            return vec![self.fail("unbind", kind)];
        }
        let count = self.size(axis);
        if let Err(kind) = self.tape.must_have_room(count) {
            return vec![self.fail("unbind", kind)];
        }
        let mut parts = Vec::with_capacity(count);
        for index in 0..count {
            parts.push(self.index_axis(axis, index));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    fn values(pieces: &[Var<'_, f64>]) -> Vec<Vec<f64>> {
        pieces.iter().map(|piece| piece.value().unwrap().to_vec()).collect()
    }

    #[test]
    fn parts_have_their_derivatives() {
        let x = &[sample(&[4, 5], 1)];
        assert_gradient(|x| x[0].square().slice_step(1, 1..5, 2), x);
        assert_gradient(|x| x[0].square().t().slice(0, ..0), x);
        assert_gradient(|x| x[0].square().narrow(-2, 1, 2).index_axis(0, 1), x);
        assert_gradient(|x| x[0].square().flip([0, -1]) * x[0], x);
        assert_gradient(
            |x| x[0].split(2, 1).into_iter().map(|y| y.square().sum_axes(1)).reduce(|a, b| a * b).unwrap(),
            x,
        );
        assert_gradient(|x| x[0].unbind(0).into_iter().reduce(|a, b| a * b).unwrap(), x);
    }

    #[test]
    fn pieces_cover_the_axis() {
        let tape = Tape::new();
        let x = tape.var([1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(values(&x.split(2, 0)), [vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0]]);
        assert_eq!(values(&x.split(usize::MAX, -1)), [vec![1.0, 2.0, 3.0, 4.0, 5.0]]);
        assert_eq!(values(&x.split_sizes(&[0, 4, 1], 0)), [vec![], vec![1.0, 2.0, 3.0, 4.0], vec![5.0]]);
        assert_eq!(values(&x.chunk(4, 0)), [vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0]]);
        assert_eq!(values(&tape.var(Tensor::zeros([0])).split(3, 0)), [Vec::<f64>::new()]);
        assert_eq!(values(&tape.var([[1.0, 2.0], [3.0, 4.0]]).unbind(1)), [[1.0, 3.0], [2.0, 4.0]]);
    }

    #[test]
    fn wrong_parts_are_named() {
        let x = |_: &Tape<f64>| Tensor::zeros([2, 3]);
        assert_fails(|t| t.var(x(t)).slice(1, 2..5), "slice: range 2..5 step 1 does not fit axis 1 of shape [2, 3]");
        assert_fails(
            |t| t.var(x(t)).slice_step(1, .., 0),
            "slice_step: range 0..3 step 0 does not fit axis 1 of shape [2, 3]",
        );
        assert_fails(
            |t| t.var(x(t)).narrow(0, 2, usize::MAX),
            &format!("narrow: range 2..{} step 1 does not fit axis 0 of shape [2, 3]", usize::MAX),
        );
        assert_fails(
            |t| t.var(x(t)).index_axis(0, 2),
            "index_axis: index 2 is out of range for axis 0 of shape [2, 3]",
        );
        assert_fails(|t| t.var(x(t)).flip(2), "flip: axis 2 is out of range for shape [2, 3]");
        assert_fails(|t| t.var(x(t)).split(0, 1)[0], "split: size must be at least 1, found 0");
        assert_fails(|t| t.var(x(t)).chunk(0, 1)[0], "chunk: the number of pieces must be at least 1, found 0");
        assert_fails(
            |t| t.var(x(t)).split_sizes(&[1, 1], 1)[1],
            "split_sizes: range 0..2 step 1 does not fit axis 1 of shape [2, 3]",
        );
        assert_fails(|t| t.var(x(t)).unbind(2)[0], "unbind: axis 2 is out of range for shape [2, 3]");
    }
}
