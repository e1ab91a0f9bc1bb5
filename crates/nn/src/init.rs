//! Initial values of parameters. Every draw comes from the caller's generator, so a seed gives the same model again.
//!
//! Fans: of a weight `[out, in, window…]`, fan in is in × window and fan out is out × window. A vector or a single number
//! counts as one row: both fans are its length.

use autograd::{Algebra, Float, Shape, Tensor};
use rand::{Rng, RngExt};

/// Every element `x`.
pub fn constant<T: Float>(shape: impl Into<Shape>, x: f64) -> Tensor<T> {
    Tensor::full(shape, T::from_f64(x))
}

/// Every element 0.
pub fn zeros<T: Float>(shape: impl Into<Shape>) -> Tensor<T> {
    Tensor::zeros(shape)
}

/// Every element 1.
pub fn ones<T: Float>(shape: impl Into<Shape>) -> Tensor<T> {
    Tensor::ones(shape)
}

/// Equally likely anywhere from `low` to `high`.
pub fn uniform<T: Float>(shape: impl Into<Shape>, low: f64, high: f64, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
    Tensor::uniform(shape, T::from_f64(low), T::from_f64(high), rng)
}

/// The normal distribution.
pub fn normal<T: Float>(shape: impl Into<Shape>, mean: f64, std: f64, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
    Tensor::normal(shape, T::from_f64(mean), T::from_f64(std), rng)
}

/// The normal distribution, given that the number lies from `low` to `high`.
///
/// By inversion: Φ⁻¹ of a uniform number between Φ(low) and Φ(high). Bounds more than about 8 standard deviations to one
/// side of the mean collapse onto the nearer one.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let x = nn::init::trunc_normal::<f32>([1000], 0.0, 1.0, [-0.5, 2.0], &mut StdRng::seed_from_u64(0));
/// assert!(x.iter().all(|x| (-0.5..=2.0).contains(&x)));
/// ```
pub fn trunc_normal<T: Float>(
    shape: impl Into<Shape>,
    mean: f64,
    std: f64,
    [low, high]: [f64; 2],
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    let root2 = std::f64::consts::SQRT_2;
    let [from, to] = [low, high].map(|bound| Algebra::erf((bound - mean) / (std * root2)));
    let draw = |_: &[usize]| {
        let x = mean + std * root2 * Algebra::erfinv(from + (to - from) * rng.random::<f64>());
        T::from_f64(x.max(low).min(high))
    };
    Tensor::from_fn(shape, draw)
}

/// Uniform within ±gain·√(6/(fan in + fan out)): keeps the variance, on average, of values forward and gradients back.
///
/// Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks*, AISTATS 2010.
pub fn xavier_uniform<T: Float>(shape: impl Into<Shape>, gain: f64, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
    let shape = shape.into();
    let bound = 3.0_f64.sqrt() * xavier_std(&shape, gain);
    uniform(shape, -bound, bound, rng)
}

/// Normal with standard deviation gain·√(2/(fan in + fan out)).
///
/// Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks*, AISTATS 2010.
pub fn xavier_normal<T: Float>(shape: impl Into<Shape>, gain: f64, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
    let shape = shape.into();
    let std = xavier_std(&shape, gain);
    normal(shape, 0.0, std, rng)
}

/// Uniform within ±gain·√(3/fan): keeps the variance of values (fan in) or of gradients (fan out).
///
/// ```
/// use nn::init::{Fan, Nonlinearity, kaiming_uniform};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let mut rng = StdRng::seed_from_u64(0);
/// let weight = kaiming_uniform::<f32>([16, 24], Fan::In, Nonlinearity::Relu, &mut rng);
/// assert!(weight.iter().all(|x| x.abs() <= 0.5));
/// ```
///
/// He et al., *Delving deep into rectifiers*, ICCV 2015.
pub fn kaiming_uniform<T: Float>(
    shape: impl Into<Shape>,
    fan: Fan,
    nonlinearity: Nonlinearity,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    let shape = shape.into();
    let bound = 3.0_f64.sqrt() * kaiming_std(&shape, fan, nonlinearity);
    uniform(shape, -bound, bound, rng)
}

/// Normal with standard deviation gain/√fan.
///
/// He et al., *Delving deep into rectifiers*, ICCV 2015.
pub fn kaiming_normal<T: Float>(
    shape: impl Into<Shape>,
    fan: Fan,
    nonlinearity: Nonlinearity,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    let shape = shape.into();
    let std = kaiming_std(&shape, fan, nonlinearity);
    normal(shape, 0.0, std, rng)
}

