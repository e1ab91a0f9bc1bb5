//! When programs record, replay, or run the function on a plain tape, by their reports; and that no result tells which.

use super::*;
use crate::{Generator, Inputs, jacobian, jvp};

/// As many steps as it takes, one after the other.
fn decay<R: Real>([mut y, a]: [R; 2], rate: f64) -> R {
    let mut sum = R::of(0.0);
    loop {
        let slow = (y * a).sin();
        sum += slow * y;
        y -= (slow * slow + R::of(1.0)) * R::of(rate);
        if y < R::of(0.0) {
            return sum;
        }
    }
}

/// As many steps as it takes, each of many operations that do not wait for each other.
fn relax<R: Real>(x: &[R]) -> R {
    let mut x = x.to_vec();
    loop {
        x = x.iter().map(|&x| x * R::of(0.9) + (x * x) * R::of(0.0001)).collect();
        if x[0] < R::of(0.1) {
            return x.into_iter().reduce(|a, b| a + b).unwrap_or(R::of(0.0));
        }
    }
}

fn irregular(n: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut draws = Draws(seed);
    (0..n).map(|_| draws.numbers(24)).map(|x: Vec<f64>| x.iter().map(|x| 1.0 + 100.0 * x.abs()).collect()).collect()
}

/// Each input is a hit or a miss, and each miss was recorded or run.
#[track_caller]
fn assert_adds_up(report: Report, inputs: usize) {
    assert_eq!(report.hits + report.misses, inputs, "{report}");
    assert_eq!(report.recordings + report.eager, report.misses, "{report}");
    assert_eq!(report.why.is_some(), report.eager > 0, "{report}");
}

#[test]
fn loops_of_any_length_are_not_recorded_again_and_again() -> Result<()> {
    let draws: Vec<f64> = Draws(1).numbers(400);
    let inputs: Vec<[f64; 2]> = draws.chunks(2).map(|x| [1.0 + 0.2 * x[0], 1.0 + 0.2 * x[1]]).collect();
    let mut program = Program::record(&inputs[0], |_, x| decay(x, 0.68 / 450.0))?;
    for x in &inputs {
        let (value, gradient) = value_and_gradient(|_, x| decay(x, 0.68 / 450.0), *x)?;
        assert_eq!(program.value_and_gradient(x)?, (value, &gradient));
    }
    let report = program.report();
    assert_adds_up(report, 201);
    // A path whose operations wait for each other is not worth a replay either.
    assert_eq!((report.recordings, report.eager, report.why), (1, 200, Some(EagerReason::Slow)), "{report}");
    Ok(())
}

#[test]
fn paths_that_come_once_are_run_and_those_that_come_often_are_recorded() -> Result<()> {
    let mut program = Program::record(&irregular(1, 7)[0], |_, x| relax(&x))?;
    let inputs = irregular(300, 1);
    let mut run = |x: &Vec<f64>| -> Result<Report> {
        let (value, gradient) = value_and_gradient(|_, x| relax(&x), x.clone())?;
        assert_eq!(program.value_and_gradient(x)?, (value, &gradient));
        Ok(program.report())
    };
    let mut report = Report::default();
    for x in &inputs {
        report = run(x)?;
    }
    assert_adds_up(report, 301);
    assert!(report.recordings < 12 && report.eager > 200, "{report}");
    assert!(matches!(report.why, Some(EagerReason::Irregular | EagerReason::Rare)), "{report}");
    let before = report;
    let regular = vec![3.3; 24];
    for run_of_many in 0..1000 {
        report = run(&regular)?;
        if run_of_many == 500 {
            assert!(report.recordings <= before.recordings + 1, "{report}");
            assert_eq!(
                report.hits + 1,
                {
                    report = run(&regular)?;
                    report.hits
                },
                "{report}"
            );
        }
    }
    assert_adds_up(report, 1302);
    assert!(report.hits > before.hits + 500, "{report}");
    assert_eq!(report.recordings, before.recordings + 1, "the path that came often, once: {report}");
    Ok(())
}

