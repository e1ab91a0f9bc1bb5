//! Many inputs at once: lanes of vector instructions, threads, and inputs on other paths put together again.

use std::ops::Range;
use std::sync::Mutex;

use smallvec::{SmallVec, smallvec};

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::kernel::parallel;
use crate::kernel::replay::LANES;
use crate::program::data::{count, put_numbers, require_form, take, variables};
use crate::program::execution::lanes::{into_inner, lock, rows};
use crate::program::trace::cache::{Begun, Rerun, ResultKind, TracedFunction};
use crate::program::trace::signature::BatchContext;
use crate::program::{Number, Program, Vector, halves};
use crate::tensor::Tensor;
use crate::transform::Inputs;

/// Inputs that a thread takes at once; a multiple of all numbers of lanes.
const INPUTS_PER_TASK: usize = 1024;

/// Inputs whose results are summed one after the other; the sums of these are added in a tree.
const INPUTS_PER_SUM: usize = 128;

/// The gradient of a sum, and its value last.
type Sums<T> = SmallVec<[T; 8]>;

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
        self.evaluate(ResultKind::Value, &[], values, &|_, _| 1, &|value, _, results| value[0] = results[0])
    }

    /// ∇f at every input.
    ///
    /// # Errors
    /// As [`value`](Self::value); a gradient of another form than its input.
    #[track_caller]
    pub fn gradient(self, gradients: &mut [X]) -> Result<()> {
        self.require_form(gradients.iter())?;
        let store = |gradient: &mut [X], varies: &[bool], results: &[T]| put_numbers(&mut gradient[0], varies, results);
        self.evaluate(ResultKind::Gradient, &[], gradients, &|_, _| 1, &store)
    }

    /// f and ∇f at every input.
    ///
    /// # Errors
    /// As [`gradient`](Self::gradient).
    #[track_caller]
    pub fn value_and_gradient(self, results: &mut [(T, X)]) -> Result<()> {
        self.require_form(results.iter().map(|(_, gradient)| gradient))?;
        self.evaluate(ResultKind::Gradient, &[], results, &|_, _| 1, &|out, varies, results| {
            let (value, gradient) = &mut out[0];
            put_numbers(gradient, varies, results);
            *value = results[results.len() - 1];
        })
    }

    /// ∇f and H·v at every input: the gradient, and the Hessian times a direction of its own.
    ///
    /// ```
    /// use autograd::Program;
    ///
    /// let mut program = Program::record(&[1.0_f64, 2.0], |_, [x, y]| x * x * y)?;
    /// let mut results = [([0.0; 2], [0.0; 2]); 2];
    /// program.batch(&[[3.0, 2.0], [1.0, 1.0]]).hvp(&[[1.0, 0.0], [0.0, 1.0]], &mut results)?;
    /// assert_eq!(results, [([12.0, 9.0], [4.0, 6.0]), ([2.0, 1.0], [2.0, 0.0])]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`gradient`](Self::gradient); other than one direction for each input; a direction of another form.
    #[track_caller]
    pub fn hvp(self, directions: &[X], results: &mut [(X, X)]) -> Result<()> {
        self.require_form(results.iter().flat_map(|(gradient, product)| [gradient, product]))?;
        self.evaluate(ResultKind::Hvp, directions, results, &|_, _| 1, &|out, varies, results| {
            let (product, gradient) = halves(results);
            put_numbers(&mut out[0].0, varies, gradient);
            put_numbers(&mut out[0].1, varies, product);
        })
    }

    /// f and its derivative along a direction of its own, at every input.
    ///
    /// ```
    /// use autograd::Program;
    ///
    /// let mut program = Program::record(&[1.0_f64, 2.0], |_, [x, y]| x * x * y)?;
    /// let mut results = [(0.0, 0.0); 2];
    /// program.batch(&[[3.0, 2.0], [1.0, 1.0]]).jvp(&[[1.0, 10.0], [0.0, 1.0]], &mut results)?;
    /// assert_eq!(results, [(18.0, 12.0 + 90.0), (1.0, 1.0)]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`value`](Self::value); other than one direction for each input; a direction of another form.
    #[track_caller]
    pub fn jvp(self, directions: &[X], results: &mut [(T, T)]) -> Result<()> {
        self.evaluate(ResultKind::Jvp, directions, results, &|_, _| 1, &|out, _, results| {
            out[0] = (results[1], results[0])
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
        self.evaluate(ResultKind::Value, &[], values, &|m, _| m, &|values, _, results| values.copy_from_slice(results))
    }

    /// f(x) and J·dx at every input, the m values and then their derivatives along a direction, one input after the other.
    ///
    /// ```
    /// use autograd::Program;
    ///
    /// let mut squares = Program::record_vector(&[1.0_f64, 2.0], |tape, [x, y]| tape.from_scalars(&[x * x, y * y]))?;
    /// let mut results = [0.0; 8];
    /// squares.batch(&[[1.0, 2.0], [3.0, 4.0]]).jvp(&[[1.0, 0.0], [1.0, 1.0]], &mut results)?;
    /// assert_eq!(results, [1.0, 4.0, 2.0, 0.0, 9.0, 16.0, 6.0, 8.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Program::value`]; a list that does not have room for 2·m numbers for each input; other than one direction for each
    /// input; a direction of another form.
    #[track_caller]
    pub fn jvp(self, directions: &[X], results: &mut [T]) -> Result<()> {
        self.evaluate(ResultKind::Jvp, directions, results, &|m, _| 2 * m, &|out, _, results| {
            let (tangents, values) = halves(results);
            out[..values.len()].copy_from_slice(values);
            out[values.len()..].copy_from_slice(tangents);
        })
    }

    /// The Jacobian of f at every input, m rows of n numbers, one after the other; without [`NoGrad`](crate::NoGrad).
    ///
    /// # Errors
    /// As [`Program::value`]; a list that does not have room for m·n numbers for each input.
    #[track_caller]
    pub fn jacobian(self, jacobians: &mut [T]) -> Result<()> {
        self.evaluate(ResultKind::Jacobian, &[], jacobians, &|m, n| m * n, &|out, _, results| {
            out.copy_from_slice(results)
        })
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
        let data = &mut self.forms.data;
        data.clear();
        take(shared, &mut data.numbers)?;
        let shared_count = data.numbers.len();
        take(first, &mut data.numbers)?;
        let (known, other) = self.forms.form();
        if !(known.has_form_of(shared) && other.has_form_of(first)) {
            self.find_form(&(shared.clone(), first.clone()));
        }
        require_form("sum", each, first)?;
        let sums = self.sums(shared_count, each)?;
        put_numbers(&mut self.gradient.0, &self.forms.varies().numbers[..shared_count], &sums);
        Ok((sums[sums.len() - 1], &self.gradient.0))
    }

    /// The sums of the gradients and of the values over all inputs. The numbers that are shared, and those of one input,
    /// have been read.
    #[track_caller]
    fn sums(&mut self, shared_count: usize, each: &[E]) -> Result<Sums<T>> {
        let load = |i: usize, numbers: &mut Vec<T>| {
            // An input that is not of numbers has been refused before.
            let _ = take(&each[i], numbers);
        };
        let BatchContext { paths, numbers, varies, mut function, budget } =
            self.forms.work(shared_count, &self.function);
        numbers.truncate(shared_count);
        let shared = &numbers[..];
        let mut whole = |i: usize, numbers: &mut Vec<T>| {
            numbers.extend_from_slice(shared);
            load(i, numbers);
        };
        let mut sums: Sums<T> = smallvec![T::ZERO; variables(&varies.numbers[..shared_count]) + 1];
        let add = |sums: &mut [T], more: &mut dyn Iterator<Item = T>| {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        };

        let mut next = 0;
        while next < each.len() {
            let inputs = next..each.len();
            let at = match paths.begin(ResultKind::Sum, (&inputs, &mut whole), &mut function, budget)? {
                Begun::On(at) => at,
                Begun::Done(results) => {
                    add(&mut sums, &mut results.numbers.iter().copied());
                    next += 1;
                    continue;
                }
            };
            let ready = paths.must_run_in_lanes(at, ResultKind::Sum)?;
            let inputs = together(paths.trusted(at, ResultKind::Sum), inputs, |few| {
                let (mut side_exits, mut unused) = (0, sums.clone());
                let mut side_exit = |_, ordinal| side_exits += usize::from(paths.is_new(ResultKind::Sum, at, ordinal));
                ready
                    .with_uniform(shared, |uniform| ready.sum(few, uniform, &rows(&load), &mut unused, &mut side_exit));
                side_exits
            });
            next = inputs.end;
            let side_exits = Mutex::new(Vec::new());
            let leaf = |uniform: &[T], k: usize| {
                let mut sums = Tensor::zeros([sums.len()]);
                let start = inputs.start + k * INPUTS_PER_SUM;
                let mut side_exit = |i, ordinal| lock(&side_exits).push((i, ordinal));
                ready.sum(
                    start..(start + INPUTS_PER_SUM).min(inputs.end),
                    uniform,
                    &rows(&load),
                    sums.as_mut_slice(),
                    &mut side_exit,
                );
                sums
            };
            let both = |mut sums: Tensor<T>, more: Tensor<T>| {
                add(sums.as_mut_slice(), &mut more.iter());
                sums
            };
            let work = inputs.len().saturating_mul(ready.schedule.operations.1);
            let found = ready.with_uniform(shared, |uniform| {
                parallel::tree(inputs.len().div_ceil(INPUTS_PER_SUM), work, &|k| leaf(uniform, k), &both)
            });
            add(&mut sums, &mut found.iter());
            let side_exits = into_inner(side_exits);
            let tools = (&mut function as &mut dyn TracedFunction<T>, &mut *budget);
            paths.regroup(
                ResultKind::Sum,
                (at, inputs.len()),
                side_exits,
                &mut whole,
                tools,
                &mut |rerun| match rerun {
                    Rerun::On(ready, inputs, side_exits) => {
                        let load = rows(|k: usize, numbers: &mut Vec<T>| load(inputs[k], numbers));
                        let mut side_exit = |k: usize, ordinal| side_exits.push((inputs[k], ordinal));
                        ready.with_uniform(shared, |uniform| {
                            ready.sum(0..inputs.len(), uniform, &load, &mut sums, &mut side_exit);
                        });
                    }
                    Rerun::Done(_, results) => add(&mut sums, &mut results.numbers.iter().copied()),
                },
            )?;
        }
        Ok(sums)
    }
}

/// How many of the next inputs are taken together: all, where as many have stayed on the path before, or else where the first
/// few stay on it, as `side_exits` tells.
fn together(trusted: usize, inputs: Range<usize>, side_exits: impl FnOnce(Range<usize>) -> usize) -> Range<usize> {
    let few = inputs.start..inputs.end.min(inputs.start + LANES);
    match inputs.len() <= trusted.max(few.len()) || 2 * side_exits(few.clone()) <= few.len() {
        true => inputs,
        false => few,
    }
}

/// How many results there are for one input, of so many values and so many variables.
type ResultLen<'s> = dyn Fn(usize, usize) -> usize + 's;

/// Takes the results for one input, told which of its numbers vary.
type StoreResults<'s, T, O> = dyn Fn(&mut [O], &[bool], &[T]) + Sync + 's;

impl<'p, 'f, T: Float, X: Inputs<T> + Send + Sync + 'f, Y> Batch<'p, 'f, T, X, Y> {
    pub(in crate::program) fn new(program: &'p mut Program<'f, T, X, Y>, xs: &'p [X]) -> Self {
        Batch { program, xs }
    }

    /// Refuses gradients that have no room for what they are to hold.
    #[track_caller]
    fn require_form<'x>(&self, gradients: impl Iterator<Item = &'x X>) -> Result<()>
    where
        X: 'x,
    {
        match self.xs.first() {
            Some(x) => require_form("batch", gradients, x),
            None => Ok(()),
        }
    }

    /// Runs all inputs, each with its direction if there are any, on the path of the last one, and those that are on another path
    /// again, path by path.
    #[track_caller]
    fn evaluate<O: Send>(
        self,
        kind: ResultKind,
        directions: &[X],
        out: &mut [O],
        each: &ResultLen<'_>,
        store: &StoreResults<'_, T, O>,
    ) -> Result<()> {
        let Self { program, xs } = self;
        if matches!(kind, ResultKind::Hvp | ResultKind::Jvp) {
            same_len(directions.len(), xs.len())?;
        }
        let Some(first) = xs.first() else { return Ok(()) };
        program.read(first, directions.first())?;
        program.forms.data.must_be_numbers()?;
        require_form("batch", xs.iter().chain(directions), first)?;
        let n = count(first);
        let load = |i: usize, numbers: &mut Vec<T>| {
            // An input that is not of numbers has been refused before.
            let _ = take(&xs[i], numbers);
            directions.get(i).into_iter().for_each(|direction| drop(take(direction, numbers)));
        };
        let BatchContext { paths, varies, mut function, budget, .. } = program.forms.work(n, &program.function);
        let varies = &varies.numbers[..];
        let mut next = 0;
        while next < xs.len() {
            let inputs = next..xs.len();
            let begun = paths.begin(kind, (&inputs, &mut { load }), &mut function, budget)?;
            let each = each(function.results.unwrap_or(0), variables(varies));
            same_len(out.len(), xs.len() * each)?;
            let at = match begun {
                Begun::On(at) => at,
                Begun::Done(results) => {
                    store(&mut out[inputs.start * each..][..each], varies, &results.elements());
                    next += 1;
                    continue;
                }
            };
            let ready = paths.must_run_in_lanes(at, kind)?;
            let inputs = together(paths.trusted(at, kind), inputs, |few| {
                let mut side_exits = 0;
                ready.each(few, &rows(&load), &mut |_, results| {
                    side_exits += usize::from(results.is_err_and(|ordinal| paths.is_new(kind, at, ordinal)));
                });
                side_exits
            });
            next = inputs.end;
            let side_exits = Mutex::new(Vec::new());
            let work = inputs.len().saturating_mul(ready.schedule.operations.1);
            let these = &mut out[inputs.start * each..inputs.end * each];
            parallel::pieces(these, INPUTS_PER_TASK * each.max(1), work, &|start, piece| {
                let start = inputs.start + start / each.max(1);
                ready.each(start..start + piece.len() / each.max(1), &rows(&load), &mut |i, results| match results {
                    Ok(results) => store(&mut piece[(i - start) * each..][..each], varies, results),
                    Err(ordinal) => lock(&side_exits).push((i, ordinal)),
                });
            });
            let side_exits = into_inner(side_exits);
            let tools = (&mut function as &mut dyn TracedFunction<T>, &mut *budget);
            paths.regroup(kind, (at, inputs.len()), side_exits, &mut { load }, tools, &mut |rerun| match rerun {
                Rerun::On(ready, inputs, side_exits) => {
                    let load = rows(|k: usize, numbers: &mut Vec<T>| load(inputs[k], numbers));
                    ready.each(0..inputs.len(), &load, &mut |k, results| match results {
                        Ok(results) => store(&mut out[inputs[k] * each..][..each], varies, results),
                        Err(ordinal) => side_exits.push((inputs[k], ordinal)),
                    });
                }
                Rerun::Done(i, results) => store(&mut out[i * each..][..each], varies, &results.elements()),
            })?;
        }
        Ok(())
    }
}

/// Refuses a list that is not as long as it must be.
#[track_caller]
fn same_len(found: usize, expected: usize) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => Err(Error::new("batch", ErrorKind::Shape { expected: [expected].into(), found: [found].into() })),
    }
}
