"""Writes optim.jsonl: the path of each update rule, the learning rates of each schedule, and clipped gradients.

    python optim.py

The problem: f(a, b) = ½ Σ cᵢ (aᵢ − tᵢ)² + ¼ Σ bⱼ⁴ + (Σ a)(Σ b) / 10, so that
∂f/∂aᵢ = cᵢ (aᵢ − tᵢ) + (Σ b) / 10 and ∂f/∂bⱼ = bⱼ³ + (Σ a) / 10.
"""

import inspect

import torch
from torch.optim import lr_scheduler

from reference import described, floats, labelled, numbers, plain, values, write

PROBLEM = {
    "c": floats(0.5, 1.0, 2.0, 4.0),
    "t": floats(1.0, -0.5, 0.25, 2.0),
    "a": floats(0.0, 1.5, -1.0, 0.5),
    "b": floats([[1.25, -0.75, 0.5], [0.0, -1.5, 2.0]]),
}
RECORDED = (1, 2, 10, 100)
RATE, SCHEDULE_STEPS = 0.1, 30

RULES = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.5}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.001, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-6}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1, "amsgrad": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-6, "weight_decay": 0.1}),
    ("Adamax", {"lr": 0.01, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9}),
    ("RMSprop", {"lr": 0.02, "centered": True}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "initial_accumulator_value": 0.5}),
    ("Adagrad", {"lr": 0.1, "weight_decay": 0.1}),
]

SCHEDULES = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 10, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [3, 10, 20], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 12}),
    ("CosineAnnealingLR", {"T_max": 30}),
    ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 6}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4, "T_mult": 2, "eta_min": 0.01}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 31}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 31, "anneal_strategy": "linear", "pct_start": 0.4}),
    (
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 31, "three_phase": True, "div_factor": 10.0, "final_div_factor": 100.0},
    ),
]


def objective(a, b):
    quadratic = (PROBLEM["c"] * (a - PROBLEM["t"]) ** 2).sum() / 2
    return quadratic + (b**4).sum() / 4 + a.sum() * b.sum() / 10


def start():
    return {name: PROBLEM[name].clone().requires_grad_() for name in ("a", "b")}


def gradients_by_hand(a, b):
    return PROBLEM["c"] * (a - PROBLEM["t"]) + b.sum() / 10, b**3 + a.sum() / 10


def problem():
    parameters = start()
    value = objective(**parameters)
    value.backward()
    for parameter, by_hand in zip(parameters.values(), gradients_by_hand(**parameters)):
        torch.testing.assert_close(parameter.grad, by_hand)
    gradients = {name: numbers(values(x.grad)) for name, x in parameters.items()}
    constants = {name: described(x) for name, x in PROBLEM.items()}
    return {"problem": constants, "value": value.item(), "gradients": gradients}


# Arguments that say how PyTorch computes a step, not what it computes.
MACHINERY = {"params", "optimizer", "foreach", "capturable", "differentiable", "fused", "last_epoch"}


def complete(constructor, options):
    """The given options and PyTorch's defaults for the others."""
    known = inspect.signature(constructor).parameters
    defaults = {name: x.default for name, x in known.items() if name not in MACHINERY and x.default is not x.empty}
    return defaults | options


def path(rule, options):
    parameters, constructor = start(), getattr(torch.optim, rule)
    optimizer = constructor(parameters.values(), **options)
    after = {}
    for step in range(1, max(RECORDED) + 1):
        optimizer.zero_grad()
        objective(**parameters).backward()
        optimizer.step()
        if step in RECORDED:
            after[step] = {name: numbers(values(x)) for name, x in parameters.items()}
    return {"rule": rule, "case": labelled(rule, options), "options": complete(constructor, options), "after": after}


def schedule(name, options):
    optimizer = torch.optim.SGD(start().values(), lr=RATE, momentum=0.9)
    constructor = getattr(lr_scheduler, name)
    scheduler = constructor(optimizer, **options)
    rates = scheduler.get_last_lr()
    for _ in range(SCHEDULE_STEPS):
        optimizer.step()
        scheduler.step()
        rates = rates + scheduler.get_last_lr()
    shared = {"lr": RATE, "options": complete(constructor, options)}
    return {"schedule": name, "case": labelled(name, options), **shared, "rates": rates}


def clipped(max_norm, norm_type):
    """PyTorch scales by min(1, max_norm / (norm + 1e-6)), of which the second is below 1 for a norm at the limit."""
    parameters = start()
    objective(**parameters).backward()
    norm = torch.nn.utils.clip_grad_norm_(parameters.values(), max_norm, norm_type).item()
    gradients = {name: numbers(values(x.grad)) for name, x in parameters.items()}
    return {"clip": "norm", "max_norm": max_norm, "norm_type": plain(norm_type), "norm": norm, "gradients": gradients}


if __name__ == "__main__":
    lines = [problem()]
    lines += [path(*row) for row in RULES]
    lines += [schedule(*row) for row in SCHEDULES]
    lines += [clipped(limit, p) for p in (2.0, 1.0, float("inf")) for limit in (0.5, 100.0)]
    write(__file__, lines)
