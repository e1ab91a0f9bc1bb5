//! The elementwise ops: what their authors write, the table of them, and the loops every one gets.
//!
//! An op is one `unary!` or `binary!` block in a file of this folder: its doc, value, slopes, the domain and kinks its
//! tests use. [`Elementwise`] lists them all. From a block follow the methods of `Scalar`, `Var`, `Tensor` and
//! `Algebra`, the vectorised loops of both directions, recorded derivatives and forward mode.

mod block;

use smallvec::SmallVec;

use crate::float::Float;
use crate::kernel::vectorized::vectorized;
use crate::real::Algebra;
use crate::var::Var;

pub(crate) use block::{algebra_method, binary, family, see, unary};

/// An elementwise function of one operand.
pub trait UnaryRule: 'static {
    /// Its place in the table.
    const CODE: Elementwise;
    /// What the tests and the checker need to know.
    const FACTS: Facts;
    /// y = f(x).
    fn value<T: Float>(x: T) -> T;
    /// dy/dx.
    fn slope<R: Algebra>(x: R, y: R) -> R;
    /// The value, and the slope for who asks: with the same bits, and less work where the two share some.
    #[inline(always)]
    fn value_and_slope<T: Float>(x: T) -> (T, impl FnOnce() -> T) {
        let y = Self::value(x);
        (y, move || Self::slope(x, y))
    }
}

/// An elementwise function of two operands.
pub trait BinaryRule: 'static {
    /// Its place in the table.
    const CODE: Elementwise;
    /// What the tests and the checker need to know.
    const FACTS: Facts;
    /// z = f(x, y).
    fn value<T: Float>(x: T, y: T) -> T;
    /// [dz/dx, dz/dy].
    fn slopes<R: Algebra>(x: R, y: R, z: R) -> [R; 2];
}

/// Facts about an op that no formula shows.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The name of its method.
    pub name: &'static str,
    /// Slopes that do not depend on the operands, by operand.
    pub constant: [Option<f64>; 2],
    /// An interval of each operand on which the op is defined and tests draw their points.
    pub domain: [(f64, f64); 2],
    /// Values of the first operand where the value or one of its first two derivatives jumps; they may depend on the second
    /// operand.
    pub kinks: fn(f64) -> SmallVec<[f64; 2]>,
}

/// Every rule by the name of its method.
pub mod rule {
    pub use crate::ops::activation::*;
    pub use crate::ops::arithmetic::*;
    pub use crate::ops::comparison::*;
    pub use crate::ops::exponential::*;
    pub use crate::ops::rounding::*;
    pub use crate::ops::special::*;
    pub use crate::ops::trigonometric::*;
}

/// A loop over equally long blocks of the operands.
pub(crate) type Block<T> = fn(&[&[T]], &mut [T]);

macro_rules! table {
    (unary: $($unary:ident)*; binary: $($binary:ident)*;) => {
        /// The elementwise ops.
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Elementwise { $($unary,)* $($binary,)* select }

        impl Elementwise {
            /// The ops in the order of the table; `ALL[code as usize]` is `code`.
            pub(crate) const ALL: &'static [Elementwise] =
                &[$(Elementwise::$unary,)* $(Elementwise::$binary,)* Elementwise::select];

            pub(crate) fn facts(self) -> Facts {
                match self {
                    $(Elementwise::$unary => rule::$unary::FACTS,)*
                    $(Elementwise::$binary => rule::$binary::FACTS,)*
                    Elementwise::select => Facts {
                        name: "select",
                        constant: [Some(0.0), None],
                        domain: [(-1.0, 1.0); 2],
                        kinks: |_| SmallVec::new(),
                    },
                }
            }

            /// The slopes that do not depend on the operands.
            #[inline]
            pub(crate) fn constant_slopes(self) -> [Option<f64>; 2] {
                match self {
                    $(Elementwise::$unary => rule::$unary::FACTS.constant,)*
                    $(Elementwise::$binary => rule::$binary::FACTS.constant,)*
                    Elementwise::select => [Some(0.0), None],
                }
            }

            pub(crate) fn arity(self) -> usize {
                match self {
                    $(Elementwise::$unary => 1,)*
                    $(Elementwise::$binary => 2,)*
                    Elementwise::select => 3,
                }
            }

            /// f at one point; `x` has as many operands as the op.
            pub(crate) fn at<R: Algebra>(self, x: &[R]) -> R {
                match self {
                    $(Elementwise::$unary => x[0].unary::<rule::$unary>(),)*
                    $(Elementwise::$binary => x[0].binary::<rule::$binary>(x[1]),)*
                    Elementwise::select => R::select(x[0], x[1], x[2]),
                }
            }

            /// dy/dx of an op of one operand.
            #[inline]
            pub(crate) fn slope<R: Algebra>(self, x: R, y: R) -> R {
                match self {
                    $(Elementwise::$unary => rule::$unary::slope(x, y),)*
                    _ => R::of(f64::NAN),
                }
            }

            /// [dz/dx, dz/dy] of an op of two operands.
            #[inline]
            pub(crate) fn slopes<R: Algebra>(self, x: R, y: R, z: R) -> [R; 2] {
                match self {
                    $(Elementwise::$binary => rule::$binary::slopes(x, y, z),)*
                    _ => [R::of(f64::NAN); 2],
                }
            }

            /// The loop out = f(operands…).
            pub(crate) fn value_block<T: Float>(self) -> Block<T> {
                match self {
                    $(Elementwise::$unary => unary_value::<rule::$unary, T>,)*
                    $(Elementwise::$binary => binary_value::<rule::$binary, T>,)*
                    Elementwise::select => select_value::<T>,
                }
            }

            /// The loop out = g·slope for one operand; its inputs are g, the operands, the op's value.
            pub(crate) fn reverse_block<T: Float>(self, operand: usize) -> Block<T> {
                match (self, operand) {
                    $((Elementwise::$unary, _) => unary_reverse::<rule::$unary, T>,)*
                    $((Elementwise::$binary, 0) => binary_reverse::<rule::$binary, T, 0>,)*
                    $((Elementwise::$binary, _) => binary_reverse::<rule::$binary, T, 1>,)*
                    (Elementwise::select, 1) => select_reverse::<T, true>,
                    (Elementwise::select, _) => select_reverse::<T, false>,
                }
            }
        }

        macro_rules! algebra_methods {
            () => {
                $(
                    #[doc = concat!("See [`Scalar::", stringify!($unary), "`](crate::Scalar).")]
                    #[inline(always)]
                    fn $unary(self) -> Self {
                        self.unary::<crate::ops::elementwise::rule::$unary>()
                    }
                )*
                $(crate::ops::elementwise::algebra_method!($binary);)*
            };
        }
        pub(crate) use algebra_methods;
    };
}

