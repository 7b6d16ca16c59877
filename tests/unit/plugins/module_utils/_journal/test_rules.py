# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the journal: the classification of a row, and the row that follows an event."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal import rules
from ansible_collections.vonage.vcc.plugins.module_utils._journal.rules import Interaction, RowState, Terms
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Row, Use

NOW = 1_800_000_000.0
TTL = 100
TERMS = Terms("release", TTL)
FORCE = Terms("release", TTL, True)
FOR_EVER = Terms("release", 0)

PENDING = Row(7, "a", "release", "key", NOW - 10)
UNSENT = PENDING._replace(request_id=rules.NEVER_SENT)
ACCEPTED = PENDING._replace(accepted_at=NOW - 5)
OLD_PENDING = PENDING._replace(requested_at=NOW - TTL)
OLD_ACCEPTED = PENDING._replace(requested_at=NOW - TTL - 1, accepted_at=NOW - TTL)
LATE_ANSWER = PENDING._replace(requested_at=NOW - TTL - 50, accepted_at=NOW - TTL + 1)
FUTURE = PENDING._replace(accepted_at=NOW + TTL)
DISPATCHED = Row(7, "a", "dispatch", "key", NOW - 10, NOW - 5)
DISPATCHING = DISPATCHED._replace(accepted_at=None)

CLAIM = Interaction(1, "a", "mine", False, False, None, None, NOW - 20, 3)


def classify(row, terms, own_id="own"):
    """Classify one interaction of a task, which has a row or None."""
    rows = {"a": row} if row else {}
    (found,) = rules.classify([(4, "a", own_id, "{}")], rows, terms, NOW, iter([(8, "new")]))
    return found


@pytest.mark.parametrize(
    ("row", "terms", "confirmed"),
    [
        (ACCEPTED, TERMS, True),
        (ACCEPTED, FORCE, False),
        (PENDING, TERMS, False),
        (PENDING, FOR_EVER, False),
        (OLD_ACCEPTED, TERMS, False),
        (OLD_ACCEPTED, FOR_EVER, True),
        (LATE_ANSWER, TERMS, True),
        (FUTURE, TERMS, False),
        (FUTURE, FOR_EVER, True),
        (DISPATCHED, TERMS, False),
        (DISPATCHED, Terms("dispatch", TTL), True),
    ],
)
def test_row_confirms_if_its_action_was_accepted_within_the_time_to_live(row, terms, confirmed):
    assert classify(row, terms).confirmed is confirmed


def test_confirmed_interaction_has_the_request_id_of_its_row():
    assert classify(ACCEPTED, TERMS) == Interaction(4, "a", "key", True, False, "{}", ACCEPTED)


@pytest.mark.parametrize("own_id", [None, "own"])
@pytest.mark.parametrize("row", [None, PENDING, OLD_PENDING, OLD_ACCEPTED, DISPATCHED])
def test_row_has_odd_id_unless_its_request_id_is_made_from_it(row, own_id):
    found = classify(row, TERMS, own_id)
    assert not found.confirmed
    assert found.claim == (8 if found.request_id == "new" else 9)


def test_each_interaction_without_a_confirmation_takes_an_id():
    wanted = [(1, "a", None, None), (2, "b", None, None), (3, None, None, "{}"), (4, "c", None, None)]
    found = rules.classify(
        wanted, {"b": ACCEPTED._replace(external_id="b")}, TERMS, NOW, iter([(2, "x"), (4, "y"), (6, "z")])
    )
    assert [(one.seq, one.claim, one.request_id) for one in found] == [
        (1, 2, "x"),
        (2, 0, "key"),
        (3, 0, "y"),
        (4, 6, "z"),
    ]


@pytest.mark.parametrize(
    ("row", "terms", "own_id", "request_id", "pending", "previous", "requested_at"),
    [
        (None, TERMS, None, "new", False, None, NOW),
        (None, TERMS, "own", "own", False, None, NOW),
        (PENDING, TERMS, None, "key", True, None, NOW - 10),
        (PENDING, TERMS, "own", "key", True, None, NOW - 10),
        (PENDING, FORCE, None, "new", True, PENDING, NOW),
        (PENDING, FORCE, "own", "own", True, PENDING, NOW),
        (UNSENT, TERMS, None, "new", True, None, NOW - 10),
        (UNSENT, TERMS, "own", "own", True, None, NOW - 10),
        (UNSENT, FORCE, None, "new", True, UNSENT, NOW),
        (OLD_PENDING, TERMS, None, "new", False, OLD_PENDING, NOW),
        (OLD_PENDING, FORCE, None, "new", False, OLD_PENDING, NOW),
        (OLD_PENDING, FOR_EVER, None, "key", True, None, NOW - TTL),
        (ACCEPTED, FORCE, None, "new", False, ACCEPTED, NOW),
        (OLD_ACCEPTED, TERMS, None, "new", False, OLD_ACCEPTED, NOW),
        (DISPATCHED, TERMS, None, "new", False, DISPATCHED, NOW),
        (DISPATCHING, TERMS, None, "new", False, DISPATCHING, NOW),
    ],
)
def test_claim_keeps_only_request_id_of_pending_row(row, terms, own_id, request_id, pending, previous, requested_at):
    assert rules.claim((4, "a", own_id, "{}"), row, terms, NOW, 9, "new") == Interaction(
        4, "a", request_id, False, pending, "{}", previous, requested_at, 9
    )


