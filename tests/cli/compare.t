#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# quantscope compare: names and meaning of the fields, choice of tensors, formats and initializations.
. "$top_srcdir/tests/cli/lib.sh"
m=small.safetensors

run compare $m --tensor fc.weight --format int4; exits 0 "compare"
has out 'init +step +step/min' "the table has headings"
has out '^mse ' "and a row for mse"
has out 'int4, 4\.267 bits a weight$' "and how many bits a weight takes"
has out 'least-squares minimum' "says what the ratios are against"
hasnt out '[^a-z]nan|[^a-z]inf( |$)' "no NaN"

run compare $m --tensor fc.weight --format int4 --json; exits 0 "compare --json"
py "the names of the contract" <<'P'
need = "tensor format init step offset clip mse nmse sqnr_db step_ratio mse_ratio clipped ms formula source".split()
for r in rows:
    assert not [k for k in need if k not in r], (r["init"], sorted(r))
    assert r["tensor"] == "fc.weight" and r["format"] == "int4" and "steps" not in r
assert {"minmax", "lsq", "mse", "octav", "aciq-gauss", "aciq-laplace"} <= {r["init"] for r in rows}
P
py "nothing is better than the least-squares minimum" <<'P'
best = [r for r in rows if r["init"] == "mse"][0]
assert abs(best["step_ratio"] - 1) < 1e-12 and abs(best["mse_ratio"] - 1) < 1e-12
for r in rows:
    assert r["step"] > 0 and r["mse"] >= best["mse"] * (1 - 1e-12) and r["mse_ratio"] >= 1 - 1e-12, r
    assert abs(r["mse_ratio"] - r["mse"] / best["mse"]) < 1e-9 * r["mse_ratio"]
    assert abs(r["step_ratio"] - r["step"] / best["step"]) < 1e-9 * r["step_ratio"]
