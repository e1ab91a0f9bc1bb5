//! How the layers of a recurrent network run one after the other, whatever its cell is.

use std::io::{Cursor, Write};

use autograd::{
    ErrorKind, Float, Generator, Indices, Module, RecurrentOptions, RecurrentWeights, RnnActivation, Var, cat,
    module::{Mode, Path, Visitor, VisitorMut},
};

use super::{RecurrentConfig, RecurrentParams};

/// What tells one kind of recurrent network from another: S states, and how one direction of one layer runs.
pub(super) trait Network<T: Float, const S: usize> {
    const NAME: &str;
    const GATES: usize;

    #[track_caller]
    fn run<'t>(
        &self,
        x: Var<'t, T>,
        weights: &RecurrentWeights<'t, T>,
        states: Option<[Var<'t, T>; S]>,
        options: &RecurrentOptions<'t, T>,
    ) -> (Var<'t, T>, [Var<'t, T>; S]);
}

#[derive(Debug, Clone, Copy)]
pub(super) struct LongShortTerm;

impl<T: Float> Network<T, 2> for LongShortTerm {
    const NAME: &str = "lstm";
    const GATES: usize = 4;

    #[track_caller]
    fn run<'t>(
        &self,
        x: Var<'t, T>,
        weights: &RecurrentWeights<'t, T>,
        states: Option<[Var<'t, T>; 2]>,
        options: &RecurrentOptions<'t, T>,
    ) -> (Var<'t, T>, [Var<'t, T>; 2]) {
        x.lstm(weights, states, options)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Gated;

impl<T: Float> Network<T, 1> for Gated {
    const NAME: &str = "gru";
    const GATES: usize = 3;

    #[track_caller]
    fn run<'t>(
        &self,
        x: Var<'t, T>,
        weights: &RecurrentWeights<'t, T>,
        states: Option<[Var<'t, T>; 1]>,
        options: &RecurrentOptions<'t, T>,
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
        options: &RecurrentOptions<'t, T>,
    ) -> (Var<'t, T>, [Var<'t, T>; 1]) {
        let (y, h) = x.rnn(weights, states.map(|[h]| h), *self, options);
        (y, [h])
    }
}

/// The layers of a network: its fields.
pub(super) struct Layers<'m, T: Float> {
    pub params: &'m [RecurrentParams<T>],
    pub config: &'m RecurrentConfig,
    pub mode: Mode,
    pub masks: &'m Generator,
}

impl<T: Float> Layers<'_, T> {
    /// The output of the last layer, and the last states of all.
    #[track_caller]
    pub fn run<'t, N: Network<T, S>, const S: usize>(
        &self,
        network: &N,
        x: Var<'t, T>,
        states: Option<[Var<'t, T>; S]>,
        lengths: Option<Indices<'t, T>>,
    ) -> (Var<'t, T>, [Var<'t, T>; S]) {
        if let Err(kind) = self.check(x, &states) {
            let failed = x.fail(N::NAME, kind);
            return (failed, [failed; S]);
        }
        let mut y = if self.config.batch_first { x.transpose(0, 1) } else { x };
        let mut options = RecurrentOptions { lengths, reverse: false };
        let mut last: Option<[Var<'t, T>; S]> = None;
        let directions = self.config.directions();
        for (layer, params) in self.params.chunks(directions).enumerate() {
            if layer > 0 && self.config.dropout > 0.0 && self.mode == Mode::Train {
                y = y.dropout(self.config.dropout, self.masks);
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

    fn check<const S: usize>(&self, x: Var<'_, T>, states: &Option<[Var<'_, T>; S]>) -> Result<(), ErrorKind> {
        if self.params.is_empty() {
            return Err(ErrorKind::Argument { name: "layers", must: "at least 1", found: "0".into() });
        }
        let (layers, directions) = (self.config.layers, self.config.directions());
        if self.params.len() != layers.saturating_mul(directions) {
            let found = format!("{} for {layers} layers in {directions} directions", self.params.len());
            return Err(ErrorKind::Argument { name: "params", must: "one for each layer and direction", found });
        }
        self.params[0].check_input(&x.shape(), 3)?;
        let batch = x.size(if self.config.batch_first { 0 } else { 1 });
        let width = self.params[0].weight_hh.shape().last().copied().unwrap_or_default();
        let expected = [self.params.len(), batch, width];
        states.iter().flatten().try_for_each(|state| state.shape().must_be("a state", &expected))
    }
}

/// Shows the parameters of all layers.
pub(super) fn visit<'m, T: Float>(
    params: &'m [RecurrentParams<T>],
    config: &RecurrentConfig,
    path: &Path<'_>,
    visitor: &mut dyn Visitor<'m, T>,
) {
    for (place, params) in params.iter().enumerate() {
        let name = |kind| Name::new(kind, place, config);
        params.weight_ih.visit(&path.field(name("weight_ih").as_str()), visitor);
        params.weight_hh.visit(&path.field(name("weight_hh").as_str()), visitor);
        params.bias_ih.visit(&path.field(name("bias_ih").as_str()), visitor);
        params.bias_hh.visit(&path.field(name("bias_hh").as_str()), visitor);
    }
}

/// Shows the parameters of all layers, to be changed.
pub(super) fn visit_mut<'m, T: Float>(
    params: &'m mut [RecurrentParams<T>],
    config: &RecurrentConfig,
    path: &Path<'_>,
    visitor: &mut dyn VisitorMut<'m, T>,
) {
    for (place, params) in params.iter_mut().enumerate() {
        let name = |kind| Name::new(kind, place, config);
        params.weight_ih.visit_mut(&path.field(name("weight_ih").as_str()), visitor);
        params.weight_hh.visit_mut(&path.field(name("weight_hh").as_str()), visitor);
        params.bias_ih.visit_mut(&path.field(name("bias_ih").as_str()), visitor);
        params.bias_hh.visit_mut(&path.field(name("bias_hh").as_str()), visitor);
    }
}

/// PyTorch's name of a parameter: `weight_ih_l0`, `weight_ih_l0_reverse`, …. It is written on the stack, since update rules visit a
/// model in every step, and a step allocates nothing.
struct Name {
    bytes: [u8; Name::LONGEST],
    len: usize,
}

impl Name {
    /// `weight_ih_l`, a number of 64 bits and `_reverse`, with room to spare.
    const LONGEST: usize = 48;

    fn new(kind: &str, place: usize, config: &RecurrentConfig) -> Self {
        let (layer, direction) = (place / config.directions(), place % config.directions());
        let mut written = Cursor::new([0; Self::LONGEST]);
        // Nothing that fits can fail.
        _ = write!(written, "{kind}_l{layer}{}", ["", "_reverse"][direction]);
        Name { len: written.position() as usize, bytes: written.into_inner() }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}
