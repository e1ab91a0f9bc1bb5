//! Recurrent networks: a whole sequence is one operation, and so is its adjoint.

mod cell;
mod sequence;

use smallvec::SmallVec;

use super::Op;
use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel::recurrent::Cell;
use crate::ops::cat::stack;
use crate::ops::custom::Handles;
use crate::shape::Shape;
use crate::var::Var;

pub use cell::RnnActivation;
pub(crate) use sequence::{Gru, GruAdjoint, Lstm, LstmAdjoint, Recurrent, Rnn, RnnAdjoint, WithinLengths};

/// What a recurrent network multiplies with, of H states and G gates in PyTorch's order: i, f, g, o of an LSTM (G = 4); r, z,
/// n of a GRU (G = 3).
#[derive(Debug, Clone, Copy)]
pub struct RecurrentWeights<'t, T: Float = f32> {
    /// `[G·H, inputs]`, for the input.
    pub input: Var<'t, T>,
    /// `[G·H, H]`, for the hidden state.
    pub hidden: Var<'t, T>,
    /// `[G·H]` each, for the input and for the hidden state.
    pub bias: Option<[Var<'t, T>; 2]>,
}

/// How a recurrent network goes through a sequence.
///
/// ```
/// use autograd::{RecurrentOptions, Tape};
///
/// let tape = Tape::<f32>::new();
/// let padded = RecurrentOptions { lengths: Some(tape.indices([5, 3])), ..RecurrentOptions::default() };
/// assert!(!padded.reverse);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct RecurrentOptions<'t, T: Float = f32> {
    /// From the last step to the first.
    pub reverse: bool,
    /// How many steps each sample has: `[batch]`, from one to all. Behind them the output is 0, and the state stays.
    pub lengths: Option<Indices<'t, T>>,
}

/// # Recurrent networks
impl<'t, T: Float> Var<'t, T> {
    /// A long short-term memory over a whole sequence: the hidden state h after every step, and the last h and c.
    ///
    /// With the gates `i, f, o = σ(…)` and `g = tanh(…)` of `x[t]·Wᵀ + b + h·Uᵀ + b′`, where W and U are the weights of input and
    /// hidden state: `c ← f·c + i·g`, `h ← o·tanh c`. Without a state, h and c start with zeros.
    ///
    /// Derivative: back through time, in one operation for all steps; any order.
    /// Shapes: `[steps, batch, inputs]`, states `[batch, H]` → `[steps, batch, H]` and states `[batch, H]`.
    ///
    /// # Errors
    /// A sequence without steps; weights, states or lengths of other shapes; a length that is zero or more than the steps.
    ///
    /// ```
    /// use autograd::{RecurrentOptions, RecurrentWeights, Tape, Tensor};
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.constant(Tensor::ones([5, 2, 3]));
    /// let weights = RecurrentWeights {
    ///     input: tape.var(Tensor::full([16, 3], 0.1)),
    ///     hidden: tape.var(Tensor::full([16, 4], 0.1)),
    ///     bias: None,
    /// };
    /// let (y, [h, _c]) = x.lstm(&weights, None, &RecurrentOptions::default());
    /// assert_eq!(y.shape(), [5, 2, 4].into());
    /// assert_eq!(y.index_axis(0, 4).value()?, h.value()?);
    /// let gradients = h.sum().backward()?;
    /// assert_eq!(gradients.of(weights.hidden)?.shape(), &[16, 4].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Reference: S. Hochreiter, J. Schmidhuber, Long short-term memory, Neural Computation 9 (1997), with the forget gate of
    /// F. A. Gers, J. Schmidhuber, F. Cummins, Learning to forget, Neural Computation 12 (2000).
    #[track_caller]
    pub fn lstm(
        self,
        weights: &RecurrentWeights<'t, T>,
        state: Option<[Self; 2]>,
        options: &RecurrentOptions<'t, T>,
    ) -> (Self, [Self; 2]) {
        self.recurrent(cell::Lstm, weights, state, options)
    }

