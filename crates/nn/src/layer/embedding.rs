//! A vector for each of many things.

use autograd::{Float, Param, Tape, Tensor, Var};
use rand::Rng;

use crate::init;

/// A table with one row for each of many things, such as words; starts, as in PyTorch, with the standard normal distribution.
///
/// # Shapes
/// Indices of any shape → `[.., width]`; `weight` is `[count, width]`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::Embedding;
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let embedding: Embedding = Embedding::new(1000, 16, &mut StdRng::seed_from_u64(0));
/// let tape = Tape::new();
/// let words = Tensor::from([[3, 14, 15], [9, 2, 6]]);
/// assert_eq!(embedding.forward(&tape, &words).shape(), [2, 3, 16].into());
/// ```
#[derive(Debug, Clone, nn_derive::Module)]
pub struct Embedding<T: Float = f32> {
    /// The table.
    pub weight: Param<T>,
}

impl<T: Float> Embedding<T> {
    /// A table with `count` rows of `width` numbers.
    pub fn new(count: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self { weight: init::normal([count, width], 0.0, 1.0, rng).into() }
    }

    /// The row of every index. An index that is not below the number of rows is an error.
    #[track_caller]
    pub fn forward<'t>(&self, tape: &'t Tape<T>, indices: &Tensor<usize>) -> Var<'t, T> {
        tape.param(&self.weight).embedding(indices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn an_unknown_index_is_an_error() {
        let embedding = Embedding::<f32>::new(3, 2, &mut StdRng::seed_from_u64(0));
        let tape = Tape::new();
        let error = embedding.forward(&tape, &Tensor::from([0, 3])).value().unwrap_err().to_string();
        assert!(error.starts_with("embedding: index 3 is out of range"), "{error}");
        assert!(error.contains("layer/embedding.rs"), "{error}");
    }
}
