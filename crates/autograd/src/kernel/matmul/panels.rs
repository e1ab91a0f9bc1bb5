//! GEMM on panels of a product, each on one thread.

use std::any::TypeId;
use std::ops::Range;

use faer::linalg::matmul::matmul as gemm_of_faer;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par, RowMut};

use crate::float::Float;
use crate::kernel::matmul::{MIN_WORK_PER_PANEL, Matrix, cost};
use crate::kernel::{Write, parallel};
use crate::tensor::buffer::Buffer;

/// Panels that a large product is cut into at most: each packs its factors again.
const MAX_PANELS: usize = 4;

/// Rows or columns of a panel at least.
const MIN_PANEL_SIDE: usize = 64;

/// Terms of a panel's sums at least, where few rows and columns leave nothing else to cut.
const MIN_TERMS_PER_PANEL: usize = 1 << 10;

/// Numbers of single precision in six of the longest registers: the columns of GEMM's largest tile.
const TILE_COLUMNS: usize = 96;

/// What a product is added to.
pub(crate) enum Start<'a, T> {
    Nothing,
    /// What is there.
    Old,
    /// The same row everywhere.
    Row(&'a [T]),
}

impl<T> From<Write> for Start<'_, T> {
    fn from(write: Write) -> Self {
        match write {
            Write::Replace => Start::Nothing,
            Write::Add => Start::Old,
        }
    }
}

impl<T> Start<'_, T> {
    /// The start of some columns.
    fn columns(&self, range: Range<usize>) -> Start<'_, T> {
        match self {
            Start::Nothing => Start::Nothing,
            Start::Old => Start::Old,
            Start::Row(row) => Start::Row(&row[range]),
        }
    }
}

/// `out = start + a·b`, in rows that start `stride` elements apart. `T` is `E` under its own name, which generic code cannot know.
pub(super) fn gemm<T: Float, E: ComplexField + Float>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    (out, stride): (&mut [T], usize),
    start: Start<'_, T>,
) {
    assert!(TypeId::of::<T>() == TypeId::of::<E>());
    let (m, n) = (a.rows.0, b.columns.0);
    assert!(a.is_inside() && b.is_inside() && stride >= n && out.len() >= (m - 1) * stride + n);
    let matrix = |x: Matrix<'_, T>| {
        let start = x.data.as_ptr().wrapping_offset(x.position).cast::<E>();
        // SAFETY: `T` is `E`, and all elements lie in the slice that `x` borrows, which outlives the call below.
        unsafe { MatRef::from_raw_parts(start, x.rows.0, x.columns.0, x.rows.1, x.columns.1) }
    };
    // SAFETY: `T` is `E`, and `out`, borrowed for writing, holds m rows of n elements, `stride` apart.
    let product = unsafe { MatMut::from_raw_parts_mut(out.as_mut_ptr().cast::<E>(), m, n, stride as isize, 1) };
    let start = match start {
        Start::Nothing => Start::Nothing,
        Start::Old => Start::Old,
        // SAFETY: `T` is `E`.
        Start::Row(row) => Start::Row(unsafe { std::slice::from_raw_parts(row.as_ptr().cast::<E>(), row.len()) }),
    };
    let least = (m * n * a.columns.0 / MAX_PANELS).max(MIN_WORK_PER_PANEL);
    multiply_panels(product, &start, matrix(a), matrix(b), least);
}

