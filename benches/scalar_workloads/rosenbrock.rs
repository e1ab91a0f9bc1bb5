//! Rosenbrock's valley: Σᵢ 100·(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)².

use autograd::Real;

use super::function::Function;

pub struct Rosenbrock;

impl Rosenbrock {
    pub fn start(n: usize) -> Vec<f64> {
        (0..n).map(|i| -1.2 + 2.0 * i as f64 / n as f64).collect()
    }

    /// The value, and the gradient in `gradient`, by hand.
    pub fn by_hand(x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut sum = 0.0;
        for i in 0..x.len() - 1 {
            let (d, e) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            sum += 100.0 * d * d + e * e;
            gradient[i] -= 400.0 * d * x[i] + 2.0 * e;
            gradient[i + 1] += 200.0 * d;
        }
        sum
    }
}

impl Function for Rosenbrock {
    fn value<R: Real>(&self, x: &[R]) -> R {
        x.windows(2).fold(R::of(0.0), |sum, pair| {
            let (d, e) = (pair[1] - pair[0] * pair[0], R::of(1.0) - pair[0]);
            sum + (R::of(100.0) * d * d + e * e)
        })
    }
}
