//! Why a loss or a gradient is not finite, and why a gradient is missing or zero: read from the recording afterwards, with
//! nothing switched on before.
//!
//! Invariant: walks go along the list of entries, never down a call stack.

mod gradient;
mod text;

use crate::error::Error;
use crate::float::{Family, Float};
use crate::gradients::Gradients;
use crate::operation::Function;
use crate::place::{Operand, entries};
use crate::scalar::Scalar;
use crate::tape::Tape;
use crate::tensor::Tensor;

pub use crate::place::{Place, Range};
pub use gradient::{Blocked, Explainable, Why};

/// What the recording says about a loss or a gradient. Displays as a few lines of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What is the matter.
    pub cause: Cause,
    /// The way from where it is to the loss, both included; of a long way the first and the last steps.
    pub path: Vec<Place>,
    /// How many steps `path` leaves out in the middle.
    pub left_out: usize,
}

/// What is the matter with a loss or a gradient.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The loss and all gradients are finite.
    Finite,
    /// An operation failed.
    Failed(Error),
    /// The loss or the variable is a plain number, or depends on no variable.
    NotOnTape,
    /// The two are on different tapes.
    OtherTape,
    /// The first value that is not finite though its operands are.
    Value {
        /// The operation.
        place: Place,
        /// Its value.
        value: Range,
        /// Its operands.
        operands: Vec<Argument>,
    },
    /// The first rule, in the order of the reverse sweep, that makes a gradient not finite out of a finite one.
    Gradient {
        /// The operation.
        place: Place,
        /// The gradient that it received.
        received: Range,
        /// Its operands, with the gradients that it gave them.
        operands: Vec<Argument>,
    },
    /// Finite gradients of several uses whose sum is not finite.
    Sum {
        /// What was used.
        place: Place,
        /// The sum.
        gradient: Range,
    },
    /// There is a gradient, and it is not zero.
    Flows {
        /// The gradient.
        gradient: Range,
    },
    /// The gradient was asked of a constant, or of something computed from constants.
    Constant {
        /// The constant.
        place: Place,
    },
    /// The parameter is frozen.
    Frozen,
    /// The parameter was never brought onto the tape.
    Absent,
    /// No recorded operation leads to the loss.
    Unused {
        /// The variable.
        place: Place,
        /// The last operation that depends on it.
        last: Option<Place>,
    },
    /// Every way to the loss leads through an operation that ends history.
    Cut {
        /// The operation: `detach`, or one in a scope without gradients.
        place: Place,
    },
    /// The gradient is zero.
    Zero {
        /// The variable.
        place: Place,
        /// Where gradients become zero on their way to it, from the loss on.
        blocked: Vec<Blocked>,
    },
}

/// An operand of an operation that is explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Where it was computed; `None` for a plain number.
    pub place: Option<Place>,
    /// Its value.
    pub value: Range,
    /// The gradient that the operation gave it, where one is meant.
    pub gradient: Option<Range>,
}

/// Steps of a path that are kept at either end.
const PATH_END: usize = 8;

impl<T: Float> Tape<T> {
    /// Why the loss or a gradient of it is not finite: the first operation at fault, forward or backward, with its operands
    /// and the caller's line.
    ///
    /// ```
    /// use autograd::{Tape, explain::Cause};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 0.0]).named("x");
    /// let loss = (x.ln() * 2.0).sum();
    /// let explanation = tape.explain(loss);
    /// assert!(matches!(explanation.cause, Cause::Value { ref place, .. } if place.op == "ln"));
    /// ```
    ///
    /// # Errors
    /// In a program's recording it marks the tape, since it shows numbers.
    #[track_caller]
    pub fn explain(&self, loss: Scalar<'_, T>) -> Explanation {
        if let Err(error) = self.refuse_report("explain") {
            return Cause::Failed(error).alone();
        }
        (explainers::<T>().of_loss)(self, loss)
    }

    fn explain_loss(&self, loss: Scalar<'_, T>) -> Explanation {
        let root = match loss.position(self) {
            Ok(root) => root,
            Err(cause) => return cause.alone(),
        };
        if !loss.number.is_finite() {
            return self.explain_value(root);
        }
        match self.every_gradient(root as u32) {
            Ok(gradients) => self.explain_sweep(root, &gradients),
            Err(error) => Cause::Failed(error).alone(),
        }
    }

