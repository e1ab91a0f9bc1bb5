"""Writes layers.safetensors, the state of a small network, and layers.jsonl, what the network computes in float32.

    python layers.py

The lines: a pass in eval mode, a pass in train mode, the state after that pass and one step of gradient descent, and a
pass in eval mode with the new state. A pass holds the output, the loss, and the gradient of the loss with respect to
the images and every parameter.
"""

from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from reference import SEED, described, index, write

RATE = 0.1


class Network(nn.Module):
    """Two inputs: images [n, 1, 4, 4] and one token of five for each."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.conv_norm = nn.BatchNorm2d(3)
        self.embedding = nn.Embedding(5, 4)
        self.hidden = nn.Linear(16, 6)
        self.hidden_norm = nn.BatchNorm1d(6)
        self.layer_norm = nn.LayerNorm(6)
        self.output = nn.Linear(6, 3, bias=False)

    def forward(self, images, tokens):
        x = F.relu(self.conv_norm(self.conv(images)))
        x = F.avg_pool2d(x, 2).flatten(1)
        x = torch.cat([x, self.embedding(tokens)], 1)
        x = torch.tanh(self.hidden_norm(self.hidden(x)))
        return self.output(self.layer_norm(x))


def randomised(network):
    """Norms start at one and zero, which would hide an exchanged or forgotten one: every number is made its own."""
    with torch.no_grad():
        for name, x in network.state_dict().items():
            if name.endswith("running_var") or (name.endswith("weight") and x.dim() == 1):
                x.uniform_(0.5, 1.5)
            elif x.is_floating_point():
                x.normal_(0.0, 0.5)
    return network


def tensor(x):
    """Shape and numbers; a float32 is written in as many digits as it needs."""
    if not x.is_floating_point():
        return described(x)
    return {"shape": list(x.shape), "data": [float(str(v)) for v in x.detach().numpy().ravel()]}


def tensors(named):
    return {name: tensor(x) for name, x in named}


def passed(network, mode, images, tokens, labels):
    network.train(mode == "train")
    network.zero_grad()
    images = images.clone().requires_grad_()
    output = network(images, tokens)
    loss = F.cross_entropy(output, labels)
    loss.backward()
    gradients = [("images", images.grad)] + [(name, p.grad) for name, p in network.named_parameters()]
    return {
        "mode": mode,
        "output": tensor(output),
        "loss": float(str(loss.detach().numpy())),
        "gradients": tensors(gradients),
    }


def descend(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= RATE * parameter.grad


if __name__ == "__main__":
    torch.manual_seed(SEED)
    network = randomised(Network().float())
    images, tokens, labels = torch.randn(4, 1, 4, 4, dtype=torch.float32), index(0, 3, 3, 1), index(2, 0, 1, 1)
    batch = (images, tokens, labels)
    state_file = Path(__file__).with_suffix(".safetensors")
    save_file(network.state_dict(), state_file)
    network.load_state_dict(load_file(state_file))

    lines = [{"inputs": {"images": tensor(images), "tokens": tensor(tokens), "labels": tensor(labels)}, "lr": RATE}]
    lines += [passed(network, "eval", *batch), passed(network, "train", *batch)]
    descend(network)
    lines += [{"state": tensors(network.state_dict().items())}, passed(network, "eval", *batch)]
    write(__file__, lines)
