//! The arguments of a program by their form: how many numbers, tensors of which shapes, indices of which shapes.

use std::panic::Location;

use super::data::{Data, Parts, Varies, require_form};
use super::derived::{Prelude, record};
use super::paths::{Kind, Paths, Recording, Targets};
use super::{Recorded, Report};
use crate::error::Result;
use crate::float::Float;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::transform::Inputs;

/// So many forms are kept; beyond, the one that was not used for longest goes.
const MOST: usize = 16;

/// What is known of a function, by the form of its arguments.
pub(super) struct Forms<T: Float, X> {
    /// The arguments in parts, and after them those of a direction.
    pub data: Data<T>,
    /// What is known of arguments of the last form.
    known: Known<T, X>,
    /// Of arguments of other forms; the last used is the last.
    others: Vec<Known<T, X>>,
}

/// The paths for arguments of one form.
struct Known<T: Float, X> {
    /// Arguments of this form; a recording puts its own in.
    form: X,
    varies: Varies,
    /// Of all tensors, also those that are no arguments.
    shapes: Vec<Shape>,
    settings: Vec<bool>,
    /// How many results the function has, once it has been recorded.
    results: Option<usize>,
    paths: Paths<T>,
}

/// The paths, the numbers of the arguments and which of them vary, and what records the function at some numbers.
type Recorder<'p, T, Record> = (&'p mut Paths<T>, &'p mut Vec<T>, &'p [bool], Record);

impl<T: Float, X: Inputs<T>> Forms<T, X> {
    pub fn new(x: &X) -> Self {
        let mut data = Data::default();
        data.take(x);
        Forms { known: Known::of(x.clone(), &data), data, others: Vec::new() }
    }

    /// Turns to what is known of the form of the arguments that have been read: nothing yet, if it is new. Whether it is
    /// another form than the last.
    pub fn find(&mut self, x: &X) -> bool {
        if self.known.fits(x, &self.data) {
            return false;
        }
        let found = match self.others.iter().position(|known| known.fits(x, &self.data)) {
            Some(found) => self.others.remove(found),
            None => Known::of(x.clone(), &self.data),
        };
        self.others.push(std::mem::replace(&mut self.known, found));
        if self.others.len() == MOST {
            self.others.remove(0);
        }
        true
    }

    /// Arguments of the last form.
    pub fn form(&self) -> &X {
        &self.known.form
    }

    /// Of which of them derivatives are taken.
    pub fn varies(&self) -> &Varies {
        &self.known.varies
    }

    /// Appends a direction, which must have the form of the arguments.
    #[track_caller]
    pub fn take_direction(&mut self, x: &X, along: &X) -> Result<()> {
        require_form("program", [along], x)?;
        let places = self.data.places.len();
        self.data.take(along);
        self.data.places.truncate(places);
        Ok(())
    }

    /// Runs on the arguments that have been read.
    #[track_caller]
    pub fn replay<'f>(&mut self, kind: Kind, function: &Recorded<'f, T, X>) -> Result<&Data<T>>
    where
        X: 'f,
    {
        self.replay_after(kind, &|_| Vec::new(), function)
    }

    /// As [`replay`](Self::replay), where something stands on the tape before the function is recorded.
    #[track_caller]
    pub fn replay_after<'f>(
        &mut self,
        kind: Kind,
        prelude: &Prelude<'_, T>,
        function: &Recorded<'f, T, X>,
    ) -> Result<&Data<T>>
    where
        X: 'f,
    {
        let site = Location::caller();
        let Self { known, data, .. } = self;
        let Known { form, varies, paths, results, .. } = known;
        let done = paths.run(kind, data, &mut |numbers: &[T]| {
            let data = Parts { numbers, tensors: &data.tensors, places: &data.places };
            record((form, varies), data, kind, (0, results), prelude, function, site)
        });
        // What is held here could not be updated in place.
        self.data.tensors.clear();
        done
    }

    /// What a run of many inputs works on, apart from each other.
    #[track_caller]
    pub fn recorder<'p, 'f>(
        &'p mut self,
        kind: Kind,
        shared: usize,
        function: &'p Recorded<'f, T, X>,
    ) -> Recorder<'p, T, impl FnMut(&[T]) -> Result<Recording<T>>>
    where
        X: 'f,
    {
        let site = Location::caller();
        let Self { known, data, .. } = self;
        let Known { form, varies, paths, results, .. } = known;
        let (Data { numbers, tensors, places, .. }, varies) = (data, &*varies);
        let record = move |numbers: &[T]| {
            let data = Parts { numbers, tensors, places };
            record((form, varies), data, kind, (shared, results), &|_| Vec::new(), function, site)
        };
        (paths, numbers, &varies.numbers, record)
    }

    /// The results of the last run.
    pub fn results(&self) -> &Data<T> {
        self.known.paths.results()
    }

    /// Lets go of the results, which are in use elsewhere now.
    pub fn release(&mut self) {
        self.known.paths.release();
    }

    /// What the tensors among the results of the last run of a kind are for.
    pub fn targets(&self, kind: Kind) -> &Targets {
        self.known.paths.targets(kind)
    }

    /// How many results the function has.
    pub fn count(&self) -> usize {
        self.known.results.unwrap_or(0)
    }

    pub fn report(&self) -> Report {
        self.others.iter().fold(self.known.paths.report(), |sum, known| sum.and(known.paths.report()))
    }
}

impl<T: Float, X: Inputs<T>> Known<T, X> {
    fn of(form: X, data: &Data<T>) -> Self {
        Known {
            varies: Varies::of(&form),
            form,
            shapes: data.tensors.iter().map(|tensor| tensor.shape().clone()).collect(),
            settings: data.settings.clone(),
            results: None,
            paths: Paths::default(),
        }
    }

    /// Whether arguments, and what was read with them, are of this form.
    #[inline]
    fn fits(&self, x: &X, data: &Data<T>) -> bool {
        self.form.has_form_of(x)
            && data.tensors.iter().map(Tensor::shape).eq(&self.shapes)
            && data.settings.iter().eq(&self.settings)
    }
}
