//! Products that GEMM is not made for: of a matrix and one vector or a few, and of two vectors.

use std::mem::MaybeUninit;

use crate::float::Float;
use crate::kernel::matmul::Matrix;
use crate::kernel::reduce::fold_halves;
use crate::kernel::runs::{Axis, Run};
use crate::kernel::vectorized::vectorized;
use crate::kernel::{Write, parallel};
use crate::tensor::buffer::Buffer;

/// Elements of a vector, or of a result, held on the stack at once.
const BLOCK: usize = 1024;

/// Elements that start on a cache line when the first one does.
const CACHE_LINE_LEN: usize = 16;

/// Terms that a product of few has at most.
pub(crate) const MAX_TERMS: usize = 4;

/// Multiply-adds that a thread takes at once.
const WORK_PER_TASK: usize = 1 << 15;

/// `out = a·v`, where columns of `a` are runs of neighbours and `v` is a matrix of one row.
pub(crate) fn multiply_vector<T: Float>(a: Matrix<'_, T>, v: Matrix<'_, T>, out: &mut [T], write: Write) {
    debug_assert_eq!((v.rows.0, v.columns.0, a.rows), (1, a.columns.0, (out.len(), 1)));
    by_blocks((v.data, v.position), v.columns, out, write, &|start, first, v, piece, write| {
        let part = Matrix { position: a.position + start as isize + first as isize * a.columns.1, ..a };
        vectorized!(add_columns(part, v, piece, write));
    });
}

/// `out = a·v`, where rows of `a` are runs of neighbours and `v` is a matrix of one column.
pub(crate) fn multiply_by_rows<T: Float>(a: Matrix<'_, T>, v: Matrix<'_, T>, out: &mut [T], write: Write) {
    debug_assert_eq!((v.rows.0, v.columns.0, a.rows.0, a.columns.1), (a.columns.0, 1, out.len(), 1));
    by_blocks((v.data, v.position), v.rows, out, write, &|start, first, v, piece, write| {
        vectorized!({
            for (k, out) in piece.iter_mut().enumerate() {
                let row = (a.position + (start + k) as isize * a.rows.1) as usize + first;
                write.put(out, dot(&a.data[row..row + v.len()], v));
            }
        });
    });
}

/// Calls `multiply(start, first, block, piece, write)` for pieces of `out` and blocks of the vector, which begins at a position.
fn by_blocks<T: Float>(
    v: (&[T], isize),
    (len, stride): Axis,
    out: &mut [T],
    write: Write,
    multiply: &(impl Fn(usize, usize, &[T], &mut [T], Write) + Sync),
) {
    let rows_per_piece = WORK_PER_TASK.div_ceil(len).next_multiple_of(CACHE_LINE_LEN);
    let work = out.len().saturating_mul(len);
    parallel::pieces(out, rows_per_piece, work, &|start, piece| {
        let mut space = [const { MaybeUninit::uninit() }; BLOCK];
        for first in (0..len).step_by(BLOCK) {
            let block = BLOCK.min(len - first);
            let v = read(v, (block, stride), first, &mut space[..block]);
            multiply(start, first, v, piece, if first == 0 { write } else { Write::Add });
        }
    });
}

/// `out = a·b` for a `b` of few columns, where columns of `a` are runs of neighbours.
pub(crate) fn multiply_few_columns<T: Float>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], write: Write) {
    let columns = b.columns.0;
    let mut column = Buffer::scratch(a.rows.0);
    let Some(column) = column.get_mut() else { return };
    for k in 0..columns {
        multiply_vector(a, b.transpose().some_rows(k..k + 1), column, Write::Replace);
        out.iter_mut().skip(k).step_by(columns).zip(&*column).for_each(|(out, &x)| write.put(out, x));
    }
}

/// `out += a·b` for an `a` of at most [`MAX_TERMS`] columns, where rows of `b` are runs of neighbours. `prepare` is called for each
/// row of `out` before.
pub(crate) fn add_few_terms<T: Float>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    prepare: &(impl Fn(&mut [T]) + Sync),
) {
    let (terms, n) = (a.columns.0, b.columns.0);
    debug_assert!(terms <= MAX_TERMS && b.columns.1 == 1 && out.len() == a.rows.0 * n);
    let rows: [_; MAX_TERMS] = std::array::from_fn(|k| {
        let start = (b.position + k.min(terms - 1) as isize * b.rows.1) as usize;
        &b.data[start..start + n]
    });
    parallel::pieces(out, WORK_PER_TASK.div_ceil(n) * n, out.len().saturating_mul(terms + 1), &|start, piece| {
        for (k, out) in piece.chunks_exact_mut(n).enumerate() {
            prepare(out);
            let position = a.position + (start / n + k) as isize * a.rows.1;
            let factors: [_; MAX_TERMS] = std::array::from_fn(|k| match k < terms {
                true => a.data[(position + k as isize * a.columns.1) as usize],
                false => T::ZERO,
            });
            vectorized!(add_terms(&factors, &rows, terms, out));
        }
    });
}

