//! What a program records: its function, and on the same tape the derivatives that are asked for.

use std::ops::Range;
use std::panic::Location;

use smallvec::{SmallVec, smallvec};

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::indices::Indices;
use crate::program::Recorded;
use crate::program::compiled::compiled;
use crate::program::data::{Ends, Parts, Varies, put};
use crate::program::ir::Code;
use crate::program::trace::budget::TraceSize;
use crate::program::trace::cache::{ResultKind, Targets, Trace};
use crate::reverse::recorded::{Adjoints, Root, apart, once, recorded};
use crate::scalar::Scalar;
use crate::tape::{LIMIT, Step, Tape};
use crate::tensor::Tensor;
use crate::transform::Inputs;
use crate::var::Var;

/// Puts on the tape what a function takes besides its arguments; derivatives are taken of what is tracked.
pub(in crate::program) type Prelude<'p, T> = dyn Fn(&Tape<T>) + 'p;

/// Records the function at some arguments, with the derivatives that `kind` asks for. How many numbers are shared matters for
/// a sum; all recordings must have as many results as the first.
pub(in crate::program) fn record<'f, T: Float, X: Inputs<T> + 'f>(
    (form, varies): (&mut X, &Varies),
    data: Parts<'_, T>,
    kind: ResultKind,
    (shared, results): (usize, &mut Option<usize>),
    prelude: &Prelude<'_, T>,
    function: &Recorded<'f, T, X>,
    location: &'static Location<'static>,
) -> Result<Trace<T>> {
    put(form, data);
    let tape = Tape::guarding();
    let handles = form.record(&tape);
    let arguments = tape.len();
    prelude(&tape);
    let params: Vec<Var<'_, T>> = tracked(&tape, arguments..tape.len()).collect();
    let given = leaves(&tape);
    let others = Ends {
        integers: SmallVec::new(),
        numbers: data.numbers[given.numbers.len()..].iter().map(|&number| tape.scalar(number)).collect(),
        tensors: data.tensors[given.tensors.len()..].iter().map(|tensor| tape.var(tensor)).collect(),
    };
    let y = function(&tape, handles)?;
    same_count(&y, results, location)?;
    let inputs = given.clone().and(others.clone());
    let shared = (kind == ResultKind::Sum).then_some(shared);
    let numbers = given.numbers[..shared.unwrap_or(given.numbers.len())].into();
    let x = varies.among(&Ends { numbers, tensors: given.tensors, integers: SmallVec::new() });
    let others = if kind == ResultKind::Weighted { others } else { varies.among(&others) };
    let given = Given { inputs: &inputs, x: &x, others: &others, params: &params, shared };
    (compiled::<T>().derived)(&tape, kind, given, y)
}

/// Notes how many results the function has; refuses another number of them.
pub(in crate::program) fn same_count<T: Float>(
    y: &Ends<'_, T>,
    results: &mut Option<usize>,
    location: &'static Location<'static>,
) -> Result<()> {
    let found = y.count();
    let expected = *results.get_or_insert(found);
    if found != expected {
        let why = format!("it has {found} results here, and {expected} on another path");
        return Err(Error::at_line("program", ErrorKind::NotReplayable { why }, location));
    }
    Ok(())
}

/// The tensors among some entries that derivatives are taken of.
pub(in crate::program) fn tracked<T: Float>(tape: &Tape<T>, entries: Range<usize>) -> impl Iterator<Item = Var<'_, T>> {
    let nodes = entries.map(|index| tape.entry(index)).filter(|entry| entry.step() == Step::Node);
    nodes.map(|entry| Var::new(tape, entry.operand)).filter(|x| tape.with_node(x.slot, |node| node.tracked))
}

