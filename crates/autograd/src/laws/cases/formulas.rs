//! The formulas, by family of operations.

use super::{Formula, of, with_zeros};
use crate::float::Float;
use crate::kernel::scan::Direction;
use crate::ops::attention::AttentionOptions;
use crate::ops::conv::{ConvOptions, ConvTransposeOptions, Padding};
use crate::ops::cross_entropy::{CrossEntropy, Reduction};
use crate::ops::custom::{custom, custom_many};
use crate::ops::pad::PadMode;
use crate::ops::pool::{AvgPoolOptions, MaxPoolOptions};
use crate::ops::recurrent::{RecurrentOptions, RecurrentWeights, RnnActivation};
use crate::ops::{DropWeights, Except, Recurrence, WithinLengths, cat::cat};
use crate::tensor::Tensor;
use crate::var::Var;

pub(in crate::laws) fn formulas<T: Float>() -> Vec<Formula<T>> {
    [
        moved(),
        searched(),
        reduced(),
        scanned(),
        normalized(),
        multiplied(),
        attended(),
        repeated(),
        convolved(),
        pooled(),
        written_by_users(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Elements moved, repeated and picked.
fn moved<T: Float>() -> Vec<Formula<T>> {
    let index = Tensor::from([[2, 0, 2], [1, 1, 0]]);
    let turned = index.permute([1, 0]).unwrap();
    let (again, same) = (index.clone(), index.clone());
    vec![
        of(&[&[2, 3]], |x| x[0].reshape([3, 1, 2])),
        of(&[&[]], |x| x[0].reshape([1, 1])),
        of(&[&[0, 3]], |x| x[0].reshape([3, 0, 2])),
        of(&[&[2, 3, 2]], |x| x[0].permute([2, 0, 1])),
        of(&[&[]], |x| x[0].permute([])),
        of(&[&[0, 3]], |x| x[0].t()),
        of(&[&[3]], |x| x[0].broadcast_to([2, 3])),
        of(&[&[]], |x| x[0].broadcast_to([2, 2])),
        of(&[&[2, 1, 2]], |x| x[0].broadcast_to([3, 2, 3, 2])),
        of(&[&[1, 3]], |x| x[0].broadcast_to([0, 3])),
        of(&[&[2, 3, 2]], |x| x[0].sum_to([3, 1])),
        of(&[&[0, 3]], |x| x[0].sum_to([1, 3])),
        of(&[&[4, 5]], |x| x[0].slice_step(1, 1..5, 3)),
        of(&[&[4, 3]], |x| x[0].t().slice(0, 2..2)),
        of(&[&[5]], |x| x[0].slice_step(0, .., 2)),
        of(&[&[0, 3]], |x| x[0].slice(1, 1..)),
        of(&[&[2, 3]], |x| x[0].flip([0, 1])),
        of(&[&[3, 2]], |x| x[0].t().flip(0)),
        of(&[&[0, 3]], |x| x[0].flip(1)),
        of(&[&[2, 3]], |x| x[0].pad(&[(1, 0), (-1, 2)], PadMode::Constant(0.5))),
        of(&[&[0, 3]], |x| x[0].pad(&[(1, 1)], PadMode::Constant(0.0))),
        of(&[&[3, 2]], |x| x[0].t().pad(&[(0, 2)], PadMode::Constant(-1.0))),
        of(&[&[3]], |x| x[0].pad(&[(2, 1)], PadMode::Reflect)),
        of(&[&[2, 3], &[2, 1], &[3, 2]], |x| cat(&[x[0], x[1], x[2].t(), x[0]], 1)),
        of(&[&[2, 3], &[0, 3]], |x| cat(&[x[0], x[1]], 0)),
        of(&[&[0, 3]], |x| cat(&[x[0], x[0]], 1)),
        of(&[&[2, 3, 4]], |x| x[0].diagonal(1, 2, 0)),
        of(&[&[3, 4]], |x| x[0].diagonal(-1, 0, 1)),
        of(&[&[2, 2]], |x| x[0].diagonal(9, 0, 1)),
        of(&[&[2, 3]], |x| x[0].diag_embed(-1)),
        of(&[&[0, 3]], |x| x[0].diag_embed(1)),
        of(&[&[3]], |x| x[0].diag_embed(0)),
        of(&[&[3, 3]], move |x| x[0].gather(0, &index)),
        of(&[&[3, 3]], move |x| x[0].gather(1, &turned)),
        of(&[&[0, 3]], |x| x[0].gather(0, Tensor::zeros([0, 2]))),
        of(&[&[3, 3], &[2, 3]], move |x| x[0].scatter_add(0, &again, x[1])),
        of(&[&[3, 3], &[2, 3]], move |x| x[0].scatter(0, &same, x[1])),
        of(&[&[2, 2], &[2, 3]], |x| x[0].scatter(1, Tensor::from([[0, 0, 1], [1, 1, 1]]), x[1])),
        of(&[&[0, 3], &[0, 2]], |x| x[0].scatter(1, Tensor::zeros([0, 2]), x[1])),
        of(&[&[3]], |x| except(x[0], [2, 0, 2], 2)),
        of(&[&[2, 2]], |x| except(x[0].t(), [[0, 1], [1, 1]], 1)),
        of(&[&[0, 3]], |x| except(x[0], Tensor::zeros([0, 3]), 0)),
        of(&[&[3, 4]], |x| x[0].index_select(1, [2, 0, 2])),
        of(&[&[3, 2]], |x| x[0].index_select(0, Tensor::zeros([0]))),
        of(&[&[0, 3]], |x| x[0].index_select(1, [1, 1])),
        of(&[&[3, 2], &[3, 3]], |x| x[0].index_add(1, [1, 1, 0], x[1])),
        of(&[&[4, 2], &[3, 2]], |x| x[0].index_copy(0, [2, 0, 2], x[1])),
    ]
}

fn except<'t, T: Float>(x: Var<'t, T>, index: impl Into<Tensor<usize>>, this: usize) -> Var<'t, T> {
    x.record_with(Except { this }, &[], &[x.tape().indices(index)])
}

/// Elements that are searched for.
fn searched<T: Float>() -> Vec<Formula<T>> {
    use crate::SortOrder::{Ascending, Descending};
    vec![
        of(&[&[2, 5]], |x| x[0].sort(1, Ascending).0),
        of(&[&[4, 3]], |x| x[0].t().sort(-2, Descending).0 * x[0].t()),
        of(&[&[2, 3, 4]], |x| x[0].topk(2, 1, Descending).0),
        of(&[&[0, 3]], |x| x[0].topk(2, 1, Ascending).0),
        of(&[&[4], &[3, 4]], |x| x[1].square().index_select(1, x[0].topk(2, 0, Descending).1)),
        of(&[&[4, 3]], |x| x[0].kthvalue(3, 0).0 * x[0].median(0).0),
        of(&[&[3, 4]], |x| x[0].max_with_index(1).0 * x[0].min_with_index(-1).0),
        of(&[&[2, 5]], |x| x[0].cummax(1).0 * x[0].cummin(0).0),
        of(&[&[3, 4], &[3, 4]], |x| x[1].square().take_along_dim(x[0].argsort(0, Descending), 0)),
        of(&[&[1, 4], &[3, 4]], |x| x[1].square().take_along_dim(x[0].argsort(1, Ascending), 1)),
        of(&[&[3, 4], &[4, 2]], |x| x[1].embedding(x[0].argmax(1))),
        of(&[&[3, 4], &[3, 4]], |x| x[1].square().gather(0, x[0].argmin(0).reshape([1, 4]))),
        of(&[&[4, 4], &[2, 2]], |x| {
            let (y, places) = x[0].max_pool2d_with_indices([2, 2], MaxPoolOptions::default());
            (y * x[1]).max_unpool2d(places, [4, 4])
        }),
        of(&[&[3, 4], &[3, 4]], |x| x[0].scatter(1, x[0].sort(1, Ascending).1, x[1].square())),
    ]
}

fn reduced<T: Float>() -> Vec<Formula<T>> {
    let mut all = vec![
        of(&[&[2, 3, 2]], |x| x[0].sum_keepdim([0, 2])),
        of(&[&[3, 4]], |x| x[0].t().sum_axes(0)),
        of(&[&[]], |x| x[0].sum_axes([])),
        of(&[&[0, 3]], |x| x[0].sum_axes(0)),
        of(&[&[2, 3, 2]], |x| x[0].prod_axes([0, 2])),
        of(&[&[3, 3]], |x| with_zeros(x[0]).prod_axes(1)),
        of(&[&[2, 2, 3]], |x| with_zeros(x[0]).prod_axes([0, 2])),
        of(&[&[]], |x| x[0].prod_axes([])),
        of(&[&[0, 3]], |x| x[0].prod_axes(0)),
        of(&[&[3, 4]], |x| x[0].amax(1)),
        of(&[&[2, 3, 2]], |x| x[0].amax([0, 2])),
        of(&[&[]], |x| x[0].amax([])),
        of(&[&[0, 3]], |x| x[0].amax(1)),
        of(&[&[3, 4]], |x| x[0].amin(0)),
        of(&[&[2, 3, 2]], |x| x[0].amin([0, 1, 2])),
        of(&[&[0, 3]], |x| x[0].amin(1)),
        of(&[&[3, 4]], |x| x[0].var_axes(1, 1)),
        of(&[&[2, 3, 2]], |x| x[0].var_axes([0, 2], 0)),
        of(&[&[0, 3]], |x| x[0].var_axes(1, 1)),
        of(&[&[3, 4]], |x| x[0].logsumexp(0)),
        of(&[&[2, 3, 2]], |x| x[0].logsumexp([0, 2])),
        of(&[&[]], |x| x[0].logsumexp(0)),
        of(&[&[2, 0]], |x| x[0].logsumexp_keepdim(1)),
        of(&[&[0, 3]], |x| x[0].norm_axes(2.0, 0)),
        of(&[&[]], |x| x[0].norm_axes(3.0, [])),
    ];
    for p in [0.0, 0.5, 1.0, 2.0, 3.0, -1.0, f64::INFINITY, f64::NEG_INFINITY] {
        all.push(of(&[&[3, 4]], move |x| x[0].norm_axes(p, 1)));
    }
    all
}

fn scanned<T: Float>() -> Vec<Formula<T>> {
    let mut all = vec![
        of(&[&[3, 3]], |x| with_zeros(x[0]).cumprod(1)),
        of(&[&[3, 2, 2]], |x| with_zeros(x[0]).cumprod(0)),
        of(&[&[]], |x| x[0].cumsum(0) * x[0].cumprod(0) * x[0].logcumsumexp(0)),
        of(&[&[0, 3]], |x| x[0].cumsum(0) * x[0].cumprod(1) * x[0].logcumsumexp(1)),
        of(&[&[4], &[4]], |x| x[0].record(Recurrence { axis: 0, direction: Direction::Forward }, &[x[1]])),
    ];
    for axis in [0, 1] {
        all.push(of(&[&[2, 3]], move |x| x[0].cumsum(axis)));
        all.push(of(&[&[2, 3]], move |x| x[0].cumprod(axis)));
        all.push(of(&[&[3, 2]], move |x| x[0].t().logcumsumexp(axis)));
        for direction in [Direction::Forward, Direction::Backward] {
            let op = Recurrence { axis: axis as usize, direction };
            all.push(of(&[&[3, 2], &[3, 2]], move |x| x[0].record(op.clone(), &[x[1]])));
        }
    }
    all
}

fn normalized<T: Float>() -> Vec<Formula<T>> {
    let mut all = vec![
        of(&[&[]], |x| x[0].softmax(0) + x[0].log_softmax(-1)),
        of(&[&[0, 3]], |x| x[0].softmax(1) + x[0].log_softmax(0)),
        of(&[&[2, 3, 2]], |x| x[0].softmax(1) * x[0].log_softmax(1)),
        of(&[&[3, 2]], |x| x[0].t().softmax(0) * x[0].t().log_softmax(1)),
        of(&[&[2, 3], &[3], &[3]], |x| x[0].layer_norm([3], Some(x[1]), Some(x[2]), 0.1)),
        of(&[&[2, 2, 2]], |x| x[0].layer_norm([2, 2], None, None, 0.01)),
        of(&[&[0, 3]], |x| x[0].layer_norm([3], None, None, 0.1)),
        of(&[&[3, 2]], |x| x[0].batch_norm(None, None, 0.1).0),
        of(&[&[2, 2, 2]], |x| x[0].batch_norm(None, None, 0.01).0),
        of(&[&[3, 2], &[2], &[2]], |x| x[0].batch_norm(Some(x[1]), Some(x[2]), 0.1).0),
        of(&[&[2, 2, 2], &[2], &[2]], |x| x[0].batch_norm(Some(x[1]), Some(x[2]), 0.01).0),
        of(&[&[4, 1], &[1], &[1]], |x| x[0].batch_norm(Some(x[1]), Some(x[2]), 0.1).0),
        of(&[&[2, 2, 2], &[2]], |x| x[0].batch_norm(Some(x[1]), None, 0.1).0),
    ];
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        for (weight, ignore_index, label_smoothing) in
            [(None, None, 0.0), (Some([0.5, 2.0, 1.5]), Some(1), 0.2), (None, Some(7), 0.1)]
        {
            let weight = weight.map(|weight| weight.iter().map(|&w| T::from_f64(w)).collect());
            let options = CrossEntropy { weight, ignore_index, label_smoothing, reduction };
            let targets = Tensor::from([2, 0, ignore_index.unwrap_or(2), 2]);
            let (same_targets, same_options) = (targets.clone(), options.clone());
            all.push(of(&[&[4, 3]], move |x| x[0].softmax_cross_entropy(&targets, &options)));
            all.push(of(&[&[4, 3]], move |x| x[0].nll(&same_targets, &same_options)));
        }
    }
    let each = CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() };
    let mean = CrossEntropy { label_smoothing: 0.3, ..CrossEntropy::default() };
    all.push(of(&[&[0, 3]], move |x| x[0].softmax_cross_entropy(Tensor::zeros([0]), &each)));
    all.push(of(&[&[2, 3, 2]], move |x| x[0].softmax_cross_entropy(Tensor::from([[0, 2], [2, 0]]), &mean)));
    all.push(of(&[&[3]], |x| x[0].softmax_cross_entropy(Tensor::scalar(1), &CrossEntropy::default())));
    all.push(of(&[&[2, 2, 3]], |x| x[0].t().nll(Tensor::from([[0, 2], [2, 0]]), &CrossEntropy::default())));
    all
}

