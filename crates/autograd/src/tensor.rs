//! Plain data: a shape, strides and a shared buffer. It knows nothing of tapes.
//!
//! Read [`Tensor`] first; `layout` says where elements lie, `index` makes views, `buffer` is the memory beneath.

pub(crate) mod buffer;
mod compare;
mod construct;
pub(crate) mod copy;
pub(crate) mod index;
pub(crate) mod integers;
pub(crate) mod layout;
#[cfg(feature = "ndarray")]
mod ndarray;
mod print;
mod random;

pub use buffer::release_memory;
pub use compare::Difference;
pub use index::Elements;

use crate::error::{Error, ErrorKind, Result};
use crate::float::{Element, Float};
use crate::shape::Shape;
use buffer::Buffer;
use copy::copy_to;
use layout::Layout;

/// Numbers (or masks, or indices) along any number of axes.
///
/// A clone and a view share the elements; the first write to shared elements copies them. Functions that only look at elements
/// differently ([`permute`](Self::permute), [`slice`](Self::slice), [`broadcast_to`](Self::broadcast_to), …) copy nothing.
///
/// Operators are for handles on a tape. A plain tensor has the same functions as methods, and those of several operands return
/// a `Result`; an operand may be a plain number.
///
/// A shape that memory has no room for is an error like others, [`ErrorKind::Memory`], of functions that return a `Result` and of
/// operations on a tape. Functions that return a tensor or its elements panic then, as `Vec` does.
///
/// ```
/// use autograd::Tensor;
///
/// let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// let column = x.index_axis(1, 2)?;
/// assert_eq!(column, Tensor::from([3.0, 6.0]));
/// assert_eq!(x.t()?.to_vec(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// assert_eq!(column.mul(2.0)?.add(&column)?, Tensor::from([9.0, 18.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor<E: Element = f32> {
    pub(crate) buffer: Buffer<E>,
    pub(crate) layout: Layout,
}

/// The end of functions that return no error, where memory has no room.
#[cold]
pub(crate) fn refused<E: Element>(kind: ErrorKind) -> Tensor<E> {
    panic!("{kind}")
}

/// What kernels see of a tensor: the whole buffer, and where the elements lie in it.
pub(crate) struct View<'a, E> {
    pub data: &'a [E],
    pub layout: &'a Layout,
}

impl<E> Clone for View<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for View<'_, E> {}

impl<'a, E: Element> View<'a, E> {
    /// The elements, if they lie in row-major order without gaps.
    pub fn as_slice(self) -> Option<&'a [E]> {
        let start = self.layout.offset;
        self.layout.is_contiguous().then(|| &self.data[start..start + self.layout.shape.len()])
    }

    /// The elements in row-major order.
    pub fn iter(self) -> Elements<'a, E> {
        Elements::new(self)
    }
}

/// # Shape, elements, maps
impl<E: Element> Tensor<E> {
    /// A contiguous tensor whose every element `fill` writes, unless memory has no room for them.
    #[inline]
    pub(crate) fn build(shape: Shape, fill: impl FnOnce(&mut [E])) -> Result<Self, ErrorKind> {
        let Some(mut buffer) = Buffer::new(shape.len()) else { return Err(ErrorKind::Memory { shape }) };
        fill(buffer.get_mut().expect("a new buffer has one handle"));
        Ok(Self { buffer, layout: Layout::contiguous(shape) })
    }

    /// As [`build`](Self::build), for two tensors that are written together.
    pub(crate) fn build_pair<F: Element>(
        [shape, other]: [Shape; 2],
        fill: impl FnOnce(&mut [E], &mut [F]),
    ) -> Result<(Self, Tensor<F>), ErrorKind> {
        let mut second = Tensor::build(other, |_| ())?;
        let first = Self::build(shape, |first| fill(first, second.make_mut()))?;
        Ok((first, second))
    }

    /// As [`build`](Self::build), for functions that return a tensor and no error.
    pub(crate) fn build_or_panic(shape: Shape, fill: impl FnOnce(&mut [E])) -> Self {
        Self::build(shape, fill).unwrap_or_else(refused)
    }

