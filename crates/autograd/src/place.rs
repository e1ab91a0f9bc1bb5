//! What the readers for people share: where an operation is in a recording, what it was made of, and what its value
//! looks like. It knows no derivatives.

use std::fmt;
use std::panic::Location;

use smallvec::SmallVec;

use crate::float::Float;
use crate::ops::{OPERANDS, Op};
use crate::shape::Shape;
use crate::tape::{Input, LIMIT, Source, Step, Tape};
use crate::tensor::Tensor;

/// Where an operation is in a recording.
///
/// Displays as `matmul "hidden" at src/model.rs:12`: the name that [`Var::named`](crate::Var::named) gave, and the
/// caller's line where the tape kept it, or else which operation it is, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its position in the order of execution.
    pub position: usize,
    /// The operation; `leaf` is a variable or a parameter, `element` a number read out of a tensor, with the tensor's name.
    pub op: &'static str,
    /// The name that the user gave.
    pub name: Option<String>,
    /// The caller's line: of every tensor operation, and of scalar ones if the tape keeps them. A number read out of a tensor
    /// has the tensor's line where it has none of its own.
    pub location: Option<&'static Location<'static>>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        match self.location {
            Some(location) => write!(f, " at {}:{}", location.file(), location.line()),
            None => write!(f, " (operation {})", self.position),
        }
    }
}

/// The smallest and the largest of some numbers, and how many are not finite.
///
/// Displays as `[2, 3] in 0.5 ..= 3`, or as `[2, 3] in 0.5 ..= 3, 1 of 6 not finite`.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// The shape of the numbers; no axes for a scalar.
    pub shape: Shape,
    /// The smallest finite number; ∞ if there is none.
    pub min: f64,
    /// The largest finite number; −∞ if there is none.
    pub max: f64,
    /// How many are infinite or not a number.
    pub non_finite: usize,
    /// How many are exactly zero.
    pub zeros: usize,
}

impl Range {
    pub(crate) fn new(shape: &Shape, numbers: impl Iterator<Item = f64>) -> Self {
        let empty = Range { shape: shape.clone(), min: f64::INFINITY, max: f64::NEG_INFINITY, non_finite: 0, zeros: 0 };
        numbers.fold(empty, |range, x| match x.is_finite() {
            true => {
                let zeros = range.zeros + usize::from(x == 0.0);
                Range { min: range.min.min(x), max: range.max.max(x), zeros, ..range }
            }
            false => Range { non_finite: range.non_finite + 1, ..range },
        })
    }

    pub(crate) fn of<T: Float>(tensor: &Tensor<T>) -> Self {
        Self::new(tensor.shape(), tensor.iter().map(T::to_f64))
    }

    /// The text without the shape.
    pub(crate) fn numbers(&self) -> String {
        let len = self.shape.len();
        let span = match self.min == self.max {
            true => short(self.min),
            false => format!("{} ..= {}", short(self.min), short(self.max)),
        };
        match (self.non_finite, len) {
            (0, 0) => "empty".into(),
            (0, _) => span,
            (1, 1) => "not finite".into(),
            (n, _) if n == len => format!("all {n} not finite"),
            (n, _) => format!("{span}, {n} of {len} not finite"),
        }
    }

    /// Whether every number is zero, and there is one.
    pub fn is_zero(&self) -> bool {
        self.zeros == self.shape.len() && self.zeros > 0
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.non_finite == 0
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shape.rank() > 0 {
            write!(f, "{} ", self.shape)?;
        }
        if self.min < self.max {
            f.write_str("in ")?;
        }
        f.write_str(&self.numbers())
    }
}

/// At most seven significant digits.
pub(crate) fn short(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 || !x.is_finite() || (1e-4..1e7).contains(&size) {
        let rounded: f64 = format!("{x:.6e}").parse().unwrap_or(x);
        format!("{rounded}")
    } else {
        let text = format!("{x:.6e}");
        match text.split_once('e') {
            Some((digits, exponent)) => format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.')),
            None => text,
        }
    }
}

