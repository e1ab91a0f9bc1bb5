//! Code on tensors, ready to run: steps in an order in which they can run, and what each of them is the last to need.
//!
//! All functions of numbers of one shape that wait for nothing but each other are one region: one pass over the
//! elements, with intermediate results in the first cache. Every other operation is a step of its own. A value's stage
//! says how many regions and steps it waits for, so steps in the order of their stages run after what they need.

use crate::error::Result;
use crate::float::Float;
use crate::program::execution::allocation::StoreAllocation;
use crate::program::execution::step::{ExecutionStep, StepKind};
use crate::program::execution::store::{Store, StoreSlot};
use crate::program::fusion::partition::{Partition, StepKey};
use crate::program::fusion::region::Region;
use crate::program::ir::{Code, Guard, Observation, TensorGuard};
use crate::program::{Data, Report};
use crate::tensor::integers::Integers;

/// A guard with the place of what it looks at, and how many steps it takes to have that.
struct StepGuard<L> {
    ordinal: u32,
    place: StoreSlot,
    after: usize,
    look: L,
}

/// A function of numbers and tensors.
pub(in crate::program) struct TensorExecutable<T: Float> {
    steps: Vec<ExecutionStep<T>>,
    /// How many numbers, tensors and integers are given; they stand first.
    inputs: [usize; 3],
    results: Vec<StoreSlot>,
    comparisons: Vec<StepGuard<T>>,
    looks: Vec<StepGuard<Observation<T>>>,
    store: Store<T>,
    pub size: Report,
}

impl<T: Float> TensorExecutable<T> {
    /// The steps of `code` for so many numbers and tensors.
    pub fn new(code: &Code<T>, inputs: [usize; 3]) -> Self {
        let partition = Partition::new(code);
        let mut places = StoreAllocation::new(code, inputs);
        let mut steps: Vec<ExecutionStep<T>> = Vec::new();
        let mut made = vec![0; code.values.len()];
        for ((_, key), members) in &partition.groups {
            let step = match key {
                StepKey::Region(shape_id) => places.region(code, &partition, *shape_id, members),
                StepKey::TensorOp(tensor_op) => places.tensor_op(code, *tensor_op, members),
            };
            steps.push(step);
            for &value in members {
                made[value as usize] = steps.len();
                if let Some(&sum) = partition.sums.get(&value) {
                    made[sum as usize] = steps.len();
                }
            }
        }
        let results: Vec<StoreSlot> = code.results.iter().map(|&value| places.of(code, value)).collect();
        let mut check = |guard: &Guard| StepGuard {
            ordinal: guard.ordinal,
            place: places.of(code, guard.comparison),
            after: made[guard.comparison as usize],
            look: T::from_f64(f64::from(u8::from(guard.holds))),
        };
        let comparisons = code.guards.iter().map(&mut check).collect();
        let mut look = |guard: &TensorGuard<T>| StepGuard {
            ordinal: guard.ordinal,
            place: places.of(code, guard.tensor),
            after: made[guard.tensor as usize],
            look: guard.look.clone(),
        };
        let looks: Vec<StepGuard<Observation<T>>> = code.tensor_guards.iter().map(&mut look).collect();
        let kept = results.iter().copied().chain(looks.iter().map(|look| look.place));
        let bytes = places.forget(&mut steps, kept);
        let size = Report {
            recorded: code.recorded,
            operations: partition.groups.values().map(Vec::len).sum(),
            groups: steps.len(),
            recorded_bytes: code.recorded_bytes,
            bytes,
            ..Report::default()
        };
        let store = Store { numbers: places.numbers, tensors: places.tensors, integers: places.integers };
        TensorExecutable { steps, inputs, results, comparisons, looks, store, size }
    }

    /// The groups of operations on single numbers in all steps.
    pub fn groups_of_numbers(&self) -> usize {
        self.regions().map(Region::groups_of_numbers).sum()
    }

    /// The memory that it takes between runs.
    pub fn bytes(&self) -> usize {
        let constants = self.store.tensors.iter().flatten().map(|tensor| tensor.len() * size_of::<T>());
        size_of_val(&self.steps[..]) + constants.sum::<usize>() + self.regions().map(Region::bytes).sum::<usize>()
    }

    fn regions(&self) -> impl Iterator<Item = &Region<T>> {
        self.steps.iter().filter_map(|step| match &step.work {
            StepKind::Region(region) => Some(&**region),
            StepKind::TensorOp(_) => None,
        })
    }

    /// Runs on some numbers and tensors; the first comparison that came out differently.
    pub fn run(&mut self, data: &Data<T>) -> Result<Option<u32>> {
        self.store.numbers[..self.inputs[0]].copy_from_slice(&data.numbers);
        for (place, tensor) in self.store.tensors.iter_mut().zip(&data.tensors) {
            *place = Some(tensor.clone());
        }
        for (place, list) in self.store.integers.iter_mut().zip(&data.integers) {
            *place = Some(Integers::new(list.clone()));
        }
        for done in 0..self.steps.len() {
            if let Err(error) = self.steps[done].run(&mut self.store) {
                // What led here may have been a branch that these inputs do not take.
                let differing = self.differing(done);
                self.clear();
                return differing.map_or(Err(error), |ordinal| Ok(Some(ordinal)));
            }
        }
        let differing = self.differing(self.steps.len());
        if differing.is_some() {
            self.clear();
        }
        Ok(differing)
    }

    /// The first comparison that came out differently among those that the first steps have made.
    fn differing(&self, done: usize) -> Option<u32> {
        let store = &self.store;
        let comparison = (self.comparisons.iter().filter(|check| check.after <= done))
            .find(|check| store.number(check.place) != check.look);
        let look = (self.looks.iter().filter(|check| check.after <= done))
            .find(|check| !check.look.is_same(store, check.place));
        [comparison.map(|check| check.ordinal), look.map(|check| check.ordinal)].into_iter().flatten().min()
    }

    /// The results of the last run, which are handed over.
    pub fn results(&mut self, data: &mut Data<T>) {
        data.clear();
        for place in &self.results {
            match *place {
                StoreSlot::Number(place) => data.numbers.push(self.store.numbers[place as usize]),
                StoreSlot::Tensor(place) => data.tensors.extend(self.store.tensors[place as usize].clone()),
                StoreSlot::Integers(place) => {
                    data.integers.extend(self.store.integers[place as usize].as_ref().map(|found| found.list.clone()));
                }
            }
        }
        self.clear();
    }

    /// Lets go of all but the constants.
    fn clear(&mut self) {
        self.store.tensors[..self.inputs[1]].fill(None);
        self.store.integers[..self.inputs[2]].fill(None);
        for place in self.steps.iter().flat_map(|step| &step.results) {
            match *place {
                StoreSlot::Tensor(place) => self.store.tensors[place as usize] = None,
                StoreSlot::Integers(place) => self.store.integers[place as usize] = None,
                StoreSlot::Number(_) => {}
            }
        }
    }
}

impl<T: Float> Observation<T> {
    fn is_same(&self, store: &Store<T>, place: StoreSlot) -> bool {
        match (self, store.tensor(place), store.integers_at(place)) {
            (Observation::Computed, ..) => true,
            (Observation::Elements(expected), Some(tensor), _) => {
                let bits = |x: T| x.to_f64().to_bits();
                expected.shape() == tensor.shape() && expected.iter().map(bits).eq(tensor.iter().map(bits))
            }
            (Observation::Integers(expected), _, Some(found)) => *expected == found.list,
            _ => false,
        }
    }
}