    pub(crate) fn view(&self) -> View<'_, E> {
        View { data: self.buffer.as_slice(), layout: &self.layout }
    }

    /// The same elements under another layout.
    pub(crate) fn with_layout(&self, layout: Layout) -> Self {
        Self { buffer: self.buffer.clone(), layout }
    }

    /// The elements for writing in row-major order; copied first where they are shared or scattered.
    pub(crate) fn make_mut(&mut self) -> &mut [E] {
        if !(self.layout.is_contiguous() && self.buffer.is_unique()) {
            *self = self.to_contiguous().unwrap_or_else(refused);
        }
        let elements = self.layout.offset..self.layout.offset + self.len();
        &mut self.buffer.get_mut().expect("shared elements were copied")[elements]
    }

    /// The elements for writing in place, if nobody shares them and they are the whole buffer in row-major order.
    pub(crate) fn unique_mut(&mut self) -> Option<&mut [E]> {
        let whole = self.buffer.len() == self.len() && self.layout.is_contiguous();
        if whole { self.buffer.get_mut() } else { None }
    }

    pub(crate) fn to_contiguous(&self) -> Result<Self, ErrorKind> {
        Self::build(self.layout.shape.clone(), |elements| copy_to(self.view(), elements))
    }

    /// Each element once that a broadcast repeats.
    pub(crate) fn distinct(&self) -> Self {
        self.with_layout(self.layout.distinct())
    }

    /// The size along each axis.
    pub fn shape(&self) -> &Shape {
        &self.layout.shape
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.layout.shape.rank()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.layout.shape.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The only element.
    ///
    /// # Errors
    /// [`ErrorKind::NotScalar`] when there are none or several.
    #[track_caller]
    pub fn item(&self) -> Result<E> {
        match self.len() {
            1 => Ok(self.buffer.as_slice()[self.layout.offset]),
            _ => Err(Error::new("item", ErrorKind::NotScalar { shape: self.shape().clone() })),
        }
    }

    /// A copy of the elements in row-major order.
    pub fn to_vec(&self) -> Vec<E> {
        let mut elements = vec![E::default(); self.len()];
        copy_to(self.view(), &mut elements);
        elements
    }

    /// The elements in row-major order, if they lie so in memory (see [`contiguous`](Self::contiguous)).
    pub fn as_slice(&self) -> Option<&[E]> {
        self.view().as_slice()
    }

    /// The element at a row-major index.
    pub(crate) fn element(&self, flat: usize) -> Option<E> {
        if flat >= self.len() {
            return None;
        }
        let (mut place, mut left) = (self.layout.offset as isize, flat);
        for (&size, &stride) in self.layout.shape.iter().zip(&self.layout.strides).rev() {
            place += (left % size) as isize * stride;
            left /= size;
        }
        Some(self.buffer.as_slice()[place as usize])
    }

    /// The elements for writing, in row-major order. Elements that other tensors see are copied first.
    ///
    /// ```
    /// # use autograd::Tensor;
    /// let x = Tensor::from([1.0, 2.0]);
    /// let mut y = x.clone();
    /// y.as_mut_slice()[0] = 5.0;
    /// assert_eq!((x, y), (Tensor::from([1.0, 2.0]), Tensor::from([5.0, 2.0])));
    /// ```
    pub fn as_mut_slice(&mut self) -> &mut [E] {
        self.make_mut()
    }

    /// `f` of every element.
    ///
    /// ```
    /// # use autograd::Tensor;
    /// assert_eq!(Tensor::from([1.0, -2.0]).map(|x| x > 0.0), Tensor::from([true, false]));
    /// ```
    pub fn map<U: Element>(&self, mut f: impl FnMut(E) -> U) -> Tensor<U> {
        Tensor::build_or_panic(self.shape().clone(), |into| match self.as_slice() {
            Some(elements) => into.iter_mut().zip(elements).for_each(|(y, &x)| *y = f(x)),
            None => into.iter_mut().zip(self.iter()).for_each(|(y, x)| *y = f(x)),
        })
    }

    /// As [`map`](Self::map); what a broadcast repeats stays a view.
    pub(crate) fn map_distinct<U: Element>(&self, f: impl FnMut(E) -> U) -> Tensor<U> {
        let once = self.distinct().map(f);
        match once.layout.broadcast_to(self.shape()) {
            Ok(layout) => once.with_layout(layout),
            Err(kind) => refused(kind),
        }
    }
}

