//! The laws that hold for the engine as a whole, through its public interface.

mod errors;
mod fuzz;
mod lines;
mod memory;
mod programs;
mod reference;
mod resume;
mod scalars;
mod sizes;
mod tensors;
mod threads;
