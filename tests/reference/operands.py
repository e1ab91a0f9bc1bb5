"""Elementwise ops of several operands, and activations with an axis or with weights."""

import math

import torch
import torch.nn.functional as F

from reference import case, draw, floats, index, labelled

INF, NAN = math.inf, math.nan


def mask(*values):
    return torch.tensor(values).bool()


def binary_cases():
    """Broadcasting is the same for every op of two operands; kinks and tails are each op's own."""
    positive = {"low": 0.2, "high": 3.0}
    smooth = [
        ("add", torch.add, {}, {}, [{}, {"alpha": 2.5}]),
        ("sub", torch.sub, {}, {}, [{}, {"alpha": -0.5}]),
        ("mul", torch.mul, {}, {}, [{}]),
        ("div", torch.div, {}, positive, [{}]),
        ("rem", torch.remainder, {"low": -5.0, "high": 5.0}, {"low": 6.0, "high": 9.0}, [{}]),
        ("fmod", torch.fmod, {"low": -5.0, "high": 5.0}, {"low": 6.0, "high": 9.0}, [{}]),
        ("pow", torch.pow, positive, {}, [{}]),
        ("atan2", torch.atan2, {}, positive, [{}]),
        ("hypot", torch.hypot, {}, positive, [{}]),
        ("copysign", torch.copysign, {}, {}, [{}]),
        ("logaddexp", torch.logaddexp, {}, {}, [{}]),
        ("logaddexp2", torch.logaddexp2, {}, {}, [{}]),
        ("xlogy", torch.xlogy, {}, positive, [{}]),
        ("xlog1py", torch.special.xlog1py, {}, positive, [{}]),
    ]
    for op, f, x, y, variants in smooth:
        for params in variants:
            yield case(op, labelled("same shape", params), f, draw(2, 3, **x), draw(2, 3, **y), **params)
            yield case(op, labelled("broadcast", params), f, draw(2, 1, 3, **x), draw(4, 1, **y), **params)
        yield case(op, "scalar and matrix", f, draw(**x), draw(2, 2, **y))
        yield case(op, "vector and scalar", f, draw(3, **x), draw(**y))
    yield from extremum_pairs()
    yield from binary_kinks()
    yield from comparisons()


def extremum_pairs():
    for op in ("maximum", "minimum", "fmax", "fmin"):
        f = getattr(torch, op)
        yield case(op, "broadcast", f, floats([[0.5], [-1.25]]), floats([1.0, -1.0, 0.0]))
        yield case(op, "ties", f, floats(1.0, 2.0, -0.0), floats(1.0, 3.0, 0.0), kind="kink")
        yield case(op, "not finite", f, floats(NAN, 1.0, INF, -INF, NAN), floats(1.0, NAN, 1.0, 1.0, NAN), kind="kink")


def binary_kinks():
    zeros = floats(0.0, 0.0, 1.0, -1.0, 0.0)
    yield case("div", "by zero", torch.div, floats(1.0, 0.0, -1.0), floats(0.0, 0.0, -0.0), kind="kink")
    for mode in ("floor", "trunc"):
        x, y = floats(-7.0, 7.0, -7.0, 7.0, 6.0, 0.5), floats(2.0, 2.0, -2.0, -2.0, -3.0, 0.25)
        yield case("div", f"rounded {mode}", torch.div, x, y, kind="kink", rounding_mode=mode)
    for op, f in (("rem", torch.remainder), ("fmod", torch.fmod)):
        yield case(op, "signs", f, floats(-7.5, 7.5, -7.5, 7.5, 6.0), floats(2.0, 2.0, -2.0, -2.0, -3.0), kind="kink")
    yield case(
        "pow", "at zero", torch.pow, floats(0.0, 0.0, 0.0, 0.0, 2.0), floats(0.0, 0.5, 1.0, 2.0, 0.0), kind="kink"
    )
    yield case("pow", "negative base", torch.pow, floats(-2.0, -2.0, -2.0), floats(2.0, -3.0, 0.5), kind="kink")
    yield case("atan2", "quadrants", torch.atan2, floats(1.0, 1.0, -1.0, -1.0, 2.0), floats(1.0, -1.0, -1.0, 1.0, 0.0))
    yield case("atan2", "at zero", torch.atan2, zeros, floats(0.0, -1.0, 0.0, 0.0, 1.0), kind="kink")
    yield case("hypot", "at zero", torch.hypot, zeros, floats(0.0, -1.0, 0.0, 0.0, 1.0), kind="kink")
    yield case("hypot", "tails", torch.hypot, floats(3e200, 3e-200, 1e-8), floats(4e200, 4e-200, 1.0), kind="kink")
    yield case(
        "copysign", "zeros", torch.copysign, floats(1.0, -1.0, 0.0, 2.0), floats(-0.0, 0.0, -1.0, -3.0), kind="kink"
    )
    for op, f in (("logaddexp", torch.logaddexp), ("logaddexp2", torch.logaddexp2)):
        x, y = floats(700.0, -700.0, 1000.0, 30.0, 1e-8), floats(-700.0, -700.0, 1000.0, -30.0, -1e-8)
        yield case(op, "tails", f, x, y, kind="kink")
        yield case(op, "infinite", f, floats(-INF, INF, -INF), floats(1.0, 1.0, -INF), kind="value")
    yield case("xlogy", "at zero", torch.xlogy, floats(0.0, 0.0, 1.0, 0.0), floats(0.0, 2.0, 0.0, NAN), kind="kink")
    x, y = floats(0.0, 0.0, 1.0, 0.0), floats(-1.0, 2.0, 1e-8, NAN)
    yield case("xlog1py", "at zero", torch.special.xlog1py, x, y, kind="kink")
    yield case("ldexp", "integers", lambda x, n: torch.ldexp(x, n), draw(4), index(-3, 0, 2, 10))


