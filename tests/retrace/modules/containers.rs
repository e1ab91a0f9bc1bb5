//! Lists, tuples, maps and options of modules.

use std::collections::BTreeMap;

use autograd::{ModelProgram, NoGrad, Param, Tape, Tensor, Var};
use nn::{BatchNorm1d, Linear, Module, ModuleExt, load, save};
use optim::Sgd;

use super::{linear, names, values, wave};

#[test]
fn tuples_are_named_by_place_and_maps_by_key() {
    let heads = BTreeMap::from([("value".to_string(), linear(2, 1, 0)), ("policy".to_string(), linear(2, 3, 1))]);
    let model = (linear(4, 2, 2), [Some(linear(2, 2, 3)), None], (heads, 0.5, "a setting"));
    let expected = [
        "0.weight",
        "0.bias",
        "1.0.weight",
        "1.0.bias",
        "2.0.policy.weight",
        "2.0.policy.bias",
        "2.0.value.weight",
        "2.0.value.bias",
    ];
    assert_eq!(names(&model), expected);
}

#[test]
fn a_tuple_has_up_to_twelve() {
    let one = || Param::new([1.0_f64]);
    let all = (one(), one(), one(), one(), one(), one(), one(), one(), one(), one(), one(), one());
    assert_eq!(names(&all), (0..12).map(|place| place.to_string()).collect::<Vec<_>>());
    assert_eq!(ModuleExt::<f64>::parameter_count(&(one(),)), 1);
}

#[derive(Module, Clone)]
struct Model {
    body: (Linear<f64>, BatchNorm1d<f64>),
    heads: BTreeMap<String, Linear<f64>>,
    scales: BTreeMap<&'static str, f64>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let heads = ["mean", "deviation"].map(|name| (name.to_string(), linear(3, 2, seed + 1)));
        let scales = BTreeMap::from([("mean", 1.0), ("deviation", 0.5)]);
        Model { body: (linear(2, 3, seed), BatchNorm1d::new(3)), heads: heads.into(), scales }
    }

    fn forward<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        let hidden = self.body.1.forward(self.body.0.forward(x)).tanh();
        let heads = self.heads.iter().zip(0..);
        heads.fold(x * 0.0, |sum, ((name, head), place)| {
            sum + head.forward(hidden) * self.scales.get(&**name).map_or(1.0 + f64::from(place), |scale| *scale)
        })
    }
}

#[test]
fn files_of_tuples_and_maps_come_back() {
    let path = std::env::temp_dir().join(format!("{}-containers.safetensors", std::process::id()));
    let (model, mut again) = (Model::new(0), Model::new(5));
    model.forward(Tape::new().constant(wave(&[4, 2])));
    save(&path, &model).unwrap();
    load(&path, &mut again).unwrap();
    assert_eq!(values(&again), values(&model));
    assert_eq!(again.body.1.running_var.value(), model.body.1.running_var.value());
    let mut other = Model::new(0);
    let head = other.heads.remove("mean").unwrap();
    other.heads.insert("median".into(), head);
    let text = load(&path, &mut other).unwrap_err().to_string();
    let expected = "missing in the file: heads.median.weight, heads.median.bias; \
                    unexpected in the file: heads.mean.bias, heads.mean.weight";
    assert!(text.ends_with(expected), "{text}");
    std::fs::remove_file(&path).unwrap();
}

/// A dot in a key reads as a level of the path. Names that meet are an error of saving; others come back.
#[test]
fn keys_with_dots_and_empty_ones_are_saved_where_their_names_are_their_own() {
    let path = std::env::temp_dir().join(format!("{}-keys.safetensors", std::process::id()));
    let keys = ["", "a.b", "a"];
    let model = BTreeMap::from(keys.map(|key| (key, linear(1, 2, key.len() as u64))));
    assert_eq!(names(&model)[..4], [".weight", ".bias", "a.weight", "a.bias"]);
    save(&path, &model).unwrap();
    let mut again = BTreeMap::from(keys.map(|key| (key, linear(1, 2, 9))));
    load(&path, &mut again).unwrap();
    assert_eq!(values(&again), values(&model));
    let nested = |key| BTreeMap::from([(key, Param::<f64>::new([1.0]))]);
    let meet = BTreeMap::from([("a", nested("b.c")), ("a.b", nested("c"))]);
    let text = save(&path, &meet).unwrap_err().to_string();
    assert_eq!(text, "two tensors of the model are named \"a.b.c\"");
    let text = save(&path, &nested("__metadata__")).unwrap_err().to_string();
    assert_eq!(text, "a tensor of the model is named \"__metadata__\", which the format keeps for itself");
    std::fs::remove_file(&path).unwrap();
}

/// Keys and settings of a map are part of the form: code may find a module by them.
#[test]
fn programs_follow_what_changes_in_a_map() {
    let (mut model, x) = (Model::new(0), NoGrad(wave(&[4, 2])));
    let mut program =
        ModelProgram::record(&model, &x, |model: &Model, _, NoGrad(x)| model.forward(x).square().sum()).unwrap();
    let mut last = f64::NAN;
    let mut check = |model: &Model| {
        let tape = Tape::new();
        let loss = model.clone().forward(tape.constant(&x.0)).square().sum().value().unwrap();
        assert_eq!(program.value(&model.clone(), &x).unwrap(), loss);
        assert_ne!(std::mem::replace(&mut last, loss), loss);
    };
    check(&model);
    model.scales.insert("mean", 3.0);
    check(&model);
    let head = model.heads.remove("deviation").unwrap();
    model.heads.insert("median".into(), head);
    check(&model);
    model.heads.remove("median");
    check(&model);
}

#[test]
fn update_rules_move_what_tuples_hold() {
    let mut model = (linear(2, 2, 0), linear(2, 1, 1));
    let before = values(&model);
    let tape = Tape::new();
    let loss = model.1.forward(model.0.forward(tape.constant(wave(&[3, 2])))).square().sum();
    let gradients = loss.backward().unwrap();
    Sgd::new(0.1).step(&mut model, &gradients).unwrap();
    assert!(values(&model).iter().zip(&before).all(|(after, before)| after != before));
}

#[test]
fn parameters_and_buffers_are_found_by_name() {
    let mut model = (linear(2, 2, 0), [BatchNorm1d::<f64>::new(2)]);
    assert_eq!(model.parameter("1.0.bias").unwrap().value(), &Tensor::zeros([2]));
    model.parameter_mut("1.0.bias").unwrap().set(Tensor::ones([2])).unwrap();
    assert_eq!(model.1[0].bias.value(), &Tensor::ones([2]));
    assert!(model.parameter("1.0.running_mean").is_none() && model.parameter_mut("2").is_none());
    for (_, param) in model.named_parameters_mut() {
        param.set(param.value().mul(2.0).unwrap()).unwrap();
    }
    assert_eq!(model.1[0].weight.value(), &Tensor::full([2], 2.0));
    for (name, buffer) in model.named_buffers_mut() {
        buffer.value_mut().as_mut_slice().fill(name.len() as f64);
    }
    let lengths = ["1.0.running_mean", "1.0.running_var"].map(|name| name.len() as f64);
    assert_eq!(model.named_buffers().into_iter().map(|(_, b)| b.value().to_vec()[0]).collect::<Vec<_>>(), lengths);
    let one = Param::<f64>::new([1.0]);
    assert_eq!(ModuleExt::<f64>::parameter(&one, "").unwrap().value(), one.value());
}