def test_plan_makes_no_request_id():
    assert rules.claim((4, "a", None, None), None, TERMS, NOW) == Interaction(
        4, "a", None, False, False, None, None, NOW, 0
    )


def test_interaction_without_an_external_id_has_no_claim():
    assert rules.claim((4, None, None, None), None, TERMS, NOW, 9, "new") == Interaction(
        4, None, "new", False, False, None, None, NOW, 0
    )


@pytest.mark.parametrize("previous", [None, DISPATCHED])
def test_released_claim_is_replaced_by_previous_row(previous):
    seen = Row(3, "a", "release", "mine", NOW - 20)
    assert rules.release_claim(CLAIM._replace(previous=previous), "release") == (seen, previous)


@pytest.mark.parametrize("accepted_at", [None, NOW - 1])
@pytest.mark.parametrize(
    ("action", "row", "new"),
    [
        # Another process has withdrawn the claim: a release is recorded again, and a dispatch only as pending.
        ("release", None, Row(9, "a", "release", "mine", NOW, "accepted_at")),
        ("dispatch", None, Row(9, "a", "dispatch", "", NOW)),
        # The other action is no longer confirmed, and its own answer will not confirm it either.
        ("release", DISPATCHED, Row(9, "a", "dispatch", "", NOW - 10)),
        ("release", DISPATCHING, Row(9, "a", "dispatch", "", NOW - 10)),
        # Another process has made a new claim, whose release no longer restores an earlier row.
        ("release", PENDING, PENDING._replace(claim=9)),
        ("release", ACCEPTED, None),
    ],
)
def test_reconcile_with_rows_of_other_processes(action, row, new, accepted_at):
    if new is not None and new.accepted_at == "accepted_at":
        new = new._replace(accepted_at=accepted_at)
    change = rules.reconcile(row, CLAIM, action, NOW, accepted_at, 9)
    assert change == (None if new is None else (row, new))


@pytest.mark.parametrize("accepted_at", [None, NOW - 1])
@pytest.mark.parametrize(
    ("row", "new"),
    [
        (None, Row(9, "a", "release", "", NOW)),
        (UNSENT, None),
        (DISPATCHED, Row(9, "a", "dispatch", "", NOW - 10)),
        (PENDING, PENDING._replace(claim=9)),
        (PENDING._replace(request_id="mine"), PENDING._replace(claim=9, request_id="mine")),
        (ACCEPTED, None),
    ],
)
def test_answer_to_a_request_id_that_vcc_may_ignore_confirms_nothing(row, new, accepted_at):
    change = rules.reconcile(row, CLAIM, "release", NOW, accepted_at, 9, True)
    assert change == (None if new is None else (row, new))


@pytest.mark.parametrize("row", [PENDING, ACCEPTED])
def test_answer_is_recorded_in_a_row_with_the_same_request_id(row):
    row = row._replace(request_id="mine")
    assert rules.reconcile(row, CLAIM, "release", NOW, None, 9) is None
    assert rules.reconcile(row, CLAIM, "release", NOW, NOW - 1, 9) == (row, row._replace(accepted_at=NOW - 1))


@pytest.mark.parametrize(
    ("row", "before", "released", "assigned"),
    [
        (None, RowState.UNKNOWN, (None, "note", NOW), None),
        (PENDING, RowState.PENDING, (PENDING, "key", NOW - 10), (PENDING, "key", NOW - 10)),
        (ACCEPTED, RowState.RELEASED, (ACCEPTED, "key", NOW - 10), "deleted"),
        (DISPATCHED, RowState.DISPATCHED, (DISPATCHED, "note", NOW - 10), None),
        (DISPATCHING, RowState.PENDING, (DISPATCHING, "note", NOW - 10), (DISPATCHING, "key", NOW - 10)),
    ],
)
def test_notification_confirms_a_release_or_ends_its_confirmation(row, before, released, assigned):
    assert rules.state_of(row) == before
    for is_release, expected in ((True, released), (False, assigned)):
        known = rules.notify(row, is_release, "a", "note")
        change = rules.record_notification(row, known, NOW, 9)
        if expected is None:
            assert change is None
        elif expected == "deleted":
            assert change == (row, None)
        else:
            accepted_at = NOW if is_release else None
            action = "release" if is_release else row.action
            assert change == (expected[0], Row(9, "a", action, *expected[1:], accepted_at))


@pytest.mark.parametrize(
    ("change", "terms", "conflict"),
    [
        ({}, TERMS, False),
        ({}, FORCE, False),
        ({"here": False}, TERMS, True),
        ({"external_id": "b"}, TERMS, True),
        ({"action": "dispatch"}, TERMS, True),
        ({"processed": True}, TERMS, True),
        ({"processed": True, "changed_at": NOW - 1}, TERMS, False),
        ({"processed": True, "changed_at": NOW - 1}, FORCE, True),
        ({"processed": True, "changed_at": NOW - TTL}, TERMS, True),
        ({"processed": True, "changed_at": NOW + TTL}, TERMS, True),
        ({"processed": True, "changed_at": NOW - TTL}, FOR_EVER, False),
    ],
)
def test_custom_request_id_conflicts_with_a_use_that_is_not_repeated(change, terms, conflict):
    use = Use("mine", True, "a", "release", False)._replace(**change)
    assert rules.is_conflict(use, (1, "a", "mine", None), terms, NOW) is conflict
