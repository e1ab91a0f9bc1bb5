//! Values and derivatives of every op equal those of PyTorch, kept in `tests/reference/ops.jsonl`.

mod calls;
mod case;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use autograd::{Error, Tape, Tensor, Var, jvp};

use calls::Call;
use case::{Case, Input, Numbers};

/// Ops of the file that the engine does not have.
#[rustfmt::skip]
const NOT_YET: &[&str] = &[];

/// Where we choose otherwise than PyTorch, and why.
#[rustfmt::skip]
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("hypot", "at zero", "0, the middle of its subgradients, as PyTorch has for the norm; PyTorch has nan"),
    ("sign", "not finite", "not a number stays not a number; PyTorch has 0"),
    ("xlogy", "at zero", "0 wherever x is 0, as the value; PyTorch has 0/0"),
    ("xlog1py", "at zero", "0 wherever x is 0, as the value; PyTorch has 0/0"),
    ("powf", "not finite", "the square root of −∞ is ∞ as a power, as in IEEE 754; PyTorch has nan"),
    ("polygamma", "not finite", "the limit 0 at ∞; PyTorch has nan"),
    ("digamma", "kinks", "∞ at the poles of trigamma; PyTorch has 10³²"),
    ("hardswish", "not finite", "the limit 0 at −∞; PyTorch has nan"),
];

/// Relative and absolute tolerance of the cases that do not reach the usual one.
#[rustfmt::skip]
const TOLERANCES: &[(&str, &str, [f64; 2], &str)] = &[
    ("asin", "tails", [1e-12, 1e-16], "the slope of (1 − x)(1 + x) near 0 is a difference"),
    ("acos", "tails", [1e-12, 1e-16], "the slope of (1 − x)(1 + x) near 0 is a difference"),
    ("atanh", "tails", [1e-12, 1e-16], "the slope of (1 − x)(1 + x) near 0 is a difference"),
    ("sigmoid", "tails", [1e-12, 3e-16], "1 − y where y is nearly 1"),
    ("logsigmoid", "tails", [1e-12, 3e-16], "1 − y of the sigmoid where y is nearly 1"),
    ("silu", "tails", [1e-12, 3e-15], "1 − y of the sigmoid where y is nearly 1, times x"),
    ("mish", "tails", [1e-12, 3e-15], "1 − y of the sigmoid where y is nearly 1, times x"),
    ("gelu", "tails, approximate tanh", [1e-12, 1e-14], "1 − s where the sigmoid s is nearly 1"),
    ("tanh", "tails", [1e-12, 3e-16], "1 − y where y is nearly 1"),
    ("tanhshrink", "tails", [1e-12, 3e-16], "x − tanh x near 0, and 1 − y where y is nearly 1"),
    ("bce_with_logits", "tails", [1e-12, 1e-300], "PyTorch's smallest numbers are 0"),
    ("bce", "", [1e-9, 1e-14], "PyTorch adds 10⁻¹² to a denominator of its second derivative"),
    ("softplus", "tails", [1e-12, 1e-12], "PyTorch goes straight above its threshold"),
];

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/ops.jsonl");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().skip(1).map(Case::parse).collect()
}

fn tolerance(case: &Case) -> [f64; 2] {
    let named = TOLERANCES.iter().find(|(op, name, ..)| *op == case.op && case.name.starts_with(name));
    match named {
        Some(&(_, _, tolerance, _)) => tolerance,
        None if case.kind == "tail" => [1e-12, 0.0],
        None => [1e-12, 1e-14],
    }
}

/// The worst element that is too far from its expected value.
fn differs(what: &str, found: &Tensor<f64>, expected: &Numbers, [relative, absolute]: [f64; 2]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{what}: {} elements, not {}", found.len(), expected.len()));
    }
    let excess = |found: f64, expected: f64| {
        let same = found == expected || (found.is_nan() && expected.is_nan());
        let distance = (found - expected).abs();
        match same || distance <= relative * expected.abs() + absolute {
            true => None,
            false => Some(if distance.is_nan() { f64::INFINITY } else { distance / expected.abs() }),
        }
    };
    let pairs = found.iter().zip(expected.iter().copied()).enumerate();
    let worst = pairs.filter_map(|(i, (f, e))| Some((excess(f, e)?, i, f, e))).max_by(|a, b| a.0.total_cmp(&b.0));
    worst.map(|(by, i, found, expected)| format!("{what} [{i}] is {found:e}, not {expected:e} (by {by:.0e})"))
}

