"""Writes transformer.safetensors, the state of a small transformer, and transformer.jsonl, what it computes in float64.

    python transformer.py

The lines: the inputs; the output, and the gradients of Σ output·weights with respect to the two sequences and every
parameter. There is no dropout, so that both modes compute the same.
"""

from pathlib import Path

import torch
import torch.nn as nn
from safetensors.torch import save_file

from layers import randomised, tensor, tensors
from reference import SEED, write

CONFIG = {"d_model": 4, "nhead": 2, "dim_feedforward": 6, "dropout": 0.0}


class Transformer(nn.Module):
    """Inputs: a source [2, 5, 4] with its padding [2, 5], and a target [4, 2, 4]."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(**CONFIG, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4), enable_nested_tensor=False)
        layer = nn.TransformerDecoderLayer(**CONFIG, activation="gelu", norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, 2)
        self.attention = nn.MultiheadAttention(4, 4, bias=False, batch_first=True)
        self.rms_norm = nn.RMSNorm(4)
        self.group_norm = nn.GroupNorm(2, 4)

    def forward(self, source, target, padding, mask):
        memory = self.encoder(source, src_key_padding_mask=padding)
        causal = torch.ones(4, 4).triu(1).bool()
        x = self.decoder(target, memory.transpose(0, 1), tgt_mask=causal, memory_key_padding_mask=padding)
        x = x.transpose(0, 1)
        found, _ = self.attention(x, memory, source, attn_mask=mask, key_padding_mask=padding)
        return self.group_norm(self.rms_norm(x + found))


def passed(model, mode, source, target, padding, mask, weights):
    model.train(mode == "train")
    model.zero_grad()
    source, target = source.clone().requires_grad_(), target.clone().requires_grad_()
    output = model(source, target, padding, mask)
    (output * weights).sum().backward()
    gradients = [("source", source.grad), ("target", target.grad)]
    gradients += [(name, p.grad) for name, p in model.named_parameters()]
    return {"output": output, "gradients": dict(gradients)}


if __name__ == "__main__":
    torch.manual_seed(SEED)
    model = randomised(Transformer())
    source, target, weights = torch.randn(2, 5, 4), torch.randn(4, 2, 4), torch.randn(2, 4, 4)
    padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
    mask = torch.tensor([[False, True, False, False, True]] * 2 + [[True, False, False, False, False]] * 2)
    save_file(model.state_dict(), Path(__file__).with_suffix(".safetensors"))
    inputs = {"source": source, "target": target, "padding": padding, "mask": mask, "weights": weights}
    evaluated, trained = (passed(model, mode, *inputs.values()) for mode in ("eval", "train"))
    torch.testing.assert_close(evaluated, trained)
    output, gradients = tensor(trained["output"]), tensors(trained["gradients"].items())
    write(__file__, [{"inputs": tensors(inputs.items())}, {"output": output, "gradients": gradients}])
