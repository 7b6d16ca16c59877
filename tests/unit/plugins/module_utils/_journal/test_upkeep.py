# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal as a thing of its own: looked at, pruned, and told what VCC has notified of."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal import upkeep as upkeep_module
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import (
    Notification,
    NotificationLog,
    parse_notifications,
)
from ansible_collections.vonage.vcc.plugins.module_utils._journal.registrations import Registration
from ansible_collections.vonage.vcc.plugins.module_utils._journal.upkeep import Upkeep, isoformat_utc
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import journal_rows, snapshot, summary

API = "https://api.example"
EVERYTHING = {
    "external_ids": None,
    "provider": None,
    "state": None,
    "older_than": None,
    "newer_than": None,
    "page": 1,
    "page_size": 100,
}


@pytest.fixture
def path(folder):
    return folder / "journal.db"


@pytest.fixture
def keep(path, clock):
    """Puts interactions into the journal, accepted unless the test says pending."""

    def do(*external_ids, action="release", pending=False, provider=None, account="main", api_url=API):
        journal = Journal(str(path), api_url, account, provider, 0, action=action, clock=clock)
        with contextlib.closing(journal):
            journal.add_all([Entry(one, one, f"key-{action}-{one}-{provider}-{account}") for one in external_ids])
            claimed = journal.claim(0)
            if not pending:
                journal.accept(claimed)

    return do


@pytest.fixture
def enrol(path, clock):
    """Puts a registration into the journal."""

    def do(name, accepted=True):
        with contextlib.closing(Registration(str(path), API, "main", name, clock=clock)) as registration:
            registration.begin()
            if accepted:
                registration.accept({"endpoint": "x"})

    return do


@pytest.fixture
def upkeep(path, clock):
    with contextlib.ExitStack() as stack:

        def make(dry_run=True):
            journal = Upkeep(str(path), dry_run, clock)
            stack.callback(journal.close)
            return journal

        yield make


@pytest.fixture
def entries(upkeep):
    """The external ids of a page, and how many match."""

    def find(**given):
        found, matched = upkeep().entries({**EVERYTHING, **given})
        return [one["external_id"] for one in found], matched

    return find


@pytest.fixture
def note(path, clock):
    """Takes note of C((kind, external id, notification id)), and returns what changed."""

    def do(*given, dry_run=False, provider=None, account="main", api_url=API):
        with contextlib.closing(NotificationLog(str(path), api_url, account, provider, dry_run, clock)) as notes:
            return notes.note([Notification(*one) for one in given], dry_run)

    return do