def comparisons():
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        x, y = floats([[1.0, 2.0, NAN], [0.0, -1.0, INF]]), floats([1.0, -1.0, INF])
        yield case(op, "broadcast", getattr(torch, op), x, y, kind="value")


def ternary_cases():
    wide = {"low": 0.5, "high": 2.0}
    yield case("lerp", "same shape", torch.lerp, draw(2, 3), draw(2, 3), draw(2, 3))
    yield case("lerp", "broadcast", torch.lerp, draw(2, 3), draw(3), draw(2, 1))
    yield case("lerp", "number", torch.lerp, draw(3), draw(3), weight=0.75)
    yield case("addcmul", "same shape", torch.addcmul, draw(2, 3), draw(2, 3), draw(2, 3))
    yield case("addcmul", "broadcast, value 0.5", torch.addcmul, draw(2, 3), draw(3), draw(2, 1), value=0.5)
    yield case("addcdiv", "same shape", torch.addcdiv, draw(2, 3), draw(2, 3), draw(2, 3, **wide))
    yield case("addcdiv", "broadcast, value 0.5", torch.addcdiv, draw(2, 3), draw(3), draw(2, 1, **wide), value=0.5)
    yield case("where", "same shape", torch.where, mask([True, False, True]), draw(3), draw(3))
    yield case("where", "broadcast", torch.where, mask([[True], [False]]), draw(3), draw(2, 1))
    yield case("where", "not finite", torch.where, mask(True, False), floats(1.0, NAN), floats(INF, 2.0), kind="kink")
    yield case("masked_fill", "broadcast", torch.masked_fill, draw(2, 3), mask([True, False, True]), value=-1.5)
    bounds = {"min": floats(-1.0, -0.5, 1.0), "max": floats([0.5], [0.75])}
    yield case("clamp", "tensor bounds", torch.clamp, draw(2, 3), named=bounds)
    ties = {"min": floats(0.0, 0.0, 2.0), "max": floats(1.0, 1.0, 1.0)}
    yield case("clamp", "at tensor bounds", torch.clamp, floats(0.0, 1.0, 1.5), named=ties, kind="kink")


def activation_cases():
    """Activations with an axis or with weights."""
    yield case("glu", "last axis", F.glu, draw(2, 4), dim=-1)
    yield case("glu", "first axis", F.glu, draw(4, 3), dim=0)
    yield case("prelu", "one weight", F.prelu, draw(2, 3), named={"weight": draw(1)})
    yield case("prelu", "a weight per channel", F.prelu, draw(2, 3, 2), named={"weight": draw(3)})
    yield case("prelu", "at zero", F.prelu, floats(-1.0, 0.0, 1.0), named={"weight": floats([0.25])}, kind="kink")
    for op in ("softmax", "softmin", "log_softmax"):
        f = getattr(F, op)
        for dim in (0, 1, -1):
            yield case(op, f"axis {dim}", f, draw(2, 3, 2), dim=dim)
        yield case(op, "vector", f, draw(4), dim=0)
        yield case(op, "scalar", f, draw(), dim=0)
        yield case(op, "tails", f, floats([[700.0, -700.0, 699.0], [1e-8, -1e-8, 0.0]]), kind="tail", dim=-1)
        yield case(op, "masked", f, floats([[-INF, 1.0, 2.0]]), kind="kink", dim=-1)
