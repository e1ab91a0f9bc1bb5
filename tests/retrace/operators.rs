//! Operators and numbers in formulas: in code for one type of number, for any `Float`, and for any `Real`.

use autograd::{Dual, Float, Program, Real, Result, Scalar, Tape, Tensor, Var, gradient, value_and_gradient};

/// Operators with numbers on the right, tensors and scalars beside each other, references, and assignment.
#[allow(clippy::op_ref)] // References are what is tested.
fn of_var<'t, T: Float>(x: Var<'t, T>, s: Scalar<'t, T>) -> Var<'t, T> {
    let half = T::of(0.5);
    let mut y = x * half + T::of(1.0) - half / T::of(2.0);
    y += x / half;
    y -= half;
    y *= &x;
    y /= s;
    y + &x * half + s * &x + s * x * s + Scalar::constant(half) / x + (-x + half)
}

#[allow(clippy::op_ref)]
fn of_scalar<'t, T: Float>(x: Scalar<'t, T>, s: Scalar<'t, T>) -> Scalar<'t, T> {
    let half = T::of(0.5);
    let mut y = x * half + T::of(1.0) - half / T::of(2.0);
    y += x / half;
    y -= half;
    y *= x;
    y /= s;
    y + &x * half + s * &x + s * x * s + Scalar::constant(half) / x + (-x + half)
}

fn of_number<T: Float>(x: T, s: T) -> T {
    let half = T::of(0.5);
    let mut y = x * half + T::of(1.0) - half / T::of(2.0);
    y += x / half;
    y -= half;
    y *= x;
    y /= s;
    y + x * half + s * x + s * x * s + half / x + (-x + half)
}

#[test]
fn code_for_any_float_has_operators_with_numbers() {
    fn law<T: Float>() -> Result<()> {
        let tape = Tape::<T>::new();
        let numbers = [0.5, -2.0, 3.0].map(T::of);
        let (x, s) = (tape.var(Tensor::from(numbers)), tape.scalar(T::of(1.5)));
        let y = of_var(x, s);
        let expected = numbers.map(|x| of_number(x, T::of(1.5)));
        assert_eq!(y.value()?.to_vec(), expected);
        let found = y.sum().backward()?;
        for (k, (number, expected)) in numbers.into_iter().zip(expected).enumerate() {
            let at = tape.scalar(number);
            let y = of_scalar(at, s);
            assert!(y == expected);
            let [by_element, by_scalar] = [found.of(x)?.to_vec()[k], y.backward()?.of(at)?];
            let difference = (by_element - by_scalar).to_f64();
            assert!(difference.abs() < 1e-5, "{by_element} and {by_scalar}");
        }
        Ok(())
    }
    law::<f32>().unwrap();
    law::<f64>().unwrap();
}

/// Numbers without a written type, and variables, on either side.
#[test]
fn code_for_one_type_has_numbers_on_either_side() {
    macro_rules! law {
        ($float:ty) => {
            let tape = Tape::<$float>::new();
            let (x, s) = (tape.var([1.0, 4.0]), tape.scalar(2.0));
            let a: $float = 3.0;
            let of = |y: Var<'_, $float>| y.value().unwrap().to_vec();
            assert_eq!(of(x * 0.5), [0.5, 2.0]);
            assert_eq!(of(0.5 * x), [0.5, 2.0]);
            assert_eq!(of(1.0 - x), [0.0, -3.0]);
            assert_eq!(of(1.0 / x), [1.0, 0.25]);
            assert_eq!(of(a * x + a), [6.0, 15.0]);
            assert_eq!(of(2.0 * &x - &x * a), [-1.0, -4.0]);
            assert_eq!(of(1.0 - 2.0 * x.sqrt() * 0.5), [0.0, -1.0]);
            assert!(s * 0.5 == 1.0 && 0.5 * s == 1.0 && 1.0 - s == -1.0 && 1.0 / s == 0.5);
            assert!(a * s + a == 9.0 && a * &s == 6.0 && &s * a == 6.0 && &s - 0.5 == 1.5);
            let mut y = x;
            y += 1.0;
            y *= a;
            y -= s;
            y /= x;
            assert_eq!(of(y), [4.0, 3.25]);
            // The other handle is what it was.
            assert_eq!(of(x), [1.0, 4.0]);
            let mut t = s;
            t += 1.0;
            t *= a;
            t -= s;
            t /= 0.5;
            assert!(t == 14.0);
        };
    }
    law!(f32);
    law!(f64);
}

