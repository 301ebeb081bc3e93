#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# quantscope report: rows and totals against sums made here, budgets, the page, memory within a limit, an interrupt.
. "$top_srcdir/tests/cli/lib.sh"
m=small.safetensors

run report $m; exits 0 "report"
has out '^conv.weight ' "a line a tensor"
has out '^The whole: 6 tensors' "and the whole"
has out 'int4 +4\.[0-9]+ bits a weight' "with bits a weight, scales and all"
hasnt out '[^a-z]nan( |$)|[^a-z]inf( |$)' "no NaN"
has out 'nan.weight .*no finite value' "a tensor without an answer says why"

run report $m --format int3,int4@channel --init lsq,mse,minmax --json; exits 0 "report --json"
py "a row a tensor and format, then a total a format" <<'P'
need = "kind tensor dtype shape n min max mean std kurtosis zeros nans infs format nmse sqnr_db bpw bytes".split()
rows_of = [r for r in rows if r["kind"] == "tensor"]
assert [r["kind"] for r in rows] == ["tensor"] * len(rows_of) + ["total"] * 2, rows
names = ["conv.weight", "fc.weight", 'odd, "name"', "half.weight", "nan.weight", "some.weight"]
assert [(r["tensor"], r["format"]) for r in rows_of] == [(n, f) for n in names for f in ("int3", "int4@channel")]
for r in rows_of:
    assert not [k for k in need if k not in r], sorted(r)
    if r["tensor"] == "nan.weight":
        assert "no finite value" in r["error"] and r["nmse"] is None and "init" not in r
    else:
        assert r["init"] == "mse" and r["rule"] in ("lsq", "minmax") and (r["mse"] == 0 or r["rule_ratio"] >= 1) and abs(r["mse_ratio"] - 1) < 1e-12
