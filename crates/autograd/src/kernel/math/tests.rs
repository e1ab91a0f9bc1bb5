//! Each function against a more precise reference, at every level of vector instructions of this machine.

use super::Math;
use crate::kernel::simd::{Kernel, Level, dispatch_at};

/// A function over a slice, as the elementwise kernels run it, and the error in ulp that it may have.
struct Row<F> {
    name: &'static str,
    run: fn(Level, &[F], &mut [F]),
    ulps: f64,
}

macro_rules! rows {
    ($float:ident: $($name:ident $ulps:expr;)*) => {
        vec![$({
            struct Map<'a>(&'a [$float], &'a mut [$float]);
            impl Kernel for Map<'_> {
                type Output = ();

                #[inline(always)]
                fn run(self) {
                    for (y, &x) in self.1.iter_mut().zip(self.0) {
                        *y = Math::$name(x);
                    }
                }
            }
            Row::<$float> { name: stringify!($name), run: |level, xs, ys| dispatch_at(level, Map(xs, ys)), ulps: $ulps }
        }),*]
    };
}

fn singles() -> Vec<Row<f32>> {
    rows! { f32:
        exp 1.0; exp2 1.2; expm1 1.9; ln 0.9; log2 0.9; log10 0.9; log1p 0.9; sin 1.7; cos 1.7; atan 1.9; sinh 2.3;
        cosh 1.5; tanh 2.0; sigmoid 2.0; softplus 1.8; erf 2.2; erfc 4.0;
    }
}

fn doubles() -> Vec<Row<f64>> {
    rows! { f64:
        exp 1.0; exp2 1.2; expm1 1.5; ln 0.9; log2 0.9; log10 0.9; log1p 0.9; sin 2.2; cos 2.2; atan 1.2; sinh 2.0;
        cosh 1.5; tanh 1.6; sigmoid 1.8; softplus 1.5; erf 1.7; erfc 3.2;
    }
}

/// The same functions in twice the precision of `f32`.
fn exact(name: &str) -> fn(f64) -> f64 {
    match name {
        "exp" => f64::exp,
        "exp2" => f64::exp2,
        "expm1" => f64::exp_m1,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "log1p" => f64::ln_1p,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "sigmoid" => |x| 1.0 / (1.0 + (-x).exp()),
        "softplus" => |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
        "erf" => libm::erf,
        "erfc" => libm::erfc,
        _ => panic!("no reference for {name}"),
    }
}

fn levels() -> Vec<Level> {
    Level::ALL.iter().copied().filter(|level| level.is_supported()).collect()
}

/// |got − exact| in units of the last place of an `f32` of that size.
fn ulps_single(got: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if got.is_nan() && exact.is_nan() || got == rounded {
        return if rounded.is_finite() { (f64::from(got) - exact).abs() / ulp_single(exact) } else { 0.0 };
    }
    let (got, exact) =
        (f64::from(got), if exact.abs() > f64::from(f32::MAX) { exact.signum() * 2f64.powi(128) } else { exact });
    let got = if got.is_infinite() { got.signum() * 2f64.powi(128) } else { got };
    let error = (got - exact).abs() / ulp_single(exact);
    if error.is_nan() { f64::INFINITY } else { error }
}

fn ulp_single(x: f64) -> f64 {
    let exponent = ((x.abs().to_bits() >> 52) as i32 - 1023).clamp(-126, 127);
    2f64.powi(exponent - 23)
}

/// Every `step`-th bit pattern of `f32`, infinities and NaN among them.
fn sweep(step: usize) -> Vec<f32> {
    (0..=u32::MAX).step_by(step).map(f32::from_bits).collect()
}

#[test]
fn singles_keep_their_bound_over_the_whole_range() {
    let xs = sweep(1999);
    let mut ys = vec![0.0; xs.len()];
    for row in singles() {
        (row.run)(Level::Plain, &xs, &mut ys);
        let exact = exact(row.name);
        let worst = xs
            .iter()
            .zip(&ys)
            .map(|(&x, &y)| (ulps_single(y, exact(f64::from(x))), x))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let (error, x) = worst.unwrap();
        assert!(error <= row.ulps, "{}({x:e}) is {error:.2} ulp off", row.name);
    }
}

