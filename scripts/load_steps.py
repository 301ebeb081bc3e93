#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that `quantscope init MODEL --out steps.json` found, as the start of a plain PyTorch LSQ module. Needs torch only.

    import load_steps
    lsq = load_steps.load("steps.json")            # {tensor name: LSQ}
    load_steps.attach(net, "steps.json")           # net.conv1.weight is quantized from now on, its step is learned

LSQ(entry)(w) gives the values `quantscope quantize` writes, bit for bit: float32, u = (w - offset) / step, the nearest level,
level * step + offset. The gradient of the step is that of Esser et al. 2020 (arXiv 1902.08153), scaled by 1 / sqrt(N high).
"""
import json, math, sys
import torch
from torch.nn.utils import parametrize


class Nearest(torch.autograd.Function):
    """u to the nearest of its levels; the gradient goes through (clamping is done before)."""

    @staticmethod
    def forward(ctx, u, entry):
        if "codebook" in entry:
            t = torch.tensor(entry["thresholds"], device=u.device)
            up = torch.tensor(entry["tie_goes_up"] + [False], device=u.device)
            k = torch.bucketize(u, t)
            k = k + ((u == torch.cat([t, t.new_tensor([math.inf])])[k]) & up[k])
            return torch.tensor(entry["codebook"], device=u.device)[k]
        if entry["ties"] == "even":
            return torch.round(u)
        return torch.trunc(u) + torch.sign(u) * ((u - torch.trunc(u)).abs() >= 0.5)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class LSQ(torch.nn.Module):
    def __init__(self, entry):
        super().__init__()
        if "codebook" in entry and ("zero_points" in entry or min(entry["steps"]) < 0):
            raise ValueError("%s: %s: a codebook that is shifted or mirrored is not known here" % (entry["tensor"], entry["format"]))
        if entry["granularity"] == "group" and entry["axis"] != 0:
            raise ValueError("%s: groups along another axis than PyTorch's inputs are not known here" % entry["tensor"])
        self.entry = entry
        self.step = torch.nn.Parameter(torch.tensor(entry["steps"], dtype=torch.float32))
        offset = torch.tensor(entry.get("offsets", [0.0]), dtype=torch.float32)
        self.offset = torch.nn.Parameter(offset) if "offsets" in entry else None
        book = entry.get("codebook", [entry.get("low"), entry.get("high")])
        z = torch.tensor(entry.get("zero_points", [0]), dtype=torch.float32)
        mirrored = self.step.detach() < 0
        self.register_buffer("low", torch.where(mirrored, -book[-1] - z, book[0] - z))
        self.register_buffer("high", torch.where(mirrored, -book[0] - z, book[-1] - z))
        self.qp = max(book[-1], 1e-9)

    def spread(self, v, w):
        """One number a channel or group, shaped so that it meets its values in w."""
        e = self.entry
        if v.numel() == 1 and e["granularity"] != "group":
            return v.reshape(())
        if e["granularity"] == "channel":
            return v.reshape([-1 if i == e["axis"] else 1 for i in range(w.dim())])
        groups = math.ceil(w[0].numel() / e["group"])
        return v.reshape(-1, groups).repeat_interleave(e["group"], 1)[:, :w[0].numel()].reshape(w.shape)

    def forward(self, w):
        step = self.step.view_as(self.step)
        if step.requires_grad:
            step.register_hook(lambda g, scale=1 / math.sqrt(w.numel() / self.step.numel() * self.qp): g * scale)
        s = self.spread(step.abs(), w)
        beta = self.spread(self.offset, w) if self.offset is not None else None
        u = (w - beta if beta is not None else w) / s
        u = torch.minimum(torch.maximum(u, self.spread(self.low.expand_as(self.step), w)), self.spread(self.high.expand_as(self.step), w))
        y = Nearest.apply(u, self.entry) * s
        return y + beta if beta is not None else y


def load(path):
    with open(path, encoding="utf-8") as f:
        return {e["tensor"]: LSQ(e) for e in json.load(f)["tensors"]}


def attach(net, path):
    """Puts each LSQ on the parameter of its name; returns {name: LSQ}. KeyError where the net has no such parameter."""
    known, found = dict(net.named_parameters()), load(path)
    for name, lsq in found.items():
        if name not in known:
            raise KeyError("the net has no parameter %s" % name)
        owner, _, leaf = name.rpartition(".")
        parametrize.register_parametrization(net.get_submodule(owner), leaf, lsq.to(known[name].device))
    return found


if __name__ == "__main__":
    for name, lsq in load(sys.argv[1]).items():
        print(name, lsq.entry["format"], lsq.entry["init"], "%d steps" % lsq.step.numel())
