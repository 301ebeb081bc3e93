#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small valid files in corpus/: safetensors, npy, onnx, joined, importance, format, filter, cell, race. Needs Python only.

Files called bad-... were found by fuzzing and are refused; they are kept by hand.
"""
import json
import os
import struct

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def put(kind, name, data):
    os.makedirs(os.path.join(here, kind), exist_ok=True)
    with open(os.path.join(here, kind, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def size(shape):
    n = 1
    for d in shape:
        n *= d
    return n


# ---- safetensors: name -> (dtype, shape, bytes) ----------------------------------------------------
WIDTH = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1}


def safetensors(tensors, meta=None):
    head, data = ({"__metadata__": meta} if meta else {}), b""
    for name, (dtype, shape, raw) in sorted(tensors.items(), key=lambda x: -WIDTH.get(x[1][0], 0)):
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def some(dtype, *shape):
    n = size(shape)
    if dtype == "F32":
        return dtype, list(shape), struct.pack("<%df" % n, *((i % 7 + 1) / 8 for i in range(n)))
    if dtype == "F16":
        return dtype, list(shape), struct.pack("<%de" % n, *((i % 7 + 1) / 8 for i in range(n)))
    return dtype, list(shape), bytes((37 * i + 11) % 251 for i in range(n * WIDTH[dtype]))


put("safetensors", "empty.safetensors", safetensors({}))
put("safetensors", "types.safetensors", safetensors({d.lower(): some(d, 2, 3) for d in WIDTH}))
put("safetensors", "shapes.safetensors", safetensors({"scalar": some("F32"), "none": some("F32", 0, 4), "deep": some("I8", 1, 2, 1, 2, 1, 2, 1, 2),
                                                      "odd": ("F4", [2, 2], bytes(2))}, {"format": "pt"}))

# ---- codes with scales: every layout there is a rule for --------------------------------------------
i32 = lambda *values: ("I32", [len(values)], struct.pack("<%di" % len(values), *values))
put("joined", "gptq.safetensors", safetensors({"a.qweight": some("I32", 4, 8), "a.qzeros": some("I32", 2, 1), "a.scales": some("F16", 2, 8),
                                               "a.g_idx": i32(*(i // 16 for i in range(32)))}))
put("joined", "gptq3.safetensors", safetensors({"a.qweight": some("I32", 3, 32), "a.qzeros": some("I32", 1, 3), "a.scales": some("F16", 1, 32)}))
put("joined", "awq.safetensors", safetensors({"a.qweight": some("I32", 16, 1), "a.qzeros": some("I32", 2, 1), "a.scales": some("F16", 2, 8)}))
put("joined", "compressed.safetensors", safetensors({"a.weight_packed": some("I32", 3, 2), "a.weight_scale": some("F32", 3, 2),
                                                     "a.weight_shape": ("I64", [2], struct.pack("<qq", 3, 16))}))
put("joined", "scaled.safetensors", safetensors({
    "row.weight": some("I8", 3, 4), "row.weight_scale": some("F32", 3, 1), "all.weight": some("U8", 3, 4), "all.scale": some("F32"),
    "all.zero_point": some("U8"), "bnb.weight": some("I8", 3, 4), "bnb.SCB": some("F32", 3),
    "fp8.weight": some("F8_E4M3", 3, 4), "fp8.weight_scale_inv": some("F32", 1, 1)}))
put("joined", "fp4.safetensors", safetensors({
    "m.weight": some("U8", 2, 8), "m.weight_scale": some("F8_E4M3", 2, 1), "m.weight_scale_2": some("F32"),
    "c.weight_packed": some("U8", 1, 16), "c.weight_scale": some("F8_E4M3", 1, 2), "c.weight_global_scale": some("F32", 1),
    "x.weight_packed": some("U8", 1, 16), "x.weight_scale": some("U8", 1, 1), "o_blocks": some("U8", 1, 2, 1, 16), "o_scales": some("U8", 1, 2, 1)}))
put("joined", "ours.safetensors", safetensors({"a.codes": some("I8", 2, 8), "a.scale": some("F32", 2, 2), "a.zero_point": some("I8", 2, 2)},
                                              {"quantscope.format": "int8+zp@group4"}))
book = {"a.codes": ("U8", [2, 4], bytes([0, 1, 2, 3, 3, 2, 1, 0])), "a.scale": some("F32"),
        "a.codebook": ("F32", [4], struct.pack("<4f", -1, -.25, .25, 1))}
put("joined", "codebook.safetensors", safetensors(book, {"quantscope.format": "codebook(-1;-0.25;0.25;1)"}))

# ---- importance: llama.cpp's older layout; activations of a matrix, of a convolution, and sums with counts -------
word = lambda *values: struct.pack("<%di" % len(values), *values)
entry = lambda name, calls, n: word(len(name)) + name.encode() + word(calls, n) + some("F32", n)[2]
put("importance", "old.dat", word(2) + entry("a.weight", 3, 4) + entry("e.weight", 0, 8) + word(7, 3) + b"set")
put("importance", "sums.safetensors", safetensors({"a.weight.in_sum2": some("F32", 4), "a.weight.counts": some("F32", 1),
                                                   "e.weight.in_sum2": some("F32", 2, 4), "e.weight.counts": some("F32", 2, 1)}))
put("importance", "seen.safetensors", safetensors({"a.weight": some("F32", 3, 4), "c.weight": some("F32", 2, 3, 2, 2)}))


# ---- npy ------------------------------------------------------------------------------------------------
def npy(descr, shape, data, fortran=False, version=1):
    text = "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }" % (descr, fortran, "".join("%d, " % d for d in shape))
    head = text.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(head)) + head + data


for name, descr, shape, width in (("f4", "<f4", (2, 3), 4), ("big", ">f8", (2, 2), 8), ("f2", "<f2", (4,), 2), ("u1", "|u1", (2, 0, 1), 1),
                                  ("b1", "|b1", (), 1), ("i8", "<i8", (1, 1, 2), 8)):
    put("npy", name + ".npy", npy(descr, shape, bytes((29 * i + 3) % 127 for i in range(size(shape) * width))))
put("npy", "fortran.npy", npy("<f4", (2, 3), some("F32", 2, 3)[2], True))
put("npy", "version2.npy", npy("<i2", (3,), bytes(6), version=2))
put("npy", "version3.npy", npy("<i2", (3,), bytes(6), version=3))


# ---- ONNX: protobuf by hand --------------------------------------------------------------------------------
def varint(x):
    out = b""
    x &= (1 << 64) - 1
    while x > 127:
        out, x = out + bytes([x & 127 | 128]), x >> 7
    return out + bytes([x])


def pb(*fields):
    """(number, value): an int is a varint, a float is fixed32, bytes or text have a length."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            value = value if isinstance(value, bytes) else value.encode()
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


