//! Measuring a workload, and the data it runs on.

use std::time::{Duration, Instant};

use autograd::{Result, Scalar, Tape, Tensor};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::report::{self, Options};

/// A workload's name and how to measure it.
pub struct Bench<'a> {
    pub name: &'static str,
    pub options: &'a Options,
}

impl Bench<'_> {
    /// Measures the three phases of a step.
    pub fn supervised<M>(
        &mut self,
        model: &mut M,
        loss: impl for<'t> Fn(&M, &'t Tape) -> Scalar<'t>,
        mut update: impl FnMut(&mut M, &autograd::Gradients) -> Result<()>,
    ) -> Result<()> {
        let mut tape = Tape::new();
        self.report("fwd", || {
            tape.no_grad(|| loss(model, &tape)).value()?;
            tape.clear();
            Ok(())
        })?;
        self.report("fwdbwd", || {
            loss(model, &tape).backward()?;
            tape.clear();
            Ok(())
        })?;
        self.report("step", || {
            let gradients = loss(model, &tape).backward()?;
            update(model, &gradients)?;
            tape.clear();
            Ok(())
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

/// Numbers of the standard normal distribution.
pub fn normal<const N: usize>(shape: [usize; N], rng: &mut StdRng) -> Tensor {
    Tensor::normal(shape, 0.0, 1.0, rng)
}

/// Whole numbers below `count`, all equally likely.
pub fn classes<const N: usize>(shape: [usize; N], count: usize, rng: &mut StdRng) -> Tensor<usize> {
    Tensor::from_fn(shape, |_| rng.random_range(0..count))
}
