#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden steps of the closed-form and fixed-point initializations, from the formulas of METHODS 2 to 7 with SciPy."""
import numpy as np
from scipy import optimize, special

import golden
from codebooks import CODEBOOKS


def aciq_gauss(bits):
    """alpha/sigma: sqrt(2/pi) exp(-a^2/2) = a (erfc(a/sqrt 2) + 1/(3 4^M))."""
    def slope(a):
        return np.sqrt(2 / np.pi) * np.exp(-a * a / 2) - a * (special.erfc(a / np.sqrt(2)) + 4.0 ** -bits / 3)

    return optimize.brentq(slope, .1, 20, xtol=1e-14)


def aciq_laplace(bits):
    return float(special.lambertw(3 * 4.0 ** bits).real)


def octav(x, bits, unsigned):
    y = np.abs(x.astype(np.float64))
    s = y.mean()
    g = 4.0 ** -bits / (12 if unsigned else 3)
    for _ in range(500):
        top = y > s
        new = (y * top).mean() / (g * ((y > 0) & ~top).mean() + top.mean())
        if new == s:
            break
        s = new
    return s


SAWB = {2: (3.12, -2.064), 3: (7.509, -6.892), 4: (12.68, -12.80), 5: (17.74, -18.64), 8: (31.76, -35.04)}


def rules(x, bits):
    """name, step for a signed full grid of that many bits."""
    y = x.astype(np.float64)
    qp = 2 ** (bits - 1) - 1
    mean, sd, b = y.mean(), y.std(ddof=1), np.abs(y - y.mean()).mean()
    a = np.abs(y)
    three = max(abs(mean - 3 * sd), abs(mean + 3 * sd))
    yield "minmax", a.max() / qp
    yield "percentile", np.quantile(a, .9999) / qp
    yield "percentile:99", np.quantile(a, .99) / qp
    yield "lsq", 2 * a.mean() / np.sqrt(qp)
    yield "lsq+", three / 2 ** (bits - 1)
    yield "lsq+:2^b-1", three / (2 ** bits - 1)
    yield "lsq+:2^b", three / 2 ** bits
    yield "lsq+:one", three / (2 ** bits - 1)
    yield "pact", a.max() / qp
    yield "aciq-gauss", 2 * aciq_gauss(bits) * sd / 2 ** bits
    yield "aciq-laplace", 2 * aciq_laplace(bits) * b / 2 ** bits
    yield "octav", 2 * octav(x, bits, False) / 2 ** bits
    if bits in SAWB:
        c1, c2 = SAWB[bits]
        alpha = c1 * np.sqrt((y ** 2).mean()) + c2 * a.mean()
        if alpha > 0:
            yield "sawb", 2 * alpha / (2 ** bits - 1)


def main():
    d = golden.data()
    rows = []
    for name in ("normal", "laplace", "uniform", "bimodal", "outlier", "shifted", "student3", "tiny", "x11"):
        for bits in (2, 3, 4, 5, 8):
            for init, s in rules(d[name], bits):
                rows.append({"data": name, "format": "int%d" % bits, "init": init, "step": float(s)})
    for name in ("normal", "laplace", "student3"):
        y = d[name].astype(np.float64)
        for bits in (3, 4, 5):
            c = max(CODEBOOKS["apot%d" % bits])
            rows.append({"data": name, "format": "apot%d" % bits, "init": "apot", "step": 3 * y.std(ddof=1) / c})
            rows.append({"data": name, "format": "apot%d" % bits, "init": "minmax", "step": np.abs(y).max() / c})
        for fmt in ("fp4", "nf4", "fp8e4m3", "pot4", "int4:narrow"):
            rows.append({"data": name, "format": fmt, "init": "minmax", "step": np.abs(y).max() / max(CODEBOOKS[fmt])})
    # Non-negative data on unsigned grids.
    x = d["relu"]
    y = x.astype(np.float64)
    for bits in (2, 4, 8):
        n = 2 ** bits - 1
        rows += [{"data": "relu", "format": "uint%d" % bits, "init": i, "step": float(s)} for i, s in (
            ("minmax", y.max() / n), ("lsq", 2 * y.mean() / np.sqrt(n)), ("octav", octav(x, bits, True) / 2 ** bits))]
        rows += [{"data": "relu", "format": "uint%d" % bits, "init": i, "role": "act", "step": float(s)} for i, s in (
            ("lsq:one", 1), ("lsq+:one", 1), ("pact", 10 / n), ("pact:6", 6 / n))]
        rows.append({"data": "relu", "format": "uint%d+offset" % bits, "init": "lsq+:minmax", "role": "act",
                     "step": (y.max() - y.min()) / n, "offset": y.min()})
    golden.save_rows("inits", "make_inits.py", rows)
    golden.save_rows("aciq", "make_inits.py", [{"bits": b, "gauss": aciq_gauss(b), "laplace": aciq_laplace(b)}
                                               for b in range(1, 10)])
    golden.save_rows("codebooks", "make_inits.py", [{"format": k, "levels": [float(np.float32(v)) for v in c]}
                                                    for k, c in CODEBOOKS.items() if len(c) <= 256])


main()
