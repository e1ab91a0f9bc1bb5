//! Users' ops: a value on plain tensors and a derivative, of any number of operands and outputs.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::engine::Factor;
use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::ops::{OPERANDS, Op};
use crate::shape::Shape;
use crate::tape::{Input, Inputs, Node, Tape};
use crate::tensor::Tensor;
use crate::var::Var;

/// The name of the op that only looks at gradients: its rule is not the derivative of its value, on purpose.
pub(crate) const HOOK: &str = "on_gradient";

pub(crate) type Handles<'t, T> = SmallVec<[Var<'t, T>; OPERANDS]>;

/// A user's op, with its numbers of operands and outputs erased.
pub(crate) trait CustomRule<T: Float> {
    fn name(&self) -> &'static str;
    fn value(&self, x: &[Tensor<T>]) -> Result<SmallVec<[Tensor<T>; 2]>>;
    /// The gradient of each operand; in ops on handles if it can be differentiated again.
    fn vjp<'t>(&self, x: &[Var<'t, T>], y: &[Var<'t, T>], g: &[Var<'t, T>]) -> Result<Handles<'t, T>>;
    /// Whether the derivative is written on handles.
    fn is_differentiable_again(&self) -> bool;
    /// Whether the derivative, where it is not differentiated again, is computed on plain tensors.
    /// Whether its derivative is written on numbers. One on handles may depend on their values.
    fn is_numeric(&self) -> bool {
        !self.is_differentiable_again()
    }
    /// The shapes of the outputs, where a rule says so apart from their values.
    fn shapes(&self, _: &[Tensor<T>]) -> Option<SmallVec<[Shape; 2]>> {
        None
    }
}

/// The derivative of a rule on plain tensors as an operation of its own, for programs: of the operands, the outputs and
/// their gradients.
#[derive(Debug)]
pub(crate) struct NumericAdjoint<T: Float> {
    rule: Rc<dyn CustomRule<T>>,
    operands: usize,
}

impl<T: Float> NumericAdjoint<T> {
    /// The gradients of the operands.
    pub fn record<'t>(
        rule: Rc<dyn CustomRule<T>>,
        x: &[Var<'t, T>],
        y: &[Var<'t, T>],
        g: &[Var<'t, T>],
        location: &'static Location<'static>,
    ) -> Result<Handles<'t, T>> {
        let inputs = x.iter().chain(y).chain(g).map(|x| Input::Node(x.slot)).collect();
        record_rule(g[0].tape, Rc::new(NumericAdjoint { rule, operands: x.len() }), &inputs, location)
    }
}

impl<T: Float> CustomRule<T> for NumericAdjoint<T> {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn value(&self, x: &[Tensor<T>]) -> Result<SmallVec<[Tensor<T>; 2]>> {
        let tape = Tape::new();
        let handles: Handles<'_, T> = x.iter().map(|x| tape.constant(x)).collect();
        let (x, outputs) = handles.split_at(self.operands);
        let (y, g) = outputs.split_at(outputs.len() / 2);
        tape.no_grad(|| self.rule.vjp(x, y, g))?.into_iter().map(Var::value).collect()
    }

    fn shapes(&self, x: &[Tensor<T>]) -> Option<SmallVec<[Shape; 2]>> {
        Some(x[..self.operands].iter().map(|x| x.shape().clone()).collect())
    }

    fn vjp<'t>(&self, _: &[Var<'t, T>], _: &[Var<'t, T>], _: &[Var<'t, T>]) -> Result<Handles<'t, T>> {
        let why = "its derivative is written on numbers; write it on handles with `custom`".to_string();
        Err(Error::new(self.name(), ErrorKind::NotDifferentiable { why }))
    }

    fn is_differentiable_again(&self) -> bool {
        false
    }
}

impl<T: Float> fmt::Debug for dyn CustomRule<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rule on handles, with N operands and M outputs.
struct OnHandles<V, D, const N: usize, const M: usize> {
    name: &'static str,
    value: V,
    vjp: D,
}

impl<T, V, D, const N: usize, const M: usize> CustomRule<T> for OnHandles<V, D, N, M>
where
    T: Float,
    V: Fn([&Tensor<T>; N]) -> Result<[Tensor<T>; M]>,
    D: for<'v> Fn([Var<'v, T>; N], [Var<'v, T>; M], [Var<'v, T>; M]) -> [Var<'v, T>; N],
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn value(&self, x: &[Tensor<T>]) -> Result<SmallVec<[Tensor<T>; 2]>> {
        Ok((self.value)(std::array::from_fn(|i| &x[i]))?.into_iter().collect())
    }

    fn vjp<'t>(&self, x: &[Var<'t, T>], y: &[Var<'t, T>], g: &[Var<'t, T>]) -> Result<Handles<'t, T>> {
        let array = |handles: &[Var<'t, T>]| std::array::from_fn(|i| handles[i]);
        let gradients = (self.vjp)(std::array::from_fn(|i| x[i]), array(y), array(g));
        Ok(gradients.into_iter().collect())
    }

    fn is_differentiable_again(&self) -> bool {
        true
    }
}

