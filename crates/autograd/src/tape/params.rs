//! The handles of parameters: leaves of the recording, or what a scope puts in their place.

use std::collections::HashSet;
use std::panic::Location;

use super::{LIMIT, Tape};
use crate::error::{Error, ErrorKind};
use crate::float::Float;
use crate::param::{Leaf, Module, Param, Path};
use crate::var::Var;

impl<T: Float> Tape<T> {
    /// A parameter of a model. Its tensor is shared, not copied; asking again gives the same handle. A frozen parameter
    /// is a constant. Within [`with_params`](Self::with_params) the handle is the one that stands for the parameter there.
    ///
    /// # Errors
    /// In a program, one that is trained and no part of the model that is the argument.
    #[track_caller]
    pub fn param(&self, param: &Param<T>) -> Var<'_, T> {
        if let Some(&slot) = self.substitutes.borrow().get(&param.id()) {
            return Var::new(self, slot);
        }
        let tracked = param.is_trainable();
        // One that was frozen or trainable before, and no longer is, gets another handle.
        let known = self.leaves.borrow().get(&param.id()).copied();
        match known.filter(|&slot| self.with_node(slot, |node| node.tracked) == tracked) {
            Some(slot) => Var::new(self, slot),
            None if tracked && self.is_for_program() => {
                let why = "it is trained, and no part of the model that is an argument of the program: pass it in the \
                           model of a `ModelProgram`, or freeze it";
                Var::new(self, self.fail(Error::new("param", ErrorKind::NotReplayable { why: why.into() })))
            }
            None => self.know_param(param),
        }
    }

    /// The handles of all parameters of a module, in the order of its fields, each parameter once: what [`param`](Self::param) gives for each.
    ///
    /// Shapes: each is that of its parameter.
    ///
    /// ```
    /// use autograd::{Param, Tape, Tensor};
    ///
    /// // A step of gradient descent on handles: the model stays as it is.
    /// let model = (Param::new([1.0_f64, 2.0]), Param::new([3.0, 4.0]));
    /// let tape = Tape::new();
    /// let handles = tape.params(&model);
    /// let slopes = (handles[0] * handles[1]).sum().grad(handles.clone());
    /// let moved = handles.iter().zip(slopes).map(|(&w, slope)| (w - 0.1 * slope).value()).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(moved, [Tensor::from([0.7, 1.6]), Tensor::from([2.9, 3.8])]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn params(&self, module: &(impl Module<T> + ?Sized)) -> Vec<Var<'_, T>> {
        let params = params_of(module);
        let mut handles = Vec::with_capacity(params.len());
        for param in params {
            handles.push(self.param(param));
        }
        handles
    }

    /// Runs `f`, in which each parameter of a module is a handle that was computed, instead of a leaf of the recording: layers run
    /// with weights that are a function of something else, unchanged.
    ///
    /// The handles stand in the order of the module's fields, one for each parameter, as [`params`](Self::params) gives them. Gradients flow to what
    /// they were computed from, through any operations and in any order of derivative, and not to the parameters, unless one of the
    /// handles was computed from these. So weight normalisation, an inner step of meta-learning or a network that makes the
    /// weights of another are plain code; also in a [`ModelProgram`](crate::ModelProgram).
    ///
    /// The module may be a part of the model, down to a single parameter. Scopes nest: within an inner one its handles stand for
    /// its parameters, and after it, whether or not it panics, the outer ones again. Buffers, counters and generators are those of
    /// the module.
    ///
    /// ```
    /// use autograd::{Param, Tape};
    ///
    /// // Weight normalisation: w = g·v/‖v‖.
    /// let (weight, g, v) = (Param::new([0.0_f64, 0.0]), Param::new([5.0]), Param::new([3.0, 4.0]));
    /// let tape = Tape::new();
    /// let layer = || tape.param(&weight).sum();
    /// let v_on_tape = tape.param(&v);
    /// let w = tape.param(&g) * v_on_tape / v_on_tape.norm(2.0);
    /// let y = tape.with_params(&weight, &[w], layer);
    /// assert_eq!((y.value()?, layer().value()?), (7.0, 0.0));
    /// let gradients = y.backward()?;
    /// assert!((gradients.of(&g)?.to_vec()[0] - 1.4).abs() < 1e-15);
    /// assert!(gradients.of(&weight).is_err());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// A handle of another shape than its parameter, or on another tape, and another number of handles than of parameters mark the
    /// tape, and the parameter is a failed handle within `f`.
    #[doc(alias = "functional_call")]
    #[track_caller]
    pub fn with_params<'t, R>(
        &'t self,
        module: &(impl Module<T> + ?Sized),
        handles: &[Var<'t, T>],
        f: impl FnOnce() -> R,
    ) -> R {
        let location = Location::caller();
        let params = params_of(module);
        let fits = params.len() == handles.len();
        let unfit = (!fits).then(|| {
            let (expected, found) = (params.len(), handles.len());
            let kind = ErrorKind::Custom(format!("{found} handles are given for {expected} parameters"));
            self.fail(Error::at_line("with_params", kind, location))
        });
        let mut scope = Scope { tape: self, before: Vec::with_capacity(params.len()) };
        for (place, param) in params.iter().enumerate() {
            let substitute = match (unfit, handles.get(place)) {
                (None, Some(&handle)) => self.substitute(param, handle, || name_of(module, param.id())),
                (unfit, _) => Ok(unfit.unwrap_or_default()),
            };
            let slot = substitute.unwrap_or_else(|kind| self.fail(Error::at_line("with_params", kind, location)));
            scope.enter(param.id(), slot);
        }
        f()
    }

    /// The node of a handle that stands for a parameter.
    ///
    /// # Errors
    /// When the handle does not fit the parameter.
    fn substitute(&self, param: &Param<T>, handle: Var<'_, T>, name: impl Fn() -> String) -> Result<u32, ErrorKind> {
        if !std::ptr::eq(handle.tape, self) {
            return Err(ErrorKind::TwoTapes);
        }
        if handle.is_failed() {
            return Ok(handle.slot);
        }
        let (expected, found) = (param.shape(), handle.shape());
        if found != *expected {
            let name =
                Some(name()).filter(|name| !name.is_empty()).map_or(String::new(), |name| format!(" for {name}"));
            return Err(ErrorKind::Custom(format!("the handle{name} must have shape {expected}, found {found}")));
        }
        Ok(handle.slot)
    }

    /// Puts a parameter on the tape.
    #[track_caller]
    pub(crate) fn know_param(&self, param: &Param<T>) -> Var<'_, T> {
        let var = self.leaf(param.value().clone(), param.is_trainable(), Location::caller());
        // Inside a scope without gradients the handle is a constant, and must not become the parameter's handle outside.
        if self.mode.get().recording && var.slot < LIMIT {
            self.leaves.borrow_mut().insert(param.id(), var.slot);
        }
        var
    }

    /// The node that holds a parameter in this recording.
    pub(crate) fn slot_of(&self, param: u64) -> Option<u32> {
        self.leaves.borrow().get(&param).copied()
    }

    /// Shows every parameter on the tape with its node.
    pub(crate) fn for_each_param(&self, mut show: impl FnMut(u64, u32)) {
        self.leaves.borrow().iter().for_each(|(&id, &slot)| show(id, slot));
    }
}

