//! Functions of numbers that run together: on single numbers, or element by element on tensors of one shape.

use std::collections::HashMap;
use std::sync::Mutex;

use smallvec::SmallVec;

use super::code::{Code, Definition, NUMBER, Value};
use super::columns::{self, Operand, Out};
use super::paths::Ready;
use super::plan::Plan;
use super::script::{Place, Store};
use crate::error::Rule;
use crate::float::Float;
use crate::kernel::reduce::{CHUNK, sum_of_chunks};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::layout::Layout;

/// Code on the elements of tensors of one shape, or on numbers where there is no shape.
pub(super) struct Region<T: Float> {
    ready: Ready<T>,
    shape: Option<Shape>,
    numbers: Vec<T>,
    /// Of each result that is summed over all elements, the shape of its sum.
    sums: Vec<Option<Shape>>,
}

impl<T: Float> Region<T> {
    /// The operations of `members` that `results` need, and the values that they need from elsewhere.
    pub fn new(
        code: &Code<T>,
        shape: Option<Shape>,
        members: &[Value],
        results: &[Value],
        sums: Vec<Option<Shape>>,
    ) -> (Self, Vec<Value>) {
        let mut part = Code { recorded: members.len(), ..Code::default() };
        let mut known: HashMap<Value, Value> = HashMap::with_capacity(2 * members.len());
        let mut operands = Vec::new();
        for &member in members {
            let Definition::Operation(op, x, y) = code.values[member as usize] else { continue };
            let [x, y] = [x, y].map(|operand| {
                *known.entry(operand).or_insert_with(|| match code.values[operand as usize] {
                    constant @ Definition::Constant(_) => part.define(constant, NUMBER),
                    _ => {
                        operands.push(operand);
                        part.define(Definition::Input((operands.len() - 1) as u32), NUMBER)
                    }
                })
            });
            known.insert(member, part.define(Definition::Operation(op, x, y), NUMBER));
        }
        part.results = results.iter().map(|result| known[result]).collect();
        let ready = Ready::new(Plan::new(&part, operands.len(), None));
        (Region { ready, shape, numbers: vec![T::ZERO; operands.len()], sums }, operands)
    }

    pub fn run(&mut self, operands: &[Place], results: &[Place], store: &mut Store<T>) -> Result<(), Rule> {
        let Some(shape) = &self.shape else {
            for (number, &place) in self.numbers.iter_mut().zip(operands) {
                *number = store.number(place);
            }
            self.ready.run(&self.numbers);
            for (&place, number) in results.iter().zip(self.ready.results()) {
                store.put_number(place, number);
            }
            return Ok(());
        };
        let mut out: SmallVec<[Tensor<T>; 4]> = SmallVec::new();
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
                (Some(x), Some(layout)) => Operand::of(x, layout),
                _ => Operand::Same(store.number(place)),
            };
            let columns: SmallVec<[Operand<'_, T>; 8]> =
                operands.iter().zip(layouts.iter().map(Option::as_ref)).map(column).collect();
            let mut slices: SmallVec<[Out<'_, T>; 4]> = (out.iter_mut().zip(&self.sums))
                .map(|(out, sum)| match sum {
                    Some(_) => Out::Sums(out.as_mut_slice()),
                    None => Out::Each(out.as_mut_slice()),
                })
                .collect();
            columns::run(&self.ready, &columns, (0, shape.len()), &mut slices, &Mutex::default());
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
