# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of a store: its rows. Each test runs with every backend."""

from __future__ import annotations

import time

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Exchanged, Query, Row, Scope, Use
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    ACCEPTED,
    LONG,
    NOTHING_OLD,
    NOW,
    OTHERS,
    PENDING,
    both_backends,
    put,
    rows,
)


@both_backends
class TestRows:
    def test_new_row_is_found_by_every_process(self, store, open_store):
        assert put(store, PENDING, ACCEPTED) == [True, True]
        for other in (store, open_store(), open_store(dry_run=True)):
            assert other.rows(["a", "b", "c"]) == {"a": PENDING, "b": ACCEPTED}

    @pytest.mark.parametrize("others", [(), ("b",)], ids=["alone", "among others"])
    def test_request_id_may_be_empty(self, store, others):
        found = [PENDING._replace(request_id=""), *rows(*others)]
        assert all(put(store, *found))
        assert store.rows(["a", *others]) == {row.external_id: row for row in found}
        assert store.swap([(found[0], found[0]._replace(claim=500))]) == [True]
        assert store.rows(["a"])["a"].request_id == ""

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

    def test_empty_request_has_empty_result(self, store):
        assert store.rows([]) == {}
        assert store.swap([]) == []
        assert store.uses([]) == []
        assert store.recorded([]) == set()

    @pytest.mark.parametrize("odd", ["é", "a ", "A", "'; --", "%", "\\", "NULL", "{a,b}", "\U0001f600" * 100])
    def test_ids_are_compared_byte_by_byte(self, store, odd):
        put(store, PENDING)
        assert put(store, PENDING._replace(claim=14, external_id=odd)) == [True]
        assert set(store.rows(["a", odd])) == {"a", odd}

    def test_read_only_store_of_missing_journal_is_empty(self, open_store):
        empty = open_store(dry_run=True)
        assert (empty.rows(["a"]), empty.uses(["key-a"]), empty.recorded(["n"]), empty.registration()) == (
            {},
            [],
            set(),
            None,
        )


@both_backends
class TestSwap:
    def test_second_new_row_of_interaction_is_refused(self, store, open_store):
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
    def test_row_is_replaced_only_if_it_has_not_changed(self, store, open_store, new, since, effect):
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

    def test_each_change_has_its_own_result(self, store):
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


@both_backends
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

    @pytest.mark.parametrize("claim", [0, 2**53 + 1, 2**63 - 1])
    def test_ids_may_be_of_63_bits(self, store, claim):
        row = PENDING._replace(claim=claim)
        put(store, row)
        assert store.mark(claim, claim, NOW) == 1
        assert store.rows(["a"]) == {"a": row._replace(accepted_at=NOW)}


@both_backends
class TestExchange:
    def test_rows_are_marked_replaced_and_looked_up(self, store):
        put(store, *rows("a", "b", "c", "d", "e"))
        a, b, c, d, e, f = rows("a", "b", "c", "d", "e", "f")
        changes = [(None, f), (d, d._replace(claim=200)), (c, None), (b._replace(claim=1), None)]
        expected = {
            "a": a._replace(accepted_at=NOW + 9),
            "b": b,
            "d": d._replace(claim=200),
            "e": e._replace(accepted_at=NOW + 9),
            "f": f,
        }
        found = store.exchange([(100, 100), (104, 104), (300, 400)], NOW + 9, changes, ["a", "e", "g"])
        assert found == Exchanged(2, [True, True, True, False], {"a": expected["a"], "e": expected["e"]})
        assert store.rows(["a", "b", "c", "d", "e", "f"]) == expected

    def test_row_that_is_marked_counts_as_changed(self, store):
        put(store, PENDING)
        assert store.exchange([(11, 11)], NOW + 9, [(PENDING, None)]) == Exchanged(1, [False], {})
        assert store.rows(["a"]) == {"a": PENDING._replace(accepted_at=NOW + 9)}

    @pytest.mark.parametrize("given", [{}, {"accepted_at": NOW}, {"look_up": ["b"]}], ids=str)
    def test_empty_exchange_changes_nothing(self, store, given):
        put(store, PENDING)
        assert store.exchange(**given) == Exchanged(0, [], {})
        assert store.rows(["a"]) == {"a": PENDING}


