//! Sums of many terms, each run as one operation: a sum of numbers or of products, in the order of the recording.

use crate::float::Float;
use crate::kernel::replay::Terms;
use crate::ops::elementwise::Elementwise;
use crate::program::ir::{Code, Instruction, ValueId};

/// Fewer terms are operations like others: in lanes, where an addition has nothing to wait for.
const MIN_TERMS_IN_LANES: usize = 4;

/// The same for code that runs on one input too, where groups of additions wait less than one sum after the other.
const MIN_TERMS: usize = 32;

/// start + x₁y₁ + x₂y₂ + …, added from left to right.
#[derive(Debug)]
pub(in crate::program) struct SumReduction {
    pub terms: Terms,
    /// Whether the first factors are uniform; the second ones are not.
    pub uniform: bool,
    /// The start, and behind it what is added, factor by factor.
    pub operands: Vec<ValueId>,
}

impl SumReduction {
    /// How many terms there are.
    fn len(&self) -> usize {
        self.operands.len() / self.terms.factors()
    }

    /// How many operations of the recording these are.
    pub fn operations(&self) -> usize {
        self.operands.len() - 1
    }
}

/// The reductions of code, by the value of their last addition. What only a reduction reads is a part of it.
pub(in crate::program) fn reductions<T: Float>(
    code: &Code<T>,
    uniform: &[bool],
    only_in_lanes: bool,
) -> Vec<Option<SumReduction>> {
    let shortest = if only_in_lanes { MIN_TERMS_IN_LANES } else { MIN_TERMS };
    let readers = readers(code);
    let mut reductions: Vec<Option<SumReduction>> = Vec::with_capacity(code.values.len());
    for (value, instruction) in code.values.iter().enumerate() {
        let Instruction::Operation(Elementwise::add, [x, y, _]) = *instruction else {
            reductions.push(None);
            continue;
        };
        let is_part = |operand: ValueId| readers[operand as usize] == 1 && uniform[operand as usize] == uniform[value];
        let product = |operand: ValueId| match code.values[operand as usize] {
            Instruction::Operation(Elementwise::mul, [x, y, _]) if is_part(operand) => Some((Terms::Products, [x, y])),
            Instruction::Operation(Elementwise::masked_mul, [x, y, _]) if is_part(operand) => {
                Some((Terms::MaskedProducts, [x, y]))
            }
            _ => None,
        };
        // The longer reduction goes on; of two that are none, the one that is no product is the start.
        let rank = |operand: ValueId| match &reductions[operand as usize] {
            Some(reduction) if is_part(operand) => 1 + reduction.len(),
            _ => usize::from(product(operand).is_none()),
        };
        let (start, term) = if rank(x) >= rank(y) { (x, y) } else { (y, x) };
        let is_uniform = |operand: ValueId| uniform[operand as usize] && !uniform[value];
        let (terms, mut factors) = match product(term) {
            Some((terms, [x, y])) if is_uniform(y) => (terms, vec![y, x]),
            Some((terms, factors)) => (terms, factors.to_vec()),
            None => (Terms::Numbers, vec![term]),
        };
        let uniform = is_uniform(factors[0]);
        let goes_on =
            |reduction: &mut SumReduction| is_part(start) && (reduction.terms, reduction.uniform) == (terms, uniform);
        let reduction = match reductions[start as usize].take_if(goes_on) {
            Some(mut reduction) => {
                reduction.operands.append(&mut factors);
                reduction
            }
            None => SumReduction { terms, uniform, operands: [vec![start], factors].concat() },
        };
        reductions.push(Some(reduction));
    }
    reductions.iter_mut().for_each(|reduction| drop(reduction.take_if(|reduction| reduction.len() < shortest)));
    reductions
}

/// How many operations, results and guards read each value.
fn readers<T: Float>(code: &Code<T>) -> Vec<u32> {
    let mut readers = vec![0; code.values.len()];
    for instruction in &code.values {
        if let Instruction::Operation(op, operands) = instruction {
            operands[..op.arity()].iter().for_each(|&operand| readers[operand as usize] += 1);
        }
    }
    let ends = code.guards.iter().map(|guard| guard.comparison);
    ends.chain(code.results.iter().copied()).for_each(|value| readers[value as usize] += 1);
    readers
}
