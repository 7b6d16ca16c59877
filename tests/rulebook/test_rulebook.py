# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator notifies a provider whose endpoint is the rulebook, run by ansible-rulebook; the journal shows it."""

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
import sys
import time
from pathlib import Path

import pytest
import yaml

from ansible_collections.vonage.vcc.tests import simulator
from ansible_collections.vonage.vcc.tests.examples.documents import GUIDES, rst_examples
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

COLLECTIONS = Path(simulator.__file__).parents[5]
ACCOUNT = "4711"
PROVIDER = "crm"
TOKEN = "20261123"  # of digits, as the hardest for the rulebook
# As the guide shows them.
_ENDPOINT, COMMAND, VARIABLES, INVENTORY = rst_examples(next(path for path in GUIDES if path.stem == "guide_events"))


def wait_for(condition, process, log):
    """Wait until a condition holds; fail with the log if it does not, or if the process has ended."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.05)


class Rulebook:
    """The rulebook in a process of its own, and the simulator that notifies it."""

    def __init__(self, folder, sim):
        self.sim = sim
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
            "vcc_api_url": sim.url,
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
            "JAVA_TOOL_OPTIONS": "-XX:-UsePerfData",  # which is a file in /tmp, wherever TMPDIR is
            "LC_ALL": "C.UTF-8",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "TMPDIR": str(self._folder),
        }

    @contextlib.contextmanager
    def process(self):
        """Start ansible-rulebook; end it and all that it started."""
        assert set(self.variables) <= {*yaml.safe_load(VARIABLES.text), "vcc_api_url"}
        (self._folder / "vars.yml").write_text(json.dumps(self.variables), encoding="utf-8")
        (self._folder / "inventory.yml").write_text(INVENTORY.text, encoding="utf-8")
        # Should this process be killed, that one ends after five minutes.
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
        """Register the endpoint, with the header that authenticates VCC."""
        self.sim.register(PROVIDER, self.endpoint, {"Authorization": f"Bearer {token}", **headers})

    def notify(self, external_id, notification, **details):
        """Have VCC notify the provider of an interaction."""
        self.sim.dispatch(external_id, provider=PROVIDER)
        return self.sim.notify(external_id, notification=notification, **details)

    def listens(self):
        return self.notify("probe", "Release") is not None

    def proven(self):
        """The interactions of the provider that the journal proves to be released."""
        if not self.journal.exists():
            return set()
        with contextlib.closing(sqlite3.connect(self.journal)) as database, contextlib.suppress(sqlite3.Error):
            rows = database.execute(
                "SELECT external_id FROM interaction JOIN scope ON scope.id = interaction.scope"
                " WHERE (api_url, account, provider, action) = (?, ?, ?, 'release') AND accepted IS NOT NULL",
                (self.sim.url, ACCOUNT, PROVIDER),
            )
            return {external_id for (external_id,) in rows}
        return set()

    def wait(self, condition):
        wait_for(condition, self._process, self._log)

    def catch_up(self):
        """Wait until all that has been posted is noted: notifications are noted in the order in which they came."""
        external_id = f"last-{next(self._numbers)}"
        assert self.notify(external_id, "Release") == 200
        self.wait(lambda: external_id in self.proven())

    def release(self, external_id):
        """Release an interaction with the same settings and journal. Whether something has changed."""
        settings = {
            "vcc_external_id": external_id,
            "vcc_auth_url": self.sim.token_url,
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


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory):
    with Simulator() as sim:
        rulebook = Rulebook(tmp_path_factory.mktemp("rulebook"), sim)
        rulebook.register(token="wrong")
        with rulebook.process():
            rulebook.wait(rulebook.listens)
            yield rulebook


@pytest.fixture(autouse=True)
def registered(rulebook):
    rulebook.register()


def test_release_confirms_and_assignment_revokes(rulebook):
    assert rulebook.notify("case-1", "Release") == 200
    rulebook.wait(lambda: "case-1" in rulebook.proven())
    assert not rulebook.release("case-1")
    assert rulebook.sim.calls == []
    assert rulebook.notify("case-1", "AssignToAgent") == 200
    rulebook.wait(lambda: "case-1" not in rulebook.proven())
    assert rulebook.release("case-1")
    assert [effect["external_id"] for effect in rulebook.sim.effects] == ["case-1"]


def test_repeated_notification_counts_once(rulebook):
    for notification, guid in (("Release", "n-1"), ("AssignToAgent", "n-2"), ("Release", "n-1")):
        assert rulebook.notify("case-2", notification, guid=guid) == 200
    rulebook.catch_up()
    assert "case-2" not in rulebook.proven()


@pytest.mark.parametrize("authorization", ["Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}0", ""])
def test_notification_without_token_is_rejected(rulebook, authorization):
    rulebook.register(Authorization=authorization)
    assert rulebook.notify("case-3", "Release") == 401
    rulebook.register()
    rulebook.catch_up()
    assert not {"case-3", "probe"} & rulebook.proven()


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
    assert external_id in rulebook.proven()
    assert not canary.exists()


def test_rulebook_survives_invalid_notification(rulebook, monkeypatch):
    rulebook.sim.dispatch("case-4", provider=PROVIDER)
    endpoint, headers, (told,) = rulebook.sim.notification("case-4")
    monkeypatch.setattr(rulebook.sim, "notification", lambda *_args, **_options: (endpoint, headers, told))
    assert rulebook.notify("case-4", "Release") == 200
    monkeypatch.undo()
    rulebook.catch_up()


@pytest.mark.parametrize("name", ["vcc_provider", "vcc_webhook_token"])
def test_rulebook_requires_provider_and_token(tmp_path, rulebook, name):
    other = Rulebook(tmp_path, rulebook.sim)
    del other.variables[name]
    with other.process() as process:
        assert process.wait(60) != 0
    assert name in other._log.read_text(encoding="utf-8")


@pytest.mark.parametrize("token", [None, ""])
def test_rulebook_with_blank_token_accepts_nothing(tmp_path, rulebook, token):
    other = Rulebook(tmp_path, rulebook.sim)
    other.variables["vcc_webhook_token"] = token
    other.register(token="")
    with other.process():
        other.wait(other.listens)
        for guess in ("", "None", "null", "''"):
            other.register(token=guess)
            assert other.notify("case-5", "Release") == 401
