#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the small valid files in corpus/torch, corpus/npz and corpus/index (packages: python3-torch, python3-numpy).
# They are kept, so that fuzzing needs neither; the readers' own tests cut and change them too.
import collections
import json
import os
import struct

import numpy as np
import torch

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def at(kind, name):
    os.makedirs(os.path.join(here, kind), exist_ok=True)
    return os.path.join(here, kind, name)


def values(*shape):
    return torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape) / 8 - 1


base = values(2, 3)
net = collections.OrderedDict(weight=values(3, 2), turned=base.t(), part=base[:, 1:], same=base)
net["half"] = values(2, 2).to(torch.bfloat16)
checkpoint = {"epoch": 7, "optimizer": {"lr": 0.1, "m": [values(2)]}, "state_dict": {"w": torch.nn.Parameter(values(2, 2))}}
quantized = {"q": torch.quantize_per_tensor(values(2, 2), 0.1, 0, torch.qint8),
             "p": torch.quantize_per_channel(values(2, 2), torch.tensor([.5, 1]), torch.tensor([1, 2]), 1, torch.quint8),
             "c": torch.zeros(1, dtype=torch.complex64)}
for name, what, new, protocol in [
        ("zip.pt", net, True, 2), ("zip4.pt", net, True, 4), ("old.pt", net, False, 2), ("old4.pt", net, False, 4),
        ("checkpoint.pt", checkpoint, True, 2), ("checkpoint_old.pt", checkpoint, False, 2), ("quantized.pt", quantized, False, 2)]:
    torch.save(what, at("torch", name), _use_new_zipfile_serialization=new, pickle_protocol=protocol)

arrays = {"weight": np.arange(6, dtype="<f4").reshape(2, 3), "fortran": np.asfortranarray(np.eye(2, dtype="<f8")), "names": np.array(["a", "b"])}
np.savez(at("npz", "stored.npz"), **arrays)
np.savez_compressed(at("npz", "deflated.npz"), **arrays)


def safetensors(path, tensors):
    head, data = {}, b""
    for name, x in tensors.items():
        head[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [len(data), len(data) + x.nbytes]}
        data += x.tobytes()
    text = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


# A Hugging Face folder: two shards, the index, and what the network is.
one, two = {"a.weight": arrays["weight"]}, {"b.weight": arrays["weight"] + 1, "b.bias": arrays["weight"][0]}
shards = {"model-00001-of-00002.safetensors": one, "model-00002-of-00002.safetensors": two}
for shard, tensors in shards.items():
    safetensors(at("index", shard), tensors)
names = {name: shard for shard, tensors in shards.items() for name in tensors}
with open(at("index", "model.safetensors.index.json"), "w") as f:
    json.dump({"metadata": {"total_size": 60}, "weight_map": names}, f, indent=1)
with open(at("index", "config.json"), "w") as f:
    json.dump({"architectures": ["TinyForCausalLM"], "model_type": "tiny"}, f)
