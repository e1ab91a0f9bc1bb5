//! A program's function on a plain tape, once: where a recording would not pay.
//!
//! Derivatives are those of the transforms, by the same sweeps. What a program does not replay is refused here too, so that no
//! input can tell whether it was replayed.

use std::ops::Range;
use std::panic::Location;

use smallvec::SmallVec;

use crate::engine::engine;
use crate::error::Result;
use crate::float::Float;
use crate::forward::Tangents;
use crate::gradients::Gradients;
use crate::program::Recorded;
use crate::program::compiled::compiled;
use crate::program::data::{Data, Ends, Parts, Varies, put, release, variables};
use crate::program::trace::budget::{TraceSize, eager};
use crate::program::trace::cache::{EagerRun, ResultKind, Targets};
use crate::program::trace::record::{Prelude, dot, gradient, same_count, sum, tracked};
use crate::reverse::{Seed, recorded};
use crate::scalar::Scalar;
use crate::tape::{LIMIT, Step, Tape};
use crate::tensor::Tensor;
use crate::transform::{Inputs, unit};
use crate::var::Var;

/// Of so many entries, or of every so manieth, is the signature of a recording.
const SAMPLED_ENTRIES: usize = 64;
const SAMPLED_ONE_IN: usize = 16;

/// What is asked of a function at some arguments.
pub(in crate::program) struct EagerRequest<'r, T: Float> {
    pub kind: ResultKind,
    pub varies: &'r Varies,
    /// The arguments, and behind them a direction or weights.
    pub data: Parts<'r, T>,
    /// How many numbers inputs share, where the results are to be summed.
    pub shared: usize,
}

/// What is to be run.
pub(in crate::program) struct EagerCall<'r, 'f, T: Float, X: Inputs<T> + 'f> {
    pub asked: EagerRequest<'r, T>,
    /// How many results there are, once that is known.
    pub count: &'r mut Option<usize>,
    pub prelude: &'r Prelude<'r, T>,
    pub function: &'r Recorded<'f, T, X>,
    /// The caller's line.
    pub location: &'static Location<'static>,
}

impl<'f, T: Float, X: Inputs<T> + 'f> EagerCall<'_, 'f, T, X> {
    /// Runs the function on a tape, which is empty afterwards and keeps its memory. The arguments are put into `form`.
    pub fn run(self, tape: &mut Tape<T>, form: &mut X, out: &mut Data<T>, targets: &mut Targets) -> Result<EagerRun> {
        tape.clear();
        out.clear();
        put(form, self.asked.data);
        let done = self.run_on(tape, form, out, targets);
        // What is held could not be updated in place.
        tape.clear();
        release(form);
        done
    }

    fn run_on(self, tape: &Tape<T>, form: &X, out: &mut Data<T>, targets: &mut Targets) -> Result<EagerRun> {
        let handles = form.record(tape);
        let arguments = tape.len();
        (self.prelude)(tape);
        let params = arguments..tape.len();
        let y = (self.function)(tape, handles)?;
        same_count(&y, self.count, self.location)?;
        let shared = match self.asked.kind {
            ResultKind::Sum => variables(&self.asked.varies.numbers[..self.asked.shared]),
            _ => usize::MAX,
        };
        let x = Variables { tape, arguments, params, shared };
        (compiled::<T>().finish)(&self.asked, &x, y, out, targets)
    }
}

