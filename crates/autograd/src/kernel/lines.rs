//! Tensors seen along one axis: outer · len · inner elements in row-major order, where a line has `len` elements that lie
//! `inner` apart.

use crate::float::Element;
use crate::kernel::parallel;
use crate::shape::{Shape, len_of};
use crate::tensor::View;
use crate::tensor::buffer::Buffer;
use crate::tensor::copy::copy_to;

/// Elements that a thread takes at once.
const ELEMENTS_PER_TASK: usize = 1 << 14;

/// The sizes before, along and after one axis. Without elements some of them may be as large as numbers are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines {
    pub outer: usize,
    pub len: usize,
    pub inner: usize,
}

impl Lines {
    /// The lines of `shape` along `axis`; a single number is a line of one.
    pub fn new(shape: &Shape, axis: usize) -> Self {
        debug_assert!(axis < shape.rank() || shape.rank() == 0);
        let inner = shape.get(axis + 1..).map_or(1, len_of);
        Lines { outer: len_of(&shape[..axis]), len: shape.get(axis).copied().unwrap_or(1), inner }
    }

    /// Elements of one outer step.
    pub fn slab(&self) -> usize {
        self.len.saturating_mul(self.inner)
    }

    /// All elements.
    pub fn total(&self) -> usize {
        self.outer.saturating_mul(self.slab())
    }

    /// Outer steps that a thread takes at once.
    pub fn slabs_per_piece(&self) -> usize {
        (ELEMENTS_PER_TASK / self.slab().max(1)).max(1)
    }

    /// Calls `f(outer, slab)` for every outer step of `out`, whose lines may be of another length, on as many threads as
    /// are worth it when an element costs `weight` cheap steps.
    pub fn each_slab<T: Send>(&self, out: &mut [T], weight: usize, f: &(impl Fn(usize, &mut [T]) + Sync)) {
        if out.is_empty() {
            return;
        }
        let slab = out.len() / self.outer;
        parallel::pieces(out, slab * self.slabs_per_piece(), self.total() * weight, &|start, piece| {
            for (k, slab) in piece.chunks_exact_mut(slab).enumerate() {
                f(start / slab.len() + k, slab);
            }
        });
    }

    /// The elements of `x` at outer step `outer`.
    pub fn slab_of<'a, T>(&self, x: &'a [T], outer: usize) -> &'a [T] {
        &x[outer * self.slab()..][..self.slab()]
    }
}

/// The elements of a view in row-major order: in place where they lie so, else copied.
pub(crate) enum Packed<'a, E: Element> {
    Slice(&'a [E]),
    Buffer(Buffer<E>),
}

impl<'a, E: Element> Packed<'a, E> {
    pub fn new(x: View<'a, E>) -> Self {
        if let Some(slice) = x.as_slice() {
            return Packed::Slice(slice);
        }
        let mut buffer = Buffer::scratch(x.layout.shape.len());
        if let Some(elements) = buffer.get_mut() {
            copy_to(x, elements);
        }
        Packed::Buffer(buffer)
    }

    pub fn as_slice(&self) -> &[E] {
        match self {
            Packed::Slice(slice) => slice,
            Packed::Buffer(buffer) => buffer.as_slice(),
        }
    }
}