#[test]
fn two_paths_in_turn_are_both_replayed() -> Result<()> {
    let inputs = [vec![2.0_f64; 24], vec![3.0; 24]];
    let mut program = Program::record(&inputs[0], |_, x| relax(&x))?;
    for x in inputs.iter().cycle().take(1000) {
        assert_eq!(program.value(x)?, relax(x));
    }
    let report = program.report();
    assert_adds_up(report, 1001);
    assert!(report.paths == 2 && report.hits > 500, "{report}");
    // What followed a path before is tried first.
    assert!(report.side_exits < 100, "{report}");
    Ok(())
}

/// Whatever the order of inputs is, results are those of the plain tape, and of replays, in every kind.
#[test]
fn no_result_tells_whether_it_was_replayed() -> Result<()> {
    type X = (Vec<f64>, NoGrad<f64>);
    fn f<R: Real>((x, NoGrad(scale)): (Vec<R>, NoGrad<R>)) -> R {
        relax(&x[..4]) * scale + x[4] * x[0]
    }
    let inputs: Vec<X> =
        irregular(60, 2).into_iter().map(|x| (x[..5].iter().map(|x| x * 0.3).collect(), NoGrad(x[6]))).collect();
    let first = &inputs[0];
    let programs = || -> Result<_> {
        let number = Program::record(first, |_, x| f(x))?;
        let few = Program::record_vector(first, |tape, x: (Vec<_>, NoGrad<_>)| {
            tape.from_scalars(&[f(x.clone()), x.0[1] * x.0[2]])
        })?;
        let many = Program::record_vector(first, |tape, x: (Vec<_>, NoGrad<_>)| {
            let y = f(x.clone());
            tape.from_scalars(&[y, y * x.0[0], y.sin(), x.0[1] * x.0[2], y + x.0[3], y / x.0[4], y * y])
        })?;
        Ok((number, few, many))
    };
    let (mut free, [mut replayed, mut run]) = (programs()?, {
        let [(a, b, c), (d, e, f)] = [programs()?, programs()?];
        let how = [Forced::Replay, Forced::Run];
        [(a.forced(how[0]), b.forced(how[0]), c.forced(how[0])), (d.forced(how[1]), e.forced(how[1]), f.forced(how[1]))]
    });
    for (k, x) in inputs.iter().enumerate() {
        let v = &inputs[(k + 1) % inputs.len()];
        let (value, gradient) = value_and_gradient(|_, x| f(x), x.clone())?;
        let mut all = Vec::new();
        for (number, few, many) in [&mut free, &mut replayed, &mut run] {
            assert_eq!(number.value(x)?, value);
            assert_eq!(number.value_and_gradient(x)?, (value, &gradient));
            let (slopes, product) = number.hvp(x, v)?;
            assert_eq!(slopes, &gradient);
            let product = product.clone();
            all.push((
                product,
                number.jvp(x, v)?,
                number.hessian(x)?.to_vec(),
                few.jvp(x, v)?.1.to_vec(),
                few.jacobian(x)?.to_vec(),
                many.values(x)?.to_vec(),
                many.jacobian(x)?.to_vec(),
            ));
        }
        assert_eq!(all[0], all[1]);
        assert_eq!(all[0], all[2]);
        let tape = Tape::new();
        let handles = x.record(&tape);
        assert_eq!(all[0].1, (value, f(handles.clone()).jvp(handles, v.clone())?));
    }
    assert!(free.0.report().eager > 0 && free.0.report().hits > 0, "{}", free.0.report());
    Ok(())
}

