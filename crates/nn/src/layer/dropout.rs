//! Dropout.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use autograd::{Float, Leaf, Mode, Module, Path, Var, Visitor, VisitorMut};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::layer;

macro_rules! dropout {
    ($(#[$doc:meta])* $layer:ident: $method:ident) => {
        $(#[$doc])*
        ///
        /// A layer draws its seed from the caller's generator when it is made, and every call in training takes the next
        /// mask: a seed gives the same training again. Seed and position are not part of a saved model, as in PyTorch. A
        /// clone goes on with the same masks. In use, y = x.
        ///
        /// # Errors
        /// A probability outside [0, 1].
        #[derive(Debug, nn_derive::Module)]
        pub struct $layer {
            /// The probability of being dropped.
            pub probability: f64,
            mode: Mode,
            masks: Masks,
        }

        impl $layer {
            /// A layer that drops with this probability.
            pub fn new(probability: f64, rng: &mut (impl Rng + ?Sized)) -> Self {
                Self { probability, mode: Mode::Train, masks: Masks::new(rng) }
            }

            /// x with some of it dropped.
            #[track_caller]
            pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
                match self.mode {
                    Mode::Train => x.$method(self.probability, self.masks.generators()),
                    Mode::Eval => x,
                }
            }
        }

        impl Clone for $layer {
            fn clone(&self) -> Self {
                Self { masks: self.masks.copy(), ..*self }
            }
        }

        layer!($layer);
    };
}

dropout! {
    /// In training, sets each element to 0 with probability p and divides the others by 1 − p, so that the mean stays.
    ///
    /// # Shapes
    /// Any, unchanged.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::{Dropout, ModuleExt};
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let mut dropout = Dropout::new(0.5, &mut StdRng::seed_from_u64(0));
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
    Dropout: dropout_anew
}

dropout! {
    /// In training, sets whole channels to 0: neighbouring pixels say the same, so dropping one alone hides nothing.
    ///
    /// # Shapes
    /// `[n, channels, ..]`, unchanged.
    ///
    /// Tompson et al., *Efficient object localization using convolutional networks*, CVPR 2015.
    Dropout2d: feature_dropout_anew
}

dropout! {
    /// In training, sets elements to the value that selu saturates at, and scales so that mean and variance stay.
    ///
    /// # Shapes
    /// Any, unchanged.
    ///
    /// Klambauer et al., *Self-normalizing neural networks*, NeurIPS 2017.
    AlphaDropout: alpha_dropout_anew
}

impl Dropout {
    /// The probability in this mode: for an operation that drops something inside.
    pub(super) fn probability_now(&self) -> f64 {
        if self.mode == Mode::Train { self.probability } else { 0.0 }
    }

    /// The generators of the next masks.
    pub(super) fn generators(&self) -> impl Fn() -> StdRng + 'static {
        self.masks.generators()
    }
}

/// A row of generators, each for one mask.
#[derive(Debug)]
struct Masks {
    seed: u64,
    /// Masks drawn so far: here, and by programs that the layer is recorded in.
    drawn: Arc<AtomicU64>,
}

impl Masks {
    fn new(rng: &mut (impl Rng + ?Sized)) -> Self {
        Self { seed: rng.random(), drawn: Arc::default() }
    }

    fn copy(&self) -> Self {
        Self { seed: self.seed, drawn: Arc::new(self.drawn.load(Ordering::Relaxed).into()) }
    }

    fn generators(&self) -> impl Fn() -> StdRng + 'static {
        let (key, drawn) = (self.seed, self.drawn.clone());
        move || {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&key.to_le_bytes());
            seed[8..16].copy_from_slice(&drawn.fetch_add(1, Ordering::Relaxed).to_le_bytes());
            StdRng::from_seed(seed)
        }
    }
}

/// A program that is recorded of a layer draws the masks of that very layer.
impl<T: Float> Module<T> for Masks {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Setting(Arc::as_ptr(&self.drawn).addr().into()));
    }
    fn visit_mut<'m>(&'m mut self, _: &Path<'_>, _: &mut dyn VisitorMut<'m, T>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModuleExt;
    use autograd::{Tape, Tensor};

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
    fn channels_are_dropped_whole() {
        let dropout = Dropout2d::new(0.5, &mut StdRng::seed_from_u64(1));
        let tape = Tape::<f64>::new();
        let y = dropout.forward(tape.constant(Tensor::ones([8, 8, 3]))).value().unwrap().to_vec();
        assert!(y.chunks(3).all(|channel| channel == [0.0; 3] || channel == [2.0; 3]));
        assert!(y.contains(&0.0) && y.contains(&2.0));
    }

    #[test]
    fn probabilities_that_are_none_are_errors_in_training_alone() {
        for p in [-0.5, 1.5, f64::NAN] {
            let mut dropout = Dropout::new(p, &mut StdRng::seed_from_u64(1));
            let tape = Tape::<f64>::new();
            let text = dropout.forward(tape.constant(1.0)).value().unwrap_err().to_string();
            assert!(text.starts_with("dropout: ") && text.contains("layer/dropout.rs"), "{text}");
            ModuleExt::<f64>::eval(&mut dropout);
            assert!(dropout.forward(Tape::<f64>::new().constant(1.0)).value().is_ok());
        }
        let all = |p| forward(&Dropout::new(p, &mut StdRng::seed_from_u64(1)));
        assert!(all(0.0).iter().all(|&x| x == 1.0) && all(1.0).iter().all(|&x| x == 0.0));
    }
}
