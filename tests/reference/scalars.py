"""Writes scalars.jsonl: values and gradients of the functions of benches/scalar_workloads on small inputs.

    python scalars.py

The mixture, the bundle adjustment and the LSTM are those of the benchmark suite ADBench (microsoft/ADBench), written here
with whole tensors and PyTorch's own distributions where the engine's are loops over numbers.
"""

import math

import torch
from torch.func import grad, jacrev

from reference import SEED, numbers, plain, values, write


def uniform(generator, *shape, low=-1.0, high=1.0):
    return low + (high - low) * torch.rand(shape, generator=generator)


def line(function, x, f, **settings):
    settings = {name: numbers(values(s)) if torch.is_tensor(s) else plain(s) for name, s in settings.items()}
    result = {"value": f(x).item(), "gradient": values(grad(f)(x))}
    return {"function": function} | settings | {"x": values(x)} | result


def chain(turn, turns):
    def f(parameters):
        x, a, b = parameters
        seen = []
        for _ in range(turns):
            if turn == "sine":
                x = a * torch.sin(x) + b * x
            elif turn == "mixed":
                t = torch.sin(a * x)
                v = torch.hypot(t + b, torch.ones(()))
                x = torch.log(torch.exp(t - v) + v) / v
            else:
                x = torch.addcmul(b, a, x) * a - x
            seen.append(x)
        return torch.stack(seen).sum()

    return line("chain", torch.tensor([0.3, 0.9, 0.5]), f, turn=turn, turns=turns)


def rosenbrock(n):
    x = -1.2 + 2.0 * torch.arange(n) / n
    return line("rosenbrock", x, lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(), n=n)


def mixture(generator, d, k, n, gamma, m):
    points = uniform(generator, n, d, low=-2, high=2)
    parameters = uniform(generator, k * (1 + d + d * (d + 1) // 2))
    columns, rows = torch.triu_indices(d, d, offset=1)

    def f(x):
        alpha, means, factors = x[:k], x[k : k + k * d].reshape(k, d), x[k + k * d :].reshape(k, -1)
        q = torch.diag_embed(factors[:, :d].exp())
        q = q.index_put((torch.arange(k)[:, None], rows, columns), factors[:, d:])
        normal = torch.distributions.MultivariateNormal(means, precision_matrix=q.mT @ q, validate_args=False)
        logits = torch.log_softmax(alpha, 0)
        likelihood = torch.logsumexp(logits + normal.log_prob(points[:, None, :]), 1).sum()
        degrees = d + m + 1
        normaliser = degrees * d * (math.log(gamma) - math.log(2) / 2)
        normaliser -= torch.special.multigammaln(torch.tensor(degrees / 2), d).item()
        prior = gamma**2 / 2 * (q**2).sum((1, 2)) - m * torch.logdet(q) - normaliser
        # ADBench adds what the prior subtracts: the sign is the suite's.
        return likelihood + prior.sum()

    settings = {"dimension": d, "components": k, "points": points, "gamma": gamma, "m": m}
    return line("mixture", parameters, f, **settings)


def lstm(generator, layers, width, characters):
    state = uniform(generator, 2 * layers, width, low=0)
    text = torch.randint(0, 2, (characters, width), generator=generator).to(torch.float64)
    parameters = uniform(generator, 8 * layers + 3, width).flatten()

    def f(x):
        x = x.reshape(8 * layers + 3, width)
        hidden, cell = list(state[0::2]), list(state[1::2])
        total = 0
        for seen, target in zip(text[:-1], text[1:]):
            signal = seen * x[-3]
            for i in range(layers):
                weight, bias = x[8 * i : 8 * i + 4], x[8 * i + 4 : 8 * i + 8]
                inputs = torch.stack([signal, hidden[i], signal, hidden[i]])
                forget, into, out, change = weight * inputs + bias
                cell[i] = torch.sigmoid(forget) * cell[i] + torch.sigmoid(into) * torch.tanh(change)
                hidden[i] = torch.sigmoid(out) * torch.tanh(cell[i])
                signal = hidden[i]
            predicted = signal * x[-2] + x[-1]
            # Two more terms e⁰ under the logarithm.
            normaliser = torch.logsumexp(torch.cat([predicted, torch.zeros(2)]), 0)
            total = total + (target * (predicted - normaliser)).sum()
        return -total / (text.numel() - width)

    return line("lstm", parameters, f, layers=layers, width=width, state=state, text=text)


def observation(generator, rotation):
    """The rotation matrix is the exponential of the cross product with the rotation vector."""
    centre, point = uniform(generator, 3), uniform(generator, 3, low=4, high=7)
    inner = torch.cat([torch.tensor([400.0, 3.0, -2.0, 0.05, -0.01]), point, torch.tensor([0.75])])
    x, feature = torch.cat([rotation, centre, inner]), torch.tensor([120.0, -45.0])

    def f(x):
        r, centre, focal, principal, k, point, weight = x.split([3, 3, 1, 2, 2, 3, 1])
        zero = torch.zeros(())
        cross = torch.stack([zero, -r[2], r[1], r[2], zero, -r[0], -r[1], r[0], zero]).reshape(3, 3)
        seen = torch.linalg.matrix_exp(cross) @ (point - centre)
        flat = seen[:2] / seen[2]
        square = flat.square().sum()
        projected = focal * flat * (1 + k[0] * square + k[1] * square**2) + principal
        return torch.cat([weight * (projected - feature), 1 - weight**2])

    settings = {"function": "observation", "x": values(x), "feature": values(feature)}
    return settings | {"errors": values(f(x)), "jacobian": values(jacrev(f)(x))}


def main():
    generator = torch.Generator().manual_seed(SEED)
    write(
        __file__,
        [
            chain("sine", 7),
            chain("mixed", 7),
            chain("arithmetic", 7),
            rosenbrock(2),
            rosenbrock(9),
            mixture(generator, 1, 2, 3, 1.0, 0),
            mixture(generator, 3, 4, 6, 1.5, 2),
            lstm(generator, 1, 2, 3),
            lstm(generator, 2, 3, 6),
            observation(generator, uniform(generator, 3)),
            observation(generator, torch.zeros(3)),
        ],
    )


if __name__ == "__main__":
    main()
