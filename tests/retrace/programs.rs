//! Training steps that are replayed are those that are recorded anew each time, bit for bit.

use autograd::{
    CrossEntropy, Indices, Inputs, MaxPool2dOptions, ModelProgram, Program, Reduction, Scalar, Tape, Tensor, Var,
    module::{Leaf, Path},
};
use nn::loss::{cross_entropy, mse, nll, nll_with};
use nn::{
    AttentionMask, BatchNorm2d, Conv2d, Dropout, Embedding, Gru, Linear, Lstm, Module, ModuleExt, MultiheadAttention,
    TransformerConfig, TransformerDecoder, TransformerEncoder,
};
use optim::Adam;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn wave(shape: &[usize], frequency: f64) -> Tensor<f32> {
    let mut k = 0.0;
    Tensor::from_fn(shape, |_| {
        k += 1.0;
        f64::sin(k * frequency) as f32
    })
}

fn labels(n: usize, step: usize) -> Tensor<usize> {
    (0..n).map(|i| (i * step + step) % 5).collect()
}

/// The bits of all parameters, buffers and counters.
fn bits<M: Module>(model: &M) -> Vec<u32> {
    let mut bits = Vec::new();
    model.visit(&Path::root(), &mut |_: &Path<'_>, leaf: Leaf<'_, f32>| match leaf {
        Leaf::Param(param) => bits.extend(param.value().iter().map(f32::to_bits)),
        Leaf::Buffer(buffer) => bits.extend(buffer.value().iter().map(f32::to_bits)),
        Leaf::Counter(counter) => bits.push(counter.get() as u32),
        Leaf::Generator(generator) => bits.push(generator.drawn() as u32),
        Leaf::Mode(_) | Leaf::Setting(_) => {}
    });
    bits
}

/// Trains two equal models, one eagerly and one by a program, which is recorded for each form of the batches.
fn assert_replays<M: Module, X: Inputs<f32>>(
    [mut eager, mut replayed]: [M; 2],
    batches: &[X],
    loss: impl for<'t> Fn(&M, &'t Tape, X::Handles<'t>) -> Scalar<'t> + Copy,
    forms: usize,
) -> M {
    let (mut adam, mut other) = (Adam::new(0.01), Adam::new(0.01));
    let mut tape = Tape::new();
    let mut program = ModelProgram::record(&replayed, &batches[0], loss).unwrap().always_replayed();
    for x in batches.iter().chain(batches) {
        let y = loss(&eager, &tape, x.record(&tape));
        let (value, found) = program.value_and_gradients(&replayed, x).unwrap();
        assert_eq!(value, y.value().unwrap());
        adam.step(&mut eager, &y.backward().unwrap()).unwrap();
        other.step(&mut replayed, &found).unwrap();
        tape.clear();
        assert!(bits(&eager) == bits(&replayed), "{}", program.report());
    }
    assert_eq!(program.report().recordings, 1 + forms, "{}", program.report());
    replayed
}

fn twice<M: Clone>(model: M) -> [M; 2] {
    [model.clone(), model]
}

#[test]
fn dense() {
    let mut rng = StdRng::seed_from_u64(0);
    let layers = vec![Linear::new(2, 16, &mut rng), Linear::new(16, 16, &mut rng), Linear::new(16, 1, &mut rng)];
    let batch = |n, frequency| (wave(&[n, 2], frequency), wave(&[n, 1], 2.0 * frequency));
    let batches = [batch(64, 0.1), batch(64, 0.3), batch(10, 0.2)];
    assert_replays(
        twice(layers),
        &batches,
        |layers: &Vec<Linear>, _, (x, y)| {
            let hidden = layers[1].forward(layers[0].forward(x).relu()).gelu();
            mse(layers[2].forward(hidden).sigmoid(), y)
        },
        2,
    );
}

#[derive(Module, Clone)]
struct Pooled {
    convolution: Conv2d,
    norm: BatchNorm2d,
    dropout: Dropout,
    out: Linear,
}

