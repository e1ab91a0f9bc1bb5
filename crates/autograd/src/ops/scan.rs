//! Running sums, products and extremes along an axis, differences and integrals.

use super::search::Search;
use super::softmax::line_axis;
use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel::lines::Lines;
use crate::kernel::scan::{self, Direction};
use crate::ops::pad::PadMode;
use crate::shape::Shape;
use crate::tensor::{Tensor, View};
use crate::var::{Term, Var};

/// Running sums along an axis.
#[derive(Debug, Clone)]
pub(crate) struct CumSum {
    pub axis: usize,
    pub direction: Direction,
}

impl TensorRule for CumSum {
    const NAME: &'static str = "cumsum";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let scan = |out: &mut [T]| scan::cumsum(x[0].view(), self.axis, self.direction, out);
        Ok(Tensor::build(shape, scan)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record(CumSum { axis: self.axis, direction: opposite(self.direction) }, &[]))
    }
}

/// Running products along an axis.
#[derive(Debug, Clone)]
pub(crate) struct CumProd {
    pub axis: usize,
    pub direction: Direction,
}

impl TensorRule for CumProd {
    const NAME: &'static str = "cumprod";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let scan = |out: &mut [T]| scan::cumprod(x[0].view(), self.axis, self.direction, out);
        Ok(Tensor::build(shape, scan)?.into())
    }

    /// That of the recurrence yᵢ = xᵢ·yᵢ₋₁ with 1 before the first: without a quotient, so that zeros do no harm to derivatives
    /// of any order.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, y, g) = (rule.x[0], rule.y, rule.g);
        if x.rank() == 0 {
            return rule.only(g);
        }
        let axis = self.axis as isize;
        let back = Recurrence { axis: self.axis, direction: opposite(self.direction) };
        let t = x.shifted(axis, back.direction, 0.0).record(back, &[g]);
        rule.only(t * y.shifted(axis, self.direction, 1.0))
    }
}

/// ln of running sums of exponentials along an axis.
#[derive(Debug, Clone)]
pub(crate) struct LogCumSumExp {
    pub axis: usize,
}

impl TensorRule for LogCumSumExp {
    const NAME: &'static str = "logcumsumexp";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let scan = |out: &mut [T]| scan::logcumsumexp(x[0].view(), self.axis, out);
        Ok(Tensor::build(shape, scan)?.into())
    }

    /// gxⱼ = Σ_{i ≥ j} gᵢ·exp(xⱼ − yᵢ) as exp(xⱼ − yⱼ)·sⱼ with sⱼ = gⱼ + exp(yⱼ − yⱼ₊₁)·sⱼ₊₁: no exponential exceeds 1.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (x, y, g) = (rule.x[0], rule.y, rule.g);
        let (axis, length) = (self.axis as isize, if x.rank() == 0 { 1 } else { x.size(self.axis as isize) });
        if length < 2 {
            return rule.only(g);
        }
        let decay = (y.slice(axis, ..length - 1) - y.slice(axis, 1..)).exp().pad_axis(axis, (0, 1), 0.0);
        let recurrence = Recurrence { axis: self.axis, direction: Direction::Backward };
        rule.only((x - y).exp() * decay.record(recurrence, &[g]))
    }
}

/// sᵢ = bᵢ + aᵢ·sᵢ₋₁ along an axis, or with sᵢ₊₁.
#[derive(Debug, Clone)]
pub(crate) struct Recurrence {
    pub axis: usize,
    pub direction: Direction,
}

impl TensorRule for Recurrence {
    const NAME: &'static str = "recurrence";

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(x[1].clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, _: Shape) -> Result<Value<T>, ErrorKind> {
        let lines = Lines::new(x[0].shape(), self.axis);
        let (a, mut s) = (x[0].in_order()?, x[1].to_contiguous()?);
        let a = a.as_slice().unwrap_or_default();
        lines.each_slab(s.make_mut(), 1, &|outer, s| {
            let a = lines.slab_of(a, outer);
            for k in lines.inner..s.len() {
                let (i, before) = match self.direction {
                    Direction::Forward => (k, k - lines.inner),
                    Direction::Backward => (s.len() - 1 - k, s.len() - 1 - k + lines.inner),
                };
                s[i] += a[i] * s[before];
            }
        });
        Ok(s.into())
    }

