#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# run, -e and repl: arguments, output, exit codes.
. "$top_srcdir/tests/cli/lib.sh"

cat >hello.lua <<'L'
print(arg[0], arg[1], arg[2], #arg, ...)
local qs = require "quantscope"
io.write(#qs.load(arg[1]), "\n")
L
run run hello.lua small.safetensors --json; exits 0 "run"
[ "$(sed -n 1p out)" = "$(printf 'hello.lua\tsmall.safetensors\t--json\t2\tsmall.safetensors\t--json')" ]
verdict $? "arg and ... are as lua5.4 sets them, options behind the script are its own"
[ "$(sed -n 2p out)" = 8 ]; verdict $? "the module loads a model"
echo 'print(6 * 7)' | "$qs" run - >out 2>err; code=$?; exits 0 "run - reads standard input"; has out '^42$' "and runs it"
printf '#!/usr/bin/env quantscope\nprint("hi")\n' >bang.lua; run run bang.lua; exits 0 "a first line with #! is no Lua"
echo 'os.exit(7)' >seven.lua; run run seven.lua; exits 7 "os.exit is the exit code"
echo 'error("no good")' >bad.lua; run run bad.lua; exits 1 "a script that fails"
has err 'bad\.lua:1: no good' "says where"; [ ! -s out ]; verdict $? "on stderr"
echo 'x = = 1' >syntax.lua; run run syntax.lua; exits 1 "a script that is no Lua"; has err 'syntax\.lua:1' "says where"
run run nosuch.lua; exits 3 "a missing script"; has err 'nosuch\.lua' "is named"

run -e 'print(qs.version)'; exits 0 "-e"; has out '^[0-9]+\.[0-9]' "qs is there"
run -e 'x = 20' -e 'print(x + 1)'; has out '^21$' "-e again sees what the first did"
run -e 'error("oops")' -e 'print("not reached")'; exits 1 "-e that fails"; hasnt out 'not reached' "ends it"
run -e 'local m, e, c = qs.load("missing.npy"); print(m, c)'; has out '^nil	EIO$' "errors are values"
run -e 'print(("%.17g"):format(0.1))'; has out '^0\.1' "numbers have a point"

printf 'x = 41\nx + 1\nfor i = 1, 2 do\nprint("line", i)\nend\nqs.randn{10, seed=1}\n' | "$qs" repl >out 2>err; code=$?
exits 0 "repl from a pipe"; has out '(^|[^0-9])42$' "prints the value of an expression"
has out 'line.2' "takes statements over several lines"; hasnt out '^>' "shows no prompt"
printf 'error("bad")\nprint("after")\n' | "$qs" repl >out 2>err; code=$?
exits 1 "a line that failed shows in the exit code"; has out after "the next is run all the same"
printf 'for i = 1, 2 do\n' | "$qs" repl >out 2>err; code=$?; exits 1 "an unfinished statement"; has err 'middle' "is said"
finish
