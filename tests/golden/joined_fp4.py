#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""E2M1 codes with their scales as other programs write them to safetensors, and the floats they stand for:
tests/golden/joined/fp4.safetensors. Needs NumPy.

ModelOpt: weight, weight_scale (E4M3, 16 inputs each), weight_scale_2; compressed-tensors: weight_packed, weight_scale,
weight_global_scale (a divisor), and for MXFP4 exponents as scales; gpt-oss: _blocks and _scales.
"""
import json
import os
import struct

import numpy as np

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "joined")
rng = np.random.default_rng(9)
E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6], np.float32)
model, want = {}, {}


def save(path, tensors):
    head, data = {}, b""
    for name, (kind, a) in tensors.items():
        head[name] = {"dtype": kind, "shape": list(a.shape), "data_offsets": [len(data), len(data) + a.nbytes]}
        data += a.tobytes()
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(here, path), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def e4m3(b):
    e, m = (b >> 3 & 15).astype(int), (b & 7).astype(np.float64)
    return np.where(e == 0, m * 2.0 ** -9, (1 + m / 8) * 2.0 ** (e - 7)).astype(np.float32)


def codes(*shape):
    """Codes, and two of them a byte."""
    q = rng.integers(0, 16, shape)
    return q, (q[..., 0::2] | q[..., 1::2] << 4).astype(np.uint8)


def number(x):
    return np.array(x, np.float32)


q, packed = codes(5, 48)
s, g = rng.integers(1, 127, (5, 3)).astype(np.uint8), number(0.00123)
model.update({"mo.weight": ("U8", packed), "mo.weight_scale": ("F8_E4M3", s), "mo.weight_scale_2": ("F32", g), "mo.input_scale": ("F32", number(2))})
want["mo.weight"], want["mo.input_scale"] = (e4m3(s) * g).repeat(16, 1) * E2M1[q], number(2)
q, packed = codes(2, 3, 32)
s, g = rng.integers(1, 127, (2, 3, 2)).astype(np.uint8), number([750])
model.update({"ct.weight_packed": ("U8", packed), "ct.weight_scale": ("F8_E4M3", s), "ct.weight_global_scale": ("F32", g)})
want["ct.weight"] = (e4m3(s) / g).repeat(16, 2) * E2M1[q]
q, packed = codes(4, 64)
s = rng.integers(100, 140, (4, 2)).astype(np.uint8)
model.update({"mx.weight_packed": ("U8", packed), "mx.weight_scale": ("U8", s)})
want["mx.weight"] = np.ldexp(E2M1[q], s.astype(int).repeat(32, 1) - 127)
q, packed = codes(2, 3, 64)
s = rng.integers(100, 140, (2, 3, 2)).astype(np.uint8)
model.update({"oss.gate_up_proj_blocks": ("U8", packed.reshape(2, 3, 2, 16)), "oss.gate_up_proj_scales": ("U8", s)})
want["oss.gate_up_proj"] = np.ldexp(E2M1[q], s.astype(int).repeat(32, 2) - 127)
# What does not fit stays: too few scales, two global ones, blocks of another length, scales of another shape.
_, packed = codes(2, 32)
bad = {"a.weight": ("U8", packed), "a.weight_scale": ("F8_E4M3", np.zeros((2, 1), np.uint8)), "a.weight_scale_2": ("F32", number(1)),
       "b.weight_packed": ("U8", packed), "b.weight_scale": ("F8_E4M3", np.zeros((2, 2), np.uint8)), "b.weight_global_scale": ("F32", number([1, 2])),
       "c_blocks": ("U8", packed), "c_scales": ("U8", np.zeros(2, np.uint8)),
       "d_blocks": ("U8", packed.reshape(1, 2, 16)), "d_scales": ("U8", np.zeros((2, 1), np.uint8)),
       "e.weight_packed": ("U8", packed), "e.weight_scale": ("U8", np.zeros((2, 3), np.uint8))}
save("fp4.safetensors", model)
save("fp4_want.safetensors", {k: ("F32", v.astype(np.float32)) for k, v in want.items()})
save("fp4_bad.safetensors", bad)