/// A polynomial by Horner's rule, a norm and a product: sums over references and over values, assignment.
fn of_real<R: Real>(x: &[R]) -> R {
    let squares: R = x.iter().map(|&x| x * x).sum();
    let all: R = x.iter().sum();
    let mut y = x.iter().product::<R>() * x.iter().copied().product();
    y += all * R::of(0.5);
    y -= squares.sqrt();
    y *= R::of(2.0);
    y /= x[0];
    y + x[..0].iter().sum() + x[..0].iter().copied().product()
}

#[test]
fn code_for_any_real_sums_multiplies_and_assigns() {
    let x = [1.5_f64, -2.0, 0.5];
    let (value, slopes) = value_and_gradient(|_, x| of_real(&x), x).unwrap();
    assert_eq!(value, of_real(&x));
    for k in 0..3 {
        let mut along = x.map(Dual::constant);
        along[k].tangent = 1.0;
        let found = of_real(&along);
        assert_eq!(found.value, value);
        assert!((found.tangent - slopes[k]).abs() < 1e-14, "{} and {}", found.tangent, slopes[k]);
    }
    let nested = x.map(|x| Dual::constant(Dual::constant(x)));
    assert_eq!(of_real(&nested).value.value, value);
    assert!((f64::from(of_real(&x.map(|x| x as f32))) - value).abs() < 1e-5);
}

/// Plain `f64` numbers on either side, where the bound asks for them.
#[test]
fn duals_and_code_that_asks_for_it_take_numbers() {
    fn f<R: Real + std::ops::Mul<f64, Output = R> + std::ops::Add<f64, Output = R>>(x: R) -> R {
        (x * 2.0 + 1.0) * x
    }
    let x = Dual::variable(3.0);
    assert_eq!((f(3.0), f(x).value, f(x).tangent), (21.0, 21.0, 13.0));
    assert_eq!(gradient(|_, x| f(x), 3.0_f64).unwrap(), 13.0);
    assert_eq!(f(Dual::<Dual<f64>>::variable(Dual::variable(3.0))).tangent.tangent, 4.0);
    let mut y = 1.0 - 2.0 * x + 3.0 / x;
    y -= 0.5;
    y *= x;
    assert_eq!((y.value, y.tangent), (-13.5, -11.5));
    let single = 0.5 * Dual::<f32>::variable(3.0);
    assert_eq!((single.value, single.tangent), (1.5, 0.5));
}

/// √x, ln x and 1/x at and below 0, where they or their slopes are infinite or not numbers, are ignored where not taken.
fn chosen<R: Real>(x: R) -> [R; 4] {
    let zero = R::of(0.0);
    [
        x.gt(zero).select(x.sqrt(), zero),
        x.le(zero).select(-x, x.ln()),
        x.ne(zero).select(x.reciprocal(), x),
        x.lt(R::of(1e300)).select(x, x * R::of(f64::INFINITY) - x),
    ]
}

