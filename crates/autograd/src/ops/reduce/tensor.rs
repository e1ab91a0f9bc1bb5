//! Reductions of plain tensors.

use smallvec::SmallVec;

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::kernel;
use crate::shape::Axes;
use crate::tensor::{Tensor, View};

/// # Sums, means, products
impl<T: Float> Tensor<T> {
    /// The sum of all elements.
    pub fn sum(&self) -> T {
        self.fold_all(kernel::reduce::sum)
    }

    /// The sum over `axes`, which are dropped.
    ///
    /// Shapes: any → the shape without `axes`.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] or [`ErrorKind::RepeatedAxis`].
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.sum_axes(0)?, Tensor::from([4.0, 6.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn sum_axes(&self, axes: impl Into<Axes>) -> Result<Self> {
        self.fold_axes(axes.into(), kernel::reduce::sum).map_err(Error::at("sum_axes"))
    }

    /// The mean of all elements; NaN for none.
    pub fn mean(&self) -> T {
        self.sum() * T::from_f64(1.0 / self.len() as f64)
    }

    /// The mean over `axes`, which are dropped; NaN for no elements.
    ///
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let x = Tensor::from([[1.0, 3.0], [2.0, 6.0]]);
    /// assert_eq!(x.mean_axes(1)?, Tensor::from([2.0, 4.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] or [`ErrorKind::RepeatedAxis`].
    #[track_caller]
    pub fn mean_axes(&self, axes: impl Into<Axes>) -> Result<Self> {
        let sum = self.fold_axes(axes.into(), kernel::reduce::sum).map_err(Error::at("mean_axes"))?;
        let per_element = T::from_f64(sum.len() as f64 / self.len() as f64);
        Ok(sum.map(|x| x * per_element))
    }

    /// The product of all elements; 1 for none.
    pub fn prod(&self) -> T {
        self.fold_all(kernel::reduce::product)
    }

    /// How many elements are not zero.
    pub fn count_nonzero(&self) -> usize {
        self.iter().filter(|&x| x != T::ZERO).count()
    }

    pub(crate) fn fold_all(&self, fold: impl FnOnce(View<'_, T>, &[usize], &mut [T])) -> T {
        let axes: SmallVec<[usize; 4]> = (0..self.rank()).collect();
        let mut result = [T::ZERO];
        fold(self.view(), &axes, &mut result);
        result[0]
    }

    pub(crate) fn fold_axes(
        &self,
        axes: Axes,
        fold: impl FnOnce(View<'_, T>, &[usize], &mut [T]),
    ) -> Result<Self, ErrorKind> {
        let axes = self.shape().axes(&axes)?;
        Tensor::build(self.shape().reduced(&axes), |out| fold(self.view(), &axes, out))
    }
}
