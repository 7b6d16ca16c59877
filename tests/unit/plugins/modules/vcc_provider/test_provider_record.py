# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of registrations, by the test's clock."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.registrations import OVERLAP_SECONDS, Registration


class TestRegistration:
    """The record of a registration, without calls."""

    @pytest.fixture(params=["sqlite", "postgresql"])
    def journal(self, request, folder):
        """The path or the URL of the journal."""
        return (
            request.getfixturevalue("postgresql_url") if request.param == "postgresql" else str(folder / "journal.db")
        )

    @pytest.fixture
    def one(self, journal, clock):
        with contextlib.ExitStack() as stack:

            def make():
                registration = Registration(journal, "https://api.example", "main", "p", clock=clock)
                stack.callback(registration.close)
                return registration

            yield make

    def test_accepted_registration_is_known(self, one):
        first = one()
        assert first.compare({"a": "1"}) is None
        first.begin()
        assert one().compare({"a": "1"}) is None
        first.accept({"a": "1", "b": "2"})
        assert one().compare({"a": "1", "c": "2"}) == {"a": "same", "b": "removed", "c": "added"}
        assert one().compare({"a": "2", "b": "2"}) == {"a": "changed", "b": "same"}

    def test_new_registration_ends_confirmation(self, one):
        first = one()
        first.begin()
        first.accept({"a": "1"})
        one().begin()
        assert first.compare({"a": "1"}) is None

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_two_registrations_at_once_confirm_neither(self, one, order):
        both = [one(), one()]
        for registration in both:
            registration.begin()
        for index in order:
            both[index].accept({"a": str(index)})
        assert one().compare({"a": "1"}) is None

    def test_overtaken_registration_removes_nothing(self, one, clock):
        first, second = one(), one()
        first.begin()
        clock.now += OVERLAP_SECONDS + 1
        second.begin()
        second.accept({"a": "1"})
        first.accept({"a": "2"})
        first.cancel()
        assert one().compare({"a": "1"}) == {"a": "same"}

    @pytest.mark.parametrize(("later", "known"), [(OVERLAP_SECONDS - 1, False), (OVERLAP_SECONDS + 1, True)])
    def test_unfinished_registration_counts_for_a_while(self, one, clock, later, known):
        one().begin()
        clock.now += later
        second = one()
        second.begin()
        second.accept({"a": "1"})
        assert (one().compare({"a": "1"}) is not None) is known

    def test_unfinished_registration_counts_for_as_long_as_its_call_may_take(self, one, clock):
        one().begin(OVERLAP_SECONDS * 3)
        for known in (None, None, {"a": "same"}):
            clock.now += OVERLAP_SECONDS + 1
            later = one()
            later.begin()
            later.accept({"a": "1"})
            assert one().compare({"a": "1"}) == known

    def test_repeated_runs_after_killed_run_confirm_registration(self, one, clock):
        one().begin()
        for dummy in range(4):
            clock.now += OVERLAP_SECONDS / 2
            run = one()
            run.begin()
            run.accept({"a": "1"})
        assert one().compare({"a": "1"}) == {"a": "same"}

    def test_failed_registration_leaves_that_of_another_process(self, one):
        """The first registration still runs when the third begins, and may be the last that VCC processes."""
        first, second, third = one(), one(), one()
        first.begin()
        second.begin()
        second.cancel()
        third.begin()
        third.accept({"a": "3"})
        first.accept({"a": "1"})
        assert one().compare({"a": "3"}) is None

    def test_failed_registration_does_not_count(self, one):
        first, second = one(), one()
        first.begin()
        first.cancel()
        second.begin()
        second.accept({"a": "1"})
        assert one().compare({"a": "1"}) == {"a": "same"}
