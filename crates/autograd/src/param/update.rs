//! One step of an update rule: one pass over a parameter, its gradient and the state of the rule.

use crate::error::{Error, Result};
use crate::float::Float;
use crate::kernel::parallel;
use crate::kernel::simd::{self, Kernel};
use crate::param::Param;
use crate::tensor::Tensor;

impl<T: Float> Param<T> {
    /// Moves every element by a rule: `rule(θ, g, state)` gives the element after the step and its new state.
    ///
    /// One pass over the parameter, its gradient and `N` tensors of state, on threads where there is much to do; the
    /// result does not depend on their number. The state is updated in place, the parameter too unless something else,
    /// such as a recording, holds its value.
    ///
    /// # Errors
    /// When the gradient or a tensor of state has another shape than the parameter; nothing is changed then.
    ///
    /// ```
    /// use autograd::{Param, Tensor};
    ///
    /// let mut weight = Param::new(Tensor::from([1.0_f32, 2.0]));
    /// let mut velocity = Tensor::zeros([2]);
    /// let gradient = Tensor::from([10.0, -10.0]);
    /// for _ in 0..2 {
    ///     weight.update_with(&gradient, [&mut velocity], |x, g, [v]| {
    ///         let v = 0.5 * v + g;
    ///         (x - 0.1 * v, [v])
    ///     })?;
    /// }
    /// assert_eq!((velocity.to_vec(), weight.value().to_vec()), (vec![15.0, -15.0], vec![-1.5, 4.5]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn update_with<const N: usize>(
        &mut self,
        gradient: &Tensor<T>,
        state: [&mut Tensor<T>; N],
        rule: impl Fn(T, T, [T; N]) -> (T, [T; N]) + Sync,
    ) -> Result<()> {
        let of_state = state.iter().map(|state| (state.shape(), "a state"));
        for (shape, what) in std::iter::once((gradient.shape(), "the gradient")).chain(of_state) {
            shape.must_be(what, self.shape()).map_err(Error::at("update"))?;
        }
        let gradient = if gradient.as_slice().is_some() { gradient.clone() } else { gradient.contiguous() };
        let gradient = gradient.as_slice().unwrap_or(&[]);
        let state = state.map(|state| state.make_mut());
        if let Some(new) = self.value.unique_mut() {
            Part { old: None, new, gradient, state }.run(&rule);
            return Ok(());
        }
        let old = if self.value.as_slice().is_some() { self.value.clone() } else { self.value.contiguous() };
        self.value = Tensor::build_or_panic(old.shape().clone(), |new| {
            Part { old: old.as_slice(), new, gradient, state }.run(&rule)
        });
        Ok(())
    }
}

/// Elements of one range, of everything that a step touches.
struct Part<'a, T, const N: usize> {
    /// The parameter before the step, where it is not updated in place.
    old: Option<&'a [T]>,
    new: &'a mut [T],
    gradient: &'a [T],
    state: [&'a mut [T]; N],
}

/// Elements that one thread takes at least.
const MIN_ELEMENTS_PER_THREAD: usize = 1 << 14;

impl<T: Float, const N: usize> Part<'_, T, N> {
    fn run(self, rule: &(impl Fn(T, T, [T; N]) -> (T, [T; N]) + Sync)) {
        let work = self.new.len() * (3 + N);
        if parallel::is_worth(work) { self.run_on_threads(rule) } else { simd::dispatch(Step { part: self, rule }) }
    }

    fn run_on_threads(self, rule: &(impl Fn(T, T, [T; N]) -> (T, [T; N]) + Sync)) {
        if self.new.len() <= MIN_ELEMENTS_PER_THREAD {
            return simd::dispatch(Step { part: self, rule });
        }
        let half = self.new.len().div_ceil(MIN_ELEMENTS_PER_THREAD) / 2 * MIN_ELEMENTS_PER_THREAD;
        let (left, right) = self.split_at(half);
        rayon::join(|| left.run_on_threads(rule), || right.run_on_threads(rule));
    }

    fn split_at(self, middle: usize) -> (Self, Self) {
        let (new, new_rest) = self.new.split_at_mut(middle);
        let (gradient, gradient_rest) = self.gradient.split_at(middle);
        let (old, old_rest) = self.old.map(|old| old.split_at(middle)).unzip();
        let mut rests = [const { None }; N];
        let mut rest = rests.iter_mut();
        let state = self.state.map(|state| {
            let (state, after) = state.split_at_mut(middle);
            if let Some(rest) = rest.next() {
                *rest = Some(after);
            }
            state
        });
        let left = Part { old, new, gradient, state };
        let state = rests.map(Option::unwrap_or_default);
        (left, Part { old: old_rest, new: new_rest, gradient: gradient_rest, state })
    }
}

