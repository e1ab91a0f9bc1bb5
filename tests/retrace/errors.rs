//! What a user reads when something is wrong: the operation, the rule it broke, the shapes, and the user's own line.

use autograd::{
    Conv2dOptions, Error, ErrorKind, Gradients, PadMode, Param, Shape, Tape, Tensor, Var, cat, custom, custom_numeric,
    gradient,
    graph::{DotGradients, DotOptions},
    hvp, jvp, stack,
};
use nn::{
    BatchNorm2d, Conv2d, ConvTranspose2d, Dropout, GroupNorm, GruCell, LayerNorm, LearnedPositions, Linear, Lstm,
    MaxPool2d, ModuleExt, MultiheadAttention, RecurrentConfig, RmsNorm, RotaryPositions, TransformerConfig,
    TransformerDecoder, TransformerEncoder,
};
use rand::{SeedableRng, rngs::StdRng};

type T = Tape<f64>;

fn zeros(tape: &T, shape: impl Into<Shape>) -> Var<'_, f64> {
    tape.var(Tensor::zeros(shape))
}

/// Checks that expressions are errors with exactly these texts, each made by the line before its text.
macro_rules! fails {
    ($(|$tape:ident| $result:expr => $text:expr;)*) => {{
        let mut wrong = Vec::new();
        $({
            let tape = T::new();
            let $tape = &tape;
            wrong.extend(compare($result.err(), $text));
        })*
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }};
}

fn compare(error: Option<Error>, text: &str) -> Option<String> {
    let Some(error) = error else { return Some(format!("{text}: no error at all")) };
    if error.to_string() != format!("{text}, at {}:{}", file!(), error.location.line()) {
        return Some(format!("expected {text}, found {error}"));
    }
    let line: String = include_str!("errors.rs").lines().skip(error.location.line() as usize - 1).take(2).collect();
    (!line.contains(&format!("{text:?}"))).then(|| format!("{error}: not the line that made it: {line}"))
}

