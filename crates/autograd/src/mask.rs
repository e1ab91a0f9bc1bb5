//! `Mask`: the handle of truth values on a tape, and what operations take for one.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitXor, Not, RangeBounds};

use crate::error::{ErrorKind, Result};
use crate::float::Float;
use crate::ops::elementwise::Elementwise;
use crate::ops::reduce::{Keep, Sum};
use crate::real::Algebra;
use crate::scalar::Scalar;
use crate::shape::{Axes, Shape};
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::{Term, Var};

/// Truth values on a tape: what a comparison of tensors finds, such as [`Var::gt`], and which elements are padding or may be
/// seen.
///
/// A handle: copying it copies no elements. Operations take it as they take a `Tensor<bool>`, which is data of the recording. In a
/// [`Program`](crate::Program) masks that are arguments, and those that comparisons find, may be others at every run. No
/// derivative is taken of a mask.
///
/// ```
/// use autograd::{Program, Tensor};
///
/// let x = Tensor::from([1.0_f64, 2.0, 4.0]);
/// let mut sum = Program::record(&(x.clone(), Tensor::from([true, true, false])), |_, (x, seen)| {
///     (seen & x.gt(1.0)).select(x, 0.0).sum()
/// })?;
/// assert_eq!(sum.value(&(x, Tensor::from([true, true, true])))?, 6.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Mask<'t, T: Float = f32> {
    /// 1 where it is true, and 0 where not: nothing else, so that whatever reads a recording needs no other kind of tensor.
    pub(crate) numbers: Var<'t, T>,
}

impl<T: Float> Tape<T> {
    /// Truth values, as data.
    ///
    /// Shapes: that of the list.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// let padding = tape.mask([[false, true], [false, false]]);
    /// assert_eq!(padding.count(), 1.0);
    /// ```
    #[track_caller]
    pub fn mask(&self, list: impl Into<Tensor<bool>>) -> Mask<'_, T> {
        Mask { numbers: self.constant(list.into().to_numbers()) }
    }
}

/// # Choices, counts
impl<'t, T: Float> Mask<'t, T> {
    /// Where numbers are not 0; they are 0 and 1.
    pub(crate) fn of(numbers: Var<'t, T>) -> Self {
        Mask { numbers }
    }

