//! Many losses in one.

use autograd::{Axes, Float, Reduction, Scalar, Var};

use super::Target;

/// The mean of losses of which some count more: Σ wx/Σ w, as PyTorch's `mse_loss` with a `weight`.
///
/// Shapes: any, both alike → a `Scalar`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::loss::{mse_each, weighted_mean};
///
/// let tape = Tape::new();
/// let x = tape.var([1.0_f32, 2.0]);
/// let loss = weighted_mean(mse_each(x, Tensor::zeros([2])), Tensor::from([3.0, 1.0]));
/// assert_eq!(loss.value()?, 7.0 / 4.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn weighted_mean<'t, T: Float>(losses: Var<'t, T>, weight: impl Into<Target<'t, T>>) -> Scalar<'t, T> {
    let [losses, weight] = weight.into().meet(losses, "weighted_mean");
    (losses * weight).sum() / weight.sum()
}

/// Losses as they are, or one of them in a tensor without axes.
#[track_caller]
pub(super) fn reduce<T: Float>(losses: Var<'_, T>, reduction: Reduction) -> Var<'_, T> {
    let all: Axes = (0..losses.rank() as isize).collect();
    match reduction {
        Reduction::None => losses,
        Reduction::Sum => losses.sum_axes(all),
        Reduction::Mean => losses.mean_axes(all),
    }
}