/// Panels are halves of halves, so they depend on the sizes alone.
fn multiply_panels<E: ComplexField + Float>(
    product: MatMut<'_, E>,
    start: &Start<'_, E>,
    a: MatRef<'_, E>,
    b: MatRef<'_, E>,
    least: usize,
) {
    let (m, n, k) = (product.nrows(), product.ncols(), a.ncols());
    let work = cost(m * n * k);
    if m * n * k < 2 * least {
        return multiply_panel(product, start, a, b);
    }
    if m.max(n) < 4 * MIN_PANEL_SIDE && k >= 2 * MIN_TERMS_PER_PANEL {
        let half = (k / 2).next_multiple_of(16);
        let ((a, a_rest), (b, b_rest)) = (a.split_at_col(half), b.split_at_row(half));
        return multiply_and_add(
            product,
            work,
            |product| multiply_panels(product, start, a, b, least),
            |rest| multiply_panels(rest, &Start::Nothing, a_rest, b_rest, least),
        );
    }
    if m.max(n) < 2 * MIN_PANEL_SIDE {
        return multiply_panel(product, start, a, b);
    }
    if m >= n {
        let half = (m / 2).next_multiple_of(16);
        let ((top, bottom), (a_top, a_bottom)) = (product.split_at_row_mut(half), a.split_at_row(half));
        parallel::join(
            work,
            || multiply_panels(top, start, a_top, b, least),
            || multiply_panels(bottom, start, a_bottom, b, least),
        );
        return;
    }
    let half = (n / 2).next_multiple_of(16);
    let ((left, right), (b_left, b_right)) = (product.split_at_col_mut(half), b.split_at_col(half));
    parallel::join(
        work,
        || multiply_panels(left, &start.columns(0..half), a, b_left, least),
        || multiply_panels(right, &start.columns(half..n), a, b_right, least),
    );
}

/// The sum of two products: that of the first terms, in its place, and that of the rest.
fn multiply_and_add<E: Float>(
    mut product: MatMut<'_, E>,
    work: usize,
    first: impl FnOnce(MatMut<'_, E>) + Send,
    rest: impl FnOnce(MatMut<'_, E>) + Send,
) {
    let (m, n) = product.shape();
    let mut sums = Buffer::scratch(m * n);
    let into = MatMut::from_row_major_slice_mut(sums.get_mut().unwrap_or_default(), m, n);
    parallel::join(work, || first(product.as_mut()), || rest(into));
    let rows = product.row_iter_mut().filter_map(RowMut::try_as_row_major_mut);
    for (out, sums) in rows.zip(sums.as_slice().chunks_exact(n)) {
        out.as_slice_mut().iter_mut().zip(sums).for_each(|(out, &sum)| *out += sum);
    }
}

fn multiply_panel<E: ComplexField>(
    mut product: MatMut<'_, E>,
    start: &Start<'_, E>,
    a: MatRef<'_, E>,
    b: MatRef<'_, E>,
) {
    if let Start::Row(row) = start {
        // Here and not for the whole product: what was just written is in the cache when the product is added. Neighbours
        // in a row of the product are neighbours in memory.
        for out in product.as_mut().row_iter_mut().filter_map(RowMut::try_as_row_major_mut) {
            out.as_slice_mut().clone_from_slice(row);
        }
    }
    let accumulate = if let Start::Nothing = start { Accum::Replace } else { Accum::Add };
    let n = product.ncols();
    for columns in strips(n).into_iter().filter(|columns| !columns.is_empty()) {
        let product = product.as_mut().subcols_mut(columns.start, columns.len());
        gemm_of_faer(product, accumulate, a, b.subcols(columns.start, columns.len()), E::one_impl(), Par::Seq);
    }
}

/// Columns that GEMM gets at once. It works on tiles of six registers and then on what is left; where that is one register or
/// two, which cannot hide how long a multiply-add takes, two tiles of four registers or fewer are faster.
fn strips(n: usize) -> [Range<usize>; 3] {
    let rest = n % TILE_COLUMNS;
    if n < TILE_COLUMNS || rest == 0 || rest > TILE_COLUMNS / 3 {
        return [0..n, n..n, n..n];
    }
    let first = n - rest - TILE_COLUMNS;
    let second = first + 2 * TILE_COLUMNS / 3;
    [0..first, first..second, second..n]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_cover_all_columns_and_leave_no_narrow_rest() {
        for n in 1..1000 {
            let [a, b, c] = strips(n);
            assert_eq!((a.start, a.end, b.end, c.end), (0, b.start, c.start, n));
            assert!(
                n < TILE_COLUMNS
                    || [a, b, c].iter().all(|strip| !(1..=TILE_COLUMNS / 3).contains(&(strip.len() % TILE_COLUMNS))),
                "{n}"
            );
        }
    }
}
