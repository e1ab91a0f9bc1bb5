//! Diagonals: views of a matrix, and matrices around a vector.

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::{self, Write};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::layout::Layout;
use crate::var::Var;

/// Which elements: those whose index along `columns` is that along `rows` plus `offset`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    offset: isize,
    rows: usize,
    columns: usize,
}

impl Line {
    /// By how much it is moved to the right and down.
    fn starts(self) -> (usize, usize) {
        (self.offset.max(0) as usize, self.offset.min(0).unsigned_abs())
    }

    /// The axes that are no axes of the matrices.
    fn others(self, rank: usize) -> impl Iterator<Item = usize> {
        (0..rank).filter(move |&axis| axis != self.rows && axis != self.columns)
    }

    /// The shape of the line of a tensor, along its last axis.
    fn shape(self, of: &Shape) -> Shape {
        let (above, below) = self.starts();
        let length = of[self.rows].saturating_sub(below).min(of[self.columns].saturating_sub(above));
        self.others(of.rank()).map(|axis| of[axis]).chain([length]).collect()
    }

    /// The line as a view whose last axis runs along it.
    fn view(self, layout: &Layout) -> Layout {
        let (Line { rows, columns, .. }, (above, below)) = (self, self.starts());
        let shape = self.shape(&layout.shape);
        let length = shape.last().copied().unwrap_or(0);
        let (mut line, step) = (layout.clone(), layout.strides[rows] + layout.strides[columns]);
        if length > 0 {
            line = line.slice(rows, below, below + length, 1).slice(columns, above, above + length, 1);
        }
        let strides = self.others(layout.shape.rank()).map(|axis| layout.strides[axis]).chain([step]).collect();
        let line = Layout { shape, strides, offset: line.offset };
        line.normal()
    }
}

/// A diagonal as the last axis; a view.
#[derive(Debug, Clone)]
pub(crate) struct Diagonal {
    line: Line,
}

impl TensorRule for Diagonal {
    const NAME: &'static str = "diagonal";
    const MULTILINEAR: bool = true;
    const IS_VIEW: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(self.line.shape(x[0]))
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, _: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(x[0].with_layout(self.line.view(&x[0].layout)).into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record(DiagonalEmbed { line: self.line, to: rule.x[0].shape() }, &[]))
    }
}

/// The adjoint of [`Diagonal`]: zeros of shape `to` with the last axis of the operand on the diagonal.
#[derive(Debug, Clone)]
pub(crate) struct DiagonalEmbed {
    line: Line,
    to: Shape,
}

impl TensorRule for DiagonalEmbed {
    const NAME: &'static str = "diag_embed";
    const MULTILINEAR: bool = true;

    fn shape(&self, _: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(self.to.clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(Tensor::build(shape.clone(), |out| {
            let places = self.line.view(&Layout::contiguous(shape));
            out.fill(T::ZERO);
            kernel::scatter::scatter(x[0].view(), &places, out, Write::Replace);
        })?
        .into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.record(Diagonal { line: self.line }, &[]))
    }
}

/// # Diagonals
impl<'t, T: Float> Var<'t, T> {
    /// The elements x[.., i, .., i + offset, ..] of the axes `rows` and `columns`, as a last axis.
    ///
    /// Derivative: the gradient on the diagonal, zeros elsewhere.
    /// Shapes: `[.., m, n]` → `[.., d]` for the last two axes, d the length of the diagonal.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.diagonal(0, -2, -1).value()?.to_vec(), [1.0, 4.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn diagonal(self, offset: isize, rows: isize, columns: isize) -> Self {
        let shape = self.shape();
        match (shape.axis(rows), shape.axis(columns)) {
            (Ok(row), Ok(column)) if row == column => self.fail("diagonal", ErrorKind::RepeatedAxis { axis: columns }),
            (Ok(rows), Ok(columns)) => self.record(Diagonal { line: Line { offset, rows, columns } }, &[]),
            (Err(kind), _) | (_, Err(kind)) => self.fail("diagonal", kind),
        }
    }

