//! Elements in order along an axis. NaN counts as larger than every number, as in PyTorch.

use super::search::Search;
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel;
use crate::kernel::sort::{self, SortOrder};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::var::Var;

/// # SortOrder
impl<'t, T: Float> Var<'t, T> {
    /// The elements in order along `axis`, and where they were; equals stay in their order.
    ///
    /// Derivative: the gradient, put back where the elements were.
    /// Shapes: any → twice the same.
    ///
    /// ```
    /// use autograd::{SortOrder, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let (values, indices) = tape.var([2.0_f32, 3.0, 1.0]).sort(0, SortOrder::Descending);
    /// assert_eq!((values.value()?.to_vec(), indices.value()?), (vec![3.0, 2.0, 1.0], Tensor::from([1, 0, 2])));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn sort(self, axis: isize, order: SortOrder) -> (Self, Indices<'t, T>) {
        self.found("sort", axis, Search::InOrder(order, None))
    }

    /// The first `k` elements in order along `axis`, and where they were: the k largest for `SortOrder::Descending`, the k
    /// smallest for `SortOrder::Ascending`. Among equals those with smaller indices come first.
    ///
    /// Derivative: the gradient, put back where the elements were; zeros elsewhere.
    /// Shapes: `[.., d, ..]` → twice `[.., k, ..]`.
    ///
    /// ```
    /// use autograd::{SortOrder, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([2.0_f32, 9.0, 1.0, 5.0]);
    /// let (largest, _) = x.topk(2, 0, SortOrder::Descending);
    /// assert_eq!(largest.value()?.to_vec(), [9.0, 5.0]);
    /// assert_eq!(largest.sum().backward()?.of(x)?.to_vec(), [0.0, 1.0, 0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn topk(self, k: usize, axis: isize, order: SortOrder) -> (Self, Indices<'t, T>) {
        self.found("topk", axis, Search::InOrder(order, Some(k)))
    }

    /// The `k`-th smallest element along `axis`, counted from 1 as in PyTorch, and where it is.
    ///
    /// Derivative: the gradient for that element.
    /// Shapes: `[.., d, ..]` → twice `[.., ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([3.0_f32, 1.0, 2.0]);
    /// let (second, place) = x.kthvalue(2, 0);
    /// assert_eq!((second.value()?.item()?, place.value()?.item()?), (2.0, 2));
    /// assert_eq!(second.sum().backward()?.of(x)?.to_vec(), [0.0, 0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn kthvalue(self, k: usize, axis: isize) -> (Self, Indices<'t, T>) {
        self.found_one("kthvalue", axis, Search::Kth(k))
    }

    /// The median along `axis`, the lower one of two, and where it is.
    ///
    /// Derivative: the gradient for that element.
    /// Shapes: `[.., d, ..]` → twice `[.., ..]`; NaN where there is one.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([5.0_f32, 1.0, 2.0, 9.0]);
    /// assert_eq!(x.median(0).0.item().value()?, 2.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn median(self, axis: isize) -> (Self, Indices<'t, T>) {
        self.found_one("median", axis, Search::Median)
    }

    /// Where the elements are in order along `axis`; equals stay in their order.
    ///
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::{SortOrder, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let scores = tape.constant([0.1_f32, 0.7, 0.2]);
    /// let ranking = scores.argsort(0, SortOrder::Descending);
    /// assert_eq!(ranking.value()?, Tensor::from([1, 2, 0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn argsort(self, axis: isize, order: SortOrder) -> Indices<'t, T> {
        self.search("argsort", axis, Search::InOrder(order, None))
    }
}

/// # SortOrder
impl<T: Float> Tensor<T> {
    /// Where the elements are in order along `axis`; equals stay in their order.
    ///
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::{SortOrder, Tensor};
    ///
    /// assert_eq!(Tensor::from([2.0, 3.0, 1.0]).argsort(0, SortOrder::Ascending)?, Tensor::from([2, 0, 1]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`].
    #[track_caller]
    pub fn argsort(&self, axis: isize, order: SortOrder) -> Result<Tensor<usize>> {
        self.places(axis, None, order).map_err(Error::at("argsort"))
    }

    /// Where the first `k` elements in order are along `axis`, or all.
    pub(crate) fn places(&self, axis: isize, k: Option<usize>, order: SortOrder) -> Result<Tensor<usize>, ErrorKind> {
        let axis = self.shape().axis(axis)?;
        let Some(k) = k else {
            return Tensor::build(self.shape().clone(), |out| sort::argsort(self.view(), axis, order, out));
        };
        Tensor::build(shortened(self.shape(), axis, k)?, |out| sort::topk(self.view(), axis, k, order, out))
    }

    /// Where the k-th smallest element is along `axis`, which is dropped.
    pub(crate) fn kth_place(&self, axis: isize, k: usize) -> Result<Tensor<usize>, ErrorKind> {
        let places = self.places(axis, Some(k), SortOrder::Ascending)?;
        places.index_axis(axis, kth(k)?).map_err(|error| error.kind)
    }

