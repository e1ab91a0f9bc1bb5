//! The check of an elementwise function: every element is varied at once, and each result tells about its own.

use smallvec::SmallVec;

use super::compare::{Direction, Outcome, Subject, USELESS, judge};
use super::difference::{Slope, slopes};
use super::{Comparison, Verdict};
use crate::error::Result;
use crate::float::Float;
use crate::tensor::Tensor;

/// The derivatives by one operand: of element k of each result in turn, in units of `along[k]`.
struct Differences {
    along: Vec<f64>,
    slopes: Vec<Slope>,
}

impl<T: Float> Subject<'_, T> {
    /// Compares an elementwise function: operands and results are lists of the same length, and element k of a result
    /// depends on the elements k alone.
    pub fn pointwise(self) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let rows = (0..self.y.len()).map(|output| self.row(output)).collect::<Result<Vec<_>>>()?;
        let sizes: Vec<f64> = all(&self.y).iter().map(|y| y.abs()).collect();
        for operand in 0..self.x.len() {
            let [coarse, fine] = self.coarse_and_fine(operand, &sizes);
            let points = coarse.along.len();
            for (output, row) in rows.iter().enumerate() {
                for (k, g) in row[operand].iter().enumerate() {
                    let at = output * points + k;
                    let judged = |found: &Differences| {
                        let (slope, scale) = (found.slopes[at], found.along[k]);
                        let floor = 10.0 * self.tolerance * sizes[at];
                        (judge(g.to_f64() * scale, slope, floor, self.tolerance), slope, scale)
                    };
                    let (verdict, slope, scale) = match judged(&coarse) {
                        (Verdict::Undecidable(_), ..) => judged(&fine),
                        decided => decided,
                    };
                    outcome.add(verdict, || Comparison {
                        operand,
                        index: Some(vec![k]),
                        output,
                        output_index: Some(vec![k]),
                        analytic: g.to_f64(),
                        numeric: slope.value / scale,
                        error: slope.error / scale,
                        says: 0,
                        row: 0,
                    });
                }
            }
        }
        Ok(outcome)
    }

    /// The derivatives of every element of a result: its gradient with weights one.
    fn row(&self, output: usize) -> Result<Vec<Tensor<T>>> {
        let seed = |(k, y): (usize, &Tensor<T>)| {
            if k == output { Tensor::ones(y.shape()) } else { Tensor::zeros(y.shape()) }
        };
        let seeds: Vec<Tensor<T>> = self.y.iter().enumerate().map(seed).collect();
        self.function.vjp(self.x, &seeds)
    }

    /// Differences with steps of size one, and with steps in proportion to small operands where those saw too little.
    fn coarse_and_fine(&self, operand: usize, sizes: &[f64]) -> [Differences; 2] {
        let x: Vec<f64> = self.x[operand].iter().map(|x| x.to_f64().abs()).collect();
        let along: Vec<f64> = x.iter().map(|x| x.max(1.0)).collect();
        let closer: Vec<f64> = x.iter().map(|&x| if x >= f64::MIN_POSITIVE { x } else { 1.0 }).collect();
        let coarse = self.pointwise_slopes(operand, &along, sizes);
        let unclear = |(at, slope): (usize, &Slope)| {
            let k = at % along.len();
            slope.error > USELESS * slope.value.abs() && closer[k] < along[k]
        };
        let fine = match coarse.iter().enumerate().any(unclear) {
            true => Differences { slopes: self.pointwise_slopes(operand, &closer, sizes), along: closer },
            false => Differences { slopes: coarse.clone(), along: along.clone() },
        };
        [Differences { slopes: coarse, along }, fine]
    }

    fn pointwise_slopes(&self, operand: usize, along: &[f64], sizes: &[f64]) -> Vec<Slope> {
        let direction = Direction { operand, start: 0, along: along.to_vec() };
        let mut f = |step: f64| match step == 0.0 {
            true => all(&self.y),
            false => match self.function.value(&self.moved(&direction, step)) {
                Ok(y) => all(&y),
                Err(_) => SmallVec::from_elem(f64::NAN, sizes.len()),
            },
        };
        slopes(&mut f, sizes, self.precision())
    }
}

/// The elements of all results, one after the other.
fn all<T: Float>(y: &[Tensor<T>]) -> SmallVec<[f64; 8]> {
    let mut elements = SmallVec::new();
    y.iter().for_each(|y| elements.extend(y.iter().map(T::to_f64)));
    elements
}
