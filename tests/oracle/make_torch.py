#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden codes, values and gradients from PyTorch (Debian's python3-torch).

Codes: fake_quantize_per_tensor_affine and _per_channel_affine. They multiply by fl(1/s), so they may differ from a
division within one unit in the last place of a threshold; values on and beside thresholds are part of the data.
Gradients: torch's learnable kernels (mask on the rounded code), and autograd through clamp and a straight-through round
(mask inclusive at the bounds). The same a second time for the sites of training: whole layers, steps a tensor and a
channel, the gradient scales people use.
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


def away_from_thresholds(x, s, beta):
    """x moved so that (x - beta)/s keeps its code whether it is divided in float32 or in double."""
    u = (x.astype(np.float64) - beta) / s
    near = np.abs(u - np.floor(u) - .5) < 1e-4
    return np.float32(np.where(near, x + s * np.float32(1e-3), x))


def sites():
    """Gradients at the places training quantizes: weights (out, in, k, k) or (out, in), activations (n, h, w, c).

    A case is named "NUMBER FORMAT weight|input MASK LEARN SCALE"; its tensors are NAME/x, /up, /dx, /step, /dstep and,
    with an offset, /offset, /doffset.
    """
    rng = np.random.default_rng(13)
    tensors = {}

    def grid(fmt):
        bits = int(fmt.lstrip("uint").split("+")[0].split("@")[0])
        return (0, 2 ** bits - 1) if fmt[0] == "u" else (-2 ** (bits - 1), 2 ** (bits - 1) - 1)

    def save(fmt, act, mask, learn, scale, **values):
        name = "%d %s %s %s %s %s" % (len({k.split("/")[0] for k in tensors}), fmt, "input" if act else "weight", mask,
                                      learn, scale)
        for key, v in values.items():
            tensors[name + "/" + key] = np.asarray(v)

    def case(fmt, act, shape, scale, offset=False):
        lo, hi = grid(fmt)
        channel = "@channel" in fmt
        axis = (len(shape) - 1 if act else 0) if channel else None
        parts = shape[axis] if channel else 1
        view = [parts if i == axis else 1 for i in range(len(shape))]
        # Steps of few bits: values on levels and bounds are there in float32 and in double alike.
        s = np.float32(rng.integers(20, 60, parts) / 64 * 8 / (hi - lo)).reshape(view if channel else [1])
        s = np.float32(np.round(s * 2 ** 12) / 2 ** 12)
        b = np.float32(rng.integers(-24, 8, parts) / 16).reshape(s.shape) if offset else np.zeros_like(s)
        x = np.float32(rng.normal(size=shape) * s * (hi - lo) / 3 + b + s * (hi + lo) / 2)
        if not offset:
            on = rng.random(shape) < .05
            x = np.where(on, np.float32(s) * np.float32(rng.integers(lo - 1, hi + 2, shape)), x)
            if lo == 0 and act:
                x = np.maximum(x, 0)          # as behind a ReLU: many zeros, which lie on the bound
        x = away_from_thresholds(np.float32(x), s, b)
        g = np.float32(rng.normal(size=shape))
        factor = {"batch": 1 / np.sqrt(x.size / parts * hi), "none": 1.0}[scale]
        t = torch.from_numpy(x.astype(np.float64)).requires_grad_()
        st = torch.from_numpy(s.astype(np.float64)).requires_grad_()
        bt = torch.from_numpy(b.astype(np.float64)).requires_grad_()
        used, beta = ((p - p * factor).detach() + p * factor for p in (st, bt))
        (Round.apply(torch.clamp((t - beta) / used, lo, hi)) * used + beta).backward(torch.from_numpy(g.astype(np.float64)))
        extra = {"offset": b.ravel().astype(np.float64), "doffset": bt.grad.numpy().ravel()} if offset else {}
        save(fmt, act, "clamp", "lsq+" if offset else "lsq", scale, x=x, up=g, dx=np.float32(t.grad.numpy()),
             step=s.ravel().astype(np.float64), dstep=st.grad.numpy().ravel(), **extra)

    def kernel(fmt, act, shape):
        """torch's learnable kernel, mask on the rounded code; float32 throughout."""
        lo, hi = grid(fmt)
        channel = "@channel" in fmt
        parts = shape[0] if channel else 1
        s = np.float32(np.round(rng.integers(20, 60, parts) / 64 * 8 / (hi - lo) * 2 ** 12) / 2 ** 12)
        x = np.float32(rng.normal(size=shape) * s.reshape([-1] + [1] * (len(shape) - 1)) * (hi - lo) / 3)
        x = away_from_thresholds(x, s.reshape([-1] + [1] * (len(shape) - 1)), 0)
        g = np.float32(rng.normal(size=shape))
        factor = 1 / np.sqrt(x.size / parts * hi)
        t, st, zp = (torch.from_numpy(v.copy()).requires_grad_() for v in (x, s, np.zeros(parts, np.float32)))
        if channel:
            y = torch._fake_quantize_learnable_per_channel_affine(t, st, zp, 0, lo, hi, factor)
        else:
            y = torch._fake_quantize_learnable_per_tensor_affine(t, st, zp, lo, hi, factor)
        y.backward(torch.from_numpy(g))
        save(fmt, act, "code", "lsq", "batch", x=x, up=g, dx=t.grad.numpy(), step=s.astype(np.float64),
             dstep=st.grad.numpy().astype(np.float64))

    conv, fc, image = (8, 3, 3, 3), (10, 24), (4, 5, 5, 6)
    for bits in range(2, 9):
        case("int%d" % bits, False, conv, "batch")
        case("int%d@channel" % bits, False, fc if bits % 2 else conv, "batch")
        case("uint%d" % bits, True, image, "batch")
        case("uint%d@channel" % bits, True, image, "batch")
        case("uint%d+offset" % bits, True, image, "batch", offset=True)
    case("int4", True, image, "none")
    case("int3+offset@channel", True, image, "batch", offset=True)
    for bits in (2, 3, 4, 8):
        kernel("int%d" % bits, False, conv)
        kernel("int%d@channel" % bits, False, conv)
        kernel("uint%d" % bits, True, image)
    golden.save_tensors("torch_sites", tensors)


torch.set_num_threads(1)
codes()
gradients()
sites()
