# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of one scope: an API URL, an account and a provider."""

from __future__ import annotations

import typing as t

from .._location import backend_of
from .backends import open_store
from .store import Scope


class ScopedJournal:
    """Opens the store of one scope.

    :param journal: the path of a file or the URL of a database; empty for a journal that ends with the task.
    :param provider: None for none.
    :param dry_run: write nothing.
    :param clock: return seconds of the epoch; None for the clock of the store.
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

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def description(self) -> dict[str, t.Any]:
        """Return ``{"backend", "location", "created"}`` for a result; the location is None if there is no journal."""
        location = self._store.location
        return {"backend": backend_of(location), "location": location or None, "created": self._store.created}
