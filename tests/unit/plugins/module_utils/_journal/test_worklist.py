# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worklist: each interaction once, in the order in which it is sent."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Row
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import journal_rows
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    as_entries,
    both_backends,
    refusal,
)


class TestWorklist:
    def test_duplicates_count_once_at_their_first_place(self, open_journal):
        journal = open_journal()
        assert journal.add_all(as_entries("b", "a", "b", "a", "c")) == 3
        assert [(one.seq, one.external_id) for one in journal.plan(0)] == [(2, "a"), (1, "b"), (3, "c")]

    def test_ids_are_compared_byte_by_byte(self, open_journal):
        different = ["a", "A", "a ", " a", "é", "e\u0301", "ß", "ss"]
        assert open_journal().add_all(as_entries(*different)) == len(different)

    def test_worklist_may_be_empty(self, open_journal):
        journal = open_journal()
        assert journal.add_all([]) == 0
        assert journal.plan(0) == journal.claim(0) == []

    @pytest.mark.parametrize(("action", "order"), [("dispatch", list), ("release", sorted)])
    def test_worklist_is_read_in_chunks(self, open_journal, path, action, order):
        journal = open_journal(action=action)
        ids = [str(number * 7 % 2500) for number in range(2500)]
        assert journal.add_all(as_entries(*ids)) == 2500
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

    def test_settled_interactions_are_left_out(self, open_journal):
        """The worklist keeps them, with the request id that VCC accepted and with the custom request id."""
        journal = open_journal()
        journal.add_all([Entry("", "c", "own-c"), Entry("", "a"), Entry("", "d"), Entry("", "b")])
        (_a, b, c, _d) = journal.plan(0)
        assert journal.worklist.custom_ids([_a, c]) == {1: "own-c"}
        journal.worklist.settle([b._replace(request_id="of-b")])
        journal.worklist.settle([c._replace(request_id="of-c", previous=Row(2, "c", "release", "of-c", 5.0, 7.0))])
        assert [one.external_id for one in journal.plan(0)] == ["a", "d"]
        assert journal.plan(3) == []
        assert journal.worklist.count() == 4
        assert [*journal.worklist.settled()] == [[(1, "c", "of-c", None), (4, "b", "of-b", None)]]
        assert [*journal.worklist.latest()] == [(1, "c", "own-c", None), (4, "b", None, None)]
        assert [*journal.worklist.last()] == [(3, "d", None, None), (2, "a", None, None)]
        assert [one.external_id for one in journal.claim(0)] == ["a", "d"]

    def test_error_of_source_is_raised(self, open_journal):
        def broken():
            yield from as_entries("a")
            raise InputError("line 2 is empty")

        assert refusal(open_journal().add_all, broken(), kind=InputError) == "line 2 is empty"


def interrupt_worklist(journal):
    """Make SQLite fail whenever it reads the worklist, as if the disk with the temporary files failed."""
    journal._worklist._db.set_progress_handler(lambda: 1, 1)


@both_backends
def test_unreadable_worklist_raises_journal_error(open_journal):
    journal = open_journal(action="dispatch")
    journal.add_all([Entry("line 1", None, "own-1"), Entry("line 2", "a", "own-2")])
    chunk = journal.claim(0)
    interrupt_worklist(journal)
    for call, argument in ((journal.plan, 0), (journal.claim, 0), (journal.accept, chunk)):
        assert "cannot be used (interrupted)" in refusal(call, argument)


def test_unreadable_worklist_of_approved_plan_raises_journal_error(open_journal):
    journal = open_journal()
    journal.add_all([Entry("line 1", "a", "own-1"), Entry("line 2", "b")])
    worklist, chunk = journal.worklist, journal.plan(0)
    worklist.settle(chunk[:1])
    interrupt_worklist(journal)
    for call, arguments in (
        (worklist.count, ()),
        (worklist.custom_ids, (chunk,)),
        (worklist.settle, (chunk,)),
        (lambda: list(worklist.settled()), ()),
        (lambda: list(worklist.latest()), ()),
        (lambda: list(worklist.last()), ()),
    ):
        assert "cannot be used (interrupted)" in refusal(call, *arguments)


def test_unreadable_worklist_raises_journal_error_during_check_of_rows(open_journal):
    ids = [str(number) for number in range(1100)]
    first = open_journal()
    first.add_all([ids])
    first.claim(0)
    journal = open_journal()
    journal.add_all([ids])
    interrupt_worklist(journal)
    assert "cannot be used (interrupted)" in refusal(journal.claim, 0)