@both_backends
class TestLongIds:
    """Ids of 1,024 characters of four bytes each."""

    def test_rows(self, store, open_store):
        one, two, three = (Row(31 + 2 * n, each, "release", LONG[0] + str(n), NOW, None) for n, each in enumerate(LONG))
        assert put(store, one, two) == [True, True]
        assert put(open_store(), one._replace(claim=50), three) == [False, True]
        assert store.rows([*LONG, "x"]) == {LONG[0]: one, LONG[1]: two, LONG[2]: three}
        anew = two._replace(claim=60, external_id=LONG[1])
        assert store.exchange([(31, 31)], NOW, [(two, anew), (three, None)], LONG[:1]) == Exchanged(
            1, [True, True], {LONG[0]: one._replace(accepted_at=NOW)}
        )
        assert store.rows(LONG) == {LONG[0]: one._replace(accepted_at=NOW), LONG[1]: anew}

    def test_ids_that_begin_alike_are_distinct(self, store):
        first, second = LONG[0], LONG[0][:-1] + "x"
        assert all(put(store, *rows(first, second)))
        assert set(store.rows([first, second])) == {first, second}

    def test_custom_request_ids(self, store):
        put(store, Row(31, LONG[0], "release", LONG[1], NOW))
        assert store.uses(LONG) == [Use(LONG[1], True, LONG[0], "release", False, NOW)]
        store.keep_request_ids("release", NOW, [(LONG[1], LONG[0]), (LONG[2], LONG[2])])
        assert sorted(store.uses(LONG), key=str) == sorted(
            [
                Use(LONG[1], True, LONG[0], "release", False, NOW),
                Use(LONG[1], True, LONG[0], "release", True, NOW),
                Use(LONG[2], True, LONG[2], "release", True),
            ],
            key=str,
        )
        store.forget_request_ids("release", [(LONG[1], LONG[0]), (LONG[2], LONG[1])])
        assert {(use.request_id, use.processed) for use in store.uses(LONG)} == {(LONG[1], False), (LONG[2], True)}

    def test_notifications(self, store):
        assert store.record(LONG[:2], NOW, [(None, Row(31, LONG[0], "release", LONG[0], NOW, NOW))])
        assert store.recorded(LONG) == set(LONG[:2])
        assert not store.record(LONG, NOW)

    def test_scopes(self, open_store):
        scope = Scope(LONG[0], LONG[1], LONG[2])
        put(open_store(scope), PENDING)
        assert open_store(scope).rows(["a"]) == open_store(scope, dry_run=True).rows(["a"]) == {"a": PENDING}
        assert open_store(scope._replace(provider=LONG[1])).rows(["a"]) == {}
        assert open_store(None).search(Query(provider=LONG[2]), 10, 0, NOW) == ([(PENDING, scope)], 1, 0)

    def test_search_and_prune(self, store, open_store):
        put(store, Row(31, LONG[0], "release", LONG[1], NOW), Row(33, LONG[1], "release", "x", NOW))
        everything = open_store(None)
        found, count, dummy = everything.search(Query(external_ids=[LONG[0]]), 10, 0, NOW)
        assert ([row for row, dummy in found], count) == ([Row(31, LONG[0], "release", LONG[1], NOW)], 1)
        store.record(LONG, NOW)
        store.keep_request_ids("release", NOW, zip(LONG, LONG))
        assert everything.prune(NOW, False) == {**NOTHING_OLD, "interactions": 2, "notifications": 3, "request_ids": 3}
        assert (store.rows(LONG), store.uses(LONG), store.recorded(LONG)) == ({}, [], set())


@both_backends
class TestDescription:
    def test_clock_counts_seconds_of_the_epoch(self, store):
        before = time.time() - 1
        first, second = store.clock(), store.clock()
        assert before <= first <= second <= time.time() + 1

    def test_read_only_store_makes_no_tables(self, open_store):
        empty = open_store(dry_run=True)
        assert empty.schema_version() is open_store(dry_run=True).schema_version() is None
        assert empty.created, "it predicts what a run does"
        first, second, reading = open_store(), open_store(), open_store(dry_run=True)
        assert (first.created, second.created, reading.created) == (True, False, False)
        assert (
            first.schema_version()
            == second.schema_version()
            == reading.schema_version()
            == open_store(None).schema_version()
        )
        assert first.schema_version() >= 1

    def test_description_names_location(self, store, journal):
        described = store.description()
        assert described["location"] == store.location == journal
        if store.remote:
            host = journal.partition("host=")[2].partition("&")[0].replace("%2F", "/")
            database = journal.rpartition("/")[2].partition("?")[0]
            assert (described["backend"], described["host"], described["database"]) == ("postgresql", host, database)
        else:
            assert (described["backend"], described["host"], described["database"]) == ("sqlite", None, None)


class TestFile:
    """Methods that only a store in a file has."""

    def test_failed_transaction_changes_nothing(self, store, open_store):
        with pytest.raises(ZeroDivisionError), store.transaction():
            put(store, PENDING)
            with store.transaction():
                store.keep_request_ids("release", NOW, [("mine", "a")])
            raise ZeroDivisionError
        assert open_store().rows(["a"]) == {}
        assert store.uses(["mine"]) == []
        put(store, PENDING)
        assert open_store().rows(["a"]) == {"a": PENDING}

    def test_changes_are_visible_after_end_of_transaction(self, store, open_store):
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

    @pytest.mark.parametrize(
        ("first", "last", "there"), [(0, 2**63 - 1, True), (100, 100, True), (101, 200, False), (0, 99, False)]
    )
    def test_claims_are_found_by_their_id(self, store, first, last, there):
        put(store, *rows("a"))
        assert store.has_claims(first, last) is there
