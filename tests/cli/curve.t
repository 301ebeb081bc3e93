#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# quantscope curve: exact at every point, its parts, its ranges.
. "$top_srcdir/tests/cli/lib.sh"
m=small.safetensors

run curve $m --tensor fc.weight --format int4; exits 0 "curve"
has out 'step +error +clipping +rounding' "the table has headings"
has out '^fc\.weight .*int4, 4\.267 bits a weight$' "and says how many bits a weight takes, with its step"
run curve $m --tensor fc.weight --format int4 --points 50 --json; exits 0 "curve --json"
py "one object a point" <<'P'
assert len(rows) == 50
for r in rows:
    assert r["tensor"] == "fc.weight" and r["format"] == "int4" and "channel" not in r
    assert abs(r["error"] - r["clip"] - r["round"]) <= 1e-12 * r["error"]
s = [r["step"] for r in rows]
assert s == sorted(s) and s[0] > 0
P
py "each is what Python computes at that step" <<'P'
import struct
raw = open("small.safetensors", "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
a, b = json.loads(raw[8:8 + n])["fc.weight"]["data_offsets"]
x = struct.unpack("<120f", raw[8 + n + a:8 + n + b])
f32 = lambda v: struct.unpack("<f", struct.pack("<f", v))[0]
for r in rows:
    s = f32(r["step"])
    e = sum((v - max(-8, min(7, round(v / s))) * s) ** 2 for v in x) / len(x)
    assert abs(e - r["error"]) < 1e-5 * e, (s, e, r["error"])
P
run curve $m --tensor fc.weight --points 20 --lo 0.01 --hi 0.1 --json; exits 0 "a range"
py "is kept" <<'P'
assert abs(rows[0]["step"] - 0.01) < 1e-9 and abs(rows[-1]["step"] - 0.1) < 1e-8 and len(rows) == 20
P
run curve $m --tensor fc.weight --points 64 --norm 3 --json; exits 0 "another norm"
py "has no parts" <<'P'
assert all(r["error"] > 0 and r["clip"] is None and r["round"] is None for r in rows)
P
run curve $m --tensor fc.weight --points 10 --csv; exits 0 "curve --csv"
py "CSV" <<'P'
import csv
t = list(csv.DictReader(open("out", newline="")))
assert len(t) == 10 and all(float(r["error"]) > 0 for r in t)
P
run curve $m --tensor conv.weight --format int4@channel; exits 2 "several steps"; has err '[-]-channel 0 to 7' "want --channel"
run curve $m --tensor conv.weight --format int4@channel --channel 7 --points 5 --json; exits 0 "one of them"
py "says which" <<'P'
assert all(r["channel"] == 7 and r["format"] == "int4@channel" for r in rows)
P
run curve $m --tensor conv.weight --format int4@channel --channel 8; exits 2 "beyond the last"
run curve $m --tensor '*.weight'; exits 2 "a pattern with several matches"; has err 'conv\.weight and fc\.weight' "names two"
run curve "$top_srcdir/tests/oracle/golden/gguf_blocks.gguf" --tensor Q6_K --format int4 --points 5 --json; exits 0 "of codes with scales"
run curve $m --tensor nothing; exits 1 "a pattern without a match"; has err 'no tensor matches' "is named"
run curve $m --tensor nan.weight; exits 1 "all NaN"; has err 'nan\.weight' "is a named error"
run curve zero.safetensors --tensor zero.weight; exits 1 "all zero"; has err 'zero\.weight' "is a named error"
finish
