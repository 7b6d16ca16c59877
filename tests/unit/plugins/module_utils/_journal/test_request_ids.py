# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request ids: those that users choose, and those that a run makes."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.claim_ids import ClaimIds
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import Notification, NotificationLog
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import journal_rows
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    TTL,
    as_entries,
    both_backends,
    refusal,
)


@both_backends
class TestCustomRequestIds:
    def test_custom_request_id_is_used(self, claim, journal):
        assert claim(("a", "mine"))[0].request_id == "mine"
        assert journal_rows(journal)["a"]["request_id"] == "mine"

    def test_entries_with_and_without_request_ids_may_be_repeated(self, claim):
        found = claim(("a", "1"), "b", ("a", "1"), "a", "c", ("c", "3"))
        assert [(one.external_id, one.request_id) for one in found if one.external_id != "b"] == [
            ("a", "1"),
            ("c", "3"),
        ]

    def test_two_request_ids_of_one_interaction_are_refused_by_position(self, open_journal):
        said = refusal(open_journal().add_all, as_entries(("a", "1"), "b", ("a", "2")), kind=InputError)
        assert said == "entry 3 asks for 'a' a second time with another request_id: remove one of the two entries."

    @pytest.mark.parametrize("ids", [[("a", "1"), ("b", "1")], [("a", "1"), "b", ("b", "1")]], ids=["new", "known"])
    def test_request_id_of_two_interactions_is_refused_by_position(self, open_journal, ids):
        said = refusal(open_journal().add_all, as_entries(*ids), kind=InputError)
        assert said.startswith(f"entry {len(ids)} has the request_id '1' of another interaction")

    @pytest.mark.parametrize("before", ["claim", "release"])
    def test_request_id_used_for_another_interaction_is_refused(self, request, open_journal, before):
        request.getfixturevalue(before)(("a", "1"))
        said = refusal(open_journal().add_all, as_entries(("b", "1")), kind=InputError)
        assert said.startswith("The request_id '1' of 'b' has been used for 'a' before")

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_request_id_used_with_another_provider_is_refused(self, release, open_journal, dry_run):
        release(("a", "1"))
        refusal(open_journal(provider="tickets", dry_run=dry_run).add_all, as_entries(("a", "1")), kind=InputError)

    @pytest.mark.parametrize(
        "other", [{"account": "second"}, {"api_url": "https://other.example"}], ids=["account", "api_url"]
    )
    def test_request_id_used_for_another_account_is_accepted(self, release, claim, other):
        release(("a", "1"))
        assert claim(("b", "1"), **other)[0].request_id == "1"

    def test_request_id_may_be_repeated_for_same_interaction(self, claim, release, plan):
        claim(("a", "1"))
        assert claim(("a", "1"))[0].pending
        release(("a", "1"))
        assert plan(("a", "1"))[0].confirmed

    def test_pending_request_id_goes_before_a_custom_one(self, claim):
        (first,) = claim("a")
        (second,) = claim(("a", "mine"))
        assert (second.pending, second.request_id) == (True, first.request_id)

    def test_custom_request_id_is_used_with_force(self, release):
        release("a")
        assert release(("a", "mine"), force=True)[0].request_id == "mine"

    @pytest.mark.parametrize("how", ["force", "another action since", "old", "another id since"])
    def test_processed_request_id_is_refused(self, release, open_journal, clock, how):
        release(("a", "mine"))
        if how == "another action since":
            release("a", action="dispatch")
        elif how == "another id since":
            release("a", force=True)
            clock.now += TTL
        elif how == "old":
            clock.now += TTL
        said = refusal(open_journal(force=how == "force").add_all, as_entries(("a", "mine")), kind=InputError)
        assert (
            said
            == "The request_id 'mine' of 'a' has been used to release it before, so VCC would ignore the request: set another request_id only if VCC must"
            " release it again."
        )

    def test_request_id_processed_for_a_dispatch_without_external_id_is_refused(self, release, open_journal):
        release((None, "mine"), action="dispatch")
        said = refusal(open_journal(action="dispatch").add_all, as_entries((None, "mine")), kind=InputError)
        assert said.startswith(
            "The request_id 'mine' of an interaction without an external id has been used to dispatch it before"
        )

    @pytest.mark.parametrize("how", ["force", "another action since", "old"])
    def test_request_id_that_vcc_may_have_processed_is_refused(self, claim, release, open_journal, clock, how):
        claim(("a", "mine"))
        if how == "another action since":
            release("a", action="dispatch")
        elif how == "old":
            clock.now += TTL
        for external_id in ("a", "b"):
            journal = open_journal(force=how == "force")
            said = refusal(journal.add_all, as_entries((external_id, "mine")), kind=InputError)
            assert said.startswith(f"The request_id 'mine' of '{external_id}' has been used ")

    @pytest.mark.parametrize("how", ["claimed", "taken up", "unknown again", "dispatched"])
    def test_request_id_made_by_the_module_is_refused(self, claim, release, open_journal, how):
        """Reports and results show such request ids. They come from the id of the first claim, and stay if another claim changes the id of the row."""
        (first,) = claim("a", action="dispatch" if how == "dispatched" else "release")
        if how == "taken up":
            claim("a")
        elif how == "unknown again":
            early = open_journal()
            early.add_all(as_entries("a"))
            taken_up = early.claim(0)
            (first,) = claim("a", force=True)
            early.keep_pending(taken_up)
        said = refusal(open_journal(provider="tickets").add_all, as_entries(("b", first.request_id)), kind=InputError)
        assert said.startswith(
            f"The request_id '{first.request_id}' of 'b' has been used for 'a' with another provider before"
        )

    def test_the_id_of_a_notification_is_refused(self, open_journal, journal, clock):
        with contextlib.closing(
            NotificationLog(journal, "https://api.example", "main", None, clock=clock)
        ) as notifications:
            notifications.record([Notification("Release", "a", "n-1")])
        said = refusal(open_journal().add_all, as_entries(("b", "n-1")), kind=InputError)
        assert said.startswith("The request_id 'n-1' of 'b' has been used for 'a' before")

    @pytest.mark.parametrize("odd", ["f" * 32, "7" + "f" * 31, "0" * 32, "G" * 32, "a" * 31])
    def test_custom_request_id_may_look_like_one_of_the_module(self, claim, odd):
        assert claim(("a", odd))[0].request_id == odd

    def test_claim_rejects_request_id_of_another_process(self, open_journal, journal):
        first, second = open_journal(), open_journal()
        first.add_all(as_entries(("a", "mine")))
        second.add_all(as_entries(("b", "mine")))
        first.claim(0)
        assert refusal(second.claim, 0, kind=InputError).startswith(
            "The request_id 'mine' of 'b' has been used for 'a'"
        )
        assert list(journal_rows(journal)) == ["a"]

    def test_claim_rejects_expired_request_id(self, release, open_journal, clock):
        release(("a", "mine"))
        journal = open_journal()
        clock.now += TTL - 1
        journal.add_all(as_entries(("a", "mine")))
        clock.now += 1
        assert refusal(journal.claim, 0, kind=InputError).startswith("The request_id 'mine' of 'a' has been used")

    def test_force_accepts_thousands_of_custom_request_ids(self, open_journal):
        journal = open_journal(force=True)
        pairs = [(f"id-{number * 7 % 2500:04d}", f"key-{number}") for number in range(2500)]
        journal.add_all(as_entries(*pairs))
        claimed = journal.claim(0)
        claimed += journal.claim(claimed[-1].seq, claimed)
        assert [(one.external_id, one.request_id) for one in claimed] == sorted(pairs)[:2000]

    def test_rejected_request_id_may_be_used_again(self, open_journal, claim):
        journal = open_journal()
        journal.add_all(as_entries(("a", "mine")))
        journal.release_claim(journal.claim(0))
        assert claim(("b", "mine"))[0].request_id == "mine"

    @pytest.mark.parametrize("before", ["nothing", "dispatch"])
    def test_rejected_request_id_is_accepted_while_its_claim_is_released(
        self, open_journal, release, monkeypatch, before
    ):
        """Two processes have the request id, and VCC rejects the call of one of them."""
        if before == "dispatch":
            release("a", action="dispatch")
        journal, other = open_journal(), open_journal()
        steps = []

        def then_look(change):
            def call(*arguments):
                done = change(*arguments)
                other.add_all(as_entries(("a", "mine")))
                steps.append(change.__name__)
                return done

            return call

        journal.add_all(as_entries(("a", "mine")))
        claimed = journal.claim(0)
        for name in ("forget_request_ids", "swap"):
            monkeypatch.setattr(journal._store, name, then_look(getattr(journal._store, name)))
        journal.release_claim(claimed)
        assert sorted(steps) == ["forget_request_ids", "swap"]
        assert not other.claim(0)[0].pending

    def test_rejected_request_id_is_refused_if_vcc_has_accepted_another_process(self, open_journal):
        journal, other = open_journal(), open_journal()
        for each in (journal, other):
            each.add_all(as_entries(("a", "mine")))
        rejected = journal.claim(0)
        other.accept(other.claim(0))
        journal.release_claim(rejected)
        refusal(open_journal(force=True).add_all, as_entries(("a", "mine")), kind=InputError)


