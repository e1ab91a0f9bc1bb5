//! What runs the code of a path: a schedule where it is of numbers alone, else a tensor executable.

use std::sync::Mutex;

use crate::error::Result;
use crate::float::Float;
use crate::kernel::replay::Numbers;
use crate::program::execution::lanes::lock;
use crate::program::execution::steps::TensorExecutable;
use crate::program::schedule::Schedule;
use crate::program::trace::budget::{Costs, TraceSize};
use crate::program::trace::cache::{ResultKind, Targets, Trace};
use crate::program::{Data, Report};

/// Code of a path.
pub(in crate::program) struct CompiledPath<T: Float> {
    pub body: Executable<T>,
    pub targets: Targets,
    pub costs: Costs,
    /// How many inputs have stayed on it.
    pub uses: usize,
    /// Whether it was recorded in the hope that it is used again, which has not happened.
    pub is_doubted: bool,
}

/// What runs the code of a path.
pub(in crate::program) enum Executable<T: Float> {
    Numbers(Box<NumberExecutable<T>>),
    Tensors(Box<TensorExecutable<T>>),
}

/// A schedule with the numbers it runs on.
pub(in crate::program) struct NumberExecutable<T: Float> {
    pub schedule: Schedule<T>,
    single: Numbers<T>,
    /// For many inputs at once, by threads that are not running now.
    pub idle: Mutex<Vec<Numbers<T>>>,
    /// For what many inputs share.
    pub uniform: Mutex<Vec<Numbers<T>>>,
}

impl<T: Float> CompiledPath<T> {
    pub fn new(kind: ResultKind, recording: Trace<T>) -> Self {
        let Trace { inputs, shared, function, whole, rows, code, targets, .. } = recording;
        let body = match code.is_of_numbers() {
            true => Executable::Numbers(Box::new(NumberExecutable::new(Schedule::new(&code, inputs[0], shared)))),
            false => Executable::Tensors(Box::new(TensorExecutable::new(&code, inputs))),
        };
        CompiledPath { costs: body.costs(kind, [function, whole], rows), body, targets, uses: 0, is_doubted: false }
    }

    pub fn bytes(&self) -> usize {
        match &self.body {
            Executable::Numbers(ready) => ready.bytes(),
            Executable::Tensors(executable) => executable.bytes(),
        }
    }
}

impl<T: Float> Executable<T> {
    /// Runs on one input; the first comparison that came out differently.
    #[inline]
    pub fn on(&mut self, data: &Data<T>) -> Result<Option<u32>> {
        match self {
            Executable::Numbers(ready) => Ok(ready.run(&data.numbers)),
            Executable::Tensors(executable) => executable.run(data),
        }
    }

    #[inline]
    pub fn results(&mut self, data: &mut Data<T>) {
        match self {
            Executable::Numbers(ready) => {
                data.clear();
                data.numbers.extend(ready.results());
            }
            Executable::Tensors(executable) => executable.results(data),
        }
    }

    pub fn size(&self) -> Report {
        match self {
            Executable::Numbers(ready) => Report {
                recorded: ready.schedule.operations.0,
                operations: ready.schedule.operations.1,
                groups: ready.schedule.replay.groups(),
                recorded_bytes: ready.schedule.operations.0 * size_of::<T>(),
                bytes: ready.schedule.replay.slots() * size_of::<T>(),
                ..Report::default()
            },
            Executable::Tensors(executable) => executable.size,
        }
    }

    fn costs(&self, kind: ResultKind, [function, whole]: [TraceSize; 2], rows: usize) -> Costs {
        let Report { recorded, operations, groups, .. } = self.size();
        match self {
            Executable::Numbers(_) => Costs::of_numbers(kind, function, rows, [recorded, operations, groups]),
            Executable::Tensors(executable) => {
                let of_numbers = executable.groups_of_numbers();
                Costs::of_tensors(kind, [function, whole], [recorded, operations, groups, of_numbers])
            }
        }
    }
}

impl<T: Float> NumberExecutable<T> {
    pub fn new(schedule: Schedule<T>) -> Self {
        NumberExecutable { single: schedule.numbers(1), schedule, idle: Mutex::default(), uniform: Mutex::default() }
    }

    /// Runs on one input; the first comparison that came out differently.
    #[inline]
    pub fn run(&mut self, numbers: &[T]) -> Option<u32> {
        self.single.values[..numbers.len()].copy_from_slice(numbers);
        self.schedule.replay.run(&mut self.single);
        self.failed(&self.single, 0)
    }

    /// The results of the last run on one input.
    pub fn results(&self) -> impl Iterator<Item = T> {
        self.schedule.results.iter().map(|&slot| self.single.at(slot, 0))
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let lists = [&self.idle, &self.uniform].map(|list| lock(list).iter().map(Numbers::bytes).sum::<usize>());
        self.schedule.bytes() + self.single.bytes() + lists[0] + lists[1]
    }
}
