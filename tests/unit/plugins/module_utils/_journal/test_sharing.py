# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users who can share a journal, and journals that are not trusted."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, call_main, mode, python, snapshot
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    as_root,
    refusal_at,
    release_at,
)


@pytest.fixture
def path(place):
    return place / "kept" / "journal.db"


# Becomes a user, claims an interaction, prints its state, and accepts it after a line of input.
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
    """Open the journal in a process of another user. ``said`` is the state that it has printed."""
    with python(MEMBER, path, dry_run, uid, gid, *groups) as process:
        process.said = process.stdout.readline().strip()
        yield process


def accept(process):
    dummy, error = process.communicate("\n", timeout=TIMEOUT)
    assert error == ""


@as_root
class TestSharing:
    # The group and the mode of the folder, and the groups of each member, the primary group first.
    SETGID = (30000, 0o2770, [(20001, 30000), (20002, 30000), (20003, 30000)])
    OPENSHIFT = (0, 0o775, [(0,), (0,), (0,)])

    @pytest.mark.parametrize(
        ("group", "bits", "groups", "killed"),
        [(*SETGID, False), (*SETGID, True), (*OPENSHIFT, True)],
        ids=["setgid", "setgid, killed", "OpenShift, killed"],
    )
    def test_every_member_of_group_finds_rows_of_others(self, place, group, bits, groups, killed):
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
                first.wait(TIMEOUT)
            with member(path, 1_000_600_002, *groups[1], dry_run="dry_run") as show_only:
                assert show_only.said == "pending"
            with member(path, 1_000_600_002, *groups[1]) as second:
                assert second.said == "pending"
                accept(second)
            if not killed:
                accept(first)
        with member(path, 1_000_600_003, *groups[2]) as third:
            assert third.said == "confirmed"

    @pytest.mark.parametrize(("group", "bits", "groups"), [SETGID, OPENSHIFT], ids=["setgid", "OpenShift"])
    def test_users_outside_of_group_cannot_use_journal(self, place, group, bits, groups):
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
    def test_journal_of_another_user_in_unshared_folder_is_refused(self, place, group, bits):
        path = place / "kept" / "journal.db"
        release_at(path, "a")
        os.chown(path, 20001, 30000)
        path.chmod(0o660)
        os.chown(path.parent, 20001, group)
        os.chmod(path.parent, bits)
        with member(path, 20002, 30000, dry_run="dry_run") as one:
            assert one.said.startswith(f"The journal {path} cannot be used (it belongs to the user 20001, ")

    def test_files_in_unshared_folder_are_private(self, place):
        for number, (group, bits) in enumerate([(30000, 0o770), (30000, 0o2777)]):
            folder = place / str(number)
            folder.mkdir()
            os.chown(folder, 20001, group)
            os.chmod(folder, bits)
            with member(folder / "journal.db", 20001, 30000, 0):
                assert {oct(mode(each)) for each in folder.iterdir()} == {"0o600"}


class TestTrust:
    """A journal that another user may have written confirms nothing, not even in check mode."""

    @pytest.fixture(params=[False, True], ids=["run", "check"])
    def refused(self, request, path):
        def say():
            before = snapshot(path.parent)
            said = refusal_at(path, request.param)
            assert snapshot(path.parent) == before
            return said

        return say

    @as_root
    @pytest.mark.parametrize("bits", [0o600, 0o644, 0o660])
    @pytest.mark.parametrize("folder", [0o755, 0o1777, 0o770])
    def test_journal_of_another_user_is_refused(self, refused, path, bits, folder):
        release_at(path, "a")
        os.chown(path, 12345, 12345)
        path.chmod(bits)
        path.parent.chmod(folder)
        assert refused() == (
            f"The journal {path} cannot be used (it belongs to the user 12345, so its content may be false): run the task as that user, or"
            " share the journal with a group of the user who runs the task, as the documentation of the option journal says."
        )

    @pytest.mark.parametrize("bits", [0o666, 0o602])
    def test_journal_that_everyone_can_write_is_refused(self, refused, path, bits):
        release_at(path, "a")
        path.chmod(bits)
        assert refused() == (
            f"The journal {path} cannot be used (it can be written by every user, so its content may be false): check the journal with"
            " vonage.vcc.vcc_journal_info, and run chmod o-w on that file if its content is correct."
        )

    @as_root
    @pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
    def test_file_of_another_user_beside_journal_is_refused(self, refused, path, ending):
        release_at(path, "a")
        path.parent.chmod(0o1777)
        beside = Path(f"{path}{ending}")
        beside.touch()
        os.chown(beside, 12345, 12345)
        assert f"({beside} belongs to the user 12345, " in refused()

    def test_symbolic_link_beside_journal_is_refused(self, refused, path, place):
        release_at(path, "a")
        (place / "precious").write_text("precious")
        Path(f"{path}-wal").symlink_to(place / "precious")
        assert f"({path}-wal is a symbolic link, so its content may be false): find out who " in refused()

    @pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")], ids=["fifo", "null"])
    def test_device_or_pipe_is_refused(self, place, path, make):
        path.parent.mkdir(parents=True)
        make(path)
        if path.is_symlink():
            path = Path("/dev/null")
        for dry_run in (False, True):
            assert "cannot be used (it is not a regular file): check the path that" in refusal_at(path, dry_run)

    @pytest.mark.parametrize("check", [False, True])
    def test_untrusted_journal_is_shown_and_not_pruned(self, sim, path, check):
        release_at(path, "a")
        path.chmod(0o666)
        result, code, dummy = call_main("vcc_journal_info", check, **sim.options(journal=str(path)))
        assert (code, result["counts"]["released"]) == (0, 1)
        result, code, dummy = call_main("vcc_journal", check, older_than=0, **sim.options(journal=str(path)))
        assert (code, f"The journal {path} cannot be used (it can be written by every user, " in result["msg"]) == (
            1,
            True,
        )
