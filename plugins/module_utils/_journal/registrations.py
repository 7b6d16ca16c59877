# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registrations of providers that the journal knows."""

from __future__ import annotations

import hmac
import json
import os
import typing as t

from .scoped import ScopedJournal
from .store import Registered

# Seconds for which another process may still register a provider if it has begun, but not recorded the end. Its row may set a longer time.
OVERLAP_SECONDS = 600

# The setting of a pending row with the seconds that its process may take.
_SECONDS = "seconds"


class Registration(ScopedJournal):
    """The registration of one provider: a keyed hash of each setting, never its value.

    ``settings`` are texts by name. The journal has them once VCC has accepted them. From the beginning of the call until then, they are not known.
    """

    def compare(self, settings: t.Mapping[str, str]) -> dict[str, str] | None:
        """Return "same", "changed", "added" or "removed" for each setting; None if the journal does not know how the provider is registered."""
        row = self._store.registration()
        if not row or row.accepted_at is None:
            return None
        try:
            known = dict(json.loads(row.settings))
        except (TypeError, ValueError):
            return None
        found = {name: "removed" for name in known if name not in settings}
        for name, value in settings.items():
            same = hmac.compare_digest(known.get(name, ""), _hash(row.key, name, value))
            found[name] = "same" if same else "changed" if name in known else "added"
        return found

    def begin(self, seconds: float = OVERLAP_SECONDS) -> None:
        """Durably record that the registration is about to change, within ``seconds`` seconds."""
        self._begun = Registered(os.urandom(32), json.dumps({_SECONDS: seconds}), self._clock())
        row = self._store.registration()
        while not self._store.swap_registration(row.key if row else None, self._begun):
            row = self._store.registration()
        # Another process may still register it, and VCC may process the call of that process last.
        self._contested = row if row and _is_in_progress(row, self._begun.requested_at) else None

    def accept(self, settings: t.Mapping[str, str]) -> None:
        """Record that VCC has accepted settings, unless another process registered too, because it is not known which call VCC processed last."""
        if self._contested:
            self._restore()
            return
        hashed = {name: _hash(self._begun.key, name, value) for name, value in settings.items()}
        self._replace(self._begun._replace(settings=json.dumps(hashed), accepted_at=self._clock()))

    def cancel(self) -> None:
        """Record that this process has ended, and that it is not known how the provider is registered."""
        if self._contested:
            self._restore()
        else:
            self._replace(None)

    def _restore(self) -> None:
        """Put the row of the other process back."""
        if self._contested:
            self._replace(self._contested._replace(key=self._begun.key))

    def _replace(self, registered: Registered | None) -> None:
        """Replace the row of this process, unless another process has replaced it."""
        self._store.swap_registration(self._begun.key, registered)


def _is_in_progress(row: Registered, now: float) -> bool:
    """Return whether the process that wrote a row may still register the provider."""
    if row.accepted_at is not None:
        return False
    try:
        seconds = max(float(json.loads(row.settings)[_SECONDS]), OVERLAP_SECONDS)
    except (KeyError, TypeError, ValueError):
        seconds = OVERLAP_SECONDS
    return abs(now - row.requested_at) <= seconds


def _hash(key: bytes, name: str, value: str) -> str:
    return hmac.new(key, json.dumps([name, value]).encode(), "sha256").hexdigest()
