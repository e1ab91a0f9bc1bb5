//! The op table: every tensor op by name, and what an op is.
//!
//! Elementwise ops are [`Elementwise`] blocks. Every other op is a struct in a file below this folder that implements
//! [`TensorRule`]: the shape of its value from those of its operands, the value on plain tensors and the derivative on
//! handles. A rule sees mathematics only: whether the derivative is recorded, which operands need one, and accumulation are
//! the sweeps' business.
//!
//! Invariant: the list in [`ops!`] below is the only place that knows all ops.

pub mod activation;
pub mod arithmetic;
pub mod comparison;
pub mod elementwise;
pub mod exponential;
pub mod rounding;
pub mod special;
pub mod trigonometric;

pub(crate) mod arrange;
pub(crate) mod attention;
pub(crate) mod batch_norm;
pub(crate) mod cat;
pub(crate) mod composed;
pub(crate) mod control;
pub(crate) mod conv;
pub(crate) mod cross_entropy;
pub(crate) mod custom;
pub(crate) mod diagonal;
pub(crate) mod einsum;
pub(crate) mod index;
pub(crate) mod integers;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod min_max;
pub(crate) mod moments;
pub(crate) mod nll;
pub(crate) mod norm;
pub(crate) mod pad;
pub(crate) mod pool;
pub(crate) mod product;
pub(crate) mod random;
pub(crate) mod recurrent;
pub(crate) mod reduce;
pub(crate) mod scan;
pub(crate) mod search;
pub(crate) mod shape;
pub(crate) mod slice;
pub(crate) mod softmax;
pub(crate) mod sort;

use std::ops::Deref;

use smallvec::SmallVec;

use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::Indices;
use crate::ops::elementwise::Elementwise;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;
use crate::var::Var;

/// What a rule wants to find again besides its operands and its value.
#[derive(Debug, Clone)]
pub(crate) enum Saved<T: Float> {
    Nothing,
    Integers(Integers),
    Tensor(Tensor<T>),
}

/// What an op is a function of: tensors, which it derefs to, and integers.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a, T: Float> {
    pub tensors: &'a [Tensor<T>],
    pub integers: &'a [Integers],
}

impl<'a, T: Float> Operands<'a, T> {
    /// Tensors alone.
    pub fn of(tensors: &'a [Tensor<T>]) -> Self {
        Operands { tensors, integers: &[] }
    }
}

impl<T: Float> Deref for Operands<'_, T> {
    type Target = [Tensor<T>];

    fn deref(&self) -> &[Tensor<T>] {
        self.tensors
    }
}

/// The shapes of what an op is a function of: those of tensors, which it derefs to, and of integers.
#[derive(Clone, Copy)]
pub(crate) struct Shapes<'a> {
    pub tensors: &'a [&'a Shape],
    pub integers: &'a [&'a Shape],
}

impl<'a> Deref for Shapes<'a> {
    type Target = [&'a Shape];

    fn deref(&self) -> &[&'a Shape] {
        self.tensors
    }
}

/// What an op computes.
pub(crate) struct Value<T: Float> {
    pub tensor: Tensor<T>,
    pub saved: Saved<T>,
}

/// The shape of what an op keeps.
pub(crate) enum KeptShape {
    Nothing,
    Integers(Shape),
    Tensor(Shape),
}

impl<T: Float> From<Tensor<T>> for Value<T> {
    fn from(tensor: Tensor<T>) -> Self {
        Value { tensor, saved: Saved::Nothing }
    }
}

/// What a derivative rule sees: operands, value, incoming gradient.
pub(crate) struct Vjp<'a, 't, T: Float> {
    pub x: &'a [Var<'t, T>],
    pub y: Var<'t, T>,
    pub g: Var<'t, T>,
    pub integers: &'a [Indices<'t, T>],
    pub saved: &'a Saved<T>,
    pub needs: &'a [bool],
}

/// So many operands have room in lists without an allocation: those of a recurrent sequence.
pub(crate) const OPERANDS: usize = 6;

/// The gradient of each operand; `None` where no gradient flows.
pub(crate) type Cotangents<'t, T> = SmallVec<[Option<Var<'t, T>>; OPERANDS]>;

