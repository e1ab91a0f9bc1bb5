//! Operands for the laws: shapes that broadcast, points away from kinks, the same elements under every kind of stride.

use crate::float::Float;
use crate::kernel::samples::Draws;
use crate::ops::elementwise::Elementwise;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// How far points stay from kinks: differences reach 0.05 along directions of at most 1.
const MARGIN: f64 = 0.12;

/// Combinations of shapes of the operands, with the shape they broadcast to.
pub(super) fn shapes(arity: usize) -> Vec<(Vec<Shape>, Shape)> {
    let mut all: Vec<Vec<Shape>> =
        [&[][..], &[3], &[2, 3], &[0, 3]].into_iter().map(|shape| vec![Shape::from(shape); arity]).collect();
    let broadcast: [[&[usize]; 3]; 4] =
        [[&[2, 3], &[3], &[2, 1]], [&[2, 1], &[1, 3], &[]], [&[], &[2, 3], &[3]], [&[3], &[0, 1], &[1, 1]]];
    if arity > 1 {
        all.extend(broadcast.map(|shapes| shapes[..arity].iter().map(|&shape| Shape::from(shape)).collect()));
    }
    let joined = |shapes: &[Shape]| shapes.iter().fold(Shape::default(), |all, shape| all.broadcast(shape).unwrap());
    all.into_iter().map(|shapes| (shapes.clone(), joined(&shapes))).collect()
}

/// Operands in the domain of the op, the first of them away from the kinks that the second makes.
pub(super) fn operands<T: Float>(op: Elementwise, shapes: &[Shape], draws: &mut Draws) -> Vec<Tensor<T>> {
    let facts = op.facts();
    let point = |k: usize, draws: &mut Draws| {
        let (low, high) = facts.domain.get(k).copied().unwrap_or((-2.0, 2.0));
        low + (high - low) * (0.5 + 0.5 * draws.number::<f64>())
    };
    let mut rest: Vec<Tensor<T>> =
        (1..shapes.len()).map(|k| Tensor::from_fn(&shapes[k], |_| T::from_f64(point(k, draws)))).collect();
    let seconds: Vec<f64> = rest.first().map_or(vec![0.0], |y| y.iter().map(T::to_f64).collect());
    let kinks: Vec<f64> = seconds.into_iter().flat_map(facts.kinks).collect();
    let first = Tensor::from_fn(&shapes[0], |_| {
        loop {
            let x = T::from_f64(point(0, draws));
            // An operand that is a mask must not be the number that means false.
            let is_clear =
                kinks.iter().all(|kink| (x.to_f64() - kink).abs() > MARGIN) && (shapes.len() < 3 || x != T::ZERO);
            if is_clear || kinks.len() > 40 {
                break x;
            }
        }
    });
    rest.insert(0, first);
    rest
}

/// The same elements, contiguous or with one of the strides that views have.
pub(super) fn layouts<T: Float>(x: &Tensor<T>, kind: usize) -> Tensor<T> {
    let rank = x.rank();
    if rank == 0 {
        return x.clone();
    }
    let last = rank as isize - 1;
    match kind % 4 {
        1 => {
            let reversed: Vec<isize> = (0..rank as isize).rev().collect();
            x.permute(&reversed[..]).unwrap().contiguous().permute(&reversed[..]).unwrap()
        }
        2 => {
            let mut wide: Vec<usize> = x.shape().to_vec();
            wide[rank - 1] *= 2;
            let spread = Tensor::from_fn(wide, |index| {
                let mut from = index.to_vec();
                from[rank - 1] /= 2;
                if index[rank - 1] % 2 == 0 { x.get(&from).unwrap() } else { T::NAN }
            });
            spread.slice_step(last, .., 2).unwrap()
        }
        3 => x.flip([last]).unwrap().contiguous().flip([last]).unwrap(),
        _ => x.clone(),
    }
}

/// Where a tensor of this shape is read when it is broadcast to a larger one that is read at `index`.
pub(super) fn index_in(shape: &Shape, index: &[usize]) -> Vec<usize> {
    let skip = index.len() - shape.rank();
    index[skip..].iter().zip(shape.iter()).map(|(&i, &size)| if size == 1 { 0 } else { i }).collect()
}

/// The element that meets index `index` of the result.
pub(super) fn at<T: Float>(x: &Tensor<T>, index: &[usize]) -> T {
    x.get(&index_in(x.shape(), index)).unwrap()
}
