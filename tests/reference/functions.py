"""Writes crates/autograd/src/kernel/math/reference.txt: points of each function of kernel/math on f64, by mpmath.

Run with the output path as the first argument and, optionally, the number of points per range as the second.
A line is: name, bits of x, bits of y rounded to f64, and what the rounding left, in ulp of y.
"""

import math
import random
import struct
import sys

import mpmath as mp

mp.mp.dps = 60
random.seed(20)


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x):
    return mp.log1p(mp.exp(x))


def lgamma(x):
    return mp.log(abs(mp.gamma(x)))


def erfinv(x):
    return mp.erfinv(x)


LINEAR, LOG = "linear", "log"
# name, function, ranges: (kind, low, high); a log range takes both signs unless low is marked positive.
TABLE = [
    ("exp", mp.exp, [(LINEAR, -745, 709.7), (LINEAR, -2, 2), (LOG, 1e-20, 1)]),
    ("exp2", lambda x: mp.mpf(2) ** x, [(LINEAR, -1074, 1023.9), (LINEAR, -2, 2), (LOG, 1e-20, 1)]),
    ("expm1", mp.expm1, [(LINEAR, -40, 709.7), (LINEAR, -2, 2), (LOG, 1e-300, 1)]),
    ("ln", mp.log, [(LOG, 1e-308, 1e308, "+"), (LINEAR, 0.3, 3), (LINEAR, 0.999, 1.001)]),
    ("log2", lambda x: mp.log(x) / mp.log(2), [(LOG, 1e-308, 1e308, "+"), (LINEAR, 0.3, 3), (LINEAR, 0.999, 1.001)]),
    ("log10", mp.log10, [(LOG, 1e-308, 1e308, "+"), (LINEAR, 0.3, 3), (LINEAR, 0.999, 1.001)]),
    ("log1p", mp.log1p, [(LOG, 1e-300, 1e308, "+"), (LINEAR, -0.999, 3), (LOG, 1e-10, 0.5)]),
    ("sin", mp.sin, [(LINEAR, -10, 10), (LINEAR, -1e5, 1e5), (LOG, 1e-300, 6e7), (LOG, 6e7, 1e308)]),
    ("cos", mp.cos, [(LINEAR, -10, 10), (LINEAR, -1e5, 1e5), (LOG, 1e-300, 6e7), (LOG, 6e7, 1e308)]),
    ("atan", mp.atan, [(LINEAR, -5, 5), (LOG, 1e-300, 1e300)]),
    ("sinh", mp.sinh, [(LINEAR, -710.4, 710.4), (LINEAR, -2, 2), (LOG, 1e-300, 1)]),
    ("cosh", mp.cosh, [(LINEAR, -710.4, 710.4), (LINEAR, -2, 2)]),
    ("tanh", mp.tanh, [(LINEAR, -20, 20), (LINEAR, -1, 1), (LOG, 1e-300, 1)]),
    ("sigmoid", sigmoid, [(LINEAR, -745, 40), (LINEAR, -5, 5)]),
    ("softplus", softplus, [(LINEAR, -745, 40), (LINEAR, -5, 5)]),
    ("erf", mp.erf, [(LINEAR, -6, 6), (LINEAR, -1, 1), (LOG, 1e-300, 1)]),
    ("erfc", mp.erfc, [(LINEAR, -6, 6), (LINEAR, 0, 27.2), (LINEAR, -1, 1)]),
    ("erfinv", erfinv, [(LINEAR, -0.999, 0.999), (LOG, 1e-300, 0.9999999)]),
    ("lgamma", lgamma, [(LINEAR, 0.01, 30), (LOG, 1e-10, 1e10, "+")]),
    ("digamma", mp.digamma, [(LINEAR, 0.01, 30), (LINEAR, -10, 0), (LOG, 1e-10, 1e10, "+")]),
    ("trigamma", lambda x: mp.polygamma(1, x), [(LINEAR, 0.01, 30), (LINEAR, -5, 0), (LOG, 1e-10, 1e10, "+")]),
    ("polygamma3", lambda x: mp.polygamma(3, x), [(LINEAR, 0.01, 30), (LINEAR, -5, 0), (LOG, 1e-5, 1e5, "+")]),
]


def points(kind, low, high, sign="±", count=0):
    for _ in range(count):
        if kind == LINEAR:
            yield random.uniform(low, high)
        else:
            x = math.exp(random.uniform(math.log(low), math.log(high)))
            yield x if sign == "+" or random.random() < 0.5 else -x


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def main():
    path, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 40
    only = sys.argv[3].split(",") if len(sys.argv) > 3 else None
    with open(path, "w") as out:
        out.write(f"# tests/reference/functions.py with mpmath {mp.__version__}, {count} points per range\n")
        for name, function, ranges in TABLE:
            if only and name not in only:
                continue
            for bounds in ranges:
                for x in points(*bounds, count=count):
                    mp.mp.dps = 400 if abs(x) > 1e15 or abs(x) < 1e-15 else 60
                    exact = function(mp.mpf(x))
                    rounded = float(exact)
                    rest = float((exact - mp.mpf(rounded)) / mp.mpf(math.ulp(rounded)))
                    out.write(f"{name} {bits(x):016x} {bits(rounded):016x} {rest:.3f}\n")


main()
