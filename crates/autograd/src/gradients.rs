//! What a reverse sweep found: the gradient of every variable and parameter on the tape.

use std::cell::RefCell;
use std::rc::Rc;

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::kernel::accumulate::accumulate;
use crate::param::Param;
use crate::scalar::Scalar;
use crate::tape::{LIMIT, RecordingId, Tape};
use crate::tensor::Tensor;
use crate::var::Var;

/// Gradients of one scalar (or of one seeded tensor) with respect to the variables and parameters of a tape.
///
/// They outlive the recording: [`Tape::clear`](crate::Tape::clear) may come first. What is recorded then has no gradient here, but
/// parameters have.
#[derive(Debug)]
pub struct Gradients<T: Float = f32> {
    pub(crate) recording: RecordingId,
    /// The adjoint of every entry up to the root; zero at the places of nodes.
    pub(crate) scalars: Tensor<T>,
    pub(crate) found: Found<T>,
    /// Where the lists go back to.
    pub(crate) spare: Spare<T>,
}

/// The gradients that were found, by node and by parameter, both ascending.
#[derive(Debug)]
pub(crate) struct Found<T: Float> {
    pub nodes: Vec<(u32, Tensor<T>)>,
    pub params: Vec<(u64, u32)>,
}

impl<T: Float> Default for Found<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), params: Vec::new() }
    }
}

impl<T: Float> Found<T> {
    /// Places of parameters that came from another recording; no recording has so many nodes.
    const FOREIGN: u32 = 1 << 31;

    /// Where the gradient of a parameter is.
    fn place(&self, id: u64) -> Option<usize> {
        let param = self.params.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.nodes.binary_search_by_key(&self.params[param].1, |(slot, _)| *slot).ok()
    }

    fn of_params(&self) -> impl Iterator<Item = (u64, &Tensor<T>)> {
        self.params.iter().filter_map(|&(id, _)| Some((id, &self.nodes[self.place(id)?].1)))
    }

    /// Adds to the gradient of a parameter, whose shape fits.
    fn add(&mut self, id: u64, gradient: &Tensor<T>) {
        if let Some(place) = self.place(id) {
            return accumulate(gradient.view(), self.nodes[place].1.make_mut());
        }
        let slot = self.nodes.last().map_or(0, |(slot, _)| *slot + 1).max(Self::FOREIGN);
        match self.params.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(param) => self.params[param].1 = slot,
            Err(param) => self.params.insert(param, (id, slot)),
        }
        self.nodes.push((slot, gradient.clone()));
    }
}

/// Lists of earlier sweeps that wait for the next one.
pub(crate) type Spare<T> = Rc<RefCell<Vec<Found<T>>>>;

impl<T: Float> Gradients<T> {
    /// The gradient of a variable, a parameter, or any scalar of the recording.
    ///
    /// A `Scalar` gives a number, a [`Var`] or a [`Param`] a tensor of its shape. For the gradients of
    /// intermediate tensors see [`Scalar::backward_keeping`](crate::Scalar::backward_keeping).
    ///
    /// # Errors
    /// [`Rule::NoGradient`], with the reason, where none was computed.
    #[track_caller]
    pub fn of<'g, W: Wrt<'g, T>>(&'g self, x: W) -> Result<W::Gradient> {
        x.find(self)
    }

    /// The gradient of a parameter; `None` where none was computed, for which [`of`](Self::of) knows the reason.
    pub fn get(&self, param: &Param<T>) -> Option<&Tensor<T>> {
        self.found.place(param.id()).map(|place| &self.found.nodes[place].1)
    }

