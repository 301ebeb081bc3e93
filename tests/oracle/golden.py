# SPDX-License-Identifier: GPL-3.0-or-later
"""What the makers of golden files share: two writers and the input data.

Tensors go to .safetensors, numbers to .lua files that return one table. Both writers are written here, from the
formats' descriptions, so that a golden file owes nothing to the program it judges.
"""
import json
import os
import struct

import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
DTYPES = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "uint8": "U8", "int8": "I8"}


def save_tensors(name, tensors):
    """Writes golden/NAME.safetensors: 8 bytes of header length, a JSON header, the bytes one after the other."""
    header, blob = {}, b""
    for key, a in tensors.items():
        a = np.asarray(a, order="C")
        raw = a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes()
        header[key] = {"dtype": DTYPES[a.dtype.name], "shape": list(a.shape),
                       "data_offsets": [len(blob), len(blob) + len(raw)]}
        blob += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(HERE, name + ".safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + blob)


def lua(v, indent=0):
    """A Lua expression for None, bool, numbers, strings, lists and dicts; numbers with all their digits."""
    if v is None:
        return "nil"
    if isinstance(v, (bool, np.bool_)):
        return "true" if v else "false"
    if isinstance(v, (int, np.integer)):
        return str(int(v))
    if isinstance(v, (float, np.floating)):
        return "1/0" if v == np.inf else "-1/0" if v == -np.inf else "%.17g" % v
    if isinstance(v, str):
        return json.dumps(v, ensure_ascii=False)
    if isinstance(v, dict):
        parts = ["%s=%s" % (k if k.isidentifier() and k not in ("end", "in", "not") else '["%s"]' % k, lua(x)) for k,
                 x in v.items()]
        return "{" + ", ".join(parts) + "}"
    return "{" + ", ".join(lua(x) for x in v) + "}"


def save_rows(name, maker, rows):
    """Writes golden/NAME.lua: `return { row, row, ... }`, one a line."""
    with open(os.path.join(HERE, name + ".lua"), "w", encoding="utf-8") as f:
        f.write("-- SPDX-License-Identifier: GPL-3.0-or-later\n")
        f.write("-- Made by tests/oracle/%s; not edited by hand.\nreturn {\n" % maker)
        for r in rows:
            f.write("  " + lua(r) + ",\n")
        f.write("}\n")


# The data of METHODS 11.8, as float32.
X11 = np.array([-1.9, -1.1, -.75, -.4, -.1, .05, .3, .62, .9, 1.4, 2.6], np.float32)


def data(n=2000, seed=20):
    """Named float32 arrays: the distributions weights and activations come in."""
    r = np.random.default_rng(seed)
    normal = r.normal(size=n)
    bimodal = np.where(r.random(n) < .5, -1, 1) + .15 * r.normal(size=n)
    outlier = .05 * r.normal(size=n)
    outlier[[7, 1100 % n]] = [1.3, -2.1]
    d = {
        "normal": .8 * normal,
        "laplace": .3 * r.laplace(size=n),
        "uniform": r.uniform(-1.5, 1.5, n),
        "bimodal": bimodal,
        "outlier": outlier,
        "shifted": .4 * r.normal(size=n) + 1.7,
        "relu": np.maximum(r.normal(size=n), 0),
        "student3": .1 * r.standard_t(3, n),
        "grid": r.integers(-40, 41, n) / 16.0,       # many equal values, many ties
        "tiny": 1e-30 * r.normal(size=n),
        "x11": X11,
    }
    return {k: np.ascontiguousarray(v, np.float32) for k, v in d.items()}


# ---- quantizing as DESIGN 2 says, in float32: the one place where the makers say what is right --------------------
def nearest(c, u):
    """Ranks of the levels of the ascending codebook c (float32, units of the step) nearest to u (float32).
    On a midpoint: the level of even rank counted from the level nearest zero."""
    c = np.asarray(c, np.float64)
    u = np.asarray(u, np.float64)
    zero = int(np.argmin(np.abs(c)))
    mid = (c[1:] + c[:-1]) / 2
    k = np.searchsorted(mid, u, side="left")     # midpoints below u: a tie stays at the lower level
    tie = (k < len(mid)) & (mid[np.minimum(k, len(mid) - 1)] == u)
    return np.where(tie & ((k - zero) % 2 != 0), k + 1, k)


def quantize(c, x, s, beta=0.0):
    """(ranks, values) of float32 x: u = fl(fl(x - beta)/s), value = fl(fl(c s) + beta)."""
    f = np.float32
    c, s, beta = np.asarray(c, f), f(s), f(beta)
    u = ((x - beta) / s).astype(f)
    k = nearest(c, u)
    return k, ((c[k] * s).astype(f) + beta).astype(f)


def uniform(lo, hi):
    return np.arange(lo, hi + 1, dtype=np.float64)
