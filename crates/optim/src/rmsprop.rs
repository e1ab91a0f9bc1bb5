//! RMSprop.

use autograd::{Algebra, Float, Result};

use crate::optimizer;
use crate::state::{State, Step};

/// RMSprop: steps in units of the running root mean square of the gradient.
///
/// g ← ∇f(θ) + λθ; v ← αv + (1 − α)g²; s = g/(√v + ε); θ ← θ − γs, or b ← μb + s and θ ← θ − γb with momentum μ.
///
/// When centred, v is replaced by v − ḡ², the running variance, where ḡ ← αḡ + (1 − α)g. ε stands outside the root, as
/// in PyTorch.
///
/// ```
/// use optim::{RmsProp, RmsPropConfig};
///
/// let rmsprop = RmsProp::<f32>::with_config(RmsPropConfig { centered: true, ..Default::default() });
/// assert_eq!(rmsprop.rate(), 0.01);
/// ```
///
/// Tieleman and Hinton, *Lecture 6.5: RMSprop*, Coursera, 2012; centred: Graves, *Generating sequences with recurrent
/// neural networks*, 2013. The defaults are PyTorch's.
#[derive(Debug, Clone)]
pub struct RmsProp<T: Float = f32> {
    config: RmsPropConfig,
    state: State<T, 3>,
}

/// Settings of [`RmsProp`].
#[derive(Debug, Clone, PartialEq)]
pub struct RmsPropConfig {
    /// γ, the learning rate. Default: 0.01.
    pub rate: f64,
    /// α: how slowly the mean of g² forgets. Default: 0.99.
    pub alpha: f64,
    /// ε. Default: 10⁻⁸.
    pub epsilon: f64,
    /// λ. Default: 0.
    pub weight_decay: f64,
    /// μ. Default: 0.
    pub momentum: f64,
    /// Whether the variance counts instead of the mean square. Default: no.
    pub centered: bool,
    /// Whether to climb instead of to descend. Default: no.
    pub maximize: bool,
}

impl Default for RmsPropConfig {
    fn default() -> Self {
        Self {
            rate: 1e-2,
            alpha: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
            maximize: false,
        }
    }
}

optimizer!(RmsProp, RmsPropConfig, ["square_avg", "grad_avg", "momentum_buffer"]);

impl RmsPropConfig {
    fn initial(&self) -> [Option<f64>; 3] {
        [Some(0.0), self.centered.then_some(0.0), (self.momentum != 0.0).then_some(0.0)]
    }

    fn update<T: Float>(&self, step: Step<'_, T, 3>) -> Result<()> {
        let Step { param, gradient, state: [square, mean, velocity], .. } = step;
        let [rate, alpha, fresh] = [self.rate, self.alpha, 1.0 - self.alpha].map(T::from_f64);
        let [epsilon, decay, momentum] = [self.epsilon, self.weight_decay, self.momentum].map(T::from_f64);
        let sign = if self.maximize { -T::ONE } else { T::ONE };
        let total = move |x: T, g: T| sign * g + decay * x;
        let squared = move |g: T, v: T| alpha * v + fresh * g * g;
        let averaged = move |g: T, m: T| m + fresh * (g - m);
        let scaled = move |g: T, v: T| g / (Algebra::sqrt(v) + epsilon);
        match (self.centered, self.momentum != 0.0) {
            (false, false) => param.update_with(gradient, [square], |x, g, [v]| {
                let g = total(x, g);
                let v = squared(g, v);
                (x - rate * scaled(g, v), [v])
            }),
            (true, false) => param.update_with(gradient, [square, mean], |x, g, [v, m]| {
                let g = total(x, g);
                let (v, m) = (squared(g, v), averaged(g, m));
                (x - rate * scaled(g, v - m * m), [v, m])
            }),
            (false, true) => param.update_with(gradient, [square, velocity], |x, g, [v, b]| {
                let g = total(x, g);
                let v = squared(g, v);
                let b = momentum * b + scaled(g, v);
                (x - rate * b, [v, b])
            }),
            (true, true) => param.update_with(gradient, [square, mean, velocity], |x, g, [v, m, b]| {
                let g = total(x, g);
                let (v, m) = (squared(g, v), averaged(g, m));
                let b = momentum * b + scaled(g, v - m * m);
                (x - rate * b, [v, m, b])
            }),
        }
    }
}
