//! What a rule remembers of each parameter, by its place in the order of the model.

use std::panic::Location;

use autograd::{Error, Float, Gradients, LeafMut, Module, Param, Path, Result, Rule, Shape, Tensor};

/// The state of a rule with at most `N` tensors for each parameter.
#[derive(Debug, Clone)]
pub(crate) struct State<T: Float, const N: usize> {
    slots: Vec<Slot<T, N>>,
}

/// The state of one parameter.
#[derive(Debug, Clone)]
struct Slot<T: Float, const N: usize> {
    shape: Shape,
    /// Steps that it took: those in which it had a gradient.
    steps: u64,
    /// Empty before the first step, and where the settings of the rule need none.
    tensors: [Tensor<T>; N],
}

impl<T: Float, const N: usize> Default for State<T, N> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

/// One parameter, as a rule sees it in one step.
pub(crate) struct Step<'a, T: Float, const N: usize> {
    pub param: &'a mut Param<T>,
    pub gradient: &'a Tensor<T>,
    /// Counts from one.
    pub step: u64,
    pub state: &'a mut [Tensor<T>; N],
}

impl<T: Float, const N: usize> State<T, N> {
    /// Calls `update` for every trainable parameter with a gradient; `initial` gives the values its tensors of state
    /// start with, `None` for one that is not needed.
    #[track_caller]
    pub fn advance(
        &mut self,
        model: &mut dyn Module<T>,
        gradients: &Gradients<T>,
        initial: [Option<f64>; N],
        update: impl Fn(Step<'_, T, N>) -> Result<()>,
    ) -> Result<()> {
        let site = Location::caller();
        let is_first = self.slots.is_empty();
        let (mut place, mut result) = (0, Ok(()));
        let mut visit = |path: &Path<'_>, leaf: LeafMut<'_, T>| {
            let LeafMut::Param(param) = leaf else { return };
            if is_first {
                let shape = param.shape().clone();
                self.slots.push(Slot { shape, steps: 0, tensors: std::array::from_fn(|_| Tensor::zeros([0])) });
            }
            let slot = self.slots.get_mut(place);
            place += 1;
            if result.is_ok() {
                result = match slot {
                    Some(slot) if slot.shape == *param.shape() => slot.advance(param, gradients, initial, &update),
                    slot => Err(changed(path, param.shape(), slot.map(|slot| &slot.shape), site)),
                };
            }
        };
        model.visit_mut(&Path::root(), &mut visit);
        result?;
        if place < self.slots.len() {
            return Err(fewer(place, self.slots.len(), site));
        }
        Ok(())
    }
}

impl<T: Float, const N: usize> Slot<T, N> {
    fn advance(
        &mut self,
        param: &mut Param<T>,
        gradients: &Gradients<T>,
        initial: [Option<f64>; N],
        update: &impl Fn(Step<'_, T, N>) -> Result<()>,
    ) -> Result<()> {
        let Some(gradient) = gradients.get(param).filter(|_| param.is_trainable()) else { return Ok(()) };
        if self.steps == 0 {
            let start = |x: Option<f64>| x.map(|x| Tensor::full(self.shape.clone(), T::from_f64(x)));
            self.tensors = initial.map(|x| start(x).unwrap_or_else(|| Tensor::zeros([0])));
        }
        self.steps += 1;
        update(Step { param, gradient, step: self.steps, state: &mut self.tensors })
    }
}

#[cold]
fn changed(path: &Path<'_>, found: &Shape, before: Option<&Shape>, site: &'static Location<'static>) -> Error {
    let message = match before {
        Some(before) => format!("the model changed: {path} has shape {found}, and the state at its place {before}"),
        None => format!("the model changed: {path} of shape {found} was not there in earlier steps"),
    };
    Error { op: "step", rule: Rule::Custom(message), site }
}

#[cold]
fn fewer(found: usize, before: usize, site: &'static Location<'static>) -> Error {
    let message = format!("the model changed: it has {found} parameters, and had {before} in earlier steps");
    Error { op: "step", rule: Rule::Custom(message), site }
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