fn multiplied<T: Float>() -> Vec<Formula<T>> {
    vec![
        of(&[&[2, 3], &[3, 4]], |x| x[0].matmul(x[1])),
        of(&[&[3, 2], &[4, 3]], |x| x[0].t().matmul(x[1].t())),
        of(&[&[2, 1, 2, 3], &[3, 3, 2]], |x| x[0].matmul(x[1])),
        of(&[&[0, 3], &[3, 2]], |x| x[0].matmul(x[1])),
        of(&[&[2, 0], &[0, 3]], |x| x[0].matmul(x[1])),
        of(&[&[3, 3]], |x| x[0].matmul(x[0])),
        of(&[&[2, 3], &[2, 3]], |x| x[0].cross(x[1], 1)),
        of(&[&[3, 2], &[3, 1]], |x| x[0].cross(x[1], 0)),
        of(&[&[0, 3], &[3]], |x| x[0].cross(x[1], -1)),
        of(&[&[2, 3], &[4, 3], &[4]], |x| x[0].linear(x[1], Some(x[2]))),
        of(&[&[2, 2, 3], &[4, 3]], |x| x[0].linear(x[1], None)),
        of(&[&[3], &[3, 2], &[2]], |x| x[0].linear(x[1].t(), Some(x[2]))),
        of(&[&[0, 3], &[2, 3], &[2]], |x| x[0].linear(x[1], Some(x[2]))),
        of(&[&[2, 3], &[2, 3]], |x| x[0].linear(x[1], None)),
    ]
}

