//! A derivative against finite differences: element by element where there are few, along fixed pseudo-random directions
//! where there are many, and all elements at once for elementwise functions.

mod outcome;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use smallvec::SmallVec;

use super::difference::{Precision, Slope, slopes};
use super::{Comparison, Reason};
use crate::error::Result;
use crate::float::Float;
use crate::operation::Function;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::buffer::Buffer;

pub(crate) use outcome::Outcome;
pub(super) use outcome::judge;

/// Up to so many elements, each one is varied (or weighted) alone.
pub(crate) const MAX_VARIED_ALONE: usize = 64;
/// Random directions for each larger operand, and random weights for larger results.
const DIRECTIONS: usize = 3;
/// Single elements that stand in for a direction along which nothing can be said.
const SAMPLED_ELEMENTS: usize = 16;
/// How many times its own estimate the error of a difference may be.
const DOUBT: f64 = 10.0;
/// A difference whose relative error is larger says nothing.
pub(super) const USELESS: f64 = 0.01;

/// Elements up to which a view is copied, however few are stored.
const MAX_COPIED_ELEMENTS: usize = 1 << 24;
/// Copies of operands and results that a check holds at the same time.
const COPIES_AT_ONCE: usize = 16;

/// The first of these tensors that is too large to be copied as often as a check copies it.
pub(super) fn too_large<T: Float>(tensors: &[Tensor<T>]) -> Option<Reason> {
    let is_copied = |x: &&Tensor<T>| {
        let is_stored = x.len() <= MAX_COPIED_ELEMENTS || x.len() == x.distinct().len();
        is_stored && Buffer::<f64>::has_room(x.len().saturating_mul(COPIES_AT_ONCE))
    };
    let found = tensors.iter().find(|x| !is_copied(x))?;
    Some(Reason::TooLarge { shape: found.shape().clone() })
}

/// A function at its operands, ready to be compared.
pub(crate) struct Subject<'a, T: Float> {
    pub function: &'a dyn Function<T>,
    pub x: &'a [Tensor<T>],
    pub y: Vec<Tensor<T>>,
    pub tolerance: f64,
    random: StdRng,
}

/// Weights of the results: their weighted sum is what is differentiated.
enum Weights<T: Float> {
    Unit { output: usize, index: usize },
    Random(Vec<Tensor<T>>),
}

/// A direction in one operand: nonzero only in `start .. start + along.len()`.
pub(super) struct Direction {
    pub operand: usize,
    pub start: usize,
    pub along: Vec<f64>,
}

impl Direction {
    /// The element it varies, if it is only one.
    fn element(&self) -> Option<usize> {
        (self.along.len() == 1).then_some(self.start)
    }
}

impl<'a, T: Float> Subject<'a, T> {
    pub fn new(function: &'a dyn Function<T>, x: &'a [Tensor<T>], tolerance: f64) -> Result<Self> {
        Ok(Subject { function, x, y: function.value(x)?, tolerance, random: StdRng::seed_from_u64(1) })
    }

    /// The seeds of a second-order check: numbers of size about one.
    pub fn seeds(&mut self) -> Vec<Tensor<T>> {
        let shapes: Vec<Shape> = self.y.iter().map(|y| y.shape().clone()).collect();
        shapes.iter().map(|shape| self.signed(shape.len()).reshape_to(shape)).collect()
    }

    /// Compares the whole Jacobian, or samples of it.
    pub fn jacobian(mut self) -> Result<Outcome> {
        let weights = self.weights();
        let mut rows = Vec::with_capacity(weights.len());
        for weights in &weights {
            rows.push(self.gradient(weights)?);
        }
        let few = self.x.iter().map(Tensor::len).sum::<usize>() <= MAX_VARIED_ALONE;
        let mut outcome = Outcome::default();
        for operand in 0..self.x.len() {
            let len = self.x[operand].len();
            if few || len <= MAX_VARIED_ALONE {
                (0..len).for_each(|start| outcome.merge(self.along(&self.unit(operand, start), &weights, &rows)));
            } else {
                outcome.merge(self.sampled(operand, &weights, &rows)?);
            }
        }
        Ok(outcome)
    }

