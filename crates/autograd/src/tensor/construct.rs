//! Making tensors: filled, counted, and from what Rust programs hold numbers in.

use smallvec::SmallVec;

use super::layout::Layout;
use super::{Tensor, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::float::{Element, Float};
use crate::shape::Shape;

/// # Made of elements
impl<E: Element> Tensor<E> {
    /// Every element is `x`.
    pub fn full(shape: impl Into<Shape>, x: E) -> Self {
        Self::build_or_panic(shape.into(), |elements| elements.fill(x))
    }

    /// Every element is zero (of masks: false).
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        Self::full(shape, E::default())
    }

    /// A single number, of rank zero.
    pub fn scalar(x: E) -> Self {
        Self::full((), x)
    }

    /// Each element is `f` of its index, called in row-major order.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let x = Tensor::from_fn([2, 3], |i| 10 * i[0] + i[1]);
    /// assert_eq!(x, Tensor::from([[0, 1, 2], [10, 11, 12]]));
    /// ```
    pub fn from_fn(shape: impl Into<Shape>, f: impl FnMut(&[usize]) -> E) -> Self {
        Self::tabulated(shape.into(), f).unwrap_or_else(refused)
    }

    /// As [`from_fn`](Self::from_fn), unless memory has no room.
    pub(crate) fn tabulated(shape: Shape, mut f: impl FnMut(&[usize]) -> E) -> Result<Self, ErrorKind> {
        let mut index = vec![0; shape.rank()];
        Self::build(shape.clone(), |elements| {
            for x in elements {
                *x = f(&index);
                advance(&mut index, &shape);
            }
        })
    }

    /// The numbers in `elements`, in row-major order.
    ///
    /// # Errors
    /// [`ErrorKind::ValueCount`] when the shape has another number of elements.
    #[track_caller]
    pub fn from_vec(shape: impl Into<Shape>, elements: Vec<E>) -> Result<Self> {
        let shape = shape.into();
        if shape.len() != elements.len() {
            return Err(Error::new("from_vec", ErrorKind::ValueCount { found: elements.len(), shape }));
        }
        let layout = Layout::contiguous(shape);
        Ok(Self { layout, ..Self::from(elements) })
    }
}

impl<E: Element> Tensor<E> {
    /// One element everywhere, in the memory of one.
    pub(crate) fn repeated(element: E, shape: &Shape) -> Self {
        let strides = SmallVec::from_elem(0, shape.rank());
        Tensor::scalar(element).with_layout(Layout { shape: shape.clone(), strides, offset: 0 })
    }
}

/// # Series
impl<T: Float> Tensor<T> {
    /// The shape of a tensor whose elements nobody will look at: NaN.
    pub(crate) fn absent(shape: &Shape) -> Self {
        Tensor::repeated(T::NAN, shape)
    }

    /// Every element is one.
    pub fn ones(shape: impl Into<Shape>) -> Self {
        Self::full(shape, T::ONE)
    }

    /// The identity matrix: `[n, n]`.
    pub fn eye(n: usize) -> Self {
        let mut matrix = Self::zeros([n, n]);
        matrix.make_mut().iter_mut().step_by(n.saturating_add(1)).for_each(|x| *x = T::ONE);
        matrix
    }

    /// `start, start + step, …` before `end`: ⌈(end − start) / step⌉ numbers, none if `end` lies the other way.
    ///
    /// The i-th number is computed as `start + i·step`, so rounding errors do not add up.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// assert_eq!(Tensor::arange(1.0, 0.0, -0.25)?, Tensor::from([1.0, 0.75, 0.5, 0.25]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] when the step is zero or not a number, or the count is not finite; [`ErrorKind::Memory`].
    #[track_caller]
    pub fn arange(start: T, end: T, step: T) -> Result<Self> {
        let (start, end, step) = (start.to_f64(), end.to_f64(), step.to_f64());
        let count = ((end - start) / step).ceil();
        // 2⁵³ numbers are more than any memory, and not finite counts end here too.
        if step == 0.0 || count.is_nan() || count >= 2f64.powi(53) {
            let found = format!("{start}..{end} step {step}");
            return Err(Error::new("arange", ErrorKind::Argument { name: "range", must: "a countable range", found }));
        }
        let fill = |elements: &mut [T]| {
            let places = elements.iter_mut().enumerate();
            places.for_each(|(i, x)| *x = T::from_f64(start + i as f64 * step));
        };
        Self::build(Shape::from(count.max(0.0) as usize), fill).map_err(Error::at("arange"))
    }

    /// `n` numbers from `start` to `end`, both included, equally far apart; `start` alone if `n` is one.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// assert_eq!(Tensor::linspace(0.0, 1.0, 5), Tensor::from([0.0, 0.25, 0.5, 0.75, 1.0]));
    /// ```
    pub fn linspace(start: T, end: T, n: usize) -> Self {
        let (a, b) = (start.to_f64(), end.to_f64());
        let step = (b - a) / n.saturating_sub(1).max(1) as f64;
        Self::build_or_panic(Shape::from(n), |elements| {
            for (i, x) in elements.iter_mut().enumerate() {
                // From the nearer end, so that both ends are exact.
                *x = T::from_f64(if i < n / 2 || n == 1 { a + i as f64 * step } else { b - (n - 1 - i) as f64 * step });
            }
        })
    }
}

/// The next index in row-major order; from the last one back to the first.
fn advance(index: &mut [usize], shape: &Shape) {
    for (i, &size) in index.iter_mut().zip(shape.iter()).rev() {
        *i += 1;
        if *i < size {
            return;
        }
        *i = 0;
    }
}