def noted(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [one for (one,) in db.execute("SELECT id FROM notification ORDER BY id")]


class TestLooking:
    def test_a_journal_that_is_missing_is_empty_and_stays_missing(self, upkeep, entries, path, tmp_path):
        before = snapshot(tmp_path)
        for dry_run in (True, False):
            journal = upkeep(dry_run)
            assert (journal.exists, journal.path, journal.schema_version()) == (False, str(path), None)
            assert set(journal.counts().values()) == {0}
            assert journal.entries(EVERYTHING) == ([], 0)
        assert snapshot(tmp_path) == before

    def test_what_is_no_journal_is_refused(self, upkeep, path):
        path.parent.mkdir()
        path.write_bytes(b"no database" * 1000)
        with pytest.raises(JournalError, match=f"The journal {path} cannot be used"):
            upkeep()

    def test_a_relative_path_becomes_a_whole_one(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with contextlib.closing(Upkeep("journal.db", True)) as journal:
            assert journal.path == str(tmp_path / "journal.db")

    def test_an_empty_file_has_no_schema(self, upkeep, path):
        path.parent.mkdir()
        path.touch()
        assert upkeep().schema_version() != 3

    def test_it_leaves_no_trace(self, keep, upkeep, tmp_path):
        keep("a", "b")
        before = snapshot(tmp_path)
        journal = upkeep()
        journal.counts()
        journal.entries({**EVERYTHING, "external_ids": ["a"]})
        journal.close()
        assert snapshot(tmp_path) == before

    def test_counts_are_of_the_whole_journal(self, keep, enrol, upkeep):
        keep("a", "b", "c")
        keep("d", "e", action="dispatch")
        keep("f", pending=True)
        keep("g", pending=True, action="dispatch")
        keep("a", provider="tickets", account="second")
        enrol("tickets")
        enrol("orders")
        enrol("failed", accepted=False)
        journal = upkeep()
        assert journal.counts() == {"interactions": 8, "released": 4, "dispatched": 2, "pending": 2, "providers": 2}
        assert (journal.exists, journal.schema_version()) == (True, 3)

    def test_all_that_an_entry_says(self, keep, upkeep, clock):
        keep("a", pending=True, provider="tickets", account="second")
        clock.now += 60
        keep("b", action="dispatch")
        found, matched = upkeep().entries(EVERYTHING)
        assert matched == 2
        assert found == [
            {
                "external_id": "b",
                "provider": None,
                "api_url": API,
                "account": "main",
                "state": "dispatched",
                "action": "dispatch",
                "request_id": "key-dispatch-b-None-main",
                "asked": "2027-01-15T08:01:00Z",
                "accepted": "2027-01-15T08:01:00Z",
            },
            {
                "external_id": "a",
                "provider": "tickets",
                "api_url": API,
                "account": "second",
                "state": "pending",
                "action": "release",
                "request_id": "key-release-a-tickets-second",
                "asked": "2027-01-15T08:00:00Z",
                "accepted": None,
            },
        ]

    def test_times_are_utc_whatever_the_zone(self, monkeypatch):
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        assert isoformat_utc(0) == "1970-01-01T00:00:00Z"
        assert isoformat_utc(1_800_000_000.9) == "2027-01-15T08:00:00Z"


class TestFilters:
    @pytest.fixture(autouse=True)
    def _some(self, keep, clock):
        keep("a", "b")
        clock.now += 10
        keep("c", action="dispatch", provider="tickets")
        clock.now += 10
        keep("d", pending=True, provider="tickets")
        clock.now += 10
        keep("e", pending=True, action="dispatch")
        clock.now += 10

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({}, "edcab"),
            ({"state": "released"}, "ab"),
            ({"state": "dispatched"}, "c"),
            ({"state": "pending"}, "ed"),
            ({"provider": "tickets"}, "dc"),
            ({"provider": ""}, "eab"),
            ({"provider": "ticket"}, ""),
            ({"external_ids": ["a", "d", "z", "a"]}, "da"),
            ({"external_ids": []}, ""),
            ({"external_ids": ["A"]}, ""),
            ({"older_than": 0}, "edcab"),
            ({"older_than": 40}, "ab"),
            ({"older_than": 41}, ""),
            ({"older_than": 30}, "cab"),
            ({"newer_than": 40}, "edc"),
            ({"newer_than": 41}, "edcab"),
            ({"newer_than": 10}, ""),
            ({"newer_than": 11}, "e"),
            ({"older_than": 20, "newer_than": 40}, "dc"),
            ({"older_than": 20, "newer_than": 20}, ""),
            ({"state": "pending", "provider": "tickets", "older_than": 20, "external_ids": ["c", "d", "e"]}, "d"),
        ],
        ids=str,
    )
    def test_only_what_matches_all_is_an_entry(self, entries, given, expected):
        assert entries(**given) == (sorted(expected, key="edcab".index), len(expected))

    def test_one_filter_does_not_hold_for_the_next_look(self, upkeep):
        journal = upkeep()
        assert journal.entries({**EVERYTHING, "external_ids": ["a"]})[1] == 1
        assert journal.entries(EVERYTHING)[1] == 5

    def test_an_accepted_one_is_as_old_as_its_acceptance(self, path, clock, entries):
        journal = Journal(str(path), API, "main", None, 0, clock=clock)
        with contextlib.closing(journal):
            journal.add_all([Entry("f", "f")])
            claimed = journal.claim(0)
            clock.now += 50
            journal.accept(claimed)
        assert "f" in entries(newer_than=1)[0]
        assert "f" not in entries(older_than=1)[0]


