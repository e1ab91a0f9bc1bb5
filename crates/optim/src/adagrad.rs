//! Adagrad.

use autograd::{Algebra, Float, Result};

use crate::optimizer;
use crate::state::{State, Step};

/// Adagrad: steps in units of the root of all squared gradients so far, so that rare features keep a large rate.
///
/// g ← ∇f(θ) + λθ; s ← s + g²; θ ← θ − γ/(1 + (t − 1)η)·g/(√s + ε).
///
/// γ is the rate, η its decay, λ the weight decay, t the step, counted from one.
///
/// ```
/// use optim::Adagrad;
///
/// assert_eq!(Adagrad::<f32>::new(0.1).config().epsilon, 1e-10);
/// ```
///
/// Duchi, Hazan and Singer, *Adaptive subgradient methods for online learning and stochastic optimization*, JMLR 2011. The
/// defaults are PyTorch's.
#[derive(Debug, Clone)]
pub struct Adagrad<T: Float = f32> {
    config: AdagradConfig,
    state: State<T, 1>,
}

/// Settings of [`Adagrad`].
#[derive(Debug, Clone, PartialEq)]
pub struct AdagradConfig {
    /// γ, the learning rate. Default: 0.01.
    pub rate: f64,
    /// η. Default: 0.
    pub rate_decay: f64,
    /// λ. Default: 0.
    pub weight_decay: f64,
    /// What s starts with. Default: 0.
    pub initial_sum: f64,
    /// ε. Default: 10⁻¹⁰.
    pub epsilon: f64,
    /// Whether to climb instead of to descend. Default: no.
    pub maximize: bool,
}

impl Default for AdagradConfig {
    fn default() -> Self {
        Self { rate: 1e-2, rate_decay: 0.0, weight_decay: 0.0, initial_sum: 0.0, epsilon: 1e-10, maximize: false }
    }
}

optimizer!(Adagrad, AdagradConfig, ["sum"]);

impl AdagradConfig {
    fn initial(&self) -> [Option<f64>; 1] {
        [Some(self.initial_sum)]
    }

    fn update<T: Float>(&self, Step { param, gradient, step, state: [sum] }: Step<'_, T, 1>) -> Result<()> {
        let rate = self.rate / (1.0 + (step - 1) as f64 * self.rate_decay);
        let [rate, decay, epsilon] = [rate, self.weight_decay, self.epsilon].map(T::from_f64);
        let sign = if self.maximize { -T::ONE } else { T::ONE };
        param.update_with(gradient, [sum], |x, g, [s]| {
            let g = sign * g + decay * x;
            let s = s + g * g;
            (x - rate * g / (Algebra::sqrt(s) + epsilon), [s])
        })
    }
}
