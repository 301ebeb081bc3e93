#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX models with codes of 2, 4 and 16 bits and with MatMulNBits, and the floats they stand for: tests/golden/joined/small*.

Needs NumPy only: the protobuf is written here, since python3-onnx of Debian 12 does not know these types. Layouts are
those of onnx.proto (int32_data and raw_data of INT4, UINT4, ...) and of ONNX Runtime's ContribOperators (MatMulNBits):
codes are put into bits one by one, so that nothing is shared with what reads them.
"""
import json
import os
import struct

import numpy as np

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "joined")
rng = np.random.default_rng(4)
FLOAT, UINT8, INT8, UINT16, INT16, INT32, FLOAT16, UINT4, INT4, FP4, UINT2, INT2 = 1, 2, 3, 4, 5, 6, 10, 21, 22, 23, 25, 26
WIDTH = {UINT4: 4, INT4: 4, FP4: 4, UINT2: 2, INT2: 2}
OF = {"float32": FLOAT, "float16": FLOAT16, "uint8": UINT8, "int8": INT8, "uint16": UINT16, "int16": INT16, "int32": INT32}
E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6], np.float32)


# ---- protobuf ----------------------------------------------------------------------------------
def varint(x):
    out = b""
    x &= (1 << 64) - 1
    while x > 127:
        out, x = out + bytes([x & 127 | 128]), x >> 7
    return out + bytes([x])


def pb(*fields):
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value if isinstance(value, bytes) else value.encode()
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def bits(values, width):
    """A string of bits, lowest first, eight a byte."""
    text = "".join(format(int(v) & (1 << width) - 1, "0%db" % width)[::-1] for v in np.ravel(values))
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i:i + 8][::-1], 2) for i in range(0, len(text), 8))


init, nodes, want = [], [], {}


def add(name, a, kind=None, numbers=False):
    a = np.asarray(a)
    kind = kind or OF[str(a.dtype)]
    raw = bits(a, WIDTH[kind]) if kind in WIDTH else a.tobytes()
    data = (5, b"".join(varint(v) for v in raw)) if numbers else (9, raw)
    init.append(pb(*((1, d) for d in a.shape), (2, kind), data, (8, name)))
    return name


def node(op, inputs, out, **attributes):
    nodes.append(pb(*((1, i) for i in inputs), (2, out), (4, op), *((5, pb((1, k), (3, v), (20, 2))) for k, v in attributes.items())))


def dequantize(name, q, kind, s, z=None, numbers=False, **attributes):
    inputs = [add(name, q, kind, numbers), add(name + "_s", s)] + ([add(name + "_z", z, kind)] if z is not None else [])
    node("DequantizeLinear", inputs, name + "_f", **attributes)
    node("MatMul", ["x", name + "_f"], name + "_y")


def save(path):
    with open(os.path.join(here, path), "wb") as f:
        f.write(pb((1, 10), (7, pb(*((1, n) for n in nodes), (2, "g"), *((5, t) for t in init)))))


def save_want(path):
    head, data = {}, b""
    for name, a in want.items():
        raw = np.asarray(a, np.float32).tobytes()
        head[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(here, path), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


single = lambda *shape: (rng.random(shape) * 0.1 + 0.01).astype(np.float32)
f32 = lambda a: np.asarray(a, np.float32)

# ---- DequantizeLinear ----------------------------------------------------------------------------
q, s, z = rng.integers(-8, 8, (5, 7)), single(7), rng.integers(-8, 8, 7)       # 35 codes: the last byte is half empty
dequantize("int4", q, INT4, s, z, axis=1)
want["int4"] = s * (f32(q) - f32(z))
q, s, z = rng.integers(0, 16, (6, 10)), single(6, 3), rng.integers(0, 16, (6, 3))
dequantize("uint4_blocks", q, UINT4, s, z, axis=-1, block_size=4)              # the last block is short
want["uint4_blocks"] = s.repeat(4, 1)[:, :10] * (f32(q) - f32(z).repeat(4, 1)[:, :10])
q, s = rng.integers(-8, 8, (8, 3)), single(2, 3)
dequantize("int4_down", q, INT4, s, numbers=True, axis=0, block_size=4)        # int32_data: two codes a number
want["int4_down"] = s.repeat(4, 0) * f32(q)
q, s, z = rng.integers(-2, 2, (3, 3)), single(), rng.integers(-2, 2, ())
dequantize("int2", q, INT2, s, z)
want["int2"] = s * (f32(q) - f32(z))
q, s = rng.integers(0, 4, (2, 6)), single(2)
dequantize("uint2", q, UINT2, s, axis=0)
want["uint2"] = s[:, None] * f32(q)
q, s = rng.integers(0, 16, (4, 16)), single(4, 2).astype(np.float16)
dequantize("fp4", q, FP4, s, axis=1, block_size=8)
want["fp4"] = f32(s).repeat(8, 1) * E2M1[q]
q, s, z = rng.integers(-32768, 32768, (3, 4)).astype(np.int16), single(3), rng.integers(-999, 999, 3).astype(np.int16)
dequantize("int16", q, INT16, s, z, axis=0)
want["int16"] = s[:, None] * (f32(q) - f32(z)[:, None])
q, s, z = rng.integers(0, 65536, (3, 4)).astype(np.uint16), single(), np.uint16(32768)
dequantize("uint16", q, UINT16, s, z)
want["uint16"] = s * (f32(q) - f32(z))
q = rng.integers(-8, 8, (3, 3))
add("alone4", q, INT4)                                                          # no scale: the integers themselves
want["alone4"] = f32(q)
q = rng.integers(0, 16, (0, 3))
add("none4", q, UINT4)
want["none4"] = f32(q)


# ---- MatMulNBits -----------------------------------------------------------------------------------
def nbits(name, width, n, k, block, zero=None, scale=np.float32, order=None, flat=False):
    blocks = -(-k // block)
    q = rng.integers(0, 1 << width, (n, blocks * block))
    s = single(n, blocks).astype(scale)
    packed = np.frombuffer(b"".join(bits(row, width) for row in q), np.uint8).reshape(n, blocks, block * width // 8)
    inputs = ["x", add(name, packed), add(name + "_s", s.ravel() if flat else s)]
    z = np.full((n, blocks), float(1 << width - 1))
    if zero == "packed":
        z = rng.integers(0, 1 << width, (n, blocks))
        raw = np.frombuffer(b"".join(bits(row, width) for row in z), np.uint8)
        inputs.append(add(name + "_z", raw if flat else raw.reshape(n, -1)))
    elif zero == "numbers":
        z = (rng.random((n, blocks)) * 15).astype(scale)
        inputs.append(add(name + "_z", z))
    g = np.arange(k) // block if order is None else order
    if order is not None:
        inputs += [""] * (4 - len(inputs)) + [add(name + "_g", order.astype(np.int32))]
    node("MatMulNBits", inputs, name + "_y", K=k, N=n, bits=width, block_size=block)
    want[name] = f32(s)[:, g] * (f32(q[:, :k]) - f32(z)[:, g])


nbits("nb4", 4, 6, 64, 16)
nbits("nb4_zero", 4, 5, 72, 16, "packed")                    # 5 blocks: half a byte is left in zeros and in the last block
nbits("nb4_flat", 4, 3, 64, 32, "packed", np.float16, flat=True)
nbits("nb4_float", 4, 3, 32, 16, "numbers")
nbits("nb4_order", 4, 3, 64, 16, "packed", order=rng.permutation(np.arange(64) // 16))
nbits("nb4_in_order", 4, 3, 40, 16, order=np.arange(40) // 16)
nbits("nb8", 8, 4, 48, 16, "packed")
nbits("nb8_middle", 8, 4, 16, 32)                            # one block, longer than a row
nbits("nb2", 2, 4, 32, 16, "packed")
nbits("nb3", 3, 4, 32, 16, "packed")                         # codes over the edges of bytes


# ---- GatherBlockQuantized: bytes, or integers of 4 bits ------------------------------------------------
def gathered(name, width, n, k, block, zero):
    q, s = rng.integers(0, 1 << width, (n, k)), single(n, k // block)
    inputs = [add(name, np.frombuffer(b"".join(bits(row, width) for row in q), np.uint8).reshape(n, -1)), "ids", add(name + "_s", s)]
    z = np.full(s.shape, 1 << width - 1)
    if zero:
        z = rng.integers(0, 1 << width, s.shape)
        inputs.append(add(name + "_z", np.frombuffer(b"".join(bits(row, width) for row in z), np.uint8).reshape(n, -1)))
    node("GatherBlockQuantized", inputs, name + "_y", bits=width, block_size=block, gather_axis=0, quantize_axis=1)
    want[name] = s.repeat(block, 1) * (f32(q) - f32(z).repeat(block, 1))


gathered("emb4", 4, 6, 48, 16, True)
gathered("emb8", 8, 3, 32, 16, False)
q, s = rng.integers(0, 16, (5, 40)), single(5, 3)
node("GatherBlockQuantized", [add("emb", q, UINT4), "ids", add("emb_s", s)], "emb_y", block_size=16)
want["emb"] = s.repeat(16, 1)[:, :40] * f32(q)
save("small.onnx")
save_want("small_want.safetensors")

# ---- what does not fit stays --------------------------------------------------------------------------
init, nodes = [], []
def bad(name, shape, scales, zero=None, **attributes):
    inputs = ["x", add(name, np.zeros(shape, np.uint8)), add(name + "_s", single(*scales))]
    if zero:
        inputs.append(add(name + "_z", np.zeros(zero, np.uint8)))
    node("MatMulNBits", inputs, name + "_y", **attributes)


bad("a", (2, 2, 8), (2, 2), K=32, N=3, bits=4, block_size=16)
bad("b", (2, 2, 8), (2, 3), K=32, N=2, bits=4, block_size=16)
bad("c", (2, 2, 8), (2, 2), (2, 2), K=32, N=2, bits=4, block_size=16)
bad("d", (2, 2, 8), (2, 2), K=32, N=2, bits=9, block_size=16)
bad("e", (2, 2, 8), (2, 2), K=32, N=2, bits=4, block_size=0)
bad("f", (2, 2, 8), (2, 2), K=1 << 62, N=1 << 62, bits=4, block_size=1 << 61)
bad("g", (2, 2, 8), (2, 2), K=-1, N=2, bits=4, block_size=16)
bad("h", (2, 2, 8), (2, 2), K=32, N=2, bits=4, block_size=16, weight_prepacked=1)
dequantize("i", np.zeros((4, 4), int), INT4, single(3), axis=0)
save("small_bad.onnx")