P
py "sorted by error" <<'P'
e = [r["mse"] for r in rows]
assert e == sorted(e)
P
py "the error is what Python computes from the step" <<'P'
import math, struct
raw = open("small.safetensors", "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
a, b = json.loads(raw[8:8 + n])["fc.weight"]["data_offsets"]
x = struct.unpack("<120f", raw[8 + n + a:8 + n + b])
f32 = lambda v: struct.unpack("<f", struct.pack("<f", v))[0]
for r in rows:
    s = f32(r["step"])
    q = [f32(max(-8, min(7, round(f32(v / s)))) * s) for v in x]
    mse = sum((v - w) ** 2 for v, w in zip(x, q)) / len(x)
    nmse = mse / (sum(v * v for v in x) / len(x))
    assert abs(mse - r["mse"]) < 1e-6 * mse, (r["init"], mse, r["mse"])
    assert abs(nmse - r["nmse"]) < 1e-6 * nmse and abs(-10 * math.log10(nmse) - r["sqnr_db"]) < 1e-5
    assert abs(sum(f32(v / s) > 7 or f32(v / s) < -8 for v in x) / len(x) - r["clipped"]) < 1e-12
    assert abs(r["clip"] - 8 * r["step"]) < 1e-9 * r["clip"], r
P

run compare $m --tensor fc.weight --format int4,uint4+zp,apot4,nf4@channel,'codebook(-1;0;1)' --init mse,lsq,minmax --json
exits 0 "several formats and initializations"
py "in the order asked for, canonical" <<'P'
seen = []
for r in rows:
    if r["format"] not in seen: seen.append(r["format"])
assert seen == ["int4", "uint4+zp", "apot4", "nf4@channel", "codebook(-1;0;1)"], seen
assert all({r["init"] for r in rows if r["format"] == f} == {"mse", "lsq", "minmax"} for f in seen)
P
py "@channel has a step a channel, others have none" <<'P'
for r in rows:
    if r["format"].endswith("@channel") and "error" not in r:
        assert len(r["steps"]) == 6 and len(r["clips"]) == 6 and all(s > 0 for s in r["steps"])
    else:
        assert "steps" not in r
P
run compare $m --tensor conv.weight --format int4@tensor --init mse --json
py "a format is printed canonically" <<'P'
assert rows[0]["format"] == "int4"
P

run compare $m --init mse,sawb --format int6 --tensor fc.weight --json; exits 0 "an initialization that does not apply"
py "is a row with its error and null numbers" <<'P'
r = [r for r in rows if r["init"] == "sawb"][0]
assert r["error"] and r["mse"] is None and [r for r in rows if r["init"] == "mse"][0]["mse"] > 0
P
run compare $m --init sawb --format int6 --tensor fc.weight; exits 1 "if that was all, it failed"

run compare $m --json; exits 0 "every tensor that is quantized"
py "and no other; an all-NaN tensor is a row with an error" <<'P'
names = {r["tensor"] for r in rows}
assert names == {"conv.weight", "fc.weight", 'odd, "name"', "half.weight", "nan.weight", "some.weight"}, names
bad = [r for r in rows if r["tensor"] == "nan.weight"]
assert bad and all(r.get("error") for r in bad)
good = [r for r in rows if r["tensor"] == "some.weight"]
assert good and all(r["mse"] is not None for r in good if not r.get("error"))
P
run compare $m --csv; exits 0 "compare --csv"
py "CSV: every row has all fields, numbers as in Python" <<'P'
import csv
t = list(csv.DictReader(open("out", newline="")))
assert len(t) > 20 and all(None not in r and None not in r.values() for r in t)
assert "steps" not in t[0] and {r["tensor"] for r in t} >= {'odd, "name"'}
assert all(float(r["mse"]) >= 0 for r in t if r["mse"])
P
run compare zero.safetensors --json --format int4,uint4,apot4; exits 0 "zero, constant, single-element tensors"
py "have defined results" <<'P'
for r in rows:
    assert r.get("error") or (r["step"] > 0 and r["mse"] >= 0), r
P

run compare $m --tensor '*.weight' --init minmax --json; exits 0 "a glob"
py "chooses by name" <<'P'
assert [r["tensor"] for r in rows][:2] == ["conv.weight", "fc.weight"]
P
run compare $m --tensor conv.weight --tensor fc.weight --init minmax --json
py "patterns may be repeated" <<'P'
assert [r["tensor"] for r in rows] == ["conv.weight", "fc.weight"]
P
run compare $m --tensor fc.bias --init minmax --json; exits 0 "a whole name takes a tensor that is not quantized by default"
run compare $m --tensor '*.bias'; exits 1 "a glob does not"; has err 'fc\.bias.*dimension' "and says why"
run compare $m --tensor 'x*'; exits 1 "a pattern without a match"; has err 'no tensor matches --tensor x\*' "is named"
run compare integers.safetensors --json; exits 1 "a model without weights"; has err 'no tensor here is quantized' "says so"
py "and prints an empty array" <<'P'
assert rows == []
P

run compare $m --json --init mse --tensor fc.weight; sed 's/"ms":[^,]*//' out >one
run --threads 1 compare $m --json --init mse --tensor fc.weight; sed 's/"ms":[^,]*//' out >two
cmp -s one two; verdict $? "the same digits whatever the number of threads"

mkdir -p "$XDG_CONFIG_HOME/cfg.$$/quantscope"
XDG_CONFIG_HOME=$XDG_CONFIG_HOME/cfg.$$
cat >"$XDG_CONFIG_HOME/quantscope/config.lua" <<'L'
local qs = require "quantscope"
qs.register_init{name = "mine", doc = "twice the mean", fn = function(index, format) return 2 * index:mean_abs() end}
L
run compare $m --tensor fc.weight --init mine,mse --json; exits 0 "an initialization of config.lua"
py "is a row as any other" <<'P'
r = [r for r in rows if r["init"] == "mine"][0]
assert r["mse"] > 0 and r["step"] > 0
P
run --no-config compare $m --tensor fc.weight --init mine; exits 2 "--no-config before the command"
run compare --no-config $m --tensor fc.weight --init mine; exits 2 "and behind it"
rm -r "$XDG_CONFIG_HOME"
finish
