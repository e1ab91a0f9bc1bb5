//! What remains of a recording of numbers: constants folded, equal operations merged.
//!
//! The recording is of the function, or of the function and its derivatives: both are ordinary operations by then, so one
//! simplification and one way of running serve them all.

use std::collections::HashMap;

use crate::error::{Error, Rule};
use crate::float::Float;
use crate::ops::Op;
use crate::ops::elementwise::Elementwise;
use crate::scalar::Scalar;
use crate::tape::{CONSTANT, LIMIT, Step, Tape};

/// A number of the code, by its place in [`Code::values`].
pub(crate) type Value = u32;

/// Where a number comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Definition<T> {
    /// One of the inputs.
    Input(u32),
    Constant(T),
    /// f(x), with x twice, or f(x, y).
    Operation(Elementwise, Value, Value),
}

/// A comparison that must come out as it was recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    /// Its place among the comparisons of the recording.
    pub ordinal: u32,
    pub comparison: Value,
    pub holds: bool,
}

/// A function of numbers without branches.
#[derive(Debug, Default)]
pub(crate) struct Code<T> {
    /// In an order of execution.
    pub values: Vec<Definition<T>>,
    pub results: Vec<Value>,
    pub guards: Vec<Guard>,
    /// How many operations the recording had.
    pub recorded: usize,
}

impl<T: Float> Code<T> {
    /// The code of `results` as functions of `inputs`, which are leaves of the tape.
    pub fn of(tape: &Tape<T>, inputs: &[Scalar<'_, T>], results: &[Scalar<'_, T>]) -> Result<Self, Error> {
        let mut reading =
            Reading { tape, code: Code::default(), places: HashMap::new(), known: vec![CONSTANT; tape.len()] };
        reading.code.recorded = tape.len() - inputs.len();
        let guards = tape.guards();
        for (place, input) in inputs.iter().enumerate() {
            reading.known[input.index as usize] = reading.define(Definition::Input(place as u32));
        }
        let detached: HashMap<u32, u32> = guards.detached.iter().copied().collect();
        for index in reading.needed(results, &detached) {
            if reading.known[index as usize] == CONSTANT {
                reading.known[index as usize] = match detached.get(&index) {
                    Some(&source) => reading.known[source as usize],
                    None => reading.entry(index)?,
                };
            }
        }
        for result in results {
            let value = match result.index < LIMIT {
                true => reading.known[result.index as usize],
                false => reading.constant(result.number),
            };
            reading.code.results.push(value);
        }
        for (ordinal, outcome) in guards.outcomes.iter().enumerate() {
            let comparison = reading.known[outcome.comparison as usize];
            if !matches!(reading.code.values[comparison as usize], Definition::Constant(_)) {
                reading.code.guards.push(Guard { ordinal: ordinal as u32, comparison, holds: outcome.holds });
            }
        }
        Ok(reading.code)
    }
}

/// A recording on its way to code.
struct Reading<'t, T: Float> {
    tape: &'t Tape<T>,
    code: Code<T>,
    /// Where each definition is; constants by their bits.
    places: HashMap<(Option<Elementwise>, u64, Value), Value>,
    /// The value of each entry that has been read.
    known: Vec<Value>,
}

