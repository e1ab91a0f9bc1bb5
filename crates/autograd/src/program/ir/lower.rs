//! From a recording to code: constants folded, equal operations merged, tensors of one number known by it.

use std::collections::{HashMap, HashSet};
use std::panic::Location;

use smallvec::SmallVec;

use crate::float::Float;
use crate::ops::elementwise::Elementwise;
use crate::ops::integers::IntegerOp;
use crate::ops::{Embed, Op};
use crate::program::Ends;
use crate::program::ir::{
    Code, Guard, INTEGERS, Instruction, NUMBER, Observation, ShapeId, TensorGuard, TensorOp, TensorOpKind, ValueId,
};
use crate::shape::Shape;
use crate::tape::{CONSTANT, Input, LIMIT, Node, Source, Step, Subject, Tape};
use crate::tensor::Tensor;

impl<T: Float> Code<T> {
    /// The code of `results` as functions of `inputs`, which are leaves of the tape; the first nodes, so many, are of the
    /// function itself, the others of its derivatives.
    pub fn of(tape: &Tape<T>, inputs: &Ends<'_, T>, results: &Ends<'_, T>, of_function: u32) -> Self {
        let guards = tape.guards();
        let mut lowering = Lowering {
            tape,
            detached: guards.detached.iter().copied().collect(),
            code: Code::default(),
            merged: HashMap::new(),
            never_minus_zero: HashSet::new(),
            filled: HashMap::new(),
            shape_ids: HashMap::new(),
            known: vec![CONSTANT; tape.len()],
        };
        lowering.code.recorded = tape.len() - inputs.numbers.len() - inputs.tensors.len() - inputs.integers.len();
        for (place, input) in inputs.numbers.iter().enumerate() {
            lowering.known[input.index as usize] = lowering.code.emit(Instruction::Input(place as u32), NUMBER);
        }
        for (place, input) in inputs.tensors.iter().enumerate() {
            let (entry, location) = tape.with_node(input.slot, |node| (node.entry, node.location));
            let tensor_op = TensorOp { kind: TensorOpKind::Input(place as u32), operands: SmallVec::new(), location };
            lowering.known[entry as usize] = lowering.emit_tensor_op(tensor_op, Some(&input.shape()));
        }
        for (place, input) in inputs.integers.iter().enumerate() {
            let (entry, location) = tape.with_integers(input.slot, |node| (node.entry, node.location));
            let tensor_op =
                TensorOp { kind: TensorOpKind::GivenIntegers(place as u32), operands: SmallVec::new(), location };
            lowering.known[entry as usize] = lowering.emit_integer_op(tensor_op);
        }
        let entry_of = |slot: u32| tape.with_node(slot, |node| node.entry);
        let subjects = guards.outcomes.iter().map(|outcome| match outcome.subject {
            Subject::Comparison(entry) => entry,
            Subject::Tensor(slot) => entry_of(slot),
            Subject::Integers(slot) => tape.with_integers(slot, |node| node.entry),
        });
        let scalars = results.numbers.iter().map(|result| result.index).filter(|&index| index < LIMIT);
        let tensors = results.tensors.iter().map(|result| entry_of(result.slot));
        let integers = results.integers.iter().map(|result| tape.with_integers(result.slot, |node| node.entry));
        let mut needed = lowering.needed(&scalars.chain(tensors).chain(integers).chain(subjects).collect::<Vec<_>>());
        let is_unused = |slot: &u32| needed.binary_search(&entry_of(*slot)).is_err() && lowering.may_fail(*slot);
        let unused: Vec<u32> = (0..of_function).filter(is_unused).collect();
        if !unused.is_empty() {
            needed = lowering
                .needed(&needed.iter().copied().chain(unused.iter().map(|&slot| entry_of(slot))).collect::<Vec<_>>());
        }
        for index in needed {
            if lowering.known[index as usize] == CONSTANT {
                lowering.known[index as usize] = lowering.entry(index);
            }
        }
        for result in &results.numbers {
            let value = match result.index < LIMIT {
                true => lowering.known[result.index as usize],
                false => lowering.constant(result.number),
            };
            lowering.code.results.push(value);
        }
        for result in &results.tensors {
            let value = lowering.tensor(result.slot);
            lowering.code.results.push(value);
        }
        for result in &results.integers {
            let entry = tape.with_integers(result.slot, |node| node.entry);
            lowering.code.results.push(lowering.known[entry as usize]);
        }
        for (ordinal, outcome) in guards.outcomes.iter().enumerate() {
            lowering.guard(ordinal as u32, outcome.subject, outcome.holds);
        }
        let ordinal = guards.outcomes.len() as u32;
        unused.iter().for_each(|&slot| lowering.guard_tensor(ordinal, slot, Observation::Computed));
        lowering.code
    }
}

