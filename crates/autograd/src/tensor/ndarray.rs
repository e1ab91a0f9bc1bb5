//! From and into the arrays of the `ndarray` crate (feature `ndarray`).

use ndarray::{Array, ArrayD, Dimension, IxDyn};

use super::Tensor;
use super::layout::Layout;
use crate::float::Element;
use crate::shape::Shape;

/// Copies the elements.
///
/// ```
/// use autograd::Tensor;
///
/// let x = Tensor::from(ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!(x, Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
/// ```
impl<E: Element, D: Dimension> From<Array<E, D>> for Tensor<E> {
    fn from(array: Array<E, D>) -> Self {
        let layout = Layout::contiguous(Shape::from(array.shape()));
        Self { layout, ..array.into_iter().collect() }
    }
}

/// Copies the elements.
///
/// ```
/// use autograd::Tensor;
///
/// let x = ndarray::ArrayD::from(Tensor::from([[1.0, 2.0, 3.0]]).t()?);
/// assert_eq!(x, ndarray::array![[1.0], [2.0], [3.0]].into_dyn());
/// # Ok::<(), autograd::Error>(())
/// ```
impl<E: Element> From<Tensor<E>> for ArrayD<E> {
    fn from(tensor: Tensor<E>) -> Self {
        let array = ArrayD::from_shape_vec(IxDyn(tensor.shape()), tensor.to_vec());
        array.expect("a tensor has as many elements as its shape says")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_arrays_keep_their_order() {
        let array = Array::from_shape_fn((2, 3), |(i, j)| 10 * i + j).reversed_axes();
        let x = Tensor::from(array.clone());
        assert_eq!(x, Tensor::from([[0, 10], [1, 11], [2, 12]]));
        assert_eq!(ArrayD::from(x), array.into_dyn());
        assert_eq!(ArrayD::from(Tensor::from(2.5)).shape(), []);
        assert_eq!(ArrayD::from(Tensor::<f32>::zeros([2, 0])).shape(), [2, 0]);
    }
}
