//! Where the values of code stand between steps.

use std::panic::Location;

use smallvec::SmallVec;

use crate::float::Float;
use crate::program::execution::step::{ExecutionStep, StepKind};
use crate::program::execution::store::StoreSlot;
use crate::program::fusion::partition::Partition;
use crate::program::fusion::region::Region;
use crate::program::ir::{Code, INTEGERS, Instruction, NUMBER, ShapeId, TensorOpKind, ValueId};
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;

/// Where values stand.
pub(in crate::program) struct StoreAllocation<T: Float> {
    /// By value.
    known: Vec<Option<StoreSlot>>,
    pub numbers: Vec<T>,
    pub tensors: Vec<Option<Tensor<T>>>,
    /// Constants among the integers.
    pub integers: Vec<Option<Integers>>,
    /// The bytes of each tensor that a step makes.
    bytes: Vec<usize>,
    /// Of each tensor, the one whose elements it shows: itself, or what it is a view of.
    origins: Vec<u32>,
    /// How many tensors are given.
    given: usize,
}

impl<T: Float> StoreAllocation<T> {
    pub fn new(code: &Code<T>, inputs: [usize; 3]) -> Self {
        let mut places = StoreAllocation {
            known: vec![None; code.values.len()],
            numbers: vec![T::ZERO; inputs[0]],
            tensors: vec![None; inputs[1]],
            integers: vec![None; inputs[2]],
            bytes: vec![0; inputs[1]],
            origins: (0..inputs[1] as u32).collect(),
            given: inputs[1],
        };
        for (value, instruction) in code.values.iter().enumerate() {
            places.known[value] = match *instruction {
                Instruction::Input(place) => Some(StoreSlot::Number(place)),
                Instruction::Output(tensor_op, _) => match code.tensor_ops[tensor_op as usize].kind {
                    TensorOpKind::Input(place) => Some(StoreSlot::Tensor(place)),
                    TensorOpKind::GivenIntegers(place) => Some(StoreSlot::Integers(place)),
                    _ => None,
                },
                _ => None,
            };
        }
        places
    }

    /// The place of a value; constants get theirs when they are first asked for.
    pub fn of(&mut self, code: &Code<T>, value: ValueId) -> StoreSlot {
        if let Some(place) = self.known[value as usize] {
            return place;
        }
        let place = match code.values[value as usize] {
            Instruction::Constant(number) => {
                self.numbers.push(number);
                StoreSlot::Number((self.numbers.len() - 1) as u32)
            }
            Instruction::Output(tensor_op, _) => match &code.tensor_ops[tensor_op as usize].kind {
                TensorOpKind::Constant(tensor) => self.tensor(Some(tensor.clone()), 0),
                TensorOpKind::ConstantIntegers(integers) => self.integers(Some(integers.clone())),
                _ => self.made(code, value),
            },
            _ => self.made(code, value),
        };
        self.known[value as usize] = Some(place);
        place
    }

    fn made(&mut self, code: &Code<T>, value: ValueId) -> StoreSlot {
        match code.shape_ids[value as usize] {
            NUMBER => {
                self.numbers.push(T::ZERO);
                StoreSlot::Number((self.numbers.len() - 1) as u32)
            }
            INTEGERS => self.integers(None),
            shape_id => self.tensor(None, code.shapes[shape_id as usize].len() * size_of::<T>()),
        }
    }

    fn integers(&mut self, integers: Option<Integers>) -> StoreSlot {
        self.integers.push(integers);
        StoreSlot::Integers((self.integers.len() - 1) as u32)
    }

    fn tensor(&mut self, tensor: Option<Tensor<T>>, bytes: usize) -> StoreSlot {
        let place = self.tensors.len() as u32;
        self.tensors.push(tensor);
        self.bytes.push(bytes);
        self.origins.push(place);
        StoreSlot::Tensor(place)
    }

    /// One pass over the elements of a shape.
    pub fn region(
        &mut self,
        code: &Code<T>,
        partition: &Partition,
        shape_id: ShapeId,
        members: &[ValueId],
    ) -> ExecutionStep<T> {
        let results: Vec<ValueId> =
            members.iter().copied().filter(|&value| partition.readers[value as usize] > 0).collect();
        let shape = code.shapes.get(shape_id as usize).cloned();
        let sum = |value: &ValueId| partition.sums.get(value).copied();
        let sums = results.iter().map(|value| Some(code.shapes[code.shape_ids[sum(value)? as usize] as usize].clone()));
        let (region, operands) = Region::new(code, shape, members, &results, sums.collect());
        ExecutionStep {
            work: StepKind::Region(Box::new(region)),
            operands: operands.into_iter().map(|value| self.of(code, value)).collect(),
            results: results.into_iter().map(|value| self.of(code, sum(&value).unwrap_or(value))).collect(),
            last: SmallVec::new(),
            location: Location::caller(),
        }
    }

    pub fn tensor_op(&mut self, code: &Code<T>, tensor_op: u32, members: &[ValueId]) -> ExecutionStep<T> {
        let found = &code.tensor_ops[tensor_op as usize];
        let mut results: SmallVec<[StoreSlot; 2]> = SmallVec::new();
        for &value in members {
            let Instruction::Output(_, result) = code.values[value as usize] else { continue };
            while results.len() < result as usize {
                results.push(self.tensor(None, 0));
            }
            match results.get(result as usize) {
                Some(&known) => self.known[value as usize] = Some(known),
                None => results.push(self.of(code, value)),
            }
        }
        let operands: SmallVec<[StoreSlot; 4]> = found.operands.iter().map(|&value| self.of(code, value)).collect();
        if let (TensorOpKind::Table(op), &[StoreSlot::Tensor(x)], &[StoreSlot::Tensor(y)]) =
            (&found.kind, &operands[..], &results[..])
            && op.is_view()
        {
            self.origins[y as usize] = self.origins[x as usize];
            self.bytes[y as usize] = 0;
        }
        ExecutionStep {
            work: StepKind::TensorOp(found.kind.clone()),
            operands,
            results,
            last: SmallVec::new(),
            location: found.location,
        }
    }

    /// Notes after each step what no later one needs; the most bytes that are in use at once.
    pub fn forget(&self, steps: &mut [ExecutionStep<T>], kept: impl Iterator<Item = StoreSlot>) -> usize {
        let mut needed: Vec<bool> = self.tensors.iter().map(Option::is_some).collect();
        let tensor = |place: StoreSlot| match place {
            StoreSlot::Tensor(place) => Some(place),
            StoreSlot::Number(_) | StoreSlot::Integers(_) => None,
        };
        kept.filter_map(tensor).for_each(|place| needed[place as usize] = true);
        for step in steps.iter_mut().rev() {
            for place in step.operands.iter().chain(&step.results).copied().filter_map(tensor) {
                if !std::mem::replace(&mut needed[place as usize], true) {
                    step.last.push(place);
                }
            }
        }
        let (mut bytes, mut most) = (0, 0);
        let mut showing = vec![0; self.tensors.len()];
        showing[..self.given].fill(1);
        for step in steps.iter() {
            for place in step.results.iter().copied().filter_map(tensor) {
                bytes += self.bytes[place as usize];
                showing[self.origins[place as usize] as usize] += 1;
            }
            most = bytes.max(most);
            for &place in &step.last {
                let origin = self.origins[place as usize] as usize;
                showing[origin] -= 1;
                bytes -= if showing[origin] == 0 { self.bytes[origin] } else { 0 };
            }
        }
        most
    }
}
