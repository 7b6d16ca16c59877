# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: what it remembers, for how long, with whom at the same time, and what it does not survive."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import Notification, NotificationLog
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import ClaimIds
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    PATIENCE,
    at_once,
    journal_rows,
    mode,
    python,
    snapshot,
)

TTL = 86400
YEAR = 365 * TTL


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a" / "b" / "journal.db"


@pytest.fixture
def open_journal(path, clock):
    """Opens the journal, of one scope unless the test says otherwise, and closes it at the end if need be."""
    with contextlib.ExitStack() as stack:

        def make(path=path, api_url="https://api.example", account="main", provider=None, ttl=TTL, **others):
            journal = Journal(str(path), api_url, account, provider, ttl, clock=clock, **others)
            stack.callback(journal.close)
            return journal

        yield make


def wish(*external_ids):
    """Entries of these ids; a pair brings its own request id."""
    pairs = [one if isinstance(one, tuple) else (one, None) for one in external_ids]
    return [Entry(f"entry {number}", *pair) for number, pair in enumerate(pairs, 1)]


@pytest.fixture
def ask(open_journal):
    """What the journal says of some ids, in a task that then does nothing."""

    def say(*external_ids, **others):
        journal = open_journal(**others)
        journal.add_all(wish(*external_ids))
        found = journal.plan(0)
        journal.close()
        return found

    return say


@pytest.fixture
def claim(open_journal):
    """What a task claims that dies before it knows VCC's answer."""

    def begin(*external_ids, **others):
        journal = open_journal(**others)
        journal.add_all(wish(*external_ids))
        claimed = journal.claim(0)
        journal.close()
        return claimed

    return begin


@pytest.fixture
def release(open_journal):
    """What a task claims that goes well."""

    def complete(*external_ids, **others):
        journal = open_journal(**others)
        journal.add_all(wish(*external_ids))
        claimed = journal.claim(0)
        journal.accept([one for one in claimed if not one.confirmed])
        journal.close()
        return claimed

    return complete


def refusal(act, *arguments, kind=JournalError, **others):
    with pytest.raises(kind) as caught:
        act(*arguments, **others)
    return str(caught.value)


