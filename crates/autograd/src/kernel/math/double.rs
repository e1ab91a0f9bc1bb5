//! `f64`: constants and polynomials. Each polynomial is a minimax fit (Remez exchange in 50 digits, coefficients then
//! rounded); the number beside it is the error it leaves in its own terms, far below half an ulp of the result.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, LN_2, LOG2_E};
use std::hint::{cold_path, select_unpredictable as select};

const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
/// Keeps the upper half of a fraction: the product of two such numbers is exact.
const SHORT_MASK: u64 = 0xffff_ffff_f800_0000;
/// Below this, sin x, sinh x, tanh x, eˣ − 1 and ln(1 + x) all round to x.
const TINY: f64 = 2.775_557_561_562_891_4e-17;

const LN2_HI: f64 = 0.693_147_180_559_890_3;
const LN2_LO: f64 = 5.497_923_018_708_371e-14;
const INV_LN2_HI: f64 = 1.442_695_051_431_655_9;
const INV_LN2_LO: f64 = -1.054_269_247_642_913_8e-8;
const INV_LN10_HI: f64 = 0.434_294_484_555_721_3;
const INV_LN10_LO: f64 = -2.652_469_455_307_855_3e-9;
const LOG10_2_HI: f64 = 0.301_029_995_663_952_83;
const LOG10_2_LO: f64 = 2.836_339_455_104_496_4e-14;
const FRAC_PI_4_LO: f64 = 3.061_616_997_868_383e-17;

/// Beyond these the results are ∞, 0 or ±1, and the powers of two in between stay representable.
const EXP_MAX: f64 = 711.0;
const EXP_MIN: f64 = -746.0;
const EXP2_MAX: f64 = 1025.0;
const EXP2_MIN: f64 = -1076.0;
const EXPM1_MAX: f64 = 710.6;
const EXPM1_MIN: f64 = -40.0;
const TANH_ONE: f64 = 20.0;
const ERFC_ZERO: f64 = 27.3;
const ERFC_CENTRE: f64 = 3.0;

elementary!(f64, u64);

/// (e^r − 1 − r)/r² on |r| ≤ ln 2 / 2, error 2⁻⁵³ (of r²).
#[inline(always)]
fn exp_tail(r: f64) -> f64 {
    pairs!(r; 0.500_000_000_000_000_1, 0.166_666_666_666_666_74, 0.041_666_666_666_623_99, 0.008_333_333_333_322_17,
        0.001_388_888_891_728_350_7, 0.000_198_412_698_867_023_22, 2.480_152_118_791_057_7e-5,
        2.755_724_221_121_345_7e-6, 2.762_013_968_255_051e-7, 2.511_009_705_562_331_6e-8)
}

/// (2^r − 1)/r on |r| ≤ ½, error 2⁻⁵⁴·⁴.
#[inline(always)]
fn exp2_tail(r: f64) -> f64 {
    horner!(r; LN_2, 0.240_226_506_959_100_97, 0.055_504_108_664_821_66, 0.009_618_129_107_606_852,
        0.001_333_355_814_639_595_2, 0.000_154_035_304_417_965_46, 1.525_273_385_333_689e-5,
        1.321_544_255_124_856e-6, 1.017_805_170_279_374_6e-7, 7.072_593_252_942_042_5e-9, 4.456_679_465_042_475_6e-10)
}

/// (2·artanh(s)/s − 2)/z, z = s² ≤ 0.0295, error 2⁻⁵⁸.
#[inline(always)]
fn log_tail(z: f64) -> f64 {
    pairs!(z; 0.666_666_666_666_673_5, 0.399_999_999_994_110_9, 0.285_714_287_432_627_4, 0.222_221_984_759_887_41,
        0.181_835_697_393_543_9, 0.153_139_032_645_347_78, 0.147_975_074_793_537)
}

/// (arctan(t)/t − 1)/v, v = t² ≤ 0.1717, error 2⁻⁵⁸.
#[inline(always)]
fn atan_tail(v: f64) -> f64 {
    horner!(v; -0.333_333_333_333_333_26, 0.199_999_999_999_976_7, -0.142_857_142_853_881_37, 0.111_111_110_881_851_54,
        -0.090_909_081_447_735_96, 0.076_922_827_638_159_01, -0.066_662_268_284_785_89, 0.058_770_224_493_502_506,
        -0.052_184_083_073_091_72, 0.045_035_642_820_206_1, -0.033_474_778_176_097_39, 0.015_195_454_927_022_277)
}

/// erf(x)/x − 1, v = x² ≤ ¼, error 2⁻⁵⁵·⁶.
#[inline(always)]
fn erf_tail(v: f64) -> f64 {
    horner!(v; 0.128_379_167_095_512_56, -0.376_126_389_031_834_76, 0.112_837_916_709_254_79, -0.026_866_170_632_925_4,
        0.005_223_977_373_568_759, -0.000_854_829_779_683_603_1, 0.000_120_533_369_975_240_9,
        -1.484_589_125_823_173_2e-5, 1.472_624_440_388_677_8e-6)
}

