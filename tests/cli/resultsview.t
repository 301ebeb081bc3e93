#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A results database on the screen while another process writes it (sweeping.py): it grows, is grouped, compared, sorted;
# and files that are missing, damaged, locked or something else.
. "$top_srcdir/tests/cli/lib.sh"
. "$top_srcdir/tests/cli/terminal.sh"
trap 'mux kill-server 2>/dev/null; exec 8>&- 9>&-; rm -rf "$work"' EXIT
line() { keys :; mux send-keys -l "$1"; keys Enter Escape; }

# ---- live ----------------------------------------------------------------------------
mkfifo more lock
"$python" "$tests/sweeping.py" "$top_srcdir/tests/golden/results/v1.db" race.db - <more &
exec 9>more
for i in $(seq 100); do "$qs" results race.db 2>err | grep -q ' 1 running' && break; sleep 0.1; done
: >err
mux new-session -d -s a -x 110 -y 36 "PS1='$ ' ENV= exec sh"
mux send-keys "cd '$work'; TERM=screen-256color '$qs' race.db small.safetensors; echo status \$?" Enter
see '^╭─ Results  race ─.* 0/30 done · 1 running · 29 left ─╮$' "quantscope race.db: its view, before the first cell is done"
echo 4 >&9; see ' 4/30 done · 1 running · 25 left' "it grows with the file"
see '^╭─ Results  race  accuracy ↑ \(more is better\)' "the first metric, and what is better of it"
see '▸ +2 +mse +1/5 ' "one cell of five is in the group looked at"
echo 20 >&9; see '23/30 done · 1 failed · 1 running · 5 left · [0-9.e+]+/s · [0-9]+ s to go ─╮' "done, failed, running, left, the rate and the time left"
see ' 2 +lsq +3/5! ' "a cell that failed is missing in its group, and marked"
see ' accuracy .* loss ' "the series of the group looked at"
see '▸ bits=2,init=mse  4 cells' "over its cells"
keys Down Down; see 'qs.select\{group="bits=2,init=adaptive"\}' "Down: another group, and how one says it"
see '▸ +2 +adaptive ' "it is marked"; see '▸ bits=2,init=adaptive  4 cells' "and its series are shown"
keys Up Up Space; see 'qs.select\{baseline="bits=2,init=mse"\}' "Space: the baseline"
see '▸ B 2 +mse ' "it is marked"; see ' diff B ' "and the others are compared with it"
see ' 2 +adaptive .* \+0.01' "in pairs"
keys Down; see '▸ bits=2,init=lsq  3 cells +B bits=2,init=mse  4 cells' "its series lie under those of the group looked at"
echo 6 >&9; see '29/30 done · 1 failed ─╮' "the sweep is over"
exec 9>&-; wait
see '^│  \*  4 +adaptive +5 ' "the best is marked"
keys s; see '^│  \*  4 +adaptive' "s sorts by the mean, the best first"
[ "$(grep -nE 'bits +init' out | cut -d: -f1)" -eq "$(($(grep -nE '\* +4 +adaptive' out | cut -d: -f1) - 1))" ]; verdict $? "on top"
keys g; see 'Groups are made by' "g: which parameters make groups"
mux send-keys -l bits; keys Enter; see 'qs.select\{by="init"\}' "bits is taken out"
see ' init +n +mean ' "only init is left"; see ' adaptive +10 ' "over bits and seeds"
keys v; see 'what the table shows' "v: the metric"
mux send-keys -l steps; keys Enter; see 'steps_to_90 ↓ \(less is better\)' "less is better of it"
see '\* +lsq|\* +adaptive|\* +mse' "another is best"
line 'qs.select{by="bits,init", metric="accuracy", baseline="init=mse"}'
see ' accuracy .* 29/30' "the same from Lua"
see '^│ +B 4 +mse' "a baseline by one parameter: one for every other"
line 'qs.select{by="bit"}'; see 'EARG: .*parameter "bit"; there are' "a parameter that is not there is said"
line 'qs.select{sweep="walk"}'; see 'EARG: .*there is no sweep called "walk"' "a sweep that is not there too"
line 'qs.select{sweep=""}'
line 'qs.current().results'; see '^ "?race.db"?$' "qs.current() knows the file"

# ---- sizes ---------------------------------------------------------------------------
line 'qs.select{by="", baseline="bits=2,init=mse"}'
mux resize-window -x 80 -y 24; see '^╭─ Results  race .*29/30 done · 1 failed ─╮$' "80 x 24"
mux resize-window -x 160 -y 48; see ' p ' "160 x 48: with the p of the pairs"
mux resize-window -x 110 -y 36
keys R; see '╭─ Weights ' "R goes back"
keys R; see '╭─ Results ' "and comes again"
keys F1 End; see 'compares all with this group' "F1 has the keys of the view"
keys x

# ---- files that are none ----------------------------------------------------------------
line 'qs.select{results="none.db"}'; see 'EIO: none.db: No such file' "a missing file is said in the view"
cp race.db none.db; see '╭─ Results  race .*29/30' "and read once it is there"
rm none.db; see 'EIO: none.db: No such file' "and missed when it is gone"
cp small.safetensors other.db; line 'qs.select{results="other.db"}'; see 'EFORMAT: other.db: not a results database' "another kind of file"
python3 -c 'import os; n = os.path.getsize("race.db"); b = bytearray(open("race.db", "rb").read()); b[1000:] = os.urandom(n - 1000); open("bad.db", "wb").write(b)'
line 'qs.select{results="bad.db"}'; see 'EFORMAT: bad.db: ' "a damaged file"
python3 -c 'import sqlite3; db = sqlite3.connect("race.db"); db.execute("PRAGMA journal_mode = DELETE")'
line 'qs.select{results="race.db"}'; see '29/30' "the file again"
"$python" -c 'import sqlite3, sys
db = sqlite3.connect("race.db", isolation_level=None); db.execute("BEGIN EXCLUSIVE"); sys.stdin.read()' <lock &
exec 8>lock
line 'qs.select{metric="steps_to_90", group="bits=2,init=mse"}'; see 'EIO: race.db: another process has had it locked' "a locked file is said"
see '▸ +2 +mse +5 +49\.0' "what was read stays in sight, and can be asked anew"
keys Down; see 'qs.select\{group="bits=4,init=mse"\}' "and keys work"
exec 8>&-; wait
gone 'EIO'; verdict $? "and once it is free all is well"

keys q; await '^status 0$' 50; verdict $? "q ends it, at once"
finish
