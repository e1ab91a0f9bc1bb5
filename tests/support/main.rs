//! What the examples share: its own tests run here.

#[path = "../../examples/support/chart.rs"]
mod chart;
#[path = "../../examples/support/digits.rs"]
mod digits;
#[path = "../../examples/support/picture.rs"]
mod picture;
