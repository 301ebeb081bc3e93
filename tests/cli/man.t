#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The manual page: formats cleanly, its examples run, it names every command and option, and the program has no others.
. "$top_srcdir/tests/cli/lib.sh"
man=$top_srcdir/man/quantscope.1

if command -v man >/dev/null; then
    LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$man" >/dev/null 2>err
    [ ! -s err ]; verdict $? "formats without a warning"
else
    n=$((n + 1)); echo "ok $n - formats # SKIP man is not here"
fi

cp small.safetensors model.safetensors
cp "$top_srcdir/tests/golden/results/v1.db" results.db && chmod u+w results.db
sed -n '/^\.EX/,/^\.EE/s/^\$ //p' "$man" >examples
[ "$(wc -l <examples)" -ge 5 ]; verdict $? "has examples"
while IFS= read -r line; do
    (PATH=$top_builddir:$PATH; eval "$line") >out 2>err </dev/null
    rc=$?
    [ $rc = 0 ] && [ ! -s err ]; verdict $? "runs: $line"
done <examples
[ -s errors.csv ] && [ -s curve.json ]; verdict $? "and writes what it says"

sed 's/\\f.//g; s/\\//g' "$man" >text
run --help
for option in $(grep -oE -e '--[a-z][a-z-]+' out | sort -u); do
    grep -qe "$option" text; verdict $? "the manual has $option"
done
for option in $(grep -vE '^(sbatch|parallel) ' text | grep -oE -e '--[a-z][a-z-]+' | sort -u); do   # not other programs'
    has out "$option" "the program has $option"
done
for command in $(sed -nE 's/^  quantscope ([a-z]+) .*/\1/p' out); do
    grep -qE "quantscope $command" text; verdict $? "the manual has $command"
done
# Every name that JSON rows have is in the manual.
for c in "list model.safetensors" "diff model.safetensors model.safetensors" "quantize model.safetensors --tensor fc.* -o q.safetensors" "race --slice --steps 1 --init mse,sawb" "results results.db" "results results.db --sweep race --baseline init=mse" "compare model.safetensors --format int4@channel,uint4+zp@channel" \
         "curve model.safetensors --tensor conv.weight --format int4@channel --channel 1 --points 3"; do
    run $c --json
    python3 -c 'import json; print(*sorted({k for r in json.load(open("out")) for k in r}))' >keys
    for key in $(cat keys); do
        grep -qE "(^|[^a-z_])$key([^a-z_]|$)" text || { echo "# $key"; false; }
        verdict $? "the manual explains $key of ${c%% *}"
    done
done
finish
