//! What every module can do, by looking at its leaves.

use autograd::{
    Buffer, Float, Module, Param, Result,
    module::{Leaf, LeafMut, Mode, Path},
};

use crate::state::{assign, lerp, state_for};

/// What every [`Module`] can do.
///
/// ```
/// use nn::{Linear, ModuleExt};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let mut rng = StdRng::seed_from_u64(0);
/// let mut layers: Vec<Linear> = vec![Linear::new(2, 8, &mut rng), Linear::new(8, 1, &mut rng)];
/// assert_eq!(layers.parameter_count(), 2 * 8 + 8 + 8 + 1);
/// let names: Vec<String> = layers.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["0.weight", "0.bias", "1.weight", "1.bias"]);
/// layers[0].freeze();
/// assert_eq!(layers.trainable_count(), 9);
/// ```
pub trait ModuleExt<T: Float>: Module<T> {
    /// From now on every layer behaves as in training.
    fn train(&mut self) {
        set_mode(self, Mode::Train);
    }

    /// From now on every layer behaves as in use: no dropout, running instead of batch statistics.
    fn eval(&mut self) {
        set_mode(self, Mode::Eval);
    }

    /// Every parameter becomes a constant: recordings give it no gradient.
    fn freeze(&mut self) {
        self.named_parameters_mut().into_iter().for_each(|(_, param)| param.freeze());
    }

    /// Every parameter is trained again.
    fn unfreeze(&mut self) {
        self.named_parameters_mut().into_iter().for_each(|(_, param)| param.unfreeze());
    }

    /// The number of elements of all parameters.
    fn parameter_count(&self) -> usize {
        self.named_parameters().iter().map(|(_, param)| param.shape().len()).sum()
    }

    /// The number of elements of all parameters that are not frozen.
    fn trainable_count(&self) -> usize {
        let all = self.named_parameters();
        all.iter().filter(|(_, param)| param.is_trainable()).map(|(_, param)| param.shape().len()).sum()
    }

    /// Every parameter with its name, in the order of the fields.
    fn named_parameters(&self) -> Vec<(String, &Param<T>)> {
        named(self, |leaf| match leaf {
            Leaf::Param(param) => Some(param),
            _ => None,
        })
    }

