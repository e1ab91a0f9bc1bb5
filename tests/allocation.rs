//! A steady training step takes no memory from the system, and recording a program takes little more than the step that it
//! records. The allocator counts for the whole process, so this is a binary of its own, without a harness that would have
//! threads beside the test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use autograd::{Conv2dOptions, Float, ModelProgram, Padding, Param, Program, Scalar, Tape, Tensor, Var};
use nn::loss::cross_entropy;
use nn::{
    AttentionMask, Conv2d, Embedding, LayerNorm, LearnedPositions, Linear, Lstm, Module, RecurrentConfig,
    TransformerConfig, TransformerEncoder,
};
use optim::{Adam, AdamW};
use rand::SeedableRng;
use rand::rngs::StdRng;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are in use, and the most that were since this was set back.
static BYTES: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    let now = BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(now, Ordering::Relaxed);
}

fn given_back(bytes: usize) {
    BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        given_back(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        given_back(layout.size());
        taken(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: usize = 5;

/// Allocations of each of ten calls, after a few that may allocate.
fn steady(mut step: impl FnMut()) -> Vec<usize> {
    (0..WARM_UP).for_each(|_| step());
    let mut counts = Vec::with_capacity(10);
    for _ in 0..10 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        step();
        counts.push(ALLOCATIONS.load(Ordering::Relaxed) - before);
    }
    counts
}

struct Mlp<T: Float> {
    params: [Param<T>; 4],
}

impl<T: Float> Mlp<T> {
    fn new() -> Self {
        let wave = |shape: &[usize]| {
            let mut k = 0.0;
            Param::new(Tensor::from_fn(shape, |_| {
                k += 1.0;
                T::from_f64(f64::sin(k) * 0.3)
            }))
        };
        Self { params: [wave(&[8, 16]), wave(&[16]), wave(&[16, 4]), wave(&[4])] }
    }

    /// One step of gradient descent on the mean squared error.
    fn step(&mut self, tape: &mut Tape<T>, x: &Tensor<T>, y: &Tensor<T>) -> T {
        let [w1, b1, w2, b2] = self.params.each_ref().map(|param| tape.param(param));
        let hidden = (tape.constant(x.clone()).matmul(w1) + b1).tanh();
        let loss = (hidden.matmul(w2) + b2 - tape.constant(y.clone())).square().mean();
        let value = loss.value().unwrap();
        let gradients = loss.backward().unwrap();
        for param in &mut self.params {
            let gradient = gradients.of(&*param).unwrap();
            param.update_with(&gradient, [], |x, g, []| (x - g * T::from_f64(0.1), [])).unwrap();
        }
        drop(gradients);
        tape.clear();
        value
    }
}

fn tensor_step<T: Float>() -> Vec<usize> {
    let (x, y) = (Tensor::<T>::ones([32, 8]), Tensor::ones([32, 4]));
    let (mut model, mut tape) = (Mlp::new(), Tape::new());
    let first = model.step(&mut tape, &x, &y);
    let mut last = first;
    let counts = steady(|| last = model.step(&mut tape, &x, &y));
    assert!(last < first, "it does not learn: {first}, then {last}");
    counts
}

/// Ten thousand steps, in ten counts.
fn many_steps() -> Vec<usize> {
    let (x, y) = (Tensor::<f32>::ones([4, 8]), Tensor::ones([4, 4]));
    let (mut model, mut tape) = (Mlp::new(), Tape::new());
    steady(|| {
        for _ in 0..1000 {
            model.step(&mut tape, &x, &y);
        }
    })
}

fn scalar_step<T: Float>() -> Vec<usize> {
    let mut tape = Tape::<T>::new();
    let mut weight = T::ONE;
    steady(|| {
        let w = tape.scalar(weight);
        let mut x = w;
        for _ in 0..1000 {
            x = (x * w + T::from_f64(0.1)).tanh() - w;
        }
        weight -= x.backward().unwrap().of(w).unwrap() * T::from_f64(0.01);
        tape.clear();
    })
}

#[derive(Module)]
struct Classifier {
    hidden: Linear,
    out: Linear,
}

/// What users write: layers, a loss of classes, an update rule.
fn classifier_step() -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut model = Classifier { hidden: Linear::new(8, 32, &mut rng), out: Linear::new(32, 4, &mut rng) };
    let mut adam = Adam::new(0.01);
    let x = Tensor::normal([16, 8], 0.0, 1.0, &mut rng);
    let classes: Tensor<usize> = (0..16).map(|i| i % 4).collect();
    let mut tape = Tape::new();
    steady(|| {
        let hidden = model.hidden.forward(tape.constant(x.clone())).relu();
        let loss = cross_entropy(model.out.forward(hidden), &classes);
        let gradients = loss.backward().unwrap();
        adam.step(&mut model, &gradients).unwrap();
        drop(gradients);
        tape.clear();
    })
}

#[derive(Module)]
struct Language {
    tokens: Embedding,
    positions: LearnedPositions,
    encoder: TransformerEncoder,
    out: Linear,
}

/// A causal transformer that guesses the next token.
fn transformer_step() -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(1);
    let config = TransformerConfig { feedforward: 32, dropout: 0.0, batch_first: true, ..Default::default() };
    let mut model = Language {
        tokens: Embedding::new(5, 16, &mut rng),
        positions: LearnedPositions::new(12, 16, &mut rng),
        encoder: TransformerEncoder::new(2, 16, 4, &config, &mut rng).with_norm(LayerNorm::new(16)),
        out: Linear::new(16, 5, &mut rng),
    };
    let mut adamw = AdamW::new(0.01);
    let tokens = Tensor::from_fn([3, 12], |i| (i[0] + 2 * i[1]) % 5);
    let next = Tensor::from_fn([36], |i| (i[0] / 12 + 2 * (i[0] % 12) + 2) % 5);
    let mut tape = Tape::new();
    let (mut first, mut last) = (None, 0.0);
    let counts = steady(|| {
        let x = model.positions.forward(model.tokens.forward(&tape, &tokens));
        let x = model.encoder.forward_with(x, &AttentionMask::causal());
        let loss = cross_entropy(model.out.forward(x).reshape([36, 5]), &next);
        last = loss.value().unwrap();
        first.get_or_insert(last);
        let gradients = loss.backward().unwrap();
        adamw.step(&mut model, &gradients).unwrap();
        drop(gradients);
        tape.clear();
    });
    assert!(first.is_some_and(|first| last < 0.9 * first), "it does not learn: {first:?}, then {last}");
    counts
}

