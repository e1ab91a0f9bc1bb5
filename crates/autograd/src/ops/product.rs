//! Products: sums of elementwise products, all through one matrix product.

mod chain;
mod cross;
mod matrices;

use super::{Cotangents, Operands, Shapes, TensorRule, Value, Vjp};
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::kernel::{self, Write};
use crate::scalar::Scalar;
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use crate::var::Var;
use chain::{chain, cheapest_splits};
use cross::cross_axis;
use matrices::{Contraction, Plan};

pub(crate) use cross::Cross;

/// The product of matrices, or of stacks of matrices with equal batch axes.
#[derive(Debug, Clone)]
pub(crate) struct MatMul;

impl TensorRule for MatMul {
    const NAME: &'static str = "matmul";
    const MULTILINEAR: bool = true;

    fn shape(&self, x: Shapes<'_>) -> Result<Shape, ErrorKind> {
        product_shape(x[0], x[1])
    }

    fn value<T: Float>(&self, x: Operands<'_, T>, shape: Shape) -> Result<Value<T>, ErrorKind> {
        let (a, b) = (&x[0], &x[1]);
        Ok(Tensor::build(shape, |out| kernel::matmul::matmul(a.view(), b.view(), out, Write::Replace))?.into())
    }

    fn vjp<'t, T: Float>(&self, rule: &Vjp<'_, 't, T>) -> Cotangents<'t, T> {
        let (a, b, g) = (rule.x[0], rule.x[1], rule.g);
        rule.both(|| g.record(MatMul, &[b.t()]), || a.t().record(MatMul, &[g]))
    }
}

/// The shape of a matrix product: `[.., m, k] · [.., k, n]` → `[.., m, n]`.
fn product_shape(a: &Shape, b: &Shape) -> Result<Shape, ErrorKind> {
    let [batch @ .., m, k] = &**a else {
        return Err(ErrorKind::MinRank { what: "the left operand", least: 2, found: a.clone() });
    };
    let [batch_b @ .., k_b, n] = &**b else {
        return Err(ErrorKind::MinRank { what: "the right operand", least: 2, found: b.clone() });
    };
    if k != k_b {
        return Err(ErrorKind::InnerSizes { left: a.clone(), right: b.clone() });
    }
    if batch != batch_b {
        return Err(ErrorKind::Batch { left: a.clone(), right: b.clone() });
    }
    Ok(batch.iter().copied().chain([*m, *n]).collect())
}

