//! Recurrent networks over sequences, and their cells for one step.

use autograd::{
    Float, Leaf, Module, Param, Path, RecurrentOptions, RecurrentWeights, RnnActivation, Rule, Setting, Shape, Tensor,
    Var, Visitor, VisitorMut, cat,
};
use rand::Rng;

use super::{Dropout, layer, optional};
use crate::init;

/// What one direction of one layer multiplies with, of G gates.
#[derive(Debug, Clone, nn_derive::Module)]
pub struct RecurrentParams<T: Float = f32> {
    /// For the input: `[G·width, inputs]`.
    pub weight_ih: Param<T>,
    /// For the hidden state: `[G·width, width]`.
    pub weight_hh: Param<T>,
    /// With the input: `[G·width]`.
    pub bias_ih: Option<Param<T>>,
    /// With the hidden state: `[G·width]`. There are both biases or none.
    pub bias_hh: Option<Param<T>>,
}

impl<T: Float> RecurrentParams<T> {
    fn new(gates: usize, inputs: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let bound = 1.0 / (width as f64).sqrt();
        // What has no room is refused where the weight is made.
        let rows = gates.saturating_mul(width);
        let mut draw = |shape: Shape| Param::from(init::uniform(shape, -bound, bound, rng));
        Self {
            weight_ih: draw([rows, inputs].into()),
            weight_hh: draw([rows, width].into()),
            bias_ih: Some(draw(rows.into())),
            bias_hh: Some(draw(rows.into())),
        }
    }

    #[track_caller]
    fn on<'t>(&self, x: Var<'t, T>) -> RecurrentWeights<'t, T> {
        RecurrentWeights {
            input: x.param(&self.weight_ih),
            hidden: x.param(&self.weight_hh),
            bias: optional(x, &self.bias_ih).zip(optional(x, &self.bias_hh)).map(<[_; 2]>::from),
        }
    }

    fn without_bias(self) -> Self {
        Self { bias_ih: None, bias_hh: None, ..self }
    }

    /// An input has `rank` axes, the last with as many features as the weight takes.
    fn check_input(&self, x: &Shape, rank: usize) -> Result<(), Rule> {
        match (&x[..], &self.weight_ih.shape()[..]) {
            (x, _) if x.len() != rank => Err(Rule::Rank { what: "the input", expected: rank, found: x.into() }),
            ([samples @ .., _], &[_, inputs]) => {
                let expected: Shape = samples.iter().copied().chain([inputs]).collect();
                x.must_be("the input", &expected)
            }
            _ => Ok(()),
        }
    }
}

/// The form of a recurrent network; the default is PyTorch's: one layer, forwards, steps before samples.
#[derive(Debug, Clone, Copy, PartialEq, nn_derive::Module)]
pub struct RecurrentConfig {
    /// Layers, each over the output of the one before. Default: 1.
    pub layers: usize,
    /// Whether every layer goes through the sequence both ways and gives both hidden states, side by side.
    pub bidirectional: bool,
    /// The probability of being dropped between layers, in training.
    pub dropout: f64,
    /// Whether input and output are `[batch, steps, ..]` instead of `[steps, batch, ..]`. States are not concerned.
    pub batch_first: bool,
}

impl Default for RecurrentConfig {
    fn default() -> Self {
        Self { layers: 1, bidirectional: false, dropout: 0.0, batch_first: false }
    }
}

impl RecurrentConfig {
    fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }
}

/// What tells one kind of recurrent network from another: S states, and how one direction of one layer runs.
trait Network<T: Float, const S: usize> {
    const NAME: &str;
    const GATES: usize;

    #[track_caller]
    fn run<'t>(
        &self,
        x: Var<'t, T>,
        weights: &RecurrentWeights<'t, T>,
        states: Option<[Var<'t, T>; S]>,
        options: &RecurrentOptions,
    ) -> (Var<'t, T>, [Var<'t, T>; S]);
}

#[derive(Debug, Clone, Copy)]
struct LongShortTerm;

impl<T: Float> Network<T, 2> for LongShortTerm {
    const NAME: &str = "lstm";
    const GATES: usize = 4;

    #[track_caller]
    fn run<'t>(
        &self,
        x: Var<'t, T>,
        weights: &RecurrentWeights<'t, T>,
        states: Option<[Var<'t, T>; 2]>,
        options: &RecurrentOptions,
    ) -> (Var<'t, T>, [Var<'t, T>; 2]) {
        x.lstm(weights, states, options)
    }
}

