"""The comparison workloads W1..W8 in PyTorch (CPU, float32): one JSON line per workload and phase.

    python torch_workloads.py [--threads N] [--compile] [--only W3,W4] [--seconds S]

Each step is forward + loss + backward + optimiser update on fixed random data. Phases: `fwd` (no gradient),
`fwdbwd` (forward, loss, backward), `step` (with the update). Times are the median of repeated steps, in ms.
"""
import argparse, json, resource, time
import torch, torch.nn as nn, torch.nn.functional as F

ap = argparse.ArgumentParser()
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--compile", action="store_true")
ap.add_argument("--only", default="")
ap.add_argument("--seconds", type=float, default=2.0)
args = ap.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)


def median_ms(f, seconds):
    for _ in range(3):
        f()
    times, t_end = [], time.perf_counter() + seconds
    while time.perf_counter() < t_end or len(times) < 5:
        t = time.perf_counter(); f(); times.append((time.perf_counter() - t) * 1e3)
    times.sort()
    return times[len(times) // 2], times[0]


def report(name, phase, f, per=1.0, unit="ms"):
    med, best = median_ms(f, args.seconds)
    print(json.dumps({"peer": "torch-compile" if args.compile else "torch", "version": torch.__version__, "threads": args.threads,
                      "workload": name, "phase": phase, "median_ms": round(med / per, 6), "min_ms": round(best / per, 6),
                      "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), flush=True)


def supervised(name, model, x, y, loss_fn, opt):
    net = torch.compile(model) if args.compile else model
    def fwd():
        with torch.no_grad():
            loss_fn(net(x), y)
    def fwdbwd():
        opt.zero_grad(set_to_none=True); loss_fn(net(x), y).backward()
    def step():
        fwdbwd(); opt.step()
    for phase, f in (("fwd", fwd), ("fwdbwd", fwdbwd), ("step", step)):
        report(name, phase, f)


def w1():
    m = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    supervised("W1", m, torch.randn(64, 2), torch.randn(64, 1), F.mse_loss, torch.optim.SGD(m.parameters(), 0.01))


def w2():
    m = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1), nn.Sigmoid())
    supervised("W2", m, torch.randn(4096, 2), torch.rand(4096, 1), F.mse_loss, torch.optim.Adam(m.parameters(), 1e-3))


def w3():
    m = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    supervised("W3", m, torch.randn(128, 784), torch.randint(0, 10, (128,)), F.cross_entropy, torch.optim.Adam(m.parameters(), 1e-3))


def w4():
    m = nn.Sequential(nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
                      nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10))
    supervised("W4", m, torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,)), F.cross_entropy, torch.optim.SGD(m.parameters(), 0.01, momentum=0.9))


class LastHidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(32, 128, batch_first=True), nn.Linear(128, 10)
    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def w5():
    m = LastHidden()
    supervised("W5", m, torch.randn(32, 64, 32), torch.randint(0, 10, (32,)), F.cross_entropy, torch.optim.Adam(m.parameters(), 1e-3))


class Block(nn.Module):
    def __init__(self, d=128, h=4):
        super().__init__()
        self.h, self.n1, self.n2 = h, nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj, self.up, self.down = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.h, d // self.h).transpose(1, 2) for z in self.qkv(self.n1(x)).split(d, 2))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d)
        x = x + self.proj(a)
        return x + self.down(F.gelu(self.up(self.n2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, v=65, d=128, t=128):
        super().__init__()
        self.tok, self.pos, self.blocks, self.norm, self.head = nn.Embedding(v, d), nn.Embedding(t, d), nn.Sequential(Block(d), Block(d)), nn.LayerNorm(d), nn.Linear(d, v)
    def forward(self, i):
        return self.head(self.norm(self.blocks(self.tok(i) + self.pos.weight)))


def w6():
    m = Gpt()
    loss = lambda out, y: F.cross_entropy(out.reshape(-1, 65), y.reshape(-1))
    supervised("W6", m, torch.randint(0, 65, (8, 128)), torch.randint(0, 65, (8, 128)), loss, torch.optim.AdamW(m.parameters(), 1e-3))


def w7():
    n = 1_000_000
    a, b, x = (torch.randn(n, requires_grad=True) for _ in range(3))
    def f(a, b, x):
        return (torch.tanh(a * x + b) * torch.exp(-x * x) + torch.log1p(x * x)).sum()
    g = torch.compile(f) if args.compile else f
    def fwd():
        with torch.no_grad():
            g(a, b, x)
    def fwdbwd():
        a.grad = b.grad = x.grad = None
        g(a, b, x).backward()
    report("W7", "fwd", fwd); report("W7", "fwdbwd", fwdbwd)


def w8():
    if args.compile:
        return  # ten thousand dependent ops: unrolled by the compiler, not a sensible use of it
    w, b, x0 = (torch.randn(4, 4, requires_grad=True) for _ in range(3))
    n = 10_000
    def fwdbwd():
        w.grad = b.grad = x0.grad = None
        x = x0
        for i in range(n // 4):
            x = torch.tanh(x * w + b) + x0
        x.sum().backward()
    report("W8", "fwdbwd per op (us)", fwdbwd, per=n / 1e3)


for w in (w1, w2, w3, w4, w5, w6, w7, w8):
    if not args.only or w.__name__.upper() in args.only.split(","):
        w()
