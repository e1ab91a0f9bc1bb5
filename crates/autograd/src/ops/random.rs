//! Ops that draw: dropout, and samples whose gradients reach the distribution's parameters. A draw is a function of its seed, which
//! is an operand; every seed comes from a generator that the caller holds.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::engine::engine;
use crate::error::{Error, ErrorKind};
use crate::float::Float;
use crate::indices::Indices;
use crate::mask::Mask;
use crate::param::Generator;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::{Term, Var};

/// −scale·α of the selu activation: what a dropped element becomes in alpha dropout.
const SATURATED: f64 = -1.758_099_340_847_376_6;

/// Independent numbers of a distribution, from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    distribution: Distribution,
    shape: Shape,
}

/// What a number is drawn from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Distribution {
    /// Zero with a probability below one, else `kept`.
    Mask { dropped: f64, kept: f64 },
    /// The standard normal distribution.
    Normal,
    /// Anywhere between two numbers.
    Uniform { low: f64, high: f64 },
}

impl TensorRule for Draw {
    const NAME: &'static str = "draw";

    fn shape(&self, _: Shapes<'_>) -> Result<Shape, ErrorKind> {
        Ok(self.shape.clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let seed = x.integers[0].list.iter().next().ok_or(ErrorKind::NoOperands)?;
        let rng = &mut StdRng::seed_from_u64(seed as u64);
        Ok(match self.distribution {
            Distribution::Mask { dropped, kept } => mask(shape, dropped, T::from_f64(kept), rng),
            Distribution::Normal => Tensor::drawn_normal(shape, T::ZERO, T::ONE, rng),
            Distribution::Uniform { low, high } => {
                Tensor::drawn_uniform(shape, T::from_f64(low), T::from_f64(high), rng)
            }
        }?
        .into())
    }

    /// There is nothing that a gradient could flow to.
    fn vjp<'t, T: Float>(&self, _: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        Cotangents::new()
    }
}

/// `kept` with probability 1 − p, else zero, for 0 ≤ p < 1.
fn mask<T: Float>(shape: Shape, p: f64, kept: T, rng: &mut StdRng) -> Result<Tensor<T>, ErrorKind> {
    let dropped = (p * 2f64.powi(32)) as u32;
    Tensor::build(shape, |out| {
        out.fill_with(|| if rng.random::<u32>() < dropped { T::ZERO } else { kept });
    })
}

/// What seeds a draw: `&mut` of a generator of `rand`, from which one number is taken; a [`Generator`] that a layer holds; or a
/// seed that is on the tape already, such as an argument of a [`Program`](crate::Program).
///
/// ```
/// use autograd::{Program, Tensor, normal};
///
/// let x = Tensor::from([1.0_f64, 2.0]);
/// let mut noisy = Program::record_vector(&(x.clone(), Tensor::scalar(1_usize)), |_, (x, seed)| normal(x, 0.1, seed))?;
/// let [first, again, other] = [1, 1, 2].map(|seed: usize| noisy.values(&(x.clone(), Tensor::scalar(seed))));
/// let first = first?;
/// assert_eq!(first, again?);
/// assert_ne!(first, other?);
/// # Ok::<(), autograd::Error>(())
/// ```
pub trait Seed<'t, T: Float> {
    /// The seed of the next draw.
    #[track_caller]
    fn on(self, tape: &'t Tape<T>) -> Indices<'t, T>;
}

impl<'t, T: Float> Seed<'t, T> for Indices<'t, T> {
    #[track_caller]
    fn on(self, _: &'t Tape<T>) -> Indices<'t, T> {
        let shape = self.shape();
        if shape.len() == 1 { self } else { self.fail("seed", ErrorKind::NotScalar { shape }) }
    }
}