    /// Shows the gradient of every parameter, to be changed, in an order that does not depend on chance.
    ///
    /// ```
    /// use autograd::{Param, Tape, Tensor};
    ///
    /// let weight = Param::new(Tensor::from([1.0_f32, 2.0]));
    /// let tape = Tape::new();
    /// let mut gradients = tape.param(&weight).square().sum().backward()?;
    /// gradients.for_each_param_mut(|gradient| gradient.as_mut_slice().iter_mut().for_each(|g| *g = g.min(3.0)));
    /// assert_eq!(gradients.of(&weight)?.to_vec(), [2.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    pub fn for_each_param_mut(&mut self, mut change: impl FnMut(&mut Tensor<T>)) {
        let Found { nodes, params } = &mut self.found;
        for (_, slot) in params.iter() {
            if let Ok(found) = nodes.binary_search_by_key(slot, |(slot, _)| *slot) {
                change(&mut nodes[found].1);
            }
        }
    }

    /// Adds the gradients of another recording's parameters to these: one step for several small batches.
    ///
    /// Divide each loss by the number of batches for the gradient of their mean.
    ///
    /// ```
    /// use autograd::{Param, Tape, Tensor};
    ///
    /// let weight = Param::new(Tensor::from([1.0_f32, 2.0]));
    /// let mut tape = Tape::new();
    /// let mut sum = tape.param(&weight).square().sum().backward()?;
    /// tape.clear();
    /// sum.accumulate(&tape.param(&weight).sum().backward()?)?;
    /// assert_eq!(sum.of(&weight)?.to_vec(), [3.0, 5.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a parameter has another shape there; these gradients are then as they were.
    #[track_caller]
    pub fn accumulate(&mut self, more: &Self) -> Result<()> {
        for (id, gradient) in more.found.of_params() {
            if let Some(place) = self.found.place(id) {
                let expected = self.found.nodes[place].1.shape();
                gradient.shape().must_be("a gradient", expected).map_err(Error::at("accumulate"))?;
            }
        }
        more.found.of_params().for_each(|(id, gradient)| self.found.add(id, gradient));
        Ok(())
    }

    /// # Errors
    /// When they are not those of the recording that is on the tape now, where `what` is.
    #[track_caller]
    fn must_be_of(&self, tape: &Tape<T>, what: &str) -> Result<()> {
        match tape.id() {
            id if id == self.recording => Ok(()),
            id if id.tape == self.recording.tape => missing(what, "it was recorded after the tape had been cleared"),
            _ => missing(what, "it is on another tape"),
        }
    }

    fn has(&self, slot: u32) -> bool {
        self.found.nodes.binary_search_by_key(&slot, |(slot, _)| *slot).is_ok()
    }

    #[track_caller]
    fn node(&self, slot: u32, what: &str) -> Result<&Tensor<T>> {
        match self.found.nodes.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(found) => Ok(&self.found.nodes[found].1),
            Err(_) => missing(what, "the result does not depend on it, or only through a constant"),
        }
    }
}

#[track_caller]
fn missing<R>(what: &str, why: &str) -> Result<R> {
    Err(Error::new("gradient", Rule::NoGradient { what: what.into(), why: why.into() }))
}

impl<T: Float> Drop for Gradients<T> {
    fn drop(&mut self) {
        let mut found = std::mem::take(&mut self.found);
        found.nodes.clear();
        found.params.clear();
        self.spare.borrow_mut().push(found);
    }
}

/// What a gradient can be asked of.
pub trait Wrt<'g, T: Float> {
    /// What the gradient is.
    type Gradient;

    #[doc(hidden)]
    #[track_caller]
    fn find(self, gradients: &'g Gradients<T>) -> Result<Self::Gradient>;
}

impl<'g, T: Float> Wrt<'g, T> for &Param<T> {
    type Gradient = &'g Tensor<T>;

    #[track_caller]
    fn find(self, gradients: &'g Gradients<T>) -> Result<&'g Tensor<T>> {
        match gradients.found.params.binary_search_by_key(&self.id(), |(id, _)| *id) {
            Ok(found) if self.is_trainable() || gradients.has(gradients.found.params[found].1) => {
                gradients.node(gradients.found.params[found].1, "the parameter")
            }
            Err(_) if self.is_trainable() => missing("the parameter", "it is not on the tape"),
            _ => missing("the parameter", "it is frozen"),
        }
    }
}

impl<'g, T: Float> Wrt<'g, T> for Var<'_, T> {
    type Gradient = &'g Tensor<T>;

    #[track_caller]
    fn find(self, gradients: &'g Gradients<T>) -> Result<&'g Tensor<T>> {
        self.ensure()?;
        gradients.must_be_of(self.tape, "the tensor")?;
        if !self.tape.with_node(self.slot, |node| node.tracked) {
            return missing("the tensor", "it is a constant");
        }
        gradients.node(self.slot, "the tensor")
    }
}

impl<T: Float> Wrt<'_, T> for Scalar<'_, T> {
    type Gradient = T;

    #[track_caller]
    fn find(self, gradients: &Gradients<T>) -> Result<T> {
        self.ensure()?;
        let Some(tape) = self.tape.filter(|_| self.index < LIMIT) else {
            return missing("the scalar", "it is a constant");
        };
        gradients.must_be_of(tape, "the scalar")?;
        let found = gradients.scalars.as_slice().and_then(|all| all.get(self.index as usize));
        Ok(found.copied().unwrap_or(T::ZERO))
    }
}
