//! Elementwise functions, of large tensors and of small ones.

use autograd::{Map, Program, Result, Scalar, Tape, Var};
use rand::rngs::StdRng;

use crate::bench::{Bench, normal};

/// tanh(ax + b)·exp(−x²) + ln(1 + x²) of 10⁶ numbers, summed: as one operation, as a composition, and as a
/// composition that is replayed.
pub fn w7(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let operands = [0; 3].map(|_| normal([1_000_000], &mut rng));
    let mut tape = Tape::new();
    let fused = Map::new("fused", |[a, b, x]| (a * x + b).tanh() * (-x * x).exp() + (x * x).log1p());
    bench.report("fwd", || {
        tape.no_grad(|| fused.of(operands.each_ref().map(|x| tape.var(x))).sum()).value()?;
        tape.clear();
        Ok(())
    })?;
    bench.report("fwdbwd map", || {
        fused.of(operands.each_ref().map(|x| tape.var(x))).sum().backward()?;
        tape.clear();
        Ok(())
    })?;
    bench.report("fwdbwd", || {
        let [a, b, x] = operands.each_ref().map(|x| tape.var(x));
        composed(a, b, x).sum().backward()?;
        tape.clear();
        Ok(())
    })?;
    let mut program = Program::record(&operands, |_, [a, b, x]| composed(a, b, x).sum())?;
    bench.report("fwdbwd replayed", || program.value_and_gradient(&operands).map(drop))
}

fn composed<'t>(a: Var<'t>, b: Var<'t>, x: Var<'t>) -> Var<'t> {
    (a * x + b).tanh() * (-x * x).exp() + (x * x).log1p()
}

/// 10 000 dependent operations on 4 × 4 numbers: the time of one, in microseconds.
pub fn w8(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    const OPERATIONS: usize = 10_000;
    let operands = [0; 3].map(|_| normal([4, 4], &mut rng));
    let mut tape = Tape::new();
    bench.report_per(OPERATIONS as f64 / 1e3, "fwdbwd per op (us)", || {
        chain(operands.each_ref().map(|x| tape.var(x)), OPERATIONS / 4).backward()?;
        tape.clear();
        Ok(())
    })?;
    let mut program = Program::record(&operands, |_, operands| chain(operands, OPERATIONS / 4))?;
    bench.report_per(OPERATIONS as f64 / 1e3, "fwdbwd replayed per op (us)", || {
        program.value_and_gradient(&operands).map(drop)
    })
}

fn chain<'t>([w, b, start]: [Var<'t>; 3], rounds: usize) -> Scalar<'t> {
    (0..rounds).fold(start, |x, _| (x * w + b).tanh() + start).sum()
}