#[derive(Module)]
struct Separable {
    dense: Conv2d,
    depthwise: Conv2d,
    head: Linear,
}

/// Convolutions of all channels and of each alone, and a loss of classes.
fn convolution_step() -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(1);
    let options = Conv2dOptions { stride: [2, 2], padding: Padding::from(1), groups: 24, ..Default::default() };
    let mut model = Separable {
        dense: Conv2d::new(3, 24, [3, 3], &mut rng),
        depthwise: Conv2d::with_options(24, 24, [3, 3], options, &mut rng),
        head: Linear::new(24, 4, &mut rng),
    };
    let mut adam = Adam::new(0.01);
    let x = Tensor::normal([4, 3, 9, 9], 0.0, 1.0, &mut rng);
    let classes: Tensor<usize> = (0..4).collect();
    let mut tape = Tape::new();
    steady(|| {
        let maps = model.depthwise.forward(model.dense.forward(tape.constant(x.clone())).relu());
        let gradients = cross_entropy(model.head.forward(maps.mean_axes([2, 3])), &classes).backward().unwrap();
        adam.step(&mut model, &gradients).unwrap();
        drop(gradients);
        tape.clear();
    })
}

#[derive(Module)]
struct LastHidden {
    lstm: Lstm,
    head: Linear,
}

/// A sequence, its last hidden state, and a loss of classes.
fn sequence_step() -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(1);
    let config = RecurrentConfig { batch_first: true, ..RecurrentConfig::default() };
    let mut model = LastHidden { lstm: Lstm::with_config(8, 32, config, &mut rng), head: Linear::new(32, 4, &mut rng) };
    let mut adam = Adam::new(0.01);
    let x = Tensor::normal([16, 10, 8], 0.0, 1.0, &mut rng);
    let classes: Tensor<usize> = (0..16).map(|i| i % 4).collect();
    let mut tape = Tape::new();
    steady(|| {
        let last = model.lstm.forward(tape.constant(x.clone())).index_axis(1, 9);
        let gradients = cross_entropy(model.head.forward(last), &classes).backward().unwrap();
        adam.step(&mut model, &gradients).unwrap();
        drop(gradients);
        tape.clear();
    })
}

/// A program on one input, on many, and as a sum over data.
fn replayed_step() -> Vec<usize> {
    let x = [0.1_f64, 0.2, 0.3];
    let mut program = Program::record(&x, |_, [x, y, z]| if x < y { (x * y).sin() + z } else { x * z.exp() }).unwrap();
    let (xs, mut gradients) = (vec![x; 40], vec![x; 40]);
    let data: Vec<[f64; 1]> = (0..300).map(|i| [f64::from(i) * 0.01]).collect();
    let mut loss = Program::record(&([1.0_f64], data[0]), |_, ([a], [x])| (a * x).cos()).unwrap();
    steady(|| {
        program.value_and_gradient(&x).unwrap();
        program.batch(&xs).gradient(&mut gradients).unwrap();
        loss.sum(&[2.0], &data).unwrap();
    })
}

