//! What a reverse sweep found: the gradient of every variable and parameter on the tape.

use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::handle::{Leaf, Source, Wrt};
use crate::kernel::accumulate::accumulate;
use crate::ops::Op;
use crate::param::Param;
use crate::scalar::Scalar;
use crate::tape::{RecordingId, Tape};
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
    /// Where the lists go back to, if there were any.
    pub(crate) spare: Option<Spare<T>>,
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
        self.at(self.params[param].1)
    }

    /// Where the gradient of a node is.
    fn at(&self, slot: u32) -> Option<usize> {
        self.nodes.binary_search_by_key(&slot, |(slot, _)| *slot).ok()
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
#[derive(Clone, Debug)]
pub(crate) struct Spare<T: Float>(Arc<Mutex<Vec<Found<T>>>>);

impl<T: Float> Default for Spare<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Float> Spare<T> {
    /// An empty list, one that has memory if there is one.
    pub fn take(&self) -> Found<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, mut found: Found<T>) {
        found.nodes.clear();
        found.params.clear();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(found);
    }
}

impl<T: Float> Gradients<T> {
    /// The gradient of a variable, a parameter, or any scalar of the recording; or of several, in their form.
    ///
    /// A `Scalar` gives a number, a [`Var`] or a [`Param`] a tensor of its shape. For the gradients of
    /// intermediate tensors see [`Scalar::backward_keeping`](crate::Scalar::backward_keeping).
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let (x, v) = (tape.scalar(3.0), tape.var([1.0, 2.0]));
    /// let (dx, dv) = (v * x).sum().backward()?.of((x, v))?;
    /// assert_eq!((dx, dv.to_vec()), (3.0, vec![3.0, 3.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NoGradient`], with the reason, where none was computed.
    #[track_caller]
    pub fn of<'t, W: Wrt<'t, T>>(&self, x: W) -> Result<W::Value> {
        let location = Location::caller();
        x.each(&mut |leaf| self.must_have(leaf, location))?;
        Ok(x.read_from(&Source::Gradients(self)))
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

    /// The gradient of a scalar; zero where the result does not depend on it.
    #[inline]
    pub(crate) fn number(&self, x: Scalar<'_, T>) -> T {
        self.scalars.as_slice().and_then(|all| all.get(x.index as usize)).copied().unwrap_or(T::ZERO)
    }

    /// The gradient of a variable, if one arrived.
    pub(crate) fn tensor(&self, x: Var<'_, T>) -> Option<Tensor<T>> {
        self.found.at(x.slot).map(|place| self.found.nodes[place].1.clone())
    }

    fn must_have(&self, leaf: Leaf<'_, '_, T>, location: &'static Location<'static>) -> Result<()> {
        let (what, why) = match leaf {
            Leaf::Number(x) => {
                x.ensure()?;
                ("the scalar", self.missing_scalar(x))
            }
            Leaf::Tensor(x) => {
                x.ensure()?;
                ("the tensor", self.missing_tensor(x))
            }
            Leaf::Indices(list) => {
                list.ensure()?;
                ("the list", Some("no derivative is taken of integers"))
            }
            Leaf::Mask(mask) => {
                mask.numbers.ensure()?;
                ("the mask", Some("no derivative is taken of truth values"))
            }
            Leaf::Param(param) => ("the parameter", self.missing_param(param)),
        };
        match why {
            None => Ok(()),
            Some(why) => {
                let kind = ErrorKind::NoGradient { what: what.into(), why: why.into() };
                Err(Error::at_line("gradient", kind, location))
            }
        }
    }

    /// Why these are not the gradients of the recording that is on the tape now.
    fn missing_recording(&self, tape: &Tape<T>) -> Option<&'static str> {
        match tape.id() {
            id if id == self.recording => None,
            id if id.tape == self.recording.tape => Some("it was recorded after the tape had been cleared"),
            _ => Some("it is on another tape"),
        }
    }

    fn missing_scalar(&self, x: Scalar<'_, T>) -> Option<&'static str> {
        match x.recorded_on() {
            Some(tape) => self.missing_recording(tape),
            None => Some("it is a constant"),
        }
    }

    fn missing_tensor(&self, x: Var<'_, T>) -> Option<&'static str> {
        match self.missing_recording(x.tape) {
            None if !x.tape.with_node(x.slot, |node| node.tracked) => Some("it is a constant"),
            None if x.tape.with_node(x.slot, |node| matches!(node.op, Op::Leaf)) => self.missing_node(x.slot),
            None => self.missing_node(x.slot).map(|_| "it is no variable: name it in `backward_keeping`"),
            why => why,
        }
    }

    fn missing_param(&self, param: &Param<T>) -> Option<&'static str> {
        let found = self.found.params.binary_search_by_key(&param.id(), |(id, _)| *id);
        match found.map(|found| self.missing_node(self.found.params[found].1)) {
            Ok(None) => None,
            _ if !param.is_trainable() => Some("it is frozen"),
            Ok(why) => why,
            Err(_) => Some("it is not on the tape"),
        }
    }

    fn missing_node(&self, slot: u32) -> Option<&'static str> {
        self.found.at(slot).is_none().then_some("the result does not depend on it, or only through a constant")
    }
}

impl<T: Float> Drop for Gradients<T> {
    fn drop(&mut self) {
        if let Some(spare) = &self.spare {
            spare.give_back(std::mem::take(&mut self.found));
        }
    }
}
