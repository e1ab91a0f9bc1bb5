//! Code on tensors, ready to run: steps in an order in which they can run, and what each of them is the last to need.
//!
//! All functions of numbers of one shape that wait for nothing but each other are one [`Region`]: one pass over the
//! elements, with intermediate results in the first cache. Every other operation is a step of its own. A value's stage
//! says how many regions and steps it waits for, so steps in the order of their stages run after what they need.

use std::collections::BTreeMap;
use std::panic::Location;

use smallvec::SmallVec;

use super::code;
use super::code::{ActionKind, Code, Definition, Extent, Guard, Look, NUMBER, PLACES, TensorGuard};
use super::region::Region;
use super::{Data, Report};
use crate::engine::{Factor, elementwise};
use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::ops::{Op, Saved, Value};
use crate::tensor::Tensor;

/// Where a value stands between steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Number(u32),
    Tensor(u32),
    /// Places of elements.
    Places(u32),
}

/// The values that steps hand to each other.
#[derive(Debug)]
pub(super) struct Store<T: Float> {
    pub numbers: Vec<T>,
    /// What nobody needs any more is `None`, and its buffer is in the pool.
    pub tensors: Vec<Option<Tensor<T>>>,
    pub places: Vec<Option<Tensor<usize>>>,
    /// How many of the places are given; they stand first.
    given: usize,
}

/// One step with the places of its operands and results.
struct Step<T: Float> {
    work: Work<T>,
    operands: SmallVec<[Place; 4]>,
    results: SmallVec<[Place; 2]>,
    /// Tensors that no later step needs.
    last: SmallVec<[u32; 4]>,
    site: &'static Location<'static>,
}

enum Work<T: Float> {
    Region(Box<Region<T>>),
    Action(ActionKind<T>),
}

/// A guard with the place of what it looks at, and how many steps it takes to have that.
struct Check<L> {
    ordinal: u32,
    place: Place,
    after: usize,
    look: L,
}

/// A function of numbers and tensors.
pub(super) struct Script<T: Float> {
    steps: Vec<Step<T>>,
    /// How many numbers, tensors and lists of places are given; they stand first.
    inputs: [usize; 3],
    results: Vec<Place>,
    comparisons: Vec<Check<T>>,
    looks: Vec<Check<Look<T>>>,
    store: Store<T>,
    pub size: Report,
}

impl<T: Float> Script<T> {
    /// The steps of `code` for so many numbers and tensors.
    pub fn new(code: &Code<T>, inputs: [usize; 3]) -> Self {
        let cut = Cut::new(code);
        let mut places = Places::new(code, inputs);
        let mut steps: Vec<Step<T>> = Vec::new();
        let mut made = vec![0; code.values.len()];
        for ((_, key), members) in &cut.groups {
            let step = match key {
                Key::Region(extent) => places.region(code, &cut, *extent, members),
                Key::Action(action) => places.action(code, *action, members),
            };
            steps.push(step);
            for &value in members {
                made[value as usize] = steps.len();
                if let Some(&sum) = cut.sums.get(&value) {
                    made[sum as usize] = steps.len();
                }
            }
        }
        let results: Vec<Place> = code.results.iter().map(|&value| places.of(code, value)).collect();
        let mut check = |guard: &Guard| Check {
            ordinal: guard.ordinal,
            place: places.of(code, guard.comparison),
            after: made[guard.comparison as usize],
            look: T::from_f64(f64::from(u8::from(guard.holds))),
        };
        let comparisons = code.guards.iter().map(&mut check).collect();
        let mut look = |guard: &TensorGuard<T>| Check {
            ordinal: guard.ordinal,
            place: places.of(code, guard.tensor),
            after: made[guard.tensor as usize],
            look: guard.look.clone(),
        };
        let looks: Vec<Check<Look<T>>> = code.tensor_guards.iter().map(&mut look).collect();
        let kept = results.iter().copied().chain(looks.iter().map(|look| look.place));
        let bytes = places.forget(&mut steps, kept);
        let size = Report {
            recorded: code.recorded,
            operations: cut.groups.values().map(Vec::len).sum(),
            groups: steps.len(),
            recorded_bytes: code.recorded_bytes,
            bytes,
            ..Report::default()
        };
        let store = Store {
            numbers: places.numbers,
            tensors: places.tensors,
            places: vec![None; places.places],
            given: inputs[2],
        };
        Script { steps, inputs, results, comparisons, looks, store, size }
    }

