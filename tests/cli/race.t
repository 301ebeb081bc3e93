#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# quantscope race: rows, the table, what did not come in, Ctrl-C, exit codes.
. "$top_srcdir/tests/cli/lib.sh"
mkdir conf conf/quantscope

run race --slice --steps 6 --init lsq,mse --seed 3 --net mlp --json; exits 0 "a race"
[ ! -s err ]; verdict $? "nothing on stderr, which is no terminal"
py "a row a run, the best first" <<'P'
assert {r["init"] for r in rows} == {"lsq", "mse"} and rows[0]["after"] >= rows[1]["after"]
for r in rows:
    assert r["state"] == "done" and r["steps"] == 6 and r["seed"] == 3 and r["bits"] == 2 and r["learn"] == "lsq"
    assert r["net"] == "mlp" and r["set"] == "fashion-mnist" and r["slice"] is True
    assert 0 <= r["before"] <= 1 and r["after"] > 0.5 and r["float"] > 0.8 and r["loss"] > 0
    assert r["seconds"] > 0 and r["init_seconds"] > 0 and r["name"] == "lsq int2/uint2 " + r["init"]
    assert "error" not in r and "reason" not in r and r["start_steps"] > 0
    assert r["tenth"] is not None and 0 <= r["tenth"] <= 1, "of two validations of 6 steps, the one of step 2"
json.dump(rows, open("first.json", "w"))
P
run race --slice --steps 6 --init mse --seed 3 --net mlp --json --threads 1
py "each ends as it would alone, on one thread too" <<'P'
same = [r for r in load("first.json") if r["init"] == "mse"][0]
for key in ("before", "after", "loss", "accuracy_raw"): assert rows[0][key] == same[key], key
P
run race --slice --steps 1 --init mse --bits 4 --learn none --csv; exits 0 "another net, width and rule, as CSV"
py "with the same names" <<'P'
import csv
row = list(csv.DictReader(open("out")))[0]
assert row["init"] == "mse" and row["net"] == "smallcnn" and row["bits"] == "4" and row["name"] == "none int4/uint4 mse", row
P

run race --slice --net mlp --steps 2 --init mse,sawb,lsq; exits 0 "one that cannot start does not stop the others"
has out '^mlp on fashion-mnist: 2 steps of 128 images, seed 1, learn lsq$' "the table says what raced"
has out 'float net: [0-9.]+ %' "and how the float net does"; has out '^init +before +after +start s +=steps +train s +state$' "has a head"
has out '^mse +[0-9.]{4,5} +[0-9.]{4,5} .* done$' "percents"; has out '^sawb .*refused$' "who did not start"
has out 'demonstration only' "says what the slice is"; has out 'standard error' "and how sure an accuracy is"
has err 'sawb: EUNSUP: .*signed' "and why, on stderr"
awk 'length($0) > 80 { exit 1 }' out; verdict $? "and fits into 80 columns"
run race --slice --net mlp --steps 1 --init sawb; exits 1 "nobody can start"; has err 'sawb' "is said"; [ ! -s out ]; verdict $? "nothing on stdout"
run race --slice --net mlp --steps 1
for init in lsq 'lsq\+' mse; do has out "^$init +[0-9]" "by default $init is there"; done

# ---- recorded, and played -------------------------------------------------------------
run race --slice --net mlp --steps 20 --init lsq,mse,sawb --record r.json --json; exits 0 "recorded"
cp out computed.json
run race --play ./r.json --speed 0 --json; exits 0 "played"
py "the same rows" <<'P'
for r, c in zip(rows, load("computed.json")):
    for key in ("init", "state", "steps", "name", "net", "set", "seed"): assert r[key] == c[key], key
    for key in ("before", "tenth", "third", "after", "loss", "seconds", "init_seconds", "start_steps", "float"):
        assert (r[key] is None and c[key] is None) or abs(r[key] - c[key]) <= 2e-4 * abs(c[key]), (key, r[key], c[key])
