//! Arguments and results are trees of numbers, tensors, indices and masks: what is true of a tensor is true of each in its place.

use std::collections::BTreeMap;
use std::thread;

use autograd::{
    Error, ErrorKind, Gradients, Inputs, ModelProgram, NoGrad, Param, Program, Result, Scalar, Tape, Tensor, check,
    gradient, hvp, value_and_gradient, value_and_gradient_aux,
};

#[derive(Clone, Debug, PartialEq, Inputs)]
struct Line<N, W> {
    offset: N,
    slopes: Vec<W>,
    #[inputs(setting)]
    power: i32,
}

#[derive(Clone, Debug, PartialEq, Inputs)]
struct Pair<A, const N: usize>([A; N], Option<A>);

type V<'t> = autograd::Var<'t, f64>;

fn line() -> Line<f64, Tensor<f64>> {
    Line { offset: 0.5, slopes: vec![Tensor::from([1.0, 2.0]), Tensor::from([3.0])], power: 2 }
}

fn energy<'t>(line: Line<Scalar<'t, f64>, V<'t>>) -> Scalar<'t, f64> {
    let slopes: Scalar<'t, f64> = line.slopes.iter().map(|w| w.powi(line.power).sum()).sum();
    slopes * line.offset
}

#[test]
fn a_struct_is_an_argument_in_every_transform() -> Result<()> {
    let expected = Line { offset: 14.0, slopes: vec![Tensor::from([1.0, 2.0]), Tensor::from([3.0])], power: 2 };
    assert_eq!(gradient(|_, x| energy(x), line())?, expected);
    assert_eq!(value_and_gradient(|_, x| energy(x), line())?, (7.0, expected.clone()));
    assert!(check(|_, x| energy(x), line())?.is_ok());
    let (slope, along) = hvp(|_, x| energy(x), line(), Line { offset: 1.0, ..line().zeros() })?;
    assert_eq!(slope, expected);
    assert_eq!((along.offset, along.slopes[1].to_vec()), (0.0, vec![6.0]));

    let mut program = Program::record(&line(), |_, x| energy(x))?;
    for _ in 0..3 {
        assert_eq!(program.gradient(&line())?, &expected);
    }
    let cubed = Line { power: 3, ..line() };
    assert_eq!(program.value(&cubed)?, 0.5 * 36.0);
    assert_eq!(program.value(&line())?, 7.0);

    let pair = Pair([1.0_f64, 2.0], Some(4.0));
    assert_eq!(gradient(|_, Pair([a, b], c)| a * b * c.unwrap(), pair)?, Pair([8.0, 4.0], Some(2.0)));
    Ok(())
}