    /// Runs on some numbers and tensors; the first comparison that came out differently.
    pub fn run(&mut self, data: &Data<T>) -> Result<Option<u32>> {
        self.store.numbers[..self.inputs[0]].copy_from_slice(&data.numbers);
        for (place, tensor) in self.store.tensors.iter_mut().zip(&data.tensors) {
            *place = Some(tensor.clone());
        }
        for (place, places) in self.store.places.iter_mut().zip(&data.places) {
            *place = Some(places.clone());
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
                Place::Number(place) => data.numbers.push(self.store.numbers[place as usize]),
                Place::Tensor(place) => data.tensors.extend(self.store.tensors[place as usize].clone()),
                Place::Places(_) => {}
            }
        }
        self.clear();
    }

    /// Lets go of all but the constants.
    fn clear(&mut self) {
        self.store.tensors[..self.inputs[1]].fill(None);
        self.store.places.fill(None);
        for place in self.steps.iter().flat_map(|step| &step.results) {
            if let Place::Tensor(place) = *place {
                self.store.tensors[place as usize] = None;
            }
        }
    }
}

impl<T: Float> Look<T> {
    fn is_same(&self, store: &Store<T>, place: Place) -> bool {
        match (self, store.tensor(place), store.places_at(place)) {
            (Look::All(test, outcome), Some(tensor), _) => tensor.iter().all(test) == *outcome,
            (Look::Elements(expected), Some(tensor), _) => {
                let bits = |x: T| x.to_f64().to_bits();
                expected.shape() == tensor.shape() && expected.iter().map(bits).eq(tensor.iter().map(bits))
            }
            (Look::Indices(expected), _, Some(found)) => expected == found,
            _ => false,
        }
    }
}

/// Which step a value belongs to, within its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Action(u32),
    Region(Extent),
}

/// The values that are needed, by stage and step.
struct Cut {
    groups: BTreeMap<(u32, Key), Vec<code::Value>>,
    /// The sum of all elements of a value that nothing else needs: the pass that makes the value makes the sum.
    sums: BTreeMap<code::Value, code::Value>,
    /// How many steps need each value, besides the one it belongs to; results and guards count too.
    readers: Vec<u32>,
}

