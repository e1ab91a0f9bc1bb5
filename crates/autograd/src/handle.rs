//! Trees of handles: what a derivative can be taken with respect to on a recording.

use std::collections::BTreeMap;
use std::panic::Location;

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::forward::Tangents;
use crate::gradients::Gradients;
use crate::indices::Indices;
use crate::mask::Mask;
use crate::param::Param;
use crate::reverse::recorded::Adjoints;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;

/// What a gradient can be asked of: a [`Scalar`], a [`Var`], a parameter, or an array, vector, tuple, option or ordered map of such.
pub trait Wrt<'t, T: Float> {
    /// The plain data behind it: a number, a tensor, or an array, vector, tuple, option or ordered map of such.
    type Value;

    /// Shows every leaf in order, up to the first that is refused.
    #[doc(hidden)]
    fn each(&self, see: &mut dyn FnMut(Leaf<'_, 't, T>) -> Result<()>) -> Result<()>;

    /// Plain data in the form of this.
    #[doc(hidden)]
    fn read_from(self, source: &Source<'_, T>) -> Self::Value;
}

/// A [`Scalar`], a [`Var`], [`Indices`], a [`Mask`], or an array, vector, tuple, option or ordered map of such.
pub trait Handle<'t, T: Float>: Wrt<'t, T> + Clone {
    /// Other handles in the form of this.
    #[doc(hidden)]
    fn replace_by(self, by: &Replacement<'_, 't, T>) -> Self;

