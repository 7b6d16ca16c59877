# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode: it reads the journal, and does not change it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, python, snapshot
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import HOLDING, as_entries, refusal


class TestCheckMode:
    @pytest.fixture
    def folder(self, path):
        return path.parent.parent.parent

    def test_check_mode_creates_no_journal(self, plan, folder):
        before = snapshot(folder)
        (found,) = plan("a", dry_run=True)
        assert (found.confirmed, found.pending, found.request_id) == (False, False, None)
        assert snapshot(folder) == before

    def test_an_empty_file_stays_empty(self, plan, path, folder):
        path.parent.mkdir(parents=True)
        path.touch()
        before = snapshot(folder)
        assert not plan("a", dry_run=True)[0].confirmed
        assert snapshot(folder) == before

    def test_check_mode_reads_a_journal_and_changes_nothing(self, release, claim, plan, folder):
        release("a")
        claim("b")
        before = snapshot(folder)
        done, left, new = plan("a", "b", "c", dry_run=True)
        assert (done.confirmed, left.pending, new.request_id) == (True, True, None)
        assert snapshot(folder) == before

    def test_scope_of_task_is_not_added(self, release, plan, folder):
        release("a")
        before = snapshot(folder)
        assert not plan("a", provider="tickets", dry_run=True)[0].confirmed
        assert snapshot(folder) == before

    def test_log_of_killed_run_is_read_and_unchanged(self, plan, path, folder):
        with python(HOLDING, path) as process:
            request_id = process.stdout.readline().strip()
            process.kill()
            process.wait(TIMEOUT)
            assert Path(f"{path}-wal").stat().st_size > 0
        before = snapshot(folder)
        (found,) = plan("a", dry_run=True)
        assert (found.pending, found.request_id) == (True, request_id)
        after = snapshot(folder)
        for each in (before, after):
            each.pop("a/b/journal.db-shm")  # holds locks only
        assert after == before

    def test_check_mode_does_not_wait_for_writing_process(self, plan, path):
        with python(HOLDING, path) as process:
            request_id = process.stdout.readline().strip()
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")
                assert plan("a", dry_run=True)[0].request_id == request_id
                db.execute("ROLLBACK")

    def test_used_request_ids_are_refused_as_in_the_real_run(self, release, open_journal):
        release(("a", "1"))
        said = refusal(open_journal(dry_run=True).add_all, as_entries(("b", "1")), kind=InputError)
        assert "has been used for 'a' before" in said
