# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history in a SQLite file: how the interactions of each run ended."""

from __future__ import annotations

# ruff: noqa: S608 -- queries are built from constants alone
import math
import typing as t

from .sqlite_file import JournalFile, insert
from .store import CHUNK, Attempt, Ended, PastOutcome, Query, Run, RunCounts, Scope, width_of_parts

# A run and an attempt, in the order of the columns of ``Run`` and ``Attempt``.
_ATTEMPT = "run.id, run_id, started, reason, job_id, number, action, state, at, call, message"

_STATE = "CASE WHEN state <> 'accepted' THEN state WHEN action = 'release' THEN 'released' ELSE 'dispatched' END"

# CROSS JOIN keeps SQLite from reading the tables in another order than that of their keys.
_PAST = f"""
SELECT external_id, request_id, api_url, account, provider, {_ATTEMPT}
FROM run CROSS JOIN attempt ON attempt.run = run.id CROSS JOIN scope ON scope.id = attempt.scope
CROSS JOIN outcome ON (outcome.run, outcome.attempt) = (attempt.run, attempt.number)
"""

# The condition of each field of a query that is set.
_CONDITIONS = {
    "external_ids": "external_id IN (SELECT external_id FROM temp.wanted)",
    "provider": "provider = :provider",
    "state": f"{_STATE} = :state",
    "before": "at <= :before",
    "after": "at > :after",
    "run_id": "run_id = :run_id",
}

_ORDER = "ORDER BY at DESC, external_id, api_url, account, provider, run_id, outcome.id"


