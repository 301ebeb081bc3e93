#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes results/v1.db: a results database of schema version 1 that our program did not write.

    tests/golden/results.py SCHEMA.sql     the schema, as `sqlite3 DB .schema` prints it

Sweep "race": init (mse, lsq, adaptive), bits (2, 4), seed (1 to 5), n (always 0.1). lsq at 2 bits with seed 3 failed, mse
at 4 bits with seed 4 has accuracy NaN, the last cell is not begun. Sweep "empty" has no cells.
"""
import os
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
STEP = {"mse": 0.0, "lsq": -0.05, "adaptive": 0.01}


def accuracy(init, bits, seed):
    return 0.5 + 0.1 * bits + 0.07 * seed + STEP[init] + (0.005 * seed if init == "adaptive" else 0)


def run(db, cell, init, bits, seed):
    failed = init == "lsq" and bits == 2 and seed == 3
    minute = "2024-05-31T12:%02d:00.000Z" % cell
    status, error, text = ("failed", "no convergence", None) if failed else ("done", None, '{"note":"fine"}')
    db.execute("INSERT INTO run VALUES (?, ?, 1, ?, ?, ?, 1.5, ?, 'node1', 7, 'boot/7', ?, ?, ?)",
               (cell, cell, status, minute, minute, seed, minute, error, text))
    if failed:
        return
    x = None if init == "mse" and bits == 4 and seed == 4 else accuracy(init, bits, seed)
    db.executemany("INSERT INTO metric VALUES (?, ?, ?, ?)",
                   [(cell, 0, "accuracy", x), (cell, 1, "loss", float("inf") if seed == 5 else -accuracy(init, bits, seed))])
    db.execute("INSERT INTO series VALUES (?, 'loss', 4, ?)", (cell, "[%d,0.5,null,1e999]" % seed))


def main():
    path = os.path.join(HERE, "results", "v1.db")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        os.remove(path)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size = 1024")
    db.executescript(open(sys.argv[1]).read().replace("CREATE TABLE sqlite_sequence(name,seq);", ""))
    db.execute("PRAGMA application_id = 0x71736462")
    db.execute("PRAGMA user_version = 1")
    db.execute("BEGIN")
    db.execute("INSERT INTO source VALUES (1, 'race.lua', 'ab12', '{\"data.npy\":\"cd\"}', 'quantscope 0')")
    db.executemany("INSERT INTO sweep VALUES (?, ?, '2024-05-31T12:00:00.000Z', 1, '{}')", [(1, "race"), (2, "empty")])
    cell = 0
    for seed in range(1, 6):
        for bits in 2, 4:
            for init in STEP:
                cell += 1
                key = '{"bits":%d,"init":"%s","n":0.1,"seed":%d}' % (bits, init, seed)
                db.execute("INSERT INTO cell VALUES (?, 1, ?, ?, ?)", (cell, cell - 1, key, key))
                if cell < 30:
                    run(db, cell, init, bits, seed)
    db.execute("COMMIT")
    db.execute("VACUUM")


main()