#[inline(always)]
fn add_terms<T: Float>(
    &[p, q, r, s]: &[T; MAX_TERMS],
    &[x0, x1, x2, x3]: &[&[T]; MAX_TERMS],
    terms: usize,
    out: &mut [T],
) {
    match terms {
        1 => out.iter_mut().zip(x0).for_each(|(y, &x0)| *y += x0 * p),
        2 => out.iter_mut().zip(x0).zip(x1).for_each(|((y, &x0), &x1)| *y += x0 * p + x1 * q),
        3 => {
            let elements = out.iter_mut().zip(x0).zip(x1).zip(x2);
            elements.for_each(|(((y, &x0), &x1), &x2)| *y += x0 * p + x1 * q + x2 * r);
        }
        _ => {
            for ((((y, &x0), &x1), &x2), &x3) in out.iter_mut().zip(x0).zip(x1).zip(x2).zip(x3) {
                *y += (x0 * p + x1 * q) + (x2 * r + x3 * s);
            }
        }
    }
}

/// `Σ xᵢyᵢ` of a row and a column.
pub(crate) fn inner_product<T: Float>(row: Matrix<'_, T>, column: Matrix<'_, T>) -> T {
    let (len, mut sum) = (row.columns.0, T::ZERO);
    let (mut x_space, mut y_space) =
        ([const { MaybeUninit::uninit() }; BLOCK], [const { MaybeUninit::uninit() }; BLOCK]);
    for first in (0..len).step_by(BLOCK) {
        let len = BLOCK.min(len - first);
        let x = read((row.data, row.position), (len, row.columns.1), first, &mut x_space[..len]);
        let y = read((column.data, column.position), (len, column.rows.1), first, &mut y_space[..len]);
        sum += vectorized!(dot(x, y));
    }
    sum
}

/// Elements `first .. first + size` along an axis, as a slice: in place where they are neighbours.
fn read<'a, T: Copy>(
    (data, position): (&'a [T], isize),
    (size, stride): Axis,
    first: usize,
    space: &'a mut [MaybeUninit<T>],
) -> &'a [T] {
    let start = (position + first as isize * stride) as usize;
    if stride == 1 {
        return &data[start..start + size];
    }
    Run { position: start, len: size, stride }.each(data, space, |y, x| *y = MaybeUninit::new(x));
    // SAFETY: `each` visited every element of `space`.
    unsafe { &*(space as *const [MaybeUninit<T>] as *const [T]) }
}

/// `Σ xᵢyᵢ` of two slices of equal length, in lanes.
#[inline(always)]
pub(crate) fn dot<T: Float>(x: &[T], y: &[T]) -> T {
    if x.len() < 8 {
        return x.iter().zip(y).fold(T::ZERO, |sum, (&x, &y)| sum + x * y);
    }
    if x.len() < 128 { dot_in_lanes::<T, 8>(x, y) } else { dot_in_lanes::<T, 64>(x, y) }
}

#[inline(always)]
fn dot_in_lanes<T: Float, const N: usize>(x: &[T], y: &[T]) -> T {
    let mut lanes = [T::ZERO; N];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<N>(), y.as_chunks::<N>());
    for (x, y) in xs.iter().zip(ys) {
        for k in 0..N {
            lanes[k] += x[k] * y[k];
        }
    }
    for ((lane, &x), &y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
        *lane += x * y;
    }
    fold_halves(&mut lanes, |a, b| a + b)
}

/// Four columns at a time, in blocks of the result that stay in cache.
#[inline(always)]
fn add_columns<T: Float>(a: Matrix<'_, T>, v: &[T], out: &mut [T], write: Write) {
    for (k, block) in out.chunks_mut(BLOCK).enumerate() {
        if write == Write::Replace {
            block.fill(T::ZERO);
        }
        let first = a.position + (k * BLOCK) as isize;
        let len = block.len();
        let column = |j: usize| {
            let start = (first + j as isize * a.columns.1) as usize;
            &a.data[start..start + len]
        };
        let (fours, rest) = v.as_chunks::<4>();
        for (j, &[p, q, r, s]) in fours.iter().enumerate() {
            let (x0, x1, x2, x3) = (column(4 * j), column(4 * j + 1), column(4 * j + 2), column(4 * j + 3));
            for ((((y, &x0), &x1), &x2), &x3) in block.iter_mut().zip(x0).zip(x1).zip(x2).zip(x3) {
                *y += (x0 * p + x1 * q) + (x2 * r + x3 * s);
            }
        }
        for (j, &p) in rest.iter().enumerate() {
            let x = column(4 * fours.len() + j);
            block.iter_mut().zip(x).for_each(|(y, &x)| *y += x * p);
        }
    }
}
