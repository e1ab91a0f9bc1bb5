"""What networks are made of: convolutions, pools, losses, and the functions behind the layers."""

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from reference import case, draw, floats, index


def windows():
    x, w, b = draw(1, 2, 5, 4), draw(3, 2, 3, 2), {"bias": draw(3)}
    yield case("conv2d", "batch", F.conv2d, draw(2, 2, 4, 3), w, named=b)
    yield case("conv2d", "no bias, one image", F.conv2d, draw(2, 4, 5), draw(2, 2, 2, 2))
    yield case("conv2d", "stride and padding", F.conv2d, x, w, named=b, stride=2, padding=1)
    yield case("conv2d", "unequal stride and padding", F.conv2d, x, w, named=b, stride=[1, 2], padding=[2, 0])
    yield case("conv2d", "dilation", F.conv2d, x, w, named=b, dilation=2, padding=[1, 1])
    yield case("conv2d", "same", F.conv2d, draw(1, 1, 4, 3), draw(2, 1, 3, 3), named={"bias": draw(2)}, padding="same")
    yield case("conv2d", "groups", F.conv2d, draw(1, 4, 3, 4), draw(4, 2, 2, 2), named={"bias": draw(4)}, groups=2)
    yield case("conv2d", "groups of one channel", F.conv2d, draw(1, 2, 4, 3), draw(4, 1, 2, 3), groups=2, padding=1)
    yield case("conv2d", "1 × 1", F.conv2d, draw(2, 3, 2, 2), draw(2, 3, 1, 1))
    yield from pools()


