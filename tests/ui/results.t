#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The view of results on made-up numbers (tests/ui/fake): whole screens against tests/ui/golden, then its keys.
. "${top_srcdir:-.}/tests/ui/lib.sh"

shot results-none-80x24.txt 80x24 '' R
shot results-80x24.txt 80x24 '-d results.db' R Down
shot results-110x36.txt 110x36 '-d results.db' R Space Down Down
shot results-160x48.txt 160x48 '-d results.db' R Down Space Up s
shot results-block-110x30.txt 110x30 '-d results.db -c block' R Space Down
vars='LC_ALL=C NO_COLOR=1' shot results-ascii-110x30.txt 110x30 '-d results.db' R Space Down
shot results-menu-80x24.txt 80x24 '-d results.db' R g
shot results-error-80x24.txt 80x24 "-d results.db -x 'EFORMAT: results.db: the file is damaged (database disk image is malformed)'" R

shot results-explain-110x36.txt 110x36 '-d results.db' R Space Down '?' Right Right Right Right Right Right Right

# ---- keys -----------------------------------------------------------------------------
tm -f /dev/null new-session -d -s a -x 110 -y 36 "TERM=screen-256color $fake -d results.db; echo status \$?; sleep 60"
await 'F1 keys'
keys R; see '^╭─ Results  init-race  2 of 2  accuracy ↑ ─.* 23/30 done · 1 failed · 1 running · 5 left · 14 s to go ─╮' "R: sweep, metric, how it comes on"
keys Up; see '▸ +2 +mse' "up from the first row stays there"
keys End; see '▸ +4 +adaptive +0/5 +- ' "a group without a value has none"
keys Home x; see '  accuracy ↓ ─' "x: less is better"
see '│  \*  2 +lsq' "and another is best"
keys x v; see 'what the table shows' "v: the metrics"
keys l Enter; see 'qs.select\{metric="loss"\}' "chosen by typing"
see '  loss ↓ ─' "of a loss less is better without being told"
keys g s e e d Enter; see 'qs.select\{by="bits,init,seed"\}' "g: a parameter more"
keys g b i t s Enter; see 'qs.select\{by="init"\}' "a parameter less"
keys g s e e d , i n i t Enter; see 'qs.select\{by="seed,init"\}' "all of them, typed"
keys '?'; see '─ Cells  bits=2,init=mse ─' "?: the numbers of the group looked at explain themselves"
keys Right; see '─ Mean  bits=2,init=mse ─' "one after the other"
keys Escape Left; see 'qs.select\{sweep="walk"\}' "Left: the other sweep"
see '^╭─ Results  walk  1 of 2' "which is shown"
keys 7 Space; see 'qs.select\{baseline="bits=2,init=mse"\}' "7 is the view; Space pins"
keys Space; see 'qs.select\{baseline=""\}' "Space again lets go"
keys ']'; see 'no such key here' "a key of the weights' quantizer means nothing here"
keys 2; see '─ Weights ' "2: another view"
keys R R; see '─ Weights ' "R twice: back there"
keys F1 End; see 'whether less or more of the metric is better' "F1 has the keys of the view"
keys x 1 q; see 'status 0' "q quits"
echo "1..$n"
exit $bad
