//! The likelihood of a Gaussian mixture with a prior, as the benchmark suite ADBench (microsoft/ADBench) defines it:
//!
//! Σₙ logsumexpₖ(αₖ + Σᵢ qₖᵢ − ½ ‖Qₖ(xₙ − μₖ)‖²) − N logsumexp(α) − ½ N D ln 2π − ln p(Q)
//!
//! Qₖ is lower triangular with diagonal exp(qₖ), a root of the inverse covariance; p is Wishart's density with parameters
//! γ and m, in the suite's sign. The numbers are α (K), μ (K × D), and for each component qₖ (D) and the rest of Qₖ column by
//! column.

use autograd::{Algebra, Real, Result, Scalar, Tape, Tensor, Var, cat};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::function::Function;

pub struct Mixture {
    pub dimension: usize,
    pub components: usize,
    /// N × D.
    pub points: Vec<f64>,
    pub gamma: f64,
    pub m: f64,
}

impl Mixture {
    pub fn random(dimension: usize, components: usize, points: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let points = (0..points * dimension).map(|_| rng.random_range(-2.0..2.0)).collect();
        Mixture { dimension, components, points, gamma: 1.0, m: 0.0 }
    }

    pub fn parameters(&self, seed: u64) -> Vec<f64> {
        let mut rng = StdRng::seed_from_u64(seed);
        let len = self.components * (1 + self.dimension + self.factor_len());
        (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// Numbers of one factor Qₖ.
    fn factor_len(&self) -> usize {
        self.dimension * (self.dimension + 1) / 2
    }

    /// α, μ, and the factors.
    fn parts<'x, R>(&self, x: &'x [R]) -> [&'x [R]; 3] {
        let (alpha, rest) = x.split_at(self.components);
        let (means, factors) = rest.split_at(self.components * self.dimension);
        [alpha, means, factors]
    }

    /// The terms without parameters: −½ N D ln 2π, and the normalisation of the prior.
    fn constant(&self) -> f64 {
        use std::f64::consts::{LN_2, PI};
        let d = self.dimension as f64;
        let degrees = d + self.m + 1.0;
        let gammas: f64 = (0..self.dimension).map(|j| (0.5 * (degrees - j as f64)).lgamma()).sum();
        let prior = degrees * d * (self.gamma.ln() - 0.5 * LN_2) - (0.25 * d * (d - 1.0) * PI.ln() + gammas);
        -0.5 * self.points.len() as f64 * (2.0 * PI).ln() - self.components as f64 * prior
    }
}

impl Function for Mixture {
    fn value<R: Real>(&self, x: &[R]) -> R {
        let factors = self.factors(x);
        self.points.chunks(self.dimension).fold(self.rest(x), |sum, point| {
            let point: Vec<R> = point.iter().map(|&x| R::of(x)).collect();
            sum + self.term_with(x, &factors, &point)
        })
    }
}

impl Mixture {
    /// What one point adds.
    pub fn term<R: Real>(&self, x: &[R], point: &[R]) -> R {
        self.term_with(x, &self.factors(x), point)
    }

    /// What all points add together, and the prior.
    pub fn rest<R: Real>(&self, x: &[R]) -> R {
        let [alpha, ..] = self.parts(x);
        let points = (self.points.len() / self.dimension) as f64;
        let result = R::of(self.constant()) - R::of(points) * logsumexp(alpha);
        self.factors(x).iter().fold(result, |result, factor| {
            let frobenius = squared_norm(&factor.diagonal) + squared_norm(factor.below);
            result + R::of(0.5 * self.gamma * self.gamma) * frobenius - R::of(self.m) * factor.log_determinant
        })
    }

    fn factors<'x, R: Real>(&self, x: &'x [R]) -> Vec<Factor<'x, R>> {
        let [.., factors] = self.parts(x);
        factors.chunks(self.factor_len()).map(|packed| Factor::new(packed, self.dimension)).collect()
    }

    fn term_with<R: Real>(&self, x: &[R], factors: &[Factor<'_, R>], point: &[R]) -> R {
        let d = self.dimension;
        let [alpha, means, _] = self.parts(x);
        let (mut centred, mut image) = (vec![R::of(0.0); d], vec![R::of(0.0); d]);
        let term = |(k, factor): (usize, &Factor<'_, R>)| {
            let pairs = point.iter().zip(&means[k * d..]);
            centred.iter_mut().zip(pairs).for_each(|(centred, (&x, &mean))| *centred = x - mean);
            factor.multiply(&centred, &mut image);
            alpha[k] + factor.log_determinant - R::of(0.5) * squared_norm(&image)
        };
        logsumexp(&factors.iter().enumerate().map(term).collect::<Vec<R>>())
    }
}

