//! Which values are computed together, and in which order.

use std::collections::BTreeMap;

use crate::float::Float;
use crate::ops::Op;
use crate::program::fusion::sink::Sinking;
use crate::program::ir::{Code, Instruction, ShapeId, TensorOpKind, ValueId};

/// Which step a value belongs to, within its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::program) enum StepKey {
    TensorOp(u32),
    Region(ShapeId),
}

/// A stage and a step in it.
pub(in crate::program) type StagedStep = (u32, StepKey);

/// The values that are needed, by stage and step.
pub(in crate::program) struct Partition {
    pub groups: BTreeMap<StagedStep, Vec<ValueId>>,
    /// The sum of all elements of a value that nothing else needs: the pass that makes the value makes the sum.
    pub sums: BTreeMap<ValueId, ValueId>,
    /// How many steps need each value, besides the one it belongs to; results and guards count too.
    pub readers: Vec<u32>,
}

impl Partition {
    pub fn new<T: Float>(code: &Code<T>) -> Self {
        let mut needed = vec![false; code.values.len()];
        let ends = || {
            let guards = code.guards.iter().map(|guard| guard.comparison);
            code.results.iter().copied().chain(guards).chain(code.tensor_guards.iter().map(|guard| guard.tensor))
        };
        ends().for_each(|value| needed[value as usize] = true);
        for value in (0..needed.len()).rev() {
            if needed[value] {
                code.operands(value as ValueId).into_iter().for_each(|operand| needed[operand as usize] = true);
            }
        }
        let mut steps: Vec<Option<StagedStep>> = vec![None; code.values.len()];
        let all = || (0..code.values.len() as ValueId).filter(|&value| needed[value as usize]);
        for value in all() {
            let key = match code.values[value as usize] {
                _ if code.is_given(value) => continue,
                Instruction::Input(_) | Instruction::Constant(_) => continue,
                Instruction::Operation(..) => StepKey::Region(code.shape_ids[value as usize]),
                Instruction::Output(tensor_op, _) => StepKey::TensorOp(tensor_op),
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
        groups.retain(|(_, key), members: &mut Vec<ValueId>| {
            let StepKey::TensorOp(tensor_op) = *key else { return true };
            let tensor_op = &code.tensor_ops[tensor_op as usize];
            let (TensorOpKind::Table(Op::Sum(sum)), [x]) = (&tensor_op.kind, &tensor_op.operands[..]) else {
                return true;
            };
            let shape = code.shapes.get(code.shape_ids[*x as usize] as usize);
            let is_fused = matches!(code.values[*x as usize], Instruction::Operation(..))
                && readers[*x as usize] == 1
                && shape.is_some_and(|shape| shape.rank() == sum.axes.len());
            if is_fused {
                sums.insert(*x, members[0]);
            }
            !is_fused
        });
        Partition { groups, sums, readers }
    }
}
