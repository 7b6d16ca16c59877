# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Behaviour of a task that the checks must allow because of the other tasks of its round."""

from __future__ import annotations

# The longest duration of a round in seconds, by which a row of the journal may have aged.
MAX_ROUND_SECONDS = 600


def tasks_for(round_, key, numbers):
    """Yield the tasks that request a key in some waves, each with the number of its wave."""
    for number in numbers:
        for task in round_.waves[number][0].tasks:
            if not task.check and key in task.keys:
                yield number, task


def may_send_again(round_, key, number, task):
    """Return whether a task may use a new request id for an interaction that another task has requested before."""
    if task.own_journal:
        return True
    if task.force and key[1] not in task.request_ids:
        return True
    return _may_consider_outdated(round_, key, number, task)


def _may_consider_outdated(round_, key, number, task):
    """Return whether the row of another task may be older than the ``journal_ttl`` of this task."""
    if not task.ttl:
        return False
    others = (other for _number, other in tasks_for(round_, key, range(number + 1)) if other is not task)
    if round_.database:
        return any(True for dummy in others) and task.ttl <= MAX_ROUND_SECONDS  # the clock of the server counts
    return any(
        abs(error - other_error) + MAX_ROUND_SECONDS >= task.ttl
        for other in others
        for error in task.clocks
        for other_error in other.clocks
    )


def may_be_rejected(round_, task):
    """Return whether VCC may have processed a custom request id of a task for another claim."""
    number = len(round_.waves) - 1
    if task.force and task.idempotency_key:
        return any(
            other is not task and other.derived_request_id(key[1]) == task.derived_request_id(key[1])
            for key in task.keys
            for _number, other in tasks_for(round_, key, range(number + 1))
        )
    return any(
        other.action != task.action or task.force or _may_consider_outdated(round_, key, number, task)
        for key in task.keys
        for _number, other in tasks_for(round_, key, range(number + 1))
        if other is not task and key[1] in task.request_ids.keys() & other.request_ids.keys()
        if task.request_ids[key[1]] == other.request_ids[key[1]]
    )
