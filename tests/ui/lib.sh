# SPDX-License-Identifier: GPL-3.0-or-later
# What the tests of the screen share: the screen on made-up numbers (tests/ui/fake) in a terminal (tmux), keys in, text out.
# Sourced; files go to $D. After a change of the screens that is meant: QS_GOLDEN=new tests/ui/NAME.t, and look at the difference.
fake=${top_builddir:-.}/tests/ui/fake
golden=${top_srcdir:-.}/tests/ui/golden
if ! command -v tmux >/dev/null 2>&1; then echo "1..0 # SKIP tmux is not installed"; exit 0; fi
D=$(mktemp -d) || exit 1
n=0 bad=0 S=qs-${0##*/}-$$
unset NO_COLOR TMUX QUANTSCOPE_SCRIPT
LC_ALL=C.UTF-8; export LC_ALL
tm() { tmux -u -L "$S" "$@"; }
trap 'tm kill-server 2>/dev/null; rm -rf "$D"' EXIT INT TERM

verdict() { # status, what
    n=$((n+1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; tm capture-pane -p 2>/dev/null | sed 's/^/# /'; fi
}
screen() { tm capture-pane -p; }
keys() { for k; do tm send-keys "$k"; sleep 0.05; done; }
# Waits (10 s at most) for a line that matches.
await() { i=0; while [ $i -lt 100 ]; do if screen | grep -qE -e "$1"; then return 0; fi; sleep 0.1; i=$((i+1)); done; return 1; }
see() { await "$1"; verdict $? "$2"; }
gone() { i=0; while [ $i -lt 100 ]; do if ! screen | grep -qE -e "$1"; then break; fi; sleep 0.1; i=$((i+1)); done; [ $i -lt 100 ]; verdict $? "$2"; }

await_file() { i=0; while [ $i -lt 150 ] && [ ! -s "$1" ]; do sleep 0.1; i=$((i+1)); done; }
# shot NAME SIZE "ARGS" KEYS...: what the screen shows after those keys, against golden/NAME
shot() {
    name=$1 size=$2 args=$3; shift 3
    rm -f "$D/screen" "$D/code"
    { echo 'wait idle'; for k; do echo "key $k"; echo 'wait idle'; done; echo "capture $D/screen"; echo quit; } >"$D/script"
    tm -f /dev/null new-session -d -s a -x "${size%x*}" -y "${size#*x}" \
        "${vars:-A=} TERM=xterm-256color QUANTSCOPE_SCRIPT=$D/script $fake $args 2>$D/err; echo \$? >$D/code"
    await_file "$D/code"
    tm kill-server 2>/dev/null
    [ "${QS_GOLDEN:-}" = new ] && cp "$D/screen" "$golden/$name"
    cmp -s "$D/screen" "$golden/$name"; rc=$?
    verdict $rc "$name: $size, $args, keys $*"
    [ $rc = 0 ] || { diff "$golden/$name" "$D/screen" | sed 's/^/# /'; sed 's/^/# /' "$D/err"; }
}
