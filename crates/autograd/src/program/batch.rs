//! Many inputs at once: lanes of vector instructions, threads, and inputs on other paths put together again.

use std::sync::Mutex;

use super::lanes::{into_inner, lock, rows};
use super::paths::Kind;
use super::{Number, Program, Vector, count, put, take};
use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::kernel::parallel;
use crate::tensor::Tensor;
use crate::transform::Inputs;

/// Inputs that a thread takes at once; a multiple of all numbers of lanes.
const PIECE: usize = 1024;

/// Inputs whose results are summed one after the other; the sums of these are added in a tree.
const LEAF: usize = 128;

/// Many inputs of a [`Program`]: evaluated in lanes of vector instructions and on threads, each on its own path.
///
/// Results are those of one input after the other, for any number of threads.
///
/// ```
/// use autograd::Program;
///
/// let mut program = Program::record(&[1.0_f64, 2.0], |_, [x, y]| x * y.sin())?;
/// let points = [[1.0, 0.0], [2.0, 0.5], [3.0, 1.0]];
/// let mut values = [0.0; 3];
/// program.batch(&points).value(&mut values)?;
/// assert_eq!(values[2], 3.0 * 1.0_f64.sin());
/// let mut gradients = [[0.0; 2]; 3];
/// program.batch(&points).gradient(&mut gradients)?;
/// assert_eq!(gradients[0], [0.0, 1.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
pub struct Batch<'p, 'f, T: Float, X: Inputs<T>, Y> {
    program: &'p mut Program<'f, T, X, Y>,
    xs: &'p [X],
}

impl<'f, T: Float, X: Inputs<T> + Send + Sync + 'f> Batch<'_, 'f, T, X, Number> {
    /// f at every input.
    ///
    /// # Errors
    /// As [`Program::value`]; a list of another length.
    #[track_caller]
    pub fn value(self, values: &mut [T]) -> Result<()> {
        self.evaluate(Kind::Value, values, &|_, _| 1, &|value, results| value[0] = results[0])
    }

    /// ∇f at every input.
    ///
    /// # Errors
    /// As [`value`](Self::value); a gradient of another form than its input.
    #[track_caller]
    pub fn gradient(self, gradients: &mut [X]) -> Result<()> {
        self.require_form(gradients.iter())?;
        self.evaluate(Kind::Gradient, gradients, &|_, _| 1, &|gradient, results| put(&mut gradient[0], results))
    }

    /// f and ∇f at every input.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn value_and_gradient(self, results: &mut [(T, X)]) -> Result<()> {
        self.require_form(results.iter().map(|(_, gradient)| gradient))?;
        self.evaluate(Kind::Gradient, results, &|_, _| 1, &|out, results| {
            let (value, gradient) = &mut out[0];
            put(gradient, results);
            *value = results[results.len() - 1];
        })
    }
}

impl<'f, T: Float, X: Inputs<T> + Send + Sync + 'f> Batch<'_, 'f, T, X, Vector> {
    /// The m results of f at every input, one after the other.
    ///
    /// # Errors
    /// As [`Program::value`]; a list that does not have room for m numbers for each input.
    #[track_caller]
    pub fn values(self, values: &mut [T]) -> Result<()> {
        self.evaluate(Kind::Value, values, &|m, _| m, &|values, results| values.copy_from_slice(results))
    }

    /// The Jacobian of f at every input, m rows of n numbers, one after the other.
    ///
    /// # Errors
    /// As [`Program::value`]; a list that does not have room for m·n numbers for each input.
    #[track_caller]
    pub fn jacobian(self, jacobians: &mut [T]) -> Result<()> {
        self.evaluate(Kind::Jacobian, jacobians, &|m, n| m * n, &|jacobian, results| jacobian.copy_from_slice(results))
    }
}