/// A rule on plain tensors, with N operands and one output.
struct OnTensors<V, D, const N: usize> {
    name: &'static str,
    value: V,
    vjp: D,
}

impl<T, V, D, const N: usize> CustomRule<T> for OnTensors<V, D, N>
where
    T: Float,
    V: Fn([&Tensor<T>; N]) -> Result<Tensor<T>>,
    D: Fn([&Tensor<T>; N], &Tensor<T>, &Tensor<T>) -> Result<[Tensor<T>; N]>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn value(&self, x: &[Tensor<T>]) -> Result<SmallVec<[Tensor<T>; 2]>> {
        Ok(SmallVec::from_iter([(self.value)(std::array::from_fn(|i| &x[i]))?]))
    }

    fn vjp<'t>(&self, x: &[Var<'t, T>], y: &[Var<'t, T>], g: &[Var<'t, T>]) -> Result<Handles<'t, T>> {
        let tape = g[0].tape;
        let x = x.iter().map(|x| x.value()).collect::<Result<SmallVec<[_; 3]>>>()?;
        let gradients = (self.vjp)(std::array::from_fn(|i| &x[i]), &y[0].value()?, &g[0].value()?)?;
        Ok(gradients.into_iter().map(|gradient| tape.constant(gradient)).collect())
    }

    fn is_differentiable_again(&self) -> bool {
        false
    }
}

/// Records a user's op: `value` on plain tensors, `vjp(x, y, g)` in ops on handles, which makes it differentiable to any
/// order. [`Tape::check`] compares the rule with finite differences.
///
/// Derivative: what `vjp` says: the gradient of each operand, from operands, value and the gradient g of the value.
/// Shapes: those of the operands → that of what `value` returns.
///
/// ```
/// use autograd::{Tape, custom};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.var([1.0, 2.0]);
/// let cube = custom("cube", [x], |[x]| Ok(x.map(|x| x * x * x)), |[x], _y, g| [g * 3.0 * x * x]);
/// assert_eq!(cube.sum().backward()?.of(x)?.to_vec(), [3.0, 12.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// Failures of `value`, and gradients whose shape is not the operand's, fail the handle or `backward`.
#[track_caller]
pub fn custom<'t, T: Float, const N: usize>(
    name: &'static str,
    inputs: [Var<'t, T>; N],
    value: impl Fn([&Tensor<T>; N]) -> Result<Tensor<T>> + 'static,
    vjp: impl for<'v> Fn([Var<'v, T>; N], Var<'v, T>, Var<'v, T>) -> [Var<'v, T>; N] + 'static,
) -> Var<'t, T> {
    let rule = OnHandles {
        name,
        value: move |x: [&Tensor<T>; N]| Ok([value(x)?]),
        vjp: one_output(move |x, [y], [g]| vjp(x, y, g)),
    };
    let [output] = record(Rc::new(rule), &inputs);
    output
}

/// Tells the compiler the signature, with its lifetime, of a closure.
fn one_output<T: Float, const N: usize, F>(f: F) -> F
where
    F: for<'v> Fn([Var<'v, T>; N], [Var<'v, T>; 1], [Var<'v, T>; 1]) -> [Var<'v, T>; N],
{
    f
}

/// Records a user's op with several outputs: as [`custom`], with arrays of outputs and of their gradients.
///
/// Derivative: what `vjp` says.
/// Shapes: those of the operands → those of what `value` returns.
///
/// ```
/// use autograd::{Tape, custom_many};
///
/// let tape = Tape::new();
/// let x = tape.var([3.0_f64, -4.0]);
/// let [sign, size] = custom_many(
///     "sign and size",
///     [x],
///     |[x]| Ok([x.sign(), x.abs()]),
///     |_, [sign, _], [_, g]| [g * sign],
/// );
/// assert_eq!((sign * size).sum().backward()?.of(x)?.to_vec(), [1.0, 1.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn custom_many<'t, T: Float, const N: usize, const M: usize>(
    name: &'static str,
    inputs: [Var<'t, T>; N],
    value: impl Fn([&Tensor<T>; N]) -> Result<[Tensor<T>; M]> + 'static,
    vjp: impl for<'v> Fn([Var<'v, T>; N], [Var<'v, T>; M], [Var<'v, T>; M]) -> [Var<'v, T>; N] + 'static,
) -> [Var<'t, T>; M] {
    record(Rc::new(OnHandles { name, value, vjp }), &inputs)
}

