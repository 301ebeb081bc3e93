#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""One table of what the program promises about speed, measured here and now.

    bench.py BUILD_DIR [--json] [--repeats N] [--only WORD]

Each figure is a ratio within this run: the lower quartile of repeats that alternate between us and the peer. A peer
that is not installed is skipped with a word. A row that is not met stays in the table and says so.
"""
import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import files
import sweeps
from screen import Screen

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 20
KINDS = ("normal", "laplace", "uniform", "bimodal", "outlier")


class Server:
    """A process that answers one line a command."""

    def __init__(self, argv, env=None):
        self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, *words):
        self.p.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline().split()
        if not answer or answer[0] == "error":
            raise RuntimeError("%s: %s" % (words[0], " ".join(answer[1:]) or "ended"))
        return answer

    def time(self, *words):
        return float(self.ask(*words)[0])

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def find_python(module):
    """A Python that has it: this one, the one on the path, the system's."""
    for python in (sys.executable, shutil.which("python3"), "/usr/bin/python3"):
        if python and os.path.exists(python) and subprocess.run([python, "-c", "import numpy, " + module],
                                                                capture_output=True).returncode == 0:
            return python
    return None


def peer(name, script="peers.py"):
    """The peer as a server, tuned: memory is kept between calls, no old BLAS kernel is pinned. None if absent."""
    python = find_python(name)
    if not python:
        return None
    env = {**os.environ, "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "200000000000"}
    for forced in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        env.pop(forced, None)
    return Server([python, os.path.join(HERE, script), name], env)


def lower_quartile(v):
    v = sorted(v)
    return v[(len(v) - 1) // 4]


def interleaved(repeats, *jobs):
    """The lower quartile of every job's times; one round to warm up."""
    times = [[] for _ in jobs]
    for r in range(repeats + 1):
        for out, job in zip(times, jobs):
            t = job()
            if r:
                out.append(t)
    return [lower_quartile(v) for v in times]


def ms(seconds):
    return "%.3g ms" % (seconds * 1e3)


class Table:
    def __init__(self, only):
        self.rows, self.only = [], only

    def wants(self, group):
        return self.only is None or self.only in group

    def add(self, what, ours, other, ratio, target, note=""):
        """ratio: how many times better than the peer or the limit; met if ratio >= target."""
        self.rows.append({"what": what, "ours": ours, "peer": other, "ratio": ratio, "target": target,
                          "met": ratio >= target, "note": note})
        print("bench: %s: %.3g" % (what, ratio), file=sys.stderr)

    def skip(self, what, why):
        self.rows.append({"what": what, "ours": None, "peer": None, "ratio": None, "target": None, "met": None,
                          "note": "skipped: " + why})
        print("bench: %s: skipped: %s" % (what, why), file=sys.stderr)

    def show(self):
        head = ("what", "ours", "peer or limit", "ratio", "target", "met", "")
        lines = [head] + [(r["what"], r["ours"] or "", r["peer"] or "", "" if r["ratio"] is None
                           else "%.3g" % r["ratio"],
                           "" if r["target"] is None else ">= %g" % r["target"], {True: "yes", False: "NO",
                               None: "-"}[r["met"]], r["note"])
                          for r in self.rows]
        width = [max(len(line[i]) for line in lines) for i in range(6)]
        for line in lines:
            print(("  ".join(c.ljust(w) for c, w in zip(line, width)) + "  " + line[6]).rstrip())


def bench_kernel(t, ours, repeats):
    copy, kernel = interleaved(repeats, lambda: ours.time("memcpy"), lambda: ours.time("kernel"))
    t.add("fake quantization, 10^7 floats, one thread, against memcpy", ms(kernel), ms(copy), copy / kernel, .8,
          ours.ask("kernel")[1])


def bench_index(t, ours, numpy, n, target, repeats):
    what = "index of %s floats against NumPy sort + cumulative sums" % n
    if not numpy:
        return t.skip(what, "no NumPy (scripts/setup --extras)")
    a, b = interleaved(repeats, lambda: ours.time("index"), lambda: numpy.time("index"))
    return t.add(what, ms(a), ms(b), b / a, target, " ".join(numpy.ask("version")))


def bench_index16(t, ours, repeats):
    a, b = interleaved(repeats, lambda: ours.time("index16"), lambda: ours.time("index"))
    t.add("index of 10^7 BF16 values against 10^7 floats", ms(a), ms(b), b / a, 5)


def bench_curve(t, ours, torch, repeats):
    top = float(ours.ask("range")[1])
    lo, hi = top / 100, top * 1.2
    a, = interleaved(max(repeats, 9), lambda: ours.time("curve", lo, hi, 1000))
    t.add("1000-point error curve, 10^7 values, 4 bits, indexed: limit", ms(a), "2 ms", 2e-3 / a, 1)
    what = "1000-point error curve against the torch loop over the same steps"
    if not torch:
        return t.skip(what, "no torch (scripts/setup --extras)")
    a, b = interleaved(max(repeats // 2, 3), lambda: ours.time("curve", lo, hi, 1000),
                       lambda: torch.time("curve", lo, hi, 1000, 40))
    return t.add(what, ms(a), ms(b), b / a, 1000, "%s; every 40th step timed" % " ".join(torch.ask("version")))


def bench_mse(t, ours, torch, repeats):
    what = "exact mse, 10^6 floats, 4 bits, indexed, against the 100-step torch grid"
    if not torch:
        return t.skip(what, "no torch (scripts/setup --extras)")
    a, b = interleaved(repeats, lambda: ours.time("mse"), lambda: torch.time("grid", 100))
    return t.add(what, ms(a), ms(b), b / a, 1, " ".join(torch.ask("version")))


def bench_quality(t, ours, numpy, folder):
    worst, note = float("inf"), []
    for kind in KINDS:
        path = os.path.join(folder, kind)
        if kind != "normal":
            ours.ask("make", path, kind, 10 ** 6, SEED)
        ours.ask("load", path)
        ours.ask("keep")
        _, step, error = ours.ask("mse")
        _, grid_step, grid = ours.ask("grid", 100000)
        if numpy:   # both errors anew from every value: nobody's word is taken
            numpy.ask("load", path)
            error, grid = numpy.ask("error", step)[0], numpy.ask("error", grid_step)[0]
        ratio = float(grid) / float(error)
        worst = min(worst, ratio)
        note.append("%s %.9f" % (kind, ratio))
    # A double printed and read again, and float32 steps: equal means within 1e-9.
    t.add("exact mse against a 10^5-point grid: least error ratio of five distributions", "", "", worst, 1 - 1e-9,
          ", ".join(note) + (" (errors by NumPy)" if numpy else ""))


def sparse_model(path, gigabyte=1 << 30):
    """A safetensors file of 256 tensors whose data is a hole."""
    header, at = {}, 0
    for i in range(64):
        for role, shape in (("attn.q_proj", (512, 2048)), ("attn.o_proj", (2048, 512)), ("mlp.up_proj", (512, 2047)),
                            ("norm", (512,))):
            size = 4
            for d in shape:
                size *= d
            header["model.layers.%d.%s.weight" % (i, role)] = {"dtype": "F32", "shape": list(shape),
                                                               "data_offsets": [at, at + size]}
            at += size
    header["model.embed.weight"] = {"dtype": "F32", "shape": [(gigabyte - at) // 4096, 1024],
                                    "data_offsets": [at, at + (gigabyte - at) // 4096 * 4096]}
    at += (gigabyte - at) // 4096 * 4096
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + at)


def bench_open(t, program, folder, repeats):
    path = os.path.join(folder, "sparse.safetensors")
    sparse_model(path)
    times, memory = [], []

    def drawn(text):   # the frame, rows with names, the shape and type of the tensor looked at, the keys at the bottom
        return all(word in text for word in ("q_proj", "up_proj", "[512,2048]", "F32", "F1"))

    for _ in range(repeats + 1):
        s = Screen([program, path], home=folder)
        when = s.until(drawn, 10)
        memory.append(s.anonymous() if when else 0)
        s.close()
        if when is None:
            return t.add("1 GB safetensors to the first screen: limit", "not drawn", "60 ms", 0, 1)
        times.append(when)
    a = lower_quartile(times[1:])
    t.add("1 GB safetensors to the first screen, warm: limit", ms(a), "60 ms", .06 / a, 1)
    return t.add("anonymous memory then: limit", "%.3g MB" % (max(memory) / 1e6), "64 MB", 64e6 / max(memory), 1)


def bench_key(t, program, folder, floats, repeats):
    path = os.path.join(folder, "ten-million.safetensors")
    size = os.path.getsize(floats)
    text = json.dumps({"layer.weight": {"dtype": "F32", "shape": [1000, size // 4000],
                                        "data_offsets": [0, size]}}).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out, open(floats, "rb") as f:
        out.write(struct.pack("<Q", len(text)) + text)
        shutil.copyfileobj(f, out)
    s = Screen([program, path], home=folder)
    s.settle(2.0, 120)
    times = [s.key(k) for _ in range(max(repeats, 9)) for k in (b"+", b"-")]
    s.close()
    a = lower_quartile(times)
    t.add("a key press on an indexed 10^7-value tensor to the finished redraw: limit", ms(a), "16 ms", .016 / a, 1,
          "slowest %s" % ms(max(times)))


# Net, steps a turn, the target against torch.
TRAINED = (("mlp", 40, 2), ("lenet", 15, 2), ("resnet20", 6, 2))


def turns(repeats, steps, *sides):
    """The lower quartile of step times of every side (a server and a kind), in turns; the first step of a turn warms."""
    times = [[] for _ in sides]
    for r in range(repeats + 1):
        for out, (server, kind) in zip(times, sides):
            t = [float(s) for s in server.ask("steps", kind, steps + 1)]
            if r:
                out += t[1:]
    return [lower_quartile(v) for v in times]


def bench_net(t, ours, torch, net, steps, target, repeats):
    """One net, LSQ 4/4 with first and last layer at 8 bits, and in float: both sides, and the floor of the last net."""
    ours.ask("net", net)
    sides = [(ours, "lsq"), (ours, "float")]
    if torch:
        way = " ".join(torch.ask("tune", net, "lsq")).split(";")[0]
        torch.ask("tune", net, "float")
        sides += [(torch, "lsq"), (torch, "float")]
    if net == "resnet20":
        sides.append((ours, "floor"))
    time = dict(zip(sides, turns(repeats, steps, *sides)))
    lsq, plain = time[ours, "lsq"], time[ours, "float"]
    what, theirs = "training step, %s, LSQ 4/4, against torch" % net, ""
    if torch:
        a, b = time[torch, "lsq"], time[torch, "float"]
        theirs = "torch: %.1f %%" % (100 * (a / b - 1))
        t.add(what, ms(lsq), ms(a), a / lsq, target, "%.0f images/s; torch: %s (in float: ours %s, torch %s: %.2f times)"
              % (128 / lsq, way.rsplit(" ", 2)[0], ms(plain), ms(b), b / plain))
    else:
        t.skip(what, "no torch (scripts/setup --extras)")
    if net == "resnet20":
        floor = time[ours, "floor"]
        t.add("that step against its convolutions alone, forward and both backward", ms(lsq), ms(floor), floor / lsq, .7,
              "in float: %.2f" % (floor / plain))
        t.add("overhead of LSQ over the float step, resnet20: limit", "%.1f %%" % (100 * (lsq / plain - 1)), "25 %",
              .25 / max(lsq / plain - 1, .01), 1, theirs)


def bench_train(t, build, repeats):
    """Training steps, batch 128, two threads on either side."""
    ours = Server([os.path.join(build, "bench", "bench_train")], {**os.environ, "QUANTSCOPE_THREADS": "2"})
    torch = peer("torch", "train_peers.py")
    for server in (ours, torch):
        if server:
            print("bench: training: " + " ".join(server.ask("version")), file=sys.stderr)
    for net, steps, target in TRAINED:
        bench_net(t, ours, torch, net, steps, target, repeats)
    for server in (ours, torch):
        if server:
            server.close()


def bench_numbers(t, build, small, large, repeats):
    """Indexes, curves and initializations, of 10^6 and 10^7 floats that are written to small and large."""
    ours, numpy, torch = Server([os.path.join(build, "bench", "bench_ours")]), peer("numpy"), peer("torch")
    ours.ask("make", small, "normal", 10 ** 6, SEED)
    ours.ask("make", large, "normal", 10 ** 7, SEED)
    for n, path in (("10^6", small), ("10^7", large)):
        for server in (ours, numpy, torch):
            if server:
                server.ask("load", path)
        if n == "10^7" and t.wants("kernel"):
            bench_kernel(t, ours, 3 * repeats)
        if t.wants("index"):
            bench_index(t, ours, numpy, n, 5 if n == "10^6" else 2, repeats)
        if n == "10^7" and t.wants("index"):
            bench_index16(t, ours, repeats)
        if n == "10^7" and t.wants("curve"):
            ours.ask("keep")
            bench_curve(t, ours, torch, repeats)
        if n == "10^6" and t.wants("mse"):
            ours.ask("keep")
            bench_mse(t, ours, torch, repeats)
    if torch:
        torch.close()
    if t.wants("quality"):
        bench_quality(t, ours, numpy, os.path.dirname(small))
    for server in (ours, numpy):
        if server:
            server.close()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("build")
    p.add_argument("--json", action="store_true")
    p.add_argument("--repeats", type=int, default=7)
    p.add_argument("--only", help="kernel, index, curve, mse, quality, train, open, key, sweep or file")
    p.add_argument("--file-bytes", type=int, default=4 * 10 ** 9, help="size of the models of the rows \"file\"")
    o = p.parse_args()
    build, t = os.path.abspath(o.build), Table(o.only)
    program = os.path.join(build, "quantscope")
    with tempfile.TemporaryDirectory(prefix="quantscope-bench") as folder:
        small, large = os.path.join(folder, "normal"), os.path.join(folder, "large")
        if any(t.wants(group) for group in ("kernel", "index", "curve", "mse", "quality", "key")):
            bench_numbers(t, build, small, large, o.repeats)
        if t.wants("train"):
            bench_train(t, build, o.repeats)
        if t.wants("open"):
            bench_open(t, program, folder, 2 * o.repeats)
        if t.wants("key"):
            bench_key(t, program, folder, large, o.repeats)
        if t.wants("sweep"):
            sweeps.bench(t, program, folder, o.repeats, interleaved, ms)
        if t.wants("file"):
            ours = Server([os.path.join(build, "bench", "bench_ours")])
            files.bench(t, program, ours, folder, max(o.repeats // 2, 3), lower_quartile, o.file_bytes)
            ours.close()
    if o.json:
        print(json.dumps(t.rows, indent=1))
    else:
        t.show()


main()
