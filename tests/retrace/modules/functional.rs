//! Layers with weights that are computed: weight normalisation, meta-learning, a network that makes another's weights.

use std::panic::{AssertUnwindSafe, catch_unwind};

use autograd::{Gradients, ModelProgram, NoGrad, Param, Scalar, Tape, Tensor, Var};
use nn::{Linear, Module, ModuleExt, loss::mse};

use super::{differences, linear, wave};

/// A function of a model and data.
type Loss<M> = for<'t> fn(&M, &'t Tape<f64>, Var<'t, f64>) -> Scalar<'t, f64>;

/// A loss and the gradients of a model, as bits.
fn bits(model: &impl Module<f64>, loss: f64, gradients: &Gradients<f64>) -> Vec<Vec<u64>> {
    let list = |x: &Tensor<f64>| x.iter().map(f64::to_bits).collect();
    let of_param = |param: &Param<f64>| gradients.get(param).map_or(Vec::new(), list);
    let all = model.named_parameters().into_iter().map(|(_, param)| of_param(param));
    std::iter::once(vec![loss.to_bits()]).chain(all).collect()
}

fn eager<M: Module<f64>>(model: &M, x: &Tensor<f64>, f: Loss<M>) -> Vec<Vec<u64>> {
    let tape = Tape::new();
    let loss = f(model, &tape, tape.constant(x));
    bits(model, loss.value().unwrap(), &loss.backward().unwrap())
}

/// The gradients of a model are its differences; a program gives the same bits, also after the model has moved.
fn check<M: Module<f64>>(model: &mut M, f: Loss<M>) {
    let x = NoGrad(wave(&[3, 2]));
    let found: Vec<f64> = eager(model, &x.0, f)[1..].iter().flatten().map(|&g| f64::from_bits(g)).collect();
    let expected = differences(model, |model| {
        let tape = Tape::new();
        f(model, &tape, tape.constant(&x.0)).value().unwrap()
    });
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{found} {expected}");
    }
    assert!(found.iter().all(|g| g.abs() > 1e-6), "{found:?}");
    let mut program = ModelProgram::record(model, &x, move |model: &M, tape, NoGrad(x)| f(model, tape, x)).unwrap();
    for _ in 0..3 {
        let (loss, gradients) = program.value_and_gradients(model, &x).unwrap();
        assert_eq!(bits(model, loss, &gradients), eager(model, &x.0, f));
        model.named_parameters_mut().into_iter().for_each(|(_, p)| p.set(p.value().mul(0.9).unwrap()).unwrap());
    }
    assert_eq!(program.report().recordings, 2, "its value, and its gradients");
}

/// PyTorch's `weight_norm`: w = g·v/‖v‖, with a norm and a length for each row.
#[derive(Module)]
struct WeightNorm {
    g: Param<f64>,
    v: Param<f64>,
    bias: Param<f64>,
    /// Whatever its values are, they do not matter.
    #[module(skip)]
    layer: Linear<f64>,
}

impl WeightNorm {
    fn new(layer: Linear<f64>) -> Self {
        let v = layer.weight.value().clone();
        let g = v.square().sum_axes([1]).unwrap().unsqueeze(1).unwrap().sqrt();
        Self { g: g.into(), v: v.into(), bias: Param::new([0.5, -0.5, 0.25]), layer }
    }

    fn forward<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        let v = x.param(&self.v);
        let w = x.param(&self.g) * v / v.norm_keepdim(2.0, [1]);
        x.tape().with_params(&self.layer, &[w, x.param(&self.bias)], || self.layer.forward(x))
    }
}

fn normed<'t>(model: &WeightNorm, _: &'t Tape<f64>, x: Var<'t, f64>) -> Scalar<'t, f64> {
    model.forward(x).sin().sum()
}

#[test]
fn weight_normalisation() {
    let mut model = WeightNorm::new(linear(2, 3, 0));
    let tape = Tape::new();
    let x = tape.constant(wave(&[3, 2]));
    let plain = Linear { weight: model.v.value().clone().into(), bias: Some(model.bias.clone()) };
    let y = plain.forward(x);
    model.forward(x).value().unwrap().close_to(&y.value().unwrap(), 1e-15, 1e-15).unwrap();
    // Salimans and Kingma, 2016: ∇g = ∇w·v/‖v‖, ∇v = g/‖v‖·∇w − g·∇g/‖v‖²·v, here with g = ‖v‖.
    let of_plain = y.sin().sum().backward().unwrap();
    let gradients = normed(&model, &tape, x).backward().unwrap();
    let (gw, v, g) = (of_plain.of(&plain.weight).unwrap(), model.v.value(), model.g.value());
    let gg = gw.mul(v).unwrap().sum_axes([1]).unwrap().unsqueeze(1).unwrap().div(g).unwrap();
    let gv = gw.sub(gg.mul(v).unwrap().div(g).unwrap()).unwrap();
    gradients.of(&model.g).unwrap().close_to(&gg, 1e-14, 1e-14).unwrap();
    gradients.of(&model.v).unwrap().close_to(&gv, 1e-14, 1e-14).unwrap();
    assert!(gradients.of(&model.layer.weight).is_err());
    check(&mut model, normed);
}

