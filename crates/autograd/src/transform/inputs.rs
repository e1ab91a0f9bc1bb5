//! What a function can be differentiated with respect to.

use crate::error::Result;
use crate::float::Float;
use crate::gradients::Gradients;
use crate::indices::Indices;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::Handle;
use crate::var::Var;

/// Arguments of a differentiated function: numbers, tensors, indices, and arrays, vectors and tuples of such. Derivatives are
/// taken of all but indices and [`Data`].
pub trait Inputs<T: Float>: Clone {
    /// The handles that the function gets.
    type Handles<'t>: Handle<'t, T, Value = Self>
    where
        T: 't;

    /// Puts the arguments on a tape, as variables.
    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> Self::Handles<'t>;

    /// Puts the arguments on a tape, as data.
    #[doc(hidden)]
    #[track_caller]
    fn record_data<'t>(&self, tape: &'t Tape<T>) -> Self::Handles<'t>;

    /// The gradients of the handles, in the form of the arguments.
    ///
    /// # Errors
    /// When a handle has failed.
    fn gradients<'t>(&self, handles: Self::Handles<'t>, gradients: &Gradients<T>) -> Result<Self>;

    /// Zeros in the form of the arguments.
    fn zeros(&self) -> Self;

    /// Whether there are as many numbers and tensors of the same shapes in the same places.
    #[doc(hidden)]
    fn has_form_of(&self, other: &Self) -> bool;

    /// The arguments as a list of tensors, without data.
    #[doc(hidden)]
    fn tensors(&self) -> Vec<Tensor<T>>;

    /// The handles for tensors in the order of [`tensors`](Self::tensors), on their tape; `None` when there are too few.
    #[doc(hidden)]
    fn handles<'t>(&self, tape: &'t Tape<T>, vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Option<Self::Handles<'t>>;

    /// Shows every number and every tensor, in order.
    #[doc(hidden)]
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>));

    /// Shows every number and every tensor for writing, in order.
    #[doc(hidden)]
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>));

    /// Appends for every number, also those in tensors, whether derivatives are taken of it.
    #[doc(hidden)]
    fn varies(&self, varies: &mut Vec<bool>) {
        self.parts(&mut |part| varies.resize(varies.len() + part.len(), true));
    }

    /// The elements of a list of arguments as numbers, if that is what they are.
    #[doc(hidden)]
    fn numbers(_list: &[Self]) -> Option<&[T]> {
        None
    }

    #[doc(hidden)]
    fn numbers_mut(_list: &mut [Self]) -> Option<&mut [T]> {
        None
    }
}

/// A part of the arguments.
#[doc(hidden)]
pub enum Part<'x, T: Float> {
    Numbers(&'x [T]),
    Tensor(&'x Tensor<T>),
    Indices(&'x Tensor<usize>),
}

impl<T: Float> Part<'_, T> {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Part::Numbers(numbers) => numbers.len(),
            Part::Tensor(tensor) => tensor.len(),
            Part::Indices(_) => 0,
        }
    }
}