    /// `x` where this is true, else `y`: the `where` of PyTorch and NumPy.
    ///
    /// Derivative: the gradient goes to the operand that was taken; the other gets exactly 0, even where its own
    /// derivative is infinite.
    /// Shapes: the three broadcast; a plain number and a `Scalar` fit every shape.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([-1.0_f32, 0.0, 4.0]);
    /// let root = x.gt(0.0).select(x.sqrt(), 0.0);
    /// assert_eq!(root.sum().backward()?.of(x)?.to_vec(), [0.0, 0.0, 0.25]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn select(self, x: impl Into<Term<'t, T>>, y: impl Into<Term<'t, T>>) -> Var<'t, T> {
        Algebra::select(Term::Var(self.numbers), x.into(), y.into()).on(self.numbers.tape)
    }

    /// 1 where this is true, else 0: PyTorch's `float()`.
    ///
    /// Derivative: none.
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let found = tape.constant([2.0_f64, 0.0, 1.0, 1.0]);
    /// let accuracy = found.eq(tape.constant([2.0, 0.0, 2.0, 1.0])).to_float().mean();
    /// assert_eq!(accuracy, 0.75);
    /// ```
    pub fn to_float(self) -> Var<'t, T> {
        self.numbers
    }

    /// How many are true.
    ///
    /// Derivative: none.
    /// Shapes: any → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let errors = tape.constant([0.5_f64, -2.0, 0.25]);
    /// assert_eq!(errors.abs().lt(1.0).count(), 2.0);
    /// ```
    #[track_caller]
    pub fn count(self) -> Scalar<'t, T> {
        self.numbers.sum()
    }

    /// How many are true over `axes`, which are dropped.
    ///
    /// Derivative: none.
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// // The lengths of padded sentences.
    /// let words = tape.mask([[true, true, false], [true, false, false]]);
    /// assert_eq!(words.count_axes(1).value()?.to_vec(), [2.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// An axis that is not there marks the tape.
    #[track_caller]
    pub fn count_axes(self, axes: impl Into<Axes>) -> Var<'t, T> {
        self.sum_axes("count_axes", axes)
    }

    /// Whether one of all is true; of none it is not.
    ///
    /// Shapes: any → `[]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// let any = |list: &[bool]| tape.mask(list).any().value();
    /// assert_eq!([any(&[false, true])?.item()?, any(&[])?.item()?], [true, false]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn any(self) -> Self {
        self.any_axes(self.numbers.axes())
    }

    /// Whether one over `axes` is true; the axes are dropped.
    ///
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// let mask = tape.mask([[true, false], [false, false]]);
    /// assert_eq!(mask.any_axes(1).value()?.to_vec(), [true, false]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// An axis that is not there marks the tape.
    #[track_caller]
    pub fn any_axes(self, axes: impl Into<Axes>) -> Self {
        self.sum_axes("any_axes", axes).ne(Term::Number(T::ZERO))
    }

    /// Whether all are true; none are.
    ///
    /// Shapes: any → `[]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// let all = |list: &[bool]| tape.mask(list).all().value();
    /// assert_eq!([all(&[false, true])?.item()?, all(&[])?.item()?], [false, true]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn all(self) -> Self {
        self.all_axes(self.numbers.axes())
    }

    /// Whether all over `axes` are true; the axes are dropped.
    ///
    /// Shapes: any → the shape without `axes`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// let mask = tape.mask([[true, false], [true, true]]);
    /// assert_eq!(mask.all_axes(1).value()?.to_vec(), [false, true]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// An axis that is not there marks the tape.
    #[track_caller]
    pub fn all_axes(self, axes: impl Into<Axes>) -> Self {
        // A count of those that are not true is never rounded to 0, one of the others may be rounded to that of all.
        (!self).sum_axes("all_axes", axes).eq(Term::Number(T::ZERO))
    }

    /// How many are true over `axes`, for the method `name`.
    #[track_caller]
    fn sum_axes(self, name: &'static str, axes: impl Into<Axes>) -> Var<'t, T> {
        self.numbers.reduce(name, axes.into(), Keep::Drop, |axes| Sum { axes })
    }

    #[track_caller]
    fn with(self, op: Elementwise, other: impl AsMask<'t, T>, name: &'static str) -> Self {
        let other = other.on(self.tape()).numbers;
        Mask::of(self.numbers.elementwise2(op, Term::Var(other)).called(name))
    }
}

/// # Shapes
impl<'t, T: Float> Mask<'t, T> {
    /// The same truth values in row-major order under another shape.
    ///
    /// Shapes: any → `shape`, with as many elements.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// let mask = tape.mask([true, false, false, true]);
    /// assert_eq!(mask.reshape([2, 2]).value()?, [[true, false], [false, true]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// A shape of another size marks the tape.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        Mask::of(self.numbers.reshape(shape))
    }

    /// Repeated along axes of size one and new leading axes.
    ///
    /// Shapes: any → `shape`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// assert_eq!(tape.mask([true, false]).broadcast_to([3, 2]).count(), 3.0);
    /// ```
    ///
    /// # Errors
    /// A shape that this does not broadcast to marks the tape.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Self {
        Mask::of(self.numbers.broadcast_to(shape))
    }

    /// With a new axis of size one that becomes `axis` of the result.
    ///
    /// Shapes: any → one axis more.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// // [batch, keys] → [batch, 1, 1, keys], for all heads and queries.
    /// let padding = tape.mask([[false, true], [false, false]]).unsqueeze(-2).unsqueeze(-2);
    /// assert_eq!(padding.shape(), [2, 1, 1, 2].into());
    /// ```
    ///
    /// # Errors
    /// An axis that the result does not have marks the tape.
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        Mask::of(self.numbers.unsqueeze(axis))
    }

    /// Without `axis`, if it has size one.
    ///
    /// Shapes: any → without the axis.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// assert_eq!(tape.mask([[true], [false]]).squeeze(1).value()?.to_vec(), [true, false]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// An axis that is not there marks the tape.
    #[track_caller]
    pub fn squeeze(self, axis: isize) -> Self {
        Mask::of(self.numbers.squeeze(axis))
    }

    /// The axes in another order: axis `k` of the result is axis `axes[k]` of this.
    ///
    /// Shapes: any → the same sizes in this order.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::<f32>::new();
    /// let mask = tape.mask(Tensor::full([2, 3, 4], true));
    /// assert_eq!(mask.permute([2, 0, 1]).shape(), [4, 2, 3].into());
    /// ```
    ///
    /// # Errors
    /// Axes that are not all of them, each once, mark the tape.
    #[track_caller]
    pub fn permute(self, axes: impl Into<Axes>) -> Self {
        Mask::of(self.numbers.permute(axes))
    }

    /// Axes `a` and `b` swapped.
    ///
    /// Shapes: any → the two sizes swapped.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// let later = tape.mask([[false, true], [false, false]]);
    /// assert_eq!(later.transpose(0, 1).value()?, [[false, false], [true, false]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// An axis that is not there marks the tape.
    #[track_caller]
    pub fn transpose(self, a: isize, b: isize) -> Self {
        Mask::of(self.numbers.transpose(a, b))
    }

    /// The part in `range` of `axis`.
    ///
    /// Shapes: any → the length of the range along `axis`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// assert_eq!(tape.mask([true, false, false]).slice(0, 1..).value()?.to_vec(), [false, false]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// An axis or a range that is not there marks the tape.
    #[track_caller]
    pub fn slice(self, axis: isize, range: impl RangeBounds<usize>) -> Self {
        Mask::of(self.numbers.slice(axis, range))
    }

    /// The part at `index` of `axis`, which is dropped.
    ///
    /// Shapes: any → without the axis.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// let mask = tape.mask([[true, false], [true, true]]);
    /// assert_eq!(mask.index_axis(1, 1).value()?.to_vec(), [false, true]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// An axis or an index that is not there marks the tape.
    #[track_caller]
    pub fn index_axis(self, axis: isize, index: usize) -> Self {
        Mask::of(self.numbers.index_axis(axis, index))
    }
}

