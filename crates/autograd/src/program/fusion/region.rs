//! Functions of numbers that run together: on single numbers, or element by element on tensors of one shape.

use std::collections::HashMap;
use std::sync::Mutex;

use smallvec::SmallVec;

use crate::engine::{Factor, elementwise};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel::reduce::{CHUNK, sum_of_chunks};
use crate::program::execution::executable::NumberExecutable;
use crate::program::execution::store::{Store, StoreSlot};
use crate::program::fusion::kernel::{self, ColumnSource, ColumnTarget};
use crate::program::ir::{Code, Instruction, NUMBER, ValueId};
use crate::program::schedule::Schedule;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::layout::Layout;

/// So few operations are passes of their own: they cost less than copies to lanes and back.
const MAX_OPERATIONS_IN_PASSES: usize = 2;

/// Code on the elements of tensors of one shape, or on numbers where there is no shape.
pub(in crate::program) struct Region<T: Float> {
    body: RegionBody<T>,
    shape: Option<Shape>,
    numbers: Vec<T>,
    /// Of each result that is summed over all elements, the shape of its sum.
    sums: Vec<Option<Shape>>,
}

enum RegionBody<T: Float> {
    /// In lanes, or on single numbers.
    Lanes(Box<NumberExecutable<T>>),
    /// Every operation in a pass of its own.
    Passes(Code<T>),
}

impl<T: Float> Region<T> {
    /// The groups that run one after the other on single numbers.
    pub fn groups_of_numbers(&self) -> usize {
        match (&self.body, &self.shape) {
            (RegionBody::Lanes(ready), None) => ready.schedule.replay.groups(),
            _ => 0,
        }
    }

    /// The memory that it takes between runs.
    pub fn bytes(&self) -> usize {
        match &self.body {
            RegionBody::Lanes(ready) => ready.bytes(),
            RegionBody::Passes(code) => size_of_val(&code.values[..]) + size_of_val(&code.shape_ids[..]),
        }
    }

    /// The operations of `members` that `results` need, and the values that they need from elsewhere.
    pub fn new(
        code: &Code<T>,
        shape: Option<Shape>,
        members: &[ValueId],
        results: &[ValueId],
        sums: Vec<Option<Shape>>,
    ) -> (Self, Vec<ValueId>) {
        let mut part = Code { recorded: members.len(), ..Code::default() };
        let mut known: HashMap<ValueId, ValueId> = HashMap::with_capacity(2 * members.len());
        let mut operands = Vec::new();
        for &member in members {
            let Instruction::Operation(op, x) = code.values[member as usize] else { continue };
            let x = x.map(|operand| {
                *known.entry(operand).or_insert_with(|| match code.values[operand as usize] {
                    constant @ Instruction::Constant(_) => part.emit(constant, NUMBER),
                    _ => {
                        operands.push(operand);
                        part.emit(Instruction::Input((operands.len() - 1) as u32), NUMBER)
                    }
                })
            });
            known.insert(member, part.emit(Instruction::Operation(op, x), NUMBER));
        }
        part.results = results.iter().map(|result| known[result]).collect();
        let are_passes =
            members.len() <= MAX_OPERATIONS_IN_PASSES && shape.is_some() && sums.iter().all(Option::is_none);
        let body = match are_passes {
            true => RegionBody::Passes(part),
            false => RegionBody::Lanes(Box::new(NumberExecutable::new(Schedule::new(&part, operands.len(), None)))),
        };
        (Region { body, shape, numbers: vec![T::ZERO; operands.len()], sums }, operands)
    }

    pub fn run(
        &mut self,
        operands: &[StoreSlot],
        results: &[StoreSlot],
        store: &mut Store<T>,
    ) -> Result<(), ErrorKind> {
        let ready = match &mut self.body {
            RegionBody::Lanes(ready) => ready,
            RegionBody::Passes(code) => return passes(code, operands, results, store),
        };
        let Some(shape) = &self.shape else {
            for (number, &place) in self.numbers.iter_mut().zip(operands) {
                *number = store.number(place);
            }
            ready.run(&self.numbers);
            for (&place, number) in results.iter().zip(ready.results()) {
                store.put_number(place, number);
            }
            return Ok(());
        };
        let mut out: SmallVec<[Tensor<T>; 8]> = SmallVec::new();
        for sum in &self.sums {
            let shape = sum.as_ref().map_or_else(|| shape.clone(), |_| shape.len().div_ceil(CHUNK).into());
            out.push(Tensor::build(shape, |_| {})?);
        }
        if !shape.is_empty() {
            let mut layouts: SmallVec<[Option<Layout>; 8]> = SmallVec::new();
            for &place in operands {
                let layout = |x: &Tensor<T>| x.layout.broadcast_to(shape);
                layouts.push(store.tensor(place).map(layout).transpose()?);
            }
            let column = |(&place, layout)| match (store.tensor(place), layout) {
                (Some(x), Some(layout)) => ColumnSource::of(x, layout),
                _ => ColumnSource::Same(store.number(place)),
            };
            let columns: SmallVec<[ColumnSource<'_, T>; 8]> =
                operands.iter().zip(layouts.iter().map(Option::as_ref)).map(column).collect();
            let mut slices: SmallVec<[ColumnTarget<'_, T>; 8]> = (out.iter_mut().zip(&self.sums))
                .map(|(out, sum)| match sum {
                    Some(_) => ColumnTarget::Sums(out.as_mut_slice()),
                    None => ColumnTarget::Each(out.as_mut_slice()),
                })
                .collect();
            kernel::run(ready, &columns, (0, shape.len()), &mut slices, &Mutex::default());
        }
        for ((&place, out), sum) in results.iter().zip(out).zip(&self.sums) {
            store.put(
                place,
                match sum {
                    Some(shape) => Tensor::full(shape, sum_of_chunks(out.as_slice().unwrap_or_default())),
                    None => out,
                },
            );
        }
        Ok(())
    }
}

/// Every operation in a pass of its own.
fn passes<T: Float>(
    code: &Code<T>,
    operands: &[StoreSlot],
    results: &[StoreSlot],
    store: &mut Store<T>,
) -> Result<(), ErrorKind> {
    let mut made: SmallVec<[(ValueId, Tensor<T>); MAX_OPERATIONS_IN_PASSES]> = SmallVec::new();
    for (value, instruction) in code.values.iter().enumerate() {
        let Instruction::Operation(op, x) = *instruction else { continue };
        let factor = |value: ValueId| match code.values[value as usize] {
            Instruction::Constant(number) => Factor::Number(number),
            Instruction::Input(place) => match store.tensor(operands[place as usize]) {
                Some(tensor) => Factor::Tensor(tensor),
                None => Factor::Number(store.number(operands[place as usize])),
            },
            _ => match made.iter().find(|(known, _)| *known == value) {
                Some((_, tensor)) => Factor::Tensor(tensor),
                None => Factor::Number(T::NAN),
            },
        };
        let tensor = elementwise(op, &x.map(factor)[..op.arity()])?;
        made.push((value as ValueId, tensor));
    }
    for (&place, result) in results.iter().zip(&code.results) {
        if let Some((_, tensor)) = made.iter().find(|(known, _)| known == result) {
            store.put(place, tensor.clone());
        }
    }
    Ok(())
}