#[test]
fn a_choice_ignores_what_it_does_not_take() {
    let slopes = |x: f64| -> [f64; 4] {
        let reciprocal = if x == 0.0 { 1.0 } else { -1.0 / (x * x) };
        [if x > 0.0 { 0.5 / x.sqrt() } else { 0.0 }, if x <= 0.0 { -1.0 } else { 1.0 / x }, reciprocal, 1.0]
    };
    let points = [0.0_f64, -0.0, 4.0, -4.0, 1e-300, 0.25, -1e200];
    for k in 0..4 {
        let mut program = Program::record(&4.0_f64, |_, x| chosen(x)[k]).unwrap();
        let mut in_lanes = vec![(0.0, 0.0); points.len()];
        program.batch(&points).value_and_gradient(&mut in_lanes).unwrap();
        for (x, in_lanes) in points.into_iter().zip(in_lanes) {
            let expected = (chosen(x)[k], slopes(x)[k]);
            let dual = chosen(Dual::variable(x))[k];
            let on_tape = value_and_gradient(|_, x| chosen(x)[k], x).unwrap();
            let again = value_and_gradient(|_, x| chosen(x)[k].grad(x), x).unwrap().0;
            let (value, slope) = program.value_and_gradient(&x).unwrap();
            let all = [(dual.value, dual.tangent), on_tape, (expected.0, again), (value, *slope), in_lanes];
            for found in all {
                let near = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-15 * b.abs();
                assert!(
                    near(found.0, expected.0) && near(found.1, expected.1),
                    "{k} at {x}: {all:?}, not {expected:?}"
                );
            }
        }
        // No branch of the code: one path serves all points.
        assert_eq!(program.report().paths, 1);
    }
}

#[test]
fn a_choice_takes_handles_and_numbers() {
    let tape = Tape::<f64>::new();
    let [x, y] = tape.scalars([2.0, f64::NAN]);
    for (chosen, value, by_x, by_y) in [
        (x.select(x, y), 2.0, 1.0, 0.0),
        (Scalar::constant(0.0).select(y, x), 2.0, 1.0, 0.0),
        // Not a number is not zero.
        (y.select(x, 1.0), 2.0, 1.0, 0.0),
        (x.gt(3.0).select(y.exp(), 5.0 * x), 10.0, 5.0, 0.0),
        (x.lt(3.0).select(x * x, y.sqrt()), 4.0, 4.0, 0.0),
    ] {
        let found = chosen.backward().unwrap();
        assert_eq!((chosen.value(), found.of(x), found.of(y)), (Ok(value), Ok(by_x), Ok(by_y)));
    }
    // A number that was taken is on the tape, and its derivatives are 0.
    let three = x.gt(0.0).select(3.0, y);
    assert_eq!((three.value(), (three * x).backward().unwrap().of(x)), (Ok(3.0), Ok(3.0)));
    assert_eq!(three.backward().unwrap().of(x), Ok(0.0));
}

#[test]
fn a_choice_fails_with_any_operand() {
    let (tape, other) = (Tape::<f64>::new(), Tape::<f64>::new());
    let (x, y) = (tape.scalar(1.0), other.scalar(2.0));
    let bad = tape.var([1.0, 2.0]).at([7]);
    for chosen in [bad.select(x, x), x.select(bad, x), x.select(x, bad)] {
        assert!(chosen.value().unwrap_err().to_string().starts_with("at: index 7 is out of range"));
    }
    for chosen in [x.select(x, y), y.select(x, x), Scalar::constant(1.0).select(x, y)] {
        assert!(chosen.value().is_err());
    }
}

/// Plain numbers of any `Float` have the functions of the algebra as methods.
#[test]
fn functions_are_methods_in_code_for_any_float() {
    fn f<T: Float>(x: T) -> T {
        x.exp().sqrt() + x.abs().ln() + x.sin() * x.tanh() + x.powi(2)
    }
    let expected = 1.0_f64.exp() + 2.0_f64.ln() + 2.0_f64.sin() * 2.0_f64.tanh() + 4.0;
    assert!((f(2.0_f64) - expected).abs() < 1e-14);
    assert!((f(2.0_f32) - expected as f32).abs() < 1e-6);
}
