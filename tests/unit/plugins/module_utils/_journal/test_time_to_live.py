# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a row of the journal counts, and the effect of force on it."""

from __future__ import annotations

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import journal_rows
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    TTL,
    YEAR,
    as_entries,
    both_backends,
)


@both_backends
class TestTime:
    def test_confirmation_ends_after_ttl(self, release, plan, claim, clock):
        (first,) = release("a")
        clock.now += TTL - 0.5
        assert plan("a")[0].confirmed
        clock.now += 0.5
        assert not plan("a")[0].confirmed
        assert not plan("a")[0].pending
        assert claim("a")[0].request_id != first.request_id

    def test_claim_ends_after_ttl(self, claim, plan, clock):
        (first,) = claim("a")
        clock.now += TTL - 0.5
        assert plan("a")[0].request_id == first.request_id
        clock.now += 0.5
        assert plan("a")[0].request_id is None
        assert claim("a")[0].request_id != first.request_id

    def test_ttl_counts_from_acceptance(self, open_journal, plan, clock):
        journal = open_journal()
        journal.add_all(as_entries("a"))
        claimed = journal.claim(0)
        clock.now += 1000
        journal.accept(claimed)
        clock.now += TTL - 500
        assert plan("a")[0].confirmed

    def test_ttl_is_that_of_current_task(self, release, plan, clock):
        release("a", ttl=10)
        clock.now += 100
        assert plan("a", ttl=101)[0].confirmed
        assert not plan("a", ttl=100)[0].confirmed

    def test_ttl_of_0_has_no_end(self, release, claim, plan, clock):
        release("a")
        claim("b")
        clock.now += 50 * YEAR
        done, left = plan("a", "b", ttl=0)
        assert done.confirmed
        assert left.pending

    def test_confirmation_from_an_hour_ahead_counts(self, release, plan, clock):
        release("a")
        clock.now -= 3600
        assert plan("a")[0].confirmed

    def test_row_from_years_ahead_does_not_count(self, release, claim, plan, clock):
        """Otherwise, a row that was written with a wrong clock would count for years."""
        clock.now += 10 * YEAR
        release("a")
        claim("b")
        clock.now -= 10 * YEAR
        assert [(one.confirmed, one.pending) for one in plan("a", "b")] == [(False, False), (False, False)]


@both_backends
class TestForce:
    def test_force_gives_a_confirmed_interaction_a_new_request_id(self, release, journal):
        (first,) = release("a")
        (second,) = release("a", force=True)
        assert not second.confirmed
        assert second.request_id != first.request_id
        assert journal_rows(journal)["a"]["request_id"] == second.request_id

    def test_force_gives_a_pending_interaction_a_new_request_id(self, claim):
        (first,) = claim("a")
        (second,) = claim("a", force=True)
        assert second.request_id != first.request_id

    def test_claim_with_force_can_be_repeated(self, release, claim):
        release("a")
        (forced,) = claim("a", force=True)
        (after,) = claim("a")
        assert (after.confirmed, after.pending, after.request_id) == (False, True, forced.request_id)
