# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal as a file: whose it may be, who shares it, how it is read where nothing can be written, and what is said when it fails."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal import sqlite_file
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.sqlite import SqliteStore
from ansible_collections.vonage.vcc.plugins.module_utils._journal.upkeep import Upkeep
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    PATIENCE,
    at_once,
    call_main,
    mode,
    python,
    snapshot,
)

ROOT = os.geteuid() == 0
NOBODY = 65534

as_root = pytest.mark.skipif(not ROOT, reason="only root can act as other users")


@pytest.fixture
def place():
    """A folder that other users can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def path(place):
    return place / "kept" / "journal.db"


def release(path, *external_ids):
    with contextlib.closing(Journal(str(path), "https://api.example", "main", None, 86400)) as journal:
        journal.add_all([Entry("", one) for one in external_ids])
        journal.accept(journal.claim(0))


def refusal(path, dry_run=False):
    with pytest.raises(JournalError) as caught:
        Journal(str(path), "https://api.example", "main", None, 86400, dry_run=dry_run).close()
    said = str(caught.value)
    assert said.startswith(f"The journal {path} ")
    assert "another file" not in said
    return said


def mount(*arguments):
    if subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")


# Becomes a user, if it is root's, claims an interaction, says what it found, and accepts it when it is told to.
MEMBER = """
import os
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
path, dry_run, uid, gid, *groups = sys.argv[1:]
os.umask(0o022)
os.setgroups(list(map(int, groups)))
os.setgid(int(gid))
os.setuid(int(uid))
try:
    journal = Journal(path, "https://api.example", "main", None, 86400, dry_run=dry_run == "dry_run")
except JournalError as exc:
    sys.exit(print(exc))