    fn sampled(&mut self, operand: usize, weights: &[Weights<T>], rows: &[Vec<Tensor<T>>]) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let len = self.x[operand].len();
        for _ in 0..DIRECTIONS {
            let direction = self.random_direction(operand, 0, len);
            let found = self.along(&direction, weights, rows);
            if found.disagreeing > 0 {
                return self.located(operand, &weights[found.worst.as_ref().map_or(0, |worst| worst.row)], found);
            }
            if found.undecided > 0 {
                for _ in 0..SAMPLED_ELEMENTS {
                    let start = self.random.random_range(0..len);
                    outcome.merge(self.along(&self.unit(operand, start), weights, rows));
                }
                return Ok(outcome);
            }
            outcome.merge(found);
        }
        Ok(outcome)
    }

    fn weights(&mut self) -> Vec<Weights<T>> {
        if self.y.iter().map(Tensor::len).sum::<usize>() <= MAX_VARIED_ALONE {
            let unit =
                |(output, y): (usize, &Tensor<T>)| (0..y.len()).map(move |index| Weights::Unit { output, index });
            return self.y.iter().enumerate().flat_map(unit).collect();
        }
        (0..DIRECTIONS).map(|_| Weights::Random(self.seeds())).collect()
    }

    /// Numbers between ½ and 3⁄2 of either sign.
    fn signed(&mut self, len: usize) -> Numbers {
        let random = &mut self.random;
        Numbers((0..len).map(|_| random.random_range(0.5..1.5) * if random.random() { 1.0 } else { -1.0 }).collect())
    }

    fn unit(&self, operand: usize, start: usize) -> Direction {
        let x = self.x[operand].iter().nth(start).unwrap_or(T::ZERO).to_f64();
        Direction { operand, start, along: vec![x.abs().max(1.0)] }
    }

    fn random_direction(&mut self, operand: usize, start: usize, len: usize) -> Direction {
        let sizes: Vec<f64> = self.x[operand].iter().skip(start).take(len).map(|x| x.to_f64().abs().max(1.0)).collect();
        let along = self.signed(sizes.len()).0.into_iter().zip(sizes).map(|(sign, size)| sign * size).collect();
        Direction { operand, start, along }
    }

    /// The gradient of a weighted sum of the results.
    fn gradient(&self, weights: &Weights<T>) -> Result<Vec<Tensor<T>>> {
        match weights {
            Weights::Random(seeds) => self.function.vjp(self.x, seeds),
            &Weights::Unit { output, index } => {
                let mut seeds: Vec<Tensor<T>> = self.y.iter().map(|y| Tensor::zeros(y.shape())).collect();
                seeds[output].as_mut_slice()[index] = T::ONE;
                self.function.vjp(self.x, &seeds)
            }
        }
    }

    /// The operands at a distance along a direction.
    pub(super) fn moved(&self, direction: &Direction, step: f64) -> Vec<Tensor<T>> {
        let mut x = self.x.to_vec();
        let elements = x[direction.operand].as_mut_slice();
        for (x, along) in elements[direction.start..].iter_mut().zip(&direction.along) {
            *x = T::from_f64(x.to_f64() + step * along);
        }
        x
    }

    fn differences(&self, direction: &Direction, weights: &[Weights<T>]) -> Vec<Slope> {
        let mut f = |step: f64| match step == 0.0 {
            true => weights.iter().map(|weights| weights.sum(&self.y, |term| term)).collect(),
            false => match self.function.value(&self.moved(direction, step)) {
                Ok(y) => weights.iter().map(|weights| weights.sum(&y, |term| term)).collect(),
                Err(_) => SmallVec::from_elem(f64::NAN, weights.len()),
            },
        };
        let magnitudes: Vec<f64> = weights.iter().map(|weights| weights.sum(&self.y, f64::abs)).collect();
        slopes(&mut f, &magnitudes, self.precision())
    }

    pub(super) fn precision(&self) -> Precision {
        Precision { epsilon: T::EPSILON.to_f64(), enough: self.tolerance / 20.0 }
    }

    /// Compares the derivatives of all weighted sums along one direction.
    fn along(&self, direction: &Direction, weights: &[Weights<T>], rows: &[Vec<Tensor<T>>]) -> Outcome {
        let outcome = self.along_scaled(direction, weights, rows);
        let small = direction.element().and_then(|index| self.x[direction.operand].iter().nth(index));
        let size = small.map_or(0.0, |x| x.to_f64().abs());
        // A step in proportion to a tiny operand, where steps of size one saw nothing.
        if outcome.undecided > 0 && (f64::MIN_POSITIVE..1e-2).contains(&size) {
            let closer = self.along_scaled(&Direction { along: vec![size], ..*direction }, weights, rows);
            return if closer.undecided < outcome.undecided { closer } else { outcome };
        }
        outcome
    }

    fn along_scaled(&self, direction: &Direction, weights: &[Weights<T>], rows: &[Vec<Tensor<T>>]) -> Outcome {
        let mut outcome = Outcome::default();
        let numeric = self.differences(direction, weights);
        let scale = if direction.element().is_some() { direction.along[0] } else { 1.0 };
        for (row, ((weights, gradient), numeric)) in weights.iter().zip(rows).zip(numeric).enumerate() {
            let gradient = &gradient[direction.operand];
            let terms = gradient.iter().skip(direction.start).zip(&direction.along).map(|(g, d)| g.to_f64() * d);
            let (analytic, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + f64::abs(term)));
            let largest = gradient.iter().map(|g| g.to_f64().abs()).fold(0.0, f64::max) * scale;
            let magnitude = weights.sum(&self.y, f64::abs);
            let floor = size.max(1e-3 * largest).max(10.0 * self.tolerance * magnitude);
            outcome.add(judge(analytic, numeric, floor, self.tolerance), || Comparison {
                operand: direction.operand,
                index: direction.element().map(|index| unravel(index, self.x[direction.operand].shape())),
                output: weights.output(),
                output_index: weights.index(&self.y),
                analytic: analytic / scale,
                numeric: numeric.value / scale,
                error: numeric.error / scale,
                says: 0,
                row,
            });
        }
        outcome
    }

    /// Finds the element behind a disagreement along a random direction, halving first the operand and then the results.
    fn located(&mut self, operand: usize, weights: &Weights<T>, found: Outcome) -> Result<Outcome> {
        let row = [self.gradient(weights)?];
        let (mut start, mut len) = (0, self.x[operand].len());
        while len > 1 {
            let halves = [(start, len / 2), (start + len / 2, len - len / 2)];
            let excess = halves.map(|(start, len)| {
                let direction = self.random_direction(operand, start, len);
                self.along(&direction, std::slice::from_ref(weights), &row).excess()
            });
            (start, len) = if excess[0] >= excess[1] { halves[0] } else { halves[1] };
        }
        let direction = self.unit(operand, start);
        let (mut first, mut count) = (0, self.y.iter().map(Tensor::len).sum::<usize>());
        while count > 1 && matches!(weights, Weights::Random(_)) {
            let halves = [(first, count / 2), (first + count / 2, count - count / 2)];
            let parts = halves.map(|(first, count)| weights.part(first, count));
            let rows = [self.gradient(&parts[0])?, self.gradient(&parts[1])?];
            let excess = [0, 1].map(|k| self.along(&direction, &parts[k..=k], &rows[k..=k]).excess());
            (first, count) = if excess[0] >= excess[1] { halves[0] } else { halves[1] };
        }
        let weights = match weights {
            Weights::Random(_) => self.unit_weights(first),
            &Weights::Unit { output, index } => Weights::Unit { output, index },
        };
        let row = [self.gradient(&weights)?];
        let single = self.along(&direction, &[weights], &row);
        Ok(if single.disagreeing > 0 { Outcome { worst: single.worst, ..found } } else { found })
    }

    /// The weight one at a row-major index that counts through all results.
    fn unit_weights(&self, mut index: usize) -> Weights<T> {
        for (output, y) in self.y.iter().enumerate() {
            if index < y.len() {
                return Weights::Unit { output, index };
            }
            index -= y.len();
        }
        Weights::Unit { output: 0, index: 0 }
    }
}

