"""Elementwise ops of one operand: what PyTorch calls them, where they are defined, and what they are exactly.

Each row gives a smooth domain, points in the tails and at the kinks, and the function in mpmath arithmetic (as PyTorch
defines it, branch by branch), against which values and first and second derivatives are measured.
"""

import math
from dataclasses import dataclass, field
from typing import Callable

import mpmath as mp
import torch
import torch.nn.functional as F

from reference import case, draw, floats, labelled

LINE = (-2.0, 2.0)
GAMMA = (-1.9, 4.0)
FAR = (-700.0, -30.0, -1e-8, 1e-8, 30.0, 700.0)
HUGE = (-1e300, -700.0, -30.0, -1e-8, 1e-8, 30.0, 700.0, 1e300)
UNIT = (-1.0 + 1e-8, -1e-8, 1e-8, 1.0 - 1e-8)
POSITIVE = (1e-300, 1e-8, 1.0 - 1e-8, 1.0 + 1e-8, 30.0, 700.0, 1e300)
INTEGERS = (-2.0, -1.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.5)
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@dataclass
class Row:
    op: str
    f: Callable
    exact: Callable
    domain: tuple = LINE
    tails: tuple = FAR
    kinks: tuple = ()
    params: dict = field(default_factory=dict)
    twice: bool = True


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x, beta=1.0, threshold=20.0):
    return x if beta * x > threshold else mp.log1p(mp.exp(beta * x)) / beta


def elu(x, alpha=1.0):
    return x if x > 0 else alpha * mp.expm1(x)


def gelu(x, approximate="none"):
    if approximate == "none":
        return x * mp.erfc(-x / mp.sqrt(2)) / 2
    return x * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3))) / 2


def clamp(x, min=-math.inf, max=math.inf):
    return mp.mpf(min) if x < min else mp.mpf(max) if x > max else x


def mvlgamma(x, p):
    return p * (p - 1) / mp.mpf(4) * mp.log(mp.pi) + sum(mp.loggamma(x - mp.mpf(j) / 2) for j in range(p))


def nearest_even(x):
    return mp.mpf(round(float(x)))


