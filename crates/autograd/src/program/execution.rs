//! Execution: what runs a compiled trace, on one input or on many in lanes.

pub(super) mod allocation;
pub(super) mod batch;
pub(super) mod executable;
pub(super) mod lanes;
pub(super) mod step;
pub(super) mod steps;
pub(super) mod store;
