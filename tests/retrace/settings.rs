//! The settings of a model are part of the form of a program: one that changes is followed, whatever it is.

use std::rc::Rc;

use autograd::{
    ModelProgram, NoGrad, Padding, Param, Result, RnnActivation, Scalar, Tape, Tensor, Var,
    module::{Leaf, Path},
};
use nn::{
    AdaptiveAvgPool2d, AlphaDropout, AttentionMask, AvgPool2d, BatchNorm1d, BatchNorm2d, Celu, Conv1d, Conv2d,
    ConvTranspose2d, Dropout, Dropout2d, Elu, Embedding, GroupNorm, Gru, Hardshrink, Layer, LayerNorm, LeakyRelu,
    Linear, Lstm, MaxPool2d, Module, ModuleExt, MultiheadAttention, RecurrentConfig, Relu, RmsNorm, Rnn, RnnCell,
    Sequential, Softplus, Softshrink, Tanh, TransformerActivation, TransformerConfig, TransformerDecoder,
    TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn rng() -> StdRng {
    StdRng::seed_from_u64(3)
}

fn wave(shape: &[usize]) -> Tensor {
    let mut k = 0.0;
    Tensor::from_fn(shape, |_| {
        k += 1.0;
        f64::sin(k * 0.7) as f32
    })
}

/// A layer with something before it that a gradient is taken of.
#[derive(Module)]
struct Scaled<M> {
    scale: Param,
    layer: M,
}

impl<M: Module> Scaled<M> {
    fn new(layer: M) -> Self {
        Self { scale: Param::new([1.5]), layer }
    }

    /// A loss and its gradients, recorded anew.
    fn step(&self, x: &Tensor, run: impl for<'t> Fn(&M, Var<'t>) -> Var<'t>) -> Result<Vec<u32>> {
        let tape = Tape::new();
        let loss = weighted(run(&self.layer, tape.constant(x) * tape.param(&self.scale)));
        Ok(self.bits(loss.value()?, &loss.backward()?))
    }

    /// The bits of a loss, its gradients, and what the layer has changed in itself.
    fn bits(&self, loss: f32, gradients: &autograd::Gradients) -> Vec<u32> {
        let mut bits = vec![loss.to_bits()];
        let add = |bits: &mut Vec<u32>, x: &Tensor| bits.extend(x.iter().map(f32::to_bits));
        self.visit(&Path::root(), &mut |_: &Path<'_>, leaf: Leaf<'_, f32>| match leaf {
            Leaf::Param(param) => gradients.get(param).into_iter().for_each(|found| add(&mut bits, found)),
            Leaf::Buffer(buffer) => add(&mut bits, &buffer.value()),
            Leaf::Counter(counter) => bits.push(counter.get() as u32),
            Leaf::Generator(generator) => bits.push(generator.drawn() as u32),
            Leaf::Mode(_) | Leaf::Setting(_) => {}
        });
        bits
    }
}

/// A number of all elements, each with a weight of its own.
fn weighted(y: Var<'_>) -> Scalar<'_> {
    (y * y.tape().constant(wave(&y.shape()))).sum()
}

type Run<M> = Rc<dyn for<'t> Fn(&M, Var<'t>) -> Var<'t>>;

/// A program beside recordings that are made anew, of two models that are equal.
struct Followed<M: Module> {
    name: &'static str,
    eager: Scaled<M>,
    replayed: Scaled<M>,
    x: NoGrad<Tensor>,
    run: Run<M>,
    program: ModelProgram<'static, f32, Scaled<M>, NoGrad<Tensor>>,
    last: Result<Vec<u32>, String>,
}

