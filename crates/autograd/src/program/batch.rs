//! Many inputs at once: lanes of vector instructions, threads, and inputs on other paths put together again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::paths::{Kind, Ready};
use super::{Number, Program, Vector, count, put, record, take};
use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::kernel::parallel;
use crate::kernel::replay::{LANES, Numbers};
use crate::transform::Inputs;

/// Inputs that a thread takes at once; a multiple of all numbers of lanes.
const PIECE: usize = 1024;

/// The most lanes.
const MOST_LANES: usize = 128;

/// The bytes that the numbers of all lanes may take, for more than [`LANES`] lanes: they stay in the first cache.
const CACHE: usize = 24 << 10;

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
        self.evaluate(Kind::Value, values, 1, &|value, results| value[0] = results[0])
    }

    /// ∇f at every input.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn gradient(self, gradients: &mut [X]) -> Result<()> {
        self.evaluate(Kind::Gradient, gradients, 1, &|gradient, results| put(&mut gradient[0], results))
    }

    /// f and ∇f at every input.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn value_and_gradient(self, results: &mut [(T, X)]) -> Result<()> {
        self.evaluate(Kind::Gradient, results, 1, &|out, results| {
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
        let m = self.program.results;
        self.evaluate(Kind::Value, values, m, &|values, results| values.copy_from_slice(results))
    }

    /// The Jacobian of f at every input, m rows of n numbers, one after the other.
    ///
    /// # Errors
    /// As [`Program::value`]; a list that does not have room for m·n numbers for each input.
    #[track_caller]
    pub fn jacobian(self, jacobians: &mut [T]) -> Result<()> {
        let size = self.program.results * self.xs.first().map_or(0, count);
        self.evaluate(Kind::Jacobian, jacobians, size, &|jacobian, results| jacobian.copy_from_slice(results))
    }
}

/// Takes the results for one input.
type Store<'s, T, O> = dyn Fn(&mut [O], &[T]) + Sync + 's;

impl<'p, 'f, T: Float, X: Inputs<T> + Send + Sync + 'f, Y> Batch<'p, 'f, T, X, Y> {
    pub(super) fn new(program: &'p mut Program<'f, T, X, Y>, xs: &'p [X]) -> Self {
        Batch { program, xs }
    }

    /// Runs all inputs on the path of the last one, and those that are on another path again, path by path.
    #[track_caller]
    fn evaluate<O: Send>(self, kind: Kind, out: &mut [O], each: usize, store: &Store<'_, T, O>) -> Result<()> {
        let Self { program, xs } = self;
        let Some(first) = xs.first() else { return Ok(()) };
        if out.len() != xs.len() * each {
            let (expected, found) = ([xs.len() * each].into(), [out.len()].into());
            return Err(Error::new("batch", Rule::Shape { expected, found }));
        }
        program.read(first, None)?;
        let n = program.numbers.len();
        let load = |i: usize, numbers: &mut Vec<T>| {
            numbers.clear();
            // An input of another form has another count, which is seen below.
            let _ = take(&xs[i], numbers);
        };
        if let Some(x) = xs.iter().find(|&x| count(x) != n) {
            return Err(Error::new("batch", Rule::Shape { expected: [n].into(), found: [count(x)].into() }));
        }
        let Program { function, form, paths, numbers, .. } = program;
        let record = &mut |numbers: &[T]| record(function, form, kind, numbers);

        let at = paths.ready(kind, paths.last(), numbers, record)?;
        let ready = &*paths.ready_at(at, kind)?;
        let strays = Mutex::new(Vec::new());
        let work = xs.len().saturating_mul(ready.plan.operations.1);
        parallel::pieces(out, PIECE * each.max(1), work, &|start, piece| {
            let start = start / each.max(1);
            let inputs = start..start + piece.len() / each.max(1);
            ready.run_lanes(inputs, &load, &mut |i, results| match results {
                Ok(results) => store(&mut piece[(i - start) * each..][..each], results),
                Err(ordinal) => lock(&strays).push((i, ordinal)),
            });
        });

        let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut strays = take_sorted(&strays);
        let mut at = at;
        loop {
            for (i, ordinal) in strays.drain(..) {
                load(i, numbers);
                waiting.entry(paths.other(kind, at, ordinal, numbers, record)?).or_default().push(i);
            }
            let Some((path, inputs)) = waiting.pop_first() else { return Ok(()) };
            at = path;
            let ready = &*paths.ready_at(at, kind)?;
            ready.run_lanes(0..inputs.len(), &|k, numbers| load(inputs[k], numbers), &mut |k, results| match results {
                Ok(results) => store(&mut out[inputs[k] * each..][..each], results),
                Err(ordinal) => strays.push((inputs[k], ordinal)),
            });
        }
    }
}

/// Puts the numbers of one input into a list.
type Load<'l, T> = dyn Fn(usize, &mut Vec<T>) + Sync + 'l;

/// Receives the results for one input, or the first comparison that came out differently.
type Emit<'e, T> = dyn FnMut(usize, Result<&[T], u32>) + 'e;

impl<T: Float> Ready<T> {
    /// How many inputs run at once.
    fn lanes(&self, inputs: usize) -> usize {
        let fitting = CACHE / (self.plan.replay.slots().max(1) * size_of::<T>());
        fitting.min(inputs).clamp(LANES, MOST_LANES).next_multiple_of(LANES).min(MOST_LANES)
    }

    fn run_lanes(&self, inputs: std::ops::Range<usize>, load: &Load<'_, T>, emit: &mut Emit<'_, T>) {
        let lanes = self.lanes(inputs.len());
        let mut numbers = self.borrow(lanes);
        let mut row = Vec::with_capacity(self.plan.results.len().max(self.plan.inputs));
        let mut start = inputs.start;
        while start < inputs.end {
            let taken = lanes.min(inputs.end - start);
            for lane in 0..lanes {
                // Lanes without an input repeat the last one.
                if lane < taken {
                    load(start + lane, &mut row);
                }
                for (slot, &x) in row.iter().enumerate() {
                    numbers.values[slot * lanes + lane] = x;
                }
            }
            self.plan.replay.run(&mut numbers);
            for lane in 0..taken {
                let number = |slot: u32| numbers.values[slot as usize * lanes + lane];
                let failed = self.plan.guards.iter().find(|guard| number(guard.slot) != guard.expected);
                emit(
                    start + lane,
                    match failed {
                        Some(guard) => Err(guard.ordinal),
                        None => {
                            row.clear();
                            row.extend(self.plan.results.iter().map(|&slot| number(slot)));
                            Ok(&row)
                        }
                    },
                );
            }
            start += taken;
        }
        lock(&self.idle).push(numbers);
    }

    /// Numbers for so many lanes, used before or new.
    fn borrow(&self, lanes: usize) -> Numbers<T> {
        let mut idle = lock(&self.idle);
        match idle.iter().position(|numbers| numbers.lanes() == lanes) {
            Some(found) => idle.swap_remove(found),
            None => self.plan.numbers(lanes),
        }
    }
}

fn lock<X>(list: &Mutex<Vec<X>>) -> std::sync::MutexGuard<'_, Vec<X>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_sorted(strays: &Mutex<Vec<(usize, u32)>>) -> Vec<(usize, u32)> {
    let mut strays = std::mem::take(&mut *lock(strays));
    strays.sort_unstable();
    strays
}
