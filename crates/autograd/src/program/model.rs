//! `ModelProgram`: the loss of a model and its gradients, recorded once.

use super::data::Ends;
use super::forms::Forms;
use super::paths::Kind;
use super::{Recorded, Report};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::{Gradients, Spare};
use crate::param::{Buffer, Leaf, Mode, Module, Param, Path};
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::Inputs;

/// The loss of a model on a batch, recorded once: a training step that is replayed.
///
/// The model is an argument, so an update rule may change it between the steps. Parameters that are frozen, layers that are
/// switched between training and use, and batches of other shapes are recorded again when they are met, and kept.
/// Dropout draws a new mask in every run, that of attention weights a new seed, and layers that keep running averages update
/// them.
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
pub struct ModelProgram<'f, T: Float, M, X: Inputs<T>> {
    function: Function<'f, T, M, X>,
    forms: Forms<T, X>,
    /// Lists of gradients that have been used.
    spare: Spare<T>,
}

type Function<'f, T, M, X> = Box<dyn for<'t> Fn(&M, &'t Tape<T>, <X as Inputs<T>>::Handles<'t>) -> Scalar<'t, T> + 'f>;

/// The gradients of a program are of no tape.
const NO_TAPE: u64 = u64::MAX;

impl<'f, T: Float, M: Module<T>, X: Inputs<T> + 'f> ModelProgram<'f, T, M, X> {
    /// Records `f` of a model at `x`. No parameter and no buffer changes; dropout draws its first masks.
    ///
    /// # Errors
    /// The first operation of `f` that fails.
    #[track_caller]
    pub fn record(
        model: &M,
        x: &X,
        f: impl for<'t> Fn(&M, &'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T> + 'f,
    ) -> Result<Self> {
        let mut program = ModelProgram { function: Box::new(f), forms: Forms::new(x), spare: Spare::default() };
        program.run(Kind::Value, model, x)?;
        Ok(program)
    }

    /// f of the model and `x`.
    ///
    /// # Errors
    /// When it is recorded again: as [`record`](Self::record). When there are more paths than a program follows.
    #[track_caller]
    pub fn value(&mut self, model: &M, x: &X) -> Result<T> {
        self.run(Kind::Value, model, x)?;
        self.write_buffers(model);
        Ok(self.forms.results().numbers[0])
    }

    /// f of the model and `x`, and its gradients with respect to the parameters of the model.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn value_and_gradients(&mut self, model: &M, x: &X) -> Result<(T, Gradients<T>)> {
        self.run(Kind::Params, model, x)?;
        self.write_buffers(model);
        let (results, reached) = (self.forms.results(), &self.forms.targets().reached);
        let mut found = self.spare.borrow_mut().pop().unwrap_or_default();
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
        let gradients = Gradients { tape: NO_TAPE, scalars: Tensor::zeros([0]), found, spare: self.spare.clone() };
        self.forms.release();
        Ok((value, gradients))
    }

    /// What the program is made of, and what it cost to keep it right.
    pub fn report(&self) -> Report {
        self.forms.report()
    }

    #[track_caller]
    fn run(&mut self, kind: Kind, model: &M, x: &X) -> Result<()> {
        let data = &mut self.forms.data;
        data.clear();
        data.take(x);
        each_param(model, &mut |param| {
            data.tensors.push(param.value().clone());
            data.settings.push(param.is_trainable());
        });
        each_buffer(model, &mut |buffer| data.tensors.push(buffer.value()));
        each_mode(model, &mut |mode| data.settings.push(mode == Mode::Train));
        self.forms.find(x);
        let function = &self.function;
        let recorded: &Recorded<'_, T, X> = &|tape, x| Ok(Ends::number(function(model, tape, x)));
        self.forms.run_after(kind, &|tape| put_on(tape, model), recorded)?;
        Ok(())
    }

    /// Gives the buffers that the run has changed their new values.
    fn write_buffers(&self, model: &M) {
        let written = &self.forms.targets().written;
        let tensors = &self.forms.results().tensors;
        let new = &tensors[tensors.len() - written.len()..];
        let mut place = 0;
        each_buffer(model, &mut |buffer| {
            if let Some(found) = written.iter().position(|&at| at == place) {
                buffer.set(new[found].clone());
            }
            place += 1;
        });
    }
}

/// Puts all parameters and buffers of a model on a tape.
fn put_on<T: Float, M: Module<T>>(tape: &Tape<T>, model: &M) {
    each_param(model, &mut |param| {
        tape.param(param);
    });
    each_buffer(model, &mut |buffer| tape.know_buffer(buffer, tape.constant(buffer.value()).slot));
}

/// Shows every parameter, once.
fn each_param<'m, T: Float, M: Module<T>>(model: &'m M, show: &mut dyn FnMut(&'m Param<T>)) {
    let mut known = smallvec::SmallVec::<[u64; 32]>::new();
    model.visit(&Path::root(), &mut |_: &Path<'_>, leaf: Leaf<'m, T>| {
        if let Leaf::Param(param) = leaf
            && !known.contains(&param.id())
        {
            known.push(param.id());
            show(param);
        }
    });
}

fn each_buffer<'m, T: Float, M: Module<T>>(model: &'m M, show: &mut dyn FnMut(&'m Buffer<T>)) {
    model.visit(&Path::root(), &mut |_: &Path<'_>, leaf: Leaf<'m, T>| {
        if let Leaf::Buffer(buffer) = leaf {
            show(buffer);
        }
    });
}

fn each_mode<'m, T: Float, M: Module<T>>(model: &'m M, show: &mut dyn FnMut(Mode)) {
    model.visit(&Path::root(), &mut |_: &Path<'_>, leaf: Leaf<'m, T>| {
        if let Leaf::Mode(mode) = leaf {
            show(mode);
        }
    });
}