/// What stood for parameters before a scope, which comes back when this is dropped, also where the scope's code unwinds.
struct Scope<'t, T: Float> {
    tape: &'t Tape<T>,
    before: Vec<(u64, Option<u32>)>,
}

impl<T: Float> Scope<'_, T> {
    fn enter(&mut self, param: u64, slot: u32) {
        let before = self.tape.substitutes.borrow_mut().insert(param, slot);
        self.before.push((param, before));
    }
}

impl<T: Float> Drop for Scope<'_, T> {
    fn drop(&mut self) {
        let mut substitutes = self.tape.substitutes.borrow_mut();
        for (param, before) in self.before.drain(..) {
            match before {
                Some(slot) => _ = substitutes.insert(param, slot),
                None => _ = substitutes.remove(&param),
            }
        }
    }
}

/// The parameters in their order; one that a module shows in several places where it stands first.
fn params_of<T: Float>(module: &(impl Module<T> + ?Sized)) -> Vec<&Param<T>> {
    let (mut params, mut known) = (Vec::new(), HashSet::new());
    module.visit(&Path::root(), &mut |_: &Path<'_>, leaf| {
        if let Leaf::Param(param) = leaf
            && known.insert(param.id())
        {
            params.push(param);
        }
    });
    params
}

/// The name of a parameter of a module: the first place in which it stands.
fn name_of<T: Float>(module: &(impl Module<T> + ?Sized), id: u64) -> String {
    let mut name = None;
    module.visit(&Path::root(), &mut |path: &Path<'_>, leaf: Leaf<'_, T>| match leaf {
        Leaf::Param(param) if param.id() == id && name.is_none() => name = Some(path.to_string()),
        _ => {}
    });
    name.unwrap_or_default()
}
