//! Comparisons: 1 where they hold, 0 where not. They carry no gradient; [`select`](crate::Var::select) reads them.

use super::elementwise::{Elementwise, binary};
use crate::error::Result;
use crate::float::Float;
use crate::tensor::Tensor;

macro_rules! comparison {
    ($(#[$doc:meta])* $name:ident: $operator:tt) => {
        binary! {
            $(#[$doc])*
            ///
            /// Derivative: 0.
            $name(x, y) {
                value: if x $operator y { T::ONE } else { T::ZERO },
                constant slopes: [0.0, 0.0],
                domain: [(-3.0, 3.0), (-3.0, 3.0)],
                kinks: [y],
            }
        }
    };
}

comparison! {
    /// 1 where x = y, else 0.
    eq: ==
}
comparison! {
    /// 1 where x ≠ y (or either is not a number), else 0.
    ne: !=
}
comparison! {
    /// 1 where x > y, else 0.
    gt: >
}
comparison! {
    /// 1 where x ≥ y, else 0.
    ge: >=
}
comparison! {
    /// 1 where x < y, else 0.
    lt: <
}
comparison! {
    /// 1 where x ≤ y, else 0.
    le: <=
}

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
