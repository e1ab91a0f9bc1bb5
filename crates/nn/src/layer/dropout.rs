//! Dropout.

use autograd::{Float, Generator, Indices, Seed, Var, module::Mode};
use rand::Rng;

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
        #[derive(Debug, Clone, autograd_derive::Module)]
        pub struct $layer {
            /// The probability of being dropped.
            pub probability: f64,
            /// Whether it drops anything: see [`ModuleExt::eval`](crate::ModuleExt::eval). Starts in training.
            pub mode: Mode,
            /// What the masks are drawn from.
            pub masks: Generator,
        }

        impl $layer {
            /// A layer that drops with this probability.
            pub fn new(probability: f64, rng: &mut (impl Rng + ?Sized)) -> Self {
                Self { probability, mode: Mode::Train, masks: Generator::new(rng) }
            }

            /// x with some of it dropped.
            #[track_caller]
            pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
                match self.mode {
                    Mode::Train => x.$method(self.probability, &self.masks),
                    Mode::Eval => x,
                }
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
    Dropout: dropout
}

dropout! {
    /// In training, sets whole channels to 0: neighbouring pixels say the same, so dropping one alone hides nothing.
    ///
    /// # Shapes
    /// `[n, channels, ..]`, unchanged.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::Dropout2d;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let dropout = Dropout2d::new(0.5, &mut StdRng::seed_from_u64(0));
    /// let tape = Tape::new();
    /// let y = dropout.forward(tape.constant(Tensor::<f32>::ones([4, 8, 2, 2])));
    /// // All four pixels of a channel, or none.
    /// assert!(y.sum_axes([2, 3]).value()?.iter().all(|sum| sum == 0.0 || sum == 8.0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Tompson et al., *Efficient object localization using convolutional networks*, CVPR 2015.
    Dropout2d: feature_dropout
}

dropout! {
    /// In training, sets elements to the value that selu saturates at, and scales so that mean and variance stay.
    ///
    /// # Shapes
    /// Any, unchanged.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::AlphaDropout;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let dropout = AlphaDropout::new(0.1, &mut StdRng::seed_from_u64(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::<f32>::normal([10_000], 0.0, 1.0, &mut StdRng::seed_from_u64(1)));
    /// assert!((dropout.forward(x).std(0) - 1.0).abs() < 0.05);
    /// ```
    ///
    /// Klambauer et al., *Self-normalizing neural networks*, NeurIPS 2017.
    AlphaDropout: alpha_dropout
}

impl Dropout {
    /// The probability in this mode, and the seed of the next mask if there is one: for an operation that drops something
    /// inside.
    #[track_caller]
    pub(super) fn now<'t, T: Float>(&self, x: Var<'t, T>) -> (f64, Option<Indices<'t, T>>) {
        match self.mode {
            Mode::Train if self.probability != 0.0 => (self.probability, Some(Seed::on(&self.masks, x.tape()))),
            _ => (0.0, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModuleExt;
    use autograd::{Tape, Tensor};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

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
        assert_eq!(y.sum().backward().unwrap().of(x).unwrap(), y.value().unwrap());
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