impl<M: Module + 'static> Followed<M> {
    /// The program is recorded of a third model.
    fn new(
        name: &'static str,
        make: impl Fn() -> M,
        x: &[usize],
        run: impl for<'t> Fn(&M, Var<'t>) -> Var<'t> + 'static,
    ) -> Self {
        let [eager, replayed, first] = [(); 3].map(|()| Scaled::new(make()));
        let (x, run): (_, Run<M>) = (NoGrad(wave(x)), Rc::new(run));
        let layer = run.clone();
        let program = ModelProgram::record(&first, &x, move |model: &Scaled<M>, tape, NoGrad(x)| {
            weighted(layer(&model.layer, x * tape.param(&model.scale)))
        });
        let program = program.unwrap_or_else(|error| panic!("{name}: {error}")).always_replayed();
        let mut followed = Self { name, eager, replayed, x, run, program, last: Ok(Vec::new()) };
        followed.step("what was recorded");
        followed
    }

    /// Changes a setting of both models; the change shows in the result.
    fn change(mut self, setting: &str, change: impl Fn(&mut M)) -> Self {
        change(&mut self.eager.layer);
        change(&mut self.replayed.layer);
        self.step(setting);
        self
    }

    fn step(&mut self, setting: &str) {
        let (name, replayed) = (self.name, &self.replayed);
        let expected = self.eager.step(&self.x.0, &*self.run).map_err(|error| error.to_string());
        let found = self.program.value_and_gradients(replayed, &self.x);
        let found = found.map(|(loss, found)| replayed.bits(loss, &found)).map_err(|error| error.to_string());
        assert!(found == expected, "{name}: {setting} is not followed");
        assert!(self.last != expected, "{name}: {setting} changes nothing");
        self.last = expected;
    }
}

#[test]
fn of_activations() {
    fn check<M: Layer + Default + 'static>(name: &'static str, change: fn(&mut M)) {
        Followed::new(name, M::default, &[3, 4], |layer, x| layer.forward(x)).change("its number", change);
    }
    check::<LeakyRelu>("leaky_relu", |layer| layer.slope = 0.25);
    check::<Elu>("elu", |layer| layer.alpha = 2.0);
    check::<Celu>("celu", |layer| layer.alpha = 2.0);
    check::<Softplus>("softplus", |layer| layer.beta = 2.0);
    check::<Hardshrink>("hardshrink", |layer| layer.lambda = 0.9);
    check::<Softshrink>("softshrink", |layer| layer.lambda = 0.9);
}

#[test]
fn of_normalisation() {
    Followed::new("layer_norm", || LayerNorm::new(4), &[3, 4], |layer, x| layer.forward(x))
        .change("epsilon", |layer| layer.epsilon = 0.5)
        .change("no bias", |layer| layer.bias = None)
        .change("epsilon again", |layer| layer.epsilon = 1e-5);
    Followed::new("rms_norm", || RmsNorm::new(4), &[3, 4], |layer, x| layer.forward(x))
        .change("epsilon", |layer| layer.epsilon = 0.5);
    Followed::new("group_norm", || GroupNorm::new(2, 4), &[2, 4, 3], |layer, x| layer.forward(x))
        .change("groups", |layer| layer.groups = 1)
        .change("epsilon", |layer| layer.epsilon = 0.5);
    Followed::new("batch_norm1d", || BatchNorm1d::new(4), &[3, 4], |layer, x| layer.forward(x))
        .change("epsilon", |layer| layer.epsilon = 0.5)
        .change("momentum", |layer| layer.momentum = Some(0.7))
        .change("no momentum", |layer| layer.momentum = None)
        .change("mode", |layer| layer.eval())
        .change("epsilon in use", |layer| layer.epsilon = 0.1);
    Followed::new("batch_norm2d", || BatchNorm2d::new(2), &[3, 2, 2, 2], |layer, x| layer.forward(x))
        .change("epsilon", |layer| layer.epsilon = 0.5)
        .change("momentum", |layer| layer.momentum = None);
}

