//! The lengths of sequences are values of the recording: a program takes those of each batch.

use autograd::*;
use nn::{Gru, Lstm, Module, ModuleExt, RecurrentConfig, Rnn};
use rand::{SeedableRng, rngs::StdRng};

type V<'t> = Var<'t, f64>;

#[derive(Clone, Module)]
struct Networks {
    lstm: Lstm<f64>,
    gru: Gru<f64>,
    rnn: Rnn<f64>,
}

fn networks() -> Networks {
    let rng = &mut StdRng::seed_from_u64(3);
    let both = RecurrentConfig { layers: 2, bidirectional: true, batch_first: true, ..RecurrentConfig::default() };
    let plain = RecurrentConfig { batch_first: true, ..RecurrentConfig::default() };
    Networks {
        lstm: Lstm::with_config(2, 3, both, rng),
        gru: Gru::with_config(2, 3, plain, rng),
        rnn: Rnn::with_config(2, 3, plain, rng),
    }
}

fn f<'t>(model: &Networks, x: V<'t>, lengths: [Indices<'t, f64>; 2]) -> Scalar<'t, f64> {
    let (y, [h, c]) = model.lstm.forward_with_lengths(x, lengths[0], None);
    let (z, _) = model.gru.forward_with_lengths(x, lengths[1], None);
    let (_, last) = model.rnn.forward_with_lengths(x, lengths[1], None);
    y.square().sum() + (h * c).sum() + z.square().sum() * 0.5 + last.square().sum()
}

/// Three samples of up to four steps, with not a number behind the end of each.
fn batch(k: usize, lengths: [&Tensor<usize>; 2]) -> Tensor<f64> {
    let ends: Vec<usize> =
        (0..3).map(|sample| lengths.map(|list| list.get(&[sample]).unwrap()).into_iter().max().unwrap()).collect();
    Tensor::from_fn([3, 4, 2], |i| {
        if i[1] < ends[i[0]] { ((i[0] * 8 + i[1] * 2 + i[2] + k) as f64).sin() } else { f64::NAN }
    })
}

/// On their own, in one buffer with others, with gaps, turned around, and one length for all.
fn lists() -> Vec<Tensor<usize>> {
    let all = Tensor::from([4, 2, 1, 3, 3, 1, 4, 2]);
    vec![
        Tensor::from([4, 1, 2]),
        all.slice(0, 0..3).unwrap(),
        all.slice(0, 3..6).unwrap(),
        all.slice_step(0, 1..7, 2).unwrap(),
        all.slice(0, 4..7).unwrap().flip(0).unwrap(),
        Tensor::from([3]).broadcast_to([3]).unwrap(),
    ]
}

#[test]
fn programs_of_models_take_other_lengths() -> Result<()> {
    type X = (NoGrad<Tensor<f64>>, [Tensor<usize>; 2]);
    let (model, lists) = (networks(), lists());
    let at =
        |k: usize, a: &Tensor<usize>, b: &Tensor<usize>| -> X { (NoGrad(batch(k, [a, b])), [a.clone(), b.clone()]) };
    // One list is both arguments when it is recorded.
    let first = at(0, &lists[1], &lists[1]);
    let mut program =
        ModelProgram::record(&model, &first, |model, _, (NoGrad(x), lengths)| f(model, x, lengths))?.always_replayed();
    for (k, a) in lists.iter().enumerate() {
        for b in &lists {
            let tape = Tape::new();
            let x = tape.constant(batch(k, [a, b]));
            // What stands behind the longer one is in the padding of both.
            let expected = f(&model, x, [a, b].map(|list| tape.indices(list)));
            let (value, found) = program.value_and_gradients(&model, &at(k, a, b))?;
            let gradients = expected.backward()?;
            assert_eq!(value, expected.value()?);
            for (name, param) in model.named_parameters() {
                assert_eq!(found.of(param)?, gradients.of(param)?, "{name}");
            }
        }
    }
    assert_eq!(program.report().recordings, 2, "{}", program.report());
    Ok(())
}

#[test]
fn what_stands_in_the_padding_reaches_no_derivative() -> Result<()> {
    let (model, list) = (networks(), Tensor::from([2, 4, 1]));
    let at = |x: Tensor<f64>| value_and_gradient(|tape, x| f(&model, x, [tape.indices(&list); 2]), x);
    let x = batch(0, [&list, &list]);
    let (value, slope) = at(x.clone())?;
    assert_eq!(at(x.nan_to_num())?, (value, slope.clone()));
    assert!(slope.iter().zip(&x).all(|(slope, x)| if x.is_nan() { slope == 0.0 } else { slope.is_finite() }));
    let along = Tensor::ones(x.shape());
    let (_, second) = hvp(|tape, x| f(&model, x, [tape.indices(&list); 2]), x.clone(), along)?;
    assert!(second.iter().zip(&x).all(|(second, x)| if x.is_nan() { second == 0.0 } else { second.is_finite() }));
    Ok(())
}

#[test]
fn wrong_lengths_are_refused_in_every_run() -> Result<()> {
    let (model, right) = (networks(), Tensor::from([1, 2, 3]));
    let x = batch(0, [&right, &right]);
    fn run<'t>(model: &Networks, x: V<'t>, list: Indices<'t, f64>) -> Scalar<'t, f64> {
        model.gru.forward_with_lengths(x, list, None).0.sum()
    }
    let mut program =
        ModelProgram::record(&model, &(x.clone(), right.clone()), |model, _, (x, list)| run(model, x, list))?
            .always_replayed();
    let must = "gru: a length must be between 1 and the number of steps, found";
    for (wrong, found) in [([1, 0, 2], 0), ([5, 1, 2], 5)] {
        let wrong = Tensor::from(wrong);
        let (tape, wrong_argument) = (Tape::new(), (x.clone(), wrong.clone()));
        let eager = run(&model, tape.constant(&x), tape.indices(&wrong)).value().unwrap_err();
        for error in [
            eager,
            program.value(&model, &wrong_argument).unwrap_err(),
            program.value_and_gradients(&model, &wrong_argument).map(drop).unwrap_err(),
        ] {
            assert!(error.to_string().starts_with(&format!("{must} {found}, at {}:", file!())), "{error}");
        }
    }
    assert_eq!(program.value(&model, &(x.clone(), right.clone()))?, program.value(&model, &(x.clone(), right))?);

    let tape = Tape::new();
    let failed = tape.indices([1, 2]).reshape([3]);
    let error = run(&model, tape.constant(&x), failed).value().unwrap_err();
    assert_eq!(error.op, "reshape");
    Ok(())
}
