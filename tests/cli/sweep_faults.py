# SPDX-License-Identifier: GPL-3.0-or-later
"""A sweep of 56 cells under every fault we could think of: killed workers, killed parents, everything killed, Ctrl-C,
SIGTERM, a full disk, a locked database, two sweeps at once. Afterwards the same command completes it: every cell counted
once, every number as without the fault, bit for bit.

The moments come from a seed; they fall elsewhere on a machine of another speed, and the claims must hold for all of them.
"""
import os
import pty
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import termios
import time

BUILD = os.environ["top_builddir"]
PROGRAM = os.path.join(BUILD, "quantscope")
CELLS = 56
LONG = 120          # seconds after which something hangs

SCRIPT = """
local qs = require "quantscope"
return qs.sweep{
  name = "faults",
  grid = {a = qs.range(1, 8), b = qs.range(1, 7)},
  run = function(cell, job)
    local t = qs.randn{20000, seed = job.seed}
    local q = qs.init("mse", t, qs.format("int" .. 2 + cell.a % 3))
    local e = q:error(t)
    return {mse = e.mse, step = q.step, x = job.seed / 3, series = {loss = {e.mse / 3, e.bias, 1 / cell.b}}}
  end,
}
"""

checks = failed = 0
SLOW = os.environ.get("LUA_PROG") == "-"   # a build with a sanitizer: fewer kills


def ok(fine, what, *facts):
    global checks, failed
    checks += 1
    failed += not fine
    print("%sok %d - %s" % ("" if fine else "not ", checks, what))
    if not fine:
        for fact in facts:
            print("# " + str(fact).replace("\n", "\n# "))
    sys.stdout.flush()


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def command(*args, db=None, script="faults.lua"):
    return [PROGRAM, "sweep", os.path.abspath(script)] + (["--db", db] if db else []) + list(args)


def start(*args, **kw):
    extra = {k: kw.pop(k) for k in ("preexec_fn",) if k in kw}
    return subprocess.Popen(command(*args, **kw), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors="replace", **extra)


def finish(p):
    try:
        out = p.communicate(timeout=LONG)[0]
    except subprocess.TimeoutExpired:
        p.kill()
        out = "hangs\n" + p.communicate()[0]
    return p.returncode, out


def sweep(*args, **kw):
    return finish(start(*args, **kw))


