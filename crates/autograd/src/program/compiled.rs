//! The parts of a program that know no form of arguments, compiled here for both types of number: a user's crate compiles shells
//! that take its arguments apart.

use crate::error::Result;
use crate::float::{Family, Float};
use crate::program::data::{Data, Ends};
use crate::program::trace::budget::Account;
use crate::program::trace::cache::{Again, Function, Kind, Paths, Ran, Recording, Targets};
use crate::program::trace::eager::{Asked, Variables};
use crate::program::trace::record::{Given, derived};
use crate::tape::Tape;

pub(in crate::program) struct Compiled<T: Float> {
    /// [`Paths::again`].
    pub again: Retry<T>,
    /// [`Paths::run`].
    pub run: Run<T>,
    /// [`derived`].
    pub derived: Derived<T>,
    /// [`Asked::finish`].
    pub finish: Finish<T>,
}

type Retry<T> = fn(&mut Paths<T>, Kind, &Data<T>, &mut Account) -> Again;
type Run<T> =
    for<'p> fn(&'p mut Paths<T>, (Kind, Again), &Data<T>, &mut dyn Function<T>, &mut Account) -> Result<&'p Data<T>>;
type Derived<T> = for<'t> fn(&'t Tape<T>, Kind, Given<'_, 't, T>, Ends<'t, T>) -> Result<Recording<T>>;
type Finish<T> = for<'t> fn(&Asked<'_, T>, &Variables<'t, T>, Ends<'t, T>, &mut Data<T>, &mut Targets) -> Result<Ran>;

impl<T: Float> Compiled<T> {
    const fn new() -> Self {
        Compiled {
            again: Paths::again,
            run: Paths::run,
            derived,
            finish: |asked, x, y, out, targets| asked.finish(x, y, out, targets),
        }
    }
}

struct Both;

impl Family for Both {
    type Of<T: Float> = Compiled<T>;
}

pub(in crate::program) fn compiled<T: Float>() -> &'static Compiled<T> {
    static SINGLE: Compiled<f32> = Compiled::new();
    static DOUBLE: Compiled<f64> = Compiled::new();
    T::pick::<Both>(&SINGLE, &DOUBLE)
}
