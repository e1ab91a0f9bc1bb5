//! `Var`: the handle of a tensor on a tape, and `Term`: what may stand beside one in a formula. What an operation computes
//! is in `ops/`.

mod operators;
mod term;

use std::fmt;
use std::panic::Location;

use smallvec::SmallVec;

use crate::engine::engine;
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::indices::Indices;
use crate::ops::Op;
use crate::ops::elementwise::Elementwise;
use crate::param::Param;
use crate::shape::{Axes, Shape};
use crate::tape::{Input, Inputs, LIMIT, Tape};
use crate::tensor::Tensor;

pub use term::Term;

/// A tensor on a tape, of any rank.
///
/// A handle: copying it copies no elements. Operators broadcast and take plain numbers and [`Scalar`](crate::Scalar)s too.
///
/// ```
/// use autograd::Tape;
///
/// let tape = Tape::new();
/// let x = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
/// let row = tape.constant([10.0_f32, 20.0]);
/// let y = (2.0 * x + row).tanh();
/// assert_eq!(y.shape().to_string(), "[2, 2]");
/// let gradients = y.sum().backward()?;
/// assert_eq!(gradients.of(x)?.shape(), &[2, 2].into());
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Numbers in formulas
///
/// For a type that is known, numbers stand on either side: `1.0 - 0.5 * x`. In code for any [`Float`] a number `T::of(0.5)`
/// stands on the right; Rust has no place for `T::of(0.5) * x`, whose left operand is of a type that is not this crate's. A
/// number on the left is a [`Scalar::constant`](crate::Scalar::constant), which costs nothing:
///
/// ```
/// use autograd::{Float, Scalar, Tape, Var};
///
/// fn logistic<'t, T: Float>(x: Var<'t, T>) -> Var<'t, T> {
///     let one = Scalar::constant(T::of(1.0));
///     let mut y = x * T::of(-1.0);
///     y += T::of(0.5);
///     one / (one + y.exp())
/// }
///
/// let tape = Tape::<f32>::new();
/// assert_eq!(logistic(tape.var([0.5])).value()?.to_vec(), [0.5]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// `y += x` makes `y` the handle of a new value: values on a tape do not change, nor do other handles. A sum over an iterator
/// of tensors is `reduce(|a, b| a + b)`, since a sum of none would be on no tape; scalars have `sum` and `product`.
///
/// # Operations
///
/// - Value and tape: [`value`](Self::value), [`shape`](Self::shape), [`rank`](Self::rank), [`size`](Self::size),
///   [`dims`](Self::dims), [`tape`](Self::tape), [`param`](Self::param), [`named`](Self::named),
///   [`is_failed`](Self::is_failed), [`fail`](Self::fail)
/// - Between scalars and tensors: [`item`](Self::item), [`at`](Self::at), [`to_scalars`](Self::to_scalars),
///   [`detach`](Self::detach)
/// - Hooks: [`on_gradient`](Self::on_gradient)
/// - Derivatives: [`jvp`](Self::jvp), [`vjp`](Self::vjp), [`grad`](Self::grad)
/// - Arithmetic: [`masked_mul`](Self::masked_mul), [`pow`](Self::pow), [`abs`](Self::abs), [`sign`](Self::sign),
///   [`square`](Self::square), [`reciprocal`](Self::reciprocal), [`sqrt`](Self::sqrt), [`rsqrt`](Self::rsqrt),
///   [`maximum`](Self::maximum), [`minimum`](Self::minimum), [`fmax`](Self::fmax), [`fmin`](Self::fmin),
///   [`clamp_min`](Self::clamp_min), [`clamp_max`](Self::clamp_max), [`copysign`](Self::copysign),
///   [`fmod`](Self::fmod), [`rem`](Self::rem)
/// - Powers and bounds: [`powi`](Self::powi), [`polygamma`](Self::polygamma), [`clamp`](Self::clamp)
/// - Comparisons, whose [`Mask`](crate::Mask) chooses with [`select`](crate::Mask::select): [`eq`](Self::eq), [`ne`](Self::ne), [`gt`](Self::gt), [`ge`](Self::ge), [`lt`](Self::lt),
///   [`le`](Self::le)
/// - Exponentials and logarithms: [`exp`](Self::exp), [`exp2`](Self::exp2), [`expm1`](Self::expm1), [`ln`](Self::ln),
///   [`log2`](Self::log2), [`log10`](Self::log10), [`log1p`](Self::log1p), [`logit`](Self::logit),
///   [`logaddexp`](Self::logaddexp), [`logaddexp2`](Self::logaddexp2), [`xlogy`](Self::xlogy),
///   [`xlog1py`](Self::xlog1py)
/// - Circular and hyperbolic functions: [`sin`](Self::sin), [`cos`](Self::cos), [`tan`](Self::tan),
///   [`asin`](Self::asin), [`acos`](Self::acos), [`atan`](Self::atan), [`sinh`](Self::sinh), [`cosh`](Self::cosh),
///   [`tanh`](Self::tanh), [`asinh`](Self::asinh), [`acosh`](Self::acosh), [`atanh`](Self::atanh),
///   [`sinc`](Self::sinc), [`deg2rad`](Self::deg2rad), [`rad2deg`](Self::rad2deg), [`atan2`](Self::atan2),
///   [`hypot`](Self::hypot)
/// - Error and gamma functions: [`erf`](Self::erf), [`erfc`](Self::erfc), [`erfinv`](Self::erfinv),
///   [`ndtr`](Self::ndtr), [`lgamma`](Self::lgamma), [`digamma`](Self::digamma)
/// - Rounding and repair: [`floor`](Self::floor), [`ceil`](Self::ceil), [`round`](Self::round), [`trunc`](Self::trunc),
///   [`frac`](Self::frac), [`nan_to_num`](Self::nan_to_num)
/// - Elementwise formulas: [`lerp`](Self::lerp), [`addcmul`](Self::addcmul), [`addcdiv`](Self::addcdiv),
///   [`ldexp`](Self::ldexp), [`div_floor`](Self::div_floor), [`div_trunc`](Self::div_trunc),
///   [`logit_clamped`](Self::logit_clamped), [`nan_to_num_with`](Self::nan_to_num_with), [`mvlgamma`](Self::mvlgamma),
///   [`glu`](Self::glu), [`rrelu`](Self::rrelu)
/// - Activation functions: [`sigmoid`](Self::sigmoid), [`logsigmoid`](Self::logsigmoid), [`relu`](Self::relu),
///   [`relu6`](Self::relu6), [`silu`](Self::silu), [`gelu`](Self::gelu), [`gelu_tanh`](Self::gelu_tanh),
///   [`mish`](Self::mish), [`softsign`](Self::softsign), [`tanhshrink`](Self::tanhshrink), [`selu`](Self::selu),
///   [`hardsigmoid`](Self::hardsigmoid), [`hardswish`](Self::hardswish), [`hardtanh`](Self::hardtanh),
///   [`leaky_relu`](Self::leaky_relu), [`prelu`](Self::prelu), [`elu`](Self::elu), [`celu`](Self::celu),
///   [`softplus`](Self::softplus), [`hardshrink`](Self::hardshrink), [`softshrink`](Self::softshrink),
///   [`threshold`](Self::threshold)
/// - Shapes: [`reshape`](Self::reshape), [`flatten`](Self::flatten), [`permute`](Self::permute),
///   [`transpose`](Self::transpose), [`t`](Self::t), [`broadcast_to`](Self::broadcast_to), [`sum_to`](Self::sum_to),
///   [`unsqueeze`](Self::unsqueeze), [`squeeze`](Self::squeeze), [`squeeze_all`](Self::squeeze_all)
/// - Slices and pieces: [`slice`](Self::slice), [`slice_step`](Self::slice_step), [`narrow`](Self::narrow),
///   [`index_axis`](Self::index_axis), [`flip`](Self::flip), [`split`](Self::split),
///   [`split_sizes`](Self::split_sizes), [`chunk`](Self::chunk), [`unbind`](Self::unbind)
/// - Arrangement: [`unflatten`](Self::unflatten), [`flatten_axes`](Self::flatten_axes), [`movedim`](Self::movedim),
///   [`swapaxes`](Self::swapaxes), [`expand`](Self::expand), [`tile`](Self::tile), [`repeat`](Self::repeat),
///   [`repeat_interleave`](Self::repeat_interleave), [`roll`](Self::roll), [`rot90`](Self::rot90),
///   [`tril`](Self::tril), [`triu`](Self::triu)
/// - Padding: [`pad`](Self::pad)
/// - Diagonals: [`diagonal`](Self::diagonal), [`diag_embed`](Self::diag_embed), [`diag`](Self::diag)
/// - Gathering and scattering: [`gather`](Self::gather), [`take_along_dim`](Self::take_along_dim),
///   [`scatter_add`](Self::scatter_add), [`scatter`](Self::scatter), [`index_select`](Self::index_select),
///   [`index_add`](Self::index_add), [`index_copy`](Self::index_copy), [`embedding`](Self::embedding), [`embedding_padded`](Self::embedding_padded),
///   [`masked_fill`](Self::masked_fill)
/// - SortOrder: [`sort`](Self::sort), [`topk`](Self::topk), [`kthvalue`](Self::kthvalue), [`median`](Self::median),
///   [`argsort`](Self::argsort)
/// - Sums, means, products: [`sum`](Self::sum), [`sum_axes`](Self::sum_axes), [`sum_keepdim`](Self::sum_keepdim),
///   [`mean`](Self::mean), [`mean_axes`](Self::mean_axes), [`mean_keepdim`](Self::mean_keepdim), [`prod`](Self::prod),
///   [`prod_axes`](Self::prod_axes), [`prod_keepdim`](Self::prod_keepdim), [`nansum`](Self::nansum),
///   [`nanmean`](Self::nanmean), [`nansum_axes`](Self::nansum_axes), [`nanmean_axes`](Self::nanmean_axes),
///   [`count_nonzero`](Self::count_nonzero), [`count_nonzero_axes`](Self::count_nonzero_axes)
/// - Maxima and minima: [`max`](Self::max), [`min`](Self::min), [`amax`](Self::amax),
///   [`amax_keepdim`](Self::amax_keepdim), [`amin`](Self::amin), [`amin_keepdim`](Self::amin_keepdim),
///   [`max_with_index`](Self::max_with_index), [`min_with_index`](Self::min_with_index), [`argmax`](Self::argmax),
///   [`argmin`](Self::argmin)
/// - Variances and log-sum-exp: [`var`](Self::var), [`var_axes`](Self::var_axes), [`var_keepdim`](Self::var_keepdim),
///   [`var_mean`](Self::var_mean), [`std`](Self::std), [`std_axes`](Self::std_axes),
///   [`std_keepdim`](Self::std_keepdim), [`logsumexp`](Self::logsumexp), [`logsumexp_keepdim`](Self::logsumexp_keepdim)
/// - Norms: [`norm`](Self::norm), [`norm_axes`](Self::norm_axes), [`norm_keepdim`](Self::norm_keepdim)
/// - Running sums and integrals: [`cumsum`](Self::cumsum), [`cumprod`](Self::cumprod),
///   [`logcumsumexp`](Self::logcumsumexp), [`cummax`](Self::cummax), [`cummin`](Self::cummin), [`diff`](Self::diff),
///   [`trapezoid`](Self::trapezoid), [`cumulative_trapezoid`](Self::cumulative_trapezoid)
/// - Products: [`matmul`](Self::matmul), [`dot`](Self::dot), [`mv`](Self::mv), [`bmm`](Self::bmm),
///   [`outer`](Self::outer), [`addmm`](Self::addmm), [`baddbmm`](Self::baddbmm), [`kron`](Self::kron),
///   [`cross`](Self::cross), [`tensordot`](Self::tensordot), [`multi_dot`](Self::multi_dot)
/// - Linear maps: [`linear`](Self::linear)
/// - Convolutions: [`conv2d`](Self::conv2d), [`conv1d`](Self::conv1d), [`conv_transpose2d`](Self::conv_transpose2d),
///   [`conv_transpose1d`](Self::conv_transpose1d)
/// - Pooling: [`max_pool2d`](Self::max_pool2d), [`max_pool2d_with_indices`](Self::max_pool2d_with_indices),
///   [`max_pool1d`](Self::max_pool1d), [`adaptive_max_pool2d`](Self::adaptive_max_pool2d),
///   [`adaptive_max_pool1d`](Self::adaptive_max_pool1d), [`max_unpool2d`](Self::max_unpool2d),
///   [`avg_pool2d`](Self::avg_pool2d), [`avg_pool1d`](Self::avg_pool1d),
///   [`adaptive_avg_pool2d`](Self::adaptive_avg_pool2d), [`adaptive_avg_pool1d`](Self::adaptive_avg_pool1d),
///   [`lp_pool2d`](Self::lp_pool2d)
/// - Softmax: [`softmax`](Self::softmax), [`softmin`](Self::softmin), [`log_softmax`](Self::log_softmax)
/// - Attention: [`scaled_dot_product_attention`](Self::scaled_dot_product_attention)
/// - Recurrent networks: [`lstm`](Self::lstm), [`gru`](Self::gru), [`rnn`](Self::rnn)
/// - Normalisation: [`layer_norm`](Self::layer_norm), [`rms_norm`](Self::rms_norm), [`group_norm`](Self::group_norm),
///   [`instance_norm`](Self::instance_norm)
/// - Batch normalisation: [`batch_norm`](Self::batch_norm), [`batch_norm_eval`](Self::batch_norm_eval)
/// - Dropout: [`dropout`](Self::dropout), [`feature_dropout`](Self::feature_dropout),
///   [`alpha_dropout`](Self::alpha_dropout)
/// - Cross-entropy: [`softmax_cross_entropy`](Self::softmax_cross_entropy)
/// - Negative log-likelihood: [`nll`](Self::nll)
#[derive(Clone, Copy)]
pub struct Var<'t, T: Float = f32> {
    pub(crate) tape: &'t Tape<T>,
    pub(crate) slot: u32,
}

