# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request ids that are derived from a key: the journal knows which of them VCC may have received, even after other tasks have replaced their rows."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import Notification
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    TTL,
    as_entries,
    both_backends,
    refusal,
)

USED = "The idempotency_key has been used for 'a' before, so VCC would ignore the request: force needs a new idempotency_key."


def key(name, action="dispatch"):
    """Return arguments of Journal that derive request ids from a key. The ids begin like those that a run makes, as half of all derived ids do."""
    return {"derive": lambda external_id: f"{name}{external_id}".encode().hex().rjust(32, "7"), "action": action}


@pytest.fixture
def check_use(open_journal):
    """Checks that the journal knows that the key has been used for "a", and whether it knows that VCC has accepted the call."""

    def check(answered):
        said = refusal(open_journal(force=True, **key("K")).add_all, as_entries("b", "a"), kind=InputError)
        assert said == USED
        journal = open_journal(**key("K"))
        journal.add_all(as_entries("a"))
        (found,) = journal.plan(0)
        assert (found.confirmed, found.request_id) == (answered, key("K")["derive"]("a"))
        open_journal(force=True, **key("L")).add_all(as_entries("a"))

    return check


def lost(journal):
    """Record a call without an answer."""
    journal.keep_pending(journal.claim(0))


def answered(journal):
    journal.accept(journal.claim(0))


@both_backends
@pytest.mark.parametrize("call", [lost, answered])
class TestUsedKey:
    @pytest.fixture(autouse=True)
    def _used(self, call, open_journal):
        journal = open_journal(**key("K"))
        journal.add_all(as_entries("a"))
        call(journal)

    def test_use_is_known_after_opposite_action(self, call, release, check_use):
        release("a")
        check_use(call is answered)

    def test_use_is_known_after_unanswered_opposite_action(self, call, claim, check_use):
        claim("a")
        check_use(call is answered)

    def test_use_is_known_after_release_that_finds_nothing(self, call, open_journal, check_use):
        journal = open_journal()
        journal.add_all(as_entries("a"))
        journal.release_claim([each._replace(previous=None) for each in journal.claim(0)])
        check_use(call is answered)

    def test_use_is_known_after_other_key(self, call, release, check_use):
        release("a", force=True, **key("M"))
        release("a")
        check_use(call is answered)

    def test_use_is_known_after_other_key_beyond_ttl(self, call, release, check_use, clock):
        clock.now += TTL
        release("a", **key("M"))
        release("a")
        check_use(call is answered)

    def test_use_is_known_after_notification(self, call, note, check_use):
        note(Notification("Release", "a", "n-1"))
        check_use(call is answered)


@both_backends
def test_call_that_vcc_may_have_ignored_confirms_no_state(open_journal, release, plan):
    journal = open_journal(**key("K"))
    journal.add_all(as_entries("a", "b"))
    lost(journal)
    release("a")
    (again, other) = release("a", "b", **key("K"))
    assert (again.pending, other.pending, again.request_id) == (True, True, key("K")["derive"]("a"))
    assert [each.confirmed for each in plan("a", "b", **key("K"))] == [True, True]
    (found, other) = plan("a", "b", action="dispatch")
    assert (found.confirmed, found.pending, found.request_id) == (False, True, None)
    assert other.confirmed
    assert not plan("a")[0].confirmed


@both_backends
@pytest.mark.parametrize("call", ["keep_pending", "accept"])
class TestLateAnswer:
    """The answer arrives after another task has replaced the row."""

    @pytest.fixture
    def end(self, call, open_journal):
        """Ends the running call."""
        journal = open_journal(**key("K"))
        journal.add_all(as_entries("a"))
        claimed = journal.claim(0)
        yield lambda: getattr(journal, call)(claimed)

    @pytest.mark.parametrize("others", [{}, {"force": True, **key("M")}], ids=["release", "other key"])
    def test_use_is_known_after_other_task(self, call, end, release, check_use, others):
        release("a", **others)
        end()
        release("a")
        check_use(call == "accept")

    def test_use_is_known_after_release_that_finds_nothing(self, call, end, open_journal, check_use):
        journal = open_journal()
        journal.add_all(as_entries("a"))
        journal.release_claim([each._replace(previous=None) for each in journal.claim(0)])
        end()
        check_use(call == "accept")


@both_backends
def test_pending_attempt_of_another_task_confirms_no_state(open_journal, claim, release, plan, clock):
    """VCC may have processed the request id of the key before the release, and may never have received the attempt without a key."""
    journal = open_journal(**key("K"))
    journal.add_all(as_entries("a"))
    lost(journal)
    release("a")
    claim("a", action="dispatch")
    clock.now += TTL
    (again,) = release("a", **key("K"))
    assert again.request_id == key("K")["derive"]("a")
    assert not plan("a", action="dispatch")[0].confirmed


@both_backends
@pytest.mark.parametrize("call", ["keep_pending", "accept"])
class TestLateAnswerOfRepeatedCall:
    """A release repeats a request id that VCC may have had before a dispatch, and other tasks write the row before its answer arrives.

    If VCC has not had the request id before, the repeated call is the last one that has an effect.
    """

    @pytest.fixture
    def end(self, call, open_journal, claim, release):
        """Ends the running call."""
        claim("a", **key("K", "release"))
        release("a", action="dispatch")
        journal = open_journal(**key("K", "release"))
        journal.add_all(as_entries("a"))
        claimed = journal.claim(0)
        yield lambda: getattr(journal, call)(claimed)

    def test_opposite_action_is_not_confirmed(self, end, release, plan):
        release("a", action="dispatch")
        end()
        (found,) = plan("a", action="dispatch")
        assert (found.confirmed, found.pending, found.request_id) == (False, True, None)
        assert not plan("a")[0].confirmed

    def test_same_action_stays_confirmed(self, end, release, plan):
        release("a")
        end()
        assert plan("a")[0].confirmed

    def test_deleted_row_is_restored_without_request_id(self, end, open_journal, plan):
        journal = open_journal()
        journal.add_all(as_entries("a"))
        journal.release_claim([each._replace(previous=None) for each in journal.claim(0)])
        end()
        (found,) = plan("a")
        assert (found.confirmed, found.pending, found.request_id) == (False, True, None)


@both_backends
def test_claim_with_custom_request_id_does_not_confirm_key(claim, plan):
    """A user may compute the request id of a key, and use it as a custom request id."""
    claim(("a", key("K")["derive"]("a")), action="dispatch")
    assert not plan("a", **key("K"))[0].confirmed