class TestFile:
    def test_no_one_else_can_read_it(self, open_journal, path, open_umask):
        journal = open_journal()
        journal.add_all(wish("a"))
        journal.claim(0)
        modes = {each.name: oct(mode(each)) for each in path.parent.iterdir()}
        assert modes == dict.fromkeys(["journal.db", "journal.db-shm", "journal.db-wal"], "0o600")
        assert (oct(mode(path.parent)), oct(mode(path.parent.parent))) == ("0o700", "0o700")

    def test_a_folder_that_is_there_is_left_as_it_is(self, claim, path):
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o750)
        claim("a")
        assert oct(mode(path.parent)) == "0o750"

    def test_its_schema_has_a_version(self, release, path):
        release("a")
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA application_id").fetchone() == (0x56434331,)
            assert db.execute("PRAGMA user_version").fetchone() == (3,)
            tables = db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            ).fetchall()
            assert tables == [("interaction",), ("notification",), ("own_request",), ("registration",), ("scope",)]

    def test_readers_and_a_writer_get_along(self, release, path):
        release("a")
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_what_is_committed_outlives_the_machine(self, open_journal):
        """In WAL mode SQLite syncs at each commit only if it is told to."""
        assert open_journal()._store._db.execute("PRAGMA synchronous").fetchone() == (2,)

    def test_an_empty_file_becomes_one(self, release, ask, path):
        path.parent.mkdir(parents=True)
        path.touch()
        release("a")
        assert ask("a")[0].confirmed

    def test_a_path_may_be_relative(self, release, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        release("a", path="journal.db")
        assert list(journal_rows(tmp_path / "journal.db")) == ["a"]

    def test_a_name_may_hold_what_a_url_may_not(self, release, ask, tmp_path):
        path = tmp_path / "50% of ?mode=x #1 ä.db"
        release("a", path=path)
        assert ask("a", path=path, dry_run=True)[0].confirmed
        assert [each.name for each in tmp_path.iterdir()] == [path.name]

    def test_none_wanted_leaves_none(self, open_journal, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("TMPDIR", "SQLITE_TMPDIR"):
            monkeypatch.setenv(name, str(tmp_path))
        journal = open_journal(path="")
        assert journal.add_all(wish("a", "b", "a")) == 2
        claimed = journal.claim(0)
        journal.accept(claimed)
        assert [one.confirmed for one in journal.plan(0)] == [True, True]
        journal.close()
        assert list(tmp_path.rglob("*")) == []


class TestMemory:
    def test_what_is_new_is_pending_before_it_is_sent(self, open_journal, path):
        journal = open_journal()
        journal.add_all(wish("a", "b"))
        one, two = journal.claim(0)
        rows = journal_rows(path)
        assert {name: row["request_id"] for name, row in rows.items()} == {"a": one.request_id, "b": two.request_id}
        assert [row["accepted"] for row in rows.values()] == [None, None]
        assert [row["action"] for row in rows.values()] == ["release", "release"]

    def test_each_has_a_random_id_of_its_own(self, claim):
        ids = [one.request_id for one in claim(*map(str, range(500)))]
        assert len(set(ids)) == 500
        assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)

    def test_the_same_external_id_gets_another_one_in_another_journal(self, claim, tmp_path):
        assert claim("a", path=tmp_path / "1.db")[0].request_id != claim("a", path=tmp_path / "2.db")[0].request_id

    def test_what_was_accepted_is_confirmed(self, release, ask):
        (released,) = release("a")
        (known, new) = ask("a", "b")
        assert (known.confirmed, known.pending, known.request_id) == (True, False, released.request_id)
        assert (new.confirmed, new.pending, new.request_id) == (False, False, None)

    def test_what_was_confirmed_is_not_claimed_again(self, release, claim, path):
        release("a")
        before = journal_rows(path)
        assert claim("a")[0].confirmed
        assert journal_rows(path) == before

    def test_what_was_interrupted_is_repeated_with_the_same_id(self, claim, ask):
        (first,) = claim("a")
        (found,) = ask("a")
        assert (found.confirmed, found.pending, found.request_id) == (False, True, first.request_id)
        (second,) = claim("a")
        assert (second.pending, second.request_id) == (True, first.request_id)

    def test_repeating_does_not_make_it_younger(self, claim, clock):
        (first,) = claim("a")
        clock.now += TTL - 1
        assert claim("a")[0].request_id == first.request_id
        clock.now += 1
        assert claim("a")[0].request_id != first.request_id

    def test_what_vcc_refused_is_forgotten(self, open_journal, ask):
        journal = open_journal()
        journal.add_all(wish("a", "b"))
        one, dummy = journal.claim(0)
        journal.release_claim([one])
        forgotten, kept = ask("a", "b")
        assert forgotten.request_id is None
        assert kept.pending

    def test_a_refusal_leaves_what_another_has_claimed_or_confirmed_since(self, open_journal, release, claim, ask):
        late = open_journal()
        late.add_all(wish("a", "b"))
        one, two = late.claim(0)
        release("a", force=True)
        claim("b", force=True)
        late.release_claim([one, two])
        found = ask("a", "b")
        assert [each.confirmed for each in found] == [True, False]
        assert [each.pending for each in found] == [False, True]

    @pytest.mark.parametrize("former", [None, "dispatch"])
    def test_what_another_has_taken_up_cannot_be_withdrawn(self, open_journal, release, ask, former):
        if former:
            release("a", action=former)
        early, late = open_journal(), open_journal()
        for journal in (early, late):
            journal.add_all(wish("a"))
        (one,), (taken_up,) = early.claim(0), late.claim(0)
        early.release_claim([one])
        assert (ask("a")[0].pending, ask("a")[0].request_id) == (True, one.request_id)
        late.accept([taken_up])
        assert ask("a")[0].confirmed

    def test_what_another_has_withdrawn_can_be_accepted_all_the_same(self, open_journal, ask):
        early, late = open_journal(), open_journal()
        for journal in (early, late):
            journal.add_all(wish("a"))
        (one,), (taken_up,) = early.claim(0), late.claim(0)
        late.release_claim([taken_up])
        early.accept([one])
        assert ask("a")[0].confirmed

    @pytest.mark.parametrize(
        "former", [{"action": "dispatch"}, {"clock_back": TTL}, {}], ids=["dispatch", "old", "force"]
    )
    def test_after_a_refusal_it_says_what_it_said_before(self, release, open_journal, path, clock, former):
        action = former.get("action", "release")
        release("a", action=action)
        clock.now += former.get("clock_back", 0)
        before = journal_rows(path)
        journal = open_journal(force=not former)
        journal.add_all(wish("a"))
        claimed = journal.claim(0)
        assert journal_rows(path) != before
        journal.release_claim(claimed)
        assert journal_rows(path) == before

    def test_what_another_has_withdrawn_can_be_upheld(self, open_journal, ask):
        early, late = open_journal(), open_journal()
        for journal in (early, late):
            journal.add_all(wish("a"))
        (one,), (taken_up,) = early.claim(0), late.claim(0)
        late.release_claim([taken_up])
        early.keep_pending([one])
        assert (ask("a")[0].pending, ask("a")[0].request_id) == (True, one.request_id)

    def test_what_was_never_claimed_is_not_upheld(self, open_journal, ask):
        """It had no request id to ask with; the claim that it was found with is another's."""
        early, late = open_journal(), open_journal(force=True)
        for journal in (early, late):
            journal.add_all(wish("a"))
        claimed, found = early.claim(0), late.plan(0)
        early.release_claim(claimed)
        assert (found[0].pending, found[0].request_id) == (True, None)
        late.keep_pending(found)
        assert ask("a")[0].request_id is None

    @pytest.mark.parametrize("accepted_first", [True, False])
    def test_what_may_have_been_done_behind_another_action_leaves_that_unconfirmed(
        self, open_journal, ask, accepted_first
    ):
        release, dispatch = open_journal(), open_journal(action="dispatch")
        for journal in (release, dispatch):
            journal.add_all(wish("a"))
        unknown, accepted = release.claim(0), dispatch.claim(0)
        if accepted_first:
            dispatch.accept(accepted)
        release.keep_pending(unknown)
        if not accepted_first:
            dispatch.accept(accepted)
        assert not ask("a", action="dispatch")[0].confirmed

    @pytest.mark.parametrize("ending", ["accept", "keep_pending"])
    def test_what_another_answer_has_ended_comes_not_back(self, open_journal, ask, release, ending):
        """Of three processes, the first one's answer comes when the third has asked anew, and that is refused."""
        early = open_journal()
        early.add_all(wish("a"))
        claimed = early.claim(0)
        release("a", action="dispatch")
        late = open_journal()
        late.add_all(wish("a"))
        refused = late.claim(0)
        getattr(early, ending)(claimed)
        late.release_claim(refused)
        assert not ask("a", action="dispatch")[0].confirmed

    @pytest.mark.parametrize("ending", ["accept", "keep_pending"])
    def test_a_dispatch_that_a_release_has_not_found_is_not_confirmed(self, open_journal, ask, ending):
        """Another release may have found it before; of that, nothing is left in the row."""
        dispatch, release, late = open_journal(action="dispatch"), open_journal(), open_journal(force=True)
        for journal in (dispatch, release, late):
            journal.add_all(wish("a"))
        dispatched = dispatch.claim(0)
        release.accept(release.claim(0))
        late.release_claim([one._replace(previous=None) for one in late.claim(0)])
        getattr(dispatch, ending)(dispatched)
        (found,) = ask("a", action="dispatch")
        assert (found.confirmed, found.request_id) == (False, None)

    @pytest.mark.parametrize("accepted_first", ["release", "dispatch"])
    def test_of_two_actions_at_once_neither_is_confirmed(self, open_journal, ask, accepted_first):
        journals = {action: open_journal(action=action) for action in ("release", "dispatch")}
        claimed = {}
        for action, journal in journals.items():
            journal.add_all(wish("a"))
            claimed[action] = journal.claim(0)
        last = {"release": "dispatch", "dispatch": "release"}[accepted_first]
        for action in (accepted_first, last):
            journals[action].accept(claimed[action])
        for action in journals:
            assert not ask("a", action=action)[0].confirmed

    def test_looking_changes_nothing(self, claim, ask, path):
        claim("a")
        before = journal_rows(path)
        ask("a", "b")
        assert journal_rows(path) == before


class TestTime:
    def test_proof_ends_with_the_time_limit(self, release, ask, claim, clock):
        (first,) = release("a")
        clock.now += TTL - 0.5
        assert ask("a")[0].confirmed
        clock.now += 0.5
        assert not ask("a")[0].confirmed
        assert not ask("a")[0].pending
        assert claim("a")[0].request_id != first.request_id

    def test_a_claim_ends_with_the_time_limit(self, claim, ask, clock):
        (first,) = claim("a")
        clock.now += TTL - 0.5
        assert ask("a")[0].request_id == first.request_id
        clock.now += 0.5
        assert ask("a")[0].request_id is None
        assert claim("a")[0].request_id != first.request_id

    def test_the_limit_counts_from_the_answer(self, open_journal, ask, clock):
        journal = open_journal()
        journal.add_all(wish("a"))
        claimed = journal.claim(0)
        clock.now += 1000
        journal.accept(claimed)
        clock.now += TTL - 500
        assert ask("a")[0].confirmed

    def test_the_limit_is_that_of_the_task_that_asks(self, release, ask, clock):
        release("a", ttl=10)
        clock.now += 100
        assert ask("a", ttl=101)[0].confirmed
        assert not ask("a", ttl=100)[0].confirmed

    def test_a_limit_of_0_is_none(self, release, claim, ask, clock):
        release("a")
        claim("b")
        clock.now += 50 * YEAR
        done, left = ask("a", "b", ttl=0)
        assert done.confirmed
        assert left.pending

    def test_a_clock_that_was_set_back_a_little_changes_nothing(self, release, ask, clock):
        release("a")
        clock.now -= 3600
        assert ask("a")[0].confirmed

    def test_a_clock_that_was_far_ahead_proves_nothing(self, release, claim, ask, clock):
        """Else a row that a wrong clock wrote would be proof for years."""
        clock.now += 10 * YEAR
        release("a")
        claim("b")
        clock.now -= 10 * YEAR
        assert [(one.confirmed, one.pending) for one in ask("a", "b")] == [(False, False), (False, False)]


class TestForce:
    def test_what_is_confirmed_is_asked_again_with_a_new_id(self, release, path):
        (first,) = release("a")
        (second,) = release("a", force=True)
        assert not second.confirmed
        assert second.request_id != first.request_id
        assert journal_rows(path)["a"]["request_id"] == second.request_id

    def test_what_is_pending_too(self, claim):
        (first,) = claim("a")
        (second,) = claim("a", force=True)
        assert second.request_id != first.request_id

    def test_what_it_began_can_be_repeated(self, release, claim):
        release("a")
        (forced,) = claim("a", force=True)
        (after,) = claim("a")
        assert (after.confirmed, after.pending, after.request_id) == (False, True, forced.request_id)


class TestWorklist:
    def test_duplicates_count_once_at_their_first_place(self, open_journal):
        journal = open_journal()
        assert journal.add_all(wish("b", "a", "b", "a", "c")) == 3
        assert [(one.seq, one.external_id) for one in journal.plan(0)] == [(2, "a"), (1, "b"), (3, "c")]

    def test_ids_are_compared_byte_by_byte(self, open_journal):
        different = ["a", "A", "a ", " a", "é", "e\u0301", "ß", "ss"]
        assert open_journal().add_all(wish(*different)) == len(different)

    def test_it_may_be_empty(self, open_journal):
        journal = open_journal()
        assert journal.add_all([]) == 0
        assert journal.plan(0) == journal.claim(0) == []

    @pytest.mark.parametrize(("action", "order"), [("dispatch", list), ("release", sorted)])
    def test_it_is_worked_off_in_chunks(self, open_journal, path, action, order):
        journal = open_journal(action=action)
        ids = [str(number * 7 % 2500) for number in range(2500)]
        assert journal.add_all(wish(*ids)) == 2500
        seen, after = [], 0
        while True:
            chunk = journal.claim(after)
            if not chunk:
                break
            assert len(chunk) <= 1000
            seen += chunk
            after = chunk[-1].seq
            assert len(journal_rows(path)) == len(seen)
        assert [one.external_id for one in seen] == order(ids)

    def test_an_error_in_it_is_handed_on(self, open_journal):
        def broken():
            yield from wish("a")
            raise InputError("line 2 is empty")

        assert refusal(open_journal().add_all, broken(), kind=InputError) == "line 2 is empty"


class TestOwnRequestIds:
    def test_they_are_used(self, claim, path):
        assert claim(("a", "mine"))[0].request_id == "mine"
        assert journal_rows(path)["a"]["request_id"] == "mine"

    def test_they_may_be_mixed_with_others_and_repeated(self, claim):
        found = claim(("a", "1"), "b", ("a", "1"), "a", "c", ("c", "3"))
        assert [(one.external_id, one.request_id) for one in found if one.external_id != "b"] == [
            ("a", "1"),
            ("c", "3"),
        ]

    def test_two_of_one_interaction_are_refused_by_place(self, open_journal):
        said = refusal(open_journal().add_all, wish(("a", "1"), "b", ("a", "2")), kind=InputError)
        assert said == "entry 3 asks for 'a' a second time with another request_id: leave one of them."

    @pytest.mark.parametrize("ids", [[("a", "1"), ("b", "1")], [("a", "1"), "b", ("b", "1")]], ids=["new", "known"])
    def test_one_of_two_interactions_is_refused_by_place(self, open_journal, ids):
        said = refusal(open_journal().add_all, wish(*ids), kind=InputError)
        assert said.startswith(f"entry {len(ids)} has the request_id '1' of another interaction")

    @pytest.mark.parametrize("before", ["claim", "release"])
    def test_one_that_another_interaction_has_had_is_refused(self, request, open_journal, before):
        request.getfixturevalue(before)(("a", "1"))
        said = refusal(open_journal().add_all, wish(("b", "1")), kind=InputError)
        assert said.startswith("The request_id '1' of 'b' has been used for 'a' before")

    def test_so_it_is_if_only_the_provider_differs(self, release, open_journal):
        release(("a", "1"))
        refusal(open_journal(provider="tickets").add_all, wish(("a", "1")), kind=InputError)

    @pytest.mark.parametrize(
        "other", [{"account": "second"}, {"api_url": "https://other.example"}], ids=["account", "api_url"]
    )
    def test_another_account_may_have_had_it(self, release, claim, other):
        release(("a", "1"))
        assert claim(("b", "1"), **other)[0].request_id == "1"

    def test_the_same_interaction_may_have_had_it(self, claim, release, ask):
        claim(("a", "1"))
        assert claim(("a", "1"))[0].pending
        release(("a", "1"))
        assert ask(("a", "1"))[0].confirmed

    def test_that_of_an_interrupted_run_goes_before_it(self, claim):
        (first,) = claim("a")
        (second,) = claim(("a", "mine"))
        assert (second.pending, second.request_id) == (True, first.request_id)

    def test_it_is_used_with_force_too(self, release):
        release("a")
        assert release(("a", "mine"), force=True)[0].request_id == "mine"

    @pytest.mark.parametrize("how", ["force", "another action since", "old", "another id since"])
    def test_one_that_vcc_has_processed_is_refused(self, release, open_journal, clock, how):
        release(("a", "mine"))
        if how == "another action since":
            release("a", action="dispatch")
        elif how == "another id since":
            release("a", force=True)
            clock.now += TTL
        elif how == "old":
            clock.now += TTL
        said = refusal(open_journal(force=how == "force").add_all, wish(("a", "mine")), kind=InputError)
        assert (
            said
            == "The request_id 'mine' of 'a' has been used to release it before, and VCC would ignore it: give each its own."
        )

    def test_one_that_vcc_has_processed_for_a_dispatch_without_a_name_is_refused(self, release, open_journal):
        release((None, "mine"), action="dispatch")
        said = refusal(open_journal(action="dispatch").add_all, wish((None, "mine")), kind=InputError)
        assert said.startswith(
            "The request_id 'mine' of an interaction without an external id has been used to dispatch it before"
        )

    @pytest.mark.parametrize("how", ["force", "another action since", "old"])
    def test_one_that_vcc_may_have_processed_is_refused_too(self, claim, release, open_journal, clock, how):
        claim(("a", "mine"))
        if how == "another action since":
            release("a", action="dispatch")
        elif how == "old":
            clock.now += TTL
        for external_id in ("a", "b"):
            journal = open_journal(force=how == "force")
            said = refusal(journal.add_all, wish((external_id, "mine")), kind=InputError)
            assert said.startswith(f"The request_id 'mine' of '{external_id}' has been used ")

    @pytest.mark.parametrize("how", ["claimed", "taken up", "unknown again", "dispatched"])
    def test_one_that_the_module_has_made_is_refused(self, claim, release, open_journal, how):
        """Reports and results show them. A row has them from the id of its first claim, and keeps them under another one."""
        (first,) = claim("a", action="dispatch" if how == "dispatched" else "release")
        if how == "taken up":
            claim("a")
        elif how == "unknown again":
            early = open_journal()
            early.add_all(wish("a"))
            taken_up = early.claim(0)
            (first,) = claim("a", force=True)
            early.keep_pending(taken_up)
        said = refusal(open_journal(provider="tickets").add_all, wish(("b", first.request_id)), kind=InputError)
        assert said.startswith(f"The request_id '{first.request_id}' of 'b' has been used for 'a' before")

    def test_the_id_of_a_notification_is_refused(self, open_journal, path, clock):
        with contextlib.closing(
            NotificationLog(str(path), "https://api.example", "main", None, clock=clock)
        ) as notifications:
            notifications.note([Notification("Release", "a", "n-1")], False)
        said = refusal(open_journal().add_all, wish(("b", "n-1")), kind=InputError)
        assert said.startswith("The request_id 'n-1' of 'b' has been used for 'a' before")

    @pytest.mark.parametrize("odd", ["f" * 32, "7" + "f" * 31, "0" * 32, "G" * 32, "a" * 31])
    def test_one_that_looks_as_if_the_module_had_made_it_is_taken(self, claim, odd):
        assert claim(("a", odd))[0].request_id == odd

    def test_one_that_another_process_takes_first_is_refused_at_the_claim(self, open_journal, path):
        first, second = open_journal(), open_journal()
        first.add_all(wish(("a", "mine")))
        second.add_all(wish(("b", "mine")))
        first.claim(0)
        assert refusal(second.claim, 0, kind=InputError).startswith(
            "The request_id 'mine' of 'b' has been used for 'a'"
        )
        assert list(journal_rows(path)) == ["a"]

    def test_one_that_is_too_old_by_the_time_of_its_claim_is_refused(self, release, open_journal, clock):
        release(("a", "mine"))
        journal = open_journal()
        clock.now += TTL - 1
        journal.add_all(wish(("a", "mine")))
        clock.now += 1
        assert refusal(journal.claim, 0, kind=InputError).startswith("The request_id 'mine' of 'a' has been used")

    def test_many_of_ones_own_with_force(self, open_journal):
        journal = open_journal(force=True)
        pairs = [(f"id-{number * 7 % 2500:04d}", f"key-{number}") for number in range(2500)]
        journal.add_all(wish(*pairs))
        claimed = journal.claim(0)
        claimed += journal.claim(claimed[-1].seq, claimed)
        assert [(one.external_id, one.request_id) for one in claimed] == sorted(pairs)[:2000]

    def test_one_that_vcc_has_refused_may_be_used_again(self, open_journal, claim):
        journal = open_journal()
        journal.add_all(wish(("a", "mine")))
        journal.release_claim(journal.claim(0))
        assert claim(("b", "mine"))[0].request_id == "mine"


def first(ids):
    ((claim, dummy),) = ids.take(1)
    return claim


class TestClaimIds:
    def test_two_runs_have_none_in_common(self):
        first, second = ([claim for claim, dummy in ids.take(3000)] for ids in (ClaimIds(0.0), ClaimIds(0.0)))
        assert first == list(range(first[0], first[0] + 3000))
        assert not set(first) & set(second)

    @pytest.mark.parametrize("now", [-1e12, 0.0, 1_800_000_000.0, 2.0**31, 1e12])
    def test_sqlite_can_count_them(self, now):
        assert all(0 <= first(ClaimIds(now)) < 2**63 for dummy in range(100))

    def test_later_ones_are_higher(self):
        assert first(ClaimIds(1_800_000_000.0)) < first(ClaimIds(1_800_000_128.0))

    def test_those_of_another_run_are_avoided(self, open_journal, path, monkeypatch):
        one, two = open_journal(), open_journal()
        one.add_all(wish("a", "b"))
        two.add_all(wish("c"))
        claimed = one.claim(0)
        two._ids._next = claimed[1].claim
        (other,) = two.claim(0)
        assert other.claim not in [interaction.claim for interaction in claimed]
        assert sorted(journal_rows(path)) == ["a", "b", "c"]


class TestScope:
    @pytest.mark.parametrize(
        "other",
        [{"provider": "tickets"}, {"account": "second"}, {"api_url": "https://other.example"}],
        ids=["provider", "account", "api_url"],
    )
    def test_each_has_its_own_proof(self, release, ask, claim, other):
        (here,) = release("a")
        assert not ask("a", **other)[0].confirmed
        (there,) = claim("a", **other)
        assert there.request_id != here.request_id
        assert ask("a")[0].confirmed

    def test_an_empty_provider_is_none(self, release, ask):
        release("a", provider="")
        assert ask("a", provider=None)[0].confirmed

    def test_the_path_is_named_where_it_is(self, release, path):
        release("a", provider="tickets")
        row = journal_rows(path)["a"]
        assert (row["api_url"], row["account"], row["provider"]) == ("https://api.example", "main", "tickets")


class TestCheckMode:
    @pytest.fixture
    def folder(self, path):
        return path.parent.parent.parent

    def test_none_comes_into_being(self, ask, folder):
        before = snapshot(folder)
        (found,) = ask("a", dry_run=True)
        assert (found.confirmed, found.pending, found.request_id) == (False, False, None)
        assert snapshot(folder) == before

    def test_an_empty_file_stays_empty(self, ask, path, folder):
        path.parent.mkdir(parents=True)
        path.touch()
        before = snapshot(folder)
        assert not ask("a", dry_run=True)[0].confirmed
        assert snapshot(folder) == before

    def test_one_that_is_there_is_read_and_not_touched(self, release, claim, ask, folder):
        release("a")
        claim("b")
        before = snapshot(folder)
        done, left, new = ask("a", "b", "c", dry_run=True)
        assert (done.confirmed, left.pending, new.request_id) == (True, True, None)
        assert snapshot(folder) == before

    def test_another_scope_is_not_added_to_it(self, release, ask, folder):
        release("a")
        before = snapshot(folder)
        assert not ask("a", provider="tickets", dry_run=True)[0].confirmed
        assert snapshot(folder) == before

    def test_the_log_of_a_killed_run_is_read_and_not_touched(self, ask, path, folder):
        with python(HOLDING, path) as process:
            request_id = process.stdout.readline().strip()
            process.kill()
            process.wait(PATIENCE)
            assert Path(f"{path}-wal").stat().st_size > 0
        before = snapshot(folder)
        (found,) = ask("a", dry_run=True)
        assert (found.pending, found.request_id) == (True, request_id)
        after = snapshot(folder)
        for each in (before, after):
            each.pop("a/b/journal.db-shm")  # holds locks only
        assert after == before

    def test_a_run_that_goes_on_is_not_waited_for(self, ask, path):
        with python(HOLDING, path) as process:
            request_id = process.stdout.readline().strip()
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")
                assert ask("a", dry_run=True)[0].request_id == request_id
                db.execute("ROLLBACK")

    def test_used_request_ids_are_refused_as_in_the_real_run(self, release, open_journal):
        release(("a", "1"))
        said = refusal(open_journal(dry_run=True).add_all, wish(("b", "1")), kind=InputError)
        assert "has been used for 'a' before" in said


HOLDING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400, clock=lambda: 1_800_000_000)
journal.add_all([Entry("", "a")])
print(journal.claim(0)[0].request_id, flush=True)
input()
"""

CLAIMING = """
import json
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
together()
journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400)
journal.add_all([Entry("", str(number)) for number in range(1500)])
after, found = 0, {}
while True:
    chunk = journal.claim(after)
    if not chunk:
        break
    found.update((one.external_id, one.request_id) for one in chunk)
    after = chunk[-1].seq