def rows():
    lgamma = lambda x: mp.log(abs(mp.gamma(x)))
    degree = mp.pi / 180
    positive, steps = (0.1, 4.0), (-30.25, -1e-8, 1e-8, 30.75)
    return [
        Row("abs", torch.abs, abs, tails=HUGE, kinks=(-1.0, -0.0, 0.0, 1.0)),
        Row("acos", torch.acos, mp.acos, (-0.9, 0.9), UNIT, (-1.0, 1.0, 2.0)),
        Row("acosh", torch.acosh, mp.acosh, (1.1, 4.0), (1.0 + 1e-8, 30.0, 700.0, 1e300), (1.0, 0.5)),
        Row("asin", torch.asin, mp.asin, (-0.9, 0.9), UNIT, (-1.0, 1.0, 2.0)),
        Row("asinh", torch.asinh, mp.asinh, tails=FAR),
        Row("atan", torch.atan, mp.atan, tails=FAR),
        Row("atanh", torch.atanh, mp.atanh, (-0.9, 0.9), UNIT, (-1.0, 1.0, 2.0)),
        Row("ceil", torch.ceil, mp.ceil, tails=steps, kinks=INTEGERS),
        Row("cos", torch.cos, mp.cos),
        Row("cosh", torch.cosh, mp.cosh),
        Row("deg2rad", torch.deg2rad, lambda x: x * degree, tails=HUGE),
        Row("digamma", torch.digamma, lambda x: mp.psi(0, x), GAMMA, (-30.5, -1e-8, 1e-8, 30.0, 700.0), (-1.0, 0.0)),
        Row("erf", torch.erf, mp.erf),
        Row("erfc", torch.erfc, mp.erfc, tails=(-700.0, -5.0, -1e-8, 1e-8, 5.0, 10.0, 25.0, 700.0)),
        Row("erfinv", torch.erfinv, mp.erfinv, (-0.9, 0.9), UNIT, (-1.0, 1.0, 2.0)),
        Row("exp", torch.exp, mp.exp),
        Row("exp2", torch.exp2, lambda x: mp.mpf(2) ** x),
        Row("expm1", torch.expm1, mp.expm1),
        Row("floor", torch.floor, mp.floor, tails=steps, kinks=INTEGERS),
        Row("frac", torch.frac, lambda x: x - mp.sign(x) * mp.floor(abs(x)), tails=steps, kinks=INTEGERS),
        Row("lgamma", torch.lgamma, lgamma, GAMMA, (-30.5, -1e-8, 1e-8, 30.0, 700.0), (-1.0, 0.0)),
        Row("ln", torch.log, mp.log, positive, POSITIVE, (-1.0, 0.0)),
        Row("log10", torch.log10, mp.log10, positive, POSITIVE, (-1.0, 0.0)),
        Row("log1p", torch.log1p, mp.log1p, (-0.9, 4.0), (-1.0 + 1e-8, -1e-8, 1e-8, 30.0, 700.0, 1e300), (-2.0, -1.0)),
        Row("log2", torch.log2, lambda x: mp.log(x, 2), positive, POSITIVE, (-1.0, 0.0)),
        Row("logit", torch.logit, lambda x: mp.log(x / (1 - x)), (0.1, 0.9), (1e-8, 1.0 - 1e-8), (0.0, 1.0)),
        Row("mvlgamma", torch.mvlgamma, mvlgamma, (1.2, 5.0), (1.0 + 1e-8, 30.0, 700.0), params={"p": 3}),
        Row("ndtr", torch.special.ndtr, mp.ncdf, tails=(-700.0, -30.0, -5.0, -1e-8, 1e-8, 5.0, 700.0)),
        Row("neg", torch.neg, lambda x: -x, tails=HUGE),
        *(polygamma(order) for order in (1, 2)),
        *(powf(exponent) for exponent in (0.5, 1.5, 2.5, -0.5)),
        *(powi(exponent) for exponent in (0, 1, 2, 3, -1, -2)),
        Row("rad2deg", torch.rad2deg, lambda x: x / degree, tails=FAR),
        Row("reciprocal", torch.reciprocal, lambda x: 1 / x, positive, (-700.0, -1e-8, 1e-8, 700.0), (-0.0, 0.0)),
        Row("round", torch.round, nearest_even, tails=steps, kinks=INTEGERS),
        Row("rsqrt", torch.rsqrt, lambda x: 1 / mp.sqrt(x), positive, (1e-8, 30.0, 700.0, 1e100), (-1.0, 0.0)),
        Row("sigmoid", torch.sigmoid, sigmoid),
        Row("sign", torch.sign, mp.sign, kinks=(-0.0, 0.0)),
        Row("sin", torch.sin, mp.sin),
        Row("sinc", torch.sinc, mp.sincpi, tails=(-30.25, -1e-4, -1e-8, 0.0, 1e-8, 1e-4, 30.25, 700.25)),
        Row("sinh", torch.sinh, mp.sinh),
        Row("sqrt", torch.sqrt, mp.sqrt, positive, (1e-200, 1e-8, 30.0, 700.0, 1e300), (-1.0, 0.0)),
        Row("square", torch.square, lambda x: x * x),
        Row("tan", torch.tan, mp.tan, (-1.3, 1.3)),
        Row("tanh", torch.tanh, mp.tanh, tails=(-700.0, -30.0, -15.0, -1e-8, 1e-8, 15.0, 30.0, 700.0)),
        Row("trunc", torch.trunc, lambda x: mp.sign(x) * mp.floor(abs(x)), tails=steps, kinks=INTEGERS),
        *clamps(),
        *activations(),
    ]


def polygamma(order):
    f, exact = lambda x, n: torch.polygamma(n, x), lambda x, n: mp.psi(n, x)
    return Row("polygamma", f, exact, (0.1, 4.0), (1e-8, 30.0, 700.0), params={"n": order})


def powf(exponent):
    power = lambda x, exponent: x ** mp.mpf(exponent)
    return Row("powf", torch.pow, power, (0.1, 4.0), (1e-8, 30.0, 700.0), (-1.0, -0.0, 0.0), {"exponent": exponent})


def powi(exponent):
    power = lambda x, exponent: x**exponent
    return Row(
        "powi", torch.pow, power, (0.1, 4.0), (-30.0, -1e-8, 1e-8, 700.0), (-1.0, -0.0, 0.0), {"exponent": exponent}
    )


def clamps():
    return [
        Row("clamp", torch.clamp, clamp, kinks=(-2.0, -1.0, 0.0, 1.5, 2.0), params={"min": -1.0, "max": 1.5}),
        Row("clamp", torch.clamp, clamp, kinks=(-2.0, -1.0, 2.0), params={"min": -1.0}),
        Row("clamp", torch.clamp, clamp, kinks=(-2.0, 1.5, 2.0), params={"max": 1.5}),
    ]