    fn explain_value(&self, root: usize) -> Explanation {
        let next = self.ways_to(root, |position| !self.is_finite_at(position));
        let first = next.iter().position(Option::is_some).unwrap_or(root);
        let operands = self.operands(first).iter().map(|operand| self.argument(operand)).collect();
        let cause = Cause::Value { place: self.step(first), value: Range::of(&self.value_at(first)), operands };
        self.explanation(cause, first, &next)
    }

    fn explain_sweep(&self, root: usize, gradients: &Gradients<T>) -> Explanation {
        let mut sum = None;
        for position in (0..=root).rev() {
            match self.arrival(gradients, position) {
                Arrival::Zero => continue,
                Arrival::NotFinite => {
                    sum = sum.or(Some(position));
                    continue;
                }
                Arrival::Finite => {}
            }
            let operands = self.operands(position);
            if entries(&operands).all(|operand| self.arrival(gradients, operand) != Arrival::NotFinite) {
                continue;
            }
            let given = self.given(gradients, position);
            if given.iter().flatten().any(|g| !g.iter().all(T::is_finite)) {
                let argument = |(operand, g): (&Operand<T>, &Option<Tensor<T>>)| Argument {
                    gradient: g.as_ref().map(Range::of),
                    ..self.argument(operand)
                };
                let operands = operands.iter().zip(&given).map(argument).collect();
                let received = Range::of(&self.gradient_at(gradients, position));
                let cause = Cause::Gradient { place: self.step(position), received, operands };
                return self.explanation(cause, position, &self.ways_to(root, |position| self.is_tracked(position)));
            }
        }
        match sum {
            Some(position) => {
                let gradient = Range::of(&self.gradient_at(gradients, position));
                let cause = Cause::Sum { place: self.step(position), gradient };
                self.explanation(cause, position, &self.ways_to(root, |position| self.is_tracked(position)))
            }
            None => Cause::Finite.alone(),
        }
    }

    fn argument(&self, operand: &Operand<T>) -> Argument {
        let (place, value) = match *operand {
            Operand::Entry(position) => (Some(self.step(position)), Range::of(&self.value_at(position))),
            Operand::Number(number) => (None, Range::of(&Tensor::scalar(number))),
        };
        Argument { place, value, gradient: None }
    }

    /// For each entry that leads to `root` through entries that `admits` accepts: the entry that uses it on the way.
    fn ways_to(&self, root: usize, admits: impl Fn(usize) -> bool) -> Vec<Option<u32>> {
        let mut next = vec![None; root + 1];
        next[root] = Some(root as u32);
        for position in (0..=root).rev() {
            if next[position].is_none() {
                continue;
            }
            for operand in entries(&self.operands(position)) {
                if next[operand].is_none() && admits(operand) {
                    next[operand] = Some(position as u32);
                }
            }
        }
        next
    }

    fn explanation(&self, cause: Cause, from: usize, next: &[Option<u32>]) -> Explanation {
        let mut positions = vec![from];
        let mut at = from;
        while let Some(Some(user)) = next.get(at).copied().filter(|user| *user != Some(at as u32)) {
            at = user as usize;
            positions.push(at);
        }
        positions.dedup_by_key(|position| self.step_of(*position));
        let left_out = positions.len().saturating_sub(2 * PATH_END);
        if left_out > 0 {
            positions.drain(PATH_END..PATH_END + left_out);
        }
        Explanation { cause, path: positions.into_iter().map(|position| self.step(position)).collect(), left_out }
    }

    /// A tensor of one number and that number are one step to a reader: the operation that made the tensor.
    fn step_of(&self, position: usize) -> usize {
        let tensor = self.tensor_of(position);
        if self.shape_at(tensor).len() == 1 { tensor } else { position }
    }

    fn step(&self, position: usize) -> Place {
        self.place(self.step_of(position))
    }

    /// The gradient that arrived at an entry.
    fn gradient_at(&self, gradients: &Gradients<T>, position: usize) -> Tensor<T> {
        let Some(slot) = self.slot_at(position) else {
            return Tensor::scalar(scalar_gradient(gradients, position));
        };
        node_gradient(gradients, slot).cloned().unwrap_or_else(|| Tensor::zeros(self.shape_at(position)))
    }

