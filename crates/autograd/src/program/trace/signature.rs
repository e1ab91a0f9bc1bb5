//! The arguments of a program by their form: how many numbers, tensors of which shapes, indices of which shapes.

use std::panic::Location;

use crate::error::Result;
use crate::float::Float;
use crate::program::compiled::compiled;
use crate::program::data::{Data, Parts, Varies, require_form};
use crate::program::trace::budget::Budget;
use crate::program::trace::cache::{
    Again, Choice, EagerRun, MAX_BYTES, PathCache, ResultKind, Targets, Trace, TracedFunction,
};
use crate::program::trace::eager::{EagerCall, EagerRequest};
use crate::program::trace::record::{Prelude, record};
use crate::program::{Recorded, Report};
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::Inputs;

/// So many forms are kept that were recorded, and as many that were not; beyond, the one that was not used for longest goes.
const MAX_SIGNATURES: usize = 16;

/// What is known of a function, by the form of its arguments.
pub(in crate::program) struct SignatureCache<T: Float, X> {
    /// The arguments in parts, and after them those of a direction.
    pub data: Data<T>,
    /// What is known of arguments of the last form.
    known: Box<Specialization<T, X>>,
    /// Of arguments of other forms; the last used is the last. They are large, and change places in every run where forms alternate.
    others: Vec<Box<Specialization<T, X>>>,
    pub budget: Budget,
    /// On which runs are recorded that are not replayed.
    tape: Tape<T>,
    /// What happened to arguments of forms that were forgotten.
    past: Report,
}

/// The paths for arguments of one form.
struct Specialization<T: Float, X> {
    /// Arguments of this form; a recording puts its own in.
    form: X,
    varies: Varies,
    /// Of all tensors, also those that are no arguments.
    shapes: Vec<Shape>,
    settings: Vec<u64>,
    /// How many results the function has, once that is known.
    results: Option<usize>,
    paths: PathCache<T>,
    /// The memory that the paths took when the next form came.
    bytes: usize,
}

/// The function, at arguments of one form.
pub(in crate::program) struct BoundFunction<'p, 'f, T: Float, X: Inputs<T> + 'f> {
    form: &'p mut X,
    varies: &'p Varies,
    tensors: &'p [Tensor<T>],
    integers: &'p [Tensor<usize>],
    /// How many numbers inputs share, where the results are to be summed.
    shared: usize,
    /// How many results there are, once that is known.
    pub results: &'p mut Option<usize>,
    prelude: &'p Prelude<'p, T>,
    function: &'p Recorded<'f, T, X>,
    tape: &'p mut Tape<T>,
    /// The caller's line.
    location: &'static Location<'static>,
}

impl<'f, T: Float, X: Inputs<T> + 'f> TracedFunction<T> for BoundFunction<'_, 'f, T, X> {
    fn record(&mut self, kind: ResultKind, numbers: &[T]) -> Result<Trace<T>> {
        let data = Parts { numbers, tensors: self.tensors, integers: self.integers };
        let arguments = (&mut *self.form, self.varies);
        record(arguments, data, kind, (self.shared, self.results), self.prelude, self.function, self.location)
    }

    fn run(
        &mut self,
        kind: ResultKind,
        numbers: &[T],
        results: &mut Data<T>,
        targets: &mut Targets,
    ) -> Result<EagerRun> {
        let once = EagerCall {
            asked: EagerRequest {
                kind,
                varies: self.varies,
                data: Parts { numbers, tensors: self.tensors, integers: self.integers },
                shared: self.shared,
            },
            count: self.results,
            prelude: self.prelude,
            function: self.function,
            location: self.location,
        };
        once.run(self.tape, self.form, results, targets)
    }
}

/// What runs work on, apart from each other.
pub(in crate::program) struct BatchContext<'p, 'f, T: Float, X: Inputs<T>> {
    pub paths: &'p mut PathCache<T>,
    /// The numbers of the arguments.
    pub numbers: &'p mut Vec<T>,
    pub varies: &'p Varies,
    pub function: BoundFunction<'p, 'f, T, X>,
    pub budget: &'p mut Budget,
}

impl<T: Float, X: Inputs<T>> SignatureCache<T, X> {
    pub fn new(x: &X) -> Self {
        let mut data = Data::default();
        data.take(x);
        SignatureCache {
            known: Box::new(Specialization::of(x.clone(), &data)),
            data,
            others: Vec::new(),
            budget: Budget::default(),
            tape: Tape::for_one_run(),
            past: Report::default(),
        }
    }

    /// Turns to what is known of the form of the arguments that have been read: nothing yet, if it is new. Whether it is
    /// another form than the last.
    pub fn find(&mut self, x: &X) -> bool {
        if self.known.fits(x, &self.data) {
            return false;
        }
        let found = match self.others.iter().position(|known| known.fits(x, &self.data)) {
            Some(found) => self.others.remove(found),
            None => Box::new(Specialization::of(x.clone(), &self.data)),
        };
        let mut last = std::mem::replace(&mut self.known, found);
        last.bytes = last.paths.bytes();
        self.others.push(last);
        self.make_room();
        true
    }

