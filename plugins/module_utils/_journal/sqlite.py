# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store in a SQLite file: the SQL of rows, custom request ids, registrations and notifications."""

from __future__ import annotations

# ruff: noqa: S608 -- queries are built from constants and numbers of parameters alone
import itertools
import os
import time
import typing as t

from .claim_ids import claim_of
from .sqlite_file import OTHER_REQUEST, insert
from .sqlite_history import HistoryFile
from .sqlite_prune import Pruner
from .store import CHUNK, Attempt, Change, Found, Query, Registered, Row, Scope, SetUp, Store, Use

# The number of values of one statement. Old versions of SQLite allow 999.
VALUES_AT_ONCE = 400

_ROW = "id, external_id, action, request_id, asked, accepted"

# Joins the present row of the interaction and the action of a used request id.
_NOW = "LEFT JOIN interaction AS now ON (now.scope, now.external_id, now.action) = (used.scope, used.external_id, used.action)"

# Rows in the order of the columns of ``Row``, with their scope.
_COLUMNS = """
SELECT interaction.id, external_id, action, request_id, asked, accepted, api_url, account, provider, coalesce(accepted, asked) AS time,
    CASE WHEN accepted IS NULL THEN 'pending' WHEN action = 'release' THEN 'released' ELSE 'dispatched' END AS state
"""

# The interactions of all scopes; or those with the ids in temp.wanted, which an index finds in each scope.
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

_ORDER = "ORDER BY time DESC, external_id, api_url, account, provider"


class _OvertakenError(Exception):
    """Another process has recorded a notification or replaced a row first."""


