#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
golden/gguf_blocks.gguf: for every block type a tensor of random codes, and beside it (".values") what it stands for.

Worked out from where each bit lies, not block by block as the program does: a block is a vector of bits, every code
and every small scale is a list of bit numbers (lowest first), and NumPy does the arithmetic of float32.
"""
import os

import numpy as np

import gguf_file

F = np.float32


def byte(i, bits=8, low=0):
    """Bit numbers of `bits` bits of byte i, from bit `low` on."""
    return [8 * i + low + k for k in range(bits)]


def whole(bits, where):
    """The unsigned numbers at those bits: (blocks, numbers)."""
    return sum(bits[:, [w[k] for w in where]].astype(np.int64) << k for k in range(len(where[0])))


def half(blocks, at):
    return blocks[:, at:at + 2].copy().view("<f2").astype(F)      # (blocks, 1)


def halves(at, n=16):          # n bytes: low halves, then high halves
    return [byte(at + i, 4) for i in range(n)] + [byte(at + i, 4, 4) for i in range(n)]


def plus(low, high):
    return [a + b for a, b in zip(low, high)]


def strips(at):
    return sum((halves(at + 32 * i, 32) for i in range(4)), [])


def pairs_at(at):
    return [byte(at + 32 * h + i, 2, 2 * k) for h in range(2) for k in range(4) for i in range(32)]


def bit_of(at, stretch):       # one bit a byte of 32 bytes, a stretch of 32 values after the other
    return [byte(at + i, 1, k) for k in range(stretch) for i in range(32)]


def k_scales(at):              # 8 scales and 8 offsets of 6 bits
    d = [byte(at + i, 6) for i in range(4)] + [byte(at + 8 + i, 4) + byte(at + i, 2, 6) for i in range(4)]
    m = [byte(at + 4 + i, 6) for i in range(4)] + [byte(at + 8 + i, 4, 4) + byte(at + 4 + i, 2, 6) for i in range(4)]
    return d, m


def spread(v, n):              # a number for each run, to one for each of n values
    return np.repeat(v, n // v.shape[1], axis=1)


def affine(q, scale, offset=None):
    n = q.shape[1]
    y = spread(scale, n) * q.astype(F)
    return y if offset is None else y + spread(offset, n)


E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6], F)
IQ4 = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], F)


def e4m3(codes):               # OCP 8-bit floating point, by its definition
    e, m = codes >> 3 & 15, codes & 7
    return np.where(e > 0, (1 + m / 8) * 2.0 ** (e - 7), m / 8 * 2.0 ** -6).astype(F)


def q4_0(b, x): return affine(whole(x, halves(2)) - 8, half(b, 0))
def q4_1(b, x): return affine(whole(x, halves(4)), half(b, 0), half(b, 2))
def q5_0(b, x): return affine(whole(x, plus(halves(6), [[16 + i] for i in range(32)])) - 16, half(b, 0))
def q5_1(b, x): return affine(whole(x, plus(halves(8), [[32 + i] for i in range(32)])), half(b, 0), half(b, 2))
def q8_0(b, x): return affine(b[:, 2:].view(np.int8), half(b, 0))


def q2_k(b, x):
    d = half(b, 80) * whole(x, [byte(i, 4) for i in range(16)]).astype(F)
    m = half(b, 82) * whole(x, [byte(i, 4, 4) for i in range(16)]).astype(F)
    return affine(whole(x, pairs_at(16)), d, -m)


def q3_k(b, x):
    low = [byte(96 + i % 8, 4, 4 * (i // 8)) for i in range(16)]
    high = [byte(104 + i % 4, 2, 2 * (i // 4)) for i in range(16)]
    return affine(whole(x, plus(pairs_at(32), bit_of(0, 8))) - 4, half(b, 108) * (whole(x, plus(low, high)) - 32).astype(F))


def q4_k(b, x):
    d, m = k_scales(4)
    return affine(whole(x, strips(16)), half(b, 0) * whole(x, d).astype(F), -(half(b, 2) * whole(x, m).astype(F)))


def q5_k(b, x):
    d, m = k_scales(4)
    return affine(whole(x, plus(strips(48), bit_of(16, 8))), half(b, 0) * whole(x, d).astype(F),
                  -(half(b, 2) * whole(x, m).astype(F)))


def q6_k(b, x):
    low = halves(0, 64) + halves(64, 64)
    return affine(whole(x, plus(low, pairs_at(128))) - 32, half(b, 208) * b[:, 192:208].view(np.int8).astype(F))


def iq4_nl(b, x): return affine(IQ4[whole(x, halves(2))], half(b, 0))


def iq4_xs(b, x):
    s = [byte(4 + i // 2, 4, 4 * (i % 2)) + [16 + 2 * i, 17 + 2 * i] for i in range(8)]
    q = sum((halves(8 + 16 * i) for i in range(8)), [])
    return affine(IQ4[whole(x, q)], half(b, 0) * (whole(x, s) - 32).astype(F))


def mxfp4(b, x): return affine(E2M1[whole(x, halves(1))], np.ldexp(F(1), b[:, :1].astype(int) - 127).astype(F))


def nvfp4(b, x):
    return affine(E2M1[whole(x, sum((halves(4 + 8 * i, 8) for i in range(4)), []))], e4m3(b[:, :4].astype(int)))


# number of the type, bytes a block, values, where its half-precision numbers lie
TYPES = {
    "Q4_0": (2, 18, 32, [0], q4_0), "Q4_1": (3, 20, 32, [0, 2], q4_1), "Q5_0": (6, 22, 32, [0], q5_0),
    "Q5_1": (7, 24, 32, [0, 2], q5_1), "Q8_0": (8, 34, 32, [0], q8_0), "Q2_K": (10, 84, 256, [80, 82], q2_k),
    "Q3_K": (11, 110, 256, [108], q3_k), "Q4_K": (12, 144, 256, [0, 2], q4_k), "Q5_K": (13, 176, 256, [0, 2], q5_k),
    "Q6_K": (14, 210, 256, [208], q6_k), "IQ4_NL": (20, 18, 32, [0], iq4_nl), "IQ4_XS": (23, 136, 256, [0], iq4_xs),
    "MXFP4": (39, 17, 32, [], mxfp4), "NVFP4": (40, 36, 64, [], nvfp4),
}


def random_blocks(rng, name, n):
    _, size, _, at, _ = TYPES[name]
    b = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for i in at:
        scale = (rng.normal(0, .02, n) + .001).astype("<f2")
        b[:, i:i + 2] = scale.view(np.uint8).reshape(n, 2)
    if name == "MXFP4":
        b[:, 0] = np.concatenate([[0, 1, 120, 127, 130], rng.integers(100, 140, n)])[:n]
    if name == "NVFP4":
        b[:, :4] = rng.integers(0, 127, (n, 4))
        b[0, :2] = [0, 126]
    return b


def main():
    rng = np.random.default_rng(7)
    tensors = []
    for name, (number, _, values, _, fn) in TYPES.items():
        b = random_blocks(rng, name, 512 // values)
        y = fn(b, np.unpackbits(b, axis=1, bitorder="little")).astype("<f4")
        assert y.shape == (512 // values, values) and y.dtype == np.dtype("<f4") and np.isfinite(y).all(), name
        tensors += [(name, (2, 256), number, b.tobytes()), (name + ".values", (2, 256), 0, y.tobytes())]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "gguf_blocks.gguf")
    with open(path, "wb") as f:
        f.write(gguf_file.build(tensors))


if __name__ == "__main__":
    main()
