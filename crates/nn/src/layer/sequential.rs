//! Layers one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use autograd::{
    Float, Module, Var,
    module::{Path, Visitor, VisitorMut},
};

use super::{Layer, layer};

/// Layers one after the other, named by their places: `0.weight`, `2.bias`.
///
/// # Shapes
/// What the first layer takes → what the last one gives. Without layers, y = x.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::{Dropout, Linear, Relu, Sequential};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let mut rng = StdRng::seed_from_u64(0);
/// let model: Sequential = Sequential::new()
///     .with(Linear::new(4, 16, &mut rng))
///     .with(Relu)
///     .with(Dropout::new(0.1, &mut rng))
///     .with(Linear::new(16, 3, &mut rng))
///     .apply(|x| x * 0.5);
/// let tape = Tape::new();
/// assert_eq!(model.forward(tape.constant(Tensor::ones([8, 4]))).shape(), [8, 3].into());
/// ```
///
/// A clone is a model of its own: each of its layers is a clone, whose parameters have gradients of their own. Closures are shared.
#[derive(Default, Clone)]
pub struct Sequential<T: Float = f32> {
    layers: Vec<Box<dyn CloneLayer<T>>>,
}

impl<T: Float> Sequential<T> {
    /// No layers yet.
    pub fn new() -> Self {
        Self { layers: Vec::new() }
    }

    /// One more layer at the end; one of your own needs `#[derive(Clone)]` beside `Module`.
    #[must_use]
    pub fn with(mut self, layer: impl Layer<T> + Clone + Send + Sync + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// A function at the end, as a layer without parameters.
    #[must_use]
    pub fn apply(self, f: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T> + Send + Sync + 'static) -> Self {
        self.with(Function::new(f))
    }

    /// The number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The last layer's output.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let mut x = x;
        for layer in &self.layers {
            x.tape().section();
            x = layer.forward(x);
        }
        x
    }
}

layer!(Sequential<T>);

impl<T: Float> Module<T> for Sequential<T> {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        self.layers.visit(path, visitor);
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        self.layers.visit_mut(path, visitor);
    }
}

/// A layer of which only this is known, and that it can be cloned.
trait CloneLayer<T: Float>: Layer<T> + Send + Sync {
    fn boxed_clone(&self) -> Box<dyn CloneLayer<T>>;
}

impl<T: Float, L: Layer<T> + Clone + Send + Sync + 'static> CloneLayer<T> for L {
    fn boxed_clone(&self) -> Box<dyn CloneLayer<T>> {
        Box::new(self.clone())
    }
}

impl<T: Float> Clone for Box<dyn CloneLayer<T>> {
    fn clone(&self) -> Self {
        (**self).boxed_clone()
    }
}

/// A closure as a layer. What it has captured cannot be compared, so each is another one than all others but its clones, which
/// share it.
struct Function<F> {
    f: Arc<F>,
    id: u64,
}

impl<F> Function<F> {
    fn new(f: F) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { f: Arc::new(f), id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }
}

impl<F> Clone for Function<F> {
    fn clone(&self) -> Self {
        Self { f: self.f.clone(), id: self.id }
    }
}

impl<T: Float, F> Module<T> for Function<F> {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        self.id.visit(path, visitor);
    }
    fn visit_mut<'m>(&'m mut self, _: &Path<'_>, _: &mut dyn VisitorMut<'m, T>) {}
}

impl<T: Float, F: for<'t> Fn(Var<'t, T>) -> Var<'t, T>> Layer<T> for Function<F> {
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        (self.f)(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Linear, ModuleExt, Relu};
    use autograd::{Tape, Tensor};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn layers_run_in_order_under_pytorchs_names() {
        let mut rng = StdRng::seed_from_u64(0);
        let model = Sequential::<f64>::new().with(Linear::new(1, 1, &mut rng)).apply(|x| -x).with(Relu);
        let names: Vec<_> = model.named_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!((names, model.len()), (vec!["0.weight".into(), "0.bias".to_string()], 3));
        let tape = Tape::new();
        let x = tape.constant(Tensor::from([[3.0], [-3.0]]));
        let dense = model.named_parameters();
        let (w, b) = (dense[0].1.value().to_vec()[0], dense[1].1.value().to_vec()[0]);
        let expected = [3.0, -3.0].map(|x| (-(w * x + b)).max(0.0));
        assert_eq!(model.forward(x).value().unwrap().to_vec(), expected);
    }
}
