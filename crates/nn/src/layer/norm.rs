//! Normalisation.

use autograd::{
    BatchStatistics, Buffer, Counter, ErrorKind, Float, Param, Shape, Tape, Tensor, Term, Var, module::Mode,
};

use super::{layer, optional};

macro_rules! batch_norm {
    ($(#[$doc:meta])* $layer:ident($name:literal, ranks: $($rank:literal)|+, $shape:literal)) => {
        $(#[$doc])*
        ///
        /// y = (x − mean)/√(variance + ε)·weight + bias, for each channel.
        ///
        /// In training, mean and variance are those of the batch, and running averages of them are kept:
        /// running ← (1 − momentum)·running + momentum·batch, with the unbiased variance. In use, they are the running
        /// ones. Names, layouts and defaults (ε = 10⁻⁵, momentum 0.1) are PyTorch's.
        ///
        /// # Errors
        /// In training, a batch with one number for each channel: it has no variance.
        ///
        /// Ioffe and Szegedy, *Batch normalization: accelerating deep network training by reducing internal covariate
        /// shift*, ICML 2015.
        #[derive(Debug, Clone, autograd_derive::Module)]
        pub struct $layer<T: Float = f32> {
            /// What every channel is multiplied by: starts with 1.
            pub weight: Param<T>,
            /// What is added to every channel: starts with 0.
            pub bias: Param<T>,
            /// The running mean of every channel: starts with 0.
            pub running_mean: Buffer<T>,
            /// The running variance of every channel: starts with 1.
            pub running_var: Buffer<T>,
            /// The number of batches seen in training.
            pub num_batches_tracked: Counter,
            /// How much a batch counts in the running averages; `None` weighs all batches alike.
            pub momentum: Option<f64>,
            /// ε.
            pub epsilon: f64,
            /// Whether it normalises by the batch or by the running averages: see
            /// [`ModuleExt::eval`](crate::ModuleExt::eval). Starts in training.
            pub mode: Mode,
        }

        impl<T: Float> $layer<T> {
            /// A layer for this many channels.
            pub fn new(channels: usize) -> Self {
                Self {
                    weight: Tensor::ones([channels]).into(),
                    bias: Tensor::zeros([channels]).into(),
                    running_mean: Buffer::new(Tensor::zeros([channels])),
                    running_var: Buffer::new(Tensor::ones([channels])),
                    num_batches_tracked: Counter::default(),
                    momentum: Some(0.1),
                    epsilon: 1e-5,
                    mode: Mode::Train,
                }
            }

            #[doc = concat!("x with normalised channels: ", $shape, ".")]
            #[track_caller]
            pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
                let shape = x.shape();
                if !matches!(shape.rank(), $($rank)|+) && !x.is_failed() {
                    let found = shape.to_string();
                    return x.fail($name, ErrorKind::Argument { name: "the input", must: $shape, found });
                }
                let (weight, bias) = (Some(x.param(&self.weight)), Some(x.param(&self.bias)));
                if self.mode == Mode::Eval {
                    let (mean, variance) = (x.tape().buffer(&self.running_mean), x.tape().buffer(&self.running_var));
                    return x.batch_norm_eval(mean, variance, weight, bias, self.epsilon);
                }
                let channels = shape.get(1).copied().unwrap_or(0);
                if shape.len() == channels && channels > 0 {
                    let must = "a batch with more than one number for each channel";
                    return x.fail($name, ErrorKind::Argument { name: "the input", must, found: shape.to_string() });
                }
                let (y, statistics) = x.batch_norm(weight, bias, self.epsilon);
                if !y.is_failed() {
                    x.tape().no_grad(|| self.track(x.tape(), &statistics));
                }
                y
            }

            fn track(&self, tape: &Tape<T>, statistics: &BatchStatistics<'_, T>) {
                tape.count(&self.num_batches_tracked);
                let part = match self.momentum {
                    Some(momentum) => number(momentum),
                    None => Term::Var(tape.counter(&self.num_batches_tracked).reciprocal()),
                };
                let unbiased = statistics.count as f64 / (statistics.count as f64 - 1.0);
                for (running, new, scale) in
                    [(&self.running_mean, statistics.mean, 1.0), (&self.running_var, statistics.variance, unbiased)]
                {
                    let old = tape.buffer(running);
                    if old.shape() == new.shape() {
                        tape.set_buffer(running, old * (number(1.0) - part) + new * (part * number(scale)));
                    }
                }
            }
        }

        layer!($layer<T>);
    };
}

fn number<'t, T: Float>(x: f64) -> Term<'t, T> {
    Term::Number(T::from_f64(x))
}

batch_norm! {
    /// Batch normalisation of vectors, or of sequences of them.
    ///
    /// # Shapes
    /// `[n, channels]` or `[n, channels, length]`, unchanged; `weight`, `bias` and statistics are `[channels]`.
    ///
    /// ```
    /// use autograd::Tape;
    /// use nn::{BatchNorm1d, ModuleExt};
    ///
    /// let mut layer: BatchNorm1d<f64> = BatchNorm1d { epsilon: 0.0, momentum: None, ..BatchNorm1d::new(1) };
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0], [3.0]]);
    /// assert_eq!(layer.forward(x).value()?, [[-1.0], [1.0]].into());
    /// // After training one sample is enough: mean and variance are those that were seen, 2 and 2.
    /// layer.eval();
    /// assert_eq!(layer.forward(tape.constant([[2.0]])).value()?, [[0.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    BatchNorm1d("batch_norm1d", ranks: 2 | 3, "[n, channels] or [n, channels, length]")
}

