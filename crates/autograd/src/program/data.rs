//! The arguments and results of a program, taken apart into numbers and tensors.

use std::borrow::Cow;
use std::panic::Location;

use smallvec::{SmallVec, smallvec};

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::handle::{Leaf, Wrt};
use crate::indices::Indices;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::transform::{Inputs, Part, PartMut};
use crate::var::Var;

/// Numbers and tensors, each in their order.
#[derive(Clone, Debug)]
pub(in crate::program) struct Data<T: Float> {
    pub numbers: Vec<T>,
    pub tensors: Vec<Tensor<T>>,
    pub integers: Vec<Tensor<usize>>,
    /// What else a recording depends on: which parameters of a model train, its modes and settings.
    pub settings: Vec<u64>,
}

/// The same, seen.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct Parts<'d, T: Float> {
    pub numbers: &'d [T],
    pub tensors: &'d [Tensor<T>],
    pub integers: &'d [Tensor<usize>],
}

/// The same on a recording.
#[derive(Clone, Debug)]
pub(in crate::program) struct Ends<'t, T: Float> {
    pub numbers: SmallVec<[Scalar<'t, T>; 1]>,
    pub tensors: SmallVec<[Var<'t, T>; 1]>,
    pub integers: SmallVec<[Indices<'t, T>; 1]>,
}

impl<T: Float> Default for Data<T> {
    fn default() -> Self {
        Data { numbers: Vec::new(), tensors: Vec::new(), integers: Vec::new(), settings: Vec::new() }
    }
}

impl<T: Float> Data<T> {
    #[inline]
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.let_go();
        self.settings.clear();
    }

    /// Lets go of the tensors: what is held could not be updated in place.
    #[inline]
    pub fn let_go(&mut self) {
        // To clear an empty list calls what drops its elements.
        if !self.tensors.is_empty() {
            self.tensors.clear();
        }
        if !self.integers.is_empty() {
            self.integers.clear();
        }
    }

    /// Appends the parts of some arguments.
    pub fn take<X: Inputs<T>>(&mut self, x: &X) {
        x.parts(&mut |part, _| match part {
            Part::Numbers(part) => self.numbers.extend_from_slice(part),
            Part::Tensor(tensor) => self.tensors.push(tensor.clone()),
            Part::Indices(list) => self.integers.push(list.clone()),
            Part::Mask(mask) => self.tensors.push(mask.to_numbers()),
        });
    }
}

impl<T: Float> Data<T> {
    /// All numbers, also those in tensors, one tensor after the other.
    pub fn elements(&self) -> Cow<'_, [T]> {
        match &self.tensors[..] {
            [] => Cow::Borrowed(&self.numbers),
            tensors => Cow::Owned(self.numbers.iter().copied().chain(tensors.iter().flat_map(Tensor::iter)).collect()),
        }
    }

    /// # Errors
    /// When there is a tensor among arguments of which many are taken at once.
    #[track_caller]
    pub fn must_be_numbers(&self) -> Result<()> {
        match self.tensors.first().map(Tensor::shape).or(self.integers.first().map(Tensor::shape)) {
            None => Ok(()),
            Some(shape) => refuse_tensor(shape),
        }
    }
}

/// Refuses a tensor among arguments of which many are taken at once.
#[track_caller]
fn refuse_tensor(shape: &Shape) -> Result<()> {
    let why = format!("an argument is a tensor of shape {shape}: many inputs at once are of numbers");
    Err(Error::new("program", ErrorKind::NotReplayable { why }))
}

impl<'t, T: Float> Ends<'t, T> {
    pub fn number(x: Scalar<'t, T>) -> Self {
        Ends { numbers: smallvec![x], tensors: SmallVec::new(), integers: SmallVec::new() }
    }

    pub fn numbers(numbers: Vec<Scalar<'t, T>>) -> Self {
        Ends { numbers: numbers.into(), tensors: SmallVec::new(), integers: SmallVec::new() }
    }

    pub fn tensor(x: Var<'t, T>) -> Self {
        Ends { numbers: SmallVec::new(), tensors: smallvec![x], integers: SmallVec::new() }
    }