/// What values that are merged have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum ValueNumber {
    Constant(u64),
    Operation(Elementwise, [ValueId; 3]),
}

/// A recording on its way to code.
struct Lowering<'t, T: Float> {
    tape: &'t Tape<T>,
    /// Leaves that stand for entries without their history.
    detached: HashMap<u32, u32>,
    code: Code<T>,
    /// Where each constant is, by its bits, and each operation on elements.
    merged: HashMap<ValueNumber, ValueId>,
    /// Values of which no run makes −0, so that to add 0 to them changes nothing.
    never_minus_zero: HashSet<ValueId>,
    /// Tensors that are one number everywhere.
    filled: HashMap<(ValueId, ShapeId), ValueId>,
    shape_ids: HashMap<Shape, ShapeId>,
    /// The value of each entry that has been read. That of a node may be a number that stands for all its elements.
    known: Vec<ValueId>,
}

impl<T: Float> Lowering<'_, T> {
    /// What the roots depend on, in the order of execution.
    fn needed(&self, roots: &[u32]) -> Vec<u32> {
        let mut needed = vec![false; self.tape.len()];
        roots.iter().for_each(|&root| needed[root as usize] = true);
        let (nodes, integers) = (self.tape.nodes(), self.tape.all_integers());
        for index in (0..needed.len()).rev().filter(|&index| self.known[index] == CONSTANT) {
            if !needed[index] {
                continue;
            }
            let entry = self.tape.entry(index);
            match entry.step() {
                Step::Leaf => {
                    if let Some(&source) = self.detached.get(&(index as u32)) {
                        needed[source as usize] = true;
                    }
                }
                Step::Element => match self.gathered(&nodes[entry.operand as usize].op, entry.second()) {
                    Some(source) if source < LIMIT => needed[source as usize] = true,
                    Some(_) => {}
                    None => needed[nodes[entry.operand as usize].entry as usize] = true,
                },
                Step::Node => {
                    let node = &nodes[entry.operand as usize];
                    match node.op {
                        Op::FromScalars { start, len } => {
                            let scalars = self.tape.gathered(start, len);
                            scalars.iter().filter(|&&x| x < LIMIT).for_each(|&x| needed[x as usize] = true);
                        }
                        Op::Output { back } => needed[nodes[(entry.operand - back) as usize].entry as usize] = true,
                        _ => {
                            for input in &node.inputs {
                                if let Input::Node(slot) = *input {
                                    needed[nodes[slot as usize].entry as usize] = true;
                                }
                            }
                            for &slot in &node.integers {
                                needed[integers[slot as usize].entry as usize] = true;
                            }
                        }
                    }
                }
                Step::Integers => match integers[entry.operand as usize].source {
                    Source::Nothing => {}
                    Source::Node(slot) => needed[nodes[slot as usize].entry as usize] = true,
                    Source::Integers(slot) => needed[integers[slot as usize].entry as usize] = true,
                },
                Step::Unary(_) | Step::Right(_) | Step::Left(_) => needed[entry.operand as usize] = true,
                Step::Both(_) => {
                    needed[entry.operand as usize] = true;
                    needed[entry.second()] = true;
                }
            }
        }
        (0..needed.len() as u32).filter(|&index| needed[index as usize]).collect()
    }

    /// Whether the operation of a node may fail in another run. So it runs though nobody needs the result.
    fn may_fail(&self, slot: u32) -> bool {
        self.tape.with_node(slot, |node| {
            matches!(node.op, Op::Custom { .. }) || !(node.integers.is_empty() || matches!(node.op, Op::Draw(_)))
        })
    }

    /// The entry behind an element of scalars that were gathered into a tensor.
    fn gathered(&self, op: &Op, element: usize) -> Option<u32> {
        match *op {
            Op::FromScalars { start, .. } => self.tape.gathered(start + element, 1).first().copied(),
            _ => None,
        }
    }

    fn entry(&mut self, index: u32) -> ValueId {
        if let Some(&source) = self.detached.get(&index) {
            return self.known[source as usize];
        }
        let entry = self.tape.entry(index as usize);
        let x = || self.known[entry.operand as usize];
        match entry.step() {
            Step::Leaf => self.constant(entry.value),
            Step::Unary(op) => self.operation(op, &[x()], NUMBER),
            Step::Both(op) => self.operation(op, &[x(), self.known[entry.second()]], NUMBER),
            Step::Right(op) => {
                let (x, constant) = (x(), self.constant(entry.constant()));
                self.operation(op, &[x, constant], NUMBER)
            }
            Step::Left(op) => {
                let (x, constant) = (x(), self.constant(entry.constant()));
                self.operation(op, &[constant, x], NUMBER)
            }
            Step::Element => {
                let tape = self.tape;
                let nodes = tape.nodes();
                let node = &nodes[entry.operand as usize];
                match self.gathered(&node.op, entry.second()) {
                    Some(source) if source < LIMIT => self.known[source as usize],
                    Some(_) => self.constant(entry.value),
                    None => self.element(self.known[node.entry as usize], entry.second(), node.location),
                }
            }
            Step::Node => {
                let tape = self.tape;
                self.node(entry.operand, &tape.nodes()[entry.operand as usize])
            }
            Step::Integers => self.integers(entry.operand),
        }
    }

    fn element(&mut self, tensor: ValueId, element: usize, location: &'static Location<'static>) -> ValueId {
        if self.is_number(tensor) {
            return tensor;
        }
        if let Some(number) = self.code.constant(tensor).and_then(|tensor| tensor.element(element)) {
            return self.constant(number);
        }
        let operands = SmallVec::from_slice(&[tensor]);
        self.emit_tensor_op(TensorOp { kind: TensorOpKind::Element(element), operands, location }, None)
    }

    /// A tensor operation. A tensor that is one number everywhere is known by that number.
    fn node(&mut self, slot: u32, node: &Node<T>) -> ValueId {
        let shape = node.value.shape();
        let location = node.location;
        match &node.op {
            Op::Leaf | Op::Constant => {
                if let (1, Some(&[number])) = (shape.len(), node.value.as_slice()) {
                    return self.constant(number);
                }
                self.emit_tensor_op(
                    TensorOp { kind: TensorOpKind::Constant(node.value.clone()), operands: SmallVec::new(), location },
                    Some(shape),
                )
            }
            Op::Detach => self.input(&node.inputs[0]),
            Op::Elementwise(op) => {
                let x: SmallVec<[ValueId; 3]> = node.inputs.iter().map(|x| self.input(x)).collect();
                let shape_id = if x.iter().all(|&x| self.is_number(x)) { NUMBER } else { self.shape_id(shape) };
                self.operation(*op, &x, shape_id)
            }
            Op::FromScalars { start, len } => {
                let scalars = self.tape.gathered(*start, *len);
                let numbers = node.value.as_slice().unwrap_or_default();
                let operands: SmallVec<[ValueId; 4]> = (scalars.iter().zip(numbers))
                    .map(|(&index, &number)| match index < LIMIT {
                        true => self.known[index as usize],
                        false => self.constant(number),
                    })
                    .collect();
                match operands[..] {
                    [number] => number,
                    _ => self.emit_tensor_op(TensorOp { kind: TensorOpKind::Gather, operands, location }, Some(shape)),
                }
            }
            Op::Output { back } => {
                let shape_id = self.shape_id(shape);
                self.output(slot - back, *back, shape_id)
            }
            Op::Kept => {
                let Some(&Input::Node(of)) = node.inputs.first() else { return self.constant(T::NAN) };
                let shape_id = self.shape_id(shape);
                self.output(of, 1, shape_id)
            }
            Op::Custom { rule, .. } => {
                let kind = TensorOpKind::Custom(self.tape.custom(*rule));
                let operands = self.operands(node);
                self.emit_tensor_op(TensorOp { kind, operands, location }, Some(shape))
            }
            op => {
                let moved = matches!(
                    op,
                    Op::Reshape(_)
                        | Op::Permute(_)
                        | Op::BroadcastTo(_)
                        | Op::Slice(_)
                        | Op::Flip(_)
                        | Op::Embed(Embed { start: 0, size: 1, .. })
                );
                if moved && !shape.is_empty() {
                    let only = self.input(&node.inputs[0]);
                    if self.is_number(only) {
                        return only;
                    }
                }
                let operands = self.operands(node);
                self.emit_tensor_op(TensorOp { kind: TensorOpKind::Table(op.clone()), operands, location }, Some(shape))
            }
        }
    }

    /// Integers. A tensor that is a number everywhere is searched as a tensor.
    fn integers(&mut self, slot: u32) -> ValueId {
        let tape = self.tape;
        let (op, source, location) = tape.with_integers(slot, |node| (node.op.clone(), node.source, node.location));
        let operand = match source {
            Source::Nothing => {
                let kind = TensorOpKind::ConstantIntegers(tape.with_integers(slot, |node| node.value.clone()));
                return self.emit_integer_op(TensorOp { kind, operands: SmallVec::new(), location });
            }
            Source::Node(of) if matches!(op, IntegerOp::Kept) => return self.output(of, 1, INTEGERS),
            Source::Node(of) => self.tensor(of),
            Source::Integers(of) => self.known[tape.with_integers(of, |node| node.entry) as usize],
        };
        let operands = SmallVec::from_slice(&[operand]);
        self.emit_integer_op(TensorOp { kind: TensorOpKind::Integers(op), operands, location })
    }

    fn emit_integer_op(&mut self, tensor_op: TensorOp<T>) -> ValueId {
        self.code.tensor_ops.push(tensor_op);
        self.code.emit(Instruction::Output((self.code.tensor_ops.len() - 1) as u32, 0), INTEGERS)
    }

    /// One more result of the operation of a node.
    fn output(&mut self, of: u32, result: u32, shape_id: ShapeId) -> ValueId {
        let first = self.known[self.tape.with_node(of, |node| node.entry) as usize];
        match self.code.values[first as usize] {
            Instruction::Output(tensor_op, _) => self.code.emit(Instruction::Output(tensor_op, result), shape_id),
            _ => first,
        }
    }

    /// The operands of a node, as tensors of their shapes.
    fn operands(&mut self, node: &Node<T>) -> SmallVec<[ValueId; 4]> {
        let mut operands = SmallVec::new();
        for input in &node.inputs {
            operands.push(match *input {
                Input::Node(slot) => self.tensor(slot),
                Input::Number(number) => {
                    let number = self.constant(number);
                    self.filled(number, &Shape::default(), node.location)
                }
            });
        }
        let integers = node.integers.iter();
        operands.extend(integers.map(|&slot| self.known[self.tape.with_integers(slot, |node| node.entry) as usize]));
        operands
    }

    fn input(&mut self, input: &Input<T>) -> ValueId {
        match *input {
            Input::Node(slot) => self.known[self.tape.with_node(slot, |node| node.entry) as usize],
            Input::Number(number) => self.constant(number),
        }
    }

    /// The value of a node as a tensor of its shape.
    fn tensor(&mut self, slot: u32) -> ValueId {
        let (entry, shape, location) =
            self.tape.with_node(slot, |node| (node.entry, node.value.shape().clone(), node.location));
        let value = self.known[entry as usize];
        match self.is_number(value) {
            true => self.filled(value, &shape, location),
            false => value,
        }
    }

    fn filled(&mut self, number: ValueId, shape: &Shape, location: &'static Location<'static>) -> ValueId {
        let shape_id = self.shape_id(shape);
        if let Some(&filled) = self.filled.get(&(number, shape_id)) {
            return filled;
        }
        let filled = match self.code.values[number as usize] {
            Instruction::Constant(number) => {
                let tensor = Tensor::scalar(number);
                let tensor = tensor.broadcast_to(shape.clone()).unwrap_or(tensor);
                TensorOp { kind: TensorOpKind::Constant(tensor), operands: SmallVec::new(), location }
            }
            _ => TensorOp {
                kind: TensorOpKind::Fill(shape.clone()),
                operands: SmallVec::from_slice(&[number]),
                location,
            },
        };
        let filled = self.emit_tensor_op(filled, Some(shape));
        self.filled.insert((number, shape_id), filled);
        filled
    }

    fn guard(&mut self, ordinal: u32, subject: Subject, holds: bool) {
        match subject {
            Subject::Comparison(entry) => {
                let comparison = self.known[entry as usize];
                if !self.code.is_constant(comparison) {
                    self.code.guards.push(Guard { ordinal, comparison, holds });
                }
            }
            Subject::Tensor(slot) => {
                let elements = self.tape.guards().read[&slot].clone();
                self.guard_tensor(ordinal, slot, Observation::Elements(elements));
            }
            Subject::Integers(slot) => {
                let (entry, list) = self.tape.with_integers(slot, |node| (node.entry, node.value.list.clone()));
                let tensor = self.known[entry as usize];
                if !self.code.is_constant(tensor) {
                    self.code.tensor_guards.push(TensorGuard { ordinal, tensor, look: Observation::Integers(list) });
                }
            }
        }
    }

    fn guard_tensor(&mut self, ordinal: u32, slot: u32, look: Observation<T>) {
        let tensor = self.tensor(slot);
        if !self.code.is_constant(tensor) {
            self.code.tensor_guards.push(TensorGuard { ordinal, tensor, look });
        }
    }

    /// A tensor op and its first result, a number where it has no shape.
    fn emit_tensor_op(&mut self, tensor_op: TensorOp<T>, shape: Option<&Shape>) -> ValueId {
        let shape_id = shape.map_or(NUMBER, |shape| self.shape_id(shape));
        if let (false, Some(shape)) = (tensor_op.kind.is_given(), shape) {
            self.code.recorded_bytes += shape.len().saturating_mul(size_of::<T>());
        }
        self.code.tensor_ops.push(tensor_op);
        self.code.emit(Instruction::Output((self.code.tensor_ops.len() - 1) as u32, 0), shape_id)
    }

    fn shape_id(&mut self, shape: &Shape) -> ShapeId {
        if let Some(&shape_id) = self.shape_ids.get(shape) {
            return shape_id;
        }
        let shape_id = self.code.shapes.len() as ShapeId;
        self.code.shapes.push(shape.clone());
        self.shape_ids.insert(shape.clone(), shape_id);
        shape_id
    }

    fn is_number(&self, value: ValueId) -> bool {
        self.code.shape_ids[value as usize] == NUMBER
    }

    fn constant(&mut self, number: T) -> ValueId {
        self.merged(ValueNumber::Constant(number.to_f64().to_bits()), Instruction::Constant(number), NUMBER)
    }

    /// The value of an operation: what it simplifies to, or itself, once.
    ///
    /// Every simplification keeps the bits of the value, the sign of a zero too: x·0 is not 0, and x + 0 is x only where x is
    /// not −0. An operand takes the place of the result only where it has its shape.
    fn operation(&mut self, op: Elementwise, operands: &[ValueId], shape_id: ShapeId) -> ValueId {
        use Elementwise::{add, div, masked_mul, mul, neg, powi, select, sub};
        use Instruction::{Constant, Operation};
        let all = [0, 1, 2].map(|k| operands[k.min(operands.len() - 1)]);
        let [x, y, z] = all;
        let [by_x, by_y, _] = all.map(|operand| self.code.values[operand as usize]);
        let is = |instruction: Instruction<T>, number: T| match instruction {
            Constant(constant) => constant.to_f64().to_bits() == number.to_f64().to_bits(),
            _ => false,
        };
        let fits = |value: ValueId| self.code.shape_ids[value as usize] == shape_id;
        let unsigned = |value: ValueId| self.never_minus_zero.contains(&value);
        if let Some(folded) = self.folded(op, operands) {
            return self.constant(folded);
        }
        match (op, by_x, by_y) {
            (select, Constant(c), _) if c != T::ZERO && fits(y) => y,
            (select, Constant(c), _) if c == T::ZERO && fits(z) => z,
            (mul, _, b) if is(b, T::ONE) && fits(x) => x,
            (mul, a, _) if is(a, T::ONE) && fits(y) => y,
            (mul, _, b) if is(b, -T::ONE) && fits(x) => self.operation(neg, &[x], shape_id),
            (mul, a, _) if is(a, -T::ONE) && fits(y) => self.operation(neg, &[y], shape_id),
            (div | powi, _, b) if is(b, T::ONE) && fits(x) => x,
            (add, _, b) if (is(b, -T::ZERO) || is(b, T::ZERO) && unsigned(x)) && fits(x) => x,
            (sub, _, b) if (is(b, T::ZERO) || is(b, -T::ZERO) && unsigned(x)) && fits(x) => x,
            (masked_mul, Constant(a), _) | (masked_mul, _, Constant(a)) if a == T::ZERO => self.constant(T::ZERO),
            (masked_mul, _, b) if is(b, T::ONE) && unsigned(x) && fits(x) => x,
            (masked_mul, a, _) if is(a, T::ONE) && unsigned(y) && fits(y) => y,
            (neg, Operation(neg, [z, ..]), _) => z,
            (add, _, Operation(neg, [z, ..])) => self.operation(sub, &[x, z], shape_id),
            (add, Operation(neg, [z, ..]), _) => self.operation(sub, &[y, z], shape_id),
            (sub, _, Operation(neg, [z, ..])) => self.operation(add, &[x, z], shape_id),
            (add | mul | masked_mul, ..) if x > y => self.merged_operation(op, [y, x, x], shape_id),
            _ => self.merged_operation(op, all, shape_id),
        }
    }

    /// The value of an operation on constants.
    fn folded(&self, op: Elementwise, operands: &[ValueId]) -> Option<T> {
        let mut numbers: SmallVec<[T; 3]> = SmallVec::new();
        for &operand in operands {
            let Instruction::Constant(number) = self.code.values[operand as usize] else { return None };
            numbers.push(number);
        }
        Some(op.at(&numbers))
    }

    fn merged_operation(&mut self, op: Elementwise, operands: [ValueId; 3], shape_id: ShapeId) -> ValueId {
        let value = self.merged(ValueNumber::Operation(op, operands), Instruction::Operation(op, operands), shape_id);
        if self.has_no_minus_zero(op, operands) {
            self.never_minus_zero.insert(value);
        }
        value
    }

    /// Whether an operation never makes −0: a sum does only of two.
    fn has_no_minus_zero(&self, op: Elementwise, [x, y, z]: [ValueId; 3]) -> bool {
        use Elementwise::{abs, add, eq, exp, ge, gt, le, lt, masked_mul, ne, select, square, sub};
        let unsigned = |value: ValueId| match self.code.values[value as usize] {
            Instruction::Constant(number) => number != T::ZERO || T::ONE / number > T::ZERO,
            _ => self.never_minus_zero.contains(&value),
        };
        match op {
            abs | square | exp | masked_mul | eq | ne | gt | ge | lt | le => true,
            add => unsigned(x) || unsigned(y),
            sub => unsigned(x),
            select => unsigned(y) && unsigned(z),
            _ => false,
        }
    }

    fn merged(&mut self, key: ValueNumber, instruction: Instruction<T>, shape_id: ShapeId) -> ValueId {
        if let Some(&place) = self.merged.get(&key) {
            return place;
        }
        if let (Instruction::Operation(..), Some(shape)) = (instruction, self.code.shapes.get(shape_id as usize)) {
            self.code.recorded_bytes += shape.len().saturating_mul(size_of::<T>());
        }
        let place = self.code.emit(instruction, shape_id);
        self.merged.insert(key, place);
        place
    }
}