/// A point of the file that tests/reference/functions.py writes: y = value + rest·ulp.
struct Point {
    x: f64,
    value: f64,
    rest: f64,
}

impl Point {
    fn ulps(&self, got: f64) -> f64 {
        let ulp = self.value.abs().next_up() - self.value.abs();
        ((got - self.value) / ulp - self.rest).abs()
    }
}

const REFERENCE: &str = include_str!("reference.txt");

fn points(name: &str) -> Vec<Point> {
    let bits = |word: &str| f64::from_bits(u64::from_str_radix(word, 16).unwrap());
    let words = REFERENCE.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let point = |words: Vec<&str>| Point { x: bits(words[1]), value: bits(words[2]), rest: words[3].parse().unwrap() };
    words.filter(|words| words[0] == name).map(point).collect()
}

#[test]
fn doubles_keep_their_bound_at_the_reference_points() {
    for row in doubles() {
        let points = points(row.name);
        let xs: Vec<f64> = points.iter().map(|point| point.x).collect();
        let mut ys = vec![0.0; xs.len()];
        (row.run)(Level::Plain, &xs, &mut ys);
        assert!(points.len() >= 80, "{}: too few points", row.name);
        for (point, &y) in points.iter().zip(&ys) {
            let error = point.ulps(y);
            assert!(error <= row.ulps, "{}({:e}) is {error:.2} ulp off", row.name, point.x);
        }
    }
}

/// The error of `function` at the points called `name`, relative to 1 or to the result where that is larger: these
/// functions have zeros that no argument of `f64` hits.
fn assert_close(name: &str, function: fn(f64) -> f64, tolerance: f64) {
    let points = points(name);
    assert!(points.len() >= 80, "{name}: too few points");
    for Point { x, value, .. } in points {
        let y = function(x);
        let error = (y - value).abs() / value.abs().max(1.0);
        assert!(error <= tolerance, "{name}({x:e}) is {y:e}, not {value:e}");
    }
}

#[test]
fn special_functions_agree_with_the_reference() {
    assert_close("erfinv", Math::erfinv, 2e-15);
    assert_close("lgamma", Math::lgamma, 2e-15);
    assert_close("digamma", Math::digamma, 1e-13);
    assert_close("trigamma", |x| Math::polygamma(x, 1.0), 1e-13);
    assert_close("polygamma3", |x| Math::polygamma(x, 3.0), 1e-12);
}

/// Bits, with every NaN alike.
fn identity(x: f64) -> u64 {
    if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }
}

#[test]
fn every_level_gives_the_same_bits() {
    let xs = sweep(39_989);
    let (mut plain, mut wide) = (vec![0.0; xs.len()], vec![0.0; xs.len()]);
    for row in singles() {
        (row.run)(Level::Plain, &xs, &mut plain);
        for level in levels() {
            (row.run)(level, &xs, &mut wide);
            let same = plain.iter().zip(&wide).position(|(&a, &b)| identity(a.into()) != identity(b.into()));
            assert_eq!(same.map(|i| xs[i]), None, "{} in f32 at {level:?}", row.name);
        }
    }
    // The same sample, spread over all bit patterns of f64.
    let xs: Vec<f64> = xs.iter().map(|x| f64::from_bits(u64::from(x.to_bits()) * 0x1_0000_0001)).collect();
    let (mut plain, mut wide) = (vec![0.0; xs.len()], vec![0.0; xs.len()]);
    for row in doubles() {
        (row.run)(Level::Plain, &xs, &mut plain);
        for level in levels() {
            (row.run)(level, &xs, &mut wide);
            let same = plain.iter().zip(&wide).position(|(&a, &b)| identity(a) != identity(b));
            assert_eq!(same.map(|i| xs[i]), None, "{} in f64 at {level:?}", row.name);
        }
    }
}