#[test]
#[rustfmt::skip]
fn operations_on_handles_name_the_rule_and_the_line() {
    fails! {
        |t| zeros(t, [3, 4]).matmul(zeros(t, [5, 2])).value() =>
            "matmul: inner sizes differ: [3, 4] · [5, 2] (4 ≠ 5)";
        |t| zeros(t, ()).matmul(zeros(t, [2])).value() =>
            "matmul: an operand must have rank 1 or more, found shape []";
        |t| zeros(t, [2, 3, 4]).matmul(zeros(t, [5, 4, 2])).value() =>
            "matmul: batch axes do not broadcast: [2, 3, 4] · [5, 4, 2]";
        |t| zeros(t, [2]).dot(zeros(t, [3])).value() =>
            "dot: shapes differ: expected [2], found [3]";
        |t| (zeros(t, [2, 3]) + zeros(t, [4])).value() =>
            "add: shapes do not broadcast: [2, 3] and [4] (3 ≠ 4 at axis −1)";
        |t| zeros(t, [2, 3]).atan2(zeros(t, [2])).value() =>
            "atan2: shapes do not broadcast: [2, 3] and [2] (3 ≠ 2 at axis −1)";
        |t| zeros(t, [2, 3]).clamp_min(zeros(t, [2])).value() =>
            "clamp_min: shapes do not broadcast: [2, 3] and [2] (3 ≠ 2 at axis −1)";
        |t| t.mask([true, false]).select(zeros(t, [3]), 0.0).value() =>
            "select: shapes do not broadcast: [2] and [3] (2 ≠ 3 at axis −1)";
        |t| zeros(t, [2]).masked_fill([true; 3], 0.0).value() =>
            "masked_fill: shapes do not broadcast: [3] and [2] (3 ≠ 2 at axis −1)";
        |t| (t.mask([true, false]) & [true; 3]).value() =>
            "and: shapes do not broadcast: [2] and [3] (2 ≠ 3 at axis −1)";
        |t| (t.mask([true, false]) | [true; 3]).value() =>
            "or: shapes do not broadcast: [2] and [3] (2 ≠ 3 at axis −1)";
        |t| (t.mask([true, false]) ^ [true; 3]).value() =>
            "xor: shapes do not broadcast: [2] and [3] (2 ≠ 3 at axis −1)";
        |t| zeros(t, [2]).lt(zeros(t, [3])).value() =>
            "lt: shapes do not broadcast: [2] and [3] (2 ≠ 3 at axis −1)";
        |t| t.mask([true, false]).any_axes(1).value() =>
            "any_axes: axis 1 is out of range for shape [2]";
        |t| zeros(t, [2, 3]).broadcast_to([3, 2]).value() =>
            "broadcast_to: [2, 3] does not broadcast to [3, 2]";
        |t| zeros(t, [2, 3]).reshape([4]).value() =>
            "reshape: [2, 3] has 6 elements and [4] has 4";
        |t| zeros(t, [2, 3]).sum_axes(2).value() =>
            "sum_axes: axis 2 is out of range for shape [2, 3]";
        |t| zeros(t, [2, 3]).sum_axes([1, -1]).value() =>
            "sum_axes: axis -1 is given twice";
        |t| zeros(t, [2, 3]).permute([0]).value() =>
            "permute: 1 axes are given for shape [2, 3]";
        |t| zeros(t, [2, 3]).permute([0, -2]).value() =>
            "permute: axis -2 is given twice";
        |t| zeros(t, [2, 3]).transpose(0, 2).value() =>
            "transpose: axis 2 is out of range for shape [2, 3]";
        |t| zeros(t, [3]).t().value() =>
            "t: axis -2 is out of range for shape [3]";
        |t| zeros(t, [3]).squeeze(1).value() =>
            "squeeze: axis 1 is out of range for shape [3]";
        |t| zeros(t, [3]).unsqueeze(3).value() =>
            "unsqueeze: axis 3 is out of range for shape [3]";
        |t| zeros(t, [2, 3]).item().value() =>
            "item: needs exactly one element, found shape [2, 3]";
        |t| zeros(t, [2, 3]).at([1]).value() =>
            "at: 1 axes are given for shape [2, 3]";
        |t| zeros(t, [2, 3]).at([1, 3]).value() =>
            "at: index 3 is out of range for axis 1 of shape [2, 3]";
        |t| { zeros(t, [2, 3]).dims::<3>(); t.failure().map_or(Ok(()), Err) } =>
            "dims: the operand must have rank 3, found shape [2, 3]";
        |t| zeros(t, [2, 3]).slice(1, 2..5).value() =>
            "slice: range 2..5 step 1 does not fit axis 1 of shape [2, 3]";
        |t| zeros(t, [2, 3]).slice_step(1, 0..3, 0).value() =>
            "slice_step: range 0..3 step 0 does not fit axis 1 of shape [2, 3]";
        |t| zeros(t, [2, 3]).narrow(0, 1, 2).value() =>
            "narrow: range 1..3 step 1 does not fit axis 0 of shape [2, 3]";
        |t| zeros(t, [2, 3]).index_axis(0, 2).value() =>
            "index_axis: index 2 is out of range for axis 0 of shape [2, 3]";
        |t| zeros(t, [3]).unsqueeze(0).swapaxes(0, 2).value() =>
            "swapaxes: axis 2 is out of range for shape [1, 3]";
        |t| zeros(t, [3]).lerp(zeros(t, [2]), 0.5).value() =>
            "lerp: shapes do not broadcast: [2] and [3] (2 ≠ 3 at axis −1)";
        |t| zeros(t, [3]).clamp(0.0, zeros(t, [2])).value() =>
            "clamp: shapes do not broadcast: [3] and [2] (3 ≠ 2 at axis −1)";
        |t| zeros(t, [2, 3]).mv(zeros(t, [2])).value() =>
            "mv: inner sizes differ: [2, 3] · [2] (3 ≠ 2)";
        |t| zeros(t, [3]).repeat([usize::MAX]).value() =>
            "repeat: memory has no room for shape [18446744073709551615, 3]";
        |t| stack(&[zeros(t, [3])], 2).value() =>
            "stack: axis 2 is out of range for shape [3]";
        |t| zeros(t, [3]).flip([0, 0]).value() =>
            "flip: axis 0 is given twice";
        |t| cat(&[zeros(t, [2, 3]), zeros(t, [2, 4])], 0).value() =>
            "cat: shapes differ: expected [2, 3], found [2, 4]";
        |t| zeros(t, [3]).pad(&[(3, 0)], PadMode::Reflect).value() =>
            "pad: counts must be below the size of the axis for reflection, found (3, 0) for axis 0 of shape [3]";
        |t| zeros(t, [3]).index_select(0, [5]).value() =>
            "index_select: index 5 is out of range for axis 0 of shape [3]";
        |t| zeros(t, [1, 2, 3, 3]).conv2d(zeros(t, [1, 2, 4, 4]), None, Conv2dOptions::default()).value() =>
            "conv2d: window [4, 4] (dilation [1, 1]) is larger than the padded input [3, 3]";
        |t| zeros(t, [1, 3, 3, 3]).conv2d(zeros(t, [2, 1, 2, 2]), None, Conv2dOptions { groups: 2, ..Default::default() }).value() =>
            "conv2d: 3 channels do not divide into 2 groups";
    }
}

