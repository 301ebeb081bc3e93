#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes onnx_testdata.txt: what python3-onnx reads from every file of Debian's libonnx-testdata.

A line a folder: a CRC-32 of the names, types, shapes and values (as doubles) of all tensors of its files, and the
folder. Run it where python3-onnx, python3-numpy and libonnx-testdata are installed:
    tests/golden/onnx_testdata.py > tests/golden/onnx_testdata.txt
"""
import os
import sys
import zlib

import numpy as np
import onnx
from onnx import TensorProto as T, numpy_helper

DATA = "/usr/share/libonnx-testdata/data"
NAMES = {T.FLOAT: "F32", T.DOUBLE: "F64", T.FLOAT16: "F16", T.BFLOAT16: "BF16", T.INT8: "I8", T.INT16: "I16",
         T.INT32: "I32", T.INT64: "I64", T.UINT8: "U8", T.UINT16: "U16", T.UINT32: "U32", T.UINT64: "U64", T.BOOL: "BOOL"}


def tensor_lines(name, proto):
    """The header line and the bytes of the values."""
    kind = NAMES.get(proto.data_type)
    shape = "[" + ",".join(str(d) for d in proto.dims) + "]"
    yield f"{name} {kind or T.DataType.Name(proto.data_type)} {shape}\n".encode()
    if not kind:
        return
    values = numpy_helper.to_array(proto).astype(np.float64).ravel()
    bad = np.isnan(values)
    if not bad.any():
        yield values.astype("<f8").tobytes()
        return
    for x, nan in zip(values, bad):
        yield b"nan" if nan else np.array(x, "<f8").tobytes()


def constants(node):
    name = node.output[0]
    for a in node.attribute:
        if a.name == "value":
            yield name, a.t
        elif a.name == "value_int":
            yield name, onnx.helper.make_tensor(name, T.INT64, [], [a.i])
        else:
            sys.exit(f"a Constant with {a.name}: teach this script")


def weights(graph):
    """Initializers, then Constant nodes and sub-graphs in the order of the nodes."""
    for t in graph.initializer:
        yield t.name, t
    for node in graph.node:
        if node.op_type == "Constant":
            yield from constants(node)
            continue
        for a in node.attribute:
            if a.HasField("g"):
                yield from weights(a.g)
            for g in a.graphs:
                yield from weights(g)


def file_tensors(path):
    if path.endswith(".onnx"):
        yield from weights(onnx.load(path).graph)
        return
    t = T()
    with open(path, "rb") as f:
        t.ParseFromString(f.read())
    yield t.name or os.path.basename(path), t


def is_tensor(path, model):
    """The .pb files of inputs and outputs that the model declares as something else hold no tensor."""
    kind, number = os.path.basename(path)[:-3].rsplit("_", 1)
    values = model.graph.input if kind == "input" else model.graph.output
    return values[int(number)].type.WhichOneof("value") in ("tensor_type", None)


def crc_file(crc, path, models):
    folder = os.path.dirname(path)
    up = os.path.dirname(folder)
    model = models.get(up)
    if path.endswith(".pb") and model and not is_tensor(path, model):
        return zlib.crc32(b"refused\n", crc)
    seen = set()
    for name, proto in file_tensors(path):
        if name in seen:
            sys.exit(f"{path}: {name} twice: teach this script")
        seen.add(name)
        for part in tensor_lines(name, proto):
            crc = zlib.crc32(part, crc)
    return zlib.crc32(b"\n", crc)


def walk(folder, models):
    names = sorted(os.listdir(folder), key=os.fsencode)
    files = [os.path.join(folder, n) for n in names if n.endswith((".onnx", ".pb"))]
    if os.path.exists(os.path.join(folder, "model.onnx")):
        models[folder] = onnx.load(os.path.join(folder, "model.onnx"))
    crc = 0
    for path in files:
        crc = crc_file(crc, path, models)
    if files:
        print(f"{crc:08x} {os.path.relpath(folder, DATA)}")
    for n in names:
        if os.path.isdir(os.path.join(folder, n)):
            walk(os.path.join(folder, n), models)


walk(DATA, {})
