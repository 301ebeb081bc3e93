#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small quantized models in the layouts other programs write, with the floats they stand for: tests/golden/joined/.

Needs NumPy and onnx (packages python3-numpy, python3-onnx). Packing follows what the programs' own code does, value by
value: AutoGPTQ's qlinear_cuda_old.py pack(), AutoAWQ's WQLinear_GEMM.from_linear, llm-compressor's pack_to_int32,
bitsandbytes' int8 rows; want.safetensors holds the dequantized weights under the names the joined tensors have.
"""
import json, struct, sys, os
import numpy as np

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "joined")
rng = np.random.default_rng(1)
NAMES = {"float32": "F32", "float16": "F16", "int32": "I32", "int64": "I64", "int8": "I8", "uint8": "U8", "bfloat16": "BF16"}


def save(path, tensors, meta=None):
    head, data = {}, b""
    if meta:
        head["__metadata__"] = meta
    for name, a in sorted(tensors.items(), key=lambda x: (-x[1].itemsize if hasattr(x[1], "itemsize") else -1, x[0])):
        dtype = "F8_E4M3" if isinstance(a, F8) else NAMES[str(a.dtype)]
        raw = a.tobytes()
        head[name] = {"dtype": dtype, "shape": list(a.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(here, path), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class F8:
    """E4M3 patterns, a byte each."""

    def __init__(self, a):
        self.a, self.shape, self.itemsize = a, a.shape, 1

    def tobytes(self):
        return self.a.tobytes()

    def values(self):
        s = np.where(self.a & 128, -1.0, 1.0)
        e, m = (self.a >> 3 & 15).astype(float), (self.a & 7).astype(float)
        return (s * np.where(e == 0, m * 2.0 ** -9, (1 + m / 8) * 2.0 ** (e - 7))).astype(np.float32)


model, want = {}, {}
single = lambda *shape: (rng.random(shape) * 0.1 + 0.01).astype(np.float32)


def stream(codes, bits):
    """Codes [n, m] into words [n * bits / 32, m], bit after bit down the columns."""
    n, m = codes.shape
    words = np.zeros((n * bits // 32, m), np.uint32)
    for i in range(n):
        for k in range(bits):
            at = i * bits + k
            words[at // 32] |= ((codes[i] >> k & 1) << (at % 32)).astype(np.uint32)
    return words.view(np.int32)


def gptq(stem, bits, n_in, n_out, group, order=None, version=1):
    groups = n_in // group
    q = rng.integers(0, 2 ** bits, (n_in, n_out))
    z = rng.integers(1, 2 ** bits, (groups, n_out)) if version == 1 else np.full((groups, n_out), 2 ** (bits - 1))
    s = single(groups, n_out).astype(np.float16)
    g = np.arange(n_in) // group if order is None else order
    model[stem + ".qweight"] = stream(q, bits)
    model[stem + ".qzeros"] = stream((z - (version == 1)).T.copy(), bits).T.copy()
    model[stem + ".scales"] = s
    if version == 1:
        model[stem + ".g_idx"] = g.astype(np.int32)
    want[stem + ".weight"] = (s.astype(np.float32)[g] * (q - z[g]).astype(np.float32)).T.copy()


for bits in (2, 3, 4, 8):
    gptq("gptq%d" % bits, bits, 64, 32, 16)
gptq("gptq_sym", 4, 64, 32, 32, version=2)
gptq("act_order", 4, 64, 32, 16, order=rng.permutation(np.arange(64) // 16))

q, z, s = rng.integers(0, 16, (32, 24)), rng.integers(0, 16, (2, 24)), single(2, 24).astype(np.float16)


def awq_pack(a):
    out = np.zeros((a.shape[0], a.shape[1] // 8), np.uint32)
    for col in range(out.shape[1]):
        for i, place in enumerate([0, 2, 4, 6, 1, 3, 5, 7]):
            out[:, col] |= (a[:, col * 8 + place] << (4 * i)).astype(np.uint32)
    return out.view(np.int32)


model["awq.qweight"], model["awq.qzeros"], model["awq.scales"] = awq_pack(q), awq_pack(z), s
want["awq.weight"] = (s.astype(np.float32).repeat(16, 0) * (q - z.repeat(16, 0)).astype(np.float32)).T.copy()

q, s = rng.integers(-8, 8, (6, 64)), single(6, 4)
model["ct.weight_packed"] = stream((q + 8).T.copy(), 4).T.copy()
model["ct.weight_scale"], model["ct.weight_shape"] = s, np.array([6, 64], np.int64)
want["ct.weight"] = s.repeat(16, 1) * q.astype(np.float32)

q, s = rng.integers(-127, 128, (5, 7)).astype(np.int8), single(5)
model["bnb.weight"], model["bnb.SCB"] = q, s
want["bnb.weight"] = ((s.astype(np.float64) / 127).astype(np.float32)[:, None] * q.astype(np.float32))
for name, scale, zero in (("row", single(5, 1), None), ("all", single(), np.uint8(7)), ("flat", single(5), np.arange(5, dtype=np.int32))):
    q = rng.integers(0, 256, (5, 7)).astype(np.uint8)
    model[name + ".weight"], model[name + ".weight_scale"] = q, np.asarray(scale)
    if zero is not None:
        model[name + ".weight_zero_point"] = np.asarray(zero)
    z = np.float32(0) if zero is None else np.asarray(zero, np.float32)
    s, z = (np.reshape(x, (-1, 1)) if np.size(x) > 1 else x for x in (np.asarray(scale), z))
    want[name + ".weight"] = (s * (q.astype(np.float32) - z)).astype(np.float32)
q, s = rng.integers(-128, 128, (4, 2, 3, 3)).astype(np.int8), single(4)
model["conv.weight"], model["conv.scale"] = q, s
want["conv.weight"] = s[:, None, None, None] * q.astype(np.float32)
q = F8(rng.integers(0, 120, (130, 5)).astype(np.uint8) | (rng.integers(0, 2, (130, 5)) * 128).astype(np.uint8))
s = single(2, 1)
model["fp8.weight"], model["fp8.weight_scale_inv"] = q, s
want["fp8.weight"] = (s.repeat([128 if i == 0 else 2 for i in range(2)], 0) * q.values()).astype(np.float32)
# What is no quantized weight stays: a norm, an index, codes without a scale.
model["norm.weight"], model["index"] = single(4), np.arange(3)
model["lonely.weight"] = np.arange(6, dtype=np.int8).reshape(2, 3)
for k in ("norm.weight", "index", "lonely.weight"):
    want[k] = model[k]
save("model.safetensors", model)
save("want.safetensors", want)

# Shapes that do not fit: every one is left as it was.
bad = {}
for stem, qweight, qzeros, scales in (("a", (8, 32), (4, 4), (4, 31)), ("b", (8, 32), (3, 4), (4, 32)), ("c", (8, 32), (4, 5), (4, 32)),
                                      ("d", (8, 32, 1), (4, 4), (4, 32)), ("e", (7, 32), (3, 4), (3, 32)), ("f", (0, 32), (4, 4), (4, 32))):
    bad[stem + ".qweight"], bad[stem + ".qzeros"] = np.zeros(qweight, np.int32), np.zeros(qzeros, np.int32)
    bad[stem + ".scales"] = single(*scales)
bad["g.weight"], bad["g.weight_scale"] = np.zeros((4, 6), np.int8), single(5)
bad["h.weight"], bad["h.weight_scale"], bad["h.weight_zero_point"] = np.zeros((4, 6), np.int8), single(4), np.zeros(3, np.int8)
bad["i.weight_packed"], bad["i.weight_scale"] = np.zeros((4, 8), np.int32), single(4, 1)
bad["i.weight_shape"] = np.array([4, -1], np.int64)
bad["j.codes"], bad["j.scale"], bad["j.codebook"] = np.zeros((4, 6), np.uint8), single(), np.array([1, 0], np.float32)
bad["k.qweight"], bad["k.qzeros"], bad["k.scales"] = np.zeros((8, 32), np.int32), np.zeros((4, 4), np.int32), single(4, 32)
bad["k.weight"] = single(2, 2)
bad["l.weight_packed"], bad["l.weight_scale"] = np.zeros((4, 8), np.int32), single(4, 1)
save("bad.safetensors", bad)

# An order that names groups there are not: NaN there, and nowhere else.
save("order.safetensors", {"o.qweight": np.zeros((4, 32), np.int32), "o.qzeros": np.zeros((2, 4), np.int32), "o.scales": np.ones((2, 32), np.float32),
                           "o.g_idx": np.array([0, 1, 2, -1] + [0] * 28, np.int32)})

# ONNX: DequantizeLinear and the operators that quantize themselves.
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh
init, nodes, want = [], [], {}


def add(name, a):
    init.append(nh.from_array(np.asarray(a), name))
    return name


def dequantize(name, q, s, z=None, **attributes):
    inputs = [add(name, q), add(name + "_s", s)] + ([add(name + "_z", z)] if z is not None else [])
    nodes.append(h.make_node("DequantizeLinear", inputs, [name + "_f"], **attributes))
    return name + "_f"


i8 = lambda *shape: rng.integers(-128, 128, shape).astype(np.int8)
u8 = lambda *shape: rng.integers(0, 256, shape).astype(np.uint8)
q, s, z = i8(4, 3, 2, 2), single(4), rng.integers(-5, 5, 4).astype(np.int8)
nodes.append(h.make_node("Conv", ["x", dequantize("per_channel", q, s, z, axis=0)], ["a"]))
want["per_channel"] = s[:, None, None, None] * (q.astype(np.float32) - z.astype(np.float32)[:, None, None, None])
q, s = u8(6, 5), single(5)
nodes.append(h.make_node("MatMul", ["x", dequantize("columns", q, s)], ["b"]))      # axis 1 by default
want["columns"] = s * q.astype(np.float32)
q, s, z = u8(6, 5), single(), np.uint8(100)
nodes.append(h.make_node("Gemm", ["x", dequantize("whole", q, s, z, axis=0)], ["c"], transB=1))
want["whole"] = s * (q.astype(np.float32) - np.float32(100))
q, s = i8(6, 5), single(2, 5)
nodes.append(h.make_node("MatMul", ["x", dequantize("blocked", q, s, axis=0, block_size=4)], ["d"]))
want["blocked"] = s.repeat([4, 2], 0) * q.astype(np.float32)
q, s, z = i8(4, 3, 1, 1), single(4), np.zeros(4, np.int8)
nodes.append(h.make_node("QLinearConv", ["x", add("xs", single()), add("xz", np.uint8(3)), add("qconv", q), add("qconv_s", s), add("qconv_z", z),
                                         "ys", "yz"], ["e"]))
want["qconv"] = s[:, None, None, None] * q.astype(np.float32)
nodes.append(h.make_node("DequantizeLinear", ["b", add("act_s", single()), add("act_z", np.uint8(9))], ["f"]))    # of an activation
bias = np.arange(4, dtype=np.int32)
nodes.append(h.make_node("DequantizeLinear", [add("bias", bias), add("bias_s", single())], ["g"]))
q, s = i8(6, 5), single(4)
nodes.append(h.make_node("MatMul", ["x", dequantize("misfit", q, s, axis=0)], ["i"]))
m = h.make_model(h.make_graph(nodes, "g", [], [], init))
open(os.path.join(here, "qdq.onnx"), "wb").write(m.SerializeToString())
save("qdq_want.safetensors", want)
