#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# quantscope quantize and init: what is in the files, judged by arithmetic that is not ours, and what a failure leaves.
. "$top_srcdir/tests/cli/lib.sh"
cp "$top_srcdir/scripts/load_steps.py" "$top_srcdir/scripts/dump-activations.py" "$tests/quantized.py" .

run quantize small.safetensors -o q.safetensors --format int4 --tensor conv.weight --tensor fc.weight; exits 0 "quantize"
has out '2 tensors quantized, 6 copied, 0 left out' "says what it did"
[ ! -s err ]; verdict $? "and nothing else"
py "what is not quantized is as it was; a quantized tensor has 16 values" <<'P'
from quantized import tensors
a, b = tensors("small.safetensors"), tensors("q.safetensors")
assert sorted(a) == sorted(b), sorted(b)
for n in a:
    if n not in ("conv.weight", "fc.weight"): assert a[n].raw == b[n].raw and a[n].shape == b[n].shape, n
assert len(set(b["conv.weight"].values())) == 16 and b["conv.weight"].values() != a["conv.weight"].values()
P
formats='int4 uint3+offset@channel int4:narrow@channel1 int8+zp@group7 apot4@channel nf4@group16 pot4:flip fp4+offset int16'
[ "$LUA_STOCK" != - ] || formats='uint3+offset@channel int8+zp@group7 nf4@group16 int16'     # a sanitized build is slow
i=0
for f in $formats; do
    i=$((i + 1))
    run quantize small.safetensors -o q$i.safetensors --format $f --init minmax --tensor conv.weight --tensor fc.weight
    run quantize small.safetensors -o c$i.safetensors --format $f --init minmax --tensor conv.weight --tensor fc.weight --codes --json
done
cp c$i.safetensors c.safetensors
py "the documented arithmetic makes the same floats of the codes" <<P
from quantized import tensors, dequantize
for i, f in enumerate("$formats".split()):
    q, c = tensors("q%d.safetensors" % (i + 1)), tensors("c%d.safetensors" % (i + 1))
    for n in ("conv.weight", "fc.weight"):
        assert n not in c
        assert dequantize(c, n, f) == q[n].values(), (n, f)
assert [r["tensor"] for r in rows] == ["conv.weight", "fc.weight"] and rows[0]["format"] == "int16"
P
py "the file says how it was made" <<'P'
import struct
raw = open("c.safetensors", "rb").read()
meta = json.loads(raw[8:8 + struct.unpack("<Q", raw[:8])[0]])["__metadata__"]
assert meta["quantscope.format"] == "int16" and meta["quantscope.init"] == "minmax" and meta["quantscope.codes"] == "true"
P