    /// Has the handles move along a direction.
    #[doc(hidden)]
    fn set_tangents(self, along: Self::Value, direction: &mut Direction<'_, T>) -> Result<()>;
}

/// Arguments that no derivative is taken of: what a function depends on besides its variables.
///
/// In a gradient or a product, zeros stand in its place; in a direction, what stands there does not matter; rows of Jacobians
/// and Hessians leave it out.
///
/// ```
/// use autograd::{NoGrad, Program, gradient};
///
/// let (slope, NoGrad(_)) = gradient(|_, (a, NoGrad(x))| (a * x).exp(), (0.0_f64, NoGrad(3.0)))?;
/// assert_eq!(slope, 3.0);
///
/// let mut error = Program::record_vector(&([1.0_f64, 0.0], NoGrad([2.0, 3.0])), |tape, ([a, b], NoGrad([x, y]))| {
///     tape.from_scalars(&[a * x + b - y])
/// })?;
/// assert_eq!(error.jacobian(&([1.0, 0.0], NoGrad([5.0, 4.0])))?.to_vec(), [5.0, 1.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NoGrad<X>(pub X);

/// One handle of a tree, or a parameter.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Leaf<'p, 't, T: Float> {
    Number(Scalar<'t, T>),
    Tensor(Var<'t, T>),
    Indices(Indices<'t, T>),
    Mask(Mask<'t, T>),
    Param(&'p Param<T>),
}

impl<'t, T: Float> Leaf<'_, 't, T> {
    /// The tape of the handle; none for a parameter and for a number whose history is on none.
    pub(crate) fn tape(self) -> Option<&'t Tape<T>> {
        match self {
            Leaf::Number(x) => x.tape,
            Leaf::Tensor(x) => Some(x.tape),
            Leaf::Indices(list) => Some(list.tape),
            Leaf::Mask(mask) => Some(mask.tape()),
            Leaf::Param(_) => None,
        }
    }

    /// # Errors
    /// When the handle has failed, or is on another tape than the one that is given.
    pub(crate) fn ensure(
        self,
        op: &'static str,
        tape: Option<&Tape<T>>,
        location: &'static Location<'static>,
    ) -> Result<()> {
        let own = match self {
            Leaf::Number(x) => x.ensure().map(|()| x.recorded_on()),
            Leaf::Tensor(x) => x.ensure().map(|()| Some(x.tape)),
            Leaf::Indices(list) => list.ensure().map(|()| Some(list.tape)),
            Leaf::Mask(mask) => mask.numbers.ensure().map(|()| Some(mask.tape())),
            Leaf::Param(_) => Ok(None),
        };
        match (own?, tape) {
            (Some(own), Some(tape)) if !std::ptr::eq(own, tape) => {
                Err(Error::at_line(op, ErrorKind::TwoTapes, location))
            }
            _ => Ok(()),
        }
    }
}

/// # Errors
/// When one of the handles has failed, or is on another tape than the one that is given.
#[track_caller]
pub(crate) fn ensure<'t, T: Float>(op: &'static str, x: &impl Wrt<'t, T>, tape: Option<&Tape<T>>) -> Result<()> {
    let location = Location::caller();
    x.each(&mut |leaf| leaf.ensure(op, tape, location))
}

/// Which plain data is read of handles.
#[doc(hidden)]
pub enum Source<'r, T: Float> {
    /// Their own values, whatever these are where a handle has failed.
    Own,
    Tangents(&'r Tangents<T>),
    /// Zeros where none was found.
    Gradients(&'r Gradients<T>),
    /// Nothing: what matters is how many there are, and in which places.
    Form,
}

impl<T: Float> Source<'_, T> {
    #[inline]
    fn number(&self, x: Scalar<'_, T>) -> T {
        match self {
            Source::Own => x.read(),
            Source::Tangents(tangents) => tangents.of_scalar(x),
            Source::Gradients(gradients) => gradients.number(x),
            Source::Form => T::ZERO,
        }
    }

    fn tensor(&self, x: Var<'_, T>) -> Tensor<T> {
        match self {
            Source::Own => x.value().unwrap_or_else(|_| Tensor::zeros([0])),
            Source::Tangents(tangents) => tangents.of_var(x),
            Source::Gradients(gradients) => gradients.tensor(x).unwrap_or_else(|| Tensor::zeros(x.shape())),
            Source::Form => Tensor::scalar(T::ZERO),
        }
    }

    fn indices(&self, list: Indices<'_, T>) -> Tensor<usize> {
        match self {
            Source::Own => list.value().unwrap_or_else(|_| Tensor::zeros([0])),
            Source::Form => Tensor::zeros([0]),
            Source::Tangents(_) | Source::Gradients(_) => Tensor::zeros(list.shape()),
        }
    }

    fn mask(&self, mask: Mask<'_, T>) -> Tensor<bool> {
        match self {
            Source::Own => mask.value().unwrap_or_else(|_| Tensor::zeros([0])),
            Source::Form => Tensor::zeros([0]),
            Source::Tangents(_) | Source::Gradients(_) => Tensor::zeros(mask.shape()),
        }
    }

    fn param(&self, param: &Param<T>) -> Tensor<T> {
        match self {
            Source::Own => param.value().clone(),
            Source::Tangents(_) | Source::Form => Tensor::zeros(param.shape()),
            Source::Gradients(gradients) => {
                gradients.get(param).cloned().unwrap_or_else(|| Tensor::zeros(param.shape()))
            }
        }
    }
}

/// Which handles stand in the place of others.
#[doc(hidden)]
pub enum Replacement<'r, 't, T: Float> {
    /// Their adjoints; zeros where nothing recorded is differentiated.
    Adjoints(Option<&'r Adjoints<'t, T>>),
    /// The results of a failed operation.
    Failed(&'t Tape<T>, u32),
}

impl<'t, T: Float> Replacement<'_, 't, T> {
    fn number(&self, x: Scalar<'t, T>) -> Scalar<'t, T> {
        match *self {
            Replacement::Adjoints(None) => Scalar::constant(T::ZERO),
            Replacement::Adjoints(Some(adjoints)) => adjoints.of_scalar(x),
            Replacement::Failed(tape, index) => Scalar { tape: Some(tape), number: T::NAN, index },
        }
    }

    #[track_caller]
    fn tensor(&self, x: Var<'t, T>) -> Var<'t, T> {
        match *self {
            Replacement::Adjoints(adjoints) => {
                let found = adjoints.and_then(|adjoints| adjoints.found(x));
                found.unwrap_or_else(|| x.tape.constant(Tensor::zeros(x.shape())))
            }
            Replacement::Failed(tape, slot) => Var::new(tape, slot),
        }
    }

    /// No derivative is taken of integers: what stands for it is zeros.
    #[track_caller]
    fn indices(&self, list: Indices<'t, T>) -> Indices<'t, T> {
        match *self {
            Replacement::Adjoints(_) => list.tape.indices(Tensor::zeros(list.shape())),
            Replacement::Failed(tape, slot) => Indices { tape, slot },
        }
    }

    /// Nor is one taken of masks: false everywhere.
    #[track_caller]
    fn mask(&self, mask: Mask<'t, T>) -> Mask<'t, T> {
        match *self {
            Replacement::Adjoints(_) => mask.tape().mask(Tensor::zeros(mask.shape())),
            Replacement::Failed(tape, slot) => Mask::of(Var::new(tape, slot)),
        }
    }
}

/// Along what handles move.
#[doc(hidden)]
pub struct Direction<'r, T: Float> {
    pub(crate) op: &'static str,
    pub(crate) location: &'static Location<'static>,
    pub(crate) tangents: &'r mut Tangents<T>,
}

impl<T: Float> Direction<'_, T> {
    fn refuse<R>(&self, kind: ErrorKind) -> Result<R> {
        Err(Error::at_line(self.op, kind, self.location))
    }

    /// # Errors
    /// When a direction has not as many parts as there are handles.
    fn must_have(&self, handles: usize, found: usize) -> Result<()> {
        match handles == found {
            true => Ok(()),
            false => self.refuse(ErrorKind::Shape { expected: [handles].into(), found: [found].into() }),
        }
    }
}

impl<'t, T: Float> Wrt<'t, T> for &Param<T> {
    type Value = Tensor<T>;

    fn each(&self, see: &mut dyn FnMut(Leaf<'_, 't, T>) -> Result<()>) -> Result<()> {
        see(Leaf::Param(self))
    }
    fn read_from(self, source: &Source<'_, T>) -> Tensor<T> {
        source.param(self)
    }
}

/// The methods of [`Wrt`] for a leaf.
macro_rules! leaf {
    ($value:ty, $leaf:ident, $method:ident) => {
        type Value = $value;

        fn each(&self, see: &mut dyn FnMut(Leaf<'_, 't, T>) -> Result<()>) -> Result<()> {
            see(Leaf::$leaf(*self))
        }
        #[inline]
        fn read_from(self, source: &Source<'_, T>) -> $value {
            source.$method(self)
        }
    };
}

impl<'t, T: Float> Wrt<'t, T> for Scalar<'t, T> {
    leaf!(T, Number, number);
}

impl<'t, T: Float> Wrt<'t, T> for Var<'t, T> {
    leaf!(Tensor<T>, Tensor, tensor);
}

impl<'t, T: Float> Handle<'t, T> for Scalar<'t, T> {
    fn replace_by(self, by: &Replacement<'_, 't, T>) -> Self {
        by.number(self)
    }
    fn set_tangents(self, along: T, direction: &mut Direction<'_, T>) -> Result<()> {
        direction.tangents.set_scalar(self, along);
        Ok(())
    }
}

impl<'t, T: Float> Handle<'t, T> for Var<'t, T> {
    #[track_caller]
    fn replace_by(self, by: &Replacement<'_, 't, T>) -> Self {
        by.tensor(self)
    }
    fn set_tangents(self, along: Tensor<T>, direction: &mut Direction<'_, T>) -> Result<()> {
        if let Err(kind) = along.shape().must_be("the direction", &self.shape()) {
            return direction.refuse(kind);
        }
        direction.tangents.set_var(self, along);
        Ok(())
    }
}

