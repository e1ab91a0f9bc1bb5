//! What holds for every layer: its settings can be written in a struct, it can be cloned, and it runs with weights that are
//! computed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use autograd::{
    AvgPool2dOptions, Conv1dOptions, Conv2dOptions, ConvTranspose2dOptions, MaxPool2dOptions, ModelProgram, NoGrad,
    RnnActivation, Scalar, Tape, Tensor, Var, module::Mode,
};
use nn::*;

use super::{rng, wave};

/// A number of all elements, each with a weight of its own.
fn weighted<'t>(y: Var<'t, f64>) -> Scalar<'t, f64> {
    (y * y.tape().constant(wave(&y.shape()))).sum()
}

type Run<M> = for<'t> fn(&M, Var<'t, f64>) -> Var<'t, f64>;

/// The loss of a layer, then the gradients of some handles.
fn step<'t>(loss: Scalar<'t, f64>, handles: &[Var<'t, f64>]) -> Vec<Tensor<f64>> {
    let gradients = loss.backward().unwrap();
    let mut found = vec![Tensor::scalar(loss.value().unwrap())];
    found.extend(handles.iter().map(|&handle| gradients.of(handle).unwrap().clone()));
    found
}

/// A layer whose parameters are handles is the layer with their values. Every run takes a clone of the layer: it draws and
/// counts.
fn holds<M: Module<f64> + Clone>(name: &str, layer: M, x: &[usize], run: Run<M>) {
    let mut other = layer.clone();
    for (_, param) in other.named_parameters_mut() {
        param.set(param.value().mul(0.9).unwrap().add(0.05).unwrap()).unwrap();
    }
    let plain = |model: M| {
        let tape = Tape::new();
        let loss = weighted(run(&model, tape.constant(wave(x))));
        step(loss, &tape.params(&model))
    };
    let tape = Tape::new();
    let given: Vec<_> = other.named_parameters().into_iter().map(|(_, param)| tape.var(param.value())).collect();
    let model = layer.clone();
    let loss = tape.with_params(&model, &given, || weighted(run(&model, tape.constant(wave(x)))));
    let (found, expected) = (step(loss, &given), plain(other.clone()));
    assert!(found.len() > 1 && found == expected, "{name}: other values");
    assert!(found != plain(layer.clone()), "{name}: other values are others");
    let gradients = loss.backward().unwrap();
    assert!(
        model.named_parameters().iter().all(|(_, param)| gradients.get(param).is_none()),
        "{name}: no weight is left"
    );
    programs_follow(name, layer, other, x, run);
}

/// The same weights, computed from the parameters in a recorded step; the model changes after it.
fn programs_follow<M: Module<f64> + Clone>(name: &str, layer: M, other: M, x: &[usize], run: Run<M>) {
    let x = NoGrad(wave(x));
    let mut program = ModelProgram::record(&layer.clone(), &x, move |model: &M, tape, NoGrad(x)| {
        let handles: Vec<_> = tape.params(model).into_iter().map(|w| (w * 2.0).sin()).collect();
        tape.with_params(model, &handles, || weighted(run(model, x)))
    });
    let program = program.as_mut().unwrap_or_else(|error| panic!("{name}: {error}"));
    for model in [layer, other] {
        let (eager, replayed) = (model.clone(), model);
        let tape = Tape::new();
        let x_on_tape = tape.constant(&x.0);
        let weights = tape.params(&eager);
        let handles: Vec<_> = weights.iter().map(|&w| (w * 2.0).sin()).collect();
        let loss = tape.with_params(&eager, &handles, || weighted(run(&eager, x_on_tape)));
        let expected = step(loss, &weights);
        let (loss, gradients) = program.value_and_gradients(&replayed, &x).unwrap();
        let mut found = vec![Tensor::scalar(loss)];
        found.extend(replayed.named_parameters().into_iter().map(|(_, param)| gradients.get(param).unwrap().clone()));
        assert!(found == expected, "{name}: a program");
    }
}

#[test]
fn layers_with_other_weights_are_layers_with_those_values() {
    let (conv, transpose) = (
        Conv2dOptions { padding: autograd::Padding::Same, ..Conv2dOptions::default() },
        ConvTranspose2dOptions::default(),
    );
    holds("linear", Linear::new(4, 3, &mut rng()), &[2, 4], |m, x| m.forward(x));
    holds("bilinear", Bilinear::new([4, 4], 3, &mut rng()), &[2, 4], |m, x| m.forward(x, x.tanh()));
    holds("conv1d", Conv1d::new(2, 3, [3], &mut rng()), &[2, 2, 6], |m, x| m.forward(x));
    holds("conv2d", Conv2d::with_options(2, 3, [3, 2], conv, &mut rng()), &[2, 2, 4, 5], |m, x| m.forward(x));
    let transposed = ConvTranspose2d::with_options(2, 3, [3, 2], transpose, &mut rng());
    holds("conv_transpose2d", transposed, &[2, 2, 4, 5], |m, x| m.forward(x));
    holds("batch_norm1d", BatchNorm1d::new(3), &[4, 3], |m, x| m.forward(x));
    let mut used = BatchNorm2d::new(3);
    used.eval();
    holds("batch_norm2d", used, &[4, 3, 2, 2], |m, x| m.forward(x));
    holds("layer_norm", LayerNorm::new(4), &[3, 4], |m, x| m.forward(x));
    holds("rms_norm", RmsNorm::new(4), &[3, 4], |m, x| m.forward(x));
    holds("group_norm", GroupNorm::new(2, 4), &[2, 4, 3], |m, x| m.forward(x));
    holds("embedding", Embedding::new(5, 3, &mut rng()), &[1], |m, x| m.forward(x.tape(), Tensor::from([1, 4, 1])));
    let padded = Embedding::with_padding(5, 3, 1, &mut rng());
    holds("padded embedding", padded, &[1], |m, x| m.forward(x.tape(), Tensor::from([1, 4, 1])));
    holds("learned_positions", LearnedPositions::new(5, 3, &mut rng()), &[2, 4, 3], |m, x| m.forward(x));
}

