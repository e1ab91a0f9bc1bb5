//! The laws that hold for the engine as a whole, through its public interface.

mod depth;
mod errors;
mod fuzz;
mod reference;
mod scalars;
mod threads;
