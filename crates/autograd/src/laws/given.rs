//! Formulas of every op that takes what no derivative is taken of: indices, lengths, masks.

use std::ops::Range;

use super::cases::spread;
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel::samples::Draws;
use crate::mask::Mask;
use crate::ops::attention::AttentionOptions;
use crate::ops::cross_entropy::{CrossEntropy, Reduction};
use crate::ops::recurrent::{RecurrentOptions, RecurrentWeights, RnnActivation};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::var::Var;

/// What no derivative is taken of: indices and truth values.
pub(super) type Given = (Tensor<usize>, Tensor<bool>);

/// A formula of variables of these shapes, and of what no derivative is taken of.
pub(super) struct FormulaOfGiven<T: Float> {
    shapes: Vec<Shape>,
    indices: Shape,
    /// All indices are in it.
    range: Range<usize>,
    mask: Shape,
    f: Box<FunctionOfGiven<T>>,
}

type FunctionOfGiven<T> = dyn for<'t> Fn(&[Var<'t, T>], &(Indices<'t, T>, Mask<'t, T>)) -> Var<'t, T>;

impl<T: Float> FormulaOfGiven<T> {
    fn new(
        shapes: &[&[usize]],
        (indices, range): (&[usize], Range<usize>),
        mask: &[usize],
        f: impl for<'t> Fn(&[Var<'t, T>], &(Indices<'t, T>, Mask<'t, T>)) -> Var<'t, T> + 'static,
    ) -> Self {
        let shapes = shapes.iter().map(|&shape| Shape::from(shape)).collect();
        FormulaOfGiven { shapes, indices: indices.into(), range, mask: mask.into(), f: Box::new(f) }
    }

    /// Values for its variables, and what is given.
    pub fn point(&self, draws: &mut Draws) -> (Vec<Tensor<T>>, Given) {
        let x = self.shapes.iter().map(|shape| spread::<T>(shape, draws)).collect();
        let Range { start, end } = self.range;
        let indices = Tensor::from_fn(&self.indices, |_| start + draws.below(end - start));
        (x, (indices, Tensor::from_fn(&self.mask, |_| draws.below(3) > 0)))
    }

    /// Its value.
    pub fn of<'t>(&self, x: &[Var<'t, T>], given: &(Indices<'t, T>, Mask<'t, T>)) -> Var<'t, T> {
        (self.f)(x, given)
    }
}

/// Every operation that takes a mask.
pub(super) fn formulas_of_masks<T: Float>() -> Vec<FormulaOfGiven<T>> {
    fn of<T: Float>(
        shapes: &[&[usize]],
        mask: &[usize],
        f: impl for<'t> Fn(&[Var<'t, T>], Mask<'t, T>) -> Var<'t, T> + 'static,
    ) -> FormulaOfGiven<T> {
        FormulaOfGiven::new(shapes, (&[0], 0..1), mask, move |x, (_, mask)| f(x, *mask))
    }
    fn attend<'t, T: Float>(x: &[Var<'t, T>], mask: Mask<'t, T>, causal: bool) -> Var<'t, T> {
        let bias = x.get(3).copied();
        let options = AttentionOptions { bias, mask: Some(mask), causal, ..AttentionOptions::default() };
        x[0].scaled_dot_product_attention(x[1], x[2], &options)
    }
    vec![
        of(&[&[2, 3], &[3]], &[2, 3], |x, mask| mask.select(x[0].square(), x[1])),
        of(&[&[2, 3], &[3]], &[2, 1], |x, mask| mask.select(x[0].sin(), x[1].exp())),
        of(&[&[3]], &[0, 1], |x, mask| mask.select(x[0], x[0].square())),
        of(&[&[2, 3]], &[], |x, mask| x[0].square().masked_fill(mask, T::from_f64(0.5))),
        of(&[&[2, 3]], &[2, 3], |x, mask| mask.to_float() * x[0].square() + mask.count()),
        of(&[&[2, 3]], &[2, 3], |x, mask| ((mask & x[0].gt(T::ZERO)) | !mask).select(x[0].square(), x[0])),
        of(&[&[2, 3]], &[2, 3], |x, mask| (mask ^ mask.index_axis(0, 1)).select(x[0].square(), x[0])),
        of(&[&[2, 3]], &[3, 2], |x, mask| {
            let rows = mask.transpose(0, 1).any_axes(1).unsqueeze(1);
            rows.select(x[0].square(), mask.count_axes(1).sin()).masked_fill(mask.all(), T::ONE)
        }),
        of(&[&[6]], &[3, 1, 2], |x, mask| {
            let flat = mask.permute([2, 0, 1]).squeeze(-1).reshape([6]);
            (flat | mask.slice(0, 1..).any().broadcast_to([6])).select(x[0].square(), x[0])
        }),
        of(&[&[3, 2], &[4, 2], &[4, 3]], &[3, 4], |x, mask| attend(x, mask, false)),
        of(&[&[2, 3, 2], &[2, 4, 2], &[2, 4, 1]], &[2, 1, 4], |x, mask| attend(x, mask, true)),
        of(&[&[2, 2], &[3, 2], &[3, 2], &[2, 3]], &[3], |x, mask| attend(x, mask, false)),
        of(&[&[2, 2], &[0, 2], &[0, 3]], &[0], |x, mask| attend(x, mask, false)),
    ]
}