/// A part of the arguments, for writing.
#[doc(hidden)]
pub enum PartMut<'x, T: Float> {
    Numbers(&'x mut [T]),
    Tensor(&'x mut Tensor<T>),
    Indices(&'x mut Tensor<usize>),
}

macro_rules! number {
    ($($float:ident)*) => {$(
        impl Inputs<$float> for $float {
            type Handles<'t> = Scalar<'t, $float>;

            #[track_caller]
            fn record<'t>(&self, tape: &'t Tape<$float>) -> Scalar<'t, $float> {
                tape.scalar(*self)
            }
            fn record_data<'t>(&self, tape: &'t Tape<$float>) -> Scalar<'t, $float> {
                // A program's recording has an entry for every number that may be another one in the next run.
                if tape.is_guarding() { tape.scalar(*self) } else { Scalar::constant(*self) }
            }
            fn gradients<'t>(&self, handle: Scalar<'t, $float>, gradients: &Gradients<$float>) -> Result<Self> {
                gradients.of(handle)
            }
            fn zeros(&self) -> Self {
                0.0
            }
            fn has_form_of(&self, _: &Self) -> bool {
                true
            }
            fn tensors(&self) -> Vec<Tensor<$float>> {
                vec![Tensor::scalar(*self)]
            }
            fn handles<'t>(
                &self,
                _: &'t Tape<$float>,
                vars: &mut dyn Iterator<Item = Var<'t, $float>>,
            ) -> Option<Scalar<'t, $float>> {
                vars.next().map(Var::item)
            }
            fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, $float>)) {
                show(Part::Numbers(std::slice::from_ref(self)));
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
    fn record<'t>(&self, tape: &'t Tape<T>) -> Var<'t, T> {
        tape.var(self.clone())
    }
    #[track_caller]
    fn record_data<'t>(&self, tape: &'t Tape<T>) -> Var<'t, T> {
        tape.constant(self)
    }
    fn gradients<'t>(&self, handle: Var<'t, T>, gradients: &Gradients<T>) -> Result<Self> {
        Ok(gradients.of(handle).cloned().unwrap_or_else(|_| self.zeros()))
    }
    fn zeros(&self) -> Self {
        Tensor::zeros(self.shape())
    }
    fn has_form_of(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }
    fn tensors(&self) -> Vec<Tensor<T>> {
        vec![self.clone()]
    }
    fn handles<'t>(&self, _: &'t Tape<T>, vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Option<Var<'t, T>> {
        vars.next()
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>)) {
        show(Part::Tensor(self));
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        show(PartMut::Tensor(self));
    }
}

impl<T: Float> Inputs<T> for Tensor<usize> {
    type Handles<'t>
        = Indices<'t, T>
    where
        T: 't;

    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> Indices<'t, T> {
        tape.indices(self.clone())
    }
    #[track_caller]
    fn record_data<'t>(&self, tape: &'t Tape<T>) -> Indices<'t, T> {
        self.record(tape)
    }
    fn gradients<'t>(&self, _: Indices<'t, T>, _: &Gradients<T>) -> Result<Self> {
        Ok(Inputs::<T>::zeros(self))
    }
    fn zeros(&self) -> Self {
        Tensor::zeros(self.shape())
    }
    fn has_form_of(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }
    fn tensors(&self) -> Vec<Tensor<T>> {
        Vec::new()
    }
    fn handles<'t>(&self, tape: &'t Tape<T>, _: &mut dyn Iterator<Item = Var<'t, T>>) -> Option<Indices<'t, T>> {
        Some(self.record(tape))
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>)) {
        show(Part::Indices(self));
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        show(PartMut::Indices(self));
    }
}

/// Shows the parts of a list of arguments: as one slice where they are numbers.
fn parts_of<'x, T: Float, X: Inputs<T>>(list: &'x [X], show: &mut dyn FnMut(Part<'x, T>)) {
    match X::numbers(list) {
        Some(numbers) => show(Part::Numbers(numbers)),
        None => list.iter().for_each(|x| x.parts(show)),
    }
}