batch_norm! {
    /// Batch normalisation of images.
    ///
    /// # Shapes
    /// `[n, channels, height, width]`, unchanged; `weight`, `bias` and statistics are `[channels]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::BatchNorm2d;
    ///
    /// let layer: BatchNorm2d = BatchNorm2d::new(3);
    /// let tape = Tape::new();
    /// let y = layer.forward(tape.constant(Tensor::from_fn([2, 3, 4, 4], |at| at[3] as f32)));
    /// assert!(y.mean().abs() < 1e-6 && (y.std(0) - 1.0).abs() < 1e-4);
    /// ```
    BatchNorm2d("batch_norm2d", ranks: 4, "[n, channels, height, width]")
}

/// Layer normalisation over the last axes: y = (x − mean)/√(variance + ε)·weight + bias, with mean and variance of each
/// sample alone; the same in training and in use.
///
/// # Shapes
/// `[.., shape]` → the same; `weight` and `bias` have the given shape.
///
/// ```
/// use autograd::Tape;
/// use nn::LayerNorm;
///
/// let layer = LayerNorm::new(2);
/// let tape = Tape::<f32>::new();
/// let y = layer.forward(tape.constant([[1.0, 3.0], [10.0, 30.0]])).value()?;
/// assert!(y.iter().zip([-1.0, 1.0, -1.0, 1.0]).all(|(y, expected)| (y - expected).abs() < 1e-5));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Ba, Kiros and Hinton, *Layer normalization*, 2016.
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct LayerNorm<T: Float = f32> {
    /// What every element is multiplied by: starts with 1.
    pub weight: Param<T>,
    /// What is added to every element: starts with 0.
    pub bias: Option<Param<T>>,
    /// ε. Default: 10⁻⁵.
    pub epsilon: f64,
}

impl<T: Float> LayerNorm<T> {
    /// A layer that normalises over the last axes, which have this shape.
    pub fn new(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        Self { weight: Tensor::ones(&shape).into(), bias: Some(Tensor::zeros(shape).into()), epsilon: 1e-5 }
    }

    /// The same layer without its bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// x with each sample normalised.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.layer_norm(self.weight.shape(), Some(x.param(&self.weight)), optional(x, &self.bias), self.epsilon)
    }
}

layer!(LayerNorm<T>);

/// Root mean square normalisation over the last axes: y = x/√(mean x² + ε)·weight; the same in training and in use.
///
/// # Shapes
/// `[.., shape]` → the same; `weight` has the given shape.
///
/// ```
/// use autograd::Tape;
/// use nn::RmsNorm;
///
/// let layer = RmsNorm::<f64>::new(2);
/// let tape = Tape::new();
/// let y = layer.forward(tape.constant([[1.0, 7.0], [10.0, 70.0]])).value()?;
/// assert!(y.iter().zip([0.2, 1.4, 0.2, 1.4]).all(|(y, expected)| (y - expected).abs() < 1e-12));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Zhang and Sennrich, *Root mean square layer normalization*, NeurIPS 2019.
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct RmsNorm<T: Float = f32> {
    /// What every element is multiplied by: starts with 1.
    pub weight: Param<T>,
    /// ε. Default, as in PyTorch: the distance from 1 to the next number.
    pub epsilon: f64,
}

