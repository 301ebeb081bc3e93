#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden training from PyTorch (Debian's python3-torch): gradients of every layer, and whole runs of 20 steps.

qat_layers: nets of one kind of layer each, in double: logits, loss, dL/d input, dL/d parameter, dL/d step, and what batch
normalization keeps. Values lie away from every threshold, so that float32 takes the same branch.
qat_runs: whole LSQ and LSQ+ nets trained in float32 from given weights, batches and order: the loss of every step and
where steps, offsets and weights end. One value that rounds to the other level moves such a loss by more than all errors
of float32, and from there two runs part. So a run is drawn again until none of its values, in any of its steps, comes
near a threshold; then every correct float32 implementation takes the same branches, and the run in double agrees.

A net is a list of rows as qs_net_add takes them; t_oracle_qat.c builds it from the same rows. Images are (n, h, w, c) in
the files and (n, c, h, w) in here.
"""
import json
import os
import zlib

import numpy as np
import torch
from torch.nn import functional as F

import golden


# ---- quantizers ----------------------------------------------------------------------------------------------------

def bounds(fmt):
    base = fmt.split("+")[0].split("@")[0]
    bits = int(base.lstrip("uint"))
    return (0, 2 ** bits - 1) if base[0] == "u" else (-2 ** (bits - 1), 2 ** (bits - 1) - 1)


def scaled(s, factor):
    """s, and a gradient times factor; the value is untouched to the last bit."""
    y = s * factor
    return s.detach() + (y - y.detach())


def ste_round(v):
    return v + (v.round() - v).detach() if v.dtype == torch.float64 else Round.apply(v)


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        return v.round()

    @staticmethod
    def backward(ctx, g):
        return g


class Site:
    """A place where values are quantized: its format, its learnable step and offset."""

    def __init__(self, row, dtype):
        self.row, self.dtype = row, dtype
        self.lo, self.hi = bounds(row["format"])
        self.channel = "@channel" in row["format"]
        self.step = torch.tensor(row["step"], dtype=dtype).reshape(-1).requires_grad_()
        self.offset = None
        if "offset" in row:
            self.offset = torch.tensor([row["offset"]], dtype=dtype).requires_grad_()
        self.near = np.inf   # least distance of any value from a threshold, in steps

    def factor(self, x):
        """1 / sqrt(N Qp): N counts the elements that share the step; of an image (paper), of the batch (batch)."""
        n = x.numel() / (len(self.step) if self.channel else 1)
        if self.row["act"] and self.row["gscale"] == "paper":
            n /= x.shape[0]
        return 1.0 if self.row["gscale"] == "none" else (n * self.hi) ** -.5

    def look(self, x):
        """Remembers how near a value came to where its code changes or its mask ends, as a part of its size."""
        s = self.step.detach().reshape(-1, *[1] * (x.dim() - 1)) if self.channel else self.step.detach()
        v = (x - (0 if self.offset is None else self.offset.detach())) / s
        d = torch.minimum((v - torch.floor(v) - .5).abs(), (v - self.hi).abs())
        d = torch.where(v == self.lo, torch.inf, torch.minimum(d, (v - self.lo).abs()))   # behind a ReLU: exactly 0
        self.near = min(self.near, (d / v.abs().clamp(min=1)).min().item())

    def __call__(self, x):
        factor = self.factor(x)
        self.look(x.detach())
        if self.row["mask"] == "code":
            return torch._fake_quantize_learnable_per_tensor_affine(x, self.step, torch.zeros(1), self.lo, self.hi, factor)
        s = scaled(self.step, factor)
        if self.channel:
            s = s.reshape(-1, *[1] * (x.dim() - 1))
        b = 0 if self.offset is None else scaled(self.offset, factor)
        v = (x - b) / s
        if self.row["mask"] == "clamp":
            return ste_round(torch.clamp(v, self.lo, self.hi)) * s + b
        inside = (v > self.lo) & (v < self.hi)
        return torch.where(inside, ste_round(v), v.detach().clamp(self.lo, self.hi)) * s + b


# ---- nets ------------------------------------------------------------------------------------------------------------

def pad_channels(x, r):
    x = x[:, :, ::r.get("stride", 1), ::r.get("stride", 1)]
    more = r["out"] - x.shape[1]
    return F.pad(x, (0, 0, 0, 0, more // 2, more - more // 2))


def batchnorm(x, r, p):
    n = r["name"]
    return F.batch_norm(x, p[n + ".running_mean"], p[n + ".running_var"], p[n + ".weight"], p[n + ".bias"], True, .1, 1e-5)


SIMPLE = {
    "relu": lambda x, r: F.relu(x),
    "relu6": lambda x, r: F.relu6(x),
    "silu": lambda x, r: F.silu(x),
    "maxpool": lambda x, r: F.max_pool2d(x, r["kernel"], r.get("stride", r["kernel"]), r.get("pad", 0)),
    "avgpool": lambda x, r: F.avg_pool2d(x, r["kernel"], r.get("stride", r["kernel"]), r.get("pad", 0)),
    "globalpool": lambda x, r: x.mean((2, 3), keepdim=True),
    "flatten": lambda x, r: x.flatten(1),
    "shortcut": pad_channels,
}


def forward(rows, p, sites, x):
    """Logits. p: parameters by name; sites: quantizers by name ("conv2.weight", "conv2.input")."""
    node = [x]
    for r in rows:
        a = node[r.get("in", -1)]
        if r["op"] in ("conv", "linear"):
            w, bias = p[r["name"] + ".weight"], p.get(r["name"] + ".bias")
            a = sites[r["name"] + ".input"](a) if r["name"] + ".input" in sites else a
            w = sites[r["name"] + ".weight"](w) if r["name"] + ".weight" in sites else w
            if r["op"] == "conv":
                node.append(F.conv2d(a, w, bias, r.get("stride", 1), r.get("pad", 0), 1, r.get("groups", 1)))
            else:
                node.append(F.linear(a.flatten(1), w, bias))
        elif r["op"] == "batchnorm":
            node.append(batchnorm(a, r, p))
        elif r["op"] == "add":
            node.append(a + node[r["in2"]])
        else:
            node.append(SIMPLE[r["op"]](a, r))
    return node[-1]


def formula(size):
    """Weights that need no file: t_oracle_qat.c has the same line."""
    return (np.float32(np.arange(np.prod(size)) * 7919 % 257) - 128).reshape(size) / 512


def make_params(rows, shape, rng):
    """Parameters as float32 by name, weights after He, batch normalization and biases a little off their usual start."""
    p, x = {}, [torch.zeros(2, *shape)]
    for r in rows:
        a, n = x[r.get("in", -1)], r["name"]
        if r["op"] == "conv":
            size = (r["out"], a.shape[1] // r.get("groups", 1), r["kernel"], r["kernel"])
        elif r["op"] == "linear":
            size = (r["out"], a[0].numel())
        if r["op"] in ("conv", "linear"):
            p[n + ".weight"] = np.float32(rng.normal(size=size) * (2 / np.prod(size[1:])) ** .5)
            if r.get("formula"):
                p[n + ".weight"] = formula(size)
            if not r.get("no_bias"):
                p[n + ".bias"] = np.float32(rng.normal(size=size[0]) * .1)
        if r["op"] == "batchnorm":
            c = a.shape[1]
            p[n + ".weight"] = np.float32(rng.uniform(.7, 1.3, c))
            p[n + ".bias"] = np.float32(rng.normal(size=c) * .2)
            p[n + ".running_mean"], p[n + ".running_var"] = np.zeros(c, np.float32), np.ones(c, np.float32)
        x.append(forward([{**r, "in": -1, **({"in2": 0} if r["op"] == "add" else {})}],
                         {k: torch.tensor(v) for k, v in p.items()}, {}, a).detach())
    return p


def tensors_of(p, dtype):
    out = {}
    for name, v in p.items():
        out[name] = torch.tensor(v, dtype=dtype)
        if "running" not in name:
            out[name].requires_grad_()
    return out


def images(x):
    """(n, c, h, w) as the files have it."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def site(node, act, fmt, mask="paper", learn="lsq", gscale="paper", **more):
    return {"node": node, "act": act, "format": fmt, "learn": learn, "mask": mask, "gscale": gscale, **more}