class TestPages:
    def test_the_latest_come_first(self, keep, entries, clock):
        for external_id in "bca":
            keep(external_id)
            clock.now += 1
        assert entries()[0] == ["a", "c", "b"]

    def test_equal_ones_have_one_order(self, keep, upkeep):
        keep("b", "a")
        keep("a", provider="tickets")
        keep("a", account="later")
        keep("a", api_url="https://other.example")
        found, dummy = upkeep().entries(EVERYTHING)
        assert [(one["external_id"], one["api_url"], one["account"], one["provider"]) for one in found] == [
            ("a", API, "later", None),
            ("a", API, "main", None),
            ("a", API, "main", "tickets"),
            ("a", "https://other.example", "main", None),
            ("b", API, "main", None),
        ]

    @pytest.mark.parametrize(
        ("page", "expected"), [(1, ["0", "1", "2"]), (2, ["3", "4", "5"]), (3, ["6"]), (4, []), (10**12, [])]
    )
    def test_each_has_its_part_and_the_count_of_all(self, keep, entries, page, expected):
        keep(*"0123456")
        assert entries(page=page, page_size=3) == (expected, 7)

    def test_a_filter_comes_before_the_pages(self, keep, entries):
        keep(*"0123456")
        assert entries(page=2, page_size=2, external_ids=["1", "3", "5"]) == (["5"], 3)


class TestPrune:
    @pytest.fixture(autouse=True)
    def _some(self, keep, enrol, note, clock):
        keep("a")
        keep("b", action="dispatch", provider="tickets")
        keep("c", pending=True)
        enrol("tickets")
        note(("Release", "d", "n-1"))
        clock.now += 100
        keep("e")
        note(("AssignToAgent", "x", "n-2"))
        clock.now += 100

    @pytest.mark.parametrize(
        ("older_than", "interactions", "notifications", "request_ids", "left"),
        [
            (201, 0, 0, 0, "abcde"),
            (200, 4, 1, 3, "e"),
            (101, 4, 1, 3, "e"),
            (100, 5, 2, 4, ""),
            (0, 5, 2, 4, ""),
        ],
    )
    def test_what_is_that_old_goes_and_check_mode_knows(
        self, upkeep, path, tmp_path, older_than, interactions, notifications, request_ids, left
    ):
        expected = {"interactions": interactions, "notifications": notifications, "request_ids": request_ids}
        before = snapshot(tmp_path)
        predicting = upkeep(True)
        assert predicting.prune(older_than, True) == expected
        predicting.close()
        assert snapshot(tmp_path) == before
        assert upkeep(False).prune(older_than, False) == expected
        assert "".join(journal_rows(path)) == left
        assert len(noted(path)) == 2 - notifications
        for dry_run in (True, False):
            assert upkeep(dry_run).prune(older_than, dry_run) == {
                "interactions": 0,
                "notifications": 0,
                "request_ids": 0,
            }

    def test_other_processes_write_meanwhile(self, upkeep, path, clock, keep, monkeypatch):
        """After each block of rows the lock is free."""
        ids = [f"old-{number:03}" for number in range(300)]
        keep(*ids)
        clock.now += 100
        entered = []
        block = upkeep_module._Pace.block

        @contextlib.contextmanager
        def in_small_blocks(pace):
            pace._size = 50
            entered.append(f"new-{len(entered)}")
            keep(entered[-1])
            with block(pace) as size:
                yield size

        monkeypatch.setattr(upkeep_module._Pace, "block", in_small_blocks)
        pruned = upkeep(False).prune(50, False)
        assert pruned["interactions"] == 300 + len("abcde")
        assert set(journal_rows(path)) == set(entered)
        assert len(entered) > 6

    def test_the_file_becomes_smaller(self, upkeep, path, keep, clock):
        keep(*(f"old-{number:04}" for number in range(3000)))
        upkeep(False).close()
        before = path.stat().st_size
        clock.now += 100
        journal = upkeep(False)
        journal.prune(50, False)
        assert journal._db.execute("PRAGMA freelist_count").fetchone() == (0,)
        journal.close()
        assert path.stat().st_size < before / 2

    def test_a_file_that_was_not_made_for_it_stays_as_large(self, upkeep, path, keep, clock):
        keep(*(f"old-{number:04}" for number in range(1000)))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("PRAGMA auto_vacuum = NONE")
            db.execute("VACUUM")
        before = path.stat().st_size
        clock.now += 100
        assert upkeep(False).prune(50, False)["interactions"] == 1005
        assert path.stat().st_size == before

    def test_a_block_is_sized_by_the_time_that_it_takes(self, monkeypatch):
        times, waits = iter([0, 0.01, 10, 11, 20, 20.4]), []
        monkeypatch.setattr(upkeep_module.time, "monotonic", lambda: next(times))
        monkeypatch.setattr(upkeep_module.time, "sleep", waits.append)
        pace = upkeep_module._Pace()
        sizes = []
        for dummy in range(3):
            with pace.block() as size:
                sizes.append(size)
        assert sizes == [1000, 2000, 800]
        assert waits == [upkeep_module.PAUSE_SECONDS]

    def test_registrations_stay(self, upkeep, path, clock):
        journal = upkeep(False)
        journal.prune(0, False)
        assert journal.counts() == {"interactions": 0, "released": 0, "dispatched": 0, "pending": 0, "providers": 1}
        with contextlib.closing(Registration(str(path), API, "main", "tickets", clock=clock)) as registration:
            assert registration.compare({"endpoint": "x"}) == {"endpoint": "same"}

    def test_what_is_kept_still_proves(self, upkeep, keep, path):
        before = journal_rows(path)["e"]
        upkeep(False).prune(101, False)
        assert journal_rows(path) == {"e": before}

    def test_a_notification_that_is_forgotten_counts_again(self, upkeep, note):
        assert note(("Release", "d", "n-1")) == []
        upkeep(False).prune(150, False)
        assert note(("Release", "d", "n-1")) == [("d", "not known", "released")]


