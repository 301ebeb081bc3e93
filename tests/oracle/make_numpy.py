#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden files from NumPy and SciPy: the input data, histograms, quantiles, moments, errors and curves."""
import json
import os

import numpy as np
from scipy import stats

import golden
from codebooks import CODEBOOKS


def histograms(d):
    rows = []
    for name, x in d.items():
        lo, hi = float(x.min()), float(x.max())
        w = hi - lo
        zooms = [(lo, hi, 64), (lo, hi, 7), (lo + .3 * w, lo + .45 * w, 33), (lo - w, hi + w, 50)]
        if name == "grid":
            zooms += [(-2.5, 2.5, 80), (-2.5, 2.5, 40), (-1.0, 1.0, 32), (-.5, .75, 20)]   # edges on the values
        for a, b, bins in zooms:
            count, edges = np.histogram(x.astype(np.float64), bins=bins, range=(a, b))
            rows.append({"data": name, "lo": a, "hi": b, "bins": bins, "count": count.tolist(),
                         "under": int((x < a).sum()), "over": int((x.astype(np.float64) > b).sum())})
    return rows


def moments(d):
    rows = []
    for name, x in d.items():
        y = x.astype(np.float64)
        rows.append({
            "data": name, "n": len(y), "min": y.min(), "max": y.max(), "absmax": np.abs(y).max(), "mean": y.mean(),
            "std": y.std(ddof=1), "skewness": float(stats.skew(y)), "kurtosis": float(stats.kurtosis(y, fisher=False)),
            "zeros": int((y == 0).sum()), "distinct": len(np.unique(x)), "mean_abs": np.abs(y).mean(),
            "quantiles": {"p": [0, .001, .01, .25, .5, .613, .75, .99, .9999, 1],
                          "v": np.quantile(y, [0, .001, .01, .25, .5, .613, .75, .99, .9999, 1]).tolist()},
        })
    return rows


def measure(c, x, s, beta=0.0):
    """Every number of q:error, by looking at every element."""
    k, q = golden.quantize(c, x, s, beta)
    y, z = x.astype(np.float64), q.astype(np.float64)
    f = np.float32
    lv = ((np.asarray(c, f) * f(s)).astype(f) + f(beta)).astype(f)
    out = (x < lv.min()) | (x > lv.max())
    e2 = (y - z) ** 2
    count = np.bincount(k, minlength=len(c))
    p = count[count > 0] / len(x)
    mse = e2.mean()
    energy = (y ** 2).mean()
    return {"mse": mse, "clip_mse": e2[out].sum() / len(x), "round_mse": e2[~out].sum() / len(x), "clipped": out.mean(),
            "nmse": mse / energy, "sqnr_db": -10 * np.log10(mse / energy) if mse > 0 else None,
            "max_abs": np.abs(y - z).max(), "bias": (z - y).mean(),
            "entropy": float(-(p * np.log2(p)).sum()) + 0.0, "occupancy": count.tolist() if len(c) <= 32 else None}


def errors(d):
    rows = []
    for name, x in d.items():
        sd = float(x.astype(np.float64).std(ddof=1))
        for fmt in ("int2", "int4", "int4:narrow", "int8", "uint3", "apot3", "apot4", "uapot4", "pot4", "nf4", "fp4",
                    "fp8e4m3",
                    "codebook(-1;0;1)"):
            c = CODEBOOKS[fmt]
            for r in (.35, 1.3, 4.0):
                s = float(np.float32(r * sd / max(c) if r > 1 else r * sd))
                rows.append({"data": name, "format": fmt, "step": s, "want": measure(c, x, s)})
    for name in ("shifted", "relu", "normal"):
        x = d[name]
        sd = float(x.astype(np.float64).std(ddof=1))
        for s, beta in ((.3 * sd, float(x.min())), (.21 * sd, 1.1 * sd)):
            s, beta = float(np.float32(s)), float(np.float32(beta))
            rows.append({"data": name, "format": "uint4+offset", "step": s, "offset": beta,
                         "want": measure(CODEBOOKS["uint4"], x, s, beta)})
    return rows


def zero_points(d):
    rows = []
    for name in ("shifted", "relu", "grid", "normal"):
        x = d[name]
        sd = float(x.astype(np.float64).std(ddof=1))
        for fmt, lo, hi, z in (("uint4+zp", 0, 15, 6), ("uint8+zp", 0, 255, 100), ("int4+zp", -8, 7, -5),
                               ("uint2+zp", 0, 3, 0)):
            s = float(np.float32(.4 * sd))
            rows.append({"data": name, "format": fmt, "step": s, "zp": z,
                         "want": measure(golden.uniform(lo - z, hi - z), x, s)})
    return rows


def curves(d):
    rows = []
    for name in ("normal", "laplace", "outlier", "relu"):
        x = d[name]
        absmax = float(np.abs(x).max())
        for fmt, p in (("int4", 2), ("apot4", 2), ("nf4", 2), ("uint4", 2), ("int8", 2), ("int3", 1), ("int4", 3),
                       ("fp4", 1), ("int2", 2.5)):
            c = CODEBOOKS[fmt]
            lo, hi = absmax / max(c) / 50, absmax / max(c) * 1.2
            steps = np.exp(np.linspace(np.log(lo), np.log(hi), 12))
            row = {"data": name, "format": fmt, "p": p, "lo": lo, "hi": hi, "points": 12, "step": steps.tolist(),
                   "error": []}
            for s in steps:
                e = np.abs(x.astype(np.float64) - golden.quantize(c, x, s)[1])
                row["error"].append(float((e ** p).mean()))
            if p == 2:
                row["clip"] = [measure(c, x, s)["clip_mse"] for s in steps]
            rows.append(row)
    return rows


def main():
    d = golden.data()
    special = np.array([np.nan, 1, -2, np.inf, -np.inf, 0, -0.0, 3, np.nan, .5], np.float32)
    golden.save_tensors("data", {**d, "special": special})
    with open(os.path.join(golden.HERE, "histograms.json"), "w", encoding="ascii") as f:   # for a test in C
        f.write("[\n" + ",\n".join(json.dumps(r) for r in histograms(d)) + "\n]\n")
    golden.save_rows("moments", "make_numpy.py", moments(d))
    golden.save_rows("errors", "make_numpy.py", errors(d) + zero_points(d))
    golden.save_rows("curves", "make_numpy.py", curves(d))


main()
