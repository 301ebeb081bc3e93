#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A real run on the screen: started by a key (or typed, where the bundled net is not here), watched, paused, looked back
# at, interrupted, resized, left.
. "$top_srcdir/tests/cli/lib.sh"
. "$top_srcdir/tests/cli/terminal.sh"

: >err
mux new-session -d -s a -x 110 -y 36 "PS1='$ ' ENV= exec sh"
mux send-keys "TERM=screen-256color '$qs' '$work/small.safetensors'; echo status \$?" Enter
await 'F1 keys'
keys t; see 'No run yet' "t: the view of training, with what to do"
if [ -f "$top_srcdir/data/nets/smallcnn.safetensors" ]; then
    keys T
    see '> run = qs.train\(qs.bundled "smallcnn"' "T trains the bundled net, and says how in Lua"
else
    n=$((n + 1)); echo "ok $n - T # SKIP the bundled net is not here"
    keys :
    mux send-keys -l 'run = qs.train(qs.nets.smallcnn(), qs.dataset("fashion-mnist", {slice=true, val=200}), {steps=2000, batch=32, record=4, evaluate=100, quant={weights="int2", acts="uint2", init="mse", learn="lsq"}}); run:start()'
    keys Enter Escape
fi
see '─ Training +step [1-9][0-9]*/[0-9]+ ─.* img/s · [0-9]+ (s|min) left ─╮$' "steps, images a second, time left"
see 'before [0-9.]+ % +now [0-9.]+ % +float [0-9.]+ %' "accuracies: before, now, float"
see 'conv2.weight +int2 · mse · lsq' "the quantizer looked at"
see '×[0-9.]+ since the start' "its step against where it began"
await 'step [2-9][0-9]+/'; see '[0-9.]+ × least squares' "and against the least squares"
see '(loss|pulls|rest|squares)' "what pulls it, in words"
keys Down; see 'qs.select\{site="conv3.input"\}' "Down: another quantizer, meanwhile"
keys 2; see 'training [0-9]+/[0-9]+ · .* img/s' "another view: the status line has the run"
keys t p; see '─ paused ─╮$' "p pauses"
see '> run = qs.runs\(\)\[1\]; run:pause\(\)$' "in Lua"
before=$(grep -oE 'step [0-9]+/' out | head -1); sleep 0.5; screen
[ "$(grep -oE 'step [0-9]+/' out | head -1)" = "$before" ]; verdict $? "no step is made then"
keys , ,; see 'seen at step [0-9]+ ' ", looks back"
keys Home; see 'seen at step 0 ' "Home: at the start"
keys End; for i in $(seq 50); do screen; grep -q 'seen at' out || break; sleep 0.1; done
hasnt out 'seen at' "End: as it is"
keys p; see ' img/s · ' "p goes on"
keys C-c; see 'training (is paused|pauses)' "Ctrl-C pauses"
keys :; mux send-keys -l '1 + 41'; keys Enter; see '^ 42$' "the console answers"
keys Escape b; see 'learn=none' "b: branches"; mux send-keys -l 'learn=none'; keys Enter
see 'run 2 of 2 +step' "another run, over the first"
mux resize-window -x 160 -y 48; see '^╭─ Tensors ─.*╮╭─ Training ' "160 x 48: beside the list"
mux resize-window -x 80 -y 24; see '^╭─ Training +run 2 of 2' "80 x 24: alone"
see '^ │|^│ +1 ' "with both runs"
keys q; see 'Work is running. Quit all the same' "q asks while a run goes on"
start=$(date +%s%N)
keys y; await '^status 0$' 50; verdict $? "y ends it"
[ $((($(date +%s%N) - start) / 1000000)) -lt 10000 ]; verdict $? "without waiting for the run"
mux send-keys 'clear; stty -a | tr " ;" "\n\n" | grep -x -e icanon -e echo | tr "\n" +' Enter
see 'icanon\+echo\+' "the terminal is as it was"
finish
