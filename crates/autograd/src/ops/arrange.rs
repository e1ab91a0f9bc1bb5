//! Repeated, rolled, rotated and masked arrangements: compositions of views, one copy at most.

use super::cat::cat;
use crate::error::ErrorKind;
use crate::float::Float;
use crate::shape::{Axes, Shape, checked_len_of};
use crate::tensor::Tensor;
use crate::var::{Term, Var};

/// # Arrangement
impl<'t, T: Float> Var<'t, T> {
    /// The axis `axis` in several, which have as many elements together.
    ///
    /// Derivative: the gradient in the old shape.
    /// Shapes: `[.., d, ..]` → `[.., sizes.., ..]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // The heads of attention out of one wide axis.
    /// let x = tape.constant(Tensor::<f32>::zeros([2, 5, 12]));
    /// assert_eq!(x.unflatten(-1, [3, 4]).shape(), [2, 5, 3, 4].into());
    /// ```
    #[track_caller]
    pub fn unflatten(self, axis: isize, sizes: impl Into<Shape>) -> Self {
        let (shape, sizes) = (self.shape(), sizes.into());
        match shape.axis(axis) {
            Ok(axis) if checked_len_of(&sizes) != Some(shape[axis]) => {
                self.fail("unflatten", ErrorKind::ElementCount { from: shape[axis].into(), to: sizes })
            }
            Ok(axis) => {
                let (before, after) = (&shape[..axis], &shape[axis + 1..]);
                self.reshape(before.iter().chain(sizes.iter()).chain(after).copied().collect::<Shape>())
                    .called("unflatten")
            }
            Err(kind) => self.fail("unflatten", kind),
        }
    }

    /// The axes `first..=last` in one.
    ///
    /// Derivative: the gradient in the old shape.
    /// Shapes: `[.., d₁, d₂, .., ..]` → `[.., d₁·d₂·.., ..]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::<f32>::new();
    /// let images = tape.constant(Tensor::zeros([8, 3, 4, 4]));
    /// assert_eq!(images.flatten_axes(1, -1).shape(), [8, 48].into());
    /// ```
    #[track_caller]
    pub fn flatten_axes(self, first: isize, last: isize) -> Self {
        let shape = self.shape();
        match (shape.axis(first), shape.axis(last)) {
            (Ok(first), Ok(last)) if first <= last => {
                let known = |sizes: &[usize]| sizes.iter().copied().map(Some).collect::<Vec<_>>();
                let (before, after) = (known(&shape[..first]), known(&shape[last + 1..]));
                let size = checked_len_of(&shape[first..=last]);
                self.reshape_computed(before.into_iter().chain([size]).chain(after)).called("flatten_axes")
            }
            (Ok(first), Ok(last)) => {
                let found = format!("{first}..={last}");
                self.fail("flatten_axes", ErrorKind::Argument { name: "the axes", must: "in order", found })
            }
            (Err(kind), _) | (_, Err(kind)) => self.fail("flatten_axes", kind),
        }
    }

    /// The axis at `from` moved to `to`; the others keep their order.
    ///
    /// Derivative: the gradient with the axis moved back.
    /// Shapes: `[.., d, ..]` → the same sizes, with d at `to`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // Images with channels last, as a convolution takes them.
    /// let images = tape.constant(Tensor::<f32>::zeros([8, 28, 32, 3]));
    /// assert_eq!(images.movedim(-1, 1).shape(), [8, 3, 28, 32].into());
    /// ```
    #[track_caller]
    pub fn movedim(self, from: isize, to: isize) -> Self {
        let shape = self.shape();
        match (shape.axis(from), shape.axis(to)) {
            (Ok(from), Ok(to)) => {
                let mut order: Vec<isize> = (0..shape.rank() as isize).filter(|&axis| axis != from as isize).collect();
                order.insert(to, from as isize);
                self.permute(Axes::from(&order[..]))
            }
            (Err(kind), _) | (_, Err(kind)) => self.fail("movedim", kind),
        }
    }

    /// [`transpose`](Self::transpose) by NumPy's name.
    #[track_caller]
    pub fn swapaxes(self, a: isize, b: isize) -> Self {
        self.transpose(a, b).called("swapaxes")
    }

    /// [`broadcast_to`](Self::broadcast_to) by PyTorch's name.
    #[track_caller]
    pub fn expand(self, shape: impl Into<Shape>) -> Self {
        self.broadcast_to(shape).called("expand")
    }

