//! Products of matrices and of batches of matrices, of any strides.
//!
//! Most products go to `faer`'s GEMM; those with one vector or a few are plain loops, which are faster there.

mod panels;
pub(crate) mod tiles;

use std::any::TypeId;
use std::ops::Range;

use crate::float::Float;
use crate::kernel::matmul::panels::gemm;
use crate::kernel::product::{
    MAX_TERMS, add_few_terms, inner_product, multiply_by_rows, multiply_few_columns, multiply_vector,
};
use crate::kernel::runs::{Axis, Nest, push_merged, shift};
use crate::kernel::{Write, parallel};
use crate::shape::Shape;
use crate::tensor::View;
use crate::tensor::buffer::Buffer;
use crate::tensor::copy::copy_to;
use crate::tensor::layout::Layout;

pub(crate) use panels::Start;

/// Multiply-adds from which a product is worth a second thread.
const MIN_WORK_FOR_THREADS: usize = 1 << 21;

/// Multiply-adds of a panel or of a share of a batch at least.
pub(crate) const MIN_WORK_PER_PANEL: usize = 1 << 20;

/// Columns from which loops over them are faster than GEMM for a product of few terms.
const MIN_COLUMNS_FOR_LOOPS: usize = 16;

/// Terms from which loops over them are faster than GEMM for a product with few columns.
const MIN_TERMS_FOR_LOOPS: usize = 1 << 8;

/// `out = a·b`, or `out += a·b`, for `a` of shape `[.., m, k]` and `b` of `[.., k, n]` whose leading axes are equal.
pub(crate) fn matmul<T: Float>(a: View<'_, T>, b: View<'_, T>, out: &mut [T], write: Write) {
    if out.is_empty() {
        return;
    }
    if let ([m, _], [_, n]) = (&a.layout.shape[..], &b.layout.shape[..]) {
        debug_assert_eq!(out.len(), m * n);
        return multiply(Matrix::new(a), Matrix::new(b), out, write);
    }
    let (mut left, right) = (Batch::new(a), Batch::new(b));
    left.absorb_into_rows(&right);
    let size = left.first.rows.0 * right.first.columns.0;
    let work = size * left.first.columns.0;
    debug_assert!(out.len().is_multiple_of(size));
    if work >= MIN_WORK_FOR_THREADS || out.len() == size {
        for (k, product) in out.chunks_mut(size).enumerate() {
            multiply(left.at(k), right.at(k), product, write);
        }
        return;
    }
    let share = (MIN_WORK_PER_PANEL / work.max(1)).max(1);
    parallel::pieces(out, share * size, cost(work * (out.len() / size)), &|start, piece| {
        for (k, product) in piece.chunks_mut(size).enumerate() {
            let k = start / size + k;
            multiply(left.at(k), right.at(k), product, write);
        }
    });
}

/// `out = a·b` for matrices, with `row` added to every row.
pub(crate) fn matmul_plus_row<T: Float>(a: View<'_, T>, b: View<'_, T>, row: &[T], out: &mut [T]) {
    let (a, b) = (Matrix::new(a), Matrix::new(b));
    debug_assert_eq!((row.len(), out.len()), (b.columns.0, a.rows.0 * b.columns.0));
    if out.is_empty() {
        return;
    }
    if a.columns.0 > 0 && a.rows.0 > 1 && row.len() > 1 {
        return multiply_from(a, b, (out, row.len()), Start::Row(row));
    }
    out.chunks_exact_mut(row.len()).for_each(|out| out.copy_from_slice(row));
    multiply(a, b, out, Write::Add);
}

/// Multiply-adds in the units of [`parallel`].
pub(crate) fn cost(work: usize) -> usize {
    work / (MIN_WORK_FOR_THREADS / parallel::MIN_WORK_FOR_THREADS)
}

/// A matrix in a buffer: sizes and strides of its rows and columns, and where its first element lies.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub data: &'a [T],
    pub position: isize,
    pub rows: Axis,
    pub columns: Axis,
}