#[derive(Debug, Clone, Copy)]
struct Gated;

impl<T: Float> Network<T, 1> for Gated {
    const NAME: &str = "gru";
    const GATES: usize = 3;

    #[track_caller]
    fn run<'t>(
        &self,
        x: Var<'t, T>,
        weights: &RecurrentWeights<'t, T>,
        states: Option<[Var<'t, T>; 1]>,
        options: &RecurrentOptions,
    ) -> (Var<'t, T>, [Var<'t, T>; 1]) {
        let (y, h) = x.gru(weights, states.map(|[h]| h), options);
        (y, [h])
    }
}

impl<T: Float> Network<T, 1> for RnnActivation {
    const NAME: &str = "rnn";
    const GATES: usize = 1;

    #[track_caller]
    fn run<'t>(
        &self,
        x: Var<'t, T>,
        weights: &RecurrentWeights<'t, T>,
        states: Option<[Var<'t, T>; 1]>,
        options: &RecurrentOptions,
    ) -> (Var<'t, T>, [Var<'t, T>; 1]) {
        let (y, h) = x.rnn(weights, states.map(|[h]| h), *self, options);
        (y, [h])
    }
}

/// The layers of a network, first the forward direction of each, then the other.
#[derive(Debug, Clone)]
struct Layers<T: Float> {
    params: Vec<RecurrentParams<T>>,
    /// PyTorch's names of the parameters: `weight_ih_l0`, `weight_ih_l0_reverse`, ….
    names: Vec<[String; 4]>,
    config: RecurrentConfig,
    dropout: Dropout,
}

impl<T: Float> Layers<T> {
    fn new(gates: usize, inputs: usize, width: usize, config: RecurrentConfig, rng: &mut (impl Rng + ?Sized)) -> Self {
        let directions = config.directions();
        let (mut params, mut names) = (Vec::new(), Vec::new());
        for layer in 0..config.layers {
            for suffix in &["", "_reverse"][..directions] {
                let inputs = if layer == 0 { inputs } else { width.saturating_mul(directions) };
                params.push(RecurrentParams::new(gates, inputs, width, rng));
                let kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
                names.push(kinds.map(|kind| format!("{kind}_l{layer}{suffix}")));
            }
        }
        Self { params, names, config, dropout: Dropout::new(config.dropout, rng) }
    }

    fn without_bias(self) -> Self {
        Self { params: self.params.into_iter().map(RecurrentParams::without_bias).collect(), ..self }
    }

    /// The output of the last layer, and the last states of all.
    #[track_caller]
    fn run<'t, N: Network<T, S>, const S: usize>(
        &self,
        network: &N,
        x: Var<'t, T>,
        states: Option<[Var<'t, T>; S]>,
        lengths: Option<&Tensor<usize>>,
    ) -> (Var<'t, T>, [Var<'t, T>; S]) {
        if let Err(rule) = self.check(x, &states) {
            let failed = x.fail(N::NAME, rule);
            return (failed, [failed; S]);
        }
        let mut y = if self.config.batch_first { x.transpose(0, 1) } else { x };
        let mut options = RecurrentOptions { lengths: lengths.cloned(), reverse: false };
        let mut last: Option<[Var<'t, T>; S]> = None;
        let directions = self.config.directions();
        for (layer, params) in self.params.chunks(directions).enumerate() {
            if layer > 0 && self.config.dropout > 0.0 {
                y = self.dropout.forward(y);
            }
            let x = y;
            for (direction, params) in params.iter().enumerate() {
                options.reverse = direction == 1;
                let mut before = states;
                for state in before.iter_mut().flatten() {
                    *state = state.index_axis(0, layer * directions + direction);
                }
                let (found, mut after) = network.run(x, &params.on(x), before, &options);
                y = if direction == 0 { found } else { cat(&[y, found], 2) };
                for (index, state) in after.iter_mut().enumerate() {
                    *state = state.unsqueeze(0);
                    if let Some(last) = last {
                        *state = cat(&[last[index], *state], 0);
                    }
                }
                last = Some(after);
            }
        }
        (if self.config.batch_first { y.transpose(0, 1) } else { y }, last.unwrap_or([y; S]))
    }

    fn check<const S: usize>(&self, x: Var<'_, T>, states: &Option<[Var<'_, T>; S]>) -> Result<(), Rule> {
        if self.params.is_empty() {
            return Err(Rule::Argument { name: "layers", must: "at least 1", found: "0".into() });
        }
        self.params[0].check_input(&x.shape(), 3)?;
        let batch = x.size(if self.config.batch_first { 0 } else { 1 });
        let width = self.params[0].weight_hh.shape().last().copied().unwrap_or_default();
        let expected = [self.params.len(), batch, width];
        states.iter().flatten().try_for_each(|state| state.shape().must_be("a state", &expected))
    }
}

