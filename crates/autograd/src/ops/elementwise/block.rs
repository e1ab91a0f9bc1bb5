//! What follows from a block: the rule, and the methods of `Scalar`, `Var`, `Tensor` and `Algebra`.

/// The heading of the ops of a file, on the pages of the three types that have them.
macro_rules! family {
    ($name:literal) => {
        #[doc = concat!("# ", $name)]
        impl<T: crate::float::Float> crate::scalar::Scalar<'_, T> {}

        #[doc = concat!("# ", $name)]
        impl<T: crate::float::Float> crate::var::Var<'_, T> {}

        #[doc = concat!("# ", $name)]
        impl<T: crate::float::Float> crate::tensor::Tensor<T> {}
    };
}

/// Where the example of an op is that three types have: compiled once, it does not slow the tests of the docs.
macro_rules! see {
    ($name:ident) => {
        concat!("Example: see [`Var::", stringify!($name), "`](crate::Var::", stringify!($name), ").")
    };
}

macro_rules! unary {
    ($(#[$doc:meta])* $name:ident($x:ident) -> $y:ident {
        value: $value:expr,
        slope: $slope:expr,
        $(both: $both:expr,)?
        domain: $domain:expr,
        kinks: [$($kink:expr),*],
        $(#[$example:meta])*
    }) => {
        unary!(@rule $name, $x, $y, $value, $slope, [$($both)?], None, $domain, [$($kink),*]);
        unary!(@methods [$(#[$doc])*] [$(#[$example])*] $name);
    };
    ($(#[$doc:meta])* $name:ident($x:ident) {
        value: $value:expr,
        constant slope: $slope:literal,
        domain: $domain:expr,
        kinks: [$($kink:expr),*],
        $(#[$example:meta])*
    }) => {
        unary!(@rule $name, $x, _y, $value, R::of($slope), [], Some($slope), $domain, [$($kink),*]);
        unary!(@methods [$(#[$doc])*] [$(#[$example])*] $name);
    };
    (@rule $name:ident, $x:ident, $y:ident, $value:expr, $slope:expr, [$($both:expr)?], $constant:expr, $domain:expr,
        [$($kink:expr),*]) => {
        #[allow(non_camel_case_types)]
        #[derive(Debug)]
        pub struct $name;

        impl crate::ops::elementwise::UnaryRule for $name {
            const CODE: crate::ops::elementwise::Elementwise = crate::ops::elementwise::Elementwise::$name;
            const FACTS: crate::ops::elementwise::Facts = crate::ops::elementwise::Facts {
                name: stringify!($name),
                constant: [$constant, None],
                domain: [$domain, $domain],
                kinks: |_| smallvec::smallvec![$($kink),*],
            };
            #[inline(always)]
            fn value<T: crate::float::Float>($x: T) -> T {
                $value
            }
            #[inline(always)]
            #[allow(unused_variables)]
            fn slope<R: crate::real::Algebra>($x: R, $y: R) -> R {
                $slope
            }
            $(#[inline(always)]
            fn value_and_slope<T: crate::float::Float>($x: T) -> (T, impl FnOnce() -> T) {
                let (value, slope) = $both;
                (value, move || slope)
            })?
        }
    };
    // Negation is the operator.
    (@methods [$($doc:tt)*] [$($example:tt)*] neg) => {};
    (@methods [$(#[$doc:meta])*] [$(#[$example:meta])*] $name:ident) => {
        impl<'t, T: crate::float::Float> crate::scalar::Scalar<'t, T> {
            $(#[$doc])*
            ///
            #[doc = crate::ops::elementwise::see!($name)]
            #[inline]
            #[track_caller]
            pub fn $name(self) -> Self {
                self.apply::<$name>()
            }
        }

        impl<'t, T: crate::float::Float> crate::var::Var<'t, T> {
            $(#[$doc])*
            ///
            /// Shapes: any → the same, element by element.
            ///
            $(#[$example])*
            #[track_caller]
            pub fn $name(self) -> Self {
                self.elementwise1(crate::ops::elementwise::Elementwise::$name)
            }
        }

        impl<T: crate::float::Float> crate::tensor::Tensor<T> {
            $(#[$doc])*
            ///
            /// Shapes: any → the same, element by element.
            ///
            #[doc = crate::ops::elementwise::see!($name)]
            pub fn $name(&self) -> Self {
                crate::ops::elementwise::Elementwise::$name.of_tensor(self)
            }
        }
    };
}

macro_rules! binary {
    // A predicate: 1 where it holds and 0 where not, which of tensors is a mask.
    ($(#[$doc:meta])* $name:ident($x:ident, $y:ident) -> bool {
        holds: $holds:expr,
        domain: $domain:expr,
        kinks: [$($kink:expr),*],
        $(#[$example:meta])*
    }) => {
        binary!(@rule $name, $x, $y, _z, if $holds { T::ONE } else { T::ZERO }, [R::of(0.0), R::of(0.0)], [Some(0.0), Some(0.0)],
            $domain, [$($kink),*]);
        binary!(@scalar [$(#[$doc])* #[doc = "\n1 if so, else 0.\n\nDerivative: 0."]] $name($y));
        binary!(@var [$(#[$doc])* #[doc = "\nDerivative: none."]] [$(#[$example])*] $name($y) -> crate::mask::Mask<'t, T>, crate::mask::Mask::of);
        binary!(@tensor [$(#[$doc])*] [#[doc = crate::ops::elementwise::see!($name)]] $name($y) -> crate::tensor::Tensor<bool>, |x: crate::tensor::Tensor<T>| x.to_truths());
    };
    ($(#[$doc:meta])* $name:ident($x:ident, $y:ident) -> $z:ident {
        value: $value:expr,
        slopes: $slopes:expr,
        domain: $domain:expr,
        kinks: [$($kink:expr),*],
        $(#[$example:meta])*
    }) => {
        binary!(@rule $name, $x, $y, $z, $value, $slopes, [None, None], $domain, [$($kink),*]);
        binary!(@methods [$(#[$doc])*] [$(#[$example])*] $name($y));
    };
    ($(#[$doc:meta])* $name:ident($x:ident, $y:ident) {
        value: $value:expr,
        constant slopes: [$by_x:literal, $by_y:literal],
        domain: $domain:expr,
        kinks: [$($kink:expr),*],
        $(#[$example:meta])*
    }) => {
        binary!(@rule $name, $x, $y, _z, $value, [R::of($by_x), R::of($by_y)], [Some($by_x), Some($by_y)], $domain, [$($kink),*]);
        binary!(@methods [$(#[$doc])*] [$(#[$example])*] $name($y));
    };
    (@rule $name:ident, $x:ident, $y:ident, $z:ident, $value:expr, $slopes:expr, $constant:expr, $domain:expr, [$($kink:expr),*]) => {
        #[allow(non_camel_case_types)]
        #[derive(Debug)]
        pub struct $name;

        impl crate::ops::elementwise::BinaryRule for $name {
            const CODE: crate::ops::elementwise::Elementwise = crate::ops::elementwise::Elementwise::$name;
            const FACTS: crate::ops::elementwise::Facts = crate::ops::elementwise::Facts {
                name: stringify!($name),
                constant: $constant,
                domain: $domain,
                #[allow(unused_variables)]
                kinks: |$y| smallvec::smallvec![$($kink),*],
            };
            #[inline(always)]
            fn value<T: crate::float::Float>($x: T, $y: T) -> T {
                $value
            }
            #[inline(always)]
            #[allow(unused_variables)]
            fn slopes<R: crate::real::Algebra>($x: R, $y: R, $z: R) -> [R; 2] {
                $slopes
            }
        }
    };
    // The operators have these as trait methods.
    (@methods [$($doc:tt)*] [$($example:tt)*] add($y:ident)) => { binary!(@tensor [$($doc)*] [$($example)*] add($y)); };
    (@methods [$($doc:tt)*] [$($example:tt)*] sub($y:ident)) => { binary!(@tensor [$($doc)*] [$($example)*] sub($y)); };
    (@methods [$($doc:tt)*] [$($example:tt)*] mul($y:ident)) => { binary!(@tensor [$($doc)*] [$($example)*] mul($y)); };
    (@methods [$($doc:tt)*] [$($example:tt)*] div($y:ident)) => { binary!(@tensor [$($doc)*] [$($example)*] div($y)); };
    // A bound that is a number and one that is a handle differ in the derivative at the bound.
    (@methods [$($doc:tt)*] [$($example:tt)*] clamp_min($y:ident)) => { binary!(@tensor [$($doc)*] [$($example)*] clamp_min($y)); };
    (@methods [$($doc:tt)*] [$($example:tt)*] clamp_max($y:ident)) => { binary!(@tensor [$($doc)*] [$($example)*] clamp_max($y)); };
    // A part of slopes alone.
    (@methods [$($doc:tt)*] [$($example:tt)*] power($y:ident)) => {};
    // Their second operand is an integer by type.
    (@methods [$($doc:tt)*] [$($example:tt)*] powi($y:ident)) => {};
    (@methods [$($doc:tt)*] [$($example:tt)*] polygamma($y:ident)) => {};
    (@methods [$($doc:tt)*] [$($example:tt)*] $name:ident($y:ident)) => {
        binary!(@scalar [$($doc)*] $name($y));
        binary!(@var [$($doc)*] [$($example)*] $name($y) -> Self, |y| y);
        binary!(@tensor [$($doc)*] [#[doc = crate::ops::elementwise::see!($name)]] $name($y));
    };
    (@scalar [$(#[$doc:meta])*] $name:ident($y:ident)) => {
        impl<'t, T: crate::float::Float> crate::scalar::Scalar<'t, T> {
            $(#[$doc])*
            ///
            #[doc = crate::ops::elementwise::see!($name)]
            #[inline]
            #[track_caller]
            #[allow(clippy::should_implement_trait)] // `rem` is not Rust's `%`: it has the sign of y.
            pub fn $name(self, $y: impl Into<Self>) -> Self {
                self.apply_with::<$name>($y.into())
            }
        }
    };
    (@var [$(#[$doc:meta])*] [$(#[$example:meta])*] $name:ident($y:ident) -> $answer:ty, $of:expr) => {
        impl<'t, T: crate::float::Float> crate::var::Var<'t, T> {
            $(#[$doc])*
            ///
            /// Shapes: the operands broadcast; a plain number and a `Scalar` fit every shape.
            ///
            $(#[$example])*
            #[track_caller]
            #[allow(clippy::should_implement_trait)]
            pub fn $name(self, $y: impl Into<crate::var::Term<'t, T>>) -> $answer {
                $of(self.elementwise2(crate::ops::elementwise::Elementwise::$name, $y.into()))
            }
        }
    };
    (@tensor [$($doc:tt)*] [$($example:tt)*] $name:ident($y:ident)) => {
        binary!(@tensor [$($doc)*] [$($example)*] $name($y) -> Self, |y| y);
    };
    (@tensor [$(#[$doc:meta])*] [$(#[$example:meta])*] $name:ident($y:ident) -> $answer:ty, $of:expr) => {
        impl<T: crate::float::Float> crate::tensor::Tensor<T> {
            $(#[$doc])*
            ///
            /// Shapes: the operands broadcast; a plain number fits every shape.
            ///
            $(#[$example])*
            ///
            /// # Errors
            /// When the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, $y: impl Into<Self>) -> crate::error::Result<$answer> {
                crate::ops::elementwise::Elementwise::$name.of_tensors([self, &$y.into()]).map($of)
            }
        }
    };
}

/// A method of `Algebra` with a second operand, which of some operations is an integer by type.
macro_rules! algebra_method {
    (power) => {};
    (powi) => {
        crate::ops::elementwise::algebra_method!(@integer powi i32);
    };
    (polygamma) => {
        crate::ops::elementwise::algebra_method!(@integer polygamma u32);
    };
    (@integer $name:ident $integer:ident) => {
        #[doc = concat!("See [`Scalar::", stringify!($name), "`](crate::Scalar).")]
        #[inline(always)]
        fn $name(self, n: $integer) -> Self {
            self.binary::<crate::ops::elementwise::rule::$name>(Self::of(n.into()))
        }
    };
    ($name:ident) => {
        #[doc = concat!("See [`Scalar::", stringify!($name), "`](crate::Scalar).")]
        #[inline(always)]
        fn $name(self, y: Self) -> Self {
            self.binary::<crate::ops::elementwise::rule::$name>(y)
        }
    };
}
pub(crate) use {algebra_method, binary, family, see, unary};