def activations():
    celu = lambda x, alpha=1.0: x if x > 0 else alpha * mp.expm1(x / alpha)
    leaky = lambda x, negative_slope=0.01: x if x > 0 else negative_slope * x
    rrelu = lambda x, lower=1 / 8, upper=1 / 3: x if x >= 0 else x * (mp.mpf(lower) + mp.mpf(upper)) / 2
    selu = lambda x: SELU_SCALE * elu(x, mp.mpf(SELU_ALPHA))
    hardsigmoid = lambda x: clamp(x / 6 + mp.mpf(1) / 2, 0, 1)
    return [
        Row("celu", F.celu, celu, kinks=(0.0,)),
        Row("celu", F.celu, celu, kinks=(0.0,), params={"alpha": 0.5}),
        Row("elu", F.elu, elu, kinks=(0.0,)),
        Row("elu", F.elu, elu, kinks=(0.0,), params={"alpha": 0.5}),
        Row("gelu", F.gelu, gelu, tails=(-30.0, -10.0, -5.0, -1e-8, 0.0, 1e-8, 5.0, 30.0, 700.0)),
        Row(
            "gelu",
            F.gelu,
            gelu,
            tails=(-30.0, -5.0, -1e-8, 0.0, 1e-8, 5.0, 30.0, 700.0),
            params={"approximate": "tanh"},
        ),
        Row(
            "hardshrink", F.hardshrink, lambda x, lambd=0.5: x if abs(x) > lambd else mp.mpf(0), kinks=(-0.5, 0.0, 0.5)
        ),
        Row(
            "hardshrink",
            F.hardshrink,
            lambda x, lambd: x if abs(x) > lambd else mp.mpf(0),
            kinks=(-1.0, 1.0),
            params={"lambd": 1.0},
        ),
        Row("hardsigmoid", F.hardsigmoid, hardsigmoid, (-4.0, 4.0), kinks=(-3.0, 3.0), twice=False),
        Row("hardswish", F.hardswish, lambda x: x * hardsigmoid(x), kinks=(-3.0, 3.0)),
        Row("hardtanh", F.hardtanh, lambda x: clamp(x, -1, 1), kinks=(-1.0, 1.0)),
        Row(
            "hardtanh",
            F.hardtanh,
            lambda x, min_val, max_val: clamp(x, min_val, max_val),
            kinks=(-0.5, 2.0),
            params={"min_val": -0.5, "max_val": 2.0},
        ),
        Row("leaky_relu", F.leaky_relu, leaky, kinks=(0.0,)),
        Row("leaky_relu", F.leaky_relu, leaky, kinks=(0.0,), params={"negative_slope": 0.2}),
        Row("logsigmoid", F.logsigmoid, lambda x: -mp.log1p(mp.exp(-x))),
        Row("mish", F.mish, lambda x: x * mp.tanh(mp.log1p(mp.exp(x)))),
        Row("relu", F.relu, lambda x: clamp(x, min=0), kinks=(-0.0, 0.0)),
        Row("relu6", F.relu6, lambda x: clamp(x, 0, 6), kinks=(0.0, 6.0)),
        Row("rrelu", F.rrelu, rrelu, kinks=(0.0,)),
        Row("selu", F.selu, selu, kinks=(0.0,)),
        Row("silu", F.silu, lambda x: x * sigmoid(x)),
        Row("softplus", F.softplus, softplus),
        Row("softplus", F.softplus, softplus, params={"beta": 2.0, "threshold": 10.0}),
        Row(
            "softshrink",
            F.softshrink,
            lambda x, lambd=0.5: x - mp.sign(x) * lambd if abs(x) > lambd else mp.mpf(0),
            kinks=(-0.5, 0.0, 0.5),
        ),
        Row("softsign", F.softsign, lambda x: x / (1 + abs(x)), kinks=(0.0,)),
        Row("tanhshrink", F.tanhshrink, lambda x: x - mp.tanh(x)),
        Row(
            "threshold",
            F.threshold,
            lambda x, threshold, value: x if x > threshold else mp.mpf(value),
            kinks=(0.5,),
            params={"threshold": 0.5, "value": -7.0},
        ),
    ]


def unary_cases():
    for row in rows():
        low, high = row.domain
        suffix, shared = labelled("", row.params), {"exact": row.exact} | row.params
        regular, tail = ("smooth", "tail") if row.twice else ("once", "kink")
        yield case(row.op, "scalar" + suffix, row.f, draw(low=low, high=high), kind=regular, **shared)
        yield case(row.op, "matrix" + suffix, row.f, draw(2, 3, low=low, high=high), kind=regular, **shared)
        yield case(row.op, "tails" + suffix, row.f, floats(row.tails), kind=tail, **shared)
        if row.kinks:
            yield case(row.op, "kinks" + suffix, row.f, floats(row.kinks), kind="kink", **row.params)
        yield case(
            row.op, "not finite" + suffix, row.f, floats(-math.inf, math.inf, math.nan), kind="value", **row.params
        )
    yield from replacements()


def replacements():
    special = floats(1.5, math.nan, math.inf, -math.inf)
    given = {"nan": 0.5, "posinf": 7.0, "neginf": -7.0}
    yield case("nan_to_num", "matrix", torch.nan_to_num, draw(2, 3))
    yield case("nan_to_num", "not finite", torch.nan_to_num, special, kind="kink")
    yield case("nan_to_num", "given", torch.nan_to_num, special, kind="kink", **given)
    yield case("logit", "eps", torch.logit, floats(0.0, 0.05, 0.1, 0.5, 0.95, 1.0), kind="kink", eps=0.1)