impl<'a, T: Float> Matrix<'a, T> {
    /// The last two axes of a view, at its first element.
    fn new(x: View<'a, T>) -> Self {
        let (shape, strides) = (&x.layout.shape, &x.layout.strides);
        let rank = shape.rank();
        debug_assert!(rank >= 2);
        let axis = |k: usize| (shape[k], strides[k]);
        Matrix { data: x.data, position: x.layout.offset as isize, rows: axis(rank - 2), columns: axis(rank - 1) }
    }

    pub fn transpose(self) -> Self {
        Matrix { rows: self.columns, columns: self.rows, ..self }
    }

    /// Some rows, one below the other.
    pub fn some_rows(self, rows: Range<usize>) -> Self {
        let position = self.position + rows.start as isize * self.rows.1;
        Matrix { position, rows: (rows.len(), self.rows.1), ..self }
    }

    /// Whether both the first and the last element lie in the buffer, and so all do.
    pub fn is_inside(&self) -> bool {
        let reach = |(size, stride): Axis| (size as isize - 1) * stride;
        let (rows, columns) = (reach(self.rows), reach(self.columns));
        let low = self.position + rows.min(0) + columns.min(0);
        let high = self.position + rows.max(0) + columns.max(0);
        low >= 0 && high < self.data.len() as isize
    }

    /// Whether GEMM can load neighbours together.
    fn has_unit_stride(&self) -> bool {
        [self.rows, self.columns].iter().any(|&(size, stride)| stride == 1 || size == 1)
    }

    /// The elements in row-major order.
    pub fn packed(self) -> Buffer<T> {
        let mut buffer = Buffer::scratch(self.rows.0 * self.columns.0);
        let layout = Layout {
            shape: Shape::from([self.rows.0, self.columns.0]),
            strides: [self.rows.1, self.columns.1].into_iter().collect(),
            offset: self.position as usize,
        };
        if let Some(elements) = buffer.get_mut() {
            copy_to(View { data: self.data, layout: &layout }, elements);
        }
        buffer
    }

    /// `rows` times `columns` elements from the start of `data`.
    pub fn row_major(data: &'a [T], rows: usize, columns: usize) -> Self {
        Matrix { data, position: 0, rows: (rows, columns as isize), columns: (columns, 1) }
    }
}

/// Matrices along any number of leading axes.
pub(crate) struct Batch<'a, T> {
    pub first: Matrix<'a, T>,
    nest: Nest,
}

impl<'a, T: Float> Batch<'a, T> {
    pub fn new(x: View<'a, T>) -> Self {
        let mut nest = Nest::new();
        let batch_axes = x.layout.shape.rank() - 2;
        for (&size, &stride) in x.layout.shape.iter().zip(&x.layout.strides).take(batch_axes) {
            push_merged(&mut nest, (size, stride));
        }
        Batch { first: Matrix::new(x), nest }
    }

    /// The `k`th matrix in row-major order of the leading axes.
    pub fn at(&self, k: usize) -> Matrix<'a, T> {
        Matrix { position: self.first.position + shift(&self.nest, k), ..self.first }
    }

    /// Stacks all matrices into one with many rows, where memory allows and every one meets the same right factor.
    fn absorb_into_rows(&mut self, right: &Self) {
        let mut rows = self.nest.clone();
        push_merged(&mut rows, self.first.rows);
        if let [rows] = rows[..]
            && right.nest.iter().all(|&(_, stride)| stride == 0)
        {
            self.first.rows = rows;
            self.nest.clear();
        }
    }
}

