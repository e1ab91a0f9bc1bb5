//! How tensors read: as NumPy prints arrays, with one format for all elements.

use std::any::{Any, type_name};
use std::fmt::{self, Write};

use super::Tensor;
use crate::float::Element;
use crate::shape::Shape;

/// Decimals of a float, at most.
const PRECISION: usize = 4;
/// Tensors of more elements show only `EDGE` items at both ends of long axes.
const THRESHOLD: usize = 1000;
const EDGE: usize = 3;
/// Rows break before this column.
const WIDTH: usize = 75;

/// Rows of aligned columns; up to four decimals, without trailing zeros, and in scientific notation where the range demands it;
/// only the edges of more than 1000 elements.
///
/// ```
/// # use autograd::Tensor;
/// let x = Tensor::from([[1.0, -2.5], [10.0, 0.0625]]);
/// assert_eq!(x.to_string(), "[[ 1.     -2.5   ]\n [10.      0.0625]]");
/// ```
impl<E: Element> fmt::Display for Tensor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("[]");
        }
        let shown = Shown::new(self.shape());
        let mut elements = vec![];
        shown.visit(&mut vec![], &mut |index| elements.extend(self.get(index)));
        let mut cells = columns(&elements).into_iter();
        write_axis(f, &shown, 0, &mut cells)
    }
}

/// Type and shape, and below them what `Display` shows.
impl<E: Element> fmt::Debug for Tensor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if self.rank() < 2 { ' ' } else { '\n' };
        write!(f, "Tensor<{}> {}{gap}{self}", type_name::<E>(), self.shape())
    }
}

/// Which items of each axis are shown; `None` stands for those left out.
struct Shown(Vec<Vec<Option<usize>>>);

impl Shown {
    fn new(shape: &Shape) -> Self {
        let long = shape.len() > THRESHOLD;
        let items = |&size: &usize| match long && size > 2 * EDGE {
            true => (0..EDGE).map(Some).chain([None]).chain((size - EDGE..size).map(Some)).collect(),
            false => (0..size).map(Some).collect(),
        };
        Self(shape.iter().map(items).collect())
    }

    fn visit(&self, index: &mut Vec<usize>, f: &mut impl FnMut(&[usize])) {
        let Some(items) = self.0.get(index.len()) else { return f(index) };
        for &item in items.iter().flatten() {
            index.push(item);
            self.visit(index, f);
            index.pop();
        }
    }
}

fn write_axis(
    f: &mut fmt::Formatter<'_>,
    shown: &Shown,
    axis: usize,
    cells: &mut impl Iterator<Item = String>,
) -> fmt::Result {
    let Some(items) = shown.0.get(axis) else { return f.write_str(cells.next().unwrap_or_default().trim()) };
    f.write_char('[')?;
    let inner = shown.0.len() - axis - 1;
    if inner == 0 {
        write_row(f, items, axis, cells)?;
    } else {
        for (k, item) in items.iter().enumerate() {
            if k > 0 {
                write!(f, "{:\n<inner$}{:axis$} ", "", "")?;
            }
            match item {
                Some(_) => write_axis(f, shown, axis + 1, cells)?,
                None => f.write_char('…')?,
            }
        }
    }
    f.write_char(']')
}

fn write_row(
    f: &mut fmt::Formatter<'_>,
    items: &[Option<usize>],
    axis: usize,
    cells: &mut impl Iterator<Item = String>,
) -> fmt::Result {
    let indent = axis + 1;
    let mut column = indent;
    for (k, item) in items.iter().enumerate() {
        let cell = item.map_or("…".to_string(), |_| cells.next().unwrap_or_default());
        let width = cell.chars().count();
        // One column stays free for the closing bracket.
        if k > 0 && column + 1 + width >= WIDTH {
            write!(f, "\n{:indent$}", "")?;
            column = indent;
        } else if k > 0 {
            f.write_char(' ')?;
            column += 1;
        }
        f.write_str(&cell)?;
        column += width;
    }
    Ok(())
}

/// Every element in the same number of columns.
fn columns<E: Element>(elements: &[E]) -> Vec<String> {
    let numbers: Option<Vec<f64>> = elements.iter().map(|x| float(x)).collect();
    let mut cells: Vec<String> = match numbers {
        Some(numbers) if wants_exponent(&numbers) => scientific(&numbers),
        Some(numbers) => fixed(&numbers),
        None => elements.iter().map(E::to_string).collect(),
    };
    let width = cells.iter().map(String::len).max().unwrap_or(0);
    cells.iter_mut().for_each(|cell| *cell = format!("{cell:>width$}"));
    cells
}

fn float(x: &dyn Any) -> Option<f64> {
    x.downcast_ref::<f64>().copied().or_else(|| x.downcast_ref::<f32>().map(|&x| x.into()))
}

fn wants_exponent(numbers: &[f64]) -> bool {
    let sizes = || numbers.iter().map(|x| x.abs()).filter(|x| x.is_finite() && *x > 0.0);
    let (least, most) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
    most >= 1e8 || (most > 0.0 && (least < 1e-4 || most / least > 1000.0))
}

/// Aligned at the decimal point, each number with the decimals it needs.
fn fixed(numbers: &[f64]) -> Vec<String> {
    let mut cells: Vec<String> = numbers.iter().map(|x| plain(*x, |x| trimmed(&format!("{x:.PRECISION$}")))).collect();
    let decimals = |cell: &str| cell.find('.').map(|point| cell.len() - point);
    let most = cells.iter().filter_map(|cell| decimals(cell)).max().unwrap_or(0);
    for cell in &mut cells {
        if let Some(decimals) = decimals(cell) {
            cell.extend(std::iter::repeat_n(' ', most - decimals));
        }
    }
    cells
}