impl<T: Float> EagerRequest<'_, T> {
    /// What is asked for of the results of the function, which has been recorded.
    pub fn finish<'t>(
        &self,
        x: &Variables<'t, T>,
        y: Ends<'t, T>,
        out: &mut Data<T>,
        targets: &mut Targets,
    ) -> Result<EagerRun> {
        let tape = x.tape;
        ensure(tape)?;
        let (signature, function) = (signature(tape), TraceSize::of(tape));
        let sweeps = match self.kind {
            ResultKind::Params => {
                x.params(y.numbers[0], out, targets)?;
                put_values(&y, out);
                1
            }
            _ => self.derive(x, &y, out)?,
        };
        ensure(tape)?;
        let guards = tape.guards();
        out.tensors.extend(guards.written.iter().map(|&(_, slot)| tape.node_value(slot)));
        targets.note(&guards);
        Ok(EagerRun { cost: eager(function, TraceSize::of(tape), sweeps), signature })
    }

    /// Appends what is asked for; by how many sweeps it was found.
    fn derive<'t>(&self, x: &Variables<'t, T>, y: &Ends<'t, T>, out: &mut Data<T>) -> Result<u64> {
        let sweeps = match self.kind {
            ResultKind::Value | ResultKind::Params => 0,
            ResultKind::Gradient | ResultKind::Sum => x.put(&backward(sum(y))?, out),
            ResultKind::Weighted => x.put(&self.weighted(y)?, out),
            ResultKind::Jvp => {
                let tangents = self.along(x)?;
                out.numbers.extend(y.numbers.iter().map(|&y| tangents.of_scalar(y)));
                out.tensors.extend(y.tensors.iter().map(|&y| tangents.of_var(y)));
                1
            }
            ResultKind::Hvp => {
                let slopes = gradient(x.tape, sum(y), &x.ends(), recorded)?;
                let sweeps = x.put(&backward(dot(&slopes, &self.direction(x.tape)))?, out);
                put_values(&slopes, out);
                return Ok(sweeps);
            }
            ResultKind::Hessian => {
                let slopes = gradient(x.tape, sum(y), &x.ends(), recorded)?;
                let (mut numbers, mut tensors) = (slopes.numbers.iter(), slopes.tensors.iter());
                let slope = |x| match x {
                    TapeEnd::Number(_) => numbers.next().map(|&slope| TapeEnd::Number(slope)),
                    TapeEnd::Tensor(_) => tensors.next().map(|&slope| TapeEnd::Tensor(slope)),
                };
                return x.rows(x.each().filter_map(slope), out);
            }
            ResultKind::Jacobian if y.count() > x.len() => {
                let column = |tangents: &Tangents<T>, column: &mut Vec<T>| {
                    column.extend(y.numbers.iter().map(|&y| tangents.of_scalar(y)));
                    y.tensors.iter().for_each(|&y| column.extend(tangents.of_var(y).iter()));
                };
                return x.columns(y.count(), &column, out);
            }
            ResultKind::Jacobian => {
                let numbers = y.numbers.iter().map(|&y| TapeEnd::Number(y));
                return x.rows(numbers.chain(y.tensors.iter().map(|&y| TapeEnd::Tensor(y))), out);
            }
        };
        put_values(y, out);
        Ok(sweeps)
    }

    /// The direction, for the variables.
    fn direction<'t>(&self, tape: &'t Tape<T>) -> Ends<'t, T> {
        let Varies { numbers, tensors } = self.varies;
        let direction = (&self.data.numbers[numbers.len()..], &self.data.tensors[tensors.len()..]);
        let numbers = direction.0.iter().zip(numbers).filter(|(_, varies)| **varies);
        let tensors = direction.1.iter().zip(tensors).filter(|(_, varies)| **varies);
        Ends {
            numbers: numbers.map(|(&dx, _)| Scalar::constant(dx)).collect(),
            tensors: tensors.map(|(dx, _)| tape.constant(dx)).collect(),
            integers: SmallVec::new(),
        }
    }

    /// The tangents of all that is recorded, when the arguments move along the direction.
    fn along(&self, x: &Variables<'_, T>) -> Result<Tangents<T>> {
        let direction = self.direction(x.tape);
        let mut tangents = Tangents::new(x.tape);
        let ends = x.ends();
        ends.numbers.iter().zip(&direction.numbers).for_each(|(&x, dx)| tangents.set_scalar(x, dx.number));
        for (&x, dx) in ends.tensors.iter().zip(&direction.tensors) {
            tangents.set_var(x, x.tape().node_value(dx.slot));
        }
        (engine::<T>().forward)(x.tape, &mut tangents)?;
        Ok(tangents)
    }

    /// The gradient of the results times the weights behind the arguments.
    fn weighted(&self, y: &Ends<'_, T>) -> Result<Option<Gradients<T>>> {
        match (&y.tensors[..], self.data.tensors.get(self.varies.tensors.len())) {
            (&[y], Some(weights)) => {
                (engine::<T>().reverse)(y.tape(), Seed::Node(y.slot, weights.clone()), &[], 0).map(Some)
            }
            _ => {
                let weights = &self.data.numbers[self.varies.numbers.len()..];
                backward(y.numbers.iter().zip(weights).map(|(&y, &weight)| y * weight).sum())
            }
        }
    }
}