/// # Value and tape
impl<'t, T: Float> Var<'t, T> {
    pub(crate) fn new(tape: &'t Tape<T>, slot: u32) -> Self {
        Self { tape, slot }
    }

    /// The value; it shares its elements with the tape.
    ///
    /// # Errors
    /// The failure that this depends on, if it is the result of a failed operation. On a tape
    /// [of shapes](Tape::of_shapes) there are no values.
    #[track_caller]
    pub fn value(self) -> Result<Tensor<T>> {
        self.ensure()?;
        self.tape.must_have_elements("value")?;
        if self.tape.is_guarding() {
            self.tape.look()?;
            self.tape.guard_elements(self.slot);
        }
        Ok(self.tape.node_value(self.slot))
    }

    /// # Errors
    /// When this is the result of a failed operation.
    #[track_caller]
    pub(crate) fn ensure(self) -> Result<()> {
        if self.is_failed() { self.tape.failed(self.slot) } else { Ok(()) }
    }

    /// The size along each axis; no axes for the result of a failed operation.
    pub fn shape(self) -> Shape {
        if self.is_failed() {
            Shape::default()
        } else {
            self.tape.with_node(self.slot, |node| node.value.shape().clone())
        }
    }

    /// The number of axes.
    pub fn rank(self) -> usize {
        self.shape().rank()
    }