#[test]
#[rustfmt::skip]
fn derivatives_name_the_rule_and_the_line() {
    let other = T::new();
    let foreign = zeros(&other, [2]);
    let stranger = other.scalar(1.0);
    let param = Param::new(Tensor::<f64>::zeros([2]));
    let mut frozen = param.clone();
    frozen.freeze();
    fails! {
        |t| (zeros(t, [2]) * foreign).value() =>
            "mul: operands are on different tapes";
        |t| zeros(t, [2]).maximum(foreign).value() =>
            "maximum: operands are on different tapes";
        |t| (t.scalar(1.0) * stranger).value() =>
            "mul: operands are on different tapes";
        |t| t.from_scalars(&[t.scalar(1.0), stranger]).value() =>
            "from_scalars: operands are on different tapes";
        |t| t.constant([1.0, 2.0]).sum().backward() =>
            "backward: the result has no gradient: it depends on nothing but constants, frozen parameters, and what is detached or without gradients; make one of them a variable, or take `grad`, which is 0 here";
        |t| autograd::Scalar::constant(t.scalar(1.0).value().unwrap()).backward() =>
            "backward: the handle is a plain number and is on no tape: compute it from a variable";
        |t| t.scalar(2.0).grad(stranger).value() =>
            "grad: operands are on different tapes";
        |t| t.scalar(2.0).jvp([stranger], [1.0]) =>
            "jvp: operands are on different tapes";
        |t| zeros(t, [2]).grad([foreign], zeros(t, [2]))[0].value() =>
            "grad: operands are on different tapes";
        |t| zeros(t, [2, 3]).vjp(Tensor::zeros([3, 2])) =>
            "vjp: the seed must have shape [2, 3], found [3, 2]";
        |t| zeros(t, [2]).grad(zeros(t, [2]), zeros(t, [3])).value() =>
            "grad: the seed must have shape [2], found [3]";
        |t| zeros(t, [2]).sum().backward().and_then(|g| g.of(zeros(t, [2]))) =>
            "gradient: the tensor has no gradient: the result does not depend on it, or only through a constant";
        |t| zeros(t, [2]).sum().backward().and_then(|g| g.of(t.constant([1.0]))) =>
            "gradient: the tensor has no gradient: it is a constant";
        |t| zeros(t, [2]).sum().backward().and_then(|g| g.of(foreign)) =>
            "gradient: the tensor has no gradient: it is on another tape";
        |t| zeros(t, [2]).sum().backward().and_then(|g| g.of(stranger)) =>
            "gradient: the scalar has no gradient: it is on another tape";
        |t| zeros(t, [2]).sum().grad(foreign).value() =>
            "grad: operands are on different tapes";
        |t| zeros(t, [2]).sum().grad((t.scalar(1.0), [stranger])).1[0].value() =>
            "grad: operands are on different tapes";
        |t| zeros(t, [2]).grad(vec![foreign], zeros(t, [2]))[0].value() =>
            "grad: operands are on different tapes";
        |t| zeros(t, [2]).grad(zeros(t, [2]), foreign).value() =>
            "grad: operands are on different tapes";
        |t| zeros(t, [2]).jvp(foreign, Tensor::zeros([2])) =>
            "jvp: operands are on different tapes";
        |t| t.scalar(2.0).jvp(stranger, 1.0) =>
            "jvp: operands are on different tapes";
        |t| zeros(t, [2]).sum().backward_keeping(&[foreign]) =>
            "backward: operands are on different tapes";
        |t| t.to_dot(&DotOptions { values: true, gradients: DotGradients::From(stranger) }) =>
            "to_dot: operands are on different tapes";
        |t| zeros(t, [2]).sum().backward().and_then(|g| g.of(&param)) =>
            "gradient: the parameter has no gradient: it is not on the tape";
        |t| zeros(t, [2]).sum().backward().and_then(|g| g.of(&frozen)) =>
            "gradient: the parameter has no gradient: it is frozen";
        |t| custom("wrong", [zeros(t, [2])], |[x]| Ok(x.clone()), |_, _, g| [g.sum_keepdim(0)]).sum().backward() =>
            "wrong: the gradient that the rule gives must have shape [2], found [1]";
        |t| custom_numeric("once", [zeros(t, [2])], |[x]| Ok(x.clone()), |_, _, g| Ok([g.clone()])).sum().grad(zeros(t, [2])).value() =>
            "once: no gradient flows through it: its derivative is written on numbers; write it on handles with `custom`";
        |t| custom("checked", [zeros(t, [2])], |_| Err(Error::new("checked", ErrorKind::Custom("no luck".into()))), |_, _, g| [g]).value() =>
            "checked: no luck";
        |_t| gradient(|_, x| x.reshape([3]).sum(), Tensor::<f64>::zeros([2])) =>
            "reshape: [2] has 2 elements and [3] has 3";
        |_t| jvp(|_, x| x, Tensor::<f64>::zeros([2]), Tensor::zeros([3])) =>
            "jvp: the direction must have shape [2], found [3]";
        |_t| hvp(|_, x| x.sum(), Tensor::<f64>::zeros([2]), Tensor::zeros([3])) =>
            "hvp: the direction must have shape [2], found [3]";
    }
}

