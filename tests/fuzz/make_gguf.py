#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""corpus/gguf: small files from which a fuzzer starts. Plain bytes; what they stand for does not matter here."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "oracle"))
import gguf_file as g   # noqa: E402

# number: bytes of a block, values
BLOCKS = {2: (18, 32), 3: (20, 32), 6: (22, 32), 7: (24, 32), 8: (34, 32), 10: (84, 256), 11: (110, 256), 12: (144, 256),
          13: (176, 256), 14: (210, 256), 20: (18, 32), 23: (136, 256), 39: (17, 32), 40: (36, 64)}


def block(kind):
    size, values = BLOCKS[kind]
    return values, bytes((37 * i + kind) % 251 for i in range(size))


def main():
    files = {
        "empty": g.build([]),
        "plain": g.build([(f"t{k}", (2, 2), k, bytes(4 * s)) for k, s in ((0, 4), (1, 2), (24, 1), (25, 2), (27, 8), (28, 8), (30, 2))]),
        "version2": g.build([("w", (3,), 0, bytes(12))], [g.pair("general.name", g.STRING, "two")], version=2),
        "keys": g.build([("w", (1,), 0, bytes(4))], [
            g.pair("general.architecture", g.STRING, "llama"), g.pair("general.alignment", g.U32, 64),
            g.pair("general.file_type", g.U32, 7), g.pair("split.count", 2, 3), g.pair("split.no", 2, 1),
            g.pair("tokens", g.ARRAY, (g.STRING, ["a", "bc"])), g.pair("scores", g.ARRAY, (6, [1.0, 2.0])),
            g.pair("big", 10, 1 << 40), g.pair("real", 12, .5), g.pair("yes", 7, 1), g.pair("small", 1, -1)], alignment=64),
        "listed": g.build([("a", (256,), 16, bytes(66)), ("b", (5,), 99, bytes(8))]),
    }
    files["scaled"] = g.build([("e.weight", (2, 1, 64), 40, 2 * block(40)[1]), ("e.scale", (2,), 0, bytes(range(8))),
                               ("w.weight", (1, 32), 2, block(2)[1]), ("w.weight.scale", (1,), 0, bytes(4))])
    for i in range(2):
        files["part-%05d-of-00002" % (i + 1)] = g.build([("w%d.weight" % i, (2, 2), 0, bytes(range(16)))], [
            g.pair("general.architecture", g.STRING, "llama"), g.pair("split.no", 2, i), g.pair("split.count", 2, 2)])
    for k in BLOCKS:
        values, raw = block(k)
        files[f"type{k}"] = g.build([("w", (1, values), k, raw)])
    for name, raw in files.items():
        with open(os.path.join(HERE, "corpus", "gguf", name + ".gguf"), "wb") as f:
            f.write(raw)


main()
