# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the rulebook in ansible-rulebook, let the simulator notify it, and check the journal."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from ansible_collections.vonage.vcc.tests import simulator as package
from ansible_collections.vonage.vcc.tests.examples.documents import EVENTS_GUIDE, example_with, rst_examples
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from ansible_collections.vonage.vcc.tests.tools.environment import search_path

COLLECTIONS = Path(package.__file__).parents[5]
ACCOUNT = "4711"
PROVIDER = "crm"
TOKEN = "20261123"  # digits only, because a template could turn them into a number
EXAMPLES = rst_examples(EVENTS_GUIDE)
COMMAND = example_with("ansible-rulebook", EXAMPLES)
VARIABLES = example_with("vcc_webhook_token:", EXAMPLES)
INVENTORY = example_with("ansible_connection:", EXAMPLES)


def wait_for(condition, process, log):
    """Wait until a condition holds; fail with the log after a minute, or if the process ends first."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.05)


class Rulebook:
    """A process of ansible-rulebook that runs the rulebook, and the simulator that notifies it."""

    def __init__(self, folder, simulator):
        self.simulator = simulator
        self.journal = folder / "journal.db"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}/notifications"
        self.variables = {
            "vcc_provider": PROVIDER,
            "vcc_webhook_token": TOKEN,
            "vcc_webhook_port": port,
            "vcc_journal": str(self.journal),
            "vcc_api_url": simulator.url,
            "vcc_account": ACCOUNT,
        }
        self._folder = folder
        self._log = folder / "ansible-rulebook.log"
        self._process = None
        self._numbers = itertools.count(1)

    @property
    def environment(self):
        kept = {name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}
        return {
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "HOME": str(self._folder),
            "JAVA_TOOL_OPTIONS": "-XX:-UsePerfData",  # this file would be in /tmp whatever TMPDIR says
            "LC_ALL": "C.UTF-8",
            "PATH": search_path(),
            "TMPDIR": str(self._folder),
        }

    @contextlib.contextmanager
    def process(self):
        """Start ansible-rulebook, and kill it and its children at the end."""
        assert set(self.variables) <= {*yaml.safe_load(VARIABLES.text), "vcc_api_url"}
        (self._folder / "vars.yml").write_text(json.dumps(self.variables), encoding="utf-8")
        (self._folder / "inventory.yml").write_text(INVENTORY.text, encoding="utf-8")
        # If this process is killed, ansible-rulebook ends after five minutes.
        (command,) = COMMAND.commands
        command = ["timeout", "300", *shlex.split(command), "--verbose"]
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield self._process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    def register(self, token=TOKEN, **headers):
        """Register the endpoint with the header that authenticates VCC."""
        self.simulator.register(PROVIDER, self.endpoint, {"Authorization": f"Bearer {token}", **headers})

    def notify(self, external_id, notification, **details):
        """Dispatch an interaction, notify its provider, and return the status of the response."""
        self.simulator.dispatch(external_id, provider=PROVIDER)
        return self.simulator.notify(external_id, notification=notification, **details)

    def is_listening(self):
        """Return whether the endpoint responds."""
        return self.notify("probe", "Release") is not None

    def confirmed(self):
        """Return the external ids of the provider that the journal confirms to be released."""
        if not self.journal.exists():
            return set()
        with contextlib.closing(sqlite3.connect(self.journal)) as database, contextlib.suppress(sqlite3.Error):
            rows = database.execute(
                "SELECT external_id FROM interaction JOIN scope ON scope.id = interaction.scope"
                " WHERE (api_url, account, provider, action) = (?, ?, ?, 'release') AND accepted IS NOT NULL",
                (self.simulator.url, ACCOUNT, PROVIDER),
            )
            return {external_id for (external_id,) in rows}
        return set()

    def wait(self, condition):
        """Wait until a condition holds."""
        wait_for(condition, self._process, self._log)

    def catch_up(self):
        """Wait until the journal has every notification so far, because the rulebook records them in order."""
        external_id = f"last-{next(self._numbers)}"
        assert self.notify(external_id, "Release") == 200
        self.wait(lambda: external_id in self.confirmed())

    def release(self, external_id):
        """Release an interaction with the same settings and journal, and return whether the task changed anything."""
        settings = {
            "vcc_external_id": external_id,
            "vcc_auth_url": self.simulator.token_url,
            "vcc_client_id": CLIENT_ID,
            "vcc_client_secret": CLIENT_SECRET,
            **self.variables,
        }
        command = ["ansible-playbook", "vonage.vcc.release_interaction", "--extra-vars", json.dumps(settings)]
        done = subprocess.run(
            command, cwd=self._folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return "changed=1" in done.stdout


class RulebookWithDatabase(Rulebook):
    """The same with a journal in PostgreSQL."""

    def __init__(self, folder, simulator, server):
        super().__init__(folder, simulator)
        self._server = server
        self.variables["vcc_journal"] = server.url()

    def confirmed(self):
        """Return the external ids of the provider that the journal confirms to be released."""
        if self._server.execute("SELECT to_regclass('vcc_journal.version')")[0][0] is None:
            return set()
        query = (
            "SELECT external_id FROM vcc_journal.interaction AS row JOIN vcc_journal.scope AS scope ON scope.id = row.scope"
            " WHERE (account, provider, action) = (%s, %s, 'release') AND accepted_at IS NOT NULL"
        )
        return {external_id for (external_id,) in self._server.execute(query, (ACCOUNT, PROVIDER))}


@pytest.fixture
def rulebook_with_database(tmp_path):
    if reason := programs.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from ansible_collections.vonage.vcc.tests.postgresql.server import Server  # needs psycopg

    with Server(fsync=False) as server, Simulator() as simulator:
        rulebook = RulebookWithDatabase(tmp_path, simulator, server)
        rulebook.register()
        with rulebook.process():
            rulebook.wait(rulebook.is_listening)
            yield rulebook


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory):
    with Simulator() as simulator:
        rulebook = Rulebook(tmp_path_factory.mktemp("rulebook"), simulator)
        rulebook.register(token="wrong")
        with rulebook.process():
            rulebook.wait(rulebook.is_listening)
            yield rulebook


@pytest.fixture(autouse=True)
def registered(rulebook):
    rulebook.register()


def check_that_release_confirms_and_assignment_revokes(rulebook):
    assert rulebook.notify("case-1", "Release") == 200
    rulebook.wait(lambda: "case-1" in rulebook.confirmed())
    assert not rulebook.release("case-1")
    assert rulebook.simulator.calls == []
    assert rulebook.notify("case-1", "AssignToAgent") == 200
    rulebook.wait(lambda: "case-1" not in rulebook.confirmed())
    assert rulebook.release("case-1")
    assert [effect["external_id"] for effect in rulebook.simulator.effects] == ["case-1"]


def test_release_confirms_and_assignment_revokes(rulebook):
    check_that_release_confirms_and_assignment_revokes(rulebook)


def test_notifications_reach_a_journal_in_postgresql(rulebook_with_database):
    check_that_release_confirms_and_assignment_revokes(rulebook_with_database)
    assert not rulebook_with_database.journal.exists()


def test_repeated_notification_counts_once(rulebook):
    for notification, guid in (("Release", "n-1"), ("AssignToAgent", "n-2"), ("Release", "n-1")):
        assert rulebook.notify("case-2", notification, guid=guid) == 200
    rulebook.catch_up()
    assert "case-2" not in rulebook.confirmed()


@pytest.mark.parametrize("authorization", ["Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}0", ""])
def test_notification_without_token_is_rejected(rulebook, authorization):
    rulebook.register(Authorization=authorization)
    assert rulebook.notify("case-3", "Release") == 401
    rulebook.register()
    rulebook.catch_up()
    assert not {"case-3", "probe"} & rulebook.confirmed()


@pytest.mark.parametrize(
    "external_id",
    [
        "{{ lookup('ansible.builtin.pipe', 'touch CANARY') }}",
        "{% for one in [1] %}{{ one }}{% endfor %}{# gone #}",
        "100 %41 + ü 😀 \\ \" ' <&>",
        "$ANSIBLE_VAULT;1.1;AES256",
    ],
)
def test_notification_is_recorded_verbatim(tmp_path, rulebook, external_id):
    canary = tmp_path / "executed"
    external_id = external_id.replace("CANARY", str(canary))
    assert rulebook.notify(external_id, "Release", agent=external_id) == 200
    rulebook.catch_up()
    assert external_id in rulebook.confirmed()
    assert not canary.exists()


def test_rulebook_survives_invalid_notification(rulebook, monkeypatch):
    rulebook.simulator.dispatch("case-4", provider=PROVIDER)
    endpoint, headers, (notification,) = rulebook.simulator.notification("case-4")
    monkeypatch.setattr(
        rulebook.simulator, "notification", lambda *_args, **_options: (endpoint, headers, notification)
    )
    assert rulebook.notify("case-4", "Release") == 200
    monkeypatch.undo()
    rulebook.catch_up()


@pytest.mark.parametrize("name", ["vcc_provider", "vcc_webhook_token"])
def test_rulebook_requires_provider_and_token(tmp_path, rulebook, name):
    other = Rulebook(tmp_path, rulebook.simulator)
    del other.variables[name]
    with other.process() as process:
        assert process.wait(60) != 0
    assert name in other._log.read_text(encoding="utf-8")


@pytest.mark.parametrize("token", [None, ""])
def test_rulebook_with_blank_token_accepts_nothing(tmp_path, rulebook, token):
    other = Rulebook(tmp_path, rulebook.simulator)
    other.variables["vcc_webhook_token"] = token
    other.register(token="")
    with other.process():
        other.wait(other.is_listening)
        for guess in ("", "None", "null", "''"):
            other.register(token=guess)
            assert other.notify("case-5", "Release") == 401
