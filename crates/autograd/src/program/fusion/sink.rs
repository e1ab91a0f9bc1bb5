//! Values that are computed where they are read, instead of being stored until then.
//!
//! A cheap function of the elements of one tensor that is there anyway, as the slope of a relu is of its value, goes to the
//! region that reads it: to compute it there costs less than to write and to read it.

use smallvec::{SmallVec, smallvec};

use crate::float::Float;
use crate::program::fusion::partition::{StagedStep, StepKey};
use crate::program::ir::{Code, NUMBER, ValueId};

/// So many operations go together at most.
const MAX_SUNK_TOGETHER: usize = 8;

type SunkValues = SmallVec<[ValueId; MAX_SUNK_TOGETHER]>;

/// Which values may go where.
pub(in crate::program) struct Sinking<'c, T: Float> {
    code: &'c Code<T>,
    /// The operations that read each value.
    users: Vec<SmallVec<[ValueId; 2]>>,
    /// Results, and what guards look at.
    is_end: Vec<bool>,
}

impl<'c, T: Float> Sinking<'c, T> {
    /// Of the values that are needed.
    pub fn new(code: &'c Code<T>, needed: impl Iterator<Item = ValueId>, ends: impl Iterator<Item = ValueId>) -> Self {
        let mut users = vec![SmallVec::new(); code.values.len()];
        for value in needed {
            code.operands(value).into_iter().for_each(|operand| users[operand as usize].push(value));
        }
        let mut is_end = vec![false; code.values.len()];
        ends.for_each(|value| is_end[value as usize] = true);
        Sinking { code, users, is_end }
    }

    /// Moves what can go to other steps there.
    pub fn run(&self, steps: &mut [Option<StagedStep>]) {
        for value in (0..steps.len() as ValueId).rev() {
            if let Some(to) = self.only_reader(value, steps)
                && let Some(values) = self.with_operands(value, steps)
            {
                values.into_iter().for_each(|value| steps[value as usize] = Some(to));
            }
        }
    }

    /// The step that alone reads a value of elements, if it is a later one for elements of the same shape.
    fn only_reader(&self, value: ValueId, steps: &[Option<StagedStep>]) -> Option<StagedStep> {
        let [from, to] = [Some(&value), self.users[value as usize].first()].map(|value| steps[*value? as usize]);
        let (Some((stage, StepKey::Region(shape_id))), Some(to @ (later, StepKey::Region(other)))) = (from, to) else {
            return None;
        };
        let is_only = self.users[value as usize].iter().all(|&user| steps[user as usize] == Some(to));
        (is_only && shape_id == other && stage < later).then_some(to)
    }

    /// A value with those of its operands that nothing else needs, if all that they read is one tensor that later steps read too.
    fn with_operands(&self, value: ValueId, steps: &[Option<StagedStep>]) -> Option<SunkValues> {
        let from = steps[value as usize];
        let can_move =
            |value: ValueId| steps[value as usize] == from && self.code.is_cheap(value) && !self.is_end[value as usize];
        if !can_move(value) {
            return None;
        }
        let mut values: SunkValues = smallvec![value];
        let mut read = None;
        let mut next = 0;
        while let Some(&value) = values.get(next) {
            for operand in self.code.operands(value) {
                if self.code.shape_ids[operand as usize] == NUMBER || values.contains(&operand) || read == Some(operand)
                {
                    continue;
                }
                if can_move(operand) && self.users[operand as usize].iter().all(|user| values.contains(user)) {
                    values.push(operand);
                } else if read.replace(operand).is_some() || !self.is_there(operand, from, steps) {
                    return None;
                }
            }
            if values.len() > MAX_SUNK_TOGETHER {
                return None;
            }
            next += 1;
        }
        read.map(|_| values)
    }

    /// Whether a tensor of the elements of a step is there after it anyway.
    fn is_there(&self, value: ValueId, step: Option<StagedStep>, steps: &[Option<StagedStep>]) -> bool {
        let Some((stage, StepKey::Region(shape_id))) = step else { return false };
        let is_later = |&user: &ValueId| steps[user as usize].is_some_and(|(other, _)| other > stage);
        self.code.shape_ids[value as usize] == shape_id
            && (steps[value as usize].is_none() || self.users[value as usize].iter().any(is_later))
    }
}
