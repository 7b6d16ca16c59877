# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worklist: the interactions that a task asks for, in a temporary table, so that memory does not grow with their number."""

from __future__ import annotations

import contextlib
import itertools
import typing as t

with contextlib.suppress(ImportError):  # ``_module`` reports it
    import sqlite3

from .._errors import InputError
from .._text import shown
from .._words import Action
from .entry import Entry
from .rules import Interaction, Wanted
from .sqlite_errors import SqliteErrors
from .sqlite_file import insert
from .store import CHUNK

_SCHEMA = """
CREATE TABLE work (
    seq INTEGER PRIMARY KEY,
    external_id TEXT UNIQUE,
    request_id TEXT,
    data TEXT,
    previous_id TEXT,
    accepted_at REAL
);
CREATE UNIQUE INDEX custom_request_id ON work (request_id) WHERE request_id IS NOT NULL;
"""

# The order of the worklist, after a place. Dispatches queue in the order in which the task asks for them. The order of releases does not matter, and
# writing a journal is much faster in the order of its index.
_BEHIND = {
    Action.DISPATCH: "seq > ? ORDER BY seq",
    Action.RELEASE: "external_id > coalesce((SELECT external_id FROM work WHERE seq = ?), '') ORDER BY external_id",
}


class Worklist(SqliteErrors):
    """The interactions that a task asks for, each once.

    :param action: the action that it asks for.
    :param path: the file of the journal, if it has one, for messages.
    :param derive: returns the request id of an external id; None to derive none.
    """

    def __init__(self, action: str, path: str, derive: t.Callable[[str], str] | None = None) -> None:
        super().__init__(path)
        self._derive = derive
        self._behind = f"FROM work WHERE accepted_at IS NULL AND {_BEHIND[Action(action)]} LIMIT {CHUNK}"
        with self.wrap_errors():
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the table, which deletes it."""
        self._db.close()

    def add_all(self, entries: t.Iterable[Entry | list[str]]) -> int:
        """Add entries; duplicates count once. Return the number of distinct interactions.

        Raises InputError for an interaction with two request ids or with differing data, and for a request id of two interactions.
        """
        ids: list[str] = []
        has_data = False
        self._db.execute("BEGIN")
        for entry in entries:
            if isinstance(entry, list):
                ids += entry
            else:
                # Duplicates can differ in data only once an entry has data, so from then on entries are added one by one.
                has_data = has_data or entry.data is not None
                if has_data or entry.request_id is not None or entry.external_id is None:
                    self._add_ids(ids)
                    self._add(entry)
                else:
                    ids.append(entry.external_id)
            if len(ids) >= CHUNK:
                self._add_ids(ids)
        self._add_ids(ids)
        self._db.execute("COMMIT")
        return self.count()

    def count(self) -> int:
        """Return the number of distinct interactions."""
        with self.wrap_errors():
            count: int = self._db.execute("SELECT count(*) FROM work").fetchone()[0]
            return count

    def _add_ids(self, ids: list[str]) -> None:
        """Add interactions with only an external id, and empty the list."""
        insert(self._db, "INSERT OR IGNORE INTO work (external_id) VALUES ", "(?)", zip(ids))
        ids.clear()

    def chunk(self, after: int) -> list[Wanted]:
        """Return the next interactions in the order of sending, without settled ones; none at the end.

        :param after: the place of the last interaction of the previous chunk; 0 for the first chunk.
        """
        found = self._db.execute(f"SELECT seq, external_id, request_id, data {self._behind}", (after,)).fetchall()
        if not self._derive:
            return found
        return [(seq, name, self._derive(name), data) for seq, name, dummy, data in found]

    def chunks(self) -> t.Iterator[list[Wanted]]:
        """Yield all chunks."""
        chunk = self.chunk(0)
        while chunk:
            yield chunk
            chunk = self.chunk(chunk[-1][0])

    def external_ids(self) -> t.Iterator[list[str]]:
        """Yield the external ids in their order, a chunk at a time."""
        rows = self._db.execute("SELECT external_id FROM work WHERE external_id IS NOT NULL ORDER BY external_id")
        while chunk := rows.fetchmany(CHUNK):
            yield list(itertools.chain.from_iterable(chunk))

    def has_custom_request_ids(self) -> bool:
        """Return whether an interaction has a request id of the user's choice."""
        return self._db.execute("SELECT 1 FROM work WHERE request_id IS NOT NULL LIMIT 1").fetchone() is not None

    def has_new_request_ids(self) -> bool:
        """Return whether an interaction with an external id has no request id of the user's choice."""
        query = "SELECT 1 FROM work WHERE request_id IS NULL AND external_id IS NOT NULL LIMIT 1"
        return self._db.execute(query).fetchone() is not None

    def custom_request_ids(self, interactions: t.Iterable[Interaction]) -> list[tuple[str, str | None]]:
        """Return the request id and the external id of the interactions that have a request id of the user's choice."""
        query = "SELECT 1 FROM work WHERE seq = ? AND request_id = ?"
        return [
            (each.request_id, each.external_id)
            for each in interactions
            if each.request_id is not None and self._db.execute(query, (each.seq, each.request_id)).fetchone()
        ]

    def custom_ids(self, interactions: t.Iterable[Interaction]) -> dict[int, str]:
        """Return the request ids of the user's choice by ``seq``, even for interactions whose rows have other request ids."""
        query = "SELECT request_id FROM work WHERE seq = ? AND request_id IS NOT NULL"
        with self.wrap_errors():
            if not self.has_custom_request_ids():
                return {}
            found = [(each.seq, self._db.execute(query, (each.seq,)).fetchone()) for each in interactions]
        return {seq: row[0] for seq, row in found if row}

    def settle(self, interactions: t.Sequence[Interaction]) -> None:
        """From now on, leave interactions that the journal confirms out of the chunks."""
        times = [(each.previous and each.previous.accepted_at) or 0.0 for each in interactions]
        rows = [(each.request_id, accepted_at, each.seq) for each, accepted_at in zip(interactions, times)]
        with self.wrap_errors():
            self._db.execute("BEGIN")
            self._db.executemany("UPDATE work SET previous_id = ?, accepted_at = ? WHERE seq = ?", rows)
            self._db.execute("COMMIT")

    def settled(self) -> t.Iterator[list[Wanted]]:
        """Yield the settled interactions in their order, a chunk at a time, each with the request id that VCC accepted."""
        query = "SELECT seq, external_id, previous_id, data FROM work WHERE accepted_at IS NOT NULL ORDER BY seq"
        return self._stream(query)

    def latest(self) -> t.Iterator[Wanted]:
        """Yield the settled interactions with their custom request ids, the latest acceptance first."""
        query = (
            "SELECT seq, external_id, request_id, data FROM work WHERE accepted_at IS NOT NULL"
            " ORDER BY accepted_at DESC, seq DESC"
        )
        return itertools.chain.from_iterable(self._stream(query))

    def last(self) -> t.Iterator[Wanted]:
        """Yield the interactions that are not settled with their custom request ids, the end of the list first."""
        query = "SELECT seq, external_id, request_id, data FROM work WHERE accepted_at IS NULL ORDER BY seq DESC"
        return itertools.chain.from_iterable(self._stream(query))

    def _stream(self, query: str) -> t.Iterator[list[Wanted]]:
        """Yield the rows of a query, a chunk at a time."""
        with self.wrap_errors():
            rows = self._db.execute(query)
            while chunk := rows.fetchmany(CHUNK):
                yield chunk

    def _add(self, entry: Entry) -> None:
        """Add an entry that is more than an external id."""
        name = shown(entry.external_id or "")
        row = self._db.execute(
            "SELECT request_id, data FROM work WHERE external_id = ?", (entry.external_id,)
        ).fetchone()
        if row and row[0] and entry.request_id and row[0] != entry.request_id:
            raise InputError(
                f"{entry.position} asks for '{name}' a second time with another request_id: remove one of the two entries."
            )
        if row and row[1] != entry.data:
            raise InputError(
                f"{entry.position} asks for '{name}' a second time with other linked_data or routing_data: remove one of the two entries."
            )
        try:
            if not row:
                self._db.execute(
                    "INSERT INTO work (external_id, request_id, data) VALUES (?, ?, ?)",
                    (entry.external_id, entry.request_id, entry.data),
                )
            elif entry.request_id:
                self._db.execute(
                    "UPDATE work SET request_id = ? WHERE external_id = ?", (entry.request_id, entry.external_id)
                )
        except sqlite3.IntegrityError:
            raise InputError(
                f"{entry.position} has the request_id '{shown(entry.request_id or '')}' of another interaction, and VCC processes only the first request"
                " with it: give each interaction its own request_id."
            ) from None