/// The arguments, with which a recording begins.
fn leaves<T: Float>(tape: &Tape<T>) -> Ends<'_, T> {
    let mut x = Ends { numbers: SmallVec::new(), tensors: SmallVec::new(), integers: SmallVec::new() };
    for index in 0..tape.len() {
        let entry = tape.entry(index);
        match entry.step() {
            Step::Node => x.tensors.push(Var::new(tape, entry.operand)),
            Step::Integers => x.integers.push(Indices { tape, slot: entry.operand }),
            _ => x.numbers.push(Scalar { tape: Some(tape), number: entry.value, index: index as u32 }),
        }
    }
    x
}

/// What a recording is a function of.
pub(in crate::program) struct Given<'x, 't, T: Float> {
    pub inputs: &'x Ends<'t, T>,
    /// What derivatives are taken of.
    pub x: &'x Ends<'t, T>,
    /// The direction or the weight.
    pub others: &'x Ends<'t, T>,
    pub params: &'x [Var<'t, T>],
    /// Where the results are to be summed over many inputs: how many of the first numbers these share.
    pub shared: Option<usize>,
}

/// The code of y, with the derivatives that `kind` asks for.
pub(in crate::program) fn derived<'t, T: Float>(
    tape: &'t Tape<T>,
    kind: ResultKind,
    given: Given<'_, 't, T>,
    y: Ends<'t, T>,
) -> Result<Trace<T>> {
    if let Some(error) = tape.failure() {
        return Err(error);
    }
    let Given { inputs, x, shared, .. } = given;
    let of_function = tape.node_count() as u32;
    // A plain tape has no entries for comparisons.
    let function = TraceSize::of(tape).without(inputs.numbers.len() + tape.guards().outcomes.len());
    let rows = y.count().min(x.numbers.len());
    let (mut results, reached) = differentiated(tape, kind, &given, y)?;
    if let Some(error) = tape.failure() {
        return Err(error);
    }
    let guards = tape.guards();
    results.tensors.extend(guards.written.iter().map(|&(_, slot)| Var::new(tape, slot)));
    let mut targets = Targets { reached, ..Targets::default() };
    targets.note(&guards);
    Ok(Trace {
        outcomes: guards.outcomes.iter().map(|outcome| (outcome.holds, outcome.read)).collect(),
        inputs: [inputs.numbers.len(), inputs.tensors.len(), inputs.integers.len()],
        shared,
        function,
        whole: TraceSize::of(tape),
        rows,
        code: Code::of(tape, inputs, &results, of_function),
        targets,
    })
}

/// y with the derivatives that `kind` asks for, and the parameters that gradients of a loss have reached.
fn differentiated<'t, T: Float>(
    tape: &'t Tape<T>,
    kind: ResultKind,
    given: &Given<'_, 't, T>,
    y: Ends<'t, T>,
) -> Result<(Ends<'t, T>, Vec<u32>)> {
    let &Given { x, others, params, .. } = given;
    let mut reached = Vec::new();
    let results = match kind {
        ResultKind::Value => y,
        ResultKind::Gradient | ResultKind::Sum => gradient(tape, sum(&y), x, once)?.and(y),
        ResultKind::Weighted => gradient(tape, dot(others, &y), x, once)?,
        ResultKind::Params => {
            let mut tensors: SmallVec<[_; 1]> = SmallVec::new();
            if y.numbers[0].index < LIMIT {
                let adjoints = once(tape, Root::Scalar(y.numbers[0]))?;
                let found = |k: usize| adjoints.found(params[k]).map(|gradient| (k as u32, gradient));
                (reached, tensors) = (0..params.len()).filter_map(found).unzip();
            }
            tensors.extend(y.tensors);
            Ends { numbers: y.numbers, tensors, integers: y.integers }
        }
        ResultKind::Jacobian => Ends::numbers(jacobian(tape, &y.into_numbers(), x)?),
        ResultKind::Jvp => along(tape, &y, x, others, once)?.and(y),
        ResultKind::Hvp => {
            let slopes = gradient(tape, sum(&y), x, recorded)?;
            gradient(tape, dot(&slopes, others), x, once)?.and(slopes)
        }
        ResultKind::Hessian => {
            let slopes = gradient(tape, sum(&y), x, recorded)?;
            Ends::numbers(jacobian(tape, &slopes.numbers, x)?)
        }
    };
    Ok((results, reached))
}

