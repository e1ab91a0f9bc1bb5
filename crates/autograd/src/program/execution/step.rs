//! One step: a region, or a tensor op.

use std::panic::Location;

use smallvec::SmallVec;

use crate::engine::{Factor, elementwise};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::ops::{Op, Operands, Saved, Value};
use crate::program::execution::store::{Store, StoreSlot};
use crate::program::fusion::region::Region;
use crate::program::ir::TensorOpKind;
use crate::tensor::Tensor;

/// One step with the places of its operands and results.
pub(in crate::program) struct ExecutionStep<T: Float> {
    pub work: StepKind<T>,
    pub operands: SmallVec<[StoreSlot; 4]>,
    pub results: SmallVec<[StoreSlot; 2]>,
    /// Tensors that no later step needs.
    pub last: SmallVec<[u32; 4]>,
    pub location: &'static Location<'static>,
}

pub(in crate::program) enum StepKind<T: Float> {
    Region(Box<Region<T>>),
    TensorOp(TensorOpKind<T>),
}

impl<T: Float> ExecutionStep<T> {
    pub fn run(&mut self, store: &mut Store<T>) -> Result<()> {
        let (op, done) = match &mut self.work {
            StepKind::Region(region) => ("program", region.run(&self.operands, &self.results, store)),
            StepKind::TensorOp(tensor_op) => (tensor_op.name(), tensor_op.run(&self.operands, &self.results, store)),
        };
        for &place in &self.last {
            store.tensors[place as usize] = None;
        }
        done.map_err(|kind| Error::at_line(op, kind, self.location))
    }
}

impl<T: Float> TensorOpKind<T> {
    fn name(&self) -> &'static str {
        match self {
            TensorOpKind::Table(op) => op.name(),
            TensorOpKind::Integers(op) => op.name(),
            TensorOpKind::Custom(rule) => rule.name(),
            _ => "program",
        }
    }

    fn run(&self, operands: &[StoreSlot], results: &[StoreSlot], store: &mut Store<T>) -> Result<(), ErrorKind> {
        let Some(&result) = results.first() else { return Ok(()) };
        let value = match self {
            TensorOpKind::Table(op) => {
                let (tensors, integers) = (store.operands(operands), store.integers(operands));
                let Value { tensor, saved } = value(op, Operands { tensors: &tensors, integers: &integers })?;
                match (results.get(1), saved) {
                    (Some(&kept), Saved::Tensor(saved)) => store.put(kept, saved),
                    (Some(&kept), Saved::Integers(saved)) => store.put_integers(kept, saved),
                    _ => {}
                }
                tensor
            }
            TensorOpKind::Integers(op) => {
                let found = match (store.operands(operands).first(), store.integers(operands).first()) {
                    (Some(x), _) => op.of_tensor(x)?,
                    (None, Some(x)) => op.of_integers(x)?,
                    (None, None) => return Err(ErrorKind::NoOperands),
                };
                store.put_integers(result, found);
                return Ok(());
            }
            TensorOpKind::Custom(rule) => {
                let values = rule.value(&store.operands(operands)).map_err(|error| error.kind)?;
                for (&place, value) in results.iter().zip(values) {
                    store.put(place, value);
                }
                return Ok(());
            }
            TensorOpKind::Gather => {
                let numbers =
                    |out: &mut [T]| out.iter_mut().zip(operands).for_each(|(x, &place)| *x = store.number(place));
                Tensor::build([operands.len()].into(), numbers)?
            }
            TensorOpKind::Fill(shape) => Tensor::scalar(store.number(operands[0])).stretched(shape)?,
            TensorOpKind::Element(element) => {
                let number = store.tensor(operands[0]).and_then(|x| x.element(*element));
                store.put_number(result, number.unwrap_or(T::NAN));
                return Ok(());
            }
            TensorOpKind::Input(_)
            | TensorOpKind::GivenIntegers(_)
            | TensorOpKind::Constant(_)
            | TensorOpKind::ConstantIntegers(_) => return Ok(()),
        };
        store.put(result, value);
        Ok(())
    }
}

/// The value of an operation that no region can take.
fn value<T: Float>(op: &Op, x: Operands<'_, T>) -> Result<Value<T>, ErrorKind> {
    match op {
        Op::Elementwise(op) => {
            let factors: SmallVec<[Factor<'_, T>; 3]> = x.iter().map(Factor::Tensor).collect();
            Ok(elementwise(*op, &factors)?.into())
        }
        _ => op.of(x).unwrap_or(Err(ErrorKind::NoOperands)),
    }
}
