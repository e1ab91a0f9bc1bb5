//! Chains of additions, each run as one operation: a sum of numbers or of products, in the order of the recording.

use crate::float::Float;
use crate::kernel::replay::Terms;
use crate::ops::elementwise::Elementwise;
use crate::program::ir::{Code, Definition, Value};

/// Fewer terms are operations like others: in lanes, where an addition has nothing to wait for.
const SHORTEST_IN_LANES: usize = 4;

/// The same for code that runs on one input too, where groups of additions wait less than one sum after the other.
const SHORTEST: usize = 32;

/// start + x₁y₁ + x₂y₂ + …, added from left to right.
#[derive(Debug)]
pub(in crate::program) struct Chain {
    pub terms: Terms,
    /// Whether the first factors are uniform; the second ones are not.
    pub uniform: bool,
    /// The start, and behind it what is added, factor by factor.
    pub operands: Vec<Value>,
}

impl Chain {
    /// How many terms there are.
    fn len(&self) -> usize {
        self.operands.len() / self.terms.factors()
    }

    /// How many operations of the recording these are.
    pub fn operations(&self) -> usize {
        self.operands.len() - 1
    }
}

/// The chains of code, by the value of their last addition. What only a chain reads is a part of it.
pub(in crate::program) fn chains<T: Float>(
    code: &Code<T>,
    uniform: &[bool],
    only_in_lanes: bool,
) -> Vec<Option<Chain>> {
    let shortest = if only_in_lanes { SHORTEST_IN_LANES } else { SHORTEST };
    let readers = readers(code);
    let mut chains: Vec<Option<Chain>> = Vec::with_capacity(code.values.len());
    for (value, definition) in code.values.iter().enumerate() {
        let Definition::Operation(Elementwise::add, [x, y, _]) = *definition else {
            chains.push(None);
            continue;
        };
        let is_part = |operand: Value| readers[operand as usize] == 1 && uniform[operand as usize] == uniform[value];
        let product = |operand: Value| match code.values[operand as usize] {
            Definition::Operation(Elementwise::mul, [x, y, _]) if is_part(operand) => Some((Terms::Products, [x, y])),
            Definition::Operation(Elementwise::masked_mul, [x, y, _]) if is_part(operand) => {
                Some((Terms::MaskedProducts, [x, y]))
            }
            _ => None,
        };
        // The longer chain goes on; of two that are none, the one that is no product is the start.
        let rank = |operand: Value| match &chains[operand as usize] {
            Some(chain) if is_part(operand) => 1 + chain.len(),
            _ => usize::from(product(operand).is_none()),
        };
        let (start, term) = if rank(x) >= rank(y) { (x, y) } else { (y, x) };
        let is_uniform = |operand: Value| uniform[operand as usize] && !uniform[value];
        let (terms, mut factors) = match product(term) {
            Some((terms, [x, y])) if is_uniform(y) => (terms, vec![y, x]),
            Some((terms, factors)) => (terms, factors.to_vec()),
            None => (Terms::Numbers, vec![term]),
        };
        let uniform = is_uniform(factors[0]);
        let goes_on = |chain: &mut Chain| is_part(start) && (chain.terms, chain.uniform) == (terms, uniform);
        let chain = match chains[start as usize].take_if(goes_on) {
            Some(mut chain) => {
                chain.operands.append(&mut factors);
                chain
            }
            None => Chain { terms, uniform, operands: [vec![start], factors].concat() },
        };
        chains.push(Some(chain));
    }
    chains.iter_mut().for_each(|chain| drop(chain.take_if(|chain| chain.len() < shortest)));
    chains
}

/// How many operations, results and guards read each value.
fn readers<T: Float>(code: &Code<T>) -> Vec<u32> {
    let mut readers = vec![0; code.values.len()];
    for definition in &code.values {
        if let Definition::Operation(op, operands) = definition {
            operands[..op.arity()].iter().for_each(|&operand| readers[operand as usize] += 1);
        }
    }
    let ends = code.guards.iter().map(|guard| guard.comparison);
    ends.chain(code.results.iter().copied()).for_each(|value| readers[value as usize] += 1);
    readers
}