/// Everything that the file knows of a case and that comes out otherwise here.
fn check(case: &Case) -> Result<Vec<String>, Error> {
    let tape = Tape::new();
    let x = case.on(&tape);
    let outputs = calls::call(&Call::new(case, &tape, &x))?;
    let tolerance = tolerance(case);
    let mut wrong = Vec::new();
    if outputs.len() != case.outputs.len() {
        wrong.push(format!("{} outputs, not {}", outputs.len(), case.outputs.len()));
    }
    for (y, expected) in outputs.iter().zip(&case.outputs) {
        let value = y.value()?;
        if value.shape()[..] != expected.shape[..] {
            wrong.push(format!("value has shape {}, not {:?}", value.shape(), expected.shape));
        }
        wrong.extend(differs("value", &value, &expected.data, tolerance));
    }
    if let (Some(cotangents), Some(gradients)) = (&case.cotangents, &case.gradients) {
        let total = seeded(&outputs, cotangents)?;
        let numeric = total.backward()?;
        for (i, expected) in gradients.iter().enumerate() {
            let (Some(expected), Some(x)) = (expected, x[i]) else { continue };
            let found = numeric.of(x).unwrap_or_else(|_| Tensor::zeros(x.shape()));
            wrong.extend(differs(&format!("gradient {i}"), &found, expected, tolerance));
            let recorded = total.grad(x).value()?;
            wrong.extend(differs(&format!("recorded gradient {i}"), &recorded, expected, tolerance));
        }
        if let (Some(directions), Some(second)) = (&case.directions, &case.second) {
            wrong.extend(check_second(total, &x, directions, second, tolerance)?);
        }
    }
    if let (Some(directions), Some(expected)) = (&case.directions, &case.jvp) {
        wrong.extend(check_jvp(case, directions, expected, tolerance)?);
    }
    Ok(wrong)
}

/// Σ g·y over all outputs that have a cotangent.
fn seeded<'t>(outputs: &[Var<'t, f64>], cotangents: &[Option<Numbers>]) -> Result<autograd::Scalar<'t, f64>, Error> {
    let terms = outputs.iter().zip(cotangents).filter_map(|(y, g)| {
        let g = Tensor::from_vec(y.shape(), g.clone()?);
        Some(g.map(|g| (*y * y.tape().constant(g)).sum()))
    });
    terms.sum()
}

fn check_second(
    total: autograd::Scalar<'_, f64>,
    x: &[Option<Var<'_, f64>>],
    directions: &[Option<Numbers>],
    expected: &[Option<Numbers>],
    tolerance: [f64; 2],
) -> Result<Vec<String>, Error> {
    let along = x.iter().zip(directions).filter_map(|(x, v)| {
        let (x, v) = ((*x)?, v.clone()?);
        let v = Tensor::from_vec(x.shape(), v);
        Some(v.map(|v| (total.grad(x) * x.tape().constant(v)).sum()))
    });
    let along: autograd::Scalar<'_, f64> = along.sum::<Result<_, Error>>()?;
    along.value()?;
    // No handle at all: the gradient does not depend on the operands.
    let found = along.backward().ok();
    let mut wrong = Vec::new();
    for (i, expected) in expected.iter().enumerate() {
        let (Some(expected), Some(x)) = (expected, x[i]) else { continue };
        let found = found.as_ref().and_then(|found| found.of(x).ok());
        let found = found.unwrap_or_else(|| Tensor::zeros(x.shape()));
        wrong.extend(differs(&format!("second derivative {i}"), &found, expected, tolerance));
    }
    Ok(wrong)
}

fn check_jvp(
    case: &Case,
    directions: &[Option<Numbers>],
    expected: &[Option<Numbers>],
    tolerance: [f64; 2],
) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    for (j, expected) in expected.iter().enumerate() {
        let Some(expected) = expected else { continue };
        let found = match case.floats().count() {
            1 => forward::<1>(case, directions, j),
            2 => forward::<2>(case, directions, j),
            3 => forward::<3>(case, directions, j),
            4 => forward::<4>(case, directions, j),
            5 => forward::<5>(case, directions, j),
            6 => forward::<6>(case, directions, j),
            _ => forward::<7>(case, directions, j),
        };
        wrong.extend(differs(&format!("forward derivative {j}"), &found?, expected, tolerance));
    }
    Ok(wrong)
}

