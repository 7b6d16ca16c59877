# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of a store: its history. Each test runs with every backend."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.audit import new_run
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import (
    Attempt,
    PastOutcome,
    Query,
    Row,
    Run,
    width_of_parts,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    LONG,
    NOTHING_OLD,
    NOW,
    SCOPE,
    both_backends,
    put,
    rows,
)

RUN = Run(17, "a" * 32, NOW, "CHG1, é", "4711")
OTHER = Run(2**63 - 1, "b" * 32, NOW + 100)
ACCEPTED = Attempt(RUN, 1, "release", "accepted", NOW + 1, 1, "")
FAILED = Attempt(RUN, 2, "release", "failed", NOW + 2, 2, "VCC refused it.")
LATER = Attempt(OTHER, 1, "dispatch", "accepted", NOW + 101, 1, "")
NOT_SENT = Attempt(OTHER, 2, "dispatch", "failed", NOW + 102, None, "not sent")
LOST = Attempt(OTHER, 3, "dispatch", "unknown", NOW + 103, 3, "no answer")
TICKETS = SCOPE._replace(provider="tickets")


@pytest.fixture
def everything(open_store):
    """Two runs, the second one for a provider, and a store of all scopes."""
    open_store().record_attempts(
        [(ACCEPTED, [(100, "a", "key-a"), (102, "b", "key-b")]), (FAILED, [(104, "c", "key-c")])]
    )
    open_store(TICKETS).record_attempts(
        [(LATER, [(200, "a", "key-2"), (202, None, "key-3")]), (NOT_SENT, [(7, "d", None)]), (LOST, [(206, "e", "k")])]
    )
    return open_store(None)


def found(store, **query):
    past, matched, dummy = store.history(Query(**query), 100, 0, NOW)
    assert matched == len(past)
    return [(each.external_id, each.attempt.state, each.attempt.run.run_id[0]) for each in past]