/// (1 + 2a)·exp(a²)·erfc(a) on ½ ≤ a ≤ 27.3, error 2⁻⁵⁴ of a value near 1.2.
#[inline(always)]
fn erfc_factor(t: f64) -> f64 {
    horner!(t; 1.253_008_058_269_729_6, -0.135_621_106_124_581_2, -0.047_562_294_353_450_704, 0.129_645_158_702_763_58,
        -0.119_273_663_415_311_18, 0.068_308_027_343_881_46, -0.023_770_514_918_542_145, 0.002_529_391_817_501_736_6,
        0.001_888_690_356_282_847_8, -0.000_779_832_283_419_388_4, -0.000_105_159_757_144_213_5,
        0.000_125_099_401_098_107_46, 4.949_144_393_087_624e-6, -2.010_066_092_268_446_4e-5,
        -7.299_205_089_991_546e-7, 3.472_315_476_472_490_7e-6, 3.522_987_171_581_742e-7, -6.156_888_515_342_619e-7,
        -1.336_415_069_101_643_6e-7, 9.966_692_127_058_959e-8, 3.359_049_388_989_105_4e-8,
        -1.098_431_549_004_092_5e-8, -4.070_337_261_683_726e-9)
}

/// The quadrant of a ≥ 0 (in its low bits), and sin r, cos r of the rest r = a − quadrant·π/2, |r| ≤ π/4.
#[inline(always)]
fn sin_cos_reduced(a: f64) -> (u64, f64, f64) {
    // A single number takes this branch or not; in a loop of vectors both sides are computed all the same.
    let (quadrant, r, lo) = if (NEAR..f64::INFINITY).contains(&a) {
        cold_path();
        let (quadrant, r) = reduce_far(a);
        (quadrant, r, 0.0)
    } else {
        reduce_near(a)
    };
    let z = r * r;
    let sin_tail = pairs!(z; -0.166_666_666_666_666_32, 0.008_333_333_333_322_37, -0.000_198_412_698_297_711_45,
        2.755_731_367_865_991_3e-6, -2.505_075_596_063_291_5e-8, 1.589_666_646_934_738_5e-10); // error 2⁻⁵⁷
    let cos_tail = pairs!(z; 0.041_666_666_666_666_6, -0.001_388_888_888_887_406_4, 2.480_158_728_944_351e-5,
        -2.755_731_434_066_734e-7, 2.087_572_162_480_904e-9, -1.135_955_938_764_714_7e-11); // error 2⁻⁵⁹
    let half = 0.5 * z;
    let one = 1.0 - half;
    let sin = r + (r * (z * sin_tail) + lo * one);
    let cos = one + (((1.0 - one) - half) + (z * z * cos_tail - r * lo));
    (quadrant, sin, cos)
}

/// Up to here the number of quarter turns has 26 bits, and its products with 27-bit pieces of π/2 are exact.
const NEAR: f64 = (1_u64 << 26) as f64;

/// Cody and Waite's reduction with π/2 in four pieces; the rest is returned as an unevaluated sum, of which the second
/// term is at most 2⁻⁵³ and nothing waits for it.
#[inline(always)]
fn reduce_near(a: f64) -> (u64, f64, f64) {
    const PIECES: [f64; 4] =
        [1.570_796_325_802_803, 9.920_935_739_593_517e-10, 5.721_188_709_663_575e-18, 1.644_625_693_632_425_8e-26];
    let shifted = a * (1.0 / FRAC_PI_2) + ROUNDER;
    let n = shifted - ROUNDER;
    let (first, first_lost) = difference(a - n * PIECES[0], n * PIECES[1]);
    let (second, second_lost) = difference(first, n * PIECES[2]);
    (shifted.to_bits(), second, (first_lost + second_lost) - n * PIECES[3])
}

/// x − y rounded, and what the rounding lost (Knuth's two-sum).
#[inline(always)]
fn difference(x: f64, y: f64) -> (f64, f64) {
    let d = x - y;
    let part = d - x;
    (d, (x - (d - part)) - (y + part))
}

/// 64 zeros, then the bits of 2/π, as far as the largest exponent reaches.
#[rustfmt::skip]
const TWO_OVER_PI: [u64; 20] = [
    0, 0xa2f9_836e_4e44_1529, 0xfc27_57d1_f534_ddc0, 0xdb62_9599_3c43_9041, 0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0, 0x0649_2eea_09d1_921c, 0xfe1d_eb1c_b129_a73e, 0xe882_35f5_2ebb_4484, 0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4, 0x9c84_5f8b_bdf9_283b, 0x1ff8_97ff_de05_980f, 0xef2f_118b_5a0a_6d1f, 0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d, 0x7527_bac7_ebe5_f17b, 0x3d07_39f7_8a52_92ea, 0x6bfb_5fb1_1f8d_5d08, 0x5603_3046_fc7b_6bab,
];