#[test]
fn options_maps_and_nothing_are_arguments() -> Result<()> {
    assert_eq!(value_and_gradient(|tape, ()| tape.constant([3.0_f64]).sum(), ())?, (3.0, ()));
    fn weight(x: Option<Scalar<'_, f64>>) -> Scalar<'_, f64> {
        x.map_or(Scalar::constant(1.0), |x| x * x)
    }
    assert_eq!(gradient(|_, x| weight(x), Some(3.0_f64))?, Some(6.0));
    assert_eq!(gradient(|_, x| weight(x), None::<f64>)?, None);
    let mut program = Program::record(&Some(3.0_f64), |_, x| weight(x))?;
    assert_eq!((program.value(&None)?, program.value(&Some(2.0))?), (1.0, 4.0));

    let layers: BTreeMap<String, Tensor<f64>> =
        [("a", 1.0), ("b", 2.0)].map(|(key, x)| (key.to_string(), Tensor::from([x]))).into();
    fn product(x: BTreeMap<String, V<'_>>) -> Scalar<'_, f64> {
        (x["a"] * x["b"]).sum()
    }
    let slopes = gradient(|_, x| product(x), layers.clone())?;
    assert_eq!((slopes["a"].to_vec(), slopes["b"].to_vec()), (vec![2.0], vec![1.0]));
    let mut program = Program::record(&layers, |_, x| product(x))?;
    assert_eq!(program.gradient(&layers)?, &slopes);

    let wrong: BTreeMap<String, Tensor<f64>> = layers.iter().map(|(key, x)| (format!("{key}!"), x.clone())).collect();
    let error = hvp(|_, x| product(x), layers, wrong).unwrap_err();
    assert!(error.to_string().starts_with("hvp: the direction has other keys, at tests/retrace/trees.rs"), "{error}");
    Ok(())
}

#[test]
fn gradients_are_asked_of_trees() -> Result<()> {
    let tape = Tape::<f64>::new();
    let (a, weight) = (tape.scalar(2.0), Param::new(Tensor::from([1.0, 2.0])));
    let x = tape.var([3.0, 4.0]);
    let gradients = (x * tape.param(&weight) * a).sum().backward()?;
    let (da, [dx], dw) = gradients.of((a, [x], &weight))?;
    assert_eq!((da, dx.to_vec(), dw.to_vec()), (11.0, vec![2.0, 4.0], vec![6.0, 8.0]));
    let error = gradients.of((x, [tape.constant([1.0])])).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoGradient { .. }), "{error}");
    assert_eq!((error.location.file(), error.location.line()), (file!(), line!() - 2));
    Ok(())
}