impl Cut {
    fn new<T: Float>(code: &Code<T>) -> Self {
        let mut needed = vec![false; code.values.len()];
        let ends = || {
            let guards = code.guards.iter().map(|guard| guard.comparison);
            code.results.iter().copied().chain(guards).chain(code.tensor_guards.iter().map(|guard| guard.tensor))
        };
        ends().for_each(|value| needed[value as usize] = true);
        for value in (0..needed.len()).rev() {
            if needed[value] {
                code.operands(value as code::Value).into_iter().for_each(|operand| needed[operand as usize] = true);
            }
        }
        let mut groups = BTreeMap::new();
        let mut steps: Vec<Option<(u32, Key)>> = vec![None; code.values.len()];
        let mut readers = vec![0; code.values.len()];
        for value in (0..needed.len() as code::Value).filter(|&value| needed[value as usize]) {
            let key = match code.values[value as usize] {
                Definition::Input(_) | Definition::Constant(_) => continue,
                Definition::Operation(..) => Key::Region(code.extents[value as usize]),
                Definition::Output(action, _) => match code.actions[action as usize].kind {
                    ActionKind::Input(_) | ActionKind::Places(_) | ActionKind::Constant(_) => continue,
                    _ => Key::Action(action),
                },
            };
            let operands = code.operands(value);
            let stage = operands.iter().filter_map(|&operand| steps[operand as usize]);
            let stage = stage.map(|(stage, other)| stage + u32::from(other != key)).max().unwrap_or(0);
            let step = (stage, key);
            steps[value as usize] = Some(step);
            groups.entry(step).or_insert_with(Vec::new).push(value);
            for &operand in operands.iter().filter(|&&operand| steps[operand as usize] != Some(step)) {
                readers[operand as usize] += 1;
            }
        }
        ends().for_each(|value| readers[value as usize] += 1);
        let mut sums = BTreeMap::new();
        groups.retain(|(_, key), members: &mut Vec<code::Value>| {
            let Key::Action(action) = *key else { return true };
            let action = &code.actions[action as usize];
            let (ActionKind::Rule(Op::Sum(sum)), [x]) = (&action.kind, &action.operands[..]) else { return true };
            let shape = code.shapes.get(code.extents[*x as usize] as usize);
            let is_fused = matches!(code.values[*x as usize], Definition::Operation(..))
                && readers[*x as usize] == 1
                && shape.is_some_and(|shape| shape.rank() == sum.axes.len());
            if is_fused {
                sums.insert(*x, members[0]);
            }
            !is_fused
        });
        Cut { groups, sums, readers }
    }
}

/// Where values stand.
struct Places<T: Float> {
    /// By value.
    known: Vec<Option<Place>>,
    numbers: Vec<T>,
    tensors: Vec<Option<Tensor<T>>>,
    /// How many lists of places there are.
    places: usize,
    /// The bytes of each tensor that a step makes.
    bytes: Vec<usize>,
}

impl<T: Float> Places<T> {
    fn new(code: &Code<T>, inputs: [usize; 3]) -> Self {
        let mut places = Places {
            known: vec![None; code.values.len()],
            numbers: vec![T::ZERO; inputs[0]],
            tensors: vec![None; inputs[1]],
            places: inputs[2],
            bytes: vec![0; inputs[1]],
        };
        for (value, definition) in code.values.iter().enumerate() {
            places.known[value] = match *definition {
                Definition::Input(place) => Some(Place::Number(place)),
                Definition::Output(action, _) => match code.actions[action as usize].kind {
                    ActionKind::Input(place) => Some(Place::Tensor(place)),
                    ActionKind::Places(place) => Some(Place::Places(place)),
                    _ => None,
                },
                _ => None,
            };
        }
        places
    }

    /// The place of a value; constants get theirs when they are first asked for.
    fn of(&mut self, code: &Code<T>, value: code::Value) -> Place {
        if let Some(place) = self.known[value as usize] {
            return place;
        }
        let place = match code.values[value as usize] {
            Definition::Constant(number) => {
                self.numbers.push(number);
                Place::Number((self.numbers.len() - 1) as u32)
            }
            Definition::Output(action, _) => match &code.actions[action as usize].kind {
                ActionKind::Constant(tensor) => self.tensor(Some(tensor.clone()), 0),
                _ => self.made(code, value),
            },
            _ => self.made(code, value),
        };
        self.known[value as usize] = Some(place);
        place
    }

    fn made(&mut self, code: &Code<T>, value: code::Value) -> Place {
        match code.extents[value as usize] {
            NUMBER => {
                self.numbers.push(T::ZERO);
                Place::Number((self.numbers.len() - 1) as u32)
            }
            PLACES => {
                self.places += 1;
                Place::Places((self.places - 1) as u32)
            }
            extent => self.tensor(None, code.shapes[extent as usize].len() * size_of::<T>()),
        }
    }

