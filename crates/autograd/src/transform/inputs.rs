//! What a function can be differentiated with respect to: a tree of numbers, tensors, indices and masks.

use std::collections::BTreeMap;

use crate::float::Float;
use crate::handle::{Handle, NoGrad};
use crate::indices::Indices;
use crate::mask::Mask;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;

/// Arguments of a differentiated function: numbers, tensors, indices, masks, and arrays, vectors, tuples, options and ordered maps
/// of such; `()` for none. Derivatives are taken of all but indices, masks and [`NoGrad`].
///
/// `#[derive(Inputs)]` makes a struct one that is generic in what it holds: inside of the function, handles stand in its fields.
///
/// ```
/// use autograd::{Inputs, Tensor, gradient};
///
/// #[derive(Clone, Inputs)]
/// struct Line<N, W> {
///     offset: N,
///     slopes: W,
/// }
///
/// let line = Line { offset: 0.5, slopes: Tensor::from([1.0_f64, 2.0]) };
/// let Line { offset, slopes } = gradient(|_, line| line.slopes.square().sum() * line.offset, line)?;
/// assert_eq!((offset, slopes.to_vec()), (5.0, vec![1.0, 2.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
pub trait Inputs<T: Float>: Clone {
    /// The handles that the function gets.
    type Handles<'t>: Handle<'t, T, Value = Self>
    where
        T: 't;

    /// Puts every part on a tape.
    #[doc(hidden)]
    #[track_caller]
    fn record_by<'t>(&self, recorder: &mut Recorder<'_, 't, T>) -> Self::Handles<'t>;

    /// Whether there are as many numbers and tensors of the same shapes in the same places.
    #[doc(hidden)]
    fn has_form_of(&self, other: &Self) -> bool;

    /// Shows every part in order, and whether derivatives are taken of it.
    #[doc(hidden)]
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>, bool));

    /// Shows the same for writing.
    #[doc(hidden)]
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>));

    /// The elements of a list of arguments as numbers, if that is what they are.
    #[doc(hidden)]
    fn numbers(_list: &[Self]) -> Option<&[T]> {
        None
    }

    #[doc(hidden)]
    fn numbers_mut(_list: &mut [Self]) -> Option<&mut [T]> {
        None
    }

    /// Puts the arguments on a tape, as variables.
    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> Self::Handles<'t> {
        self.record_by(&mut Recorder { tape, as_data: false, given: None })
    }

    /// Zeros in the form of the arguments.
    fn zeros(&self) -> Self {
        let mut zeros = self.clone();
        zeros.parts_mut(&mut |part| match part {
            PartMut::Numbers(numbers) => numbers.fill(T::ZERO),
            PartMut::Tensor(tensor) => *tensor = Tensor::zeros(tensor.shape()),
            PartMut::Indices(list) => *list = Tensor::zeros(list.shape()),
            PartMut::Mask(mask) => *mask = Tensor::zeros(mask.shape()),
        });
        zeros
    }
}

/// How arguments come onto a tape.
#[doc(hidden)]
pub struct Recorder<'r, 't, T: Float> {
    pub(crate) tape: &'t Tape<T>,
    /// Whether no derivative is taken of them.
    pub(crate) as_data: bool,
    /// The handles of those that derivatives are taken of, where they are on the tape already.
    pub(crate) given: Option<&'r mut dyn Iterator<Item = Var<'t, T>>>,
}

impl<'t, T: Float> Recorder<'_, 't, T> {
    fn given(&mut self) -> Option<Var<'t, T>> {
        self.given.as_mut().filter(|_| !self.as_data)?.next()
    }

    /// A number that may be another one in the next run of a program is an entry of its recording, data too.
    #[inline]
    #[track_caller]
    fn number(&mut self, number: T) -> Scalar<'t, T> {
        match self.given() {
            Some(given) => given.item(),
            None if self.as_data => Scalar { tape: Some(self.tape), number, index: self.tape.data(number) },
            None => self.tape.scalar(number),
        }
    }

    #[inline]
    #[track_caller]
    fn tensor(&mut self, tensor: &Tensor<T>) -> Var<'t, T> {
        match self.given() {
            Some(given) => given,
            None if self.as_data => self.tape.constant(tensor),
            None => self.tape.var(tensor.clone()),
        }
    }
}

