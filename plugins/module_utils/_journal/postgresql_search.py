# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search, count and prune the rows of all scopes in PostgreSQL."""

from __future__ import annotations

# ruff: noqa: S608 -- queries are built from constants alone
import typing as t

from .postgresql_connection import LONG_ANSWER_TIMEOUT, PostgresqlConnection
from .postgresql_rows import execute, joined, key_of, read_all, read_page
from .store import Found, Query, Row, Scope

# Rows in a block of pruning.
_BLOCK = 10_000

_TIME = "coalesce(accepted_at, requested_at)"

# The interactions of all scopes; or those with certain ids, which an index finds in each scope.
_ALL = "vcc_journal.scope AS scope JOIN vcc_journal.interaction AS row ON row.scope = scope.id"
_WANTED = """
unnest(string_to_array(%(external_ids)s, E'\\x1f')) AS wanted (external_id) CROSS JOIN vcc_journal.scope AS scope
CROSS JOIN LATERAL (
    SELECT * FROM vcc_journal.interaction AS known WHERE known.scope = scope.id AND known.external_id = wanted.external_id LIMIT 1
) AS row
"""

_MATCHING = f"""
FROM (
    SELECT row.*, api_url, account, provider, {_TIME} AS time,
        CASE WHEN accepted_at IS NULL THEN 'pending' WHEN action = 'release' THEN 'released' ELSE 'dispatched' END AS state
    FROM {{known}}
) AS known
WHERE (%(provider)s::text IS NULL OR provider = %(provider)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(before)s::double precision IS NULL OR time <= %(before)s)
    AND (%(after)s::double precision IS NULL OR time > %(after)s)
"""

# The tables to prune: the name, the key, and the time of a row.
OLD_ROWS = {
    "interactions": ("interaction", "id", _TIME),
    "notifications": ("notification", "scope, id", "recorded_at"),
    "request_ids": ("custom_request", "scope, request_id", "requested_at"),
}

# The same for the history.
OLD_HISTORY_ROWS = {
    "outcomes": (
        "outcome",
        "run, attempt, id",
        "(SELECT at FROM vcc_journal.attempt AS own WHERE (own.run, own.number) = (outcome.run, outcome.attempt))",
    ),
    "attempts": ("attempt", "run, number", "at"),
    # A run is as old as its last outcome.
    "runs": ("run", "id", "coalesce((SELECT max(at) FROM vcc_journal.attempt AS own WHERE own.run = run.id), started)"),
}

# The keys of the result of ``prune``.
PRUNED = (*OLD_ROWS, "outcomes", "runs")

# The keys of the result of ``counts``.
COUNTED = ("released", "dispatched", "pending", "interactions", "providers")

_ORDER = "ORDER BY time DESC, name, api_url, account, provider"

_SELECT = "SELECT id, coalesce(long_external_id, external_id) AS name, action, request_id, requested_at, accepted_at, api_url, account, provider"


def _matching(query: Query) -> tuple[str, dict[str, t.Any]]:
    """Return the SQL that selects the matches, and its values."""
    values: dict[str, t.Any] = query._asdict()
    if query.external_ids is not None:
        values["external_ids"] = joined(sorted(set(map(key_of, query.external_ids))))
    return _MATCHING.format(known=_ALL if query.external_ids is None else _WANTED), values


def _found(row: t.Sequence[t.Any]) -> tuple[Row, Scope]:
    return Row(*row[:6]), Scope(*row[6:9])