    /// Gated recurrent units over a whole sequence: the hidden state h after every step, and the last one.
    ///
    /// With W and U the weights of input and hidden state, `p = x[t]·Wᵀ + b` and `q = h·Uᵀ + b′`, both in parts for r, z and n:
    /// `r, z = σ(p + q)`, `n = tanh(p + r·q)`, `h ← (1 − z)·n + z·h`. Without a state, h starts with zeros. The reset
    /// gate r comes after the product, as in PyTorch.
    ///
    /// Derivative: back through time, in one operation for all steps; any order.
    /// Shapes: `[steps, batch, inputs]`, state `[batch, H]` → `[steps, batch, H]` and `[batch, H]`.
    ///
    /// ```
    /// use autograd::{RecurrentOptions, RecurrentWeights, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::<f64>::ones([5, 2, 3]));
    /// let weights = RecurrentWeights {
    ///     input: tape.var(Tensor::full([12, 3], 0.1)),
    ///     hidden: tape.var(Tensor::full([12, 4], 0.1)),
    ///     bias: None,
    /// };
    /// let (y, h) = x.gru(&weights, None, &RecurrentOptions::default());
    /// assert_eq!(y.shape(), [5, 2, 4].into());
    /// assert_eq!(y.index_axis(0, 4).value()?, h.value()?);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As of [`lstm`](Self::lstm).
    ///
    /// Reference: K. Cho et al., Learning phrase representations using RNN encoder–decoder, arXiv:1406.1078.
    #[track_caller]
    pub fn gru(
        self,
        weights: &RecurrentWeights<'t, T>,
        state: Option<Self>,
        options: &RecurrentOptions<'t, T>,
    ) -> (Self, Self) {
        let (y, [h]) = self.recurrent(cell::Gru, weights, state.map(|h| [h]), options);
        (y, h)
    }

    /// A plain recurrent network over a whole sequence: the hidden state after every step, and the last one.
    ///
    /// `h ← φ(x[t]·Wᵀ + b + h·Uᵀ + b′)`, where φ is the activation, and W and U are the weights of input and hidden state.
    /// Without a state, h starts with zeros.
    ///
    /// Derivative: back through time, in one operation for all steps; any order.
    /// Shapes: `[steps, batch, inputs]`, state `[batch, H]` → `[steps, batch, H]` and `[batch, H]`.
    ///
    /// ```
    /// use autograd::{RecurrentOptions, RecurrentWeights, RnnActivation, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::<f64>::ones([5, 2, 3]));
    /// let weights = RecurrentWeights {
    ///     input: tape.var(Tensor::full([4, 3], 0.1)),
    ///     hidden: tape.var(Tensor::full([4, 4], 0.1)),
    ///     bias: None,
    /// };
    /// let (y, h) = x.rnn(&weights, None, RnnActivation::Tanh, &RecurrentOptions::default());
    /// assert_eq!(y.shape(), [5, 2, 4].into());
    /// assert_eq!(y.index_axis(0, 4).value()?, h.value()?);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As of [`lstm`](Self::lstm).
    ///
    /// Reference: J. L. Elman, Finding structure in time, Cognitive Science 14 (1990).
    #[track_caller]
    pub fn rnn(
        self,
        weights: &RecurrentWeights<'t, T>,
        state: Option<Self>,
        activation: RnnActivation,
        options: &RecurrentOptions<'t, T>,
    ) -> (Self, Self) {
        let (y, [h]) = self.recurrent(activation, weights, state.map(|h| [h]), options);
        (y, h)
    }