/// A factor Qₖ.
struct Factor<'x, R> {
    diagonal: Vec<R>,
    /// Column by column.
    below: &'x [R],
    log_determinant: R,
}

impl<'x, R: Real> Factor<'x, R> {
    fn new(packed: &'x [R], d: usize) -> Self {
        let (logarithms, below) = packed.split_at(d);
        let diagonal = logarithms.iter().map(|q| q.exp()).collect();
        Factor { diagonal, below, log_determinant: logarithms.iter().fold(R::of(0.0), |sum, &q| sum + q) }
    }

    /// y = Qx.
    fn multiply(&self, x: &[R], y: &mut [R]) {
        for ((y, &x), &q) in y.iter_mut().zip(x).zip(&self.diagonal) {
            *y = q * x;
        }
        let mut below = self.below.iter();
        for (j, &x) in x.iter().enumerate() {
            for (y, &q) in y[j + 1..].iter_mut().zip(&mut below) {
                *y += q * x;
            }
        }
    }
}

fn squared_norm<R: Real>(x: &[R]) -> R {
    x.iter().fold(R::of(0.0), |sum, &x| sum + x * x)
}

fn logsumexp<R: Real>(x: &[R]) -> R {
    let largest = x[1..].iter().fold(x[0], |largest, &x| largest.maximum(x));
    x.iter().fold(R::of(0.0), |sum, &x| sum + (x - largest).exp()).ln() + largest
}

/// The same, written with tensors.
pub struct Tensors {
    points: Tensor<f64>,
    /// Where each element of a factor, row by row, is among [exp q, the rest, zero].
    places: Tensor<usize>,
    constant: f64,
    gamma: f64,
    m: f64,
}

impl Tensors {
    pub fn new(mixture: &Mixture) -> Result<Self> {
        let d = mixture.dimension;
        let mut places = vec![mixture.factor_len(); d * d];
        (0..d).for_each(|i| places[i * d + i] = i);
        let below = (0..d).flat_map(|j| (j + 1..d).map(move |i| i * d + j));
        below.zip(d..).for_each(|(place, packed)| places[place] = packed);
        Ok(Tensors {
            points: Tensor::from_vec([mixture.points.len() / d, d], mixture.points.clone())?,
            places: places.into_iter().collect(),
            constant: mixture.constant(),
            gamma: mixture.gamma,
            m: mixture.m,
        })
    }

    /// Parameters as tensors: α (K), μ (K × D), factors (K × D(D + 1)/2).
    pub fn parameters(&self, mixture: &Mixture, x: &[f64]) -> Result<[Tensor<f64>; 3]> {
        let [alpha, means, factors] = mixture.parts(x);
        let k = mixture.components;
        Ok([
            Tensor::from(alpha),
            Tensor::from_vec([k, mixture.dimension], means.to_vec())?,
            Tensor::from_vec([k, mixture.factor_len()], factors.to_vec())?,
        ])
    }

    pub fn value<'t>(&self, tape: &'t Tape<f64>, [alpha, means, factors]: [Var<'t, f64>; 3]) -> Scalar<'t, f64> {
        let (k, d, n) = (means.size(0), means.size(1), self.points.shape()[0]);
        let (logarithms, below) = (factors.slice(1, ..d), factors.slice(1, d..));
        let (diagonal, log_determinants) = (logarithms.exp(), logarithms.sum_axes(1));
        let zeros = tape.constant(Tensor::zeros([k, 1]));
        let q = cat(&[diagonal, below, zeros], 1).index_select(1, &self.places).reshape([k, d, d]).transpose(1, 2);
        let images = tape.constant(&self.points).matmul(q) - means.reshape([k, 1, d]).matmul(q);
        let terms = (alpha + log_determinants).reshape([k, 1]) - images.square().sum_axes(2) * 0.5;
        let likelihood = terms.logsumexp(0).sum() - alpha.logsumexp(0).item() * n as f64;
        let frobenius = diagonal.square().sum() + below.square().sum();
        likelihood + frobenius * (0.5 * self.gamma * self.gamma) - log_determinants.sum() * self.m + self.constant
    }
}