/// One product: loops where they are faster, else GEMM.
pub(crate) fn multiply<T: Float>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], write: Write) {
    let (m, k, n) = (a.rows.0, a.columns.0, b.columns.0);
    debug_assert_eq!((out.len(), b.rows.0), (m * n, k));
    if k == 0 {
        if write == Write::Replace {
            out.fill(T::ZERO);
        }
        return;
    }
    debug_assert!(a.is_inside() && b.is_inside());
    match (m, k, n) {
        (1, _, 1) => write.put(&mut out[0], inner_product(a, b)),
        (_, _, 1) if a.rows.1 == 1 => multiply_vector(a, b.transpose(), out, write),
        (_, _, 1) if a.columns.1 == 1 => multiply_by_rows(a, b, out, write),
        (1, _, _) if b.columns.1 == 1 => multiply_vector(b.transpose(), a, out, write),
        (1, _, _) if b.rows.1 == 1 => multiply_by_rows(b.transpose(), a.transpose(), out, write),
        (_, MIN_TERMS_FOR_LOOPS.., 2..=MAX_TERMS) if a.rows.1 == 1 => multiply_few_columns(a, b, out, write),
        _ => multiply_into(a, b, (out, n), write),
    }
}

/// One product by GEMM into rows that start `stride` elements apart. No size may be zero.
pub(crate) fn multiply_into<T: Float>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: (&mut [T], usize), write: Write) {
    multiply_from(a, b, out, write.into());
}