/// Three words of 2/π from `word` (0 to 16) on, by the bits of the index: 26 selects, where a load per lane would keep
/// the loop from being vectorised.
#[inline(always)]
fn two_over_pi(word: u64) -> [u64; 3] {
    let by_8: [u64; 10] = choose::<8, 20, 10>(word & 8 != 0, TWO_OVER_PI);
    let by_4: [u64; 6] = choose::<4, 10, 6>(word & 4 != 0, by_8);
    let by_2: [u64; 4] = choose::<2, 6, 4>(word & 2 != 0, by_4);
    let by_1: [u64; 3] = choose::<1, 4, 3>(word & 1 != 0, by_2);
    let last = [TWO_OVER_PI[16], TWO_OVER_PI[17], TWO_OVER_PI[18]];
    let is_last = word & 16 != 0;
    [
        if is_last { last[0] } else { by_1[0] },
        if is_last { last[1] } else { by_1[1] },
        if is_last { last[2] } else { by_1[2] },
    ]
}

/// The first words, or those `BY` further on.
#[inline(always)]
fn choose<const BY: usize, const FROM: usize, const TO: usize>(further: bool, words: [u64; FROM]) -> [u64; TO] {
    let mut chosen = [0; TO];
    for (i, chosen) in chosen.iter_mut().enumerate() {
        *chosen = if further { words[i + BY] } else { words[i] };
    }
    chosen
}

/// Payne and Hanek's reduction in integers: of a·2/π modulo 4, two bits before the point and 62 after it. Only the bits
/// of 2/π that matter for the exponent of a are read, 128 of them, so r is off by at most 2⁻⁷²: a relative error of an
/// ulp or more needs an a within 2⁻²⁰ of a multiple of π/2.
#[inline(always)]
fn reduce_far(a: f64) -> (u64, f64) {
    let bits = a.to_bits();
    // The weight of the first bit that counts is 2 less the weight of a's last bit, after the 64 zeros.
    let position = (bits >> DIGITS).wrapping_sub(1013);
    let (word, shift) = (position >> 6, position & 63);
    let words = two_over_pi(word);
    let high = (words[0] << shift) | ((words[1] >> 1) >> (63 - shift));
    let low = (words[1] << shift) | ((words[2] >> 1) >> (63 - shift));
    let m = (bits & FRACTION_MASK) | (1 << DIGITS);
    let (carried, below) = product_high(m, low);
    let turns = m.wrapping_mul(high).wrapping_add(carried);
    let quadrant = turns.wrapping_add(1 << 61) >> 62;
    let rest = turns.wrapping_sub(quadrant << 62);
    const UNIT: f64 = FRAC_PI_2 / (1_u64 << 62) as f64;
    (quadrant, signed_to_float(rest, below) * UNIT)
}

/// The bits of x·y from 64 on, and those from 32 to 63.
#[inline(always)]
fn product_high(x: u64, y: u64) -> (u64, u64) {
    const LOW: u64 = 0xffff_ffff;
    let (x_high, x_low) = (x >> 32, x & LOW);
    let (y_high, y_low) = (y >> 32, y & LOW);
    let cross = x_low * y_high + ((x_low * y_low) >> 32);
    let middle = x_high * y_low + (cross & LOW);
    (x_high * y_high + (cross >> 32) + (middle >> 32), middle & LOW)
}

/// The number whose two's complement `bits` is, with 32 more bits below the point; |bits| ≤ 2⁶². Written with shifts
/// because vector units before AVX-512 cannot convert 64-bit integers: each part becomes the fraction of a number of
/// known exponent. The high part is rounded, not cut, so that it is 0 where the sum is small and nothing cancels.
#[inline(always)]
fn signed_to_float(bits: u64, below: u64) -> f64 {
    const WORD: f64 = 4_294_967_296.0;
    const HIGH: f64 = UNIT_ULP * WORD;
    const BELOW: f64 = UNIT_ULP / WORD;
    const HALF_WORD: u64 = 1 << 31;
    let biased = (bits ^ SIGN_BIT).wrapping_add(HALF_WORD);
    let high = f64::from_bits((biased >> 32) | HIGH.to_bits()) - (HIGH + WORD * HALF_WORD as f64);
    let low = f64::from_bits((biased & 0xffff_ffff) | UNIT_ULP.to_bits()) - (UNIT_ULP + HALF_WORD as f64);
    let below = f64::from_bits(below | BELOW.to_bits()) - BELOW;
    high + (low + below)
}