print(json.dumps(found))
"""


class TestCompany:
    def test_eight_processes_at_once_make_one_journal_and_one_claim(self, path):
        claims = [json.loads(output) for output in at_once(8, CLAIMING, path)]
        assert len(claims[0]) == 1500
        assert all(claim == claims[0] for claim in claims)
        assert {name: row["request_id"] for name, row in journal_rows(path).items()} == claims[0]

    def test_the_second_finds_the_firsts_claim(self, open_journal):
        one, two = open_journal(), open_journal()
        for journal in (one, two):
            journal.add_all(wish("a", "b"))
        first = [each.request_id for each in one.claim(0)]
        assert [each.request_id for each in two.claim(0)] == first

    def test_the_second_finds_the_firsts_proof(self, open_journal):
        one, two = open_journal(), open_journal()
        for journal in (one, two):
            journal.add_all(wish("a"))
        assert not two.plan(0)[0].confirmed
        one.accept(one.claim(0))
        assert two.claim(0)[0].confirmed

    def test_a_writer_waits_for_another(self, claim, open_journal, path):
        claim("a")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with python(WAITING, path) as process:
                assert process.stdout.readline() == "\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    process.communicate(timeout=0.3)
                other.execute("ROLLBACK")
                assert process.communicate(timeout=PATIENCE)[0].strip() == "a"


WAITING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
print(flush=True)
journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400)
journal.add_all([Entry("", "a")])
print(journal.claim(0)[0].external_id)
"""


