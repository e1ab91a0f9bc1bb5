//! Cases of every op that is not elementwise: the recordings of formulas as users write them, and of their gradients, taken
//! apart into single operations. The adjoints of ops come in through the gradients, as they do in use.

mod formulas;
mod refused;

use std::collections::HashSet;
use std::fmt;

use super::draw;
use crate::float::Float;
use crate::kernel::samples::Draws;
use crate::operation::{Kind, Operation, Part};
use crate::ops::Op;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;

pub(super) use formulas::formulas;
pub(super) use refused::refused;

/// An operation on its own, at operands away from its kinks.
pub(super) struct Case<T: Float> {
    pub name: &'static str,
    pub operation: Operation<T>,
    /// The operands that gradients flow to.
    pub x: Vec<Tensor<T>>,
}

impl<T: Float> Case<T> {
    /// The op, if it has a rule in the table.
    pub fn op(&self) -> Option<&Op> {
        if let Kind::Op(op) = &self.operation.kind { Some(op) } else { None }
    }
}

impl<T: Float> fmt::Debug for Case<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<&Shape> = self.x.iter().map(Tensor::shape).collect();
        let fixed: Vec<&Tensor<T>> = self.operation.operands.iter().filter_map(fixed).collect();
        match self.op() {
            Some(op) => write!(f, "{op:?} of {shapes:?}")?,
            None => write!(f, "{} of {shapes:?}", self.name)?,
        }
        if !fixed.is_empty() {
            write!(f, " with {fixed:?}")?;
        }
        let lists = &self.operation.integers;
        if lists.is_empty() { Ok(()) } else { write!(f, " at {lists:?}") }
    }
}

fn fixed<T: Float>(part: &Part<T>) -> Option<&Tensor<T>> {
    if let Part::Fixed(tensor) = part { Some(tensor) } else { None }
}

/// The cases of all formulas, each once; the same in both precisions.
pub(super) fn cases<T: Float>() -> Vec<Case<T>> {
    let (mut cases, mut known) = (Vec::new(), HashSet::new());
    for (seed, formula) in formulas::<T>().iter().enumerate() {
        let (tape, mut draws) = (Tape::new(), Draws(seed as u64));
        let (x, y) = formula.record(&tape, &mut draws);
        let u = tape.var(draw::<T>(&y.shape(), &mut draws));
        for &x in &x {
            y.grad(x, u);
        }
        for position in 0..tape.len() {
            let Some((operation, x)) = tape.operation(position) else { continue };
            let name = match &operation.kind {
                Kind::Op(Op::Elementwise(_)) => continue,
                Kind::Op(op) => op.name(),
                Kind::Custom(rule) => rule.name(),
                Kind::Element(_) => "element",
                Kind::Gather => "from_scalars",
            };
            let case = Case { name, operation, x };
            if !case.x.is_empty() && known.insert(format!("{case:?}")) {
                cases.push(case);
            }
        }
    }
    cases
}

/// Numbers whose magnitudes are all different, by more than differences reach where there are few of them: no ties, no zeros.
pub(super) fn spread<T: Float>(shape: &Shape, draws: &mut Draws) -> Tensor<T> {
    let mut steps: Vec<usize> = (0..shape.len()).collect();
    (1..steps.len()).rev().for_each(|k| steps.swap(k, draws.below(k + 1)));
    let mut steps = steps.into_iter();
    let step = 1.6 / shape.len().max(1) as f64;
    Tensor::from_fn(shape, |_| {
        let magnitude = 0.15 + step * steps.next().unwrap_or(0) as f64;
        T::from_f64(if draws.below(2) == 0 { magnitude } else { -magnitude })
    })
}

/// A formula as a user writes it, of variables of these shapes.
pub(super) struct Formula<T: Float> {
    shapes: Vec<Shape>,
    f: Box<Function<T>>,
}

type Function<T> = dyn for<'t> Fn(&[Var<'t, T>]) -> Var<'t, T>;

impl<T: Float> Formula<T> {
    /// Its variables and its value on a tape.
    pub fn record<'t>(&self, tape: &'t Tape<T>, draws: &mut Draws) -> (Vec<Var<'t, T>>, Var<'t, T>) {
        let x: Vec<Var<'t, T>> = self.point(draws).into_iter().map(|x| tape.var(x)).collect();
        let y = self.of(&x);
        (x, y)
    }

    /// Values for its variables.
    pub fn point(&self, draws: &mut Draws) -> Vec<Tensor<T>> {
        self.shapes.iter().map(|shape| spread::<T>(shape, draws)).collect()
    }

    /// Its value.
    pub fn of<'t>(&self, x: &[Var<'t, T>]) -> Var<'t, T> {
        (self.f)(x)
    }
}

fn of<T: Float>(shapes: &[&[usize]], f: impl for<'t> Fn(&[Var<'t, T>]) -> Var<'t, T> + 'static) -> Formula<T> {
    Formula { shapes: shapes.iter().map(|&shape| Shape::from(shape)).collect(), f: Box::new(f) }
}

/// `x` with zeros along the diagonal of its last two axes.
fn with_zeros<'t, T: Float>(x: Var<'t, T>) -> Var<'t, T> {
    let keep = |index: &[usize]| if index[index.len() - 1] == index[0] { T::ZERO } else { T::ONE };
    x * x.tape().constant(Tensor::from_fn(x.shape(), keep))
}
