//! What a model holds, shown one leaf after the other under PyTorch's names.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::float::Float;
use crate::param::{Counter, Generator, Param, Setting};
use crate::tensor::Tensor;

/// Something that holds parameters: a layer, a model, a list of either.
///
/// `#[derive(Module)]` from `nn` implements it for structs and enums, field by field. Every field must be a module, or be left
/// out with `#[module(skip)]`. Modules are parameters, buffers and counters, layers and optimisers, boxes, options, lists, tuples and
/// maps of modules, and plain numbers, `bool` and strings: these are settings, which say what is computed and are neither trained
/// nor saved.
///
/// A list and a tuple name what they hold by its place (`0.weight`), a [`BTreeMap`](std::collections::BTreeMap) by its key
/// (`head.weight`), in the order of the keys. A `HashMap` is no module, since it has no order; an `Rc` or `Arc` is none either, since what
/// others hold too cannot be changed.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use autograd::{Module, Param, module::{Leaf, Path}};
///
/// let heads = BTreeMap::from([("value", Param::new([1.0_f32])), ("policy", Param::new([2.0]))]);
/// let model = (Param::new([0.0_f32]), heads);
/// let mut names = Vec::new();
/// model.visit(&Path::root(), &mut |path: &Path<'_>, leaf: Leaf<'_, f32>| {
///     if let Leaf::Param(_) = leaf {
///         names.push(path.to_string());
///     }
/// });
/// assert_eq!(names, ["0", "1.policy", "1.value"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Module<{T}>`",
    label = "not a `Module<{T}>`",
    note = "a `HashMap` is none, since it has no order: a `BTreeMap` from names to modules is one",
    note = "in a struct with `#[derive(Module)]`, `#[module(setting)]` is for a field with `Hash` that holds no parameters, and `#[module(skip)]` leaves one out"
)]
pub trait Module<T: Float = f32> {
    /// Shows every parameter, buffer, counter, mode and setting to the visitor, in the order of the fields.
    ///
    /// A [`ModelProgram`](crate::ModelProgram) sees a change of what is shown here, and of nothing else.
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>);

    /// Shows every parameter, buffer, counter and mode to the visitor, to be changed.
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>);

    /// What tells this type from others behind a `dyn`.
    #[doc(hidden)]
    fn kind(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

/// Looks at what a module holds. Every closure `FnMut(&Path, Leaf)` is one.
pub trait Visitor<'m, T: Float> {
    /// Sees one leaf.
    fn leaf(&mut self, path: &Path<'_>, leaf: Leaf<'m, T>);
}

/// Changes what a module holds. Every closure `FnMut(&Path, LeafMut)` is one.
pub trait VisitorMut<'m, T: Float> {
    /// Sees one leaf.
    fn leaf(&mut self, path: &Path<'_>, leaf: LeafMut<'m, T>);
}

impl<'m, T: Float, F: FnMut(&Path<'_>, Leaf<'m, T>)> Visitor<'m, T> for F {
    fn leaf(&mut self, path: &Path<'_>, leaf: Leaf<'m, T>) {
        self(path, leaf);
    }
}

impl<'m, T: Float, F: FnMut(&Path<'_>, LeafMut<'m, T>)> VisitorMut<'m, T> for F {
    fn leaf(&mut self, path: &Path<'_>, leaf: LeafMut<'m, T>) {
        self(path, leaf);
    }
}

