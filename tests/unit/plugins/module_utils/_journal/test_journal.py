# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: the row that a task records for an interaction, and the plan that a later task gets from it."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import journal_rows
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    TTL,
    as_entries,
    both_backends,
)


@both_backends
class TestRows:
    def test_new_interaction_is_pending_before_its_call(self, open_journal, journal):
        opened = open_journal()
        opened.add_all(as_entries("a", "b"))
        one, two = opened.claim(0)
        rows = journal_rows(journal)
        assert {name: row["request_id"] for name, row in rows.items()} == {"a": one.request_id, "b": two.request_id}
        assert [row["accepted"] for row in rows.values()] == [None, None]
        assert [row["action"] for row in rows.values()] == ["release", "release"]

    def test_each_interaction_gets_random_request_id(self, claim):
        ids = [one.request_id for one in claim(*map(str, range(500)))]
        assert len(set(ids)) == 500
        assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)

    def test_other_journal_gives_other_request_id(self, claim, tmp_path):
        assert claim("a", path=tmp_path / "1.db")[0].request_id != claim("a", path=tmp_path / "2.db")[0].request_id

    def test_accepted_interaction_is_confirmed(self, release, plan):
        (released,) = release("a")
        (known, new) = plan("a", "b")
        assert (known.confirmed, known.pending, known.request_id) == (True, False, released.request_id)
        assert (new.confirmed, new.pending, new.request_id) == (False, False, None)

    def test_confirmed_interaction_is_not_claimed(self, release, claim, journal):
        release("a")
        before = journal_rows(journal)
        assert claim("a")[0].confirmed
        assert journal_rows(journal) == before

    def test_pending_interaction_keeps_its_request_id(self, claim, plan):
        (first,) = claim("a")
        (found,) = plan("a")
        assert (found.confirmed, found.pending, found.request_id) == (False, True, first.request_id)
        (second,) = claim("a")
        assert (second.pending, second.request_id) == (True, first.request_id)

    def test_repeated_claim_keeps_its_age(self, claim, clock):
        (first,) = claim("a")
        clock.now += TTL - 1
        assert claim("a")[0].request_id == first.request_id
        clock.now += 1
        assert claim("a")[0].request_id != first.request_id

    def test_released_claim_is_forgotten(self, open_journal, plan):
        journal = open_journal()
        journal.add_all(as_entries("a", "b"))
        one, dummy = journal.claim(0)
        journal.release_claim([one])
        forgotten, kept = plan("a", "b")
        assert forgotten.request_id is None
        assert kept.pending

    def test_released_claim_leaves_later_row_of_another_process(self, open_journal, release, claim, plan):
        late = open_journal()
        late.add_all(as_entries("a", "b"))
        one, two = late.claim(0)
        release("a", force=True)
        claim("b", force=True)
        late.release_claim([one, two])
        found = plan("a", "b")
        assert [each.confirmed for each in found] == [True, False]
        assert [each.pending for each in found] == [False, True]

    @pytest.mark.parametrize("former", [None, "dispatch"])
    def test_claim_that_another_process_has_taken_over_is_not_released(self, open_journal, release, plan, former):
        if former:
            release("a", action=former)
        early, late = open_journal(), open_journal()
        for journal in (early, late):
            journal.add_all(as_entries("a"))
        (one,), (taken_up,) = early.claim(0), late.claim(0)
        early.release_claim([one])
        assert (plan("a")[0].pending, plan("a")[0].request_id) == (True, one.request_id)
        late.accept([taken_up])
        assert plan("a")[0].confirmed

    def test_claim_released_by_another_process_can_be_accepted(self, open_journal, plan):
        early, late = open_journal(), open_journal()
        for journal in (early, late):
            journal.add_all(as_entries("a"))
        (one,), (taken_up,) = early.claim(0), late.claim(0)
        late.release_claim([taken_up])
        early.accept([one])
        assert plan("a")[0].confirmed

    @pytest.mark.parametrize(
        "former", [{"action": "dispatch"}, {"clock_back": TTL}, {}], ids=["dispatch", "old", "force"]
    )
    def test_released_claim_restores_previous_row(self, release, open_journal, journal, clock, former):
        action = former.get("action", "release")
        release("a", action=action)
        clock.now += former.get("clock_back", 0)
        before = journal_rows(journal)
        opened = open_journal(force=not former)
        opened.add_all(as_entries("a"))
        claimed = opened.claim(0)
        assert journal_rows(journal) != before
        opened.release_claim(claimed)
        assert journal_rows(journal) == before

    def test_claim_released_by_another_process_can_be_kept_pending(self, open_journal, plan):
        early, late = open_journal(), open_journal()
        for journal in (early, late):
            journal.add_all(as_entries("a"))
        (one,), (taken_up,) = early.claim(0), late.claim(0)
        late.release_claim([taken_up])
        early.keep_pending([one])
        assert (plan("a")[0].pending, plan("a")[0].request_id) == (True, one.request_id)

    def test_interaction_without_a_claim_is_not_kept_pending(self, open_journal, plan):
        """The plan has no request id for the interaction, and the claim in the journal belongs to another process."""
        early, late = open_journal(), open_journal(force=True)
        for journal in (early, late):
            journal.add_all(as_entries("a"))
        claimed, found = early.claim(0), late.plan(0)
        early.release_claim(claimed)
        assert (found[0].pending, found[0].request_id) == (True, None)
        late.keep_pending(found)
        assert plan("a")[0].request_id is None

    @pytest.mark.parametrize("accepted_first", [True, False])
    def test_unknown_outcome_ends_the_confirmation_of_the_other_action(self, open_journal, plan, accepted_first):
        release, dispatch = open_journal(), open_journal(action="dispatch")
        for journal in (release, dispatch):
            journal.add_all(as_entries("a"))
        unknown, accepted = release.claim(0), dispatch.claim(0)
        if accepted_first:
            dispatch.accept(accepted)
        release.keep_pending(unknown)
        if not accepted_first:
            dispatch.accept(accepted)
        assert not plan("a", action="dispatch")[0].confirmed

    @pytest.mark.parametrize("ending", ["accept", "keep_pending"])
    def test_ended_confirmation_does_not_come_back(self, open_journal, plan, release, ending):
        """The answer to the first of three processes arrives after the claim of the third, whose call VCC then rejects."""
        early = open_journal()
        early.add_all(as_entries("a"))
        claimed = early.claim(0)
        release("a", action="dispatch")
        late = open_journal()
        late.add_all(as_entries("a"))
        refused = late.claim(0)
        getattr(early, ending)(claimed)
        late.release_claim(refused)
        assert not plan("a", action="dispatch")[0].confirmed

    @pytest.mark.parametrize("ending", ["accept", "keep_pending"])
    def test_dispatch_that_release_has_not_found_is_not_confirmed(self, open_journal, plan, ending):
        """Another release may have found the interaction before, but the row no longer shows this."""
        dispatch, release, late = open_journal(action="dispatch"), open_journal(), open_journal(force=True)
        for journal in (dispatch, release, late):
            journal.add_all(as_entries("a"))
        dispatched = dispatch.claim(0)
        release.accept(release.claim(0))
        late.release_claim([one._replace(previous=None) for one in late.claim(0)])
        getattr(dispatch, ending)(dispatched)
        (found,) = plan("a", action="dispatch")
        assert (found.confirmed, found.request_id) == (False, None)

    @pytest.mark.parametrize("ending", ["accept", "keep_pending"])
    def test_release_recorded_after_a_dispatch_without_a_row_is_not_confirmed(self, open_journal, plan, ending):
        """VCC may have processed the dispatch last. A second release, which found nothing, has deleted the row of the dispatch."""
        release, dispatch, second = open_journal(), open_journal(action="dispatch"), open_journal()
        for journal in (release, dispatch, second):
            journal.add_all(as_entries("a"))
        released, dispatched = release.claim(0), dispatch.claim(0)
        second.release_claim([each._replace(previous=None) for each in second.claim(0)])
        getattr(dispatch, ending)(dispatched)
        release.accept(released)
        assert not plan("a")[0].confirmed

    @pytest.mark.parametrize("accepted_first", ["release", "dispatch"])
    def test_two_actions_at_once_confirm_neither(self, open_journal, plan, accepted_first):
        journals = {action: open_journal(action=action) for action in ("release", "dispatch")}
        claimed = {}
        for action, journal in journals.items():
            journal.add_all(as_entries("a"))
            claimed[action] = journal.claim(0)
        last = {"release": "dispatch", "dispatch": "release"}[accepted_first]
        for action in (accepted_first, last):
            journals[action].accept(claimed[action])
        for action in journals:
            assert not plan("a", action=action)[0].confirmed

    def test_plan_changes_nothing(self, claim, plan, journal):
        claim("a")
        before = journal_rows(journal)
        plan("a", "b")
        assert journal_rows(journal) == before


@both_backends
class TestScope:
    @pytest.mark.parametrize(
        "other",
        [{"provider": "tickets"}, {"account": "second"}, {"api_url": "https://other.example"}],
        ids=["provider", "account", "api_url"],
    )
    def test_each_scope_has_its_own_confirmations(self, release, plan, claim, other):
        (here,) = release("a")
        assert not plan("a", **other)[0].confirmed
        (there,) = claim("a", **other)
        assert there.request_id != here.request_id
        assert plan("a")[0].confirmed

    def test_empty_provider_equals_no_provider(self, release, plan):
        release("a", provider="")
        assert plan("a", provider=None)[0].confirmed

    def test_row_names_its_scope(self, release, journal):
        release("a", provider="tickets")
        row = journal_rows(journal)["a"]
        assert (row["api_url"], row["account"], row["provider"]) == ("https://api.example", "main", "tickets")
