# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning: it deletes old rows in short transactions, and makes the file smaller."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal import sqlite_prune
from ansible_collections.vonage.vcc.plugins.module_utils._journal.registrations import Registration
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import journal_rows
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    NOTHING_OLD,
    both_backends,
    contents,
    recorded,
)


@pytest.fixture
def some(keep, enrol, note, clock):
    keep("a")
    keep("b", action="dispatch", provider="tickets")
    keep("c", pending=True)
    enrol("tickets")
    note(("Release", "d", "n-1"))
    clock.now += 100
    keep("e")
    note(("AssignToAgent", "x", "n-2"))
    clock.now += 100


@both_backends
@pytest.mark.usefixtures("some")
class TestPrune:
    @pytest.mark.parametrize(
        ("older_than", "interactions", "notifications", "request_ids", "left"),
        [
            (201, 0, 0, 0, "abcde"),
            (200, 4, 1, 3, "e"),
            (101, 4, 1, 3, "e"),
            (100, 5, 2, 4, ""),
            (0, 5, 2, 4, ""),
        ],
    )
    def test_old_rows_are_pruned_as_check_mode_predicts(
        self, maintenance, journal, tmp_path, older_than, interactions, notifications, request_ids, left
    ):
        expected = {
            **NOTHING_OLD,
            "interactions": interactions,
            "notifications": notifications,
            "request_ids": request_ids,
        }
        before = contents(journal, tmp_path)
        predicting = maintenance(True)
        assert predicting.prune(older_than) == expected
        predicting.close()
        assert contents(journal, tmp_path) == before
        assert maintenance(False).prune(older_than) == expected
        assert "".join(journal_rows(journal)) == left
        assert len(recorded(journal)) == 2 - notifications
        for dry_run in (True, False):
            assert maintenance(dry_run).prune(older_than) == NOTHING_OLD

    def test_registrations_stay(self, maintenance, journal, clock):
        opened = maintenance(False)
        opened.prune(0)
        assert opened.counts() == {"interactions": 0, "released": 0, "dispatched": 0, "pending": 0, "providers": 1}
        with contextlib.closing(Registration(journal, API, "main", "tickets", clock=clock)) as registration:
            assert registration.compare({"endpoint": "x"}) == {"endpoint": "same"}

    def test_kept_rows_still_confirm(self, maintenance, keep, journal):
        before = journal_rows(journal)["e"]
        maintenance(False).prune(101)
        assert journal_rows(journal) == {"e": before}

    def test_pruned_notification_counts_again(self, maintenance, note):
        assert note(("Release", "d", "n-1")) == []
        maintenance(False).prune(150)
        assert note(("Release", "d", "n-1")) == [("d", "not known", "released")]


@pytest.mark.usefixtures("some")
class TestFile:
    def test_other_processes_write_meanwhile(self, maintenance, path, clock, keep, monkeypatch):
        """The lock is free between two blocks of rows."""
        ids = [f"old-{number:03}" for number in range(300)]
        keep(*ids)
        clock.now += 100
        entered = []
        block = sqlite_prune._Pace.block

        def in_small_blocks(pace):
            pace._size = 50
            entered.append(f"new-{len(entered)}")
            keep(entered[-1])
            return block(pace)

        monkeypatch.setattr(sqlite_prune._Pace, "block", in_small_blocks)
        pruned = maintenance(False).prune(50)
        assert pruned["interactions"] == 300 + len("abcde")
        assert set(journal_rows(path)) == set(entered)
        assert len(entered) > 6

    def test_the_file_becomes_smaller(self, maintenance, path, keep, clock):
        keep(*(f"old-{number:04}" for number in range(3000)))
        maintenance(False).close()
        before = path.stat().st_size
        clock.now += 100
        journal = maintenance(False)
        journal.prune(50)
        assert journal._store.db.execute("PRAGMA freelist_count").fetchone() == (0,)
        journal.close()
        assert path.stat().st_size < before / 2

    def test_file_without_auto_vacuum_keeps_its_size(self, maintenance, path, keep, clock):
        keep(*(f"old-{number:04}" for number in range(1000)))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("PRAGMA auto_vacuum = NONE")
            db.execute("VACUUM")
        before = path.stat().st_size
        clock.now += 100
        assert maintenance(False).prune(50)["interactions"] == 1005
        assert path.stat().st_size == before

    def test_size_of_block_depends_on_duration_of_previous_block(self, monkeypatch):
        times, waits = iter([0, 0.01, 10, 11, 20, 20.4]), []
        monkeypatch.setattr(sqlite_prune.time, "monotonic", lambda: next(times))
        monkeypatch.setattr(sqlite_prune.time, "sleep", waits.append)
        pace = sqlite_prune._Pace()
        sizes = []
        for dummy in range(3):
            with pace.block() as size:
                sizes.append(size)
        assert sizes == [1000, 2000, 800]
        assert waits == [sqlite_prune.PAUSE_SECONDS]


@both_backends
def test_pruning_makes_no_journal(maintenance, journal, tmp_path):
    before = contents(journal, tmp_path)
    for dry_run in (True, False):
        assert maintenance(dry_run).prune(0) == NOTHING_OLD
    assert contents(journal, tmp_path) == before
