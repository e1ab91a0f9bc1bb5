//! Memory of tensors: shared, 64-byte aligned blocks that go back to a pool of their thread instead of to the system.
//!
//! Fresh memory costs a page fault for every 4 KiB, often more than the arithmetic on it, so a training step takes the blocks
//! that the step before it gave back. Nothing here knows shapes.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::any::TypeId;
use std::cell::Cell;
use std::hint::black_box;
use std::marker::PhantomData;
use std::mem;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use crate::float::Element;

/// A shared block of `len` elements; the last handle gives it back to the pool of the thread that drops it.
pub(crate) struct Buffer<E: Element> {
    block: NonNull<Header>,
    len: usize,
    elements: PhantomData<E>,
}

// SAFETY: a buffer is an `Arc<[E]>` in all but its memory: the count is atomic, elements are `Send + Sync`, they are written
// only through a unique handle, and a block in a pool belongs to that pool's thread alone.
unsafe impl<E: Element> Send for Buffer<E> {}
// SAFETY: as for `Send`.
unsafe impl<E: Element> Sync for Buffer<E> {}

impl<E: Element> Buffer<E> {
    /// A buffer of `len` elements of unspecified, valid contents, for kernels to work in; the program ends where memory has
    /// no room.
    pub fn scratch(len: usize) -> Self {
        let class = class_of(len.saturating_mul(size_of::<E>())).unwrap_or(CLASSES - 1);
        Self::new(len).unwrap_or_else(|| handle_alloc_error(allocation(class)))
    }

    /// A buffer of `len` elements of unspecified, valid contents: what an earlier buffer left there, [`POISON`] in debug builds;
    /// `None` where memory has no room.
    pub fn new(len: usize) -> Option<Self> {
        let block = take(len.saturating_mul(size_of::<E>()))?;
        let mut buffer = Self { block, len, elements: PhantomData };
        // Every pattern of bits is a float or an integer; of bytes that held other elements, few are a `bool`.
        let is_bool = TypeId::of::<E>() == TypeId::of::<bool>();
        if is_bool || cfg!(debug_assertions) {
            // SAFETY: the block is unique and has room for `len` elements; the bytes are of the type.
            unsafe { buffer.elements().as_ptr().write_bytes(if is_bool { 1 } else { POISON }, len) };
        }
        debug_assert!(buffer.get_mut().is_some_and(|elements| elements.as_ptr().addr().is_multiple_of(ALIGN)));
        Some(buffer)
    }

    /// Whether memory has room for `len` elements.
    pub fn has_room(len: usize) -> bool {
        has_room(len.saturating_mul(size_of::<E>()))
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The elements.
    #[inline]
    pub fn as_slice(&self) -> &[E] {
        // SAFETY: `new` made room for `len` elements, initialised by `alloc_zeroed` or by the block's earlier use; while
        // a `&self` exists nobody writes, as `get_mut` needs the only handle mutably.
        unsafe { slice::from_raw_parts(self.elements().as_ptr(), self.len) }
    }

    /// The elements for writing, if this is the only handle.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut [E]> {
        // SAFETY: as in `as_slice`; this handle is the only one and is borrowed mutably.
        self.is_unique().then(|| unsafe { slice::from_raw_parts_mut(self.elements().as_ptr(), self.len) })
    }

    /// Whether this is the only handle. `Acquire` orders what other handles did before this answer.
    #[inline]
    pub fn is_unique(&self) -> bool {
        self.references().load(Ordering::Acquire) == 1
    }

    #[inline]
    fn references(&self) -> &AtomicUsize {
        // SAFETY: the header of a block in use is initialised, and only its atomic field changes.
        unsafe { &self.block.as_ref().references }
    }

    #[inline]
    fn elements(&self) -> NonNull<E> {
        // SAFETY: elements start right behind the header, inside the same allocation.
        unsafe { self.block.add(1).cast() }
    }
}

impl<E: Element> Clone for Buffer<E> {
    #[inline]
    fn clone(&self) -> Self {
        // Overflow takes 2⁶³ forgotten clones; like `Arc`, abort before the count wraps.
        if self.references().fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
            std::process::abort();
        }
        Self { ..*self }
    }
}

