//! The functions that `benches/scalar_workloads` measures, against PyTorch's values in `tests/reference/scalars.jsonl`,
//! against differences, and written with tensors.

#[path = "../../benches/scalar_workloads/bundle.rs"]
mod bundle;
#[path = "../../benches/scalar_workloads/chain.rs"]
mod chain;
#[path = "../../benches/scalar_workloads/function.rs"]
mod function;
#[path = "../../benches/scalar_workloads/lstm.rs"]
mod lstm;
#[path = "../../benches/scalar_workloads/mix.rs"]
mod mix;
#[path = "../../benches/scalar_workloads/mixture.rs"]
mod mixture;
#[path = "../../benches/scalar_workloads/rosenbrock.rs"]
mod rosenbrock;

use autograd::{Program, Result, Scalar, Tape};
use serde_json::Value;

use bundle::{ARGUMENTS, CAMERA, Jacobian, Scene, reprojection_error, weight_error};
use chain::{Chain, Turn};
use function::{Function, gradient, record};
use lstm::Lstm;
use mix::Mix;
use mixture::{Mixture, Tensors};
use rosenbrock::Rosenbrock;

/// The lines about one function.
fn lines(function: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/scalars.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let found: Vec<Value> = all.filter(|line| line["function"] == function).collect();
    assert!(!found.is_empty(), "no line about {function}");
    found
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn count(value: &Value) -> usize {
    value.as_u64().expect("a count") as usize
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1.0_f64, |scale, x| scale.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance * scale, "{i}: {found} instead of {expected}");
    }
}

fn gradient_of(f: &impl Function, x: &[f64]) -> Result<(f64, Vec<f64>)> {
    let mut slots = vec![0.0; x.len()];
    let value = gradient(&mut Tape::new(), f, x, &mut slots)?;
    Ok((value, slots))
}

/// Replayed from a recording at another point, alone and in lanes, the function has this value and this gradient.
#[track_caller]
fn check_replayed(f: &impl Function, x: &[f64], expected: f64, gradient: &[f64]) -> Result<()> {
    let x = x.to_vec();
    let elsewhere: Vec<f64> = x.iter().map(|x| x * 1.25 + 0.125).collect();
    let mut program = Program::record(&elsewhere, |_, x| f.value(&x))?;
    let (value, found) = program.value_and_gradient(&x)?;
    assert_eq!(value, expected, "replayed and recorded values differ");
    assert_close(found, gradient, 1e-13);
    let found = found.clone();
    let xs = [elsewhere, x.clone(), x];
    let mut lanes = xs.each_ref().map(|x| (0.0, x.clone()));
    program.batch(&xs).value_and_gradient(&mut lanes)?;
    assert!(lanes[1..].iter().all(|lane| *lane == (value, found.clone())), "lanes differ");
    Ok(())
}

/// Plain, recorded and replayed, the function has the value and the gradient of the line.
#[track_caller]
fn check(f: &impl Function, line: &Value) -> Result<()> {
    let x = numbers(&line["x"]);
    let (value, gradient) = gradient_of(f, &x)?;
    assert_eq!(value, f.value(&x), "plain and recorded values differ");
    assert_close(&[value], &[line["value"].as_f64().expect("a number")], 1e-13);
    assert_close(&gradient, &numbers(&line["gradient"]), 1e-12);
    check_replayed(f, &x, value, &gradient)
}

#[test]
fn chains_are_those_of_pytorch_and_record_the_operations_they_count() -> Result<()> {
    for line in lines("chain") {
        let turn = match line["turn"].as_str() {
            Some("sine") => Turn::Sine,
            Some("mixed") => Turn::Mixed,
            _ => Turn::Arithmetic,
        };
        let chain = Chain { turn, turns: count(&line["turns"]) };
        assert_eq!(numbers(&line["x"]), Chain::START);
        check(&chain, &line)?;
        let tape = Tape::new();
        record(&tape, &chain, &Chain::START);
        assert_eq!(tape.len(), Chain::START.len() + chain.turns * turn.operations());
    }
    Ok(())
}