FLOAT, UINT8, INT8, INT32, INT64, STRING, FLOAT16, DOUBLE, BFLOAT16, UINT4, INT4, FP4, INT2 = 1, 2, 3, 6, 7, 8, 10, 11, 16, 21, 22, 23, 26


def tensor(name, kind, shape, *payload):
    return pb(*((1, d) for d in shape), (2, kind), *payload, (8, name))


def floats(*shape):
    return some("F32", *shape)[2]


def node(op, inputs, outputs, *attributes):
    return pb(*((1, i) for i in inputs), *((2, o) for o in outputs), (4, op), *((5, a) for a in attributes))


def model(nodes, tensors, *more):
    return pb((1, 8), (7, pb(*((1, n) for n in nodes), (2, "g"), *((5, t) for t in tensors))), *more)


put("onnx", "types.onnx", model([], [
    tensor("raw", FLOAT, [2, 3], (9, floats(2, 3))), tensor("float_data", FLOAT, [2], (4, struct.pack("<2f", 1, 2))),
    tensor("int32_data", INT8, [3], (5, varint(1) + varint(-2) + varint(3))), tensor("int64_data", INT64, [2], (7, varint(5) + varint(-6))),
    tensor("double_data", DOUBLE, [1], (10, struct.pack("<d", .5))), tensor("half", FLOAT16, [2], (5, varint(0x3c00) + varint(0x4000))),
    tensor("bf16", BFLOAT16, [1, 2], (9, bytes(4))), tensor("text", STRING, [1], (6, "abc")), tensor("single", FLOAT, [1], (4, struct.pack("<f", 2)))]))