impl<'t, T: Float, R: Rng + ?Sized> Seed<'t, T> for &mut R {
    #[track_caller]
    fn on(self, tape: &'t Tape<T>) -> Indices<'t, T> {
        tape.seed(self)
    }
}

impl<'t, T: Float> Seed<'t, T> for &Generator {
    #[track_caller]
    fn on(self, tape: &'t Tape<T>) -> Indices<'t, T> {
        tape.draw_from(self)
    }
}

impl<T: Float> Tape<T> {
    /// A seed from a generator of `rand`.
    ///
    /// ```
    /// use autograd::Tape;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let tape = Tape::new();
    /// let mut rng = StdRng::seed_from_u64(1);
    /// let seed = tape.seed(&mut rng);
    /// let x = tape.constant([1.0_f32; 8]);
    /// // One seed, one mask.
    /// assert_eq!(x.dropout(0.5, seed).value()?, x.dropout(0.5, seed).value()?);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// In a recording for a [`Program`](crate::Program), every run of which would use this very seed: there the seed is an
    /// argument, or comes from a [`Generator`] of the model.
    #[track_caller]
    pub fn seed(&self, rng: &mut (impl Rng + ?Sized)) -> Indices<'_, T> {
        if self.is_for_program() {
            let why = "it draws from a generator that is borrowed; in a program the seed is an argument, or a `Generator` of \
                       the model gives it";
            return Indices::failed(self, Error::new("seed", ErrorKind::NotReplayable { why: why.into() }));
        }
        self.indices(Tensor::scalar(rng.random::<u64>() as usize))
    }

    /// Numbers drawn with a seed, as data.
    #[track_caller]
    pub(crate) fn drawn(&self, distribution: Distribution, shape: Shape, seed: Indices<'_, T>) -> Var<'_, T> {
        if seed.is_failed() {
            return Var::new(self, seed.slot);
        }
        let (op, location) = (Draw { distribution, shape }.into(), std::panic::Location::caller());
        Var::new(self, (engine::<T>().record)(self, op, &[], &[seed.slot], location))
    }
}

/// # Dropout
impl<'t, T: Float> Var<'t, T> {
    /// Each element is dropped (zero) with probability `p`, and the others are divided by 1 − p, so that the mean stays.
    ///
    /// Derivative: g where an element was kept, over 1 − p; else 0.
    /// Shapes: any → the same.
    /// Domain: 0 ≤ p ≤ 1. Nothing is drawn for p = 0 and for p = 1.
    ///
    /// ```
    /// use autograd::Tape;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32; 100]);
    /// let y = x.dropout(0.5, &mut StdRng::seed_from_u64(1));
    /// assert!(y.value()?.iter().all(|y| y == 0.0 || y == 2.0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Reference: N. Srivastava et al., Dropout, JMLR 15 (2014).
    #[track_caller]
    pub fn dropout(self, p: f64, seed: impl Seed<'t, T>) -> Self {
        self.dropout_with_mask("dropout", self.shape(), p, seed)
    }

    /// As [`dropout`](Self::dropout), for whole channels: an element of `[N, C, ..]` is dropped with all others of its
    /// sample and channel.
    ///
    /// Derivative: g where a channel was kept, over 1 − p; else 0.
    /// Shapes: `[N, C, ..]` → the same.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::<f32>::ones([1, 8, 2, 2]));
    /// let y = x.feature_dropout(0.5, &mut StdRng::seed_from_u64(1));
    /// // All four numbers of a channel, or none.
    /// assert!(y.sum_axes([2, 3]).value()?.iter().all(|sum| sum == 0.0 || sum == 8.0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Reference: J. Tompson et al., Efficient Object Localization Using Convolutional Networks, CVPR 2015.
    #[track_caller]
    pub fn feature_dropout(self, p: f64, seed: impl Seed<'t, T>) -> Self {
        let shape = self.shape();
        if shape.rank() < 2 {
            return self.fail("feature_dropout", ErrorKind::MinRank { what: "the input", least: 2, found: shape });
        }
        let channels = shape[..2].iter().copied().chain(shape[2..].iter().map(|_| 1)).collect();
        self.dropout_with_mask("feature_dropout", channels, p, seed)
    }

    /// Dropout that keeps mean 0 and variance 1 after a selu: a dropped element becomes the activation's lower limit
    /// α′ = −1.758…, and all are then mapped by a·x + b with a = (1 − p + p·(1 − p)·α′²)^(−1/2) and b = −a·p·α′.
    ///
    /// Derivative: a·g where an element was kept, else 0.
    /// Shapes: any → the same.
    /// Domain: 0 ≤ p ≤ 1; all elements are 0 for p = 1, as in PyTorch.
    ///
    /// ```
    /// use autograd::Tape;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([1.0_f64; 100]).selu();
    /// let y = x.alpha_dropout(0.5, &mut StdRng::seed_from_u64(1));
    /// // Two values: of what was kept, and of what was dropped.
    /// let (low, high) = (y.min(), y.max());
    /// assert_eq!((y.eq(low) | y.eq(high)).count(), 100.0);
    /// ```
    ///
    /// Reference: G. Klambauer et al., Self-Normalizing Neural Networks, arXiv:1706.02515.
    #[track_caller]
    pub fn alpha_dropout(self, p: f64, seed: impl Seed<'t, T>) -> Self {
        if !(0.0..1.0).contains(&p) || p == 0.0 {
            return self.dropout_with_mask("alpha_dropout", Shape::default(), p, seed);
        }
        let scale = (1.0 - p + p * (1.0 - p) * SATURATED * SATURATED).sqrt().recip();
        let shift = -scale * p * SATURATED;
        let mask = Distribution::Mask { dropped: p, kept: 1.0 };
        let kept = self.tape.drawn(mask, self.shape(), seed.on(self.tape)).called("alpha_dropout");
        let number = |x: f64| Term::Number(T::from_f64(x));
        self * (kept * number(scale)) + Mask::of(kept).select(number(shift), number(scale * SATURATED + shift))
    }

