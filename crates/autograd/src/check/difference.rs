//! Derivatives by finite differences that bring their own error bar.
//!
//! Central differences at steps that shrink by four, extrapolated to step zero (Richardson; C. J. F. Ridders, "Accurate
//! computation of F′(x) and F′(x)F″(x)", 1982). The estimate of least error wins, where the error has three parts: how much
//! the last extrapolations moved, the rounding of the function divided by the step, and half of what the one-sided
//! differences still disagree by when extrapolated. The last part is what a kink leaves at every step size.

use smallvec::SmallVec;

/// A derivative along a line, and how far off it may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Slope {
    pub value: f64,
    /// Infinite where the function is not finite on both sides of the point, however near.
    pub error: f64,
    /// Whether most of the error is a disagreement of the one-sided differences: where it is large, a kink.
    pub kink: bool,
}

/// What is known about the arithmetic of the function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Precision {
    /// The rounding of one operation.
    pub epsilon: f64,
    /// The relative error that is good enough to stop.
    pub enough: f64,
}

/// The largest step, in units of the direction.
const FIRST_STEP: f64 = 1.0 / 16.0;
/// How much smaller the next step is.
const RATIO: f64 = 4.0;
/// Extrapolations at most: each removes one more even power of the step.
const ORDER: usize = 6;
/// Rounding of a function's value, in units of `epsilon`: a few operations, some of them inexact by more than one.
const ROUNDING: f64 = 4.0;

/// The derivatives at zero of several functions of one variable that are computed together.
///
/// `magnitudes` are the sizes of the terms each value is a sum of, which its rounding is proportional to.
pub(crate) fn slopes(
    f: &mut dyn FnMut(f64) -> SmallVec<[f64; 8]>,
    magnitudes: &[f64],
    precision: Precision,
) -> Vec<Slope> {
    let centre = f(0.0);
    let mut columns: Vec<Column> = magnitudes.iter().map(|&magnitude| Column::new(magnitude)).collect();
    let mut step = FIRST_STEP;
    // Below this step nothing but rounding is left.
    while step > 64.0 * precision.epsilon {
        let (ahead, behind) = (f(step), f(-step));
        for (k, column) in columns.iter_mut().enumerate().filter(|(_, column)| !column.settled) {
            column.refine(step, [behind[k], centre[k], ahead[k]], precision);
        }
        if columns.iter().all(|column| column.settled) {
            break;
        }
        step /= RATIO;
    }
    columns.into_iter().map(|column| column.best).collect()
}

/// The state of one function: the last row of its tableau of extrapolations.
struct Column {
    magnitude: f64,
    row: SmallVec<[f64; ORDER]>,
    /// The last disagreement of the one-sided differences.
    gap: f64,
    best: Slope,
    settled: bool,
}

impl Column {
    fn new(magnitude: f64) -> Self {
        let best = Slope { value: f64::NAN, error: f64::INFINITY, kink: false };
        Column { magnitude, row: SmallVec::new(), gap: 0.0, best, settled: false }
    }

    fn refine(&mut self, step: f64, [behind, centre, ahead]: [f64; 3], precision: Precision) {
        let central = (ahead - behind) / (2.0 * step);
        let gap = (ahead - 2.0 * centre + behind) / step;
        if !(central.is_finite() && gap.is_finite()) {
            self.row.clear();
            return;
        }
        let noise = ROUNDING * precision.epsilon * (self.magnitude + central.abs()) / step;
        // Where the function is smooth the gap is step·f″ + O(step³), so this removes what is proportional to the step.
        let jump = ((RATIO * gap - self.gap) / (RATIO - 1.0)).abs() / 2.0;
        let mut row = SmallVec::from_slice(&[central]);
        for (order, &coarser) in self.row.iter().enumerate().take(ORDER - 1) {
            let finer: f64 = row[order];
            let extrapolated = finer + (finer - coarser) / (RATIO.powi(2 * order as i32 + 2) - 1.0);
            let moved = (extrapolated - finer).abs().max((extrapolated - coarser).abs());
            let error = moved + noise + jump;
            if error < self.best.error {
                self.best = Slope { value: extrapolated, error, kink: jump > 0.5 * error };
            }
            row.push(extrapolated);
        }
        (self.row, self.gap) = (row, gap);
        let negligible = 1e-3 * self.magnitude;
        self.settled = self.best.error <= precision.enough * self.best.value.abs().max(negligible);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOUBLE: Precision = Precision { epsilon: f64::EPSILON, enough: 1e-8 };

    fn slope(f: impl Fn(f64) -> f64) -> Slope {
        slopes(&mut |t| SmallVec::from_slice(&[f(t)]), &[f(0.0).abs()], DOUBLE)[0]
    }

    #[test]
    fn smooth_functions_come_with_honest_errors() {
        let x = 0.7_f64;
        let cases: [(Slope, f64); 6] = [
            (slope(|t| (x + t).sin()), x.cos()),
            (slope(|t| (30.0 * (x + t)).sin()), 30.0 * (30.0 * x).cos()),
            (slope(|t| (0.01 + t).ln()), 100.0),
            (slope(|t| (1e-6 + t).sqrt()), 500.0),
            (slope(|t| (x + t).exp() + 1e6), x.exp()),
            (slope(|t| t.cosh()), 0.0),
        ];
        for (k, (found, expected)) in cases.iter().enumerate() {
            assert!((found.value - expected).abs() <= found.error, "{k}: {found:?} {expected}");
            assert!(found.error <= 1e-5 * expected.abs().max(1e-3), "{k}: {found:?} {expected}");
        }
    }

    #[test]
    fn a_kink_at_the_point_is_seen_and_one_beside_it_is_not_in_the_way() {
        for f in [|t: f64| t.max(0.0), |t: f64| t.abs() + 3.0, |t: f64| (1.0 + t).floor(), |t: f64| t.abs() + t * t] {
            let found = slope(f);
            assert!(found.kink && found.error >= 0.4, "{found:?}");
        }
        let beside = slope(|t| (1e-5 + t).max(0.0));
        assert!((beside.value - 1.0).abs() <= beside.error && beside.error < 1e-8, "{beside:?}");
    }

    #[test]
    fn an_edge_of_the_domain_has_no_estimate() {
        assert_eq!(slope(|t| t.sqrt()).error, f64::INFINITY);
        assert_eq!(slope(|_| f64::NAN).error, f64::INFINITY);
    }

    #[test]
    fn single_precision_has_larger_errors_that_hold() {
        let single = Precision { epsilon: f32::EPSILON.into(), enough: 1e-4 };
        for x in [0.1_f32, 0.5, 1.5, 2.9] {
            let mut f = |t: f64| SmallVec::from_slice(&[f64::from((x + t as f32).exp())]);
            let found = slopes(&mut f, &[x.exp().into()], single)[0];
            let expected = f64::from(x).exp();
            assert!((found.value - expected).abs() <= found.error, "{found:?} {expected}");
            assert!(found.error < 1e-3 * expected, "{found:?}");
        }
    }
}
