//! A small language model.

use autograd::{AttentionOptions, Indices, Result, Tape, Var};
use nn::loss::cross_entropy;
use nn::{Embedding, LayerNorm, Linear};
use optim::AdamW;
use rand::rngs::StdRng;

use crate::bench::{Bench, classes};

const TOKENS: usize = 65;
const LENGTH: usize = 128;
const WIDTH: usize = 128;
const HEADS: usize = 4;

/// Two transformer blocks on 8 × 128 tokens, width 128, cross-entropy, AdamW.
pub fn w6(bench: &mut Bench<'_>, mut rng: StdRng) -> Result<()> {
    let mut model = Gpt::new(&mut rng);
    let [x, y] = [0; 2].map(|_| classes([8, LENGTH], TOKENS, &mut rng));
    let y = y.flatten();
    let mut adamw = AdamW::new(1e-3);
    bench.supervised(
        &mut model,
        &(x, y),
        |model: &Gpt, tape, (x, y)| cross_entropy(model.forward(tape, &x).reshape([8 * LENGTH, TOKENS]), y),
        |model, gradients| adamw.step(model, gradients),
    )
}

#[derive(nn::Module)]
struct Gpt {
    token: Embedding,
    position: Embedding,
    blocks: [Block; 2],
    norm: LayerNorm,
    head: Linear,
}

impl Gpt {
    fn new(rng: &mut StdRng) -> Self {
        Gpt {
            token: Embedding::new(TOKENS, WIDTH, rng),
            position: Embedding::new(LENGTH, WIDTH, rng),
            blocks: [Block::new(rng), Block::new(rng)],
            norm: LayerNorm::new(WIDTH),
            head: Linear::new(WIDTH, TOKENS, rng),
        }
    }

    fn forward<'t>(&self, tape: &'t Tape, tokens: &Indices<'t, f32>) -> Var<'t> {
        let x = self.token.forward(tape, tokens) + tape.param(&self.position.weight);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.head.forward(self.norm.forward(x))
    }
}

#[derive(nn::Module)]
struct Block {
    norms: [LayerNorm; 2],
    qkv: Linear,
    projection: Linear,
    up: Linear,
    down: Linear,
}

impl Block {
    fn new(rng: &mut StdRng) -> Self {
        Block {
            norms: [LayerNorm::new(WIDTH), LayerNorm::new(WIDTH)],
            qkv: Linear::new(WIDTH, 3 * WIDTH, rng),
            projection: Linear::new(WIDTH, WIDTH, rng),
            up: Linear::new(WIDTH, 4 * WIDTH, rng),
            down: Linear::new(4 * WIDTH, WIDTH, rng),
        }
    }

    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let x = x + self.projection.forward(self.attend(self.norms[0].forward(x)));
        x + self.down.forward(self.up.forward(self.norms[1].forward(x)).gelu_tanh())
    }

    fn attend<'t>(&self, x: Var<'t>) -> Var<'t> {
        let [batch, length, width] = x.dims();
        let qkv = self.qkv.forward(x);
        let [q, k, v] = [0, 1, 2].map(|i| {
            let part = qkv.narrow(-1, i * width, width);
            part.reshape([batch, length, HEADS, width / HEADS]).transpose(1, 2)
        });
        let causal = AttentionOptions { causal: true, ..AttentionOptions::default() };
        q.scaled_dot_product_attention(k, v, &causal).transpose(1, 2).reshape([batch, length, width])
    }
}
