//! Derivatives against finite differences: of every operation of a recording at its own operands, and of functions.
//!
//! An operation is taken out of the recording, put on a tape of its own with the operands it had, and differentiated there
//! by the sweep that all gradients come from; the cost is that of the operations, not of the inputs. Differences bring
//! their own error (`difference.rs`), so that no tolerance has to be tuned and a kink is not mistaken for a wrong rule.

mod compare;
mod difference;
mod function;
mod pointwise;
mod recording;
mod report;

use std::panic::Location;

pub use crate::place::{Place, Range};
pub use report::{Comparison, Finding, Reason, Report, Verdict};

use crate::error::Result;
use crate::float::{Family, Float};
use crate::operation::Function;
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::transform::{Inputs, Part};
use compare::{Outcome, Subject, too_large};
use function::{Gradient, Whole};

/// How derivatives are checked.
///
/// ```
/// use autograd::{Check, Tape, check::DerivativeOrder};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.var([0.3, 0.5]);
/// let _y = x.tanh();
/// let report = tape.check_with(&Check { order: DerivativeOrder::Second, ..Check::default() });
/// assert_eq!(report.findings().count(), 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Check {
    /// Gradients alone, or gradients of gradients too.
    pub order: DerivativeOrder,
    /// The relative difference that is always allowed, besides ten times the estimated error of the difference itself.
    /// `None` is 10⁻⁶ where the arithmetic is f64 and 10⁻³ where it is f32.
    pub tolerance: Option<f64>,
}

/// Which derivatives are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DerivativeOrder {
    /// Gradients.
    #[default]
    First,
    /// Gradients, and the gradients of recorded gradients.
    Second,
}

impl Check {
    fn tolerance<T: Float>(&self) -> f64 {
        self.tolerance.unwrap_or(if T::EPSILON.to_f64() > 1e-10 { 1e-3 } else { 1e-6 })
    }

    /// What is found at each order asked for, starting with the first.
    fn outcomes<T: Float>(&self, function: &dyn Function<T>, x: &[Tensor<T>], layout: Layout) -> Vec<Outcome> {
        let tolerance = self.tolerance::<T>();
        if let Some(reason) = too_large(x) {
            return self.undecided(reason);
        }
        let first = match Subject::new(function, x, tolerance) {
            Ok(subject) => match too_large(&subject.y) {
                Some(reason) => return self.undecided(reason),
                None => subject.compared(layout),
            },
            Err(error) => Err(error),
        };
        let mut outcomes = vec![first.unwrap_or_else(Outcome::failed)];
        if self.order == DerivativeOrder::Second {
            outcomes.push(second(function, x, tolerance, layout).unwrap_or_else(Outcome::failed));
        }
        outcomes
    }

    /// The same for each order.
    fn undecided(&self, reason: Reason) -> Vec<Outcome> {
        let orders = if self.order == DerivativeOrder::Second { 2 } else { 1 };
        vec![Outcome::undecided(reason); orders]
    }
}

/// How results depend on operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Element k on elements k alone.
    Pointwise,
    Any,
}

impl<T: Float> Subject<'_, T> {
    fn compared(self, layout: Layout) -> Result<Outcome> {
        match layout {
            Layout::Pointwise => self.pointwise(),
            Layout::Any => self.jacobian(),
        }
    }
}

fn second<T: Float>(function: &dyn Function<T>, x: &[Tensor<T>], tolerance: f64, layout: Layout) -> Result<Outcome> {
    let seeds = Subject::new(function, x, tolerance)?.seeds();
    let gradient = Gradient { function, operands: x.len() };
    let operands: Vec<Tensor<T>> = x.iter().chain(&seeds).cloned().collect();
    Subject::new(&gradient, &operands, tolerance)?.compared(layout)
}

impl<T: Float> Tape<T> {
    /// Compares the derivative rule of every recorded operation with finite differences, at the operands it had.
    ///
    /// Operations of an f32 recording are checked in f64, users' own ones in the type they are written for. What no
    /// derivative flows through is left out, and so is [`Var::on_gradient`](crate::Var::on_gradient), which changes
    /// gradients on purpose. Large operands are varied along a few fixed pseudo-random directions; what memory has no room for to
    /// vary is [`Reason::TooLarge`].
    ///
    /// ```
    /// use autograd::{Tape, custom};
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.var([1.0, 2.0]);
    /// let _cube = custom("cube", [x], |[x]| Ok(x.map(|x| x * x * x)), |[x], _y, g| [g * 2.0 * x * x]);
    /// let report = tape.check();
    /// assert!(!report.is_ok());
    /// assert_eq!(report.guilty().next().unwrap().place.op, "cube");
    /// ```
    ///
    /// # Errors
    /// In a program's recording it marks the tape, since it shows numbers.
    #[track_caller]
    pub fn check(&self) -> Report {
        self.check_with(&Check::default())
    }

