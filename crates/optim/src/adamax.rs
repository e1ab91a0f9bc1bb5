//! Adamax.

use autograd::{Algebra, Float, Result};

use crate::optimizer;
use crate::state::{State, Step};

/// Adamax: Adam with the largest gradient, slowly forgotten, as its measure in place of a root mean square.
///
/// g ← ∇f(θ) + λθ; m ← β₁m + (1 − β₁)g; u ← max(β₂u, |g| + ε); θ ← θ − γ/(1 − β₁ᵗ)·m/u.
///
/// γ is the rate, λ the weight decay. No step of an element is longer than about γ, and no correction of u is needed at the
/// start.
///
/// ```
/// use autograd::{Param, Tape};
/// use optim::Adamax;
///
/// let mut model = Param::<f32>::new([1.0, 1.0]);
/// let tape = Tape::new();
/// let gradients = (tape.param(&model) * tape.constant([1000.0, 0.001])).sum().backward()?;
/// Adamax::new(0.1).step(&mut model, &gradients)?;
/// // The first step is as long whatever the size of the gradient.
/// assert!(model.value().iter().all(|x| (x - 0.9).abs() < 1e-5));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Kingma and Ba, *Adam: a method for stochastic optimization*, ICLR 2015, section 7.1. The defaults are PyTorch's.
#[derive(Debug, Clone)]
pub struct Adamax<T: Float = f32> {
    config: AdamaxConfig,
    state: State<T, 2>,
}

/// Settings of [`Adamax`].
#[derive(Debug, Clone, PartialEq)]
pub struct AdamaxConfig {
    /// γ, the learning rate. Default: 0.002.
    pub rate: f64,
    /// β₁ and β₂: how slowly the mean of g and the largest |g| forget. Default: 0.9 and 0.999.
    pub betas: [f64; 2],
    /// ε: the size below which a gradient counts as noise. Default: 10⁻⁸.
    pub epsilon: f64,
    /// λ. Default: 0.
    pub weight_decay: f64,
    /// Whether to climb instead of to descend. Default: no.
    pub maximize: bool,
}

impl Default for AdamaxConfig {
    fn default() -> Self {
        Self { rate: 2e-3, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0, maximize: false }
    }
}

optimizer!(Adamax, AdamaxConfig, ["exp_avg", "exp_inf"]);

impl AdamaxConfig {
    fn initial(&self) -> [Option<f64>; 2] {
        [Some(0.0); 2]
    }

    fn update<T: Float>(&self, Step { param, gradient, step, state: [mean, largest] }: Step<'_, T, 2>) -> Result<()> {
        let [beta1, beta2] = self.betas;
        let rate = T::from_f64(self.rate / (1.0 - beta1.powf(step as f64)));
        let [fresh, beta2, epsilon, decay] = [1.0 - beta1, beta2, self.epsilon, self.weight_decay].map(T::from_f64);
        let sign = if self.maximize { -T::ONE } else { T::ONE };
        param.update_with(gradient, [mean, largest], |x, g, [m, u]| {
            let g = sign * g + decay * x;
            let m = m + fresh * (g - m);
            let u = Algebra::maximum(beta2 * u, Algebra::abs(g) + epsilon);
            (x - rate * m / u, [m, u])
        })
    }
}
