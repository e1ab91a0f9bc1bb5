//! `Program`: a function recorded once and run again on new inputs, one or many at a time.
//!
//! A recording is straight-line code. [`code`] folds constants and merges equal operations, [`chain`] finds long sums, [`plan`]
//! puts what is left in groups, [`layout`] gives every number its place, `kernel/replay.rs` runs it. Derivatives are recorded on the same tape before, so
//! the code of a gradient is code like any other.
//!
//! A branch of the user's code is followed as recorded. What decided it is a guard: an input on which a comparison comes out
//! differently is on another path, which is recorded when it is met and kept beside the others.
//!
//! Invariant: a result is returned only from a path all of whose guards held.

mod batch;
mod chain;
mod code;
mod lanes;
mod layout;
mod map;
mod paths;
mod plan;

use std::marker::PhantomData;

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::ops::Op;
use crate::reverse::recorded;
use crate::reverse::recorded::Root;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tape::{LIMIT, Tape};
use crate::tensor::Tensor;
use crate::transform::{Inputs, Part, PartMut};
use crate::var::Var;

pub use batch::Batch;
use code::Code;
pub use map::Map;
use paths::{Kind, Paths, Recording};

/// A function, recorded: its values and derivatives on new inputs, many times faster than recording it again.
///
/// `X` is the form of the arguments, as for [`gradient`](crate::gradient); the result is a number, or for
/// [`record_vector`](Program::record_vector) a vector.
///
/// Code may branch on values. Each comparison is a guard: where it comes out differently, the other path is recorded
/// too, and both are kept. A number that is read out ([`Scalar::value`]) is a guard on that very number. What the
/// function gets from elsewhere than its arguments is a constant of the program.
///
/// Values are those of the function itself, bit for bit up to the sign of zeros.
///
/// ```
/// use autograd::Program;
///
/// let mut program = Program::record(&[1.0_f64, 2.0], |_, [x, y]| if x < y { x * y.sin() } else { x / y })?;
/// assert_eq!(program.value(&[3.0, 2.0])?, 1.5);
/// let (value, [dx, _dy]) = program.value_and_gradient(&[0.5, 2.0])?;
/// assert_eq!((value, *dx), (0.5 * 2.0_f64.sin(), 2.0_f64.sin()));
/// assert_eq!(program.report().paths, 2);
/// # Ok::<(), autograd::Error>(())
/// ```
pub struct Program<'f, T: Float, X: Inputs<T>, Y = Number> {
    function: Function<'f, T, X>,
    /// Arguments of the form that was recorded; a recording puts its numbers in.
    form: X,
    /// The last gradient.
    gradient: X,
    /// The last product with a Hessian.
    product: X,
    /// The numbers of the arguments, and after them those of a direction.
    numbers: Vec<T>,
    /// For every number of the arguments, whether derivatives are taken of it.
    varies: Vec<bool>,
    /// How many results the function has, once it has been recorded.
    results: Option<usize>,
    paths: Paths<T>,
    result: PhantomData<Y>,
}

type Function<'f, T, X> =
    Box<dyn for<'t> Fn(&'t Tape<T>, <X as Inputs<T>>::Handles<'t>) -> Result<Vec<Scalar<'t, T>>> + 'f>;

/// The paths, the numbers of the arguments, and what records the function at some numbers.
type Parts<'p, T, Record> = (&'p mut Paths<T>, &'p mut Vec<T>, Record);

/// The result of a [`Program`] is one number.
#[derive(Debug)]
pub enum Number {}

/// The results of a [`Program`] are numbers, gathered into a vector.
#[derive(Debug)]
pub enum Vector {}

