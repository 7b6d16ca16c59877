# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How providers are registered, as far as the journal knows."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import typing as t

with contextlib.suppress(ImportError):  # which the doors report
    pass

from .sqlite import ScopedJournal

# Seconds for which another process that has begun to register a provider, and has not said how it ended, may still be at it.
OVERLAP_SECONDS = 600


class Registration(ScopedJournal):
    """What the journal knows of how one provider is registered: a keyed hash of each setting, never its value.

    C(settings) are texts by name. A row has them while C(accepted) is set; from before the call until VCC has accepted it they are not known.
    """

    def compare(self, settings: t.Mapping[str, str]) -> dict[str, str] | None:
        """Return what became of each setting: "same", "changed", "added" or "removed"; None if the journal does not know how it is registered."""
        with self._wrap_errors():
            row = self._read(
                lambda: self._db.execute(
                    "SELECT key, settings FROM registration WHERE scope = ? AND accepted IS NOT NULL", (self._scope,)
                ).fetchone()
            )
        if not row:
            return None
        try:
            key, known = row[0], dict(json.loads(row[1]))
        except (TypeError, ValueError):
            return None
        found = {name: "removed" for name in known if name not in settings}
        for name, value in settings.items():
            same = hmac.compare_digest(known.get(name, ""), _hash(key, name, value))
            found[name] = "same" if same else "changed" if name in known else "added"
        return found

    def begin(self) -> None:
        """Durably note that the registration is about to change."""
        self._key = os.urandom(32)
        now = self._clock()
        with self._transaction():
            row = self._db.execute(
                "SELECT asked FROM registration WHERE scope = ? AND accepted IS NULL", (self._scope,)
            ).fetchone()
            # Another process may still be at it, and VCC may take its call last.
            self._contested = row[0] if row and abs(now - row[0]) <= OVERLAP_SECONDS else None
            self._db.execute(
                "INSERT OR REPLACE INTO registration (scope, key, settings, asked) VALUES (?, ?, '{}', ?)",
                (self._scope, self._key, now),
            )

    def accept(self, settings: t.Mapping[str, str]) -> None:
        """Note that VCC has accepted these; unless another process was at it too, since then it is not known who came last."""
        if self._contested is not None:
            return self._restore()
        hashed = {name: _hash(self._key, name, value) for name, value in settings.items()}
        with self._transaction():
            self._db.execute(
                "UPDATE registration SET settings = ?, accepted = ? WHERE scope = ? AND key = ?",
                (json.dumps(hashed), self._clock(), self._scope, self._key),
            )
        return None

    def cancel(self) -> None:
        """Note that this process is at it no more, and that it is not known how the provider is registered."""
        if self._contested is not None:
            return self._restore()
        with self._transaction():
            self._db.execute("DELETE FROM registration WHERE scope = ? AND key = ?", (self._scope, self._key))
        return None

    def _restore(self) -> None:
        """Let the row say again what it said of the other process."""
        with self._transaction():
            self._db.execute(
                "UPDATE registration SET asked = ? WHERE scope = ? AND key = ?",
                (self._contested, self._scope, self._key),
            )


def _hash(key: bytes, name: str, value: str) -> str:
    return hmac.new(key, json.dumps([name, value]).encode(), "sha256").hexdigest()