#[test]
fn convolutional() {
    let mut rng = StdRng::seed_from_u64(0);
    let model = Pooled {
        convolution: Conv2d::new(3, 4, [3, 3], &mut rng),
        norm: BatchNorm2d::new(4),
        dropout: Dropout::new(0.3, &mut rng),
        out: Linear::new(4 * 4 * 4, 5, &mut rng),
    };
    let batch = |n, step| (wave(&[n, 3, 10, 10], 0.37 * step as f64), labels(n, step));
    let models = twice(model);
    let batches = [batch(6, 1), batch(6, 2), batch(3, 3)];
    let mut model =
        assert_replays(models, &batches, |model: &Pooled, _, (x, y)| cross_entropy(forward(model, x), y), 2);

    let mut program =
        ModelProgram::record(&model, &batches[0], |model: &Pooled, _, (x, y)| cross_entropy(forward(model, x), y))
            .unwrap();
    let in_training = program.value(&model, &batches[0]).unwrap();
    model.eval();
    let tape = Tape::new();
    let expected = cross_entropy(forward(&model, tape.constant(&batches[0].0)), &batches[0].1).value().unwrap();
    assert_eq!(program.value(&model, &batches[0]).unwrap(), expected);
    assert_ne!(in_training, expected);
}

fn forward<'t>(model: &Pooled, x: Var<'t>) -> Var<'t> {
    let maps = model.norm.forward(model.convolution.forward(x)).relu();
    let n = maps.size(0);
    let pooled = maps.max_pool2d([2, 2], MaxPool2dOptions::default()).reshape([n, 64]);
    model.out.forward(model.dropout.forward(pooled))
}

/// Each call of a layer that averages over all batches is one more.
#[test]
fn counts_go_on_in_every_run() {
    let mut rng = StdRng::seed_from_u64(0);
    let mut norm = nn::BatchNorm1d::new(3);
    norm.momentum = None;
    let model = Sequence { tokens: Embedding::new(5, 3, &mut rng), layer: norm, out: Linear::new(3, 5, &mut rng) };
    let batch = |step| (labels(6, step), labels(6, step + 1));
    let model = assert_replays(
        twice(model),
        &[batch(1), batch(2), batch(3)],
        |model: &Sequence<nn::BatchNorm1d>, tape, (x, y)| {
            let words = model.layer.forward(model.tokens.forward(tape, x));
            cross_entropy(model.out.forward(model.layer.forward(words.tanh())), y)
        },
        1,
    );
    assert_eq!(model.layer.num_batches_tracked.get(), 12);
}

#[derive(Module, Clone)]
struct Sequence<L> {
    tokens: Embedding,
    layer: L,
    out: Linear,
}

#[test]
fn recurrent() {
    let mut rng = StdRng::seed_from_u64(0);
    let tokens = |step: usize| Tensor::from_fn([7, 3], |i| (i[0] * step + i[1]) % 5);
    let batches = [(tokens(1), labels(3, 1)), (tokens(2), labels(3, 2))];
    let [table, out] = [0, 1].map(|_| (Embedding::new(5, 8, &mut rng), Linear::new(16, 5, &mut rng)));
    let lstm = Sequence { tokens: table.0, layer: Lstm::new(8, 16, &mut rng), out: table.1 };
    let gru = Sequence { tokens: out.0, layer: Gru::new(8, 16, &mut rng), out: out.1 };
    assert_replays(
        twice(lstm),
        &batches,
        |model: &Sequence<Lstm>, tape, (x, y)| {
            let states = model.layer.forward(model.tokens.forward(tape, x));
            cross_entropy(model.out.forward(states.index_axis(0, 6)), y)
        },
        1,
    );
    assert_replays(
        twice(gru),
        &batches,
        |model: &Sequence<Gru>, tape, (x, y)| {
            let states = model.layer.forward(model.tokens.forward(tape, x));
            cross_entropy(model.out.forward(states.index_axis(0, 6)), y)
        },
        1,
    );
}

#[test]
fn attending() {
    let mut rng = StdRng::seed_from_u64(0);
    let config = TransformerConfig { feedforward: 32, dropout: 0.0, batch_first: true, ..Default::default() };
    let model = Sequence {
        tokens: Embedding::new(5, 16, &mut rng),
        layer: TransformerEncoder::new(2, 16, 4, &config, &mut rng),
        out: Linear::new(16, 5, &mut rng),
    };
    let tokens = |step: usize| Tensor::from_fn([2, 9], |i| (i[0] * step + i[1]) % 5);
    assert_replays(
        twice(model),
        &[(tokens(1), labels(18, 1)), (tokens(2), labels(18, 3))],
        |model: &Sequence<TransformerEncoder>, tape, (x, y)| {
            let states = model.layer.forward(model.tokens.forward(tape, x));
            cross_entropy(model.out.forward(states).reshape([18, 5]), y)
        },
        1,
    );
}