    /// A number, and after it the handles of a tree.
    pub fn loss(x: Scalar<'t, T>, auxiliary: &impl Wrt<'t, T>) -> Result<Self> {
        let mut ends = Ends::number(x);
        auxiliary.each(&mut |leaf| {
            match leaf {
                Leaf::Number(x) => ends.numbers.push(x),
                Leaf::Tensor(x) => ends.tensors.push(x),
                Leaf::Indices(list) => ends.integers.push(list),
                Leaf::Mask(mask) => ends.tensors.push(mask.numbers),
                Leaf::Param(_) => {}
            }
            leaf.ensure("program", None, Location::caller())
        })?;
        Ok(ends)
    }

    /// How many elements there are.
    pub fn count(&self) -> usize {
        self.numbers.len() + self.tensors.iter().map(|x| x.shape().len()).sum::<usize>()
    }

    /// All as numbers.
    pub fn into_numbers(self) -> Vec<Scalar<'t, T>> {
        let elements = self.tensors.into_iter().flat_map(Var::to_scalars);
        self.numbers.into_iter().chain(elements).collect()
    }

    /// These and others after them.
    pub fn and(mut self, others: Self) -> Self {
        self.numbers.extend(others.numbers);
        self.tensors.extend(others.tensors);
        self.integers.extend(others.integers);
        self
    }
}

/// Of which arguments derivatives are taken.
#[derive(Clone, Debug)]
pub(in crate::program) struct Varies {
    pub numbers: Vec<bool>,
    pub tensors: Vec<bool>,
}

impl Varies {
    pub fn of<T: Float, X: Inputs<T>>(x: &X) -> Self {
        let mut all = Varies { numbers: Vec::new(), tensors: Vec::new() };
        x.parts(&mut |part, varies| match part {
            Part::Numbers(part) => all.numbers.resize(all.numbers.len() + part.len(), varies),
            Part::Tensor(_) | Part::Mask(_) => all.tensors.push(varies),
            Part::Indices(_) => {}
        });
        all
    }

    /// Those of some handles that derivatives are taken of.
    pub fn among<'t, T: Float>(&self, all: &Ends<'t, T>) -> Ends<'t, T> {
        fn chosen<H: Copy, L: FromIterator<H>>(handles: &[H], varies: &[bool]) -> L {
            handles.iter().zip(varies).filter(|(_, varies)| **varies).map(|(&handle, _)| handle).collect()
        }
        Ends {
            numbers: chosen(&all.numbers, &self.numbers),
            tensors: chosen(&all.tensors, &self.tensors),
            integers: SmallVec::new(),
        }
    }
}

/// Lets go of the elements of tensors; their shapes stay.
pub(in crate::program) fn release<T: Float, X: Inputs<T>>(x: &mut X) {
    x.parts_mut(&mut |part| {
        if let PartMut::Tensor(tensor) = part {
            let zero = Tensor::scalar(T::ZERO);
            *tensor = zero.broadcast_to(tensor.shape()).unwrap_or(zero);
        }
    });
}

/// How many of the numbers derivatives are taken of.
pub(in crate::program) fn variables(varies: &[bool]) -> usize {
    varies.iter().filter(|&&varies| varies).count()
}

/// Writes what was found for the variables among arguments of this form, and zeros in the place of data.
pub(in crate::program) fn put_found<T: Float, X: Inputs<T>>(
    x: &mut X,
    varies: &Varies,
    numbers: &[T],
    tensors: &[Tensor<T>],
) {
    put_numbers(x, &varies.numbers, numbers);
    if tensors.is_empty() {
        return;
    }
    let (mut found, mut varies) = (tensors.iter(), varies.tensors.iter());
    x.parts_mut(&mut |part| {
        let varies = matches!(part, PartMut::Tensor(_) | PartMut::Mask(_)) && varies.next() == Some(&true);
        if let PartMut::Tensor(tensor) = part
            && varies
            && let Some(found) = found.next()
        {
            *tensor = found.clone();
        }
    });
}

/// Writes numbers into the variables among arguments of the same form, and zeros into data.
pub(in crate::program) fn put_numbers<T: Float, X: Inputs<T>>(x: &mut X, mut varies: &[bool], mut numbers: &[T]) {
    x.parts_mut(&mut |part| {
        if let PartMut::Numbers(part) = part {
            let vary = varies.split_off(..part.len().min(varies.len())).unwrap_or_default();
            let n = variables(vary).min(numbers.len());
            let these = numbers.split_off(..n).unwrap_or_default();
            match n == part.len() {
                true => part.copy_from_slice(these),
                false => {
                    part.fill(T::ZERO);
                    let places = part.iter_mut().zip(vary).filter(|(_, varies)| **varies);
                    places.zip(these).for_each(|((place, _), &number)| *place = number);
                }
            }
        }
    });
}