type Mlp = (Linear<f64>, Linear<f64>);

fn forward<'t>(model: &Mlp, x: Var<'t, f64>) -> Var<'t, f64> {
    model.1.forward(model.0.forward(x).tanh())
}

/// Model-agnostic meta-learning (Finn et al., 2017): the loss after a step of gradient descent on another task.
fn after_a_step<'t>(model: &Mlp, tape: &'t Tape<f64>, x: Var<'t, f64>) -> Scalar<'t, f64> {
    let weights = tape.params(model);
    let slopes = mse(forward(model, x), x.sin().sum_keepdim([1])).grad(weights.clone());
    let adapted: Vec<_> = weights.into_iter().zip(slopes).map(|(w, slope)| w - 0.3 * slope).collect();
    tape.with_params(model, &adapted, || mse(forward(model, x * 0.5), x.cos().sum_keepdim([1])))
}

fn after_two_steps<'t>(model: &Mlp, tape: &'t Tape<f64>, x: Var<'t, f64>) -> Scalar<'t, f64> {
    let weights = tape.params(model);
    let slopes = mse(forward(model, x), x.sin().sum_keepdim([1])).grad(weights.clone());
    let adapted: Vec<_> = weights.into_iter().zip(slopes).map(|(w, slope)| w - 0.3 * slope).collect();
    // Within the scope, `params` gives the adapted weights.
    tape.with_params(model, &adapted, || after_a_step(model, tape, x))
}

#[test]
fn meta_learning_through_a_step_and_through_two() {
    check(&mut (linear(2, 3, 0), linear(3, 1, 1)), after_a_step);
    check(&mut (linear(2, 3, 0), linear(3, 1, 1)), after_two_steps);
}

/// A network that makes the weights of a layer from a code.
#[derive(Module)]
struct Hypernetwork {
    code: Param<f64>,
    maker: Linear<f64>,
    /// It is not trained, and no part of what a program takes as its argument.
    #[module(skip)]
    target: Linear<f64>,
}

fn made<'t>(model: &Hypernetwork, tape: &'t Tape<f64>, x: Var<'t, f64>) -> Scalar<'t, f64> {
    let weights = model.maker.forward(tape.param(&model.code)).sin();
    let (weight, bias) = (weights.narrow(0, 0, 6).reshape([3, 2]), weights.narrow(0, 6, 3));
    tape.with_params(&model.target, &[weight, bias], || model.target.forward(x)).tanh().square().sum()
}

#[test]
fn a_network_makes_the_weights_of_another() {
    check(&mut Hypernetwork { code: Param::new([0.3, -0.8]), maker: linear(2, 9, 0), target: linear(2, 3, 1) }, made);
}

/// A parameter that is substituted is still one of the model: the program finds those that are used.
#[test]
fn a_program_takes_parameters_that_nobody_uses() {
    let model = (linear(2, 3, 0), Param::new([0.5]));
    let x = NoGrad(wave(&[3, 2]));
    let mut program =
        ModelProgram::record(&model, &x, |(layer, scale): &(Linear<f64>, Param<f64>), tape, NoGrad(x)| {
            let weight = tape.param(scale) * tape.constant(wave(&[3, 2]));
            tape.with_params(&layer.weight, &[weight], || layer.forward(x)).square().sum()
        })
        .unwrap();
    let (_, gradients) = program.value_and_gradients(&model, &x).unwrap();
    assert!(gradients.get(&model.0.weight).is_none());
    assert!(gradients.get(model.0.bias.as_ref().unwrap()).is_some() && gradients.get(&model.1).is_some());
}

#[test]
fn a_part_of_a_model_in_any_depth() {
    let model = (linear(2, 2, 0), vec![linear(2, 2, 1), linear(2, 1, 2)]);
    let tape = Tape::new();
    let x = tape.constant(wave(&[3, 2]));
    let run = || model.1.iter().fold(model.0.forward(x), |x, layer| layer.forward(x.tanh()));
    let bias = tape.var([10.0]);
    let moved = tape.with_params(&model.1[1].bias, &[bias], run);
    let own = model.1[1].bias.as_ref().unwrap();
    let expected = run().value().unwrap().sub(own.value()).unwrap().add(Tensor::from([10.0])).unwrap();
    moved.value().unwrap().close_to(&expected, 1e-14, 1e-14).unwrap();
    let gradients = moved.sum().backward().unwrap();
    assert_eq!(gradients.of(bias).unwrap().to_vec(), [3.0]);
    assert!(gradients.get(&model.1[1].weight).is_some() && gradients.of(own).is_err());
}

