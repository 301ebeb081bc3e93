#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes onnx/: small models for t_onnx, made with python3-onnx. Weights count 0, 1, 2 ... in C order, scaled by 1/8."""
import os

import numpy as np
from onnx import TensorProto as T, helper as h, numpy_helper

folder = os.path.join(os.path.dirname(__file__), "onnx")


def save(name, proto):
    with open(os.path.join(folder, name + ".onnx"), "wb") as f:
        f.write(proto.SerializeToString())


def model(nodes, initializers):
    return h.make_model(h.make_graph(nodes, "g", [], [], initializers))


def count(name, *shape, dtype=np.float32):
    n = int(np.prod(shape))
    return numpy_helper.from_array((np.arange(n) / 8).astype(dtype).reshape(shape), name)


def typed(name, kind, values, shape=None):
    return h.make_tensor(name, kind, shape or [len(values)], values)


# Axes from the node that uses the tensor.
save("axes", model([
    h.make_node("Conv", ["x", "conv"], ["a"]),
    h.make_node("ConvTranspose", ["a", "deconv"], ["b"]),
    h.make_node("MatMul", ["b", "right"], ["c"]),
    h.make_node("MatMul", ["left", "b"], ["d"]),
    h.make_node("MatMul", ["b", "batched"], ["d2"]),
    h.make_node("Gemm", ["b", "gemm"], ["e"]),
    h.make_node("Gemm", ["b", "gemm_t"], ["f"], transB=1),
    h.make_node("LSTM", ["b", "lstm_w", "lstm_r"], ["g"]),
    h.make_node("Gather", ["table", "ids"], ["h"]),
    h.make_node("Transpose", ["turned"], ["turned_t"], perm=[1, 0]),
    h.make_node("Identity", ["turned_t"], ["turned_i"]),
    h.make_node("MatMul", ["b", "turned_i"], ["i"]),
    h.make_node("DequantizeLinear", ["codes", "scale"], ["codes_f"]),
    h.make_node("MatMul", ["b", "codes_f"], ["j"]),
    h.make_node("MatMul", ["b", "shared"], ["k"]),
    h.make_node("Gemm", ["b", "shared"], ["l"], transB=1),
    h.make_node("MatMul", ["b", "twice"], ["m"]),
    h.make_node("Gemm", ["b", "twice"], ["n"]),
    h.make_node("Constant", [], ["added"], value_ints=[0]),
    h.make_node("Unsqueeze", ["torch_w", "added"], ["torch_w3"]),
    h.make_node("LSTM", ["b", "torch_w3", "lstm_r"], ["o"]),
    h.make_node("Add", ["b", "alone"], ["p"]),
], [
    count("conv", 4, 3, 2, 2), count("deconv", 3, 4, 2, 2), count("right", 3, 5), count("left", 5, 3),
    count("batched", 2, 3, 5), count("gemm", 3, 5), count("gemm_t", 5, 3), count("lstm_w", 1, 8, 3),
    count("lstm_r", 1, 8, 2), count("table", 10, 4), count("turned", 5, 3),
    typed("codes", T.INT8, list(range(6)), [2, 3]), typed("scale", T.FLOAT, [0.5], []),
    count("shared", 4, 4), count("twice", 3, 5), count("torch_w", 8, 3), count("alone", 2, 2),
]))

# Where data can stand, and every type.
kinds = [(T.FLOAT, [1.5, -2]), (T.UINT8, [1, 255]), (T.INT8, [1, -128]), (T.UINT16, [1, 65535]), (T.INT16, [1, -32768]),
         (T.INT32, [1, -2**31]), (T.INT64, [1, -2**63]), (T.BOOL, [1, 0]), (T.FLOAT16, [1.5, -2]), (T.DOUBLE, [1.5, -2]),
         (T.UINT32, [1, 2**32 - 1]), (T.UINT64, [1, 2**64 - 1]), (T.STRING, [b"a", b"b"]), (T.COMPLEX64, [1 + 2j, 3j])]
