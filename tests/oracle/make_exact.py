#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden least-squares optima by brute force: every piece of the error curve is visited, nothing is skipped.

Between two neighbouring breakpoints no value changes its level, so the error is one parabola there. This walks over all
pieces, assigns every value to its nearest level anew, and takes the best vertex. Free codebooks come from the O(k n^2)
dynamic program. Slow on purpose.
"""
import numpy as np

import golden
from codebooks import CODEBOOKS


def pieces(x, c):
    """One s inside every piece of s > 0."""
    mid = (c[1:] + c[:-1]) / 2
    at = [v / m for m in mid if m != 0 for v in x if v * m > 0]
    at = np.unique(at)
    if len(at) == 0:
        return np.array([1.0])
    return np.concatenate([[at[0] / 2], np.sqrt(at[1:] * at[:-1]), [at[-1] * 2]])


def best_step(x, c, w=None):
    """(step, mean weighted squared error) of the global minimum over s > 0, in double; (None, energy) if none is better
    than s -> 0 with every value on the level nearest zero."""
    x, c = np.asarray(x, np.float64), np.asarray(np.float32(c), np.float64)
    w = np.ones(len(x)) if w is None else np.asarray(w, np.float64)
    best = (None, np.inf)
    for s in pieces(x, c):
        q = c[golden.nearest(c, x / s)]
        b, cc = (w * x * q).sum(), (w * q * q).sum()
        if b > 0 and cc > 0:
            t = b / cc
            q = c[golden.nearest(c, x / t)]
            e = (w * (x - t * q) ** 2).sum() / w.sum()
            if e < best[1]:
                best = (t, e)
    return best


def fixed_offset(x, c):
    """Best (step, beta, mse) for a real beta: alternating least squares from a dense map of starts. Best found."""
    x = np.asarray(x, np.float64)
    lo, hi = x.min(), x.max()
    best = (0, 0, np.inf)
    for s in np.geomspace((hi - lo) / (4 * len(c)), (hi - lo) / (len(c) - 1) * 1.5, 60):
        for b in np.linspace(lo - s, hi, 60):
            a, o = s, b
            for _ in range(60):
                q = c[golden.nearest(c, (x - o) / a)]
                v = ((q - q.mean()) ** 2).mean()
                if v == 0:
                    break
                na = ((x - x.mean()) * (q - q.mean())).mean() / v
                no = x.mean() - na * q.mean()
                if na <= 0 or (na == a and no == o):
                    break
                a, o = na, no
            e = ((x - o - a * c[golden.nearest(c, (x - o) / a)]) ** 2).mean()
            if e < best[2]:
                best = (a, o, e)
    return best


def free_levels(x, k):
    """(levels, mse) of the best k levels anywhere."""
    x = np.sort(np.asarray(x, np.float64))
    n = len(x)
    s1, s2 = np.concatenate([[0], np.cumsum(x)]), np.concatenate([[0], np.cumsum(x * x)])

    def cost(i, j):  # values i .. j-1 on their mean
        return s2[j] - s2[i] - (s1[j] - s1[i]) ** 2 / (j - i)

    d = np.full((k + 1, n + 1), np.inf)
    cut = np.zeros((k + 1, n + 1), int)
    d[0, 0] = 0
    for m in range(1, k + 1):
        for j in range(m, n + 1):
            costs = [d[m - 1, i] + cost(i, j) for i in range(m - 1, j)]
            i = int(np.argmin(costs))
            d[m, j], cut[m, j] = costs[i], i + m - 1
    levels, j = [], n
    for m in range(k, 0, -1):
        i = cut[m, j]
        levels.append((s1[j] - s1[i]) / (j - i))
        j = i
    return levels[::-1], d[k, n] / n


def main():
    d = golden.data()
    sets = {"x11": d["x11"], "normal120": d["normal"][:120], "laplace120": d["laplace"][:120],
            "uniform90": d["uniform"][:90],
            "bimodal90": d["bimodal"][:90], "outlier200": d["outlier"][:200], "student120": d["student3"][:120],
            "shifted90": d["shifted"][:90], "relu90": d["relu"][:90], "grid150": d["grid"][:150],
            "tiny60": d["tiny"][:60],
            "negative60": -np.abs(d["normal"][:60]), "pair": np.float32([.25, -1.5]), "mixed20": np.float32(
                [3, -1, .5, .5, -.5, 2, 7, -7, .01, 4, -2, 0, 0, 1e-3, 6, -3.5, 1.5, 2.5, -2.5, .75])}
    rng = np.random.default_rng(3)
    weights = {k + ".w": rng.exponential(size=len(v)).astype(np.float32) for k, v in sets.items()}
    weights["mixed20.w"][[1, 6, 7]] = 0
    golden.save_tensors("exact", {**sets, **weights})

    rows = []
    formats = ["int2", "int3", "int4", "int4:narrow", "int2:narrow", "uint2", "uint4", "apot3", "apot4", "uapot3",
               "pot4", "nf4", "fp4",
               "codebook(-1;0;1)"]
    CODEBOOKS["codebook(-1;1)"] = [-1, 1]
    CODEBOOKS["codebook(-3;-1;1;3)"] = [-3, -1, 1, 3]
    CODEBOOKS["codebook(0.5;1;4)"] = [.5, 1, 4]
    for name, x in sets.items():
        for fmt in formats + ["codebook(-1;1)", "codebook(-3;-1;1;3)", "codebook(0.5;1;4)"]:
            s, e = best_step(x, CODEBOOKS[fmt])
            if s is not None:
                rows.append({"data": name, "format": fmt, "step": s, "mse": e})
        for fmt in ("int3", "int4", "nf4", "uint3"):
            c = np.array(CODEBOOKS[fmt])
            s, e = best_step(x, c)
            t, g = best_step(x, -c[::-1])
            if s is None and t is None:
                continue
            if e <= g:
                rows.append({"data": name, "format": fmt + ":flip", "step": s, "mse": e})
            else:
                rows.append({"data": name, "format": fmt + ":flip", "step": -t, "mse": g})
        for fmt in ("int4", "uint3", "apot4"):
            s, e = best_step(x, CODEBOOKS[fmt], weights[name + ".w"])
            if s is not None:
                rows.append({"data": name, "format": fmt, "weights": name + ".w", "step": s, "mse": e})
        if len(x) <= 150:
            for fmt, lo, hi in (("uint2", 0, 3), ("uint3", 0, 7), ("int3", -4, 3)):
                best = min((best_step(x, golden.uniform(lo - z, hi - z))[::-1] + (z,) for z in range(lo, hi + 1)
                            if best_step(x, golden.uniform(lo - z, hi - z))[0] is not None))
                rows.append({"data": name, "format": fmt + "+zp", "step": best[1], "mse": best[0], "zp": best[2]})
    golden.save_rows("exact", "make_exact.py", rows)

    rows = []
    for name in ("x11", "normal120", "shifted90", "relu90", "bimodal90", "uniform90"):
        for fmt in ("uint2", "uint3", "int2"):
            a, o, e = fixed_offset(sets[name], np.array(CODEBOOKS[fmt]))
            rows.append({"data": name, "format": fmt + "+offset", "step": a, "offset": o, "mse": e})
    golden.save_rows("offset", "make_exact.py", rows)

    rows = []
    for name in ("x11", "normal120", "bimodal90", "grid150", "outlier200", "relu90"):
        for bits in (2, 3, 4):
            x = sets[name]
            if len(np.unique(x)) <= 2 ** bits:
                continue
            levels, e = free_levels(x, 2 ** bits)
            rows.append({"data": name, "format": "int%d" % bits, "levels": levels, "mse": e})
    golden.save_rows("lloyd", "make_exact.py", rows)


main()