/// What an operation was applied to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operand<T> {
    /// An earlier entry.
    Entry(usize),
    Number(T),
}

pub(crate) type Operands<T> = SmallVec<[Operand<T>; OPERANDS]>;

/// The entries among operands.
pub(crate) fn entries<T: Copy>(operands: &[Operand<T>]) -> impl Iterator<Item = usize> {
    operands.iter().filter_map(|operand| match *operand {
        Operand::Entry(entry) => Some(entry),
        Operand::Number(_) => None,
    })
}

impl<T: Float> Tape<T> {
    /// What the operation of an entry was applied to, in order.
    pub(crate) fn operands(&self, position: usize) -> Operands<T> {
        let entry = self.entry(position);
        let x = Operand::Entry(entry.operand as usize);
        match entry.step() {
            Step::Leaf => Operands::new(),
            Step::Integers => self.integer_operands(entry.operand),
            Step::Element => SmallVec::from_slice(&[Operand::Entry(self.entry_of(entry.operand))]),
            Step::Node => self.node_operands(entry.operand),
            Step::Unary(_) => SmallVec::from_slice(&[x]),
            Step::Both(_) => SmallVec::from_slice(&[x, Operand::Entry(entry.second())]),
            Step::Right(_) => SmallVec::from_slice(&[x, Operand::Number(entry.constant())]),
            Step::Left(_) => SmallVec::from_slice(&[Operand::Number(entry.constant()), x]),
        }
    }

    fn node_operands(&self, slot: u32) -> Operands<T> {
        let (op, value) = self.with_node(slot, |node| (node.op.clone(), node.value.clone()));
        match op {
            Op::FromScalars { start, len } => (self.gathered(start, len).into_iter().zip(value.iter()))
                .map(
                    |(index, number)| {
                        if index < LIMIT { Operand::Entry(index as usize) } else { Operand::Number(number) }
                    },
                )
                .collect(),
            Op::Output { back } => self.inputs_of(slot - back),
            _ => self.inputs_of(slot),
        }
    }

    fn inputs_of(&self, slot: u32) -> Operands<T> {
        let (inputs, integers) = self.with_node(slot, |node| (node.inputs.clone(), node.integers.clone()));
        let operand = |input: Input<T>| match input {
            Input::Node(slot) => Operand::Entry(self.entry_of(slot)),
            Input::Number(number) => Operand::Number(number),
        };
        let lists = integers.into_iter().map(|slot| Operand::Entry(self.entry_of_integers(slot)));
        inputs.into_iter().map(operand).chain(lists).collect()
    }

    fn integer_operands(&self, slot: u32) -> Operands<T> {
        match self.with_integers(slot, |node| node.source) {
            Source::Nothing => Operands::new(),
            Source::Node(of) => SmallVec::from_slice(&[Operand::Entry(self.entry_of(of))]),
            Source::Integers(of) => SmallVec::from_slice(&[Operand::Entry(self.entry_of_integers(of))]),
        }
    }

    fn entry_of_integers(&self, slot: u32) -> usize {
        self.with_integers(slot, |node| node.entry as usize)
    }

    /// The place of a node in the order of execution.
    pub(crate) fn entry_of(&self, slot: u32) -> usize {
        self.with_node(slot, |node| node.entry as usize)
    }

    /// The node at an entry, if there is one.
    pub(crate) fn slot_at(&self, position: usize) -> Option<u32> {
        let entry = self.entry(position);
        (entry.step() == Step::Node).then_some(entry.operand)
    }

