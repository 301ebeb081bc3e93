#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A real race on the screen: started by a key, watched while it runs and cancelled; one that is typed runs to its end; a
# recorded one is played.
. "$top_srcdir/tests/cli/lib.sh"
. "$top_srcdir/tests/cli/terminal.sh"

: >err
mux new-session -d -s a -x 110 -y 36 "PS1='$ ' ENV= exec sh"
mux send-keys "TERM=screen-256color '$qs' '$work/small.safetensors'; echo status \$?" Enter
await 'F1 keys'
keys r; see 'No race yet' "r: the view of races, with what to do"
keys V
see '> race = qs.race\(qs.bundled "smallcnn"' "V races the bundled net, and says how in Lua"
see '─ Race +smallcnn +lsq int2/uint2 +seed 1 ─.* step [0-9]+/100 ─╮$' "what races"
see '^│ .1 lsq +[0-9.]+ .* step [0-9]+ ' "the first is at its start"
see '^│ .3 adaptive +(waits|[0-9.]+)' "the last, too, or waits for it"
await 'step [1-9][0-9]*/100'; see '^│ .3 adaptive +[0-9.]+ .* step [1-9][0-9]* ' "all make steps"
keys C-c; see 'cancelled at step [0-9]+/100: race = qs.race\(\) has it' "Ctrl-C cancels"
see '^│ .1 lsq .* cut at [0-9]+ ' "and what there is stays"
keys :; mux send-keys -l 'race = qs.race(); print(#race, race[1].init, race[1].run.step > 0)'; keys Enter
see '^ 3	?  *lsq	?  *true' "in Lua, too"
mux send-keys -l 'race = qs.race(qs.nets.mlp(), qs.dataset("fashion-mnist", {slice=true, val=100}), {inits={"mse", "sawb", "lsq"}, steps=20, evaluate=4, record=4, quant={weights=2, acts=2}}); print(race)'
keys Enter; see '^ 3 lsq +[0-9.]+ .* done' "one that is typed: the table in the console"
keys Escape; see '^│ .2 sawb +EUNSUP' "in the view, who could not start"
see ' step 20/20 ─╮$' "and that it is at its end"
see ' before +@4 +@8 +after ' "accuracies along the way"
keys o; mux send-keys -l smallcnn; keys Enter
see 'qs.play\("smallcnn-2bit", \{speed=3\}\)' "o: a recorded race"
see '─ Race +smallcnn .*recorded · step [1-9][0-9]*/150 ─╮$' "is played"
keys C-c; see 'interrupted|cancelled' "Ctrl-C ends it"
mux send-keys ':' ; mux send-keys -l 'race = qs.play("resnet8-apot3", {speed=0})'; keys Enter Escape
see '─ Race +resnet8 +rcf apot3/uapot3 .*recorded · step 150/150 ─╮$' "at once"
mux resize-window -x 160 -y 48; see 'loss .* accuracy, %; line: float net' "160 x 48: all panels"
mux resize-window -x 80 -y 24; see '← 1 of 4 →' "80 x 24: one of them"
keys q; await '^status 0$' 50; verdict $? "q ends it"
finish