/// A second handle to the same elements.
impl<E: Element> From<&Tensor<E>> for Tensor<E> {
    fn from(tensor: &Tensor<E>) -> Self {
        tensor.clone()
    }
}

impl<E: Element> From<E> for Tensor<E> {
    fn from(x: E) -> Self {
        Self::scalar(x)
    }
}

impl<E: Element> From<&[E]> for Tensor<E> {
    fn from(elements: &[E]) -> Self {
        Self::build_or_panic(Shape::from(elements.len()), |into| into.copy_from_slice(elements))
    }
}

impl<E: Element> From<Vec<E>> for Tensor<E> {
    fn from(elements: Vec<E>) -> Self {
        Self::from(elements.as_slice())
    }
}

impl<E: Element> FromIterator<E> for Tensor<E> {
    fn from_iter<I: IntoIterator<Item = E>>(elements: I) -> Self {
        Self::from(elements.into_iter().collect::<Vec<_>>())
    }
}

impl<E: Element, const A: usize> From<[E; A]> for Tensor<E> {
    fn from(elements: [E; A]) -> Self {
        Self::from(elements.as_slice())
    }
}

impl<E: Element, const A: usize, const B: usize> From<[[E; B]; A]> for Tensor<E> {
    fn from(rows: [[E; B]; A]) -> Self {
        Self::build_or_panic(Shape::from([A, B]), |into| into.copy_from_slice(rows.as_flattened()))
    }
}

impl<E: Element, const A: usize, const B: usize, const C: usize> From<[[[E; C]; B]; A]> for Tensor<E> {
    fn from(matrices: [[[E; C]; B]; A]) -> Self {
        let elements = matrices.as_flattened().as_flattened();
        Self::build_or_panic(Shape::from([A, B, C]), |into| into.copy_from_slice(elements))
    }
}

impl<E: Element, const A: usize, const B: usize, const C: usize, const D: usize> From<[[[[E; D]; C]; B]; A]>
    for Tensor<E>
{
    fn from(blocks: [[[[E; D]; C]; B]; A]) -> Self {
        let elements = blocks.as_flattened().as_flattened().as_flattened();
        Self::build_or_panic(Shape::from([A, B, C, D]), |into| into.copy_from_slice(elements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<E: Element>(x: &Tensor<E>) -> (Vec<usize>, Vec<E>) {
        (x.shape().to_vec(), x.to_vec())
    }

    #[test]
    fn filled() {
        assert_eq!(parts(&Tensor::<f32>::zeros([2, 1])), (vec![2, 1], vec![0.0; 2]));
        assert_eq!(parts(&Tensor::<f64>::ones(3)), (vec![3], vec![1.0; 3]));
        assert_eq!(parts(&Tensor::full((), true)), (vec![], vec![true]));
        assert_eq!(parts(&Tensor::<f32>::eye(2)), (vec![2, 2], vec![1.0, 0.0, 0.0, 1.0]));
        assert_eq!(parts(&Tensor::<f32>::eye(0)), (vec![0, 0], vec![]));
        assert_eq!(parts(&Tensor::<usize>::zeros([0, usize::MAX, usize::MAX])).1, vec![]);
    }

    #[test]
    fn from_nested_arrays() {
        assert_eq!(parts(&Tensor::from(5usize)), (vec![], vec![5]));
        assert_eq!(parts(&Tensor::from([1usize, 2])), (vec![2], vec![1, 2]));
        assert_eq!(parts(&Tensor::from([[1usize, 2]])), (vec![1, 2], vec![1, 2]));
        assert_eq!(parts(&Tensor::from([[[1usize, 2], [3, 4]]])), (vec![1, 2, 2], vec![1, 2, 3, 4]));
        assert_eq!(parts(&Tensor::from([[[[1usize], [2]]], [[[3], [4]]]])), (vec![2, 1, 2, 1], vec![1, 2, 3, 4]));
        assert_eq!(parts(&Tensor::<f32>::from([[0.0; 0]; 2])), (vec![2, 0], vec![]));
        assert_eq!(parts(&(1..4usize).collect()), (vec![3], vec![1, 2, 3]));
    }

    #[test]
    fn from_vec_counts() {
        assert_eq!(parts(&Tensor::from_vec([2, 2], vec![1usize, 2, 3, 4]).unwrap()), (vec![2, 2], vec![1, 2, 3, 4]));
        let error = Tensor::from_vec([2, 2], vec![1usize]).unwrap_err();
        assert!(error.to_string().starts_with("from_vec: 1 values are given for shape [2, 2] of 4 elements, at "));
        assert!(Tensor::from_vec([usize::MAX, 2], vec![1usize]).is_err());
    }

    #[test]
    fn counted() {
        assert_eq!(Tensor::arange(0.0, 1.0, 0.3).unwrap().to_vec(), [0.0, 0.3, 0.6, 0.3 * 3.0]);
        assert!(Tensor::arange(0.0f32, -1.0, 0.3).unwrap().is_empty());
        for (start, end, step) in [(0.0, 1.0, 0.0), (0.0, 1.0, f32::NAN), (0.0, f32::INFINITY, 1.0), (0.0, 1e30, 1.0)] {
            assert!(Tensor::arange(start, end, step).is_err(), "{start}..{end} step {step}");
        }
        let x = Tensor::linspace(-0.1, 0.3, 7);
        assert_eq!((x.get(&[0]), x.get(&[6])), (Some(-0.1), Some(0.3)));
        assert_eq!(Tensor::linspace(2.0f32, 3.0, 1).to_vec(), [2.0]);
        assert_eq!(Tensor::linspace(2.0f32, 3.0, 0).len(), 0);
    }
}
