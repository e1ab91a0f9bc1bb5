//! `Program`: a function recorded once and run again on new arguments, numbers one or many at a time, and tensors.
//!
//! A recording is straight-line code. The folders stand in the order of the work: `trace/` records the function and the
//! derivatives asked for, on one tape, so the code of a gradient is code like any other; `ir/` reads the tape into instructions,
//! folds constants and merges equal ones; `schedule/` puts instructions on numbers into groups and slots, which
//! `kernel/replay.rs` runs; `fusion/` gathers operations on elements into passes over memory; `execution/` runs it all.
//!
//! A branch of the user's code is followed as recorded. What decided it is a guard: an input on which a comparison comes out
//! differently is on another path, which is recorded when it is met and kept beside the others.
//!
//! Invariant: a result is returned only from a path all of whose guards held.

mod compiled;
mod data;
mod execution;
mod fusion;
mod ir;
mod map;
mod model;
mod report;
mod schedule;
mod trace;

use std::marker::PhantomData;

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::float::Float;
use crate::ops::Op;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tape::{LIMIT, Tape};
use crate::tensor::Tensor;
use crate::transform::{Inputs, unit};
use crate::var::Var;

use data::{Data, Ends, flatten, has_tensors, one_at, places, put_found, release, variables};
pub use execution::batch::Batch;
pub use map::Map;
pub use model::ModelProgram;
pub use report::{EagerReason, Report};
pub(crate) use trace::budget::Forced;
use trace::cache::ResultKind;
use trace::signature::SignatureCache;

/// A function, recorded: its values and derivatives on new inputs, without recording it again.
///
/// `X` is the form of the arguments, as for [`gradient`](crate::gradient): numbers, tensors, indices, masks. The result is a number, or
/// for [`record_vector`](Program::record_vector) a tensor. Functions of numbers run many times faster than on a tape; of
/// tensors, chains of elementwise operations run as one pass, and memory is used again as soon as nobody needs it. Arguments
/// of other shapes are recorded again, and kept. For the loss of a model see [`ModelProgram`].
///
/// To record takes no pass over data: operations on tensors are recorded by their shapes, and computed only where code looks at a
/// value, up to there.
///
/// Code may branch on values. Each comparison is a guard: where it comes out differently, the other path is recorded
/// too, and both are kept. What is read out, be it a number, a tensor or indices ([`Scalar::value`], [`Var::value`],
/// [`Indices::value`](crate::Indices::value)), is a guard on that very number, tensor or list, and so is what is printed.
/// Reports of a recording ([`Tape::explain`], [`Tape::check`], values in [`Tape::to_dot`]) are refused. Indices that are not
/// read out are others in every run, given ones as well as those that [`sort`](Var::sort) or [`argmax`](Var::argmax) find.
///
/// Values are those of the function itself, bit for bit.
///
/// # What a function gets from elsewhere
///
/// A program runs recorded operations, and no user code: the function itself runs only when a path is recorded. So what it
/// gets otherwise than through its arguments is
///
/// - **followed**, where the tape knows of it: of the model that is the argument of a [`ModelProgram`], all that
///   [`Tape::param`], [`Tape::buffer`] and [`Tape::counter`] bring onto the tape, what is drawn with its
///   [`Generator`](crate::Generator)s, what [`Tape::set_buffer`] and [`Tape::count`] change, and its settings;
/// - **refused**, where the tape can tell that it would go stale: a [`Param`](crate::Param) that is trained and no part of that
///   model, a buffer or counter to be changed that is not, a generator that is borrowed or no part of it, a sweep on
///   numbers, a report;
/// - **frozen** otherwise, as it was when the path was recorded, without notice: plain numbers, tensors, indices and masks that a
///   closure has captured, also after the closure's owner changes them (`Cell`, `Rc<RefCell<…>>`, atomics); frozen parameters, and
///   buffers and counters, that are no part of the model; the plain tensors and numbers of [`Param::value`](crate::Param::value),
///   [`Buffer::value`](crate::Buffer::value) and [`Counter::get`](crate::Counter::get), even of the model; fields that a module
///   does not show (`#[module(skip)]`); clocks, files and the environment. What a function does besides, such as to print or
///   to count, happens when it is recorded and not in other runs.
///
/// What may change belongs in the arguments: [`NoGrad`](crate::NoGrad) is one that no derivative is taken of, and so are indices,
/// labels and lengths (`Tensor<usize>`), masks (`Tensor<bool>`), and the seed of a draw, a `Tensor<usize>` of one element.
///
/// ```
/// use autograd::{Program, Tensor};
///
/// let mut program = Program::record(&[1.0_f64, 2.0], |_, [x, y]| if x < y { x * y.sin() } else { x / y })?;
/// assert_eq!(program.value(&[3.0, 2.0])?, 1.5);
/// let (value, [dx, _dy]) = program.value_and_gradient(&[0.5, 2.0])?;
/// assert_eq!((value, *dx), (0.5 * 2.0_f64.sin(), 2.0_f64.sin()));
/// assert_eq!(program.report().paths, 2);
///
/// let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
/// let mut energy = Program::record(&x, |_, x| (x.matmul(x).tanh() * x).sum())?;
/// assert_eq!(energy.gradient(&Tensor::zeros([2, 2]))?, &Tensor::zeros([2, 2]));
/// # Ok::<(), autograd::Error>(())
/// ```
pub struct Program<'f, T: Float, X: Inputs<T>, Y = Number> {
    function: Function<'f, T, X>,
    forms: SignatureCache<T, X>,
    /// The last gradient.
    gradient: X,
    /// The last product with a Hessian.
    product: X,
    result: PhantomData<Y>,
}