journal.add_all([Entry("", "a")])
(one,) = journal.plan(0) if dry_run == "dry_run" else journal.claim(0)
print("confirmed" if one.confirmed else "pending" if one.pending else "new", flush=True)
input()
journal.accept([one])
journal.close()
"""


@contextlib.contextmanager
def member(path, uid, gid, *groups, dry_run="run"):
    """Another user with the journal open, and what that one found."""
    with python(MEMBER, path, dry_run, uid, gid, *groups) as process:
        process.said = process.stdout.readline().strip()
        yield process


def accept(process):
    dummy, error = process.communicate("\n", timeout=PATIENCE)
    assert error == ""


@as_root
class TestSharing:
    # The folder's group and mode, and the groups of each member: the first is a process's own.
    SETGID = (30000, 0o2770, [(20001, 30000), (20002, 30000), (20003, 30000)])
    OPENSHIFT = (0, 0o775, [(0,), (0,), (0,)])

    @pytest.mark.parametrize(
        ("group", "bits", "groups", "killed"),
        [(*SETGID, False), (*SETGID, True), (*OPENSHIFT, True)],
        ids=["setgid", "setgid, killed", "OpenShift, killed"],
    )
    def test_every_member_of_a_group_finds_what_others_wrote(self, place, group, bits, groups, killed):
        os.chown(place, -1, group)
        os.chmod(place, bits)
        path = place / "deeper" / "journal.db" if killed else place / "journal.db"
        with member(path, 1_000_600_001, *groups[0]) as first:
            assert first.said == "new"
            assert {each.name: oct(mode(each)) for each in path.parent.iterdir()} == {
                "journal.db": "0o660",
                "journal.db-wal": "0o660",
                "journal.db-shm": "0o660",
            }
            if killed:
                first.kill()
                first.wait(PATIENCE)
            with member(path, 1_000_600_002, *groups[1], dry_run="dry_run") as looking:
                assert looking.said == "pending"
            with member(path, 1_000_600_002, *groups[1]) as second:
                assert second.said == "pending"
                accept(second)
            if not killed:
                accept(first)
        with member(path, 1_000_600_003, *groups[2]) as third:
            assert third.said == "confirmed"

    @pytest.mark.parametrize(("group", "bits", "groups"), [SETGID, OPENSHIFT], ids=["setgid", "OpenShift"])
    def test_nobody_else_does(self, place, group, bits, groups):
        os.chown(place, -1, group)
        os.chmod(place, bits)
        path = place / "journal.db"
        with member(path, 20001, *groups[0]) as first:
            accept(first)
        with member(path, 20004, 20004) as stranger:
            assert stranger.said.startswith(f"The journal {path} cannot be used (")
        os.chmod(place, 0o2777)
        path.chmod(0o664)
        with member(path, 20004, 20004, dry_run="dry_run") as stranger:
            assert stranger.said.startswith(f"The journal {path} cannot be used (")

    @pytest.mark.parametrize(("group", "bits"), [(30000, 0o2777), (20009, 0o2775)], ids=["open", "another group's"])
    def test_a_member_does_not_where_the_folder_is_not_shared(self, place, group, bits):
        path = place / "kept" / "journal.db"
        release(path, "a")
        os.chown(path, 20001, 30000)
        path.chmod(0o660)
        os.chown(path.parent, 20001, group)
        os.chmod(path.parent, bits)
        with member(path, 20002, 30000, dry_run="dry_run") as one:
            assert one.said.startswith(f"The journal {path} cannot be used (it belongs to the user 20001, ")

    def test_a_folder_that_is_not_shared_has_none_that_is(self, place):
        for number, (group, bits) in enumerate([(30000, 0o770), (30000, 0o2777)]):
            folder = place / str(number)
            folder.mkdir()
            os.chown(folder, 20001, group)
            os.chmod(folder, bits)
            with member(folder / "journal.db", 20001, 30000, 0):
                assert {oct(mode(each)) for each in folder.iterdir()} == {"0o600"}


class TestTrust:
    """A journal that a stranger can have written is no proof, in check mode neither."""

    @pytest.fixture(params=[False, True], ids=["run", "check"])
    def refused(self, request, path):
        def say():
            before = snapshot(path.parent)
            said = refusal(path, request.param)
            assert snapshot(path.parent) == before
            return said

        return say

    @as_root
    @pytest.mark.parametrize("bits", [0o600, 0o644, 0o660])
    @pytest.mark.parametrize("folder", [0o755, 0o1777, 0o770])
    def test_the_journal_of_a_stranger(self, refused, path, bits, folder):
        release(path, "a")
        os.chown(path, 12345, 12345)
        path.chmod(bits)
        path.parent.chmod(folder)
        assert refused() == (
            f"The journal {path} cannot be used (it belongs to the user 12345, so what it says may be false): run the task as that user, or"
            " share it with a group of this user's, as the documentation of the option journal says."
        )

    @pytest.mark.parametrize("bits", [0o666, 0o602])
    def test_one_that_everyone_can_write(self, refused, path, bits):
        release(path, "a")
        path.chmod(bits)
        assert refused() == (
            f"The journal {path} cannot be used (it can be written by every user, so what it says may be false): take that right from others"
            " with chmod o-w, if what it says is right."
        )

    @as_root
    @pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
    def test_what_a_stranger_has_put_beside_it(self, refused, path, ending):
        release(path, "a")
        path.parent.chmod(0o1777)
        beside = Path(f"{path}{ending}")
        beside.touch()
        os.chown(beside, 12345, 12345)
        assert f"({beside} belongs to the user 12345, " in refused()

    def test_a_link_beside_it(self, refused, path, place):
        release(path, "a")
        (place / "precious").write_text("precious")
        Path(f"{path}-wal").symlink_to(place / "precious")
        assert f"({path}-wal is a symbolic link, so what it says may be false): find out who " in refused()

    @pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")], ids=["fifo", "null"])
    def test_what_is_no_file(self, place, path, make):
        path.parent.mkdir()
        make(path)
        if path.is_symlink():
            path = Path("/dev/null")
        for dry_run in (False, True):
            assert "cannot be used (it is no regular file): check the path that" in refusal(path, dry_run)

    @pytest.mark.parametrize("check", [False, True])
    def test_it_is_shown_and_not_pruned(self, sim, path, check):
        release(path, "a")
        path.chmod(0o666)
        result, code, dummy = call_main("vcc_journal_info", check, **sim.options(journal=str(path)))
        assert (code, result["counts"]["released"]) == (0, 1)
        result, code, dummy = call_main("vcc_journal", check, older_than=0, **sim.options(journal=str(path)))
        assert (code, f"The journal {path} cannot be used (it can be written by every user, " in result["msg"]) == (
            1,
            True,
        )


# Becomes another user, if it is root's, and shows what the journal counts.
LOOKING = """
import os
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.upkeep import Upkeep
together()
path, user = sys.argv[1:]
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
try:
    counts = Upkeep(path, True, looking=True).counts()
    print(counts["released"], counts["pending"])
