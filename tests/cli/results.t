#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# results and merge: groups, baselines and lists as table, JSON and CSV, of a database that our program did not write
# (tests/golden/results.py); errors; reading while another writes; the schema is as its manual page says.
. "$top_srcdir/tests/cli/lib.sh"
db=$work/v1.db
cp "$top_srcdir/tests/golden/results/v1.db" "$db" && chmod u+w "$db"

run results "$db"
exits 0 "a list where there are several sweeps"
has out '^race +2024-05-31T12:00:00.000Z +30 +28 +1 +0 +1  race.lua$' "with its counts, when and from what"
run results "$db" --json
py "the list as JSON" <<'EOF'
assert [r["sweep"] for r in rows] == ["race", "empty"]
assert rows[0] == {"sweep": "race", "made": "2024-05-31T12:00:00.000Z", "cells": 30, "done": 28, "failed": 1, "running": 0,
                   "left": 1, "script": "race.lua", "program": "quantscope 0"}, rows[0]
EOF

run results "$db" --sweep race
exits 0 "one sweep"
has out '^race: 30 cells, 28 done, 1 failed, 0 running, 1 left$' "says what became of its cells"
has out '^metric accuracy; also: loss$' "which metric, and the others"
has out '^2 +lsq +0.1 +4 +0.86 .* 0 +1 +0$' "a failed cell is counted in its group"
has err 'quantscope: 1 of 30 cells failed; the first: \{"bits":2,"init":"lsq".* \(failed: no convergence\)' "and said"

run results "$db" --sweep race --by init,bits --baseline init=mse --json
exits 0 "groups and a baseline"
py "numbers of groups and pairs" <<'EOF'
from statistics import mean, stdev
step = {"mse": 0, "lsq": -.05, "adaptive": .01}
def accuracy(init, bits, seed): return .5 + .1 * bits + .07 * seed + step[init] + (.005 * seed if init == "adaptive" else 0)
gone = {("lsq", 2, 3), ("mse", 4, 4), ("adaptive", 4, 5)}
def values(i, b): return {s: accuracy(i, b, s) for s in range(1, 6) if (i, b, s) not in gone}
assert [(r["init"], r["bits"]) for r in rows] == [(i, b) for i in step for b in (2, 4)]
for r in rows:
    v, base = values(r["init"], r["bits"]), values("mse", r["bits"])
    assert r["metric"] == "accuracy" and r["n"] == len(v)
    for key, want in ("mean", mean(v.values())), ("std", stdev(v.values())), ("min", min(v.values())), ("max", max(v.values())):
        assert abs(r[key] - want) < 1e-9, (r, key, want)
    assert r["lo"] < r["mean"] < r["hi"]
    if r["init"] == "mse":
        assert "diff" not in r or r["diff"] is None
        continue
    d = [v[s] - base[s] for s in v if s in base]
    assert r["pairs"] == len(d) and abs(r["diff"] - mean(d)) < 1e-9 and r["p"] == 2 / 2 ** len(d), r
    assert r["diff_lo"] <= r["diff"] + 1e-12 and r["diff"] <= r["diff_hi"] + 1e-12
assert [r["failed"] for r in rows] == [0, 0, 1, 0, 0, 0] and [r["left"] for r in rows] == [0, 0, 0, 0, 0, 1]
assert [r["undefined"] for r in rows] == [0, 1, 0, 0, 0, 0]
EOF
run results "$db" --sweep race --by init --metric loss --csv
py "CSV; infinite values are left out and counted" <<'EOF'
import csv
rows = list(csv.DictReader(open("out")))
assert [(r["init"], r["metric"], r["n"], r["undefined"]) for r in rows] == [
    ("mse", "loss", "8", "2"), ("lsq", "loss", "7", "2"), ("adaptive", "loss", "8", "1")], rows
assert all(r["diff"] == "" for r in rows)
EOF
run results "$db" --sweep empty --json
exits 0 "a sweep without cells"
[ "$(tr -d ' \n' <out)" = '[]' ]; verdict $? "is an empty array"

