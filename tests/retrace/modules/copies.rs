//! Clones of models, and values that go from one model to another.

use std::collections::BTreeMap;

use autograd::{ModelProgram, NoGrad, Param, Tape, Tensor};
use nn::{BatchNorm1d, Dropout, Linear, ModuleExt, Relu, Sequential, loss::mse};
use optim::Adam;

use super::{linear, rng, values, wave};

fn network() -> Sequential<f64> {
    let rng = &mut rng();
    Sequential::new()
        .with(Linear::new(3, 4, rng))
        .with(BatchNorm1d::new(4))
        .with(Relu)
        .apply(|x| x * 2.0)
        .with(Sequential::new().with(Dropout::new(0.25, rng)).with(Linear::new(4, 2, rng)))
}

#[test]
fn training_a_clone_leaves_the_original_alone() {
    let original = network();
    let before = (values(&original), original.named_buffers().into_iter().map(|(_, b)| b.value()).collect::<Vec<_>>());
    let (mut clone, mut adam) = (original.clone(), Adam::new(0.1));
    let first = values(&clone);
    let mut tape = Tape::new();
    for _ in 0..3 {
        let loss = mse(clone.forward(tape.constant(wave(&[5, 3]))), tape.constant(wave(&[5, 2])));
        adam.step(&mut clone, &loss.backward().unwrap()).unwrap();
        tape.clear();
    }
    assert_eq!(first, before.0);
    assert_ne!(values(&clone), before.0);
    let buffers: Vec<_> = original.named_buffers().into_iter().map(|(_, b)| b.value()).collect();
    assert_eq!((values(&original), buffers), before);
}

#[test]
fn a_tape_tells_a_clone_from_its_original() {
    let original = network();
    let clone = original.clone();
    let tape = Tape::new();
    let x = tape.constant(wave(&[5, 3]));
    // The clone's generator goes on where the original's was, so that both drop the same.
    let (y, of_clone) = (original.forward(x), clone.forward(x));
    assert_eq!(y.value().unwrap(), of_clone.value().unwrap());
    let gradients = (y.square().sum() + 3.0 * of_clone.square().sum()).backward().unwrap();
    for ((name, param), (_, copy)) in original.named_parameters().into_iter().zip(clone.named_parameters()) {
        let (of_original, of_clone) = (gradients.of(param).unwrap(), gradients.of(copy).unwrap());
        of_clone.close_to(&of_original.mul(3.0).unwrap(), 1e-12, 1e-12).unwrap_or_else(|d| panic!("{name}: {d}"));
    }
    let alone = y.square().sum().backward().unwrap();
    assert!(clone.named_parameters().into_iter().all(|(_, param)| alone.get(param).is_none()));
}

/// The closures of a clone are those of its original, and all else is alike: there is no other form to record.
#[test]
fn a_program_of_a_model_runs_its_clone() {
    let (original, x) = (network(), NoGrad(wave(&[5, 3])));
    let mut program =
        ModelProgram::record(&original, &x, |model: &Sequential<f64>, _, NoGrad(x)| model.forward(x).square().sum())
            .unwrap();
    let mut clone = original.clone();
    clone.parameter_mut("0.bias").unwrap().set(Tensor::ones([4])).unwrap();
    let tape = Tape::new();
    let again = clone.clone();
    let expected = again.forward(tape.constant(&x.0)).square().sum().value().unwrap();
    assert_eq!(program.value(&clone, &x).unwrap(), expected);
    assert_eq!(program.report().recordings, 1);
}

#[test]
fn a_clone_stays_frozen_and_in_its_mode() {
    let mut original = (linear(2, 2, 0), Dropout::new(0.5, &mut rng()));
    original.0.freeze();
    ModuleExt::<f64>::eval(&mut original.1);
    let clone = original.clone();
    assert!(!clone.0.weight.is_trainable() && clone.1.mode == nn::Mode::Eval);
}

#[test]
fn values_of_another_model_are_copied_or_approached() {
    let (mut target, online) = (network(), network());
    let mut target_of = |f: &dyn Fn(&mut Sequential<f64>)| {
        target.named_parameters_mut().into_iter().for_each(|(_, p)| p.set(wave(&p.shape().clone())).unwrap());
        f(&mut target);
        values(&target)
    };
    online.forward(Tape::new().constant(wave(&[5, 3])));
    let (starts, ends) = (target_of(&|_| ()), values(&online));
    assert_eq!(target_of(&|target| target.copy_from(&online).unwrap()), ends);
    for weight in [0.0, 0.005, 0.3, 0.7, 1.0] {
        let moved = target_of(&|target| target.lerp_from(&online, weight).unwrap());
        for ((start, end), moved) in starts.iter().zip(&ends).zip(moved) {
            let expected = start.mul(1.0 - weight).unwrap().add(end.mul(weight).unwrap()).unwrap();
            moved.close_to(&expected, 1e-14, 1e-14).unwrap();
            assert!(weight != 0.0 || moved == *start);
            assert!(weight != 1.0 || moved == *end);
        }
    }
    // Buffers and counters are not averaged.
    assert_eq!(target.named_buffers()[0].1.value(), online.named_buffers()[0].1.value());
    assert_ne!(target.named_buffers()[0].1.value(), Tensor::zeros([4]));
}

#[test]
fn models_that_differ_are_errors_that_change_nothing() {
    let mut model = (linear(2, 3, 0), BatchNorm1d::<f64>::new(3));
    let before = values(&model);
    let (line, text) = (line!(), model.copy_from(&(linear(2, 4, 1), BatchNorm1d::new(3))).unwrap_err().to_string());
    let expected = format!(
        "copy_from: the other model does not fit: 5 tensors fit; 0.bias has shape [3] in the model and [4] in the other \
         model; 0.weight has shape [3, 2] in the model and [4, 2] in the other model, at {}:{line}",
        file!()
    );
    assert_eq!(text, expected);
    let text = model.lerp_from(&(linear(2, 3, 1), linear(2, 3, 1)), 0.5).unwrap_err().to_string();
    let expected = "lerp_from: the other model does not fit: 3 tensors fit; missing in the other model: \
                    1.num_batches_tracked, 1.running_mean, 1.running_var; 1.weight has shape [3] in the model and [3, 2] \
                    in the other model, at ";
    assert!(text.starts_with(expected), "{text}");
    let text = (linear(2, 3, 0),).copy_from(&model).unwrap_err().to_string();
    assert!(text.contains("2 tensors fit; unexpected in the other model: 1.bias, 1.num_batches_tracked"), "{text}");
    let nested = |key| BTreeMap::from([(key, Param::<f64>::new([1.0]))]);
    let mut meet = BTreeMap::from([("a", nested("b.c")), ("a.b", nested("c"))]);
    let other = meet.clone();
    let text = meet.copy_from(&other).unwrap_err().to_string();
    assert!(text.starts_with("copy_from: two tensors of the model are named \"a.b.c\", at "), "{text}");
    assert_eq!(values(&model), before);
}
