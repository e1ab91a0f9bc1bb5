//! Derivatives of functions and of recordings: gradient, products with the Jacobian and the Hessian, and both in full.

mod inputs;

use std::panic::Location;

pub use inputs::{Inputs, Part, PartMut, Recorder};

use crate::engine::engine;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::forward::Tangents;
use crate::gradients::Gradients;
use crate::handle::{Direction, Handle, Replacement, Source, Wrt, ensure};
use crate::reverse::recorded::{Adjoints, Root};
use crate::reverse::{Seed, recorded};
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tape::{LIMIT, Tape};
use crate::tensor::Tensor;
use crate::tensor::copy::copy_to;
use crate::var::Var;

/// # Gradients
impl<'t, T: Float> Scalar<'t, T> {
    /// The gradient with respect to every variable and parameter on the tape.
    ///
    /// The recording stays: several results can be differentiated, one after the other.
    ///
    /// # Errors
    /// The failure that this depends on; an operation without a derivative on the way; a constant, for which
    /// [`grad`](Self::grad) is 0; a number that is on no tape.
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
            ensure("backward", handle, Some(tape))?;
            kept.push(handle.slot);
        }
        kept.sort_unstable();
        tape.refuse_numbers("backward")?;
        (engine::<T>().reverse)(tape, Seed::Scalar(self.index), &kept, 0)
    }

    /// The derivative with respect to any handles, intermediate ones too, as handles: it is recorded, so it can be used in
    /// further formulas and differentiated again.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.scalar(2.0);
    /// let slope = x.powi(4).grad(x);
    /// let curvature = slope.grad(x);
    /// assert_eq!((slope.value()?, curvature.value()?), (32.0, 48.0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// What does not depend on a handle has derivative 0 with respect to it, plain numbers too; that 0 works further as any
    /// derivative.
    ///
    /// # Errors
    /// The result is a failed handle, as that of any operation, when this or a handle has failed, when a handle is on another
    /// tape, and when an operation on the way has no derivative.
    #[track_caller]
    pub fn grad<H: Handle<'t, T>>(self, wrt: H) -> H {
        adjoints(self.tape, self.sweep(&wrt), wrt)
    }

    #[track_caller]
    fn sweep(self, wrt: &impl Handle<'t, T>) -> Result<Option<Adjoints<'t, T>>> {
        self.ensure()?;
        let tape = self.recorded_on();
        ensure("grad", wrt, tape)?;
        tape.map(|tape| recorded(tape, Root::Scalar(self))).transpose()
    }
}

/// # Directional derivatives
impl<'t, T: Float> Scalar<'t, T> {
    /// The derivative along a direction: how this changes when the handles `wrt` move along `along`, by one forward
    /// sweep over the recording.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let [x, y] = tape.scalars([3.0, 2.0]);
    /// assert_eq!((x * x * y).jvp([x, y], [1.0, 10.0])?, 12.0 + 90.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`grad`](Self::grad); a direction of another shape.
    #[track_caller]
    pub fn jvp<H: Handle<'t, T>>(self, wrt: H, along: H::Value) -> Result<T> {
        self.ensure()?;
        Ok(self.read_from(&Source::Tangents(&moved("jvp", self.recorded_on(), wrt, along)?)))
    }
}