#[derive(Module, Clone)]
struct Attending {
    tokens: Embedding,
    attention: MultiheadAttention,
    decoder: TransformerDecoder,
    out: Linear,
}

/// Weights of attention, and what the parts of a layer add, are dropped anew in every step.
#[test]
fn attending_with_dropout() {
    let mut rng = StdRng::seed_from_u64(0);
    let attention =
        MultiheadAttention { dropout: Dropout::new(0.4, &mut rng), ..MultiheadAttention::new(16, 4, &mut rng) };
    let config = TransformerConfig { feedforward: 32, dropout: 0.2, ..Default::default() };
    let model = Attending {
        tokens: Embedding::new(5, 16, &mut rng),
        attention: attention.batch_first(),
        decoder: TransformerDecoder::new(1, 16, 2, &config, &mut rng),
        out: Linear::new(16, 5, &mut rng),
    };
    fn loss<'t>(model: &Attending, tape: &'t Tape, (x, y): (Indices<'t>, Indices<'t>)) -> Scalar<'t> {
        let words = model.tokens.forward(tape, x);
        let found = model.attention.forward_with(words, words, words, &AttentionMask::causal());
        let states = model.decoder.forward(found.transpose(0, 1), words.transpose(0, 1));
        cross_entropy(model.out.forward(states).reshape([18, 5]), y)
    }
    let models = twice(model);
    let batch = |step: usize| (Tensor::from_fn([2, 9], |i| (i[0] * step + i[1]) % 5), labels(18, step));
    let model = assert_replays(models, &[batch(1), batch(3)], loss, 1);
    let mut program = ModelProgram::record(&model, &batch(1), loss).unwrap();
    let losses = [0; 3].map(|_| program.value(&model, &batch(1)).unwrap());
    assert!(losses[0] != losses[1] && losses[1] != losses[2], "{losses:?}");
}

#[test]
fn tokens_that_stand_for_nothing_and_labels_are_others_in_every_run() {
    let mut rng = StdRng::seed_from_u64(0);
    let tokens = Embedding::with_padding(5, 8, 2, &mut rng);
    let model = Sequence { tokens, layer: (), out: Linear::new(8, 5, &mut rng) };
    let tokens = |step: usize| Tensor::from_fn([7, 3], |i| (i[0] * step + i[1]) % 5);
    let weighted = || CrossEntropy { ignore_index: Some(3), reduction: Reduction::Sum, ..CrossEntropy::default() };
    assert_replays(
        twice(model),
        &[1, 2, 3].map(|step| (tokens(step), labels(7, step))),
        |model: &Sequence<()>, tape, (x, y)| {
            let words = model.tokens.forward(tape, x).sum_axes(1);
            let moved = words.scatter(1, y.reshape([7, 1]), words.narrow(1, 7, 1));
            let log_p = model.out.forward(moved).log_softmax(-1);
            nll(log_p, y) + nll_with(log_p, y, &weighted()).item()
        },
        1,
    );
}

/// A generator is where it would be without a program, though nobody needs the first mask.
#[test]
fn what_is_drawn_for_nothing_is_drawn_all_the_same() {
    let dropout = || Dropout::new(0.5, &mut StdRng::seed_from_u64(1));
    fn f<'t>(dropout: &Dropout, x: Var<'t>) -> Scalar<'t> {
        let _ = dropout.forward(x);
        dropout.forward(x).sum()
    }
    let (recorded, eager, x) = (dropout(), dropout(), wave(&[20], 0.3));
    let mut program = ModelProgram::record(&recorded, &x, |dropout: &Dropout, _, x| f(dropout, x)).unwrap();
    for _ in 0..4 {
        let tape = Tape::new();
        assert_eq!(program.value(&recorded, &x).unwrap(), f(&eager, tape.constant(&x)).value().unwrap());
    }
}

