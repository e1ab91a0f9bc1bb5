//! What every module can do, by looking at its leaves.

use autograd::{Buffer, Float, Leaf, LeafMut, Mode, Module, Param, Path};

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
        for_each_param_mut(self, Param::freeze);
    }

    /// Every parameter is trained again.
    fn unfreeze(&mut self) {
        for_each_param_mut(self, Param::unfreeze);
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
        let mut found = Vec::new();
        self.visit(&Path::root(), &mut |path: &Path<'_>, leaf| {
            if let Leaf::Param(param) = leaf {
                found.push((path.to_string(), param));
            }
        });
        found
    }

    /// Every buffer with its name, in the order of the fields.
    fn named_buffers(&self) -> Vec<(String, &Buffer<T>)> {
        let mut found = Vec::new();
        self.visit(&Path::root(), &mut |path: &Path<'_>, leaf| {
            if let Leaf::Buffer(buffer) = leaf {
                found.push((path.to_string(), buffer));
            }
        });
        found
    }
}

impl<T: Float, M: Module<T> + ?Sized> ModuleExt<T> for M {}

fn set_mode<T: Float>(module: &mut (impl Module<T> + ?Sized), mode: Mode) {
    module.visit_mut(&Path::root(), &mut |_: &Path<'_>, leaf: LeafMut<'_, T>| {
        if let LeafMut::Mode(of_layer) = leaf {
            *of_layer = mode;
        }
    });
}

fn for_each_param_mut<T: Float>(module: &mut (impl Module<T> + ?Sized), change: fn(&mut Param<T>)) {
    module.visit_mut(&Path::root(), &mut |_: &Path<'_>, leaf: LeafMut<'_, T>| {
        if let LeafMut::Param(param) = leaf {
            change(param);
        }
    });
}