fn attended<T: Float>() -> Vec<Formula<T>> {
    let attend = |shapes: &[&[usize]], causal, dropout| {
        of(shapes, move |x| {
            let seed = Some(x[0].tape().indices(3));
            let options = AttentionOptions { bias: x.get(3).copied(), causal, dropout, seed, ..Default::default() };
            x[0].scaled_dot_product_attention(x[1], x[2], &options)
        })
    };
    let drop = |shape: &[usize]| {
        of(&[shape], |x| {
            x[0].record(
                DropWeights { probability: 0.4 },
                &[x[0].tape().constant([7.0, 0.0, 9.0, 2.0].map(T::from_f64))],
            )
        })
    };
    vec![
        drop(&[3, 4]),
        drop(&[2, 2, 3]),
        drop(&[0, 2]),
        attend(&[&[3, 2], &[4, 2], &[4, 3]], false, 0.0),
        attend(&[&[3, 2], &[3, 2], &[3, 2]], true, 0.0),
        attend(&[&[2, 3, 2], &[4, 2], &[2, 4, 3], &[3, 4]], false, 0.0),
        attend(&[&[3, 2], &[4, 2], &[4, 2]], false, 0.3),
        attend(&[&[3, 2], &[3, 2], &[3, 2], &[3, 3]], true, 0.3),
        attend(&[&[0, 2], &[3, 2], &[3, 2]], false, 0.0),
    ]
}