def first(ids):
    ((claim, dummy),) = ids.take(1)
    return claim


class TestClaimIds:
    def test_two_runs_have_no_id_in_common(self):
        first, second = ([claim for claim, dummy in ids.take(3000)] for ids in (ClaimIds(0.0), ClaimIds(0.0)))
        assert first == list(range(first[0], first[0] + 6000, 2))
        assert not set(first) & set(second)

    @pytest.mark.parametrize("now", [-1e12, 0.0, 1_800_000_000.0, 2.0**31, 1e12])
    def test_ids_fit_into_integers_of_sqlite(self, now):
        assert all(0 <= first(ClaimIds(now)) < 2**63 for dummy in range(100))

    def test_later_ids_are_higher(self):
        assert first(ClaimIds(1_800_000_000.0)) < first(ClaimIds(1_800_000_128.0))

    def test_ids_of_another_run_are_avoided(self, open_journal, path, monkeypatch):
        one, two = open_journal(), open_journal()
        one.add_all(as_entries("a", "b"))
        two.add_all(as_entries("c"))
        claimed = one.claim(0)
        two._ids._next = claimed[1].claim
        (other,) = two.claim(0)
        assert other.claim not in [interaction.claim for interaction in claimed]
        assert sorted(journal_rows(path)) == ["a", "b", "c"]