type Recorded<'f, T, X> = dyn for<'t> Fn(&'t Tape<T>, <X as Inputs<T>>::Handles<'t>) -> Result<Ends<'t, T>> + 'f;
type Function<'f, T, X> = Box<Recorded<'f, T, X>>;

/// The result of a [`Program`] is one number.
#[derive(Debug)]
pub enum Number {}

/// The result of a [`Program`] is a tensor, or numbers that are gathered into one.
#[derive(Debug)]
pub enum Vector {}

impl<'f, T: Float, X: Inputs<T> + 'f> Program<'f, T, X> {
    /// Records `f` at `x`.
    ///
    /// # Errors
    /// The first operation of `f` that fails by the shapes and settings at `x`. Those that elements break, such as an index that is
    /// out of range, fail the run.
    #[track_caller]
    pub fn record(x: &X, f: impl for<'t> Fn(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T> + 'f) -> Result<Self> {
        Self::new(x, Box::new(move |tape, x| Ok(Ends::number(f(tape, x)))))
    }

    /// f(x).
    ///
    /// # Errors
    /// When a path is recorded: as [`record`](Self::record). When there are more paths than a program follows. When elements break
    /// what an operation requires.
    #[track_caller]
    pub fn value(&mut self, x: &X) -> Result<T> {
        Ok(self.run(ResultKind::Value, x, None)?.numbers[0])
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
        self.run(ResultKind::Gradient, x, None)?;
        let Data { numbers, tensors, .. } = self.forms.results();
        let (value, slopes) = numbers.split_last().map_or((T::NAN, &[][..]), |(&value, slopes)| (value, slopes));
        put_found(&mut self.gradient, self.forms.varies(), slopes, tensors);
        Ok((value, &self.gradient))
    }

    /// ∇f(x) and H·v: the gradient and the Hessian times a direction.
    ///
    /// # Errors
    /// As [`value`](Self::value); a direction of another form.
    #[track_caller]
    pub fn hvp(&mut self, x: &X, v: &X) -> Result<(&X, &X)> {
        self.run(ResultKind::Hvp, x, Some(v))?;
        let Data { numbers, tensors, .. } = self.forms.results();
        let ((by_v, slopes), (tensors_by_v, tensor_slopes)) = (halves(numbers), halves(tensors));
        put_found(&mut self.product, self.forms.varies(), by_v, tensors_by_v);
        put_found(&mut self.gradient, self.forms.varies(), slopes, tensor_slopes);
        Ok((&self.gradient, &self.product))
    }

    /// The Hessian of f, over all numbers of the arguments in their order, without [`NoGrad`](crate::NoGrad).
    ///
    /// Shapes: n numbers give `[n, n]`.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn hessian(&mut self, x: &X) -> Result<Tensor<T>> {
        if !has_tensors(x) {
            self.run(ResultKind::Hessian, x, None)?;
            let n = variables(&self.forms.varies().numbers);
            return tensor([n, n], &self.forms.results().numbers);
        }
        let places = places(x);
        let n = places.len();
        self.begin(x, None)?;
        if self.forms.run_rows(ResultKind::Hessian, ResultKind::Hvp, &self.function)? {
            return tensor([n, n], &self.forms.results().numbers);
        }
        let mut rows = Vec::with_capacity(n * n);
        for &place in &places {
            flatten(self.hvp(x, &one_at(x, place))?.1, &places, &mut rows);
        }
        tensor([n, n], &rows)
    }

    /// f(x) and its derivative along the direction `dx`.
    ///
    /// # Errors
    /// As [`value`](Self::value); a direction of another form.
    #[track_caller]
    pub fn jvp(&mut self, x: &X, dx: &X) -> Result<(T, T)> {
        let results = &self.run(ResultKind::Jvp, x, Some(dx))?.numbers;
        Ok((results[1], results[0]))
    }
}

