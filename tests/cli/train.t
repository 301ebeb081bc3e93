#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Training from scripts: exit codes, Ctrl-C, data that is missing.
. "$top_srcdir/tests/cli/lib.sh"

cat >train.lua <<'L'
local d = assert(qs.dataset("fashion-mnist", {slice = true, val = 200}))
local run = assert(qs.train(qs.nets.mlp(), d, {steps = 5, batch = 50, quant = {weights = 2, acts = 2}}))
for s in run:steps() do print(s.step, s.loss) end
print(d.note)
print(run.state)
assert(run:export "run.csv")
assert(run:export "run.json")
L
run run train.lua; exits 0 "a script that trains"; has out '^5	' "makes its steps"; has out '^done$' "and is done"
has out 'demonstration only' "the slice says what it is"
py "the exported history is JSON and CSV" <<'P'
import csv
run = load("run.json")
h = run["history"]
assert run["state"] == "done" and len(h["loss"]) == 5 and "demonstration only" in run["data"]
assert set(h["quantizers"]) == {"fc1.weight", "fc2.input", "fc2.weight", "fc3.input", "fc3.weight"}
rows = list(csv.DictReader(open("run.csv")))
steps = {r["step"]: r for r in rows}
assert [float(steps[str(i)]["loss"]) for i in range(1, 6)] == h["loss"]
assert float(steps["0"]["fc2.weight.step"]) == h["quantizers"]["fc2.weight"]["step"][0]
P

sed 's/steps = 5/steps = 5, lr = 1e30/' train.lua >wild.lua
run run wild.lua; exits 4 "a script whose run diverged"; has out '^diverged$' "which sees it"; has err 'EDIVERGED' "as does stderr"
py "the history is kept" <<'P'
assert load("run.json")["state"] == "diverged"
P
run -e 'assert(qs.train(qs.nets.mlp(), qs.dataset("fashion-mnist", {slice=true}), {steps=9, lr=1e30}):finish())'
exits 4 "-e that dies of it"; has err 'EDIVERGED: .*step' "says where"
run -e 'local r = qs.train(qs.nets.mlp(), qs.dataset("fashion-mnist", {slice=true}), {steps=9, lr=1e30}); r:finish(); os.exit(0)'
exits 0 "os.exit has the last word"

run -e 'assert(qs.dataset{images="nowhere/i.npy", labels="nowhere/l.npy"})'; exits 3 "missing data"; has err nowhere "is named"
run -e 'assert(qs.dataset "nosuchset")'; exits 1 "no such data set"; has err fashion-mnist "those there are"
head -c 1000 "$top_srcdir/data/fashion-mnist/t10k-images-idx3-ubyte.gz" >cut.gz
run -e 'assert(qs.dataset{images="cut.gz", labels="cut.gz"})'; exits 3 "damaged data"; has err 'cut\.gz' "is named"

cat >long.lua <<'L'
local d = assert(qs.dataset("fashion-mnist", {slice = true, val = 200}))
local run = assert(qs.train(qs.nets.smallcnn(), d, {steps = 100000, batch = 64, quant = {weights = 2, acts = 2}}))
print "ready"
io.stdout:flush()
pcall(function() for s in run:steps() do if s.step == 2 then print "going" io.stdout:flush() end end end)
while true do end
L
"$qs" run long.lua >out 2>err </dev/null & pid=$!
i=0; while [ $i -lt 300 ] && ! grep -q going out; do sleep 0.2; i=$((i + 1)); done
kill -INT $pid; wait $pid; code=$?
exits 130 "Ctrl-C in the middle of a run"; has err 'interrupted' "is said"
finish
