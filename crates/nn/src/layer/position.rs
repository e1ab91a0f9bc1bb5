//! Positions in a sequence, which attention does not see by itself.

use autograd::{ErrorKind, Float, Param, Shape, Tensor, Var};
use rand::Rng;

use super::layer;
use crate::init;

/// How slow the slowest wave is: its length is 2π times this.
const SLOWEST: f64 = 10_000.0;

/// The angle of position `position` for the pair `pair` of `width` elements: position/10000^(2·pair/width).
fn angle(position: usize, pair: usize, width: usize) -> f64 {
    position as f64 / SLOWEST.powf(2.0 * pair as f64 / width as f64)
}

/// Adds waves to a sequence: element 2i of position p gets sin(p/10000^(2i/width)), element 2i + 1 the cosine of the same.
/// Nothing is learned, and any length has positions.
///
/// # Shapes
/// `[.., length, width]`, unchanged.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::SinusoidalPositions;
///
/// let tape = Tape::new();
/// let y = SinusoidalPositions.forward(tape.constant(Tensor::<f64>::zeros([2, 4])));
/// assert_eq!(y.value()?.to_vec()[..5], [0.0, 1.0, 0.0, 1.0, 1_f64.sin()]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Vaswani et al., *Attention is all you need*, NeurIPS 2017.
#[derive(Debug, Clone, Copy, Default, PartialEq, autograd_derive::Module)]
pub struct SinusoidalPositions;

impl SinusoidalPositions {
    /// x with its positions.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let [length, width] = match sequence(x, "sinusoidal_positions") {
            Ok(sizes) => sizes,
            Err(failed) => return failed,
        };
        let wave = |i: &[usize]| {
            let angle = angle(i[0], i[1] / 2, width);
            T::from_f64(if i[1].is_multiple_of(2) { angle.sin() } else { angle.cos() })
        };
        x + x.tape().constant(Tensor::from_fn([length, width], wave))
    }
}

layer!(SinusoidalPositions);

/// Adds a learned vector to each position of a sequence; starts, as PyTorch's `Embedding`, with the standard normal
/// distribution, and has its name too.
///
/// # Shapes
/// `[.., length, width]`, unchanged; `weight` is `[longest, width]`. A longer sequence is an error.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::LearnedPositions;
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let positions: LearnedPositions = LearnedPositions::new(128, 8, &mut StdRng::seed_from_u64(0));
/// let tape = Tape::new();
/// assert_eq!(positions.forward(tape.constant(Tensor::zeros([4, 10, 8]))).shape(), [4, 10, 8].into());
/// ```
#[derive(Debug, Clone, autograd_derive::Module)]
pub struct LearnedPositions<T: Float = f32> {
    /// The vector of each position.
    pub weight: Param<T>,
}

impl<T: Float> LearnedPositions<T> {
    /// Positions for sequences of at most `longest` vectors.
    pub fn new(longest: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self { weight: init::normal([longest, width], 0.0, 1.0, rng).into() }
    }

    /// x with its positions.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        match sequence(x, "learned_positions") {
            Ok([length, _]) => x + x.param(&self.weight).narrow(0, 0, length),
            Err(failed) => failed,
        }
    }
}

layer!(LearnedPositions<T>);

/// Turns queries or keys by their positions, so that their products depend on distances alone: elements 2i and 2i + 1 of
/// position p are a vector that is turned by p/10000^(2i/width).
///
/// # Shapes
/// `[.., length, width]`, unchanged. The width is even; after heads were told apart, it is the width of one.
///
/// ```
/// use autograd::Tape;
/// use nn::RotaryPositions;
///
/// let tape = Tape::new();
/// let x = tape.constant([[1.0_f64, 0.0], [1.0, 0.0]]);
/// let y = RotaryPositions.forward(x).value()?;
/// assert_eq!(y.to_vec(), [1.0, 0.0, 1_f64.cos(), 1_f64.sin()]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Su et al., *RoFormer: enhanced transformer with rotary position embedding*, 2021.
#[derive(Debug, Clone, Copy, Default, PartialEq, autograd_derive::Module)]
pub struct RotaryPositions;

