//! Recurrent layers and cells: outputs, last states, and gradients of everything, with and without lengths.

use std::error::Error;

use autograd::{RnnActivation, Tape, Tensor, Var};
use nn::{Gru, GruCell, Lstm, LstmCell, Module, ModuleExt, RecurrentConfig, Rnn, RnnCell};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::{file, lines, tensor};

#[derive(Module)]
struct Networks {
    lstm: Lstm,
    gru: Gru,
    rnn: Rnn,
    lstm_cell: LstmCell,
    gru_cell: GruCell,
    rnn_cell: RnnCell,
}

impl Networks {
    fn new() -> Self {
        let rng = &mut StdRng::seed_from_u64(0);
        let both_ways = RecurrentConfig { bidirectional: true, ..RecurrentConfig::default() };
        let batch_first = RecurrentConfig { layers: 2, batch_first: true, ..RecurrentConfig::default() };
        let mut rnn = Rnn::with_config(2, 3, both_ways, rng).without_bias();
        rnn.activation = RnnActivation::Relu;
        Self {
            lstm: Lstm::with_config(2, 3, RecurrentConfig { layers: 2, ..both_ways }, rng),
            gru: Gru::with_config(2, 3, batch_first, rng),
            rnn,
            lstm_cell: LstmCell::new(2, 3, rng),
            gru_cell: GruCell::new(2, 3, rng),
            rnn_cell: RnnCell::new(2, 3, rng),
        }
    }

    /// The outputs of a network, and the module that computes them.
    fn run<'t>(
        &self,
        name: &str,
        x: Var<'t>,
        states: &[Var<'t>],
        lengths: &Tensor<usize>,
    ) -> (Vec<Var<'t>>, &dyn Module) {
        let state = states.first().copied();
        let pair = <[Var<'t>; 2]>::try_from(states).ok();
        match name {
            "lstm" | "lstm with lengths" => {
                let (y, [h, c]) = match name {
                    "lstm" => self.lstm.forward_with_state(x, pair),
                    _ => self.lstm.forward_with_lengths(x, lengths, pair),
                };
                (vec![y, h, c], &self.lstm)
            }
            "gru" | "gru with lengths" => {
                let (y, h) = match name {
                    "gru" => self.gru.forward_with_state(x, state),
                    _ => self.gru.forward_with_lengths(x, lengths, state),
                };
                (vec![y, h], &self.gru)
            }
            "rnn" => (<[_; 2]>::from(self.rnn.forward_with_state(x, state)).to_vec(), &self.rnn),
            "lstm_cell" => (self.lstm_cell.forward(x, pair).to_vec(), &self.lstm_cell),
            "gru_cell" => (vec![self.gru_cell.forward(x, state)], &self.gru_cell),
            "rnn_cell" => (vec![self.rnn_cell.forward(x, state)], &self.rnn_cell),
            _ => panic!("{name} is not among the networks"),
        }
    }
}

/// Σ cos(i)·yᵢ.
fn weighted<'t>(y: Var<'t>) -> autograd::Scalar<'t> {
    let mut place = 0.0_f32..;
    let weights = Tensor::from_fn(y.shape(), |_| {
        let cosine = place.start.cos();
        place.start += 1.0;
        cosine
    });
    (y * y.tape().constant(weights)).sum()
}

#[test]
fn outputs_states_and_gradients_are_pytorchs() -> Result<(), Box<dyn Error>> {
    let mut networks = Networks::new();
    nn::load(file("recurrent.safetensors"), &mut networks)?;
    let lines = lines("recurrent.jsonl");
    let lengths = lines[1]["lengths"].as_array().expect("a list").iter();
    let lengths: Tensor<usize> = lengths.map(|n| n.as_u64().expect("a length") as usize).collect();
    for line in &lines[2..] {
        let name = line["network"].as_str().expect("a name");
        compare(&networks, name, line, &lengths).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn compare(networks: &Networks, name: &str, line: &Value, lengths: &Tensor<usize>) -> Result<(), Box<dyn Error>> {
    let list = |what: &str| line[what].as_array().expect("a list").iter().map(tensor).collect::<Vec<_>>();
    let tape = Tape::new();
    let x = tape.var(tensor(&line["x"]));
    let states: Vec<_> = list("states").iter().map(|state| tape.constant(state)).collect();
    let (outputs, module) = networks.run(name, x, &states, lengths);
    let expected = list("outputs");
    assert_eq!(outputs.len(), expected.len());
    for (found, expected) in outputs.iter().zip(&expected) {
        found.value()?.close_to(expected, 1e-5, 1e-6)?;
    }
    let gradients = outputs.into_iter().map(weighted).reduce(|a, b| a + b).expect("an output").backward()?;
    gradients.of(x)?.close_to(&tensor(&line["gradients"]["x"]), 1e-4, 1e-5)?;
    let named = module.named_parameters();
    assert_eq!(named.len() + 1, line["gradients"].as_object().expect("names").len());
    for (name, param) in named {
        let close = gradients.of(param)?.close_to(&tensor(&line["gradients"][&name]), 1e-4, 1e-5);
        close.map_err(|difference| format!("{name}: {difference}"))?;
    }
    Ok(())
}

#[test]
fn names_are_pytorchs() {
    let names = |module: &dyn Module| -> Vec<String> {
        module.named_parameters().into_iter().map(|(name, param)| format!("{name} {}", param.shape())).collect()
    };
    let networks = Networks::new();
    assert_eq!(
        names(&networks.rnn),
        ["weight_ih_l0 [3, 2]", "weight_hh_l0 [3, 3]", "weight_ih_l0_reverse [3, 2]", "weight_hh_l0_reverse [3, 3]"]
    );
    assert_eq!(names(&networks.gru_cell), ["weight_ih [9, 2]", "weight_hh [9, 3]", "bias_ih [9]", "bias_hh [9]"]);
    assert_eq!(names(&networks.lstm)[12], "weight_ih_l1_reverse [12, 6]");
}
