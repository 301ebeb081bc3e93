#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Faults on purpose while a sweep runs; see sweep_faults.py.
if ! python3 -c 'import sqlite3' 2>/dev/null; then
    echo "1..0 # SKIP python3 with sqlite3 is not here: it makes the faults and reads the database"
    exit 0
fi
exec python3 "$top_srcdir/tests/cli/sweep_faults.py"
