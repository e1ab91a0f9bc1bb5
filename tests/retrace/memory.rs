//! Shapes that memory has no room for are errors like others: no operation panics, and none ends the program.

use std::panic::{AssertUnwindSafe, catch_unwind};

use autograd::{
    AvgPool2dOptions, Conv2dOptions, ConvTranspose2dOptions, MaxPool2dOptions, PadMode, Padding, Result, SortOrder,
    Tape, Tensor, Var, cat, einsum, hessian, jacobian, normal, stack, uniform,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Sizes that no machine has room for, up to where products of them and of bytes overflow.
const HUGE: [usize; 6] = [1 << 45, 1 << 59, (1 << 62) - 1, 1 << 62, isize::MAX as usize, usize::MAX];

/// A size of which the square is huge.
const WIDE: usize = 1 << 23;

/// A vector of `WIDE` equal elements that takes no memory.
fn wide(tape: &Tape<f64>) -> Var<'_, f64> {
    tape.var([2.0]).broadcast_to([WIDE])
}

fn image(tape: &Tape<f64>) -> Var<'_, f64> {
    tape.var([[[[1.0, 2.0]]]])
}

fn kernel(tape: &Tape<f64>) -> Var<'_, f64> {
    tape.var([[[[3.0]]]])
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// Checks that expressions of a tape and a huge number are errors.
macro_rules! fail {
    ($(|$tape:pat_param, $n:pat_param| $result:expr;)*) => {{
        let mut wrong = Vec::new();
        $(for n in HUGE {
            let tape = Tape::<f64>::new();
            let run = |$tape: &Tape<f64>, $n: usize| $result.map(|_| ());
            match catch_unwind(AssertUnwindSafe(|| -> Result<()> { run(&tape, n) })) {
                Ok(Ok(())) => wrong.push(format!("{} for {n} is no error", stringify!($result))),
                Ok(Err(_)) => {}
                Err(_) => wrong.push(format!("{} for {n} panics", stringify!($result))),
            }
        })*
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }};
}

#[test]
#[rustfmt::skip]
fn huge_arguments_fail() {
    fail! {
        |t, n| t.var([1.0]).broadcast_to([n]).value();
        |t, n| t.var([1.0, 2.0]).expand([n, n, 2]).value();
        |t, n| t.var([1.0, 2.0]).tile([n]).value();
        |t, n| t.var([1.0, 2.0]).tile([n, n]).value();
        |t, n| t.var([1.0, 2.0]).repeat([n, 3]).value();
        |t, n| t.var([1.0, 2.0]).repeat_interleave(n, 0).value();
        |t, n| t.var([1.0, 2.0]).pad(&[(n.min(isize::MAX as usize) as isize, 0)], PadMode::Constant(1.0)).value();
        |t, n| t.var([1.0, 2.0]).pad(&[(n.min(isize::MAX as usize) as isize, isize::MAX)], PadMode::Constant(1.0)).value();
        |t, n| t.var([1.0, 2.0]).pad(&[(n.min(isize::MAX as usize) as isize, isize::MAX)], PadMode::Replicate).value();
        |t, n| t.var([1.0, 2.0]).pad(&[(0, n.min(isize::MAX as usize) as isize)], PadMode::Circular).value();
        |t, n| t.var([1.0, 2.0]).pad(&[(0, n.min(isize::MAX as usize) as isize)], PadMode::Reflect).value();
        |t, n| t.var([1.0, 2.0]).diag_embed(n as isize >> 2).index_axis(0, n).value();
        |t, n| t.var([1.0, 2.0]).diag(-((n >> 2) as isize)).value();
        |_, n| Tensor::<f64>::one_hot(&Tensor::from([0, 1]), n);
        |t, n| t.var([1.0, 2.0]).unflatten(0, [n, 2]).value();
        |t, n| image(t).conv2d(kernel(t), None, Conv2dOptions { padding: Padding::Size([n, n]), ..Default::default() }).value();
        |t, n| image(t).conv2d(kernel(t), None, Conv2dOptions { padding: Padding::Size([0, n]), ..Default::default() }).value();
        |t, n| image(t).conv2d(kernel(t), None, Conv2dOptions { groups: n, ..Default::default() }).value();
        |t, n| image(t).conv2d(image(t), None, Conv2dOptions { dilation: [1, n], ..Default::default() }).value();
        |t, n| image(t).conv_transpose2d(kernel(t), None, ConvTranspose2dOptions { stride: [n, n], ..Default::default() }).value();
        |t, n| image(t).conv_transpose2d(kernel(t), None, ConvTranspose2dOptions { padding: [n, 1], ..Default::default() }).value();
        |t, n| image(t).conv_transpose2d(kernel(t), None, ConvTranspose2dOptions { output_padding: [0, n], ..Default::default() }).value();
        |t, n| image(t).conv_transpose2d(image(t), None, ConvTranspose2dOptions { dilation: [1, n], ..Default::default() }).value();
        |t, n| image(t).max_pool2d([n, 1], MaxPool2dOptions::default()).value();
        |t, n| image(t).max_pool2d([1, 2], MaxPool2dOptions { dilation: [n, n], ..Default::default() }).value();
        |t, n| image(t).avg_pool2d([1, 1], AvgPool2dOptions { padding: [n / 4, 0], ..Default::default() }).value();
        |t, n| image(t).adaptive_avg_pool2d([n, 1]).value();
        |t, n| image(t).adaptive_avg_pool1d(n).value();
        |t, n| image(t).adaptive_max_pool2d([n, n]).value();
        |t, n| image(t).adaptive_max_pool1d(n).value();
        |t, n| image(t).max_unpool2d(Tensor::from([[[[0, 1]]]]), [n, n]).value();
        |t, n| t.var([1.0, 2.0]).narrow(0, n, n).value();
        |t, n| t.var([1.0, 2.0]).index_select(0, vec![n]).value();
        |t, n| t.var([1.0, 2.0]).topk(n, 0, SortOrder::Ascending).0.value();
    }
}

