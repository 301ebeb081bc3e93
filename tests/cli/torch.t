#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Model files by what people have: PyTorch files that PyTorch writes here and now, a Hugging Face folder, hostile ones; exit codes.
. "$top_srcdir/tests/cli/lib.sh"

corpus=$top_srcdir/tests/fuzz/corpus
run list "$corpus/index"; exits 0 "a folder"
has out '3 tensors' "is one model"
has out '^TinyForCausalLM: 2 shards' "with the name of its network"
run list "$corpus/torch/checkpoint.pt"; exits 0 "a checkpoint"
has out 'the tensors of "state_dict" in a checkpoint; beside it: epoch, optimizer' "whose weights are listed"
mkdir -p empty; run list empty; exits 3 "a folder without a model"
has err 'looked for: model.safetensors.index.json, model.safetensors' "says what was looked for"
mkfifo pipe.pt; run list pipe.pt; exits 3 "a pipe"
run list /dev/zero; exits 3 "/dev/zero"
printf '\200\002cos\nsystem\nX\004\000\000\000trueR.' >evil.pt; run list evil.pt; exits 3 "a pickle that runs something"
has err 'evil.pt: torch: it needs the Python object os.system' "names it"

torch=
for p in "$python" /usr/bin/python3; do "$p" -c 'from importlib.util import find_spec as f; assert f("torch")' 2>/dev/null && torch=$p && break; done
if [ -z "$torch" ]; then
    n=$((n + 1)); echo "ok $n - PyTorch's own files # SKIP no torch here (package python3-torch)"
    finish
fi
"$torch" -W ignore "$tests/torch_files.py" "$qs" >results 2>err; code=$?
exits 0 "PyTorch writes files"
while read -r line; do
    n=$((n + 1)); echo "$line" | sed "s/^\(not ok\|ok\)/& $n/"
    case $line in not*) bad=1 ;; esac
done <results
finish
