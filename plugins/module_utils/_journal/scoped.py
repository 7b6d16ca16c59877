# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of one scope: an API URL, an account and a provider."""

from __future__ import annotations

import typing as t

from .._location import backend_of
from . import rules
from .backends import open_store
from .claim_ids import ClaimIds
from .store import Change, Scope, Store


class ScopedJournal:
    """Opens the store of one scope.

    :param journal: the path of a file or the URL of a database; empty for a journal that ends with the task.
    :param provider: None for none.
    :param dry_run: write nothing.
    :param clock: returns seconds since the epoch; None for the clock of the store.
    """

    def __init__(
        self,
        journal: str,
        api_url: str,
        account: str,
        provider: str | None,
        dry_run: bool = False,
        clock: t.Callable[[], float] | None = None,
    ) -> None:
        self._store = open_store(journal, Scope(api_url, account, provider or ""), dry_run)
        self._clock = clock or self._store.clock
        self._dry_run = dry_run
        self._ids = ClaimIds(self._clock())

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def now(self) -> float:
        """Return the time by the clock of the journal, in seconds since the epoch."""
        return self._clock()

    def description(self) -> dict[str, t.Any]:
        """Return ``{"backend", "location", "created"}`` for a result; the location is None if there is no journal."""
        location = self._store.location
        return {"backend": backend_of(location), "location": location or None, "created": self._store.created}


def keep_replaced_request_ids(store: Store, changes: t.Iterable[Change], now: float) -> None:
    """Keep the request ids that changes replace and that VCC may have received."""
    for (action, unanswered), pairs in rules.replaced_request_ids(changes).items():
        store.keep_request_ids(action, now, pairs, unanswered)