#[test]
fn derivatives_of_tensors_on_a_tape_are_those_of_the_transforms() -> Result<()> {
    fn f<'t>(_: &'t Tape<f64>, x: Var<'t, f64>) -> Var<'t, f64> {
        let steps = x.sum().value().map_or(0, |sum| (sum.abs() * 3.0) as usize % 5);
        (0..steps).fold(x.tanh(), |y, _| (y * y + 0.1).sqrt()).sum_axes(0)
    }
    let inputs: Vec<Tensor<f64>> =
        (0..20).map(|seed| Tensor::from(Draws(seed).numbers(6)).reshape([3, 2])).collect::<Result<_>>()?;
    let mut program = Program::record_vector(&inputs[0], f)?;
    for x in &inputs {
        assert_eq!(program.jacobian(x)?.to_vec(), jacobian(f, x.clone())?.to_vec());
        let (value, along) = jvp(f, x.clone(), inputs[1].clone())?;
        let (found_value, found) = program.jvp(x, &inputs[1])?;
        assert_eq!((found_value.to_vec(), found.to_vec()), (value.to_vec(), along.to_vec()));
    }
    Ok(())
}

#[test]
fn many_inputs_on_many_paths_are_those_of_one_after_the_other() -> Result<()> {
    let inputs = irregular(500, 3);
    let mut program = Program::record(&inputs[0], |_, x| relax(&x))?;
    let mut values = vec![0.0; inputs.len()];
    let mut gradients = inputs.clone();
    program.batch(&inputs).value(&mut values)?;
    program.batch(&inputs).gradient(&mut gradients)?;
    let report = program.report();
    assert_adds_up(report, 1001);
    assert!(report.eager > 0 && report.recordings < 40, "{report}");
    for ((x, value), found) in inputs.iter().zip(values).zip(gradients) {
        assert_eq!((value, found), value_and_gradient(|_, x| relax(&x), x.clone())?);
    }
    let mut sums = Program::record(&([1.0_f64], inputs[0].clone()), |_, ([a], x)| relax(&x) * a)?;
    for a in [1.0, 2.0] {
        let (sum, &[slope]) = sums.sum(&[a], &inputs)?;
        let expected: f64 = inputs.iter().map(|x| relax(x)).sum();
        assert!((sum - a * expected).abs() < 1e-9 * sum && (slope - expected).abs() < 1e-9 * slope, "{sum} {slope}");
    }
    assert_adds_up(sums.report(), 1001);
    Ok(())
}

/// Inputs that go on together are replayed in lanes also where one of them would not be.
#[test]
fn lanes_are_worth_what_one_input_is_not() -> Result<()> {
    let mut program = Program::record(&[1.0_f64, 1.0], |_, x| decay(x, 0.02))?;
    let inputs = vec![[1.0, 1.0]; 300];
    let mut values = vec![0.0; 300];
    program.batch(&inputs).value(&mut values)?;
    assert!(values.iter().all(|&value| value == decay([1.0, 1.0], 0.02)));
    assert_eq!((program.report().eager, program.report().hits), (0, 300));
    program.value(&[1.0, 1.0])?;
    assert_eq!(program.report().why, Some(EagerReason::Slow));
    Ok(())
}