impl<T: Float> Reading<'_, T> {
    /// The entries that the results and the guards depend on, in the order of execution.
    fn needed(&self, results: &[Scalar<'_, T>], detached: &HashMap<u32, u32>) -> Vec<u32> {
        let mut needed = vec![false; self.tape.len()];
        results.iter().filter(|result| result.index < LIMIT).for_each(|result| needed[result.index as usize] = true);
        self.tape.guards().outcomes.iter().for_each(|outcome| needed[outcome.comparison as usize] = true);
        for index in (0..needed.len()).rev().filter(|&index| self.known[index] == CONSTANT) {
            if !needed[index] {
                continue;
            }
            let entry = self.tape.entry(index);
            match entry.step {
                Step::Leaf => {
                    if let Some(&source) = detached.get(&(index as u32)) {
                        needed[source as usize] = true;
                    }
                }
                Step::Element => {
                    if let Some(source) = self.gathered(entry.operand, entry.second()).filter(|&source| source < LIMIT)
                    {
                        needed[source as usize] = true;
                    }
                }
                Step::Node => {}
                Step::Unary(_) | Step::Right(_) | Step::Left(_) => needed[entry.operand as usize] = true,
                Step::Both(_) => {
                    needed[entry.operand as usize] = true;
                    needed[entry.second()] = true;
                }
            }
        }
        (0..needed.len() as u32).filter(|&index| needed[index as usize]).collect()
    }

    /// The entry behind an element of scalars that were gathered into a tensor.
    fn gathered(&self, slot: u32, element: usize) -> Option<u32> {
        let op = self.tape.with_node(slot, |node| node.op.clone());
        match op {
            Op::FromScalars { start, .. } => self.tape.gathered(start + element, 1).first().copied(),
            _ => None,
        }
    }

    fn entry(&mut self, index: u32) -> Result<Value, Error> {
        let entry = self.tape.entry(index as usize);
        let x = || self.known[entry.operand as usize];
        Ok(match entry.step {
            Step::Leaf => self.constant(entry.value),
            Step::Unary(op) => self.operation(op, x(), x()),
            Step::Both(op) => self.operation(op, x(), self.known[entry.second()]),
            Step::Right(op) => {
                let (x, constant) = (x(), self.constant(entry.constant()));
                self.operation(op, x, constant)
            }
            Step::Left(op) => {
                let (x, constant) = (x(), self.constant(entry.constant()));
                self.operation(op, constant, x)
            }
            Step::Element => match self.gathered(entry.operand, entry.second()) {
                Some(source) if source < LIMIT => self.known[source as usize],
                Some(_) => self.constant(entry.value),
                None => return Err(self.tensor_operation(entry.operand)),
            },
            Step::Node => return Err(self.tensor_operation(entry.operand)),
        })
    }

    fn tensor_operation(&self, slot: u32) -> Error {
        let (op, site) = self.tape.with_node(slot, |node| (node.op.name(), node.site));
        Error { op, rule: Rule::NotReplayable { why: "it is an operation on tensors".into() }, site }
    }

    fn constant(&mut self, number: T) -> Value {
        self.merged((None, number.to_f64().to_bits(), 0), Definition::Constant(number))
    }

    /// The value of an operation: what it simplifies to, or itself, once.
    ///
    /// Every simplification keeps the bits of the value, up to the sign of a zero.
    fn operation(&mut self, op: Elementwise, x: Value, y: Value) -> Value {
        use Definition::{Constant, Operation};
        use Elementwise::{add, div, masked_mul, mul, neg, powi, sub};
        let (by_x, by_y) = (self.code.values[x as usize], self.code.values[y as usize]);
        let is = |definition: Definition<T>, number: T| definition == Constant(number);
        match (op, by_x, by_y) {
            (_, Constant(a), Constant(b)) => {
                let folded = op.at(&[a, b][..op.arity()]);
                self.constant(folded)
            }
            (mul, _, b) if is(b, T::ONE) => x,
            (mul, a, _) if is(a, T::ONE) => y,
            (mul, _, b) if is(b, -T::ONE) => self.operation(neg, x, x),
            (mul, a, _) if is(a, -T::ONE) => self.operation(neg, y, y),
            (div | powi, _, b) if is(b, T::ONE) => x,
            (masked_mul, Constant(a), _) | (masked_mul, _, Constant(a)) if a == T::ZERO => self.constant(T::ZERO),
            (masked_mul, Constant(a), _) | (masked_mul, _, Constant(a)) if a.is_finite() => self.operation(mul, x, y),
            (neg, Operation(neg, z, _), _) => z,
            (add, _, Operation(neg, z, _)) => self.operation(sub, x, z),
            (add, Operation(neg, z, _), _) => self.operation(sub, y, z),
            (sub, _, Operation(neg, z, _)) => self.operation(add, x, z),
            (add | mul | masked_mul, ..) if x > y => self.merged((Some(op), y.into(), x), Operation(op, y, x)),
            _ => self.merged((Some(op), x.into(), y), Operation(op, x, y)),
        }
    }

    fn merged(&mut self, key: (Option<Elementwise>, u64, Value), definition: Definition<T>) -> Value {
        if let Some(&place) = self.places.get(&key) {
            return place;
        }
        let place = self.define(definition);
        self.places.insert(key, place);
        place
    }

    fn define(&mut self, definition: Definition<T>) -> Value {
        self.code.values.push(definition);
        (self.code.values.len() - 1) as Value
    }
}
