//! What runs the code of a path: a plan where it is of numbers alone, else a script.

use std::sync::Mutex;

use crate::error::Result;
use crate::float::Float;
use crate::kernel::replay::Numbers;
use crate::program::execution::lanes::lock;
use crate::program::execution::steps::Script;
use crate::program::schedule::Plan;
use crate::program::trace::budget::{Costs, Size};
use crate::program::trace::cache::{Kind, Recording, Targets};
use crate::program::{Data, Report};

/// Code of a path.
pub(in crate::program) struct Run<T: Float> {
    pub body: Body<T>,
    pub targets: Targets,
    pub costs: Costs,
    /// How many inputs have stayed on it.
    pub uses: usize,
    /// Whether it was recorded in the hope that it is used again, which has not happened.
    pub is_doubted: bool,
}

/// What runs the code of a path.
pub(in crate::program) enum Body<T: Float> {
    Numbers(Box<Ready<T>>),
    Tensors(Box<Script<T>>),
}

/// A plan with the numbers it runs on.
pub(in crate::program) struct Ready<T: Float> {
    pub plan: Plan<T>,
    single: Numbers<T>,
    /// For many inputs at once, by threads that are not running now.
    pub idle: Mutex<Vec<Numbers<T>>>,
    /// For what many inputs share.
    pub uniform: Mutex<Vec<Numbers<T>>>,
}

impl<T: Float> Run<T> {
    pub fn new(kind: Kind, recording: Recording<T>) -> Self {
        let Recording { inputs, shared, function, whole, rows, code, targets, .. } = recording;
        let body = match code.is_of_numbers() {
            true => Body::Numbers(Box::new(Ready::new(Plan::new(&code, inputs[0], shared)))),
            false => Body::Tensors(Box::new(Script::new(&code, inputs))),
        };
        Run { costs: body.costs(kind, [function, whole], rows), body, targets, uses: 0, is_doubted: false }
    }

    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Numbers(ready) => ready.bytes(),
            Body::Tensors(script) => script.bytes(),
        }
    }
}

impl<T: Float> Body<T> {
    /// Runs on one input; the first comparison that came out differently.
    #[inline]
    pub fn on(&mut self, data: &Data<T>) -> Result<Option<u32>> {
        match self {
            Body::Numbers(ready) => Ok(ready.run(&data.numbers)),
            Body::Tensors(script) => script.run(data),
        }
    }

    #[inline]
    pub fn results(&mut self, data: &mut Data<T>) {
        match self {
            Body::Numbers(ready) => {
                data.clear();
                data.numbers.extend(ready.results());
            }
            Body::Tensors(script) => script.results(data),
        }
    }

    pub fn size(&self) -> Report {
        match self {
            Body::Numbers(ready) => Report {
                recorded: ready.plan.operations.0,
                operations: ready.plan.operations.1,
                groups: ready.plan.replay.groups(),
                recorded_bytes: ready.plan.operations.0 * size_of::<T>(),
                bytes: ready.plan.replay.slots() * size_of::<T>(),
                ..Report::default()
            },
            Body::Tensors(script) => script.size,
        }
    }

    fn costs(&self, kind: Kind, [function, whole]: [Size; 2], rows: usize) -> Costs {
        let Report { recorded, operations, groups, .. } = self.size();
        match self {
            Body::Numbers(_) => Costs::of_numbers(kind, function, rows, [recorded, operations, groups]),
            Body::Tensors(script) => {
                let of_numbers = script.groups_of_numbers();
                Costs::of_tensors(kind, [function, whole], [recorded, operations, groups, of_numbers])
            }
        }
    }
}

impl<T: Float> Ready<T> {
    pub fn new(plan: Plan<T>) -> Self {
        Ready { single: plan.numbers(1), plan, idle: Mutex::default(), uniform: Mutex::default() }
    }

    /// Runs on one input; the first comparison that came out differently.
    #[inline]
    pub fn run(&mut self, numbers: &[T]) -> Option<u32> {
        self.single.values[..numbers.len()].copy_from_slice(numbers);
        self.plan.replay.run(&mut self.single);
        self.failed(&self.single, 0)
    }

    /// The results of the last run on one input.
    pub fn results(&self) -> impl Iterator<Item = T> {
        self.plan.results.iter().map(|&slot| self.single.at(slot, 0))
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let lists = [&self.idle, &self.uniform].map(|list| lock(list).iter().map(Numbers::bytes).sum::<usize>());
        self.plan.bytes() + self.single.bytes() + lists[0] + lists[1]
    }
}