    /// Forgets forms until there are not too many. Those that have never been recorded do not take the place of others.
    fn make_room(&mut self) {
        let count = |others: &[Box<Specialization<T, X>>], is_empty| {
            others.iter().filter(|k| k.paths.is_empty() == is_empty).count()
        };
        while let Some(is_empty) = [true, false].into_iter().find(|&is_empty| {
            let is_too_large = || self.others.iter().map(|known| known.bytes).sum::<usize>() > MAX_BYTES;
            count(&self.others, is_empty) > MAX_SIGNATURES || !is_empty && is_too_large()
        }) {
            let Some(oldest) = self.others.iter().position(|known| known.paths.is_empty() == is_empty) else { return };
            let forgotten = self.others.remove(oldest);
            self.past = self.past.and_runs(forgotten.paths.report());
            self.past.forgotten_forms += usize::from(!is_empty);
        }
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
        let integers = self.data.integers.len();
        self.data.take(along);
        self.data.integers.truncate(integers);
        Ok(())
    }

    /// Records the value of the function, where something stands on the tape before it, at the arguments that have been read.
    /// Nothing is computed but what code looks at.
    #[track_caller]
    pub fn record<'f>(&mut self, prelude: &Prelude<'_, T>, function: &Recorded<'f, T, X>) -> Result<()>
    where
        X: 'f,
    {
        let BatchContext { paths, numbers, function, budget, .. } = self.work(0, function);
        let mut function = BoundFunction { prelude, ..function };
        let recorded = (compiled::<T>().record_ahead)(paths, ResultKind::Value, numbers, &mut function, budget);
        self.data.let_go();
        recorded
    }

    /// Runs on the arguments that have been read.
    #[track_caller]
    pub fn run<'f>(&mut self, kind: ResultKind, function: &Recorded<'f, T, X>) -> Result<&Data<T>>
    where
        X: 'f,
    {
        self.run_after(kind, &|_| {}, function)
    }

    /// As [`run`](Self::run), where something stands on the tape before the function is recorded.
    #[track_caller]
    pub fn run_after<'f>(
        &mut self,
        kind: ResultKind,
        prelude: &Prelude<'_, T>,
        function: &Recorded<'f, T, X>,
    ) -> Result<&Data<T>>
    where
        X: 'f,
    {
        let again = (compiled::<T>().again)(&mut self.known.paths, kind, &self.data, &mut self.budget);
        if let Again::Held = again {
            self.data.let_go();
            return Ok(self.known.paths.results());
        }
        let location = Location::caller();
        let Self { known, data, budget, tape, .. } = self;
        let Specialization { form, varies, paths, results, .. } = &mut **known;
        let (tensors, integers) = (&data.tensors[..], &data.integers[..]);
        let mut of =
            BoundFunction { form, varies, tensors, integers, shared: 0, results, prelude, function, tape, location };
        let done = (compiled::<T>().run)(paths, (kind, again), data, &mut of, budget);
        self.data.let_go();
        done
    }

    /// Runs all rows of a derivative at once on the tape, unless runs of the kind `row`, one for each, are better.
    #[track_caller]
    pub fn run_rows<'f>(&mut self, kind: ResultKind, row: ResultKind, function: &Recorded<'f, T, X>) -> Result<bool>
    where
        X: 'f,
    {
        let BatchContext { paths, numbers, mut function, budget, .. } = self.work(0, function);
        let Choice::Run(reason) = paths.choose_for_rows(row, budget) else { return Ok(false) };
        let done = paths.run_eagerly((kind, row), numbers, reason, &mut function, budget);
        self.data.let_go();
        done.map(|()| true)
    }

    /// What runs of many inputs work on, of whose numbers so many are shared.
    #[track_caller]
    pub fn work<'p, 'f>(&'p mut self, shared: usize, function: &'p Recorded<'f, T, X>) -> BatchContext<'p, 'f, T, X>
    where
        X: 'f,
    {
        let location = Location::caller();
        let Self { known, data, budget, tape, .. } = self;
        let Specialization { form, varies, paths, results, .. } = &mut **known;
        let (Data { numbers, tensors, integers, .. }, varies) = (data, &*varies);
        let function = BoundFunction {
            form,
            varies,
            tensors,
            integers,
            shared,
            results,
            prelude: &|_| {},
            function,
            tape,
            location,
        };
        BatchContext { paths, numbers, varies, function, budget }
    }

    /// The results of the last run.
    pub fn results(&self) -> &Data<T> {
        self.known.paths.results()
    }

    /// Lets go of the results, which are in use elsewhere now.
    pub fn release(&mut self) {
        self.known.paths.release();
    }

    /// What the tensors among the results of the last run are for.
    pub fn targets(&self) -> &Targets {
        self.known.paths.targets()
    }

    /// How many results the function has, once that is known.
    pub fn count(&self) -> Option<usize> {
        self.known.results
    }

    pub fn report(&self) -> Report {
        let kept = self.others.iter().fold(self.known.paths.report(), |sum, known| sum.and(known.paths.report()));
        Report { why: self.budget.why, ..kept.and_runs(self.past) }
    }
}

impl<T: Float, X: Inputs<T>> Specialization<T, X> {
    fn of(form: X, data: &Data<T>) -> Self {
        Specialization {
            varies: Varies::of(&form),
            form,
            shapes: data.tensors.iter().map(|tensor| tensor.shape().clone()).collect(),
            settings: data.settings.clone(),
            results: None,
            paths: PathCache::default(),
            bytes: 0,
        }
    }

    /// Whether arguments, and what was read with them, are of this form.
    #[inline]
    fn fits(&self, x: &X, data: &Data<T>) -> bool {
        self.form.has_form_of(x)
            && data.tensors.iter().map(Tensor::shape).eq(&self.shapes)
            && data.settings == self.settings
    }
}