/// The handles of data that no derivative is taken of.
macro_rules! data {
    ($($handle:ident, $element:ty, $method:ident);*) => {$(
        impl<'t, T: Float> Wrt<'t, T> for $handle<'t, T> {
            leaf!(Tensor<$element>, $handle, $method);
        }

        impl<'t, T: Float> Handle<'t, T> for $handle<'t, T> {
            #[track_caller]
            fn replace_by(self, by: &Replacement<'_, 't, T>) -> Self {
                by.$method(self)
            }
            fn set_tangents(self, _: Tensor<$element>, _: &mut Direction<'_, T>) -> Result<()> {
                Ok(())
            }
        }
    )*};
}

data!(Indices, usize, indices; Mask, bool, mask);

impl<'t, T: Float, H: Wrt<'t, T>, const N: usize> Wrt<'t, T> for [H; N] {
    type Value = [H::Value; N];

    fn each(&self, see: &mut dyn FnMut(Leaf<'_, 't, T>) -> Result<()>) -> Result<()> {
        self.iter().try_for_each(|handle| handle.each(see))
    }
    #[inline]
    fn read_from(self, source: &Source<'_, T>) -> [H::Value; N] {
        self.map(|handle| handle.read_from(source))
    }
}

impl<'t, T: Float, H: Handle<'t, T>, const N: usize> Handle<'t, T> for [H; N] {
    fn replace_by(self, by: &Replacement<'_, 't, T>) -> Self {
        self.map(|handle| handle.replace_by(by))
    }
    fn set_tangents(self, along: [H::Value; N], direction: &mut Direction<'_, T>) -> Result<()> {
        self.into_iter().zip(along).try_for_each(|(handle, along)| handle.set_tangents(along, direction))
    }
}

impl<'t, T: Float, H: Wrt<'t, T>> Wrt<'t, T> for Vec<H> {
    type Value = Vec<H::Value>;

    fn each(&self, see: &mut dyn FnMut(Leaf<'_, 't, T>) -> Result<()>) -> Result<()> {
        self.iter().try_for_each(|handle| handle.each(see))
    }
    fn read_from(self, source: &Source<'_, T>) -> Vec<H::Value> {
        self.into_iter().map(|handle| handle.read_from(source)).collect()
    }
}

impl<'t, T: Float, H: Handle<'t, T>> Handle<'t, T> for Vec<H> {
    fn replace_by(self, by: &Replacement<'_, 't, T>) -> Self {
        self.into_iter().map(|handle| handle.replace_by(by)).collect()
    }
    fn set_tangents(self, along: Vec<H::Value>, direction: &mut Direction<'_, T>) -> Result<()> {
        direction.must_have(self.len(), along.len())?;
        self.into_iter().zip(along).try_for_each(|(handle, along)| handle.set_tangents(along, direction))
    }
}

