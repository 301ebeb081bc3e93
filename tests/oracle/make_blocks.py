#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
golden/blocks.gguf: values, and what published block formats make of them: GGUF's as blocks of their own types (the
formulas of quantize_row_*_ref in ggml-quants.c, in float32, every operation rounded), MXFP4 by the OCP standard (blocks
of that type), NVFP4 by NVIDIA's recipe (the values it stands for, since its float32 scale is not part of the blocks).
"""
import os

import numpy as np

import gguf_file

F = np.float32
np.seterr(all="ignore")


def f16(x): return x.astype("<f2")


def halves(q):                 # 32 codes of 4 bits to 16 bytes
    return (q[:, :16] | q[:, 16:] << 4).astype(np.uint8)


def fifth(q):                  # the fifth bits of 32 codes, four bytes
    return np.packbits((q >> 4).astype(np.uint8), axis=1, bitorder="little")


def symmetric(x, bits):        # Q4_0, Q5_0
    far = x[np.arange(len(x)), np.abs(x).argmax(axis=1)][:, None]      # the first of several
    d = far / F(-(1 << (bits - 1)))
    inv = np.where(d != 0, F(1) / d, F(0))
    v = x * inv + F((1 << (bits - 1)) + .5)
    return d, np.minimum(np.trunc(v).astype(int), (1 << bits) - 1)


def affine(x, bits):           # Q4_1, Q5_1
    lo, hi = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    d = (hi - lo) / F((1 << bits) - 1)
    inv = np.where(d != 0, F(1) / d, F(0))
    return d, lo, np.minimum(np.trunc((x - lo) * inv + F(.5)).astype(int), (1 << bits) - 1)


def join(*parts): return np.concatenate([np.ascontiguousarray(p).view(np.uint8).reshape(len(p), -1) for p in parts], axis=1)


def q4_0(x):
    d, q = symmetric(x, 4)
    return join(f16(d), halves(q))


def q5_0(x):
    d, q = symmetric(x, 5)
    return join(f16(d), fifth(q), halves(q & 15))


def q4_1(x):
    d, m, q = affine(x, 4)
    return join(f16(d), f16(m), halves(q))


def q5_1(x):
    d, m, q = affine(x, 5)
    return join(f16(d), f16(m), fifth(q), halves(q & 15))


def q8_0(x):
    d = np.abs(x).max(axis=1, keepdims=True) / F(127)
    inv = np.where(d != 0, F(1) / d, F(0))
    u = x * inv
    q = np.copysign(np.floor(np.abs(u).astype(np.float64) + .5), u)      # half away from zero
    return join(f16(d), q.astype(np.int8))


def e2m1(u):                   # nearest, ties to the even mantissa, beyond 6: 6
    a = np.abs(u.astype(np.float64))
    e = np.maximum(np.floor(np.log2(np.where(a > 0, a, 1))), 0)
    unit = 2.0 ** (e - 1)
    return np.copysign(np.minimum(np.rint(a / unit) * unit, 6), u)


E2M1 = [0, .5, 1, 1.5, 2, 3, 4, 6]


def mxfp4(x):
    most = np.abs(x).max(axis=1, keepdims=True).astype(np.float64)
    e = np.where(most > 0, np.floor(np.log2(np.where(most > 0, most, 1))) - 2, -127)
    v = e2m1(x / 2.0 ** e)
    q = np.searchsorted(E2M1, np.abs(v)) + 8 * (v < 0)
    return join((e + 127).astype(np.uint8), halves(q))


def e4m3(x):                   # nearest, ties to even, 2^-9 to 448
    x = x.astype(np.float64)
    e = np.maximum(np.floor(np.log2(np.where(x > 0, x, 1))), -6)
    unit = 2.0 ** (e - 3)
    return np.clip(np.rint(x / unit) * unit, 2.0 ** -9, 448).astype(F)


def nvfp4(x):                  # blocks of 16
    b = x.reshape(-1, 16)
    top = (np.abs(x).max() / F(6 * 448)).astype(F)
    scale = e4m3((np.abs(b).max(axis=1, keepdims=True) / F(6)) / top) * top
    return (e2m1(b / scale).astype(F) * scale).reshape(x.shape)


def data():
    rng = np.random.default_rng(11)
    b = [rng.normal(0, .05, (96, 32)), rng.laplace(0, .02, (48, 32)), rng.uniform(-1, 1, (16, 32)), rng.exponential(.1, (16, 32)),
         rng.normal(0, 1e-6, (4, 32)), rng.normal(0, 1e-8, (4, 32)), rng.normal(0, 500, (8, 32)),       # the ends of half precision
         np.round(rng.normal(0, 3, (24, 32))), np.round(rng.normal(0, 8, (16, 32))) / 2,                # ties
         rng.normal(0, .05, (24, 32)).astype(np.float16), np.clip(rng.normal(0, 1, (16, 32)), -1, 1)]    # -1 and 1, in any order
    x = np.concatenate(b).astype(F)
    flat = np.zeros((8, 32), F)
    flat[1], flat[2], flat[3, 5], flat[4, 9] = .3, -.7, 2, -1.5
    flat[5] = np.arange(32) - 16
    flat[6] = np.arange(32)
    flat[7, ::2], flat[7, 1::2] = 1, -1
    return np.concatenate([x, flat]).astype("<f4")


def main():
    x = data()
    tensors = [("x", x.shape, 0, x.tobytes())]
    for number, fn in ((2, q4_0), (3, q4_1), (6, q5_0), (7, q5_1), (8, q8_0), (39, mxfp4)):
        tensors.append((fn.__name__, x.shape, number, fn(x).tobytes()))
    small = x[:96]
    tensors += [("small", small.shape, 0, small.tobytes()), ("nvfp4", small.shape, 0, nvfp4(small).astype("<f4").tobytes())]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "blocks.gguf")
    with open(path, "wb") as f:
        f.write(gguf_file.build(tensors))


main()