    fn tensor(&mut self, tensor: Option<Tensor<T>>, bytes: usize) -> Place {
        self.tensors.push(tensor);
        self.bytes.push(bytes);
        Place::Tensor((self.tensors.len() - 1) as u32)
    }

    /// One pass over the elements of a shape.
    fn region(&mut self, code: &Code<T>, cut: &Cut, extent: Extent, members: &[code::Value]) -> Step<T> {
        let results: Vec<code::Value> =
            members.iter().copied().filter(|&value| cut.readers[value as usize] > 0).collect();
        let shape = code.shapes.get(extent as usize).cloned();
        let sum = |value: &code::Value| cut.sums.get(value).copied();
        let sums = results.iter().map(|value| Some(code.shapes[code.extents[sum(value)? as usize] as usize].clone()));
        let (region, operands) = Region::new(code, shape, members, &results, sums.collect());
        Step {
            work: Work::Region(Box::new(region)),
            operands: operands.into_iter().map(|value| self.of(code, value)).collect(),
            results: results.into_iter().map(|value| self.of(code, sum(&value).unwrap_or(value))).collect(),
            last: SmallVec::new(),
            site: Location::caller(),
        }
    }

    fn action(&mut self, code: &Code<T>, action: u32, members: &[code::Value]) -> Step<T> {
        let found = &code.actions[action as usize];
        let mut results: SmallVec<[Place; 2]> = SmallVec::new();
        for &value in members {
            let Definition::Output(_, result) = code.values[value as usize] else { continue };
            while results.len() < result as usize {
                results.push(self.tensor(None, 0));
            }
            match results.get(result as usize) {
                Some(&known) => self.known[value as usize] = Some(known),
                None => results.push(self.of(code, value)),
            }
        }
        Step {
            work: Work::Action(found.kind.clone()),
            operands: found.operands.iter().map(|&value| self.of(code, value)).collect(),
            results,
            last: SmallVec::new(),
            site: found.site,
        }
    }
}

impl<T: Float> Places<T> {
    /// Notes after each step what no later one needs; the most bytes that are in use at once.
    fn forget(&self, steps: &mut [Step<T>], kept: impl Iterator<Item = Place>) -> usize {
        let mut needed: Vec<bool> = self.tensors.iter().map(Option::is_some).collect();
        let tensor = |place: Place| match place {
            Place::Tensor(place) => Some(place),
            Place::Number(_) | Place::Places(_) => None,
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
        for step in steps.iter() {
            let made = step.results.iter().copied().filter_map(tensor);
            bytes += made.map(|place| self.bytes[place as usize]).sum::<usize>();
            most = bytes.max(most);
            bytes -= step.last.iter().map(|&place| self.bytes[place as usize]).sum::<usize>();
        }
        most
    }
}

impl<T: Float> Step<T> {
    fn run(&mut self, store: &mut Store<T>) -> Result<()> {
        let (op, done) = match &mut self.work {
            Work::Region(region) => ("program", region.run(&self.operands, &self.results, store)),
            Work::Action(action) => (action.name(), action.run(&self.operands, &self.results, store)),
        };
        for &place in &self.last {
            store.tensors[place as usize] = None;
        }
        done.map_err(|rule| Error { op, rule, site: self.site })
    }
}

impl<T: Float> ActionKind<T> {
    fn name(&self) -> &'static str {
        match self {
            ActionKind::Rule(op) => op.name(),
            ActionKind::Custom(rule) => rule.name(),
            _ => "program",
        }
    }