#[test]
#[rustfmt::skip]
fn plain_tensors_name_the_rule_and_the_line() {
    let x = Tensor::<f64>::zeros([2, 3]);
    fails! {
        |_t| x.matmul(&x) =>
            "matmul: inner sizes differ: [2, 3] · [2, 3] (3 ≠ 2)";
        |_t| x.add(Tensor::zeros([2])) =>
            "add: shapes do not broadcast: [2, 3] and [2] (3 ≠ 2 at axis −1)";
        |_t| Tensor::<f64>::from_vec([2, 2], vec![1.0]) =>
            "from_vec: 1 values are given for shape [2, 2] of 4 elements";
        |_t| x.item() =>
            "item: needs exactly one element, found shape [2, 3]";
        |_t| x.reshape([7]) =>
            "reshape: [2, 3] has 6 elements and [7] has 7";
        |_t| x.squeeze(2) =>
            "squeeze: axis 2 is out of range for shape [2, 3]";
        |_t| x.index_axis(0, 2) =>
            "index_axis: index 2 is out of range for axis 0 of shape [2, 3]";
        |_t| Param::new(x.clone()).set(Tensor::zeros([3])) =>
            "set: the new value must have shape [2, 3], found [3]";
        |_t| Tensor::<f64>::one_hot(&Tensor::from([0, 3]), 3) =>
            "one_hot: index 3 is out of range for axis 1 of shape [2, 3]";
    }
}