/// A training step of a model that is replayed, and a program of tensors.
fn replayed_tensors_step() -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut layers = vec![Linear::new(8, 32, &mut rng), Linear::new(32, 4, &mut rng)];
    let classes: Tensor<usize> = (0..16).map(|i| i % 4).collect();
    let batch = (Tensor::normal([16, 8], 0.0, 1.0, &mut rng), classes);
    let mut step = ModelProgram::record(&layers, &batch, |layers: &Vec<Linear>, _, (x, y)| {
        cross_entropy(layers[1].forward(layers[0].forward(x).gelu()), y)
    })
    .unwrap();
    let mut adam = Adam::new(0.01);
    let x = [Tensor::<f32>::ones([50, 60]), Tensor::ones([60])];
    let mut program = Program::record(&x, |_, [x, y]| ((x * y).sin() + x.exp()).sum()).unwrap();
    steady(|| {
        let (_, gradients) = step.value_and_gradients(&layers, &batch).unwrap();
        adam.step(&mut layers, &gradients).unwrap();
        drop(gradients);
        program.value_and_gradient(&x).unwrap();
    })
}

/// A second derivative of a program of tensors.
fn replayed_hvp_step() -> Vec<usize> {
    let x = [Tensor::<f32>::ones([50, 60]), Tensor::ones([60])];
    let mut program = Program::record(&x, |_, [x, y]| ((x * y).sin() + x.exp()).sum()).unwrap();
    steady(|| {
        program.hvp(&x, &x).unwrap();
    })
}

/// Scalars and tensors on one tape, and a derivative of a derivative.
fn mixed_step() -> Vec<usize> {
    let mut tape = Tape::<f64>::new();
    steady(|| {
        let x = tape.var([1.0, 2.0, 3.0]);
        let scale = x.at([1]) * 2.0;
        let slope = (x * scale).sin().sum().grad(x);
        slope.square().sum().backward().unwrap();
        tape.clear();
    })
}

/// The bytes that a thread of its own, whose pool is empty, takes at most.
fn most_bytes(work: impl FnOnce() + Send) -> usize {
    let before = BYTES.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
    MOST.load(Ordering::Relaxed) - before
}

/// A step on a tape, and the same step recorded and replayed: the bytes of each.
fn bytes_of_recording() -> [usize; 2] {
    let mut rng = StdRng::seed_from_u64(1);
    let layers: Vec<Linear> = (0..6).map(|_| Linear::new(64, 64, &mut rng)).collect();
    let x = Tensor::normal([2048, 64], 0.0, 1.0, &mut rng);
    fn loss<'t>(layers: &[Linear], x: Var<'t>) -> Scalar<'t> {
        layers.iter().fold(x, |x, layer| layer.forward(x).gelu()).square().mean()
    }
    let eager = || {
        let tape = Tape::new();
        loss(&layers, tape.constant(&x)).backward().unwrap();
    };
    let replayed = || {
        let mut step = ModelProgram::record(&layers, &x, |layers: &Vec<Linear>, _, x| loss(layers, x)).unwrap();
        step.value_and_gradients(&layers, &x).unwrap();
    };
    // Threads of kernels get their memory first.
    eager();
    replayed();
    [most_bytes(eager), most_bytes(replayed)]
}

fn main() {
    for (what, counts) in [
        ("tensors, f32", tensor_step::<f32>()),
        ("tensors, f64", tensor_step::<f64>()),
        ("tensors, ten thousand steps", many_steps()),
        ("layers and Adam", classifier_step()),
        ("a transformer and AdamW", transformer_step()),
        ("convolutions", convolution_step()),
        ("a sequence", sequence_step()),
        ("replays", replayed_step()),
        ("replays of tensors", replayed_tensors_step()),
        ("scalars, f32", scalar_step::<f32>()),
        ("scalars, f64", scalar_step::<f64>()),
    ] {
        assert!(counts.iter().all(|&count| count == 0), "{what}: allocations of each step {counts:?}");
    }
    // A recorded sweep keeps lists of handles, which borrow the tape and so cannot stay with it.
    for (what, counts, most) in [("recorded", mixed_step(), 8), ("a second derivative", replayed_hvp_step(), 12)] {
        assert!(counts.iter().all(|&count| count <= most), "{what}: allocations of each step {counts:?}");
    }
    let [eager, recorded] = bytes_of_recording();
    assert!(2 * recorded < 3 * eager, "recording takes {recorded} bytes, the step itself {eager}");
}
