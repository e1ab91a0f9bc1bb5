"""Writes recurrent.safetensors, the state of recurrent layers and cells, and recurrent.jsonl, what they compute in float32.

    python recurrent.py

One line for each network: the last states too are part of the loss, which is a sum weighted with the cosines of 0, 1, 2, ….
"""

from pathlib import Path

import torch
import torch.nn as nn
from safetensors.torch import save_file
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from layers import tensor, tensors
from reference import SEED, write

STEPS, BATCH, INPUTS, WIDTH = 4, 3, 2, 3
LENGTHS = [2, 4, 1]


class Networks(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(INPUTS, WIDTH, num_layers=2, bidirectional=True)
        self.gru = nn.GRU(INPUTS, WIDTH, num_layers=2, batch_first=True)
        self.rnn = nn.RNN(INPUTS, WIDTH, nonlinearity="relu", bias=False, bidirectional=True)
        self.lstm_cell = nn.LSTMCell(INPUTS, WIDTH)
        self.gru_cell = nn.GRUCell(INPUTS, WIDTH)
        self.rnn_cell = nn.RNNCell(INPUTS, WIDTH)


def packed(network, x, states):
    y, last = network(pack_padded_sequence(x, LENGTHS, network.batch_first, enforce_sorted=False), states)
    return pad_packed_sequence(y, network.batch_first)[0], last


def listed(x):
    """A tensor or a nest of them as a list."""
    return [x] if isinstance(x, torch.Tensor) else [tensor for part in x for tensor in listed(part)]


def ran(name, network, f, x, states=None):
    network.zero_grad()
    x = x.clone().requires_grad_()
    outputs = listed(f(x, states))
    loss = sum((y * torch.arange(y.numel(), dtype=y.dtype).cos().reshape(y.shape)).sum() for y in outputs)
    loss.backward()
    gradients = [("x", x.grad)] + [(name, p.grad) for name, p in network.named_parameters()]
    return {
        "network": name,
        "x": tensor(x),
        "states": [tensor(state) for state in listed([] if states is None else states)],
        "outputs": [tensor(y) for y in outputs],
        "gradients": tensors(gradients),
    }


if __name__ == "__main__":
    torch.manual_seed(SEED)
    networks = Networks().float()
    save_file(networks.state_dict(), Path(__file__).with_suffix(".safetensors"))
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float32)
    x, lstm, gru, rnn = draw(STEPS, BATCH, INPUTS), networks.lstm, networks.gru, networks.rnn
    state = (draw(4, BATCH, WIDTH), draw(4, BATCH, WIDTH))
    write(__file__, [
        {"lengths": LENGTHS},
        ran("lstm", lstm, lstm, x, state),
        ran("lstm with lengths", lstm, lambda x, states: packed(lstm, x, states), x, state),
        ran("gru", gru, gru, x.transpose(0, 1).contiguous()),
        ran("gru with lengths", gru, lambda x, states: packed(gru, x, states), x.transpose(0, 1).contiguous()),
        ran("rnn", rnn, rnn, x),
        ran("lstm_cell", networks.lstm_cell, networks.lstm_cell, x[0], (draw(BATCH, WIDTH), draw(BATCH, WIDTH))),
        ran("gru_cell", networks.gru_cell, networks.gru_cell, x[0], draw(BATCH, WIDTH)),
        ran("rnn_cell", networks.rnn_cell, networks.rnn_cell, x[0]),
    ])