/// A physics-informed loss needs no `?` inside: a derivative fails as every other operation does.
#[test]
fn a_derivative_that_fails_is_a_failed_handle() -> Result<()> {
    fn residual(x: V<'_>) -> Scalar<'_, f64> {
        let u = (x * 2.0).sin();
        (u.sum().grad(x).sum().grad(x) + u * 3.0).square().sum()
    }
    let expected = |x: f64| 4.0 * (2.0 * x).sin() * (2.0 * x).cos();
    let found = gradient(|_, x| residual(x), Tensor::from([0.3, 0.7]))?;
    found.close_to(&Tensor::from([expected(0.3), expected(0.7)]), 1e-12, 1e-12).unwrap();
    let tape = Tape::<f64>::new();
    let x = tape.var([1.0, 2.0]);
    let failed = x.reshape([3]).sum().grad((x, [x.sum()]));
    assert!(failed.0.is_failed());
    assert_eq!((failed.1[0] + 1.0).value().unwrap_err().op, "reshape");
    Ok(())
}

#[test]
fn gradients_are_summed_over_threads() -> Result<()> {
    fn is_sent<T: Send + Sync>() {}
    is_sent::<Gradients<f32>>();
    let weight = Param::new(Tensor::from([1.0_f64, 2.0]));
    let of = |k: f64| -> Result<Gradients<f64>> { (Tape::new().param(&weight) * k).sum().backward() };
    let parts: Vec<Result<Gradients<f64>>> = thread::scope(|scope| {
        let workers: Vec<_> = (1..4).map(|k| scope.spawn(move || of(f64::from(k)))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut sum = of(0.0)?;
    for part in parts {
        sum.accumulate(&part?)?;
    }
    assert_eq!(sum.of(&weight)?.to_vec(), [6.0, 6.0]);
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Inputs)]
struct Metrics<N, P, I> {
    parts: [N; 2],
    scores: P,
    best: I,
}

type Batch = (Tensor<f64>, Tensor<f64>);

#[test]
fn results_beside_the_loss_are_those_of_the_tape() -> Result<()> {
    let weight = Param::new(Tensor::from([[1.0, -2.0], [0.5, 3.0]]));
    let batch = |n: usize, shift: f64| -> Batch {
        let x = Tensor::from_fn([n, 2], |i| (i[0] * 2 + i[1]) as f64 * 0.3 - shift);
        (x, Tensor::from_fn([n, 2], |i| i[1] as f64))
    };
    type Results = Metrics<f64, Tensor<f64>, Tensor<usize>>;
    let mut program: ModelProgram<_, _, _, Results> =
        ModelProgram::record_aux(&weight, &batch(3, 0.0), |weight: &Param<f64>, tape, (x, y)| {
            let scores = x.matmul(tape.param(weight)).tanh();
            let parts = [(scores - y).square().mean(), scores.abs().mean()];
            (parts[0] + parts[1] * 0.1, Metrics { parts, scores, best: scores.argmax(-1) })
        })?;
    for k in 0..40 {
        let (x, y) = batch(2 + k % 3, k as f64 * 0.1);
        let ((loss, found), gradients) = match k % 2 {
            0 => {
                let (loss, found, gradients) = program.value_and_gradients_aux(&weight, &(x.clone(), y.clone()))?;
                ((loss, found), Some(gradients))
            }
            _ => (program.value_aux(&weight, &(x.clone(), y.clone()))?, None),
        };
        let (expected_loss, expected, slope): (f64, Results, _) = value_and_gradient_aux(
            |_, (w, NoGrad(x), NoGrad(y))| {
                let scores = x.matmul(w).tanh();
                let parts = [(scores - y).square().mean(), scores.abs().mean()];
                (parts[0] + parts[1] * 0.1, Metrics { parts, scores, best: scores.argmax(-1) })
            },
            (weight.value().clone(), NoGrad(x), NoGrad(y)),
        )?;
        assert_eq!((loss, &found), (expected_loss, &expected));
        if let Some(gradients) = gradients {
            assert_eq!(gradients.of(&weight)?, slope.0);
        }
    }
    Ok(())
}

#[test]
fn results_beside_the_loss_that_fail_or_change_their_form_are_refused() -> Result<()> {
    let weight = Param::new(Tensor::from([1.0_f64, 2.0]));
    let failed: Result<(f64, Tensor<f64>, _)> =
        value_and_gradient_aux(|_, x| (x.sum(), x.reshape([7])), Tensor::<f64>::from([1.0]));
    assert!(failed.is_err_and(|error| error.op == "reshape"));
    let failed: Result<ModelProgram<_, _, _, Tensor<f64>>> =
        ModelProgram::record_aux(&weight, &(), |weight: &Param<f64>, tape, ()| {
            let w = tape.param(weight);
            (w.sum(), w.reshape([7]))
        });
    assert!(failed.is_err_and(|error| error.op == "reshape"));

    let mut program: ModelProgram<_, _, _, Option<f64>> =
        ModelProgram::record_aux(&weight, &1.0, |weight: &Param<f64>, tape, x| {
            let loss = tape.param(weight).sum() * x;
            (loss, (x > 0.0).then_some(loss))
        })?;
    assert_eq!(program.value_aux(&weight, &2.0)?, (6.0, Some(6.0)));
    let error: Error = program.value_aux(&weight, &-1.0).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NotReplayable { .. }), "{error}");
    assert_eq!(program.value_aux(&weight, &3.0)?, (9.0, Some(9.0)));

    // As many results, in other places: refused every time, and never taken for those of another path.
    for always in [false, true] {
        let program: ModelProgram<_, _, _, [Option<f64>; 2]> =
            ModelProgram::record_aux(&weight, &1.0, |weight: &Param<f64>, tape, x| {
                let loss = tape.param(weight).sum() * x;
                (loss, if x > 0.0 { [Some(loss), None] } else { [None, Some(loss)] })
            })?;
        let mut program = if always { program.always_replayed() } else { program };
        for k in 1..8 {
            let x = f64::from(k);
            assert!(program.value_aux(&weight, &-x).is_err());
            assert_eq!(program.value_aux(&weight, &x)?, (3.0 * x, [Some(3.0 * x), None]));
            assert!(program.value_and_gradients_aux(&weight, &-x).is_err());
        }
    }
    Ok(())
}