@pytest.mark.parametrize("predict", [False, True], ids=["run", "check"])
class TestDamage:
    """What cannot be a journal fails when it is opened, before any call, and is left as it is."""

    def check(self, open_journal, path, predict):
        before = path.read_bytes()
        said = refusal(open_journal, dry_run=predict)
        assert path.read_bytes() == before
        assert str(path) in said
        assert "another file" not in said
        return said

    @pytest.mark.parametrize(
        "content", [b"case-1\ncase-2\n", b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 8000, b"xy"]
    )
    def test_what_is_no_database(self, open_journal, path, predict, content):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        assert f"The journal {path} cannot be used (" in self.check(open_journal, path, predict)

    def test_one_that_is_cut_off(self, release, open_journal, path, predict):
        release("a")
        path.write_bytes(path.read_bytes()[:2000])
        self.check(open_journal, path, predict)

    def test_the_database_of_another_program(self, open_journal, path, predict):
        path.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.executescript("PRAGMA application_id = 17; CREATE TABLE interaction (name TEXT)")
        assert "is a database, but no journal of this collection" in self.check(open_journal, path, predict)

    @pytest.mark.parametrize("version", [2, 4])
    def test_one_of_another_version(self, release, open_journal, path, predict, version):
        release("a")
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA user_version = {version}")
        assert f"written by another version of this collection (schema {version}, this one knows 3)" in self.check(
            open_journal, path, predict
        )

    @pytest.mark.parametrize("dangling", [False, True])
    def test_a_symbolic_link(self, release, open_journal, path, tmp_path, predict, dangling):
        target = tmp_path / "target.db"
        if not dangling:
            release("a", path=target)
        path.parent.mkdir(parents=True)
        path.symlink_to(target)
        said = refusal(open_journal, dry_run=predict)
        assert said == f"The journal {path} is a symbolic link: set the option journal to the file itself."
        assert target.exists() is not dangling

    def test_a_folder(self, open_journal, path, predict):
        path.mkdir(parents=True)
        assert f"The journal {path} cannot be used (" in refusal(open_journal, dry_run=predict)

    def test_a_page_overwritten_in_the_middle_of_a_big_one(self, release, open_journal, path, predict):
        journal = open_journal()
        wanted = wish(*(f"case-{number:06d}" for number in range(5000)))
        journal.add_all(wanted)
        after = 0
        while True:
            chunk = journal.claim(after)
            if not chunk:
                break
            journal.accept(chunk)
            after = chunk[-1].seq
        journal.close()
        pages = path.stat().st_size // 4096
        assert pages > 50
        with open(path, "r+b") as file:
            file.seek(pages // 2 * 4096)
            file.write(b"\xff" * 4096)
        before = path.read_bytes()
        said = refusal(open_journal(dry_run=predict).add_all, wanted)
        assert f"The journal {path} cannot be used (" in said
        assert path.read_bytes() == before


class TestUnwritable:
    def test_a_folder_that_is_a_file(self, open_journal, tmp_path):
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "journal.db"
        said = refusal(open_journal, path=path)
        assert said == (
            f"The journal {path} cannot be used (Not a directory): check the path that the option journal names."
        )

    @pytest.mark.parametrize("predict", [False, True], ids=["run", "check"])
    @pytest.mark.parametrize("which", ["file", "folder"])
    def test_without_the_rights(self, release, predict, which):
        """As a user who is not root, whoever runs the tests."""
        user = os.geteuid() or 65534
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "journal.db")
            if which == "file":
                release("a", path=path)
                os.chown(path, user, -1)
                path.chmod(0o400)
            os.chown(folder, user, -1)
            os.chmod(folder, 0o700 if which == "file" else 0o500)
            with python(UNPRIVILEGED, path, user, predict) as process:
                said, error = process.communicate(timeout=PATIENCE)
            os.chmod(folder, 0o700)
        assert error == ""
        assert said.startswith(f"The journal {path} cannot be used (")


UNPRIVILEGED = """
import os
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
path, user, predict = sys.argv[1:]
if os.geteuid() == 0:
    os.setuid(int(user))
try:
    Journal(path, "https://api.example", "main", None, 86400, dry_run=predict == "True")
    print("opened")
except JournalError as exc:
    print(exc)
"""
