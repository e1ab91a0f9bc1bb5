//! What shapes alone tell of a formula.

use super::{Tensors, for_each};
use crate::float::Float;
use crate::kernel::samples::Draws;
use crate::laws::cases::{Case, cases, formulas};
use crate::laws::samples::layouts;
use crate::operation::Part;
use crate::ops::{KeptShape, Op, Operands, Saved, Shapes, Value};
use crate::shape::Shape;
use crate::tape::{Input, Tape};
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;
use crate::var::Var;

/// The op of a case, if it has a rule, with all tensors that it takes.
pub(super) fn operands<T: Float>(case: &Case<T>, x: &[Tensor<T>]) -> Option<(Op, Tensors<T>)> {
    let mut moving = x.iter().cloned();
    let part = |part: &Part<T>| match part {
        Part::Moving => moving.next().unwrap(),
        Part::Fixed(tensor) => tensor.clone(),
        Part::Number(number) => Tensor::scalar(*number),
    };
    let tensors = case.operation.operands.iter().map(part).collect();
    case.op().map(|op| (op.clone(), tensors))
}

#[test]
fn shapes_alone_give_the_shapes_of_what_is_computed() {
    for_each::<f64>(|case, _| {
        for kind in 0..4 {
            let x: Tensors<f64> = case.x.iter().map(|x| layouts(x, kind)).collect();
            let Some((op, tensors)) = operands(case, &x) else { return };
            let integers: Vec<Integers> = case.operation.integers.iter().cloned().map(Integers::new).collect();
            let shapes: Vec<&Shape> = tensors.iter().map(Tensor::shape).collect();
            let of_integers: Vec<&Shape> = integers.iter().map(Integers::shape).collect();
            let shapes = Shapes { tensors: &shapes, integers: &of_integers };
            let shape = op.shape(shapes).unwrap().unwrap();
            let Value { tensor, saved } = op.of(Operands { tensors: &tensors, integers: &integers }).unwrap().unwrap();
            assert_eq!(&shape, tensor.shape(), "{case:?} {kind}");
            match (op.kept_shape(shapes, &shape), saved) {
                (KeptShape::Nothing, Saved::Nothing) => {}
                (KeptShape::Tensor(shape), Saved::Tensor(kept)) => assert_eq!(&shape, kept.shape(), "{case:?} {kind}"),
                (KeptShape::Integers(shape), Saved::Integers(kept)) => {
                    assert_eq!(&shape, kept.shape(), "{case:?} {kind}");
                }
                _ => panic!("{case:?} keeps something else than its rule says"),
            }
        }
    });
}

/// The flag promises that the value shows elements of a dense operand; and an op that does so in all its cases should say it.
#[test]
fn ops_whose_values_are_views_say_so() {
    let cases = cases::<f64>();
    let shares = |op: &Op, tensors: &[Tensor<f64>], case: &Case<f64>| {
        let integers: Vec<Integers> = case.operation.integers.iter().cloned().map(Integers::new).collect();
        let y = op.of(Operands { tensors, integers: &integers }).unwrap().unwrap().tensor;
        let elements = |x: &Tensor<f64>| x.buffer.as_slice().as_ptr();
        y.is_empty() || tensors.iter().any(|x| elements(x) == elements(&y))
    };
    for name in Op::NAMES {
        let of_op = cases.iter().filter(|case| case.name == *name);
        let found: Vec<(bool, bool)> = of_op
            .filter_map(|case| {
                let x: Tensors<f64> = case.x.iter().map(Tensor::contiguous).collect();
                let (op, tensors) = operands(case, &x)?;
                Some((op.is_view(), shares(&op, &tensors, case)))
            })
            .collect();
        let says = found.first().is_some_and(|&(says, _)| says);
        let is = !found.is_empty() && found.iter().all(|&(_, is)| is);
        assert_eq!(says, is, "{name}: what the flag says, and what the op does");
    }
}

/// The first and the second derivatives too.
#[test]
fn a_tape_of_shapes_records_every_formula_and_no_element() {
    for (seed, formula) in formulas::<f64>().iter().enumerate() {
        let shapes = |tape: &Tape<f64>| -> Vec<Shape> {
            let x: Vec<_> = formula.point(&mut Draws(seed as u64)).into_iter().map(|x| tape.var(x)).collect();
            let y = formula.of(&x);
            let gradients: Vec<_> = x.iter().map(|&x| y.grad(x, tape.filled(y.shape(), 1.0))).collect();
            let second = x.iter().zip(&gradients).map(|(&x, &z)| z.grad(x, tape.filled(z.shape(), 1.0)));
            let second: Vec<_> = second.collect();
            [y].into_iter().chain(gradients).chain(second).map(Var::shape).collect()
        };
        let (tape, hollow) = (Tape::new(), Tape::of_shapes());
        assert_eq!(shapes(&hollow), shapes(&tape), "formula {seed}");
        let nodes = hollow.nodes();
        for node in nodes.iter().filter(|node| !matches!(node.op, Op::Leaf | Op::Constant)) {
            let is_computed = matches!(node.op, Op::FromScalars { .. } | Op::Custom { .. } | Op::Output { .. });
            // Where a variable begins anew its value is another handle to the same elements.
            let is_copy =
                |input: &Input<f64>| matches!(*input, Input::Node(x) if nodes[x as usize].value == node.value);
            let is_known = is_computed || matches!(node.op, Op::Reshape(_)) && node.inputs.iter().all(is_copy);
            assert!(is_known || node.value.iter().all(f64::is_nan), "formula {seed}: {}", node.op.name());
        }
    }
}

#[test]
fn a_tape_of_shapes_has_nothing_to_read() {
    let tape = Tape::<f64>::of_shapes();
    let x = tape.placeholder([1 << 30, 1 << 20]);
    let texts = [
        x.sin().value().unwrap_err().to_string(),
        x.argmax(0).value().unwrap_err().to_string(),
        x.sum().value().unwrap_err().to_string(),
        tape.var([1.0]).sum().backward().unwrap_err().to_string(),
        tape.check().to_string(),
    ];
    for text in &texts[..4] {
        assert!(text.contains("the tape holds shapes and no elements, at "), "{text}");
    }
    let nowhere = tape.placeholder([usize::MAX, 2]);
    assert!(nowhere.is_failed() && x.broadcast_to([1 << 30, 1 << 30, 1 << 20]).is_failed());
}