    /// All axes.
    pub(crate) fn axes(self) -> Axes {
        (0..self.rank() as isize).collect()
    }

    /// The size along `axis`, where −1 is the last; 0 if there is none.
    pub fn size(self, axis: isize) -> usize {
        let shape = self.shape();
        shape.axis(axis).map_or(0, |axis| shape[axis])
    }

    /// The sizes of a tensor that must have N axes; another rank is a failure, and the sizes are then 0.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::<f32>::new();
    /// let [batch, width] = tape.constant(Tensor::zeros([8, 3])).dims();
    /// assert_eq!((batch, width), (8, 3));
    /// ```
    #[track_caller]
    pub fn dims<const N: usize>(self) -> [usize; N] {
        let shape = self.shape();
        if let Ok(sizes) = <[usize; N]>::try_from(&shape[..]) {
            return sizes;
        }
        self.fail("dims", ErrorKind::Rank { what: "the operand", expected: N, found: shape });
        [0; N]
    }

    /// The tape this is on.
    pub fn tape(self) -> &'t Tape<T> {
        self.tape
    }

    /// A parameter, brought onto this handle's tape.
    ///
    /// ```
    /// use autograd::{Param, Tape};
    ///
    /// let tape = Tape::new();
    /// let weight = Param::new([2.0_f64, 3.0]);
    /// let x = tape.constant([10.0, 10.0]);
    /// let y = x.dot(x.param(&weight));
    /// assert_eq!(y.backward()?.of(&weight)?.to_vec(), [10.0, 10.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn param(self, param: &Param<T>) -> Self {
        self.tape.param(param)
    }

    /// Gives the handle a name for reports and drawings.
    ///
    /// ```
    /// use autograd::{Tape, graph::DotOptions};
    ///
    /// let tape = Tape::new();
    /// let _loss = tape.var([1.0_f32]).named("speed").square().sum();
    /// assert!(tape.to_dot(&DotOptions::default())?.contains("speed"));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    pub fn named(self, name: impl Into<String>) -> Self {
        if !self.is_failed() {
            self.tape.set_name(self.slot, name.into());
        }
        self
    }

    /// Whether this is the result of a failed operation.
    pub fn is_failed(self) -> bool {
        self.slot >= LIMIT
    }

    /// Marks the tape, for layers and losses with conditions of their own; the result is a failed handle. A handle that had
    /// failed before keeps its reason.
    ///
    /// ```
    /// use autograd::{ErrorKind, Tape, Var};
    ///
    /// fn centred<'t>(x: Var<'t>) -> Var<'t> {
    ///     if x.rank() != 2 {
    ///         return x.fail("centred", ErrorKind::Rank { what: "the input", expected: 2, found: x.shape() });
    ///     }
    ///     x - x.mean_keepdim(0)
    /// }
    ///
    /// let tape = Tape::new();
    /// let error = centred(tape.var([1.0, 2.0])).value().unwrap_err();
    /// assert!(error.to_string().starts_with("centred: the input must have rank 2, found shape [2], at "));
    /// ```
    #[cold]
    #[track_caller]
    pub fn fail(self, op: &'static str, kind: ErrorKind) -> Self {
        if self.is_failed() { self } else { Self::new(self.tape, self.tape.fail(Error::new(op, kind))) }
    }

    /// The result of a composition: what failed in it is reported as `op`, the method that was called.
    #[track_caller]
    pub(crate) fn called(self, op: &'static str) -> Self {
        if self.is_failed() {
            self.tape.failed_in(self.slot, op, Location::caller());
        }
        self
    }

    /// This handle, or a failed one if the other one has failed; of two failures the earlier is the one reported.
    pub(crate) fn and(self, other: Self) -> Self {
        if other.is_failed() { self.failed_by(other) } else { self }
    }

    /// A failed handle on this handle's tape, which takes over what failed on the tape of an operand.
    #[cold]
    fn failed_by(self, operand: Self) -> Self {
        self.failed_at(self.tape.fail_as(operand.tape, operand.slot))
    }

    /// The failed handle at an index of this tape, or this one if it failed before that.
    fn failed_at(self, slot: u32) -> Self {
        Self::new(self.tape, if self.is_failed() { self.slot.max(slot) } else { slot })
    }

    /// As [`and`](Self::and), for integers.
    pub(crate) fn and_indices(self, indices: Indices<'t, T>) -> Self {
        if indices.is_failed() { self.failed_at(self.tape.fail_as(indices.tape, indices.slot)) } else { self }
    }

    /// Of this handle, others and integers, some of which have failed, the one with the earliest failure.
    #[cold]
    fn first_failed(self, others: &[Self], indices: &[Indices<'t, T>]) -> Self {
        let failed = others.iter().fold(self, |failed, &other| failed.and(other));
        indices.iter().fold(failed, |failed, &indices| failed.and_indices(indices))
    }

    /// Records `op` on this handle and others.
    #[track_caller]
    pub(crate) fn record(self, op: impl Into<Op>, others: &[Self]) -> Self {
        self.record_with(op, others, &[])
    }

    /// Records `op` on this handle, others, and integers.
    #[track_caller]
    pub(crate) fn record_with(self, op: impl Into<Op>, others: &[Self], indices: &[Indices<'t, T>]) -> Self {
        let mut inputs = Inputs::new();
        let op = op.into();
        for operand in std::iter::once(&self).chain(others) {
            if operand.is_failed() {
                return self.first_failed(others, indices);
            }
            if !std::ptr::eq(operand.tape, self.tape) {
                return self.fail(op.name(), ErrorKind::TwoTapes);
            }
            inputs.push(Input::Node(operand.slot));
        }
        let mut integers: SmallVec<[u32; 2]> = SmallVec::new();
        for operand in indices {
            if operand.is_failed() {
                return self.first_failed(others, indices);
            }
            if !std::ptr::eq(operand.tape, self.tape) {
                return self.fail(op.name(), ErrorKind::TwoTapes);
            }
            integers.push(operand.slot);
        }
        Self::new(self.tape, (engine::<T>().record)(self.tape, op, &inputs, &integers, Location::caller()))
    }

    #[track_caller]
    pub(crate) fn record_op(self, op: Op, inputs: &[Input<T>]) -> Self {
        Self::new(self.tape, (engine::<T>().record)(self.tape, op, inputs, &[], Location::caller()))
    }

    #[track_caller]
    pub(crate) fn elementwise1(self, op: Elementwise) -> Self {
        if self.is_failed() { self } else { self.record_op(Op::Elementwise(op), &[Input::Node(self.slot)]) }
    }

    #[track_caller]
    pub(crate) fn elementwise2(self, op: Elementwise, other: Term<'t, T>) -> Self {
        Term::elementwise(op, [Term::Var(self), other]).on(self.tape)
    }
}

/// # Powers and bounds
impl<'t, T: Float> Var<'t, T> {
    /// xⁿ for an integer n, element by element.
    ///
    /// Derivative: n·xⁿ⁻¹.
    /// Shapes: any → the same, element by element.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([-2.0_f64, 3.0]);
    /// let y = x.powi(3);
    /// assert_eq!(y.value()?.to_vec(), [-8.0, 27.0]);
    /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [12.0, 27.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn powi(self, n: i32) -> Self {
        self.elementwise2(Elementwise::powi, Term::Number(T::from_f64(n.into())))
    }

    /// The n-th derivative of [`digamma`](Self::digamma), element by element.
    ///
    /// Derivative: polygamma of order n + 1.
    /// Shapes: any → the same, element by element.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // π²/6.
    /// let y = tape.constant([1.0_f64]).polygamma(1).sum();
    /// assert!((y - 1.644934066848226).abs() < 1e-14);
    /// ```
    #[track_caller]
    pub fn polygamma(self, n: u32) -> Self {
        self.elementwise2(Elementwise::polygamma, Term::Number(T::from_f64(n.into())))
    }

    /// x between two bounds: min(max(x, low), high).
    ///
    /// Derivative: 1 inside, 0 outside, where a bound that is a handle gets 1; at the bounds as
    /// [`clamp_min`](Self::clamp_min) and [`clamp_max`](Self::clamp_max).
    /// Shapes: the operands broadcast; a plain number and a `Scalar` fit every shape.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([-1.0_f64, 0.5, 2.0]);
    /// let y = x.clamp(0.0, 1.0);
    /// assert_eq!(y.value()?.to_vec(), [0.0, 0.5, 1.0]);
    /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [0.0, 1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn clamp(self, low: impl Into<Term<'t, T>>, high: impl Into<Term<'t, T>>) -> Self {
        self.clamp_min(low).clamp_max(high).called("clamp")
    }
}

impl<T: Float> fmt::Display for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Ok(value) => fmt::Display::fmt(&value, f),
            Err(error) => write!(f, "failed: {error}"),
        }
    }
}

impl<T: Float> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Ok(value) => fmt::Debug::fmt(&value, f),
            Err(error) => write!(f, "failed: {error}"),
        }
    }
}
