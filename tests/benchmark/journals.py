# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Large journals, and another task that writes to one."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import typing as t
from pathlib import Path

# Seconds to wait for a lock; longer than any wait that is worth measuring.
TIMEOUT = 600


def fill(path: Path, rows: int, days: int) -> None:
    """Copy the only entry of a journal until it has ``rows``, with external ids in no order.

    :param days: age of the oldest copy; the others follow evenly.
    """
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        # The journal need not survive a failure of this function.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000", "foreign_keys = OFF"):
            db.execute(f"PRAGMA {pragma}")
        entry = db.execute("SELECT scope, action, asked, accepted, id FROM interaction").fetchone()
        db.execute(
            """
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?5 - 1)
            INSERT INTO interaction (id, scope, action, asked, accepted, external_id, request_id)
            SELECT ?7 + 2 * n, ?1, ?2, ?3 - ?6 * (?5 - n), ?4 - ?6 * (?5 - n), printf('case-%07d', n * 999983 % ?5),
                printf('%016x', ?7 + 2 * n) || lower(hex(randomblob(8)))
            FROM numbers
            """,
            (*entry[:4], rows, days * 86400 / rows, entry[4]),
        )
        db.execute("PRAGMA journal_mode = WAL")


@contextlib.contextmanager
def other_task(path: Path) -> t.Iterator[list[float]]:
    """Write to a journal every 50 ms, as another task would. Yield the seconds that the writes take."""
    seconds: list[float] = []
    ended = threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None)) as db:
            while not ended.wait(0.05):
                started = time.perf_counter()
                db.executescript("BEGIN IMMEDIATE; UPDATE scope SET account = account; COMMIT")
                seconds.append(time.perf_counter() - started)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield seconds
    finally:
        ended.set()
        thread.join()
