//! Mini-batches: which rows of a data set come together, in an order drawn from the caller's generator.

use autograd::Tensor;
use rand::Rng;
use rand::seq::SliceRandom;

/// One pass over a data set in batches: an iterator of lists of indices, for
/// [`index_select`](Tensor::index_select).
///
/// ```
/// use autograd::Tensor;
/// use nn::Batches;
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let x = Tensor::from([[0.0, 0.1], [1.0, 1.1], [2.0, 2.1], [3.0, 3.1], [4.0, 4.1]]);
/// let mut rng = StdRng::seed_from_u64(0);
/// let mut seen = 0;
/// for batch in Batches::new(5, 2, &mut rng) {
///     seen += x.index_select(0, &batch)?.shape()[0];
/// }
/// assert_eq!(seen, 5);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Batches {
    order: Tensor<usize>,
    size: usize,
    start: usize,
    is_whole: bool,
}

impl Batches {
    /// All indices below `len` in random order, `size` at a time; the last batch may be smaller. A size of 0 counts as 1.
    pub fn new(len: usize, size: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let mut batches = Self::in_order(len, size);
        batches.order.as_mut_slice().shuffle(rng);
        batches
    }

    /// All indices below `len` in ascending order, `size` at a time: for evaluation.
    pub fn in_order(len: usize, size: usize) -> Self {
        let mut order = Tensor::full([len], 0_usize);
        order.as_mut_slice().iter_mut().enumerate().for_each(|(index, place)| *place = index);
        Self { order, size: size.max(1), start: 0, is_whole: false }
    }

    /// Only batches of full size: leaves out the last one where it is smaller.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { is_whole: true, ..self }
    }
}

impl Iterator for Batches {
    type Item = Tensor<usize>;

    fn next(&mut self) -> Option<Tensor<usize>> {
        let end = self.start.saturating_add(self.size).min(self.order.len());
        if end == self.start || self.is_whole && end - self.start < self.size {
            return None;
        }
        let batch = self.order.slice(0, self.start..end).ok();
        self.start = end;
        batch
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.order.len() - self.start;
        let batches = if self.is_whole { rest / self.size } else { rest.div_ceil(self.size) };
        (batches, Some(batches))
    }
}

impl ExactSizeIterator for Batches {}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn all(batches: Batches) -> Vec<Vec<usize>> {
        let expected = batches.len();
        let all: Vec<_> = batches.map(|batch| batch.to_vec()).collect();
        assert_eq!(all.len(), expected);
        all
    }

    #[test]
    fn every_index_comes_once_in_an_order_of_the_seed() {
        let batches = |seed| all(Batches::new(103, 10, &mut StdRng::seed_from_u64(seed)));
        let mut indices = batches(1).concat();
        assert_ne!(indices, (0..103).collect::<Vec<_>>());
        indices.sort_unstable();
        assert_eq!(indices, (0..103).collect::<Vec<_>>());
        assert_eq!(batches(1), batches(1));
        assert_ne!(batches(1), batches(2));
        assert_eq!(batches(1).iter().map(Vec::len).collect::<Vec<_>>(), [vec![10; 10], vec![3]].concat());
    }

    #[test]
    fn whole_batches_leave_the_rest_out() {
        assert_eq!(all(Batches::in_order(7, 3).whole()), [[0, 1, 2], [3, 4, 5]]);
        assert_eq!(all(Batches::in_order(7, 3)), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        assert_eq!(all(Batches::in_order(2, 3).whole()), Vec::<Vec<usize>>::new());
        assert_eq!(all(Batches::in_order(0, 3)), Vec::<Vec<usize>>::new());
        assert_eq!(all(Batches::in_order(2, 0)), [[0], [1]]);
    }
}
