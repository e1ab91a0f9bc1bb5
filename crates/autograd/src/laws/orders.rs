//! Derivatives of any order exist: that of what is constant or does not depend on a handle is 0, which works further.

use super::{operands, record};
use crate::error::{Error, ErrorKind, Result};
use crate::handle::NoGrad;
use crate::kernel::samples::Draws;
use crate::ops::elementwise::Elementwise;
use crate::program::Program;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;
use crate::{hessian, hvp, jacobian, jvp};

const ORDER: usize = 4;

/// The derivatives of y by x, of orders 0 to `order`.
fn derivatives<'t>(y: Scalar<'t, f64>, x: Scalar<'t, f64>, order: usize) -> Result<Vec<Scalar<'t, f64>>> {
    let mut all = vec![y];
    for k in 0..order {
        all.push(all[k].grad(x));
    }
    Ok(all)
}

/// Powers up to this one, as users write them.
const POWER: i32 = 5;

fn powers<'t>(x: Scalar<'t, f64>, n: i32) -> Vec<Scalar<'t, f64>> {
    let product = (0..n).fold(Scalar::constant(1.0), |product, _| product * x);
    let mut all = vec![x.powi(n), x.pow(f64::from(n)), product];
    match n {
        0 => all.extend([Scalar::constant(1.0), x * 0.0 + 1.0, x.detach() / x.detach()]),
        1 => all.extend([x, x * 3.0 - x * 2.0, x.selu() / x.selu() * x, x.reciprocal().reciprocal()]),
        2 => all.extend([x.square(), x.powi(3) / x, x.sqrt().powi(4)]),
        _ => all.push(x.square() * x.powi(n - 2)),
    }
    all
}

#[test]
fn derivatives_of_powers_of_every_order_are_those_of_mathematics() {
    let at = 1.5_f64;
    for n in 0..=POWER {
        let tape = Tape::new();
        let x = tape.scalar(at);
        for (form, y) in powers(x, n).into_iter().enumerate() {
            for (k, found) in derivatives(y, x, 2 + POWER as usize).unwrap().into_iter().enumerate() {
                let factors: f64 = (0..k as i32).map(|i| f64::from(n - i)).product();
                let expected = factors * at.powi(n - k as i32);
                let found = found.value().unwrap();
                assert!(
                    (found - expected).abs() < 1e-8,
                    "order {k} of power {n}, form {form}: {found}, not {expected}"
                );
            }
        }
        // The same in a program, whose code takes the derivatives.
        for k in 0..=ORDER {
            let factors: f64 = (0..k as i32).map(|i| f64::from(n - i)).product();
            for form in 0..3 {
                let mut program = Program::record(&0.7_f64, |_, x| {
                    derivatives(powers(x, n)[form], x, k).map_or(Scalar::constant(f64::NAN), |all| all[k])
                })
                .unwrap();
                let (value, &slope) = program.value_and_gradient(&at).unwrap();
                let expected = [0, 1].map(|more| {
                    let factors = factors * if more == 1 { f64::from(n - k as i32) } else { 1.0 };
                    factors * at.powi(n - k as i32 - more)
                });
                let near = |found: f64, expected: f64| (found - expected).abs() < 1e-8;
                assert!(near(value, expected[0]) && near(slope, expected[1]), "order {k} of power {n}, form {form}");
            }
        }
    }
}

/// Every way in which an entry holds its operands, on both sides of a kink.
#[test]
fn every_elementwise_op_has_derivatives_of_every_order() {
    for &op in Elementwise::ALL {
        for seed in 0..6 {
            let scalars = vec![Shape::from(()); op.arity()];
            let point: Vec<Tensor<f64>> = operands(op, &scalars, &mut Draws(seed));
            for constants in 0..(1 << op.arity()) - 1 {
                let tape = Tape::new();
                let handle = |(k, x): (usize, &Tensor<f64>)| match constants & (1 << k) {
                    0 => tape.scalar(x.item().unwrap()),
                    _ => Scalar::constant(x.item().unwrap()),
                };
                let x: Vec<Scalar<'_, f64>> = point.iter().enumerate().map(handle).collect();
                for (k, &by) in x.iter().enumerate() {
                    let all = derivatives(op.at(&x), by, ORDER).unwrap_or_else(|error| panic!("{op:?}: {error}"));
                    let are_numbers = all.iter().all(|y| y.value().unwrap().is_finite());
                    assert!(are_numbers, "{op:?} of {point:?} by operand {k}: {all:?}");
                }
            }
            let tape = Tape::new();
            let x: Vec<Var<'_, f64>> = point.into_iter().map(|x| tape.var(x)).collect();
            for &by in &x {
                let mut y = record(op, &x);
                for _ in 0..ORDER {
                    y = y.grad(by, tape.constant(1.0));
                }
                assert!(y.value().unwrap().item().unwrap().is_finite(), "{op:?}");
            }
        }
    }
}

