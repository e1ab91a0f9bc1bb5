//! Element access, and views: the same elements looked at differently, without moving one.
//!
//! Axes count from the end when negative. Every function that returns a `Result` names the wrong axis, index or shape.

use std::iter::FusedIterator;
use std::ops::{Bound, RangeBounds};

use smallvec::SmallVec;

use super::buffer::{Buffer, has_room};
use super::layout::Layout;
use super::{Tensor, View, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Element;
use crate::kernel;
use crate::shape::{Axes, Shape};

/// # Elements, shapes and views
impl<E: Element> Tensor<E> {
    /// The element at `index`, one number per axis; `None` outside.
    pub fn get(&self, index: &[usize]) -> Option<E> {
        self.layout.position(index).map(|position| self.buffer.as_slice()[position])
    }

    /// The element at `index` for writing; `None` outside. Elements that other tensors see are copied first.
    pub fn get_mut(&mut self, index: &[usize]) -> Option<&mut E> {
        self.layout.position(index)?;
        self.make_mut();
        let position = self.layout.position(index)?;
        Some(&mut self.buffer.get_mut()?[position])
    }

    /// The elements, by value, in row-major order.
    pub fn iter(&self) -> Elements<'_, E> {
        self.view().iter()
    }

    /// The same elements in row-major order under another shape. Copies only if strides cannot say it.
    ///
    /// ```
    /// # use autograd::Tensor;
    /// let x = Tensor::from([1, 2, 3, 4, 5, 6]).reshape([2, 3])?;
    /// assert_eq!(x, Tensor::from([[1, 2, 3], [4, 5, 6]]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ElementCount`] when the shapes differ in their number of elements.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Self> {
        let shape = shape.into();
        if shape.len() != self.len() {
            let kind = ErrorKind::ElementCount { from: self.shape().clone(), to: shape };
            return Err(Error::new("reshape", kind));
        }
        self.reshaped(shape).map_err(Error::at("reshape"))
    }

    pub(crate) fn reshaped(&self, shape: Shape) -> Result<Self, ErrorKind> {
        match self.layout.reshape(&shape) {
            Some(layout) => Ok(self.with_layout(layout)),
            None => Ok(Self { layout: Layout::contiguous(shape), ..self.to_contiguous()? }),
        }
    }

    /// All elements along one axis, in row-major order.
    pub fn flatten(&self) -> Self {
        self.reshaped(Shape::from(self.len())).unwrap_or_else(refused)
    }

    /// This tensor, copied if its elements do not lie in row-major order.
    pub fn contiguous(&self) -> Self {
        self.in_order().unwrap_or_else(refused)
    }

    /// As [`contiguous`](Self::contiguous), unless memory has no room for the copy.
    pub(crate) fn in_order(&self) -> Result<Self, ErrorKind> {
        if self.layout.is_contiguous() { Ok(self.clone()) } else { self.to_contiguous() }
    }

    /// The axes in another order: axis `k` of the result is axis `axes[k]` of this tensor.
    ///
    /// # Errors
    /// [`ErrorKind::AxisCount`], [`ErrorKind::Axis`] or [`ErrorKind::RepeatedAxis`] unless every axis is named once.
    #[track_caller]
    pub fn permute(&self, axes: impl Into<Axes>) -> Result<Self> {
        let order = self.order(&axes.into()).map_err(Error::at("permute"))?;
        Ok(self.with_layout(self.layout.permute(&order)))
    }

    fn order(&self, axes: &Axes) -> Result<SmallVec<[usize; 4]>, ErrorKind> {
        self.shape().axes(axes)?;
        if axes.len() != self.rank() {
            return Err(ErrorKind::AxisCount { axes: axes.len(), shape: self.shape().clone() });
        }
        axes.iter().map(|&axis| self.shape().axis(axis)).collect()
    }

    /// Axes `a` and `b` swapped.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`].
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Result<Self> {
        self.swapped(a, b).map_err(Error::at("transpose"))
    }

    /// The last two axes swapped: each matrix transposed.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] when there are less than two axes.
    #[track_caller]
    pub fn t(&self) -> Result<Self> {
        self.swapped(-2, -1).map_err(Error::at("t"))
    }

    fn swapped(&self, a: isize, b: isize) -> Result<Self, ErrorKind> {
        let mut order: SmallVec<[usize; 4]> = (0..self.rank()).collect();
        order.swap(self.shape().axis(a)?, self.shape().axis(b)?);
        Ok(self.with_layout(self.layout.permute(&order)))
    }

    /// Without the axis `axis`, if it has size one.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`].
    #[track_caller]
    pub fn squeeze(&self, axis: isize) -> Result<Self> {
        let position = self.shape().axis(axis).map_err(Error::at("squeeze"))?;
        match self.shape()[position] {
            1 => Ok(self.with_layout(self.layout.without(position))),
            _ => Ok(self.clone()),
        }
    }

    /// With a new axis of size one that becomes `axis` of the result.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] when the result has no such axis.
    #[track_caller]
    pub fn unsqueeze(&self, axis: isize) -> Result<Self> {
        let position = self.shape().new_axis(axis).map_err(Error::at("unsqueeze"))?;
        Ok(self.with_layout(self.layout.unsqueeze(position)))
    }

    /// Stretched to `shape` as in NumPy: new axes in front, and axes of size one repeated.
    ///
    /// # Errors
    /// [`ErrorKind::BroadcastTo`] when an axis of another size would have to change.
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Self> {
        self.stretched(&shape.into()).map_err(Error::at("broadcast_to"))
    }

    /// A view has no more elements than memory has room for: what works on it may have to copy it.
    pub(crate) fn stretched(&self, shape: &Shape) -> Result<Self, ErrorKind> {
        let layout = self.layout.broadcast_to(shape)?;
        match Buffer::<E>::has_room(shape.len()) {
            true => Ok(self.with_layout(layout)),
            false => Err(ErrorKind::Memory { shape: shape.clone() }),
        }
    }

    /// The elements whose index along `axis` lies in `range`.
    ///
    /// ```
    /// # use autograd::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.slice(1, 1..)?, Tensor::from([[2, 3], [5, 6]]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`], or [`ErrorKind::Range`] when the range ends behind the axis or before it starts.
    #[track_caller]
    pub fn slice(&self, axis: isize, range: impl RangeBounds<usize>) -> Result<Self> {
        self.sliced(axis, range, 1).map_err(Error::at("slice"))
    }

    /// Every `step`-th element along `axis` of those in `range`, starting with the first.
    ///
    /// # Errors
    /// As [`slice`](Self::slice), and [`ErrorKind::Range`] when the step is zero.
    #[track_caller]
    pub fn slice_step(&self, axis: isize, range: impl RangeBounds<usize>, step: usize) -> Result<Self> {
        self.sliced(axis, range, step).map_err(Error::at("slice_step"))
    }

    fn sliced(&self, axis: isize, range: impl RangeBounds<usize>, step: usize) -> Result<Self, ErrorKind> {
        let axis = self.shape().axis(axis)?;
        let (start, end) = limits(range, self.shape()[axis]);
        if start > end || end > self.shape()[axis] || step == 0 {
            return Err(ErrorKind::Range { start, end, step, axis, shape: self.shape().clone() });
        }
        Ok(self.with_layout(self.layout.slice(axis, start, end, step)))
    }

    /// The elements at `index` along `axis`, without that axis (`select` in PyTorch).
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] or [`ErrorKind::Index`].
    #[track_caller]
    pub fn index_axis(&self, axis: isize, index: usize) -> Result<Self> {
        let axis = self.shape().axis(axis).map_err(Error::at("index_axis"))?;
        if index >= self.shape()[axis] {
            return Err(Error::new("index_axis", ErrorKind::Index { index, axis, shape: self.shape().clone() }));
        }
        Ok(self.with_layout(self.layout.slice(axis, index, index + 1, 1).without(axis)))
    }

    /// The rows at `index` along `axis`, in the order of the index and as often as they are named: a mini-batch of a data
    /// set. See [`Var::index_select`](crate::Var::index_select) for a tensor on a tape.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let labels = Tensor::from([7, 8, 9]);
    /// assert_eq!(labels.index_select(0, [2, 0, 2])?, Tensor::from([9, 7, 9]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such axis, the index has several axes, or a row is out of range.
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: impl Into<Tensor<usize>>) -> Result<Self> {
        let index = index.into();
        let error = Error::at("index_select");
        let axis = self.shape().axis(axis).map_err(&error)?;
        if index.rank() > 1 {
            return Err(error(ErrorKind::Rank { what: "the index", expected: 1, found: index.shape().clone() }));
        }
        if let Some(index) = index.iter().find(|&index| index >= self.shape()[axis]) {
            return Err(error(ErrorKind::Index { index, axis, shape: self.shape().clone() }));
        }
        let (index, shape) = (index.contiguous(), self.shape().with(axis, index.len()));
        let rows = index.as_slice().unwrap_or(&[]);
        Self::build(shape, |out| kernel::index::index_select(self.view(), axis, rows, out)).map_err(error)
    }

    /// Pieces of `size` along `axis`, in order; the last is smaller when the axis does not divide.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`], or [`ErrorKind::Argument`] when the size is zero.
    #[track_caller]
    pub fn split(&self, size: usize, axis: isize) -> Result<Vec<Self>> {
        let axis = self.shape().axis(axis).map_err(Error::at("split"))?;
        if size == 0 {
            let kind = ErrorKind::Argument { name: "size", must: "at least 1", found: size.to_string() };
            return Err(Error::new("split", kind));
        }
        let total = self.shape()[axis];
        let count = total.div_ceil(size).max(1);
        if !has_room(count.saturating_mul(size_of::<Self>())) {
            return Err(Error::new("split", ErrorKind::Results { count }));
        }
        let piece = |start| self.layout.slice(axis, start, total.min(start.saturating_add(size)), 1);
        // An axis of size zero is one empty piece, as in PyTorch.
        Ok((0..total.max(1)).step_by(size).map(|start| self.with_layout(piece(start))).collect())
    }

    /// In reverse order along each of `axes`.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] or [`ErrorKind::RepeatedAxis`].
    #[track_caller]
    pub fn flip(&self, axes: impl Into<Axes>) -> Result<Self> {
        let axes = self.shape().axes(&axes.into()).map_err(Error::at("flip"))?;
        let layout = axes.iter().fold(self.layout.clone(), |layout, &axis| layout.flip(axis));
        Ok(self.with_layout(layout))
    }
}