impl<T: Float> Module<T> for Layers<T> {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        for (params, names) in self.params.iter().zip(&self.names) {
            params.weight_ih.visit(&path.field(&names[0]), visitor);
            params.weight_hh.visit(&path.field(&names[1]), visitor);
            params.bias_ih.visit(&path.field(&names[2]), visitor);
            params.bias_hh.visit(&path.field(&names[3]), visitor);
        }
        self.config.visit(&path.field("config"), visitor);
        self.dropout.visit(&path.field("dropout"), visitor);
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        for (params, names) in self.params.iter_mut().zip(&self.names) {
            params.weight_ih.visit_mut(&path.field(&names[0]), visitor);
            params.weight_hh.visit_mut(&path.field(&names[1]), visitor);
            params.bias_ih.visit_mut(&path.field(&names[2]), visitor);
            params.bias_hh.visit_mut(&path.field(&names[3]), visitor);
        }
        self.dropout.visit_mut(&path.field("dropout"), visitor);
    }
}

/// The module's parameters are those of one of its fields, under their own names.
macro_rules! transparent {
    ($($module:ident: $field:ident $(, $setting:ident)?;)*) => {$(
        impl<T: Float> Module<T> for $module<T> {
            fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
                self.$field.visit(path, visitor);
                $(visitor.leaf(&path.field(stringify!($setting)), Leaf::Setting(Setting::of(&self.$setting)));)?
            }
            fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
                self.$field.visit_mut(path, visitor);
            }
        }
    )*};
}

transparent! {
    Lstm: layers;
    Gru: layers;
    Rnn: layers, activation;
    LstmCell: params;
    GruCell: params;
    RnnCell: params, activation;
}