fn multiply_from<T: Float>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: (&mut [T], usize), start: Start<'_, T>) {
    let (m, k, n) = (a.rows.0, a.columns.0, b.columns.0);
    if k <= MAX_TERMS && n >= MIN_COLUMNS_FOR_LOOPS && m >= n && b.columns.1 == 1 && out.1 == n {
        return add_few_terms(a, b, out.0, &|out| match start {
            Start::Nothing => out.fill(T::ZERO),
            Start::Old => {}
            Start::Row(row) => out.copy_from_slice(row),
        });
    }
    let packed_a = (!a.has_unit_stride()).then(|| a.packed());
    let packed_b = (!b.has_unit_stride()).then(|| b.packed());
    let a = packed_a.as_ref().map_or(a, |x| Matrix::row_major(x.as_slice(), m, k));
    let b = packed_b.as_ref().map_or(b, |x| Matrix::row_major(x.as_slice(), k, n));
    if TypeId::of::<T>() == TypeId::of::<f32>() {
        gemm::<T, f32>(a, b, out, start);
    } else {
        gemm::<T, f64>(a, b, out, start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, Sample, assert_close, assert_same_bits, indices, samples};

    const SIZES: [[usize; 3]; 24] = [
        [1, 1, 1],
        [2, 3, 4],
        [4, 4, 4],
        [5, 4, 3],
        [0, 2, 3],
        [2, 0, 3],
        [2, 3, 0],
        [1, 300, 1],
        [1, 9, 40],
        [40, 9, 1],
        [33, 1, 70],
        [1, 1100, 20],
        [1100, 20, 1],
        [20, 1100, 1],
        [17, 19, 23],
        [64, 5, 3],
        [70, 64, 9],
        [3, 50, 90],
        [70, 1, 33],
        [40, 2, 17],
        [33, 3, 20],
        [16, 4, 16],
        [9, 300, 2],
        [5, 1100, 3],
    ];

    fn by_definition(a: &Sample<f64>, b: &Sample<f64>) -> Vec<f64> {
        let (a_shape, b_shape) = (&a.layout.shape, &b.layout.shape);
        let rank = a_shape.rank();
        let shape = a_shape.with(rank - 1, b_shape[rank - 1]);
        let term = |index: &[usize], k: usize| {
            let (mut left, mut right) = (index.to_vec(), index.to_vec());
            (left[rank - 1], right[rank - 2]) = (k, k);
            a.at(&left) * b.at(&right)
        };
        indices(&shape).map(|index| (0..a_shape[rank - 1]).map(|k| term(&index, k)).sum()).collect()
    }

    fn check(a: &Sample<f64>, b: &Sample<f64>) {
        let mut expected = by_definition(a, b);
        let mut out = vec![f64::NAN; expected.len()];
        matmul(a.view(), b.view(), &mut out, Write::Replace);
        assert_close(&out, &expected, 1e-13);
        out.fill(0.5);
        expected.iter_mut().for_each(|y| *y += 0.5);
        matmul(a.view(), b.view(), &mut out, Write::Add);
        assert_close(&out, &expected, 1e-13);
    }

    #[test]
    fn all_sizes_and_strides() {
        for [m, k, n] in SIZES {
            for a in samples(&[m, k], 1) {
                samples(&[k, n], 2).iter().for_each(|b| check(&a, b));
            }
        }
    }

    #[test]
    fn a_row_may_be_added_to_every_row() {
        for [m, k, n] in SIZES.into_iter().chain([[300, 200, 100], [100, 200, 300]]) {
            let row = Draws(3).numbers::<f64>(n);
            for (a, b) in samples(&[m, k], 1).iter().zip(samples(&[k, n], 2)) {
                let (mut product, mut out) = (vec![0.0; m * n], vec![f64::NAN; m * n]);
                matmul(a.view(), b.view(), &mut product, Write::Replace);
                let expected: Vec<f64> = product.iter().zip(row.iter().cycle()).map(|(y, x)| y + x).collect();
                matmul_plus_row(a.view(), b.view(), &row, &mut out);
                assert_close(&out, &expected, 1e-13);
            }
        }
    }

    #[test]
    fn many_terms_for_few_rows_and_columns() {
        // Whole numbers, whose sums are exact in any order.
        let numbers = |seed, len| Draws(seed).numbers::<f64>(len).into_iter().map(|x| (8.0 * x).round()).collect();
        let (a, b) = (numbers(1, 40 * 4100), numbers(2, 4100 * 24));
        check(&Sample::contiguous(a, &[40, 4100]), &Sample::contiguous(b, &[4100, 24]));
    }

    #[test]
    fn batches() {
        for [m, k, n] in [[2, 3, 4], [1, 5, 6], [9, 8, 7], [4, 0, 2]] {
            for a in samples(&[3, 2, m, k], 1) {
                samples(&[3, 2, k, n], 2).iter().for_each(|b| check(&a, b));
            }
        }
        for a in samples(&[0, 2, 3], 1) {
            samples(&[0, 3, 4], 2).iter().for_each(|b| check(&a, b));
        }
    }

    #[test]
    fn one_right_factor_for_a_batch_is_one_product() {
        let b = Sample::<f64>::contiguous(Draws(1).numbers(6), &[2, 3]);
        let mut b = Sample { layout: b.layout.broadcast_to(&Shape::from([50, 4, 2, 3])).unwrap(), ..b };
        for a in samples(&[50, 4, 7, 2], 2) {
            check(&a, &b);
            b.data.rotate_left(1);
        }
        let a = &samples::<f64>(&[50, 4, 7, 2], 2)[0];
        let (mut left, right) = (Batch::new(a.view()), Batch::new(b.view()));
        left.absorb_into_rows(&right);
        assert_eq!((left.nest.len(), left.first.rows), (0, (1400, 2)));
    }

    #[test]
    fn threads_change_no_bit() {
        let sizes = [
            [300, 200, 100],
            [128, 784, 512],
            [3, 2000, 900],
            [1, 2000, 900],
            [900, 2000, 1],
            [2000, 1, 300],
            [100, 4100, 20],
            [2000, 300, 3],
        ];
        for [m, k, n] in sizes {
            let (a, b) = (Draws(1).numbers::<f32>(m * k), Draws(2).numbers::<f32>(k * n));
            let (a, b) = (Sample::contiguous(a, &[m, k]), Sample::contiguous(b, &[k, n]));
            assert_same_bits(|| {
                let mut out = vec![0.5; m * n];
                matmul(a.view(), b.view(), &mut out, Write::Add);
                out
            });
            assert_same_bits(|| {
                let mut out = vec![0.5; m * n];
                matmul_plus_row(a.view(), b.view(), &b.data[..n], &mut out);
                out
            });
        }
        let (a, b) = (Draws(1).numbers::<f32>(500 * 20 * 30), Draws(2).numbers::<f32>(500 * 30 * 10));
        let (a, b) = (Sample::contiguous(a, &[500, 20, 30]), Sample::contiguous(b, &[500, 30, 10]));
        assert_same_bits(|| {
            let mut out = vec![0.0; 500 * 20 * 10];
            matmul(a.view(), b.view(), &mut out, Write::Replace);
            out
        });
    }
}