#[test]
fn networks_with_other_weights_are_networks_with_those_values() {
    let config = RecurrentConfig { layers: 2, bidirectional: true, dropout: 0.25, batch_first: true };
    holds("lstm", Lstm::with_config(3, 2, config, &mut rng()), &[2, 4, 3], |m, x| m.forward(x));
    holds("gru", Gru::with_config(3, 2, config, &mut rng()), &[2, 4, 3], |m, x| m.forward(x));
    holds("rnn", Rnn::with_config(3, 2, config, &mut rng()), &[2, 4, 3], |m, x| m.forward(x));
    holds("lstm_cell", LstmCell::new(3, 2, &mut rng()), &[4, 3], |m, x| m.forward(x, None)[0]);
    holds("gru_cell", GruCell::new(3, 2, &mut rng()), &[4, 3], |m, x| m.forward(x, None));
    holds("rnn_cell", RnnCell::new(3, 2, &mut rng()), &[4, 3], |m, x| m.forward(x, None));
    holds("attention", MultiheadAttention::new(4, 2, &mut rng()), &[3, 2, 4], |m, x| m.forward(x, x * 0.5, x.tanh()));
    let config = TransformerConfig { feedforward: 3, ..TransformerConfig::default() };
    let (encoder, decoder) = (
        TransformerEncoder::new(2, 4, 2, &config, &mut rng()).with_norm(LayerNorm::new(4)),
        TransformerDecoder::new(2, 4, 2, &config, &mut rng()),
    );
    let layers = (
        TransformerEncoderLayer::with_config(4, 2, &config, &mut rng()),
        TransformerDecoderLayer::with_config(4, 2, &config, &mut rng()),
    );
    holds("encoder layer", layers.0, &[3, 2, 4], |m, x| m.forward(x));
    holds("decoder layer", layers.1, &[3, 2, 4], |m, x| m.forward(x, x * 0.5));
    holds("encoder", encoder, &[3, 2, 4], |m, x| m.forward(x));
    holds("decoder", decoder, &[3, 2, 4], |m, x| m.forward(x, x * 0.5));
    let stacked = Sequential::new().with(Linear::new(3, 4, &mut rng())).with(Tanh).with(Linear::new(4, 2, &mut rng()));
    holds("sequential", stacked, &[5, 3], |m, x| m.forward(x));
    let pair = (Linear::new(3, 4, &mut rng()), BTreeMap::from([("out", Linear::new(4, 2, &mut rng()))]));
    holds("containers", pair, &[5, 3], |m, x| m.1["out"].forward(m.0.forward(x).tanh()));
}

/// The names that a file re-exports with `pub use`, without those of activations.
fn exported() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/nn/src/layer.rs")).unwrap();
    let lists = text.split("pub use ").skip(1).map(|list| list.split(';').next().unwrap().to_string());
    let names = lists.filter(|list| !list.contains("activation")).flat_map(|list| {
        let names = list.rsplit("::").next().unwrap().to_string();
        names
            .split(|c: char| !c.is_alphanumeric())
            .filter(|name| !name.is_empty())
            .map(String::from)
            .collect::<Vec<_>>()
    });
    names.collect()
}

