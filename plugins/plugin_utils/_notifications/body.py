# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The notifications in a POST of VCC, and the events for the rulebook."""

from __future__ import annotations

import json
import math
import typing as t

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import Notification, parse_notifications

# A change of ``NotificationLog``: external id, state before, state after.
Change = tuple[str, str, str]


class Item(t.NamedTuple):
    """A notification of a POST.

    :param notification: the notification to record; None for one that the journal ignores.
    :param text: JSON of the notification, as VCC sent it.
    :param kind: its kind, in VCC's spelling.
    """

    notification: Notification | None
    text: str
    kind: str


def parse_body(body: bytes) -> list[Item]:
    """Return the notifications in the body of a POST: a JSON array of them, or a single one. Raises InputError."""
    try:
        posted = json.loads(body.decode("utf-8-sig"), parse_constant=_reject_constant, parse_float=_parse_float)
    except UnicodeDecodeError:
        raise InputError("The body is not UTF-8.") from None
    except RecursionError:
        raise InputError("The body is nested too deeply.") from None
    except ValueError:
        raise InputError("The body is not JSON.") from None
    notifications = posted if isinstance(posted, list) else [posted]
    return [_item(index, each) for index, each in enumerate(notifications)]


def _item(index: int, notification: t.Any) -> Item:
    if not isinstance(notification, dict):
        raise InputError(f"notifications[{index}] is not an object: give VCC's notifications unchanged.")
    try:
        found, dummy = parse_notifications([notification])
    except InputError as exc:
        raise InputError(str(exc).replace("notifications[0]", f"notifications[{index}]")) from None
    try:
        text = json.dumps(notification, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"notifications[{index}] is not valid Unicode.") from None
    except RecursionError:
        raise InputError(f"notifications[{index}] is nested too deeply.") from None
    return Item(found[0] if found else None, text, notification["notification"])


def _reject_constant(name: str) -> t.NoReturn:
    raise ValueError(name)


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def events_of(items: t.Iterable[Item], changes: dict[str, Change], provider: str) -> list[str]:
    """Return JSON of the events of a POST: one for each notification that is new to the journal, or that it ignores.

    :param changes: the recorded changes by the ids of notifications. Each event removes its change, so that a notification has only one event.
    """
    events = []
    for item in items:
        fields: dict[str, t.Any] = {"provider": provider, "kind": item.kind}
        if item.notification is None:
            fields.update(external_id=None, recorded=False)
        else:
            change = changes.pop(item.notification.notification_id, None)
            if change is None:
                continue
            fields.update(external_id=change[0], recorded=True, state_before=change[1], state_after=change[2])
        events.append(f'{{"notification": {item.text}, {json.dumps(fields, ensure_ascii=False)[1:]}')
    return events
