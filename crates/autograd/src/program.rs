//! `Program`: a function recorded once and run again on new inputs, one or many at a time.
//!
//! A recording is straight-line code. [`code`] folds constants and merges equal operations, [`plan`] puts what is left in
//! groups and gives every number its place, `kernel/replay.rs` runs it. Derivatives are recorded on the same tape before, so
//! the code of a gradient is code like any other.
//!
//! A branch of the user's code is followed as recorded. What decided it is a guard: an input on which a comparison comes out
//! differently is on another path, which is recorded when it is met and kept beside the others.
//!
//! Invariant: a result is returned only from a path all of whose guards held.

mod batch;
mod code;
mod columns;
mod data;
mod derived;
mod lanes;
mod map;
mod paths;
mod plan;
mod reading;
mod region;
mod script;

use std::marker::PhantomData;

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::ops::Op;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tape::{LIMIT, Tape};
use crate::tensor::Tensor;
use crate::transform::{Inputs, Part, PartMut};
use crate::var::Var;

pub use batch::Batch;
use data::{Data, Ends, count, form, put, take};
use derived::record;
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
    /// The arguments in parts, and after them those of a direction.
    data: Data<T>,
    /// What is known of arguments of the last form.
    known: Known<T>,
    /// Of arguments of other forms; the last used is the last.
    others: Vec<Known<T>>,
    result: PhantomData<Y>,
}

type Function<'f, T, X> =
    Box<dyn for<'t> Fn(&'t Tape<T>, <X as Inputs<T>>::Handles<'t>) -> Result<Ends<'t, T>> + 'f>;

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
        Self::new(x, Box::new(move |tape, x| Ok(Ends::number(f(tape, x)))))
    }

    /// f(x).
    ///
    /// # Errors
    /// When a path is recorded: as [`record`](Self::record). When there are more paths than a program follows.
    #[track_caller]
    pub fn value(&mut self, x: &X) -> Result<T> {
        Ok(self.run(Kind::Value, x, None)?.numbers[0])
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
        let Data { numbers, tensors, .. } = self.known.paths.results();
        let (value, slopes) = numbers.split_last().map_or((T::NAN, &[][..]), |(&value, slopes)| (value, slopes));
        put(&mut self.gradient, slopes, tensors);
        Ok((value, &self.gradient))
    }

    /// ∇f(x) and H·v: the gradient and the Hessian times a direction.
    ///
    /// # Errors
    /// As [`value`](Self::value); a direction of another form.
    #[track_caller]
    pub fn hvp(&mut self, x: &X, v: &X) -> Result<(&X, &X)> {
        self.run(Kind::Hvp, x, Some(v))?;
        let Data { numbers, tensors, .. } = self.known.paths.results();
        let ((by_v, slopes), (tensors_by_v, tensor_slopes)) = (halves(numbers), halves(tensors));
        put(&mut self.product, by_v, tensors_by_v);
        put(&mut self.gradient, slopes, tensor_slopes);
        Ok((&self.gradient, &self.product))
    }

    /// The Hessian of f, over all numbers of the arguments in their order.
    ///
    /// Shapes: n numbers give `[n, n]`.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn hessian(&mut self, x: &X) -> Result<Tensor<T>> {
        let n = count(x);
        if !has_tensors(x) {
            return tensor([n, n], &self.run(Kind::Hessian, x, None)?.numbers);
        }
        let mut rows = Vec::with_capacity(n * n);
        for k in 0..n {
            flatten(self.hvp(x, &one_at(x, k))?.1, &mut rows);
        }
        tensor([n, n], &rows)
    }

    /// f(x) and its derivative along the direction `dx`.
    ///
    /// # Errors
    /// As [`value`](Self::value); a direction of another form.
    #[track_caller]
    pub fn jvp(&mut self, x: &X, dx: &X) -> Result<(T, T)> {
        let results = &self.run(Kind::Jvp, x, Some(dx))?.numbers;
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
        only(self.run(Kind::Value, x, None)?)
    }

    /// f(x) and J·dx: the value and its derivative along a direction.
    ///
    /// # Errors
    /// As [`Program::value`]; a direction of another form.
    #[track_caller]
    pub fn jvp(&mut self, x: &X, dx: &X) -> Result<(Tensor<T>, Tensor<T>)> {
        let Data { numbers, tensors, .. } = self.run(Kind::Jvp, x, Some(dx))?;
        if let [along, value] = &tensors[..] {
            return Ok((value.clone(), along.clone()));
        }
        let (along, values) = halves(numbers);
        Ok((tensor(values.len(), values)?, tensor(along.len(), along)?))
    }

    /// The Jacobian: row i is the gradient of the i-th element of the result over all numbers of the arguments, in their
    /// order.
    ///
    /// Shapes: n numbers and m elements give `[m, n]`.
    ///
    /// # Errors
    /// As [`Program::value`].
    #[track_caller]
    pub fn jacobian(&mut self, x: &X) -> Result<Tensor<T>> {
        let n = count(x);
        if !has_tensors(x) {
            let rows = &self.run(Kind::Jacobian, x, None)?.numbers;
            return tensor([rows.len().checked_div(n).unwrap_or(0), n], rows);
        }
        let value = only(self.run(Kind::Value, x, None)?)?;
        let is_gathered = self.known.paths.results().tensors.is_empty();
        let mut rows = Vec::with_capacity(n.saturating_mul(value.len()));
        for i in 0..value.len() {
            let mut seed = Tensor::zeros(value.shape());
            seed.as_mut_slice()[i] = T::ONE;
            self.read(x, None)?;
            match is_gathered {
                true => self.data.numbers.extend(seed.iter()),
                false => self.data.tensors.push(seed),
            }
            self.replay(Kind::Weighted)?;
            let Data { numbers, tensors, .. } = self.known.paths.results();
            put(&mut self.gradient, numbers, tensors);
            flatten(&self.gradient, &mut rows);
        }
        tensor([value.len(), n], &rows)
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
            data: Data::default(),
            known: Known::of(x),
            others: Vec::new(),
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
        self.others.iter().fold(self.known.paths.report(), |sum, known| sum.and(known.paths.report()))
    }

    /// Runs the path that the input is on; the results stay until the next run.
    #[track_caller]
    fn run(&mut self, kind: Kind, x: &X, along: Option<&X>) -> Result<&Data<T>> {
        self.read(x, along)?;
        self.replay(kind)
    }

    /// Runs on the arguments that have been read.
    #[track_caller]
    fn replay(&mut self, kind: Kind) -> Result<&Data<T>> {
        let Self { function, form, known, data, .. } = self;
        let Known { paths, results, .. } = known;
        paths.run(kind, data, &mut |numbers: &[T]| record(function, form, kind, (numbers, &data.tensors), (0, results)))
    }

    /// What a run of many inputs works on, apart from each other.
    fn recorder(&mut self, kind: Kind, shared: usize) -> Parts<'_, T, impl FnMut(&[T]) -> Result<Recording<T>>> {
        let Self { function, form, known, data, .. } = self;
        let Known { paths, results, .. } = known;
        let Data { numbers, tensors, .. } = data;
        (paths, numbers, move |numbers: &[T]| record(function, form, kind, (numbers, tensors), (shared, results)))
    }

    /// Takes the arguments apart.
    #[track_caller]
    fn read(&mut self, x: &X, along: Option<&X>) -> Result<()> {
        self.data.clear();
        self.data.take(x);
        self.find_form(|| x.clone());
        if let Some(along) = along {
            if !self.known.has_form(along) {
                let (expected, found) = ([count(x)].into(), [count(along)].into());
                return Err(Error::new("program", Rule::Shape { expected, found }));
            }
            self.data.take(along);
        }
        Ok(())
    }

    /// Turns to what is known of the form of the arguments that have been read: nothing yet, if it is new.
    fn find_form(&mut self, form: impl FnOnce() -> X) {
        if self.known.fits(&self.data) {
            return;
        }
        self.form = form();
        self.gradient = self.form.zeros();
        self.product = self.form.zeros();
        let found = match self.others.iter().position(|known| known.fits(&self.data)) {
            Some(found) => self.others.remove(found),
            None => Known::of(&self.form),
        };
        self.others.push(std::mem::replace(&mut self.known, found));
        if self.others.len() == MOST_FORMS {
            self.others.remove(0);
        }
    }
}

