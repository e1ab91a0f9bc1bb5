//! `ModelProgram`: the loss of a model and its gradients, recorded once.

use std::cell::RefCell;
use std::panic::Location;

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::gradients::{Gradients, Spare};
use crate::handle::{Source, Wrt};
use crate::operation::no_operand;
use crate::param::{Generator, Leaf, Mode, Module, Param, Path};
use crate::program::Report;
use crate::program::data::{Data, Ends, Parts, put};
use crate::program::trace::budget::Forced;
use crate::program::trace::cache::{ResultKind, Targets};
use crate::program::trace::record::Prelude;
use crate::program::trace::signature::SignatureCache;
use crate::scalar::Scalar;
use crate::tape::counter::count;
use crate::tape::{RecordingId, Tape};
use crate::tensor::Tensor;
use crate::transform::Inputs;

/// The loss of a model on a batch, recorded once: a training step that is replayed.
///
/// The model is an argument, so an update rule may change it between the steps. Dropout draws a new mask in every run, that
/// of attention weights a new seed, and layers that keep running averages update them.
///
/// Everything that the model shows as a [`Module`] is followed. The values of parameters, buffers and counters are arguments. All else is
/// part of its form, as the shapes of a batch are: which parameters are frozen, whether layers train, and every
/// [`Setting`](crate::module::Setting), such as an ε, a flag or the variant of an enum. Another form is recorded when it is met. As
/// many as 16 are kept; beyond, the one that was not used for longest is forgotten, and recorded again when it comes back. So
/// a number that is another one in every step belongs in a [`Buffer`](crate::Buffer), a [`Counter`](crate::Counter) or the batch.
///
/// ```
/// use autograd::{Gradients, ModelProgram, Param, Tensor};
///
/// let mut weight = Param::new(Tensor::from([1.0_f32, -1.0]));
/// let batch = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([3.0, 7.0]));
/// let mut step = ModelProgram::record(&weight, &batch, |weight: &Param, tape, (x, y)| {
///     (x.matmul(tape.param(weight)) - y).square().mean()
/// })?;
/// for _ in 0..100 {
///     let (_loss, gradients) = step.value_and_gradients(&weight, &batch)?;
///     let slope = gradients.of(&weight)?.mul(0.05)?;
///     weight.set(weight.value().sub(&slope)?)?;
/// }
/// assert!(step.value(&weight, &batch)? < 0.1);
/// assert_eq!(step.report().recordings, 2);
/// # Ok::<(), autograd::Error>(())
/// ```
pub struct ModelProgram<'f, T: Float, M, X: Inputs<T>, A: Inputs<T> = ()> {
    function: Function<'f, T, M, X, A>,
    forms: SignatureCache<T, X>,
    /// Results beside the loss, in their form, once that is known.
    auxiliary: Option<A>,
    /// Lists of gradients that have been used.
    spare: Spare<T>,
}

type Function<'f, T, M, X, A> = Box<Recorded<'f, T, M, X, A>>;
type Recorded<'f, T, M, X, A> =
    dyn for<'t> Fn(&M, &'t Tape<T>, <X as Inputs<T>>::Handles<'t>) -> Results<'t, T, A> + 'f;
type Results<'t, T, A> = (Scalar<'t, T>, <A as Inputs<T>>::Handles<'t>);

impl<'f, T: Float, M: Module<T>, X: Inputs<T> + 'f> ModelProgram<'f, T, M, X> {
    /// Records `f` of a model at `x`, by shapes alone as long as `f` looks at no value. No parameter, buffer, counter or generator
    /// changes.
    ///
    /// # Errors
    /// As [`Program::record`](crate::Program::record).
    #[track_caller]
    pub fn record(
        model: &M,
        x: &X,
        f: impl for<'t> Fn(&M, &'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T> + 'f,
    ) -> Result<Self> {
        Self::record_aux(model, x, move |model, tape, x| (f(model, tape, x), ()))
    }
}