impl<E: Element> Drop for Buffer<E> {
    #[inline]
    fn drop(&mut self) {
        // The only handle needs no locked decrement: nobody else can raise the count.
        if !self.is_unique() {
            if self.references().fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
        }
        give(self.block);
    }
}

/// Whether memory has room for so many bytes, by asking the system where they are many. Nothing is written: pages would be
/// taken by that, and it would last.
pub(crate) fn has_room(bytes: usize) -> bool {
    let Some(class) = class_of(bytes) else { return false };
    if room(class) <= SLACK {
        return true;
    }
    // SAFETY: the layout is not empty. The compiler may not leave out what nobody seems to use.
    let block = black_box(unsafe { alloc(allocation(class)) });
    if !block.is_null() {
        // SAFETY: the block was just allocated with this layout.
        unsafe { dealloc(block, allocation(class)) };
    }
    !block.is_null()
}

const ALIGN: usize = 64;

/// What the bytes of a new buffer are in debug builds: NaN, or an index out of every range, so that a loop that reads what
/// it has not written shows in its result.
const POISON: u8 = 0xff;

/// What precedes the elements of a block. It fills one cache line, so that elements are aligned to one.
#[repr(C, align(64))]
struct Header {
    references: AtomicUsize,
    class: usize,
    next: *mut Header,
}

/// The smallest class of blocks that has room for `bytes`. Four classes per doubling from 64 bytes: at most a fifth is unused.
#[inline]
fn class_of(bytes: usize) -> Option<usize> {
    if bytes > LARGEST {
        return None;
    }
    let below = bytes.max(64) - 1;
    let log = below.ilog2() as usize;
    Some(4 * log + (below >> (log - 2)) - 27)
}

/// How many bytes of elements a block of `class` has room for.
#[inline]
fn room(class: usize) -> usize {
    (4 + class % 4) << (class / 4 + 4)
}

const LARGEST: usize = 1 << 62;
const CLASSES: usize = 225;

fn allocation(class: usize) -> Layout {
    let layout = Layout::from_size_align(size_of::<Header>() + room(class), ALIGN);
    layout.expect("the largest class is 2⁶² bytes")
}

fn allocate(class: usize) -> Option<NonNull<Header>> {
    let layout = allocation(class);
    // SAFETY: the layout has room for a header.
    let block = unsafe { alloc_zeroed(layout) }.cast::<Header>();
    let block = NonNull::new(block)?;
    // SAFETY: freshly allocated with the header's alignment and room.
    unsafe { block.write(Header { references: AtomicUsize::new(1), class, next: ptr::null_mut() }) };
    Some(block)
}

/// # Safety
/// `block` comes from `allocate` and nobody uses it any more.
unsafe fn free(block: NonNull<Header>) {
    // SAFETY: by the contract the block is alive until here and was allocated with the layout of its class.
    unsafe { dealloc(block.as_ptr().cast(), allocation(block.as_ref().class)) };
}

#[inline]
fn take(bytes: usize) -> Option<NonNull<Header>> {
    let class = class_of(bytes)?;
    match POOL.try_with(|pool| pool.pop(class)) {
        Ok(Some(block)) => {
            // SAFETY: a block in the pool has no handle; this makes the first one.
            unsafe { (*block.as_ptr()).references = AtomicUsize::new(1) };
            Some(block)
        }
        _ => grow(class),
    }
}

#[cold]
fn grow(class: usize) -> Option<NonNull<Header>> {
    // Without a pool (the thread is ending) there is nothing to count.
    let _ = POOL.try_with(|pool| pool.make_way(class));
    let block = allocate(class)?;
    let _ = POOL.try_with(|pool| pool.grown.set(pool.grown.get() + room(class)));
    Some(block)
}

#[inline]
fn give(block: NonNull<Header>) {
    if !POOL.try_with(|pool| pool.push(block)).unwrap_or(false) {
        // SAFETY: the last handle is being dropped and the pool did not keep the block.
        unsafe { free(block) };
    }
}

