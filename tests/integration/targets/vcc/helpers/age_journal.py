# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the rows of a journal older: age_journal.py PATH SECONDS"""

from __future__ import annotations

import contextlib
import sqlite3
import sys

if __name__ == "__main__":
    path, seconds = sys.argv[1], float(sys.argv[2])
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        changed = db.execute("UPDATE interaction SET asked = asked - ?, accepted = accepted - ?", (seconds, seconds))
        print(changed.rowcount)
