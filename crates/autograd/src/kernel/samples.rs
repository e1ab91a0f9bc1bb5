//! Random views for the tests of the kernels: every kind of stride, with the elements read one by one for comparison.

use crate::float::{Element, Float};
use crate::shape::Shape;
use crate::tensor::View;
use crate::tensor::layout::Layout;

/// A generator that needs no more than to be different every time (splitmix64).
pub(crate) struct Draws(pub u64);

impl Draws {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [−1, 1).
    pub fn number<T: Float>(&mut self) -> T {
        T::from_f64((self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    pub fn numbers<T: Float>(&mut self, len: usize) -> Vec<T> {
        (0..len).map(|_| self.number()).collect()
    }
}

/// A buffer and a layout in it.
pub(crate) struct Sample<E> {
    pub data: Vec<E>,
    pub layout: Layout,
}

impl<E: Element> Sample<E> {
    pub fn contiguous(data: Vec<E>, shape: &[usize]) -> Self {
        Sample { data, layout: Layout::contiguous(Shape::from(shape)) }
    }

    pub fn view(&self) -> View<'_, E> {
        View { data: &self.data, layout: &self.layout }
    }

    pub fn at(&self, index: &[usize]) -> E {
        self.data[self.layout.position(index).unwrap()]
    }

    /// The elements in row-major order.
    pub fn elements(&self) -> Vec<E> {
        indices(&self.layout.shape).map(|index| self.at(&index)).collect()
    }
}

/// All indices of a shape in row-major order.
pub(crate) fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    let len = if shape.contains(&0) { 0 } else { shape.iter().product() };
    (0..len).map(move |mut k| {
        let mut index = vec![0; shape.len()];
        for (i, &size) in index.iter_mut().zip(&shape).rev() {
            (*i, k) = (k % size, k / size);
        }
        index
    })
}

/// Views of `shape`: contiguous behind an offset, axes stored in reverse, every axis flipped, every second element, and
/// broadcast along each axis in turn.
pub(crate) fn samples<T: Float>(shape: &[usize], seed: u64) -> Vec<Sample<T>> {
    let mut draws = Draws(seed);
    let shape = Shape::from(shape);
    let (rank, len) = (shape.rank(), shape.len());
    let plain = Layout::contiguous(shape.clone());
    let shifted = Layout { offset: 3, ..plain.clone() };
    let backwards: Vec<usize> = (0..rank).rev().collect();
    let permuted = Layout::contiguous(plain.permute(&backwards).shape).permute(&backwards);
    let flipped = (0..rank).fold(plain.clone(), |layout, axis| layout.flip(axis));
    let doubled: Shape = shape.iter().map(|size| 2 * size).collect();
    let stepped = (0..rank).fold(Layout::contiguous(doubled), |layout, axis| layout.slice(axis, 0, 2 * shape[axis], 2));
    let mut layouts = vec![shifted, permuted, flipped, stepped];
    for axis in 0..rank {
        layouts.push(Layout::contiguous(shape.with(axis, 1)).broadcast_to(&shape).unwrap());
    }
    let reach = len.max(1) << rank;
    layouts.into_iter().map(|layout| Sample { data: draws.numbers(reach + 3), layout }).collect()
}

/// Shapes of every rank up to four, with sizes zero, one, odd and beyond a block.
pub(crate) const SHAPES: &[&[usize]] = &[
    &[],
    &[0],
    &[1],
    &[7],
    &[1500],
    &[2, 3],
    &[3, 0],
    &[1, 9],
    &[65, 1],
    &[40, 33],
    &[3, 700],
    &[700, 3],
    &[4, 1, 5],
    &[5, 17, 12],
    &[2, 3, 4, 5],
];

/// Runs `f` where rayon has `threads` threads.
pub(crate) fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// Asserts that `f` gives the same bits with one thread and with several.
#[track_caller]
pub(crate) fn assert_same_bits<T: Float>(f: impl Fn() -> Vec<T> + Sync) {
    let bits = |threads| with_threads(threads, &f).into_iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>();
    let one = bits(1);
    for threads in [2, 3] {
        assert!(one == bits(threads), "one thread and {threads} threads differ");
    }
}

/// Asserts that two lists agree to `tolerance`, relative for large numbers; NaN equals NaN.
#[track_caller]
pub(crate) fn assert_close<T: Float>(found: &[T], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (k, (x, &y)) in found.iter().zip(expected).enumerate() {
        let x = x.to_f64();
        let close = x == y || (x - y).abs() <= tolerance * y.abs().max(1.0) || (x.is_nan() && y.is_nan());
        assert!(close, "at {k}: {x} but expected {y}");
    }
}
