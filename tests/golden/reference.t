#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The whole-model reference values: int8 and int4, narrow range, per tensor and per channel of axis 0, in dB by energy.
# Computed first with NumPy. The bundled model always; those of scripts/fetch-models where they are in models/.
n=0 bad=0

check() { # file, four values
    file=$1; shift
    [ -f "$file" ] || return 0
    out=$("$top_builddir/quantscope" run "$top_srcdir/scripts/reference-sqnr.lua" "$file" 2>&1)
    for format in int8:narrow int8:narrow@channel0 int4:narrow int4:narrow@channel0; do
        n=$((n + 1))
        got=$(printf '%s\n' "$out" | awk -v f="$format" '$1 == f { print $2 }')
        if [ "$got" = "$1" ]; then
            echo "ok $n - ${file##*/} $format: $got dB"
        else
            echo "not ok $n - ${file##*/} $format: $got dB, not $1"
            printf '%s\n' "$out" | sed 's/^/# /'
            bad=1
        fi
        shift
    done
}

check "$top_srcdir/data/blazeface_front.onnx" 37.9 42.3 13.7 17.9
check "$top_srcdir/models/det.onnx" 21.2 38.7 4.9 15.5
check "$top_srcdir/models/rec.onnx" 20.2 38.3 3.9 14.9
check "$top_srcdir/models/cls.onnx" 40.0 44.3 14.9 19.1
check "$top_srcdir/models/silero.onnx" 24.4 38.6 10.2 18.0
echo "1..$n"
exit $bad