impl RotaryPositions {
    /// x turned by its positions.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.forward_from(x, 0)
    }

    /// x turned by its positions, which start at `start`: for a sequence that is read piece by piece.
    #[track_caller]
    pub fn forward_from<'t, T: Float>(&self, x: Var<'t, T>, start: usize) -> Var<'t, T> {
        let [length, width] = match sequence(x, "rotary_positions") {
            Ok(sizes) => sizes,
            Err(failed) => return failed,
        };
        if !width.is_multiple_of(2) {
            let found = width.to_string();
            return x.fail("rotary_positions", ErrorKind::Argument { name: "the width", must: "even", found });
        }
        let table = |f: fn(f64) -> f64| {
            let turn = |i: &[usize]| T::from_f64(f(angle(start + i[0], i[1], width)));
            Tensor::from_fn([length, width / 2, 1], turn)
        };
        let (cos, sin) = (x.tape().constant(table(f64::cos)), x.tape().constant(table(f64::sin)));
        let shape = x.shape();
        let pairs = x.reshape(shape[..shape.rank() - 1].iter().copied().chain([width / 2, 2]).collect::<Shape>());
        let (a, b) = (pairs.narrow(-1, 0, 1), pairs.narrow(-1, 1, 1));
        autograd::cat(&[a * cos - b * sin, a * sin + b * cos], -1).reshape(shape)
    }
}

layer!(RotaryPositions);

/// Length and width of a sequence.
#[track_caller]
fn sequence<'t, T: Float>(x: Var<'t, T>, op: &'static str) -> Result<[usize; 2], Var<'t, T>> {
    let shape = x.shape();
    match shape[..] {
        [.., length, width] => Ok([length, width]),
        _ => Err(x.fail(op, ErrorKind::MinRank { what: "the sequence", least: 2, found: shape })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::Tape;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn waves_are_those_of_the_paper() {
        let tape = Tape::new();
        let y = SinusoidalPositions.forward(tape.constant(Tensor::<f64>::zeros([2, 3, 5]))).value().unwrap();
        assert_eq!(y.index_axis(0, 0).unwrap(), y.index_axis(0, 1).unwrap());
        let at = |position: usize, element: usize| y.get(&[0, position, element]).unwrap();
        assert_eq!(at(2, 2), (2.0 / 10_000_f64.powf(0.4)).sin());
        assert_eq!(at(2, 3), (2.0 / 10_000_f64.powf(0.4)).cos());
        assert_eq!(at(1, 4), (1.0 / 10_000_f64.powf(0.8)).sin());
    }

    #[test]
    fn products_of_turned_vectors_depend_on_distances_alone() {
        let rng = &mut StdRng::seed_from_u64(1);
        let tape = Tape::<f64>::new();
        let [q, k] = [0; 2].map(|_| tape.constant(Tensor::normal([1, 6], 0.0, 1.0, rng)));
        let product = |from: usize, to: usize| {
            let (q, k) = (RotaryPositions.forward_from(q, from), RotaryPositions.forward_from(k, to));
            q.matmul(k.t()).item().value().unwrap()
        };
        assert!((product(2, 7) - product(11, 16)).abs() < 1e-13);
        assert!((product(2, 7) - product(2, 8)).abs() > 1e-3);
        let x = tape.constant(Tensor::normal([2, 4, 6], 0.0, 1.0, rng));
        let [whole, rest] = [RotaryPositions.forward(x), RotaryPositions.forward_from(x.narrow(1, 1, 3), 1)];
        assert_eq!(whole.narrow(1, 1, 3).value().unwrap(), rest.value().unwrap());
    }

    #[test]
    fn sequences_without_a_position_are_errors() {
        let tape = Tape::<f32>::new();
        let text = |y: Var<'_, f32>| y.value().unwrap_err().to_string();
        let longest = LearnedPositions::new(3, 2, &mut StdRng::seed_from_u64(0));
        let x = text(longest.forward(tape.constant(Tensor::zeros([4, 2]))));
        assert!(x.starts_with("narrow: range 0..4") && x.contains("layer/position.rs"), "{x}");
        let tape = Tape::<f32>::new();
        let x = text(RotaryPositions.forward(tape.constant(Tensor::zeros([4, 3]))));
        assert!(x.starts_with("rotary_positions: the width must be even, found 3"), "{x}");
        let tape = Tape::<f32>::new();
        let x = text(SinusoidalPositions.forward(tape.constant(Tensor::zeros([4]))));
        assert!(x.starts_with("sinusoidal_positions: the sequence must have rank 2 or more, found shape [4]"), "{x}");
    }
}