/// Gives the memory that this thread keeps for future tensors back to the system.
///
/// Tensors take their memory from blocks that dropped tensors of the thread left behind. That makes a repeated computation
/// free of system allocations, at the price of holding what its largest moment needed. Call this after such a moment.
///
/// ```
/// drop(autograd::Tensor::<f32>::zeros([1000, 1000]));
/// autograd::release_memory();
/// ```
pub fn release_memory() {
    let _ = POOL.try_with(Pool::release);
}

thread_local! {
    static POOL: Pool = const { Pool::new() };
}

/// Free blocks of one thread, a list per class linked through the headers.
///
/// Without traffic between threads the lists hold at most what the thread once used at the same time. Two rules keep them from
/// growing past that: a fresh block is paid for by freeing others while more than `SLACK` is cached, and blocks that other
/// threads allocated are kept up to `SLACK` only.
struct Pool {
    heads: [Cell<*mut Header>; CLASSES],
    /// Bytes in the lists.
    cached: Cell<usize>,
    /// Bytes this thread took from the system and did not give back.
    grown: Cell<usize>,
}

const SLACK: usize = 64 << 20;

impl Pool {
    const fn new() -> Self {
        Self { heads: [const { Cell::new(ptr::null_mut()) }; CLASSES], cached: Cell::new(0), grown: Cell::new(0) }
    }

    #[inline]
    fn pop(&self, class: usize) -> Option<NonNull<Header>> {
        let block = NonNull::new(self.heads[class].get())?;
        // SAFETY: blocks in the lists are alive and belong to this thread's pool.
        self.heads[class].set(unsafe { block.as_ref().next });
        self.cached.set(self.cached.get() - room(class));
        Some(block)
    }

    /// Keeps a block that has no handle any more, or declines it.
    #[inline]
    fn push(&self, block: NonNull<Header>) -> bool {
        // SAFETY: the block is alive and has no handle, so the pool may read and link its header.
        let header = unsafe { &mut *block.as_ptr() };
        let cached = self.cached.get() + room(header.class);
        if cached > self.grown.get() + SLACK {
            return false;
        }
        header.next = self.heads[header.class].replace(block.as_ptr());
        self.cached.set(cached);
        true
    }

    /// Frees as many bytes as a fresh block of `class` will take, while the lists hold much: the computation has changed,
    /// and its old blocks would not be asked for again.
    fn make_way(&self, class: usize) {
        let mut owed = room(class);
        while owed > 0 && self.cached.get() > SLACK {
            let Some(block) = (class..CLASSES).chain((0..class).rev()).find_map(|class| self.pop(class)) else {
                return;
            };
            owed = owed.saturating_sub(self.discard(block));
        }
    }

    fn release(&self) {
        for class in 0..CLASSES {
            while let Some(block) = self.pop(class) {
                self.discard(block);
            }
        }
    }

    /// Frees a block that was popped and says how many bytes it had.
    fn discard(&self, block: NonNull<Header>) -> usize {
        // SAFETY: a popped block is alive, in no list and without handles.
        let bytes = room(unsafe { block.as_ref().class });
        self.grown.set(self.grown.get().saturating_sub(bytes));
        // SAFETY: as above.
        unsafe { free(block) };
        bytes
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.release();
    }
}

const _: () = assert!(mem::size_of::<Header>() == ALIGN);

#[cfg(test)]
mod tests {
    use super::*;

    fn cached() -> usize {
        POOL.with(|pool| pool.cached.get())
    }

    #[test]
    fn classes_are_the_smallest_with_room() {
        for bytes in (0..5000).chain([1 << 20, (1 << 20) + 1, LARGEST - 1, LARGEST]) {
            let class = class_of(bytes).unwrap();
            assert!(room(class) >= bytes, "{bytes}");
            assert!(class == 0 || room(class - 1) < bytes, "{bytes}");
        }
        assert_eq!(class_of(LARGEST), Some(CLASSES - 1));
        assert_eq!(class_of(LARGEST + 1), None);
    }