/// # Value and tape
impl<'t, T: Float> Mask<'t, T> {
    /// The truth values themselves. A program's path holds for these alone, and with others it is recorded again.
    ///
    /// # Errors
    /// The failure that this depends on, if it is the result of a failed operation. On a tape
    /// [of shapes](Tape::of_shapes) there are no values.
    #[track_caller]
    pub fn value(self) -> Result<Tensor<bool>> {
        self.numbers.value().map(|numbers| numbers.to_truths())
    }

    /// The size along each axis; no axes for the result of a failed operation.
    pub fn shape(self) -> Shape {
        self.numbers.shape()
    }

    /// The number of axes.
    pub fn rank(self) -> usize {
        self.numbers.rank()
    }

    /// Whether this is the result of a failed operation.
    pub fn is_failed(self) -> bool {
        self.numbers.is_failed()
    }

    /// Marks the tape, for layers with conditions of their own; the result is a failed handle. A handle that had failed
    /// before keeps its reason.
    ///
    /// ```
    /// use autograd::{ErrorKind, Tape};
    ///
    /// let tape = Tape::<f32>::new();
    /// let mask = tape.mask([true, false]);
    /// let kind = ErrorKind::Rank { what: "the padding", expected: 2, found: mask.shape() };
    /// let error = mask.fail("attend", kind).value().unwrap_err();
    /// assert!(error.to_string().starts_with("attend: the padding must have rank 2, found shape [2], at "));
    /// ```
    #[cold]
    #[track_caller]
    pub fn fail(self, op: &'static str, kind: ErrorKind) -> Self {
        Mask::of(self.numbers.fail(op, kind))
    }

    /// The tape this is on.
    pub fn tape(self) -> &'t Tape<T> {
        self.numbers.tape
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident $op:ident $name:literal)*) => {$(
        impl<'t, T: Float, M: AsMask<'t, T>> $trait<M> for Mask<'t, T> {
            type Output = Self;
            #[track_caller]
            fn $method(self, other: M) -> Self {
                self.with(Elementwise::$op, other, $name)
            }
        }
    )*};
}

operator! {
    BitAnd bitand mul "and"
    BitOr bitor maximum "or"
    BitXor bitxor ne "xor"
}

impl<T: Float> Not for Mask<'_, T> {
    type Output = Self;
    #[track_caller]
    fn not(self) -> Self {
        self.numbers.eq(Term::Number(T::ZERO))
    }
}

impl<T: Float> fmt::Debug for Mask<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mask").field(&self.value()).finish()
    }
}

/// Truth values as operations take them: [`Mask`], or a `Tensor<bool>` and what makes one, which are data.
pub trait AsMask<'t, T: Float> {
    /// The handle on a tape.
    #[track_caller]
    fn on(&self, tape: &'t Tape<T>) -> Mask<'t, T>;
}

taken_as!(AsMask, Mask, bool, mask);