except JournalError as exc:
    print(exc)
"""


class TestReadOnly:
    """vcc_journal_info shows a journal where nothing can be written."""

    @pytest.fixture
    def kept(self, path):
        """A journal, the last process of which was killed: with a log or, as others have ended, without."""
        release(path, "a")

        def keep(log):
            if log:
                with python(HOLDING, path) as process:
                    process.stdout.readline()
                    process.kill()
                    process.wait(PATIENCE)
                assert Path(f"{path}-wal").stat().st_size

        return keep

    @pytest.mark.parametrize("log", [False, True], ids=["", "log"])
    def test_a_folder_without_the_right_to_write(self, path, kept, log):
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
    def test_a_file_system_that_is_mounted_for_reading(self, path, kept, log, place):
        kept(log)
        mounted = place / "mounted"
        mounted.mkdir()
        mount("--bind", path.parent, mounted)
        try:
            mount("-o", "remount,bind,ro", mounted)
            with contextlib.closing(Upkeep(str(mounted / path.name), True, looking=True)) as journal:
                assert (journal.counts()["released"], journal.counts()["pending"]) == (1, int(log))
            for dry_run in (False, True):
                said = refusal(mounted / path.name, dry_run)
                assert "cannot be used (Read-only file system): make it, the files beside it" in said
        finally:
            subprocess.run(["umount", mounted], check=True)

    def test_a_log_that_cannot_be_read_is_said_so(self, path, kept):
        """Without the file that goes with it, which cannot be made there."""
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
    release(path, "a")
    before = snapshot(path.parent)
    with python(READING, path, env={"TMPDIR": str(tmp_path)}) as process:
        process.stdout.readline()
        process.send_signal(how)
        assert process.wait(PATIENCE) == -how
    assert list(tmp_path.iterdir()) == []
    assert snapshot(path.parent) == before


def confirmed(journal):
    return [interaction.external_id for interaction in journal.plan(0) if interaction.confirmed]


class TestCheckModeSeesOtherProcesses:
    """It reads a file without the locks of SQLite, for these need files beside it."""

    @pytest.fixture
    def looking(self, path):
        release(path, "a")
        with contextlib.closing(
            Journal(str(path), "https://api.example", "main", None, 86400, dry_run=True)
        ) as journal:
            journal.add_all([["a", "b", "c"]])
            assert confirmed(journal) == ["a"]
            yield journal

    def test_one_that_has_ended(self, looking, path):
        release(path, "b")
        assert not Path(f"{path}-wal").exists()
        assert confirmed(looking) == ["a", "b"]

    def test_one_that_goes_on_and_one_after_it(self, looking, path):
        with contextlib.closing(Journal(str(path), "https://api.example", "main", None, 86400)) as journal:
            journal.add_all([["b"]])
            journal.accept(journal.claim(0))
            assert confirmed(looking) == ["a", "b"]
            release(path, "c")
            assert confirmed(looking) == ["a", "b", "c"]

    def test_one_that_writes_while_it_reads(self, looking, path, monkeypatch):
        """What has been read by then is read again."""
        rows = SqliteStore._rows
        monkeypatch.setattr(SqliteStore, "_rows", lambda *arguments: [rows(*arguments), interrupt()][0])

        def interrupt():
            monkeypatch.undo()
            release(path, "b")

        assert confirmed(looking) == ["a", "b"]

    def test_a_half_written_file_is_read_again(self, looking, path, monkeypatch):
        """Another process copies its log into the file while this one reads, and may find any mixture of pages."""

        def torn(*_arguments):
            monkeypatch.undo()
            release(path, "b")
            raise sqlite3.DatabaseError("database disk image is malformed")

        monkeypatch.setattr(SqliteStore, "_rows", torn)
        assert confirmed(looking) == ["a", "b"]

    def test_a_file_that_was_written_just_now_is_let_settle(self, path):
        release(path, "a")
        now = time.time_ns()
        os.utime(path, ns=(now, now))
        version = sqlite_file._settled_version(str(path))
        assert time.time_ns() - version[2] >= sqlite_file.TICK_NS

    def test_a_time_in_the_future_is_not_waited_for(self, path):
        release(path, "a")
        later = time.time_ns() + 10**12
        os.utime(path, ns=(later, later))
        assert sqlite_file._settled_version(str(path))[2] == later


def test_check_mode_needs_no_room(path, tmp_path):
    """Neither beside the journal nor for temporary files."""
    release(path, *(f"case-{number}" for number in range(1000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with contextlib.closing(Upkeep(str(path), dry_run=True)) as journal:
            assert journal.counts()["released"] == 1000
            assert list(journal._db.execute("PRAGMA integrity_check")) == [("ok",)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WRITING = """