    #[track_caller]
    fn dropout_with_mask(self, op: &'static str, mask_shape: Shape, p: f64, seed: impl Seed<'t, T>) -> Self {
        match p {
            _ if !(0.0..=1.0).contains(&p) => {
                self.fail(op, ErrorKind::Argument { name: "p", must: "between 0 and 1", found: p.to_string() })
            }
            0.0 => self,
            1.0 => self * Term::Number(T::ZERO),
            _ => {
                let mask = Distribution::Mask { dropped: p, kept: 1.0 / (1.0 - p) };
                self * self.tape.drawn(mask, mask_shape, seed.on(self.tape)).called(op)
            }
        }
    }
}

/// Independent numbers of normal distributions: mean + std·ε, with ε drawn from `seed`.
///
/// Derivative: Σg to `mean`, Σg·ε to `std`, as the formula says.
/// Shapes: `mean` and `std` broadcast, to the shape of the result.
///
/// ```
/// use autograd::{Tape, Tensor, normal};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let tape = Tape::new();
/// let mean = tape.var(Tensor::<f32>::zeros([1000]));
/// let x = normal(mean, 2.0, &mut StdRng::seed_from_u64(1));
/// assert_eq!(x.sum().backward()?.of(mean)?, Tensor::ones([1000]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Reference: D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, arXiv:1312.6114.
#[track_caller]
pub fn normal<'t, T: Float>(mean: Var<'t, T>, std: impl Into<Term<'t, T>>, seed: impl Seed<'t, T>) -> Var<'t, T> {
    let std = std.into();
    match mean.sample_shape(std) {
        Ok(shape) => {
            let drawn = mean.tape.drawn(Distribution::Normal, shape, seed.on(mean.tape)).called("normal");
            mean + std * Term::Var(drawn)
        }
        Err(kind) => mean.fail("normal", kind),
    }
}

/// Independent numbers, equally likely anywhere between `low` and `high`: low + (high − low)·u, with u drawn from `seed`.
///
/// Derivative: Σg·(1 − u) to `low`, Σg·u to `high`, as the formula says.
/// Shapes: `low` and `high` broadcast, to the shape of the result.
///
/// ```
/// use autograd::{Tape, uniform};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let tape = Tape::new();
/// // The derivative passes through the draw.
/// let high = tape.var([2.0_f64]);
/// let y = uniform(tape.constant([0.0]), high, &mut StdRng::seed_from_u64(0));
/// let slope = y.sum().backward()?.of(high)?.item()?;
/// assert_eq!(2.0 * slope, y.value()?.item()?);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn uniform<'t, T: Float>(low: Var<'t, T>, high: impl Into<Term<'t, T>>, seed: impl Seed<'t, T>) -> Var<'t, T> {
    let high = high.into();
    match low.sample_shape(high) {
        Ok(shape) => {
            let unit = Distribution::Uniform { low: 0.0, high: 1.0 };
            let drawn = low.tape.drawn(unit, shape, seed.on(low.tape)).called("uniform");
            low + (high - Term::Var(low)) * Term::Var(drawn)
        }
        Err(kind) => low.fail("uniform", kind),
    }
}

