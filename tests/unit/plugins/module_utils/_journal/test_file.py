# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of the journal: its rights, its schema, and files that cannot be a journal."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    TIMEOUT,
    at_once,
    journal_rows,
    mode,
    python,
    snapshot,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    as_entries,
    refusal,
)

# Opens a journal and keeps a request id that is unanswered.
OPENING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.sqlite import SqliteStore
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Scope
together()
store = SqliteStore(sys.argv[1], Scope("https://api.example", "main", ""))
store.keep_request_ids("release", 1.0, [("lost", "b")], unanswered=True)
print(store.uses(["mine"])[0].unanswered, store.uses(["lost"])[0].unanswered)
"""


class TestFile:
    def test_only_owner_can_read_journal(self, open_journal, path, open_umask):
        journal = open_journal()
        journal.add_all(as_entries("a"))
        journal.claim(0)
        modes = {each.name: oct(mode(each)) for each in path.parent.iterdir()}
        assert modes == dict.fromkeys(["journal.db", "journal.db-shm", "journal.db-wal"], "0o600")
        assert (oct(mode(path.parent)), oct(mode(path.parent.parent))) == ("0o700", "0o700")

    def test_existing_folder_keeps_its_mode(self, claim, path):
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o750)
        claim("a")
        assert oct(mode(path.parent)) == "0o750"

    def test_schema_has_version_and_tables(self, release, path):
        release("a")
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA application_id").fetchone() == (0x56434331,)
            assert db.execute("PRAGMA user_version").fetchone() == (3,)
            tables = db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            ).fetchall()
            assert [name for (name,) in tables] == [
                "attempt",
                "interaction",
                "notification",
                "outcome",
                "own_request",
                "registration",
                "run",
                "scope",
            ]

    def test_file_of_earlier_version_gets_the_history(self, release, path):
        """The earlier version can still use the file, because the number of the schema stays the same."""
        release("a")
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.executescript("DROP TABLE outcome; DROP TABLE attempt; DROP TABLE run")
        before = snapshot(path.parent)
        with contextlib.closing(JournalMaintenance(str(path), dry_run=True, show_only=True)) as journal:
            assert journal.entries(history=True) == ([], 0, 0)
            assert journal.run("0" * 32) is None
            assert journal.entries()[1] == 1
            assert journal.prune(0)["outcomes"] == 0
        assert snapshot(path.parent) == before
        release("a", "b")
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM outcome").fetchone() == (0,)
            assert db.execute("PRAGMA user_version").fetchone() == (3,)

    def test_journal_is_in_wal_mode(self, release, path):
        release("a")
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_commit_is_synced_to_disk(self, open_journal):
        """In WAL mode SQLite syncs at each commit only if it is told to."""
        assert open_journal()._store._db.execute("PRAGMA synchronous").fetchone() == (2,)

    def test_empty_file_becomes_journal(self, release, plan, path):
        path.parent.mkdir(parents=True)
        path.touch()
        release("a")
        assert plan("a")[0].confirmed

    def test_a_path_may_be_relative(self, release, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        release("a", path="journal.db")
        assert list(journal_rows(tmp_path / "journal.db")) == ["a"]

    def test_file_name_may_have_special_characters_of_urls(self, release, plan, tmp_path):
        path = tmp_path / "50% of ?mode=x #1 ä.db"
        release("a", path=path)
        assert plan("a", path=path, dry_run=True)[0].confirmed
        assert [each.name for each in tmp_path.iterdir()] == [path.name]

    def test_task_without_a_journal_leaves_no_file(self, open_journal, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("TMPDIR", "SQLITE_TMPDIR"):
            monkeypatch.setenv(name, str(tmp_path))
        journal = open_journal(path="")
        assert journal.add_all(as_entries("a", "b", "a")) == 2
        claimed = journal.claim(0)
        journal.accept(claimed)
        assert [one.confirmed for one in journal.plan(0)] == [True, True]
        journal.close()
        assert list(tmp_path.rglob("*")) == []


class TestEarlierVersion:
    """A journal without the column that says which request ids are unanswered."""

    @pytest.fixture
    def _old(self, path, release):
        release(("a", "mine"))
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.executescript(
                "CREATE TABLE old AS SELECT scope, request_id, external_id, action, asked FROM own_request; DROP TABLE own_request;"
                "CREATE TABLE own_request (scope INTEGER NOT NULL, request_id TEXT NOT NULL, external_id TEXT, action TEXT NOT NULL, asked REAL NOT NULL,"
                " PRIMARY KEY (scope, request_id)) WITHOUT ROWID; INSERT INTO own_request SELECT * FROM old; DROP TABLE old;"
            )

    @pytest.mark.usefixtures("_old")
    @pytest.mark.parametrize("dry_run", [True, False])
    def test_only_run_adds_column(self, path, open_journal, dry_run):
        before = path.read_bytes()
        said = refusal(open_journal(dry_run=dry_run).add_all, as_entries(("b", "mine")), kind=InputError)
        assert "'mine' of 'b' has been used for 'a' before" in said
        assert not dry_run or path.read_bytes() == before

    @pytest.mark.usefixtures("_old")
    def test_processes_at_once_add_column(self, path):
        assert at_once(4, OPENING, path) == ["False True\n"] * 4


@pytest.mark.parametrize("predict", [False, True], ids=["run", "check"])
class TestDamage:
    """A file that cannot be a journal fails when it is opened, before any call, and stays unchanged."""

    def check(self, open_journal, path, predict):
        before = path.read_bytes()
        said = refusal(open_journal, dry_run=predict)
        assert path.read_bytes() == before
        assert str(path) in said
        assert "another file" not in said
        return said

    @pytest.mark.parametrize(
        "content", [b"case-1\ncase-2\n", b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 8000, b"xy"]
    )
    def test_file_that_is_no_database_is_refused(self, open_journal, path, predict, content):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        assert f"The journal {path} cannot be used (" in self.check(open_journal, path, predict)

    def test_truncated_file_is_refused(self, release, open_journal, path, predict):
        release("a")
        path.write_bytes(path.read_bytes()[:2000])
        self.check(open_journal, path, predict)

    def test_database_of_another_program_is_refused(self, open_journal, path, predict):
        path.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.executescript("PRAGMA application_id = 17; CREATE TABLE interaction (name TEXT)")
        assert "is a database, but not a journal of this collection" in self.check(open_journal, path, predict)

    @pytest.mark.parametrize("version", [2, 4])
    def test_journal_of_another_schema_version_is_refused(self, release, open_journal, path, predict, version):
        release("a")
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA user_version = {version}")
        assert (
            f"written by another version of this collection (schema {version}; this version uses schema 3)"
            in self.check(open_journal, path, predict)
        )

    @pytest.mark.parametrize("dangling", [False, True])
    def test_symbolic_link_is_refused(self, release, open_journal, path, tmp_path, predict, dangling):
        target = tmp_path / "target.db"
        if not dangling:
            release("a", path=target)
        path.parent.mkdir(parents=True)
        path.symlink_to(target)
        said = refusal(open_journal, dry_run=predict)
        assert said == f"The journal {path} is a symbolic link: set the option journal to the file itself."
        assert target.exists() is not dangling

    def test_folder_in_place_of_journal_is_refused(self, open_journal, path, predict):
        path.mkdir(parents=True)
        assert f"The journal {path} cannot be used (" in refusal(open_journal, dry_run=predict)

    def test_overwritten_page_of_large_journal_is_detected(self, release, open_journal, path, predict):
        journal = open_journal()
        wanted = as_entries(*(f"case-{number:06d}" for number in range(5000)))
        journal.add_all(wanted)
        after = 0
        while True:
            chunk = journal.claim(after)
            if not chunk:
                break
            journal.accept(chunk)
            after = chunk[-1].seq
        journal.close()
        pages = path.stat().st_size // 4096
        assert pages > 50
        with open(path, "r+b") as file:
            file.seek(pages // 2 * 4096)
            file.write(b"\xff" * 4096)
        before = path.read_bytes()
        journal = open_journal(dry_run=predict)
        if predict:
            said = refusal(journal.add_all, wanted)
        else:
            journal.add_all(wanted)
            said = refusal(journal.claim, 0)
        assert f"The journal {path} cannot be used (" in said
        assert path.read_bytes() == before


class TestUnwritable:
    def test_file_in_place_of_folder_is_refused(self, open_journal, tmp_path):
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "journal.db"
        said = refusal(open_journal, path=path)
        assert said == (
            f"The journal {path} cannot be used (Not a directory): check the path that the option journal names."
        )

    @pytest.mark.parametrize("predict", [False, True], ids=["run", "check"])
    @pytest.mark.parametrize("which", ["file", "folder"])
    def test_journal_without_right_to_write_is_refused(self, release, predict, which):
        """The process has a user who is not root, even if root runs the tests."""
        user = os.geteuid() or 65534
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "journal.db")
            if which == "file":
                release("a", path=path)
                os.chown(path, user, -1)
                path.chmod(0o400)
            os.chown(folder, user, -1)
            os.chmod(folder, 0o700 if which == "file" else 0o500)
            with python(UNPRIVILEGED, path, user, predict) as process:
                said, error = process.communicate(timeout=TIMEOUT)
            os.chmod(folder, 0o700)
        assert error == ""
        assert said.startswith(f"The journal {path} cannot be used (")


UNPRIVILEGED = """
import os
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
path, user, predict = sys.argv[1:]
if os.geteuid() == 0:
    os.setuid(int(user))
try:
    Journal(path, "https://api.example", "main", None, 86400, dry_run=predict == "True")
    print("opened")
except JournalError as exc:
    print(exc)
"""