#[test]
fn of_convolutions() {
    Followed::new("conv1d", || Conv1d::new(2, 2, [3], &mut rng()), &[2, 2, 9], |layer, x| layer.forward(x))
        .change("stride", |layer| layer.options.stride = [2])
        .change("padding", |layer| layer.options.padding = Padding::Size([1]))
        .change("dilation", |layer| layer.options.dilation = [2])
        .change("no bias", |layer| layer.bias = None)
        .change("groups that do not fit", |layer| layer.options.groups = 2);
    Followed::new("conv2d", || Conv2d::new(1, 4, [3, 3], &mut rng()), &[2, 1, 7, 7], |layer, x| layer.forward(x))
        .change("dilation", |layer| layer.options.dilation = [1, 2])
        .change("padding", |layer| layer.options.padding = Padding::Same)
        .change("padding by sizes", |layer| layer.options.padding = Padding::Size([2, 0]))
        .change("stride", |layer| layer.options.stride = [1, 2]);
    Followed::new(
        "conv_transpose2d",
        || ConvTranspose2d::new(2, 1, [3, 3], &mut rng()),
        &[2, 2, 3, 3],
        |layer, x| layer.forward(x),
    )
    .change("stride", |layer| layer.options.stride = [2, 1])
    .change("padding", |layer| layer.options.padding = [1, 0])
    .change("output_padding", |layer| layer.options.output_padding = [1, 0])
    .change("dilation", |layer| layer.options.dilation = [1, 2]);
}

#[test]
fn of_pools() {
    Followed::new("max_pool2d", || MaxPool2d::new([2, 3]), &[1, 2, 7, 7], |layer, x| layer.forward(x))
        .change("window", |layer| layer.window = [3, 2])
        .change("stride", |layer| layer.options.stride = Some([2, 2]))
        .change("ceil_mode", |layer| layer.options.ceil_mode = true)
        .change("padding", |layer| layer.options.padding = [1, 0])
        .change("dilation", |layer| layer.options.dilation = [1, 2]);
    Followed::new("avg_pool2d", || AvgPool2d::new([2, 3]), &[1, 2, 7, 7], |layer, x| layer.forward(x))
        .change("window", |layer| layer.window = [3, 2])
        .change("stride", |layer| layer.options.stride = Some([2, 2]))
        .change("ceil_mode", |layer| layer.options.ceil_mode = true)
        .change("padding", |layer| layer.options.padding = [1, 1])
        .change("count_include_pad", |layer| layer.options.count_include_pad = false)
        .change("divisor_override", |layer| layer.options.divisor_override = Some(5));
    Followed::new("adaptive_avg_pool2d", || AdaptiveAvgPool2d::new([2, 2]), &[1, 2, 7, 7], |layer, x| layer.forward(x))
        .change("size", |layer| layer.size = [3, 2]);
}

#[test]
fn of_dropout() {
    Followed::new("dropout", || Dropout::new(0.5, &mut rng()), &[5, 8], |layer, x| layer.forward(x))
        .change("probability", |layer| layer.probability = 0.9)
        .change("mode", ModuleExt::<f32>::eval)
        .change("mode again", ModuleExt::<f32>::train)
        .change("masks", |layer| *layer = Dropout::new(0.9, &mut StdRng::seed_from_u64(7)))
        .change("no probability", |layer| layer.probability = 2.0);
    Followed::new("dropout2d", || Dropout2d::new(0.5, &mut rng()), &[5, 8, 2], |layer, x| layer.forward(x))
        .change("probability", |layer| layer.probability = 0.2);
    Followed::new("alpha_dropout", || AlphaDropout::new(0.5, &mut rng()), &[5, 8], |layer, x| layer.forward(x))
        .change("probability", |layer| layer.probability = 0.2);
}

#[test]
fn of_embeddings() {
    Followed::new(
        "embedding",
        || Embedding::new(4, 3, &mut rng()),
        &[1],
        |layer, x| layer.forward(x.tape(), Tensor::from([1, 2, 3, 2])),
    )
    .change("padding", |layer| layer.padding = Some(2));
}

