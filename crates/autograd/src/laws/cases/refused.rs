//! Formulas that break a rule.

use super::{Formula, of};
use crate::float::Float;
use crate::ops::attention::AttentionOptions;
use crate::ops::cat::cat;
use crate::ops::conv::{ConvOptions, ConvTransposeOptions};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::pad::PadMode;
use crate::ops::pool::{AvgPoolOptions, MaxPoolOptions};
use crate::ops::recurrent::{RecurrentOptions, RecurrentWeights, RnnActivation};
use crate::tensor::Tensor;

type Refused<T> = Vec<(&'static str, Formula<T>)>;

/// Formulas that break a rule of an op, by its name.
pub(in crate::laws) fn refused<T: Float>() -> Refused<T> {
    [moved(), picked(), reduced(), normalized(), multiplied(), repeated(), windowed()].into_iter().flatten().collect()
}

/// Elements moved and repeated.
fn moved<T: Float>() -> Refused<T> {
    vec![
        ("reshape", of(&[&[2, 3]], |x| x[0].reshape([4]))),
        ("reshape", of(&[&[0, 3]], |x| x[0].reshape([usize::MAX, 3]))),
        ("permute", of(&[&[2, 3]], |x| x[0].permute([1, -1]))),
        ("permute", of(&[&[]], |x| x[0].permute(0))),
        ("broadcast_to", of(&[&[2, 3]], |x| x[0].broadcast_to([3]))),
        ("broadcast_to", of(&[&[0, 3]], |x| x[0].broadcast_to([2, 3]))),
        ("sum_to", of(&[&[2, 3]], |x| x[0].sum_to([2]))),
        ("sum_to", of(&[&[3]], |x| x[0].sum_to([1, 3]))),
        ("slice", of(&[&[2, 3]], |x| x[0].slice(1, 2..5))),
        ("slice_step", of(&[&[2, 3]], |x| x[0].slice_step(isize::MIN, .., 1))),
        ("slice_step", of(&[&[2, 3]], |x| x[0].slice_step(0, .., 0))),
        ("flip", of(&[&[2, 3]], |x| x[0].flip([1, -1]))),
        ("pad", of(&[&[3]], |x| x[0].pad(&[(0, 0), (0, 1)], PadMode::Constant(0.0)))),
        ("pad", of(&[&[3]], |x| x[0].pad(&[(isize::MIN, isize::MAX)], PadMode::Constant(0.0)))),
        ("cat", of(&[&[2, 3], &[3, 2]], |x| cat(x, 0))),
        ("cat", of(&[&[2, 3]], |x| cat(x, 2))),
        ("diagonal", of(&[&[2, 3]], |x| x[0].diagonal(0, 1, -1))),
        ("diag_embed", of(&[&[2, 3]], |x| x[0].diag_embed(isize::MAX))),
    ]
}

/// Elements picked and put by index.
fn picked<T: Float>() -> Refused<T> {
    let index = Tensor::from([[0, 3]]);
    let far = index.clone();
    vec![
        ("gather", of(&[&[2, 3]], move |x| x[0].gather(1, &index))),
        ("scatter_add", of(&[&[2, 3], &[1, 2]], move |x| x[0].scatter_add(1, &far, x[1]))),
        ("scatter", of(&[&[2, 3], &[1, 2]], |x| x[0].scatter(1, Tensor::from([[0, 3]]), x[1]))),
        ("gather", of(&[&[2, 3]], |x| x[0].gather(1, Tensor::from([0])))),
        ("scatter_add", of(&[&[2, 3], &[1, 3]], |x| x[0].scatter_add(1, Tensor::from([[0, 1]]), x[1]))),
        ("scatter", of(&[&[2, 3], &[3, 1]], |x| x[0].scatter(1, Tensor::zeros([3, 1]), x[1]))),
        ("index_select", of(&[&[2, 3]], |x| x[0].index_select(0, [2]))),
        ("index_select", of(&[&[2, 3]], |x| x[0].index_select(0, [[0], [1]]))),
        ("index_add", of(&[&[2, 3], &[2, 3]], |x| x[0].index_add(0, [1], x[1]))),
        ("index_copy", of(&[&[2, 3], &[2, 3]], |x| x[0].index_copy(1, [1], x[1]))),
    ]
}

/// Reductions and scans.
fn reduced<T: Float>() -> Refused<T> {
    vec![
        ("sum", of(&[&[2, 3]], |x| x[0].sum_axes(2))),
        ("prod", of(&[&[2, 3]], |x| x[0].prod_axes([0, 0]))),
        ("amax", of(&[&[0, 3]], |x| x[0].amax(0))),
        ("amin", of(&[&[0, 3]], |x| x[0].amin([0, 1]))),
        ("var", of(&[&[2, 3]], |x| x[0].var_axes(-3, 1))),
        ("logsumexp", of(&[&[2, 3]], |x| x[0].logsumexp([1, 2]))),
        ("norm", of(&[&[2, 0]], |x| x[0].norm_axes(f64::NEG_INFINITY, 1))),
        ("cumsum", of(&[&[2, 3]], |x| x[0].cumsum(2))),
        ("cumprod", of(&[&[]], |x| x[0].cumprod(1))),
        ("logcumsumexp", of(&[&[2, 3]], |x| x[0].logcumsumexp(isize::MAX))),
    ]
}

/// Normalisations, and losses of classes.
fn normalized<T: Float>() -> Refused<T> {
    vec![
        ("batch_norm", of(&[&[2, 3], &[2], &[3]], |x| x[0].batch_norm(Some(x[1]), Some(x[2]), 0.1).0)),
        ("softmax", of(&[&[2, 3]], |x| x[0].softmax(-3))),
        ("log_softmax", of(&[&[]], |x| x[0].log_softmax(-2))),
        (
            "softmax_cross_entropy",
            of(&[&[2, 3]], |x| x[0].softmax_cross_entropy(Tensor::from([0, 3]), &CrossEntropy::default())),
        ),
        ("nll", of(&[&[2, 3]], |x| x[0].nll(Tensor::from([0, 3]), &CrossEntropy::default()))),
        (
            "softmax_cross_entropy",
            of(&[&[2, 3]], |x| x[0].softmax_cross_entropy(Tensor::from([0]), &CrossEntropy::default())),
        ),
        (
            "nll",
            of(&[&[2, 3]], |x| {
                x[0].nll(Tensor::from([0, 1]), &CrossEntropy { weight: Some(Tensor::ones([2])), ..Default::default() })
            }),
        ),
    ]
}

/// Products.
fn multiplied<T: Float>() -> Refused<T> {
    vec![
        (
            "scaled_dot_product_attention",
            of(&[&[3, 2], &[4, 3], &[4, 2]], |x| {
                x[0].scaled_dot_product_attention(x[1], x[2], &AttentionOptions::default())
            }),
        ),
        ("matmul", of(&[&[2, 3], &[2, 3]], |x| x[0].matmul(x[1]))),
        ("matmul", of(&[&[2, 2, 3], &[3, 3, 2]], |x| x[0].matmul(x[1]))),
        ("cross", of(&[&[2, 3], &[3]], |x| x[0].cross(x[1], 0))),
        ("linear", of(&[&[2, 3], &[4, 3], &[3]], |x| x[0].linear(x[1], Some(x[2])))),
    ]
}

/// Recurrent networks.
fn repeated<T: Float>() -> Refused<T> {
    vec![
        (
            "lstm",
            of(&[&[0, 2, 2], &[8, 2], &[8, 2]], |x| {
                x[0].lstm(
                    &RecurrentWeights { input: x[1], hidden: x[2], bias: None },
                    None,
                    &RecurrentOptions::default(),
                )
                .0
            }),
        ),
        (
            "gru",
            of(&[&[1, 2, 2], &[8, 2], &[8, 2]], |x| {
                x[0].gru(
                    &RecurrentWeights { input: x[1], hidden: x[2], bias: None },
                    None,
                    &RecurrentOptions::default(),
                )
                .0
            }),
        ),
        (
            "rnn",
            of(&[&[1, 2, 3], &[2, 2], &[2, 2]], |x| {
                let weights = RecurrentWeights { input: x[1], hidden: x[2], bias: None };
                x[0].rnn(&weights, None, RnnActivation::Relu, &RecurrentOptions::default()).0
            }),
        ),
    ]
}

/// Convolutions and pools.
fn windowed<T: Float>() -> Refused<T> {
    let plain = ConvOptions::default();
    let back = ConvTransposeOptions { output_padding: [1, 0], ..Default::default() };
    let still = MaxPoolOptions { stride: Some([0, 1]), ..Default::default() };
    let nothing = AvgPoolOptions { divisor_override: Some(0), ..Default::default() };
    vec![
        ("conv2d", of(&[&[1, 4, 3, 3], &[2, 3, 2, 2]], move |x| x[0].conv2d(x[1], None, plain))),
        ("conv_transpose2d", of(&[&[1, 2, 3, 3], &[2, 1, 2, 2]], move |x| x[0].conv_transpose2d(x[1], None, back))),
        ("max_pool2d", of(&[&[2, 3]], move |x| x[0].max_pool2d([1, 1], still))),
        ("max_pool2d", of(&[&[0, 0]], |x| x[0].max_pool2d([1, 1], MaxPoolOptions::default()))),
        ("max_unpool2d", of(&[&[1, 1]], |x| x[0].max_unpool2d(Tensor::from([[4]]), [2, 2]))),
        ("max_unpool2d", of(&[&[1, 1]], |x| x[0].max_unpool2d(Tensor::from([[0, 1]]), [2, 2]))),
        ("avg_pool2d", of(&[&[2, 3]], move |x| x[0].avg_pool2d([1, 1], nothing))),
        ("avg_pool2d", of(&[&[2, 3]], |x| x[0].avg_pool2d([usize::MAX, 4], AvgPoolOptions::default()))),
    ]
}
