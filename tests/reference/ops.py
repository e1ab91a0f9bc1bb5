"""Writes ops.jsonl: values, gradients and second derivatives of the ops, as PyTorch computes them.

    python ops.py

A section is a family of ops, a row is a case; elementwise.py, operands.py and networks.py hold further sections.
"""

import math

import torch
import torch.nn.functional as F

from elementwise import unary_cases
from networks import attentions, layers, losses, recurrents, windows
from operands import activation_cases, binary_cases, ternary_cases
from reference import Recording, case, draw, floats, index, labelled, write

INF, NAN = math.inf, math.nan


AXES = [{}, {"dim": 0}, {"dim": -1, "keepdim": True}, {"dim": [0, 2]}, {"dim": [-1, 1], "keepdim": True}]


def reductions():
    for op in ("sum", "mean", "amax", "amin", "var", "std", "logsumexp"):
        f = getattr(torch, op)
        axes = [a or {"dim": [0, 1, 2]} for a in AXES] if op == "logsumexp" else AXES
        for params in axes:
            yield case(op, labelled("rank 3", params), f, draw(2, 3, 2), **params)
        if op not in ("var", "std"):
            yield case(op, "scalar", f, draw(), **({"dim": 0} if op == "logsumexp" else {}))
    yield case("sum", "empty axis", torch.sum, draw(2, 0), dim=1)
    yield case("logsumexp", "tails", torch.logsumexp, floats([[700.0, 699.0], [-700.0, 700.0]]), kind="tail", dim=-1)
    infinite = floats([[-INF, -INF], [INF, 1.0], [-INF, 1.0]])
    yield case("logsumexp", "infinite", torch.logsumexp, infinite, kind="kink", dim=-1)
    yield from products_of_elements()
    yield from extrema()
    yield from spreads()
    yield from norms()


def products_of_elements():
    for params in ({}, {"dim": 0}, {"dim": -1, "keepdim": True}):
        yield case("prod", labelled("rank 3", params), torch.prod, draw(2, 3, 2), **params)
    yield case("prod", "scalar", torch.prod, draw())
    yield case("prod", "empty", torch.prod, draw(0))
    yield case("prod", "one zero", torch.prod, floats(2.0, 0.0, -3.0))
    yield case("prod", "two zeros", torch.prod, floats(2.0, 0.0, -3.0, 0.0))
    rows = floats([[2.0, 0.5, -3.0], [2.0, 0.0, -3.0], [0.0, 4.0, 0.0]])
    yield case("prod", "no, one and two zeros by row", torch.prod, rows, dim=1)