    #[test]
    fn the_last_handle_gives_the_block_back_and_the_next_buffer_takes_it() {
        release_memory();
        let mut first = Buffer::<f32>::scratch(100);
        first.get_mut().unwrap().fill(7.0);
        let address = first.as_slice().as_ptr();
        let second = first.clone();
        assert!(first.get_mut().is_none());
        drop(first);
        assert_eq!((cached(), second.as_slice()), (0, &[7.0; 100][..]));
        drop(second);
        assert_eq!(cached(), 448);
        let third = Buffer::<f64>::scratch(51);
        assert_eq!((third.as_slice().as_ptr().cast(), cached()), (address, 0));
    }

    #[test]
    fn what_memory_has_no_room_for_is_refused() {
        release_memory();
        assert!([0, 100, 1 << 24].into_iter().all(Buffer::<f64>::has_room));
        for len in [1 << 50, LARGEST / 8, LARGEST, usize::MAX] {
            assert!(Buffer::<f64>::new(len).is_none() && !Buffer::<f64>::has_room(len), "{len}");
        }
        assert_eq!((cached(), POOL.with(|pool| pool.grown.get())), (0, 0));
    }

    /// The most bytes of memory that the process has had at once, where the system tells.
    fn peak() -> Option<usize> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? << 10)
    }

    #[test]
    fn asking_for_room_takes_none() {
        let Some(before) = peak() else { return };
        let rooms = [1 << 32, 1 << 33, 1 << 34].map(has_room);
        assert!(peak().is_some_and(|after| after < before + (1 << 31)), "{rooms:?} {before} {:?}", peak());
    }

    #[test]
    fn masks_never_see_old_bytes() {
        Buffer::<usize>::scratch(8).get_mut().unwrap().fill(usize::MAX);
        assert_eq!(Buffer::<bool>::scratch(64).as_slice(), [true; 64]);
    }

    #[test]
    #[cfg(debug_assertions)]
    fn what_is_read_before_it_is_written_is_no_number() {
        for _ in 0..2 {
            let (mut x, mut index) = (Buffer::<f64>::scratch(9), Buffer::<usize>::scratch(9));
            assert!(x.as_slice().iter().all(|x| x.is_nan()) && index.as_slice() == [usize::MAX; 9]);
            x.get_mut().unwrap().fill(1.0);
            index.get_mut().unwrap().fill(1);
        }
    }

    #[test]
    fn release_empties_the_lists() {
        drop([0, 1, 1000, 100_000].map(Buffer::<f32>::scratch));
        assert!(cached() > 400_000);
        release_memory();
        assert_eq!((cached(), POOL.with(|pool| pool.grown.get())), (0, 0));
    }

    #[test]
    fn foreign_blocks_are_kept_up_to_the_slack() {
        release_memory();
        let megabytes = |n: usize| (0..n).map(|_| Buffer::<f32>::scratch(1 << 18)).collect::<Vec<_>>();
        drop(std::thread::spawn(move || megabytes(80)).join().unwrap());
        assert_eq!(cached(), SLACK);
        release_memory();
        drop(megabytes(80));
        assert_eq!(cached(), 80 << 20);
        release_memory();
    }

    #[test]
    fn a_fresh_block_is_paid_for_by_old_ones() {
        release_memory();
        drop((0..100).map(|_| Buffer::<f32>::scratch(1 << 18)).collect::<Vec<_>>());
        let large = Buffer::<f32>::scratch(10 << 18);
        assert_eq!(cached(), 90 << 20);
        drop(large);
        release_memory();
    }

    #[test]
    fn buffers_outlive_the_pool_of_an_ending_thread() {
        thread_local! {
            static LATE: Cell<Option<Buffer<f32>>> = const { Cell::new(None) };
        }
        let run = || {
            LATE.set(Some(Buffer::scratch(10)));
            drop(Buffer::<f32>::scratch(10));
        };
        std::thread::spawn(run).join().unwrap();
    }

    #[test]
    fn handles_cross_threads() {
        let mut buffer = Buffer::<usize>::scratch(1000);
        buffer.get_mut().unwrap().iter_mut().enumerate().for_each(|(i, x)| *x = i);
        let sums = [(); 4].map(|()| {
            let buffer = buffer.clone();
            std::thread::spawn(move || buffer.clone().as_slice().iter().sum::<usize>())
        });
        assert!(sums.into_iter().all(|sum| sum.join().unwrap() == 499_500));
        assert!(buffer.is_unique());
    }
}
