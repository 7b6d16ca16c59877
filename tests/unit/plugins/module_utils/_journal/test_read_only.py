# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal that is only read: it shows the changes of other processes, and no file appears beside it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal import sqlite_file
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.sqlite import SqliteStore
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, at_once, python, snapshot
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    NOBODY,
    ROOT,
    mount,
    refusal_at,
    release_at,
)


@pytest.fixture
def path(place):
    return place / "kept" / "journal.db"


# Becomes another user if it runs as root, and prints counts of the journal.
LOOKING = """
import os
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
together()
path, user = sys.argv[1:]
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
try:
    counts = JournalMaintenance(path, True, show_only=True).counts()
    print(counts["released"], counts["pending"])
except JournalError as exc:
    print(exc)
"""


class TestReadOnly:
    """vcc_journal_info shows a journal where nothing can be written."""

    @pytest.fixture
    def kept(self, path):
        """Makes a journal with a release. With ``log``, a killed process has left a log with a pending interaction."""
        release_at(path, "a")

        def keep(log):
            if log:
                with python(HOLDING, path) as process:
                    process.stdout.readline()
                    process.kill()
                    process.wait(TIMEOUT)
                assert Path(f"{path}-wal").stat().st_size

        return keep

    @pytest.mark.parametrize("log", [False, True], ids=["", "log"])
    def test_journal_in_read_only_folder_is_shown(self, path, kept, log):
        kept(log)
        for each in path.parent.iterdir():
            each.chmod(0o444)
        path.parent.chmod(0o555)
        before = snapshot(path.parent)
        assert at_once(1, LOOKING, path, NOBODY) == [f"1 {int(log)}\n"]
        assert snapshot(path.parent) == before
        path.parent.chmod(0o755)

    @pytest.mark.skipif(not ROOT, reason="only root can mount")
    @pytest.mark.parametrize("log", [False, True], ids=["", "log"])
    def test_journal_on_read_only_file_system_is_shown(self, path, kept, log, place):
        kept(log)
        mounted = place / "mounted"
        mounted.mkdir()
        mount("--bind", path.parent, mounted)
        try:
            mount("-o", "remount,bind,ro", mounted)
            with contextlib.closing(JournalMaintenance(str(mounted / path.name), True, show_only=True)) as journal:
                assert (journal.counts()["released"], journal.counts()["pending"]) == (1, int(log))
            for dry_run in (False, True):
                said = refusal_at(mounted / path.name, dry_run)
                assert (
                    "cannot be used (Read-only file system): give the user who runs the task write access to it" in said
                )
        finally:
            subprocess.run(["umount", mounted], check=True)

    def test_message_names_log_that_cannot_be_read(self, path, kept):
        """The log needs the file with the ending -shm, which is missing and cannot be created in the folder."""
        kept(log=True)
        Path(f"{path}-shm").unlink()
        for each in path.parent.iterdir():
            each.chmod(0o444)
        path.parent.chmod(0o555)
        (said,) = at_once(1, LOOKING, path, NOBODY)
        path.parent.chmod(0o755)
        assert f"The journal {path} cannot be used (unable to open database file): copy it and {path}-wal" in said


HOLDING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400)
journal.add_all([Entry("", "pending")])
print(journal.claim(0)[0].request_id, flush=True)
input()
"""

READING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400, dry_run=True)
journal.add_all([["a"]])
journal.plan(0)
print(flush=True)
input()
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_killed_check_mode_leaves_no_file(path, tmp_path, how):
    release_at(path, "a")
    before = snapshot(path.parent)
    with python(READING, path, env={"TMPDIR": str(tmp_path)}) as process:
        process.stdout.readline()
        process.send_signal(how)
        assert process.wait(TIMEOUT) == -how
    assert list(tmp_path.iterdir()) == []
    assert snapshot(path.parent) == before


def confirmed(journal):
    return [interaction.external_id for interaction in journal.plan(0) if interaction.confirmed]


class TestCheckModeSeesOtherProcesses:
    """Check mode reads the file without the locks of SQLite, because these need files beside it."""

    @pytest.fixture
    def show_only(self, path):
        release_at(path, "a")
        with contextlib.closing(
            Journal(str(path), "https://api.example", "main", None, 86400, dry_run=True)
        ) as journal:
            journal.add_all([["a", "b", "c"]])
            assert confirmed(journal) == ["a"]
            yield journal

    def test_release_of_ended_process_is_seen(self, show_only, path):
        release_at(path, "b")
        assert not Path(f"{path}-wal").exists()
        assert confirmed(show_only) == ["a", "b"]

    def test_releases_of_running_and_next_process_are_seen(self, show_only, path):
        with contextlib.closing(Journal(str(path), "https://api.example", "main", None, 86400)) as journal:
            journal.add_all([["b"]])
            journal.accept(journal.claim(0))
            assert confirmed(show_only) == ["a", "b"]
            release_at(path, "c")
            assert confirmed(show_only) == ["a", "b", "c"]

    def test_release_during_a_read_is_seen(self, show_only, path, monkeypatch):
        """Rows that were read before the write are read again."""
        rows = SqliteStore._rows
        monkeypatch.setattr(SqliteStore, "_rows", lambda *arguments: [rows(*arguments), interrupt()][0])

        def interrupt():
            monkeypatch.undo()
            release_at(path, "b")

        assert confirmed(show_only) == ["a", "b"]

    def test_a_half_written_file_is_read_again(self, show_only, path, monkeypatch):
        """Another process copies its log into the file while this one reads, and may find any mixture of pages."""

        def torn(*_arguments):
            monkeypatch.undo()
            release_at(path, "b")
            raise sqlite3.DatabaseError("database disk image is malformed")

        monkeypatch.setattr(SqliteStore, "_rows", torn)
        assert confirmed(show_only) == ["a", "b"]

    def test_read_waits_after_recent_write(self, path):
        release_at(path, "a")
        now = time.time_ns()
        os.utime(path, ns=(now, now))
        version = sqlite_file._settled_version(str(path))
        assert time.time_ns() - version[2] >= sqlite_file.TICK_NS

    def test_read_waits_longer_if_times_of_files_are_whole_seconds(self, path):
        release_at(path, "a")
        now = time.time_ns() // 10**9 * 10**9
        os.utime(path, ns=(now, now))
        sqlite_file._settled_version(str(path))
        assert time.time_ns() - now >= sqlite_file.WHOLE_TICK_NS

    def test_read_does_not_wait_for_time_in_the_future(self, path):
        release_at(path, "a")
        later = time.time_ns() + 10**12
        os.utime(path, ns=(later, later))
        assert sqlite_file._settled_version(str(path))[2] == later


def test_check_mode_needs_no_space_on_disk(path, tmp_path):
    """It needs none for the journal, and none for temporary files."""
    release_at(path, *(f"case-{number}" for number in range(1000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with contextlib.closing(JournalMaintenance(str(path), dry_run=True)) as journal:
            assert journal.counts()["released"] == 1000
            assert list(journal._store.db.execute("PRAGMA integrity_check")) == [("ok",)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
