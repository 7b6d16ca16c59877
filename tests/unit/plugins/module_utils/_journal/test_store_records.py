# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of a store: custom request ids, registrations, notifications and all scopes. Each test runs with every backend."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.claim_ids import ClaimIds
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Query, Registered, Row, Use
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    ACCEPTED,
    NOTHING_OLD,
    NOW,
    OTHERS,
    PENDING,
    SCOPE,
    both_backends,
    put,
    rows,
)


@both_backends
class TestCustomRequestIds:
    def test_kept_request_id_counts_as_processed(self, store):
        store.keep_request_ids("release", NOW, [("mine", "a"), ("theirs", None)])
        assert sorted(store.uses(["mine", "theirs", "new"]), key=str) == [
            Use("mine", True, "a", "release", True),
            Use("theirs", True, None, "release", True),
        ]

    def test_use_has_the_time_of_the_row_of_the_same_action(self, store):
        put(store, *(row._replace(request_id="other") for row in (PENDING, ACCEPTED)))
        store.keep_request_ids("release", NOW, [("mine", "a"), ("theirs", "b")])
        store.keep_request_ids("dispatch", NOW, [("yours", "b")])
        assert {use.request_id: use.changed_at for use in store.uses(["mine", "theirs", "yours"])} == {
            "mine": NOW,
            "theirs": None,
            "yours": NOW + 1,
        }

    def test_first_use_is_kept(self, store):
        store.keep_request_ids("release", NOW, [("mine", "a")])
        store.keep_request_ids("dispatch", NOW, [("mine", "b")])
        assert store.uses(["mine"]) == [Use("mine", True, "a", "release", True)]

    def test_answered_request_id_stays_answered(self, store):
        for unanswered in (True, False, True):
            store.keep_request_ids("release", NOW, [("mine", "a")], unanswered)
            store.keep_request_ids("release", NOW, [("theirs", "b")], unanswered=True)
        assert {use.request_id: use.unanswered for use in store.uses(["mine", "theirs"])} == {
            "mine": False,
            "theirs": True,
        }

    def test_forgotten_request_id_has_no_use(self, store):
        store.keep_request_ids("release", NOW, [("mine", "a"), ("theirs", "b")])
        store.forget_request_ids("release", [("mine", "a"), ("theirs", "a")])
        store.forget_request_ids("dispatch", [("theirs", "b")])
        assert [use.request_id for use in store.uses(["mine", "theirs"])] == ["theirs"]

    def test_request_id_of_row_is_a_use_even_if_module_made_it(self, store):
        ((claim, made),) = ClaimIds(NOW).take(1)
        put(store, PENDING._replace(claim=claim, request_id=made), ACCEPTED._replace(claim=13))
        assert store.uses([made]) == [Use(made, True, "a", "release", False, NOW)]
        assert store.uses(["key-b"]) == [Use("key-b", True, "b", "dispatch", False, NOW + 1)]
        store.swap([(store.rows(["a"])["a"], PENDING._replace(request_id=made))])
        assert store.uses([made]) == [Use(made, True, "a", "release", False, NOW)]

    @pytest.mark.parametrize(
        ("other", "known"), list(zip(OTHERS, (True, False, False))), ids=["provider", "account", "api_url"]
    )
    def test_uses_are_those_of_the_api_and_the_account(self, store, open_store, other, known):
        put(store, ACCEPTED._replace(claim=13))
        store.keep_request_ids("release", NOW, [("mine", "a")])
        found = open_store(other).uses(["mine", "key-b"])
        assert sorted(use.request_id for use in found) == (["key-b", "mine"] if known else [])
        assert not any(use.here for use in found)

    def test_thousands_at_once(self, store):
        ids = [f"mine-{number}" for number in range(3000)]
        store.keep_request_ids("release", NOW, zip(ids, itertools.repeat("a")))
        assert {use.request_id for use in store.uses(ids)} == set(ids)


@both_backends
class TestRegistrations:
    FIRST = Registered(b"1", "{}", NOW)
    SECOND = Registered(b"2", '{"a": "b"}', NOW + 1, NOW + 2)

    def test_registration_is_found_by_every_process(self, store, open_store):
        assert store.registration() is None
        assert store.swap_registration(None, self.SECOND)
        assert open_store().registration() == open_store(dry_run=True).registration() == self.SECOND
        assert open_store(OTHERS[0]).registration() is None

    @pytest.mark.parametrize("new", [SECOND, None])
    @pytest.mark.parametrize("seen", [None, b"1", b"3"])
    def test_swap_replaces_the_row_that_was_seen(self, store, seen, new):
        store.swap_registration(None, self.FIRST)
        assert store.swap_registration(seen, new) is (seen == b"1")
        assert store.registration() == (new if seen == b"1" else self.FIRST)

    def test_swap_of_no_row_by_no_row_does_nothing(self, store):
        assert not store.swap_registration(b"1", self.SECOND)
        assert store.registration() is None