impl<'f, T: Float, X: Inputs<T> + 'f> Program<'f, T, X> {
    /// Records `f` at `x`.
    ///
    /// # Errors
    /// The first operation of `f` that fails at `x`; an operation on tensors.
    #[track_caller]
    pub fn record(x: &X, f: impl for<'t> Fn(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T> + 'f) -> Result<Self> {
        Self::new(x, Box::new(move |tape, x| Ok(vec![f(tape, x)])))
    }

    /// f(x).
    ///
    /// # Errors
    /// When a path is recorded: as [`record`](Self::record). When there are more paths than a program follows.
    #[track_caller]
    pub fn value(&mut self, x: &X) -> Result<T> {
        Ok(self.run(Kind::Value, x, None)?[0])
    }

    /// ∇f(x).
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn gradient(&mut self, x: &X) -> Result<&X> {
        Ok(self.value_and_gradient(x)?.1)
    }

    /// f(x) and ∇f(x).
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn value_and_gradient(&mut self, x: &X) -> Result<(T, &X)> {
        self.run(Kind::Gradient, x, None)?;
        let results = self.paths.results();
        put(&mut self.gradient, &self.varies, results);
        Ok((results[results.len() - 1], &self.gradient))
    }

    /// ∇f(x) and H·v: the gradient and the Hessian times a direction.
    ///
    /// # Errors
    /// As [`value`](Self::value); a direction of another form.
    #[track_caller]
    pub fn hvp(&mut self, x: &X, v: &X) -> Result<(&X, &X)> {
        self.run(Kind::Hvp, x, Some(v))?;
        let (product, gradient) = halves(self.paths.results());
        put(&mut self.product, &self.varies, product);
        put(&mut self.gradient, &self.varies, gradient);
        Ok((&self.gradient, &self.product))
    }

    /// The Hessian of f, over all numbers of the arguments in their order, without [`Data`](crate::Data).
    ///
    /// Shapes: n numbers give `[n, n]`.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn hessian(&mut self, x: &X) -> Result<Tensor<T>> {
        self.run(Kind::Hessian, x, None)?;
        let n = variables(&self.varies);
        tensor([n, n], self.paths.results())
    }

    /// f(x) and its derivative along the direction `dx`.
    ///
    /// # Errors
    /// As [`value`](Self::value); a direction of another form.
    #[track_caller]
    pub fn jvp(&mut self, x: &X, dx: &X) -> Result<(T, T)> {
        let results = self.run(Kind::Jvp, x, Some(dx))?;
        Ok((results[1], results[0]))
    }
}

impl<'f, T: Float, X: Inputs<T> + 'f> Program<'f, T, X, Vector> {
    /// Records a function with several results, gathered by [`Tape::from_scalars`].
    ///
    /// ```
    /// use autograd::Program;
    ///
    /// let mut polar = Program::record_vector(&[1.0_f64, 0.5], |tape, [r, t]| tape.from_scalars(&[r * t.cos(), r * t.sin()]))?;
    /// let j = polar.jacobian(&[2.0, 0.0])?;
    /// assert_eq!(j.to_vec(), [1.0, 0.0, 0.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`record`](Program::record).
    #[track_caller]
    pub fn record_vector(x: &X, f: impl for<'t> Fn(&'t Tape<T>, X::Handles<'t>) -> Var<'t, T> + 'f) -> Result<Self> {
        Self::new(x, Box::new(move |tape, x| elements(f(tape, x))))
    }

    /// f(x).
    ///
    /// Shapes: m results give `[m]`.
    ///
    /// # Errors
    /// As [`Program::value`].
    #[track_caller]
    pub fn values(&mut self, x: &X) -> Result<Tensor<T>> {
        let values = self.run(Kind::Value, x, None)?;
        tensor(values.len(), values)
    }

    /// f(x) and J·dx: the value and its derivative along a direction.
    ///
    /// # Errors
    /// As [`Program::value`]; a direction of another form.
    #[track_caller]
    pub fn jvp(&mut self, x: &X, dx: &X) -> Result<(Tensor<T>, Tensor<T>)> {
        let (tangents, values) = halves(self.run(Kind::Jvp, x, Some(dx))?);
        Ok((tensor(values.len(), values)?, tensor(tangents.len(), tangents)?))
    }

    /// The Jacobian: row i is the gradient of the i-th result over all numbers of the arguments in their order, without
    /// [`Data`](crate::Data).
    ///
    /// Shapes: n numbers and m results give `[m, n]`.
    ///
    /// # Errors
    /// As [`Program::value`].
    #[track_caller]
    pub fn jacobian(&mut self, x: &X) -> Result<Tensor<T>> {
        self.run(Kind::Jacobian, x, None)?;
        tensor([self.results.unwrap_or(0), variables(&self.varies)], self.paths.results())
    }
}

