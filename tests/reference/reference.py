"""Records what PyTorch computes for a case: outputs, gradients and second derivatives, as one line of JSON.

Every case draws its own inputs from a generator seeded by its name, so that adding a case leaves the other lines as
they were. Inputs lie on odd multiples of 1/128: exact in both dtypes, short to write, and never at an integer kink.
"""

import json
import math
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Callable

import mpmath
import torch

SEED = 0
GRID = 64
# Beyond this relative distance from exact arithmetic a line carries the exact numbers beside PyTorch's.
EXACT_BEYOND = 1e-13
KINDS = ("smooth", "once", "tail", "kink", "value")

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
# Enough digits to tell expm1(-700) from -1.
mpmath.mp.dps = 360


@dataclass
class Draw:
    """A tensor of distinct values spread evenly over (low, high) in random order."""

    shape: tuple
    low: float
    high: float

    def tensor(self, generator):
        count = math.prod(self.shape)
        strata = torch.randperm(count, generator=generator) + 0.3 + 0.4 * torch.rand(count, generator=generator)
        points = self.low + (self.high - self.low) * strata / max(count, 1)
        return ((torch.floor(points * GRID) + 0.5) / GRID).reshape(self.shape)


def draw(*shape, low=-2.0, high=2.0):
    return Draw(shape, low, high)


def index(*values):
    return torch.tensor(values[0] if len(values) == 1 else values, dtype=torch.int64)


def floats(*values):
    return torch.tensor(values[0] if len(values) == 1 else values)


@dataclass
class Case:
    """One call of an op.

    kind: "smooth" has second derivatives and both orders are compared with finite differences; "once" is the same
    where PyTorch knows no second derivative; "tail" has second derivatives, at points where differences are too
    coarse; "kink" has first derivatives only, unchecked; "value" has none.
    exact: the same function in mpmath arithmetic, for elementwise ops of one operand.
    named: further tensors, passed by keyword; constant: those of them that are not differentiated.
    """

    op: str
    name: str
    f: Callable
    inputs: tuple
    params: dict
    kind: str = "smooth"
    exact: Callable | None = None
    named: dict = field(default_factory=dict)
    constant: tuple = ()

    def __post_init__(self):
        assert self.kind in KINDS, self.kind


def case(op, name, f, *inputs, kind="smooth", exact=None, named=None, constant=(), **params):
    return Case(op, name, f, inputs, params, kind, exact, named or {}, constant)


def labelled(name, params):
    """A case's name with the parameters that tell it from its neighbours."""
    return name + "".join(f", {key} {value}" for key, value in params.items())


def as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


