//! Checks derivatives of operations of one's own against finite differences, inside the model that uses them: a right rule, a
//! wrong one, and what the reports say.
//!
//! `cargo run --example gradient_check`

use autograd::{Check, Tape, Tensor, Var, check, check::DerivativeOrder, custom};

/// x·σ(x), with its derivative σ·(1 + x·(1 − σ)) on handles: right.
fn swish(x: Var<'_, f64>) -> Var<'_, f64> {
    let value = |x: f64| x / (1.0 + (-x).exp());
    custom(
        "swish",
        [x],
        move |[x]| Ok(x.map(value)),
        |[x], _, g| {
            let s = x.sigmoid();
            [g * s * (1.0 + x * (1.0 - s))]
        },
    )
}

/// The same value, and the slip that everyone makes once: the product rule forgotten.
fn wrong_swish(x: Var<'_, f64>) -> Var<'_, f64> {
    let value = |x: f64| x / (1.0 + (-x).exp());
    custom(
        "wrong_swish",
        [x],
        move |[x]| Ok(x.map(value)),
        |[x], _, g| {
            let s = x.sigmoid();
            [g * s * (1.0 - s) * x]
        },
    )
}

fn main() -> autograd::Result<()> {
    // Every operation of a recording is checked at the operands it had there.
    let tape = Tape::new();
    let x = tape.constant([[0.5, -1.5, 2.0], [1.0, 0.3, -0.7]]);
    let w = tape.var([[0.2, -0.4], [0.7, 0.1], [-0.3, 0.9]]);
    let hidden = swish(x.matmul(w));
    let loss = wrong_swish(hidden + 0.5).square().mean();
    println!("A loss of {:.4}, and each rule that its gradient went through:\n\n{}\n", loss.value()?, tape.check());

    // The rule is written on handles, so it can be differentiated, and checked, a second time.
    let tape = Tape::new();
    let _ = swish(tape.var([0.5, -1.5, 2.0]));
    let second = Check { order: DerivativeOrder::Second, ..Check::default() };
    println!("The right one, to second order:\n\n{}\n", tape.check_with(&second));

    // A corner has no derivative to be right or wrong about.
    let tape = Tape::new();
    let _ = tape.var([-1.0, 0.0, 1.0]).abs();
    println!("At a corner:\n\n{}\n", tape.check());

    // A function is checked as a whole: it says that something is wrong, and a recording says what.
    let report = check(|_, x| wrong_swish(x).sum(), Tensor::from([0.5, -1.5]))?;
    println!("A function:\n\n{report}");
    Ok(())
}
