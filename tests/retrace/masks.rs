//! Truth values are values of the recording: a program takes other ones as it takes other tensors, and no derivative is taken of
//! them.

use std::collections::BTreeMap;

use autograd::*;
use nn::{AttentionMask, MultiheadAttention, TransformerConfig, TransformerDecoder, TransformerEncoder};
use rand::{SeedableRng, rngs::StdRng};

type V<'t> = Var<'t, f64>;
type M<'t> = Mask<'t, f64>;

/// Masks of three elements: on their own, in one buffer with others, with gaps, turned around, and one element everywhere.
fn masks() -> Vec<Tensor<bool>> {
    let all = Tensor::from([true, false, false, true, true, false, true, false]);
    vec![
        Tensor::from([true, false, true]),
        all.slice(0, 0..3).unwrap(),
        all.slice(0, 3..6).unwrap(),
        all.slice_step(0, 1..7, 2).unwrap(),
        all.slice(0, 4..7).unwrap().flip(0).unwrap(),
        Tensor::from([true]).broadcast_to([3]).unwrap(),
        Tensor::zeros([3]),
    ]
}

fn x(k: usize) -> Tensor<f64> {
    Tensor::from_fn([3], |i| (i[0] * 5 + k) as f64 * 0.7 % 3.0 - 1.0)
}

#[test]
fn programs_take_other_masks_and_take_no_derivative_of_them() -> Result<()> {
    type X = (Tensor<f64>, Tensor<bool>, Tensor<bool>);
    fn f<'t>((x, a, b): (V<'t>, M<'t>, M<'t>)) -> Scalar<'t, f64> {
        let chosen = (a & !b).select(x.square(), x.sin());
        (chosen.masked_fill(a ^ b, 0.5) * (a | x.gt(0.0)).to_float() + x * b.count()).sum()
    }
    let masks = masks();
    // One mask is both arguments when it is recorded.
    let first: X = (x(0), masks[1].clone(), masks[1].clone());
    let mut program = Program::record(&first, |_, x| f(x))?.always_replayed();
    for (k, a) in masks.iter().enumerate() {
        for b in &masks {
            let at: X = (x(k), a.clone(), b.clone());
            let along: X = (x(k + 1), b.clone(), a.clone());
            let (value, slope) = value_and_gradient(|_, x| f(x), at.clone())?;
            assert_eq!(program.value(&at)?, value);
            assert_eq!(program.value_and_gradient(&at)?, (value, &slope));
            assert_eq!((&slope.1, &slope.2), (&Tensor::zeros([3]), &Tensor::zeros([3])));
            let (_, expected) = jvp(|tape, x| tape.from_scalars(&[f(x)]), at.clone(), along.clone())?;
            assert_eq!(program.jvp(&at, &along)?.1, expected.item()?);
            let (_, expected) = hvp(|_, x| f(x), at.clone(), along.clone())?;
            let (_, found) = program.hvp(&at, &along)?;
            found.0.close_to(&expected.0, 1e-14, 1e-14).unwrap();
            assert_eq!((&found.1, &expected.1), (&Tensor::zeros([3]), &Tensor::zeros([3])));
            assert_eq!(program.hessian(&at)?.shape(), &[3, 3].into());
            assert!(check(|_, x| f(x), at)?.is_ok());
        }
    }
    assert_eq!(program.report().recordings, 4, "{}", program.report());
    Ok(())
}

#[test]
fn masks_stand_in_trees() -> Result<()> {
    #[derive(Clone, Debug, PartialEq, Inputs)]
    struct Batch<X, M> {
        seen: M,
        x: X,
    }
    type X = (Batch<Tensor<f64>, Tensor<bool>>, Vec<NoGrad<Tensor<bool>>>, BTreeMap<u8, Option<Tensor<bool>>>);
    let at = |k: usize| -> X {
        let mask = |i: usize| masks()[(k + i) % 7].clone();
        let batch = Batch { seen: mask(0), x: x(k) };
        (batch, vec![NoGrad(mask(1)), NoGrad(mask(2))], BTreeMap::from([(0, Some(mask(3))), (1, None)]))
    };
    fn f<'t>((batch, list, map): <X as Inputs<f64>>::Handles<'t>) -> Scalar<'t, f64> {
        let seen = list.iter().fold(batch.seen, |seen, mask| seen ^ mask.0);
        let also = map.values().flatten().fold(seen, |seen, &mask| seen | mask);
        also.select(batch.x.square(), batch.x).sum()
    }
    let mut program = Program::record(&at(0), |_, x| f(x))?;
    for k in 0..20 {
        let (value, slope) = value_and_gradient(|_, x| f(x), at(k))?;
        assert_eq!(program.value_and_gradient(&at(k))?, (value, &slope));
        assert_eq!(slope.1[1].0, Tensor::zeros([3]));
    }
    Ok(())
}