def test_pruning_makes_no_journal(upkeep, tmp_path):
    for dry_run in (True, False):
        assert upkeep(dry_run).prune(0, dry_run) == {"interactions": 0, "notifications": 0, "request_ids": 0}
    assert list(tmp_path.iterdir()) == []


class TestNotices:
    """What VCC sends, as the contract has it."""

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
    def test_others_are_ignored_and_counted(self, other):
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
    def test_what_is_no_notification_is_refused_by_index(self, kind, wrong):
        one = {"notification": kind, "objectid": "a", "notificationid": "1"}
        with pytest.raises(InputError) as caught:
            parse_notifications([one, {**one, **wrong}])
        assert str(caught.value) == (
            "notifications[1] has no notification or no notificationid: give VCC's notifications as they came."
        )

    def test_words_of_vccs_own_may_begin_and_end_with_blanks(self):
        one = {"notification": "Release", "objectid": " a\u00a0", "notificationid": "1 "}
        assert parse_notifications([one]) == ([("Release", " a\u00a0", "1 ")], 0)

    @pytest.mark.parametrize("missing", ["notification", "notificationid"])
    def test_what_lacks_a_part_is_refused(self, missing):
        one = {"notification": "Release", "objectid": "a", "notificationid": "1"}
        del one[missing]
        with pytest.raises(InputError, match=r"notifications\[0\] has no notification or no notificationid"):
            parse_notifications([one])

    def test_none_are_none(self):
        assert parse_notifications([]) == ([], 0)


@pytest.fixture(params=["real", "predicted"])
def changes(request, note, path, tmp_path):
    """What taking note changes: as the run says, and as check mode says before, which changes nothing."""

    def say(*given, **others):
        if request.param == "real":
            return note(*given, **others)
        before = snapshot(tmp_path)
        predicted = note(*given, dry_run=True, **others)
        assert snapshot(tmp_path) == before
        assert note(*given, **others) == predicted
        return predicted

    return say