/// The derivative of output `j` along the directions, for a case of N tensors of numbers.
fn forward<const N: usize>(case: &Case, directions: &[Option<Numbers>], j: usize) -> Result<Tensor<f64>, Error> {
    let x: Vec<Tensor<f64>> = case.floats().map(|i| case.inputs[i].tensor()).collect();
    let along = |i: usize| match &directions[i] {
        Some(v) => Tensor::from_vec(&case.inputs[i].shape[..], v.clone()),
        None => Ok(Tensor::zeros(&case.inputs[i].shape[..])),
    };
    let dx: Vec<Tensor<f64>> = case.floats().map(along).collect::<Result<_, Error>>()?;
    let array = |tensors: Vec<Tensor<f64>>| <[Tensor<f64>; N]>::try_from(tensors).expect("N tensors of numbers");
    let (_, tangent) = jvp(
        |tape, handles| {
            let mut handles = handles.into_iter();
            let handle = |input: &Input| if input.is_float() { handles.next() } else { None };
            let x: Vec<_> = case.inputs.iter().map(handle).collect();
            calls::call(&Call::new(case, tape, &x)).expect("it was called before")[j]
        },
        array(x),
        array(dx),
    )?;
    Ok(tangent)
}

#[test]
fn every_op_is_called_or_listed_as_missing() {
    let present: BTreeSet<String> = cases().into_iter().map(|case| case.op).collect();
    let called: BTreeSet<String> = calls::names().map(str::to_string).collect();
    let missing: BTreeSet<String> = NOT_YET.iter().map(|name| name.to_string()).collect();
    let both: Vec<_> = called.intersection(&missing).collect();
    assert!(both.is_empty(), "called and listed as missing: {both:?}");
    let neither: Vec<_> = present.iter().filter(|name| !called.contains(*name) && !missing.contains(*name)).collect();
    assert!(neither.is_empty(), "neither called nor listed as missing: {neither:?}");
    let unknown: Vec<_> = called.union(&missing).filter(|name| !present.contains(*name)).collect();
    assert!(unknown.is_empty(), "not in the file: {unknown:?}");
}

/// A method with the name of a missing op is an op that should be called here.
#[test]
fn what_is_listed_as_missing_is_missing() {
    let sources = ["crates/autograd/src/ops", "crates/autograd/src/var.rs", "crates/nn/src"];
    let text: String = sources.iter().map(|path| read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path))).collect();
    let found: Vec<_> = NOT_YET.iter().filter(|name| text.contains(&format!("pub fn {name}("))).collect();
    assert!(found.is_empty(), "these exist now, so their cases can be called: {found:?}");
}

fn read(path: &Path) -> String {
    match fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| read(&entry.expect("a readable folder").path())).collect(),
        Err(_) => fs::read_to_string(path).unwrap_or_default(),
    }
}

#[test]
fn values_and_derivatives_are_those_of_pytorch() {
    let mut report = Vec::new();
    let mut count = 0;
    for case in cases() {
        let is_otherwise = OTHERWISE.iter().any(|&(op, name, _)| case.op == op && case.name.starts_with(name));
        if NOT_YET.contains(&&*case.op) || is_otherwise {
            continue;
        }
        count += 1;
        match check(&case) {
            Ok(wrong) => report.extend(wrong.into_iter().map(|wrong| format!("{} ({}): {wrong}", case.op, case.name))),
            Err(error) => report.push(format!("{} ({}): {error}", case.op, case.name)),
        }
    }
    assert!(report.is_empty(), "{} differences in {count} cases:\n{}", report.len(), report.join("\n"));
}
