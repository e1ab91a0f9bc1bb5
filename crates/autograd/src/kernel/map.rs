//! The elementwise driver: operands of any strides handed to a kernel as equally long contiguous blocks.

use std::mem::MaybeUninit;

use smallvec::SmallVec;

use crate::float::Float;
use crate::kernel::parallel;
use crate::kernel::runs::Runs;
use crate::shape::Shape;
use crate::tensor::View;

/// The length of a block at most when an operand is gathered or a number; a few blocks stay in the first cache.
pub(crate) const BLOCK: usize = 1024;

/// The length of a block at most when every operand is a slice already.
const DENSE_BLOCK: usize = 4 * BLOCK;

/// Elements that a thread takes at once; a multiple of every block length.
const ELEMENTS_PER_TASK: usize = 4 * DENSE_BLOCK;

/// Elements of the stack that gathered operands and numbers share.
const ARENA: usize = 4 * BLOCK;

/// An input of a [`map`].
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a, T> {
    /// A view already broadcast to the shape of the output.
    View(View<'a, T>),
    /// The same number everywhere.
    Number(T),
}

/// A loop over equally long blocks: one of each operand, and one of the output, which holds its previous contents.
pub(crate) type Kernel<'k, T> = dyn Fn(&[&[T]], &mut [T]) + Sync + 'k;

type Slices<'a, T> = SmallVec<[&'a [T]; 4]>;

/// Receives the blocks of all operands, how many elements came before them, and their length.
type BlockFn<'f, T> = dyn FnMut(&[&[T]], usize, usize) + 'f;

/// Calls `kernel` block by block until `out`, of `shape`, is covered.
///
/// The kernel brings its own dispatch to the CPU's vector instructions: it is called through a pointer.
pub(crate) fn map<T: Float>(shape: &Shape, operands: &[Operand<'_, T>], out: &mut [T], kernel: &Kernel<'_, T>) {
    debug_assert_eq!(shape.len(), out.len());
    debug_assert!(operands.iter().all(|operand| operand.has_shape(shape)));
    if out.is_empty() {
        return;
    }
    let work = out.len();
    if let Some(slices) = dense(operands, out.len()) {
        return map_slices(&slices, out, kernel);
    }
    let feeds = feeds(operands, out.len());
    parallel::pieces(out, ELEMENTS_PER_TASK, work, &|start, piece| {
        each_block(&feeds, start, piece.len(), &mut |xs, done, len| kernel(xs, &mut piece[done..done + len]));
    });
}

/// Calls `kernel` block by block for operands that are slices as long as `out`.
#[inline]
pub(crate) fn map_slices<T: Float>(slices: &[&[T]], out: &mut [T], kernel: &Kernel<'_, T>) {
    debug_assert!(slices.iter().all(|slice| slice.len() == out.len()));
    if out.len() <= DENSE_BLOCK {
        return kernel(slices, out);
    }
    let work = out.len();
    parallel::pieces(out, ELEMENTS_PER_TASK, work, &|start, piece| map_dense(slices, start, piece, kernel));
}

impl<T: Float> Operand<'_, T> {
    fn has_shape(&self, shape: &Shape) -> bool {
        match self {
            Operand::View(view) => view.layout.shape == *shape,
            Operand::Number(_) => true,
        }
    }
}

/// Every operand as one slice, if all of them are.
#[inline]
fn dense<'a, T>(operands: &[Operand<'a, T>], len: usize) -> Option<Slices<'a, T>> {
    let mut slices = Slices::new();
    for operand in operands {
        match operand {
            Operand::View(view) if view.layout.is_contiguous() => slices.push(slice_of(view, len)),
            _ => return None,
        }
    }
    Some(slices)
}

#[inline]
fn slice_of<'a, T>(view: &View<'a, T>, len: usize) -> &'a [T] {
    &view.data[view.layout.offset..view.layout.offset + len]
}

fn map_dense<T: Float>(slices: &[&[T]], start: usize, piece: &mut [T], kernel: &Kernel<'_, T>) {
    for (k, block) in piece.chunks_mut(DENSE_BLOCK).enumerate() {
        let start = start + k * DENSE_BLOCK;
        let xs: Slices<'_, T> = slices.iter().map(|x| &x[start..start + block.len()]).collect();
        kernel(&xs, block);
    }
}

/// Where the blocks of an operand come from.
enum Feed<'a, T> {
    Slice(&'a [T]),
    Number(T),
    Gather(&'a [T], Runs),
}

fn feeds<'a, T: Float>(operands: &[Operand<'a, T>], len: usize) -> SmallVec<[Feed<'a, T>; 4]> {
    let feed = |operand: &Operand<'a, T>| match operand {
        Operand::Number(x) => Feed::Number(*x),
        Operand::View(view) if view.layout.is_contiguous() => Feed::Slice(slice_of(view, len)),
        Operand::View(view) => Feed::Gather(view.data, Runs::new(view.layout)),
    };
    operands.iter().map(feed).collect()
}

