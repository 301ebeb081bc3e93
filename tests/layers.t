#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The house stands: each room includes only the rooms below it, each library is known in one place, nothing below app
# ends the program or prints, and no file names a place on somebody's machine.
cd "$top_srcdir/src" || exit 1
n=0; bad=0

verdict() { # hits, title
    n=$((n + 1))
    if [ -z "$1" ]; then echo "ok $n - $2"
    else echo "not ok $n - $2"; echo "$1" | sed 's/^/# /'; bad=1; fi
}

allow() { # room, what it may include: rooms, or single headers
    room=$1; shift
    [ -d "$room" ] || { verdict "there is no src/$room" "$room exists"; return; }
    pat=$(printf '%s/|' "$room" "$@" | sed 's/|$//; s/\.h\//\.h/g; s/\./\\./g')
    verdict "$(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[a-z]+/' --include='*.[ch]' "$room" |
               grep -vE "include[[:space:]]*\"($pat)")" "$room includes only: $room $*"
}

only() { # system header (regex), files or folders that may know it
    header=$1; shift
    pat=$(printf '%s|' "$@" | sed 's/|$//; s/\./\\./g')
    verdict "$(grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*<($header)" --include='*.[ch]' . |
               grep -vE "^\./($pat)")" "<$header> only in: $*"
}

allow base
allow num base
allow plot base num
allow model base num
allow stat base num model
allow quant base num model stat
allow train base num model stat quant
allow engine base num model stat quant train
allow store base stat engine
allow bind base num plot model stat quant train engine store
allow ui base plot engine/snapshot.h engine/job.h
allow app base num plot model stat quant train engine store bind ui

# What ui may see of the engine sees nothing of the engine either.
verdict "$(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' engine/snapshot.h engine/job.h |
           grep -vE '"(base/|engine/(snapshot|job)\.h)')" "engine/snapshot.h and engine/job.h include only base"

only 'lua|lauxlib|lualib' bind/ app/
only 'n?cursesw?[./]|term\.h|panel\.h' ui/
only 'readline/' ui/console.c app/repl.c
only 'fftw3' num/fft.c
only 'jansson' model/json.h train/checkpoint.c engine/race_file.c engine/steps.c store/sweep.c store/report.c app/
only 'protobuf-c|.*pb-c\.h' model/onnx
only 'pthread' base/ engine/ num/fft.c num/kernels.c stat/cache.c stat/index store/watch.c
only 'dnnl|oneapi|omp\.h|threads\.h' train/dnn.c
only 'zlib' train/data_files.c model/zip.c
only 'sqlite3' store/
only 'cairo' plot/cairo.c
only 'immintrin|x86intrin|arm_neon' num/

below='base num plot model stat quant train engine store bind ui'
# Comments and text are stripped line by line: a mention in prose is no call.
calls() { # regex
    grep -rnE --include='*.c' "(^|[^A-Za-z0-9_>.\"])($1)[[:space:]]*\(" $below | grep -vE ':[[:space:]]*(/?\*|//)'
}
verdict "$(calls '_?exit|quick_exit' | grep -v '^ui/')" "exit() only in app"
verdict "$(calls 'v?printf|puts|putchar' | grep -v '^bind/')" "no printing to stdout below app and bind"
verdict "$(calls 'system|popen|gets|strcpy|strcat|sprintf|vsprintf|alloca')" "no call that cannot be bounded"
verdict "$(grep -rLE --include='*.[ch]' 'SPDX-License-Identifier: GPL-3.0-or-later' . | head -20)" "every source file names its licence"

# Whole repository, where there is one (not in a tarball): no path of a machine it was made on.
cd "$top_srcdir" || exit 1
if files=$(git ls-files 2>/dev/null) && [ -n "$files" ]; then
    # Spelled in pieces, so that this file does not find itself.
    w=/wor''k/ r=/roo''t/ t=/tm''p/w''t h=/hom''e/
    verdict "$(git grep -nIE "$w|$r|$t|$h[a-z]" -- . | head -20)" "no file names a path of the machine it was made on"
    verdict "$(git grep -nIwE 'TO''DO|FIX''ME|XX''X' -- . | head -20)" "nothing is marked as unfinished"
else
    n=$((n + 1)); echo "ok $n - machine paths # SKIP no repository here"
fi
echo "1..$n"
exit $bad
