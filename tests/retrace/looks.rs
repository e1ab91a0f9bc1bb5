//! Whatever shows a number while a program is recorded is a look at it: the program holds for that very number, or it is
//! refused.

use autograd::{
    Check, Dual, Error, ErrorKind, Indices, NoGrad, Program, Real, Result, Scalar, Tape, Tensor, Term, Var,
    graph::{DotGradients, DotOptions},
};

type X = (f64, Tensor<f64>, Tensor<usize>);

/// What a look is given.
#[derive(Clone)]
struct Given<'t> {
    tape: &'t Tape<f64>,
    x: Scalar<'t, f64>,
    y: Var<'t, f64>,
    places: Indices<'t, f64>,
}

type Look = for<'t> fn(&Given<'t>) -> String;

/// A number that code computes from what it has seen.
fn seen<'t>(
    look: Look,
    tape: &'t Tape<f64>,
    (x, y, places): (Scalar<'t, f64>, Var<'t, f64>, Indices<'t, f64>),
) -> Scalar<'t, f64> {
    let text = look(&Given { tape, x, y, places });
    let number = text.bytes().fold(1.0, |sum, byte| (sum * 31.0 + f64::from(byte)) % 1009.0);
    (x * y).sum() * number
}

fn eager(look: Look, x: &X) -> Result<f64> {
    let tape = Tape::new();
    let handles = autograd::Inputs::record(x, &tape);
    seen(look, &tape, handles).value()
}

fn points() -> [X; 3] {
    [(0.5, 1), (-2.25, 0), (3.0, 2)].map(|(x, place)| {
        let y = Tensor::from([x * 2.0, 1.0 - x, f64::INFINITY.recip()]);
        (x, y, Tensor::from([place, 1]))
    })
}

fn program(look: Look) -> Result<Program<'static, f64, X>> {
    Program::record(&points()[0], move |tape, x| seen(look, tape, x))
}

/// At another point the path is another one, with the result of a recording that is made anew.
#[test]
fn looks_are_guards() {
    let looks: &[(&str, Look)] = &[
        ("value of a scalar", |at| at.x.value().unwrap().to_string()),
        ("number of a real", |at| at.x.number().to_string()),
        ("comparison", |at| (at.x > 0.0).to_string()),
        ("order", |at| format!("{:?}", at.x.partial_cmp(&1.0))),
        ("display of a scalar", |at| at.x.to_string()),
        ("display with a precision", |at| format!("{:.1}", at.x)),
        ("debug of a scalar", |at| format!("{:?}", at.x)),
        ("scalars in a list", |at| format!("{:?}", vec![Some(at.x), Some(at.x * 2.0)])),
        ("scalar in a dual", |at| format!("{:?}", Dual::variable(at.x))),
        ("data", |at| format!("{:?}", NoGrad(at.x))),
        ("derivative", |at| format!("{:?}", (at.x * at.x).grad(at.x))),
        ("detached", |at| at.x.detach().to_string()),
        ("without gradients", |at| at.tape.no_grad(|| at.x * 3.0).to_string()),
        ("value of a tensor", |at| at.y.value().unwrap().to_string()),
        ("display of a tensor", |at| at.y.to_string()),
        ("debug of a tensor", |at| format!("{:?}", at.y)),
        ("term", |at| format!("{:?}", Term::from(at.y))),
        ("term of a scalar", |at| format!("{:?}", Term::from(at.x))),
        ("statistics", |at| format!("{:?}", at.y.reshape([3, 1]).batch_norm(None, None, 0.1).1)),
        ("element", |at| at.y.at([1]).to_string()),
        ("value of indices", |at| format!("{:?}", at.places.value())),
        ("debug of indices", |at| format!("{:?}", at.places)),
        ("indices that were found", |at| format!("{:?}", at.y.sort(0, autograd::SortOrder::Ascending).1)),
        ("indices in another shape", |at| format!("{:?}", at.places.reshape([2, 1]))),
    ];
    for (name, look) in looks {
        let mut program = program(*look).unwrap_or_else(|error| panic!("{name}: {error}")).always_replayed();
        for (k, x) in points().iter().chain(&points()).enumerate() {
            let found = program.value(x).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(found, eager(*look, x).unwrap(), "{name} is frozen at point {k}");
        }
        assert!(program.report().paths > 1, "{name} shows nothing");
    }
}