    /// The name of the operation of an entry.
    pub(crate) fn op_name(&self, position: usize) -> &'static str {
        let entry = self.entry(position);
        match entry.step() {
            Step::Leaf => Op::Leaf.name(),
            Step::Integers => self.with_integers(entry.operand, |node| node.op.name()),
            Step::Element => "element",
            Step::Unary(op) | Step::Both(op) | Step::Right(op) | Step::Left(op) => op.facts().name,
            Step::Node => match self.with_node(entry.operand, |node| node.op.clone()) {
                Op::Custom { rule, .. } => self.custom(rule).name(),
                Op::Output { back } => self.op_name(self.entry_of(entry.operand - back)),
                op => op.name(),
            },
        }
    }

    pub(crate) fn place(&self, position: usize) -> Place {
        let tensor = self.tensor_of(position);
        let name = self.slot_at(tensor).and_then(|slot| self.name(slot));
        let location = self.location(position).or_else(|| self.location(tensor));
        Place { position, op: self.op_name(position), name, location }
    }

    /// The tensor that an entry is a number of, or else the entry itself.
    pub(crate) fn tensor_of(&self, position: usize) -> usize {
        let entry = self.entry(position);
        if entry.step() == Step::Element { self.entry_of(entry.operand) } else { position }
    }

    /// Whether a derivative can flow through an entry.
    pub(crate) fn is_tracked(&self, position: usize) -> bool {
        match self.slot_at(position) {
            Some(slot) => self.with_node(slot, |node| node.tracked),
            None => self.entry(position).step() != Step::Integers,
        }
    }

    pub(crate) fn shape_at(&self, position: usize) -> Shape {
        let entry = self.entry(position);
        match entry.step() {
            Step::Node => self.with_node(entry.operand, |node| node.value.shape().clone()),
            Step::Integers => self.with_integers(entry.operand, |node| node.value.shape().clone()),
            _ => Shape::default(),
        }
    }

    /// The value of an entry as numbers; a number has no axes.
    pub(crate) fn value_at(&self, position: usize) -> Tensor<T> {
        let entry = self.entry(position);
        match entry.step() {
            Step::Node => self.node_value(entry.operand),
            Step::Integers => self.list(entry.operand).map(|integer| T::from_f64(integer as f64)),
            _ => Tensor::scalar(entry.value),
        }
    }

    pub(crate) fn is_finite_at(&self, position: usize) -> bool {
        match self.slot_at(position) {
            Some(slot) => self.with_node(slot, |node| node.value.iter().all(T::is_finite)),
            None => self.entry(position).value.is_finite(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 1.0, -0.5, 1.0 / 3.0, 123456.789, 1e-7, -2.5e12, f64::INFINITY].map(short);
        assert_eq!(texts, ["0", "1", "-0.5", "0.3333333", "123456.8", "1e-7", "-2.5e12", "inf"]);
    }

    #[test]
    fn ranges_say_what_is_in_them() {
        let text = |x: &[f64]| Range::of(&Tensor::from(x.to_vec())).to_string();
        assert_eq!(text(&[1.5, 3.0, 0.5]), "[3] in 0.5 ..= 3");
        assert_eq!(text(&[1.5, f64::NAN, 0.5]), "[3] in 0.5 ..= 1.5, 1 of 3 not finite");
        assert_eq!(text(&[f64::NAN, f64::INFINITY]), "[2] all 2 not finite");
        assert_eq!(text(&[]), "[0] empty");
        assert_eq!(Range::of(&Tensor::scalar(2.0)).to_string(), "2");
    }

    #[test]
    fn operands_of_every_kind_of_entry() {
        let tape = Tape::<f64>::new();
        let x = tape.scalar(2.0);
        let y = 3.0 - x;
        let v = tape.from_scalars(&[x, y, crate::Scalar::constant(7.0)]);
        let w = v * 5.0;
        let _ = w.at([1]) * y;
        use Operand::{Entry, Number};
        assert_eq!(tape.operands(1)[..], [Number(3.0), Entry(0)]);
        assert_eq!(tape.operands(2)[..], [Entry(0), Entry(1), Number(7.0)]);
        assert_eq!(tape.operands(3)[..], [Entry(2), Number(5.0)]);
        assert_eq!(tape.operands(4)[..], [Entry(3)]);
        assert_eq!(tape.operands(5)[..], [Entry(4), Entry(1)]);
        let names: Vec<_> = (0..6).map(|k| tape.op_name(k)).collect();
        assert_eq!(names, ["leaf", "sub", "from_scalars", "mul", "element", "mul"]);
    }
}
