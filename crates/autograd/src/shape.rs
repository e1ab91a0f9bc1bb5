//! Sizes along axes, and the small arithmetic on them: broadcasting, axes counted from the end.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use smallvec::SmallVec;

use crate::error::ErrorKind;

/// The size of a tensor along each axis; no axes at all for a single number.
///
/// Built from whatever lists sizes: `()`, `3`, `[2, 3]`, a slice, a `Vec`.
///
/// ```
/// use autograd::Shape;
///
/// let shape = Shape::from([2, 3]);
/// assert_eq!((shape.rank(), shape.len(), shape.to_string()), (2, 6, "[2, 3]".to_string()));
/// ```
#[derive(Eq, Default)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Shape {
    /// The number of axes.
    #[inline]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements: the product of the sizes, saturating.
    #[inline]
    pub fn len(&self) -> usize {
        len_of(&self.0)
    }

    /// Whether there is no element, because a size is 0.
    pub fn is_empty(&self) -> bool {
        self.0.contains(&0)
    }

    /// The shape that both broadcast to, as in NumPy: sizes are aligned at the end, a size of one stretches.
    ///
    /// # Errors
    /// [`ErrorKind::Broadcast`] when two aligned sizes differ and neither is one.
    pub fn broadcast(&self, right: &Shape) -> Result<Shape, ErrorKind> {
        if self == right {
            return Ok(self.clone());
        }
        let (long, short) = if self.rank() >= right.rank() { (self, right) } else { (right, self) };
        let mut sizes = long.0.clone();
        let skip = long.rank() - short.rank();
        for (size, &with) in sizes[skip..].iter_mut().zip(short.iter()) {
            match (*size, with) {
                (a, b) if a == b || b == 1 => {}
                (1, b) => *size = b,
                _ => return Err(ErrorKind::Broadcast { left: self.clone(), right: right.clone() }),
            }
        }
        Ok(Shape(sizes))
    }

    /// The position of `axis`, where −1 is the last one.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] when there is no such axis.
    pub fn axis(&self, axis: isize) -> Result<usize, ErrorKind> {
        let rank = self.rank() as isize;
        let position = if axis < 0 { axis + rank } else { axis };
        if (0..rank).contains(&position) {
            Ok(position as usize)
        } else {
            Err(ErrorKind::Axis { axis, shape: self.clone() })
        }
    }

    /// The positions of `axes`, in ascending order.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] or [`ErrorKind::RepeatedAxis`].
    pub fn axes(&self, axes: &Axes) -> Result<SmallVec<[usize; 4]>, ErrorKind> {
        let mut positions = SmallVec::new();
        for &axis in axes.iter() {
            let position = self.axis(axis)?;
            if positions.contains(&position) {
                return Err(ErrorKind::RepeatedAxis { axis });
            }
            positions.push(position);
        }
        positions.sort_unstable();
        Ok(positions)
    }

    /// Nothing where this is the shape that an operand must have; for layers and losses with operands of their own.
    ///
    /// ```
    /// use autograd::Shape;
    ///
    /// let bias = Shape::from([3]);
    /// assert!(bias.must_be("the bias", &[3]).is_ok());
    /// let rule = bias.must_be("the bias", &[4]).unwrap_err();
    /// assert_eq!(rule.to_string(), "the bias must have shape [4], found [3]");
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ShapeOf`], with `what` as the name of the operand.
    pub fn must_be(&self, what: &'static str, expected: &[usize]) -> Result<(), ErrorKind> {
        if **self == *expected {
            return Ok(());
        }
        Err(ErrorKind::ShapeOf { what, expected: Box::new(expected.into()), found: self.clone() })
    }

    /// Nothing where the elements can be counted, whether or not memory has room for them.
    pub(crate) fn must_be_countable(&self) -> Result<(), ErrorKind> {
        if self.len() <= isize::MAX as usize { Ok(()) } else { Err(ErrorKind::Memory { shape: self.clone() }) }
    }

    /// Nothing where this can be stretched to `to`: along axes of size one, and along new axes in front.
    pub(crate) fn must_broadcast_to(&self, to: &Shape) -> Result<(), ErrorKind> {
        let fits = |skip: usize| self.iter().zip(&to[skip..]).all(|(&size, &target)| size == target || size == 1);
        match to.rank().checked_sub(self.rank()) {
            Some(skip) if fits(skip) => Ok(()),
            _ => Err(ErrorKind::BroadcastTo { from: self.clone(), to: to.clone() }),
        }
    }

    /// Of sizes that were computed, `None` where one has more digits than a number.
    ///
    /// # Errors
    /// [`ErrorKind::Memory`] if there is such a one.
    pub(crate) fn computed(sizes: impl IntoIterator<Item = Option<usize>>) -> Result<Shape, ErrorKind> {
        let mut fits = true;
        let known = |size: Option<usize>| {
            fits &= size.is_some();
            size.unwrap_or(usize::MAX)
        };
        let shape = sizes.into_iter().map(known).collect();
        if fits { Ok(shape) } else { Err(ErrorKind::Memory { shape }) }
    }

    /// A copy with the size along `axis` replaced.
    pub(crate) fn with(&self, axis: usize, size: usize) -> Shape {
        let mut shape = self.clone();
        shape.0[axis] = size;
        shape
    }

    /// The position of a new axis, counted in the result.
    pub(crate) fn new_axis(&self, axis: isize) -> Result<usize, ErrorKind> {
        let rank = self.rank() as isize + 1;
        let position = if axis < 0 { axis + rank } else { axis };
        match (0..rank).contains(&position) {
            true => Ok(position as usize),
            false => Err(ErrorKind::Axis { axis, shape: self.clone() }),
        }
    }

    /// A copy with an axis of size one at `axis`, counted in the result.
    pub(crate) fn with_inserted(&self, axis: isize) -> Result<Shape, ErrorKind> {
        let mut shape = self.clone();
        shape.0.insert(self.new_axis(axis)?, 1);
        Ok(shape)
    }

    /// What a reduction over `axes` (ascending) leaves: size one there.
    pub(crate) fn keep_reduced(&self, axes: &[usize]) -> Shape {
        let mut shape = self.clone();
        axes.iter().for_each(|&axis| shape.0[axis] = 1);
        shape
    }

    /// What a reduction over `axes` (ascending) leaves: those axes are gone.
    pub(crate) fn reduced(&self, axes: &[usize]) -> Shape {
        self.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &size)| size).collect()
    }
}

/// The number of elements of these sizes, saturating; none as soon as one size is 0.
#[inline]
pub(crate) fn len_of(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |n, &size| n.saturating_mul(size))
}

/// The same, unless it has more digits than a number.
pub(crate) fn checked_len_of(sizes: &[usize]) -> Option<usize> {
    let mut sizes = sizes.iter();
    let product = sizes.try_fold(1_usize, |n, &size| n.checked_mul(size));
    product.or_else(|| sizes.any(|&size| size == 0).then_some(0))
}

impl Clone for Shape {
    /// A copy of memory, where `SmallVec::clone` goes through an iterator.
    #[inline]
    fn clone(&self) -> Self {
        Shape(SmallVec::from_slice(&self.0))
    }
}

impl PartialEq for Shape {
    /// Size by size: shapes are too short for a call that compares memory.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank() && self.iter().zip(other.iter()).all(|(size, other)| size == other)
    }
}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(sizes: I) -> Self {
        Shape(sizes.into_iter().collect())
    }
}

impl From<usize> for Shape {
    fn from(size: usize) -> Self {
        Shape::from([size])
    }
}

impl From<()> for Shape {
    fn from((): ()) -> Self {
        Shape::default()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(sizes: [usize; N]) -> Self {
        Shape(SmallVec::from_slice(&sizes))
    }
}

impl From<&[usize]> for Shape {
    fn from(sizes: &[usize]) -> Self {
        Shape(SmallVec::from_slice(sizes))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(sizes: Vec<usize>) -> Self {
        Shape(SmallVec::from_vec(sizes))
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Axes an operation works along; −1 is the last one.
///
/// Built from one axis or an array of them: `-1`, `[0, 2]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes(SmallVec<[isize; 4]>);