    /// With t the same recurrence the other way over g, where the factor of a step belongs to its other end: db = t and
    /// daᵢ = tᵢ·sᵢ₋₁.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (a, s, g) = (rule.x[0], rule.y, rule.g);
        let axis = self.axis as isize;
        let back = Recurrence { axis: self.axis, direction: opposite(self.direction) };
        let t = a.shifted(axis, back.direction, 0.0).record(back, &[g]);
        rule.both(|| t * s.shifted(axis, self.direction, 0.0), || t)
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Forward => Direction::Backward,
        Direction::Backward => Direction::Forward,
    }
}

/// # Running sums and integrals
impl<'t, T: Float> Var<'t, T> {
    /// Running sums along `axis`: yᵢ = Σ_{j ≤ i} xⱼ.
    ///
    /// Derivative: running sums of the gradient from the other end.
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 2.0, 3.0]);
    /// let y = x.cumsum(0);
    /// assert_eq!(y.value()?.to_vec(), [1.0, 3.0, 6.0]);
    /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [3.0, 2.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn cumsum(self, axis: isize) -> Self {
        match line_axis(&self.shape(), axis) {
            Ok(axis) => self.record(CumSum { axis, direction: Direction::Forward }, &[]),
            Err(kind) => self.fail("cumsum", kind),
        }
    }

    /// Running products along `axis`: yᵢ = Π_{j ≤ i} xⱼ.
    ///
    /// Derivative: of each product, right with any number of zeros and to any order.
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // How many of 100 survive each year.
    /// let rates = tape.var([0.5_f64, 0.5, 0.0]);
    /// let survivors = 100.0 * rates.cumprod(0);
    /// assert_eq!(survivors.value()?.to_vec(), [50.0, 25.0, 0.0]);
    /// assert_eq!(survivors.sum().backward()?.of(rates)?.to_vec(), [150.0, 50.0, 25.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn cumprod(self, axis: isize) -> Self {
        match line_axis(&self.shape(), axis) {
            Ok(axis) => self.record(CumProd { axis, direction: Direction::Forward }, &[]),
            Err(kind) => self.fail("cumprod", kind),
        }
    }

    /// ln of the running sums of exponentials along `axis`, without overflow: yᵢ = ln Σ_{j ≤ i} exp xⱼ.
    ///
    /// Derivative: gxⱼ = Σ_{i ≥ j} gᵢ·exp(xⱼ − yᵢ).
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([1000.0_f64, 1000.0]);
    /// assert_eq!(x.logcumsumexp(0).value()?.to_vec(), [1000.0, 1000.0 + 2.0_f64.ln()]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn logcumsumexp(self, axis: isize) -> Self {
        match line_axis(&self.shape(), axis) {
            Ok(axis) => self.record(LogCumSumExp { axis }, &[]),
            Err(kind) => self.fail("logcumsumexp", kind),
        }
    }

    /// The largest element so far along `axis`, and where it is; the last one among equals, a NaN from where it appears.
    ///
    /// Derivative: the gradient, added where the elements are.
    /// Shapes: any → twice the same.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let (values, indices) = tape.var([1.0_f32, 3.0, 2.0]).cummax(0);
    /// assert_eq!((values.value()?.to_vec(), indices.value()?), (vec![1.0, 3.0, 3.0], Tensor::from([0, 1, 1])));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn cummax(self, axis: isize) -> (Self, Indices<'t, T>) {
        self.found("cummax", axis, Search::LargestSoFar)
    }

    /// The smallest element so far along `axis`, and where it is; the last one among equals, a NaN from where it appears.
    ///
    /// Derivative: the gradient, added where the elements are.
    /// Shapes: any → twice the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The lowest price so far, and its day.
    /// let prices = tape.constant([3.0_f32, 4.0, 1.0]);
    /// let (lowest, day) = prices.cummin(0);
    /// assert_eq!((lowest.value()?, day.value()?), ([3.0, 3.0, 1.0].into(), [0, 0, 2].into()));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn cummin(self, axis: isize) -> (Self, Indices<'t, T>) {
        self.found("cummin", axis, Search::SmallestSoFar)
    }

    /// Differences of neighbours along `axis`, taken `n` times.
    ///
    /// Derivative: the negated differences of the gradient.
    /// Shapes: `[.., d, ..]` → `[.., d − n, ..]`, empty when n ≥ d.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 4.0, 9.0, 16.0]);
    /// assert_eq!(x.diff(1, 0).value()?.to_vec(), [3.0, 5.0, 7.0]);
    /// assert_eq!(x.diff(2, 0).value()?.to_vec(), [2.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn diff(self, n: usize, axis: isize) -> Self {
        if let Err(kind) = self.shape().axis(axis) {
            return self.fail("diff", kind);
        }
        let n = n.min(self.size(axis));
        if let Err(kind) = self.tape.must_have_room(n) {
            return self.fail("diff", kind);
        }
        let mut x = self;
        for _ in 0..n {
            let length = x.size(axis);
            x = x.slice(axis, 1..) - x.slice(axis, ..length - 1);
        }
        x
    }

    /// The integral along `axis` by the trapezoidal rule, for points `spacing` apart: spacing·Σ(xᵢ + xᵢ₊₁)/2.
    ///
    /// Derivative: the spacing, half of it at the ends.
    /// Shapes: `[.., d, ..]` → `[.., ..]`; 0 for fewer than two points.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The way from speeds, half a second apart.
    /// let speed = tape.var([0.0_f64, 2.0, 4.0]);
    /// let way = speed.trapezoid(0.5, 0).item();
    /// assert_eq!(way, 2.0);
    /// assert_eq!(way.backward()?.of(speed)?.to_vec(), [0.25, 0.5, 0.25]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn trapezoid(self, spacing: impl Into<Term<'t, T>>, axis: isize) -> Self {
        self.pair_means("trapezoid", axis).sum_axes(axis) * spacing.into()
    }

    /// The integrals along `axis` up to every point but the first, as [`trapezoid`](Self::trapezoid).
    ///
    /// Derivative: the spacing, half of it at the ends of each integral.
    /// Shapes: `[.., d, ..]` → `[.., d − 1, ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let speed = tape.constant([0.0_f64, 2.0, 4.0]);
    /// assert_eq!(speed.cumulative_trapezoid(0.5, 0).value()?.to_vec(), [0.5, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn cumulative_trapezoid(self, spacing: impl Into<Term<'t, T>>, axis: isize) -> Self {
        self.pair_means("cumulative_trapezoid", axis).cumsum(axis) * spacing.into()
    }

    #[track_caller]
    fn pair_means(self, op: &'static str, axis: isize) -> Self {
        if let Err(kind) = self.shape().axis(axis) {
            return self.fail(op, kind);
        }
        let length = self.size(axis);
        let sums = self.slice(axis, length.min(1)..) + self.slice(axis, ..length.saturating_sub(1));
        sums * Term::Number(T::from_f64(0.5))
    }

    /// The elements moved one place along `axis` in the direction, with `value` coming in.
    pub(super) fn shifted(self, axis: isize, direction: Direction, value: f64) -> Self {
        let length = self.size(axis);
        match direction {
            _ if length == 0 => self,
            Direction::Forward => self.slice(axis, ..length - 1).pad_axis(axis, (1, 0), value),
            Direction::Backward => self.slice(axis, 1..).pad_axis(axis, (0, 1), value),
        }
    }

    /// `value` before and after along one axis.
    fn pad_axis(self, axis: isize, (before, after): (usize, usize), value: f64) -> Self {
        let mut counts = vec![(0, 0); self.rank()];
        if let Ok(axis) = self.shape().axis(axis) {
            counts[axis] = (before as isize, after as isize);
        }
        self.pad(&counts, PadMode::Constant(value))
    }
}

