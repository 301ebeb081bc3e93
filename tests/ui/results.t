#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The view of results on made-up numbers (tests/ui/fake): whole screens against tests/ui/golden, then its keys.
# After a change that is meant: QS_GOLDEN=new tests/ui/results.t, and look at the difference.
fake=${top_builddir:-.}/tests/ui/fake
golden=${top_srcdir:-.}/tests/ui/golden
if ! command -v tmux >/dev/null 2>&1; then echo "1..0 # SKIP tmux is not installed"; exit 0; fi
D=$(mktemp -d) || exit 1
n=0; bad=0; S=qsresults$$
unset NO_COLOR TMUX QUANTSCOPE_SCRIPT
LC_ALL=C.UTF-8; export LC_ALL
tm() { tmux -u -L "$S" "$@"; }
trap 'tm kill-server 2>/dev/null; rm -rf "$D"' EXIT INT TERM

verdict() { # status, what
    n=$((n+1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}
wait_gone() { i=0; while [ $i -lt 150 ] && [ ! -s "$1" ]; do sleep 0.1; i=$((i+1)); done; }
# shot NAME SIZE "ARGS" KEYS...: what the screen shows after those keys, against golden/NAME
shot() {
    name=$1 size=$2 args=$3; shift 3
    rm -f "$D/screen" "$D/code"
    { echo 'wait idle'; for k; do echo "key $k"; echo 'wait idle'; done; echo "capture $D/screen"; echo quit; } >"$D/script"
    tm -f /dev/null new-session -d -s a -x "${size%x*}" -y "${size#*x}" \
        "${vars:-A=} TERM=xterm-256color QUANTSCOPE_SCRIPT=$D/script $fake $args 2>$D/err; echo \$? >$D/code"
    wait_gone "$D/code"
    tm kill-server 2>/dev/null
    [ "${QS_GOLDEN:-}" = new ] && cp "$D/screen" "$golden/$name"
    cmp -s "$D/screen" "$golden/$name"; rc=$?
    verdict $rc "$name: $size, $args, keys $*"
    [ $rc = 0 ] || { diff "$golden/$name" "$D/screen" | sed 's/^/# /'; sed 's/^/# /' "$D/err"; }
}

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
screen() { tm capture-pane -p; }
keys() { for k; do tm send-keys "$k"; sleep 0.05; done; }
await() { i=0; while [ $i -lt 100 ]; do if screen | grep -qE -e "$1"; then return 0; fi; sleep 0.1; i=$((i+1)); done; return 1; }
see() { await "$1"; rc=$?; verdict $rc "$2"; [ $rc = 0 ] || screen | sed 's/^/# /'; }
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
keys 2; see '─ Weights ' "2: another view"
keys R R; see '─ Weights ' "R twice: back there"
keys F1 End; see 'whether less or more of the metric is better' "F1 has the keys of the view"
keys x 1 q; see 'status 0' "q quits"
echo "1..$n"
exit $bad