impl Deref for Axes {
    type Target = [isize];
    fn deref(&self) -> &[isize] {
        &self.0
    }
}

impl From<isize> for Axes {
    fn from(axis: isize) -> Self {
        Axes::from([axis])
    }
}

impl<const N: usize> From<[isize; N]> for Axes {
    fn from(axes: [isize; N]) -> Self {
        Axes(SmallVec::from_slice(&axes))
    }
}

impl From<&[isize]> for Axes {
    fn from(axes: &[isize]) -> Self {
        Axes(SmallVec::from_slice(axes))
    }
}

impl FromIterator<isize> for Axes {
    fn from_iter<I: IntoIterator<Item = isize>>(axes: I) -> Self {
        Axes(axes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(sizes: &[usize]) -> Shape {
        Shape::from(sizes)
    }

    #[test]
    fn built_from_whatever_lists_sizes() {
        assert_eq!(Shape::from(()), shape(&[]));
        assert_eq!(Shape::from(3), shape(&[3]));
        assert_eq!(Shape::from([2, 3]), Shape::from(vec![2, 3]));
        assert_eq!([1, 2, 3, 4, 5].into_iter().collect::<Shape>().to_string(), "[1, 2, 3, 4, 5]");
        assert_eq!(shape(&[]).to_string(), "[]");
    }

    #[test]
    fn length_saturates_and_zero_wins() {
        assert_eq!((shape(&[]).len(), shape(&[2, 3]).len()), (1, 6));
        assert_eq!(shape(&[usize::MAX, 2]).len(), usize::MAX);
        assert_eq!(shape(&[usize::MAX, 2, 0]).len(), 0);
    }

    #[test]
    fn products_and_computed_sizes_have_an_end() {
        let cases: [(&[usize], usize, Option<usize>); 5] = [
            (&[], 1, Some(1)),
            (&[3, 4], 12, Some(12)),
            (&[usize::MAX, 2, 3], usize::MAX, None),
            (&[usize::MAX, 2, 0], 0, Some(0)),
            (&[0, usize::MAX, usize::MAX], 0, Some(0)),
        ];
        for (sizes, saturating, checked) in cases {
            assert_eq!((len_of(sizes), checked_len_of(sizes)), (saturating, checked), "{sizes:?}");
        }
        assert_eq!(Shape::computed([Some(2), Some(0)]), Ok(shape(&[2, 0])));
        assert_eq!(Shape::computed([Some(0), None]), Err(ErrorKind::Memory { shape: shape(&[0, usize::MAX]) }));
    }

    #[test]
    fn broadcast_aligns_at_the_end() {
        let both = |a, b| shape(a).broadcast(&shape(b));
        for (a, b, expected) in [
            (&[2, 3][..], &[3][..], &[2, 3][..]),
            (&[2, 1], &[1, 3], &[2, 3]),
            (&[], &[4], &[4]),
            (&[5, 1, 3], &[2, 1], &[5, 2, 3]),
            (&[1], &[0], &[0]),
            (&[2, 0], &[1, 1], &[2, 0]),
        ] {
            assert_eq!(both(a, b), Ok(shape(expected)), "{a:?} {b:?}");
            assert_eq!(both(b, a), Ok(shape(expected)), "{b:?} {a:?}");
        }
        let message = both(&[7, 2, 3], &[3, 3]).unwrap_err().to_string();
        assert_eq!(message, "shapes do not broadcast: [7, 2, 3] and [3, 3] (2 ≠ 3 at axis −2)");
        assert!(both(&[0], &[2]).is_err());
    }

    #[test]
    fn axes_count_from_both_ends() {
        let x = shape(&[2, 3, 4]);
        assert_eq!((x.axis(0), x.axis(-1), x.axis(-3)), (Ok(0), Ok(2), Ok(0)));
        for axis in [3, -4, isize::MAX, isize::MIN] {
            assert_eq!(x.axis(axis), Err(ErrorKind::Axis { axis, shape: x.clone() }));
        }
        assert!(shape(&[]).axis(0).is_err() && shape(&[]).axis(-1).is_err());
    }

    #[test]
    fn lists_of_axes_are_sorted_and_distinct() {
        let x = shape(&[2, 3, 4]);
        assert_eq!(x.axes(&Axes::from([-1, 0])).unwrap().as_slice(), [0, 2]);
        assert_eq!(x.axes(&Axes::from(-2)).unwrap().as_slice(), [1]);
        assert_eq!(x.axes(&Axes::from([])).unwrap().as_slice(), []);
        assert_eq!(x.axes(&Axes::from([2, -1])), Err(ErrorKind::RepeatedAxis { axis: -1 }));
        assert_eq!(x.axes(&Axes::from([0, 3])), Err(ErrorKind::Axis { axis: 3, shape: x.clone() }));
    }

    #[test]
    fn reductions_keep_or_drop_axes() {
        let x = shape(&[2, 3, 4]);
        assert_eq!((x.keep_reduced(&[0, 2]), x.reduced(&[0, 2])), (shape(&[1, 3, 1]), shape(&[3])));
        assert_eq!((x.keep_reduced(&[]), x.reduced(&[0, 1, 2])), (x.clone(), shape(&[])));
        assert_eq!(x.with(1, 0), shape(&[2, 0, 4]));
    }
}
