#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for a sweep that goes on: writes cells into a results database, one after the other, as `quantscope sweep` does.

    sweeping.py SCHEMA.db OUT.db [SECONDS-A-CELL]      SCHEMA.db: any results database

Sweep "race": init (mse, lsq, adaptive), bits (2, 4), seed (1 to 5); metrics accuracy and steps_to_90, series loss and
accuracy. The cell of lsq at 2 bits with seed 3 fails. Between cells it waits for a line on its standard input where SECONDS
is "-"; a line "N" stands for N cells.
"""
import json
import math
import socket
import sqlite3
import os
import sys
import time

STEP = {"mse": 0.0, "lsq": -0.05, "adaptive": 0.01}
NOW = "2024-05-31T12:00:00.000Z"


def series(init, bits, seed):
    rate = {"mse": 20, "lsq": 35, "adaptive": 14}[init]
    loss = [0.3 / bits + 0.02 * seed + 2 * math.exp(-t / rate) + 0.05 * math.sin(t * seed) for t in range(100)]
    return {"accuracy": [0.9 - 0.2 / bits + 0.01 * seed + STEP[init] - 0.6 * math.exp(-t / rate) for t in range(100)], "loss": loss}


def finish(db, cell, init, bits, seed):
    failed = init == "lsq" and bits == 2 and seed == 3
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE run SET status = ?, ended = ?, seconds = 1.5, error = ? WHERE cell = ?",
               ("failed" if failed else "done", NOW, "no convergence" if failed else None, cell))
    if not failed:
        s = series(init, bits, seed)
        db.executemany("INSERT INTO metric VALUES (?, ?, ?, ?)",
                       [(cell, 0, "accuracy", s["accuracy"][-1]), (cell, 1, "steps_to_90", 40 + 3 * seed - 100 * STEP[init] * bits)])
        db.executemany("INSERT INTO series VALUES (?, ?, ?, ?)", [(cell, k, len(x), json.dumps(x, separators=(",", ":"))) for k, x in s.items()])
    db.execute("COMMIT")


def begin(db, cell, seed):
    boot = open("/proc/sys/kernel/random/boot_id").read().strip()
    born = open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]
    db.execute("INSERT INTO run VALUES (?, ?, 1, 'running', ?, NULL, NULL, ?, ?, ?, ?, ?, NULL, NULL)",
               (cell, cell, NOW, seed, socket.gethostname(), os.getpid(), "%s/%s" % (boot, born), NOW))


def make(schema, out):
    db = sqlite3.connect(out, isolation_level=None)
    for (sql,) in sqlite3.connect(schema).execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL AND name != 'sqlite_sequence'"):
        db.execute(sql)
    db.execute("PRAGMA application_id = 0x71736462")
    db.execute("PRAGMA user_version = 1")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("INSERT INTO source VALUES (1, 'race.lua', 'ab12', '{}', 'quantscope 0')")
    db.execute("INSERT INTO sweep VALUES (1, 'race', ?, 1, '{}')", (NOW,))
    return db


def main():
    db = make(sys.argv[1], sys.argv[2])
    pause = sys.argv[3] if len(sys.argv) > 3 else "0"
    cells = [(init, bits, seed) for seed in range(1, 6) for bits in (2, 4) for init in STEP]
    for i, (init, bits, seed) in enumerate(cells):
        key = '{"bits":%d,"init":"%s","seed":%d}' % (bits, init, seed)
        db.execute("INSERT INTO cell VALUES (?, 1, ?, ?, ?)", (i + 1, i, key, key))
    more = 0
    for i, cell in enumerate(cells):
        begin(db, i + 1, cell[2])
        while pause == "-" and not more:
            line = sys.stdin.readline()
            if not line:
                return
            more = int(line)
        more -= 1
        if pause != "-":
            time.sleep(float(pause))
        finish(db, i + 1, *cell)


main()