P
py "statistics, errors and totals are what Python computes" <<'P'
import math, struct
raw = open("small.safetensors", "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
head = json.loads(raw[8:8 + n])
f32 = lambda v: struct.unpack("<f", struct.pack("<f", v))[0]
noise, weight, bits, values = 0, 0, 0, 0
for r in rows:
    if r["kind"] != "tensor" or r["format"] != "int3" or "error" in r: continue
    h = head[r["tensor"]]
    a, b = h["data_offsets"]
    every = struct.unpack("<%d%s" % (r["n"], "e" if h["dtype"] == "F16" else "f"), raw[8 + n + a:8 + n + b])
    x = [v for v in every if math.isfinite(v)]
    mean = sum(x) / len(x)
    m2, m4 = (sum((v - mean) ** p for v in x) for p in (2, 4))
    assert r["shape"] == h["shape"] and r["nans"] + r["infs"] == len(every) - len(x)
    for key, want in ("min", min(x)), ("max", max(x)), ("mean", mean), ("std", math.sqrt(m2 / (len(x) - 1))), ("kurtosis", m4 * len(x) / m2 ** 2):
        assert abs(r[key] - want) <= 1e-9 * abs(want) + 1e-12, (r["tensor"], key, r[key], want)
    s = f32(r["step"])
    q = [f32(max(-4, min(3, round(f32(v / s)))) * s) for v in x]
    nmse = sum((v - w) ** 2 for v, w in zip(x, q)) / sum(v * v for v in x)
    assert abs(nmse - r["nmse"]) < 1e-6 * nmse and abs(r["bpw"] - (3 + 32 / r["n"])) < 1e-12 and abs(r["bytes"] * 8 - r["bpw"] * r["n"]) < 1e-9
    noise, weight, bits, values = noise + nmse * len(x), weight + len(x), bits + 3 * r["n"] + 32, values + r["n"]
t = [r for r in rows if r["kind"] == "total"][0]
assert t["format"] == "int3" and t["tensor"] is None and t["n"] == values and abs(t["bpw"] - bits / values) < 1e-12
assert abs(t["nmse"] - noise / weight) < 1e-6 * t["nmse"] and abs(t["sqnr_db"] + 10 * math.log10(noise / weight)) < 1e-5
P
py "outlier channels" <<'P'
r = [r for r in rows if r["kind"] == "tensor" and r["tensor"] == "fc.weight"][0]
assert r["outliers"] == 0 and 0 <= r["outlier_channel"] < 6 and 1 <= r["outlier_ratio"] < 3
P

run report $m --budget 4 --init mse --json; exits 0 "a budget"
py "is kept, by the best of all choices" <<'P'
import itertools
cells = [r for r in rows if r["kind"] == "tensor" and "error" not in r]
picked = [r for r in cells if r["suggested"]]
total = [r for r in rows if r["kind"] == "budget"][0]
names = [r["tensor"] for r in picked]
assert len(set(names)) == len(names) == 5
fin = lambda r: r["n"] - r["nans"] - r["infs"]
bits, n = sum(r["bpw"] * r["n"] for r in picked), sum(r["n"] for r in picked)
assert bits / n <= 4 and abs(total["bpw"] - bits / n) < 1e-9 and total["bound"] >= total["sqnr_db"] - 1e-9
noise = lambda rs: sum(r["nmse"] * fin(r) for r in rs)
best = min(noise(c) for c in itertools.product(*[[r for r in cells if r["tensor"] == t] for t in names])
           if sum(r["bpw"] * r["n"] for r in c) <= 4 * n * (1 + 1e-12))
assert noise(picked) <= best * (1 + 1e-6), (noise(picked), best)
P
run report $m --sqnr 30 --init mse --csv; exits 0 "an SQNR, as CSV"
has out '^kind,tensor,dtype,shape,n,' "with a head"
has out '^budget,,,,' "and what the suggestions add up to"
run report $m --budget 1; exits 1 "a budget that cannot be met"
has err 'less than the smallest formats take, 2\.' "says what could"
run report $m --sqnr 200; exits 1 "nor an SQNR"
has err 'more than the best formats reach, [0-9.]+ dB' "says what could"
run report $m --budget 3 --sqnr 20; exits 2 "not both"
run report $m --html x.html --json; exits 2 "nor two outputs"
run report $m --format int9; exits 2 "a format that is none"
run report $m --init nosuch; exits 2 "an initialization that is none"
run report none.safetensors; exits 3 "no such file"
run report none.safetensors --html x.html; exits 3 "nor for a page"
run report integers.safetensors; exits 1 "nothing to report"
run report $m --tensor 'fc*' --tensor half.weight --format int4 --init mse --json; exits 0 "some tensors"
py "only these" <<'P'
assert [r["tensor"] for r in rows] == ["fc.weight", "half.weight", None], rows
P

# ---- the page
run report $m --budget 4 --html page.html; exits 0 "a page"
[ ! -s out ] && [ ! -s err ]; verdict $? "says nothing"
has page.html '^<!DOCTYPE html>' "is one"
has page.html 'odd, &quot;name&quot;' "with names escaped"
[ "$(grep -c 'src="data:image/svg+xml,' page.html)" = 3 ]; verdict $? "with its three plots inside"
! sed 's/src="data:[^"]*"//' page.html | grep -qiE '<script|https?://|<link|@import|url\(|src=' ; verdict $? "and nothing from elsewhere"
python3 - <<'P'
from html.parser import HTMLParser
class P(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.bad = [], 0
    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "br"): self.open.append(tag)
    def handle_endtag(self, tag): self.bad += not self.open or self.open.pop() != tag
p = P()
p.feed(open("page.html", encoding="utf-8").read())
raise SystemExit(1 if p.bad or p.open else 0)
P
verdict $? "well formed"
run report evil_names.safetensors --html evil.html; exits 0 "names that could harm"
! grep -q "$(printf '\033')" evil.html && grep -q '名前' evil.html; verdict $? "do not, and letters are kept"
echo before >kept.html
run report $m --budget 1 --html kept.html; exits 1 "where there is no report"
[ "$(cat kept.html)" = before ]; verdict $? "the old page stays"
run report $m --html nowhere/page.html; exits 3 "a folder that is not there"

# ---- large: 21 M values in one tensor (more than are sorted), and many; memory is of the work, not of the file
blocks=320; [ "$LUA_STOCK" != - ] || blocks=32     # a sanitized build is slow
python3 - $blocks <<'P'
import array, json, random, struct, sys
n = int(sys.argv[1])
r = random.Random(4)
block = array.array("f", (r.gauss(0, .02) for _ in range(65536))).tobytes()
head = {"big": {"dtype": "F32", "shape": [n, 65536], "data_offsets": [0, n << 18]}}
for i in range(8): head["t%d" % i] = {"dtype": "F32", "shape": [64, 1024], "data_offsets": [(n + i) << 18, (n + 1 + i) << 18]}
text = json.dumps(head).encode()
text += b" " * (-len(text) % 8)
with open("large.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text)
    for i in range(n + 8): f.write(block)
P
if "$qs" --version >/dev/null && (ulimit -d 400000 && "$qs" --version) >/dev/null 2>&1; then limit=400000; else limit=unlimited; fi    # sanitizers need more
( ulimit -d $limit; exec "$qs" report large.safetensors --format int4,int4@channel --init mse,lsq --json >out 2>err </dev/null ); code=$?
exits 0 "a tensor of $((blocks / 4)) MiB within $limit kB of memory of our own"
py "every block of it is the same, so its error is that of one" <<'P'
big, small = ([r for r in rows if r["tensor"] == t and r["format"] == "int4"][0] for t in ("big", "t0"))
assert big["n"] == big["shape"][0] * small["n"]
for k in ("step", "mse", "nmse", "kurtosis", "clipped"): assert abs(big[k] - small[k]) <= 1e-6 * small[k], (k, big[k], small[k])
P
cat >interrupt.py <<'P'
import os, signal, subprocess, sys
p = subprocess.Popen([sys.argv[1], "report", "large.safetensors"] + sys.argv[2:], stdout=open("out", "w"), stderr=open("err", "w"))
while p.poll() is None and "large.safetensors" not in open("/proc/%d/maps" % p.pid).read(): pass
if p.poll() is None: p.send_signal(signal.SIGINT)
raise SystemExit(p.wait())
P
python3 interrupt.py "$qs" --json; code=$?; exits 130 "Ctrl-C"; has err 'interrupted$' "is said"
[ ! -s out ]; verdict $? "nothing half printed"
python3 interrupt.py "$qs" --html half.html; code=$?; exits 130 "Ctrl-C, of a page"
[ -z "$(ls half* 2>/dev/null)" ]; verdict $? "no half page"
finish