#[test]
fn functions_of_numbers_that_compute_with_tensors_take_many_inputs_too() -> Result<()> {
    fn f<'t>(tape: &'t Tape<f64>, [x, y]: [Scalar<'t, f64>; 2]) -> Scalar<'t, f64> {
        (tape.from_scalars(&[x, y, x * y]).softmax(0) * 2.0).at([1])
    }
    let mut program = Program::record(&[1.0, 2.0], f)?;
    let inputs = [[0.5, 1.0], [2.0, -1.0], [0.1, 0.2]];
    let mut found = [(0.0, [0.0; 2]); 3];
    program.batch(&inputs).value_and_gradient(&mut found)?;
    for (x, found) in inputs.iter().zip(found) {
        assert_eq!(found, value_and_gradient(f, *x)?);
    }
    Ok(())
}

#[test]
fn forms_are_bounded_and_counted() -> Result<()> {
    let sum_of_squares = |n: usize| (0..n).map(|k| (k * k) as f64).sum::<f64>();
    let input = |n: usize| (0..n).map(|k| k as f64).collect::<Vec<_>>();
    let record = || Program::record(&input(1), |_, x: Vec<Scalar<'_, f64>>| x.into_iter().map(|x| x * x).sum());
    let [mut free, mut recorded] = [record()?, record()?.forced(Forced::Replay)];
    for n in 1..=100 {
        for program in [&mut free, &mut recorded] {
            assert_eq!(program.value(&input(n))?, sum_of_squares(n));
        }
    }
    let (free, recorded) = (free.report(), recorded.report());
    assert_adds_up(free, 101);
    assert_adds_up(recorded, 101);
    assert_eq!((recorded.recordings, recorded.forms, recorded.forgotten_forms), (100, 17, 83), "{recorded}");
    // The first few are recorded in the hope that they come again.
    assert!(free.recordings <= 6 && free.why == Some(EagerReason::Rare), "{free}");
    Ok(())
}

#[test]
fn forms_that_come_again_are_recorded() -> Result<()> {
    let inputs: Vec<Vec<f64>> = (5..11).map(|n| vec![0.5; n]).collect();
    let mut program = Program::record(&inputs[0], |_, x| rosenbrock(&x))?;
    for x in inputs.iter().cycle().take(600) {
        let (value, gradient) = value_and_gradient(|_, x| rosenbrock(&x), x.clone())?;
        assert_eq!(program.value_and_gradient(x)?, (value, &gradient));
    }
    let report = program.report();
    assert_adds_up(report, 601);
    assert!(report.forms == 6 && report.hits > 300, "{report}");
    Ok(())
}

#[test]
fn paths_take_bounded_memory() -> Result<()> {
    const LEN: usize = 1 << 20;
    let program = Program::record(&0.0_f64, |tape, x| {
        let known = Tensor::full([LEN], x.value().unwrap_or(0.0));
        (tape.constant(known) * x).slice(0, ..2).sum()
    })?;
    let mut program = program.forced(Forced::Replay);
    for x in 1..20 {
        let x = f64::from(x);
        assert_eq!(program.value(&x)?, 2.0 * x * x);
    }
    let report = program.report();
    assert!(report.paths < 12 && report.paths + report.forgotten == 20, "{report}");
    Ok(())
}

/// One seed is taken for each run, whatever becomes of it: replayed, recorded, given up or run on the tape.
#[test]
fn nothing_is_drawn_in_vain() -> Result<()> {
    fn f<'t>(generator: &Generator, x: Var<'t, f64>) -> Scalar<'t, f64> {
        let y = x.dropout(0.5, generator).sum();
        if x.at([0]) > 0.5 { y } else { -y }
    }
    let (model, same) = (Generator::from_key(3), Generator::from_key(3));
    let mut program = ModelProgram::record(&model, &Tensor::full([8], 1.0), |model: &Generator, _, x| f(model, x))?;
    for k in 1..50_u64 {
        let x = Tensor::full([8], if k % 3 == 0 { 0.25 } else { 2.0 });
        let tape = Tape::new();
        assert_eq!(program.value(&model, &x)?, f(&same, tape.constant(&x)).value()?);
        assert_eq!((model.drawn(), same.drawn()), (k, k));
    }
    Ok(())
}

/// What no replay can do is refused on the tape too, whichever of them an input gets.
#[test]
fn what_is_refused_does_not_depend_on_what_came_before() -> Result<()> {
    fn f<'t>(_: &'t Tape<f64>, x: Scalar<'t, f64>) -> Scalar<'t, f64> {
        if x > 0.0 {
            return x * x;
        }
        match (x * x).backward() {
            Ok(found) => Scalar::constant(found.of(x).unwrap_or(0.0)),
            Err(error) => Scalar::failed(x.tape.unwrap(), error),
        }
    }
    for how in [None, Some(Forced::Replay), Some(Forced::Run)] {
        let program = Program::record(&1.0, f)?;
        let mut program = how.map_or_else(|| Program::record(&1.0, f), |how| Ok(program.forced(how)))?;
        assert_eq!(program.value(&3.0)?, 9.0);
        let error = program.value(&-1.0).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::NotReplayable { .. }), "{error}");
        assert_eq!(program.value(&2.0)?, 4.0);
    }
    Ok(())
}