    /// Matrices with the last axis on their diagonal, or `offset` beside it, and zeros elsewhere.
    ///
    /// Derivative: that diagonal of the gradient.
    /// Shapes: `[.., n]` → `[.., n + |offset|, n + |offset|]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // A covariance from variances, for each of two samples.
    /// let variances = tape.constant([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let covariances = variances.diag_embed(0);
    /// assert_eq!(covariances.value()?, [[[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [0.0, 4.0]]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn diag_embed(self, offset: isize) -> Self {
        let shape = self.shape();
        let Some((&length, batch)) = shape.split_last() else {
            return self.fail("diag_embed", ErrorKind::Axis { axis: -1, shape });
        };
        let size = length.checked_add(offset.unsigned_abs());
        let line = Line { offset, rows: batch.len(), columns: batch.len() + 1 };
        match Shape::computed(batch.iter().copied().map(Some).chain([size, size])) {
            Ok(to) => self.record(DiagonalEmbed { line, to }, &[]),
            Err(kind) => self.fail("diag_embed", kind),
        }
    }

    /// The diagonal of a matrix, or the matrix with a vector on its diagonal; `offset` beside the main one.
    ///
    /// Derivative: the gradient in the places of the diagonal, or its diagonal.
    /// Shapes: `[m, n]` → `[d]`, `[n]` → `[n + |offset|, n + |offset|]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The trace of a matrix.
    /// let x = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let trace = x.diag(0).sum();
    /// assert_eq!(trace, 5.0);
    /// assert_eq!(trace.backward()?.of(x)?, [[1.0, 0.0], [0.0, 1.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn diag(self, offset: isize) -> Self {
        match self.rank() {
            1 => self.diag_embed(offset),
            2 => self.diagonal(offset, 0, 1),
            _ => self.fail("diag", ErrorKind::Rank { what: "the operand", expected: 2, found: self.shape() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn all_have_their_derivatives() {
        let x = &[sample(&[2, 3, 4], 1)];
        for offset in [-3, -1, 0, 2, 9] {
            assert_gradient(|x| x[0].square().diagonal(offset, 1, -1), x);
            assert_gradient(|x| x[0].t().square().diagonal(offset, 2, 0), x);
            assert_gradient(|x| x[0].square().diag_embed(offset), &[sample(&[2, 3], 2)]);
            assert_gradient(|x| x[0].square().diag(offset).diag(-offset), &[sample(&[3], 3)]);
        }
    }

    #[test]
    fn places() {
        let tape = Tape::new();
        let value = |y: Var<'_, f64>| y.value().unwrap().to_vec();
        let x = tape.var([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(
            (value(x.diag(0)), value(x.diag(1)), value(x.diag(-1))),
            (vec![1.0, 5.0], vec![2.0, 6.0], vec![4.0])
        );
        assert_eq!(value(x.diagonal(1, 1, 0)), [4.0]);
        assert_eq!((value(x.diag(3)), value(x.diag(isize::MIN))), (vec![], vec![]));
        assert_eq!(value(tape.var([7.0]).diag(-1)), [0.0, 0.0, 7.0, 0.0]);
        assert_eq!(tape.var(Tensor::<f64>::zeros([0])).diag(0).value().unwrap().shape(), &[0, 0].into());
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert_fails(|t| t.var([1.0]).diagonal(0, 0, -1), "diagonal: axis -1 is given twice");
        assert_fails(|t| t.var([1.0]).diagonal(0, 0, 1), "diagonal: axis 1 is out of range for shape [1]");
        assert_fails(|t| t.var(1.0).diag_embed(0), "diag_embed: axis -1 is out of range for shape []");
        assert_fails(|t| t.var(1.0).diag(0), "diag: the operand must have rank 2, found shape []");
        assert!(Tape::new().var([1.0]).diag(isize::MIN).value().is_err());
    }
}