/// # Derivatives
impl<'t, T: Float> Var<'t, T> {
    /// The Jacobian times a direction: how this changes when the handles `wrt` move along `along`, by one forward sweep
    /// over the recording.
    ///
    /// Shapes: the direction has the form of `wrt`; the result has the shape of this tensor.
    ///
    /// # Errors
    /// As [`Scalar::jvp`].
    #[track_caller]
    pub fn jvp<H: Handle<'t, T>>(self, wrt: H, along: H::Value) -> Result<Tensor<T>> {
        self.ensure()?;
        Ok(self.read_from(&Source::Tangents(&moved("jvp", Some(self.tape), wrt, along)?)))
    }

    /// The seed times the Jacobian: the gradient of Σ seed·self.
    ///
    /// Shapes: the seed has the shape of this tensor.
    ///
    /// # Errors
    /// As [`Scalar::backward`]; another shape of the seed.
    #[track_caller]
    pub fn vjp(self, seed: impl Into<Tensor<T>>) -> Result<Gradients<T>> {
        self.ensure()?;
        let seed = seed.into();
        seed.shape().must_be("the seed", &self.shape()).map_err(Error::at("vjp"))?;
        self.tape.refuse_numbers("vjp")?;
        (engine::<T>().reverse)(self.tape, Seed::Node(self.slot, seed), &[], 0)
    }

    /// The seed times the Jacobian with respect to any handles, as handles that can be differentiated again.
    ///
    /// # Errors
    /// As [`Scalar::grad`]; a seed of another shape or on another tape.
    #[track_caller]
    pub fn grad<H: Handle<'t, T>>(self, wrt: H, seed: Self) -> H {
        adjoints(Some(self.tape), self.sweep(&wrt, seed), wrt)
    }

    #[track_caller]
    fn sweep(self, wrt: &impl Handle<'t, T>, seed: Self) -> Result<Option<Adjoints<'t, T>>> {
        self.ensure()?;
        ensure("grad", &seed, Some(self.tape))?;
        ensure("grad", wrt, Some(self.tape))?;
        seed.shape().must_be("the seed", &self.shape()).map_err(Error::at("grad"))?;
        recorded(self.tape, Root::Var(self, seed)).map(Some)
    }
}

/// What a recorded sweep found for some handles; failed ones, where it failed.
#[track_caller]
fn adjoints<'t, T: Float, H: Handle<'t, T>>(
    tape: Option<&'t Tape<T>>,
    found: Result<Option<Adjoints<'t, T>>>,
    wrt: H,
) -> H {
    let error = match found {
        Ok(adjoints) => return wrt.replace_by(&Replacement::Adjoints(adjoints.as_ref())),
        Err(error) => error,
    };
    let mut tape = tape;
    let _ = wrt.each(&mut |leaf| {
        tape = tape.or(leaf.tape());
        Ok(())
    });
    match tape {
        Some(tape) => wrt.replace_by(&Replacement::Failed(tape, tape.fail(error))),
        // Only what is on a tape can fail.
        None => wrt.replace_by(&Replacement::Adjoints(None)),
    }
}

/// The tangents of a whole recording when some handles move; of none for a number that is on no tape.
#[track_caller]
fn moved<'t, T: Float, H: Handle<'t, T>>(
    op: &'static str,
    tape: Option<&'t Tape<T>>,
    wrt: H,
    along: H::Value,
) -> Result<Tangents<T>> {
    ensure(op, &wrt, tape)?;
    let mut tangents = tape.map_or_else(Tangents::none, Tangents::new);
    wrt.set_tangents(along, &mut Direction { op, location: Location::caller(), tangents: &mut tangents })?;
    if let Some(tape) = tape {
        tape.refuse_numbers(op)?;
        (engine::<T>().forward)(tape, &mut tangents)?;
    }
    Ok(tangents)
}

/// ∇f(x).
///
/// `x` is a number, a tensor, or an array, vector, tuple, option or ordered map of such; `f` gets the tape (for constants and parameters) and
/// handles of the same form, and returns a `Scalar`.
/// Plain numbers need their type written (`2.0_f64`, or a `let` with a type): without it the compiler does not know which
/// handles the closure gets, and says that it is "not general enough".
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
    let (value, (), gradient) = value_and_gradient_aux(|tape, x| (f(tape, x), ()), x)?;
    Ok((value, gradient))
}

