//! Sums, means and products over axes.

mod rules;
mod tensor;

use smallvec::SmallVec;

use super::{Op, TensorRule};
use crate::float::Float;
use crate::scalar::Scalar;
use crate::shape::Axes;
use crate::var::{Term, Var};

use rules::to_end;

pub(crate) use rules::{Prod, Sum};

/// # Sums, means, products
impl<'t, T: Float> Var<'t, T> {
    /// Σx over all elements.
    ///
    /// Derivative: 1 for every element.
    /// Shapes: any → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 2.0, 3.0]);
    /// let gradients = (x * x).sum().backward()?;
    /// assert_eq!(gradients.of(x)?.to_vec(), [2.0, 4.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn sum(self) -> Scalar<'t, T> {
        self.reduce_all(|axes| Sum { axes })
    }

    /// The sum over `axes`, which are dropped.
    ///
    /// Derivative: the gradient, repeated along the axes.
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let rows = x.sum_axes(1);
    /// assert_eq!(rows.value()?.to_vec(), [3.0, 7.0]);
    /// assert_eq!(rows.square().sum().backward()?.of(x)?, [[6.0, 6.0], [14.0, 14.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn sum_axes(self, axes: impl Into<Axes>) -> Self {
        self.reduce("sum_axes", axes.into(), Keep::Drop, |axes| Sum { axes })
    }

    /// The sum over `axes`, which stay with size one.
    ///
    /// Derivative: as of [`sum_axes`](Self::sum_axes).
    /// Shapes: any → the same, with size one along `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Every row as shares of its sum.
    /// let x = tape.constant([[1.0_f32, 3.0], [2.0, 2.0]]);
    /// assert_eq!((x / x.sum_keepdim(1)).value()?, [[0.25, 0.75], [0.5, 0.5]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn sum_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce("sum_keepdim", axes.into(), Keep::Keep, |axes| Sum { axes })
    }

    /// The mean of all elements.
    ///
    /// Derivative: 1/n for every element. Not a number for no elements.
    /// Shapes: any → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The loss of a batch.
    /// let errors = tape.var([1.0_f32, -3.0]);
    /// let loss = errors.square().mean();
    /// assert_eq!(loss, 5.0);
    /// assert_eq!(loss.backward()?.of(errors)?.to_vec(), [1.0, -3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn mean(self) -> Scalar<'t, T> {
        self.sum() * T::from_f64(1.0 / self.shape().len() as f64)
    }

    /// The mean over `axes`, which are dropped.
    ///
    /// Derivative: 1/n for each of the n elements of a mean. Not a number for no elements.
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // One number for each channel of an image.
    /// let image = tape.constant([[[1.0_f32, 3.0], [5.0, 7.0]], [[0.0, 0.0], [0.0, 4.0]]]);
    /// assert_eq!(image.mean_axes([-2, -1]).value()?.to_vec(), [4.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn mean_axes(self, axes: impl Into<Axes>) -> Self {
        let sum = self.reduce("mean_axes", axes.into(), Keep::Drop, |axes| Sum { axes });
        sum * Term::Number(self.per_element(sum))
    }

    /// The mean over `axes`, which stay with size one.
    ///
    /// Derivative: as of [`mean_axes`](Self::mean_axes).
    /// Shapes: any → the same, with size one along `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Every row centred at 0.
    /// let x = tape.constant([[1.0_f32, 3.0], [2.0, 6.0]]);
    /// assert_eq!((x - x.mean_keepdim(1)).value()?, [[-1.0, 1.0], [-2.0, 2.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn mean_keepdim(self, axes: impl Into<Axes>) -> Self {
        let sum = self.reduce("mean_keepdim", axes.into(), Keep::Keep, |axes| Sum { axes });
        sum * Term::Number(self.per_element(sum))
    }

    /// 1/n where n elements of this go into each element of `reduced`.
    fn per_element(self, reduced: Self) -> T {
        T::from_f64(reduced.shape().len() as f64 / self.shape().len() as f64)
    }

    /// Πx over all elements; 1 for none.
    ///
    /// Derivative: the product of the other elements, right with any number of zeros and to any order.
    /// Shapes: any → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([2.0_f32, 0.0, 5.0]);
    /// assert_eq!(x.prod().backward()?.of(x)?.to_vec(), [0.0, 10.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn prod(self) -> Scalar<'t, T> {
        self.reduce_all(|axes| Prod { axes })
    }

    /// The product over `axes`, which are dropped.
    ///
    /// Derivative: as of [`prod`](Self::prod).
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[2.0_f32, 3.0], [0.0, 5.0]]);
    /// let y = x.prod_axes(1);
    /// assert_eq!(y.value()?.to_vec(), [6.0, 0.0]);
    /// assert_eq!(y.sum().backward()?.of(x)?, [[3.0, 2.0], [5.0, 0.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn prod_axes(self, axes: impl Into<Axes>) -> Self {
        self.reduce("prod_axes", axes.into(), Keep::Drop, |axes| Prod { axes })
    }

    /// The product over `axes`, which stay with size one.
    ///
    /// Derivative: as of [`prod`](Self::prod).
    /// Shapes: any → the same, with size one along `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[2.0_f32, 3.0], [4.0, 5.0]]);
    /// assert_eq!(x.prod_keepdim(1).value()?, [[6.0], [20.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn prod_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce("prod_keepdim", axes.into(), Keep::Keep, |axes| Prod { axes })
    }

    /// The sum of all elements that are numbers: NaN counts as 0.
    ///
    /// Derivative: 1 for every number, 0 for NaN.
    /// Shapes: any → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let readings = tape.var([1.0_f32, f32::NAN, 3.0]);
    /// let sum = readings.nansum();
    /// assert_eq!(sum, 4.0);
    /// assert_eq!(sum.backward()?.of(readings)?.to_vec(), [1.0, 0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn nansum(self) -> Scalar<'t, T> {
        self.numbers_else_zero().sum()
    }

    /// The mean of all elements that are numbers; NaN if there are none.
    ///
    /// Derivative: 1/n for each of the n numbers, 0 for NaN.
    /// Shapes: any → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let readings = tape.var([1.0_f32, f32::NAN, 3.0]);
    /// let mean = readings.nanmean();
    /// assert_eq!(mean, 2.0);
    /// assert_eq!(mean.backward()?.of(readings)?.to_vec(), [0.5, 0.0, 0.5]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn nanmean(self) -> Scalar<'t, T> {
        self.nansum() / self.eq(self).count()
    }

    /// The sum over `axes`, which are dropped, with NaN counted as 0.
    ///
    /// Derivative: as of [`nansum`](Self::nansum).
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let readings = tape.constant([[1.0_f32, f32::NAN], [2.0, 3.0]]);
    /// assert_eq!(readings.nansum_axes(1).value()?.to_vec(), [1.0, 5.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn nansum_axes(self, axes: impl Into<Axes>) -> Self {
        self.numbers_else_zero().reduce("nansum_axes", axes.into(), Keep::Drop, |axes| Sum { axes })
    }

    /// The mean of those elements over `axes` that are numbers; the axes are dropped.
    ///
    /// Derivative: as of [`nanmean`](Self::nanmean).
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The mean of each of two sensors over the times that have a reading.
    /// let readings = tape.constant([[1.0_f32, f32::NAN], [2.0, 4.0], [3.0, 8.0]]);
    /// assert_eq!(readings.nanmean_axes(0).value()?.to_vec(), [2.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn nanmean_axes(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        let sum = self.numbers_else_zero().reduce("nanmean_axes", axes.clone(), Keep::Drop, |axes| Sum { axes });
        sum / self.eq(self).count_axes(axes)
    }

    #[track_caller]
    fn numbers_else_zero(self) -> Self {
        self.eq(self).select(self, Term::Number(T::ZERO))
    }

    /// How many elements are not zero.
    ///
    /// Derivative: none.
    /// Shapes: any → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // How many weights a mask has left.
    /// let weights = tape.constant([0.5_f32, 0.0, -1.0]);
    /// assert_eq!(weights.count_nonzero(), 2.0);
    /// ```
    #[track_caller]
    pub fn count_nonzero(self) -> Scalar<'t, T> {
        self.ne(Term::Number(T::ZERO)).count()
    }

    /// How many elements over `axes` are not zero; the axes are dropped.
    ///
    /// Derivative: none.
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[0.5_f32, 0.0], [0.0, 0.0]]);
    /// assert_eq!(x.count_nonzero_axes(1).value()?.to_vec(), [1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn count_nonzero_axes(self, axes: impl Into<Axes>) -> Self {
        self.ne(Term::Number(T::ZERO)).count_axes(axes).called("count_nonzero_axes")
    }

    /// `[lines, n]`: what a reduction over `axes` sees, one line for each element of its result.
    #[track_caller]
    pub(crate) fn in_rows(self, axes: &[usize]) -> Self {
        let shape = self.shape();
        let order: Axes = to_end(shape.rank(), axes).into_iter().map(|axis| axis as isize).collect();
        let length = axes.iter().fold(1_usize, |length, &axis| length.saturating_mul(shape[axis]));
        self.permute(order).reshape([shape.reduced(axes).len(), length])
    }

    /// Records a reduction over all axes.
    #[track_caller]
    pub(crate) fn reduce_all<R: TensorRule + Into<Op>>(
        self,
        op: impl FnOnce(SmallVec<[usize; 4]>) -> R,
    ) -> Scalar<'t, T> {
        self.record(op((0..self.rank()).collect()), &[]).item()
    }

    /// Records a reduction that keeps its axes, and drops them if asked to; `name` is the method's.
    #[track_caller]
    pub(crate) fn reduce<R: TensorRule + Into<Op>>(
        self,
        name: &'static str,
        axes: Axes,
        keep: Keep,
        op: impl FnOnce(SmallVec<[usize; 4]>) -> R,
    ) -> Self {
        let shape = self.shape();
        match shape.axes(&axes) {
            Ok(axes) => {
                let dropped = shape.reduced(&axes);
                let kept = self.record(op(axes), &[]);
                if keep == Keep::Keep { kept } else { kept.reshape(dropped) }
            }
            Err(kind) => self.fail(name, kind),
        }
    }
}