#[test]
fn rosenbrock_is_that_of_pytorch_and_of_the_gradient_by_hand() -> Result<()> {
    for line in lines("rosenbrock") {
        check(&Rosenbrock, &line)?;
        let x = Rosenbrock::start(count(&line["n"]));
        assert_close(&x, &numbers(&line["x"]), 1e-15);
        let mut by_hand = vec![0.0; x.len()];
        assert_eq!(Rosenbrock::by_hand(&x, &mut by_hand), Rosenbrock.value(&x));
        assert_close(&by_hand, &numbers(&line["gradient"]), 1e-13);
    }
    Ok(())
}

fn tensor_gradient(mixture: &Mixture, x: &[f64]) -> Result<(f64, Vec<f64>)> {
    let (tape, tensors) = (Tape::new(), Tensors::new(mixture)?);
    let handles = tensors.parameters(mixture, x)?.map(|parameter| tape.var(parameter));
    let value = tensors.value(&tape, handles);
    let gradients = value.backward()?;
    let mut all = Vec::new();
    for handle in handles {
        all.extend(gradients.of(handle)?.to_vec());
    }
    Ok((value.value()?, all))
}

#[test]
fn mixtures_are_those_of_pytorch_on_numbers_and_on_tensors() -> Result<()> {
    for line in lines("mixture") {
        let mixture = Mixture {
            dimension: count(&line["dimension"]),
            components: count(&line["components"]),
            points: numbers(&line["points"]),
            gamma: line["gamma"].as_f64().expect("a number"),
            m: line["m"].as_f64().expect("a number"),
        };
        check(&mixture, &line)?;
        let (value, gradient) = tensor_gradient(&mixture, &numbers(&line["x"]))?;
        assert_close(&[value], &[line["value"].as_f64().expect("a number")], 1e-13);
        assert_close(&gradient, &numbers(&line["gradient"]), 1e-12);
    }
    Ok(())
}

#[test]
fn mixtures_on_tensors_are_those_on_numbers() -> Result<()> {
    let mixture = Mixture::random(5, 7, 40, 0);
    let x = mixture.parameters(1);
    let (value, gradient) = gradient_of(&mixture, &x)?;
    let (tensor_value, tensor_gradient) = tensor_gradient(&mixture, &x)?;
    assert_close(&[tensor_value], &[value], 1e-13);
    assert_close(&tensor_gradient, &gradient, 1e-12);

    let points: Vec<Vec<f64>> = mixture.points.chunks(5).map(<[f64]>::to_vec).collect();
    let mut terms = Program::record(&(x.clone(), points[0].clone()), |_, (x, point)| mixture.term(&x, &point))?;
    let (of_terms, slopes) = terms.sum(&x, &points)?;
    let mut rest = Program::record(&x, |_, x| mixture.rest(&x))?;
    let (of_rest, others) = rest.value_and_gradient(&x)?;
    assert_close(&[of_terms + of_rest], &[value], 1e-13);
    let sums: Vec<f64> = slopes.iter().zip(others).map(|(a, b)| a + b).collect();
    assert_close(&sums, &gradient, 1e-12);
    Ok(())
}

#[test]
fn lstms_are_those_of_pytorch() -> Result<()> {
    for line in lines("lstm") {
        let (layers, width) = (count(&line["layers"]), count(&line["width"]));
        check(&Lstm { layers, width, state: numbers(&line["state"]), text: numbers(&line["text"]) }, &line)?;
    }
    Ok(())
}

