# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of a store: each test runs with every backend."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.claim_ids import ClaimIds
from ansible_collections.vonage.vcc.plugins.module_utils._journal.sqlite import SqliteStore
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import (
    Query,
    Registered,
    Row,
    Scope,
    Use,
)

NOW = 1_800_000_000.0
SCOPE = Scope("https://api.example", "main", "")
OTHERS = [SCOPE._replace(provider="tickets"), SCOPE._replace(account="second"), SCOPE._replace(api_url="https://x")]

PENDING = Row(11, "a", "release", "key-a", NOW)
ACCEPTED = Row(12, "b", "dispatch", "key-b", NOW, NOW + 1)


@pytest.fixture(params=[SqliteStore])
def open_store(request, tmp_path):
    """Open the same store again and again, as the processes that share it do."""
    with contextlib.ExitStack() as stack:

        def make(scope=SCOPE, dry_run=False):
            store = request.param(str(tmp_path / "journal.db"), scope, dry_run)
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture
def store(open_store):
    return open_store()


def rows(*external_ids, claim=100):
    return [Row(claim + number, one, "release", f"key-{one}", NOW) for number, one in enumerate(external_ids)]


def put(store, *found):
    return store.swap([(None, row) for row in found])


class TestRows:
    def test_new_row_is_found_by_every_process(self, store, open_store):
        assert put(store, PENDING, ACCEPTED) == [True, True]
        for other in (store, open_store(), open_store(dry_run=True)):
            assert other.rows(["a", "b", "c"]) == {"a": PENDING, "b": ACCEPTED}

    @pytest.mark.parametrize("other", OTHERS, ids=["provider", "account", "api_url"])
    def test_scope_has_its_own_rows(self, store, open_store, other):
        put(store, PENDING)
        assert open_store(other).rows(["a"]) == {}
        assert put(open_store(other), PENDING._replace(claim=13)) == [True]
        assert store.rows(["a"]) == {"a": PENDING}

    def test_thousands_of_rows_at_once(self, store):
        many = rows(*(f"case-{number * 7919 % 5000}" for number in range(5000)))
        assert all(put(store, *many))
        found = store.rows([row.external_id for row in many])
        assert found == {row.external_id: row for row in many}
        store.check([row.external_id for row in many])

    def test_no_ids_and_no_changes(self, store):
        assert store.rows([]) == {}
        assert store.swap([]) == []
        assert store.uses([]) == []
        assert store.recorded([]) == set()

    @pytest.mark.parametrize("odd", ["é", "a ", "A", "'; --", "%", "\U0001f600" * 100])
    def test_ids_are_compared_byte_by_byte(self, store, odd):
        put(store, PENDING)
        assert put(store, PENDING._replace(claim=14, external_id=odd)) == [True]
        assert set(store.rows(["a", odd])) == {"a", odd}

    def test_store_that_only_reads_has_what_was_there(self, open_store):
        empty = open_store(dry_run=True)
        assert (empty.rows(["a"]), empty.uses(["key-a"]), empty.recorded(["n"]), empty.registration()) == (
            {},
            [],
            set(),
            None,
        )


