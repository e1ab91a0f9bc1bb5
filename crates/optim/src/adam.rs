//! Adam.

use autograd::{Algebra, Float, Result};

use crate::optimizer;
use crate::state::{State, Step};

/// Adam: steps along the running mean of the gradient, measured in units of its running size.
///
/// g ← ∇f(θ) + λθ; m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; m̂ = m/(1 − β₁ᵗ); v̂ = v/(1 − β₂ᵗ); θ ← θ − γm̂/(√v̂ + ε).
///
/// With `amsgrad`, √v̂ is taken of the largest v so far. γ is the rate, λ the weight decay: here a part of the gradient,
/// which Adam then scales; see [`AdamW`](crate::AdamW) for decay that it does not.
///
/// ```
/// use optim::{Adam, AdamConfig};
///
/// let adam = Adam::<f32>::new(3e-4);
/// let amsgrad = Adam::<f32>::with_config(AdamConfig { amsgrad: true, ..Default::default() });
/// assert_eq!((adam.rate(), amsgrad.rate()), (3e-4, 1e-3));
/// ```
///
/// Kingma and Ba, *Adam: a method for stochastic optimization*, ICLR 2015, whose defaults these are; Reddi, Kale and Kumar,
/// *On the convergence of Adam and beyond*, ICLR 2018.
#[derive(Debug, Clone)]
pub struct Adam<T: Float = f32> {
    config: AdamConfig,
    state: State<T, 3>,
}

/// Settings of [`Adam`].
#[derive(Debug, Clone, PartialEq)]
pub struct AdamConfig {
    /// γ, the learning rate. Default: 0.001.
    pub rate: f64,
    /// β₁ and β₂: how slowly the means of g and of g² forget. Default: 0.9 and 0.999.
    pub betas: [f64; 2],
    /// ε: the size below which a gradient counts as noise. Default: 10⁻⁸.
    pub epsilon: f64,
    /// λ. Default: 0.
    pub weight_decay: f64,
    /// Whether the largest mean of g² counts instead of the last one. Default: no.
    pub amsgrad: bool,
    /// Whether to climb instead of to descend. Default: no.
    pub maximize: bool,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { rate: 1e-3, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0, amsgrad: false, maximize: false }
    }
}

optimizer!(Adam, AdamConfig, TENSORS);

/// m, v, and the largest v.
pub(crate) const TENSORS: [&str; 3] = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

impl AdamConfig {
    /// What the tensors start with; the largest v is needed with `amsgrad` only.
    pub(crate) fn initial(&self) -> [Option<f64>; 3] {
        [Some(0.0), Some(0.0), self.amsgrad.then_some(0.0)]
    }

    fn update<T: Float>(&self, step: Step<'_, T, 3>) -> Result<()> {
        self.update_shrunk(step, 1.0)
    }

    /// One step of a parameter that is first multiplied by `shrink`.
    pub(crate) fn update_shrunk<T: Float>(&self, step: Step<'_, T, 3>, shrink: f64) -> Result<()> {
        let Step { param, gradient, step, state: [mean, square, largest] } = step;
        let [beta1, beta2] = self.betas;
        let [correction1, correction2] = self.betas.map(|beta| 1.0 - beta.powf(step as f64));
        let rate = T::from_f64(self.rate / correction1);
        let scale = T::from_f64(1.0 / correction2.sqrt());
        let [fresh1, fresh2] = [1.0 - beta1, 1.0 - beta2].map(T::from_f64);
        let [beta2, epsilon, decay, shrink] = [beta2, self.epsilon, self.weight_decay, shrink].map(T::from_f64);
        let sign = if self.maximize { -T::ONE } else { T::ONE };
        let moments = move |x: T, g: T, m: T, v: T| {
            let g = sign * g + decay * x;
            (m + fresh1 * (g - m), beta2 * v + fresh2 * g * g)
        };
        let moved = move |x: T, m: T, v: T| shrink * x - rate * m / (Algebra::sqrt(v) * scale + epsilon);
        if self.amsgrad {
            return param.update_with(gradient, [mean, square, largest], |x, g, [m, v, l]| {
                let (m, v) = moments(x, g, m, v);
                let l = if v > l { v } else { l };
                (moved(x, m, l), [m, v, l])
            });
        }
        param.update_with(gradient, [mean, square], |x, g, [m, v]| {
            let (m, v) = moments(x, g, m, v);
            (moved(x, m, v), [m, v])
        })
    }
}
