#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Pipes, full disks, locales, interrupts.
. "$top_srcdir/tests/cli/lib.sh"
m=small.safetensors

for command in "list $m" "list $m --json" "compare $m" "curve $m --tensor fc.weight --points 200000 --csv"; do
    { "$qs" $command 2>err; echo $? >status; } | head -n 1 >out
    [ "$(cat status)" = 0 ] && [ ! -s err ]; verdict $? "$command | head: ends silently (exit $(cat status))"
done
{ "$qs" -e 'for i = 1, 1e7 do print(i) end' 2>err; } | head -n 1 >out
[ "$(cat out)" = 1 ] && [ ! -s err ]; verdict $? "-e | head: ends silently"

for command in --help "list $m" "compare $m --json --tensor fc.weight" "curve $m --tensor fc.weight --csv"; do
    "$qs" $command >/dev/full 2>err; code=$?
    [ $code = 1 ] && grep -q 'No space' err; verdict $? "$command on a full disk: says so (exit $code)"
done

# Numbers have a point wherever we are: in the locales that exist, and in one with a comma, made here where its source is.
mkdir locales
localedef -c -f UTF-8 -i de_DE locales/de_DE.UTF-8 >/dev/null 2>&1
"$qs" compare $m --csv --tensor fc.weight --init mse 2>err | cut -d, -f1-6 >want
for locale in $(locale -a 2>/dev/null | grep -iE '^(C|POSIX|C\.utf-?8|de_|fr_|tr_)' | head -8) xx_XX; do
    LC_ALL=$locale "$qs" compare $m --csv --tensor fc.weight --init mse 2>err | cut -d, -f1-6 >out
    cmp -s out want; verdict $? "the same numbers in the locale $locale"
done
if [ -d locales/de_DE.UTF-8 ] && LOCPATH=$work/locales LC_ALL=de_DE.UTF-8 locale decimal_point 2>/dev/null | grep -q ,; then
    export LOCPATH="$work/locales"
    LC_ALL=de_DE.UTF-8 "$qs" compare $m --csv --tensor fc.weight --init mse 2>err | cut -d, -f1-6 >out
    cmp -s out want; verdict $? "the same numbers where the point is a comma"
    LC_ALL=de_DE.UTF-8 "$qs" curve $m --tensor fc.weight --lo 0.01 --hi 0.1 --points 3 --json >out 2>err
    py "which is read as a point too, and JSON stays JSON" <<'P'
assert len(rows) == 3 and abs(rows[0]["step"] - 0.01) < 1e-9
P
    LC_ALL=de_DE.UTF-8 "$qs" -e 'print(0.5, tonumber("0.25"), qs.tensor{0.5}[1])' >out 2>err
    has out '^0\.5	0\.25	0\.5$' "in Lua as well"
    unset LOCPATH
else
    n=$((n + 1)); echo "ok $n - a locale with a comma # SKIP localedef or its sources are not here (package locales)"
fi

TERM=dumb "$qs" compare $m --tensor fc.weight >out 2>err </dev/null; code=$?; exits 0 "TERM=dumb"
env -u HOME -u TERM -u XDG_CONFIG_HOME "$qs" compare $m --tensor fc.weight >out 2>err </dev/null; code=$?
exits 0 "without HOME and TERM"
(cd / && "$qs" list "$work/$m") >out 2>err; code=$?; exits 0 "from another directory"
cp $m ' a name with spaces .st'; run list ' a name with spaces .st'; exits 0 "a file name with spaces"
cp $m './-dash.st'; run list -- -dash.st; exits 0 "a file name with a dash, behind --"

# Ctrl-C: the first stops the work and the program says 130.
interrupted() { # title, command...
    title=$1; shift
    "$qs" "$@" >out 2>err </dev/null &
    pid=$!
    sleep 1
    kill -INT $pid
    { sleep 20; kill -KILL $pid; } >/dev/null 2>&1 &      # holds no pipe of ours open
    guard=$!
    wait $pid; code=$?
    kill $guard 2>/dev/null
    exits 130 "$title"
}
interrupted "Ctrl-C in a Lua loop" -e 'while true do end'
interrupted "Ctrl-C in a loop that catches errors" -e 'while true do pcall(function() while true do end end) end'
interrupted "Ctrl-C in a coroutine" -e 'while true do coroutine.wrap(function() while true do end end)() end'
finish