def extrema():
    tied = floats([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    for op in ("amax", "amin", "max", "min"):
        yield case(op, "ties", getattr(torch, op), tied, kind="kink")
        yield case(op, "ties by row", getattr(torch, op), tied, kind="kink", dim=1)
        yield case(op, "not a number", getattr(torch, op), floats(1.0, NAN, 2.0), kind="value")
    for op in ("max", "min"):
        yield case(op, "matrix", getattr(torch, op), draw(2, 3))
        yield case(op, "with index, axis 0", getattr(torch, op), draw(2, 3, 2), dim=0)
        yield case(op, "with index, keepdim", getattr(torch, op), draw(2, 3, 2), dim=-2, keepdim=True)
    for op in ("argmax", "argmin"):
        yield case(op, "all", getattr(torch, op), draw(2, 3), kind="value")
        yield case(op, "axis -1, keepdim", getattr(torch, op), draw(2, 3), kind="value", dim=-1, keepdim=True)


def spreads():
    for op in ("var", "std", "var_mean"):
        for correction in (0, 2):
            yield case(op, f"correction {correction}", getattr(torch, op), draw(2, 4), dim=1, correction=correction)
        yield case(op, "matrix", getattr(torch, op), draw(2, 3))
        yield case(op, "equal elements", getattr(torch, op), floats(1.5, 1.5, 1.5), kind="kink")


def norm(x, p, **axes):
    return torch.linalg.vector_norm(x, ord=p, **axes)


def norms():
    zeros = floats([[0.0, 0.0, 0.0], [3.0, 0.0, -4.0]])
    for p in (0.0, 0.5, 1.0, 2.0, 3.0, INF, -INF):
        kind = "kink" if p == 0 else "smooth"
        yield case("norm", f"p {p}", norm, draw(2, 3), kind=kind, p=p)
        yield case("norm", f"p {p}, axis -1, keepdim", norm, draw(2, 3, 2), kind=kind, p=p, dim=-1, keepdim=True)
        yield case("norm", f"p {p}, zeros by row", norm, zeros, kind="kink", p=p, dim=1)
    yield case("norm", "p 2, two axes", norm, draw(2, 3, 2), p=2.0, dim=[0, 2])
    yield case("norm", "p 2, scalar", norm, draw(), p=2.0)
    yield case("norm", "p 2, scalar zero", norm, floats(0.0).squeeze(), kind="kink", p=2.0)
    yield case("norm", "p inf, ties", norm, floats(2.0, -2.0, 1.0), kind="kink", p=INF)


def cat(*tensors, dim):
    return torch.cat(tensors, dim)


def stack(*tensors, dim):
    return torch.stack(tensors, dim)


def slice_(x, dim, start, end, step):
    return x[(slice(None),) * (dim % x.dim()) + (slice(start, end, step),)]


def shape_ops():
    yield case("reshape", "to a matrix", torch.reshape, draw(2, 3, 2), shape=[3, 4])
    yield case("reshape", "one size inferred", torch.reshape, draw(2, 3, 2), shape=[-1, 2])
    yield case("reshape", "to a scalar", torch.reshape, draw(1, 1), shape=[])
    yield case("flatten", "all", torch.flatten, draw(2, 3, 2))
    yield case("flatten", "last two", torch.flatten, draw(2, 3, 2), start_dim=1, end_dim=-1)
    yield case("permute", "cycle", torch.permute, draw(2, 3, 4), dims=[2, 0, 1])
    yield case("permute", "negative", torch.permute, draw(2, 3), dims=[-1, 0])
    yield case("transpose", "last two", torch.transpose, draw(2, 3, 4), dim0=-1, dim1=1)
    yield case("squeeze", "all", torch.squeeze, draw(1, 3, 1))
    yield case("squeeze", "one axis", torch.squeeze, draw(1, 3, 1), dim=-1)
    yield case("squeeze", "an axis longer than 1", torch.squeeze, draw(1, 3), dim=1)
    yield case("unsqueeze", "front", torch.unsqueeze, draw(3), dim=0)
    yield case("unsqueeze", "back", torch.unsqueeze, draw(2, 3), dim=-1)
    yield case("broadcast_to", "new and stretched axes", torch.broadcast_to, draw(3, 1), size=[2, 3, 2])
    yield case("broadcast_to", "scalar", torch.broadcast_to, draw(), size=[2, 2])
    yield case("cat", "rows", cat, draw(1, 3), draw(2, 3), dim=0)
    yield case("cat", "columns", cat, draw(2, 1), draw(2, 3), draw(2, 2), dim=-1)
    yield case("cat", "one is empty", cat, draw(0, 2), draw(2, 2), dim=0)
    yield case("stack", "front", stack, draw(2, 3), draw(2, 3), dim=0)
    yield case("stack", "back", stack, draw(2, 3), draw(2, 3), dim=-1)
    yield case("stack", "scalars", stack, draw(), draw(), draw(), dim=0)
    yield case("split", "equal with a rest", torch.split, draw(5, 2), split_size_or_sections=2, dim=0)
    yield case("split", "sections", torch.split, draw(2, 6), split_size_or_sections=[1, 2, 3], dim=-1)
    yield case("chunk", "three of seven", torch.chunk, draw(7), chunks=3, dim=0)
    yield case("narrow", "middle", torch.narrow, draw(2, 5), dim=1, start=1, length=3)
    yield case("slice", "middle", slice_, draw(2, 5), dim=1, start=1, end=4, step=1)
    yield case("slice", "step 2", slice_, draw(5, 2), dim=0, start=0, end=5, step=2)
    yield case("slice", "step 3 on a negative axis", slice_, draw(2, 7), dim=-1, start=1, end=7, step=3)
    yield case("flip", "one axis", torch.flip, draw(2, 3), dims=[1])
    yield case("flip", "two axes", torch.flip, draw(2, 3, 2), dims=[0, -1])
    yield case("pad", "zeros", F.pad, draw(2, 3), pad=[1, 2])
    yield case("pad", "two axes with a value", F.pad, draw(2, 3), pad=[1, 0, 2, 1], mode="constant", value=0.5)
    yield case("pad", "cropped", F.pad, draw(2, 4), pad=[-1, 1], mode="constant", value=0.0)
    for mode in ("reflect", "replicate", "circular"):
        yield case("pad", mode, F.pad, draw(1, 3, 4), pad=[2, 1, 1, 2], mode=mode)


def indexing():
    yield case("gather", "axis 0", torch.gather, draw(3, 2), dim=0, named={"index": index([[0, 2], [2, 2]])})
    yield case(
        "gather", "axis -1", torch.gather, draw(2, 3), dim=-1, named={"index": index([[0, 0, 2, 1], [1, 1, 1, 0]])}
    )
    rows, columns = index([[0, 1, 1], [2, 2, 0]]), index([[0, 0], [2, 1]])
    yield case("scatter_add", "axis 0", torch.scatter_add, draw(3, 3), dim=0, named={"index": rows, "src": draw(2, 3)})
    yield case(
        "scatter_add", "axis 1", torch.scatter_add, draw(2, 3), dim=1, named={"index": columns, "src": draw(2, 2)}
    )
    yield case("index_select", "rows, repeated", torch.index_select, draw(3, 2), dim=0, named={"index": index(2, 0, 2)})
    yield case("index_select", "columns", torch.index_select, draw(2, 3), dim=-1, named={"index": index([1])})
    rows = {"index": index(2, 0), "source": draw(2, 3)}
    yield case("index_copy", "rows", torch.index_copy, draw(3, 3), dim=0, named=rows)
    yield case("one_hot", "given classes", F.one_hot, index(0, 2, 1), kind="value", num_classes=4)
    yield case("one_hot", "matrix", F.one_hot, index([[0, 1], [2, 0]]), kind="value", num_classes=3)
    weights = {"weight": draw(4, 3)}
    yield case("embedding", "repeated rows", F.embedding, index([[0, 2], [2, 3]]), named=weights)
    yield case("embedding", "padding row", F.embedding, index(1, 0, 1), named=weights, kind="kink", padding_idx=1)
    yield from orders()


def orders():
    for params in ({"dim": 0}, {"dim": -1, "descending": True}):
        yield case("sort", labelled("matrix", params), torch.sort, draw(3, 4), **params)
    yield case("sort", "ties", torch.sort, floats(2.0, 1.0, 2.0, 1.0), kind="kink", stable=True, dim=0)
    yield case(
        "sort",
        "ties, descending",
        torch.sort,
        floats(2.0, 1.0, 2.0, 1.0),
        kind="kink",
        stable=True,
        dim=0,
        descending=True,
    )
    yield case("sort", "not finite", torch.sort, floats(NAN, 1.0, -INF, INF), kind="kink", stable=True, dim=0)
    yield case("topk", "largest", torch.topk, draw(2, 5), k=2)
    yield case("topk", "smallest on axis 0", torch.topk, draw(4, 2), k=3, dim=0, largest=False)
    for dim in (0, 1, -1):
        yield case("cumsum", f"axis {dim}", torch.cumsum, draw(2, 3, 2), dim=dim)
    yield case("cumsum", "scalar", torch.cumsum, draw(), dim=0)


def einsum(*operands, equation):
    return torch.einsum(equation, *operands)


def products():
    yield case("dot", "vectors", torch.dot, draw(4), draw(4))
    yield case("mv", "matrix and vector", torch.mv, draw(2, 3), draw(3))
    yield case("outer", "vectors", torch.outer, draw(3), draw(2))
    yield case("bmm", "batch of two", torch.bmm, draw(2, 2, 3), draw(2, 3, 2))
    shapes = [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((2, 2, 3), (3,)),
        ((3,), (2, 3, 2)),
        ((2, 2, 3), (3, 2)),
        ((2, 3), (2, 3, 2)),
        ((2, 2, 3), (2, 3, 2)),
        ((2, 1, 2, 3), (2, 3, 2)),
        ((2, 0), (0, 3)),
    ]
    for left, right in shapes:
        yield case("matmul", f"{list(left)} and {list(right)}", torch.matmul, draw(*left), draw(*right))
    equations = [
        ("ij,jk->ik", (2, 3), (3, 2)),
        ("ij,kj->ik", (2, 3), (2, 3)),
        ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
        ("i,j->ij", (2,), (3,)),
        ("i,i->", (3,), (3,)),
        ("ij->ji", (2, 3)),
        ("ij->j", (2, 3)),
        ("ii->i", (3, 3)),
        ("ii->", (3, 3)),
        ("ij,ij->i", (2, 3), (2, 3)),
        ("bi,ij,bj->b", (2, 3), (3, 2), (2, 2)),
        ("...ij,...jk->...ik", (2, 1, 2), (2, 2)),
        ("ij,jk", (2, 3), (3, 2)),
    ]
    for equation, *operands in equations:
        yield case("einsum", equation, einsum, *(draw(*shape) for shape in operands), equation=equation)


SECTIONS = (
    unary_cases,
    binary_cases,
    ternary_cases,
    activation_cases,
    reductions,
    shape_ops,
    indexing,
    products,
    windows,
    losses,
    attentions,
    layers,
    recurrents,
)


def recorded(case):
    try:
        recording = Recording(case)
        recording.check()
        return recording.line()
    except Exception as error:
        error.add_note(f"in the case {case.op}: {case.name}")
        raise


if __name__ == "__main__":
    cases = [case for section in SECTIONS for case in section()]
    names = [(case.op, case.name) for case in cases]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})
    write(__file__, [recorded(case) for case in cases])
