# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages for a journal that cannot be used."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal import sqlite_errors, sqlite_file
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, python
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    ROOT,
    mount,
    refusal_at,
    release_at,
)


@pytest.fixture
def path(place):
    return place / "kept" / "journal.db"


WRITING = """
import sqlite3
import sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print(flush=True)
input()
"""


class TestMessages:
    """They name the cause, and never advise to continue without the content of the journal."""

    @pytest.mark.parametrize("stopped", [False, True])
    def test_message_names_writing_process(self, path, monkeypatch, stopped):
        release_at(path, "a")
        for module in (sqlite_errors, sqlite_file):
            monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.1)
        with python(WRITING, path) as process:
            process.stdout.readline()
            if stopped:
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            said = refusal_at(path)
        assert said.startswith(f"The journal {path} cannot be used (database is locked; ")
        assert said.endswith(
            " has been writing to it for 0.1 seconds): "
            + ("" if Path("/proc/locks").exists() else "find that process with the command fuser, and ")
            + "wait until that process ends, or end it; the next run continues its work."
        )
        if Path("/proc/locks").exists():
            shown = r", which is stopped\)" if stopped else r"\)"
            assert re.search(rf"; process {process.pid} \([^,)]+{shown} has been writing", said)

    @pytest.mark.parametrize("dry_run", [False, True])
    @pytest.mark.parametrize("how", ["cut off", "overwritten", "text"])
    def test_message_about_damage_advises_recovery(self, path, dry_run, how):
        release_at(path, *(f"case-{number}" for number in range(2000)))
        content = path.read_bytes()
        if how == "text":
            path.write_bytes(b"case-1\ncase-2\n" * 1000)
        else:
            path.write_bytes(content[:6000] if how == "cut off" else content[:100] + b"\xff" * (len(content) - 100))
        said = refusal_at(path, dry_run)
        assert said.endswith(
            "restore it with the command .recover of sqlite3, or from a backup; the next run may release or dispatch interactions a second time if the"
            " restored journal does not have them."
        )
        assert ("check the path that the option journal names; if the path is correct, " in said) is (how == "text")

    @pytest.mark.skipif(not ROOT, reason="only root can mount")
    @pytest.mark.parametrize("full", ["journal", "temporary"])
    def test_message_names_folder_on_full_disk(self, path, place, full):
        """The full disk has the journal, or the temporary files with the worklist."""
        release_at(path, "a")
        small = place / "small"
        small.mkdir()
        mount("-t", "tmpfs", "-o", "size=512k", "none", small)
        try:
            folder, temporary = (small, place) if full == "journal" else (path.parent, small)
            if full == "journal":
                shutil.copy(path, small)
            with python(FILLING, folder / path.name, env={"TMPDIR": str(temporary), "SQLITE_TMPDIR": ""}) as process:
                said, error = process.communicate(timeout=TIMEOUT)
        finally:
            subprocess.run(["umount", small], check=True)
        assert error == ""
        what = "the folder of the journal" if full == "journal" else "the folder for temporary files (TMPDIR)"
        assert said.startswith(f"The journal {folder}/journal.db cannot be used (database or disk is full): ")
        assert said.endswith(f"free some space in {small}, {what}.\n")

    def test_message_about_database_of_another_program(self, path):
        path.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE mine (name TEXT)")
        assert refusal_at(path).endswith(
            "not a journal of this collection): check the path that the option journal names."
        )


FILLING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
try:
    journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400)
    journal.add_all([[f"{number}{'x' * 500}" for number in range(10_000)]])
    after = 0
    while True:
        chunk = journal.claim(after)
        journal.accept(chunk)
        after = chunk[-1].seq
except JournalError as exc:
    print(exc)
"""
