//! Ops that move elements and compute nothing. Each is linear, and its derivative is its adjoint.

use smallvec::SmallVec;

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::kernel;
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use crate::var::Var;

/// The same elements in row-major order under another shape.
#[derive(Debug, Clone)]
pub(crate) struct Reshape {
    pub to: Shape,
}

impl TensorRule for Reshape {
    const NAME: &'static str = "reshape";
    const MULTILINEAR: bool = true;
    const IS_VIEW: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        match x[0].len() == self.to.len() {
            true => Ok(self.to.clone()),
            false => Err(ErrorKind::ElementCount { from: x[0].clone(), to: self.to.clone() }),
        }
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(x[0].reshaped(shape)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.reshape(rule.x[0].shape()))
    }
}

/// The axes in another order.
#[derive(Debug, Clone)]
pub(crate) struct Permute {
    pub axes: SmallVec<[usize; 4]>,
}

impl TensorRule for Permute {
    const NAME: &'static str = "permute";
    const MULTILINEAR: bool = true;
    const IS_VIEW: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        if self.axes.len() != x[0].rank() {
            return Err(ErrorKind::AxisCount { axes: self.axes.len(), shape: x[0].clone() });
        }
        Ok(self.axes.iter().map(|&axis| x[0][axis]).collect())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, _: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(x[0].with_layout(x[0].layout.permute(&self.axes)).into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let mut inverse: SmallVec<[usize; 4]> = SmallVec::from_elem(0, self.axes.len());
        for (to, &from) in self.axes.iter().enumerate() {
            inverse[from] = to;
        }
        rule.only(rule.g.record(Permute { axes: inverse }, &[]))
    }
}

/// Stretched along axes of size one, and along new axes in front; a view.
#[derive(Debug, Clone)]
pub(crate) struct BroadcastTo {
    pub to: Shape,
}

impl TensorRule for BroadcastTo {
    const NAME: &'static str = "broadcast_to";
    const MULTILINEAR: bool = true;
    const IS_VIEW: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        x[0].must_broadcast_to(&self.to)?;
        Ok(self.to.clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(x[0].stretched(&shape)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.sum_to(rule.x[0].shape()))
    }
}

/// The adjoint of [`BroadcastTo`]: what was stretched is summed.
#[derive(Debug, Clone)]
pub(crate) struct SumTo {
    pub to: Shape,
}

impl TensorRule for SumTo {
    const NAME: &'static str = "sum_to";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        self.to.must_broadcast_to(x[0])?;
        Ok(self.to.clone())
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        Ok(sum_to(&x[0], &shape)?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        rule.only(rule.g.broadcast_to(rule.x[0].shape()))
    }
}

/// Sums `x` over the axes along which `to` broadcasts to its shape, as it must.
pub(crate) fn sum_to<T: Float>(x: &Tensor<T>, to: &Shape) -> Result<Tensor<T>, ErrorKind> {
    if x.shape() == to {
        return Ok(x.clone());
    }
    let skip = x.rank() - to.rank();
    let summed = |axis: usize| axis < skip || (to[axis - skip] == 1 && x.shape()[axis] != 1);
    let axes: SmallVec<[usize; 4]> = (0..x.rank()).filter(|&axis| summed(axis)).collect();
    Tensor::build(to.clone(), |out| kernel::reduce::sum(x.view(), &axes, out))
}