/// Uniform within ±√(3/fan in): for selu.
///
/// LeCun et al., *Efficient backprop*, 1998; Klambauer et al., *Self-normalizing neural networks*, NeurIPS 2017.
pub fn lecun_uniform<T: Float>(shape: impl Into<Shape>, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
    kaiming_uniform(shape, Fan::In, Nonlinearity::Linear, rng)
}

/// Normal with standard deviation √(1/fan in): for selu.
///
/// LeCun et al., *Efficient backprop*, 1998; Klambauer et al., *Self-normalizing neural networks*, NeurIPS 2017.
pub fn lecun_normal<T: Float>(shape: impl Into<Shape>, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
    kaiming_normal(shape, Fan::In, Nonlinearity::Linear, rng)
}

/// gain·Q for a random Q with orthonormal rows (or columns, where there are fewer), uniform among all such.
///
/// Axes after the first count as one. Q comes of a normal matrix by the modified Gram–Schmidt process, done twice, which is
/// orthogonal to rounding; its diagonal R is positive, as uniformity requires.
///
/// Saxe, McClelland and Ganguli, *Exact solutions to the nonlinear dynamics of learning in deep linear neural networks*,
/// ICLR 2014.
pub fn orthogonal<T: Float>(shape: impl Into<Shape>, gain: f64, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
    let shape = shape.into();
    let rows = shape.first().copied().unwrap_or(1);
    let columns = shape.len().checked_div(rows).unwrap_or(0);
    let (count, length) = (rows.min(columns), rows.max(columns));
    let drawn = Tensor::<f64>::normal([count, length], 0.0, 1.0, rng).to_vec();
    let mut vectors: Vec<&[f64]> = drawn.chunks_exact(length.max(1)).collect();
    let basis = orthonormal(&mut vectors);
    let at = |flat: usize| {
        let (row, column) = (flat / columns, flat % columns);
        let (vector, element) = if rows <= columns { (row, column) } else { (column, row) };
        T::from_f64(gain * basis[vector][element])
    };
    let mut flat = 0..shape.len();
    Tensor::from_fn(shape, |_| at(flat.next().unwrap_or(0)))
}

fn orthonormal(vectors: &mut [&[f64]]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(vectors.len());
    for vector in vectors {
        let mut vector = vector.to_vec();
        for other in basis.iter().chain(&basis) {
            let along: f64 = vector.iter().zip(other).map(|(x, y)| x * y).sum();
            vector.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        basis.push(vector);
    }
    basis
}

/// Which fan a [Kaiming](kaiming_uniform) distribution is scaled by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fan {
    /// The values that an output is computed from: keeps the variance of values.
    #[default]
    In,
    /// The values that an input goes into: keeps the variance of gradients.
    Out,
}

/// What follows the map that a weight belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nonlinearity {
    /// Nothing, or a convolution.
    Linear,
    /// The logistic function.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// max(0, x).
    Relu,
    /// max(0, x) + slope·min(0, x).
    LeakyRelu(f64),
    /// The self-normalising exponential unit.
    Selu,
}

/// By how much larger weights must be for what follows them: 1 for a linear map, √2 before a relu.
///
/// ```
/// use nn::init::{Nonlinearity, calculate_gain};
///
/// assert_eq!(calculate_gain(Nonlinearity::Tanh), 5.0 / 3.0);
/// ```
pub fn calculate_gain(nonlinearity: Nonlinearity) -> f64 {
    match nonlinearity {
        Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
        Nonlinearity::Tanh => 5.0 / 3.0,
        Nonlinearity::Relu => 2.0_f64.sqrt(),
        Nonlinearity::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
        Nonlinearity::Selu => 0.75,
    }
}

/// Fan in and fan out of a weight.
fn fans(shape: &Shape) -> [f64; 2] {
    match &**shape {
        [outputs, inputs, window @ ..] => {
            let window: f64 = window.iter().map(|&size| size as f64).product();
            [inputs, outputs].map(|&count| count as f64 * window)
        }
        _ => [shape.len() as f64; 2],
    }
}

fn xavier_std(shape: &Shape, gain: f64) -> f64 {
    let [inputs, outputs] = fans(shape);
    gain * (2.0 / (inputs + outputs).max(1.0)).sqrt()
}