fn each_block<T: Float>(feeds: &[Feed<'_, T>], start: usize, len: usize, f: &mut BlockFn<'_, T>) {
    each_block_up_to(DENSE_BLOCK, feeds, start, len, f);
}

/// Calls `f(blocks, done, len)` over elements `start .. start + len`, where `done` counts those before the block.
fn each_block_up_to<T: Float>(most: usize, feeds: &[Feed<'_, T>], start: usize, len: usize, f: &mut BlockFn<'_, T>) {
    let buffered = feeds.iter().filter(|feed| feed.needs_slot()).count();
    debug_assert!(buffered <= ARENA);
    let slot_len = ARENA.checked_div(buffered).map_or(most, |room| room.min(BLOCK)).min(len);
    let mut arena = [const { MaybeUninit::<T>::uninit() }; ARENA];
    fill_numbers(feeds, &mut arena, slot_len);
    let mut done = 0;
    while done < len {
        let block_len = slot_len.min(len - done);
        let mut slots = arena.chunks_mut(slot_len);
        let mut slot = || &mut slots.next().unwrap_or_default()[..block_len];
        let mut xs = Slices::new();
        for feed in feeds {
            xs.push(match feed {
                Feed::Slice(x) => &x[start + done..start + done + block_len],
                // SAFETY: `fill_numbers` wrote this slot, and it belongs to this number alone.
                Feed::Number(_) => unsafe { initialised(slot()) },
                // SAFETY: the first block, which is the longest, filled this slot with the same elements.
                Feed::Gather(_, runs) if done > 0 && runs.repeat_every(slot_len) => unsafe { initialised(slot()) },
                Feed::Gather(data, runs) => runs.gather(data, start + done, slot()),
            });
        }
        f(&xs, done, block_len);
        done += block_len;
    }
}

impl<T> Feed<'_, T> {
    fn needs_slot(&self) -> bool {
        !matches!(self, Feed::Slice(_))
    }
}

/// Writes each number to its slot, once for all blocks.
fn fill_numbers<T: Float>(feeds: &[Feed<'_, T>], arena: &mut [MaybeUninit<T>], slot_len: usize) {
    let buffered = feeds.iter().filter(|feed| feed.needs_slot());
    for (feed, slot) in buffered.zip(arena.chunks_mut(slot_len)) {
        if let Feed::Number(x) = feed {
            slot.fill(MaybeUninit::new(*x));
        }
    }
}

/// # Safety
/// Every element of `slot` has been written.
unsafe fn initialised<T>(slot: &mut [MaybeUninit<T>]) -> &mut [T] {
    // SAFETY: `MaybeUninit<T>` has the layout of `T`, and the caller vouches for the values.
    unsafe { &mut *(slot as *mut [MaybeUninit<T>] as *mut [T]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{Draws, SHAPES, assert_close, assert_same_bits, samples};
    use crate::tensor::layout::Layout;

    fn multiply_add(xs: &[&[f64]], out: &mut [f64]) {
        assert!(xs.iter().all(|x| x.len() == out.len()));
        for (k, y) in out.iter_mut().enumerate() {
            *y += xs[0][k] * xs[1][k] + xs[2][k];
        }
    }

    #[test]
    fn every_kind_of_operand_meets_its_element() {
        // Whole rows of the last shape fill a block, which a broadcast row then fills again and again.
        for shape in SHAPES.iter().chain(&[&[40, 64][..]]) {
            let (a, b) = (samples::<f64>(shape, 1), samples::<f64>(shape, 2));
            for (a, b) in a.iter().flat_map(|a| b.iter().map(move |b| (a, b))) {
                let shape = Shape::from(*shape);
                let operands = [Operand::View(a.view()), Operand::Number(3.0), Operand::View(b.view())];
                let mut out = Draws(5).numbers(shape.len());
                let terms = out.iter().zip(a.elements()).zip(b.elements());
                let expected: Vec<f64> = terms.map(|((y, a), b): ((&f64, f64), f64)| y + (a * 3.0 + b)).collect();
                map(&shape, &operands, &mut out, &multiply_add);
                assert_eq!(out, expected, "{:?} {:?}", a.layout, b.layout);
            }
        }
    }

    #[test]
    fn many_operands_share_the_arena() {
        let x = &samples::<f64>(&[33, 40], 3)[1];
        let operand = |k| if k % 2 == 0 { Operand::View(x.view()) } else { Operand::Number(k as f64) };
        let operands: Vec<_> = (0..50).map(operand).collect();
        let mut out = vec![0.0; 33 * 40];
        map(&x.layout.shape, &operands, &mut out, &|xs: &[&[f64]], out: &mut [f64]| {
            for (k, y) in out.iter_mut().enumerate() {
                *y = xs.iter().map(|x| x[k]).sum();
            }
        });
        let expected: Vec<f64> = x.elements().iter().map(|x| 25.0 * x + 625.0).collect();
        assert_close(&out, &expected, 1e-14);
    }

    #[test]
    fn threads_change_no_bit() {
        let shape = Shape::from([700, 701]);
        let x: Vec<f32> = Draws(1).numbers(shape.len());
        let (plain, turned) =
            (Layout::contiguous(shape.clone()), Layout::contiguous(Shape::from([701, 700])).permute(&[1, 0]));
        for layout in [plain, turned] {
            let operands = [Operand::View(View { data: &x, layout: &layout }), Operand::Number(0.3)];
            let kernel = |xs: &[&[f32]], out: &mut [f32]| {
                out.iter_mut().zip(xs[0]).zip(xs[1]).for_each(|((y, &a), &b)| *y = a * b + a);
            };
            assert_same_bits(|| {
                let mut out = vec![0.0; shape.len()];
                map(&shape, &operands, &mut out, &kernel);
                out
            });
        }
    }
}
