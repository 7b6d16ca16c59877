# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of plugins: an environment without settings, a simulator, and playbooks that run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import WRITE_SCOPE, Client
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import Http
from ansible_collections.vonage.vcc.plugins.module_utils._connection import Connection
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.plugins.module_utils.auth import TokenProvider
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.simulator.contract import contract
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    COLLECTION,
    TIMEOUT,
    Clock,
    Recorder,
    journal_rows,
    validated,
)

# Variables whose names do not show that they are settings.
OTHERS = ("NETRC", "ANSIBLE_HOME", "ANSIBLE_PYTHON_INTERPRETER")

# If each test runs in a fork of its own, the forks share the contract that is read here.
contract()


class Dumper(yaml.SafeDumper):
    """A dumper of the file in which AWX passes variables: Ansible must not template the answers of a survey."""

    def represent_str(self, data):
        # ansible-core 2.19 and newer convert numbers and booleans with this tag, even in quotes.
        return self.represent_scalar("!unsafe" if "{" in data else "tag:yaml.org,2002:str", data)


Dumper.add_representer(str, Dumper.represent_str)


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    """No settings of the machine reach a test, and nothing it writes reaches the home folder."""
    for name in list(os.environ):
        if name.startswith("VCC_") or name.upper().endswith(("_PROXY", "_CA_BUNDLE")) or name in OTHERS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sim():
    with Recorder() as simulator:
        yield simulator


@pytest.fixture
def open_umask():
    """New files get the mode that their creator requests."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def make_http(clock):
    """Makes a session of HTTP that waits by the test's clock."""
    with contextlib.ExitStack() as stack:

        def make(timeout=30, retries=0, verify=True, **others):
            http = Http(timeout, retries, verify, **{"sleep": clock.sleep, "clock": clock, **others})
            stack.callback(http.close)
            return http

        yield make


@pytest.fixture
def make_auth(sim, clock, make_http):
    """Makes a source of tokens for the simulator's client, by the test's clock."""

    def make(
        http=None, auth_url=None, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, scope="interactions:write", **others
    ):
        auth_url = sim.token_url if auth_url is None else auth_url
        return TokenProvider(
            http or make_http(), auth_url, client_id, client_secret, scope, **{"clock": clock, **others}
        )

    return make


@pytest.fixture
def listed(tmp_path):
    """Writes ids to a file, one a line, and returns its path."""

    def write(external_ids):
        path = tmp_path / "listed.txt"
        path.write_text("\n".join(external_ids), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def folder(tmp_path):
    """A folder for the journal alone."""
    return tmp_path / "kept"


@pytest.fixture
def task(sim, folder, clock):
    """Runs a task against the simulator, with a journal and one call at a time, and returns its result."""
    used = []

    def do(check=False, diff=False, clients=None, **given):
        params = validated(**sim.options(**{"journal": do.journal, "calls_in_flight": 1, **given}))
        clients = {} if clients is None else clients
        if params["retries"] and not clients:
            clients.update(without_waiting(Connection.from_params(params)))
        result = run(params, check, diff, clients)
        used.extend(clients.values())
        json.dumps(result)
        return result

    def without_waiting(connection):
        http = Http(connection.timeout, connection.retries, connection.verify, sleep=clock.sleep, clock=clock)
        auth = TokenProvider(
            http,
            connection.auth_url,
            connection.client_id,
            connection.client_secret,
            WRITE_SCOPE,
            access_token=connection.access_token,
        )
        return {connection: Client(http, auth, connection.api_url)}

    do.journal = str(folder / "journal.db")
    yield do
    for client in used:
        client.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def journal(request, task):
    """The journal of the tasks, in a file and then in a database."""
    if request.param == "postgresql":
        task.journal = request.getfixturevalue("postgresql_url")
    return task.journal


@pytest.fixture
def rows(folder):
    return lambda: journal_rows(folder / "journal.db")


@pytest.fixture
def temporary():
    """A folder with a short path, in which Ansible can make a socket."""
    with tempfile.TemporaryDirectory(prefix="vcc-") as folder:
        yield Path(folder)


@pytest.fixture
def start(sim, tmp_path, temporary):
    """Starts a playbook with variables and other arguments. Returns the process, in a process group of its own."""
    started = []

    def run(name, variables, *arguments, env=None):
        file = tmp_path / f"extravars-{len(started)}"
        file.write_text(yaml.dump(variables, Dumper=Dumper))
        environment = {
            **os.environ,
            **sim.environment(tmp_path),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
            "ANSIBLE_HOME": str(temporary / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "TMPDIR": str(temporary),
            **(env or {}),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "ansible.cli.playbook", f"vonage.vcc.{name}", "-e", f"@{file}", *arguments],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def play(start):
    """Runs a playbook with variables and other arguments. Returns its exit status, and its output in one line."""

    def run(*arguments, **others):
        process = start(*arguments, **others)
        printed, dummy = process.communicate(timeout=TIMEOUT)
        return process.returncode, " ".join(printed.split())

    return run
