#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# quantscope list: table, JSON, CSV, every kind of tensor.
. "$top_srcdir/tests/cli/lib.sh"

run list small.safetensors; exits 0 "list"
has out '8 tensors' "counts the tensors"
has out 'conv\.weight +F32 +32 +\[8,4,3,3\] +288 ' "type, bits a value, shape, number of values"
has out 'steps +I64 .*integers' "an integer tensor is listed, with the reason why it is not quantized"
has out 'fc\.bias .*dimension' "a bias too"
hasnt out 'nan( |$)' "no NaN in the table"
[ ! -s err ]; verdict $? "nothing on stderr: it is no terminal"

run list small.safetensors --json; exits 0 "list --json"
py "JSON: one object a tensor, in the order of the file" <<'P'
assert [r["tensor"] for r in rows] == ["conv.weight", "fc.weight", "fc.bias", "steps", 'odd, "name"', "half.weight", "nan.weight", "some.weight"]
P
py "JSON: shape, type, counts" <<'P'
r = rows[0]
assert r["shape"] == [8, 4, 3, 3] and r["dtype"] == "F32" and r["n"] == 288 and r["name"] == "conv.weight"
assert r["zeros"] == 0 and r["nans"] == 0 and r["infs"] == 0
assert rows[3]["dtype"] == "I64" and rows[3]["reason"] and rows[0]["reason"] is None
P
py "JSON: statistics agree with Python's" <<'P'
import struct, statistics
raw = open("small.safetensors", "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
head = json.loads(raw[8:8 + n])
a, b = head["fc.weight"]["data_offsets"]
x = struct.unpack("<120f", raw[8 + n + a:8 + n + b])
r = rows[1]
close = lambda got, want: abs(got - want) <= 1e-12 * max(1, abs(want))
m = statistics.fmean(x)
m2 = statistics.fmean([(v - m) ** 2 for v in x])
assert r["min"] == min(x) and r["max"] == max(x) and r["absmax"] == max(map(abs, x))
assert close(r["mean"], m) and close(r["std"], statistics.stdev(x))
assert abs(r["kurtosis"] - statistics.fmean([(v - m) ** 4 for v in x]) / m2 ** 2) < 1e-9, r["kurtosis"]
P
py "JSON: undefined numbers are null, NaN and infinity are counted" <<'P'
r = rows[6]
assert r["nans"] == 9 and all(r[k] is None for k in ("min", "max", "absmax", "mean", "std", "kurtosis"))
r = rows[7]
assert r["nans"] == 1 and r["infs"] == 1 and r["max"] == 1 and r["min"] == -1
P

run list small.safetensors --csv; exits 0 "list --csv"
py "CSV: RFC 4180 quoting, every row has all fields" <<'P'
import csv
t = list(csv.DictReader(open("out", newline="")))
assert len(t) == 8 and all(None not in r and None not in r.values() for r in t)
assert t[4]["tensor"] == 'odd, "name"' and t[0]["shape"] == "[8,4,3,3]" and t[6]["mean"] == ""
assert float(t[0]["std"]) > 0
P

run list small.safetensors --tensor 'fc.*' --json; exits 0 "list --tensor"
py "a pattern chooses" <<'P'
assert [r["tensor"] for r in rows] == ["fc.weight", "fc.bias"]
P
run list small.safetensors --tensor nothing; exits 1 "a pattern without a match is an error"
has err 'no tensor matches --tensor nothing' "that names the pattern"

run list plain.npy --json; exits 0 "a .npy"
py "is one tensor" <<'P'
assert len(rows) == 1 and rows[0]["shape"] == [5, 7]
P
run list zero.safetensors --json; exits 0 "zero, constant, single"
py "have finite statistics" <<'P'
assert rows[0]["std"] == 0 and rows[0]["zeros"] == 16 and rows[1]["std"] == 0 and rows[2]["n"] == 1 and rows[2]["std"] == 0
P
blocks=$top_srcdir/tests/oracle/golden/gguf_blocks.gguf
run list "$blocks" --tensor 'Q4_K*' --json; exits 0 "blocks of GGUF"
py "have the statistics of what they stand for" <<'P'
a, b = rows
assert a["dtype"] == "Q4_K" and a["reason"] == "already quantized" and a["shape"] == [2, 256]
assert all(a[k] == b[k] for k in ("min", "max", "mean", "std", "kurtosis", "zeros"))
P
cp small.safetensors model.bin
run list model.bin; exits 0 "the content says the format, not the name"

run list evil_names.safetensors; exits 0 "names with control characters"
! grep -q "$(printf '\033')" out; verdict $? "do not reach the terminal"
run list evil_names.safetensors --json; py "and are whole in JSON" <<'P'
assert [r["name"] for r in rows] == ["\x1b[31mred\x07", "名前.weight"]
P
LC_ALL=C.UTF-8 "$qs" list evil_names.safetensors >out 2>err; has out '名前' "UTF-8 is shown where the locale has it"
LC_ALL=C "$qs" list evil_names.safetensors >out 2>err; verdict $? "and does no harm where it has not"
finish
