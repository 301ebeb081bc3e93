#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden file from SciPy: means, intervals (Student's t, bootstrap), sign-flip tests of small and larger samples."""
import json
import os

import numpy as np
from scipy import stats

import golden


def sample(name, x):
    x = np.round(np.asarray(x, float), 6)
    n = len(x)
    row = {"name": name, "x": x.tolist(), "n": n, "mean": x.mean(), "min": x.min(), "max": x.max(), "std": x.std(ddof=1),
           "exact": n < 20}
    if n < 20:
        lo, hi = stats.t.interval(.95, n - 1, loc=x.mean(), scale=stats.sem(x))
        assert np.allclose(stats.ttest_1samp(x, 0).confidence_interval(.95), (lo, hi))
        flip = stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf)
    else:
        ci = stats.bootstrap((x,), np.mean, n_resamples=1000000, method="BCa", batch=10000,
                             random_state=1).confidence_interval
        lo, hi = ci.low, ci.high
        flip = stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=999999, batch=10000,
                                      random_state=1)
    row.update(lo=float(lo), hi=float(hi), p=float(flip.pvalue))
    return row


r = np.random.default_rng(7)
rows = [
    sample("two", [0.91, 0.93]),
    sample("three, one sign", [0.01, 0.02, 0.015]),
    sample("five seeds", [0.012, -0.003, 0.021, 0.008, 0.015]),
    sample("ties and zeros", [0, 0, 1, 1, -1, 2]),
    sample("ten, no effect", r.normal(0, 1, 10)),
    sample("nineteen", r.normal(.4, 1, 19)),
    sample("twenty", r.normal(.4, 1, 20)),
    sample("fifty, skewed", r.exponential(1, 50) - .7),
    sample("two hundred", r.normal(.1, 1, 200)),
]
with open(os.path.join(golden.HERE, "infer.json"), "w") as f:
    json.dump(rows, f, indent=0)
    f.write("\n")
