# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of all scopes: what it knows, and what is too old in it."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from .._text import clean
from .sqlite_file import JournalFile, insert

_COLUMNS = """
SELECT external_id, provider, api_url, account, action, request_id, asked, accepted, coalesce(accepted, asked) AS time,
    CASE WHEN accepted IS NULL THEN 'pending' WHEN action = 'release' THEN 'released' ELSE 'dispatched' END AS state
"""

# The interactions of all scopes, or those with the ids in temp.wanted, which are found by their index in each scope.
_ALL = f"{_COLUMNS} FROM interaction JOIN scope ON scope.id = interaction.scope"
_WANTED = f"""
{_COLUMNS}
FROM temp.wanted CROSS JOIN scope CROSS JOIN interaction USING (external_id) WHERE interaction.scope = scope.id
"""

_MATCHING = """
FROM ({known})
WHERE (:provider IS NULL OR provider = :provider)
    AND (:state IS NULL OR state = :state)
    AND (:before IS NULL OR time <= :before)
    AND (:after IS NULL OR time > :after)
"""


class _Old(t.NamedTuple):
    """What is pruned of a table: its key, a place before its first row, and the time of a row."""

    table: str
    key: str
    begin: tuple[t.Any, ...]
    time: str

    def counted(self) -> str:
        return f"FROM {self.table} WHERE {self.time} <= ?"

    def end_of_block(self) -> str:
        """The key of the last row of a block behind a place, by the place and the rows of a block before its last one."""
        return f"SELECT {self.key} FROM {self.table} WHERE {self._beyond('>')} ORDER BY {self.key} LIMIT 1 OFFSET ?"  # noqa: S608

    def delete(self, limited: bool) -> str:
        """By the place behind which the block begins, that of its last row if it is limited, and a time."""
        limit = f"AND {self._beyond('<=')}" if limited else ""
        return f"DELETE FROM {self.table} WHERE {self._beyond('>')} {limit} AND {self.time} <= ?"  # noqa: S608

    def _beyond(self, operator: str) -> str:
        return f"({self.key}) {operator} ({', '.join('?' * len(self.begin))})"


_OLD = {
    "interactions": _Old("interaction", "id", (-1,), "coalesce(accepted, asked)"),
    "notifications": _Old("notification", "scope, id", (-1, ""), "noted"),
    "request_ids": _Old("own_request", "scope, request_id", (-1, ""), "asked"),
}

# Seconds for which a transaction should hold the lock, and for which it is left to others then: the longest time for which SQLite waits before it tries
# again is 0.1 seconds.
HOLD_SECONDS = 0.4
PAUSE_SECONDS = 0.11

# Settings of SQLite while it prunes. Deleted rows are in all parts of the index, so a larger cache and a longer log write a page once where it would be
# written many times. A power cut may bring back deleted rows, which does no harm.
_PRUNE_PRAGMAS = ("cache_size = -32768", "wal_autocheckpoint = 16384", "synchronous = NORMAL")