# What it cost, found again from the two files.
run quantize small.safetensors -o q.safetensors --format int4@channel --tensor conv.weight --tensor fc.weight --json; cp out quantized.json
run diff small.safetensors q.safetensors --json; exits 0 "diff"
py "diff: the numbers of quantize, and Python's" <<'P'
import math
from quantized import tensors
a, b = tensors("small.safetensors"), tensors("q.safetensors")
row = {r["tensor"]: r for r in rows}
for q in load("quantized.json"):
    x, y, d = a[q["tensor"]].values(), b[q["tensor"]].values(), row[q["tensor"]]
    mse = math.fsum((u - v) ** 2 for u, v in zip(x, y)) / len(x)
    assert abs(d["mse"] - mse) < 1e-12 * mse and abs(q["mse"] - mse) < 1e-9 * mse, (q["mse"], d["mse"], mse)
    assert abs(d["sqnr_db"] - q["sqnr_db"]) < 1e-6 and d["n"] == len(x) and d["bpw"] == 32 and d["levels"] is None
    rows_of = [y[i:i + len(y) // a[q["tensor"]].shape[0]] for i in range(0, len(y), len(y) // a[q["tensor"]].shape[0])]
    assert d["used"] == max(len(set(r)) for r in rows_of)
assert row["odd, \"name\""]["mse"] == 0 and row["odd, \"name\""]["sqnr_db"] is None and "fc.bias" not in row
assert row["nan.weight"]["mse"] is None and row["nan.weight"]["note"] and row["some.weight"]["skipped"] > 0
P
run quantize small.safetensors -o c.safetensors --format int4@channel --tensor conv.weight --tensor fc.weight --codes
run diff q.safetensors c.safetensors --tensor 'conv*' --csv; exits 0 "diff of floats and codes"
has out '^conv.weight,conv.weight,"\[8,4,3,3\]",int4@channel,288,0,0,' "the codes are those floats"
run diff q$i.safetensors c$i.safetensors --tensor 'conv*' --csv; exits 0 "diff of floats and codes of 16 bits"
has out '^conv.weight,conv.weight,"\[8,4,3,3\]",int16,288,0,0,' "those too"
run diff small.safetensors c.safetensors; has out '^5 tensors, [0-9]+ values: MSE .* bits a value' "a total"
run diff small.safetensors; exits 2 "one model is not enough"
run diff small.safetensors none.safetensors; exits 3 "a model that is not there"
run diff small.safetensors plain.npy; exits 1 "nothing in common"

# What cannot be leaves nothing.
run quantize small.safetensors --format int4; exits 2 "no -o"
run quantize small.safetensors -o q.npy; exits 2 "another ending"
run quantize small.safetensors -o no/such/q.safetensors --tensor conv.weight; exits 3 "no such folder"
run quantize small.safetensors -o n.safetensors; exits 1 "a tensor without a finite value"
has err 'nan\.weight' "is named"
run quantize small.safetensors -o n.safetensors --tensor conv.weight --format int4,int3; exits 2 "two formats"
run quantize small.safetensors -o n.safetensors --tensor conv.weight --init lloyd --codes; exits 1 "levels of its own are no codes of a format"
[ "$(ls | grep -c 'n\.safetensors')" = 0 ]; verdict $? "no file is left of what failed"

# Steps.
run init small.safetensors --tensor conv.weight --tensor fc.weight --format int4@channel --out steps.json; exits 0 "init"
py "steps.json: the names, a step a channel, the file's hash" <<'P'
import hashlib
s = load("steps.json")
assert s["sha256"] == hashlib.sha256(open("small.safetensors", "rb").read()).hexdigest()
assert s["format"] == "int4@channel" and s["init"] == "mse" and [t["tensor"] for t in s["tensors"]] == ["conv.weight", "fc.weight"]
t = s["tensors"][0]
assert t["shape"] == [8, 4, 3, 3] and len(t["steps"]) == 8 and t["axis"] == 0 and (t["low"], t["high"]) == (-8, 7) and t["formula"]
P
run init small.safetensors --tensor conv.weight; exits 0 "init without --out"
python3 -c 'import json; json.load(open("out"))'; verdict $? "prints the JSON"
run init small.safetensors --out n.json; exits 1 "no finite value"; [ ! -e n.json ]; verdict $? "leaves no steps"

# Importance: llama.cpp's two layouts say the same, and not what equal weights say.
cat >check.py <<'P'
import struct
col = [float((7 * i) % 11) for i in range(20)]
name = b"fc.weight"
with open("old.dat", "wb") as f:
    f.write(struct.pack("<ii", 1, len(name)) + name + struct.pack("<ii20f", 8, 20, *[8 * v for v in col]) + struct.pack("<ii4s", 3, 4, b"text"))
text = lambda s: struct.pack("<Q", len(s)) + s
head = b"GGUF" + struct.pack("<IQQ", 3, 2, 1) + text(b"general.type") + struct.pack("<I", 8) + text(b"imatrix")
head += text(name + b".in_sum2") + struct.pack("<IQQIQ", 2, 20, 1, 0, 0) + text(name + b".counts") + struct.pack("<IQQIQ", 2, 1, 1, 0, 96)
head += b"\0" * (-len(head) % 32)
open("new.gguf", "wb").write(head + struct.pack("<20f", *[4 * v for v in col]) + b"\0" * 16 + struct.pack("<f", 4))
P
python3 check.py
for i in old.dat new.gguf; do
    run init small.safetensors --tensor fc.weight --format int3@channel --importance $i --out $i.json; exits 0 "init --importance $i"
done
run init small.safetensors --tensor fc.weight --format int3@channel --out plain.json
py "both layouts give the same steps, and not those of equal weights" <<'P'
old, new, plain = load("old.dat.json"), load("new.gguf.json"), load("plain.json")
assert old["importance"] == "old.dat" and plain["importance"] is None
steps = [s["tensors"][0]["steps"] for s in (old, new, plain)]
assert steps[0] == steps[1] and steps[0] != steps[2], steps
P
run list old.dat; has out '^fc\.weight +F32 +32 +\[20\]' "an imatrix can be looked at"
run quantize small.safetensors --tensor 'conv*' --importance old.dat -o q.safetensors; has out 'has no importance of it' "a tensor without importance is said"
run compare small.safetensors --tensor fc.weight --importance new.gguf --json; exits 0 "compare --importance"
py "mse is the least of the weighted errors" <<'P'
assert rows[0]["init"] == "mse" or rows[0]["mse_ratio"] == 1, rows[0]
P
run compare small.safetensors --tensor half.weight --importance conv.weight; exits 3 "a file that is not there"

# Ctrl-C in the middle, twice, and a death without a word: what was there stays, and nothing is beside it.
cat >interrupt.py <<'P'
import json, os, random, signal, struct, subprocess, sys, time
random.seed(1)
head = {"t%d" % i: {"dtype": "F32", "shape": [256, 256], "data_offsets": [i << 18, (i + 1) << 18]} for i in range(32)}
text = json.dumps(head).encode()
with open("many.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text)
    block = struct.pack("<65536f", *(random.random() - .5 for i in range(65536)))
    for i in range(32): f.write(block)

def writing(pid):       # the new file is open, with or without a name
    try: return any("/dir/" in os.readlink("/proc/%d/fd/%s" % (pid, f)) for f in os.listdir("/proc/%d/fd" % pid))
    except FileNotFoundError: return False

def end(signals, *command):
    with open("out", "w") as out, open("err", "w") as err:
        p = subprocess.Popen([sys.argv[1], *command, "--format", "int4@channel", "many.safetensors"], stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        while p.poll() is None and not writing(p.pid): time.sleep(.002)
        for s in signals: p.send_signal(s)
        p.wait()
    assert os.listdir("dir") == ["o.safetensors"] and open("dir/o.safetensors").read() == "old", (command, os.listdir("dir"))
    return p.returncode, open("out").read(), open("err").read()

os.mkdir("dir")
open("dir/o.safetensors", "w").write("old")
C = signal.SIGINT
for command in (["quantize", "--json"], ["quantize", "--codes"], ["init"]):
    code, out, err = end([C], *command, "-o", "dir/o.safetensors")
    assert code == 130 and "dir/o.safetensors" in err and err.endswith("interrupted\n"), (command, code, err)
    if "--json" in command: json.loads(out)
assert end([C, C], "quantize", "-o", "dir/o.safetensors")[0] in (130, -C)
assert end([signal.SIGKILL], "quantize", "-o", "dir/o.safetensors")[0] == -signal.SIGKILL
P
python3 interrupt.py "$qs" >said 2>&1; code=$?; sed 's/^/# /' said; exits 0 "Ctrl-C, twice, kill -9: exit 130 and a message, the old file, nothing beside it"

# The module that other trainers get.
torch=
for p in "$python" /usr/bin/python3; do "$p" -c 'from importlib.util import find_spec as f; assert f("torch")' 2>/dev/null && torch=$p && break; done
if [ -z "$torch" ]; then
    n=$((n + 1)); echo "ok $n - load_steps.py # SKIP no torch here (package python3-torch)"
    finish
fi
for f in int4 int4@channel uint3+offset@channel int8+zp@channel int4@group7 int4:narrow:away apot4@channel nf4@group16 int4:flip; do
    echo "$f"
done >formats
cat >check.py <<'P'
import subprocess, sys, torch, load_steps
from quantized import tensors
bad = 0
for f in open("formats").read().split():
    for what, out in (("init", "steps.json"), ("quantize", "q.safetensors")):
        subprocess.run([sys.argv[1], what, "small.safetensors", "--format", f, "--tensor", "conv.weight", "--tensor", "fc.weight",
                        "-o", out], check=True, stdout=subprocess.DEVNULL)
    x, q = tensors("small.safetensors"), tensors("q.safetensors")
    for name, lsq in load_steps.load("steps.json").items():
        w = torch.tensor(x[name].values()).reshape(x[name].shape)
        if not torch.equal(lsq(w), torch.tensor(q[name].values()).reshape(w.shape)):
            print(f, name, "differ"); bad = 1
# Attached to a net, its step learns: the gradient of Esser et al.
net = torch.nn.Sequential()
net.fc = torch.nn.Linear(20, 6)
x = tensors("small.safetensors")["fc.weight"]
with torch.no_grad(): net.fc.weight.copy_(torch.tensor(x.values()).reshape(6, 20))
subprocess.run([sys.argv[1], "init", "small.safetensors", "--format", "int4", "--tensor", "fc.weight", "-o", "steps.json"], check=True)
w = net.fc.weight.detach().clone()
lsq = load_steps.attach(net, "steps.json")["fc.weight"]
net.fc.weight.sum().backward()
s = lsq.step.detach()
u = w / s
inside = (u > -8) & (u < 7)
want = torch.where(inside, torch.round(u) - u, torch.clamp(u, -8, 7)).sum() / (120 * 7) ** 0.5
if abs(lsq.step.grad.item() - want.item()) > 1e-5 * abs(want.item()): print("gradient", lsq.step.grad, want); bad = 1
# What goes into a layer, recorded by the hook.
import runpy
x = torch.randn(40, 20, generator=torch.Generator().manual_seed(1))
net = torch.nn.Sequential(); net.fc = torch.nn.Linear(20, 6)
runpy.run_path("dump-activations.py")["dump"](net, x.split(8), "acts.npz", rows=30)
import numpy
acts = numpy.load("acts.npz")
if list(acts) != ["fc"] or not numpy.array_equal(acts["fc"], x[:30].numpy()): print("acts", list(acts)); bad = 1
import struct
col = (x[:30].double() ** 2).mean(0).float().tolist()
open("acts.dat", "wb").write(struct.pack("<ii9sii20f", 1, 9, b"fc.weight", 1, 20, *col))
sys.exit(bad)
P
"$torch" check.py "$qs" >out 2>err; verdict $? "load_steps.py: the floats of quantize, bit for bit, and LSQ's gradient; the hook's file"
run compare small.safetensors --tensor fc.weight --activations acts.npz --format int4 --init lsq,mse --json; exits 0 "compare --activations"
py "the recorded values of the layer stand for its weight, with the rules for activations" <<'P'
assert [r["tensor"] for r in rows] == ["fc", "fc"] and {r["init"] for r in rows} == {"lsq", "mse"}
P
for i in acts.npz acts.dat; do run init small.safetensors --tensor fc.weight --format int3 --importance $i --out $i.json; done
py "activations are as important as their mean squares" <<'P'
a, b = (load(n)["tensors"][0]["steps"][0] for n in ("acts.npz.json", "acts.dat.json"))
assert abs(a - b) < 1e-6 * b, (a, b)
P
finish
