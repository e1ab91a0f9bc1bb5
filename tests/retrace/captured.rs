//! What a function of a program gets otherwise than through its arguments: followed, refused, or frozen as it was recorded.
//! The docs of `Program` say which.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use autograd::{Buffer, Counter, ErrorKind, Generator, ModelProgram, Param, Program, Tape, Tensor, Var};
use nn::{Linear, Module, ModuleExt};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The error of a program that is recorded of `f`.
fn refused(f: impl for<'t> Fn(&'t Tape, Var<'t>) -> Var<'t>) -> String {
    let error = Program::record(&Tensor::<f32>::ones([2]), |tape, x| f(tape, x).sum()).map(drop).unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::NotReplayable { .. }) && error.location.file().ends_with("captured.rs"),
        "{error}"
    );
    error.to_string()
}

/// The sums of `f` before and after a change, from one program.
fn around(f: impl for<'t> Fn(&'t Tape, Var<'t>) -> Var<'t>, change: impl FnOnce()) -> [f32; 2] {
    let x = Tensor::<f32>::ones([2]);
    let mut program = Program::record(&x, |tape, x| f(tape, x).sum()).unwrap();
    let before = program.value(&x).unwrap();
    change();
    [before, program.value(&x).unwrap()]
}

#[test]
fn numbers_and_tensors_are_frozen() {
    let (number, tensor) = (Cell::new(2.0), RefCell::new(Tensor::from([1.0, 2.0])));
    assert_eq!(around(|_, x| x * number.get(), || number.set(5.0)), [4.0, 4.0]);
    let change = || *tensor.borrow_mut() = Tensor::from([7.0, 7.0]);
    assert_eq!(around(|tape, x| x * tape.constant(&*tensor.borrow()), change), [3.0, 3.0]);
}

#[test]
fn clocks_and_effects_are_of_the_recording() {
    let ticks = Cell::new(0_u8);
    let tick = || ticks.replace(ticks.get() + 1);
    assert_eq!(around(|_, x| x * f32::from(tick()), || {}), [0.0, 0.0]);
    assert_eq!(ticks.get(), 1, "the function ran once");
}

#[test]
fn what_may_change_is_an_argument() {
    let x = (Tensor::<f32>::ones([2]), autograd::NoGrad(Tensor::from([1.0, 2.0])));
    let mut program = Program::record(&x, |_, (x, autograd::NoGrad(by))| (x * by).sum()).unwrap();
    assert_eq!(program.value(&(x.0, autograd::NoGrad(Tensor::from([7.0, 7.0])))).unwrap(), 14.0);
}

/// One that is trained will change; one that is frozen says that it will not.
#[test]
fn parameters_of_no_model_are_refused_unless_they_are_frozen() {
    let weight = Param::new([2.0]);
    let text = refused(|tape, x| x * tape.param(&weight));
    assert!(text.starts_with("param: it cannot be replayed: it is trained, and no part of the model"), "{text}");
    assert!(text.contains("`ModelProgram`, or freeze it"), "{text}");
    refused(|tape, x| tape.no_grad(|| x * tape.param(&weight)));
    refused(|_, x| x * x.param(&weight));
    let mut layer = Linear::<f32>::new(2, 1, &mut StdRng::seed_from_u64(0));
    refused(|_, x| layer.forward(x));
    layer.freeze();
    let copy = layer.clone();
    assert!(Program::record(&Tensor::<f32>::ones([2]), |_, x| copy.forward(x).sum()).is_ok());

    let weight = Rc::new(RefCell::new(Param::new([2.0])));
    weight.borrow_mut().freeze();
    let change = || weight.borrow_mut().set(Tensor::from([9.0])).unwrap();
    assert_eq!(around(|tape, x| x * tape.param(&weight.borrow()), change), [4.0, 4.0]);
}

/// A program of one model that reads another: only the parameters of its own are arguments.
#[test]
fn parameters_beside_the_model_are_refused_too() {
    let (student, mut teacher) = (Param::new([2.0_f32]), Param::new([3.0]));
    let record = |teacher: &Param| {
        let x = Tensor::<f32>::ones([2]);
        let mut step = ModelProgram::record(&student, &x, |student: &Param, tape, x| {
            (x * tape.param(student) - x * tape.param(teacher)).square().sum()
        })?;
        step.value(&student, &x)
    };
    assert!(matches!(record(&teacher).unwrap_err().kind, ErrorKind::NotReplayable { .. }));
    teacher.freeze();
    assert_eq!(record(&teacher).unwrap(), 2.0);
    let copied =
        ModelProgram::record(&student, &2.0, |student: &Param, tape, x| x * tape.param(&student.clone()).item());
    assert_eq!(copied.map(drop).unwrap_err().op, "param", "a copy is another parameter");
}