#[derive(Clone, Copy)]
enum Read {
    Elements,
    Labels,
    Sorted,
    Largest,
    Pooled,
}

/// Code that computes with indices, or with the elements of a tensor, is recorded again for others.
#[test]
fn what_is_looked_at_is_never_frozen() {
    use autograd::SortOrder::Descending;
    fn f<'t>(read: Read, x: Var<'t>, labels: &Indices<'t>) -> Scalar<'t> {
        let (top, places) = x.flatten().topk(2, 0, Descending);
        let numbers: Vec<usize> = match read {
            Read::Elements => vec![x.value().map_or(0, |x| x.iter().filter(|x| *x > 0.0).count())],
            Read::Labels => labels.value().unwrap().to_vec(),
            Read::Sorted => places.value().unwrap().to_vec(),
            Read::Largest => x.argmax(1).value().unwrap().to_vec(),
            Read::Pooled => x.max_pool2d_with_indices([2, 2], MaxPool2dOptions::default()).1.value().unwrap().to_vec(),
        };
        numbers.into_iter().enumerate().fold(top.sum(), |sum, (k, n)| sum * (k * n) as f32 + top.sum())
    }
    for read in [Read::Elements, Read::Labels, Read::Sorted, Read::Largest, Read::Pooled] {
        let x = |step| (wave(&[4, 5], 0.3 * step as f64), labels(4, step));
        let mut program = Program::record(&x(1), |_, (x, y)| f(read, x, &y)).unwrap();
        for step in [1, 2, 3, 2, 1].repeat(100) {
            let tape = Tape::new();
            let (handle, labels) = x(step).record(&tape);
            let expected = f(read, handle, &labels).value().unwrap();
            assert_eq!(program.value(&x(step)).unwrap(), expected);
        }
        assert!(program.report().paths <= 3, "{}", program.report());
    }
}

/// Places that an operation finds are some of its operand, which another operand need not have.
#[test]
fn found_places_are_checked_where_they_may_be_out_of_range() {
    fn rows<'t>(table: Var<'t>, x: Var<'t>) -> Scalar<'t> {
        table.embedding(x.argmax(1)).sum()
    }
    let x = |largest: usize| Tensor::from_fn([1, 4], |at| if at[1] == largest { 1.0 } else { 0.0 });
    let table = wave(&[3, 2], 0.3);
    let mut program = Program::record(&(table.clone(), x(1)), |_, (table, x)| rows(table, x)).unwrap();
    let sum = |row| table.index_axis(0, row).unwrap().sum();
    assert_eq!(program.value(&(table.clone(), x(2))).unwrap(), sum(2));
    let error = program.value(&(table.clone(), x(3))).unwrap_err().to_string();
    assert!(error.contains("index 3 is out of range for axis 0 of shape [3, 2]"), "{error}");
    assert_eq!(program.value(&(table.clone(), x(0))).unwrap(), sum(0));
}

#[test]
fn frozen_parameters_are_another_form_and_wrong_labels_lose_nothing() {
    let mut rng = StdRng::seed_from_u64(0);
    let mut model = [Linear::new(3, 4, &mut rng), Linear::new(4, 5, &mut rng)];
    let batch = (wave(&[6, 3], 0.3), labels(6, 1));
    let mut program = ModelProgram::record(&model, &batch, |model: &[Linear; 2], _, (x, y)| {
        cross_entropy(model[1].forward(model[0].forward(x).tanh()), y)
    })
    .unwrap()
    .always_replayed();
    let (value, gradients) = program.value_and_gradients(&model, &batch).unwrap();
    assert!(gradients.of(&model[0].weight).is_ok());
    model[0].freeze();
    let (again, gradients) = program.value_and_gradients(&model, &batch).unwrap();
    assert_eq!(again, value);
    assert!(gradients.of(&model[0].weight).unwrap_err().to_string().contains("frozen"));
    assert!(gradients.of(&model[1].weight).is_ok());
    let wrong = program.value_and_gradients(&model, &(batch.0.clone(), labels(6, 1).map(|class| class + 1)));
    let text = wrong.map(drop).unwrap_err().to_string();
    assert!(text.starts_with("softmax_cross_entropy: index 5") && text.contains("programs.rs"), "{text}");
    assert_eq!(program.value(&model, &batch).unwrap(), value);
    assert_eq!(program.report().recordings, 4);
}

