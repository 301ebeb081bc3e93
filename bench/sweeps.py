# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sweep costs beside its cells: processes, database, reporting."""
import os
import sqlite3
import subprocess
import time

SCRIPT = """local qs = require "quantscope"
return qs.sweep{name = "bench", grid = {%s}, run = function(cell) return {y = cell.i / 3} end}
"""


class Sweeps:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def declare(self, name, grid):
        with open(self.path(name), "w") as f:
            f.write(SCRIPT % grid)

    def command(self, name, db, *args):
        return [self.program, "sweep", self.path(name), "--db", self.path(db), *args]

    def time(self, name, db, *args):
        """Seconds of one run."""
        begin = time.perf_counter()
        subprocess.run(self.command(name, db, *args), check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begin

    def fresh(self, name, *args):
        """Seconds of one run from nothing."""
        for end in ("", "-wal", "-shm"):
            if os.path.exists(self.path("fresh.db" + end)):
                os.remove(self.path("fresh.db" + end))
        return self.time(name, "fresh.db", *args)

    def finished(self, name, db):
        """A database in which all cells are done, without having run them."""
        p = subprocess.Popen(self.command(name, db, "--jobs", "1"), stderr=subprocess.PIPE, text=True)
        p.stderr.readline()      # what there is to run: its cells are in the file
        p.terminate()
        p.communicate()
        con = sqlite3.connect(self.path(db))
        source, = con.execute("SELECT source FROM sweep").fetchone()
        con.execute("DELETE FROM run")
        con.execute("INSERT INTO run (cell, source, status, began, seconds, seed, host, pid, born, seen) SELECT id, ?, 'done',"
                    " '2024-01-01T00:00:00.000Z', 1, 1, 'bench', 1, '-', '2024-01-01T00:00:00.000Z' FROM cell", (source,))
        con.execute("INSERT INTO metric (run, place, name, x) SELECT id, 0, 'y', 0.5 FROM run")
        con.commit()
        con.close()


def bench(t, program, folder, repeats, interleaved, ms):
    s = Sweeps(program, folder)
    s.declare("one.lua", "i = {1}")
    s.declare("some.lua", "i = qs.range(1, 201)")
    one, some = interleaved(repeats, lambda: s.fresh("one.lua", "--jobs", "1"), lambda: s.fresh("some.lua", "--jobs", "1"))
    cell = (some - one) / 200
    t.add("a cell of a sweep beside what it computes: limit", ms(cell), "10 ms", .01 / cell, 1, "one worker, 200 cells")
    s.declare("many.lua", "i = qs.range(1, 1000)")
    many, = interleaved(max(repeats // 3, 1), lambda: s.fresh("many.lua", "--jobs", "2"))
    t.add("a sweep of 1000 trivial cells, 2 jobs: limit", "%.3g s" % many, "10 s", 10 / many, 1)
    s.declare("done.lua", "i = qs.range(1, 500), bits = {2, 3, 4, 5, 6}, init = {'lsq', 'mse', 'kl', 'octav'},"
              " lr = {0.1, 0.03, 0.01, 0.003, 0.001}, net = {'mlp', 'smallcnn'}")
    s.finished("done.lua", "done.db")
    done, = interleaved(repeats, lambda: s.time("done.lua", "done.db"))
    t.add("resuming a finished sweep of 100,000 cells: limit", "%.3g s" % done, "1 s", 1 / done, 1)