#[test]
fn sine_and_cosine_together_have_the_bits_of_each() {
    for x in sweep(39_989) {
        let (sin, cos) = Math::sin_cos(x);
        let same = [(sin, Math::sin(x)), (cos, Math::cos(x))].map(|(a, b)| identity(a.into()) == identity(b.into()));
        assert_eq!(same, [true; 2], "{x:e}");
        let x = f64::from_bits(u64::from(x.to_bits()) * 0x1_0000_0001);
        let (sin, cos) = Math::sin_cos(x);
        assert_eq!([sin, cos].map(identity), [Math::sin(x), Math::cos(x)].map(identity), "{x:e}");
    }
}

macro_rules! special_values {
    ($float:ident: $($function:ident: $($x:expr => $y:expr),*;)*) => {
        $($({
            let (x, y): ($float, $float) = ($x, $y);
            let got = Math::$function(x);
            let same = identity(got.into()) == identity(y.into());
            assert!(same, "{}({x:e}) is {got:e}, not {y:e}", stringify!($function));
        })*)*
    };
}

macro_rules! special_values_of_both {
    ($float:ident) => {{
        const INF: $float = $float::INFINITY;
        const NAN: $float = $float::NAN;
        const MAX: $float = $float::MAX;
        const SMALL: $float = $float::MIN_POSITIVE;
        let tiny = $float::from_bits(1);
        let odd = SMALL + tiny;
        use std::f64::consts::{FRAC_PI_2, LN_2, PI};
        special_values! { $float:
            exp: 0.0 => 1.0, -0.0 => 1.0, INF => INF, -INF => 0.0, NAN => NAN, MAX => INF, -MAX => 0.0, tiny => 1.0;
            exp2: 0.0 => 1.0, 10.0 => 1024.0, -1.0 => 0.5, INF => INF, -INF => 0.0, NAN => NAN, MAX => INF, -MAX => 0.0;
            expm1: 0.0 => 0.0, -0.0 => -0.0, INF => INF, -INF => -1.0, NAN => NAN, tiny => tiny, odd => odd, -MAX => -1.0;
            ln: 1.0 => 0.0, 0.0 => -INF, -0.0 => -INF, -1.0 => NAN, INF => INF, -INF => NAN, NAN => NAN, -tiny => NAN;
            log2: 1.0 => 0.0, 8.0 => 3.0, 0.25 => -2.0, 0.0 => -INF, -1.0 => NAN, INF => INF, NAN => NAN;
            log10: 1.0 => 0.0, 10.0 => 1.0, 1000.0 => 3.0, 0.0 => -INF, -1.0 => NAN, INF => INF, NAN => NAN;
            log1p: 0.0 => 0.0, -0.0 => -0.0, -1.0 => -INF, -2.0 => NAN, INF => INF, -INF => NAN, NAN => NAN, odd => odd;
            sin: 0.0 => 0.0, -0.0 => -0.0, INF => NAN, -INF => NAN, NAN => NAN, tiny => tiny, -odd => -odd;
            cos: 0.0 => 1.0, -0.0 => 1.0, INF => NAN, -INF => NAN, NAN => NAN, tiny => 1.0;
            atan: 0.0 => 0.0, -0.0 => -0.0, INF => FRAC_PI_2 as $float, -INF => -FRAC_PI_2 as $float, NAN => NAN, odd => odd;
            atan: 1.0 => (PI / 4.0) as $float, MAX => FRAC_PI_2 as $float;
            sinh: 0.0 => 0.0, -0.0 => -0.0, INF => INF, -INF => -INF, NAN => NAN, MAX => INF, odd => odd;
            cosh: 0.0 => 1.0, -0.0 => 1.0, INF => INF, -INF => INF, NAN => NAN, -MAX => INF;
            tanh: 0.0 => 0.0, -0.0 => -0.0, INF => 1.0, -INF => -1.0, NAN => NAN, MAX => 1.0, -odd => -odd;
            sigmoid: 0.0 => 0.5, -0.0 => 0.5, INF => 1.0, -INF => 0.0, NAN => NAN, MAX => 1.0, -MAX => 0.0;
            softplus: 0.0 => LN_2 as $float, INF => INF, -INF => 0.0, NAN => NAN, MAX => MAX, -MAX => 0.0;
            erf: 0.0 => 0.0, -0.0 => -0.0, INF => 1.0, -INF => -1.0, NAN => NAN, MAX => 1.0;
            erfc: 0.0 => 1.0, -0.0 => 1.0, INF => 0.0, -INF => 2.0, NAN => NAN, MAX => 0.0, -MAX => 2.0;
            erfinv: 0.0 => 0.0, -0.0 => -0.0, 1.0 => INF, -1.0 => -INF, 1.5 => NAN, NAN => NAN;
            digamma: 0.0 => -INF, -0.0 => INF, -1.0 => NAN, -INF => NAN, INF => INF, NAN => NAN;
            lgamma: 1.0 => 0.0, 2.0 => 0.0, 0.0 => INF, -1.0 => INF, INF => INF, NAN => NAN;
            round: 0.5 => 0.0, 1.5 => 2.0, 2.5 => 2.0, -0.5 => -0.0, -1.5 => -2.0, INF => INF, NAN => NAN;
            trunc: -1.5 => -1.0, -0.5 => -0.0, INF => INF;
        }
        assert_eq!(Math::polygamma(-2.0 as $float, 1.0), INF);
        assert_eq!(Math::polygamma(INF, 2.0), -0.0);
        assert!(Math::polygamma(2.0 as $float, 1.5).is_nan() && Math::polygamma(2.0 as $float, -1.0).is_nan());
        assert_eq!(Math::fmod(-5.5 as $float, 2.0), -1.5);
        assert_eq!(Math::pow(-2.0 as $float, 3.0), -8.0);
        assert_eq!(Math::atan2(1.0 as $float, -0.0), FRAC_PI_2 as $float);
        assert_eq!(Math::hypot(3.0 as $float, -4.0), 5.0);
        assert_eq!(Math::copysign(3.0 as $float, -0.0), -3.0);
    }};
}