struct Step<'a, 'r, T, R, const N: usize> {
    part: Part<'a, T, N>,
    rule: &'r R,
}

/// Elements per block. A block is computed in local arrays of this constant size: the compiler vectorises the loop only
/// where it sees that no index is out of range and that nothing written is read again, and of so many slices it does not
/// see it. A part's last block computes on zeros in the places that it does not fill.
const BLOCK: usize = 64;

impl<T: Float, R: Fn(T, T, [T; N]) -> (T, [T; N]), const N: usize> Kernel for Step<'_, '_, T, R, N> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let whole = self.part.new.len() / BLOCK * BLOCK;
        for start in (0..whole).step_by(BLOCK) {
            self.block(start, BLOCK);
        }
        if whole < self.part.new.len() {
            self.block(whole, self.part.new.len() - whole);
        }
    }
}

impl<T: Float, R: Fn(T, T, [T; N]) -> (T, [T; N]), const N: usize> Step<'_, '_, T, R, N> {
    /// The `n` elements from `start` on; where `n` is a constant, copies are a few instructions.
    #[inline(always)]
    fn block(&mut self, start: usize, n: usize) {
        let Part { old, new, gradient, state } = &mut self.part;
        let range = start..start + n;
        let (mut x, mut g, mut s) = ([T::ZERO; BLOCK], [T::ZERO; BLOCK], [[T::ZERO; BLOCK]; N]);
        x[..n].copy_from_slice(&old.unwrap_or(new)[range.clone()]);
        g[..n].copy_from_slice(&gradient[range.clone()]);
        s.iter_mut().zip(&*state).for_each(|(s, state)| s[..n].copy_from_slice(&state[range.clone()]));
        for i in 0..BLOCK {
            let (moved, kept) = (self.rule)(x[i], g[i], std::array::from_fn(|k| s[k][i]));
            x[i] = moved;
            (0..N).for_each(|k| s[k][i] = kept[k]);
        }
        new[range.clone()].copy_from_slice(&x[..n]);
        s.iter().zip(state).for_each(|(s, state)| state[range.clone()].copy_from_slice(&s[..n]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::with_threads;

    fn rule(x: f32, g: f32, [s]: [f32; 1]) -> (f32, [f32; 1]) {
        (x - 0.1 * g / (1.0 + s), [0.9 * s + g * g])
    }

    fn after(len: usize, threads: usize, shared: bool) -> [Vec<f32>; 2] {
        with_threads(threads, || {
            let number = |i: usize| (i % 97) as f32 / 13.0 - 3.0;
            let mut param = Param::new((0..len).map(number).collect::<Tensor<f32>>());
            let mut state = (0..len).map(|i| number(i + 5).abs()).collect();
            let gradient = (0..len).map(|i| number(i + 11)).collect();
            let holder = shared.then(|| param.value().clone());
            param.update_with(&gradient, [&mut state], rule).unwrap();
            assert!(holder.is_none_or(|old| old.iter().enumerate().all(|(i, x)| x == number(i))));
            [param.value().to_vec(), state.to_vec()]
        })
    }

    #[test]
    fn every_element_moves_once_whatever_the_length_and_threads() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * MIN_ELEMENTS_PER_THREAD + 7, 200_000] {
            let number = |i: usize| (i % 97) as f32 / 13.0 - 3.0;
            let expected: Vec<_> = (0..len).map(|i| rule(number(i), number(i + 11), [number(i + 5).abs()])).collect();
            for (threads, shared) in [(1, false), (2, false), (3, true)] {
                let [x, s] = after(len, threads, shared);
                assert!(x.iter().zip(&s).zip(&expected).all(|((x, s), (y, [t]))| x == y && s == t), "{len} {threads}");
                assert_eq!(x.len(), len);
            }
        }
    }

    #[test]
    fn views_are_read_in_their_order() {
        let transposed = Tensor::from([[1.0, 2.0], [3.0, 4.0]]).t().unwrap();
        let mut param = Param::new(transposed.clone());
        param.update_with(&transposed, [], |x, g, []| (x + 10.0 * g, [])).unwrap();
        assert_eq!(param.value().to_vec(), [11.0, 33.0, 22.0, 44.0]);
    }

    #[test]
    fn other_shapes_are_an_error_and_change_nothing() {
        let mut param = Param::new(Tensor::from([1.0_f32, 2.0]));
        let error = param.update_with(&Tensor::zeros([2, 1]), [], |x, _, []| (x + 1.0, [])).unwrap_err();
        assert!(error.to_string().starts_with("update: the gradient must have shape [2], found [2, 1]"), "{error}");
        let mut state = Tensor::zeros([3]);
        assert!(param.update_with(&Tensor::zeros([2]), [&mut state], |x, _, s| (x + 1.0, s)).is_err());
        assert_eq!(param.value().to_vec(), [1.0, 2.0]);
    }
}