protos = [typed(T.DataType.Name(k).lower(), k, v) for k, v in kinds]
bf16 = T(name="bfloat16", data_type=T.BFLOAT16, dims=[2], int32_data=[0x3FC0, 0xC000])
fp8 = T(name="float8e4m3fn", data_type=17, dims=[2], int32_data=[0x3C, 0xC0])
e5m2 = T(name="float8e5m2", data_type=19, dims=[2], raw_data=bytes([0x3E, 0xC0]))
int4 = T(name="int4", data_type=22, dims=[3], raw_data=bytes([0x21, 0x03]))
odd = T(name="odd", data_type=99, dims=[3])
deep = T(name="deep", data_type=T.FLOAT, dims=[1] * 9, raw_data=bytes(4))
save("types", model([], protos + [bf16, fp8, e5m2, int4, odd, deep]))


def branch(weight):
    inner = h.make_graph([h.make_node("Conv", ["x", weight], ["y"]),
                          h.make_node("Constant", [], ["c"], value=count("", 2, 3))], "b", [],
                         [h.make_tensor_value_info("y", T.FLOAT, None)], [count(weight, 2, 1, 3)])
    return inner


deeper = h.make_graph([h.make_node("If", ["q"], ["z"], then_branch=branch("w"), else_branch=branch("v"), name="inner")],
                      "d", [], [])
save("graphs", model([
    h.make_node("Constant", [], ["c1"], value=count("ignored", 2, 2)),
    h.make_node("Constant", [], ["c2"], value_float=0.5),
    h.make_node("Constant", [], ["c3"], value_floats=[0.5, 1.5]),
    h.make_node("Constant", [], ["c4"], value_int=-3),
    h.make_node("Constant", [], ["c5"], value_ints=[1, 2, 3]),
    h.make_node("Constant", [], ["c6"], value_string="text"),
    h.make_node("If", ["p"], ["y"], then_branch=branch("w"), else_branch=branch("w"), name="choice"),
    h.make_node("Loop", ["n", "p"], ["z"], body=deeper),
    h.make_node("MatMul", ["y", "c1"], ["end"]),
], [count("outer", 2, 2)]))


def external(name, location, **entries):
    t = T(name="w", data_type=T.FLOAT, dims=[2, 3], data_location=T.EXTERNAL)
    for key, value in dict(location=location, **entries).items():
        t.external_data.add(key=key, value=str(value))
    save(name, model([h.make_node("MatMul", ["x", "w"], ["y"])], [t]))


np.arange(16, dtype="<f4").tofile(os.path.join(folder, "external.bin"))
external("external", "external.bin", offset=8, length=24)
external("external_all", "external.bin")
external("external_bad_up", "../onnx/external.bin", length=24)
external("external_bad_root", "/etc/passwd")
external("external_bad_link", "link.bin")
external("external_bad_gone", "gone.bin")
external("external_bad_end", "external.bin", offset=48, length=24)
external("external_bad_huge", "external.bin", offset=2**64 - 8, length=24)
external("external_bad_size", "external.bin", offset=0, length=20)
external("external_bad_number", "external.bin", offset="-8")
external("external_bad_empty", "")

# Damaged on purpose; the name says how.
save("bad_short", model([], [T(name="w", data_type=T.FLOAT, dims=[2, 3], raw_data=bytes(20))]))
save("bad_none", model([], [T(name="w", data_type=T.FLOAT, dims=[2, 3])]))
save("bad_negative", model([], [T(name="w", data_type=T.FLOAT, dims=[2, -3], raw_data=bytes(20))]))
save("bad_overflow", model([], [T(name="w", data_type=T.FLOAT, dims=[2**62, 2**62], raw_data=bytes(20))]))
save("bad_twice", model([], [T(name="w", data_type=T.FLOAT, dims=[1], raw_data=bytes(4), float_data=[1])]))
save("bad_names", model([], [count("w", 2, 2), count("w", 2, 2)]))
save("bad_field", model([], [T(name="w", data_type=T.FLOAT, dims=[1], int32_data=[1])]))
save("bad_range", model([], [T(name="w", data_type=T.INT8, dims=[1], int32_data=[300])]))