#[test]
fn observations_are_those_of_pytorch() -> Result<()> {
    for line in lines("observation") {
        let plain: [f64; ARGUMENTS] = numbers(&line["x"]).try_into().expect("all arguments");
        let feature: [f64; 2] = numbers(&line["feature"]).try_into().expect("two coordinates");
        let tape = Tape::new();
        let x = tape.scalars(plain);
        let [a, b] = reprojection_error(&x, feature.map(Scalar::constant));
        let (mut errors, mut jacobian) = (Vec::new(), Vec::new());
        for error in [a, b, weight_error(x[ARGUMENTS - 1])] {
            let gradients = error.backward()?;
            errors.push(error.value()?);
            for x in x {
                jacobian.push(gradients.of(x)?);
            }
        }
        assert_close(&errors, &numbers(&line["errors"]), 1e-13);
        assert_close(&jacobian, &numbers(&line["jacobian"]), 1e-12);
    }
    Ok(())
}

const STEP: f64 = 1e-5;

/// A direction without pattern.
fn direction(len: usize) -> Vec<f64> {
    (0..len).map(|i| (1.7 * i as f64 + 0.3).sin()).collect()
}

#[track_caller]
fn check_differences(f: &impl Function, x: &[f64]) -> Result<()> {
    let v = direction(x.len());
    let moved = |t: f64| x.iter().zip(&v).map(|(x, v)| x + t * v).collect::<Vec<_>>();
    let difference = (f.value(&moved(STEP)) - f.value(&moved(-STEP))) / (2.0 * STEP);
    let (_, gradient) = gradient_of(f, x)?;
    assert_close(&[gradient.iter().zip(&v).map(|(g, v)| g * v).sum()], &[difference], 1e-6);
    Ok(())
}

#[test]
fn gradients_are_the_limits_of_differences() -> Result<()> {
    check_differences(&Mix::new(300, 0), &Mix::start())?;
    check_differences(&Rosenbrock, &Rosenbrock::start(20))?;
    let mixture = Mixture::random(3, 4, 10, 0);
    check_differences(&mixture, &mixture.parameters(1))?;
    let lstm = Lstm::random(2, 4, 8, 0);
    check_differences(&lstm, &lstm.parameters(1))?;
    for turn in [Turn::Sine, Turn::Mixed, Turn::Arithmetic] {
        check_differences(&Chain { turn, turns: 20 }, &Chain::START)?;
    }
    Ok(())
}

/// All numbers of a scene: cameras, points, weights, in the order of the Jacobian's columns.
fn moved(scene: &Scene, by: &[f64]) -> Scene {
    let mut by = by.iter();
    let mut next = || by.next().copied().unwrap_or(f64::NAN);
    let cameras = scene.cameras.iter().map(|camera| camera.map(|x| x + next())).collect();
    let points = scene.points.iter().map(|point| point.map(|x| x + next())).collect();
    let observations =
        scene.observations.iter().map(|o| bundle::Observation { weight: o.weight + next(), ..*o }).collect();
    Scene { cameras, points, observations }
}

#[test]
fn the_sparse_jacobian_is_the_limit_of_differences() -> Result<()> {
    let scene = Scene::random(3, 5, 7, 0);
    let columns = CAMERA * scene.cameras.len() + 3 * scene.points.len() + scene.observations.len();
    let v = direction(columns);
    let errors = |t: f64| {
        let mut errors = vec![0.0; 3 * scene.observations.len()];
        moved(&scene, &v.iter().map(|v| t * v).collect::<Vec<_>>()).errors(&mut errors);
        errors
    };
    let difference: Vec<f64> =
        errors(STEP).iter().zip(errors(-STEP)).map(|(after, before)| (after - before) / (2.0 * STEP)).collect();
    let mut jacobian = Jacobian::new(&scene);
    scene.jacobian(&mut Tape::new(), &mut jacobian)?;
    let row = |range: &[usize]| (range[0]..range[1]).map(|i| jacobian.values[i] * v[jacobian.columns[i]]).sum();
    let product: Vec<f64> = jacobian.starts.windows(2).map(row).collect();
    assert_close(&product, &difference, 1e-7);
    let mut replayed = Jacobian::new(&scene);
    bundle::Replay::new(&scene)?.jacobian(&scene, &mut replayed)?;
    assert_close(&replayed.values, &jacobian.values, 1e-13);
    Ok(())
}