/// Sequences of one, two and three steps, with padding and backwards.
fn repeated<T: Float>() -> Vec<Formula<T>> {
    fn weights<'t, T: Float>(x: &[Var<'t, T>]) -> RecurrentWeights<'t, T> {
        RecurrentWeights { input: x[1], hidden: x[2], bias: Some([x[3], x[3]]) }
    }
    fn options<'t, T: Float>(x: &[Var<'t, T>], lengths: Option<[usize; 2]>) -> RecurrentOptions<'t, T> {
        let reverse = lengths.is_some();
        RecurrentOptions { lengths: lengths.map(|lengths| x[0].tape().indices(lengths)), reverse }
    }
    let mut all = Vec::new();
    for (steps, lengths) in [(1, None), (2, Some([2, 1])), (3, Some([2, 3]))] {
        let x: &[usize] = &[steps, 2, 2];
        all.push(of(&[x, &[8, 2], &[8, 2], &[8]], move |x| x[0].lstm(&weights(x), None, &options(x, lengths)).0));
        all.push(of(&[x, &[6, 2], &[6, 2], &[6]], move |x| x[0].gru(&weights(x), None, &options(x, lengths)).0));
        all.push(of(&[x, &[2, 2], &[2, 2], &[2]], move |x| {
            x[0].rnn(&weights(x), None, RnnActivation::Tanh, &options(x, lengths)).0
        }));
    }
    fn within<'t, T: Float>(x: Var<'t, T>, lengths: &[usize]) -> Var<'t, T> {
        x.record_with(WithinLengths, &[], &[x.tape().indices(lengths)])
    }
    all.push(of(&[&[2, 3, 2]], |x| within(x[0].transpose(0, 1), &[3, 1])));
    all.push(of(&[&[2, 0, 3]], |x| within(x[0], &[])));
    all.push(of(&[&[2, 3, 0]], |x| within(x[0], &[1, 2, 2])));
    all
}