/// Records a user's op whose derivative is written on plain tensors. It has no second derivative: asking for one is an
/// error that names it.
///
/// Derivative: what `vjp` says, once.
/// Shapes: those of the operands → that of what `value` returns.
///
/// ```
/// use autograd::{Tape, custom_numeric};
///
/// let tape = Tape::new();
/// let x = tape.var([1.0_f64, 2.0]);
/// let square = custom_numeric("square", [x], |[x]| x.mul(x), |[x], _y, g| Ok([x.mul(2.0)?.mul(g)?]));
/// assert_eq!(square.sum().backward()?.of(x)?.to_vec(), [2.0, 4.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn custom_numeric<'t, T: Float, const N: usize>(
    name: &'static str,
    inputs: [Var<'t, T>; N],
    value: impl Fn([&Tensor<T>; N]) -> Result<Tensor<T>> + 'static,
    vjp: impl Fn([&Tensor<T>; N], &Tensor<T>, &Tensor<T>) -> Result<[Tensor<T>; N]> + 'static,
) -> Var<'t, T> {
    let [output] = record(Rc::new(OnTensors { name, value, vjp }), &inputs);
    output
}

/// # Hooks
impl<'t, T: Float> Var<'t, T> {
    /// The same value, with a look at its gradient: in a reverse sweep the gradient that arrives here is replaced by what
    /// `hook` returns.
    ///
    /// Derivative: what `hook` makes of the gradient.
    /// Shapes: any → the same, of the gradient too.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.var([1.0, 2.0]);
    /// let y = x.on_gradient(|g| g.clamp(-1.0, 1.0));
    /// assert_eq!((y * 5.0).sum().backward()?.of(x)?.to_vec(), [1.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn on_gradient(self, hook: impl for<'v> Fn(Var<'v, T>) -> Var<'v, T> + 'static) -> Self {
        custom(HOOK, [self], |[x]| Ok(x.clone()), move |_, _, g| [hook(g)])
    }
}

#[track_caller]
pub(crate) fn record<'t, T: Float, const N: usize, const M: usize>(
    rule: Rc<dyn CustomRule<T>>,
    inputs: &[Var<'t, T>; N],
) -> [Var<'t, T>; M] {
    const { assert!(N > 0 && M > 0, "a custom op has at least one operand and one output") };
    let location = Location::caller();
    let tape = inputs[0].tape;
    let fail = |error: Error| [Var::new(tape, tape.fail(error)); M];
    let failed = inputs.iter().fold(inputs[0], |failed, &input| failed.and(input));
    if failed.is_failed() {
        return [failed; M];
    }
    if inputs.iter().any(|input| !std::ptr::eq(input.tape, tape)) {
        return fail(Error::at_line(rule.name(), ErrorKind::TwoTapes, location));
    }
    let inputs: Inputs<T> = inputs.iter().map(|input| Input::Node(input.slot)).collect();
    match record_rule(tape, rule, &inputs, location) {
        Ok(outputs) => std::array::from_fn(|k| outputs[k]),
        Err(error) => fail(error),
    }
}

/// Computes and records a user's op. One node for each output; the first holds the op, the others point back to it.
pub(crate) fn record_rule<'t, T: Float>(
    tape: &'t Tape<T>,
    rule: Rc<dyn CustomRule<T>>,
    inputs: &Inputs<T>,
    location: &'static Location<'static>,
) -> Result<Handles<'t, T>> {
    let operand = |input: &Input<T>| Factor::of(&tape.nodes(), input).to_tensor();
    let operands = || inputs.iter().map(operand).collect::<SmallVec<[Tensor<T>; 3]>>();
    let shapes = if tape.is_hollow() { rule.shapes(&operands()) } else { None };
    let is_left_out = shapes.is_some();
    let values = match shapes {
        Some(shapes) => shapes.iter().map(Tensor::absent).collect(),
        None => {
            tape.look()?;
            rule.value(&operands())?
        }
    };
    let is_tracked =
        |input: &Input<T>| matches!(*input, Input::Node(slot) if tape.with_node(slot, |node| node.tracked));
    let (tracked, outputs) = (inputs.iter().any(is_tracked), values.len());
    let rule = tape.add_custom(rule);
    let push = |(k, value)| {
        let (op, inputs) = match k {
            0 => (Op::Custom { rule, outputs: outputs as u32 }, inputs.clone()),
            _ => (Op::Output { back: k as u32 }, Inputs::new()),
        };
        Var::new(tape, tape.push_node(Node { tracked, ..Node::new(op, inputs, value, location) }))
    };
    let outputs: Handles<'t, T> = values.into_iter().enumerate().map(push).collect();
    if let (true, Some(first)) = (is_left_out, outputs.first()) {
        tape.leave_out_node(first.slot);
    }
    Ok(outputs)
}