#[test]
fn of_attention() {
    Followed::new(
        "multihead_attention",
        || MultiheadAttention::new(4, 2, &mut rng()),
        &[3, 3, 4],
        |layer, x| layer.forward_self(x, &AttentionMask::causal()),
    )
    .change("heads", |layer| layer.heads = 4)
    .change("batch_first", |layer| layer.batch_first = true)
    .change("dropout", |layer| layer.dropout.probability = 0.5)
    .change("mode", |layer| layer.eval())
    .change("no bias", |layer| layer.in_proj_bias = None)
    .change("heads that do not fit", |layer| layer.heads = 3);
}

fn config() -> TransformerConfig {
    TransformerConfig { feedforward: 8, dropout: 0.0, ..TransformerConfig::default() }
}

#[test]
fn of_transformers() {
    Followed::new(
        "transformer_encoder_layer",
        || TransformerEncoderLayer::with_config(4, 2, &config(), &mut rng()),
        &[3, 2, 4],
        |layer, x| layer.forward(x),
    )
    .change("gelu", |layer| layer.activation = TransformerActivation::Gelu)
    .change("gelu_tanh", |layer| layer.activation = TransformerActivation::GeluTanh)
    .change("silu", |layer| layer.activation = TransformerActivation::Silu)
    .change("norm_first", |layer| layer.norm_first = true)
    .change("norm2", |layer| layer.norm2.epsilon = 0.1)
    .change("dropout1", |layer| layer.dropout1.probability = 0.5);
    Followed::new(
        "transformer_decoder_layer",
        || TransformerDecoderLayer::with_config(4, 2, &config(), &mut rng()),
        &[3, 2, 4],
        |layer, x| layer.forward(x, x * 0.5),
    )
    .change("activation", |layer| layer.activation = TransformerActivation::Silu)
    .change("norm_first", |layer| layer.norm_first = true)
    .change("norm3", |layer| layer.norm3.epsilon = 0.1)
    .change("heads", |layer| layer.multihead_attn.heads = 1)
    .change("dropout3", |layer| layer.dropout3.probability = 0.5);
    Followed::new(
        "transformer_encoder",
        || TransformerEncoder::new(2, 4, 2, &config(), &mut rng()),
        &[3, 2, 4],
        |model, x| model.forward(x),
    )
    .change("norm", |model| model.norm = Some(LayerNorm::new(4)))
    .change("a layer less", |model| model.layers.truncate(1))
    .change("activation", |model| model.layers[0].activation = TransformerActivation::Gelu);
    Followed::new(
        "transformer_decoder",
        || TransformerDecoder::new(2, 4, 2, &config(), &mut rng()),
        &[3, 2, 4],
        |model, x| model.forward(x, x * 0.5),
    )
    .change("order of layers", |model| model.layers.swap(0, 1))
    .change("none", |model| model.layers.clear());
}

#[test]
fn of_recurrent_networks() {
    fn of(layers: usize, batch_first: bool, dropout: f64) -> RecurrentConfig {
        RecurrentConfig { layers, batch_first, dropout, ..RecurrentConfig::default() }
    }
    Followed::new(
        "lstm",
        || Lstm::with_config(4, 4, of(2, false, 0.0), &mut rng()),
        &[3, 3, 4],
        |model, x| model.forward(x),
    )
    .change("batch_first", |model| *model = Lstm::with_config(4, 4, of(2, true, 0.0), &mut rng()))
    .change("dropout", |model| *model = Lstm::with_config(4, 4, of(2, true, 0.5), &mut rng()))
    .change("mode", |model| model.eval())
    .change("no bias", |model| model.params[0] = model.clone().without_bias().params[0].clone());
    Followed::new("gru", || Gru::new(4, 4, &mut rng()), &[3, 3, 4], |model, x| model.forward(x))
        .change("batch_first", |model| *model = Gru::with_config(4, 4, of(1, true, 0.0), &mut rng()));
    Followed::new("rnn", || Rnn::new(4, 4, &mut rng()), &[3, 3, 4], |model, x| model.forward(x))
        .change("activation", |model| model.activation = RnnActivation::Relu);
    Followed::new("rnn_cell", || RnnCell::new(4, 4, &mut rng()), &[3, 4], |cell, x| cell.forward(x, None))
        .change("activation", |cell| cell.activation = RnnActivation::Relu);
}

