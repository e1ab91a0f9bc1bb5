//! Elements picked and put by index. Indices are part of an operation, checked before it is recorded.

use super::{Cotangents, TensorRule, Value, Vjp};
use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::indices::AsIndices;
use crate::kernel;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::layout::Layout;
use crate::var::{Term, Var};

/// `y[i, j, k] = x[i, index[i, j, k], k]` for axis 1, and so for every axis and rank.
#[derive(Debug, Clone)]
pub(crate) struct Gather {
    pub axis: usize,
    pub index: Tensor<usize>,
}

impl TensorRule for Gather {
    const NAME: &'static str = "gather";
    const MULTILINEAR: bool = true;

    fn value<T: Float>(&self, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
        let Gather { axis, index } = self;
        let gather = |out: &mut [T]| kernel::index::gather(x[0].view(), *axis, index.view(), out);
        Ok(Tensor::build(index.shape().clone(), gather)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let Gather { axis, index } = self.clone();
        rule.only(rule.g.record(ScatterAdd { axis, index, to: rule.x[0].shape() }, &[]))
    }

    fn places(&self) -> Option<&Tensor<usize>> {
        Some(&self.index)
    }

    fn with_places(&self, index: &Tensor<usize>) -> Self {
        Gather { index: index.clone(), ..*self }
    }

    fn check_places<T: Float>(&self, x: &[Tensor<T>]) -> Result<(), Rule> {
        check_range(&self.index, self.axis, x[0].shape())
    }
}

/// The adjoint of [`Gather`]: zeros of shape `to`, with every element added where it was picked.
#[derive(Debug, Clone)]
pub(crate) struct ScatterAdd {
    pub axis: usize,
    pub index: Tensor<usize>,
    pub to: Shape,
}

impl TensorRule for ScatterAdd {
    const NAME: &'static str = "scatter_add";
    const MULTILINEAR: bool = true;

