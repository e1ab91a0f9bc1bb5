//! The axes of charts: ranges that hold the data, and ticks at round numbers.

use std::ops::Range;

/// How values are laid along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Scale {
    #[default]
    Linear,
    /// Powers of ten at equal distances; values that are not positive are left out.
    Log,
}

impl Scale {
    /// Where a value lies, in the units of the axis: the value itself, or its decimal logarithm.
    pub fn position(self, value: f64) -> Option<f64> {
        // Beyond these bounds the length of an axis would overflow.
        const LARGEST: f64 = 1e150;
        match self {
            Scale::Linear => (value.abs() <= LARGEST).then_some(value),
            Scale::Log => (value > 0.0 && value.is_finite()).then(|| value.log10()),
        }
    }
}

/// A range in the units of its scale, with marked positions.
pub struct Axis<'a> {
    pub label: &'a str,
    pub range: Range<f64>,
    pub ticks: Vec<(f64, String)>,
}

impl<'a> Axis<'a> {
    pub fn over(label: &'a str, range: Range<f64>) -> Axis<'a> {
        let valid = range.start.is_finite() && range.end.is_finite() && range.start < range.end;
        let range = if valid { range } else { -1.0..1.0 };
        let ticks = linear_ticks(&range);
        Axis { label, range, ticks }
    }

    /// An axis that holds all positions, and `margin` of their span on both sides.
    pub fn around(label: &'a str, scale: Scale, positions: impl Iterator<Item = f64>, margin: f64) -> Axis<'a> {
        let extent = |(low, high): (f64, f64), position: f64| (low.min(position), high.max(position));
        let (mut low, mut high) = positions.fold((f64::INFINITY, f64::NEG_INFINITY), extent);
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let margin = if high - low > 1e-12 * low.abs() { margin * (high - low) } else { (0.1 * low.abs()).max(0.5) };
        let range = low - margin..high + margin;
        let ticks = if scale == Scale::Log { log_ticks(&range) } else { linear_ticks(&range) };
        Axis { label, range, ticks }
    }

    pub fn share(&self, position: f64) -> f32 {
        ((position - self.range.start) / (self.range.end - self.range.start)) as f32
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, about seven of them.
fn linear_ticks(range: &Range<f64>) -> Vec<(f64, String)> {
    let raw = (range.end - range.start) / 7.0;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= raw).unwrap_or(raw);
    let (first, last) = ((range.start / step - 1e-9).ceil() as i64, (range.end / step + 1e-9).floor() as i64);
    let decimals = (-(step * 1.000_001).log10().floor()).max(0.0) as usize;
    let plain = decimals <= 5 && range.start.abs().max(range.end.abs()) < 1e7;
    let text = |value: f64| if plain { grouped(&format!("{value:.decimals$}")) } else { format!("{value:.1e}") };
    (first..=last).take(20).map(|i| i as f64 * step).map(|value| (value, text(value))).collect()
}

/// Powers of ten; where there are few of them, 2 and 5 times these as well.
fn log_ticks(range: &Range<f64>) -> Vec<(f64, String)> {
    let (first, last) = (range.start.floor() as i32, range.end.ceil() as i32);
    let decades = range.end - range.start;
    if decades < 0.4 {
        let linear = 10f64.powf(range.start)..10f64.powf(range.end);
        return linear_ticks(&linear).into_iter().map(|(value, text)| (value.log10(), text)).collect();
    }
    let factors: &[i32] = if decades < 3.5 { &[1, 2, 5] } else { &[1] };
    let stride = (decades / 10.0).ceil().max(1.0) as usize;
    let exponents = (first..=last).filter(|exponent| exponent.rem_euclid(stride as i32) == 0);
    let all = exponents.flat_map(|exponent| factors.iter().map(move |factor| (*factor, exponent)));
    let placed =
        all.map(|(factor, exponent)| (f64::from(exponent) + f64::from(factor).log10(), power_text(factor, exponent)));
    placed.filter(|(position, _)| range.contains(position)).collect()
}

/// `factor` · 10^`exponent` as people write it: 0.02, 500, 10⁻⁷, 2·10⁶.
fn power_text(factor: i32, exponent: i32) -> String {
    match exponent {
        -4..0 => format!("{:.*}", exponent.unsigned_abs() as usize, f64::from(factor) * 10f64.powi(exponent)),
        0..6 => grouped(&format!("{:.0}", f64::from(factor) * 10f64.powi(exponent))),
        _ if factor == 1 => format!("10{}", superscript(exponent)),
        _ => format!("{factor}·10{}", superscript(exponent)),
    }
}

fn superscript(number: i32) -> String {
    let raised = |digit: char| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit.to_digit(10).unwrap_or(0) as usize);
    number.to_string().chars().map(|c| if c == '-' { '⁻' } else { raised(c).unwrap_or(c) }).collect()
}

/// A number with a real minus sign and, from five digits on, thin spaces between the thousands.
fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("−", digits));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let sign = if digits.bytes().all(|b| matches!(b, b'0' | b'.')) { "" } else { sign };
    let mut out = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && whole.len() > 4 && (whole.len() - i).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: &[(f64, String)]) -> Vec<&str> {
        ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round_numbers_inside_the_range() {
        assert_eq!(texts(&linear_ticks(&(0.0..1.0))), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(&linear_ticks(&(-2.2..0.8))), ["−2.0", "−1.5", "−1.0", "−0.5", "0.0", "0.5"]);
        assert_eq!(linear_ticks(&(0.0..60_000.0)).last().unwrap().1, "60\u{2009}000");
        assert_eq!(linear_ticks(&(0.99..0.9905)).len(), 6);
        for range in [1e150..1.1e150, -1e150..1e150, 0.0..1e-300, 1e16..1e16 + 2.0] {
            assert!((1..=20).contains(&linear_ticks(&range).len()), "{range:?}");
        }
    }

    #[test]
    fn log_ticks_are_powers_of_ten_and_denser_in_short_ranges() {
        assert_eq!(texts(&log_ticks(&(-6.2..0.1))), ["10⁻⁶", "10⁻⁵", "0.0001", "0.001", "0.01", "0.1", "1"]);
        assert_eq!(texts(&log_ticks(&(-1.1..0.4))), ["0.1", "0.2", "0.5", "1", "2"]);
        assert_eq!(power_text(5, 7), "5·10⁷");
        assert!((3..=12).contains(&log_ticks(&(-300.0..300.0)).len()));
        assert!(log_ticks(&(0.31..0.36)).len() >= 3);
    }
}