/// Every operation that takes the lengths of sequences.
pub(super) fn formulas_of_lengths<T: Float>() -> Vec<FormulaOfGiven<T>> {
    type Network<T> = for<'t> fn(&[Var<'t, T>], &RecurrentOptions<'t, T>) -> Var<'t, T>;
    fn weights<'t, T: Float>(x: &[Var<'t, T>]) -> RecurrentWeights<'t, T> {
        RecurrentWeights { input: x[1], hidden: x[2], bias: Some([x[3], x[3]]) }
    }
    let networks: [(usize, Network<T>); 3] = [
        (4, |x, options| x[0].lstm(&weights(x), None, options).1[1]),
        (3, |x, options| x[0].gru(&weights(x), None, options).0),
        (1, |x, options| x[0].rnn(&weights(x), None, RnnActivation::Tanh, options).0),
    ];
    let mut all = Vec::new();
    for (gates, network) in networks {
        for (batch, reverse) in [(3, false), (2, true), (0, false)] {
            let rows = 2 * gates;
            let shapes: [&[usize]; 4] = [&[4, batch, 2], &[rows, 2], &[rows, 2], &[rows]];
            all.push(FormulaOfGiven::new(&shapes, (&[batch], 1..5), &[0], move |x, (lengths, _)| {
                network(x, &RecurrentOptions { lengths: Some(*lengths), reverse })
            }));
        }
    }
    all
}

/// Every operation that takes indices.
pub(super) fn formulas_of_indices<T: Float>() -> Vec<FormulaOfGiven<T>> {
    fn of<T: Float>(
        shapes: &[&[usize]],
        (indices, below): (&[usize], usize),
        f: impl for<'t> Fn(&[Var<'t, T>], Indices<'t, T>) -> Var<'t, T> + 'static,
    ) -> FormulaOfGiven<T> {
        FormulaOfGiven::new(shapes, (indices, 0..below), &[0], move |x, (indices, _)| f(x, *indices))
    }
    let mut all = vec![
        of(&[&[3, 4]], (&[2, 4], 3), |x, i| x[0].square().gather(0, i)),
        of(&[&[3, 4]], (&[1, 2], 4), |x, i| x[0].square().take_along_dim(i, 1)),
        of(&[&[3, 3], &[2, 3]], (&[2, 3], 3), |x, i| x[0].scatter_add(0, i, x[1].square())),
        of(&[&[2, 4], &[2, 3]], (&[2, 3], 4), |x, i| x[0].square().scatter(1, i, x[1].square())),
        of(&[&[4], &[6]], (&[6], 4), |x, i| x[0].scatter(0, i, x[1]).sin()),
        of(&[&[2, 4]], (&[3], 4), |x, i| x[0].square().index_select(1, i)),
        of(&[&[4, 2], &[3, 2]], (&[3], 4), |x, i| x[0].square().index_add(0, i, x[1].square())),
        of(&[&[2, 4], &[2, 3]], (&[3], 4), |x, i| x[0].square().index_copy(1, i, x[1].square())),
        of(&[&[4, 2]], (&[2, 3], 4), |x, i| x[0].square().embedding(i)),
        of(&[&[3, 2]], (&[5], 3), |x, i| x[0].square().embedding_padded(i, 1)),
        of(&[&[3, 2]], (&[2, 3], 3), |x, i| x[0].square().embedding_padded(i, 7)),
        of(&[&[2, 1, 2]], (&[2, 1, 2], 4), |x, i| x[0].square().max_unpool2d(i, [2, 2])),
    ];
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        for (weight, ignore_index, label_smoothing) in
            [(None, None, 0.0), (Some([0.5, 2.0, 1.5]), None, 0.0), (Some([0.5, 2.0, 1.5]), Some(1), 0.2)]
        {
            let weight = weight.map(|weight| weight.iter().map(|&w| T::from_f64(w)).collect());
            let options = CrossEntropy { weight, ignore_index, label_smoothing, reduction };
            let same = options.clone();
            all.push(of(&[&[6, 3]], (&[6], 3), move |x, i| x[0].softmax_cross_entropy(i, &options)));
            all.push(of(&[&[2, 3, 4]], (&[2, 4], 3), move |x, i| x[0].square().nll(i, &same)));
        }
    }
    all
}