impl<'f, T: Float, X: Inputs<T> + 'f, Y> Program<'f, T, X, Y> {
    #[track_caller]
    fn new(x: &X, function: Function<'f, T, X>) -> Result<Self> {
        let mut program = Program {
            function,
            form: x.clone(),
            gradient: x.zeros(),
            product: x.zeros(),
            numbers: Vec::new(),
            varies: varies(x),
            results: None,
            paths: Paths::default(),
            result: PhantomData,
        };
        program.run(Kind::Value, x, None)?;
        Ok(program)
    }

    /// Many inputs at once, in lanes of vector instructions and on threads.
    pub fn batch<'p>(&'p mut self, xs: &'p [X]) -> Batch<'p, 'f, T, X, Y>
    where
        X: Send + Sync,
    {
        Batch::new(self, xs)
    }

    /// What the program is made of, and what it cost to keep it right.
    pub fn report(&self) -> Report {
        self.paths.report()
    }

    /// Runs the path that the input is on; the results stay until the next run.
    #[track_caller]
    fn run(&mut self, kind: Kind, x: &X, along: Option<&X>) -> Result<&[T]> {
        self.read(x, along)?;
        let (paths, numbers, mut record) = self.recorder(kind, 0);
        paths.run(kind, numbers, &mut record)
    }

    /// What a run works on, apart from each other.
    fn recorder(&mut self, kind: Kind, shared: usize) -> Parts<'_, T, impl FnMut(&[T]) -> Result<Recording<T>>> {
        let Self { function, form, paths, numbers, varies, results, .. } = self;
        (paths, numbers, move |numbers: &[T]| record(function, form, varies, kind, numbers, (shared, results)))
    }

    /// Takes the numbers out of the arguments. Arguments of another form begin the program anew.
    #[track_caller]
    fn read(&mut self, x: &X, along: Option<&X>) -> Result<()> {
        self.numbers.clear();
        take(x, &mut self.numbers)?;
        if !self.form.has_form_of(x) {
            self.renew(x.clone());
        }
        if let Some(along) = along {
            require_form("program", [along], x)?;
            take(along, &mut self.numbers)?;
        }
        Ok(())
    }

    /// Begins anew with arguments of another form.
    fn renew(&mut self, form: X) {
        self.form = form;
        self.gradient = self.form.zeros();
        self.product = self.form.zeros();
        self.varies = varies(&self.form);
        self.results = None;
        self.paths = Paths::default();
    }
}

/// What a [`Program`] is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The paths through the function that are kept.
    pub paths: usize,
    /// How often the function was recorded: for each path, and on it for each kind of derivative.
    pub recordings: usize,
    /// Paths that were given up because there were too many.
    pub forgotten: usize,
    /// Operations that the recordings had, on all paths.
    pub recorded: usize,
    /// Operations that are left of them.
    pub operations: usize,
    /// Groups that they run in.
    pub groups: usize,
    /// Bytes of all recorded numbers.
    pub recorded_bytes: usize,
    /// Bytes of the numbers kept at once.
    pub bytes: usize,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} operations in {} groups, {} of {} bytes, {} paths, recorded {} times, {} paths forgotten",
            self.operations,
            self.recorded,
            self.groups,
            self.bytes,
            self.recorded_bytes,
            self.paths,
            self.recordings,
            self.forgotten
        )
    }
}

fn count<T: Float, X: Inputs<T>>(x: &X) -> usize {
    let mut count = 0;
    x.parts(&mut |part| count += part.len());
    count
}

/// For every number of the arguments, whether derivatives are taken of it.
fn varies<T: Float, X: Inputs<T>>(x: &X) -> Vec<bool> {
    let mut varies = Vec::new();
    x.varies(&mut varies);
    varies
}

/// How many numbers derivatives are taken of.
fn variables(varies: &[bool]) -> usize {
    varies.iter().filter(|&&varies| varies).count()
}

fn halves<T>(results: &[T]) -> (&[T], &[T]) {
    results.split_at(results.len() / 2)
}