fn parts_of_mut<T: Float, X: Inputs<T>>(list: &mut [X], show: &mut dyn FnMut(PartMut<'_, T>)) {
    match X::numbers_mut(list) {
        Some(numbers) => show(PartMut::Numbers(numbers)),
        None => list.iter_mut().for_each(|x| x.parts_mut(show)),
    }
}

fn have_form_of<T: Float, X: Inputs<T>>(list: &[X], other: &[X]) -> bool {
    let numbers = X::numbers(list).is_some();
    list.len() == other.len() && (numbers || list.iter().zip(other).all(|(x, other)| x.has_form_of(other)))
}

fn varies_of<T: Float, X: Inputs<T>>(list: &[X], varies: &mut Vec<bool>) {
    match X::numbers(list) {
        Some(numbers) => varies.resize(varies.len() + numbers.len(), true),
        None => list.iter().for_each(|x| x.varies(varies)),
    }
}

impl<T: Float, X: Inputs<T>, const N: usize> Inputs<T> for [X; N] {
    type Handles<'t>
        = [X::Handles<'t>; N]
    where
        T: 't;

    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> [X::Handles<'t>; N] {
        std::array::from_fn(|i| self[i].record(tape))
    }
    #[track_caller]
    fn record_data<'t>(&self, tape: &'t Tape<T>) -> [X::Handles<'t>; N] {
        std::array::from_fn(|i| self[i].record_data(tape))
    }
    fn gradients<'t>(&self, handles: [X::Handles<'t>; N], gradients: &Gradients<T>) -> Result<Self> {
        let mut found = self.clone();
        for ((found, x), handle) in found.iter_mut().zip(self).zip(handles) {
            *found = x.gradients(handle, gradients)?;
        }
        Ok(found)
    }
    fn zeros(&self) -> Self {
        std::array::from_fn(|i| self[i].zeros())
    }
    fn has_form_of(&self, other: &Self) -> bool {
        have_form_of(self, other)
    }
    fn tensors(&self) -> Vec<Tensor<T>> {
        self.iter().flat_map(|x| x.tensors()).collect()
    }
    fn handles<'t>(
        &self,
        tape: &'t Tape<T>,
        vars: &mut dyn Iterator<Item = Var<'t, T>>,
    ) -> Option<[X::Handles<'t>; N]> {
        self.iter().map(|x| x.handles(tape, vars)).collect::<Option<Vec<_>>>()?.try_into().ok()
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>)) {
        parts_of(self, show);
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        parts_of_mut(self, show);
    }
    fn varies(&self, varies: &mut Vec<bool>) {
        varies_of(self, varies);
    }
}

impl<T: Float, X: Inputs<T>> Inputs<T> for Vec<X> {
    type Handles<'t>
        = Vec<X::Handles<'t>>
    where
        T: 't;

    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> Vec<X::Handles<'t>> {
        let mut handles = Vec::with_capacity(self.len());
        for x in self {
            handles.push(x.record(tape));
        }
        handles
    }
    #[track_caller]
    fn record_data<'t>(&self, tape: &'t Tape<T>) -> Vec<X::Handles<'t>> {
        let mut handles = Vec::with_capacity(self.len());
        for x in self {
            handles.push(x.record_data(tape));
        }
        handles
    }
    fn gradients<'t>(&self, handles: Vec<X::Handles<'t>>, gradients: &Gradients<T>) -> Result<Self> {
        self.iter().zip(handles).map(|(x, handle)| x.gradients(handle, gradients)).collect()
    }
    fn zeros(&self) -> Self {
        self.iter().map(X::zeros).collect()
    }
    fn has_form_of(&self, other: &Self) -> bool {
        have_form_of(self, other)
    }
    fn tensors(&self) -> Vec<Tensor<T>> {
        self.iter().flat_map(|x| x.tensors()).collect()
    }
    fn handles<'t>(
        &self,
        tape: &'t Tape<T>,
        vars: &mut dyn Iterator<Item = Var<'t, T>>,
    ) -> Option<Vec<X::Handles<'t>>> {
        self.iter().map(|x| x.handles(tape, vars)).collect()
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>)) {
        parts_of(self, show);
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        parts_of_mut(self, show);
    }
    fn varies(&self, varies: &mut Vec<bool>) {
        varies_of(self, varies);
    }
}