/// # Products
impl<'t, T: Float> Var<'t, T> {
    /// The matrix product, with every rank PyTorch takes: a vector is a row on the left and a column on the right, and
    /// leading axes are a batch that broadcasts.
    ///
    /// Derivative: g·Bᵀ and Aᵀ·g.
    /// Shapes: `[.., m, k] · [.., k, n]` → `[.., m, n]`; `[k]` counts as `[1, k]` on the left and `[k, 1]` on the right,
    /// and that axis is dropped from the result.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let a = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// let x = tape.var([1.0_f32, 1.0]);
    /// assert_eq!(a.matmul(x).value()?.to_vec(), [3.0, 7.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn matmul(self, right: Self) -> Self {
        let shapes = [self, right].map(Self::shape);
        if shapes.iter().all(|shape| shape.rank() == 2) {
            return self.record(MatMul, &[right]);
        }
        match Plan::new(&shapes[0], &shapes[1]) {
            Ok(Plan { matrices: [a, b], stacks: [all_a, all_b], out }) => {
                let (a, b) = (self.in_shape(&a).stretched(&all_a), right.in_shape(&b).stretched(&all_b));
                a.record(MatMul, &[b]).in_shape(&out)
            }
            Err(kind) => self.and(right).fail("matmul", kind),
        }
    }

    /// Reshaped, if the shape is another one.
    #[track_caller]
    pub(crate) fn in_shape(self, shape: &Shape) -> Self {
        if self.shape() == *shape { self } else { self.reshape(shape) }
    }

    /// Broadcast, if the shape is another one.
    #[track_caller]
    pub(crate) fn stretched(self, shape: &Shape) -> Self {
        if self.shape() == *shape { self } else { self.broadcast_to(shape) }
    }

    /// A failed handle unless the operands have these ranks.
    #[track_caller]
    fn require_ranks(self, op: &'static str, others: &[(Self, &'static str, usize)]) -> Option<Self> {
        for &(operand, what, expected) in others {
            if operand.is_failed() {
                return Some(self.and(operand));
            }
            let found = operand.shape();
            if found.rank() != expected {
                return Some(self.fail(op, ErrorKind::Rank { what, expected, found }));
            }
        }
        None
    }

    /// The inner product Σ xᵢyᵢ of two vectors.
    ///
    /// Derivative: g·y and g·x.
    /// Shapes: `[n] · [n]` → a `Scalar`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f64, 2.0]);
    /// let y = tape.var([10.0, 20.0]);
    /// let z = x.dot(y);
    /// assert_eq!(z, 50.0);
    /// assert_eq!(z.backward()?.of(x)?.to_vec(), [10.0, 20.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn dot(self, y: Self) -> Scalar<'t, T> {
        let (left, right) = (self.shape(), y.shape());
        if let Err(kind) = vectors(&left, &right) {
            return self.and(y).fail("dot", kind).item();
        }
        self.unsqueeze(0).record(MatMul, &[y.unsqueeze(-1)]).item()
    }

    /// The product of a matrix and a vector: [`matmul`](Self::matmul) for these ranks alone.
    ///
    /// Derivative: g ⊗ x and Aᵀ·g.
    /// Shapes: `[m, k] · [k]` → `[m]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let matrix = tape.constant([[1.0_f64, 2.0], [3.0, 4.0]]);
    /// let vector = tape.var([1.0, 1.0]);
    /// let y = matrix.mv(vector);
    /// assert_eq!(y.value()?.to_vec(), [3.0, 7.0]);
    /// assert_eq!(y.sum().backward()?.of(vector)?.to_vec(), [4.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn mv(self, vector: Self) -> Self {
        match self.require_ranks("mv", &[(self, "the matrix", 2), (vector, "the vector", 1)]) {
            Some(failed) => failed,
            None => self.matmul(vector).called("mv"),
        }
    }

    /// The products of matrices along one batch axis: [`matmul`](Self::matmul) for these ranks alone, without
    /// broadcasting.
    ///
    /// Derivative: g·Bᵀ and Aᵀ·g.
    /// Shapes: `[b, m, k] · [b, k, n]` → `[b, m, n]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let queries = tape.constant(Tensor::<f32>::ones([8, 5, 4]));
    /// let keys = tape.constant(Tensor::ones([8, 7, 4]));
    /// assert_eq!(queries.bmm(keys.t()).shape(), [8, 5, 7].into());
    /// ```
    #[track_caller]
    pub fn bmm(self, right: Self) -> Self {
        match self.require_ranks("bmm", &[(self, "the left operand", 3), (right, "the right operand", 3)]) {
            Some(failed) => failed,
            None => self.record(MatMul, &[right]).called("bmm"),
        }
    }

    /// All products xᵢyⱼ of two vectors.
    ///
    /// Derivative: g·y and gᵀ·x.
    /// Shapes: `[m], [n]` → `[m, n]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let (x, y) = (tape.constant([1.0_f64, 2.0]), tape.constant([3.0, 4.0, 5.0]));
    /// assert_eq!(x.outer(y).value()?, [[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn outer(self, y: Self) -> Self {
        match self.require_ranks("outer", &[(self, "the left operand", 1), (y, "the right operand", 1)]) {
            Some(failed) => failed,
            None => (self.unsqueeze(1) * y).called("outer"),
        }
    }

    /// This matrix plus a product of matrices: x + A·B. This operand broadcasts to the product's shape.
    ///
    /// Derivative: g to `x`, g·Bᵀ and Aᵀ·g.
    /// Shapes: `x, [m, k], [k, n]` → `[m, n]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // A layer: bias plus input times weight.
    /// let bias = tape.constant([100.0_f64, 200.0]);
    /// let x = tape.constant([[1.0, 2.0]]);
    /// let weight = tape.constant([[1.0, 0.0], [3.0, 1.0]]);
    /// assert_eq!(bias.addmm(x, weight).value()?, [[107.0, 202.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn addmm(self, a: Self, b: Self) -> Self {
        match self.require_ranks("addmm", &[(a, "the left factor", 2), (b, "the right factor", 2)]) {
            Some(failed) => failed,
            None => self.plus_product(a, b).called("addmm"),
        }
    }

    /// This tensor plus products of matrices along one batch axis: x + A·B. This operand broadcasts to the product's shape.
    ///
    /// Derivative: g to `x`, g·Bᵀ and Aᵀ·g.
    /// Shapes: `x, [b, m, k], [b, k, n]` → `[b, m, n]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Scores of attention with a mask that hides the second key.
    /// let mask = tape.constant([0.0_f32, f32::NEG_INFINITY]);
    /// let queries = tape.constant([[[1.0, 2.0]]]);
    /// let keys = tape.constant([[[3.0, 4.0], [5.0, 6.0]]]);
    /// assert_eq!(mask.baddbmm(queries, keys.t()).value()?, [[[11.0, f32::NEG_INFINITY]]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn baddbmm(self, a: Self, b: Self) -> Self {
        match self.require_ranks("baddbmm", &[(a, "the left factor", 3), (b, "the right factor", 3)]) {
            Some(failed) => failed,
            None => self.plus_product(a, b).called("baddbmm"),
        }
    }

    #[track_caller]
    fn plus_product(self, a: Self, b: Self) -> Self {
        let product = a.record(MatMul, &[b]);
        if product.is_failed() { self.and(product) } else { self.stretched(&product.shape()) + product }
    }

    /// The Kronecker product: every element of this tensor times `y`, as one block each.
    ///
    /// Derivative: the blocks' inner products with the other operand.
    /// Shapes: `[a₀, a₁, ..], [b₀, b₁, ..]` → `[a₀b₀, a₁b₁, ..]`; missing leading axes count as one.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let (x, y) = (tape.var([1.0_f32, 10.0]), tape.var([1.0_f32, 2.0]));
    /// assert_eq!(x.kron(y).value()?.to_vec(), [1.0, 2.0, 10.0, 20.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn kron(self, y: Self) -> Self {
        let (left, right) = (self.shape(), y.shape());
        let rank = left.rank().max(right.rank());
        let size = |shape: &Shape, axis: usize| (axis + shape.rank()).checked_sub(rank).map_or(1, |axis| shape[axis]);
        let interleaved = |pair: fn(usize, usize) -> [usize; 2]| -> Shape {
            (0..rank).flat_map(|axis| pair(size(&left, axis), size(&right, axis))).collect()
        };
        let blocks = self.in_shape(&interleaved(|a, _| [a, 1])) * y.in_shape(&interleaved(|_, b| [1, b]));
        match Shape::computed((0..rank).map(|axis| size(&left, axis).checked_mul(size(&right, axis)))) {
            Ok(to) => blocks.in_shape(&to).called("kron"),
            Err(kind) => blocks.fail("kron", kind),
        }
    }

    /// The cross product of vectors of three numbers along `axis`.
    ///
    /// Derivative: y × g and g × x.
    /// Shapes: the operands broadcast; the size along `axis` is 3.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let (x, y) = (tape.var([1.0_f32, 0.0, 0.0]), tape.var([0.0_f32, 1.0, 0.0]));
    /// assert_eq!(x.cross(y, -1).value()?.to_vec(), [0.0, 0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn cross(self, y: Self, axis: isize) -> Self {
        match cross_axis(&self.shape(), &y.shape(), axis) {
            Ok((shape, axis)) => self.stretched(&shape).record(Cross { axis }, &[y.stretched(&shape)]),
            Err(kind) => self.and(y).fail("cross", kind),
        }
    }

    /// The sum of products over pairs of axes: the k-th of `axes` with the k-th of `y_axes`.
    ///
    /// Derivative: the same kind of product of g with the other operand.
    /// Shapes: the other axes of this tensor, then those of the other one.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let (x, y) = (tape.var([[1.0_f32, 2.0], [3.0, 4.0]]), tape.var([[1.0_f32, 1.0], [0.0, 1.0]]));
    /// assert_eq!(x.tensordot(y, [0, 1], [0, 1]).value()?.to_vec(), [7.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn tensordot(self, y: Self, axes: impl Into<Axes>, y_axes: impl Into<Axes>) -> Self {
        match Contraction::new(&self.shape(), &y.shape(), &axes.into(), &y_axes.into()) {
            Ok(Contraction { orders: [left, right], matrices: [a, b], out }) => {
                let (a, b) = (self.permute(left).in_shape(&a), y.permute(right).in_shape(&b));
                a.record(MatMul, &[b]).in_shape(&out).called("tensordot")
            }
            Err(kind) => self.and(y).fail("tensordot", kind),
        }
    }

    /// The product of this matrix and `others`, in the order of multiplication that takes the fewest operations.
    ///
    /// Derivative: that of the products.
    /// Shapes: `[m, k], [k, l], .., [p, n]` → `[m, n]`; the first and the last operand may be vectors, as in
    /// [`matmul`](Self::matmul).
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // (x·yᵀ)·z takes 2n² products for vectors of n numbers, x·(yᵀ·z) 2n: this finds the second.
    /// let x = tape.constant(Tensor::<f32>::ones([100, 1]));
    /// let z = x.multi_dot(&[x.t(), x]);
    /// assert_eq!(z.shape(), [100, 1].into());
    /// assert_eq!(z.max(), 100.0);
    /// ```
    ///
    /// Reference: T. H. Cormen et al., Introduction to Algorithms, matrix-chain multiplication.
    #[track_caller]
    pub fn multi_dot(self, others: &[Self]) -> Self {
        let operands: Vec<Self> = [self].iter().chain(others).copied().collect();
        let last = others.len();
        for (k, &operand) in operands.iter().enumerate() {
            let rank = if (k == 0 || k == last) && operand.rank() == 1 { 1 } else { 2 };
            if let Some(failed) = self.require_ranks("multi_dot", &[(operand, "an operand", rank)]) {
                return failed;
            }
        }
        let mut sizes: Vec<usize> = operands.iter().map(|x| if x.rank() == 2 { x.size(0) } else { 1 }).collect();
        if self.rank() == 1 && last > 0 {
            sizes[0] = 1;
        }
        sizes.push(if operands[last].rank() == 2 { operands[last].size(1) } else { 1 });
        if operands[last].rank() == 1 {
            sizes[last] = operands[last].size(0);
        }
        chain(&operands, &cheapest_splits(&sizes), 0, last).called("multi_dot")
    }
}

