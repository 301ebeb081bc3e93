# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads .safetensors and the codes `quantscope quantize --codes` writes, by the words of the manual and the standard library."""
import json, math, struct

LETTER = {"F32": "f", "F16": "e", "I8": "b", "U8": "B", "I16": "h", "U16": "H", "I32": "i", "I64": "q"}


def single(x):
    """Rounded to float32."""
    return struct.unpack("f", struct.pack("f", x))[0]


class Tensor:
    def __init__(self, dtype, shape, raw):
        self.dtype, self.shape, self.raw = dtype, shape, raw

    def values(self):
        n = math.prod(self.shape)
        return list(struct.unpack("<%d%s" % (n, LETTER[self.dtype]), self.raw))


def tensors(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    head.pop("__metadata__", None)
    return {k: Tensor(v["dtype"], v["shape"], raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]) for k, v in head.items()}


def dequantize(file, name, format):
    """The values of `name`: scale * (level - zero_point) + offset."""
    codes, scale = file[name + ".codes"], file[name + ".scale"]
    per = {part: file[name + part].values() for part in (".scale", ".zero_point", ".offset") if name + part in file}
    book = file[name + ".codebook"].values() if name + ".codebook" in file else None
    out = []
    for i, code in enumerate(codes.values()):
        if not scale.shape:
            k = 0
        elif "@group" in format:
            inputs = math.prod(codes.shape[1:])
            k = i // inputs * scale.shape[1] + i % inputs // int(format.split("@group")[1])
        else:
            axis = [a for a, d in enumerate(scale.shape) if d > 1][0]
            k = i // math.prod(codes.shape[axis + 1:]) % codes.shape[axis]
        level = book[code] if book else code
        if ".zero_point" in per:
            level = single(level - per[".zero_point"][k])
        y = single(level * per[".scale"][k])
        out.append(single(y + per[".offset"][k]) if ".offset" in per else y)
    return out