#[test]
#[rustfmt::skip]
fn products_of_shapes_fail() {
    fail! {
        |t, _| (wide(t).unsqueeze(1) + wide(t)).value();
        |t, _| wide(t).unsqueeze(1).gt(0.0).select(wide(t), 0.0).value();
        |t, _| wide(t).outer(wide(t)).value();
        |t, _| wide(t).kron(wide(t)).value();
        |t, _| wide(t).unsqueeze(1).matmul(wide(t).unsqueeze(0)).value();
        |t, _| einsum("i,j->ij", &[wide(t), wide(t)]).value();
        |t, _| wide(t).tensordot(wide(t), [], []).value();
        |t, _| wide(t).unsqueeze(1).linear(wide(t).unsqueeze(1), None).value();
        |t, _| wide(t).diag_embed(0).value();
        |t, _| wide(t).unsqueeze(1).take_along_dim(Tensor::from([[0; 1 << 10]]), 1).unsqueeze(0).tile([WIDE, 1, 1]).value();
        |t, _| cat(&[wide(t).unsqueeze(1).expand([WIDE, WIDE]), wide(t).unsqueeze(1)], 1).value();
        |t, _| stack(&[wide(t).expand([WIDE, WIDE])], 0).value();
        |t, _| normal(wide(t), wide(t).unsqueeze(1), &mut rng()).value();
        |t, _| uniform(wide(t), wide(t).unsqueeze(1), &mut rng()).value();
        |_, _| hessian(|_, x| x.sum() * x.sum(), Tensor::<f64>::zeros([WIDE]));
        |_, _| jacobian(|_, x| x * 2.0, Tensor::<f64>::zeros([WIDE]));
        |_, _| Tensor::<f64>::zeros([WIDE, 1]).add(Tensor::zeros([WIDE]));
        |_, _| Tensor::<f64>::zeros([WIDE, 1]).matmul(&Tensor::zeros([1, WIDE]));
    }
}

#[test]
fn the_error_names_the_shape() {
    let tape = Tape::<f64>::new();
    let options = Conv2dOptions { padding: Padding::Size([1 << 62, 0]), ..Default::default() };
    let error = image(&tape).conv2d(kernel(&tape), None, options).value().unwrap_err();
    let text = "conv2d: memory has no room for shape [1, 1, 9223372036854775809, 2], at ";
    assert!(error.to_string().starts_with(text), "{error}");
    let refused = catch_unwind(|| Tensor::<f32>::zeros([WIDE, WIDE])).unwrap_err();
    let text = refused.downcast_ref::<String>().map(String::as_str);
    assert_eq!(text, Some("memory has no room for shape [8388608, 8388608]"));
}