def site_name(s):
    return s["node"] + (".input" if s["act"] else ".weight")


# ---- one kind of layer at a time ---------------------------------------------------------------------------------

def conv(name, out, kernel, stride=1, pad=0, groups=1, **more):
    return {"op": "conv", "name": name, "out": out, "kernel": kernel, "stride": stride, "pad": pad, "groups": groups, **more}


def op(kind, name=None, **more):
    return {"op": kind, "name": name or kind, **more}


LAST = [op("flatten"), op("linear", "fc", out=5, formula=True)]
FULL = [op("flatten"), op("linear", "fc", out=5)]
QUANT = [conv("conv1", 4, 3, 1, 1), op("relu"), conv("conv2", 6, 3, 2, 1)]

LAYERS = {   # name: (image (c, h, w), rows, sites); every net ends with a linear layer of 5 outputs
    "linear": ((3, 4, 5), FULL, []),
    "linear twice": ((3, 4, 5), [op("flatten"), op("linear", "fc1", out=7), op("relu"), op("linear", "fc", out=5)], []),
    "conv 3x3": ((3, 6, 7), [conv("conv1", 4, 3)] + LAST, []),
    "conv 3x3 pad": ((3, 6, 7), [conv("conv1", 4, 3, 1, 1)] + LAST, []),
    "conv 3x3 stride 2 pad": ((4, 8, 8), [conv("conv1", 8, 3, 2, 1)] + LAST, []),
    "conv 3x3 stride 2 pad, odd image": ((8, 5, 7), [conv("conv1", 16, 3, 2, 1, no_bias=1)] + LAST, []),
    "conv 5x5 pad 2": ((1, 8, 8), [conv("conv1", 16, 5, 1, 2)] + LAST, []),
    "conv 1x1": ((8, 5, 5), [conv("conv1", 16, 1)] + LAST, []),
    "conv 1x1 stride 2": ((8, 5, 5), [conv("conv1", 4, 1, 2)] + LAST, []),
    "conv groups 2": ((6, 6, 6), [conv("conv1", 8, 3, 1, 1, 2)] + LAST, []),
    "conv depthwise": ((8, 6, 6), [conv("conv1", 8, 3, 1, 1, 8)] + LAST, []),
    "conv depthwise stride 2": ((16, 5, 5), [conv("conv1", 16, 3, 2, 1, 16, no_bias=1)] + LAST, []),
    "conv conv": ((3, 8, 8), [conv("conv1", 8, 3, 1, 1), conv("conv2", 4, 3, 2, 1)] + LAST, []),
    "batchnorm": ((5, 4, 4), [op("batchnorm", "bn")] + LAST, []),
    "conv batchnorm": ((3, 6, 6), [conv("conv1", 8, 3, 1, 1, no_bias=1), op("batchnorm", "bn")] + LAST, []),
    "conv batchnorm relu": ((3, 6, 6), [conv("conv1", 8, 3, 1, 1, no_bias=1), op("batchnorm", "bn"), op("relu")] + LAST, []),
    "linear batchnorm": ((2, 3, 3), [op("flatten"), op("linear", "fc1", out=8), op("batchnorm", "bn"), op("relu"),
                                     op("linear", "fc", out=5)], []),
    "relu": ((4, 5, 5), [op("relu")] + LAST, []),
    "relu6": ((4, 5, 5), [conv("conv1", 4, 3, 1, 1), op("relu6")] + LAST, []),
    "silu": ((4, 5, 5), [conv("conv1", 4, 3, 1, 1), op("silu")] + LAST, []),
    "conv batchnorm relu6": ((3, 6, 6), [conv("conv1", 8, 3, 1, 1, no_bias=1), op("batchnorm", "bn"), op("relu6")] + LAST, []),
    "conv batchnorm silu": ((3, 6, 6), [conv("conv1", 8, 3, 1, 1, no_bias=1), op("batchnorm", "bn"), op("silu")] + LAST, []),
    "maxpool 2": ((4, 6, 6), [op("maxpool", kernel=2)] + LAST, []),
    "conv relu maxpool": ((3, 8, 8), [conv("conv1", 8, 3, 1, 1), op("relu"), op("maxpool", kernel=2)] + LAST, []),
    "maxpool 3 stride 2 pad 1": ((4, 7, 7), [op("maxpool", kernel=3, stride=2, pad=1)] + LAST, []),
    "avgpool 2": ((4, 6, 6), [op("avgpool", kernel=2)] + LAST, []),
    "avgpool 3 stride 2": ((4, 7, 7), [op("avgpool", kernel=3, stride=2)] + LAST, []),
    "globalpool": ((6, 5, 4), [conv("conv1", 8, 3, 1, 1), op("relu"), op("globalpool")] + LAST, []),
    "residual": ((8, 6, 6), [conv("conv1", 8, 3, 1, 1, no_bias=1), op("batchnorm", "bn1"), op("relu", "relu1"),
                             conv("conv2", 8, 3, 1, 1, no_bias=1), op("batchnorm", "bn2"), op("add", **{"in": -1, "in2": 3}),
                             op("relu", "relu2")] + LAST, []),
    "residual on the image": ((4, 5, 5), [conv("conv1", 4, 3, 1, 1), op("add", **{"in": -1, "in2": 0})] + LAST, []),
    "shortcut": ((4, 8, 8), [op("shortcut", out=8, stride=2)] + LAST, []),
    "residual with shortcut": ((4, 8, 8), [op("relu", "relu0"), conv("conv1", 8, 3, 2, 1, no_bias=1), op("batchnorm", "bn1"),
                                           op("relu", "relu1"), conv("conv2", 8, 3, 1, 1, no_bias=1), op("batchnorm", "bn2"),
                                           op("shortcut", out=8, stride=2, **{"in": 1}),
                                           op("add", **{"in": 6, "in2": 7}), op("relu", "relu2")] + LAST, []),
    "lsq weights": ((3, 6, 6), QUANT + LAST, [site("conv2", False, "int4", step=.09)]),
    "lsq weights a channel": ((3, 6, 6), QUANT + LAST,
                              [site("conv2", False, "int3@channel", step=[.15, .12, .2, .17, .13, .22])]),
    "lsq activations": ((3, 6, 6), QUANT + LAST, [site("conv2", True, "uint4", step=.11)]),
    "lsq activations, clamp mask": ((3, 6, 6), QUANT + LAST, [site("conv2", True, "uint3", "clamp", step=.2)]),
    "lsq signed activations": ((3, 6, 6), [conv("conv1", 4, 3, 1, 1), conv("conv2", 6, 3, 2, 1)] + LAST,
                               [site("conv2", True, "int4", step=.17)]),
    "lsq both, gscale batch": ((3, 6, 6), QUANT + LAST, [site("conv2", False, "int4", gscale="batch", step=.09),
                                                         site("conv2", True, "uint4", gscale="batch", step=.11)]),
    "lsq both, gscale none": ((3, 6, 6), QUANT + LAST, [site("conv2", False, "int2", gscale="none", step=.2),
                                                        site("conv2", True, "uint2", gscale="none", step=.4)]),
    "lsq image and linear": ((3, 4, 4), [op("flatten"), op("linear", "fc", out=5)],
                             [site("fc", False, "int8", step=.01), site("fc", True, "int8", step=.02)]),
    "lsq behind maxpool": ((3, 8, 8), [conv("conv1", 8, 3, 1, 1), op("relu"), op("maxpool", kernel=2),
                                       conv("conv2", 4, 3, 1, 1)] + LAST, [site("conv2", True, "uint4", step=.12)]),
    "lsq+ offset": ((3, 6, 6), [conv("conv1", 4, 3, 1, 1), op("silu"), conv("conv2", 6, 3, 2, 1)] + LAST,
                    [site("conv2", True, "uint4+offset", learn="lsq+", step=.12, offset=-.21),
                     site("conv2", False, "int4", learn="lsq+", step=.09)]),
    "lsq, a fork": ((4, 6, 6), [conv("conv1", 4, 3, 1, 1), op("batchnorm", "bn"), op("relu", "relu1"),
                                conv("conv2", 4, 3, 1, 1, **{"in": 3}), conv("conv3", 4, 1, 1, 0, **{"in": 3}),
                                op("add", **{"in": 4, "in2": 5})] + LAST,
                    [site("conv2", True, "uint4", step=.15), site("conv3", True, "uint3", step=.3),
                     site("conv3", False, "int4", step=.2)]),
}


