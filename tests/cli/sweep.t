#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A sweep from the workbench's console, from a script, from a stock lua5.4; the example that comes with the program. Faults are
# in sweep-faults.t.
. "$top_srcdir/tests/cli/lib.sh"
XDG_CONFIG_HOME=$work/xdg XDG_STATE_HOME=$work/xdg
export XDG_CONFIG_HOME XDG_STATE_HOME

cat >slow.lua <<'L'
local qs = require "quantscope"
local s = qs.sweep{name = "slow", grid = {a = qs.range(1, 40)}, run = function(cell, job)
  local till = os.clock() + (tonumber(arg[1]) or 0.12)
  while os.clock() < till do job.progress(0.5, "waiting") end
  return {y = cell.a * 2, z = #arg}
end}
if ... then return assert(s:run{db = "slow.db", jobs = 2, filter = "a=1|2|3"}) end
return s
L
run run slow.lua 0.01; exits 0 "a script that runs its sweep"
has err '^\[3/3\] a=[123]: done, .*, y [246], z 1$' "a line a cell, with the script's arguments"
run run slow.lua 0.01; has err 'all of 3 cells are done' "again: nothing is left"
run -e 'print(dofile("slow.lua"):run{db="slow.db", filter="a=1|2|3|4", quiet=true}.before)'
exits 0 "another way to the same sweep"; has out '^3$' "finds what is done"
run sweep slow.lua --dry-run --db slow.db --filter 'a=4|5' --json
py "--dry-run as JSON" <<'P'
assert [r["cell"] for r in rows] == ['{"a":4}', '{"a":5}'] and [r["status"] for r in rows] == ["done", "none"]
assert [r["runs"] for r in rows] == [False, True] and all(0 < r["job_seed"] < 2**53 for r in rows)
P
[ ! -e slow.1-of-2.db ]; verdict $? "and writes nothing"

case ${LUA_STOCK:--} in
-) ;;      # a sanitized module does not load into it, or it is not here: tests/lua says so
*)
    LUA_PATH="$top_srcdir/lua/?.lua;$top_srcdir/lua/?/init.lua;;" LUA_CPATH="$top_builddir/intree/?.so;;" \
        "$LUA_STOCK" slow.lua 0.01 >out 2>err </dev/null
    code=$?; exits 0 "a stock lua5.4 finds the program of its build"
    has err 'all of 3 cells are done' "and results are the same to it" ;;
esac

example=$top_srcdir/scripts/experiments/init-race.lua
run sweep "$example" --dry-run; exits 0 "the example is a sweep"
[ "$(wc -l <out)" = 19 ]; verdict $? "of 18 cells"

if ! command -v tmux >/dev/null; then
    n=$((n + 1)); echo "ok $n - the console # SKIP tmux is not here: it is the terminal"
    finish
fi
. "$top_srcdir/tests/cli/terminal.sh"
: >err
mux new-session -d -x 130 -y 50 "LC_ALL=C.UTF-8 TERM=screen-256color QUANTSCOPE_PROGRAM= '$qs' '$work/small.safetensors'; sleep 100"
see "F1 keys" "the workbench"; sleep 0.5
mux send-keys :; sleep 0.2
mux send-keys -l 's = qs.sweep{name="typed", grid={x={1,2,3}}, run=function(c) return {y=c.x} end}; s:run()'; mux send-keys Enter
see 'sweep typed: 3 of 3 cells to run here' "a sweep that is typed runs here, and says so"
see 'sweep typed: 3 of 3 cells done' "to its end"
mux send-keys -l 'd = dofile "slow.lua"; d:run{jobs=2, db="console.db"}'; mux send-keys Enter
see '[1-9][0-9]*/40 done, 2 running' "one from a file runs in workers, its progress on the status line"
mux send-keys C-c
see 'the same command goes on from there' "Ctrl-C ends it"
mux send-keys -l 'print("still " .. 6 * 7)'; mux send-keys Enter
see 'still 42' "and the prompt is there"
python3 - <<'P'
import sqlite3, sys
left = sqlite3.connect("console.db").execute("SELECT count(*) FROM run WHERE status <> 'done'").fetchone()[0]
sys.exit(left != 0)
P
verdict $? "no cell is left half run"
mux send-keys -l 'dofile "slow.lua":run{jobs=2, db="console.db"}.done'; mux send-keys Enter
see '^ *40$' "the same call goes on, and gives how many are done"

finish