/// Numbers without history: plain, detached, read from data, computed without gradients or from such.
fn constants<'t>(tape: &'t Tape<f64>, x: Scalar<'t, f64>) -> Vec<Scalar<'t, f64>> {
    let data = tape.constant([3.0, 4.0]);
    vec![
        Scalar::constant(3.0),
        x.detach() * 2.0,
        data.at([1]),
        data.sum().exp(),
        tape.no_grad(|| x.sin()),
        Scalar::constant(2.0) * data.at([0]),
    ]
}

#[test]
fn derivatives_of_constants_are_zeros_that_work_further() {
    let tape = Tape::new();
    let (x, v) = (tape.scalar(2.0), tape.var([1.0, 2.0]));
    let unrelated = tape.scalar(5.0).sin();
    for y in constants(&tape, x).into_iter().chain([unrelated]) {
        let (by_x, (by_v, [again])) = y.grad((x, (v, [x])));
        assert_eq!((by_x.value(), again.value()), (Ok(0.0), Ok(0.0)));
        assert_eq!(by_v.value().unwrap(), Tensor::zeros([2]));
        assert_eq!(y.jvp((x, v), (1.0, Tensor::ones([2]))), Ok(0.0));
        assert_eq!((by_x * x + x).grad(x).value(), Ok(1.0));
        assert_eq!((by_v * v + v).sum().grad(v).value().unwrap(), Tensor::ones([2]));
        assert_eq!(by_x.grad(x).grad(v).value().unwrap(), Tensor::zeros([2]));
        assert_eq!(by_v.grad(x, v).value(), Ok(0.0));
        assert_eq!(by_v.jvp(x, 1.0).unwrap(), Tensor::zeros([2]));
    }
}

/// On a tape these are plain numbers; in a program, whose next run may have others, they have entries.
#[test]
fn derivatives_by_constants_are_zeros_on_a_tape_and_in_a_program() {
    fn by_constants<'t>(
        tape: &'t Tape<f64>,
        x: Scalar<'t, f64>,
        NoGrad(data): NoGrad<Scalar<'t, f64>>,
    ) -> Var<'t, f64> {
        let chosen = Scalar::constant(1.0).select(data * 2.0, data);
        let all = constants(tape, x).into_iter().chain([data, data.exp() + 1.0, data * x.detach(), chosen]);
        let derivatives = all.flat_map(|c| {
            let (gathered, loss) = (tape.from_scalars(&[c, c]), (x * c + c.sin()).square());
            let by_gathered = (gathered * x).sum().grad(gathered);
            let by_gathered_number = (gathered * x).sum().grad(c);
            [loss.grad(c), loss.grad(x).grad(c), c.grad(c), by_gathered.sum(), by_gathered_number, loss.grad(x)]
        });
        tape.from_scalars(&derivatives.collect::<Vec<_>>())
    }
    let mut program =
        Program::record_vector(&(2.0_f64, NoGrad(3.0_f64)), |tape, (x, data)| by_constants(tape, x, data)).unwrap();
    for (x, data) in [(2.0, 3.0), (-1.5, 0.25)] {
        let tape = Tape::new();
        let eager = by_constants(&tape, tape.scalar(x), NoGrad(Scalar::constant(data))).value().unwrap();
        for (k, derivative) in eager.iter().enumerate() {
            assert_eq!(derivative == 0.0, k % 6 < 5, "{k}: {derivative}");
        }
        assert_eq!(program.values(&(x, NoGrad(data))).unwrap(), eager);
    }
}

