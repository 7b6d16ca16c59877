# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the rulebook in ansible-rulebook, let the simulator notify it or put load on it, and check the journal."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.examples.documents import EVENTS_GUIDE, example_with, rst_examples
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.rulebook.endpoint import (
    COLLECTIONS,
    PROVIDER,
    TOKEN,
    Load,
    Rulebook,
    RulebookWithDatabase,
)
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

EXAMPLES = rst_examples(EVENTS_GUIDE)


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server whose commits survive the end of its processes."""
    if reason := programs.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from ansible_collections.vonage.vcc.tests.postgresql.server import Server  # needs psycopg

    with Server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def make_rulebook(request, tmp_path):
    """Makes a rulebook with a journal of either kind, and does not start it."""

    def make(**variables):
        if request.param == "sqlite":
            return Rulebook(tmp_path, **variables)
        server = request.getfixturevalue("server")
        for schema in server.execute("SELECT nspname FROM pg_namespace WHERE nspname = 'vcc_journal'"):
            server.execute(f"DROP SCHEMA {schema[0]} CASCADE")
        return RulebookWithDatabase(tmp_path, server, **variables)

    return make


@pytest.fixture
def simulator():
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def rulebook(tmp_path, simulator):
    """The rulebook, which runs, as the endpoint of a provider of the simulator."""
    rulebook = Rulebook(tmp_path, vcc_api_url=simulator.url)
    register(rulebook, simulator)
    with rulebook.running():
        rulebook.wait_until_listening()
        yield rulebook


def register(rulebook, simulator, token=TOKEN, **headers):
    """Register the endpoint with the header that authenticates VCC."""
    simulator.register(PROVIDER, rulebook.endpoint, {"Authorization": f"Bearer {token}", **headers})


def notify(simulator, external_id, kind, **details):
    """Dispatch an interaction, notify its provider, and return the status of the response."""
    simulator.dispatch(external_id, provider=PROVIDER)
    return simulator.notify(external_id, notification=kind, **details)


def shown_ids(rulebook):
    """Return the external ids that the rule of the rulebook has named in the log."""
    return [json.loads(text) for text in re.findall(r"An agent has the interaction (.*) again\.", rulebook.text())]


def release(rulebook, simulator, external_id):
    """Release an interaction with the same settings and journal, and return whether the task changed anything."""
    settings = {
        "vcc_external_id": external_id,
        "vcc_auth_url": simulator.token_url,
        "vcc_client_id": CLIENT_ID,
        "vcc_client_secret": CLIENT_SECRET,
        **rulebook.variables,
    }
    command = ["ansible-playbook", "vonage.vcc.release_interaction", "--extra-vars", json.dumps(settings)]
    done = subprocess.run(
        command,
        cwd=rulebook.folder,
        env=rulebook.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return "changed=1" in done.stdout


def test_release_confirms_and_assignment_revokes(make_rulebook, simulator):
    rulebook = make_rulebook(vcc_api_url=simulator.url)
    register(rulebook, simulator)
    with rulebook.running():
        rulebook.wait_until_listening()
        assert notify(simulator, "case-1", "Release") == 200
        assert rulebook.confirmed() == {"case-1"}
        assert not release(rulebook, simulator, "case-1")
        assert simulator.calls == []
        assert notify(simulator, "case-1", "AssignToAgent") == 200
        assert rulebook.confirmed() == set()
        assert release(rulebook, simulator, "case-1")
        assert [effect["external_id"] for effect in simulator.effects] == ["case-1"]
        # The rule of the rulebook.
        rulebook.wait(lambda: shown_ids(rulebook) == ["case-1"])


@pytest.mark.parametrize(
    "external_id",
    [
        "{{ lookup('ansible.builtin.pipe', 'touch CANARY') }}",
        "{% for one in [1] %}{{ one }}{% endfor %}{# gone #}",
        "100 %41 + ü 😀 \\ \" ' <&>",
        "$ANSIBLE_VAULT;1.1;AES256",
    ],
)
def test_notification_is_recorded_verbatim(tmp_path, rulebook, simulator, external_id):
    canary = tmp_path / "executed"
    external_id = external_id.replace("CANARY", str(canary))
    for kind in ("Release", "AssignToAgent", "Release"):
        assert notify(simulator, external_id, kind, agent=external_id) == 200
    assert rulebook.confirmed() == {external_id}
    if "VAULT" in external_id:
        # ansible-rulebook tries to decrypt the id for the rule, which fails. Everything else must work.
        rulebook.wait(lambda: "Error calling action debug" in rulebook.text())
    else:
        rulebook.wait(lambda: shown_ids(rulebook) == [external_id])
    assert notify(simulator, "next", "Release") == notify(simulator, "next", "AssignToAgent") == 200
    rulebook.wait(lambda: shown_ids(rulebook)[-1:] == ["next"])
    assert not canary.exists()


@pytest.mark.parametrize("authorization", ["Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}0", ""])
def test_notification_without_token_is_rejected(rulebook, simulator, authorization):
    register(rulebook, simulator, Authorization=authorization)
    assert notify(simulator, "case-3", "Release") == 401
    assert rulebook.confirmed() == set()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("vcc_provider", None, "'vcc_provider' is undefined"),
        ("vcc_webhook_token", None, "'vcc_webhook_token' is undefined"),
        ("vcc_webhook_token", "", "token is missing: set it to the token that VCC sends as"),
        ("vcc_provider", "", "provider is missing: set it to the name of the provider"),
        ("vcc_journal", "journal.db", "journal must be an absolute path or a URL such as"),
        ("vcc_account", "", "The account is missing: set account or client_id"),
        ("vcc_webhook_port", "70000", "port must be a whole number from 0 to 65535."),
    ],
)
def test_wrong_variable_ends_the_rulebook_with_a_sentence(tmp_path, name, value, why):
    rulebook = Rulebook(tmp_path, **{name: value})
    if value is None:
        del rulebook.variables[name]
    with rulebook.running() as process:
        assert process.wait(60) != 0
    assert why in rulebook.text()
    assert "Traceback" not in rulebook.text()


@pytest.mark.parametrize("size", [1, 50])
@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_journal_has_all_answered_notifications_after_end_under_load(make_rulebook, end, size):
    rulebook = make_rulebook()

    async def run(load):
        asyncio.get_running_loop().call_later(1, getattr(rulebook, end))
        await load.run(30)

    for attempt in range(2):  # the second one continues with the journal of the first one
        with rulebook.running() as process:
            rulebook.wait_until_listening()
            load = Load(rulebook.port, size, prefix=f"n{attempt}")
            asyncio.run(run(load))
            # Java ends ansible-rulebook at SIGTERM without notice to the source.
            process.wait(30)
            assert end == "kill" or load.unanswered == 0
        programs.poll(lambda: not rulebook.is_listening(), "the endpoint does not end")
        assert len(load.answered) >= 50
        assert set(load.answered) <= rulebook.recorded()


def test_endpoint_ends_with_ansible_rulebook(tmp_path):
    """If only ansible-rulebook is killed, its endpoint answers its POSTs and ends. Otherwise, the next endpoint would not get the port."""
    rulebook = Rulebook(tmp_path)
    with rulebook.running():
        rulebook.wait_until_listening()
        engine, endpoint = rulebook.pids()
        os.kill(engine, 9)
        programs.poll(lambda: not programs.runs(endpoint), "the endpoint does not end")


def test_rulebook_ends_if_its_endpoint_is_killed(tmp_path):
    """A service manager then starts it again."""
    rulebook = Rulebook(tmp_path)
    with rulebook.running() as process:
        rulebook.wait_until_listening()
        os.kill(rulebook.pids()[1], 9)
        assert process.wait(60) != 0
    assert "The process of the endpoint has ended with exit code -9." in rulebook.text()


def test_rules_of_the_guide_run_their_playbook(tmp_path, simulator):
    """The rulebook has other rules, one of which runs a playbook. Text of VCC must not be executed as a template."""
    source = example_with("vonage.vcc.provider_notifications:", EXAMPLES).text
    playbook = example_with("urldecode", EXAMPLES).text
    inventory = example_with("ansible_connection:", EXAMPLES).text
    rulebook = Rulebook(tmp_path)
    variables = yaml.safe_load(example_with("vcc_webhook_token:", EXAMPLES).text)
    rulebook.variables = {**variables, "vcc_webhook_port": rulebook.port, "vcc_journal": str(rulebook.journal)}
    for name, text in {"own.yml": source, "reopen_ticket.yml": playbook, "inventory.yml": inventory}.items():
        (rulebook.folder / name).write_text(text, encoding="utf-8")
    register(rulebook, simulator, variables["vcc_webhook_token"])
    canary = tmp_path / "executed"
    external_id = f"{{{{ lookup('ansible.builtin.pipe', 'touch {canary}') }}}} 😀"
    with rulebook.running("--inventory", "inventory.yml", rulebook=rulebook.folder / "own.yml"):
        rulebook.wait_until_listening()
        assert notify(simulator, external_id, "AssignToAgent") == 200
        rulebook.wait(lambda: "ok=1 " in rulebook.text())
    assert not canary.exists()
    assert "lookup(" in rulebook.text()


def test_curl_of_the_guide_posts_a_notification(tmp_path):
    """The guide shows the command and its output."""
    rulebook = Rulebook(tmp_path, vcc_webhook_token="a-long-random-string")
    example = example_with("curl", EXAMPLES)
    command, printed = re.fullmatch(r"\$ (curl.*?[^\\])\n([^ ].*)\n", example.text, re.DOTALL).groups()
    with rulebook.running():
        rulebook.wait_until_listening()
        command = command.replace("127.0.0.1:5000", f"127.0.0.1:{rulebook.port}")
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.strip() == printed.strip()
        assert rulebook.confirmed() == {"case-4711"}
        connection = http.client.HTTPConnection("127.0.0.1", rulebook.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200


def test_variables_of_the_guide_are_accepted(tmp_path):
    variables = yaml.safe_load(example_with("vcc_webhook_token:", EXAMPLES).text)
    rulebook = Rulebook(tmp_path)
    rulebook.variables = {**variables, "vcc_webhook_port": rulebook.port, "vcc_journal": str(rulebook.journal)}
    with rulebook.running():
        rulebook.wait_until_listening()


def test_load_command_finds_nothing_missing():
    """Run the measuring command for a moment. A rate may be missed on a machine with other work."""
    command = [sys.executable, str(Path(__file__).parent / "load.py"), "--seconds", "2"]
    environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    rows = [line for line in done.stdout.splitlines() if line.startswith(("sqlite", "postgresql"))]
    assert len(rows) == 16, done.stdout + done.stderr
    assert "missing" not in done.stdout