/// Refuses arguments of another form.
#[track_caller]
fn require_form<'x, T: Float, X: Inputs<T> + 'x>(
    op: &'static str,
    xs: impl IntoIterator<Item = &'x X>,
    form: &X,
) -> Result<()> {
    match xs.into_iter().find(|x| !x.has_form_of(form)) {
        Some(x) => Err(Error::new(op, Rule::Shape { expected: [count(form)].into(), found: [count(x)].into() })),
        None => Ok(()),
    }
}

/// Appends the numbers of the arguments.
#[track_caller]
fn take<T: Float, X: Inputs<T>>(x: &X, numbers: &mut Vec<T>) -> Result<()> {
    let mut tensor = None;
    x.parts(&mut |part| match part {
        Part::Numbers(part) => numbers.extend_from_slice(part),
        Part::Tensor(found) => tensor = Some(found.shape().clone()),
    });
    match tensor {
        None => Ok(()),
        Some(shape) => {
            let why = format!("an argument is a tensor of shape {shape}: programs take numbers");
            Err(Error::new("program", Rule::NotReplayable { why }))
        }
    }
}

/// Writes numbers into the variables among arguments of the same form, and zeros into data.
fn put<T: Float, X: Inputs<T>>(x: &mut X, mut varies: &[bool], mut numbers: &[T]) {
    x.parts_mut(&mut |part| {
        if let PartMut::Numbers(part) = part {
            let vary = varies.split_off(..part.len().min(varies.len())).unwrap_or_default();
            let n = variables(vary).min(numbers.len());
            let these = numbers.split_off(..n).unwrap_or_default();
            match n == part.len() {
                true => part.copy_from_slice(these),
                false => {
                    part.fill(T::ZERO);
                    let places = part.iter_mut().zip(vary).filter(|(_, varies)| **varies);
                    places.zip(these).for_each(|((place, _), &number)| *place = number);
                }
            }
        }
    });
}

#[track_caller]
fn tensor<T: Float>(shape: impl Into<Shape>, numbers: &[T]) -> Result<Tensor<T>> {
    Tensor::build(shape.into(), |out| out.copy_from_slice(numbers)).map_err(Error::at("program"))
}

