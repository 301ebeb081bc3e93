#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# README.md is true: its commands and its Lua run, what it says of the bundled model comes out.
. "$top_srcdir/tests/cli/lib.sh"
readme=$top_srcdir/README.md
mkdir tour && cd tour || exit 99
ln -s "$top_srcdir/data" data && ln -s "$top_builddir" build

sed -nE 's/^ +(build\/quantscope .*)/\1/p' "$readme" >../commands
[ -s ../commands ]; verdict $? "has commands"
while IFS= read -r line; do
    (eval "$line") >../out 2>../err </dev/null
    rc=$?
    [ $rc = 0 ] && [ ! -s ../err ]; verdict $? "runs: $line"
done <../commands

cat >tour.lua <<'L'
local qs = require "quantscope"
m = qs.load "data/blazeface_front.onnx"
for _, name in ipairs(m:names()) do
  if name:find("/conv2d_9/Conv2D", 1, true) then t = m[name] end
end
f = qs.format "int4"
q = qs.init("mse", t, f)
L
sed -nE 's/^ +(qs\.register_init.*)/\1/p; s/^ +(qs\.compare\(.*)/print("first", \1)/p' "$readme" >>tour.lua
echo 'for _, r in ipairs(qs.compare(t, f)) do print(r.init, r.sqnr_db) end' >>tour.lua
run run tour.lua; exits 0 "its Lua runs"
has out '^first	mse$' "the first row of a comparison"; has out '^three	' "the registered initialization is a row at once"

model=data/blazeface_front.onnx
run list $model --json
py "the size of the model" <<'P'
w = [r for r in rows if not r["reason"]]
assert sum(r["n"] for r in w) == 99202 and len(w) == 37 and len(rows) - len(w) == 34
P
run compare $model --format int8,int2 --init lsq,minmax --json
py "LSQ's rule: far too wide at 8 bits, among the good ones at 2" <<'P'
from statistics import median
ratio = lambda f, key: median(r[key] for r in rows if r["format"] == f and r["init"] == "lsq")
assert ratio("int8", "step_ratio") > 2 and ratio("int8", "mse_ratio") > 5
assert ratio("int2", "mse_ratio") < 1.2
P
finish
