# SPDX-License-Identifier: GPL-3.0-or-later
# For torch.t: has PyTorch write files of every type, layout, format and pickle protocol, and compares what quantscope reads
# from them (saved as safetensors by the program, read here) with the tensors themselves, value for value.
import argparse
import collections
import struct
import subprocess
import sys
import json

import torch

program = sys.argv[1]
torch.manual_seed(1)
TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def of_type(d):
    x = torch.randn(5, 7) * 50
    return x > 0 if d == torch.bool else x.abs().to(d) if d == torch.uint8 else x.to(d)


net = collections.OrderedDict(("type." + str(d).split(".")[1], of_type(d)) for d in TYPES)
base = torch.randn(4, 6, 8)
net["shared.first"] = base[1]
net["shared.sliced"] = base[:, 2:5, ::2]
net["permuted"] = base.permute(2, 0, 1)
net["channels_last"] = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
net["expanded"] = torch.randn(3, 1).expand(3, 9)
net["scalar"] = torch.tensor(3.5)
net["empty"] = torch.zeros(0, 4)
net["parameter"] = torch.nn.Parameter(torch.randn(3, 3))
net["tied"] = net["parameter"]
net["half.turned"] = torch.randn(6, 4).to(torch.bfloat16).t()

NAMES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
         "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}


def saved(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    out = {}
    for name, e in json.loads(raw[8:8 + n]).items():
        if name == "__metadata__":
            continue
        a, b = e["data_offsets"]
        d = NAMES[e["dtype"]]
        out[name] = torch.frombuffer(bytearray(raw[8 + n + a:8 + n + b]), dtype=d).reshape(e["shape"]) if b > a else torch.zeros(e["shape"], dtype=d)
    return out


def read(path):
    lua = f"local qs = require 'quantscope'; local m = assert(qs.load('{path}')); assert(qs.save('read.safetensors', m))"
    r = subprocess.run([program, "-e", lua], capture_output=True, text=True)
    return saved("read.safetensors") if r.returncode == 0 else {}, r.stderr.strip()


def check(what, path, want):
    got, said = read(path)
    same = got.keys() == want.keys() and all(got[k].dtype == want[k].dtype and torch.equal(got[k], want[k].detach()) for k in want)
    print(("ok" if same else "not ok"), "-", what, said)


# Quantized tensors are the floats they stand for; PyTorch may round the products otherwise.
x = torch.randn(3, 4, 5)
scales, zeros = torch.rand(4, dtype=torch.float64) * .1 + .01, torch.tensor([0, 1, -7, 3])
quantized = {"tensor": torch.quantize_per_tensor(x, .03, 5, torch.qint8), "unsigned": torch.quantize_per_tensor(x, .03, 128, torch.quint8),
             "channel": torch.quantize_per_channel(x, scales, zeros, 1, torch.qint8), "turned": torch.quantize_per_tensor(x, .1, 0, torch.qint8).permute(2, 0, 1),
             "floats": torch.quantize_per_channel(x[0], scales.float(), torch.tensor([.5, 1, 2, 120]), 0, torch.quint8),
             "parameter": torch.nn.Parameter(torch.quantize_per_tensor(x, .03, 5, torch.qint8), requires_grad=False)}
for new in (True, False):
    torch.save(quantized, "quantized.pt", _use_new_zipfile_serialization=new)
    got, said = read("quantized.pt")
    good = got.keys() == quantized.keys() and all(torch.allclose(got[k], v.dequantize(), rtol=1e-6, atol=1e-6) for k, v in quantized.items())
    print("ok" if good else "not ok", "-", "zip:" if new else "legacy:", "quantized tensors, with their scales and zero points", said)

for new in (True, False):
    kind = "zip" if new else "legacy"
    for protocol in (2, 3, 4, 5):
        torch.save(net, "net.pt", _use_new_zipfile_serialization=new, pickle_protocol=protocol)
        check(f"{kind}, protocol {protocol}: {len(net)} tensors read back equal", "net.pt", net)
    everything = {"epoch": 3, "model_state_dict": net, "args": argparse.Namespace(lr=0.1), "shape": net["scalar"].shape, "device": torch.device("cpu"),
                  "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}}
    torch.save(everything, "net.pth", _use_new_zipfile_serialization=new)
    check(f"{kind}: the weights in a checkpoint", "net.pth", net)
    nested = {"layers": [torch.ones(2, 2), {"bias": torch.zeros(3)}], 7: torch.eye(2)}
    torch.save(nested, "nested.th", _use_new_zipfile_serialization=new)
    check(f"{kind}: nested", "nested.th", {"layers.0": nested["layers"][0], "layers.1.bias": nested["layers"][1]["bias"], "7": nested[7]})
    torch.save(torch.nn.Linear(2, 3), "module.pt", _use_new_zipfile_serialization=new)
    r = subprocess.run([program, "list", "module.pt"], capture_output=True, text=True)
    print("ok" if r.returncode == 3 and "torch.nn.modules.linear.Linear" in r.stderr else "not ok", "-", kind, "a module is refused by the name of its class")