    /// As [`check`](Self::check), with another tolerance or to second order.
    #[track_caller]
    pub fn check_with(&self, check: &Check) -> Report {
        match self.refuse_report("check") {
            Ok(()) => (checks::<T>().of_recording)(self, check),
            Err(_) => Report::default(),
        }
    }
}

/// Compares the gradient of `f` at `inputs` with finite differences.
///
/// `f` is as for [`gradient`](crate::gradient) and is called many times. The differences are computed in the type of the
/// inputs: those of f32 functions have larger errors, which the report states.
///
/// ```
/// use autograd::{Real, check};
///
/// fn f<R: Real>(x: R, y: R) -> R {
///     (x * y).sin() / y
/// }
///
/// let report = check(|_, [x, y]| f(x, y), [1.0_f64, 2.0])?;
/// assert!(report.is_ok(), "{report}");
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// The first operation of `f` that fails at `inputs`.
#[track_caller]
pub fn check<T: Float, X: Inputs<T>>(
    f: impl for<'t> Fn(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T>,
    inputs: X,
) -> Result<Report> {
    check_with(f, inputs, &Check::default())
}

/// As [`check`], with another tolerance or to second order: Hessians against differences of gradients.
///
/// # Errors
/// As [`check`].
#[track_caller]
pub fn check_with<T: Float, X: Inputs<T>>(
    f: impl for<'t> Fn(&'t Tape<T>, X::Handles<'t>) -> Scalar<'t, T>,
    inputs: X,
    check: &Check,
) -> Result<Report> {
    let location = Location::caller();
    let function = Whole { f, form: &inputs };
    (checks::<T>().of_function)(&function, &moving(&inputs), check, location)
}

/// The arguments that derivatives are taken of, each as a tensor.
fn moving<T: Float>(inputs: &impl Inputs<T>) -> Vec<Tensor<T>> {
    let mut moving = Vec::new();
    inputs.parts(&mut |part, varies| match part {
        Part::Numbers(numbers) if varies => moving.extend(numbers.iter().map(|&number| Tensor::scalar(number))),
        Part::Tensor(tensor) if varies => moving.push(tensor.clone()),
        _ => {}
    });
    moving
}

fn check_function<T: Float>(
    function: &dyn Function<T>,
    x: &[Tensor<T>],
    check: &Check,
    location: &'static Location<'static>,
) -> Result<Report> {
    function.value(x)?;
    let mut report = Report::default();
    for (order, outcome) in check.outcomes(function, x, Layout::Any).into_iter().enumerate() {
        report.add(Place { position: 0, op: "f", name: None, location: Some(location) }, order + 1, outcome);
    }
    Ok(report)
}

/// The checks, compiled here for both types of number.
struct Checks<T: Float> {
    of_recording: fn(&Tape<T>, &Check) -> Report,
    of_function: FunctionCheck<T>,
}

type FunctionCheck<T> = fn(&dyn Function<T>, &[Tensor<T>], &Check, &'static Location<'static>) -> Result<Report>;

impl<T: Float> Checks<T> {
    const fn new() -> Self {
        Checks { of_recording: recording::check, of_function: check_function }
    }
}

struct BothChecks;

impl Family for BothChecks {
    type Of<T: Float> = Checks<T>;
}