/// A recorded sweep: `recorded` or `once`.
type Sweep<'t, T> = fn(&'t Tape<T>, Root<'t, T>) -> Result<Adjoints<'t, T>>;

/// dy/dx by a sweep.
pub(in crate::program) fn gradient<'t, T: Float>(
    tape: &'t Tape<T>,
    y: Scalar<'t, T>,
    x: &Ends<'t, T>,
    sweep: Sweep<'t, T>,
) -> Result<Ends<'t, T>> {
    if y.index >= LIMIT {
        return Ok(Ends {
            numbers: smallvec![Scalar::constant(T::ZERO); x.numbers.len()],
            tensors: x.tensors.iter().map(|x| tape.constant(Tensor::zeros(x.shape()))).collect(),
            integers: SmallVec::new(),
        });
    }
    let adjoints = sweep(tape, Root::Scalar(y))?;
    Ok(Ends {
        numbers: x.numbers.iter().map(|&x| adjoints.of_scalar(x)).collect(),
        tensors: x.tensors.iter().map(|&x| adjoints.of_var(x)).collect(),
        integers: SmallVec::new(),
    })
}

/// dyᵢ/dxⱼ of numbers, row by row: a reverse sweep for each y, or where there are more of them than of x, a forward one for
/// each x.
fn jacobian<'t, T: Float>(tape: &'t Tape<T>, y: &[Scalar<'t, T>], x: &Ends<'t, T>) -> Result<Vec<Scalar<'t, T>>> {
    let n = x.numbers.len();
    if y.len() <= n {
        let rows: Result<Vec<_>> = y.iter().map(|&y| Ok(gradient(tape, y, x, once)?.numbers)).collect();
        return Ok(rows?.concat());
    }
    let one_at = |j: usize| (0..n).map(|k| Scalar::constant(T::of(f64::from(u8::from(k == j))))).collect();
    let y = Ends::numbers(y.to_vec());
    let column = |j: usize| along(tape, &y, x, &Ends::numbers(one_at(j)), once);
    let columns = (0..n).map(|j| Ok(column(j)?.numbers)).collect::<Result<Vec<_>>>()?;
    Ok((0..y.numbers.len()).flat_map(|i| columns.iter().map(move |column| column[i])).collect())
}

/// The derivatives of y when x moves along a direction: what the reverse sweep makes of Σ uᵢyᵢ is linear in u, and its
/// derivative with respect to u, by the sweep that is given, is the forward sweep.
fn along<'t, T: Float>(
    tape: &'t Tape<T>,
    y: &Ends<'t, T>,
    x: &Ends<'t, T>,
    direction: &Ends<'t, T>,
    sweep: Sweep<'t, T>,
) -> Result<Ends<'t, T>> {
    let u = Ends {
        numbers: y.numbers.iter().map(|_| tape.scalar(T::ONE)).collect(),
        tensors: y.tensors.iter().map(|y| tape.var(Tensor::ones(y.shape()))).collect(),
        integers: SmallVec::new(),
    };
    let slopes = gradient(tape, dot(&u, y), x, apart)?;
    gradient(tape, dot(&slopes, direction), &u, sweep)
}

pub(in crate::program) fn dot<'t, T: Float>(x: &Ends<'t, T>, y: &Ends<'t, T>) -> Scalar<'t, T> {
    let numbers = x.numbers.iter().zip(&y.numbers).map(|(&x, &y)| x * y);
    numbers.chain(x.tensors.iter().zip(&y.tensors).map(|(&x, &y)| (x * y).sum())).sum()
}

/// The only result, or the sum of all.
pub(in crate::program) fn sum<'t, T: Float>(y: &Ends<'t, T>) -> Scalar<'t, T> {
    match (&y.numbers[..], &y.tensors[..]) {
        (&[y], []) => y,
        (numbers, tensors) => numbers.iter().copied().chain(tensors.iter().map(|y| y.sum())).sum(),
    }
}
