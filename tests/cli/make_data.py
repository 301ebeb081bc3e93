#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the files of the command-line tests into a folder: with the standard library only, and not with our own writers.

    small.safetensors    conv.weight [8,4,3,3], fc.weight [6,20], fc.bias [6], steps [2] (I64), "odd, name" [4,4],
                         half.weight [4,8] (F16), nan.weight [3,3] (all NaN), some.weight [2,4] (with NaN and infinity)
    zero.safetensors     zero.weight [4,4], const.weight [4,4], one.weight [1,1]
    plain.npy            [5,7] float32
    hostile/*            files that must be refused, each with a name that says why
"""
import json, os, random, struct, sys


def tensors(specs):
    """specs: name -> (dtype, shape, bytes). Returns a .safetensors file."""
    head, data = {}, b""
    for name, (dtype, shape, raw) in specs.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def f32(values):
    return struct.pack("<%df" % len(values), *values)


def f16(values):
    return struct.pack("<%de" % len(values), *values)


def npy(shape, raw, descr="<f4", fortran=False):
    head = "{'descr': %r, 'fortran_order': %r, 'shape': %r, }" % (descr, fortran, shape)
    head = head.encode() + b" " * (63 - (len(head) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + raw


def raw_header(text, data=b"", length=None):
    text = text.encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(name, shape, start, end):
    return '"%s":{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}' % (name, shape, start, end)


def main(folder):
    rng = random.Random(1)
    gauss = lambda n, s=0.1: [rng.gauss(0, s) for _ in range(n)]
    nan, inf = float("nan"), float("inf")
    files = {
        "small.safetensors": tensors({
            "conv.weight": ("F32", [8, 4, 3, 3], f32(gauss(288))),
            "fc.weight": ("F32", [6, 20], f32(gauss(120, 0.3))),
            "fc.bias": ("F32", [6], f32(gauss(6))),
            "steps": ("I64", [2], struct.pack("<2q", 7, -3)),
            "odd, \"name\"": ("F32", [4, 4], f32(gauss(16))),
            "half.weight": ("F16", [4, 8], f16(gauss(32))),
            "nan.weight": ("F32", [3, 3], f32([nan] * 9)),
            "some.weight": ("F32", [2, 4], f32([nan, 1, -1, 0.5, inf, 0.25, -0.5, 0.125])),
        }),
        "zero.safetensors": tensors({
            "zero.weight": ("F32", [4, 4], f32([0.0] * 16)),
            "const.weight": ("F32", [4, 4], f32([0.5] * 16)),
            "one.weight": ("F32", [1, 1], f32([-2.0])),
        }),
        "evil_names.safetensors": tensors({
            "\x1b[31mred\x07": ("F32", [2, 2], f32([1, 2, 3, 4])),
            "\u540d\u524d.weight": ("F32", [2, 2], f32([1, 2, 3, 5])),
        }),
        "integers.safetensors": tensors({"ids": ("I32", [2], struct.pack("<2i", 1, 2))}),
        "plain.npy": npy((5, 7), f32(gauss(35))),
        "hostile/empty.safetensors": b"",
        "hostile/seven_bytes.safetensors": b"1234567",
        "hostile/text.safetensors": b"this is not a model\n" * 20,
        "hostile/huge_header.safetensors": raw_header("{" + one("a", "[1]", 0, 4) + "}", b"1234", 1 << 62),
        "hostile/header_past_end.safetensors": raw_header("{" + one("a", "[1]", 0, 4) + "}", b"1234", 5000),
        "hostile/not_json.safetensors": raw_header('{"a":{"dtype":"F32",', b"1234"),
        "hostile/overlap.safetensors": raw_header("{" + one("a", "[1]", 0, 4) + "," + one("b", "[1]", 2, 6) + "}", b"1" * 6),
        "hostile/hole.safetensors": raw_header("{" + one("a", "[1]", 0, 4) + "," + one("b", "[1]", 8, 12) + "}", b"1" * 12),
        "hostile/twice.safetensors": raw_header("{" + one("a", "[1]", 0, 4) + "," + one("a", "[1]", 4, 8) + "}", b"1" * 8),
        "hostile/overflow.safetensors": raw_header("{" + one("a", "[4294967296,4294967296,4]", 0, 4) + "}", b"1234"),
        "hostile/negative.safetensors": raw_header("{" + one("a", "[-1]", 0, 4) + "}", b"1234"),
        "hostile/short.npy": npy((5, 7), f32(gauss(12))),
        "hostile/object.npy": npy((2,), b"\x00" * 16, "|O"),
        "hostile/header.npy": b"\x93NUMPY\x01\x00\xff\xff{",
        "hostile/cut.onnx": b"\x08\x07\x12\x04test\x3a\xff\xff\xff\xff\x0f",
    }
    for name, data in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)


main(sys.argv[1])