@both_backends
class TestRecords:
    def test_history_has_all_recorded_properties(self, everything):
        past, matched, recent = everything.history(Query(), 100, 0, NOW + 50)
        assert past == [
            PastOutcome("e", "k", TICKETS, LOST),
            PastOutcome("d", None, TICKETS, NOT_SENT),
            PastOutcome(None, "key-3", TICKETS, LATER),
            PastOutcome("a", "key-2", TICKETS, LATER),
            PastOutcome("c", "key-c", SCOPE, FAILED),
            PastOutcome("a", "key-a", SCOPE, ACCEPTED),
            PastOutcome("b", "key-b", SCOPE, ACCEPTED),
        ]
        assert (matched, recent) == (7, 2)

    def test_recorded_outcome_is_not_recorded_again(self, store):
        known = [(ACCEPTED, [(100, "a", "key-a")])]
        assert store.record_attempts(known, dry_run=True) == 1
        assert store.history(Query(), 10, 0, NOW)[1] == 0
        assert store.record_attempts(known) == 1
        assert store.record_attempts(known, dry_run=True) == store.record_attempts(known) == 0
        more = [(ACCEPTED._replace(message="x"), [(100, "z", "z"), (102, "b", "key-b")]), (FAILED, [(100, "a", "r")])]
        assert store.record_attempts(more, dry_run=True) == store.record_attempts(more) == 2
        assert store.history(Query(), 10, 0, NOW)[0] == [
            PastOutcome("a", "r", SCOPE, FAILED),
            PastOutcome("a", "key-a", SCOPE, ACCEPTED),
            PastOutcome("b", "key-b", SCOPE, ACCEPTED),
        ]

    def test_marked_rows_are_recorded(self, store):
        put(store, *rows("a", "b", "c"))
        assert store.mark(100, 101, NOW, ACCEPTED) == 2
        assert store.mark(100, 101, NOW, ACCEPTED) == 2
        assert [(each.external_id, each.request_id) for each in store.history(Query(), 10, 0, NOW)[0]] == [
            ("a", "key-a"),
            ("b", "key-b"),
        ]

    def test_exchange_records_only_what_it_marks(self, store):
        put(store, *rows("a", "b", "c"))
        later = FAILED._replace(state="accepted")
        exchanged = store.exchange([(100, 100), (101, 101), (102, 300)], NOW, attempts=[ACCEPTED, None, later])
        assert exchanged.marked == 3
        assert [(each.external_id, each.attempt) for each in store.history(Query(), 10, 0, NOW)[0]] == [
            ("c", later),
            ("a", ACCEPTED),
        ]
        assert {row.accepted_at for row in store.rows(["a", "b", "c"]).values()} == {NOW}

    def test_row_that_another_process_has_replaced_is_not_recorded(self, store, open_store):
        old = rows("a", "b")
        put(store, *old)
        assert open_store().swap([(old[0], old[0]._replace(claim=500, request_id="other"))]) == [True]
        assert store.exchange([(100, 101)], NOW, attempts=[ACCEPTED]).marked == 1
        assert found(store) == [("b", "accepted", "a")]

    def test_long_ids(self, store):
        put(store, Row(31, LONG[0], "release", LONG[1], NOW))
        store.mark(31, 31, NOW, ACCEPTED)
        store.record_attempts([(FAILED, [(33, LONG[1], LONG[2])])])
        past = store.history(Query(external_ids=[LONG[0]]), 10, 0, NOW)[0]
        assert [(each.external_id, each.request_id) for each in past] == [(LONG[0], LONG[1])]
        assert found(store, external_ids=LONG[1:]) == [(LONG[1], "failed", "a")]

    def test_thousands_at_once(self, store):
        ended = [(2 * number, f"case-{number:05}", f"key-{number}") for number in range(12_000)]
        assert store.record_attempts([(ACCEPTED, ended)]) == 12_000
        assert store.history(Query(), 1, 11_999, NOW)[:2] == (
            [PastOutcome("case-11999", "key-11999", SCOPE, ACCEPTED)],
            12_000,
        )
        taken = []
        store.export(Query(), True, lambda past: taken.extend(each.external_id for each in past))
        assert taken == [external_id for dummy, external_id, dummy2 in ended]


@both_backends
class TestSearch:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"run_id": "a" * 32}, "cab"),
            ({"run_id": "c" * 32}, ""),
            ({"run_id": "a" * 32, "state": "failed"}, "c"),
            ({"external_ids": ["a", "x", "c"]}, "aca"),
            ({"external_ids": []}, ""),
            ({"provider": "tickets"}, "ed-a"),
            ({"provider": ""}, "cab"),
            ({"state": "released"}, "ab"),
            ({"state": "dispatched"}, "-a"),
            ({"state": "failed"}, "dc"),
            ({"state": "unknown"}, "e"),
            ({"before": NOW + 2}, "cab"),
            ({"before": NOW + 1.9}, "ab"),
            ({"after": NOW + 2}, "ed-a"),
            ({"after": NOW + 1.9, "before": NOW + 101}, "-ac"),
            ({"external_ids": ["a"], "provider": "tickets", "state": "dispatched", "after": NOW}, "a"),
        ],
        ids=str,
    )
    def test_found_outcomes_match_all_conditions(self, everything, query, expected):
        assert "".join(external_id or "-" for external_id, dummy, dummy2 in found(everything, **query)) == expected
        taken = []
        everything.export(Query(**query), True, lambda past: taken.extend(each.external_id or "-" for each in past))
        assert "".join(taken) == expected

    def test_pages_have_each_outcome_once(self, everything):
        pages = [everything.history(Query(), 3, offset, NOW) for offset in (0, 3, 6, 9)]
        assert [len(past) for past, dummy, dummy2 in pages] == [3, 3, 1, 0]
        assert {matched for dummy, matched, dummy2 in pages} == {7}
        assert len({each for past, dummy, dummy2 in pages for each in past}) == 7

    def test_export_of_rows_equals_search(self, everything, open_store):
        put(open_store(), *rows("b", "a"))
        put(open_store(TICKETS), *rows("c", claim=900))
        for query in (Query(), Query(external_ids=["a", "c"]), Query(state="released")):
            taken = []
            everything.export(query, False, taken.extend)
            assert taken == everything.search(query, 100, 0, NOW).rows