/// What would be the same in every run, and must not, is refused.
#[test]
fn what_cannot_be_replayed_is_an_error() {
    let x = Tensor::<f32>::ones([4, 3]);
    let refused =
        |f: &dyn for<'t> Fn(Var<'t>) -> Var<'t>| Program::record(&x, |_, x| f(x).sum()).map(drop).unwrap_err();
    let dropout = refused(&|x| x.dropout(0.5, &mut StdRng::seed_from_u64(1)));
    assert!(dropout.op == "dropout" && dropout.to_string().contains("generator"), "{dropout}");
    let norm = nn::BatchNorm1d::new(3);
    let averages = refused(&|x| norm.forward(x));
    assert!(averages.to_string().contains("ModelProgram"), "{averages}");
    assert_eq!(norm.num_batches_tracked.get(), 0);
    let sweep = Program::record(&x, |tape, x| {
        let found = x.square().sum().backward().and_then(|gradients| gradients.of(x));
        found.map_or_else(|error| x.fail(error.op, error.kind), |gradient| tape.constant(gradient)).sum()
    });
    assert_eq!(sweep.map(drop).unwrap_err().op, "backward");
}

/// Whether inputs are replayed in lanes or run one by one, those with tensors are refused, never taken for the first.
#[test]
fn many_inputs_at_once_are_of_numbers() {
    let x = |k: f64| (k, Tensor::from([k, 2.0 * k]));
    let mut program = Program::record(&x(1.0), |_, (a, v)| (v * a).sum()).unwrap();
    let xs = [x(1.0), x(2.0), x(3.0)];
    for _ in 0..4 {
        let mut found = [0.0; 3];
        let error = program.batch(&xs).value(&mut found).unwrap_err();
        assert!(error.to_string().contains("an argument is a tensor of shape [2]"), "{error}");
        let mut found = xs.clone();
        assert!(program.batch(&xs).gradient(&mut found).is_err());
        assert!(program.batch(&xs).hvp(&xs, &mut [(); 3].map(|()| (x(0.0), x(0.0)))).is_err());
    }
    let mut picks = Program::record(&(2.0_f64, Tensor::from([1_usize])), |tape, (a, list)| {
        (tape.constant([1.0, 2.0]).index_select(0, list) * a).sum()
    })
    .unwrap();
    let xs = [(1.0_f64, Tensor::from([0_usize])), (1.0, Tensor::from([1]))];
    assert!(picks.batch(&xs).value(&mut [0.0; 2]).is_err());
}

/// A result that is a tensor and not gathered numbers.
#[test]
fn many_inputs_at_once_compute_with_tensors_and_have_them_as_results() {
    let f = |tape: &autograd::Tape<f64>, x: f64, y: f64| {
        tape.constant([[x, y], [y, x]]).matmul(tape.constant([1.0, x])).value()
    };
    let record = || {
        Program::record_vector(&[1.0_f64, 2.0], |tape, [x, y]| {
            tape.from_scalars(&[x, y, y, x]).reshape([2, 2]).matmul(tape.from_scalars(&[x * 0.0 + 1.0, x]))
        })
    };
    let (xs, tape) = ([[1.0, 2.0], [0.5, -1.0], [3.0, 0.1]], autograd::Tape::new());
    let expected: Vec<f64> = xs.iter().flat_map(|&[x, y]| f(&tape, x, y).unwrap().to_vec()).collect();
    for mut program in [record().unwrap(), record().unwrap().always_replayed()] {
        for _ in 0..4 {
            let mut found = [0.0; 6];
            program.batch(&xs).values(&mut found).unwrap();
            assert_eq!(found[..], expected[..]);
            let mut found = [0.0; 12];
            program.batch(&xs).jvp(&xs, &mut found).unwrap();
            for (x, found) in xs.iter().zip(found.chunks(4)) {
                let (value, tangent) = program.jvp(x, x).unwrap();
                assert_eq!(found, [value.to_vec(), tangent.to_vec()].concat());
            }
        }
    }
}
