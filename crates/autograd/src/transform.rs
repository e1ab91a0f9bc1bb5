//! Derivatives of functions and of recordings: gradient, products with the Jacobian and the Hessian, and both in full.

mod inputs;

pub use inputs::Inputs;

use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::reverse::recorded::{Adjoints, Root};
use crate::reverse::{Seed, recorded};
use crate::scalar::Scalar;
use crate::tape::{LIMIT, Tape};
use crate::tensor::Tensor;
use crate::var::Var;

/// A handle that a recorded gradient can be asked of: a `Scalar`, a `Var`, or an array of either.
pub trait Handle<'t, T: Float>: Copy {
    #[doc(hidden)]
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self;
}

/// The result of a recorded reverse sweep.
#[doc(hidden)]
pub struct Gradient<'t, T: Float>(Adjoints<'t, T>);

impl<'t, T: Float> Handle<'t, T> for Scalar<'t, T> {
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        adjoints.0.of_scalar(self)
    }
}

impl<'t, T: Float> Handle<'t, T> for Var<'t, T> {
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        if self.is_failed() { self } else { adjoints.0.of_var(self) }
    }
}

impl<'t, T: Float, H: Handle<'t, T>, const N: usize> Handle<'t, T> for [H; N] {
    fn adjoint(self, adjoints: &Gradient<'t, T>) -> Self {
        self.map(|handle| handle.adjoint(adjoints))
    }
}

impl<'t, T: Float> Scalar<'t, T> {
    /// The gradient with respect to every variable and parameter on the tape.
    ///
    /// The recording stays: several results can be differentiated, one after the other.
    ///
    /// # Errors
    /// The first failure on the tape, if this depends on it; an operation without a derivative on the way; a number that
    /// is on no tape.
    #[track_caller]
    pub fn backward(self) -> Result<Gradients<T>> {
        self.backward_keeping(&[])
    }

    /// As [`backward`](Self::backward), and the gradients of intermediate tensors too.
    #[track_caller]
    pub fn backward_keeping(self, intermediates: &[Var<'t, T>]) -> Result<Gradients<T>> {
        let tape = self.require_tape("backward")?;
        let mut kept = Vec::with_capacity(intermediates.len());
        for handle in intermediates {
            handle.value()?;
            kept.push(handle.slot);
        }
        kept.sort_unstable();
        (T::engine().reverse)(tape, Seed::Scalar(self.index), &kept)
    }

    /// The derivative with respect to any handles, intermediate ones too, as handles: it is recorded, so it can be used in
    /// further formulas and differentiated again.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.scalar(2.0);
    /// let slope = x.powi(4).grad(x)?;
    /// let curvature = slope.grad(x)?;
    /// assert_eq!((slope.value()?, curvature.value()?), (32.0, 48.0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`backward`](Self::backward).
    #[track_caller]
    pub fn grad<H: Handle<'t, T>>(self, wrt: H) -> Result<H> {
        let tape = self.require_tape("grad")?;
        Ok(wrt.adjoint(&Gradient(recorded(tape, Root::Scalar(self))?)))
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// The seed times the Jacobian: the gradient of Σ seed·self.
    ///
    /// Shapes: the seed has the shape of this tensor.
    ///
    /// # Errors
    /// As [`Scalar::backward`]; another shape of the seed.
    #[track_caller]
    pub fn vjp(self, seed: impl Into<Tensor<T>>) -> Result<Gradients<T>> {
        self.value()?;
        let seed = seed.into();
        if *seed.shape() != self.shape() {
            return Err(Error::new("vjp", Rule::Shape { expected: self.shape(), found: seed.shape().clone() }));
        }
        (T::engine().reverse)(self.tape, Seed::Node(self.slot, seed), &[])
    }

    /// The seed times the Jacobian with respect to any handles, as handles that can be differentiated again.
    ///
    /// # Errors
    /// As [`vjp`](Self::vjp).
    #[track_caller]
    pub fn grad<H: Handle<'t, T>>(self, wrt: H, seed: Self) -> Result<H> {
        self.value()?;
        seed.value()?;
        if seed.shape() != self.shape() {
            return Err(Error::new("grad", Rule::Shape { expected: self.shape(), found: seed.shape() }));
        }
        Ok(wrt.adjoint(&Gradient(recorded(self.tape, Root::Var(self, seed))?)))
    }
}

/// ∇f(x).
///
/// `x` is a number, a tensor, or an array of either; `f` gets the tape (for constants and parameters) and
/// handles of the same form, and returns a `Scalar`.
///
/// ```
/// use autograd::{Tensor, gradient};
///
/// assert_eq!(gradient(|_, x| x.powi(3), 2.0_f64)?, 12.0);
/// let [da, dx] = gradient(|_, [a, x]| a.matmul(x).sum(), [Tensor::<f32>::eye(2), Tensor::ones([2])])?;
/// assert_eq!((da.len(), dx.to_vec()), (4, vec![1.0, 1.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// The first operation of `f` that failed, or that has no derivative.
#[track_caller]
pub fn gradient<T: Float, X: Inputs<T>>(
    f: impl for<'t> FnOnce(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T>,
    x: X,
) -> Result<X> {
    Ok(value_and_gradient(f, x)?.1)
}

/// f(x) and ∇f(x), from one recording.
///
/// # Errors
/// As [`gradient`].
#[track_caller]
pub fn value_and_gradient<T: Float, X: Inputs<T>>(
    f: impl for<'t> FnOnce(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T>,
    x: X,
) -> Result<(T, X)> {
    let tape = Tape::new();
    let handles = x.record(&tape);
    let y = f(&tape, handles);
    let value = y.value()?;
    if y.index >= LIMIT {
        return Ok((value, x.zeros()));
    }
    Ok((value, x.gradients(handles, &y.backward()?)?))
}