fn vectors(left: &Shape, right: &Shape) -> Result<(), ErrorKind> {
    match left.rank() {
        1 if left == right => Ok(()),
        1 => Err(ErrorKind::Shape { expected: left.clone(), found: right.clone() }),
        _ => Err(ErrorKind::Rank { what: "the left operand", expected: 1, found: left.clone() }),
    }
}

/// # Products
impl<T: Float> Tensor<T> {
    /// The matrix product of plain data, for every rank that [`Var::matmul`] takes.
    ///
    /// Shapes: as [`Var::matmul`].
    ///
    /// ```
    /// use autograd::Tensor;
    ///
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(a.matmul(&Tensor::from([1.0, 1.0]))?, Tensor::from([3.0, 7.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InnerSizes`], [`ErrorKind::Batch`], or [`ErrorKind::MinRank`] for a single number.
    #[track_caller]
    pub fn matmul(&self, right: &Self) -> Result<Self> {
        let Plan { matrices: [a, b], stacks: [all_a, all_b], out } =
            Plan::new(self.shape(), right.shape()).map_err(Error::at("matmul"))?;
        let (a, b) = (self.reshape(a)?.broadcast_to(all_a)?, right.reshape(b)?.broadcast_to(all_b)?);
        let product = Self::build(out, |out| kernel::matmul::matmul(a.view(), b.view(), out, Write::Replace));
        product.map_err(Error::at("matmul"))
    }

    /// The inner product Σ xᵢyᵢ of two vectors.
    ///
    /// # Errors
    /// [`ErrorKind::Rank`] or [`ErrorKind::Shape`] unless both have one axis of the same size.
    #[track_caller]
    pub fn dot(&self, y: &Self) -> Result<T> {
        vectors(self.shape(), y.shape()).map_err(Error::at("dot"))?;
        self.matmul(y)?.item()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{assert_gradient, failure, sample};
    use crate::{Tape, Tensor};

    const RANKS: [(&[usize], &[usize], &[usize]); 13] = [
        (&[3], &[3], &[]),
        (&[2, 3], &[3], &[2]),
        (&[3], &[3, 2], &[2]),
        (&[2, 3], &[3, 4], &[2, 4]),
        (&[2, 2, 3], &[3], &[2, 2]),
        (&[3], &[2, 3, 2], &[2, 2]),
        (&[2, 2, 3], &[3, 2], &[2, 2, 2]),
        (&[2, 3], &[2, 3, 2], &[2, 2, 2]),
        (&[2, 2, 3], &[2, 3, 2], &[2, 2, 2]),
        (&[2, 1, 2, 3], &[2, 3, 2], &[2, 2, 2, 2]),
        (&[2, 0], &[0, 3], &[2, 3]),
        (&[0, 2, 3], &[3, 1], &[0, 2, 1]),
        (&[1, 1], &[4, 1, 1], &[4, 1, 1]),
    ];

    #[test]
    fn matmul_at_every_rank() {
        for (a, b, out) in RANKS {
            let (a, b) = (sample(a, 1), sample(b, 2));
            let product = a.matmul(&b).unwrap();
            assert_eq!(product.shape(), &out.into());
            let tape = Tape::new();
            let recorded = tape.constant(a.clone()).matmul(tape.constant(b.clone()));
            recorded.value().unwrap().close_to(&product, 1e-14, 1e-14).unwrap();
            assert_gradient(|x| x[0].matmul(x[1]), &[a, b]);
        }
    }

    #[test]
    fn matmul_of_stacks_by_definition() {
        let counted = |shape: [usize; 3]| Tensor::from_fn(shape, |i| (100 * i[0] + 10 * i[1] + i[2]) as f64);
        let (a, b) = (counted([2, 2, 3]), counted([2, 3, 2]));
        let expected = Tensor::from_fn([2, 2, 2], |i| {
            (0..3).map(|k| a.get(&[i[0], i[1], k]).unwrap() * b.get(&[i[0], k, i[2]]).unwrap()).sum()
        });
        assert_eq!(a.matmul(&b).unwrap(), expected);
    }

    #[test]
    fn products_of_fixed_ranks() {
        let (a, v, w) = (sample(&[2, 3], 1), sample(&[3], 2), sample(&[2], 3));
        assert_gradient(|x| x[0].mv(x[1]), &[a.clone(), v.clone()]);
        assert_gradient(|x| x[0].outer(x[1]), &[v.clone(), w.clone()]);
        assert_gradient(|x| x[0].tape().from_scalars(&[x[0].dot(x[0] * x[1])]), &[v.clone(), sample(&[3], 4)]);
        assert_gradient(|x| x[0].bmm(x[1]), &[sample(&[2, 2, 3], 1), sample(&[2, 3, 1], 2)]);
        assert_gradient(|x| x[0].addmm(x[1], x[2]), &[v, sample(&[2, 2], 1), sample(&[2, 3], 2)]);
        assert_gradient(|x| x[0].baddbmm(x[1], x[2]), &[w.clone(), sample(&[2, 2, 3], 1), sample(&[2, 3, 2], 2)]);
        assert_gradient(|x| x[0].kron(x[1]), &[a, w]);
        let tape = Tape::new();
        let (x, y) = (tape.constant([1.0, 2.0]), tape.constant([[3.0, 4.0, 5.0]]));
        let kron = [3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
        assert_eq!(x.outer(y.reshape([3])).value().unwrap(), Tensor::from([[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]]));
        assert_eq!(x.kron(y).value().unwrap(), Tensor::from([kron]));
        assert_eq!(
            y.addmm(tape.constant([[1.0], [2.0]]), y).value().unwrap().to_vec(),
            [6.0, 8.0, 10.0, 9.0, 12.0, 15.0]
        );
    }

    #[test]
    fn cross_along_any_axis() {
        assert_gradient(|x| x[0].cross(x[1], 0), &[sample(&[3, 2], 1), sample(&[3, 2], 2)]);
        assert_gradient(|x| x[0].cross(x[1], -1), &[sample(&[2, 1, 3], 1), sample(&[2, 3], 2)]);
        assert_gradient(|x| x[0].cross(x[1], 1), &[sample(&[0, 3], 1), sample(&[3], 2)]);
        let tape = Tape::new();
        let (x, y) =
            (tape.constant([[1.0, 2.0], [0.0, 1.0], [0.0, 3.0]]), tape.constant([[0.0, 1.0], [1.0, 5.0], [0.0, 7.0]]));
        assert_eq!(x.cross(y, 0).value().unwrap(), Tensor::from([[0.0, -8.0], [0.0, -11.0], [1.0, 9.0]]));
    }

    #[test]
    fn tensordot_sums_over_pairs_of_axes() {
        let (x, y) = (sample(&[2, 3, 4], 1), sample(&[4, 2, 5], 2));
        assert_gradient(|x| x[0].tensordot(x[1], [2, 0], [0, -2]), &[x.clone(), y.clone()]);
        assert_gradient(|x| x[0].tensordot(x[1], [], []), &[sample(&[2], 1), sample(&[2, 1], 2)]);
        let tape = Tape::new();
        let product = tape.constant(x.clone()).tensordot(tape.constant(y.clone()), [2, 0], [0, -2]).value().unwrap();
        let expected = Tensor::from_fn([3, 5], |i| {
            let pairs = (0..4).flat_map(|k| (0..2).map(move |l| (k, l)));
            pairs.map(|(k, l)| x.get(&[l, i[0], k]).unwrap() * y.get(&[k, l, i[1]]).unwrap()).sum()
        });
        product.close_to(&expected, 1e-14, 1e-14).unwrap();
    }

    #[test]
    fn chains_start_where_it_is_cheapest() {
        assert_eq!(super::cheapest_splits(&[10, 100, 5, 50])[0][2], 1);
        assert_eq!(super::cheapest_splits(&[100, 5, 50, 1])[0][2], 0);
        let x = [sample(&[2], 1), sample(&[2, 3], 2), sample(&[3, 4], 3), sample(&[4], 4)];
        assert_gradient(|x| x[0].multi_dot(&x[1..]), &x);
        assert_gradient(|x| x[0].multi_dot(&x[1..]), &x[1..3]);
        assert_gradient(|x| x[0].multi_dot(&[]), &x[1..2]);
        let tape = Tape::new();
        let x = x.map(|x| tape.constant(x));
        let expected = x[0].matmul(x[1]).matmul(x[2]).matmul(x[3]).value().unwrap();
        x[0].multi_dot(&x[1..]).value().unwrap().close_to(&expected, 1e-13, 1e-13).unwrap();
    }

    #[test]
    fn wrong_shapes_are_named() {
        let matmul = |a: &[usize], b: &[usize]| failure(&[a, b], |x| x[0].matmul(x[1]));
        assert_eq!(matmul(&[3, 4], &[5, 2]), "matmul: inner sizes differ: [3, 4] · [5, 2] (4 ≠ 5)");
        assert_eq!(matmul(&[4], &[2, 5, 2]), "matmul: inner sizes differ: [4] · [2, 5, 2] (4 ≠ 5)");
        assert_eq!(matmul(&[], &[5, 2]), "matmul: an operand must have rank 1 or more, found shape []");
        assert_eq!(matmul(&[2, 3, 4], &[3, 4, 2]), "matmul: batch axes do not broadcast: [2, 3, 4] · [3, 4, 2]");
        let mv = failure(&[&[2, 3], &[3, 1]], |x| x[0].mv(x[1]));
        assert_eq!(mv, "mv: the vector must have rank 1, found shape [3, 1]");
        let outer = failure(&[&[2, 3], &[3]], |x| x[0].outer(x[1]));
        assert_eq!(outer, "outer: the left operand must have rank 1, found shape [2, 3]");
        let dot = failure(&[&[2], &[3]], |x| x[0] * x[0].dot(x[1]));
        assert_eq!(dot, "dot: shapes differ: expected [2], found [3]");
        let cross = failure(&[&[2, 2], &[2, 2]], |x| x[0].cross(x[1], 1));
        assert_eq!(cross, "cross: shapes differ: expected [2, 3], found [2, 2]");
        let tensordot = failure(&[&[2, 3], &[3, 2]], |x| x[0].tensordot(x[1], 0, 0));
        assert_eq!(tensordot, "tensordot: axes must be pairs of equal size, found [0] of [2, 3] and [0] of [3, 2]");
        let multi_dot = failure(&[&[2, 3, 1], &[3]], |x| x[0].multi_dot(&x[1..]));
        assert_eq!(multi_dot, "multi_dot: an operand must have rank 2, found shape [2, 3, 1]");
        let error = Tensor::<f32>::zeros([2]).dot(&Tensor::zeros([3])).unwrap_err();
        assert!(error.to_string().starts_with("dot: shapes differ: expected [2], found [3], at "));
    }
}