impl<'t, T: Float, H: Wrt<'t, T>> Wrt<'t, T> for Option<H> {
    type Value = Option<H::Value>;

    fn each(&self, see: &mut dyn FnMut(Leaf<'_, 't, T>) -> Result<()>) -> Result<()> {
        self.iter().try_for_each(|handle| handle.each(see))
    }
    fn read_from(self, source: &Source<'_, T>) -> Option<H::Value> {
        self.map(|handle| handle.read_from(source))
    }
}

impl<'t, T: Float, H: Handle<'t, T>> Handle<'t, T> for Option<H> {
    fn replace_by(self, by: &Replacement<'_, 't, T>) -> Self {
        self.map(|handle| handle.replace_by(by))
    }
    fn set_tangents(self, along: Option<H::Value>, direction: &mut Direction<'_, T>) -> Result<()> {
        direction.must_have(self.iter().count(), along.iter().count())?;
        self.into_iter().zip(along).try_for_each(|(handle, along)| handle.set_tangents(along, direction))
    }
}

impl<'t, T: Float, K: Ord + Clone, H: Wrt<'t, T>> Wrt<'t, T> for BTreeMap<K, H> {
    type Value = BTreeMap<K, H::Value>;

    fn each(&self, see: &mut dyn FnMut(Leaf<'_, 't, T>) -> Result<()>) -> Result<()> {
        self.values().try_for_each(|handle| handle.each(see))
    }
    fn read_from(self, source: &Source<'_, T>) -> BTreeMap<K, H::Value> {
        self.into_iter().map(|(key, handle)| (key, handle.read_from(source))).collect()
    }
}

impl<'t, T: Float, K: Ord + Clone, H: Handle<'t, T>> Handle<'t, T> for BTreeMap<K, H> {
    fn replace_by(self, by: &Replacement<'_, 't, T>) -> Self {
        self.into_iter().map(|(key, handle)| (key, handle.replace_by(by))).collect()
    }
    fn set_tangents(self, mut along: BTreeMap<K, H::Value>, direction: &mut Direction<'_, T>) -> Result<()> {
        direction.must_have(self.len(), along.len())?;
        for (key, handle) in self {
            match along.remove(&key) {
                Some(along) => handle.set_tangents(along, direction)?,
                None => return direction.refuse(ErrorKind::Custom("the direction has other keys".into())),
            }
        }
        Ok(())
    }
}

impl<'t, T: Float, H: Wrt<'t, T>> Wrt<'t, T> for NoGrad<H> {
    type Value = NoGrad<H::Value>;

    fn each(&self, see: &mut dyn FnMut(Leaf<'_, 't, T>) -> Result<()>) -> Result<()> {
        self.0.each(see)
    }
    fn read_from(self, source: &Source<'_, T>) -> NoGrad<H::Value> {
        NoGrad(self.0.read_from(source))
    }
}

impl<'t, T: Float, H: Handle<'t, T>> Handle<'t, T> for NoGrad<H> {
    fn replace_by(self, _: &Replacement<'_, 't, T>) -> Self {
        NoGrad(self.0.replace_by(&Replacement::Adjoints(None)))
    }
    fn set_tangents(self, _: NoGrad<H::Value>, _: &mut Direction<'_, T>) -> Result<()> {
        Ok(())
    }
}

macro_rules! tuple {
    ($($handle:ident $place:tt),*) => {
        #[allow(clippy::unused_unit, reason = "the tuple of nothing")]
        impl<'t, T: Float, $($handle: Wrt<'t, T>),*> Wrt<'t, T> for ($($handle,)*) {
            type Value = ($($handle::Value,)*);

            fn each(&self, _see: &mut dyn FnMut(Leaf<'_, 't, T>) -> Result<()>) -> Result<()> {
                $(self.$place.each(_see)?;)*
                Ok(())
            }
            fn read_from(self, _source: &Source<'_, T>) -> Self::Value {
                ($(self.$place.read_from(_source),)*)
            }
        }

        #[allow(clippy::unused_unit, reason = "the tuple of nothing")]
        impl<'t, T: Float, $($handle: Handle<'t, T>),*> Handle<'t, T> for ($($handle,)*) {
            fn replace_by(self, _by: &Replacement<'_, 't, T>) -> Self {
                ($(self.$place.replace_by(_by),)*)
            }
            fn set_tangents(self, _along: Self::Value, _direction: &mut Direction<'_, T>) -> Result<()> {
                $(self.$place.set_tangents(_along.$place, _direction)?;)*
                Ok(())
            }
        }
    };
}

tuple!();
tuples!(tuple);