/// A layer that is new is tried above and below.
#[test]
fn every_layer_is_tried() {
    /// Those without parameters and settings, and what is no layer.
    const OTHERS: [&str; 6] =
        ["Flatten", "Identity", "SinusoidalPositions", "RotaryPositions", "AttentionMask", "TransformerActivation"];
    let text = include_str!("layers.rs");
    let missing: Vec<_> = exported()
        .into_iter()
        .filter(|name| !OTHERS.contains(&&**name) && name != "RecurrentParams")
        .filter(|name| !text.contains(&format!("{name}::")) && !text.contains(&format!("{name} {{")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(exported().len() > 30);
}

/// Every setting of a layer can be written in a struct, the rest of which is as in a new one.
#[test]
fn settings_are_written_as_struct_updates() {
    let rng = &mut rng();
    let (eval, masks) = (Mode::Eval, Generator::from_key(7));
    let norm = BatchNorm1d::<f64> { epsilon: 1e-3, momentum: None, mode: eval, ..BatchNorm1d::new(3) };
    assert_eq!((norm.epsilon, norm.momentum, norm.running_var.value()), (1e-3, None, Tensor::ones([3])));
    let _ = BatchNorm2d::<f64> { epsilon: 1e-3, mode: eval, ..BatchNorm2d::new(3) };
    let _ = LayerNorm::<f64> { epsilon: 1e-3, ..LayerNorm::new(3) };
    let _ = RmsNorm::<f64> { epsilon: 1e-3, ..RmsNorm::new(3) };
    let _ = GroupNorm::<f64> { epsilon: 1e-3, groups: 3, ..GroupNorm::new(1, 3) };
    let dropout = Dropout { probability: 0.25, mode: eval, ..Dropout::new(0.5, rng) };
    assert_eq!((dropout.probability, Dropout { masks, ..dropout }.masks.key()), (0.25, 7));
    let _ = Dropout2d { mode: eval, ..Dropout2d::new(0.5, rng) };
    let _ = AlphaDropout { mode: eval, ..AlphaDropout::new(0.5, rng) };
    let _ = Linear::<f64> { bias: None, ..Linear::new(2, 3, rng) };
    let _ = Embedding::<f64> { padding: Some(1), ..Embedding::new(2, 3, rng) };
    let _ = Conv1d::<f64> { options: Conv1dOptions::default(), ..Conv1d::new(2, 3, [3], rng) };
    let _ = Conv2d::<f64> { options: Conv2dOptions::default(), ..Conv2d::new(2, 3, [3, 3], rng) };
    let options = ConvTranspose2dOptions { stride: [2, 2], ..ConvTranspose2dOptions::default() };
    let _ = ConvTranspose2d::<f64> { options, ..ConvTranspose2d::new(2, 3, [3, 3], rng) };
    let _ = MaxPool2d { options: MaxPool2dOptions { ceil_mode: true, ..Default::default() }, ..MaxPool2d::new([2, 2]) };
    let _ = AvgPool2d { options: AvgPool2dOptions { ceil_mode: true, ..Default::default() }, ..AvgPool2d::new([2, 2]) };
    let _ = AdaptiveAvgPool2d { size: [1, 1] };
    let _ = MultiheadAttention::<f64> { heads: 1, batch_first: true, ..MultiheadAttention::new(4, 2, rng) };
    let config = TransformerConfig { feedforward: 3, ..TransformerConfig::default() };
    let encoder = TransformerEncoderLayer::<f64>::with_config(4, 2, &config, rng);
    let _ = TransformerEncoderLayer { norm_first: true, ..encoder };
    let decoder = TransformerDecoderLayer::<f64>::with_config(4, 2, &config, rng);
    let _ = TransformerDecoderLayer { activation: TransformerActivation::Gelu, ..decoder };
    let _ =
        TransformerEncoder::<f64> { norm: Some(LayerNorm::new(4)), ..TransformerEncoder::new(1, 4, 2, &config, rng) };
    let _ =
        TransformerDecoder::<f64> { norm: Some(LayerNorm::new(4)), ..TransformerDecoder::new(1, 4, 2, &config, rng) };
    let _ = LearnedPositions::<f64> { weight: Tensor::zeros([5, 3]).into() };
}

#[test]
fn settings_of_recurrent_networks_and_activations_are_written_as_struct_updates() {
    let rng = &mut rng();
    let config = RecurrentConfig { batch_first: true, ..RecurrentConfig::default() };
    let lstm = Lstm::<f64> { config, ..Lstm::new(3, 2, rng) };
    let tape = Tape::new();
    assert_eq!(lstm.forward(tape.constant(wave(&[5, 4, 3]))).shape(), [5, 4, 2].into());
    let (_, [h, _]) = lstm.forward_with_state(tape.constant(wave(&[5, 4, 3])), None);
    assert_eq!(h.shape(), [1, 5, 2].into());
    let _ = Gru::<f64> { config, mode: Mode::Eval, ..Gru::new(3, 2, rng) };
    let rnn = Rnn::<f64> { config, activation: RnnActivation::Relu, ..Rnn::new(3, 2, rng) };
    let cell = RnnCell { activation: RnnActivation::Relu, ..RnnCell::new(3, 2, rng) };
    let _ = RnnCell { params: rnn.params[0].clone(), ..cell };
    let _ = LstmCell { params: lstm.params[0].clone() };
    let _ = GruCell::<f64> { ..GruCell::new(3, 2, rng) };
    let _ = (LeakyRelu { slope: 0.1 }, Elu { alpha: 2.0 }, Celu { alpha: 2.0 });
    let _ = (Softplus { beta: 2.0 }, Hardshrink { lambda: 1.0 }, Softshrink { lambda: 1.0 });
}

/// Those without parameters; the others are cloned above.
#[test]
fn every_layer_can_be_cloned() {
    fn is_clone<M: Clone + Module<f64>>() {}
    is_clone::<(Dropout, Dropout2d, AlphaDropout, Flatten, Identity, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d)>();
    is_clone::<(SinusoidalPositions, RotaryPositions, Option<Box<Linear<f64>>>, [Vec<Tanh>; 2])>();
}