    /// The whole tensor repeated along each axis; more counts than axes repeat along new axes in front (`repeat` in
    /// PyTorch), fewer are for the last axes (`tile`).
    ///
    /// Derivative: the sum of the gradients of the copies.
    /// Shapes: `[d₀, d₁, ..]` → `[counts[0]·d₀, counts[1]·d₁, ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([[1.0_f32, 2.0]]);
    /// assert_eq!(x.tile([2, 2]).value()?.to_vec(), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn tile(self, counts: impl Into<Shape>) -> Self {
        let (shape, counts) = (self.shape(), counts.into());
        let rank = shape.rank().max(counts.rank());
        let sizes = || std::iter::repeat_n(1, rank - shape.rank()).chain(shape.iter().copied());
        let copies = || std::iter::repeat_n(1, rank - counts.rank()).chain(counts.iter().copied());
        let apart: Shape = sizes().flat_map(|size| [1, size]).collect();
        let stretched: Shape = copies().zip(sizes()).flat_map(|(count, size)| [count, size]).collect();
        let to = copies().zip(sizes()).map(|(count, size)| count.checked_mul(size));
        self.reshape(apart).broadcast_to(stretched).reshape_computed(to).called("tile")
    }

    /// [`tile`](Self::tile) by PyTorch's name.
    #[track_caller]
    pub fn repeat(self, counts: impl Into<Shape>) -> Self {
        self.tile(counts).called("repeat")
    }

    /// Every element along `axis` `count` times in a row.
    ///
    /// Derivative: the sum of the gradients of the copies.
    /// Shapes: `[.., d, ..]` → `[.., count·d, ..]`.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Every key for two heads of queries.
    /// let keys = tape.var([1.0_f32, 2.0]);
    /// let repeated = keys.repeat_interleave(2, 0);
    /// assert_eq!(repeated.value()?.to_vec(), [1.0, 1.0, 2.0, 2.0]);
    /// assert_eq!(repeated.sum().backward()?.of(keys)?.to_vec(), [2.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn repeat_interleave(self, count: usize, axis: isize) -> Self {
        let shape = self.shape();
        let axis = match shape.axis(axis) {
            Ok(axis) => axis,
            Err(kind) => return self.fail("repeat_interleave", kind),
        };
        let apart = self.unsqueeze(axis as isize + 1);
        let stretched = apart.shape().with(axis + 1, count);
        let along = |(k, &size): (usize, &usize)| if k == axis { size.checked_mul(count) } else { Some(size) };
        let to = shape.iter().enumerate().map(along);
        apart.broadcast_to(stretched).reshape_computed(to).called("repeat_interleave")
    }

    /// The elements moved by `shift` places along `axis`; those that leave at one end come in at the other.
    ///
    /// Derivative: the gradient, moved back.
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Second differences on a ring.
    /// let x = tape.constant([0.0_f32, 1.0, 4.0, 1.0]);
    /// let curvature = x.roll(1, 0) - 2.0 * x + x.roll(-1, 0);
    /// assert_eq!(curvature.value()?.to_vec(), [2.0, 2.0, -6.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn roll(self, shift: isize, axis: isize) -> Self {
        if let Err(kind) = self.shape().axis(axis) {
            return self.fail("roll", kind);
        }
        let size = self.size(axis);
        let cut = shift.wrapping_neg().checked_rem_euclid(size as isize).unwrap_or(0) as usize;
        if cut == 0 { self } else { cat(&[self.slice(axis, cut..), self.slice(axis, ..cut)], axis) }
    }

    /// Rotated by `turns` quarter turns in the plane of two axes, from the first towards the second.
    ///
    /// Derivative: the gradient, turned back.
    /// Shapes: `[.., m, .., n, ..]` → the same, or m and n exchanged for an odd number of turns.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.rot90(1, [0, 1]).value()?, [[2.0, 4.0], [1.0, 3.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn rot90(self, turns: isize, [a, b]: [isize; 2]) -> Self {
        if let Err(kind) = self.shape().axes(&Axes::from([a, b])) {
            return self.fail("rot90", kind);
        }
        match turns.rem_euclid(4) {
            0 => self,
            1 => self.flip(b).transpose(a, b),
            2 => self.flip([a, b]),
            _ => self.flip(a).transpose(a, b),
        }
    }

    /// The lower triangle of matrices up to the `diagonal`-th diagonal, zeros above.
    ///
    /// Derivative: the lower triangle of the gradient.
    /// Shapes: `[.., m, n]` → the same.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var(Tensor::<f32>::ones([2, 3]));
    /// assert_eq!(x.tril(0).value()?.to_vec(), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn tril(self, diagonal: isize) -> Self {
        self.triangle("tril", |row, column| column - row <= diagonal)
    }

    /// The upper triangle of matrices from the `diagonal`-th diagonal on, zeros below.
    ///
    /// Derivative: the upper triangle of the gradient.
    /// Shapes: `[.., m, n]` → the same.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // What a causal mask hides: the pairs where the key comes after the query.
    /// let pairs = tape.constant(Tensor::<f32>::ones([2, 3]));
    /// assert_eq!(pairs.triu(1).value()?, [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn triu(self, diagonal: isize) -> Self {
        self.triangle("triu", |row, column| column - row >= diagonal)
    }

    #[track_caller]
    fn triangle(self, op: &'static str, holds: impl Fn(isize, isize) -> bool) -> Self {
        let shape = self.shape();
        let [.., rows, columns] = *shape else {
            return self.fail(op, ErrorKind::MinRank { what: "a matrix", least: 2, found: shape });
        };
        let mark = |i: &[usize]| holds(i[0] as isize, i[1] as isize);
        match Tensor::tabulated([rows, columns].into(), mark) {
            Ok(mask) => self.tape.mask(mask).select(self, Term::Number(T::ZERO)),
            Err(kind) => self.fail(op, kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::testing::{assert_fails, assert_gradient, sample};

    #[test]
    fn all_have_their_derivatives() {
        let x = &[sample(&[2, 3, 4], 1)];
        assert_gradient(|x| x[0].square().unflatten(-1, [2, 2]).flatten_axes(0, 1), x);
        assert_gradient(|x| x[0].square().movedim(0, -1).swapaxes(0, 1), x);
        assert_gradient(|x| x[0].square().unsqueeze(1).expand([2, 2, 3, 4]), x);
        assert_gradient(|x| x[0].t().square().tile([2, 1, 1, 3]), x);
        assert_gradient(|x| x[0].square().repeat([2]) + x[0].square().repeat_interleave(2, 2), x);
        assert_gradient(|x| x[0].square().roll(-1, 1) * x[0].rot90(2, [1, 2]), x);
        assert_gradient(|x| x[0].square().rot90(1, [0, 2]) + x[0].rot90(3, [0, 2]), x);
        assert_gradient(|x| x[0].square().tril(1) * x[0].exp().triu(-1), x);
    }

    #[test]
    fn places() {
        let tape = Tape::new();
        let value = |y: Var<'_, f64>| y.value().unwrap().to_vec();
        let x = tape.var([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(value(x.rot90(1, [0, 1])), [3.0, 6.0, 2.0, 5.0, 1.0, 4.0]);
        assert_eq!(value(x.rot90(-1, [0, 1])), [4.0, 1.0, 5.0, 2.0, 6.0, 3.0]);
        assert_eq!(value(x.roll(1, 1)), [3.0, 1.0, 2.0, 6.0, 4.0, 5.0]);
        assert_eq!(value(x.roll(-4, -1)), [2.0, 3.0, 1.0, 5.0, 6.0, 4.0]);
        assert_eq!(value(x.repeat_interleave(2, 0)), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 4.0, 5.0, 6.0]);
        assert_eq!(value(x.slice(1, ..1).tile([2])), [1.0, 1.0, 4.0, 4.0]);
        assert_eq!(value(x.tril(-1)), [0.0, 0.0, 0.0, 4.0, 0.0, 0.0]);
        assert_eq!(value(x.triu(1)), [0.0, 2.0, 3.0, 0.0, 0.0, 6.0]);
        assert_eq!(x.tile([0, 2]).shape(), [0, 6].into());
        assert_eq!(value(tape.var(Tensor::zeros([0])).roll(3, 0)), []);
        assert_eq!(tape.var(Tensor::<f64>::zeros([2, 3, 5])).movedim(-1, 0).shape(), [5, 2, 3].into());
        assert!(x.roll(isize::MIN, 0).value().is_ok() && x.tile([usize::MAX, usize::MAX]).value().is_err());
    }

    #[test]
    fn wrong_arguments_are_named() {
        let x = || Tensor::<f64>::zeros([2, 3]);
        assert_fails(|t| t.var(x()).unflatten(1, [2, 2]), "unflatten: [3] has 3 elements and [2, 2] has 4");
        assert_fails(|t| t.var(x()).flatten_axes(1, 0), "flatten_axes: the axes must be in order, found 1..=0");
        assert_fails(|t| t.var(x()).movedim(0, 2), "movedim: axis 2 is out of range for shape [2, 3]");
        assert_fails(|t| t.var(x()).roll(1, 2), "roll: axis 2 is out of range for shape [2, 3]");
        assert_fails(|t| t.var(x()).rot90(1, [0, 0]), "rot90: axis 0 is given twice");
        assert_fails(
            |t| t.var(x()).repeat_interleave(2, 2),
            "repeat_interleave: axis 2 is out of range for shape [2, 3]",
        );
        assert_fails(|t| t.var([1.0]).tril(0), "tril: a matrix must have rank 2 or more, found shape [1]");
    }
}
