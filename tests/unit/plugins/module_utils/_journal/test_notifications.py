# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VCC's notifications: the states that they confirm, and the confirmations that they end."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import (
    LONGEST_RUN,
    Notification,
    NotificationLog,
    parse_notifications,
)
from ansible_collections.vonage.vcc.plugins.module_utils._location import is_url
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import journal_rows, summary
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    both_backends,
    contents,
    recorded,
)


@pytest.fixture
def path(folder):
    """The path of the tasks' journal."""
    return folder / "journal.db"


class TestParsing:
    """Notifications in the form of the contract."""

    def test_both_kinds_are_read(self):
        given = [
            {"notification": "AssignToAgent", "objectid": "a", "notificationid": "1", "params": {"Agent": "x"}},
            {"notification": "Release", "objectid": "b", "notificationid": "2"},
        ]
        assert parse_notifications(given) == ([("AssignToAgent", "a", "1"), ("Release", "b", "2")], 0)

    @pytest.mark.parametrize(
        "other",
        [
            {"notification": "Transfer", "objectid": "a"},
            {"notification": "release", "objectid": "a"},
            {"notification": "Release"},
            {"notification": "Release", "objectid": ""},
            {"notification": "Release", "objectid": None},
            {"notification": "Release", "objectid": ["a"]},
        ],
        ids=str,
    )
    def test_other_notifications_are_ignored_and_counted(self, other):
        good = {"notification": "Release", "objectid": "b", "notificationid": "2"}
        assert parse_notifications([{**other, "notificationid": "1"}, good]) == ([("Release", "b", "2")], 1)

    @pytest.mark.parametrize("kind", ["Release", "Transfer"])
    @pytest.mark.parametrize(
        "wrong",
        [
            {"notification": None},
            {"notification": ""},
            {"notification": 1},
            {"notificationid": None},
            {"notificationid": ""},
        ],
        ids=str,
    )
    def test_wrong_notification_is_refused_by_index(self, kind, wrong):
        one = {"notification": kind, "objectid": "a", "notificationid": "1"}
        with pytest.raises(InputError) as caught:
            parse_notifications([one, {**one, **wrong}])
        assert str(caught.value) == (
            "notifications[1] has no notification or no notificationid: give VCC's notifications unchanged."
        )

    def test_blanks_around_ids_of_vcc_are_kept(self):
        one = {"notification": "Release", "objectid": " a\u00a0", "notificationid": "1 "}
        assert parse_notifications([one]) == ([("Release", " a\u00a0", "1 ")], 0)

    @pytest.mark.parametrize("missing", ["notification", "notificationid"])
    def test_incomplete_notification_is_refused(self, missing):
        one = {"notification": "Release", "objectid": "a", "notificationid": "1"}
        del one[missing]
        with pytest.raises(InputError, match=r"notifications\[0\] has no notification or no notificationid"):
            parse_notifications([one])

    def test_empty_list_has_no_notifications(self):
        assert parse_notifications([]) == ([], 0)


def refuse_new_rows(journal):
    """Make the database refuse new rows of interactions, as if its disk were full."""
    if not is_url(journal):
        with contextlib.closing(sqlite3.connect(journal)) as db:
            db.execute("CREATE TRIGGER full BEFORE INSERT ON interaction BEGIN SELECT RAISE(ABORT, 'no room'); END")
            db.commit()
        return
    import psycopg

    with contextlib.closing(psycopg.connect(journal, autocommit=True)) as db:
        db.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$")
        db.execute("CREATE TRIGGER full_disk BEFORE INSERT ON vcc_journal.interaction EXECUTE FUNCTION refuse()")


@pytest.fixture(params=["real", "predicted"])
def changes(request, note, journal, tmp_path):
    """Records notifications. Returns the changes of the run, or those that check mode predicts without changing anything."""

    def say(*given, **others):
        if request.param == "real":
            return note(*given, **others)
        before = contents(journal, tmp_path)
        predicted = note(*given, dry_run=True, **others)
        assert contents(journal, tmp_path) == before
        assert note(*given, **others) == predicted
        return predicted

    return say