class SqliteStore(HistoryFile, Store):
    """The rows of one scope in a SQLite file; without a scope, only the methods for all scopes work."""

    def __init__(self, path: str, scope: Scope | None, dry_run: bool = False, show_only: bool = False) -> None:
        super().__init__(path, dry_run, show_only)
        self.location = self.path
        if scope is None:
            return
        self._key = scope
        try:
            if not dry_run:
                # This takes the write lock, so that a journal that cannot be written fails here.
                with self.transaction():
                    self._db.execute("INSERT OR IGNORE INTO scope (api_url, account, provider) VALUES (?, ?, ?)", scope)
            row = self.read(
                lambda: self._db.execute(
                    "SELECT id FROM scope WHERE (api_url, account, provider) = (?, ?, ?)", scope
                ).fetchone()
            )
        except BaseException:
            self.close()
            raise
        if row:
            self._scope = row[0]

    def set_up(self, roles: list[str], dry_run: bool) -> SetUp:
        """Return whether the file was missing or empty. Opening it has created it. A file has no roles."""
        return SetUp(self.created or (dry_run and self.schema_version() is None), False, [])

    def clock(self) -> float:
        """Return the time, in seconds since the epoch."""
        return time.time()

    def rows(self, external_ids: t.Sequence[str]) -> dict[str, Row]:
        """Return the rows of interactions by their external ids; an interaction without a row is missing."""
        return self.read(lambda: self._rows(external_ids))

    def _rows(self, external_ids: t.Sequence[str]) -> dict[str, Row]:
        if not external_ids:
            return {}
        # A chunk of new interactions often lies in a gap between the rows, which is quick to check: SQLite orders texts as Python does.
        gap = "SELECT 1 FROM interaction WHERE scope = ? AND external_id BETWEEN ? AND ? LIMIT 1"
        if not self._db.execute(gap, (self._scope, min(external_ids), max(external_ids))).fetchone():
            return {}
        query = f"SELECT {_ROW} FROM interaction WHERE scope = ? AND external_id IN"
        new = tuple.__new__  # faster than Row._make
        return {row[1]: new(Row, row) for row in self._select(query, external_ids)}

    def check(self, external_ids: t.Sequence[str]) -> None:
        """Read the rows of interactions. Raises JournalError if they are damaged."""
        columns = "sum(accepted), sum(length(request_id))"
        query = f"SELECT {columns} FROM interaction WHERE scope = ? AND external_id IN"
        self.read(lambda: self._select(query, external_ids))

    def has_claims(self, first: int, last: int) -> bool:
        """Return whether there is a row with an id from ``first`` to ``last``."""
        query = "SELECT 1 FROM interaction WHERE id BETWEEN ? AND ? LIMIT 1"
        return self.read(lambda: self._db.execute(query, (first, last)).fetchone() is not None)

    def swap(self, changes: t.Sequence[Change]) -> list[bool]:
        """Replace each row that is still as it was seen. Return for each change whether it took effect."""
        with self.transaction():
            if not any(old for old, dummy in changes):
                # The fast case: a task that asks only for new interactions.
                new = [row for dummy, row in changes if row]
                if self._insert("IGNORE", new) == len(new):
                    return [True] * len(changes)
            known = self._accepted([old.claim for old, dummy in changes if old])
            done = [
                old is None or (old.claim in known and known[old.claim] == old.accepted_at) for old, dummy in changes
            ]
            new = [row for old, row in changes if row and old is None]
            if self._insert("IGNORE", new) < len(new):
                inserted = self._accepted([row.claim for row in new])
                done = [
                    ok and (old is not None or row is None or row.claim in inserted)
                    for ok, (old, row) in zip(done, changes)
                ]
            replaced = [change for change, ok in zip(changes, done) if ok and change[0]]
            self._insert("REPLACE", [row for dummy, row in replaced if row])
            for part in _parts([old.claim for old, row in replaced if old and row is None]):
                self._db.execute(f"DELETE FROM interaction WHERE id IN ({_marks(part)})", part)
            return done

    def mark(self, first: int, last: int, accepted_at: float, attempt: Attempt | None = None) -> int:
        """Mark all rows with an id from ``first`` to ``last`` as accepted, and return their number."""
        with self.transaction():
            if attempt:
                self.record_range(first, last, attempt)
            return self._db.execute(
                "UPDATE interaction SET accepted = ? WHERE id BETWEEN ? AND ?", (accepted_at, first, last)
            ).rowcount

    def _accepted(self, claims: list[int]) -> dict[int, float | None]:
        """Return when VCC accepted the rows with these ids, None for a pending row."""
        found: dict[int, float | None] = {}
        for part in _parts(claims):
            found.update(self._db.execute(f"SELECT id, accepted FROM interaction WHERE id IN ({_marks(part)})", part))
        return found

    def _insert(self, conflict: str, rows: list[Row]) -> int:
        return insert(
            self._db,
            f"INSERT OR {conflict} INTO interaction (scope, {_ROW}) VALUES ",
            f"({self._scope}, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def _select(self, query: str, values: t.Sequence[str]) -> list[t.Any]:
        """Return the rows of this scope that a query selects. The query ends with IN, and the values follow."""
        rows: list[t.Any] = []
        for part in _parts(values):
            rows += self._db.execute(f"{query} ({_marks(part)})", (self._scope, *part)).fetchall()
        return rows

    def uses(self, request_ids: t.Sequence[str]) -> list[Use]:
        """Return the uses of request ids in all scopes of the API and the account."""
        return self.read(lambda: [use for part in _parts(request_ids) for use in self._uses(part)])

    def _uses(self, request_ids: t.Sequence[str]) -> t.Iterator[Use]:
        ids = _marks(request_ids)
        claims = [claim for claim in map(claim_of, request_ids) if claim is not None]
        for condition, values, processed, unanswered in (
            (f"own_request AS used WHERE request_id IN ({ids})", request_ids, True, "unanswered"),
            (
                f"interaction AS used WHERE id IN ({_marks(claims)}) AND request_id IN ({ids})",
                [*claims, *request_ids],
                False,
                0,
            ),
            (f"interaction AS used WHERE {OTHER_REQUEST} AND request_id IN ({ids})", request_ids, False, 0),
        ):
            rows = self._db.execute(
                "SELECT used.request_id, used.scope, used.external_id, used.action, coalesce(now.accepted, now.asked), used.unanswered"
                f" FROM scope CROSS JOIN (SELECT scope, request_id, external_id, action, {unanswered} AS unanswered FROM {condition}) AS used"
                f" ON used.scope = scope.id {_NOW}"
                " WHERE (scope.api_url, scope.account) = (?, ?)",
                (*values, self._key.api_url, self._key.account),
            )
            for request_id, scope, external_id, action, changed_at, is_unanswered in rows:
                yield Use(
                    request_id, scope == self._scope, external_id, action, processed, changed_at, bool(is_unanswered)
                )

    def keep_request_ids(
        self, action: str, now: float, pairs: t.Iterable[tuple[str, str | None]], unanswered: bool = False
    ) -> None:
        """Keep request ids that VCC may have received and that no row has, each with its external id.

        :param unanswered: whether VCC's answer is not known. A request id that is kept as answered stays so.
        """
        self._db.executemany(
            "INSERT INTO own_request (scope, request_id, external_id, action, asked, unanswered) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (scope, request_id) DO UPDATE SET unanswered = 0 WHERE NOT excluded.unanswered",
            [(self._scope, *pair, action, now, unanswered) for pair in pairs],
        )

    def forget_request_ids(self, action: str, pairs: t.Iterable[tuple[str, str | None]]) -> None:
        """Forget custom request ids of which VCC has processed nothing, if they were kept for the same action of the same interaction."""
        self._db.executemany(
            "DELETE FROM own_request WHERE (scope, request_id, action) = (?, ?, ?) AND external_id IS ?",
            [(self._scope, request_id, action, external_id) for request_id, external_id in pairs],
        )

    def registration(self) -> Registered | None:
        """Return how the provider of the scope is registered."""
        row = self.read(
            lambda: self._db.execute(
                "SELECT key, settings, asked, accepted FROM registration WHERE scope = ?", (self._scope,)
            ).fetchone()
        )
        return Registered._make(row) if row else None

    def swap_registration(self, seen: bytes | None, registered: Registered | None) -> bool:
        """Replace the registration if its key is still ``seen``, None for no registration. Return whether it was."""
        with self.transaction():
            row = self._db.execute("SELECT key FROM registration WHERE scope = ?", (self._scope,)).fetchone()
            if (row[0] if row else None) != seen:
                return False
            self._db.execute("DELETE FROM registration WHERE scope = ?", (self._scope,))
            if registered:
                self._db.execute(
                    "INSERT INTO registration (scope, key, settings, asked, accepted) VALUES (?, ?, ?, ?, ?)",
                    (self._scope, *registered),
                )
            return True

    def recorded(self, notification_ids: t.Sequence[str]) -> set[str]:
        """Return which notifications are recorded."""
        query = "SELECT id FROM notification WHERE scope = ? AND id IN"
        return self.read(lambda: {each for (each,) in self._select(query, notification_ids)})

    def record(self, notification_ids: t.Sequence[str], now: float, changes: t.Sequence[Change] = ()) -> bool:
        """Record notifications and replace rows, all or nothing. Return False if another process has recorded or replaced one of them first."""
        with self.wrap_errors():
            try:
                with self.transaction():
                    if self.recorded(notification_ids) or not all(self.swap(changes)):
                        raise _OvertakenError
                    self._db.executemany(
                        "INSERT INTO notification (scope, id, noted) VALUES (?, ?, ?)",
                        [(self._scope, each, now) for each in notification_ids],
                    )
            except _OvertakenError:
                return False
        return True

    def schema_version(self) -> int | None:
        """Return the version of the tables, None if there are none."""
        if not os.path.exists(self.path) or not os.path.getsize(self.path):
            return None
        version: int = self.read(lambda: self._db.execute("PRAGMA user_version").fetchone()[0])
        return version

    def description(self) -> dict[str, str | None]:
        """Return ``{"backend", "location", "host", "database"}``; the last two are None for a file."""
        return {"backend": "sqlite", "location": self.location, "host": None, "database": None}

    def counts(self) -> dict[str, int]:
        """Return the number of interactions of all scopes in each state, and the number of known registrations of providers."""
        return self.read(self._counts)

    def _counts(self) -> dict[str, int]:
        interactions = self._count("FROM interaction")
        pending = self._count("FROM interaction WHERE accepted IS NULL")
        dispatches = self._count("FROM interaction WHERE action = 'dispatch'")
        dispatched = dispatches - self._count("FROM interaction WHERE accepted IS NULL AND +action = 'dispatch'")
        return {
            "released": interactions - pending - dispatched,
            "dispatched": dispatched,
            "pending": pending,
            "interactions": interactions,
            "providers": self._count("FROM registration WHERE accepted IS NOT NULL"),
        }

    def search(self, query: Query, limit: int, offset: int, recent: float) -> Found:
        """Return a page of the matching rows of all scopes, the latest first, and the number of matches on all pages."""
        return self.read(lambda: self._search(query, limit, offset, recent))

    def scopes(self) -> list[Scope]:
        """Return all scopes."""
        query = "SELECT api_url, account, provider FROM scope ORDER BY id"
        return self.read(lambda: [Scope(*row) for row in self._db.execute(query)])

    def all_rows(self) -> t.Iterator[list[Row]]:
        """Yield all rows of the scope, in chunks."""
        query = f"SELECT {_ROW} FROM interaction WHERE scope = ? AND external_id > ? ORDER BY external_id LIMIT {CHUNK}"
        for rows in self._chunks(query, 1):
            yield [Row(*row) for row in rows]

    def kept_request_ids(self) -> t.Iterator[tuple[str, float, bool, list[tuple[str, str | None]]]]:
        """Yield the kept request ids of the scope, each with its external id, by action, time and whether they are unanswered."""
        query = (
            "SELECT action, asked, unanswered, request_id, external_id FROM own_request"
            f" WHERE scope = ? AND request_id > ? ORDER BY request_id LIMIT {CHUNK}"
        )
        for rows in self._chunks(query, 3):
            for (action, now, unanswered), group in itertools.groupby(
                sorted(rows, key=lambda row: row[:3]), key=lambda row: row[:3]
            ):
                yield action, now, bool(unanswered), [row[3:] for row in group]

    def notifications(self) -> t.Iterator[tuple[float, list[str]]]:
        """Yield the recorded notifications of the scope, by time."""
        query = f"SELECT noted, id FROM notification WHERE scope = ? AND id > ? ORDER BY id LIMIT {CHUNK}"
        for rows in self._chunks(query, 1):
            for now, group in itertools.groupby(sorted(rows), key=lambda row: row[0]):
                yield now, [row[1] for row in group]

    def _chunks(self, query: str, key: int) -> t.Iterator[list[t.Any]]:
        """Yield the rows of a query in chunks.

        :param query: takes the scope, and the key after which a chunk begins.
        :param key: the index of the column with that key.
        """
        after = ""
        while True:
            rows = self.read(lambda after=after: self._db.execute(query, (self._scope, after)).fetchall())  # type: ignore[misc]
            if not rows:
                return
            yield rows
            after = rows[-1][key]

    def _search(self, query: Query, limit: int, offset: int, recent: float) -> Found:
        matching, values = self._matching_rows(query)
        page = f"SELECT * {matching} {_ORDER} LIMIT :limit OFFSET :offset"
        rows = self._db.execute(page, {**values, "limit": limit, "offset": offset}).fetchall()
        # The sum of no rows is NULL.
        counts = f"SELECT count(*), coalesce(sum(accepted > :recent), 0) {matching}"
        matched, accepted = self._db.execute(counts, {**values, "recent": recent}).fetchone()
        return Found(list(map(_found, rows)), matched, accepted)

    def _matching_rows(self, query: Query) -> tuple[str, dict[str, t.Any]]:
        """Return the SQL that selects the matches, and its values."""
        if query.external_ids is not None:
            self.fill_wanted(query.external_ids)
        values = {"provider": query.provider, "state": query.state, "before": query.before, "after": query.after}
        return _MATCHING.format(known=_ALL if query.external_ids is None else _WANTED), values

    def export(self, query: Query, history: bool, take: t.Callable[[t.Iterator[t.Any]], None]) -> None:
        """Pass all matches to ``take``, in the order of a search: rows with their scopes, or outcomes of the history."""

        def read() -> None:
            if history:
                take(self.past(query))
            else:
                matching, values = self._matching_rows(query)
                take(map(_found, self._db.execute(f"SELECT * {matching} {_ORDER}", values)))

        self.read(read)

    def _count(self, what: str) -> int:
        count: int = self._db.execute(f"SELECT count(*) {what}").fetchone()[0]
        return count

    def prune(self, before: float, dry_run: bool) -> dict[str, int]:
        """Delete the rows of all scopes that are not later than ``before``; with ``dry_run`` only count them. Return the number of each kind."""
        pruner = Pruner(self)
        pruned = pruner.count(before) if dry_run else pruner.prune(before)
        del pruned["attempts"]  # internal: the values that outcomes share
        return pruned


def _found(row: t.Sequence[t.Any]) -> tuple[Row, Scope]:
    return Row(*row[:6]), Scope(*row[6:9])


def _parts(values: t.Sequence[t.Any]) -> t.Iterator[t.Sequence[t.Any]]:
    """Divide values into parts that fit into one statement."""
    return (values[at : at + VALUES_AT_ONCE] for at in range(0, len(values), VALUES_AT_ONCE))


def _marks(values: t.Sequence[t.Any]) -> str:
    return ",".join("?" * len(values))