fn convolved<T: Float>() -> Vec<Formula<T>> {
    let plain = ConvOptions { stride: [1, 1], padding: Padding::Size([0, 0]), dilation: [1, 1], groups: 1 };
    let padded = ConvOptions { padding: Padding::Size([2, 1]), ..plain };
    let cases: [(&[usize], &[usize], _); 9] = [
        (&[2, 2, 4, 3], &[3, 2, 3, 2], plain),
        (&[0, 2, 4, 3], &[3, 2, 2, 2], plain),
        (&[2, 2, 2, 2], &[3, 2, 2, 2], plain),
        (&[1, 3, 5, 4], &[3, 1, 3, 3], ConvOptions { groups: 3, stride: [2, 2], ..padded }),
        (&[1, 2, 5, 4], &[2, 2, 3, 2], ConvOptions { stride: [2, 3], ..padded }),
        (&[1, 2, 5, 4], &[2, 2, 3, 2], ConvOptions { dilation: [2, 2], stride: [1, 2], ..padded }),
        (&[1, 1, 3, 4], &[2, 1, 2, 2], ConvOptions { padding: Padding::Same, dilation: [3, 2], ..plain }),
        (&[1, 4, 3, 4], &[6, 2, 2, 2], ConvOptions { groups: 2, ..plain }),
        (&[2, 3, 3, 4], &[6, 1, 2, 3], ConvOptions { groups: 3, stride: [2, 1], ..padded }),
    ];
    let forward = |(x, w, options)| of(&[x, w], move |x| x[0].conv2d(x[1], None, options));
    let mut all: Vec<Formula<T>> = cases.into_iter().map(forward).collect();
    let wide = ConvTransposeOptions { stride: [2, 3], output_padding: [1, 2], padding: [1, 0], ..Default::default() };
    all.push(of(&[&[1, 2, 2, 3], &[2, 2, 3, 2]], move |x| x[0].conv_transpose2d(x[1], None, wide)));
    all.push(of(&[&[2, 2, 5], &[3, 2, 3], &[3]], |x| x[0].conv1d(x[1], Some(x[2]), ConvOptions::default())));
    all.push(of(&[&[1, 1, 2, 2], &[1, 1, 2, 2]], move |x| x[0].conv2d(x[1], None, plain)));
    all
}