/// One thing that a module holds.
#[derive(Debug)]
pub enum Leaf<'m, T: Float> {
    /// A trainable tensor.
    Param(&'m Param<T>),
    /// A tensor that is saved with the model and not trained.
    Buffer(&'m Buffer<T>),
    /// A count that is saved with the model.
    Counter(&'m Counter),
    /// Whether a layer trains or evaluates.
    Mode(Mode),
    /// What a layer draws from.
    Generator(&'m Generator),
    /// A plain value that decides what is computed.
    Setting(Setting<'m>),
}

/// One thing that a module holds, to be changed.
#[derive(Debug)]
pub enum LeafMut<'m, T: Float> {
    /// A trainable tensor.
    Param(&'m mut Param<T>),
    /// A tensor that is saved with the model and not trained.
    Buffer(&'m mut Buffer<T>),
    /// A count that is saved with the model.
    Counter(&'m mut Counter),
    /// Whether a layer trains or evaluates.
    Mode(&'m mut Mode),
    /// What a layer draws from.
    Generator(&'m mut Generator),
}

/// Whether layers that differ in training and use (dropout, batch norm) do the one or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Training.
    #[default]
    Train,
    /// Use.
    Eval,
}

/// A tensor of a module that is saved with it and not trained, such as a running mean. A layer may change it while it
/// runs.
#[derive(Debug)]
pub struct Buffer<T: Float = f32>(Mutex<Tensor<T>>);

impl<T: Float> Buffer<T> {
    /// A buffer with an initial value.
    pub fn new(value: impl Into<Tensor<T>>) -> Self {
        Self(Mutex::new(value.into()))
    }

    /// The value now.
    pub fn value(&self) -> Tensor<T> {
        self.lock().clone()
    }

    /// Replaces the value.
    pub fn set(&self, value: Tensor<T>) {
        *self.lock() = value;
    }

    /// The value, to be changed in place.
    pub fn value_mut(&mut self) -> &mut Tensor<T> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tensor is replaced whole, so a panic elsewhere cannot have left half of one.
    fn lock(&self) -> MutexGuard<'_, Tensor<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Float> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self::new(self.value())
    }
}

/// Where a leaf is in a model: field names and indices, which display as `layers.0.weight`. It lives on the stack.
#[derive(Clone, Copy, Default)]
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    segment: Option<Segment<'p>>,
}

#[derive(Clone, Copy)]
enum Segment<'p> {
    Field(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// The model itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A field of what is here.
    pub fn field(&'p self, name: &'p str) -> Path<'p> {
        Path { parent: Some(self), segment: Some(Segment::Field(name)) }
    }

    /// An element of the list that is here.
    pub fn index(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), segment: Some(Segment::Index(index)) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent.filter(|parent| parent.segment.is_some()) {
            write!(f, "{parent}.")?;
        }
        match self.segment {
            Some(Segment::Field(name)) => f.write_str(name),
            Some(Segment::Index(index)) => write!(f, "{index}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T: Float> Module<T> for Param<T> {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Param(self));
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        visitor.leaf(path, LeafMut::Param(self));
    }
}

impl<T: Float> Module<T> for Buffer<T> {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Buffer(self));
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        visitor.leaf(path, LeafMut::Buffer(self));
    }
}

impl<T: Float> Module<T> for Counter {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Counter(self));
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        visitor.leaf(path, LeafMut::Counter(self));
    }
}

impl<T: Float> Module<T> for Mode {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Mode(*self));
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        visitor.leaf(path, LeafMut::Mode(self));
    }
}

impl<T: Float> Module<T> for Generator {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Generator(self));
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        visitor.leaf(path, LeafMut::Generator(self));
    }
}

macro_rules! setting {
    ($($setting:ty)*) => {$(
        impl<T: Float> Module<T> for $setting {
            fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
                visitor.leaf(path, Leaf::Setting((*self).into()));
            }
            fn visit_mut<'m>(&'m mut self, _: &Path<'_>, _: &mut dyn VisitorMut<'m, T>) {}
        }
    )*};
}

setting!(bool char f32 f64 i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl<T: Float> Module<T> for String {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Setting(Setting::Text(self)));
    }
    fn visit_mut<'m>(&'m mut self, _: &Path<'_>, _: &mut dyn VisitorMut<'m, T>) {}
}

impl<T: Float> Module<T> for &'static str {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Setting(Setting::Text(self)));
    }
    fn visit_mut<'m>(&'m mut self, _: &Path<'_>, _: &mut dyn VisitorMut<'m, T>) {}
}