impl<'t, T: Float> Var<'t, T> {
    fn sample_shape(self, other: Term<'t, T>) -> Result<Shape, ErrorKind> {
        match other {
            Term::Var(other) => self.shape().broadcast(&other.shape()),
            Term::Number(_) => Ok(self.shape()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tape;
    use crate::testing::{assert_gradient, failure, sample};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn rng() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    #[test]
    fn dropout_keeps_the_mean_and_the_chance() {
        let tape = Tape::<f64>::new();
        let x = tape.constant(Tensor::ones([100, 100]));
        for p in [0.1, 0.5, 0.9] {
            let y = x.dropout(p, &mut rng()).value().unwrap();
            let dropped = y.iter().filter(|&y| y == 0.0).count() as f64 / 1e4;
            assert!((dropped - p).abs() < 0.02, "{dropped} of {p}");
            assert!(y.iter().all(|y| y == 0.0 || (y - 1.0 / (1.0 - p)).abs() < 1e-12));
        }
        assert_eq!(x.dropout(0.0, &mut rng()).value().unwrap(), Tensor::ones([100, 100]));
        assert_eq!(x.dropout(1.0, &mut rng()).value().unwrap(), Tensor::zeros([100, 100]));
    }

    #[test]
    fn features_are_dropped_as_one() {
        let tape = Tape::<f64>::new();
        let y = tape.constant(Tensor::ones([20, 10, 3, 2])).feature_dropout(0.5, &mut rng()).value().unwrap();
        let planes: Vec<Vec<f64>> = y.to_vec().chunks(6).map(|plane| plane.to_vec()).collect();
        assert!(planes.iter().all(|plane| plane.iter().all(|x| *x == plane[0])));
        assert!((60..140).contains(&planes.iter().filter(|plane| plane[0] == 0.0).count()));
    }

    #[test]
    fn alpha_dropout_keeps_mean_and_variance() {
        let tape = Tape::<f64>::new();
        let x = tape.constant(Tensor::normal([100_000], 0.0, 1.0, &mut rng()));
        let y = x.alpha_dropout(0.3, &mut StdRng::seed_from_u64(8)).value().unwrap();
        let mean = y.iter().sum::<f64>() / 1e5;
        let variance = y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn derivatives() {
        let (x, y) = (sample(&[2, 3], 1), sample(&[3], 2));
        assert_gradient(|x| (x[0] * x[0]).dropout(0.4, &mut rng()), std::slice::from_ref(&x));
        assert_gradient(|x| (x[0] * x[0]).alpha_dropout(0.4, &mut rng()), std::slice::from_ref(&x));
        assert_gradient(|x| (x[0] * x[0]).feature_dropout(0.4, &mut rng()), &[sample(&[3, 2, 2], 1)]);
        assert_gradient(|x| normal(x[0] * x[1], x[1] * x[1], &mut rng()), &[x.clone(), y.clone()]);
        assert_gradient(|x| uniform(x[1] * x[1], x[0] * x[1], &mut rng()), &[x, y.clone()]);
        assert_gradient(|x| normal(x[0], 2.0, &mut rng()) + uniform(x[0], 2.0, &mut rng()), &[y]);
    }

    #[test]
    fn samples_lie_where_their_parameters_say() {
        let tape = Tape::<f64>::new();
        let (low, high) = (tape.constant([0.0, 5.0]), tape.constant(Tensor::full([1000, 1], 6.0)));
        let x = uniform(low, high, &mut rng()).value().unwrap();
        assert!(x.index_axis(1, 0).unwrap().iter().all(|x| (0.0..=6.0).contains(&x)));
        assert!(x.index_axis(1, 1).unwrap().iter().all(|x| (5.0..=6.0).contains(&x)));
        let y = normal(high, 0.5, &mut rng()).value().unwrap();
        assert!((y.iter().sum::<f64>() / 1e3 - 6.0).abs() < 0.06);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let dropout = |p| failure(&[&[2]], |x| x[0].dropout(p, &mut rng()));
        assert_eq!(dropout(1.5), "dropout: p must be between 0 and 1, found 1.5");
        assert_eq!(dropout(f64::NAN), "dropout: p must be between 0 and 1, found NaN");
        let alpha = failure(&[&[2]], |x| x[0].alpha_dropout(-0.1, &mut rng()));
        assert_eq!(alpha, "alpha_dropout: p must be between 0 and 1, found -0.1");
        let features = failure(&[&[2]], |x| x[0].feature_dropout(0.5, &mut rng()));
        assert_eq!(features, "feature_dropout: the input must have rank 2 or more, found shape [2]");
        let samples = failure(&[&[2], &[3]], |x| normal(x[0], x[1], &mut rng()));
        assert_eq!(samples, "normal: shapes do not broadcast: [2] and [3] (2 ≠ 3 at axis −1)");
    }
}