def pools():
    x = draw(1, 2, 5, 4)
    rows = [
        ("plain", {"kernel_size": 2}),
        ("overlapping", {"kernel_size": 3, "stride": 1}),
        ("gaps", {"kernel_size": 2, "stride": 3}),
        ("padding", {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("unequal", {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0]}),
        ("ceil_mode", {"kernel_size": 2, "stride": 2, "ceil_mode": True}),
    ]
    for name, params in rows:
        yield case("max_pool2d", name, F.max_pool2d, x, **params)
        yield case("avg_pool2d", name, F.avg_pool2d, x, **params)
    yield case("max_pool2d", "dilation", F.max_pool2d, x, kernel_size=2, stride=1, dilation=2)
    yield case("max_pool2d", "ties", F.max_pool2d, torch.ones(1, 1, 3, 3), kind="kink", kernel_size=2, stride=1)
    yield case("max_pool2d", "batch", F.max_pool2d, draw(2, 2, 2, 4), kernel_size=2)
    yield case("avg_pool2d", "batch", F.avg_pool2d, draw(2, 2, 2, 4), kernel_size=2)
    yield case("max_pool2d", "one image", F.max_pool2d, draw(2, 4, 4), kernel_size=2)
    partial = {"kernel_size": 3, "stride": 2, "padding": 1}
    yield case("avg_pool2d", "padding not counted", F.avg_pool2d, x, count_include_pad=False, **partial)
    yield case("avg_pool2d", "divisor", F.avg_pool2d, x, divisor_override=5, **partial)
    yield case("avg_pool2d", "ceil_mode with padding", F.avg_pool2d, x, ceil_mode=True, **partial)


REDUCTIONS = ("mean", "sum", "none")


def losses():
    # Quarters: a drawn number never equals one of them, nor lies at a whole distance from it.
    target = floats([[0.25, -1.0, 0.5], [1.5, 0.0, -0.75]])
    for op, f in (("mse", F.mse_loss), ("l1", F.l1_loss), ("huber", F.huber_loss)):
        for reduction in REDUCTIONS:
            yield case(op, reduction, f, draw(2, 3), target, reduction=reduction)
    weight = {"weight": draw(3, low=0.1)}
    for op, f in (("mse", F.mse_loss), ("l1", F.l1_loss), ("huber", F.huber_loss)):
        yield case(op, "weight", f, draw(3), draw(3), named=weight, constant=("weight",))
    yield case("huber", "delta 0.5", F.huber_loss, draw(2, 3), target, delta=0.5)
    yield case("l1", "kinks", F.l1_loss, floats(0.0, 1.0, -1.0), floats(0.0, 1.0, 1.0), kind="kink", reduction="sum")
    for reduction in REDUCTIONS:
        yield case("smooth_l1", reduction, F.smooth_l1_loss, draw(2, 3), target, reduction=reduction, beta=0.5)
    logarithms, shares = draw(2, 3, high=-0.1), draw(2, 3, low=0.1, high=1.0)
    for reduction in ("batchmean", "sum", "none"):
        yield case("kl_div", reduction, F.kl_div, logarithms, shares, reduction=reduction)
    kinks = floats(0.0, 1.0, -1.0, 2.0)
    yield case("huber", "kinks", F.huber_loss, kinks, torch.zeros(4), kind="kink", reduction="none", delta=1.0)
    yield from binary_cross_entropies()
    yield from cross_entropies()


def binary_cross_entropies():
    f, target = F.binary_cross_entropy_with_logits, draw(2, 3, low=0.0, high=1.0)
    for reduction in REDUCTIONS:
        yield case("bce_with_logits", reduction, f, draw(2, 3), target, reduction=reduction)
    weight, pos_weight = {"weight": draw(3, low=0.1)}, {"pos_weight": draw(3, low=0.1, high=4.0)}
    yield case("bce_with_logits", "weight", f, draw(2, 3), target, named=weight, constant=("weight",))
    yield case("bce_with_logits", "pos_weight", f, draw(2, 3), target, named=pos_weight, constant=("pos_weight",))
    both = weight | pos_weight
    yield case(
        "bce_with_logits", "both weights", f, draw(2, 3), target, named=both, constant=tuple(both), reduction="sum"
    )
    tails, labels = floats(-700.0, 700.0, -30.0, 30.0, 1e-8), floats(0.0, 1.0, 1.0, 0.0, 1.0)
    yield case("bce_with_logits", "tails", f, tails, labels, kind="tail", reduction="none")
    chances = draw(2, 3, low=0.1, high=0.9)
    for reduction in REDUCTIONS:
        shared = {"named": weight, "constant": ("weight",), "reduction": reduction}
        yield case("bce", reduction, F.binary_cross_entropy, chances, target, reduction=reduction)
        yield case("bce", f"weight, {reduction}", F.binary_cross_entropy, chances, target, **shared)


def cross_entropies():
    weight = {"weight": draw(4, low=0.1, high=3.0)}
    images, labels = draw(2, 3, 2), index([[0, 2], [1, 1]])
    for op, f in (("cross_entropy", F.cross_entropy), ("nll", F.nll_loss)):
        for reduction in REDUCTIONS:
            shared = {"constant": ("weight",), "named": weight, "reduction": reduction}
            yield case(op, reduction, f, draw(3, 4), index(1, 3, 0), reduction=reduction)
            yield case(op, f"weight, {reduction}", f, draw(3, 4), index(1, 3, 0), **shared)
            yield case(op, f"ignore_index, {reduction}", f, draw(3, 4), index(1, -100, 0), ignore_index=-100, **shared)
        yield case(op, "positions", f, images, labels)
        yield case(op, "one sample", f, draw(4), index(2).squeeze())
        yield case(op, "all ignored", f, draw(2, 4), index(3, 3), kind="kink", ignore_index=3)
    for reduction in REDUCTIONS:
        smoothing = {"label_smoothing": 0.1, "reduction": reduction}
        weighted = {"named": weight, "constant": ("weight",), "ignore_index": 1} | smoothing
        yield case(
            "cross_entropy", f"label_smoothing, {reduction}", F.cross_entropy, draw(3, 4), index(1, 3, 0), **smoothing
        )
        yield case(
            "cross_entropy",
            f"label_smoothing with weight and ignore_index, {reduction}",
            F.cross_entropy,
            draw(3, 4),
            index(1, 3, 0),
            **weighted,
        )
    probabilities = floats([[0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.0, 0.0]])
    yield case("cross_entropy", "probabilities", F.cross_entropy, draw(2, 4), probabilities)
    yield case(
        "cross_entropy", "probabilities, smoothed", F.cross_entropy, draw(2, 4), probabilities, label_smoothing=0.1
    )
    tails = floats([[700.0, -700.0, 0.0], [30.0, -30.0, 29.0]])
    yield case("cross_entropy", "tails", F.cross_entropy, tails, index(1, 0), kind="tail", reduction="none")


def attention(q, k, v, bias=None, mask=None, **params):
    """A bias and a mask are one argument of PyTorch's. Its fused kernel has no second derivative, its plain one has."""
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias if mask is None else mask, **params)