#[test]
fn masks_of_another_shape_are_another_form_and_many_at_once_are_refused() -> Result<()> {
    fn f<'t>((mask, x): (M<'t>, Scalar<'t, f64>)) -> Scalar<'t, f64> {
        x * x * mask.count()
    }
    let at = |k: usize| (Tensor::from_fn([1 + k % 3, 2], |i| (i[0] + i[1] + k).is_multiple_of(2)), k as f64);
    let mut program = Program::record(&at(0), |_, x| f(x))?.always_replayed();
    for k in 0..12 {
        let (value, slope) = value_and_gradient(|_, x| f(x), at(k))?;
        assert_eq!(program.value_and_gradient(&at(k))?, (value, &slope));
    }
    let error = program.batch(&[at(0), at(3)]).value(&mut [0.0; 2]).unwrap_err().to_string();
    assert!(error.contains("an argument is a tensor of shape [1, 2]: many inputs at once are of numbers"), "{error}");
    Ok(())
}

#[test]
fn a_mask_that_a_closure_captures_is_frozen() -> Result<()> {
    let mut mask = Tensor::from([true, false, false]);
    let captured = mask.clone();
    let mut program = Program::record(&x(0), move |_, x| x.masked_fill(&captured, 0.0).sum())?.always_replayed();
    mask.as_mut_slice().fill(true);
    for k in 1..4 {
        let rest = x(k).slice(0, 1..)?.sum();
        assert_eq!(program.value(&x(k))?, rest);
    }
    Ok(())
}

#[test]
fn what_is_read_of_a_mask_is_guarded() -> Result<()> {
    type X = (Tensor<f64>, Tensor<bool>);
    fn f<'t>((x, mask): (V<'t>, M<'t>)) -> Scalar<'t, f64> {
        let any = mask.any().value().is_ok_and(|any| any.item().unwrap());
        if any && x.gt(0.5).all().value().is_ok_and(|all| all.item().unwrap()) { x.sum() } else { x.square().sum() }
    }
    let mut program = Program::record(&(x(0), masks().remove(0)), |_, x| f(x))?;
    for k in 0..60 {
        let large = if k % 3 == 0 { 4.0 } else { 0.0 };
        let at: X = (x(k).add(large)?, masks()[k % 7].clone());
        assert_eq!(program.value(&at)?, value_and_gradient(|_, x| f(x), at.clone())?.0);
    }
    Ok(())
}

#[test]
fn masks_are_results() -> Result<()> {
    type Found = (Tensor<bool>, Vec<Tensor<bool>>);
    type X = (Tensor<f64>, Tensor<bool>);
    fn f<'t>(w: V<'t>, (x, mask): (V<'t>, M<'t>)) -> (Scalar<'t, f64>, (M<'t>, Vec<M<'t>>)) {
        let y = w * x;
        (mask.select(y, 0.0).sum(), (y.gt(0.0), vec![mask, y.gt(0.0) & mask, mask.all()]))
    }
    let weight = Param::new(Tensor::from([1.0, -2.0, 3.0]));
    let at = |k: usize| -> X { (x(k), masks()[k % 7].clone()) };
    let mut program: ModelProgram<_, _, _, Found> =
        ModelProgram::record_aux(&weight, &at(0), |weight: &Param<f64>, tape, x| f(tape.param(weight), x))?;
    for k in 0..20 {
        let at = at(k);
        let (loss, found, gradients) = program.value_and_gradients_aux(&weight, &at)?;
        let (expected_loss, expected, slope): (f64, Found, _) =
            value_and_gradient_aux(|_, (w, NoGrad(x))| f(w, x), (weight.value().clone(), NoGrad(at.clone())))?;
        assert_eq!((loss, &found, gradients.of(&weight)?), (expected_loss, &expected, slope.0));
        assert_eq!((&found.1[0], found.1[2].item()?), (&at.1, at.1.iter().all(|holds| holds)));
    }
    Ok(())
}

#[test]
fn no_gradient_is_taken_of_a_mask() -> Result<()> {
    let tape = Tape::<f64>::new();
    let (x, mask) = (tape.var([1.0, 2.0]), tape.mask([true, false]));
    let loss = mask.select(x, 0.0).sum();
    let error = loss.backward()?.of(mask).unwrap_err().to_string();
    assert!(error.starts_with("gradient: the mask has no gradient: no derivative is taken of truth values"), "{error}");
    let (dx, dmask) = loss.grad((x, mask));
    assert_eq!((dx.value()?.to_vec(), dmask.value()?.to_vec()), (vec![1.0, 0.0], vec![false, false]));
    assert!(loss.grad((x, mask & [true; 3])).1.is_failed());
    Ok(())
}

