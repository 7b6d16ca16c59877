# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VCC's notifications: a release is a confirmation, an assignment to an agent ends one."""

from __future__ import annotations

import typing as t

from .._errors import InputError
from .._validation import check_id
from .sqlite import ScopedJournal

# VCC's words for what became of an interaction.
RELEASE = "Release"

ASSIGN = "AssignToAgent"


class Notification(t.NamedTuple):
    """A notification of VCC: C(kind) is RELEASE or ASSIGN."""

    kind: str
    external_id: str
    notification_id: str


def parse_notifications(notifications: t.Iterable[t.Any]) -> tuple[list[Notification], int]:
    """Return what VCC's notifications say of interactions with an external id, and how many others there are.

    The contract: C([{"notification", "objectid", "notificationid", ...}]). Raises InputError for what is no notification.
    """
    found: list[Notification] = []
    ignored = 0
    for index, one in enumerate(notifications):
        position = f"notifications[{index}]"
        kind, external_id = one.get("notification"), one.get("objectid")
        if not isinstance(kind, str) or not kind or not one.get("notificationid"):
            raise InputError(
                f"{position} has no notification or no notificationid: give VCC's notifications as they came."
            )
        # VCC's own words, and what was dispatched by others: whatever they begin and end with.
        notification_id = check_id(f"{position}.notificationid", one["notificationid"], visible=False)
        if kind in (RELEASE, ASSIGN) and isinstance(external_id, (str, int)) and external_id != "":
            objectid = check_id(f"{position}.objectid", external_id, visible=False)
            found.append(Notification(kind, objectid, notification_id))
        else:
            ignored += 1
    return found, ignored


class NotificationLog(ScopedJournal):
    """What VCC notifies a provider of: a release is proof, an assignment to an agent ends such proof."""

    def note(self, given: t.Iterable[Notification], dry_run: bool) -> list[tuple[str, str, str]]:
        """Take note of what has not been noted before, or with C(dry_run) only say what that is.

        Return (external id, state before, state after) for each. A notification counts once, however often it comes.
        """
        given = list(given)
        if dry_run:
            with self._wrap_errors():
                return self._read(lambda: self._changes(given))[0]
        with self._transaction():
            changes, new, known = self._changes(given)
            self._keep(new, known)
            return changes

    def _changes(
        self, given: list[Notification]
    ) -> tuple[list[tuple[str, str, str]], dict[str, Notification], dict[str, tuple[str, str, bool] | None]]:
        """Return what changes, what is new, and what is known of each interaction then."""
        changes = []
        known: dict[str, tuple[str, str, bool] | None] = {}
        new: dict[str, Notification] = {}
        for notice in given:
            if notice.notification_id in new or self._is_noted(notice):
                continue
            new[notice.notification_id] = notice
            external_id = notice.external_id
            before = known[external_id] if external_id in known else self._row(external_id)
            after = _after(notice, before)
            known[external_id] = after
            changes.append((external_id, _state(before), _state(after)))
        return changes, new, known

    def _is_noted(self, notice: Notification) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM notification WHERE scope = ? AND id = ?", (self._scope, notice.notification_id)
        ).fetchone()
        return row is not None

    def _row(self, external_id: str) -> tuple[str, str, bool] | None:
        row = self._db.execute(
            "SELECT action, request_id, accepted IS NOT NULL FROM interaction WHERE scope = ? AND external_id = ?",
            (self._scope, external_id),
        ).fetchone()
        return (row[0], row[1], bool(row[2])) if row else None

    def _keep(self, new: dict[str, Notification], known: dict[str, tuple[str, str, bool] | None]) -> None:
        now = self._clock()
        self._db.executemany(
            "INSERT INTO notification (scope, id, noted) VALUES (?, ?, ?)", ((self._scope, one, now) for one in new)
        )
        for external_id, row in known.items():
            if row is None:
                self._db.execute(
                    "DELETE FROM interaction WHERE scope = ? AND external_id = ?", (self._scope, external_id)
                )
            elif row[0] == "release":
                asked = self._db.execute(
                    "SELECT asked FROM interaction WHERE scope = ? AND external_id = ?", (self._scope, external_id)
                ).fetchone()
                # A claim that is withdrawn later does not bring back what was confirmed before it.
                self._replace(external_id, *row[:2], asked[0] if asked else now, now if row[2] else None)


def _after(notice: Notification, before: tuple[str, str, bool] | None) -> tuple[str, str, bool] | None:
    """What is known of an interaction after a notice: its last action, the request id of that, and whether it was accepted."""
    if notice.kind == RELEASE:
        same = before is not None and before[0] == "release"
        return ("release", before[1] if before and same else notice.notification_id, True)
    # An agent has it again. A release that is under way stays so.
    return None if before and before[0] == "release" and before[2] else before


def _state(row: tuple[str, str, bool] | None) -> str:
    if row is None:
        return "not known"
    action, dummy, accepted = row
    return "pending" if not accepted else "released" if action == "release" else "dispatched"