def attentions():
    op, f = "scaled_dot_product_attention", attention
    yield case(op, "one head", f, draw(3, 2), draw(4, 2), draw(4, 3))
    yield case(op, "heads", f, draw(2, 2, 3, 2), draw(2, 2, 4, 2), draw(2, 2, 4, 3))
    yield case(op, "batch axes broadcast", f, draw(2, 1, 3, 2), draw(2, 4, 2), draw(1, 2, 4, 1))
    for queries, keys in ((4, 4), (2, 4), (4, 2)):
        shapes = (2, queries, 2), (2, keys, 2), (2, keys, 2)
        yield case(op, f"causal, {queries} and {keys}", f, *(draw(*shape) for shape in shapes), is_causal=True)
    yield case(op, "scale 0.3", f, draw(3, 2), draw(4, 2), draw(4, 3), scale=0.3)
    yield case(op, "scale −2", f, draw(3, 2), draw(4, 2), draw(4, 3), scale=-2.0)
    yield case(op, "bias", f, draw(2, 3, 2), draw(2, 4, 2), draw(2, 4, 3), named={"bias": draw(2, 3, 4)})
    yield case(op, "broadcast bias", f, draw(2, 3, 2), draw(2, 4, 2), draw(2, 4, 3), named={"bias": draw(3, 1)})
    mask = torch.tensor([[True, False, True, True], [False, True, False, False], [True, True, True, True]])
    yield case(op, "mask", f, draw(2, 3, 2), draw(2, 4, 2), draw(2, 4, 3), named={"mask": mask})
    blind = mask & torch.tensor([[True], [False], [True]])
    yield case(op, "a query that sees nothing", f, draw(2, 3, 2), draw(2, 4, 2), draw(2, 4, 3), named={"mask": blind})
    tails = floats([[40.0, 0.0], [0.0, -40.0]]), floats([[30.0, 0.0], [0.0, 30.0]]), floats([[1.0], [2.0]])
    yield case(op, "tails", f, *tails, kind="kink")


def batch_norm(x, running_mean, running_var, weight=None, bias=None, **params):
    """PyTorch updates the running statistics in place; here they are outputs."""
    mean, var = running_mean.clone(), running_var.clone()
    return F.batch_norm(x, mean, var, weight, bias, **params), mean, var