    fn arrival(&self, gradients: &Gradients<T>, position: usize) -> Arrival {
        match self.slot_at(position) {
            Some(slot) => node_gradient(gradients, slot).map_or(Arrival::Zero, |g| Arrival::of(g.iter())),
            None => Arrival::of(std::iter::once(scalar_gradient(gradients, position))),
        }
    }

    /// What the rule of an operation gives each of its operands; `None` for operands without a gradient.
    fn given(&self, gradients: &Gradients<T>, position: usize) -> Vec<Option<Tensor<T>>> {
        let operands = self.operands(position);
        let Some((operation, x)) = self.operation(position) else { return vec![None; operands.len()] };
        let outputs = position..position + self.outputs(position);
        let seeds: Vec<Tensor<T>> = outputs.map(|output| self.gradient_at(gradients, output)).collect();
        self.spread(&operands, operation.vjp(&x, &seeds).unwrap_or_default())
    }

    /// Gradients of the operands that have one, put in their places among all operands.
    fn spread(&self, operands: &[Operand<T>], found: Vec<Tensor<T>>) -> Vec<Option<Tensor<T>>> {
        let has_gradient = |operand: &Operand<T>| matches!(*operand, Operand::Entry(x) if self.is_tracked(x));
        // The elements of a gathered vector are operands of their own.
        if operands.len() != 1 && found.len() == 1 && found[0].len() == operands.len() {
            return operands
                .iter()
                .zip(found[0].iter())
                .map(|(x, g)| has_gradient(x).then(|| Tensor::scalar(g)))
                .collect();
        }
        let mut found = found.into_iter();
        operands.iter().map(|operand| if has_gradient(operand) { found.next() } else { None }).collect()
    }

    /// How many entries from this one on are outputs of the same operation.
    fn outputs(&self, position: usize) -> usize {
        use crate::ops::Op;
        match self.slot_at(position).map(|slot| self.with_node(slot, |node| node.op.clone())) {
            Some(Op::Custom { outputs, .. }) => outputs as usize,
            _ => 1,
        }
    }
}

/// # Explanations
impl<'t, T: Float> Scalar<'t, T> {
    /// Why this or a gradient of it is not finite: see [`Tape::explain`].
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::<f64>::with_sites();
    /// let x = tape.scalar(-1.0);
    /// let loss = x.sqrt() + 1.0;
    /// assert!(loss.explain().to_string().starts_with("sqrt at "));
    /// ```
    #[track_caller]
    pub fn explain(self) -> Explanation {
        match self.tape {
            Some(tape) => tape.explain(self),
            None => Cause::NotOnTape.alone(),
        }
    }

    /// Why the gradient of this with respect to `x` is missing, zero or not finite: see [`Tape::explain_gradient`].
    #[track_caller]
    pub fn explain_gradient(self, x: impl Explainable<T>) -> Explanation {
        match self.tape {
            Some(tape) => tape.explain_gradient(self, x),
            None => Cause::NotOnTape.alone(),
        }
    }
}

/// The explanations, compiled here for both types of number.
struct Explainers<T: Float> {
    of_loss: fn(&Tape<T>, Scalar<'_, T>) -> Explanation,
    of_gradient: fn(&Tape<T>, Scalar<'_, T>, usize) -> Explanation,
}

impl<T: Float> Explainers<T> {
    const fn new() -> Self {
        Explainers { of_loss: Tape::explain_loss, of_gradient: Tape::explain_gradient_at }
    }
}

struct BothExplainers;

impl Family for BothExplainers {
    type Of<T: Float> = Explainers<T>;
}

fn explainers<T: Float>() -> &'static Explainers<T> {
    static SINGLE: Explainers<f32> = Explainers::new();
    static DOUBLE: Explainers<f64> = Explainers::new();
    T::pick::<BothExplainers>(&SINGLE, &DOUBLE)
}

/// What a gradient looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// Zero, or none.
    Zero,
    Finite,
    NotFinite,
}

impl Arrival {
    fn of<T: Float>(gradient: impl Iterator<Item = T>) -> Self {
        let mut arrival = Arrival::Zero;
        for g in gradient {
            if !g.is_finite() {
                return Arrival::NotFinite;
            }
            if g != T::ZERO {
                arrival = Arrival::Finite;
            }
        }
        arrival
    }
}

