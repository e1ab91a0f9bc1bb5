//! Reductions over rows: many columns side by side, each a balanced tree over its rows.

use crate::float::Float;
use crate::kernel::parallel;
use crate::kernel::reduce::{CHUNK, Fold, Plan};
use crate::kernel::runs::{Axis, Odometer, Run};
use crate::kernel::vectorized::vectorized;

/// Columns folded side by side.
const COLUMNS_AT_ONCE: usize = 512;

/// Rows folded one after another before the tree takes over.
const MAX_ROWS_PER_LEAF: usize = 32;

/// Blocks of columns side by side; each is a balanced tree over its rows.
pub(super) fn by_columns<T: Float, F: Fold<T>>(data: &[T], origin: isize, plan: &Plan, out: &mut [T]) {
    let Some((&(columns, step), outer)) = plan.kept.split_last() else { return };
    let rows: usize = plan.reduced.iter().map(|&(size, _)| size).product();
    let table = Table { data, nest: &plan.reduced, step };
    let row_work = columns.saturating_mul(rows);
    let rows_per_piece = (4 * CHUNK / row_work).max(1);
    let work = out.len().saturating_mul(rows);
    parallel::pieces(out, columns * rows_per_piece, work, &|start, part| {
        let mut odometer = Odometer::new(outer, start / columns);
        for row in part.chunks_mut(columns) {
            let position = origin + odometer.shift;
            parallel::pieces(row, COLUMNS_AT_ONCE, row_work, &|column, block| {
                table.fold_rows::<F>(position + column as isize * step, 0, rows, block);
            });
            odometer.advance();
        }
    });
}

/// Rows to be folded into one: where they start is told by `nest`, neighbours in a row are `step` apart.
struct Table<'a, T> {
    data: &'a [T],
    nest: &'a [Axis],
    step: isize,
}

impl<T: Float> Table<'_, T> {
    /// Folds `rows` rows from `first` on into `block`.
    fn fold_rows<F: Fold<T>>(&self, position: isize, first: usize, rows: usize, block: &mut [T]) {
        if rows <= MAX_ROWS_PER_LEAF {
            return vectorized!(self.fold_few_rows::<F>(position, first, rows, block));
        }
        let half = rows / 2;
        let mut right = [T::ZERO; COLUMNS_AT_ONCE];
        let right = &mut right[..block.len()];
        parallel::join(
            rows * block.len(),
            || self.fold_rows::<F>(position, first, half, block),
            || self.fold_rows::<F>(position, first + half, rows - half, right),
        );
        vectorized!(block.iter_mut().zip(right).for_each(|(a, b)| *a = F::join(*a, *b)));
    }

    #[inline(always)]
    fn fold_few_rows<F: Fold<T>>(&self, position: isize, first: usize, rows: usize, block: &mut [T]) {
        let mut odometer = Odometer::new(self.nest, first);
        block.fill(F::START);
        let mut next = || {
            let start = (position + odometer.shift) as usize;
            odometer.advance();
            start
        };
        if self.step != 1 {
            for _ in 0..rows {
                let run = Run { position: next(), len: block.len(), stride: self.step };
                run.each(self.data, block, |a, x| *a = F::join(*a, F::lift(x)));
            }
            return;
        }
        for _ in 0..rows / 4 {
            let [p, q, r, s] = [next(), next(), next(), next()].map(|start| &self.data[start..][..block.len()]);
            for ((((a, &p), &q), &r), &s) in block.iter_mut().zip(p).zip(q).zip(r).zip(s) {
                let four = F::join(F::join(F::lift(p), F::lift(q)), F::join(F::lift(r), F::lift(s)));
                *a = F::join(*a, four);
            }
        }
        for _ in 0..rows % 4 {
            let row = &self.data[next()..][..block.len()];
            block.iter_mut().zip(row).for_each(|(a, &x)| *a = F::join(*a, F::lift(x)));
        }
    }
}