#[test]
fn scopes_nest_and_end_also_by_a_panic() {
    let param = Param::new([1.0_f64]);
    let tape = Tape::new();
    let (two, three) = (tape.constant([2.0]), tape.constant([3.0]));
    let now = || tape.param(&param).value().unwrap().to_vec()[0];
    let found = tape.with_params(&param, &[two], || {
        let inner = tape.with_params(&param, &[three], now);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            tape.with_params(&param, &[three], || -> f64 { std::panic::resume_unwind(Box::new(now())) })
        }));
        (inner, panicked.unwrap_err().downcast_ref().copied(), now())
    });
    assert_eq!((found, now()), ((3.0, Some(3.0), 2.0), 1.0));
}

#[test]
fn a_parameter_that_is_shown_twice_has_one_handle() {
    let twice = Twice(Param::new([1.0]));
    let tape = Tape::new();
    assert_eq!(tape.params(&twice).len(), 1);
    let (two, three) = (tape.constant([2.0]), tape.constant([3.0]));
    let now = || tape.param(&twice.0).value();
    assert_eq!(tape.with_params(&twice, &[two], now).unwrap().to_vec(), [2.0]);
    let error = tape.with_params(&twice, &[two, three], now).unwrap_err().to_string();
    assert!(error.starts_with("with_params: 2 handles are given for 1 parameters, at "), "{error}");
    let error = tape.with_params(&twice, &[tape.constant([2.0, 3.0])], now).unwrap_err().to_string();
    assert!(error.contains("the handle for one must have shape [1], found [2]"), "{error}");
    assert_eq!(now().unwrap().to_vec(), [1.0]);
}

/// A module that shows its parameter under two names.
struct Twice(Param<f64>);

impl Module<f64> for Twice {
    fn visit<'m>(&'m self, path: &nn::Path<'_>, visitor: &mut dyn nn::Visitor<'m, f64>) {
        self.0.visit(&path.field("one"), visitor);
        self.0.visit(&path.field("other"), visitor);
    }
    fn visit_mut<'m>(&'m mut self, path: &nn::Path<'_>, visitor: &mut dyn nn::VisitorMut<'m, f64>) {
        self.0.visit_mut(&path.field("one"), visitor);
    }
}

#[test]
fn a_frozen_parameter_has_the_handle_that_is_given_and_no_derivative_is_recorded_without_one() {
    let mut layer = linear(2, 1, 0).without_bias();
    layer.freeze();
    let tape = Tape::new();
    let (x, w) = (tape.constant(wave(&[3, 2])), tape.var([[1.0, 2.0]]));
    let run = || layer.forward(x).sum();
    let gradients = tape.with_params(&layer, &[w], run).backward().unwrap();
    gradients.of(w).unwrap().close_to(&x.sum_keepdim([0]).value().unwrap(), 1e-15, 1e-15).unwrap();
    let constant = tape.no_grad(|| tape.with_params(&layer, &[w], run));
    assert!(constant.backward().is_err());
}

#[test]
fn handles_that_do_not_fit_are_errors_that_name_the_parameter_and_the_users_line() {
    let model = (linear(2, 3, 0), linear(3, 1, 1));
    let text = |handles: &dyn for<'t> Fn(&'t Tape<f64>) -> Vec<Var<'t, f64>>| {
        let tape = Tape::new();
        let x = tape.constant(wave(&[3, 2]));
        let y = tape.with_params(&model, &handles(&tape), || forward(&model, x));
        assert!(forward(&model, x).value().is_ok(), "the scope has ended");
        y.value().unwrap_err().to_string()
    };
    let found = text(&|tape| {
        let mut handles = tape.params(&model);
        handles[2] = handles[2].t();
        handles
    });
    let expected = "with_params: the handle for 1.weight must have shape [1, 3], found [3, 1], at ";
    assert!(found.starts_with(expected) && found.contains(file!()), "{found}");
    let found = text(&|tape| tape.params(&model.0));
    assert!(found.starts_with("with_params: 2 handles are given for 4 parameters, at "), "{found}");
    let found = text(&|tape| vec![tape.param(&model.0.weight).matmul(tape.constant(wave(&[5, 5]))); 4]);
    assert!(found.starts_with("matmul: "), "{found}");
    let (tape, other) = (Tape::new(), Tape::new());
    let param = Param::new([1.0_f64]);
    let found = tape.with_params(&param, &[other.constant([2.0])], || tape.param(&param)).value().unwrap_err();
    assert!(found.to_string().starts_with("with_params: operands are on different tapes, at "), "{found}");
    assert!(other.failure().is_none());
    let tape = Tape::new();
    let found = tape.with_params(&param, &[tape.constant([2.0, 3.0])], || tape.param(&param)).value().unwrap_err();
    assert!(found.to_string().starts_with("with_params: the handle must have shape [1], found [2], at "), "{found}");
}

#[test]
fn shapes_alone_are_enough() {
    let layer = linear(2, 3, 0);
    let tape = Tape::of_shapes();
    let x = tape.placeholder([1 << 32, 2]);
    let doubled: Vec<_> = tape.params(&layer).into_iter().map(|w| w * 2.0).collect();
    assert_eq!(tape.with_params(&layer, &doubled, || layer.forward(x)).shape(), [1 << 32, 3].into());
    assert!(tape.failure().is_none());
}