class TestSwap:
    def test_second_new_row_of_an_interaction_loses(self, store, open_store):
        put(store, PENDING)
        late = PENDING._replace(claim=20, request_id="late")
        assert put(open_store(), ACCEPTED, late, *rows("c")) == [True, False, True]
        assert store.rows(["a", "b", "c"]) == {"a": PENDING, "b": ACCEPTED, "c": rows("c")[0]}

    @pytest.mark.parametrize(
        "new",
        [PENDING._replace(claim=21, action="dispatch", request_id="x"), PENDING._replace(accepted_at=NOW), None],
        ids=["anew", "accepted", "deleted"],
    )
    @pytest.mark.parametrize(
        ("since", "effect"),
        [
            (PENDING, True),
            (PENDING._replace(claim=22), False),
            (PENDING._replace(accepted_at=NOW + 5), False),
            (None, False),
        ],
        ids=["unchanged", "anew", "accepted", "deleted"],
    )
    def test_row_is_replaced_if_it_is_still_the_one_that_was_seen(self, store, open_store, new, since, effect):
        put(store, PENDING)
        if since != PENDING:
            assert open_store().swap([(PENDING, since)]) == [True]
        assert store.swap([(PENDING, new)]) == [effect]
        expected = new if effect else since
        assert store.rows(["a"]) == ({"a": expected} if expected else {})

    def test_accepted_row_is_seen_as_accepted(self, store):
        put(store, ACCEPTED)
        assert store.swap([(ACCEPTED._replace(accepted_at=None), None)]) == [False]
        assert store.swap([(ACCEPTED, None)]) == [True]

    def test_earlier_row_comes_back_with_its_id(self, store):
        put(store, ACCEPTED)
        claim = Row(30, "b", "release", "key", NOW)
        assert store.swap([(ACCEPTED, claim)]) == [True]
        assert store.swap([(claim, ACCEPTED)]) == [True]
        assert store.rows(["b"]) == {"b": ACCEPTED}

    def test_each_change_has_its_own_fate(self, store):
        put(store, *rows("a", "b", "c", "d"))
        a, b, c, d, e = rows("a", "b", "c", "d", "e")
        changes = [
            (a, None),
            (b._replace(claim=1), None),
            (c, c._replace(claim=200)),
            (None, d._replace(claim=40)),
            (None, e),
        ]
        assert store.swap(changes) == [True, False, True, False, True]
        assert sorted(store.rows(["a", "b", "c", "d", "e"])) == ["b", "c", "d", "e"]

    def test_thousands_of_changes_at_once(self, store):
        many = rows(*map(str, range(3000)))
        put(store, *many)
        changes = [
            (row, None if number % 2 else row._replace(claim=10_000 + number)) for number, row in enumerate(many)
        ]
        assert all(store.swap(changes))
        assert len(store.rows([row.external_id for row in many])) == 1500


class TestMark:
    def test_rows_from_the_first_to_the_last_id_are_accepted(self, store):
        put(store, *rows("a", "b", "c", "d", "e"))
        assert store.mark(101, 103, NOW + 9) == 3
        found = store.rows(["a", "b", "c", "d", "e"])
        assert [name for name, row in sorted(found.items()) if row.accepted_at == NOW + 9] == ["b", "c", "d"]

    def test_rows_that_were_replaced_are_not_counted(self, store):
        put(store, *rows("a", "b", "c"))
        store.swap([(rows("a", "b")[1], rows("a", "b")[1]._replace(claim=200))])
        assert store.mark(100, 102, NOW) == 2
        assert store.rows(["b"])["b"].accepted_at is None

    @pytest.mark.parametrize(
        ("first", "last", "there"), [(0, 2**63 - 1, True), (100, 100, True), (101, 200, False), (0, 99, False)]
    )
    def test_claims_are_found_by_their_id(self, store, first, last, there):
        put(store, *rows("a"))
        assert store.has_claims(first, last) is there

    @pytest.mark.parametrize("claim", [0, 2**53 + 1, 2**63 - 1])
    def test_ids_may_be_of_63_bits(self, store, claim):
        row = PENDING._replace(claim=claim)
        put(store, row)
        assert store.mark(claim, claim, NOW) == 1
        assert store.rows(["a"]) == {"a": row._replace(accepted_at=NOW)}


class TestTransaction:
    def test_all_of_it_takes_effect_or_nothing(self, store, open_store):
        with pytest.raises(ZeroDivisionError), store.transaction():
            put(store, PENDING)
            with store.transaction():
                store.keep_request_ids("release", NOW, [("mine", "a")])
            raise ZeroDivisionError
        assert open_store().rows(["a"]) == {}
        assert store.uses(["mine"]) == []
        put(store, PENDING)
        assert open_store().rows(["a"]) == {"a": PENDING}

    def test_changes_show_when_it_ends(self, store, open_store):
        other = open_store()
        with store.transaction():
            put(store, PENDING)
            assert store.rows(["a"]) == {"a": PENDING}
            assert other.rows(["a"]) == {}
        assert other.rows(["a"]) == {"a": PENDING}

    def test_errors_of_a_database_are_errors_of_the_journal(self, store):
        store.close()
        with pytest.raises(JournalError, match="cannot be used"):
            store.rows(["a"])


