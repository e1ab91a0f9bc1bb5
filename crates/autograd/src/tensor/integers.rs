//! Integers with a bound: indices, labels, lengths, seeds.

use super::Tensor;
use super::layout::Layout;
use crate::error::ErrorKind;
use crate::shape::Shape;

/// Integers that are all smaller than a bound, so that whether they are indices along an axis is known without a look at each.
#[derive(Debug, Clone)]
pub(crate) struct Integers {
    pub list: Tensor<usize>,
    pub below: usize,
}

impl Integers {
    /// Integers of which nothing is known: finds their bound.
    pub fn new(list: Tensor<usize>) -> Self {
        let stored = stored(&list);
        // Without an early end the look at all runs in vectors.
        let largest = match stored.as_slice() {
            Some(integers) => integers.iter().copied().fold(0, usize::max),
            None => stored.iter().fold(0, usize::max),
        };
        let below = if list.is_empty() { 0 } else { largest.saturating_add(1) };
        Integers { list, below }
    }

    /// The shape of integers that nobody will look at.
    pub fn absent(shape: &Shape) -> Self {
        Integers { list: Tensor::repeated(0, shape), below: usize::from(!shape.is_empty()) }
    }

    pub fn shape(&self) -> &Shape {
        self.list.shape()
    }

    /// The same integers arranged by `f`.
    pub fn arranged(
        &self,
        f: impl FnOnce(&Tensor<usize>) -> Result<Tensor<usize>, ErrorKind>,
    ) -> Result<Self, ErrorKind> {
        Ok(Integers { list: f(&self.list)?, below: self.below })
    }

    /// In row-major order without gaps.
    pub fn in_order(&self) -> Result<Self, ErrorKind> {
        self.arranged(Tensor::in_order)
    }

    /// The elements, if they lie in row-major order without gaps.
    pub fn as_slice(&self) -> &[usize] {
        debug_assert!(self.list.as_slice().is_some());
        self.list.as_slice().unwrap_or_default()
    }

    /// The rule that the first one breaks which is no index along `axis` of `shape`.
    pub fn must_index(&self, axis: usize, shape: &Shape) -> Result<(), ErrorKind> {
        self.must_be_below(shape[axis]).map_err(|index| ErrorKind::Index { index, axis, shape: shape.clone() })
    }

    /// The first one that is not below `size`, if there is one.
    pub fn must_be_below(&self, size: usize) -> Result<(), usize> {
        if self.below <= size {
            return Ok(());
        }
        stored(&self.list).iter().find(|&index| index >= size).map_or(Ok(()), Err)
    }
}

/// Each element once that a broadcast repeats.
fn stored(list: &Tensor<usize>) -> Tensor<usize> {
    let once = |(&size, &stride): (&usize, &isize)| if stride == 0 { size.min(1) } else { size };
    let layout = &list.layout;
    let shape = layout.shape.iter().zip(&layout.strides).map(once).collect();
    list.with_layout(Layout { shape, ..layout.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_that_of_the_elements_that_are_shown() {
        let list = Tensor::from([[1, 9], [4, 9]]);
        let column = Integers::new(list.index_axis(1, 0).unwrap().broadcast_to([3, 2]).unwrap());
        assert_eq!((column.below, Integers::new(list).below), (5, 10));
        assert_eq!(Integers::new(Tensor::zeros([0, 3])).below, 0);
        assert_eq!(column.must_be_below(4), Err(4));
        assert_eq!(column.must_be_below(5), Ok(()));
        assert_eq!(Integers::new(Tensor::from([usize::MAX])).must_be_below(usize::MAX - 1), Err(usize::MAX));
    }
}