/// # Shapes
impl<'t, T: Float> Var<'t, T> {
    /// The same elements in row-major order under another shape.
    ///
    /// Derivative: the gradient in the old shape.
    /// Shapes: any → `shape`, with as many elements.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.reshape([4]).value()?.to_vec(), [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        self.record(Reshape { to: shape.into() }, &[])
    }

    /// As [`reshape`](Self::reshape), to sizes that were computed and may be more than numbers.
    #[track_caller]
    pub(crate) fn reshape_computed(self, sizes: impl IntoIterator<Item = Option<usize>>) -> Self {
        match Shape::computed(sizes) {
            Ok(to) => self.reshape(to),
            Err(kind) => self.fail("reshape", kind),
        }
    }

    /// All axes in one.
    ///
    /// Derivative: the gradient in the old shape.
    /// Shapes: any → `[len]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.flatten().value()?, [1.0, 2.0, 3.0, 4.0].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn flatten(self) -> Self {
        self.reshape([self.shape().len()])
    }

    /// The axes in another order, each named once.
    ///
    /// Derivative: the gradient with the axes back in order.
    /// Shapes: `[d₀, d₁, …]` → `[d_axes[0], d_axes[1], …]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // Heads before positions, as attention wants them.
    /// let x = tape.constant(Tensor::<f32>::zeros([2, 5, 3, 4]));
    /// assert_eq!(x.permute([0, 2, 1, 3]).shape(), [2, 3, 5, 4].into());
    /// ```
    #[track_caller]
    pub fn permute(self, axes: impl Into<Axes>) -> Self {
        let (axes, shape) = (axes.into(), self.shape());
        let mut order: SmallVec<[usize; 4]> = SmallVec::new();
        for &axis in axes.iter() {
            match shape.axis(axis) {
                Ok(axis) if !order.contains(&axis) => order.push(axis),
                Ok(_) => return self.fail("permute", ErrorKind::RepeatedAxis { axis }),
                Err(kind) => return self.fail("permute", kind),
            }
        }
        self.record(Permute { axes: order }, &[])
    }

    /// Two axes exchanged.
    ///
    /// Derivative: the gradient with the axes exchanged.
    /// Shapes: `[.., m, .., n, ..]` → `[.., n, .., m, ..]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::<f32>::zeros([2, 5, 3]));
    /// assert_eq!(x.transpose(0, -1).shape(), [3, 5, 2].into());
    /// ```
    #[track_caller]
    pub fn transpose(self, a: isize, b: isize) -> Self {
        let shape = self.shape();
        match (shape.axis(a), shape.axis(b)) {
            (Ok(a), Ok(b)) => {
                let mut axes: SmallVec<[usize; 4]> = (0..shape.rank()).collect();
                axes.swap(a, b);
                self.record(Permute { axes }, &[])
            }
            (Err(kind), _) | (_, Err(kind)) => self.fail("transpose", kind),
        }
    }

    /// The last two axes exchanged: the transpose of a matrix.
    ///
    /// Derivative: the gradient with these axes exchanged.
    /// Shapes: `[.., m, n]` → `[.., n, m]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.t().value()?, [[1.0, 3.0], [2.0, 4.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn t(self) -> Self {
        self.transpose(-2, -1).called("t")
    }

    /// Stretched along axes of size one, and along new axes in front.
    ///
    /// Derivative: the gradient summed over what was stretched.
    /// Shapes: any → `shape`, as NumPy broadcasts.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let row = tape.var([1.0_f32, 2.0]);
    /// let rows = row.broadcast_to([3, 2]);
    /// assert_eq!(rows.value()?.to_vec(), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    /// assert_eq!(rows.sum().backward()?.of(row)?.to_vec(), [3.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Self {
        self.record(BroadcastTo { to: shape.into() }, &[])
    }

    /// Summed over the axes along which `shape` would broadcast to this shape: the adjoint of
    /// [`broadcast_to`](Self::broadcast_to).
    ///
    /// Derivative: the gradient, broadcast.
    /// Shapes: any that `shape` broadcasts to → `shape`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The gradient of a bias that was added to two rows.
    /// let g = tape.constant([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(g.sum_to([2]).value()?.to_vec(), [4.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn sum_to(self, shape: impl Into<Shape>) -> Self {
        let to = shape.into();
        if self.shape() == to { self } else { self.record(SumTo { to }, &[]) }
    }

    /// A new axis of size one at `axis` of the result.
    ///
    /// Derivative: the gradient without the axis.
    /// Shapes: `[d₀, d₁]` → `[1, d₀, d₁]`, `[d₀, 1, d₁]` or `[d₀, d₁, 1]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // The differences of all pairs.
    /// let x = tape.constant([1.0_f32, 4.0]);
    /// let differences = x.unsqueeze(1) - x.unsqueeze(0);
    /// assert_eq!(differences.value()?, [[0.0, -3.0], [3.0, 0.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        let shape = self.shape();
        match shape.with_inserted(axis) {
            Ok(to) => self.record(Reshape { to }, &[]),
            Err(kind) => self.fail("unsqueeze", kind),
        }
    }

    /// Without the axis `axis`, if it has size one.
    ///
    /// Derivative: the gradient with the axis.
    /// Shapes: `[.., 1, ..]` → `[.., ..]`; another size stays.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::<f32>::zeros([2, 1, 3, 1]));
    /// assert_eq!(x.squeeze(1).shape(), [2, 3, 1].into());
    /// ```
    #[track_caller]
    pub fn squeeze(self, axis: isize) -> Self {
        let shape = self.shape();
        match shape.axis(axis) {
            Ok(position) if shape[position] == 1 => self.record(Reshape { to: shape.reduced(&[position]) }, &[]),
            Ok(_) => self,
            Err(kind) => self.fail("squeeze", kind),
        }
    }

    /// Without all axes of size one.
    ///
    /// Derivative: the gradient in the old shape.
    /// Shapes: `[2, 1, 3, 1]` → `[2, 3]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[[1.0_f32], [2.0]]]);
    /// assert_eq!(x.squeeze_all().value()?, [1.0, 2.0].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn squeeze_all(self) -> Self {
        let to: Shape = self.shape().iter().copied().filter(|&size| size != 1).collect();
        self.reshape(to)
    }
}