#[test]
fn transformations_of_constant_and_linear_functions_are_zeros() {
    let (x, v) = (Tensor::from([1.0_f64, 2.0]), Tensor::from([3.0, 4.0]));
    let zeros = Tensor::zeros([2, 2]);
    assert_eq!(hessian(|_, _| Scalar::constant(3.0), x.clone()).unwrap(), zeros);
    assert_eq!(hessian(|_, x| (x * 3.0).sum() + x.at([0]), x.clone()).unwrap(), zeros);
    assert_eq!(jacobian(|tape, _| tape.constant([1.0, 1.0]), x.clone()).unwrap(), zeros);
    assert_eq!(jvp(|_, x| x.detach(), x.clone(), v.clone()).unwrap().1, Tensor::zeros([2]));
    assert_eq!(
        hvp(|_, _| Scalar::constant(3.0), x.clone(), v.clone()).unwrap(),
        (Tensor::zeros([2]), Tensor::zeros([2]))
    );
    assert_eq!(hvp(|_, x| x.dot(x.detach()), x.clone(), v.clone()).unwrap(), (x.clone(), Tensor::zeros([2])));
    assert_eq!(hvp(|_, [x, y]| x - y, [1.0_f64, 2.0], [3.0, 4.0]).unwrap(), ([1.0, -1.0], [0.0, 0.0]));
    let failing = hvp(|_, _| Scalar::constant(3.0), x, Tensor::ones([3])).unwrap_err().to_string();
    assert!(failing.starts_with("hvp: the direction must have shape [2], found [3], at "), "{failing}");
}

#[test]
fn programs_of_constant_and_linear_functions_have_zeros() {
    let x = vec![1.0_f64, 2.0];
    let zeros = vec![0.0; 2];
    type F = for<'t> fn(&'t Tape<f64>, Vec<Scalar<'t, f64>>) -> Scalar<'t, f64>;
    let functions: [(F, [f64; 2]); 3] = [
        (|_, _| Scalar::constant(3.0), [0.0, 0.0]),
        (|_, x| x[0] * 3.0 - x[1], [3.0, -1.0]),
        (|tape, x| x[0].square().grad(x[0]) + constants(tape, x[1])[1].grad(x[1]), [2.0, 0.0]),
    ];
    for (f, slopes) in functions {
        let mut program = Program::record(&x, f).unwrap();
        assert_eq!(program.gradient(&x).unwrap(), &slopes);
        assert_eq!(program.hessian(&x).unwrap(), Tensor::zeros([2, 2]));
        assert_eq!(program.hvp(&x, &x).unwrap().1, &zeros);
        assert_eq!(program.jvp(&x, &x).unwrap().1, slopes[0] + 2.0 * slopes[1]);
    }
}

#[test]
fn failed_handles_and_those_of_another_tape_have_no_derivative() {
    type Case = fn(Scalar<'_, f64>, Var<'_, f64>, Scalar<'_, f64>, Var<'_, f64>) -> Option<Error>;
    let cases: [Case; 7] = [
        |x, _, foreign, _| x.sin().grad(foreign).value().err(),
        |x, v, _, stranger| x.sin().grad((v, [stranger])).1[0].value().err(),
        |x, _, foreign, _| x.sin().jvp(foreign, 1.0).err(),
        |_, v, _, stranger| v.sin().grad(stranger, v).value().err(),
        |_, v, _, stranger| v.sin().grad(v, stranger).value().err(),
        |_, v, _, stranger| v.sin().jvp(stranger, Tensor::ones([2])).err(),
        |x, _, _, stranger| x.sin().backward_keeping(&[stranger]).err(),
    ];
    for (k, case) in cases.into_iter().enumerate() {
        let (tape, other) = (Tape::new(), Tape::new());
        let (x, v) = (tape.scalar(2.0), tape.var([1.0, 2.0]));
        let error = case(x, v, other.scalar(1.0), other.var([1.0, 2.0]));
        assert_eq!(error.map(|error| error.kind), Some(ErrorKind::TwoTapes), "{k}");
    }
    let tape = Tape::new();
    let (x, failed) = (tape.scalar(2.0), tape.var([1.0, 2.0]).reshape([3]).sum());
    for found in [failed.grad(x), x.grad(failed), Scalar::constant(1.0).grad(failed)] {
        assert_eq!(found.value().unwrap_err().op, "reshape");
    }
}
