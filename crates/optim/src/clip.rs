//! Gradient clipping, between `backward` and `step`. It reads and changes the gradients of parameters only.

use autograd::{Float, Gradients, Tensor};

/// Scales all gradients down together so that their norm, as one vector, is at most `max`; returns the norm before.
///
/// g ← g·min(1, max/(‖g‖ + 10⁻⁶)), as in PyTorch. The norm is summed in f64. A norm that is not finite makes the gradients
/// 0 (or not a number where they were not finite): test the returned norm where that may happen.
///
/// ```
/// use autograd::{Param, Tape, Tensor};
///
/// let weight = Param::new(Tensor::from([3.0_f32, 4.0]));
/// let tape = Tape::new();
/// let mut gradients = tape.param(&weight).square().sum().backward()?;
/// assert_eq!(optim::clip_global_norm(&mut gradients, 1.0), 10.0);
/// gradients.of(&weight)?.close_to(&Tensor::from([0.6, 0.8]), 1e-5, 0.0)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks*, ICML 2013.
pub fn clip_global_norm<T: Float>(gradients: &mut Gradients<T>, max: f64) -> f64 {
    clip_norm(gradients, max, 2.0)
}

/// Like [`clip_global_norm`], with the p-norm (Σ|g|ᵖ)^(1/p); p = ∞ is the largest |g|.
pub fn clip_norm<T: Float>(gradients: &mut Gradients<T>, max: f64, p: f64) -> f64 {
    let norm = norm(gradients, p);
    let factor = max / (norm + 1e-6);
    // A factor of NaN scales too, so that it shows.
    if factor < 1.0 || factor.is_nan() {
        let factor = T::from_f64(factor);
        gradients.for_each_param_mut(|gradient| change(gradient, |g| g * factor));
    }
    norm
}

/// Moves every element of every gradient into [−max, max]; one that is not a number stays.
///
/// ```
/// use autograd::{Param, Tape, Tensor};
///
/// let weight = Param::new(Tensor::from([-3.0_f32, 0.25]));
/// let tape = Tape::new();
/// let mut gradients = tape.param(&weight).square().sum().backward()?;
/// optim::clip_value(&mut gradients, 1.0);
/// assert_eq!(gradients.of(&weight)?.to_vec(), [-1.0, 0.5]);
/// # Ok::<(), autograd::Error>(())
/// ```
pub fn clip_value<T: Float>(gradients: &mut Gradients<T>, max: f64) {
    let max = T::from_f64(max);
    gradients.for_each_param_mut(|gradient| {
        change(gradient, |g| {
            if g > max {
                max
            } else if g < -max {
                -max
            } else {
                g
            }
        })
    });
}

fn change<T: Float>(gradient: &mut Tensor<T>, f: impl Fn(T) -> T) {
    gradient.as_mut_slice().iter_mut().for_each(|g| *g = f(*g));
}

fn norm<T: Float>(gradients: &mut Gradients<T>, p: f64) -> f64 {
    if p == f64::INFINITY {
        return fold(gradients, |g| g.abs(), larger);
    }
    let add = |a, b| a + b;
    match p {
        2.0 => fold(gradients, |g| g * g, add).sqrt(),
        1.0 => fold(gradients, |g| g.abs(), add),
        _ => fold(gradients, |g| g.abs().powf(p), add).powf(1.0 / p),
    }
}

/// Joins `f` of every element in a fixed order: eight running values for each tensor, so that the loop has no chain.
fn fold<T: Float>(gradients: &mut Gradients<T>, f: impl Fn(f64) -> f64, join: impl Fn(f64, f64) -> f64) -> f64 {
    let mut total = 0.0;
    gradients.for_each_param_mut(|gradient| {
        let mut lanes = [0.0; 8];
        let (blocks, rest) = gradient.as_mut_slice().as_chunks::<8>();
        for block in blocks.iter().map(|block| &block[..]).chain([rest]) {
            lanes.iter_mut().zip(block).for_each(|(lane, g)| *lane = join(*lane, f(g.to_f64())));
        }
        total = lanes.into_iter().fold(total, &join);
    });
    total
}

/// The larger; NaN if either is.
fn larger(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{Param, Tape};

    fn gradients(values: &[f64]) -> (Param<f64>, Gradients<f64>) {
        let weight = Param::new(Tensor::zeros([values.len()]));
        let tape = Tape::new();
        let gradients = tape.param(&weight).dot(tape.constant(values)).backward().unwrap();
        (weight, gradients)
    }

    #[test]
    fn a_small_norm_changes_no_bit() {
        let values = [0.1, -0.3, 0.7];
        let (weight, mut gradients) = gradients(&values);
        clip_global_norm(&mut gradients, 1.0);
        assert_eq!(gradients.of(&weight).unwrap().to_vec(), values);
    }

    #[test]
    fn every_element_counts_in_every_norm() {
        let values: Vec<f64> = (1..=21).map(|i| if i % 2 == 0 { -f64::from(i) } else { f64::from(i) }).collect();
        for (p, expected) in [(1.0, 231.0), (2.0, 3311.0_f64.sqrt()), (3.0, 53361.0_f64.cbrt()), (f64::INFINITY, 21.0)]
        {
            let norm = clip_norm(&mut gradients(&values).1, 1e9, p);
            assert!((norm - expected).abs() < 1e-12 * expected, "{p}: {norm}");
        }
    }

    #[test]
    fn what_is_not_a_number_shows() {
        for p in [1.0, 2.0, f64::INFINITY] {
            let (weight, mut gradients) = gradients(&[1.0, f64::NAN, 2.0]);
            assert!(clip_norm(&mut gradients, 1.0, p).is_nan());
            assert!(gradients.of(&weight).unwrap().iter().all(f64::is_nan));
        }
        let (weight, mut gradients) = gradients(&[5.0, f64::NAN]);
        clip_value(&mut gradients, 1.0);
        assert_eq!(gradients.of(&weight).unwrap().to_vec()[0], 1.0);
        assert!(gradients.of(&weight).unwrap().to_vec()[1].is_nan());
    }
}
