//! What a rule remembers of each parameter, by its place in the order of the model.
//!
//! A state is a module of buffers and counters, named after the parameters they belong to: what saves and loads models saves and loads
//! states too.

use std::panic::Location;

use autograd::{
    Buffer, Counter, Error, ErrorKind, Float, Gradients, Module, Param, Result, Shape, Tensor,
    module::{Leaf, LeafMut, Path, Visitor, VisitorMut},
};

/// The state of a rule with at most `N` tensors for each parameter.
#[derive(Debug, Clone)]
pub(crate) struct State<T: Float, const N: usize> {
    /// PyTorch's names of the tensors.
    names: [&'static str; N],
    steps: Counter,
    slots: Vec<Slot<T, N>>,
}

/// The state of one parameter.
#[derive(Debug, Clone)]
struct Slot<T: Float, const N: usize> {
    /// The parameter, as the model names it.
    name: String,
    shape: Shape,
    /// Steps that it took: those in which it had a gradient.
    steps: Counter,
    /// Empty where the settings of the rule need none, and for a frozen parameter before its first step.
    tensors: [Buffer<T>; N],
}

/// One parameter, as a rule sees it in one step.
pub(crate) struct Step<'a, T: Float, const N: usize> {
    pub param: &'a mut Param<T>,
    pub gradient: &'a Tensor<T>,
    /// Counts from one.
    pub step: u64,
    pub state: [&'a mut Tensor<T>; N],
}

impl<T: Float, const N: usize> State<T, N> {
    pub fn new(names: [&'static str; N]) -> Self {
        Self { names, steps: Counter::default(), slots: Vec::new() }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// The state before the first step; `initial` gives the values that the tensors of a parameter start with, `None` for
    /// one that is not needed.
    pub fn attach(&mut self, model: &(impl Module<T> + ?Sized), initial: [Option<f64>; N]) {
        *self = Self::new(self.names);
        model.visit(&Path::root(), &mut |path: &Path<'_>, leaf: Leaf<'_, T>| {
            if let Leaf::Param(param) = leaf {
                self.slots.push(Slot::new(path, param, initial));
            }
        });
    }

    /// Calls `update` for every trainable parameter with a gradient; `initial` as for [`attach`](Self::attach).
    #[track_caller]
    pub fn advance(
        &mut self,
        model: &mut dyn Module<T>,
        gradients: &Gradients<T>,
        initial: [Option<f64>; N],
        update: impl Fn(Step<'_, T, N>) -> Result<()>,
    ) -> Result<()> {
        let location = Location::caller();
        if self.slots.is_empty() && self.steps() == 0 {
            self.attach(&*model, initial);
        }
        let (mut place, mut result) = (0, Ok(()));
        let (mut trainable, mut moved) = (0, 0);
        let mut visit = |path: &Path<'_>, leaf: LeafMut<'_, T>| {
            let LeafMut::Param(param) = leaf else { return };
            let slot = self.slots.get_mut(place);
            place += 1;
            trainable += usize::from(param.is_trainable());
            moved += usize::from(param.is_trainable() && gradients.get(param).is_some());
            if result.is_ok() {
                result = match slot {
                    Some(slot) if slot.shape == *param.shape() => {
                        let advanced = slot.advance(param, gradients, initial, &update);
                        advanced.map_err(|error| Error { location, ..error })
                    }
                    slot => Err(changed(path, param.shape(), slot.map(|slot| &slot.shape), location)),
                };
            }
        };
        model.visit_mut(&Path::root(), &mut visit);
        result?;
        if place < self.slots.len() {
            return Err(fewer(place, self.slots.len(), location));
        }
        if trainable > 0 && moved == 0 {
            return Err(unmoved(location));
        }
        self.steps.increment();
        Ok(())
    }
}

impl<T: Float, const N: usize> Slot<T, N> {
    fn new(path: &Path<'_>, param: &Param<T>, initial: [Option<f64>; N]) -> Self {
        let nothing = initial.map(|_| Buffer::new(Tensor::zeros([0])));
        let (name, shape) = (path.to_string(), param.shape().clone());
        let mut slot = Self { name, shape, steps: Counter::default(), tensors: nothing };
        if param.is_trainable() {
            slot.start(initial);
        }
        slot
    }

    /// Gives the tensors that have no elements yet their first ones.
    fn start(&mut self, initial: [Option<f64>; N]) {
        for (tensor, initial) in self.tensors.iter().zip(initial) {
            if let Some(initial) = initial.filter(|_| *tensor.value().shape() != self.shape) {
                tensor.set(Tensor::full(self.shape.clone(), T::from_f64(initial)));
            }
        }
    }

    fn advance(
        &mut self,
        param: &mut Param<T>,
        gradients: &Gradients<T>,
        initial: [Option<f64>; N],
        update: &impl Fn(Step<'_, T, N>) -> Result<()>,
    ) -> Result<()> {
        let Some(gradient) = gradients.get(param).filter(|_| param.is_trainable()) else { return Ok(()) };
        let step = self.steps.increment();
        if step == 1 {
            self.start(initial);
        }
        update(Step { param, gradient, step, state: self.tensors.each_mut().map(Buffer::value_mut) })
    }
}

impl<T: Float, const N: usize> Module<T> for State<T, N> {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(&path.field("steps"), Leaf::Counter(&self.steps));
        for slot in &self.slots {
            let path = path.field(&slot.name);
            visitor.leaf(&path.field("step"), Leaf::Counter(&slot.steps));
            for (name, tensor) in self.names.iter().zip(&slot.tensors).filter(|(_, tensor)| !tensor.value().is_empty())
            {
                visitor.leaf(&path.field(name), Leaf::Buffer(tensor));
            }
        }
    }

    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        visitor.leaf(&path.field("steps"), LeafMut::Counter(&mut self.steps));
        for slot in &mut self.slots {
            let path = path.field(&slot.name);
            visitor.leaf(&path.field("step"), LeafMut::Counter(&mut slot.steps));
            let tensors = self.names.iter().zip(&mut slot.tensors);
            for (name, tensor) in tensors.filter(|(_, tensor)| !tensor.value().is_empty()) {
                visitor.leaf(&path.field(name), LeafMut::Buffer(tensor));
            }
        }
    }
}

#[cold]
fn changed(path: &Path<'_>, found: &Shape, before: Option<&Shape>, location: &'static Location<'static>) -> Error {
    let message = match before {
        Some(before) => format!("the model changed: {path} has shape {found}, and the state at its place {before}"),
        None => format!("the model changed: {path} of shape {found} was not there in earlier steps"),
    };
    Error::at_line("step", ErrorKind::Custom(message), location)
}

#[cold]
fn unmoved(location: &'static Location<'static>) -> Error {
    let why = "the loss does not depend on it, or the gradients are those of another model".to_string();
    Error::at_line("step", ErrorKind::NoGradient { what: "every parameter of the model".to_string(), why }, location)
}

#[cold]
fn fewer(found: usize, before: usize, location: &'static Location<'static>) -> Error {
    let message = format!("the model changed: it has {found} parameters, and had {before} in earlier steps");
    Error::at_line("step", ErrorKind::Custom(message), location)
}

#[cfg(test)]
mod tests {
    use crate::{Sgd, SgdConfig};
    use autograd::{Gradients, Param, Tape, Tensor};

    fn params(sizes: &[usize]) -> Vec<Param<f64>> {
        sizes.iter().map(|&n| Param::new(Tensor::ones([n]))).collect()
    }

    fn gradients(model: &[Param<f64>], used: &[usize]) -> Gradients<f64> {
        let tape = Tape::new();
        used.iter().map(|&k| tape.param(&model[k]).sum()).sum::<autograd::Scalar<'_, f64>>().backward().unwrap()
    }

    fn momentum() -> Sgd<f64> {
        Sgd::with_config(SgdConfig { rate: 1.0, momentum: 0.5, ..SgdConfig::default() })
    }

    #[test]
    fn a_step_that_moves_nothing_is_an_error() {
        let (mut model, other, mut sgd) = (params(&[1, 2]), params(&[1, 2]), momentum());
        let error = sgd.step(&mut model, &gradients(&other, &[0, 1])).unwrap_err();
        assert!(error.to_string().starts_with("step: every parameter of the model has no gradient: "), "{error}");
        assert_eq!(sgd.steps(), 0);
        let found = gradients(&model, &[0]);
        model.iter_mut().for_each(Param::freeze);
        assert!(sgd.step(&mut model, &found).is_ok());
    }

    #[test]
    fn what_has_no_gradient_stays_with_its_state() {
        let (mut model, mut sgd) = (params(&[1, 1]), momentum());
        for used in [&[0, 1][..], &[0], &[0, 1]] {
            let gradients = gradients(&model, used);
            sgd.step(&mut model, &gradients).unwrap();
        }
        assert_eq!(model[0].value().to_vec(), [1.0 - 1.0 - 1.5 - 1.75]);
        assert_eq!(model[1].value().to_vec(), [1.0 - 1.0 - 1.5]);
    }

    #[test]
    fn frozen_parameters_stay() {
        let (mut model, mut sgd) = (params(&[1, 1]), momentum());
        let gradients = gradients(&model, &[0, 1]);
        model[0].freeze();
        sgd.step(&mut model, &gradients).unwrap();
        assert_eq!((model[0].value().to_vec(), model[1].value().to_vec()), (vec![1.0], vec![0.0]));
    }

    #[test]
    fn another_model_is_an_error_that_names_the_place() {
        let mut sgd = momentum();
        let step = |sgd: &mut Sgd<f64>, sizes: &[usize]| {
            let mut model = params(sizes);
            let gradients = gradients(&model, &[0]);
            sgd.step(&mut model, &gradients).map_err(|error| error.to_string())
        };
        step(&mut sgd, &[2, 3]).unwrap();
        let text = step(&mut sgd, &[2, 4]).unwrap_err();
        assert!(
            text.starts_with("step: the model changed: 1 has shape [4], and the state at its place [3], at "),
            "{text}"
        );
        let text = step(&mut sgd, &[2]).unwrap_err();
        assert!(text.starts_with("step: the model changed: it has 1 parameters, and had 2 in earlier steps"), "{text}");
        let text = step(&mut sgd, &[2, 3, 5]).unwrap_err();
        assert!(text.starts_with("step: the model changed: 2 of shape [5] was not there in earlier steps"), "{text}");
        assert!(text.contains("state.rs"), "{text}");
    }
}
