//! Comparisons: 1 where they hold, 0 where not. They carry no gradient; [`select`](crate::Var::select) reads them.

use super::elementwise::binary;

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