impl<'f, T: Float, X: Inputs<T> + 'f> Program<'f, T, X, Vector> {
    /// Records a function whose result is a tensor; numbers are gathered into one by [`Tape::from_scalars`].
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
    /// Shapes: that of the result; m numbers that were gathered give `[m]`.
    ///
    /// # Errors
    /// As [`Program::value`].
    #[track_caller]
    pub fn values(&mut self, x: &X) -> Result<Tensor<T>> {
        only(self.run(ResultKind::Value, x, None)?)
    }

    /// f(x) and J·dx: the value and its derivative along a direction.
    ///
    /// # Errors
    /// As [`Program::value`]; a direction of another form.
    #[track_caller]
    pub fn jvp(&mut self, x: &X, dx: &X) -> Result<(Tensor<T>, Tensor<T>)> {
        let Data { numbers, tensors, .. } = self.run(ResultKind::Jvp, x, Some(dx))?;
        if let [along, value] = &tensors[..] {
            return Ok((value.clone(), along.clone()));
        }
        let (along, values) = halves(numbers);
        Ok((tensor(values.len(), values)?, tensor(along.len(), along)?))
    }

    /// The Jacobian: row i is the gradient of the i-th element of the result over all numbers of the arguments, in their
    /// order, without [`NoGrad`](crate::NoGrad).
    ///
    /// Shapes: n numbers and m elements give `[m, n]`.
    ///
    /// # Errors
    /// As [`Program::value`].
    #[track_caller]
    pub fn jacobian(&mut self, x: &X) -> Result<Tensor<T>> {
        if !has_tensors(x) {
            self.run(ResultKind::Jacobian, x, None)?;
            let n = variables(&self.forms.varies().numbers);
            return tensor([self.forms.count().unwrap_or(0), n], &self.forms.results().numbers);
        }
        self.begin(x, None)?;
        if self.forms.count().is_none() {
            self.run(ResultKind::Value, x, None)?;
            self.begin(x, None)?;
        }
        let (places, m) = (places(x), self.forms.count().unwrap_or(0));
        let by = if m > places.len() { ResultKind::Jvp } else { ResultKind::Weighted };
        if self.forms.run_rows(ResultKind::Jacobian, by, &self.function)? {
            return tensor([m, places.len()], &self.forms.results().numbers);
        }
        match by {
            ResultKind::Jvp => self.columns(x, &places, m),
            _ => self.rows(x, &places),
        }
    }

    /// The Jacobian, row by row: a reverse sweep for each element of the result.
    #[track_caller]
    fn rows(&mut self, x: &X, places: &[usize]) -> Result<Tensor<T>> {
        let value = only(self.run(ResultKind::Value, x, None)?)?;
        let is_gathered = self.forms.results().tensors.is_empty();
        let mut rows = Vec::with_capacity(places.len().saturating_mul(value.len()));
        for i in 0..value.len() {
            let seed = unit(value.shape(), i);
            self.read(x, None)?;
            match is_gathered {
                true => self.forms.data.numbers.extend(seed.iter()),
                false => self.forms.data.tensors.push(seed),
            }
            self.forms.run(ResultKind::Weighted, &self.function)?;
            let Data { numbers, tensors, .. } = self.forms.results();
            put_found(&mut self.gradient, self.forms.varies(), numbers, tensors);
            flatten(&self.gradient, places, &mut rows);
        }
        tensor([value.len(), places.len()], &rows)
    }

    /// The Jacobian, column by column: a forward sweep for each number of the arguments.
    #[track_caller]
    fn columns(&mut self, x: &X, places: &[usize], m: usize) -> Result<Tensor<T>> {
        let mut elements = vec![T::ZERO; m * places.len()];
        for (j, &place) in places.iter().enumerate() {
            let Data { numbers, tensors, .. } = self.run(ResultKind::Jvp, x, Some(&one_at(x, place)))?;
            let column =
                tensors.first().map(Tensor::iter).into_iter().flatten().chain(halves(numbers).0.iter().copied());
            column.enumerate().for_each(|(i, dy)| elements[i * places.len() + j] = dy);
        }
        tensor([m, places.len()], &elements)
    }
}