class HistoryFile(JournalFile):
    """The history of all runs, to which a store adds the outcomes of one scope."""

    _scope = 0

    def record_range(self, first: int, last: int, attempt: Attempt) -> None:
        """Add the rows with an id from ``first`` to ``last`` to the history."""
        self._record_attempt(attempt)
        self._db.execute(
            "INSERT OR IGNORE INTO outcome (run, attempt, id, external_id, request_id)"
            " SELECT ?, ?, id, external_id, request_id FROM interaction WHERE id BETWEEN ? AND ?",
            (attempt.run.key, attempt.number, first, last),
        )

    def record_attempts(self, attempts: t.Sequence[tuple[Attempt, t.Sequence[Ended]]], dry_run: bool = False) -> int:
        """Add attempts of the scope to the history, unless ``dry_run`` is set. Return the number of interactions that it did not have."""
        if dry_run:
            return self.read(lambda: sum(self._missing(*each) for each in attempts))
        recorded = 0
        with self.transaction():
            for attempt, ended in attempts:
                self._record_attempt(attempt)
                recorded += insert(
                    self._db,
                    "INSERT OR IGNORE INTO outcome (run, attempt, id, external_id, request_id) VALUES ",
                    f"({attempt.run.key}, {attempt.number}, ?, ?, ?)",
                    ended,
                )
        return recorded

    def _record_attempt(self, attempt: Attempt) -> None:
        key, *run = attempt.run
        self._db.execute(
            "INSERT OR IGNORE INTO run (id, run_id, started, reason, job_id) VALUES (?, ?, ?, ?, ?)", (key, *run)
        )
        self._db.execute(
            "INSERT OR IGNORE INTO attempt (run, scope, number, action, state, at, call, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (key, self._scope, *attempt[1:]),
        )

    def _missing(self, attempt: Attempt, ended: t.Sequence[Ended]) -> int:
        """Return the number of interactions of an attempt that are not in the history."""
        query = "SELECT id FROM outcome WHERE (run, attempt) = (?, ?)"
        known = {each for (each,) in self._db.execute(query, (attempt.run.key, attempt.number))}
        return sum(each[0] not in known for each in ended)

    def attempts(self) -> t.Iterator[list[tuple[Attempt, list[Ended]]]]:
        """Yield the attempts of the scope with the interactions that ended in them, in chunks. A long attempt is divided."""
        query = f"""
SELECT {_ATTEMPT}, outcome.id, external_id, request_id FROM outcome
JOIN attempt ON (attempt.run, attempt.number) = (outcome.run, outcome.attempt) JOIN run ON run.id = attempt.run
WHERE scope = ? AND (outcome.run, outcome.attempt, outcome.id) > (?, ?, ?) ORDER BY outcome.run, outcome.attempt, outcome.id LIMIT {CHUNK}
"""
        place = (-1, 0, 0)
        while True:
            rows = self.read(lambda place=place: self._db.execute(query, (self._scope, *place)).fetchall())  # type: ignore[misc]
            if not rows:
                return
            found: dict[Attempt, list[Ended]] = {}
            for row in rows:
                found.setdefault(_attempt(row), []).append(row[11:])
            yield list(found.items())
            place = (rows[-1][0], rows[-1][5], rows[-1][11])

    def history(self, query: Query, limit: int, offset: int, recent: float) -> tuple[list[PastOutcome], int, int]:
        """Return a page of the matching outcomes of all scopes, the latest first, the number of matches, and the number of those accepted after ``recent``."""
        return self.read(lambda: self._history(query, limit, offset, recent))

    def _history(self, query: Query, limit: int, offset: int, recent: float) -> tuple[list[PastOutcome], int, int]:
        matching, values = self._matching(query)
        page = f"{matching} {_ORDER} LIMIT :limit OFFSET :offset"
        rows = self._db.execute(page, {**values, "limit": limit, "offset": offset}).fetchall()
        counts = f"SELECT count(*), coalesce(sum(state = 'accepted' AND at > :recent), 0) FROM ({matching})"
        return [_past(row) for row in rows], *self._db.execute(counts, {**values, "recent": recent}).fetchone()

    def past(self, query: Query) -> t.Iterator[PastOutcome]:
        """Return all matching outcomes. Read nothing else from the file meanwhile."""
        matching, values = self._matching(query)
        return map(_past, self._db.execute(f"{matching} {_ORDER}", values))

    def _matching(self, query: Query) -> tuple[str, dict[str, t.Any]]:
        """Return the statement that selects the matches, and its values."""
        if query.external_ids is not None:
            self.fill_wanted(query.external_ids)
        given = {name: value for name, value in query._asdict().items() if value is not None}
        conditions = " AND ".join(_CONDITIONS[name] for name in given)
        given.pop("external_ids", None)
        return f"{_PAST} {'WHERE' if conditions else ''} {conditions}", given

    def fill_wanted(self, external_ids: t.Iterable[str]) -> None:
        """Fill temp.wanted with external ids."""
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (external_id TEXT PRIMARY KEY)")
        self._db.execute("DELETE FROM temp.wanted")
        insert(self._db, "INSERT OR IGNORE INTO temp.wanted VALUES ", "(?)", ((each,) for each in external_ids))

    def run_counts(self, run_id: str, parts: int) -> RunCounts | None:
        """Return the results of a run; None for a run that the file does not have."""
        return self.read(lambda: self._run_counts(run_id, parts))

    def _run_counts(self, run_id: str, parts: int) -> RunCounts | None:
        found = self._db.execute(
            "SELECT id, run_id, started, reason, job_id, max(started, coalesce(max(at), started)), coalesce(max(call), 0)"
            " FROM run LEFT JOIN attempt ON attempt.run = run.id WHERE run_id = ? GROUP BY run.id",
            (run_id,),
        ).fetchone()
        if not found:
            return None
        run, ended, calls = Run(*found[:5]), found[5], found[6]
        width = width_of_parts(run.started, ended, parts)
        rows = self._db.execute(
            """
SELECT action, state, max(CAST((at - ?) / ? AS INTEGER), 0) AS part, count(*)
FROM attempt CROSS JOIN outcome ON (outcome.run, outcome.attempt) = (attempt.run, attempt.number) WHERE attempt.run = ? GROUP BY 1, 2, 3
""",
            (math.floor(run.started), width, run.key),
        )
        return RunCounts.from_rows(run, ended, width, calls, rows)


def _attempt(row: t.Sequence[t.Any]) -> Attempt:
    return Attempt(Run(*row[:5]), *row[5:11])


def _past(row: t.Sequence[t.Any]) -> PastOutcome:
    return PastOutcome(row[0], row[1], Scope(*row[2:5]), _attempt(row[5:]))