    /// Where the lower median is along `axis`, which is dropped; the first NaN where there is one.
    pub(crate) fn median_place(&self, axis: isize) -> Result<Tensor<usize>, ErrorKind> {
        let position = self.shape().axis(axis)?;
        let middle = middle(self.shape(), position)?;
        // In ascending order a NaN comes last, so the first one of the descending order is NaN if any is.
        let largest = self.places(axis, Some(1), SortOrder::Descending)?;
        let places = self.places(axis, Some(middle + 1), SortOrder::Ascending)?;
        let middle = places.slice(axis, middle..).map_err(|error| error.kind)?;
        let values = Tensor::build(largest.shape().clone(), |out| {
            kernel::index::gather(self.view(), position, largest.view(), out);
        })?;
        let choices = values.iter().zip(&largest).zip(&middle);
        let chosen = choices.map(|((value, largest), middle)| if value.is_nan() { largest } else { middle });
        Tensor::from_vec(self.shape().reduced(&[position]), chosen.collect()).map_err(|error| error.kind)
    }
}

/// The shape of the first `count` elements along an axis.
pub(super) fn shortened(shape: &Shape, axis: usize, count: usize) -> Result<Shape, ErrorKind> {
    match count > shape[axis] {
        true => Err(ErrorKind::Range { start: 0, end: count, step: 1, axis, shape: shape.clone() }),
        false => Ok(shape.with(axis, count)),
    }
}

/// Where the k-th element stands, counted from one.
pub(super) fn kth(k: usize) -> Result<usize, ErrorKind> {
    let rule = || ErrorKind::Argument { name: "k", must: "at least 1", found: "0".to_string() };
    k.checked_sub(1).ok_or_else(rule)
}

/// Where the middle along an axis is; of two the lower.
pub(super) fn middle(shape: &Shape, axis: usize) -> Result<usize, ErrorKind> {
    let last = shape[axis].checked_sub(1).ok_or_else(|| ErrorKind::Empty { shape: shape.clone() })?;
    Ok(last / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn all_have_their_derivatives() {
        let x = &[sample(&[3, 5], 1)];
        for axis in [0, -1] {
            assert_gradient(|x| x[0].sin().sort(axis, SortOrder::Ascending).0 * x[0], x);
            assert_gradient(|x| x[0].t().sin().topk(2, axis, SortOrder::Descending).0, x);
            assert_gradient(|x| x[0].sin().kthvalue(2, axis).0 * x[0].exp().median(axis).0, x);
        }
    }

    #[test]
    fn orders() {
        let tape = Tape::new();
        let x = tape.var([[3.0, 1.0, 2.0], [1.0, 3.0, 3.0]]);
        let pair = |(values, index): (Var<'_, f64>, Indices<'_, f64>)| {
            (values.value().unwrap().to_vec(), index.value().unwrap().to_vec())
        };
        assert_eq!(
            pair(x.sort(1, SortOrder::Descending)),
            (vec![3.0, 2.0, 1.0, 3.0, 3.0, 1.0], vec![0, 2, 1, 1, 2, 0])
        );
        assert_eq!(pair(x.topk(1, 0, SortOrder::Ascending)), (vec![1.0, 1.0, 2.0], vec![1, 0, 0]));
        assert_eq!(pair(x.kthvalue(2, 1)), (vec![2.0, 3.0], vec![2, 1]));
        assert_eq!(pair(x.median(0)), (vec![1.0, 1.0, 2.0], vec![1, 0, 0]));
        assert_eq!(pair(x.topk(0, 0, SortOrder::Ascending)), (vec![], vec![]));
        assert_eq!(x.argsort(-1, SortOrder::Ascending).value().unwrap().to_vec(), [1, 2, 0, 0, 1, 2]);
    }

    #[test]
    fn not_a_number_comes_last_and_is_the_median() {
        let tape = Tape::new();
        let x = tape.var([f64::NAN, 1.0, f64::NEG_INFINITY, f64::INFINITY]);
        assert_eq!(x.sort(0, SortOrder::Ascending).1.value().unwrap().to_vec(), [2, 1, 3, 0]);
        let (median, at) = x.median(0);
        assert!(median.item().value().unwrap().is_nan() && at.value().unwrap().to_vec() == [0]);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let x = || Tensor::<f64>::zeros([2, 3]);
        let order = SortOrder::Ascending;
        assert_fails(|t| t.var(x()).sort(2, order).0, "sort: axis 2 is out of range for shape [2, 3]");
        assert_fails(|t| t.var(x()).topk(4, 1, order).0, "topk: range 0..4 step 1 does not fit axis 1 of shape [2, 3]");
        assert_fails(|t| t.var(x()).kthvalue(0, 1).0, "kthvalue: k must be at least 1, found 0");
        assert_fails(
            |t| t.var(Tensor::zeros([2, 0])).median(1).0,
            "median: needs at least one element, found shape [2, 0]",
        );
        assert_eq!(x().argsort(5, order).unwrap_err().op, "argsort");
    }
}