impl<'f, T: Float, X: Inputs<T> + 'f, Y> Program<'f, T, X, Y> {
    #[track_caller]
    fn new(x: &X, function: Function<'f, T, X>) -> Result<Self> {
        let forms = SignatureCache::new(x);
        let mut program = Program { function, forms, gradient: x.zeros(), product: x.zeros(), result: PhantomData };
        program.read(x, None)?;
        program.forms.record(&|_| {}, &program.function)?;
        Ok(program)
    }

    /// Many inputs at once, in lanes of vector instructions and on threads. They are of numbers, without tensors or indices, and of one form.
    pub fn batch<'p>(&'p mut self, xs: &'p [X]) -> Batch<'p, 'f, T, X, Y>
    where
        X: Send + Sync,
    {
        Batch::new(self, xs)
    }

    /// What the program is made of, and what it cost to keep it right.
    pub fn report(&self) -> Report {
        self.forms.report()
    }

    /// Has every input replayed, also where a plain tape is expected to be faster: each path and each form is recorded when it is
    /// met for the first time. For steps that must take the same time, and for tests of what is replayed.
    ///
    /// ```
    /// use autograd::Program;
    ///
    /// let x = |n: usize| vec![0.5_f64; n];
    /// let mut squares = Program::record(&x(1), |_, x| x.into_iter().map(|x| x * x).sum())?.always_replayed();
    /// for n in 1..=10 {
    ///     squares.value(&x(n))?;
    /// }
    /// assert_eq!((squares.report().recordings, squares.report().eager), (10, 0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    pub fn always_replayed(mut self) -> Self {
        self.forms.budget.forced = Some(Forced::Replay);
        self
    }

    /// Has every input replayed, or run on a plain tape.
    #[cfg(test)]
    pub(crate) fn forced(mut self, how: Forced) -> Self {
        self.forms.budget.forced = Some(how);
        self
    }

    /// Runs the path that the input is on; the results stay until the next run.
    #[track_caller]
    fn run(&mut self, kind: ResultKind, x: &X, along: Option<&X>) -> Result<&Data<T>> {
        self.begin(x, along)?;
        self.forms.run(kind, &self.function)
    }

    /// Takes the arguments apart, and makes room for results.
    #[track_caller]
    fn begin(&mut self, x: &X, along: Option<&X>) -> Result<()> {
        self.read(x, along)?;
        if !self.forms.data.tensors.is_empty() {
            // Their memory is for the results of this run.
            self.forms.release();
            release(&mut self.gradient);
            release(&mut self.product);
        }
        Ok(())
    }

    /// Takes the arguments apart.
    #[track_caller]
    fn read(&mut self, x: &X, along: Option<&X>) -> Result<()> {
        self.forms.data.clear();
        self.forms.data.take(x);
        self.find_form(x);
        match along {
            Some(along) => self.forms.take_direction(x, along),
            None => Ok(()),
        }
    }

    /// Turns to the form of the arguments that have been read.
    fn find_form(&mut self, x: &X) {
        if self.forms.find(x) {
            self.gradient = x.zeros();
            self.product = x.zeros();
        }
    }
}

#[track_caller]
fn tensor<T: Float>(shape: impl Into<Shape>, numbers: &[T]) -> Result<Tensor<T>> {
    Tensor::build(shape.into(), |out| out.copy_from_slice(numbers)).map_err(Error::at("program"))
}

/// The result of a function with one tensor, or with numbers.
#[track_caller]
fn only<T: Float>(results: &Data<T>) -> Result<Tensor<T>> {
    match &results.tensors[..] {
        [only] => Ok(only.clone()),
        _ => tensor(results.numbers.len(), &results.numbers),
    }
}

fn halves<R>(list: &[R]) -> (&[R], &[R]) {
    list.split_at(list.len() / 2)
}

/// A tensor; if it was gathered from scalars, these themselves.
fn elements<T: Float>(result: Var<'_, T>) -> Result<Ends<'_, T>> {
    result.ensure()?;
    let tape = result.tape();
    let (op, value) = tape.with_node(result.slot, |node| (node.op.clone(), node.value.clone()));
    let Op::FromScalars { start, len } = op else { return Ok(Ends::tensor(result)) };
    let scalar = |(index, number)| match index < LIMIT {
        true => Scalar { tape: Some(tape), number, index },
        false => Scalar::constant(number),
    };
    Ok(Ends {
        numbers: tape.gathered(start, len).into_iter().zip(value.iter()).map(scalar).collect(),
        tensors: SmallVec::new(),
        integers: SmallVec::new(),
    })
}

#[cfg(test)]
mod tests;