    fn value<T: Float>(&self, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
        Ok(Tensor::build(self.to.clone(), |out| {
            out.fill(T::ZERO);
            kernel::index::scatter_add(x[0].view(), self.axis, self.index.view(), &self.to, out);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record(Gather { axis: self.axis, index: self.index.clone() }, &[]))
    }

    fn places(&self) -> Option<&Tensor<usize>> {
        Some(&self.index)
    }

    fn with_places(&self, index: &Tensor<usize>) -> Self {
        ScatterAdd { index: index.clone(), ..self.clone() }
    }

    fn check_places<T: Float>(&self, _: &[Tensor<T>]) -> Result<(), Rule> {
        check_range(&self.index, self.axis, &self.to)
    }
}

/// Zeros of shape `to` with every element put where the index says; where several go to one place, the last one stays.
#[derive(Debug, Clone)]
pub(crate) struct Scatter {
    pub axis: usize,
    pub index: Tensor<usize>,
    pub to: Shape,
}

impl TensorRule for Scatter {
    const NAME: &'static str = "scatter";
    const MULTILINEAR: bool = true;

    fn value<T: Float>(&self, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
        Ok(Tensor::build(self.to.clone(), |out| {
            out.fill(T::ZERO);
            kernel::index::scatter(x[0].view(), self.axis, self.index.view(), &self.to, out);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record(ScatterAdjoint { axis: self.axis, index: self.index.clone() }, &[]))
    }

    fn places(&self) -> Option<&Tensor<usize>> {
        Some(&self.index)
    }

    fn with_places(&self, index: &Tensor<usize>) -> Self {
        Scatter { index: index.clone(), ..self.clone() }
    }

    fn check_places<T: Float>(&self, _: &[Tensor<T>]) -> Result<(), Rule> {
        check_range(&self.index, self.axis, &self.to)
    }
}

/// The adjoint of [`Scatter`]: for every element what stands where it was put, if it stayed there, else zero.
#[derive(Debug, Clone)]
pub(crate) struct ScatterAdjoint {
    pub axis: usize,
    pub index: Tensor<usize>,
}

impl TensorRule for ScatterAdjoint {
    const NAME: &'static str = "scatter_adjoint";
    const MULTILINEAR: bool = true;

    fn value<T: Float>(&self, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
        let ScatterAdjoint { axis, index } = self;
        let (to, from) = (x[0].shape(), index.shape());
        let numbers: Tensor<usize> = (0..index.len()).collect();
        let numbers = numbers.with_layout(Layout::contiguous(from.clone()));
        let last = Tensor::build(to.clone(), |last| {
            last.fill(0);
            kernel::index::scatter(numbers.view(), *axis, index.view(), to, last);
        })?;
        let last = Tensor::build(from.clone(), |out| kernel::index::gather(last.view(), *axis, index.view(), out))?;
        let gather = |out: &mut [T]| {
            kernel::index::gather(x[0].view(), *axis, index.view(), out);
            let replaced = last.iter().enumerate().filter(|&(k, last)| k != last);
            replaced.for_each(|(k, _)| out[k] = T::ZERO);
        };
        Ok(Tensor::build(from.clone(), gather)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let ScatterAdjoint { axis, index } = self.clone();
        rule.only(rule.g.record(Scatter { axis, index, to: rule.x[0].shape() }, &[]))
    }

    fn places(&self) -> Option<&Tensor<usize>> {
        Some(&self.index)
    }

    fn with_places(&self, index: &Tensor<usize>) -> Self {
        ScatterAdjoint { index: index.clone(), ..*self }
    }

    fn check_places<T: Float>(&self, x: &[Tensor<T>]) -> Result<(), Rule> {
        check_range(&self.index, self.axis, x[0].shape())
    }
}

/// `y[i, j, k] = x[i, index[j], k]` for axis 1: whole rows, which are faster to copy than elements.
#[derive(Debug, Clone)]
pub(crate) struct IndexSelect {
    pub axis: usize,
    /// Of rank one, contiguous.
    pub index: Tensor<usize>,
}

impl TensorRule for IndexSelect {
    const NAME: &'static str = "index_select";
    const MULTILINEAR: bool = true;

    fn value<T: Float>(&self, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
        let shape = x[0].shape().with(self.axis, self.index.len());
        let select = |out: &mut [T]| kernel::index::index_select(x[0].view(), self.axis, rows(&self.index), out);
        Ok(Tensor::build(shape, select)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let size = rule.x[0].shape()[self.axis];
        rule.only(rule.g.record(IndexAdd { axis: self.axis, index: self.index.clone(), size }, &[]))
    }

    fn places(&self) -> Option<&Tensor<usize>> {
        Some(&self.index)
    }

    fn with_places(&self, index: &Tensor<usize>) -> Self {
        IndexSelect { index: index.contiguous(), ..*self }
    }

    fn check_places<T: Float>(&self, x: &[Tensor<T>]) -> Result<(), Rule> {
        check_range(&self.index, self.axis, x[0].shape())
    }
}

/// The adjoint of [`IndexSelect`]: zeros of `size` along the axis, with every row added where it was picked.
#[derive(Debug, Clone)]
pub(crate) struct IndexAdd {
    pub axis: usize,
    /// Of rank one, contiguous.
    pub index: Tensor<usize>,
    pub size: usize,
}

impl TensorRule for IndexAdd {
    const NAME: &'static str = "index_add";
    const MULTILINEAR: bool = true;

    fn value<T: Float>(&self, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
        let to = x[0].shape().with(self.axis, self.size);
        Ok(Tensor::build(to.clone(), |out| {
            out.fill(T::ZERO);
            kernel::index::index_add(x[0].view(), self.axis, rows(&self.index), &to, out);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record(IndexSelect { axis: self.axis, index: self.index.clone() }, &[]))
    }

    fn places(&self) -> Option<&Tensor<usize>> {
        Some(&self.index)
    }

    fn with_places(&self, index: &Tensor<usize>) -> Self {
        IndexAdd { index: index.contiguous(), ..*self }
    }

    fn check_places<T: Float>(&self, x: &[Tensor<T>]) -> Result<(), Rule> {
        check_range(&self.index, self.axis, &x[0].shape().with(self.axis, self.size))
    }
}

/// The elements whose index is another than this one; zeros elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Except {
    /// In the shape of the elements.
    pub index: Tensor<usize>,
    pub this: usize,
}

impl TensorRule for Except {
    const NAME: &'static str = "except";
    const MULTILINEAR: bool = true;

    fn value<T: Float>(&self, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
        let (x, index) = (x[0].in_order()?, self.index.in_order()?);
        let elements = |out: &mut [T]| {
            let x = x.as_slice().unwrap_or_default();
            let elements = out.iter_mut().zip(x).zip(rows(&index));
            elements.for_each(|((y, &x), &index)| *y = if index == self.this { T::ZERO } else { x });
        };
        Ok(Tensor::build(x.shape().clone(), elements)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record(self.clone(), &[]))
    }

    fn places(&self) -> Option<&Tensor<usize>> {
        Some(&self.index)
    }

    fn with_places(&self, index: &Tensor<usize>) -> Self {
        Except { index: index.clone(), ..*self }
    }
}

fn rows(index: &Tensor<usize>) -> &[usize] {
    debug_assert!(index.as_slice().is_some());
    index.as_slice().unwrap_or_default()
}

/// Each element once that a broadcast repeats.
fn distinct(index: &Tensor<usize>) -> Tensor<usize> {
    let once = |(&size, &stride): (&usize, &isize)| if stride == 0 { size.min(1) } else { size };
    let layout = &index.layout;
    let shape = layout.shape.iter().zip(&layout.strides).map(once).collect();
    index.with_layout(Layout { shape, ..layout.clone() })
}

/// The rule that the first index out of range breaks.
fn check_range(index: &Tensor<usize>, axis: usize, shape: &Shape) -> Result<(), Rule> {
    let (size, index) = (shape[axis], distinct(index));
    // Without an early end the test of all runs in vectors.
    if index.as_slice().is_some_and(|index| !index.iter().fold(false, |any, &i| any | (i >= size))) {
        return Ok(());
    }
    match index.iter().find(|&i| i >= size) {
        Some(index) => Err(Rule::Index { index, axis, shape: shape.clone() }),
        None => Ok(()),
    }
}

/// The position of `axis`, if `index` fits `shape`: in range, of the same rank, nowhere larger but along the axis.
fn check_gather(index: &Tensor<usize>, axis: isize, shape: &Shape) -> Result<usize, Rule> {
    let axis = shape.axis(axis)?;
    let fits = |k: usize| k == axis || index.shape()[k] <= shape[k];
    if index.rank() != shape.rank() || !(0..shape.rank()).all(fits) {
        let expected = index.shape().get(axis).map_or(shape.clone(), |&size| shape.with(axis, size));
        index.shape().must_be("the index", &expected)?;
    }
    check_range(index, axis, shape)?;
    Ok(axis)
}

/// The position of `axis` and the contiguous index, if it is a list in range.
fn check_rows(index: Tensor<usize>, axis: isize, shape: &Shape) -> Result<(usize, Tensor<usize>), Rule> {
    let axis = shape.axis(axis)?;
    if index.rank() > 1 {
        return Err(Rule::Rank { what: "the index", expected: 1, found: index.shape().clone() });
    }
    check_range(&index, axis, shape)?;
    Ok((axis, index.flatten().contiguous()))
}

impl<'t, T: Float> Var<'t, T> {
    /// The elements at `index` along `axis`: `y[i, j, k] = x[i, index[i, j, k], k]` for axis 1.
    ///
    /// Derivative: the gradient, added where the elements were picked.
    /// Shapes: x of the rank of `index`, and as large along the other axes → the shape of `index`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// let y = x.gather(1, &Tensor::from([[2], [0]]));
    /// assert_eq!(y.value()?.to_vec(), [3.0, 4.0]);
    /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn gather(self, axis: isize, index: &impl AsIndices) -> Self {
        let index = index.places();
        match check_gather(&index, axis, &self.shape()) {
            Ok(axis) => self.record(Gather { axis, index }, &[]),
            Err(rule) => self.fail("gather", rule),
        }
    }

    /// [`gather`](Self::gather) with the other axes broadcast: for indices that `argsort` or `argmax` gave.
    ///
    /// Derivative: the gradient, added where the elements were picked.
    #[track_caller]
    pub fn take_along_dim(self, index: &impl AsIndices, axis: isize) -> Self {
        let shape = self.shape();
        let (x, index) = match take_along(&shape, &index.places(), axis) {
            Ok(shapes) => shapes,
            Err(rule) => return self.fail("take_along_dim", rule),
        };
        let stretched = if shape == x { self } else { self.broadcast_to(x) };
        stretched.gather(axis, &index).called("take_along_dim")
    }

    /// This, with the elements of `source` added at `index` along `axis`: the adjoint of [`gather`](Self::gather).
    ///
    /// Derivative: the gradient; the source gets it from where its elements went.
    /// Shapes: any, `index` and `source` of one shape that fits as in `gather` → the shape of this.
    #[track_caller]
    pub fn scatter_add(self, axis: isize, index: &impl AsIndices, source: Self) -> Self {
        let index = index.places();
        match self.check_scatter(axis, &index, source) {
            Ok(axis) => self + source.record(ScatterAdd { axis, index, to: self.shape() }, &[]),
            Err(rule) => self.and(source).fail("scatter_add", rule),
        }
    }

    /// This, with the elements of `source` in the places at `index` along `axis`; where several go to one place, the last
    /// one stays.
    ///
    /// Derivative: the gradient where nothing was put; the source gets it from where its elements stayed.
    /// Shapes: as [`scatter_add`](Self::scatter_add).
    #[track_caller]
    pub fn scatter(self, axis: isize, index: &impl AsIndices, source: Self) -> Self {
        let index = index.places();
        let axis = match self.check_scatter(axis, &index, source) {
            Ok(axis) => axis,
            Err(rule) => return self.and(source).fail("scatter", rule),
        };
        let put = |x: Self| x.record(Scatter { axis, index: index.clone(), to: self.shape() }, &[]);
        let is_named = put(self.tape.constant(Tensor::ones(index.shape())));
        is_named.select(put(source), self).called("scatter")
    }

    fn check_scatter(self, axis: isize, index: &Tensor<usize>, source: Self) -> Result<usize, Rule> {
        let axis = check_gather(index, axis, &self.shape())?;
        source.shape().must_be("the source", index.shape())?;
        Ok(axis)
    }

    /// The rows at `index` along `axis`, in the order of the index and as often as they are named.
    ///
    /// Derivative: the gradient, added where the rows were picked.
    /// Shapes: `[.., d, ..]` with an index `[n]` → `[.., n, ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.index_select(0, [1, 1, 0]).value()?.to_vec(), [3.0, 4.0, 3.0, 4.0, 1.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn index_select(self, axis: isize, index: impl AsIndices) -> Self {
        match check_rows(index.places(), axis, &self.shape()) {
            Ok((axis, index)) => self.record(IndexSelect { axis, index }, &[]),
            Err(rule) => self.fail("index_select", rule),
        }
    }

    /// This, with the rows of `source` added to the rows at `index` along `axis`.
    ///
    /// Derivative: the gradient; the source gets it from where its rows went.
    /// Shapes: `[.., d, ..]` with an index `[n]` and a source `[.., n, ..]` → `[.., d, ..]`.
    #[track_caller]
    pub fn index_add(self, axis: isize, index: impl AsIndices, source: Self) -> Self {
        let shape = self.shape();
        let (axis, index) = match check_rows(index.places(), axis, &shape) {
            Ok(checked) => checked,
            Err(rule) => return self.and(source).fail("index_add", rule),
        };
        if let Err(rule) = source.shape().must_be("the source", &shape.with(axis, index.len())) {
            return self.and(source).fail("index_add", rule);
        }
        self + source.record(IndexAdd { axis, index, size: shape[axis] }, &[])
    }

    /// The rows of this table that `index` names: an embedding.
    ///
    /// Derivative: the gradient, added to the rows that were looked up.
    /// Shapes: `[rows, width]` with an index of any shape → `[index.., width]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let table = tape.var([[0.0_f32, 0.1], [1.0, 1.1], [2.0, 2.1]]);
    /// let y = table.embedding(&Tensor::from([[2, 0], [2, 2]]));
    /// assert_eq!(y.shape(), [2, 2, 2].into());
    /// assert_eq!(y.sum().backward()?.of(table)?.to_vec(), [1.0, 1.0, 0.0, 0.0, 3.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn embedding(self, index: &impl AsIndices) -> Self {
        let index = index.places();
        let shape = self.shape();
        let [_, width] = *shape else {
            return self.fail("embedding", Rule::Rank { what: "the table", expected: 2, found: shape });
        };
        match check_rows(index.flatten(), 0, &shape) {
            Ok((axis, rows)) => {
                let to: Shape = index.shape().iter().copied().chain([width]).collect();
                self.record(IndexSelect { axis, index: rows }, &[]).reshape(to)
            }
            Err(rule) => self.fail("embedding", rule),
        }
    }

    /// As [`embedding`](Self::embedding), where the row `padding` stands for nothing.
    ///
    /// Derivative: as there, and none to the row `padding`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let table = tape.var([[0.0_f32], [1.0], [2.0]]);
    /// let y = table.embedding_padded(&Tensor::from([2, 0, 2]), 0);
    /// assert_eq!(y.sum().backward()?.of(table)?.to_vec(), [0.0, 0.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn embedding_padded(self, index: &impl AsIndices, padding: usize) -> Self {
        let (rows, index) = (self.embedding(index), index.places());
        let index = match index.unsqueeze(-1) {
            Ok(index) => index,
            Err(error) => return self.fail("embedding_padded", error.rule),
        };
        let ones = self.tape.constant(Tensor::ones(index.shape()));
        let stands_for_something = ones.record(Except { index, this: padding }, &[]);
        stands_for_something.select(rows, rows.detach()).called("embedding_padded")
    }

    /// `value` where the mask is true, else this.
    ///
    /// Derivative: the gradient where the mask is false, exactly 0 where it is true.
    /// Shapes: the mask broadcasts with this.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let scores = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let future = Tensor::from([[false, true], [false, false]]);
    /// let weights = scores.masked_fill(&future, f32::NEG_INFINITY).softmax(-1);
    /// assert_eq!(weights.at([0, 1]).value()?, 0.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn masked_fill(self, mask: &Tensor<bool>, value: impl Into<Term<'t, T>>) -> Self {
        let mask = self.tape.constant(mask.map(|is_set| if is_set { T::ONE } else { T::ZERO }));
        mask.select(value, self).called("masked_fill")
    }
}

/// The shapes of operand and index, and the index, broadcast to each other along all axes but `axis`.
fn take_along(shape: &Shape, index: &Tensor<usize>, axis: isize) -> Result<(Shape, Tensor<usize>), Rule> {
    let axis = shape.axis(axis)?;
    if index.rank() != shape.rank() {
        return Err(Rule::Rank { what: "the index", expected: shape.rank(), found: index.shape().clone() });
    }
    let common = shape.with(axis, 1).broadcast(&index.shape().with(axis, 1))?;
    let to = common.with(axis, index.shape()[axis]);
    let index = index.stretched(&to)?;
    Ok((common.with(axis, shape[axis]), index))
}

impl<T: Float> Tensor<T> {
    /// For every index a row with 1 at that place and 0 elsewhere.
    ///
    /// Shapes: any → `[.., classes]`.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let rows = Tensor::one_hot(&Tensor::from([2, 0]), 3)?;
    /// assert_eq!(rows, Tensor::from([[0.0_f32, 0.0, 1.0], [1.0, 0.0, 0.0]]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Rule::Index`] when an index is not below `classes`.
    #[track_caller]
    pub fn one_hot(index: &Tensor<usize>, classes: usize) -> Result<Self> {
        let shape: Shape = index.shape().iter().copied().chain([classes]).collect();
        check_range(index, index.rank(), &shape).map_err(Error::at("one_hot"))?;
        let fill = |rows: &mut [T]| {
            rows.fill(T::ZERO);
            rows.chunks_exact_mut(classes.max(1)).zip(index).for_each(|(row, i)| row[i] = T::ONE);
        };
        Tensor::build(shape, fill).map_err(Error::at("one_hot"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn all_have_their_derivatives() {
        let index = &Tensor::from([[2, 0, 2], [1, 1, 0]]);
        let x = &[sample(&[3, 3], 1), sample(&[2, 3], 2)];
        assert_gradient(|x| x[0].square().gather(0, index) * x[1], x);
        assert_gradient(|x| x[0].t().gather(-1, index), x);
        assert_gradient(|x| x[0].square().scatter_add(0, index, x[1].square()), x);
        assert_gradient(|x| x[0].square().scatter(1, index, x[1].square()), x);
        assert_gradient(|x| x[0].square().index_select(1, [2, 0, 2, 2]), x);
        assert_gradient(|x| x[0].t().square().index_select(0, [1]), x);
        assert_gradient(|x| x[0].square().index_add(0, [1, 1], x[1].square()), x);
        assert_gradient(|x| x[0].square().embedding(index), x);
        assert_gradient(|x| x[0].square().masked_fill(&Tensor::from([true, false, true]), 2.0), x);
        assert_gradient(|x| x[1].square().unsqueeze(0).take_along_dim(&Tensor::from([[[1]], [[0]]]), 1), x);
    }

    #[test]
    fn elements_go_where_the_index_says() {
        let tape = Tape::new();
        let value = |y: Var<'_, f64>| y.value().unwrap().to_vec();
        let x = tape.var([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(value(x.gather(0, &Tensor::from([[1, 0]]))), [4.0, 2.0]);
        assert_eq!(value(x.gather(1, &Tensor::zeros([2, 0]))), []);
        let zeros = tape.constant(Tensor::zeros([2, 3]));
        let index = Tensor::from([[0, 2, 0], [1, 1, 1]]);
        assert_eq!(value(zeros.scatter_add(1, &index, x)), [4.0, 0.0, 2.0, 0.0, 15.0, 0.0]);
        assert_eq!(value((zeros + 9.0).scatter(1, &index, x)), [3.0, 9.0, 2.0, 9.0, 6.0, 9.0]);
        assert_eq!(value(x.index_select(1, [2, 2])), [3.0, 3.0, 6.0, 6.0]);
        assert_eq!(value(zeros.index_add(1, [1, 1, 0], x)), [3.0, 3.0, 0.0, 6.0, 9.0, 0.0]);
        assert_eq!(value(x.masked_fill(&Tensor::from([[true], [false]]), 0.0)), [0.0, 0.0, 0.0, 4.0, 5.0, 6.0]);
        assert_eq!(value(x.embedding(&Tensor::scalar(1))), [4.0, 5.0, 6.0]);
    }

    #[test]
    fn a_replaced_value_sends_no_gradient_even_if_infinite() {
        let tape = Tape::new();
        let x = tape.var([f64::INFINITY, 2.0]);
        let y = x.scatter(0, &Tensor::from([0]), tape.var([1.0])).square();
        assert_eq!(y.sum().backward().unwrap().of(x).unwrap().to_vec(), [0.0, 4.0]);
    }

    #[test]
    fn wrong_indices_are_named() {
        let x = || Tensor::<f64>::zeros([2, 3]);
        assert_fails(
            |t| t.var(x()).gather(1, &Tensor::from([[0], [3]])),
            "gather: index 3 is out of range for axis 1 of shape [2, 3]",
        );
        assert_fails(
            |t| t.var(x()).gather(1, &Tensor::from([[0], [1], [2]])),
            "gather: the index must have shape [2, 1], found [3, 1]",
        );
        assert_fails(
            |t| t.var(x()).scatter_add(0, &Tensor::from([[1]]), t.var([1.0])),
            "scatter_add: the source must have shape [1, 1], found [1]",
        );
        assert_fails(
            |t| t.var(x()).index_select(0, vec![5]),
            "index_select: index 5 is out of range for axis 0 of shape [2, 3]",
        );
        assert_fails(
            |t| t.var(x()).index_select(0, [[0, 1]]),
            "index_select: the index must have rank 1, found shape [1, 2]",
        );
        assert_fails(
            |t| t.var(x()).index_add(0, [0], t.var(x())),
            "index_add: the source must have shape [1, 3], found [2, 3]",
        );
        assert_fails(
            |t| t.var([1.0]).embedding(&Tensor::from([0])),
            "embedding: the table must have rank 2, found shape [1]",
        );
        assert_fails(
            |t| t.var(x()).embedding(&Tensor::from([7])),
            "embedding: index 7 is out of range for axis 0 of shape [2, 3]",
        );
        let error = Tensor::<f32>::one_hot(&Tensor::from([3]), 3).unwrap_err().to_string();
        assert!(error.starts_with("one_hot: index 3 is out of range for axis 1 of shape [1, 3], at "), "{error}");
        assert_eq!(Tensor::<f32>::one_hot(&Tensor::zeros([0]), 0).unwrap().shape(), &[0, 0].into());
    }
}
