//! Comparisons of tensors are masks, whose [`select`](crate::Mask::select) chooses; of scalars 1 and 0. They carry no gradient.

use super::elementwise::{Elementwise, binary, family};
use crate::error::Result;
use crate::float::Float;
use crate::tensor::Tensor;

family!("Comparisons");

macro_rules! comparison {
    ($(#[$doc:meta])* $name:ident: $operator:tt $(#[$example:meta])*) => {
        binary! {
            $(#[$doc])*
            $name(x, y) -> bool {
                holds: x $operator y,
                domain: [(-3.0, 3.0), (-3.0, 3.0)],
                kinks: [y],
                $(#[$example])*
            }
        }
    };
}

comparison! {
    /// Whether x = y.
    eq: ==
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let found = tape.constant([2.0_f64, 0.0, 1.0, 1.0]);
    /// let labels = tape.constant([2.0, 0.0, 2.0, 1.0]);
    /// let accuracy = found.eq(labels).to_float().mean();
    /// assert_eq!(accuracy, 0.75);
    /// ```
}
comparison! {
    /// Whether x ≠ y, or either is not a number.
    ne: !=
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // NaN alone differs from itself.
    /// let x = tape.constant([1.0_f64, f64::NAN]);
    /// assert_eq!(x.ne(x).value()?.to_vec(), [false, true]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
}
comparison! {
    /// Whether x > y.
    gt: >
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let probability = tape.constant([0.2_f64, 0.5, 0.9]);
    /// assert_eq!(probability.gt(0.5).value()?.to_vec(), [false, false, true]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
}
comparison! {
    /// Whether x ≥ y.
    ge: >=
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let probability = tape.constant([0.2_f64, 0.5, 0.9]);
    /// assert_eq!(probability.ge(0.5).value()?.to_vec(), [false, true, true]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
}
comparison! {
    /// Whether x < y.
    lt: <
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // How many errors are small.
    /// let errors = tape.constant([0.5_f64, -2.0, 0.25]);
    /// assert_eq!(errors.abs().lt(1.0).count(), 2.0);
    /// ```
}
comparison! {
    /// Whether x ≤ y.
    le: <=
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Which positions a causal mask lets the third one see.
    /// let positions = tape.constant([0.0_f64, 1.0, 2.0, 3.0]);
    /// assert_eq!(positions.le(2.0).value()?.to_vec(), [true, true, true, false]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
}

/// # Choices
impl Tensor<bool> {
    /// `x` where this is true, else `y`: the `where` of PyTorch and NumPy.
    ///
    /// Shapes: the three broadcast; a plain number fits every shape.
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let x = Tensor::from([-2.0, 3.0, 4.0]);
    /// assert_eq!(x.gt(0.0)?.select(&x, 0.0)?, Tensor::from([0.0, 3.0, 4.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn select<T: Float>(&self, x: impl Into<Tensor<T>>, y: impl Into<Tensor<T>>) -> Result<Tensor<T>> {
        Elementwise::select.of_tensors([&self.to_numbers(), &x.into(), &y.into()])
    }
}