impl<T: Float> Tensor<T> {
    /// Where the minimum or maximum so far is, for every element along `axis`.
    pub(crate) fn running_places(
        &self,
        axis: isize,
        scan: impl FnOnce(View<'_, T>, usize, &mut [T], &mut [usize]),
    ) -> Result<Tensor<usize>, ErrorKind> {
        let axis = self.shape().axis(axis)?;
        let shapes = [self.shape().clone(), self.shape().clone()];
        Ok(Tensor::build_pair(shapes, |values, index| scan(self.view(), axis, values, index))?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn all_have_their_derivatives() {
        let x = &[sample(&[3, 4], 1)];
        for axis in [0, -1] {
            assert_gradient(|x| x[0].square().cumsum(axis) * x[0], x);
            assert_gradient(|x| x[0].t().cumprod(axis), x);
            assert_gradient(|x| x[0].t().sin().logcumsumexp(axis), x);
            assert_gradient(|x| x[0].sin().cummax(axis).0 * x[0].exp().cummin(axis).0, x);
            assert_gradient(|x| x[0].sin().diff(2, axis), x);
            assert_gradient(|x| x[0].sin().trapezoid(0.5, axis), x);
            assert_gradient(|x| x[0].sin().cumulative_trapezoid(2.0, axis), x);
        }
        let number = &[Tensor::scalar(0.5)];
        assert_gradient(|x| x[0].cumsum(0) * x[0].cumprod(-1) * x[0].logcumsumexp(0), number);
        assert_gradient(|x| x[0].cumprod(1) + x[0].logcumsumexp(1), &[sample(&[2, 0], 1)]);
    }

    #[test]
    fn products_with_zeros_have_derivatives_of_any_order() {
        for zeros in [&[0][..], &[1, 4], &[0, 2, 3], &[5]] {
            let mut x = sample(&[6], 3);
            zeros.iter().for_each(|&k| x.as_mut_slice()[k] = 0.0);
            assert_gradient(|x| x[0].cumprod(0), &[x]);
        }
        assert_gradient(|x| x[0].cumprod(0), &[Tensor::from([[2.0, 0.0], [0.0, 3.0], [0.0, 5.0]])]);
    }

    #[test]
    fn running_values() {
        let tape = Tape::new();
        let value = |y: Var<'_, f64>| y.value().unwrap().to_vec();
        let x = tape.var([2.0, 1.0, 3.0, 3.0]);
        assert_eq!((value(x.cumsum(0)), value(x.cumprod(0))), (vec![2.0, 3.0, 6.0, 9.0], vec![2.0, 2.0, 6.0, 18.0]));
        let ((high, at), (low, below)) = (x.cummax(0), x.cummin(0));
        assert_eq!((value(high), at.value().unwrap()), (vec![2.0, 2.0, 3.0, 3.0], Tensor::from([0, 0, 2, 3])));
        assert_eq!((value(low), below.value().unwrap()), (vec![2.0, 1.0, 1.0, 1.0], Tensor::from([0, 1, 1, 1])));
        assert_eq!((value(x.diff(0, 0)), value(x.diff(9, 0))), (vec![2.0, 1.0, 3.0, 3.0], vec![]));
        assert_eq!(
            (value(x.trapezoid(2.0, 0)), value(x.cumulative_trapezoid(1.0, 0))),
            (vec![13.0], vec![1.5, 3.5, 6.5])
        );
        assert_eq!(value(tape.var(Tensor::zeros([0])).trapezoid(1.0, 0)), [0.0]);
    }

    #[test]
    fn logarithms_of_running_sums_at_extremes() {
        let infinite = f64::INFINITY;
        let tape = Tape::new();
        let value = |x: &[f64]| tape.var(x).logcumsumexp(0).value().unwrap().to_vec();
        let two = std::f64::consts::LN_2;
        assert_eq!(value(&[1000.0, 1000.0, -1000.0]), [1000.0, 1000.0 + two, 1000.0 + two]);
        assert_eq!(value(&[-infinite, -infinite, 1.0, infinite]), [-infinite, -infinite, 1.0, infinite]);
        assert_eq!(value(&[-infinite, infinite, -infinite, infinite]), [-infinite, infinite, infinite, infinite]);
        assert!(value(&[1.0, f64::NAN, 2.0])[1..].iter().all(|y| y.is_nan()));
        let x = tape.var([-800.0, 0.0, 800.0]);
        assert_eq!(x.logcumsumexp(0).sum().backward().unwrap().of(x).unwrap().to_vec(), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn wrong_axes_are_named() {
        let x = || Tensor::<f64>::zeros([2]);
        assert_fails(|t| t.var(x()).cumsum(1), "cumsum: axis 1 is out of range for shape [2]");
        assert_fails(|t| t.var(x()).cumprod(-2), "cumprod: axis -2 is out of range for shape [2]");
        assert_fails(|t| t.var(x()).logcumsumexp(1), "logcumsumexp: axis 1 is out of range for shape [2]");
        assert_fails(|t| t.var(x()).cummax(1).0, "cummax: axis 1 is out of range for shape [2]");
        assert_fails(|t| t.var(x()).diff(1, 1), "diff: axis 1 is out of range for shape [2]");
        assert_fails(|t| t.var(1.0).trapezoid(1.0, 0), "trapezoid: axis 0 is out of range for shape []");
    }
}
