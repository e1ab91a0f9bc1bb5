//! Elements picked and put by index. Indices are operands, which every operation checks.

mod gather;
mod rows;

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::indices::AsIndices;
use crate::mask::{AsMask, Mask};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;
use crate::var::{Term, Var};
use rows::check_list;

pub(crate) use gather::{Gather, Scatter, ScatterAdd, ScatterAdjoint};
pub(crate) use rows::{Except, IndexAdd, IndexSelect};

/// # Gathering and scattering
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
    pub fn gather(self, axis: isize, index: impl AsIndices<'t, T>) -> Self {
        let index = index.on(self.tape);
        match self.shape().axis(axis) {
            Ok(axis) => self.record_with(Gather { axis }, &[], &[index]),
            Err(kind) => self.and_indices(index).fail("gather", kind),
        }
    }

    /// [`gather`](Self::gather) with the other axes broadcast: for indices that `argsort` or `argmax` gave.
    ///
    /// Derivative: the gradient, added where the elements were picked.
    /// Shapes: `[.., d, ..]`, `index` `[.., n, ..]` → `[.., n, ..]`, where the axes but `axis` broadcast.
    ///
    /// ```
    /// use autograd::{SortOrder, Tape};
    ///
    /// let tape = Tape::new();
    /// // Every row in order.
    /// let x = tape.constant([[3.0_f32, 1.0, 2.0], [4.0, 6.0, 5.0]]);
    /// let sorted = x.take_along_dim(x.argsort(1, SortOrder::Ascending), 1);
    /// assert_eq!(sorted.value()?, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn take_along_dim(self, index: impl AsIndices<'t, T>, axis: isize) -> Self {
        let (shape, index) = (self.shape(), index.on(self.tape));
        let (x, to) = match take_along(&shape, &index.shape(), axis) {
            Ok(shapes) => shapes,
            Err(kind) => return self.and_indices(index).fail("take_along_dim", kind),
        };
        let stretched = if shape == x { self } else { self.broadcast_to(x) };
        stretched.gather(axis, index.broadcast_to(to)).called("take_along_dim")
    }

    /// This, with the elements of `source` added at `index` along `axis`: the adjoint of [`gather`](Self::gather).
    ///
    /// Derivative: the gradient; the source gets it from where its elements went.
    /// Shapes: any, `index` and `source` of one shape that fits as in `gather` → the shape of this.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // A histogram: how much weight falls into each of three bins.
    /// let weights = tape.var([1.0_f32, 2.0, 4.0, 8.0]);
    /// let bins = tape.constant([0.0, 0.0, 0.0]).scatter_add(0, [2, 0, 2, 1], weights);
    /// assert_eq!(bins.value()?.to_vec(), [2.0, 8.0, 5.0]);
    /// assert_eq!(bins.at([2]).backward()?.of(weights)?.to_vec(), [1.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn scatter_add(self, axis: isize, index: impl AsIndices<'t, T>, source: Self) -> Self {
        let (shape, index) = (self.shape(), index.on(self.tape));
        match shape.axis(axis) {
            Ok(axis) => self + source.record_with(ScatterAdd { axis, to: shape }, &[], &[index]),
            Err(kind) => self.and(source).and_indices(index).fail("scatter_add", kind),
        }
    }

    /// This, with the elements of `source` in the places at `index` along `axis`; where several go to one place, the last
    /// one stays.
    ///
    /// Derivative: the gradient where nothing was put; the source gets it from where its elements stayed.
    /// Shapes: as [`scatter_add`](Self::scatter_add).
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 2.0, 3.0]);
    /// let source = tape.var([10.0, 20.0]);
    /// let y = x.scatter(0, [2, 0], source);
    /// assert_eq!(y.value()?.to_vec(), [20.0, 2.0, 10.0]);
    /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn scatter(self, axis: isize, index: impl AsIndices<'t, T>, source: Self) -> Self {
        let (shape, index) = (self.shape(), index.on(self.tape));
        let axis = match shape.axis(axis) {
            Ok(axis) => axis,
            Err(kind) => return self.and(source).and_indices(index).fail("scatter", kind),
        };
        let op = Scatter { axis, to: shape };
        let put = source.record_with(op.clone(), &[], &[index]);
        let is_named = self.tape.filled(source.shape(), T::ONE).record_with(op, &[], &[index]);
        Mask::of(is_named).select(put, self).called("scatter")
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
    pub fn index_select(self, axis: isize, index: impl AsIndices<'t, T>) -> Self {
        let index = index.on(self.tape);
        let rule = self.shape().axis(axis).and_then(|axis| check_list(&index.shape()).map(|()| axis));
        match rule {
            Ok(axis) => self.record_with(IndexSelect { axis }, &[], &[index.as_list()]),
            Err(kind) => self.and_indices(index).fail("index_select", kind),
        }
    }

    /// This, with the rows of `source` added to the rows at `index` along `axis`.
    ///
    /// Derivative: the gradient; the source gets it from where its rows went.
    /// Shapes: `[.., d, ..]` with an index `[n]` and a source `[.., n, ..]` → `[.., d, ..]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // Messages along the edges 0 → 1 and 2 → 1 of a graph, added up at the nodes.
    /// let messages = tape.constant([[1.0_f32, 2.0], [10.0, 20.0]]);
    /// let nodes = tape.constant(Tensor::zeros([3, 2])).index_add(0, [1, 1], messages);
    /// assert_eq!(nodes.value()?, [[0.0, 0.0], [11.0, 22.0], [0.0, 0.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn index_add(self, axis: isize, index: impl AsIndices<'t, T>, source: Self) -> Self {
        let (shape, index) = (self.shape(), index.on(self.tape));
        match check_rows(&shape, axis, &index.shape(), &source.shape()) {
            Ok(axis) => {
                let op = IndexAdd { axis, size: shape[axis] };
                self + source.record_with(op, &[], &[index.as_list()])
            }
            Err(kind) => self.and(source).and_indices(index).fail("index_add", kind),
        }
    }

    /// This, with the rows of `source` in place of the rows at `index` along `axis`; where several go to one place, the last
    /// one stays.
    ///
    /// Derivative: the gradient where nothing was put; the source gets it from where its rows stayed.
    /// Shapes: as [`index_add`](Self::index_add).
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // A memory of three rows, one of which is written anew.
    /// let memory = tape.var([[1.0_f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let y = memory.index_copy(0, [1], tape.constant([[0.0, 9.0]]));
    /// assert_eq!(y.value()?, [[1.0, 2.0], [0.0, 9.0], [5.0, 6.0]].into());
    /// assert_eq!(y.sum().backward()?.of(memory)?, [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn index_copy(self, axis: isize, index: impl AsIndices<'t, T>, source: Self) -> Self {
        let index = index.on(self.tape);
        match check_rows(&self.shape(), axis, &index.shape(), &source.shape()) {
            Ok(at) => {
                let rows = index.shape().len();
                let list: Shape = (0..self.rank()).map(|axis| if axis == at { rows } else { 1 }).collect();
                let index = index.reshape(list).broadcast_to(source.shape());
                self.scatter(axis, index, source).called("index_copy")
            }
            Err(kind) => self.and(source).and_indices(index).fail("index_copy", kind),
        }
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
    pub fn embedding(self, index: impl AsIndices<'t, T>) -> Self {
        let (shape, index) = (self.shape(), index.on(self.tape));
        match shape.rank() {
            2 => self.record_with(IndexSelect { axis: 0 }, &[], &[index]).called("embedding"),
            _ => {
                let kind = ErrorKind::Rank { what: "the table", expected: 2, found: shape };
                self.and_indices(index).fail("embedding", kind)
            }
        }
    }

    /// As [`embedding`](Self::embedding), where the row `padding` stands for nothing.
    ///
    /// Derivative: as there, and none to the row `padding`.
    /// Shapes: as [`embedding`](Self::embedding).
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
    pub fn embedding_padded(self, index: impl AsIndices<'t, T>, padding: usize) -> Self {
        let index = index.on(self.tape);
        let rows = self.embedding(index).called("embedding_padded");
        let ones = self.tape.filled(index.shape(), T::ONE);
        let stands_for_something = ones.record_with(Except { this: padding }, &[], &[index]).unsqueeze(-1);
        Mask::of(stands_for_something).select(rows, rows.detach()).called("embedding_padded")
    }

    /// `value` where the mask is true, else this.
    ///
    /// Derivative: the gradient where the mask is false, exactly 0 where it is true.
    /// Shapes: the mask broadcasts with this.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let scores = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let future = [[false, true], [false, false]];
    /// let weights = scores.masked_fill(future, f32::NEG_INFINITY).softmax(-1);
    /// assert_eq!(weights.at([0, 1]).value()?, 0.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn masked_fill(self, mask: impl AsMask<'t, T>, value: impl Into<Term<'t, T>>) -> Self {
        mask.on(self.tape).select(value, self).called("masked_fill")
    }
}

