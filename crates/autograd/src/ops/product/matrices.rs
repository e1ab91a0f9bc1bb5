//! Products of any ranks as products of matrices.

use smallvec::SmallVec;

use crate::error::{ErrorKind, Result};
use crate::shape::{Axes, Shape};

/// How a product of any ranks becomes one of matrices, or of stacks of them with equal batch axes.
pub(super) struct Plan {
    /// What the operands are reshaped to: a vector is a row on the left and a column on the right, and the rows of a stack
    /// that meets a single matrix are rows of one matrix.
    pub matrices: [Shape; 2],
    /// What they are then broadcast to.
    pub stacks: [Shape; 2],
    pub out: Shape,
}

impl Plan {
    pub fn new(left: &Shape, right: &Shape) -> Result<Self, ErrorKind> {
        if let Some(found) = [left, right].into_iter().find(|shape| shape.rank() == 0) {
            return Err(ErrorKind::MinRank { what: "an operand", least: 1, found: found.clone() });
        }
        let (batch, m, k) = match &left[..] {
            [batch @ .., m, k] => (Shape::from(batch), Some(*m), *k),
            _ => (Shape::default(), None, left[0]),
        };
        let (right_batch, right_k, n) = match &right[..] {
            [batch @ .., k, n] => (Shape::from(batch), *k, Some(*n)),
            _ => (Shape::default(), right[0], None),
        };
        if k != right_k {
            return Err(ErrorKind::InnerSizes { left: left.clone(), right: right.clone() });
        }
        let stack = |batch: &[usize], matrix: [usize; 2]| -> Shape { batch.iter().copied().chain(matrix).collect() };
        let (rows, columns) = (m.unwrap_or(1), n.unwrap_or(1));
        if right_batch.rank() == 0 {
            let rows = Shape::from(&left[..left.rank() - 1]).len();
            let matrices = [Shape::from([rows, k]), Shape::from([k, columns])];
            let out = left[..left.rank() - 1].iter().copied().chain(n).collect();
            return Ok(Plan { stacks: matrices.clone(), matrices, out });
        }
        let clash = |_| ErrorKind::Batch { left: left.clone(), right: right.clone() };
        let all = batch.broadcast(&right_batch).map_err(clash)?;
        Ok(Plan {
            matrices: [stack(&batch, [rows, k]), stack(&right_batch, [k, columns])],
            stacks: [stack(&all, [rows, k]), stack(&all, [k, columns])],
            out: all.iter().copied().chain(m).chain(n).collect(),
        })
    }
}

/// The operands of [`Var::tensordot`] as matrices.
pub(super) struct Contraction {
    pub orders: [Axes; 2],
    pub matrices: [Shape; 2],
    pub out: Shape,
}

impl Contraction {
    pub fn new(left: &Shape, right: &Shape, axes: &Axes, other_axes: &Axes) -> Result<Self, ErrorKind> {
        if axes.len() != other_axes.len() {
            let found = format!("{} and {}", axes.len(), other_axes.len());
            return Err(ErrorKind::Argument { name: "axes", must: "as many for both operands", found });
        }
        left.axes(axes)?;
        right.axes(other_axes)?;
        let positions = |shape: &Shape, axes: &Axes| -> Result<SmallVec<[usize; 4]>, ErrorKind> {
            axes.iter().map(|&axis| shape.axis(axis)).collect()
        };
        let (summed, other_summed) = (positions(left, axes)?, positions(right, other_axes)?);
        if summed.iter().zip(&other_summed).any(|(&a, &b)| left[a] != right[b]) {
            return Err(ErrorKind::Argument {
                name: "axes",
                must: "pairs of equal size",
                found: format!("{:?} of {left} and {:?} of {right}", &axes[..], &other_axes[..]),
            });
        }
        let free = |shape: &Shape, summed: &[usize]| -> SmallVec<[usize; 4]> {
            (0..shape.rank()).filter(|axis| !summed.contains(axis)).collect()
        };
        let (rows, columns) = (free(left, &summed), free(right, &other_summed));
        let order = |axes: &[usize], more: &[usize]| axes.iter().chain(more).map(|&axis| axis as isize).collect();
        let sizes = |shape: &Shape, axes: &[usize]| -> Shape { axes.iter().map(|&axis| shape[axis]).collect() };
        let (m, k, n) = (sizes(left, &rows), sizes(left, &summed), sizes(right, &columns));
        Ok(Contraction {
            orders: [order(&rows, &summed), order(&other_summed, &columns)],
            matrices: [Shape::from([m.len(), k.len()]), Shape::from([k.len(), n.len()])],
            out: m.iter().chain(&n[..]).copied().collect(),
        })
    }
}