/// A network over sequences and its cell. The state is written as its caller sees it, then as an array.
macro_rules! recurrent {
    (
        $(#[$doc:meta])*
        $layer:ident,
        $(#[$cell_doc:meta])*
        $cell:ident {
            $($(#[$setting_doc:meta])* $setting:ident: $Setting:ty,)?
        }
        network: |$this:ident| $network:expr, $Network:ty,
        state: $State:ty, $outer:tt => $inner:tt,
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $layer<T: Float = f32> {
            layers: Layers<T>,
            $($(#[$setting_doc])* pub $setting: $Setting,)?
        }

        impl<T: Float> $layer<T> {
            /// One layer, forwards, over `[steps, batch, inputs]`.
            pub fn new(inputs: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
                Self::with_config(inputs, width, RecurrentConfig::default(), rng)
            }

            /// A network of another form.
            pub fn with_config(
                inputs: usize,
                width: usize,
                config: RecurrentConfig,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                let layers = Layers::new(<$Network as Network<T, _>>::GATES, inputs, width, config, rng);
                Self { layers, $($setting: <$Setting>::default())? }
            }

            /// The same network without its biases.
            #[must_use]
            pub fn without_bias(self) -> Self {
                Self { layers: self.layers.without_bias(), $($setting: self.$setting)? }
            }

            /// The form of the network.
            pub fn config(&self) -> &RecurrentConfig {
                &self.layers.config
            }

            /// The parameters of each layer, first of the forward direction, then of the other if there is one.
            pub fn params(&self) -> &[RecurrentParams<T>] {
                &self.layers.params
            }

            /// The parameters of each layer, to be changed.
            pub fn params_mut(&mut self) -> &mut [RecurrentParams<T>] {
                &mut self.layers.params
            }

            /// The hidden states of the last layer after every step; the states start with zeros.
            #[track_caller]
            pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
                self.forward_with_state(x, None).0
            }

            /// As [`forward`](Self::forward) from a state, zeros without one; and the last state, to go on from.
            #[track_caller]
            pub fn forward_with_state<'t>(&self, x: Var<'t, T>, state: Option<$State>) -> (Var<'t, T>, $State) {
                self.run(x, state, None)
            }

            /// As [`forward_with_state`](Self::forward_with_state) for samples of different lengths, padded to one: `[batch]`
            /// numbers of steps. The output behind a sample's end is 0, its last state is that at its end, and what
            /// stands in the padding does not matter.
            ///
            /// # Errors
            /// A length that is zero or more than the steps.
            #[track_caller]
            pub fn forward_with_lengths<'t>(
                &self,
                x: Var<'t, T>,
                lengths: &Tensor<usize>,
                state: Option<$State>,
            ) -> (Var<'t, T>, $State) {
                self.run(x, state, Some(lengths))
            }

            #[track_caller]
            fn run<'t>(
                &self,
                x: Var<'t, T>,
                state: Option<$State>,
                lengths: Option<&Tensor<usize>>,
            ) -> (Var<'t, T>, $State) {
                let $this = self;
                let (y, $inner) = $this.layers.run(&$network, x, state.map(|$outer| $inner), lengths);
                (y, $outer)
            }
        }

        layer!($layer<T>);

        $(#[$cell_doc])*
        #[derive(Debug, Clone)]
        pub struct $cell<T: Float = f32> {
            /// The parameters.
            pub params: RecurrentParams<T>,
            $($(#[$setting_doc])* pub $setting: $Setting,)?
        }

        impl<T: Float> $cell<T> {
            /// A cell with biases.
            pub fn new(inputs: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
                let params = RecurrentParams::new(<$Network as Network<T, _>>::GATES, inputs, width, rng);
                Self { params, $($setting: <$Setting>::default())? }
            }

            /// The same cell without its biases.
            #[must_use]
            pub fn without_bias(self) -> Self {
                Self { params: self.params.without_bias(), $($setting: self.$setting)? }
            }

            /// The state after one step, from the one before; zeros without one.
            #[track_caller]
            pub fn forward<'t>(&self, x: Var<'t, T>, state: Option<$State>) -> $State {
                let $this = self;
                let one_step = match self.params.check_input(&x.shape(), 2) {
                    Ok(()) => x.unsqueeze(0),
                    Err(rule) => x.fail(<$Network as Network<T, _>>::NAME, rule),
                };
                let options = RecurrentOptions::default();
                let state = state.map(|$outer| $inner);
                let (_, $inner) = $network.run(one_step, &self.params.on(x), state, &options);
                $outer
            }
        }
    };
}

recurrent! {
    /// A long short-term memory: a state c that gates open and close, and a hidden state h that is its output.
    ///
    /// With the gates i, f, o = σ(…) and g = tanh(…), each of W·x + b + U·h + b′: c ← f·c + i·g, h ← o·tanh c; see
    /// [`Var::lstm`]. The state of a network is \[h, c\]. Everything starts, as in PyTorch, uniform within ±1/√width, and
    /// parameters have PyTorch's names and layouts: `weight_ih_l0` is `[4·width, inputs]`, with the gates i, f, g, o.
    ///
    /// # Shapes
    /// `[steps, batch, inputs]` → `[steps, batch, width]`, or `[.., 2·width]` both ways; h and c are
    /// `[layers, batch, width]`, or `[2·layers, ..]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::{Lstm, RecurrentConfig};
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let config = RecurrentConfig { layers: 2, batch_first: true, ..RecurrentConfig::default() };
    /// let lstm: Lstm = Lstm::with_config(3, 8, config, &mut StdRng::seed_from_u64(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::ones([5, 10, 3]));
    /// let (y, [h, c]) = lstm.forward_with_state(x, None);
    /// assert_eq!((y.shape(), h.shape()), ([5, 10, 8].into(), [2, 5, 8].into()));
    /// let (_more, _) = lstm.forward_with_state(x, Some([h, c]));
    /// ```
    ///
    /// Hochreiter and Schmidhuber, *Long short-term memory*, Neural Computation 1997.
    Lstm,
    /// One step of an [`Lstm`], for loops that choose their next input.
    ///
    /// # Shapes
    /// `[batch, inputs]` and a state \[h, c\] of `[batch, width]` each → the next state.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::LstmCell;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let cell: LstmCell = LstmCell::new(3, 8, &mut StdRng::seed_from_u64(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::ones([2, 3]));
    /// let state = cell.forward(x, None);
    /// let [h, _c] = cell.forward(x, Some(state));
    /// assert_eq!(h.shape(), [2, 8].into());
    /// ```
    LstmCell {}
    network: |_layer| LongShortTerm, LongShortTerm,
    state: [Var<'t, T>; 2], [h, c] => [h, c],
}

recurrent! {
    /// Gated recurrent units: a hidden state that a gate z keeps, and a gate r hides from its successor.
    ///
    /// With p = W·x + b and q = U·h + b′: r, z = σ(p + q), n = tanh(p + r·q), h ← (1 − z)·n + z·h; see [`Var::gru`]. Everything
    /// starts, as in PyTorch, uniform within ±1/√width, and parameters have PyTorch's names and layouts: `weight_ih_l0`
    /// is `[3·width, inputs]`, with the gates r, z, n.
    ///
    /// # Shapes
    /// `[steps, batch, inputs]` → `[steps, batch, width]`, or `[.., 2·width]` both ways; the state is
    /// `[layers, batch, width]`, or `[2·layers, ..]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::Gru;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let gru: Gru = Gru::new(3, 8, &mut StdRng::seed_from_u64(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::ones([10, 2, 3]));
    /// let (y, h) = gru.forward_with_lengths(x, &Tensor::from([10, 4]), None);
    /// assert_eq!((y.shape(), h.shape()), ([10, 2, 8].into(), [1, 2, 8].into()));
    /// assert_eq!(y.index_axis(0, 3).index_axis(0, 1).value()?, h.index_axis(0, 0).index_axis(0, 1).value()?);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// Cho et al., *Learning phrase representations using RNN encoder–decoder for statistical machine translation*, 2014.
    Gru,
    /// One step of a [`Gru`], for loops that choose their next input.
    ///
    /// # Shapes
    /// `[batch, inputs]` and a state `[batch, width]` → the next state.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::GruCell;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let cell: GruCell = GruCell::new(3, 8, &mut StdRng::seed_from_u64(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::ones([2, 3]));
    /// let h = cell.forward(x, None);
    /// assert_eq!(cell.forward(x, Some(h)).shape(), [2, 8].into());
    /// ```
    GruCell {}
    network: |_layer| Gated, Gated,
    state: Var<'t, T>, h => [h],
}

recurrent! {
    /// A plain recurrent network: h ← φ(W·x + b + U·h + b′), where φ is tanh or relu; see [`Var::rnn`].
    ///
    /// Everything starts, as in PyTorch, uniform within ±1/√width, and parameters have PyTorch's names and layouts:
    /// `weight_ih_l0` is `[width, inputs]`.
    ///
    /// # Shapes
    /// `[steps, batch, inputs]` → `[steps, batch, width]`, or `[.., 2·width]` both ways; the state is
    /// `[layers, batch, width]`, or `[2·layers, ..]`.
    ///
    /// ```
    /// use autograd::{RnnActivation, Tape, Tensor};
    /// use nn::Rnn;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let mut rnn: Rnn = Rnn::new(3, 8, &mut StdRng::seed_from_u64(0));
    /// rnn.activation = RnnActivation::Relu;
    /// let tape = Tape::new();
    /// assert_eq!(rnn.forward(tape.constant(Tensor::ones([10, 2, 3]))).shape(), [10, 2, 8].into());
    /// ```
    ///
    /// Elman, *Finding structure in time*, Cognitive Science 1990.
    Rnn,
    /// One step of an [`Rnn`], for loops that choose their next input.
    ///
    /// # Shapes
    /// `[batch, inputs]` and a state `[batch, width]` → the next state.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::RnnCell;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let cell: RnnCell = RnnCell::new(3, 8, &mut StdRng::seed_from_u64(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::ones([2, 3]));
    /// let h = cell.forward(x, None);
    /// assert_eq!(cell.forward(x, Some(h)).shape(), [2, 8].into());
    /// ```
    RnnCell {
        /// What follows the sum. Default: tanh.
        activation: RnnActivation,
    }
    network: |layer| layer.activation, RnnActivation,
    state: Var<'t, T>, h => [h],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModuleExt;
    use autograd::Tape;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn rng() -> StdRng {
        StdRng::seed_from_u64(0)
    }

    #[test]
    fn everything_starts_within_one_over_the_root_of_the_width() {
        let gru = Gru::<f64>::new(3, 16, &mut rng());
        for (name, param) in gru.named_parameters() {
            let largest = param.value().iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
            assert!((0.2..=0.25).contains(&largest), "{name}: {largest}");
        }
        assert_eq!(gru.without_bias().parameter_count(), 48 * 3 + 48 * 16);
    }

    #[test]
    fn a_cell_takes_the_steps_of_its_layer() {
        let lstm = Lstm::<f64>::new(2, 3, &mut rng());
        let cell = LstmCell { params: lstm.params()[0].clone() };
        let tape = Tape::new();
        let x = tape.constant(Tensor::uniform([4, 2, 2], -1.0, 1.0, &mut rng()));
        let (y, [h, c]) = lstm.forward_with_state(x, None);
        let mut state = None;
        for step in 0..4 {
            let after = cell.forward(x.index_axis(0, step), state);
            assert_eq!(after[0].value().unwrap(), y.index_axis(0, step).value().unwrap());
            state = Some(after);
        }
        assert_eq!(
            state.unwrap().map(|state| state.value().unwrap()),
            [h, c].map(|s| s.index_axis(0, 0).value().unwrap())
        );
    }

    #[test]
    fn padding_does_not_matter() {
        let config = RecurrentConfig { layers: 2, bidirectional: true, ..RecurrentConfig::default() };
        let gru = Gru::<f64>::with_config(2, 3, config, &mut rng());
        let lengths = Tensor::from([3, 1]);
        let run = |padding: f64| {
            let tape = Tape::new();
            let mut x = Tensor::uniform([3, 2, 2], -1.0, 1.0, &mut rng());
            for step in [1, 2] {
                x.as_mut_slice()[step * 4 + 2..step * 4 + 4].fill(padding);
            }
            let (y, h) = gru.forward_with_lengths(tape.constant(x), &lengths, None);
            let gradients = (y.sum() + h.sum()).backward().unwrap();
            let gradient = |param: &Param<f64>| gradients.of(param).unwrap().to_vec();
            (y.value().unwrap(), gru.named_parameters().into_iter().map(|(_, p)| gradient(p)).collect::<Vec<_>>())
        };
        assert_eq!(run(0.0), run(f64::NAN));
    }

    #[test]
    fn layers_drop_between_them_in_training_alone() {
        let config = RecurrentConfig { layers: 2, dropout: 1.0, ..RecurrentConfig::default() };
        let mut rnn = Rnn::<f64>::with_config(2, 3, config, &mut rng()).without_bias();
        let run = |rnn: &Rnn<f64>| {
            let tape = Tape::new();
            rnn.forward(tape.constant(Tensor::ones([3, 1, 2]))).value().unwrap()
        };
        assert!(run(&rnn).iter().all(|y| y == 0.0));
        rnn.eval();
        assert!(run(&rnn).iter().all(|y| y != 0.0));
    }

    #[test]
    fn errors_are_at_the_users_line() {
        let config = |layers| RecurrentConfig { layers, ..RecurrentConfig::default() };
        let text = |lstm: &Lstm<f64>, shape: &[usize], state: &[usize]| {
            let tape = Tape::new();
            let state = tape.constant(Tensor::zeros(state));
            let (y, _) = lstm.forward_with_state(tape.constant(Tensor::zeros(shape)), Some([state; 2]));
            let text = y.value().unwrap_err().to_string();
            assert!(text.contains("layer/recurrent.rs"), "{text}");
            text
        };
        let two = Lstm::with_config(2, 3, config(2), &mut rng());
        let right: &[usize] = &[2, 5, 3];
        assert!(text(&two, &[4, 5], right).starts_with("lstm: the input must have rank 3, found shape [4, 5], at"));
        let wide = text(&two, &[4, 5, 9], right);
        assert!(wide.starts_with("lstm: the input must have shape [4, 5, 2], found [4, 5, 9], at"), "{wide}");
        let flat = text(&two, &[4, 5, 2], &[5, 3]);
        assert!(flat.starts_with("lstm: a state must have shape [2, 5, 3], found [5, 3], at"), "{flat}");
        let none = Lstm::with_config(2, 3, config(0), &mut rng());
        assert!(text(&none, &[4, 5, 2], right).starts_with("lstm: layers must be at least 1, found 0, at"));
        let cell = |shape: &[usize]| {
            let tape = Tape::new();
            let cell = GruCell::<f64>::new(2, 3, &mut rng());
            cell.forward(tape.constant(Tensor::zeros(shape)), None).value().unwrap_err().to_string()
        };
        assert!(cell(&[5, 9]).starts_with("gru: the input must have shape [5, 2], found [5, 9], at"));
        assert!(cell(&[1, 5, 2]).starts_with("gru: the input must have rank 2, found shape [1, 5, 2], at"));
    }
}
