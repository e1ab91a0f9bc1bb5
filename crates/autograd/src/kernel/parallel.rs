//! Threads: a slice or a range of leaves cut into pieces, and the decision when threads pay.
//!
//! Pieces and trees depend on the problem alone, never on the number of threads, so neither do the bits of a result.

/// Work, in elements of a cheap loop (roughly a tenth of a nanosecond to a nanosecond each), below which waking a
/// second thread costs more than it saves.
pub(crate) const MIN_WORK_FOR_THREADS: usize = 1 << 17;

/// Whether `work` is large enough for threads and there is more than one.
#[inline]
pub(crate) fn is_worth(work: usize) -> bool {
    work >= MIN_WORK_FOR_THREADS && rayon::current_num_threads() > 1
}

/// Calls `f(start, piece)` for consecutive pieces of `out`, each `piece` long but the last. `work` is the whole work.
pub(crate) fn pieces<T: Send>(out: &mut [T], piece: usize, work: usize, f: &(impl Fn(usize, &mut [T]) + Sync)) {
    debug_assert!(piece > 0);
    if out.len() > piece && is_worth(work) {
        return split(out, piece, 0, f);
    }
    for (k, part) in out.chunks_mut(piece).enumerate() {
        f(k * piece, part);
    }
}

fn split<T: Send>(out: &mut [T], piece: usize, start: usize, f: &(impl Fn(usize, &mut [T]) + Sync)) {
    if out.len() <= piece {
        return f(start, out);
    }
    let middle = out.len().div_ceil(piece) / 2 * piece;
    let (left, right) = out.split_at_mut(middle);
    rayon::join(|| split(left, piece, start, f), || split(right, piece, start + middle, f));
}

/// Like [`pieces`], with a second slice cut in step: `f(k, …)` gets the `k`th piece of both.
pub(crate) fn paired_pieces<T: Send, U: Send>(
    (left, left_piece): (&mut [T], usize),
    (right, right_piece): (&mut [U], usize),
    work: usize,
    f: &(impl Fn(usize, &mut [T], &mut [U]) + Sync),
) {
    debug_assert!(left_piece > 0 && right_piece > 0);
    debug_assert_eq!(left.len().div_ceil(left_piece), right.len().div_ceil(right_piece));
    let on_threads = left.len() > left_piece && is_worth(work);
    split_pair((left, left_piece), (right, right_piece), 0, on_threads, f);
}

fn split_pair<T: Send, U: Send>(
    (left, left_piece): (&mut [T], usize),
    (right, right_piece): (&mut [U], usize),
    first: usize,
    on_threads: bool,
    f: &(impl Fn(usize, &mut [T], &mut [U]) + Sync),
) {
    if !on_threads || left.len() <= left_piece {
        let pairs = left.chunks_mut(left_piece).zip(right.chunks_mut(right_piece));
        return pairs.enumerate().for_each(|(k, (left, right))| f(first + k, left, right));
    }
    let half = left.len().div_ceil(left_piece) / 2;
    let (left, left_rest) = left.split_at_mut(half * left_piece);
    let (right, right_rest) = right.split_at_mut(half * right_piece);
    rayon::join(
        || split_pair((left, left_piece), (right, right_piece), first, true, f),
        || split_pair((left_rest, left_piece), (right_rest, right_piece), first + half, true, f),
    );
}

/// Both results, on two threads when `work` is worth it.
pub(crate) fn join<A: Send, B: Send>(
    work: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if is_worth(work) { rayon::join(a, b) } else { (a(), b()) }
}

/// Joins the results of `leaf(0) … leaf(leaves − 1)` in a balanced binary tree whose form depends on `leaves` alone.
/// `work` is the whole work; `leaves` must not be zero.
pub(crate) fn tree<R: Send>(
    leaves: usize,
    work: usize,
    leaf: &(impl Fn(usize) -> R + Sync),
    combine: &(impl Fn(R, R) -> R + Sync),
) -> R {
    debug_assert!(leaves > 0);
    subtree(0, leaves, is_worth(work), leaf, combine)
}

fn subtree<R: Send>(
    start: usize,
    leaves: usize,
    on_threads: bool,
    leaf: &(impl Fn(usize) -> R + Sync),
    combine: &(impl Fn(R, R) -> R + Sync),
) -> R {
    if leaves == 1 {
        return leaf(start);
    }
    let half = leaves / 2;
    let left = || subtree(start, half, on_threads, leaf, combine);
    let right = || subtree(start + half, leaves - half, on_threads, leaf, combine);
    let (a, b) = if on_threads { rayon::join(left, right) } else { (left(), right()) };
    combine(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::with_threads;

    #[test]
    fn pieces_cover_the_slice_once() {
        for (len, piece, threads) in [(0, 3, 1), (1, 3, 2), (10, 3, 2), (12, 3, 1), (1000, 7, 3)] {
            let mut out = vec![0; len];
            let mark = |start: usize, piece: &mut [usize]| {
                piece.iter_mut().enumerate().for_each(|(k, x)| *x += start + k + 1);
            };
            with_threads(threads, || pieces(&mut out, piece, MIN_WORK_FOR_THREADS, &mark));
            assert!(out.iter().enumerate().all(|(k, &x)| x == k + 1));
        }
    }

    #[test]
    fn paired_pieces_stay_in_step() {
        for (count, work) in [(1, MIN_WORK_FOR_THREADS), (5, 0), (5, MIN_WORK_FOR_THREADS), (64, MIN_WORK_FOR_THREADS)]
        {
            let (mut left, mut right) = (vec![0; 3 * count - 1], vec![0; count]);
            let mark = |k: usize, left: &mut [usize], right: &mut [usize]| {
                left.fill(k + 1);
                right.fill(k + 1);
            };
            with_threads(2, || paired_pieces((&mut left, 3), (&mut right, 1), work, &mark));
            assert!(left.iter().enumerate().all(|(k, &x)| x == k / 3 + 1));
            assert!(right.iter().enumerate().all(|(k, &x)| x == k + 1));
        }
    }

    #[test]
    fn trees_have_one_form() {
        let text =
            |threads, work| with_threads(threads, || tree(7, work, &|k| k.to_string(), &|a, b| format!("({a}{b})")));
        assert_eq!(text(1, MIN_WORK_FOR_THREADS), "((0(12))((34)(56)))");
        assert_eq!(text(3, MIN_WORK_FOR_THREADS), text(1, 0));
    }
}
