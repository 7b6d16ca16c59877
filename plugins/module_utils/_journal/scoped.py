# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of one scope: an API URL, an account and a provider."""

from __future__ import annotations

import time
import typing as t

from .sqlite import SqliteStore
from .store import Scope, Store


class ScopedJournal:
    """Opens the store of one scope.

    :param path: the file; empty for a journal that ends with the task.
    :param provider: None for none.
    :param dry_run: write nothing.
    :param clock: return seconds of the epoch.
    """

    def __init__(
        self,
        path: str,
        api_url: str,
        account: str,
        provider: str | None,
        dry_run: bool = False,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self._store: Store = SqliteStore(path, Scope(api_url, account, provider or ""), dry_run)
        self._clock = clock

    def close(self) -> None:
        """Close the store."""
        self._store.close()