/// Arguments that no derivative is taken of: what a function depends on besides its variables.
///
/// In a gradient or a product, zeros stand in its place; in a direction, what stands there does not matter; rows of Jacobians
/// and Hessians leave it out.
///
/// ```
/// use autograd::{Data, Program, gradient};
///
/// let (slope, Data(_)) = gradient(|_, (a, Data(x))| (a * x).exp(), (0.0_f64, Data(3.0)))?;
/// assert_eq!(slope, 3.0);
///
/// let mut error = Program::record_vector(&([1.0_f64, 0.0], Data([2.0, 3.0])), |tape, ([a, b], Data([x, y]))| {
///     tape.from_scalars(&[a * x + b - y])
/// })?;
/// assert_eq!(error.jacobian(&([1.0, 0.0], Data([5.0, 4.0])))?.to_vec(), [5.0, 1.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Data<X>(pub X);

impl<T: Float, X: Inputs<T>> Inputs<T> for Data<X> {
    type Handles<'t>
        = Data<X::Handles<'t>>
    where
        T: 't;

    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> Data<X::Handles<'t>> {
        self.record_data(tape)
    }
    #[track_caller]
    fn record_data<'t>(&self, tape: &'t Tape<T>) -> Data<X::Handles<'t>> {
        Data(self.0.record_data(tape))
    }
    fn gradients<'t>(&self, _: Data<X::Handles<'t>>, _: &Gradients<T>) -> Result<Self> {
        Ok(self.zeros())
    }
    fn zeros(&self) -> Self {
        Data(self.0.zeros())
    }
    fn has_form_of(&self, other: &Self) -> bool {
        self.0.has_form_of(&other.0)
    }
    fn tensors(&self) -> Vec<Tensor<T>> {
        Vec::new()
    }
    fn handles<'t>(&self, tape: &'t Tape<T>, _: &mut dyn Iterator<Item = Var<'t, T>>) -> Option<Data<X::Handles<'t>>> {
        Some(self.record_data(tape))
    }
    fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>)) {
        self.0.parts(show);
    }
    fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
        self.0.parts_mut(show);
    }
    fn varies(&self, varies: &mut Vec<bool>) {
        self.parts(&mut |part| varies.resize(varies.len() + part.len(), false));
    }
}

macro_rules! tuple {
    ($($input:ident $place:tt),*) => {
        impl<T: Float, $($input: Inputs<T>),*> Inputs<T> for ($($input,)*) {
            type Handles<'t>
                = ($($input::Handles<'t>,)*)
            where
                T: 't;

            #[track_caller]
            fn record<'t>(&self, tape: &'t Tape<T>) -> Self::Handles<'t> {
                ($(self.$place.record(tape),)*)
            }
            #[track_caller]
            fn record_data<'t>(&self, tape: &'t Tape<T>) -> Self::Handles<'t> {
                ($(self.$place.record_data(tape),)*)
            }
            fn gradients<'t>(&self, handles: Self::Handles<'t>, gradients: &Gradients<T>) -> Result<Self> {
                Ok(($(self.$place.gradients(handles.$place, gradients)?,)*))
            }
            fn zeros(&self) -> Self {
                ($(self.$place.zeros(),)*)
            }
            fn has_form_of(&self, other: &Self) -> bool {
                $(self.$place.has_form_of(&other.$place))&&*
            }
            fn tensors(&self) -> Vec<Tensor<T>> {
                [$(self.$place.tensors()),*].concat()
            }
            fn handles<'t>(
                &self,
                tape: &'t Tape<T>,
                vars: &mut dyn Iterator<Item = Var<'t, T>>,
            ) -> Option<Self::Handles<'t>> {
                Some(($(self.$place.handles(tape, vars)?,)*))
            }
            fn parts<'x>(&'x self, show: &mut dyn FnMut(Part<'x, T>)) {
                $(self.$place.parts(show);)*
            }
            fn parts_mut(&mut self, show: &mut dyn FnMut(PartMut<'_, T>)) {
                $(self.$place.parts_mut(show);)*
            }
            fn varies(&self, varies: &mut Vec<bool>) {
                $(self.$place.varies(varies);)*
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
