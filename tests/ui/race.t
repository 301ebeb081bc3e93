#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The view of races on made-up numbers (tests/ui/fake): whole screens against tests/ui/golden, then its keys.
. "${top_srcdir:-.}/tests/ui/lib.sh"

shot race-none-80x24.txt 80x24 '' r
shot race-starts-80x24.txt 80x24 '-a -2' r
shot race-80x24.txt 80x24 '-a 48' r Right
shot race-110x36.txt 110x36 '-a inf' r
shot race-160x48.txt 160x48 '-a 100' r Down x
shot race-block-80x24.txt 80x24 '-a inf -c block' r Down
vars='LC_ALL=C NO_COLOR=1' shot race-ascii-110x30.txt 110x30 '-a inf' r
shot race-menu-80x24.txt 80x24 '' r o
shot race-explain-110x36.txt 110x36 '-a inf' r '?' Right Right Right Right

# ---- keys, while it runs ----------------------------------------------------------------
tm -f /dev/null new-session -d -s a -x 110 -y 36 "TERM=screen-256color $fake; echo status \$?; sleep 60"
await 'F1 keys'
keys V; see '> race = qs.race\(qs.bundled "smallcnn", qs.dataset\("fashion-mnist"' "V races, and says how in Lua"
see '─ Race  smallcnn  lsq int2/uint2  seed 1 ─' "in its view"
see '^│  4 adaptive  .* waits' "a racer whose start is not ready waits"
see '^│  1 lsq .* step [0-9]+ ' "one that trains has its steps"
see '^│ \*4 adaptive .* done ' "the best is marked"
see '^│  3 sawb +EUNSUP: conv2.input' "one that cannot start says why"
see '^│  5 minmax .* diverged' "one that diverged says so"
see ' before +@15 +@45 +after ' "the table has accuracies along the way"
keys Right; see '← 2 of 4 →' "Right: a panel alone"
keys Right; see 'ln s/s0  conv2.weight  int2' "the next: steps"
keys Down; see 'ln s/s0  fc1.weight  int8' "Down: of another quantizer"
keys x; see 'ln s/s0, s0: of 1  fc1.weight' "x: all against where the first began"
keys a; see 'loss .* accuracy, %; line: float net, 91.2 %' "a: all four again"
keys e C-u; tm send-keys -l "$D/race.svg"; keys Enter; see 'written: .*/race.svg' "e: the race as a picture"
python3 - "$D/race.svg" <<'P' >"$D/judged" 2>&1
import sys, xml.etree.ElementTree as ET
w = ET.parse(sys.argv[1]).getroot().find("{http://www.w3.org/2000/svg}desc").text.split("\n")
for word in ("loss", "weights that oscillate, %", "adaptive", "lsq", "float net"): assert word in w, w
P
[ ! -s "$D/judged" ]; verdict $? "all its panels are on it"
sed 's/^/# /' "$D/judged"
keys o; see 'smallcnn-2bit +2 bits, LSQ' "o: the recorded ones"
keys Down Enter; see '> race = qs.play\("depthwise-2bit", \{speed=8\}\); print\(race\)' "one is played, in Lua"
see 'recorded 2026-11-26, quantscope 0.1.0' "what is recorded says when and with what"
see 'recorded · step 150/150' "it plays to its end"
keys '?'; see '─ Accuracy  lsq ─' "?: numbers of the table explain themselves"
keys Right Right Right Right; see 'seconds from the float net to a run that is ready' "the price of a start too"
keys Escape ']'; see 'no such key here' "a key of the weights' quantizer means nothing here"
keys r; see '─ Weights ' "r: back"
keys 8; see '─ Race  smallcnn' "8 is the view"
keys R r 2; see '─ Weights ' "two views that stand alone, one opened from the other, and another view"
keys F1 End; see 'or where the first did' "F1 has the keys of the view"
keys x 1 q; see 'status 0' "q quits"
echo "1..$n"
exit $bad