/// f(x), what f returns beside it, and ∇f(x), from one recording: predictions, parts of a loss, metrics.
///
/// The type `A` of what comes beside the value is what its handles stand for: numbers, tensors, indices, masks, and trees of them. It
/// must be written, as the compiler cannot find it from the handles.
///
/// ```
/// use autograd::{Tensor, value_and_gradient_aux};
///
/// let x = Tensor::from([1.0_f64, 2.0]);
/// let (y, squares, gradient): (_, Tensor<f64>, _) = value_and_gradient_aux(
///     |_, x| {
///         let squares = x * x;
///         (squares.sum(), squares)
///     },
///     x,
/// )?;
/// assert_eq!((y, squares.to_vec(), gradient.to_vec()), (5.0, vec![1.0, 4.0], vec![2.0, 4.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`gradient`]; a failed handle beside the value.
#[track_caller]
pub fn value_and_gradient_aux<T: Float, X: Inputs<T>, A: Inputs<T>>(
    f: impl for<'t> FnOnce(&'t Tape<T>, X::Handles<'t>) -> (Scalar<'t, T>, A::Handles<'t>),
    x: X,
) -> Result<(T, A, X)> {
    let tape = Tape::new();
    let handles = x.record(&tape);
    let (y, auxiliary) = f(&tape, handles.clone());
    let value = y.value()?;
    ensure("value_and_gradient_aux", &auxiliary, Some(&tape))?;
    let auxiliary = auxiliary.read_from(&Source::Own);
    if y.index >= LIMIT {
        return Ok((value, auxiliary, x.zeros()));
    }
    Ok((value, auxiliary, handles.read_from(&Source::Gradients(&y.backward()?))))
}

/// f(x) and seed·J: the value and the gradient of Σ seed·f(x), in one reverse sweep.
///
/// ```
/// use autograd::{Tensor, vjp};
///
/// let (y, gx) = vjp(|_, x| x * x, Tensor::from([1.0_f64, 3.0]), Tensor::from([1.0, 10.0]))?;
/// assert_eq!((y.to_vec(), gx.to_vec()), (vec![1.0, 9.0], vec![2.0, 60.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`gradient`]; a seed whose shape is not that of f(x).
#[track_caller]
pub fn vjp<T: Float, X: Inputs<T>>(
    f: impl for<'t> FnOnce(&'t Tape<T>, X::Handles<'t>) -> Var<'t, T>,
    x: X,
    seed: Tensor<T>,
) -> Result<(Tensor<T>, X)> {
    let tape = Tape::new();
    let handles = x.record(&tape);
    let y = f(&tape, handles.clone());
    Ok((y.value()?, handles.read_from(&Source::Gradients(&y.vjp(seed)?))))
}

/// f(x) and J·dx: the value and its derivative along the direction dx, in one forward sweep.
///
/// ```
/// use autograd::{Tensor, jvp};
///
/// let (x, dx) = (Tensor::from([1.0_f64, 2.0]), Tensor::from([1.0, 0.0]));
/// let (y, dy) = jvp(|_, x| x * x, x, dx)?;
/// assert_eq!((y.to_vec(), dy.to_vec()), (vec![1.0, 4.0], vec![2.0, 0.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`gradient`]; a direction of another shape.
#[track_caller]
pub fn jvp<T: Float, X: Inputs<T>>(
    f: impl for<'t> FnOnce(&'t Tape<T>, X::Handles<'t>) -> Var<'t, T>,
    x: X,
    dx: X,
) -> Result<(Tensor<T>, Tensor<T>)> {
    let tape = Tape::new();
    let handles = x.record(&tape);
    let y = f(&tape, handles.clone());
    Ok((y.value()?, y.jvp(handles, dx)?))
}

/// ∇f(x) and H·v: the gradient and the Hessian times a direction, by a forward sweep over the recorded gradient.
///
/// ```
/// use autograd::hvp;
///
/// let (gradient, product) = hvp(|_, [x, y]| x * x * y, [3.0_f64, 2.0], [1.0, 0.0])?;
/// assert_eq!((gradient, product), ([12.0, 9.0], [4.0, 6.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`jvp`]; an operation whose derivative is written on numbers.
#[track_caller]
pub fn hvp<T: Float, X: Inputs<T>>(
    f: impl for<'t> FnOnce(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T>,
    x: X,
    v: X,
) -> Result<(X, X)> {
    let tape = Tape::new();
    let handles = x.record(&tape);
    let y = f(&tape, handles.clone());
    let gradient = y.grad(handles.clone());
    ensure("hvp", &gradient, Some(&tape))?;
    let tangents = moved("hvp", Some(&tape), handles, v)?;
    Ok((gradient.clone().read_from(&Source::Own), gradient.read_from(&Source::Tangents(&tangents))))
}