def layer(name, batch):
    """One case; drawn again until every quantized value is a ten-thousandth of a step away from where codes change."""
    shape, rows, sites = LAYERS[name]
    for seed in range(1000):
        rng = np.random.default_rng((zlib.crc32(name.encode()), seed))
        p32 = make_params(rows, shape, rng)
        x32, y = np.float32(rng.normal(size=(batch, *shape))), rng.integers(0, 5, batch)
        p, x = tensors_of(p32, torch.float64), torch.tensor(x32, dtype=torch.float64, requires_grad=True)
        q = {site_name(s): Site(s, torch.float64) for s in sites}
        logits = forward(rows, p, q, x)
        loss = F.cross_entropy(logits, torch.tensor(y))
        loss.backward()
        if all(s.near > 1e-4 for s in q.values()):
            break
    out = {"x": images(x32), "y": np.int32(y), "dx": np.float32(images(x.grad.numpy())), "logits": np.float32(logits.detach())}
    made = {r["name"] + ".weight" for r in rows if r.get("formula")}
    for n, v in p.items():
        if n in made:
            continue
        out["p/" + n] = p32[n]
        out["g/" + n] = np.float32(v.grad if v.requires_grad else v)   # running statistics: as they are afterwards
    row = {"name": name, "image": [shape[1], shape[2], shape[0]], "batch": batch, "nodes": rows, "loss": loss.item(), "sites": []}
    for s in sites:
        grads = {"dstep": q[site_name(s)].step.grad.tolist()}
        if "offset" in s:
            grads["doffset"] = q[site_name(s)].offset.grad.tolist()
        row["sites"].append({**s, "step": np.atleast_1d(s["step"]).tolist(), **grads})
    return row, out


