//! Recurrent networks over sequences, and their cells for one step.

mod layers;
mod params;

use autograd::{
    AsIndices, Float, Generator, Indices, Module, RecurrentOptions, RnnActivation, Var,
    module::{Leaf, Mode, Path, Setting, Visitor, VisitorMut},
};
use layers::{Gated, Layers, LongShortTerm, Network};
use rand::Rng;

pub use params::RecurrentParams;

use super::layer;

/// The form of a recurrent network; the default is PyTorch's: one layer, forwards, steps before samples.
#[derive(Debug, Clone, Copy, PartialEq, autograd_derive::Module)]
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

/// A network shows the parameters of its layers under PyTorch's names, and then its other fields.
macro_rules! network {
    ($($module:ident $($setting:ident)?;)*) => {$(
        impl<T: Float> Module<T> for $module<T> {
            fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
                layers::visit(&self.params, &self.config, path, visitor);
                self.config.visit(&path.field("config"), visitor);
                self.mode.visit(&path.field("mode"), visitor);
                self.masks.visit(&path.field("masks"), visitor);
                $(visitor.leaf(&path.field(stringify!($setting)), Leaf::Setting(Setting::of(&self.$setting)));)?
            }
            fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
                layers::visit_mut(&mut self.params, &self.config, path, visitor);
                self.mode.visit_mut(&path.field("mode"), visitor);
                self.masks.visit_mut(&path.field("masks"), visitor);
            }
        }
    )*};
}

network! {
    Lstm;
    Gru;
    Rnn activation;
}

/// The parameters of a cell are those of its one field.
macro_rules! cell {
    ($($module:ident $($setting:ident)?;)*) => {$(
        impl<T: Float> Module<T> for $module<T> {
            fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
                self.params.visit(path, visitor);
                $(visitor.leaf(&path.field(stringify!($setting)), Leaf::Setting(Setting::of(&self.$setting)));)?
            }
            fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
                self.params.visit_mut(path, visitor);
            }
        }
    )*};
}

cell! {
    LstmCell;
    GruCell;
    RnnCell activation;
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
            /// The parameters of each layer, first of the forward direction, then of the other if there is one.
            pub params: Vec<RecurrentParams<T>>,
            /// The form of the network. Its layers and directions are those that there are parameters for.
            pub config: RecurrentConfig,
            /// Whether anything is dropped between layers: see [`ModuleExt::eval`](crate::ModuleExt::eval). Starts in training.
            pub mode: Mode,
            /// What the masks between layers are drawn from.
            pub masks: Generator,
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
                let (gates, directions) = (<$Network as Network<T, _>>::GATES, config.directions());
                let inputs_of = |layer| if layer == 0 { inputs } else { width.saturating_mul(directions) };
                let layers = (0..config.layers).flat_map(|layer| (0..directions).map(move |_| inputs_of(layer)));
                let params = layers.map(|inputs| RecurrentParams::new(gates, inputs, width, rng)).collect();
                let masks = Generator::new(rng);
                Self { params, config, mode: Mode::Train, masks, $($setting: <$Setting>::default())? }
            }

            /// The same network without its biases.
            #[must_use]
            pub fn without_bias(self) -> Self {
                Self { params: self.params.into_iter().map(RecurrentParams::without_bias).collect(), ..self }
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
                lengths: impl AsIndices<'t, T>,
                state: Option<$State>,
            ) -> (Var<'t, T>, $State) {
                self.run(x, state, Some(lengths.on(x.tape())))
            }

            #[track_caller]
            fn run<'t>(
                &self,
                x: Var<'t, T>,
                state: Option<$State>,
                lengths: Option<Indices<'t, T>>,
            ) -> (Var<'t, T>, $State) {
                let $this = self;
                let Self { params, config, mode, masks, .. } = self;
                let layers = Layers { params, config, mode: *mode, masks };
                let (y, $inner) = layers.run(&$network, x, state.map(|$outer| $inner), lengths);
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
                    Err(kind) => x.fail(<$Network as Network<T, _>>::NAME, kind),
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
    /// let (y, h) = gru.forward_with_lengths(x, [10, 4], None);
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
    /// let rng = &mut StdRng::seed_from_u64(0);
    /// let rnn: Rnn = Rnn { activation: RnnActivation::Relu, ..Rnn::new(3, 8, rng) };
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
    use autograd::{Param, Tape, Tensor};
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
        let cell = LstmCell { params: lstm.params[0].clone() };
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
        let one = Lstm { config: config(2), ..Lstm::new(2, 3, &mut rng()) };
        let found = text(&one, &[4, 5, 2], &[1, 5, 3]);
        let expected =
            "lstm: params must be one for each layer and direction, found 1 for 2 layers in 1 directions, at";
        assert!(found.starts_with(expected), "{found}");
        let cell = |shape: &[usize]| {
            let tape = Tape::new();
            let cell = GruCell::<f64>::new(2, 3, &mut rng());
            cell.forward(tape.constant(Tensor::zeros(shape)), None).value().unwrap_err().to_string()
        };
        assert!(cell(&[5, 9]).starts_with("gru: the input must have shape [5, 2], found [5, 9], at"));
        assert!(cell(&[1, 5, 2]).starts_with("gru: the input must have rank 2, found shape [1, 5, 2], at"));
    }
}