/// All with the decimals that one of them needs, and an exponent of at least two digits.
fn scientific(numbers: &[f64]) -> Vec<String> {
    let parts = |x: f64, decimals: usize| {
        let text = format!("{x:.decimals$e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        (mantissa.to_string(), exponent.parse().unwrap_or(0))
    };
    let needed = |x: &f64| trimmed(&parts(*x, PRECISION).0).rsplit('.').next().map_or(0, str::len);
    let decimals = numbers.iter().filter(|x| x.is_finite()).map(needed).max().unwrap_or(0);
    let write = |x| {
        let (mantissa, exponent): (String, i32) = parts(x, decimals);
        let point = if decimals == 0 { "." } else { "" };
        format!("{mantissa}{point}e{exponent:+03}")
    };
    numbers.iter().map(|&x| plain(x, write)).collect()
}

fn plain(x: f64, write: impl FnOnce(f64) -> String) -> String {
    match x {
        x if x.is_nan() => "nan".to_string(),
        x if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.to_string(),
        x => write(x),
    }
}

/// Without the zeros at the end; the point stays, to tell a float from an integer.
fn trimmed(decimal: &str) -> String {
    decimal.trim_end_matches('0').to_string()
}

#[cfg(test)]
mod tests {
    use crate::tensor::Tensor;

    #[test]
    fn numbers_and_empty_tensors() {
        assert_eq!(Tensor::from(3.5).to_string(), "3.5");
        assert_eq!(Tensor::from(2.0).to_string(), "2.");
        assert_eq!(Tensor::from(7usize).to_string(), "7");
        assert_eq!(Tensor::<f32>::zeros([2, 0]).to_string(), "[]");
        assert_eq!(format!("{:?}", Tensor::from(3.5f32)), "Tensor<f32> [] 3.5");
        assert_eq!(format!("{:?}", Tensor::from([[1.0], [2.0]])), "Tensor<f64> [2, 1]\n[[1.]\n [2.]]");
    }

    #[test]
    fn columns_align() {
        assert_eq!(Tensor::from([1.0, 2.5, -10.0]).to_string(), "[  1.    2.5 -10. ]");
        assert_eq!(Tensor::from([[1, 20], [300, 4]]).to_string(), "[[  1  20]\n [300   4]]");
        assert_eq!(Tensor::from([true, false]).to_string(), "[ true false]");
        assert_eq!(Tensor::from([0.1f32, 1.0 / 3.0]).to_string(), "[0.1    0.3333]");
        assert_eq!(Tensor::from([f64::NAN, 1.25, f64::NEG_INFINITY]).to_string(), "[ nan 1.25 -inf]");
        assert_eq!(Tensor::from([[[1, 2]], [[3, 4]]]).to_string(), "[[[1 2]]\n\n [[3 4]]]");
        assert_eq!(Tensor::from([[1, 2], [3, 4]]).t().unwrap().to_string(), "[[1 3]\n [2 4]]");
    }

    #[test]
    fn exponents_where_the_range_demands_it() {
        assert_eq!(Tensor::from([1e-5, 1.0]).to_string(), "[1.e-05 1.e+00]");
        assert_eq!(Tensor::from([1.5e10, -2.0]).to_string(), "[ 1.5e+10 -2.0e+00]");
        assert_eq!(Tensor::from([1.0, 1001.0]).to_string(), "[1.000e+00 1.001e+03]");
        assert_eq!(Tensor::from([1.0, 1000.0]).to_string(), "[   1. 1000.]");
        assert_eq!(Tensor::from(123456789.0f64).to_string(), "1.2346e+08");
        assert_eq!(Tensor::from([0.0, 1e-300, f64::INFINITY]).to_string(), "[ 0.e+00 1.e-300     inf]");
        assert_eq!(Tensor::from([0.0, f64::NAN]).to_string(), "[ 0. nan]");
    }

    #[test]
    fn long_rows_break() {
        let text = Tensor::from_fn([2, 40], |i| i[1]).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= super::WIDTH), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "[[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23");
        assert_eq!(lines[1], "  24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39]");
        assert_eq!(lines[2], " [ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23");
    }

    #[test]
    fn large_tensors_show_their_edges() {
        let x = Tensor::from_fn([1001], |i| i[0]);
        assert_eq!(x.to_string(), "[   0    1    2 …  998  999 1000]");
        assert!(!x.slice(0, 1..).unwrap().to_string().contains('…'));
        let x = Tensor::from_fn([500, 2, 7], |i| i[2]).to_string();
        assert_eq!(
            x,
            "[[[0 1 2 … 4 5 6]\n  [0 1 2 … 4 5 6]]\n\n [[0 1 2 … 4 5 6]\n  [0 1 2 … 4 5 6]]\n\n \
             [[0 1 2 … 4 5 6]\n  [0 1 2 … 4 5 6]]\n\n …\n\n [[0 1 2 … 4 5 6]\n  [0 1 2 … 4 5 6]]\n\n \
             [[0 1 2 … 4 5 6]\n  [0 1 2 … 4 5 6]]\n\n [[0 1 2 … 4 5 6]\n  [0 1 2 … 4 5 6]]]"
        );
    }

    #[test]
    fn the_format_is_that_of_what_is_shown() {
        let x = Tensor::from_fn([2000], |i| if i[0] == 1000 { 1e30 } else { 1.0 });
        assert_eq!(x.to_string(), "[1. 1. 1. … 1. 1. 1.]");
    }
}
