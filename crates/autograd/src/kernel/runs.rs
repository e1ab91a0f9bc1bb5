//! A strided view as a sequence of runs: axes merged where strides allow, the innermost walked as one loop.

use std::mem::MaybeUninit;

use smallvec::SmallVec;

use crate::kernel::vectorized::vectorized;
use crate::tensor::layout::Layout;

/// One axis of a loop nest: how many steps, and how far each goes.
pub(crate) type Axis = (usize, isize);

/// Axes of a loop nest, outermost first.
pub(crate) type Nest = SmallVec<[Axis; 4]>;

/// Appends `axis` inside `nest`: dropped when of size one, merged with the innermost where both are one even walk.
#[inline]
pub(crate) fn push_merged(nest: &mut Nest, (size, stride): Axis) {
    if size == 1 {
        return;
    }
    match nest.last_mut() {
        // Without elements all axes become one, and the product is 0 whatever overflows on the way.
        Some(outer) if outer.1 == stride * size as isize => *outer = (outer.0.wrapping_mul(size), stride),
        _ => nest.push((size, stride)),
    }
}

/// Where step `index` of `nest`, counted in row-major order, lies relative to its start.
#[inline]
pub(crate) fn shift(nest: &[Axis], mut index: usize) -> isize {
    let mut shift = 0;
    for &(size, stride) in nest.iter().rev() {
        shift += (index % size) as isize * stride;
        index /= size;
    }
    shift
}

/// The elements of a view in row-major order, as runs of even steps.
#[derive(Clone)]
pub(crate) struct Runs {
    outer: Nest,
    inner: Axis,
    offset: isize,
}

/// Elements at `position, position + stride, …`.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub position: usize,
    pub len: usize,
    pub stride: isize,
}

impl Runs {
    /// The runs of a layout.
    pub fn new(layout: &Layout) -> Self {
        let mut outer = Nest::new();
        for (&size, &stride) in layout.shape.iter().zip(&layout.strides) {
            push_merged(&mut outer, (size, stride));
        }
        let inner = outer.pop().unwrap_or((1, 1));
        Runs { outer, inner, offset: layout.offset as isize }
    }

    /// Whether elements that are `period` apart are the same: one run is seen again and again.
    pub fn repeat_every(&self, period: usize) -> bool {
        self.outer.iter().all(|&(_, stride)| stride == 0) && period.is_multiple_of(self.inner.0)
    }

    /// Calls `f(done, run)` for the runs of elements `start .. start + len`; `done` counts the elements before it.
    #[inline]
    pub fn each(&self, start: usize, len: usize, mut f: impl FnMut(usize, Run)) {
        let (size, stride) = self.inner;
        if len == 0 {
            return;
        }
        let (mut first, mut row) = (start % size, start / size);
        let mut done = 0;
        let mut odometer = Odometer::new(&self.outer, row);
        loop {
            let run_len = (size - first).min(len - done);
            let position = (self.offset + odometer.shift + first as isize * stride) as usize;
            f(done, Run { position, len: run_len, stride });
            done += run_len;
            if done == len {
                return;
            }
            (first, row) = (0, row + 1);
            odometer.advance();
        }
    }

    /// Writes elements `start ..` of the view over `data` to `block`.
    pub fn copy<T: Copy>(&self, data: &[T], start: usize, block: &mut [T]) {
        // SAFETY: what holds elements may be written as if it held nothing yet, and all of it is written.
        let block = unsafe { &mut *(block as *mut [T] as *mut [MaybeUninit<T>]) };
        self.gather(data, start, block);
    }

    /// Writes elements `start ..` of the view over `data` to `block` and returns it as initialised.
    pub fn gather<'b, T: Copy>(&self, data: &[T], start: usize, block: &'b mut [MaybeUninit<T>]) -> &'b mut [T] {
        vectorized!({
            self.each(start, block.len(), |done, run| run.copy(data, &mut block[done..done + run.len]));
        });
        // SAFETY: the runs cover the block without gaps and `copy` writes each element of its part.
        unsafe { &mut *(block as *mut [MaybeUninit<T>] as *mut [T]) }
    }
}

impl Run {
    #[inline(always)]
    fn copy<T: Copy>(self, data: &[T], part: &mut [MaybeUninit<T>]) {
        match self.stride {
            1 => {
                for (y, &x) in part.iter_mut().zip(&data[self.position..self.position + self.len]) {
                    *y = MaybeUninit::new(x);
                }
            }
            0 => part.fill(MaybeUninit::new(data[self.position])),
            _ => self.each(data, part, |y, x| *y = MaybeUninit::new(x)),
        }
    }

    /// Calls `f(y, x)` for each element of `part` with the run's element of `data`.
    #[inline(always)]
    pub fn each<T: Copy, Y>(self, data: &[T], part: &mut [Y], mut f: impl FnMut(&mut Y, T)) {
        if part.is_empty() {
            return;
        }
        debug_assert_eq!(part.len(), self.len);
        let last = self.position as isize + (part.len() - 1) as isize * self.stride;
        assert!(self.position < data.len() && (0..data.len() as isize).contains(&last));
        let mut position = self.position as isize;
        for y in part {
            // SAFETY: positions go evenly from the first to the last, and both are inside `data`.
            f(y, unsafe { *data.get_unchecked(position as usize) });
            position += self.stride;
        }
    }
}

/// A walk over a loop nest in row-major order that keeps the current distance from its start.
pub(crate) struct Odometer<'a> {
    nest: &'a [Axis],
    index: SmallVec<[usize; 4]>,
    pub shift: isize,
}

impl<'a> Odometer<'a> {
    /// At step `start` of `nest`.
    #[inline]
    pub fn new(nest: &'a [Axis], start: usize) -> Self {
        let mut index = SmallVec::from_elem(0, nest.len());
        if start > 0 {
            let mut rest = start;
            for (i, &(size, _)) in index.iter_mut().zip(nest).rev() {
                (*i, rest) = (rest % size, rest / size);
            }
            return Odometer { nest, index, shift: shift(nest, start) };
        }
        Odometer { nest, index, shift: 0 }
    }

    /// To the next step; from the last back to the first.
    #[inline]
    pub fn advance(&mut self) {
        for (i, &(size, stride)) in self.index.iter_mut().zip(self.nest).rev() {
            *i += 1;
            self.shift += stride;
            if *i < size {
                return;
            }
            self.shift -= size as isize * stride;
            *i = 0;
        }
    }
}