/// Closures and layers behind `dyn` are told apart, though they show nothing that differs.
#[test]
fn of_layers_that_are_chosen_at_run_time() {
    fn scaled(by: f32) -> Sequential {
        Sequential::new().with(Linear::new(4, 4, &mut rng())).apply(move |x| x * by).with(Relu)
    }
    Followed::new("sequential", || scaled(1.0), &[3, 4], |model, x| model.forward(x))
        .change("another closure", |model| *model = scaled(2.0))
        .change("another layer", |model| *model = Sequential::new().with(Linear::new(4, 4, &mut rng())).with(Tanh))
        .change("no layer", |model| *model = Sequential::new());
    Followed::new(
        "boxed",
        || vec![Box::new(Relu) as Box<dyn Layer>],
        &[3, 4],
        |layers, x| layers.iter().fold(x, |x, layer| layer.forward(x)),
    )
    .change("type", |layers| layers[0] = Box::new(Tanh))
    .change("length", |layers| layers.push(Box::new(Tanh)));
}

#[derive(Module, Clone, Copy, PartialEq)]
enum Squash {
    Tanh,
    Sigmoid,
    Scaled(f32),
    Shifted { by: f64 },
}

/// An enum of another crate.
#[derive(Hash, Clone, Copy, PartialEq)]
enum Foreign {
    Add,
    Multiply,
}

/// Every kind of setting that a user may have.
#[derive(Module)]
struct Own {
    squash: Squash,
    flag: bool,
    count: usize,
    offset: i8,
    grade: char,
    unit: &'static str,
    name: String,
    power: Option<i32>,
    factors: Vec<f32>,
    grid: [[u16; 2]; 2],
    stages: Vec<Squash>,
    before: Option<Squash>,
    boxed: Box<f64>,
    #[module(setting)]
    combine: Foreign,
    #[module(setting)]
    pairs: Vec<(u8, String)>,
    inner: Generic<f32>,
}

#[derive(Module)]
struct Generic<N>(N, #[module(setting)] Option<(u8, u8)>);

impl Squash {
    fn of<'t>(self, x: Var<'t>) -> Var<'t> {
        match self {
            Squash::Tanh => x.tanh(),
            Squash::Sigmoid => x.sigmoid(),
            Squash::Scaled(by) => x * by,
            Squash::Shifted { by } => x + by as f32,
        }
    }
}

impl Own {
    fn new() -> Self {
        Self {
            squash: Squash::Tanh,
            flag: false,
            count: 1,
            offset: 1,
            grade: 'a',
            unit: "m",
            name: "first".into(),
            power: None,
            factors: vec![1.0, 2.0],
            grid: [[1, 2], [3, 4]],
            stages: Vec::new(),
            before: None,
            boxed: Box::new(1.0),
            combine: Foreign::Add,
            pairs: vec![(1, "one".into())],
            inner: Generic(1.0, None),
        }
    }

