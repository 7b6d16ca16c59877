# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of all scopes: search, count and prune its entries."""

from __future__ import annotations

import math
import os
import typing as t

from .._location import is_url
from .._text import clean, isoformat_utc
from .._words import Action, AttemptState
from . import rules
from .backends import open_store
from .store import PastOutcome, Query, Row, RunCounts, Scope

# Seconds within which an acceptance shows that a run is under way.
RECENT = 60

# The parts of the timeline of a run, at most.
PARTS = 60

# The states of rows that an accepted action leads to.
_STATES = {Action.RELEASE.value: rules.RowState.RELEASED.value, Action.DISPATCH.value: rules.RowState.DISPATCHED.value}


class JournalMaintenance:
    """The journal of all scopes, to show and to prune. A missing journal counts as empty, and is never created.

    :param dry_run: change nothing.
    :param show_only: only show its contents, even if another user may have written it.
    """

    def __init__(
        self,
        journal: str,
        dry_run: bool = False,
        clock: t.Callable[[], float] | None = None,
        show_only: bool = False,
    ) -> None:
        self._journal = journal
        is_known = is_url(journal) or os.path.lexists(journal)
        self._dry_run = dry_run
        self._store = open_store(journal if is_known else "", None, dry_run, show_only)
        self._clock = clock or self._store.clock

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def description(self) -> dict[str, t.Any]:
        """Return where the journal is, whether it exists, and the version of its tables, None if it has none."""
        version = self._store.schema_version()
        if is_url(self._journal):
            return {**self._store.description(), "path": None, "exists": version is not None, "schema_version": version}
        return {
            **self._store.description(),
            "location": os.path.abspath(self._journal),
            "path": os.path.abspath(self._journal),
            "exists": os.path.lexists(self._journal),
            "schema_version": version,
        }

    def counts(self) -> dict[str, int]:
        """Return the number of interactions in each state, and the number of known registrations of providers."""
        return self._store.counts()

    def entries(
        self, history: bool = False, page: int = 1, page_size: int = 100, **filters: t.Any
    ) -> tuple[list[dict[str, t.Any]], int, int]:
        """Return a page of the matching interactions, the latest first.

        Also return the number of matches on all pages, and of those that VCC has accepted within ``RECENT`` seconds.

        :param history: whether to return the outcomes of the history instead.
        :param filters: those of ``_query``.
        """
        now = self._clock()
        query = _query(now, **filters)
        offset = (page - 1) * page_size
        if history:
            past, matched, recent = self._store.history(query, page_size, offset, now - RECENT)
            return list(map(_history_entry, past)), matched, recent
        found = self._store.search(query, page_size, offset, now - RECENT)
        return [_entry(row, scope) for row, scope in found.rows], found.matched, found.recent

    def export(
        self, take: t.Callable[[t.Iterator[dict[str, t.Any]]], None], history: bool = False, **filters: t.Any
    ) -> None:
        """Pass all matching entries to ``take``, as ``entries`` returns them on all pages.

        If the journal must be read again, this calls ``take`` again, with all entries from the beginning.
        """
        query = _query(self._clock(), **filters)
        if history:
            self._store.export(query, True, lambda found: take(map(_history_entry, found)))
        else:
            self._store.export(query, False, lambda found: take(_entry(*each) for each in found))

    def run(self, run_id: str) -> dict[str, t.Any] | None:
        """Return the results of a run; None for a run that the journal does not have.

        ``{"run_id", "started", "ended", "reason", "job_id", "calls", "counts": {"released", "dispatched", "failed", "unknown"},
        "timeline": [{"from", "accepted", "failed", "unknown"}]}``, where each part of the timeline has the same length.
        """
        found = self._store.run_counts(run_id, PARTS)
        return _run_entry(found) if found else None

    def prune(self, older_than: int) -> dict[str, int]:
        """Delete rows that are at least ``older_than`` seconds old; a dry run only counts them. Return the number of each kind."""
        return self._store.prune(self._clock() - older_than, self._dry_run)


def _query(
    now: float,
    external_ids: t.Sequence[str] | None = None,
    provider: str | None = None,
    state: str | None = None,
    older_than: int | None = None,
    newer_than: int | None = None,
    run_id: str | None = None,
) -> Query:
    """Return the query of filters. None matches everything.

    :param older_than: seconds, as ``newer_than``.
    :param run_id: of the history only.
    """
    before = None if older_than is None else now - older_than
    after = None if newer_than is None else now - newer_than
    return Query(external_ids, provider, state, before, after, run_id)


def _history_entry(past: PastOutcome) -> dict[str, t.Any]:
    attempt, scope = past.attempt, past.scope
    return _cleaned(
        {
            "external_id": past.external_id,
            "provider": scope.provider or None,
            "api_url": scope.api_url,
            "account": scope.account,
            "action": attempt.action,
            "state": _STATES.get(attempt.action, attempt.state)
            if attempt.state == AttemptState.ACCEPTED
            else attempt.state,
            "request_id": past.request_id or None,
            "at": isoformat_utc(attempt.at),
            "call": attempt.call,
            "message": attempt.message,
            "run_id": attempt.run.run_id,
            "reason": attempt.run.reason,
            "job_id": attempt.run.job_id,
        }
    )


def _run_entry(found: RunCounts) -> dict[str, t.Any]:
    counts = {state: found.counts.get((action, AttemptState.ACCEPTED.value), 0) for action, state in _STATES.items()}
    for ended in (AttemptState.FAILED.value, AttemptState.UNKNOWN.value):
        counts[ended] = sum(count for (dummy, state), count in found.counts.items() if state == ended)
    begin = math.floor(found.run.started)
    parts = range(max((part for part, dummy in found.timeline), default=-1) + 1)
    return _cleaned(
        {
            "run_id": found.run.run_id,
            "started": isoformat_utc(found.run.started),
            "ended": isoformat_utc(found.ended),
            "reason": found.run.reason,
            "job_id": found.run.job_id,
            "counts": counts,
            "calls": found.calls,
            "timeline": [
                {
                    "from": isoformat_utc(begin + part * found.width),
                    **{each.value: found.timeline.get((part, each.value), 0) for each in AttemptState},
                }
                for part in parts
            ],
        }
    )


def _entry(row: Row, scope: Scope) -> dict[str, t.Any]:
    entry = {
        "external_id": row.external_id,
        "provider": scope.provider or None,
        "api_url": scope.api_url,
        "account": scope.account,
        "state": rules.state_of(row).value,
        "action": row.action,
        "request_id": row.request_id or None,
        "asked": isoformat_utc(row.requested_at),
        "accepted": None if row.accepted_at is None else isoformat_utc(row.accepted_at),
    }
    return _cleaned(entry)


def _cleaned(entry: dict[str, t.Any]) -> dict[str, t.Any]:
    # This collection writes no control characters, but others may have written to the file.
    return {name: clean(value) if isinstance(value, str) else value for name, value in entry.items()}
