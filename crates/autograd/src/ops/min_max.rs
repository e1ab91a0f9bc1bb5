//! The largest and smallest elements over axes, and where they are. NaN is larger and smaller than every number.

use smallvec::SmallVec;

use super::reduce::Keep;
use super::search::Search;
use super::{Cotangents, Op, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel;
use crate::mask::Mask;
use crate::scalar::Scalar;
use crate::shape::{Axes, Shape};
use crate::tensor::{Tensor, View};
use crate::var::Var;

/// The largest element over axes, which stay with size one.
#[derive(Debug, Clone)]
pub(crate) struct Amax {
    /// Ascending.
    pub axes: SmallVec<[usize; 4]>,
}

/// The smallest element over axes, which stay with size one.
#[derive(Debug, Clone)]
pub(crate) struct Amin {
    /// Ascending.
    pub axes: SmallVec<[usize; 4]>,
}

impl TensorRule for Amax {
    const NAME: &'static str = "amax";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        left(x[0], &self.axes)
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| kernel::reduce::max(x[0].view(), &self.axes, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(shared_by_ties(rule.x[0].eq(rule.y), rule.g, &self.axes))
    }
}

impl TensorRule for Amin {
    const NAME: &'static str = "amin";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        left(x[0], &self.axes)
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape, |out| kernel::reduce::min(x[0].view(), &self.axes, out))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(shared_by_ties(rule.x[0].eq(rule.y), rule.g, &self.axes))
    }
}

/// What the reduction of a shape leaves, which has no element where it has none either.
fn left(shape: &Shape, axes: &[usize]) -> Result<Shape, ErrorKind> {
    let left = shape.keep_reduced(axes);
    check_not_empty(shape, &left)?;
    Ok(left)
}

/// Nothing has no largest element.
pub(super) fn check_not_empty(shape: &Shape, left: &Shape) -> Result<(), ErrorKind> {
    if shape.contains(&0) && !left.contains(&0) { Err(ErrorKind::Empty { shape: shape.clone() }) } else { Ok(()) }
}

/// The gradient of a minimum or maximum, in equal shares to all elements that attain it.
pub(crate) fn shared_by_ties<'t, T: Float>(attains: Mask<'t, T>, g: Var<'t, T>, axes: &[usize]) -> Var<'t, T> {
    let attains = attains.to_float();
    let axes: Axes = axes.iter().map(|&axis| axis as isize).collect();
    attains.masked_mul(g / attains.sum_keepdim(axes))
}

