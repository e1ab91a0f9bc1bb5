//! Which values are computed together, and in which order.

use std::collections::BTreeMap;

use crate::float::Float;
use crate::ops::Op;
use crate::program::fusion::sink::Sinking;
use crate::program::ir::{ActionKind, Code, Definition, Extent, Value};

/// Which step a value belongs to, within its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::program) enum Key {
    Action(u32),
    Region(Extent),
}

/// A stage and a step in it.
pub(in crate::program) type Step = (u32, Key);

/// The values that are needed, by stage and step.
pub(in crate::program) struct Cut {
    pub groups: BTreeMap<Step, Vec<Value>>,
    /// The sum of all elements of a value that nothing else needs: the pass that makes the value makes the sum.
    pub sums: BTreeMap<Value, Value>,
    /// How many steps need each value, besides the one it belongs to; results and guards count too.
    pub readers: Vec<u32>,
}

impl Cut {
    pub fn new<T: Float>(code: &Code<T>) -> Self {
        let mut needed = vec![false; code.values.len()];
        let ends = || {
            let guards = code.guards.iter().map(|guard| guard.comparison);
            code.results.iter().copied().chain(guards).chain(code.tensor_guards.iter().map(|guard| guard.tensor))
        };
        ends().for_each(|value| needed[value as usize] = true);
        for value in (0..needed.len()).rev() {
            if needed[value] {
                code.operands(value as Value).into_iter().for_each(|operand| needed[operand as usize] = true);
            }
        }
        let mut steps: Vec<Option<Step>> = vec![None; code.values.len()];
        let all = || (0..code.values.len() as Value).filter(|&value| needed[value as usize]);
        for value in all() {
            let key = match code.values[value as usize] {
                _ if code.is_given(value) => continue,
                Definition::Input(_) | Definition::Constant(_) => continue,
                Definition::Operation(..) => Key::Region(code.extents[value as usize]),
                Definition::Output(action, _) => Key::Action(action),
            };
            let operands = code.operands(value);
            let stage = operands.iter().filter_map(|&operand| steps[operand as usize]);
            let stage = stage.map(|(stage, other)| stage + u32::from(other != key)).max().unwrap_or(0);
            steps[value as usize] = Some((stage, key));
        }
        Sinking::new(code, all(), ends()).run(&mut steps);
        let mut groups = BTreeMap::new();
        let mut readers = vec![0; code.values.len()];
        for value in all() {
            let Some(step) = steps[value as usize] else { continue };
            groups.entry(step).or_insert_with(Vec::new).push(value);
            for operand in code.operands(value).into_iter().filter(|&operand| steps[operand as usize] != Some(step)) {
                readers[operand as usize] += 1;
            }
        }
        ends().for_each(|value| readers[value as usize] += 1);
        let mut sums = BTreeMap::new();
        groups.retain(|(_, key), members: &mut Vec<Value>| {
            let Key::Action(action) = *key else { return true };
            let action = &code.actions[action as usize];
            let (ActionKind::TensorOp(Op::Sum(sum)), [x]) = (&action.kind, &action.operands[..]) else {
                return true;
            };
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