/// Whatever follows a failure keeps its reason; whatever does not depend on it still works; `clear` heals the tape.
#[test]
fn the_first_failure_is_the_one_reported() {
    let mut tape = T::new();
    {
        let (x, s) = (tape.var([1.0, 2.0]), tape.scalar(3.0));
        let bad = x.reshape([3]);
        let worse = (bad + x.reshape([5])).matmul(bad).sum() * s;
        let first = "reshape: [2] has 2 elements and [3] has 3";
        let reasons = [bad.value().map(|_| ()), worse.value().map(|_| ()), worse.backward().map(|_| ())];
        for reason in reasons.into_iter().chain([tape.failure().map_or(Ok(()), Err)]) {
            assert!(reason.unwrap_err().to_string().starts_with(first));
        }
        assert!((worse + 1.0).exp().value().is_err() && tape.from_scalars(&[worse]).value().is_err());
        assert_eq!(bad.shape(), Shape::from(()));
        assert_eq!(bad.to_string(), format!("failed: {}", bad.value().unwrap_err()));

        let loss = (x * x).sum() * s;
        let gradients: Gradients<f64> = loss.backward().unwrap();
        assert_eq!(gradients.of(x).unwrap().to_vec(), [6.0, 12.0]);
        assert_eq!(gradients.of(s).unwrap(), 5.0);
        assert!(gradients.of(bad).is_err());
    }
    tape.clear();
    assert!(tape.failure().is_none() && tape.is_empty());
    let x = tape.var([1.0, 2.0]);
    assert_eq!(x.reshape([2, 1]).sum().backward().unwrap().of(x).unwrap().to_vec(), [1.0, 1.0]);
}

/// Each result reports what it depends on, and names what had failed before.
#[test]
fn a_result_reports_the_failure_that_it_depends_on() {
    let tape = T::new();
    let (x, s) = (tape.var([1.0, 2.0]), tape.scalar(3.0));
    let (bad, at) = (x.reshape([3]), line!());
    let (worse, worse_at) = (x.at([7]), line!());
    let first = format!("reshape: [2] has 2 elements and [3] has 3, at {}:{at}", file!());
    let own = format!("at: index 7 is out of range for axis 0 of shape [2], at {}:{worse_at}", file!());
    let later = format!("{own}; earlier on this tape: {first}");

    let text = |error: Option<Error>| error.expect("a failure").to_string();
    for found in
        [bad.value().err(), (bad * s).sum().backward().err(), (bad * s).sum().grad(x).value().err(), tape.failure()]
    {
        assert_eq!(text(found), first);
    }
    let gathered = tape.from_scalars(&[s, worse]);
    for found in [worse, worse * s, s - worse.exp(), gathered.sum(), worse.select(s, s), (x * worse).sum()] {
        assert_eq!(text(found.value().err()), later);
        assert_eq!(text(found.backward().err()), later);
        assert_eq!(text(found.grad(x).value().err()), later);
    }
    // Of several the earliest, in whatever order they stand.
    for found in
        [bad * worse, worse * bad, gathered.matmul(bad), bad.matmul(gathered), tape.from_scalars(&[worse, bad.sum()])]
    {
        assert_eq!(text(found.value().err()), first);
    }
    assert_eq!(text((worse * bad.sum()).value().err()), first);
    let rows = x.argmax(5);
    let [embedded, picked] = [gathered.embedding(rows), x.embedding(rows)].map(|found| found.value().unwrap_err());
    assert_eq!((embedded.op, picked.op), ("at", "argmax"));
    // What depends on none has its gradient, and the same mistake again is no new one.
    assert_eq!((x * s).sum().backward().unwrap().of(x).unwrap().to_vec(), [3.0, 3.0]);
    for _ in 0..3 {
        assert!(x.transpose(0, 5).is_failed() && worse.is_failed() && !s.is_failed());
    }
    let ops: Vec<&str> = tape.failures().iter().map(|failure| failure.op).collect();
    assert_eq!(ops, ["reshape", "at", "argmax", "transpose"]);
}

