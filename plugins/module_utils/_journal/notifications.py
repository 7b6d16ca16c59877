# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VCC's notifications: a release is a confirmation, an assignment to an agent ends one."""

from __future__ import annotations

import typing as t

from .._errors import InputError
from .._validation import check_id
from . import rules
from .claim_ids import ClaimIds
from .scoped import ScopedJournal, keep_replaced_request_ids
from .store import Change, Row

# The kinds of notifications, in VCC's spelling.
RELEASE = "Release"

ASSIGN = "AssignToAgent"

# Seconds for which rows have consecutive ids.
LONGEST_RUN = 3600


class Notification(t.NamedTuple):
    """A notification of VCC: ``kind`` is RELEASE or ASSIGN."""

    kind: str
    external_id: str
    notification_id: str


def parse_notifications(notifications: t.Iterable[t.Any]) -> tuple[list[Notification], int]:
    """Return the notifications of interactions with an external id, and the number of others.

    The contract: ``[{"notification", "objectid", "notificationid", ...}]``. Raises InputError for an object that is not a notification.
    """
    found: list[Notification] = []
    ignored = 0
    for index, notification in enumerate(notifications):
        position = f"notifications[{index}]"
        kind, external_id = notification.get("notification"), notification.get("objectid")
        if not isinstance(kind, str) or not kind or not notification.get("notificationid"):
            raise InputError(
                f"{position} has no notification or no notificationid: give VCC's notifications unchanged."
            )
        # VCC and other systems choose these ids, so they may begin and end with any character.
        notification_id = check_id(f"{position}.notificationid", notification["notificationid"], visible=False)
        if kind in (RELEASE, ASSIGN) and isinstance(external_id, (str, int)) and external_id != "":
            objectid = check_id(f"{position}.objectid", external_id, visible=False)
            found.append(Notification(kind, objectid, notification_id))
        else:
            ignored += 1
    return found, ignored


class NotificationLog(ScopedJournal):
    """The notifications of VCC to a provider: a release is a confirmation, an assignment to an agent ends one."""

    _ids_until = 0.0

    def record(self, given: t.Iterable[Notification]) -> list[tuple[str, str, str]]:
        """Record notifications that are not recorded yet; a dry run only returns them.

        Return (external id, state before, state after) for each. A notification counts once, however often it comes.
        """
        return list(self.record_by_id(given).values())

    def record_by_id(self, given: t.Iterable[Notification]) -> dict[str, tuple[str, str, str]]:
        """Record notifications as ``record`` does. Return the same changes in order, by the ids of the notifications."""
        given = list(given)
        while True:
            changes, new, swaps = self._changes(given)
            recorded = dict(zip(new, changes))
            if self._dry_run:
                return recorded
            keep_replaced_request_ids(self._store, swaps, self._clock())
            if not new or self._store.record(new, self._clock(), swaps):
                return recorded

    def _changes(self, given: list[Notification]) -> tuple[list[tuple[str, str, str]], list[str], list[Change]]:
        """Return the changes for the user, the ids of the new notifications, and the changes of rows."""
        recorded = self._store.recorded([notification.notification_id for notification in given])
        rows = self._store.rows(list({notification.external_id for notification in given}))
        now = self._clock()
        changes = []
        known: dict[str, Row | None] = {}
        new: dict[str, None] = {}
        for notification in given:
            if notification.notification_id in new or notification.notification_id in recorded:
                continue
            new[notification.notification_id] = None
            before = (
                known[notification.external_id]
                if notification.external_id in known
                else rows.get(notification.external_id)
            )
            after = rules.notify(
                before, notification.kind == RELEASE, notification.external_id, notification.notification_id
            )
            known[notification.external_id] = after
            changes.append((notification.external_id, rules.state_of(before).value, rules.state_of(after).value))
        if now > self._ids_until:
            # An endpoint runs for months. It must not use up the range of ids from which other runs draw theirs.
            self._ids, self._ids_until = ClaimIds(now), now + LONGEST_RUN
        ids = self._ids.take(len(known))
        swaps = [
            rules.record_notification(rows.get(name), row, now, claim)
            for (name, row), (claim, dummy) in zip(known.items(), ids)
        ]
        return changes, list(new), [swap for swap in swaps if swap]