@both_backends
class TestRecording:
    def test_release_is_confirmed(self, changes, journal, clock):
        assert changes(("Release", "a", "n-1")) == [("a", "not known", "released")]
        row = journal_rows(journal)["a"]
        assert (row["action"], row["request_id"], row["accepted"]) == ("release", "n-1", clock.now)
        assert recorded(journal) == ["n-1"]

    def test_release_confirms_pending_release_and_keeps_its_request_id(self, changes, keep, journal, clock):
        keep("a", pending=True)
        clock.now += 5
        assert changes(("Release", "a", "n-1")) == [("a", "pending", "released")]
        row = journal_rows(journal)["a"]
        assert (row["request_id"], row["asked"]) == ("key-release-a-None-main", clock.now - 5)
        assert row["accepted"] == clock.now

    @pytest.mark.parametrize(("pending", "before"), [(False, "dispatched"), (True, "pending")])
    def test_release_ends_dispatch(self, changes, keep, journal, pending, before):
        keep("a", action="dispatch", pending=pending)
        assert changes(("Release", "a", "n-1")) == [("a", before, "released")]
        row = journal_rows(journal)["a"]
        assert (row["action"], row["request_id"]) == ("release", "n-1")

    def test_assignment_ends_confirmation(self, changes, keep, journal):
        keep("a", "b")
        assert changes(("AssignToAgent", "a", "n-1")) == [("a", "released", "not known")]
        assert list(journal_rows(journal)) == ["b"]

    @pytest.mark.parametrize(
        ("action", "pending", "state"),
        [("release", True, "pending"), ("dispatch", True, "pending"), ("dispatch", False, "dispatched")],
    )
    def test_assignment_leaves_pending_rows_and_dispatches(self, changes, keep, journal, clock, action, pending, state):
        keep("a", action=action, pending=pending)
        before = journal_rows(journal)
        clock.now += 5
        assert changes(("AssignToAgent", "a", "n-1")) == [("a", state, state)]
        after = journal_rows(journal)
        assert (after["a"].pop("id") != before["a"].pop("id")) == pending
        assert after == before
        assert recorded(journal) == ["n-1"]

    @pytest.mark.parametrize("action", ["release", "dispatch"])
    def test_an_assignment_ends_the_confirmation_that_a_claim_replaced(self, note, keep, journal, clock, action):
        """VCC rejects the call of the claim after the assignment: the journal must not restore the confirmation."""
        keep("a")
        opened = Journal(journal, API, "main", None, 0, action, force=True, clock=clock)
        with contextlib.closing(opened):
            opened.add_all([Entry("a", "a", None)])
            claimed = opened.claim(0)
            note(("AssignToAgent", "a", "n-1"))
            opened.release_claim(claimed)
        row = journal_rows(journal)["a"]
        assert (row["request_id"], row["accepted"]) == (claimed[0].request_id, None)

    def test_assignment_of_unknown_interaction_is_recorded(self, changes, journal):
        assert changes(("AssignToAgent", "a", "n-1")) == [("a", "not known", "not known")]
        assert journal_rows(journal) == {}
        assert recorded(journal) == ["n-1"]

    def test_empty_list_changes_nothing(self, changes, keep):
        keep("a")
        assert changes() == []

    def test_repeated_notification_counts_once(self, changes, keep, journal):
        once = ("Release", "a", "n-1")
        assert changes(once, once, ("AssignToAgent", "a", "n-2"), once) == [
            ("a", "not known", "released"),
            ("a", "released", "not known"),
        ]
        keep("a", action="dispatch")
        before = journal_rows(journal)
        assert changes(once, ("AssignToAgent", "a", "n-2")) == []
        assert journal_rows(journal) == before

    @pytest.mark.parametrize(
        ("kinds", "states", "left"),
        [
            ("RA", ["not known", "released", "not known"], None),
            ("AR", ["not known", "not known", "released"], "n-1"),
            ("RAR", ["not known", "released", "not known", "released"], "n-2"),
            ("RR", ["not known", "released", "released"], "n-0"),
        ],
    )
    def test_notifications_apply_in_order_of_list(self, changes, journal, kinds, states, left):
        given = [({"R": "Release", "A": "AssignToAgent"}[kind], "a", f"n-{n}") for n, kind in enumerate(kinds)]
        assert changes(*given) == [("a", *pair) for pair in zip(states, states[1:])]
        assert journal_rows(journal).get("a", {}).get("request_id") == left

    def test_each_notification_of_list_changes_its_own_interaction(self, changes, keep, journal):
        keep("b")
        given = [("Release", "a", "n-1"), ("AssignToAgent", "b", "n-2"), ("Release", "c", "n-3")]
        assert [one[0] for one in changes(*given)] == ["a", "b", "c"]
        assert list(journal_rows(journal)) == ["a", "c"]

    def test_open_log_makes_ids_of_rows_from_current_time(self, journal, clock):
        with contextlib.closing(NotificationLog(journal, API, "main", None, clock=clock)) as log:
            for number in range(3):
                given = Notification("Release", str(number), f"n-{number}")
                assert log.record_by_id([given, given]) == {f"n-{number}": (str(number), "not known", "released")}
                assert journal_rows(journal)[str(number)]["id"] >> 38 == int(clock.now) >> 6 & 0x1FFFFFF
                clock.now += 2 * LONGEST_RUN

    @pytest.mark.parametrize(
        "other", [{"provider": "tickets"}, {"account": "second"}, {"api_url": "https://other.example"}], ids=str
    )
    def test_notification_changes_only_its_scope(self, changes, keep, journal, other):
        keep("a")
        before = journal_rows(journal)
        assert changes(("AssignToAgent", "a", "n-1"), **other) == [("a", "not known", "not known")]
        assert journal_rows(journal) == before
        assert changes(("AssignToAgent", "a", "n-2")) == [("a", "released", "not known")]

    def test_recorded_notification_counts_anew_for_another_provider(self, note):
        note(("Release", "a", "n-1"), provider="wrong")
        assert note(("Release", "a", "n-1"), provider="tickets") == [("a", "not known", "released")]

    def test_check_mode_makes_no_journal(self, note, journal, tmp_path):
        before = contents(journal, tmp_path)
        assert note(("Release", "a", "n-1"), dry_run=True) == [("a", "not known", "released")]
        assert contents(journal, tmp_path) == before

    def test_failed_list_records_nothing(self, note, journal, keep):
        keep("a")
        refuse_new_rows(journal)
        before = journal_rows(journal)
        with pytest.raises(JournalError, match="no room"):
            note(("AssignToAgent", "a", "n-1"), ("Release", "b", "n-2"))
        assert journal_rows(journal) == before
        assert recorded(journal) == []