/// What fails in a loop does not fill the memory: later failures say that there were too many, and name the first.
#[test]
fn a_tape_keeps_a_few_failures() {
    let mut tape = T::new();
    {
        let x = tape.var([1.0, 2.0]);
        let all: Vec<Error> = (3..300).map(|n| x.reshape([n]).value().unwrap_err()).collect();
        for (k, error) in all.iter().enumerate() {
            match &error.kind {
                ErrorKind::ElementCount { to, .. } if k < 256 => assert_eq!(to[..], [3 + k]),
                ErrorKind::Custom(why) if k >= 256 => assert!(why.starts_with("an operation failed after 256 others")),
                _ => panic!("{k}: {error}"),
            }
            assert_eq!(error.earlier.as_deref(), Some(&all[0]).filter(|_| k > 0));
        }
        assert_eq!(tape.failures().len(), 256);
        assert!(x.value().is_ok());
    }
    tape.clear();
    assert!(tape.failures().is_empty());
}

/// A failed handle on another tape brings its own failure along.
#[test]
fn a_failure_is_taken_over_by_another_tape() {
    let (tape, other) = (T::new(), T::new());
    let (x, y) = (tape.var([1.0, 2.0]), other.var([1.0, 2.0]));
    let (_, second) = (y.reshape([3]), y.reshape([5]));
    let earlier = x.transpose(0, 3);
    for found in [x * second, x.matmul(second), tape.from_scalars(&[second.sum()])] {
        let error = found.value().unwrap_err();
        assert!(error.to_string().starts_with("reshape: [2] has 2 elements and [5] has 5"), "{error}");
        assert_eq!(error.earlier.map(|earlier| earlier.op), Some("transpose"));
    }
    assert_eq!((earlier * second).value().unwrap_err().op, "transpose");
}

/// What was found for one recording says nothing of the next one on the same tape, whose handles may stand in the same places;
/// parameters are known by themselves.
#[test]
fn a_cleared_tape_is_another_recording() {
    let param = Param::new(Tensor::from([5.0_f64, 6.0]));
    let mut tape = T::new();
    let found = {
        let (x, s) = (tape.var([1.0, 2.0]), tape.scalar(3.0));
        let loss = ((x * x).sum() + tape.param(&param).sum()) * s;
        loss.backward_keeping(&[x * x]).unwrap()
    };
    for _ in 0..3 {
        tape.clear();
        let (x, s) = (tape.var([1.0, 2.0, 3.0]), tape.scalar(3.0));
        let all = [x, x * x, x + s];
        let cleared = "it was recorded after the tape had been cleared";
        for x in all {
            let text = found.of(x).unwrap_err().to_string();
            assert!(text.contains(&format!("gradient: the tensor has no gradient: {cleared}")), "{text}");
        }
        for s in [s, s * s, x.sum()] {
            let text = found.of(s).unwrap_err().to_string();
            assert!(text.contains(&format!("gradient: the scalar has no gradient: {cleared}")), "{text}");
        }
        let drawn = |gradients| tape.to_dot(&DotOptions { values: false, gradients }).unwrap();
        assert_eq!(drawn(DotGradients::Found(&found)), drawn(DotGradients::None));
        assert_eq!(found.of(&param).unwrap().to_vec(), [3.0, 3.0]);
        let again = (x * x).sum().backward().unwrap();
        assert_eq!(again.of(x).unwrap().to_vec(), [2.0, 4.0, 6.0]);
    }
}