class TestNotes:
    def test_a_release_proves(self, changes, path, clock):
        assert changes(("Release", "a", "n-1")) == [("a", "not known", "released")]
        row = journal_rows(path)["a"]
        assert (row["action"], row["request_id"], row["accepted"]) == ("release", "n-1", clock.now)
        assert noted(path) == ["n-1"]

    def test_a_release_ends_a_pending_one_and_keeps_its_request_id(self, changes, keep, path, clock):
        keep("a", pending=True)
        clock.now += 5
        assert changes(("Release", "a", "n-1")) == [("a", "pending", "released")]
        row = journal_rows(path)["a"]
        assert (row["request_id"], row["asked"]) == ("key-release-a-None-main", clock.now - 5)
        assert row["accepted"] == clock.now

    @pytest.mark.parametrize(("pending", "before"), [(False, "dispatched"), (True, "pending")])
    def test_a_release_ends_a_dispatch(self, changes, keep, path, pending, before):
        keep("a", action="dispatch", pending=pending)
        assert changes(("Release", "a", "n-1")) == [("a", before, "released")]
        row = journal_rows(path)["a"]
        assert (row["action"], row["request_id"]) == ("release", "n-1")

    def test_an_assignment_ends_proof(self, changes, keep, path):
        keep("a", "b")
        assert changes(("AssignToAgent", "a", "n-1")) == [("a", "released", "not known")]
        assert list(journal_rows(path)) == ["b"]

    @pytest.mark.parametrize(
        ("action", "pending", "state"),
        [("release", True, "pending"), ("dispatch", True, "pending"), ("dispatch", False, "dispatched")],
    )
    def test_an_assignment_leaves_all_else_alone(self, changes, keep, path, clock, action, pending, state):
        keep("a", action=action, pending=pending)
        before = journal_rows(path)
        clock.now += 5
        assert changes(("AssignToAgent", "a", "n-1")) == [("a", state, state)]
        after = journal_rows(path)
        assert (after["a"].pop("id") != before["a"].pop("id")) == (action == "release")
        assert after == before
        assert noted(path) == ["n-1"]

    def test_an_assignment_ends_the_proof_that_a_claim_was_made_over(self, note, keep, path, clock):
        """VCC refuses what one process asks for anew, after an agent has got it: that brings back no proof."""
        keep("a")
        journal = Journal(str(path), API, "main", None, 0, force=True, clock=clock)
        with contextlib.closing(journal):
            journal.add_all([Entry("a", "a", None)])
            claimed = journal.claim(0)
            note(("AssignToAgent", "a", "n-1"))
            journal.release_claim(claimed)
        row = journal_rows(path)["a"]
        assert (row["request_id"], row["accepted"]) == (claimed[0].request_id, None)

    def test_an_assignment_of_the_unknown_is_noted(self, changes, path):
        assert changes(("AssignToAgent", "a", "n-1")) == [("a", "not known", "not known")]
        assert journal_rows(path) == {}
        assert noted(path) == ["n-1"]

    def test_none_is_none(self, changes, keep):
        keep("a")
        assert changes() == []

    def test_one_counts_once_however_often_it_comes(self, changes, keep, path):
        once = ("Release", "a", "n-1")
        assert changes(once, once, ("AssignToAgent", "a", "n-2"), once) == [
            ("a", "not known", "released"),
            ("a", "released", "not known"),
        ]
        keep("a", action="dispatch")
        before = journal_rows(path)
        assert changes(once, ("AssignToAgent", "a", "n-2")) == []
        assert journal_rows(path) == before

    @pytest.mark.parametrize(
        ("kinds", "states", "left"),
        [
            ("RA", ["not known", "released", "not known"], None),
            ("AR", ["not known", "not known", "released"], "n-1"),
            ("RAR", ["not known", "released", "not known", "released"], "n-2"),
            ("RR", ["not known", "released", "released"], "n-0"),
        ],
    )
    def test_the_order_of_a_list_counts(self, changes, path, kinds, states, left):
        given = [({"R": "Release", "A": "AssignToAgent"}[kind], "a", f"n-{n}") for n, kind in enumerate(kinds)]
        assert changes(*given) == [("a", *pair) for pair in zip(states, states[1:])]
        assert journal_rows(path).get("a", {}).get("request_id") == left

    def test_interactions_of_a_list_are_apart(self, changes, keep, path):
        keep("b")
        given = [("Release", "a", "n-1"), ("AssignToAgent", "b", "n-2"), ("Release", "c", "n-3")]
        assert [one[0] for one in changes(*given)] == ["a", "b", "c"]
        assert list(journal_rows(path)) == ["a", "c"]

    @pytest.mark.parametrize(
        "other", [{"provider": "tickets"}, {"account": "second"}, {"api_url": "https://other.example"}], ids=str
    )
    def test_other_scopes_are_apart(self, changes, keep, path, other):
        keep("a")
        before = journal_rows(path)
        assert changes(("AssignToAgent", "a", "n-1"), **other) == [("a", "not known", "not known")]
        assert journal_rows(path) == before
        assert changes(("AssignToAgent", "a", "n-2")) == [("a", "released", "not known")]

    def test_a_notification_of_one_provider_does_not_count_for_another(self, note):
        note(("Release", "a", "n-1"), provider="wrong")
        assert note(("Release", "a", "n-1"), provider="tickets") == [("a", "not known", "released")]

    def test_check_mode_makes_no_journal(self, note, tmp_path):
        assert note(("Release", "a", "n-1"), dry_run=True) == [("a", "not known", "released")]
        assert list(tmp_path.iterdir()) == []

    def test_all_of_a_list_or_nothing(self, note, path, keep):
        keep("a")
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TRIGGER full BEFORE INSERT ON interaction BEGIN SELECT RAISE(ABORT, 'no room'); END")
            db.commit()
        before = journal_rows(path)
        with pytest.raises(JournalError, match="no room"):
            note(("AssignToAgent", "a", "n-1"), ("Release", "b", "n-2"))
        assert journal_rows(path) == before
        assert noted(path) == []