impl<T: Float> RmsNorm<T> {
    /// A layer that normalises over the last axes, which have this shape.
    pub fn new(shape: impl Into<Shape>) -> Self {
        Self { weight: Tensor::ones(shape).into(), epsilon: T::EPSILON.to_f64() }
    }

    /// x with each sample normalised.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.rms_norm(self.weight.shape(), Some(x.param(&self.weight)), self.epsilon)
    }
}

layer!(RmsNorm<T>);

/// Group normalisation: y = (x − mean)/√(variance + ε)·weight + bias, with mean and variance of a group of neighbouring
/// channels in one sample; the same in training and in use.
///
/// # Shapes
/// `[n, channels, ..]` → the same; `weight` and `bias` are `[channels]`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::GroupNorm;
///
/// let layer: GroupNorm = GroupNorm::new(2, 6);
/// let tape = Tape::new();
/// let y = layer.forward(tape.constant(Tensor::ones([4, 6, 5, 5])));
/// assert_eq!(y.value()?, Tensor::zeros([4, 6, 5, 5]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Wu and He, *Group normalization*, ECCV 2018.
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct GroupNorm<T: Float = f32> {
    /// What every channel is multiplied by: starts with 1.
    pub weight: Param<T>,
    /// What is added to every channel: starts with 0.
    pub bias: Param<T>,
    /// The number of groups, which divides the number of channels.
    pub groups: usize,
    /// ε. Default: 10⁻⁵.
    pub epsilon: f64,
}

impl<T: Float> GroupNorm<T> {
    /// A layer for so many channels in so many groups.
    pub fn new(groups: usize, channels: usize) -> Self {
        let (weight, bias) = (Tensor::ones([channels]).into(), Tensor::zeros([channels]).into());
        Self { weight, bias, groups, epsilon: 1e-5 }
    }

    /// x with normalised groups.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.group_norm(self.groups, Some(x.param(&self.weight)), Some(x.param(&self.bias)), self.epsilon)
    }
}

layer!(GroupNorm<T>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModuleExt;
    use autograd::Tape;

    #[test]
    fn statistics_are_kept_in_training_and_used_after_it() {
        let mut layer = BatchNorm1d::<f64>::new(2);
        let tape = Tape::new();
        let x = tape.constant([[1.0, 10.0], [3.0, 30.0]]);
        layer.forward(x);
        assert_eq!(layer.running_mean.value().to_vec(), [0.1 * 2.0, 0.1 * 20.0]);
        let expected = Tensor::from([0.9 + 0.1 * 2.0, 0.9 + 0.1 * 200.0]);
        layer.running_var.value().close_to(&expected, 1e-15, 0.0).unwrap();
        assert_eq!(layer.num_batches_tracked.get(), 1);
        layer.eval();
        let y = layer.forward(x).value().unwrap().to_vec();
        assert!((y[0] - (1.0 - 0.2) / (1.1_f64 + 1e-5).sqrt()).abs() < 1e-15);
        assert_eq!(layer.num_batches_tracked.get(), 1);
    }

    #[test]
    fn without_momentum_all_batches_count_alike() {
        let layer = BatchNorm1d { momentum: None, ..BatchNorm1d::<f64>::new(1) };
        let tape = Tape::new();
        for x in [0.0, 3.0, 9.0] {
            layer.forward(tape.constant([[x], [x]]));
        }
        assert!((layer.running_mean.value().to_vec()[0] - 4.0).abs() < 1e-14);
    }

    #[test]
    fn inputs_without_variance_or_of_other_ranks_are_errors() {
        let text = |shape: &[usize]| {
            let tape = Tape::<f32>::new();
            BatchNorm1d::new(2).forward(tape.constant(Tensor::zeros(shape))).value().unwrap_err().to_string()
        };
        assert!(text(&[1, 2]).starts_with("batch_norm1d: the input must be a batch with more than one number"));
        assert!(text(&[2]).starts_with("batch_norm1d: the input must be [n, channels] or"));
        assert!(text(&[4, 3]).starts_with("batch_norm: ") && text(&[4, 3]).contains("layer/norm.rs"));
        let layer = BatchNorm2d::<f32>::new(2);
        let tape = Tape::new();
        assert!(layer.forward(tape.constant(Tensor::zeros([4, 3, 2, 2]))).value().is_err());
        assert_eq!(layer.num_batches_tracked.get(), 0);
    }
}
