//! Operations whose value is integers: where a search finds elements, what another operation keeps, seeds of draws, and the
//! same integers in another shape. No gradient flows through them.

use super::search::Search;
use crate::error::ErrorKind;
use crate::float::Float;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;

/// Where integers come from.
#[derive(Debug, Clone)]
pub(crate) enum IntegerOp {
    /// Data.
    Leaf,
    /// What the operation of a tensor keeps.
    Kept,
    /// Where a search along an axis of a tensor finds elements.
    Search { search: Search, axis: isize },
    /// Integers in another shape.
    Reshape(Shape),
    /// Integers along more axes.
    BroadcastTo(Shape),
    /// The seed of this draw from now on, from the key of its generator and how many were taken before.
    Seed { draw: u64 },
}

impl IntegerOp {
    pub fn name(&self) -> &'static str {
        match self {
            IntegerOp::Leaf => "indices",
            IntegerOp::Kept => "kept",
            IntegerOp::Search { search, .. } => search.name(),
            IntegerOp::Reshape(_) => "reshape",
            IntegerOp::BroadcastTo(_) => "broadcast_to",
            IntegerOp::Seed { .. } => "seed",
        }
    }

    /// The value of a function of a tensor.
    pub fn of_tensor<T: Float>(&self, x: &Tensor<T>) -> Result<Integers, ErrorKind> {
        match *self {
            IntegerOp::Search { search, axis } => search.find(x, axis),
            _ => Err(ErrorKind::NoOperands),
        }
    }

    /// The value of a function of integers.
    pub fn of_integers(&self, x: &Integers) -> Result<Integers, ErrorKind> {
        match self {
            IntegerOp::Reshape(to) => x.arranged(|x| x.reshape(to).map_err(|error| error.kind)),
            IntegerOp::BroadcastTo(to) => x.arranged(|x| x.stretched(to)),
            IntegerOp::Seed { draw } => {
                let mut state = x.list.iter().map(|integer| integer as u64);
                let (key, drawn) = state.next().zip(state.next()).ok_or(ErrorKind::NoOperands)?;
                Ok(seed(key, drawn.wrapping_add(*draw)))
            }
            _ => Err(ErrorKind::NoOperands),
        }
    }
}

/// The seed that a generator gives when so many were taken before.
pub(crate) fn seed(key: u64, drawn: u64) -> Integers {
    Integers { list: Tensor::scalar(mixed(key, drawn) as usize), below: usize::MAX }
}

/// Bits that look independent for every key and position: the output function of SplitMix64 on a Weyl sequence that starts at
/// the mixed key.
///
/// Reference: G. L. Steele, D. Lea, C. H. Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
fn mixed(key: u64, position: u64) -> u64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let finalized = |x: u64| {
        let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    finalized(finalized(key.wrapping_add(GAMMA)).wrapping_add(position.wrapping_mul(GAMMA)))
}
