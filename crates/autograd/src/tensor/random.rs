//! Random tensors from a generator that the caller holds. Numbers are drawn in f64, so that f32 tensors are rounded f64 ones.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};

use super::{Tensor, refused};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::shape::Shape;

/// # Random numbers
impl<T: Float> Tensor<T> {
    /// Independent numbers, equally likely anywhere between `low` and `high` (`high` itself only by rounding).
    ///
    /// ```
    /// use autograd::Tensor;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let mut rng = StdRng::seed_from_u64(1);
    /// let x = Tensor::<f32>::uniform([2, 3], -1.0, 1.0, &mut rng);
    /// assert!(x.iter().all(|x| (-1.0..=1.0).contains(&x)));
    /// ```
    pub fn uniform(shape: impl Into<Shape>, low: T, high: T, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::drawn_uniform(shape.into(), low, high, rng).unwrap_or_else(refused)
    }

    pub(crate) fn drawn_uniform(
        shape: Shape,
        low: T,
        high: T,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<Self, ErrorKind> {
        let (low, high) = (low.to_f64(), high.to_f64());
        let mut draw = || T::from_f64(low + (high - low) * rng.random::<f64>());
        Self::build(shape, |elements| elements.fill_with(&mut draw))
    }

    /// Independent numbers of the normal distribution with this mean and standard deviation.
    ///
    /// By the method of Box and Muller (1958): √(−2 ln u)·(cos 2πv, sin 2πv) are two of them, for uniform u in (0, 1] and v.
    pub fn normal(shape: impl Into<Shape>, mean: T, std: T, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::drawn_normal(shape.into(), mean, std, rng).unwrap_or_else(refused)
    }

    pub(crate) fn drawn_normal(
        shape: Shape,
        mean: T,
        std: T,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<Self, ErrorKind> {
        let (mean, std) = (mean.to_f64(), std.to_f64());
        Self::build(shape, |elements| {
            for pair in elements.chunks_mut(2) {
                let radius = (-2.0 * libm::log(1.0 - rng.random::<f64>())).sqrt();
                let (sin, cos) = libm::sincos(TAU * rng.random::<f64>());
                pair.iter_mut().zip([cos, sin]).for_each(|(x, unit)| *x = T::from_f64(mean + std * radius * unit));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    /// Mean, variance, and the fourth central moment over the squared variance.
    fn moments(x: &Tensor<f64>) -> [f64; 3] {
        let mean = |f: &dyn Fn(f64) -> f64| x.iter().map(f).sum::<f64>() / x.len() as f64;
        let m = mean(&|x| x);
        let variance = mean(&|x| (x - m).powi(2));
        [m, variance, mean(&|x| (x - m).powi(4)) / variance.powi(2)]
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = StdRng::seed_from_u64(7);
        let [m, v, k] = moments(&Tensor::normal([100_001], 3.0, 2.0, &mut rng));
        assert!((m - 3.0).abs() < 0.03 && (v - 4.0).abs() < 0.08 && (k - 3.0).abs() < 0.1, "{m} {v} {k}");
        let [m, v, k] = moments(&Tensor::uniform([100_001], -1.0, 3.0, &mut rng));
        assert!((m - 1.0).abs() < 0.02 && (v - 4.0 / 3.0).abs() < 0.02 && (k - 1.8).abs() < 0.03, "{m} {v} {k}");
    }

    #[test]
    fn both_precisions_draw_the_same_numbers() {
        let rng = || StdRng::seed_from_u64(3);
        let wide = Tensor::<f64>::normal([3, 5], 0.0, 1.0, &mut rng());
        assert_eq!(wide.cast::<f32>(), Tensor::normal([3, 5], 0.0, 1.0, &mut rng()));
        let wide = Tensor::<f64>::uniform([3, 5], 0.0, 1.0, &mut rng());
        assert_eq!(wide.cast::<f32>(), Tensor::uniform([3, 5], 0.0, 1.0, &mut rng()));
    }

    #[test]
    fn neighbours_are_independent() {
        let x = Tensor::<f64>::normal([50_000, 2], 0.0, 1.0, &mut StdRng::seed_from_u64(5));
        let rows = x.as_slice().unwrap().as_chunks::<2>().0;
        let covariance = rows.iter().map(|[a, b]| a * b).sum::<f64>() / 50_000.0;
        assert!(covariance.abs() < 0.02, "{covariance}");
    }
}