class TestCustomRequestIds:
    def test_kept_one_has_been_processed(self, store):
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

    def test_forgotten_one_has_no_use(self, store):
        store.keep_request_ids("release", NOW, [("mine", "a"), ("theirs", "b")])
        store.forget_request_ids("release", [("mine", "a"), ("theirs", "a")])
        store.forget_request_ids("dispatch", [("theirs", "b")])
        assert [use.request_id for use in store.uses(["mine", "theirs"])] == ["theirs"]

    def test_request_id_of_a_row_is_a_use_whoever_made_it(self, store):
        ((claim, made),) = ClaimIds(NOW).take(1)
        put(store, PENDING._replace(claim=claim, request_id=made), ACCEPTED)
        assert store.uses([made]) == [Use(made, True, "a", "release", False, NOW)]
        assert store.uses(["key-b"]) == [Use("key-b", True, "b", "dispatch", False, NOW + 1)]
        store.swap([(store.rows(["a"])["a"], PENDING._replace(request_id=made))])
        assert store.uses([made]) == [Use(made, True, "a", "release", False, NOW)]

    @pytest.mark.parametrize(
        ("other", "known"), list(zip(OTHERS, (True, False, False))), ids=["provider", "account", "api_url"]
    )
    def test_uses_are_those_of_the_api_and_the_account(self, store, open_store, other, known):
        put(store, ACCEPTED)
        store.keep_request_ids("release", NOW, [("mine", "a")])
        found = open_store(other).uses(["mine", "key-b"])
        assert sorted(use.request_id for use in found) == (["key-b", "mine"] if known else [])
        assert not any(use.here for use in found)

    def test_thousands_at_once(self, store):
        ids = [f"mine-{number}" for number in range(3000)]
        store.keep_request_ids("release", NOW, zip(ids, itertools.repeat("a")))
        assert {use.request_id for use in store.uses(ids)} == set(ids)


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


class TestNotifications:
    def test_recorded_ones_are_known_to_every_process(self, store, open_store):
        store.record(["1", "2"], NOW)
        assert open_store().recorded(["1", "2", "3"]) == open_store(dry_run=True).recorded(["2", "1"]) == {"1", "2"}
        assert open_store(OTHERS[0]).recorded(["1"]) == set()

    def test_thousands_at_once(self, store):
        ids = [str(number) for number in range(3000)]
        store.record(ids, NOW)
        assert store.recorded(ids) == set(ids)


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
        found, count = everything.search(query, 100, 0)
        assert [row.claim for row, dummy in found] == claims
        assert count == len(claims)
        assert [scope for row, scope in found if row.claim == 2] == [OTHERS[0]] * claims.count(2)

    def test_page_has_its_part_of_the_rows(self, everything):
        found, count = everything.search(Query(), 2, 1)
        assert ([row.claim for row, dummy in found], count) == ([2, 1], 4)

    def test_old_rows_of_all_kinds_are_pruned(self, everything, store):
        store.keep_request_ids("release", NOW, [("mine", "a")])
        store.record(["1"], NOW + 1)
        expected = {"interactions": 2, "notifications": 0, "request_ids": 1}
        assert everything.prune(NOW, True) == expected
        assert everything.counts()["interactions"] == 4
        assert everything.prune(NOW, False) == expected
        assert everything.prune(NOW, False) == everything.prune(NOW, True) == dict.fromkeys(expected, 0)
        assert [row.claim for row, dummy in everything.search(Query(), 100, 0)[0]] == [3, 2]
        assert (store.rows(["a"]), store.uses(["mine"]), store.recorded(["1"])) == ({}, [], {"1"})
