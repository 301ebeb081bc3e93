#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF blocks with one more scale beside them, and the floats they stand for: tests/golden/joined/scaled.gguf.

Needs NumPy. Names are those of llama.cpp's converter: blk.0.x.weight (NVFP4) with blk.0.x.scale, a number for the tensor or
for each expert; blk.0.x.input_scale is of the activations. NVFP4 is worked out by tests/oracle/make_gguf.py, bit by bit.
"""
import json
import os
import struct
import sys

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "oracle"))
import gguf_file
import make_gguf

rng = np.random.default_rng(7)
F32, tensors, want = 0, [], {}


def blocks(name, kind, shape):
    number, size, values, _, decode = make_gguf.TYPES[kind]
    b = make_gguf.random_blocks(rng, kind, int(np.prod(shape)) // values)
    x = np.unpackbits(b, axis=1, bitorder="little")
    tensors.append((name, shape, number, b.tobytes()))
    return decode(b, x).astype(np.float32).reshape(shape)


def number(name, *values):
    a = np.array(values, np.float32)
    tensors.append((name, a.shape, F32, a.tobytes()))
    return a


want["blk.0.attn_q.weight"] = blocks("blk.0.attn_q.weight", "NVFP4", (3, 128)) * number("blk.0.attn_q.scale", 0.0123)
want["blk.0.attn_q.input_scale"] = number("blk.0.attn_q.input_scale", 0.5)
want["blk.0.ffn_up_exps.weight"] = blocks("blk.0.ffn_up_exps.weight", "NVFP4", (3, 2, 64)) * number("blk.0.ffn_up_exps.scale", .3, .7, -1.1)[:, None, None]
want["blk.0.ffn_gate.weight"] = blocks("blk.0.ffn_gate.weight", "Q4_1", (4, 32)) * number("blk.0.ffn_gate.weight.scale", 1, 2, 3, 0)[:, None]
want["blk.0.ffn_down.weight"] = blocks("blk.0.ffn_down.weight", "NVFP4", (2, 64))            # a scale of 1 is left out
want["blk.0.odd.weight"] = blocks("blk.0.odd.weight", "Q8_0", (3, 32))
want["blk.0.odd.scale"] = number("blk.0.odd.scale", 1, 2)                                     # does not fit
with open(os.path.join(here, "joined", "scaled.gguf"), "wb") as f:
    f.write(gguf_file.build(tensors, [gguf_file.pair("general.architecture", gguf_file.STRING, "llama")]))
head, data = {}, b""
for name, a in want.items():
    head[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [len(data), len(data) + a.nbytes]}
    data += a.astype(np.float32).tobytes()
text = json.dumps(head).encode()
text += b" " * (-len(text) % 8)
with open(os.path.join(here, "joined", "scaled_want.safetensors"), "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + data)