#[test]
fn operations_are_those_of_truth_values() -> Result<()> {
    let tape = Tape::<f32>::new();
    for k in 0..16_usize {
        let bits: Vec<bool> = (0..4).map(|bit| k >> bit & 1 == 1).collect();
        for l in 0..16_usize {
            let others: Vec<bool> = (0..4).map(|bit| l >> bit & 1 == 1).collect();
            let both = |f: fn(bool, bool) -> bool| Tensor::from_fn([4], |i| f(bits[i[0]], others[i[0]]));
            let (a, b) = (tape.mask(bits.clone()), tape.mask(others.clone()));
            assert_eq!((a & b).value()?, both(|a, b| a & b));
            assert_eq!((a | &others).value()?, both(|a, b| a | b));
            assert_eq!((a ^ b).value()?, both(|a, b| a ^ b));
        }
        let (mask, count) = (tape.mask(bits.clone()), bits.iter().filter(|&&bit| bit).count());
        assert_eq!((!mask).value()?.to_vec(), bits.iter().map(|bit| !bit).collect::<Vec<_>>());
        assert_eq!((mask.any().value()?.item()?, mask.all().value()?.item()?), (count > 0, count == 4));
        assert_eq!(mask.count(), count as f32);
        assert_eq!(mask.reshape([2, 2]).any_axes(0).value()?.to_vec(), [bits[0] | bits[2], bits[1] | bits[3]]);
        assert_eq!(mask.reshape([2, 2]).all_axes(1).value()?.to_vec(), [bits[0] & bits[1], bits[2] & bits[3]]);
    }
    // What a sum of f32 cannot count.
    let mut many = Tensor::full([(1 << 24) + 2], true);
    assert!(tape.mask(&many).all().value()?.item()?);
    many.as_mut_slice()[7] = false;
    assert!(!tape.mask(&many).all().value()?.item()?);
    Ok(())
}

#[test]
fn nan_is_in_no_order() -> Result<()> {
    let tape = Tape::new();
    let (x, nan) = (tape.var([1.0_f64, f64::NAN]), f64::NAN);
    for mask in [x.gt(nan), x.ge(nan), x.lt(nan), x.le(nan), x.eq(nan)] {
        assert_eq!(mask.value()?.to_vec(), [false, false]);
    }
    assert_eq!(x.ne(x).value()?.to_vec(), [false, true]);
    assert_eq!((!x.ne(x)).select(x, 0.0).value()?.to_vec(), [1.0, 0.0]);
    assert_eq!(x.value()?.gt(0.0)?, Tensor::from([true, false]));
    Ok(())
}

/// A batch: what is attended to, and which of it is padding or hidden.
type Sentences = (Tensor<f64>, Tensor<bool>, Tensor<bool>);

fn sentences(k: usize) -> Sentences {
    let x = Tensor::from_fn([2, 4, 4], |i| ((i[0] * 16 + i[1] * 4 + i[2] + k) as f64 * 1.3).sin());
    let padding = Tensor::from_fn([2, 4], |i| i[1] > (i[0] + k) % 4);
    (x, padding, Tensor::from_fn([4, 4], |i| (i[0] * 3 + i[1] + k).is_multiple_of(4) && i[1] > 0))
}

#[test]
fn programs_of_models_take_other_padding() -> Result<()> {
    #[derive(Clone, Module)]
    struct Model {
        attention: MultiheadAttention<f64>,
        encoder: TransformerEncoder<f64>,
        decoder: TransformerDecoder<f64>,
    }
    use nn::Module;
    fn f<'t>(model: &Model, (x, padding, hidden): (V<'t>, M<'t>, M<'t>)) -> Scalar<'t, f64> {
        let padded = AttentionMask { key_padding_mask: Some(padding), ..AttentionMask::default() };
        let masked = AttentionMask { attn_mask: Some(hidden), ..padded };
        let y = model.attention.forward_with(x, x, x, &masked);
        let memory = model.encoder.forward_with(y, &padded);
        let y = model.decoder.forward_with(x, memory, &AttentionMask::causal(), &padded);
        // Only words count.
        (!padding).unsqueeze(-1).select(y, 0.0).square().sum() / (!padding).count()
    }
    let rng = &mut StdRng::seed_from_u64(1);
    let config = TransformerConfig { batch_first: true, dropout: 0.0, feedforward: 8, ..TransformerConfig::default() };
    let model = Model {
        attention: MultiheadAttention::new(4, 2, rng).batch_first(),
        encoder: TransformerEncoder::new(1, 4, 2, &config, rng),
        decoder: TransformerDecoder::new(1, 4, 2, &config, rng),
    };
    let mut program = ModelProgram::record(&model, &sentences(0), |model, _, x| f(model, x))?.always_replayed();
    let mut losses = Vec::new();
    for k in 0..8 {
        let (loss, found) = program.value_and_gradients(&model, &sentences(k))?;
        let tape = Tape::new();
        let (x, padding, hidden) = sentences(k);
        let expected = f(&model, (tape.constant(x), tape.mask(padding), tape.mask(hidden)));
        assert_eq!(loss, expected.value()?);
        let gradients = expected.backward()?;
        for weight in [&model.attention.in_proj_weight, &model.attention.out_proj.weight] {
            assert_eq!(found.of(weight)?, gradients.of(weight)?);
        }
        losses.push(loss);
    }
    assert_eq!(program.report().recordings, 2);
    assert!(losses.windows(2).all(|pair| pair[0] != pair[1]));
    Ok(())
}
