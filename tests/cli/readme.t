#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The tour in README.md is true: its commands and its Lua run, its numbers come out.
. "$top_srcdir/tests/cli/lib.sh"
readme=$top_srcdir/README.md
mkdir tour && cd tour || exit 99
ln -s "$top_srcdir/data" data && ln -s "$top_builddir" build

sed -n 's/^    \(build\/quantscope .*\)/\1/p' "$readme" >../commands
[ "$(wc -l <../commands)" -ge 4 ]; verdict $? "has commands"
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
sed -n '/^\*\*Script/,/^The new/s/^    //p' "$readme" | sed 's/^qs\.compare(.*/rows = &/; s/^t:summary().*/print(&)/' >>tour.lua
cat >>tour.lua <<'L'
for _, r in ipairs(rows) do print(r.init, r.sqnr_db) end
L
run run tour.lua; exits 0 "its Lua runs"
has out '^325\.' "the kurtosis"; has out '^mine' "the registered initialization is a row"

conv=data/blazeface_front.onnx
run compare $conv --tensor '*/conv2d_9/*' --format int4,int4@channel --init mse,octav,minmax --json
py "its numbers" <<'P'
r = {(r["format"], r["init"]): r for r in rows}
assert round(r["int4", "mse"]["sqnr_db"], 1) == 6.5 and round(r["int4", "minmax"]["sqnr_db"], 1) == 2.1
assert round(r["int4", "minmax"]["mse_ratio"], 1) == 2.7 and r["int4", "octav"]["mse_ratio"] < 1.01
assert round(r["int4@channel", "mse"]["sqnr_db"], 1) == 20.1
P
run list $conv --json
py "the size of the model" <<'P'
w = [r for r in rows if not r["reason"]]
assert sum(r["n"] for r in w) == 99202 and len(w) == 37
s = [r for r in rows if "/conv2d_9/Conv2D" in r["name"]][0]
assert round(s["std"], 3) == 0.072 and round(s["min"], 2) == -2.51
P
finish