impl<'f, T: Float, M: Module<T>, X: Inputs<T> + 'f, A: Inputs<T>> ModelProgram<'f, T, M, X, A> {
    /// As [`record`](ModelProgram::record), of a function with results beside the loss: predictions, parts of the loss,
    /// metrics. No derivative is taken of them; [`value_aux`](Self::value_aux) and
    /// [`value_and_gradients_aux`](Self::value_and_gradients_aux) hand them out.
    ///
    /// Their type `A` is what the handles stand for (numbers, tensors, indices, masks, and trees of them); it must be written,
    /// as the compiler cannot find it from the handles. Each run has as many of them, in the same places; tensors among them
    /// may have another shape in each run.
    ///
    /// ```
    /// use autograd::{ModelProgram, Param, Tensor};
    ///
    /// let weight = Param::new(Tensor::from([2.0_f32, -1.0]));
    /// let batch = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([1.0, 2.0]));
    /// let mut step: ModelProgram<_, _, _, (Tensor, Tensor<usize>)> =
    ///     ModelProgram::record_aux(&weight, &batch, |weight: &Param, tape, (x, y)| {
    ///         let scores = x.matmul(tape.param(weight));
    ///         ((scores - y).square().mean(), (scores, scores.argmax(0)))
    ///     })?;
    /// let (loss, (scores, best), gradients) = step.value_and_gradients_aux(&weight, &batch)?;
    /// assert_eq!((loss, scores.to_vec(), best.to_vec()), (0.5, vec![0.0, 2.0], vec![1]));
    /// assert_eq!(gradients.of(&weight)?.to_vec(), [-1.0, -2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`record`](ModelProgram::record), and when a result beside the loss has failed.
    #[track_caller]
    pub fn record_aux(
        model: &M,
        x: &X,
        f: impl for<'t> Fn(&M, &'t Tape<T>, X::Handles<'t>) -> (Scalar<'t, T>, A::Handles<'t>) + 'f,
    ) -> Result<Self> {
        let (function, forms, spare): (Function<'f, T, M, X, A>, _, _) =
            (Box::new(f), SignatureCache::new(x), Spare::default());
        let mut program = ModelProgram { function, forms, auxiliary: None, spare };
        program.with_function(model, x, |forms, prelude, function| forms.record(prelude, function))?;
        Ok(program)
    }

    /// f of the model and `x`.
    ///
    /// # Errors
    /// As [`Program::value`](crate::Program::value).
    #[track_caller]
    pub fn value(&mut self, model: &M, x: &X) -> Result<T> {
        self.run(ResultKind::Value, model, x)?;
        self.write_back(model);
        Ok(self.forms.results().numbers[0])
    }

    /// f of the model and `x`: the loss, and the results beside it.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn value_aux(&mut self, model: &M, x: &X) -> Result<(T, A)> {
        let value = self.value(model, x)?;
        Ok((value, self.auxiliary(0)?))
    }

    /// f of the model and `x`, and its gradients with respect to the parameters of the model.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn value_and_gradients(&mut self, model: &M, x: &X) -> Result<(T, Gradients<T>)> {
        let found = self.derive(model, x)?;
        self.forms.release();
        Ok(found)
    }

    /// As [`value_and_gradients`](Self::value_and_gradients), with the results beside the loss.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn value_and_gradients_aux(&mut self, model: &M, x: &X) -> Result<(T, A, Gradients<T>)> {
        let (value, gradients) = self.derive(model, x)?;
        let auxiliary = self.auxiliary(self.forms.targets().reached.len());
        self.forms.release();
        Ok((value, auxiliary?, gradients))
    }

    #[track_caller]
    fn derive(&mut self, model: &M, x: &X) -> Result<(T, Gradients<T>)> {
        self.run(ResultKind::Params, model, x)?;
        self.write_back(model);
        let (results, reached) = (self.forms.results(), &self.forms.targets().reached);
        let mut found = self.spare.take();
        let mut place = 0;
        let mut reached = reached.iter().zip(&results.tensors).peekable();
        each_param(model, &mut |param| {
            if param.is_trainable() {
                if let Some((_, gradient)) = reached.next_if(|(at, _)| **at == place) {
                    found.nodes.push((place, gradient.clone()));
                    found.params.push((param.id(), place));
                }
                place += 1;
            }
        });
        found.params.sort_unstable_by_key(|(id, _)| *id);
        let value = results.numbers[0];
        let gradients = Gradients {
            recording: RecordingId::NONE,
            scalars: Tensor::zeros([0]),
            found,
            spare: Some(self.spare.clone()),
        };
        Ok((value, gradients))
    }

    /// The results of the last run beside the loss, whose tensors begin behind so many gradients.
    #[track_caller]
    fn auxiliary(&self, gradients: usize) -> Result<A> {
        let Data { numbers, tensors, integers, .. } = self.forms.results();
        let Some(mut auxiliary) = self.auxiliary.clone() else { return Err(no_operand()) };
        put(&mut auxiliary, Parts { numbers: &numbers[1..], tensors: &tensors[gradients..], integers });
        Ok(auxiliary)
    }

    /// As [`Program::always_replayed`](crate::Program::always_replayed).
    ///
    /// ```
    /// use autograd::{ModelProgram, Param, Tensor};
    ///
    /// let weight = Param::new(Tensor::from([1.0_f32, -1.0]));
    /// let batch = |n: usize| Tensor::<f32>::ones([n, 2]);
    /// let step = ModelProgram::record(&weight, &batch(1), |weight: &Param, tape, x| x.matmul(tape.param(weight)).sum())?;
    /// let mut step = step.always_replayed();
    /// for n in 1..=5 {
    ///     step.value(&weight, &batch(n))?;
    /// }
    /// assert_eq!((step.report().recordings, step.report().eager), (5, 0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    pub fn always_replayed(mut self) -> Self {
        self.forms.budget.forced = Some(Forced::Replay);
        self
    }

    /// What the program is made of, and what it cost to keep it right.
    pub fn report(&self) -> Report {
        self.forms.report()
    }

    #[track_caller]
    fn run(&mut self, kind: ResultKind, model: &M, x: &X) -> Result<()> {
        self.with_function(model, x, |forms, prelude, function| forms.run_after(kind, prelude, function).map(|_| ()))
    }

    /// Takes the model and `x` apart, and gives the function of the arguments alone to `f`.
    #[track_caller]
    fn with_function(
        &mut self,
        model: &M,
        x: &X,
        f: impl FnOnce(&mut SignatureCache<T, X>, &Prelude<'_, T>, &crate::program::Recorded<'_, T, X>) -> Result<()>,
    ) -> Result<()> {
        let data = &mut self.forms.data;
        data.clear();
        data.take(x);
        each_leaf(model, &mut |leaf| data.take_leaf(leaf));
        self.forms.find(x);
        let (function, form, location) = (&self.function, RefCell::new(self.auxiliary.take()), Location::caller());
        let recorded: &crate::program::Recorded<'_, T, X> = &|tape, x| {
            let (loss, auxiliary) = function(model, tape, x);
            let ends = Ends::loss(loss, &auxiliary)?;
            let found = auxiliary.read_from(&Source::Form);
            // No path is kept whose results would be read in the form of others.
            if form.borrow_mut().get_or_insert_with(|| found.clone()).has_form_of(&found) {
                return Ok(ends);
            }
            let why = "the results beside the loss are others than at first: as many are expected, in the same places";
            Err(Error::at_line("program", ErrorKind::NotReplayable { why: why.into() }, location))
        };
        let done = f(&mut self.forms, &|tape| put_on(tape, model), recorded);
        self.auxiliary = form.into_inner();
        done
    }

    /// Gives the buffers that the run has changed their new values, counters what it has counted, and takes from generators what it
    /// has drawn.
    fn write_back(&self, model: &M) {
        let Targets { written, counted, drawn, .. } = self.forms.targets();
        let tensors = &self.forms.results().tensors;
        let new = &tensors[tensors.len() - written.len()..];
        let (mut buffers, mut counts, mut draws) = (0, counted.iter(), drawn.iter());
        each_leaf(model, &mut |leaf| match leaf {
            Leaf::Buffer(buffer) => {
                if let Some(found) = written.iter().position(|&at| at == buffers) {
                    buffer.set(new[found].clone());
                }
                buffers += 1;
            }
            Leaf::Counter(counter) => _ = counter.add(counts.next().copied().unwrap_or(0)),
            Leaf::Generator(generator) => _ = generator.take(draws.next().copied().unwrap_or(0)),
            _ => {}
        });
    }
}