run results "$db" --by init
exits 2 "several sweeps and none named"
has err 'race, empty' "says which there are"
run results "$db" --sweep rice; exits 2 "no such sweep"; has err 'rice' "is named"
run results "$db" --sweep race --by inits; exits 2 "no such parameter"; has err 'bits, init, n, seed' "says which there are"
run results "$db" --sweep race --metric x; exits 2 "no such metric"; has err 'accuracy, loss' "says which there are"
run results "$db" --sweep race --baseline init=x; exits 2 "no such value"; has err 'mse, lsq, adaptive' "says which there are"
run results "$db" --sweep race --baseline init; exits 2 "a baseline is PARAMETER=VALUE"
run results; exits 2 "no DB"
run results a b; exits 2 "two"
run results none.db; exits 3 "no such file"; has err 'none.db: No such file' "is named"
run results small.safetensors; exits 3 "another kind of file"; has err 'small.safetensors: not a results database' "is named"
head -c 9000 "$db" >cut.db
run results cut.db; exits 3 "a damaged file"; has err 'cut.db' "is named"

# Another process in the middle of a transaction: what was there before is read.
python3 - "$db" <<'EOF' &
import os, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("BEGIN IMMEDIATE")
db.execute("DELETE FROM metric")
open("writing", "w").close()
while not os.path.exists("enough"): time.sleep(.02)
db.execute("ROLLBACK")
EOF
writer=$!
while [ ! -e writing ] && kill -0 $writer 2>/dev/null; do sleep 0.05; done
run results "$db" --sweep race --by init --json
exits 0 "reads while another writes"
py "what was committed" <<'EOF'
assert [r["n"] for r in rows] == [9, 9, 9]
EOF
: >enough
wait $writer

run merge all.db "$db"
exits 0 "merge makes a database"
run results all.db --sweep race --baseline init=mse --json; mv out one
run results "$db" --sweep race --baseline init=mse --json
cmp -s out one; verdict $? "with the same results"
run merge all.db "$db" "$db"
run results all.db --sweep race --baseline init=mse --json
cmp -s out one; verdict $? "twice changes nothing"
run merge new.db none.db; exits 3 "a file that is not there"
[ ! -e new.db ]; verdict $? "leaves nothing behind"
run merge new.db; exits 2 "nothing to merge"
cp "$db" other.db
python3 -c 'import sqlite3; db = sqlite3.connect("other.db"); db.execute("UPDATE source SET script_hash = 1"); db.commit()'
run merge all.db other.db; exits 1 "another script"
has err 'other.db: the sweep "race" was run with another script than in all.db' "is said"
run merge all.db other.db --accept-changes; exits 0 "unless accepted"
run merge shared.db "$db" --journal delete
exits 0 "for a shared file system"
py "there is no write-ahead log" <<'EOF'
import sqlite3
assert sqlite3.connect("shared.db").execute("PRAGMA journal_mode").fetchone() == ("delete",)
assert sqlite3.connect("all.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)
EOF
run merge shared.db "$db" --journal wall; exits 2 "no such journal"

# The manual page and the schema: every table, view and column, and the version; the golden file has the same.
sed 's/\\f.//g; s/\\//g' "$top_srcdir/man/quantscope-results.5" >page
py "the schema is as the manual page says" <<EOF
import re, sqlite3
page = open("page").read()
def tables(path):
    db = sqlite3.connect(path)
    names = [r[0] for r in db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")]
    return {t: [r[1] for r in db.execute(f"PRAGMA table_info({t})")] for t in names}, db.execute("PRAGMA user_version").fetchone()[0]
ours, version = tables("all.db")
assert (ours, version) == tables("$db"), "the golden file differs"
assert f"about version {version}." in page
for t, columns in ours.items():
    part = re.search(r"^\.TP\n\.B %s\n(.*?)(?=^\.TP|^\.PP)" % t, page, re.S | re.M)
    assert part, t
    for c in columns: assert re.search(r"\b%s\b" % c, part[1]), (t, c)
EOF
if command -v man >/dev/null; then
    LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$top_srcdir/man/quantscope-results.5" >/dev/null 2>err
    [ ! -s err ]; verdict $? "and formats without a warning"
fi
finish
