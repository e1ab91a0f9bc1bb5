//! Equality, and closeness with a difference that one can read.

use std::error;
use std::fmt;

use super::Tensor;
use crate::float::{Element, Float};
use crate::shape::Shape;

/// The same shape and equal elements; NaN is equal to nothing, as in Rust.
impl<E: Element> PartialEq for Tensor<E> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape()
            && match (self.as_slice(), other.as_slice()) {
                (Some(left), Some(right)) => left == right,
                _ => self.iter().eq(other.iter()),
            }
    }
}

/// # Differences
impl<T: Float> Tensor<T> {
    /// Whether every element `x` is close to its partner `y` in `expected`: |x − y| ≤ absolute + relative·|y|.
    ///
    /// Equal infinities are close, and so are two NaN: a test that expects one should find it.
    ///
    /// ```
    /// # use autograd::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.5]);
    /// let difference = x.close_to(&Tensor::from([1.0, 2.0, 3.0]), 1e-6, 0.0).unwrap_err();
    /// assert_eq!(difference.to_string(), "1 of 3 elements differ, most at [2]: 3.5 and 3 are 0.5 apart");
    /// ```
    ///
    /// # Errors
    /// The [`Difference`], when an element is not close or the shapes differ.
    pub fn close_to(&self, expected: &Self, relative: f64, absolute: f64) -> Result<(), Difference> {
        if self.shape() != expected.shape() {
            return Err(Difference::Shapes { left: self.shape().clone(), right: expected.shape().clone() });
        }
        let pairs = self.iter().zip(expected.iter()).map(|(x, y)| (x.to_f64(), y.to_f64())).enumerate();
        let differing: Vec<_> = pairs.filter(|&(_, (x, y))| !is_close(x, y, relative, absolute)).collect();
        // How far out of bounds, so that a large element with a large allowance does not hide a small one.
        let excess = |&(_, (x, y)): &(usize, (f64, f64))| match (x - y).abs() / (absolute + relative * y.abs()) {
            ratio if ratio.is_nan() => f64::INFINITY,
            ratio => ratio,
        };
        let Some(&(i, (left, right))) = differing.iter().min_by(|a, b| excess(b).total_cmp(&excess(a))) else {
            return Ok(());
        };
        let index = unravel(i, self.shape());
        Err(Difference::Elements { differing: differing.len(), total: self.len(), index, left, right })
    }
}

fn is_close(x: f64, y: f64, relative: f64, absolute: f64) -> bool {
    // Equality first: infinities have no distance. An infinite allowance does not make all of them close.
    x == y || (x.is_nan() && y.is_nan()) || (y.is_finite() && (x - y).abs() <= absolute + relative * y.abs())
}

/// The index of the `i`-th element in row-major order.
fn unravel(mut i: usize, shape: &Shape) -> Vec<usize> {
    let mut index = vec![0; shape.rank()];
    for (index, &size) in index.iter_mut().zip(shape.iter()).rev() {
        *index = i % size;
        i /= size;
    }
    index
}

/// How two tensors differ, in a sentence; see [`Tensor::close_to`].
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// Their shapes differ.
    Shapes {
        /// The shape of the tensor.
        left: Shape,
        /// The shape of the tensor it is compared with.
        right: Shape,
    },
    /// Some elements are further apart than allowed.
    Elements {
        /// How many.
        differing: usize,
        /// Of how many.
        total: usize,
        /// Where the distance is the largest multiple of what is allowed there.
        index: Vec<usize>,
        /// The element there.
        left: f64,
        /// The element it is compared with.
        right: f64,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shapes { left, right } => write!(f, "shapes differ: {left} and {right}"),
            Self::Elements { differing, total, index, left, right } => {
                let apart = (left - right).abs();
                write!(f, "{differing} of {total} elements differ, most at {index:?}: {left} and {right}")?;
                if apart.is_nan() { Ok(()) } else { write!(f, " are {apart} apart") }
            }
        }
    }
}

impl fmt::Debug for Difference {
    /// `unwrap` prints the sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for Difference {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_of_shape_and_elements() {
        let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(x, x.t().unwrap().contiguous().t().unwrap());
        assert_ne!(x, x.t().unwrap());
        assert_ne!(x, x.flatten());
        assert_ne!(Tensor::from(f64::NAN), Tensor::from(f64::NAN));
        assert_eq!(Tensor::from(0.0), Tensor::from(-0.0));
        assert_ne!(Tensor::<f32>::zeros([0, 2]), Tensor::zeros([2, 0]));
    }

    #[test]
    fn closeness_is_relative_to_the_other() {
        let close =
            |x: f64, y: f64, relative, absolute| Tensor::from(x).close_to(&Tensor::from(y), relative, absolute).is_ok();
        assert!(close(11.0, 10.0, 0.1, 0.0) && !close(10.0, 11.1, 0.09, 0.0) && !close(11.1, 10.0, 0.1, 0.0));
        assert!(close(0.1, 0.0, 0.0, 0.1) && !close(0.1, 0.0, 10.0, 0.0));
        assert!(close(f64::INFINITY, f64::INFINITY, 0.0, 0.0) && close(f64::NAN, f64::NAN, 0.0, 0.0));
        assert!(!close(1.0, f64::INFINITY, 0.1, 0.0) && !close(f64::INFINITY, -f64::INFINITY, 0.1, 0.0));
        assert!(
            !close(f64::INFINITY, 1.0, 0.1, 0.0) && !close(f64::NAN, 1.0, 0.1, 1.0) && !close(1.0, f64::NAN, 0.1, 1.0)
        );
    }

    #[test]
    fn a_difference_is_a_sentence() {
        let text = |x: Tensor<f32>, y| x.close_to(&y, 0.1, 0.0).unwrap_err().to_string();
        assert_eq!(text(Tensor::zeros([2, 3]), Tensor::zeros([3])), "shapes differ: [2, 3] and [3]");
        let x = Tensor::from([[1.0, 100.0], [0.5, 7.0]]);
        let y = Tensor::from([[1.0, 150.0], [0.25, 7.0]]);
        assert_eq!(text(x, y), "2 of 4 elements differ, most at [1, 0]: 0.5 and 0.25 are 0.25 apart");
        let x = Tensor::from([1.0, f32::NAN, 2.0]);
        assert_eq!(text(x, Tensor::from([1.0, 1.0, 3.0])), "2 of 3 elements differ, most at [1]: NaN and 1");
    }
}
