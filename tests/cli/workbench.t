#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The workbench, whole: real weights, real Lua, a real terminal (tmux), driven by QUANTSCOPE_SCRIPT.
. "$top_srcdir/tests/cli/lib.sh"

if ! command -v tmux >/dev/null; then
    echo "1..0 # SKIP tmux is not here: it is the terminal"
    exit 0
fi
unset TMUX NO_COLOR
mux() { tmux -f /dev/null -S "$work/tmux" "$@"; }
trap 'mux kill-server 2>/dev/null; rm -rf "$work"' EXIT
XDG_CONFIG_HOME=$work/xdg XDG_STATE_HOME=$work/xdg

# drive SIZE ARG...: runs the program on a screen of that size with script.txt; leaves $code and what it captured.
drive() {
    size=$1; shift
    rm -f code screen*
    cat >run.sh <<S
cd '$work'
export QUANTSCOPE_SCRIPT=script.txt LC_ALL=${locale:-C.UTF-8} TERM=${term:-screen-256color}
export XDG_CONFIG_HOME='$XDG_CONFIG_HOME' XDG_STATE_HOME='$XDG_STATE_HOME' $more
'$qs' $* 2>err
echo \$? >code
S
    mux new-session -d -x "${size%x*}" -y "${size#*x}" "sh run.sh" || exit 99
    for i in $(seq 600); do [ -s code ] && break; sleep 0.1; done
    code=$(cat code 2>/dev/null)
    mux kill-server 2>/dev/null
    cp screen out 2>/dev/null
}

cat >script.txt <<'S'
wait idle
capture screen
key q
S
more='' drive 80x24 small.safetensors; exits 0 "opens, draws and quits at 80x24"
has screen 'small\.safetensors' "names the model"; has screen 'conv\.weight' "lists its tensors"; has screen 'int4' "in a format"
[ "$(wc -l <screen)" -le 24 ]; verdict $? "fits 24 lines"
more='' drive 160x48 small.safetensors zero.safetensors; exits 0 "two models at 160x48"
locale=C more='' drive 80x24 small.safetensors --plot ascii --color none; exits 0 "ASCII, no colour"
! LC_ALL=C grep -q '[^ -~]' screen; verdict $? "in the C locale nothing but ASCII is drawn"
more='NO_COLOR=1' drive 60x15 small.safetensors; exits 0 "a small screen"

cat >script.txt <<'S'
wait idle
key ]
wait idle
key :
type t.name, f.bits
key Enter
wait idle
type for i = 1, 2 do
key Enter
type print("line", i)
key Enter
type end
key Enter
wait idle
type qs.compare(t, f, {"mine"})[1].init .. " runs"
key Enter
wait idle
type nosuch.field
key Enter
wait idle
capture screen
type os.exit(5)
key Enter
wait 5000
S
mkdir -p xdg/quantscope
echo 'qs.register_init{name = "mine", doc = "a test", fn = function(index) return index:mean_abs() end}' >xdg/quantscope/config.lua
more='' drive 120x60 small.safetensors; exits 5 "os.exit in the console ends the workbench with its code"
has screen 'int5' "a key changed the bits"
has screen 'int5 · 5\.111 bits · ' "and how many a weight takes, with its step"
has screen 'qs\.select' "and its call is echoed"
has screen 'conv\.weight.*5' "globals follow the selection"
has screen 'line.*2' "statements over several lines run"
has screen 'nosuch' "an error is shown"
has xdg/quantscope/history 't\.name' "the history is kept"
has screen 'mine runs' "an initialization of config.lua is there"

# A quantized tensor beside the float one it was made of, which is opened later.
run quantize small.safetensors --tensor 'conv*' --tensor 'fc.w*' --format int4@channel --codes -o codes.safetensors
exits 0 "writes codes"
run diff small.safetensors codes.safetensors --tensor conv.weight --json
measure=$(python3 -c 'import json; r = json.load(open("out"))[0]; print("%.2f dB +MSE %.4g +%d of %d levels used +%.3f bits" % (r["sqnr_db"], r["mse"], r["used"], r["levels"], r["bpw"]))' | sed 's/\./\\./g; s/e-0/e-0*/')
cat >script.txt <<'S'
wait idle
key :
type qs.select{tensor="conv.weight"}
key Enter
wait idle
capture alone
type m2 = qs.load "small.safetensors"
key Enter
wait idle
key Escape
key Tab
wait idle
capture screen
key ?
wait idle
capture why
key Escape
key :
type qs.select{tensor="fc.weight", channel=1}
key Enter
wait idle
capture other
key Escape
key M
wait idle
capture next
key q
S
more='' drive 130x44 codes.safetensors; exits 0 "a quantized tensor is looked at"
hasnt alone ' dB .*levels used' "alone it is measured against nothing"; has alone 'its own 16 levels' "and shows its own levels"
has screen "$measure" "once the float model is open it is measured against it, as diff does: $measure"
has screen 'line: conv\.weight in small\.safetensors' "whose histogram is the line"
has why 'SQNR against the float model +conv\.weight' "? explains the number"; has why 'x: conv\.weight in small\.safetensors' "and says what it is against"
hasnt alone ' bits · mse' "the bits of a format are not said of what is left as it is"
has other 'line: fc\.weight in small' "the next tensor is measured too"
has next '^ quantscope +small\.safetensors ' "M goes to the other model"; has next 'Weights +fc(\.weight)? .* F32' "at the same tensor"

cat >script.txt <<'S'
wait idle
key :
type while true do pcall(function() while true do end end) end
key Enter
wait 500
key C-c
wait idle
type "a" .. "live"
key Enter
wait idle
capture screen
key Escape
key q
S
more='' drive 100x30 small.safetensors; exits 0 "Ctrl-C in a loop that catches errors"
has screen 'alive' "gives the prompt back"
finish