    /// Every field shows in the result.
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let text = |text: &str| text.bytes().fold(0.0, |sum, byte| sum * 2.0 + f32::from(byte));
        let grid = self.grid.as_flattened().iter().fold(0.0, |sum, &n| sum * 3.0 + f32::from(n));
        let pairs = self.pairs.iter().fold(0.0, |sum, (n, name)| sum * 5.0 + f32::from(*n) + text(name));
        let numbers = [
            f32::from(u8::from(self.flag)),
            self.count as f32,
            self.offset.into(),
            f32::from(self.grade as u8),
            text(self.unit),
            text(&self.name),
            self.power.map_or(-1.0, |n| n as f32),
            self.factors.iter().product(),
            grid,
            *self.boxed as f32,
            pairs,
            self.inner.0,
            self.inner.1.map_or(0.0, |(a, b)| f32::from(a) / f32::from(b)),
        ];
        let sum = numbers.iter().zip(1_u8..).map(|(x, k)| x * (1.0 + 0.01 * f32::from(k))).sum::<f32>();
        let y = self.squash.of(self.before.map_or(x, |before| before.of(x)));
        let y = self.stages.iter().fold(y, |y, stage| stage.of(y));
        if self.combine == Foreign::Add { y + sum } else { y * sum }
    }
}

#[test]
fn of_a_module_of_the_user() {
    Followed::new("own", Own::new, &[3, 4], |model, x| model.forward(x))
        .change("variant", |model| model.squash = Squash::Sigmoid)
        .change("number in a variant", |model| model.squash = Squash::Scaled(2.0))
        .change("another number in it", |model| model.squash = Squash::Scaled(3.0))
        .change("field of a variant", |model| model.squash = Squash::Shifted { by: 3.0 })
        .change("flag", |model| model.flag = true)
        .change("count", |model| model.count = 5)
        .change("offset", |model| model.offset = -1)
        .change("char", |model| model.grade = 'b')
        .change("text", |model| model.unit = "s")
        .change("string", |model| model.name = "second".into())
        .change("an option that is there", |model| model.power = Some(-1 + 1))
        .change("value of an option", |model| model.power = Some(3))
        .change("element of a list", |model| model.factors[1] = 4.0)
        .change("length of a list", |model| model.factors.push(0.5))
        .change("array", |model| model.grid[1][0] = 9)
        .change("list of enums", |model| model.stages.push(Squash::Tanh))
        .change("variant in a list", |model| model.stages[0] = Squash::Sigmoid)
        .change("enum in an option", |model| model.before = Some(Squash::Tanh))
        .change("box", |model| *model.boxed = -2.0)
        .change("enum of another crate", |model| model.combine = Foreign::Multiply)
        .change("list of tuples", |model| model.pairs.push((2, "two".into())))
        .change("string in a tuple", |model| model.pairs[1].1 = "six".into())
        .change("generic field", |model| model.inner.0 = 7.5)
        .change("setting of a tuple struct", |model| model.inner.1 = Some((3, 4)));
}

/// A form that comes often is recorded once and kept, so many of them; the others run on the tape.
#[test]
fn forms_are_kept_and_bounded() {
    fn loss<'t>(layer: &LayerNorm, x: Var<'t>) -> Scalar<'t> {
        weighted(layer.forward(x))
    }
    let (x, mut layer) = (NoGrad(wave(&[3, 4])), LayerNorm::new(4));
    let mut program = ModelProgram::record(&layer, &x, |layer: &LayerNorm, _, NoGrad(x)| loss(layer, x)).unwrap();
    let mut rounds = |epsilons: std::ops::Range<u8>, rounds: usize| {
        for epsilon in (0..rounds).flat_map(|_| epsilons.clone()) {
            layer.epsilon = 0.1 * f64::from(1 + epsilon);
            let tape = Tape::new();
            let expected = loss(&layer, tape.constant(&x.0)).value().unwrap();
            assert_eq!(program.value(&layer, &x).unwrap(), expected);
        }
        program.report()
    };
    let few = rounds(0..3, 400);
    assert_eq!((few.recordings, few.forgotten), (1 + 3, 0), "the layer as it was made is a form, too: {few}");
    let again = rounds(0..3, 400);
    assert_eq!((again.recordings, again.hits), (few.recordings, few.hits + 3 * 400), "{again}");
    let many = rounds(0..40, 20);
    assert!(many.forms <= 16 && many.eager > again.eager, "{many}");
}
