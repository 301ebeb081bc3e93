#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden codes, values and gradients from PyTorch (Debian's python3-torch).

Codes: fake_quantize_per_tensor_affine and _per_channel_affine. They multiply by fl(1/s), so they may differ from a
division within one unit in the last place of a threshold; values on and beside thresholds are part of the data.
Gradients: torch's learnable kernels (mask on the rounded code), and autograd through clamp and a straight-through round
(mask inclusive at the bounds).
"""
import numpy as np
import torch

import golden


def near_thresholds(s, lo, hi, rng, n):
    """Values on fl(s (k + 1/2)) and up to two floats beside."""
    k = rng.integers(lo - 2, hi + 3, n) + .5
    x = np.float32(k) * np.float32(s)
    bits = x.view(np.int32) + rng.integers(-2, 3, n).astype(np.int32)
    return bits.view(np.float32)


def codes():
    rng = np.random.default_rng(11)
    tensors, rows = {}, []
    cases = [("int8", .0173, 0, -128, 127), ("int4", .31, 0, -8, 7), ("int2", .7, 0, -2, 1),
             ("uint8+zp", .0211, 117, 0, 255),
             ("uint4+zp", .19, 6, 0, 15), ("uint4", .123, 0, 0, 15), ("int8:narrow", 1 / 96, 0, -127, 127)]
    for i, (fmt, s, z, lo, hi) in enumerate(cases):
        s = float(np.float32(s))
        x = np.concatenate([rng.normal(size=1500) * s * (hi - lo) / 4,
                            near_thresholds(s, lo - z, hi - z, rng, 500)]).astype(np.float32)
        t = torch.from_numpy(x)
        value, mask = torch._fake_quantize_per_tensor_affine_cachemask_tensor_qparams(
            t, torch.tensor(s), torch.tensor(z, dtype=torch.int32), torch.tensor([1]), lo, hi)
        same = torch.fake_quantize_per_tensor_affine(t, s, z, lo, hi)
        assert torch.equal(same, value)
        code = torch.round(value / s).to(torch.int32).numpy() + (z if "zp" in fmt else 0)
        tensors["x%d" % i], tensors["value%d" % i], tensors["code%d" % i] = x, value.numpy(), code
        rows.append({"case": i, "format": fmt, "step": s, "zp": z if "zp" in fmt else None, "lo": lo, "hi": hi})
    # A step a channel, along axis 0 and axis 1.
    for axis in (0, 1):
        i = len(rows)
        shape = (6, 40, 3)
        n = shape[axis]
        s = np.float32(rng.uniform(.02, .4, n))
        x = rng.normal(size=shape).astype(np.float32)
        v = torch.fake_quantize_per_channel_affine(torch.from_numpy(x), torch.from_numpy(s),
                                                   torch.zeros(n, dtype=torch.int32), axis, -8, 7)
        view = [1, 1, 1]
        view[axis] = n
        code = np.rint(v.numpy() / s.reshape(view)).astype(np.int32)
        tensors["x%d" % i], tensors["value%d" % i], tensors["code%d" % i] = x, v.numpy(), code
        rows.append({"case": i, "format": "int4@channel%d" % axis, "steps": s.astype(float).tolist(), "lo": -8,
                     "hi": 7})
    golden.save_tensors("torch_codes", tensors)
    golden.save_rows("torch_codes", "make_torch.py", rows)


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.round(x)

    @staticmethod
    def backward(ctx, g):
        return g


def gradients():
    rng = np.random.default_rng(12)
    tensors, rows = {}, []

    def add(x, g, dx, **row):
        i = len(rows)
        tensors["x%d" % i], tensors["up%d" % i], tensors["dx%d" % i] = x, g, dx
        # What rounding of a float32 sum is measured against: every term is at most |g| times the largest code.
        rows.append({"case": i, **row, "terms": float(np.abs(g).sum()) * (row.get("factor") or 1)})

    # Steps of few bits: multiples of them, and their quotients, are exact in float32 and in double alike, so that a
    # value on a bound is on it in both.
    for fmt, s, lo, hi in (("int8", 41 / 4096, -128, 127), ("int4", 5 / 16, -8, 7), ("int3", .5, -4, 3),
                           ("int2", 13 / 16, -2, 1), ("uint4", 13 / 64, 0, 15)):
        x = np.float32(rng.normal(size=600) * s * (hi - lo) / 3)
        x[:40] = np.float32(s) * rng.integers(lo - 1, hi + 2, 40)          # on levels, bounds among them
        g = np.float32(rng.normal(size=600))
        for scaled in (False, True):
            factor = 1 / np.sqrt(len(x) * hi) if scaled else 1.0
            t = torch.from_numpy(x.copy()).requires_grad_()
            st, zp = torch.tensor([s], requires_grad=True), torch.zeros(1, requires_grad=True)
            torch._fake_quantize_learnable_per_tensor_affine(t, st, zp, lo, hi, factor).backward(torch.from_numpy(g))
            add(x, g, t.grad.numpy(), format=fmt, step=float(np.float32(s)), mask="code", learn="lsq", scale=scaled,
                factor=float(factor), dstep=[st.grad.item()])
            # Autograd of the form people write, in double so that sums carry no error of their own.
            t = torch.from_numpy(x.astype(np.float64)).requires_grad_()
            st = torch.tensor(float(np.float32(s)), dtype=torch.float64, requires_grad=True)
            used = (st - st * factor).detach() + st * factor
            (Round.apply(torch.clamp(t / used, lo, hi)) * used).backward(torch.from_numpy(g.astype(np.float64)))
            add(x, g, t.grad.numpy().astype(np.float32), format=fmt, step=float(np.float32(s)), mask="clamp",
                learn="lsq", scale=scaled,
                factor=float(factor), dstep=[st.grad.item()])
    # An offset: LSQ+.
    for fmt, s, beta, lo, hi in (("uint4+offset", .25, -1.5, 0, 15), ("uint3+offset", 29 / 64, -1.25, 0, 7),
                                 ("int4+offset", 13 / 64, .375, -8, 7)):
        x = np.float32(rng.normal(size=600) * s * (hi - lo) / 3 + beta + s * (hi + lo) / 2)
        g = np.float32(rng.normal(size=600))
        t = torch.from_numpy(x.astype(np.float64)).requires_grad_()
        st = torch.tensor(float(np.float32(s)), dtype=torch.float64, requires_grad=True)
        b = torch.tensor(beta, dtype=torch.float64, requires_grad=True)
        (Round.apply(torch.clamp((t - b) / st, lo, hi)) * st + b).backward(torch.from_numpy(g.astype(np.float64)))
        add(x, g, t.grad.numpy().astype(np.float32), format=fmt, step=float(np.float32(s)), offset=beta, mask="clamp",
            learn="lsq+",
            scale=False, dstep=[st.grad.item()], doffset=[b.grad.item()])
    # A step a channel through the learnable kernel.
    x = np.float32(rng.normal(size=(5, 60)))
    g = np.float32(rng.normal(size=(5, 60)))
    s = np.float32(rng.uniform(.1, .4, 5))
    t, st = torch.from_numpy(x.copy()).requires_grad_(), torch.from_numpy(s.copy()).requires_grad_()
    zp = torch.zeros(5, requires_grad=True)
    torch._fake_quantize_learnable_per_channel_affine(t, st, zp, 0, -8, 7, 1.0).backward(torch.from_numpy(g))
    add(x, g, t.grad.numpy(), format="int4@channel", steps=s.astype(float).tolist(), mask="code", learn="lsq",
        scale=False,
        dstep=st.grad.numpy().astype(float).tolist())
    golden.save_tensors("torch_gradients", tensors)
    golden.save_rows("torch_gradients", "make_torch.py", rows)


torch.set_num_threads(1)
codes()
gradients()