/// The arguments on a tape that derivatives are taken of: the first entries, without data.
pub(in crate::program) struct Variables<'t, T: Float> {
    tape: &'t Tape<T>,
    arguments: usize,
    /// The entries of the parameters, behind them.
    params: Range<usize>,
    /// So many numbers at most.
    shared: usize,
}

enum TapeEnd<'t, T: Float> {
    Number(Scalar<'t, T>),
    Tensor(Var<'t, T>),
}

impl<'t, T: Float> Variables<'t, T> {
    /// In the order of the arguments.
    fn each(&self) -> impl Iterator<Item = TapeEnd<'t, T>> {
        let tape = self.tape;
        (0..self.arguments).filter_map(move |index| {
            let entry = tape.entry(index);
            match entry.step() {
                Step::Node => {
                    let is_tracked = tape.with_node(entry.operand, |node| node.tracked);
                    is_tracked.then(|| TapeEnd::Tensor(Var::new(tape, entry.operand)))
                }
                Step::Integers => None,
                _ => Some(TapeEnd::Number(Scalar { tape: Some(tape), number: entry.value, index: index as u32 })),
            }
        })
    }

    /// How many numbers there are, also in tensors.
    fn len(&self) -> usize {
        self.each().map(|x| x.len()).sum()
    }

    fn ends(&self) -> Ends<'t, T> {
        let mut ends = Ends::numbers(Vec::new());
        self.each().for_each(|x| match x {
            TapeEnd::Number(x) => ends.numbers.push(x),
            TapeEnd::Tensor(x) => ends.tensors.push(x),
        });
        ends
    }

    /// Appends a gradient, which is zero where there is none; by how many sweeps it was found.
    fn put(&self, found: &Option<Gradients<T>>, out: &mut Data<T>) -> u64 {
        let (mut rest, numbers) = (self.shared, numbers(found));
        for x in self.each() {
            match x {
                TapeEnd::Number(_) if rest == 0 => {}
                TapeEnd::Number(x) => {
                    rest -= 1;
                    out.numbers.push(numbers.get(x.index as usize).copied().unwrap_or(T::ZERO));
                }
                TapeEnd::Tensor(x) => out.tensors.push(tensor(found, x).unwrap_or_else(|| Tensor::zeros(x.shape()))),
            }
        }
        u64::from(found.is_some())
    }

    /// Appends the gradients of those parameters that one arrived at.
    fn params(&self, y: Scalar<'t, T>, out: &mut Data<T>, targets: &mut Targets) -> Result<()> {
        targets.reached.clear();
        // Only now: the function itself may have taken derivatives with respect to its arguments.
        for x in self.each() {
            if let TapeEnd::Tensor(x) = x {
                self.tape.untrack(x.slot);
            }
        }
        let found = backward(y)?;
        for (place, param) in tracked(self.tape, self.params.clone()).enumerate() {
            if let Some(gradient) = tensor(&found, param) {
                targets.reached.push(place as u32);
                out.tensors.push(gradient);
            }
        }
        Ok(())
    }

    /// The gradients of some results, row by row; how many there are.
    fn rows(&self, y: impl Iterator<Item = TapeEnd<'t, T>>, out: &mut Data<T>) -> Result<u64> {
        let (mut rows, tape) = (0, self.tape);
        let mut put = |found: Option<Gradients<T>>| {
            let numbers = numbers(&found);
            for x in self.each() {
                match x {
                    TapeEnd::Number(x) => out.numbers.push(numbers.get(x.index as usize).copied().unwrap_or(T::ZERO)),
                    TapeEnd::Tensor(x) => match tensor(&found, x) {
                        Some(gradient) => out.numbers.extend(gradient.iter()),
                        None => out.numbers.resize(out.numbers.len() + x.shape().len(), T::ZERO),
                    },
                }
            }
            rows += 1;
        };
        for y in y {
            match y {
                TapeEnd::Number(y) => put(backward(y)?),
                TapeEnd::Tensor(y) => {
                    let shape = y.shape();
                    for i in 0..shape.len() {
                        put(Some((engine::<T>().reverse)(tape, Seed::Node(y.slot, unit(&shape, i)), &[], 0)?));
                    }
                }
            }
        }
        Ok(rows)
    }

    /// The derivatives of so many results, by a forward sweep for each variable; `column` takes one of them apart.
    fn columns(&self, rows: usize, column: &dyn Fn(&Tangents<T>, &mut Vec<T>), out: &mut Data<T>) -> Result<u64> {
        let columns = self.len();
        out.numbers.resize(rows * columns, T::ZERO);
        let mut found = Vec::with_capacity(rows);
        for j in 0..columns {
            let mut tangents = Tangents::new(self.tape);
            self.move_one(j, &mut tangents);
            (engine::<T>().forward)(self.tape, &mut tangents)?;
            found.clear();
            column(&tangents, &mut found);
            found.iter().enumerate().for_each(|(i, &dy)| out.numbers[i * columns + j] = dy);
        }
        Ok(columns as u64)
    }

    /// Gives one of all numbers the tangent one.
    fn move_one(&self, mut place: usize, tangents: &mut Tangents<T>) {
        for x in self.each() {
            let len = x.len();
            if place < len {
                return match x {
                    TapeEnd::Number(x) => tangents.set_scalar(x, T::ONE),
                    TapeEnd::Tensor(x) => tangents.set_var(x, unit(&x.shape(), place)),
                };
            }
            place -= len;
        }
    }
}

