//! What goes onto a tape and comes off it: the bridges between scalars and tensors, and the ends of gradients.

use std::panic::Location;

use crate::error::{Error, ErrorKind};
use crate::float::Float;
use crate::ops::Op;
use crate::scalar::Scalar;
use crate::tape::{CONSTANT, Input, Inputs, LIMIT, Node, Step, Tape};
use crate::tensor::Tensor;
use crate::var::Var;

/// # Between scalars and tensors
impl<'t, T: Float> Var<'t, T> {
    /// The single element, as a `Scalar`.
    ///
    /// Derivative: 1.
    /// Shapes: one element, any rank → a `Scalar`. Another number of elements is an error.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[3.0_f64]]);
    /// let y = x.item().square();
    /// assert_eq!(y.backward()?.of(x)?, [[6.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn item(self) -> Scalar<'t, T> {
        let shape = self.shape();
        if shape.len() == 1 { self.element(0) } else { self.fail("item", ErrorKind::NotScalar { shape }).element(0) }
    }

    /// The element at `index`, as a `Scalar`.
    ///
    /// Derivative: 1 for that element.
    /// Shapes: any, with as many indices as axes → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f64, 2.0], [3.0, 4.0]]);
    /// let y = x.at([1, 0]) * x.at([0, 1]);
    /// assert_eq!(y.backward()?.of(x)?, [[0.0, 3.0], [2.0, 0.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn at<const N: usize>(self, index: [usize; N]) -> Scalar<'t, T> {
        let shape = self.shape();
        if N != shape.rank() {
            return self.fail("at", ErrorKind::AxisCount { axes: N, shape }).element(0);
        }
        if let Some(axis) = (0..N).find(|&axis| index[axis] >= shape[axis]) {
            return self.fail("at", ErrorKind::Index { index: index[axis], axis, shape }).element(0);
        }
        self.element(index.iter().zip(shape.iter()).fold(0, |flat, (&i, &size)| flat * size + i))
    }

    /// The element at a row-major index that exists.
    #[track_caller]
    pub(crate) fn element(self, flat: usize) -> Scalar<'t, T> {
        if self.is_failed() {
            return Scalar { tape: Some(self.tape), number: T::NAN, index: self.slot };
        }
        let (value, tracked) =
            self.tape.with_node(self.slot, |node| (node.value.element(flat).unwrap_or(T::NAN), node.tracked));
        if !tracked && !self.tape.is_guarding() {
            return Scalar { tape: Some(self.tape), number: value, index: CONSTANT };
        }
        Scalar::on(self.tape, value, flat as u64, self.slot, Step::Element)
    }

    /// All elements, as `Scalar`s in row-major order.
    ///
    /// Derivative: 1 for each element.
    /// Shapes: any → as many `Scalar`s as elements.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Numbers one by one, where a formula is written for numbers.
    /// let x = tape.var([1.0_f64, 2.0, 3.0]);
    /// let y = x.to_scalars().into_iter().fold(tape.scalar(0.0), |y, x| 10.0 * y + x);
    /// assert_eq!(y, 123.0);
    /// assert_eq!(y.backward()?.of(x)?.to_vec(), [100.0, 10.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn to_scalars(self) -> Vec<Scalar<'t, T>> {
        (0..self.shape().len()).map(|flat| self.element(flat)).collect()
    }

    /// The same value without its history: no gradient flows through.
    ///
    /// Derivative: none.
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // A weight that is computed from x, and not learned through.
    /// let x = tape.var([3.0_f64]);
    /// let loss = (x.detach() * x).sum();
    /// assert_eq!(loss, 9.0);
    /// assert_eq!(loss.backward()?.of(x)?.to_vec(), [3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn detach(self) -> Self {
        if self.is_failed() { self } else { self.record_op(Op::Detach, &[Input::Node(self.slot)]) }
    }
}

impl<'t, T: Float> Tape<T> {
    /// Scalars as a vector.
    ///
    /// Derivative: each scalar gets the gradient of its element.
    /// Shapes: n scalars → `[n]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let [x, y] = tape.scalars([2.0, 3.0]);
    /// let v = tape.from_scalars(&[x, x * y]);
    /// assert_eq!(v.dot(v).backward()?.of(x)?, 2.0 * 2.0 + 2.0 * 6.0 * 3.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn from_scalars(&'t self, scalars: &[Scalar<'t, T>]) -> Var<'t, T> {
        let numbers: Tensor<T> = scalars.iter().map(|scalar| scalar.number).collect();
        let foreign = |scalar: &&Scalar<'t, T>| scalar.tape.is_some_and(|tape| !std::ptr::eq(tape, self));
        if let Some(&Scalar { tape: Some(tape), index, .. }) = Scalar::first_failed(scalars) {
            return Var::new(self, self.fail_as(tape, index));
        }
        if scalars.iter().filter(|scalar| scalar.index < LIMIT).any(|scalar| foreign(&scalar)) {
            return Var::new(self, self.fail(Error::new("from_scalars", ErrorKind::TwoTapes)));
        }
        let (start, len) = self.gather(scalars.iter().map(|scalar| scalar.index));
        let tracked = scalars.iter().any(|scalar| self.is_tracked_number(scalar.index));
        Var::new(
            self,
            self.push_node(Node {
                tracked,
                ..Node::new(Op::FromScalars { start, len }, Inputs::new(), numbers, Location::caller())
            }),
        )
    }
}
