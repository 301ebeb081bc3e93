#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What comes with the program is what data/NOTICE says it is.
cd "$top_srcdir/data" || exit 99
n=0 bad=0
check() { # sha256, file
    n=$((n + 1))
    if [ "$(sha256sum <"$2" | cut -d' ' -f1)" = "$1" ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}
check "$(sed -nE 's/^ *sha256 +([0-9a-f]{64})$/\1/p' NOTICE)" blazeface_front.onnx
while read -r sum name; do check "$sum" "fashion-mnist/$name"; done <<L
$(grep -E '^ +[0-9a-f]{64}  ' NOTICE)
L
[ $n = 5 ] || { echo "not ok $((n += 1)) - every file is checked"; bad=1; }
echo "1..$n"
exit $bad