/// The Jacobian of a tensor function: element `[i.., j..]` is ∂f(x)ᵢ/∂xⱼ.
///
/// By forward sweeps, one for each element of x, or by reverse sweeps, one for each element of f(x), whichever are fewer.
///
/// Shapes: f: `X` → `Y` gives `[Y.., X..]`.
///
/// ```
/// use autograd::{Tensor, jacobian};
///
/// let square = jacobian(|_, x| x * x, Tensor::from([1.0_f64, 3.0]))?;
/// assert_eq!(square.to_vec(), [2.0, 0.0, 0.0, 6.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`gradient`].
#[track_caller]
pub fn jacobian<T: Float>(
    f: impl for<'t> FnOnce(&'t Tape<T>, Var<'t, T>) -> Var<'t, T>,
    x: Tensor<T>,
) -> Result<Tensor<T>> {
    let tape = Tape::new();
    let handle = tape.var(&x);
    let y = f(&tape, handle);
    let value = y.value()?;
    let mut jacobian = zeros("jacobian", value.shape(), x.shape())?;
    if value.len() > x.len() {
        return columns(jacobian, &tape, handle, y, &x);
    }
    for (i, row) in jacobian.make_mut().chunks_exact_mut(x.len().max(1)).enumerate() {
        if let Ok(gradient) = y.vjp(unit(value.shape(), i))?.of(handle) {
            copy_to(gradient.view(), row);
        }
    }
    Ok(jacobian)
}

/// The Hessian of a function of a tensor: element `[i.., j..]` is ∂²f/∂xᵢ∂xⱼ, by one forward sweep over the recorded
/// gradient for each element of x.
///
/// Shapes: x: `X` gives `[X.., X..]`.
///
/// ```
/// use autograd::{Tensor, hessian};
///
/// let h = hessian(|_, x| x.powi(3).sum(), Tensor::from([1.0_f64, 2.0]))?;
/// assert_eq!(h.to_vec(), [6.0, 0.0, 0.0, 12.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`hvp`].
#[track_caller]
pub fn hessian<T: Float>(
    f: impl for<'t> FnOnce(&'t Tape<T>, Var<'t, T>) -> Scalar<'t, T>,
    x: Tensor<T>,
) -> Result<Tensor<T>> {
    let tape = Tape::new();
    let handle = tape.var(&x);
    let y = f(&tape, handle);
    let gradient = y.grad(handle);
    gradient.ensure()?;
    let hessian = zeros("hessian", x.shape(), x.shape())?;
    columns(hessian, &tape, handle, gradient, &x)
}

/// Writes ∂y/∂x to `jacobian`, one forward sweep for each element of x.
fn columns<T: Float>(
    mut jacobian: Tensor<T>,
    tape: &Tape<T>,
    handle: Var<'_, T>,
    y: Var<'_, T>,
    x: &Tensor<T>,
) -> Result<Tensor<T>> {
    let (rows, columns) = (y.shape().len(), x.len());
    for j in 0..columns {
        let mut tangents = Tangents::new(tape);
        tangents.set_var(handle, unit(x.shape(), j));
        (engine::<T>().forward)(tape, &mut tangents)?;
        let elements = jacobian.as_mut_slice();
        for (i, dy) in (0..rows).zip(tangents.of_var(y).iter()) {
            elements[i * columns + j] = dy;
        }
    }
    Ok(jacobian)
}

/// Zeros in the places of the derivatives of every element of `y` with respect to every element of `x`.
#[track_caller]
fn zeros<T: Float>(op: &'static str, y: &Shape, x: &Shape) -> Result<Tensor<T>> {
    let shape = y.iter().chain(x.iter()).copied().collect();
    Tensor::build(shape, |zeros| zeros.fill(T::ZERO)).map_err(Error::at(op))
}

/// Zeros, and a one at a row-major index.
pub(crate) fn unit<T: Float>(shape: &Shape, index: usize) -> Tensor<T> {
    let mut unit = Tensor::zeros(shape);
    if let Some(element) = unit.as_mut_slice().get_mut(index) {
        *element = T::ONE;
    }
    unit
}
