//! A small transformer against PyTorch's numbers: `tests/reference/transformer.*` at the top.

use std::error::Error;
use std::path::PathBuf;

use autograd::{Tape, Tensor, Var};
use nn::{
    AttentionMask, GroupNorm, LayerNorm, Module, ModuleExt, MultiheadAttention, RmsNorm, TransformerActivation,
    TransformerConfig, TransformerDecoder, TransformerEncoder,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

#[derive(Module)]
struct Transformer {
    encoder: TransformerEncoder<f64>,
    decoder: TransformerDecoder<f64>,
    attention: MultiheadAttention<f64>,
    rms_norm: RmsNorm<f64>,
    group_norm: GroupNorm<f64>,
}

impl Transformer {
    fn new() -> Self {
        let rng = &mut StdRng::seed_from_u64(0);
        let config = TransformerConfig { feedforward: 6, dropout: 0.0, ..TransformerConfig::default() };
        let activation = TransformerActivation::Gelu;
        let reading = TransformerConfig { activation, norm_first: true, ..config.clone() };
        let config = TransformerConfig { batch_first: true, ..config };
        Self {
            encoder: TransformerEncoder::new(2, 4, 2, &config, rng).with_norm(LayerNorm::new(4)),
            decoder: TransformerDecoder::new(2, 4, 2, &reading, rng),
            attention: MultiheadAttention::new(4, 4, rng).batch_first().without_bias(),
            rms_norm: RmsNorm::new(4),
            group_norm: GroupNorm::new(2, 4),
        }
    }

    fn forward<'t>(
        &self,
        [source, target]: [Var<'t, f64>; 2],
        padding: &Tensor<bool>,
        mask: &Tensor<bool>,
    ) -> Var<'t, f64> {
        let [padding, mask] = [padding, mask].map(|mask| source.tape().mask(mask));
        let padded = AttentionMask { key_padding_mask: Some(padding), ..AttentionMask::default() };
        let memory = self.encoder.forward_with(source, &padded);
        let x = self.decoder.forward_with(target, memory.transpose(0, 1), &AttentionMask::causal(), &padded);
        let x = x.transpose(0, 1);
        let masked = AttentionMask { attn_mask: Some(mask), ..padded };
        let found = self.attention.forward_with(x, memory, source, &masked);
        self.group_norm.forward(self.rms_norm.forward(x + found))
    }
}

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../tests/reference", name].iter().collect()
}

fn tensor(x: &Value) -> Tensor<f64> {
    let list = |x: &Value| x.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect();
    let (shape, data): (Vec<f64>, Vec<f64>) = (list(&x["shape"]), list(&x["data"]));
    let shape: Vec<usize> = shape.into_iter().map(|n| n as usize).collect();
    Tensor::from_vec(shape, data).expect("shape and data agree")
}

#[test]
fn output_and_gradients_are_pytorchs_in_both_modes() -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(file("transformer.jsonl"))?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let (inputs, expected) = (&lines[1]["inputs"], &lines[2]);
    let [padding, mask] = ["padding", "mask"].map(|name| tensor(&inputs[name]).map(|x| x != 0.0));
    let mut model = Transformer::new();
    nn::load(file("transformer.safetensors"), &mut model)?;
    for set_mode in [ModuleExt::eval, ModuleExt::train] {
        set_mode(&mut model);
        let tape = Tape::new();
        let sequences = ["source", "target"].map(|name| tape.var(tensor(&inputs[name])));
        let output = model.forward(sequences, &padding, &mask);
        output.value()?.close_to(&tensor(&expected["output"]), 1e-11, 1e-12)?;
        let gradients = (output * tape.constant(tensor(&inputs["weights"]))).sum().backward()?;
        let named = model.named_parameters();
        assert_eq!(named.len() + 2, expected["gradients"].as_object().expect("names").len());
        for (name, x) in ["source", "target"].into_iter().zip(sequences) {
            gradients.of(x)?.close_to(&tensor(&expected["gradients"][name]), 1e-10, 1e-11)?;
        }
        for (name, param) in named {
            let close = gradients.of(param)?.close_to(&tensor(&expected["gradients"][&name]), 1e-10, 1e-11);
            close.map_err(|difference| format!("{name}: {difference}"))?;
        }
    }
    Ok(())
}