/// So many forms of the arguments are kept; beyond, the one that was not used for longest goes.
const MOST_FORMS: usize = 16;

/// The paths for arguments of one form.
struct Known<T: Float> {
    numbers: usize,
    shapes: Vec<Shape>,
    /// How many results the function has, once it has been recorded.
    results: Option<usize>,
    paths: Paths<T>,
}

impl<T: Float> Known<T> {
    fn of<X: Inputs<T>>(x: &X) -> Self {
        let mut shapes = Vec::new();
        let numbers = form(x, &mut |shape| shapes.push(shape.clone()));
        Known { numbers, shapes, results: None, paths: Paths::default() }
    }

    /// Whether numbers and tensors are of this form.
    #[inline]
    fn fits(&self, data: &Data<T>) -> bool {
        data.numbers.len() == self.numbers && data.tensors.iter().map(Tensor::shape).eq(&self.shapes)
    }

    fn has_form<X: Inputs<T>>(&self, x: &X) -> bool {
        let mut shapes = self.shapes.iter();
        let mut fits = true;
        let numbers = form(x, &mut |shape| fits &= shapes.next() == Some(shape));
        fits && shapes.next().is_none() && numbers == self.numbers
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

impl Report {
    fn and(self, other: Self) -> Self {
        Report {
            paths: self.paths + other.paths,
            recordings: self.recordings + other.recordings,
            forgotten: self.forgotten + other.forgotten,
            recorded: self.recorded + other.recorded,
            operations: self.operations + other.operations,
            groups: self.groups + other.groups,
            recorded_bytes: self.recorded_bytes + other.recorded_bytes,
            bytes: self.bytes + other.bytes,
        }
    }
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

fn has_tensors<T: Float, X: Inputs<T>>(x: &X) -> bool {
    let mut found = false;
    form(x, &mut |_| found = true);
    found
}

/// Appends all numbers of the arguments, in their order.
fn flatten<T: Float, X: Inputs<T>>(x: &X, numbers: &mut Vec<T>) {
    x.parts(&mut |part| match part {
        Part::Numbers(part) => numbers.extend_from_slice(part),
        Part::Tensor(tensor) => numbers.extend(tensor.iter()),
    });
}

/// One for the k-th of all numbers of the arguments, zero for the others.
fn one_at<T: Float, X: Inputs<T>>(x: &X, k: usize) -> X {
    let mut unit = x.zeros();
    let mut before = 0;
    unit.parts_mut(&mut |part| {
        let elements = match part {
            PartMut::Numbers(part) => part,
            PartMut::Tensor(tensor) => tensor.as_mut_slice(),
        };
        if let Some(one) = k.checked_sub(before).and_then(|k| elements.get_mut(k)) {
            *one = T::ONE;
        }
        before += elements.len();
    });
    unit
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
        tensors: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
