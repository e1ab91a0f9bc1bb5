//! Explanations as text.

use std::fmt;

use super::{Argument, Blocked, Cause, Explanation, Why};
use crate::place::Place;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if self.path.len() < 2 {
            return Ok(());
        }
        let kept = self.path.len() / 2;
        f.write_str("\n    the way to the loss: ")?;
        for (k, place) in self.path.iter().enumerate() {
            if k > 0 {
                f.write_str(" → ")?;
            }
            if self.left_out > 0 && k == kept {
                write!(f, "… {} more … → ", self.left_out)?;
            }
            write!(f, "{place}")?;
        }
        if self.path.iter().any(|place| place.location.is_none()) {
            f.write_str("\n    (a tape made with Tape::with_sites keeps the lines of operations on numbers)")?;
        }
        Ok(())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Finite => f.write_str("the loss and all its gradients are finite"),
            Cause::Failed(error) => write!(f, "an operation failed: {error}"),
            Cause::NotOnTape => {
                f.write_str("it depends on no variable: it is a plain number, or made of constants alone")
            }
            Cause::OtherTape => f.write_str("it is on another tape"),
            Cause::Value { place, value, operands } => {
                write!(f, "{place} is the first value that is not finite: {value}")?;
                arguments(f, operands)
            }
            Cause::Gradient { place, received, operands } => {
                write!(f, "{place} is the first to make a gradient not finite; it received {received}")?;
                arguments(f, operands)
            }
            Cause::Sum { place, gradient } => {
                write!(f, "the gradients of {place} are finite, and their sum is not: {gradient}")
            }
            Cause::Flows { gradient } => write!(f, "there is a gradient, and it is not zero: {gradient}"),
            Cause::Constant { place } => write!(f, "{place} is a constant"),
            Cause::Frozen => f.write_str("the parameter is frozen"),
            Cause::Absent => f.write_str("the parameter is not on the tape"),
            Cause::Unused { place, last } => unused(f, place, last.as_ref()),
            Cause::Cut { place } if place.op == "detach" => write!(f, "no gradient gets past {place}"),
            Cause::Cut { place } => write!(f, "no gradient gets past {place}: it was computed without gradients"),
            Cause::Zero { place, blocked } => {
                write!(f, "the gradient of {place} is zero")?;
                blocked.iter().try_for_each(|blocked| write!(f, "\n    {blocked}"))
            }
        }
    }
}

fn arguments(f: &mut fmt::Formatter<'_>, arguments: &[Argument]) -> fmt::Result {
    for (k, argument) in arguments.iter().enumerate() {
        write!(f, "\n    operand {k}: {}", argument.value)?;
        if let Some(place) = &argument.place {
            write!(f, " from {place}")?;
        }
        if let Some(gradient) = &argument.gradient {
            write!(f, "; its gradient: {gradient}")?;
        }
    }
    Ok(())
}

fn unused(f: &mut fmt::Formatter<'_>, place: &Place, last: Option<&Place>) -> fmt::Result {
    match last {
        Some(last) => write!(f, "the loss does not depend on {place}: what is computed from it ends at {last}")?,
        None => write!(f, "{place} is not used by the loss")?,
    }
    f.write_str("; a value read out as a number, a comparison or an index leaves no trace")
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; operand {}: {}", self.place, self.why, self.operand, self.value)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Flat => f.write_str("its derivative is 0 everywhere"),
            Why::FlatHere { zeros: 1, len: 1 } => f.write_str("its derivative is 0 here"),
            Why::FlatHere { zeros, len } if zeros == len => write!(f, "its derivative is 0 at all {len} elements"),
            Why::FlatHere { zeros, len } => {
                write!(f, "its derivative is 0 at {zeros} of {len} elements, and the others received no gradient")
            }
            Why::TimesZero => f.write_str("it is multiplied by zero"),
            Why::NotTaken => f.write_str("the other operand was taken at every element that received a gradient"),
            Why::Condition => f.write_str("it only chooses between the other operands"),
            Why::Elsewhere => f.write_str("the elements that came from this operand received no gradient"),
            Why::Cancels => f.write_str("the gradients of its uses cancel"),
        }
    }
}
