# SPDX-License-Identifier: GPL-3.0-or-later
# What the command-line tests share. Sourced; expects top_srcdir and top_builddir. Everything is written to $work.
qs=$top_builddir/quantscope
tests=$top_srcdir/tests/cli
work=$(mktemp -d "$top_builddir/tests/cli.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' INT TERM HUP
n=0 bad=0

# Where python3 is a wrapper that looks for one (pyenv), the looking takes longer than the test: once is enough.
if ! python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null); then
    echo "1..0 # SKIP python3 is not here: it makes the files and judges the JSON"
    exit 0
fi
python3() { "$python" "$@"; }
python3 "$tests/make_data.py" "$work" || exit 99
cd "$work" || exit 99

# run ARG...: the program with nothing to read and no terminal; leaves $code, out and err.
run() {
    "$qs" "$@" >out 2>err </dev/null
    code=$?
}

verdict() { # condition's exit code, title
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        bad=1
        sed 's/^/# out: /' out 2>/dev/null | head -15
        sed 's/^/# err: /' err 2>/dev/null | head -15
    fi
}

# exits CODE TITLE: how the last run ended.
exits() { [ "$code" = "$1" ]; verdict $? "$2 (exit $code, want $1)"; }
# has FILE REGEX TITLE / hasnt FILE REGEX TITLE
has() { grep -qE -e "$2" "$1"; verdict $? "$3"; }
hasnt() { ! grep -qE -e "$2" "$1"; verdict $? "$3"; }
# py TITLE <<EOF: Python that asserts; `rows` is the parsed JSON of the last run. NaN and Infinity are no JSON.
py() {
    { echo 'import json, sys
def no(x): raise ValueError("not JSON: " + x)
def load(path): return json.load(open(path, encoding="utf-8"), parse_constant=no)
rows = load("out") if open("out", errors="replace").read(1) == "[" else None'
      cat; } >check.py
    python3 check.py >pyout 2>&1
    rc=$?
    verdict $rc "$1"
    [ $rc = 0 ] || sed 's/^/# /' pyout
}
finish() { echo "1..$n"; exit $bad; }