    /// Every parameter with its name, in the order of the fields, to be changed.
    ///
    /// ```
    /// use nn::{Linear, ModuleExt};
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let mut model: Linear = Linear::new(2, 3, &mut StdRng::seed_from_u64(0));
    /// for (name, param) in model.named_parameters_mut() {
    ///     if name.ends_with("bias") {
    ///         param.set(param.value().mul(0.0)?)?;
    ///         param.freeze();
    ///     }
    /// }
    /// assert_eq!(model.trainable_count(), 6);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn named_parameters_mut(&mut self) -> Vec<(String, &mut Param<T>)> {
        named_mut(self, |leaf| match leaf {
            LeafMut::Param(param) => Some(param),
            _ => None,
        })
    }

    /// The parameter of this name, if there is one: `"layers.0.weight"`.
    fn parameter(&self, name: &str) -> Option<&Param<T>> {
        self.named_parameters().into_iter().find(|(found, _)| found == name).map(|(_, param)| param)
    }

    /// The parameter of this name, to be changed.
    ///
    /// ```
    /// use autograd::Tensor;
    /// use nn::{Linear, ModuleExt};
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let mut layers: Vec<Linear> = vec![Linear::new(2, 1, &mut StdRng::seed_from_u64(0))];
    /// if let Some(weight) = layers.parameter_mut("0.weight") {
    ///     weight.set(Tensor::from([[1.0, 2.0]]))?;
    /// }
    /// assert_eq!(layers[0].weight.value().to_vec(), [1.0, 2.0]);
    /// assert!(layers.parameter("1.weight").is_none());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn parameter_mut(&mut self, name: &str) -> Option<&mut Param<T>> {
        self.named_parameters_mut().into_iter().find(|(found, _)| found == name).map(|(_, param)| param)
    }

    /// Every buffer with its name, in the order of the fields.
    fn named_buffers(&self) -> Vec<(String, &Buffer<T>)> {
        named(self, |leaf| match leaf {
            Leaf::Buffer(buffer) => Some(buffer),
            _ => None,
        })
    }

    /// Every buffer with its name, in the order of the fields, to be changed in place.
    fn named_buffers_mut(&mut self) -> Vec<(String, &mut Buffer<T>)> {
        named_mut(self, |leaf| match leaf {
            LeafMut::Buffer(buffer) => Some(buffer),
            _ => None,
        })
    }

    /// Gives every parameter, buffer and counter the value that has its name in another model: what
    /// [`save`](crate::save) and [`load`](crate::load) do without the file. Which parameters are frozen, modes, settings and
    /// generators stay.
    ///
    /// ```
    /// use nn::{Linear, ModuleExt};
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let mut rng = StdRng::seed_from_u64(0);
    /// let (online, mut target): (Linear, Linear) = (Linear::new(2, 3, &mut rng), Linear::new(2, 3, &mut rng));
    /// target.copy_from(&online)?;
    /// assert_eq!(target.weight.value(), online.weight.value());
    ///
    /// let error = target.copy_from(&Linear::new(2, 4, &mut rng).without_bias()).unwrap_err().to_string();
    /// let expected = "copy_from: the other model does not fit: 0 tensors fit; missing in the other model: bias; \
    ///                 weight has shape [3, 2] in the model and [4, 2] in the other model, at ";
    /// assert!(error.starts_with(expected), "{error}");
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the names or shapes differ, all of which the error lists; nothing is changed then.
    #[doc(alias = "load_state_dict")]
    #[track_caller]
    fn copy_from(&mut self, other: &(impl Module<T> + ?Sized)) -> Result<()> {
        let values = state_for(self, other, "copy_from")?;
        assign(self, values);
        Ok(())
    }

    /// Moves every parameter towards the one that has its name in another model: θ ← θ + weight·(θ′ − θ). Buffers and
    /// counters become those of the other model, as of an `AveragedModel` of PyTorch.
    ///
    /// With a small weight after every step, this is an exponential moving average of a model in training, or the target
    /// network of a soft update; with weight 1/n after the n-th, their mean.
    ///
    /// ```
    /// use autograd::Tape;
    /// use nn::{Linear, ModuleExt, loss::mse};
    /// use optim::Sgd;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let mut model: Linear<f64> = Linear::new(1, 1, &mut StdRng::seed_from_u64(0));
    /// let mut average = model.clone();
    /// let mut sgd = Sgd::new(0.1);
    /// let mut tape = Tape::new();
    /// for _ in 0..300 {
    ///     let x = tape.constant([[-1.0], [1.0]]);
    ///     let loss = mse(model.forward(x), tape.constant([[3.0], [5.0]]));
    ///     sgd.step(&mut model, &loss.backward()?)?;
    ///     average.lerp_from(&model, 0.05)?;
    ///     tape.clear();
    /// }
    /// let y = average.forward(tape.constant([[10.0]])).item().value()?;
    /// assert!((y - 14.0).abs() < 1e-3, "{y}");
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Polyak and Juditsky, *Acceleration of stochastic approximation by averaging*, 1992.
    ///
    /// # Errors
    /// As of [`copy_from`](Self::copy_from).
    #[doc(alias = "ema")]
    #[doc(alias = "polyak")]
    #[track_caller]
    fn lerp_from(&mut self, other: &(impl Module<T> + ?Sized), weight: f64) -> Result<()> {
        let values = state_for(self, other, "lerp_from")?;
        lerp(self, values, weight);
        Ok(())
    }
}

impl<T: Float, M: Module<T> + ?Sized> ModuleExt<T> for M {}

/// The leaves of one kind with their names, in the order of the fields.
fn named<'m, T: Float, L>(
    module: &'m (impl Module<T> + ?Sized),
    pick: fn(Leaf<'m, T>) -> Option<L>,
) -> Vec<(String, L)> {
    let mut found = Vec::new();
    module.visit(&Path::root(), &mut |path: &Path<'_>, leaf| {
        found.extend(pick(leaf).map(|leaf| (path.to_string(), leaf)));
    });
    found
}

/// The same, to be changed.
fn named_mut<'m, T: Float, L>(
    module: &'m mut (impl Module<T> + ?Sized),
    pick: fn(LeafMut<'m, T>) -> Option<L>,
) -> Vec<(String, L)> {
    let mut found = Vec::new();
    module.visit_mut(&Path::root(), &mut |path: &Path<'_>, leaf| {
        found.extend(pick(leaf).map(|leaf| (path.to_string(), leaf)));
    });
    found
}

fn set_mode<T: Float>(module: &mut (impl Module<T> + ?Sized), mode: Mode) {
    module.visit_mut(&Path::root(), &mut |_: &Path<'_>, leaf: LeafMut<'_, T>| {
        if let LeafMut::Mode(of_layer) = leaf {
            *of_layer = mode;
        }
    });
}
