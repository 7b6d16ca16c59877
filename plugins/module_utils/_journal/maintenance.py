# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of all scopes: search, count and prune its entries."""

from __future__ import annotations

import os
import typing as t

from .._location import is_url
from .._text import clean, isoformat_utc
from . import rules
from .backends import open_store
from .store import Query, Row, Scope

# Seconds within which an acceptance shows that a run is under way.
RECENT = 60


class JournalMaintenance:
    """The journal of all scopes, to show and to prune. One that is missing counts as empty, and is never made.

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
        """Return how many interactions are in which state, and how many registrations of providers are known."""
        return self._store.counts()

    def entries(
        self,
        external_ids: t.Sequence[str] | None = None,
        provider: str | None = None,
        state: str | None = None,
        older_than: int | None = None,
        newer_than: int | None = None,
        page: int = 1,
        page_size: int = 100,
    ) -> tuple[list[dict[str, t.Any]], int, int]:
        """Return a page of the interactions that match, the latest first. None matches everything.

        Return also how many match on all pages, and how many of these VCC has accepted within ``RECENT`` seconds.

        :param older_than: seconds, as ``newer_than``.
        """
        now = self._clock()
        before = None if older_than is None else now - older_than
        after = None if newer_than is None else now - newer_than
        query = Query(external_ids, provider, state, before, after)
        found = self._store.search(query, page_size, (page - 1) * page_size, now - RECENT)
        return [_entry(row, scope) for row, scope in found.rows], found.matched, found.recent

    def prune(self, older_than: int) -> dict[str, int]:
        """Forget rows that are ``older_than`` seconds old; a dry run only counts them. Return how many of each kind there are."""
        return self._store.prune(self._clock() - older_than, self._dry_run)


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
    # No text that this collection has written has a control character, but others may have written to the file.
    return {name: clean(value) if isinstance(value, str) else value for name, value in entry.items()}