impl Tensor<bool> {
    /// 1 for true and 0 for false.
    pub(crate) fn to_numbers<T: Float>(&self) -> Tensor<T> {
        self.map_distinct(|holds| if holds { T::ONE } else { T::ZERO })
    }
}

/// # Number types
impl<T: Float> Tensor<T> {
    /// The elements as another type of float, rounded to nearest; what a broadcast repeats stays a view.
    ///
    /// ```
    /// # use autograd::Tensor;
    /// assert_eq!(Tensor::from([0.5_f64, 1e300]).cast::<f32>(), Tensor::from([0.5, f32::INFINITY]));
    /// ```
    pub fn cast<U: Float>(&self) -> Tensor<U> {
        self.map_distinct(|x| U::from_f64(x.to_f64()))
    }

    /// Where the elements are not 0.
    pub(crate) fn to_truths(&self) -> Tensor<bool> {
        self.map_distinct(|x| x != T::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_to_shared_elements_copies_them() {
        let mut x = Tensor::from([1.0, 2.0, 3.0]);
        let before = x.buffer.as_slice().as_ptr();
        x.as_mut_slice()[0] = 4.0;
        assert_eq!(x.buffer.as_slice().as_ptr(), before);
        let shared = x.clone();
        x.as_mut_slice()[0] = 5.0;
        assert_eq!((x.to_vec(), shared.to_vec()), (vec![5.0, 2.0, 3.0], vec![4.0, 2.0, 3.0]));
    }

    #[test]
    fn a_write_to_a_part_leaves_the_rest_alone() {
        let x = Tensor::from([[1, 2], [3, 4]]);
        let mut row = x.index_axis(0, 1).unwrap();
        drop(x);
        row.as_mut_slice()[1] = 9;
        assert_eq!(row, Tensor::from([3, 9]));
        let mut column = Tensor::from([[1, 2], [3, 4]]).index_axis(1, 0).unwrap();
        column.as_mut_slice()[1] = 9;
        assert_eq!(column, Tensor::from([1, 9]));
    }

    #[test]
    fn in_place_needs_the_whole_unshared_buffer() {
        let mut x = Tensor::<f32>::zeros([2, 3]);
        assert!(x.unique_mut().is_some());
        assert!(x.t().unwrap().unique_mut().is_none());
        let y = x.clone();
        assert!(x.unique_mut().is_none());
        drop(y);
        let mut row = x.index_axis(0, 0).unwrap();
        drop(x);
        assert!(row.unique_mut().is_none());
    }

    #[test]
    fn item_wants_one_element() {
        assert_eq!(Tensor::from([[7.0]]).item().unwrap(), 7.0);
        assert_eq!(Tensor::from([1.0, 2.0]).index_axis(0, 1).unwrap().item().unwrap(), 2.0);
        let error = Tensor::<f32>::zeros([2, 0]).item().unwrap_err();
        let line = line!() - 1;
        assert_eq!(
            error.to_string(),
            format!("item: needs exactly one element, found shape [2, 0], at {}:{line}", file!())
        );
    }

    #[test]
    fn a_cast_of_a_view_is_as_small_as_the_view() {
        let x = Tensor::from([[1.0_f64, 2.0]]).broadcast_to([1 << 20, 3, 2]).unwrap().t().unwrap();
        let cast = x.cast::<f32>();
        assert_eq!((cast.shape(), cast.buffer.len()), (x.shape(), 2));
        assert_eq!((cast.get(&[7, 1, 2]), cast.get(&[9, 0, 1])), (Some(2.0), Some(1.0)));
        assert_eq!(Tensor::<f64>::zeros([0, 3]).cast::<f32>().shape(), &[0, 3].into());
    }

    #[test]
    fn map_sees_row_major_order_through_any_strides() {
        let mut seen = vec![];
        Tensor::from([[1, 2], [3, 4]]).t().unwrap().map(|x| {
            seen.push(x);
            x
        });
        assert_eq!(seen, [1, 3, 2, 4]);
    }
}