    #[track_caller]
    fn recurrent<C: Cell<G, K, S>, const G: usize, const K: usize, const S: usize>(
        self,
        cell: C,
        weights: &RecurrentWeights<'t, T>,
        states: Option<[Self; S]>,
        options: &RecurrentOptions<'t, T>,
    ) -> (Self, [Self; S])
    where
        Op: From<Recurrent<C, G, K, S>>,
    {
        let shape = self.shape();
        let lengths: SmallVec<[Indices<'t, T>; 1]> = options.lengths.into_iter().collect();
        if let Err(kind) = check::<G, T>(&shape, weights, states.iter().flatten(), &lengths) {
            let operands = [weights.input, weights.hidden].into_iter().chain(weights.bias.into_iter().flatten());
            let failed = operands.chain(states.into_iter().flatten()).fold(self, Self::and);
            let failed =
                lengths.iter().fold(failed, |failed, &lengths| failed.and_indices(lengths)).fail(C::NAME, kind);
            return (failed, [failed; S]);
        }
        let (steps, batch, width) = (shape[0], shape[1], weights.hidden.size(1));
        let biases = match weights.bias {
            Some([input, hidden]) if C::SEPARATE => [Some(input), Some(hidden)],
            Some([input, hidden]) => [Some(input + hidden), None],
            None => [None, None],
        };
        let states = match states {
            Some(states) => stack(&states, 0),
            None => self.tape().filled([S, batch, width], T::ZERO),
        };
        let others: Handles<'t, T> =
            [states, weights.input, weights.hidden].into_iter().chain(biases.into_iter().flatten()).collect();
        let x = match lengths.is_empty() {
            true => self,
            false => self.record_with(WithinLengths, &[], &lengths),
        };
        let all = x.record_with(Recurrent::new(cell, options.reverse), &others, &lengths);
        let mut last = [all; S];
        if all.is_failed() {
            return (all, last);
        }
        for (state, place) in last.iter_mut().zip(steps..) {
            *state = all.index_axis(0, place);
        }
        (all.slice(0, ..steps), last)
    }
}

fn check<'v, 't: 'v, const G: usize, T: Float + 'v>(
    x: &Shape,
    weights: &RecurrentWeights<'t, T>,
    mut states: impl Iterator<Item = &'v Var<'t, T>>,
    lengths: &[Indices<'t, T>],
) -> Result<(), ErrorKind> {
    let &[steps, batch, inputs] = &x[..] else {
        return Err(ErrorKind::Rank { what: "the input", expected: 3, found: x.clone() });
    };
    if steps == 0 {
        return Err(ErrorKind::Argument {
            name: "the input",
            must: "a sequence of at least one step",
            found: x.to_string(),
        });
    }
    let hidden = weights.hidden.shape();
    let &[_, width] = &hidden[..] else {
        return Err(ErrorKind::Rank { what: "the weight of the hidden state", expected: 2, found: hidden });
    };
    hidden.must_be("the weight of the hidden state", &[G * width, width])?;
    let input = weights.input.shape();
    match input[..] {
        [rows, takes] if rows == G * width => x.must_be("the input", &[steps, batch, takes])?,
        _ => input.must_be("the weight of the input", &[G * width, inputs])?,
    }
    for (bias, what) in weights.bias.iter().flatten().zip(["the bias of the input", "the bias of the hidden state"]) {
        bias.shape().must_be(what, &[G * width])?;
    }
    states.try_for_each(|state| state.shape().must_be("a state", &[batch, width]))?;
    lengths.iter().try_for_each(|lengths| lengths.shape().must_be("the lengths", &[batch]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::assert_same_bits;
    use crate::ops::cat::cat;
    use crate::tape::Tape;
    use crate::tensor::Tensor;
    use crate::testing::{assert_gradient, failure, sample};
    use crate::{Check, check::DerivativeOrder};

    const SIZES: [usize; 4] = [3, 2, 1, 2];

    /// Input, both weights, both biases, and two states, for G gates.
    fn operands([steps, batch, inputs, width]: [usize; 4], gates: usize) -> Vec<Tensor<f64>> {
        let rows = gates * width;
        let shapes: [&[usize]; 7] = [
            &[steps, batch, inputs],
            &[rows, inputs],
            &[rows, width],
            &[rows],
            &[rows],
            &[batch, width],
            &[batch, width],
        ];
        shapes.iter().zip(1..).map(|(shape, seed)| sample(shape, seed)).collect()
    }

    fn weights<'t>(x: &[Var<'t, f64>]) -> RecurrentWeights<'t, f64> {
        RecurrentWeights { input: x[1], hidden: x[2], bias: Some([x[3], x[4]]) }
    }

    /// Both directions, each with and without lengths.
    const WAYS: [(bool, Option<[usize; 2]>); 4] =
        [(false, None), (true, None), (false, Some([1, 3])), (true, Some([1, 3]))];

    fn options<'t>(tape: &'t Tape<f64>, (reverse, lengths): (bool, Option<[usize; 2]>)) -> RecurrentOptions<'t, f64> {
        RecurrentOptions { reverse, lengths: lengths.map(|lengths| tape.indices(lengths)) }
    }

    type Network = for<'t> fn(&[Var<'t, f64>], &RecurrentOptions<'t, f64>) -> Var<'t, f64>;

    /// Every network with its number of gates, as one tensor of all that it computes.
    fn networks() -> [(usize, Network); 4] {
        fn join<'t>(y: Var<'t, f64>, states: &[Var<'t, f64>]) -> Var<'t, f64> {
            cat(&[y, stack(states, 0)], 0)
        }
        [
            (4, |x, options| {
                let (y, states) = x[0].lstm(&weights(x), Some([x[5], x[6]]), options);
                join(y, &states)
            }),
            (3, |x, options| {
                let (y, h) = x[0].gru(&weights(x), Some(x[5]), options);
                join(y, &[h])
            }),
            (1, |x, options| {
                let (y, h) = x[0].rnn(&weights(x), Some(x[5]), RnnActivation::Tanh, options);
                join(y, &[h])
            }),
            (1, |x, options| {
                let (y, h) = x[0].rnn(&weights(x), Some(x[5]), RnnActivation::Relu, options);
                join(y, &[h])
            }),
        ]
    }

    #[test]
    fn all_have_their_derivatives_in_both_directions_and_with_lengths() {
        for (gates, network) in networks() {
            for way in WAYS {
                assert_gradient(|x| network(x, &options(x[0].tape(), way)), &operands(SIZES, gates));
            }
        }
    }

    #[test]
    fn biases_and_states_may_be_left_out() {
        fn without<'t>(x: &[Var<'t, f64>]) -> RecurrentWeights<'t, f64> {
            RecurrentWeights { bias: None, ..weights(x) }
        }
        assert_gradient(|x| x[0].lstm(&without(x), None, &RecurrentOptions::default()).1[1], &operands(SIZES, 4));
        assert_gradient(|x| x[0].gru(&without(x), None, &RecurrentOptions::default()).0, &operands(SIZES, 3));
        assert_gradient(
            |x| x[0].rnn(&without(x), None, RnnActivation::Tanh, &RecurrentOptions::default()).0,
            &operands(SIZES, 1),
        );
    }

    /// Widths around the length of a block, batches that are cut, several stretches of steps, no inputs, sums in another order.
    #[test]
    fn sequences_are_their_steps() {
        fn compare<C, const G: usize, const K: usize, const S: usize>(cell: C)
        where
            C: Cell<G, K, S>,
            Op: From<Recurrent<C, G, K, S>>,
        {
            for [steps, batch, inputs, width] in [[1, 1, 1, 1], [4, 3, 0, 5], [2, 33, 40, 70], [20, 17, 2, 3]] {
                let op = Recurrent::new(cell, batch % 2 == 0);
                let tape = Tape::new();
                let lengths = &[tape.indices((0..batch).map(|sample| 1 + sample % steps).collect::<Tensor<usize>>())];
                let gates = G * width;
                let shapes: [&[usize]; 6] = [
                    &[steps, batch, inputs],
                    &[S, batch, width],
                    &[gates, inputs],
                    &[gates, width],
                    &[gates],
                    &[gates],
                ];
                let x: Vec<_> = shapes.iter().zip(1..).map(|(shape, seed)| tape.var(sample(shape, seed))).collect();
                let x = &x[..if C::SEPARATE { 6 } else { 5 }];
                let (fused, composed) = (x[0].record_with(op.clone(), &x[1..], lengths), op.composed(x, lengths));
                fused.value().unwrap().close_to(&composed.value().unwrap(), 1e-13, 1e-13).unwrap();
                let g = sample(&fused.shape(), 9);
                let [fused, composed] = [fused, composed].map(|y| y.vjp(g.clone()).unwrap());
                for &x in x {
                    fused.of(x).unwrap().close_to(&composed.of(x).unwrap(), 1e-11, 1e-11).unwrap();
                }
            }
        }
        compare(cell::Lstm);
        compare(cell::Gru);
        compare(RnnActivation::Tanh);
        compare(RnnActivation::Relu);
    }

    #[test]
    fn samples_end_with_their_length() {
        let x = operands(SIZES, 4);
        let tape = Tape::new();
        let options = options(&tape, (false, Some([1, 3])));
        let handles: Vec<_> = x.iter().map(|x| tape.constant(x.clone())).collect();
        let (y, states) = handles[0].lstm(&weights(&handles), Some([handles[5], handles[6]]), &options);
        assert_eq!(y.slice(0, 1..).slice(1, ..1).value().unwrap().to_vec(), [0.0; 4]);
        let whole = RecurrentOptions { lengths: None, ..options };
        let (_, alone) = handles[0].slice(0, ..1).lstm(&weights(&handles), Some([handles[5], handles[6]]), &whole);
        for (state, alone) in states.iter().zip(alone) {
            assert_eq!(state.index_axis(0, 0).value().unwrap(), alone.index_axis(0, 0).value().unwrap());
        }
    }

    /// Where nothing is kept on the tape the adjoint runs the sequence again, and where one handle is two operands each
    /// use counts.
    #[test]
    fn recorded_gradients_check_out_to_second_order() {
        for (gates, network) in networks() {
            let tape = Tape::new();
            let mut x: Vec<_> = operands([2, 1, 1, 2], gates).into_iter().map(|x| tape.var(x)).collect();
            x[6] = x[5];
            let y = network(&x, &RecurrentOptions::default());
            y.square().sum().grad(x[2]).value().unwrap();
            let report = tape.check_with(&Check { order: DerivativeOrder::Second, ..Check::default() });
            assert!(report.is_ok(), "{report}");
        }
    }

    #[test]
    fn third_derivatives_are_right() {
        // One step of a plain network with one number is tanh, with third derivative (1 − y²)(6y² − 2).
        let tape = Tape::new();
        let x = tape.var([[[0.7_f64]]]);
        let one = tape.constant([[1.0]]);
        let weights = RecurrentWeights { input: one, hidden: one, bias: None };
        let mut y = x.rnn(&weights, None, RnnActivation::Tanh, &RecurrentOptions::default()).0.sum();
        let value = y.value().unwrap();
        for _ in 0..3 {
            y = y.grad(x).sum();
        }
        let square = value * value;
        assert!((y.value().unwrap() - (1.0 - square) * (6.0 * square - 2.0)).abs() < 1e-14);
    }

    #[test]
    fn tangents_are_those_of_the_steps() {
        let tape = Tape::new();
        let x: Vec<_> = operands(SIZES, 4).into_iter().map(|x| tape.var(x)).collect();
        let y = networks()[0].1(&x, &RecurrentOptions::default());
        let (dx, g) = (sample(&x[2].shape(), 20), sample(&y.shape(), 21));
        let forward: f64 = y.jvp(x[2], dx.clone()).unwrap().iter().zip(&g).map(|(a, b)| a * b).sum();
        let reverse: f64 = y.vjp(g).unwrap().of(x[2]).unwrap().iter().zip(&dx).map(|(a, b)| a * b).sum();
        assert!((forward - reverse).abs() < 1e-12, "{forward} {reverse}");
    }

    #[test]
    fn threads_change_no_bit() {
        let x = operands([5, 50, 20, 96], 4);
        assert_same_bits(|| {
            let tape = Tape::new();
            let x: Vec<_> = x.iter().map(|x| tape.var(x.cast::<f32>())).collect();
            let weights = RecurrentWeights { input: x[1], hidden: x[2], bias: Some([x[3], x[4]]) };
            let (y, _) = x[0].lstm(&weights, Some([x[5], x[6]]), &RecurrentOptions::default());
            let gradients = y.sum().backward().unwrap();
            x.iter().flat_map(|&x| gradients.of(x).unwrap().to_vec()).collect()
        });
    }

    #[test]
    fn empty_batches_have_empty_outputs_and_gradients_of_zero() {
        let tape = Tape::new();
        let x: Vec<_> = operands([3, 0, 2, 3], 3).into_iter().map(|x| tape.var(x)).collect();
        let (y, h) = x[0].gru(&weights(&x), Some(x[5]), &RecurrentOptions::default());
        assert_eq!((y.shape(), h.shape()), ([3, 0, 3].into(), [0, 3].into()));
        let gradients = y.sum().backward().unwrap();
        assert!(x[1..5].iter().all(|&x| gradients.of(x).unwrap().iter().all(|g| g == 0.0)));
    }

    #[test]
    fn wrong_shapes_are_named() {
        let lstm = |shapes: [&[usize]; 7]| {
            failure(&shapes, |x| x[0].lstm(&weights(x), Some([x[5], x[6]]), &RecurrentOptions::default()).1[1])
        };
        let right: [&[usize]; 7] = [&[3, 2, 2], &[12, 2], &[12, 3], &[12], &[12], &[2, 3], &[2, 3]];
        let cases: [(usize, &[usize], &str); 11] = [
            (0, &[3, 2], "lstm: the input must have rank 3, found shape [3, 2]"),
            (0, &[0, 2, 2], "lstm: the input must be a sequence of at least one step, found [0, 2, 2]"),
            (0, &[3, 2, 5], "lstm: the input must have shape [3, 2, 2], found [3, 2, 5]"),
            (1, &[12], "lstm: the weight of the input must have shape [12, 2], found [12]"),
            (1, &[9, 2], "lstm: the weight of the input must have shape [12, 2], found [9, 2]"),
            (2, &[12], "lstm: the weight of the hidden state must have rank 2, found shape [12]"),
            (2, &[9, 3], "lstm: the weight of the hidden state must have shape [12, 3], found [9, 3]"),
            (3, &[3], "lstm: the bias of the input must have shape [12], found [3]"),
            (4, &[3], "lstm: the bias of the hidden state must have shape [12], found [3]"),
            (5, &[3], "lstm: a state must have shape [2, 3], found [3]"),
            (6, &[1, 3], "lstm: a state must have shape [2, 3], found [1, 3]"),
        ];
        for (operand, shape, expected) in cases {
            let mut shapes = right;
            shapes[operand] = shape;
            assert_eq!(lstm(shapes), expected);
        }
        let gru = |lengths: &[usize]| {
            let shapes: [&[usize]; 7] = [&[3, 2, 2], &[9, 2], &[9, 3], &[9], &[9], &[2, 3], &[2, 3]];
            failure(&shapes, |x| {
                let lengths = Some(x[0].tape().indices(lengths));
                x[0].gru(&weights(x), None, &RecurrentOptions { lengths, reverse: false }).0
            })
        };
        assert_eq!(gru(&[1]), "gru: the lengths must have shape [2], found [1]");
        assert_eq!(gru(&[0, 1]), "gru: a length must be between 1 and the number of steps, found 0");
        assert_eq!(gru(&[3, 4]), "gru: a length must be between 1 and the number of steps, found 4");
    }
}
