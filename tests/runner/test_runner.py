# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run jobs through ansible-runner, as AAP and AWX do: each in a folder that is gone at its end, with a journal in PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.tests import simulator as package
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from ansible_collections.vonage.vcc.tests.tools.environment import search_path

COLLECTIONS = Path(package.__file__).parents[5]
IDS = [f"case-{number:02d}" for number in range(40)]
PASSWORD = "a-long-random-string"
TIMEOUT = 60  # seconds


@pytest.fixture
def simulator():
    with Simulator() as simulator:
        simulator.add_client(CLIENT_ID, CLIENT_SECRET)
        yield simulator


@pytest.fixture
def journal():
    """The URL of an empty database, with the password of a role that may create the schema."""
    if reason := programs.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from ansible_collections.vonage.vcc.tests.postgresql.server import Server  # needs psycopg

    with Server(fsync=False, tls=True) as server:
        server.create_role("vcc", PASSWORD)
        server.execute("CREATE DATABASE vcc OWNER vcc")
        yield server.url("vcc", "vcc", PASSWORD, tcp=True)


@contextlib.contextmanager
def job(simulator, external_ids, journal):
    """Start a job that dispatches, and return a function that waits for its end. The function returns the output and the events of the job."""
    task = {"state": "dispatched", "route": "sales", "interactions": [{"external_id": each} for each in external_ids]}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [{"vonage.vcc.vcc_interaction": task}]}
    with tempfile.TemporaryDirectory(prefix="vcc-") as name:
        folder = Path(name)
        credential = {
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "VCC_API_URL": simulator.url,
            "VCC_AUTH_URL": simulator.token_url,
            "VCC_CLIENT_ID": CLIENT_ID,
            "VCC_CLIENT_SECRET": CLIENT_SECRET,
            "VCC_JOURNAL": journal,
        }
        files = {
            "env/envvars": credential,
            "project/play.yml": [play],
            "inventory/hosts.json": {"all": {"hosts": {"localhost": {"ansible_connection": "local"}}}},
        }
        for path, content in files.items():
            (folder / path).parent.mkdir()
            (folder / path).write_text(json.dumps(content), encoding="utf-8")
        process = subprocess.Popen(
            ["ansible-runner", "run", name, "--playbook", "play.yml"],
            env={"HOME": name, "LC_ALL": "C.UTF-8", "PATH": search_path(), "TMPDIR": name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

        def end():
            code = process.wait(TIMEOUT)
            artifacts = [*folder.glob("artifacts/*/stdout"), *folder.glob("artifacts/*/job_events/*")]
            printed = "\n".join(path.read_text(encoding="utf-8") for path in artifacts)
            assert code == 0, printed
            return printed

        try:
            yield end
        finally:
            process.kill()
            process.wait()


def dispatched(simulator):
    """Return the external ids of all dispatches, sorted."""
    return sorted(effect["external_id"] for effect in simulator.effects if effect["action"] == "dispatch")


def test_second_job_changes_nothing(simulator, journal):
    for changed in (1, 0):
        with job(simulator, IDS, journal) as end:
            printed = end()
        assert f"changed={changed} " in printed
        assert PASSWORD not in printed
        assert dispatched(simulator) == IDS


def test_slices_at_once_dispatch_each_interaction_once(simulator, journal):
    """Four slices of a job, none of which gets an answer before all have made their calls; then a job with another number of slices."""
    holds = [simulator.fault("hold") for dummy in range(4)]
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(job(simulator, IDS[number::4], journal)) for number in range(4)]
        for hold in holds:
            assert hold.entered.wait(TIMEOUT)
        for hold in holds:
            hold.release()
        assert ["changed=1 " in end() for end in ends] == [True] * 4
        assert dispatched(simulator) == IDS
        for number in range(3):
            with job(simulator, IDS[number::3], journal) as end:
                assert "changed=0 " in end()
    assert dispatched(simulator) == IDS
