//! The laws that hold for the engine as a whole, through its public interface.

mod captured;
mod docs;
mod errors;
mod indices;
mod lengths;
mod lines;
mod looks;
mod masks;
mod memory;
mod modules;
mod operators;
mod programs;
mod reference;
mod resume;
mod scalars;
mod settings;
mod sizes;
mod storeys;
mod tensors;
mod threads;
mod trees;
