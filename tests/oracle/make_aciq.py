#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden bit allocation and bias correction of weights, from METHODS 5 with NumPy: 12 output channels of 50 weights."""
import numpy as np

import golden

OUT, IN = 12, 50


def allocate(width, mean):
    """round(2/3 log2 width + t), clipped to 0..8: the shift t, by bisection, that gives just the mean."""
    def bits(t):
        return np.clip(np.rint(2 / 3 * np.log2(width) + t), 0, 8).astype(int)

    lo, hi = -60., 60.
    for _ in range(200):
        t = (lo + hi) / 2
        have = bits(t).sum()
        if have == mean * len(width):
            return bits(t)
        lo, hi = (t, hi) if have < mean * len(width) else (lo, t)
    raise SystemExit("no shift gives this mean: other data")


def levels(bits):
    """Codes of so many bits: none is the level 0, one -1 and 1."""
    return [0] if bits == 0 else [-1, 1] if bits == 1 else np.arange(-2 ** (bits - 1), 2 ** (bits - 1))


def quantize(w, bits):
    """Min-max: the largest magnitude on the largest level; to the nearest level, in float32."""
    c = np.asarray(levels(bits), np.float32)
    step = 1. if bits == 0 else float(np.abs(w).max()) / float(c.max())
    v = w / np.float32(step)
    return step, c[np.abs(v[:, None] - c[None, :]).argmin(1)] * np.float32(step)


def main():
    r = np.random.default_rng(5)
    w = (r.normal(size=(OUT, IN)) * np.exp(1.3 * r.normal(size=(OUT, 1))) + .1 * r.normal(size=(OUT, 1))).astype(np.float32)
    tensors, rows = {"w": w}, []
    for mean in (2, 3, 4):
        bits = allocate(w.astype(np.float64).std(1), mean)
        step, out = zip(*(quantize(w[i], b) for i, b in enumerate(bits)))
        q = np.array(out, np.float64)
        x = w.astype(np.float64)
        mq, sq, mx, sx = q.mean(1), q.std(1), x.mean(1), x.std(1)
        gain = np.where(sq > 0, sx / np.where(sq > 0, sq, 1), 1)
        tensors["q%d" % mean] = q.astype(np.float32)
        tensors["mean%d" % mean] = (q - mq[:, None] + mx[:, None]).astype(np.float32)
        tensors["both%d" % mean] = ((q - mq[:, None]) * gain[:, None] + mx[:, None]).astype(np.float32)
        rows.append({"mean": mean, "bits": bits.tolist(), "step": list(step)})
    golden.save_tensors("allot", tensors)
    golden.save_rows("allot", "make_aciq.py", rows)


main()