class AllScopes:
    """The rows of all scopes. The journal must have its tables."""

    def __init__(self, connection: PostgresqlConnection) -> None:
        self._connection = connection

    def counts(self) -> dict[str, int]:
        """Return the number of interactions of all scopes in each state, and the number of known registrations of providers."""
        query = """
SELECT count(*) FILTER (WHERE accepted_at IS NOT NULL AND action = 'release'), count(*) FILTER (WHERE accepted_at IS NOT NULL AND action <> 'release'),
    count(*) FILTER (WHERE accepted_at IS NULL), count(*),
    (SELECT count(*) FROM vcc_journal.registration WHERE accepted_at IS NOT NULL)
FROM vcc_journal.interaction
"""
        row = self._connection.run(lambda db, again: execute(db, query).fetchone(), LONG_ANSWER_TIMEOUT)
        return dict(zip(COUNTED, row))

    def search(self, query: Query, limit: int, offset: int, recent: float) -> Found:
        """Return a page of the matching rows of all scopes, the latest first, and the number of matches on all pages."""
        matching, values = _matching(query)
        values.update(limit=limit, offset=offset, recent=recent)
        page = f"{_SELECT} {matching} {_ORDER} LIMIT %(limit)s OFFSET %(offset)s"
        counts = f"SELECT count(*), count(*) FILTER (WHERE accepted_at > %(recent)s) {matching}"
        rows, counted = read_page(self._connection, page, counts, values)
        return Found(list(map(_found, rows)), *counted)

    def export(self, query: Query, take: t.Callable[[t.Iterator[tuple[Row, Scope]]], None]) -> None:
        """Pass all matching rows to ``take``, the latest first; again from the beginning if the connection was lost."""
        matching, values = _matching(query)
        read_all(self._connection, f"{_SELECT} {matching} {_ORDER}", values, _found, take)

    def prune(self, before: float, dry_run: bool, has_history: bool) -> dict[str, int]:
        """Delete the rows of all scopes that are not later than ``before``; with ``dry_run`` only count them. Return the number of each kind.

        :param has_history: whether the tables have a history.
        """
        prune = self._count_old if dry_run else self._delete_old
        pruned = {name: prune(before, *old) for name, old in OLD_ROWS.items()}
        for name, old in OLD_HISTORY_ROWS.items():
            pruned[name] = prune(before, *old) if has_history else 0
        del pruned["attempts"]  # internal: the values that outcomes share
        return pruned

    def _count_old(self, before: float, table: str, key: str, changed_at: str) -> int:
        query = f"SELECT count(*) FROM vcc_journal.{table} WHERE {changed_at} <= %s"
        count: int = self._connection.run(
            lambda db, again: execute(db, query, (before,)).fetchone()[0], LONG_ANSWER_TIMEOUT
        )
        return count

    def _delete_old(self, before: float, table: str, key: str, changed_at: str) -> int:
        """Delete the old rows of a table block by block, in the order of its key."""
        query = f"""
WITH block AS MATERIALIZED (SELECT {key} FROM vcc_journal.{table} {{beyond}} ORDER BY {key} LIMIT {_BLOCK}),
gone AS (
    DELETE FROM vcc_journal.{table} WHERE ({key}) IN (SELECT {key} FROM block) AND {changed_at} <= %s RETURNING 1
)
SELECT (SELECT count(*) FROM gone), {key} FROM (SELECT *, row_number() OVER (ORDER BY {key}) AS place FROM block) AS numbered WHERE place = {_BLOCK}
UNION ALL SELECT (SELECT count(*) FROM gone), {", ".join(["NULL"] * (key.count(",") + 1))} WHERE (SELECT count(*) FROM block) < {_BLOCK}
"""
        known = self._count_old(before, table, key, changed_at)
        deleted = 0
        is_lost = False
        place: tuple[t.Any, ...] = ()
        while True:
            beyond = f"WHERE ({key}) > ({', '.join(['%s'] * len(place))})" if place else ""
            statement, values = query.format(beyond=beyond), (*place, before)

            def work(db: t.Any, again: bool, statement: str = statement, values: t.Any = values) -> t.Any:
                return again, *execute(db, statement, values).fetchone()

            again, count, *last = self._connection.run(work, LONG_ANSWER_TIMEOUT)
            deleted += int(count)
            is_lost = is_lost or again
            if last[0] is None:
                # The count of a lost answer is missing.
                return max(deleted, known - self._count_old(before, table, key, changed_at)) if is_lost else deleted
            place = tuple(last)