#[derive(Module)]
struct State {
    weight: Param,
    mean: Buffer,
    steps: Counter,
    #[module(skip)]
    hidden: f32,
}

/// Through the tape the values of a model are followed; as plain data they are frozen, as is a field that is not shown.
#[test]
fn values_of_the_model_are_followed_through_the_tape() {
    let state = || State { weight: Param::new([2.0]), mean: Buffer::new([3.0]), steps: Counter::new(5), hidden: 7.0 };
    type Read = for<'t> fn(&State, &'t Tape) -> Var<'t>;
    let reads: [(Read, [f32; 2]); 7] = [
        (|state, tape| tape.param(&state.weight), [2.0, 20.0]),
        (|state, tape| tape.buffer(&state.mean), [3.0, 30.0]),
        (|state, tape| tape.counter(&state.steps), [5.0, 50.0]),
        (|state, tape| tape.constant(state.weight.value()), [2.0, 2.0]),
        (|state, tape| tape.constant(state.mean.value()), [3.0, 3.0]),
        (|state, tape| tape.constant([state.steps.get() as f32]), [5.0, 5.0]),
        (|state, tape| tape.constant([state.hidden]), [7.0, 7.0]),
    ];
    for (read, expected) in reads {
        let mut state = state();
        let mut program =
            ModelProgram::record(&state, &1.0, move |state: &State, tape, x| x * read(state, tape).item());
        let program = program.as_mut().unwrap();
        let before = program.value(&state, &1.0).unwrap();
        state.weight.set(Tensor::from([20.0])).unwrap();
        state.mean.set(Tensor::from([30.0]));
        state.steps.set(50);
        state.hidden = 70.0;
        assert_eq!([before, program.value(&state, &1.0).unwrap()], expected);
    }
}

#[test]
fn buffers_and_counters_of_no_model_are_frozen_and_not_changed() {
    let (mean, steps) = (Buffer::new([3.0]), Counter::new(5));
    assert_eq!(around(|tape, x| x * tape.buffer(&mean), || mean.set(Tensor::from([9.0]))), [6.0, 6.0]);
    assert_eq!(around(|tape, x| x * tape.counter(&steps), || steps.set(9)), [10.0, 10.0]);
    let text = refused(|tape, x| {
        tape.set_buffer(&mean, x);
        x
    });
    assert!(text.starts_with("set_buffer: ") && text.contains("`ModelProgram`"), "{text}");
    let text = refused(|tape, x| {
        tape.count(&steps);
        x
    });
    assert!(text.starts_with("count: ") && text.contains("`ModelProgram`"), "{text}");
    assert_eq!((mean.value().to_vec(), steps.get()), (vec![9.0], 9));
}

#[test]
fn draws_follow_seeds_that_are_arguments_and_generators_of_the_model() {
    let text = refused(|_, x| x.dropout(0.5, &mut StdRng::seed_from_u64(1)));
    assert!(text.starts_with("dropout: ") && text.contains("the seed is an argument"), "{text}");
    let text = refused(|_, x| x.rrelu(0.1, 0.3, &mut StdRng::seed_from_u64(1)));
    assert!(text.starts_with("rrelu: ") && text.contains("the seed is an argument"), "{text}");
    let captured = Generator::from_key(1);
    let text = refused(|_, x| x.dropout(0.5, &captured));
    assert!(text.starts_with("dropout: ") && text.contains("`ModelProgram`"), "{text}");

    let x = Tensor::<f32>::ones([50]);
    let seed = |seed: usize| (x.clone(), Tensor::from([seed]));
    let mut program = Program::record_vector(&seed(1), |_, (x, seed)| x.dropout(0.5, seed)).unwrap();
    for number in [1, 2, 1, 3] {
        let tape = Tape::new();
        let eager = tape.constant(&x).dropout(0.5, tape.indices([number])).value().unwrap();
        assert_eq!(program.values(&seed(number)).unwrap(), eager);
    }

    let (model, same) = (Generator::from_key(7), Generator::from_key(7));
    let mut program = ModelProgram::record(&model, &x, |model: &Generator, _, x| x.dropout(0.5, model).sum()).unwrap();
    assert_eq!(model.drawn(), 0, "recording draws nothing");
    for run in 1..4 {
        let tape = Tape::new();
        let eager = tape.constant(&x).dropout(0.5, &same).sum().value().unwrap();
        assert_eq!((program.value(&model, &x).unwrap(), model.drawn()), (eager, run));
    }
}