fn kaiming_std(shape: &Shape, fan: Fan, nonlinearity: Nonlinearity) -> f64 {
    let [inputs, outputs] = fans(shape);
    let fan = if fan == Fan::In { inputs } else { outputs };
    calculate_gain(nonlinearity) / fan.max(1.0).sqrt()
}

/// Weight and bias as PyTorch's layers start: both uniform within ±1/√(fan in of the weight).
pub(crate) fn layer_default<T: Float>(
    weight: impl Into<Shape>,
    bias: usize,
    rng: &mut (impl Rng + ?Sized),
) -> [Tensor<T>; 2] {
    let weight = weight.into();
    let [fan_in, _] = fans(&weight);
    let bound = 1.0 / fan_in.max(1.0).sqrt();
    [weight, bias.into()].map(|shape| uniform(shape, -bound, bound, rng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn rng() -> StdRng {
        StdRng::seed_from_u64(11)
    }

    /// Standard deviation and largest size.
    fn spread(x: &Tensor<f64>) -> [f64; 2] {
        let mean_square = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        [mean_square.sqrt(), x.iter().fold(0.0, |largest, x| x.abs().max(largest))]
    }

    #[test]
    fn spreads_are_those_of_the_papers() {
        let shape = [64, 32, 5, 3];
        let (fan_in, fan_out) = (480.0_f64, 960.0_f64);
        let xavier = (2.0 / (fan_in + fan_out)).sqrt();
        let cases: [(Tensor<f64>, f64, bool); 6] = [
            (xavier_uniform(shape, 2.0, &mut rng()), 2.0 * xavier, true),
            (xavier_normal(shape, 1.0, &mut rng()), xavier, false),
            (kaiming_uniform(shape, Fan::In, Nonlinearity::Relu, &mut rng()), (2.0 / fan_in).sqrt(), true),
            (kaiming_normal(shape, Fan::Out, Nonlinearity::LeakyRelu(1.0), &mut rng()), fan_out.sqrt().recip(), false),
            (lecun_uniform(shape, &mut rng()), fan_in.sqrt().recip(), true),
            (layer_default(shape, 1, &mut rng())[0].clone(), (3.0 * fan_in).sqrt().recip(), true),
        ];
        for (k, (x, std, bounded)) in cases.iter().enumerate() {
            let [found, largest] = spread(x);
            assert!((found / std - 1.0).abs() < 0.02, "{k}: {found} is not {std}");
            assert_eq!(largest <= 3.0_f64.sqrt() * std, *bounded, "{k}");
        }
    }

    #[test]
    fn orthogonal_rows_or_columns_are_orthonormal() {
        for (shape, rows, columns) in
            [(vec![5, 8], 5, 8), (vec![8, 5], 8, 5), (vec![6, 2, 3], 6, 6), (vec![1, 4], 1, 4)]
        {
            let q = orthogonal::<f64>(shape, 3.0, &mut rng()).reshape([rows, columns]).unwrap();
            let t = q.t().unwrap();
            let gram = if rows <= columns { q.matmul(&t) } else { t.matmul(&q) }.unwrap();
            let expected = Tensor::eye(rows.min(columns)).map(|x: f64| 9.0 * x);
            gram.close_to(&expected, 0.0, 1e-13).unwrap();
        }
    }

    #[test]
    fn a_truncated_normal_has_its_mean() {
        let x = trunc_normal::<f64>([50_000], 1.0, 2.0, [0.0, 3.0], &mut rng());
        // mean + std·(φ(a) − φ(b))/(Φ(b) − Φ(a)) for a = −½, b = 1.
        let expected = 1.0 + 2.0 * (0.352_065_326_8 - 0.241_970_724_5) / (0.841_344_746_1 - 0.308_537_538_7);
        let mean = x.iter().sum::<f64>() / 50_000.0;
        assert!((mean - expected).abs() < 0.01, "{mean} is not {expected}");
    }

    #[test]
    fn empty_and_tiny_shapes_are_no_error() {
        for shape in [vec![], vec![0], vec![3], vec![0, 4], vec![4, 0], vec![2, 0, 3]] {
            let len: usize = shape.iter().product();
            assert_eq!(orthogonal::<f32>(shape.clone(), 1.0, &mut rng()).len(), len);
            let x = kaiming_normal::<f32>(shape.clone(), Fan::In, Nonlinearity::Relu, &mut rng());
            assert!(x.iter().all(|x| x.is_finite()));
            assert!(xavier_uniform::<f32>(shape, 1.0, &mut rng()).iter().all(|x| x.is_finite()));
        }
    }
}