impl<'f, T, P, E> Program<'f, T, (P, E)>
where
    T: Float,
    P: Inputs<T> + 'f,
    E: Inputs<T> + Sync + 'f,
{
    /// Σ f(shared, eachᵢ), and its gradient with respect to what is shared: a loss over data.
    ///
    /// ```
    /// use autograd::Program;
    ///
    /// let mut square = Program::record(&([1.0_f64, 0.0], [0.0, 0.0]), |_, ([a, b], [x, y])| (a * x + b - y).square())?;
    /// let data = [[0.0, 1.0], [1.0, 3.0], [2.0, 4.0]];
    /// let (loss, gradient) = square.sum(&[2.0, 1.0], &data)?;
    /// assert_eq!((loss, *gradient), (1.0, [4.0, 2.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn sum(&mut self, shared: &P, each: &[E]) -> Result<(T, &P)> {
        let Some(first) = each.first() else {
            self.gradient.0 = shared.zeros();
            return Ok((T::ZERO, &self.gradient.0));
        };
        self.numbers.clear();
        take(shared, &mut self.numbers)?;
        let wrt = self.numbers.len();
        take(first, &mut self.numbers)?;
        self.renew_unless_known(|| (shared.clone(), first.clone()));
        same_count("sum", each.iter(), self.numbers.len() - wrt)?;
        let sums = self.sums(wrt, each)?;
        let sums = sums.as_slice().unwrap_or_default();
        put(&mut self.gradient.0, &sums[..wrt]);
        Ok((sums[wrt], &self.gradient.0))
    }

    /// The sums of the gradients and of the values over all inputs. The numbers that are shared, and those of one input,
    /// have been read.
    #[track_caller]
    fn sums(&mut self, wrt: usize, each: &[E]) -> Result<Tensor<T>> {
        let load = |i: usize, numbers: &mut Vec<T>| {
            // An input that is not of numbers has been refused before.
            let _ = take(&each[i], numbers);
        };
        let (paths, numbers, mut record) = self.recorder(Kind::Sum, wrt);
        let at = paths.ready(Kind::Sum, paths.last(), numbers, &mut record)?;
        numbers.truncate(wrt);
        let shared = &numbers[..];

        let ready = &*paths.ready_at(at, Kind::Sum)?;
        let uniform = ready.plan.uniform(shared);
        let strays = Mutex::new(Vec::new());
        let leaf = |k: usize| {
            let mut sums = Tensor::zeros([wrt + 1]);
            let inputs = k * LEAF..((k + 1) * LEAF).min(each.len());
            let mut stray = |i, ordinal| lock(&strays).push((i, ordinal));
            ready.sum(inputs, &uniform, &rows(&load), sums.as_mut_slice(), &mut stray);
            sums
        };
        let add = |mut sums: Tensor<T>, more: Tensor<T>| {
            sums.as_mut_slice().iter_mut().zip(more.iter()).for_each(|(sum, more)| *sum += more);
            sums
        };
        let work = each.len().saturating_mul(ready.plan.operations.1);
        let mut sums = parallel::tree(each.len().div_ceil(LEAF), work, &leaf, &add);

        let mut whole = |i: usize, numbers: &mut Vec<T>| {
            numbers.extend_from_slice(shared);
            let _ = take(&each[i], numbers);
        };
        paths.regroup(Kind::Sum, at, into_inner(strays), &mut whole, &mut record, &mut |ready, inputs, strays| {
            let load = rows(|k: usize, numbers: &mut Vec<T>| load(inputs[k], numbers));
            let mut stray = |k: usize, ordinal| strays.push((inputs[k], ordinal));
            ready.sum(0..inputs.len(), &ready.plan.uniform(shared), &load, sums.as_mut_slice(), &mut stray);
        })?;
        Ok(sums)
    }
}

/// How many results there are for one input, of so many values and so many arguments.
type Size<'s> = dyn Fn(usize, usize) -> usize + 's;

/// Takes the results for one input.
type Store<'s, T, O> = dyn Fn(&mut [O], &[T]) + Sync + 's;

impl<'p, 'f, T: Float, X: Inputs<T> + Send + Sync + 'f, Y> Batch<'p, 'f, T, X, Y> {
    pub(super) fn new(program: &'p mut Program<'f, T, X, Y>, xs: &'p [X]) -> Self {
        Batch { program, xs }
    }

    /// Refuses gradients that have no room for what they are to hold.
    #[track_caller]
    fn require_form<'x>(&self, gradients: impl Iterator<Item = &'x X>) -> Result<()>
    where
        X: 'x,
    {
        self.xs.first().map_or(Ok(()), |x| same_count("batch", gradients, count(x)))
    }

    /// Runs all inputs on the path of the last one, and those that are on another path again, path by path.
    #[track_caller]
    fn evaluate<O: Send>(self, kind: Kind, out: &mut [O], each: &Size<'_>, store: &Store<'_, T, O>) -> Result<()> {
        let Self { program, xs } = self;
        let Some(first) = xs.first() else { return Ok(()) };
        program.read(first, None)?;
        let n = program.numbers.len();
        same_count("batch", xs.iter(), n)?;
        let load = |i: usize, numbers: &mut Vec<T>| {
            // An input that is not of numbers has been refused before.
            let _ = take(&xs[i], numbers);
        };
        let (paths, numbers, mut record) = program.recorder(kind, n);
        let at = paths.ready(kind, paths.last(), numbers, &mut record)?;
        drop(record);
        let each = each(program.results.unwrap_or(0), n);
        if out.len() != xs.len() * each {
            let (expected, found) = ([xs.len() * each].into(), [out.len()].into());
            return Err(Error::new("batch", Rule::Shape { expected, found }));
        }

        let (paths, _, mut record) = program.recorder(kind, n);
        let ready = &*paths.ready_at(at, kind)?;
        let strays = Mutex::new(Vec::new());
        let work = xs.len().saturating_mul(ready.plan.operations.1);
        parallel::pieces(out, PIECE * each.max(1), work, &|start, piece| {
            let start = start / each.max(1);
            let inputs = start..start + piece.len() / each.max(1);
            ready.each(inputs, &rows(&load), &mut |i, results| match results {
                Ok(results) => store(&mut piece[(i - start) * each..][..each], results),
                Err(ordinal) => lock(&strays).push((i, ordinal)),
            });
        });

        paths.regroup(kind, at, into_inner(strays), &mut { load }, &mut record, &mut |ready, inputs, strays| {
            let load = rows(|k: usize, numbers: &mut Vec<T>| load(inputs[k], numbers));
            ready.each(0..inputs.len(), &load, &mut |k, results| match results {
                Ok(results) => store(&mut out[inputs[k] * each..][..each], results),
                Err(ordinal) => strays.push((inputs[k], ordinal)),
            });
        })
    }
}

/// Refuses arguments that do not have `n` numbers.
#[track_caller]
fn same_count<'x, T: Float, X: Inputs<T> + 'x>(
    op: &'static str,
    mut xs: impl Iterator<Item = &'x X>,
    n: usize,
) -> Result<()> {
    match xs.find(|&x| count(x) != n) {
        Some(x) => Err(Error::new(op, Rule::Shape { expected: [n].into(), found: [count(x)].into() })),
        None => Ok(()),
    }
}
