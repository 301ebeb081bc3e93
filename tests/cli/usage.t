#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Help, version, and what is said to wrong usage: exit 2, nothing on stdout, the word that was wrong on stderr.
. "$top_srcdir/tests/cli/lib.sh"

run --help; exits 0 "--help"
for word in list compare curve plot race sweep run repl -e --json --format --threads; do
    has out "(^|[ ,])$word" "--help names $word"
done
[ ! -s err ]; verdict $? "--help writes nothing to stderr"
run --version; exits 0 "--version"; has out '^quantscope [0-9]+\.[0-9]+' "--version says it"
run compare --help; exits 0 "compare --help"; has out '[-]-init' "with its options"; hasnt out '[-]-points' "and not those of curve"

wrong() { # title, word stderr must hold, args...
    title=$1 word=$2; shift 2
    run "$@"
    exits 2 "$title"
    has err "$word" "$title: names it"
    [ ! -s out ]; verdict $? "$title: nothing on stdout"
}
wrong "an unknown option" 'frobnicate' --frobnicate
wrong "an unknown option of a command" 'list has no option --format' list --format int4 small.safetensors
wrong "an unknown letter" 'option -Z' list -Z small.safetensors
wrong "an option without its value" 'needs a value' compare small.safetensors --format
wrong "an option twice" '(--filter is given twice|--format is given twice: int4 and int8)' compare small.safetensors --format int4 --format int8
wrong "list without a model" 'MODEL' list
wrong "list with two models" 'one MODEL' list a b
wrong "json and csv at once" 'choose one' compare small.safetensors --json --csv
wrong "a format outside the grammar" 'int99' compare small.safetensors --format int99
wrong "an empty format in a list" 'format' compare small.safetensors --format int4,
wrong "an unknown initialization" 'nosuch.*lsq' compare small.safetensors --init lsq,nosuch
wrong "curve without a tensor" '[-]-tensor' curve small.safetensors
wrong "points that are no number" 'many' curve small.safetensors --tensor fc.weight --points many
wrong "one point" 'points' curve small.safetensors --tensor fc.weight --points 1
wrong "a range upside down" '[-]-lo' curve small.safetensors --tensor fc.weight --lo 2 --hi 1
wrong "a threads number of 0" 'threads' --threads 0 list small.safetensors
wrong "run without a script" 'SCRIPT' run
wrong "an argument behind -e" 'extra' -e 'x = 1' extra
wrong "-e with a command" 'alone' -e 'x = 1' list small.safetensors
wrong "sweep without a script" 'FILE' sweep
wrong "sweep of two scripts" 'one FILE' sweep a.lua b.lua
wrong "no job at all" 'jobs' sweep --jobs 0 a.lua
wrong "a shard that is none" 'I/N' sweep --shard 3/2 a.lua
wrong "a journal that is none" 'wal.*delete' sweep --journal memory a.lua
wrong "fresh and resume" 'choose one' sweep --fresh --resume a.lua
wrong "a worker started by hand" 'not by hand' sweep-worker
wrong "repl with an argument" 'extra' repl extra
wrong "a race of a file" 'nets.*--net' race nets.onnx
wrong "a net that is none" 'nonet.*smallcnn' race --net nonet
wrong "bits that are none" 'bits' race --bits two
wrong "more bits than there are" '16 bits' race --bits 17 --slice --steps 1
wrong "a start that is none" 'nosuch.*lsq' race --init mse,nosuch
wrong "a rule that is none" 'nosuch' race --learn nosuch --slice --steps 1
wrong "an unknown kind of plot" 'crayon' --plot crayon small.safetensors
wrong "the workbench without a terminal" 'quantscope list small.safetensors' small.safetensors
wrong "the workbench without terminal and model" 'quantscope list' 

run nosuchcommand; exits 3 "neither a command nor a file"; has err 'no file "nosuchcommand".*no command' "says both"
run ./missing.safetensors; exits 3 "a missing model"; has err 'missing\.safetensors' "is named"
finish