put("onnx", "nodes.onnx", model([
    node("Conv", ["x", "conv"], ["a"]), node("Transpose", ["turned"], ["t"], pb((1, "perm"), (8, 1), (8, 0))), node("MatMul", ["a", "t"], ["b"]),
    node("Gemm", ["b", "gemm"], ["c"], pb((1, "transB"), (3, 1))), node("Constant", [], ["k"], pb((1, "value"), (5, tensor("", FLOAT, [2], (9, floats(2)))))),
    node("If", ["c"], ["d"], pb((1, "then_branch"), (6, pb((1, node("MatMul", ["x", "inner"], ["y"])), (5, tensor("inner", FLOAT, [1, 2], (9, floats(1, 2))))))))],
    [tensor("conv", FLOAT, [2, 1, 1, 1], (9, floats(2))), tensor("turned", FLOAT, [2, 2], (9, floats(2, 2))), tensor("gemm", FLOAT, [2, 1], (9, floats(2)))],
    (25, pb((1, "f"), (7, node("Gemm", ["b", "w"], ["q"]))))))
put("onnx", "codes.onnx", model([
    node("DequantizeLinear", ["q", "s", "z"], ["w"], pb((1, "axis"), (3, 0))), node("MatMul", ["x", "w"], ["y"]),
    node("DequantizeLinear", ["q2", "s2"], ["w2"], pb((1, "axis"), (3, 0)), pb((1, "block_size"), (3, 2))), node("MatMul", ["y", "w2"], ["y2"])],
    [tensor("q", INT8, [2, 2], (9, bytes(range(4)))), tensor("s", FLOAT, [2], (9, floats(2))), tensor("z", INT8, [2], (9, bytes(2))),
     tensor("q2", UINT8, [3, 2], (9, bytes(range(6)))), tensor("s2", FLOAT, [2, 2], (9, floats(2, 2)))]))
put("onnx", "small.onnx", model([
    node("DequantizeLinear", ["q", "s", "z"], ["w"], pb((1, "axis"), (3, 0))), node("MatMul", ["x", "w"], ["y"]),
    node("DequantizeLinear", ["q2", "s2"], ["w2"], pb((1, "axis"), (3, 1)), pb((1, "block_size"), (3, 2))), node("DequantizeLinear", ["q3", "s3"], ["w3"])],
    [tensor("q", INT4, [3, 3], (9, bytes(range(5)))), tensor("s", FLOAT, [3], (9, floats(3))), tensor("z", INT4, [3], (9, bytes(2))),
     tensor("q2", UINT4, [2, 3], (5, varint(0x12) + varint(0xff) + varint(0x30))), tensor("s2", FLOAT, [2, 2], (9, floats(2, 2))),
     tensor("q3", 5, [2], (9, bytes(4))), tensor("s3", FLOAT, [], (9, floats(1))), tensor("f", FP4, [2], (9, b"\x97")), tensor("i2", INT2, [5], (9, b"\x1b\x02"))]))
