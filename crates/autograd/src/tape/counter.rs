//! Counters of a model on a tape: their counts are data.

use super::Tape;
use crate::error::{Error, ErrorKind};
use crate::float::Float;
use crate::param::Counter;
use crate::tensor::Tensor;
use crate::var::{Term, Var};

/// A counter of the model that a program is recorded of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counting {
    counter: *const Counter,
    /// The node of the count with which a run begins.
    slot: u32,
    /// How often a run counts.
    pub times: u64,
}

impl<T: Float> Tape<T> {
    /// The count of a model's counter, as data, rounded to the type of number: beyond 2²⁴ counts in `f32`, whose last bit then
    /// may differ between a tape and a program.
    ///
    /// Shapes: no axes.
    #[track_caller]
    pub fn counter(&self, counter: &Counter) -> Var<'_, T> {
        match self.counting(counter) {
            Some((_, Counting { slot, times: 0, .. })) => Var::new(self, slot),
            Some((_, Counting { slot, times, .. })) => Var::new(self, slot) + Term::Number(number(times)),
            None => self.constant(count(counter)),
        }
    }

    /// Counts one more; in a [`ModelProgram`](crate::ModelProgram) every run does.
    ///
    /// ```
    /// use autograd::{Counter, ModelProgram, Tape};
    ///
    /// let runs = Counter::default();
    /// let mut program = ModelProgram::record(&runs, &2.0_f32, |runs: &Counter, tape, x| {
    ///     tape.count(runs);
    ///     x * tape.counter(runs).item()
    /// })?;
    /// assert_eq!([program.value(&runs, &2.0)?, program.value(&runs, &2.0)?], [2.0, 4.0]);
    /// assert_eq!(runs.get(), 2);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// In a program of which the model is no argument.
    #[track_caller]
    pub fn count(&self, counter: &Counter) {
        if self.is_of_shapes() {
            return;
        }
        if !self.is_for_program() {
            counter.increment();
            return;
        }
        match self.counting(counter) {
            Some((place, counting)) => {
                let times = counting.times + 1;
                self.guards.borrow_mut().counters[place] = Counting { times, ..counting };
            }
            None => {
                let why = "a layer counts; `ModelProgram` takes the model as an argument".to_string();
                self.fail(Error::new("count", ErrorKind::NotReplayable { why }));
            }
        }
    }

    /// Puts a counter of the model that a program is recorded of on the tape.
    pub(crate) fn know_counter(&self, counter: &Counter) {
        let slot = self.constant(count(counter)).slot;
        self.guards.borrow_mut().counters.push(Counting { counter, slot, times: 0 });
    }

    /// A counter of the model that a program is recorded of, with its place among them.
    fn counting(&self, counter: &Counter) -> Option<(usize, Counting)> {
        let guards = self.guards.borrow();
        let place = guards.counters.iter().position(|known| std::ptr::eq(known.counter, counter))?;
        Some((place, guards.counters[place]))
    }
}

/// The count as the tensor that a program takes.
pub(crate) fn count<T: Float>(counter: &Counter) -> Tensor<T> {
    Tensor::scalar(number(counter.get()))
}

fn number<T: Float>(count: u64) -> T {
    T::from_f64(count as f64)
}