fn scalar_gradient<T: Float>(gradients: &Gradients<T>, position: usize) -> T {
    gradients.scalars.as_slice().and_then(|all| all.get(position)).copied().unwrap_or(T::ZERO)
}

fn node_gradient<T: Float>(gradients: &Gradients<T>, slot: u32) -> Option<&Tensor<T>> {
    let nodes = &gradients.found.nodes;
    nodes.binary_search_by_key(&slot, |(slot, _)| *slot).ok().map(|found| &nodes[found].1)
}

impl Cause {
    fn alone(self) -> Explanation {
        Explanation { cause: self, path: Vec::new(), left_out: 0 }
    }
}

fn is_zero<T: Float>(x: &Tensor<T>) -> bool {
    x.iter().all(|x| x == T::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Param, custom};

    fn text<T: Float>(loss: Scalar<'_, T>) -> Vec<String> {
        loss.explain().to_string().replace(file!(), "F").lines().map(str::to_string).collect()
    }

    #[test]
    fn the_first_value_that_is_not_finite() {
        let tape = Tape::<f64>::new();
        let x = tape.var([4.0, -1.0, 0.0]).named("x");
        let line = line!() - 1;
        let first = "is the first value that is not finite:";
        let leaf = format!("    operand 0: [3] in -1 ..= 4 from leaf \"x\" at F:{line}");

        let (at, loss) = (line!(), (x.sqrt() * 2.0).sum());
        let value = format!("sqrt at F:{at} {first} [3] in 0 ..= 2, 1 of 3 not finite");
        let way = format!("    the way to the loss: sqrt at F:{at} → mul at F:{at} → sum at F:{at}");
        assert_eq!(text(loss), [value, leaf.clone(), way]);

        let (at, loss) = (line!(), x.ln().sum());
        let value = format!("ln at F:{at} {first} [3] 1.386294, 2 of 3 not finite");
        let way = format!("    the way to the loss: ln at F:{at} → sum at F:{at}");
        assert_eq!(text(loss), [value, leaf, way]);

        let (at, loss) = (line!(), ((x - x) / 0.0).sum());
        let value = format!("div at F:{at} {first} [3] all 3 not finite");
        let operands = [format!("    operand 0: [3] 0 from sub at F:{at}"), "    operand 1: 0".to_string()];
        assert_eq!((&text(loss)[0], &text(loss)[1..3]), (&value, &operands[..]));

        let (at, loss) = (line!(), (x * 1e3).exp().sum());
        let value = format!("exp at F:{at} {first} [3] in 0 ..= 1, 1 of 3 not finite");
        assert_eq!(text(loss)[..2], [value, format!("    operand 0: [3] in -1000 ..= 4000 from mul at F:{at}")]);
    }

    #[test]
    fn data_that_is_not_finite_is_its_own_cause() {
        let tape = Tape::<f32>::new();
        let x = tape.var([1.0_f32, 2.0]);
        let data = tape.constant([f32::NAN, 1.0]);
        let Cause::Value { place, .. } = (x * data).sum().explain().cause else { panic!() };
        assert_eq!((place.op, place.location.unwrap().line()), ("constant", line!() - 2));
        // A value that is not finite and that the loss does not use is no cause.
        let _ = x.sum().explain();
        assert_eq!(x.gt(5.0).select(data, x).sum().explain().cause, Cause::Finite);
    }

    #[test]
    fn the_first_rule_that_makes_a_gradient_not_finite() {
        let tape = Tape::<f64>::new();
        let x = tape.var([4.0, 0.0]).named("x");
        let line = line!() - 1;
        let loss = ((x * 4.0).sqrt() * 3.0).sum();
        let expected = [
            format!("sqrt at F:{} is the first to make a gradient not finite; it received [2] 3", line + 2),
            format!(
                "    operand 0: [2] in 0 ..= 16 from mul at F:{}; its gradient: [2] 0.375, 1 of 2 not finite",
                line + 2
            ),
            format!("    the way to the loss: sqrt at F:{0} → mul at F:{0} → sum at F:{0}", line + 2),
        ];
        assert_eq!(text(loss), expected);
        assert_eq!(loss.explain_gradient(x), loss.explain());
        assert_eq!(text(x.sum()), ["the loss and all its gradients are finite"]);
    }

    #[test]
    fn scalars_are_explained_too_and_deep_tapes_do_not_overflow_the_stack() {
        let tape = Tape::<f64>::with_sites();
        let x = tape.scalar(0.0);
        let line = line!() - 1;
        let root = x.sqrt();
        let mut loss = root;
        for _ in 0..200_000 {
            loss *= 1.0;
        }
        let explanation = loss.explain();
        assert_eq!((explanation.path.len(), explanation.left_out), (16, 199_985));
        let text = text(loss);
        assert_eq!(
            text[0],
            format!("sqrt at F:{} is the first to make a gradient not finite; it received 1", line + 2)
        );
        assert_eq!(text[1], format!("    operand 0: 0 from leaf at F:{line}; its gradient: not finite"));
        assert!(text[2].contains(" → … 199985 more … → mul at F:"));
        assert!(loss.explain_gradient(root).to_string().starts_with("there is a gradient, and it is not zero: 1"));
        assert!(matches!((x / 0.0).explain().cause, Cause::Value { ref operands, .. } if operands[1].place.is_none()));
    }

    #[test]
    fn numbers_read_out_of_tensors_have_the_name_and_the_line_of_the_tensor() {
        let tape = Tape::<f64>::new();
        let x = tape.var([4.0, 0.0]).named("x");
        let line = line!() - 1;
        let way =
            format!("    the way to the loss: leaf \"x\" at F:{line} → element \"x\" at F:{line} → div (operation 2)");
        let hint = "    (a tape made with Tape::with_sites keeps the lines of operations on numbers)";
        assert_eq!(why(x.at([0]) / 2.0, x).lines().skip(1).collect::<Vec<_>>(), [&way, hint]);
        let root = (x - 2.0).sum().sqrt();
        let operand = format!("    operand 0: 0 from sum at F:{}; its gradient: not finite", line!() - 1);
        assert_eq!(text(root)[1], operand);
    }

    #[test]
    fn a_sum_of_gradients_that_overflows() {
        let tape = Tape::<f32>::new();
        let x = tape.var([1e-30_f32]).named("x");
        let loss = (x * 3e38 + x * 3e38).sum();
        let line = line!() - 2;
        let expected =
            format!("the gradients of leaf \"x\" at F:{line} are finite, and their sum is not: [1] not finite");
        assert_eq!(text(loss)[0], expected);
    }

    #[test]
    fn failures_and_handles_from_elsewhere() {
        let tape = Tape::<f64>::new();
        let x = tape.var([1.0, 2.0]);
        let loss = x.sum();
        let other = Tape::<f64>::new();
        assert_eq!(other.explain(loss).cause, Cause::OtherTape);
        assert_eq!(loss.explain_gradient(other.var([1.0])).cause, Cause::OtherTape);
        assert_eq!(
            Scalar::<f64>::constant(1.0).explain().to_string(),
            "it depends on no variable: it is a plain number, or made of constants alone"
        );
        let failed = x.reshape([3]).sum();
        assert!(
            failed
                .explain()
                .to_string()
                .starts_with("an operation failed: reshape: [2] has 2 elements and [3] has 3, at ")
        );
        assert!(matches!(loss.explain_gradient(x.reshape([3])).cause, Cause::Failed(_)));
    }

    fn why<T: Float>(loss: Scalar<'_, T>, x: impl Explainable<T>) -> String {
        loss.explain_gradient(x).to_string().replace(file!(), "F")
    }

    #[test]
    fn why_there_is_no_gradient() {
        let tape = Tape::<f64>::new();
        let weight = Param::new([1.0, 2.0]);
        let mut frozen = Param::new([1.0, 2.0]);
        frozen.freeze();
        let w = tape.param(&weight).named("w");
        let line = line!() - 1;
        let detached = (w.detach() * tape.var([1.0, 2.0])).sum();
        assert_eq!(
            why(detached, &weight),
            format!(
                "no gradient gets past detach at F:{0}\n    the way to the loss: detach at F:{0} → mul at F:{0} → sum at F:{0}",
                line + 2
            )
        );
        // The sum of a constant is a plain number, and so is all that is computed from it.
        let lost = tape.no_grad(|| w + 1.0).sum() * 2.0;
        let expected = format!("no gradient gets past detach at F:{}", line + 2);
        assert_eq!(tape.explain_gradient(lost, w).to_string().replace(file!(), "F"), expected);
        let tape = Tape::<f64>::new();
        let w = tape.param(&weight).named("w");
        let line = line!() - 1;
        let _ = w.exp().sum();
        let outside = tape.var([1.0]).sum();
        assert_eq!(
            why(outside, &weight),
            format!(
                "the loss does not depend on leaf \"w\" at F:{line}: what is computed from it ends at sum at F:{}; a value \
                 read out as a number, a comparison or an index leaves no trace",
                line + 2
            )
        );
        let y = tape.var([1.0]).named("y");
        assert!(
            why(outside, y).starts_with("leaf \"y\" at F:") && why(outside, y).contains(" is not used by the loss; ")
        );
        let plain = tape.no_grad(|| w * 3.0);
        let mixed = (plain * tape.var([1.0, 1.0])).sum();
        let expected = format!("no gradient gets past mul at F:{}: it was computed without gradients\n", line!() - 2);
        assert!(why(mixed, w).starts_with(&expected));
        assert!(why(mixed, plain).ends_with("is a constant"));
        assert_eq!(why(mixed, &frozen), "the parameter is frozen");
        let used = (w * tape.param(&frozen)).sum();
        assert_eq!(why(used, &frozen), "the parameter is frozen");
        assert!(used.backward().unwrap().of(&frozen).unwrap_err().to_string().contains("it is frozen"));
        assert_eq!(why(mixed, &weight.clone()), "the parameter is not on the tape");
        assert_eq!(
            why(mixed, Scalar::constant(1.0)),
            "it depends on no variable: it is a plain number, or made of constants alone"
        );
    }

    #[test]
    fn why_a_gradient_is_zero() {
        let tape = Tape::<f64>::new();
        let x = tape.var([-1.0, -2.0, -3.0]).named("x");
        let line = line!() - 1;
        let dead = (x.relu() * 2.0).sum();
        let zero = format!("the gradient of leaf \"x\" at F:{line} is zero\n");
        let expected = format!(
            "{zero}    relu at F:{0}: its derivative is 0 at all 3 elements; operand 0: [3] in -3 ..= -1\n    the way to the loss: \
             relu at F:{0} → mul at F:{0} → sum at F:{0}",
            line + 2
        );
        assert_eq!(why(dead, x), expected);
        let second = |loss: Scalar<'_, f64>| {
            let text = why(loss, x);
            assert!(text.starts_with(&zero), "{text}");
            text.lines().nth(1).unwrap().split_once(": ").unwrap().1.to_string()
        };
        assert_eq!(
            second((x * 1e3).sigmoid().square().sum()),
            "its derivative is 0 at all 3 elements; operand 0: [3] 0"
        );
        assert_eq!(
            second((x * 1e3).sigmoid().sum()),
            "its derivative is 0 at all 3 elements; operand 0: [3] in -3000 ..= -1000"
        );
        assert_eq!(
            second((x * tape.constant([0.0, 0.0, 0.0])).sum()),
            "it is multiplied by zero; operand 0: [3] in -3 ..= -1"
        );
        assert_eq!(second(x.gt(0.0).count() + x.sum() * 0.0), "it is multiplied by zero; operand 0: -6");
        assert_eq!(second(x.floor().sum()), "its derivative is 0 everywhere; operand 0: [3] in -3 ..= -1");
        let y = tape.var([5.0, 6.0, 7.0]);
        let not_taken =
            "the other operand was taken at every element that received a gradient; operand 1: [3] in -3 ..= -1";
        assert_eq!(second((y - 6.0).gt(9.0).select(x, y).sum()), not_taken);
        assert_eq!(second((x + y).sum() - x.sum()), "the gradients of its uses cancel; operand 0: [3] in -3 ..= -1");
        let elsewhere = "the elements that came from this operand received no gradient; operand 0: [3] in -3 ..= -1";
        assert_eq!(second(custom("none", [x], |[x]| Ok(x.clone()), |_, _, g| [g * 0.0]).sum()), elsewhere);
        let flows = (x.relu() + x * 0.5).sum();
        assert!(
            why(flows, x)
                .starts_with("there is a gradient, and it is not zero: [3] 0.5\n    the way to the loss: leaf")
        );
        let z = tape.var([1.0, -1.0]);
        let partly = (z.relu() * tape.constant([0.0, 1.0])).sum();
        assert!(why(partly, z).contains("its derivative is 0 at 1 of 2 elements, and the others received no gradient"));
    }
}
