//! The order of several products that takes the least work.

use crate::float::Float;
use crate::var::Var;

/// The product of the operands `first..=last` in the order of `splits`.
#[track_caller]
pub(super) fn chain<'t, T: Float>(
    operands: &[Var<'t, T>],
    splits: &[Vec<usize>],
    first: usize,
    last: usize,
) -> Var<'t, T> {
    if first == last {
        return operands[first];
    }
    let split = splits[first][last];
    chain(operands, splits, first, split).matmul(chain(operands, splits, split + 1, last))
}

/// Where the product of the operands `i..=j` is best split, for operands of `sizes[i]` rows and `sizes[i + 1]` columns.
pub(super) fn cheapest_splits(sizes: &[usize]) -> Vec<Vec<usize>> {
    let n = sizes.len() - 1;
    let (mut cost, mut splits) = (vec![vec![0.0; n]; n], vec![vec![0; n]; n]);
    for (width, first) in (1..n).flat_map(|width| (0..n - width).map(move |first| (width, first))) {
        let last = first + width;
        let at = |split: usize| {
            let product = [sizes[first], sizes[split + 1], sizes[last + 1]].iter().map(|&n| n as f64).product::<f64>();
            cost[first][split] + cost[split + 1][last] + product
        };
        let best = (first..last).map(|split| (at(split), split)).min_by(|a, b| a.0.total_cmp(&b.0));
        (cost[first][last], splits[first][last]) = best.unwrap_or((0.0, first));
    }
    splits
}
