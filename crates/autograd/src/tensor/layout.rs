//! Where the elements of a view lie in its buffer: shape, strides, offset. Views are arithmetic on these; no element
//! moves.

use smallvec::SmallVec;

use crate::error::ErrorKind;
use crate::shape::Shape;

/// Distances in elements between neighbours along each axis; zero along a broadcast axis, negative along a flipped one.
pub(crate) type Strides = SmallVec<[isize; 4]>;

/// Shape, strides and offset of a view. Element `i` lies at `offset + Σ i[k]·strides[k]`.
///
/// Invariant: without elements all strides are 0. The other sizes are then any numbers, and no product with a stride overflows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub shape: Shape,
    pub strides: Strides,
    pub offset: usize,
}

impl Clone for Layout {
    /// A copy of memory, where `SmallVec::clone` goes through an iterator.
    #[inline]
    fn clone(&self) -> Self {
        Layout { shape: self.shape.clone(), strides: SmallVec::from_slice(&self.strides), offset: self.offset }
    }
}

impl Layout {
    /// Row-major order from the start of the buffer.
    #[inline]
    pub fn contiguous(shape: Shape) -> Self {
        let mut strides: Strides = match shape.rank() {
            rank @ ..=4 => SmallVec::from_buf_and_len([1; 4], rank),
            rank => SmallVec::from_elem(1, rank),
        };
        let mut next: isize = 1;
        for (stride, &size) in strides.iter_mut().zip(shape.iter()).rev() {
            *stride = next;
            next = next.saturating_mul(size as isize);
        }
        if next == 0 {
            strides.fill(0);
        }
        Layout { shape, strides, offset: 0 }
    }