import sqlite3
import sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print(flush=True)
input()
"""


class TestMessages:
    """They name the cause, and never advise to go on without what the journal knows."""

    @pytest.mark.parametrize("stopped", [False, True])
    def test_a_process_that_writes(self, path, monkeypatch, stopped):
        release(path, "a")
        monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.1)
        with python(WRITING, path) as process:
            process.stdout.readline()
            if stopped:
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            said = refusal(path)
        assert said.startswith(f"The journal {path} cannot be used (database is locked; ")
        assert said.endswith(
            " has been writing to it for 0.1 seconds): let that process go on or end it, since the next run takes up what it has begun"
            + ("." if Path("/proc/locks").exists() else "; fuser names it.")
        )
        if Path("/proc/locks").exists():
            shown = r", which is stopped\)" if stopped else r"\)"
            assert re.search(rf"; process {process.pid} \([^,)]+{shown} has been writing", said)

    @pytest.mark.parametrize("dry_run", [False, True])
    @pytest.mark.parametrize("how", ["cut off", "overwritten", "text"])
    def test_damage(self, path, dry_run, how):
        release(path, *(f"case-{number}" for number in range(2000)))
        content = path.read_bytes()
        if how == "text":
            path.write_bytes(b"case-1\ncase-2\n" * 1000)
        else:
            path.write_bytes(content[:6000] if how == "cut off" else content[:100] + b"\xff" * (len(content) - 100))
        said = refusal(path, dry_run)
        assert said.endswith(
            "restore it with .recover of the command sqlite3, or from a backup; what that lacks, the next run may release or dispatch a second time."
        )
        assert ("check the path that the option journal names; if it was the journal, " in said) is (how == "text")

    @pytest.mark.skipif(not ROOT, reason="only root can mount")
    @pytest.mark.parametrize("full", ["journal", "temporary"])
    def test_a_full_disk(self, path, place, full):
        """That of the journal, or that for temporary files, where the worklist goes."""
        release(path, "a")
        small = place / "small"
        small.mkdir()
        mount("-t", "tmpfs", "-o", "size=512k", "none", small)
        try:
            folder, temporary = (small, place) if full == "journal" else (path.parent, small)
            if full == "journal":
                shutil.copy(path, small)
            with python(FILLING, folder / path.name, env={"TMPDIR": str(temporary), "SQLITE_TMPDIR": ""}) as process:
                said, error = process.communicate(timeout=PATIENCE)
        finally:
            subprocess.run(["umount", small], check=True)
        assert error == ""
        what = "the folder of the journal" if full == "journal" else "the folder for temporary files (TMPDIR)"
        assert said.startswith(f"The journal {folder}/journal.db cannot be used (database or disk is full): ")
        assert said.endswith(f"make room in {small}, {what}.\n")

    def test_another_program(self, path):
        path.parent.mkdir()
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE mine (name TEXT)")
        assert refusal(path).endswith("no journal of this collection): check the path that the option journal names.")


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
