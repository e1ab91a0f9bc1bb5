//! Comparisons: 1 where they hold, 0 where not. They carry no gradient; [`select`](crate::Var::select) reads them.

use super::elementwise::{Elementwise, binary, family};
use crate::error::Result;
use crate::float::Float;
use crate::tensor::Tensor;

family!("Comparisons");

macro_rules! comparison {
    ($(#[$doc:meta])* $name:ident: $operator:tt $(#[$example:meta])*) => {
        binary! {
            $(#[$doc])*
            ///
            /// Derivative: 0.
            $name(x, y) {
                value: if x $operator y { T::ONE } else { T::ZERO },
                constant slopes: [0.0, 0.0],
                domain: [(-3.0, 3.0), (-3.0, 3.0)],
                kinks: [y],
                $(#[$example])*
            }
        }
    };
}

comparison! {
    /// 1 where x = y, else 0.
    eq: ==
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let found = tape.constant([2.0_f64, 0.0, 1.0, 1.0]);
    /// let labels = tape.constant([2.0, 0.0, 2.0, 1.0]);
    /// let accuracy = found.eq(labels).mean();
    /// assert_eq!(accuracy, 0.75);
    /// ```
}
comparison! {
    /// 1 where x ≠ y (or either is not a number), else 0.
    ne: !=
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // NaN alone differs from itself.
    /// let x = tape.constant([1.0_f64, f64::NAN]);
    /// assert_eq!(x.ne(x).value()?.to_vec(), [0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
}
comparison! {
    /// 1 where x > y, else 0.
    gt: >
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let probability = tape.constant([0.2_f64, 0.5, 0.9]);
    /// assert_eq!(probability.gt(0.5).value()?.to_vec(), [0.0, 0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
}
comparison! {
    /// 1 where x ≥ y, else 0.
    ge: >=
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let probability = tape.constant([0.2_f64, 0.5, 0.9]);
    /// assert_eq!(probability.ge(0.5).value()?.to_vec(), [0.0, 1.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
}
comparison! {
    /// 1 where x < y, else 0.
    lt: <
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // How many errors are small.
    /// let errors = tape.constant([0.5_f64, -2.0, 0.25]);
    /// assert_eq!(errors.abs().lt(1.0).sum(), 2.0);
    /// ```
}
comparison! {
    /// 1 where x ≤ y, else 0.
    le: <=
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Which positions a causal mask lets the third one see.
    /// let positions = tape.constant([0.0_f64, 1.0, 2.0, 3.0]);
    /// assert_eq!(positions.le(2.0).value()?.to_vec(), [1.0, 1.0, 1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
}

/// # Choices
impl<T: Float> Tensor<T> {
    /// `x` where this is not zero, else `y`: the `where` of PyTorch and NumPy.
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
    pub fn select(&self, x: impl Into<Self>, y: impl Into<Self>) -> Result<Self> {
        Elementwise::select.of_tensors([self, &x.into(), &y.into()])
    }
}
