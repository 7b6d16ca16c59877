# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a journal in a SQLite file into another journal, which keeps its newer rows."""

from __future__ import annotations

import contextlib
import os

from .._errors import InputError, JournalError
from .._location import has_scheme
from .backends import open_store
from .claim_ids import ClaimIds, claim_of
from .scoped import keep_replaced_request_ids
from .sqlite import SqliteStore
from .store import Change, Row, Store


def transfer(path: str, journal: str, dry_run: bool = False) -> dict[str, int]:
    """Import the rows of a SQLite journal into another journal. Return the number of imported rows of each kind; with ``dry_run`` only count them.

    A row that the journal already has, or has in a newer version, stays as it is. So an interrupted import can be repeated, until other tasks use the
    journal. After that, an import would bring back confirmations that they have ended, and rows that they have pruned.

    Raises InputError for a file that is missing, and JournalError if either cannot be used.

    :param path: the file.
    :param journal: the path or the URL of the other journal.
    """
    if has_scheme(path):
        raise InputError("import_from must be the path of a SQLite file: only journal may be a URL.")
    if not os.path.lexists(path):
        raise InputError(f"import_from {path} cannot be imported (there is no such file): check the path.")
    imported = {"interactions": 0, "request_ids": 0, "notifications": 0, "registrations": 0, "outcomes": 0}
    open_store(journal, None, dry_run=True).close()  # fails even if there is nothing to import
    try:
        with contextlib.closing(_Source(path, None, dry_run=True)) as source:
            scopes = source.scopes()
    except JournalError as exc:
        raise JournalError(f"import_from: {exc}") from None
    for scope in scopes:
        with contextlib.ExitStack() as stack:
            part = stack.enter_context(contextlib.closing(_Source(path, scope, dry_run=True)))
            target = stack.enter_context(contextlib.closing(open_store(journal, scope, dry_run)))
            for kind, count in _Transfer(part, target, dry_run).run().items():
                imported[kind] += count
    return imported


class _Source(SqliteStore):
    """The file to import."""

    option = "import_from"


class _Transfer:
    """The transfer of one scope."""

    def __init__(self, source: _Source, target: Store, dry_run: bool) -> None:
        self._source = source
        self._target = target
        self._dry_run = dry_run
        self._ids = ClaimIds(target.clock())

    def run(self) -> dict[str, int]:
        return {
            # Before the rows, because other tasks must not use a request id as a new one meanwhile.
            "request_ids": sum(map(self._request_ids, self._source.kept_request_ids())),
            "interactions": sum(map(self._rows, self._source.all_rows())),
            "notifications": sum(map(self._notifications, self._source.notifications())),
            "registrations": self._registration(),
            "outcomes": sum(self._target.record_attempts(each, self._dry_run) for each in self._source.attempts()),
        }

    def _rows(self, rows: list[Row]) -> int:
        imported = 0
        while rows:
            known = self._target.rows([row.external_id for row in rows])
            changes: list[Change] = []
            older: list[Change] = []
            for row, (claim, dummy) in zip(rows, self._ids.take(len(rows))):
                there = known.get(row.external_id)
                if not there or there.changed_at < row.changed_at:
                    # An even id means that the request id is made from it. Such a row keeps its id; another one gets a new id, because its own may be in use.
                    changes.append(
                        (there, row if claim_of(row.request_id) == row.claim else row._replace(claim=claim | 1))
                    )
                else:
                    older.append((row, there))
            if self._dry_run:
                return len(changes)
            keep_replaced_request_ids(self._target, [*changes, *older], self._target.clock())
            done = self._target.swap(changes)
            imported += sum(done)
            lost = {new.external_id for (dummy, new), ok in zip(changes, done) if new and not ok}
            rows = [row for row in rows if row.external_id in lost]
        return imported

    def _request_ids(self, kept: tuple[str, float, bool, list[tuple[str, str | None]]]) -> int:
        action, now, unanswered, pairs = kept
        known = {
            use.request_id
            for use in self._target.uses([request_id for request_id, dummy in pairs])
            if use.processed and use.here and (unanswered or not use.unanswered)
        }
        new = [pair for pair in pairs if pair[0] not in known]
        if not self._dry_run:
            self._target.keep_request_ids(action, now, new, unanswered)
        return len(new)

    def _notifications(self, recorded: tuple[float, list[str]]) -> int:
        now, notification_ids = recorded
        while True:
            known = self._target.recorded(notification_ids)
            new = [each for each in notification_ids if each not in known]
            if self._dry_run or not new or self._target.record(new, now):
                return len(new)

    def _registration(self) -> int:
        found = self._source.registration()
        while found:
            there = self._target.registration()
            if there and there.changed_at >= found.changed_at:
                return 0
            if self._dry_run or self._target.swap_registration(there.key if there else None, found):
                return 1
        return 0
