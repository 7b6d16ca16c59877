# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history in PostgreSQL: how the interactions of each run ended."""

from __future__ import annotations

# ruff: noqa: S608 -- queries are built from constants alone
import math
import typing as t

from .postgresql_connection import LONG_ANSWER_TIMEOUT, PostgresqlConnection, pipeline
from .postgresql_rows import Statement, column, execute, in_transaction, joined, number_of_rows, read_all, read_page
from .store import Attempt, Ended, PastOutcome, Query, Run, RunCounts, Scope, width_of_parts

# The first version of the tables that has the history.
_FIRST_VERSION = 3

_RUN = "INSERT INTO vcc_journal.run (id, run_id, started, reason, job_id) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"

_ATTEMPT = """
INSERT INTO vcc_journal.attempt (run, scope, number, action, state, at, call, message) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""

# The server copies the marked rows into the history, so that they need not cross the network.
_MARK = f"""
WITH run AS ({_RUN}), attempt AS ({_ATTEMPT}),
marked AS (
    UPDATE vcc_journal.interaction SET accepted_at = %s WHERE id BETWEEN %s AND %s RETURNING id, external_id, long_external_id, request_id
),
recorded AS (
    INSERT INTO vcc_journal.outcome (run, attempt, id, external_id, request_id)
    SELECT %s, %s, id, coalesce(long_external_id, external_id), request_id FROM marked ON CONFLICT DO NOTHING
)
SELECT count(*) FROM marked
"""

_TEXTS = column(null="''")

_ENDED = f"unnest({column('bigint')}, {_TEXTS}, {_TEXTS}) AS ended (id, external_id, request_id)"

_RECORD = f"""
WITH run AS ({_RUN}), attempt AS ({_ATTEMPT}),
recorded AS (
    INSERT INTO vcc_journal.outcome (run, attempt, id, external_id, request_id) SELECT %s, %s, id, external_id, request_id FROM {_ENDED}
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM recorded
"""

_MISSING = f"""
SELECT count(*) FROM {_ENDED} WHERE NOT EXISTS (
    SELECT FROM vcc_journal.outcome AS known WHERE (known.run, known.attempt, known.id) = (%s, %s, ended.id)
)
"""

_STATE = "CASE WHEN state <> 'accepted' THEN state WHEN action = 'release' THEN 'released' ELSE 'dispatched' END"

_COLUMNS = """
outcome.external_id, outcome.request_id, api_url, account, provider, run.id, run_id, started, reason, job_id, number, action, state, at, call, message
"""

# The tables are read in the order of their keys, with or without statistics: OFFSET keeps the planner from another order.
_PAST = """
FROM vcc_journal.run AS run
CROSS JOIN LATERAL (SELECT * FROM vcc_journal.attempt AS known WHERE known.run = run.id OFFSET 0) AS attempt
JOIN vcc_journal.scope AS scope ON scope.id = attempt.scope
CROSS JOIN LATERAL (
    SELECT * FROM vcc_journal.outcome AS known WHERE (known.run, known.attempt) = (attempt.run, attempt.number) OFFSET 0
) AS outcome
"""

# The condition of each field of a query that is set.
_CONDITIONS = {
    "external_ids": "outcome.external_id = ANY (string_to_array(%(external_ids)s, E'\\x1f'))",
    "provider": "provider = %(provider)s",
    "state": f"{_STATE} = %(state)s",
    "before": "at <= %(before)s",
    "after": "at > %(after)s",
    "run_id": "run_id = %(run_id)s",
}

_ORDER = "ORDER BY at DESC, outcome.external_id NULLS FIRST, api_url, account, provider, run_id, outcome.id"

_RUN_AND_END = """
SELECT id, run_id, started, reason, job_id, greatest(ended, started), coalesce(calls, 0)
FROM vcc_journal.run AS run
CROSS JOIN LATERAL (SELECT max(at) AS ended, max(call) AS calls FROM vcc_journal.attempt AS attempt WHERE attempt.run = run.id OFFSET 0) AS attempts
WHERE run_id = %s
"""

_COUNTS = """
SELECT action, state, greatest(floor((at - %s) / %s), 0)::integer AS part, count(*)
FROM vcc_journal.attempt AS attempt
CROSS JOIN LATERAL (SELECT FROM vcc_journal.outcome AS known WHERE (known.run, known.attempt) = (attempt.run, attempt.number) OFFSET 0) AS outcome
WHERE attempt.run = %s GROUP BY 1, 2, 3
"""


def statement_of_mark(scope: int, first: int, last: int, accepted_at: float, attempt: Attempt) -> Statement:
    """Return the statement that marks rows as accepted, and adds them to the history. It returns their number."""
    return _MARK, (*_values(scope, attempt), accepted_at, first, last, attempt.run.key, attempt.number)


def _values(scope: int, attempt: Attempt) -> tuple[t.Any, ...]:
    return (*attempt.run, attempt.run.key, scope, *attempt[1:])


def _columns(ended: t.Sequence[Ended]) -> tuple[str, str, str]:
    ids, external_ids, request_ids = zip(*ended)
    return (
        joined(map(str, ids)),
        joined(each or "" for each in external_ids),
        joined(each or "" for each in request_ids),
    )


class History:
    """The history of all runs. It is empty if its tables are missing.

    :param version: the version of the tables; None for no tables.
    """

    def __init__(self, connection: PostgresqlConnection, version: int | None) -> None:
        self._connection = connection
        self.exists = version is not None and version >= _FIRST_VERSION

    def record(self, scope: int | None, attempts: t.Sequence[tuple[Attempt, t.Sequence[Ended]]], dry_run: bool) -> int:
        """Add attempts of a scope to the history, unless ``dry_run`` is set. Return the number of interactions that it did not have."""
        if not self.exists:
            return sum(len(ended) for dummy, ended in attempts)
        statements: list[Statement] = []
        for attempt, ended in attempts:
            key, columns = (attempt.run.key, attempt.number), _columns(ended)
            if dry_run:
                statements.append((_MISSING, (*columns, *key)))
            else:
                statements.append((_RECORD, (*_values(t.cast(int, scope), attempt), *key, *columns)))

        def work(db: t.Any, again: bool) -> int:
            with pipeline(db):
                found = in_transaction(db, statements)
            return sum(map(number_of_rows, found))

        return int(self._connection.run(work))

    def search(self, query: Query, limit: int, offset: int, recent: float) -> tuple[list[PastOutcome], int, int]:
        """Return a page of the matching outcomes, the latest first, the number of matches, and the number of those accepted after ``recent``."""
        if not self.exists:
            return [], 0, 0
        matching, values = _matching(query)
        values.update(limit=limit, offset=offset, recent=recent)
        page = f"SELECT {_COLUMNS} {matching} {_ORDER} LIMIT %(limit)s OFFSET %(offset)s"
        counts = f"SELECT count(*), count(*) FILTER (WHERE state = 'accepted' AND at > %(recent)s) {matching}"
        rows, counted = read_page(self._connection, page, counts, values)
        return [_past(row) for row in rows], *counted

    def run_counts(self, run_id: str, parts: int) -> RunCounts | None:
        """Return the results of a run; None for a run that the journal does not have."""
        if not self.exists:
            return None

        def work(db: t.Any, again: bool) -> RunCounts | None:
            found = execute(db, _RUN_AND_END, (run_id,)).fetchone()
            if not found:
                return None
            run, ended, calls = Run(*found[:5]), found[5], found[6]
            width = width_of_parts(run.started, ended, parts)
            rows = execute(db, _COUNTS, (math.floor(run.started), width, run.key)).fetchall()
            return RunCounts.from_rows(run, ended, width, calls, rows)

        return t.cast("RunCounts | None", self._connection.run(work, LONG_ANSWER_TIMEOUT))

    def export(self, query: Query, take: t.Callable[[t.Iterator[PastOutcome]], None]) -> None:
        """Pass all matching outcomes to ``take``, the latest first; again from the beginning if the connection was lost."""
        matching, values = _matching(query)
        if self.exists:
            read_all(self._connection, f"SELECT {_COLUMNS} {matching} {_ORDER}", values, _past, take)
        else:
            take(iter(()))


def _matching(query: Query) -> tuple[str, dict[str, t.Any]]:
    """Return the SQL that selects the matches, and its values."""
    given: dict[str, t.Any] = {name: value for name, value in query._asdict().items() if value is not None}
    conditions = " AND ".join(_CONDITIONS[name] for name in given)
    if "external_ids" in given:
        given["external_ids"] = joined(sorted(set(given["external_ids"])))
    return f"{_PAST} {'WHERE' if conditions else ''} {conditions}", given


def _past(row: t.Sequence[t.Any]) -> PastOutcome:
    """Return the outcome of a row that has ``_COLUMNS``."""
    return PastOutcome(row[0], row[1], Scope(*row[2:5]), Attempt(Run(*row[5:10]), *row[10:]))
