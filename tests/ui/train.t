#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The view of training on made-up runs (tests/ui/fake): whole screens against tests/ui/golden, then its keys.
. "${top_srcdir:-.}/tests/ui/lib.sh"

shot train-none-80x24.txt 80x24 '' t
shot train-80x24.txt 80x24 '-r 1' t
shot train-110x36.txt 110x36 '-r 1' t Down Down , ,
shot train-160x48.txt 160x48 '-r 3' t Right
shot train-block-80x24.txt 80x24 '-r 2 -c block' t Down
vars='LC_ALL=C NO_COLOR=1' shot train-ascii-110x30.txt 110x30 '-r 3' t Up
shot train-explain-110x36.txt 110x36 '-r 1' t ? Up Up Up Left
shot train-100x30-beside.txt 100x30 '-r 1' t 1

# ---- keys, while runs move ----------------------------------------------------------
tm -f /dev/null new-session -d -s a -x 110 -y 36 "TERM=screen-256color $fake; echo status \$?; sleep 60"
await 'F1 keys'
keys T; see '> run = qs.train\(qs.bundled "smallcnn", qs.dataset\("fashion-mnist"' "T trains, and says how in Lua"
see '─ Training  step [0-9]+/300 ─+ 3,120 img/s · [0-9]+ s left ─╮$' "the frame: steps, images a second, time left"
see 'before 36.5 %  now [4-9][0-9].. %  float 90.2 %' "accuracies: before, now, float"
keys 3; see 'training [0-9]+/300 · 3,120 img/s · [0-9]+ s left$' "in another view the status line says so"
keys t; see '─ Training  step' "t comes back"
keys p; see 'run = qs.runs\(\)\[1\]; run:pause\(\)' "p pauses, in Lua"
see '─ paused ─╮$' "and it is paused"
keys ,; see 'seen at step [0-9]+ ' ", goes to the last record"
keys Home; see 'seen at step 0 ' "Home to the first"
keys '?' Tab Tab Tab; see '─ Clipped +conv' "? and Tab: a number of the quantizer explains itself"
keys Tab Tab Tab Tab; see '─ Where the squared error pulls +conv' "and the arrow"
keys Escape
keys End; gone 'seen at' "End: as it trains"
keys Down; see 'qs.select\{site="conv3.input"\}' "Down: the next quantizer"
keys b; see 'learn=none +steps stay as they are now' "b: what to branch into"
keys i n i t = o c t Enter; see 'qs.runs\(\)\[1\]:branch\{init="octav"\}; run:start\(\)' "chosen by typing"
see 'run 2 of 2  step' "the branch is looked at"
see ' 1 int2/uint2.*▸2 a branch' "both are in the legend"
keys Left; see 'qs.select\{run=1\}' "Left: the other run"
keys S; see '─ stopped by hand ─' "S stops, and the frame says why"
keys p; see 'this run is stopped; b branches' "then it does not go on"
keys e C-u; tm send-keys -l "$D/train.svg"; keys Enter; see 'written: .*/train.svg' "e: training as a picture"
python3 - "$D/train.svg" <<'P' >"$D/judged" 2>&1
import sys, xml.etree.ElementTree as ET
w = ET.parse(sys.argv[1]).getroot().find("{http://www.w3.org/2000/svg}desc").text.split("\n")
assert "loss" in w and "accuracy, %" in w and "steps against the first" in w and "mean squared error" in w, w
P
[ ! -s "$D/judged" ]; verdict $? "all its panels are on it"
sed 's/^/# /' "$D/judged"
keys T; see 'Train the bundled network again from' "T with runs: from which start"
keys Escape C-c; see 'training pauses; p in its view goes on' "Ctrl-C pauses what trains"
keys F1 End; see 'back and forth through the records' "F1 has the keys of the view"
keys x 1 q; see 'status 0|Work is running' "q quits"
echo "1..$n"
exit $bad