/// # Maxima and minima
impl<'t, T: Float> Var<'t, T> {
    /// The largest element; NaN if there is one.
    ///
    /// Derivative: 1 for the largest; ties share equally.
    /// Shapes: any with an element → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([3.0_f32, 1.0, 3.0]);
    /// assert_eq!(x.max().backward()?.of(x)?.to_vec(), [0.5, 0.0, 0.5]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn max(self) -> Scalar<'t, T> {
        self.min_or_max("max", |axes| Amax { axes })
    }

    /// The smallest element; NaN if there is one.
    ///
    /// Derivative: 1 for the smallest; ties share equally.
    /// Shapes: any with an element → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([3.0_f32, 1.0, 1.0]);
    /// let y = x.min();
    /// assert_eq!(y, 1.0);
    /// assert_eq!(y.backward()?.of(x)?.to_vec(), [0.0, 0.5, 0.5]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn min(self) -> Scalar<'t, T> {
        self.min_or_max("min", |axes| Amin { axes })
    }

    #[track_caller]
    fn min_or_max<R: TensorRule + Into<Op>>(
        self,
        name: &'static str,
        op: impl FnOnce(SmallVec<[usize; 4]>) -> R,
    ) -> Scalar<'t, T> {
        self.record(op((0..self.rank()).collect()), &[]).called(name).item()
    }

    /// The largest element over `axes`, which are dropped; NaN if there is one.
    ///
    /// Derivative: the gradient for the largest; ties share equally.
    /// Shapes: any → the shape without `axes`. Axes without elements are an error.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The best score of every row.
    /// let scores = tape.var([[1.0_f32, 4.0], [3.0, 2.0]]);
    /// let best = scores.amax(1);
    /// assert_eq!(best.value()?.to_vec(), [4.0, 3.0]);
    /// assert_eq!(best.sum().backward()?.of(scores)?, [[0.0, 1.0], [1.0, 0.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn amax(self, axes: impl Into<Axes>) -> Self {
        self.reduce("amax", axes.into(), Keep::Drop, |axes| Amax { axes })
    }

    /// The largest element over `axes`, which stay with size one.
    ///
    /// Derivative: as of [`amax`](Self::amax).
    /// Shapes: any → the same, with size one along `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Rows whose largest number is 0: exponentials of them do not overflow.
    /// let x = tape.constant([[1.0_f32, 4.0], [1003.0, 1002.0]]);
    /// assert_eq!((x - x.amax_keepdim(1)).value()?, [[-3.0, 0.0], [0.0, -1.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn amax_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce("amax_keepdim", axes.into(), Keep::Keep, |axes| Amax { axes })
    }

    /// The smallest element over `axes`, which are dropped; NaN if there is one.
    ///
    /// Derivative: the gradient for the smallest; ties share equally.
    /// Shapes: any → the shape without `axes`. Axes without elements are an error.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 4.0], [3.0, 2.0]]);
    /// assert_eq!(x.amin(0).value()?.to_vec(), [1.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn amin(self, axes: impl Into<Axes>) -> Self {
        self.reduce("amin", axes.into(), Keep::Drop, |axes| Amin { axes })
    }

    /// The smallest element over `axes`, which stay with size one.
    ///
    /// Derivative: as of [`amin`](Self::amin).
    /// Shapes: any → the same, with size one along `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Every column moved to start at 0.
    /// let x = tape.constant([[1.0_f32, 4.0], [3.0, 2.0]]);
    /// assert_eq!((x - x.amin_keepdim(0)).value()?, [[0.0, 2.0], [2.0, 0.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn amin_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce("amin_keepdim", axes.into(), Keep::Keep, |axes| Amin { axes })
    }

    /// The largest element along `axis`, and where it first is.
    ///
    /// Derivative: the gradient for the element at the index, also among ties.
    /// Shapes: `[.., d, ..]` → twice `[.., ..]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 7.0, 7.0], [5.0, 4.0, 3.0]]);
    /// let (values, indices) = x.max_with_index(1);
    /// assert_eq!((values.value()?.to_vec(), indices.value()?), (vec![7.0, 5.0], Tensor::from([1, 0])));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn max_with_index(self, axis: isize) -> (Self, Indices<'t, T>) {
        self.found_one("max_with_index", axis, Search::Largest)
    }

    /// The smallest element along `axis`, and where it first is.
    ///
    /// Derivative: the gradient for the element at the index, also among ties.
    /// Shapes: `[.., d, ..]` → twice `[.., ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The nearest of three centres, and how far it is.
    /// let distances = tape.constant([[3.0_f32, 1.0, 2.0]]);
    /// let (nearest, index) = distances.min_with_index(1);
    /// assert_eq!((nearest.value()?, index.value()?), ([1.0].into(), [1].into()));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn min_with_index(self, axis: isize) -> (Self, Indices<'t, T>) {
        self.found_one("min_with_index", axis, Search::Smallest)
    }

    /// Where the largest element along `axis` first is.
    ///
    /// Shapes: `[.., d, ..]` → `[.., ..]`, with d > 0.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // The class with the highest score.
    /// let scores = tape.constant([[0.1_f32, 2.0, -1.0], [3.0, 0.0, 3.0]]);
    /// assert_eq!(scores.argmax(1).value()?, Tensor::from([1, 0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn argmax(self, axis: isize) -> Indices<'t, T> {
        self.search("argmax", axis, Search::Largest)
    }

    /// Where the smallest element along `axis` first is.
    ///
    /// Shapes: `[.., d, ..]` → `[.., ..]`, with d > 0.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let distances = tape.constant([[3.0_f32, 1.0, 2.0], [0.0, 5.0, 0.0]]);
    /// assert_eq!(distances.argmin(-1).value()?, Tensor::from([1, 0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn argmin(self, axis: isize) -> Indices<'t, T> {
        self.search("argmin", axis, Search::Smallest)
    }
}

/// # Maxima and minima
impl<T: Float> Tensor<T> {
    /// The largest element; NaN if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Empty`] for no elements.
    #[track_caller]
    pub fn max(&self) -> Result<T> {
        check_not_empty(self.shape(), &Shape::default()).map_err(Error::at("max"))?;
        Ok(self.fold_all(kernel::reduce::max))
    }

    /// The smallest element; NaN if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Empty`] for no elements.
    #[track_caller]
    pub fn min(&self) -> Result<T> {
        check_not_empty(self.shape(), &Shape::default()).map_err(Error::at("min"))?;
        Ok(self.fold_all(kernel::reduce::min))
    }

    /// The largest element over `axes`, which are dropped.
    ///
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let x = Tensor::from([[1.0, 4.0], [3.0, 2.0]]);
    /// assert_eq!(x.amax(1)?, Tensor::from([4.0, 3.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`], [`ErrorKind::RepeatedAxis`] or [`ErrorKind::Empty`].
    #[track_caller]
    pub fn amax(&self, axes: impl Into<Axes>) -> Result<Self> {
        self.extreme_over(axes.into(), kernel::reduce::max).map_err(Error::at("amax"))
    }

    /// The smallest element over `axes`, which are dropped.
    ///
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let x = Tensor::from([[1.0, 4.0], [3.0, 2.0]]);
    /// assert_eq!(x.amin(1)?, Tensor::from([1.0, 2.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`], [`ErrorKind::RepeatedAxis`] or [`ErrorKind::Empty`].
    #[track_caller]
    pub fn amin(&self, axes: impl Into<Axes>) -> Result<Self> {
        self.extreme_over(axes.into(), kernel::reduce::min).map_err(Error::at("amin"))
    }

