//! The state of a model: what it holds under which name, which goes to files and to other models.

use std::collections::{HashMap, HashSet};
use std::fmt;

use autograd::{
    Error, ErrorKind, Float, Module, Result, Shape, Tensor,
    module::{Leaf, LeafMut, Path},
};

/// How the names of a file met those of a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadReport {
    /// Names that were in both, with the same shape.
    pub loaded: Vec<String>,
    /// Names of the model that the file lacks, without `num_batches_tracked`: as in PyTorch, a file may lack it.
    pub missing: Vec<String>,
    /// Names of the file that the model lacks.
    pub unexpected: Vec<String>,
    /// Names that were in both, with different shapes.
    pub mismatched: Vec<Mismatch>,
}

/// A name with different shapes in a model and a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The name.
    pub name: String,
    /// The shape in the model.
    pub expected: Shape,
    /// The shape in the file.
    pub found: Shape,
}

impl LoadReport {
    /// Whether model and file had the same names and shapes.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }

    fn write(&self, f: &mut impl fmt::Write, source: &str) -> fmt::Result {
        write!(f, "{} tensors fit", self.loaded.len())?;
        for (what, names) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            if !names.is_empty() {
                write!(f, "; {what} in {source}: {}", names.join(", "))?;
            }
        }
        for Mismatch { name, expected, found } in &self.mismatched {
            write!(f, "; {name} has shape {expected} in the model and {found} in {source}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "the file")
    }
}

/// What a model holds under a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<T: Float> {
    Tensor(Tensor<T>),
    Count(u64),
}

impl<T: Float> Value<T> {
    pub fn shape(&self) -> Shape {
        match self {
            Value::Tensor(tensor) => tensor.shape().clone(),
            Value::Count(_) => Shape::default(),
        }
    }
}

/// Every parameter, buffer and counter with its name, in the order of the fields.
pub(crate) fn state<T: Float>(model: &(impl Module<T> + ?Sized)) -> Vec<(String, Value<T>)> {
    let mut all = Vec::new();
    model.visit(&Path::root(), &mut |path: &Path<'_>, leaf: Leaf<'_, T>| {
        let value = match leaf {
            Leaf::Param(param) => Value::Tensor(param.value().clone()),
            Leaf::Buffer(buffer) => Value::Tensor(buffer.value()),
            Leaf::Counter(counter) => Value::Count(counter.get()),
            Leaf::Mode(_) | Leaf::Setting(_) | Leaf::Generator(_) => return,
        };
        all.push((path.to_string(), value));
    });
    all
}

/// A name that two values have, of a list in the order of the names.
pub(crate) fn repeated<V>(sorted: &[(String, V)]) -> Option<&str> {
    sorted.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| &*pair[0].0)
}

/// Gives every parameter, buffer and counter the value of its name, if there is one; the shapes have been compared.
pub(crate) fn assign<T: Float>(model: &mut (impl Module<T> + ?Sized), mut values: HashMap<String, Value<T>>) {
    model.visit_mut(&Path::root(), &mut |path: &Path<'_>, leaf: LeafMut<'_, T>| {
        if matches!(leaf, LeafMut::Mode(_) | LeafMut::Generator(_)) {
            return;
        }
        match (leaf, values.remove(&path.to_string())) {
            (LeafMut::Param(param), Some(Value::Tensor(tensor))) => _ = param.set(tensor),
            (LeafMut::Buffer(buffer), Some(Value::Tensor(tensor))) => buffer.set(tensor),
            (LeafMut::Counter(counter), Some(Value::Count(count))) => counter.set(count),
            _ => {}
        }
    });
}

/// Moves every parameter on a straight line towards the value of its name, and gives all else that value.
pub(crate) fn lerp<T: Float>(
    model: &mut (impl Module<T> + ?Sized),
    mut values: HashMap<String, Value<T>>,
    weight: f64,
) {
    let (weight, rest) = (T::from_f64(weight), T::from_f64(1.0 - weight));
    // From the nearer end, so that weights of 0 and 1 give the ends themselves.
    let is_near = weight < rest;
    let between = |x: T, end: T| if is_near { x + weight * (end - x) } else { end - rest * (end - x) };
    model.visit_mut(&Path::root(), &mut |path: &Path<'_>, leaf: LeafMut<'_, T>| {
        let LeafMut::Param(param) = leaf else { return };
        if let Some(Value::Tensor(end)) = values.remove(&path.to_string()) {
            // The shapes have been compared.
            _ = param.update_with(&end, [], |x, end, []| (between(x, end), []));
        }
    });
    assign(model, values);
}

/// The state of another model that has the same names and shapes.
///
/// # Errors
/// All names and shapes that differ.
#[track_caller]
pub(crate) fn state_for<T: Float>(
    model: &(impl Module<T> + ?Sized),
    other: &(impl Module<T> + ?Sized),
    op: &'static str,
) -> Result<HashMap<String, Value<T>>> {
    let (mut own, mut found) = (state(model), state(other));
    for (values, whose) in [(&mut own, "the"), (&mut found, "the other")] {
        values.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let Some(name) = repeated(values) {
            return Err(Error::new(op, ErrorKind::Custom(format!("two tensors of {whose} model are named {name:?}"))));
        }
    }
    let found: HashMap<_, _> = found.into_iter().collect();
    let report = compare(&own, &found);
    if report.is_complete() {
        return Ok(found);
    }
    let mut text = "the other model does not fit: ".to_string();
    _ = report.write(&mut text, "the other model");
    Err(Error::new(op, ErrorKind::Custom(text)))
}

fn compare<T: Float>(own: &[(String, Value<T>)], other: &HashMap<String, Value<T>>) -> LoadReport {
    let mut report = LoadReport::default();
    for (name, value) in own {
        let same_kind = |found: &&Value<T>| std::mem::discriminant(*found) == std::mem::discriminant(value);
        let name = name.clone();
        match other.get(&name).filter(same_kind).map(Value::shape) {
            None => report.missing.push(name),
            Some(found) if found != value.shape() => {
                report.mismatched.push(Mismatch { name, expected: value.shape(), found });
            }
            Some(_) => report.loaded.push(name),
        }
    }
    let known: HashSet<&str> = own.iter().map(|(name, _)| &**name).collect();
    report.unexpected = other.keys().filter(|name| !known.contains(&***name)).cloned().collect();
    report.unexpected.sort();
    report
}