@both_backends
class TestTasks:
    """Notifications decide which interactions the next task sends."""

    @pytest.fixture
    def task(self, task, journal):
        task.journal = journal
        return task

    @pytest.fixture
    def tell(self, sim, journal):
        def do(kind, external_id, number, provider=None):
            with contextlib.closing(NotificationLog(journal, sim.url, CLIENT_ID, provider)) as notes:
                return notes.record([Notification(kind, external_id, f"n-{number}")])

        return do

    def test_task_makes_no_call_after_release(self, sim, task, tell):
        tell("Release", "a", 1, provider="tickets")
        result = task(external_id="a", provider="tickets")
        assert summary(result) == {"requested": 1, "unchanged": 1}
        assert result["interactions"][0]["evidence"] == "journal"
        assert sim.calls == []

    def test_notification_confirms_nothing_for_another_provider(self, sim, task, tell):
        tell("Release", "a", 1, provider="tickets")
        assert task(external_id="a")["changed"]

    def test_task_releases_again_after_assignment(self, sim, task, tell):
        sim.dispatch("a")
        first = task(external_id="a")
        sim.dispatch("a")
        assert not task(external_id="a")["changed"]
        tell("AssignToAgent", "a", 1)
        second = task(external_id="a")
        assert second["changed"]
        assert second["interactions"][0]["request_id"] != first["interactions"][0]["request_id"]
        assert sim.live() == []
        tell("AssignToAgent", "a", 1)
        assert not task(external_id="a")["changed"]

    def test_pending_release_keeps_its_request_id_after_assignment(self, sim, task, tell):
        sim.dispatch("a")
        sim.fault("cut", when="after")
        first = task(external_id="a")
        tell("AssignToAgent", "a", 1)
        second = task(external_id="a")
        assert second["interactions"][0]["request_id"] == first["interactions"][0]["request_id"]

    def test_dispatch_stays_confirmed_after_assignment(self, sim, task, tell):
        given = {"state": "dispatched", "route": "sales", "external_id": "a"}
        task(**given)
        tell("AssignToAgent", "a", 1)
        assert not task(**given)["changed"]
        tell("Release", "a", 2)
        assert not task(external_id="a")["changed"]
        assert task(**given)["changed"]