impl<T: Float> Weights<T> {
    /// The weighted sum of `size` of each term.
    fn sum(&self, y: &[Tensor<T>], size: impl Fn(f64) -> f64) -> f64 {
        match self {
            &Weights::Unit { output, index } => size(y[output].iter().nth(index).unwrap_or(T::NAN).to_f64()),
            Weights::Random(weights) => {
                let terms = y.iter().zip(weights).flat_map(|(y, weights)| y.iter().zip(weights.iter()));
                let terms = terms.filter(|&(_, weight)| weight != T::ZERO);
                terms.map(|(y, weight)| size(y.to_f64() * weight.to_f64())).sum()
            }
        }
    }

    fn output(&self) -> usize {
        if let Weights::Unit { output, .. } = self { *output } else { 0 }
    }

    fn index(&self, y: &[Tensor<T>]) -> Option<Vec<usize>> {
        match self {
            &Weights::Unit { output, index } => Some(unravel(index, y[output].shape())),
            Weights::Random(_) => None,
        }
    }

    /// The same weights for some results, counted through all of them in row-major order, and zero for the others.
    fn part(&self, first: usize, count: usize) -> Self {
        let Weights::Random(weights) = self else { return Weights::Unit { output: self.output(), index: 0 } };
        let mut seen = 0;
        let part = |weights: &Tensor<T>| {
            let mut part = weights.clone();
            for (k, weight) in part.as_mut_slice().iter_mut().enumerate() {
                if !(first..first + count).contains(&(seen + k)) {
                    *weight = T::ZERO;
                }
            }
            seen += weights.len();
            part
        };
        Weights::Random(weights.iter().map(part).collect())
    }
}

/// Numbers before they have a shape.
struct Numbers(Vec<f64>);

impl Numbers {
    fn reshape_to<T: Float>(&self, shape: &Shape) -> Tensor<T> {
        Tensor::build_or_panic(shape.clone(), |out| {
            out.iter_mut().zip(&self.0).for_each(|(out, &x)| *out = T::from_f64(x))
        })
    }
}

/// The index of a row-major position.
pub(crate) fn unravel(mut position: usize, shape: &Shape) -> Vec<usize> {
    let mut index = vec![0; shape.rank()];
    for (index, &size) in index.iter_mut().zip(shape.iter()).rev() {
        *index = position % size.max(1);
        position /= size.max(1);
    }
    index
}
