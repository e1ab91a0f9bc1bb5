//! Many axes to one.

use autograd::{Float, Shape, Var};

use super::layer;

/// All axes but the first as one: from feature maps to a dense layer.
///
/// # Shapes
/// `[n, ..]` → `[n, product of the others]`. A vector `[n]` gives `[n, 1]`, a single number `[1, 1]`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::Flatten;
///
/// let tape = Tape::<f32>::new();
/// let maps = tape.constant(Tensor::zeros([8, 3, 5, 5]));
/// assert_eq!(Flatten.forward(maps).shape(), [8, 75].into());
/// ```
#[derive(Debug, Clone, Copy, Default, autograd_derive::Module)]
pub struct Flatten;

impl Flatten {
    /// x with two axes.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let shape = x.shape();
        let (rows, others) = shape.split_first().map_or((1, &[][..]), |(&rows, others)| (rows, others));
        x.reshape(Shape::from([rows, Shape::from(others).len()]))
    }
}

layer!(Flatten);
