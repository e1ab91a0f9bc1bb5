//! `f32`: constants and polynomials. Each polynomial is a minimax fit (Remez exchange in 50 digits, coefficients then
//! rounded); the number beside it is the error it leaves in its own terms, far below half an ulp of the result.

use std::f32::consts::{FRAC_PI_4, LN_2, LOG2_E};
use std::hint::select_unpredictable as select;

const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
/// Keeps the upper half of a fraction: the product of two such numbers is exact.
const SHORT_MASK: u32 = 0xffff_f000;
/// Below this, sin x, sinh x, tanh x, eˣ − 1 and ln(1 + x) all round to x.
const TINY: f32 = 1.490_116_1e-8;

const LN2_HI: f32 = 0.693_145_75;
const LN2_LO: f32 = 1.428_606_8e-6;
const INV_LN2_HI: f32 = 1.442_871_1;
const INV_LN2_LO: f32 = -0.000_176_052_85;
const INV_LN10_HI: f32 = 0.434_326_17;
const INV_LN10_LO: f32 = -3.168_997e-5;
const LOG10_2_HI: f32 = 0.301_025_4;
const LOG10_2_LO: f32 = 4.605_039e-6;
const FRAC_PI_4_LO: f32 = -2.185_569_4e-8;

/// Beyond these the results are ∞, 0 or ±1, and the powers of two in between stay representable.
const EXP_MAX: f32 = 90.0;
const EXP_MIN: f32 = -104.5;
const EXP2_MAX: f32 = 129.0;
const EXP2_MIN: f32 = -151.0;
const EXPM1_MAX: f32 = 89.5;
const EXPM1_MIN: f32 = -18.0;
const TANH_ONE: f32 = 10.0;
const ERFC_ZERO: f32 = 10.2;
const ERFC_CENTRE: f32 = 2.5;

elementary!(f32, u32);

/// (e^r − 1 − r)/r² on |r| ≤ ln 2 / 2, error 2⁻²³·⁸ (of r²).
#[inline(always)]
fn exp_tail(r: f32) -> f32 {
    horner!(r; 0.5, pairs!(r; 0.166_665_76, 0.041_666_374, 0.008_363_205, 0.001_394_116_6))
}

/// (2^r − 1)/r on |r| ≤ ½, error 2⁻²⁶.
#[inline(always)]
fn exp2_tail(r: f32) -> f32 {
    horner!(r; LN_2, 0.240_226_5, 0.055_503_57, 0.009_618_031, 0.001_339_089, 0.000_154_697_61)
}

/// (2·artanh(s)/s − 2)/z, z = s² ≤ 0.0295, error 2⁻²⁹.
#[inline(always)]
fn log_tail(z: f32) -> f32 {
    horner!(z; 0.666_667_76, 0.399_775_68, 0.298_714_6)
}

/// (arctan(t)/t − 1)/v, v = t² ≤ 0.1717, error 2⁻³⁰.
#[inline(always)]
fn atan_tail(v: f32) -> f32 {
    horner!(v; -0.333_333_16, 0.199_985_3, -0.142_444_22, 0.105_993_57, -0.060_903_553)
}

/// erf(x)/x − 1, v = x² ≤ ¼, error 2⁻²⁹.
#[inline(always)]
fn erf_tail(v: f32) -> f32 {
    horner!(v; 0.128_379_17, -0.376_126_1, 0.112_828_486, -0.026_757_954, 0.004_718_215_7)
}

/// (1 + 2a)·exp(a²)·erfc(a) on ½ ≤ a ≤ 10.2, error 2⁻²⁴·⁷ of a value near 1.2.
#[inline(always)]
fn erfc_factor(t: f32) -> f32 {
    horner!(t; 1.264_838_2, -0.122_356_77, -0.099_024_37, 0.157_630_3, -0.102_970_615, 0.032_755_528, 0.000_958_207_8,
        -0.004_348_327, 0.000_411_715_8, 0.000_534_232_2)
}

/// The quadrant of a ≥ 0 (in its low bits), and sin r, cos r of the rest r = a − quadrant·π/2, |r| ≤ π/4, for every
/// finite a. The reduction is Payne and Hanek's in `f64`: 2/π is a sum of pieces of 29 bits, so a (24 bits) times a
/// piece is exact, and whole turns are taken off each product before they are added.
#[inline(always)]
fn sin_cos_reduced(a: f32) -> (u32, f32, f32) {
    const PIECES: [f64; 6] = [
        0.636_619_770_899_415,
        1.468_166_324_625_208_6e-9,
        2.276_010_067_197_181_6e-18,
        5.881_214_738_773_043_4e-27,
        1.034_686_870_083_621_5e-35,
        3.783_256_388_296_067_6e-45,
    ];
    const ROUNDER: f64 = 1.5 * (1_u64 << 52) as f64;
    let x = a as f64;
    let p0 = drop_turns(drop_whole(x * PIECES[0]));
    let p1 = drop_turns(drop_whole(x * PIECES[1]));
    let p2 = drop_turns(drop_whole(x * PIECES[2]));
    let p3 = drop_turns(x * PIECES[3]);
    let p4 = drop_turns(x * PIECES[4]);
    let p5 = x * PIECES[5];
    let shifted = (p0 + (p1 + (p2 + (p3 + p4)))) + ROUNDER;
    let quarters = shifted - ROUNDER;
    let rest = (((((p0 - quarters) + p1) + p2) + p3) + p4) + p5;
    let r = (rest * std::f64::consts::FRAC_PI_2) as f32;
    let z = r * r;
    let sin = r + r * (z * horner!(z; -0.166_666_55, 0.008_332_191, -0.000_195_185_99)); // error 2⁻²⁸
    let cos = 1.0 - 0.5 * z + z * z * horner!(z; 0.041_666_646, -0.001_388_730_1, 2.443_067e-5); // error 2⁻³³
    (shifted.to_bits() as u32, sin, cos)
}

/// From 2⁵⁴ on, a product of 53 bits is a whole number of turns (of four quarters), and too large for `drop_turns`.
#[inline(always)]
fn drop_whole(p: f64) -> f64 {
    if p < (1_u64 << 54) as f64 { p } else { 0.0 }
}

/// p less a multiple of four: from 2⁵⁴ to 2⁵⁵ numbers lie four apart, so adding that much rounds to such a multiple.
#[inline(always)]
fn drop_turns(p: f64) -> f64 {
    const ROUNDER: f64 = 1.5 * (1_u64 << 54) as f64;
    p - ((p + ROUNDER) - ROUNDER)
}