impl<T: Float> Data<T> {
    /// Appends a leaf of a model: its value is an argument, all else about it is part of the form.
    fn take_leaf(&mut self, leaf: Leaf<'_, T>) {
        self.settings.push(match &leaf {
            Leaf::Param(param) => param.is_trainable().into(),
            Leaf::Buffer(_) => 2,
            Leaf::Counter(_) => 3,
            Leaf::Mode(Mode::Train) => 4,
            Leaf::Mode(Mode::Eval) => 5,
            Leaf::Setting(_) => 6,
            Leaf::Generator(_) => 7,
        });
        match leaf {
            Leaf::Param(param) => self.tensors.push(param.value().clone()),
            Leaf::Buffer(buffer) => self.tensors.push(buffer.value()),
            Leaf::Counter(counter) => self.tensors.push(count(counter)),
            Leaf::Generator(generator) => self.integers.push(state_of(generator)),
            Leaf::Mode(_) => {}
            Leaf::Setting(setting) => setting.write(&mut self.settings),
        }
    }
}

/// Puts all parameters, buffers, counters and generators of a model on a tape.
fn put_on<T: Float, M: Module<T>>(tape: &Tape<T>, model: &M) {
    each_leaf(model, &mut |leaf| match leaf {
        Leaf::Param(param) => _ = tape.know_param(param),
        Leaf::Buffer(buffer) => tape.know_buffer(buffer),
        Leaf::Counter(counter) => tape.know_counter(counter),
        Leaf::Generator(generator) => tape.know_generator(generator, state_of(generator)),
        Leaf::Mode(_) | Leaf::Setting(_) => {}
    });
}

/// Shows every leaf, a parameter only once.
fn each_leaf<'m, T: Float, M: Module<T>>(model: &'m M, show: &mut dyn FnMut(Leaf<'m, T>)) {
    let mut known = smallvec::SmallVec::<[u64; 32]>::new();
    model.visit(&Path::root(), &mut |_: &Path<'_>, leaf: Leaf<'m, T>| {
        if let Leaf::Param(param) = leaf {
            if known.contains(&param.id()) {
                return;
            }
            known.push(param.id());
        }
        show(leaf);
    });
}

fn each_param<'m, T: Float, M: Module<T>>(model: &'m M, show: &mut dyn FnMut(&'m Param<T>)) {
    each_leaf(model, &mut |leaf| {
        if let Leaf::Param(param) = leaf {
            show(param);
        }
    });
}
/// What the next seeds of a generator follow from.
fn state_of(generator: &Generator) -> Tensor<usize> {
    [generator.key(), generator.drawn()].into_iter().map(|part| part as usize).collect()
}
