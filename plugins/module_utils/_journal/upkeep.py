# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of all scopes: what it knows, and what is too old in it."""

from __future__ import annotations

import os
import time
import typing as t

from .._text import clean
from .sqlite import JournalFile

_KNOWN = """
CREATE TEMP VIEW known AS
SELECT external_id, provider, api_url, account, action, request_id, asked, accepted, coalesce(accepted, asked) AS time,
    CASE WHEN accepted IS NULL THEN 'pending' WHEN action = 'release' THEN 'released' ELSE 'dispatched' END AS state
FROM interaction JOIN scope ON scope.id = interaction.scope;
CREATE TEMP TABLE wanted (external_id TEXT PRIMARY KEY);
"""

_MATCHING = """
FROM known
WHERE (:provider IS NULL OR provider = :provider)
    AND (:state IS NULL OR state = :state)
    AND (:before IS NULL OR time <= :before)
    AND (:after IS NULL OR time > :after)
    AND (:everyone OR external_id IN (SELECT external_id FROM temp.wanted))
"""

# What is of a certain time or older.
_OLD = {
    "interactions": "FROM interaction WHERE coalesce(accepted, asked) <= ?",
    "notifications": "FROM notification WHERE noted <= ?",
    "request_ids": "FROM own_request WHERE asked <= ?",
}


class Upkeep(JournalFile):
    """The journal of all scopes, to look at and to prune. A file that is not there counts as empty, and is never made.

    :arg dry_run: change nothing.
    :arg looking: only show what is in it, whoever may have written it.
    """

    def __init__(
        self,
        path: str,
        dry_run: bool = False,
        clock: t.Callable[[], float] = time.time,
        looking: bool = False,
    ) -> None:
        self.exists = os.path.lexists(path)
        super().__init__(path if self.exists else "", dry_run, clock, looking)
        self.path = os.path.abspath(path)
        with self._wrap_errors():
            self._db.executescript(_KNOWN)

    def schema_version(self) -> int | None:
        """Return the version of the file's schema, None if there is none."""
        with self._wrap_errors():
            version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return version if self.exists and os.path.getsize(self.path) else None

    def counts(self) -> dict[str, int]:
        """Return how many interactions are in which state, and how many registrations of providers are known."""
        with self._wrap_errors():
            counts = dict.fromkeys(("released", "dispatched", "pending"), 0)
            counts.update(self._db.execute("SELECT state, count(*) FROM known GROUP BY state"))
            providers = self._count("FROM registration WHERE accepted IS NOT NULL")
        return {**counts, "interactions": sum(counts.values()), "providers": providers}

    def entries(self, params: t.Mapping[str, t.Any]) -> tuple[list[dict[str, t.Any]], int]:
        """Return a page of the interactions that validated options of vcc_journal_info ask for, the latest first, and how many those are in all."""
        now = self._clock()
        wanted = {
            "provider": params["provider"],
            "state": params["state"],
            "before": None if params["older_than"] is None else now - params["older_than"],
            "after": None if params["newer_than"] is None else now - params["newer_than"],
            "everyone": params["external_ids"] is None,
        }
        with self._wrap_errors():
            self._db.executemany(
                "INSERT OR IGNORE INTO temp.wanted VALUES (?)", ((one,) for one in params["external_ids"] or ())
            )
            matching = self._count(_MATCHING, wanted)
            rows = self._db.execute(
                f"SELECT external_id, provider, api_url, account, state, action, request_id, asked, accepted {_MATCHING}"
                " ORDER BY time DESC, external_id, api_url, account, provider LIMIT :size OFFSET :skipped",
                {**wanted, "size": params["page_size"], "skipped": (params["page"] - 1) * params["page_size"]},
            ).fetchall()
        return [_entry(*row) for row in rows], matching

    def prune(self, older_than: int, dry_run: bool) -> dict[str, int]:
        """Forget what is C(older_than) seconds old, or with C(dry_run) only say how many of each kind that is."""
        before = self._clock() - older_than
        with self._wrap_errors():
            pruned = {name: self._count(old, (before,)) for name, old in _OLD.items()}
        if dry_run or not any(pruned.values()):
            return pruned
        with self._transaction():
            return {name: self._db.execute(f"DELETE {old}", (before,)).rowcount for name, old in _OLD.items()}

    def _count(self, what: str, values: t.Any = ()) -> int:
        count: int = self._db.execute(f"SELECT count(*) {what}", values).fetchone()[0]
        return count


def _entry(
    external_id: str,
    provider: str,
    api_url: str,
    account: str,
    state: str,
    action: str,
    request_id: str,
    asked: float,
    accepted: float | None,
) -> dict[str, t.Any]:
    entry = {
        "external_id": external_id,
        "provider": provider or None,
        "api_url": api_url,
        "account": account,
        "state": state,
        "action": action,
        "request_id": request_id,
        "asked": isoformat_utc(asked),
        "accepted": None if accepted is None else isoformat_utc(accepted),
    }
    # No text that this collection has written has a control character, but others may have written to the file.
    return {name: clean(value) if isinstance(value, str) else value for name, value in entry.items()}


def isoformat_utc(seconds: float) -> str:
    """Return a time of the epoch as ISO 8601 in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
