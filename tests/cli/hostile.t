#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Files that are missing, unreadable or damaged: exit 3, the file and what is wrong with it on stderr, nothing on stdout.
. "$top_srcdir/tests/cli/lib.sh"

refused() { # file, command...
    file=$1; shift
    run "$@"
    exits 3 "$*"
    has err "$(basename "$file")" "$1 $(basename "$file"): the message names the file"
    [ "$(wc -l <err)" = 1 ]; verdict $? "$1 $(basename "$file"): in one line"
    [ ! -s out ]; verdict $? "$1 $(basename "$file"): nothing on stdout"
}
for file in hostile/*; do refused "$file" list "$file"; done
refused hostile/overlap.safetensors compare hostile/overlap.safetensors --json
refused hostile/short.npy curve hostile/short.npy --tensor x --format int4
refused hostile/text.safetensors hostile/text.safetensors
refused missing.npy list missing.npy
refused missing.npy compare missing.npy
refused missing.lua run missing.lua
mkdir folder
refused folder list folder

# Every prefix of a good file is refused or read, never worse.
size=$(wc -c <small.safetensors) worst=0 cut=0
while [ $cut -lt "$size" ]; do
    head -c $cut small.safetensors >cut.safetensors
    run list cut.safetensors
    [ $code = 3 ] || { worst=$code; break; }
    cut=$((cut + 97))
done
[ $worst = 0 ]; verdict $? "every cut file is refused (cut at $cut: exit $code)"
finish