@both_backends
class TestNotifications:
    def test_recorded_notification_is_known_to_every_process(self, store, open_store):
        store.record(["1", "2"], NOW)
        assert open_store().recorded(["1", "2", "3"]) == open_store(dry_run=True).recorded(["2", "1"]) == {"1", "2"}
        assert open_store(OTHERS[0]).recorded(["1"]) == set()

    def test_thousands_at_once(self, store):
        ids = [str(number) for number in range(3000)]
        store.record(ids, NOW)
        assert store.recorded(ids) == set(ids)

    def test_rows_are_replaced_with_notification(self, store):
        a, b, c = rows("a", "b", "c")
        put(store, a, b)
        assert store.record(["1"], NOW, [(a, None), (b, b._replace(claim=200)), (None, c)])
        assert store.rows(["a", "b", "c"]) == {"b": b._replace(claim=200), "c": c}

    @pytest.mark.parametrize("overtaken", ["a notification", "all of them", "a row that was seen", "a new row"])
    def test_overtaken_notification_changes_nothing(self, store, open_store, overtaken):
        a, b, c = rows("a", "b", "c")
        put(store, a, b)
        other = open_store()
        if "row" not in overtaken:
            other.record(["1"] if overtaken == "a notification" else ["1", "2"], NOW)
        elif "seen" in overtaken:
            other.swap([(b, b._replace(claim=200))])
        else:
            put(other, c._replace(claim=300))
        rows_before, known = store.rows(["a", "b", "c"]), store.recorded(["1", "2"])
        assert store.record(["1", "2"], NOW + 1, [(a, None), (b, b._replace(claim=201)), (None, c)]) is False
        assert (store.rows(["a", "b", "c"]), store.recorded(["1", "2"])) == (rows_before, known)


@both_backends
class TestAllScopes:
    @pytest.fixture
    def everything(self, open_store):
        """A store without a scope, with a row in each of four scopes."""
        for number, scope in enumerate([SCOPE, *OTHERS]):
            accepted_at = None if number == 3 else NOW + number
            put(
                open_store(scope), Row(number + 1, "a", "dispatch" if number == 2 else "release", "x", NOW, accepted_at)
            )
        return open_store(None)

    def test_each_state_is_counted(self, everything, store):
        store.swap_registration(None, TestRegistrations.SECOND)
        assert everything.counts() == {"released": 2, "dispatched": 1, "pending": 1, "interactions": 4, "providers": 1}

    @pytest.mark.parametrize(
        ("query", "claims"),
        [
            (Query(), [3, 2, 1, 4]),
            (Query(external_ids=["a", "b"]), [3, 2, 1, 4]),
            (Query(external_ids=["b"]), []),
            (Query(external_ids=[]), []),
            (Query(provider="tickets"), [2]),
            (Query(provider=""), [3, 1, 4]),
            (Query(state="pending"), [4]),
            (Query(state="released"), [2, 1]),
            (Query(before=NOW), [1, 4]),
            (Query(after=NOW), [3, 2]),
            (Query(["a"], "", "released", NOW, NOW - 1), [1]),
        ],
        ids=str,
    )
    def test_rows_that_match_come_latest_first(self, everything, query, claims):
        found, count, dummy = everything.search(query, 100, 0, NOW)
        assert [row.claim for row, dummy in found] == claims
        assert count == len(claims)
        assert [scope for row, scope in found if row.claim == 2] == [OTHERS[0]] * claims.count(2)

    def test_page_has_its_part_of_the_rows(self, everything):
        found, count, dummy = everything.search(Query(), 2, 1, NOW)
        assert ([row.claim for row, dummy in found], count) == ([2, 1], 4)

    @pytest.mark.parametrize(
        ("query", "recent", "accepted"),
        [
            (Query(), NOW - 1, 3),
            (Query(), NOW, 2),
            (Query(), NOW + 2, 0),
            (Query(provider="tickets"), NOW, 1),
            (Query(external_ids=["a"], state="dispatched"), NOW, 1),
            (Query(external_ids=["a"], state="dispatched"), NOW + 2, 0),
            (Query(state="pending"), NOW - 1, 0),
            (Query(external_ids=["b"]), NOW - 1, 0),
        ],
        ids=str,
    )
    def test_recent_acceptances_of_all_pages_are_counted(self, everything, query, recent, accepted):
        assert everything.search(query, 1, 0, recent).recent == accepted

    def test_old_rows_of_all_kinds_are_pruned(self, everything, store):
        store.keep_request_ids("release", NOW, [("mine", "a")])
        store.record(["1"], NOW + 1)
        expected = {**NOTHING_OLD, "interactions": 2, "request_ids": 1}
        assert everything.prune(NOW, True) == expected
        assert everything.counts()["interactions"] == 4
        assert everything.prune(NOW, False) == expected
        assert everything.prune(NOW, False) == everything.prune(NOW, True) == dict.fromkeys(expected, 0)
        assert [row.claim for row, dummy in everything.search(Query(), 100, 0, NOW)[0]] == [3, 2]
        assert (store.rows(["a"]), store.uses(["mine"]), store.recorded(["1"])) == ({}, [], {"1"})


def test_row_of_an_earlier_version_of_the_collection_is_a_use(store):
    """Earlier versions counted the ids of rows from 1, and made request ids independently of them."""
    put(store, ACCEPTED)
    assert store.uses(["key-b"]) == [Use("key-b", True, "b", "dispatch", False, NOW + 1)]