put("onnx", "nbits.onnx", model([
    node("MatMulNBits", ["x", "b", "s", "z"], ["y"], *(pb((1, k), (3, v)) for k, v in (("K", 24), ("N", 2), ("bits", 4), ("block_size", 16)))),
    node("GatherBlockQuantized", ["e", "i", "es"], ["u"], pb((1, "block_size"), (3, 16))),
    node("MatMulNBits", ["y", "b8", "s8", "", "g"], ["v"], *(pb((1, k), (3, v)) for k, v in (("K", 16), ("N", 1), ("bits", 8), ("block_size", 16))))],
    [tensor("b", UINT8, [2, 2, 8], (9, bytes(range(32)))), tensor("s", FLOAT, [4], (9, floats(4))), tensor("z", UINT8, [2], (9, b"\x17\x28")),
     tensor("e", UINT8, [2, 8], (9, bytes(range(16)))), tensor("es", FLOAT, [2, 1], (9, floats(2))),
     tensor("b8", UINT8, [1, 1, 16], (9, bytes(range(16)))), tensor("s8", FLOAT, [1], (9, floats(1))), tensor("g", INT32, [16], (5, bytes(15) + varint(7)))]))
put("onnx", "sparse.onnx", pb((7, pb((15, pb((1, tensor("sparse", FLOAT, [2], (9, floats(2)))), (2, tensor("", INT64, [2], (7, varint(0) + varint(3)))), (3, 2), (3, 2))),
                                     (5, tensor("w", FLOAT, [1], (9, floats(1))))))))
put("onnx", "external.onnx", model([], [tensor("w", FLOAT, [2, 2], (13, pb((1, "location"), (2, "codes.onnx"))), (13, pb((1, "offset"), (2, "8"))),
                                                (13, pb((1, "length"), (2, "16"))), (14, 1))]))
put("onnx", "tensor.pb", tensor("alone", FLOAT, [2, 2], (9, floats(2, 2))))

# ---- texts -----------------------------------------------------------------------------------------------------
for name, text in (("int", "int4"), ("channel", "int8:narrow:away@channel1"), ("group", "uint4+zp@group32"), ("offset", "int3:flip+offset@tensor"),
                   ("scale", "int4:scale=f16@group32"), ("e8m0", "fp4:scale=e8m0@group32"), ("pot", "pot4@channel"), ("apot", "uapot4"), ("nf4", "nf4@group64"),
                   ("fp8", "fp8e4m3"), ("book", "codebook(-1;-0.25;0;1e-3;0.5)@group16"), ("ggml", "q4_0"), ("mx", "mxfp4"), ("nv", "nvfp4"), ("int16", "int16")):
    put("format", name, text)
for name, text in (("one", "bits=2"), ("two", "bits=2|3,init=lsq"), ("real", "lr=0.1|1e-300,on=true"), ("all", ""), ("shard", "on=true,bits=4")):
    put("filter", name, text)
put("cell", "key", '{"bits":2,"init":"lsq","lr":0.1,"on":true}')
put("cell", "empty", "{}")
put("cell", "job", '{"cell":"{\\"bits\\":2}","seed":7,"threads":1}\n')
put("cell", "hello", '{"hello":"quantscope 0.1"}\n')
put("cell", "progress", '{"progress":0.5,"text":"epoch 1"}\n')

# ---- a recorded race ---------------------------------------------------------------------------------------------
racer = {"init": "lsq", "steps": 2, "before": .5, "after": .75, "loss": .25, "accuracy_raw": .7, "init_seconds": .1, "seconds": 1, "state": "done",
         "refused": False, "reason": None, "loss_step": [1, 2], "loss_mean": [1, .25], "accuracy_step": [0, 2], "accuracy": [.5, .75],
         "record_step": [0], "oscillating": [None], "quantizer_step": [[.125]]}
other = dict(racer, init="mse", state="not started", refused=True, reason="why", record_step=[], oscillating=[], quantizer_step=[])
about = {"name": "r", "net": "mlp", "set": "digits", "program": "quantscope", "machine": "m", "when": "2026", "seed": 1, "batch": 8, "steps": 2,
         "images": 16, "float": .9, "data": None}
put("race", "two.json", json.dumps({"quantscope race": 1, "about": about, "quantizers": [{"name": "w", "format": "int2", "act": False}],
                                    "racers": [racer, other]}, separators=(",", ":")))
