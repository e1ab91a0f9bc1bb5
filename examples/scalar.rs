//! One formula, written once over `Real`, evaluated on plain numbers, on duals and on a tape: its value, its gradient, its
//! Hessian, and Newton's method that finds its minimum with both.
//!
//! `cargo run --example scalar`

use autograd::{Dual, Real, Result, Tape, Tensor, gradient, hessian, hvp};

/// Rosenbrock's valley: curved, steep across and nearly flat along; the lowest point is (1, 1).
fn valley<R: Real>(x: R, y: R) -> R {
    (R::of(1.0) - x).square() + R::of(100.0) * (y - x.square()).square()
}

fn main() -> Result<()> {
    let [x, y]: [f64; 2] = [-1.2, 1.0];
    println!("f(x, y) = (1 − x)² + 100·(y − x²)²  at  x = {x}, y = {y}\n");

    println!("on numbers:    f = {:.1}", valley(x, y));
    let along_x = valley(Dual::variable(x), Dual::constant(y));
    println!("on duals:      ∂f/∂x = {:.1}, in one pass with the value {:.1}", along_x.tangent, along_x.value);
    let [dx, dy] = gradient(|_, [x, y]| valley(x, y), [x, y])?;
    println!("on a tape:     ∇f = ({dx:.1}, {dy:.1}), in one sweep back");
    println!("by hand:       ∇f = ({:.1}, {:.1})", -2.0 * (1.0 - x) - 400.0 * x * (y - x * x), 200.0 * (y - x * x));

    let (_, product) = hvp(|_, [x, y]| valley(x, y), [x, y], [1.0, 0.0])?;
    println!("Hessian · e₁:  ({:.1}, {:.1}), without the Hessian", product[0], product[1]);
    println!("Hessian:\n{}\n", curvature([x, y])?);

    step_by_step(x, y)?;
    newton([x, y])
}

/// The same on a tape of one's own, where any number can be asked for its derivatives, and these for theirs.
fn step_by_step(x: f64, y: f64) -> Result<()> {
    let tape = Tape::new();
    let [x, y] = tape.scalars([x, y]);
    let height = y - x.square();
    let f = (1.0 - x).square() + 100.0 * height.square();
    println!("the tape has {} entries", tape.len());
    println!("  ∂f/∂x = {:.1}, ∂f/∂(y − x²) = {:.1}", f.backward()?.of(x)?, f.backward()?.of(height)?);
    let slope = f.grad(x);
    println!("  ∂²f/∂x² = {:.1}, ∂³f/∂x³ = {:.1}\n", slope.grad(x).value()?, slope.grad(x).grad(x).value()?);
    Ok(())
}

fn curvature(at: [f64; 2]) -> Result<Tensor<f64>> {
    hessian(|_, x| valley(x.at([0]), x.at([1])), Tensor::from(at))
}

/// Steps −H⁻¹·∇f, with the inverse of a 2 × 2 matrix written out.
fn newton(start: [f64; 2]) -> Result<()> {
    println!("Newton's method:");
    let [mut x, mut y] = start;
    for step in 0..7 {
        println!("  step {step}: x = {x:9.6}, y = {y:9.6}, f = {:.2e}", valley(x, y));
        let [dx, dy] = gradient(|_, [x, y]| valley(x, y), [x, y])?;
        let (_, [xx, xy]) = hvp(|_, [x, y]| valley(x, y), [x, y], [1.0, 0.0])?;
        let (_, [_, yy]) = hvp(|_, [x, y]| valley(x, y), [x, y], [0.0, 1.0])?;
        let determinant = xx * yy - xy * xy;
        x -= (yy * dx - xy * dy) / determinant;
        y -= (xx * dy - xy * dx) / determinant;
    }
    Ok(())
}
