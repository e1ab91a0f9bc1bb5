//! Networks of our layers against PyTorch's numbers: `tests/reference/layers.*` and `recurrent.*` at the top.

mod recurrent;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use autograd::{
    Conv2dOptions, Padding, Tape, Tensor, Var, cat,
    module::{Leaf, Path},
};
use nn::loss::cross_entropy;
use nn::{AvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, Embedding, Flatten, LayerNorm, Linear, Module, ModuleExt};
use optim::Sgd;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

#[derive(Module)]
struct Network {
    conv: Conv2d,
    conv_norm: BatchNorm2d,
    pool: AvgPool2d,
    embedding: Embedding,
    hidden: Linear,
    hidden_norm: BatchNorm1d,
    layer_norm: LayerNorm,
    output: Linear,
}

impl Network {
    fn new() -> Self {
        let rng = &mut StdRng::seed_from_u64(0);
        let padded = Conv2dOptions { padding: Padding::from(1), ..Conv2dOptions::default() };
        Self {
            conv: Conv2d::with_options(1, 3, [3, 3], padded, rng),
            conv_norm: BatchNorm2d::new(3),
            pool: AvgPool2d::new([2, 2]),
            embedding: Embedding::new(5, 4, rng),
            hidden: Linear::new(16, 6, rng),
            hidden_norm: BatchNorm1d::new(6),
            layer_norm: LayerNorm::new(6),
            output: Linear::new(6, 3, rng).without_bias(),
        }
    }

    fn forward<'t>(&self, images: Var<'t>, tokens: &Tensor<usize>) -> Var<'t> {
        let x = self.conv_norm.forward(self.conv.forward(images)).relu();
        let x = Flatten.forward(self.pool.forward(x));
        let x = cat(&[x, self.embedding.forward(x.tape(), tokens)], 1);
        let x = self.hidden_norm.forward(self.hidden.forward(x)).tanh();
        self.output.forward(self.layer_norm.forward(x))
    }

    /// Every parameter, buffer and counter.
    fn state(&self) -> BTreeMap<String, Tensor> {
        let mut state = BTreeMap::new();
        self.visit(&Path::root(), &mut |path: &Path<'_>, leaf: Leaf<'_, f32>| {
            _ = match leaf {
                Leaf::Param(param) => state.insert(path.to_string(), param.value().clone()),
                Leaf::Buffer(buffer) => state.insert(path.to_string(), buffer.value()),
                Leaf::Counter(counter) => state.insert(path.to_string(), Tensor::scalar(counter.get() as f32)),
                Leaf::Mode(_) | Leaf::Setting(_) | Leaf::Generator(_) => None,
            }
        });
        state
    }
}

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../tests/reference", name].iter().collect()
}

fn tensor(x: &Value) -> Tensor {
    let list = |x: &Value| x.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect();
    let (shape, data): (Vec<f64>, Vec<f64>) = (list(&x["shape"]), list(&x["data"]));
    let shape: Vec<usize> = shape.into_iter().map(|n| n as usize).collect();
    Tensor::from_vec(shape, data.into_iter().map(|x| x as f32).collect()).expect("shape and data agree")
}

fn lines(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file(name)).expect("the file is part of the repository");
    text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

struct Reference {
    lines: Vec<Value>,
}

impl Reference {
    fn read() -> Self {
        Self { lines: lines("layers.jsonl") }
    }

    fn inputs(&self) -> (Tensor, Tensor<usize>, Tensor<usize>) {
        let inputs = &self.lines[1]["inputs"];
        let index = |name: &str| tensor(&inputs[name]).map(|x| x as usize);
        (tensor(&inputs["images"]), index("tokens"), index("labels"))
    }

    /// Compares output, loss and every gradient with a line, and takes one step of gradient descent if asked to.
    fn compare(&self, model: &mut Network, line: usize, rate: Option<f64>) -> Result<(), Box<dyn Error>> {
        let (expected, (images, tokens, labels)) = (&self.lines[line], self.inputs());
        let tape = Tape::new();
        let images = tape.var(images);
        let output = model.forward(images, &tokens);
        let loss = cross_entropy(output, &labels);
        let gradients = loss.backward()?;
        output.value()?.close_to(&tensor(&expected["output"]), 1e-5, 1e-5)?;
        let loss_expected = expected["loss"].as_f64().expect("a number") as f32;
        assert!((loss.value()? - loss_expected).abs() < 1e-5);
        let named = model.named_parameters();
        assert_eq!(named.len() + 1, expected["gradients"].as_object().expect("names").len());
        gradients.of(images)?.close_to(&tensor(&expected["gradients"]["images"]), 1e-4, 1e-5)?;
        for (name, param) in named {
            let close = gradients.of(param)?.close_to(&tensor(&expected["gradients"][&name]), 1e-4, 1e-5);
            close.map_err(|difference| format!("{name}: {difference}"))?;
        }
        if let Some(rate) = rate {
            Sgd::new(rate).step(model, &gradients)?;
        }
        Ok(())
    }
}

#[test]
fn forward_backward_and_statistics_are_pytorchs_in_both_modes() -> Result<(), Box<dyn Error>> {
    let reference = Reference::read();
    let mut model = Network::new();
    nn::load(file("layers.safetensors"), &mut model)?;
    model.eval();
    reference.compare(&mut model, 2, None)?;
    model.train();
    reference.compare(&mut model, 3, reference.lines[1]["lr"].as_f64())?;
    let expected = reference.lines[4]["state"].as_object().expect("names");
    let state = model.state();
    assert_eq!(state.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, found) in state {
        found.close_to(&tensor(&expected[&name]), 1e-5, 1e-6).map_err(|difference| format!("{name}: {difference}"))?;
    }
    model.eval();
    reference.compare(&mut model, 5, None)
}

#[test]
fn a_file_of_ours_has_the_names_types_and_shapes_of_pytorchs() -> Result<(), Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("{}-layers.safetensors", std::process::id()));
    let mut model = Network::new();
    nn::load(file("layers.safetensors"), &mut model)?;
    nn::save(&path, &model)?;
    let (ours, theirs) = (std::fs::read(&path)?, std::fs::read(file("layers.safetensors"))?);
    std::fs::remove_file(&path)?;
    let [ours, theirs] =
        [safetensors::SafeTensors::deserialize(&ours)?, safetensors::SafeTensors::deserialize(&theirs)?];
    assert_eq!(ours.len(), theirs.len());
    for (name, theirs) in theirs.iter() {
        let ours = ours.tensor(name)?;
        assert_eq!(
            (ours.dtype(), ours.shape(), ours.data()),
            (theirs.dtype(), theirs.shape(), theirs.data()),
            "{name}"
        );
    }
    Ok(())
}
