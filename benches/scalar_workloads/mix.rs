//! A random program on a hundred numbers: each step replaces one of them by an operation on one or two others.

use autograd::Real;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::function::Function;

#[derive(Clone, Copy)]
enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    Exp,
    Ln,
    Sin,
    Sqrt,
}

use Operation::{Add, Div, Exp, Ln, Mul, Sin, Sqrt, Sub};

impl Operation {
    const ALL: [Operation; 8] = [Add, Sub, Mul, Div, Exp, Ln, Sin, Sqrt];

    #[inline(always)]
    fn apply<R: Real>(self, x: R, y: R) -> R {
        match self {
            Add => x + y,
            Sub => x - y,
            Mul => x * y,
            Div => x / y,
            Exp => x.exp(),
            Ln => x.ln(),
            Sin => x.sin(),
            Sqrt => x.sqrt(),
        }
    }
}

#[derive(Clone, Copy)]
struct Step {
    operation: Operation,
    operands: [u8; 2],
    replaced: u8,
}

pub struct Mix {
    steps: Vec<Step>,
}

impl Mix {
    pub const VARIABLES: usize = 100;

    /// Draws steps whose values at `start` stay between 1/8 and 8, so that none overflows or leaves a domain.
    pub fn new(len: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut x, mut steps) = (Self::start(), Vec::with_capacity(len));
        while steps.len() < len {
            let mut place = || rng.random_range(0..Self::VARIABLES as u8);
            let (operands, replaced) = ([place(), place()], place());
            let step = Step { operation: Operation::ALL[rng.random_range(0..8)], operands, replaced };
            let value = step.operation.apply(x[operands[0] as usize], x[operands[1] as usize]);
            if (0.125..8.0).contains(&value) {
                x[replaced as usize] = value;
                steps.push(step);
            }
        }
        Mix { steps }
    }

    pub fn start() -> Vec<f64> {
        (0..Self::VARIABLES).map(|i| 0.5 + i as f64 / Self::VARIABLES as f64).collect()
    }
}

impl Function for Mix {
    fn value<R: Real>(&self, x: &[R]) -> R {
        let mut x = x.to_vec();
        for step in &self.steps {
            let [a, b] = step.operands.map(|place| x[place as usize]);
            x[step.replaced as usize] = step.operation.apply(a, b);
        }
        x.into_iter().fold(R::of(0.0), |sum, x| sum + x)
    }
}