class Recording:
    """The tensors of one evaluated case."""

    def __init__(self, case):
        self.case = case
        self.generator = torch.Generator().manual_seed(zlib.crc32(f"{case.op} {case.name} {SEED}".encode()))
        self.positional = [self.materialise(x) for x in case.inputs]
        self.named = {name: self.materialise(x) for name, x in case.named.items()}
        self.inputs = self.positional + list(self.named.values())
        self.leaves = [x for x in self.inputs if self.is_differentiated(x)]
        for x in self.leaves:
            x.requires_grad_()
        self.outputs = self.call(*self.leaves)
        self.differentiate()

    def materialise(self, x):
        return x.tensor(self.generator) if isinstance(x, Draw) else x.clone()

    def is_differentiated(self, x):
        constant = any(x is self.named[name] for name in self.case.constant)
        return self.case.kind != "value" and x.is_floating_point() and not constant

    def call(self, *leaves):
        """The function of its differentiable inputs alone."""
        replaced = {id(old): new for old, new in zip(self.leaves, leaves)}
        positional = [replaced.get(id(x), x) for x in self.positional]
        named = {name: replaced.get(id(x), x) for name, x in self.named.items()}
        return as_tuple(self.case.f(*positional, **named, **self.case.params))

    def differentiate(self):
        self.ends = [y for y in self.outputs if y.requires_grad]
        self.cotangents = [self.random_like(y).requires_grad_() for y in self.ends]
        self.gradients, self.directions, self.second, self.jvp = [], [], [], []
        if not self.ends:
            return
        twice = self.case.kind in ("smooth", "tail")
        self.gradients = torch.autograd.grad(
            self.ends, self.leaves, self.cotangents, create_graph=twice, materialize_grads=True
        )
        if twice:
            self.differentiate_again()

    def differentiate_again(self):
        self.directions = [self.random_like(x) for x in self.leaves]
        along = sum((g * v).sum() for g, v in zip(self.gradients, self.directions))
        wanted = self.leaves + self.cotangents
        zeros = [torch.zeros_like(x) for x in wanted]
        constant = not along.requires_grad
        derivatives = zeros if constant else torch.autograd.grad(along, wanted, materialize_grads=True)
        # The gradient is linear in the cotangent: its derivative there is the forward derivative along v.
        self.second, self.jvp = derivatives[: len(self.leaves)], derivatives[len(self.leaves) :]

    def random_like(self, y):
        return Draw(tuple(y.shape), -1.5, 1.5).tensor(self.generator)

    def check(self):
        """Compares with finite differences where the case is smooth, and with exact arithmetic where it is known."""
        differentiable = lambda *leaves: tuple(y for y in self.call(*leaves) if y.requires_grad)
        if self.case.kind in ("smooth", "once") and self.ends:
            torch.autograd.gradcheck(differentiable, self.leaves)
        if self.case.kind == "smooth" and self.ends:
            torch.autograd.gradgradcheck(differentiable, self.leaves)
            far = {name: e for name, (e, _) in self.compared.items() if e > 1e-8}
            assert not far, f"far from exact arithmetic: {far}"

    @cached_property
    def compared(self):
        """For each field of an elementwise op the distance from exact arithmetic, and the exact numbers."""
        if self.case.exact is None:
            return {}
        f = lambda x: self.case.exact(x, **self.case.params)
        x, g = values(self.leaves[0]), values(self.cotangents[0])
        slope = [derivative(f, point, 1) for point in x]
        fields = {
            "outputs": (self.outputs[0], [f(mpmath.mpf(point)) for point in x]),
            "gradients": (self.gradients[0], [a * b for a, b in zip(g, slope)]),
        }
        if self.directions:
            v, curvature = values(self.directions[0]), [derivative(f, point, 2) for point in x]
            fields["second"] = (self.second[0], [a * b * c for a, b, c in zip(g, v, curvature)])
            fields["jvp"] = (self.jvp[0], [a * b for a, b in zip(v, slope)])
        return {name: (distance(ours, exact), exact) for name, (ours, exact) in fields.items()}

    def line(self):
        line = {"op": self.case.op, "case": self.case.name, "kind": self.case.kind}
        line["inputs"] = [described(x) for x in self.positional]
        line["inputs"] += [{"name": name} | described(x) for name, x in self.named.items()]
        line["params"] = {name: plain(value) for name, value in self.case.params.items()}
        line["outputs"] = [described(y) for y in self.outputs]
        if self.ends:
            line["cotangents"] = matched(self.outputs, self.ends, self.cotangents)
            line["gradients"] = matched(self.inputs, self.leaves, self.gradients)
        if self.directions:
            line["directions"] = matched(self.inputs, self.leaves, self.directions)
            line["second"] = matched(self.inputs, self.leaves, self.second)
            line["jvp"] = matched(self.outputs, self.ends, self.jvp)
        far = {name: exact for name, (error, exact) in self.compared.items() if error > EXACT_BEYOND}
        exact = {name: [numbers(map(rounded, numerals))] for name, numerals in far.items()}
        return line | ({"exact": exact} if exact else {})


def derivative(f, point, order):
    """The derivative in mpmath arithmetic; the step is relative, so that it is small beside a tiny point as well."""
    x = mpmath.mpf(point)
    return mpmath.diff(f, x, order, h=mpmath.ldexp(abs(x) or 1, -mpmath.mp.prec - 10))


def distance(ours, exact):
    """The largest relative error, where a result below the smallest normal number counts as that number."""
    smallest = mpmath.mpf(2) ** -1022
    errors = (
        abs(mpmath.mpf(y) - e) / max(abs(e), smallest) if math.isfinite(y) else float(y != rounded(e))
        for y, e in zip(values(ours), exact)
    )
    return float(max(errors, default=0))


def rounded(x):
    """The nearest f64; mpmath's own conversion raises beyond the largest."""
    largest = mpmath.mpf(2) ** 1024
    return math.copysign(math.inf, x) if abs(x) >= largest else float(x)


def values(x):
    """The numbers of a tensor, also of one of PyTorch's zeros without storage."""
    x = torch.zeros(x.shape) if x._is_zerotensor() else x
    return x.detach().flatten().tolist()


def described(x):
    dtypes = {torch.int64: {"dtype": "index"}, torch.bool: {"dtype": "bool"}}
    flat = numbers(values(x.int() if x.dtype == torch.bool else x))
    return {"shape": list(x.shape)} | dtypes.get(x.dtype, {}) | {"data": flat}


def matched(tensors, owners, results):
    """A list along `tensors` with the result that belongs to each, None for those without one."""
    owned = {id(owner): numbers(values(result)) for owner, result in zip(owners, results)}
    return [owned.get(id(x)) for x in tensors]


def numbers(flat):
    return [plain(x) for x in flat]


def plain(value):
    """JSON has no non-finite numbers; they are written as the strings "nan", "inf" and "-inf"."""
    if isinstance(value, (list, tuple)):
        return [plain(x) for x in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write(script, lines):
    """Writes the lines beside the script, under a header that names the version and the script."""
    script = Path(script)
    header = {"torch": torch.__version__.split("+")[0], "script": script.name, "seed": SEED}
    lines = [json.dumps(line, separators=(",", ":"), allow_nan=False) for line in [header, *lines]]
    script.with_suffix(".jsonl").write_text("\n".join(lines) + "\n")
