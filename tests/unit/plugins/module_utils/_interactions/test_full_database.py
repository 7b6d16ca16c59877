# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full disk under the tables of a journal in PostgreSQL: a real one, which only root can mount."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import tempfile
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, background, summary
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import source_of
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import as_root, mount

# An empty database takes 8 MB.
SIZE = 24 * 2**20
BLOCK = 4096

IDS = [f"{number:04d}{'x' * 900}" for number in range(3000)]

ROWS = "SELECT external_id, accepted_at IS NOT NULL FROM vcc_journal.interaction"


class SmallDisk:
    """A database on a small disk.

    :ivar url: its URL.
    """

    def __init__(self, server, folder, database):
        self.url = server.url(database)
        self._server = server
        self._database = database
        self._ballast = folder / "ballast"

    def rows(self):
        """Return for each external id in the journal whether VCC has accepted the interaction."""
        return dict(self._server.execute(ROWS, database=self._database))

    def fill(self, room=0):
        """Fill the disk, but leave room for some bytes."""
        info = os.statvfs(self._ballast.parent)
        # The server may take a part of it meanwhile.
        with contextlib.suppress(OSError), open(self._ballast, "wb", buffering=0) as ballast:
            for dummy in range((info.f_bavail * info.f_frsize - room) // BLOCK):
                ballast.write(bytes(BLOCK))

    def free(self):
        self._ballast.unlink()


@pytest.fixture
def disk(postgresql_server):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mount("-t", "tmpfs", "-o", f"size={SIZE}", "none", folder)
        try:
            programs.hand_over(folder, 0o755)
            space, database = (f"small_{secrets.token_hex(6)}" for dummy in range(2))
            postgresql_server.execute(f"CREATE TABLESPACE {space} LOCATION '{folder}'")
            postgresql_server.execute(f"CREATE DATABASE {database} TABLESPACE {space}")
            yield SmallDisk(postgresql_server, folder, database)
            postgresql_server.drop_database(database)
            postgresql_server.execute(f"DROP TABLESPACE {space}")
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def release(task, disk, tmp_path):
    """Release all ids, and return the result and the states in the report."""
    report = tmp_path / "report.jsonl"

    def do():
        result = task(src=source_of(tmp_path / "folder", IDS), journal=disk.url, report=str(report))
        lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
        return result, {line["external_id"]: line["state"] for line in lines if "external_id" in line}

    return do


def check(result, states, disk, sim):
    """Check the message and the states of a task that found the disk full; return those that VCC has accepted, and of these those in the journal."""
    assert result["failed"]
    assert f"The journal {disk.url} cannot be used (could not extend file " in result["msg"]
    assert "No space left on device): free some space on the disk of the server." in result["msg"]
    assert "\n" not in result["msg"]
    released = {external_id for external_id, state in states.items() if state == "released"}
    known = {external_id for external_id, accepted in disk.rows().items() if accepted} & set(IDS)
    assert known <= released == set(sim.released) & set(IDS)
    told = re.search(r"The journal may not know that VCC has accepted (\d+) interactions?:", result["msg"])
    assert len(released - known) == (int(told[1]) if told else 0)
    return released, known


def check_next_run(release, sim, released, known):
    """Check that the next run releases all other interactions, and has no second effect."""
    result, states = release()
    expected = {"requested": len(IDS), "released": len(IDS) - len(known), "unchanged": len(known)}
    assert summary(result) == {name: count for name, count in expected.items() if count}
    assert states == dict.fromkeys(IDS, "released")
    assert sorted(set(sim.released) & set(IDS)) == IDS
    assert len(sim.released) == len(set(sim.released))
    assert {effect["external_id"] for effect in sim.ignored} == released - known


@as_root
@pytest.mark.parametrize("room", [0, 6 * 2**20], ids=["at once", "in the middle"])
def test_task_and_next_run_with_disk_that_is_full_at_claim(sim, task, disk, release, room):
    task(external_id="first", journal=disk.url)
    disk.fill(room)
    released, known = check(*release(), disk, sim)
    assert (len(released) > 0, len(released) < len(IDS)) == (room > 0, True)
    disk.free()
    check_next_run(release, sim, released, known)


@as_root
def test_task_and_next_run_with_disk_that_is_full_at_acceptance(sim, disk, release):
    hold = sim.fault("hold")
    with background(release) as results:
        assert hold.entered.wait(TIMEOUT)
        disk.fill()
        hold.release()
    released, known = check(*results[0], disk, sim)
    assert len(released) >= sim.invoke_calls[0]["interactions"]
    disk.free()
    check_next_run(release, sim, released, known)