/// A part of the arguments.
#[doc(hidden)]
pub enum Part<'x, T: Float> {
    Numbers(&'x [T]),
    Tensor(&'x Tensor<T>),
    Indices(&'x Tensor<usize>),
    Mask(&'x Tensor<bool>),
}

impl<T: Float> Part<'_, T> {
    /// How many numbers there are.
    pub fn count(&self) -> usize {
        match self {
            Part::Numbers(numbers) => numbers.len(),
            Part::Tensor(tensor) => tensor.len(),
            Part::Indices(_) | Part::Mask(_) => 0,
        }
    }
}

/// A part of the arguments, for writing.
#[doc(hidden)]
pub enum PartMut<'x, T: Float> {
    Numbers(&'x mut [T]),
    Tensor(&'x mut Tensor<T>),
    Indices(&'x mut Tensor<usize>),
    Mask(&'x mut Tensor<bool>),
}

macro_rules! number {
    ($($float:ident)*) => {$(
        impl Inputs<$float> for $float {
            type Handles<'t> = Scalar<'t, $float>;

            #[inline]
            #[track_caller]
            fn record_by<'t>(&self, recorder: &mut Recorder<'_, 't, $float>) -> Scalar<'t, $float> {
                recorder.number(*self)
            }
            fn has_form_of(&self, _: &Self) -> bool {
                true
            }
            fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, $float>, bool)) {
                show(Part::Numbers(std::slice::from_ref(self)), true);
            }
            fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, $float>)) {
                show(PartMut::Numbers(std::slice::from_mut(self)));
            }
            fn numbers(list: &[$float]) -> Option<&[$float]> {
                Some(list)
            }
            fn numbers_mut(list: &mut [$float]) -> Option<&mut [$float]> {
                Some(list)
            }
        }
    )*};
}

number!(f32 f64);

impl<T: Float> Inputs<T> for Tensor<T> {
    type Handles<'t> = Var<'t, T>;

    #[track_caller]
    fn record_by<'t>(&self, recorder: &mut Recorder<'_, 't, T>) -> Var<'t, T> {
        recorder.tensor(self)
    }
    fn has_form_of(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>, bool)) {
        show(Part::Tensor(self), true);
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        show(PartMut::Tensor(self));
    }
}

/// Data that no derivative is taken of, and the method of a tape that makes its handle.
macro_rules! data {
    ($($element:ty, $handle:ident, $method:ident);*) => {$(
        impl<T: Float> Inputs<T> for Tensor<$element> {
            type Handles<'t>
                = $handle<'t, T>
            where
                T: 't;

            #[track_caller]
            fn record_by<'t>(&self, recorder: &mut Recorder<'_, 't, T>) -> $handle<'t, T> {
                recorder.tape.$method(self.clone())
            }
            fn has_form_of(&self, other: &Self) -> bool {
                self.shape() == other.shape()
            }
            fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>, bool)) {
                show(Part::$handle(self), false);
            }
            fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
                show(PartMut::$handle(self));
            }
        }
    )*};
}

data!(usize, Indices, indices; bool, Mask, mask);

/// A list shows its numbers as one part.
macro_rules! list {
    ([$($size:tt)*] $list:ty, $handles:ty, $record:expr) => {
        impl<T: Float, X: Inputs<T> $($size)*> Inputs<T> for $list {
            type Handles<'t>
                = $handles
            where
                T: 't;

            #[track_caller]
            fn record_by<'t>(&self, recorder: &mut Recorder<'_, 't, T>) -> $handles {
                $record(self, recorder)
            }
            fn has_form_of(&self, other: &Self) -> bool {
                let are_numbers = X::numbers(self).is_some();
                self.len() == other.len()
                    && (are_numbers || self.iter().zip(other).all(|(x, other)| x.has_form_of(other)))
            }
            fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>, bool)) {
                match X::numbers(self) {
                    Some(numbers) => show(Part::Numbers(numbers), true),
                    None => self.iter().for_each(|x| x.parts(show)),
                }
            }
            fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
                match X::numbers_mut(self) {
                    Some(numbers) => show(PartMut::Numbers(numbers)),
                    None => self.iter_mut().for_each(|x| x.parts_mut(show)),
                }
            }
        }
    };
}

