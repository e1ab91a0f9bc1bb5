//! The loss of a character LSTM with one weight for each gate and unit, as the benchmark suite ADBench (microsoft/ADBench)
//! defines it. A character is `width` bits; each layer has `width` units.
//!
//! The parameters are, for each layer, the weights of the gates (forget, input, output, change) and their biases, and then
//! the weights of the input, the weights of the output and its biases: width numbers each.

use autograd::Real;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::function::Function;

pub struct Lstm {
    pub layers: usize,
    pub width: usize,
    /// The first hidden and cell values of each layer.
    pub state: Vec<f64>,
    /// The bits of the text.
    pub text: Vec<f64>,
}

impl Lstm {
    pub fn random(layers: usize, width: usize, characters: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let state = (0..2 * layers * width).map(|_| rng.random_range(0.0..1.0)).collect();
        let text = (0..characters * width).map(|_| f64::from(rng.random_range(0..2_u8))).collect();
        Lstm { layers, width, state, text }
    }

    pub fn parameters(&self, seed: u64) -> Vec<f64> {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..self.width * (8 * self.layers + 3)).map(|_| rng.random_range(0.0..1.0)).collect()
    }
}

impl Function for Lstm {
    /// The mean over all bits of −target · (prediction − ln(2 + Σ e^prediction)).
    fn value<R: Real>(&self, x: &[R]) -> R {
        let b = self.width;
        let (layers, ends) = x.split_at(8 * self.layers * b);
        let (input_weight, output) = ends.split_at(b);
        let (output_weight, output_bias) = output.split_at(b);
        let mut state: Vec<R> = self.state.iter().map(|&x| R::of(x)).collect();
        let mut signal = vec![R::of(0.0); b];
        let mut total = R::of(0.0);
        let characters: Vec<&[f64]> = self.text.chunks(b).collect();
        for pair in characters.windows(2) {
            for i in 0..b {
                signal[i] = R::of(pair[0][i]) * input_weight[i];
            }
            for (layer, state) in layers.chunks(8 * b).zip(state.chunks_mut(2 * b)) {
                step(layer, state, &mut signal);
            }
            for i in 0..b {
                signal[i] = signal[i] * output_weight[i] + output_bias[i];
            }
            let normaliser = signal.iter().fold(R::of(2.0), |sum, x| sum + x.exp()).ln();
            for (&x, &target) in signal.iter().zip(pair[1]) {
                total += R::of(target) * (x - normaliser);
            }
        }
        -total / R::of((self.text.len() - b) as f64)
    }
}

/// One step of a layer; `signal` is its input and becomes its output.
fn step<R: Real>(layer: &[R], state: &mut [R], signal: &mut [R]) {
    let b = signal.len();
    let (hidden, cell) = state.split_at_mut(b);
    for i in 0..b {
        let gate = |gate: usize, x: R| x * layer[gate * b + i] + layer[(4 + gate) * b + i];
        let forget = gate(0, signal[i]).sigmoid();
        let input = gate(1, hidden[i]).sigmoid();
        let output = gate(2, signal[i]).sigmoid();
        let change = gate(3, hidden[i]).tanh();
        cell[i] = cell[i] * forget + input * change;
        hidden[i] = output * cell[i].tanh();
        signal[i] = hidden[i];
    }
}
