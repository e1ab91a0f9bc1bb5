//! Rows that move between planes and their phases. Rows are often shorter than a vector, so they move in blocks of which the
//! last may overlap the one before.

use crate::float::Float;

/// What a block of `N` elements from place `at` on moves.
trait Move {
    fn block<const N: usize>(&mut self, at: usize);
}

/// Moves `len` elements.
#[inline(always)]
fn by_blocks(len: usize, mover: impl Move) {
    match len {
        16.. => each_block::<16>(len, mover),
        8.. => each_block::<8>(len, mover),
        4.. => each_block::<4>(len, mover),
        _ => each_block::<1>(len, mover),
    }
}

#[inline(always)]
fn each_block<const N: usize>(len: usize, mut mover: impl Move) {
    for at in (0..len).step_by(N) {
        mover.block::<N>(at.min(len - N));
    }
}

/// The first of every `S` elements.
struct Take<'a, T, const S: usize> {
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Float, const S: usize> Move for Take<'_, T, S> {
    #[inline(always)]
    fn block<const N: usize>(&mut self, at: usize) {
        let x = &self.x[at * S..][..N * S].as_chunks::<S>().0;
        let block: [T; N] = std::array::from_fn(|k| x[k][0]);
        self.out[at..][..N].copy_from_slice(&block);
    }
}

/// Every `step`th element of `x`.
#[inline(always)]
pub(super) fn take<T: Float>(x: &[T], step: usize, out: &mut [T]) {
    match step {
        1 => by_blocks(out.len(), Take::<T, 1> { x, out }),
        2 if x.len() >= 2 * out.len() => by_blocks(out.len(), Take::<T, 2> { x, out }),
        _ => out.iter_mut().zip(x.iter().step_by(step)).for_each(|(y, &x)| *y = x),
    }
}

/// Puts `x` into every `step`th element of `out`.
#[inline(always)]
pub(super) fn put<T: Float>(x: &[T], step: usize, out: &mut [T]) {
    match step {
        1 => by_blocks(x.len(), Take::<T, 1> { x, out }),
        _ => out.iter_mut().step_by(step).zip(x).for_each(|(y, &x)| *y = x),
    }
}

struct Plus<'a, T> {
    x: &'a [T],
    number: T,
    out: &'a mut [T],
}

impl<T: Float> Move for Plus<'_, T> {
    #[inline(always)]
    fn block<const N: usize>(&mut self, at: usize) {
        let x = &self.x[at..][..N];
        let block: [T; N] = std::array::from_fn(|k| x[k] + self.number);
        self.out[at..][..N].copy_from_slice(&block);
    }
}

/// `out = x + number`
#[inline(always)]
pub(super) fn plus<T: Float>(x: &[T], number: T, out: &mut [T]) {
    by_blocks(out.len(), Plus { x, number, out });
}

struct Interleave<'a, T> {
    even: &'a [T],
    odd: &'a [T],
    out: &'a mut [[T; 2]],
}

impl<T: Float> Move for Interleave<'_, T> {
    #[inline(always)]
    fn block<const N: usize>(&mut self, at: usize) {
        let (even, odd) = (&self.even[at..][..N], &self.odd[at..][..N]);
        let block: [[T; 2]; N] = std::array::from_fn(|k| [even[k], odd[k]]);
        self.out[at..][..N].copy_from_slice(&block);
    }
}

/// Elements of both in turn, from `even` on.
#[inline(always)]
pub(super) fn interleave<T: Float>(even: &[T], odd: &[T], out: &mut [T]) {
    let (pairs, rest) = out.as_chunks_mut::<2>();
    let count = pairs.len();
    by_blocks(count, Interleave { even, odd, out: pairs });
    if let [last] = rest {
        *last = even[count];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_every_length() {
        let x: Vec<f64> = (0..200).map(f64::from).collect();
        for len in [0, 1, 2, 3, 4, 5, 7, 8, 11, 15, 16, 17, 31, 33] {
            for step in [1usize, 2, 3] {
                for end in [200, (step * len).saturating_sub(step - 1)] {
                    let mut out = vec![0.0; len];
                    take(&x[..end], step, &mut out);
                    assert!((0..len).all(|k| out[k] == x[k * step]), "{len} {step}");
                }
                let mut out = vec![-1.0; 200];
                put(&x[..len], step, &mut out);
                assert!((0..200).all(|k| out[k] == if k < len * step && k % step == 0 { x[k / step] } else { -1.0 }));
            }
            let mut out = vec![0.0; len];
            plus(&x, 0.5, &mut out);
            assert!((0..len).all(|k| out[k] == x[k] + 0.5));
            interleave(&x, &x[100..], &mut out);
            assert!((0..len).all(|k| out[k] == x[k / 2 + 100 * (k % 2)]));
        }
    }
}
