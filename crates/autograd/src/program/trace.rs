//! Tracing: a function recorded with the derivatives that are asked for, once for each path of its branches and each signature
//! of its arguments; and when a trace pays.

pub(super) mod budget;
pub(super) mod cache;
pub(super) mod eager;
pub(super) mod record;
pub(super) mod signature;
