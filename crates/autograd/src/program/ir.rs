//! What remains of a recording: straight-line code on numbers and tensors.
//!
//! The recording is of the function, or of the function and its derivatives: both are ordinary operations by then, so one
//! simplification and one way of running serve them all.

mod lower;

use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::float::Float;
use crate::ops::Op;
use crate::ops::custom::CustomRule;
use crate::ops::elementwise::Elementwise;
use crate::ops::integers::IntegerOp;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;

/// A number or a tensor of the code, by its place in [`Code::values`].
pub(crate) type ValueId = u32;

/// Which shape a value has, by its place in [`Code::shapes`].
pub(crate) type ShapeId = u32;

/// The shape of a number, which fits every shape.
pub(crate) const NUMBER: ShapeId = u32::MAX;

/// The shape of integers.
pub(crate) const INTEGERS: ShapeId = u32::MAX - 1;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Instruction<T> {
    /// One of the numbers that are given.
    Input(u32),
    Constant(T),
    /// f(x), f(x, y) or f(x, y, z), element by element; the last operand stands in the places that are left.
    Operation(Elementwise, [ValueId; 3]),
    /// A result of one of [`Code::tensor_ops`]: which tensor op, which result.
    Output(u32, u32),
}

/// What is not a function of numbers, element by element.
#[derive(Clone, Debug)]
pub(crate) struct TensorOp<T: Float> {
    pub kind: TensorOpKind<T>,
    pub operands: SmallVec<[ValueId; 4]>,
    /// The line of the recorded operation.
    pub location: &'static Location<'static>,
}

#[derive(Clone, Debug)]
pub(crate) enum TensorOpKind<T: Float> {
    /// One of the tensors that are given.
    Input(u32),
    /// One of the integers that are given.
    GivenIntegers(u32),
    Constant(Tensor<T>),
    ConstantIntegers(Integers),
    /// A tensor operation; its second result is what it keeps for its derivative.
    Table(Op),
    /// An operation whose value is integers.
    Integers(IntegerOp),
    /// A user's operation.
    Custom(Rc<dyn CustomRule<T>>),
    /// A vector of numbers.
    Gather,
    /// One element, by its row-major index: a number.
    Element(usize),
    /// A tensor that is the same number everywhere.
    Fill(Shape),
}

impl<T: Float> TensorOpKind<T> {
    /// Whether there is nothing to do.
    pub fn is_given(&self) -> bool {
        use TensorOpKind::{Constant, ConstantIntegers, GivenIntegers, Input};
        matches!(self, Input(_) | GivenIntegers(_) | Constant(_) | ConstantIntegers(_))
    }
}

/// A comparison that must come out as it was recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    /// Its place among the comparisons of the recording.
    pub ordinal: u32,
    pub comparison: ValueId,
    pub holds: bool,
}

/// A look at a tensor that must show what was recorded.
#[derive(Clone, Debug)]
pub(crate) struct TensorGuard<T: Float> {
    /// Its place among the comparisons of the recording.
    pub ordinal: u32,
    pub tensor: ValueId,
    pub look: Observation<T>,
}

/// What code wanted to know of a tensor.
#[derive(Clone, Debug)]
pub(crate) enum Observation<T: Float> {
    /// Nothing; but it must have been computed, since that may fail.
    Computed,
    /// The elements themselves.
    Elements(Tensor<T>),
    /// Integers themselves.
    Integers(Tensor<usize>),
}

/// A function without branches.
#[derive(Debug)]
pub(crate) struct Code<T: Float> {
    /// In an order of execution.
    pub values: Vec<Instruction<T>>,
    /// The shape of each value.
    pub shape_ids: Vec<ShapeId>,
    pub shapes: Vec<Shape>,
    pub tensor_ops: Vec<TensorOp<T>>,
    pub results: Vec<ValueId>,
    pub guards: Vec<Guard>,
    pub tensor_guards: Vec<TensorGuard<T>>,
    /// How many operations the recording had.
    pub recorded: usize,
    /// Bytes of all that it computed.
    pub recorded_bytes: usize,
}

impl<T: Float> Default for Code<T> {
    fn default() -> Self {
        Code {
            values: Vec::new(),
            shape_ids: Vec::new(),
            shapes: Vec::new(),
            tensor_ops: Vec::new(),
            results: Vec::new(),
            guards: Vec::new(),
            tensor_guards: Vec::new(),
            recorded: 0,
            recorded_bytes: 0,
        }
    }
}

impl<T: Float> Code<T> {
    /// A new value.
    pub fn emit(&mut self, instruction: Instruction<T>, shape_id: ShapeId) -> ValueId {
        self.values.push(instruction);
        self.shape_ids.push(shape_id);
        (self.values.len() - 1) as ValueId
    }

    /// Whether there are numbers only.
    pub fn is_of_numbers(&self) -> bool {
        self.tensor_ops.is_empty() && self.shapes.is_empty()
    }

    pub fn is_constant(&self, value: ValueId) -> bool {
        let Instruction::Output(tensor_op, _) = self.values[value as usize] else {
            return matches!(self.values[value as usize], Instruction::Constant(_));
        };
        matches!(
            self.tensor_ops[tensor_op as usize].kind,
            TensorOpKind::Constant(_) | TensorOpKind::ConstantIntegers(_)
        )
    }

    /// The tensor that a value always is.
    pub fn constant(&self, value: ValueId) -> Option<&Tensor<T>> {
        let Instruction::Output(tensor_op, _) = self.values[value as usize] else { return None };
        match &self.tensor_ops[tensor_op as usize].kind {
            TensorOpKind::Constant(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// Whether a value is there before anything runs.
    pub fn is_given(&self, value: ValueId) -> bool {
        match self.values[value as usize] {
            Instruction::Input(_) | Instruction::Constant(_) => true,
            Instruction::Operation(..) => false,
            Instruction::Output(tensor_op, _) => self.tensor_ops[tensor_op as usize].kind.is_given(),
        }
    }

    /// Whether a value costs little more than to read its operands.
    pub fn is_cheap(&self, value: ValueId) -> bool {
        use Elementwise::{add, eq, ge, gt, le, lt, masked_mul, mul, ne, neg, select, sub};
        let cheap = [add, sub, mul, masked_mul, neg, eq, ne, gt, ge, lt, le, select];
        matches!(self.values[value as usize], Instruction::Operation(op, ..) if cheap.contains(&op))
    }

    /// The values that another one is computed from.
    pub fn operands(&self, value: ValueId) -> SmallVec<[ValueId; 4]> {
        match self.values[value as usize] {
            Instruction::Input(_) | Instruction::Constant(_) => SmallVec::new(),
            Instruction::Operation(op, x) => SmallVec::from_slice(&x[..op.arity()]),
            Instruction::Output(tensor_op, _) => self.tensor_ops[tensor_op as usize].operands.clone(),
        }
    }
}