/// What shows the numbers of a whole recording is no part of a program, and the error says what to do.
#[test]
fn reports_are_refused() {
    let looks: &[(&str, Look)] = &[
        ("explain", |at| at.y.sum().explain().to_string()),
        ("explain", |at| at.tape.explain(at.x.ln()).to_string()),
        ("explain_gradient", |at| at.y.relu().sum().explain_gradient(at.y).to_string()),
        ("explain_gradient", |at| at.tape.explain_gradient(at.x * at.x, at.x).to_string()),
        ("check", |at| at.tape.check().to_string()),
        ("check", |at| at.tape.check_with(&Check::default()).to_string()),
        ("to_dot", |at| {
            let options = DotOptions { values: true, gradients: DotGradients::None };
            at.tape.to_dot(&options).unwrap_or_default()
        }),
        ("backward", |at| {
            let options = DotOptions { values: false, gradients: DotGradients::From(at.y.sum()) };
            at.tape.to_dot(&options).unwrap_or_default()
        }),
        ("backward", |at| format!("{:?}", at.y.sum().backward().is_ok())),
        ("backward", |at| format!("{:?}", at.y.sum().backward_keeping(&[at.y]).is_ok())),
        ("vjp", |at| format!("{:?}", at.y.vjp(Tensor::ones([3])).is_ok())),
        ("jvp", |at| format!("{:?}", at.y.jvp(at.y, Tensor::ones([3])).is_ok())),
        ("jvp", |at| format!("{:?}", at.x.jvp(at.x, 1.0).is_ok())),
    ];
    for (op, look) in looks {
        let error = program(*look).map(drop).unwrap_err();
        assert_eq!((error.op, matches!(error.kind, ErrorKind::NotReplayable { .. })), (*op, true), "{error}");
        assert!(
            ["`grad` records", "on a tape of its own"].iter().any(|what| error.to_string().contains(what)),
            "{error}"
        );
        assert!(error.location.file().ends_with("looks.rs"), "{error}");
    }
}

/// What is the same for all inputs on a path shows none of their numbers.
#[test]
fn what_shows_no_number_is_no_guard() {
    let looks: &[(&str, Look)] = &[
        ("length", |at| at.tape.len().to_string()),
        ("bytes", |at| at.tape.bytes().to_string()),
        ("debug of a tape", |at| format!("{:?}", at.tape)),
        ("failure", |at| format!("{:?}", at.tape.failure())),
        ("failed", |at| at.y.is_failed().to_string()),
        ("shape", |at| format!("{:?} {:?}", at.y.shape(), at.places.shape())),
        ("graph", |at| format!("{:?}", at.tape.graph())),
        ("drawing", |at| at.tape.to_dot(&DotOptions::default()).unwrap()),
    ];
    for (name, look) in looks {
        let mut recorded = program(*look).unwrap().always_replayed();
        for x in &points() {
            let look = *look;
            let mut fresh = Program::record(x, move |tape, x| seen(look, tape, x)).unwrap();
            assert_eq!(recorded.value(x).unwrap(), fresh.value(x).unwrap(), "{name}");
        }
        assert_eq!(recorded.report().paths, 1, "{name}");
    }
}

/// Code that goes on after a failure is no program: the failure is the result, when it is recorded and when it is replayed.
#[test]
fn failures_are_results() {
    let looks: &[Look] = &[
        |at| at.y.reshape([3, 1]).embedding(at.places).is_failed().to_string(),
        |at| format!("{:?}", (at.y.reshape([3, 1]).embedding(at.places), at.tape.failure()).1.is_some()),
    ];
    let beyond = |x: &X| (x.0, x.1.clone(), Tensor::from([7, 0]));
    for &look in looks {
        let x = points()[0].clone();
        assert!(eager(look, &beyond(&x)).is_ok());
        let mut recorded = program(look).unwrap();
        assert_eq!(recorded.value(&x).unwrap(), eager(look, &x).unwrap());
        let is_out_of_range = |error: Error| matches!(error.kind, ErrorKind::Index { index: 7, .. });
        let fresh = Program::record(&beyond(&x), move |tape, x| seen(look, tape, x))
            .and_then(|mut program| program.value(&beyond(&x)));
        assert!(is_out_of_range(fresh.unwrap_err()));
        assert!(recorded.value(&beyond(&x)).is_err_and(is_out_of_range));
    }
}