class Upkeep(JournalFile):
    """The journal of all scopes, to look at and to prune. A file that is not there counts as empty, and is never made.

    :arg dry_run: change nothing.
    :arg looking: only show what is in it, whoever may have written it.
    """

    def __init__(
        self,
        path: str,
        dry_run: bool = False,
        clock: t.Callable[[], float] = time.time,
        looking: bool = False,
    ) -> None:
        self.exists = os.path.lexists(path)
        super().__init__(path if self.exists else "", dry_run, looking)
        self.path = os.path.abspath(path)
        self._clock = clock

    def schema_version(self) -> int | None:
        """Return the version of the file's schema, None if there is none."""
        version: int = self.read(lambda: self._db.execute("PRAGMA user_version").fetchone()[0])
        return version if self.exists and os.path.getsize(self.path) else None

    def counts(self) -> dict[str, int]:
        """Return how many interactions are in which state, and how many registrations of providers are known."""
        return self.read(self._counts)

    def _counts(self) -> dict[str, int]:
        interactions = self._count("FROM interaction")
        pending = self._count("FROM interaction WHERE accepted IS NULL")
        dispatches = self._count("FROM interaction WHERE action = 'dispatch'")
        pending_dispatches = self._count("FROM interaction WHERE accepted IS NULL AND +action = 'dispatch'")
        dispatched = dispatches - pending_dispatches
        return {
            "released": interactions - pending - dispatched,
            "dispatched": dispatched,
            "pending": pending,
            "interactions": interactions,
            "providers": self._count("FROM registration WHERE accepted IS NOT NULL"),
        }

    def entries(self, params: t.Mapping[str, t.Any]) -> tuple[list[dict[str, t.Any]], int]:
        """Return a page of the interactions that validated options of vcc_journal_info ask for, the latest first, and how many those are in all."""
        now = self._clock()
        wanted = {
            "provider": params["provider"],
            "state": params["state"],
            "before": None if params["older_than"] is None else now - params["older_than"],
            "after": None if params["newer_than"] is None else now - params["newer_than"],
        }
        everyone = params["external_ids"] is None
        matching = _MATCHING.format(known=_ALL if everyone else _WANTED)
        page = (
            f"SELECT external_id, provider, api_url, account, state, action, request_id, asked, accepted {matching}"
            " ORDER BY time DESC, external_id, api_url, account, provider LIMIT :size OFFSET :skipped"
        )
        limits = {"size": params["page_size"], "skipped": (params["page"] - 1) * params["page_size"]}

        def read() -> tuple[list[dict[str, t.Any]], int]:
            self._db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (external_id TEXT PRIMARY KEY)")
            self._db.execute("DELETE FROM temp.wanted")
            insert(self._db, "INSERT OR IGNORE INTO temp.wanted VALUES ", "(?)", zip(params["external_ids"] or ()))
            rows = self._db.execute(page, {**wanted, **limits}).fetchall()
            return [_entry(*row) for row in rows], self._count(matching, wanted)

        return self.read(read)

    def prune(self, older_than: int, dry_run: bool) -> dict[str, int]:
        """Forget what is C(older_than) seconds old, or with C(dry_run) only say how many of each kind that is.

        Other processes write meanwhile, since each transaction is short; one that is interrupted leaves the rest for the next time.
        """
        before = self._clock() - older_than
        pruned = self.read(lambda: self._old(before))
        if dry_run or not any(pruned.values()):
            return pruned
        pace = _Pace()
        for pragma in _PRUNE_PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}")
        pruned = {name: self._delete(pace, before, old) for name, old in _OLD.items()}
        self._give_back(pace)
        return pruned

    def _old(self, before: float) -> dict[str, int]:
        return {name: self._count(old.counted(), (before,)) for name, old in _OLD.items()}

    def _delete(self, pace: _Pace, before: float, old: _Old) -> int:
        """Delete the old rows of a table, block by block in the order of its key; return how many those were."""
        deleted = 0
        place = old.begin
        while True:
            with pace.block() as size, self.transaction():
                last = self._db.execute(old.end_of_block(), (*place, size - 1)).fetchone()
                deleted += self._db.execute(old.delete(bool(last)), (*place, *(last or ()), before)).rowcount
            if not last:
                return deleted
            place = last

    def _give_back(self, pace: _Pace) -> None:
        """Make the file smaller by the pages that are free. A file that was not made for that stays as it is."""
        with self.wrap_errors():
            left = self._number_of_free_pages()
            while left:
                with pace.block() as size:
                    self._db.execute(f"PRAGMA incremental_vacuum({size})").fetchall()
                before, left = left, self._number_of_free_pages()
                if left >= before:
                    return

    def _number_of_free_pages(self) -> int:
        number: int = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return number

    def _count(self, what: str, values: t.Any = ()) -> int:
        count: int = self._db.execute(f"SELECT count(*) {what}", values).fetchone()[0]
        return count


class _Pace:
    """Sizes blocks of work so that each holds the lock for a short time, and lets other processes in between."""

    def __init__(self) -> None:
        self._size = 1000
        self._held = 0.0

    @contextlib.contextmanager
    def block(self) -> t.Iterator[int]:
        """Yield how much to do in one transaction."""
        if self._held > HOLD_SECONDS / 2:
            time.sleep(PAUSE_SECONDS)
            self._held = 0.0
        began = time.monotonic()
        yield self._size
        seconds = time.monotonic() - began
        self._held += seconds
        self._size = min(max(int(self._size * min(HOLD_SECONDS / max(seconds, 1e-3), 2)), 50), 100_000)


def _entry(
    external_id: str,
    provider: str,
    api_url: str,
    account: str,
    state: str,
    action: str,
    request_id: str,
    asked: float,
    accepted: float | None,
) -> dict[str, t.Any]:
    entry = {
        "external_id": external_id,
        "provider": provider or None,
        "api_url": api_url,
        "account": account,
        "state": state,
        "action": action,
        "request_id": request_id,
        "asked": isoformat_utc(asked),
        "accepted": None if accepted is None else isoformat_utc(accepted),
    }
    # No text that this collection has written has a control character, but others may have written to the file.
    return {name: clean(value) if isinstance(value, str) else value for name, value in entry.items()}


def isoformat_utc(seconds: float) -> str:
    """Return a time of the epoch as ISO 8601 in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
