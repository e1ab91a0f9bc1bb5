//! Parameters, and the modules that hold them.
//!
//! A [`Param`] is a trainable tensor that lives in a model, without a lifetime. [`Module`] shows what a model holds, so
//! that update rules, files and summaries need to know nothing else of it.

mod containers;
mod counter;
mod generator;
mod module;
mod setting;
mod update;

use std::sync::atomic::{AtomicU64, Ordering};

pub use counter::Counter;
pub use generator::Generator;
pub use module::{Buffer, Leaf, LeafMut, Mode, Module, Path, Visitor, VisitorMut};
pub use setting::{Hashed, Setting};

use crate::error::{Error, Result};
use crate::float::Float;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// A trainable tensor of a model.
///
/// [`Tape::param`](crate::Tape::param) brings it onto a tape without copying; [`Gradients::of`](crate::Gradients::of)
/// finds its gradient. An update never changes a value that a recording still holds.
///
/// ```
/// use autograd::{Param, Tape, Tensor};
///
/// let mut weight = Param::new(Tensor::from([1.0_f32, 2.0]));
/// let tape = Tape::new();
/// let loss = tape.param(&weight).square().sum();
/// let gradients = loss.backward()?;
/// let gradient = gradients.of(&weight)?;
/// weight.set(weight.value().sub(&gradient.mul(0.1)?)?)?;
/// assert_eq!(weight.value().to_vec(), [0.8, 1.6]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug)]
pub struct Param<T: Float = f32> {
    id: u64,
    value: Tensor<T>,
    trainable: bool,
}

impl<T: Float> Param<T> {
    /// A trainable parameter with an initial value.
    pub fn new(value: impl Into<Tensor<T>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), value: value.into(), trainable: true }
    }

    /// The value.
    pub fn value(&self) -> &Tensor<T> {
        &self.value
    }

    /// The size along each axis.
    pub fn shape(&self) -> &Shape {
        self.value.shape()
    }

    /// Replaces the value by one of the same shape.
    ///
    /// # Errors
    /// When the shapes differ; the old value stays.
    #[track_caller]
    pub fn set(&mut self, value: Tensor<T>) -> Result<()> {
        value.shape().must_be("the new value", self.shape()).map_err(Error::at("set"))?;
        self.value = value;
        Ok(())
    }

    /// Whether gradients are computed for it.
    pub fn is_trainable(&self) -> bool {
        self.trainable
    }

    /// From now on a constant: recordings give it no gradient, and update rules leave it alone.
    pub fn freeze(&mut self) {
        self.trainable = false;
    }

    /// Trainable again.
    pub fn unfreeze(&mut self) {
        self.trainable = true;
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

/// A copy is a parameter of its own, with gradients of its own; so is every parameter of a model that is cloned.
///
/// It begins with the same value, frozen if this one is, and shares its elements until one of both is updated.
///
/// ```
/// use autograd::{Param, Tape};
///
/// let weight = Param::new([1.0_f32, 2.0]);
/// let copy = weight.clone();
/// let tape = Tape::new();
/// let gradients = (tape.param(&weight) * 3.0 + tape.param(&copy) * 5.0).sum().backward()?;
/// assert_eq!((gradients.of(&weight)?.to_vec(), gradients.of(&copy)?.to_vec()), (vec![3.0; 2], vec![5.0; 2]));
/// # Ok::<(), autograd::Error>(())
/// ```
impl<T: Float> Clone for Param<T> {
    fn clone(&self) -> Self {
        Self { trainable: self.trainable, ..Self::new(self.value.clone()) }
    }
}

impl<T: Float> From<Tensor<T>> for Param<T> {
    fn from(value: Tensor<T>) -> Self {
        Self::new(value)
    }
}
