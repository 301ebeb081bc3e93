# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing GGUF files, version 3 (or what claims to be something else), for the scripts that make files for tests."""
import struct

STRING, ARRAY, U32 = 8, 9, 4


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def pair(key, kind, value):
    """One key with its value; an array is (kind of its values, [values])."""
    def plain(k, v):
        return text(v) if k == STRING else struct.pack("<" + "BbHhIifB..QqdX"[k], v)
    if kind == ARRAY:
        of, values = value
        return text(key) + struct.pack("<IIQ", kind, of, len(values)) + b"".join(plain(of, v) for v in values)
    return text(key) + struct.pack("<I", kind) + plain(kind, value)


def build(tensors, pairs=(), version=3, alignment=32):
    """tensors: (name, shape in C order, number of the type, bytes)."""
    infos, data = b"", b""
    for name, shape, kind, raw in tensors:
        infos += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", d) for d in reversed(shape))
        infos += struct.pack("<IQ", kind, len(data))
        data += raw + bytes(-len(raw) % alignment)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs) + infos
    return head + bytes(-len(head) % alignment) + data
