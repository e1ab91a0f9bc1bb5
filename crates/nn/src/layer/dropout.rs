//! Dropout.

use std::sync::atomic::{AtomicU64, Ordering};

use autograd::{Float, Mode, Tensor, Var};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::layer;

/// In training, sets each element to 0 with probability p and divides the others by 1 − p, so that the mean stays; in use,
/// y = x.
///
/// A layer draws its seed from the caller's generator when it is made, and every call in training takes the next mask: a
/// seed gives the same training again. Seed and position are not part of a saved model, as in PyTorch. A clone goes on
/// with the same masks.
///
/// # Shapes
/// Any, unchanged.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::{Dropout, ModuleExt};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let mut dropout: Dropout = Dropout::new(0.5, &mut StdRng::seed_from_u64(0));
/// let tape = Tape::new();
/// let x = tape.constant(Tensor::<f32>::ones([1000]));
/// let y = dropout.forward(x).value()?;
/// assert!(y.iter().all(|y| y == 0.0 || y == 2.0));
/// ModuleExt::<f32>::eval(&mut dropout);
/// assert_eq!(dropout.forward(x).value()?, x.value()?);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, JMLR 2014.
#[derive(Debug, nn_derive::Module)]
pub struct Dropout {
    /// p, the probability that an element is dropped. Outside [0, 1] it counts as the nearer bound.
    pub probability: f64,
    mode: Mode,
    seed: u64,
    /// Masks drawn so far.
    #[module(skip)]
    masks: AtomicU64,
}

impl Dropout {
    /// A layer that drops with this probability.
    pub fn new(probability: f64, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self { probability, mode: Mode::Train, seed: rng.random(), masks: AtomicU64::new(0) }
    }

    /// x with some elements dropped.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        if self.mode == Mode::Eval || self.probability <= 0.0 {
            return x;
        }
        let keep = 1.0 - self.probability.min(1.0);
        let scale = if keep > 0.0 { T::from_f64(1.0 / keep) } else { T::ZERO };
        let mut rng = self.next_generator();
        let mask = Tensor::full(x.shape(), T::ZERO).map(|zero| if rng.random::<f64>() < keep { scale } else { zero });
        x * x.tape().constant(mask)
    }

    fn next_generator(&self) -> StdRng {
        let mask = self.masks.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&mask.to_le_bytes());
        StdRng::from_seed(seed)
    }
}

impl Clone for Dropout {
    fn clone(&self) -> Self {
        Self { masks: AtomicU64::new(self.masks.load(Ordering::Relaxed)), ..*self }
    }
}

layer!(Dropout);

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::Tape;

    fn forward(dropout: &Dropout) -> Vec<f64> {
        let tape = Tape::new();
        dropout.forward(tape.constant(Tensor::ones([10_000]))).value().unwrap().to_vec()
    }

    #[test]
    fn the_mean_stays_and_every_mask_is_another() {
        let dropout = Dropout::new(0.3, &mut StdRng::seed_from_u64(1));
        let copy = dropout.clone();
        let (first, second) = (forward(&dropout), forward(&dropout));
        let dropped = first.iter().filter(|&&x| x == 0.0).count() as f64 / 1e4;
        let mean = first.iter().sum::<f64>() / 1e4;
        assert!((dropped - 0.3).abs() < 0.02 && (mean - 1.0).abs() < 0.03, "{dropped} {mean}");
        assert_ne!(first, second);
        assert_eq!((forward(&copy), forward(&copy)), (first, second));
        assert_ne!(forward(&Dropout::new(0.3, &mut StdRng::seed_from_u64(2))), forward(&copy));
    }

    #[test]
    fn the_gradient_goes_where_the_value_went() {
        let dropout = Dropout::new(0.5, &mut StdRng::seed_from_u64(1));
        let tape = Tape::<f64>::new();
        let x = tape.var(Tensor::ones([100]));
        let y = dropout.forward(x);
        assert_eq!(y.sum().backward().unwrap().of(x).unwrap(), &y.value().unwrap());
    }

    #[test]
    fn extreme_probabilities_are_no_error() {
        let all = |p| forward(&Dropout::new(p, &mut StdRng::seed_from_u64(1)));
        assert!(all(0.0).iter().chain(&all(-1.0)).all(|&x| x == 1.0));
        assert!(all(1.0).iter().chain(&all(7.0)).all(|&x| x == 0.0));
    }
}
