"""The comparison workloads W1..W8 in JAX (CPU, float32, jit): one JSON line per workload and phase.

    python jax_workloads.py [--only W3,W4] [--seconds S]

The same models, shapes and phases as torch_workloads.py; every phase is one jitted function, so XLA sees the
whole training step. Threads: XLA takes the machine's cores; restrict it with `taskset -c 0` for one thread.
"""
import argparse, json, os, resource, time
import jax, jax.numpy as jnp, optax
from jax import lax, nn, random

ap = argparse.ArgumentParser()
ap.add_argument("--only", default="")
ap.add_argument("--seconds", type=float, default=2.0)
args = ap.parse_args()
KEYS = iter(random.split(random.PRNGKey(0), 500))
normal = lambda *s: random.normal(next(KEYS), s, jnp.float32)
dense = lambda i, o: (normal(i, o) / i**0.5, jnp.zeros(o))
labels = lambda n, *s: random.randint(next(KEYS), s, 0, n)


def report(name, phase, f, per=1.0):
    for _ in range(3):
        jax.block_until_ready(f())
    times, t_end = [], time.perf_counter() + args.seconds
    while time.perf_counter() < t_end or len(times) < 5:
        t = time.perf_counter(); jax.block_until_ready(f()); times.append((time.perf_counter() - t) * 1e3)
    times.sort()
    print(json.dumps({"peer": "jax-jit", "version": jax.__version__, "threads": len(os.sched_getaffinity(0)), "workload": name, "phase": phase,
                      "median_ms": round(times[len(times) // 2] / per, 6), "min_ms": round(times[0] / per, 6),
                      "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), flush=True)


def supervised(name, params, apply, loss, x, y, opt):
    objective = lambda p, x, y: loss(apply(p, x), y)
    fwd, grad = jax.jit(objective), jax.jit(jax.value_and_grad(objective))
    @jax.jit
    def step(p, s, x, y):
        l, g = jax.value_and_grad(objective)(p, x, y)
        u, s = opt.update(g, s, p)
        return optax.apply_updates(p, u), s, l
    state = [params, opt.init(params)]
    def train():
        state[0], state[1], l = step(state[0], state[1], x, y)
        return state[0], l
    report(name, "fwd", lambda: fwd(params, x, y))
    report(name, "fwdbwd", lambda: grad(params, x, y))
    report(name, "step", train)


def mlp(act, last=lambda z: z):
    def apply(p, x):
        for w, b in p[:-1]:
            x = act(x @ w + b)
        w, b = p[-1]
        return last(x @ w + b)
    return apply


mse = lambda out, y: jnp.mean((out - y) ** 2)
xent = lambda out, y: -jnp.mean(jnp.take_along_axis(nn.log_softmax(out), y[..., None], -1))


def w1():
    supervised("W1", [dense(2, 16), dense(16, 16), dense(16, 1)], mlp(jnp.tanh), mse, normal(64, 2), normal(64, 1), optax.sgd(0.01))


def w2():
    supervised("W2", [dense(2, 128), dense(128, 128), dense(128, 128), dense(128, 1)], mlp(nn.relu, nn.sigmoid), mse, normal(4096, 2), normal(4096, 1), optax.adam(1e-3))


def w3():
    supervised("W3", [dense(784, 512), dense(512, 256), dense(256, 10)], mlp(nn.relu), xent, normal(128, 784), labels(10, 128), optax.adam(1e-3))


def w4():
    conv = lambda x, w, b: lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW")) + b[:, None, None]
    pool = lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    p = [(normal(16, 1, 5, 5) / 5, jnp.zeros(16)), (normal(32, 16, 5, 5) / 20, jnp.zeros(32)), dense(512, 128), dense(128, 10)]
    def apply(p, x):
        x = pool(nn.relu(conv(x, *p[0]))); x = pool(nn.relu(conv(x, *p[1])))
        x = nn.relu(x.reshape(x.shape[0], -1) @ p[2][0] + p[2][1])
        return x @ p[3][0] + p[3][1]
    supervised("W4", p, apply, xent, normal(64, 1, 28, 28), labels(10, 64), optax.sgd(0.01, momentum=0.9))


def w5():
    h = 128
    p = {"wx": normal(32, 4 * h) / 32**0.5, "wh": normal(h, 4 * h) / h**0.5, "b": jnp.zeros(4 * h), "head": dense(h, 10)}
    def apply(p, x):
        gx = x @ p["wx"] + p["b"]
        def cell(c, g):
            hid, mem = c
            i, f, gg, o = jnp.split(g + hid @ p["wh"], 4, -1)
            mem = nn.sigmoid(f) * mem + nn.sigmoid(i) * jnp.tanh(gg)
            return (nn.sigmoid(o) * jnp.tanh(mem), mem), None
        z = jnp.zeros((x.shape[0], h))
        (hid, _), _ = lax.scan(cell, (z, z), jnp.swapaxes(gx, 0, 1))
        return hid @ p["head"][0] + p["head"][1]
    supervised("W5", p, apply, xent, normal(32, 64, 32), labels(10, 32), optax.adam(1e-3))


def w6():
    d, t, v, nh = 128, 128, 65, 4
    block = lambda: {"n1": (jnp.ones(d), jnp.zeros(d)), "n2": (jnp.ones(d), jnp.zeros(d)), "qkv": dense(d, 3 * d), "proj": dense(d, d), "up": dense(d, 4 * d), "down": dense(4 * d, d)}
    p = {"tok": normal(v, d), "pos": normal(t, d), "blocks": [block(), block()], "norm": (jnp.ones(d), jnp.zeros(d)), "head": dense(d, v)}
    def norm(x, g):
        m = x.mean(-1, keepdims=True); s = ((x - m) ** 2).mean(-1, keepdims=True)
        return (x - m) * lax.rsqrt(s + 1e-5) * g[0] + g[1]
    lin = lambda x, l: x @ l[0] + l[1]
    mask = jnp.tril(jnp.ones((t, t), bool))
    def apply(p, i):
        x = p["tok"][i] + p["pos"]
        for bl in p["blocks"]:
            b = x.shape[0]
            q, k, val = (z.reshape(b, t, nh, d // nh).transpose(0, 2, 1, 3) for z in jnp.split(lin(norm(x, bl["n1"]), bl["qkv"]), 3, -1))
            a = nn.softmax(jnp.where(mask, q @ k.swapaxes(-1, -2) / (d // nh) ** 0.5, -1e9)) @ val
            x = x + lin(a.transpose(0, 2, 1, 3).reshape(b, t, d), bl["proj"])
            x = x + lin(nn.gelu(lin(norm(x, bl["n2"]), bl["up"])), bl["down"])
        return lin(norm(x, p["norm"]), p["head"])
    supervised("W6", p, apply, xent, labels(v, 8, t), labels(v, 8, t), optax.adamw(1e-3))


def w7():
    a, b, x = normal(1_000_000), normal(1_000_000), normal(1_000_000)
    f = lambda a, b, x: (jnp.tanh(a * x + b) * jnp.exp(-x * x) + jnp.log1p(x * x)).sum()
    fwd, g = jax.jit(f), jax.jit(jax.value_and_grad(f, (0, 1, 2)))
    report("W7", "fwd", lambda: fwd(a, b, x)); report("W7", "fwdbwd", lambda: g(a, b, x))


def w8():
    w, b, x0 = normal(4, 4), normal(4, 4), normal(4, 4)
    n = 10_000
    def f(w, b, x0):
        return lax.scan(lambda x, _: (jnp.tanh(x * w + b) + x0, None), x0, None, n // 4)[0].sum()
    g = jax.jit(jax.grad(f, (0, 1, 2)))
    report("W8", "fwdbwd per op (us)", lambda: g(w, b, x0), per=n / 1e3)


for w in (w1, w2, w3, w4, w5, w6, w7, w8):
    if not args.only or w.__name__.upper() in args.only.split(","):
        w()