impl<'a, 't, T: Float> Vjp<'a, 't, T> {
    /// The answer of a rule with one operand.
    pub fn only(&self, gx: Var<'t, T>) -> Cotangents<'t, T> {
        SmallVec::from_iter([Some(gx)])
    }

    /// What the operation kept as a tensor, where the derivative is not differentiated again: the kept numbers do not carry
    /// their dependence on the operands.
    pub fn kept(&self) -> Option<Var<'t, T>> {
        match self.saved {
            Saved::Tensor(kept) if !self.g.tape.is_recording() => Some(self.g.tape.kept(self.y.slot, kept.clone())),
            _ => None,
        }
    }

    /// The integers that the operation kept.
    #[track_caller]
    pub fn kept_integers(&self) -> Option<Indices<'t, T>> {
        self.g.tape.integers_kept_by(self.y.slot)
    }

    /// Whether a gradient of operand `i` is asked for.
    pub fn is_needed(&self, i: usize) -> bool {
        self.needs[i]
    }

    /// The answer for operand `i`, computed only if it is needed.
    pub fn operand(&self, i: usize, gx: impl FnOnce() -> Var<'t, T>) -> Option<Var<'t, T>> {
        self.is_needed(i).then(gx)
    }

    /// The answer of a rule with two operands, each computed only if it is needed.
    pub fn both(&self, gx: impl FnOnce() -> Var<'t, T>, gy: impl FnOnce() -> Var<'t, T>) -> Cotangents<'t, T> {
        SmallVec::from_iter([self.operand(0, gx), self.operand(1, gy)])
    }
}

/// A tensor op that is not elementwise.
pub(crate) trait TensorRule {
    /// The name of the user's method.
    const NAME: &'static str;

    /// Whether the op is linear in each operand alone. Its forward derivative is then the op itself, with one operand
    /// after the other replaced by its tangent.
    const MULTILINEAR: bool = false;

    /// Whether the value shows elements of the operand (of [`Reshape`]: where strides allow it).
    const IS_VIEW: bool = false;

    /// The shape of the value, or the rule that the operands break. All checks of shapes and settings are here.
    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind>;

    /// The value, of that shape: the operands fit. What is left to break is a rule about elements, or memory.
    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind>;

    /// The shape of what the value keeps besides.
    fn kept_shape(&self, _: Shapes<'_>, _: &Shape) -> KeptShape {
        KeptShape::Nothing
    }

    /// The value of operands that may not fit.
    fn of<T: Float>(&self, x: Operands<'_, T>) -> Result<Value<T>, ErrorKind> {
        let tensors: SmallVec<[&Shape; OPERANDS]> = x.tensors.iter().map(Tensor::shape).collect();
        let integers: SmallVec<[&Shape; 1]> = x.integers.iter().map(Integers::shape).collect();
        let shape = self.shape(Shapes { tensors: &tensors, integers: &integers })?;
        self.value(x, shape)
    }

    /// The gradient of each operand: the incoming gradient times the Jacobian, in ops on handles.
    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T>;
}