table! {
    unary:
        neg abs sign square reciprocal sqrt rsqrt
        exp exp2 expm1 ln log2 log10 log1p logit
        sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sinc deg2rad rad2deg
        ceil floor round trunc frac nan_to_num
        erf erfc erfinv ndtr lgamma digamma
        sigmoid logsigmoid relu relu6 silu gelu gelu_tanh mish softsign tanhshrink selu hardsigmoid hardswish hardtanh;
    binary:
        add sub mul div masked_mul pow power powi atan2 hypot maximum minimum fmax fmin clamp_min clamp_max copysign fmod rem
        logaddexp logaddexp2 xlogy xlog1py polygamma
        eq ne gt ge lt le
        leaky_relu prelu elu celu softplus hardshrink softshrink threshold;
}

/// The names of the ops with so many operands: what runs over all ops needs no list of its own.
pub fn names(arity: usize) -> impl Iterator<Item = &'static str> {
    Elementwise::ALL.iter().filter(move |op| op.arity() == arity).map(|op| op.facts().name)
}

/// The op of one or two operands that has this name, if there is one.
///
/// Derivative: that of the op.
/// Shapes: the operands broadcast.
///
/// ```
/// use autograd::{Tape, table};
///
/// let tape = Tape::new();
/// let x = tape.var([0.5_f64, 2.0]);
/// let y = table::call("sqrt", &[x]).expect("an operation of the table");
/// assert_eq!(y.value()?, x.sqrt().value()?);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn call<'t, T: Float>(name: &str, operands: &[Var<'t, T>]) -> Option<Var<'t, T>> {
    let is_meant = |op: &&Elementwise| op.facts().name == name && op.arity() == operands.len();
    let op = *Elementwise::ALL.iter().find(is_meant)?;
    match *operands {
        [x] => Some(x.elementwise1(op)),
        [x, y] => Some(x.elementwise2(op, y.into())),
        _ => None,
    }
}

fn unary_value<Op: UnaryRule, T: Float>(inputs: &[&[T]], out: &mut [T]) {
    vectorized!({
        for (out, &x) in out.iter_mut().zip(inputs[0]) {
            *out = Op::value(x);
        }
    });
}

fn unary_reverse<Op: UnaryRule, T: Float>(inputs: &[&[T]], out: &mut [T]) {
    let (g, x, y) = (inputs[0], inputs[1], inputs[2]);
    vectorized!({
        for (((out, &g), &x), &y) in out.iter_mut().zip(g).zip(x).zip(y) {
            *out = g.masked_mul(Op::slope(x, y));
        }
    });
}

fn binary_value<Op: BinaryRule, T: Float>(inputs: &[&[T]], out: &mut [T]) {
    let (x, y) = (inputs[0], inputs[1]);
    vectorized!({
        for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
            *out = Op::value(x, y);
        }
    });
}

fn binary_reverse<Op: BinaryRule, T: Float, const OPERAND: usize>(inputs: &[&[T]], out: &mut [T]) {
    let (g, x, y, z) = (inputs[0], inputs[1], inputs[2], inputs[3]);
    vectorized!({
        for ((((out, &g), &x), &y), &z) in out.iter_mut().zip(g).zip(x).zip(y).zip(z) {
            *out = g.masked_mul(Op::slopes(x, y, z)[OPERAND]);
        }
    });
}

fn select_value<T: Float>(inputs: &[&[T]], out: &mut [T]) {
    let (condition, x, y) = (inputs[0], inputs[1], inputs[2]);
    vectorized!({
        for (((out, &c), &x), &y) in out.iter_mut().zip(condition).zip(x).zip(y) {
            *out = if c != T::ZERO { x } else { y };
        }
    });
}

/// The gradient goes where the value came from and nowhere else: a choice, not a product with 0 or 1.
fn select_reverse<T: Float, const TAKEN: bool>(inputs: &[&[T]], out: &mut [T]) {
    let (g, condition) = (inputs[0], inputs[1]);
    vectorized!({
        for ((out, &g), &c) in out.iter_mut().zip(g).zip(condition) {
            *out = if (c != T::ZERO) == TAKEN { g } else { T::ZERO };
        }
    });
}