fn pooled<T: Float>() -> Vec<Formula<T>> {
    let max = MaxPoolOptions { stride: Some([1, 2]), padding: [1, 0], ..Default::default() };
    let wide = MaxPoolOptions { dilation: [2, 1], ceil_mode: true, ..Default::default() };
    let mean = AvgPoolOptions { stride: Some([1, 2]), padding: [1, 0], count_include_pad: false, ..Default::default() };
    let fixed = AvgPoolOptions { ceil_mode: true, divisor_override: Some(3), ..Default::default() };
    let unpooled = |places: Tensor<usize>| of(&[&places.shape().clone()], move |x| x[0].max_unpool2d(&places, [2, 2]));
    vec![
        of(&[&[3, 4]], move |x| x[0].max_pool2d([2, 2], max)),
        of(&[&[2, 3, 2]], move |x| x[0].max_pool2d([2, 1], wide)),
        of(&[&[0, 2, 2]], |x| x[0].max_pool2d([2, 2], MaxPoolOptions::default())),
        of(&[&[2, 5]], |x| x[0].max_pool1d(2, MaxPoolOptions::default())),
        of(&[&[3, 4]], |x| x[0].adaptive_max_pool2d([2, 3])),
        unpooled(Tensor::from([[[3, 3]], [[0, 2]]])),
        unpooled(Tensor::from([[1, 2]])),
        unpooled(Tensor::zeros([0, 1, 1])),
        of(&[&[3, 4]], move |x| x[0].avg_pool2d([2, 2], mean)),
        of(&[&[2, 3, 5]], move |x| x[0].avg_pool2d([2, 2], fixed)),
        of(&[&[0, 2, 2]], |x| x[0].avg_pool2d([2, 1], AvgPoolOptions::default())),
        of(&[&[2, 5]], |x| x[0].avg_pool1d(2, AvgPoolOptions::default())),
    ]
}

/// Elements, scalars gathered into tensors, and ops with rules of the user.
fn written_by_users<T: Float>() -> Vec<Formula<T>> {
    let product = |[x, y]: [&Tensor<T>; 2]| x.mul(y);
    vec![
        of(&[&[2, 3]], |x| x[0].at([1, 2]) * x[0].t().slice(0, 1..)),
        of(&[&[]], |x| x[0].item() * x[0]),
        of(&[&[3]], |x| x[0].tape().from_scalars(&x[0].to_scalars())),
        of(&[&[2, 2], &[2, 2]], move |x| custom("product", [x[0], x[1]], product, |[x, y], _, g| [g * y, g * x])),
        of(&[&[0, 3]], |x| custom("twice", [x[0]], |[x]| x.add(x), |_, _, g| [g + g])),
        of(&[&[3], &[3]], |x| {
            let value = |[x, y]: [&Tensor<T>; 2]| Ok([x.mul(y)?, x.sub(y)?.square()]);
            let [a, b] = custom_many("both", [x[0], x[1]], value, |[x, y], _, [g, h]| {
                [g * y + (h + h) * (x - y), g * x - (h + h) * (x - y)]
            });
            a + b
        }),
    ]
}