class TestWithTheEngine:
    """What VCC has notified of decides on what the next task sends."""

    @pytest.fixture
    def tell(self, sim, path):
        def do(kind, external_id, number, provider=None):
            with contextlib.closing(NotificationLog(str(path), sim.url, CLIENT_ID, provider)) as notes:
                return notes.note([Notification(kind, external_id, f"n-{number}")], False)

        return do

    def test_a_release_leaves_nothing_to_release(self, sim, task, tell):
        tell("Release", "a", 1, provider="tickets")
        result = task(external_id="a", provider="tickets")
        assert summary(result) == {"requested": 1, "unchanged": 1}
        assert result["interactions"][0]["evidence"] == "journal"
        assert sim.calls == []

    def test_it_is_no_proof_for_another_provider(self, sim, task, tell):
        tell("Release", "a", 1, provider="tickets")
        assert task(external_id="a")["changed"]

    def test_an_assignment_has_it_released_again(self, sim, task, tell):
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

    def test_an_assignment_lends_a_pending_release_no_new_request_id(self, sim, task, tell):
        sim.dispatch("a")
        sim.fault("cut", when="after")
        first = task(external_id="a")
        tell("AssignToAgent", "a", 1)
        second = task(external_id="a")
        assert second["interactions"][0]["request_id"] == first["interactions"][0]["request_id"]

    def test_a_dispatch_stays_confirmed_when_an_agent_has_it(self, sim, task, tell):
        given = {"state": "dispatched", "route": "sales", "external_id": "a"}
        task(**given)
        tell("AssignToAgent", "a", 1)
        assert not task(**given)["changed"]
        tell("Release", "a", 2)
        assert not task(external_id="a")["changed"]
        assert task(**given)["changed"]
