# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prune a SQLite file: delete old rows in short transactions, and give their pages back to the file system."""

from __future__ import annotations

import contextlib
import time
import typing as t

from .sqlite_file import JournalFile


class _OldRows(t.NamedTuple):
    """A table to prune: its name, its key, a place before its first row, and the time of a row, in SQL."""

    table: str
    key: str
    begin: tuple[t.Any, ...]
    time: str

    def counted(self) -> str:
        return f"FROM {self.table} WHERE {self.time} <= ?"

    def end_of_block(self) -> str:
        """Return the SQL of the key of the last row of a block. Its values: the place after which the block begins, and the rows of the block less one."""
        return f"SELECT {self.key} FROM {self.table} WHERE {self._beyond('>')} ORDER BY {self.key} LIMIT 1 OFFSET ?"  # noqa: S608

    def delete(self, limited: bool) -> str:
        """Return the SQL that deletes the old rows of a block. Its values: the place after which it begins, that of its last row if ``limited``, a time."""
        limit = f"AND {self._beyond('<=')}" if limited else ""
        return f"DELETE FROM {self.table} WHERE {self._beyond('>')} {limit} AND {self.time} <= ?"  # noqa: S608

    def _beyond(self, operator: str) -> str:
        return f"({self.key}) {operator} ({', '.join('?' * len(self.begin))})"


_OLD_ROWS = {
    "interactions": _OldRows("interaction", "id", (-1,), "coalesce(accepted, asked)"),
    "notifications": _OldRows("notification", "scope, id", (-1, ""), "noted"),
    "request_ids": _OldRows("own_request", "scope, request_id", (-1, ""), "asked"),
    "outcomes": _OldRows(
        "outcome",
        "run, attempt, id",
        (-1, 0, 0),
        "(SELECT at FROM attempt WHERE (attempt.run, attempt.number) = (outcome.run, outcome.attempt))",
    ),
    "attempts": _OldRows("attempt", "run, number", (-1, 0), "at"),
    # A run is as old as its last outcome.
    "runs": _OldRows("run", "id", (-1,), "coalesce((SELECT max(at) FROM attempt WHERE attempt.run = run.id), started)"),
}

# Seconds for which a transaction should hold the lock, and then leave it to other processes: SQLite waits at most 0.1 seconds before it tries again.
HOLD_SECONDS = 0.4
PAUSE_SECONDS = 0.11

# Settings of SQLite while it prunes. Deleted rows are in all parts of the index, so a larger cache and a longer log save writing a page many times. A power
# cut may restore deleted rows, which does no harm.
_PRUNE_PRAGMAS = ("cache_size = -32768", "wal_autocheckpoint = 16384", "synchronous = NORMAL")


class Pruner:
    """Deletes old rows of a file. Other processes can write meanwhile, because each transaction is short.

    After an interruption, the next run deletes the rest.
    """

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        self._db = file.db

    def count(self, before: float) -> dict[str, int]:
        """Return the number of rows of each kind that are not later than ``before``."""
        return self._file.read(
            lambda: {
                name: self._file.db.execute(f"SELECT count(*) {old.counted()}", (before,)).fetchone()[0]
                for name, old in _OLD_ROWS.items()
            }
        )

    def prune(self, before: float) -> dict[str, int]:
        """Delete the rows that are not later than ``before``. Return the number of each kind."""
        pruned = self.count(before)
        if not any(pruned.values()):
            return pruned
        pace = _Pace()
        for pragma in _PRUNE_PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}")
        pruned = {name: self._delete(pace, before, old) for name, old in _OLD_ROWS.items()}
        self._shrink(_Pace())  # a page takes longer than a row
        return pruned

    def _delete(self, pace: _Pace, before: float, old: _OldRows) -> int:
        """Delete the old rows of a table, block by block in the order of its key; return their number."""
        deleted = 0
        place = old.begin
        while True:
            with pace.block() as size, self._file.transaction():
                last = self._db.execute(old.end_of_block(), (*place, size - 1)).fetchone()
                deleted += self._db.execute(old.delete(bool(last)), (*place, *(last or ()), before)).rowcount
            if not last:
                return deleted
            place = last

    def _shrink(self, pace: _Pace) -> None:
        """Make the file smaller by its free pages. A file without incremental auto-vacuum keeps its size."""
        with self._file.wrap_errors():
            left = self._free_pages()
            while left:
                with pace.block() as size:
                    self._db.execute(f"PRAGMA incremental_vacuum({size})").fetchall()
                before, left = left, self._free_pages()
                if left >= before:
                    return

    def _free_pages(self) -> int:
        number: int = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return number


class _Pace:
    """Sizes blocks of work so that each holds the lock for a short time, and pauses between them for other processes."""

    def __init__(self) -> None:
        self._size = 1000
        self._held = 0.0

    @contextlib.contextmanager
    def block(self) -> t.Iterator[int]:
        """Yield the size of the next block."""
        if self._held > HOLD_SECONDS / 2:
            time.sleep(PAUSE_SECONDS)
            self._held = 0.0
        began = time.monotonic()
        yield self._size
        seconds = time.monotonic() - began
        self._held += seconds
        self._size = min(max(int(self._size * min(HOLD_SECONDS / max(seconds, 1e-3), 2)), 50), 100_000)
