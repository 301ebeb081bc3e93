# SPDX-License-Identifier: GPL-3.0-or-later
# What the command-line tests share that need a terminal. Sourced after lib.sh; settings and history stay in $work.
if ! command -v tmux >/dev/null; then
    echo "1..0 # SKIP tmux is not here: it is the terminal"
    exit 0
fi
unset TMUX NO_COLOR QUANTSCOPE_SCRIPT
LC_ALL=C.UTF-8 XDG_CONFIG_HOME=$work/xdg XDG_STATE_HOME=$work/xdg
export LC_ALL XDG_CONFIG_HOME XDG_STATE_HOME
mux() { tmux -u -f /dev/null -S "$work/tmux" "$@"; }
trap 'mux kill-server 2>/dev/null; rm -rf "$work"' EXIT
screen() { mux capture-pane -p >out 2>/dev/null; }
keys() { for k; do mux send-keys "$k"; sleep 0.1; done; }
# Waits for a line that matches; $2: tenths of a second at most.
await() { for i in $(seq "${2:-300}"); do screen; grep -qE -e "$1" out && return 0; sleep 0.1; done; return 1; }
see() { await "$1"; verdict $? "$2"; }
gone() { for i in $(seq 300); do screen; grep -qE -e "$1" out || return 0; sleep 0.1; done; return 1; }