#[track_caller]
fn record_array<'t, T: Float, X: Inputs<T>, const N: usize>(
    list: &[X; N],
    recorder: &mut Recorder<'_, 't, T>,
) -> [X::Handles<'t>; N] {
    std::array::from_fn(|i| list[i].record_by(recorder))
}

#[track_caller]
fn record_vec<'t, T: Float, X: Inputs<T>>(list: &[X], recorder: &mut Recorder<'_, 't, T>) -> Vec<X::Handles<'t>> {
    let mut handles = Vec::with_capacity(list.len());
    for x in list {
        handles.push(x.record_by(recorder));
    }
    handles
}

list!([, const N: usize] [X; N], [X::Handles<'t>; N], record_array);
list!([] Vec<X>, Vec<X::Handles<'t>>, |list: &Vec<X>, recorder| record_vec(list, recorder));

impl<T: Float, X: Inputs<T>> Inputs<T> for Option<X> {
    type Handles<'t>
        = Option<X::Handles<'t>>
    where
        T: 't;

    #[track_caller]
    fn record_by<'t>(&self, recorder: &mut Recorder<'_, 't, T>) -> Option<X::Handles<'t>> {
        match self {
            Some(x) => Some(x.record_by(recorder)),
            None => None,
        }
    }
    fn has_form_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Some(x), Some(other)) => x.has_form_of(other),
            (None, None) => true,
            _ => false,
        }
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>, bool)) {
        self.iter().for_each(|x| x.parts(show));
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        self.iter_mut().for_each(|x| x.parts_mut(show));
    }
}

impl<T: Float, K: Ord + Clone, X: Inputs<T>> Inputs<T> for BTreeMap<K, X> {
    type Handles<'t>
        = BTreeMap<K, X::Handles<'t>>
    where
        T: 't;

    #[track_caller]
    fn record_by<'t>(&self, recorder: &mut Recorder<'_, 't, T>) -> BTreeMap<K, X::Handles<'t>> {
        let mut handles = BTreeMap::new();
        for (key, x) in self {
            handles.insert(key.clone(), x.record_by(recorder));
        }
        handles
    }
    fn has_form_of(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|((k, x), (l, y))| k == l && x.has_form_of(y))
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>, bool)) {
        self.values().for_each(|x| x.parts(show));
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        self.values_mut().for_each(|x| x.parts_mut(show));
    }
}

impl<T: Float, X: Inputs<T>> Inputs<T> for NoGrad<X> {
    type Handles<'t>
        = NoGrad<X::Handles<'t>>
    where
        T: 't;

    #[track_caller]
    fn record_by<'t>(&self, recorder: &mut Recorder<'_, 't, T>) -> NoGrad<X::Handles<'t>> {
        NoGrad(self.0.record_by(&mut Recorder { tape: recorder.tape, as_data: true, given: None }))
    }
    fn has_form_of(&self, other: &Self) -> bool {
        self.0.has_form_of(&other.0)
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>, bool)) {
        self.0.parts(&mut |part, _| show(part, false));
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        self.0.parts_mut(show);
    }
}

macro_rules! tuple {
    ($($input:ident $place:tt),*) => {
        #[allow(clippy::unused_unit, reason = "the tuple of nothing")]
        impl<T: Float, $($input: Inputs<T>),*> Inputs<T> for ($($input,)*) {
            type Handles<'t>
                = ($($input::Handles<'t>,)*)
            where
                T: 't;

            #[track_caller]
            fn record_by<'t>(&self, _recorder: &mut Recorder<'_, 't, T>) -> Self::Handles<'t> {
                ($(self.$place.record_by(_recorder),)*)
            }
            fn has_form_of(&self, _other: &Self) -> bool {
                true $(&& self.$place.has_form_of(&_other.$place))*
            }
            fn parts<'x>(&'x self, _show: &mut dyn FnMut(Part<'x, T>, bool)) {
                $(self.$place.parts(_show);)*
            }
            fn parts_mut(&mut self, _show: &mut dyn FnMut(PartMut<'_, T>)) {
                $(self.$place.parts_mut(_show);)*
            }
        }
    };
}

tuple!();
tuples!(tuple);
