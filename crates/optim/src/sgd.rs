//! Stochastic gradient descent.

use autograd::{Float, Result};

use crate::optimizer;
use crate::state::{State, Step};

/// Stochastic gradient descent, with momentum, dampening, Nesterov's form, and weight decay.
///
/// g ← ∇f(θ) + λθ; v ← μv + (1 − τ)g (v = g in the first step); θ ← θ − γv, or θ − γ(g + μv) in Nesterov's form.
///
/// γ is the rate, μ the momentum, τ the dampening, λ the weight decay. This is PyTorch's form, where the rate multiplies the
/// velocity; in Sutskever's it is part of the velocity, which differs when the rate changes.
///
/// ```
/// use optim::{Sgd, SgdConfig};
///
/// let plain = Sgd::<f32>::new(0.1);
/// let nesterov = Sgd::<f32>::with_config(SgdConfig { rate: 0.1, momentum: 0.9, nesterov: true, ..Default::default() });
/// assert_eq!((plain.rate(), nesterov.config().momentum), (0.1, 0.9));
/// ```
///
/// Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964; Nesterov, *A method for solving the
/// convex programming problem with convergence rate O(1/k²)*, 1983; Sutskever et al., *On the importance of
/// initialization and momentum in deep learning*, ICML 2013.
#[derive(Debug, Clone)]
pub struct Sgd<T: Float = f32> {
    config: SgdConfig,
    state: State<T, 1>,
}

/// Settings of [`Sgd`]; the defaults are PyTorch's.
#[derive(Debug, Clone, PartialEq)]
pub struct SgdConfig {
    /// γ, the learning rate. Default: 0.001.
    pub rate: f64,
    /// μ. Default: 0.
    pub momentum: f64,
    /// τ: how much less a new gradient counts in the velocity. Default: 0.
    pub dampening: f64,
    /// λ. Default: 0.
    pub weight_decay: f64,
    /// Whether the step looks ahead along the velocity. Default: no.
    pub nesterov: bool,
    /// Whether to climb instead of to descend. Default: no.
    pub maximize: bool,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self { rate: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false }
    }
}

optimizer!(Sgd, SgdConfig, ["momentum_buffer"]);

impl SgdConfig {
    /// The velocity starts at rest.
    fn initial(&self) -> [Option<f64>; 1] {
        [(self.momentum != 0.0).then_some(0.0)]
    }

    fn update<T: Float>(&self, Step { param, gradient, step, state: [velocity] }: Step<'_, T, 1>) -> Result<()> {
        let [rate, momentum, decay] = [self.rate, self.momentum, self.weight_decay].map(T::from_f64);
        let sign = if self.maximize { -T::ONE } else { T::ONE };
        if self.momentum == 0.0 {
            return param.update_with(gradient, [], |x, g, []| (x - rate * (sign * g + decay * x), []));
        }
        let fresh = T::from_f64(if step == 1 { 1.0 } else { 1.0 - self.dampening });
        let (of_gradient, of_velocity) = if self.nesterov { (T::ONE, momentum) } else { (T::ZERO, T::ONE) };
        param.update_with(gradient, [velocity], |x, g, [v]| {
            let g = sign * g + decay * x;
            let v = momentum * v + fresh * g;
            (x - rate * (of_gradient * g + of_velocity * v), [v])
        })
    }
}