/// The axis along which `source` has a row for each index, and otherwise the sizes of `shape`.
fn check_rows(shape: &Shape, axis: isize, index: &Shape, source: &Shape) -> Result<usize, ErrorKind> {
    let axis = shape.axis(axis)?;
    check_list(index)?;
    source.must_be("the source", &shape.with(axis, index.len()))?;
    Ok(axis)
}

/// The shapes of operand and index, broadcast to each other along all axes but `axis`.
fn take_along(shape: &Shape, index: &Shape, axis: isize) -> Result<(Shape, Shape), ErrorKind> {
    let axis = shape.axis(axis)?;
    if index.rank() != shape.rank() {
        return Err(ErrorKind::Rank { what: "the index", expected: shape.rank(), found: index.clone() });
    }
    let common = shape.with(axis, 1).broadcast(&index.with(axis, 1))?;
    Ok((common.with(axis, shape[axis]), common.with(axis, index[axis])))
}

/// # One-hot vectors
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
    /// [`ErrorKind::Index`] when an index is not below `classes`.
    #[track_caller]
    pub fn one_hot(index: &Tensor<usize>, classes: usize) -> Result<Self> {
        let shape: Shape = index.shape().iter().copied().chain([classes]).collect();
        Integers::new(index.clone()).must_index(index.rank(), &shape).map_err(Error::at("one_hot"))?;
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
        assert_gradient(|x| x[0].square().index_copy(0, [2, 0], x[1].square()), x);
        assert_gradient(|x| x[0].square().embedding(index), x);
        assert_gradient(|x| x[0].square().masked_fill([true, false, true], 2.0), x);
        assert_gradient(|x| x[1].square().unsqueeze(0).take_along_dim(Tensor::from([[[1]], [[0]]]), 1), x);
    }

    #[test]
    fn elements_go_where_the_index_says() {
        let tape = Tape::new();
        let value = |y: Var<'_, f64>| y.value().unwrap().to_vec();
        let x = tape.var([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(value(x.gather(0, Tensor::from([[1, 0]]))), [4.0, 2.0]);
        assert_eq!(value(x.gather(1, Tensor::zeros([2, 0]))), []);
        let zeros = tape.constant(Tensor::zeros([2, 3]));
        let index = Tensor::from([[0, 2, 0], [1, 1, 1]]);
        assert_eq!(value(zeros.scatter_add(1, &index, x)), [4.0, 0.0, 2.0, 0.0, 15.0, 0.0]);
        assert_eq!(value((zeros + 9.0).scatter(1, &index, x)), [3.0, 9.0, 2.0, 9.0, 6.0, 9.0]);
        assert_eq!(value(x.index_select(1, [2, 2])), [3.0, 3.0, 6.0, 6.0]);
        assert_eq!(value(zeros.index_add(1, [1, 1, 0], x)), [3.0, 3.0, 0.0, 6.0, 9.0, 0.0]);
        assert_eq!(value(x.masked_fill([[true], [false]], 0.0)), [0.0, 0.0, 0.0, 4.0, 5.0, 6.0]);
        assert_eq!(value(x.embedding(Tensor::scalar(1))), [4.0, 5.0, 6.0]);
    }

    #[test]
    fn a_replaced_value_sends_no_gradient_even_if_infinite() {
        let tape = Tape::new();
        let x = tape.var([f64::INFINITY, 2.0]);
        let y = x.scatter(0, Tensor::from([0]), tape.var([1.0])).square();
        assert_eq!(y.sum().backward().unwrap().of(x).unwrap().to_vec(), [0.0, 4.0]);
    }

    #[test]
    fn wrong_indices_are_named() {
        let x = || Tensor::<f64>::zeros([2, 3]);
        assert_fails(
            |t| t.var(x()).gather(1, Tensor::from([[0], [3]])),
            "gather: index 3 is out of range for axis 1 of shape [2, 3]",
        );
        assert_fails(
            |t| t.var(x()).gather(1, Tensor::from([[0], [1], [2]])),
            "gather: the index must have shape [2, 1], found [3, 1]",
        );
        assert_fails(
            |t| t.var(x()).scatter_add(0, Tensor::from([[1]]), t.var([1.0])),
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
            |t| t.var(x()).index_copy(0, [2], t.var(Tensor::zeros([1, 3]))),
            "index_copy: index 2 is out of range for axis 0 of shape [2, 3]",
        );
        assert_fails(
            |t| t.var([1.0]).embedding(Tensor::from([0])),
            "embedding: the table must have rank 2, found shape [1]",
        );
        assert_fails(
            |t| t.var(x()).embedding(Tensor::from([7])),
            "embedding: index 7 is out of range for axis 0 of shape [2, 3]",
        );
        let error = Tensor::<f32>::one_hot(&Tensor::from([3]), 3).unwrap_err().to_string();
        assert!(error.starts_with("one_hot: index 3 is out of range for axis 1 of shape [1, 3], at "), "{error}");
        assert_eq!(Tensor::<f32>::one_hot(&Tensor::zeros([0]), 0).unwrap().shape(), &[0, 0].into());
    }
}
