//! Measuring a workload, and the data it runs on.

use std::time::{Duration, Instant};

use autograd::{Gradients, Inputs, ModelProgram, Module, Result, Scalar, Tape, Tensor};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::report::{self, Options};

/// A workload's name and how to measure it.
pub struct Bench<'a> {
    pub name: &'static str,
    pub options: &'a Options,
}

impl Bench<'_> {
    /// Measures the three phases of a step on a batch, and the whole of it replayed.
    pub fn supervised<M: Module, X: Inputs<f32>>(
        &mut self,
        model: &mut M,
        batch: &X,
        loss: impl for<'t> Fn(&M, &'t Tape, X::Handles<'t>) -> Scalar<'t>,
        mut update: impl FnMut(&mut M, &Gradients) -> Result<()>,
    ) -> Result<()> {
        let mut tape = Tape::new();
        self.report("fwd", || {
            tape.no_grad(|| loss(model, &tape, data(batch, &tape))).value()?;
            tape.clear();
            Ok(())
        })?;
        self.report("fwdbwd", || {
            loss(model, &tape, data(batch, &tape)).backward()?;
            tape.clear();
            Ok(())
        })?;
        self.report("step", || {
            let gradients = loss(model, &tape, data(batch, &tape)).backward()?;
            update(model, &gradients)?;
            tape.clear();
            Ok(())
        })?;
        self.report("record", || ModelProgram::record(model, batch, &loss).map(drop))?;
        self.report("record, first gradients", || {
            ModelProgram::record(model, batch, &loss)?.value_and_gradients(model, batch).map(drop)
        })?;
        let mut program = ModelProgram::record(model, batch, &loss)?;
        self.report("step replayed", || {
            let (_, gradients) = program.value_and_gradients(model, batch)?;
            update(model, &gradients)
        })
    }

    /// Measures a step, in milliseconds.
    pub fn report(&self, phase: &str, step: impl FnMut() -> Result<()>) -> Result<()> {
        self.report_per(1.0, phase, step)
    }

    /// Measures a step of so many units: milliseconds for each.
    pub fn report_per(&self, units: f64, phase: &str, mut step: impl FnMut() -> Result<()>) -> Result<()> {
        for _ in 0..3 {
            step()?;
        }
        let (mut times, begin) = (Vec::new(), Instant::now());
        while begin.elapsed() < Duration::from_secs_f64(self.options.seconds) || times.len() < 5 {
            let start = Instant::now();
            step()?;
            times.push(start.elapsed().as_secs_f64());
        }
        report::print(self.name, phase, &mut times, ("ms", 1e3 / units), None);
        Ok(())
    }
}

/// A batch on a tape, without derivatives.
fn data<'t, X: Inputs<f32>>(batch: &X, tape: &'t Tape) -> X::Handles<'t> {
    tape.no_grad(|| batch.record(tape))
}

/// Numbers of the standard normal distribution.
pub fn normal<const N: usize>(shape: [usize; N], rng: &mut StdRng) -> Tensor {
    Tensor::normal(shape, 0.0, 1.0, rng)
}

/// Whole numbers below `count`, all equally likely.
pub fn classes<const N: usize>(shape: [usize; N], count: usize, rng: &mut StdRng) -> Tensor<usize> {
    Tensor::from_fn(shape, |_| rng.random_range(0..count))
}
