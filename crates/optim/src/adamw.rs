//! AdamW.

use autograd::{Float, Result};

use crate::AdamConfig;
use crate::adam::TENSORS;
use crate::optimizer;
use crate::state::{State, Step};

/// Adam with decoupled weight decay: weights shrink by the same factor whatever the size of their gradients.
///
/// θ ← (1 − γλ)θ, and then a step of [`Adam`](crate::Adam) without decay.
///
/// ```
/// use optim::{AdamW, AdamWConfig};
///
/// let adamw = AdamW::<f32>::with_config(AdamWConfig { rate: 3e-4, weight_decay: 0.1, ..Default::default() });
/// assert_eq!(adamw.rate(), 3e-4);
/// ```
///
/// Loshchilov and Hutter, *Decoupled weight decay regularization*, ICLR 2019. The defaults are PyTorch's.
#[derive(Debug, Clone)]
pub struct AdamW<T: Float = f32> {
    config: AdamWConfig,
    state: State<T, 3>,
}

/// Settings of [`AdamW`].
#[derive(Debug, Clone, PartialEq)]
pub struct AdamWConfig {
    /// γ, the learning rate. Default: 0.001.
    pub rate: f64,
    /// β₁ and β₂: how slowly the means of g and of g² forget. Default: 0.9 and 0.999.
    pub betas: [f64; 2],
    /// ε: the size below which a gradient counts as noise. Default: 10⁻⁸.
    pub epsilon: f64,
    /// λ. Default: 0.01.
    pub weight_decay: f64,
    /// Whether the largest mean of g² counts instead of the last one. Default: no.
    pub amsgrad: bool,
    /// Whether to climb instead of to descend. Default: no.
    pub maximize: bool,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        let AdamConfig { rate, betas, epsilon, amsgrad, maximize, .. } = AdamConfig::default();
        Self { rate, betas, epsilon, weight_decay: 0.01, amsgrad, maximize }
    }
}

optimizer!(AdamW, AdamWConfig, TENSORS);

impl AdamWConfig {
    /// The part that is Adam's.
    fn adam(&self) -> AdamConfig {
        let Self { rate, betas, epsilon, amsgrad, maximize, .. } = *self;
        AdamConfig { rate, betas, epsilon, weight_decay: 0.0, amsgrad, maximize }
    }

    fn initial(&self) -> [Option<f64>; 3] {
        self.adam().initial()
    }

    fn update<T: Float>(&self, step: Step<'_, T, 3>) -> Result<()> {
        self.adam().update_shrunk(step, 1.0 - self.rate * self.weight_decay)
    }
}