    /// Whether the elements lie in row-major order without gaps, wherever they start.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        let mut expected: isize = 1;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size != 1 && stride != expected {
                // Without elements there are no gaps.
                return self.shape.is_empty();
            }
            expected = expected.wrapping_mul(size as isize);
        }
        true
    }

    /// Where the element at `index` lies, or `None` outside the shape.
    pub fn position(&self, index: &[usize]) -> Option<usize> {
        if index.len() != self.shape.rank() || index.iter().zip(self.shape.iter()).any(|(&i, &size)| i >= size) {
            return None;
        }
        let shift: isize = index.iter().zip(&self.strides).map(|(&i, &stride)| i as isize * stride).sum();
        Some((self.offset as isize + shift) as usize)
    }

    /// The same elements with axes in the order `axes`, each named once.
    pub fn permute(&self, axes: &[usize]) -> Layout {
        Layout {
            shape: axes.iter().map(|&axis| self.shape[axis]).collect(),
            strides: axes.iter().map(|&axis| self.strides[axis]).collect(),
            offset: self.offset,
        }
    }

    /// Stretched to `to`, with stride zero along new and stretched axes. `to` must have a countable number of elements.
    pub fn broadcast_to(&self, to: &Shape) -> Result<Layout, ErrorKind> {
        self.shape.must_broadcast_to(to)?;
        to.must_be_countable()?;
        let skip = to.rank() - self.shape.rank();
        let mut strides: Strides = SmallVec::from_elem(0, skip);
        let axes = self.shape.iter().zip(&self.strides).zip(&to[skip..]);
        strides.extend(axes.map(|((size, &stride), target)| if size == target { stride } else { 0 }));
        Ok(Layout { shape: to.clone(), strides, offset: self.offset }.normal())
    }

    /// With strides of 0 where there are no elements.
    pub fn normal(mut self) -> Layout {
        if self.shape.is_empty() {
            self.strides.fill(0);
        }
        self
    }

    /// Each element once that a broadcast repeats: what was stretched has size one.
    pub fn distinct(&self) -> Layout {
        let once = |(&size, &stride): (&usize, &isize)| if stride == 0 { size.min(1) } else { size };
        let shape = self.shape.iter().zip(&self.strides).map(once).collect();
        Layout { shape, strides: self.strides.clone(), offset: self.offset }
    }

    /// Elements `start, start + step, …` below `end` along `axis`. `start ≤ end ≤ size` and `step ≥ 1` must hold.
    pub fn slice(&self, axis: usize, start: usize, end: usize, step: usize) -> Layout {
        let mut layout = self.clone();
        layout.shape = self.shape.with(axis, (end - start).div_ceil(step));
        if layout.shape.is_empty() {
            // The offset stays, lest it leave the buffer.
            layout.strides.fill(0);
            return layout;
        }
        layout.offset = (layout.offset as isize + start as isize * self.strides[axis]) as usize;
        // A step over the whole axis is as good as any longer one, and its product with the stride does not overflow.
        layout.strides[axis] *= step.min(self.shape[axis]) as isize;
        layout
    }

    /// Without `axis`, of size one.
    pub fn without(&self, axis: usize) -> Layout {
        let mut strides = self.strides.clone();
        strides.remove(axis);
        Layout { shape: self.shape.reduced(&[axis]), strides, offset: self.offset }
    }

    /// With a new axis of size one before the present axis `axis`.
    pub fn unsqueeze(&self, axis: usize) -> Layout {
        let mut sizes: SmallVec<[usize; 4]> = SmallVec::from_slice(&self.shape);
        sizes.insert(axis, 1);
        let mut strides = self.strides.clone();
        strides.insert(axis, 0);
        Layout { shape: sizes.into_iter().collect(), strides, offset: self.offset }
    }

    /// Sizes and strides with which the same elements come in the same order, from as few axes as possible.
    pub fn merged(&self) -> SmallVec<[(usize, isize); 4]> {
        let mut axes: SmallVec<[(usize, isize); 4]> = SmallVec::new();
        for (&size, &stride) in self.shape.iter().zip(&self.strides).filter(|&(&size, _)| size != 1) {
            match axes.last_mut() {
                // Without elements all axes become one, and the product is 0 whatever overflows on the way.
                Some(outer) if outer.1 == stride * size as isize => *outer = (outer.0.wrapping_mul(size), stride),
                _ => axes.push((size, stride)),
            }
        }
        axes
    }

    /// In reverse order along `axis`.
    pub fn flip(&self, axis: usize) -> Layout {
        let mut layout = self.clone();
        if !self.shape.is_empty() {
            layout.offset = (layout.offset as isize + (self.shape[axis] - 1) as isize * self.strides[axis]) as usize;
        }
        layout.strides[axis] = -layout.strides[axis];
        layout
    }

    /// The same elements in row-major order under another shape of as many elements, if strides can say so.
    pub fn reshape(&self, to: &Shape) -> Option<Layout> {
        if self.is_contiguous() {
            return Some(Layout { offset: self.offset, ..Layout::contiguous(to.clone()) });
        }
        let mut strides: Strides = SmallVec::from_elem(0, to.rank());
        let mut axes = self.merged().into_iter().rev();
        let (mut left, mut stride) = (1, 1);
        for (axis, &size) in to.iter().enumerate().rev().filter(|&(_, &size)| size != 1) {
            if left == 1 {
                (left, stride) = axes.next()?;
            }
            if left % size != 0 {
                return None;
            }
            strides[axis] = stride;
            stride *= size as isize;
            left /= size;
        }
        Some(Layout { shape: to.clone(), strides, offset: self.offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[usize], strides: &[isize], offset: usize) -> Layout {
        Layout { shape: Shape::from(shape), strides: SmallVec::from_slice(strides), offset }
    }

    #[test]
    fn contiguous_is_row_major_without_gaps() {
        let x = Layout::contiguous(Shape::from([2, 3, 4]));
        assert_eq!(x, layout(&[2, 3, 4], &[12, 4, 1], 0));
        assert!(x.is_contiguous() && Layout::contiguous(Shape::from(())).is_contiguous());
        assert!(
            x.slice(0, 1, 2, 1).is_contiguous()
                && !x.slice(1, 1, 2, 1).slice(2, 0, 3, 1).permute(&[1, 2, 0]).is_contiguous()
        );
        assert!(!x.permute(&[0, 2, 1]).is_contiguous() && !x.slice(2, 0, 3, 1).is_contiguous());
        assert!(layout(&[1, 3, 1], &[99, 1, -7], 5).is_contiguous());
        assert!(layout(&[2, 0, 3], &[0, 5, 0], 0).is_contiguous());
        assert!(!layout(&[3], &[0], 0).is_contiguous() && !layout(&[3], &[-1], 2).is_contiguous());
    }

    #[test]
    fn positions() {
        let x = Layout::contiguous(Shape::from([2, 3])).flip(1);
        assert_eq!((x.position(&[1, 0]), x.position(&[0, 2])), (Some(5), Some(0)));
        assert_eq!((x.position(&[2, 0]), x.position(&[1]), x.position(&[1, 0, 0])), (None, None, None));
        assert_eq!(Layout::contiguous(Shape::from(())).position(&[]), Some(0));
    }

    #[test]
    fn broadcast_axes_have_stride_zero() {
        let x = Layout::contiguous(Shape::from([3, 1]));
        assert_eq!(x.broadcast_to(&Shape::from([2, 3, 4])), Ok(layout(&[2, 3, 4], &[0, 1, 0], 0)));
        assert_eq!(x.broadcast_to(&Shape::from([3, 0])).unwrap().strides[1], 0);
        for wrong in [vec![3], vec![2, 1], vec![1, 1], vec![usize::MAX, 3, 2]] {
            assert!(x.broadcast_to(&Shape::from(wrong)).is_err());
        }
    }

    /// Whatever the other sizes are, and whichever way the last element went.
    #[test]
    fn without_elements_strides_are_zero() {
        const HUGE: usize = usize::MAX - 1;
        let none = Layout::contiguous(Shape::from([HUGE, 0, HUGE]));
        let some = Layout::contiguous(Shape::from([2, 1, 3]));
        let layouts = [
            none.permute(&[1, 2, 0]),
            none.slice(0, HUGE - 1, HUGE, HUGE),
            none.slice(2, 5, HUGE, 2).flip(2).flip(0),
            none.unsqueeze(1).without(1),
            none.reshape(&Shape::from([0, HUGE])).unwrap(),
            none.broadcast_to(&Shape::from([HUGE, HUGE, 0, HUGE])).unwrap(),
            some.broadcast_to(&Shape::from([2, 0, 3])).unwrap(),
            some.slice(2, 3, 3, 1),
            some.slice(0, 1, 1, 1).reshape(&Shape::from([0, HUGE])).unwrap(),
        ];
        for layout in layouts.iter().chain([&none]) {
            assert!(layout.strides.iter().all(|&stride| stride == 0) && layout.offset == 0, "{layout:?}");
            assert!(layout.is_contiguous() && layout.merged().iter().all(|&axis| axis == (0, 0)), "{layout:?}");
        }
    }

    #[test]
    fn what_a_broadcast_repeats_is_there_once() {
        let x = Layout::contiguous(Shape::from([3, 1, 2])).broadcast_to(&Shape::from([5, 3, 4, 2])).unwrap();
        assert_eq!(x.distinct(), layout(&[1, 3, 1, 2], &[0, 2, 0, 1], 0));
        assert_eq!(x.permute(&[3, 0, 1, 2]).distinct().shape, Shape::from([2, 1, 3, 1]));
        let none = x.slice(1, 1, 1, 1);
        assert_eq!((none.distinct().shape.len(), none.distinct().broadcast_to(&none.shape)), (0, Ok(none.clone())));
    }

    #[test]
    fn slices_and_flips_move_the_offset() {
        let x = Layout::contiguous(Shape::from([2, 10]));
        assert_eq!(x.slice(1, 2, 9, 3), layout(&[2, 3], &[10, 3], 2));
        assert_eq!(x.slice(1, 2, 9, 3).flip(1), layout(&[2, 3], &[10, -3], 8));
        assert_eq!(x.slice(1, 10, 10, 1), layout(&[2, 0], &[0, 0], 0));
        assert_eq!(x.slice(1, 10, 10, 1).flip(1).flip(0).offset, 0);
        assert_eq!(Layout::contiguous(Shape::from([0, 6])).slice(1, 5, 6, 1).flip(1).offset, 0);
        assert_eq!(x.slice(0, 1, 2, usize::MAX).shape, Shape::from([1, 10]));
    }

    #[test]
    fn axes_of_size_one_come_and_go() {
        let x = Layout::contiguous(Shape::from([2, 3]));
        assert_eq!(x.unsqueeze(2).shape, Shape::from([2, 3, 1]));
        for axis in 0..3 {
            assert_eq!(x.unsqueeze(axis).without(axis), x);
        }
    }

    #[test]
    fn merged_axes_are_as_few_as_possible() {
        let x = Layout::contiguous(Shape::from([2, 3, 1, 4]));
        assert_eq!(x.merged().as_slice(), [(24, 1)]);
        assert_eq!(x.permute(&[3, 0, 2, 1]).merged().as_slice(), [(4, 1), (6, 4)]);
        assert_eq!(x.slice(3, 0, 2, 1).merged().as_slice(), [(6, 4), (2, 1)]);
        assert_eq!(Layout::contiguous(Shape::from([1, 1])).merged().as_slice(), []);
        let row = Layout::contiguous(Shape::from([1, 4])).broadcast_to(&Shape::from([5, 2, 4])).unwrap();
        assert_eq!(row.merged().as_slice(), [(10, 0), (4, 1)]);
    }

    #[test]
    fn reshape_keeps_the_order_or_gives_up() {
        let x = Layout::contiguous(Shape::from([4, 6]));
        let [columns, part] = [x.permute(&[1, 0]), x.slice(1, 0, 4, 1)];
        let to = |x: &Layout, shape: &[usize]| x.reshape(&Shape::from(shape));
        assert_eq!(to(&x, &[2, 12]), Some(layout(&[2, 12], &[12, 1], 0)));
        assert_eq!(to(&columns, &[3, 2, 1, 4]), Some(layout(&[3, 2, 1, 4], &[2, 1, 0, 6], 0)));
        assert_eq!(to(&columns, &[24]), None);
        assert_eq!(to(&columns, &[4, 6]), None);
        assert_eq!(to(&part, &[2, 2, 2, 2]), Some(layout(&[2, 2, 2, 2], &[12, 6, 2, 1], 0)));
        assert_eq!(to(&part, &[8, 2]), None);
        assert_eq!(to(&columns.unsqueeze(0), &[6, 1, 4]), Some(layout(&[6, 1, 4], &[1, 0, 6], 0)));
        assert_eq!(to(&x.slice(1, 0, 0, 1), &[0, 7]), Some(layout(&[0, 7], &[0, 0], 0)));
    }
}