impl<T: Float> TapeEnd<'_, T> {
    fn len(&self) -> usize {
        match self {
            TapeEnd::Number(_) => 1,
            TapeEnd::Tensor(x) => x.shape().len(),
        }
    }
}

/// Appends the gradient of a number with respect to the first entries.
pub(in crate::program) fn gradient_of<'t, T: Float>(
    tape: &'t Tape<T>,
    arguments: usize,
    y: Scalar<'t, T>,
    out: &mut Data<T>,
) -> Result<()> {
    Variables { tape, arguments, params: 0..0, shared: arguments }.put(&backward(y)?, out);
    Ok(())
}

/// What it was to run the function that is recorded, and so many sweeps.
pub(in crate::program) fn ran<T: Float>(tape: &Tape<T>, sweeps: u64) -> EagerRun {
    let size = TraceSize::of(tape);
    EagerRun { cost: eager(size, size, sweeps), signature: signature(tape) }
}

/// A sweep from a number; none if it depends on nothing.
fn backward<T: Float>(y: Scalar<'_, T>) -> Result<Option<Gradients<T>>> {
    match y.tape {
        Some(tape) if y.index < LIMIT => (engine::<T>().reverse)(tape, Seed::Scalar(y.index), &[], 0).map(Some),
        _ => Ok(None),
    }
}

/// The gradients of numbers, by entry; those that are missing are zero.
fn numbers<T: Float>(found: &Option<Gradients<T>>) -> &[T] {
    found.as_ref().and_then(|found| found.scalars.as_slice()).unwrap_or_default()
}

fn tensor<T: Float>(found: &Option<Gradients<T>>, x: Var<'_, T>) -> Option<Tensor<T>> {
    found.as_ref()?.tensor(x)
}

fn put_values<T: Float>(y: &Ends<'_, T>, out: &mut Data<T>) {
    out.numbers.extend(y.numbers.iter().map(|y| y.number));
    out.tensors.extend(y.tensors.iter().map(|y| y.tape().node_value(y.slot)));
    out.integers.extend(y.integers.iter().map(|y| y.tape().with_integers(y.slot, |node| node.value.list.clone())));
}

fn ensure<T: Float>(tape: &Tape<T>) -> Result<()> {
    tape.failure().map_or(Ok(()), Err)
}

/// Which operations are recorded, and on what: a sample of them.
fn signature<T: Float>(tape: &Tape<T>) -> u64 {
    let (len, nodes) = (tape.len(), tape.nodes());
    let mut hash = 0_u64;
    let mut mix = |number: u64| hash = (hash.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    mix(len as u64);
    mix(nodes.len() as u64);
    tape.with_entries(len, |entries| {
        let sampled = entries.iter().step_by((len / SAMPLED_ENTRIES).max(SAMPLED_ONE_IN));
        for entry in sampled.chain(&entries[len.saturating_sub(4)..]) {
            mix(entry.operand.into());
            match entry.step() {
                Step::Leaf | Step::Integers => {}
                Step::Node => mix(nodes[entry.operand as usize].value.len() as u64),
                Step::Element => mix(entry.argument),
                // The slope of the input stands there.
                Step::Unary(op) => mix(op as u64),
                Step::Both(op) | Step::Right(op) | Step::Left(op) => {
                    mix(op as u64);
                    mix(entry.argument);
                }
            }
        }
    });
    hash
}
