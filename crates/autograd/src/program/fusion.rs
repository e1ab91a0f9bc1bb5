//! Fusion: which operations on elements run as one pass over memory, and the kernel of such a pass.

pub(super) mod kernel;
pub(super) mod partition;
pub(super) mod region;
mod sink;