/// Whether a reduced axis stays with size one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Keep,
    Drop,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::tensor::Tensor;
    use crate::testing::{assert_fails, assert_gradient, sample};

    fn scalar<'t>(y: Scalar<'t, f64>, x: Var<'t, f64>) -> Var<'t, f64> {
        x.tape().from_scalars(&[y])
    }

    #[test]
    fn sums_means_and_products_have_their_derivatives() {
        let x = sample(&[2, 3, 4], 1);
        for axes in [Axes::from(1), Axes::from([0, -1]), Axes::from([])] {
            assert_gradient(|x| x[0].square().sum_axes(axes.clone()), std::slice::from_ref(&x));
            assert_gradient(|x| x[0].square().mean_keepdim(axes.clone()), std::slice::from_ref(&x));
            assert_gradient(|x| x[0].prod_keepdim(axes.clone()), std::slice::from_ref(&x));
            assert_gradient(|x| x[0].prod_axes(axes.clone()), std::slice::from_ref(&x));
        }
        assert_gradient(|x| scalar(x[0].prod(), x[0]), &[sample(&[5], 2)]);
        assert_gradient(|x| x[0].t().prod_axes(0), &[sample(&[2, 3], 2)]);
    }

    #[test]
    fn what_underflow_has_eaten_is_not_divided() {
        let tape = Tape::new();
        let x = tape.var([5e-324, 0.6]);
        assert_eq!(x.prod().backward().unwrap().of(x).unwrap().to_vec(), [0.6, 5e-324]);
        assert_eq!(x.cumprod(0).at([1]).backward().unwrap().of(x).unwrap().to_vec(), [0.6, 5e-324]);
        assert_eq!(x.prod().jvp(x, [1.0, 0.0].into()).unwrap(), 0.6);
    }

    #[test]
    fn products_with_zeros_have_derivatives_of_any_order() {
        for zeros in [&[1][..], &[0, 3], &[0, 2, 4]] {
            let mut x = sample(&[5], 3);
            zeros.iter().for_each(|&k| x.as_mut_slice()[k] = 0.0);
            assert_gradient(|x| scalar(x[0].prod(), x[0]), &[x]);
        }
        let x = Tensor::from([[2.0, 3.0, 5.0], [2.0, 0.0, 5.0], [0.0, 3.0, 0.0]]);
        assert_gradient(|x| x[0].prod_axes(1), std::slice::from_ref(&x));
        assert_gradient(|x| x[0].prod_axes([1, 0]), &[x]);
        let tape = Tape::new();
        let x = tape.var([0.0_f64, 0.0, 5.0]);
        let third = x.prod().grad(x).at([0]).grad(x).at([1]).grad(x);
        assert_eq!(third.value().unwrap().to_vec(), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn an_overflowing_product_leaves_the_others_finite() {
        let tape = Tape::new();
        let x = tape.var([1e200_f64, 1e200]);
        assert_eq!(x.prod().backward().unwrap().of(x).unwrap().to_vec(), [1e200, 1e200]);
    }

    #[test]
    fn nothing_reduces_to_the_neutral_element() {
        let tape = Tape::new();
        let x = tape.var(Tensor::<f64>::zeros([0, 3]));
        assert_eq!((x.sum().value(), x.prod().value()), (Ok(0.0), Ok(1.0)));
        assert_eq!(x.prod_axes(0).value().unwrap().to_vec(), [1.0; 3]);
        assert!(x.mean().value().unwrap().is_nan() && x.mean_axes(0).value().unwrap().iter().all(f64::is_nan));
        assert_eq!(x.prod_axes(0).sum().backward().unwrap().of(x).unwrap().shape(), &[0, 3].into());
        assert_eq!(tape.var(3.0).prod().value(), Ok(3.0));
    }

    #[test]
    fn not_a_number_is_left_out() {
        let tape = Tape::new();
        let x = tape.var([[1.0, f64::NAN], [5.0, 3.0]]);
        assert_eq!((x.nansum().value(), x.nanmean().value()), (Ok(9.0), Ok(3.0)));
        assert_eq!(x.nanmean_axes(0).value().unwrap().to_vec(), [3.0, 3.0]);
        let gradients = x.nanmean().backward().unwrap();
        assert!(
            gradients.of(x).unwrap().close_to(&Tensor::from([[1.0 / 3.0, 0.0], [1.0 / 3.0; 2]]), 1e-15, 0.0).is_ok()
        );
        assert_eq!(x.count_nonzero_axes(1).value().unwrap().to_vec(), [2.0, 2.0]);
        assert_eq!(tape.var([0.0, -0.0, 2.0]).count_nonzero().value(), Ok(1.0));
    }

    #[test]
    fn wrong_axes_are_named() {
        assert_fails(|t| t.var([1.0]).prod_axes(1), "prod_axes: axis 1 is out of range for shape [1]");
        assert_fails(|t| t.var([1.0]).mean_axes([0, -1]), "mean_axes: axis -1 is given twice");
        let error = Tensor::from([1.0]).mean_axes(2).unwrap_err();
        assert!(error.to_string().starts_with("mean_axes: axis 2 is out of range for shape [1], at "));
    }

    #[test]
    fn plain_tensors_reduce_too() {
        let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]]).t().unwrap();
        assert_eq!((x.sum(), x.mean(), x.prod(), x.count_nonzero()), (15.0, 2.5, 0.0, 5));
        assert_eq!(x.mean_axes(0).unwrap().to_vec(), [2.0, 3.0]);
    }
}