    fn run(&self, operands: &[Place], results: &[Place], store: &mut Store<T>) -> Result<(), Rule> {
        let Some(&result) = results.first() else { return Ok(()) };
        let value = match self {
            ActionKind::Input(_) | ActionKind::Places(_) | ActionKind::Constant(_) => return Ok(()),
            ActionKind::Drawn(drawn) => drawn.next()?,
            ActionKind::Rule(op) => {
                let x: SmallVec<[Tensor<T>; 4]> =
                    operands.iter().filter_map(|&place| store.tensor(place).cloned()).collect();
                let found = operands.last().and_then(|&place| store.places_at(place));
                let is_given = matches!(operands.last(), Some(&Place::Places(place)) if store.is_given(place));
                let Value { tensor, saved } = match found {
                    Some(places) => {
                        // The operation may have a view of the places, which are contiguous.
                        let layout = op.places().map_or(&places.layout, |recorded| &recorded.layout);
                        let op = op.with_places(&places.with_layout(layout.clone()));
                        if is_given {
                            op.check_places(&x)?;
                        }
                        value(&op, &x)?
                    }
                    None => value(op, &x)?,
                };
                match (results.get(1), saved) {
                    (Some(&kept), Saved::Tensor(saved)) => store.put(kept, saved),
                    (Some(&Place::Places(place)), Saved::Index(saved)) => store.places[place as usize] = Some(saved),
                    _ => {}
                }
                tensor
            }
            ActionKind::Custom(rule) => {
                let x: SmallVec<[Tensor<T>; 4]> =
                    operands.iter().filter_map(|&place| store.tensor(place).cloned()).collect();
                let values = rule.value(&x).map_err(|error| error.rule)?;
                for (&place, value) in results.iter().zip(values) {
                    store.put(place, value);
                }
                return Ok(());
            }
            ActionKind::Gather => {
                let numbers =
                    |out: &mut [T]| out.iter_mut().zip(operands).for_each(|(x, &place)| *x = store.number(place));
                Tensor::build([operands.len()].into(), numbers)?
            }
            ActionKind::Fill(shape) => Tensor::scalar(store.number(operands[0])).stretched(shape)?,
            ActionKind::Element(element) => {
                let tensor = store.tensor(operands[0]);
                let number = tensor.and_then(|x| {
                    x.as_slice().map_or_else(|| x.iter().nth(*element), |all| all.get(*element).copied())
                });
                store.put_number(result, number.unwrap_or(T::NAN));
                return Ok(());
            }
        };
        store.put(result, value);
        Ok(())
    }
}

/// The value of an operation that no region can take.
fn value<T: Float>(op: &Op, x: &[Tensor<T>]) -> Result<Value<T>, Rule> {
    match op {
        Op::Elementwise(op) => {
            let factors: SmallVec<[Factor<'_, T>; 3]> = x.iter().map(Factor::Tensor).collect();
            Ok(elementwise(*op, &factors)?.into())
        }
        _ => op.value(x).unwrap_or(Err(Rule::NoOperands)),
    }
}

impl<T: Float> Store<T> {
    pub fn number(&self, place: Place) -> T {
        match place {
            Place::Number(place) => self.numbers[place as usize],
            Place::Tensor(place) => {
                self.tensors[place as usize].as_ref().and_then(|x| x.iter().next()).unwrap_or(T::NAN)
            }
            Place::Places(_) => T::NAN,
        }
    }

    pub fn tensor(&self, place: Place) -> Option<&Tensor<T>> {
        match place {
            Place::Tensor(place) => self.tensors[place as usize].as_ref(),
            Place::Number(_) | Place::Places(_) => None,
        }
    }

    /// Whether places are an argument, and not what an operation has found.
    fn is_given(&self, place: u32) -> bool {
        (place as usize) < self.given
    }

    fn places_at(&self, place: Place) -> Option<&Tensor<usize>> {
        match place {
            Place::Places(place) => self.places[place as usize].as_ref(),
            Place::Number(_) | Place::Tensor(_) => None,
        }
    }

    pub fn put_number(&mut self, place: Place, number: T) {
        if let Place::Number(place) = place {
            self.numbers[place as usize] = number;
        }
    }

    pub fn put(&mut self, place: Place, tensor: Tensor<T>) {
        if let Place::Tensor(place) = place {
            self.tensors[place as usize] = Some(tensor);
        }
    }
}
