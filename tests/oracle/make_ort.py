#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden codes from ONNX Runtime's QuantizeLinear.

    make_ort.py models DIR     writes DIR/caseN.onnx (opset 21, the inputs as initializers)
    node make_ort.js DIR       runs them with onnxruntime-node 1.30.0 (npm install --ignore-scripts)
    make_ort.py golden DIR     turns what it wrote into golden/ort.safetensors and golden/ort.lua
"""
import json
import os
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import golden

INT4, UINT4, E4M3, E5M2 = 22, 21, 17, 19       # element types newer than Debian's onnx
KINDS = {  # format: element type, dtype of its codes, code range
    "int8": (TensorProto.INT8, np.int8, -128, 127), "uint8+zp": (TensorProto.UINT8, np.uint8, 0, 255),
    "uint8": (TensorProto.UINT8, np.uint8, 0, 255), "int16": (TensorProto.INT16, np.int16, -32768, 32767),
    "int4": (INT4, None, -8, 7), "uint4+zp": (UINT4, None, 0, 15),
    "fp8e4m3": (E4M3, None, 0, 0), "fp8e5m2": (E5M2, None, 0, 0),
}


def cases():
    rng = np.random.default_rng(13)

    def mixed(s, lo, hi, n=1200):
        """Ties, their neighbours, and values all over and beyond the range."""
        k = rng.integers(lo - 2, hi + 3, n // 2) + .5
        x = (np.float32(k) * np.float32(s)).view(np.int32) + rng.integers(-1, 2, n // 2).astype(np.int32)
        return np.concatenate([x.view(np.float32), np.float32(rng.normal(size=n - n // 2) * s * (hi - lo) / 3)])

    out = []
    for fmt, s, z in (("int8", .25, 0), ("int8", .0173, 0), ("uint8", .5, 0), ("uint8", .031, 0),
                      ("uint8+zp", .125, 128),
                      ("uint8+zp", .0477, 31), ("int16", .0003, 0), ("int4", .5, 0), ("int4", .37, 0), ("uint4+zp",
                          .25, 5), ("uint4+zp", .3, 9)):
        lo, hi = KINDS[fmt][2:]
        out.append({"format": fmt, "x": mixed(s, lo - z, hi - z), "scale": np.float32([s]), "zp": z, "axis": None})
    for axis, shape in ((0, (6, 50)), (1, (40, 7))):
        out.append({"format": "int8", "x": np.float32(rng.normal(size=shape)),
                    "scale": np.float32(rng.uniform(.003, .02, shape[axis])),
                    "zp": 0, "axis": axis})
    for fmt in ("fp8e4m3", "fp8e5m2"):
        x = np.concatenate([np.float32(rng.normal(size=500) * 2.0 ** rng.integers(-18, 12, 500)),
                            np.float32(rng.integers(-300, 300, 300) * 2.0 ** rng.integers(-12, 3, 300))])
        out.append({"format": fmt, "x": x, "scale": np.float32([1]), "zp": 0, "axis": None})
    return out


def models(folder):
    os.makedirs(folder, exist_ok=True)
    for i, c in enumerate(cases()):
        kind = KINDS[c["format"]][0]
        zp = TensorProto(name="z", data_type=kind, dims=[] if len(c["scale"]) == 1 else [len(c["scale"])])
        if c["format"].startswith("fp8"):
            zp.raw_data = b"\0"
        elif KINDS[c["format"]][1] is None:
            zp.raw_data = bytes([c["zp"]])
        else:
            zp.raw_data = np.full(len(c["scale"]), c["zp"], KINDS[c["format"]][1]).tobytes()
        scale = c["scale"] if len(c["scale"]) > 1 else c["scale"].reshape(())
        init = [numpy_helper.from_array(c["x"], "x"), numpy_helper.from_array(scale, "s"), zp]
        axis = {} if c["axis"] is None else {"axis": c["axis"]}
        nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **axis),
                 helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **axis)]
        graph = helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT,
            list(c["x"].shape))], init)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        with open(os.path.join(folder, "case%d.onnx" % i), "wb") as f:
            f.write(model.SerializeToString())


def collect(folder):
    tensors, rows = {}, []
    with open(os.path.join(folder, "version.json"), encoding="utf-8") as f:
        version = json.load(f)
    for i, c in enumerate(cases()):
        y = np.fromfile(os.path.join(folder, "case%d.f32" % i), "<f4").reshape(c["x"].shape)
        tensors["x%d" % i], tensors["value%d" % i] = c["x"], y
        fmt = c["format"] if c["axis"] is None else "%s@channel%d" % (c["format"], c["axis"])
        row = {"case": i, "format": fmt, "steps": c["scale"].astype(float).tolist(), "runtime": version}
        if "zp" in fmt:
            row["zp"] = c["zp"]
        if not fmt.startswith("fp8"):
            view = [1] * c["x"].ndim
            if c["axis"] is not None:
                view[c["axis"]] = -1
            tensors["code%d" % i] = np.rint(y.astype(np.float64) / c["scale"].reshape(view)).astype(np.int32) + c["zp"]
        rows.append(row)
    golden.save_tensors("ort", tensors)
    golden.save_rows("ort", "make_ort.py", rows)


{"models": models, "golden": collect}[sys.argv[1]](sys.argv[2])
