//! Three chains of dependent operations on three numbers (x, a, b), each turn added to a sum.

use autograd::Real;

use super::function::Function;

#[derive(Debug, Clone, Copy)]
pub enum Turn {
    /// x ← a·sin x + b·x
    Sine,
    /// t = sin(a·x), u = t + b, v = √(u² + 1), w = e^(t − v), x ← ln(w + v) / v
    Mixed,
    /// x ← a·(a·x + b) − x
    Arithmetic,
}

impl Turn {
    /// Operations of a turn, with the addition to the sum.
    pub fn operations(self) -> usize {
        match self {
            Turn::Sine | Turn::Arithmetic => 5,
            Turn::Mixed => 12,
        }
    }

    #[inline(always)]
    fn apply<R: Real>(self, x: R, a: R, b: R) -> R {
        match self {
            Turn::Sine => x.sin() * a + x * b,
            Turn::Mixed => {
                let t = (x * a).sin();
                let u = t + b;
                let v = (u * u + R::of(1.0)).sqrt();
                let w = (t - v).exp();
                (w + v).ln() / v
            }
            Turn::Arithmetic => (x * a + b) * a - x,
        }
    }
}

pub struct Chain {
    pub turn: Turn,
    pub turns: usize,
}

impl Chain {
    pub const START: [f64; 3] = [0.3, 0.9, 0.5];

    #[inline(always)]
    fn repeat<R: Real>(&self, turn: Turn, x: &[R]) -> R {
        let (mut x, a, b) = (x[0], x[1], x[2]);
        let mut sum = R::of(0.0);
        for _ in 0..self.turns {
            x = turn.apply(x, a, b);
            sum += x;
        }
        sum
    }
}

impl Function for Chain {
    /// One loop for each kind of turn, as a user would write it. In a function of its own: what its caller holds would take
    /// registers from the loop, and which caller it becomes a part of is chance.
    #[inline(never)]
    fn value<R: Real>(&self, x: &[R]) -> R {
        match self.turn {
            Turn::Sine => self.repeat(Turn::Sine, x),
            Turn::Mixed => self.repeat(Turn::Mixed, x),
            Turn::Arithmetic => self.repeat(Turn::Arithmetic, x),
        }
    }
}
