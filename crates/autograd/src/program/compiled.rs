//! The parts of a program that know no form of arguments, compiled here for both types of number: a user's crate compiles shells
//! that take its arguments apart.

use crate::error::Result;
use crate::float::{Family, Float};
use crate::program::data::{Data, Ends};
use crate::program::trace::budget::Budget;
use crate::program::trace::cache::{Again, EagerRun, PathCache, ResultKind, Targets, Trace, TracedFunction};
use crate::program::trace::eager::{EagerRequest, Variables};
use crate::program::trace::record::{Given, derived};
use crate::tape::Tape;

pub(in crate::program) struct Compiled<T: Float> {
    /// [`PathCache::record_ahead`].
    pub record_ahead: RecordFn<T>,
    /// [`PathCache::again`].
    pub again: RetryFn<T>,
    /// [`PathCache::run`].
    pub run: RunFn<T>,
    /// [`derived`].
    pub derived: DeriveFn<T>,
    /// [`EagerRequest::finish`].
    pub finish: FinishFn<T>,
}

type RecordFn<T> = fn(&mut PathCache<T>, ResultKind, &[T], &mut dyn TracedFunction<T>, &mut Budget) -> Result<()>;
type RetryFn<T> = fn(&mut PathCache<T>, ResultKind, &Data<T>, &mut Budget) -> Again;
type RunFn<T> = for<'p> fn(
    &'p mut PathCache<T>,
    (ResultKind, Again),
    &Data<T>,
    &mut dyn TracedFunction<T>,
    &mut Budget,
) -> Result<&'p Data<T>>;
type DeriveFn<T> = for<'t> fn(&'t Tape<T>, ResultKind, Given<'_, 't, T>, Ends<'t, T>) -> Result<Trace<T>>;
type FinishFn<T> =
    for<'t> fn(&EagerRequest<'_, T>, &Variables<'t, T>, Ends<'t, T>, &mut Data<T>, &mut Targets) -> Result<EagerRun>;

impl<T: Float> Compiled<T> {
    const fn new() -> Self {
        Compiled {
            record_ahead: PathCache::record_ahead,
            again: PathCache::again,
            run: PathCache::run,
            derived,
            finish: |asked, x, y, out, targets| asked.finish(x, y, out, targets),
        }
    }
}

struct BothFloats;

impl Family for BothFloats {
    type Of<T: Float> = Compiled<T>;
}

pub(in crate::program) fn compiled<T: Float>() -> &'static Compiled<T> {
    static SINGLE: Compiled<f32> = Compiled::new();
    static DOUBLE: Compiled<f64> = Compiled::new();
    T::pick::<BothFloats>(&SINGLE, &DOUBLE)
}