/// The elements of a vector; of one that was gathered from scalars, these themselves.
fn elements<T: Float>(vector: Var<'_, T>) -> Result<Vec<Scalar<'_, T>>> {
    let value = vector.value()?;
    let tape = vector.tape();
    let Op::FromScalars { start, len } = tape.with_node(vector.slot, |node| node.op.clone()) else {
        return Ok(vector.to_scalars());
    };
    let scalar = |(index, number)| match index < LIMIT {
        true => Scalar { tape: Some(tape), number, index },
        false => Scalar::constant(number),
    };
    Ok(tape.gathered(start, len).into_iter().zip(value.iter()).map(scalar).collect())
}

/// Records the function at the numbers, with the derivatives that `kind` asks for. How many numbers are shared matters for a
/// sum; all recordings must have as many results as the first.
fn record<'f, T: Float, X: Inputs<T> + 'f>(
    function: &Function<'f, T, X>,
    form: &mut X,
    varies: &[bool],
    kind: Kind,
    numbers: &[T],
    (shared, results): (usize, &mut Option<usize>),
) -> Result<Recording<T>> {
    let n = varies.len();
    put(form, &vec![true; n], &numbers[..n]);
    let tape = Tape::guarding();
    let handles = form.record(&tape);
    let leaf = |index: usize| Scalar { tape: Some(&tape), number: tape.entry(index).value, index: index as u32 };
    let mut inputs: Vec<_> = (0..n).map(leaf).collect();
    inputs.extend(numbers[n..].iter().map(|&number| tape.scalar(number)));
    let y = function(&tape, handles)?;
    let expected = *results.get_or_insert(y.len());
    if y.len() != expected {
        let why = format!("it has {} results here, and {expected} on another path", y.len());
        return Err(Error::new("program", Rule::NotReplayable { why }));
    }
    let shared = (kind == Kind::Sum).then_some(shared);
    let x = of_variables(&inputs[..shared.unwrap_or(n)], varies);
    let others = of_variables(&inputs[n..], varies);
    derived(&tape, kind, &inputs, (&x, &others), y, shared)
}

fn of_variables<X: Copy>(numbers: &[X], varies: &[bool]) -> Vec<X> {
    numbers.iter().zip(varies).filter(|(_, varies)| **varies).map(|(&number, _)| number).collect()
}

/// The code of y as a function of the inputs, with the derivatives with respect to x that `kind` asks for. Others are the
/// direction or the weight.
fn derived<'t, T: Float>(
    tape: &'t Tape<T>,
    kind: Kind,
    inputs: &[Scalar<'t, T>],
    (x, others): (&[Scalar<'t, T>], &[Scalar<'t, T>]),
    y: Vec<Scalar<'t, T>>,
    shared: Option<usize>,
) -> Result<Recording<T>> {
    if let Some(error) = tape.failure() {
        return Err(error);
    }
    let results = match kind {
        Kind::Value => y,
        Kind::Gradient | Kind::Sum => [gradient(tape, y[0], x)?, y].concat(),
        Kind::Weighted => gradient(tape, dot(others, &y), x)?,
        Kind::Jacobian => jacobian(tape, &y, x)?,
        Kind::Jvp => [along(tape, &y, x, others)?, y].concat(),
        Kind::Hvp => {
            let slopes = gradient(tape, y[0], x)?;
            let products = gradient(tape, dot(&slopes, others), x)?;
            [products, slopes].concat()
        }
        Kind::Hessian => jacobian(tape, &gradient(tape, y[0], x)?, x)?,
    };
    let outcomes = tape.guards().outcomes.iter().map(|outcome| (outcome.holds, outcome.read)).collect();
    Ok(Recording { outcomes, inputs: inputs.len(), shared, code: Code::of(tape, inputs, &results)? })
}

/// dy/dx.
fn gradient<'t, T: Float>(tape: &'t Tape<T>, y: Scalar<'t, T>, x: &[Scalar<'t, T>]) -> Result<Vec<Scalar<'t, T>>> {
    if y.index >= LIMIT {
        return Ok(vec![Scalar::constant(T::ZERO); x.len()]);
    }
    let adjoints = recorded(tape, Root::Scalar(y))?;
    Ok(x.iter().map(|&x| adjoints.of_scalar(x)).collect())
}

/// dyᵢ/dxⱼ, row by row: a reverse sweep for each y, or where there are more of them than of x, a forward one for each x.
fn jacobian<'t, T: Float>(tape: &'t Tape<T>, y: &[Scalar<'t, T>], x: &[Scalar<'t, T>]) -> Result<Vec<Scalar<'t, T>>> {
    if y.len() <= x.len() {
        let rows: Result<Vec<_>> = y.iter().map(|&y| gradient(tape, y, x)).collect();
        return Ok(rows?.concat());
    }
    let unit =
        |j: usize| (0..x.len()).map(|k| Scalar::constant(T::of(f64::from(u8::from(k == j))))).collect::<Vec<_>>();
    let columns = (0..x.len()).map(|j| along(tape, y, x, &unit(j))).collect::<Result<Vec<_>>>()?;
    Ok((0..y.len()).flat_map(|i| columns.iter().map(move |column| column[i])).collect())
}

/// The derivatives of y when x moves along a direction: what the reverse sweep makes of Σ uᵢyᵢ is linear in u, and its
/// derivative with respect to u is the forward sweep.
fn along<'t, T: Float>(
    tape: &'t Tape<T>,
    y: &[Scalar<'t, T>],
    x: &[Scalar<'t, T>],
    direction: &[Scalar<'t, T>],
) -> Result<Vec<Scalar<'t, T>>> {
    let u: Vec<_> = y.iter().map(|_| tape.scalar(T::ONE)).collect();
    let slopes = gradient(tape, dot(&u, y), x)?;
    gradient(tape, dot(&slopes, direction), &u)
}

fn dot<'t, T: Float>(x: &[Scalar<'t, T>], y: &[Scalar<'t, T>]) -> Scalar<'t, T> {
    x.iter().zip(y).map(|(&x, &y)| x * y).sum()
}

#[cfg(test)]
mod tests;