fn checks<T: Float>() -> &'static Checks<T> {
    static SINGLE: Checks<f32> = Checks::new();
    static DOUBLE: Checks<f64> = Checks::new();
    T::pick::<BothChecks>(&SINGLE, &DOUBLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::elementwise::Elementwise;
    use crate::{Conv2dOptions, MaxPool2dOptions, Param, Term, Var, custom, custom_many, custom_numeric};

    const BOTH: Check = Check { order: DerivativeOrder::Second, tolerance: None };

    fn wrong_cube<'t, T: Float>(x: Var<'t, T>) -> (Var<'t, T>, u32) {
        let two = T::from_f64(2.0);
        (custom("cube", [x], |[x]| Ok(x.map(|x| x * x * x)), move |[x], _, g| [g * Term::Number(two) * x * x]), line!())
    }

    fn affine<'t>(x: Var<'t>, (w, b): &(Param, Param)) -> Var<'t> {
        x.matmul(x.param(w)) + x.param(b)
    }

    #[test]
    fn a_rule_that_fails_is_guilty() {
        let tape = Tape::<f64>::new();
        let x = tape.var([1.0, 2.0]);
        let _short = custom("short", [x], |[x]| Ok(x.clone()), |_, _, g| [g.sum_axes(0)]);
        let _numeric = custom_numeric("numeric", [x], |[x]| Ok(x.clone()), |_, _, g| Ok([g.clone()]));
        let report = tape.check_with(&BOTH);
        let guilty: Vec<&str> = report.guilty().map(|finding| finding.place.op).collect();
        assert!(!report.is_ok() && guilty.iter().all(|op| *op == "short") && !guilty.is_empty(), "{report}");
    }

    #[test]
    fn a_wrong_rule_is_named_with_its_line_and_a_right_one_agrees() {
        let tape = Tape::<f64>::new();
        let x = tape.var([1.0, 2.0]).named("x");
        let (_, line) = wrong_cube(x);
        let _right = custom("cube", [x], |[x]| Ok(x.map(|x| x * x * x)), |[x], _, g| [g * 3.0 * x * x]).named("right");
        let right = line!() - 1;
        let report = tape.check();
        assert!(!report.is_ok());
        let expected = [
            "2 rules checked: 1 agree, 1 disagree, 0 undecidable".to_string(),
            format!("DISAGREES: cube at {}:{line}", file!()),
            "    ∂ output [0] / ∂ operand 0 [0]: rule 2, differences 3 ± 9e-13".to_string(),
            "    2 of 4 derivatives".to_string(),
            format!("agrees: cube \"right\" at {}:{right} (4 derivatives)", file!()),
        ];
        assert_eq!(report.to_string().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_kink_is_undecidable() {
        let tape = Tape::<f64>::new();
        let x = tape.var([0.0]);
        let _y = x.relu();
        let line = line!() - 1;
        let report = tape.check();
        assert!(report.is_ok() && report.undecidable().count() == 1);
        let expected = format!(
            "1 rule checked: 0 agree, 0 disagree, 1 undecidable\nundecidable: relu at {}:{line}\n    at a kink: the one-sided \
             differences disagree at every step size; ∂ output [0] / ∂ operand 0 [0]: rule 0, differences 0.5 ± 0.5",
            file!()
        );
        assert_eq!(report.to_string(), expected);
        let root = tape.var([0.0]).sqrt();
        assert_eq!(root.tape().check().undecidable().nth(1).unwrap().verdict, Verdict::Undecidable(Reason::Edge));
    }

    /// Points in the domain, away from kinks of either kind.
    fn points(op: Elementwise, operand: usize, n: usize) -> Vec<f64> {
        let (low, high) = op.facts().domain[operand.min(1)];
        (0..n)
            .map(|k| {
                low + (high - low) * ((k as f64 + 0.5 + 0.01 * operand as f64) * (0.618 + 0.1 * operand as f64)).fract()
            })
            .collect()
    }

    #[test]
    fn every_elementwise_rule_agrees_in_its_domain() {
        for &op in Elementwise::ALL {
            for n in [5, 200] {
                let tape = Tape::<f64>::new();
                let operand = |k: usize| {
                    let numbers = points(op, k, n);
                    // The orders of integer powers and the like are parameters, not operands.
                    if numbers[0] == numbers[1] { Term::Number(numbers[0]) } else { Term::Var(tape.var(numbers)) }
                };
                let x: Vec<Term<'_, f64>> = (0..op.arity()).map(operand).collect();
                let _ = op.at(&x);
                let report = tape.check_with(&BOTH);
                assert!(report.is_ok(), "{report}");
                assert!(report.undecidable().next().is_none() && report.findings().count() == 2, "{op:?} {report}");
            }
        }
    }

    #[test]
    fn scalar_operations_are_checked_at_both_orders() {
        let tape = Tape::<f64>::with_sites();
        let [x, y] = tape.scalars([0.7, 1.3]);
        let mut sum = 2.0 - x;
        for _ in 0..300 {
            sum = (sum * y + x.sin() / 3.0).tanh();
        }
        let report = tape.check_with(&BOTH);
        assert!(report.is_ok(), "{report}");
        let times: Vec<_> = report.findings().map(|finding| (finding.place.op, finding.order, finding.times)).collect();
        assert_eq!(times.len(), 12);
        assert!(times.contains(&("mul", 1, 300)) && times.contains(&("sub", 2, 1)), "{times:?}");
    }

    #[test]
    fn a_training_step_in_single_precision_is_fine() {
        let layer = |inputs, outputs, k: f32| {
            let element = move |i: &[usize]| ((i[0] * outputs + i[1]) as f32 * k).sin() * 0.3;
            (Param::new(Tensor::from_fn([inputs, outputs], element)), Param::new(Tensor::<f32>::zeros([outputs])))
        };
        let (hidden, out) = (layer(6, 32, 1.7), layer(32, 3, 2.3));
        let tape = Tape::<f32>::new();
        let x = tape.constant(Tensor::from_fn([16, 6], |i| (i[0] as f32 - 7.5 + i[1] as f32) * 0.1));
        let loss = affine(affine(x, &hidden).relu(), &out).square().sum() * (1.0 / 16.0);
        loss.backward().unwrap();
        let report = tape.check_with(&BOTH);
        assert!(report.is_ok(), "{report}");
        assert!(report.undecidable().next().is_none(), "{report}");
        assert!(report.findings().any(|finding| finding.place.op == "matmul" && finding.order == 2));
    }

    #[test]
    fn a_step_of_a_convolutional_network_with_ties_is_fine() {
        let wave = |shape: &[usize], k: f64| {
            let mut n = 0.0;
            Tensor::<f32>::from_fn(shape, |_| {
                n += 1.0;
                (n * k).sin() as f32 * 0.4
            })
        };
        let (kernel, weight) = (Param::new(wave(&[4, 1, 3, 3], 1.7)), Param::new(wave(&[36, 5], 2.3)));
        let tape = Tape::<f32>::new();
        let x = tape.constant(wave(&[8, 1, 8, 8], 0.9));
        // Half of the activations are exactly zero: windows whose largest elements tie.
        let hidden = x.conv2d(tape.param(&kernel), None, Conv2dOptions::default()).relu();
        let pooled = hidden.max_pool2d([2, 2], MaxPool2dOptions::default()).reshape([8, 36]);
        let logits = pooled.matmul(tape.param(&weight)).log_softmax(-1);
        let classes = Tensor::from([[0], [1], [2], [3], [4], [0], [1], [2]]);
        let _loss = -(logits.gather(-1, &classes).sum() / 8.0);
        let report = tape.check_with(&BOTH);
        assert!(report.is_ok(), "{report}");
        let ops: Vec<_> = report.findings().map(|finding| (finding.place.op, finding.order)).collect();
        for op in ["conv2d", "relu", "max_pool2d", "matmul", "log_softmax", "gather"] {
            assert!(ops.contains(&(op, 1)) && ops.contains(&(op, 2)), "{op}: {report}");
        }
        let agreeing = report.findings().filter(|finding| finding.verdict == Verdict::Agrees).count();
        assert_eq!(agreeing, ops.len(), "{report}");
    }

    #[test]
    fn one_wrong_element_among_many_is_found() {
        let tape = Tape::<f64>::new();
        let x = tape.var(Tensor::from_fn([40, 50], |i| (i[0] * 50 + i[1]) as f64 * 1e-3));
        let _y = custom_numeric(
            "squares",
            [x],
            |[x]| x.square().reshape([50, 40]),
            |[x], _, g| {
                let mut gx = x.mul(&g.reshape([40, 50])?)?.mul(2.0)?;
                gx.as_mut_slice()[1234] *= 1.5;
                Ok([gx])
            },
        );
        let report = tape.check_with(&BOTH);
        let guilty = report.guilty().next().unwrap();
        let worst = guilty.worst.as_ref().unwrap();
        assert_eq!((worst.index.as_deref(), worst.output_index.as_deref()), (Some(&[24, 34][..]), Some(&[30, 34][..])));
        assert!((worst.analytic - 1.5 * 2.468).abs() < 1e-9 && (worst.numeric - 2.468).abs() < 1e-9, "{worst}");
        let again = report.findings().find(|finding| finding.order == 2).unwrap();
        assert!(matches!(again.verdict, Verdict::Undecidable(Reason::Failed(_))));
    }

    #[test]
    fn several_outputs_constants_and_hooks() {
        let tape = Tape::<f32>::new();
        let x = tape.var([0.5_f32, 1.5]);
        let c = tape.constant([3.0_f32, 4.0]);
        let [sum, product] = custom_many(
            "both",
            [x, c],
            |[x, c]| Ok([x.add(c)?, x.mul(c)?]),
            |[x, c], _, [g, h]| [g + h * c, g + h * x],
        );
        let _ = (sum * product).on_gradient(|g| g * 0.0).detach();
        let report = tape.check_with(&BOTH);
        assert!(report.is_ok(), "{report}");
        let names: Vec<_> = report.findings().map(|finding| finding.place.op).collect();
        assert_eq!(names, ["both", "both", "mul", "mul"], "{report}");
        let tape = Tape::<f32>::new();
        let (_, line) = wrong_cube(tape.var([0.5_f32, 1.5]));
        assert_eq!(tape.check().guilty().next().unwrap().place.location.unwrap().line(), line);
    }

    #[test]
    fn a_rule_that_is_right_once_and_wrong_twice_is_caught_at_second_order() {
        let tape = Tape::<f64>::new();
        let x = tape.var([1.0, 2.0]);
        let _ = custom("square", [x], |[x]| Ok(x.map(|x| x * x)), |[x], _, g| [g * 2.0 * x.detach()]);
        assert!(tape.check().is_ok());
        let report = tape.check_with(&BOTH);
        assert_eq!(report.guilty().map(|finding| finding.order).collect::<Vec<_>>(), [2], "{report}");
    }

    #[test]
    fn whole_functions_of_numbers_and_tensors() {
        let report = check_with(|_, [x, y]| (x * y).sin() / y + x.powi(3), [1.0_f64, 2.0], &BOTH).unwrap();
        assert!(report.is_ok() && report.undecidable().next().is_none(), "{report}");
        let a = Tensor::from_fn([10, 10], |i| ((i[0] * 10 + i[1]) as f32).sin());
        let report = check_with(|_, [a, x]| a.matmul(x).tanh().sum(), [a, Tensor::ones([10])], &BOTH).unwrap();
        assert!(report.is_ok() && report.undecidable().next().is_none(), "{report}");
        let line = line!() + 1;
        let report = check(|_, x: Var<'_, f64>| wrong_cube(x).0.sum(), Tensor::from([1.0, 2.0])).unwrap();
        let expected = format!(
            "1 rule checked: 0 agree, 1 disagree, 0 undecidable\nDISAGREES: f at {}:{line}\n    ∂ output / ∂ operand 0 [0]: \
             rule 2, differences 3 ± 3e-12\n    2 of 2 derivatives",
            file!()
        );
        assert_eq!(report.to_string(), expected);
        let failed = check(|_, x: Var<'_, f64>| x.reshape([3]).sum(), Tensor::from([1.0, 2.0])).unwrap_err();
        assert_eq!(failed.op, "reshape");
        assert!(check(|_, [x, _]| Scalar::constant(x.number.floor()), [1.5_f64, 2.0]).unwrap().is_ok());
    }

    /// Views of one number that are as large as memory lets them be, of which a check must not make numbers.
    #[test]
    fn what_is_far_larger_than_its_memory_is_left_out() {
        let one = Tensor::from([0.5_f64]);
        let n = (24..40).rev().map(|k| 1_usize << k).find(|&n| one.broadcast_to([n]).is_ok()).unwrap();
        let tape = Tape::new();
        let x = tape.var(one.clone());
        let (wide, data) = (x.broadcast_to([n]), tape.constant(one.broadcast_to([n]).unwrap()));
        let part = wide.slice(0, 3..7).square();
        let _ = (wide.reshape([n / 2, 2]).t().index_axis(1, 5), wide.at([n - 1]).sin(), part * data.slice(0, ..4));
        let report = tape.check_with(&BOTH);
        assert!(report.is_ok(), "{report}");
        let large = |finding: &Finding| matches!(finding.verdict, Verdict::Undecidable(Reason::TooLarge { .. }));
        for op in ["broadcast_to", "slice", "permute", "element"] {
            let mut all = report.findings().filter(|finding| finding.place.op == op).peekable();
            assert!(all.peek().is_some() && all.all(large), "{op}: {report}");
        }
        for op in ["square", "sin", "mul"] {
            let mut all = report.findings().filter(|finding| finding.place.op == op).peekable();
            assert!(all.peek().is_some() && all.all(|finding| finding.verdict == Verdict::Agrees), "{op}: {report}");
        }
        let text = report.to_string();
        assert!(text.contains(&format!("too large to be varied: shape [{n}]")), "{text}");

        let report = check_with(|_, x| x.slice(0, ..4).square().sum(), one.broadcast_to([n]).unwrap(), &BOTH).unwrap();
        assert!(report.is_ok() && report.findings().count() == 2 && report.findings().all(large), "{report}");
    }

    #[test]
    fn a_failed_recording_is_not_ok() {
        let tape = Tape::<f64>::new();
        let x = tape.var([1.0, 2.0]);
        let _ = x.exp() + tape.var([1.0, 2.0, 3.0]);
        let report = tape.check();
        assert!(!report.is_ok() && report.guilty().next().is_none());
        assert!(report.to_string().contains("the recording failed: add: shapes do not broadcast"));
    }
}