def layers():
    rows, tensors = [], {}
    for i, name in enumerate(LAYERS):
        row, out = layer(name, 11 if name == "conv batchnorm relu" else 3 + i % 2)
        rows.append(row)
        tensors.update({"%d/%s" % (i, k): v for k, v in out.items()})
    golden.save_tensors("qat_layers", tensors)
    save_json("qat_layers", rows)


# ---- whole runs ------------------------------------------------------------------------------------------------------

STEPS, BATCH, LR = 20, 16, .05


def run_data():
    """320 images of 6 x 6 bytes, ten classes that a small net learns in part; x = (byte - 128) / 64 is exact."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, 10, STEPS * BATCH)
    means = rng.normal(size=(10, 3, 3)).repeat(2, 1).repeat(2, 2) * 30
    raw = means[y] + rng.normal(size=(len(y), 6, 6)) * 40 + 128
    return np.uint8(np.clip(np.rint(raw), 0, 255)), np.int32(y)


def cnn(act):
    rows = []
    for n, out, stride in ("1", 4, 1), ("2", 8, 2), ("3", 8, 1):
        rows += [conv("conv" + n, out, 3, stride, 1, no_bias=1), op("batchnorm", "bn" + n), op(act, act + n)]
    return rows + [op("globalpool"), op("flatten"), op("linear", "fc", out=10)]


MLP = [op("flatten"), op("linear", "fc1", out=32), op("relu", "relu1"), op("linear", "fc2", out=24), op("relu", "relu2"),
       op("linear", "fc3", out=10)]


def whole(first, *rest, offset=""):
    """4-bit weights and activations, the first and the last layer at 8 bits, the image as it is."""
    out = [(first, False, "int8")]
    for n in rest:
        bits = "8" if n == rest[-1] else "4"
        out += [(n, False, "int" + bits), (n, True, "uint" + bits + offset)]
    return out


RUNS = {
    "cnn lsq 4/4": (cnn("relu"), whole("conv1", "conv2", "conv3", "fc"), {"mask": "paper", "gscale": "paper"}),
    "cnn lsq 4/4, autograd's clamp": (cnn("relu"), whole("conv1", "conv2", "conv3", "fc"), {"mask": "clamp", "gscale": "batch"}),
    "mlp lsq 4/4, torch's kernel": (MLP, whole("fc1", "fc2", "fc3"), {"mask": "code", "gscale": "batch"}),
    "silu lsq+ 4/4 with offsets": (cnn("silu"), whole("conv1", "conv2", "conv3", "fc", offset="+offset"),
                                   {"mask": "paper", "gscale": "paper", "learn": "lsq+"}),
}


def begin(rows, p32, specs, options, x):
    """Sites with their first steps: LSQ's rule on weights and on the first batch, in order; offsets a little above the
    least value of SiLU."""
    sites = []
    for node, act, fmt in specs:
        row = site(node, act, fmt, **options)
        seen = {}
        probe = {site_name(s): Site(s, torch.float32) for s in sites}
        probe[site_name(row)] = lambda v, seen=seen: seen.setdefault("v", v)
        with torch.no_grad():
            forward(rows, tensors_of(p32, torch.float32), probe, x)
        v, hi = seen["v"].detach(), bounds(fmt)[1]
        if "offset" in fmt:
            row["offset"] = float(np.float32(-.25))
            step = (v.max() + .25).item() * .8 / hi
        else:
            step = 2 * v.abs().mean().item() / hi ** .5
        row["step"] = [float(np.float32(step))]
        sites.append(row)
    return sites


def train(rows, p32, sites, x, y, dtype):
    """Losses, parameters and sites at the end; stops early, with none, once a value comes near a threshold."""
    p, q = tensors_of(p32, dtype), {site_name(s): Site(s, dtype) for s in sites}
    x = torch.tensor(x, dtype=dtype)
    weights = [v for n, v in p.items() if n.endswith(".weight") and v.dim() > 1]
    steps = [s.step for s in q.values()] + [s.offset for s in q.values() if s.offset is not None]
    rest = [v for n, v in p.items() if v.requires_grad and all(v is not w for w in weights)]
    optimizer = torch.optim.SGD([{"params": weights, "weight_decay": 1e-4}, {"params": rest + steps}], lr=LR, momentum=.9)
    losses = []
    for t in range(STEPS):
        at = slice(t * BATCH, (t + 1) * BATCH)
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(rows, p, q, x[at]), torch.tensor(y[at], dtype=torch.int64))
        if any(s.near < (5e-6 if s.row["act"] else 2e-6) for s in q.values()):
            return None, p, q
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, p, q


def draw_run(name, x, y):
    """The first seed whose run keeps its distance, and what came of it."""
    rows, specs, options = RUNS[name]
    for seed in range(100000):
        p32 = make_params(rows, (1, 6, 6), np.random.default_rng((zlib.crc32(name.encode()), seed)))
        sites = begin(rows, p32, specs, options, torch.tensor(x[:BATCH]))
        losses, p, q = train(rows, p32, sites, x, y, torch.float32)
        if losses:
            break
    if options["mask"] != "code":   # torch's kernel is float32 alone
        again = train(rows, p32, sites, x, y, torch.float64)[0]
        apart = max(abs(a / b - 1) for a, b in zip(losses, again))
        assert apart < 1e-5, (name, apart)
        print("%-32s double differs by %.1e" % (name, apart))
    print("%-32s seed %d, loss %.4f -> %.4f" % (name, seed, losses[0], losses[-1]))
    return p32, sites, losses, p, q


def runs():
    raw, y = run_data()
    x = np.float32(raw[:, None].astype(np.float64) - 128) / 64
    out, tensors = [], {"images": raw, "labels": y}
    for i, name in enumerate(RUNS):
        p32, sites, losses, p, q = draw_run(name, x, y)
        for n, v in p32.items():
            tensors["%d/p/%s" % (i, n)] = v
            tensors["%d/end/%s" % (i, n)] = p[n].detach().numpy()
        for s in sites:
            s["end_step"] = q[site_name(s)].step.detach().tolist()
            if "offset" in s:
                s["end_offset"] = q[site_name(s)].offset.detach().tolist()
        out.append({"name": name, "image": [6, 6, 1], "batch": BATCH, "lr": LR, "momentum": .9, "weight_decay": 1e-4,
                    "nodes": RUNS[name][0], "sites": sites, "loss": losses})
    golden.save_tensors("qat_runs", tensors)
    save_json("qat_runs", out)


def save_json(name, rows):
    with open(os.path.join(golden.HERE, name + ".json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    layers()
    runs()