assert rows[2]["init"] == "sawb" and "EUNSUP" in rows[2]["error"]
P
run race --play r.json --speed 50; exits 0 "played as text"
has out '^recorded [0-9-]+ by quantscope .* on ' "when, by what, on what"; has out '^lsq +starts at [0-9.]+ %, after [0-9.]+ s$' "the starts as they come"
has out '^step +2   lsq [0-9.]+ %   mse [0-9.]+ %$' "the validations"; has out '^mse +[0-9.]{4,5} .* done$' "the table at the end"
run race --play r.json --speed 50 --csv; exits 0 "as CSV"; has out '^init,before,tenth,third,after' "nothing but that"
for name in smallcnn-2bit depthwise-2bit resnet8-apot3; do
    run race --play $name --speed 0; exits 0 "$name comes with the program"
    has out '^lapq +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9]+ +[0-9.]+ +done$' "with all its numbers"
done
run race --play nothing; exits 2 "a name there is not"; has err 'smallcnn-2bit' "the names there are"
run race --play ./nothing.json; exits 3 "a file there is not"
head -c 1000 r.json >cut.json; run race --play ./cut.json; exits 3 "a file that is cut"; has err 'cut.json: no recorded race' "is said"
run race --play small.safetensors; exits 3 "a file of another kind"
run race --play r.json --steps 3; exits 2 "what is recorded cannot be told otherwise"
run race --speed 2; exits 2 "a speed of nothing"
run race --play r.json --speed fast; exits 2 "a speed that is none"
run race --slice --net mlp --steps 1 --init mse --record nowhere/r.json; exits 3 "a folder there is not"
"$qs" race --play r.json --speed 0.0001 >out 2>err </dev/null & pid=$!
i=0; while [ $i -lt 100 ] && [ ! -s out ]; do sleep 0.1; i=$((i + 1)); done
kill -INT $pid; wait $pid; code=$?
exits 130 "Ctrl-C while it plays"

# Runs as wild as config.lua makes them; an initialization of one's own.
cat >conf/quantscope/config.lua <<'L'
local core, wild = require "quantscope.core", os.getenv "WILD"
local train = core.train
core.train = function(net, d, o)
    if wild == "all" or o.quant.init == wild then o.lr, o.schedule = 1e30, "constant" end
    return train(net, d, o)
end
qs.register_init {name = "mine", doc = "", fn = function(ix) return ix:moments().std end}
L
export XDG_CONFIG_HOME="$work/conf"
WILD=mse; export WILD
run race --slice --net mlp --steps 4 --init mse,mine --json; exits 0 "one diverges, one does not"
has err '^quantscope: mse: step [0-9]+: ' "which is said"
py "and stands behind" <<'P'
assert [r["init"] for r in rows] == ["mine", "mse"] and rows[1]["state"] == "diverged" and "step" in rows[1]["reason"]
assert rows[1]["steps"] < 4 and rows[0]["steps"] == 4
P
WILD=all
run race --slice --net mlp --steps 4 --init mse,mine --json; exits 4 "all diverge"
py "the rows are there" <<'P'
assert len(rows) == 2 and all(r["state"] == "diverged" for r in rows)
P
run race --no-config --slice --net mlp --steps 1 --init mine; exits 2 "without config.lua it is not there"

# Ctrl-C while it trains: config.lua tells when.
cat >conf/quantscope/config.lua <<'L'
local methods = require "quantscope.core".types.run.__methods
local advance = methods.advance
methods.advance = function(...)
    io.open("going", "w"):close()
    return advance(...)
end
L
"$qs" race --slice --net mlp --steps 100000 --init mse,lsq >out 2>err </dev/null & pid=$!
i=0; while [ $i -lt 300 ] && [ ! -e going ]; do sleep 0.1; i=$((i + 1)); done
kill -INT $pid; wait $pid; code=$?
exits 130 "Ctrl-C"; has err interrupted "is said"; [ ! -s out ]; verdict $? "and half a table is not printed"
finish
