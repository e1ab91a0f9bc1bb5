//! A vector for each of many things.

use autograd::{AsIndices, Float, Param, Tape, Tensor, Var};
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
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct Embedding<T: Float = f32> {
    /// The table.
    pub weight: Param<T>,
    /// The row that stands for nothing, such as what fills up short sentences: it gets no gradient.
    pub padding: Option<usize>,
}

impl<T: Float> Embedding<T> {
    /// A table with `count` rows of `width` numbers.
    pub fn new(count: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self { weight: init::normal([count, width], 0.0, 1.0, rng).into(), padding: None }
    }

    /// A table in which the row `padding` stands for nothing: it starts as zeros and stays so.
    pub fn with_padding(count: usize, width: usize, padding: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let mut weight: Tensor<T> = init::normal([count, width], 0.0, 1.0, rng);
        let rows = weight.as_mut_slice().chunks_exact_mut(width.max(1));
        rows.skip(padding).take(1).for_each(|row| row.fill(T::ZERO));
        Self { weight: weight.into(), padding: Some(padding) }
    }

    /// The row of every index. An index that is not below the number of rows is an error.
    #[track_caller]
    pub fn forward<'t>(&self, tape: &'t Tape<T>, indices: impl AsIndices<'t, T>) -> Var<'t, T> {
        let table = tape.param(&self.weight);
        match self.padding {
            Some(padding) => table.embedding_padded(indices, padding),
            None => table.embedding(indices),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn the_padding_row_is_zero_and_stays_so() {
        let embedding = Embedding::<f64>::with_padding(4, 3, 1, &mut StdRng::seed_from_u64(0));
        let plain = Embedding::<f64>::new(4, 3, &mut StdRng::seed_from_u64(0));
        for row in 0..4 {
            let [padded, plain] = [&embedding, &plain].map(|e| e.weight.value().index_axis(0, row).unwrap());
            assert_eq!(padded, if row == 1 { Tensor::zeros([3]) } else { plain });
        }
        let tape = Tape::new();
        let y = embedding.forward(&tape, Tensor::from([[1, 2], [2, 1]]));
        let gradients = (y + 1.0).square().sum().backward().unwrap();
        let gradient = gradients.of(&embedding.weight).unwrap();
        assert!(gradient.index_axis(0, 1).unwrap().iter().all(|g| g == 0.0));
        assert!(gradient.index_axis(0, 2).unwrap().iter().all(|g| g != 0.0));
    }

    #[test]
    fn an_unknown_index_is_an_error() {
        let embedding = Embedding::<f32>::new(3, 2, &mut StdRng::seed_from_u64(0));
        let tape = Tape::new();
        let error = embedding.forward(&tape, Tensor::from([0, 3])).value().unwrap_err().to_string();
        assert!(error.starts_with("embedding: index 3 is out of range"), "{error}");
        assert!(error.contains("layer/embedding.rs"), "{error}");
    }
}