/// Writes numbers, tensors and indices into arguments of their form.
pub(in crate::program) fn put<T: Float, X: Inputs<T>>(x: &mut X, data: Parts<'_, T>) {
    let (mut numbers, mut tensors, mut integers) = (data.numbers, data.tensors.iter(), data.integers.iter());
    x.parts_mut(&mut |part| match part {
        PartMut::Numbers(part) => {
            let (these, rest) = numbers.split_at(part.len().min(numbers.len()));
            part[..these.len()].copy_from_slice(these);
            numbers = rest;
        }
        PartMut::Tensor(tensor) => {
            if let Some(found) = tensors.next() {
                *tensor = found.clone();
            }
        }
        PartMut::Indices(list) => {
            if let Some(found) = integers.next() {
                *list = found.clone();
            }
        }
        PartMut::Mask(mask) => {
            if let Some(found) = tensors.next() {
                *mask = found.to_truths();
            }
        }
    });
}

/// How many numbers there are, in tensors too.
pub(in crate::program) fn count<T: Float, X: Inputs<T>>(x: &X) -> usize {
    let mut count = 0;
    x.parts(&mut |part, _| count += part.count());
    count
}

/// Whether there is anything else than numbers.
pub(in crate::program) fn has_tensors<T: Float, X: Inputs<T>>(x: &X) -> bool {
    let mut found = false;
    x.parts(&mut |part, _| found |= !matches!(part, Part::Numbers(_)));
    found
}

/// Of all numbers of the arguments, in their order, the places of those that derivatives are taken of.
pub(in crate::program) fn places<T: Float, X: Inputs<T>>(x: &X) -> Vec<usize> {
    let (mut places, mut before) = (Vec::new(), 0);
    x.parts(&mut |part, varies| {
        let next = before + part.count();
        places.extend((before..next).filter(|_| varies));
        before = next;
    });
    places
}

/// Appends the numbers at these places, which ascend.
pub(in crate::program) fn flatten<T: Float, X: Inputs<T>>(x: &X, places: &[usize], numbers: &mut Vec<T>) {
    let mut all = Vec::new();
    x.parts(&mut |part, _| match part {
        Part::Numbers(part) => all.extend_from_slice(part),
        Part::Tensor(tensor) => all.extend(tensor.iter()),
        Part::Indices(_) | Part::Mask(_) => {}
    });
    numbers.extend(places.iter().map(|&place| all[place]));
}

/// One for one of all numbers of the arguments, zero for the others.
pub(in crate::program) fn one_at<T: Float, X: Inputs<T>>(x: &X, place: usize) -> X {
    let mut unit = x.zeros();
    let mut before = 0;
    unit.parts_mut(&mut |part| {
        let elements = match part {
            PartMut::Numbers(part) => part,
            PartMut::Tensor(tensor) => tensor.as_mut_slice(),
            PartMut::Indices(_) | PartMut::Mask(_) => return,
        };
        if let Some(one) = place.checked_sub(before).and_then(|place| elements.get_mut(place)) {
            *one = T::ONE;
        }
        before += elements.len();
    });
    unit
}

/// Refuses arguments of another form.
#[track_caller]
pub(in crate::program) fn require_form<'x, T: Float, X: Inputs<T> + 'x>(
    op: &'static str,
    xs: impl IntoIterator<Item = &'x X>,
    form: &X,
) -> Result<()> {
    match xs.into_iter().find(|x| !x.has_form_of(form)) {
        Some(x) => Err(Error::new(op, ErrorKind::Shape { expected: [count(form)].into(), found: [count(x)].into() })),
        None => Ok(()),
    }
}

/// Appends the numbers of arguments without tensors.
#[track_caller]
pub(in crate::program) fn take<T: Float, X: Inputs<T>>(x: &X, numbers: &mut Vec<T>) -> Result<()> {
    let mut tensor = None;
    x.parts(&mut |part, _| match part {
        Part::Numbers(part) => numbers.extend_from_slice(part),
        Part::Tensor(found) => tensor = Some(found.shape().clone()),
        Part::Indices(found) => tensor = Some(found.shape().clone()),
        Part::Mask(found) => tensor = Some(found.shape().clone()),
    });
    match tensor {
        None => Ok(()),
        Some(shape) => refuse_tensor(&shape),
    }
}
