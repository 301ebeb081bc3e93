# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files: what `make bench` measures of whole models. The floor is reading the file once; it is read from the page cache here,
so the rates are those of the work. Anonymous memory is held by a limit (RLIMIT_DATA), which the run has to live within."""
import os
import resource
import shutil
import subprocess
import time

GB = 10 ** 9
MEMORY = 512 << 20      # bytes of anonymous memory


def limited():
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def timed(argv):
    """Seconds of a run with two threads within the limit of memory."""
    begun = time.monotonic()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, preexec_fn=limited, env={**os.environ, "QUANTSCOPE_THREADS": "2"})
    return time.monotonic() - begun


def cpu():
    """Seconds of processors that all runs so far took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def room(folder, size):
    """Why a file of that size cannot be made and kept in memory, or None."""
    free = shutil.disk_usage(folder).free
    with open("/proc/meminfo") as f:
        have = next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable"))
    return None if free > 1.5 * size and have > size + GB else "no room for a file of %.0f GB on disk and in memory" % (size / GB)


def bench(t, program, ours, folder, repeats, quartile, size):
    path = os.path.join(folder, "model.safetensors")
    for kind, least in (("BF16", 1.0), ("F32", 0.3)):
        what = "report of a %s model of %.1f GB: statistics, exact 4-bit step of each tensor, 512 MB: rate" % (kind, size / GB)
        why = room(folder, size)
        if why:
            t.skip(what, why)
            continue
        ours.ask("model", path, kind, size)
        bytes_ = os.path.getsize(path)
        argv = [program, "report", path, "--format", "int4", "--init", "mse", "--json"]
        seconds = quartile([timed(argv) for _ in range(repeats + 1)][1:])
        begun = time.monotonic()
        with open(path, "rb", buffering=0) as f:
            while f.read(1 << 24):
                pass
        floor = time.monotonic() - begun
        rate = bytes_ / GB / seconds
        t.add(what, "%.2f GB/s" % rate, "%g GB/s" % least, rate / least, 1, "reading it with read(2) alone: %.1f GB/s" % (bytes_ / GB / floor))
        os.unlink(path)
    ours.ask("tensors", path, 100000)
    runs = [(timed([program, "list", path]), cpu()) for _ in range(repeats + 2)]
    seconds = quartile([r[0] for r in runs[2:]])
    worked = quartile([b[1] - a[1] for a, b in zip(runs[1:], runs[2:])])
    t.add("list of a file of 100,000 tensors: limit", "%.0f ms" % (1e3 * seconds), "500 ms", .5 / seconds, 1,
          "%.0f ms of both processors together" % (1e3 * worked))
    os.unlink(path)