#[test]
fn special_values_are_exact() {
    special_values_of_both!(f32);
    special_values_of_both!(f64);
}

#[test]
fn thresholds_of_overflow_and_underflow_are_exact() {
    special_values! { f32:
        exp: 88.722_84 => f32::INFINITY, -103.972_08 => f32::from_bits(1), -103.972_09 => 0.0;
        exp2: 128.0 => f32::INFINITY, 127.0 => 1.701_411_8e38, -149.0 => f32::from_bits(1), -150.0 => 0.0;
        sinh: 89.416 => f32::INFINITY;
        erfc: 10.2 => 0.0;
    }
    special_values! { f64:
        exp: 709.782_712_893_384_1 => f64::INFINITY, -745.133_219_101_941_1 => f64::from_bits(1), -745.133_219_101_941_3 => 0.0;
        exp2: 1024.0 => f64::INFINITY, 1023.0 => 8.988_465_674_311_58e307, -1074.0 => f64::from_bits(1), -1075.0 => 0.0;
        sinh: 710.475_860_073_944 => f64::INFINITY;
        erfc: 27.3 => 0.0;
    }
}

/// The arguments that come nearest to a multiple of π/2 in each type (Muller, Elementary Functions, 11.3.2).
#[test]
fn the_hardest_reductions_are_right() {
    let x = 6_381_956_970_095_103.0 * 2f64.powi(797);
    assert!((Math::cos(x) - -4.687_165_924_254_628e-19).abs() < 2f64.powi(-72));
    assert_eq!(Math::sin(-x).abs(), 1.0);
    let x = 16_367_173.0 * 2f32.powi(72);
    assert!(ulps_single(Math::cos(x), f64::from(x).cos()) < 1.0);
}