@both_backends
class TestRunCounts:
    def test_counts_of_a_run(self, everything):
        counted = everything.run_counts(OTHER.run_id, 60)
        assert counted == (
            OTHER,
            NOW + 103,
            1,
            3,
            {("dispatch", "accepted"): 2, ("dispatch", "failed"): 1, ("dispatch", "unknown"): 1},
            {(1, "accepted"): 2, (2, "failed"): 1, (3, "unknown"): 1},
        )
        assert everything.run_counts(RUN.run_id, 60).counts == {("release", "accepted"): 2, ("release", "failed"): 1}

    def test_unknown_run_has_no_counts(self, everything):
        assert everything.run_counts("c" * 32, 60) is None

    @pytest.mark.parametrize("seconds", [0, 1, 58, 59, 60, 61, 3600, 100_000])
    def test_timeline_has_at_most_60_parts(self, store, seconds):
        attempts = [
            (ACCEPTED._replace(number=number, at=NOW + 0.5 + seconds * number / 100), [(number, "a", "b")])
            for number in range(101)
        ]
        store.record_attempts(attempts)
        counted = store.run_counts(RUN.run_id, 60)
        assert sum(counted.timeline.values()) == 101
        assert max(part for part, dummy in counted.timeline) == int(seconds + 0.5) // counted.width < 60

    def test_timeline_begins_with_run_if_clock_was_set_back(self, store):
        store.record_attempts([(ACCEPTED._replace(at=NOW - 3600), [(1, "a", "b")])])
        counted = store.run_counts(RUN.run_id, 60)
        assert (counted.timeline, counted.width) == ({(0, "accepted"): 1}, 1)
        assert counted.ended == counted.run.started


@pytest.mark.parametrize(
    ("begin", "end", "width"),
    [(0.9, 0.95, 1), (0.9, 1.1, 1), (0, 59.9, 1), (0, 60, 2), (0.5, 60.4, 2), (0, 119.9, 2), (0, 120, 3), (9, 0, 1)],
)
def test_width_of_parts(begin, end, width):
    assert width_of_parts(begin, end, 60) == width


@both_backends
class TestPrune:
    @pytest.mark.parametrize(
        ("before", "outcomes", "runs", "left"),
        [
            (NOW, 0, 0, "ed-acab"),
            (NOW + 1, 2, 0, "ed-ac"),
            (NOW + 2, 3, 1, "ed-a"),
            (NOW + 102, 6, 1, "e"),
            (NOW + 103, 7, 2, ""),
        ],
    )
    def test_old_outcomes_and_their_runs_are_pruned(self, everything, before, outcomes, runs, left):
        expected = {**NOTHING_OLD, "outcomes": outcomes, "runs": runs}
        assert everything.prune(before, True) == expected
        assert len(found(everything)) == 7
        assert everything.prune(before, False) == expected
        assert everything.prune(before, False) == everything.prune(before, True) == NOTHING_OLD
        assert "".join(external_id or "-" for external_id, dummy, dummy2 in found(everything)) == left
        assert (everything.run_counts(RUN.run_id, 60) is None) is (runs > 0)

    def test_many_outcomes_are_pruned_in_blocks(self, store, everything):
        store.record_attempts([(ACCEPTED, [(number, "x", "y") for number in range(1000, 26_000)])])
        assert everything.prune(NOW + 1, False) == {**NOTHING_OLD, "outcomes": 25_002}
        assert len(found(everything)) == 5


def test_each_run_has_an_id_of_its_own():
    first, second = new_run(NOW, None, None), new_run(NOW, None, None)
    assert first.run_id != second.run_id
    assert first.key != second.key
    assert 0 <= first.key < 2**63
    assert len(first.run_id) == 32