def layers():
    yield case("linear", "batch", F.linear, draw(2, 3), named={"weight": draw(4, 3), "bias": draw(4)})
    yield case("linear", "vector", F.linear, draw(3), named={"weight": draw(4, 3), "bias": draw(4)})
    yield case("linear", "rank 3, no bias", F.linear, draw(2, 2, 3), named={"weight": draw(2, 3)})
    weights = {"weight": draw(2, 3, 4), "bias": draw(2)}
    yield case("bilinear", "batch", F.bilinear, draw(2, 3), draw(2, 4), named=weights)
    yield case("bilinear", "rank 3, no bias", F.bilinear, draw(2, 1, 3), draw(2, 1, 2), named={"weight": draw(2, 3, 2)})
    affine = {"weight": draw(3, low=0.5), "bias": draw(3)}
    yield case("layer_norm", "last axis", F.layer_norm, draw(2, 3), named=affine, normalized_shape=[3])
    yield case("layer_norm", "plain, eps 0.1", F.layer_norm, draw(2, 3), normalized_shape=[3], eps=0.1)
    plane = {"weight": draw(3, 2, low=0.5), "bias": draw(3, 2)}
    yield case("layer_norm", "two axes", F.layer_norm, draw(2, 3, 2), named=plane, normalized_shape=[3, 2])
    yield case("layer_norm", "equal elements", F.layer_norm, torch.ones(1, 3), kind="kink", normalized_shape=[3])
    yield case("rms_norm", "last axis", F.rms_norm, draw(2, 3), named={"weight": draw(3)}, normalized_shape=[3])
    yield case("rms_norm", "two axes, plain", F.rms_norm, draw(2, 3, 2), normalized_shape=[3, 2], eps=0.1)
    channels = {"weight": draw(4, low=0.5), "bias": draw(4)}
    yield case("group_norm", "two groups", F.group_norm, draw(2, 4, 3), named=channels, num_groups=2)
    yield case("group_norm", "images, plain", F.group_norm, draw(2, 2, 2, 3), num_groups=1, eps=0.01)
    yield case("instance_norm", "images", F.instance_norm, draw(2, 4, 2, 2), named=channels)
    yield case("instance_norm", "sequences, plain", F.instance_norm, draw(2, 3, 4), eps=0.01)
    running = {"running_mean": draw(3), "running_var": draw(3, low=0.5)}
    constant = tuple(running)
    for shape in ((4, 3), (2, 3, 2, 2)):
        for training in (True, False):
            name = f"{'train' if training else 'eval'}, rank {len(shape)}"
            shared = {"constant": constant, "training": training}
            yield case("batch_norm", name, batch_norm, draw(*shape), named=running | affine, **shared)
            yield case(
                "batch_norm",
                f"{name}, plain",
                batch_norm,
                draw(*shape),
                named=running,
                momentum=0.3,
                eps=0.01,
                **shared,
            )


def recurrents():
    steps, batch, inputs, width = 3, 2, 2, 2
    for op, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)):
        states = [draw(batch, width) for _ in range(2 if op == "lstm" else 1)]
        rows = gates * width
        operands = [draw(steps, batch, inputs), draw(rows, inputs), draw(rows, width), *states]
        f = recurrent(getattr(torch, op))
        biases = {"bias_ih": draw(rows), "bias_hh": draw(rows)}
        yield case(op, "no bias", f, *operands)
        yield case(op, "bias", f, *operands, named=biases)
        yield case(op, "reverse", f, *operands, named=biases, reverse=True)
        yield case(op, "lengths", f, *operands, named=biases, lengths=[3, 1])


def recurrent(network):
    """One layer in one direction; the last states follow the output."""

    def f(x, weight_ih, weight_hh, *states, bias_ih=None, bias_hh=None, reverse=False, lengths=None):
        weights = [weight_ih, weight_hh] + ([] if bias_ih is None else [bias_ih, bias_hh])
        states = [state.unsqueeze(0) for state in states]
        states = states if network is torch.lstm else states[0]
        options = (bias_ih is not None, 1, 0.0, False, False)
        if lengths:
            packed = pack_padded_sequence(x, torch.tensor(lengths))
            y, *last = network(packed.data, packed.batch_sizes, states, weights, *options)
            y, _ = pad_packed_sequence(packed._replace(data=y))
        else:
            y, *last = network(x.flip(0) if reverse else x, states, weights, *options, False)
            y = y.flip(0) if reverse else y
        return y, *(state.squeeze(0) for state in last)

    return f