def processes():
    """Ours by number: {pid: parent} of all that run one of the scripts of this folder."""
    here, found = os.getcwd().encode(), {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                words = f.read().split(b"\0")
            with open("/proc/%s/stat" % pid) as f:
                stat = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        if any(w.startswith(here) for w in words) and stat[0] != "Z":
            found[int(pid)] = int(stat[1])
    return found


def workers(parent):
    return [pid for pid, up in processes().items() if up == parent]


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def nobody_left():
    """None is seen for a while: one look can miss a worker that is just being exec'ed and ends when it finds no parent."""
    until, seen = time.time() + LONG, time.time()
    while time.time() < seen + 0.2 and seen < until:
        if processes():
            seen = time.time()
        time.sleep(0.01)
    return seen < until


def query(db, sql, *args):
    con = sqlite3.connect("file:%s?mode=ro" % db, uri=True)
    try:
        return con.execute(sql, args).fetchall()
    finally:
        con.close()


def contents(db):
    """{cell: its metrics and series}, as bits."""
    out = {}
    for key, name, x in query(db, "SELECT key, metric, x FROM result"):
        out.setdefault(key, []).append((name, float(x).hex()))
    for key, name, x in query(db, "SELECT c.key, s.name, s.x FROM series s JOIN run r ON r.id = s.run JOIN cell c ON"
                                  " c.id = r.cell WHERE r.status = 'done'"):
        out.setdefault(key, []).append((name, x))
    return {key: sorted(v) for key, v in out.items()}


def counted_once(db):
    return query(db, "SELECT count(*), count(DISTINCT cell) FROM run WHERE status = 'done'") == [(CELLS, CELLS)]


def running(db):
    return query(db, "SELECT count(*) FROM run WHERE status = 'running'")[0][0]


def await_cells(p, db, n=1):
    """Until that many cells were begun, or the sweep is over; however slow the machine."""
    for _ in range(int(LONG / 0.02)):
        try:
            if p.poll() is not None or query(db, "SELECT count(*) FROM run")[0][0] >= n:
                return
        except sqlite3.Error:   # there is no database yet
            pass
        time.sleep(0.02)


def completes(db, what, *args):
    """The same command again, until it is done (a kill may have cost cells, which run again)."""
    code, out = sweep(*args, db=db)
    ok(code == 0, "%s: the same command completes it" % what, code, out[-2000:])
    ok(counted_once(db), "%s: every cell is counted once" % what, query(db, "SELECT status, count(*) FROM run GROUP BY 1"))
    ok(contents(db) == reference, "%s: the results are those of an undisturbed run" % what)


# ---- faults ----------------------------------------------------------------------------------------------------
def test_undisturbed():
    global reference
    code, out = sweep("--jobs", "2", db="reference.db")
    ok(code == 0 and counted_once("reference.db"), "an undisturbed run", code, out[-2000:])
    ok(len(re.findall(r"^\[\d+/56\] a=\d b=\d: done, ", out, re.M)) == CELLS, "a line a cell", out)
    reference = contents("reference.db")
    code, out = sweep(db="reference.db")
    ok(code == 0 and "all of 56 cells are done" in out, "again: nothing is left", code, out)
    code, out = sweep("--jobs", "3", "--threads", "6", db="again.db")
    ok(code == 0 and contents("again.db") == reference, "once more, with other jobs and threads: the same bits")


def test_killed_workers(rng):
    p, killed = start("--jobs", "3", db="workers.db"), 0
    while p.poll() is None and killed < (4 if SLOW else 12):
        time.sleep(rng.uniform(0.005, 0.06))
        victims = sorted(workers(p.pid))
        if victims:
            kill(rng.choice(victims))
            killed += 1
    code, out = finish(p)
    lost = query("workers.db", "SELECT count(*) FROM run WHERE status = 'killed'")[0][0]
    ok(killed > 2 and code == (1 if lost else 0), "%d workers killed, the sweep goes on without %d cells" % (killed, lost),
       code, out[-2000:])
    ok(not lost or "killed by signal 9" in out, "and says why", out[-2000:])
    completes("workers.db", "killed workers", "--jobs", "2")


def test_killed_parent(rng, everything):
    db, what = ("all.db", "everything killed") if everything else ("parent.db", "the parent killed")
    kills, progress = 0, 0
    while kills < (2 if SLOW else 6) and progress < CELLS:
        p = start("--jobs", "2", db=db)
        time.sleep(rng.uniform(0.02, 0.25))
        if everything:
            for pid in workers(p.pid):
                kill(pid)
        p.kill()
        finish(p)
        kills += 1
        if not nobody_left():
            break
        try:
            progress = query(db, "SELECT count(DISTINCT cell) FROM run WHERE status = 'done'")[0][0]
        except sqlite3.OperationalError:
            pass          # killed before there was one
    ok(nobody_left(), "%s %d times: no worker outlives it" % (what, kills), processes())
    completes(db, what, "--jobs", "2")


def test_terminated():
    p = start("--jobs", "2", db="term.db")
    await_cells(p, "term.db", 5)
    p.terminate()
    code, out = finish(p)
    ok(code == 143 or (code == 0 and counted_once("term.db")), "SIGTERM: exit code 143", code, out[-1000:])
    ok(code == 0 or "the same command goes on" in out, "it says how to go on", out[-1000:])
    ok(running("term.db") == 0 and nobody_left(), "no cell is left half run, no worker left")
    completes("term.db", "SIGTERM")


def on_terminal(args, act):
    """Runs it on a terminal of its own; act(master) is called once the progress line is there. (status, output, clean)"""
    pid, master = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(args[0], args)
    before, out, acted, until = termios.tcgetattr(master), b"", False, time.time() + LONG
    while time.time() < until:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        out += piece
        if not acted and re.search(rb"\r\x1b\[K[0-9]+/56 done, 2 running", out):
            act(master)
            acted = True
    try:
        clean = termios.tcgetattr(master) == before
    except termios.error:
        clean = True          # the terminal went with the program
    status = os.waitpid(pid, 0)[1]
    os.close(master)
    return os.waitstatus_to_exitcode(status), out.decode(errors="replace"), clean


def test_interrupted():
    # Slower cells: the line is to be seen before all is over.
    write("slow.lua", SCRIPT.replace('"faults"', '"slow"').replace("local t =", "local till = os.clock() + 0.05; while os.clock() < till "
                                                                   "do end; local t ="))
    code, out, clean = on_terminal(command("--jobs", "2", db="ctrlc.db", script="slow.lua"), lambda m: os.write(m, b"\x03"))
    ok(code == 130, "Ctrl-C on a terminal: exit code 130", code, repr(out[-1500:]))
    ok("goes on from there" in out, "it says how to go on", repr(out[-1500:]))
    ok(clean and out.endswith("\n") and re.search(r"\r\x1b\[Ksweep slow: [0-9]+ of 56 cells done", out), "the terminal is left clean",
       repr(out[-1500:]))
    ok(running("ctrlc.db") == 0 and nobody_left(), "no cell is left half run, no worker left")
    done = query("ctrlc.db", "SELECT count(*) FROM run")[0][0]
    code, out, _ = on_terminal(command("--jobs", "2", db="ctrlc.db", script="slow.lua"), lambda m: None)
    ok(code == 0 and counted_once("ctrlc.db") and (done == 0 or "(%d before)" % done in out), "the same command completes it",
       code, repr(out[-1500:]))
    ok(contents("ctrlc.db") == reference, "with the same results")


def test_two_at_once():
    p = [start("--jobs", "2", db="both.db") for _ in range(2)]
    results = [finish(q) for q in p]
    ok(all(code == 0 for code, _ in results), "two sweeps write to one database at once", *(out[-1500:] for _, out in results))
    ok(counted_once("both.db") and contents("both.db") == reference, "every cell runs once, and both end when all is done")


def test_other_dies():
    a = start("--jobs", "2", db="heir.db")
    await_cells(a, "heir.db", 3)
    b = start("--jobs", "2", db="heir.db")
    await_cells(b, "heir.db", 10)
    a.kill()
    finish(a)
    code, out = finish(b)
    ok(code == 0 and counted_once("heir.db") and contents("heir.db") == reference, "one of two is killed: the other one takes over",
       code, out[-1500:])


def test_locked():
    code, out = sweep("--filter", "a=1", db="locked.db")
    con = sqlite3.connect("locked.db", isolation_level=None)
    con.execute("BEGIN IMMEDIATE")
    p = start("--jobs", "2", db="locked.db")
    time.sleep(1)
    waits = p.poll() is None
    con.execute("ROLLBACK")
    con.close()
    code, out = finish(p)
    ok(waits and code == 0 and contents("locked.db") == reference, "another process locks the database for a while: it waits", code,
       out[-1500:])


def limit_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_full():
    for journal in ("wal", "delete"):
        db = "full-%s.db" % journal
        code, out = sweep("--jobs", "2", "--journal", journal, db=db, preexec_fn=limit_files(os.path.getsize("reference.db") * 6 // 10))
        ok(code == 3 and db in out.split("\n")[-2], "no room on the disk (%s): exit code 3, the file is named" % journal, code, out[-1500:])
        ok(nobody_left(), "no worker is left")
        completes(db, "room again (%s)" % journal, "--jobs", "2", "--journal", journal)


def test_damaged():
    shutil.copy("reference.db", "damaged.db")
    with open("damaged.db", "r+b") as f:
        f.seek(4096)
        f.write(b"\xa5" * 40960)
    code, out = sweep(db="damaged.db")
    ok(code == 3 and "damaged.db" in out, "a damaged database: exit code 3, and it is named", code, out)
    write("text.db", "not a database, but long enough to be taken for one by a program that does not look\n" * 20)
    code, out = sweep(db="text.db")
    ok(code == 3 and "text.db" in out, "no database at all", code, out)
    code, out = sweep(db="nowhere/x.db")
    ok(code == 3 and "nowhere" in out, "a folder that is not there", code, out)


def test_changed():
    write("changed.lua", SCRIPT.replace('name = "faults"', 'name = "changed", inputs = {"data.txt"}'))
    write("data.txt", "1\n")
    code, out = sweep("--filter", "a=1", script="changed.lua", db="changed.db")
    ok(code == 0, "a script with an input", code, out)
    write("data.txt", "2\n")
    code, out = sweep("--filter", "a=2", script="changed.lua", db="changed.db")
    ok(code == 1 and "data.txt" in out and "--accept-changes" in out, "a changed input is noticed", code, out)
    write("data.txt", "1\n")
    with open("changed.lua", "a") as f:
        f.write("-- changed\n")
    code, out = sweep("--filter", "a=2", "--resume", script="changed.lua", db="changed.db")
    ok(code == 1 and "the script" in out and query("changed.db", "SELECT count(*) FROM run") == [(7,)],
       "a changed script is noticed, and nothing runs", code, out)
    code, out = sweep("--filter", "a=2", "--accept-changes", script="changed.lua", db="changed.db")
    ok(code == 0 and query("changed.db", "SELECT count(*) FROM run") == [(14,)], "--accept-changes goes on", code, out)
    code, out = sweep("--filter", "a=1|2", script="changed.lua", db="changed.db")
    ok(code == 0, "and it is the script from then on", code, out)
    os.remove("data.txt")
    code, out = sweep(script="changed.lua", db="changed.db")
    ok(code == 3 and "data.txt" in out, "an input that is gone", code, out)


def test_bad_cells():
    write("bad.lua", """
        local qs = require "quantscope"
        return qs.sweep{name = "bad", grid = {what = {"error", "exit", "abort", "loop", "nan", "fine", "loud"}}, run = function(cell)
          if cell.what == "error" then local t; return t.x end
          if cell.what == "exit" then os.exit(7) end
          if cell.what == "abort" then os.execute("kill -ABRT $PPID"); while true do end end
          if cell.what == "loop" then while true do pcall(function() while true do end end) end end
          if cell.what == "nan" then return {x = 0/0, y = 2} end
          if cell.what == "loud" then io.write("no newline"); io.stderr:write("\\n\\27[31mred\\n") end
          return {x = 1}
        end}""")
    code, out = sweep("--jobs", "2", "--limit-seconds", "3", script="bad.lua", db="bad.db")
    ok(code == 1, "cells that fail: exit code 1", code, out)
    rows = dict((k, (s, e or "")) for k, s, e in query(
        "bad.db", "SELECT json_extract(params, '$.what'), status, error FROM run JOIN cell ON cell.id = run.cell"))
    for what, status, word in (("error", "failed", "bad.lua:4"), ("exit", "failed", "exit code 7"), ("abort", "killed", "signal 6"),
                               ("loop", "timeout", "3 s"), ("nan", "failed", "x is not a number"), ("fine", "done", ""),
                               ("loud", "done", "")):
        ok(rows[what][0] == status and word in rows[what][1], "%s: %s, with the reason" % (what, status), rows[what])
    ok(query("bad.db", "SELECT x FROM metric JOIN run ON run.id = run JOIN cell ON cell.id = cell WHERE params LIKE '%nan%'"
             " ORDER BY name") == [(None,), (2.0,)], "what a cell gave beside a NaN is kept")
    ok("what=loud | no newline" in out and "what=loud | ?[31mred" in out, "what a cell prints is shown, tamed", out)
    code, out = sweep("--jobs", "2", "--keep-failed", script="bad.lua", db="bad.db")
    ok(code == 1 and "5 failed and are kept" in out and len(query("bad.db", "SELECT * FROM run")) == 7, "--keep-failed", code, out)
    write("broken.lua", "return qs.sweep{")
    code, out = sweep(script="broken.lua")
    ok(code == 1 and "broken.lua:1" in out, "a script that is no Lua", code, out)
    write("none.lua", "x = 1")
    code, out = sweep(script="none.lua")
    ok(code == 1 and "return qs.sweep" in out, "a script that declares nothing", code, out)
    code, out = sweep(script="missing.lua")
    ok(code == 3 and "missing.lua" in out, "a script that is not there", code, out)


def test_shards():
    union = {}
    sizes = []
    for i in (1, 2, 3):
        code, out = sweep("--shard", "%d/3" % i, "--jobs", "2")
        part = contents("faults.%d-of-3.db" % i)
        sizes.append(len(part))
        union.update(part)
        if code:
            ok(False, "shard %d/3" % i, code, out)
    ok(sorted(sizes) == [18, 19, 19] and union == reference, "three shards are disjoint, and together all", sizes)
    p = subprocess.run(command("--dry-run", "--shard", "2/3", "--csv", "--filter", "a=1|2"), capture_output=True, text=True)
    rows = p.stdout.split("\n")[1:-1]
    ok(p.returncode == 0 and rows and all(",done,false" in r for r in rows), "--dry-run knows what a shard has done", p.stdout, p.stderr)


def main():
    rng = random.Random(int(os.environ.get("SEED", "4")))
    work = tempfile.mkdtemp(prefix="sweep.", dir=os.path.join(BUILD, "tests"))
    os.chdir(work)
    os.environ.pop("QUANTSCOPE_THREADS", None)
    write("faults.lua", SCRIPT)
    try:
        test_undisturbed()
        test_killed_workers(rng)
        test_killed_parent(rng, False)
        test_killed_parent(rng, True)
        test_terminated()
        test_interrupted()
        test_two_at_once()
        test_other_dies()
        test_locked()
        test_full()
        test_damaged()
        test_changed()
        test_bad_cells()
        test_shards()
    finally:
        for pid in processes():
            kill(pid)
        os.chdir("/")
        shutil.rmtree(work, ignore_errors=True)
    print("1..%d" % checks)
    return 1 if failed else 0


sys.exit(main())