/// The first index of a range on an axis of `size`, and the one behind its last.
pub(crate) fn limits(range: impl RangeBounds<usize>, size: usize) -> (usize, usize) {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => size,
    };
    (start, end)
}

/// The elements of a tensor, by value, in row-major order; see [`Tensor::iter`].
#[derive(Clone)]
pub struct Elements<'a, E> {
    data: &'a [E],
    axes: SmallVec<[(usize, isize); 4]>,
    index: SmallVec<[usize; 4]>,
    position: isize,
    remaining: usize,
}

impl<'a, E: Element> Elements<'a, E> {
    pub(crate) fn new(view: View<'a, E>) -> Self {
        let axes = view.layout.merged();
        let index = SmallVec::from_elem(0, axes.len());
        let (position, remaining) = (view.layout.offset as isize, view.layout.shape.len());
        Self { data: view.data, axes, index, position, remaining }
    }

    fn advance(&mut self) {
        for (&(size, stride), i) in self.axes.iter().zip(&mut self.index).rev() {
            *i += 1;
            if *i < size {
                self.position += stride;
                return;
            }
            *i = 0;
            self.position -= stride * (size as isize - 1);
        }
    }
}

impl<E: Element> Iterator for Elements<'_, E> {
    type Item = E;

    #[inline]
    fn next(&mut self) -> Option<E> {
        self.remaining = self.remaining.checked_sub(1)?;
        let x = self.data[self.position as usize];
        self.advance();
        Some(x)
    }

    /// Without a look at the elements between.
    fn nth(&mut self, n: usize) -> Option<E> {
        self.remaining = self.remaining.saturating_sub(n);
        let mut steps = if self.remaining > 0 { n } else { 0 };
        for (&(size, stride), i) in self.axes.iter().zip(&mut self.index).rev() {
            if steps == 0 {
                break;
            }
            let before = *i as isize;
            (steps, *i) = ((steps + *i) / size, (steps + *i) % size);
            self.position += (*i as isize - before) * stride;
        }
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl<E: Element> ExactSizeIterator for Elements<'_, E> {}
impl<E: Element> FusedIterator for Elements<'_, E> {}

impl<'a, E: Element> IntoIterator for &'a Tensor<E> {
    type Item = E;
    type IntoIter = Elements<'a, E>;

    fn into_iter(self) -> Elements<'a, E> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x() -> Tensor<usize> {
        Tensor::from([[1, 2, 3], [4, 5, 6]])
    }

    fn shares(a: &Tensor<usize>, b: &Tensor<usize>) -> bool {
        a.buffer.as_slice().as_ptr() == b.buffer.as_slice().as_ptr()
    }

    fn message(result: Result<Tensor<usize>>) -> String {
        let text = result.unwrap_err().to_string();
        let (message, location) = text.rsplit_once(", at ").unwrap();
        assert!(location.starts_with(file!()), "{location}");
        message.to_string()
    }

    #[test]
    fn elements_by_index() {
        let mut y = x().t().unwrap();
        assert_eq!((y.get(&[2, 1]), y.get(&[2, 2]), y.get(&[2])), (Some(6), None, None));
        *y.get_mut(&[2, 1]).unwrap() = 9;
        assert_eq!(y.get_mut(&[0, 3]), None);
        assert_eq!(y, Tensor::from([[1, 4], [2, 5], [3, 9]]));
        let mut row = Tensor::from([7]).broadcast_to([3]).unwrap();
        *row.get_mut(&[1]).unwrap() = 0;
        assert_eq!(row, Tensor::from([7, 0, 7]));
    }

    #[test]
    fn iteration_knows_its_length() {
        let y = x().t().unwrap();
        let mut iter = y.iter();
        assert_eq!((iter.next(), iter.next(), iter.len()), (Some(1), Some(4), 4));
        assert_eq!((&y).into_iter().sum::<usize>(), 21);
        assert_eq!(Tensor::from(3).iter().collect::<Vec<usize>>(), [3]);
        let mut none = Tensor::<f32>::zeros([3, 0]).iter().next();
        assert_eq!(none.take(), None);
    }

    #[test]
    fn what_is_skipped_is_what_would_have_come() {
        let x = Tensor::from_fn([3, 4, 5], |i| 100 * i[0] + 10 * i[1] + i[2]);
        let views = [
            x.clone(),
            x.permute([2, 0, 1]).unwrap(),
            x.flip([0, 2]).unwrap().slice_step(1, 1.., 2).unwrap(),
            x.index_axis(2, 1).unwrap().unsqueeze(0).unwrap().broadcast_to([2, 3, 4]).unwrap(),
            x.slice(0, 1..1).unwrap(),
            Tensor::from(7),
        ];
        for view in views {
            let all = view.to_vec();
            for (start, skip) in (0..8).flat_map(|start| [0, 1, 2, 3, 7, 30, 59, 60, usize::MAX].map(|n| (start, n))) {
                let (mut found, mut expected) = (view.iter().skip(start), all.iter().copied().skip(start));
                for _ in 0..4 {
                    assert_eq!(found.nth(skip), expected.nth(skip), "{:?} {start} {skip}", view.layout);
                    assert_eq!(found.len(), expected.len());
                }
            }
        }
        assert_eq!(Tensor::from(5).broadcast_to([1 << 28]).unwrap().iter().step_by(1 << 26).count(), 4);
    }

    #[test]
    fn views_share_the_elements() {
        let x = x();
        let views: [(Result<Tensor<usize>>, Tensor<usize>); 15] = [
            (x.reshape([3, 2]), Tensor::from([[1, 2], [3, 4], [5, 6]])),
            (x.permute([1, 0]), Tensor::from([[1, 4], [2, 5], [3, 6]])),
            (x.permute([-2, -1]), x.clone()),
            (x.transpose(-1, 0), Tensor::from([[1, 4], [2, 5], [3, 6]])),
            (x.t(), Tensor::from([[1, 4], [2, 5], [3, 6]])),
            (x.unsqueeze(1), Tensor::from([[[1, 2, 3]], [[4, 5, 6]]])),
            (x.unsqueeze(-1), Tensor::from([[[1], [2], [3]], [[4], [5], [6]]])),
            (x.slice(0, 1..2).unwrap().squeeze(0), Tensor::from([4, 5, 6])),
            (x.squeeze(-1), x.clone()),
            (x.slice(1, ..=1), Tensor::from([[1, 2], [4, 5]])),
            (x.slice_step(-1, .., 2), Tensor::from([[1, 3], [4, 6]])),
            (x.slice_step(-1, 1.., usize::MAX), Tensor::from([[2], [5]])),
            (x.index_axis(1, 2), Tensor::from([3, 6])),
            (x.flip([0, -1]), Tensor::from([[6, 5, 4], [3, 2, 1]])),
            (x.index_axis(0, 1).unwrap().broadcast_to([2, 3]), Tensor::from([[4, 5, 6], [4, 5, 6]])),
        ];
        for (view, expected) in views {
            let view = view.unwrap();
            assert_eq!(view, expected);
            assert!(shares(&view, &x), "{view}");
        }
        assert!(shares(&x.flatten(), &x) && shares(&x.contiguous(), &x));
    }

    #[test]
    fn what_strides_cannot_say_is_copied() {
        let y = x().t().unwrap();
        let flat = y.flatten();
        assert_eq!(flat, Tensor::from([1, 4, 2, 5, 3, 6]));
        assert!(!shares(&flat, &y));
        assert_eq!(y.reshape([2, 3]).unwrap(), Tensor::from([[1, 4, 2], [5, 3, 6]]));
        assert_eq!(y.contiguous().as_slice(), Some(&[1, 4, 2, 5, 3, 6][..]));
        assert_eq!(y.as_slice(), None);
        assert!(shares(&y.unsqueeze(0).unwrap().reshape([3, 1, 2]).unwrap(), &y));
    }

    #[test]
    fn split_into_pieces() {
        let pieces = x().split(2, 1).unwrap();
        assert_eq!(pieces, [Tensor::from([[1, 2], [4, 5]]), Tensor::from([[3], [6]])]);
        assert_eq!(x().split(usize::MAX, 0).unwrap(), [x()]);
        let none = x().slice(0, 0..0).unwrap();
        assert_eq!(none.split(1, 0).unwrap(), [none]);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let x = x();
        assert_eq!(message(x.reshape([4])), "reshape: [2, 3] has 6 elements and [4] has 4");
        assert_eq!(message(x.permute([0])), "permute: 1 axes are given for shape [2, 3]");
        assert_eq!(message(x.permute([0, -2])), "permute: axis -2 is given twice");
        assert_eq!(message(x.transpose(0, 2)), "transpose: axis 2 is out of range for shape [2, 3]");
        assert_eq!(message(Tensor::from([1]).t()), "t: axis -2 is out of range for shape [1]");
        assert_eq!(message(x.squeeze(2)), "squeeze: axis 2 is out of range for shape [2, 3]");
        assert_eq!(message(x.unsqueeze(3)), "unsqueeze: axis 3 is out of range for shape [2, 3]");
        assert_eq!(message(x.broadcast_to([3, 3])), "broadcast_to: [2, 3] does not broadcast to [3, 3]");
        assert_eq!(message(x.slice(1, 2..5)), "slice: range 2..5 step 1 does not fit axis 1 of shape [2, 3]");
        assert_eq!(
            message(x.slice_step(0, .., 0)),
            "slice_step: range 0..2 step 0 does not fit axis 0 of shape [2, 3]"
        );
        assert_eq!(message(x.index_axis(0, 2)), "index_axis: index 2 is out of range for axis 0 of shape [2, 3]");
        assert_eq!(message(x.flip([1, 1])), "flip: axis 1 is given twice");
        let pieces = x.split(0, 0).map(|pieces| pieces[0].clone());
        assert_eq!(message(pieces), "split: size must be at least 1, found 0");
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)] // Wrong on purpose.
    fn extreme_arguments_are_errors() {
        let x = x();
        assert!(x.slice(0, 2..1).is_err());
        assert!(x.slice(0, (Bound::Excluded(usize::MAX), Bound::Unbounded)).is_err());
        assert!(x.slice(0, ..=usize::MAX).is_err());
        assert!(x.transpose(isize::MIN, isize::MAX).is_err());
        assert!(x.unsqueeze(isize::MIN).is_err());
        assert!(x.reshape([usize::MAX, usize::MAX]).is_err());
        assert!(x.unsqueeze(0).unwrap().broadcast_to([usize::MAX, 2, 3]).is_err());
        let none = Tensor::<f32>::zeros([0, 3]);
        assert!(none.broadcast_to([1 << 40, 0, 3]).unwrap().reshape([1 << 50, 1 << 50, 0]).unwrap().is_empty());
        assert!(none.t().unwrap().flip([0, 1]).unwrap().slice_step(0, 1.., 2).unwrap().contiguous().is_empty());
    }
}
