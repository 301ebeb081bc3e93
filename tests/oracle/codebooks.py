# SPDX-License-Identifier: GPL-3.0-or-later
"""The codebook of every format, enumerated from the formats' definitions (METHODS 4 and 7)."""
import itertools

import numpy as np
from scipy.stats import norm


def mirrored(c):
    return sorted({0.0 if v == 0 else v for m in c for v in (m, -m)})


def additive(terms):
    """All sums of one value of each term, largest 1."""
    sums = sorted({sum(v) for v in itertools.product(*terms)})
    return [v / sums[-1] for v in sums]


def powers(*exponents):
    return [0.0] + [2.0 ** -e for e in exponents]


APOT = {  # magnitudes by bits, from the powers of two every term may take
    2: additive([powers(1, 2, 3)]),
    3: additive([powers(1, 2, 4), powers(3)]),
    4: additive([powers(1, 3, 5), powers(2, 4, 6)]),
    5: additive([powers(1, 3, 6), powers(2, 4, 7), powers(5)]),
    6: additive([powers(1, 4, 7), powers(2, 5, 8), powers(3, 6, 9)]),
}
POT = {b: additive([powers(*range(1, 2 ** b))]) for b in range(1, 6)}


def minifloat(exponent_bits, mantissa_bits, bias, largest):
    """Non-negative finite values: exponent 0 is subnormal; up to `largest`."""
    out = []
    for e in range(2 ** exponent_bits):
        for m in range(2 ** mantissa_bits):
            fraction = m / 2 ** mantissa_bits
            v = fraction * 2.0 ** (1 - bias) if e == 0 else (1 + fraction) * 2.0 ** (e - bias)
            if v <= largest:
                out.append(v)
    return out


def nf4():
    p = 0.9677083
    pos = norm.ppf(np.linspace(p, .5, 9)[:-1])
    neg = -norm.ppf(np.linspace(p, .5, 8)[:-1])
    v = np.sort(np.concatenate([pos, [0.0], neg]))
    return (v / v.max()).tolist()


CODEBOOKS = {"nf4": nf4(), "fp4": mirrored(minifloat(2, 1, 1, 6.0)), "fp8e4m3": mirrored(minifloat(4, 3, 7, 448.0)),
             "fp8e5m2": mirrored(minifloat(5, 2, 15, 57344.0)), "codebook(-1;0;1)": [-1.0, 0.0, 1.0]}
for bits in list(range(2, 9)) + [16]:
    half = 2 ** (bits - 1)
    CODEBOOKS["int%d" % bits] = [float(v) for v in range(-half, half)]
    CODEBOOKS["int%d:narrow" % bits] = [float(v) for v in range(1 - half, half)]
for bits in list(range(1, 9)) + [16]:
    CODEBOOKS["uint%d" % bits] = [float(v) for v in range(2 ** bits)]
CODEBOOKS["apot2"] = [-1.0, 0.0, 1.0]
for bits in range(3, 8):
    CODEBOOKS["apot%d" % bits] = mirrored(APOT[bits - 1])
for bits in range(2, 7):
    CODEBOOKS["uapot%d" % bits] = APOT[bits]
for bits in range(2, 6):
    CODEBOOKS["pot%d" % bits] = mirrored(POT[bits - 1])
