#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes npy/: small arrays as NumPy stores them, for t_npy. The name says what is in it:
TYPE_ORDER.npy, [2,3,2] with element i (C order) = i * 37 mod 23, less 9 where signed, a quarter of that where floating,
i mod 3 == 0 for truth values; refused_WHAT.npy: what must be refused."""
import os

import numpy as np

folder = os.path.join(os.path.dirname(__file__), "npy")
i = np.arange(12).reshape(2, 3, 2)


def save(name, array, version=None):
    with open(os.path.join(folder, name + ".npy"), "wb") as f:
        np.lib.format.write_array(f, array, version=version)


def values(dtype):
    d = np.dtype(dtype)
    x = i * 37 % 23
    if d.kind == "b":
        return i % 3 == 0
    if d.kind == "u":
        return x.astype(d)
    return ((x - 9) / (4 if d.kind == "f" else 1)).astype(d)


for t in ("f8", "f4", "f2", "i8", "i4", "i2", "u8", "u4", "u2"):
    save(t + "_little", values("<" + t))
    save(t + "_big", values(">" + t))
for t in ("i1", "u1", "b1"):
    save(t + "_none", values(t))
save("f4_fortran", np.asfortranarray(values("<f4")))
save("f8_bigfortran", np.asfortranarray(values(">f8")))
save("f4_version2", values("<f4"), (2, 0))
save("f4_version3", values("<f4"), (3, 0))
save("scalar", np.array(1.5, "<f4"))
save("vector", np.array([1.5, -2], "<f4"))
save("empty", np.zeros((3, 0), "<f4"))
save("refused_object", np.array([1, "a"], object))
save("refused_records", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
save("refused_complex", np.zeros(2, "<c8"))
save("refused_text", np.array(["ab"]))
save("refused_bytes", np.array([b"ab"]))
save("refused_dates", np.zeros(2, "<M8[s]"))
save("refused_spans", np.zeros(2, "<m8[s]"))
save("refused_wide", np.zeros(2, np.longdouble))
save("refused_raw", np.zeros(2, "V3"))