/// A failure inside of a sweep is an error of the sweep, and the recording is as good as before.
#[test]
fn a_failed_sweep_leaves_the_recording_whole() {
    let tape = T::new();
    let x = tape.var([1.0, 2.0]);
    let wrong = custom("wrong", [x], |[x]| Ok(x.clone()), |_, _, g| [g.reshape([7])]);
    for _ in 0..2 {
        assert!(
            wrong.sum().backward().unwrap_err().to_string().starts_with("reshape: [2] has 2 elements and [7] has 7")
        );
        assert!(wrong.sum().grad(x).is_failed());
    }
    assert_eq!((x * x).sum().backward().unwrap().of(x).unwrap().to_vec(), [2.0, 4.0]);
    assert_eq!((x * x).sum().grad(x).value().unwrap().to_vec(), [2.0, 4.0]);
}

/// What a layer records is at the line that calls it, and so is what fails in it, however many layers it is made of.
#[test]
fn layers_are_at_the_users_line() {
    let rng = &mut StdRng::seed_from_u64(0);
    let config = TransformerConfig { feedforward: 4, ..TransformerConfig::default() };
    let both = RecurrentConfig { layers: 2, bidirectional: true, ..RecurrentConfig::default() };
    let linear = Linear::<f64>::new(4, 3, rng);
    let (conv, back) = (Conv2d::<f64>::new(2, 3, [2, 2], rng), ConvTranspose2d::<f64>::new(2, 3, [2, 2], rng));
    let (lstm, cell) = (Lstm::<f64>::with_config(4, 3, both, rng), GruCell::<f64>::new(4, 3, rng));
    let (layer, group, rms) = (LayerNorm::<f64>::new(4), GroupNorm::<f64>::new(2, 2), RmsNorm::<f64>::new(4));
    let mut batch = BatchNorm2d::<f64>::new(2);
    batch.eval();
    let (dropout, pool) = (Dropout::new(0.5, rng), MaxPool2d::new([2, 2]));
    let attention = MultiheadAttention::<f64>::new(4, 2, rng);
    let encoder = TransformerEncoder::<f64>::new(2, 4, 2, &config, rng);
    let decoder = TransformerDecoder::<f64>::new(2, 4, 2, &config, rng);
    let (learned, rotary) = (LearnedPositions::<f64>::new(3, 4, rng), RotaryPositions);
    let (mut failed, mut recorded) = (0, 0);
    for shape in [&[][..], &[4], &[3], &[3, 4], &[3, 2, 4], &[2, 3, 5], &[1, 2, 4, 4], &[1, 3, 5, 5]] {
        let mut assert_here = |name: &str, tape: &T, y: Var<'_, f64>| {
            if let Err(error) = y.value() {
                assert_eq!(error.location.file(), file!(), "{name} of {shape:?}: {error}");
                failed += 1;
            }
            for node in tape.graph().node_weights() {
                let file = node.location.map(|location| location.file());
                assert_eq!(file, Some(file!()), "{name} of {shape:?} records {}", node.op);
                recorded += 1;
            }
        };
        macro_rules! run {
            ($(|$x:ident| $y:expr;)*) => {$({
                let tape = T::new();
                let $x = zeros(&tape, shape);
                assert_here(stringify!($y), &tape, $y);
            })*};
        }
        run! {
            |x| linear.forward(x);
            |x| conv.forward(x);
            |x| back.forward(x);
            |x| lstm.forward(x);
            |x| cell.forward(x, None);
            |x| layer.forward(x);
            |x| group.forward(x);
            |x| rms.forward(x);
            |x| batch.forward(x);
            |x| dropout.forward(x);
            |x| pool.forward(x);
            |x| attention.forward(x, x, x);
            |x| encoder.forward(x);
            |x| decoder.forward(x, x);
            |x| learned.forward(x);
            |x| rotary.forward(x);
        }
    }
    assert!(failed > 70 && recorded > 500, "{failed} {recorded}");
}