macro_rules! ops {
    ($($module:ident::$name:ident)*) => {
        $(pub(crate) use $module::$name;)*

        /// Every op that a node can hold.
        #[derive(Debug, Clone)]
        pub(crate) enum Op {
            /// A variable or a parameter.
            Leaf,
            /// Data.
            Constant,
            /// The operand without its history.
            Detach,
            /// What the operation of the operand keeps for its derivative.
            Kept,
            Elementwise(Elementwise),
            /// Scalars gathered into a tensor: a range of the tape's list.
            FromScalars { start: usize, len: usize },
            /// A user's op, in the tape's list.
            Custom { rule: u32, outputs: u32 },
            /// One more output of the custom op that many nodes before.
            Output { back: u32 },
            $($name($name),)*
        }

        impl Op {
            /// The names of the ops with a [`TensorRule`].
            #[cfg(test)]
            pub const NAMES: &[&str] = &[$(<$name as TensorRule>::NAME,)*];

            pub fn name(&self) -> &'static str {
                match self {
                    Op::Leaf => "leaf",
                    Op::Constant => "constant",
                    Op::Detach => "detach",
                    Op::Kept => "kept",
                    Op::Elementwise(op) => op.facts().name,
                    Op::FromScalars { .. } => "from_scalars",
                    Op::Custom { .. } => "custom",
                    Op::Output { .. } => "output",
                    $(Op::$name(_) => <$name as TensorRule>::NAME,)*
                }
            }

            pub fn is_multilinear(&self) -> bool {
                match self {
                    $(Op::$name(_) => <$name as TensorRule>::MULTILINEAR,)*
                    _ => false,
                }
            }

            /// Whether the value shows elements of the operand: see [`TensorRule::IS_VIEW`].
            pub fn is_view(&self) -> bool {
                match self {
                    $(Op::$name(_) => <$name as TensorRule>::IS_VIEW,)*
                    _ => false,
                }
            }

            /// The shape of the value of an op with a [`TensorRule`]; `None` for the others, which are not functions of
            /// their operands alone.
            pub fn shape(&self, x: Shapes<'_>) -> Option<Result<Shape, ErrorKind>> {
                match self {
                    $(Op::$name(op) => Some(op.shape(x)),)*
                    _ => None,
                }
            }

            /// The shape of what the op keeps besides its value, which has `shape`.
            pub fn kept_shape(&self, x: Shapes<'_>, shape: &Shape) -> KeptShape {
                match self {
                    $(Op::$name(op) => op.kept_shape(x, shape),)*
                    _ => KeptShape::Nothing,
                }
            }

            /// The value of an op with a [`TensorRule`]; `None` for the others.
            pub fn of<T: Float>(&self, x: Operands<'_, T>) -> Option<Result<Value<T>, ErrorKind>> {
                match self {
                    $(Op::$name(op) => Some(op.of(x)),)*
                    _ => None,
                }
            }

            /// The derivative of an op with a [`TensorRule`].
            pub fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Option<Cotangents<'t, T>> {
                match self {
                    $(Op::$name(op) => Some(op.vjp(rule)),)*
                    _ => None,
                }
            }
        }

        $(impl From<$name> for Op {
            fn from(op: $name) -> Self {
                Op::$name(op)
            }
        })*
    };
}

ops! {
    shape::Reshape
    shape::Permute
    shape::BroadcastTo
    shape::SumTo
    slice::Slice
    slice::Embed
    slice::Flip
    pad::Pad
    cat::Cat
    diagonal::Diagonal
    diagonal::DiagonalEmbed
    index::Gather
    index::ScatterAdd
    index::Scatter
    index::ScatterAdjoint
    index::IndexSelect
    index::IndexAdd
    index::Except
    reduce::Sum
    reduce::Prod
    min_max::Amax
    min_max::Amin
    moments::Variance
    moments::LogSumExp
    norm::Norm
    scan::CumSum
    scan::CumProd
    scan::LogCumSumExp
    scan::Recurrence
    softmax::Softmax
    softmax::SoftmaxAdjoint
    softmax::LogSoftmax
    softmax::LogSoftmaxAdjoint
    cross_entropy::SoftmaxCrossEntropy
    cross_entropy::SoftmaxCrossEntropyAdjoint
    nll::NegativeLogLikelihood
    nll::NegativeLogLikelihoodAdjoint
    product::MatMul
    product::Cross
    linear::Linear
    attention::Attention
    attention::AttentionAdjoint
    attention::DropWeights
    conv::Conv2d
    conv::BiasedConv2d
    conv::ConvInput
    conv::ConvWeight
    pool::MaxPool
    pool::Pick
    pool::Unpick
    pool::AvgPool
    pool::AvgPoolAdjoint
    layer_norm::LayerNorm
    layer_norm::LayerNormAdjoint
    batch_norm::BatchNorm
    batch_norm::BatchNormAdjoint
    batch_norm::BatchNormSums
    random::Draw
    recurrent::WithinLengths
    recurrent::Lstm
    recurrent::LstmAdjoint
    recurrent::Gru
    recurrent::GruAdjoint
    recurrent::Rnn
    recurrent::RnnAdjoint
}