    fn extreme_over(&self, axes: Axes, fold: impl FnOnce(View<'_, T>, &[usize], &mut [T])) -> Result<Self, ErrorKind> {
        check_not_empty(self.shape(), &self.shape().reduced(&self.shape().axes(&axes)?))?;
        self.fold_axes(axes, fold)
    }

    /// Where the largest element along `axis` first is; at the first NaN if there is one.
    ///
    /// Shapes: `[.., d, ..]` → `[.., ..]`.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let scores = Tensor::from([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]);
    /// assert_eq!(scores.argmax(-1)?, Tensor::from([1, 0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`], or [`ErrorKind::Empty`] when the axis has no elements.
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Result<Tensor<usize>> {
        self.search(axis, kernel::reduce::argmax).map_err(Error::at("argmax"))
    }

    /// Where the smallest element along `axis` first is; at the first NaN if there is one.
    ///
    /// Shapes: `[.., d, ..]` → `[.., ..]`.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let distances = Tensor::from([[3.0, 1.0, 2.0], [0.0, 5.0, 0.0]]);
    /// assert_eq!(distances.argmin(1)?, Tensor::from([1, 0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Axis`], or [`ErrorKind::Empty`] when the axis has no elements.
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Result<Tensor<usize>> {
        self.search(axis, kernel::reduce::argmin).map_err(Error::at("argmin"))
    }

    /// Where a search along `axis` ends, which is dropped.
    pub(crate) fn search(
        &self,
        axis: isize,
        search: impl FnOnce(View<'_, T>, usize, &mut [usize]),
    ) -> Result<Tensor<usize>, ErrorKind> {
        let axis = self.shape().axis(axis)?;
        let left = self.shape().reduced(&[axis]);
        check_not_empty(self.shape(), &left)?;
        Tensor::build(left, |out| search(self.view(), axis, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn extremes_have_their_derivatives() {
        let x = &[sample(&[3, 4], 1)];
        assert_gradient(|x| x[0].square().amax([0, 1]).unsqueeze(0) * x[0].exp().min(), x);
        assert_gradient(|x| x[0].sin().amin(0) * x[0].t().square().amax_keepdim(-1), x);
        assert_gradient(|x| x[0].square().max_with_index(1).0, x);
        assert_gradient(|x| x[0].square().amin_keepdim(0) * x[0].t().exp().min_with_index(0).0.unsqueeze(-1), x);
    }

    #[test]
    fn ties_share_equally_but_an_index_names_one() {
        let tape = Tape::new();
        let x = tape.var([[2.0, 5.0, 5.0], [1.0, 1.0, 1.0]]);
        let gradient = |y: Var<'_, f64>| y.sum().backward().unwrap().of(x).unwrap().to_vec();
        let third = 1.0 / 3.0;
        assert_eq!(gradient(x.amax(1)), [0.0, 0.5, 0.5, third, third, third]);
        assert_eq!(gradient(x.amin(1)), [1.0, 0.0, 0.0, third, third, third]);
        assert_eq!(x.min().backward().unwrap().of(x).unwrap().to_vec(), [0.0, 0.0, 0.0, third, third, third]);
        assert_eq!(gradient(x.max_with_index(1).0), [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(gradient(x.min_with_index(1).0), [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn not_a_number_is_an_extreme() {
        let x = Tensor::from([[1.0, f64::NAN], [3.0, f64::INFINITY]]);
        assert!(x.max().unwrap().is_nan() && x.min().unwrap().is_nan());
        assert_eq!(x.amax(1).unwrap().get(&[1]), Some(f64::INFINITY));
        assert_eq!((x.argmax(1), x.argmin(0)), (Ok(Tensor::from([1, 1])), Ok(Tensor::from([0, 0]))));
        assert!(Tape::new().var(x).amin(0).value().unwrap().get(&[1]).unwrap().is_nan());
    }

    #[test]
    fn nothing_has_no_extreme() {
        let x = || Tensor::<f64>::zeros([0, 2]);
        assert_fails(|t| t.var(x()).amax(0), "amax: needs at least one element, found shape [0, 2]");
        assert_fails(
            |t| t.var(x()).max_with_index(0).0,
            "max_with_index: needs at least one element, found shape [0, 2]",
        );
        assert_eq!(Tape::new().var(x()).amin(1).value().unwrap().shape(), &[0].into());
        assert_eq!(x().argmax(1).unwrap(), Tensor::zeros([0]));
        for error in [x().max().unwrap_err(), x().amin(0).unwrap_err(), x().argmin(0).unwrap_err()] {
            assert_eq!(error.kind, ErrorKind::Empty { shape: [0, 2].into() });
        }
    }

    #[test]
    fn wrong_axes_are_named() {
        assert_fails(|t| t.var([1.0]).amin([0, 1]), "amin: axis 1 is out of range for shape [1]");
        assert_fails(|t| t.var([1.0]).min_with_index(3).0, "min_with_index: axis 3 is out of range for shape [1]");
        assert_eq!(Tape::new().var([1.0]).argmax(1).value().unwrap_err().op, "argmax");
    }
}
